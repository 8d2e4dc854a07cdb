//! From a lease to its end: parts by queue, the delivery by the module, the settling.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use angarium_accounts::QueueId;
use angarium_store::{
    HELD, LeasedWork, QueueName, QueuedMessage, RecipientState, RecipientStep, Step,
};

use super::lanes::{Admission, Part};
use super::settle::{Decision, When, decide, of_held};
use super::{Begun, LEASE, Work, locked};
use crate::deliver::{Module, Outcome, Reach};
use crate::envelope::MessageFacts;
use crate::recipients::LOCAL;
use crate::report;

/// Local recipients of a message up to which each account has a lane of its own; with more they
/// are delivered and settled together.
const FEW: usize = 8;

/// The lane of those.
const MANY: &str = "*";

/// Seconds after which a recipient is looked at again whose report could not be made.
const REPORT_AGAIN: i64 = 600;

/// Tries to settle what was delivered; then it is found again when the lease ends.
const SETTLE_TRIES: u32 = 10;

/// Milliseconds between the first two of them; then twice as long each time.
const SETTLE_PAUSE: u64 = 100;

/// A channel in use; given back however the delivery ends.
struct Channel {
    work: Arc<Work>,
    name: QueueName,
    eased: Option<bool>,
}

impl Channel {
    fn end(&mut self) -> bool {
        let channels = self.work.channels(&self.name);
        let work = &self.work;
        *self.eased.get_or_insert_with(|| work.lanes().ended(&self.name, channels))
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.end();
    }
}

impl Work {
    /// Delivers a message told by the feed, unless somebody else has it.
    pub(super) async fn run_one(self: Arc<Self>, id: QueueId, begun: Begun) {
        let now = self.accounts.now();
        match self.accounts.store().queue.lease_one(id, now, LEASE).await {
            Ok(Some(leased)) => {
                let mut parts = self.admit(leased, false).await;
                // The last one here: most messages have one.
                let last = parts.pop();
                self.begin(parts);
                if let Some(part) = last {
                    self.run(part, begun).await;
                }
            }
            Ok(None) => {}
            Err(error) => {
                tracing::error!(target: "DEQUEUER", "[{id}] cannot be read: {error}");
                self.wake.notify_one();
            }
        }
    }

    /// Splits leased work by queue and answers the parts to be begun; the others wait in their
    /// lanes or go back to the store.
    pub(super) async fn admit(self: &Arc<Self>, leased: LeasedWork, released: bool) -> Vec<Part> {
        let LeasedWork { message, recipients } = leased;
        let message = Arc::new(message);
        let now = self.accounts.now();
        let facts = MessageFacts::decode(&message.facts);
        if self.put_off(&message, &recipients).await {
            return Vec::new();
        }
        if facts.by.is_some_and(|by| by.give_back && by.at <= now) {
            let late = |i: &u32| (*i, Outcome::later("4.4.7", "it was not delivered in time"));
            let outcomes = recipients.iter().map(late).collect();
            let part = Part { message, recipients, name: QueueName::default() };
            self.settle(&part, outcomes).await;
            return Vec::new();
        }
        let mut queues: BTreeMap<QueueName, Vec<u32>> = BTreeMap::new();
        let local = message.recipients.iter().filter(|r| r.module == LOCAL).count();
        for index in recipients {
            let place = usize::try_from(index).ok().and_then(|p| message.recipients.get(p));
            if let Some(recipient) = place {
                let queue = if local > FEW && recipient.module == LOCAL {
                    MANY
                } else {
                    recipient.queue.as_str()
                };
                let name = QueueName::new(&recipient.module, queue);
                queues.entry(name).or_default().push(index);
            }
        }
        let settings = self.settings();
        let mut begin = Vec::new();
        for (name, recipients) in queues {
            if !released
                && settings.is_held(&name.module, &name.queue)
                && !locked(&self.released).contains(&name)
            {
                self.keep(&name).await;
                self.give_back(&message, &recipients).await;
                continue;
            }
            let channels = self.channels(&name);
            for some in recipients.chunks(channels.recipients.max(1)) {
                let message = Arc::clone(&message);
                let part = Part { message, recipients: some.to_vec(), name: name.clone() };
                let admission = self.lanes().add(part, channels, now);
                match admission {
                    Admission::Begin(part) => begin.push(part),
                    Admission::Waits { crowded: false } => {}
                    Admission::Waits { crowded: true } => {
                        self.park(&name, HELD).await;
                        // It may have emptied in between.
                        if !self.lanes().is_crowded(&name) {
                            self.open(&name).await;
                        }
                    }
                    Admission::Back(part) => self.give_back(&part.message, &part.recipients).await,
                }
            }
        }
        begin
    }

