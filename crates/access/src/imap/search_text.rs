//! Text for SEARCH: a needle, and whether it is in what is known of a message, without regard to
//! case. Knows no storage.

use angarium_message::header;
use angarium_message::search::{Place, Probe, Stands, fold, look_through};
use memchr::memmem::Finder;

/// Text to be found, case folded.
#[derive(Clone)]
pub(super) struct Needle {
    finder: Finder<'static>,
    empty: bool,
    folded: String,
    /// Its number among the probes of the search, once it has one.
    pub(super) probe: Option<usize>,
    /// Its bit among the texts looked for in bodies.
    pub(super) bit: u32,
}

impl Needle {
    pub(super) fn new(text: &str) -> Self {
        let folded = fold(text);
        let finder = Finder::new(folded.as_bytes()).into_owned();
        Self { finder, empty: folded.is_empty(), folded, probe: None, bit: 0 }
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

/// The texts a search looks for in whole messages, each with a bit of its own.
#[derive(Default)]
pub(super) struct BodyTexts {
    /// With `true` the header counts too.
    needles: Vec<(bool, Needle)>,
}

/// Which of them a message holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held(u128);

impl Held {
    pub(super) fn has(self, needle: &Needle) -> bool {
        self.0 & bit(needle) != 0
    }
}

fn bit(needle: &Needle) -> u128 {
    1u128.checked_shl(needle.bit).unwrap_or(0)
}

impl BodyTexts {
    /// One more; bits are below 128.
    pub(super) fn add(&mut self, header_too: bool, needle: &Needle) {
        self.needles.push((header_too, needle.clone()));
    }

    /// Looks through a message until all of them are found.
    pub(super) fn held_by(&self, message: &[u8]) -> Held {
        let all = self.needles.iter().fold(0, |all, (_, needle)| all | bit(needle));
        let empty = self.needles.iter().filter(|(_, needle)| needle.is_empty());
        let mut held = empty.fold(0, |held, (_, needle)| held | bit(needle));
        if held == all {
            return Held(held);
        }
        look_through(message, |stands, text| {
            for (header_too, needle) in &self.needles {
                let asked = *header_too || stands == Stands::Body;
                if asked && held & bit(needle) == 0 && needle.is_in_folded(text) {
                    held |= bit(needle);
                }
            }
            held != all
        });
        Held(held)
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
        let looked_for = [
            (false, "schÖne", true),
            (false, "birnen", true),
            (false, "lange zeilen", true),
            (false, "grüße", false),
            (true, "GRÜßE", true),
            (false, "", true),
            (true, "birnen und", false),
        ];
        let needle = |at: usize, text: &str| Needle { bit: at as u32, ..Needle::new(text) };
        let mut texts = BodyTexts::default();
        for (at, (header_too, text, _)) in looked_for.iter().enumerate() {
            texts.add(*header_too, &needle(at, text));
        }
        let held = texts.held_by(message);
        for (at, (_, text, found)) in looked_for.iter().enumerate() {
            assert_eq!(held.has(&needle(at, text)), *found, "{text}");
        }
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
