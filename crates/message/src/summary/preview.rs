//! The first readable words of a message, as lists of mail programs show them.
//!
//! It must never know more of HTML than how to leave it out.

use super::PREVIEW_CHARS;
use crate::content::ContentType;
use crate::decode::{self, TransferEncoding};
use crate::header::Head;

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

fn after_tag(text: &str) -> &str {
    if let Some(comment) = text.strip_prefix("<!--") {
        return comment.split_once("-->").map_or("", |(_, tail)| tail);
    }
    let starts = |name: &str| {
        let inner = text.as_bytes().get(1..=name.len());
        inner.is_some_and(|inner| inner.eq_ignore_ascii_case(name.as_bytes()))
    };
    for name in ["style", "script", "title", "head"] {
        // `<header` is not `<head`.
        let next = text.as_bytes().get(1 + name.len());
        if starts(name) && !next.is_some_and(u8::is_ascii_alphanumeric) {
            return after_element(text, name);
        }
    }
    text.find('>').and_then(|end| text.get(end + 1..)).unwrap_or("")
}

/// What follows the end tag of the element this text begins with.
fn after_element<'t>(text: &'t str, name: &str) -> &'t str {
    let mut rest = text;
    while let Some(at) = rest.find("</") {
        let tail = rest.get(at + 2..).unwrap_or_default();
        let found = tail.as_bytes().get(..name.len());
        if found.is_some_and(|found| found.eq_ignore_ascii_case(name.as_bytes())) {
            return tail.find('>').and_then(|end| tail.get(end + 1..)).unwrap_or("");
        }
        rest = tail;
    }
    ""
}

/// The character of the entity this text begins with, and what follows.
fn entity(text: &str) -> (char, &str) {
    let tail = text.get(1..).unwrap_or_default();
    let name = tail.bytes().take(10).position(|b| b == b';').and_then(|end| tail.get(..end));
    let found = name.and_then(|name| {
        Some(match name {
            "nbsp" | "zwnj" | "zwj" => ' ',
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => {
                let digits = name.strip_prefix('#')?;
                let number = match digits.strip_prefix(['x', 'X']) {
                    Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                    None => digits.parse().ok()?,
                };
                char::from_u32(number)?
            }
        })
    });
    match (found, name) {
        (Some(c), Some(name)) => (c, tail.get(name.len() + 1..).unwrap_or_default()),
        _ => ('&', tail),
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
