//! The queue in memory: who is due when, who holds a lease, what is settled.

use async_trait::async_trait;
use bytes::Bytes;

use super::bodies::HeldBodies;
use super::{Memory, State, invalid};
use crate::error::{Result, StoreError};
use crate::feed::Change;
use crate::ids::{BodyId, QueueId};
use crate::queue::{
    LeasedWork, NewQueued, Queue, QueuedMessage, QueuedRecipient, RecipientState, RecipientStep,
    Step,
};

/// A queued message and, for each recipient, until when it is leased.
pub(super) struct Queued {
    message: NewQueued,
    body: BodyId,
    leased_until: Vec<Option<i64>>,
}

impl Queued {
    /// When each recipient that is not settled falls due: a leased one at its lease's end.
    fn due(&self) -> impl Iterator<Item = (u32, i64)> {
        (0..).zip(self.message.recipients.iter().zip(&self.leased_until)).filter_map(
            |(index, (recipient, leased))| match recipient.state {
                RecipientState::Waiting { not_before, .. } => {
                    Some((index, leased.map_or(not_before, |until| until.max(not_before))))
                }
                RecipientState::Done | RecipientState::Failed { .. } => None,
            },
        )
    }

    fn next_due(&self) -> Option<i64> {
        self.due().map(|(_, when)| when).min()
    }

    /// Leases what is due.
    fn lease(&mut self, bodies: &HeldBodies, now: i64, until: i64) -> Result<Option<LeasedWork>> {
        let due = self.due().filter(|(_, when)| *when <= now);
        let recipients: Vec<u32> = due.map(|(index, _)| index).collect();
        if recipients.is_empty() {
            return Ok(None);
        }
        for index in &recipients {
            self.leased_until[*index as usize] = Some(until);
        }
        Ok(Some(LeasedWork { message: self.message(bodies)?, recipients }))
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
        })
    }
}

/// Takes a step with one recipient; answers when it falls due again. What is settled stays so.
fn take_step(recipient: &mut QueuedRecipient, step: Step) -> Option<i64> {
    let RecipientState::Waiting { not_before, attempts, .. } = &recipient.state else {
        return None;
    };
    match step {
        Step::Done => recipient.state = RecipientState::Done,
        Step::Failed { error } => recipient.state = RecipientState::Failed { error },
        Step::Retry { not_before, error } => {
            let attempts = attempts.saturating_add(1);
            recipient.state = RecipientState::Waiting { not_before, attempts, last_error: error };
            return Some(not_before);
        }
        Step::Rerouted { module, queue } => {
            // It was due when it was leased, so it is due at once.
            let not_before = *not_before;
            recipient.module = module;
            recipient.queue = queue;
            return Some(not_before);
        }
    }
    None
}

#[async_trait]
impl Queue for Memory {
    fn next_id(&self) -> QueueId {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        QueueId(state.queue_ids.take())
    }

    async fn enqueue(&self, mut new: NewQueued) -> Result<(QueueId, BodyId)> {
        self.change(|state, told| {
            let State { queue, queue_ids, bodies, .. } = state;
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
            let leased_until = vec![None; new.recipients.len()];
            let queued = Queued { message: new, body, leased_until };
            match queued.next_due() {
                Some(not_before) => {
                    told.push(Change::Queued { id, not_before });
                    queue.insert(id, queued);
                }
                None => bodies.release(body),
            }
            Ok((id, body))
        })
    }

    async fn lease(&self, now: i64, limit: usize, seconds: i64) -> Result<Vec<LeasedWork>> {
        self.change(|state, _| {
            let mut due: Vec<(i64, QueueId)> = state
                .queue
                .iter()
                .filter_map(|(id, queued)| Some((queued.next_due()?, *id)))
                .filter(|(when, _)| *when <= now)
                .collect();
            due.sort_unstable();
            due.truncate(limit);
            let mut work = Vec::new();
            for (_, id) in due {
                let queued = state.queue.get_mut(&id);
                let queued = queued.ok_or(StoreError::NotFound("queue entry"))?;
                work.extend(queued.lease(&state.bodies, now, now.saturating_add(seconds))?);
            }
            Ok(work)
        })
    }

    async fn lease_one(&self, id: QueueId, now: i64, seconds: i64) -> Result<Option<LeasedWork>> {
        self.change(|state, _| match state.queue.get_mut(&id) {
            Some(queued) => queued.lease(&state.bodies, now, now.saturating_add(seconds)),
            None => Ok(None),
        })
    }

    async fn settle(&self, id: QueueId, steps: Vec<RecipientStep>) -> Result<()> {
        self.change(|state, told| {
            let queued = state.queue.get_mut(&id).ok_or(StoreError::NotFound("queue entry"))?;
            let recipients = &mut queued.message.recipients;
            if steps.iter().any(|step| recipients.len() <= step.recipient as usize) {
                return invalid("there is no such recipient");
            }
            let mut due = None;
            for RecipientStep { recipient, step } in steps {
                let index = recipient as usize;
                let again = take_step(&mut recipients[index], step);
                queued.leased_until[index] = None;
                due = [due, again].into_iter().flatten().min();
            }
            if let Some(not_before) = due {
                told.push(Change::Queued { id, not_before });
            }
            if queued.next_due().is_none() {
                state.bodies.release(queued.body);
                state.queue.remove(&id);
            }
            Ok(())
        })
    }

    async fn next_due(&self) -> Result<Option<i64>> {
        self.read(|state| Ok(state.queue.values().filter_map(Queued::next_due).min()))
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
}
