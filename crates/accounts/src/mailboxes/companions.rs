//! What a protocol reckons from the messages of an open mailbox and keeps beside it, for all
//! sessions, until the mailbox or the room for such things is gone. It must never know what it is.

use std::any::{Any, TypeId};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::open::OpenMailbox;

/// The things kept beside one mailbox, one of each type.
#[derive(Debug, Default)]
pub(super) struct Companion(Mutex<Vec<Arc<dyn Any + Send + Sync>>>);

impl Companion {
    /// The thing of this type, made if there is none.
    pub(super) fn get<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept.iter().find_map(|one| Arc::downcast::<T>(Arc::clone(one)).ok());
        known.unwrap_or_else(|| {
            let new = Arc::new(T::default());
            kept.push(Arc::clone(&new) as _);
            new
        })
    }

    fn forget(&self, kind: TypeId) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = kept.iter().position(|one| (**one).type_id() == kind);
        let gone = place.map(|place| kept.swap_remove(place));
        // Not dropped while others wait for the lock.
        drop(kept);
        drop(gone);
    }
}

/// Which mailboxes have such things, of which type and how large, oldest first.
#[derive(Debug, Default)]
pub(super) struct Companions(Mutex<Weights>);

#[derive(Debug, Default)]
struct Weights {
    order: VecDeque<(Weak<OpenMailbox>, TypeId, usize)>,
    bytes: usize,
}

impl Companions {
    /// Takes note of how large a mailbox's companion of a type is; the oldest go until all together
    /// are within `most` bytes. One that is larger than a quarter of that is not kept at all.
    pub(super) fn weigh(&self, open: &Arc<OpenMailbox>, kind: TypeId, bytes: usize, most: usize) {
        let mut dropped = Vec::new();
        {
            let mut weights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            weights.order.retain(|(weak, known, _)| {
                let this = *known == kind && std::ptr::eq(weak.as_ptr(), Arc::as_ptr(open));
                weak.strong_count() > 0 && !this
            });
            weights.bytes = weights.order.iter().map(|(_, _, bytes)| bytes).sum();
            if bytes > most / 4 {
                dropped.push((Arc::downgrade(open), kind));
            } else {
                weights.order.push_back((Arc::downgrade(open), kind, bytes));
                weights.bytes += bytes;
                while weights.bytes > most {
                    let Some((old, kind, size)) = weights.order.pop_front() else { break };
                    weights.bytes -= size;
                    dropped.push((old, kind));
                }
            }
        }
        for (old, kind) in dropped {
            if let Some(old) = old.upgrade() {
                old.companion.forget(kind);
            }
        }
    }
}
