//! A message as its MIME entity and the header around it (RFC 8551 section 3.1). It must never
//! know how the entity is encrypted.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::header;

/// Octets encoded in one line of 76 characters.
const LINE: usize = 57;

/// Fields that describe the content go inside with it; so does what must be said anew outside.
fn is_inner(name: &str) -> bool {
    name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("content-"))
}

/// The outer header so far, and the entity: `Content-` fields, an empty line, the body as it is.
pub(super) fn split(message: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let length = header::header_length(message);
    let (head, body) = message.split_at_checked(length).unwrap_or((message, &[]));
    let mut outer = Vec::with_capacity(head.len() + 256);
    let mut inner = Vec::with_capacity(message.len() + 64);
    let mut into_inner = false;
    let mut dropped = false;
    for line in head.split_inclusive(|b| *b == b'\n') {
        if matches!(line, b"\r\n" | b"\n") {
            break;
        }
        let folded = matches!(line.first(), Some(b' ' | b'\t'));
        if !folded {
            let name = line.split(|b| *b == b':').next().unwrap_or_default().trim_ascii_end();
            let name = std::str::from_utf8(name).unwrap_or_default();
            into_inner = is_inner(name);
            // Said anew by `close`.
            dropped = name.eq_ignore_ascii_case("mime-version");
        }
        if dropped {
            continue;
        }
        let target = if into_inner { &mut inner } else { &mut outer };
        target.extend_from_slice(line.strip_suffix(b"\n").map_or(line, |l| l.trim_ascii_end()));
        target.extend_from_slice(b"\r\n");
    }
    inner.extend_from_slice(b"\r\n");
    inner.extend_from_slice(body);
    (outer, inner)
}

/// Ends the outer header and adds the envelope.
pub(super) fn close(outer: &mut Vec<u8>, envelope: &[u8]) {
    outer.extend_from_slice(
        b"MIME-Version: 1.0\r\n\
          Content-Type: application/pkcs7-mime; smime-type=enveloped-data;\r\n name=smime.p7m\r\n\
          Content-Transfer-Encoding: base64\r\n\
          Content-Disposition: attachment; filename=smime.p7m\r\n\r\n",
    );
    outer.reserve(envelope.len() / LINE * 78 + 80);
    for line in envelope.chunks(LINE) {
        outer.extend_from_slice(STANDARD.encode(line).as_bytes());
        outer.extend_from_slice(b"\r\n");
    }
}
