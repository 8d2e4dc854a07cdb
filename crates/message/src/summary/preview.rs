//! The first readable words of a message, as lists of mail programs show them.
//!
//! It must never know more of HTML than how to leave it out.

use super::PREVIEW_CHARS;
use crate::content::ContentType;
use crate::decode::{self, TransferEncoding};
use crate::header::Head;
use crate::html::{after_tag, entity};

/// Octets of body kept for the preview of plain text, before decoding.
const PLAIN_MAX: usize = 2 * 1024;

/// Octets kept of HTML, which begins with what nobody reads.
const HTML_MAX: usize = 12 * 1024;

/// The beginning of a text part, kept while it goes by.
pub(super) struct Excerpt {
    html: bool,
    charset: Option<Vec<u8>>,
    encoding: TransferEncoding,
    raw: Vec<u8>,
}

impl Excerpt {
    /// An excerpt for this part, if it is text that people read.
    pub(super) fn of(content: &ContentType<'_>, head: &Head<'_>) -> Option<Excerpt> {
        let html = content.is("text", "html");
        if !html && !content.is("text", "plain") {
            return None;
        }
        Some(Excerpt {
            html,
            charset: content.parameter("charset").map(<[u8]>::to_vec),
            encoding: TransferEncoding::of(head.encoding),
            raw: Vec::new(),
        })
    }

    /// Whether this is plain text, which is better than HTML.
    pub(super) fn is_plain(&self) -> bool {
        !self.html
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        let max = if self.html { HTML_MAX } else { PLAIN_MAX };
        let space = max.saturating_sub(self.raw.len());
        self.raw.extend_from_slice(bytes.get(..space).unwrap_or(bytes));
    }

    /// The text, white space folded, at most [`PREVIEW_CHARS`] characters.
    pub(super) fn text(&self, size: u64) -> String {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let raw = self.raw.get(..size).unwrap_or(&self.raw);
        let bytes = decode::content(raw, self.encoding);
        let text = decode::charset(self.charset.as_deref(), &bytes);
        let mut preview = Preview::default();
        if self.html {
            html(&text, &mut preview)
        } else {
            plain(&text, &mut preview)
        }
        preview.text
    }
}

/// Gathers characters, folding white space, until there are enough.
#[derive(Default)]
struct Preview {
    text: String,
    chars: usize,
    space: bool,
}

impl Preview {
    /// False once nothing more is wanted.
    fn push(&mut self, c: char) -> bool {
        // Marks without width are put in by mailings to fill the preview.
        let invisible =
            matches!(c, '\u{ad}' | '\u{34f}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}');
        if invisible {
            return true;
        }
        if c.is_whitespace() || c.is_control() || c == '\u{fffd}' {
            self.space = true;
            return true;
        }
        if self.space && self.chars > 0 {
            if self.chars + 2 > PREVIEW_CHARS {
                return false;
            }
            self.text.push(' ');
            self.chars += 1;
        }
        self.space = false;
        if self.chars >= PREVIEW_CHARS {
            return false;
        }
        self.text.push(c);
        self.chars += 1;
        true
    }
}

/// Plain text without quoted lines, if anything else is there.
fn plain(text: &str, preview: &mut Preview) {
    let quoted = |line: &str| line.starts_with('>');
    let all_quoted = !text.lines().any(|l| !quoted(l) && !l.trim().is_empty());
    for line in text.lines() {
        if quoted(line) && !all_quoted {
            continue;
        }
        if line == "-- " && preview.chars > 0 {
            return;
        }
        for c in line.chars().chain(['\n']) {
            if !preview.push(c) {
                return;
            }
        }
    }
}

/// HTML without tags, comments, styles and scripts, common entities decoded.
fn html(text: &str, preview: &mut Preview) {
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        match c {
            '<' => rest = after_tag(rest),
            '&' => {
                let (c, tail) = entity(rest);
                rest = tail;
                if !preview.push(c) {
                    return;
                }
                continue;
            }
            _ => {
                rest = rest.get(c.len_utf8()..).unwrap_or_default();
                if !preview.push(c) {
                    return;
                }
                continue;
            }
        }
        preview.space = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_is_left_out() {
        let mut preview = Preview::default();
        html(
            "<html><HEAD><title>no</title><style>p{}</style></head><body>A&nbsp;&amp;&#x42; \
             <!-- no --><p>c&copy;<header>d</header> 1 < 2",
            &mut preview,
        );
        assert_eq!(preview.text, "A &B c&copy; d 1");
    }

    #[test]
    fn replies_show_their_own_words() {
        let mut preview = Preview::default();
        plain("> quoted\n\nYes,  of\tcourse.\n-- \nme", &mut preview);
        assert_eq!(preview.text, "Yes, of course.");
        let mut preview = Preview::default();
        plain(&"ab ".repeat(500), &mut preview);
        assert!(preview.chars <= PREVIEW_CHARS);
    }
}
