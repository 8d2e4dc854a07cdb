//! Wake-up messages (`reference/smtp.md` section 4.6): one to `domain@wakeup` releases the queue
//! of that domain, whatever it waits for, and is dropped. The setting `WakeUpPassword` may ask for
//! a word in its Subject. It must never know how a queue is sent.

use std::sync::{Arc, OnceLock, Weak};

use angarium_accounts::{Accounts, StoreError, Value};
use angarium_message::header;
use angarium_store::{QueueName, QueuedMessage};
use aws_lc_rs::constant_time::verify_slices_are_equal;

use super::Outcome;
use crate::dequeuer::Dequeuer;
use crate::recipients::SMTP;

/// Octets of a message that are looked at for its Subject.
const HEADER_READ: u64 = 64 * 1024;

/// Acts on wake-up messages once the dequeuer is there.
pub(crate) struct WakeUp {
    accounts: Arc<Accounts>,
    /// Not held for ever: the dequeuer holds the modules.
    dequeuer: OnceLock<Weak<Dequeuer>>,
}

impl WakeUp {
    pub(crate) fn new(accounts: Arc<Accounts>) -> Arc<Self> {
        Arc::new(Self { accounts, dequeuer: OnceLock::new() })
    }

    /// From now on queues are released by this one.
    pub(crate) fn releases_by(&self, dequeuer: &Arc<Dequeuer>) {
        // Told once, when the transfer starts.
        let _ = self.dequeuer.set(Arc::downgrade(dequeuer));
    }

    /// Releases a queue because of this message.
    pub(crate) async fn act(&self, message: &QueuedMessage, queue: &str) -> Outcome {
        match self.may(message).await {
            Err(error) => return Outcome::later("4.3.0", error.to_string()),
            Ok(false) => {
                tracing::warn!(target: "DEQUEUER", "[{}] wake-up of {queue} without the password", message.id);
                return Outcome::Delivered("a wake-up without the password, discarded");
            }
            Ok(true) => {}
        }
        let Some(dequeuer) = self.dequeuer.get().and_then(Weak::upgrade) else {
            return Outcome::later("4.3.2", "the server is starting or stopping");
        };
        let release = dequeuer.release(&QueueName::new(SMTP, queue)).await;
        let messages = release.messages;
        tracing::info!(target: "DEQUEUER", "[{}] wakes up {queue}: {messages} messages", message.id);
        Outcome::Delivered("the queue was released")
    }

    /// True when no word is asked for, or the Subject has it.
    async fn may(&self, message: &QueuedMessage) -> Result<bool, StoreError> {
        let settings = self.accounts.read_module(SMTP).await?;
        let word = settings.get("WakeUpPassword").and_then(Value::as_str).unwrap_or_default();
        if word.is_empty() {
            return Ok(true);
        }
        let bodies = &self.accounts.store().bodies;
        let head = bodies.read_range(message.body, 0, HEADER_READ).await?;
        let subject = header::find(&head, "Subject").map(|field| field.text()).unwrap_or_default();
        let same = |said: &str| verify_slices_are_equal(said.as_bytes(), word.as_bytes()).is_ok();
        Ok(subject.split_whitespace().any(same) || same(subject.trim()))
    }
}
