//! The queue in memory: what is queued; who is due when is the timetable's.

use async_trait::async_trait;
use bytes::Bytes;

use super::bodies::HeldBodies;
use super::{Memory, State, invalid};
use crate::error::{Result, StoreError};
use crate::feed::Change;
use crate::ids::{BodyId, QueueId};
use crate::message::Origin;
use crate::queue::{
    LeasedWork, NewQueued, Queue, QueueFacts, QueueName, QueuedMessage, RecipientState,
    RecipientStep, Step,
};
use crate::timetable::{Entry, Lease, Standing};

/// A queued message.
pub(super) struct Queued {
    message: NewQueued,
    body: BodyId,
}

impl Queued {
    fn next_due(&self) -> Option<i64> {
        let due = |state: &RecipientState| match state {
            RecipientState::Waiting { not_before, .. } => Some(*not_before),
            RecipientState::Done | RecipientState::Failed { .. } => None,
        };
        self.message.recipients.iter().filter_map(|recipient| due(&recipient.state)).min()
    }

    fn message(&self, bodies: &HeldBodies) -> Result<QueuedMessage> {
        let (size, summary): (u64, Bytes) = bodies.facts(self.body)?;
        Ok(QueuedMessage {
            id: self.message.id.unwrap_or_default(),
            return_path: self.message.return_path.clone(),
            facts: self.message.facts.clone(),
            body: self.body,
            size,
            summary,
            recipients: self.message.recipients.clone(),
            accepted: self.message.accepted,
            priority: self.message.priority,
        })
    }
}

impl State {
    fn enqueue(&mut self, mut new: NewQueued, told: &mut Vec<Change>) -> Result<(QueueId, BodyId)> {
        let State { queue, queue_ids, bodies, timetable, .. } = self;
        if new.recipients.is_empty() || new.recipients.len() > NewQueued::MAX_RECIPIENTS {
            return invalid("a message has 1 to 100,000 recipients");
        }
        if new.id.is_some_and(|id| queue.contains_key(&id)) {
            return Err(StoreError::Exists("queue entry"));
        }
        let summary = std::mem::take(&mut new.summary);
        let source = bodies.check(new.body.clone(), summary)?;
        let id = new.id.unwrap_or_else(|| QueueId(queue_ids.take()));
        queue_ids.0 = queue_ids.0.max(id.0);
        let body = bodies.hold(source)?.id;
        new.id = Some(id);
        // The bytes are held by `bodies` alone.
        new.body = crate::bodies::MessageBody::Existing(body);
        let (size, _) = bodies.facts(body)?;
        let entry = Entry::of(&new, 0, size);
        let queued = Queued { message: new, body };
        match queued.next_due() {
            Some(not_before) => {
                told.push(Change::Queued { id, not_before });
                queue.insert(id, queued);
                timetable.add(id, entry);
            }
            None => bodies.release(body),
        }
        Ok((id, body))
    }

    fn work(&self, leases: impl IntoIterator<Item = Lease>) -> Result<Vec<LeasedWork>> {
        let mut work = Vec::new();
        for Lease { id, recipients, .. } in leases {
            let queued = self.queue.get(&id).ok_or(StoreError::NotFound("queue entry"))?;
            work.push(LeasedWork { message: queued.message(&self.bodies)?, recipients });
        }
        Ok(work)
    }
}

#[async_trait]
impl Queue for Memory {
    fn next_id(&self) -> QueueId {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        QueueId(state.queue_ids.take())
    }

    async fn enqueue(&self, new: NewQueued) -> Result<(QueueId, BodyId)> {
        self.change(|state, told| state.enqueue(new, told))
    }

    async fn enqueue_once(
        &self,
        new: NewQueued,
        origin: Origin,
    ) -> Result<Option<(QueueId, BodyId)>> {
        self.change(|state, told| {
            if state.queued_by.contains(&origin) {
                return Ok(None);
            }
            let queued = state.enqueue(new, told)?;
            state.queued_by.insert(origin);
            Ok(Some(queued))
        })
    }

    async fn lease(&self, now: i64, limit: usize, seconds: i64) -> Result<Vec<LeasedWork>> {
        self.change(|state, _| {
            let leases = state.timetable.lease(None, now, limit, now.saturating_add(seconds));
            state.work(leases)
        })
    }

    async fn lease_module(
        &self,
        module: &str,
        now: i64,
        limit: usize,
        seconds: i64,
    ) -> Result<Vec<LeasedWork>> {
        self.change(|state, _| {
            let until = now.saturating_add(seconds);
            let leases = state.timetable.lease(Some(module), now, limit, until);
            state.work(leases)
        })
    }

