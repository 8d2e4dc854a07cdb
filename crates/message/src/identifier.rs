//! Message identifiers of Message-ID, In-Reply-To and References (RFC 5322 3.6.4).
//!
//! It must never know about threads.

/// Octets of one identifier that is kept; a longer one is no identifier.
const IDENTIFIER_MAX: usize = 1000;

/// The identifiers of a field, without angle brackets and inner white space; of more than `max`
/// the first and the last ones (only the first one if `max` is 1). A Message-ID without brackets counts when nothing has
/// brackets and it is one word.
pub fn list(value: &[u8], max: usize) -> Vec<String> {
    let max = max.max(1);
    let mut found: Vec<String> = Vec::new();
    let mut rest = value;
    while let Some(start) = memchr::memchr(b'<', rest) {
        let tail = rest.get(start + 1..).unwrap_or_default();
        let Some(end) = memchr::memchr2(b'>', b'<', tail) else { break };
        let inner = tail.get(..end).unwrap_or_default();
        rest = tail.get(end..).unwrap_or_default();
        if !rest.starts_with(b">") {
            continue;
        }
        if let Some(id) = clean(inner) {
            if max == 1 {
                return vec![id];
            }
            if found.len() >= max.saturating_mul(2) {
                found.drain(1..=max);
            }
            found.push(id);
        }
    }
    if found.is_empty() {
        let word = value.trim_ascii();
        if word.contains(&b'@') && !word.iter().any(|b| b.is_ascii_whitespace() || *b == b'<') {
            found.extend(clean(word));
        }
    }
    if found.len() > max {
        found.drain(1..=found.len() - max);
    }
    found
}

fn clean(inner: &[u8]) -> Option<String> {
    let bytes: Vec<u8> = inner.iter().copied().filter(|b| *b > b' ' && *b != 0x7f).collect();
    if bytes.is_empty() || bytes.len() > IDENTIFIER_MAX {
        return None;
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::list;

    #[test]
    fn identifiers_are_found_among_other_words() {
        assert_eq!(list(b" <a@b>\r\n <c@\r\n d> (x)", 10), ["a@b", "c@d"]);
        assert_eq!(list(b"Your mail of <a@b> and <c@d>", 1), ["a@b"]);
        assert_eq!(list(b"a@b", 1), ["a@b"]);
        assert_eq!(list(b"<>", 1), Vec::<String>::new());
        assert_eq!(list(b"<a <b@c>", 9), ["b@c"]);
        let many: String = (0..500).map(|n| format!("<{n}@x> ")).collect();
        let last = list(many.as_bytes(), 100);
        assert_eq!(last.len(), 100);
        assert_eq!((last[0].as_str(), last[1].as_str()), ("0@x", "401@x"));
        assert_eq!(last[99], "499@x");
    }
}
