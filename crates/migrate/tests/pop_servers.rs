//! MovePOPMail against scripted servers: old ones without extensions, ones that break off, that
//! refuse, that lie; and what a second run then does.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use angarium_migrate::endpoint::Endpoint;
use angarium_migrate::error::MoveError;
use angarium_migrate::login::Credentials;
use angarium_migrate::pop::{PopMove, PopReport, Recipient, Way};
use angarium_migrate::progress::{LiveCounts, Show};
use angarium_smtp::address::Mailbox;

/// A unique id and the octets of a message.
type Held = (String, Vec<u8>);
/// Sender, recipient, octets.
type Letter = (String, String, Vec<u8>);

/// A POP server that does as it is told.
#[derive(Clone, Default)]
struct Pop {
    messages: Arc<Mutex<Vec<Held>>>,
    /// CAPA, UIDL and PIPELINING are known.
    modern: bool,
    /// The first session breaks off in the middle of this message.
    cut: Option<usize>,
    /// Sends this many octets of a message that it says has ten.
    lies: Option<usize>,
    sessions: Arc<Mutex<usize>>,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Pop {
    fn with(messages: &[&[u8]]) -> Self {
        let pop = Self { modern: true, ..Self::default() };
        for message in messages {
            pop.add(message);
        }
        pop
    }

    fn add(&self, message: &[u8]) {
        let mut all = self.messages.lock().unwrap();
        let uid = format!("uid-{}", all.len());
        all.push((uid, message.to_vec()));
    }

    fn start(&self) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let this = self.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let this = this.clone();
                let number = {
                    let mut sessions = this.sessions.lock().unwrap();
                    *sessions += 1;
                    *sessions
                };
                std::thread::spawn(move || this.serve(stream.unwrap(), number));
            }
        });
        port
    }

    fn serve(&self, mut out: TcpStream, session: usize) -> Option<()> {
        let mut lines = BufReader::new(out.try_clone().unwrap()).lines();
        out.write_all(b"+OK old\r\n").ok()?;
        let all = self.messages.lock().unwrap().clone();
        let mut deleted = Vec::new();
        loop {
            let line = lines.next()?.ok()?;
            self.heard.lock().unwrap().push(line.clone());
            let mut words = line.split(' ');
            let verb = words.next()?.to_owned();
            let number: usize = words.next().and_then(|w| w.parse().ok()).unwrap_or(0);
            let answer: Vec<u8> = match verb.as_str() {
                "CAPA" if self.modern => b"+OK\r\nUSER\r\nUIDL\r\nPIPELINING\r\n.\r\n".to_vec(),
                "UIDL" if self.modern => {
                    let ids = all.iter().enumerate().map(|(n, m)| format!("{} {}\r\n", n + 1, m.0));
                    format!("+OK\r\n{}.\r\n", ids.collect::<String>()).into_bytes()
                }
                "USER" => b"+OK\r\n".to_vec(),
                "PASS" if line == "PASS secret" => b"+OK\r\n".to_vec(),
                "PASS" => b"-ERR [AUTH] wrong\r\n".to_vec(),
                "LIST" => {
                    let size = |m: &(String, Vec<u8>)| {
                        if self.lies.is_some() { 10 } else { m.1.len() }
                    };
                    let sizes =
                        all.iter().enumerate().map(|(n, m)| format!("{} {}\r\n", n + 1, size(m)));
                    format!("+OK\r\n{}.\r\n", sizes.collect::<String>()).into_bytes()
                }
                "RETR" => {
                    let (_, message) = all.get(number - 1)?;
                    if let Some(length) = self.lies {
                        out.write_all(b"+OK\r\n").ok()?;
                        let _ = out.write_all(&vec![b'x'; length]);
                        b"\r\n.\r\n".to_vec()
                    } else if self.cut == Some(number) && session == 1 {
                        out.write_all(b"+OK\r\n").ok()?;
                        out.write_all(&message[..message.len() / 2]).ok()?;
                        return None;
                    } else {
                        let mut text = b"+OK\r\n".to_vec();
                        for line in message.split_inclusive(|b| *b == b'\n') {
                            text.extend_from_slice(if line.starts_with(b".") { b"." } else { b"" });
                            text.extend_from_slice(line);
                        }
                        text.extend_from_slice(b".\r\n");
                        text
                    }
                }
                "DELE" => {
                    deleted.push(all.get(number - 1)?.0.clone());
                    b"+OK\r\n".to_vec()
                }
                "QUIT" => {
                    self.messages.lock().unwrap().retain(|(uid, _)| !deleted.contains(uid));
                    let _ = out.write_all(b"+OK bye\r\n");
                    return None;
                }
                _ => b"-ERR what?\r\n".to_vec(),
            };
            out.write_all(&answer).ok()?;
        }
    }
}

