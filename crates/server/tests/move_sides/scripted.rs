//! An IMAP server of three messages that plays one trick.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;

/// What is wrong with a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trick {
    /// Nothing.
    Honest,
    /// A greeting whose line never ends.
    EndlessGreeting,
    /// It is no IMAP server.
    NotImap,
    /// BYE instead of a greeting, with terminal sequences.
    TurnsAway,
    /// Untagged lines without end after LOGIN.
    FloodAtLogin,
    /// Mailboxes without end.
    EndlessList,
    /// A mailbox name of a terabyte.
    HugeListLiteral,
    /// A body that ends before its announced length, with the connection.
    ShortLiteral,
    /// BYE after the first message.
    ByeInMiddle,
    /// Untagged lines without end instead of bodies.
    FloodAtFetch,
    /// RFC822.SIZE is wrong by a little.
    WrongSizes,
    /// RFC822.SIZE beyond all numbers.
    AbsurdSizes,
    /// Bodies come in the wrong order.
    WrongOrder,
    /// UIDVALIDITY is another at each SELECT.
    ChangingValidity,
    /// Bodies nobody asked for come before the others.
    UnaskedBodies,
    /// All messages have one UID.
    DuplicateUids,
    /// A thousand million messages announced.
    Billion,
    /// Mailbox names made to lead elsewhere.
    Names,
    /// Greets as logged in.
    Preauth,
    /// Says something between the answer to STARTTLS and the handshake.
    InjectedAfterStartTls,
    /// Announces STARTTLS and refuses it.
    RefusesStartTls,
    /// Announces mechanisms it does not have; only LOGIN works.
    LyingCapabilities,
    /// Takes XOAUTH2 tokens alone, and only the second one it is shown.
    SecondToken,
}

/// A running server.
pub(crate) struct Scripted {
    port: u16,
    heard: Arc<Mutex<Vec<u8>>>,
}

const MOST_HEARD: usize = 1 << 20;

impl Scripted {
    /// Starts it; it serves until the test's process ends.
    pub(crate) fn start(trick: Trick) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let validity = Arc::new(AtomicU32::new(1));
        let ears = heard.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let (ears, validity) = (ears.clone(), validity.clone());
                std::thread::spawn(move || {
                    let mut one = Connection::new(stream, trick, ears, validity);
                    // A client that goes away is no fault of the test.
                    let _ = one.serve();
                });
            }
        });
        Self { port, heard }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// All clients said.
    pub(crate) fn heard(&self) -> String {
        String::from_utf8_lossy(&self.heard.lock().unwrap()).into_owned()
    }
}

struct Connection {
    read: BufReader<TcpStream>,
    write: TcpStream,
    trick: Trick,
    heard: Arc<Mutex<Vec<u8>>>,
    validity: Arc<AtomicU32>,
    selected: String,
}

/// One message: its UID and octets.
fn messages() -> Vec<(u32, String)> {
    let letter = |n: u32| {
        format!(
            "From: a@old.example\r\nSubject: m{n}\r\nMessage-ID: <{n}@old.example>\r\n\r\nbody {n}\r\n"
        )
    };
    (1..=3).map(|n| (n * 10, letter(n))).collect()
}

/// Names of ABU-21 and their like, as they go over the wire.
fn names() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = [
        "../../escaped",
        "..",
        "../other/INBOX",
        "~other/INBOX",
        "~other@house.example/INBOX",
        "/etc/passwd",
        "//",
        "a//b",
        "CON",
        "trailing ",
        "x.mbox",
        "x-mbox",
        "&bad-utf7",
        "&AAA-",
        "a\x1b[31mred",
        "%",
        "*",
        "#shared/x",
        "INBOX/../../x",
    ]
    .iter()
    .map(|n| n.as_bytes().to_vec())
    .collect();
    all.push(b"nul\0nul".to_vec());
    all.push(b"cr\rlf\nx".to_vec());
    all.push(vec![b'n'; 64 * 1024]);
    all.push(vec![0xff, 0xfe]);
    all.push("x/".repeat(500).into_bytes());
    all
}

