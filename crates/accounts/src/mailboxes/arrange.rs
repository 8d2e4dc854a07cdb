//! Making, removing and renaming mailboxes, with name rules, rights and limits; nothing of it
//! reads the list of an account's mailboxes. It must never know how names look on the wire.

use angarium_objects::value::Dictionary;
use angarium_store::{MailboxRecord, NewMailbox};

use super::account::{MailAccount, Target};
use super::error::MailError;
use super::names::{self, NameError, SpecialUse, parent, without_format};
use super::rights::MailRights;

/// Mailboxes and directories of one account, whatever its settings say.
const MAX_MAILBOXES: usize = 250_000;

/// A name without the `/` that a client may put at its end.
fn bare(name: &str) -> &str {
    name.strip_suffix('/').unwrap_or(name)
}

impl MailAccount {
    /// Makes a mailbox. A trailing `/` makes the directory alone; an ending that names a storage
    /// format is taken off. It and the directories made above it inherit the access list of the
    /// closest mailbox above; a directory that becomes a mailbox keeps its own.
    ///
    /// # Errors
    /// `Exists`, `NoPermission`, `TooManyMailboxes`, `SpecialUseTaken`, `Name`, or what the store
    /// says.
    pub async fn create(
        &self,
        name: &str,
        special_use: Option<SpecialUse>,
        class: &str,
    ) -> Result<MailboxRecord, MailError> {
        let (name, selectable) = match name.strip_suffix('/') {
            Some(rest) => (rest, false),
            None => (without_format(name), true),
        };
        if self.is_alias(name).await? {
            return Err(MailError::Exists);
        }
        let target = match self.target(name).await {
            Err(MailError::NoAccount) if self.makes_owner(name).await => self.target(name).await?,
            found => found?,
        };
        let above = self.place(&target).await?;
        let tree = self.tree(&target.owner).await?;
        let there = tree.named(&target.path);
        if let Some(there) = &there {
            self.must_be_visible(&target, there).await?;
            if there.selectable || !selectable {
                return Err(MailError::Exists);
            }
        }
        if let Some(wanted) = special_use {
            self.must_be_free(&target, wanted).await?;
        }
        let limits = self.accounts.mail_limits(target.owner.id).await?;
        let count = tree.selectable();
        if (selectable && limits.mailboxes.is_some_and(|most| count >= most))
            || tree.len() + target.path.matches('/').count() >= MAX_MAILBOXES
        {
            return Err(MailError::TooManyMailboxes);
        }
        let new = NewMailbox {
            name: target.path,
            selectable,
            uid_validity: None,
            now: self.accounts.now(),
            class: class.to_owned(),
            special_use: special_use.map(SpecialUse::attribute).unwrap_or_default().to_owned(),
            acl: there.map(|record| record.acl.clone()).unwrap_or(above),
        };
        Ok(self.accounts.store().mailboxes.create(target.owner.id, new).await?)
    }

    /// True when the account of `~account/path` has just been made: the first public mailbox
    /// brings its owner along.
    async fn makes_owner(&self, name: &str) -> bool {
        let Ok(names::Named::Foreign { account, path }) = names::parse(name) else { return false };
        let made = self.accounts.make_special_account(&self.actor, &account);
        !path.is_empty() && made.await.unwrap_or(false)
    }

    /// Checks that the actor may make something of this name; answers the access list it is to
    /// inherit.
    async fn place(&self, target: &Target) -> Result<Dictionary, MailError> {
        if target.path.is_empty() {
            return Err(NameError::Empty.into());
        }
        let above = self.tree(&target.owner).await?.above(&target.path);
        if !self.is_own(&target.owner) {
            let may = match &above {
                Some(record) => self.rights(&target.owner, record).await?.can(MailRights::CREATE),
                None => self.accounts.commands_all_mailboxes(&self.actor, &target.owner).await?,
            };
            if !may {
                return Err(MailError::NoPermission);
            }
        }
        Ok(above.map(|record| record.acl.clone()).unwrap_or_default())
    }

    /// One mailbox of an account has a special use, so that programs do not choose differently
    /// (RFC 6154 section 3 leaves it to the server). Mailboxes this actor may not see do not
    /// count: he would learn of them. Uses that were there before stay.
    pub(super) async fn must_be_free(
        &self,
        target: &Target,
        wanted: SpecialUse,
    ) -> Result<(), MailError> {
        for record in self.tree(&target.owner).await?.beginning("") {
            if record.special_use == wanted.attribute()
                && record.name != target.path
                && self.rights(&target.owner, &record).await?.can(MailRights::LOOKUP)
            {
                return Err(MailError::SpecialUseTaken);
            }
        }
        Ok(())
    }

