//! Text for SEARCH: a needle, and whether it is in what is known of a message, without regard to
//! case. Knows no storage.

use angarium_message::header;
use angarium_message::search::{Place, Probe, ReadableText, fold};
use memchr::memmem::Finder;

/// Text to be found, case folded.
pub(super) struct Needle {
    finder: Finder<'static>,
    empty: bool,
    folded: String,
    /// Its number among the probes of the search, once it has one.
    pub(super) probe: Option<usize>,
}

impl Needle {
    pub(super) fn new(text: &str) -> Self {
        let folded = fold(text);
        let finder = Finder::new(folded.as_bytes()).into_owned();
        Self { finder, empty: folded.is_empty(), folded, probe: None }
    }

    /// True for the empty text, which is in everything.
    pub(super) fn is_empty(&self) -> bool {
        self.empty
    }

    /// What rules messages out for it; nothing if it is too short for that.
    pub(super) fn as_probe(&self, place: Place) -> Option<Probe> {
        Some(Probe::new(place, &self.folded)).filter(Probe::is_useful)
    }

    /// True when the text contains it, case aside.
    pub(super) fn is_in(&self, text: &str) -> bool {
        self.empty || self.is_in_folded(&fold(text))
    }

    pub(super) fn is_in_folded(&self, folded: &str) -> bool {
        self.empty || self.finder.find(folded.as_bytes()).is_some()
    }

    /// True when a field of this name in a header block contains it; the empty text asks for the
    /// field alone.
    pub(super) fn is_in_field(&self, block: &[u8], name: &str) -> bool {
        header::fields(block).any(|field| field.is(name) && self.is_in(&field.text()))
    }
}

/// True when one of the texts of the body contains it.
pub(super) fn body_has(texts: &ReadableText, needle: &Needle) -> bool {
    needle.is_empty() || texts.body().any(|text| needle.is_in_folded(text))
}

/// True when the header or one of the texts of the body contains it.
pub(super) fn has(texts: &ReadableText, needle: &Needle) -> bool {
    needle.is_in_folded(texts.header()) || body_has(texts, needle)
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
        let texts = ReadableText::of(message);
        for text in ["schÖne", "birnen", "lange zeilen"] {
            assert!(body_has(&texts, &Needle::new(text)), "{text}");
        }
        assert!(!body_has(&texts, &Needle::new("grüße")));
        assert!(has(&texts, &Needle::new("GRÜßE")));
        assert!(body_has(&texts, &Needle::new("")));
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
