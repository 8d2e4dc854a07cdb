//! Decisions on messages: appending, flags, copying, moving, removing.

use std::collections::{BTreeSet, HashMap, HashSet};

use angarium_store::{
    AccountId, Appended, Copied, FlagBits, FlagOutcome, FlagPart, FlagUpdate, Flags, InternalDate,
    MailboxId, MailboxRecord, ModSeq, NumbersPatch, Origin, PopId, Result, StoreError, Transfer,
    Uid,
};

use super::{Intake, invalid, mailbox};
use crate::bodies::Source;
use crate::index::sweep;
use crate::record::{Arrival, Record};
use crate::writer::Batch;

/// A message to be appended, its body ready.
pub(crate) struct Incoming {
    pub(crate) source: Source,
    pub(crate) flags: Flags,
    pub(crate) internal_date: InternalDate,
    pub(crate) save_date: i64,
    pub(crate) uid: Option<Uid>,
    pub(crate) original_uid: Option<u32>,
    pub(crate) pop_id: Option<PopId>,
    pub(crate) origin: Option<Origin>,
}

pub(super) fn must_be_selectable(record: &MailboxRecord) -> Result<()> {
    if record.selectable { Ok(()) } else { invalid("a directory holds no messages") }
}

/// The UID after `uid`, refusing the last one so that there always is a next.
fn after(uid: Uid) -> Result<Uid> {
    match uid.0.checked_add(1) {
        Some(next) => Ok(Uid(next)),
        None => invalid("the UIDs of the mailbox are used up"),
    }
}

fn following(modseq: ModSeq) -> ModSeq {
    ModSeq(modseq.0 + 1)
}

