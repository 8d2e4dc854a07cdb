//! A message while it comes: staged in the store as it arrives, scanned on the way, its header
//! held back (up to a limit) so that loops are seen and missing lines can be put in front.
//!
//! A message that somebody wants to look at is held whole before its first octet goes to the
//! stage, because what they find stands in front of it. One that is too large for that is shown as
//! far as it has come.
//!
//! Memory is bounded by [`HEADER_HELD`], what the scanner and the stage keep, and what
//! [`crate::inspect`] grants.

use std::ops::Range;

use angarium_message::header;
use angarium_message::summary::Scanner;
use angarium_store::{BodyWriter, StagedBody, StoreError};
use bytes::Bytes;

use super::submission::Changes;
use crate::authenticity::results::foreign_results;
use crate::inspect::{Changed, Context, Findings, Inspection, Verdict};
use crate::submit::encode_summary;
use crate::trace;

/// Octets of a header that are held back; a longer one is looked at as far as this.
const HEADER_HELD: usize = 256 * 1024;

/// Received lines that make a loop (`reference/router.md` section 6).
const MAX_RECEIVED: usize = 25;

/// What is done to the header of a submitted message: the header goes in, changes or the refusal
/// come out.
pub(super) type Prepare = Box<dyn FnOnce(&[u8]) -> Result<Changes, Verdict> + Send>;

/// Why a message cannot be taken.
#[derive(Debug)]
pub(super) enum Refused {
    /// More than [`MAX_RECEIVED`] Received lines.
    Loop,
    /// Who looked at it did not let it pass: `Refuse` or `Later`.
    Verdict(Verdict),
    /// The store.
    Store(StoreError),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// A message that has come.
pub(super) struct Whole {
    /// Its octets.
    pub(super) staged: StagedBody,
    /// Its summary, encoded.
    pub(super) summary: Bytes,
    /// Where it goes instead of INBOX.
    pub(super) mailbox: Option<String>,
    /// It is taken and dropped, for this reason.
    pub(super) discard: Option<String>,
    /// What is to be changed in its envelope.
    pub(super) changed: Option<Box<Changed>>,
}

/// A message that is coming in.
pub(super) struct Intake {
    writer: Box<dyn BodyWriter>,
    scanner: Box<Scanner>,
    /// The header while it is held back, with where to look for its end.
    head: Option<(Vec<u8>, usize)>,
    prepare: Option<Prepare>,
    /// Name under which this server vouches for results.
    host: String,
    /// The message while it is held for those who look at it.
    held: Option<Box<Held>>,
    findings: Findings,
}

/// A message that is held.
struct Held {
    trace: String,
    text: Vec<u8>,
    /// Parts of the text that are left out when it goes on.
    cut: Vec<Range<usize>>,
    inspection: Inspection,
    context: Context,
}

impl Intake {
    /// Starts with our own lines, written by `host`; `prepare` looks after the header of what is
    /// submitted.
    pub(super) async fn start(
        writer: Box<dyn BodyWriter>,
        trace: String,
        host: &str,
        prepare: Option<Prepare>,
        inspection: Option<(Inspection, Context)>,
    ) -> Result<Self, Refused> {
        let mut intake = Self {
            writer,
            scanner: Box::new(Scanner::new()),
            head: Some((Vec::new(), 0)),
            prepare,
            host: host.to_owned(),
            held: None,
            findings: Findings::default(),
        };
        match inspection {
            Some((inspection, context)) => {
                let (text, cut) = (Vec::new(), Vec::new());
                intake.held = Some(Box::new(Held { trace, text, cut, inspection, context }));
            }
            None => intake.stage(trace.as_bytes()).await?,
        }
        Ok(intake)
    }

