//! The connections that mail goes out on, as a monitor lists them: where to, for which queue, since
//! when, what they do. At most as many rows as there are connections. It must never know what is
//! sent.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// One outgoing connection as shown.
#[derive(Clone, Debug)]
pub struct OutgoingRow {
    /// Its number, as in the log tag `SMTP-000042`.
    pub number: u64,
    /// The queue it serves, or served last.
    pub queue: String,
    /// Name of the host.
    pub host: String,
    /// The other side.
    pub remote: SocketAddr,
    /// When it was begun.
    pub connected: Instant,
    /// What it is doing, or its state.
    pub status: &'static str,
    /// When that began; `None` while it waits for more mail.
    pub running: Option<Instant>,
}

type Rows = Arc<Mutex<BTreeMap<u64, OutgoingRow>>>;

fn lock(rows: &Rows) -> MutexGuard<'_, BTreeMap<u64, OutgoingRow>> {
    rows.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The connections of a server.
#[derive(Default)]
pub(super) struct Table(Rows);

impl Table {
    /// Enters a connection that is being made; it leaves when the entry is dropped.
    pub(super) fn enter(&self, number: u64, queue: &str, host: &str, remote: SocketAddr) -> Entry {
        let now = Instant::now();
        let row = OutgoingRow {
            number,
            queue: queue.to_owned(),
            host: host.to_owned(),
            remote,
            connected: now,
            status: "Connecting",
            running: Some(now),
        };
        lock(&self.0).insert(number, row);
        Entry { rows: Arc::clone(&self.0), number }
    }

    /// All of them, by number.
    pub(super) fn list(&self) -> Vec<OutgoingRow> {
        lock(&self.0).values().cloned().collect()
    }
}

/// A connection's place in the table.
pub(super) struct Entry {
    rows: Rows,
    number: u64,
}

impl Entry {
    /// It sends mail of this queue.
    pub(super) fn sends(&self, queue: &str) {
        if let Some(row) = lock(&self.rows).get_mut(&self.number) {
            queue.clone_into(&mut row.queue);
            (row.status, row.running) = ("Sending", Some(Instant::now()));
        }
    }

    /// It waits for more mail.
    pub(super) fn waits(&self) {
        if let Some(row) = lock(&self.rows).get_mut(&self.number) {
            (row.status, row.running) = ("Waiting", None);
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        lock(&self.rows).remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_listed_while_it_lives() {
        let table = Table::default();
        let entry = table.enter(7, "a.example", "mx.a.example", ([192, 0, 2, 1], 25).into());
        let row = table.list().remove(0);
        assert_eq!((row.number, row.status, row.running.is_some()), (7, "Connecting", true));
        entry.sends("b.example");
        let row = table.list().remove(0);
        assert_eq!((row.queue.as_str(), row.status), ("b.example", "Sending"));
        entry.waits();
        assert!(table.list()[0].running.is_none());
        drop(entry);
        assert!(table.list().is_empty());
    }
}
