//! Reading many bodies at once: their rows in one sweep of the table where their ids are
//! neighbours, what lies side by side in a segment in one read. Must never know what the bytes
//! mean.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;

use angarium_store::{BodyId, HeadLength, Result, StoreError, Top};
use bytes::Bytes;
use rusqlite::{Connection, Row};

use crate::embedded::Inner;
use crate::index::references::home;
use crate::index::sql;
use crate::journal::frame;
use crate::shard::{Lay, Segments, Shard, read_at};

/// Ids that are this dense (one in so many) are read in one sweep of the table.
const DENSE: u64 = 4;
/// Summaries and heads are gathered in blocks of this many octets, which they share.
const BLOCK: usize = 256 * 1024;
/// Room expected for one summary with its head when a block is made.
const USUAL_TOP: usize = 2048;
/// Octets between two bodies that are read along rather than reading twice.
const GAP: u64 = 8 * 1024;
/// Octets of neighbouring bodies read at once.
const SPAN: u64 = 512 * 1024;

/// Bodies of one shard, each with its place in the answer.
type Wanted = Vec<(BodyId, usize)>;

const ROWS: [&str; 2] = [
    "SELECT id, segment, offset, size, crc FROM bodies WHERE id BETWEEN ?1 AND ?2 ORDER BY id",
    "SELECT id, segment, offset, size, crc FROM bodies WHERE id=?1",
];
const ROWS_WITH_SUMMARIES: [&str; 2] = [
    "SELECT id, segment, offset, size, crc, summary FROM bodies WHERE id BETWEEN ?1 AND ?2
     ORDER BY id",
    "SELECT id, segment, offset, size, crc, summary FROM bodies WHERE id=?1",
];

fn gone() -> StoreError {
    StoreError::NotFound("body")
}

fn lay_of(row: &Row<'_>) -> Result<Lay> {
    let read = || {
        Ok(Lay { segment: row.get(1)?, offset: row.get(2)?, size: row.get(3)?, crc: row.get(4)? })
    };
    read().map_err(sql)
}

/// Hands over the row of each body in the order wanted until `take` answers false.
fn each_row(
    db: &Connection,
    [sweep, single]: [&str; 2],
    wanted: &[(BodyId, usize)],
    mut take: impl FnMut(usize, &Row<'_>) -> Result<bool>,
) -> Result<()> {
    let (Some((first, _)), Some((last, _))) = (wanted.first(), wanted.last()) else {
        return Ok(());
    };
    let dense = last.0.saturating_sub(first.0) / DENSE < wanted.len() as u64
        && wanted.len() > 1
        && wanted.is_sorted_by_key(|(body, _)| *body);
    if !dense {
        let mut statement = db.prepare_cached(single).map_err(sql)?;
        for (body, index) in wanted {
            let mut rows = statement.query([body.0]).map_err(sql)?;
            if !take(*index, rows.next().map_err(sql)?.ok_or_else(gone)?)? {
                break;
            }
        }
        return Ok(());
    }
    let mut statement = db.prepare_cached(sweep).map_err(sql)?;
    let mut rows = statement.query((first.0, last.0)).map_err(sql)?;
    let mut row = rows.next().map_err(sql)?;
    for (body, index) in wanted {
        loop {
            let here = row.ok_or_else(gone)?;
            let id: u64 = here.get(0).map_err(sql)?;
            if id == body.0 {
                // The row stays: the next one wanted may be the same.
                if !take(*index, here)? {
                    return Ok(());
                }
                break;
            }
            if id > body.0 {
                return Err(gone());
            }
            row = rows.next().map_err(sql)?;
        }
    }
    Ok(())
}

/// The segment file that was read last: neighbours are mostly in the same.
struct LastFile<'s> {
    segments: &'s Segments,
    open: Option<(u64, Arc<File>)>,
}

impl<'s> LastFile<'s> {
    fn new(segments: &'s Segments) -> Self {
        Self { segments, open: None }
    }

    fn get(&mut self, segment: u64) -> Result<&File> {
        if self.open.as_ref().is_none_or(|(number, _)| *number != segment) {
            self.open = Some((segment, self.segments.file(segment)?));
        }
        self.open.as_ref().map(|(_, file)| &**file).ok_or_else(gone)
    }
}

