//! Message bytes on the wire: dot-unstuffing with strict line ends, the check of BDAT chunks, and
//! dot-stuffing for sending (RFC 5321 section 4.5.2, RFC 3030).
//!
//! The end of a message is CRLF.CRLF and nothing else. It must never know sizes or recipients.

use memchr::memchr2;

/// What is wrong with line ends in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LineFault {
    /// LF without CR before it.
    BareLf,
    /// CR without LF after it.
    BareCr,
}

/// What one look at the input gave. `emit` and `taken` count from the start of that input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Octets `start..end` of the input are message bytes.
    pub emit: std::ops::Range<usize>,
    /// So many octets of the input are done with.
    pub taken: usize,
    /// What came after the emitted bytes.
    pub found: Found,
}

/// See [`Decoded::found`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// More may be there at once (a stuffed dot was passed).
    Again,
    /// The rest has to wait for more input.
    NeedMore,
    /// The true end of the message.
    End,
    /// A line fault; the message is refused from here on.
    Fault(LineFault),
}

/// Undoes dot-stuffing after DATA. It looks ahead at most two octets, which stay in the caller's
/// buffer, so its whole state is whether a line starts here.
#[derive(Clone, Copy, Debug)]
pub struct DotDecoder {
    line_start: bool,
    tolerant: bool,
}

impl Default for DotDecoder {
    fn default() -> Self {
        Self { line_start: true, tolerant: false }
    }
}

impl DotDecoder {
    /// From now on faults are passed over: only the true end is looked for.
    pub fn tolerate(&mut self) {
        self.tolerant = true;
    }

    /// Looks at the input, which starts where the last call's `taken` ended.
    pub fn decode(&mut self, input: &[u8]) -> Decoded {
        let mut start = 0;
        let mut at = 0;
        loop {
            if self.line_start {
                match input.get(at..).unwrap_or(&[]) {
                    [b'.', b'\r', b'\n', ..] => {
                        self.line_start = true;
                        return Decoded { emit: start..at, taken: at + 3, found: Found::End };
                    }
                    [] | [b'.'] | [b'.', b'\r'] => {
                        return Decoded { emit: start..at, taken: at, found: Found::NeedMore };
                    }
                    [b'.', ..] => {
                        self.line_start = false;
                        if at > start {
                            return Decoded { emit: start..at, taken: at + 1, found: Found::Again };
                        }
                        at += 1;
                        start = at;
                    }
                    _ => self.line_start = false,
                }
            }
            let rest = input.get(at..).unwrap_or(&[]);
            let Some(offset) = memchr2(b'\r', b'\n', rest) else {
                let end = input.len();
                return Decoded { emit: start..end, taken: end, found: Found::NeedMore };
            };
            let here = at + offset;
            let fault = match (input.get(here), input.get(here + 1)) {
                (Some(b'\r'), Some(b'\n')) => {
                    self.line_start = true;
                    at = here + 2;
                    continue;
                }
                (Some(b'\r'), None) => {
                    return Decoded { emit: start..here, taken: here, found: Found::NeedMore };
                }
                (Some(b'\r'), _) => LineFault::BareCr,
                _ => LineFault::BareLf,
            };
            at = here + 1;
            if !self.tolerant {
                return Decoded { emit: start..here, taken: at, found: Found::Fault(fault) };
            }
        }
    }
}

/// Checks the line ends of BDAT content, across chunks.
#[derive(Clone, Copy, Debug, Default)]
pub struct LineEndCheck {
    after_cr: bool,
}

impl LineEndCheck {
    /// Looks at more content; `Err` tells how many octets come before the fault.
    ///
    /// # Errors
    /// The fault and its offset (0 when it is a CR that ended the content before).
    pub fn push(&mut self, content: &[u8]) -> Result<(), (LineFault, usize)> {
        let mut at = 0;
        if self.after_cr && !content.is_empty() {
            if content.first() != Some(&b'\n') {
                return Err((LineFault::BareCr, 0));
            }
            self.after_cr = false;
            at = 1;
        }
        while let Some(offset) = memchr2(b'\r', b'\n', content.get(at..).unwrap_or(&[])) {
            let here = at + offset;
            match (content.get(here), content.get(here + 1)) {
                (Some(b'\r'), Some(b'\n')) => at = here + 2,
                (Some(b'\r'), None) => {
                    self.after_cr = true;
                    return Ok(());
                }
                (Some(b'\r'), _) => return Err((LineFault::BareCr, here)),
                _ => return Err((LineFault::BareLf, here)),
            }
        }
        Ok(())
    }

    /// The content is over.
    ///
    /// # Errors
    /// It ended with a bare CR.
    pub fn finish(self) -> Result<(), LineFault> {
        if self.after_cr { Err(LineFault::BareCr) } else { Ok(()) }
    }
}

/// Stuffs dots for DATA. Bare CR and bare LF, which a next hop might take for a line end, go out
/// as CRLF, so that nothing in a message can end it.
#[derive(Clone, Copy, Debug)]
pub struct DotEncoder {
    line_start: bool,
    after_cr: bool,
    dots: bool,
}

impl Default for DotEncoder {
    fn default() -> Self {
        Self { line_start: true, after_cr: false, dots: true }
    }
}

impl DotEncoder {
    /// One that only mends line ends, for BDAT.
    #[must_use]
    pub fn for_chunks() -> Self {
        Self { dots: false, ..Self::default() }
    }

