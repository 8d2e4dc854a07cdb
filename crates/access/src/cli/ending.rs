//! Ending the sessions of an account from outside (KILLACCOUNTSESSIONS, a suspended account). It
//! must never know a protocol: a session is told, and says goodbye in its own words.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use angarium_accounts::AccountId;
use tokio::sync::Notify;

type Table = HashMap<AccountId, Vec<Arc<Notify>>>;

/// The logged-in sessions of a process by account. Clones share one table.
#[derive(Clone, Debug, Default)]
pub struct SessionEnder {
    table: Arc<Mutex<Table>>,
}

/// A session's place in it; leaves when dropped.
#[derive(Debug)]
pub struct EndSignal {
    table: Arc<Mutex<Table>>,
    account: AccountId,
    notify: Arc<Notify>,
}

fn lock(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SessionEnder {
    /// Enters a session that has logged in.
    #[must_use]
    pub fn enter(&self, account: AccountId) -> EndSignal {
        let notify = Arc::new(Notify::new());
        lock(&self.table).entry(account).or_default().push(Arc::clone(&notify));
        EndSignal { table: Arc::clone(&self.table), account, notify }
    }

    /// Tells all sessions of an account to end; answers how many there are.
    pub fn end(&self, account: AccountId) -> usize {
        let table = lock(&self.table);
        let sessions = table.get(&account).map_or(&[][..], Vec::as_slice);
        for session in sessions {
            session.notify_one();
        }
        sessions.len()
    }
}

impl EndSignal {
    /// Resolves when the session has to end, also when it was told before.
    pub async fn told(&self) {
        self.notify.notified().await;
    }
}

impl Drop for EndSignal {
    fn drop(&mut self) {
        let mut table = lock(&self.table);
        if let Some(sessions) = table.get_mut(&self.account) {
            sessions.retain(|known| !Arc::ptr_eq(known, &self.notify));
            if sessions.is_empty() {
                table.remove(&self.account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_sessions_of_the_account_are_told() {
        let ender = SessionEnder::default();
        let (mine, other) = (ender.enter(AccountId(1)), ender.enter(AccountId(2)));
        assert_eq!(ender.end(AccountId(1)), 1);
        mine.told().await;
        let waited = tokio::time::timeout(std::time::Duration::from_millis(20), other.told()).await;
        assert!(waited.is_err());
        drop(mine);
        assert_eq!(ender.end(AccountId(1)), 0);
    }
}
