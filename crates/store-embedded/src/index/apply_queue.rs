//! Applying records of the queue, and the packed rows of its entries.
//!
//! `queue.packed`: return path, facts, accepted, recipients as given. `queue_states.packed`:
//! module, queue and state of a recipient that is not as given any more.

use std::collections::BTreeMap;

use angarium_store::{
    BodyId, Change, QueueId, QueuedMessage, QueuedRecipient, RecipientState, RecipientStep, Step,
    StoreError,
};
use bytes::Bytes;
use rusqlite::Connection;

use super::{Effect, IndexTx, Place, all, misfit, one};
use crate::record::QueueEntry;
use crate::record::code::{Decoded, Get, Malformed, Put};

/// When a recipient is due; `None` when it is settled.
pub(crate) fn due(recipient: &QueuedRecipient) -> Option<i64> {
    match recipient.state {
        RecipientState::Waiting { not_before, .. } => Some(not_before),
        RecipientState::Done | RecipientState::Failed { .. } => None,
    }
}

/// Takes a step with a recipient that is still waiting; what is settled stays so.
pub(crate) fn take_step(recipient: &mut QueuedRecipient, step: &Step) {
    let RecipientState::Waiting { attempts, .. } = recipient.state else { return };
    match step {
        Step::Done => recipient.state = RecipientState::Done,
        Step::Failed { error } => {
            recipient.state = RecipientState::Failed { error: error.clone() };
        }
        Step::Retry { not_before, error } => {
            recipient.state = RecipientState::Waiting {
                not_before: *not_before,
                attempts: attempts.saturating_add(1),
                last_error: error.clone(),
            };
        }
        // It was due when it was leased, so it is due at once.
        Step::Rerouted { module, queue } => {
            recipient.module.clone_from(module);
            recipient.queue.clone_from(queue);
        }
    }
}

fn pack(entry: &QueueEntry) -> Vec<u8> {
    let mut put = Put::new();
    put.text(&entry.return_path);
    put.dictionary(&entry.facts);
    put.int(entry.accepted);
    put.list(&entry.recipients, Put::recipient);
    put.bytes
}

/// An entry without its body's size and summary, which are the home shard's to tell.
pub(crate) struct Packed {
    pub(crate) message: QueuedMessage,
}

fn unpack(id: QueueId, body: BodyId, packed: &[u8]) -> Decoded<Packed> {
    let mut get = Get::new(packed);
    let message = QueuedMessage {
        id,
        return_path: get.text()?,
        facts: get.dictionary()?,
        accepted: get.int()?,
        recipients: get.list(Get::recipient)?,
        body,
        size: 0,
        summary: Bytes::new(),
    };
    Ok(Packed { message })
}

fn pack_state(recipient: &QueuedRecipient) -> Vec<u8> {
    let mut put = Put::new();
    put.text(&recipient.module);
    put.text(&recipient.queue);
    put.state(&recipient.state);
    put.bytes
}

fn unpack_state(packed: &[u8], recipient: &mut QueuedRecipient) -> Decoded<()> {
    let mut get = Get::new(packed);
    recipient.module = get.text()?;
    recipient.queue = get.text()?;
    recipient.state = get.state()?;
    Ok(())
}

/// An entry with its recipients as they stand.
pub(crate) fn entry(db: &Connection, id: QueueId) -> Result<Option<Packed>, StoreError> {
    let found = one(db, "SELECT body, packed FROM queue WHERE id=?1", [id.0], |row| {
        Ok(unpack(id, BodyId(row.get(0)?), row.get_ref(1)?.as_blob()?))
    })?;
    let Some(found) = found else { return Ok(None) };
    let mut packed = found.map_err(|_| misfit("an unreadable queue entry"))?;
    let states =
        all(db, "SELECT recipient, packed FROM queue_states WHERE id=?1", [id.0], |row| {
            Ok((row.get::<_, u32>(0)?, row.get::<_, Vec<u8>>(1)?))
        })?;
    for (index, state) in states {
        packed
            .message
            .recipients
            .get_mut(index as usize)
            .ok_or(Malformed)
            .and_then(|recipient| unpack_state(&state, recipient))
            .map_err(|_| misfit("an unreadable recipient"))?;
    }
    Ok(Some(packed))
}

/// All entries' ids.
pub(crate) fn ids(db: &Connection) -> Result<Vec<QueueId>, StoreError> {
    all(db, "SELECT id FROM queue ORDER BY id", [], |row| row.get(0).map(QueueId))
}

impl IndexTx<'_> {
    pub(crate) fn enqueued(
        &mut self,
        entry: &QueueEntry,
        place: &Place<'_>,
    ) -> Result<(), StoreError> {
        self.refer(&entry.body, place)?;
        self.run(
            "INSERT INTO queue VALUES(?1,?2,?3,?4)",
            (entry.id.0, entry.body.id().0, entry.recipients.len() as u64, pack(entry)),
        )?;
        let below = &mut self.hot.counters.queue_ids_below;
        *below = (*below).max(entry.id.0.saturating_add(1));
        let due: Vec<Option<i64>> = entry.recipients.iter().map(due).collect();
        let first = due.iter().flatten().min().copied();
        for (index, recipient) in (0u32..).zip(&entry.recipients) {
            if !matches!(recipient.state, RecipientState::Waiting { .. }) {
                self.put_state(entry.id, index, recipient)?;
            }
        }
        self.effects.push(Effect::Queued { id: entry.id, due });
        if let Some(not_before) = first {
            self.tell(|| Change::Queued { id: entry.id, not_before });
        }
        Ok(())
    }

    fn put_state(
        &mut self,
        id: QueueId,
        index: u32,
        recipient: &QueuedRecipient,
    ) -> Result<(), StoreError> {
        let ended = due(recipient).is_none();
        self.run(
            "INSERT OR REPLACE INTO queue_states VALUES(?1,?2,?3,?4)",
            (id.0, index, ended, pack_state(recipient)),
        )
        .map(drop)
    }

    pub(crate) fn settled(
        &mut self,
        id: QueueId,
        steps: &[RecipientStep],
        ended: bool,
    ) -> Result<(), StoreError> {
        if ended {
            return self.unqueue(id);
        }
        let entry = entry(self.db, id)?.ok_or_else(|| misfit("a step of no queue entry"))?;
        let mut recipients = entry.message.recipients;
        let mut touched: BTreeMap<u32, Option<i64>> = BTreeMap::new();
        for step in steps {
            let recipient = recipients
                .get_mut(step.recipient as usize)
                .ok_or_else(|| misfit("a step of no recipient"))?;
            take_step(recipient, &step.step);
            touched.insert(step.recipient, due(recipient));
        }
        for index in touched.keys() {
            if let Some(recipient) = recipients.get(*index as usize) {
                self.put_state(id, *index, recipient)?;
            }
        }
        let next = touched.values().flatten().min().copied();
        self.effects.push(Effect::Rescheduled { id, due: touched.into_iter().collect() });
        if let Some(not_before) = next {
            self.tell(|| Change::Queued { id, not_before });
        }
        Ok(())
    }

    fn unqueue(&mut self, id: QueueId) -> Result<(), StoreError> {
        let body: Option<u64> =
            self.one("DELETE FROM queue WHERE id=?1 RETURNING body", [id.0], |row| row.get(0))?;
        let body = body.ok_or_else(|| misfit("the end of no queue entry"))?;
        self.run("DELETE FROM queue_states WHERE id=?1", [id.0])?;
        self.drop_reference(BodyId(body))?;
        self.effects.push(Effect::Unqueued { id });
        Ok(())
    }
}
