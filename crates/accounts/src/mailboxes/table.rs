//! The messages of one mailbox as dense sorted columns, in chunks that readers share: whoever
//! holds a table reads it without a lock while newer versions are made beside it. It must never
//! know sessions or sequence numbers.

use std::sync::Arc;

use angarium_store::{
    BodyId, FlagBits, Flags, InternalDate, Keyword, MessageEntry, ModSeq, PopId, Uid,
};

/// Rows in a full chunk: what one change of flags copies at most when a reader holds the chunk.
const CHUNK: usize = 1024;

/// Columns of up to [`CHUNK`] messages, ascending by UID.
#[derive(Clone, Debug, Default)]
struct Chunk {
    uids: Vec<u32>,
    bits: Vec<FlagBits>,
    modseqs: Vec<ModSeq>,
    sizes: Vec<u64>,
    dates: Vec<i64>,
    zones: Vec<i16>,
    save_dates: Vec<i64>,
    bodies: Vec<BodyId>,
    original_uids: Vec<u32>,
    /// Empty while no message of the chunk has keywords.
    keywords: Vec<Option<Arc<[Keyword]>>>,
    /// Empty while no message of the chunk has one.
    pop_ids: Vec<Option<PopId>>,
    /// Flags that at least one message has (or had since [`Chunk::count_flags`]).
    any: FlagBits,
    /// Flags that every message has (perhaps not all of them).
    all: FlagBits,
}

impl Chunk {
    fn with_capacity(n: usize) -> Self {
        Self {
            uids: Vec::with_capacity(n),
            bits: Vec::with_capacity(n),
            modseqs: Vec::with_capacity(n),
            sizes: Vec::with_capacity(n),
            dates: Vec::with_capacity(n),
            zones: Vec::with_capacity(n),
            save_dates: Vec::with_capacity(n),
            bodies: Vec::with_capacity(n),
            original_uids: Vec::with_capacity(n),
            keywords: Vec::new(),
            pop_ids: Vec::new(),
            any: FlagBits(0),
            all: FlagBits(u32::MAX),
        }
    }

    /// Makes `any` and `all` exact.
    fn count_flags(&mut self) {
        (self.any, self.all) =
            self.bits.iter().fold((FlagBits(0), FlagBits(u32::MAX)), |(any, all), bits| {
                (any.union(*bits), FlagBits(all.0 & bits.0))
            });
    }

    fn len(&self) -> usize {
        self.uids.len()
    }

    fn push(&mut self, entry: &MessageEntry) {
        if entry.flags.keywords.is_some() && self.keywords.is_empty() {
            self.keywords.resize(self.uids.len(), None);
        }
        if entry.flags.keywords.is_some() || !self.keywords.is_empty() {
            self.keywords.push(entry.flags.keywords.clone());
        }
        if entry.pop_id.is_some() && self.pop_ids.is_empty() {
            self.pop_ids.resize(self.uids.len(), None);
        }
        if entry.pop_id.is_some() || !self.pop_ids.is_empty() {
            self.pop_ids.push(entry.pop_id.clone());
        }
        self.any = self.any.union(entry.flags.bits);
        self.all = FlagBits(self.all.0 & entry.flags.bits.0);
        self.uids.push(entry.uid.0);
        self.bits.push(entry.flags.bits);
        self.modseqs.push(entry.modseq);
        self.sizes.push(entry.size);
        self.dates.push(entry.internal_date.seconds);
        self.zones.push(entry.internal_date.zone_minutes);
        self.save_dates.push(entry.save_date);
        self.bodies.push(entry.body);
        self.original_uids.push(entry.original_uid);
    }

    fn set_flags(&mut self, at: usize, flags: &Flags, modseq: ModSeq) {
        if flags.keywords.is_some() && self.keywords.is_empty() {
            self.keywords.resize(self.uids.len(), None);
        }
        if let Some(slot) = self.keywords.get_mut(at) {
            slot.clone_from(&flags.keywords);
        }
        if let Some(slot) = self.bits.get_mut(at) {
            *slot = flags.bits;
            self.any = self.any.union(flags.bits);
            self.all = FlagBits(self.all.0 & flags.bits.0);
        }
        if let Some(slot) = self.modseqs.get_mut(at) {
            *slot = modseq;
        }
    }

