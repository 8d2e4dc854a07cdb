//! Looking for due work: at start, when something falls due, when there is room again; and what
//! is done from time to time for queues that wait.

use std::sync::Arc;
use std::time::Duration;

use angarium_store::{HELD, QueueName};

use super::settings::QueueSettings;
use super::{LEASE, Work, locked};

/// Messages leased in one look at a module.
const BATCH: usize = 256;

/// Seconds after which due work is looked for in any case.
const LOOK: u64 = 60;

/// Seconds to wait when the store does not answer.
const PAUSE: u64 = 2;

/// Seconds after which waiting queues are looked through for messages that have become old.
const AGED: i64 = 300;

/// Messages of a waiting queue dealt with at a time because of their age.
const AGED_BATCH: usize = 64;

impl Work {
    /// Looks until it is told to stop.
    pub(super) async fn look_on(self: Arc<Self>) {
        let mut stop = self.stop.clone();
        let mut changes = self.changes.watch();
        let mut aged_at = self.accounts.now().saturating_add(AGED);
        while !self.is_stopping() {
            changes.mark_unchanged();
            if self.settings.fresh(&self.changes).is_none() {
                self.read_settings().await;
            }
            let now = self.accounts.now();
            if now >= aged_at || now < aged_at.saturating_sub(AGED) {
                aged_at = now.saturating_add(AGED);
                self.all_aged().await;
            }
            let wait = self.look().await;
            tokio::select! {
                biased;
                _ = stop.changed() => {}
                () = self.wake.notified() => {}
                _ = changes.changed() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    async fn read_settings(&self) {
        let read = async {
            let queue = self.accounts.read_module_effective("Queue").await?;
            let local = self.accounts.read_module_effective("LOCAL").await?;
            Ok(QueueSettings::of(&queue, &local))
        };
        let settings = self.settings.get(&self.changes, read, QueueSettings::default).await;
        let let_go: Vec<QueueName> = {
            let mut kept = locked(&self.kept);
            let (still, gone) =
                kept.drain().partition(|name| settings.is_held(&name.module, &name.queue));
            *kept = still;
            gone.into_iter().collect::<Vec<_>>()
        };
        for name in let_go {
            self.park(&name, i64::MIN).await;
        }
    }

    /// Parks a queue in the store, which can only fail where all else does.
    pub(super) async fn park(&self, name: &QueueName, until: i64) {
        if let Err(error) = self.accounts.store().queue.park(name, until).await {
            tracing::error!(target: "DEQUEUER", "{name} cannot be put off: {error}");
        }
    }

    /// Keeps a queue that is on the list of those to be held.
    pub(super) async fn keep(&self, name: &QueueName) {
        locked(&self.kept).insert(name.clone());
        self.park(name, HELD).await;
        // The list may have changed in between.
        if !self.settings().is_held(&name.module, &name.queue) {
            locked(&self.kept).remove(name);
            self.park(name, i64::MIN).await;
        }
    }

    /// Begins what is due and has room; answers how long to wait for more.
    async fn look(self: &Arc<Self>) -> Duration {
        let store = self.accounts.store();
        let mut full = false;
        let modules = match store.queue.modules().await {
            Ok(modules) => modules,
            Err(error) => return unreadable(&error),
        };
        for module in modules {
            let any = QueueName::new(&module, "");
            loop {
                if self.is_stopping() {
                    return Duration::ZERO;
                }
                let channels = self.channels(&any);
                let room = self.lanes().room(&module, channels).min(BATCH);
                if room == 0 {
                    full = true;
                    break;
                }
                let now = self.accounts.now();
                match store.queue.lease_module(&module, now, room, LEASE).await {
                    Ok(found) => {
                        let more = found.len() == room;
                        self.lanes().more(&module, more);
                        for leased in found {
                            let parts = self.admit(leased, false).await;
                            self.begin(parts);
                        }
                        if !more {
                            break;
                        }
                    }
                    Err(error) => return unreadable(&error),
                }
            }
        }
        match store.queue.next_due().await {
            Ok(Some(due)) => {
                let seconds = due.saturating_sub(self.accounts.now());
                // Never zero: what is due now is being begun or has no room yet, and when there
                // is some the loop is woken.
                let least = if full { PAUSE } else { 1 };
                Duration::from_secs(u64::try_from(seconds).unwrap_or(0).clamp(least, LOOK))
            }
            Ok(None) => Duration::from_secs(LOOK),
            Err(_) => Duration::from_secs(PAUSE),
        }
    }

    /// Messages of queues that wait get old, too: their senders are told, and at last they go
    /// back, whether or not the queue is tried.
    async fn all_aged(self: &Arc<Self>) {
        let blocked = self.lanes().blocked();
        let kept: Vec<QueueName> = locked(&self.kept).iter().cloned().collect();
        for name in blocked.into_iter().chain(kept) {
            if self.is_stopping() {
                return;
            }
            self.aged(&name).await;
        }
    }

    /// Treats messages of a queue that have reached an age as if they had been tried.
    pub(super) async fn aged(self: &Arc<Self>, name: &QueueName) {
        let settings = self.settings();
        let ages = settings.timetable(&name.module, &name.queue, "").ages();
        let queue = &self.accounts.store().queue;
        while !self.is_stopping() {
            let now = self.accounts.now();
            let Ok(found) = queue.lease_aged(name, &ages, now, AGED_BATCH, LEASE).await else {
                return;
            };
            let last = found.len() < AGED_BATCH;
            for leased in found {
                self.settle_untried(name, leased).await;
            }
            if last {
                return;
            }
        }
    }
}

fn unreadable(error: &angarium_accounts::StoreError) -> Duration {
    tracing::error!(target: "DEQUEUER", "the queue cannot be read: {error}");
    Duration::from_secs(PAUSE)
}