/// A mail server that does as it is told.
#[derive(Clone, Default)]
struct Smtp {
    /// What EHLO announces.
    announces: &'static [&'static str],
    /// What is answered to a message that holds this text.
    refuses: Option<(&'static str, &'static str)>,
    /// Says 421 instead of taking the message after so many on a connection.
    tires_after: Option<usize>,
    taken: Arc<Mutex<Vec<Letter>>>,
    connections: Arc<Mutex<usize>>,
}

impl Smtp {
    fn start(&self) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let this = self.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                *this.connections.lock().unwrap() += 1;
                let this = this.clone();
                std::thread::spawn(move || this.serve(stream.unwrap()));
            }
        });
        port
    }

    fn serve(&self, mut out: TcpStream) -> Option<()> {
        let mut read = BufReader::new(out.try_clone().unwrap());
        out.write_all(b"220 new\r\n").ok()?;
        let (mut from, mut to, mut content) = (String::new(), String::new(), Vec::new());
        let mut taken = 0;
        loop {
            let mut line = String::new();
            if read.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.trim_end();
            let verb = line.split(' ').next()?.to_ascii_uppercase();
            let answer = match verb.as_str() {
                "EHLO" | "LHLO" => {
                    let mut text = String::new();
                    for word in self.announces {
                        text.push_str(&format!("250-{word}\r\n"));
                    }
                    text + "250 HELP"
                }
                "MAIL" if self.tires_after.is_some_and(|most| taken >= most) => {
                    out.write_all(b"421 enough for now\r\n").ok()?;
                    return None;
                }
                "MAIL" => {
                    from = line[10..].to_owned();
                    content.clear();
                    "250 ok".into()
                }
                "RCPT" => {
                    to = line[8..].to_owned();
                    "250 ok".into()
                }
                "DATA" => {
                    out.write_all(b"354 go\r\n").ok()?;
                    loop {
                        let mut line = Vec::new();
                        read.read_until(b'\n', &mut line).ok()?;
                        if line == b".\r\n" {
                            break;
                        }
                        content.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
                    }
                    self.end(&from, &to, &mut content, &mut taken)
                }
                "BDAT" => {
                    let mut words = line.split(' ').skip(1);
                    let size: usize = words.next()?.parse().ok()?;
                    let mut chunk = vec![0; size];
                    read.read_exact(&mut chunk).ok()?;
                    content.extend_from_slice(&chunk);
                    if words.next().is_some() {
                        self.end(&from, &to, &mut content, &mut taken)
                    } else {
                        "250 more".into()
                    }
                }
                "QUIT" => {
                    let _ = out.write_all(b"221 bye\r\n");
                    return None;
                }
                _ => "250 ok".into(),
            };
            out.write_all(format!("{answer}\r\n").as_bytes()).ok()?;
        }
    }

    fn end(&self, from: &str, to: &str, content: &mut Vec<u8>, taken: &mut usize) -> String {
        if let Some((text, answer)) = self.refuses
            && String::from_utf8_lossy(content).contains(text)
        {
            return answer.into();
        }
        *taken += 1;
        let letter = (from.to_owned(), to.to_owned(), std::mem::take(content));
        self.taken.lock().unwrap().push(letter);
        "250 taken".into()
    }

    fn letters(&self) -> Vec<Vec<u8>> {
        self.taken.lock().unwrap().iter().map(|(_, _, content)| content.clone()).collect()
    }
}

