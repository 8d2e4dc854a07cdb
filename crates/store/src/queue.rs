//! Mail on its way: durable from the moment it is accepted until each recipient is settled.

use async_trait::async_trait;
use bytes::Bytes;

use crate::bodies::MessageBody;
use crate::error::Result;
use crate::ids::{BodyId, QueueId};
use crate::message::Origin;
use angarium_objects::value::Dictionary;

/// The due time of a recipient that waits until somebody says otherwise.
pub const HELD: i64 = i64::MAX;

/// A queue: what waits for the same destination of the same module.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueName {
    /// Such as `LOCAL` or `SMTP`.
    pub module: String,
    /// Such as an account or a host.
    pub queue: String,
}

impl QueueName {
    /// A name of these parts.
    #[must_use]
    pub fn new(module: &str, queue: &str) -> Self {
        Self { module: module.to_owned(), queue: queue.to_owned() }
    }
}

impl std::fmt::Display for QueueName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}({})", self.module, self.queue)
    }
}

/// What is known of a queue without reading its messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueFacts {
    /// Its name.
    pub name: QueueName,
    /// Messages with somebody waiting in it, those under way included.
    pub messages: u64,
    /// Recipients waiting, those under way included.
    pub recipients: u64,
    /// Recipients that are held.
    pub held: u64,
    /// Octets of its messages.
    pub size: u64,
    /// When the first of its messages was accepted.
    pub oldest: i64,
    /// When the next is due; `None` when all are held or under way.
    pub next_due: Option<i64>,
    /// What the last try said after which something is tried again; empty if there was none
    /// since the start.
    pub last_error: String,
}

/// A message to be queued.
#[derive(Clone, Debug)]
pub struct NewQueued {
    /// The id, taken with [`Queue::next_id`]; `None` lets the store take one.
    pub id: Option<QueueId>,
    /// Return path, empty for `<>`.
    pub return_path: String,
    /// Facts that travel with the message (source module, authenticated account, RET, ENVID,
    /// BODY, SMTPUTF8 …), opaque here.
    pub facts: Dictionary,
    /// The bytes; stored once however many recipients.
    pub body: MessageBody,
    /// As in [`crate::NewMessage::summary`].
    pub summary: Bytes,
    /// 1 to 100,000 recipients.
    pub recipients: Vec<QueuedRecipient>,
    /// When it was accepted, seconds since 1970.
    pub accepted: i64,
    /// Within its queue a message of higher priority goes first; usually 0.
    pub priority: i8,
}

impl NewQueued {
    /// Most recipients one message may have.
    pub const MAX_RECIPIENTS: usize = 100_000;
}

/// A recipient as given and as routed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedRecipient {
    /// The address as accepted.
    pub address: String,
    /// The module and queue it was routed to, such as `LOCAL` and the account, `SMTP` and a host.
    pub module: String,
    /// See `module`.
    pub queue: String,
    /// NOTIFY, ORCPT and others, opaque here.
    pub facts: Dictionary,
    /// Where it stands.
    pub state: RecipientState,
}

/// Where a recipient stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecipientState {
    /// To be tried at or after `not_before` (seconds since 1970); `attempts` so far.
    Waiting {
        /// Earliest next try.
        not_before: i64,
        /// Tries so far.
        attempts: u32,
        /// What the last try said.
        last_error: String,
    },
    /// Delivered or relayed.
    Done,
    /// Given up; a report is owed or was sent, as `facts` say.
    Failed {
        /// Why.
        error: String,
    },
}

/// What happened to one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipientStep {
    /// Index in [`NewQueued::recipients`].
    pub recipient: u32,
    /// What.
    pub step: Step,
}

/// One step of a recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Delivered or relayed: the end.
    Done,
    /// Given up: the end.
    Failed {
        /// Why.
        error: String,
    },
    /// Try again.
    Retry {
        /// Earliest next try, seconds since 1970.
        not_before: i64,
        /// Why the last one failed.
        error: String,
    },
    /// Due at another time, though not tried: a hold ([`HELD`]) or its end.
    Postponed {
        /// Earliest next try, seconds since 1970.
        not_before: i64,
    },
    /// Another routing from now on, tried at once.
    Rerouted {
        /// Module.
        module: String,
        /// Queue.
        queue: String,
    },
}

/// A message in the queue.
#[derive(Clone, Debug)]
pub struct QueuedMessage {
    /// Its number.
    pub id: QueueId,
    /// Return path, empty for `<>`.
    pub return_path: String,
    /// As given.
    pub facts: Dictionary,
    /// The bytes.
    pub body: BodyId,
    /// Size in octets.
    pub size: u64,
    /// As given.
    pub summary: Bytes,
    /// All recipients with their states.
    pub recipients: Vec<QueuedRecipient>,
    /// When it was accepted.
    pub accepted: i64,
    /// As given.
    pub priority: i8,
}

/// Work leased to this caller: nobody else gets these recipients until the lease ends.
#[derive(Clone, Debug)]
pub struct LeasedWork {
    /// The message.
    pub message: QueuedMessage,
    /// Indexes of the recipients that are due and leased.
    pub recipients: Vec<u32>,
}

