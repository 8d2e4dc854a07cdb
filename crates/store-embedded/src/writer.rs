//! The one writer of a shard. It gathers what is waiting, decides each operation on the index as
//! the ones before it left it, appends all their frames, syncs once, commits the index with the
//! position reached, tells the feed, and answers all.
//!
//! If anything of that fails, nothing of the batch stands: the index is rolled back, the journal
//! is cut back to where it was, and every operation of the batch is answered *later*.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc as blocking;

use angarium_store::{Result, StoreError};
use bytes::Bytes;
use rusqlite::Connection;
use tokio::sync::mpsc;

use crate::bodies::Spooled;
use crate::files::Files;
use crate::index::{Effect, Hot, IndexTx, Place};
use crate::journal::Position;
use crate::journal::frame::{self, HEADER, PartPlace, PartSum};
use crate::journal::tail::{Piece, Tail};
use crate::record::{self, Record};

/// Operations waiting for one writer; more wait for room.
pub(crate) const WAITING: usize = 4096;
/// Operations of one batch.
const BATCH_OPERATIONS: usize = 1024;
/// Octets of one batch; reached, no more operations are taken in.
const BATCH_OCTETS: usize = 8 << 20;
/// Frames in SQLite's own log above which the writer itself finishes a checkpoint, so that the
/// log can start over.
const LOG_FRAMES: u64 = 16_384;

/// The bytes of a new body.
pub(crate) enum Part {
    Memory { bytes: Bytes, crc: u32 },
    Spooled(Arc<Spooled>),
}

impl Part {
    fn sum(&self) -> PartSum {
        match self {
            Self::Memory { bytes, crc } => PartSum { length: bytes.len() as u64, crc: *crc },
            Self::Spooled(spooled) => PartSum { length: spooled.length, crc: spooled.crc },
        }
    }
}

/// Sends an operation's answer, or the error that befell its batch.
pub(crate) type Answer = Box<dyn FnOnce(Option<&StoreError>) + Send>;
/// Decides an operation, or hands on why it cannot even be looked at.
pub(crate) type Job = Box<dyn FnOnce(Result<&mut Batch<'_>>) -> Answer + Send>;

/// What the writer is asked.
pub(crate) enum Command {
    Job(Job),
    /// Tell the position between batches and wait until the other end is dropped or speaks.
    Pause {
        reached: blocking::SyncSender<Position>,
        resume: blocking::Receiver<()>,
    },
    /// Seal the segment; answers the position after it.
    Roll(blocking::SyncSender<Result<Position>>),
    Stop,
}

/// One batch while it is put together.
pub(crate) struct Batch<'a> {
    pub(crate) tx: IndexTx<'a>,
    pieces: Vec<Piece>,
    start: Position,
    at: u64,
    salt: u32,
    octets: usize,
    failed: Option<StoreError>,
}

impl Batch<'_> {
    pub(crate) fn shard(&self) -> u32 {
        self.tx.hot.shard
    }

    /// Writes the records of one operation and applies them.
    pub(crate) fn write(&mut self, records: &[Record], parts: Vec<Part>) -> Result<()> {
        let written = self.try_write(records, parts);
        match &written {
            // Refused before anything was done.
            Ok(()) | Err(StoreError::Invalid(_)) => {}
            // What was applied of it stays applied until the roll-back: the batch is lost.
            Err(error) => self.failed = Some(error.clone()),
        }
        written
    }

    fn try_write(&mut self, records: &[Record], parts: Vec<Part>) -> Result<()> {
        let encoded = record::encode(records);
        if encoded.len() > record::MAX_META / 2 || parts.len() > frame::MAX_PARTS {
            return Err(StoreError::Invalid("the operation is too large".to_owned()));
        }
        let sums: Vec<PartSum> = parts.iter().map(Part::sum).collect();
        let sequence = self.tx.hot.counters.sequence;
        let head = frame::head(&encoded, &sums, self.start.offset, sequence, self.salt);
        let mut offset = self.at + head.len() as u64;
        debug_assert!(head.len() >= HEADER);
        let mut places = Vec::with_capacity(sums.len());
        for sum in &sums {
            places.push(PartPlace { offset, length: sum.length, crc: sum.crc });
            offset += sum.length;
        }
        self.push(&head);
        for part in parts {
            match part {
                Part::Memory { bytes, .. } => self.push(&bytes),
                Part::Spooled(spooled) => {
                    self.octets += BATCH_OCTETS;
                    self.pieces.push(Piece::Spooled(spooled));
                }
            }
        }
        self.at = offset;
        self.tx.hot.counters.sequence = sequence + 1;
        self.tx.apply(records, &Place { segment: self.start.segment, parts: &places })
    }

    fn push(&mut self, bytes: &[u8]) {
        self.octets += bytes.len();
        if let Some(Piece::Bytes(buffer)) = self.pieces.last_mut() {
            buffer.extend_from_slice(bytes);
        } else {
            let mut buffer = Vec::with_capacity(bytes.len().max(16 * 1024));
            buffer.extend_from_slice(bytes);
            self.pieces.push(Piece::Bytes(buffer));
        }
    }

    fn is_full(&self) -> bool {
        self.octets >= BATCH_OCTETS || self.failed.is_some()
    }
}

/// What the writer tells the rest of the store after a commit.
pub(crate) trait Outcome: Send {
    /// Acts on the effects of a batch, in order.
    fn happened(&self, shard: u32, effects: Vec<Effect>);
    /// True if changes should be made up for the feed.
    fn is_heard(&self) -> bool;
}

