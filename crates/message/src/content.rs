//! The values of Content-Type and Content-Disposition: a word and parameters (RFC 2045 5.1,
//! RFC 2183). Reading is forgiving, because senders are not careful.
//!
//! It must never know about bodies or about IMAP.

use std::borrow::Cow;

/// Parameters considered of one field.
pub const PARAMETERS_MAX: usize = 200;

/// Octets considered of one such field.
pub const FIELD_MAX: usize = 64 * 1024;

/// One parameter: the name as written, the value without quotes and folds. RFC 2231 pieces
/// (`name*0*`) are left as they are; see [`crate::encoded_word::parameter`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter<'a> {
    /// The name as written.
    pub name: Cow<'a, [u8]>,
    /// The value, quotes removed.
    pub value: Cow<'a, [u8]>,
}

/// A Content-Type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentType<'a> {
    /// Top-level type as written, such as `text`.
    pub kind: Cow<'a, [u8]>,
    /// Subtype as written, such as `plain`.
    pub subtype: Cow<'a, [u8]>,
    /// The parameters in their order.
    pub parameters: Vec<Parameter<'a>>,
}

impl<'a> ContentType<'a> {
    /// A type without parameters.
    pub fn bare(kind: &'static str, subtype: &'static str) -> ContentType<'a> {
        ContentType {
            kind: Cow::Borrowed(kind.as_bytes()),
            subtype: Cow::Borrowed(subtype.as_bytes()),
            parameters: Vec::new(),
        }
    }

    /// What RFC 2045 5.2 assumes where nothing (or nothing readable) is said.
    pub fn assumed() -> ContentType<'a> {
        let mut assumed = ContentType::bare("text", "plain");
        assumed
            .parameters
            .push(Parameter { name: (&b"charset"[..]).into(), value: (&b"us-ascii"[..]).into() });
        assumed
    }

    /// Whether the type is this one (ASCII case does not count).
    pub fn is(&self, kind: &str, subtype: &str) -> bool {
        self.is_kind(kind) && self.subtype.eq_ignore_ascii_case(subtype.as_bytes())
    }

    /// Whether the top-level type is this one.
    pub fn is_kind(&self, kind: &str) -> bool {
        self.kind.eq_ignore_ascii_case(kind.as_bytes())
    }

    /// The value of the first parameter of that name, RFC 2231 not decoded.
    pub fn parameter(&self, name: &str) -> Option<&[u8]> {
        find(&self.parameters, name)
    }

    /// A copy that borrows nothing.
    pub fn into_owned(self) -> ContentType<'static> {
        ContentType {
            kind: Cow::Owned(self.kind.into_owned()),
            subtype: Cow::Owned(self.subtype.into_owned()),
            parameters: self
                .parameters
                .into_iter()
                .map(|p| Parameter {
                    name: Cow::Owned(p.name.into_owned()),
                    value: Cow::Owned(p.value.into_owned()),
                })
                .collect(),
        }
    }
}

/// The value of the first parameter of that name.
pub fn find<'p>(parameters: &'p [Parameter<'_>], name: &str) -> Option<&'p [u8]> {
    parameters
        .iter()
        .find(|p| p.name.eq_ignore_ascii_case(name.as_bytes()))
        .map(|p| p.value.as_ref())
}

/// Reads the value of a Content-Type field; nothing if no type can be made out.
pub fn content_type(value: &[u8]) -> Option<ContentType<'_>> {
    let mut words = Words::new(value);
    let kind = words.token();
    if kind.is_empty() {
        return None;
    }
    words.space();
    let mut subtype: &[u8] = b"";
    if words.eat(b'/') {
        words.space();
        subtype = words.token();
    }
    if subtype.is_empty() {
        // `Content-Type: text` is a known habit.
        if !kind.eq_ignore_ascii_case(b"text") {
            return None;
        }
        subtype = b"plain";
    }
    let parameters = words.parameters();
    Some(ContentType { kind: Cow::Borrowed(kind), subtype: Cow::Borrowed(subtype), parameters })
}

/// Reads the value of a Content-Disposition field: the word (`inline`, `attachment`) and its
/// parameters.
pub fn disposition(value: &[u8]) -> Option<(&[u8], Vec<Parameter<'_>>)> {
    let mut words = Words::new(value);
    let kind = words.token();
    if kind.is_empty() {
        return None;
    }
    Some((kind, words.parameters()))
}

/// The single word of a field such as Content-Transfer-Encoding.
pub fn word(value: &[u8]) -> Option<&[u8]> {
    let token = Words::new(value).token();
    (!token.is_empty()).then_some(token)
}

/// The words of a list separated by commas, such as Content-Language.
pub fn words(value: &[u8]) -> Vec<&[u8]> {
    let mut words = Words::new(value);
    let mut list = Vec::new();
    while list.len() < PARAMETERS_MAX {
        words.space();
        let token = words.token();
        if !token.is_empty() {
            list.push(token);
        }
        words.space();
        match words.peek() {
            None => break,
            Some(_) => words.at += 1,
        }
    }
    list
}

