//! Text beyond ASCII in header fields: encoded words (RFC 2047) and extended parameters
//! (RFC 2231), both ways.
//!
//! It must never know which field a text is from.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem;

use crate::content::{PARAMETERS_MAX, Parameter};
use crate::decode;

/// Octets of one encoded word that are looked at (RFC 2047 allows 75; senders exceed it).
const WORD_MAX: usize = 8 * 1024;

/// Octets of payload in an encoded word we write, so that a line stays below 76.
const WORD_PAYLOAD: usize = 42;

/// Decodes a field's value: folds removed, encoded words decoded, raw 8-bit text guessed.
/// Neighbouring words of one charset are put together before the charset is read, since senders
/// cut characters in two.
pub fn decode_text(value: &[u8]) -> String {
    let value = crate::header::unfold(value);
    let Some(first) = memmem::find(&value, b"=?") else {
        return clean(decode::charset(None, &value));
    };
    let mut out = String::with_capacity(value.len());
    let (plain, mut rest) = value.split_at(first);
    out.push_str(&decode::charset(None, plain));
    // The bytes of the words decoded last, and their charset.
    let mut pending: Option<(&[u8], Vec<u8>)> = None;
    loop {
        let (word, after) = match encoded_word(rest) {
            Some(found) => found,
            None => {
                // Not a word: plain text up to the next possible one.
                let skip = if rest.is_empty() { 0 } else { 1 };
                let tail = rest.get(skip..).unwrap_or_default();
                let end = memmem::find(tail, b"=?").map_or(rest.len(), |at| at + skip);
                let (plain, next) = rest.split_at(end);
                let between_words = encoded_word(next).is_some();
                if pending.is_none() || !plain.trim_ascii().is_empty() || !between_words {
                    flush(&mut out, &mut pending);
                    out.push_str(&decode::charset(None, plain));
                }
                if next.is_empty() {
                    break;
                }
                rest = next;
                continue;
            }
        };
        match &mut pending {
            Some((charset, bytes)) if charset.eq_ignore_ascii_case(word.charset) => {
                bytes.extend_from_slice(&word.bytes);
            }
            _ => {
                flush(&mut out, &mut pending);
                pending = Some((word.charset, word.bytes));
            }
        }
        rest = after;
    }
    flush(&mut out, &mut pending);
    clean(Cow::Owned(out))
}

fn flush(out: &mut String, pending: &mut Option<(&[u8], Vec<u8>)>) {
    if let Some((charset, bytes)) = pending.take() {
        out.push_str(&decode::charset(Some(charset), &bytes));
    }
}

/// Control characters that came out of decoding would break lists and logs.
fn clean(text: Cow<'_, str>) -> String {
    if text.chars().any(char::is_control) {
        return text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    }
    text.into_owned()
}

struct Word<'a> {
    charset: &'a [u8],
    bytes: Vec<u8>,
}

/// The encoded word this text begins with, and what is behind it.
fn encoded_word(text: &[u8]) -> Option<(Word<'_>, &[u8])> {
    let inner = text.strip_prefix(b"=?")?;
    let inner = inner.get(..WORD_MAX).unwrap_or(inner);
    let charset_end = memchr::memchr(b'?', inner.get(..64).unwrap_or(inner))?;
    let charset = inner.get(..charset_end)?;
    // RFC 2231 5: a language may follow the charset.
    let charset = charset.split(|b| *b == b'*').next()?;
    let form = *inner.get(charset_end + 1)?;
    if inner.get(charset_end + 2) != Some(&b'?') || charset.is_empty() {
        return None;
    }
    let payload = inner.get(charset_end + 3..)?;
    // No question mark is inside a word, so the first one must end it.
    let end = memchr::memchr(b'?', payload)?;
    let coded = payload.get(..end)?;
    if payload.get(end + 1) != Some(&b'=') {
        return None;
    }
    let bytes = match form {
        b'B' | b'b' => decode::base64(coded),
        b'Q' | b'q' => {
            let spaced: Vec<u8> =
                coded.iter().map(|b| if *b == b'_' { b' ' } else { *b }).collect();
            decode::quoted_printable(&spaced)
        }
        _ => return None,
    };
    let used = 2 + charset_end + 3 + end + 2;
    Some((Word { charset, bytes }, text.get(used..)?))
}

