//! Changed settings, as every part of the transfer follows them: a count of changes heard at the
//! door, and values made from settings that are made again when the count has gone on. No part
//! reads settings for each message, and none has a way of its own.
//!
//! It must never know which settings they are.

use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};

use angarium_accounts::{Accounts, Change, ChangeListener, StoreError};
use tokio::sync::watch;

/// Counts the changes of settings. It keeps nobody alive who follows them.
pub(crate) struct Following {
    count: watch::Sender<u64>,
}

impl ChangeListener for Following {
    fn changed(&self, change: &Change) {
        if matches!(change, Change::Settings) {
            self.note();
        }
    }
}

impl Following {
    /// Counts from now on; `part` is the log's word for who follows.
    pub(crate) fn of(accounts: &Accounts, part: &'static str) -> Arc<Self> {
        let changes = Arc::new(Self { count: watch::Sender::new(1) });
        if !accounts.add_listener(changes.clone()) {
            tracing::error!(target: "SMTP", "{part}: changed settings count at the next start only");
        }
        changes
    }

    /// Counts one that is no setting of the store and is to be followed as if it were.
    pub(crate) fn note(&self) {
        self.count.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// For those who wait for the next one.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.count.subscribe()
    }

    fn count(&self) -> u64 {
        *self.count.borrow()
    }
}

/// A value made from settings, and after which change.
pub(crate) struct Made<T> {
    kept: RwLock<Option<(u64, Arc<T>)>>,
}

impl<T> Default for Made<T> {
    fn default() -> Self {
        Self { kept: RwLock::new(None) }
    }
}

impl<T> Made<T> {
    fn kept(&self) -> Option<(u64, Arc<T>)> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The value, if no setting has changed since it was made.
    pub(crate) fn fresh(&self, changes: &Following) -> Option<Arc<T>> {
        self.kept().filter(|(of, _)| *of == changes.count()).map(|(_, value)| value)
    }

    /// The value as it was made last.
    pub(crate) fn last(&self) -> Option<Arc<T>> {
        self.kept().map(|(_, value)| value)
    }

    /// The value of this moment: from memory, or made anew after a change. Where the settings
    /// cannot be read, the last one, and at the very start `otherwise`; the next who asks tries
    /// again.
    pub(crate) async fn get(
        &self,
        changes: &Following,
        make: impl Future<Output = Result<Arc<T>, StoreError>>,
        otherwise: impl FnOnce() -> T,
    ) -> Arc<T> {
        // Counted before it is read: what changes in between is a change of what is made here.
        let count = changes.count();
        if let Some((_, value)) = self.kept().filter(|(of, _)| *of == count) {
            return value;
        }
        match make.await {
            Ok(value) => {
                let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
                // Somebody else may have made a later one meanwhile.
                if kept.as_ref().is_none_or(|(of, _)| *of <= count) {
                    *kept = Some((count, Arc::clone(&value)));
                }
                value
            }
            Err(error) => {
                tracing::error!(target: "SMTP", "settings cannot be read, all stays: {error}");
                self.last().unwrap_or_else(|| Arc::new(otherwise()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes() -> Following {
        Following { count: watch::Sender::new(1) }
    }

    #[tokio::test]
    async fn a_value_is_made_once_for_each_change_and_stays_where_none_can_be_made() {
        let (changes, made) = (changes(), Made::<u32>::default());
        let unreadable = || async { Err(StoreError::Unavailable("gone".into())) };
        assert!(made.fresh(&changes).is_none());
        assert_eq!(*made.get(&changes, unreadable(), || 7).await, 7);
        assert!(made.last().is_none(), "what nobody could read is tried again");
        assert_eq!(*made.get(&changes, async { Ok(Arc::new(1)) }, || 7).await, 1);
        let never = async { unreachable!("it is fresh") };
        assert_eq!(*made.get(&changes, never, || 7).await, 1);
        changes.changed(&Change::Settings);
        assert!(made.fresh(&changes).is_none() && made.last().is_some());
        assert_eq!(*made.get(&changes, unreadable(), || 7).await, 1);
        assert_eq!(*made.get(&changes, async { Ok(Arc::new(2)) }, || 7).await, 2);
        assert_eq!(made.fresh(&changes).as_deref(), Some(&2));
    }

    #[tokio::test]
    async fn a_change_while_a_value_is_made_is_not_missed() {
        let (changes, made) = (changes(), Made::<u32>::default());
        let during = async {
            changes.note();
            Ok(Arc::new(1))
        };
        assert_eq!(*made.get(&changes, during, || 7).await, 1);
        assert!(made.fresh(&changes).is_none());
        assert_eq!(*made.get(&changes, async { Ok(Arc::new(2)) }, || 7).await, 2);
    }
}
