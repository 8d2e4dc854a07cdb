//! A manifest: what one side held, one line a message, in a text file that can be kept, compared
//! later and read by people. Knows files, no servers.
//!
//! Lines of tab-separated fields. The first is `angarium-manifest`, the number of the form, and
//! what the digest is of: `content` (SHA-256 of all octets) or `listing` (SHA-256 of the
//! Message-ID, or of size and date where there is none). Then for each mailbox `box`, its name on
//! this side, and the name both sides are joined by (that at the new server); under it for each
//! message `msg`, digest in hexadecimal digits, size, arrival in seconds since 1970 (`-` if not
//! told), flags in one spelling in order of the alphabet, UID. A message that could not be read is
//! `bad`, UID. The last line is `end` and the number of messages: without it the file is torn.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::{MoveError, Result};

/// First word of a manifest, and the number of its form.
const FORM: &str = "angarium-manifest\t1";
/// Longest line read, octets.
const LONGEST_LINE: u64 = 64 * 1024;

/// SHA-256 of a message.
pub type Digest = [u8; 32];

/// What the digests of a manifest are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// All octets of a message.
    Content,
    /// What a listing tells.
    Listing,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Content => "content",
            Self::Listing => "listing",
        }
    }
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its digest.
    pub digest: Digest,
    /// Octets.
    pub size: u64,
    /// INTERNALDATE in seconds since 1970.
    pub date: Option<i64>,
    /// Flags in one spelling, in order of the alphabet, separated by spaces.
    pub flags: String,
    /// UID on this side.
    pub uid: u32,
}

/// One line of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A mailbox begins: its name here, and the name it is joined by.
    Mailbox(String, String),
    /// A message.
    Message(Entry),
    /// A message that could not be read, by UID.
    Unreadable(u32),
}

/// Writes a manifest.
pub struct Writer {
    path: PathBuf,
    out: BufWriter<File>,
    sum: aws_lc_rs::digest::Context,
    messages: u64,
}

impl Writer {
    /// Begins the file, replacing one that is there. Only its owner may read it: it tells what
    /// somebody's mail is.
    ///
    /// # Errors
    /// `File`.
    pub fn create(path: &Path, kind: Kind) -> Result<Self> {
        use std::os::unix::fs::OpenOptionsExt;
        let file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)
            .map_err(|e| wrong(path, &e.to_string()))?;
        let mut writer = Self {
            path: path.to_owned(),
            out: BufWriter::with_capacity(64 * 1024, file),
            sum: aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256),
            messages: 0,
        };
        writer.line(&format!("{FORM}\t{}\n", kind.word()))?;
        Ok(writer)
    }

    /// Adds a line.
    ///
    /// # Errors
    /// `File`.
    pub fn add(&mut self, line: &Line) -> Result<()> {
        let text = match line {
            Line::Mailbox(name, joined) => format!("box\t{}\t{}\n", escaped(name), escaped(joined)),
            Line::Unreadable(uid) => format!("bad\t{uid}\n"),
            Line::Message(entry) => {
                self.messages += 1;
                let date = entry.date.map_or_else(|| "-".to_owned(), |d| d.to_string());
                format!(
                    "msg\t{}\t{}\t{date}\t{}\t{}\n",
                    hex(&entry.digest),
                    entry.size,
                    escaped(&entry.flags),
                    entry.uid
                )
            }
        };
        self.line(&text)
    }

    fn line(&mut self, text: &str) -> Result<()> {
        self.sum.update(text.as_bytes());
        self.out.write_all(text.as_bytes()).map_err(|e| wrong(&self.path, &e.to_string()))
    }

    /// Ends the file and has it on the disk. Answers the SHA-256 of the whole file, in hexadecimal
    /// digits.
    ///
    /// # Errors
    /// `File`.
    pub fn finish(mut self) -> Result<String> {
        self.line(&format!("end\t{}\n", self.messages))?;
        let path = self.path;
        let file = self.out.into_inner().map_err(|e| wrong(&path, &e.to_string()))?;
        file.sync_all().map_err(|e| wrong(&path, &e.to_string()))?;
        Ok(hex(self.sum.finish().as_ref()))
    }
}

/// Reads a manifest line by line.
pub struct Reader {
    path: PathBuf,
    lines: BufReader<File>,
    number: u64,
    messages: u64,
    ended: bool,
    /// What the digests are of.
    pub kind: Kind,
}

