//! How well a message answers a fuzzy text, 1 to 100 (RFC 6203 section 4): by how close its words
//! are, where they stand and how often. It must never know other messages, so that relevancy
//! tells nothing about them.

use super::words::{Fields, Mark};

/// The weight of one word: how close it is (1 to 100) and where it stands, of the fields looked
/// in. Nothing if it stands in none of them.
pub fn word_score(closeness: u8, mark: Mark, fields: Fields) -> Option<u8> {
    let here = mark.fields().0 & fields.0;
    if here == 0 {
        return None;
    }
    // In hundredths.
    let place = if here & Fields::SUBJECT.0 != 0 {
        100
    } else if here & (Fields::FROM.0 | Fields::TO.0 | Fields::CC.0) != 0 {
        95
    } else if here & Fields::BODY.0 != 0 {
        75 + 6 * u32::from(mark.often())
    } else {
        80
    };
    Some(u8::try_from(u32::from(closeness.min(100)) * place / 100).unwrap_or(100).max(1))
}

/// The relevancy of a message in which every word was found with these scores.
pub fn relevancy(scores: &[u8]) -> u8 {
    let sum: usize = scores.iter().map(|score| usize::from(*score)).sum();
    u8::try_from(sum / scores.len().max(1)).unwrap_or(100).clamp(1, 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_in_the_subject_weighs_more_than_in_the_text() {
        let subject = word_score(100, Mark(Fields::SUBJECT.0), Fields::ALL);
        let body = word_score(100, Mark(Fields::BODY.0), Fields::ALL);
        let often = word_score(100, Mark(Fields::BODY.0 | 3 << 6), Fields::ALL);
        assert!(subject > often && often > body, "{subject:?} {often:?} {body:?}");
        assert_eq!(word_score(100, Mark(Fields::BODY.0), Fields::HEADER), None);
        assert_eq!(relevancy(&[100, 50]), 75);
        assert_eq!((relevancy(&[]), relevancy(&[100; 16])), (1, 100));
    }
}