impl RecipientState {
    /// Takes a step; what is settled stays so. A held recipient that was tried nevertheless (it
    /// was under way when it was held) stays held.
    pub fn take(&mut self, step: &Step) {
        let Self::Waiting { not_before, attempts, last_error } = self else { return };
        match step {
            Step::Done => *self = Self::Done,
            Step::Failed { error } => *self = Self::Failed { error: error.clone() },
            Step::Retry { not_before: next, error } => {
                if *not_before != HELD {
                    *not_before = *next;
                }
                *attempts = attempts.saturating_add(1);
                last_error.clone_from(error);
            }
            Step::Postponed { not_before: next } => *not_before = *next,
            // It was due when it was leased, so it is due at once.
            Step::Rerouted { .. } => {}
        }
    }
}

/// Operations on the queue. Each is whole or not at all and durable when it answers; leases are
/// not durable (after a restart all is due again).
#[async_trait]
pub trait Queue: Send + Sync {
    /// A fresh id, never given before, also not before a crash. Costs no sync.
    fn next_id(&self) -> QueueId;
    /// Accepts a message. Answers its id and body. `Exists("queue entry")` if the id is queued
    /// already, so that an enqueue that may have been cut off can be repeated; `Invalid` without
    /// recipients or with too many.
    async fn enqueue(&self, message: NewQueued) -> Result<(QueueId, BodyId)>;
    /// As [`Queue::enqueue`] for a message that a delivery makes (that of a mailing list, say): the
    /// message is queued and the delivery remembered, both or none. `None` if this delivery has
    /// queued its message before and is not forgotten; that is as long as its own entry is queued.
    async fn enqueue_once(
        &self,
        message: NewQueued,
        origin: Origin,
    ) -> Result<Option<(QueueId, BodyId)>>;
    /// Leases up to `limit` messages with recipients that are due at `now` in queues that are not
    /// parked, until `now + seconds`. Queues take turns, a message each; within one, higher
    /// priority goes first, then what was due earlier.
    async fn lease(&self, now: i64, limit: usize, seconds: i64) -> Result<Vec<LeasedWork>>;
    /// The same from the queues of one module; the recipients are of this module alone.
    async fn lease_module(
        &self,
        module: &str,
        now: i64,
        limit: usize,
        seconds: i64,
    ) -> Result<Vec<LeasedWork>>;
    /// Leases the due recipients of one message, if nobody holds them and their queues are not
    /// parked (the accepting task goes on with its own message without a search).
    async fn lease_one(&self, id: QueueId, now: i64, seconds: i64) -> Result<Option<LeasedWork>>;
    /// Leases what is due in one queue, parked or not; the recipients are of this queue alone.
    async fn lease_queue(
        &self,
        name: &QueueName,
        now: i64,
        limit: usize,
        seconds: i64,
    ) -> Result<Vec<LeasedWork>>;
    /// Leases up to `limit` messages of a queue, parked or not, whose due time lies not after one
    /// of these ages (seconds since they were accepted), which they have reached: what has not
    /// been tried since then.
    async fn lease_aged(
        &self,
        name: &QueueName,
        ages: &[i64],
        now: i64,
        limit: usize,
        seconds: i64,
    ) -> Result<Vec<LeasedWork>>;
    /// Leases all waiting recipients of a message that nobody holds, due or not, held or not.
    async fn claim(&self, id: QueueId, now: i64, seconds: i64) -> Result<Option<LeasedWork>>;
    /// Ends leases of these recipients, which are as they were.
    async fn give_back(&self, id: QueueId, recipients: &[u32]) -> Result<()>;
    /// A queue is not due before `until` (seconds since 1970; [`HELD`]: until further notice,
    /// `i64::MIN`: at once). Not durable.
    async fn park(&self, name: &QueueName, until: i64) -> Result<()>;
    /// Whatever waits in a queue is due at `now` at the latest; what is held stays so. Answers the
    /// number of messages in the queue. Not durable.
    async fn hasten(&self, name: &QueueName, now: i64) -> Result<u64>;
    /// Records what happened to recipients and ends their leases. A recipient that is settled
    /// stays as it is, one that was held ([`HELD`]) stays held after a retry. The work grows with
    /// the steps, not with the message. `Invalid` (and nothing done) for one that does not exist,
    /// `NotFound("queue entry")` for a message that has left the queue. When every recipient is
    /// `Done` or `Failed` the message leaves the queue and its body is let go.
    async fn settle(&self, id: QueueId, steps: Vec<RecipientStep>) -> Result<()>;
    /// When the next recipient falls due, seconds since 1970; leased ones count at their lease's
    /// end.
    async fn next_due(&self) -> Result<Option<i64>>;
    /// One message.
    async fn message(&self, id: QueueId) -> Result<Option<QueuedMessage>>;
    /// Ids above `after`, ascending, at most `limit`.
    async fn list(&self, after: QueueId, limit: usize) -> Result<Vec<QueueId>>;
    /// Number of messages.
    async fn count(&self) -> Result<u64>;
    /// What is known of a queue; `None` if nothing waits in it.
    async fn queue_facts(&self, name: &QueueName) -> Result<Option<QueueFacts>>;
    /// The queues after a name, in the order of their names, at most `limit`.
    async fn queues(&self, after: Option<&QueueName>, limit: usize) -> Result<Vec<QueueFacts>>;
    /// Messages of a queue with ids above `after`, ascending, at most `limit`.
    async fn queue_messages(
        &self,
        name: &QueueName,
        after: QueueId,
        limit: usize,
    ) -> Result<Vec<QueueId>>;
    /// The modules in whose queues something waits or waited.
    async fn modules(&self) -> Result<Vec<String>>;
}
