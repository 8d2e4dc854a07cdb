//! The conversation with a filter about one message: negotiation, the steps of an SMTP session as
//! they were, the message, and the filter's answer.
//!
//! A filter sees the message only when it is whole, so what it says of a single recipient holds for
//! the message: nobody is left out in silence.

use std::net::IpAddr;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::MilterError;
use super::changes::{Changes, HeaderChange, MAX_CHANGES, fields};
use super::packet::{self, BODY_CHUNK, Packet};

/// Version of the protocol that is offered.
const VERSION: u32 = 6;
/// Oldest version that is spoken.
const OLDEST: u32 = 2;
/// Everything a filter may do: add and change fields, body, recipients and sender, quarantine.
const ACTIONS: u32 = 0xff;
/// Steps a filter may leave out or not answer, skipping of the body, blanks behind colons.
const STEPS: u32 = 0x1f_ffff;

const NO_CONNECT: u32 = 1;
const NO_HELO: u32 = 2;
const NO_MAIL: u32 = 4;
const NO_RCPT: u32 = 8;
const NO_BODY: u32 = 0x10;
const NO_HEADERS: u32 = 0x20;
const NO_END_OF_HEADERS: u32 = 0x40;
const SILENT_HEADER: u32 = 0x80;
const NO_DATA: u32 = 0x200;
const SILENT_CONNECT: u32 = 0x1000;
const SILENT_HELO: u32 = 0x2000;
const SILENT_MAIL: u32 = 0x4000;
const SILENT_RCPT: u32 = 0x8000;
const SILENT_DATA: u32 = 0x1_0000;
const SILENT_END_OF_HEADERS: u32 = 0x4_0000;
const SILENT_BODY: u32 = 0x8_0000;
const LEADING_SPACE: u32 = 0x10_0000;

/// Longest text of a filter that is passed on, in characters.
const MAX_TEXT: usize = 400;
/// Octets of a new body that are taken.
const MAX_BODY: usize = 64 << 20;
/// Signs of life in a row without an answer.
const MAX_PROGRESS: u32 = 10_000;
/// Octets read at a time.
const READ: usize = 16 * 1024;

/// What a filter is told.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// Number of the message.
    pub id: &'a str,
    /// Name of this server.
    pub host: &'a str,
    /// The client's address; `None` for mail made here.
    pub peer: Option<IpAddr>,
    /// What the client called itself.
    pub hello: &'a str,
    /// Over TLS.
    pub tls: bool,
    /// Who authenticated.
    pub account: Option<&'a str>,
    /// Return path, empty for `<>`.
    pub return_path: &'a str,
    /// Recipients.
    pub recipients: &'a [String],
    /// The message.
    pub message: &'a [u8],
}

/// What is to become of the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// It may go on.
    Accept,
    /// Refused for ever.
    Reject,
    /// Refused for now.
    Later,
    /// Taken and dropped.
    Discard,
    /// Refused with these words: code, enhanced status if one was given, text.
    Reply(u16, Option<(u8, u8, u8)>, String),
}

/// A filter's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What becomes of it.
    pub word: Word,
    /// What is to be changed, if it may go on.
    pub changes: Changes,
    /// Values of fields bring the blank behind the colon.
    pub spaced: bool,
}

