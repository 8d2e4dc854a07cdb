//! Ending the sessions of an account from outside (KILLACCOUNTSESSIONS, a suspended account). It
//! must never know a protocol: a session is told, and says goodbye in its own words.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use angarium_accounts::AccountId;
use tokio::sync::Notify;

/// One session: how it is told, and whether it is there to administer.
#[derive(Debug)]
struct Place {
    notify: Arc<Notify>,
    administers: bool,
}

type Table = HashMap<AccountId, Vec<Place>>;

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
        self.enter_as(account, false)
    }

    /// As [`SessionEnder::enter`] for a session that executes commands (PWD): a password changed
    /// in it does not end it.
    #[must_use]
    pub fn enter_administering(&self, account: AccountId) -> EndSignal {
        self.enter_as(account, true)
    }

    fn enter_as(&self, account: AccountId, administers: bool) -> EndSignal {
        let notify = Arc::new(Notify::new());
        let place = Place { notify: Arc::clone(&notify), administers };
        lock(&self.table).entry(account).or_default().push(place);
        EndSignal { table: Arc::clone(&self.table), account, notify }
    }

    /// Tells all sessions of an account that read mail to end.
    pub fn end_mail(&self, account: AccountId) {
        let table = lock(&self.table);
        for session in table.get(&account).into_iter().flatten().filter(|s| !s.administers) {
            session.notify.notify_one();
        }
    }

    /// Tells all sessions of an account to end; answers how many there are.
    pub fn end(&self, account: AccountId) -> usize {
        let table = lock(&self.table);
        let sessions = table.get(&account).map_or(&[][..], Vec::as_slice);
        for session in sessions {
            session.notify.notify_one();
        }
        sessions.len()
    }
}

impl EndSignal {
    /// Tells all other sessions of the account to end: its password was changed in this one.
    pub fn end_others(&self) {
        let table = lock(&self.table);
        for session in table.get(&self.account).into_iter().flatten() {
            if !Arc::ptr_eq(&session.notify, &self.notify) {
                session.notify.notify_one();
            }
        }
    }

    /// Resolves when the session has to end, also when it was told before.
    pub async fn told(&self) {
        self.notify.notified().await;
    }
}

impl Drop for EndSignal {
    fn drop(&mut self) {
        let mut table = lock(&self.table);
        if let Some(sessions) = table.get_mut(&self.account) {
            sessions.retain(|known| !Arc::ptr_eq(&known.notify, &self.notify));
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

    // ABU-39
    #[tokio::test(start_paused = true)]
    async fn the_session_that_changes_the_password_stays() {
        let ender = SessionEnder::default();
        let (here, there) = (ender.enter_administering(AccountId(1)), ender.enter(AccountId(1)));
        let short = std::time::Duration::from_millis(20);
        for way in 0..2 {
            if way == 0 {
                here.end_others();
            } else {
                ender.end_mail(AccountId(1));
            }
            there.told().await;
            assert!(tokio::time::timeout(short, here.told()).await.is_err());
        }
    }
}
