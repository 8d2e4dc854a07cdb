//! The keys of access tokens are fetched from running issuers by https (ABU-40): new keys, issuers
//! that are not there, answer endlessly, elsewhere, with something else, or are somebody else.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

mod house;

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use house::certificates::Authority;
use house::free_offset;
use house::{DOMAIN, House, Imap, PASSWORD};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;

/// What an issuer answers at a path.
#[derive(Clone)]
enum Page {
    Text(String),
    /// Sends the client elsewhere.
    Moved(String),
    /// An answer that does not end.
    Endless,
}

/// A web server with these pages, and how often each was asked for.
struct Issuer {
    port: u16,
    pages: Arc<Mutex<HashMap<String, Page>>>,
    asked: Arc<Mutex<HashMap<String, usize>>>,
}

impl Issuer {
    fn start(authority: &Authority) -> Self {
        let issued = authority.issue("localhost");
        let chain = vec![CertificateDer::from_pem_file(&issued.certificate).unwrap()];
        let key = PrivateKeyDer::from_pem_file(&issued.key).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (pages, asked) = (Arc::default(), Arc::default());
        let here = Self { port, pages: Arc::clone(&pages), asked: Arc::clone(&asked) };
        let config = Arc::new(config);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (config, pages, asked) = (config.clone(), pages.clone(), asked.clone());
                std::thread::spawn(move || drop(answer(stream, config, &pages, &asked)));
            }
        });
        here
    }

    fn put(&self, path: &str, page: Page) {
        self.pages.lock().unwrap().insert(path.to_owned(), page);
    }

    fn asked(&self, path: &str) -> usize {
        self.asked.lock().unwrap().get(path).copied().unwrap_or(0)
    }

    fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }
}

