//! Multi-line data on the wire: dot-stuffing when sending, taking it away when receiving
//! (RFC 1939 section 3). Both stream. They must never know what a message means, except that
//! [`TopCut`] knows where its header ends.

use memchr::{memchr, memchr2, memmem};

/// Sends message bytes as they are, with a `.` put before every line that begins with one.
///
/// A bare LF counts as a line end here: most clients cut lines there, and to them a line of a
/// single `.` would end the message.
#[derive(Clone, Copy, Debug)]
pub struct DotEncoder {
    line_start: bool,
    after_cr: bool,
}

impl Default for DotEncoder {
    fn default() -> Self {
        Self::new()
    }
}

impl DotEncoder {
    /// At the start of a message.
    #[must_use]
    pub const fn new() -> Self {
        Self { line_start: true, after_cr: false }
    }

    /// Writes the next piece of the message to `out`.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        let Some(&last) = piece.last() else { return };
        out.reserve(piece.len().saturating_add(8));
        if self.line_start && piece.first() == Some(&b'.') {
            out.push(b'.');
        }
        let mut rest = piece;
        while let Some(at) = memmem::find(rest, b"\n.") {
            let (done, left) = rest.split_at(at + 1);
            out.extend_from_slice(done);
            out.push(b'.');
            rest = left;
            // `left` begins with the dot that was just stuffed; it cannot match again.
        }
        out.extend_from_slice(rest);
        self.line_start = last == b'\n';
        self.after_cr = last == b'\r';
    }

    /// Ends the message: an unfinished last line is ended, then comes the line of a single dot.
    pub fn finish(self, out: &mut Vec<u8>) {
        if !self.line_start {
            out.extend_from_slice(if self.after_cr { b"\n" } else { b"\r\n" });
        }
        out.extend_from_slice(b".\r\n");
    }
}

/// Lets the header of a message, the empty line and a number of body lines pass (TOP).
#[derive(Clone, Copy, Debug)]
pub struct TopCut {
    /// Body lines still to pass.
    left: u64,
    in_header: bool,
    /// Octets in the present header line so far, CR not counted, at most 1.
    line_empty: bool,
    done: bool,
}

impl TopCut {
    /// Passes `lines` lines of the body.
    #[must_use]
    pub const fn new(lines: u64) -> Self {
        Self { left: lines, in_header: true, line_empty: true, done: false }
    }

    /// How much of the next piece passes. Less than all of it means the end was found.
    pub fn pass<'a>(&mut self, piece: &'a [u8]) -> &'a [u8] {
        let mut at = 0;
        while !self.done {
            if !self.in_header && self.left == 0 {
                self.done = true;
                break;
            }
            let rest = piece.get(at..).unwrap_or(&[]);
            let Some(end) = memchr(b'\n', rest) else {
                self.line_empty &= rest.iter().all(|&byte| byte == b'\r');
                return piece;
            };
            if self.in_header {
                let line = rest.get(..end).unwrap_or(&[]);
                if self.line_empty && line.iter().all(|&byte| byte == b'\r') {
                    self.in_header = false;
                }
                self.line_empty = true;
            } else {
                self.left -= 1;
            }
            at += end + 1;
        }
        piece.get(..at).unwrap_or(piece)
    }

    /// True when nothing more will pass.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.done || (!self.in_header && self.left == 0)
    }
}

/// What becomes of line ends that are not CRLF.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum LineEnds {
    /// A bare LF becomes CRLF and a bare CR is dropped.
    #[default]
    Made,
    /// They pass as they are.
    Kept,
    /// They pass as they are, and a bare LF is what ends lines.
    Bare,
}

