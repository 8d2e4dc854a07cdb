//! Giving dead space back: live bodies of a mostly dead segment are copied forward, a checkpoint
//! stands in for the records in it, the index is made durable past it, and then the segment goes.
//! A crash between any two of these steps leaves everything readable.

pub(crate) mod checkpoint;

use angarium_store::{BodyId, Result, StoreError};
use bytes::Bytes;
use rusqlite::Connection;

use crate::embedded::{Embedded, Inner, off_the_runtime};
use crate::index::{all, one, schema, sql};
use crate::journal::Position;
use crate::journal::frame;
use crate::journal::segment::{self, SegmentReader};
use crate::record::{NewBody, Record};
use crate::shard::{Lay, Shard, lay};
use crate::writer::{Command, Part, unavailable};

/// Octets of bodies copied in one operation, about.
const COPY: u64 = 4 << 20;

/// What a compaction did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Segments removed.
    pub segments: u64,
    /// Their octets.
    pub freed: u64,
    /// Octets of live bodies copied forward.
    pub copied: u64,
}

impl Embedded {
    /// Gives back the space of every sealed segment more than half of which is dead. Others go on
    /// meanwhile. Blocks until done.
    ///
    /// # Errors
    /// `Unavailable` when there is no room or the store is closed; nothing is lost then.
    pub fn compact(&self) -> Result<Compacted> {
        self.is_open()?;
        off_the_runtime(|| {
            let _one_at_a_time =
                self.inner.maintenance.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            compact_all(&self.inner, |_| Ok(0))
        })
    }

    /// Begins a new segment in every shard, so that the ones before can be compacted or copied.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be made.
    pub fn seal_segments(&self) -> Result<()> {
        self.is_open()?;
        off_the_runtime(|| {
            for shard in &self.inner.shards {
                let (answer, rolled) = std::sync::mpsc::sync_channel(1);
                let sent = shard.waiting.blocking_send(Command::Roll(answer));
                sent.map_err(|_| crate::reader::closed())?;
                rolled.recv().map_err(|_| crate::reader::closed())??;
            }
            Ok(())
        })
    }
}

/// Dead octets below which a compaction is not worth its checkpoint.
const LEAST: u64 = 64 << 20;

/// Compacts the shards in which more is to be had than a checkpoint costs.
pub(crate) fn compact_where_it_pays(inner: &Inner) -> Result<Compacted> {
    compact_all(inner, |shard| {
        let index = std::fs::metadata(shard.directory.join("index.sqlite"));
        Ok(index.map_err(|error| unavailable(&error))?.len().max(LEAST))
    })
}

fn compact_all(inner: &Inner, least: impl Fn(&Shard) -> Result<u64>) -> Result<Compacted> {
    let mut sum = Compacted::default();
    for shard in &inner.shards {
        let done = compact_shard(inner, shard, least(shard)?)?;
        sum.segments += done.segments;
        sum.freed += done.freed;
        sum.copied += done.copied;
    }
    Ok(sum)
}

fn compact_shard(inner: &Inner, shard: &Shard, least: u64) -> Result<Compacted> {
    let mut done = Compacted::default();
    let directory = shard.segments_directory();
    let candidates = candidates(shard)?;
    let dead: u64 = candidates.iter().map(|(_, size)| size / 2).sum();
    if candidates.is_empty() || dead < least {
        return Ok(done);
    }
    for (number, _) in &candidates {
        done.copied += copy_forward(shard, *number)?;
    }
    let position = write_checkpoint(shard)?;
    make_index_durable(shard)?;
    for (number, size) in candidates {
        let left = shard.readers.read_here(|db| live_bodies(db, number))?;
        if number >= position.segment || !left.is_empty() {
            continue;
        }
        let io = |error: std::io::Error| unavailable(&error);
        cut_the_one_before(inner, &directory, number)?;
        inner.files.remove(&segment::path(&directory, number)).map_err(io)?;
        inner.files.sync_directory(&directory).map_err(io)?;
        shard.segments.forget(number);
        done.segments += 1;
        done.freed += size;
    }
    Ok(done)
}

/// Sealed segments more than half dead, with their sizes.
fn candidates(shard: &Shard) -> Result<Vec<(u64, u64)>> {
    let io = |error: std::io::Error| unavailable(&error);
    let directory = shard.segments_directory();
    let mut numbers = segment::list(&directory).map_err(io)?;
    // The last one is still being written.
    numbers.pop();
    let mut found = Vec::new();
    for number in numbers {
        let size = std::fs::metadata(segment::path(&directory, number)).map_err(io)?.len();
        let live: Option<i64> = shard.readers.read_here(|db| {
            one(db, "SELECT live FROM segments WHERE number=?1", [number], |row| row.get(0))
        })?;
        let live = u64::try_from(live.unwrap_or(0)).unwrap_or(0);
        if live.saturating_mul(2) < size {
            found.push((number, size));
        }
    }
    Ok(found)
}

