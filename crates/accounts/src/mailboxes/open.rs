//! One open mailbox: the state that all sessions of this process share, kept by the change feed,
//! and the log that tells each session cheaply what is new since it last looked. It must never
//! know what a session shows of it.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use angarium_store::{AccountId, Change, MailboxId, MailboxRecord, ModSeq, Snapshot, Store, Uid};
use tokio::sync::{OnceCell, watch};

use super::companions::Companion;
use super::error::MailError;
use super::table::Table;

/// Deltas kept for sessions that have not looked yet; one that is further behind compares anew.
const LOG_DELTAS: usize = 1024;
/// UIDs named by the kept deltas, all together.
const LOG_UIDS: usize = 131_072;
/// Changes buffered while a mailbox is being loaded; when there are more it is loaded again.
const BUFFERED_CHANGES: usize = 4096;
/// Attempts to load before the caller is told to try later.
const LOAD_ATTEMPTS: usize = 4;

/// What one change did, for sessions.
#[derive(Debug)]
enum Delta {
    Appended(Vec<Uid>),
    Flags(Vec<Uid>),
    Vanished(Vec<Uid>),
    Record,
}

impl Delta {
    fn weight(&self) -> usize {
        match self {
            Self::Appended(uids) | Self::Flags(uids) | Self::Vanished(uids) => uids.len(),
            Self::Record => 0,
        }
    }
}

/// What all sessions see of a mailbox at one moment; cheap to clone.
#[derive(Clone, Debug)]
pub struct Shared {
    /// Position in the log, for [`OpenMailbox::news`].
    pub version: u64,
    /// The messages.
    pub table: Arc<Table>,
    /// Name, counters, attributes.
    pub record: Arc<MailboxRecord>,
    /// The mailbox was removed.
    pub gone: bool,
}

/// What is new since a version.
#[derive(Clone, Debug)]
pub struct News {
    /// How it is now.
    pub now: Shared,
    /// False when the session was too far behind: the lists are empty, compare with `now`.
    pub complete: bool,
    /// UIDs that came, ascending, without those that went again.
    pub appended: Vec<Uid>,
    /// UIDs whose flags changed, ascending, without doubles.
    pub flags: Vec<Uid>,
    /// UIDs that went, ascending.
    pub vanished: Vec<Uid>,
}

#[derive(Debug)]
struct State {
    loaded: bool,
    buffered: Vec<Change>,
    overflow: bool,
    table: Arc<Table>,
    record: Arc<MailboxRecord>,
    gone: bool,
    /// HIGHESTMODSEQ of the snapshot: what was appended up to it is in it already.
    base: ModSeq,
    log: VecDeque<Delta>,
    log_uids: usize,
    /// Version after the last delta of the log.
    version: u64,
}

/// A mailbox that at least one session has (or recently had) open.
#[derive(Debug)]
pub struct OpenMailbox {
    account: AccountId,
    id: MailboxId,
    state: Mutex<State>,
    loading: OnceCell<()>,
    changed: watch::Sender<u64>,
    derived: Mutex<Option<Derived>>,
    pub(super) companion: Companion,
}

/// What somebody reckoned from one version of the shared state.
#[derive(Debug)]
struct Derived {
    version: u64,
    key: u32,
    value: Arc<dyn Any + Send + Sync>,
}

impl OpenMailbox {
    pub(super) fn new(record: MailboxRecord, account: AccountId) -> Self {
        Self {
            account,
            id: record.id,
            state: Mutex::new(State {
                loaded: false,
                buffered: Vec::new(),
                overflow: false,
                table: Arc::new(Table::default()),
                record: Arc::new(record),
                gone: false,
                base: ModSeq(0),
                log: VecDeque::new(),
                log_uids: 0,
                version: 1,
            }),
            loading: OnceCell::new(),
            changed: watch::Sender::new(1),
            derived: Mutex::new(None),
            companion: Companion::default(),
        }
    }

