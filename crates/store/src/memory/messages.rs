//! The messages of one mailbox in memory: appending, flags, copying, moving, removing.

use std::collections::{BTreeMap, BTreeSet};

use super::bodies::HeldBodies;
use super::invalid;
use super::mailboxes::Mail;
use crate::error::{Result, StoreError};
use crate::feed::Change;
use crate::flags::FlagBits;
use crate::ids::{AccountId, MailboxId, ModSeq, Uid, UidValidity};
use crate::mailboxes::{
    Appended, Changes, Copied, FlagOutcome, FlagUpdate, MailboxRecord, Transfer,
};
use crate::message::{MessageEntry, NewMessage};
use crate::numbers::{NumbersPatch, PopId};

/// One mailbox.
pub(super) struct Mailbox {
    /// Everything but the counters, which [`Mailbox::record`] counts.
    pub(super) facts: MailboxRecord,
    pub(super) entries: BTreeMap<Uid, MessageEntry>,
    /// What went away, and when.
    vanished: Vec<(ModSeq, Uid)>,
}

impl Mailbox {
    pub(super) fn new(id: MailboxId, name: &str, selectable: bool, validity: UidValidity) -> Self {
        let facts = MailboxRecord::new(id, name, selectable, validity);
        Self { facts, entries: BTreeMap::new(), vanished: Vec::new() }
    }

    pub(super) fn record(&self) -> MailboxRecord {
        let count = |wanted: &dyn Fn(&MessageEntry) -> bool| {
            u32::try_from(self.entries.values().filter(|e| wanted(e)).count()).unwrap_or(u32::MAX)
        };
        MailboxRecord {
            messages: count(&|_| true),
            unseen: count(&|entry| !entry.flags.bits.contains(FlagBits::SEEN)),
            deleted: count(&|entry| entry.flags.bits.contains(FlagBits::DELETED)),
            size: self.entries.values().map(|entry| entry.size).sum(),
            ..self.facts.clone()
        }
    }

    /// The MODSEQ of the change that is being made: one for all it changes in this mailbox.
    fn next_modseq(&mut self) -> ModSeq {
        self.facts.highest_modseq.0 += 1;
        self.facts.highest_modseq
    }

    pub(super) fn changes(&self, since: ModSeq) -> Changes {
        let changed = self.entries.values().filter(|entry| entry.modseq > since).cloned();
        let vanished = self.vanished.iter().filter(|(when, _)| *when > since).map(|(_, uid)| *uid);
        let vanished: BTreeSet<Uid> = vanished.collect();
        Changes { changed: changed.collect(), vanished: vanished.into_iter().collect() }
    }

    pub(super) fn change_flags(&mut self, update: &FlagUpdate) -> FlagOutcome {
        let mut outcome = FlagOutcome::default();
        let modseq = ModSeq(self.facts.highest_modseq.0 + 1);
        for uid in &update.uids {
            let Some(entry) = self.entries.get_mut(uid) else { continue };
            if update.unchanged_since.is_some_and(|since| entry.modseq > since) {
                outcome.modified.push(*uid);
                continue;
            }
            let flags = update.change.applied(&entry.flags, &update.flags);
            if !entry.flags.is_same(&flags) {
                entry.flags = flags.clone();
                entry.modseq = modseq;
                outcome.changed.push((*uid, flags, modseq));
            }
        }
        if !outcome.changed.is_empty() {
            self.next_modseq();
        }
        outcome
    }

    /// Keeps numbers of another server; answers the messages that got a unique id of POP.
    pub(super) fn keep_numbers(&mut self, patch: &NumbersPatch) -> Result<Vec<(Uid, PopId)>> {
        self.must_be_selectable()?;
        let messages = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        if let Some(fault) = patch.fault(self.facts.uid_validity, messages) {
            return invalid(fault);
        }
        let facts = patch.applied(&self.facts);
        if facts.uid_validity != self.facts.uid_validity {
            self.vanished.clear();
        }
        self.facts = facts;
        let mut given = BTreeMap::new();
        for (uid, id) in &patch.pop_ids {
            if let Some(entry) = self.entries.get_mut(uid) {
                entry.pop_id = Some(id.clone());
                given.insert(*uid, id.clone());
            }
        }
        Ok(given.into_iter().collect())
    }

    pub(super) fn expunge(
        &mut self,
        bodies: &mut HeldBodies,
        uids: &[Uid],
        only_deleted: bool,
    ) -> Vec<Uid> {
        let goes = |uid: &&Uid| {
            self.entries
                .get(uid)
                .is_some_and(|entry| !only_deleted || entry.flags.bits.contains(FlagBits::DELETED))
        };
        let gone: BTreeSet<Uid> = uids.iter().filter(goes).copied().collect();
        if !gone.is_empty() {
            let modseq = self.next_modseq();
            for uid in &gone {
                if let Some(entry) = self.entries.remove(uid) {
                    bodies.release(entry.body);
                }
                self.vanished.push((modseq, *uid));
            }
        }
        gone.into_iter().collect()
    }

