//! Opening and closing: the base directory, its shards and their threads.

use std::collections::HashMap;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::mpsc as blocking;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use angarium_store::timetable::{Entry, Standing};
use angarium_store::{AccountId, BodyId, Feed, Result, Store, StoreError};
use tokio::sync::mpsc;

use crate::account_files::EmbeddedFiles;
use crate::bodies::size_and_summary;
use crate::bodies::{EmbeddedBodies, Spool};
use crate::decide::mailboxes::purge_account;
use crate::directory::EmbeddedDirectory;
use crate::files::{Files, SystemFiles};
use crate::fresh::Fresh;
use crate::housekeeper::{self, Chore};
use crate::index::references::home;
use crate::index::{Effect, all, apply_queue, one, schema};
use crate::journal::Position;
use crate::journal::scan::Damage;
use crate::lock::{self, BaseLock};
use crate::mailboxes::EmbeddedMailboxes;
use crate::queue::{EmbeddedQueue, QueueIds};
use crate::reader::{Readers, closed};
use crate::recovery::{self, Recovered};
use crate::schedule::Schedule;
use crate::search::{self, EmbeddedSearch, Indexing, SearchFile};
use crate::shard::{Segments, Shard};
use crate::version;
use crate::writer::{Command, Outcome, WAITING, Writer, unavailable};

/// A new segment is begun when one has reached this many octets.
const SEGMENT_SIZE: u64 = 128 << 20;
/// Locks that keep a foreign body from being given back while it is taken.
const BODY_LOCKS: usize = 64;
/// Names whose shard is remembered.
const PLACES: usize = 10_000;

/// How a base is opened.
#[derive(Clone)]
pub struct Options {
    /// The base directory; made if it is not there.
    pub base: PathBuf,
    /// Shards of a new base, 1 to 64; an existing one keeps its number.
    pub shards: u32,
    /// Octets after which a new segment is begun.
    pub segment_size: u64,
    /// How long to wait for another process that has the base open; zero by default.
    pub patience: Duration,
    #[doc(hidden)]
    pub files: Arc<dyn Files>,
}

impl Options {
    /// The usual options.
    #[must_use]
    pub fn new(base: impl Into<PathBuf>) -> Self {
        Self {
            base: base.into(),
            shards: 4,
            segment_size: SEGMENT_SIZE,
            patience: Duration::ZERO,
            files: Arc::new(SystemFiles),
        }
    }
}

/// The shard of a local name, remembered to place queue entries well.
#[derive(Default)]
pub(crate) struct Places(Mutex<HashMap<String, u32>>);

impl Places {
    pub(crate) fn get(&self, name: &str) -> Option<u32> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied()
    }

    pub(crate) fn put(&self, name: String, shard: u32) {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() >= PLACES {
            places.clear();
        }
        places.insert(name, shard);
    }
}

/// What all handles share.
pub(crate) struct Inner {
    pub(crate) base: PathBuf,
    pub(crate) files: Arc<dyn Files>,
    pub(crate) shards: Vec<Arc<Shard>>,
    pub(crate) spool: Spool,
    pub(crate) schedule: Arc<Schedule>,
    pub(crate) fresh: Arc<Fresh>,
    pub(crate) queue_ids: Arc<QueueIds>,
    pub(crate) next_account: AtomicU64,
    pub(crate) places: Places,
    pub(crate) body_locks: Vec<tokio::sync::Mutex<()>>,
    chores: Mutex<blocking::Sender<Chore>>,
    indexing: Arc<Indexing>,
    /// Backup and compaction, one at a time.
    pub(crate) maintenance: Mutex<()>,
}

impl Inner {
    pub(crate) fn shard(&self, number: u32) -> Result<&Arc<Shard>> {
        self.shards
            .get(number as usize)
            .ok_or_else(|| StoreError::Damaged(format!("there is no shard {number}")))
    }

    pub(crate) fn shard_number(&self, account: AccountId) -> u32 {
        (account.0 % self.shards.len() as u64) as u32
    }

    pub(crate) fn shard_of(&self, account: AccountId) -> Result<&Arc<Shard>> {
        self.shard(self.shard_number(account))
    }

    pub(crate) fn directory_shard(&self) -> Result<&Arc<Shard>> {
        self.shard(0)
    }

    pub(crate) fn lock_of(&self, body: BodyId) -> usize {
        (body.0 % BODY_LOCKS as u64) as usize
    }