/// Puts summaries and heads one behind the other, so that thousands cost few allocations.
struct Packing {
    full: Vec<(Bytes, Vec<Place>)>,
    block: Vec<u8>,
    places: Vec<Place>,
    /// Size of the next block.
    size: usize,
    taken: usize,
}

/// Which body; where its summary begins, its head begins, and its head ends.
type Place = (usize, usize, usize, usize);

impl Packing {
    fn new(expected: usize) -> Self {
        let size = expected.saturating_mul(USUAL_TOP).min(BLOCK);
        let block = Vec::with_capacity(size);
        Self { full: Vec::new(), block, places: Vec::new(), size, taken: 0 }
    }

    fn add(
        &mut self,
        index: usize,
        summary: &[u8],
        head: usize,
        read: impl FnOnce(&mut [u8]) -> Result<()>,
    ) -> Result<()> {
        let more = summary.len() + head;
        if !self.block.is_empty() && self.block.len() + more > self.size {
            self.seal();
        }
        let start = self.block.len();
        self.block.extend_from_slice(summary);
        let middle = self.block.len();
        if head > 0 {
            self.block.resize(middle + head, 0);
            read(self.block.get_mut(middle..).unwrap_or_default())?;
        }
        self.places.push((index, start, middle, self.block.len()));
        self.taken += more;
        Ok(())
    }

    fn seal(&mut self) {
        let block = std::mem::replace(&mut self.block, Vec::with_capacity(self.size));
        self.full.push((block.into(), std::mem::take(&mut self.places)));
    }

    fn finish(mut self) -> Vec<(usize, Top)> {
        self.full.push((self.block.into(), self.places));
        let cut = |(block, places): (Bytes, Vec<Place>)| {
            places.into_iter().map(move |(index, start, middle, end)| {
                let (summary, head) = (block.slice(start..middle), block.slice(middle..end));
                (index, Top { summary, head })
            })
        };
        self.full.into_iter().flat_map(cut).collect()
    }
}

/// Tops of bodies of one shard until the room is full.
fn tops(
    shard: &Shard,
    db: &Connection,
    wanted: &[(BodyId, usize)],
    head: HeadLength,
    room: usize,
) -> Result<Vec<(usize, Top)>> {
    let mut packing = Packing::new(wanted.len());
    let mut file = LastFile::new(&shard.segments);
    each_row(db, ROWS_WITH_SUMMARIES, wanted, |index, row| {
        let summary = row.get_ref(5).map_err(sql)?.as_blob();
        let damaged = |_| StoreError::Damaged("an unreadable summary".to_owned());
        let summary = summary.map_err(damaged)?;
        let wanted = u64::from(head(summary));
        if wanted == 0 {
            packing.add(index, summary, 0, |_| Ok(()))?;
        } else {
            let lay = lay_of(row)?;
            // A head is at most 4 GiB, which a machine's word holds.
            let length = wanted.min(lay.size) as usize;
            let file = file.get(lay.segment)?;
            packing.add(index, summary, length, |head| read_at(file, lay, head))?;
        }
        Ok(packing.taken < room)
    })?;
    Ok(packing.finish())
}

/// Bodies that are read in one go: from where to where, and which.
struct Span {
    segment: u64,
    start: u64,
    end: u64,
    bodies: Vec<(usize, BodyId, Lay)>,
}

impl Span {
    fn of(index: usize, body: BodyId, lay: Lay) -> Self {
        let end = lay.offset.saturating_add(lay.size);
        Self { segment: lay.segment, start: lay.offset, end, bodies: vec![(index, body, lay)] }
    }

    /// Takes one more body in if it lies close behind.
    fn take(&mut self, index: usize, body: BodyId, lay: Lay) -> bool {
        let end = lay.offset.saturating_add(lay.size);
        let close = lay.segment == self.segment
            && lay.offset >= self.end
            && lay.offset - self.end <= GAP
            && end - self.start <= SPAN;
        if close {
            self.end = end;
            self.bodies.push((index, body, lay));
        }
        close
    }
}

