//! Addresses as SMTP writes them: paths, mailboxes, address literals (RFC 5321 section 4.1.2,
//! RFC 6531 section 3.3).
//!
//! It must never know which addresses are ours: that is the Router's business.

use std::fmt;

use thiserror::Error;

use crate::limits;

/// Why an address was not understood.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddressError {
    /// A character that may not stand there, or something missing.
    #[error("address syntax")]
    Syntax,
    /// Longer than [`limits::LOCAL_PART`], [`limits::DOMAIN`] or [`limits::ROUTE_HOSTS`] allow.
    #[error("address too long")]
    TooLong,
}

/// A mailbox: local part (quotes taken off) and domain.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mailbox {
    /// The local part as meant, without quotes and backslashes; never empty, no control
    /// characters.
    pub local: String,
    /// The domain as written: a host name, an address literal in brackets, or empty when the
    /// address has none (a local name, such as `postmaster`).
    pub domain: String,
}

impl Mailbox {
    /// Reads `local@domain` or `local`, the whole text.
    ///
    /// # Errors
    /// [`AddressError`] when it is not one.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let mut cursor = Cursor { rest: text };
        let mailbox = cursor.mailbox()?;
        if cursor.rest.is_empty() { Ok(mailbox) } else { Err(AddressError::Syntax) }
    }

    /// True when every octet is ASCII, so that it can travel without SMTPUTF8.
    #[must_use]
    pub fn is_ascii(&self) -> bool {
        self.local.is_ascii() && self.domain.is_ascii()
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.local.chars().all(|c| is_atext(c) || c == '.') && !self.local.is_empty() {
            f.write_str(&self.local)?;
        } else {
            f.write_str("\"")?;
            for c in self.local.chars() {
                if c == '"' || c == '\\' {
                    f.write_str("\\")?;
                }
                fmt::Write::write_char(f, c)?;
            }
            f.write_str("\"")?;
        }
        if self.domain.is_empty() { Ok(()) } else { write!(f, "@{}", self.domain) }
    }
}

/// What stands between angle brackets in MAIL and RCPT.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Path {
    /// The hosts of an obsolete source route, outermost first.
    pub route: Vec<String>,
    /// The mailbox; `None` is the empty path `<>`.
    pub mailbox: Option<Mailbox>,
}

impl Path {
    /// The path of one mailbox without a source route.
    #[must_use]
    pub fn of(mailbox: Mailbox) -> Self {
        Self { route: Vec::new(), mailbox: Some(mailbox) }
    }

    /// Reads a path at the start of `text`, in angle brackets or, as careless programs write it,
    /// without; answers it and what follows.
    ///
    /// # Errors
    /// [`AddressError`] when there is none.
    pub fn read(text: &str) -> Result<(Self, &str), AddressError> {
        let mut cursor = Cursor { rest: text };
        if !cursor.take('<') {
            let mailbox = cursor.mailbox()?;
            return Ok((Self::of(mailbox), cursor.rest));
        }
        if cursor.take('>') {
            return Ok((Self::default(), cursor.rest));
        }
        let mut route = Vec::new();
        if cursor.rest.starts_with('@') {
            loop {
                if !cursor.take('@') || route.len() == limits::ROUTE_HOSTS {
                    return Err(AddressError::Syntax);
                }
                route.push(cursor.domain()?);
                if cursor.take(':') {
                    break;
                }
                if !cursor.take(',') {
                    return Err(AddressError::Syntax);
                }
            }
        }
        let mailbox = cursor.mailbox()?;
        if !cursor.take('>') {
            return Err(AddressError::Syntax);
        }
        Ok((Self { route, mailbox: Some(mailbox) }, cursor.rest))
    }

    /// The address without angle brackets, a source route in front; empty for `<>`.
    #[must_use]
    pub fn address(&self) -> String {
        let mut text = String::new();
        for (n, host) in self.route.iter().enumerate() {
            text.push_str(if n == 0 { "@" } else { ",@" });
            text.push_str(host);
        }
        if !self.route.is_empty() {
            text.push(':');
        }
        if let Some(mailbox) = &self.mailbox {
            text.push_str(&mailbox.to_string());
        }
        text
    }

    /// True when every octet is ASCII.
    #[must_use]
    pub fn is_ascii(&self) -> bool {
        self.route.iter().all(|h| h.is_ascii())
            && self.mailbox.as_ref().is_none_or(Mailbox::is_ascii)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.address())
    }
}

/// `atext` of RFC 5322 with the non-ASCII characters of RFC 6531.
fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || is_wide(c)
}

/// A character outside ASCII that may stand in an address: no control characters.
fn is_wide(c: char) -> bool {
    !c.is_ascii() && !c.is_control()
}

struct Cursor<'a> {
    rest: &'a str,
}

