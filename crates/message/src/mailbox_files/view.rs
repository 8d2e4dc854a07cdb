//! A message of a text mailbox as mail: CRLF line ends, quoted `From ` lines as they were, and
//! without the fields that mail programs keep for themselves in the header; what those fields say
//! comes out as [`Facts`].

use super::{LINE_MAX, Marks};

/// `>` before `From ` that count as quoting, at most; our own quoting writes one less.
pub(super) const QUOTES_MAX: usize = 4096;
/// Keywords taken from one message.
const KEYWORDS_MAX: usize = 128;
/// Longest keyword, octets.
const KEYWORD_MAX: usize = 128;

/// How quoted lines are taken back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quoting {
    /// Nothing is quoted (mboxcl2, Maildir and the like).
    None,
    /// `>From ` is `From ` (mboxo, mboxcl).
    One,
    /// One `>` goes from any number of them (mboxrd).
    #[default]
    Any,
}

/// What mail programs kept in the header of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// `Status` and `X-Status`; none when neither stands there.
    pub status: Option<Marks>,
    /// `X-Keywords`.
    pub keywords: Vec<String>,
    /// `X-UID`.
    pub uid: Option<u32>,
    /// `X-IMAPbase` or `X-IMAP`: UIDVALIDITY and the last UID given.
    pub base: Option<(u32, u32)>,
    /// This is no message but the note in which the University of Washington's programs keep
    /// facts of the folder.
    pub is_note: bool,
    /// Octets that came out.
    pub size: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In the header; the flag tells that the field being read is dropped.
    Header {
        dropping: bool,
    },
    Body,
}

/// Turns the octets of a message in a text mailbox into mail, piece by piece.
#[derive(Debug)]
pub struct View {
    quoting: Quoting,
    /// Line ends alone are changed.
    plain: bool,
    state: State,
    /// The beginning of a line that is not understood yet.
    line: Vec<u8>,
    /// In the middle of a line that goes through as it is.
    through: bool,
    after_return: bool,
    length_seen: bool,
    internal_subject: bool,
    folder_field: bool,
    facts: Facts,
}

impl View {
    /// For a message of this kind of quoting.
    #[must_use]
    pub fn new(quoting: Quoting) -> Self {
        Self {
            quoting,
            plain: false,
            state: State::Header { dropping: false },
            line: Vec::new(),
            through: false,
            after_return: false,
            length_seen: false,
            internal_subject: false,
            folder_field: false,
            facts: Facts::default(),
        }
    }

    /// For a message in a file of its own: line ends alone become those of mail.
    #[must_use]
    pub fn plain() -> Self {
        Self { plain: true, state: State::Body, ..Self::new(Quoting::None) }
    }

    /// Takes a piece; what it becomes is added to `out`.
    pub fn push(&mut self, mut piece: &[u8], out: &mut Vec<u8>) {
        let before = out.len();
        while !piece.is_empty() {
            let end = memchr::memchr(b'\n', piece).map(|at| at + 1);
            let (now, rest) = piece.split_at(end.unwrap_or(piece.len()));
            piece = rest;
            if self.through {
                self.copy(now, out);
                self.through = end.is_none();
                continue;
            }
            if self.line.is_empty() && end.is_some() {
                self.line_of(now, out);
                continue;
            }
            self.line.extend_from_slice(now);
            if end.is_some() {
                let line = std::mem::take(&mut self.line);
                self.line_of(&line, out);
                self.line = line;
                self.line.clear();
            } else if self.can_go() {
                let line = std::mem::take(&mut self.line);
                self.line_of(&line, out);
                self.through = true;
            }
        }
        self.facts.size += (out.len() - before) as u64;
    }

