//! The lines of a list, one at a time however large the file is: any encoding of
//! `objects::import::encoding`, any line end, a bound on the length of a line.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Seek};
use std::path::{Path, PathBuf};

use angarium_objects::import::encoding::{Detector, Encoding, LineGatherer};

use crate::error::{MoveError, Result};

/// Octets looked at in one piece.
const PIECE: usize = 64 * 1024;

/// An open list.
pub(crate) struct Lines {
    path: PathBuf,
    reader: BufReader<File>,
    encoding: Encoding,
    expected: u64,
    gatherer: LineGatherer,
}

/// A line: its number from 1, and its text or `None` if it is longer than `objects::import::MAX_LINE`.
pub(crate) type Line = (u64, Option<String>);

impl Lines {
    /// Opens a list and reads it through once to find its encoding and how many lines it has.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let wrong = |reason: String| MoveError::File { path: path.display().to_string(), reason };
        // Looked at before it is opened: opening a pipe would wait for its other end.
        let facts = std::fs::metadata(path).map_err(|e| wrong(e.to_string()))?;
        if !facts.is_file() {
            return Err(wrong("this is not a file".into()));
        }
        let mut file = File::open(path).map_err(|e| wrong(e.to_string()))?;
        let mut detector = Detector::default();
        let mut piece = vec![0; PIECE];
        loop {
            match file.read(&mut piece) {
                Ok(0) => break,
                Ok(n) => detector.feed(piece.get(..n).unwrap_or_default()),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(wrong(e.to_string())),
            }
        }
        file.rewind().map_err(|e| wrong(e.to_string()))?;
        let encoding = detector.encoding();
        Ok(Self {
            path: path.to_owned(),
            reader: BufReader::with_capacity(PIECE, file),
            encoding,
            expected: detector.lines(),
            gatherer: LineGatherer::new(encoding),
        })
    }

    /// About how many lines there are.
    pub(crate) fn expected(&self) -> u64 {
        self.expected
    }

    /// What is to be said of the file's encoding.
    pub(crate) fn remark(&self) -> Option<&'static str> {
        self.encoding.remark()
    }

    fn unit(&mut self) -> Result<Option<[u8; 2]>> {
        let mut unit = [0; 2];
        let Some(wanted) = unit.get_mut(..self.encoding.unit()) else { return Ok(None) };
        match self.reader.read_exact(wanted) {
            Ok(()) => Ok(Some(unit)),
            Err(e) if e.kind() == ErrorKind::UnexpectedEof => Ok(None),
            Err(e) => {
                let path = self.path.display().to_string();
                Err(MoveError::File { path, reason: e.to_string() })
            }
        }
    }

    /// The next line; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Line>> {
        let width = self.encoding.unit();
        while let Some(unit) = self.unit()? {
            if let Some((number, line)) = self.gatherer.take(unit.get(..width).unwrap_or_default())
            {
                return Ok(Some((number, line.map(|line| self.encoding.text(&line)))));
            }
        }
        let last = self.gatherer.end();
        Ok(last.map(|(number, line)| (number, line.map(|line| self.encoding.text(&line)))))
    }
}

#[cfg(test)]
mod tests {
    use angarium_objects::import::MAX_LINE;

    use super::*;

    fn lines(bytes: &[u8]) -> Vec<Option<String>> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("list");
        std::fs::write(&path, bytes).unwrap();
        let mut lines = Lines::open(&path).unwrap();
        let mut all = Vec::new();
        while let Some((_, line)) = lines.next().unwrap() {
            all.push(line);
        }
        all
    }

    #[test]
    fn abu_67_any_line_end_any_encoding_and_no_line_without_bound() {
        let some = |texts: &[&str]| texts.iter().map(|t| Some((*t).to_owned())).collect::<Vec<_>>();
        assert_eq!(lines(b"a\nb\r\nc\rd\n\ne"), some(&["a", "b", "c", "d", "", "e"]));
        assert_eq!(lines("\u{feff}Name\r\nJ\u{f6}".as_bytes()), some(&["Name", "J\u{f6}"]));
        assert_eq!(lines(b"J\xf6rg\nx"), some(&["J\u{f6}rg", "x"]));
        let wide: Vec<u8> = "\u{feff}a\r\nb".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(lines(&wide), some(&["a", "b"]));
        let long = [vec![b'x'; MAX_LINE + 1], b"\nshort".to_vec()].concat();
        assert_eq!(lines(&long), [None, Some("short".to_owned())]);
        assert!(Lines::open(Path::new("/dev/zero")).is_err());
    }
}