impl Cursor<'_> {
    fn take(&mut self, wanted: char) -> bool {
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> String {
        let end = self.rest.find(|c| !wanted(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken.to_owned()
    }

    fn mailbox(&mut self) -> Result<Mailbox, AddressError> {
        let local = if self.take('"') {
            self.quoted()?
        } else {
            // Dots at odd places are against the grammar, yet large mobile carriers gave out
            // such addresses; they cannot be mistaken for anything else.
            self.take_while(|c| is_atext(c) || c == '.')
        };
        if local.is_empty() {
            return Err(AddressError::Syntax);
        }
        if local.len() > limits::LOCAL_PART {
            return Err(AddressError::TooLong);
        }
        let domain = if self.take('@') { self.domain()? } else { String::new() };
        Ok(Mailbox { local, domain })
    }

    fn quoted(&mut self) -> Result<String, AddressError> {
        let mut local = String::new();
        let mut chars = self.rest.char_indices();
        while let Some((at, c)) = chars.next() {
            let kept = match c {
                '"' => {
                    self.rest = self.rest.get(at + 1..).unwrap_or("");
                    return Ok(local);
                }
                '\\' => match chars.next() {
                    Some((_, c)) if (' '..='~').contains(&c) => c,
                    _ => return Err(AddressError::Syntax),
                },
                c if (' '..='~').contains(&c) || is_wide(c) => c,
                _ => return Err(AddressError::Syntax),
            };
            local.push(kept);
        }
        Err(AddressError::Syntax)
    }

    fn domain(&mut self) -> Result<String, AddressError> {
        let domain = if self.rest.starts_with('[') {
            self.take('[');
            let inside = self.take_while(|c| c.is_ascii_alphanumeric() || ".:-".contains(c));
            if inside.is_empty() || !self.take(']') {
                return Err(AddressError::Syntax);
            }
            format!("[{inside}]")
        } else {
            // The underscore is no host name character; the Router's suffixes are spelled with it.
            let name = self.take_while(|c| {
                c.is_ascii_alphanumeric() || c == '-' || c == '_' || c == '.' || is_wide(c)
            });
            if name.split('.').any(str::is_empty) {
                return Err(AddressError::Syntax);
            }
            name
        };
        if domain.len() > limits::DOMAIN { Err(AddressError::TooLong) } else { Ok(domain) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(text: &str) -> Option<String> {
        let (path, rest) = Path::read(text).ok()?;
        rest.is_empty().then(|| path.to_string())
    }

    #[test]
    fn paths_are_read_in_every_form_the_standard_knows() {
        for (written, meant) in [
            ("<>", "<>"),
            ("<a@b.example>", "<a@b.example>"),
            ("<postmaster>", "<postmaster>"),
            ("<\"a b\"@b.example>", "<\"a b\"@b.example>"),
            ("<\"plain\"@b.example>", "<plain@b.example>"),
            ("<\"a\\\"b\\\\c\"@b.example>", "<\"a\\\"b\\\\c\"@b.example>"),
            ("<@one.example,@two.example:a@b.example>", "<@one.example,@two.example:a@b.example>"),
            ("<a@[192.0.2.1]>", "<a@[192.0.2.1]>"),
            ("<a@[IPv6:2001:db8::1]>", "<a@[IPv6:2001:db8::1]>"),
            ("<user%x.example@b.example>", "<user%x.example@b.example>"),
            ("<z!y!x>", "<z!y!x>"),
            ("<用户@例え.example>", "<用户@例え.example>"),
            ("a@b.example", "<a@b.example>"),
        ] {
            assert_eq!(path(written).as_deref(), Some(meant), "{written}");
        }
    }

    #[test]
    fn broken_paths_are_refused() {
        for written in [
            "",
            "<",
            "<a@b",
            "<@b.example>",
            "<a@>",
            "<a@b.>",
            "<a@.b>",
            "<a@b..c>",
            "<a b@c>",
            "<a@b@c>",
            "<\"a@b>",
            "<\"a\\\u{7}\"@b>",
            "<a@[1.2.3.4>",
            "<a@[]>",
            "<a@host:25>",
            "<@a:>",
            "<@a,b:x@y>",
            "<a\u{0}@b>",
            "<<a@b>>",
        ] {
            assert_eq!(path(written), None, "{written}");
        }
        assert_eq!(Mailbox::parse(&format!("{}@b", "a".repeat(300))), Err(AddressError::TooLong));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_the_same(local in "[ -~é]{1,40}", domain in "[a-z0-9]{1,8}(\\.[a-z0-9-]{1,8}){0,3}") {
            let mailbox = Mailbox { local, domain };
            prop_assert_eq!(Mailbox::parse(&mailbox.to_string()), Ok(mailbox.clone()));
            let path = Path::of(mailbox);
            let written = path.to_string();
            let (read, rest) = Path::read(&written).unwrap();
            prop_assert_eq!(rest, "");
            prop_assert_eq!(read, path);
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,60}") {
            let _ = Path::read(&text);
        }
    }
}