    /// Something that is in the way but may not be seen is not told of.
    async fn must_be_visible(
        &self,
        target: &Target,
        record: &MailboxRecord,
    ) -> Result<(), MailError> {
        if self.rights(&target.owner, record).await?.can(MailRights::LOOKUP) {
            Ok(())
        } else {
            Err(MailError::NoPermission)
        }
    }

    /// Removes a mailbox and its messages; one with others below it becomes a directory. Of a
    /// mailbox alias only the alias goes.
    ///
    /// # Errors
    /// `NotFound`, `NoPermission`, `HasChildren` for a directory, `Invalid` for INBOX, `Name`, or
    /// what the store says.
    pub async fn delete(&self, name: &str) -> Result<(), MailError> {
        let name = bare(name);
        if self.is_alias(name).await? {
            return self.change_alias(name, None).await;
        }
        let target = self.target(name).await?;
        let record = self.removable(&target).await?;
        if target.path == "INBOX" {
            return Err(MailError::Invalid("INBOX cannot be removed".into()));
        }
        if !record.selectable && self.tree(&target.owner).await?.has_below(&target.path, |_| true) {
            return Err(MailError::HasChildren);
        }
        Ok(self.accounts.store().mailboxes.delete(target.owner.id, record.id).await?)
    }

    /// The record of a mailbox that the actor may remove: `x` on it and, in another's account,
    /// `c` on the one above.
    async fn removable(&self, target: &Target) -> Result<MailboxRecord, MailError> {
        if target.path.is_empty() {
            return Err(NameError::Empty.into());
        }
        let (record, _) = self.find_with(target, MailRights::DELETE_MAILBOX).await?;
        if self.is_own(&target.owner) {
            return Ok(record);
        }
        let above = match parent(&target.path) {
            Some(above) => self.tree(&target.owner).await?.named(above),
            None => None,
        };
        let may = match above {
            Some(above) => self.rights(&target.owner, &above).await?.can(MailRights::CREATE),
            None => self.accounts.commands_all_mailboxes(&self.actor, &target.owner).await?,
        };
        if may { Ok(record) } else { Err(MailError::NoPermission) }
    }

    /// Renames a mailbox and everything below it, inside one account; a mailbox alias gets
    /// another name of one level.
    ///
    /// Into another account nothing is renamed: no operation of the store spans two accounts, so
    /// that half of the messages could stay behind, and ids and UIDs would not be kept anyway.
    ///
    /// # Errors
    /// `NotFound`, `Exists`, `NoPermission`, `Invalid` into itself or into another account,
    /// `Name`, or what the store says.
    pub async fn rename(&self, from: &str, to: &str) -> Result<(), MailError> {
        let (from, to) = (bare(from), bare(to));
        if self.is_alias(to).await? {
            return Err(MailError::Exists);
        }
        if self.is_alias(from).await? {
            return self.rename_alias(from, to).await;
        }
        let from = self.target(from).await?;
        let to = self.target(to).await?;
        self.removable(&from).await?;
        self.place(&to).await?;
        if from.owner.id != to.owner.id {
            let text = "a mailbox stays in its account: make one there and move the messages";
            return Err(MailError::Invalid(text.into()));
        }
        let tree = self.tree(&to.owner).await?;
        if let Some(there) = tree.named(&to.path) {
            self.must_be_visible(&to, &there).await?;
            return Err(MailError::Exists);
        }
        let below = format!("{}/", from.path);
        if from.path != "INBOX" {
            if to.path.starts_with(&below) {
                let text = "a mailbox cannot be renamed into itself";
                return Err(MailError::Invalid(text.into()));
            }
            for record in tree.beginning(&below) {
                let rest = record.name.get(from.path.len()..).unwrap_or_default();
                names::canonical(&format!("{}{rest}", to.path))?;
            }
        }
        let now = self.accounts.now();
        let mailboxes = &self.accounts.store().mailboxes;
        mailboxes.rename_tree(from.owner.id, &from.path, &to.path, now).await?;
        Ok(())
    }

    async fn rename_alias(&self, from: &str, to: &str) -> Result<(), MailError> {
        if let names::Named::Own(path) = names::parse(to)?
            && self.tree(&self.home).await?.named(&path).is_some()
        {
            return Err(MailError::Exists);
        }
        self.change_alias(from, Some(to)).await
    }
}
