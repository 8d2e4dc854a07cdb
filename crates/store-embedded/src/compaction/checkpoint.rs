//! Checkpoints: the rows of the index as they stood at one position of the journal, written into
//! the journal itself, so that the segments before that position are needed for nothing but the
//! bodies in them.
//!
//! A checkpoint is taken from a reader's snapshot while the writer goes on: its pieces come later
//! in the journal than the position they speak of. When the index is made anew, the pieces are
//! loaded first and then everything after that position is applied.

use angarium_store::Result;
use bytes::Bytes;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, params_from_iter};

use crate::index::{IndexTx, misfit, schema, sql};
use crate::journal::Position;
use crate::journal::scan::{Damage, Scan, scan};
use crate::journal::segment::{self, SEGMENT_HEADER};
use crate::record::Record;
use crate::record::code::{Decoded, Get, Malformed, Put};
use crate::recovery::{ScanError, Segments, decode};

/// Octets of rows in one piece, about.
pub(crate) const PIECE: usize = 1 << 20;

/// A whole checkpoint found in the journal.
pub(crate) struct Checkpoint {
    pub(crate) id: u64,
    /// What it speaks of.
    pub(crate) position: Position,
    /// The segment its first piece lies in, and its last.
    first_segment: u64,
    last_segment: u64,
}

fn put_row(put: &mut Put, row: &rusqlite::Row<'_>, columns: usize) -> rusqlite::Result<()> {
    for column in 0..columns {
        match row.get_ref(column)? {
            ValueRef::Null => put.u8(0),
            ValueRef::Integer(n) => {
                put.u8(1);
                put.int(n);
            }
            ValueRef::Real(n) => {
                put.u8(4);
                put.raw(&n.to_le_bytes());
            }
            ValueRef::Text(text) => {
                put.u8(2);
                put.bytes(text);
            }
            ValueRef::Blob(blob) => {
                put.u8(3);
                put.bytes(blob);
            }
        }
    }
    Ok(())
}

fn get_value(get: &mut Get<'_>) -> Decoded<Value> {
    Ok(match get.u8()? {
        0 => Value::Null,
        1 => Value::Integer(get.int()?),
        2 => Value::Text(get.text()?),
        3 => Value::Blob(get.bytes()?.to_vec()),
        4 => Value::Real(f64::from_le_bytes(get.array()?)),
        _ => return Err(Malformed),
    })
}

/// Reads the rows of all tables from a snapshot, a piece at a time.
pub(crate) fn dump(db: &Connection, mut each: impl FnMut(u8, Bytes) -> Result<()>) -> Result<()> {
    for (number, table, key) in schema::CHECKPOINT_TABLES {
        let mut statement =
            db.prepare(&format!("SELECT * FROM {table} ORDER BY {key}")).map_err(sql)?;
        let columns = statement.column_count();
        let mut rows = statement.query([]).map_err(sql)?;
        let mut put = Put::new();
        while let Some(row) = rows.next().map_err(sql)? {
            put_row(&mut put, row, columns).map_err(sql)?;
            if put.bytes.len() >= PIECE {
                each(*number, std::mem::take(&mut put.bytes).into())?;
            }
        }
        if !put.bytes.is_empty() {
            each(*number, put.bytes.into())?;
        }
    }
    Ok(())
}

/// Finds the last whole checkpoint of a shard; none is needed if no segment is missing.
pub(crate) fn find(segments: &Segments, damages: &mut Vec<Damage>) -> Result<Option<Checkpoint>> {
    if segments.missing.is_empty() {
        return Ok(None);
    }
    let mut begun: std::collections::HashMap<u64, (u64, u32)> = Default::default();
    let mut found = None;
    let mut ignored = Vec::new();
    for (number, sealed_at) in &segments.all {
        let reader = segments.open(*number)?;
        let how = Scan {
            from: SEGMENT_HEADER as u64,
            sealed_at: *sealed_at,
            synced: 0,
            verify_parts: false,
        };
        scan(&reader, how, &mut ignored, |frame| {
            for record in decode(&frame)? {
                match record {
                    Record::CheckpointRows { checkpoint, .. } => {
                        begun.entry(checkpoint).or_insert((*number, 0)).1 += 1;
                    }
                    Record::CheckpointDone { checkpoint, pieces, segment, offset } => {
                        let (first_segment, count) =
                            begun.get(&checkpoint).copied().unwrap_or((*number, 0));
                        if count == pieces {
                            found = Some(Checkpoint {
                                id: checkpoint,
                                position: Position { segment, offset },
                                first_segment,
                                last_segment: *number,
                            });
                        }
                    }
                    _ => {}
                }
            }
            Ok::<(), ScanError>(())
        })?;
    }
    let covered = found.as_ref().map_or(0, |found| found.position.segment);
    for number in segments.missing.iter().filter(|number| **number >= covered) {
        damages.push(Damage {
            file: segment::path(&segments.path(), *number),
            offset: 0,
            what: "the segment is missing".to_owned(),
        });
    }
    Ok(found)
}

/// Puts the rows of a checkpoint into an index that has only bodies.
pub(crate) fn load(tx: &mut IndexTx<'_>, segments: &Segments, found: &Checkpoint) -> Result<()> {
    let mut ignored = Vec::new();
    for (number, sealed_at) in &segments.all {
        if *number < found.first_segment || *number > found.last_segment {
            continue;
        }
        let reader = segments.open(*number)?;
        let how = Scan {
            from: SEGMENT_HEADER as u64,
            sealed_at: *sealed_at,
            synced: 0,
            verify_parts: false,
        };
        scan(&reader, how, &mut ignored, |frame| {
            for record in decode(&frame)? {
                if let Record::CheckpointRows { checkpoint, table, rows, .. } = record
                    && checkpoint == found.id
                {
                    load_rows(tx, table, &rows).map_err(ScanError::Store)?;
                }
            }
            Ok::<(), ScanError>(())
        })?;
    }
    Ok(())
}

fn load_rows(tx: &mut IndexTx<'_>, number: u8, rows: &[u8]) -> Result<()> {
    let table = schema::CHECKPOINT_TABLES.iter().find(|(n, _, _)| *n == number);
    let (_, table, _) = table.ok_or_else(|| misfit("a checkpoint of an unknown table"))?;
    let columns = tx
        .db
        .prepare_cached(&format!("SELECT * FROM {table} LIMIT 0"))
        .map_err(sql)?
        .column_count();
    let marks = vec!["?"; columns].join(",");
    let text = format!("INSERT OR REPLACE INTO {table} VALUES({marks})");
    let mut get = Get::new(rows);
    while !get.is_empty() {
        let values: Decoded<Vec<Value>> = (0..columns).map(|_| get_value(&mut get)).collect();
        let values = values.map_err(|Malformed| misfit("an unreadable checkpoint"))?;
        tx.db
            .prepare_cached(&text)
            .and_then(|mut s| s.execute(params_from_iter(values)))
            .map_err(sql)?;
    }
    Ok(())
}

/// Counts the live octets of each segment from the bodies.
pub(crate) fn count_live(tx: &IndexTx<'_>) -> Result<()> {
    tx.run("DELETE FROM segments", [])?;
    tx.run("INSERT INTO segments SELECT segment, sum(size) FROM bodies GROUP BY segment", [])
        .map(drop)
}
