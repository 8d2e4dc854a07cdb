//! Annotations of mailboxes and of the server (RFC 5464): who sees and sets which, how private and
//! shared ones are told apart in the store, and the entries that stand for attributes: class and
//! special use. It must never know how they look on the wire.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use angarium_objects::rights::SETTINGS;
use angarium_objects::value::{Dictionary, Value};
use angarium_store::{
    AccountId, AnnotationBound, AnnotationChanges, Annotations, AttributesPatch, MailboxRecord,
    SettingsKey,
};
use bytes::Bytes;
use thiserror::Error;

use super::account::{MailAccount, Target};
use super::error::MailError;
use super::names::SpecialUse;
use super::rights::MailRights;
use crate::OperationError;

/// The mailbox class (`reference/mailboxes.md` section 6), for whoever may change attributes.
const CLASS: &str = "/shared/vendor/angarium/class";
/// The special use (RFC 6154 section 4).
const SPECIAL_USE: &str = "/private/specialuse";
/// Longest mailbox class, in bytes.
const MAX_CLASS: usize = 64;
/// Private annotations one user may keep on somebody else's mailbox.
const MAX_FOREIGN_ENTRIES: usize = 100;
/// Octets of their values.
const MAX_FOREIGN_OCTETS: usize = 64 * 1024;
/// The module whose dictionary holds the shared annotations of the server.
const SERVER_MODULE: &str = "IMAPMetadata";

/// Entries, by name in lower case, and their values.
pub type Entries = BTreeMap<String, Bytes>;

/// All of a mailbox that is shown as annotations, to tell later what changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotated {
    annotations: Annotations,
    class: String,
    special_use: String,
}

impl From<&MailboxRecord> for Annotated {
    fn from(record: &MailboxRecord) -> Self {
        Self {
            annotations: record.annotations.clone(),
            class: record.class.clone(),
            special_use: record.special_use.clone(),
        }
    }
}

/// Why annotations were not set. None of them was then.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum AnnotationError {
    /// As for other operations.
    #[error(transparent)]
    Mail(#[from] MailError),
    /// There are as many as there may be.
    #[error("there are as many annotations as there may be")]
    TooMany,
    /// A value is larger than this, octets.
    #[error("the value is larger than {0} octets")]
    TooLarge(usize),
    /// Private annotations need an account.
    #[error("private annotations are not kept for this user")]
    NoPrivate,
    /// No such special use.
    #[error("this special use is not known")]
    SpecialUse,
}

impl From<AnnotationBound> for AnnotationError {
    fn from(bound: AnnotationBound) -> Self {
        match bound {
            AnnotationBound::TooLarge => Self::TooLarge(Annotations::MAX_VALUE),
            _ => Self::TooMany,
        }
    }
}

/// `42/private/comment`: the name under which the store keeps a private annotation of account 42.
fn private_name(account: AccountId, entry: &str) -> String {
    format!("{}{entry}", account.0)
}

/// `42:server/private/comment`, kept with the INBOX of account 42.
fn server_name(account: AccountId, entry: &str) -> String {
    format!("{}:server{entry}", account.0)
}

fn is_private(entry: &str) -> bool {
    entry.starts_with("/private")
}

/// The entry that a stored name is to this account, if it is any.
fn seen_as(stored: &str, account: AccountId) -> Option<&str> {
    if stored.starts_with('/') {
        return Some(stored);
    }
    let entry = stored.strip_prefix(&account.0.to_string())?;
    entry.starts_with('/').then_some(entry)
}

/// Rights of which one must be held beside `l` (RFC 5464 section 3.3).
fn may_annotate(rights: MailRights) -> bool {
    let any = [
        MailRights::READ,
        MailRights::SEEN,
        MailRights::WRITE,
        MailRights::INSERT,
        MailRights::POST,
    ];
    rights.can(MailRights::LOOKUP) && any.into_iter().any(|right| rights.can(right))
}

impl MailAccount {
    /// The annotations of a mailbox that this actor sees.
    #[must_use]
    pub fn annotations_in(
        &self,
        record: &MailboxRecord,
        rights: MailRights,
        special_use: Option<SpecialUse>,
    ) -> Entries {
        if !may_annotate(rights) {
            return Entries::new();
        }
        let mut all = Entries::new();
        for (stored, value) in record.annotations.iter() {
            let Some(entry) = seen_as(stored, self.actor.account) else { continue };
            if is_private(entry) || rights.can(MailRights::READ) {
                all.insert(entry.to_owned(), value.clone());
            }
        }
        if rights.can(MailRights::READ) && !record.class.is_empty() {
            all.insert(CLASS.to_owned(), Bytes::copy_from_slice(record.class.as_bytes()));
        }
        if let Some(special_use) = special_use {
            let value = Bytes::from_static(special_use.attribute().as_bytes());
            all.insert(SPECIAL_USE.to_owned(), value);
        }
        all
    }

