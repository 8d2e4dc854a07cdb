//! HTTP connections over a byte stream: their bounds, and that each request stands for whoever
//! sends it.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use angarium_access::cli::{Cli, ServerControl, SessionEnder};
use angarium_access::connection::ConnectionInfo;
use angarium_access::sessions::SessionTable;
use angarium_accounts::options::Hashing;
use angarium_accounts::{Accounts, Options, Secret};
use angarium_web::{WebContext, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

struct NoServer;

impl ServerControl for NoServer {
    fn shut_down(&self) {}
    fn refresh(&self) {}
}

/// postmaster:secret of main.dom.
const MASTER: &str = "Authorization: Basic cG9zdG1hc3RlcjpzZWNyZXQ=\r\n";

async fn context(sessions: &SessionTable) -> Arc<WebContext> {
    let options = Options { hashing: Hashing::weak_for_tests(), ..Options::default() };
    let accounts = Accounts::new(angarium_store::memory::open(), options);
    accounts.first_start("main.dom", Secret::from("secret")).await.unwrap();
    let cli = Cli::new(accounts, SessionEnder::default(), Arc::new(NoServer), "1.0");
    Arc::new(WebContext {
        cli,
        host: "mail.main.dom".to_owned(),
        clear_text: false,
        sessions: sessions.clone(),
    })
}

fn connect(context: &Arc<WebContext>, peer: &str, tls: bool) -> DuplexStream {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let peer: SocketAddr = peer.parse().unwrap();
    let local = SocketAddr::from(([192, 0, 2, 1], 9010));
    let info = ConnectionInfo { session: 1, peer, local, tls };
    tokio::spawn(serve(far, info, Arc::clone(context)));
    near
}

async fn all(mut stream: DuplexStream) -> String {
    let mut text = Vec::new();
    stream.read_to_end(&mut text).await.unwrap();
    String::from_utf8_lossy(&text).into_owned()
}

fn post(fields: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST /CLI/ HTTP/1.1\r\nHost: mail.main.dom\r\nContent-Type: text/plain\r\n\
         Content-Length: {length}\r\n{fields}\r\n{body}"
    )
}

#[tokio::test]
async fn each_request_of_a_connection_stands_for_whoever_sends_it() {
    let context = context(&SessionTable::default()).await;
    let mut stream = connect(&context, "198.51.100.7:9", true);
    let close = format!("{MASTER}Connection: close\r\n");
    let lines = [post(MASTER, "MainDomainName"), post("", "NOOP"), post(&close, "ListDomains")];
    stream.write_all(lines.concat().as_bytes()).await.unwrap();
    let text = all(stream).await;
    let told: Vec<&str> = text.lines().filter(|line| line.starts_with("HTTP/1.1 ")).collect();
    assert_eq!(told, ["HTTP/1.1 200 OK", "HTTP/1.1 401 Unauthorized", "HTTP/1.1 200 OK"]);
    assert!(text.contains("\r\n201 main.dom\r\n") && text.contains("\r\n201 (main.dom)\r\n"));
    assert!(text.contains("www-authenticate: Basic realm=\"mail.main.dom\", charset=\"UTF-8\""));
}

// PWD-23
#[tokio::test]
async fn no_password_is_taken_nor_asked_for_in_clear_from_elsewhere() {
    let context = context(&SessionTable::default()).await;
    for fields in ["", MASTER] {
        let mut stream = connect(&context, "198.51.100.7:9", false);
        let fields = format!("{fields}Connection: close\r\n");
        stream.write_all(post(&fields, "NOOP").as_bytes()).await.unwrap();
        let text = all(stream).await;
        assert!(text.starts_with("HTTP/1.1 403 Forbidden"), "{text}");
        assert!(!text.contains("www-authenticate"), "{text}");
    }
}

#[tokio::test]
async fn what_is_no_request_is_answered_and_closed() {
    let context = context(&SessionTable::default()).await;
    let long = format!("POST /CLI/ HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    let many = format!("POST /CLI/ HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(200));
    for (sent, answer) in [
        ("EHLO client.example\r\n\r\n", "HTTP/1.1 400"),
        ("POST /CLI/ HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", "HTTP/1.1 400"),
        (long.as_str(), "HTTP/1.1 431"),
        (many.as_str(), "HTTP/1.1 431"),
    ] {
        let mut stream = connect(&context, "127.0.0.1:9", false);
        let _ = stream.write_all(sent.as_bytes()).await;
        let text = all(stream).await;
        assert!(text.starts_with(answer), "{sent:.60}: {text}");
    }
    // Two commands are not one.
    let mut stream = connect(&context, "127.0.0.1:9", false);
    let close = format!("{MASTER}Connection: close\r\n");
    stream.write_all(post(&close, "NOOP\r\nNOOP").as_bytes()).await.unwrap();
    assert!(all(stream).await.starts_with("HTTP/1.1 400"));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_silent_is_not_waited_for() {
    let sessions = SessionTable::default();
    let context = context(&sessions).await;
    let half = post(MASTER, "NOOP");
    let half = half.strip_suffix("OP").unwrap();
    for (sent, answer) in [("", ""), ("POST /CLI/ HT", ""), (half, "HTTP/1.1 408 Request Timeout")]
    {
        let mut stream = connect(&context, "127.0.0.1:9", false);
        stream.write_all(sent.as_bytes()).await.unwrap();
        let text = tokio::time::timeout(Duration::from_secs(200), all(stream)).await.unwrap();
        assert!(text.starts_with(answer), "{text}");
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(sessions.count(), 0);
}