    /// Puts a message off whose sender wants it later (RFC 4865) though its queue was hastened.
    pub(super) async fn put_off(&self, message: &QueuedMessage, recipients: &[u32]) -> bool {
        let until = MessageFacts::decode(&message.facts).hold_until;
        let Some(until) = until.filter(|until| *until > self.accounts.now()) else { return false };
        let later = |recipient: &u32| RecipientStep {
            recipient: *recipient,
            step: Step::Postponed { not_before: until },
        };
        self.settle_steps(message, recipients.iter().map(later).collect()).await;
        true
    }

    /// Begins parts, each in a task of its own.
    pub(super) fn begin(self: &Arc<Self>, parts: Vec<Part>) {
        for part in parts {
            let begun = self.begun();
            let work = Arc::clone(self);
            tokio::spawn(async move { work.run(part, begun).await });
        }
    }

    /// Delivers a part, then those whose turn comes by its end.
    pub(super) async fn run(self: Arc<Self>, part: Part, begun: Begun) {
        let mut next = Some(part);
        while let Some(part) = next.take() {
            let name = part.name.clone();
            let work = Arc::clone(&self);
            let mut channel = Channel { work, name: name.clone(), eased: None };
            let outcomes = self.outcomes(&part).await;
            Box::pin(self.settle(&part, outcomes)).await;
            let eased = channel.end();
            if eased && self.lanes().state(&name).failures == 0 {
                self.open(&name).await;
            }
            if self.is_stopping() {
                break;
            }
            let now = self.accounts.now();
            let (found, wants) = {
                let mut lanes = self.lanes();
                let found = lanes.next(&name.module, |name| self.channels(name), now);
                (found, lanes.wants_more(&name.module, self.channels(&name)))
            };
            next = found;
            if wants {
                self.wake.notify_one();
            }
        }
        drop(begun);
    }

    /// A queue the store kept gives again, unless it is held.
    async fn open(&self, name: &QueueName) {
        if !locked(&self.kept).contains(name) {
            self.park(name, i64::MIN).await;
            self.wake.notify_one();
        }
    }

    async fn outcomes(&self, part: &Part) -> Vec<(u32, Outcome)> {
        match self.modules.get(&part.name.module) {
            Some(module) => module.deliver(&part.message, &part.recipients).await,
            None => {
                let text = format!("there is no module {} on this server", part.name.module);
                let failed = |index: &u32| (*index, Outcome::failed("5.3.5", text.clone()));
                part.recipients.iter().map(failed).collect()
            }
        }
    }

    /// Delivers a leased part through something else than its module (ATRN), settling it as
    /// always. True if the queue can be spoken to.
    pub(super) async fn through(self: &Arc<Self>, part: &Part, sender: &dyn Module) -> bool {
        let outcomes = sender.deliver(&part.message, &part.recipients).await;
        let gone = |(_, outcome): &(u32, Outcome)| {
            matches!(outcome, Outcome::Later { reach: Reach::Queue, .. })
        };
        let open = !outcomes.iter().any(gone);
        if open {
            self.settle(part, outcomes).await;
        } else {
            // The connection is gone: that says nothing of the queue's own hosts.
            let (left, done): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(gone);
            let left: Vec<u32> = left.into_iter().map(|(index, _)| index).collect();
            let tried =
                part.recipients.iter().copied().filter(|index| !left.contains(index)).collect();
            let tried = Part { recipients: tried, ..part.clone() };
            self.give_back(&part.message, &left).await;
            if !tried.recipients.is_empty() {
                self.settle(&tried, done).await;
            }
        }
        open
    }

    /// Treats leased recipients as failed with their queue, which is not tried now.
    pub(super) async fn settle_untried(self: &Arc<Self>, name: &QueueName, leased: LeasedWork) {
        let state = self.lanes().state(name);
        let text = if state.error.is_empty() { "the queue is held" } else { &state.error };
        let until = state.blocked_until.unwrap_or(i64::MAX);
        let LeasedWork { message, recipients } = leased;
        let outcome = |index: &u32| {
            let later = Outcome::later("4.4.1", text);
            (*index, later)
        };
        let outcomes = recipients.iter().map(outcome).collect();
        let decided = {
            let settings = self.settings();
            let now = self.accounts.now();
            let when = When { now, settings: &settings, queue_at: until };
            let mut decided = decide(&message, &recipients, outcomes, &when);
            for step in &mut decided.steps {
                // It was not tried, so its own timetable does not go on.
                if let Step::Retry { not_before, .. } = &mut step.step {
                    *not_before = (*not_before).min(until).max(now.saturating_add(1));
                }
            }
            decided
        };
        self.finish(&message, decided).await;
    }

