//! Finds lines and the literal announced at a line's end. Knows nothing of commands.

/// A literal announced at the end of a line (RFC 9051 section 4.3, RFC 7888, RFC 3516).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LiteralMark {
    /// Octets announced.
    pub(crate) size: u64,
    /// True for `{n}`: the client waits to be told to go on.
    pub(crate) synchronising: bool,
    /// True for `~{n}`: may hold NUL.
    pub(crate) binary: bool,
    /// Where the mark begins in the line.
    pub(crate) start: usize,
}

/// What stands at a line's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineEnd {
    /// No literal.
    Plain,
    /// A literal.
    Literal(LiteralMark),
    /// `{digits}` too large for any number.
    Absurd,
}

/// The length of a line without its LF or CRLF.
pub(crate) fn content_length(line: &[u8]) -> usize {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line).len()
}

/// Looks at the end of a line given without its line end.
pub(crate) fn line_end(line: &[u8]) -> LineEnd {
    let Some(inner) = line.strip_suffix(b"}") else { return LineEnd::Plain };
    let (digits, synchronising) = match inner.strip_suffix(b"+").or(inner.strip_suffix(b"-")) {
        Some(digits) => (digits, false),
        None => (inner, true),
    };
    let count = digits.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    let brace = digits.len() - count;
    let Some(brace) = brace.checked_sub(1) else { return LineEnd::Plain };
    if count == 0 || digits.get(brace) != Some(&b'{') {
        return LineEnd::Plain;
    }
    let number = digits.get(brace + 1..).unwrap_or_default();
    let Some(size) = std::str::from_utf8(number).ok().and_then(|n| n.parse().ok()) else {
        return LineEnd::Absurd;
    };
    let binary = brace > 0 && digits.get(brace - 1) == Some(&b'~');
    let start = if binary { brace - 1 } else { brace };
    LineEnd::Literal(LiteralMark { size, synchronising, binary, start })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_literal_is_found() {
        let mark = |size, synchronising, binary, start| {
            LineEnd::Literal(LiteralMark { size, synchronising, binary, start })
        };
        assert_eq!(line_end(b"a {5}"), mark(5, true, false, 2));
        assert_eq!(line_end(b"a {5+}"), mark(5, false, false, 2));
        assert_eq!(line_end(b"a {5-}"), mark(5, false, false, 2));
        assert_eq!(line_end(b"a ~{5+}"), mark(5, false, true, 2));
        assert_eq!(line_end(b"{0}"), mark(0, true, false, 0));
        for plain in [&b"a {}"[..], b"}", b"5}", b"{x}", b"{5", b"{+}", b"{5++}", b"{-5}"] {
            assert_eq!(line_end(plain), LineEnd::Plain);
        }
        assert_eq!(line_end(b"{99999999999999999999999}"), LineEnd::Absurd);
    }
}
