//! The embedded edition keeps every promise of the contract.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::PathBuf;
use std::sync::Mutex;

use angarium_store::Store;
use angarium_store::suite::Edition;
use angarium_store_embedded::{Embedded, Options, open};
use async_trait::async_trait;
use tempfile::TempDir;

/// What lives as long as a fresh store: dropped, the store is closed and its directory removed.
struct Guard {
    _embedded: Embedded,
    _base: TempDir,
}

async fn fresh() -> (Store, Guard) {
    let base = TempDir::new().unwrap();
    let embedded = open(Options { shards: 3, ..Options::new(base.path()) }).unwrap();
    (embedded.store(), Guard { _embedded: embedded, _base: base })
}

angarium_store::contract_suite!(fresh);

struct Lasting {
    base: PathBuf,
    embedded: Mutex<Option<Embedded>>,
    _directory: TempDir,
}

impl Lasting {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let base = directory.path().to_owned();
        Self { base, embedded: Mutex::new(None), _directory: directory }
    }
}

#[async_trait]
impl Edition for Lasting {
    async fn open(&self) -> Store {
        let embedded = open(Options { shards: 2, ..Options::new(&self.base) }).unwrap();
        let store = embedded.store();
        *self.embedded.lock().unwrap() = Some(embedded);
        store
    }

    async fn close(&self, store: Store) {
        drop(store);
        if let Some(embedded) = self.embedded.lock().unwrap().take() {
            embedded.close();
        }
    }
}

angarium_store::reopen_suite!(Lasting::new);
