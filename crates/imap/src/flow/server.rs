//! The server's side of a connection: bytes in, [`Event`]s and continuation lines out.
//!
//! Finds commands, asks for literals, streams APPEND, and reads the odd lines inside IDLE and
//! AUTHENTICATE. It never answers a command and knows no mailbox, account or state beyond
//! "logged in or not". Events come one at a time and in the client's order: whoever drives
//! answers each before asking for the next, and so pipelined commands keep their order.
//!
//! ```text
//! loop {
//!     while let Some(event) = session.next_event(&mut out) { answer(event, &mut out) }
//!     write(out); read into session.buffer();
//! }
//! ```

mod append;

use std::collections::VecDeque;

use bytes::{Buf as _, BytesMut};

pub use super::event::{
    AppendMessage, AppendText, Event, Limits, MAX_APPEND_MESSAGES, MAX_CATENATE_PARTS,
    MAX_ERRORS_AFTER_LOGIN, MAX_ERRORS_BEFORE_LOGIN, MAX_SASL_LINE,
};
use super::lines::{LineEnd, LiteralMark, content_length, line_end};
use crate::decode::{self, Options, Refusal, Verdict};
use crate::types::{Secret, Tag};
use append::Append;

/// A larger empty buffer is given back.
const KEPT_BUFFER: usize = 4 << 10;

/// What the next line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    Command,
    Sasl,
    Done,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Looking for the end of a line that starts at `line`.
    Line,
    /// Waiting until `line` octets are there; a literal ends there and a line goes on.
    Literal,
    /// A message waits for the driver's word.
    Decision { size: u64, synchronising: bool },
    /// Octets of a message; the text of its APPEND goes on behind them.
    Data { left: u64 },
    /// Octets to throw away, then the rest of their command.
    Discard { left: u64 },
    /// The rest of a refused command.
    DiscardLine,
    /// Given up.
    Closed,
}

/// The machine for one connection.
#[derive(Debug)]
pub struct Session {
    buffer: BytesMut,
    /// Start of the present line in `buffer`; everything before belongs to the same command.
    line: usize,
    /// Octets of `buffer` known to hold no line end (from `line` on).
    searched: usize,
    state: State,
    expect: Expect,
    /// Events of an APPEND's text, in their order; what waits for the driver's word is the last.
    queued: VecDeque<Event>,
    append: Option<Append>,
    discarded: u64,
    limits: Limits,
    options: Options,
    authenticated: bool,
    errors: u32,
}

impl Default for Session {
    fn default() -> Self {
        Self::new()
    }
}

impl Session {
    /// A session before log-in with nothing received.
    #[must_use]
    pub fn new() -> Self {
        Self {
            buffer: BytesMut::new(),
            line: 0,
            searched: 0,
            state: State::Line,
            expect: Expect::Command,
            queued: VecDeque::new(),
            append: None,
            discarded: 0,
            limits: Limits::BEFORE_LOGIN,
            options: Options::default(),
            authenticated: false,
            errors: 0,
        }
    }

    /// Where received bytes are put (at the end); read more only after [`Session::next_event`]
    /// answered `None`, then this holds at most one unfinished command.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Takes received bytes.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Log-in succeeded (or was undone): other limits hold, and APPEND is taken.
    pub fn set_authenticated(&mut self, authenticated: bool) {
        self.authenticated = authenticated;
        self.limits = if authenticated { Limits::AFTER_LOGIN } else { Limits::BEFORE_LOGIN };
        self.errors = 0;
    }

    /// Sets other limits than the usual ones.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// UTF8=ACCEPT or IMAP4rev2 was enabled: names are UTF-8 from the next command on.
    pub fn set_utf8(&mut self, utf8: bool) {
        self.options.utf8 = utf8;
    }

    /// How names are read at present.
    #[must_use]
    pub fn options(&self) -> Options {
        self.options
    }

    /// The next line is DONE. To be called when IDLE is taken, before the next event.
    pub fn expect_done(&mut self) {
        self.expect = Expect::Done;
    }

    /// The next line answers a SASL challenge. To be called for each challenge, before the next
    /// event.
    pub fn expect_sasl(&mut self) {
        self.expect = Expect::Sasl;
    }

    /// STARTTLS was taken: forgets everything received so far, so that nothing sent in clear text
    /// is taken as if it came protected (RFC 9051 section 6.2.1, ABU-03). To be called before
    /// reading on.
    pub fn start_tls(&mut self) {
        *self = Self { limits: self.limits, errors: self.errors, ..Self::new() };
    }

    /// How many commands were not understood: all before log-in, those in a row after it.
    #[must_use]
    pub fn errors(&self) -> u32 {
        self.errors
    }

