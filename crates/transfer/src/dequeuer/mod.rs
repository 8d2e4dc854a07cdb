//! The dequeuer: takes what is due from the durable queue to its delivery, and settles it.
//!
//! A bounded part of the queue is in memory ([`lanes`]): queues deliver side by side, each with
//! its channels, and take turns for those of their module. The rest stays in the store, which
//! gives more when there is room. The change feed tells of every message that enters the queue,
//! so that its delivery begins at once and without a search.
//!
//! When no host of a queue could be spoken to, the whole queue waits: then one message probes, and
//! a success lets all of it go. It must never know how a delivery is done.

mod control;
mod lanes;
mod look;
mod run;
mod settings;
mod settle;

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use angarium_accounts::{Accounts, Change, ChangeListener};
use angarium_store::QueueName;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};

pub use control::{Release, Taken};
pub use lanes::LaneState;
pub(crate) use settings::QueueSettings;

use crate::deliver::{Channels, Modules};
use crate::following::{Following, Made};
use crate::recipients::LOCAL;
use crate::submit::Submitter;
use lanes::Lanes;

/// Seconds a lease lasts; only what a crashed task held is begun again by its end.
const LEASE: i64 = 6 * 3600;

/// Parts in memory up to which a message told by the feed is begun without a look for due work.
const AT_ONCE: usize = 1024;

/// How the dequeuer works.
#[derive(Clone, Copy, Debug)]
pub struct DequeuerOptions {
    /// Local deliveries at a time where the setting `Processors` of `LOCAL` says nothing; at
    /// least 1.
    pub messages: usize,
}

impl Default for DequeuerOptions {
    fn default() -> Self {
        Self { messages: 64 }
    }
}

/// Hears the feed and begins what it tells of at once; what is not begun is found by looking.
struct Ear {
    /// Not held for ever: the accounts hold this listener.
    work: Weak<Work>,
    runtime: Handle,
}

impl ChangeListener for Ear {
    fn changed(&self, change: &Change) {
        let Some(work) = self.work.upgrade() else { return };
        match change {
            Change::Queued { id, not_before } if *not_before <= work.accounts.now() => {
                if work.is_stopping() {
                    return;
                }
                if work.lanes().parts() >= AT_ONCE {
                    work.wake.notify_one();
                    return;
                }
                let begun = work.begun();
                self.runtime.spawn(work.run_one(*id, begun));
            }
            // When it falls due must be known.
            Change::Queued { .. } => work.wake.notify_one(),
            _ => {}
        }
    }
}

/// What every delivery task needs.
struct Work {
    accounts: Arc<Accounts>,
    submitter: Submitter,
    modules: Modules,
    options: DequeuerOptions,
    lanes: Mutex<Lanes>,
    changes: Arc<Following>,
    settings: Made<QueueSettings>,
    /// Queues the store keeps because they are on the list of those to be held.
    kept: Mutex<HashSet<QueueName>>,
    /// Queues that are being sent although they are held.
    released: Mutex<HashSet<QueueName>>,
    wake: Notify,
    stop: watch::Receiver<bool>,
    running: AtomicUsize,
    idle: Notify,
}

/// Something that was begun and must end before the server does.
struct Begun(Arc<Work>);

impl Drop for Begun {
    fn drop(&mut self) {
        if self.0.running.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.idle.notify_waiters();
        }
    }
}

impl Work {
    fn begun(self: &Arc<Self>) -> Begun {
        self.running.fetch_add(1, Ordering::AcqRel);
        Begun(Arc::clone(self))
    }

    fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settings(&self) -> Arc<QueueSettings> {
        self.settings.last().unwrap_or_default()
    }

    /// What may go on at a time in a queue.
    fn channels(&self, name: &QueueName) -> Channels {
        let mut usual = self.modules.get(&name.module).map(|m| m.channels()).unwrap_or_default();
        if name.module == LOCAL {
            usual.total = self.options.messages.max(1);
        }
        self.settings().channels(&name.module, &name.queue, usual)
    }
}

/// The running dequeuer.
pub(crate) struct Dequeuer {
    work: Arc<Work>,
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
        let work = Arc::new(Work {
            accounts: Arc::clone(&accounts),
            submitter,
            modules,
            options,
            lanes: Mutex::default(),
            changes: Following::of(&accounts, "queue"),
            settings: Made::default(),
            kept: Mutex::default(),
            released: Mutex::default(),
            wake: Notify::new(),
            stop,
            running: AtomicUsize::new(0),
            idle: Notify::new(),
        });
        let ear = Ear { work: Arc::downgrade(&work), runtime: Handle::current() };
        if !accounts.add_listener(Arc::new(ear)) {
            tracing::error!(target: "DEQUEUER", "the change feed takes no listener; mail will wait");
        }
        let (done_sender, done) = watch::channel(false);
        let looking = Arc::clone(&work);
        tokio::spawn(async move {
            looking.look_on().await;
            done_sender.send_replace(true);
        });
        Self { work, done }
    }

    pub(crate) fn wake(&self) {
        self.work.wake.notify_one();
    }

    /// Waits until a stopped dequeuer has finished what it had begun.
    pub(crate) async fn finished(&self) {
        let mut done = self.done.clone();
        // An error says that the task is gone, which is as good.
        let _ = done.wait_for(|done| *done).await;
        loop {
            let idle = self.work.idle.notified();
            if self.work.running.load(Ordering::Acquire) == 0 {
                return;
            }
            idle.await;
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