    /// Adds bytes of the message.
    pub(super) async fn push(&mut self, data: &[u8]) -> Result<(), Refused> {
        let Some((mut head, looked)) = self.head.take() else {
            return self.write(data).await;
        };
        head.extend_from_slice(data);
        match header_end(&head, looked) {
            Some(end) => self.release(&head, end).await,
            None if head.len() >= HEADER_HELD && self.prepare.is_some() => {
                let text = "the header is too large".to_owned();
                Err(Refused::Verdict(Verdict::Refuse { status: (5, 6, 0), text }))
            }
            None if head.len() >= HEADER_HELD => self.release(&head, head.len()).await,
            None => {
                let looked = head.len().saturating_sub(3);
                self.head = Some((head, looked));
                Ok(())
            }
        }
    }

    /// The message is whole.
    pub(super) async fn finish(mut self) -> Result<Whole, Refused> {
        if let Some((head, _)) = self.head.take() {
            self.release(&head, head.len()).await?;
        }
        if let Some(held) = self.held.take() {
            Box::pin(self.pass(*held, true)).await?;
        }
        let staged = self.writer.finish().await?;
        let discard = match self.findings.verdict {
            Verdict::Discard(why) => Some(why),
            _ => None,
        };
        let summary = encode_summary(self.scanner.finish());
        let Findings { mailbox, changed, .. } = self.findings;
        Ok(Whole { staged, summary, mailbox, discard, changed })
    }

    /// Looks at the header, which is `bytes` up to `end`, and lets all go on.
    async fn release(&mut self, bytes: &[u8], end: usize) -> Result<(), Refused> {
        let head = bytes.get(..end).unwrap_or(bytes);
        if header::fields(head).filter(|field| field.is("Received")).count() > MAX_RECEIVED {
            return Err(Refused::Loop);
        }
        let mut changes = Changes::default();
        if let Some(prepare) = self.prepare.take() {
            changes = prepare(head).map_err(Refused::Verdict)?;
            self.write(changes.lines.as_bytes()).await?;
        }
        if !starts_with_field(bytes) {
            // No header at all: ours must not run into the text.
            self.write(b"\r\n").await?;
        }
        let mut cut = foreign_results(head, &self.host);
        cut.append(&mut changes.cut);
        cut.sort_by_key(|range| range.start);
        if let Some(held) = &mut self.held {
            let before = held.text.len();
            held.cut = cut.iter().map(|r| before + r.start..before + r.end).collect();
            return self.write(bytes).await;
        }
        for piece in without(bytes, &cut) {
            self.stage(piece).await?;
        }
        Ok(())
    }

    async fn write(&mut self, data: &[u8]) -> Result<(), Refused> {
        let Some(held) = &mut self.held else { return self.stage(data).await };
        let size = held.text.len().saturating_add(data.len());
        if held.inspection.reserve(size) {
            held.text.extend_from_slice(data);
            return Ok(());
        }
        // Shown as far as it has come; the rest follows without being held.
        if let Some(mut held) = self.held.take() {
            held.text.extend_from_slice(data);
            Box::pin(self.pass(*held, false)).await?;
        }
        Ok(())
    }

    /// Shows what was held, and lets it go on behind what was found.
    async fn pass(&mut self, held: Held, whole: bool) -> Result<(), Refused> {
        let found = held.inspection.run(&held.context.arrived(&held.text, whole)).await;
        if matches!(found.verdict, Verdict::Refuse { .. } | Verdict::Later { .. }) {
            return Err(Refused::Verdict(found.verdict));
        }
        self.stage(trace::with_found(&held.trace, &found.lines).as_bytes()).await?;
        self.findings = found;
        // Only what was seen whole can be changed.
        let changed = self.findings.changed.as_mut().filter(|_| whole);
        let new = changed.and_then(|changed| changed.message.take());
        let (text, cut) = match new {
            Some(new) => {
                let head = new.get(..header::header_length(&new)).unwrap_or(&new);
                let cut = foreign_results(head, &self.host);
                (new, cut)
            }
            None => (held.text, held.cut),
        };
        for piece in without(&text, &cut) {
            self.stage(piece).await?;
        }
        Ok(())
    }

