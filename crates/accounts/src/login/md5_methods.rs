//! APOP (RFC 1939) and CRAM-MD5 (RFC 2195): a digest over the server's challenge and the password.
//! Nothing is stored; the challenge is an argument.

use md5::{Digest as _, Md5};
use subtle::ConstantTimeEq;

use super::LoginError;
use crate::Secret;

/// Octets of a block of MD5 (RFC 2104).
const BLOCK: usize = 64;

/// Digits as they are sent: small letters.
pub(super) fn digits(digest: &[u8]) -> String {
    digest.iter().flat_map(|octet| [octet >> 4, octet & 15]).map(digit).collect()
}

fn digit(value: u8) -> char {
    char::from_digit(u32::from(value), 16).unwrap_or('0')
}

fn same(found: &[u8], given: &str) -> bool {
    digits(found).as_bytes().ct_eq(given.to_ascii_lowercase().as_bytes()).into()
}

/// True when an APOP digest was made of this stamp and password.
pub(super) fn apop(stamp: &str, password: &Secret, digest: &str) -> bool {
    let found = Md5::new().chain_update(stamp).chain_update(password.expose()).finalize();
    same(&found, digest)
}

/// HMAC with MD5 (RFC 2104).
pub(super) fn hmac_md5(key: &[u8], text: &[u8]) -> [u8; 16] {
    let mut block = [0; BLOCK];
    let short = Md5::digest(key);
    let key = if key.len() > BLOCK { &short[..] } else { key };
    for (place, octet) in block.iter_mut().zip(key) {
        *place = *octet;
    }
    let pad = |with: u8| block.map(|octet| octet ^ with);
    let inner = Md5::new().chain_update(pad(0x36)).chain_update(text).finalize();
    Md5::new().chain_update(pad(0x5c)).chain_update(inner).finalize().into()
}

/// A client's answer to CRAM-MD5: the name and the digest.
pub(super) fn read_cram(message: &[u8]) -> Result<(&str, &str), LoginError> {
    const MALFORMED: LoginError = LoginError::Protocol("malformed CRAM-MD5 message");
    let text = std::str::from_utf8(message).map_err(|_| MALFORMED)?;
    let (name, digest) = text.rsplit_once(' ').ok_or(MALFORMED)?;
    // What is no digest is shown to nobody outside.
    let whole = digest.len() == 32 && digest.bytes().all(|b| b.is_ascii_hexdigit());
    if name.is_empty() || !whole { Err(MALFORMED) } else { Ok((name, digest)) }
}

/// True when a CRAM-MD5 digest was made of this challenge and password.
pub(super) fn cram(challenge: &str, password: &Secret, digest: &str) -> bool {
    same(&hmac_md5(password.expose(), challenge.as_bytes()), digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 1939 section 7, RFC 2195 section 2
    #[test]
    fn the_examples_of_the_rfcs_match() {
        let stamp = "<1896.697170952@dbc.mtview.ca.us>";
        let password = Secret::from("tanstaaf");
        assert!(apop(stamp, &password, "c4c9334bac560ecc979e58001b3e22fb"));
        assert!(apop(stamp, &password, "C4C9334BAC560ECC979E58001B3E22FB"));
        assert!(!apop(stamp, &Secret::from("tanstaa"), "c4c9334bac560ecc979e58001b3e22fb"));
        let challenge = "<1896.697170952@postoffice.reston.mci.net>";
        let (name, digest) = read_cram(b"tim b913a602c7eda7a495b4e6e7334d3890").unwrap();
        assert_eq!(name, "tim");
        assert!(cram(challenge, &Secret::from("tanstaaftanstaaf"), digest));
        assert!(!cram(challenge, &password, digest));
        for wrong in ["tim", " x", "tim b913", "tim b913a602c7eda7a495b4e6e7334d389\n"] {
            assert!(read_cram(wrong.as_bytes()).is_err(), "{wrong:?}");
        }
    }

    // RFC 2202 section 2, case 6: a key longer than a block
    #[test]
    fn a_long_password_is_hashed_first() {
        let found =
            hmac_md5(&[0xaa; 80], b"Test Using Larger Than Block-Size Key - Hash Key First");
        assert_eq!(digits(&found), "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd");
    }
}