/// One connection.
pub struct Session<S> {
    stream: S,
    limit: Duration,
    input: BytesMut,
    output: Vec<u8>,
    steps: u32,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<S> {
    /// On this stream; each answer must come within `limit`.
    pub fn new(stream: S, limit: Duration) -> Self {
        Self { stream, limit, input: BytesMut::new(), output: Vec::new(), steps: 0 }
    }

    /// Holds the whole conversation.
    ///
    /// # Errors
    /// See [`MilterError`].
    pub async fn run(mut self, about: &About<'_>) -> Result<Answer, MilterError> {
        self.negotiate().await?;
        let early = self.envelope(about).await?;
        let early = match early {
            Some(word) => Some(word),
            None => self.content(about).await?,
        };
        let (word, changes) = match early {
            Some(word) => (word, Changes::default()),
            None => self.end(about).await?,
        };
        // The filter's own end is of no interest any more.
        packet::write(&mut self.output, b'Q', &[]);
        let _ = self.flush().await;
        Ok(Answer { word, changes, spaced: self.on(LEADING_SPACE) })
    }

    fn on(&self, step: u32) -> bool {
        self.steps & step != 0
    }

    async fn flush(&mut self) -> Result<(), MilterError> {
        let sending = async {
            self.stream.write_all(&self.output).await?;
            self.stream.flush().await
        };
        tokio::time::timeout(self.limit, sending).await.map_err(|_| MilterError::TimedOut)??;
        self.output.clear();
        Ok(())
    }

    async fn receive(&mut self) -> Result<Packet, MilterError> {
        self.flush().await?;
        for _ in 0..MAX_PROGRESS {
            let packet = loop {
                if let Some(packet) = packet::read(&mut self.input)? {
                    break packet;
                }
                self.input.reserve(READ);
                let reading = self.stream.read_buf(&mut self.input);
                let read = tokio::time::timeout(self.limit, reading).await;
                if read.map_err(|_| MilterError::TimedOut)?? == 0 {
                    return Err(MilterError::Protocol("the filter closed the connection"));
                }
            };
            // A sign of life; the filter may take as long again.
            if packet.kind != b'p' {
                return Ok(packet);
            }
        }
        Err(MilterError::Protocol("the filter does not come to an end"))
    }

    async fn negotiate(&mut self) -> Result<(), MilterError> {
        let offer = [VERSION.to_be_bytes(), ACTIONS.to_be_bytes(), STEPS.to_be_bytes()].concat();
        packet::write(&mut self.output, b'O', &[&offer]);
        let answer = self.receive().await?;
        if answer.kind != b'O' {
            return Err(MilterError::Protocol("no negotiation"));
        }
        let mut data = &answer.data[..];
        let version = packet::number(&mut data)?;
        let _actions = packet::number(&mut data)?;
        self.steps = packet::number(&mut data)?;
        if !(OLDEST..=VERSION).contains(&version) {
            return Err(MilterError::Protocol("another version of the protocol"));
        }
        if self.steps & !STEPS != 0 {
            return Err(MilterError::Protocol("the filter wants steps that are not offered"));
        }
        Ok(())
    }

    /// Macros for the command that follows.
    fn macros(&mut self, command: u8, pairs: &[(&str, &str)]) {
        let mut data = vec![command];
        for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
            data.extend(zero_ended(name.as_bytes()));
            data.extend(zero_ended(value.as_bytes()));
        }
        packet::write(&mut self.output, b'D', &[&data]);
    }

    /// Sends a step and takes its answer, if one is to come: `Some` ends the conversation.
    async fn step(
        &mut self,
        kind: u8,
        data: &[&[u8]],
        silent: u32,
    ) -> Result<Option<Word>, MilterError> {
        packet::write(&mut self.output, kind, data);
        if self.on(silent) {
            return Ok(None);
        }
        let answer = self.receive().await?;
        match answer.kind {
            // A skip is said of the body; elsewhere it goes on.
            b'c' | b's' => Ok(None),
            _ => last_word(&answer).map(Some),
        }
    }

