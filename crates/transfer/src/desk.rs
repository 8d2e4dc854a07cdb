//! The desk of the queue: what administrators see of it and do with it. Works with and without a
//! running dequeuer; rights are checked by whoever asks.

use std::sync::Arc;

use angarium_accounts::{Accounts, MessageBody, QueueId, StoreError};
use angarium_store::{
    HELD, QueueFacts, QueueName, QueuedMessage, RecipientState, RecipientStep, Step,
};
use thiserror::Error;

use crate::Transfer;
use crate::dequeuer::{LaneState, Release};
use crate::envelope::{MessageFacts, RecipientFacts};
use crate::report::{self, Action, Told};
use crate::send::OutgoingRow;
use crate::submit::{Recipient, Source, Submit, SubmitError, Submitter};

/// Messages looked at in one page.
const PAGE: usize = 256;

/// Seconds a message is held at the desk while something is done with it.
const LEASE: i64 = 600;

/// What is said to senders when no text was given.
const REJECTED: &str = "the message was rejected by an administrator";

/// Why something was not done.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeskError {
    /// *Never*: no such message, or all of it is done.
    #[error("there is no such message in the queue")]
    NoMessage,
    /// *Later*: all of it is being delivered just now.
    #[error("the message is being delivered now")]
    Busy,
    /// *Later*: the store is not available.
    #[error("not available now: {0}")]
    Later(String),
    /// *Never*: the new address cannot be a recipient.
    #[error("{0}")]
    Never(String),
}

impl From<StoreError> for DeskError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound(_) => Self::NoMessage,
            error => Self::Later(error.to_string()),
        }
    }
}

impl From<SubmitError> for DeskError {
    fn from(error: SubmitError) -> Self {
        if error.is_temporary() {
            Self::Later(error.to_string())
        } else {
            Self::Never(error.to_string())
        }
    }
}

/// A queue as administrators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueRow {
    /// What the store knows.
    pub facts: QueueFacts,
    /// Deliveries under way, and what it waits for.
    pub state: LaneState,
    /// It is on the list *Hold Mail for Domains*.
    pub held: bool,
}

/// The desk. Cheap to make.
pub struct Desk {
    accounts: Arc<Accounts>,
    submitter: Submitter,
    running: Option<Arc<Transfer>>,
}

impl Desk {
    /// A desk over these accounts; without a running transfer what is released is sent when the
    /// server starts.
    #[must_use]
    pub fn new(accounts: Arc<Accounts>, running: Option<Arc<Transfer>>) -> Self {
        let submitter = match &running {
            Some(transfer) => transfer.submitter().clone(),
            None => Submitter::new(Arc::clone(&accounts)),
        };
        Self { accounts, submitter, running }
    }

    /// The connections that mail goes out on; none without a running transfer.
    #[must_use]
    pub fn outgoing(&self) -> Vec<OutgoingRow> {
        let sending = self.running.as_ref().and_then(|transfer| transfer.sending());
        sending.map(|sending| sending.connections()).unwrap_or_default()
    }

    /// Number of messages.
    ///
    /// # Errors
    /// As the store.
    pub async fn count(&self) -> Result<u64, DeskError> {
        Ok(self.accounts.store().queue.count().await?)
    }

    /// One queue, if something waits in it.
    ///
    /// # Errors
    /// As the store.
    pub async fn queue(&self, module: &str, queue: &str) -> Result<Option<QueueRow>, DeskError> {
        let name = QueueName::new(module, queue);
        let facts = self.accounts.store().queue.queue_facts(&name).await?;
        Ok(facts.map(|facts| self.row(facts)))
    }

    /// The queues after a name, at most `limit`.
    ///
    /// # Errors
    /// As the store.
    pub async fn queues(
        &self,
        after: Option<&QueueName>,
        limit: usize,
    ) -> Result<Vec<QueueRow>, DeskError> {
        let page = self.accounts.store().queue.queues(after, limit).await?;
        Ok(page.into_iter().map(|facts| self.row(facts)).collect())
    }

