//! The machine.

use std::collections::VecDeque;

use base64::Engine as _;

use super::{Capabilities, Event, Refusal, Verb};
use crate::dot::DotDecoder;
use crate::line::{Line, LineBuffer};

/// Longest line of an answer, octets. RFC 2449 allows 512; challenges of AUTH are longer.
pub const MAX_ANSWER_LINE: usize = 16 * 1024;
/// Most messages a maildrop may have.
pub const MAX_MESSAGES: usize = 2_000_000;
/// Longest unique id, octets. RFC 1939 allows 70.
pub const MAX_UNIQUE_ID: usize = 256;
/// Most lines of an answer to CAPA.
const MAX_CAPABILITIES: usize = 200;
/// Longest text of a server that is kept, characters.
const MAX_TEXT: usize = 300;

/// What a client asks.
#[derive(Clone, PartialEq, Eq)]
pub enum Command {
    /// CAPA (RFC 2449)
    Capa,
    /// STLS (RFC 2595)
    Stls,
    /// USER
    User(String),
    /// PASS
    Pass(String),
    /// APOP with the digest in hexadecimal digits.
    Apop {
        /// Login name.
        name: String,
        /// MD5 of timestamp and password.
        digest: String,
    },
    /// AUTH (RFC 5034), with the initial response if there is one.
    Auth {
        /// Mechanism.
        mechanism: String,
        /// What is sent at once.
        initial: Option<Vec<u8>>,
    },
    /// The answer to a challenge.
    AuthReply(Vec<u8>),
    /// STAT
    Stat,
    /// LIST
    List,
    /// UIDL
    Uidl,
    /// RETR
    Retr(u32),
    /// TOP: the header and so many lines.
    Top(u32, u64),
    /// DELE
    Dele(u32),
    /// RSET
    Rset,
    /// NOOP
    Noop,
    /// UTF8 (RFC 6856): messages with UTF-8 in their header come as they are.
    Utf8,
    /// QUIT
    Quit,
}

// Passwords never stand in a log, not even in that of a failed test.
impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.verb())
    }
}

impl Command {
    fn verb(&self) -> Verb {
        match self {
            Self::Capa => Verb::Capa,
            Self::Stls => Verb::Stls,
            Self::User(_) => Verb::User,
            Self::Pass(_) | Self::Apop { .. } | Self::Auth { .. } | Self::AuthReply(_) => {
                Verb::Login
            }
            Self::Stat => Verb::Stat,
            Self::List => Verb::List,
            Self::Uidl => Verb::Uidl,
            Self::Retr(number) | Self::Top(number, _) => Verb::Retrieve(*number),
            Self::Dele(number) => Verb::Dele(*number),
            Self::Rset => Verb::Rset,
            Self::Noop => Verb::Noop,
            Self::Utf8 => Verb::Utf8,
            Self::Quit => Verb::Quit,
        }
    }

    fn line(&self) -> String {
        let base64 = |octets: &[u8]| base64::engine::general_purpose::STANDARD.encode(octets);
        match self {
            Self::Capa => "CAPA".into(),
            Self::Stls => "STLS".into(),
            Self::User(name) => format!("USER {name}"),
            Self::Pass(password) => format!("PASS {password}"),
            Self::Apop { name, digest } => format!("APOP {name} {digest}"),
            Self::Auth { mechanism, initial: None } => format!("AUTH {mechanism}"),
            // An empty initial response is a single equals sign (RFC 5034 section 4).
            Self::Auth { mechanism, initial: Some(octets) } if octets.is_empty() => {
                format!("AUTH {mechanism} =")
            }
            Self::Auth { mechanism, initial: Some(octets) } => {
                format!("AUTH {mechanism} {}", base64(octets))
            }
            Self::AuthReply(octets) => base64(octets),
            Self::Stat => "STAT".into(),
            Self::List => "LIST".into(),
            Self::Uidl => "UIDL".into(),
            Self::Retr(number) => format!("RETR {number}"),
            Self::Top(number, lines) => format!("TOP {number} {lines}"),
            Self::Dele(number) => format!("DELE {number}"),
            Self::Rset => "RSET".into(),
            Self::Noop => "NOOP".into(),
            Self::Utf8 => "UTF8".into(),
            Self::Quit => "QUIT".into(),
        }
    }
}

/// *Never*: a name or password that no line can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandError;

impl std::fmt::Display for CommandError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a name or password holds a line end or NUL, which POP cannot carry")
    }
}