/// Takes the dots away again and finds the end of a message. Only CRLF `.` CRLF ends one.
///
/// From a client (XTND XMIT) a bare LF becomes CRLF and a bare CR is dropped, so that what is passed
/// on has one kind of line end and can never hide a second message. From a server ([`Self::kept`])
/// nothing but dots is changed: NUL, bare CR and LF pass as they are. After a bare LF, which many
/// clients and servers take for a line end, two dots are one there (servers that count it stuff
/// there) and a single one is itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct DotDecoder {
    at: Place,
    ends: LineEnds,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    LineStart,
    /// A dot at the start of a line.
    Dot,
    /// A dot at the start of a line and CR.
    DotCr,
    Text,
    Cr,
    /// Behind a bare LF that is kept.
    AfterLf,
    /// A dot there.
    AfterLfDot,
    End,
}

impl DotDecoder {
    /// At the start of a message that a server sends. `bare`: the server ends its lines with LF
    /// alone, as the line before the message showed.
    #[must_use]
    pub const fn kept(bare: bool) -> Self {
        let ends = if bare { LineEnds::Bare } else { LineEnds::Kept };
        Self { at: Place::LineStart, ends }
    }

    /// Decodes from `input`, writing the message to `out`. Answers how many bytes it has read;
    /// it reads all unless the message ends.
    pub fn push(&mut self, input: &[u8], out: &mut Vec<u8>) -> usize {
        let mut at = 0;
        while self.at != Place::End {
            let Some(&byte) = input.get(at) else { break };
            if self.at == Place::Text {
                let rest = input.get(at..).unwrap_or(&[]);
                let run = memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
                if run > 0 {
                    out.extend_from_slice(rest.get(..run).unwrap_or(&[]));
                    at += run;
                    continue;
                }
            }
            at += 1;
            self.step(byte, out);
        }
        at
    }

