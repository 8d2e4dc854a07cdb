//! Addresses as the Router sees them: a domain part that should get the message next, and the
//! rest (`reference/router.md` section 2). All spellings of a route become these two.

use thiserror::Error;

use angarium_objects::name;

/// Longest address taken, in bytes.
pub const MAX_ADDRESS: usize = 1024;
/// Most hosts in a source route `@a,@b:`.
pub const MAX_SOURCE_ROUTE: usize = 32;

/// Why a text is not an address.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum AddressError {
    /// Nothing there.
    #[error("the address is empty")]
    Empty,
    /// Over the limit.
    #[error("the address is too long")]
    TooLong,
    /// A control character, an open quote or bracket.
    #[error("the address is malformed")]
    Malformed,
}

/// An address in two parts. The local part has no quotes; the domain is in lower case (A-labels
/// where it is a plain name) and empty for the Main Domain.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// Local part.
    pub local: String,
    /// Domain part.
    pub domain: String,
}

impl Address {
    /// Reads an address in any of the spellings of the reference.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn read(text: &str) -> Result<Self, AddressError> {
        if text.len() > MAX_ADDRESS {
            return Err(AddressError::TooLong);
        }
        let text = text.trim();
        let text = match text.strip_prefix('<') {
            Some(inner) => inner.strip_suffix('>').ok_or(AddressError::Malformed)?,
            None => text,
        };
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        if text.chars().any(char::is_control) {
            return Err(AddressError::Malformed);
        }
        if let Some(route) = text.strip_prefix('@') {
            return Self::source_route(route);
        }
        let (local, domain) = split_at_sign(text)?;
        Ok(Self::of(unquote(local)?, domain))
    }

    /// An address of parts; the domain is brought into its form.
    #[must_use]
    pub fn of(local: String, domain: &str) -> Self {
        let domain = name::fold_domain(domain).unwrap_or_else(|| domain.to_lowercase());
        Self { local, domain }
    }

    fn source_route(route: &str) -> Result<Self, AddressError> {
        let (hosts_text, inner) = route.split_once(':').ok_or(AddressError::Malformed)?;
        let mut hosts =
            hosts_text.split(',').map(|h| h.trim().strip_prefix('@').unwrap_or(h.trim()));
        let first = hosts.next().filter(|h| !h.is_empty()).ok_or(AddressError::Malformed)?;
        let others: Vec<&str> = hosts.collect();
        if others.len() >= MAX_SOURCE_ROUTE
            || others.iter().any(|h| h.is_empty())
            || std::iter::once(&first).chain(&others).any(|h| !is_domain_text(h))
        {
            return Err(AddressError::Malformed);
        }
        let (local, domain) = split_at_sign(inner)?;
        let mut local = unquote(local)?;
        if !domain.is_empty() {
            local = format!("{local}%{domain}");
        }
        for host in others.iter().rev() {
            local = format!("{local}%{host}");
        }
        Ok(Self::of(local, first))
    }

    /// Takes the next domain out of the local part: the last `%` becomes `@`; without one, the
    /// first `!` splits host and rest. `None` when the local part is simple.
    #[must_use]
    pub fn inner(&self) -> Option<Self> {
        let (local, domain) = match self.local.rsplit_once('%') {
            Some((local, domain)) => (local, domain),
            None => self.local.split_once('!').map(|(host, rest)| (rest, host))?,
        };
        if local.is_empty() || !is_domain_text(domain) {
            return None;
        }
        Some(Self::of(local.to_owned(), domain))
    }

    /// True when the local part names no further system.
    #[must_use]
    pub fn is_simple(&self) -> bool {
        !self.local.contains(['%', '!', '@'])
    }

    /// The text for an envelope: quotes where RFC 5321 section 4.1.2 wants them.
    #[must_use]
    pub fn text(&self) -> String {
        let plain = !self.local.is_empty()
            && !self.local.starts_with('.')
            && !self.local.ends_with('.')
            && !self.local.contains("..")
            && self.local.chars().all(|c| {
                c.is_ascii_alphanumeric() || !c.is_ascii() || "!#$%&'*+-/=?^_`{|}~.".contains(c)
            });
        let mut out = String::with_capacity(self.local.len() + self.domain.len() + 3);
        if plain {
            out.push_str(&self.local);
        } else {
            out.push('"');
            for c in self.local.chars() {
                if matches!(c, '"' | '\\') {
                    out.push('\\');
                }
                out.push(c);
            }
            out.push('"');
        }
        if !self.domain.is_empty() {
            out.push('@');
            out.push_str(&self.domain);
        }
        out
    }
}