    /// Ends the message; its last line always ends in CRLF, except in a file of its own.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Facts {
        let before = out.len();
        let open = self.through || !self.line.is_empty();
        if open {
            let mut line = std::mem::take(&mut self.line);
            if self.plain {
                self.copy(&line, out);
            } else if self.through {
                self.copy(b"\n", out);
            } else {
                line.push(b'\n');
                self.line_of(&line, out);
            }
        }
        self.facts.size += (out.len() - before) as u64;
        self.facts.is_note = self.folder_field && self.internal_subject;
        self.facts
    }

    /// True when the unfinished line has no meaning whatever follows.
    fn can_go(&self) -> bool {
        if self.line.len() >= LINE_MAX {
            return true;
        }
        match self.state {
            State::Header { .. } => false,
            State::Body => {
                let text = self.line.iter().position(|b| *b != b'>');
                match text.and_then(|at| self.line.get(at..)) {
                    Some(rest) => {
                        let length = rest.len().min(b"From ".len());
                        rest.get(..length) != b"From ".get(..length) || rest.len() >= 5
                    }
                    None => self.line.len() > QUOTES_MAX,
                }
            }
        }
    }

    /// A whole line, or the beginning of one that is too long to have a meaning.
    fn line_of(&mut self, line: &[u8], out: &mut Vec<u8>) {
        let line = self.unquoted(line);
        if let State::Header { dropping } = self.state {
            let bare = line.strip_suffix(b"\n").unwrap_or(line);
            let bare = bare.strip_suffix(b"\r").unwrap_or(bare);
            if bare.is_empty() {
                self.state = State::Body;
            } else if bare.starts_with(b" ") || bare.starts_with(b"\t") {
                if dropping {
                    return;
                }
            } else {
                let dropping = self.field(bare);
                self.state = State::Header { dropping };
                if dropping {
                    return;
                }
            }
        }
        self.copy(line, out);
    }

    fn unquoted<'l>(&self, line: &'l [u8]) -> &'l [u8] {
        let quotes = line.iter().take(QUOTES_MAX + 1).take_while(|b| **b == b'>').count();
        let taken = match self.quoting {
            Quoting::None => false,
            Quoting::One => quotes == 1,
            Quoting::Any => (1..=QUOTES_MAX).contains(&quotes),
        };
        if taken && line.get(quotes..).is_some_and(|rest| rest.starts_with(b"From ")) {
            return line.get(1..).unwrap_or_default();
        }
        line
    }

    /// Looks at a field; true when it is not part of the mail.
    fn field(&mut self, line: &[u8]) -> bool {
        let Some(colon) = line.iter().take(64).position(|b| *b == b':') else { return false };
        let (name, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        let name = name.trim_ascii_end();
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        if is(b"Status") || is(b"X-Status") {
            let marks = self.facts.status.unwrap_or_default().with(Marks::of_status(value));
            self.facts.status = Some(marks);
        } else if is(b"X-Keywords") {
            let words = value.split(u8::is_ascii_whitespace).filter(|w| !w.is_empty());
            for word in words.filter(|w| w.len() <= KEYWORD_MAX) {
                if self.facts.keywords.len() >= KEYWORDS_MAX {
                    break;
                }
                if let Ok(word) = std::str::from_utf8(word) {
                    self.facts.keywords.push(word.to_owned());
                }
            }
        } else if is(b"X-UID") {
            self.facts.uid = number(value).filter(|uid| *uid > 0);
        } else if is(b"X-IMAPbase") || is(b"X-IMAP") {
            self.folder_field |= is(b"X-IMAP");
            let mut words = value.split(u8::is_ascii_whitespace).filter(|w| !w.is_empty());
            if let (Some(validity), Some(last)) =
                (words.next().and_then(number), words.next().and_then(number))
                && validity > 0
            {
                self.facts.base = Some((validity, last));
            }
        } else if is(b"Content-Length") {
            self.length_seen = true;
        } else if is(b"Lines") {
            // Mutt writes it beside the length; alone it is a field of News.
            return self.length_seen;
        } else {
            if is(b"Subject") {
                self.internal_subject = value.ends_with(b"FOLDER INTERNAL DATA");
            }
            return false;
        }
        true
    }

    fn copy(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        let mut rest = piece;
        while let Some(at) = memchr::memchr(b'\n', rest) {
            let (line, after) = rest.split_at(at);
            out.extend_from_slice(line);
            let returned = line.last().map_or(self.after_return, |last| *last == b'\r');
            out.extend_from_slice(if returned { b"\n" } else { b"\r\n" });
            self.after_return = false;
            rest = after.get(1..).unwrap_or_default();
        }
        out.extend_from_slice(rest);
        if let Some(last) = rest.last() {
            self.after_return = *last == b'\r';
        }
    }
}

fn number(text: &[u8]) -> Option<u32> {
    std::str::from_utf8(text).ok()?.parse().ok()
}
