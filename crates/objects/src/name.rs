//! Names of accounts and the other objects, of domains, and the `name@domain` form that joins
//! them (`reference/accounts-and-domains.md` section 2). Knows spelling only, never what exists.

use thiserror::Error;

/// Longest object name in bytes.
pub const MAX_OBJECT_NAME: usize = 128;
/// Longest domain name in bytes (RFC 1035 section 2.3.4, without the root).
pub const MAX_DOMAIN_NAME: usize = 253;
/// Longest address taken as text, in bytes.
pub const MAX_ADDRESS: usize = 1024;

/// Why a name cannot be used.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum NameError {
    /// Nothing there.
    #[error("a name may not be empty")]
    Empty,
    /// Over the limit.
    #[error("the name is too long")]
    TooLong,
    /// A character that names may not have.
    #[error("a name consists of latin letters, digits, and the symbols _ - .")]
    Character,
    /// A point at an end, or two in a row.
    #[error("a point may be neither first nor last nor doubled in a name")]
    Point,
    /// Not a domain name.
    #[error("this is not a domain name")]
    Domain,
    /// The Router gives this name a meaning of its own.
    #[error("this name has a special meaning for the Router")]
    Special,
}

/// The stored (lower-case) form of the name of an account, alias, group, forwarder or list.
///
/// # Errors
/// [`NameError`].
pub fn object_name(text: &str) -> Result<String, NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > MAX_OBJECT_NAME {
        return Err(NameError::TooLong);
    }
    if !text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')) {
        return Err(NameError::Character);
    }
    if text.starts_with('.') || text.ends_with('.') || text.contains("..") {
        return Err(NameError::Point);
    }
    Ok(text.to_ascii_lowercase())
}

/// The stored form of a domain name: ACE, lower case, without a point at the end.
///
/// # Errors
/// [`NameError`]; also for IP addresses and the Router's special words.
pub fn domain_name(text: &str) -> Result<String, NameError> {
    let ascii = fold_domain(text).ok_or(NameError::Domain)?;
    if ascii.parse::<std::net::IpAddr>().is_ok() {
        return Err(NameError::Domain);
    }
    const SPECIAL: [&str; 7] =
        ["null", "error", "blacklisted", "spamtrap", "wakeup", "pipe", "default"];
    if SPECIAL.contains(&ascii.as_str()) || ascii.contains("._") {
        return Err(NameError::Special);
    }
    Ok(ascii)
}

/// A domain name folded for comparison: A-labels, lower case, without a point at the end; `None`
/// when it cannot be a host or domain name.
#[must_use]
pub fn fold_domain(text: &str) -> Option<String> {
    let text = text.strip_suffix('.').unwrap_or(text);
    if text.is_empty() || text.len() > MAX_ADDRESS {
        return None;
    }
    let ascii = if text.is_ascii() && !has_ace_label(text) {
        text.to_ascii_lowercase()
    } else {
        idna::domain_to_ascii(text).ok()?
    };
    let labels_fit = ascii.split('.').all(|label| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    });
    (labels_fit && ascii.len() <= MAX_DOMAIN_NAME).then_some(ascii)
}

fn has_ace_label(text: &str) -> bool {
    text.split('.').any(|label| label.get(..4).is_some_and(|l| l.eq_ignore_ascii_case("xn--")))
}

/// Splits an object's full name at its last `@`, or, without one, at its last `%`
/// (`info%client2.com`). The domain is `None` when there is neither.
#[must_use]
pub fn split_full_name(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once('@').or_else(|| text.rsplit_once('%')) {
        Some((name, domain)) => (name, Some(domain)),
        None => (text, None),
    }
}

/// A full name in its stored parts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FullName {
    /// Local name, lower case.
    pub name: String,
    /// Domain, ACE, lower case.
    pub domain: String,
}

impl FullName {
    /// Reads `name`, `name@domain` or `name%domain`; a name without a domain belongs to
    /// `domain_of_actor`.
    ///
    /// # Errors
    /// [`NameError`].
    pub fn read(text: &str, domain_of_actor: &str) -> Result<Self, NameError> {
        let (name, domain) = split_full_name(text.trim());
        let domain = match domain {
            Some(domain) => fold_domain(domain).ok_or(NameError::Domain)?,
            None => domain_of_actor.to_owned(),
        };
        Ok(Self { name: object_name(name)?, domain })
    }
}

impl std::fmt::Display for FullName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", self.name, self.domain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn object_names_follow_the_rules_of_the_guide() {
        assert_eq!(object_name("J.Smith-2_x"), Ok("j.smith-2_x".into()));
        assert_eq!(object_name(""), Err(NameError::Empty));
        assert_eq!(object_name(&"a".repeat(129)), Err(NameError::TooLong));
        assert!(object_name(&"a".repeat(128)).is_ok());
        assert_eq!(object_name("a b"), Err(NameError::Character));
        assert_eq!(object_name("é"), Err(NameError::Character));
        for name in [".a", "a.", "a..b"] {
            assert_eq!(object_name(name), Err(NameError::Point));
        }
    }

    #[test]
    fn domain_names_are_stored_as_lower_case_ace() {
        assert_eq!(domain_name("Example.COM."), Ok("example.com".into()));
        assert_eq!(domain_name("bücher.example"), Ok("xn--bcher-kva.example".into()));
        assert_eq!(domain_name("localhost"), Ok("localhost".into()));
        for name in ["", ".", "a..b", "-a.b", "a b", "1.2.3.4", "a@b", &"a.".repeat(200)] {
            assert!(domain_name(name).is_err(), "{name}");
        }
        assert_eq!(domain_name("NULL"), Err(NameError::Special));
    }

    // accounts-and-domains.md section 10
    #[test]
    fn a_percent_sign_works_as_an_at_sign_when_there_is_none() {
        let full = FullName::read("Info%Client2.com", "main.dom").unwrap();
        assert_eq!(full.to_string(), "info@client2.com");
        assert_eq!(FullName::read("john", "main.dom").unwrap().to_string(), "john@main.dom");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn folding_is_stable_and_never_panics(text in "\\PC{0,40}") {
            if let Some(once) = fold_domain(&text) {
                prop_assert_eq!(fold_domain(&once), Some(once.clone()));
            }
            let _ = FullName::read(&text, "d");
        }
    }
}