    fn row(&self, facts: QueueFacts) -> QueueRow {
        let state = self.running.as_ref().map(|t| t.dequeuer.state(&facts.name));
        let held = self.running.as_ref().is_some_and(|t| t.dequeuer.is_held(&facts.name));
        QueueRow { facts, state: state.unwrap_or_default(), held }
    }

    /// Messages above `after`, of one queue or of all, at most `limit`.
    ///
    /// # Errors
    /// As the store.
    pub async fn messages(
        &self,
        of: Option<&QueueName>,
        after: QueueId,
        limit: usize,
    ) -> Result<Vec<QueuedMessage>, DeskError> {
        let queue = &self.accounts.store().queue;
        let ids = match of {
            Some(name) => queue.queue_messages(name, after, limit).await?,
            None => queue.list(after, limit).await?,
        };
        let mut messages = Vec::with_capacity(ids.len());
        for id in ids {
            messages.extend(queue.message(id).await?);
        }
        Ok(messages)
    }

    /// One message.
    ///
    /// # Errors
    /// [`DeskError::NoMessage`], and as the store.
    pub async fn message(&self, id: QueueId) -> Result<QueuedMessage, DeskError> {
        self.accounts.store().queue.message(id).await?.ok_or(DeskError::NoMessage)
    }

    /// Sends a queue now: one as it is shown, `LOCAL(joe@example.com)`, or all of a name. Answers
    /// what waits in them.
    pub async fn release_queue(&self, queue: &str) -> Release {
        match &self.running {
            Some(transfer) => transfer.release_named(queue).await,
            None => Release::default(),
        }
    }

    /// Holds all recipients of a message that wait, until it is released; durable. What is being
    /// delivered now may still be.
    ///
    /// # Errors
    /// [`DeskError`].
    pub async fn hold(&self, id: QueueId) -> Result<(), DeskError> {
        self.postpone(id, HELD).await
    }

    /// Lets a message go, held or not: it is due now.
    ///
    /// # Errors
    /// [`DeskError`].
    pub async fn release(&self, id: QueueId) -> Result<(), DeskError> {
        self.postpone(id, self.accounts.now()).await
    }

    async fn postpone(&self, id: QueueId, not_before: i64) -> Result<(), DeskError> {
        let message = self.message(id).await?;
        let steps: Vec<RecipientStep> = waiting(&message)
            .map(|recipient| RecipientStep { recipient, step: Step::Postponed { not_before } })
            .collect();
        let queue = &self.accounts.store().queue;
        // Nobody else begins it in between; what somebody has goes on.
        let now = self.accounts.now();
        let claimed = queue.claim(id, now, LEASE).await?;
        if not_before != HELD {
            let Some(claimed) = claimed else { return Err(DeskError::Busy) };
            let free = |step: &RecipientStep| claimed.recipients.contains(&step.recipient);
            let steps = steps.into_iter().filter(free).collect();
            return Ok(queue.settle(id, steps).await?);
        }
        Ok(queue.settle(id, steps).await?)
    }

    /// Takes a message out of the queue. Its sender is told so, with this text, unless `silent`.
    ///
    /// # Errors
    /// [`DeskError`]; nothing is done then.
    pub async fn reject(
        &self,
        id: QueueId,
        text: Option<&str>,
        silent: bool,
    ) -> Result<(), DeskError> {
        let queue = &self.accounts.store().queue;
        let (message, recipients) = self.claim(id).await?;
        let text = text.filter(|text| !text.is_empty()).unwrap_or(REJECTED);
        let told: Vec<Told> = recipients
            .iter()
            .map(|index| Told {
                recipient: *index,
                action: Action::Failed,
                status: "5.7.1".to_owned(),
                text: text.to_owned(),
                host: None,
                until: None,
            })
            .collect();
        if !silent {
            let report = report::send(&self.accounts, &self.submitter, &message, &told, false);
            if let Err(error) = Box::pin(report).await {
                queue.give_back(id, &recipients).await?;
                return Err(error.into());
            }
        }
        tracing::info!(target: "QUEUE", "[{id}] rejected: {text}");
        let failed = |recipient| {
            let step = Step::Failed { error: text.to_owned() };
            RecipientStep { recipient, step }
        };
        Ok(queue.settle(id, recipients.into_iter().map(failed).collect()).await?)
    }

