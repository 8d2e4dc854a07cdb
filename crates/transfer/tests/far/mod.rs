//! The world outside a house: a small name server and mail servers that do as a script says, on
//! loopback sockets.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use angarium_accounts::{Dictionary, Value};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio_rustls::TlsAcceptor;

/// A name server with a few records. What it does not know does not exist.
pub struct Names {
    pub at: SocketAddr,
    records: Arc<Mutex<HashMap<(String, u16), Vec<Vec<u8>>>>>,
    broken: Arc<Mutex<Vec<String>>>,
}

fn labels(name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for label in name.split('.').filter(|l| !l.is_empty()) {
        out.push(u8::try_from(label.len()).unwrap());
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    out
}

impl Names {
    pub async fn new() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let names = Self {
            at: socket.local_addr().unwrap(),
            records: Arc::default(),
            broken: Arc::default(),
        };
        let (records, broken) = (names.records.clone(), names.broken.clone());
        tokio::spawn(async move {
            let mut question = [0; 2048];
            while let Ok((n, peer)) = socket.recv_from(&mut question).await {
                let answer = answer(&question[..n], &records, &broken);
                let _ = socket.send_to(&answer, peer).await;
            }
        });
        names
    }

    fn add(&self, name: &str, kind: u16, data: Vec<u8>) {
        let mut records = self.records.lock().unwrap();
        records.entry((name.to_owned(), kind)).or_default().push(data);
    }

    pub fn a(&self, name: &str, ip: &str) {
        let ip: Ipv4Addr = ip.parse().unwrap();
        self.add(name, 1, ip.octets().to_vec());
    }

    pub fn mx(&self, name: &str, preference: u16, host: &str) {
        let mut data = preference.to_be_bytes().to_vec();
        data.extend(labels(host));
        self.add(name, 15, data);
    }

    pub fn txt(&self, name: &str, text: &str) {
        let mut data = vec![u8::try_from(text.len()).unwrap()];
        data.extend_from_slice(text.as_bytes());
        self.add(name, 16, data);
    }

    /// This name is answered with SERVFAIL from now on.
    pub fn break_name(&self, name: &str) {
        self.broken.lock().unwrap().push(name.to_owned());
    }

    /// `far.example` with one host `mx.far.example` on this machine.
    pub async fn with_far() -> Self {
        let names = Self::new().await;
        names.mx("far.example", 10, "mx.far.example");
        names.a("mx.far.example", "127.0.0.1");
        names
    }

    /// Settings that send by these names.
    pub fn settings(&self) -> Dictionary {
        Dictionary::from([
            ("DNSServers".to_owned(), Value::from(self.at.to_string().as_str())),
            ("AllowPrivateTargets".to_owned(), Value::from("YES")),
            ("IdleChannel".to_owned(), Value::from("1s")),
        ])
    }
}

fn answer(
    question: &[u8],
    records: &Mutex<HashMap<(String, u16), Vec<Vec<u8>>>>,
    broken: &Mutex<Vec<String>>,
) -> Vec<u8> {
    let mut at = 12;
    let mut name = Vec::new();
    while question[at] != 0 {
        let length = usize::from(question[at]);
        let label = String::from_utf8_lossy(&question[at + 1..=at + length]).into_owned();
        name.push(label.to_ascii_lowercase());
        at += length + 1;
    }
    let name = name.join(".");
    let kind = u16::from_be_bytes([question[at + 1], question[at + 2]]);
    let asked = &question[12..at + 5];
    let records = records.lock().unwrap();
    let found = records.get(&(name.clone(), kind)).cloned().unwrap_or_default();
    let exists = records.keys().any(|(n, _)| *n == name || n.ends_with(&format!(".{name}")));
    let code = if broken.lock().unwrap().contains(&name) {
        2
    } else if exists {
        0
    } else {
        3
    };
    let found = if code == 0 { found } else { Vec::new() };
    let mut out = question[..2].to_vec();
    out.extend_from_slice(&[0x85, 0x80 | code, 0, 1]);
    out.extend_from_slice(&u16::try_from(found.len()).unwrap().to_be_bytes());
    out.extend_from_slice(&[0, 0, 0, 0]);
    out.extend_from_slice(asked);
    for data in found {
        out.extend_from_slice(&[0xc0, 12]);
        out.extend_from_slice(&kind.to_be_bytes());
        out.extend_from_slice(&[0, 1, 0, 0, 0, 60]);
        out.extend_from_slice(&u16::try_from(data.len()).unwrap().to_be_bytes());
        out.extend_from_slice(&data);
    }
    out
}

