//! From transfer form to text: base64 and quoted-printable (RFC 2045 6), charsets to UTF-8.
//! Decoding never fails and never changes what is stored: broken input gives a stable answer.
//!
//! It must never know where the bytes come from.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

/// A Content-Transfer-Encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TransferEncoding {
    /// 7bit, 8bit or binary: the bytes are the content.
    #[default]
    Identity,
    /// Quoted-printable.
    QuotedPrintable,
    /// Base64.
    Base64,
    /// Anything else: the content cannot be had (BINARY answers UNKNOWN-CTE).
    Unknown,
}

impl TransferEncoding {
    /// Reads the value of the field; an absent one is `Identity`.
    pub fn of(value: Option<&[u8]>) -> TransferEncoding {
        let Some(word) = value.and_then(crate::content::word) else {
            return TransferEncoding::Identity;
        };
        let is = |name: &[u8]| word.eq_ignore_ascii_case(name);
        if is(b"7bit") || is(b"8bit") || is(b"binary") {
            TransferEncoding::Identity
        } else if is(b"quoted-printable") {
            TransferEncoding::QuotedPrintable
        } else if is(b"base64") {
            TransferEncoding::Base64
        } else {
            TransferEncoding::Unknown
        }
    }
}

/// The content of a body; an unknown encoding gives the bytes as they are.
pub fn content(body: &[u8], encoding: TransferEncoding) -> Cow<'_, [u8]> {
    match encoding {
        TransferEncoding::Identity | TransferEncoding::Unknown => Cow::Borrowed(body),
        TransferEncoding::QuotedPrintable => Cow::Owned(quoted_printable(body)),
        TransferEncoding::Base64 => Cow::Owned(base64(body)),
    }
}

const BASE64: [u8; 256] = base64_table();

const fn base64_table() -> [u8; 256] {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut table = [0xff; 256];
    let mut at = 0;
    while at < 64 {
        table[alphabet[at] as usize] = at as u8;
        at += 1;
    }
    table
}

/// Base64, forgiving: what is not of the alphabet is passed over, padding ends a group but not
/// the text, so that pieces put one behind the other decode too.
pub fn base64(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let (mut bits, mut count) = (0u32, 0u8);
    for &byte in text {
        let value = BASE64[byte as usize];
        if value == 0xff {
            if byte == b'=' {
                flush(&mut out, bits, count);
                (bits, count) = (0, 0);
            }
            continue;
        }
        bits = (bits << 6) | u32::from(value);
        count += 1;
        if count == 4 {
            out.extend_from_slice(&[(bits >> 16) as u8, (bits >> 8) as u8, bits as u8]);
            (bits, count) = (0, 0);
        }
    }
    flush(&mut out, bits, count);
    out
}

fn flush(out: &mut Vec<u8>, bits: u32, count: u8) {
    match count {
        2 => out.push((bits >> 4) as u8),
        3 => out.extend_from_slice(&[(bits >> 10) as u8, (bits >> 2) as u8]),
        _ => {}
    }
}

/// Quoted-printable, forgiving: a broken `=` stays as it is.
pub fn quoted_printable(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr2(b'=', b'\n', rest) {
        let (before, mark) = rest.split_at(at);
        let tail = mark.get(1..).unwrap_or_default();
        if mark.first() == Some(&b'\n') {
            // White space at a line's end was added on the way.
            let (line, end): (&[u8], &[u8]) = match before.strip_suffix(b"\r") {
                Some(line) => (line, b"\r\n"),
                None => (before, b"\n"),
            };
            let blank = line.iter().rev().take_while(|b| matches!(b, b' ' | b'\t')).count();
            out.extend_from_slice(line.get(..line.len() - blank).unwrap_or_default());
            out.extend_from_slice(end);
            rest = tail;
            continue;
        }
        out.extend_from_slice(before);
        if let (Some(high), Some(low)) =
            (tail.first().copied().and_then(hex), tail.get(1).copied().and_then(hex))
        {
            out.push(high << 4 | low);
            rest = tail.get(2..).unwrap_or_default();
            continue;
        }
        let blank = tail.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
        let after = tail.get(blank..).unwrap_or_default();
        if let Some(next) = after.strip_prefix(b"\r\n").or_else(|| after.strip_prefix(b"\n")) {
            rest = next;
        } else if after.is_empty() {
            rest = after;
        } else {
            out.push(b'=');
            rest = tail;
        }
    }
    out.extend_from_slice(rest);
    out
}