    /// True when the line of a single dot has been read.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.at == Place::End
    }

    fn step(&mut self, byte: u8, out: &mut Vec<u8>) {
        self.at = match (self.at, byte) {
            (Place::LineStart, b'.') => Place::Dot,
            (Place::AfterLf, b'.') => Place::AfterLfDot,
            (Place::Dot, b'\r') => Place::DotCr,
            (Place::Dot, b'\n') if self.ends == LineEnds::Bare => Place::End,
            (Place::DotCr, b'\n') => Place::End,
            (Place::DotCr, other) => {
                if self.ends != LineEnds::Made {
                    out.push(b'\r');
                }
                self.plain(Place::Cr, other, out)
            }
            (Place::AfterLfDot, other) => {
                out.push(b'.');
                if other == b'.' { Place::Text } else { self.plain(Place::Text, other, out) }
            }
            (from, other) => self.plain(from, other, out),
        };
    }

    /// A byte that is part of the message.
    fn plain(self, from: Place, byte: u8, out: &mut Vec<u8>) -> Place {
        let made = self.ends == LineEnds::Made;
        match byte {
            b'\n' if made => out.extend_from_slice(b"\r\n"),
            b'\r' if made => {}
            other => out.push(other),
        }
        match byte {
            b'\n' if from == Place::Cr || self.ends == LineEnds::Bare => Place::LineStart,
            b'\n' if made => Place::Text,
            b'\n' => Place::AfterLf,
            b'\r' => Place::Cr,
            _ => Place::Text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encode(pieces: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut encoder = DotEncoder::new();
        for piece in pieces {
            encoder.push(piece, &mut out);
        }
        encoder.finish(&mut out);
        out
    }

    fn decode(pieces: &[&[u8]]) -> (Vec<u8>, bool) {
        let (mut out, mut decoder) = (Vec::new(), DotDecoder::default());
        for piece in pieces {
            decoder.push(piece, &mut out);
        }
        (out, decoder.is_done())
    }

    fn kept(pieces: &[&[u8]], bare: bool) -> (Vec<u8>, bool) {
        let (mut out, mut decoder) = (Vec::new(), DotDecoder::kept(bare));
        for piece in pieces {
            decoder.push(piece, &mut out);
        }
        (out, decoder.is_done())
    }

    fn top(pieces: &[&[u8]], lines: u64) -> Vec<u8> {
        let mut cut = TopCut::new(lines);
        pieces.iter().flat_map(|piece| cut.pass(piece).to_vec()).collect()
    }

    #[test]
    fn a_line_that_begins_with_a_dot_gets_another() {
        assert_eq!(encode(&[b".a\r\n..\r\nb.\r\n"]), b"..a\r\n...\r\nb.\r\n.\r\n");
        assert_eq!(encode(&[b"no end"]), b"no end\r\n.\r\n");
        assert_eq!(encode(&[b"cr\r"]), b"cr\r\n.\r\n");
        assert_eq!(encode(&[b""]), b".\r\n");
    }

    #[test]
    fn a_dot_after_a_bare_lf_cannot_end_the_message() {
        assert_eq!(encode(&[b"a\n.\nb\r\n"]), b"a\n..\nb\r\n.\r\n");
    }

    #[test]
    fn only_crlf_dot_crlf_ends_a_received_message() {
        assert_eq!(
            decode(&[b"a\n.\n.\r\r\n.\nb\r\n..c\r\n.\r\nrest"]).0,
            b"a\r\n.\r\n.\r\n\r\nb\r\n.c\r\n"
        );
        assert!(!decode(&[b"a\n.\n"]).1);
        assert!(decode(&[b".\r\n"]).1);
    }

    #[test]
    fn nothing_but_dots_is_changed_of_what_a_server_sends() {
        let (out, done) = kept(&[b"a\rb\n\0\r\r\n..x\r\n...\r\n.\r\nrest"], false);
        assert_eq!((out.as_slice(), done), (&b"a\rb\n\0\r\r\n.x\r\n..\r\n"[..], true));
        assert!(!kept(&[b"a\n.\nb"], false).1);
        assert!(!kept(&[b"a\n.\r\n"], false).1);
    }

    #[test]
    fn a_server_of_bare_lines_is_understood() {
        assert_eq!(kept(&[b"a\n..b\n.\nrest"], true), (b"a\n.b\n".to_vec(), true));
    }

    #[test]
    fn top_passes_the_header_and_the_lines_asked_for() {
        let message: &[u8] = b"A: 1\r\nB: 2\r\n\r\none\r\ntwo\r\nthree";
        assert_eq!(top(&[message], 0), b"A: 1\r\nB: 2\r\n\r\n");
        assert_eq!(top(&[message], 1), b"A: 1\r\nB: 2\r\n\r\none\r\n");
        assert_eq!(top(&[message], 1 << 31), message);
        assert_eq!(top(&[b"A: 1"], 0), b"A: 1");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn any_split_streams_the_same(
            text in proptest::collection::vec(
                prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'.'), Just(b'a')], 0..80),
            cut in 0usize..80, lines in 0u64..5,
        ) {
            let (a, b) = text.split_at(cut.min(text.len()));
            prop_assert_eq!(encode(&[a, b]), encode(&[&text]));
            prop_assert_eq!(decode(&[a, b]), decode(&[&text]));
            prop_assert_eq!(top(&[a, b], lines), top(&[&text], lines));
        }

        #[test]
        fn what_our_own_server_sends_comes_back_octet_by_octet(
            text in proptest::collection::vec(
                prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'.'), Just(b'a')], 0..80),
            cut in 0usize..90,
        ) {
            let mut text = text;
            text.extend_from_slice(b"\r\n");
            let wire = encode(&[&text]);
            let (a, b) = wire.split_at(cut.min(wire.len()));
            prop_assert_eq!(kept(&[a, b], false), (text, true));
        }

        #[test]
        fn what_is_encoded_decodes_to_itself(
            lines in proptest::collection::vec("[.a-c]{0,4}", 0..10),
        ) {
            let text: String = lines.iter().map(|l| format!("{l}\r\n")).collect();
            prop_assert_eq!(decode(&[&encode(&[text.as_bytes()])]), (text.into_bytes(), true));
        }
    }
}
