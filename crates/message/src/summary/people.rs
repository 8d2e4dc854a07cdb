//! The first address of a field in a stored ENVELOPE, as SORT compares it (RFC 5256, RFC 5957).
//!
//! It must never know how an ENVELOPE is made, only how it looks on the wire.

use std::borrow::Cow;

use crate::encoded_word;

/// An address of an ENVELOPE; what is absent is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct First<'a> {
    name: Cow<'a, [u8]>,
    mailbox: Cow<'a, [u8]>,
    host: Cow<'a, [u8]>,
}

impl First<'_> {
    /// The local part (of a group: its name), as it is compared by SORT FROM, TO and CC.
    #[must_use]
    pub fn mailbox(&self) -> String {
        String::from_utf8_lossy(&self.mailbox).into_owned()
    }

    /// What a reader is shown: the name, decoded, or without one the address (RFC 5957 2.1).
    #[must_use]
    pub fn display(&self) -> String {
        let name = encoded_word::decode_text(&self.name);
        if !name.trim().is_empty() {
            return name;
        }
        let mailbox = String::from_utf8_lossy(&self.mailbox);
        if self.host.is_empty() {
            return mailbox.into_owned();
        }
        format!("{mailbox}@{}", String::from_utf8_lossy(&self.host))
    }
}

/// The first addresses of an ENVELOPE.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct People<'a> {
    /// Of `From`.
    pub from: First<'a>,
    /// Of `To`.
    pub to: First<'a>,
    /// Of `Cc`.
    pub cc: First<'a>,
}

/// Looks for the first addresses in the wire form of an ENVELOPE. What cannot be read is empty.
#[must_use]
pub fn people(envelope: &[u8]) -> People<'_> {
    let mut wire = Wire { rest: envelope };
    let mut people = People::default();
    let _ = wire.people(&mut people);
    people
}

struct Wire<'a> {
    rest: &'a [u8],
}

impl<'a> Wire<'a> {
    fn eat(&mut self, byte: u8) -> Option<()> {
        self.rest = self.rest.strip_prefix(&[byte])?;
        Some(())
    }

    fn people(&mut self, people: &mut People<'a>) -> Option<()> {
        self.eat(b'(')?;
        // Date and subject.
        for _ in 0..2 {
            self.nstring()?;
            self.eat(b' ')?;
        }
        people.from = self.first()?;
        // Sender and reply-to.
        for _ in 0..2 {
            self.eat(b' ')?;
            self.first()?;
        }
        self.eat(b' ')?;
        people.to = self.first()?;
        self.eat(b' ')?;
        people.cc = self.first()?;
        Some(())
    }

    /// The first of a list of addresses; the others are passed over.
    fn first(&mut self) -> Option<First<'a>> {
        if let Some(rest) = self.rest.strip_prefix(b"NIL") {
            self.rest = rest;
            return Some(First::default());
        }
        self.eat(b'(')?;
        let mut first = None;
        while self.eat(b'(').is_some() {
            let name = self.nstring()?;
            self.eat(b' ')?;
            self.nstring()?;
            self.eat(b' ')?;
            let mailbox = self.nstring()?;
            self.eat(b' ')?;
            let host = self.nstring()?;
            self.eat(b')')?;
            first.get_or_insert(First { name, mailbox, host });
        }
        self.eat(b')')?;
        first
    }

    fn nstring(&mut self) -> Option<Cow<'a, [u8]>> {
        match self.rest.first()? {
            b'"' => self.quoted(),
            b'{' => self.literal(),
            _ => {
                self.rest = self.rest.strip_prefix(b"NIL")?;
                Some(Cow::Borrowed(&[]))
            }
        }
    }

    fn quoted(&mut self) -> Option<Cow<'a, [u8]>> {
        let inner = self.rest.get(1..)?;
        let stop = memchr::memchr2(b'"', b'\\', inner)?;
        if inner.get(stop) == Some(&b'"') {
            self.rest = inner.get(stop + 1..)?;
            return inner.get(..stop).map(Cow::Borrowed);
        }
        let mut text = Vec::new();
        let mut bytes = inner.iter().enumerate();
        while let Some((at, byte)) = bytes.next() {
            match byte {
                b'"' => {
                    self.rest = inner.get(at + 1..)?;
                    return Some(Cow::Owned(text));
                }
                b'\\' => text.push(*bytes.next()?.1),
                _ => text.push(*byte),
            }
        }
        None
    }

    fn literal(&mut self) -> Option<Cow<'a, [u8]>> {
        let end = memchr::memchr(b'}', self.rest)?;
        let digits = std::str::from_utf8(self.rest.get(1..end)?).ok()?;
        let size: usize = digits.parse().ok()?;
        let body = self.rest.get(end + 1..)?.strip_prefix(b"\r\n")?;
        let (text, rest) = body.split_at_checked(size)?;
        self.rest = rest;
        Some(Cow::Borrowed(text))
    }
}

#[cfg(test)]
mod tests {
    use super::people;
    use crate::summary::Summary;

    #[test]
    fn the_first_address_is_found_in_what_is_stored() {
        let mail = "From: =?utf-8?q?J=C3=BCrgen?= \"the\\\"x\" <j@x.example>, b@y\r\n\
            To: Friends: a@z, c@z;, d@z\r\nSubject: =?utf-8?q?=C3=A4?= \"quoted\"\r\n\r\n";
        let summary = Summary::of(mail.as_bytes());
        let found = people(&summary.envelope);
        assert_eq!(found.from.mailbox(), "j");
        assert!(found.from.display().starts_with("Jürgen"), "{}", found.from.display());
        assert_eq!(found.to.mailbox(), "Friends");
        assert_eq!(found.to.display(), "Friends");
        assert_eq!((found.cc.mailbox(), found.cc.display()), (String::new(), String::new()));
        let plain = Summary::of(b"From: a@b.example\r\n\r\n");
        assert_eq!(people(&plain.envelope).from.display(), "a@b.example");
        assert_eq!(people(b"(NIL \"cut"), Default::default());
    }
}
