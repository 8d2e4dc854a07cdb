//! Strings of the IMAP wire form (RFC 9051 4.3): NIL, quoted, literal.
//!
//! It must never know what the strings mean.

/// Octets up to which a string is sent quoted; longer ones become literals.
const QUOTED_MAX: usize = 1000;

pub(crate) fn nil(out: &mut Vec<u8>) {
    out.extend_from_slice(b"NIL");
}

pub(crate) fn number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 || at == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// A string: quoted if it can be, else a literal. NUL cannot be sent in either and is left out;
/// CR and LF are what is left of folds and go too.
pub(crate) fn string(out: &mut Vec<u8>, text: &[u8]) {
    let mut plain = text.len() <= QUOTED_MAX;
    let mut clean = true;
    for &byte in text {
        plain &= byte < 0x80 && byte != b'"' && byte != b'\\';
        clean &= !matches!(byte, 0 | b'\r' | b'\n');
    }
    if plain && clean {
        out.push(b'"');
        out.extend_from_slice(text);
        out.push(b'"');
    } else if clean {
        string_slow(out, text);
    } else {
        let cleaned: Vec<u8> =
            text.iter().copied().filter(|b| !matches!(b, 0 | b'\r' | b'\n')).collect();
        string_slow(out, &cleaned);
    }
}

fn string_slow(out: &mut Vec<u8>, text: &[u8]) {
    if text.len() > QUOTED_MAX || text.iter().any(|b| *b >= 0x80) {
        out.push(b'{');
        number(out, text.len() as u64);
        out.extend_from_slice(b"}\r\n");
        out.extend_from_slice(text);
        return;
    }
    out.push(b'"');
    for &byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

/// The same in lower case: types, encodings, parameter names.
pub(crate) fn lower(out: &mut Vec<u8>, text: &[u8]) {
    let start = out.len();
    string(out, text);
    if let Some(written) = out.get_mut(start..) {
        written.make_ascii_lowercase();
    }
}

/// An unstructured value: NIL if the field is absent, `""` if it is empty.
pub(crate) fn field(out: &mut Vec<u8>, value: Option<&[u8]>) {
    match value {
        Some(value) => string(out, value.trim_ascii()),
        None => nil(out),
    }
}

#[cfg(test)]
mod tests {
    fn of(text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        super::string(&mut out, text);
        out
    }

    #[test]
    fn strings_take_the_form_they_need() {
        assert_eq!(of(b""), b"\"\"");
        assert_eq!(of(b"a b"), b"\"a b\"");
        assert_eq!(of(br#"a"\b"#), br#""a\"\\b""#);
        assert_eq!(of("é".as_bytes()), b"{2}\r\n\xc3\xa9");
        assert_eq!(of(b"a\r\n b\0c"), b"\"a bc\"");
        assert_eq!(of(&[b'x'; 1001]).get(..8), Some(&b"{1001}\r\n"[..]));
        let mut out = Vec::new();
        super::number(&mut out, 0);
        super::number(&mut out, u64::MAX);
        assert_eq!(out, b"018446744073709551615");
    }
}
