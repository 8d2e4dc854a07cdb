//! Bringing a shard's index up to its journal: at start the records past the index's position are
//! applied again; an index that is missing, unreadable or of another version is made anew from
//! the first record, or from the last checkpoint and the bodies before it.
//!
//! A torn tail is cut. Damage is reported and gone around, never passed over in silence.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use angarium_store::{Result, StoreError};
use rusqlite::Connection;

use crate::compaction::checkpoint::{self, Checkpoint};
use crate::files::Files;
use crate::index::{Hot, IndexTx, Place, misfit, schema, sql};
use crate::journal::Position;
use crate::journal::scan::{Damage, Scan, scan};
use crate::journal::segment::{self, Frame, SEGMENT_HEADER, SegmentReader};
use crate::journal::tail::Tail;
use crate::record::{self, Record};
use crate::writer::unavailable;

/// Frames applied in one transaction of the index.
const FRAMES_A_COMMIT: u64 = 5_000;

/// A shard ready for its writer.
pub(crate) struct Recovered {
    pub(crate) db: Connection,
    pub(crate) hot: Hot,
    pub(crate) tail: Tail,
    pub(crate) damages: Vec<Damage>,
}

/// The segments of a shard and how long each is valid.
pub(crate) struct Segments {
    directory: PathBuf,
    /// Number, and the valid length if a follower tells it.
    pub(crate) all: Vec<(u64, Option<u64>)>,
    /// Numbers that are not there although later ones are: compacted away, or lost.
    pub(crate) missing: Vec<u64>,
    /// An index has told that the journal was synced up to here.
    pub(crate) known: Position,
}

impl Segments {
    pub(crate) fn find(directory: &Path, damages: &mut Vec<Damage>) -> Result<Self> {
        let numbers = segment::list(directory).map_err(|error| unavailable(&error))?;
        let mut all: Vec<(u64, Option<u64>)> = Vec::new();
        let mut missing = Vec::new();
        let mut next = 1;
        for number in numbers {
            missing.extend(next..number);
            next = number.saturating_add(1);
            match SegmentReader::open(directory, number) {
                Ok(reader) => {
                    if let Some((before, sealed_at)) = all.last_mut() {
                        if reader.header.previous == *before {
                            *sealed_at = Some(reader.header.previous_length);
                        } else {
                            // What was between is gone; that one ended all the same, and a
                            // compaction has cut it to its valid length.
                            *sealed_at = Some(u64::MAX);
                        }
                    }
                    all.push((number, None));
                }
                Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                    damages.push(Damage {
                        file: segment::path(directory, number),
                        offset: 0,
                        what: error.to_string(),
                    });
                    if let Some((_, sealed_at)) = all.last_mut() {
                        *sealed_at = Some(u64::MAX);
                    }
                }
                Err(error) => return Err(unavailable(&error)),
            }
        }
        Ok(Self { directory: directory.to_owned(), all, missing, known: Position::default() })
    }

    /// How much of a segment is known to have been synced.
    pub(crate) fn synced(&self, number: u64) -> u64 {
        match number.cmp(&self.known.segment) {
            std::cmp::Ordering::Less => u64::MAX,
            std::cmp::Ordering::Equal => self.known.offset,
            std::cmp::Ordering::Greater => 0,
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.clone()
    }

    pub(crate) fn open(&self, number: u64) -> Result<SegmentReader> {
        SegmentReader::open(&self.directory, number).map_err(|error| unavailable(&error))
    }
}

/// Errors of a scan: reading, or applying.
pub(crate) enum ScanError {
    Io(std::io::Error),
    Store(StoreError),
}

impl From<std::io::Error> for ScanError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<ScanError> for StoreError {
    fn from(error: ScanError) -> Self {
        match error {
            ScanError::Io(error) => unavailable(&error),
            ScanError::Store(error) => error,
        }
    }
}

/// Where an index that is there has got to, as far as it can still be read.
pub(crate) fn known_position(index: &Path) -> Position {
    let read = || {
        if !index.exists() {
            return None;
        }
        let db = schema::open_reader(index).ok()?;
        schema::state(&db).ok().map(|(_, position)| position)
    };
    read().unwrap_or_default()
}

