//! Mail on its way: durable from the moment it is accepted until each recipient is settled.

use async_trait::async_trait;
use bytes::Bytes;

use crate::bodies::MessageBody;
use crate::error::Result;
use crate::ids::{BodyId, QueueId};
use angarium_objects::value::Dictionary;

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
}

/// Work leased to this caller: nobody else gets these recipients until the lease ends.
#[derive(Clone, Debug)]
pub struct LeasedWork {
    /// The message.
    pub message: QueuedMessage,
    /// Indexes of the recipients that are due and leased.
    pub recipients: Vec<u32>,
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
    /// Leases up to `limit` messages with recipients that are due at `now`, oldest due first,
    /// until `now + seconds`.
    async fn lease(&self, now: i64, limit: usize, seconds: i64) -> Result<Vec<LeasedWork>>;
    /// Leases the due recipients of one message, if nobody holds them (the accepting task goes on
    /// with its own message without a search).
    async fn lease_one(&self, id: QueueId, now: i64, seconds: i64) -> Result<Option<LeasedWork>>;
    /// Records what happened to leased recipients and ends their leases. A recipient that is
    /// settled stays as it is; `Invalid` (and nothing done) for one that does not exist,
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
}
