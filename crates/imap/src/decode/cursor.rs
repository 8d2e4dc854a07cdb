//! Reading the small words of the grammar (RFC 9051 section 9) out of a command's bytes. Knows no
//! command.

use std::borrow::Cow;

use base64::Engine as _;
use smallvec::SmallVec;

use super::Options;
use super::refusal::Fault;
use crate::mailbox_name;
use crate::types::{Flag, Range, STAR, SequenceSet};

/// The outcome of reading one thing.
pub(crate) type Parse<T> = Result<T, Fault>;

/// True for a byte of an atom: printable ASCII without `( ) { % * " \ ]` and space.
#[must_use]
pub fn is_atom_char(byte: u8) -> bool {
    byte.is_ascii_graphic()
        && !matches!(byte, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b']')
}

/// True for a byte of an unquoted astring: an atom's, or `]`.
pub(crate) fn is_astring_char(byte: u8) -> bool {
    is_atom_char(byte) || byte == b']'
}

/// A place in a command's bytes.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    options: Options,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8], options: Options) -> Self {
        Self { bytes, at: 0, options }
    }

    pub(crate) fn at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    pub(crate) fn advance(&mut self, count: usize) {
        self.at = self.at.saturating_add(count).min(self.bytes.len());
    }

    /// Takes this byte if it is next.
    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        let here = self.peek() == Some(byte);
        self.at += usize::from(here);
        here
    }

    pub(crate) fn expect(&mut self, byte: u8, complaint: &'static str) -> Parse<()> {
        if self.eat(byte) { Ok(()) } else { Err(Fault::bad(complaint)) }
    }

    /// The space between arguments.
    pub(crate) fn space(&mut self) -> Parse<()> {
        if self.eat(b' ') {
            return Ok(());
        }
        Err(Fault::bad(if self.at_end() { "Argument missing" } else { "Space expected" }))
    }

    pub(crate) fn take_while(&mut self, accept: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.rest();
        let length = rest.iter().position(|&b| !accept(b)).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    /// Takes these characters, ASCII case aside, if they are next.
    pub(crate) fn eat_text(&mut self, text: &str) -> bool {
        let here =
            self.rest().get(..text.len()).is_some_and(|b| b.eq_ignore_ascii_case(text.as_bytes()));
        if here {
            self.at += text.len();
        }
        here
    }

    /// Takes this whole word, ASCII case aside, if it is next.
    pub(crate) fn eat_word(&mut self, word: &str) -> bool {
        let before = self.at;
        if self.take_while(is_atom_char).eq_ignore_ascii_case(word.as_bytes()) {
            return true;
        }
        self.at = before;
        false
    }

    /// An atom.
    pub(crate) fn atom(&mut self, complaint: &'static str) -> Parse<&'a str> {
        let bytes = self.take_while(is_atom_char);
        if bytes.is_empty() {
            return Err(Fault::bad(complaint));
        }
        std::str::from_utf8(bytes).map_err(|_| Fault::bad(complaint))
    }

    /// An atom in upper case.
    pub(crate) fn upper_atom(&mut self, complaint: &'static str) -> Parse<String> {
        Ok(self.atom(complaint)?.to_ascii_uppercase())
    }

    /// A number below 2^64.
    pub(crate) fn number64(&mut self) -> Parse<u64> {
        let digits = self.take_while(|b| b.is_ascii_digit());
        let number = std::str::from_utf8(digits).ok().and_then(|d| d.parse().ok());
        match (number, digits.is_empty()) {
            (Some(number), _) => Ok(number),
            (None, true) => Err(Fault::bad("Number expected")),
            (None, false) => Err(Fault::bad("Number too large")),
        }
    }

    /// A number below 2^32.
    pub(crate) fn number(&mut self) -> Parse<u32> {
        u32::try_from(self.number64()?).map_err(|_| Fault::bad("Number too large"))
    }

    /// A number from 1 to 2^32 - 1.
    pub(crate) fn positive(&mut self) -> Parse<u32> {
        match self.number()? {
            0 => Err(Fault::bad("A number above 0 is expected")),
            number => Ok(number),
        }
    }

    /// A MODSEQ: below 2^63 (RFC 7162 section 7).
    pub(crate) fn modseq(&mut self) -> Parse<u64> {
        match self.number64()? {
            number if number >> 63 == 0 => Ok(number),
            _ => Err(Fault::bad("MODSEQ too large")),
        }
    }

    /// `"…"` or a literal.
    pub(crate) fn string(&mut self) -> Parse<Cow<'a, [u8]>> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'{' | b'~') => self.literal().map(Cow::Borrowed),
            _ => Err(Fault::bad("String expected")),
        }
    }

    /// An unquoted word or a string.
    pub(crate) fn astring(&mut self) -> Parse<Cow<'a, [u8]>> {
        match self.peek() {
            Some(b'"' | b'{') => self.string(),
            _ => {
                let word = self.take_while(is_astring_char);
                match (word.is_empty(), self.at_end()) {
                    (false, _) => Ok(Cow::Borrowed(word)),
                    (true, true) => Err(Fault::bad("Argument missing")),
                    (true, false) => Err(Fault::bad("Word or string expected")),
                }
            }
        }
    }

    /// NIL or a string.
    pub(crate) fn nstring(&mut self) -> Parse<Option<Cow<'a, [u8]>>> {
        if self.eat_word("NIL") { Ok(None) } else { self.string().map(Some) }
    }

    /// An astring that must be UTF-8.
    pub(crate) fn text(&mut self) -> Parse<String> {
        utf8(self.astring()?)
    }

    fn quoted(&mut self) -> Parse<Cow<'a, [u8]>> {
        let rest = self.rest();
        let inner = rest.get(1..).unwrap_or_default();
        // The common case first: no escapes, borrowed from the line.
        let stop = inner.iter().position(|b| matches!(b, b'"' | b'\\' | b'\r' | b'\n' | 0));
        let plain = stop.and_then(|at| inner.get(..at)).unwrap_or_default();
        match stop.and_then(|at| inner.get(at)) {
            Some(b'"') => {
                self.advance(plain.len() + 2);
                return Ok(Cow::Borrowed(plain));
            }
            Some(b'\\') => {}
            _ => return Err(Fault::bad("Quoted string not closed")),
        }
        let mut text = plain.to_vec();
        let mut bytes = inner.iter().skip(plain.len());
        let mut length = plain.len() + 1;
        while let Some(&byte) = bytes.next() {
            length += 1;
            match byte {
                b'"' => {
                    self.advance(length);
                    return Ok(Cow::Owned(text));
                }
                b'\\' => match bytes.next() {
                    Some(&escaped @ (b'"' | b'\\')) => {
                        length += 1;
                        text.push(escaped);
                    }
                    _ => return Err(Fault::bad("Only \\\" and \\\\ may be escaped in a string")),
                },
                b'\r' | b'\n' | 0 => break,
                _ => text.push(byte),
            }
        }
        Err(Fault::bad("Quoted string not closed"))
    }

    /// A literal whose octets follow its line end. Only `~{n}` may hold NUL.
    pub(crate) fn literal(&mut self) -> Parse<&'a [u8]> {
        let binary = self.eat(b'~');
        self.expect(b'{', "Literal expected")?;
        let size = self.number64()?;
        if !self.eat(b'+') {
            self.eat(b'-');
        }
        self.expect(b'}', "Literal not closed")?;
        self.eat(b'\r');
        self.expect(b'\n', "A literal starts on a new line")?;
        let octets = usize::try_from(size).ok().and_then(|size| self.rest().get(..size));
        let octets = octets.ok_or(Fault::bad("Literal cut short"))?;
        if !binary && memchr::memchr(0, octets).is_some() {
            return Err(Fault::bad("NUL is not allowed in a literal"));
        }
        self.at += octets.len();
        Ok(octets)
    }

    /// A mailbox name in UTF-8, `INBOX` in capitals.
    pub(crate) fn mailbox(&mut self) -> Parse<String> {
        let wire = self.astring()?;
        self.mailbox_from(&wire)
    }

    /// A name or pattern of LIST, in which `%` and `*` may stand unquoted.
    pub(crate) fn list_mailbox(&mut self) -> Parse<String> {
        let wire = match self.peek() {
            Some(b'"' | b'{') => self.string()?,
            _ => {
                let word = self.take_while(|b| is_astring_char(b) || matches!(b, b'%' | b'*'));
                if word.is_empty() {
                    return Err(Fault::bad("Mailbox pattern expected"));
                }
                Cow::Borrowed(word)
            }
        };
        self.mailbox_from(&wire)
    }

    fn mailbox_from(&self, wire: &[u8]) -> Parse<String> {
        if wire.len() > mailbox_name::MAX_WIRE {
            return Err(Fault::no(Some("CANNOT"), "Mailbox name too long"));
        }
        if wire.eq_ignore_ascii_case(b"INBOX") {
            return Ok("INBOX".to_owned());
        }
        let name = match self.options.utf8 {
            true => std::str::from_utf8(wire).ok().map(str::to_owned),
            false => mailbox_name::decode_tolerant(wire),
        };
        name.ok_or(Fault::bad("Mailbox name is neither modified UTF-7 nor UTF-8"))
    }

    /// `1:3,5,*` or `$`.
    pub(crate) fn sequence_set(&mut self) -> Parse<SequenceSet> {
        if self.eat(b'$') {
            return Ok(SequenceSet::Saved);
        }
        let mut ranges: SmallVec<[Range; 2]> = SmallVec::new();
        loop {
            if ranges.len() >= SequenceSet::MAX_RANGES {
                return Err(Fault::bad("Too many ranges in a message set"));
            }
            let from = self.sequence_number()?;
            let to = if self.eat(b':') { self.sequence_number()? } else { from };
            ranges.push(Range { from, to });
            if !self.eat(b',') {
                return Ok(SequenceSet::Ranges(ranges));
            }
        }
    }

    fn sequence_number(&mut self) -> Parse<u32> {
        if self.eat(b'*') {
            return Ok(STAR);
        }
        match self.peek() {
            Some(b'0'..=b'9') => {
                self.positive().map_err(|_| Fault::bad("Message numbers are 1 to 4294967295"))
            }
            _ => Err(Fault::bad("Message set expected")),
        }
    }

    /// One flag, system or keyword.
    pub(crate) fn flag(&mut self) -> Parse<Flag> {
        let rest = self.rest();
        let backslash = usize::from(self.eat(b'\\'));
        let length = backslash + self.take_while(super::is_flag_char).len();
        let text = rest.get(..length).and_then(|b| std::str::from_utf8(b).ok());
        text.and_then(Flag::parse).ok_or(Fault::bad("Flag expected"))
    }

    /// `(…)` of flags, possibly empty.
    pub(crate) fn flag_list(&mut self) -> Parse<SmallVec<[Flag; 4]>> {
        self.expect(b'(', "List of flags expected")?;
        let mut flags = SmallVec::new();
        if self.eat(b')') {
            return Ok(flags);
        }
        loop {
            if flags.len() >= Flag::MAX_LIST {
                return Err(Fault::coded("LIMIT", "Too many flags"));
            }
            flags.push(self.flag()?);
            if self.eat(b')') {
                return Ok(flags);
            }
            self.expect(b' ', "List of flags not closed")?;
        }
    }

    /// Base64 with its padding, undone.
    pub(crate) fn base64(&mut self) -> Parse<Vec<u8>> {
        let text =
            self.take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='));
        undo_base64(text).ok_or(Fault::bad("Base64 expected"))
    }
}

/// Undoes base64 as SASL and certificates write it.
pub(crate) fn undo_base64(text: &[u8]) -> Option<Vec<u8>> {
    base64::engine::general_purpose::STANDARD.decode(text).ok()
}

/// Text that must be UTF-8.
pub(crate) fn utf8(bytes: Cow<'_, [u8]>) -> Parse<String> {
    String::from_utf8(bytes.into_owned()).map_err(|_| Fault::bad("Text is not UTF-8"))
}