    /// Whose mailbox it is.
    #[must_use]
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// Which mailbox it is.
    #[must_use]
    pub fn id(&self) -> MailboxId {
        self.id
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while holding the lock cannot leave the state half changed in a way that
        // matters more than going on: every update is idempotent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Loads the messages once; changes that arrive meanwhile are applied on top.
    ///
    /// # Errors
    /// What the store says; the next caller tries again.
    pub(super) async fn load(&self, store: &Store) -> Result<(), MailError> {
        self.loading
            .get_or_try_init(|| async {
                for _ in 0..LOAD_ATTEMPTS {
                    {
                        let mut state = self.lock();
                        state.buffered.clear();
                        state.overflow = false;
                    }
                    let snapshot = store.mailboxes.snapshot(self.account, self.id).await?;
                    if self.take_snapshot(snapshot) {
                        return Ok(());
                    }
                }
                Err(MailError::Unavailable("the mailbox changes too fast to be opened".into()))
            })
            .await
            .copied()
    }

    /// False when changes were lost while loading.
    pub(super) fn take_snapshot(&self, snapshot: Snapshot) -> bool {
        let table = Table::of(&snapshot.entries);
        let mut state = self.lock();
        if state.overflow {
            return false;
        }
        state.table = Arc::new(table);
        state.base = snapshot.mailbox.highest_modseq;
        state.record = Arc::new(snapshot.mailbox);
        state.loaded = true;
        for change in std::mem::take(&mut state.buffered) {
            state.apply(self.id, &change);
        }
        state.log.clear();
        state.log_uids = 0;
        true
    }

    /// Told by the change feed.
    pub(super) fn apply(&self, change: &Change) {
        let version = {
            let mut state = self.lock();
            if !state.loaded {
                if state.buffered.len() < BUFFERED_CHANGES {
                    state.buffered.push(change.clone());
                } else {
                    state.overflow = true;
                }
                if let Change::Mailboxes { removed, .. } = change
                    && removed.contains(&self.id)
                {
                    state.gone = true;
                }
                return;
            }
            state.apply(self.id, change);
            state.version
        };
        self.changed.send_if_modified(|known| {
            let newer = *known < version;
            *known = version.max(*known);
            newer
        });
    }

    /// How the mailbox is now.
    #[must_use]
    pub fn shared(&self) -> Shared {
        self.lock().shared()
    }

    /// True when sessions that have it open must leave it.
    pub(super) fn is_gone(&self) -> bool {
        self.lock().gone
    }

    /// Something reckoned from the present state, kept until the state changes, so that sessions
    /// opening the same mailbox share it. `key` tells apart ways of reckoning; only the last one
    /// used is kept.
    pub fn derived<T: Send + Sync + 'static>(
        &self,
        key: u32,
        shared: &Shared,
        reckon: impl FnOnce(&Shared) -> T,
    ) -> Arc<T> {
        let lock = || self.derived.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().as_ref()
            && (known.version, known.key) == (shared.version, key)
            && let Ok(value) = Arc::downcast::<T>(Arc::clone(&known.value))
        {
            return value;
        }
        let value = Arc::new(reckon(shared));
        let kept: Arc<dyn Any + Send + Sync> = Arc::clone(&value) as _;
        *lock() = Some(Derived { version: shared.version, key, value: kept });
        value
    }

    /// Something kept beside the mailbox for all sessions, whatever changes; made empty at first.
    /// Its owner brings it up to date and tells its size with [`super::Registry::weigh`]; it may
    /// be forgotten at any time.
    pub fn companion<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        self.companion.get()
    }

    /// A handle that resolves when something changes after it was last marked as seen.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// What is new since `version`; `None` when nothing is.
    #[must_use]
    pub fn news(&self, version: u64) -> Option<News> {
        let state = self.lock();
        (state.version > version).then(|| state.news(version))
    }

    /// Takes the messages nobody has been told of as `\Recent`: their lowest UID, and from then
    /// on nobody else is. The caller makes it durable with [`super::MailAccount::keep_recent`].
    #[must_use]
    pub fn claim_recent(&self) -> Option<Uid> {
        let mut state = self.lock();
        let (first, next) = (state.record.first_recent, state.record.uid_next);
        if first >= next {
            return None;
        }
        Arc::make_mut(&mut state.record).first_recent = next;
        Some(first)
    }

    /// Bytes held, roughly.
    pub(super) fn bytes(&self) -> usize {
        self.lock().table.bytes() + 1024
    }
}