impl std::error::Error for CommandError {}

/// What of an answer is being read.
#[derive(Debug, Default)]
enum Reading {
    #[default]
    Status,
    Capabilities(Capabilities, usize),
    Sizes(Vec<(u32, u64)>),
    UniqueIds(Vec<(u32, String)>),
    Message(u32, DotDecoder),
}

/// One session; see the module text.
#[derive(Debug)]
pub struct Session {
    input: LineBuffer,
    output: Vec<u8>,
    awaited: VecDeque<Verb>,
    reading: Reading,
    broken: bool,
}

impl Default for Session {
    fn default() -> Self {
        Self {
            input: LineBuffer::default(),
            output: Vec::new(),
            awaited: VecDeque::from([Verb::Greeting]),
            reading: Reading::Status,
            broken: false,
        }
    }
}

impl Session {
    /// What is to be sent; the caller clears it when it was.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// Takes bytes of the server.
    pub fn push(&mut self, bytes: &[u8]) {
        self.input.push(bytes);
    }

    /// Asks something.
    ///
    /// # Errors
    /// If a line cannot carry it; nothing was sent then.
    pub fn send(&mut self, command: &Command) -> Result<(), CommandError> {
        let line = command.line();
        if line.bytes().any(|b| matches!(b, b'\r' | b'\n' | 0)) {
            return Err(CommandError);
        }
        self.output.extend_from_slice(line.as_bytes());
        self.output.extend_from_slice(b"\r\n");
        self.awaited.push_back(command.verb());
        Ok(())
    }

    /// Gives up an AUTH that was challenged (RFC 5034 section 4).
    pub fn cancel_auth(&mut self) {
        self.output.extend_from_slice(b"*\r\n");
        self.awaited.push_back(Verb::Login);
    }

    /// The connection is encrypted now: what the server said in clear and was not read is forgotten.
    pub fn tls_started(&mut self) {
        self.input.clear();
        self.awaited.clear();
        self.reading = Reading::Status;
    }

    /// The next event; `None` when more of the server's bytes are needed.
    #[expect(clippy::should_implement_trait, reason = "None is no end: more may come after input")]
    pub fn next(&mut self) -> Option<Event> {
        loop {
            if self.broken {
                return None;
            }
            if matches!(self.reading, Reading::Message(..)) {
                return self.message();
            }
            let bare =
                self.input.peek(MAX_ANSWER_LINE).is_some_and(|(l, taken)| taken == l.len() + 1);
            let line = match self.input.next_line(MAX_ANSWER_LINE) {
                Line::Incomplete => return None,
                Line::Whole(line) => line,
                Line::TooLong | Line::Flood => return self.break_off("a line is too long"),
            };
            let event = match &self.reading {
                Reading::Status => self.status(&line, bare),
                _ => self.listed(&line),
            };
            if event.is_some() {
                return event;
            }
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "its callers answer an event or none")]
    fn break_off(&mut self, why: &'static str) -> Option<Event> {
        self.broken = true;
        Some(Event::Broken(why))
    }

    fn message(&mut self) -> Option<Event> {
        let Reading::Message(number, decoder) = &mut self.reading else { return None };
        let number = *number;
        if decoder.is_done() {
            self.reading = Reading::Status;
            return Some(Event::MessageEnd(number));
        }
        let unread = self.input.bytes();
        if unread.is_empty() {
            return None;
        }
        let mut out = Vec::with_capacity(unread.len());
        let taken = decoder.push(unread, &mut out);
        let done = decoder.is_done();
        self.input.consume(taken);
        if !out.is_empty() {
            return Some(Event::MessageData(out));
        }
        if done {
            self.reading = Reading::Status;
            return Some(Event::MessageEnd(number));
        }
        None
    }

