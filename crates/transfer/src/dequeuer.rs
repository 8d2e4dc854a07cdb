//! The dequeuer: takes what is due from the durable queue to its delivery, and settles it.
//!
//! The change feed tells of every message that enters the queue; a task of its own then leases
//! that very message, so a delivery begins at once and without a search. What was missed, failed
//! before or was left by a crash is found by looking for due work, at start and when the next
//! falls due.
//! It must never know how a delivery is done.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use angarium_accounts::{Accounts, Change, ChangeListener, QueueId};
use angarium_store::{
    LeasedWork, QueuedMessage, QueuedRecipient, RecipientState, RecipientStep, Step,
};
use tokio::runtime::Handle;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::deliver::{Modules, Outcome};
use crate::report::{self, Action, Told};
use crate::retry::{self, Next};
use crate::submit::Submitter;

/// Messages told by the feed and not yet begun; more are found by looking for due work.
const TOLD: usize = 10_000;

/// Messages leased in one look for due work.
const BATCH: usize = 256;

/// Seconds a lease lasts; work that takes longer is begun by somebody else, and done once.
const LEASE: i64 = 600;

/// Seconds after which due work is looked for in any case.
const LOOK: u64 = 60;

/// Seconds to wait when the store does not answer.
const PAUSE: u64 = 2;

/// How the dequeuer works.
#[derive(Clone, Copy, Debug)]
pub struct DequeuerOptions {
    /// Messages delivered at a time, at least 1.
    pub messages: usize,
}

impl Default for DequeuerOptions {
    fn default() -> Self {
        Self { messages: 64 }
    }
}

/// Hears the feed and begins what it tells of at once; only what there is no slot for is handed
/// to the loop, so that a message in a hurry is not handed from task to task.
struct Ear {
    /// Not held for ever: the accounts hold this listener.
    work: Weak<Work>,
    slots: Arc<Semaphore>,
    stop: watch::Receiver<bool>,
    runtime: Handle,
    told: mpsc::Sender<QueueId>,
    missed: Arc<AtomicBool>,
    wake: Arc<Notify>,
}

impl Ear {
    /// Begins a delivery if nothing waits before it; false if it could not.
    fn begin(&self, id: QueueId) -> bool {
        if *self.stop.borrow() || self.told.capacity() < self.told.max_capacity() {
            return false;
        }
        let slot = Arc::clone(&self.slots).try_acquire_owned();
        let (Some(work), Ok(slot)) = (self.work.upgrade(), slot) else { return false };
        self.runtime.spawn(work.run_one(id, slot));
        true
    }
}

impl ChangeListener for Ear {
    fn changed(&self, change: &Change) {
        if let Change::Queued { id, .. } = change
            && !self.begin(*id)
            && self.told.try_send(*id).is_err()
        {
            self.missed.store(true, Ordering::Release);
            self.wake.notify_one();
        }
    }
}

/// What every delivery task needs.
struct Work {
    accounts: Arc<Accounts>,
    submitter: Submitter,
    modules: Modules,
}

/// The running dequeuer.
pub(crate) struct Dequeuer {
    wake: Arc<Notify>,
    done: watch::Receiver<bool>,
}

impl Dequeuer {
    pub(crate) fn start(
        accounts: Arc<Accounts>,
        submitter: Submitter,
        modules: Modules,
        options: DequeuerOptions,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let (told, hear) = mpsc::channel(TOLD);
        let wake = Arc::new(Notify::new());
        let missed = Arc::new(AtomicBool::new(false));
        let messages = options.messages.max(1);
        let slots = Arc::new(Semaphore::new(messages));
        let work = Arc::new(Work { accounts: Arc::clone(&accounts), submitter, modules });
        let ear = Ear {
            work: Arc::downgrade(&work),
            slots: Arc::clone(&slots),
            stop: stop.clone(),
            runtime: Handle::current(),
            told,
            missed: Arc::clone(&missed),
            wake: Arc::clone(&wake),
        };
        let heard = accounts.add_listener(Arc::new(ear));
        if !heard {
            tracing::error!(target: "DEQUEUER", "the change feed takes no listener; mail will wait");
        }
        let (done_sender, done) = watch::channel(false);
        let run = Loop {
            work,
            hear,
            missed,
            wake: Arc::clone(&wake),
            slots,
            all: u32::try_from(messages).unwrap_or(u32::MAX),
            stop,
        };
        tokio::spawn(async move {
            run.run().await;
            done_sender.send_replace(true);
        });
        Self { wake, done }
    }

    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// What wakes it.
    pub(crate) fn waker(&self) -> Arc<Notify> {
        Arc::clone(&self.wake)
    }