fn answer(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    pages: &Mutex<HashMap<String, Page>>,
    asked: &Mutex<HashMap<String, usize>>,
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
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    *asked.lock().unwrap().entry(path.clone()).or_default() += 1;
    let page = pages.lock().unwrap().get(&path).cloned();
    let out = stream.get_mut();
    match page {
        Some(Page::Text(text)) => write!(
            out,
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
            text.len()
        )?,
        Some(Page::Moved(place)) => {
            write!(out, "HTTP/1.1 302 Found\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n")?;
        }
        Some(Page::Endless) => {
            write!(out, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{{\"keys\":[")?;
            while out.write_all(&[b' '; 65536]).is_ok() {}
        }
        None => write!(out, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")?,
    }
    out.conn.send_close_notify();
    out.flush()
}

/// A key of an issuer with its name.
struct Key(&'static str, Ed25519KeyPair);

impl Key {
    fn new(name: &'static str) -> Self {
        Self(name, Ed25519KeyPair::generate().unwrap())
    }

    /// A token of the issuer that is named as the page its keys are on.
    fn token(&self, issuer: &str) -> String {
        let encode = |json: serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let claims = json!({
            "iss": format!("https://id.example{issuer}"), "aud": "mail", "exp": now + 600,
            "email": format!("joe@{DOMAIN}"),
        });
        let head = encode(json!({"alg": "EdDSA", "kid": self.0}));
        let signed = format!("{head}.{}", encode(claims));
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(self.1.sign(signed.as_bytes()).as_ref()))
    }
}

fn keys(all: &[&Key]) -> Page {
    let one = |key: &&Key| {
        let x = URL_SAFE_NO_PAD.encode(key.1.public_key().as_ref());
        json!({"kty": "OKP", "crv": "Ed25519", "kid": key.0, "x": x})
    };
    Page::Text(json!({"keys": all.iter().map(one).collect::<Vec<_>>()}).to_string())
}

/// Shows a token over IMAP; how the answer begins.
fn enter(house: &House, token: &str) -> String {
    let message = format!("user=joe@{DOMAIN}\u{1}auth=Bearer {token}\u{1}\u{1}");
    let mut imap = Imap::connect(house.port(143));
    imap.send(format!("a AUTHENTICATE XOAUTH2 {}\r\n", STANDARD.encode(message)).as_bytes());
    loop {
        let line = String::from_utf8_lossy(&imap.line()).into_owned();
        if line.starts_with("+ ") {
            imap.send(b"AQ==\r\n");
        } else if let Some(end) = line.strip_prefix("a ") {
            return end.to_owned();
        }
    }
}

fn server(authority: &Authority) -> House {
    let mut house = House::alone("127.0.0.1", DOMAIN);
    house.offset = free_offset();
    let trusted = authority.certificate().display().to_string();
    house.environment.push(("SSL_CERT_FILE".into(), trusted));
    house.start();
    let often = "FailedLoginFlow=(\"-1\",60);";
    let line = format!("CreateAccount joe@{DOMAIN} {{Password=\"{PASSWORD}\";{often}}}");
    assert_eq!(house.angarium(&["cli", &line]).0, 0);
    house
}

// ABU-40
#[test]
fn abu_40_keys_come_from_the_issuer_alone_and_new_ones_are_found() {
    let (authority, other) = (Authority::new(), Authority::new());
    let issuer = Issuer::start(&authority);
    let impostor = Issuer::start(&other);
    let nobody = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let (first, second) = (Key::new("first"), Key::new("second"));
    issuer.put("/good", keys(&[&first]));
    impostor.put("/impostor", keys(&[&first]));
    issuer.put("/moved", Page::Moved(issuer.url("/good")));
    issuer.put("/endless", Page::Endless);
    issuer.put("/words", Page::Text("<html>Sign in</html>".into()));
    issuer.put("/empty", Page::Text("{\"keys\":[]}".into()));
    let huge = format!("{{\"keys\":[],\"x\":\"{}\"}}", "x".repeat(300 * 1024));
    issuer.put("/huge", Page::Text(huge));
    let places = [
        ("/good", issuer.url("/good")),
        ("/impostor", impostor.url("/impostor")),
        ("/moved", issuer.url("/moved")),
        ("/endless", issuer.url("/endless")),
        ("/words", issuer.url("/words")),
        ("/empty", issuer.url("/empty")),
        ("/huge", issuer.url("/huge")),
        ("/missing", issuer.url("/missing")),
        ("/down", format!("https://localhost:{nobody}/down")),
    ];
    let house = server(&authority);
    let set = |places: &[(&str, String)]| {
        let one = |(name, url): &(&str, String)| {
            format!("{{Issuer=\"https://id.example{name}\";Audience=mail;Keys=\"{url}\";}}")
        };
        let all: Vec<String> = places.iter().map(one).collect();
        let line = format!("UpdateServerSettings {{TokenIssuers=({});}}", all.join(","));
        let (code, said) = house.angarium(&["cli", &line]);
        assert_eq!(code, 0, "{said}");
    };
    set(&places);
    let begun = Instant::now();
    assert!(enter(&house, &first.token("/good")).starts_with("OK"));
    // A key nobody has published, and asking for it once is enough for a while.
    for _ in 0..3 {
        let said = enter(&house, &second.token("/good"));
        assert!(said.starts_with("NO [AUTHENTICATIONFAILED]"), "{said}");
    }
    assert_eq!(issuer.asked("/good"), 1);
    // Where there are no keys the login is put off: the token may be good.
    for (name, _) in places.iter().skip(1).filter(|(name, _)| *name != "/empty") {
        let said = enter(&house, &first.token(name));
        assert!(said.starts_with("NO [UNAVAILABLE]"), "{name}: {said}");
    }
    let said = enter(&house, &first.token("/empty"));
    assert!(said.starts_with("NO [AUTHENTICATIONFAILED]"), "{said}");
    assert_eq!(issuer.asked("/moved"), 1);
    assert_eq!(issuer.asked("/good"), 1, "nobody is followed elsewhere");
    assert_eq!(impostor.asked("/impostor"), 0, "its certificate is nobody's we trust");
    // The issuer takes another key: its tokens get in when the server may ask again.
    issuer.put("/good", keys(&[&second]));
    let end = begun + Duration::from_secs(120);
    while !enter(&house, &second.token("/good")).starts_with("OK") {
        assert!(Instant::now() < end, "the new key is not found");
        std::thread::sleep(Duration::from_secs(1));
    }
    assert!(enter(&house, &first.token("/good")).starts_with("NO [AUTHENTICATIONFAILED]"));
    // Gone, its keys are good for a while; the others are served all along.
    issuer.pages.lock().unwrap().clear();
    assert!(enter(&house, &second.token("/good")).starts_with("OK"));
    Imap::login(house.port(143), &format!("joe@{DOMAIN}"), PASSWORD).ok("NOOP");
}