/// False for what can be no domain part in any spelling.
fn is_domain_text(domain: &str) -> bool {
    !domain.is_empty() && !domain.contains(['@', ' ', '"', '<', '>', ','])
}

/// Splits at the last `@` outside quotes.
fn split_at_sign(text: &str) -> Result<(&str, &str), AddressError> {
    let mut quoted = false;
    let mut escaped = false;
    let mut at = None;
    for (index, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '@' if !quoted => at = Some(index),
            _ => {}
        }
    }
    if quoted || escaped {
        return Err(AddressError::Malformed);
    }
    let (local, domain) = match at {
        Some(at) => (text.get(..at), text.get(at + 1..)),
        None => (Some(text), Some("")),
    };
    let (Some(local), Some(domain)) = (local, domain) else {
        return Err(AddressError::Malformed);
    };
    if local.is_empty() || (at.is_some() && !is_domain_text(domain)) {
        return Err(AddressError::Malformed);
    }
    Ok((local, domain))
}

/// Takes quotes and backslashes away.
fn unquote(local: &str) -> Result<String, AddressError> {
    if !local.contains('"') {
        return Ok(local.to_owned());
    }
    let mut out = String::with_capacity(local.len());
    let mut quoted = false;
    let mut escaped = false;
    for c in local.chars() {
        match c {
            _ if escaped => {
                escaped = false;
                out.push(c);
            }
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            c => out.push(c),
        }
    }
    if out.is_empty() { Err(AddressError::Malformed) } else { Ok(out) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parts(text: &str) -> (String, String) {
        let a = Address::read(text).unwrap();
        (a.local, a.domain)
    }

    // router.md section 2
    #[test]
    fn every_spelling_of_the_reference_has_its_two_parts() {
        let cases = [
            ("xxxx@yyyyy", "xxxx", "yyyyy"),
            ("<@zzzz:xxxx@yyyyy>", "xxxx%yyyyy", "zzzz"),
            ("<@a,@b:x@y>", "x%y%b", "a"),
            ("xxxx%yyyyy@zzzz", "xxxx%yyyyy", "zzzz"),
            ("xxxx", "xxxx", ""),
            ("\"a b\"@dom", "a b", "dom"),
            ("J@Example.COM", "J", "example.com"),
            ("a@bücher.example", "a", "xn--bcher-kva.example"),
        ];
        for (text, local, domain) in cases {
            assert_eq!(parts(text), (local.to_owned(), domain.to_owned()), "{text}");
        }
        let bang = Address::read("zzzz!yyyyy!xxxx").unwrap().inner().unwrap();
        assert_eq!((bang.local.as_str(), bang.domain.as_str()), ("yyyyy!xxxx", "zzzz"));
    }

    #[test]
    fn quotes_come_back_where_an_envelope_needs_them() {
        assert_eq!(Address::read("\"a b\"@dom").unwrap().text(), "\"a b\"@dom");
        assert_eq!(Address::read("\"a\\\"b\"@dom").unwrap().text(), "\"a\\\"b\"@dom");
        assert_eq!(Address::read("\"ab\"@dom").unwrap().text(), "ab@dom");
    }

    #[test]
    fn malformed_addresses_are_refused() {
        for text in [
            "",
            "<>",
            "@",
            "a@",
            "@b",
            "\"a@b",
            "<a@b",
            "a\r\nb@c",
            "@a:",
            "a@b c",
            "@a@b:c",
            "@a,@b c:d",
        ] {
            assert!(Address::read(text).is_err(), "{text}");
        }
        assert_eq!(Address::read(&"a".repeat(1025)), Err(AddressError::TooLong));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn no_text_makes_reading_panic_and_what_is_written_reads_back(text in "[a-c@%!<>\":,. \\\\\u{e9}]{0,24}") {
            if let Ok(address) = Address::read(&text) {
                let again = Address::read(&address.text());
                if let Ok(again) = again {
                    prop_assert_eq!(again.local, address.local);
                }
            }
        }
    }
}