    pub(crate) fn chore(&self, chore: Chore) {
        // After the housekeeper has gone, nothing needs doing any more.
        let _ = self.chores.lock().unwrap_or_else(PoisonError::into_inner).send(chore);
    }
}

/// Tells the store what the writers committed.
struct Told {
    feed: Feed,
    schedule: Arc<Schedule>,
    queue_ids: Arc<QueueIds>,
    chores: blocking::Sender<Chore>,
    indexing: Arc<Indexing>,
}

impl Outcome for Told {
    fn happened(&self, shard: u32, effects: Vec<Effect>) {
        if !effects.is_empty() {
            self.indexing.wake();
        }
        for effect in effects {
            match effect {
                Effect::Change(change) => self.feed.publish(&change),
                Effect::Queued { id, entry } => self.schedule.with(|table| table.add(id, entry)),
                Effect::Rescheduled { id, standings } => {
                    self.schedule.with(|table| table.reschedule(id, standings));
                }
                Effect::Unqueued { id } => self.schedule.with(|table| table.remove(id)),
                Effect::Unborrowed { body } => {
                    // A closed store has no housekeeper; the next start does it.
                    let _ = self.chores.send(Chore::Return { body, holder: shard });
                }
                Effect::Reserved { below } => self.queue_ids.reserved(below),
            }
        }
    }

    fn is_heard(&self) -> bool {
        self.feed.is_heard()
    }
}

/// An open base.
pub struct Embedded {
    pub(crate) inner: Arc<Inner>,
    feed: Feed,
    threads: Mutex<Vec<JoinHandle<()>>>,
    damages: Vec<Damage>,
    lock: Mutex<Option<BaseLock>>,
}

/// Opens a base directory, making a new one if there is none, and brings every shard up to its
/// journal. Blocks while it does.
///
/// # Errors
/// `Invalid` if the base was written by a newer version; `Unavailable` if another process has it
/// for longer than `patience`, or it cannot be read or written; `Damaged` if it is not a base.
pub fn open(options: Options) -> Result<Embedded> {
    schema::check_library()?;
    let io = |error: std::io::Error| unavailable(&error);
    private_directory(&options.base).map_err(io)?;
    let lock = lock::take_within(&options.base, options.patience)?;
    let shards = version::open(&options.base, options.shards, &*options.files)?;
    let spool = Spool::open(options.base.join("spool"))?;
    let mut recovered = Vec::new();
    for number in 0..shards {
        let directory = options.base.join(format!("shard-{number}"));
        private_directory(&directory).map_err(io)?;
        recovered.push(recovery::recover(
            options.files.clone(),
            &directory,
            number,
            Position::default(),
        )?);
    }
    options.files.sync_directory(&options.base).map_err(io)?;
    let embedded = start(&options, lock, spool, recovered)?;
    for damage in &embedded.damages {
        tracing::error!("damage: {damage}");
    }
    off_the_runtime(|| embedded.settle_in())?;
    Ok(embedded)
}

/// Makes a directory, if it is not there, that its owner alone may enter.
pub(crate) fn private_directory(path: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Runs what waits for writers on a thread where waiting is allowed, whoever calls.
pub(crate) fn off_the_runtime<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| scope.spawn(work).join())
        .unwrap_or_else(|_| Err(StoreError::Unavailable("a thread of the store failed".to_owned())))
}

/// Starts the threads of recovered shards.
/// Fills the timetable from the indexes, an entry at a time.
fn fill(schedule: &Schedule, recovered: &[Recovered]) -> Result<()> {
    for (number, found) in (0u32..).zip(recovered) {
        for id in apply_queue::ids(&found.db)? {
            let Some(entry) = apply_queue::entry(&found.db, id)? else { continue };
            let message = entry.message;
            apply_queue::complete(&found.db, &message)?;
            // The home of the body may be another shard.
            let home = usize::try_from(home(message.body)).ok().and_then(|n| recovered.get(n));
            let size = home.map(|home| size_and_summary(&home.db, message.body));
            let entry = Entry {
                place: number,
                accepted: message.accepted,
                size: size.and_then(Result::ok).map_or(0, |(size, _)| size),
                priority: message.priority,
                recipients: message.recipients.iter().map(Standing::of).collect(),
            };
            schedule.with(|table| table.add(id, entry));
        }
    }
    Ok(())
}