/// Text as it may stand in an unstructured field: as it is when printable ASCII, else encoded
/// words of UTF-8 separated by spaces (fold at the spaces).
pub fn encode_text(text: &str) -> String {
    if text.bytes().all(|b| matches!(b, b' '..=b'~')) && !text.contains("=?") {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut start = 0;
    while start < text.len() {
        let mut end = (start + WORD_PAYLOAD).min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let Some(piece) = text.get(start..end) else { break };
        if start > 0 {
            out.push(' ');
        }
        out.push_str("=?utf-8?B?");
        STANDARD.encode_string(piece, &mut out);
        out.push_str("?=");
        start = end;
    }
    out
}

/// The readable value of a parameter: `name*` with charset, `name*0*` pieces put together
/// (RFC 2231), else the plain one, in which encoded words are decoded, as many senders write
/// them there.
pub fn parameter(parameters: &[Parameter<'_>], name: &str) -> Option<String> {
    let mut pieces: Vec<(usize, bool, &[u8])> = Vec::new();
    let mut plain = None;
    for parameter in parameters.iter().take(PARAMETERS_MAX) {
        let Some((head, tail)) = parameter.name.split_at_checked(name.len()) else { continue };
        if !head.eq_ignore_ascii_case(name.as_bytes()) {
            continue;
        }
        match tail {
            b"" if plain.is_none() => plain = Some(parameter.value.as_ref()),
            b"*" => pieces.push((0, true, &parameter.value)),
            [b'*', number @ ..] => {
                let (number, coded) = match number.strip_suffix(b"*") {
                    Some(number) => (number, true),
                    None => (number, false),
                };
                let index = std::str::from_utf8(number).ok().and_then(|n| n.parse().ok());
                if let Some(index) = index {
                    pieces.push((index, coded, &parameter.value));
                }
            }
            _ => {}
        }
    }
    pieces.sort_by_key(|piece| piece.0);
    pieces.dedup_by_key(|piece| piece.0);
    if pieces.first().is_none_or(|piece| piece.0 != 0) {
        return plain.map(decode_text);
    }
    let mut charset: Option<&[u8]> = None;
    let mut bytes = Vec::new();
    for (wanted, (index, coded, mut value)) in pieces.into_iter().enumerate() {
        if index != wanted {
            break;
        }
        if index == 0 && coded {
            let mut parts = value.splitn(3, |b| *b == b'\'');
            if let (Some(label), Some(_), Some(rest)) = (parts.next(), parts.next(), parts.next()) {
                charset = Some(label);
                value = rest;
            }
        }
        if coded { percent(value, &mut bytes) } else { bytes.extend_from_slice(value) }
    }
    Some(clean(decode::charset(charset, &bytes)))
}

fn percent(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        let digits = (
            tail.first().copied().and_then(decode::hex),
            tail.get(1).copied().and_then(decode::hex),
        );
        if let (b'%', (Some(high), Some(low))) = (byte, digits) {
            out.push(high << 4 | low);
            rest = tail.get(2..).unwrap_or_default();
        } else {
            out.push(byte);
            rest = tail;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::content_type;

    #[test]
    fn encoded_words_are_read() {
        for (text, wanted) in [
            ("plain", "plain"),
            ("=?utf-8?Q?Gr=C3=B6=C3=9Fe_x?=", "Größe x"),
            ("=?UTF-8?B?R3LDtg==?= =?utf-8?b?w58=?=", "Grö\u{df}"),
            ("=?utf-8?B?w7==?=\r\n =?utf-8?B?tg==?=", "ö"),
            ("a =?iso-8859-1?q?=E9?= b", "a é b"),
            ("=?iso-8859-1*fr?q?=E9?=x", "éx"),
            ("=?broken", "=?broken"),
            ("=?x?y?z?=", "=?x?y?z?="),
            ("a =? b =?utf-8?Q?c?=", "a =? b c"),
            ("=?utf-8?Q?a=0Ab?=", "a b"),
        ] {
            assert_eq!(decode_text(text.as_bytes()), wanted, "{text}");
        }
        assert_eq!(decode_text(b"caf\xe9"), "café");
    }

    #[test]
    fn what_is_encoded_is_read_back() {
        for text in
            ["", "plain", "Größe", "日本語の件名がとても長いときでも一行に収まるように切る", "=?x"]
        {
            let coded = encode_text(text);
            assert_eq!(decode_text(coded.as_bytes()), text);
            assert!(coded.split(' ').all(|w| w.len() <= 75));
        }
    }

    #[test]
    fn a_flood_of_words_is_answered() {
        // ABU-46
        let flood = "=?utf-8?Q?=C3?= =?".repeat(50_000);
        assert!(decode_text(flood.as_bytes()).len() <= flood.len() * 3);
        let unended = "=?a?q?x".repeat(150_000);
        assert_eq!(decode_text(unended.as_bytes()), unended);
    }

    #[test]
    fn extended_parameters_are_read() {
        let name = |value: &str| {
            let content = content_type(value.as_bytes()).unwrap();
            parameter(&content.parameters, "name")
        };
        assert_eq!(name("a/b; name*=utf-8''%C3%A9%20x"), Some("é x".into()));
        assert_eq!(name("a/b; name*1=b; name*0*=utf-8''%C3%A9"), Some("éb".into()));
        assert_eq!(name("a/b; name*0=a; name*2=c"), Some("a".into()));
        assert_eq!(name("a/b; name*1=b; name=p"), Some("p".into()));
        assert_eq!(name("a/b; name=\"=?utf-8?Q?=C3=A9?=\""), Some("é".into()));
        assert_eq!(name("a/b"), None);
    }
}
