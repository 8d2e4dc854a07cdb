//! Who asks: the header field `Authorization` with the scheme `Basic` (RFC 7617). Pure.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

/// Padding may be there or not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Longest value of the field that is looked at, in bytes.
const LONGEST: usize = 8 * 1024;

/// A name with a password.
#[derive(PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) name: String,
    pub(crate) password: Vec<u8>,
}

/// Reads the field; `None` for another scheme and for what makes no sense.
pub(crate) fn basic(field: &[u8]) -> Option<Credentials> {
    let text = std::str::from_utf8(field).ok().filter(|text| text.len() <= LONGEST)?;
    let (scheme, token) = text.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let octets = BASE64.decode(token.trim()).ok()?;
    let colon = octets.iter().position(|byte| *byte == b':')?;
    let (name, password) = octets.split_at_checked(colon)?;
    let name = String::from_utf8(name.to_vec()).ok()?;
    Some(Credentials { name, password: password.get(1..)?.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 7617 section 2
    #[test]
    fn the_example_of_the_rfc_is_read() {
        let read = basic(b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==").unwrap();
        assert!(read.name == "Aladdin" && read.password == b"open sesame");
        let read = basic("basic dGVzdDoxMjPCow".as_bytes()).unwrap();
        assert!(read.password == "123£".as_bytes());
        // The password may hold colons.
        assert!(basic(b"Basic YTpiOmM=").unwrap().password == b"b:c");
    }

    #[test]
    fn what_makes_no_sense_is_nobody() {
        for field in [&b""[..], b"Basic", b"Bearer abc", b"Basic !", b"Basic YQ==", b"Basic \xff"] {
            assert!(basic(field).is_none());
        }
        let long = format!("Basic {}", "QWxh".repeat(4096));
        assert!(basic(long.as_bytes()).is_none());
    }
}
