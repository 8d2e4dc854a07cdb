//! Replacing a message by a newer edition of it (RFC 8508): the new one is stored before the old
//! one goes, so that a crash between leaves both, never none. It must never know sequence numbers.

use angarium_store::{Appended, NewMessage, Uid};

use super::account::{MailAccount, Opened};
use super::error::MailError;
use super::messages::{Transferred, permitted, size_of};
use super::rights::MailRights;

impl MailAccount {
    /// Looks whether a message of an open mailbox may be replaced.
    ///
    /// # Errors
    /// `NoPermission` without the rights to remove it, `Invalid` when it is gone.
    pub fn may_replace(&self, from: &Opened, old: Uid) -> Result<(), MailError> {
        if !from.rights.can(MailRights::DELETE_MESSAGES.with(MailRights::EXPUNGE)) {
            return Err(MailError::NoPermission);
        }
        match from.mailbox.shared().table.get(old) {
            Some(_) => Ok(()),
            None => Err(MailError::Invalid("the message to be replaced is gone".to_owned())),
        }
    }

    /// Puts a message into a mailbox by name and removes the one it replaces. Inside one account
    /// the room the old one takes counts as free.
    ///
    /// # Errors
    /// As [`MailAccount::append`] and [`MailAccount::may_replace`]; both messages are then as they
    /// were.
    pub async fn replace(
        &self,
        from: &Opened,
        old: Uid,
        name: &str,
        mut message: NewMessage,
    ) -> Result<Transferred, MailError> {
        let (target, record, rights) = self.append_target(name).await?;
        self.may_replace(from, old)?;
        let size = size_of(&message);
        if let Some(most) = self.append_limit(&target).await?
            && size > most
        {
            return Err(MailError::TooLarge(most));
        }
        let freed = match from.mailbox.shared().table.get(old) {
            Some(row) if from.owner.id == target.owner.id => row.size(),
            _ => 0,
        };
        if size > freed {
            self.check_room(&target.owner, size - freed).await?;
        }
        message.flags = permitted(&message.flags, rights);
        let store = self.accounts.store();
        let (record, done) =
            store.mailboxes.append(target.owner.id, record.id, vec![message]).await?;
        let new: Vec<Uid> = done
            .into_iter()
            .filter_map(|one| match one {
                Appended::New(uid) => Some(uid),
                Appended::Repeated => None,
            })
            .collect();
        let (owner, mailbox) = (from.owner.id, from.mailbox.id());
        if let Err(error) = store.mailboxes.expunge(owner, mailbox, &[old], false).await {
            // As before, if that is to be had; else there are two, which is better than none.
            if let Err(again) =
                store.mailboxes.expunge(target.owner.id, record.id, &new, false).await
            {
                tracing::warn!(%again, "a message was not replaced and is there twice");
            }
            return Err(error.into());
        }
        let pairs = new.into_iter().map(|uid| (old, uid)).collect();
        Ok(Transferred { uid_validity: record.uid_validity, pairs })
    }
}