impl Connection {
    fn new(
        stream: TcpStream,
        trick: Trick,
        heard: Arc<Mutex<Vec<u8>>>,
        validity: Arc<AtomicU32>,
    ) -> Self {
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(60))).unwrap();
        let read = BufReader::new(stream.try_clone().unwrap());
        Self { read, write: stream, trick, heard, validity, selected: String::new() }
    }

    fn say(&mut self, line: &str) -> std::io::Result<()> {
        self.write.write_all(format!("{line}\r\n").as_bytes())
    }

    fn forever(&mut self, piece: &str) -> std::io::Result<()> {
        let much = piece.repeat(64 * 1024 / piece.len() + 1);
        loop {
            self.write.write_all(much.as_bytes())?;
        }
    }

    fn line(&mut self) -> std::io::Result<String> {
        let mut line = Vec::new();
        loop {
            if self.read.read_until(b'\n', &mut line)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            let text = String::from_utf8_lossy(&line).into_owned();
            let literal = text.trim_end().strip_suffix('}').and_then(|t| t.rsplit_once('{'));
            let Some((_, digits)) = literal else { break };
            let waits = !digits.ends_with('+');
            let Ok(size) = digits.trim_end_matches('+').parse::<usize>() else { break };
            if waits {
                self.say("+ go on")?;
            }
            let mut data = vec![0; size];
            self.read.read_exact(&mut data)?;
            line.extend(data);
        }
        let mut heard = self.heard.lock().unwrap();
        if heard.len() < MOST_HEARD {
            heard.extend_from_slice(&line);
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    fn capabilities(&self) -> &'static str {
        match self.trick {
            Trick::InjectedAfterStartTls | Trick::RefusesStartTls => "IMAP4rev1 STARTTLS",
            Trick::LyingCapabilities => {
                "IMAP4rev1 SASL-IR AUTH=SCRAM-SHA-256 AUTH=CRAM-MD5 AUTH=PLAIN"
            }
            Trick::SecondToken => "IMAP4rev1 LOGINDISABLED AUTH=XOAUTH2",
            Trick::AbsurdSizes => "IMAP4rev1 STATUS=SIZE",
            _ => "IMAP4rev1",
        }
    }

    fn serve(&mut self) -> std::io::Result<()> {
        match self.trick {
            Trick::EndlessGreeting => {
                self.write.write_all(b"* OK ")?;
                return self.forever("hello ");
            }
            Trick::NotImap => return self.say("220 mail.example ESMTP"),
            Trick::TurnsAway => {
                return self.say("* BYE \x1b[31mtoo many connections from you\x07");
            }
            Trick::Preauth => self.say("* PREAUTH welcome back")?,
            _ => self.say("* OK ready")?,
        }
        loop {
            let line = self.line()?;
            let mut words = line.split(' ');
            let tag = words.next().unwrap_or_default().to_owned();
            let verb = words.next().unwrap_or_default().to_ascii_uppercase();
            let rest = words.collect::<Vec<_>>().join(" ");
            match verb.as_str() {
                "LOGOUT" => return self.say(&format!("* BYE bye\r\n{tag} OK bye")),
                _ => self.answer(&tag, &verb, &rest)?,
            }
        }
    }

    fn answer(&mut self, tag: &str, verb: &str, rest: &str) -> std::io::Result<()> {
        match verb {
            "CAPABILITY" => {
                let words = self.capabilities();
                self.say(&format!("* CAPABILITY {words}"))?;
            }
            "STARTTLS" => return self.start_tls(tag),
            "LOGIN" => {
                if self.trick == Trick::FloodAtLogin {
                    return self.forever("* OK a word from our sponsor\r\n");
                }
            }
            "AUTHENTICATE" => return self.authenticate(tag, rest),
            "LIST" | "LSUB" => self.list(verb, rest)?,
            "STATUS" => {
                let name = rest.split(" (").next().unwrap_or_default();
                let (count, octets) = match self.trick {
                    Trick::Billion => (1_000_000_000, u64::MAX),
                    Trick::AbsurdSizes => (u64::MAX, u64::MAX),
                    _ => (3, 300),
                };
                let validity = self.validity();
                self.say(&format!(
                    "* STATUS {name} (MESSAGES {count} UIDNEXT 40 UIDVALIDITY {validity} SIZE {octets})"
                ))?;
            }
            "SELECT" | "EXAMINE" => {
                self.selected = rest.to_owned();
                let count = match self.trick {
                    Trick::Billion => 1_000_000_000,
                    Trick::Names if !rest.contains("INBOX\"") => 0,
                    _ => 3,
                };
                let validity = self.validity();
                self.say("* FLAGS (\\Seen)")?;
                self.say(&format!("* {count} EXISTS\r\n* 0 RECENT"))?;
                self.say(&format!("* OK [UIDVALIDITY {validity}] new\r\n* OK [UIDNEXT 40] next"))?;
            }
            "FETCH" => self.fetch(rest, false)?,
            "UID" => {
                let (verb, rest) = rest.split_once(' ').unwrap_or((rest, ""));
                if verb.eq_ignore_ascii_case("FETCH") {
                    self.fetch(rest, true)?;
                } else {
                    return self.say(&format!("{tag} BAD not known"));
                }
            }
            "NOOP" | "CLOSE" | "UNSELECT" | "CHECK" => {}
            _ => return self.say(&format!("{tag} BAD not known")),
        }
        self.say(&format!("{tag} OK done"))
    }

    fn validity(&self) -> u32 {
        if self.trick == Trick::ChangingValidity {
            self.validity.fetch_add(1, Ordering::Relaxed)
        } else {
            7
        }
    }

    fn start_tls(&mut self, tag: &str) -> std::io::Result<()> {
        if self.trick == Trick::InjectedAfterStartTls {
            let both = format!("{tag} OK begin\r\n* CAPABILITY IMAP4rev1\r\nB0 OK done\r\n");
            self.write.write_all(both.as_bytes())?;
            std::thread::sleep(Duration::from_secs(1));
            return Ok(());
        }
        self.say(&format!("{tag} BAD no TLS here"))
    }

    fn authenticate(&mut self, tag: &str, rest: &str) -> std::io::Result<()> {
        if self.trick != Trick::SecondToken {
            return self.say(&format!("{tag} NO Unsupported authentication mechanism"));
        }
        if rest != "XOAUTH2" {
            return self.say(&format!("{tag} NO [CANNOT] only tokens"));
        }
        self.say("+ ")?;
        let words = self.line()?;
        let words = base64::engine::general_purpose::STANDARD.decode(words).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).into_owned();
        if words == "user=joe\x01auth=Bearer token-2\x01\x01" {
            return self.say(&format!("{tag} OK welcome"));
        }
        let why =
            base64::engine::general_purpose::STANDARD.encode("{\"status\":\"invalid_token\"}");
        self.say(&format!("+ {why}"))?;
        self.line()?;
        self.say(&format!("{tag} NO [AUTHENTICATIONFAILED] no"))
    }

    fn list(&mut self, verb: &str, rest: &str) -> std::io::Result<()> {
        if rest.ends_with("\"\"") {
            return self.say(&format!("* {verb} (\\Noselect) \"/\" \"\""));
        }
        match self.trick {
            Trick::EndlessList => {
                let mut n = 0_u64;
                loop {
                    let mut much = String::new();
                    for _ in 0..2000 {
                        n += 1;
                        much.push_str(&format!("* {verb} () \"/\" \"mailbox {n}\"\r\n"));
                    }
                    self.write.write_all(much.as_bytes())?;
                }
            }
            Trick::HugeListLiteral => {
                self.say(&format!("* {verb} () \"/\" {{999999999999}}"))?;
                self.forever("name")
            }
            Trick::Names => {
                for name in names() {
                    let head = format!("* {verb} () \"/\" {{{}}}\r\n", name.len());
                    self.write.write_all(&[head.as_bytes(), &name, b"\r\n"].concat())?;
                }
                self.say(&format!("* {verb} () \"/\" \"INBOX\""))
            }
            Trick::AbsurdSizes => {
                self.say(&format!("* {verb} () \"/\" \"INBOX\""))?;
                self.say(&format!("* {verb} () \"/\" \"Second\""))
            }
            _ => self.say(&format!("* {verb} () \"/\" \"INBOX\"")),
        }
    }

    fn fetch(&mut self, rest: &str, by_uid: bool) -> std::io::Result<()> {
        let (set, items) = rest.split_once(' ').unwrap_or((rest, ""));
        let wanted = |n: u32| {
            set.split(',').any(|part| {
                let (low, high) = part.split_once(':').unwrap_or((part, part));
                let number = |t: &str| if t == "*" { u32::MAX } else { t.parse().unwrap_or(0) };
                (number(low)..=number(high)).contains(&n)
            })
        };
        let upper = items.to_ascii_uppercase();
        let bodies = upper.contains("BODY") || upper.contains("RFC822.PEEK");
        let mut all: Vec<(u32, u32, String)> = messages()
            .into_iter()
            .enumerate()
            .map(|(n, (uid, text))| (u32::try_from(n).unwrap() + 1, uid, text))
            .collect();
        if self.trick == Trick::DuplicateUids {
            all.iter_mut().for_each(|(_, uid, _)| *uid = 10);
        }
        if self.trick == Trick::WrongOrder {
            all.reverse();
        }
        if bodies && self.trick == Trick::FloodAtFetch {
            return self.forever("* OK still looking for it\r\n");
        }
        let header_only = upper.contains("HEADER");
        for (seq, uid, text) in all {
            if !wanted(if by_uid { uid } else { seq }) {
                continue;
            }
            let told = match self.trick {
                Trick::WrongSizes => "17".to_owned(),
                Trick::AbsurdSizes => "18446744073709551615".to_owned(),
                _ => text.len().to_string(),
            };
            let listed = format!(
                "UID {uid} FLAGS (\\Seen \\Recent) INTERNALDATE \"01-Jan-2020 00:00:0{seq} +0000\" \
                 RFC822.SIZE {told}"
            );
            if !bodies {
                self.say(&format!("* {seq} FETCH ({listed})"))?;
                continue;
            }
            if self.trick == Trick::UnaskedBodies {
                self.say("* 9 FETCH (UID 99 BODY[] {7}\r\nunasked)")?;
            }
            if header_only {
                let head = text.split("\r\n\r\n").next().unwrap_or_default();
                let name = items.trim_matches(['(', ')']).replace(".PEEK", "");
                let name = name.split("BODY").nth(1).unwrap_or("[HEADER]");
                self.say(&format!(
                    "* {seq} FETCH ({listed} BODY{name} {{{}}}\r\n{head}\r\n\r\n)",
                    head.len() + 4
                ))?;
                continue;
            }
            if self.trick == Trick::ShortLiteral {
                let size = text.len() + 1000;
                self.say(&format!("* {seq} FETCH (UID {uid} BODY[] {{{size}}}\r\n{text}"))?;
                return Err(std::io::ErrorKind::BrokenPipe.into());
            }
            let size = text.len();
            self.say(&format!("* {seq} FETCH (UID {uid} BODY[] {{{size}}}\r\n{text})"))?;
            if self.trick == Trick::ByeInMiddle {
                self.say("* BYE shutting down")?;
                return Err(std::io::ErrorKind::BrokenPipe.into());
            }
        }
        Ok(())
    }
}
