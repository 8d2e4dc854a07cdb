//! The receiving machine while a message's content comes: after DATA, and in BDAT chunks.

use bytes::Bytes;

use super::session::{Asked, Session, State};
use super::{Abort, Close, Event};
use crate::data::{Found, LineEndCheck, LineFault};
use crate::parameters::{BodyKind, MailParameters};
use crate::reply::{Reply, Status};
use crate::{Protocol, limits};

/// One mail transaction.
#[derive(Debug)]
pub(super) struct Transaction {
    /// MAIL was answered positively.
    pub(super) open: bool,
    /// Recipients accepted.
    pub(super) recipients: usize,
    /// Addresses beyond ASCII may be given.
    pub(super) smtputf8: bool,
    /// Content has begun.
    pub(super) started: bool,
    /// The URL that BURL names.
    pub(super) url: Option<String>,
    /// Octets that came of it.
    pub(super) fetched: u64,
    pub(super) binary: bool,
    pub(super) size: u64,
    skipped: u64,
    pub(super) check: LineEndCheck,
    pub(super) failed: Option<Reply>,
}

impl Transaction {
    pub(super) fn new(parameters: &MailParameters) -> Self {
        Self {
            open: false,
            recipients: 0,
            smtputf8: parameters.smtputf8,
            started: false,
            url: None,
            fetched: 0,
            binary: parameters.body == Some(BodyKind::BinaryMime),
            size: 0,
            skipped: 0,
            check: LineEndCheck::default(),
            failed: None,
        }
    }
}

pub(super) fn refusal(abort: Abort) -> Reply {
    match abort {
        Abort::Lines(LineFault::BareLf) => {
            Reply::new(550, Status(5, 6, 0), "message contains a bare LF; lines end with CR LF")
        }
        Abort::Lines(LineFault::BareCr) => {
            Reply::new(550, Status(5, 6, 0), "message contains a bare CR; lines end with CR LF")
        }
        Abort::TooLarge => Reply::new(552, Status(5, 3, 4), "message too large"),
    }
}

impl Session {
    /// Refuses the content that is coming, with this reply at its true end: the caller cannot
    /// take it. To be called after [`Event::Content`] or [`Event::Data`].
    pub fn abort(&mut self, reply: Reply) {
        let Some(transaction) = &mut self.transaction else { return };
        if transaction.failed.is_some() {
            return;
        }
        match &mut self.state {
            State::Content { decoder, .. } => {
                decoder.tolerate();
                transaction.failed = Some(reply);
            }
            State::Chunk { left, last, .. } => {
                transaction.failed = Some(reply.clone());
                self.state = State::SkippedChunk { left: *left, last: *last, reply };
            }
            _ => {}
        }
    }

    pub(super) fn data(&mut self) -> Option<Event> {
        let state = self.transaction.as_mut().filter(|t| t.open);
        let problem = match &state {
            None => Some("MAIL comes first"),
            Some(t) if t.started || t.binary => Some("this message comes by BDAT"),
            Some(t) if t.recipients == 0 => Some("no valid recipients"),
            Some(_) => None,
        };
        if let Some(text) = problem {
            return self.sequence(text);
        }
        if let Some(transaction) = state {
            transaction.started = true;
        }
        self.ask(Asked::Data);
        Some(Event::Content)
    }

    pub(super) fn bdat(&mut self, size: u64, last: bool) -> Option<Event> {
        let max = self.config.max_size;
        let transaction = self.transaction.as_mut().filter(|t| t.open);
        let problem = match &transaction {
            None => Some(Reply::new(503, Status(5, 5, 1), "MAIL comes first")),
            Some(t) if t.recipients == 0 => {
                Some(Reply::new(503, Status(5, 5, 1), "no valid recipients"))
            }
            Some(t) if t.failed.is_some() => {
                Some(Reply::new(503, Status(5, 5, 1), "the message was refused already"))
            }
            Some(t) if size > max.saturating_sub(t.size) => Some(refusal(Abort::TooLarge)),
            Some(_) => None,
        };
        let first = transaction.as_ref().is_some_and(|t| !t.started);
        if let Some(reply) = problem {
            let told = transaction.is_some_and(|t| t.started && t.failed.is_none());
            self.skip_chunk(size, last, reply);
            return told.then_some(Event::Aborted(Abort::TooLarge));
        }
        if let Some(transaction) = transaction {
            transaction.started = true;
        }
        if first {
            self.ask(Asked::Chunk { size, last });
            return Some(Event::Content);
        }
        self.state = State::Chunk { size, left: size, last };
        None
    }