    /// Keeps the rows for which `keep` says true.
    fn retain(&mut self, keep: &[bool]) {
        fn column<T>(column: &mut Vec<T>, keep: &[bool]) {
            let mut at = 0;
            column.retain(|_| {
                let kept = keep.get(at).copied().unwrap_or(true);
                at += 1;
                kept
            });
        }
        column(&mut self.uids, keep);
        column(&mut self.bits, keep);
        column(&mut self.modseqs, keep);
        column(&mut self.sizes, keep);
        column(&mut self.dates, keep);
        column(&mut self.zones, keep);
        column(&mut self.save_dates, keep);
        column(&mut self.bodies, keep);
        column(&mut self.original_uids, keep);
        if !self.keywords.is_empty() {
            column(&mut self.keywords, keep);
        }
        if !self.pop_ids.is_empty() {
            column(&mut self.pop_ids, keep);
        }
    }

    fn bytes(&self) -> usize {
        let row = 4 + 4 + 8 + 8 + 8 + 2 + 8 + 8 + 4;
        let keywords = self.keywords.capacity() * size_of::<Option<Arc<[Keyword]>>>();
        let pop_ids = self.pop_ids.capacity() * size_of::<Option<PopId>>();
        self.uids.capacity() * row + keywords + pop_ids
    }
}

/// One message of a [`Table`]; reading it costs nothing.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    chunk: &'a Chunk,
    at: usize,
}

impl<'a> Row<'a> {
    fn cell<T: Copy + Default>(column: &[T], at: usize) -> T {
        column.get(at).copied().unwrap_or_default()
    }

    /// The UID.
    #[must_use]
    pub fn uid(&self) -> Uid {
        Uid(Self::cell(&self.chunk.uids, self.at))
    }
    /// The well-known flags.
    #[must_use]
    pub fn bits(&self) -> FlagBits {
        Self::cell(&self.chunk.bits, self.at)
    }
    /// The other keywords.
    #[must_use]
    pub fn keywords(&self) -> &'a [Keyword] {
        self.chunk.keywords.get(self.at).and_then(Option::as_deref).unwrap_or(&[])
    }
    /// All flags.
    #[must_use]
    pub fn flags(&self) -> Flags {
        Flags {
            bits: self.bits(),
            keywords: self.chunk.keywords.get(self.at).cloned().unwrap_or_default(),
        }
    }
    /// Sequence of the last change.
    #[must_use]
    pub fn modseq(&self) -> ModSeq {
        Self::cell(&self.chunk.modseqs, self.at)
    }
    /// Size in octets.
    #[must_use]
    pub fn size(&self) -> u64 {
        Self::cell(&self.chunk.sizes, self.at)
    }
    /// When it arrived.
    #[must_use]
    pub fn internal_date(&self) -> InternalDate {
        InternalDate {
            seconds: Self::cell(&self.chunk.dates, self.at),
            zone_minutes: Self::cell(&self.chunk.zones, self.at),
        }
    }
    /// When it was put into this mailbox, seconds since 1970.
    #[must_use]
    pub fn save_date(&self) -> i64 {
        Self::cell(&self.chunk.save_dates, self.at)
    }
    /// Where its bytes are.
    #[must_use]
    pub fn body(&self) -> BodyId {
        Self::cell(&self.chunk.bodies, self.at)
    }
    /// POP's unique id, if it keeps that of another server.
    #[must_use]
    pub fn pop_id(&self) -> Option<&'a PopId> {
        self.chunk.pop_ids.get(self.at).and_then(Option::as_ref)
    }
    /// The UID it had when it first came to the account (POP's UIDL).
    #[must_use]
    pub fn original_uid(&self) -> u32 {
        Self::cell(&self.chunk.original_uids, self.at)
    }
}

/// All messages of a mailbox at one moment, ascending by UID.
#[derive(Clone, Debug, Default)]
pub struct Table {
    chunks: Vec<Arc<Chunk>>,
    len: usize,
}

impl Table {
    /// A table of these entries, which are ascending by UID; those that are not are left out.
    #[must_use]
    pub fn of(entries: &[MessageEntry]) -> Self {
        let mut table = Self::default();
        for part in entries.chunks(CHUNK) {
            let mut chunk = Chunk::with_capacity(part.len());
            for entry in part {
                let last = chunk.uids.last().copied().unwrap_or_else(|| table.last_uid().0);
                if entry.uid.0 > last {
                    chunk.push(entry);
                }
            }
            if chunk.len() > 0 {
                table.len += chunk.len();
                table.chunks.push(Arc::new(chunk));
            }
        }
        table
    }

    /// Number of messages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// True when there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The highest UID present, 0 if there is none.
    #[must_use]
    pub fn last_uid(&self) -> Uid {
        Uid(self.chunks.last().and_then(|c| c.uids.last()).copied().unwrap_or(0))
    }