    /// Entries this actor sees that are not the same in both, ascending.
    #[must_use]
    pub fn annotations_changed(&self, before: &Annotated, now: &Annotated) -> Vec<String> {
        if before == now {
            return Vec::new();
        }
        let (old, new) = (&before.annotations, &now.annotations);
        let names: BTreeSet<&str> = old.iter().chain(new.iter()).map(|(name, _)| name).collect();
        let changed = names.into_iter().filter(|name| old.get(name) != new.get(name));
        let changed = changed.filter_map(|name| seen_as(name, self.actor.account));
        let mut changed: BTreeSet<&str> = changed.collect();
        if before.class != now.class {
            changed.insert(CLASS);
        }
        if before.special_use != now.special_use {
            changed.insert(SPECIAL_USE);
        }
        changed.into_iter().map(str::to_owned).collect()
    }

    /// The annotations of a mailbox that this actor sees.
    ///
    /// # Errors
    /// `NotFound`, `NoPermission` (beside `l` one of `rswip` is needed, RFC 5464 section 3.3),
    /// `Name`, or what the store says.
    pub async fn annotations(&self, name: &str) -> Result<Entries, MailError> {
        let (target, record, rights) = self.look_up(name).await?;
        if !may_annotate(rights) {
            return Err(MailError::NoPermission);
        }
        let special_use = self.special_use_of(&target, &record).await?;
        Ok(self.annotations_in(&record, rights, special_use))
    }

    /// What LIST says a mailbox is for.
    async fn special_use_of(
        &self,
        target: &Target,
        record: &MailboxRecord,
    ) -> Result<Option<SpecialUse>, MailError> {
        let told = SpecialUse::parse(&record.special_use);
        if told.is_some() || !self.is_own(&target.owner) || !record.selectable {
            return Ok(told);
        }
        let Some(guess) = SpecialUse::by_name(&record.name) else { return Ok(None) };
        let taken = self.tree(&target.owner).await?.any(|r| r.special_use == guess.attribute());
        Ok((record.special_use.is_empty() && !taken).then_some(guess))
    }

    /// Gives a mailbox another class; the empty one is a mailbox for mail.
    ///
    /// # Errors
    /// As [`MailAccount::annotate`].
    pub async fn set_class(&self, name: &str, class: &str) -> Result<(), AnnotationError> {
        let value = Some(Bytes::copy_from_slice(class.as_bytes()));
        self.annotate(name, &[(CLASS.to_owned(), value)]).await
    }

    /// Sets annotations of a mailbox or (`None`) removes them: all or none.
    ///
    /// # Errors
    /// `NotFound`; `NoPermission` without the rights: beside `l` one of `rswip` for private ones,
    /// `w` for shared ones, `a` for class and special use; the bounds.
    pub async fn annotate(
        &self,
        name: &str,
        changes: &[(String, Option<Bytes>)],
    ) -> Result<(), AnnotationError> {
        let (target, record, rights) = self.look_up(name).await?;
        if !may_annotate(rights) {
            return Err(MailError::NoPermission.into());
        }
        let mut patch = AttributesPatch::default();
        for (entry, value) in changes {
            let needed = match entry.as_str() {
                CLASS | SPECIAL_USE => MailRights::ADMIN,
                private if is_private(private) => MailRights::NONE,
                _ => MailRights::WRITE,
            };
            if !rights.can(needed) {
                return Err(MailError::NoPermission.into());
            }
            match entry.as_str() {
                CLASS => patch.class = Some(class(&record, value.as_ref())?),
                SPECIAL_USE => {
                    let wanted = special_use(value.as_ref())?;
                    if let Some(wanted) = wanted {
                        self.must_be_free(&target, wanted).await?;
                    }
                    let attribute = wanted.map(SpecialUse::attribute).unwrap_or_default();
                    patch.special_use = Some(attribute.to_owned());
                }
                _ => patch.annotations.push((self.stored_name(entry)?, value.clone())),
            }
        }
        let after = record.annotations.changed(&patch.annotations)?;
        if !self.is_own(&target.owner) {
            self.check_foreign(&after, &patch.annotations)?;
        }
        let store = self.accounts.store();
        store
            .mailboxes
            .set_attributes(target.owner.id, record.id, patch)
            .await
            .map_err(MailError::from)?;
        Ok(())
    }

    /// The name the store keeps an entry under.
    fn stored_name(&self, entry: &str) -> Result<String, AnnotationError> {
        if matches!(entry, "/private" | "/shared") {
            return Err(MailError::Invalid("this entry holds no value".into()).into());
        }
        match is_private(entry) {
            true if self.actor.account == AccountId(0) => Err(AnnotationError::NoPrivate),
            true => Ok(private_name(self.actor.account, entry)),
            false => Ok(entry.to_owned()),
        }
    }

    /// Keeps one user from filling somebody else's mailbox with what is private to him.
    fn check_foreign(
        &self,
        after: &Annotations,
        changes: &[(String, Option<Bytes>)],
    ) -> Result<(), AnnotationError> {
        let prefix = private_name(self.actor.account, "/");
        let own = after.iter().filter(|(name, _)| name.starts_with(&prefix));
        let (count, octets) =
            own.fold((0, 0), |(count, octets), (_, value)| (count + 1, octets + value.len()));
        let grows =
            changes.iter().any(|(name, value)| value.is_some() && name.starts_with(&prefix));
        if grows && (count > MAX_FOREIGN_ENTRIES || octets > MAX_FOREIGN_OCTETS) {
            return Err(AnnotationError::TooMany);
        }
        Ok(())
    }

