//! Patterns of Router records: literal text, at most one star, digit groups
//! (`reference/router.md` section 3.1). Matching is whole, without regard to case, and its work
//! is bounded by these limits.

/// Most digit groups in one pattern.
const MAX_GROUPS: usize = 2;
/// Most characters one digit group takes.
const MAX_GROUP: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Star,
    Group { class: u8, least: usize, most: usize },
}

/// A pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<Piece>);

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("a pattern is empty");
        }
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let (mut stars, mut groups) = (0, 0);
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if let Some((piece, after)) = group(rest) {
                groups += 1;
                flush(&mut literal, &mut pieces);
                pieces.push(piece);
                rest = after;
                continue;
            }
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
            if c == '*' {
                stars += 1;
                flush(&mut literal, &mut pieces);
                pieces.push(Piece::Star);
            } else {
                literal.push(c);
            }
        }
        flush(&mut literal, &mut pieces);
        if stars > 1 {
            return Err("a pattern may have one star in the name and one in the domain");
        }
        if groups > MAX_GROUPS {
            return Err("a pattern may have two digit groups");
        }
        Ok(Self(pieces))
    }

    /// The texts matched by the star and the groups, in order; `None` when it does not match.
    #[must_use]
    pub fn matches<'t>(&self, text: &'t str) -> Option<Vec<&'t str>> {
        let mut captures = Vec::new();
        matches(&self.0, text, &mut captures).then_some(captures)
    }
}

impl Pattern {
    /// True when a star or a digit group takes text.
    #[must_use]
    pub fn takes_text(&self) -> bool {
        self.0.iter().any(|piece| !matches!(piece, Piece::Text(_)))
    }

    /// True only when each text the other matches is matched by this one too; false may also mean
    /// that it is not known.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        if self.same(other) {
            return true;
        }
        if let [Piece::Text(literal)] = other.0.as_slice() {
            return self.matches(literal).is_some();
        }
        let (start, end) = match self.0.as_slice() {
            [Piece::Star] => ("", ""),
            [Piece::Text(start), Piece::Star] => (start.as_str(), ""),
            [Piece::Star, Piece::Text(end)] => ("", end.as_str()),
            [Piece::Text(start), Piece::Star, Piece::Text(end)] => (start.as_str(), end.as_str()),
            _ => return false,
        };
        let first = match other.0.first() {
            Some(Piece::Text(text)) => text.to_ascii_lowercase(),
            _ => String::new(),
        };
        let last = match other.0.last() {
            Some(Piece::Text(text)) => text.to_ascii_lowercase(),
            _ => String::new(),
        };
        first.starts_with(&start.to_ascii_lowercase()) && last.ends_with(&end.to_ascii_lowercase())
    }

    /// A text that it matches.
    pub(crate) fn sample(&self) -> String {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(literal) => text.push_str(literal),
                Piece::Star => text.push('x'),
                Piece::Group { class, least, .. } => {
                    let one = if *class == b'l' { 'a' } else { '1' };
                    text.extend(std::iter::repeat_n(one, *least));
                }
            }
        }
        text
    }

    fn same(&self, other: &Self) -> bool {
        self.0.len() == other.0.len()
            && self.0.iter().zip(&other.0).all(|pair| match pair {
                (Piece::Text(a), Piece::Text(b)) => a.eq_ignore_ascii_case(b),
                (a, b) => a == b,
            })
    }
}

fn flush(literal: &mut String, pieces: &mut Vec<Piece>) {
    if !literal.is_empty() {
        pieces.push(Piece::Text(std::mem::take(literal)));
    }
}

/// Reads `(3d)`, `(7-15d)` or `(10+d)` at the start of a text.
fn group(text: &str) -> Option<(Piece, &str)> {
    let (inner, after) = text.strip_prefix('(')?.split_once(')')?;
    let class = *inner.as_bytes().last().filter(|c| matches!(c, b'd' | b'h' | b'l'))?;
    let range = inner.get(..inner.len() - 1)?;
    let (least, most) = if let Some(least) = range.strip_suffix('+') {
        (least.parse().ok()?, MAX_GROUP)
    } else if let Some((least, most)) = range.split_once('-') {
        (least.parse().ok()?, most.parse().ok()?)
    } else {
        let exact = range.parse().ok()?;
        (exact, exact)
    };
    (least <= most && most <= MAX_GROUP && most > 0)
        .then_some((Piece::Group { class, least, most }, after))
}

