//! How a text file from elsewhere is encoded: UTF-8, UTF-16 with its mark as spreadsheets write
//! it, or, where it is neither, ISO-8859-1; and where its lines end. Looks at bytes in pieces, so that
//! no file need fit into memory.

use super::MAX_LINE;

/// What a line feed and a carriage return are in every encoding.
const FEED: u16 = 10;
const RETURN: u16 = 13;

/// An encoding of text files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8, with or without a mark.
    Utf8,
    /// ISO-8859-1: the last resort, any bytes are text in it.
    Latin1,
    /// UTF-16, the low byte first, by its mark FF FE.
    Utf16Le,
    /// UTF-16, the high byte first, by its mark FE FF.
    Utf16Be,
}

impl Encoding {
    /// Bytes of a unit: 1 or 2. A line ends at a unit.
    #[must_use]
    pub const fn unit(self) -> usize {
        match self {
            Self::Utf8 | Self::Latin1 => 1,
            Self::Utf16Le | Self::Utf16Be => 2,
        }
    }

    /// The value of one unit.
    #[must_use]
    pub fn value(self, unit: &[u8]) -> u16 {
        match (self, unit) {
            (Self::Utf16Le, [low, high]) => u16::from_le_bytes([*low, *high]),
            (Self::Utf16Be, [high, low]) => u16::from_be_bytes([*high, *low]),
            (_, [byte, ..]) => u16::from(*byte),
            (_, []) => 0,
        }
    }

    /// A line's bytes as text; what cannot be text becomes U+FFFD. A mark at the beginning goes.
    #[must_use]
    pub fn text(self, line: &[u8]) -> String {
        let text = match self {
            Self::Utf8 => String::from_utf8_lossy(line).into_owned(),
            Self::Latin1 => line.iter().copied().map(char::from).collect(),
            Self::Utf16Le | Self::Utf16Be => {
                let units = line.chunks_exact(2).map(|unit| self.value(unit));
                char::decode_utf16(units).map(|c| c.unwrap_or('\u{fffd}')).collect()
            }
        };
        match text.strip_prefix('\u{feff}') {
            Some(rest) => rest.to_owned(),
            None => text,
        }
    }

    /// What is said of a file that is not UTF-8.
    #[must_use]
    pub const fn remark(self) -> Option<&'static str> {
        match self {
            Self::Utf8 => None,
            Self::Latin1 => Some("the file is not UTF-8 and was read as ISO-8859-1"),
            Self::Utf16Le | Self::Utf16Be => Some("the file was read as UTF-16, by its mark"),
        }
    }
}

/// A line: its number from 1, and its bytes without the end, or `None` when it has more than
/// [`MAX_LINE`].
pub type LineBytes = (u64, Option<Vec<u8>>);

/// Gathers the lines of a file that is shown to it unit by unit: they end with a line feed, a
/// carriage return, or both.
#[derive(Clone, Debug)]
pub struct LineGatherer {
    encoding: Encoding,
    line: Vec<u8>,
    any: bool,
    long: bool,
    after_return: bool,
    number: u64,
}

impl LineGatherer {
    /// At the beginning of a file.
    #[must_use]
    pub const fn new(encoding: Encoding) -> Self {
        Self { encoding, line: Vec::new(), any: false, long: false, after_return: false, number: 0 }
    }

    /// Takes one unit of the encoding; the line that ends with it, if one does.
    pub fn take(&mut self, unit: &[u8]) -> Option<LineBytes> {
        let value = self.encoding.value(unit);
        if std::mem::take(&mut self.after_return) && value == FEED {
            return None;
        }
        self.any = true;
        if value == FEED || value == RETURN {
            self.after_return = value == RETURN;
            return self.end();
        }
        if self.line.len() < MAX_LINE {
            self.line.extend_from_slice(unit);
        } else {
            self.long = true;
        }
        None
    }

    /// The line that the end of the file ends, if there is one.
    pub fn end(&mut self) -> Option<LineBytes> {
        if !std::mem::take(&mut self.any) {
            return None;
        }
        self.number += 1;
        let line = std::mem::take(&mut self.line);
        Some((self.number, (!std::mem::take(&mut self.long)).then_some(line)))
    }
}

/// Finds the encoding of a file that is shown to it piece by piece.
#[derive(Clone, Debug, Default)]
pub struct Detector {
    /// The first bytes, for the mark.
    first: Vec<u8>,
    /// The last bytes of the piece before, when a character is cut in two there.
    cut: Vec<u8>,
    not_utf8: bool,
    lines: u64,
    after_return: bool,
}

