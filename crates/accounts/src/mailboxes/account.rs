//! An actor looking at mailboxes by name: finding, opening, making, removing and renaming them
//! with name rules, rights and limits. It must never know how names look on the wire.

use std::sync::Arc;

use angarium_store::{AccountId, AttributesPatch, MailboxRecord, NewMailbox, Uid};

use super::error::MailError;
use super::facts::Owner;
use super::names::{self, NameError, Named, SpecialUse, parent, without_format};
use super::open::OpenMailbox;
use super::rights::{self, MAX_ENTRIES, MAX_IDENTIFIER, MailRights, Person};
use crate::{Accounts, Actor};

/// Names a subscription may hold.
const MAX_SUBSCRIPTION: usize = 20_000;
/// Times a change of an account's record is tried again when another one came between.
const RECORD_ATTEMPTS: usize = 8;

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

    /// The foreign mailbox that an own name stands for, if its first level is a mailbox alias.
    async fn alias(&self, path: &str) -> Result<Option<Target>, MailError> {
        if self.home.id == AccountId(0) {
            return Ok(None);
        }
        let record = self.accounts.record(self.home.id).await?;
        if record.mailbox_aliases.is_empty() {
            return Ok(None);
        }
        let (first, rest) = path.split_once('/').unwrap_or((path, ""));
        let Some(foreign) = record.mailbox_aliases.get(first).and_then(|v| v.as_str()) else {
            return Ok(None);
        };
        // An alias leads to another account's mailbox, never to another alias.
        let Named::Foreign { account, path } = names::parse(foreign)? else { return Ok(None) };
        let owner = self.accounts.owner(&self.actor, &account).await?;
        let path = match (path.is_empty(), rest.is_empty()) {
            (_, true) => path,
            (true, false) => rest.to_owned(),
            (false, false) => format!("{path}/{rest}"),
        };
        Ok(Some(Target { owner, path }))
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
        if self.is_own(owner) || self.accounts.commands_all_mailboxes(&self.actor, owner).await? {
            return Ok(MailRights::ALL);
        }
        if record.acl.is_empty() {
            return Ok(MailRights::NONE);
        }
        let groups = rights::groups_in(&record.acl);
        let groups = self.accounts.groups_of(&self.actor, groups, &owner.domain).await?;
        let person = Person {
            name: &self.actor.name,
            domain: &self.actor.domain,
            home: &owner.domain,
            groups: &groups,
        };
        Ok(rights::evaluate(&record.acl, &person))
    }

    /// The record of a target, directories too; the newest counters.
    pub(super) async fn find(&self, target: &Target) -> Result<MailboxRecord, MailError> {
        let store = self.accounts.store();
        let names = self.accounts.registry().names(store, target.owner.id).await?;
        if let Some(id) = names.get(&target.path) {
            if let Some(open) = self.accounts.registry().find(*id) {
                let shared = open.shared();
                if !shared.gone && shared.record.name == target.path {
                    return Ok(shared.record.as_ref().clone());
                }
            }
            return Ok(store.mailboxes.get(target.owner.id, *id).await?);
        }
        let all = store.mailboxes.list(target.owner.id).await?;
        all.into_iter().find(|r| r.name == target.path).ok_or(MailError::NotFound)
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
        if !rights.can(needed) {
            return Err(if rights.can(MailRights::LOOKUP) {
                MailError::NoPermission
            } else {
                MailError::NotFound
            });
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
            let names = self.accounts.registry().names(store, target.owner.id).await?;
            let Some(id) = names.get(&target.path) else {
                return Err(match self.find(&target).await {
                    Ok(_) => MailError::NotSelectable,
                    Err(error) => error,
                });
            };
            let mailbox = self.accounts.registry().open(store, target.owner.id, *id).await?;
            return Ok(Opened { mailbox, rights: MailRights::ALL, owner: target.owner });
        }
        let (record, rights) = self.find_with(&target, MailRights::READ).await?;
        if !record.selectable {
            return Err(MailError::NotSelectable);
        }
        let mailbox = self.accounts.registry().open(store, target.owner.id, record.id).await?;
        Ok(Opened { mailbox, rights, owner: target.owner })
    }

    /// A mailbox's attributes and counters, and what the actor may do with it. Directories are
    /// answered too.
    ///
    /// # Errors
    /// `NotFound`, `NoPermission` (without the right to read), `Name`, or what the store says.
    pub async fn status(
        &self,
        name: &str,
    ) -> Result<(Target, MailboxRecord, MailRights), MailError> {
        let target = self.target(name).await?;
        let (record, rights) = self.find_with(&target, MailRights::READ).await?;
        Ok((target, record, rights))
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

    /// Makes a mailbox. A trailing `/` makes the directory alone; an ending that names a storage
    /// format is taken off. It inherits the access list of the mailbox above.
    ///
    /// # Errors
    /// `Exists`, `NoPermission`, `TooManyMailboxes`, `Name`, or what the store says.
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
        let target = self.target(name).await?;
        if target.path.is_empty() {
            return Err(NameError::Empty.into());
        }
        let store = self.accounts.store();
        let all = store.mailboxes.list(target.owner.id).await?;
        let above = above(&target.path, &all);
        if !self.is_own(&target.owner) {
            let rights = match above {
                Some(record) => self.rights(&target.owner, record).await?,
                None if self
                    .accounts
                    .commands_all_mailboxes(&self.actor, &target.owner)
                    .await? =>
                {
                    MailRights::ALL
                }
                None => MailRights::NONE,
            };
            if !rights.can(MailRights::CREATE) {
                return Err(MailError::NoPermission);
            }
        }
        let limits = self.accounts.mail_limits(target.owner.id).await?;
        let exists = all.iter().any(|r| r.name == target.path && r.selectable);
        let count = all.iter().filter(|r| r.selectable).count() as u64;
        if !exists && selectable && limits.mailboxes.is_some_and(|most| count >= most) {
            return Err(MailError::TooManyMailboxes);
        }
        let acl = above.map(|record| record.acl.clone()).unwrap_or_default();
        let new = NewMailbox {
            name: target.path,
            selectable,
            uid_validity: None,
            now: self.accounts.now(),
            class: class.to_owned(),
            special_use: special_use.map(SpecialUse::attribute).unwrap_or_default().to_owned(),
            acl,
        };
        Ok(store.mailboxes.create(target.owner.id, new).await?)
    }

    /// Removes a mailbox and its messages; one with others below it becomes a directory.
    ///
    /// # Errors
    /// `NotFound`, `NoPermission`, `Invalid` for INBOX, `Name`, or what the store says.
    pub async fn delete(&self, name: &str) -> Result<(), MailError> {
        let target = self.target(name).await?;
        let record = self.removable(&target).await?;
        if target.path == "INBOX" {
            return Err(MailError::Invalid("INBOX cannot be removed".into()));
        }
        Ok(self.accounts.store().mailboxes.delete(target.owner.id, record.id).await?)
    }

    /// The record of a mailbox that the actor may remove: `x` on it and, in another's account,
    /// `c` on the one above.
    async fn removable(&self, target: &Target) -> Result<MailboxRecord, MailError> {
        if target.path.is_empty() {
            return Err(NameError::Empty.into());
        }
        let (record, rights) = self.find_with(target, MailRights::LOOKUP).await?;
        if self.is_own(&target.owner) {
            return Ok(record);
        }
        if !rights.can(MailRights::DELETE_MAILBOX) {
            return Err(MailError::NoPermission);
        }
        if let Some(above) = parent(&target.path) {
            let above = Target { owner: target.owner.clone(), path: above.to_owned() };
            self.find_with(&above, MailRights::CREATE).await?;
        } else if !self.accounts.commands_all_mailboxes(&self.actor, &target.owner).await? {
            return Err(MailError::NoPermission);
        }
        Ok(record)
    }

    /// Renames a mailbox and everything below it, inside one account.
    ///
    /// # Errors
    /// `NotFound`, `Exists`, `NoPermission`, `Invalid` into itself or into another account,
    /// `Name`, or what the store says.
    pub async fn rename(&self, from: &str, to: &str) -> Result<(), MailError> {
        let from = self.target(from.strip_suffix('/').unwrap_or(from)).await?;
        let to = self.target(to.strip_suffix('/').unwrap_or(to)).await?;
        if from.owner.id != to.owner.id {
            return Err(MailError::Invalid(
                "a mailbox cannot be renamed into another account".into(),
            ));
        }
        if to.path.is_empty() {
            return Err(NameError::Empty.into());
        }
        self.removable(&from).await?;
        let store = self.accounts.store();
        let all = store.mailboxes.list(from.owner.id).await?;
        if to.path == from.path || all.iter().any(|r| r.name == to.path) {
            return Err(MailError::Exists);
        }
        let below = format!("{}/", from.path);
        if to.path.starts_with(&below) && from.path != "INBOX" {
            return Err(MailError::Invalid("a mailbox cannot be renamed into itself".into()));
        }
        if !self.is_own(&to.owner) {
            let rights = match above(&to.path, &all) {
                Some(record) => self.rights(&to.owner, record).await?,
                None if self.accounts.commands_all_mailboxes(&self.actor, &to.owner).await? => {
                    MailRights::ALL
                }
                None => MailRights::NONE,
            };
            if !rights.can(MailRights::CREATE) {
                return Err(MailError::NoPermission);
            }
        }
        for record in all.iter().filter(|r| r.name.starts_with(&below)) {
            let rest = record.name.get(from.path.len()..).unwrap_or_default();
            names::canonical(&format!("{}{rest}", to.path))?;
        }
        let now = self.accounts.now();
        store.mailboxes.rename_tree(from.owner.id, &from.path, &to.path, now).await?;
        Ok(())
    }

    /// Subscribes to a name or ends it. The mailbox need not exist.
    ///
    /// # Errors
    /// `Name`, `Invalid` when the list is full, or what the store says.
    pub async fn subscribe(&self, name: &str, wanted: bool) -> Result<(), MailError> {
        let name = match names::parse(name)? {
            Named::Own(path) => path,
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

/// The closest mailbox above a path that exists.
fn above<'a>(path: &str, all: &'a [MailboxRecord]) -> Option<&'a MailboxRecord> {
    let mut path = path;
    while let Some(up) = parent(path) {
        if let Some(record) = all.iter().find(|r| r.name == up) {
            return Some(record);
        }
        path = up;
    }
    None
}
