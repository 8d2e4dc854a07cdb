//! The lines of a file from elsewhere, one at a time however large the file is: any encoding of
//! `objects::import::encoding`, any line end.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::Path;

use angarium_message::decode;
use angarium_objects::import::encoding::{Detector, Encoding, LineGatherer};

/// Octets looked at in one piece.
const PIECE: usize = 64 * 1024;

/// An open file.
pub(super) struct Lines {
    reader: BufReader<File>,
    encoding: Encoding,
    /// The charset that the file is said to be in; a mark of UTF-16 counts more.
    charset: Option<String>,
    /// About how many lines the file has.
    pub(super) expected: u64,
    gatherer: LineGatherer,
}

/// A line: its number from 1, and its text, or `None` when it is longer than `objects::import::MAX_LINE`.
pub(super) type Line = (u64, Option<String>);

impl Lines {
    /// Opens a file and finds out how it is encoded, by reading it through once.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Self::open_in(path, None)
    }

    /// Opens a file that somebody says is in this charset, where it is not UTF-16 by its mark.
    pub(super) fn open_in(path: &Path, charset: Option<&str>) -> io::Result<Self> {
        if let Some(label) = charset.filter(|label| !decode::knows_charset(label.as_bytes())) {
            return Err(io::Error::other(format!("the charset {label} is not known")));
        }
        let named =
            |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        // Looked at before it is opened: opening a pipe would wait for its other end.
        if !std::fs::metadata(path).map_err(named)?.is_file() {
            return Err(io::Error::other(format!("{}: this is not a file", path.display())));
        }
        let mut file = File::open(path).map_err(named)?;
        let mut detector = Detector::default();
        let mut piece = vec![0; PIECE];
        loop {
            match file.read(&mut piece) {
                Ok(0) => break,
                Ok(n) => detector.feed(piece.get(..n).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(named(error)),
            }
        }
        file.rewind().map_err(named)?;
        let encoding = detector.encoding();
        Ok(Self {
            reader: BufReader::with_capacity(PIECE, file),
            encoding,
            charset: charset.filter(|_| encoding.unit() == 1).map(str::to_owned),
            expected: detector.lines(),
            gatherer: LineGatherer::new(encoding),
        })
    }

    /// What is to be said of the file's encoding.
    pub(super) fn remark(&self) -> Option<&'static str> {
        if self.charset.is_some() { None } else { self.encoding.remark() }
    }

    /// One unit of the encoding; `None` at the end. Half a unit at the end is no unit.
    fn unit(&mut self) -> io::Result<Option<[u8; 2]>> {
        let mut unit = [0; 2];
        let Some(wanted) = unit.get_mut(..self.encoding.unit()) else { return Ok(None) };
        match self.reader.read_exact(wanted) {
            Ok(()) => Ok(Some(unit)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn text(&self, line: &[u8]) -> String {
        let Some(label) = &self.charset else { return self.encoding.text(line) };
        let text = decode::charset(Some(label.as_bytes()), line);
        text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned()
    }

    /// The next line; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Line>> {
        let width = self.encoding.unit();
        while let Some(unit) = self.unit()? {
            if let Some((number, line)) = self.gatherer.take(unit.get(..width).unwrap_or_default())
            {
                return Ok(Some((number, line.map(|line| self.text(&line)))));
            }
        }
        let last = self.gatherer.end();
        Ok(last.map(|(number, line)| (number, line.map(|line| self.text(&line)))))
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
        while let Some((number, line)) = lines.next().unwrap() {
            assert_eq!(number as usize, all.len() + 1);
            all.push(line);
        }
        all
    }

    fn some(texts: &[&str]) -> Vec<Option<String>> {
        texts.iter().map(|text| Some((*text).to_owned())).collect()
    }

    // ABU-67
    #[test]
    fn abu_67_lines_end_as_they_did_where_they_come_from() {
        assert_eq!(lines(b"a\nb\r\nc\rd\n\ne"), some(&["a", "b", "c", "d", "", "e"]));
        assert_eq!(lines(b""), some(&[]));
        assert_eq!(lines(b"\n\r\n"), some(&["", ""]));
        assert_eq!(lines("\u{feff}Name\r\nJ\u{f6}rg".as_bytes()), some(&["Name", "J\u{f6}rg"]));
        assert_eq!(lines(b"J\xf6rg\nx"), some(&["J\u{f6}rg", "x"]));
        let text: Vec<u8> =
            "\u{feff}Name\r\nJ\u{f6}\u{10d}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(lines(&text), some(&["Name", "J\u{f6}\u{10d}"]));
        // Half a character at the end of the file.
        assert_eq!(lines(b"\xfe\xff\0a\0\n\0b\0"), some(&["a", "b"]));
    }

    // ABU-67
    #[test]
    fn abu_67_a_file_is_read_in_the_charset_that_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("list");
        std::fs::write(&path, b"M\x9fller\r").unwrap();
        let mut lines = Lines::open_in(&path, Some("macintosh")).unwrap();
        assert_eq!(lines.next().unwrap(), Some((1, Some("M\u{fc}ller".to_owned()))));
        assert!(Lines::open_in(&path, Some("klingon")).is_err());
    }

    #[test]
    fn abu_67_a_line_without_an_end_takes_no_memory() {
        let mut long = vec![b'x'; 3 * MAX_LINE];
        long.extend_from_slice(b"\nshort\n");
        assert_eq!(lines(&long), [None, Some("short".to_owned())]);
        let directory = tempfile::tempdir().unwrap();
        assert!(Lines::open(directory.path()).is_err());
        assert!(Lines::open(Path::new("/dev/zero")).is_err());
    }
}
