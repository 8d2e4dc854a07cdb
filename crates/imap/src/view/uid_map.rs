//! Sequence numbers to UIDs and back, kept as runs of neighbours: a mailbox nothing was ever
//! expunged from costs 8 bytes, the worst one 8 bytes a message. Knows nothing of sessions.

use crate::types::UidSet;

/// A run of messages whose sequence numbers and UIDs grow together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    sequence: u32,
    uid: u32,
}

/// Ascending UIDs numbered from 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UidMap {
    runs: Vec<Run>,
    length: u32,
}

impl UidMap {
    /// A mailbox without messages.
    #[must_use]
    pub const fn new() -> Self {
        Self { runs: Vec::new(), length: 0 }
    }

    /// The map of these UIDs, which come ascending and above 0; others are passed over.
    #[must_use]
    pub fn from_ascending(uids: impl IntoIterator<Item = u32>) -> Self {
        let mut map = Self::new();
        let mut last = 0;
        for uid in uids {
            // The common step first: the neighbour of the last one.
            if last > 0 && uid == last + 1 && map.length < u32::MAX {
                map.length += 1;
            } else {
                map.push(uid);
            }
            last = last.max(uid);
            if last == u32::MAX {
                break;
            }
        }
        map
    }

    /// How many messages there are.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.length
    }

    /// True when there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The largest UID.
    #[must_use]
    pub fn last(&self) -> Option<u32> {
        self.uid_of(self.length)
    }

    /// Adds a message at the end; a UID that is not above the last is passed over.
    pub fn push(&mut self, uid: u32) {
        let last = self.last().unwrap_or(0);
        if uid <= last || self.length == u32::MAX {
            return;
        }
        self.length += 1;
        if self.runs.is_empty() || uid != last + 1 {
            self.runs.push(Run { sequence: self.length, uid });
        }
    }

    /// The UID behind a sequence number.
    #[must_use]
    pub fn uid_of(&self, sequence: u32) -> Option<u32> {
        if sequence == 0 || sequence > self.length {
            return None;
        }
        let after = self.runs.partition_point(|run| run.sequence <= sequence);
        let run = self.runs.get(after.checked_sub(1)?)?;
        Some(run.uid + (sequence - run.sequence))
    }

    /// The sequence number of a UID.
    #[must_use]
    pub fn sequence_of(&self, uid: u32) -> Option<u32> {
        let at = self.runs.partition_point(|run| run.uid <= uid).checked_sub(1)?;
        let run = self.runs.get(at)?;
        let offset = uid - run.uid;
        (offset < self.run_length(at)).then(|| run.sequence + offset)
    }

    fn run_length(&self, at: usize) -> u32 {
        let Some(run) = self.runs.get(at) else { return 0 };
        let end = self.runs.get(at + 1).map_or(self.length, |next| next.sequence - 1);
        end - run.sequence + 1
    }

    /// Runs as (first sequence number, first UID, count), ascending, from the one that holds or
    /// follows this sequence number.
    pub(super) fn runs_from_sequence(
        &self,
        sequence: u32,
    ) -> impl Iterator<Item = (u32, u32, u32)> + '_ {
        let after = self.runs.partition_point(|run| run.sequence <= sequence);
        self.runs_at(after.saturating_sub(1))
    }

    /// As [`UidMap::runs_from_sequence`], by UID.
    pub(super) fn runs_from_uid(&self, uid: u32) -> impl Iterator<Item = (u32, u32, u32)> + '_ {
        let after = self.runs.partition_point(|run| run.uid <= uid);
        self.runs_at(after.saturating_sub(1))
    }

    fn runs_at(&self, from: usize) -> impl Iterator<Item = (u32, u32, u32)> + '_ {
        (from..self.runs.len())
            .filter_map(|i| self.runs.get(i).map(|run| (run.sequence, run.uid, self.run_length(i))))
    }

    /// Every message as (sequence number, UID), ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.runs_at(0)
            .flat_map(|(sequence, uid, count)| (0..count).map(move |i| (sequence + i, uid + i)))
    }

    /// The UIDs as a set.
    #[must_use]
    pub fn to_uid_set(&self) -> UidSet {
        let mut set = UidSet::new();
        for (_, uid, count) in self.runs_at(0) {
            set.push_range(uid, uid + (count - 1));
        }
        set
    }

    /// Removes these UIDs; the messages after them move up.
    pub fn remove(&mut self, gone: &UidSet) {
        let left = self.to_uid_set().minus(gone);
        self.runs.clear();
        self.length = 0;
        for &(low, high) in left.ranges() {
            self.runs.push(Run { sequence: self.length + 1, uid: low });
            self.length += high - low + 1;
        }
    }
}