impl State {
    fn shared(&self) -> Shared {
        Shared {
            version: self.version,
            table: Arc::clone(&self.table),
            record: Arc::clone(&self.record),
            gone: self.gone,
        }
    }

    /// Takes over a newer record; what was claimed as recent here stays claimed.
    fn take_record(&mut self, record: &MailboxRecord) {
        if record.highest_modseq < self.record.highest_modseq {
            return;
        }
        let mut record = record.clone();
        record.first_recent = record.first_recent.max(self.record.first_recent);
        record.uid_next = record.uid_next.max(self.record.uid_next);
        self.record = Arc::new(record);
    }

    fn log(&mut self, delta: Delta) {
        self.version += 1;
        self.log_uids += delta.weight();
        self.log.push_back(delta);
        while self.log.len() > LOG_DELTAS || (self.log_uids > LOG_UIDS && self.log.len() > 1) {
            if let Some(old) = self.log.pop_front() {
                self.log_uids -= old.weight().min(self.log_uids);
            }
        }
    }

    fn apply(&mut self, id: MailboxId, change: &Change) {
        match change {
            Change::Appended { mailbox, .. } if mailbox.highest_modseq <= self.base => {}
            Change::Appended { mailbox, entries, .. } => {
                let added = Arc::make_mut(&mut self.table).append(entries);
                self.take_record(mailbox);
                if !added.is_empty() {
                    self.log(Delta::Appended(added));
                }
            }
            Change::Flags { mailbox, changed, .. } => {
                let done = Arc::make_mut(&mut self.table).set_flags(changed);
                self.take_record(mailbox);
                if !done.is_empty() {
                    self.log(Delta::Flags(done));
                }
            }
            Change::Expunged { mailbox, uids, .. } => {
                let gone = Arc::make_mut(&mut self.table).remove(uids);
                self.take_record(mailbox);
                if !gone.is_empty() {
                    self.log(Delta::Vanished(gone));
                }
            }
            Change::PopIds { ids, .. } => Arc::make_mut(&mut self.table).set_pop_ids(ids),
            Change::Mailboxes { removed, changed, .. } => {
                if removed.contains(&id) {
                    self.gone = true;
                    self.log(Delta::Record);
                }
                if let Some(record) = changed.iter().find(|r| r.id == id) {
                    if record.uid_validity != self.record.uid_validity || !record.selectable {
                        // What the sessions know of it means nothing any more.
                        self.gone = true;
                    }
                    self.take_record(record);
                    self.log(Delta::Record);
                }
            }
            _ => {}
        }
    }

    fn news(&self, version: u64) -> News {
        let now = self.shared();
        let behind = usize::try_from(self.version - version).unwrap_or(usize::MAX);
        let mut news =
            News { now, complete: true, appended: vec![], flags: vec![], vanished: vec![] };
        if behind > self.log.len() {
            news.complete = false;
            return news;
        }
        for delta in self.log.iter().skip(self.log.len() - behind) {
            match delta {
                Delta::Appended(uids) => news.appended.extend(uids),
                Delta::Flags(uids) => news.flags.extend(uids),
                Delta::Vanished(uids) => news.vanished.extend(uids),
                Delta::Record => {}
            }
        }
        news.flags.sort_unstable();
        news.flags.dedup();
        news.vanished.sort_unstable();
        if !news.vanished.is_empty() {
            let vanished = std::mem::take(&mut news.vanished);
            let left = |uid: &Uid| vanished.binary_search(uid).is_err();
            let came: Vec<Uid> = std::mem::take(&mut news.appended);
            // What came and went between two looks was never there for this session.
            news.vanished =
                vanished.iter().filter(|uid| came.binary_search(uid).is_err()).copied().collect();
            news.appended = came.iter().filter(|uid| left(uid)).copied().collect();
            news.flags.retain(left);
        }
        news
    }
}
