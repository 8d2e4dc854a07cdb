//! An actor looking at mailboxes by name: finding and opening them with name rules and rights,
//! subscriptions, access lists. It must never know how names look on the wire.

use std::sync::Arc;

use angarium_store::{AccountId, AttributesPatch, FlagBits, MailboxRecord, Uid};

use super::error::MailError;
use super::facts::Owner;
use super::members::Identity;
use super::names::{self, Named};
use super::open::OpenMailbox;
use super::rights::{self, MAX_ENTRIES, MAX_IDENTIFIER, MailRights, Person};
use super::tree::Tree;
use crate::{Accounts, Actor};

/// Names a subscription may hold.
const MAX_SUBSCRIPTION: usize = 20_000;
/// Times a change of an account's record is tried again when another one came between.
pub(super) const RECORD_ATTEMPTS: usize = 8;

/// The mailboxes an actor can name. Cheap to make and to keep.
#[derive(Clone)]
pub struct MailAccount {
    pub(super) accounts: Arc<Accounts>,
    pub(super) actor: Arc<Actor>,
    pub(super) home: Owner,
}

/// What a name means: a path in an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Whose.
    pub owner: Owner,
    /// The path there, in canonical form; empty for the account's tree itself.
    pub path: String,
}

/// A mailbox opened by an actor.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The state shared by all sessions.
    pub mailbox: Arc<OpenMailbox>,
    /// What this actor may do with it.
    pub rights: MailRights,
    /// Whose it is.
    pub owner: Owner,
}

/// Who looks at an account's mailboxes.
pub(super) enum Viewer {
    /// The owner, or an administrator who may do everything.
    All,
    /// Whoever the access lists give rights to.
    Person(Identity),
}

impl Accounts {
    /// Looks at mailboxes as this actor.
    #[must_use]
    pub fn open_account(self: &Arc<Self>, actor: &Arc<Actor>) -> MailAccount {
        MailAccount {
            accounts: Arc::clone(self),
            actor: Arc::clone(actor),
            home: Owner {
                id: actor.account,
                name: actor.name.clone(),
                domain: actor.domain.clone(),
            },
        }
    }
}

impl MailAccount {
    /// Who acts.
    #[must_use]
    pub fn actor(&self) -> &Arc<Actor> {
        &self.actor
    }

    /// The actor's own account.
    #[must_use]
    pub fn home(&self) -> &Owner {
        &self.home
    }

    /// The door this came through.
    #[must_use]
    pub fn accounts(&self) -> &Arc<Accounts> {
        &self.accounts
    }

    pub(super) fn is_own(&self, owner: &Owner) -> bool {
        owner.id == self.home.id
    }

    /// What a name means: an own path, a mailbox alias, or `~account/path`.
    ///
    /// # Errors
    /// `Name`, `NoAccount`, or what the store says.
    pub async fn target(&self, name: &str) -> Result<Target, MailError> {
        let target = self.target_of(name).await?;
        if let Some(legacy) = self.accounts.legacy.as_ref().filter(|_| target.path == "INBOX") {
            let fresh = legacy.refresh(target.owner.id).await;
            // What is wrong with another's file is not for everybody.
            if self.is_own(&target.owner) {
                fresh?;
            }
        }
        Ok(target)
    }

    async fn target_of(&self, name: &str) -> Result<Target, MailError> {
        match names::parse(name)? {
            Named::Foreign { account, path } => {
                let owner = self.accounts.owner(&self.actor, &account).await?;
                Ok(Target { owner, path })
            }
            Named::Own(path) => match self.alias(&path).await? {
                Some(target) => Ok(target),
                None => Ok(Target { owner: self.home.clone(), path }),
            },
        }
    }

    /// What this actor may do with a mailbox.
    ///
    /// # Errors
    /// What the store says.
    pub async fn rights(
        &self,
        owner: &Owner,
        record: &MailboxRecord,
    ) -> Result<MailRights, MailError> {
        let viewer = self.viewer(owner).await?;
        self.rights_of(&viewer, owner, record).await
    }

    /// What is the same for all mailboxes of an account.
    pub(super) async fn viewer(&self, owner: &Owner) -> Result<Viewer, MailError> {
        if self.is_own(owner) || self.accounts.commands_all_mailboxes(&self.actor, owner).await? {
            return Ok(Viewer::All);
        }
        Ok(Viewer::Person(self.accounts.identity(&self.actor).await?))
    }

