//! The journal of a move: which message of the old server is which at the new one. Written as the
//! new server confirms, read when the same move is run again, so that an interrupted run goes on
//! and a second one copies only what is new.
//!
//! A text file of lines with tab-separated fields, the first naming the form:
//! `angarium-move 1`, then `box`, source name, source UIDVALIDITY, target name, target UIDVALIDITY,
//! target UIDNEXT before anything was copied, and under it `msg`, source UID, target UID (0 if the
//! target did not tell).

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::{MoveError, Result};

const FIRST_LINE: &str = "angarium-move\t1";

/// One mailbox in both places.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct BoxKey {
    pub(crate) source: String,
    pub(crate) source_validity: u32,
    pub(crate) target: String,
    pub(crate) target_validity: u32,
}

/// What earlier runs left of one mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Earlier {
    /// Source UID to target UID of each confirmed message.
    pub(crate) confirmed: HashMap<u32, u32>,
    /// UIDNEXT of the target before the first run: what is at or above it and not confirmed may
    /// have come from a run that was cut off. `None`: no earlier run.
    pub(crate) first: Option<u32>,
}

/// What an earlier run confirmed, and the file this run adds to.
pub(crate) struct Journal {
    path: Option<PathBuf>,
    file: Option<BufWriter<File>>,
    earlier: HashMap<BoxKey, Earlier>,
    current: Option<BoxKey>,
}

impl Journal {
    /// A journal that remembers nothing.
    pub(crate) fn none() -> Self {
        Self { path: None, file: None, earlier: HashMap::new(), current: None }
    }

    /// Opens or begins the journal at `path`. A torn last line is passed over.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let wrong = |reason: String| MoveError::File { path: path.display().to_string(), reason };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|e| wrong(e.to_string()))?;
        }
        let mut earlier: HashMap<BoxKey, Earlier> = HashMap::new();
        let mut whole = true;
        match File::open(path) {
            Ok(file) => {
                let mut current = None;
                for (n, line) in BufReader::new(file).split(b'\n').enumerate() {
                    let line = line.map_err(|e| wrong(e.to_string()))?;
                    let line = String::from_utf8_lossy(&line);
                    if n == 0 {
                        if line != FIRST_LINE {
                            return Err(wrong("this is not a journal of a move".into()));
                        }
                        continue;
                    }
                    whole = take_line(&line, &mut earlier, &mut current);
                }
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(wrong(e.to_string())),
        }
        let fresh = !path.exists();
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map_err(|e| wrong(e.to_string()))?;
        let mut journal = Self {
            path: Some(path.to_owned()),
            file: Some(BufWriter::new(file)),
            earlier,
            current: None,
        };
        if fresh {
            journal.line(FIRST_LINE)?;
        } else if !whole {
            journal.line("")?;
        }
        Ok(journal)
    }

    /// Begins a mailbox whose target has this UIDNEXT; answers what earlier runs left of it.
    pub(crate) fn begin(&mut self, key: BoxKey, uid_next: u32) -> Result<Earlier> {
        let earlier = self.earlier.remove(&key).unwrap_or_default();
        let line = format!(
            "box\t{}\t{}\t{}\t{}\t{}",
            escaped(&key.source),
            key.source_validity,
            escaped(&key.target),
            key.target_validity,
            earlier.first.unwrap_or(uid_next)
        );
        self.line(&line)?;
        self.current = Some(key);
        Ok(earlier)
    }

    /// Records confirmed messages of the mailbox begun last.
    pub(crate) fn confirmed(&mut self, pairs: &[(u32, u32)]) -> Result<()> {
        if self.file.is_none() {
            return Ok(());
        }
        for (source, target) in pairs {
            self.raw(&format!("msg\t{source}\t{target}\n"))?;
        }
        self.flush()
    }

    fn line(&mut self, text: &str) -> Result<()> {
        self.raw(&format!("{text}\n"))?;
        self.flush()
    }

    fn raw(&mut self, text: &str) -> Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let written = file.write_all(text.as_bytes());
        self.judged(written)
    }

    fn flush(&mut self) -> Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let flushed = file.flush();
        self.judged(flushed)
    }

    fn judged(&self, done: std::io::Result<()>) -> Result<()> {
        let path = self.path.as_deref().unwrap_or(Path::new("")).display().to_string();
        done.map_err(|e| MoveError::File { path, reason: e.to_string() })
    }
}

