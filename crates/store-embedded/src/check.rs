//! Checking a base that nobody has open, and making its index anew.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use angarium_store::{BodyId, FlagBits, Result, StoreError};
use rusqlite::Connection;

use crate::files::SystemFiles;
use crate::index::references::home;
use crate::index::{all, misfit, schema, sql};
use crate::index::{file_rows, mail_rows};
use crate::journal::Position;
use crate::journal::scan::{Damage, Scan, scan};
use crate::journal::segment::SEGMENT_HEADER;
use crate::recovery::{self, ScanError, Segments, decode};
use crate::{lock, search, version};

/// Differences of one kind named in full; the others are counted.
const NAMED: usize = 20;

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// What is wrong with the journal: file, offset, what.
    pub damages: Vec<Damage>,
    /// What the index has otherwise than the journal, and broken invariants. An index can be made
    /// anew.
    pub differences: Vec<String>,
    /// Space or references that a crash left and that the next start gives back, and what is
    /// derived for search if it was damaged (it is removed and made again).
    pub leaks: Vec<String>,
    /// Segments read.
    pub segments: u64,
    /// Frames whose checksums were verified.
    pub frames: u64,
    /// Bodies whose checksums were verified.
    pub bodies: u64,
}

impl CheckReport {
    /// True if nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.damages.is_empty() && self.differences.is_empty()
    }
}

/// The shards of a base that is there.
fn shards_of(base: &Path) -> Result<u32> {
    match version::read(base)? {
        Some(_) => version::open(base, 1, &SystemFiles),
        None => Err(StoreError::Invalid(format!("{} is not a base directory", base.display()))),
    }
}

fn shard_directory(base: &Path, number: u32) -> PathBuf {
    base.join(format!("shard-{number}"))
}

/// Makes the index of every shard anew from its journal: mailboxes, UIDs, flags, the queue, the
/// directory and the settings come back as they were. Answers what was found damaged.
///
/// # Errors
/// `Invalid` if this is no base, is of a newer format or is in use.
pub fn rebuild_index(base: &Path) -> Result<Vec<Damage>> {
    let _lock = lock::take(base)?;
    let mut damages = Vec::new();
    for number in 0..shards_of(base)? {
        let directory = shard_directory(base, number);
        let index = directory.join("index.sqlite");
        let known = recovery::known_position(&index);
        recovery::remove_index(&index)?;
        search::remove(&directory)?;
        let files = Arc::new(SystemFiles);
        damages.append(&mut recovery::recover(files, &directory, number, known)?.damages);
    }
    Ok(damages)
}

/// Verifies every checksum of the journal, holds the index against the journal and against
/// itself, and names what is wrong. Brings the index up to the journal first, as a start does.
///
/// # Errors
/// `Invalid` if this is no base, is of a newer format or is in use; `Unavailable` if it cannot be
/// read.
pub fn check(base: &Path) -> Result<CheckReport> {
    let _lock = lock::take(base)?;
    let mut report = CheckReport::default();
    let mut indexes = Vec::new();
    for number in 0..shards_of(base)? {
        let directory = shard_directory(base, number);
        let known = recovery::known_position(&directory.join("index.sqlite"));
        verify_journal(&directory.join("segments"), known, &mut report)?;
        let recovered =
            recovery::recover(Arc::new(SystemFiles), &directory, number, Position::default())?;
        for damage in recovered.damages {
            if !report.damages.contains(&damage) {
                report.damages.push(damage);
            }
        }
        compare_with_journal(&directory, number, &recovered.db, &mut report)?;
        if let Some(wrong) = search::verify(&directory, &recovered.db)? {
            report.leaks.push(format!("shard {number}: what search keeps is made anew: {wrong}"));
        }
        indexes.push(recovered.db);
    }
    for (number, db) in (0u32..).zip(&indexes) {
        check_counters(db, number, &mut report)?;
        check_references(&indexes, number, db, &mut report)?;
    }
    Ok(report)
}

