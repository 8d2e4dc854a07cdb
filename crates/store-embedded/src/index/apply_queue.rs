//! Applying records of the queue, and the packed rows of its entries.
//!
//! `queue.packed`: return path, facts, accepted, recipients as given, priority if it is not 0. `queue_states.packed`:
//! module, queue and state of a recipient that is not as given any more.

use std::collections::{BTreeMap, BTreeSet};

use angarium_store::timetable::{self, Standing};
use angarium_store::{
    BodyId, Change, QueueId, QueueName, QueuedMessage, QueuedRecipient, RecipientState,
    RecipientStep, Step, StoreError,
};
use bytes::Bytes;
use rusqlite::Connection;

use super::{Effect, IndexTx, Place, all, misfit, one, sql};
use crate::record::QueueEntry;
use crate::record::code::{Decoded, Get, Malformed, Put};

/// When a recipient is due; `None` when it is settled.
pub(crate) fn due(recipient: &QueuedRecipient) -> Option<i64> {
    match recipient.state {
        RecipientState::Waiting { not_before, .. } => Some(not_before),
        RecipientState::Done | RecipientState::Failed { .. } => None,
    }
}

/// Recipients of an entry up to which their states are found by reading the entry; with more,
/// each has a row of its own from the start, so that a step costs the same however many there are.
const FEW: usize = 64;

/// A recipient as it moves on.
pub(crate) struct Moving {
    module: String,
    queue: String,
    state: RecipientState,
}

impl Moving {
    /// Takes a step; what is settled stays so.
    pub(crate) fn take(&mut self, step: &Step) {
        if let Step::Rerouted { module, queue } = step
            && self.due().is_some()
        {
            self.module.clone_from(module);
            self.queue.clone_from(queue);
        }
        self.state.take(step);
    }

    pub(crate) fn due(&self) -> Option<i64> {
        match self.state {
            RecipientState::Waiting { not_before, .. } => Some(not_before),
            RecipientState::Done | RecipientState::Failed { .. } => None,
        }
    }

    fn standing(&self) -> Standing {
        let error = match &self.state {
            RecipientState::Waiting { last_error: error, .. } => {
                (!error.is_empty()).then(|| error.clone())
            }
            RecipientState::Done | RecipientState::Failed { .. } => None,
        };
        Standing { queue: QueueName::new(&self.module, &self.queue), due: self.due(), error }
    }
}

fn pack(entry: &QueueEntry) -> Vec<u8> {
    let mut put = Put::new();
    put.text(&entry.return_path);
    put.dictionary(&entry.facts);
    put.int(entry.accepted);
    put.list(&entry.recipients, Put::recipient);
    if entry.priority != 0 {
        put.int(i64::from(entry.priority));
    }
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
        priority: get.priority()?,
        body,
        size: 0,
        summary: Bytes::new(),
    };
    Ok(Packed { message })
}

fn pack_state(module: &str, queue: &str, state: &RecipientState) -> Vec<u8> {
    let mut put = Put::new();
    put.text(module);
    put.text(queue);
    put.state(state);
    put.bytes
}

/// These recipients of an entry as they stand; `None` if there is no such entry. Those it does
/// not have are left out.
pub(crate) fn states(
    db: &Connection,
    id: QueueId,
    wanted: &BTreeSet<u32>,
) -> Result<Option<BTreeMap<u32, Moving>>, StoreError> {
    let count: Option<u64> =
        one(db, "SELECT recipients FROM queue WHERE id=?1", [id.0], |row| row.get(0))?;
    let Some(count) = count else { return Ok(None) };
    let mut found = BTreeMap::new();
    if count > FEW as u64 {
        for index in wanted {
            let text = "SELECT packed FROM queue_states WHERE id=?1 AND recipient=?2";
            let packed: Option<Vec<u8>> = one(db, text, (id.0, *index), |row| row.get(0))?;
            let Some(packed) = packed else { continue };
            let mut get = Get::new(&packed);
            let moving = get
                .text()
                .and_then(|module| Ok(Moving { module, queue: get.text()?, state: get.state()? }));
            found.insert(*index, moving.map_err(|_| misfit("an unreadable recipient"))?);
        }
        let known = |index: &&u32| u64::from(**index) < count;
        if found.len() == wanted.iter().filter(known).count() {
            return Ok(Some(found));
        }
    }
    let Some(entry) = entry(db, id)? else { return Ok(None) };
    for (index, recipient) in (0u32..).zip(entry.message.recipients) {
        if wanted.contains(&index) {
            let QueuedRecipient { module, queue, state, .. } = recipient;
            found.insert(index, Moving { module, queue, state });
        }
    }
    Ok(Some(found))
}