    /// Adds message bytes.
    pub fn push(&mut self, mut content: &[u8], out: &mut Vec<u8>) {
        out.reserve(content.len() + 2);
        if self.after_cr && !content.is_empty() {
            self.after_cr = false;
            if let Some(rest) = content.strip_prefix(b"\n") {
                content = rest;
            }
        }
        while !content.is_empty() {
            if self.dots && self.line_start && content.first() == Some(&b'.') {
                out.push(b'.');
            }
            let Some(end) = memchr2(b'\r', b'\n', content) else {
                out.extend_from_slice(content);
                self.line_start = false;
                return;
            };
            let (line, rest) = content.split_at(end);
            out.extend_from_slice(line);
            out.extend_from_slice(b"\r\n");
            self.line_start = true;
            content = match rest {
                [b'\r', b'\n', rest @ ..] | [_, rest @ ..] => rest,
                [] => rest,
            };
            // A CR at the very end may still be followed by its LF.
            self.after_cr = rest == b"\r";
        }
    }

    /// Ends the message: a last CRLF if it is missing, and the dot. Chunks need neither.
    pub fn finish(self, out: &mut Vec<u8>) {
        if !self.dots {
            return;
        }
        out.extend_from_slice(if self.line_start { b".\r\n" } else { b"\r\n.\r\n" });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Decodes in pieces; answers the message, how it ended, and how much input was taken.
    fn decode(input: &[u8], cut: usize) -> (Vec<u8>, Option<Found>, usize) {
        let mut decoder = DotDecoder::default();
        let mut buffer = Vec::new();
        let mut message = Vec::new();
        let mut taken = 0;
        for piece in input.chunks(cut.max(1)) {
            buffer.extend_from_slice(piece);
            loop {
                let step = decoder.decode(&buffer);
                message.extend_from_slice(&buffer[step.emit.clone()]);
                buffer.drain(..step.taken);
                taken += step.taken;
                match step.found {
                    Found::Again => {}
                    Found::NeedMore => break,
                    end => return (message, Some(end), taken),
                }
            }
        }
        (message, None, taken)
    }

    #[test]
    fn only_crlf_dot_crlf_ends_a_message() {
        // ABU-01
        for end in ["\n.\n", "\r.\r", "\r\n.\n", "\n.\r\n", "\r\n.\r", "\r\n.\0\r\n", "\r\n\0.\r\n"]
        {
            let input = format!("a{end}MAIL FROM:<x@y>\r\n");
            for cut in 1..input.len() {
                let (_, found, _) = decode(input.as_bytes(), cut);
                assert_ne!(found, Some(Found::End), "{end:?}");
            }
        }
        let (message, found, taken) = decode(b"a\r\n..b\r\n.c\r\n.\r\nNOOP\r\n", 100);
        assert_eq!(message, b"a\r\n.b\r\nc\r\n");
        assert_eq!((found, taken), (Some(Found::End), 15));
        assert_eq!(decode(b".\r\n", 1).1, Some(Found::End));
    }

    proptest! {
        #[test]
        fn stuffing_and_unstuffing_give_the_message_back(
            lines in prop::collection::vec("[.a]{0,6}", 0..8), cut in 1usize..9, cut2 in 1usize..9,
        ) {
            let message: String = lines.iter().map(|l| format!("{l}\r\n")).collect();
            let mut wire = Vec::new();
            let mut encoder = DotEncoder::default();
            for piece in message.as_bytes().chunks(cut) {
                encoder.push(piece, &mut wire);
            }
            encoder.finish(&mut wire);
            let (back, found, taken) = decode(&wire, cut2);
            prop_assert_eq!(found, Some(Found::End));
            prop_assert_eq!(taken, wire.len());
            prop_assert_eq!(back, message.into_bytes());
        }

        #[test]
        fn nothing_in_a_message_can_end_it_on_the_way_out(
            message in "[\\r\\n.a]{0,30}", cut in 1usize..9,
        ) {
            // ABU-02
            let mut wire = Vec::new();
            let mut encoder = DotEncoder::default();
            for piece in message.as_bytes().chunks(cut) {
                encoder.push(piece, &mut wire);
            }
            encoder.finish(&mut wire);
            let (_, found, taken) = decode(&wire, 100);
            prop_assert_eq!(found, Some(Found::End));
            prop_assert_eq!(taken, wire.len());
            let text = String::from_utf8(wire).unwrap();
            prop_assert!(!text.replace("\r\n", "").contains(['\r', '\n']));
        }

        #[test]
        fn any_split_decodes_the_same(input in "[\\r\\n.a]{0,30}", cut in 1usize..9) {
            let whole = decode(input.as_bytes(), 1000);
            prop_assert_eq!(decode(input.as_bytes(), cut), whole);
        }

        #[test]
        fn the_chunk_check_finds_the_same_fault_at_any_split(
            input in "[\\r\\na]{0,20}", cut in 1usize..9,
        ) {
            let run = |cut: usize| {
                let mut check = LineEndCheck::default();
                for piece in input.as_bytes().chunks(cut) {
                    check.push(piece).map_err(|(fault, _)| fault)?;
                }
                check.finish()
            };
            prop_assert_eq!(run(cut), run(1000));
            let good = !input.replace("\r\n", "").contains(['\r', '\n']);
            prop_assert_eq!(run(cut).is_ok(), good);
        }
    }
}