    /// Settles a part: its recipients, its queue and its reports.
    pub(super) async fn settle(self: &Arc<Self>, part: &Part, outcomes: Vec<(u32, Outcome)>) {
        let settings = self.settings();
        let now = self.accounts.now();
        let held = settings.is_held(&part.name.module, &part.name.queue);
        let outcomes = if held { of_held(outcomes) } else { outcomes };
        let said = outcomes.iter().find_map(|(_, outcome)| match outcome {
            Outcome::Later { reach: Reach::Queue, text, .. } => Some(super::settle::clean(text)),
            _ => None,
        });
        let name = &part.name;
        let mut queue_at = now;
        if let Some(error) = &said {
            let table = settings.timetable(&name.module, &name.queue, "");
            let (until, back) = self.lanes().failed(name, now, |n| table.wait(n), error);
            queue_at = until;
            tracing::warn!(target: "DEQUEUER", "{name} waits: {error}");
            if !locked(&self.kept).contains(name) {
                self.park(name, until).await;
                // Another delivery may have succeeded in between.
                if self.lanes().state(name).blocked_until.is_none() {
                    self.open(name).await;
                }
            }
            for part in back {
                self.give_back(&part.message, &part.recipients).await;
            }
        }
        let when = When { now, settings: &settings, queue_at };
        let decided = decide(&part.message, &part.recipients, outcomes, &when);
        if said.is_none() && decided.queue_answered && self.lanes().succeeded(name) {
            tracing::info!(target: "DEQUEUER", "{name} is released");
            if let Err(error) = self.accounts.store().queue.hasten(name, now).await {
                tracing::error!(target: "DEQUEUER", "{name} cannot be released: {error}");
            }
            self.open(name).await;
        }
        let failed = decided.queue_failed.is_some();
        self.finish(&part.message, decided).await;
        if failed {
            Box::pin(self.aged(name)).await;
        }
    }

    /// Tells the sender, then records what was decided.
    async fn finish(self: &Arc<Self>, message: &QueuedMessage, decided: Decision) {
        let Decision { mut steps, told, .. } = decided;
        let now = self.accounts.now();
        let keep = self.settings().keep_failed_reports;
        // The report first: if we stop in between, it is made twice rather than never.
        let report = report::send(&self.accounts, &self.submitter, message, &told, keep);
        if let Err(error) = Box::pin(report).await {
            tracing::error!(target: "DEQUEUER", "[{}] report delayed: {error}", message.id);
            for step in &mut steps {
                if let Step::Failed { error } = &step.step {
                    let not_before = now.saturating_add(REPORT_AGAIN);
                    step.step = Step::Retry { not_before, error: error.clone() };
                }
            }
        }
        self.settle_steps(message, steps).await;
    }

    async fn settle_steps(&self, message: &QueuedMessage, steps: Vec<RecipientStep>) {
        let waiting = |r: &&angarium_store::QueuedRecipient| {
            matches!(r.state, RecipientState::Waiting { .. })
        };
        let last = steps.len() == message.recipients.iter().filter(waiting).count();
        let ends = |s: &RecipientStep| matches!(s.step, Step::Done | Step::Failed { .. });
        let settled = last && steps.iter().all(ends);
        let mut pause = SETTLE_PAUSE;
        for _ in 0..SETTLE_TRIES {
            match self.accounts.store().queue.settle(message.id, steps.clone()).await {
                Ok(()) => {
                    if settled {
                        let tag = format_args!("QUEUE([{}])", message.id);
                        tracing::info!(target: "QUEUE", tag = %tag, "deleted");
                    }
                    return;
                }
                Err(error) if error.is_temporary() && !self.is_stopping() => {
                    tracing::error!(target: "DEQUEUER", "[{}] cannot be settled: {error}", message.id);
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                    pause = pause.saturating_mul(2);
                }
                Err(error) => {
                    tracing::error!(target: "DEQUEUER", "[{}] cannot be settled: {error}", message.id);
                    return;
                }
            }
        }
    }

    pub(super) async fn give_back(&self, message: &QueuedMessage, recipients: &[u32]) {
        if let Err(error) = self.accounts.store().queue.give_back(message.id, recipients).await {
            tracing::error!(target: "DEQUEUER", "[{}] cannot be given back: {error}", message.id);
        }
    }
}
