//! The contract's queue. An entry lies in the shard of its first local recipient where that is
//! known, so that a message for one account is queued, delivered and settled in one journal.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use angarium_store::timetable::Lease;
use angarium_store::{
    BodyId, DomainObject, LeasedWork, MessageBody, NewQueued, Origin, Queue, QueueFacts, QueueId,
    QueueName, QueuedMessage, RecipientStep, Result, StoreError,
};
use async_trait::async_trait;

use crate::bodies::{Source, prepare, size_and_summary};
use crate::decide::queue::{self as decisions, Accepted};
use crate::embedded::Inner;
use crate::fresh::Fresh;
use crate::housekeeper::Chore;
use crate::index::references::home;
use crate::index::{apply_queue, directory_rows};
use crate::writer::Batch;

/// Queue ids reserved ahead; the next reservation is asked for when half of it is used.
pub(crate) const RESERVED_AHEAD: u64 = 16_384;

/// Queue ids: given out from memory, inside a range that the journal knows to be used.
pub(crate) struct QueueIds {
    next: AtomicU64,
    below: AtomicU64,
}

impl QueueIds {
    pub(crate) fn new(next: u64) -> Self {
        Self { next: AtomicU64::new(next.max(1)), below: AtomicU64::new(next) }
    }

    /// The range was widened.
    pub(crate) fn reserved(&self, below: u64) {
        self.below.fetch_max(below, Ordering::Relaxed);
    }

    /// An id was given from outside.
    pub(crate) fn used(&self, id: QueueId) {
        self.next.fetch_max(id.0.saturating_add(1), Ordering::Relaxed);
    }

    pub(crate) fn next(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    /// A fresh id, and whether the range should be widened now.
    fn take(&self) -> (QueueId, bool) {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let left = self.below.load(Ordering::Relaxed).saturating_sub(id);
        (QueueId(id), left == RESERVED_AHEAD / 2 || (left < 1024 && id.is_multiple_of(256)))
    }
}

/// Handle of the family.
pub(crate) struct EmbeddedQueue(pub(crate) Arc<Inner>);

impl Inner {
    fn next_queue_id(&self) -> QueueId {
        let (id, widen) = self.queue_ids.take();
        if widen {
            self.chore(Chore::ReserveQueueIds);
        }
        id
    }

    /// The shard a new entry goes to.
    async fn shard_for(&self, new: &NewQueued, id: QueueId) -> u32 {
        if let MessageBody::Existing(body) = &new.body {
            return home(*body);
        }
        let local = new.recipients.iter().find(|r| r.module.eq_ignore_ascii_case("LOCAL"));
        if let Some((name, domain)) = local.and_then(|r| r.queue.rsplit_once('@'))
            && let Some(shard) = self.shard_of_name(name, domain).await
        {
            return shard;
        }
        (id.0 % self.shards.len() as u64) as u32
    }

    /// The shard of the account a name stands for; `None` if unknown. Only a hint: a wrong
    /// answer costs time, nothing else.
    async fn shard_of_name(&self, name: &str, domain: &str) -> Option<u32> {
        let key = format!("{name}@{domain}");
        if let Some(known) = self.places.get(&key) {
            return Some(known);
        }
        let (name, domain) = (name.to_owned(), domain.to_owned());
        let read = self
            .directory_shard()
            .ok()?
            .readers
            .read(move |db| directory_rows::object(db, &domain, &name));
        let (DomainObject::Account(id) | DomainObject::Alias(id)) = read.await.ok()?? else {
            return None;
        };
        let shard = self.shard_number(id);
        self.places.put(key, shard);
        Some(shard)
    }

    async fn queued_message(&self, shard: u32, id: QueueId) -> Result<Option<QueuedMessage>> {
        let own = self.shard(shard)?;
        let found = own
            .readers
            .read(move |db| {
                let Some(packed) = apply_queue::entry(db, id)? else { return Ok(None) };
                let mut message = packed.message;
                let here = home(message.body) == shard;
                if here {
                    (message.size, message.summary) = size_and_summary(db, message.body)?;
                }
                Ok(Some((message, here)))
            })
            .await?;
        let Some((mut message, here)) = found else { return Ok(None) };
        if !here {
            let body = message.body;
            let read = self.shard(home(body))?.readers.read(move |db| size_and_summary(db, body));
            (message.size, message.summary) = read.await?;
        }
        Ok(Some(message))
    }

