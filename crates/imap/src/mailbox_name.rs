//! Mailbox names on the wire: modified UTF-7 (RFC 3501 section 5.1.3) to UTF-8 and back. Knows
//! nothing of which names are allowed.

use base64::Engine as _;
use base64::alphabet::Alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Longest name taken from the wire, in bytes; a name of 1,000 characters outside ASCII fits.
pub const MAX_WIRE: usize = 8192;

/// Base64 of RFC 3501: `,` for `/`, no padding, no stray bits.
fn engine() -> GeneralPurpose {
    const ALPHABET: Alphabet =
        match Alphabet::new("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,") {
            Ok(alphabet) => alphabet,
            Err(_) => base64::alphabet::STANDARD,
        };
    const CONFIG: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone);
    GeneralPurpose::new(&ALPHABET, CONFIG)
}

/// Decodes modified UTF-7 strictly: only the one form [`encode`] writes is taken, so that two
/// spellings never mean one name. `None` if the bytes are not that form.
#[must_use]
pub fn decode(wire: &[u8]) -> Option<String> {
    if !wire.contains(&b'&') {
        return plain(wire).then(|| String::from_utf8_lossy(wire).into_owned());
    }
    let mut name = String::with_capacity(wire.len());
    let mut rest = wire;
    let mut after_shift = false;
    while let Some((&byte, tail)) = rest.split_first() {
        if byte != b'&' {
            if !plain(&[byte]) {
                return None;
            }
            name.push(char::from(byte));
            rest = tail;
            after_shift = false;
            continue;
        }
        let end = tail.iter().position(|&b| b == b'-')?;
        let shifted = tail.get(..end)?;
        rest = tail.get(end + 1..)?;
        if shifted.is_empty() {
            name.push('&');
            after_shift = false;
            continue;
        }
        // `&…-&…-` with nothing between would be one shift in the right form.
        if after_shift {
            return None;
        }
        unshift(shifted, &mut name)?;
        after_shift = true;
    }
    Some(name)
}

/// Decodes modified UTF-7; what is not, but is UTF-8 without control characters, is taken as it
/// stands (`&` meaning itself). Clients that never heard of UTF-7 are served too.
#[must_use]
pub fn decode_tolerant(wire: &[u8]) -> Option<String> {
    decode(wire).or_else(|| {
        let name = std::str::from_utf8(wire).ok()?;
        (!name.chars().any(char::is_control)).then(|| name.to_owned())
    })
}

/// Appends the name in modified UTF-7. Control characters are shifted too, so that the outcome is
/// always printable ASCII.
pub fn encode(name: &str, out: &mut Vec<u8>) {
    let mut pending: Vec<u8> = Vec::new();
    for character in name.chars() {
        if matches!(character, ' '..='~') {
            shift(&mut pending, out);
            out.push(character as u8);
            if character == '&' {
                out.push(b'-');
            }
            continue;
        }
        let mut units = [0; 2];
        for unit in character.encode_utf16(&mut units) {
            pending.extend_from_slice(&unit.to_be_bytes());
        }
    }
    shift(&mut pending, out);
}

/// True when the name goes out as it stands: printable ASCII without `&`.
#[must_use]
pub fn is_plain(name: &str) -> bool {
    plain(name.as_bytes()) && !name.contains('&')
}

fn plain(bytes: &[u8]) -> bool {
    bytes.iter().all(|b| matches!(b, b' '..=b'~'))
}

fn shift(pending: &mut Vec<u8>, out: &mut Vec<u8>) {
    if pending.is_empty() {
        return;
    }
    out.push(b'&');
    out.extend_from_slice(engine().encode(&pending).as_bytes());
    out.push(b'-');
    pending.clear();
}

fn unshift(shifted: &[u8], name: &mut String) -> Option<()> {
    let bytes = engine().decode(shifted).ok()?;
    if bytes.is_empty() || bytes.len() % 2 != 0 {
        return None;
    }
    let units = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    for character in char::decode_utf16(units) {
        let character = character.ok()?;
        // What can stand unshifted must, and controls are no names.
        if matches!(character, ' '..='~') || character.is_control() {
            return None;
        }
        name.push(character);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wire(name: &str) -> String {
        let mut out = Vec::new();
        encode(name, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_examples_of_the_standard_hold() {
        assert_eq!(wire("~peter/mail/台北/日本語"), "~peter/mail/&U,BTFw-/&ZeVnLIqe-");
        assert_eq!(decode(b"~peter/mail/&U,BTFw-/&ZeVnLIqe-").unwrap(), "~peter/mail/台北/日本語");
        assert_eq!(wire("a&b"), "a&-b");
        assert_eq!(decode(b"a&-b").unwrap(), "a&b");
        assert_eq!(wire("Entwürfe"), "Entw&APw-rfe");
        assert_eq!(wire("😀"), "&2D3eAA-");
    }

    #[test]
    fn only_one_spelling_of_a_name_is_strict() {
        for bad in [
            &b"&AGE-"[..],         // `a` needs no shift
            b"&U,BTFw-&ZeVnLIqe-", // two shifts in a row
            b"&Jjo",               // not closed
            b"&Jjo!-",             // not base64
            b"&2D0-",              // half a surrogate pair
            b"&AAA-",              // NUL
            b"&A-",                // half a unit
            b"\x80",
            b"a\x01",
        ] {
            assert_eq!(decode(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn names_that_are_not_utf7_are_taken_as_utf8() {
        assert_eq!(decode_tolerant("Entwürfe".as_bytes()).unwrap(), "Entwürfe");
        assert_eq!(decode_tolerant(b"R&D").unwrap(), "R&D");
        assert_eq!(decode_tolerant(b"\xff"), None);
        assert_eq!(decode_tolerant(b"a\0"), None);
    }

    proptest! {
        #[test]
        fn every_name_comes_back(name in "[^\\p{Cc}]{0,40}") {
            prop_assert_eq!(decode(wire(&name).as_bytes()), Some(name.clone()));
            prop_assert!(wire(&name).is_ascii());
        }

        #[test]
        fn strict_decoding_has_one_wire_form(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Some(name) = decode(&bytes) {
                prop_assert_eq!(wire(&name).into_bytes(), bytes);
            }
        }

        #[test]
        fn shifted_text_has_one_wire_form(text in "(&[A-Za-z0-9+,]{0,12}-|[a-z&]){0,4}") {
            if let Some(name) = decode(text.as_bytes()) {
                prop_assert_eq!(wire(&name), text);
            }
        }
    }
}
