//! Making mailboxes keep the numbers of another server (validity, UIDs, MODSEQs, POP's unique ids):
//! for administrators alone, as a user could else make clients take one message for another. It
//! must never know where the numbers come from.

use angarium_objects::name::FullName;
use angarium_objects::rights::CAN_ACCESS_MAILBOXES;
use angarium_store::{DomainObject, MailboxRecord, NewMessage, NumbersPatch};

use super::account::{MailAccount, Target};
use super::error::MailError;
use super::facts::Owner;
use super::rights::MailRights;

impl MailAccount {
    /// True when whoever really logged in, not whom he acts for, may do everything with the
    /// mailboxes of this account by a right in its domain, or at the machine itself. That they are
    /// his own is no reason.
    ///
    /// # Errors
    /// What the store says.
    pub async fn may_keep_numbers(&self, owner: &Owner) -> Result<bool, MailError> {
        let accounts = &self.accounts;
        if self.actor.is_console() {
            return Ok(true);
        }
        let authority = match &self.actor.authenticated_as {
            None => accounts.authority(&self.actor).await?,
            // The console has no domain.
            Some(by) if !by.contains('@') => return Ok(true),
            Some(by) => {
                let Ok(full) = FullName::read(by, "") else { return Ok(false) };
                let found = match accounts.lookup(&full.domain, &full.name).await? {
                    Some(DomainObject::Account(id)) => accounts.account_record(id).await?,
                    _ => None,
                };
                let Some(record) = found else { return Ok(false) };
                accounts.authority(&accounts.actor_of(&record).await?).await?
            }
        };
        Ok(accounts.may_in_domain(&authority, &owner.domain, CAN_ACCESS_MAILBOXES).await?)
    }

    /// A mailbox as it is, for those who may keep numbers in it.
    ///
    /// # Errors
    /// `NotFound`, `NotSelectable`, `NoPermission`, `Name`, or what the store says.
    pub async fn numbers(&self, name: &str) -> Result<(Target, MailboxRecord), MailError> {
        let target = self.target(name).await?;
        let (record, _) = self.find_with(&target, MailRights::INSERT).await?;
        if !record.selectable {
            return Err(MailError::NotSelectable);
        }
        if !self.may_keep_numbers(&target.owner).await? {
            return Err(MailError::NoPermission);
        }
        Ok((target, record))
    }

    /// Makes a mailbox keep numbers of another server, all or none. Sessions that have it open lose
    /// it when its validity changes.
    ///
    /// # Errors
    /// As [`MailAccount::numbers`]; `Invalid` for what [`NumbersPatch::fault`] names.
    pub async fn keep_numbers(
        &self,
        name: &str,
        patch: NumbersPatch,
    ) -> Result<MailboxRecord, MailError> {
        let (target, record) = self.numbers(name).await?;
        tracing::info!(account = %self.actor.description(), mailbox = name,
            "numbers of another server are kept");
        Ok(self.accounts.store().mailboxes.keep_numbers(target.owner.id, record.id, patch).await?)
    }

    /// Refuses messages that bring numbers along to those who may not give any.
    pub(super) async fn check_numbers(
        &self,
        owner: &Owner,
        messages: &[NewMessage],
    ) -> Result<(), MailError> {
        let brings = messages.iter().any(|m| m.uid.is_some() || m.pop_id.is_some());
        if brings && !self.may_keep_numbers(owner).await? {
            return Err(MailError::NoPermission);
        }
        Ok(())
    }
}