pub(crate) fn is_delivered(
    db: &rusqlite::Connection,
    account: AccountId,
    origin: Origin,
) -> Result<bool> {
    let found = crate::index::one(
        db,
        "SELECT 1 FROM origins WHERE queue=?1 AND recipient=?2 AND account=?3",
        (origin.queue.0, origin.recipient, account.0),
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}

pub(crate) fn append(
    batch: &mut Batch<'_>,
    account: AccountId,
    id: MailboxId,
    messages: Vec<Incoming>,
) -> Result<(MailboxRecord, Vec<Appended>)> {
    let target = mailbox(batch, account, id)?;
    must_be_selectable(target)?;
    let (mut next, modseq) = (target.uid_next, following(target.highest_modseq));
    let own_from = target.own_uid(Uid(1));
    let mut origins = BTreeSet::new();
    let mut intake = Intake::new(batch);
    let mut arrivals = Vec::with_capacity(messages.len());
    let mut answer = Vec::with_capacity(messages.len());
    for message in messages {
        if let Some(origin) = message.origin
            && (!origins.insert(origin) || is_delivered(batch.tx.db, account, origin)?)
        {
            answer.push(Appended::Repeated);
            continue;
        }
        let uid = message.uid.unwrap_or(next.max(own_from));
        if uid == Uid(0) {
            return invalid("a UID is never 0");
        }
        if uid < next {
            return Err(StoreError::Exists("UID"));
        }
        next = after(uid)?;
        if message.pop_id.as_ref().is_some_and(|id| !NumbersPatch::is_pop_id(id)) {
            return invalid(NumbersPatch::POP_ID_FAULT);
        }
        arrivals.push(Arrival {
            uid,
            flags: message.flags,
            internal_date: message.internal_date,
            save_date: message.save_date,
            original_uid: message.original_uid.unwrap_or(uid.0),
            origin: message.origin,
            pop_id: message.pop_id,
            body: intake.take(batch, message.source)?,
        });
        answer.push(Appended::New(uid));
    }
    if !arrivals.is_empty() {
        let record = Record::Appended { account, mailbox: id, modseq, arrivals };
        batch.write(&[record], intake.parts)?;
    }
    Ok((mailbox(batch, account, id)?.clone(), answer))
}

pub(crate) fn change_flags(
    batch: &mut Batch<'_>,
    account: AccountId,
    id: MailboxId,
    update: &FlagUpdate,
) -> Result<FlagOutcome> {
    let modseq = following(mailbox(batch, account, id)?.highest_modseq);
    let mut outcome = FlagOutcome::default();
    let mut changed = Vec::new();
    for (uid, old, changed_at) in sweep::flags(batch.tx.db, id, &update.uids)? {
        if update.unchanged_since.is_some_and(|since| changed_at > since) {
            outcome.modified.push(uid);
            continue;
        }
        let flags = update.change.applied(&old, &update.flags);
        if !old.is_same(&flags) {
            outcome.changed.push((uid, flags.clone(), modseq));
            changed.push((uid, flags));
        }
    }
    if !changed.is_empty() {
        batch.write(&[Record::Flags { account, mailbox: id, modseq, changed }], Vec::new())?;
    }
    Ok(outcome)
}

/// New UIDs for messages that come into a mailbox.
pub(crate) fn pairs(uids: &[Uid], target: &MailboxRecord) -> Result<Vec<(Uid, Uid)>> {
    let mut next = target.own_uid(target.uid_next);
    let mut all = Vec::with_capacity(uids.len());
    for uid in uids {
        all.push((*uid, next));
        next = after(next)?;
    }
    Ok(all)
}

/// The records of a copy or move.
pub(crate) fn transfer_records(
    records: &mut Vec<Record>,
    account: AccountId,
    way: Transfer,
    source: &MailboxRecord,
    target: &MailboxRecord,
    pairs: &[(Uid, Uid)],
) {
    let Transfer { from, to, keep, save_date, .. } = way;
    if pairs.is_empty() {
        return;
    }
    let arrived = following(target.highest_modseq);
    records.push(Record::Copied {
        account,
        from,
        to,
        modseq: arrived,
        save_date,
        pairs: pairs.to_vec(),
    });
    if !keep {
        let last = if from == to { arrived } else { source.highest_modseq };
        let mut uids: Vec<Uid> = pairs.iter().map(|(uid, _)| *uid).collect();
        uids.sort_unstable();
        records.push(Record::Expunged { account, mailbox: from, modseq: following(last), uids });
    }
}

pub(crate) fn transfer(
    batch: &mut Batch<'_>,
    account: AccountId,
    way: Transfer,
    uids: &[Uid],
) -> Result<Copied> {
    let source = mailbox(batch, account, way.from)?.clone();
    let target = mailbox(batch, account, way.to)?.clone();
    must_be_selectable(&target)?;
    let found = sweep::flags(batch.tx.db, way.from, uids)?;
    let mut there: Vec<Uid> = found.iter().map(|(uid, ..)| *uid).collect();
    if !there.is_sorted_by(|a, b| a < b) {
        let mut seen = HashSet::new();
        there.retain(|uid| seen.insert(*uid));
    }
    let pairs = pairs(&there, &target)?;
    let mut records = Vec::new();
    transfer_records(&mut records, account, way, &source, &target, &pairs);
    let lost = flags_left_behind(&found, way.flags, &pairs);
    if !lost.is_empty() {
        let steps = if way.from == way.to && !way.keep { 3 } else { 2 };
        let modseq = ModSeq(target.highest_modseq.0 + steps);
        records.push(Record::Flags { account, mailbox: way.to, modseq, changed: lost });
    }
    if !records.is_empty() {
        batch.write(&records, Vec::new())?;
    }
    Ok(Copied { pairs })
}

/// The copies that lose flags on the way, with those they keep.
fn flags_left_behind(
    found: &[(Uid, Flags, ModSeq)],
    part: FlagPart,
    pairs: &[(Uid, Uid)],
) -> Vec<(Uid, Flags)> {
    if part == FlagPart::ALL {
        return Vec::new();
    }
    let short: HashMap<Uid, Flags> = found
        .iter()
        .map(|(uid, old, _)| (*uid, old, old.within(part)))
        .filter(|(_, old, kept)| !old.is_same(kept))
        .map(|(uid, _, kept)| (uid, kept))
        .collect();
    pairs.iter().filter_map(|(from, to)| Some((*to, short.get(from)?.clone()))).collect()
}

pub(crate) fn expunge(
    batch: &mut Batch<'_>,
    account: AccountId,
    id: MailboxId,
    uids: &[Uid],
    only_deleted: bool,
) -> Result<Vec<Uid>> {
    let modseq = following(mailbox(batch, account, id)?.highest_modseq);
    let there = sweep::flags(batch.tx.db, id, uids)?.into_iter();
    let going = there.filter(|(_, f, _)| !only_deleted || f.bits.contains(FlagBits::DELETED));
    let mut uids: Vec<Uid> = going.map(|(uid, ..)| uid).collect();
    uids.sort_unstable();
    uids.dedup();
    if !uids.is_empty() {
        let record = Record::Expunged { account, mailbox: id, modseq, uids: uids.clone() };
        batch.write(&[record], Vec::new())?;
    }
    Ok(uids)
}