fn start(
    options: &Options,
    lock: BaseLock,
    spool: Spool,
    recovered: Vec<Recovered>,
) -> Result<Embedded> {
    let feed = Feed::default();
    let schedule = Arc::new(Schedule::default());
    let next_id = recovered.iter().map(|r| r.hot.counters.queue_ids_below).max().unwrap_or(1);
    let queue_ids = Arc::new(QueueIds::new(next_id));
    let next_account = next_account(&recovered)?;
    let (chores, to_do) = blocking::channel();
    let indexing = Arc::new(Indexing::default());
    let mut threads = Vec::new();
    let mut shards = Vec::new();
    let mut damages = Vec::new();
    fill(&schedule, &recovered)?;
    for (number, mut found) in (0u32..).zip(recovered) {
        damages.append(&mut found.damages);
        let directory = options.base.join(format!("shard-{number}"));
        let search = SearchFile::open(&directory, &found.db)?;
        let (waiting, receiver) = mpsc::channel(WAITING);
        let log_frames = Arc::new(AtomicU64::new(0));
        let batches = Arc::new(AtomicU64::new(0));
        let writer = Writer {
            db: found.db,
            hot: found.hot,
            tail: found.tail,
            files: options.files.clone(),
            outcome: Box::new(Told {
                feed: feed.clone(),
                schedule: schedule.clone(),
                queue_ids: queue_ids.clone(),
                chores: chores.clone(),
                indexing: indexing.clone(),
            }),
            segment_size: options.segment_size,
            log_frames: log_frames.clone(),
            batches: batches.clone(),
        };
        threads.push(spawn(format!("shard-{number}"), move || writer.run(receiver))?);
        shards.push(Arc::new(Shard {
            number,
            waiting,
            readers: Arc::new(Readers::new(directory.join("index.sqlite"))),
            segments: Segments::new(directory.join("segments")),
            search,
            directory,
            log_frames,
            batches,
        }));
    }
    let inner = Arc::new(Inner {
        base: options.base.clone(),
        files: options.files.clone(),
        shards,
        spool,
        schedule,
        fresh: Arc::default(),
        queue_ids,
        next_account: AtomicU64::new(next_account),
        places: Places::default(),
        body_locks: (0..BODY_LOCKS).map(|_| tokio::sync::Mutex::new(())).collect(),
        chores: Mutex::new(chores),
        indexing: indexing.clone(),
        maintenance: Mutex::new(()),
    });
    let store = Arc::downgrade(&inner);
    threads.push(spawn("housekeeper".to_owned(), move || housekeeper::run(&store, &to_do))?);
    let store = Arc::downgrade(&inner);
    threads.push(spawn("indexer".to_owned(), move || search::run(&store, &indexing))?);
    Ok(Embedded {
        inner,
        feed,
        threads: Mutex::new(threads),
        damages,
        lock: Mutex::new(Some(lock)),
    })
}

fn spawn(name: String, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name).spawn(work).map_err(|error| unavailable(&error))
}

/// The first account id that was never given out.
fn next_account(recovered: &[Recovered]) -> Result<u64> {
    let mut highest = 0u64;
    for found in recovered {
        let text = "SELECT max(coalesce((SELECT max(id) FROM accounts), 0),
                    coalesce((SELECT max(id) FROM removed_accounts), 0),
                    coalesce((SELECT max(id) FROM mail_accounts), 0))";
        highest = highest.max(one(&found.db, text, [], |row| row.get(0))?.unwrap_or(0));
    }
    Ok(highest + 1)
}

impl Embedded {
    /// The store.
    #[must_use]
    pub fn store(&self) -> Store {
        Store {
            mailboxes: Arc::new(EmbeddedMailboxes(self.inner.clone())),
            files: Arc::new(EmbeddedFiles(self.inner.clone())),
            directory: Arc::new(EmbeddedDirectory(self.inner.clone())),
            queue: Arc::new(EmbeddedQueue(self.inner.clone())),
            bodies: Arc::new(EmbeddedBodies(self.inner.clone())),
            search: Arc::new(EmbeddedSearch(self.inner.clone())),
            feed: self.feed.clone(),
        }
    }

    /// What was found damaged when the base was opened and has been gone around; empty when all
    /// is well.
    #[must_use]
    pub fn damages(&self) -> &[Damage] {
        &self.damages
    }