struct Words<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Words<'a> {
    fn new(value: &'a [u8]) -> Words<'a> {
        let mut words = Words { text: value.get(..FIELD_MAX).unwrap_or(value), at: 0 };
        words.space();
        words
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    /// White space, folds and comments. Comments nest by counting, never by recursion.
    fn space(&mut self) {
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => self.at += 1,
                b'(' => self.at += comment_length(self.text.get(self.at..).unwrap_or_default()),
                _ => break,
            }
        }
    }

    fn token(&mut self) -> &'a [u8] {
        let start = self.at;
        while let Some(byte) = self.peek() {
            if byte <= b' '
                || byte == 0x7f
                || matches!(
                    byte,
                    b'(' | b')'
                        | b'<'
                        | b'>'
                        | b'@'
                        | b','
                        | b';'
                        | b':'
                        | b'\\'
                        | b'"'
                        | b'/'
                        | b'['
                        | b']'
                        | b'?'
                        | b'='
                )
            {
                break;
            }
            self.at += 1;
        }
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn parameters(&mut self) -> Vec<Parameter<'a>> {
        let mut list = Vec::new();
        while list.len() < PARAMETERS_MAX {
            // On to the next semicolon, whatever junk is before it.
            loop {
                self.space();
                match self.peek() {
                    None => return list,
                    Some(b';') => {
                        self.at += 1;
                        break;
                    }
                    Some(b'"') => {
                        self.quoted();
                    }
                    Some(_) => self.at += 1,
                }
            }
            self.space();
            let name = self.token();
            self.space();
            if name.is_empty() || !self.eat(b'=') {
                continue;
            }
            self.space();
            let value = if self.peek() == Some(b'"') { self.quoted() } else { self.bare_value() };
            list.push(Parameter { name: Cow::Borrowed(name), value });
        }
        list
    }

    /// A value without quotes: up to the semicolon, because `name=two words.txt` is common.
    fn bare_value(&mut self) -> Cow<'a, [u8]> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let mut end = memchr::memchr(b';', rest).unwrap_or(rest.len());
        if let Some(comment) = memchr::memmem::find(rest.get(..end).unwrap_or_default(), b" (") {
            end = comment;
        }
        self.at += end;
        crate::header::unfold(rest.get(..end).unwrap_or_default())
    }

    fn quoted(&mut self) -> Cow<'a, [u8]> {
        self.at += 1;
        let rest = self.text.get(self.at..).unwrap_or_default();
        // The plain case borrows.
        if let Some(end) = rest.iter().position(|b| matches!(b, b'"' | b'\\' | b'\r' | b'\n'))
            && rest.get(end) == Some(&b'"')
        {
            self.at += end + 1;
            return Cow::Borrowed(rest.get(..end).unwrap_or_default());
        }
        let mut value = Vec::new();
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'"' => break,
                b'\r' | b'\n' => {}
                b'\\' => {
                    if let Some(next) = self.peek() {
                        self.at += 1;
                        value.push(next);
                    }
                }
                _ => value.push(byte),
            }
        }
        Cow::Owned(value)
    }
}

/// Octets of the comment this text begins with; all of it if the comment does not end.
pub(crate) fn comment_length(text: &[u8]) -> usize {
    let mut depth = 0u64;
    let mut escaped = false;
    for (at, byte) in text.iter().enumerate() {
        if escaped {
            escaped = false;
            continue;
        }
        match byte {
            b'\\' => escaped = true,
            b'(' => depth += 1,
            b')' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_parameters_are_read() {
        let t =
            content_type(b" Text/HTML (a (nested) note); charset=\"utf-8\";\r\n name=a b.txt ; x")
                .unwrap();
        assert!(t.is("text", "html"));
        assert_eq!(t.parameter("CHARSET"), Some(&b"utf-8"[..]));
        assert_eq!(t.parameter("name"), Some(&b"a b.txt"[..]));
        assert_eq!(t.parameters.len(), 2);
        assert!(content_type(b"text").unwrap().is("text", "plain"));
        assert!(content_type(b"; charset=x").is_none());
        assert!(content_type(b"image").is_none());
        let q = content_type(br#"a/b; n="x\"y;z"; m=1"#).unwrap();
        assert_eq!(q.parameter("n"), Some(&br#"x"y;z"#[..]));
        assert_eq!(q.parameter("m"), Some(&b"1"[..]));
    }

    #[test]
    fn hostile_parameters_are_bounded() {
        // ABU-46: a flood of parameters, comments nested 100,000 deep.
        let flood = [b"a/b".to_vec(), b"; p*0=x".repeat(100_000)].concat();
        assert!(content_type(&flood).unwrap().parameters.len() <= PARAMETERS_MAX);
        let nested = [b"(".repeat(100_000), b"a/b".to_vec()].concat();
        assert!(content_type(&nested).is_none());
    }
}
