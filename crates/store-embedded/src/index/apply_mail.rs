//! Applying records of mailboxes and messages.

use angarium_store::{
    AccountId, Change, FlagBits, Flags, MailboxId, MailboxRecord, MessageEntry, ModSeq, Origin,
    PopId, QueueId, StoreError, Uid,
};

use super::mail_rows;
use super::sweep;
use super::{HotMailbox, IndexTx, Place, misfit};
use crate::decide::queue::NO_ACCOUNT;
use crate::record::code::Put;
use crate::record::{Arrival, Record};

/// More rows of vanished UIDs than this in a mailbox are drawn together.
const VANISHED_ROWS: u64 = 1000;

/// Mailbox ids carry their shard above this bit.
pub(crate) const MAILBOX_SHARD_BIT: u32 = 48;

/// Validities above this, given by an import, do not move the ones that are chosen.
const HIGHEST_CHOSEN_VALIDITY: u32 = 0xF000_0000;

fn count(record: &mut MailboxRecord, flags: FlagBits, size: u64, in_it: bool) {
    let change = |n: &mut u32, by: bool| {
        if by {
            *n = if in_it { n.saturating_add(1) } else { n.saturating_sub(1) };
        }
    };
    change(&mut record.messages, true);
    change(&mut record.unseen, !flags.contains(FlagBits::SEEN));
    change(&mut record.deleted, flags.contains(FlagBits::DELETED));
    record.size =
        if in_it { record.size.saturating_add(size) } else { record.size.saturating_sub(size) };
}

