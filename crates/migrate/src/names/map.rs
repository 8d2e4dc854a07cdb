//! The map file: which name becomes which, line by line, with patterns (`--mapFile`), and the same
//! for identifiers of access rights. Pure.
//!
//! A line is `OLD<TAB>NEW`. In OLD `*` stands for anything and `%` for anything within one level;
//! each `*` in NEW takes the text the next of them stood for. `\Sent` and its kin name the
//! mailbox of that use, whatever it is called. NEW left empty: do not copy. `\` before a
//! character takes its meaning away. Lines that begin with `;` and empty lines are remarks. The
//! first line that fits counts.

use crate::special_use::SpecialUse;

/// Most lines of one map.
pub const MAX_LINES: usize = 100_000;

/// What a map says of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mapped {
    /// Another name, and the number of the line (from 1) that says so.
    To(String, usize),
    /// Not to be copied, says this line.
    Leave(usize),
}

/// A list of translations, tried from the first on.
#[derive(Clone, Debug, Default)]
pub struct NameMap {
    lines: Vec<Line>,
}

#[derive(Clone, Debug)]
struct Line {
    old: Old,
    new: Vec<Part>,
    /// Where it stands in the file.
    number: usize,
}

#[derive(Clone, Debug)]
enum Old {
    Use(SpecialUse),
    Pattern(Vec<Part>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    /// `*`
    Any,
    /// `%`
    Level,
}

impl NameMap {
    /// Reads a map.
    ///
    /// # Errors
    /// The number of the line that cannot be read, and why.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut map = Self::default();
        for (n, line) in text.lines().enumerate() {
            let number = n + 1;
            let line = line.trim_end_matches('\r');
            if line.trim().is_empty() || line.starts_with(';') {
                continue;
            }
            if map.lines.len() >= MAX_LINES {
                return Err(format!("more than {MAX_LINES} lines"));
            }
            let (old, new) =
                line.split_once('\t').ok_or_else(|| format!("line {number}: write OLD<TAB>NEW"))?;
            map.add(old, new, number).map_err(|reason| format!("line {number}: {reason}"))?;
        }
        Ok(map)
    }

    /// Adds one translation, as from line `number`.
    ///
    /// # Errors
    /// Why it makes no sense.
    pub fn add(&mut self, old: &str, new: &str, number: usize) -> Result<(), String> {
        if old.is_empty() {
            return Err("the old name is empty".into());
        }
        let old = match SpecialUse::of_attribute(old) {
            Some(role) => Old::Use(role),
            None => Old::Pattern(parts(old)),
        };
        let new = parts(new);
        let places = |parts: &[Part]| parts.iter().filter(|p| !matches!(p, Part::Text(_))).count();
        let held = match &old {
            Old::Use(_) => 0,
            Old::Pattern(parts) => places(parts),
        };
        if places(&new) > held {
            return Err("NEW has more * than OLD has * and %".into());
        }
        self.lines.push(Line { old, new, number });
        Ok(())
    }

    /// Adds the lines of another, to be tried after these.
    pub fn append(&mut self, other: Self) {
        self.lines.extend(other.lines);
    }

    /// True when it has no line.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// What becomes of the mailbox `name` (`/` between levels) of this use.
    #[must_use]
    pub fn of(&self, name: &str, role: Option<SpecialUse>) -> Option<Mapped> {
        self.lines.iter().find_map(|line| {
            let held = match &line.old {
                Old::Use(wanted) => (Some(*wanted) == role).then(Vec::new)?,
                Old::Pattern(pattern) => matched(pattern, name)?,
            };
            let mut held = held.into_iter();
            let mut new = String::new();
            for part in &line.new {
                match part {
                    Part::Text(text) => new.push_str(text),
                    Part::Any | Part::Level => new.push_str(held.next().unwrap_or_default()),
                }
            }
            Some(if new.is_empty() {
                Mapped::Leave(line.number)
            } else {
                Mapped::To(new, line.number)
            })
        })
    }
}

/// True when `name` fits `pattern` (`*`, `%`, `\` before a character taken as it is).
#[must_use]
pub fn fits(pattern: &str, name: &str) -> bool {
    matched(&parts(pattern), name).is_some()
}

