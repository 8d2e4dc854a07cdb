//! The housekeeper: one thread for what need not be waited for. It widens the range of queue ids,
//! gives foreign bodies back, forgets old deliveries, and moves what
//! SQLite has in its log into the database so that the writers need not.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use angarium_store::{BodyId, QueueId, Result};

use crate::compaction;
use crate::embedded::Inner;
use crate::index::references::home;
use crate::index::{self, schema};
use crate::queue::RESERVED_AHEAD;
use crate::record::Record;
use crate::shard;

/// How often it looks around.
const ROUND: Duration = Duration::from_millis(500);
/// An index is tidied after this many batches, or when it was changed and this time has passed.
const BATCHES: u64 = 1_000;
/// And not more often than this.
const TIDY_PAUSE: Duration = Duration::from_secs(1);
const TIDY_AFTER: Duration = Duration::from_secs(10);
/// A delivery is remembered until its entry has left the queue and this many queue ids have been
/// given out since, so that even a late repeat finds it.
const REMEMBERED_IDS: u64 = 200_000;
/// How often deliveries are forgotten, and how many entries at a time.
const FORGET_AFTER: Duration = Duration::from_secs(30);
const FORGET: usize = 5_000;

/// How often it looks for space to give back.
const COMPACT_AFTER: Duration = Duration::from_secs(600);

/// Something to be done.
pub(crate) enum Chore {
    ReserveQueueIds,
    /// A shard refers to a foreign body no more.
    Return {
        body: BodyId,
        holder: u32,
    },
    Stop,
}

/// Works until told to stop or the store is gone.
pub(crate) fn run(store: &Weak<Inner>, chores: &Receiver<Chore>) {
    let mut forgotten = Instant::now();
    let mut compacted = Instant::now();
    let mut tidied = Instant::now();
    loop {
        let chore = match chores.recv_timeout(ROUND) {
            Ok(Chore::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            Ok(chore) => Some(chore),
            Err(RecvTimeoutError::Timeout) => None,
        };
        let Some(inner) = store.upgrade() else { return };
        let done = match chore {
            Some(Chore::ReserveQueueIds) => reserve(&inner),
            Some(Chore::Return { body, holder }) => give_back(&inner, body, holder),
            Some(Chore::Stop) | None => Ok(()),
        };
        if let Err(error) = done {
            // What is left undone is found again at the next start.
            tracing::warn!("housekeeping: {error}");
        }
        if forgotten.elapsed() >= FORGET_AFTER {
            forgotten = Instant::now();
            for shard in &inner.shards {
                if let Err(error) = forget(&inner, shard) {
                    tracing::warn!("housekeeping: {error}");
                }
            }
        }
        if compacted.elapsed() >= COMPACT_AFTER {
            compacted = Instant::now();
            compact(inner.clone());
        }
        tidy(&inner, &mut tidied);
    }
}

/// Compacts beside everything else. Closing waits for it.
fn compact(inner: Arc<Inner>) {
    let work = move || {
        // Otherwise a backup is being made, or somebody compacts.
        if let Ok(_one_at_a_time) = inner.maintenance.try_lock() {
            match compaction::compact_where_it_pays(&inner) {
                Ok(done) if done.segments > 0 => tracing::info!("compaction: {done:?}"),
                Ok(_) => {}
                Err(error) => tracing::warn!("compaction: {error}"),
            }
        }
    };
    if let Err(error) = std::thread::Builder::new().name("compaction".to_owned()).spawn(work) {
        tracing::warn!("compaction: {error}");
    }
}

/// Widens the range of queue ids.
pub(crate) fn reserve(inner: &Inner) -> Result<()> {
    let below = inner.queue_ids.next().saturating_add(RESERVED_AHEAD);
    inner.directory_shard()?.submit_blocking(move |batch| {
        if below <= batch.tx.hot.counters.queue_ids_below {
            return Ok(());
        }
        batch.write(&[Record::QueueIdsReserved { below }], Vec::new())
    })
}

/// Gives a foreign body back, unless it has been taken again.
pub(crate) fn give_back(inner: &Inner, body: BodyId, holder: u32) -> Result<()> {
    let guard = inner.body_locks.get(inner.lock_of(body)).map(tokio::sync::Mutex::blocking_lock);
    let borrower = inner.shard(holder)?;
    let refs = borrower.submit_blocking(move |batch| batch.tx.borrowed(body))?;
    if refs.unwrap_or(0) == 0 {
        inner.shard(home(body))?.submit_blocking(move |batch| {
            if batch.tx.is_held(body, holder)? {
                batch.write(&[Record::Released { body, holder }], Vec::new())?;
            }
            Ok(())
        })?;
        if refs.is_some() {
            borrower.submit_blocking(move |batch| {
                batch.write(&[Record::Returned { body }], Vec::new())
            })?;
        }
    }
    drop(guard);
    Ok(())
}

/// Forgets the old deliveries in one shard.
pub(crate) fn forget(inner: &Inner, shard: &shard::Shard) -> Result<()> {
    let below = inner.queue_ids.next().saturating_sub(REMEMBERED_IDS);
    let text = "SELECT DISTINCT queue FROM origins WHERE queue<?1 ORDER BY queue LIMIT ?2";
    loop {
        let old: Vec<QueueId> = shard.readers.read_here(|db| {
            index::all(db, text, (below, FORGET as u64), |row| row.get(0).map(QueueId))
        })?;
        let full = old.len() == FORGET;
        let queues: Vec<QueueId> =
            old.into_iter().filter(|id| inner.schedule.shard_of(*id).is_none()).collect();
        if queues.is_empty() {
            return Ok(());
        }
        shard.submit_blocking(move |batch| {
            batch.write(&[Record::OriginsForgotten { queues }], Vec::new())
        })?;
        if !full {
            return Ok(());
        }
    }
}

/// Moves logs into databases.
fn tidy(inner: &Arc<Inner>, tidied: &mut Instant) {
    if tidied.elapsed() < TIDY_PAUSE {
        return;
    }
    let late = tidied.elapsed() >= TIDY_AFTER;
    let mut some = false;
    for shard in &inner.shards {
        let batches = shard.batches.load(Ordering::Relaxed);
        if batches >= BATCHES || (late && batches > 0) {
            shard.batches.store(0, Ordering::Relaxed);
            some = true;
            let log = schema::open_checkpointer(&shard.directory.join("index.sqlite"))
                .and_then(|db| shard::checkpoint(&db));
            match log {
                Ok(frames) => shard.log_frames.store(frames, Ordering::Relaxed),
                Err(error) => tracing::warn!("the index log could not be tidied: {error}"),
            }
        }
    }
    if late || some {
        *tidied = Instant::now();
    }
}