    /// Connection, HELO, MAIL, RCPT, DATA.
    async fn envelope(&mut self, about: &About<'_>) -> Result<Option<Word>, MilterError> {
        let peer = about.peer.map(|ip| ip.to_string());
        let name = peer.as_ref().map_or_else(|| "localhost".to_owned(), |ip| format!("[{ip}]"));
        if !self.on(NO_CONNECT) {
            let version = concat!("Angarium ", env!("CARGO_PKG_VERSION"));
            let client = peer.clone().unwrap_or_else(|| "127.0.0.1".to_owned());
            self.macros(
                b'C',
                &[
                    ("j", about.host),
                    ("{daemon_name}", about.host),
                    ("v", version),
                    ("_", &name),
                    ("{client_addr}", &client),
                ],
            );
            let family = if client.contains(':') { b"6" } else { b"4" };
            let data: [&[u8]; 5] =
                [&zero_ended(name.as_bytes()), family, &[0, 0], client.as_bytes(), b"\0"];
            if let Some(word) = self.step(b'C', &data, SILENT_CONNECT).await? {
                return Ok(Some(word));
            }
        }
        if !self.on(NO_HELO) {
            let hello = if about.hello.is_empty() { about.host } else { about.hello };
            self.macros(b'H', &[("{tls_version}", if about.tls { "TLS" } else { "" })]);
            let data = zero_ended(hello.as_bytes());
            if let Some(word) = self.step(b'H', &[&data], SILENT_HELO).await? {
                return Ok(Some(word));
            }
        }
        if !self.on(NO_MAIL) {
            let account = about.account.unwrap_or_default();
            let pairs =
                [("i", about.id), ("{mail_addr}", about.return_path), ("{auth_authen}", account)];
            self.macros(b'M', &pairs);
            let data = bracketed(about.return_path);
            if let Some(word) = self.step(b'M', &[&data], SILENT_MAIL).await? {
                return Ok(Some(word));
            }
        }
        for recipient in about.recipients.iter().filter(|_| !self.on(NO_RCPT)).collect::<Vec<_>>() {
            self.macros(b'R', &[("i", about.id), ("{rcpt_addr}", recipient)]);
            let data = bracketed(recipient);
            if let Some(word) = self.step(b'R', &[&data], SILENT_RCPT).await? {
                return Ok(Some(word));
            }
        }
        if self.on(NO_DATA) {
            return Ok(None);
        }
        self.macros(b'T', &[("i", about.id)]);
        self.step(b'T', &[], SILENT_DATA).await
    }

    /// Header and body.
    async fn content(&mut self, about: &About<'_>) -> Result<Option<Word>, MilterError> {
        let (fields, mut body) = fields(about.message);
        if !self.on(NO_HEADERS) {
            for (name, value) in &fields {
                let spaced = self.on(LEADING_SPACE);
                let value = match value.strip_prefix(b" ") {
                    Some(bare) if !spaced => bare,
                    _ => value,
                };
                let data: [&[u8]; 4] = [name, b"\0", value, b"\0"];
                if let Some(word) = self.step(b'L', &data, SILENT_HEADER).await? {
                    return Ok(Some(word));
                }
            }
        }
        if !self.on(NO_END_OF_HEADERS)
            && let Some(word) = self.step(b'N', &[], SILENT_END_OF_HEADERS).await?
        {
            return Ok(Some(word));
        }
        while !body.is_empty() && !self.on(NO_BODY) {
            let (chunk, rest) = body.split_at_checked(BODY_CHUNK).unwrap_or((body, &[]));
            packet::write(&mut self.output, b'B', &[chunk]);
            body = rest;
            if self.on(SILENT_BODY) {
                self.flush().await?;
                continue;
            }
            let answer = self.receive().await?;
            match answer.kind {
                b'c' => {}
                b's' => break,
                _ => return last_word(&answer).map(Some),
            }
        }
        Ok(None)
    }

    /// The end of the message: changes come, then the last word.
    async fn end(&mut self, about: &About<'_>) -> Result<(Word, Changes), MilterError> {
        self.macros(b'E', &[("i", about.id)]);
        packet::write(&mut self.output, b'E', &[]);
        let mut changes = Changes::default();
        loop {
            let answer = self.receive().await?;
            if !change(&mut changes, &answer)? {
                let word = match answer.kind {
                    b'c' => Word::Accept,
                    _ => last_word(&answer)?,
                };
                return Ok((word, changes));
            }
            if changes.count() > MAX_CHANGES {
                return Err(MilterError::Protocol("too many changes"));
            }
        }
    }
}

fn zero_ended(text: &[u8]) -> Vec<u8> {
    let mut all: Vec<u8> = text.iter().copied().filter(|b| *b != 0).collect();
    all.push(0);
    all
}

fn bracketed(address: &str) -> Vec<u8> {
    zero_ended(format!("<{address}>").as_bytes())
}

