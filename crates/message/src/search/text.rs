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
    visit_while(message, |seen| {
        see(seen);
        true
    });
}

/// As [`visit`], as long as `see` answers true; what comes later is not decoded.
fn visit_while<'m>(message: &'m [u8], mut see: impl FnMut(Seen<'m>) -> bool) {
    let root = Part::of(message);
    if !see(Seen::Header(root.header_of(message))) {
        return;
    }
    for part in root.walk() {
        if part.inside == Inside::Message
            && let Some(inner) = part.children.first()
            // The header of a forwarded message is part of what is read.
            && !see(Seen::InnerHeader(inner.header_of(message)))
        {
            return;
        }
        let Some(text) = part.text_of(message) else { continue };
        let page = part.content.is("text", "html");
        if !see(if page { Seen::Page(text) } else { Seen::Text(text) }) {
            return;
        }
    }
}

/// Where a text stands in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stands {
    /// In the message's own header.
    Header,
    /// In its body.
    Body,
}

/// Shows the texts of [`ReadableText`] one by one, folded, until `see` answers false. What comes
/// later is not decoded. Bounds are those of [`ReadableText::of`].
pub fn look_through(message: &[u8], mut see: impl FnMut(Stands, &str) -> bool) {
    visit_while(message, |seen| match seen {
        Seen::Header(block) => see(Stands::Header, &header_text(block)),
        Seen::InnerHeader(block) => see(Stands::Body, &header_text(block)),
        Seen::Text(text) => see(Stands::Body, &folded(text)),
        Seen::Page(page) => {
            // Without its markup only if that is still asked for: it is the dearer one.
            let bare = || fold(&html::text(&page));
            see(Stands::Body, &fold(&page)) && see(Stands::Body, &bare())
        }
    });
}

/// As [`fold`], in place where that can be.
fn folded(mut text: String) -> String {
    if text.is_ascii() {
        text.make_ascii_lowercase();
        return text;
    }
    fold(&text)
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
    folded(text)
}

impl ReadableText {
    /// Reads a whole message. Never fails; the work is in proportion to the message, within the
    /// bounds on parts and depth of the crate. A page counts with its markup and without it.
    pub fn of(message: &[u8]) -> ReadableText {
        let mut found = ReadableText::default();
        visit(message, |seen| match seen {
            Seen::Header(block) => found.header = header_text(block),
            Seen::InnerHeader(block) => found.body.push(header_text(block)),
            Seen::Text(text) => found.body.push(folded(text)),
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
    fn texts_are_shown_until_somebody_has_seen_enough() {
        let message = b"Subject: One\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
            --b\r\n\r\nTWO\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>Three\r\n--b--\r\n";
        let shown = |enough: usize| {
            let mut texts = Vec::new();
            look_through(message, |stands, text| {
                texts.push((stands, text.to_owned()));
                texts.len() < enough
            });
            texts
        };
        let all = shown(usize::MAX);
        let whole = ReadableText::of(message);
        assert_eq!(all[0], (Stands::Header, whole.header().to_owned()));
        let mut bodies: Vec<&str> = all[1..].iter().map(|(_, text)| text.as_str()).collect();
        let mut expected: Vec<&str> = whole.body().collect();
        bodies.sort_unstable();
        expected.sort_unstable();
        assert_eq!(bodies, expected);
        assert_eq!(bodies.len(), 3);
        assert_eq!(shown(2), all[..2]);
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
