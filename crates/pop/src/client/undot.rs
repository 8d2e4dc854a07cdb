//! Takes the dots away from a message that a server sends, and finds its end, changing nothing else:
//! bare CR and LF, NUL and lines of any length pass as they are (RFC 1939 section 3).

use memchr::memchr2;

/// See the module text.
///
/// Only CRLF `.` CRLF ends a message. After a bare LF, which many clients and servers take for a line
/// end, two dots are one (servers that count it stuff there) and a single one is itself.
#[derive(Clone, Copy, Debug)]
pub struct Undot {
    at: Place,
    /// The server ends its lines with LF alone.
    bare: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    LineStart,
    /// A dot at the start of a line.
    Dot,
    /// A dot at the start of a line and CR.
    DotCr,
    Text,
    Cr,
    AfterLf,
    /// A dot after a bare LF.
    AfterLfDot,
    End,
}

impl Undot {
    /// At the start of a message. `bare`: the server ends its lines with LF alone, as the line before
    /// the message showed.
    #[must_use]
    pub const fn new(bare: bool) -> Self {
        Self { at: Place::LineStart, bare }
    }

    /// Decodes from `input`, writing the message to `out`. Answers how many bytes it has read; it
    /// reads all unless the message ends.
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
            (Place::Dot, b'\n') if self.bare => Place::End,
            (Place::DotCr, b'\n') => Place::End,
            (Place::DotCr, other) => {
                out.push(b'\r');
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
        out.push(byte);
        match byte {
            b'\n' if from == Place::Cr || self.bare => Place::LineStart,
            b'\n' => Place::AfterLf,
            b'\r' => Place::Cr,
            _ => Place::Text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dot::DotEncoder;
    use proptest::prelude::*;

    fn decode(pieces: &[&[u8]], bare: bool) -> (Vec<u8>, bool) {
        let (mut out, mut undot) = (Vec::new(), Undot::new(bare));
        for piece in pieces {
            undot.push(piece, &mut out);
        }
        (out, undot.is_done())
    }

    #[test]
    fn nothing_but_dots_is_changed() {
        let (out, done) = decode(&[b"a\rb\n\0\r\r\n..x\r\n...\r\n.\r\nrest"], false);
        assert_eq!((out.as_slice(), done), (&b"a\rb\n\0\r\r\n.x\r\n..\r\n"[..], true));
        assert!(!decode(&[b"a\n.\nb"], false).1);
        assert!(!decode(&[b"a\n.\r\n"], false).1);
    }

    #[test]
    fn a_server_of_bare_lines_is_understood() {
        assert_eq!(decode(&[b"a\n..b\n.\nrest"], true), (b"a\n.b\n".to_vec(), true));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn what_our_own_server_sends_comes_back_octet_by_octet(
            text in proptest::collection::vec(
                prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'.'), Just(b'a')], 0..80),
            cut in 0usize..90,
        ) {
            let mut text = text;
            text.extend_from_slice(b"\r\n");
            let mut wire = Vec::new();
            let mut encoder = DotEncoder::new();
            encoder.push(&text, &mut wire);
            encoder.finish(&mut wire);
            let (a, b) = wire.split_at(cut.min(wire.len()));
            prop_assert_eq!(decode(&[a, b], false), (text, true));
        }
    }
}
