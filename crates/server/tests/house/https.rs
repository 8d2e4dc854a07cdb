//! A small HTTPS server for the policies of MTA-STS (RFC 8461): one address, one certificate for each
//! policy host, chosen by the name the client asks for.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ResolvesServerCertUsingSni;
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::certificates::Authority;

/// The server; it ends with the island.
pub(crate) struct Policies {
    asked: Arc<AtomicUsize>,
}

impl Policies {
    /// Serves at an address of the island, port 443: host and policy. A policy that begins with
    /// `302 ` sends the client elsewhere.
    pub(crate) fn serve(ip: &str, authority: &Authority, policies: &[(&str, &str)]) -> Self {
        super::island::address(ip);
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let mut keys = ResolvesServerCertUsingSni::new();
        let mut texts = HashMap::new();
        for (host, policy) in policies {
            let issued = authority.issue(host);
            let chain = vec![CertificateDer::from_pem_file(&issued.certificate).unwrap()];
            let key = PrivateKeyDer::from_pem_file(&issued.key).unwrap();
            let key = provider.key_provider.load_private_key(key).unwrap();
            keys.add(host, CertifiedKey::new(chain, key)).unwrap();
            texts.insert((*host).to_owned(), (*policy).to_owned());
        }
        let config = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(keys));
        let (config, texts) = (Arc::new(config), Arc::new(texts));
        let asked = Arc::new(AtomicUsize::new(0));
        let listener = TcpListener::bind((ip, 443)).unwrap();
        let count = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (config, texts, count) = (config.clone(), texts.clone(), count.clone());
                std::thread::spawn(move || drop(answer(stream, config, &texts, &count)));
            }
        });
        Self { asked }
    }

    /// Policies asked for.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn answer(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    texts: &HashMap<String, String>,
    asked: &AtomicUsize,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.set_write_timeout(Some(Duration::from_secs(20)))?;
    let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut stream = BufReader::new(StreamOwned::new(connection, stream));
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") {
        if stream.read_line(&mut request)? == 0 {
            return Ok(());
        }
    }
    asked.fetch_add(1, Ordering::SeqCst);
    let host = stream.get_ref().conn.server_name().unwrap_or_default().to_owned();
    let policy = texts.get(&host).map_or("", String::as_str);
    let right = request.starts_with("GET /.well-known/mta-sts.txt ");
    let reply = if let Some(elsewhere) = policy.strip_prefix("302 ") {
        format!("HTTP/1.1 302 Found\r\nLocation: {elsewhere}\r\nContent-Length: 0\r\n\r\n")
    } else if right && !policy.is_empty() {
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{policy}",
            policy.len()
        )
    } else {
        "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned()
    };
    stream.get_mut().write_all(reply.as_bytes())?;
    stream.get_mut().conn.send_close_notify();
    stream.get_mut().flush()
}