/// Whole bodies of one shard, held against their checksums.
fn wholes(
    shard: &Shard,
    db: &Connection,
    wanted: &[(BodyId, usize)],
) -> Result<Vec<(usize, Bytes)>> {
    let mut spans: Vec<Span> = Vec::new();
    let mut ids = wanted.iter();
    each_row(db, ROWS, wanted, |index, row| {
        let (lay, body) = (lay_of(row)?, ids.next().map_or(BodyId(0), |(body, _)| *body));
        if !spans.last_mut().is_some_and(|span| span.take(index, body, lay)) {
            spans.push(Span::of(index, body, lay));
        }
        Ok(true)
    })?;
    let mut file = LastFile::new(&shard.segments);
    let mut found = Vec::with_capacity(wanted.len());
    for span in spans {
        let length =
            usize::try_from(span.end - span.start).map_err(|_| crate::shard::too_long())?;
        let mut bytes = vec![0; length];
        if length > 0 {
            let whole = Lay { segment: span.segment, offset: span.start, size: 0, crc: 0 };
            read_at(file.get(span.segment)?, whole, &mut bytes)?;
        }
        let bytes = Bytes::from(bytes);
        for (index, body, lay) in span.bodies {
            // Inside the span, which is in memory.
            let from = (lay.offset - span.start) as usize;
            let one = bytes.slice(from..from + lay.size as usize);
            if frame::crc(&one) != lay.crc {
                return Err(StoreError::Damaged(format!(
                    "body {body} in segment {} at {} fails its checksum",
                    lay.segment, lay.offset
                )));
            }
            found.push((index, one));
        }
    }
    Ok(found)
}

impl Inner {
    /// Reads something of the bodies of each shard in its own reader. What was moved between
    /// looking it up and reading it is looked up once more.
    async fn by_shard<T: Send + 'static>(
        self: &Arc<Self>,
        bodies: &[BodyId],
        read: impl Fn(&Shard, &Connection, &Wanted, usize) -> Result<Vec<(usize, T)>>
        + Clone
        + Send
        + 'static,
    ) -> Result<Vec<Option<T>>> {
        let mut by_shard: BTreeMap<u32, Wanted> = BTreeMap::new();
        for (index, body) in bodies.iter().enumerate() {
            by_shard.entry(home(*body)).or_default().push((*body, index));
        }
        let shards = by_shard.len();
        let mut found: Vec<Option<T>> = Vec::new();
        found.resize_with(bodies.len(), || None);
        for (number, wanted) in by_shard {
            let shard = self.shards.get(number as usize).ok_or_else(gone)?;
            let (own, read) = (shard.clone(), read.clone());
            let work = move |db: &Connection| match read(&own, db, &wanted, shards) {
                Err(StoreError::Unavailable(_)) => {
                    own.readers.read_here(|db| read(&own, db, &wanted, shards))
                }
                other => other,
            };
            for (index, value) in shard.readers.read(work).await? {
                if let Some(slot) = found.get_mut(index) {
                    *slot = Some(value);
                }
            }
        }
        Ok(found)
    }

    /// See [`angarium_store::Bodies::tops`].
    pub(crate) async fn tops(
        self: &Arc<Self>,
        bodies: &[BodyId],
        head: HeadLength,
        room: usize,
    ) -> Result<Vec<Top>> {
        // Each shard gets its share of the room, so that all come forward alike.
        let read = move |shard: &Shard, db: &Connection, wanted: &Wanted, shards: usize| {
            tops(shard, db, wanted, head, room / shards.max(1))
        };
        Ok(self.by_shard(bodies, read).await?.into_iter().map_while(|top| top).collect())
    }

    /// See [`angarium_store::Bodies::summaries`]. Read in the order of the table.
    pub(crate) async fn summaries(self: &Arc<Self>, bodies: &[BodyId]) -> Result<Vec<Bytes>> {
        let read = |shard: &Shard, db: &Connection, wanted: &Wanted, _| {
            let mut wanted = wanted.clone();
            wanted.sort_unstable();
            let found = tops(shard, db, &wanted, |_| 0, usize::MAX)?;
            Ok(found.into_iter().map(|(index, top)| (index, top.summary)).collect())
        };
        let found = self.by_shard(bodies, read).await?;
        found.into_iter().map(|summary| summary.ok_or_else(gone)).collect()
    }

    /// See [`angarium_store::Bodies::read_many`].
    pub(crate) async fn wholes(self: &Arc<Self>, bodies: &[BodyId]) -> Result<Vec<Bytes>> {
        let read = |shard: &Shard, db: &Connection, wanted: &Wanted, _| wholes(shard, db, wanted);
        let found = self.by_shard(bodies, read).await?;
        found.into_iter().map(|body| body.ok_or_else(gone)).collect()
    }
}