    /// Every message, ascending by UID.
    pub fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        self.chunks.iter().flat_map(|chunk| (0..chunk.len()).map(move |at| Row { chunk, at }))
    }

    /// Messages with a UID of at least `from`, ascending.
    pub fn iter_from(&self, from: Uid) -> impl Iterator<Item = Row<'_>> {
        let first = self.chunk_of(from);
        self.chunks.iter().skip(first).enumerate().flat_map(move |(n, chunk)| {
            let start = if n == 0 { chunk.uids.partition_point(|u| *u < from.0) } else { 0 };
            (start..chunk.len()).map(move |at| Row { chunk, at })
        })
    }

    /// Index of the first chunk whose last UID is at least `uid`.
    fn chunk_of(&self, uid: Uid) -> usize {
        self.chunks.partition_point(|c| c.uids.last().is_some_and(|last| *last < uid.0))
    }

    /// One message.
    #[must_use]
    pub fn get(&self, uid: Uid) -> Option<Row<'_>> {
        let chunk = self.chunks.get(self.chunk_of(uid))?;
        let at = chunk.uids.binary_search(&uid.0).ok()?;
        Some(Row { chunk, at })
    }

    /// The messages of these ascending UIDs that exist, in one walk.
    #[must_use]
    pub fn select(&self, uids: &[Uid]) -> Vec<Row<'_>> {
        let mut found = Vec::with_capacity(uids.len().min(self.len));
        let mut chunk_at = 0;
        let mut at = 0;
        for uid in uids {
            let Some(mut chunk) = self.chunks.get(chunk_at) else { break };
            if chunk.uids.last().is_some_and(|last| *last < uid.0) {
                chunk_at = self.chunk_of(*uid);
                at = 0;
                match self.chunks.get(chunk_at) {
                    Some(next) => chunk = next,
                    None => break,
                }
            }
            // The usual request is a run: look at the next row before searching.
            match chunk.uids.get(at) {
                Some(next) if *next == uid.0 => {}
                _ => match chunk.uids.binary_search(&uid.0) {
                    Ok(position) => at = position,
                    Err(position) => {
                        at = position;
                        continue;
                    }
                },
            }
            found.push(Row { chunk, at });
            at += 1;
        }
        found
    }

    /// Gives messages unique ids of POP; those that are gone are passed over.
    pub(super) fn set_pop_ids(&mut self, ids: &[(Uid, PopId)]) {
        for (uid, id) in ids {
            let at = self.chunk_of(*uid);
            let Some(chunk) = self.chunks.get_mut(at) else { continue };
            let Ok(row) = chunk.uids.binary_search(&uid.0) else { continue };
            let chunk = Arc::make_mut(chunk);
            chunk.pop_ids.resize(chunk.uids.len(), None);
            if let Some(slot) = chunk.pop_ids.get_mut(row) {
                *slot = Some(id.clone());
            }
        }
    }

    /// False when certainly no message has any of these flags.
    #[must_use]
    pub fn may_have(&self, flags: FlagBits) -> bool {
        self.chunks.iter().any(|c| c.any.0 & flags.0 != 0)
    }

    /// The first message without this flag.
    #[must_use]
    pub fn first_without(&self, flag: FlagBits) -> Option<Uid> {
        let chunks = self.chunks.iter().filter(|c| !c.all.contains(flag));
        let mut rows = chunks.flat_map(|chunk| (0..chunk.len()).map(move |at| Row { chunk, at }));
        rows.find(|row| !row.bits().contains(flag)).map(|row| row.uid())
    }

    /// All UIDs as runs of neighbours, ascending: first UID and number. Cheap where UIDs have no
    /// gaps.
    #[must_use]
    pub fn runs(&self) -> Vec<(u32, u32)> {
        let mut runs: Vec<(u32, u32)> = Vec::new();
        let mut add = |first: u32, count: u32| match runs.last_mut() {
            Some((start, n)) if start.checked_add(*n) == Some(first) => *n += count,
            _ => runs.push((first, count)),
        };
        for chunk in &self.chunks {
            let (Some(first), Some(last)) = (chunk.uids.first(), chunk.uids.last()) else {
                continue;
            };
            if (last - first) as usize + 1 == chunk.len() {
                add(*first, last - first + 1);
            } else {
                chunk.uids.iter().for_each(|uid| add(*uid, 1));
            }
        }
        runs
    }

    /// The keywords in use, each once, at most `most`, in the order of their first use.
    #[must_use]
    pub fn keywords(&self, most: usize) -> Vec<Keyword> {
        let mut found: Vec<Keyword> = Vec::new();
        let mut last: Option<&Arc<[Keyword]>> = None;
        for set in self.chunks.iter().flat_map(|c| c.keywords.iter().flatten()) {
            // Messages with the same keywords mostly share the same list.
            if last.is_some_and(|last| Arc::ptr_eq(last, set)) {
                continue;
            }
            last = Some(set);
            for keyword in set.iter() {
                if found.len() < most && !found.iter().any(|k| k.eq_ignore_ascii_case(keyword)) {
                    found.push(Arc::clone(keyword));
                }
            }
        }
        found
    }

    /// Bytes this table takes, roughly.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.chunks.iter().map(|c| c.bytes()).sum::<usize>() + 128
    }

    /// Adds messages with UIDs above every present one; answers the UIDs really added.
    pub(super) fn append(&mut self, entries: &[MessageEntry]) -> Vec<Uid> {
        let mut added = Vec::with_capacity(entries.len());
        for entry in entries {
            if entry.uid <= self.last_uid() {
                continue;
            }
            match self.chunks.last_mut() {
                Some(last) if last.len() < CHUNK => Arc::make_mut(last).push(entry),
                _ => {
                    let mut chunk = Chunk::with_capacity(0);
                    chunk.push(entry);
                    self.chunks.push(Arc::new(chunk));
                }
            }
            self.len += 1;
            added.push(entry.uid);
        }
        added
    }

    /// Sets flags where `modseq` is newer than what is there; answers the UIDs really changed.
    pub(super) fn set_flags(&mut self, changed: &[(Uid, Flags, ModSeq)]) -> Vec<Uid> {
        let mut done = Vec::with_capacity(changed.len());
        let mut counted = None;
        for (uid, flags, modseq) in changed {
            let index = self.chunk_of(*uid);
            if let Some(before) = counted.filter(|before| *before != index) {
                self.count_flags(before);
            }
            counted = Some(index);
            let Some(chunk) = self.chunks.get_mut(index) else { continue };
            let Ok(at) = chunk.uids.binary_search(&uid.0) else { continue };
            if Self::is_newer(chunk, at, *modseq) {
                Arc::make_mut(chunk).set_flags(at, flags, *modseq);
                done.push(*uid);
            }
        }
        if let Some(last) = counted {
            self.count_flags(last);
        }
        done
    }

    fn count_flags(&mut self, chunk: usize) {
        if let Some(chunk) = self.chunks.get_mut(chunk) {
            Arc::make_mut(chunk).count_flags();
        }
    }

    fn is_newer(chunk: &Chunk, at: usize, modseq: ModSeq) -> bool {
        chunk.modseqs.get(at).is_some_and(|known| *known < modseq)
    }

    /// Takes ascending UIDs out; answers those that were there.
    pub(super) fn remove(&mut self, uids: &[Uid]) -> Vec<Uid> {
        let mut gone = Vec::new();
        let mut rest = uids;
        for chunk in &mut self.chunks {
            let Some(last) = chunk.uids.last().copied() else { continue };
            let here = rest.partition_point(|u| u.0 <= last);
            let (mine, later) = rest.split_at(here);
            rest = later;
            if mine.is_empty() {
                continue;
            }
            let before = gone.len();
            let mut keep = vec![true; chunk.len()];
            for uid in mine {
                if let Ok(at) = chunk.uids.binary_search(&uid.0)
                    && let Some(slot) = keep.get_mut(at)
                    && *slot
                {
                    *slot = false;
                    gone.push(*uid);
                }
            }
            if gone.len() > before {
                Arc::make_mut(chunk).retain(&keep);
            }
        }
        self.chunks.retain(|c| c.len() > 0);
        self.len -= gone.len().min(self.len);
        self.merge_small_chunks();
        gone
    }

    /// Many removals leave small chunks behind; join them when they are twice too many.
    fn merge_small_chunks(&mut self) {
        if self.chunks.len() <= 2 * self.len.div_ceil(CHUNK) + 2 {
            return;
        }
        let mut merged = Vec::with_capacity(self.len.div_ceil(CHUNK));
        let mut open = Chunk::with_capacity(CHUNK.min(self.len));
        for row in self.iter() {
            open.push(&row.entry());
            if open.len() == CHUNK {
                merged.push(Arc::new(std::mem::replace(&mut open, Chunk::with_capacity(CHUNK))));
            }
        }
        if open.len() > 0 {
            merged.push(Arc::new(open));
        }
        self.chunks = merged;
    }
}

impl Row<'_> {
    /// The row as an entry, for moving it between chunks (the digest is not kept in memory).
    fn entry(&self) -> MessageEntry {
        MessageEntry {
            uid: self.uid(),
            flags: self.flags(),
            modseq: self.modseq(),
            internal_date: self.internal_date(),
            save_date: self.save_date(),
            size: self.size(),
            body: self.body(),
            digest: [0; 32],
            original_uid: self.original_uid(),
            pop_id: self.pop_id().cloned(),
        }
    }
}

#[cfg(test)]
mod tests;