/// Reads all segments and verifies every checksum in them.
fn verify_journal(directory: &Path, known: Position, report: &mut CheckReport) -> Result<()> {
    let mut damages = Vec::new();
    let mut segments = Segments::find(directory, &mut damages)?;
    segments.known = known;
    let mut sequence = None;
    for (number, sealed_at) in &segments.all {
        let reader = segments.open(*number)?;
        report.segments += 1;
        let after_gap = segments.missing.contains(&number.saturating_sub(1));
        if after_gap {
            sequence = None;
        }
        let mut gaps = Vec::new();
        let how = Scan {
            from: SEGMENT_HEADER as u64,
            sealed_at: *sealed_at,
            synced: segments.synced(*number),
            verify_parts: true,
        };
        scan(&reader, how, &mut damages, |frame| {
            report.frames += 1;
            report.bodies += frame.parts.len() as u64;
            decode(&frame)?;
            let expected = sequence.replace(frame.header.sequence + 1);
            if expected.is_some_and(|expected| expected != frame.header.sequence) {
                gaps.push(Damage {
                    file: reader.path.clone(),
                    offset: frame.start,
                    what: format!("frame {} is out of order", frame.header.sequence),
                });
            }
            Ok::<(), ScanError>(())
        })?;
        damages.append(&mut gaps);
    }
    report.damages.append(&mut damages);
    Ok(())
}

/// Builds a second index from the journal and holds the first against it, row by row.
fn compare_with_journal(
    directory: &Path,
    number: u32,
    index: &Connection,
    report: &mut CheckReport,
) -> Result<()> {
    let place = directory.join("index.check");
    recovery::remove_index(&place)?;
    let mut ignored = Vec::new();
    let mut segments = Segments::find(&directory.join("segments"), &mut ignored)?;
    segments.known = schema::state(index)?.1;
    let tolerant = !report.damages.is_empty();
    match recovery::build(&place, number, &segments, tolerant, &mut ignored) {
        Ok(()) => {}
        Err(StoreError::Damaged(why)) => {
            report.differences.push(format!("shard {number}: {why}"));
            return recovery::remove_index(&place);
        }
        Err(error) => return Err(error),
    }
    let fresh =
        schema::open_writer(&place)?.ok_or_else(|| misfit("a new index that is not one"))?;
    let tables = schema::CHECKPOINT_TABLES.iter().map(|(_, table, key)| (*table, *key));
    for (table, key) in tables.chain([("bodies", "id")]) {
        // The position differs by design, and what is next may after a checkpoint.
        if table != "state" {
            compare_table(index, &fresh, table, key, number, report)?;
        }
    }
    drop(fresh);
    recovery::remove_index(&place)
}

fn compare_table(
    index: &Connection,
    fresh: &Connection,
    table: &str,
    key: &str,
    shard: u32,
    report: &mut CheckReport,
) -> Result<()> {
    let text = format!("SELECT * FROM {table} ORDER BY {key}");
    let (mut one, mut two) =
        (index.prepare(&text).map_err(sql)?, fresh.prepare(&text).map_err(sql)?);
    let columns = one.column_count();
    let row_of = |row: &rusqlite::Row<'_>| -> rusqlite::Result<Vec<rusqlite::types::Value>> {
        (0..columns).map(|column| row.get(column)).collect()
    };
    let mut left = one.query([]).map_err(sql)?;
    let mut right = two.query([]).map_err(sql)?;
    let mut different = 0usize;
    let mut tell = |what: String| {
        different += 1;
        if different <= NAMED {
            report.differences.push(what);
        }
    };
    loop {
        let a = left.next().map_err(sql)?.map(row_of).transpose().map_err(sql)?;
        let b = right.next().map_err(sql)?.map(row_of).transpose().map_err(sql)?;
        match (a, b) {
            (None, None) => return Ok(()),
            (a, b) if a == b => {}
            (a, b) => {
                let key = |row: Option<Vec<rusqlite::types::Value>>| {
                    row.map_or("nothing".to_owned(), |row| {
                        format!("{:?}", row.into_iter().take(2).collect::<Vec<_>>())
                    })
                };
                tell(format!(
                    "shard {shard}, table {table}: the index has {}, the journal {}",
                    key(a.clone()),
                    key(b.clone())
                ));
                if a.is_none() || b.is_none() {
                    return Ok(());
                }
            }
        }
    }
}