    /// A line that begins an answer.
    fn status(&mut self, line: &[u8], bare: bool) -> Option<Event> {
        let Some(verb) = self.awaited.pop_front() else {
            return self.break_off("it answers what was not asked");
        };
        let upper = line.get(..4).unwrap_or(line).to_ascii_uppercase();
        if upper.starts_with(b"-ERR") {
            let text = shown(line.get(4..).unwrap_or_default());
            return Some(Event::Refused { of: verb, refusal: refusal(&text) });
        }
        if verb == Verb::Login && (line == b"+" || line.starts_with(b"+ ")) {
            let text = line.get(2..).unwrap_or_default().trim_ascii();
            return match base64::engine::general_purpose::STANDARD.decode(text) {
                Ok(octets) => Some(Event::Challenge(octets)),
                Err(_) => self.break_off("a challenge is not in base64"),
            };
        }
        if !upper.starts_with(b"+OK") {
            return self.break_off("an answer is neither +OK nor -ERR");
        }
        let text = shown(line.get(3..).unwrap_or_default());
        match verb {
            Verb::Greeting => Some(Event::Greeting { timestamp: timestamp(line), text }),
            Verb::Capa => {
                let told = Capabilities { told: true, ..Capabilities::default() };
                self.reading = Reading::Capabilities(told, 0);
                None
            }
            Verb::List => {
                self.reading = Reading::Sizes(Vec::new());
                None
            }
            Verb::Uidl => {
                self.reading = Reading::UniqueIds(Vec::new());
                None
            }
            Verb::Retrieve(number) => {
                self.reading = Reading::Message(number, DotDecoder::kept(bare));
                Some(Event::MessageBegin(number))
            }
            Verb::Stls => Some(Event::StartTls),
            Verb::Stat => {
                let mut words = text.split_ascii_whitespace();
                let mut number = || words.next()?.parse::<u64>().ok();
                match (number(), number()) {
                    (Some(messages), octets) => {
                        Some(Event::Stat { messages, octets: octets.unwrap_or(0) })
                    }
                    _ => self.break_off("STAT is not answered by numbers"),
                }
            }
            _ => Some(Event::Done { of: verb, text }),
        }
    }

    /// A line of an answer of several.
    fn listed(&mut self, line: &[u8]) -> Option<Event> {
        let ended = line == b".";
        let line = line.strip_prefix(b".").unwrap_or(line);
        let fault = match &mut self.reading {
            Reading::Status | Reading::Message(..) => None,
            Reading::Capabilities(told, lines) => {
                if !ended {
                    told.take(&shown(line));
                }
                *lines += 1;
                (*lines > MAX_CAPABILITIES).then_some("it announces too much")
            }
            Reading::Sizes(sizes) if !ended => match pair(line) {
                _ if sizes.len() >= MAX_MESSAGES => Some("it lists too many messages"),
                Some((number, size)) => match size.parse() {
                    Ok(size) => {
                        sizes.push((number, size));
                        None
                    }
                    Err(_) => Some("a size in LIST is no number"),
                },
                None => Some("a line of LIST is not understood"),
            },
            Reading::UniqueIds(ids) if !ended => match pair(line) {
                _ if ids.len() >= MAX_MESSAGES => Some("it lists too many messages"),
                Some((number, id)) if id.len() <= MAX_UNIQUE_ID => {
                    ids.push((number, id));
                    None
                }
                _ => Some("a line of UIDL is not understood"),
            },
            Reading::Sizes(_) | Reading::UniqueIds(_) => None,
        };
        if let Some(why) = fault {
            return self.break_off(why);
        }
        if !ended {
            return None;
        }
        match std::mem::take(&mut self.reading) {
            Reading::Capabilities(told, _) => Some(Event::Capabilities(told)),
            Reading::Sizes(sizes) => Some(Event::Sizes(sizes)),
            Reading::UniqueIds(ids) => Some(Event::UniqueIds(ids)),
            Reading::Status | Reading::Message(..) => None,
        }
    }
}

/// Number and next word of a line of LIST or UIDL.
fn pair(line: &[u8]) -> Option<(u32, String)> {
    let text = String::from_utf8_lossy(line);
    let mut words = text.split_ascii_whitespace();
    let number = words.next()?.parse().ok()?;
    Some((number, words.next()?.to_owned()))
}

/// The timestamp of a greeting (RFC 1939 section 7): `<…@…>` without spaces.
fn timestamp(line: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(line).ok()?;
    let begun = text.get(text.find('<')?..)?;
    let stamp = begun.get(..=begun.find('>')?)?;
    (stamp.contains('@') && stamp.bytes().all(|b| b.is_ascii_graphic())).then(|| stamp.to_owned())
}

fn refusal(text: &str) -> Refusal {
    if let Some((code, rest)) = text.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        return Refusal { code: Some(code.to_ascii_uppercase()), text: rest.trim().to_owned() };
    }
    Refusal { code: None, text: text.to_owned() }
}

/// A server's words as they may stand in a report.
fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .trim()
        .chars()
        .take(MAX_TEXT)
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

#[cfg(test)]
mod tests;