    pub(super) async fn rights_of(
        &self,
        viewer: &Viewer,
        owner: &Owner,
        record: &MailboxRecord,
    ) -> Result<MailRights, MailError> {
        let identity = match viewer {
            Viewer::All => return Ok(MailRights::ALL),
            Viewer::Person(_) if record.acl.is_empty() => return Ok(MailRights::NONE),
            Viewer::Person(identity) => identity,
        };
        let groups = rights::groups_in(&record.acl);
        let groups = self.accounts.groups_of(identity, groups, &owner.domain).await?;
        let person = Person { identity, home: &owner.domain, groups: &groups };
        let rights = rights::evaluate(&record.acl, &person);
        // What one may not see is not there, whatever else a list gives.
        Ok(if rights.can(MailRights::LOOKUP) { rights } else { MailRights::NONE })
    }

    /// What this actor may do now with a mailbox he opened before.
    ///
    /// # Errors
    /// What the store says.
    pub async fn rights_now(&self, opened: &Opened) -> Result<MailRights, MailError> {
        if self.is_own(&opened.owner) {
            return Ok(MailRights::ALL);
        }
        let tree = self.tree(&opened.owner).await?;
        match tree.by_id(opened.mailbox.id()) {
            Some(record) => self.rights(&opened.owner, &record).await,
            None => Ok(MailRights::NONE),
        }
    }

    pub(super) async fn tree(&self, owner: &Owner) -> Result<Arc<Tree>, MailError> {
        self.accounts.registry().tree(self.accounts.store(), owner.id).await
    }

    /// The record of a target, directories too; the newest counters.
    pub(super) async fn find(&self, target: &Target) -> Result<MailboxRecord, MailError> {
        let tree = self.tree(&target.owner).await?;
        let record = tree.named(&target.path).ok_or(MailError::NotFound)?;
        // What was claimed as recent is known to the open mailbox alone.
        if record.selectable
            && let Some(open) = self.accounts.registry().find(record.id)
        {
            let shared = open.shared();
            if !shared.gone && shared.record.name == target.path {
                return Ok(shared.record.as_ref().clone());
            }
        }
        Ok(record.as_ref().clone())
    }

    /// The record of a target that the actor may do `needed` with. Without the right to see its
    /// name it is as if it did not exist.
    pub(super) async fn find_with(
        &self,
        target: &Target,
        needed: MailRights,
    ) -> Result<(MailboxRecord, MailRights), MailError> {
        let record = self.find(target).await?;
        let rights = self.rights(&target.owner, &record).await?;
        if !rights.can(MailRights::LOOKUP) {
            return Err(MailError::NotFound);
        }
        if !rights.can(needed) {
            return Err(MailError::NoPermission);
        }
        Ok((record, rights))
    }

    /// Opens a mailbox for reading (and for whatever else the rights say).
    ///
    /// # Errors
    /// `NotFound`, `NotSelectable`, `NoPermission`, `Name`, or what the store says.
    pub async fn open(&self, name: &str) -> Result<Opened, MailError> {
        let target = self.target(name).await?;
        let store = self.accounts.store();
        if self.is_own(&target.owner) {
            let record =
                self.tree(&target.owner).await?.named(&target.path).ok_or(MailError::NotFound)?;
            if !record.selectable {
                return Err(MailError::NotSelectable);
            }
            let mailbox = self.accounts.registry().open(store, target.owner.id, record.id).await?;
            return Ok(Opened { mailbox, rights: MailRights::ALL, owner: target.owner });
        }
        let (record, rights) = self.find_with(&target, MailRights::READ).await?;
        if !record.selectable {
            return Err(MailError::NotSelectable);
        }
        let mailbox = self.accounts.registry().open(store, target.owner.id, record.id).await?;
        Ok(Opened { mailbox, rights, owner: target.owner })
    }

    /// A mailbox's attributes, its counters as this actor sees them, and what he may do with it.
    /// Directories are answered too.
    ///
    /// # Errors
    /// `NotFound`, `NoPermission` (without the right to read), `Name`, or what the store says.
    pub async fn status(
        &self,
        name: &str,
    ) -> Result<(Target, MailboxRecord, MailRights), MailError> {
        let target = self.target(name).await?;
        let (mut record, rights) = self.find_with(&target, MailRights::READ).await?;
        self.count(target.owner.id, &mut record, rights).await?;
        Ok((target, record, rights))
    }