fn live_bodies(db: &Connection, segment: u64) -> Result<Vec<(BodyId, u64)>> {
    all(db, "SELECT id, size FROM bodies WHERE segment=?1 ORDER BY offset", [segment], |row| {
        Ok((BodyId(row.get(0)?), row.get(1)?))
    })
}

/// Copies the live bodies of a segment to the end of the journal; answers their octets. A body
/// that fails its checksum stays where it is, and its segment with it.
fn copy_forward(shard: &Shard, number: u64) -> Result<u64> {
    let bodies = shard.readers.read_here(|db| live_bodies(db, number))?;
    let mut copied = 0;
    let mut group = Vec::new();
    let mut octets = 0;
    for (body, size) in bodies {
        group.push(body);
        octets += size;
        if octets >= COPY {
            copied += copy_group(shard, number, std::mem::take(&mut group))?;
            octets = 0;
        }
    }
    if !group.is_empty() {
        copied += copy_group(shard, number, group)?;
    }
    Ok(copied)
}

fn copy_group(shard: &Shard, number: u64, group: Vec<BodyId>) -> Result<u64> {
    let mut read: Vec<(NewBody, Lay, Bytes)> = Vec::new();
    for body in group {
        let found = shard.readers.read_here(|db| {
            let lay = lay(db, body)?;
            let text = "SELECT digest, summary FROM bodies WHERE id=?1";
            let facts = one(db, text, [body.0], |row| {
                Ok((row.get::<_, [u8; 32]>(0)?, row.get::<_, Vec<u8>>(1)?))
            })?;
            let (digest, summary) = facts.ok_or(StoreError::NotFound("body"))?;
            let new =
                NewBody { id: body, part: 0, size: lay.size, digest, summary: summary.into() };
            Ok((new, lay))
        });
        let (new, lay) = match found {
            Ok(found) => found,
            // It went meanwhile.
            Err(StoreError::NotFound(_)) => continue,
            Err(error) => return Err(error),
        };
        let bytes = Bytes::from(shard.segments.read(lay, 0, lay.size)?);
        if frame::crc(&bytes) == lay.crc {
            read.push((new, lay, bytes));
        } else {
            tracing::error!(
                "body {body} in segment {number} at {} fails its checksum; the segment stays",
                lay.offset
            );
        }
    }
    shard.submit_blocking(move |batch| {
        let mut records = Vec::new();
        let mut parts = Vec::new();
        let mut octets = 0;
        for (mut new, lay, bytes) in read {
            let text = "SELECT 1 FROM bodies WHERE id=?1 AND segment=?2";
            if batch.tx.one(text, (new.id.0, number), |_| Ok(()))?.is_none() {
                continue;
            }
            new.part = parts.len() as u32;
            octets += lay.size;
            parts.push(Part::Memory { bytes, crc: lay.crc });
            records.push(Record::Relocated { body: new });
        }
        if !records.is_empty() {
            batch.write(&records, parts)?;
        }
        Ok(octets)
    })
}

/// Writes a checkpoint and answers the position it speaks of.
fn write_checkpoint(shard: &Shard) -> Result<Position> {
    shard.readers.read_here(|db| {
        let (counters, position) = schema::state(db)?;
        // Sequence numbers never come twice.
        let checkpoint = counters.sequence;
        let mut pieces = 0u32;
        checkpoint::dump(db, |table, rows| {
            let number = pieces;
            pieces += 1;
            shard.submit_blocking(move |batch| {
                let record = Record::CheckpointRows { checkpoint, number, table, rows };
                batch.write(&[record], Vec::new())
            })
        })?;
        shard.submit_blocking(move |batch| {
            let Position { segment, offset } = position;
            let record = Record::CheckpointDone { checkpoint, pieces, segment, offset };
            batch.write(&[record], Vec::new())
        })?;
        Ok(position)
    })
}

/// After this the index on disk is past the checkpoint, whatever happens.
fn make_index_durable(shard: &Shard) -> Result<()> {
    let db = schema::open_checkpointer(&shard.directory.join("index.sqlite"))?;
    db.busy_timeout(std::time::Duration::from_secs(10)).map_err(sql)?;
    let busy: i64 =
        db.query_row("PRAGMA wal_checkpoint(FULL)", [], |row| row.get(0)).map_err(sql)?;
    if busy == 0 {
        Ok(())
    } else {
        Err(StoreError::Unavailable("the index is too busy for a compaction".to_owned()))
    }
}

/// The header of a segment tells how long the one before is. When the teller goes, the one before
/// is cut to that length.
fn cut_the_one_before(inner: &Inner, directory: &std::path::Path, number: u64) -> Result<()> {
    let io = |error: std::io::Error| unavailable(&error);
    let header = SegmentReader::open(directory, number).map_err(io)?.header;
    let before = segment::path(directory, header.previous);
    match std::fs::metadata(&before) {
        Ok(facts) if facts.len() > header.previous_length => {
            let mut file = inner.files.open(&before).map_err(io)?;
            file.truncate(header.previous_length).and_then(|()| file.sync()).map_err(io)
        }
        _ => Ok(()),
    }
}
