//! What a protocol reckons from the messages of an open mailbox and keeps beside it, for all
//! sessions, until the mailbox or the room for such things is gone. It must never know what it is.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::open::OpenMailbox;

/// A thing kept beside one mailbox.
#[derive(Debug, Default)]
pub(super) struct Companion(Mutex<Option<Arc<dyn Any + Send + Sync>>>);

impl Companion {
    /// The thing kept, made if there is none (or one of another kind).
    pub(super) fn get<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kept.clone().and_then(|known| Arc::downcast::<T>(known).ok()) {
            return known;
        }
        let new = Arc::new(T::default());
        *kept = Some(Arc::clone(&new) as _);
        new
    }

    fn forget(&self) {
        let gone = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(gone);
    }
}

/// Which mailboxes have such things and how large they are, oldest first.
#[derive(Debug, Default)]
pub(super) struct Companions(Mutex<Weights>);

#[derive(Debug, Default)]
struct Weights {
    order: VecDeque<(Weak<OpenMailbox>, usize)>,
    bytes: usize,
}

impl Companions {
    /// Takes note of how large a mailbox's companion is; the oldest go until all together are
    /// within `most` bytes. One that is larger than a quarter of that is not kept at all.
    pub(super) fn weigh(&self, open: &Arc<OpenMailbox>, bytes: usize, most: usize) {
        let mut dropped = Vec::new();
        {
            let mut weights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            weights.order.retain(|(weak, _)| {
                weak.strong_count() > 0 && !std::ptr::eq(weak.as_ptr(), Arc::as_ptr(open))
            });
            weights.bytes = weights.order.iter().map(|(_, bytes)| bytes).sum();
            if bytes > most / 4 {
                dropped.push(Arc::downgrade(open));
            } else {
                weights.order.push_back((Arc::downgrade(open), bytes));
                weights.bytes += bytes;
                while weights.bytes > most {
                    let Some((old, size)) = weights.order.pop_front() else { break };
                    weights.bytes -= size;
                    dropped.push(old);
                }
            }
        }
        for old in dropped.iter().filter_map(Weak::upgrade) {
            old.companion.forget();
        }
    }
}
