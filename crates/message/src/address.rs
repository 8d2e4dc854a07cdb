//! Address lists of RFC 5322 3.4: mailboxes and groups, old routes and comments as names. The
//! reading never fails: broken addresses give stable answers, and lists are bounded.
//!
//! It must never know which field a list comes from.

use crate::content::comment_length;
use crate::encoded_word;

/// Items (mailboxes and group marks) read of one list.
pub const ADDRESSES_MAX: usize = 10_000;

/// One step of an address list, raw: quotes removed, encoded words not decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item<'s> {
    /// A mailbox.
    Mailbox {
        /// Display name, or the comment behind a bare address; empty if there is none.
        name: &'s [u8],
        /// Old source route such as `@a,@b`; empty if there is none.
        route: &'s [u8],
        /// Local part without quotes.
        local: &'s [u8],
        /// Domain; empty if it is missing.
        domain: &'s [u8],
    },
    /// A group of this name begins.
    GroupStart(&'s [u8]),
    /// The group ends.
    GroupEnd,
}

/// A mailbox that owns its texts, decoded to UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mailbox {
    /// Display name, encoded words decoded; empty if there is none.
    pub name: String,
    /// Local part without quotes.
    pub local: String,
    /// Domain; empty if it is missing.
    pub domain: String,
}

impl Mailbox {
    /// `local@domain`, or the local part alone.
    pub fn address(&self) -> String {
        if self.domain.is_empty() {
            return self.local.clone();
        }
        format!("{}@{}", self.local, self.domain)
    }
}

/// The mailboxes of a list, those inside groups too.
pub fn mailboxes(value: &[u8]) -> Vec<Mailbox> {
    let mut list = Vec::new();
    let mut left = ADDRESSES_MAX;
    parse(value, &mut left, |item| {
        if let Item::Mailbox { name, local, domain, .. } = item {
            list.push(Mailbox {
                name: encoded_word::decode_text(name),
                local: String::from_utf8_lossy(local).into_owned(),
                domain: String::from_utf8_lossy(domain).into_owned(),
            });
        }
    });
    list
}