impl IndexTx<'_> {
    /// A mailbox of any account, from memory or from its row.
    pub(crate) fn hot_mailbox(
        &mut self,
        id: MailboxId,
    ) -> Result<Option<&mut HotMailbox>, StoreError> {
        if !self.hot.mailboxes.contains_key(&id) {
            let Some((account, record)) = mail_rows::mailbox(self.db, id)? else {
                return Ok(None);
            };
            self.hot.mailboxes.insert(id, HotMailbox { account, record, dirty: false });
        }
        Ok(self.hot.mailboxes.get_mut(&id))
    }

    fn mailbox_to_change(
        &mut self,
        account: AccountId,
        id: MailboxId,
    ) -> Result<&mut MailboxRecord, StoreError> {
        match self.hot_mailbox(id)? {
            Some(hot) if hot.account == account => {
                hot.dirty = true;
                Ok(&mut hot.record)
            }
            _ => Err(misfit("a record about a mailbox that is not there")),
        }
    }

    pub(crate) fn account_made(&mut self, account: AccountId) -> Result<(), StoreError> {
        self.run("INSERT OR IGNORE INTO mail_accounts VALUES(?1, 0)", [account.0]).map(drop)
    }

    pub(crate) fn account_purged(&mut self, account: AccountId) -> Result<(), StoreError> {
        self.flush()?;
        let removed: Vec<MailboxId> =
            mail_rows::mailboxes(self.db, account)?.into_iter().map(|m| m.id).collect();
        for id in &removed {
            self.remove_mailbox(*id)?;
        }
        self.files_purged(account)?;
        self.run("DELETE FROM origins WHERE account=?1", [account.0])?;
        self.run("DELETE FROM mail_accounts WHERE id=?1", [account.0])?;
        self.tell(|| Change::Mailboxes { account, removed, changed: Vec::new() });
        Ok(())
    }

    /// Removes a mailbox with its messages.
    fn remove_mailbox(&mut self, id: MailboxId) -> Result<(), StoreError> {
        let entries = mail_rows::messages(self.db, id, ModSeq(0), 0)?;
        self.drop_references(entries.into_iter().map(|entry| entry.body).collect())?;
        self.run("DELETE FROM messages WHERE mailbox=?1", [id.0])?;
        self.run("DELETE FROM vanished WHERE mailbox=?1", [id.0])?;
        self.run("DELETE FROM mailboxes WHERE id=?1", [id.0])?;
        self.hot.mailboxes.remove(&id);
        Ok(())
    }

    pub(crate) fn mailboxes_put(
        &mut self,
        account: AccountId,
        removed: &[MailboxId],
        put: &[MailboxRecord],
    ) -> Result<(), StoreError> {
        for id in removed {
            self.remove_mailbox(*id)?;
        }
        for record in put {
            // Of UIDs of another validity nothing is known.
            self.run(
                "DELETE FROM vanished WHERE mailbox=?1 AND EXISTS(
                   SELECT 1 FROM mailboxes WHERE id=?1 AND uid_validity<>?2)",
                (record.id.0, record.uid_validity.0),
            )?;
            mail_rows::put_mailbox(self.db, account, record)?;
            let hot = HotMailbox { account, record: record.clone(), dirty: false };
            self.hot.mailboxes.insert(record.id, hot);
            let number = record.id.0 & ((1 << MAILBOX_SHARD_BIT) - 1);
            let next = &mut self.hot.counters.next_mailbox;
            *next = (*next).max(number + 1);
        }
        let highest =
            put.iter().map(|m| m.uid_validity.0).filter(|v| *v <= HIGHEST_CHOSEN_VALIDITY);
        if let Some(highest) = highest.max() {
            self.run(
                "UPDATE mail_accounts SET validity=max(validity, ?2) WHERE id=?1",
                (account.0, highest),
            )?;
        }
        self.tell(|| Change::Mailboxes {
            account,
            removed: removed.to_vec(),
            changed: put.to_vec(),
        });
        Ok(())
    }

    pub(crate) fn recent(
        &mut self,
        account: AccountId,
        mailbox: MailboxId,
        first: Uid,
    ) -> Result<(), StoreError> {
        let record = self.mailbox_to_change(account, mailbox)?;
        record.first_recent = record.first_recent.max(first);
        let changed = record.clone();
        self.tell(|| Change::Mailboxes { account, removed: Vec::new(), changed: vec![changed] });
        Ok(())
    }

    pub(crate) fn appended(
        &mut self,
        account: AccountId,
        mailbox: MailboxId,
        modseq: ModSeq,
        arrivals: &[Arrival],
        place: &Place<'_>,
    ) -> Result<(), StoreError> {
        let mut entries = Vec::with_capacity(arrivals.len());
        for arrival in arrivals {
            self.refer(&arrival.body, place)?;
            let entry = MessageEntry {
                uid: arrival.uid,
                flags: arrival.flags.clone(),
                modseq,
                internal_date: arrival.internal_date,
                save_date: arrival.save_date,
                size: arrival.body.size(),
                body: arrival.body.id(),
                digest: arrival.body.digest(),
                original_uid: arrival.original_uid,
                pop_id: arrival.pop_id.clone(),
            };
            if let Some(origin) = arrival.origin {
                self.run(
                    "INSERT OR IGNORE INTO origins VALUES(?1,?2,?3)",
                    (origin.queue.0, origin.recipient, account.0),
                )?;
            }
            entries.push(entry);
        }
        mail_rows::put_messages(self.db, mailbox, &entries)?;
        self.came(account, mailbox, modseq, entries)
    }

    /// Counts messages that came into a mailbox and tells of them.
    fn came(
        &mut self,
        account: AccountId,
        mailbox: MailboxId,
        modseq: ModSeq,
        entries: Vec<MessageEntry>,
    ) -> Result<(), StoreError> {
        let record = self.mailbox_to_change(account, mailbox)?;
        for entry in &entries {
            record.uid_next = Uid(record.uid_next.0.max(entry.uid.0.saturating_add(1)));
            count(record, entry.flags.bits, entry.size, true);
        }
        record.highest_modseq = modseq;
        let mailbox = record.clone();
        self.tell(|| Change::Appended { account, mailbox, entries });
        Ok(())
    }

    pub(crate) fn pop_ids_given(
        &mut self,
        account: AccountId,
        mailbox: MailboxId,
        ids: &[(Uid, PopId)],
    ) -> Result<(), StoreError> {
        let uids: Vec<Uid> = ids.iter().map(|(uid, _)| *uid).collect();
        let mut entries = sweep::entries(self.db, mailbox, &uids)?;
        if entries.len() != ids.len() {
            return Err(misfit("an id of POP for no message"));
        }
        for (entry, (_, id)) in entries.iter_mut().zip(ids) {
            entry.pop_id = Some(id.clone());
        }
        mail_rows::update_packed(self.db, mailbox, &entries)?;
        self.tell(|| Change::PopIds { account, mailbox, ids: ids.to_vec() });
        Ok(())
    }

    pub(crate) fn flags_changed(
        &mut self,
        account: AccountId,
        mailbox: MailboxId,
        modseq: ModSeq,
        changed: &[(Uid, Flags)],
    ) -> Result<(), StoreError> {
        let (unseen, deleted) = self.set_flags(mailbox, modseq, changed)?;
        let record = self.mailbox_to_change(account, mailbox)?;
        record.unseen = record.unseen.saturating_sub(unseen);
        record.deleted = record.deleted.saturating_sub(deleted);
        for (_, flags) in changed {
            record.unseen += u32::from(!flags.bits.contains(FlagBits::SEEN));
            record.deleted += u32::from(flags.bits.contains(FlagBits::DELETED));
        }
        record.highest_modseq = modseq;
        let mailbox = record.clone();
        self.tell(|| {
            let changed =
                changed.iter().map(|(uid, flags)| (*uid, flags.clone(), modseq)).collect();
            Change::Flags { account, mailbox, changed }
        });
        Ok(())
    }

    pub(crate) fn copied(
        &mut self,
        account: AccountId,
        from: MailboxId,
        to: MailboxId,
        modseq: ModSeq,
        save_date: i64,
        pairs: &[(Uid, Uid)],
    ) -> Result<(), StoreError> {
        let entries = self.copies(from, modseq, save_date, pairs)?;
        self.add_references(entries.iter().map(|entry| entry.body))?;
        mail_rows::put_messages(self.db, to, &entries)?;
        self.came(account, to, modseq, entries)
    }

    /// The messages of a copy as they will be in the target.
    fn copies(
        &self,
        from: MailboxId,
        modseq: ModSeq,
        save_date: i64,
        pairs: &[(Uid, Uid)],
    ) -> Result<Vec<MessageEntry>, StoreError> {
        let sources: Vec<Uid> = pairs.iter().map(|(source, _)| *source).collect();
        let mut entries = sweep::entries(self.db, from, &sources)?;
        if entries.len() != pairs.len() {
            return Err(misfit("a copy of no message"));
        }
        for (entry, (_, target)) in entries.iter_mut().zip(pairs) {
            (entry.uid, entry.modseq, entry.save_date) = (*target, modseq, save_date);
        }
        Ok(entries)
    }

    /// A copy whose originals go in the same frame: each body has as many references after it as
    /// before.
    pub(crate) fn moved(&mut self, copy: &Record, removal: &Record) -> Result<bool, StoreError> {
        let (
            Record::Copied { account, from, to, modseq, save_date, pairs },
            Record::Expunged { mailbox, modseq: went, uids, .. },
        ) = (copy, removal)
        else {
            return Ok(false);
        };
        let same = from == mailbox
            && from != to
            && pairs.len() == uids.len()
            && pairs.iter().map(|(source, _)| source).eq(uids);
        if !same {
            return Ok(false);
        }
        let entries = self.copies(*from, *modseq, *save_date, pairs)?;
        mail_rows::put_messages(self.db, *to, &entries)?;
        self.remove_rows(*from, uids)?;
        let gone: Vec<(FlagBits, u64)> = entries.iter().map(|e| (e.flags.bits, e.size)).collect();
        self.came(*account, *to, *modseq, entries)?;
        self.went(*account, *from, *went, uids, &gone)?;
        Ok(true)
    }

    pub(crate) fn expunged(
        &mut self,
        account: AccountId,
        mailbox: MailboxId,
        modseq: ModSeq,
        uids: &[Uid],
    ) -> Result<(), StoreError> {
        let entries = sweep::entries(self.db, mailbox, uids)?;
        if entries.len() != uids.len() {
            return Err(misfit("an expunge of no message"));
        }
        self.remove_rows(mailbox, uids)?;
        self.drop_references(entries.iter().map(|entry| entry.body).collect())?;
        let gone: Vec<(FlagBits, u64)> = entries.iter().map(|e| (e.flags.bits, e.size)).collect();
        self.went(account, mailbox, modseq, uids, &gone)
    }

    /// Counts messages (flags and sizes) that went from a mailbox, remembers and tells it.
    fn went(
        &mut self,
        account: AccountId,
        mailbox: MailboxId,
        modseq: ModSeq,
        uids: &[Uid],
        messages: &[(FlagBits, u64)],
    ) -> Result<(), StoreError> {
        let mut gone = Put::new();
        gone.deltas(uids.iter().map(|uid| uid.0));
        self.run("INSERT INTO vanished VALUES(?1,?2,?3)", (mailbox.0, modseq.0, &gone.bytes))?;
        if modseq.0.is_multiple_of(VANISHED_ROWS / 2) {
            self.draw_vanished_together(mailbox)?;
        }
        let record = self.mailbox_to_change(account, mailbox)?;
        for (flags, size) in messages {
            count(record, *flags, *size, false);
        }
        record.highest_modseq = modseq;
        let record = record.clone();
        self.tell(|| Change::Expunged { account, mailbox: record, uids: uids.to_vec(), modseq });
        Ok(())
    }

    /// One row at the highest MODSEQ for the older half when there are too many: who asks from
    /// before it is told of UIDs that went before, which the contract allows.
    fn draw_vanished_together(&mut self, mailbox: MailboxId) -> Result<(), StoreError> {
        let rows: Vec<u64> = self.all(
            "SELECT modseq FROM vanished WHERE mailbox=?1 ORDER BY modseq",
            [mailbox.0],
            |row| row.get(0),
        )?;
        if (rows.len() as u64) <= VANISHED_ROWS {
            return Ok(());
        }
        let Some(limit) = rows.get(rows.len() / 2).copied() else { return Ok(()) };
        let after = mail_rows::vanished(self.db, mailbox, ModSeq(limit))?;
        let all = mail_rows::vanished(self.db, mailbox, ModSeq(0))?;
        let older = all.into_iter().filter(|uid| after.binary_search(uid).is_err());
        let mut put = Put::new();
        put.deltas(older.map(|uid| uid.0).collect::<Vec<_>>().into_iter());
        self.run("DELETE FROM vanished WHERE mailbox=?1 AND modseq<=?2", (mailbox.0, limit))?;
        self.run("INSERT INTO vanished VALUES(?1,?2,?3)", (mailbox.0, limit, &put.bytes)).map(drop)
    }

    pub(crate) fn queued_by(&mut self, origin: Origin) -> Result<(), StoreError> {
        self.run(
            "INSERT OR IGNORE INTO origins VALUES(?1,?2,?3)",
            (origin.queue.0, origin.recipient, NO_ACCOUNT.0),
        )
        .map(drop)
    }

    pub(crate) fn origins_forgotten(&mut self, queues: &[QueueId]) -> Result<(), StoreError> {
        for queue in queues {
            self.run("DELETE FROM origins WHERE queue=?1", [queue.0])?;
        }
        Ok(())
    }
}
