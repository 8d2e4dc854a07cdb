//! Decisions on the queue.

use std::collections::BTreeSet;

use angarium_objects::value::Dictionary;
use angarium_store::{
    AccountId, BodyId, NewQueued, Origin, QueueId, QueuedRecipient, RecipientStep, Result,
    StoreError,
};

use super::messages::is_delivered;
use super::{Intake, invalid};
use crate::bodies::Source;
use crate::index::apply_queue::{self, due};
use crate::record::{QueueEntry, Record};
use crate::writer::Batch;

/// Whose deliveries those are that queue a message: no account has this id.
pub(crate) const NO_ACCOUNT: AccountId = AccountId(0);

/// A message to be queued, its body ready.
pub(crate) struct Accepted {
    pub(crate) id: QueueId,
    pub(crate) return_path: String,
    pub(crate) facts: Dictionary,
    pub(crate) recipients: Vec<QueuedRecipient>,
    pub(crate) accepted: i64,
    pub(crate) priority: i8,
    pub(crate) source: Source,
}

pub(crate) fn check(new: &NewQueued) -> Result<()> {
    if new.recipients.is_empty() || new.recipients.len() > NewQueued::MAX_RECIPIENTS {
        return invalid("a message has 1 to 100,000 recipients");
    }
    Ok(())
}

/// `None` if `origin` has queued its message before.
pub(crate) fn enqueue(
    batch: &mut Batch<'_>,
    new: Accepted,
    origin: Option<Origin>,
) -> Result<Option<BodyId>> {
    if let Some(origin) = origin
        && is_delivered(batch.tx.db, NO_ACCOUNT, origin)?
    {
        return Ok(None);
    }
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
        priority: new.priority,
        body,
    };
    let settled = entry.recipients.iter().all(|recipient| due(recipient).is_none());
    let mut records = vec![Record::Enqueued { entry }];
    records.extend(origin.map(|origin| Record::QueuedBy { origin }));
    if settled {
        records.push(Record::Settled { id: new.id, steps: Vec::new(), ended: true });
    }
    batch.write(&records, intake.parts)?;
    Ok(Some(id))
}

/// Answers true when the entry left the queue.
pub(crate) fn settle(
    batch: &mut Batch<'_>,
    id: QueueId,
    steps: Vec<RecipientStep>,
) -> Result<bool> {
    let touched: BTreeSet<u32> = steps.iter().map(|step| step.recipient).collect();
    let states = apply_queue::states(batch.tx.db, id, &touched)?;
    let Some(mut states) = states else { return Err(StoreError::NotFound("queue entry")) };
    for step in &steps {
        match states.get_mut(&step.recipient) {
            Some(state) => state.take(&step.step),
            None => return invalid("there is no such recipient"),
        }
    }
    let all_settled = states.values().all(|state| state.due().is_none());
    let ended = all_settled && !apply_queue::others_wait(batch.tx.db, id, &touched)?;
    if !steps.is_empty() {
        batch.write(&[Record::Settled { id, steps, ended }], Vec::new())?;
    }
    Ok(ended)
}