/// A message a server got.
#[derive(Clone, Debug, Default)]
pub struct Mail {
    pub from: String,
    pub to: Vec<String>,
    pub data: Vec<u8>,
    pub tls: bool,
}

impl Mail {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.data).into_owned()
    }
}

/// What a server does. An answer `DROP` closes the connection, `STALL` says nothing more.
#[derive(Clone, Default)]
pub struct Script {
    /// Extensions after EHLO.
    pub able: Vec<&'static str>,
    /// Answers by the beginning of a command (`.` for the end of data, `220` for the greeting),
    /// used up one after the other; afterwards all is taken.
    pub answers: Vec<(&'static str, &'static str)>,
    pub tls: Option<TlsAcceptor>,
    /// TLS from the first byte.
    pub wrapped: bool,
    pub lmtp: bool,
    /// STARTTLS is answered well, and then there is no TLS.
    pub garbled: bool,
}

/// A mail server outside.
#[derive(Clone)]
pub struct Far {
    pub port: u16,
    script: Arc<Mutex<Script>>,
    pub said: Arc<Mutex<Vec<String>>>,
    pub mail: Arc<Mutex<Vec<Mail>>>,
    pub connections: Arc<AtomicUsize>,
}

impl Far {
    pub async fn new(script: Script) -> Self {
        Self::at("127.0.0.1:0", script).await
    }

