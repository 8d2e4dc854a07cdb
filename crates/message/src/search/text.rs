//! The readable text of a message: header fields decoded, text parts in UTF-8, case folded.
//! Attachments of other types are not text. It must never know what is looked for.

use unicode_normalization::{UnicodeNormalization, is_nfc};

use crate::structure::{Inside, Part};
use crate::{header, html};

/// Folds case, one character at a time so that a part of a text folds as the whole does, and
/// brings composed and decomposed letters together.
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let mut out = String::with_capacity(text.len());
    if is_nfc(text) {
        fold_into(&mut out, text.chars());
    } else {
        fold_into(&mut out, text.nfc());
    }
    out
}

fn fold_into(out: &mut String, text: impl Iterator<Item = char>) {
    for c in text {
        match c {
            'ς' => out.push('σ'),
            c if c.is_ascii() => out.push(c.to_ascii_lowercase()),
            c => out.extend(c.to_lowercase()),
        }
    }
}

/// Visits the texts a reader sees, in their order: header blocks (the message's own first, then
/// those of messages inside) and text parts.
pub(super) fn visit<'m>(message: &'m [u8], mut see: impl FnMut(Seen<'m>)) {
    let root = Part::of(message);
    see(Seen::Header(root.header_of(message)));
    for part in root.walk() {
        if part.inside == Inside::Message
            && let Some(inner) = part.children.first()
        {
            // The header of a forwarded message is part of what is read.
            see(Seen::InnerHeader(inner.header_of(message)));
        }
        if let Some(text) = part.text_of(message) {
            see(if part.content.is("text", "html") { Seen::Page(text) } else { Seen::Text(text) });
        }
    }
}

/// One of the texts.
pub(super) enum Seen<'m> {
    Header(&'m [u8]),
    InnerHeader(&'m [u8]),
    Text(String),
    /// HTML, markup and all.
    Page(String),
}

/// A message's readable text, folded: decoded once however many ask.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadableText {
    header: String,
    body: Vec<String>,
}

/// The fields of a header block as text.
fn header_text(block: &[u8]) -> String {
    let mut text = String::with_capacity(block.len());
    for field in header::fields(block) {
        text.push_str(&String::from_utf8_lossy(field.name));
        text.push_str(": ");
        text.push_str(&field.text());
        text.push('\n');
    }
    fold(&text)
}

impl ReadableText {
    /// Reads a whole message. Never fails; the work is in proportion to the message, within the
    /// bounds on parts and depth of the crate. A page counts with its markup and without it.
    pub fn of(message: &[u8]) -> ReadableText {
        let mut found = ReadableText::default();
        visit(message, |seen| match seen {
            Seen::Header(block) => found.header = header_text(block),
            Seen::InnerHeader(block) => found.body.push(header_text(block)),
            Seen::Text(text) => found.body.push(fold(&text)),
            Seen::Page(page) => {
                found.body.push(fold(&html::text(&page)));
                found.body.push(fold(&page));
            }
        });
        found
    }

    /// The fields of the message's header, one a line, as `name: value`.
    pub fn header(&self) -> &str {
        &self.header
    }

    /// The texts of the body; nothing runs from one into the next.
    pub fn body(&self) -> impl Iterator<Item = &str> {
        self.body.iter().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_text_folds_as_the_whole_does() {
        assert_eq!(fold("ΟΔΟΣ"), "οδοσ");
        assert!(fold("ΟΔΟΣΑ").contains(&fold("ΟΔΟΣ")));
        assert_eq!(fold("Cafe\u{301} ÄÖ"), "café äö");
    }

    #[test]
    fn a_page_is_read_with_and_without_its_markup() {
        let message =
            b"Subject: x\r\nContent-Type: text/html\r\n\r\n<a href=\"HTTP://x\">one</a>two";
        let text = ReadableText::of(message);
        assert!(text.header().contains("subject: x"));
        assert!(text.body().any(|t| t.contains("http://x")));
        assert!(text.body().any(|t| t.contains("one two")));
    }
}
