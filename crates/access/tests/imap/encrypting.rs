//! STARTTLS: the connection becomes TLS in place, and nothing sent ahead in clear survives it
//! (ABU-03).
//! Features: IMAP-04.

use std::net::SocketAddr;
use std::sync::Arc;

use angarium_access::connection::ConnectionInfo;
use angarium_access::imap::{ImapContext, ImapOptions, serve};
use angarium_access::sessions::SessionTable;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::client::World;

async fn line(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut got = Vec::new();
    while !got.ends_with(b"\r\n") {
        got.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(got).unwrap()
}

#[tokio::test]
async fn starttls_protects_what_follows_and_forgets_what_came_ahead() {
    let world = World::new().await;
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let context = ImapContext {
        accounts: Arc::clone(&world.context.accounts),
        options: ImapOptions::default(),
        sessions: SessionTable::default(),
        acceptor: Some(TlsAcceptor::from(Arc::new(config))),
    };
    let info = ConnectionInfo {
        session: 1,
        peer: SocketAddr::from(([192, 0, 2, 9], 9)),
        local: SocketAddr::from(([192, 0, 2, 1], 143)),
        tls: false,
    };
    let (mut near, far) = tokio::io::duplex(1 << 16);
    tokio::spawn(serve(far, info, Arc::new(context)));
    let greeting = line(&mut near).await;
    assert!(greeting.contains("STARTTLS") && greeting.contains("LOGINDISABLED"), "{greeting}");
    near.write_all(b"a STARTTLS\r\nb CREATE injected\r\n").await.unwrap();
    assert!(line(&mut near).await.starts_with("a OK"));
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    let name = ServerName::try_from("localhost").unwrap();
    let mut tls = connector.connect(name, near).await.unwrap();
    tls.write_all(b"c CAPABILITY\r\n").await.unwrap();
    let names = line(&mut tls).await;
    assert!(names.contains("AUTH=PLAIN") && !names.contains("STARTTLS"), "{names}");
    assert!(line(&mut tls).await.starts_with("c OK"));
    tls.write_all(b"d LOGIN ann x\r\ne STARTTLS\r\n").await.unwrap();
    assert!(line(&mut tls).await.starts_with("d OK"));
    assert!(line(&mut tls).await.starts_with("e BAD"));
}