    /// Waits until a stopped dequeuer has finished what it had begun.
    pub(crate) async fn finished(&self) {
        let mut done = self.done.clone();
        // An error says that the task is gone, which is as good.
        let _ = done.wait_for(|done| *done).await;
    }
}

struct Loop {
    work: Arc<Work>,
    hear: mpsc::Receiver<QueueId>,
    missed: Arc<AtomicBool>,
    wake: Arc<Notify>,
    slots: Arc<Semaphore>,
    all: u32,
    stop: watch::Receiver<bool>,
}

impl Loop {
    async fn run(mut self) {
        let mut look_at = Instant::now();
        while !*self.stop.borrow() {
            if look_at <= Instant::now() {
                let wait = self.look().await;
                look_at = Instant::now() + wait;
            }
            let look = tokio::select! {
                biased;
                _ = self.stop.changed() => break,
                () = self.wake.notified() => true,
                told = self.hear.recv() => match told {
                    Some(id) => { self.begin_one(id).await; false }
                    None => break,
                },
                () = tokio::time::sleep_until(look_at) => true,
            };
            if look || self.missed.swap(false, Ordering::AcqRel) {
                look_at = Instant::now();
            }
        }
        // Every slot back: all that was begun has ended.
        let _ = self.slots.acquire_many(self.all).await;
    }

    /// Begins all that is due; answers how long to wait for more.
    async fn look(&self) -> Duration {
        loop {
            let now = self.work.accounts.now();
            match self.work.accounts.store().queue.lease(now, BATCH, LEASE).await {
                Ok(found) => {
                    let full = found.len() == BATCH;
                    for leased in found {
                        self.begin(leased).await;
                    }
                    if !full || *self.stop.borrow() {
                        return self.until_due().await;
                    }
                }
                Err(error) => {
                    tracing::error!(target: "DEQUEUER", "the queue cannot be read: {error}");
                    return Duration::from_secs(PAUSE);
                }
            }
        }
    }

    async fn until_due(&self) -> Duration {
        match self.work.accounts.store().queue.next_due().await {
            Ok(Some(due)) => {
                let seconds = due.saturating_sub(self.work.accounts.now());
                // Never zero: what is due now is being begun or leased by somebody.
                Duration::from_secs(u64::try_from(seconds).unwrap_or(0).clamp(1, LOOK))
            }
            Ok(None) => Duration::from_secs(LOOK),
            Err(_) => Duration::from_secs(PAUSE),
        }
    }

    async fn begin_one(&self, id: QueueId) {
        let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else { return };
        tokio::spawn(Arc::clone(&self.work).run_one(id, slot));
    }

    async fn begin(&self, leased: LeasedWork) {
        let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else { return };
        let work = Arc::clone(&self.work);
        tokio::spawn(async move {
            work.run(leased).await;
            drop(slot);
        });
    }
}

impl Work {
    /// Delivers one message, unless somebody else has it.
    async fn run_one(self: Arc<Self>, id: QueueId, slot: OwnedSemaphorePermit) {
        let now = self.accounts.now();
        match self.accounts.store().queue.lease_one(id, now, LEASE).await {
            Ok(Some(leased)) => self.run(leased).await,
            Ok(None) => {}
            Err(error) => tracing::error!(target: "DEQUEUER", "[{id}] cannot be read: {error}"),
        }
        drop(slot);
    }

    /// Delivers to the leased recipients and settles them.
    async fn run(self: &Arc<Self>, leased: LeasedWork) {
        let LeasedWork { message, recipients } = leased;
        let message = Arc::new(message);
        let mut queues: BTreeMap<(&str, &str), Vec<u32>> = BTreeMap::new();
        for index in recipients {
            let place = usize::try_from(index).ok().and_then(|p| message.recipients.get(p));
            if let Some(recipient) = place {
                let key = (recipient.module.as_str(), recipient.queue.as_str());
                queues.entry(key).or_default().push(index);
            }
        }
        let mut running = JoinSet::new();
        for ((name, _), recipients) in queues {
            let Some(module) = self.modules.get(name).map(Arc::clone) else {
                let text = format!("there is no module {name} on this server");
                let outcome = Outcome::failed("5.3.5", text);
                let all = recipients.into_iter().map(|index| (index, outcome.clone())).collect();
                running.spawn(std::future::ready(all));
                continue;
            };
            for part in recipients.chunks(module.channels().recipients.max(1)) {
                let (message, part, module) =
                    (Arc::clone(&message), part.to_vec(), Arc::clone(&module));
                running.spawn(async move { module.deliver(&message, &part).await });
            }
        }
        let mut outcomes = Vec::new();
        while let Some(done) = running.join_next().await {
            outcomes.extend(done.unwrap_or_default());
        }
        self.settle(&message, outcomes).await;
    }

