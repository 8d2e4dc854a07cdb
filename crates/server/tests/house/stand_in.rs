//! Scripted mail hosts that behave as no honest one does: greylisting, refusing, slow, silent, cut
//! off, lying, shouting. Each remembers what it said yes to.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How a host behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Takes everything.
    Honest,
    /// Says yes and forgets it: only its own list knows of the message.
    Lying,
    /// Refuses each recipient for good.
    Refusing,
    /// Puts each pair of sender and recipient off at first, and takes it the next time.
    Greylisting,
    /// Puts everything off after the data.
    LaterAfterData,
    /// Waits this many milliseconds before each reply.
    Slow(u64),
    /// Says nothing at all.
    Silent,
    /// Cuts the first connections after the final dot, before the reply; takes the message.
    CutAfterDot(usize),
    /// Cuts the first connections in the middle of the data; takes nothing then.
    CutInData(usize),
    /// A greeting of a mebibyte.
    LongGreeting,
    /// A reply to EHLO without end.
    EndlessEhlo,
    /// Refuses with control bytes, terminal sequences and bare line ends in its text.
    ControlBytes,
    /// Answers as the protocol never does.
    Nonsense,
}

/// What a host has said yes to.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    pub(crate) text: String,
    /// The data as it came over the wire, without the last dot.
    pub(crate) raw: Vec<u8>,
}

/// A scripted host that listens until it is dropped.
pub(crate) struct StandIn {
    pub(crate) at: SocketAddr,
    state: Arc<State>,
}

struct State {
    manner: Mutex<Manner>,
    taken: Mutex<Vec<Taken>>,
    seen: Mutex<HashSet<(String, String)>>,
    connections: AtomicUsize,
    over: AtomicBool,
}

impl StandIn {
    /// A host on a free port of 127.0.0.1.
    pub(crate) fn on_loopback(manner: Manner) -> Self {
        Self::listen("127.0.0.1", 0, manner)
    }

    /// A host on port 25 of an address of the island.
    pub(crate) fn on_island(ip: &str, manner: Manner) -> Self {
        super::island::address(ip);
        Self::listen(ip, 25, manner)
    }

    fn listen(ip: &str, port: u16, manner: Manner) -> Self {
        let listener = TcpListener::bind((ip, port)).unwrap();
        let at = listener.local_addr().unwrap();
        let state = Arc::new(State {
            manner: Mutex::new(manner),
            taken: Mutex::default(),
            seen: Mutex::default(),
            connections: AtomicUsize::new(0),
            over: AtomicBool::new(false),
        });
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.over.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                shared.connections.fetch_add(1, Ordering::SeqCst);
                let state = shared.clone();
                // A connection that breaks off is what a cut looks like from here.
                std::thread::spawn(move || drop(talk(stream, &state)));
            }
        });
        Self { at, state }
    }

    /// From the next connection on it behaves so; one that puts off stops to at once.
    pub(crate) fn behave(&self, manner: Manner) {
        *self.state.manner.lock().unwrap() = manner;
    }

    pub(crate) fn taken(&self) -> Vec<Taken> {
        self.state.taken.lock().unwrap().clone()
    }

    /// Connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for connections.
        let _ = TcpStream::connect(self.at);
    }
}

/// One side of a conversation; `Err` when the other has gone.
fn talk(stream: TcpStream, state: &State) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    stream.set_write_timeout(Some(Duration::from_secs(60)))?;
    let number = state.connections.load(Ordering::SeqCst);
    let manner = *state.manner.lock().unwrap();
    let mut write = stream.try_clone()?;
    let mut read = BufReader::new(stream);
    let mut say = |text: &str| {
        if let Manner::Slow(wait) = manner {
            std::thread::sleep(Duration::from_millis(wait));
        }
        write.write_all(text.as_bytes())
    };
    match manner {
        Manner::Silent => {
            std::io::copy(&mut read, &mut std::io::sink())?;
            return Ok(());
        }
        Manner::LongGreeting => {
            let line = format!("220-{}\r\n", "a".repeat(1000));
            for _ in 0..1050 {
                say(&line)?;
            }
            say("220 done\r\n")?;
        }
        Manner::Nonsense => say("HTTP/1.1 200 OK\r\n\r\n\x00\x01\x02")?,
        _ => say("220 stand-in.example ESMTP\r\n")?,
    }
    let (mut from, mut to) = (String::new(), Vec::new());
    loop {
        let mut line = String::new();
        if read.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" if manner == Manner::EndlessEhlo => {
                for n in 0..200_000 {
                    say(&format!("250-X{n}\r\n"))?;
                }
                return Ok(());
            }
            "EHLO" | "LHLO" => say("250-stand-in.example\r\n250-PIPELINING\r\n250 8BITMIME\r\n")?,
            "MAIL" => {
                from = inside(&line);
                to.clear();
                say("250 2.1.0 sender\r\n")?;
            }
            "RCPT" => {
                let one = inside(&line);
                let pair = (from.clone(), one.clone());
                match manner {
                    Manner::Refusing => say("550 5.1.1 nobody of this name\r\n")?,
                    Manner::ControlBytes => {
                        say("550-5.1.1 \x1b[2J\x1b]0;owned\x07 \x00\x08\x08\r\n\
                         550 5.1.1 \u{9b}31m <script>alert(1)</script> \x7f\r\n")?
                    }
                    Manner::Greylisting if state.seen.lock().unwrap().insert(pair) => {
                        say("451 4.7.1 come again\r\n")?;
                    }
                    _ => {
                        to.push(one);
                        say("250 2.1.5 recipient\r\n")?;
                    }
                }
            }
            "DATA" if to.is_empty() => say("554 5.5.1 no recipient\r\n")?,
            "DATA" => {
                say("354 go on\r\n")?;
                if matches!(manner, Manner::CutInData(times) if number <= times) {
                    read.read_line(&mut line)?;
                    return Ok(());
                }
                let (text, raw) = data(&mut read)?;
                if manner == Manner::LaterAfterData && *state.manner.lock().unwrap() == manner {
                    say("451 4.3.0 not now\r\n")?;
                    continue;
                }
                let taken = Taken { from: from.clone(), to: to.clone(), text, raw };
                state.taken.lock().unwrap().push(taken);
                if matches!(manner, Manner::CutAfterDot(times) if number <= times) {
                    return Ok(());
                }
                say("250 2.0.0 taken\r\n")?;
            }
            "RSET" | "NOOP" => say("250 2.0.0 well\r\n")?,
            "QUIT" => return say("221 2.0.0 bye\r\n"),
            _ => say("502 5.5.2 what?\r\n")?,
        }
    }
}

/// What stands between the angle brackets of MAIL or RCPT.
fn inside(line: &str) -> String {
    let rest = line.split_once('<').map_or("", |(_, rest)| rest);
    rest.split_once('>').map_or(rest, |(path, _)| path).to_owned()
}

/// Reads until the line with the dot: the text, and what stood on the wire for it.
fn data(read: &mut impl BufRead) -> std::io::Result<(String, Vec<u8>)> {
    let (mut text, mut raw) = (Vec::new(), Vec::new());
    loop {
        let mut line = Vec::new();
        if read.read_until(b'\n', &mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if line == b".\r\n" && (raw.is_empty() || raw.ends_with(b"\r\n")) {
            return Ok((String::from_utf8_lossy(&text).into_owned(), raw));
        }
        raw.extend_from_slice(&line);
        text.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
    }
}
