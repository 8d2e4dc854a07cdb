//! The sessions of this process as a monitor lists them: number, address, account, since when,
//! what they do. It must never know how a session works.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One session as shown (`reference/imap.md` section 9).
#[derive(Clone, Debug)]
pub struct SessionRow {
    /// `IMAP`, `POP`, `PWD`.
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

/// The sessions of a process. Clones share one table.
#[derive(Clone, Debug, Default)]
pub struct SessionTable {
    rows: Arc<Mutex<Rows>>,
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
        SessionEntry { table: self.clone(), key: (service, session), row }
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

    /// How many a service has for an account.
    #[must_use]
    pub fn count_for(&self, service: &str, account: &str) -> usize {
        let rows: Vec<_> = lock(&self.rows).values().cloned().collect();
        rows.iter()
            .filter(|row| {
                let row = lock(row);
                row.service == service && row.account == account
            })
            .count()
    }
}

/// A session's place in the table.
#[derive(Debug)]
pub struct SessionEntry {
    table: SessionTable,
    key: (&'static str, u64),
    row: Arc<Mutex<SessionRow>>,
}

impl SessionEntry {
    /// It belongs to this account now.
    pub fn account(&self, name: &str) {
        lock(&self.row).account = name.to_owned();
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
        drop(entry);
        assert_eq!(table.count(), 0);
    }
}
