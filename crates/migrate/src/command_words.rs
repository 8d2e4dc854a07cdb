//! A command of the command line taken apart into its words, with quotes and backslashes but
//! without anything else a shell would do. Pure.

/// Most words of one command.
const MAX_WORDS: usize = 256;

/// Takes a command apart: blanks separate words, `'…'` and `"…"` hold them together, a backslash
/// takes the next character as it is (not within `'…'`).
///
/// # Errors
/// What is wrong with it, for people.
pub(crate) fn split(command: &str) -> Result<Vec<String>, String> {
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut all = command.chars();
    while let Some(c) = all.next() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (Some('\''), c) => word.get_or_insert_default().push(c),
            (_, '\\') => {
                let next = all.next().ok_or("a backslash at the end stands for nothing")?;
                word.get_or_insert_default().push(next);
            }
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err(format!("a quote of \"{command}\" is not closed"));
    }
    words.extend(word);
    if words.is_empty() {
        return Err("the command is empty".into());
    }
    if words.len() > MAX_WORDS {
        return Err(format!("a command of more than {MAX_WORDS} words"));
    }
    Ok(words)
}

/// Puts values for `%x` into each word; `%%` is a percent sign. Words are never split again.
pub(crate) fn filled(words: &[String], values: &[(char, &str)]) -> Vec<String> {
    let fill = |word: &String| {
        let mut out = String::with_capacity(word.len());
        let mut all = word.chars();
        while let Some(c) = all.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            match all.next() {
                Some(next) => match values.iter().find(|(name, _)| *name == next) {
                    Some((_, value)) => out.push_str(value),
                    None if next == '%' => out.push('%'),
                    None => out.extend(['%', next]),
                },
                None => out.push('%'),
            }
        }
        out
    };
    words.iter().map(fill).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_held_together_by_quotes_and_nothing_is_expanded() {
        let words = split(r#"ssh  -l "joe doe" host 'a $HOME `b`' c\ d '' $X;rm"#).unwrap();
        let wanted = ["ssh", "-l", "joe doe", "host", "a $HOME `b`", "c d", "", "$X;rm"];
        assert_eq!(words, wanted);
        for bad in ["", "  ", "a 'b", "a \"b", "a\\"] {
            assert!(split(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn values_are_put_in_without_making_new_words() {
        let words = split("token --user %u --at=%h:%p 100%% %x %").unwrap();
        let filled = filled(&words, &[('u', "a b; c"), ('h', "old"), ('p', "993")]);
        assert_eq!(filled[2], "a b; c");
        assert_eq!(filled[3], "--at=old:993");
        assert_eq!(&filled[4..], ["100%", "%x", "%"]);
    }
}
