//! File names of Maildir and Maildir++: flags, keywords, arrival and size in a message's name,
//! levels in a folder's. It must never know directories.

use super::Marks;

/// What the name of a message's file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MaildirName {
    /// The flags.
    pub marks: Marks,
    /// Numbers of keywords (`a` is 0), to be looked up in the folder's list.
    pub keywords: Vec<u8>,
    /// When the message arrived, seconds since 1970, as far as the name tells.
    pub arrived: Option<i64>,
    /// Its name without flags: the same for the message's whole life.
    pub unique: Vec<u8>,
}

impl MaildirName {
    /// Reads a name as found in `cur` or `new`. Nothing for names that are no message's: those
    /// with a dot in front.
    #[must_use]
    pub fn parse(name: &[u8]) -> Option<Self> {
        if name.first().is_none_or(|first| *first == b'.') {
            return None;
        }
        // Where `:` cannot be part of a name, programs write `;` or `!`.
        let mark = memchr::memmem::rfind(name, b"2,").filter(|at| {
            at.checked_sub(1).and_then(|at| name.get(at)).is_some_and(|b| b";:!".contains(b))
        });
        let (unique, flags) = match mark {
            Some(at) => (name.get(..at - 1)?, name.get(at + 2..)?),
            None => (name, &b""[..]),
        };
        let mut found = Self { unique: unique.to_vec(), ..Self::default() };
        for letter in flags.iter().take_while(|b| **b != b',') {
            let mark = match letter {
                b'P' => Marks::REDIRECTED,
                b'R' => Marks::ANSWERED,
                b'S' => Marks::SEEN,
                b'T' => Marks::DELETED,
                b'D' => Marks::DRAFT,
                b'F' => Marks::FLAGGED,
                b'a'..=b'z' => {
                    found.keywords.push(letter - b'a');
                    continue;
                }
                _ => continue,
            };
            found.marks = found.marks.with(mark);
        }
        let digits: Vec<u8> = unique.iter().copied().take_while(u8::is_ascii_digit).collect();
        if (8..=11).contains(&digits.len()) && unique.get(digits.len()) == Some(&b'.') {
            found.arrived = std::str::from_utf8(&digits).ok().and_then(|text| text.parse().ok());
        }
        Some(found)
    }
}

/// The levels of a Maildir++ folder by the name of its directory: `.Sent.2006` is `Sent` and
/// `2006`. Nothing for directories that are no folder's. The levels are as written, in modified
/// UTF-7 or UTF-8.
#[must_use]
pub fn folder(directory: &str) -> Option<Vec<&str>> {
    let name = directory.strip_prefix('.').filter(|name| !name.is_empty() && *name != ".")?;
    let levels: Vec<&str> = name.split('.').collect();
    levels.iter().all(|level| !level.is_empty()).then_some(levels)
}
