//! Secret text given by a client. It must never know what it opens, and it never prints itself.

use std::fmt;

/// A password as the client sent it, any bytes. Its `Debug` form hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Vec<u8>);

impl Password {
    /// Takes the bytes of a password.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The password as text: UTF-8, or if it is not that, each byte as one ISO-8859-1 character
    /// (`reference/data-format.md` section 4.2, what old clients send).
    #[must_use]
    pub fn to_text(&self) -> String {
        text_of(&self.0)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(***)")
    }
}

/// Bytes as text: UTF-8, or if they are not that, ISO-8859-1.
pub(crate) fn text_of(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|&byte| char::from(byte)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_never_prints_itself() {
        assert!(!format!("{:?}", Password::new(b"sesame".to_vec())).contains("sesame"));
    }

    #[test]
    fn bytes_that_are_not_utf8_are_taken_as_iso_8859_1() {
        assert_eq!(Password::new(vec![b'a', 0xE9]).to_text(), "a\u{e9}");
        assert_eq!(Password::new("é".into()).to_text(), "é");
    }
}