    /// Reads what was leased. What cannot be read is given back; the error is answered only if
    /// nothing can be.
    async fn all_leased(&self, leases: Vec<Lease>) -> Result<Vec<LeasedWork>> {
        let mut work = Vec::with_capacity(leases.len());
        let mut failed = None;
        for lease in leases {
            match self.leased(lease).await {
                Ok(found) => work.extend(found),
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            Some(error) if work.is_empty() => Err(error),
            _ => Ok(work),
        }
    }

    async fn leased(&self, lease: Lease) -> Result<Option<LeasedWork>> {
        if let Some(message) = self.fresh.take(lease.id) {
            return Ok(Some(LeasedWork { message, recipients: lease.recipients }));
        }
        match self.queued_message(lease.place, lease.id).await {
            Ok(found) => {
                Ok(found.map(|message| LeasedWork { message, recipients: lease.recipients }))
            }
            Err(error) => {
                self.schedule.with(|table| table.give_back(lease.id, &lease.recipients));
                Err(error)
            }
        }
    }
}

/// An entry as it is accepted, its body's id aside, if it is to be kept in memory.
fn fresh_entry(new: &Accepted) -> Option<QueuedMessage> {
    let Source::New { size, summary, .. } = &new.source else { return None };
    Fresh::wants(&new.recipients, summary).then(|| QueuedMessage {
        id: new.id,
        return_path: new.return_path.clone(),
        facts: new.facts.clone(),
        body: BodyId(0),
        size: *size,
        summary: summary.clone(),
        recipients: new.recipients.clone(),
        accepted: new.accepted,
        priority: new.priority,
    })
}

impl EmbeddedQueue {
    /// Queues a message; `None` if its delivery has done so before.
    async fn accept(
        &self,
        new: NewQueued,
        origin: Option<Origin>,
    ) -> Result<Option<(QueueId, BodyId)>> {
        decisions::check(&new)?;
        let id = match new.id {
            Some(id) if self.0.schedule.shard_of(id).is_some() => {
                return Err(StoreError::Exists("queue entry"));
            }
            Some(id) => {
                self.0.queue_ids.used(id);
                id
            }
            None => self.0.next_queue_id(),
        };
        let number = match origin {
            // Always the same, so that a repetition is noticed.
            Some(origin) => (origin.queue.0 % self.0.shards.len() as u64) as u32,
            None => self.0.shard_for(&new, id).await,
        };
        let shard = self.0.shard(number)?;
        let mut source = prepare(new.body, new.summary)?;
        let guards = self.0.hold_foreign(shard.number, &mut [&mut source]).await?;
        let accepted = Accepted {
            id,
            return_path: new.return_path,
            facts: new.facts,
            recipients: new.recipients,
            accepted: new.accepted,
            priority: new.priority,
            source,
        };
        let fresh = Arc::clone(&self.0.fresh);
        let enqueue = move |batch: &mut Batch<'_>| {
            let keep = fresh_entry(&accepted);
            let Some(body) = decisions::enqueue(batch, accepted, origin)? else {
                return Ok(None);
            };
            // Before the commit, so that whoever is told of the entry finds it; without the
            // commit nobody is.
            if let Some(message) = keep {
                fresh.put(QueuedMessage { body, ..message });
            }
            Ok(Some(body))
        };
        let body = shard.submit(enqueue).await;
        if !matches!(body, Ok(Some(_))) {
            self.0.fresh.take(id);
        }
        drop(guards);
        Ok(body?.map(|body| (id, body)))
    }
}

#[async_trait]
impl Queue for EmbeddedQueue {
    fn next_id(&self) -> QueueId {
        self.0.next_queue_id()
    }

    async fn enqueue(&self, new: NewQueued) -> Result<(QueueId, BodyId)> {
        // Nobody has queued it before.
        self.accept(new, None).await?.ok_or(StoreError::Exists("queue entry"))
    }

    async fn enqueue_once(
        &self,
        new: NewQueued,
        origin: Origin,
    ) -> Result<Option<(QueueId, BodyId)>> {
        self.accept(new, Some(origin)).await
    }

