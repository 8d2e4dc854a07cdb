//! Text of other servers made fit for reports and terminals: bounded, one line, no control
//! characters. Pure.

/// At most `most` characters of `text`; control characters and those that turn the direction of
/// writing become `?`, what is cut off shows as `…`.
#[must_use]
pub fn printable(text: &str, most: usize) -> String {
    let mut out = String::with_capacity(text.len().min(most * 4));
    for (n, character) in text.trim().chars().enumerate() {
        if n >= most {
            out.push('…');
            break;
        }
        let turns = matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}');
        out.push(if character.is_control() || turns { '?' } else { character });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_and_great_lengths_do_not_come_through() {
        assert_eq!(printable("a\x1b[2Jb\r\nc", 100), "a?[2Jb??c");
        assert_eq!(printable("abc", 2), "ab…");
        assert_eq!(printable("\u{202e}x", 9), "?x");
    }
}