    pub async fn at(place: &str, script: Script) -> Self {
        let listener = TcpListener::bind(place).await.unwrap();
        let far = Self {
            port: listener.local_addr().unwrap().port(),
            script: Arc::new(Mutex::new(script)),
            said: Arc::default(),
            mail: Arc::default(),
            connections: Arc::default(),
        };
        let server = far.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                server.connections.fetch_add(1, Ordering::SeqCst);
                let server = server.clone();
                tokio::spawn(async move { server.serve(stream).await });
            }
        });
        far
    }

    fn answer(&self, command: &str, usual: &str) -> String {
        let mut script = self.script.lock().unwrap();
        let at = script.answers.iter().position(|(start, _)| command.starts_with(start));
        at.map_or_else(|| usual.to_owned(), |at| script.answers.remove(at).1.to_owned())
    }

    async fn serve(&self, stream: TcpStream) {
        let script = self.script.lock().unwrap().clone();
        if script.wrapped {
            let Ok(stream) = script.tls.unwrap().accept(stream).await else { return };
            let mut stream = BufReader::new(stream);
            self.talk(&mut stream, true, true).await;
            return;
        }
        let mut stream = BufReader::new(stream);
        if self.talk(&mut stream, false, true).await {
            if script.garbled {
                let _ = stream.write_all(b"this is no TLS\r\n").await;
                return;
            }
            let Ok(stream) = script.tls.unwrap().accept(stream.into_inner()).await else { return };
            let mut stream = BufReader::new(stream);
            self.talk(&mut stream, true, false).await;
        }
    }

    /// True when TLS is to begin.
    async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut BufReader<S>,
        tls: bool,
        greet: bool,
    ) -> bool {
        let script = self.script.lock().unwrap().clone();
        if greet && !say(stream, &self.answer("220", "220 far.example ready")).await {
            return false;
        }
        let mut mail = Mail { tls, ..Mail::default() };
        let mut line = String::new();
        loop {
            line.clear();
            if !matches!(stream.read_line(&mut line).await, Ok(n) if n > 0) {
                return false;
            }
            let command = line.trim_end().to_owned();
            self.said.lock().unwrap().push(command.clone());
            let verb = command.split(' ').next().unwrap_or_default().to_owned();
            let address = || {
                let (_, rest) = command.split_once('<').unwrap_or_default();
                rest.split('>').next().unwrap_or_default().to_owned()
            };
            let mut usual = "250 ok".to_owned();
            match verb.as_str() {
                "EHLO" | "LHLO" => {
                    let mut able = script.able.clone();
                    if script.tls.is_some() && !tls {
                        able.push("STARTTLS");
                    }
                    usual = "250-far.example".to_owned();
                    for word in able {
                        usual.push_str(&format!("\r\n250-{word}"));
                    }
                    usual.push_str("\r\n250 HELP");
                }
                "STARTTLS" => {
                    return say(stream, &self.answer("STARTTLS", "220 go")).await;
                }
                "AUTH" => usual = "235 welcome".to_owned(),
                "MAIL" => mail = Mail { from: address(), tls, ..Mail::default() },
                "QUIT" => {
                    say(stream, "221 bye").await;
                    return false;
                }
                "RCPT" => {
                    let reply = self.answer(&command, "250 ok");
                    if reply.starts_with('2') {
                        mail.to.push(address());
                    }
                    if !say(stream, &reply).await {
                        return false;
                    }
                    continue;
                }
                "BDAT" => {
                    let mut words = command.split(' ').skip(1);
                    let size: usize = words.next().unwrap().parse().unwrap();
                    let mut chunk = vec![0; size];
                    stream.read_exact(&mut chunk).await.unwrap();
                    mail.data.extend_from_slice(&chunk);
                    if words.next() == Some("LAST") && !self.end(stream, &mut mail).await {
                        return false;
                    }
                    if !command.ends_with("LAST") && !say(stream, "250 more").await {
                        return false;
                    }
                    continue;
                }
                "DATA" => {
                    let reply = self.answer("DATA", "354 go");
                    if !say(stream, &reply).await {
                        return false;
                    }
                    if !reply.starts_with("354") {
                        continue;
                    }
                    loop {
                        let mut bytes = Vec::new();
                        if !matches!(stream.read_until(b'\n', &mut bytes).await, Ok(n) if n > 0) {
                            return false;
                        }
                        if bytes == b".\r\n" {
                            break;
                        }
                        let bytes = bytes.strip_prefix(b".").unwrap_or(&bytes);
                        mail.data.extend_from_slice(bytes);
                    }
                    if !self.end(stream, &mut mail).await {
                        return false;
                    }
                    continue;
                }
                _ => {}
            }
            let reply = self.answer(&command, &usual);
            if !say(stream, &reply).await {
                return false;
            }
        }
    }

    /// The end of a message: one answer, or one for each recipient.
    async fn end<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut BufReader<S>,
        mail: &mut Mail,
    ) -> bool {
        let lmtp = self.script.lock().unwrap().lmtp;
        let count = if lmtp { mail.to.len() } else { 1 };
        let mail = std::mem::take(mail);
        let mut kept = false;
        for _ in 0..count {
            let reply = self.answer(".", "250 2.0.0 taken");
            // What is dropped here was kept: the worst case.
            if (reply.starts_with('2') || reply == "DROP") && !kept {
                self.mail.lock().unwrap().push(mail.clone());
                kept = true;
            }
            if !say(stream, &reply).await {
                return false;
            }
        }
        true
    }

    /// The next command that begins so is answered by closing.
    pub fn drop_next(&self, start: &'static str) {
        self.script.lock().unwrap().answers.push((start, "DROP"));
    }

    pub fn got(&self) -> Vec<Mail> {
        self.mail.lock().unwrap().clone()
    }

    pub fn commands(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }

    /// Waits until so many messages are here.
    pub async fn has(&self, count: usize) -> Vec<Mail> {
        for _ in 0..1500 {
            let got = self.got();
            if got.len() >= count {
                return got;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{count} messages wanted, got {:?}; heard {:?}", self.got(), self.commands());
    }
}

async fn say<S: AsyncWrite + Unpin>(stream: &mut S, reply: &str) -> bool {
    match reply {
        "DROP" => {
            let _ = stream.shutdown().await;
            false
        }
        "STALL" => {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            false
        }
        reply => stream.write_all(format!("{reply}\r\n").as_bytes()).await.is_ok(),
    }
}

/// A certificate authority of a test and a server's certificate by it.
pub struct Authority {
    issuer: rcgen::CertifiedIssuer<'static, rcgen::KeyPair>,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        Self { issuer: rcgen::CertifiedIssuer::self_signed(params, key).unwrap() }
    }

    pub fn root(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }

    pub fn acceptor(&self, name: &str) -> TlsAcceptor {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone(), self.root()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}