fn run(
    pop: u16,
    smtp: u16,
    journal: &Path,
    change: impl Fn(&mut PopMove),
) -> (PopReport, Option<MoveError>) {
    let endpoint = |port: u16| Endpoint::parse(&format!("127.0.0.1:{port}"), 1).unwrap();
    let mut mover = PopMove {
        source: endpoint(pop),
        login: Credentials::new("joe", "secret"),
        target: Recipient {
            endpoint: endpoint(smtp),
            way: Way::Smtp(Mailbox::parse("joe@new.example").unwrap()),
            login: None,
            hello: "mover.example".into(),
        },
        delete: false,
        timeout: Duration::from_secs(20),
        retries: 2,
        journal: Some(journal.to_owned()),
        show: Show::Quiet,
        counts: LiveCounts::default(),
    };
    change(&mut mover);
    let mut report = PopReport::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ended = runtime.block_on(mover.run(&mut report));
    (report, ended.err())
}

const PLAIN: &[u8] = b"Return-Path: <ann@far.example>\r\nSubject: one\r\n\r\n.dot\r\n..two\r\n";
const EIGHT: &[u8] = b"Subject: two\r\n\r\nGr\xfc\xdfe\r\n";
const BINARY: &[u8] = b"Subject: three\r\n\r\nnul\0 bare\rcr and bare\nlf\r\n";

#[test]
fn mig_01_what_the_old_server_gives_arrives_octet_by_octet_where_the_new_one_can() {
    let directory = tempfile::tempdir().unwrap();
    let journal = directory.path().join("journal");
    let pop = Pop::with(&[PLAIN, EIGHT, BINARY]);
    let all: &'static [&'static str] =
        &["PIPELINING", "8BITMIME", "CHUNKING", "BINARYMIME", "SIZE 1000000"];
    let smtp = Smtp { announces: all, ..Smtp::default() };
    let (report, ended) = run(pop.start(), smtp.start(), &journal, |_| {});
    assert!(ended.is_none(), "{ended:?}");
    assert_eq!((report.found, report.copied), (3, 3), "{report:?}");
    assert!(report.remarks.is_empty(), "{report:?}");
    assert_eq!(smtp.letters(), [PLAIN, EIGHT, BINARY]);
    let taken = smtp.taken.lock().unwrap();
    assert!(taken[0].0.starts_with("<ann@far.example> SIZE="), "{}", taken[0].0);
    assert!(
        taken[1].0.starts_with("<> ") && taken[1].0.contains("BODY=8BITMIME"),
        "{}",
        taken[1].0
    );
    assert!(taken[2].0.contains("BODY=BINARYMIME"), "{}", taken[2].0);
    assert!(taken.iter().all(|(_, to, _)| to == "<joe@new.example>"));
    assert_eq!(*smtp.connections.lock().unwrap(), 1, "one connection for all messages");
}

#[test]
fn mig_01_a_server_without_extensions_gets_what_it_can_take_and_changes_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let journal = directory.path().join("journal");
    let pop = Pop::with(&[PLAIN, BINARY]);
    let smtp = Smtp::default();
    let (report, ended) = run(pop.start(), smtp.start(), &journal, |_| {});
    assert!(ended.is_none(), "{ended:?}");
    assert_eq!(report.copied, 2);
    assert_eq!(smtp.letters()[0], PLAIN);
    assert_eq!(report.remarks.len(), 1, "{report:?}");
    assert!(report.remarks[0].contains("NUL") && report.remarks[0].contains("three"), "{report:?}");
}

