//! The queue's timetable of all shards, behind one lock. Filled at start from the indexes and kept
//! by the writers after each commit.

use std::sync::{Mutex, PoisonError};

use angarium_store::timetable::Timetable;

/// The timetable; the place of a message in it is the number of its shard.
#[derive(Default)]
pub(crate) struct Schedule(Mutex<Timetable>);

impl Schedule {
    /// Works on it; short, and never waiting for anything.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Timetable) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The shard of a message.
    pub(crate) fn shard_of(&self, id: angarium_store::QueueId) -> Option<u32> {
        self.with(|table| table.place_of(id))
    }
}