fn in_class(class: u8, byte: u8) -> bool {
    match class {
        b'd' => byte.is_ascii_digit(),
        b'h' => byte.is_ascii_hexdigit(),
        _ => byte.is_ascii_alphabetic(),
    }
}

fn matches<'t>(pieces: &[Piece], text: &'t str, captures: &mut Vec<&'t str>) -> bool {
    let Some((first, others)) = pieces.split_first() else { return text.is_empty() };
    match first {
        Piece::Text(literal) => {
            text.get(..literal.len()).is_some_and(|start| start.eq_ignore_ascii_case(literal))
                && matches(others, text.get(literal.len()..).unwrap_or_default(), captures)
        }
        Piece::Star => {
            let ends = (0..=text.len()).rev().filter(|end| text.is_char_boundary(*end));
            longest(ends, others, text, captures)
        }
        Piece::Group { class, least, most } => {
            let run = text.bytes().take(*most).take_while(|b| in_class(*class, *b)).count();
            longest((*least..=run).rev(), others, text, captures)
        }
    }
}

fn longest<'t>(
    ends: impl Iterator<Item = usize>,
    others: &[Piece],
    text: &'t str,
    captures: &mut Vec<&'t str>,
) -> bool {
    for end in ends {
        let (Some(taken), Some(rest)) = (text.get(..end), text.get(end..)) else { continue };
        let before = captures.len();
        captures.push(taken);
        if matches(others, rest, captures) {
            return true;
        }
        captures.truncate(before);
    }
    false
}

/// Puts captures in the places of the stars of a right side; further stars take the last one.
#[must_use]
pub fn fill(right: &str, captures: &[&str]) -> String {
    let mut out = String::with_capacity(right.len());
    let mut next = 0;
    for c in right.chars() {
        if c == '*' {
            if let Some(text) = captures.get(next).or_else(|| captures.last()) {
                out.push_str(text);
            }
            next += 1;
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(pattern: &str, text: &str) -> Option<Vec<String>> {
        let pattern = Pattern::read(pattern).unwrap();
        pattern.matches(text).map(|all| all.into_iter().map(str::to_owned).collect())
    }

    #[test]
    fn a_star_takes_any_text_and_also_none() {
        assert_eq!(taken("*.smith", "john.smith"), Some(vec!["john".into()]));
        assert_eq!(taken("sales-*", "Sales-"), Some(vec![String::new()]));
        assert_eq!(taken("a*a", "a"), None);
        assert_eq!(taken("*é", "xé"), Some(vec!["x".into()]));
        assert!(Pattern::read("*a*").is_err());
    }

    #[test]
    fn digit_groups_take_their_number_of_digits() {
        assert_eq!(taken("(3d)", "911"), Some(vec!["911".into()]));
        assert_eq!(taken("(3d)", "9111"), None);
        assert_eq!(taken("(7-20d)", "1234567"), Some(vec!["1234567".into()]));
        assert_eq!(taken("(2+d)x", "123x"), Some(vec!["123".into()]));
        assert_eq!(taken("(1-3d)(2d)", "1234"), Some(vec!["12".into(), "34".into()]));
    }

    #[test]
    fn a_pattern_that_covers_another_matches_all_of_it() {
        let covers = |one: &str, other: &str| {
            Pattern::read(one).unwrap().covers(&Pattern::read(other).unwrap())
        };
        for (one, other) in [
            ("*", "a.dom"),
            ("*", "(3d)"),
            ("*", "*.dom"),
            ("*.dom", "A.DOM"),
            ("*.dom", "*.sub.dom"),
            ("a*", "abc*"),
            ("a*z", "ab*yz"),
            ("(3d)", "123"),
            ("A.dom", "a.Dom"),
        ] {
            assert!(covers(one, other), "{one} {other}");
        }
        for (one, other) in
            [("*.dom", "dom"), ("*.sub.dom", "*.dom"), ("a*", "*"), ("(3d)", "(2d)"), ("a", "b")]
        {
            assert!(!covers(one, other), "{one} {other}");
        }
    }

    #[test]
    fn captures_are_filled_in_order() {
        assert_eq!(fill("*-sales", &["eu"]), "eu-sales");
        assert_eq!(fill("*@*", &["a", "b"]), "a@b");
        assert_eq!(fill("*@*", &["a"]), "a@a");
        assert_eq!(fill("x*", &[]), "x");
    }
}
