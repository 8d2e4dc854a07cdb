//! STARTTLS, AUTH and submission. ABU-03, ABU-12.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod house;

use std::sync::Arc;

use angarium_transfer::ReceiverSettings;
use house::{Client, House};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use tokio::io::DuplexStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

struct Tls {
    acceptor: TlsAcceptor,
    connector: TlsConnector,
}

fn tls() -> Tls {
    let made = rcgen::generate_simple_self_signed(vec!["main.example".to_owned()]).unwrap();
    let certificate = CertificateDer::from(made.cert.der().to_vec());
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Tls {
        acceptor: TlsAcceptor::from(Arc::new(server)),
        connector: TlsConnector::from(Arc::new(client)),
    }
}

async fn upgraded(
    house: &House,
    settings: ReceiverSettings,
    behind: &str,
) -> Client<TlsStream<DuplexStream>> {
    let tls = tls();
    let mut client = house.connect(settings, Some(tls.acceptor.clone()), false);
    client.expect("220").await;
    let hello = client.hello().await;
    assert!(hello.contains("STARTTLS"));
    client.send(format!("STARTTLS\r\n{behind}")).await;
    client.expect("220 2.0.0").await;
    let name = ServerName::try_from("main.example").unwrap();
    let stream = tls.connector.connect(name, client.stream).await.unwrap();
    let mut client = Client { stream, buffer: Vec::new() };
    let hello = client.hello().await;
    assert!(!hello.contains("STARTTLS"));
    assert!(hello.contains("AUTH") && hello.contains("PLAIN"), "{hello}");
    client
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

fn submission() -> ReceiverSettings {
    ReceiverSettings { submission: true, ..ReceiverSettings::default() }
}

#[tokio::test]
async fn what_is_sent_in_clear_behind_starttls_is_not_obeyed_after_it() {
    // ABU-03
    let house = House::new().await;
    let behind = "MAIL FROM:<x@far.example>\r\nRCPT TO:<bob@main.example>\r\nDATA\r\n";
    let mut client = upgraded(&house, ReceiverSettings::default(), behind).await;
    client.say("RCPT TO:<bob@main.example>", "503").await;
    let reply = client.mail("x@far.example", &["bob@main.example"], "A: b\r\n\r\n").await;
    assert!(reply.starts_with("250"));
    house.settled().await;
    let inbox = house.inbox("bob@main.example").await;
    assert_eq!(inbox.len(), 1);
    assert!(inbox[0].contains("with ESMTPS id"));
}

#[tokio::test]
async fn submission_takes_mail_from_who_proved_himself() {
    let house = House::new().await;
    house.passwords().await;
    let mut client = upgraded(&house, submission(), "").await;
    client.say("MAIL FROM:<alice@main.example>", "530 5.7.0").await;
    let wrong = base64("\0alice@main.example\0wrong");
    client.say(&format!("AUTH PLAIN {wrong}"), "535 5.7.8").await;
    let right = base64("\0alice@main.example\0secret");
    client.say(&format!("AUTH PLAIN {right}"), "235 2.7.0").await;
    // Only as oneself (ABU-12); an alias is oneself too.
    client.say("MAIL FROM:<bob@main.example>", "550 5.7.1").await;
    client.say("MAIL FROM:<x@far.example>", "550 5.7.1").await;
    client.say("MAIL FROM:<al@main.example>", "250").await;
    let reply = client.say("RCPT TO:<x@outside.example>", "250").await;
    assert_eq!(reply, "250 2.1.5 <x@outside.example> will relay mail for an authenticated user");
    client.say("RSET", "250").await;
    let content = "Subject: out\r\n\r\nbody\r\n";
    client.mail("alice@main.example", &["bob@main.example"], content).await;
    house.settled().await;
    let text = house.inbox("bob@main.example").await.remove(0);
    assert!(text.contains("(account alice@main.example HELO client.example)"), "{text}");
    assert!(text.contains("with ESMTPSA id"));
    assert!(text.contains("\r\nDate: ") && text.contains("\r\nMessage-ID: <smtp-"), "{text}");
    assert!(text.ends_with("\r\nSubject: out\r\n\r\nbody\r\n"));
    // The header too says who it is from (ABU-12), and blind copies are seen by nobody.
    assert!(text.contains("\r\nFrom: alice@main.example\r\n"), "{text}");
    house.set("alice@main.example", "FromPolicy", "Refuse").await;
    let content = "From: boss@main.example\r\n\r\nbody\r\n";
    let reply = client.mail("alice@main.example", &["bob@main.example"], content).await;
    assert!(reply.starts_with("550 5.7.1"), "{reply}");
    let content = "From: Al <al@main.example>\r\nBcc: carol@other.example\r\n\r\nbody\r\n";
    client.mail("alice@main.example", &["bob@main.example"], content).await;
    house.settled().await;
    let text = house.inbox("bob@main.example").await.remove(1);
    assert!(text.contains("From: Al <al@main.example>") && !text.contains("Bcc"), "{text}");
    // Others may be permitted, and the header is rewritten where that is set.
    house.set("alice@main.example", "FromPolicy", "Rewrite").await;
    let content = "From: The Boss <boss@main.example>\r\n\r\nbody\r\n";
    client.mail("alice@main.example", &["bob@main.example"], content).await;
    house.settled().await;
    let text = house.inbox("bob@main.example").await.remove(2);
    assert!(text.contains("From: The Boss <alice@main.example>\r\n"), "{text}");
}

#[tokio::test]
async fn login_is_asked_step_by_step() {
    let house = House::new().await;
    house.passwords().await;
    let mut client = upgraded(&house, submission(), "").await;
    client.say("AUTH LOGIN", "334 ").await;
    client.say("*", "501").await;
    client.say("AUTH LOGIN", "334 ").await;
    client.say(&base64("alice@main.example"), "334 ").await;
    client.say(&base64("secret"), "235").await;
    client.say("AUTH LOGIN", "503").await;
}

#[tokio::test]
async fn passwords_are_not_taken_in_clear() {
    let house = House::new().await;
    let mut client = house.connect(submission(), Some(tls().acceptor), false);
    client.expect("220").await;
    let hello = client.hello().await;
    assert!(!hello.contains("PLAIN") && !hello.contains("LOGIN"), "{hello}");
    assert!(hello.contains("SCRAM-SHA-256"), "{hello}");
    let right = base64("\0alice@main.example\0secret");
    client.say(&format!("AUTH PLAIN {right}"), "538 5.7.11").await;
}
