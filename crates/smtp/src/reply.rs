//! Replies: code, enhanced status code (RFC 2034, RFC 3463) and text, written by servers and read
//! by clients.
//!
//! It must never know what a reply answers.

use std::fmt;

use thiserror::Error;

use crate::limits;

/// An enhanced status code such as 5.7.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Status(pub u8, pub u16, pub u16);

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

impl Status {
    /// Reads a status at the start of a text; answers it and what follows after spaces.
    #[must_use]
    pub fn read(text: &str) -> Option<(Self, &str)> {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        let mut parts = word.split('.');
        let class: u8 = number(parts.next()?)?.try_into().ok()?;
        let subject = number(parts.next()?)?;
        let detail = number(parts.next()?)?;
        if parts.next().is_some() || !matches!(class, 2 | 4 | 5) {
            return None;
        }
        Some((Self(class, subject, detail), rest.trim_start()))
    }
}

fn number(text: &str) -> Option<u16> {
    let digits = !text.is_empty() && text.len() <= 3 && text.bytes().all(|b| b.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

/// One reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// 200 to 599.
    pub code: u16,
    /// Enhanced status, if any.
    pub status: Option<Status>,
    /// One line or more, without codes.
    pub lines: Vec<String>,
}

impl Reply {
    /// A reply of one line with its enhanced status. Control characters in the text, which may
    /// quote what a peer sent, are replaced by `?`.
    #[must_use]
    pub fn new(code: u16, status: Status, text: impl Into<String>) -> Self {
        Self { code, status: Some(status), lines: vec![clean(text.into())] }
    }

    /// A reply of one line without enhanced status (greetings, 354, 334).
    #[must_use]
    pub fn plain(code: u16, text: impl Into<String>) -> Self {
        Self { code, status: None, lines: vec![clean(text.into())] }
    }

    /// A reply of several lines without enhanced status.
    #[must_use]
    pub fn list(code: u16, lines: Vec<String>) -> Self {
        Self { code, status: None, lines: lines.into_iter().map(clean).collect() }
    }

    /// 2xx.
    #[must_use]
    pub fn is_positive(&self) -> bool {
        self.code / 100 == 2
    }

    /// 4xx: the same may work later.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        self.code / 100 == 4
    }

    /// Writes the reply with CRLF after each line.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let last = self.lines.len().saturating_sub(1);
        for (n, line) in self.lines.iter().enumerate() {
            let mark = if n == last { ' ' } else { '-' };
            out.extend_from_slice(format!("{}{mark}", self.code).as_bytes());
            if let Some(status) = self.status {
                out.extend_from_slice(format!("{status} ").as_bytes());
            }
            out.extend_from_slice(line.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
}

impl fmt::Display for Reply {
    /// In one line, as logs and reports quote it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(status) = self.status {
            write!(f, " {status}")?;
        }
        for line in &self.lines {
            write!(f, " {line}")?;
        }
        Ok(())
    }
}

fn clean(text: String) -> String {
    if text.chars().any(char::is_control) {
        text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
    } else {
        text
    }
}

/// Why a remote server's reply cannot be read; the connection is of no more use.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplyError {
    /// Not three digits, or codes that differ between lines.
    #[error("the reply is not SMTP")]
    Syntax,
    /// Past [`limits::REPLY_LINE`] or [`limits::REPLY_LINES`].
    #[error("the reply is too long")]
    TooLong,
}

/// Reads replies from pieces of input.
#[derive(Debug, Default)]
pub struct ReplyReader {
    line: Vec<u8>,
    code: Option<u16>,
    status: Option<Status>,
    lines: Vec<String>,
}

