//! Readers of a shard's index: a few connections, used on blocking threads. What an operation has
//! answered is committed, so a read that begins after it sees it. Must never write.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use angarium_store::{Result, StoreError};
use rusqlite::Connection;
use tokio::sync::Semaphore;

use crate::index::{schema, sql};

/// Reads of one shard that may run at the same time; more wait.
const READERS: usize = 8;

/// The pool.
pub(crate) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    permits: Semaphore,
}

impl Readers {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, idle: Mutex::new(Vec::new()), permits: Semaphore::new(READERS) }
    }

    /// Reads on a blocking thread.
    pub(crate) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let readers = self.clone();
        let permit = self.permits.acquire().await.map_err(|_| closed())?;
        let done = tokio::task::spawn_blocking(move || readers.read_here(work)).await;
        drop(permit);
        done.map_err(|_| StoreError::Unavailable("a read was cut off".to_owned()))?
    }

    /// Reads on this thread, in one transaction: everything seen is of one moment.
    pub(crate) fn read_here<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let db = match idle {
            Some(db) => db,
            None => schema::open_reader(&self.path)?,
        };
        db.prepare_cached("BEGIN").and_then(|mut s| s.execute([])).map_err(sql)?;
        let result = work(&db);
        db.prepare_cached("COMMIT").and_then(|mut s| s.execute([])).map_err(sql)?;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(db);
        result
    }

    /// Closes the idle connections.
    pub(crate) fn close(&self) {
        self.permits.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

pub(crate) fn closed() -> StoreError {
    StoreError::Unavailable("the store is closed".to_owned())
}
