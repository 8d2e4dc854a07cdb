//! Messages rewritten for servers that do not take them as they are (RFC 6152 section 3, RFC 3030
//! section 3): 8-bit or binary content becomes quoted-printable or base64; nothing else changes.
//!
//! It must never know a server.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use memchr::memchr;
use thiserror::Error;

use crate::decode::TransferEncoding;
use crate::header;
use crate::structure::{Inside, Part};

/// Longest line of quoted-printable, without its line end.
const QUOTED_LINE: usize = 76;

/// Octets of content in one line of base64.
const BASE64_LINE: usize = 57;

/// Longest line that travels as it is, without its line end (RFC 5322 section 2.1.1).
const LONGEST_LINE: usize = 998;

/// Why a message cannot be rewritten.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ConvertError {
    /// A signature covers what would change.
    #[error("the other server does not take 8-bit mail, and the message is signed or encrypted")]
    Signed,
    /// It has more parts than are looked at, or a part that is not as it says.
    #[error("the other server does not take 8-bit mail, and the message cannot be rewritten")]
    Structure,
}

/// The message with every part in 7 bits, or with `eight_bit` in lines of 8-bit text; `None` when
/// it is so already.
///
/// # Errors
/// [`ConvertError`].
pub fn convert(message: &[u8], eight_bit: bool) -> Result<Option<Vec<u8>>, ConvertError> {
    let unfit = Unfit { eight_bit };
    if !unfit.is(message) {
        return Ok(None);
    }
    let mut edits = Vec::new();
    unfit.part(message, &Part::of(message), true, &mut edits)?;
    if edits.is_empty() {
        return Ok(None);
    }
    let mut out = Vec::with_capacity(message.len() + message.len() / 2);
    let mut at = 0;
    for (range, with) in edits {
        out.extend_from_slice(message.get(at..range.start).unwrap_or_default());
        out.extend_from_slice(&with);
        at = range.end.max(at);
    }
    out.extend_from_slice(message.get(at..).unwrap_or_default());
    Ok(Some(out))
}

type Edits = Vec<(Range<usize>, Vec<u8>)>;

struct Unfit {
    eight_bit: bool,
}

impl Unfit {
    /// Whether these octets cannot travel as they are.
    fn is(&self, bytes: &[u8]) -> bool {
        (!self.eight_bit && !bytes.is_ascii()) || !is_lines(bytes)
    }

    fn part(
        &self,
        message: &[u8],
        part: &Part,
        root: bool,
        edits: &mut Edits,
    ) -> Result<(), ConvertError> {
        let body = part.body_of(message);
        if !self.is(body) {
            return Ok(());
        }
        let is = |kind: &[u8]| part.content.kind.eq_ignore_ascii_case(kind);
        let subtype = |name: &[u8]| part.content.subtype.eq_ignore_ascii_case(name);
        if is(b"multipart") && (subtype(b"signed") || subtype(b"encrypted")) {
            return Err(ConvertError::Signed);
        }
        match part.inside {
            Inside::Leaf => {
                if is(b"multipart") || is(b"message") {
                    return Err(ConvertError::Structure);
                }
                // What says that it is encoded and is not would become something else.
                if part.encoding != TransferEncoding::Identity {
                    return Err(ConvertError::Structure);
                }
                let text = is(b"text");
                let word = if text { "quoted-printable" } else { "base64" };
                edits.push(self.heading(message, part, root, Some(word)));
                let made = if text { quoted_printable(body) } else { base64(body) };
                edits.push((part.body.clone(), made));
            }
            Inside::Multipart | Inside::Message => {
                edits.push(self.heading(message, part, root, None));
                for child in &part.children {
                    self.part(message, child, false, edits)?;
                }
            }
        }
        Ok(())
    }

    /// A part's header with this encoding, or with none.
    fn heading(
        &self,
        message: &[u8],
        part: &Part,
        root: bool,
        word: Option<&str>,
    ) -> (Range<usize>, Vec<u8>) {
        let old = part.header_of(message);
        let mut new = header::filter(old, &["Content-Transfer-Encoding"], false);
        new.truncate(new.len().saturating_sub(2));
        if root && header::find(old, "MIME-Version").is_none() {
            new.extend_from_slice(b"MIME-Version: 1.0\r\n");
        }
        match word {
            Some(word) => {
                if header::find(old, "Content-Type").is_none() {
                    new.extend_from_slice(b"Content-Type: text/plain; charset=unknown-8bit\r\n");
                }
                let line = format!("Content-Transfer-Encoding: {word}\r\n");
                new.extend_from_slice(line.as_bytes());
            }
            None if self.eight_bit => {
                new.extend_from_slice(b"Content-Transfer-Encoding: 8bit\r\n");
            }
            None => {}
        }
        new.extend_from_slice(b"\r\n");
        (part.header.clone(), new)
    }
}

