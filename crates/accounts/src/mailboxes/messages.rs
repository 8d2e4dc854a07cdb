//! What an actor does with messages of open mailboxes: putting in, copying, moving, changing
//! flags, removing, each with rights and quota. It must never know sequence numbers.

use std::collections::HashSet;

use angarium_store::{
    Appended, FlagBits, FlagChange, FlagOutcome, FlagPart, FlagUpdate, Flags, MailboxRecord,
    MessageBody, NewMessage, StoreError, Transfer, Uid, UidValidity,
};
use bytes::Bytes;

use super::account::{MailAccount, Opened, Target};
use super::error::MailError;
use super::facts::Owner;
use super::rights::MailRights;

/// Times a copy is tried whose messages go away meanwhile.
const COPY_ATTEMPTS: usize = 16;

/// What became of messages put into a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transferred {
    /// Validity of the UIDs in the target.
    pub uid_validity: UidValidity,
    /// Source UID (0 for new messages) and UID in the target, in the order of the sources.
    pub pairs: Vec<(Uid, Uid)>,
}

/// The octets of a message to be put in.
pub(super) fn size_of(message: &NewMessage) -> u64 {
    match &message.body {
        MessageBody::Bytes(bytes) => bytes.len() as u64,
        MessageBody::Staged(staged) => staged.size,
        MessageBody::Existing(_) => 0,
    }
}

/// The flags of `wanted` that the rights let somebody set.
pub(super) fn permitted(wanted: &Flags, rights: MailRights) -> Flags {
    wanted.within(changeable(rights))
}

/// Which flags the rights let somebody change; those that go with a copy too (RFC 4314 section 4).
fn changeable(rights: MailRights) -> FlagPart {
    if rights == MailRights::ALL {
        return FlagPart::ALL;
    }
    let special = FlagBits::SEEN.union(FlagBits::DELETED).union(FlagBits::KEPT_BACK);
    let mut bits = FlagBits(0);
    if rights.can(MailRights::SEEN) {
        bits = bits.union(FlagBits::SEEN);
    }
    if rights.can(MailRights::DELETE_MESSAGES) {
        bits = bits.union(FlagBits::DELETED);
    }
    if rights.can(MailRights::WRITE) {
        bits = bits.union(FlagBits(u32::MAX).without(special));
    }
    // Nobody makes a message disappear from his own view: it could not be brought back.
    if rights.can(MailRights::WRITE.with(MailRights::ADMIN)) {
        bits = bits.union(FlagBits::KEPT_BACK);
    }
    FlagPart { bits, keywords: rights.can(MailRights::WRITE) }
}

impl MailAccount {
    /// Checks that `added` octets fit into the owner's account.
    pub(super) async fn check_room(&self, owner: &Owner, added: u64) -> Result<(), MailError> {
        let limits = self.accounts.mail_limits(owner.id).await?;
        let Some(most) = limits.size else { return Ok(()) };
        let (used, _) = self.accounts.store().mailboxes.usage(owner.id).await?;
        if used.saturating_add(added) > most { Err(MailError::OverQuota) } else { Ok(()) }
    }

