//! What a client writes: strings in the safest spelling, sets of UIDs in the shortest.

/// Appends a string as an IMAP `string`: quoted where that is allowed, else a literal. `Some(at)`
/// is the place after `{n}\r\n` where a synchronising client must wait for the continuation.
pub fn string(out: &mut Vec<u8>, text: &[u8], literal_plus: bool) -> Option<usize> {
    let plain = text.len() <= 1000
        && text.iter().all(|b| *b != 0 && *b != b'\r' && *b != b'\n' && *b < 0x80);
    if plain {
        out.push(b'"');
        for byte in text {
            if matches!(byte, b'"' | b'\\') {
                out.push(b'\\');
            }
            out.push(*byte);
        }
        out.push(b'"');
        return None;
    }
    let plus = if literal_plus { "+" } else { "" };
    out.extend_from_slice(format!("{{{}{plus}}}\r\n", text.len()).as_bytes());
    let wait = (!literal_plus).then_some(out.len());
    out.extend_from_slice(text);
    wait
}

/// Ascending numbers as a set, runs as ranges: `1:3,7`. Empty for none.
#[must_use]
pub fn set(numbers: &[u32]) -> String {
    let mut out = String::new();
    let mut rest = numbers.iter().copied().peekable();
    while let Some(first) = rest.next() {
        let mut last = first;
        while let Some(next) = rest.next_if(|n| *n == last.wrapping_add(1)) {
            last = next;
        }
        if !out.is_empty() {
            out.push(',');
        }
        out.push_str(&first.to_string());
        if last != first {
            out.push(':');
            out.push_str(&last.to_string());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_quoted_where_that_is_allowed() {
        let mut out = Vec::new();
        assert_eq!(string(&mut out, b"a \"b\" \\", true), None);
        assert_eq!(out, br#""a \"b\" \\""#);
        out.clear();
        assert_eq!(string(&mut out, "ü".as_bytes(), false), Some(5));
        assert_eq!(out, "{2}\r\nü".as_bytes());
    }

    #[test]
    fn sets_are_short() {
        assert_eq!(set(&[1, 2, 3, 7, 9, 10]), "1:3,7,9:10");
        assert_eq!(set(&[]), "");
        assert_eq!(set(&[u32::MAX]), "4294967295");
    }
}
