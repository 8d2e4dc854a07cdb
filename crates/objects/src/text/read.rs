//! Reading objects, with the tolerance that real clients need (section 4.2) and bounds on depth
//! and length.

use std::net::{IpAddr, SocketAddr};

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use super::{Layout, MAX_DEPTH, MAX_FILE, MAX_LINE, SyntaxError, stamp};
use crate::value::{Dictionary, Value};

/// Padding may be there or not; old writers differ.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Reads objects one after the other from a text, as CLI commands need it: keywords and objects
/// separated by spaces.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    layout: Layout,
}

impl<'a> Reader<'a> {
    /// Starts reading; a byte order mark at the start of a file is skipped.
    ///
    /// # Errors
    /// When the text is longer than the layout allows.
    pub fn new(text: &'a [u8], layout: Layout) -> Result<Self, SyntaxError> {
        let limit = match layout {
            Layout::Line => MAX_LINE,
            Layout::File => MAX_FILE,
        };
        if text.len() > limit {
            return Err(SyntaxError { what: "text is too long", position: limit });
        }
        let text = match layout {
            Layout::File => text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text),
            Layout::Line => text,
        };
        Ok(Self { text, at: 0, layout })
    }

    /// Offset of the next byte to be read.
    #[must_use]
    pub fn position(&self) -> usize {
        self.at
    }

    /// What has not been read yet, leading white space passed over.
    pub fn rest(&mut self) -> &'a [u8] {
        let _ = self.space();
        self.text.get(self.at..).unwrap_or_default()
    }

    /// True when nothing but white space is left.
    pub fn at_end(&mut self) -> bool {
        self.rest().is_empty()
    }

    /// Wants nothing but white space to be left.
    ///
    /// # Errors
    /// When something is left, or a comment is not closed.
    pub fn end(&mut self) -> Result<(), SyntaxError> {
        self.space()?;
        if self.at < self.text.len() {
            self.fail("unexpected text after the object")
        } else {
            Ok(())
        }
    }

    /// Reads an unquoted word if one comes next; leaves everything where it is otherwise. A word
    /// ends at white space or at the end of the text.
    pub fn word(&mut self) -> Option<&'a str> {
        let before = self.at;
        let _ = self.space();
        let start = self.at;
        while self.peek().is_some_and(is_atom_byte) {
            self.at += 1;
        }
        let word = self.text.get(start..self.at).and_then(|w| std::str::from_utf8(w).ok());
        let ends = self.peek().is_none_or(|b| self.is_space(b));
        match word {
            Some(word) if ends && !word.is_empty() && !word.starts_with('#') => Some(word),
            _ => {
                self.at = before;
                None
            }
        }
    }

    /// Reads one object that stands between white space, as CLI parameters do. Neighbouring
    /// quoted strings are not joined: they are two parameters.
    ///
    /// # Errors
    /// [`SyntaxError`].
    pub fn parameter(&mut self) -> Result<Value, SyntaxError> {
        self.space()?;
        let value = match self.peek() {
            Some(b'"') => {
                let mut bytes = Vec::new();
                self.quoted(&mut bytes)?;
                Value::String(text_of(bytes))
            }
            Some(b'[') => Value::Data(self.block()?),
            _ => self.object()?,
        };
        // One library writes a name and the dictionary after it without a space between them.
        if self.peek().is_some_and(|b| !self.is_space(b) && !matches!(b, b'{' | b'(')) {
            return self.fail("a space is expected between parameters");
        }
        Ok(value)
    }

    /// Reads one object.
    ///
    /// # Errors
    /// [`SyntaxError`].
    pub fn object(&mut self) -> Result<Value, SyntaxError> {
        self.value(0)
    }

    fn fail<T>(&self, what: &'static str) -> Result<T, SyntaxError> {
        Err(SyntaxError { what, position: self.at })
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.at += 1;
        }
        found
    }

    fn take_text(&mut self, text: &[u8]) -> bool {
        let found = self.text.get(self.at..).is_some_and(|rest| rest.starts_with(text));
        if found {
            self.at += text.len();
        }
        found
    }

    fn is_space(&self, byte: u8) -> bool {
        match self.layout {
            Layout::Line => matches!(byte, b' ' | b'\t'),
            Layout::File => matches!(byte, b' ' | b'\t' | b'\r' | b'\n'),
        }
    }

    fn space(&mut self) -> Result<(), SyntaxError> {
        loop {
            while self.peek().is_some_and(|b| self.is_space(b)) {
                self.at += 1;
            }
            if self.layout == Layout::Line {
                return Ok(());
            }
            let rest = self.text.get(self.at..).unwrap_or_default();
            if rest.starts_with(b"//") {
                let length = rest.iter().position(|b| matches!(b, b'\r' | b'\n'));
                self.at += length.unwrap_or(rest.len());
            } else if rest.starts_with(b"/*") {
                let end = rest.windows(2).skip(2).position(|pair| pair == b"*/");
                let Some(end) = end else { return self.fail("comment is not closed") };
                self.at += end + 4;
            } else {
                return Ok(());
            }
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, SyntaxError> {
        self.space()?;
        match self.peek() {
            None => self.fail("an object is expected"),
            Some(b'"') => self.string().map(Value::String),
            Some(b'[') => {
                let mut bytes = self.block()?;
                loop {
                    self.space()?;
                    if self.peek() != Some(b'[') {
                        return Ok(Value::Data(bytes));
                    }
                    bytes.append(&mut self.block()?);
                }
            }
            Some(b'(') => self.array(depth),
            Some(b'{') => self.dictionary(depth),
            Some(b'#') => self.special(),
            Some(b'<') => self.xml(),
            Some(_) => self.string().map(Value::String),
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, SyntaxError> {
        if depth >= MAX_DEPTH {
            return self.fail("objects are nested too deep");
        }
        self.at += 1;
        let mut all = Vec::new();
        self.space()?;
        if self.take(b')') {
            return Ok(Value::Array(all));
        }
        loop {
            all.push(self.value(depth + 1)?);
            self.space()?;
            if self.take(b')') {
                return Ok(Value::Array(all));
            }
            if !self.take(b',') {
                return self.fail("a comma or a closing parenthesis is expected");
            }
        }
    }

    fn dictionary(&mut self, depth: usize) -> Result<Value, SyntaxError> {
        if depth >= MAX_DEPTH {
            return self.fail("objects are nested too deep");
        }
        self.at += 1;
        let mut pairs = Dictionary::new();
        loop {
            self.space()?;
            if self.take(b'}') {
                return Ok(Value::Dictionary(pairs));
            }
            let key = self.string()?;
            self.space()?;
            if !self.take(b'=') {
                return self.fail("an equals sign is expected after a key");
            }
            let value = self.value(depth + 1)?;
            self.space()?;
            if !self.take(b';') {
                return self.fail("a semicolon is expected after a value");
            }
            pairs.insert(key, value);
        }
    }

    fn string(&mut self) -> Result<String, SyntaxError> {
        let mut bytes = Vec::new();
        if self.peek() == Some(b'"') {
            while self.peek() == Some(b'"') {
                self.quoted(&mut bytes)?;
                let after = self.at;
                self.space()?;
                if self.peek() != Some(b'"') {
                    self.at = after;
                }
            }
        } else {
            let start = self.at;
            if self.peek() == Some(b'#') {
                return self.fail("failed to read an unquoted string: non a/n data");
            }
            while self.peek().is_some_and(is_atom_byte) {
                self.at += 1;
            }
            bytes.extend_from_slice(self.text.get(start..self.at).unwrap_or_default());
            if bytes.is_empty() {
                return self.fail("failed to read an unquoted string: non a/n data");
            }
        }
        Ok(text_of(bytes))
    }

    fn quoted(&mut self, bytes: &mut Vec<u8>) -> Result<(), SyntaxError> {
        self.at += 1;
        loop {
            match self.peek() {
                None => return self.fail("closing quotation mark is missing"),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(0 | b'\r' | b'\n') => {
                    return self.fail("a string may not hold a zero byte or a raw line end");
                }
                Some(b'\\') => {
                    self.at += 1;
                    self.escape(bytes)?;
                }
                Some(byte) => {
                    self.at += 1;
                    bytes.push(byte);
                }
            }
        }
    }

    fn escape(&mut self, bytes: &mut Vec<u8>) -> Result<(), SyntaxError> {
        let Some(byte) = self.peek() else {
            return self.fail("closing quotation mark is missing");
        };
        match byte {
            b'0'..=b'9' => {
                let digits = self.text.get(self.at..self.at + 3).unwrap_or_default();
                if digits.len() != 3 || !digits.iter().all(u8::is_ascii_digit) {
                    return self.fail("three decimal digits are expected");
                }
                let code = digits.iter().fold(0_u32, |sum, d| sum * 10 + u32::from(d - b'0'));
                match u8::try_from(code) {
                    Ok(code) if code > 0 => bytes.push(code),
                    _ => return self.fail("a byte of 001 to 255 is expected"),
                }
                self.at += 3;
                return Ok(());
            }
            b'u' if self.text.get(self.at + 1) == Some(&b'\'') => return self.code_point(bytes),
            b'r' => bytes.push(b'\r'),
            b'n' | b'e' => bytes.push(b'\n'),
            b't' => bytes.push(b'\t'),
            0 | b'\r' | b'\n' => {
                return self.fail("a string may not hold a zero byte or a raw line end");
            }
            other => bytes.push(other),
        }
        self.at += 1;
        Ok(())
    }

    fn code_point(&mut self, bytes: &mut Vec<u8>) -> Result<(), SyntaxError> {
        let start = self.at + 2;
        let rest = self.text.get(start..).unwrap_or_default();
        let end = rest.iter().take(7).position(|b| *b == b'\'');
        let code = end
            .and_then(|end| rest.get(..end))
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|hex| u32::from_str_radix(hex, 16).ok())
            .and_then(char::from_u32)
            .filter(|c| *c != '\0');
        let (Some(end), Some(c)) = (end, code) else {
            return self.fail("a code point in hexadecimal digits is expected");
        };
        bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        self.at = start + end + 1;
        Ok(())
    }

    fn block(&mut self) -> Result<Vec<u8>, SyntaxError> {
        let start = self.at + 1;
        let rest = self.text.get(start..).unwrap_or_default();
        let Some(length) = rest.iter().position(|b| *b == b']') else {
            return self.fail("closing bracket of a datablock is missing");
        };
        let inner = rest.get(..length).unwrap_or_default();
        let compact: Vec<u8> = inner.iter().copied().filter(|b| !self.is_space(*b)).collect();
        match BASE64.decode(compact) {
            Ok(bytes) => {
                self.at = start + length + 1;
                Ok(bytes)
            }
            Err(_) => self.fail("a datablock is not base64"),
        }
    }

    fn special(&mut self) -> Result<Value, SyntaxError> {
        if self.take_text(b"#NULL#") {
            return Ok(Value::Null);
        }
        if self.take_text(b"#T") {
            return self.time();
        }
        if self.take_text(b"#I[") {
            return self.address();
        }
        self.number()
    }

    fn tail(&self) -> &'a [u8] {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let length = rest
            .iter()
            .position(|b| self.is_space(*b) || matches!(b, b',' | b';' | b'=' | b')' | b'}'))
            .unwrap_or(rest.len());
        rest.get(..length).unwrap_or_default()
    }

    fn number(&mut self) -> Result<Value, SyntaxError> {
        let word = self.tail();
        let text = std::str::from_utf8(word).unwrap_or_default();
        let text = text.strip_prefix('#').unwrap_or_default();
        let (negative, digits) = match text.as_bytes().first() {
            Some(b'-') => (true, text.get(1..).unwrap_or_default()),
            Some(b'+') => (false, text.get(1..).unwrap_or_default()),
            _ => (false, text),
        };
        let (radix, digits) = match digits.get(..2) {
            Some("0x" | "0X") => (16, digits.get(2..).unwrap_or_default()),
            Some("0b" | "0B") => (2, digits.get(2..).unwrap_or_default()),
            Some("0o" | "0O") => (8, digits.get(2..).unwrap_or_default()),
            _ => (10, digits),
        };
        let plain = digits.bytes().all(|b| b.is_ascii_hexdigit());
        let magnitude = if plain { i128::from_str_radix(digits, radix).ok() } else { None };
        let number = magnitude.and_then(|m| i64::try_from(if negative { -m } else { m }).ok());
        match number {
            Some(number) => {
                self.at += word.len();
                Ok(Value::Number(number))
            }
            None => self.fail("a number is expected"),
        }
    }

    fn time(&mut self) -> Result<Value, SyntaxError> {
        let word = self.tail();
        let seconds = match word {
            b"PAST" => Some(i64::MIN),
            b"FUTURE" => Some(i64::MAX),
            _ => stamp::read(word),
        };
        match seconds {
            Some(seconds) => {
                self.at += word.len();
                Ok(Value::Time(seconds))
            }
            None => self.fail("a time stamp DD-MM-YYYY_hh:mm:ss is expected"),
        }
    }

    fn address(&mut self) -> Result<Value, SyntaxError> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let inner = rest.iter().take(64).position(|b| *b == b']').and_then(|end| rest.get(..end));
        let ip: Option<IpAddr> =
            inner.and_then(|i| std::str::from_utf8(i).ok()).and_then(|i| i.trim().parse().ok());
        let (Some(inner), Some(ip)) = (inner, ip) else {
            return self.fail("an IP address is expected");
        };
        self.at += inner.len() + 1;
        if !self.take(b':') {
            return Ok(Value::Ip(ip));
        }
        let digits = self.tail();
        let plain = digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit);
        let port = std::str::from_utf8(digits).ok().filter(|_| plain).and_then(|d| d.parse().ok());
        match port {
            Some(port) => {
                self.at += digits.len();
                Ok(Value::Socket(SocketAddr::new(ip, port)))
            }
            None => self.fail("a port number is expected"),
        }
    }

    /// An XML element, kept as its text. Only tags are understood, so that its end is found.
    fn xml(&mut self) -> Result<Value, SyntaxError> {
        let start = self.at;
        let mut open = 0_usize;
        loop {
            if self.take_text(b"<!--") {
                self.past(b"-->")?;
            } else if self.take_text(b"<![CDATA[") {
                self.past(b"]]>")?;
            } else if self.take_text(b"</") {
                self.past(b">")?;
                open = open.saturating_sub(1);
            } else {
                if !self.take(b'<')
                    || !self.peek().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
                {
                    return self.fail("an XML element is expected");
                }
                if !self.tag()? {
                    open += 1;
                }
            }
            if open == 0 {
                break;
            }
            let rest = self.text.get(self.at..).unwrap_or_default();
            let Some(next) = rest.iter().position(|b| *b == b'<') else {
                return self.fail("an XML element is not closed");
            };
            self.at += next;
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        if text
            .iter()
            .any(|b| *b == 0 || (self.layout == Layout::Line && matches!(b, b'\r' | b'\n')))
        {
            return self.fail("an XML object may not hold a zero byte or a raw line end");
        }
        Ok(Value::Xml(text_of(text.to_vec())))
    }

    fn past(&mut self, end: &[u8]) -> Result<(), SyntaxError> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        match rest.windows(end.len()).position(|w| w == end) {
            Some(at) => {
                self.at += at + end.len();
                Ok(())
            }
            None => self.fail("an XML element is not closed"),
        }
    }

    /// The rest of an opening tag; true when it closes itself.
    fn tag(&mut self) -> Result<bool, SyntaxError> {
        let mut quote = None;
        let mut slash = false;
        while let Some(byte) = self.peek() {
            self.at += 1;
            match (quote, byte) {
                (Some(q), _) if q == byte => quote = None,
                (Some(_), _) => {}
                (None, b'"' | b'\'') => quote = Some(byte),
                (None, b'>') => return Ok(slash),
                (None, _) => {}
            }
            slash = quote.is_none() && byte == b'/';
        }
        self.fail("an XML element is not closed")
    }
}

/// Bytes taken in an unquoted string (section 4.1, the reader's rule; `#` not at the start).
fn is_atom_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || byte >= 0x80
        || matches!(
            byte,
            b'.' | b'-'
                | b'_'
                | b'@'
                | b':'
                | b'%'
                | b'!'
                | b'+'
                | b'/'
                | b'*'
                | b'~'
                | b'$'
                | b'&'
                | b'\''
                | b'?'
                | b'^'
                | b'|'
                | b'#'
        )
}

/// UTF-8 if it is, else each byte as the ISO-8859-1 character it is (old clients send those).
fn text_of(bytes: Vec<u8>) -> String {
    match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => error.as_bytes().iter().map(|b| char::from(*b)).collect(),
    }
}