    /// Tidies what a crash may have left between two shards.
    fn settle_in(&self) -> Result<()> {
        let inner = &self.inner;
        housekeeper::reserve(inner)?;
        let directory = inner.directory_shard()?;
        for shard in &inner.shards {
            let mail: Vec<u64> = shard
                .readers
                .read_here(|db| all(db, "SELECT id FROM mail_accounts", [], |row| row.get(0)))?;
            let unknown = directory.readers.read_here(|db| strays(db, &mail))?;
            for (account, removed) in unknown {
                let empty = shard.readers.read_here(|db| is_empty(db, account))?;
                if removed || empty {
                    tracing::info!("mail of account {account} that is no more is removed");
                    shard.submit_blocking(move |batch| purge_account(batch, account))?;
                } else {
                    tracing::error!("there is mail of account {account}, which is not known");
                }
            }
            housekeeper::forget(inner, shard)?;
            let (unused, holds) = shard.readers.read_here(left_over)?;
            for body in unused {
                housekeeper::give_back(inner, body, shard.number)?;
            }
            for (body, holder) in holds {
                let known = inner.shard(holder)?.readers.read_here(|db| {
                    one(db, "SELECT 1 FROM borrowed WHERE body=?1", [body.0], |_| Ok(()))
                })?;
                if known.is_none() {
                    housekeeper::give_back(inner, body, holder)?;
                }
            }
        }
        Ok(())
    }

    /// Ends all work: what was asked before is finished, what is asked after is refused. May be
    /// called again.
    pub fn close(&self) {
        for shard in &self.inner.shards {
            let waiting = shard.waiting.clone();
            // From wherever we are called, also inside a runtime.
            let stop = std::thread::spawn(move || waiting.blocking_send(Command::Stop).is_ok());
            let _ = stop.join();
        }
        self.inner.chore(Chore::Stop);
        self.inner.indexing.stop();
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for shard in &self.inner.shards {
            shard.readers.close();
        }
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the store ended by a panic");
            }
        }
        for shard in &self.inner.shards {
            shard.search.close();
        }
        // A compaction that is under way ends at its next operation, which is refused.
        drop(self.inner.maintenance.lock().unwrap_or_else(PoisonError::into_inner));
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Looks through all bodies for search now, rather than little by little in the background.
    /// Blocks until done; answers how many bodies were new.
    ///
    /// # Errors
    /// `Unavailable` if the store is closed or cannot be read.
    pub fn index_for_search(&self) -> Result<u64> {
        self.is_open()?;
        let mut done = 0;
        for shard in &self.inner.shards {
            loop {
                let some = search::index_some(shard)?;
                if some == 0 {
                    break;
                }
                done += some as u64;
            }
        }
        Ok(done)
    }

    /// Throws out what search knows of bodies that are gone. Blocks until done; happens by itself
    /// every hour.
    ///
    /// # Errors
    /// As [`Embedded::index_for_search`].
    pub fn tidy_search(&self) -> Result<()> {
        self.is_open()?;
        self.inner.shards.iter().try_for_each(|shard| search::sweep(shard))
    }

    pub(crate) fn is_open(&self) -> Result<()> {
        let open = self.lock.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        if open { Ok(()) } else { Err(closed()) }
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.close();
    }
}

/// Accounts with mail that the directory does not know, and whether it knows them to be removed.
fn strays(directory: &rusqlite::Connection, mail: &[u64]) -> Result<Vec<(AccountId, bool)>> {
    let mut unknown = Vec::new();
    for id in mail {
        let known = one(directory, "SELECT 1 FROM accounts WHERE id=?1", [id], |_| Ok(()))?;
        if known.is_none() {
            let text = "SELECT 1 FROM removed_accounts WHERE id=?1";
            let removed = one(directory, text, [id], |_| Ok(()))?.is_some();
            unknown.push((AccountId(*id), removed));
        }
    }
    Ok(unknown)
}

fn is_empty(db: &rusqlite::Connection, account: AccountId) -> Result<bool> {
    let text = "SELECT coalesce((SELECT sum(messages) FROM mailboxes WHERE account=?1), 0)
                + (SELECT count(*) FROM account_files WHERE account=?1)";
    Ok(one(db, text, [account.0], |row| row.get::<_, u64>(0))?.unwrap_or(0) == 0)
}

type LeftOver = (Vec<BodyId>, Vec<(BodyId, u32)>);

/// Foreign bodies no longer used, and holds of others.
fn left_over(db: &rusqlite::Connection) -> Result<LeftOver> {
    let unused =
        all(db, "SELECT body FROM borrowed WHERE refs=0", [], |row| row.get(0).map(BodyId))?;
    let holds = all(db, "SELECT body, holder FROM holds", [], |row| {
        Ok((BodyId(row.get(0)?), row.get(1)?))
    })?;
    Ok((unused, holds))
}