    /// True when so many commands were not understood that the driver should close.
    #[must_use]
    pub fn too_many_errors(&self) -> bool {
        let most = match self.authenticated {
            true => MAX_ERRORS_AFTER_LOGIN,
            false => MAX_ERRORS_BEFORE_LOGIN,
        };
        self.errors >= most
    }

    /// True when received bytes wait that are no whole command yet, or were not asked for.
    #[must_use]
    pub fn has_input(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// What comes next, or `None` when more must be received first (or the driver's word on an
    /// APPEND is wanted). Continuation lines are appended to `out`: what is in `out` must be
    /// written before waiting for more.
    pub fn next_event(&mut self, out: &mut Vec<u8>) -> Option<Event> {
        if let Some(event) = self.queued.pop_front() {
            return Some(event);
        }
        loop {
            let step = match self.state {
                State::Line => self.line_step(out),
                State::Literal => self.literal_step(),
                State::Data { left } => self.data_step(left),
                State::Discard { left } => self.discard_step(left),
                State::DiscardLine => self.discard_line_step(),
                State::Decision { .. } | State::Closed => Step::Wait,
            };
            match step {
                Step::Go => {}
                Step::Give(event) => return Some(event),
                Step::Wait => {
                    if self.buffer.is_empty() && self.buffer.capacity() > KEPT_BUFFER {
                        self.buffer = BytesMut::new();
                    }
                    return None;
                }
            }
        }
    }

    /// Finds the present line: its content's end and the end with LF.
    fn find_line(&mut self, limit: usize) -> Found {
        let from = self.line + self.searched;
        let fresh = self.buffer.get(from..).unwrap_or_default();
        let Some(lf) = memchr::memchr(b'\n', fresh) else {
            self.searched += fresh.len();
            // CR and LF may still be missing.
            return if self.searched > limit + 1 { Found::TooLong } else { Found::Nothing };
        };
        let end = from + lf + 1;
        let line = self.buffer.get(self.line..end).unwrap_or_default();
        let content = content_length(line);
        if content > limit {
            return Found::TooLong;
        }
        Found::Line { content_end: self.line + content, end }
    }

    fn line_step(&mut self, out: &mut Vec<u8>) -> Step {
        match self.expect {
            Expect::Command => {}
            Expect::Sasl => return self.sasl_step(),
            Expect::Done => return self.done_step(),
        }
        let (content_end, end) = match self.find_line(self.limits.line) {
            Found::Nothing => return Step::Wait,
            Found::TooLong => return self.close("Command line too long"),
            Found::Line { content_end, end } => (content_end, end),
        };
        let line = self.buffer.get(self.line..content_end).unwrap_or_default();
        match line_end(line) {
            LineEnd::Plain => {
                if end > self.limits.command {
                    return self.close("Command too long");
                }
                let command = self.buffer.get(..content_end).unwrap_or_default();
                if self.append.is_some() || decode::is_append(command) {
                    return self.append_stretch(None, content_end, end, out);
                }
                let decoded = decode::command(command, self.options);
                self.forget_command(end);
                match decoded {
                    Ok(request) => {
                        if self.authenticated {
                            self.errors = 0;
                        }
                        Step::Give(Event::Command(request))
                    }
                    Err(refusal) => self.refuse(refusal),
                }
            }
            LineEnd::Absurd => self.close("Literal too large"),
            LineEnd::Literal(mark) => {
                let mark = LiteralMark { start: self.line + mark.start, ..mark };
                self.literal_announced(mark, end, out)
            }
        }
    }

    fn literal_announced(&mut self, mark: LiteralMark, end: usize, out: &mut Vec<u8>) -> Step {
        let command = self.buffer.get(..mark.start).unwrap_or_default();
        if self.append.is_some() || decode::is_append(command) {
            return self.append_stretch(Some(mark), mark.start, end, out);
        }
        self.string_announced(mark, end, out)
    }

    /// A literal that is part of the command's text.
    fn string_announced(&mut self, mark: LiteralMark, end: usize, out: &mut Vec<u8>) -> Step {
        let total = (end as u64).saturating_add(mark.size);
        let Some(total) = usize::try_from(total).ok().filter(|&n| n <= self.limits.command) else {
            let command = self.buffer.get(..mark.start).unwrap_or_default();
            let known = self.append.take().map(|append| append.tag);
            let refusal = Refusal {
                tag: known.or_else(|| tag_of(command)),
                verdict: Verdict::Bad,
                code: Some("TOOBIG"),
                text: "Literals of this command are too large".into(),
            };
            return self.refuse_literal(refusal, mark, end);
        };
        if mark.synchronising {
            out.extend_from_slice(b"+ OK\r\n");
        }
        self.line = total;
        self.searched = 0;
        self.state = State::Literal;
        Step::Go
    }

    fn literal_step(&mut self) -> Step {
        if self.buffer.len() < self.line {
            return Step::Wait;
        }
        self.state = State::Line;
        Step::Go
    }

    /// Refuses a command at a literal: a waiting client is simply not told to go on, the octets
    /// of another are thrown away.
    fn refuse_literal(&mut self, refusal: Refusal, mark: LiteralMark, end: usize) -> Step {
        self.forget_command(end);
        if !mark.synchronising {
            self.start_discard(mark.size);
        }
        self.refuse(refusal)
    }

    fn refuse(&mut self, refusal: Refusal) -> Step {
        self.errors = self.errors.saturating_add(1);
        Step::Give(Event::Bad(refusal))
    }

    fn start_discard(&mut self, octets: u64) {
        self.discarded = 0;
        self.state = State::Discard { left: octets };
    }

    fn discard_step(&mut self, left: u64) -> Step {
        if self.discarded.saturating_add(left) > self.limits.discard {
            return self.close("Too much data for a refused command");
        }
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len());
        self.buffer.advance(count);
        self.discarded += count as u64;
        let left = left - count as u64;
        self.state = if left == 0 { State::DiscardLine } else { State::Discard { left } };
        if left == 0 { Step::Go } else { Step::Wait }
    }

