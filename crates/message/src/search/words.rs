//! The words of a message: runs of letters and digits, without case and diacritics; pairs of
//! characters where a script has no spaces. It must never know how words are compared.

use std::collections::HashMap;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::text::{Seen, visit};
use crate::{header, html};

/// Different words taken from one message.
pub const WORDS_MAX: usize = 10_000;
/// Characters of a word; longer ones are cut.
pub const WORD_MAX: usize = 40;
/// Octets of a message's text in which words are looked for.
const TEXT_MAX: usize = 1 << 20;

/// Where in a message a word stands, as a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fields(pub u8);

impl Fields {
    /// The subject.
    pub const SUBJECT: Fields = Fields(1);
    /// From and Sender.
    pub const FROM: Fields = Fields(2);
    /// To.
    pub const TO: Fields = Fields(4);
    /// Cc and Bcc.
    pub const CC: Fields = Fields(8);
    /// Any other field of the header.
    pub const OTHER: Fields = Fields(16);
    /// The body.
    pub const BODY: Fields = Fields(32);
    /// Any of the header.
    pub const HEADER: Fields = Fields(31);
    /// Anywhere.
    pub const ALL: Fields = Fields(63);

    /// The set a field of the header belongs to.
    pub fn of_name(name: &str) -> Fields {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        if is("Subject") {
            Fields::SUBJECT
        } else if is("From") || is("Sender") {
            Fields::FROM
        } else if is("To") {
            Fields::TO
        } else if is("Cc") || is("Bcc") {
            Fields::CC
        } else {
            Fields::OTHER
        }
    }
}

/// What is kept of a word in a message: its fields and roughly how often it comes, in one octet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mark(pub u8);

impl Mark {
    /// The fields it stands in.
    pub fn fields(self) -> Fields {
        Fields(self.0 & Fields::ALL.0)
    }

    /// 0 for once, 1 for two or three times, 2 up to seven, 3 for more.
    pub fn often(self) -> u8 {
        self.0 >> 6
    }

    fn new(fields: u8, count: u32) -> Mark {
        let often = match count {
            0..=1 => 0,
            2..=3 => 1,
            4..=7 => 2,
            _ => 3,
        };
        Mark(fields | often << 6)
    }
}

/// The words of a whole message with their marks, in no order. Trace fields and signatures are
/// left out; the work and the answer are bounded by constants.
pub fn words_of(message: &[u8]) -> Vec<(String, Mark)> {
    let mut found: HashMap<String, (u8, u32)> = HashMap::new();
    let mut left = TEXT_MAX;
    visit(message, |seen| {
        let mut take = |text: &str, fields: Fields| {
            let mut end = text.len().min(left);
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            left -= end;
            each_word(text.get(..end).unwrap_or_default(), |word| {
                if let Some((there, count)) = found.get_mut(word) {
                    *there |= fields.0;
                    *count = count.saturating_add(1);
                } else if found.len() < WORDS_MAX {
                    found.insert(word.to_owned(), (fields.0, 1));
                }
            });
        };
        match seen {
            Seen::Header(block) | Seen::InnerHeader(block) => {
                let inner = matches!(seen, Seen::InnerHeader(_));
                for field in header::fields(block) {
                    let name = String::from_utf8_lossy(field.name);
                    if is_machinery(&name) {
                        continue;
                    }
                    take(&field.text(), if inner { Fields::BODY } else { Fields::of_name(&name) });
                }
            }
            Seen::Text(text) => take(&text, Fields::BODY),
            Seen::Page(page) => take(&html::text(&page), Fields::BODY),
        }
    });
    found.into_iter().map(|(word, (fields, count))| (word, Mark::new(fields, count))).collect()
}

/// Fields nobody looks for words in.
fn is_machinery(name: &str) -> bool {
    let starts =
        |with: &str| name.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
    ["Received", "DKIM-", "ARC-", "Authentication-", "X-", "MIME-", "Content-", "Return-Path"]
        .iter()
        .any(|with| starts(with))
}

/// The words of a text somebody looks for, in their order, each once, at most `most`.
pub fn words_of_text(text: &str, most: usize) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    each_word(text, |word| {
        if found.len() < most && !found.iter().any(|known| known == word) {
            found.push(word.to_owned());
        }
    });
    found
}

/// Scripts written without spaces.
fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{0e00}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}'
        | '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ff9f}' | '\u{20000}'..='\u{3ffff}')
}

fn is_of_word(c: char) -> bool {
    if c.is_ascii() {
        c.is_ascii_alphanumeric()
    } else {
        c.is_alphanumeric() || is_combining_mark(c)
    }
}