    /// Makes the counters of a record (messages, unseen, deleted, size) those that somebody with
    /// these rights sees: `$Service` messages never count, `$Hidden` ones only with `a`.
    ///
    /// # Errors
    /// What the store says.
    pub async fn count(
        &self,
        account: AccountId,
        record: &mut MailboxRecord,
        rights: MailRights,
    ) -> Result<(), MailError> {
        let (registry, store) = (self.accounts.registry(), self.accounts.store());
        if !record.selectable || !registry.tree(store, account).await?.keeps_back(record.id) {
            return Ok(());
        }
        let table = registry.open(store, account, record.id).await?.shared().table;
        let hidden = rights.hides();
        if !table.may_have(hidden) {
            return Ok(());
        }
        (record.messages, record.unseen, record.deleted, record.size) = (0, 0, 0, 0);
        for row in table.iter().filter(|row| row.bits().0 & hidden.0 == 0) {
            record.messages += 1;
            record.unseen += u32::from(!row.bits().contains(FlagBits::SEEN));
            record.deleted += u32::from(row.bits().contains(FlagBits::DELETED));
            record.size = record.size.saturating_add(row.size());
        }
        Ok(())
    }

    /// As [`MailAccount::status`], with the right to see the name being enough.
    ///
    /// # Errors
    /// As [`MailAccount::status`].
    pub async fn look_up(
        &self,
        name: &str,
    ) -> Result<(Target, MailboxRecord, MailRights), MailError> {
        let target = self.target(name).await?;
        let (record, rights) = self.find_with(&target, MailRights::LOOKUP).await?;
        Ok((target, record, rights))
    }

    /// Subscribes to a name or ends it. The mailbox need not exist.
    ///
    /// # Errors
    /// `Name`, `Invalid` when the list is full, or what the store says.
    pub async fn subscribe(&self, name: &str, wanted: bool) -> Result<(), MailError> {
        let name = match names::parse(name)? {
            Named::Own(path) => path,
            Named::Foreign { account, path } if path.is_empty() => format!("~{account}"),
            Named::Foreign { account, path } => format!("~{account}/{path}"),
        };
        let directory = &self.accounts.store().directory;
        for _ in 0..RECORD_ATTEMPTS {
            let mut record = directory.account(self.home.id).await?.ok_or(MailError::NoAccount)?;
            let known = record.subscription.iter().position(|n| *n == name);
            match (known, wanted) {
                (Some(_), true) | (None, false) => return Ok(()),
                (Some(at), false) => {
                    record.subscription.remove(at);
                }
                (None, true) => {
                    if record.subscription.len() >= MAX_SUBSCRIPTION {
                        return Err(MailError::Invalid("the subscription list is full".into()));
                    }
                    record.subscription.push(name.clone());
                }
            }
            let version = record.version;
            match directory.update_account(record, Some(version)).await {
                Ok(_) => return Ok(()),
                Err(angarium_store::StoreError::VersionConflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(MailError::Unavailable("the account is being changed by others".into()))
    }

    /// Changes one entry of a mailbox's access list; no rights take it away.
    ///
    /// # Errors
    /// `NotFound`, `NoPermission` (needs `a`), `Invalid`, or what the store says.
    pub async fn set_acl(
        &self,
        name: &str,
        identifier: &str,
        change: impl FnOnce(MailRights) -> MailRights + Send,
    ) -> Result<(), MailError> {
        let plain = identifier.trim_start_matches(['+', '-']);
        if plain.is_empty()
            || identifier.len() > MAX_IDENTIFIER
            || identifier.chars().any(|c| c.is_control() || c.is_whitespace())
        {
            return Err(MailError::Invalid("this is no identifier of an access list".into()));
        }
        let target = self.target(name).await?;
        let (record, _) = self.find_with(&target, MailRights::ADMIN).await?;
        if rights::names_owner(plain, &target.owner) {
            let text = "the owner of a mailbox has all rights and keeps them";
            return Err(MailError::Invalid(text.into()));
        }
        let rights = change(rights::entry(&record.acl, identifier));
        let acl = rights::edited(&record.acl, identifier, rights);
        if acl.len() > MAX_ENTRIES {
            return Err(MailError::Invalid("the access list is full".into()));
        }
        let patch = AttributesPatch { acl: Some(acl), ..AttributesPatch::default() };
        self.accounts.store().mailboxes.set_attributes(target.owner.id, record.id, patch).await?;
        Ok(())
    }

    /// Makes durable that the messages below `first` are not recent any more.
    ///
    /// # Errors
    /// What the store says; it is harmless.
    pub async fn keep_recent(&self, opened: &OpenMailbox, first: Uid) -> Result<(), MailError> {
        let patch = AttributesPatch { first_recent: Some(first), ..AttributesPatch::default() };
        self.accounts
            .store()
            .mailboxes
            .set_attributes(opened.account(), opened.id(), patch)
            .await?;
        Ok(())
    }
}