pub(crate) struct Writer {
    pub(crate) db: Connection,
    pub(crate) hot: Hot,
    pub(crate) tail: Tail,
    pub(crate) files: Arc<dyn Files>,
    pub(crate) outcome: Box<dyn Outcome>,
    pub(crate) segment_size: u64,
    /// Frames in SQLite's log when it was last looked at.
    pub(crate) log_frames: Arc<AtomicU64>,
    /// Batches committed since the log was last looked at.
    pub(crate) batches: Arc<AtomicU64>,
}

impl Writer {
    /// Works until told to stop or nobody can ask any more.
    pub(crate) fn run(mut self, mut waiting: mpsc::Receiver<Command>) {
        while let Some(command) = waiting.blocking_recv() {
            let control = match command {
                Command::Job(job) => self.batch(job, &mut waiting),
                other => Some(other),
            };
            if control.is_some_and(|command| self.control(command)) {
                break;
            }
        }
        self.tail.trim();
        if let Err(error) = self.db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)") {
            tracing::warn!("the index could not be tidied at the end: {error}");
        }
    }

    /// Does what is done between batches; true to stop.
    fn control(&mut self, command: Command) -> bool {
        match command {
            Command::Stop => return true,
            Command::Pause { reached, resume } => {
                if reached.send(self.tail.position()).is_ok() {
                    // Whoever asked lets go by speaking or by going away.
                    let _ = resume.recv();
                }
            }
            Command::Roll(answer) => {
                let rolled = self.tail.roll().map(|()| self.tail.position());
                let _ = answer.send(rolled.map_err(|error| unavailable(&error)));
            }
            Command::Job(job) => self.one(job),
        }
        false
    }

    fn one(&mut self, job: Job) {
        let (_, mut nothing) = mpsc::channel(1);
        // With nothing waiting, no other command can come out of it.
        let _ = self.batch(job, &mut nothing);
    }

    /// One batch; answers the command that ended it, if one did.
    fn batch(&mut self, first: Job, waiting: &mut mpsc::Receiver<Command>) -> Option<Command> {
        let heard = self.outcome.is_heard();
        let before = self.hot.counters;
        let begun = self
            .tail
            .prepare(self.segment_size)
            .map_err(|error| unavailable(&error))
            .and_then(|()| IndexTx::begin(&self.db, &mut self.hot, heard));
        let tx = match begun {
            Ok(tx) => tx,
            Err(error) => {
                tracing::error!("storage does not take anything now: {error}");
                refuse(first, &error);
                return None;
            }
        };
        let start = self.tail.position();
        let mut batch = Batch {
            tx,
            pieces: Vec::new(),
            start,
            at: start.offset,
            salt: self.tail.salt(),
            octets: 0,
            failed: None,
        };
        let mut answers = vec![first(Ok(&mut batch))];
        let mut control = None;
        while answers.len() < BATCH_OPERATIONS && !batch.is_full() {
            match waiting.try_recv() {
                Ok(Command::Job(job)) => answers.push(job(Ok(&mut batch))),
                Ok(other) => {
                    control = Some(other);
                    break;
                }
                Err(_) => break,
            }
        }
        let result = finish(batch, &mut self.tail, &*self.files, before);
        match result {
            Ok(effects) => {
                self.outcome.happened(self.hot.shard, effects);
                for answer in answers {
                    answer(None);
                }
            }
            Err(error) => {
                tracing::error!("a batch of {} operations was refused: {error}", answers.len());
                for answer in answers {
                    answer(Some(&error));
                }
            }
        }
        self.tidy_log();
        control
    }

    /// SQLite's log starts over when all of it is in the database and nobody is reading it; most
    /// of the work is done in the background, this is the rest.
    fn tidy_log(&mut self) {
        self.batches.fetch_add(1, Ordering::Relaxed);
        if self.log_frames.load(Ordering::Relaxed) > LOG_FRAMES {
            self.log_frames.store(0, Ordering::Relaxed);
            let tidied = self.db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
            if let Err(error) = tidied {
                tracing::warn!("the index log could not be tidied: {error}");
            }
        }
    }
}

pub(crate) fn unavailable(error: &std::io::Error) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

fn refuse(job: Job, error: &StoreError) {
    job(Err(error.clone()))(None);
}

/// Makes a batch durable, or undoes it.
fn finish(
    batch: Batch<'_>,
    tail: &mut Tail,
    files: &dyn Files,
    before: crate::index::Counters,
) -> Result<Vec<Effect>> {
    let Batch { mut tx, pieces, start, at, failed, .. } = batch;
    if let Some(error) = failed {
        tx.rollback(before);
        // A rule of the contract broken by one operation is not the others' fault.
        return Err(match error {
            StoreError::Unavailable(_) | StoreError::Damaged(_) => error,
            other => StoreError::Unavailable(other.to_string()),
        });
    }
    if pieces.is_empty() {
        tx.run("COMMIT", [])?;
        return Ok(Vec::new());
    }
    let sequence = tx.hot.counters.sequence;
    let committed = tail
        .write(&pieces)
        .and_then(|()| files.before_index_commit())
        .map_err(|error| unavailable(&error))
        .and_then(|()| tx.commit(Position { segment: start.segment, offset: at }));
    match committed {
        Ok(effects) => {
            tail.accept(at, sequence);
            Ok(effects)
        }
        Err(error) => {
            tx.rollback(before);
            tail.take_back();
            Err(error)
        }
    }
}
