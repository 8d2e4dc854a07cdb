//! Connections that wait for more mail, and how many there may be to one address.
//!
//! It must never know what is sent on them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use angarium_smtp::Protocol;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::connection::Connection;
use super::policy::Level;
use super::table::Entry;

/// Most connections that wait, of the whole server.
const MAX_IDLE: usize = 100;

/// Longest time for a place among the connections to one address.
const QUEUED: Duration = Duration::from_secs(120);

/// What makes a connection good for a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) protocol: Protocol,
    pub(crate) level: Level,
    pub(crate) source: Vec<IpAddr>,
    pub(crate) hello: String,
    pub(crate) login: Option<(String, String)>,
}

struct Idle {
    key: Key,
    lease: Lease,
    since: Instant,
}

/// A connection and its place.
pub(crate) struct Lease {
    pub(crate) connection: Connection,
    /// Its number in logs.
    pub(crate) number: u64,
    /// It was used before and may have been closed meanwhile.
    pub(crate) reused: bool,
    /// Its row for the monitor.
    pub(super) entry: Entry,
    pub(crate) _slot: Slot,
}

/// The waiting connections.
#[derive(Default)]
pub(crate) struct Pool {
    idle: Mutex<Vec<Idle>>,
    slots: Arc<Slots>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pool {
    /// A connection that fits, the one used last.
    pub(crate) fn take(&self, key: &Key) -> Option<Lease> {
        let mut idle = lock(&self.idle);
        let at = idle.iter().rposition(|one| one.key == *key)?;
        let mut lease = idle.remove(at).lease;
        lease.reused = true;
        Some(lease)
    }

    /// Keeps a connection for more mail; one that there is no room for is answered.
    pub(crate) fn keep(&self, key: Key, lease: Lease) -> Option<Lease> {
        let mut idle = lock(&self.idle);
        idle.push(Idle { key, lease, since: Instant::now() });
        if idle.len() > MAX_IDLE { Some(idle.remove(0).lease) } else { None }
    }

    /// Those that have waited so long.
    pub(crate) fn tired(&self, longest: Duration) -> Vec<Lease> {
        let mut idle = lock(&self.idle);
        let (old, young) =
            idle.drain(..).partition::<Vec<_>, _>(|one| one.since.elapsed() >= longest);
        *idle = young;
        old.into_iter().map(|one| one.lease).collect()
    }

    /// A place for one more connection to an address; waits for one. `None` if it takes too long.
    pub(crate) async fn slot(&self, ip: IpAddr, most: usize) -> Option<Slot> {
        let waiting = async {
            loop {
                let freed = self.slots.freed.notified();
                tokio::pin!(freed);
                freed.as_mut().enable();
                if let Some(slot) = Slots::take(&self.slots, ip, most) {
                    return slot;
                }
                // One that waits for other mail to the same address can go.
                let other = {
                    let mut idle = lock(&self.idle);
                    let at = idle.iter().position(|one| one.lease._slot.ip == ip);
                    at.map(|at| idle.remove(at))
                };
                match other {
                    Some(other) => drop(other),
                    None => freed.await,
                }
            }
        };
        timeout(QUEUED, waiting).await.ok()
    }
}

/// Counts connections by address.
#[derive(Default)]
struct Slots {
    taken: Mutex<HashMap<IpAddr, usize>>,
    freed: Notify,
}

impl Slots {
    fn take(slots: &Arc<Self>, ip: IpAddr, most: usize) -> Option<Slot> {
        let mut taken = lock(&slots.taken);
        let count = taken.entry(ip).or_default();
        if *count >= most.max(1) {
            return None;
        }
        *count += 1;
        Some(Slot { slots: Arc::clone(slots), ip })
    }
}

/// A place for a connection; free again when dropped.
pub(crate) struct Slot {
    slots: Arc<Slots>,
    ip: IpAddr,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = lock(&self.slots.taken);
        if let Some(count) = taken.get_mut(&self.ip) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.ip);
            }
        }
        drop(taken);
        self.slots.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_address_has_so_many_places() {
        let pool = Pool::default();
        let ip: IpAddr = "192.0.2.1".parse().unwrap();
        let one = pool.slot(ip, 2).await.unwrap();
        let _two = pool.slot(ip, 2).await.unwrap();
        assert!(pool.slot(ip, 2).await.is_none());
        let _other = pool.slot("192.0.2.2".parse().unwrap(), 2).await.unwrap();
        drop(one);
        assert!(pool.slot(ip, 2).await.is_some());
        assert_eq!(lock(&pool.slots.taken).len(), 2);
    }
}
