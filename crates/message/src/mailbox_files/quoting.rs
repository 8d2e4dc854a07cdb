//! Mail written into a text mailbox: LF line ends, `>` before lines that look like separators
//! (mboxrd), the empty line at its end. It must never know what stands around the message.

use super::view::{QUOTES_MAX, Quoting, View};

/// Turns mail into the octets that follow its separator line, piece by piece. Fields in which mail
/// programs keep flags, numbers and lengths for themselves are left out: from outside they would
/// be lies.
#[derive(Debug)]
pub struct Quoter {
    clean: View,
    wire: Vec<u8>,
    /// The beginning of a line that may still turn out to want quoting.
    line: Vec<u8>,
    /// The line went out as far as it came.
    through: bool,
    /// A CR that may belong to a line end.
    held_return: bool,
    in_header: bool,
    empty_line: bool,
}

impl Default for Quoter {
    fn default() -> Self {
        Self {
            clean: View::new(Quoting::None),
            wire: Vec::new(),
            line: Vec::new(),
            through: false,
            held_return: false,
            in_header: true,
            empty_line: true,
        }
    }
}

impl Quoter {
    /// For one message.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a piece; what is written is added to `out`.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        let mut wire = std::mem::take(&mut self.wire);
        self.clean.push(piece, &mut wire);
        self.quote(&wire, out);
        wire.clear();
        self.wire = wire;
    }

    /// Ends the message with the empty line that belongs before the next separator.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        let mut wire = std::mem::take(&mut self.wire);
        let clean = std::mem::replace(&mut self.clean, View::new(Quoting::None));
        clean.finish(&mut wire);
        self.quote(&wire, out);
        self.flush(out);
        if self.through {
            out.push(b'\n');
        }
        if self.in_header {
            // A header alone gets its end, or the empty line below would be taken for it.
            out.push(b'\n');
        }
        out.push(b'\n');
    }

    fn quote(&mut self, wire: &[u8], out: &mut Vec<u8>) {
        for piece in wire.split_inclusive(|b| *b == b'\n') {
            let mut text = piece;
            if self.held_return {
                self.held_return = false;
                if piece != b"\n" {
                    self.octets(b"\r", out);
                }
            }
            let ended = text.ends_with(b"\n");
            if ended {
                text = text.get(..text.len() - 1).unwrap_or_default();
            }
            if let Some(rest) = text.strip_suffix(b"\r") {
                text = rest;
                self.held_return = !ended;
            }
            self.octets(text, out);
            if ended {
                self.flush(out);
                out.push(b'\n');
                if self.empty_line {
                    self.in_header = false;
                }
                self.empty_line = true;
                self.through = false;
            }
        }
    }

    fn octets(&mut self, text: &[u8], out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        self.empty_line = false;
        if self.through {
            out.extend_from_slice(text);
            return;
        }
        self.line.extend_from_slice(text);
        let quotes = self.line.iter().take_while(|b| **b == b'>').count();
        let rest = self.line.get(quotes..).unwrap_or_default();
        let known = rest.len().min(b"From ".len());
        if quotes >= QUOTES_MAX || rest.get(..known) != b"From ".get(..known) || rest.len() >= 5 {
            self.flush(out);
            self.through = true;
        }
    }

    fn flush(&mut self, out: &mut Vec<u8>) {
        let quotes = self.line.iter().take_while(|b| **b == b'>').count();
        let wants = quotes < QUOTES_MAX
            && self.line.get(quotes..).is_some_and(|rest| rest.starts_with(b"From "));
        if wants {
            out.push(b'>');
        }
        out.extend_from_slice(&self.line);
        self.line.clear();
    }
}