/// Counters of mailboxes against their messages.
fn check_counters(db: &Connection, shard: u32, report: &mut CheckReport) -> Result<()> {
    let ids = all(db, "SELECT id FROM mailboxes ORDER BY id", [], |row| row.get::<_, u64>(0))?;
    for id in ids {
        let id = angarium_store::MailboxId(id);
        let Some((account, record)) = mail_rows::mailbox(db, id)? else { continue };
        let entries = mail_rows::messages(db, id, angarium_store::ModSeq(0), 0)?;
        let unseen = entries.iter().filter(|e| !e.flags.bits.contains(FlagBits::SEEN)).count();
        let deleted = entries.iter().filter(|e| e.flags.bits.contains(FlagBits::DELETED)).count();
        let size: u64 = entries.iter().map(|e| e.size).sum();
        let right = record.messages as usize == entries.len()
            && record.unseen as usize == unseen
            && record.deleted as usize == deleted
            && record.size == size
            && entries.iter().all(|e| e.uid < record.uid_next && e.modseq <= record.highest_modseq);
        if !right {
            report.differences.push(format!(
                "shard {shard}: the counters of mailbox {} of account {account} are wrong",
                record.name
            ));
        }
    }
    Ok(())
}

/// Every reference has its body, and every body as many references as it counts.
fn check_references(
    indexes: &[Connection],
    number: u32,
    db: &Connection,
    report: &mut CheckReport,
) -> Result<()> {
    let mut counted: HashMap<u64, u64> = HashMap::new();
    for body in mail_rows::bodies(db)?.into_iter().chain(file_rows::bodies(db)?) {
        *counted.entry(body.0).or_default() += 1;
    }
    for text in ["SELECT body FROM queue", "SELECT body FROM holds"] {
        for body in all(db, text, [], |row| row.get::<_, u64>(0))? {
            *counted.entry(body).or_default() += 1;
        }
    }
    let stored = "SELECT id, 1 + coalesce(refs, 0) FROM bodies LEFT JOIN more_refs ON body=id";
    let mut known: HashMap<u64, u64> =
        all(db, stored, [], |row| Ok((row.get(0)?, row.get(1)?)))?.into_iter().collect();
    let borrowed: HashMap<u64, u64> =
        all(db, "SELECT body, refs FROM borrowed", [], |row| Ok((row.get(0)?, row.get(1)?)))?
            .into_iter()
            .collect();
    for (body, count) in &counted {
        let (body, own) = (BodyId(*body), home(BodyId(*body)) == number);
        let has = if own { known.remove(&body.0) } else { borrowed.get(&body.0).copied() };
        if has != Some(*count) {
            report.differences.push(format!(
                "shard {number}: body {body} is referred to {count} times and counts {}",
                has.unwrap_or(0)
            ));
        }
        if !own && !is_held(indexes, body, number)? {
            report.differences.push(format!("shard {number}: body {body} is not held for it"));
        }
    }
    for body in known.keys() {
        report.differences.push(format!("shard {number}: nothing refers to body {body}"));
    }
    let holds = all(db, "SELECT body, holder FROM holds", [], |row| {
        Ok((row.get::<_, u64>(0)?, row.get::<_, u32>(1)?))
    })?;
    for (body, holder) in holds {
        let Some(other) = indexes.get(holder as usize) else { continue };
        let text = "SELECT 1 FROM borrowed WHERE body=?1 AND refs>0";
        if crate::index::one(other, text, [body], |_| Ok(()))?.is_none() {
            report.leaks.push(format!(
                "shard {number}: body {body} is held for shard {holder}, which does not use it"
            ));
        }
    }
    Ok(())
}

fn is_held(indexes: &[Connection], body: BodyId, holder: u32) -> Result<bool> {
    let Some(db) = indexes.get(home(body) as usize) else { return Ok(false) };
    let text = "SELECT 1 FROM holds WHERE body=?1 AND holder=?2";
    Ok(crate::index::one(db, text, (body.0, holder), |_| Ok(()))?.is_some())
}
