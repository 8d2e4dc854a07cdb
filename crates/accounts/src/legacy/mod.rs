//! Legacy INBOX: an account's INBOX that is a text mailbox shared with other programs of the machine
//! (`reference/mailboxes.md` section 3.4, decision 14).
//!
//! The file is the truth. The store keeps a mirror of it, so that everything that reads mail (views,
//! searches, POP snapshots) works as with any mailbox and is never disturbed by what others do to
//! the file. [`LegacyMailboxes`] stands before the store's mailboxes: what changes such an INBOX
//! takes the locks, brings the mirror up to date, changes both and gives the locks back. It must
//! never know a protocol.

mod change;
mod file;
mod flags;
mod incoming;
mod locks;
mod mailboxes;
mod place;
mod reconcile;
mod redo;
mod scan;
mod session;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use angarium_store::{AccountId, Mailboxes, Store, StoreError};

use crate::Accounts;
use file::Stamp;
pub use flags::bits as bits_of_marks;
pub(crate) use mailboxes::LegacyMailboxes;
use place::Place;
use scan::Known;

/// Files whose state is kept at most; more are read anew when they are used.
const DESKS_MAX: usize = 4096;

/// What is known of one file. Whoever holds it is the only one of this process at the file.
#[derive(Default)]
pub(super) struct Desk {
    /// Whose INBOX it is to the mirror.
    account: AccountId,
    /// How the file was when it was last read or written; none when it must be read.
    stamp: Option<Stamp>,
    /// Its messages then, in the order of the file.
    messages: Vec<Known>,
    /// The warnings about fields that are missing have been logged.
    warned: bool,
}

/// All legacy mailboxes of this process.
pub(crate) struct Legacy {
    /// The mailboxes below.
    inner: Arc<dyn Mailboxes>,
    /// The store below, for bodies.
    store: Store,
    /// Where changes of files are prepared.
    room: PathBuf,
    accounts: OnceLock<Weak<Accounts>>,
    desks: Mutex<HashMap<PathBuf, Arc<tokio::sync::Mutex<Desk>>>>,
    watching: AtomicBool,
}

impl Legacy {
    /// Over a store; changes of files are prepared in `room`, which is made when it is needed.
    pub(crate) fn over(store: &Store, room: PathBuf) -> Arc<Self> {
        Arc::new(Self {
            inner: store.mailboxes.clone(),
            store: store.clone(),
            room,
            accounts: OnceLock::new(),
            desks: Mutex::default(),
            watching: AtomicBool::new(false),
        })
    }

    /// Tells the door, which knows the settings.
    pub(crate) fn belongs_to(&self, accounts: &Arc<Accounts>) {
        let _ = self.accounts.set(Arc::downgrade(accounts));
    }

    fn accounts(&self) -> Result<Arc<Accounts>, StoreError> {
        let gone = || StoreError::Unavailable("the server is stopping".to_owned());
        self.accounts.get().and_then(Weak::upgrade).ok_or_else(gone)
    }

    fn desk(&self, place: &Place) -> Arc<tokio::sync::Mutex<Desk>> {
        let mut desks = self.desks.lock().unwrap_or_else(PoisonError::into_inner);
        if desks.len() >= DESKS_MAX && !desks.contains_key(&place.path) {
            desks.retain(|_, desk| Arc::strong_count(desk) > 1);
        }
        desks.entry(place.path.clone()).or_default().clone()
    }
}

/// An error of the file system, told with the file it is about.
fn failed(path: &std::path::Path, error: &std::io::Error) -> StoreError {
    StoreError::Unavailable(format!("{}: {error}", path.display()))
}

/// Runs what waits for disks and locks where it holds up nobody.
async fn blocking<T, W>(work: W) -> Result<T, StoreError>
where
    T: Send + 'static,
    W: FnOnce() -> Result<T, StoreError> + Send + 'static,
{
    let ended = |_| StoreError::Unavailable("the server is stopping".to_owned());
    tokio::task::spawn_blocking(work).await.map_err(ended)?
}
