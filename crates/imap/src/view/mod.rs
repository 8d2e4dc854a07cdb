//! What one session has been told of the mailbox it has open.
//!
//! Other sessions and deliveries change a mailbox at any time; a client learns of it only at
//! permitted moments, and until then its sequence numbers stand still (RFC 9051 sections 5.2 and
//! 7.5.1). [`View`] keeps the difference. It knows neither flags nor messages, only UIDs: the
//! shared state of the mailbox has the rest.

mod news;
mod resolve;
mod uid_map;

pub use news::{Moment, News};
pub use resolve::{NoSuchMessage, Piece, Resolved};
pub use uid_map::UidMap;

use std::sync::Arc;

use crate::types::{SequenceSet, UidSet};

/// What the client enabled, as far as it changes what news look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Habits {
    /// QRESYNC is enabled: expunged messages are told as VANISHED.
    pub qresync: bool,
    /// IMAP4rev2 is enabled: `\Recent` does not exist.
    pub rev2: bool,
}

/// What one session has been told of its mailbox.
///
/// Feed it with [`View::arrived`], [`View::gone`] and [`View::changed`] in the order things
/// happened, and take the answers with [`View::take_news`].
#[derive(Clone, Debug)]
pub struct View {
    /// What the client has been told, shared with other sessions that were told the same.
    map: Arc<UidMap>,
    habits: Habits,
    /// Arrived and not told, ascending, all above the last UID of `map`.
    fresh: Vec<u32>,
    /// Expunged and not told; may hold doubles and UIDs never told.
    gone: Vec<u32>,
    /// Flags changed and not told, with the MODSEQ of the change.
    changed: Vec<(u32, u64)>,
    recent: UidSet,
    recent_told: u64,
    saved: UidSet,
}

impl View {
    /// The view of a session that has just been told of these messages.
    ///
    /// `recent` are those this session is the first to be told of (empty after EXAMINE by
    /// another, or with IMAP4rev2).
    #[must_use]
    pub fn new(map: Arc<UidMap>, recent: UidSet, habits: Habits) -> Self {
        let recent_told = recent.len();
        Self {
            map,
            habits,
            fresh: Vec::new(),
            gone: Vec::new(),
            changed: Vec::new(),
            recent,
            recent_told,
            saved: UidSet::new(),
        }
    }

    /// The client enabled something while the mailbox was open.
    pub fn set_habits(&mut self, habits: Habits) {
        self.habits = habits;
    }

    /// The messages the client has been told of.
    #[must_use]
    pub fn map(&self) -> &Arc<UidMap> {
        &self.map
    }

    /// The number last told as EXISTS, less what was told as expunged since.
    #[must_use]
    pub fn exists(&self) -> u32 {
        self.map.len()
    }

    /// How many of the messages are `\Recent` in this session.
    #[must_use]
    pub fn recent(&self) -> u32 {
        u32::try_from(self.recent.len()).unwrap_or(u32::MAX)
    }

    /// True when this message is `\Recent` in this session.
    #[must_use]
    pub fn is_recent(&self, uid: u32) -> bool {
        !self.habits.rev2 && self.recent.contains(uid)
    }

    /// The sequence number of a UID the client was told of.
    #[must_use]
    pub fn sequence_of(&self, uid: u32) -> Option<u32> {
        self.map.sequence_of(uid)
    }

    /// The UID behind a sequence number.
    #[must_use]
    pub fn uid_of(&self, sequence: u32) -> Option<u32> {
        self.map.uid_of(sequence)
    }

    /// The messages a set names, ascending, each once. UIDs that do not exist are passed over.
    ///
    /// # Errors
    /// [`NoSuchMessage`] for a sequence number above EXISTS, the client's fault (BAD).
    pub fn resolve(&self, set: &SequenceSet, uid: bool) -> Result<Resolved, NoSuchMessage> {
        resolve::resolve(&self.map, set, uid, &self.saved)
    }

    /// The UIDs of `known` (all up to `last` when `None`) that are not in the mailbox: what
    /// VANISHED (EARLIER) must name when nothing better is known (RFC 7162 section 3.2.6).
    #[must_use]
    pub fn missing(&self, known: Option<&SequenceSet>, last: u32) -> UidSet {
        let mut asked = UidSet::new();
        match known {
            Some(set) => {
                let ranges = set.ranges().iter().filter_map(|r| r.resolve(last));
                let clipped = ranges.map(|(low, high)| (low, high.min(last))).collect();
                asked = UidSet::from_ranges(clipped);
            }
            None => asked.push_range(1, last),
        }
        asked.minus(&self.map.to_uid_set())
    }

    /// Keeps the result of a SEARCH for `$` (RFC 5182); an empty set after one that failed.
    pub fn save(&mut self, uids: UidSet) {
        self.saved = uids;
    }

    /// What `$` names at present: messages expunged since are left out.
    #[must_use]
    pub fn saved(&self) -> Resolved {
        resolve::saved(&self.map, &self.saved)
    }
}
