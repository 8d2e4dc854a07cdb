//! A store that fails, stalls or cuts off at chosen calls, around any edition.
//!
//! What is made to fail is the answer, never the insides of an edition: a *failed* call does
//! nothing, a *cut-off* one does its work and then says it failed, as when the caller's
//! connection breaks. Both answer [`StoreError::Unavailable`].

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::Store;
use crate::account_files::{AccountFiles, FileRecord, FileRoom, FileUsage, FileWrite};
use crate::bodies::{Bodies, BodyWriter, HeadLength, StagedBody, Top};
use crate::directory::{
    AccountRecord, Directory, DomainObject, DomainRecord, ObjectCounts, ObjectPage, SettingsKey,
    Versioned,
};
use crate::error::{Result, StoreError};
use crate::ids::{AccountId, BodyId, MailboxId, ModSeq, QueueId, Uid};
use crate::mailboxes::{
    Appended, AttributesPatch, Changes, Copied, FlagOutcome, FlagUpdate, MailboxRecord, Mailboxes,
    NewMailbox, Snapshot, Transfer,
};
use crate::message::{NewMessage, Origin};
use crate::numbers::NumbersPatch;
use crate::queue::{
    LeasedWork, NewQueued, Queue, QueueFacts, QueueName, QueuedMessage, RecipientStep,
};
use crate::search::{FuzzyText, Search, Sifted};
use angarium_message::search::Probe;
use angarium_objects::value::Dictionary;

/// A family of operations of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// [`Mailboxes`].
    Mailboxes,
    /// [`Directory`].
    Directory,
    /// [`Queue`], `next_id` excepted, which cannot fail.
    Queue,
    /// [`Bodies`] with the writing and finishing of staged bodies.
    Bodies,
    /// [`Search`].
    Search,
    /// [`AccountFiles`].
    AccountFiles,
}

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It does nothing and answers `Unavailable`.
    Fail,
    /// It waits and then works as usual.
    Stall(Duration),
    /// It works and then answers `Unavailable`. When the work itself fails, that is the answer.
    CutOff,
}

/// Faults to come and calls counted. A clone is another handle on the same plan.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    state: Arc<Mutex<PlanState>>,
}

#[derive(Debug, Default)]
struct PlanState {
    rules: Vec<Rule>,
    /// Calls seen, by [`Family`].
    calls: [u64; 6],
    struck: u64,
}

#[derive(Debug)]
struct Rule {
    family: Option<Family>,
    skip: u64,
    times: u64,
    fault: Fault,
}

impl Plan {
    /// A plan without faults; calls are counted.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the `nth` call from now on (1 is the next one) of a family, or of all, suffer a
    /// fault, and the ones after it too, `times` in all.
    pub fn strike(&self, family: Option<Family>, nth: u64, times: u64, fault: Fault) {
        let skip = nth.saturating_sub(1);
        self.state().rules.push(Rule { family, skip, times, fault });
    }

    /// Forgets all faults to come.
    pub fn calm(&self) {
        self.state().rules.clear();
    }

    /// Calls of a family so far, those that suffered a fault too.
    #[must_use]
    pub fn calls(&self, family: Family) -> u64 {
        self.state().calls[family as usize]
    }

    /// Calls of all families so far.
    #[must_use]
    pub fn all_calls(&self) -> u64 {
        self.state().calls.iter().sum()
    }

    /// Faults that have happened so far.
    #[must_use]
    pub fn struck(&self) -> u64 {
        self.state().struck
    }

    fn state(&self) -> MutexGuard<'_, PlanState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call and says what happens to it: the fault of the first rule that is due.
    fn next(&self, family: Family) -> Option<Fault> {
        let mut state = self.state();
        state.calls[family as usize] += 1;
        let mut due = None;
        for rule in state.rules.iter_mut().filter(|r| r.family.is_none_or(|f| f == family)) {
            if rule.skip > 0 {
                rule.skip -= 1;
            } else if rule.times > 0 && due.is_none() {
                rule.times -= 1;
                due = Some(rule.fault);
            }
        }
        state.rules.retain(|rule| rule.times > 0);
        state.struck += u64::from(due.is_some());
        due
    }