fn each_word(text: &str, mut tell: impl FnMut(&str)) {
    let mut plain = String::new();
    for run in text.split(|c| !is_of_word(c)).filter(|run| !run.is_empty()) {
        plain.clear();
        if run.is_ascii() {
            plain.extend(run.chars().take(WORD_MAX).map(|c| c.to_ascii_lowercase()));
            if plain.len() > 1 {
                tell(&plain);
            }
            continue;
        }
        simplify(run, &mut plain);
        spaced_and_not(&plain, &mut tell);
    }
}

/// Tells the spaced words in a run whole (cut at [`WORD_MAX`]) and the others by pairs.
fn spaced_and_not(run: &str, tell: &mut impl FnMut(&str)) {
    let mut rest = run;
    while let Some(first) = rest.chars().next() {
        let unspaced = is_unspaced(first);
        let end = rest.find(|c| is_unspaced(c) != unspaced).unwrap_or(rest.len());
        let (here, after) = rest.split_at(end);
        rest = after;
        if !unspaced {
            let end = here.char_indices().nth(WORD_MAX).map_or(here.len(), |(at, _)| at);
            tell(here.get(..end).unwrap_or_default());
            continue;
        }
        let mut starts = here.char_indices().map(|(at, _)| at).chain([here.len()]);
        let (mut from, mut middle) = (starts.next(), starts.next());
        let mut alone = true;
        for to in starts {
            if let Some(pair) = from.and_then(|from| here.get(from..to)) {
                tell(pair);
                alone = false;
            }
            (from, middle) = (middle, Some(to));
        }
        if alone {
            tell(here);
        }
    }
}

/// Without case and diacritics; letters with a stroke or joined ones become plain.
fn simplify(run: &str, out: &mut String) {
    let bare = run.nfkd().filter(|c| !matches!(c, '\u{300}'..='\u{36f}'));
    for c in bare.nfc().flat_map(char::to_lowercase) {
        match c {
            'ß' => out.push_str("ss"),
            'æ' => out.push_str("ae"),
            'œ' => out.push_str("oe"),
            'ø' => out.push('o'),
            'ł' => out.push('l'),
            'đ' | 'ð' => out.push('d'),
            'þ' => out.push_str("th"),
            'ı' => out.push('i'),
            'ς' => out.push('σ'),
            '\u{300}'..='\u{36f}' => {}
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        words_of_text(text, 100)
    }

    #[test]
    fn words_have_no_case_and_no_diacritics() {
        assert_eq!(words("Über-Größe, naïve CAFÉ!"), ["uber", "grosse", "naive", "cafe"]);
        assert_eq!(words("joe@Example.COM x 7 42"), ["joe", "example", "com", "42"]);
        assert_eq!(words("Ещё один"), ["еще", "один"]);
        assert_eq!(words("Cafe\u{301}"), ["cafe"]);
    }

    #[test]
    fn scripts_without_spaces_are_cut_into_pairs() {
        assert_eq!(words("東京都"), ["東京", "京都"]);
        assert_eq!(words("都 abc東京"), ["都", "abc", "東京"]);
        assert_eq!(words("ガギ"), ["ガギ"]);
    }

    #[test]
    fn a_message_tells_where_its_words_stand() {
        let message = b"Received: from nowhere\r\nSubject: Harvest\r\nFrom: Ann <ann@a>\r\n\
            Content-Type: text/html\r\n\r\n<p class=hidden>harvest of apples, apples</p>";
        let found: HashMap<String, Mark> = words_of(message).into_iter().collect();
        let fields = |word: &str| found.get(word).map(|mark| mark.fields().0);
        assert_eq!(fields("harvest"), Some(Fields::SUBJECT.0 | Fields::BODY.0));
        assert_eq!(fields("ann"), Some(Fields::FROM.0));
        assert_eq!(found["apples"].often(), 1);
        assert_eq!((fields("nowhere"), fields("hidden")), (None, None));
    }

    #[test]
    fn words_of_hostile_mail_are_bounded() {
        // ABU-47
        let many: String = (0..200_000).map(|n| format!("w{n} ")).collect();
        let message = format!("Subject: x\r\n\r\n{many}{}", "y".repeat(3_000_000));
        let found = words_of(message.as_bytes());
        assert_eq!(found.len(), WORDS_MAX);
        let long = words(&"ü".repeat(100_000));
        assert_eq!(long[0].chars().count(), WORD_MAX);
        assert!(words(&"\u{301}".repeat(1000)).iter().all(|w| w.chars().count() <= WORD_MAX));
    }
}