    async fn lease_one(&self, id: QueueId, now: i64, seconds: i64) -> Result<Option<LeasedWork>> {
        self.change(|state, _| {
            let lease = state.timetable.lease_one(id, now, now.saturating_add(seconds));
            Ok(state.work(lease)?.pop())
        })
    }

    async fn lease_queue(
        &self,
        name: &QueueName,
        now: i64,
        limit: usize,
        seconds: i64,
    ) -> Result<Vec<LeasedWork>> {
        self.change(|state, _| {
            let until = now.saturating_add(seconds);
            let leases = state.timetable.lease_queue(name, now, limit, until);
            state.work(leases)
        })
    }

    async fn lease_aged(
        &self,
        name: &QueueName,
        ages: &[i64],
        now: i64,
        limit: usize,
        seconds: i64,
    ) -> Result<Vec<LeasedWork>> {
        self.change(|state, _| {
            let until = now.saturating_add(seconds);
            let leases = state.timetable.lease_aged(name, ages, now, limit, until);
            state.work(leases)
        })
    }

    async fn claim(&self, id: QueueId, now: i64, seconds: i64) -> Result<Option<LeasedWork>> {
        self.change(|state, _| {
            let lease = state.timetable.claim(id, now, now.saturating_add(seconds));
            Ok(state.work(lease)?.pop())
        })
    }

    async fn give_back(&self, id: QueueId, recipients: &[u32]) -> Result<()> {
        self.change(|state, _| {
            state.timetable.give_back(id, recipients);
            Ok(())
        })
    }

    async fn park(&self, name: &QueueName, until: i64) -> Result<()> {
        self.change(|state, _| {
            state.timetable.park(name, until);
            Ok(())
        })
    }

    async fn hasten(&self, name: &QueueName, now: i64) -> Result<u64> {
        self.change(|state, _| Ok(state.timetable.hasten(name, now)))
    }

    async fn settle(&self, id: QueueId, steps: Vec<RecipientStep>) -> Result<()> {
        self.change(|state, told| {
            let queued = state.queue.get_mut(&id).ok_or(StoreError::NotFound("queue entry"))?;
            let recipients = &mut queued.message.recipients;
            if steps.iter().any(|step| recipients.len() <= step.recipient as usize) {
                return invalid("there is no such recipient");
            }
            let mut standings = Vec::with_capacity(steps.len());
            for RecipientStep { recipient, step } in steps {
                let one = &mut recipients[recipient as usize];
                let waits = matches!(one.state, RecipientState::Waiting { .. });
                one.state.take(&step);
                if let Step::Rerouted { module, queue } = step
                    && waits
                {
                    one.module = module;
                    one.queue = queue;
                }
                standings.push((recipient, Standing::of(one)));
            }
            let due = standings.iter().filter_map(|(_, standing)| standing.due).min();
            if let Some(not_before) = due {
                told.push(Change::Queued { id, not_before });
            }
            state.timetable.reschedule(id, standings);
            if state.timetable.waiting(id) == 0 {
                state.timetable.remove(id);
                state.bodies.release(queued.body);
                state.queue.remove(&id);
            }
            Ok(())
        })
    }

    async fn next_due(&self) -> Result<Option<i64>> {
        self.read(|state| Ok(state.timetable.next_due()))
    }

    async fn message(&self, id: QueueId) -> Result<Option<QueuedMessage>> {
        self.read(|state| state.queue.get(&id).map(|q| q.message(&state.bodies)).transpose())
    }

    async fn list(&self, after: QueueId, limit: usize) -> Result<Vec<QueueId>> {
        let above = (std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded);
        self.read(|state| Ok(state.queue.range(above).take(limit).map(|(id, _)| *id).collect()))
    }

    async fn count(&self) -> Result<u64> {
        self.read(|state| Ok(state.queue.len() as u64))
    }

    async fn queue_facts(&self, name: &QueueName) -> Result<Option<QueueFacts>> {
        self.read(|state| Ok(state.timetable.facts(name)))
    }

    async fn queues(&self, after: Option<&QueueName>, limit: usize) -> Result<Vec<QueueFacts>> {
        self.read(|state| Ok(state.timetable.queues(after, limit)))
    }

    async fn queue_messages(
        &self,
        name: &QueueName,
        after: QueueId,
        limit: usize,
    ) -> Result<Vec<QueueId>> {
        self.read(|state| Ok(state.timetable.queue_messages(name, after, limit)))
    }

    async fn modules(&self) -> Result<Vec<String>> {
        self.read(|state| Ok(state.timetable.modules()))
    }
}
