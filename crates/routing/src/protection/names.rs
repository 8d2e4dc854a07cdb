//! Lists of host names: one a line, `mail.example.com`, `*.example.com`, `*dynamic*`; `!` in front
//! makes an exception, `;` begins a comment. The first entry that matches counts.
//!
//! It must never know how an address came to its name, nor that names lie: whoever asks does so
//! with a name that leads back to the address.

use super::lists::{ListError, entry_text};

/// Most entries of a list.
pub const MAX_ENTRIES: usize = 2_000;
/// Longest entry, in octets.
const MAX_NAME: usize = 255;

/// A list of host names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameList {
    entries: Vec<(bool, String)>,
}

impl NameList {
    /// Reads a list.
    ///
    /// # Errors
    /// The first line that is wrong.
    pub fn read(text: &str) -> Result<Self, ListError> {
        let mut entries = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let error = |why: &str| ListError { line: number + 1, why: why.to_owned() };
            let (except, entry) = match entry_text(line).strip_prefix('!') {
                Some(rest) => (true, rest.trim()),
                None => (false, entry_text(line)),
            };
            if entry.is_empty() && !except {
                continue;
            }
            let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '*');
            if entry.is_empty() || entry.len() > MAX_NAME || !entry.chars().all(legal) {
                return Err(error("this is not a host name or a pattern of one"));
            }
            if entries.len() >= MAX_ENTRIES {
                return Err(error("the list has too many entries"));
            }
            entries.push((!except, entry.trim_end_matches('.').to_ascii_lowercase()));
        }
        Ok(Self { entries })
    }

    /// True when there is nothing to be asked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entry that puts a name on the list.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&str> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let found = self.entries.iter().find(|(_, p)| glob(p.as_bytes(), name.as_bytes()))?;
        found.0.then_some(found.1.as_str())
    }
}

/// Matches a whole text against a pattern with any number of `*`; the work is at most the product
/// of both lengths.
pub(super) fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if text.get(t) == Some(c) => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    p = at + 1;
                    t = from + 1;
                    star = Some((at, t));
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).unwrap_or_default().iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_whole_without_case_and_the_first_entry_counts() {
        let list = NameList::read(
            "!good.dynamic.example ; ours\n*.dynamic.example\nmail.bad.example.\n*pool-*-x*\n",
        )
        .unwrap();
        assert_eq!(list.find("A.Dynamic.Example."), Some("*.dynamic.example"));
        assert_eq!(list.find("good.dynamic.example"), None);
        assert_eq!(list.find("mail.bad.example"), Some("mail.bad.example"));
        assert_eq!(list.find("a-pool-7-x.example"), Some("*pool-*-x*"));
        assert_eq!(list.find("dynamic.example"), None);
        assert!(NameList::read("a b").is_err() && NameList::read("!").is_err());
    }
}