    /// Rejects all messages of a sender: its return path, or the account that sent it. Answers
    /// how many; those that are being delivered stay.
    ///
    /// # Errors
    /// [`DeskError`].
    pub async fn reject_sender(
        &self,
        sender: &str,
        text: Option<&str>,
        silent: bool,
    ) -> Result<u64, DeskError> {
        let queue = &self.accounts.store().queue;
        let sender = sender.trim().trim_start_matches('<').trim_end_matches('>');
        let (mut after, mut rejected) = (QueueId(0), 0);
        loop {
            let page = queue.list(after, PAGE).await?;
            let Some(last) = page.last().copied() else { return Ok(rejected) };
            after = last;
            for id in page {
                let Some(message) = queue.message(id).await? else { continue };
                let account = MessageFacts::decode(&message.facts).account;
                let is_it = message.return_path.eq_ignore_ascii_case(sender)
                    || account.is_some_and(|account| account.eq_ignore_ascii_case(sender));
                if !is_it {
                    continue;
                }
                match self.reject(id, text, silent).await {
                    Ok(()) => rejected += 1,
                    Err(DeskError::NoMessage | DeskError::Busy) => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }

    /// Sends what waits of a message to another address instead. Answers the number it goes on
    /// under.
    ///
    /// # Errors
    /// [`DeskError`]; nothing is done then.
    pub async fn redirect(&self, id: QueueId, address: &str) -> Result<QueueId, DeskError> {
        let queue = &self.accounts.store().queue;
        let (message, recipients) = self.claim(id).await?;
        let mut submit = Submit::new(Source::Redirect, message.return_path.clone(), &[]);
        submit.facts = MessageFacts::decode(&message.facts);
        let mut recipient = Recipient::new(address);
        let first = recipients.first().and_then(|i| usize::try_from(*i).ok());
        if let Some(first) = first.and_then(|first| message.recipients.get(first)) {
            let facts = RecipientFacts::decode(first);
            (recipient.facts.notify, recipient.facts.original) = (facts.notify, facts.original);
        }
        submit.recipients.push(recipient);
        let body = MessageBody::Existing(message.body);
        let new = match Box::pin(self.submitter.submit(submit, body, message.summary.clone())).await
        {
            Ok(new) => new,
            Err(error) => {
                queue.give_back(id, &recipients).await?;
                return Err(error.into());
            }
        };
        tracing::info!(target: "QUEUE", "[{id}] redirected to <{address}> as [{new}]");
        let done = |recipient| RecipientStep { recipient, step: Step::Done };
        queue.settle(id, recipients.into_iter().map(done).collect()).await?;
        Ok(new)
    }

    async fn claim(&self, id: QueueId) -> Result<(QueuedMessage, Vec<u32>), DeskError> {
        let queue = &self.accounts.store().queue;
        match queue.claim(id, self.accounts.now(), LEASE).await? {
            Some(leased) => Ok((leased.message, leased.recipients)),
            None => {
                self.message(id).await?;
                Err(DeskError::Busy)
            }
        }
    }
}

/// The recipients of a message that are not settled.
fn waiting(message: &QueuedMessage) -> impl Iterator<Item = u32> {
    let waits = |state: &RecipientState| matches!(state, RecipientState::Waiting { .. });
    (0u32..).zip(&message.recipients).filter(move |(_, r)| waits(&r.state)).map(|(i, _)| i)
}