/// Opens one shard. `known`: what an index told that is not there any more.
pub(crate) fn recover(
    files: Arc<dyn Files>,
    directory: &Path,
    shard: u32,
    known: Position,
) -> Result<Recovered> {
    let segments_directory = directory.join("segments");
    std::fs::create_dir_all(&segments_directory).map_err(|error| unavailable(&error))?;
    files.sync_directory(directory).map_err(|error| unavailable(&error))?;
    let index = directory.join("index.sqlite");
    let mut damages = Vec::new();
    let mut segments = Segments::find(&segments_directory, &mut damages)?;
    segments.known = known;
    let db = match schema::open_writer(&index)? {
        Some(db) if !is_behind_a_gap(&db, &segments)? => db,
        _ => {
            if !segments.all.is_empty() {
                tracing::warn!(shard, "the index is made anew from the journal");
            }
            renew(&index, shard, &segments, &mut damages)?
        }
    };
    let (mut hot, position) = Hot::load(shard, &db)?;
    let before = damages.len();
    let (db, mut hot, end) = match replay(&db, &mut hot, &segments, position, false, &mut damages) {
        Err(StoreError::Damaged(why)) => {
            tracing::error!(shard, "{why}; the index is made anew from the journal");
            damages.truncate(before);
            drop(db);
            let db = renew(&index, shard, &segments, &mut damages)?;
            let (mut hot, position) = Hot::load(shard, &db)?;
            let end = replay(&db, &mut hot, &segments, position, true, &mut damages)?;
            (db, hot, end)
        }
        end => {
            let end = end?;
            (db, hot, end)
        }
    };
    hot.reset(hot.counters);
    let tail = open_tail(files, segments_directory, shard, &segments, end, &hot, &mut damages)?;
    Ok(Recovered { db, hot, tail, damages })
}

/// Puts a new index in the place of whatever is there.
fn renew(
    index: &Path,
    shard: u32,
    segments: &Segments,
    damages: &mut Vec<Damage>,
) -> Result<Connection> {
    remove_index(index)?;
    let before = damages.len();
    match build(index, shard, segments, false, damages) {
        Err(StoreError::Damaged(why)) => {
            tracing::error!(shard, "{why}; going around it");
            damages.truncate(before);
            build(index, shard, segments, true, damages)?;
        }
        other => other?,
    }
    schema::open_writer(index)?.ok_or_else(|| misfit("a new index that is not one"))
}

/// True if records the index has not seen are no longer there as such: segments after its
/// position are missing.
fn is_behind_a_gap(db: &Connection, segments: &Segments) -> Result<bool> {
    let (_, position) = schema::state(db)?;
    Ok(segments.missing.iter().any(|number| *number >= position.segment.max(1)))
}

fn open_tail(
    files: Arc<dyn Files>,
    directory: PathBuf,
    shard: u32,
    segments: &Segments,
    end: Position,
    hot: &Hot,
    damages: &mut Vec<Damage>,
) -> Result<Tail> {
    let sequence = hot.counters.sequence;
    // A file of a damaged or foreign header keeps its number.
    let highest = segment::list(&directory).map_err(|error| unavailable(&error))?;
    let highest = highest.last().copied().unwrap_or(0);
    let last = segments.all.last().map_or(0, |(number, _)| *number);
    let opened = if last == end.segment && last == highest && last != 0 {
        let reader = segments.open(last)?;
        if end.offset <= reader.length {
            Tail::resume(files, directory, &reader.header, end.offset, sequence)
        } else {
            damages.push(Damage {
                file: reader.path.clone(),
                offset: reader.length,
                what: format!("the journal ends here, the index knows it up to {}", end.offset),
            });
            let previous = Position { segment: last, offset: reader.length };
            Tail::begin(files, directory, shard, previous, sequence)
        }
    } else {
        let previous = Position { segment: highest.max(end.segment), offset: end.offset };
        Tail::begin(files, directory, shard, previous, sequence)
    };
    opened.map_err(|error| unavailable(&error))
}