    /// Does a piece of work as planned.
    async fn apply<T>(
        &self,
        family: Family,
        work: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        match self.next(family) {
            None => work.await,
            Some(Fault::Fail) => Err(StoreError::Unavailable("made to fail".to_owned())),
            Some(Fault::Stall(time)) => {
                tokio::time::sleep(time).await;
                work.await
            }
            Some(Fault::CutOff) => {
                work.await?;
                Err(StoreError::Unavailable("cut off".to_owned()))
            }
        }
    }
}

/// Wraps every family of a store; the feed stays the store's own.
#[must_use]
pub fn wrap(store: Store, plan: Plan) -> Store {
    let feed = store.feed.clone();
    let faulty = Arc::new(Faulty { store, plan });
    Store {
        mailboxes: Arc::clone(&faulty) as _,
        files: Arc::clone(&faulty) as _,
        directory: Arc::clone(&faulty) as _,
        queue: Arc::clone(&faulty) as _,
        bodies: Arc::clone(&faulty) as _,
        search: faulty,
        feed,
    }
}

struct Faulty {
    store: Store,
    plan: Plan,
}

/// Writes one family: each operation goes through the plan to the wrapped store.
macro_rules! family {
    ($family:ident, $field:ident, {$($rest:tt)*},
     $($name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        #[async_trait]
        impl $family for Faulty {
            $($rest)*
            $(
                async fn $name(&self, $($argument: $type),*) -> Result<$answer> {
                    let work = self.store.$field.$name($($argument),*);
                    self.plan.apply(Family::$family, work).await
                }
            )*
        }
    };
}

family! { Mailboxes, mailboxes, {},
    list(account: AccountId) -> Vec<MailboxRecord>;
    get(account: AccountId, mailbox: MailboxId) -> MailboxRecord;
    create(account: AccountId, new: NewMailbox) -> MailboxRecord;
    delete(account: AccountId, mailbox: MailboxId) -> ();
    rename_tree(account: AccountId, from: &str, to: &str, now: i64) -> Vec<MailboxRecord>;
    set_attributes(account: AccountId, mailbox: MailboxId, patch: AttributesPatch)
        -> MailboxRecord;
    keep_numbers(account: AccountId, mailbox: MailboxId, patch: NumbersPatch) -> MailboxRecord;
    append(account: AccountId, mailbox: MailboxId, messages: Vec<NewMessage>)
        -> (MailboxRecord, Vec<Appended>);
    was_delivered(account: AccountId, origin: Origin) -> bool;
    snapshot(account: AccountId, mailbox: MailboxId) -> Snapshot;
    changes(account: AccountId, mailbox: MailboxId, since: ModSeq) -> Changes;
    vanished(account: AccountId, mailbox: MailboxId, since: ModSeq) -> Vec<Uid>;
    change_flags(account: AccountId, mailbox: MailboxId, update: FlagUpdate) -> FlagOutcome;
    transfer(account: AccountId, way: Transfer, uids: &[Uid]) -> Copied;
    expunge(account: AccountId, mailbox: MailboxId, uids: &[Uid], only_deleted: bool) -> Vec<Uid>;
    kept_back(account: AccountId) -> Vec<MailboxId>;
    usage(account: AccountId) -> (u64, u64);
}

family! { AccountFiles, files, {},
    file(account: AccountId, path: &str) -> Option<FileRecord>;
    list_files(account: AccountId, directory: &str) -> Vec<FileRecord>;
    file_usage(account: AccountId, directory: &str) -> FileUsage;
    write_file(account: AccountId, write: FileWrite) -> FileRecord;
    rename_file(account: AccountId, from: &str, to: &str, now: i64, room: FileRoom) -> ();
    remove_file(account: AccountId, path: &str) -> ();
}

family! { Directory, directory, {},
    settings(key: &SettingsKey) -> Versioned<Dictionary>;
    set_settings(key: &SettingsKey, value: Dictionary, expected: Option<u64>) -> u64;
    modules() -> Vec<String>;
    domains() -> Vec<String>;
    domain(name: &str) -> Option<DomainRecord>;
    create_domain(record: DomainRecord) -> DomainRecord;
    update_domain(record: DomainRecord, expected: Option<u64>) -> DomainRecord;
    rename_domain(from: &str, to: &str) -> ();
    delete_domain(name: &str, force: bool) -> ();
    lookup(domain: &str, name: &str) -> Option<DomainObject>;
    objects(domain: &str, after: Option<&str>, limit: usize) -> ObjectPage;
    put_object(domain: &str, name: &str, object: DomainObject, replace: bool) -> ();
    remove_object(domain: &str, name: &str) -> ();
    rename_object(domain: &str, from: &str, to: &str) -> ();
    plain_objects(domain: &str, after: Option<&str>, limit: usize) -> ObjectPage;
    counts(domain: &str) -> ObjectCounts;
    create_account_with(record: AccountRecord, mailboxes: Vec<NewMailbox>, now: i64)
        -> AccountRecord;
    account(id: AccountId) -> Option<AccountRecord>;
    accounts(domain: &str, after: AccountId, limit: usize) -> Vec<AccountRecord>;
    update_account(record: AccountRecord, expected: Option<u64>) -> AccountRecord;
    rename_account(id: AccountId, domain: &str, name: &str) -> AccountRecord;
    delete_account(id: AccountId) -> ();
}

family! { Queue, queue, {
        fn next_id(&self) -> QueueId {
            self.store.queue.next_id()
        }
    },
    enqueue(message: NewQueued) -> (QueueId, BodyId);
    enqueue_once(message: NewQueued, origin: Origin) -> Option<(QueueId, BodyId)>;
    lease(now: i64, limit: usize, seconds: i64) -> Vec<LeasedWork>;
    lease_module(module: &str, now: i64, limit: usize, seconds: i64) -> Vec<LeasedWork>;
    lease_one(id: QueueId, now: i64, seconds: i64) -> Option<LeasedWork>;
    lease_queue(name: &QueueName, now: i64, limit: usize, seconds: i64) -> Vec<LeasedWork>;
    lease_aged(name: &QueueName, ages: &[i64], now: i64, limit: usize, seconds: i64)
        -> Vec<LeasedWork>;
    claim(id: QueueId, now: i64, seconds: i64) -> Option<LeasedWork>;
    give_back(id: QueueId, recipients: &[u32]) -> ();
    park(name: &QueueName, until: i64) -> ();
    hasten(name: &QueueName, now: i64) -> u64;
    settle(id: QueueId, steps: Vec<RecipientStep>) -> ();
    next_due() -> Option<i64>;
    message(id: QueueId) -> Option<QueuedMessage>;
    list(after: QueueId, limit: usize) -> Vec<QueueId>;
    count() -> u64;
    queue_facts(name: &QueueName) -> Option<QueueFacts>;
    queues(after: Option<&QueueName>, limit: usize) -> Vec<QueueFacts>;
    queue_messages(name: &QueueName, after: QueueId, limit: usize) -> Vec<QueueId>;
    modules() -> Vec<String>;
}

family! { Bodies, bodies, {
        fn stage(&self) -> Box<dyn BodyWriter> {
            Box::new(FaultyWriter { writer: self.store.bodies.stage(), plan: self.plan.clone() })
        }
    },
    read(body: BodyId) -> Bytes;
    read_many(bodies: &[BodyId]) -> Vec<Bytes>;
    read_range(body: BodyId, offset: u64, length: u64) -> Bytes;
    read_heads(bodies: &[(BodyId, u32)]) -> Vec<Bytes>;
    summaries(bodies: &[BodyId]) -> Vec<Bytes>;
    tops(bodies: &[BodyId], head: HeadLength, room: usize) -> Vec<Top>;
}

family! { Search, search, {},
    sift(bodies: &[BodyId], probes: &[Probe]) -> Vec<Sifted>;
    fuzzy(account: AccountId, bodies: &[BodyId], text: &FuzzyText) -> Vec<(BodyId, u8)>;
}

struct FaultyWriter {
    writer: Box<dyn BodyWriter>,
    plan: Plan,
}

#[async_trait]
impl BodyWriter for FaultyWriter {
    async fn write(&mut self, data: &[u8]) -> Result<()> {
        self.plan.apply(Family::Bodies, self.writer.write(data)).await
    }

    async fn finish(self: Box<Self>) -> Result<StagedBody> {
        self.plan.apply(Family::Bodies, self.writer.finish()).await
    }
}