/// An address of a filter, its brackets taken off.
fn address(data: &[u8]) -> Result<String, MilterError> {
    let text = std::str::from_utf8(data).map_err(|_| MilterError::Protocol("a wrong address"))?;
    let text = text.trim();
    let text = text.strip_prefix('<').and_then(|t| t.strip_suffix('>')).unwrap_or(text);
    if text.len() > 1_000 || text.contains(|c: char| c.is_control() || c == '<' || c == '>') {
        return Err(MilterError::Protocol("a wrong address"));
    }
    Ok(text.to_owned())
}

/// A filter's words, bounded and without control characters.
fn words(data: &[u8]) -> String {
    let text = String::from_utf8_lossy(data);
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_TEXT).collect()
}

/// Takes a change; `false` if the packet is none.
fn change(changes: &mut Changes, packet: &Packet) -> Result<bool, MilterError> {
    let mut data = &packet.data[..];
    match packet.kind {
        b'h' => {
            let name = packet::string(&mut data).to_vec();
            let value = packet::string(&mut data).to_vec();
            changes.header.push(HeaderChange::Add { name, value });
        }
        b'i' => {
            let at = packet::number(&mut data)?;
            let name = packet::string(&mut data).to_vec();
            let value = packet::string(&mut data).to_vec();
            changes.header.push(HeaderChange::Insert { at, name, value });
        }
        b'm' => {
            let nth = packet::number(&mut data)?;
            let name = packet::string(&mut data).to_vec();
            let value = packet::string(&mut data).to_vec();
            changes.header.push(HeaderChange::Change { nth, name, value });
        }
        b'b' => {
            let body = changes.body.get_or_insert_default();
            if body.len().saturating_add(data.len()) > MAX_BODY {
                return Err(MilterError::Protocol("the new body is too large"));
            }
            body.extend_from_slice(data);
        }
        b'+' | b'2' => changes.more.push(address(packet::string(&mut data))?),
        b'-' => changes.less.push(address(packet::string(&mut data))?),
        b'e' => changes.from = Some(address(packet::string(&mut data))?),
        b'q' => changes.quarantine = Some(words(packet::string(&mut data))),
        _ => return Ok(false),
    }
    Ok(true)
}

/// An answer that ends the conversation.
fn last_word(packet: &Packet) -> Result<Word, MilterError> {
    Ok(match packet.kind {
        b'a' => Word::Accept,
        b'd' => Word::Discard,
        b'r' => Word::Reject,
        b't' | b'4' => Word::Later,
        b'y' => reply(packet::string(&mut &packet.data[..])),
        b'f' => return Err(MilterError::Protocol("the filter says that it cannot work")),
        _ => return Err(MilterError::Protocol("an answer that is not known")),
    })
}

/// `550 5.7.1 text`; of several lines the first; other codes than 4xx and 5xx are *later*.
fn reply(text: &[u8]) -> Word {
    let line = text.split(|b| matches!(b, b'\r' | b'\n')).next().unwrap_or_default();
    let line = words(line);
    let code = line.get(..3).and_then(|code| code.parse::<u16>().ok());
    let Some(code) = code.filter(|code| (400..600).contains(code)) else { return Word::Later };
    let rest = line.get(4..).unwrap_or_default().trim();
    let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
    let mut parts = word.split('.').map(|part| part.parse::<u8>().ok());
    let status = match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(Some(a @ (4 | 5))), Some(Some(b)), Some(Some(c)), None) => Some((a, b, c)),
        _ => None,
    };
    let text = if status.is_some() { after } else { rest };
    Word::Reply(code, status, text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filters_reply_is_read_and_bounded() {
        assert_eq!(
            reply(b"550 5.7.1 go\taway\r\n550 5.7.1 more"),
            Word::Reply(550, Some((5, 7, 1)), "go away".to_owned())
        );
        assert_eq!(reply(b"451 later"), Word::Reply(451, None, "later".to_owned()));
        assert_eq!(reply(b"250 fine"), Word::Later);
        assert_eq!(reply(b""), Word::Later);
        let Word::Reply(_, _, text) = reply(&[b"554 ".to_vec(), vec![b'x'; 5_000]].concat()) else {
            panic!("no reply");
        };
        assert!(text.len() <= MAX_TEXT);
    }
}
