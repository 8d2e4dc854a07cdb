//! `Authentication-Results` lines (RFC 8601): those that others wrote in our name are found, so
//! that nobody can vouch for himself.
//!
//! Pure. It must never know how a result came about.

use std::ops::Range;

use angarium_message::header;

/// The fields of a header that claim results of this server (`host`), as ranges of its octets.
/// They are left out when a message comes in (RFC 8601 section 5): the name before the first
/// semicolon is ours, a name below ours, or cannot be read.
#[must_use]
pub fn foreign_results(head: &[u8], host: &str) -> Vec<Range<usize>> {
    let mut at = 0;
    let mut found = Vec::new();
    for piece in header::pieces(head) {
        let end = at + piece.raw.len();
        if piece.is("Authentication-Results") && claims(&piece.unfolded(), host) {
            found.push(at..end);
        }
        at = end;
    }
    found
}

/// Whether a value's authserv-id could be read as ours.
fn claims(value: &[u8], host: &str) -> bool {
    let text = without_comments(value);
    let text = text.trim_ascii_start();
    let id = match text.strip_prefix(b"\"") {
        Some(quoted) => quoted.split(|b| *b == b'"').next(),
        None => text.split(|b| b.is_ascii_whitespace() || *b == b';').next(),
    };
    let Some(id) = id.and_then(|id| std::str::from_utf8(id).ok()).filter(|id| !id.is_empty())
    else {
        return true;
    };
    let id = id.replace('\\', "").trim_end_matches('.').to_ascii_lowercase();
    let host = host.to_ascii_lowercase();
    id == host || id.strip_suffix(&host).is_some_and(|front| front.ends_with('.'))
}

/// A value without its comments, which may be nested.
fn without_comments(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let (mut depth, mut quoted, mut escaped) = (0usize, false, false);
    for byte in value {
        let kept = depth == 0;
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted || depth > 0 => escaped = true,
            b'"' if depth == 0 => quoted = !quoted,
            b'(' if !quoted => depth += 1,
            b')' if !quoted && depth > 0 => {
                depth -= 1;
                continue;
            }
            _ => {}
        }
        if kept && depth == 0 {
            out.push(*byte);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_in_our_name_are_found_in_every_spelling() {
        for claim in [
            "mx.example; dkim=pass",
            "MX.Example.; dkim=pass",
            "\r\n (nice (one)) mx.example (x) 1; spf=pass",
            "\"mx.example\"; dkim=pass",
            "\"m\\x.example\"; dkim=pass",
            "in.mx.example; dkim=pass",
            "; dkim=pass",
        ] {
            let head = format!("From: a\r\nauthentication-results: {claim}\r\nTo: b\r\n\r\n");
            let found = foreign_results(head.as_bytes(), "mx.example");
            let [range] = &found[..] else { panic!("{claim}: {found:?}") };
            assert!(head[range.clone()].starts_with("auth") && head[range.end..].starts_with("To"));
        }
        let other = b"Authentication-Results: mx.other; dkim=pass\r\nX: y\r\n\r\n";
        assert!(foreign_results(other, "mx.example").is_empty());
        let near = b"Authentication-Results: notmx.example; dkim=pass\r\n\r\n";
        assert!(foreign_results(near, "mx.example").is_empty());
    }
}
