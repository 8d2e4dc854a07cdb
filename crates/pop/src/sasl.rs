//! Carrying a SASL exchange on lines (RFC 5034, RFC 4954 shapes). It must never know a
//! mechanism.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

/// Longest line of an exchange, octets (RFC 4954 section 4.3 and RFC 5034 section 4).
pub const MAX_SASL_LINE: usize = 12 * 1024;

/// One line of the client's side of an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SaslReply {
    /// Data, possibly none.
    Data(Vec<u8>),
    /// The client gave up (`*`).
    Cancel,
    /// Not base64.
    Broken,
}

impl SaslReply {
    /// Reads one line of an exchange.
    #[must_use]
    pub fn of_line(line: &[u8]) -> Self {
        let line = line.trim_ascii_end();
        if line == b"*" {
            return Self::Cancel;
        }
        match STANDARD.decode(line).or_else(|_| STANDARD_NO_PAD.decode(line)) {
            Ok(data) => Self::Data(data),
            Err(_) => Self::Broken,
        }
    }

    /// Reads the initial response after the mechanism; a lone `=` is an empty one.
    #[must_use]
    pub fn of_initial(text: &[u8]) -> Self {
        if text == b"=" { Self::Data(Vec::new()) } else { Self::of_line(text) }
    }
}

/// Writes data as base64.
pub(crate) fn push_base64(out: &mut Vec<u8>, data: &[u8]) {
    out.extend_from_slice(STANDARD.encode(data).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_an_exchange_are_read_or_refused() {
        assert_eq!(SaslReply::of_line(b"AGEAYg=="), SaslReply::Data(b"\0a\0b".to_vec()));
        assert_eq!(SaslReply::of_line(b"AGEAYg"), SaslReply::Data(b"\0a\0b".to_vec()));
        assert_eq!(SaslReply::of_line(b"*"), SaslReply::Cancel);
        assert_eq!(SaslReply::of_line(b"%%"), SaslReply::Broken);
        assert_eq!(SaslReply::of_initial(b"="), SaslReply::Data(Vec::new()));
    }
}