    /// The annotations of the server that this actor sees: shared ones and its own.
    ///
    /// # Errors
    /// What the store says.
    pub async fn server_annotations(&self) -> Result<Entries, MailError> {
        let mut all = self.shared_server_annotations().await?;
        if self.actor.account != AccountId(0) {
            let inbox = Target { owner: self.home.clone(), path: "INBOX".to_owned() };
            let record = self.find(&inbox).await?;
            let prefix = server_name(self.actor.account, "");
            for (stored, value) in record.annotations.iter() {
                if let Some(entry) = stored.strip_prefix(&prefix) {
                    all.insert(entry.to_owned(), value.clone());
                }
            }
        }
        Ok(all)
    }

    /// The shared annotations of the server.
    ///
    /// # Errors
    /// What the store says.
    pub async fn shared_server_annotations(&self) -> Result<Entries, MailError> {
        let shared: Arc<Dictionary> = self.accounts.read_module(SERVER_MODULE).await?;
        let bytes = |value: &Value| match value {
            Value::Data(data) => Some(Bytes::copy_from_slice(data)),
            other => other.as_str().map(|text| Bytes::copy_from_slice(text.as_bytes())),
        };
        Ok(shared.iter().filter_map(|(name, v)| Some((name.clone(), bytes(v)?))).collect())
    }

    /// Sets annotations of the server or (`None`) removes them. Shared ones are for administrators
    /// with the right to the server's settings.
    ///
    /// # Errors
    /// `NoPermission`, the bounds, or what the store says.
    pub async fn annotate_server(
        &self,
        changes: &[(String, Option<Bytes>)],
    ) -> Result<(), AnnotationError> {
        let mut private = AnnotationChanges::new();
        let mut shared: Vec<(&str, Option<&Bytes>)> = Vec::new();
        for (entry, value) in changes {
            self.stored_name(entry)?;
            match is_private(entry) {
                true => private.push((server_name(self.actor.account, entry), value.clone())),
                false => shared.push((entry, value.as_ref())),
            }
        }
        if !shared.is_empty() {
            let authority = self.accounts.authority(&self.actor).await.map_err(refused)?;
            authority.need_server(SETTINGS).map_err(refused)?;
        }
        let store = self.accounts.store();
        let inbox = Target { owner: self.home.clone(), path: "INBOX".to_owned() };
        if !private.is_empty() {
            self.find(&inbox).await?.annotations.changed(&private)?;
        }
        if !shared.is_empty() {
            let known = self.shared_server_annotations().await?;
            let plain = shared.iter().map(|(name, v)| ((*name).to_owned(), v.cloned()));
            let plain: AnnotationChanges = plain.collect();
            known.into_iter().collect::<Annotations>().changed(&plain)?;
            let key = SettingsKey::Module(SERVER_MODULE.to_owned());
            let change = |old: &Dictionary| {
                let mut new = old.clone();
                for (name, value) in &shared {
                    match value {
                        Some(value) => {
                            new.insert((*name).to_owned(), Value::Data(value.to_vec()));
                        }
                        None => {
                            new.remove(*name);
                        }
                    }
                }
                Ok(new)
            };
            self.accounts.edit_dictionary(key, change).await.map_err(refused)?;
        }
        if !private.is_empty() {
            let record = self.find(&inbox).await?;
            let patch = AttributesPatch { annotations: private, ..AttributesPatch::default() };
            store
                .mailboxes
                .set_attributes(self.home.id, record.id, patch)
                .await
                .map_err(MailError::from)?;
        }
        Ok(())
    }
}

/// The refusal of an administrative operation in the words of mailboxes.
fn refused(error: OperationError) -> MailError {
    match error {
        OperationError::AccessDenied => MailError::NoPermission,
        OperationError::Later(why) => MailError::Unavailable(why),
        other => MailError::Invalid(other.to_string()),
    }
}

/// A mailbox class as given.
fn class(record: &MailboxRecord, value: Option<&Bytes>) -> Result<String, MailError> {
    let class = value.map_or(Some(""), |value| std::str::from_utf8(value).ok());
    let plain = |class: &&str| class.len() <= MAX_CLASS && !class.chars().any(char::is_control);
    let Some(class) = class.filter(plain) else {
        return Err(MailError::Invalid("this is no mailbox class".into()));
    };
    if record.name == "INBOX" && !super::listing::is_mail(class) {
        return Err(MailError::Invalid("INBOX holds mail".into()));
    }
    Ok(class.to_owned())
}

/// A special use as given.
fn special_use(value: Option<&Bytes>) -> Result<Option<SpecialUse>, AnnotationError> {
    let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(None) };
    let known = std::str::from_utf8(value).ok().and_then(SpecialUse::parse);
    known.map(Some).ok_or(AnnotationError::SpecialUse)
}