/// Reads a list and hands on each item; `left` is how many may still be read and is counted
/// down, so that one bound can hold several fields.
pub fn parse(value: &[u8], left: &mut usize, mut item: impl FnMut(Item<'_>)) {
    let mut reader = Reader {
        text: value,
        at: 0,
        phrase: Vec::new(),
        local: Vec::new(),
        last_word: 0,
        name_end: 0,
        route: Vec::new(),
        domain: Vec::new(),
        comment: Vec::new(),
    };
    let mut in_group = false;
    while *left > 0 {
        match reader.next() {
            Step::End => break,
            Step::Nothing => {}
            Step::Mailbox => {
                *left -= 1;
                item(reader.mailbox());
            }
            Step::GroupStart if in_group => {}
            Step::GroupStart => {
                *left -= 1;
                in_group = true;
                item(Item::GroupStart(&reader.phrase));
            }
            Step::GroupEnd => {
                if reader.has_mailbox() {
                    *left -= 1;
                    item(reader.mailbox());
                }
                if in_group {
                    in_group = false;
                    *left = left.saturating_sub(1);
                    item(Item::GroupEnd);
                }
            }
        }
    }
    if in_group {
        item(Item::GroupEnd);
    }
}

enum Step {
    Mailbox,
    Nothing,
    GroupStart,
    GroupEnd,
    End,
}

/// Reads one item at a time into buffers that are used again.
struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    /// Words with single spaces between them.
    phrase: Vec<u8>,
    /// The same without spaces: a local part if no angle bracket comes.
    local: Vec<u8>,
    /// Where the last word begins in `local`, and where the words before it end in `phrase`.
    last_word: usize,
    name_end: usize,
    route: Vec<u8>,
    domain: Vec<u8>,
    comment: Vec<u8>,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn has_mailbox(&self) -> bool {
        !(self.local.is_empty() && self.domain.is_empty())
    }

    fn mailbox(&self) -> Item<'_> {
        let name = if self.phrase.is_empty() { &self.comment } else { &self.phrase };
        Item::Mailbox { name, route: &self.route, local: &self.local, domain: &self.domain }
    }

    fn next(&mut self) -> Step {
        for buffer in [
            &mut self.phrase,
            &mut self.local,
            &mut self.route,
            &mut self.domain,
            &mut self.comment,
        ] {
            buffer.clear();
        }
        (self.last_word, self.name_end) = (0, 0);
        let mut space = false;
        let mut seen = false;
        loop {
            let Some(byte) = self.peek() else {
                self.bare();
                return match (self.has_mailbox(), seen) {
                    (true, _) => Step::Mailbox,
                    _ => Step::End,
                };
            };
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => {
                    self.at += 1;
                    space = true;
                    continue;
                }
                b'(' => {
                    self.take_comment();
                    space = true;
                    continue;
                }
                b',' => {
                    self.at += 1;
                    self.bare();
                    return if self.has_mailbox() { Step::Mailbox } else { Step::Nothing };
                }
                b';' => {
                    self.at += 1;
                    self.bare();
                    return Step::GroupEnd;
                }
                b':' => {
                    self.at += 1;
                    return Step::GroupStart;
                }
                b'<' => {
                    self.at += 1;
                    return self.angle();
                }
                b'@' if seen => {
                    self.at += 1;
                    self.take_domain();
                    if self.after_bare() {
                        return self.angle();
                    }
                    self.bare();
                    return Step::Mailbox;
                }
                _ => {
                    self.word(byte, space);
                    space = false;
                    seen = true;
                }
            }
        }
    }

    /// One quoted string or one run of other bytes.
    fn word(&mut self, byte: u8, space: bool) {
        let dotted = byte == b'.' || self.local.last() == Some(&b'.');
        if space && !self.phrase.is_empty() {
            if !dotted {
                self.last_word = self.local.len();
                self.name_end = self.phrase.len();
            }
            self.phrase.push(b' ');
        }
        let start = self.phrase.len();
        if byte == b'"' {
            let mut at = self.at;
            take_quoted(self.text, &mut at, &mut self.phrase);
            self.at = at;
        } else {
            while let Some(byte) = self.peek() {
                if matches!(
                    byte,
                    b' ' | b'\t' | b'\r' | b'\n' | b'(' | b',' | b';' | b':' | b'<' | b'"'
                ) || (byte == b'@' && self.phrase.len() > start)
                {
                    break;
                }
                self.at += 1;
                self.phrase.push(byte);
            }
        }
        let Self { phrase, local, .. } = self;
        local.extend_from_slice(phrase.get(start..).unwrap_or_default());
    }

    /// What was gathered as a phrase is an address without angle brackets: its last word is
    /// the local part, what is before it a name.
    fn bare(&mut self) {
        self.local.drain(..self.last_word.min(self.local.len()));
        self.phrase.truncate(self.name_end);
    }

    /// Behind a bare address: a comment may name it. True if it was a name after all, because
    /// an angle bracket follows.
    fn after_bare(&mut self) -> bool {
        while let Some(byte) = self.peek() {
            match byte {
                b'(' => self.take_comment(),
                b',' => {
                    self.at += 1;
                    return false;
                }
                // Left for the next step: the group ends there.
                b';' => return false,
                b'<' => {
                    self.at += 1;
                    self.phrase.push(b'@');
                    let Self { phrase, domain, .. } = self;
                    phrase.extend_from_slice(domain);
                    return true;
                }
                b'"' => {
                    let mut junk = Vec::new();
                    take_quoted(self.text, &mut self.at, &mut junk);
                }
                _ => self.at += 1,
            }
        }
        false
    }

    fn angle(&mut self) -> Step {
        self.local.clear();
        self.domain.clear();
        self.skip_space();
        if self.peek() == Some(b'@') {
            while let Some(byte) = self.peek() {
                if matches!(byte, b':' | b'>') {
                    self.at += usize::from(byte == b':');
                    break;
                }
                self.at += 1;
                if !byte.is_ascii_whitespace() {
                    self.route.push(byte);
                }
            }
        }
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => take_quoted(self.text, &mut self.at, &mut self.local),
                b'(' => self.take_comment(),
                b'@' => {
                    self.at += 1;
                    self.take_domain();
                    break;
                }
                b'>' | b',' => break,
                _ => {
                    self.at += 1;
                    if !byte.is_ascii_whitespace() {
                        self.local.push(byte);
                    }
                }
            }
        }
        // What is between the bracket and the next address belongs to nobody.
        while let Some(byte) = self.peek() {
            match byte {
                b'(' => self.take_comment(),
                b',' => {
                    self.at += 1;
                    break;
                }
                b';' => break,
                _ => self.at += 1,
            }
        }
        Step::Mailbox
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(|b| b.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn take_domain(&mut self) {
        self.skip_space();
        if self.peek() == Some(b'[') {
            while let Some(byte) = self.peek() {
                self.at += 1;
                if !matches!(byte, b'\r' | b'\n') {
                    self.domain.push(byte);
                }
                if byte == b']' {
                    return;
                }
            }
            return;
        }
        while let Some(byte) = self.peek() {
            match byte {
                b',' | b';' | b'>' | b'<' | b'(' | b'"' => return,
                b' ' | b'\t' | b'\r' | b'\n' => {
                    self.skip_space();
                    if self.peek() != Some(b'.') && self.domain.last() != Some(&b'.') {
                        return;
                    }
                }
                _ => {
                    self.at += 1;
                    self.domain.push(byte);
                }
            }
        }
    }

    /// Steps over a comment; the last one is kept, as it may be a name.
    fn take_comment(&mut self) {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let length = comment_length(rest).max(1);
        self.at += length;
        let inner = rest.get(1..length).unwrap_or_default();
        let inner = inner.strip_suffix(b")").unwrap_or(inner).trim_ascii();
        self.comment.clear();
        let mut escaped = false;
        for &byte in inner {
            if byte == b'\\' && !escaped {
                escaped = true;
                continue;
            }
            escaped = false;
            self.comment.push(byte);
        }
    }
}

