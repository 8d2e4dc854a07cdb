//! Building headers: fields that cannot be broken out of, folded; message identifiers from
//! given randomness.
//!
//! It must never know what time it is and makes no randomness of its own.

use crate::address::Mailbox;
use crate::date::{self, Moment};
use crate::encoded_word;

/// Characters after which a line is folded where it can be.
const LINE_WANTED: usize = 76;

/// Octets of one value that are written.
const VALUE_MAX: usize = 64 * 1024;

/// Octets of one word after which it is folded all the same, because no line may be longer than
/// 998 octets (RFC 5322 2.1.1).
const WORD_MAX: usize = 900;

/// Builds a header block field by field.
#[derive(Debug, Clone, Default)]
pub struct HeaderBuilder {
    out: String,
}

impl HeaderBuilder {
    /// An empty header.
    pub fn new() -> HeaderBuilder {
        HeaderBuilder::default()
    }

    /// A field with a value that is already in the form of its kind (structured fields). Line
    /// ends and other control characters become spaces; long lines are folded at spaces.
    pub fn field(mut self, name: &str, value: &str) -> HeaderBuilder {
        let name: String = name.chars().filter(|c| matches!(c, '!'..='9' | ';'..='~')).collect();
        self.out.push_str(&name);
        self.out.push(':');
        let mut column = name.len() + 1;
        let value = clean(value, VALUE_MAX);
        let words = value.split(' ').filter(|w| !w.is_empty());
        for word in words.flat_map(|word| Pieces { rest: word }) {
            if column + 1 + word.len() > LINE_WANTED && column > name.len() + 1 {
                self.out.push_str("\r\n");
                column = 0;
            }
            self.out.push(' ');
            self.out.push_str(word);
            column += 1 + word.len();
        }
        self.out.push_str("\r\n");
        self
    }

    /// A field of free text, encoded where it is not ASCII.
    pub fn text(self, name: &str, text: &str) -> HeaderBuilder {
        let coded = encoded_word::encode_text(&clean(text, VALUE_MAX));
        self.field(name, &coded)
    }

    /// A field of addresses.
    pub fn addresses(self, name: &str, list: &[Mailbox]) -> HeaderBuilder {
        let value: Vec<String> = list.iter().map(mailbox).collect();
        self.field(name, &value.join(", "))
    }

    /// A date field.
    pub fn date(self, name: &str, moment: Moment) -> HeaderBuilder {
        self.field(name, &date::format(moment))
    }

    /// The fields, without the empty line.
    pub fn fields(self) -> String {
        self.out
    }

    /// The fields with the empty line that ends a header.
    pub fn finish(mut self) -> String {
        self.out.push_str("\r\n");
        self.out
    }
}

/// A word in pieces that fit on a line; nearly always the word itself.
struct Pieces<'w> {
    rest: &'w str,
}

impl<'w> Iterator for Pieces<'w> {
    type Item = &'w str;

    fn next(&mut self) -> Option<&'w str> {
        let mut end = self.rest.len().min(WORD_MAX);
        while !self.rest.is_char_boundary(end) {
            end -= 1;
        }
        let (piece, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        (!piece.is_empty()).then_some(piece)
    }
}

/// One address as it stands in a field, quoted and encoded as needed.
pub fn mailbox(mailbox: &Mailbox) -> String {
    let local = clean(&mailbox.local, VALUE_MAX);
    let local = if is_dot_atom(&local) { local } else { quote(&local) };
    let domain = clean(&mailbox.domain, VALUE_MAX).replace(['>', '<', ',', ' '], "");
    let address = if domain.is_empty() { local } else { format!("{local}@{domain}") };
    if mailbox.name.is_empty() {
        return address;
    }
    let name = clean(&mailbox.name, VALUE_MAX);
    let name = if !name.is_ascii() || name.contains("=?") {
        encoded_word::encode_text(&name)
    } else if name.split(' ').all(|w| w.chars().all(is_atom_char)) {
        name
    } else {
        quote(&name)
    };
    format!("{name} <{address}>")
}

fn is_atom_char(c: char) -> bool {
    c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c)
}

fn is_dot_atom(text: &str) -> bool {
    !text.is_empty() && text.split('.').all(|a| !a.is_empty() && a.chars().all(is_atom_char))
}

fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

/// A message identifier with angle brackets, from random bytes of the caller.
pub fn message_id(random: &[u8; 16], host: &str) -> String {
    format!("<{}@{}>", hex(random), host_part(host))
}

/// A message identifier of the form modules use: `<web-1234@host>`, `<list-1234@host>`.
pub fn module_message_id(module: &str, id: u64, host: &str) -> String {
    format!("<{}-{id}@{}>", host_part(module), host_part(host))
}

fn host_part(text: &str) -> String {
    let part: String = clean(text, 255)
        .chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, '<' | '>' | '@' | '(' | ')'))
        .collect();
    if part.is_empty() { "localhost".to_owned() } else { part }
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Text from outside without control characters, cut to `max` octets.
pub(crate) fn clean(text: &str, max: usize) -> String {
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let text = text.get(..end).unwrap_or_default();
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{address, header};

    #[test]
    fn fields_cannot_be_broken_out_of() {
        let block = HeaderBuilder::new()
            .field("X: y\r\n", "a\r\nBcc: x")
            .text("Subject", "Größe\r\nBcc: y")
            .field("Long", &"word ".repeat(100))
            .field("Endless", &"é".repeat(2000))
            .finish();
        assert_eq!(header::fields(block.as_bytes()).count(), 4);
        assert!(block.lines().all(|l| l.len() <= 78 || l.contains('é') && l.len() <= 998));
        let subject = header::find(block.as_bytes(), "Subject").unwrap().text();
        assert_eq!(subject, "Größe  Bcc: y");
    }

    #[test]
    fn addresses_written_are_read_back() {
        let list = vec![
            Mailbox { name: "Jörg, \"x\"".into(), local: "j".into(), domain: "d.e".into() },
            Mailbox { name: "A, B".into(), local: "a b".into(), domain: "d.e".into() },
            Mailbox { name: String::new(), local: "x.y".into(), domain: "d".into() },
        ];
        let block = HeaderBuilder::new().addresses("To", &list).finish();
        let field = header::find(block.as_bytes(), "to").unwrap();
        assert_eq!(address::mailboxes(field.value), list);
    }

    #[test]
    fn identifiers_come_from_given_bytes() {
        assert_eq!(message_id(&[0xab; 16], "h"), format!("<{}@h>", "ab".repeat(16)));
        assert_eq!(module_message_id("web", 7, "h"), "<web-7@h>");
    }
}
