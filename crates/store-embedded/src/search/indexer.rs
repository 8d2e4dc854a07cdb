//! The indexer: one thread that looks through new bodies, a little at a time and resting in
//! between, so that deliveries and readers hardly feel it. Each batch is one transaction with the
//! watermark it reaches; killed anywhere, it goes on from there. No message can stop it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use angarium_message::search::{Mark, ReadableText, signature, unreadable, words_of};
use angarium_store::{BodyId, Result, StoreError};
use bytes::Bytes;

use super::file::{Watermark, watermark};
use super::{readable, sweep::sweep};
use crate::embedded::Inner;
use crate::index::{all, sql};
use crate::shard::Shard;

/// Bodies and octets of one batch, about.
const BATCH: u64 = 128;
const BATCH_OCTETS: u64 = 4 << 20;
/// After new mail it waits so long for more.
const GATHER: Duration = Duration::from_millis(200);
/// Without being woken it looks again after this time.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// It rests this many times as long as it worked.
const REST: u32 = 3;
/// How often what belongs to nothing any more is thrown out.
const SWEEP_AFTER: Duration = Duration::from_secs(3600);

/// How the indexer is told that there is something to do, or to stop.
#[derive(Default)]
pub(crate) struct Indexing {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    woken: bool,
    stopped: bool,
}

impl Indexing {
    /// There may be new bodies.
    pub(crate) fn wake(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.woken {
            state.woken = true;
            self.changed.notify_one();
        }
    }

    /// The store closes.
    pub(crate) fn stop(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).stopped = true;
        self.changed.notify_one();
    }

    /// Waits until woken; false when it is time to go.
    fn wait(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = |state: &mut State| !state.woken && !state.stopped;
        let waited = self.changed.wait_timeout_while(state, LOOK_AGAIN, idle);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        state.woken = false;
        !state.stopped
    }

    /// Rests; false when it is time to go.
    fn rest(&self, time: Duration) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(state, time, |state| !state.stopped);
        !waited.unwrap_or_else(PoisonError::into_inner).0.stopped
    }
}

/// Works until told to stop or the store is gone.
pub(crate) fn run(store: &Weak<Inner>, indexing: &Arc<Indexing>) {
    let mut swept = Instant::now();
    loop {
        loop {
            let Some(inner) = store.upgrade() else { return };
            let began = Instant::now();
            let mut some = 0;
            for shard in &inner.shards {
                some += index_some(shard).unwrap_or_else(|error| {
                    tracing::warn!("indexing for search: {error}");
                    0
                });
            }
            drop(inner);
            if !indexing.rest(began.elapsed() * REST) {
                return;
            }
            if some == 0 {
                break;
            }
        }
        if swept.elapsed() >= SWEEP_AFTER {
            swept = Instant::now();
            let Some(inner) = store.upgrade() else { return };
            for shard in &inner.shards {
                if let Err(error) = sweep(shard) {
                    tracing::warn!("tidying what is kept for search: {error}");
                }
            }
        }
        if !indexing.wait() || !indexing.rest(GATHER) {
            return;
        }
    }
}

/// Looks through the next bodies of a shard; answers how many.
pub(crate) fn index_some(shard: &Shard) -> Result<usize> {
    if !shard.search.is_usable() {
        return Ok(0);
    }
    let reached = shard.search.readers.read_here(watermark)?;
    let next: Vec<(BodyId, u64, u32)> = shard.readers.read_here(|db| {
        let text = "SELECT id, size, crc FROM bodies WHERE id>?1 ORDER BY id LIMIT ?2";
        all(db, text, (reached.body.0, BATCH), |row| {
            Ok((BodyId(row.get(0)?), row.get(1)?, row.get(2)?))
        })
    })?;
    let mut made = Vec::with_capacity(next.len());
    let mut mark = reached;
    let mut octets = 0;
    for (body, size, crc) in next {
        if octets > 0 && octets + size > BATCH_OCTETS {
            break;
        }
        octets += size;
        made.push((body, signature_of(shard, body)?));
        mark = Watermark { body, crc };
    }
    if made.is_empty() {
        return Ok(0);
    }
    shard.search.write(|db| {
        let mut statement =
            db.prepare_cached("INSERT OR REPLACE INTO signatures VALUES(?1, ?2)").map_err(sql)?;
        for (body, signature) in &made {
            statement.execute((body.0, signature)).map_err(sql)?;
        }
        db.prepare_cached("UPDATE state SET body=?1, crc=?2 WHERE id=1")
            .and_then(|mut s| s.execute((mark.body.0, mark.crc)))
            .map_err(sql)?;
        Ok(())
    })?;
    Ok(made.len())
}

fn signature_of(shard: &Shard, body: BodyId) -> Result<Vec<u8>> {
    let read = || shard.readers.read_here(|db| readable(shard, db, body));
    let bytes = match read() {
        // It may have been moved between looking it up and reading it.
        Err(StoreError::Unavailable(_)) => read()?,
        other => other?,
    };
    let Some(bytes) = bytes else { return Ok(unreadable()) };
    let made = catch_unwind(AssertUnwindSafe(|| signature(&ReadableText::of(&bytes))));
    Ok(made.unwrap_or_else(|_| {
        tracing::error!("body {body} cannot be looked through for search");
        unreadable()
    }))
}

/// The words of a body that was read.
pub(super) fn words(bytes: Option<Bytes>) -> Vec<(String, Mark)> {
    let Some(bytes) = bytes else { return Vec::new() };
    let found = catch_unwind(AssertUnwindSafe(|| words_of(&bytes)));
    found.unwrap_or_else(|_| {
        tracing::error!("a message cannot be looked through for words");
        Vec::new()
    })
}
