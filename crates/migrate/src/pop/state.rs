//! What earlier runs of MovePOPMail brought over, so that a second run copies only what is new.
//!
//! A text file of lines with tab-separated fields, the first naming the form: `angarium-pop-move 1`,
//! then `got` or `try` and what names the message: `uid` and its unique id, or `sum` and the digest of
//! its octets where the server has no unique ids. `try` is written before a message is given away,
//! `got` when the new server has taken it: a `try` without its `got` may be there twice.
//!
//! Equal names count: of two equal messages one is not taken for the other.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use crate::error::{MoveError, Result};

const FIRST_LINE: &str = "angarium-pop-move\t1";
/// Longest line that is read, octets.
const MAX_LINE: u64 = 4096;

/// What names a message at the old server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Name {
    /// Its unique id.
    Uid(String),
    /// The digest of its octets, in hexadecimal digits.
    Sum(String),
}

impl Name {
    fn fields(&self) -> String {
        match self {
            Self::Uid(id) => format!("uid\t{id}"),
            Self::Sum(sum) => format!("sum\t{sum}"),
        }
    }

    /// A short form for tables of a million messages.
    pub(crate) fn key(&self) -> Key {
        let mut key = [0; 16];
        let hash = blake3::hash(self.fields().as_bytes());
        key.iter_mut().zip(hash.as_bytes()).for_each(|(to, from)| *to = *from);
        key
    }
}

/// See [`Name::key`].
pub(crate) type Key = [u8; 16];

/// How often each name occurs.
pub(crate) type Counts = HashMap<Key, u32>;

/// Takes one of a name away; false when there is none.
pub(crate) fn take(counts: &mut Counts, key: &Key) -> bool {
    match counts.get_mut(key) {
        Some(left) if *left > 0 => {
            *left -= 1;
            true
        }
        _ => false,
    }
}

/// See the module text.
pub(crate) struct State {
    path: PathBuf,
    file: Option<File>,
    got: Counts,
    tried: Counts,
}

impl State {
    /// A state that is not kept.
    pub(crate) fn none() -> Self {
        Self { path: PathBuf::new(), file: None, got: Counts::new(), tried: Counts::new() }
    }

    /// Opens or begins the file at `path`, held against a second run. A torn last line is passed over.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let wrong = |reason: String| MoveError::File { path: path.display().to_string(), reason };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|e| wrong(e.to_string()))?;
        }
        let mut options = OpenOptions::new();
        options.create(true).append(true).read(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path).map_err(|e| wrong(e.to_string()))?;
        file.try_lock().map_err(|e| match e {
            std::fs::TryLockError::WouldBlock => {
                wrong("another run for the same account is under way".into())
            }
            std::fs::TryLockError::Error(e) => wrong(e.to_string()),
        })?;
        let (mut got, mut tried) = (Counts::new(), Counts::new());
        let mut reader = BufReader::new(&file);
        let (mut line, mut number, mut whole) = (Vec::new(), 0_u64, true);
        loop {
            line.clear();
            let limited = &mut std::io::Read::take(&mut reader, MAX_LINE);
            let read = limited.read_until(b'\n', &mut line).map_err(|e| wrong(e.to_string()))?;
            if read == 0 {
                break;
            }
            number += 1;
            whole = line.ends_with(b"\n");
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end_matches('\n');
            if number == 1 && text != FIRST_LINE {
                return Err(wrong("this is not a journal of MovePOPMail".into()));
            }
            if whole {
                take_line(text, &mut got, &mut tried);
            }
        }
        drop(reader);
        let mut state = Self { path: path.to_owned(), file: Some(file), got, tried };
        if number == 0 {
            state.line(FIRST_LINE)?;
        } else if !whole {
            state.line("")?;
        }
        Ok(state)
    }

    /// What is at the new server by now.
    pub(crate) fn got(&self) -> &Counts {
        &self.got
    }

    /// True when an earlier run gave this message away and never heard what became of it.
    pub(crate) fn is_doubtful(&mut self, key: &Key) -> bool {
        take(&mut self.tried, key)
    }

    /// This message is about to be given to the new server.
    pub(crate) fn trying(&mut self, name: &Name) -> Result<()> {
        self.line(&format!("try\t{}", name.fields()))
    }

    /// The new server has refused it, or it was never given: it is not there.
    pub(crate) fn not_taken(&mut self, name: &Name) -> Result<()> {
        self.line(&format!("not\t{}", name.fields()))
    }

    /// The new server has taken it.
    pub(crate) fn taken(&mut self, name: &Name) -> Result<()> {
        *self.got.entry(name.key()).or_default() += 1;
        self.line(&format!("got\t{}", name.fields()))
    }

    fn line(&mut self, text: &str) -> Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        // One write a line: what a killed run leaves is whole lines and at most one torn one.
        file.write_all(format!("{text}\n").as_bytes()).map_err(|e| MoveError::File {
            path: self.path.display().to_string(),
            reason: e.to_string(),
        })
    }
}

fn take_line(text: &str, got: &mut Counts, tried: &mut Counts) {
    let fields: Vec<&str> = text.splitn(3, '\t').collect();
    let name = match fields.as_slice() {
        [_, "uid", id] => Name::Uid((*id).to_owned()),
        [_, "sum", sum] => Name::Sum((*sum).to_owned()),
        _ => return,
    };
    let key = name.key();
    match fields.first() {
        Some(&"try") => *tried.entry(key).or_default() += 1,
        Some(&"not") => {
            take(tried, &key);
        }
        Some(&"got") => {
            take(tried, &key);
            *got.entry(key).or_default() += 1;
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_is_known_and_what_was_only_tried_is_in_doubt() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/state");
        let (a, b, c) = (Name::Uid("a".into()), Name::Uid("b\tc".into()), Name::Sum("00".into()));
        let mut state = State::open(&path).unwrap();
        assert!(State::open(&path).is_err(), "two runs at once");
        for name in [&a, &a, &c] {
            state.trying(name).unwrap();
            state.taken(name).unwrap();
        }
        state.trying(&b).unwrap();
        state.trying(&c).unwrap();
        state.not_taken(&c).unwrap();
        drop(state);
        let mut text = std::fs::read(&path).unwrap();
        text.extend_from_slice(b"got\tuid\tb");
        std::fs::write(&path, text).unwrap();
        let mut state = State::open(&path).unwrap();
        assert_eq!(state.got().get(&a.key()), Some(&2));
        assert_eq!(state.got().get(&b.key()), None);
        assert!(state.is_doubtful(&b.key()) && !state.is_doubtful(&c.key()));
        let mut left = state.got().clone();
        assert!(
            take(&mut left, &a.key()) && take(&mut left, &a.key()) && !take(&mut left, &a.key())
        );
        state.taken(&b).unwrap();
        drop(state);
        assert_eq!(State::open(&path).unwrap().got().get(&b.key()), Some(&1));
    }

    #[test]
    fn another_file_is_not_taken_for_a_journal() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("letter");
        std::fs::write(&path, "Dear postmaster\n").unwrap();
        assert!(State::open(&path).is_err());
    }
}