pub(crate) fn hex(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).map(|d| d as u8)
}

/// Text in a charset as UTF-8. Unknown labels (and none) mean UTF-8 if the bytes are that, else
/// windows-1252 with no label, replacement characters with one.
pub fn charset<'b>(label: Option<&[u8]>, bytes: &'b [u8]) -> Cow<'b, str> {
    let label = label.unwrap_or_default();
    // Text that says it is ASCII or Latin-1 and is valid UTF-8 beyond ASCII is UTF-8.
    let claimed = Encoding::for_label(label);
    let may_be_utf8 = claimed.is_none_or(|c| c == WINDOWS_1252 || c == UTF_8);
    if may_be_utf8 && let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    match claimed {
        Some(encoding) => encoding.decode_without_bom_handling(bytes).0,
        None if label.is_empty() => WINDOWS_1252.decode_without_bom_handling(bytes).0,
        None => String::from_utf8_lossy(bytes),
    }
}

/// Charsets that [`text_in`] names in refusals: a choice of what senders use.
pub const CHARSETS: &[&str] = &[
    "UTF-8",
    "US-ASCII",
    "ISO-8859-1",
    "ISO-8859-2",
    "ISO-8859-5",
    "ISO-8859-7",
    "ISO-8859-15",
    "WINDOWS-1251",
    "WINDOWS-1252",
    "KOI8-R",
    "ISO-2022-JP",
    "SHIFT_JIS",
    "EUC-JP",
    "EUC-KR",
    "GB18030",
    "BIG5",
];

/// Whether text in a charset of this label can be read: any label of the Encoding Standard but
/// those it gives up on.
pub fn knows_charset(label: &[u8]) -> bool {
    Encoding::for_label_no_replacement(label).is_some()
}

/// Text somebody says is in this charset, strictly: nothing if the label is unknown or the bytes
/// are not text in it.
pub fn text_in(label: &[u8], bytes: &[u8]) -> Option<String> {
    let encoding = Encoding::for_label_no_replacement(label)?;
    let text = encoding.decode_without_bom_handling_and_without_replacement(bytes)?;
    Some(text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_whatever_is_between() {
        assert_eq!(base64(b"aGVs\r\nbG8="), b"hello");
        assert_eq!(base64(b"aGVsbG8"), b"hello");
        assert_eq!(base64(b"aGk=aGk="), b"hihi");
        assert_eq!(base64(b"*a G\0k"), b"hi");
        assert_eq!(base64(b"="), b"");
    }

    #[test]
    fn quoted_printable_is_read_with_its_lies() {
        assert_eq!(quoted_printable(b"a=3Db=\r\nc"), b"a=bc");
        assert_eq!(quoted_printable(b"a= \t\nb"), b"ab");
        assert_eq!(quoted_printable(b"a  \r\nb \nc"), b"a\r\nb\nc");
        assert_eq!(quoted_printable(b"a=zzb=4"), b"a=zzb=4");
        assert_eq!(quoted_printable(b"end="), b"end");
        assert_eq!(quoted_printable(b"=20\r\nx"), b" \r\nx");
    }

    #[test]
    fn every_charset_that_is_named_is_known() {
        assert!(CHARSETS.iter().all(|label| knows_charset(label.as_bytes())));
        assert_eq!(text_in(b"koi8-r", b"\xf7").as_deref(), Some("В"));
        assert_eq!(text_in(b"utf-8", b"\xff"), None);
        assert_eq!(text_in(b"utf-7", b"x"), None);
        assert_eq!(text_in(b"hz-gb-2312", b"x"), None);
    }

    #[test]
    fn charsets_become_utf8_or_stay_readable() {
        // ABU-48
        assert_eq!(charset(Some(b"iso-8859-1"), b"\xe9"), "é");
        assert_eq!(charset(Some(b"us-ascii"), "é".as_bytes()), "é");
        assert_eq!(charset(Some(b"iso-2022-jp"), b"\x1b$B$\"\x1b(B"), "あ");
        assert_eq!(charset(Some(b"utf-7"), b"+AOk-"), "+AOk-");
        assert_eq!(charset(Some(b"x-nobody"), b"\xff"), "\u{fffd}");
        assert_eq!(charset(None, b"\xe9"), "é");
        assert_eq!(charset(Some(b"utf-8"), b"\xed\xa0\x80").chars().next(), Some('\u{fffd}'));
    }
}
