//! The queue's timetable in memory: which entry lies in which shard, when each recipient is due,
//! and what is leased. Leases end with the process. Filled at start from the indexes and kept by
//! the writers after each commit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use angarium_store::QueueId;

/// One recipient: due at, leased until. Not in the timetable when settled.
#[derive(Clone, Copy)]
struct Slot {
    due: Option<i64>,
    leased_until: Option<i64>,
}

impl Slot {
    fn at(self) -> Option<i64> {
        self.due.map(|due| self.leased_until.map_or(due, |until| until.max(due)))
    }
}

struct Entry {
    shard: u32,
    slots: Vec<Slot>,
}

#[derive(Default)]
struct Table {
    entries: BTreeMap<QueueId, Entry>,
    times: BTreeSet<(i64, QueueId, u32)>,
}

impl Table {
    /// Changes one recipient.
    fn set(&mut self, id: QueueId, index: u32, change: impl FnOnce(&mut Slot)) {
        let Some(slot) =
            self.entries.get_mut(&id).and_then(|entry| entry.slots.get_mut(index as usize))
        else {
            return;
        };
        let before = slot.at();
        change(slot);
        let after = slot.at();
        if before != after {
            if let Some(at) = before {
                self.times.remove(&(at, id, index));
            }
            if let Some(at) = after {
                self.times.insert((at, id, index));
            }
        }
    }

    fn lease(&mut self, id: QueueId, now: i64, until: i64) -> Option<Lease> {
        let entry = self.entries.get(&id)?;
        let due = |slot: &Slot| slot.at().is_some_and(|at| at <= now);
        let recipients: Vec<u32> =
            (0..).zip(&entry.slots).filter(|(_, slot)| due(slot)).map(|(i, _)| i).collect();
        if recipients.is_empty() {
            return None;
        }
        let shard = entry.shard;
        for index in &recipients {
            self.set(id, *index, |slot| slot.leased_until = Some(until));
        }
        Some(Lease { id, shard, recipients })
    }
}

/// What was leased.
pub(crate) struct Lease {
    pub(crate) id: QueueId,
    pub(crate) shard: u32,
    pub(crate) recipients: Vec<u32>,
}

/// The timetable.
#[derive(Default)]
pub(crate) struct Schedule {
    table: Mutex<Table>,
}

impl Schedule {
    fn with<T>(&self, work: impl FnOnce(&mut Table) -> T) -> T {
        work(&mut self.table.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// An entry came.
    pub(crate) fn add(&self, shard: u32, id: QueueId, due: &[Option<i64>]) {
        self.with(|table| {
            let slots = due.iter().map(|due| Slot { due: *due, leased_until: None }).collect();
            table.entries.insert(id, Entry { shard, slots });
            for (index, due) in (0..).zip(due) {
                table.times.extend(due.map(|at| (at, id, index)));
            }
        });
    }

    /// Recipients went on; their leases end.
    pub(crate) fn reschedule(&self, id: QueueId, due: &[(u32, Option<i64>)]) {
        self.with(|table| {
            for (index, due) in due {
                table.set(id, *index, |slot| *slot = Slot { due: *due, leased_until: None });
            }
        });
    }

    /// An entry left.
    pub(crate) fn remove(&self, id: QueueId) {
        self.with(|table| {
            if let Some(entry) = table.entries.remove(&id) {
                for (index, slot) in (0..).zip(&entry.slots) {
                    if let Some(at) = slot.at() {
                        table.times.remove(&(at, id, index));
                    }
                }
            }
        });
    }

    /// Leases the due recipients of up to `limit` entries, oldest due first.
    pub(crate) fn lease(&self, now: i64, limit: usize, until: i64) -> Vec<Lease> {
        self.with(|table| {
            let mut chosen = Vec::new();
            let mut seen = BTreeSet::new();
            for (at, id, _) in &table.times {
                if *at > now || chosen.len() >= limit {
                    break;
                }
                if seen.insert(*id) {
                    chosen.push(*id);
                }
            }
            chosen.into_iter().filter_map(|id| table.lease(id, now, until)).collect()
        })
    }

    /// Leases the due recipients of one entry.
    pub(crate) fn lease_one(&self, id: QueueId, now: i64, until: i64) -> Option<Lease> {
        self.with(|table| table.lease(id, now, until))
    }

    /// Ends a lease whose work could not be read.
    pub(crate) fn give_up(&self, lease: &Lease) {
        self.with(|table| {
            for index in &lease.recipients {
                table.set(lease.id, *index, |slot| slot.leased_until = None);
            }
        });
    }

    /// When the next recipient is due.
    pub(crate) fn next_due(&self) -> Option<i64> {
        self.with(|table| table.times.first().map(|(at, _, _)| *at))
    }

    /// The shard of an entry.
    pub(crate) fn shard_of(&self, id: QueueId) -> Option<u32> {
        self.with(|table| table.entries.get(&id).map(|entry| entry.shard))
    }

    /// Ids above `after`.
    pub(crate) fn list(&self, after: QueueId, limit: usize) -> Vec<QueueId> {
        use std::ops::Bound::{Excluded, Unbounded};
        self.with(|table| {
            let above = table.entries.range((Excluded(after), Unbounded));
            above.take(limit).map(|(id, _)| *id).collect()
        })
    }

    pub(crate) fn count(&self) -> u64 {
        self.with(|table| table.entries.len() as u64)
    }
}