    async fn stage(&mut self, data: &[u8]) -> Result<(), Refused> {
        self.scanner.push(data);
        Ok(self.writer.write(data).await?)
    }
}

/// The pieces of a text that are left when these ranges, in order, are cut out.
fn without<'a>(text: &'a [u8], cut: &[Range<usize>]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::with_capacity(cut.len() + 1);
    let mut from = 0;
    for range in cut {
        pieces.extend(text.get(from..range.start));
        from = range.end;
    }
    pieces.extend(text.get(from..));
    pieces
}

/// Where the header ends, its empty line included; looked for from `from` on.
fn header_end(bytes: &[u8], from: usize) -> Option<usize> {
    if bytes.starts_with(b"\r\n") {
        return Some(2);
    }
    let mut at = from;
    while let Some(offset) = bytes.get(at..)?.iter().position(|b| *b == b'\r') {
        at += offset;
        if bytes.get(at..)?.starts_with(b"\r\n\r\n") {
            return Some(at + 4);
        }
        at += 1;
    }
    None
}

/// True when a message begins with a field, or with the empty line of a header without fields.
fn starts_with_field(message: &[u8]) -> bool {
    if message.is_empty() || message.starts_with(b"\r\n") {
        return true;
    }
    let name = message.iter().take_while(|b| matches!(b, b'!'..=b'9' | b';'..=b'~')).count();
    let after = message.get(name..).unwrap_or(&[]);
    let blanks = after.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    name > 0 && after.get(blanks) == Some(&b':')
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn run(message: &[u8], cut: usize, submission: bool) -> Result<String, Refused> {
        let store = angarium_store::memory::open();
        let prepare: Option<Prepare> = submission.then(|| {
            let lines = |head: &[u8]| {
                let lines = format!("X-Head: {}\r\n", head.len());
                Ok(Changes { lines, cut: Vec::new() })
            };
            Box::new(lines) as Prepare
        });
        let trace = "Trace: x\r\n".to_owned();
        let mut intake = Intake::start(store.bodies.stage(), trace, "here", prepare, None).await?;
        for piece in message.chunks(cut) {
            intake.push(piece).await?;
        }
        let whole = intake.finish().await?;
        assert!(!whole.summary.is_empty());
        let bytes = whole.staged.memory.expect("small bodies stay in memory");
        Ok(String::from_utf8(bytes.to_vec()).expect("text"))
    }

    #[tokio::test]
    async fn the_message_is_kept_as_it_came_behind_our_lines() {
        for cut in [1, 2, 3, 100] {
            for message in ["Subject: x\r\n\r\nbody\r\n", "\r\nbody\r\n", "Subject: x\r\n", ""] {
                let kept = run(message.as_bytes(), cut, false).await.expect("taken");
                assert_eq!(kept, format!("Trace: x\r\n{message}"));
            }
            let kept = run(b"just text\r\n\r\nmore\r\n", cut, false).await.expect("taken");
            assert_eq!(kept, "Trace: x\r\n\r\njust text\r\n\r\nmore\r\n");
            let kept = run(b"A: b\r\n\r\nc\r\n", cut, true).await.expect("taken");
            assert_eq!(kept, "Trace: x\r\nX-Head: 8\r\nA: b\r\n\r\nc\r\n");
        }
    }

    #[tokio::test]
    async fn a_loop_is_seen_by_its_received_lines() {
        // ABU-11
        let good = format!("{}\r\n", "received: x\r\n".repeat(MAX_RECEIVED));
        assert!(run(good.as_bytes(), 7, false).await.is_ok());
        let bad = format!("{}\r\n", "RECEIVED : x\r\n".repeat(MAX_RECEIVED + 1));
        assert!(matches!(run(bad.as_bytes(), 7, false).await, Err(Refused::Loop)));
        let later = format!("A: b\r\n\r\n{}", "Received: x\r\n".repeat(100));
        assert!(run(later.as_bytes(), 7, false).await.is_ok());
    }
}
