//! Decisions on the queue.

use angarium_objects::value::Dictionary;
use angarium_store::{
    BodyId, NewQueued, QueueId, QueuedRecipient, RecipientStep, Result, StoreError,
};

use super::{Intake, invalid};
use crate::bodies::Source;
use crate::index::apply_queue::{self, due, take_step};
use crate::record::{QueueEntry, Record};
use crate::writer::Batch;

/// A message to be queued, its body ready.
pub(crate) struct Accepted {
    pub(crate) id: QueueId,
    pub(crate) return_path: String,
    pub(crate) facts: Dictionary,
    pub(crate) recipients: Vec<QueuedRecipient>,
    pub(crate) accepted: i64,
    pub(crate) source: Source,
}

pub(crate) fn check(new: &NewQueued) -> Result<()> {
    if new.recipients.is_empty() || new.recipients.len() > NewQueued::MAX_RECIPIENTS {
        return invalid("a message has 1 to 100,000 recipients");
    }
    Ok(())
}

pub(crate) fn enqueue(batch: &mut Batch<'_>, new: Accepted) -> Result<BodyId> {
    let there = batch.tx.one("SELECT 1 FROM queue WHERE id=?1", [new.id.0], |_| Ok(()))?;
    if there.is_some() {
        return Err(StoreError::Exists("queue entry"));
    }
    let mut intake = Intake::new(batch);
    let body = intake.take(batch, new.source)?;
    let id = body.id();
    let entry = QueueEntry {
        id: new.id,
        return_path: new.return_path,
        facts: new.facts,
        recipients: new.recipients,
        accepted: new.accepted,
        body,
    };
    let settled = entry.recipients.iter().all(|recipient| due(recipient).is_none());
    let mut records = vec![Record::Enqueued { entry }];
    if settled {
        records.push(Record::Settled { id: new.id, steps: Vec::new(), ended: true });
    }
    batch.write(&records, intake.parts)?;
    Ok(id)
}

/// Answers true when the entry left the queue.
pub(crate) fn settle(
    batch: &mut Batch<'_>,
    id: QueueId,
    steps: Vec<RecipientStep>,
) -> Result<bool> {
    let entry = apply_queue::entry(batch.tx.db, id)?.ok_or(StoreError::NotFound("queue entry"))?;
    let mut recipients = entry.message.recipients;
    for step in &steps {
        match recipients.get_mut(step.recipient as usize) {
            Some(recipient) => take_step(recipient, &step.step),
            None => return invalid("there is no such recipient"),
        }
    }
    let ended = recipients.iter().all(|recipient| due(recipient).is_none());
    if !steps.is_empty() {
        batch.write(&[Record::Settled { id, steps, ended }], Vec::new())?;
    }
    Ok(ended)
}
