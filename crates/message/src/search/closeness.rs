//! How close a word of a message is to one that is looked for: the same, another form of it, a
//! longer word that begins with it, or it with one letter wrong. Knows the languages; must never
//! know where words are kept.

use rust_stemmers::{Algorithm, Stemmer};

/// Characters below which a word is taken as it is.
const PREFIX_FROM: usize = 3;
/// Characters from which one letter may be wrong.
const WRONG_LETTER_FROM: usize = 5;
/// Characters two forms of a word begin with alike, and the most they differ in length.
const COMMON: usize = 3;
const LONGER: usize = 5;

const LATIN: &[Algorithm] = &[
    Algorithm::English,
    Algorithm::German,
    Algorithm::French,
    Algorithm::Spanish,
    Algorithm::Italian,
    Algorithm::Portuguese,
    Algorithm::Dutch,
];

/// A word that is looked for.
pub struct Wanted {
    word: String,
    chars: Vec<char>,
    /// What all forms of it begin with.
    start: String,
    stems: Vec<(Stemmer, String)>,
}

impl std::fmt::Debug for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Wanted").field(&self.word).finish()
    }
}

impl Wanted {
    /// The same word.
    pub const SAME: u8 = 100;
    /// Another form of it.
    pub const FORM: u8 = 85;
    /// It begins so.
    pub const LONGER: u8 = 70;
    /// One letter differs.
    pub const WRONG_LETTER: u8 = 55;

    /// Prepares a word as [`super::words_of_text`] tells them.
    pub fn new(word: &str) -> Wanted {
        let chars: Vec<char> = word.chars().collect();
        let languages: &[Algorithm] = match chars.first() {
            _ if chars.len() <= COMMON => &[],
            Some('a'..='z') => LATIN,
            Some('\u{400}'..='\u{4ff}') => &[Algorithm::Russian],
            Some('\u{370}'..='\u{3ff}') => &[Algorithm::Greek],
            Some('\u{600}'..='\u{6ff}') => &[Algorithm::Arabic],
            Some('\u{b80}'..='\u{bff}') => &[Algorithm::Tamil],
            _ => &[],
        };
        let stems = languages.iter().map(|language| {
            let stemmer = Stemmer::create(*language);
            let stem = stemmer.stem(word).into_owned();
            (stemmer, stem)
        });
        Wanted {
            stems: stems.collect(),
            start: chars.iter().take(COMMON).collect(),
            word: word.to_owned(),
            chars,
        }
    }

    /// What every word begins with that is close to it, but for one with a wrong letter.
    pub fn start(&self) -> &str {
        &self.start
    }

    /// Whether words with a wrong letter are close too, which may begin otherwise.
    pub fn allows_a_wrong_letter(&self) -> bool {
        self.chars.len() >= WRONG_LETTER_FROM
    }

    /// How close a word is, 1 to 100; nothing if it is another word.
    pub fn closeness(&self, word: &str) -> Option<u8> {
        if word == self.word {
            return Some(Wanted::SAME);
        }
        if word.starts_with(&self.start) {
            let longest = (self.word.len() + LONGER).min(super::WORD_MAX * 4);
            let alike = word.len() <= longest && word.len() + LONGER >= self.word.len();
            if alike && self.stems.iter().any(|(stemmer, stem)| stemmer.stem(word) == *stem) {
                return Some(Wanted::FORM);
            }
            // Pairs of characters are whole words already; one alone begins pairs.
            let begins = self.chars.len() >= PREFIX_FROM || self.is_alone();
            if begins && word.starts_with(&self.word) {
                return Some(Wanted::LONGER);
            }
        }
        let wrong = self.allows_a_wrong_letter() && one_letter_apart(&self.chars, word);
        wrong.then_some(Wanted::WRONG_LETTER)
    }

    fn is_alone(&self) -> bool {
        matches!(self.chars.as_slice(), [one] if *one > '\u{0e00}')
    }
}

/// One letter is another, missing, too many, or two neighbours have changed places.
fn one_letter_apart(one: &[char], word: &str) -> bool {
    // Few words come this far in memory: characters first where octets tell enough.
    if word.len() + 4 < one.len() || word.len() > one.len() * 4 + 4 {
        return false;
    }
    let mut other = [char::default(); super::WORD_MAX + 2];
    let mut length = 0;
    for (place, c) in other.iter_mut().zip(word.chars()) {
        *place = c;
        length += 1;
    }
    let other = other.get(..length).unwrap_or_default();
    if length < WRONG_LETTER_FROM || length.abs_diff(one.len()) > 1 {
        return false;
    }
    let alike = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    let (a, b) = (one.get(alike..).unwrap_or_default(), other.get(alike..).unwrap_or_default());
    let tail = |list: &'_ [char], from: usize| list.get(from..).map(<[char]>::to_vec);
    match (a, b) {
        ([a1, a2, ..], [b1, b2, ..]) if a1 == b2 && a2 == b1 && tail(a, 2) == tail(b, 2) => true,
        _ => match a.len().cmp(&b.len()) {
            std::cmp::Ordering::Equal => a.get(1..) == b.get(1..),
            std::cmp::Ordering::Less => b.get(1..) == Some(a),
            std::cmp::Ordering::Greater => a.get(1..) == Some(b),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(wanted: &str, word: &str) -> Option<u8> {
        Wanted::new(wanted).closeness(word)
    }

    #[test]
    fn forms_beginnings_and_slips_are_close_and_other_words_are_not() {
        assert_eq!(close("invoice", "invoice"), Some(Wanted::SAME));
        assert_eq!(close("invoices", "invoiced"), Some(Wanted::FORM));
        assert_eq!(close("meeting", "meetings"), Some(Wanted::FORM));
        assert_eq!(close("haus", "hauses"), Some(Wanted::FORM));
        assert_eq!(close("заказы", "заказов"), Some(Wanted::FORM));
        assert_eq!(close("photo", "photography"), Some(Wanted::LONGER));
        for slip in ["invoise", "invoce", "invoicce", "nivoice", "jnvoice"] {
            assert_eq!(close("invoice", slip), Some(Wanted::WRONG_LETTER), "{slip}");
        }
        for other in ["voice", "inverse", "in", "innovate"] {
            assert_eq!(close("invoice", other), None, "{other}");
        }
        // Short words are taken as they are.
        assert_eq!(close("cat", "car"), None);
        assert_eq!(close("ca", "cat"), None);
        assert_eq!(close("都", "都庁"), Some(Wanted::LONGER));
        assert_eq!(close("東京", "京都"), None);
    }
}