#[test]
fn mig_01_a_second_run_copies_only_what_is_new() {
    let directory = tempfile::tempdir().unwrap();
    for modern in [true, false] {
        let journal = directory.path().join(format!("journal-{modern}"));
        let pop = Pop { modern, ..Pop::with(&[PLAIN, EIGHT, EIGHT]) };
        let smtp = Smtp::default();
        let (from, to) = (pop.start(), smtp.start());
        let (report, ended) = run(from, to, &journal, |_| {});
        assert!(ended.is_none() && report.copied == 3, "{ended:?} {report:?}");
        // Two equal ones are two; a third of the kind is new.
        pop.add(EIGHT);
        let (report, ended) = run(from, to, &journal, |_| {});
        assert!(ended.is_none(), "{ended:?}");
        assert_eq!((report.copied, report.already_there), (1, 3), "{modern} {report:?}");
        let (report, _) = run(from, to, &journal, |_| {});
        assert_eq!((report.copied, report.already_there), (0, 4), "{modern} {report:?}");
        assert_eq!(smtp.letters().len(), 4);
    }
}

#[test]
fn mig_03_only_what_was_taken_is_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let journal = directory.path().join("journal");
    let pop = Pop::with(&[PLAIN, EIGHT, BINARY]);
    let smtp = Smtp { refuses: Some(("Subject: two", "552 5.3.4 too large")), ..Smtp::default() };
    let (from, to) = (pop.start(), smtp.start());
    let (report, ended) = run(from, to, &journal, |mover| mover.delete = true);
    assert!(ended.is_none(), "{ended:?}");
    assert_eq!((report.copied, report.deleted), (2, 2), "{report:?}");
    let failed = &report.failed[0];
    assert!(failed.reason.contains("too large") && !failed.later, "{failed:?}");
    assert!(failed.shown.contains("Subject: two"), "{failed:?}");
    let left = pop.messages.lock().unwrap().clone();
    assert_eq!(left, [("uid-1".to_owned(), EIGHT.to_vec())]);
}

#[test]
fn a_session_that_breaks_goes_on_without_losing_or_doubling_a_message() {
    let directory = tempfile::tempdir().unwrap();
    let journal = directory.path().join("journal");
    let many: Vec<Vec<u8>> =
        (0..30).map(|n| format!("Subject: n{n}\r\n\r\n{n}\r\n").into_bytes()).collect();
    let many: Vec<&[u8]> = many.iter().map(Vec::as_slice).collect();
    let pop = Pop { cut: Some(17), ..Pop::with(&many) };
    // The new server tires, too, after every seventh.
    let smtp = Smtp { tires_after: Some(7), announces: &["PIPELINING"], ..Smtp::default() };
    let (report, ended) = run(pop.start(), smtp.start(), &journal, |_| {});
    assert!(ended.is_none(), "{ended:?}");
    assert_eq!((report.found, report.copied, report.already_there), (30, 30, 0), "{report:?}");
    let mut letters = smtp.letters();
    letters.sort();
    let mut expected: Vec<Vec<u8>> = many.iter().map(|m| m.to_vec()).collect();
    expected.sort();
    assert_eq!(letters, expected);
    assert_eq!(*pop.sessions.lock().unwrap(), 2);
}

#[test]
fn abu_65_a_server_that_sends_without_end_is_broken_off() {
    let directory = tempfile::tempdir().unwrap();
    let journal = directory.path().join("journal");
    let pop = Pop { lies: Some(8 * 1024 * 1024), ..Pop::with(&[PLAIN]) };
    let smtp = Smtp::default();
    let (report, ended) = run(pop.start(), smtp.start(), &journal, |mover| mover.retries = 0);
    assert!(ended.unwrap().to_string().contains("far more"), "{report:?}");
    assert!(smtp.letters().is_empty());
}

#[test]
fn a_login_that_is_refused_is_tried_once() {
    let directory = tempfile::tempdir().unwrap();
    let journal = directory.path().join("journal");
    let pop = Pop::with(&[PLAIN]);
    let smtp = Smtp::default();
    let (_, ended) = run(pop.start(), smtp.start(), &journal, |mover| {
        mover.login.password = "guess".into();
    });
    let error = ended.unwrap();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("[AUTH] wrong"), "{error}");
    let heard = pop.heard.lock().unwrap();
    assert_eq!(heard.iter().filter(|line| line.starts_with("PASS")).count(), 1);
}
