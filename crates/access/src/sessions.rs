//! The sessions of this process as a monitor lists them: number, address, account, since when,
//! what they do. It must never know how a session works.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::watch;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One session as shown (`reference/imap.md` section 9).
#[derive(Clone, Debug)]
pub struct SessionRow {
    /// `IMAP`, `POP`, `PWD`, `SMTPI`.
    pub service: &'static str,
    /// Number of the session, as in its log tag.
    pub session: u64,
    /// The client's address.
    pub peer: SocketAddr,
    /// Full name of the account, empty before log-in.
    pub account: String,
    /// When it connected.
    pub connected: Instant,
    /// What it is doing, or its state.
    pub status: &'static str,
    /// When the running operation began; `None` when it waits for the client.
    pub running: Option<Instant>,
}

/// Rows by service and number, each with its own lock, so that sessions do not wait for each
/// other.
type Rows = BTreeMap<(&'static str, u64), Arc<Mutex<SessionRow>>>;

/// How many sessions a service has for an account.
type Counts = HashMap<(&'static str, String), usize>;

/// The sessions of a process. Clones share one table.
#[derive(Clone, Debug, Default)]
pub struct SessionTable {
    rows: Arc<Mutex<Rows>>,
    counts: Arc<Mutex<Counts>>,
    stopping: Arc<watch::Sender<bool>>,
}

impl SessionTable {
    /// Enters a session; it leaves when the entry is dropped.
    #[must_use]
    pub fn enter(&self, service: &'static str, session: u64, peer: SocketAddr) -> SessionEntry {
        let row = Arc::new(Mutex::new(SessionRow {
            service,
            session,
            peer,
            account: String::new(),
            connected: Instant::now(),
            status: "Connected",
            running: None,
        }));
        lock(&self.rows).insert((service, session), Arc::clone(&row));
        let stopping = self.stopping.subscribe();
        SessionEntry { table: self.clone(), key: (service, session), row, stopping }
    }

    /// Tells every session that the server stops: those that wait say goodbye now, those in the
    /// middle of a command when it is answered.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// All sessions, by service and number.
    #[must_use]
    pub fn list(&self) -> Vec<SessionRow> {
        let rows: Vec<_> = lock(&self.rows).values().cloned().collect();
        rows.iter().map(|row| lock(row).clone()).collect()
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        lock(&self.rows).len()
    }

    /// How many a service has for an account, by its full name.
    #[must_use]
    pub fn count_for(&self, service: &'static str, account: &str) -> usize {
        lock(&self.counts).get(&(service, account.to_owned())).copied().unwrap_or(0)
    }

    fn leave_account(&self, service: &'static str, account: String) {
        let mut counts = lock(&self.counts);
        let key = (service, account);
        if let Some(count) = counts.get_mut(&key) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&key);
            }
        }
    }
}

/// A session's place in the table.
#[derive(Debug)]
pub struct SessionEntry {
    table: SessionTable,
    key: (&'static str, u64),
    row: Arc<Mutex<SessionRow>>,
    stopping: watch::Receiver<bool>,
}

impl SessionEntry {
    /// It belongs to this account now; the empty name: to nobody any more.
    pub fn account(&self, name: &str) {
        let before = std::mem::replace(&mut lock(&self.row).account, name.to_owned());
        if !name.is_empty() {
            let key = (self.key.0, name.to_owned());
            *lock(&self.table.counts).entry(key).or_default() += 1;
        }
        if !before.is_empty() {
            self.table.leave_account(self.key.0, before);
        }
    }

    /// Resolves when the server stops, also when it was told before.
    pub async fn stopping(&self) {
        let mut stopping = self.stopping.clone();
        if stopping.wait_for(|stop| *stop).await.is_err() {
            // The table lives as long as this entry; nobody can stop what nobody holds.
            std::future::pending::<()>().await;
        }
    }

    /// True when the server stops.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// How many sessions of this one's service the account has, by its full name.
    #[must_use]
    pub fn sessions_of(&self, account: &str) -> usize {
        self.table.count_for(self.key.0, account)
    }

    /// It begins to do something.
    pub fn running(&self, status: &'static str) {
        let mut row = lock(&self.row);
        row.status = status;
        row.running = Some(Instant::now());
    }

    /// It waits for its client, in this state.
    pub fn waiting(&self, status: &'static str) {
        let mut row = lock(&self.row);
        row.status = status;
        row.running = None;
    }
}

impl Drop for SessionEntry {
    fn drop(&mut self) {
        lock(&self.table.rows).remove(&self.key);
        let account = std::mem::take(&mut lock(&self.row).account);
        if !account.is_empty() {
            self.table.leave_account(self.key.0, account);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_listed_while_it_lives() {
        let table = SessionTable::default();
        let peer = SocketAddr::from(([192, 0, 2, 1], 9));
        let entry = table.enter("IMAP", 42, peer);
        entry.account("u@example.com");
        entry.running("FETCH");
        let rows = table.list();
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].session, rows[0].status), (42, "FETCH"));
        assert!(rows[0].running.is_some());
        assert_eq!(table.count_for("IMAP", "u@example.com"), 1);
        entry.account("other@example.com");
        assert_eq!(table.count_for("IMAP", "u@example.com"), 0);
        drop(entry);
        assert_eq!((table.count(), table.count_for("IMAP", "other@example.com")), (0, 0));
    }
}