    fn discard_line_step(&mut self) -> Step {
        let (content_end, end) = match self.find_line(self.limits.line) {
            Found::Nothing => return Step::Wait,
            Found::TooLong => return self.close("Command line too long"),
            Found::Line { content_end, end } => (content_end, end),
        };
        let mark = line_end(self.buffer.get(..content_end).unwrap_or_default());
        let already = self.discarded.saturating_add(end as u64);
        self.forget_command(end);
        match mark {
            LineEnd::Absurd => return self.close("Literal too large"),
            LineEnd::Literal(mark) if !mark.synchronising => {
                self.start_discard(mark.size);
                self.discarded = already;
            }
            // A client that waits here has seen the refusal and gives up.
            LineEnd::Plain | LineEnd::Literal(_) => {}
        }
        Step::Go
    }

    fn sasl_step(&mut self) -> Step {
        let (content_end, end) = match self.find_line(MAX_SASL_LINE) {
            Found::Nothing => return Step::Wait,
            Found::TooLong => return self.close("SASL response too long"),
            Found::Line { content_end, end } => (content_end, end),
        };
        self.expect = Expect::Command;
        let line = self.buffer.get(..content_end).unwrap_or_default();
        let event = match line {
            b"*" => Event::SaslCancelled,
            _ => match decode::undo_base64(line) {
                Some(bytes) => Event::Sasl(Secret::new(bytes)),
                None => Event::SaslMalformed,
            },
        };
        self.forget_command(end);
        Step::Give(event)
    }

    fn done_step(&mut self) -> Step {
        let (content_end, end) = match self.find_line(self.limits.line) {
            Found::Nothing => return Step::Wait,
            Found::TooLong => return self.close("Command line too long"),
            Found::Line { content_end, end } => (content_end, end),
        };
        self.expect = Expect::Command;
        let line = self.buffer.get(..content_end).unwrap_or_default();
        let done = line.trim_ascii_end().eq_ignore_ascii_case(b"DONE");
        self.forget_command(end);
        if done {
            return Step::Give(Event::IdleDone);
        }
        self.refuse(Refusal {
            tag: None,
            verdict: Verdict::Bad,
            code: None,
            text: "DONE expected".into(),
        })
    }

    /// Drops the first `octets` of what was received and starts a new command.
    fn forget_command(&mut self, octets: usize) {
        self.buffer.advance(octets.min(self.buffer.len()));
        self.line = 0;
        self.searched = 0;
        self.state = State::Line;
    }

    fn close(&mut self, text: &'static str) -> Step {
        self.buffer = BytesMut::new();
        self.line = 0;
        self.searched = 0;
        self.append = None;
        self.queued.clear();
        self.state = State::Closed;
        Step::Give(Event::Fatal(text))
    }
}

enum Step {
    Go,
    Give(Event),
    Wait,
}

enum Found {
    Nothing,
    TooLong,
    Line { content_end: usize, end: usize },
}

/// The tag a command begins with.
fn tag_of(command: &[u8]) -> Option<Tag> {
    let end = command.iter().position(|&b| b == b' ')?;
    Tag::new(command.get(..end)?)
}
