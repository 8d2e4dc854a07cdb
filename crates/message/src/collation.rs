//! The collation i;unicode-casemap (RFC 5051), by which SORT and THREAD compare texts.
//!
//! It must never know what the texts are of.

use unicode_normalization::UnicodeNormalization as _;

/// The octets by which a text is compared: every character in its title case, then decomposed.
/// Two texts are equal in the collation exactly if these are.
#[must_use]
pub fn casemap(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_uppercase();
    }
    text.chars().map(title).nfkd().collect()
}

/// The simple title case of a character: one character, as the table of the Unicode standard has
/// it. Where the upper case is longer than one character the table has none.
fn title(c: char) -> char {
    match c {
        // Digraphs have a title case of their own; the Georgian letters are theirs already.
        '\u{1C4}'..='\u{1C6}' => '\u{1C5}',
        '\u{1C7}'..='\u{1C9}' => '\u{1C8}',
        '\u{1CA}'..='\u{1CC}' => '\u{1CB}',
        '\u{1F1}'..='\u{1F3}' => '\u{1F2}',
        '\u{10D0}'..='\u{10FF}' => c,
        // Greek with iota below: upper case is two characters, title case one.
        '\u{1F80}'..='\u{1F87}' | '\u{1F90}'..='\u{1F97}' | '\u{1FA0}'..='\u{1FA7}' => {
            char::from_u32(u32::from(c) + 8).unwrap_or(c)
        }
        '\u{1FB3}' | '\u{1FC3}' | '\u{1FF3}' => char::from_u32(u32::from(c) + 9).unwrap_or(c),
        _ => {
            let mut upper = c.to_uppercase();
            match (upper.next(), upper.next()) {
                (Some(one), None) => one,
                _ => c,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::casemap;

    #[test]
    fn case_and_composition_do_not_count() {
        assert_eq!(casemap("Hello"), casemap("hELLO"));
        assert_eq!(casemap("É"), casemap("e\u{301}"));
        assert_eq!(casemap("ǆ"), casemap("Ǆ"));
        assert_eq!(casemap("ᾳ"), casemap("ᾼ"));
        assert_eq!(casemap("ﬁ"), "fi", "RFC 5051 decomposes after the case is mapped");
        assert_ne!(casemap("ß"), casemap("ss"), "one character to one character");
        assert_ne!(casemap("a"), casemap("b"));
    }
}
