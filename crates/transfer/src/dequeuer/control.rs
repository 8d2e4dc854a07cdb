//! What others ask of the queue while it runs: to release a queue, to send it over another
//! connection, to say how it stands.

use std::sync::Arc;

use angarium_store::{HELD, QueueName};
use tokio::task::JoinSet;

use super::lanes::{LaneState, Part};
use super::{Dequeuer, LEASE, Work, locked};
use crate::deliver::Module;
use crate::recipients::SMTP;

/// Queues read in one page.
const PAGE: usize = 256;

/// Messages of a held queue sent at a time when it is released.
const AT_A_TIME: usize = 8;

/// What was released.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Release {
    /// Queues something waits in.
    pub queues: u64,
    /// Messages that wait in them.
    pub messages: u64,
}

impl Release {
    fn add(&mut self, one: Self) {
        self.queues += one.queues;
        self.messages += one.messages;
    }
}

/// What went over another connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Messages that were given to the sender.
    pub messages: u64,
    /// The connection ended before the queue did.
    pub cut_off: bool,
}

impl Dequeuer {
    /// Sends a queue now, whatever it waits for, also if it is held.
    pub(crate) async fn release(&self, name: &QueueName) -> Release {
        self.work.release(name).await
    }

    /// Releases the queue that is written as it is shown, `MODULE(queue)`, or else the SMTP queue
    /// of this name and what other modules have under it.
    pub(crate) async fn release_named(&self, text: &str) -> Release {
        let text = text.trim();
        let shown = text.strip_suffix(')').and_then(|rest| rest.split_once('('));
        if let Some((module, queue)) = shown {
            let name = QueueName::new(&module.to_ascii_uppercase(), queue);
            return self.release(&name).await;
        }
        let smtp = QueueName::new(SMTP, &text.to_ascii_lowercase());
        let mut all = self.release(&smtp).await;
        let mut after = None;
        loop {
            let page = self.work.accounts.store().queue.queues(after.as_ref(), PAGE).await;
            let Ok(page) = page else { return all };
            let Some(last) = page.last() else { return all };
            after = Some(last.name.clone());
            for facts in page {
                if facts.name.queue.eq_ignore_ascii_case(text) && facts.name != smtp {
                    all.add(self.release(&facts.name).await);
                }
            }
        }
    }

    /// Releases the SMTP queues of a domain and of all domains below it.
    pub(crate) async fn release_below(&self, domain: &str) -> Release {
        let domain = domain.to_ascii_lowercase();
        let below = format!(".{domain}");
        let mut all = Release::default();
        let mut after = Some(QueueName::new(SMTP, ""));
        loop {
            let page = self.work.accounts.store().queue.queues(after.as_ref(), PAGE).await;
            let Ok(page) = page else { return all };
            let Some(last) = page.last() else { return all };
            after = Some(last.name.clone());
            for facts in page {
                if facts.name.module != SMTP {
                    return all;
                }
                let queue = facts.name.queue.to_ascii_lowercase();
                if queue == domain || queue.ends_with(&below) {
                    all.add(self.release(&facts.name).await);
                }
            }
        }
    }

    /// Sends what is in a queue through `sender`, one message after the other, and settles it.
    /// Ends when the queue is empty or an outcome says that the connection is gone.
    pub(crate) async fn take(&self, name: &QueueName, sender: &dyn Module) -> Taken {
        let queue = &self.work.accounts.store().queue;
        let mut taken = Taken::default();
        let now = self.work.accounts.now();
        if queue.hasten(name, now).await.is_err() {
            return taken;
        }
        let _begun = self.work.begun();
        while !self.work.is_stopping() {
            let now = self.work.accounts.now();
            let Ok(mut found) = queue.lease_queue(name, now, 1, LEASE).await else { break };
            let Some(leased) = found.pop() else { return taken };
            let message = Arc::new(leased.message);
            if self.work.put_off(&message, &leased.recipients).await {
                continue;
            }
            taken.messages += 1;
            for some in leased.recipients.chunks(sender.channels().recipients.max(1)) {
                let message = Arc::clone(&message);
                let part = Part { message, recipients: some.to_vec(), name: name.clone() };
                if taken.cut_off {
                    self.work.give_back(&part.message, &part.recipients).await;
                } else {
                    taken.cut_off = !Box::pin(self.work.through(&part, sender)).await;
                }
            }
            if taken.cut_off {
                break;
            }
        }
        taken
    }

    /// How a queue stands now.
    pub(crate) fn state(&self, name: &QueueName) -> LaneState {
        self.work.lanes().state(name)
    }

    /// Whether a queue is on the list of those to be held.
    pub(crate) fn is_held(&self, name: &QueueName) -> bool {
        self.work.settings().is_held(&name.module, &name.queue)
    }
}

impl Work {
    async fn release(self: &Arc<Self>, name: &QueueName) -> Release {
        let now = self.accounts.now();
        let messages = match self.accounts.store().queue.hasten(name, now).await {
            Ok(messages) => messages,
            Err(error) => {
                tracing::error!(target: "DEQUEUER", "{name} cannot be released: {error}");
                return Release::default();
            }
        };
        tracing::info!(target: "DEQUEUER", "{name} is released, {messages} messages");
        self.lanes().succeeded(name);
        if self.settings().is_held(&name.module, &name.queue) {
            // One drain at a time; it ends when the queue is empty.
            if messages > 0 && locked(&self.released).insert(name.clone()) {
                self.park(name, HELD).await;
                let (work, begun, name) = (Arc::clone(self), self.begun(), name.clone());
                tokio::spawn(async move {
                    work.drain(&name).await;
                    locked(&work.released).remove(&name);
                    work.keep(&name).await;
                    drop(begun);
                });
            }
        } else {
            self.park(name, i64::MIN).await;
        }
        self.wake.notify_one();
        Release { queues: u64::from(messages > 0), messages }
    }

    /// Sends a held queue.
    async fn drain(self: &Arc<Self>, name: &QueueName) {
        let queue = &self.accounts.store().queue;
        while !self.is_stopping() && self.lanes().state(name).failures == 0 {
            let now = self.accounts.now();
            let Ok(found) = queue.lease_queue(name, now, AT_A_TIME, LEASE).await else { return };
            if found.is_empty() {
                return;
            }
            let mut running = JoinSet::new();
            for leased in found {
                for part in Box::pin(self.admit(leased, true)).await {
                    running.spawn(Arc::clone(self).run(part, self.begun()));
                }
            }
            while running.join_next().await.is_some() {}
        }
    }
}
