//! BODY out of BODYSTRUCTURE: the same list without extension data (RFC 9051 section 7.5.2).
//! Works on the wire form; knows nothing of MIME.

/// Deepest list followed; deeper ones are taken whole.
const MAX_DEPTH: usize = 200;

/// Appends BODY made of the wire form of BODYSTRUCTURE. What is not such a form is copied as it
/// stands.
pub fn body_without_extensions(out: &mut Vec<u8>, structure: &[u8]) {
    let start = out.len();
    let mut reader = Reader { wire: structure, at: 0 };
    if reader.body(out, 0).is_none() || reader.at != structure.len() {
        out.truncate(start);
        out.extend_from_slice(structure);
    }
}

struct Reader<'a> {
    wire: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.wire.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// One body: `(part part … "subtype" ext…)` or `("type" "subtype" …)`.
    fn body(&mut self, out: &mut Vec<u8>, depth: usize) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.eat(b'(')?;
        out.push(b'(');
        if self.peek()? == b'(' {
            while self.peek()? == b'(' {
                self.body(out, depth + 1)?;
            }
            self.field(out)?;
        } else {
            self.single(out, depth)?;
        }
        while self.peek()? != b')' {
            self.eat(b' ')?;
            self.skip()?;
        }
        self.eat(b')')?;
        out.push(b')');
        Some(())
    }

    /// The seven basic fields, and what text and message parts have besides.
    fn single(&mut self, out: &mut Vec<u8>, depth: usize) -> Option<()> {
        let from = self.at;
        self.skip()?;
        let kind = self.wire.get(from..self.at)?;
        let is = |word: &[u8], name: &str| {
            word.strip_prefix(b"\"")
                .and_then(|w| w.strip_suffix(b"\""))
                .is_some_and(|w| w.eq_ignore_ascii_case(name.as_bytes()))
        };
        out.extend_from_slice(kind);
        let subtype_at = self.at + 1;
        self.field(out)?;
        let subtype = self.wire.get(subtype_at..self.at)?;
        // Parameters, id, description, encoding, size.
        for _ in 0..5 {
            self.field(out)?;
        }
        if is(kind, "TEXT") {
            self.field(out)?;
        } else if is(kind, "MESSAGE") && (is(subtype, "RFC822") || is(subtype, "GLOBAL")) {
            // A part that was not opened lacks these three and goes on with a string or NIL.
            if self.wire.get(self.at..self.at + 2) == Some(b" (") {
                self.field(out)?;
                self.eat(b' ')?;
                out.push(b' ');
                self.body(out, depth + 1)?;
                self.field(out)?;
            }
        }
        Some(())
    }

    /// A space and an element, copied.
    fn field(&mut self, out: &mut Vec<u8>) -> Option<()> {
        let from = self.at;
        self.eat(b' ')?;
        self.skip()?;
        out.extend_from_slice(self.wire.get(from..self.at)?);
        Some(())
    }

    /// Passes over one element: a list, a string, a literal or a word.
    fn skip(&mut self) -> Option<()> {
        let mut open = 0usize;
        loop {
            match self.peek()? {
                b'(' => {
                    open += 1;
                    self.at += 1;
                }
                b')' => {
                    open = open.checked_sub(1)?;
                    self.at += 1;
                }
                b' ' if open > 0 => {
                    self.at += 1;
                    continue;
                }
                b'"' => self.skip_quoted()?,
                b'{' => self.skip_literal()?,
                b' ' => return None,
                _ => self.skip_word(),
            }
            if open == 0 {
                return Some(());
            }
        }
    }

    fn skip_quoted(&mut self) -> Option<()> {
        self.at += 1;
        loop {
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Some(());
                }
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
    }

    fn skip_literal(&mut self) -> Option<()> {
        let rest = self.wire.get(self.at + 1..)?;
        let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        let size: usize = std::str::from_utf8(rest.get(..digits)?).ok()?.parse().ok()?;
        rest.get(digits..)?.starts_with(b"}\r\n").then_some(())?;
        let end = (self.at + 1 + digits + 3).checked_add(size)?;
        (end <= self.wire.len()).then(|| self.at = end)
    }

    fn skip_word(&mut self) {
        let rest = self.wire.get(self.at..).unwrap_or_default();
        let length = rest.iter().take_while(|b| !b" ()\"{".contains(b)).count();
        self.at += length.max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn body(structure: &str) -> String {
        let mut out = Vec::new();
        body_without_extensions(&mut out, structure.as_bytes());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn extension_data_is_left_out_at_every_level() {
        assert_eq!(
            body(
                r#"("TEXT" "PLAIN" ("CHARSET" "x)y") NIL NIL "7BIT" 10 1 NIL ("INLINE" NIL) "en" NIL)"#
            ),
            r#"("TEXT" "PLAIN" ("CHARSET" "x)y") NIL NIL "7BIT" 10 1)"#
        );
        assert_eq!(
            body(r#"(("TEXT" "PLAIN" NIL NIL NIL "7BIT" 1 1 NIL NIL NIL NIL)("IMAGE" "PNG" ("NAME" {3}
a)b) NIL NIL "BASE64" 9 "md5" NIL NIL NIL) "MIXED" ("BOUNDARY" "b") NIL NIL NIL)"#
                .replace("{3}\n", "{3}\r\n").as_str()),
            "((\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" 1 1)(\"IMAGE\" \"PNG\" (\"NAME\" {3}\r\na)b) NIL NIL \"BASE64\" 9) \"MIXED\")"
        );
        assert_eq!(
            body(
                r#"("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 50 (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) ("TEXT" "PLAIN" NIL NIL NIL "7BIT" 1 1 NIL NIL NIL NIL) 5 NIL NIL NIL NIL)"#
            ),
            r#"("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 50 (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) ("TEXT" "PLAIN" NIL NIL NIL "7BIT" 1 1) 5)"#
        );
    }

    #[test]
    fn what_is_no_structure_is_copied() {
        for odd in ["", "(", "NIL", "((((", "(\"a", "(\"TEXT\" \"PLAIN\" NIL)"] {
            assert_eq!(body(odd), odd);
        }
        let deep = "(".repeat(100_000);
        assert_eq!(body(&deep), deep);
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(text in "[()\" {}a0-9\r\n]{0,60}") {
            let _ = body(&text);
        }
    }
}
