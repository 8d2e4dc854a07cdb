//! What takes mail out of the queue: one module per kind of destination, known by its name.
//!
//! The dequeuer decides when and how much at a time; a module only delivers and says how it ended.
//! It must never know the store's queue.

use std::collections::BTreeMap;
use std::sync::Arc;

use angarium_store::QueuedMessage;
use async_trait::async_trait;

use super::Outcome;

/// How much of a module's work may go on at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channels {
    /// Deliveries of the whole module; at least 1.
    pub total: usize,
    /// Deliveries of one queue; at least 1.
    pub per_queue: usize,
    /// Recipients of one message given to one delivery; at least 1.
    pub recipients: usize,
}

impl Default for Channels {
    fn default() -> Self {
        Self { total: 64, per_queue: 5, recipients: 1000 }
    }
}

/// Delivers what was routed to it.
#[async_trait]
pub trait Module: Send + Sync {
    /// Its name in queue entries, upper case.
    fn name(&self) -> &'static str;

    /// What may go on at a time. Asked before every delivery, so that changed settings count at
    /// once; it must be cheap.
    fn channels(&self) -> Channels {
        Channels::default()
    }

    /// Delivers one message to these recipients (places in [`QueuedMessage::recipients`], all of
    /// the same queue) and answers how it ended for each. A recipient without an answer is tried
    /// again later. The same may be asked twice after a crash; it ends in some time of its own.
    async fn deliver(
        &self,
        message: &Arc<QueuedMessage>,
        recipients: &[u32],
    ) -> Vec<(u32, Outcome)>;
}

/// The modules of a server.
#[derive(Clone, Default)]
pub struct Modules {
    by_name: BTreeMap<&'static str, Arc<dyn Module>>,
}

impl Modules {
    /// Adds a module; one of the same name goes.
    #[must_use]
    pub fn with(mut self, module: Arc<dyn Module>) -> Self {
        self.by_name.insert(module.name(), module);
        self
    }

    /// The module of a queue entry.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Module>> {
        self.by_name.get(name)
    }
}