/// True for text in lines that are not too long, without NUL and bare line ends.
fn is_lines(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while !rest.is_empty() {
        let (line, next) = match memchr(b'\n', rest) {
            Some(end) => (rest.get(..end), rest.get(end + 1..).unwrap_or_default()),
            None => (Some(rest), &[][..]),
        };
        let line = line.unwrap_or_default();
        let ended = line.len() < rest.len();
        let line = match line.strip_suffix(b"\r") {
            Some(line) if ended => line,
            _ if ended => return false,
            _ => line,
        };
        if line.len() > LONGEST_LINE || memchr::memchr2(b'\r', 0, line).is_some() {
            return false;
        }
        rest = next;
    }
    true
}

/// Writes text as quoted-printable (RFC 2045 section 6.7). Line ends stay; other control
/// characters are written out.
#[must_use]
pub fn quoted_printable(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + text.len() / 4);
    let mut column = 0;
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        if let Some(next) = rest.strip_prefix(b"\r\n") {
            out.extend_from_slice(b"\r\n");
            column = 0;
            rest = next;
            continue;
        }
        let line_ends = after.is_empty() || after.starts_with(b"\r\n");
        let plain = match byte {
            b' ' | b'\t' => !line_ends,
            b'=' => false,
            // A dot or a From at the start of a line has met bad programs.
            b'.' | b'F' => column > 0,
            33..=126 => true,
            _ => false,
        };
        let width = if plain { 1 } else { 3 };
        let room = if line_ends { QUOTED_LINE } else { QUOTED_LINE - 1 };
        if column + width > room {
            out.extend_from_slice(b"=\r\n");
            column = 0;
            continue;
        }
        if plain {
            out.push(byte);
        } else {
            out.extend_from_slice(format!("={byte:02X}").as_bytes());
        }
        column += width;
        rest = after;
    }
    out
}

fn base64(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() / 3 * 4 + content.len() / 28 + 8);
    for line in content.chunks(BASE64_LINE) {
        out.extend_from_slice(STANDARD.encode(line).as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::decode;

    #[test]
    fn text_becomes_quoted_printable_and_other_content_base64() {
        let message = "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße \r\n.\r\n--b\r\nContent-Type: application/x\r\nContent-Transfer-Encoding: binary\r\n\r\né\r\n--b\r\n\r\nplain\r\n--b--\r\n";
        let made = convert(message.as_bytes(), false).unwrap().unwrap();
        assert!(made.is_ascii());
        let made = String::from_utf8(made).unwrap();
        assert_eq!(
            made,
            "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC=C3=9Fe=20\r\n=2E\r\n--b\r\nContent-Type: application/x\r\nContent-Transfer-Encoding: base64\r\n\r\nw6k=\r\n\r\n--b\r\n\r\nplain\r\n--b--\r\n"
        );
        assert_eq!(convert(made.as_bytes(), false), Ok(None));
    }

    #[test]
    fn a_message_without_mime_says_what_it_became() {
        let made = convert("Subject: x\r\n\r\né\r\n".as_bytes(), false).unwrap().unwrap();
        let text = "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=unknown-8bit\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A9\r\n";
        assert_eq!(String::from_utf8(made).unwrap(), text);
    }

    #[test]
    fn what_is_signed_is_not_touched() {
        let message = "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\né\r\n--b--\r\n";
        assert_eq!(convert(message.as_bytes(), false), Err(ConvertError::Signed));
        assert_eq!(convert(message.as_bytes(), true), Ok(None));
    }

    #[test]
    fn binary_content_is_encoded_for_a_server_that_takes_lines_only() {
        let message =
            b"Content-Type: image/x\r\nContent-Transfer-Encoding: binary\r\n\r\n\x00\n\xff";
        let made = convert(message, true).unwrap().unwrap();
        assert!(made.ends_with(b"Content-Transfer-Encoding: base64\r\n\r\nAAr/\r\n"));
    }

    proptest! {
        #[test]
        fn quoted_printable_comes_back(lines in prop::collection::vec("[ -~é\t]{0,100}", 0..6)) {
            let text = lines.join("\r\n");
            let made = quoted_printable(text.as_bytes());
            prop_assert!(made.split(|b| *b == b'\n').all(|l| l.len() <= QUOTED_LINE + 1));
            prop_assert_eq!(decode::quoted_printable(&made), text.into_bytes());
        }

        #[test]
        fn any_bytes_come_out_fit_or_not_at_all(
            bytes in prop::collection::vec(any::<u8>(), 0..300), eight_bit in any::<bool>(),
        ) {
            let mut message = b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: a/b\r\n\r\n".to_vec();
            message.extend_from_slice(&bytes);
            if let Ok(Some(made)) = convert(&message, eight_bit) {
                prop_assert!(eight_bit || made.is_ascii());
                let body = Part::of(&made);
                let content = body.content_of(&made);
                prop_assert_eq!(content.as_ref(), bytes.as_slice());
            }
        }
    }
}
