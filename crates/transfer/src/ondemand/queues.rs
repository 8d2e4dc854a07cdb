//! The queues of the module SMTP as those who ask for them see them: how much waits, started, and
//! message by message.
//!
//! It must never know how a queue is asked for.

use angarium_accounts::{Accounts, QueueId, StoreError};
use angarium_store::{LeasedWork, QueuedMessage, RecipientState, RecipientStep, Step};

use crate::deliver::Outcome;
use crate::recipients::SMTP;

/// Messages looked at in one go.
const PAGE: usize = 1_000;

/// Seconds for which a message is taken out of the queue to be handed over.
const LEASE: i64 = 7_800;

/// What a queue's name is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named<'a> {
    /// This queue.
    Queue(&'a str),
    /// The queue of this domain, and those of domains below it.
    Below(&'a str),
}

impl Named<'_> {
    fn is(self, queue: &str) -> bool {
        match self {
            Self::Queue(name) => queue.eq_ignore_ascii_case(name),
            Self::Below(name) => {
                let queue = queue.to_lowercase();
                let rest = queue.strip_suffix(name);
                rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
        }
    }
}

/// The recipients of a message that wait in such a queue, with what was said to them last.
fn waiting(message: &QueuedMessage, named: Named<'_>) -> Vec<(u32, String)> {
    let mut found = Vec::new();
    for (recipient, index) in message.recipients.iter().zip(0u32..) {
        if let RecipientState::Waiting { last_error, .. } = &recipient.state
            && recipient.module == SMTP
            && named.is(&recipient.queue)
        {
            found.push((index, last_error.clone()));
        }
    }
    found
}

/// Makes everything that waits in such queues due now. Answers the number of messages.
pub(crate) async fn release(accounts: &Accounts, named: Named<'_>) -> Result<u64, StoreError> {
    let queue = &accounts.store().queue;
    let (now, mut after, mut messages) = (accounts.now(), QueueId(0), 0u64);
    loop {
        let ids = queue.list(after, PAGE).await?;
        let Some(last) = ids.last() else { return Ok(messages) };
        after = *last;
        for id in ids {
            let Some(message) = queue.message(id).await? else { continue };
            let found = waiting(&message, named);
            if found.is_empty() {
                continue;
            }
            messages = messages.saturating_add(1);
            let due = |(recipient, error): (u32, String)| RecipientStep {
                recipient,
                step: Step::Retry { not_before: now, error },
            };
            match queue.settle(id, found.into_iter().map(due).collect()).await {
                Ok(()) | Err(StoreError::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// True when something waits in one of these queues.
pub(crate) async fn any_waits(accounts: &Accounts, names: &[String]) -> Result<bool, StoreError> {
    let queue = &accounts.store().queue;
    let mut after = QueueId(0);
    loop {
        let ids = queue.list(after, PAGE).await?;
        let Some(last) = ids.last() else { return Ok(false) };
        after = *last;
        for id in ids {
            if let Some(message) = queue.message(id).await?
                && names.iter().any(|name| !waiting(&message, Named::Queue(name)).is_empty())
            {
                return Ok(true);
            }
        }
    }
}

/// The next message of a queue after this one, taken out of it for a time: nobody else has it.
pub(crate) async fn take(
    accounts: &Accounts,
    name: &str,
    mut after: QueueId,
) -> Result<Option<LeasedWork>, StoreError> {
    let queue = &accounts.store().queue;
    loop {
        let ids = queue.list(after, PAGE).await?;
        let Some(last) = ids.last() else { return Ok(None) };
        after = *last;
        for id in ids {
            let Some(message) = queue.message(id).await? else { continue };
            let found = waiting(&message, Named::Queue(name));
            if found.is_empty() {
                continue;
            }
            let now = accounts.now();
            let wanted: Vec<u32> = found.iter().map(|(index, _)| *index).collect();
            let due = |(recipient, error): (u32, String)| RecipientStep {
                recipient,
                step: Step::Retry { not_before: now, error },
            };
            match queue.settle(id, found.into_iter().map(due).collect()).await {
                Ok(()) => {}
                Err(StoreError::NotFound(_)) => continue,
                Err(error) => return Err(error),
            }
            if let Some(mut work) = queue.lease_one(id, now, LEASE).await? {
                work.recipients.retain(|index| wanted.contains(index));
                if !work.recipients.is_empty() {
                    return Ok(Some(work));
                }
            }
        }
    }
}

/// Records how it ended. What was refused for good goes to the module that tells its sender.
pub(crate) async fn settle(
    accounts: &Accounts,
    id: QueueId,
    outcomes: Vec<(u32, Outcome)>,
) -> Result<(), StoreError> {
    let now = accounts.now();
    let steps = outcomes
        .into_iter()
        .map(|(recipient, outcome)| RecipientStep {
            recipient,
            step: match outcome {
                Outcome::Delivered(_) | Outcome::Relayed { .. } => Step::Done,
                Outcome::Later { text, .. } => Step::Retry { not_before: now, error: text },
                Outcome::Failed { .. } => Step::Rerouted {
                    module: crate::recipients::ERROR.to_owned(),
                    queue: String::new(),
                },
            },
        })
        .collect();
    accounts.store().queue.settle(id, steps).await
}