fn parts(text: &str) -> Vec<Part> {
    let mut all = Vec::new();
    let mut plain = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let place = match character {
            '*' => Part::Any,
            '%' => Part::Level,
            '\\' => {
                plain.push(characters.next().unwrap_or('\\'));
                continue;
            }
            other => {
                plain.push(other);
                continue;
            }
        };
        if !plain.is_empty() {
            all.push(Part::Text(std::mem::take(&mut plain)));
        }
        all.push(place);
    }
    if !plain.is_empty() {
        all.push(Part::Text(plain));
    }
    all
}

/// What each `*` and `%` stands for when `name` fits, the earlier ones taking as little as they
/// can, in bounded work.
fn matched<'n>(pattern: &[Part], name: &'n str) -> Option<Vec<&'n str>> {
    // Each place as (index of the part, where its text begins, where it ends so far).
    let mut held: Vec<(usize, usize, usize)> = Vec::new();
    let (mut part, mut at) = (0, 0);
    loop {
        let rest = name.get(at..)?;
        let goes_on = match pattern.get(part) {
            None if rest.is_empty() => {
                return held.iter().map(|(_, from, to)| name.get(*from..*to)).collect();
            }
            Some(Part::Text(text)) if rest.starts_with(text.as_str()) => {
                at += text.len();
                true
            }
            Some(Part::Any | Part::Level) => {
                held.push((part, at, at));
                true
            }
            _ => false,
        };
        if goes_on {
            part += 1;
            continue;
        }
        // The last place takes one character more. Where a `%` is stopped by a slash, those
        // before it in its level would be, too: the last `*` must take more. At the end of the
        // name nobody can.
        loop {
            let (place, from, to) = held.pop()?;
            let next = name.get(to..).and_then(|r| r.chars().next())?;
            if pattern.get(place) == Some(&Part::Level) && next == '/' {
                continue;
            }
            let to = to + next.len_utf8();
            held.push((place, from, to));
            (part, at) = (place + 1, to);
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(map: &NameMap, name: &str) -> Option<String> {
        match map.of(name, None) {
            Some(Mapped::To(new, _)) => Some(new),
            Some(Mapped::Leave(_)) => Some("left".into()),
            None => None,
        }
    }

    #[test]
    fn names_patterns_uses_and_remarks_of_a_map_file() {
        let map = NameMap::parse(
            "\u{feff}; how the new names are\r\nOld\tNew\r\nProjects/%/Mail\tWork/*\n\
             Junk*\t\nListe/*\tLists/*\n\\Sent\tSent Items\n\\*star\tplain\nÄrger\tBöses\n\n",
        )
        .unwrap();
        assert_eq!(to(&map, "Old").as_deref(), Some("New"));
        assert_eq!(to(&map, "Older"), None);
        assert_eq!(to(&map, "Projects/A b/Mail").as_deref(), Some("Work/A b"));
        assert_eq!(to(&map, "Projects/a/b/Mail"), None);
        assert_eq!(to(&map, "Junk mail/x").as_deref(), Some("left"));
        assert_eq!(to(&map, "Liste/a/b").as_deref(), Some("Lists/a/b"));
        assert_eq!(to(&map, "*star").as_deref(), Some("plain"));
        assert_eq!(to(&map, "Ärger").as_deref(), Some("Böses"));
        assert_eq!(
            map.of("Gesendete", Some(SpecialUse::Sent)),
            Some(Mapped::To("Sent Items".into(), 6))
        );
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named() {
        assert!(NameMap::parse("a\tb\nc").unwrap_err().contains("line 2"));
        assert!(NameMap::parse("a\t*").unwrap_err().contains("line 1"));
        assert!(NameMap::parse("\tx").unwrap_err().contains("empty"));
    }

    #[test]
    fn patterns_that_overlap_find_a_way_and_end() {
        assert!(fits("*a*b*c", "xxaxxbxxbc"));
        assert!(!fits("*a*b*c", "xxaxxbxxbd"));
        assert!(fits("%/%", "a/b"));
        assert!(!fits("%/%", "a/b/c"));
        assert!(fits("%b*", "ab/c"));
        assert!(fits("*", ""));
        assert!(!fits(&"*a".repeat(12), &"a".repeat(11)));
        let long = "é".repeat(400);
        assert!(!fits("*é*é*x", &long));
    }
}