/// Gives a large entry that an older version wrote a row for each recipient.
pub(crate) fn complete(db: &Connection, message: &QueuedMessage) -> Result<(), StoreError> {
    if message.recipients.len() <= FEW {
        return Ok(());
    }
    let text = "SELECT count(*) FROM queue_states WHERE id=?1";
    let rows: Option<u64> = one(db, text, [message.id.0], |row| row.get(0))?;
    if rows == Some(message.recipients.len() as u64) {
        return Ok(());
    }
    db.execute_batch("SAVEPOINT complete").map_err(sql)?;
    for (index, r) in (0u32..).zip(&message.recipients) {
        let packed = pack_state(&r.module, &r.queue, &r.state);
        db.prepare_cached("INSERT OR IGNORE INTO queue_states VALUES(?1,?2,?3,?4)")
            .and_then(|mut s| s.execute((message.id.0, index, due(r).is_none(), packed)))
            .map_err(sql)?;
    }
    db.execute_batch("RELEASE complete").map_err(sql)
}

/// Whether a recipient that is not among these is still waiting.
pub(crate) fn others_wait(
    db: &Connection,
    id: QueueId,
    these: &BTreeSet<u32>,
) -> Result<bool, StoreError> {
    let small = "SELECT 1 FROM queue WHERE id=?1 AND recipients<=?2";
    if one(db, small, (id.0, FEW as u64), |_| Ok(()))?.is_some() {
        let Some(entry) = entry(db, id)? else { return Ok(false) };
        return Ok((0u32..)
            .zip(&entry.message.recipients)
            .any(|(index, recipient)| due(recipient).is_some() && !these.contains(&index)));
    }
    // The index of those that wait is walked no further than these go.
    let text = "SELECT recipient FROM queue_states WHERE id=?1 AND ended=0 LIMIT ?2";
    let open = all(db, text, (id.0, these.len() as u64 + 1), |row| row.get::<_, u32>(0))?;
    Ok(open.iter().any(|index| !these.contains(index)))
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
        let first = entry.recipients.iter().filter_map(due).min();
        let many = entry.recipients.len() > FEW;
        for (index, r) in (0u32..).zip(&entry.recipients) {
            if many || due(r).is_none() {
                let packed = pack_state(&r.module, &r.queue, &r.state);
                self.put_state(entry.id, index, due(r).is_none(), packed)?;
            }
        }
        let kept = timetable::Entry {
            place: self.hot.shard,
            accepted: entry.accepted,
            size: entry.body.size(),
            priority: entry.priority,
            recipients: entry.recipients.iter().map(Standing::of).collect(),
        };
        self.effects.push(Effect::Queued { id: entry.id, entry: kept });
        if let Some(not_before) = first {
            self.tell(|| Change::Queued { id: entry.id, not_before });
        }
        Ok(())
    }

    fn put_state(
        &mut self,
        id: QueueId,
        index: u32,
        ended: bool,
        packed: Vec<u8>,
    ) -> Result<(), StoreError> {
        let text = "INSERT OR REPLACE INTO queue_states VALUES(?1,?2,?3,?4)";
        self.run(text, (id.0, index, ended, packed)).map(drop)
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
        let touched: BTreeSet<u32> = steps.iter().map(|step| step.recipient).collect();
        let states = states(self.db, id, &touched)?;
        let mut states = states.ok_or_else(|| misfit("a step of no queue entry"))?;
        for step in steps {
            let state =
                states.get_mut(&step.recipient).ok_or_else(|| misfit("a step of no recipient"))?;
            state.take(&step.step);
        }
        for (index, moving) in &states {
            let packed = pack_state(&moving.module, &moving.queue, &moving.state);
            self.put_state(id, *index, moving.due().is_none(), packed)?;
        }
        let next = states.values().filter_map(Moving::due).min();
        let standings = states.iter().map(|(index, moving)| (*index, moving.standing())).collect();
        self.effects.push(Effect::Rescheduled { id, standings });
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
