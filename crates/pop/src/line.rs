//! Cutting a stream of bytes into lines, with a limit that cannot be argued with. It must never
//! know what the lines mean.

use memchr::memchr;

/// Octets of one over-long line that are thrown away before the connection is given up.
pub const MAX_SKIPPED: usize = 2 * 1024 * 1024;

/// Received bytes that are not yet cut into lines.
#[derive(Debug, Default)]
pub struct LineBuffer {
    data: Vec<u8>,
    /// Where the first unread byte is.
    start: usize,
    /// Bytes from `start` already known to hold no LF.
    scanned: usize,
    /// Octets of the present over-long line thrown away so far; `None` when not in one.
    skipping: Option<usize>,
}

/// What the buffer holds next. Ranges are for [`LineBuffer::bytes`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A whole line, its end (LF or CRLF) taken off.
    Whole(Vec<u8>),
    /// A line longer than the limit; told once, the rest of it is skipped.
    TooLong,
    /// A line so long that the connection should be given up.
    Flood,
    /// No whole line yet.
    Incomplete,
}

impl LineBuffer {
    /// Adds received bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 && (self.start == self.data.len() || self.start >= 16 * 1024) {
            self.data.drain(..self.start);
            self.start = 0;
        }
        self.data.extend_from_slice(bytes);
    }

    /// Throws away everything received so far (before TLS starts, at the end).
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Octets received and not read yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.data.len().saturating_sub(self.start)
    }

    /// True when everything received has been read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The unread bytes, for a part of the protocol that has no lines.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.data.get(self.start..).unwrap_or(&[])
    }

    /// Marks `count` unread bytes as read.
    pub fn consume(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.data.len());
        self.scanned = 0;
        if self.start == self.data.len() {
            self.data.clear();
            self.start = 0;
            // A long line or a large piece should not cost memory for the rest of a session.
            if self.data.capacity() > 32 * 1024 {
                self.data = Vec::new();
            }
        }
    }

    /// The next line if it is whole and at most `limit` octets (CR counted, LF not), without
    /// reading it. Its second value is what [`LineBuffer::consume`] takes to read it.
    #[must_use]
    pub fn peek(&self, limit: usize) -> Option<(&[u8], usize)> {
        if self.skipping.is_some() {
            return None;
        }
        let unread = self.bytes();
        let end = memchr(b'\n', unread)?;
        let line = unread.get(..end).filter(|line| line.len() <= limit)?;
        Some((line.strip_suffix(b"\r").unwrap_or(line), end + 1))
    }

    /// Reads the next line.
    pub fn next_line(&mut self, limit: usize) -> Line {
        if self.skipping.is_some() && !self.skip() {
            return self.flood_or_incomplete();
        }
        let unread = self.bytes();
        let fresh = unread.get(self.scanned..).unwrap_or(&[]);
        let Some(found) = memchr(b'\n', fresh) else {
            let length = unread.len();
            if length <= limit {
                self.scanned = length;
                return Line::Incomplete;
            }
            self.skipping = Some(length);
            self.consume(length);
            return Line::TooLong;
        };
        let end = self.scanned + found;
        let line = unread.get(..end).unwrap_or(&[]);
        let length = line.len();
        let answer = if length > limit {
            // A line past all bounds is told as any long one, and then the flood.
            self.skipping = (length > MAX_SKIPPED).then_some(length);
            Line::TooLong
        } else {
            Line::Whole(line.strip_suffix(b"\r").unwrap_or(line).to_vec())
        };
        self.consume(end + 1);
        answer
    }

    /// Goes on throwing away an over-long line; true when its end was found.
    fn skip(&mut self) -> bool {
        let skipped = self.skipping.unwrap_or(0);
        match memchr(b'\n', self.bytes()) {
            Some(end) if skipped.saturating_add(end) <= MAX_SKIPPED => {
                self.consume(end + 1);
                self.skipping = None;
                true
            }
            found => {
                let length = found.unwrap_or(self.len());
                self.skipping = Some(skipped.saturating_add(length));
                self.consume(length);
                false
            }
        }
    }

    fn flood_or_incomplete(&self) -> Line {
        if self.skipping.is_some_and(|count| count > MAX_SKIPPED) {
            Line::Flood
        } else {
            Line::Incomplete
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read_all(pieces: &[&[u8]], limit: usize) -> Vec<Line> {
        let mut buffer = LineBuffer::default();
        let mut lines = Vec::new();
        for piece in pieces {
            buffer.push(piece);
            loop {
                match buffer.next_line(limit) {
                    Line::Incomplete => break,
                    line => lines.push(line),
                }
            }
        }
        lines
    }

    #[test]
    fn lines_end_with_crlf_or_bare_lf() {
        let lines = read_all(&[b"one\r\ntwo\nthr", b"ee\r", b"\n\n"], 100);
        let expected: Vec<Line> = ["one", "two", "three", ""]
            .iter()
            .map(|l| Line::Whole(l.as_bytes().to_vec()))
            .collect();
        assert_eq!(lines, expected);
    }

    #[test]
    fn an_over_long_line_is_told_once_and_the_next_is_read() {
        let lines = read_all(&[b"0123456789", b"0123456789\nok\n"], 8);
        assert_eq!(lines, vec![Line::TooLong, Line::Whole(b"ok".to_vec())]);
    }

    #[test]
    fn a_line_without_end_is_given_up_in_bounded_memory() {
        let mut buffer = LineBuffer::default();
        let piece = vec![b'x'; 64 * 1024];
        let mut last = Line::Incomplete;
        for _ in 0..40 {
            buffer.push(&piece);
            last = buffer.next_line(100);
            assert!(buffer.len() <= piece.len());
        }
        assert_eq!(last, Line::Flood);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn any_split_gives_the_same_lines(
            text in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'a')], 0..200),
            cuts in proptest::collection::vec(0usize..200, 0..12),
            limit in 0usize..20,
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(text.len())).collect();
            cuts.push(0);
            cuts.push(text.len());
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|w| &text[w[0]..w[1]]).collect();
            prop_assert_eq!(read_all(&pieces, limit), read_all(&[&text], limit));
        }
    }
}
