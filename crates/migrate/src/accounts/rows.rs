//! The accounts of a list, one at a time, as often as they are wanted: the lists of a million
//! accounts are never in memory.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use super::lines::Lines;
use super::list::{Columns, Row};
use super::outcome::Outcome;
use crate::error::{MoveError, Result};

/// Accounts remembered to tell those that come twice: 8 octets each.
const REMEMBERED: usize = 4_000_000;

/// What a list must say.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) path: PathBuf,
    /// Passwords must be there.
    pub(super) passwords: bool,
    /// A column with the old server of each account.
    pub(super) server: Option<String>,
}

/// An open list, its first line read.
pub(super) struct Rows {
    lines: Lines,
    columns: Columns,
    seen: HashSet<u64>,
    /// Only these lines, where it is read again.
    only: Option<HashSet<u64>>,
}

impl Rows {
    /// Opens a list; with `only`, no other lines of it are told.
    pub(super) fn open(wanted: &Wanted, only: Option<HashSet<u64>>) -> Result<Self> {
        let mut lines = Lines::open(&wanted.path)?;
        let named = |reason: String| {
            MoveError::Usage(format!("{}: {reason}", Path::new(&wanted.path).display()))
        };
        let first = loop {
            match lines.next()? {
                None => return Err(named("the list is empty".into())),
                Some((_, None)) => return Err(named("the first line is too long".into())),
                Some((_, Some(line))) if line.trim().is_empty() => {}
                Some((_, Some(line))) => break line,
            }
        };
        let columns =
            Columns::read(&first, wanted.passwords, wanted.server.as_deref()).map_err(named)?;
        Ok(Self { lines, columns, seen: HashSet::new(), only })
    }

    /// About how many accounts there are.
    pub(super) fn expected(&self) -> u64 {
        match &self.only {
            Some(only) => only.len() as u64,
            None => self.lines.expected().saturating_sub(1),
        }
    }

    /// What is to be said of the file.
    pub(super) fn remark(&self) -> Option<&'static str> {
        self.lines.remark()
    }

    /// The next account, or what is wrong with its line; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<std::result::Result<Row, Box<Outcome>>>> {
        while let Some((number, line)) = self.lines.next()? {
            if self.only.as_ref().is_some_and(|only| !only.contains(&number)) {
                continue;
            }
            let broken = |name: &str, reason: &str| {
                Ok(Some(Err(Box::new(Outcome::broken(number, name, reason)))))
            };
            let Some(line) = line else { return broken("", "the line is too long") };
            match self.columns.row(number, &line) {
                Ok(None) => {}
                Ok(Some(row)) if self.is_second(&row) => {
                    return broken(&row.name, "an earlier line moves the same account");
                }
                Ok(Some(row)) => return Ok(Some(Ok(row))),
                Err((name, reason)) => return broken(&name, &reason),
            }
        }
        Ok(None)
    }

    fn is_second(&mut self, row: &Row) -> bool {
        if self.seen.len() >= REMEMBERED {
            return false;
        }
        let mut hasher = DefaultHasher::new();
        (&row.server, &row.name, &row.new_name).hash(&mut hasher);
        !self.seen.insert(hasher.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn abu_67_a_list_of_a_hundred_thousand_rows_with_every_oddity_is_read_row_by_row() {
        use std::fmt::Write as _;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("list");
        let mut text = String::from("\u{feff}\r\nName\tLimit\tPassword\r\n");
        for n in 0..100_000 {
            write!(text, "user{n}\t=cmd|' /C calc'!A0\tp{n}\r\n").unwrap();
        }
        text.push_str("user7\t\tagain\r\n\t\t\r\n#not a comment\t\tp\r\nbroken\r\n");
        std::fs::write(&path, text).unwrap();
        let wanted = Wanted { path, passwords: true, server: None };
        let mut rows = Rows::open(&wanted, None).unwrap();
        let (mut good, mut bad) = (0, Vec::new());
        while let Some(next) = rows.next().unwrap() {
            match next {
                Ok(row) => {
                    good += 1;
                    assert!(!row.password.ends_with('\r'));
                }
                Err(outcome) => bad.push((outcome.line, outcome.troubles[0].reason.clone())),
            }
        }
        assert_eq!(good, 100_001);
        assert_eq!(bad.len(), 2, "{bad:?}");
        assert_eq!(bad[0], (100_003, "an earlier line moves the same account".to_owned()));
        let again = Rows::open(&wanted, Some(HashSet::from([5]))).unwrap().next().unwrap();
        assert_eq!(again.unwrap().unwrap().name, "user2");
    }
}
