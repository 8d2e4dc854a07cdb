//! The small words of answers: numbers, strings, names, sets. Knows no answer.

use crate::decode::is_astring_char;
use crate::types::UidSet;

/// Longest text sent as a quoted string; longer ones go as literals.
const MAX_QUOTED: usize = 1000;

const PAIRS: &[u8; 200] = b"0001020304050607080910111213141516171819\
2021222324252627282930313233343536373839\
4041424344454647484950515253545556575859\
6061626364656667686970717273747576777879\
8081828384858687888990919293949596979899";

/// Appends a number in decimal.
pub fn number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    while number >= 100 {
        let pair = (number % 100) as usize * 2;
        number /= 100;
        at -= 2;
        digits[at..at + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    }
    if number >= 10 {
        let pair = number as usize * 2;
        at -= 2;
        digits[at..at + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    } else {
        at -= 1;
        digits[at] = b'0' + number as u8;
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends a string: quoted when it is short ASCII on one line, else as a literal.
pub fn string(out: &mut Vec<u8>, text: &[u8]) {
    let quotable = text.len() <= MAX_QUOTED
        && text.iter().all(|&b| b.is_ascii() && !matches!(b, 0 | b'\r' | b'\n'));
    if quotable {
        quoted(out, text);
    } else {
        literal_head(out, text.len() as u64, memchr::memchr(0, text).is_some());
        out.extend_from_slice(text);
    }
}

/// Appends `"…"` with escapes. The text must hold no line end and no NUL.
fn quoted(out: &mut Vec<u8>, text: &[u8]) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    for &byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

/// Appends `{n}` and a line end, after which exactly `size` octets must be appended; `~{n}` when
/// they may hold NUL.
pub fn literal_head(out: &mut Vec<u8>, size: u64, binary: bool) {
    out.extend_from_slice(if binary { b"~{" } else { b"{" });
    number(out, size);
    out.extend_from_slice(b"}\r\n");
}

/// Appends NIL or a string.
pub fn nstring(out: &mut Vec<u8>, text: Option<&[u8]>) {
    match text {
        Some(text) => string(out, text),
        None => out.extend_from_slice(b"NIL"),
    }
}

/// Appends a word, quoted only where it must be.
pub fn astring(out: &mut Vec<u8>, text: &[u8]) {
    let bare = !text.is_empty()
        && text.len() <= MAX_QUOTED
        && text.iter().all(|&b| is_astring_char(b))
        && !text.eq_ignore_ascii_case(b"NIL");
    if bare { out.extend_from_slice(text) } else { string(out, text) }
}

/// Appends a mailbox name given in UTF-8: modified UTF-7, or as it is (quoted) for a session
/// that enabled UTF-8.
pub fn mailbox_name(out: &mut Vec<u8>, name: &str, utf8: bool) {
    if crate::mailbox_name::is_plain(name) || (utf8 && name.is_ascii()) {
        astring(out, name.as_bytes());
    } else if utf8 && !name.contains(['\r', '\n', '\0']) {
        quoted(out, name.as_bytes());
    } else if utf8 {
        string(out, name.as_bytes());
    } else {
        let mut wire = Vec::with_capacity(name.len() * 2);
        crate::mailbox_name::encode(name, &mut wire);
        astring(out, &wire);
    }
}

/// Appends `1:3,5`. An empty set is written as nothing, so callers leave the whole item out.
pub fn uid_set(out: &mut Vec<u8>, set: &UidSet) {
    for (i, &(low, high)) in set.ranges().iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        range(out, low, high);
    }
}

/// Appends numbers in their own order, runs of ascending neighbours joined: the form in which the
/// two sides of COPYUID stay in step (RFC 4315 section 3).
pub fn ordered_set(out: &mut Vec<u8>, numbers: impl IntoIterator<Item = u32>) {
    let mut run: Option<(u32, u32)> = None;
    let mut first = true;
    for number in numbers {
        match &mut run {
            Some((_, last)) if last.checked_add(1) == Some(number) => *last = number,
            _ => {
                flush_run(out, run.replace((number, number)), &mut first);
            }
        }
    }
    flush_run(out, run, &mut first);
}

fn flush_run(out: &mut Vec<u8>, run: Option<(u32, u32)>, first: &mut bool) {
    let Some((low, high)) = run else { return };
    if !*first {
        out.push(b',');
    }
    *first = false;
    range(out, low, high);
}

fn range(out: &mut Vec<u8>, low: u32, high: u32) {
    number(out, u64::from(low));
    if high != low {
        out.push(b':');
        number(out, u64::from(high));
    }
}

/// Appends text for people: what is not printable ASCII becomes `?`.
pub(super) fn human(out: &mut Vec<u8>, text: &str) {
    out.extend(text.bytes().map(|b| if matches!(b, b' '..=b'~') { b } else { b'?' }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn strings_take_the_shortest_safe_form() {
        assert_eq!(written(|o| astring(o, b"INBOX")), "INBOX");
        assert_eq!(written(|o| astring(o, b"")), "\"\"");
        assert_eq!(written(|o| astring(o, b"nil")), "\"nil\"");
        assert_eq!(written(|o| astring(o, b"a b")), "\"a b\"");
        assert_eq!(written(|o| string(o, b"a\"\\")), "\"a\\\"\\\\\"");
        assert_eq!(written(|o| string(o, b"a\r\nb")), "{4}\r\na\r\nb");
        assert_eq!(written(|o| string(o, "é".as_bytes())), "{2}\r\né");
        assert_eq!(written(|o| nstring(o, None)), "NIL");
        assert_eq!(written(|o| mailbox_name(o, "Entwürfe", false)), "Entw&APw-rfe");
        assert_eq!(written(|o| mailbox_name(o, "Entwürfe", true)), "\"Entwürfe\"");
        assert_eq!(written(|o| mailbox_name(o, "R&D", true)), "R&D");
        assert_eq!(written(|o| mailbox_name(o, "R&D", false)), "R&-D");
    }

    #[test]
    fn ordered_sets_keep_their_order() {
        assert_eq!(written(|o| ordered_set(o, [3, 4, 5, 1, 9, 10])), "3:5,1,9:10");
        assert_eq!(written(|o| ordered_set(o, [7, 6])), "7,6");
        assert_eq!(written(|o| ordered_set(o, [])), "");
    }

    proptest! {
        #[test]
        fn numbers_are_decimal(n: u64) {
            prop_assert_eq!(written(|o| number(o, n)), n.to_string());
            prop_assert_eq!(written(|o| number(o, n % 1000)), (n % 1000).to_string());
        }
    }
}
