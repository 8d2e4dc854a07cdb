//! SYSTEM and ERROR: recipients that end here, rightly or not.

use std::sync::Arc;

use angarium_store::QueuedMessage;
use async_trait::async_trait;

use super::wake_up::WakeUp;
use super::{Channels, Module, Outcome};
use crate::envelope::RecipientFacts;
use crate::recipients::{ERROR, SYSTEM, WAKEUP};

/// These deliveries wait for nobody.
const CHANNELS: Channels = Channels { total: 64, per_queue: 64, recipients: 1000 };

/// Swallows what is routed to nowhere, and wakes queues up.
pub(crate) struct System {
    pub(crate) wake_up: Arc<WakeUp>,
}

#[async_trait]
impl Module for System {
    fn name(&self) -> &'static str {
        SYSTEM
    }

    fn channels(&self) -> Channels {
        CHANNELS
    }

    async fn deliver(
        &self,
        message: &Arc<QueuedMessage>,
        recipients: &[u32],
    ) -> Vec<(u32, Outcome)> {
        let mut done = Vec::with_capacity(recipients.len());
        for index in recipients.iter().copied() {
            let place = usize::try_from(index).ok().and_then(|at| message.recipients.get(at));
            let outcome = match place.and_then(|one| one.queue.strip_prefix(WAKEUP)) {
                Some(queue) => self.wake_up.act(message, queue).await,
                None => Outcome::Delivered("discarded"),
            };
            done.push((index, outcome));
        }
        done
    }
}

/// Fails for the reason found when the address was routed.
pub(crate) struct Errors;

#[async_trait]
impl Module for Errors {
    fn name(&self) -> &'static str {
        ERROR
    }

    fn channels(&self) -> Channels {
        CHANNELS
    }

    async fn deliver(
        &self,
        message: &Arc<QueuedMessage>,
        recipients: &[u32],
    ) -> Vec<(u32, Outcome)> {
        let reason = |index: u32| {
            let recipient = message.recipients.get(usize::try_from(index).ok()?)?;
            RecipientFacts::decode(recipient).reason
        };
        let failed = |index: &u32| {
            let text = reason(*index).unwrap_or_else(|| "the address is not good".into());
            (*index, Outcome::failed("5.1.1", text))
        };
        recipients.iter().map(failed).collect()
    }
}