impl Reader {
    /// Opens a manifest.
    ///
    /// # Errors
    /// `File`, also for a file that is none.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| wrong(path, &e.to_string()))?;
        let mut reader = Self {
            path: path.to_owned(),
            lines: BufReader::with_capacity(64 * 1024, file),
            number: 0,
            messages: 0,
            ended: false,
            kind: Kind::Content,
        };
        let first = reader.text()?.unwrap_or_default();
        reader.kind = match first.strip_prefix(FORM).map(|rest| rest.trim_start_matches('\t')) {
            Some("content") => Kind::Content,
            Some("listing") => Kind::Listing,
            _ => return Err(wrong(path, "this is not a manifest of a move")),
        };
        Ok(reader)
    }

    fn text(&mut self) -> Result<Option<String>> {
        let mut line = Vec::new();
        let mut bounded = std::io::Read::take(&mut self.lines, LONGEST_LINE);
        bounded.read_until(b'\n', &mut line).map_err(|e| wrong(&self.path, &e.to_string()))?;
        self.number += 1;
        if line.is_empty() {
            return Ok(None);
        }
        if line.pop() != Some(b'\n') {
            return Err(self.torn());
        }
        Ok(Some(String::from_utf8_lossy(&line).into_owned()))
    }

    fn torn(&self) -> MoveError {
        wrong(&self.path, &format!("line {} is torn; the manifest is not whole", self.number))
    }

    /// The next line, `None` after the last.
    ///
    /// # Errors
    /// `File`, also when the manifest is torn or damaged.
    pub fn next_line(&mut self) -> Result<Option<Line>> {
        if self.ended {
            return Ok(None);
        }
        let Some(text) = self.text()? else { return Err(self.torn()) };
        let line = parsed(&text).ok_or_else(|| {
            wrong(&self.path, &format!("line {} cannot be understood", self.number))
        })?;
        match line {
            Some(line) => {
                self.messages += u64::from(matches!(line, Line::Message(_)));
                Ok(Some(line))
            }
            None if text == format!("end\t{}", self.messages) => {
                self.ended = true;
                Ok(None)
            }
            None => Err(wrong(&self.path, "the number of messages at the end is another")),
        }
    }
}

/// One line; the inner `None` is the line of the end.
#[expect(clippy::option_option, reason = "nonsense, the end, a line")]
fn parsed(text: &str) -> Option<Option<Line>> {
    let mut fields = text.split('\t');
    Some(Some(match fields.next()? {
        "box" => Line::Mailbox(plain(fields.next()?), plain(fields.next()?)),
        "bad" => Line::Unreadable(fields.next()?.parse().ok()?),
        "msg" => Line::Message(Entry {
            digest: unhex(fields.next()?)?,
            size: fields.next()?.parse().ok()?,
            date: match fields.next()? {
                "-" => None,
                number => Some(number.parse().ok()?),
            },
            flags: plain(fields.next()?),
            uid: fields.next()?.parse().ok()?,
        }),
        "end" => return Some(None),
        _ => return None,
    }))
}

fn wrong(path: &Path, reason: &str) -> MoveError {
    MoveError::File { path: path.display().to_string(), reason: reason.to_owned() }
}

/// Bytes in hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |n: u8| DIGITS.get(usize::from(n)).copied().map_or('0', char::from);
    bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()
}

fn unhex(text: &str) -> Option<Digest> {
    let text = text.as_bytes();
    if text.len() != 64 {
        return None;
    }
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(text.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(digest)
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r")
}

fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        out.push(match character {
            '\\' => match characters.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some(other) => other,
                None => '\\',
            },
            other => other,
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(n: u8) -> Entry {
        Entry {
            digest: [n; 32],
            size: 7,
            date: (n > 1).then_some(-5),
            flags: "\\seen a\\b".into(),
            uid: u32::from(n),
        }
    }

    #[test]
    fn what_is_written_is_read_and_torn_files_are_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("manifest");
        let lines = [
            Line::Mailbox("a\tb".into(), "c\\n\n".into()),
            Line::Message(entry(1)),
            Line::Unreadable(9),
            Line::Message(entry(2)),
        ];
        let mut writer = Writer::create(&path, Kind::Listing).unwrap();
        for line in &lines {
            writer.add(line).unwrap();
        }
        let sum = writer.finish().unwrap();
        assert_eq!(sum.len(), 64);
        let mut reader = Reader::open(&path).unwrap();
        assert_eq!(reader.kind, Kind::Listing);
        for line in lines {
            assert_eq!(reader.next_line().unwrap(), Some(line));
        }
        assert_eq!(reader.next_line().unwrap(), None);
        let whole = std::fs::read(&path).unwrap();
        for cut in [whole.len() - 1, whole.len() - 6, 60] {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let mut reader = Reader::open(&path).unwrap();
            let mut all = std::iter::from_fn(|| reader.next_line().transpose()).take(100);
            assert!(all.any(|line| line.is_err()), "{cut}");
        }
        std::fs::write(&path, "Dear postmaster\n").unwrap();
        assert!(Reader::open(&path).is_err());
    }
}