    async fn lease(&self, now: i64, limit: usize, seconds: i64) -> Result<Vec<LeasedWork>> {
        let until = now.saturating_add(seconds);
        let leases = self.0.schedule.with(|table| table.lease(None, now, limit, until));
        self.0.all_leased(leases).await
    }

    async fn lease_module(
        &self,
        module: &str,
        now: i64,
        limit: usize,
        seconds: i64,
    ) -> Result<Vec<LeasedWork>> {
        let until = now.saturating_add(seconds);
        let leases = self.0.schedule.with(|table| table.lease(Some(module), now, limit, until));
        self.0.all_leased(leases).await
    }

    async fn lease_one(&self, id: QueueId, now: i64, seconds: i64) -> Result<Option<LeasedWork>> {
        let until = now.saturating_add(seconds);
        match self.0.schedule.with(|table| table.lease_one(id, now, until)) {
            Some(lease) => self.0.leased(lease).await,
            None => Ok(None),
        }
    }

    async fn lease_queue(
        &self,
        name: &QueueName,
        now: i64,
        limit: usize,
        seconds: i64,
    ) -> Result<Vec<LeasedWork>> {
        let until = now.saturating_add(seconds);
        let leases = self.0.schedule.with(|table| table.lease_queue(name, now, limit, until));
        self.0.all_leased(leases).await
    }

    async fn lease_aged(
        &self,
        name: &QueueName,
        ages: &[i64],
        now: i64,
        limit: usize,
        seconds: i64,
    ) -> Result<Vec<LeasedWork>> {
        let until = now.saturating_add(seconds);
        let leases = self.0.schedule.with(|table| table.lease_aged(name, ages, now, limit, until));
        self.0.all_leased(leases).await
    }

    async fn claim(&self, id: QueueId, now: i64, seconds: i64) -> Result<Option<LeasedWork>> {
        let until = now.saturating_add(seconds);
        match self.0.schedule.with(|table| table.claim(id, now, until)) {
            Some(lease) => self.0.leased(lease).await,
            None => Ok(None),
        }
    }

    async fn give_back(&self, id: QueueId, recipients: &[u32]) -> Result<()> {
        self.0.schedule.with(|table| table.give_back(id, recipients));
        Ok(())
    }

    async fn park(&self, name: &QueueName, until: i64) -> Result<()> {
        self.0.schedule.with(|table| table.park(name, until));
        Ok(())
    }

    async fn hasten(&self, name: &QueueName, now: i64) -> Result<u64> {
        Ok(self.0.schedule.with(|table| table.hasten(name, now)))
    }

    async fn settle(&self, id: QueueId, steps: Vec<RecipientStep>) -> Result<()> {
        let shard = self.0.schedule.shard_of(id).ok_or(StoreError::NotFound("queue entry"))?;
        let shard = self.0.shard(shard)?;
        self.0.fresh.take(id);
        shard.submit(move |batch| decisions::settle(batch, id, steps)).await.map(drop)
    }

    async fn next_due(&self) -> Result<Option<i64>> {
        Ok(self.0.schedule.with(|table| table.next_due()))
    }

    async fn message(&self, id: QueueId) -> Result<Option<QueuedMessage>> {
        match self.0.schedule.shard_of(id) {
            Some(shard) => self.0.queued_message(shard, id).await,
            None => Ok(None),
        }
    }

    async fn list(&self, after: QueueId, limit: usize) -> Result<Vec<QueueId>> {
        Ok(self.0.schedule.with(|table| table.list(after, limit)))
    }

    async fn count(&self) -> Result<u64> {
        Ok(self.0.schedule.with(|table| table.count()))
    }

    async fn queue_facts(&self, name: &QueueName) -> Result<Option<QueueFacts>> {
        Ok(self.0.schedule.with(|table| table.facts(name)))
    }

    async fn queues(&self, after: Option<&QueueName>, limit: usize) -> Result<Vec<QueueFacts>> {
        Ok(self.0.schedule.with(|table| table.queues(after, limit)))
    }

    async fn queue_messages(
        &self,
        name: &QueueName,
        after: QueueId,
        limit: usize,
    ) -> Result<Vec<QueueId>> {
        Ok(self.0.schedule.with(|table| table.queue_messages(name, after, limit)))
    }

    async fn modules(&self) -> Result<Vec<String>> {
        Ok(self.0.schedule.with(|table| table.modules()))
    }
}