impl ReplyReader {
    /// Takes bytes from the front of `input` until a reply is whole; the bytes taken are cut off.
    ///
    /// # Errors
    /// [`ReplyError`]: the peer does not speak SMTP.
    pub fn read(&mut self, input: &mut &[u8]) -> Result<Option<Reply>, ReplyError> {
        loop {
            let Some(end) = memchr::memchr(b'\n', input) else {
                self.line.extend_from_slice(input);
                *input = &[];
                if self.line.len() > limits::REPLY_LINE {
                    return Err(ReplyError::TooLong);
                }
                return Ok(None);
            };
            let (line, rest) = input.split_at(end + 1);
            self.line.extend_from_slice(line);
            *input = rest;
            if self.line.len() > limits::REPLY_LINE {
                return Err(ReplyError::TooLong);
            }
            let line = std::mem::take(&mut self.line);
            if let Some(reply) = self.add(&line)? {
                return Ok(Some(reply));
            }
        }
    }

    fn add(&mut self, line: &[u8]) -> Result<Option<Reply>, ReplyError> {
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end_matches(['\r', '\n']);
        let code = text.get(..3).and_then(number).ok_or(ReplyError::Syntax)?;
        if !(200..600).contains(&code) || self.code.is_some_and(|c| c != code) {
            return Err(ReplyError::Syntax);
        }
        let (last, text) = match text.get(3..4) {
            None | Some("") => (true, ""),
            Some(" ") => (true, text.get(4..).unwrap_or("")),
            Some("-") => (false, text.get(4..).unwrap_or("")),
            Some(_) => return Err(ReplyError::Syntax),
        };
        let text = match Status::read(text) {
            Some((status, rest)) if u16::from(status.0) == code / 100 => {
                self.status = Some(status);
                rest
            }
            _ => text,
        };
        if self.lines.len() == limits::REPLY_LINES {
            return Err(ReplyError::TooLong);
        }
        self.lines.push(clean(text.to_owned()));
        self.code = Some(code);
        if !last {
            return Ok(None);
        }
        self.code = None;
        Ok(Some(Reply { code, status: self.status.take(), lines: std::mem::take(&mut self.lines) }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_all(bytes: &[u8], cut: usize) -> Vec<Reply> {
        let mut reader = ReplyReader::default();
        let mut all = Vec::new();
        for piece in bytes.chunks(cut.max(1)) {
            let mut piece = piece;
            while let Some(reply) = reader.read(&mut piece).unwrap() {
                all.push(reply);
            }
        }
        all
    }

    #[test]
    fn a_reply_never_carries_control_characters_of_a_peer() {
        let reply = Reply::new(550, Status(5, 1, 1), "bad\r\n250 name");
        let mut out = Vec::new();
        reply.encode(&mut out);
        assert_eq!(out, b"550 5.1.1 bad??250 name\r\n");
    }

    #[test]
    fn a_hostile_server_is_cut_off() {
        let mut reader = ReplyReader::default();
        let endless = vec![b'2'; limits::REPLY_LINE + 1];
        assert_eq!(reader.read(&mut endless.as_slice()), Err(ReplyError::TooLong));
        let mut reader = ReplyReader::default();
        let many = b"250-x\r\n".repeat(limits::REPLY_LINES + 1);
        assert_eq!(reader.read(&mut many.as_slice()), Err(ReplyError::TooLong));
        for wrong in [&b"hello\r\n"[..], b"250-a\r\n251 b\r\n", b"2500 x\r\n", b"\xff\xff\xff\r\n"]
        {
            let mut reader = ReplyReader::default();
            assert_eq!(reader.read(&mut { wrong }), Err(ReplyError::Syntax));
        }
    }

    proptest! {
        #[test]
        fn replies_read_back_at_any_split(
            code in 200u16..600,
            with_status in any::<bool>(),
            lines in prop::collection::vec("[a-z ]{0,20}", 1..5),
            cut in 1usize..30,
        ) {
            let class = u8::try_from(code / 100).unwrap();
            let status = (with_status && class != 3).then_some(Status(class, 7, 1));
            let lines = lines.into_iter().map(|l| l.trim_start().to_owned()).collect();
            let reply = Reply { code, status, lines };
            let mut bytes = Vec::new();
            reply.encode(&mut bytes);
            reply.encode(&mut bytes);
            prop_assert_eq!(read_all(&bytes, cut), vec![reply.clone(), reply]);
        }
    }
}