/// Reads one line; false if it is torn or unknown.
fn take_line(
    line: &str,
    earlier: &mut HashMap<BoxKey, Earlier>,
    current: &mut Option<BoxKey>,
) -> bool {
    let fields: Vec<&str> = line.split('\t').collect();
    match fields.as_slice() {
        ["box", source, source_validity, target, target_validity, next] => {
            let (Ok(a), Ok(b), Ok(next)) =
                (source_validity.parse(), target_validity.parse(), next.parse())
            else {
                return false;
            };
            let key = BoxKey {
                source: unescaped(source),
                source_validity: a,
                target: unescaped(target),
                target_validity: b,
            };
            earlier.entry(key.clone()).or_default().first.get_or_insert(next);
            *current = Some(key);
            true
        }
        ["msg", source, target] => {
            let (Ok(a), Ok(b), Some(key)) = (source.parse(), target.parse(), &*current) else {
                return false;
            };
            earlier.entry(key.clone()).or_default().confirmed.insert(a, b);
            true
        }
        [""] => true,
        _ => false,
    }
}

fn escaped(name: &str) -> String {
    name.replace('%', "%25").replace('\t', "%09").replace('\n', "%0A").replace('\r', "%0D")
}

fn unescaped(name: &str) -> String {
    name.replace("%0D", "\r").replace("%0A", "\n").replace("%09", "\t").replace("%25", "%")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> BoxKey {
        BoxKey {
            source: name.into(),
            source_validity: 7,
            target: format!("t/{name}"),
            target_validity: 9,
        }
    }

    #[test]
    fn what_was_confirmed_is_known_to_the_next_run() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/journal");
        let mut journal = Journal::open(&path).unwrap();
        assert_eq!(journal.begin(key("a\tb%"), 10).unwrap(), Earlier::default());
        journal.confirmed(&[(1, 10), (2, 11)]).unwrap();
        drop(journal);
        let mut journal = Journal::open(&path).unwrap();
        let earlier = journal.begin(key("a\tb%"), 12).unwrap();
        assert_eq!(earlier.confirmed, HashMap::from([(1, 10), (2, 11)]));
        assert_eq!(earlier.first, Some(10));
        journal.confirmed(&[(3, 12)]).unwrap();
        drop(journal);
        let mut journal = Journal::open(&path).unwrap();
        assert_eq!(journal.begin(key("a\tb%"), 13).unwrap().confirmed.len(), 3);
        let other = BoxKey { target_validity: 10, ..key("a\tb%") };
        assert_eq!(journal.begin(other, 1).unwrap(), Earlier::default());
    }

    #[test]
    fn a_torn_last_line_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut journal = Journal::open(&path).unwrap();
        journal.begin(key("a"), 10).unwrap();
        journal.confirmed(&[(1, 10)]).unwrap();
        drop(journal);
        let mut text = std::fs::read(&path).unwrap();
        text.extend_from_slice(b"msg\t2");
        std::fs::write(&path, text).unwrap();
        let mut journal = Journal::open(&path).unwrap();
        assert_eq!(journal.begin(key("a"), 11).unwrap().confirmed, HashMap::from([(1, 10)]));
        journal.confirmed(&[(2, 11)]).unwrap();
        drop(journal);
        let mut journal = Journal::open(&path).unwrap();
        assert_eq!(journal.begin(key("a"), 12).unwrap().confirmed.len(), 2);
    }

    #[test]
    fn another_file_is_not_taken_for_a_journal() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("letter");
        std::fs::write(&path, "Dear postmaster\n").unwrap();
        assert!(Journal::open(&path).is_err());
    }
}
