//! Whole PWD sessions over a stream, with the memory store (features PWD-*).

use std::net::SocketAddr;
use std::sync::Arc;

use angarium_accounts::AccountId;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};

use super::*;
use crate::cli::tests::{NOW, World};

struct Client {
    stream: BufReader<DuplexStream>,
    task: JoinHandle<()>,
}

impl Client {
    fn connect(world: &World, tls: bool) -> Self {
        Self::connect_with(world, tls, None)
    }

    fn connect_with(world: &World, tls: bool, acceptor: Option<TlsAcceptor>) -> Self {
        let context = PwdContext {
            cli: world.cli.clone(),
            host: "mail.dom".to_owned(),
            product: "Angarium".to_owned(),
            version: "0.1.0".to_owned(),
            clear_text: false,
            sessions: SessionTable::default(),
            ender: world.ender.clone(),
            tls: acceptor,
        };
        let address = SocketAddr::from(([127, 0, 0, 1], 4));
        let info = ConnectionInfo { session: 12, peer: address, local: address, tls };
        let (client, server) = tokio::io::duplex(64 * 1024);
        let task = tokio::spawn(serve(server, info, Arc::new(context)));
        Self { stream: BufReader::new(client), task }
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).await.unwrap();
        let line = line.strip_suffix("\r\n").map(str::to_owned);
        line.unwrap_or_else(|| "(closed)".to_owned())
    }

    async fn say(&mut self, text: &str) -> String {
        self.stream.get_mut().write_all(text.as_bytes()).await.unwrap();
        self.line().await
    }
}

#[tokio::test]
async fn the_sample_session_of_the_reference() {
    let world = World::new().await;
    world.prepare(&["CREATEDOMAIN client1.com"]).await;
    let mut client = Client::connect(&world, true);
    let greeting = format!("200 mail.dom Angarium PWD Server 0.1.0 ready <12.{NOW}@mail.dom>");
    assert_eq!(client.line().await, greeting);
    for (said, answer) in [
        ("USER postmaster\n", "300 please send the PASS"),
        ("PASS master\n", "200 login OK"),
        ("INLINE\n", "200 OK"),
        ("CreateAccount \"user1@client1.com\" TextMailbox {Password=\"x\";}\n", "200 OK"),
        ("CreateAccount user1@client1.com\n", "520 account with this name already exists"),
        ("ListDomains\n", "201 (client1.com,mail.servername.com)"),
        ("QUIT\n", "200 connection closed"),
    ] {
        assert_eq!(client.say(said).await, answer, "{said}");
    }
    assert_eq!(client.line().await, "(closed)");
    client.task.await.unwrap();
}

#[tokio::test]
async fn without_inline_data_follow() {
    let world = World::new().await;
    let mut client = Client::connect(&world, true);
    client.line().await;
    client.say("user postmaster\r\n").await;
    client.say("pass master\r\n").await;
    assert_eq!(client.say("LISTDOMAINS\r\n").await, "200 data follow");
    assert_eq!(client.line().await, "(mail.servername.com)");
}

#[tokio::test]
async fn a_user_changes_his_password() {
    let world = World::new().await;
    world.prepare(&["CreateAccount bob {Password=old;}"]).await;
    let mut client = Client::connect(&world, true);
    client.line().await;
    client.say("USER bob\n").await;
    assert_eq!(client.say("PASS wrong\n").await.get(..4), Some("515 "));
    client.say("USER bob\n").await;
    assert_eq!(client.say("PASS \"old\"\n").await, "200 login OK");
    assert_eq!(client.say("NEWPASS a new one 123\n").await, "200 OK");
    assert_eq!(client.say("CreateDomain x.dom\n").await, "510 insufficient access rights");
    client.say("QUIT\n").await;
    world.prepare(&["VerifyAccountPassword bob PASSWORD \"a new one 123\""]).await;
}

#[tokio::test]
async fn sasl_plain_logs_in() {
    let world = World::new().await;
    let mut client = Client::connect(&world, true);
    client.line().await;
    assert_eq!(client.say("AUTH PLAIN AHBvc3RtYXN0ZXIAbWFzdGVy\n").await, "200 login OK");
    let mut client = Client::connect(&world, true);
    client.line().await;
    assert_eq!(client.say("AUTH PLAIN\n").await, "300 ");
    assert_eq!(client.say("AHBvc3RtYXN0ZXIAd3Jvbmc=\n").await.get(..4), Some("515 "));
}

#[tokio::test]
async fn clear_passwords_are_refused_without_encryption() {
    let world = World::new().await;
    let mut client = Client::connect(&world, false);
    client.line().await;
    assert_eq!(client.say("USER postmaster\n").await.get(..4), Some("500 "));
    assert_eq!(client.say("AUTH PLAIN\n").await.get(..4), Some("500 "));
    assert_eq!(client.say("NOOP\n").await, "200 OK");
}

#[tokio::test]
async fn an_administrator_ends_the_sessions_of_an_account() {
    let world = World::new().await;
    world.prepare(&["CreateAccount bob {Password=x;}"]).await;
    let mut client = Client::connect(&world, true);
    client.line().await;
    client.say("USER bob\n").await;
    client.say("PASS x\n").await;
    assert_eq!(client.say("NOOP\n").await, "200 OK");
    assert_eq!(world.ender.end(AccountId(u64::MAX)), 0);
    world.prepare(&["KillAccountSessions bob"]).await;
    assert_eq!(client.line().await, "501 session closed by the administrator");
    assert_eq!(client.line().await, "(closed)");
}

/// Both ends of TLS with a certificate for `mail.dom`.
pub(crate) fn tls() -> (TlsAcceptor, TlsConnector) {
    let made = rcgen::generate_simple_self_signed(vec!["mail.dom".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let server = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (TlsAcceptor::from(Arc::new(server)), TlsConnector::from(Arc::new(client)))
}

#[tokio::test]
async fn stls_protects_what_follows_and_forgets_what_came_before() {
    let world = World::new().await;
    let (acceptor, connector) = tls();
    let mut client = Client::connect_with(&world, false, Some(acceptor));
    client.line().await;
    assert_eq!(client.say("STLS\n").await, "200 please start TLS");
    let name = ServerName::try_from("mail.dom").unwrap();
    let stream = connector.connect(name, client.stream.into_inner()).await.unwrap();
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    for (said, answer) in [
        ("STLS\n", "500 TLS is not available\r\n"),
        ("USER postmaster\n", "300 please send the PASS\r\n"),
        ("PASS master\n", "200 login OK\r\n"),
        ("QUIT\n", "200 connection closed\r\n"),
    ] {
        stream.get_mut().write_all(said.as_bytes()).await.unwrap();
        line.clear();
        stream.read_line(&mut line).await.unwrap();
        assert_eq!(line, answer);
    }
}