impl Detector {
    /// Looks at the next piece of the file.
    pub fn feed(&mut self, piece: &[u8]) {
        let missing = 2_usize.saturating_sub(self.first.len());
        self.first.extend(piece.iter().take(missing));
        for byte in piece {
            if *byte == b'\r' || (*byte == b'\n' && !self.after_return) {
                self.lines += 1;
            }
            self.after_return = *byte == b'\r';
        }
        if self.not_utf8 {
            return;
        }
        self.cut.extend_from_slice(piece);
        let bytes = std::mem::take(&mut self.cut);
        if let Err(error) = std::str::from_utf8(&bytes) {
            match error.error_len() {
                Some(_) => self.not_utf8 = true,
                None => {
                    self.cut = bytes.get(error.valid_up_to()..).unwrap_or_default().to_vec();
                }
            }
        }
    }

    /// Line ends seen, for people who want to know how long it takes: an estimate where the file
    /// is UTF-16.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// The encoding, after the last piece.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        match self.first.as_slice() {
            [0xFF, 0xFE] => Encoding::Utf16Le,
            [0xFE, 0xFF] => Encoding::Utf16Be,
            _ if self.not_utf8 || !self.cut.is_empty() => Encoding::Latin1,
            _ => Encoding::Utf8,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detected(bytes: &[u8], piece: usize) -> Encoding {
        let mut detector = Detector::default();
        bytes.chunks(piece).for_each(|piece| detector.feed(piece));
        detector.encoding()
    }

    // ABU-67
    #[test]
    fn the_encoding_of_a_file_is_found_however_it_is_cut() {
        for piece in 1..9 {
            assert_eq!(detected("Name\tMüller\t漢\r\n".as_bytes(), piece), Encoding::Utf8);
            assert_eq!(detected(b"Name\nM\xfcller\n", piece), Encoding::Latin1);
            assert_eq!(detected(b"cut \xe6\xbc", piece), Encoding::Latin1);
            assert_eq!(detected(b"\xff\xfeN\0", piece), Encoding::Utf16Le);
            assert_eq!(detected(b"\xfe\xff\0N", piece), Encoding::Utf16Be);
        }
        assert_eq!(detected(b"", 1), Encoding::Utf8);
        let mut detector = Detector::default();
        detector.feed(b"a\r\nb\rc\n\nd\r");
        detector.feed(b"\n");
        assert_eq!(detector.lines(), 5);
    }

    // ABU-67
    #[test]
    fn abu_67_lines_end_in_any_way_and_take_no_more_than_they_may() {
        let gathered = |encoding: Encoding, bytes: &[u8]| {
            let mut gatherer = LineGatherer::new(encoding);
            let mut all: Vec<LineBytes> =
                bytes.chunks(encoding.unit()).filter_map(|unit| gatherer.take(unit)).collect();
            all.extend(gatherer.end());
            assert!(all.iter().zip(1..).all(|((number, _), wanted)| *number == wanted));
            all.into_iter().map(|(_, line)| line).collect::<Vec<_>>()
        };
        let some = |lines: &[&[u8]]| lines.iter().map(|l| Some(l.to_vec())).collect::<Vec<_>>();
        let utf8 = |bytes: &[u8]| gathered(Encoding::Utf8, bytes);
        assert_eq!(utf8(b"a\nb\r\nc\rd\n\ne"), some(&[b"a", b"b", b"c", b"d", b"", b"e"]));
        assert_eq!(utf8(b""), some(&[]));
        assert_eq!(utf8(b"\n\r\n"), some(&[b"", b""]));
        assert_eq!(gathered(Encoding::Utf16Le, b"a\0\r\0\n\0b\0"), some(&[b"a\0", b"b\0"]));
        let long = [vec![b'x'; 2 * MAX_LINE], b"\nshort".to_vec()].concat();
        assert_eq!(utf8(&long), [None, Some(b"short".to_vec())]);
    }

    #[test]
    fn a_line_is_decoded_and_its_mark_goes() {
        assert_eq!(Encoding::Utf8.text("\u{feff}Näme".as_bytes()), "Näme");
        assert_eq!(Encoding::Latin1.text(b"M\xfcller"), "Müller");
        assert_eq!(Encoding::Utf16Le.text(b"\xff\xfeN\0\xe4\0"), "Nä");
        assert_eq!(Encoding::Utf16Be.text(b"\0N\xd8\x00"), "N\u{fffd}");
    }
}