    async fn settle(&self, message: &QueuedMessage, outcomes: Vec<(u32, Outcome)>) {
        let now = self.accounts.now();
        let mut steps = Vec::with_capacity(outcomes.len());
        let mut told = Vec::new();
        for (index, outcome) in outcomes {
            let place = usize::try_from(index).ok();
            let Some(recipient) = place.and_then(|p| message.recipients.get(p)) else { continue };
            let name = format!("{}({}){}", recipient.module, recipient.queue, recipient.address);
            let attempts = match recipient.state {
                RecipientState::Waiting { attempts, .. } => attempts,
                RecipientState::Done | RecipientState::Failed { .. } => 0,
            };
            let tell = |action, status: &str, text: &str, host: Option<&String>| Told {
                recipient: index,
                action,
                status: status.to_owned(),
                text: text.to_owned(),
                host: host.cloned(),
            };
            let step = match outcome {
                Outcome::Delivered(text) => {
                    tracing::info!(target: "DEQUEUER", "[{}] {name} delivered: {text}", message.id);
                    told.push(tell(Action::Delivered, "2.0.0", text, None));
                    Step::Done
                }
                Outcome::Relayed { host, text, reports } => {
                    tracing::info!(target: "DEQUEUER", "[{}] {name} relayed: {text}", message.id);
                    if !reports {
                        told.push(tell(Action::Relayed, "2.0.0", &text, Some(&host)));
                    }
                    Step::Done
                }
                Outcome::Failed { status, text, host } => {
                    tracing::error!(target: "DEQUEUER", "[{}] {name} failed: {text}", message.id);
                    told.push(tell(Action::Failed, &status, &text, host.as_ref()));
                    Step::Failed { error: text }
                }
                Outcome::Later { status, text, host, .. } => {
                    match retry::next(message.accepted, now, attempts) {
                        Next::Again { at, warn } => {
                            tracing::warn!(
                                target: "DEQUEUER",
                                "[{}] {name} delayed: {text}",
                                message.id
                            );
                            if warn {
                                told.push(tell(Action::Delayed, &status, &text, host.as_ref()));
                            }
                            Step::Retry { not_before: at, error: text }
                        }
                        Next::GiveUp => {
                            let text = format!("given up after four days: {text}");
                            tracing::error!(
                                target: "DEQUEUER",
                                "[{}] {name} failed: {text}",
                                message.id
                            );
                            told.push(tell(Action::Failed, "5.4.7", &text, host.as_ref()));
                            Step::Failed { error: text }
                        }
                    }
                }
            };
            steps.push(RecipientStep { recipient: index, step });
        }
        // The report first: if we stop in between, it is made twice rather than never.
        let report = Box::pin(report::send(&self.accounts, &self.submitter, message, &told));
        if let Err(error) = report.await {
            tracing::error!(target: "DEQUEUER", "[{}] report delayed: {error}", message.id);
            for step in &mut steps {
                if let Step::Failed { error } = &step.step {
                    let not_before = now.saturating_add(LEASE);
                    step.step = Step::Retry { not_before, error: error.clone() };
                }
            }
        }
        let waiting = |r: &&QueuedRecipient| matches!(r.state, RecipientState::Waiting { .. });
        let last = steps.len() == message.recipients.iter().filter(waiting).count();
        let settled = last && !steps.iter().any(|s| matches!(s.step, Step::Retry { .. }));
        match self.accounts.store().queue.settle(message.id, steps).await {
            Ok(()) if settled => {
                tracing::info!(target: "QUEUE", tag = %format_args!("QUEUE([{}])", message.id), "deleted");
            }
            Ok(()) => {}
            // The lease ends and all is done again; appends that were made are not repeated.
            Err(error) => {
                tracing::error!(target: "DEQUEUER", "[{}] cannot be settled: {error}", message.id);
            }
        }
    }
}
