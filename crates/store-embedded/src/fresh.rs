//! Queue entries as they were accepted, kept until they are leased for the first time: nearly all
//! are leased at once, and reading them back would cost a message in a hurry a blocking read.
//!
//! Only what is gained is time: the timetable says whether an entry is there, the index what it
//! holds. It must never be asked about an entry that the timetable does not know.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use angarium_store::{QueueId, QueuedMessage, QueuedRecipient};

/// Entries kept; the oldest go first.
const ENTRIES: usize = 1024;
/// Recipients of an entry that is kept.
const RECIPIENTS: usize = 16;
/// Octets of the summary of an entry that is kept.
const SUMMARY: usize = 16 * 1024;

#[derive(Default)]
struct Kept {
    entries: HashMap<QueueId, QueuedMessage>,
    /// In the order they came; some may have left.
    order: VecDeque<QueueId>,
}

/// The entries.
#[derive(Default)]
pub(crate) struct Fresh(Mutex<Kept>);

impl Fresh {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an entry is small enough to be kept.
    pub(crate) fn wants(recipients: &[QueuedRecipient], summary: &[u8]) -> bool {
        recipients.len() <= RECIPIENTS && summary.len() <= SUMMARY
    }

    /// Keeps an entry that is being accepted.
    pub(crate) fn put(&self, message: QueuedMessage) {
        let mut kept = self.kept();
        while kept.order.len() >= ENTRIES {
            let Some(oldest) = kept.order.pop_front() else { break };
            kept.entries.remove(&oldest);
        }
        kept.order.push_back(message.id);
        kept.entries.insert(message.id, message);
    }

    /// Gives an entry away, if it is kept; from then on the index alone knows it.
    pub(crate) fn take(&self, id: QueueId) -> Option<QueuedMessage> {
        self.kept().entries.remove(&id)
    }
}

#[cfg(test)]
mod tests {
    use angarium_store::BodyId;

    use super::*;

    fn message(id: u64) -> QueuedMessage {
        QueuedMessage {
            id: QueueId(id),
            return_path: String::new(),
            facts: Default::default(),
            body: BodyId(1),
            size: 1,
            summary: Default::default(),
            recipients: Vec::new(),
            accepted: 0,
            priority: 0,
        }
    }

    #[test]
    fn an_entry_is_given_once_and_the_number_kept_is_bounded() {
        let fresh = Fresh::default();
        for id in 0..3 * ENTRIES as u64 {
            fresh.put(message(id));
        }
        assert_eq!(fresh.kept().entries.len(), ENTRIES);
        assert!(fresh.take(QueueId(0)).is_none());
        let last = QueueId(3 * ENTRIES as u64 - 1);
        assert_eq!(fresh.take(last).map(|m| m.id), Some(last));
        assert!(fresh.take(last).is_none());
    }
}
