//! Text for SEARCH: a needle, and what of a message it is looked for in, decoded and without
//! regard to case. Knows no storage.

use angarium_message::header;
use angarium_message::structure::{Inside, Part};
use memchr::memmem::Finder;

/// Text to be found, case folded.
pub(super) struct Needle {
    finder: Finder<'static>,
    empty: bool,
}

/// Folds case: cheap for ASCII, by Unicode's simple rules for the rest.
fn folded(text: &str) -> String {
    if text.is_ascii() { text.to_ascii_lowercase() } else { text.to_lowercase() }
}

impl Needle {
    pub(super) fn new(text: &str) -> Self {
        Self { finder: Finder::new(folded(text).as_bytes()).into_owned(), empty: text.is_empty() }
    }

    /// True for the empty text, which is in everything.
    pub(super) fn is_empty(&self) -> bool {
        self.empty
    }

    /// True when the text contains it, case aside.
    pub(super) fn is_in(&self, text: &str) -> bool {
        self.empty || self.is_in_folded(&folded(text))
    }

    fn is_in_folded(&self, folded: &str) -> bool {
        self.empty || self.finder.find(folded.as_bytes()).is_some()
    }

    /// True when a field of this name in a header block contains it; the empty text asks for the
    /// field alone.
    pub(super) fn is_in_field(&self, block: &[u8], name: &str) -> bool {
        header::fields(block).any(|field| field.is(name) && self.is_in(&field.text()))
    }
}

/// A message's readable text, folded: decoded once however many needles.
pub(super) struct Texts {
    header: String,
    body: Vec<String>,
}

/// The fields of a header block as text.
fn header_text(block: &[u8]) -> String {
    let mut text = String::new();
    for field in header::fields(block) {
        text.push_str(&String::from_utf8_lossy(field.name));
        text.push_str(": ");
        text.push_str(&field.text());
        text.push('\n');
    }
    folded(&text)
}

impl Texts {
    pub(super) fn of(message: &[u8]) -> Self {
        let root = Part::of(message);
        let mut body = Vec::new();
        for part in root.walk() {
            if part.inside == Inside::Message {
                // The header of a forwarded message is part of what is read.
                body.extend(part.children.first().map(|m| header_text(m.header_of(message))));
            }
            body.extend(part.text_of(message).map(|text| folded(&text)));
        }
        Self { header: header_text(root.header_of(message)), body }
    }

    pub(super) fn body_has(&self, needle: &Needle) -> bool {
        needle.is_empty() || self.body.iter().any(|text| needle.is_in_folded(text))
    }

    pub(super) fn has(&self, needle: &Needle) -> bool {
        needle.is_in_folded(&self.header) || self.body_has(needle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_found_decoded_and_without_regard_to_case() {
        let message = b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\
            Content-Type: text/plain; charset=iso-8859-1\r\n\
            Content-Transfer-Encoding: quoted-printable\r\n\r\n\
            Sch=F6ne \xc3\x84pfel und BIRNEN, lang=\r\ne Zeilen\r\n";
        let texts = Texts::of(message);
        for text in ["schÖne", "birnen", "lange zeilen"] {
            assert!(texts.body_has(&Needle::new(text)), "{text}");
        }
        assert!(!texts.body_has(&Needle::new("grüße")));
        assert!(texts.has(&Needle::new("GRÜßE")));
        assert!(texts.body_has(&Needle::new("")));
        assert!(Needle::new("ÜSSE").is_in("Grüsse"));
    }

    #[test]
    fn a_field_is_found_by_name_and_by_what_it_holds() {
        let block = b"X-Spam: Yes\r\nTo: a@b\r\n\r\n";
        assert!(Needle::new("").is_in_field(block, "x-spam"));
        assert!(Needle::new("YES").is_in_field(block, "X-Spam"));
        assert!(!Needle::new("yes").is_in_field(block, "To"));
        assert!(!Needle::new("").is_in_field(block, "Cc"));
    }
}