    /// Largest message that may be put into a target's account, if there is a limit.
    ///
    /// # Errors
    /// As [`MailAccount::append_target`].
    pub async fn append_limit(&self, target: &Target) -> Result<Option<u64>, MailError> {
        let limits = self.accounts.mail_limits(target.owner.id).await?;
        Ok(match (limits.message, limits.size) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        })
    }

    /// Where an append would go, checked before the messages are taken.
    ///
    /// # Errors
    /// `NotFound`, `NotSelectable`, `NoPermission`, `Name`, or what the store says.
    pub async fn append_target(
        &self,
        name: &str,
    ) -> Result<(Target, MailboxRecord, MailRights), MailError> {
        let target = self.target(name).await?;
        let (record, rights) = self.find_with(&target, MailRights::INSERT).await?;
        if !record.selectable {
            return Err(MailError::NotSelectable);
        }
        Ok((target, record, rights))
    }

    /// Puts messages in, all or none. Flags the actor may not set are left out.
    ///
    /// # Errors
    /// As [`MailAccount::append_target`], `OverQuota`, `TooLarge`.
    pub async fn append(
        &self,
        name: &str,
        messages: Vec<NewMessage>,
    ) -> Result<Transferred, MailError> {
        self.append_after(name, None, messages).await
    }

    /// As [`MailAccount::append`], unless the mailbox has gone another way than whoever sends many
    /// one after another thinks: `after` must be the UID before the one it would give next.
    ///
    /// # Errors
    /// As [`MailAccount::append`]; `OutOfTurn`.
    pub async fn append_after(
        &self,
        name: &str,
        after: Option<Uid>,
        mut messages: Vec<NewMessage>,
    ) -> Result<Transferred, MailError> {
        let (target, record, rights) = self.append_target(name).await?;
        if after.is_some_and(|after| after.0.checked_add(1) != Some(record.uid_next.0)) {
            return Err(MailError::OutOfTurn);
        }
        self.check_numbers(&target.owner, &messages).await?;
        if let Some(most) = self.append_limit(&target).await?
            && messages.iter().any(|m| size_of(m) > most)
        {
            return Err(MailError::TooLarge(most));
        }
        let added = messages.iter().map(size_of).fold(0, u64::saturating_add);
        self.check_room(&target.owner, added).await?;
        for message in &mut messages {
            message.flags = permitted(&message.flags, rights);
        }
        let store = self.accounts.store();
        let (record, done) = store.mailboxes.append(target.owner.id, record.id, messages).await?;
        let pairs = done
            .into_iter()
            .filter_map(|one| match one {
                Appended::New(uid) => Some((Uid(0), uid)),
                Appended::Repeated => None,
            })
            .collect();
        Ok(Transferred { uid_validity: record.uid_validity, pairs })
    }

    /// Copies messages (ascending UIDs; those that are gone are passed over) to a mailbox by name.
    ///
    /// # Errors
    /// As [`MailAccount::append`].
    pub async fn copy(
        &self,
        from: &Opened,
        uids: &[Uid],
        to: &str,
    ) -> Result<Transferred, MailError> {
        let (target, record, rights) = self.append_target(to).await?;
        let shared = from.mailbox.shared();
        let size: u64 = shared.table.select(uids).iter().map(|r| r.size()).sum();
        self.check_room(&target.owner, size).await?;
        let store = self.accounts.store();
        if target.owner.id == from.owner.id {
            let way = self.way(from, &record, true, rights);
            let copied = store.mailboxes.transfer(from.owner.id, way, uids).await?;
            return Ok(Transferred { uid_validity: record.uid_validity, pairs: copied.pairs });
        }
        self.copy_across(from, uids, &target, &record, rights).await
    }

    /// From an opened mailbox to another one of the same account, with the flags that may go.
    fn way(&self, from: &Opened, to: &MailboxRecord, keep: bool, rights: MailRights) -> Transfer {
        Transfer {
            from: from.mailbox.id(),
            to: to.id,
            keep,
            flags: changeable(rights),
            save_date: self.accounts.now(),
        }
    }

    /// Copies into another account: the bytes are shared all the same. What goes away meanwhile is
    /// passed over, as what had gone before.
    async fn copy_across(
        &self,
        from: &Opened,
        uids: &[Uid],
        target: &Target,
        record: &MailboxRecord,
        rights: MailRights,
    ) -> Result<Transferred, MailError> {
        let mailboxes = &self.accounts.store().mailboxes;
        let mut left = uids.to_vec();
        for _ in 0..COPY_ATTEMPTS {
            let since = from.mailbox.shared().record.highest_modseq;
            match self.copy_once(from, &left, target, record, rights).await {
                // A body is gone, and so is the message it belonged to.
                Err(StoreError::NotFound("body")) => {}
                done => return Ok(done?),
            }
            let gone = mailboxes.vanished(from.owner.id, from.mailbox.id(), since).await?;
            left.retain(|uid| gone.binary_search(uid).is_err());
        }
        Err(MailError::Unavailable("messages to be copied keep going away".to_owned()))
    }

    async fn copy_once(
        &self,
        from: &Opened,
        uids: &[Uid],
        target: &Target,
        record: &MailboxRecord,
        rights: MailRights,
    ) -> Result<Transferred, StoreError> {
        let shared = from.mailbox.shared();
        let rows = shared.table.select(uids);
        let sources: Vec<Uid> = rows.iter().map(|r| r.uid()).collect();
        let now = self.accounts.now();
        let messages: Vec<NewMessage> = rows
            .iter()
            .map(|row| NewMessage {
                body: MessageBody::Existing(row.body()),
                summary: Bytes::new(),
                flags: permitted(&row.flags(), rights),
                internal_date: row.internal_date(),
                save_date: now,
                uid: None,
                original_uid: None,
                pop_id: None,
                origin: None,
            })
            .collect();
        if messages.is_empty() {
            return Ok(Transferred { uid_validity: record.uid_validity, pairs: Vec::new() });
        }
        let store = self.accounts.store();
        let (record, done) = store.mailboxes.append(target.owner.id, record.id, messages).await?;
        let pairs = sources
            .into_iter()
            .zip(done)
            .filter_map(|(source, one)| match one {
                Appended::New(uid) => Some((source, uid)),
                Appended::Repeated => None,
            })
            .collect();
        Ok(Transferred { uid_validity: record.uid_validity, pairs })
    }

    /// Moves messages to a mailbox by name. Inside one account it is one operation and needs no
    /// room; across accounts the originals go after the copies are safe.
    ///
    /// # Errors
    /// As [`MailAccount::copy`]; `NoPermission` without the rights to remove them here.
    pub async fn move_messages(
        &self,
        from: &Opened,
        uids: &[Uid],
        to: &str,
    ) -> Result<Transferred, MailError> {
        let (target, record, rights) = self.append_target(to).await?;
        let removing = MailRights::DELETE_MESSAGES.with(MailRights::EXPUNGE);
        if !self.rights_now(from).await?.can(removing) {
            return Err(MailError::NoPermission);
        }
        let store = self.accounts.store();
        if target.owner.id == from.owner.id {
            let way = self.way(from, &record, false, rights);
            let moved = store.mailboxes.transfer(from.owner.id, way, uids).await?;
            return Ok(Transferred { uid_validity: record.uid_validity, pairs: moved.pairs });
        }
        let size: u64 = from.mailbox.shared().table.select(uids).iter().map(|r| r.size()).sum();
        self.check_room(&target.owner, size).await?;
        let mut copied = self.copy_across(from, uids, &target, &record, rights).await?;
        let sources: Vec<Uid> = copied.pairs.iter().map(|(source, _)| *source).collect();
        let gone: HashSet<Uid> = store
            .mailboxes
            .expunge(from.owner.id, from.mailbox.id(), &sources, false)
            .await?
            .into_iter()
            .collect();
        // What somebody else took away meanwhile, as with a MOVE of their own, is not ours to
        // have: two accounts share no transaction, so our copy is withdrawn, having been visible
        // for a moment. The other order, originals first, could lose a message in a crash.
        let surplus: Vec<Uid> = copied
            .pairs
            .iter()
            .filter(|(source, _)| !gone.contains(source))
            .map(|(_, copy)| *copy)
            .collect();
        if !surplus.is_empty() {
            store.mailboxes.expunge(target.owner.id, record.id, &surplus, false).await?;
            copied.pairs.retain(|(source, _)| gone.contains(source));
        }
        Ok(copied)
    }

    /// Changes flags, as far as the rights go.
    ///
    /// # Errors
    /// `NoPermission` when none of the flags may be changed, or what the store says.
    pub async fn change_flags(
        &self,
        opened: &Opened,
        mut update: FlagUpdate,
    ) -> Result<FlagOutcome, MailError> {
        let mailboxes = &self.accounts.store().mailboxes;
        let (account, id) = (opened.owner.id, opened.mailbox.id());
        let rights = self.rights_now(opened).await?;
        let part = changeable(rights);
        if part == FlagPart::ALL {
            return Ok(mailboxes.change_flags(account, id, update).await?);
        }
        if part.bits == FlagBits(0) {
            return Err(MailError::NoPermission);
        }
        if update.change == FlagChange::Replace {
            // What may not be changed stays as it is.
            update.change = FlagChange::ReplacePart(part);
        } else {
            let wanted = update.flags.within(part);
            if wanted == Flags::default() && update.flags != Flags::default() {
                return Err(MailError::NoPermission);
            }
            update.flags = wanted;
        }
        Ok(mailboxes.change_flags(account, id, update).await?)
    }

    /// Removes messages (those with `\Deleted` alone, if `only_deleted`); answers which went.
    ///
    /// # Errors
    /// `NoPermission`, or what the store says.
    pub async fn expunge(
        &self,
        opened: &Opened,
        uids: &[Uid],
        only_deleted: bool,
    ) -> Result<Vec<Uid>, MailError> {
        if !self.rights_now(opened).await?.can(MailRights::EXPUNGE) {
            return Err(MailError::NoPermission);
        }
        let mailboxes = &self.accounts.store().mailboxes;
        Ok(mailboxes.expunge(opened.owner.id, opened.mailbox.id(), uids, only_deleted).await?)
    }

    /// UIDs of a mailbox that went away after a MODSEQ (RFC 7162 VANISHED (EARLIER)), ascending.
    ///
    /// # Errors
    /// What the store says.
    pub async fn vanished_since(
        &self,
        opened: &Opened,
        since: angarium_store::ModSeq,
    ) -> Result<Vec<Uid>, MailError> {
        let mailboxes = &self.accounts.store().mailboxes;
        Ok(mailboxes.vanished(opened.owner.id, opened.mailbox.id(), since).await?)
    }

    /// Octets and messages an account holds.
    ///
    /// # Errors
    /// What the store says.
    pub async fn usage(&self, owner: &Owner) -> Result<(u64, u64), MailError> {
        Ok(self.accounts.store().mailboxes.usage(owner.id).await?)
    }
}