/// Reads a quoted string at `at` (which stands on the quote) without quotes and folds.
fn take_quoted(text: &[u8], at: &mut usize, out: &mut Vec<u8>) {
    *at += 1;
    while let Some(&byte) = text.get(*at) {
        *at += 1;
        match byte {
            b'"' => return,
            b'\r' | b'\n' => {}
            b'\\' => {
                if let Some(&next) = text.get(*at) {
                    *at += 1;
                    out.push(next);
                }
            }
            _ => out.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(value: &str) -> String {
        let mut out = String::new();
        let s = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        parse(value.as_bytes(), &mut 100, |item| match item {
            Item::Mailbox { name, route, local, domain } => {
                out += &format!("{}|{}|{}|{};", s(name), s(route), s(local), s(domain));
            }
            Item::GroupStart(name) => out += &format!("[{}:", s(name)),
            Item::GroupEnd => out += "]",
        });
        out
    }

    #[test]
    fn lists_groups_routes_and_comments_are_read() {
        for (value, wanted) in [
            ("a@b", "||a|b;"),
            ("A B <a@b>, \"C, D\" <c@d>", "A B||a|b;C, D||c|d;"),
            ("a@b (Joe (x) Doe)", "Joe (x) Doe||a|b;"),
            ("G: a@b, C <c@d>;, e@f", "[G:||a|b;C||c|d;]||e|f;"),
            ("undisclosed-recipients:;", "[undisclosed-recipients:]"),
            ("<@x,@y:a@b>", "|@x,@y|a|b;"),
            ("\"a b\"@c", "||a b|c;"),
            ("john . doe @ x . y", "||john.doe|x.y;"),
            ("f@b.c <f@b.c>", "f@b.c||f|b.c;"),
            ("plain", "||plain|;"),
            ("A B plain, x@[1.2.3.4]", "A B||plain|;||x|[1.2.3.4];"),
            ("", ""),
            (" , ,", ""),
            ("A <>", "A|||;"),
            ("G: a@b", "[G:||a|b;]"),
            ("a@b; c@d", "||a|b;||c|d;"),
            ("Joe\r\n\tDoe <j@\r\n d>", "Joe Doe||j|d;"),
        ] {
            assert_eq!(show(value), wanted, "{value:?}");
        }
    }

    #[test]
    fn a_million_addresses_are_bounded() {
        // ABU-46
        let flood = b"a@b,".repeat(1_000_000);
        assert_eq!(mailboxes(&flood).len(), ADDRESSES_MAX);
        let nested = [b"(".repeat(100_000), b"a@b".to_vec()].concat();
        assert!(mailboxes(&nested).is_empty());
    }
}
