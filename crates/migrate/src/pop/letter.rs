//! One message on its way from a POP server: kept in memory while it is small, in a nameless file
//! of the temporary directory when it is not, and what a look at its octets told. Knows no protocol.

use std::io::{Read, Seek, SeekFrom, Write};

use tempfile::SpooledTempFile;

use crate::error::{MoveError, Result};

/// A message up to this size stays in memory, octets.
const IN_MEMORY: usize = 1024 * 1024;
/// So much of the header is looked at, octets.
const HEAD: usize = 64 * 1024;
/// Longest line that every server must take, line end not counted (RFC 5321 section 4.5.3.1.6).
const LONGEST_LINE: u64 = 998;
/// Longest text of a header field in a report, characters.
const MAX_SHOWN: usize = 120;

/// What stands in a message, as far as it matters for its way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Octets.
    pub(crate) size: u64,
    /// Octets above 127.
    pub(crate) eight_bit: bool,
    /// NUL octets.
    pub(crate) nul: bool,
    /// CR or LF standing alone.
    pub(crate) bare_line_ends: bool,
    /// Octets of the longest line.
    pub(crate) longest_line: u64,
    /// The header or the beginning of it.
    head: Vec<u8>,
    head_ended: bool,
    line: u64,
    after_cr: bool,
}

impl Facts {
    /// Looks at the next octets.
    fn push(&mut self, octets: &[u8]) {
        self.size += octets.len() as u64;
        self.eight_bit |= !octets.is_ascii();
        for byte in octets {
            match (*byte, self.after_cr) {
                (b'\n', after_cr) => {
                    self.bare_line_ends |= !after_cr;
                    self.head_ended |= self.line == 0;
                    self.longest_line = self.longest_line.max(self.line);
                    self.line = 0;
                }
                (other, after_cr) => {
                    self.bare_line_ends |= after_cr;
                    self.nul |= other == 0;
                    self.line += u64::from(other != b'\r');
                }
            }
            self.after_cr = *byte == b'\r';
            if !self.head_ended && self.head.len() < HEAD {
                self.head.push(*byte);
            }
        }
        self.longest_line = self.longest_line.max(self.line);
    }

    /// True for what only BINARYMIME carries without a change (RFC 3030).
    pub(crate) fn is_binary(&self) -> bool {
        self.nul || self.bare_line_ends || self.after_cr || self.longest_line > LONGEST_LINE
    }

    /// What a server without BINARYMIME may do to the message; `None` when nothing.
    pub(crate) fn trouble(&self) -> Option<String> {
        let mut all = Vec::new();
        if self.nul {
            all.push("holds NUL octets, which the new server may drop".to_owned());
        }
        if self.bare_line_ends || self.after_cr {
            all.push("has line ends other than CRLF, which were made CRLF".to_owned());
        }
        if self.longest_line > LONGEST_LINE {
            all.push(format!(
                "has a line of {} octets, which the new server may break",
                self.longest_line
            ));
        }
        (!all.is_empty()).then(|| all.join("; "))
    }

    /// The first field of this name, unfolded, without spaces around it.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let head = String::from_utf8_lossy(&self.head);
        let mut lines = head.split('\n').map(|line| line.trim_end_matches('\r'));
        let mut value = lines.by_ref().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.trim_end().eq_ignore_ascii_case(name).then(|| value.to_owned())
        })?;
        for more in lines.take_while(|line| line.starts_with([' ', '\t'])) {
            value.push_str(more);
        }
        Some(value.trim().to_owned())
    }

    /// How a person finds this message: sender, subject, date.
    pub(crate) fn shown(&self) -> String {
        let part = |name: &str| {
            let value = self.field(name)?;
            let text: String = value
                .chars()
                .take(MAX_SHOWN)
                .map(|c| if c.is_control() { '?' } else { c })
                .collect();
            Some(format!("{name}: {text}"))
        };
        let parts: Vec<String> = ["From", "Subject", "Date"].into_iter().filter_map(part).collect();
        parts.join(", ")
    }
}

/// See the module text.
pub(crate) struct Letter {
    spool: SpooledTempFile,
    digest: blake3::Hasher,
    pub(crate) facts: Facts,
}

fn file_error(e: &std::io::Error) -> MoveError {
    let path = std::env::temp_dir().display().to_string();
    MoveError::File { path, reason: format!("no room for a message on its way: {e}") }
}

impl Letter {
    pub(crate) fn new() -> Self {
        let spool = SpooledTempFile::new(IN_MEMORY);
        Self { spool, digest: blake3::Hasher::new(), facts: Facts::default() }
    }

    /// The next octets.
    pub(crate) fn push(&mut self, octets: &[u8]) -> Result<()> {
        self.facts.push(octets);
        self.digest.update(octets);
        self.spool.write_all(octets).map_err(|e| file_error(&e))
    }

    /// Digest of all octets so far.
    pub(crate) fn digest(&self) -> blake3::Hash {
        self.digest.finalize()
    }

    /// From now on [`Letter::read`] begins at the first octet.
    pub(crate) fn rewind(&mut self) -> Result<()> {
        self.spool.seek(SeekFrom::Start(0)).map_err(|e| file_error(&e)).map(|_| ())
    }

    /// Reads on; 0 at the end.
    pub(crate) fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        self.spool.read(into).map_err(|e| file_error(&e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(text: &[u8], step: usize) -> Facts {
        let mut letter = Letter::new();
        for piece in text.chunks(step) {
            letter.push(piece).unwrap();
        }
        letter.facts
    }

    #[test]
    fn what_stands_in_a_message_is_seen_however_it_comes() {
        for step in [1, 2, 5, 100] {
            let plain = facts(b"Subject: a\r\n b\r\nX: y\r\n\r\nbody\r\n", step);
            assert!(!plain.is_binary() && !plain.eight_bit, "{plain:?}");
            assert_eq!(plain.field("subject").as_deref(), Some("a b"));
            assert_eq!(plain.field("body"), None);
            assert_eq!(plain.trouble(), None);
            assert!(facts(b"a\nb\r\n", step).bare_line_ends);
            assert!(facts(b"a\rb\r\n", step).bare_line_ends);
            assert!(facts(b"a\r\n\0", step).nul);
            assert!(facts("ä".as_bytes(), step).eight_bit);
            assert!(facts(b"ends with\r", step).is_binary());
        }
        let long = [vec![b'x'; 999], b"\r\n".to_vec()].concat();
        assert_eq!(facts(&long, 64).longest_line, 999);
        assert!(facts(&long, 64).is_binary());
        assert!(!facts(&long[1..], 64).is_binary());
    }

    #[test]
    fn a_large_message_is_read_again_from_a_file() {
        let mut letter = Letter::new();
        let text = vec![b'x'; IN_MEMORY * 2 + 7];
        letter.push(&text).unwrap();
        for _ in 0..2 {
            letter.rewind().unwrap();
            let (mut all, mut piece) = (0, vec![0; 4096]);
            loop {
                let count = letter.read(&mut piece).unwrap();
                if count == 0 {
                    break;
                }
                all += count;
            }
            assert_eq!(all, text.len());
        }
    }
}