    fn must_be_selectable(&self) -> Result<()> {
        if self.facts.selectable { Ok(()) } else { invalid("a directory holds no messages") }
    }

    /// The UID after `uid`, refusing the last one so that there always is a next.
    fn after(uid: Uid) -> Result<Uid> {
        match uid.0.checked_add(1) {
            Some(next) => Ok(Uid(next)),
            None => invalid("the UIDs of the mailbox are used up"),
        }
    }
}

/// Puts messages in, all or none.
pub(super) fn append(
    mail: &mut Mail,
    bodies: &mut HeldBodies,
    told: &mut Vec<Change>,
    account: AccountId,
    mailbox: MailboxId,
    new: Vec<NewMessage>,
) -> Result<(MailboxRecord, Vec<Appended>)> {
    let target = mail.get(mailbox)?;
    target.must_be_selectable()?;
    let mut next = target.facts.uid_next;
    let mut origins = BTreeSet::new();
    let mut taken = Vec::new();
    let mut answer = Vec::new();
    for mut message in new {
        if let Some(origin) = message.origin
            && (mail.delivered.contains(&origin) || !origins.insert(origin))
        {
            answer.push(Appended::Repeated);
            continue;
        }
        let uid = message.uid.unwrap_or_else(|| target.facts.own_uid(next));
        if uid == Uid(0) {
            return invalid("a UID is never 0");
        }
        if uid < next {
            return Err(StoreError::Exists("UID"));
        }
        next = Mailbox::after(uid)?;
        if message.pop_id.as_ref().is_some_and(|id| !NumbersPatch::is_pop_id(id)) {
            return invalid(NumbersPatch::POP_ID_FAULT);
        }
        let summary = std::mem::take(&mut message.summary);
        taken.push((uid, bodies.check(message.body.clone(), summary)?, message));
        answer.push(Appended::New(uid));
    }
    mail.delivered.extend(origins);
    let target = mail.get_mut(mailbox)?;
    if taken.is_empty() {
        return Ok((target.record(), answer));
    }
    let modseq = target.next_modseq();
    target.facts.uid_next = next;
    let mut entries = Vec::new();
    for (uid, source, message) in taken {
        let held = bodies.hold(source)?;
        let entry = MessageEntry {
            uid,
            flags: message.flags,
            modseq,
            internal_date: message.internal_date,
            save_date: message.save_date,
            size: held.size,
            body: held.id,
            digest: held.digest,
            original_uid: message.original_uid.unwrap_or(uid.0),
            pop_id: message.pop_id,
        };
        target.entries.insert(uid, entry.clone());
        entries.push(entry);
    }
    let record = target.record();
    told.push(Change::Appended { account, mailbox: record.clone(), entries });
    Ok((record, answer))
}

/// Copies or moves messages inside an account.
pub(super) fn transfer(
    mail: &mut Mail,
    bodies: &mut HeldBodies,
    told: &mut Vec<Change>,
    (account, way): (AccountId, Transfer),
    uids: &[Uid],
) -> Result<Copied> {
    let Transfer { from, to, keep, flags, save_date } = way;
    let source = mail.get(from)?;
    let mut seen = BTreeSet::new();
    let sources: Vec<MessageEntry> = uids
        .iter()
        .filter(|uid| seen.insert(**uid))
        .filter_map(|uid| source.entries.get(uid).cloned())
        .collect();
    let target = mail.get_mut(to)?;
    target.must_be_selectable()?;
    let mut next = target.facts.own_uid(target.facts.uid_next);
    let mut pairs = Vec::new();
    for entry in &sources {
        pairs.push((entry.uid, next));
        next = Mailbox::after(next)?;
    }
    if pairs.is_empty() {
        return Ok(Copied { pairs });
    }
    let modseq = target.next_modseq();
    target.facts.uid_next = next;
    let mut entries = Vec::new();
    for (entry, (_, uid)) in sources.into_iter().zip(&pairs) {
        bodies.hold(super::bodies::Source::Existing(entry.body))?;
        let flags = entry.flags.within(flags);
        let copy = MessageEntry { uid: *uid, modseq, save_date, flags, ..entry };
        target.entries.insert(*uid, copy.clone());
        entries.push(copy);
    }
    told.push(Change::Appended { account, mailbox: target.record(), entries });
    if !keep {
        let source = mail.get_mut(from)?;
        let moved: Vec<Uid> = pairs.iter().map(|(uid, _)| *uid).collect();
        let uids = source.expunge(bodies, &moved, false);
        let mailbox = source.record();
        let modseq = mailbox.highest_modseq;
        told.push(Change::Expunged { account, mailbox, uids, modseq });
    }
    Ok(Copied { pairs })
}