    /// Throws the octets of a chunk away, then replies; closes where they are too many for that.
    pub(super) fn skip_chunk(&mut self, size: u64, last: bool, reply: Reply) {
        if let Some(transaction) = &mut self.transaction {
            transaction.failed.get_or_insert_with(|| reply.clone());
        }
        if size > limits::SKIPPED_CONTENT {
            self.reply(&reply);
            self.close(Close::Flood);
            self.state = State::Command;
        } else {
            self.state = State::SkippedChunk { left: size, last, reply };
        }
    }

    pub(super) fn skipped_chunk(&mut self) -> Option<Option<Event>> {
        let State::SkippedChunk { left, last, reply } = &mut self.state else { return Some(None) };
        let here = usize::try_from(*left).unwrap_or(usize::MAX).min(self.input.len());
        *left -= here as u64;
        let _ = self.input.split_to(here);
        if *left > 0 {
            return None;
        }
        let (last, reply) = (*last, reply.clone());
        self.state = State::Command;
        if last {
            self.end_refused(&reply);
        } else {
            self.error(&reply);
        }
        Some(None)
    }

    pub(super) fn chunk(&mut self) -> Option<Option<Event>> {
        let State::Chunk { size, left, last } = &mut self.state else { return Some(None) };
        let Some(transaction) = &mut self.transaction else { return Some(None) };
        if *left > 0 {
            if self.input.is_empty() {
                return None;
            }
            let here = usize::try_from(*left).unwrap_or(usize::MAX).min(self.input.len());
            let data = self.input.split_to(here).freeze();
            *left -= here as u64;
            transaction.size = transaction.size.saturating_add(here as u64);
            if !transaction.binary
                && let Err((fault, _)) = transaction.check.push(&data)
            {
                return Some(Some(self.chunk_fault(fault)));
            }
            return Some(Some(Event::Data(data)));
        }
        if !*last {
            let text = format!("{size} octets received");
            self.state = State::Command;
            self.reply(&Reply::new(250, Status(2, 6, 0), text));
            return Some(None);
        }
        if !transaction.binary
            && let Err(fault) = transaction.check.finish()
        {
            return Some(Some(self.chunk_fault(fault)));
        }
        let size = transaction.size;
        self.ask(Asked::End);
        Some(Some(Event::End { size }))
    }

    fn chunk_fault(&mut self, fault: LineFault) -> Event {
        let abort = Abort::Lines(fault);
        self.abort(refusal(abort));
        Event::Aborted(abort)
    }

    pub(super) fn content(&mut self) -> Option<Option<Event>> {
        let State::Content { decoder, after } = &mut self.state else { return Some(None) };
        let Some(transaction) = &mut self.transaction else { return Some(None) };
        let found = match after.take() {
            Some(found) => found,
            None => {
                if self.input.is_empty() {
                    return None;
                }
                let step = decoder.decode(&self.input);
                let taken = self.input.split_to(step.taken).freeze();
                if transaction.failed.is_some() {
                    transaction.skipped = transaction.skipped.saturating_add(step.taken as u64);
                    if transaction.skipped > limits::SKIPPED_CONTENT {
                        return Some(self.flood());
                    }
                } else if !step.emit.is_empty() {
                    let data: Bytes = taken.slice(step.emit);
                    transaction.size = transaction.size.saturating_add(data.len() as u64);
                    *after = Some(step.found);
                    if transaction.size > self.config.max_size {
                        self.abort(refusal(Abort::TooLarge));
                        return Some(Some(Event::Aborted(Abort::TooLarge)));
                    }
                    return Some(Some(Event::Data(data)));
                }
                step.found
            }
        };
        match found {
            Found::Again => Some(None),
            Found::NeedMore => None,
            Found::Fault(fault) => {
                let abort = Abort::Lines(fault);
                let first = transaction.failed.is_none();
                self.abort(refusal(abort));
                Some(first.then_some(Event::Aborted(abort)))
            }
            Found::End => Some(match transaction.failed.take() {
                Some(reply) => {
                    self.state = State::Command;
                    self.end_refused(&reply);
                    None
                }
                None => {
                    let size = transaction.size;
                    self.ask(Asked::End);
                    Some(Event::End { size })
                }
            }),
        }
    }

    fn flood(&mut self) -> Option<Event> {
        let reply = self.transaction.take().and_then(|t| t.failed);
        if let Some(reply) = reply {
            self.reply(&reply);
        }
        self.close(Close::Flood);
        self.state = State::Command;
        None
    }

    /// The end of a message that was refused: one reply, or one for each recipient (LMTP).
    fn end_refused(&mut self, reply: &Reply) {
        let recipients = self.transaction.take().map_or(0, |t| t.recipients);
        if self.config.protocol == Protocol::Lmtp {
            for _ in 1..recipients {
                self.reply(reply);
            }
        }
        self.error(reply);
    }
}