pub(crate) fn remove_index(index: &Path) -> Result<()> {
    for end in ["", "-wal", "-shm"] {
        let mut name = index.as_os_str().to_owned();
        name.push(end);
        match std::fs::remove_file(PathBuf::from(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(unavailable(&error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Makes an index from nothing but segments, in a file of another name until it is whole.
pub(crate) fn build(
    index: &Path,
    shard: u32,
    segments: &Segments,
    tolerant: bool,
    damages: &mut Vec<Damage>,
) -> Result<()> {
    let unnamed = index.with_extension("new");
    remove_index(&unnamed)?;
    let db = schema::open_writer(&unnamed)?.ok_or_else(|| misfit("a new index that is not one"))?;
    db.pragma_update(None, "synchronous", "OFF").map_err(sql)?;
    let (mut hot, _) = Hot::load(shard, &db)?;
    let from = match checkpoint::find(segments, damages)? {
        Some(found) => start_from(&db, &mut hot, segments, &found, damages)?,
        None => Position::default(),
    };
    replay(&db, &mut hot, segments, from, tolerant, damages)?;
    db.pragma_update(None, "synchronous", "FULL").map_err(sql)?;
    db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").map_err(sql)?;
    drop(db);
    let synced = std::fs::File::open(&unnamed).and_then(|file| file.sync_all());
    synced.and_then(|()| std::fs::rename(&unnamed, index)).map_err(|error| unavailable(&error))
}

/// Loads a checkpoint: the bodies that lie before it, then the rows it holds.
fn start_from(
    db: &Connection,
    hot: &mut Hot,
    segments: &Segments,
    found: &Checkpoint,
    damages: &mut Vec<Damage>,
) -> Result<Position> {
    let mut tx = IndexTx::begin(db, hot, false)?;
    for (number, sealed_at) in &segments.all {
        if *number > found.position.segment {
            break;
        }
        let reader = segments.open(*number)?;
        let sealed_at = if *number == found.position.segment {
            Some(found.position.offset)
        } else {
            *sealed_at
        };
        let how = Scan { from: SEGMENT_HEADER as u64, sealed_at, synced: 0, verify_parts: false };
        scan(&reader, how, damages, |frame| {
            let place = Place { segment: *number, parts: &frame.parts };
            for record in decode(&frame)? {
                tx.body_of(&record, &place).map_err(ScanError::Store)?;
            }
            Ok::<(), ScanError>(())
        })?;
    }
    checkpoint::load(&mut tx, segments, found)?;
    tx.hot.live.clear();
    tx.drop_unreferenced()?;
    tx.hot.live.clear();
    checkpoint::count_live(&tx)?;
    tx.run("COMMIT", [])?;
    drop(tx);
    let (reloaded, position) = Hot::load(hot.shard, db)?;
    *hot = reloaded;
    Ok(position)
}

pub(crate) fn decode(frame: &Frame) -> std::result::Result<Vec<Record>, ScanError> {
    record::decode(&frame.records).map_err(|record::code::Malformed| {
        ScanError::Store(StoreError::Damaged(format!(
            "the frame at {} has records this version cannot read",
            frame.start
        )))
    })
}

/// Applies everything past a position and answers where the journal ends.
fn replay(
    db: &Connection,
    hot: &mut Hot,
    segments: &Segments,
    from: Position,
    tolerant: bool,
    damages: &mut Vec<Damage>,
) -> Result<Position> {
    let mut end = from;
    for (number, sealed_at) in &segments.all {
        if *number < from.segment {
            continue;
        }
        let reader = segments.open(*number)?;
        let begin = if *number == from.segment { from.offset } else { SEGMENT_HEADER as u64 };
        if begin > reader.length {
            // Told of when the tail is opened.
            end = Position { segment: *number, offset: begin };
            continue;
        }
        let mut run = Replay { db, hot, open: false, frames: 0, tolerant, damages: Vec::new() };
        let how = Scan {
            from: begin,
            sealed_at: *sealed_at,
            synced: segments.synced(*number),
            verify_parts: false,
        };
        let reached = scan(&reader, how, damages, |frame| run.frame(&reader, &frame));
        damages.append(&mut run.damages);
        end = Position { segment: *number, offset: reached? };
        run.commit(end)?;
    }
    Ok(end)
}

/// Applying frames, many in a transaction.
struct Replay<'a> {
    db: &'a Connection,
    hot: &'a mut Hot,
    open: bool,
    frames: u64,
    /// Go on after a frame that does not fit what is left of the ones before it.
    tolerant: bool,
    damages: Vec<Damage>,
}

impl Replay<'_> {
    fn begin(&mut self) -> Result<()> {
        if !self.open {
            IndexTx::begin(self.db, self.hot, false)?;
            self.open = true;
        }
        Ok(())
    }

    fn commit(&mut self, position: Position) -> Result<()> {
        self.begin()?;
        self.open = false;
        IndexTx::inside(self.db, self.hot).commit(position).map(drop)
    }

    fn frame(
        &mut self,
        reader: &SegmentReader,
        frame: &Frame,
    ) -> std::result::Result<(), ScanError> {
        self.begin().map_err(ScanError::Store)?;
        let expected = self.hot.counters.sequence;
        if frame.header.sequence != expected {
            self.report(
                reader,
                frame,
                format!("records {expected} to {} are missing", frame.header.sequence),
            );
        }
        self.hot.counters.sequence = frame.header.sequence.saturating_add(1);
        let records = decode(frame)?;
        let place = Place { segment: reader.header.number, parts: &frame.parts };
        let applied = if self.tolerant {
            self.try_apply(&records, &place)
        } else {
            IndexTx::inside(self.db, self.hot).apply(&records, &place)
        };
        match applied {
            Err(StoreError::Damaged(why)) if self.tolerant => self.report(reader, frame, why),
            other => other.map_err(ScanError::Store)?,
        }
        self.frames += 1;
        if self.frames.is_multiple_of(FRAMES_A_COMMIT) {
            let position = Position { segment: reader.header.number, offset: frame.end };
            self.commit(position).map_err(ScanError::Store)?;
        }
        Ok(())
    }

    /// Applies a frame whole or not at all.
    fn try_apply(&mut self, records: &[Record], place: &Place<'_>) -> Result<()> {
        let counters = self.hot.counters;
        let mut tx = IndexTx::inside(self.db, self.hot);
        tx.flush()?;
        tx.run("SAVEPOINT frame", [])?;
        let applied = tx.apply(records, place).and_then(|()| tx.flush());
        if applied.is_err() {
            tx.run("ROLLBACK TO frame", [])?;
            tx.hot.reset(counters);
        }
        tx.run("RELEASE frame", [])?;
        applied
    }

    fn report(&mut self, reader: &SegmentReader, frame: &Frame, what: String) {
        self.damages.push(Damage { file: reader.path.clone(), offset: frame.start, what });
    }
}
