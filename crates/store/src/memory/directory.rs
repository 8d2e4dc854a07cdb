//! Domains, accounts and other objects in memory, and settings with versions.

use std::collections::BTreeMap;
use std::ops::Bound;

use async_trait::async_trait;

use super::mailboxes::Mail;
use super::{Memory, State, invalid};
use crate::directory::{
    AccountRecord, Directory, DomainObject, DomainRecord, ObjectCounts, ObjectPage, SettingsKey,
    Versioned,
};
use crate::error::{Result, StoreError};
use crate::feed::Change;
use crate::ids::AccountId;
use crate::mailboxes::NewMailbox;
use angarium_objects::value::Dictionary;

/// What is in the way of a new name.
fn exists(object: &DomainObject) -> StoreError {
    StoreError::Exists(match object {
        DomainObject::Account(_) => "account",
        DomainObject::Alias(_) => "alias",
        DomainObject::Forwarder(_) => "forwarder",
        DomainObject::Group(_) => "group",
        DomainObject::List(_) => "list",
    })
}

fn check_version(current: u64, expected: Option<u64>) -> Result<()> {
    if expected.is_some_and(|expected| expected != current) {
        return Err(StoreError::VersionConflict);
    }
    Ok(())
}

impl State {
    /// The names of a domain.
    fn names(&mut self, domain: &str) -> Result<&mut BTreeMap<String, DomainObject>> {
        self.objects.get_mut(domain).ok_or(StoreError::NotFound("domain"))
    }

    fn account_mut(&mut self, id: AccountId) -> Result<&mut AccountRecord> {
        self.accounts.get_mut(&id).ok_or(StoreError::NotFound("account"))
    }

    /// Refuses the domain names that are taken by a domain other than `owner`.
    fn check_domain_names(&self, names: &[String], owner: Option<&str>) -> Result<()> {
        for (index, name) in names.iter().enumerate() {
            if name.is_empty() {
                return invalid("a domain name is never empty");
            }
            let theirs = self.domains.values().any(|domain| {
                owner != Some(&domain.name)
                    && (domain.name == *name || domain.aliases.contains(name))
            });
            if theirs || names[..index].contains(name) {
                return Err(StoreError::Exists("domain"));
            }
        }
        Ok(())
    }

    /// Refuses a name and aliases for an account in a domain when something else has one of them.
    fn check_account_names(
        &mut self,
        domain: &str,
        name: &str,
        aliases: &[String],
        owner: Option<AccountId>,
    ) -> Result<()> {
        let names = self.names(domain)?;
        if name.is_empty() || aliases.iter().any(String::is_empty) {
            return invalid("a name is never empty");
        }
        match names.get(name) {
            Some(DomainObject::Account(id)) if Some(*id) == owner => {}
            Some(object) => return Err(exists(object)),
            None => {}
        }
        for (index, alias) in aliases.iter().enumerate() {
            match names.get(alias) {
                Some(DomainObject::Alias(id)) if Some(*id) == owner => {}
                Some(object) => return Err(exists(object)),
                None => {}
            }
            if alias == name {
                return Err(StoreError::Exists("account"));
            }
            if aliases[..index].contains(alias) {
                return Err(StoreError::Exists("alias"));
            }
        }
        Ok(())
    }

    /// Makes the names of an account those of its record, which has been checked.
    fn put_names(&mut self, old: Option<&AccountRecord>, new: Option<&AccountRecord>) {
        if let Some(old) = old
            && let Some(names) = self.objects.get_mut(&old.domain)
        {
            names.remove(&old.name);
            old.aliases.iter().for_each(|alias| drop(names.remove(alias)));
        }
        if let Some(new) = new
            && let Some(names) = self.objects.get_mut(&new.domain)
        {
            names.insert(new.name.clone(), DomainObject::Account(new.id));
            for alias in &new.aliases {
                names.insert(alias.clone(), DomainObject::Alias(new.id));
            }
        }
    }

    /// Removes an account with its names and mail.
    fn remove_account(&mut self, id: AccountId, told: &mut Vec<Change>) -> Result<()> {
        let record = self.accounts.remove(&id).ok_or(StoreError::NotFound("account"))?;
        self.put_names(Some(&record), None);
        let mail = self.mail.remove(&id).unwrap_or_default();
        for entry in mail.boxes.values().flat_map(|mailbox| mailbox.entries.values()) {
            self.bodies.release(entry.body);
        }
        let files = self.files.remove(&id).unwrap_or_default();
        for piece in files.into_values().filter_map(|file| file.pieces).flatten() {
            self.bodies.release(piece);
        }
        let removed = mail.boxes.into_keys().collect();
        told.push(Change::Mailboxes { account: id, removed, changed: Vec::new() });
        told.push(Change::Account(id));
        Ok(())
    }

    /// The accounts of a domain.
    fn accounts_in(&self, domain: &str) -> Vec<AccountId> {
        let theirs = self.accounts.values().filter(|record| record.domain == domain);
        theirs.map(|record| record.id).collect()
    }
}

fn is_plain(object: &DomainObject) -> bool {
    matches!(object, DomainObject::Forwarder(_) | DomainObject::Group(_) | DomainObject::List(_))
}

fn check_page(limit: usize) -> Result<()> {
    if (1..=ObjectPage::MAX_LIMIT).contains(&limit) {
        return Ok(());
    }
    invalid("a page has 1 to 10,000 objects")
}

impl Memory {
    /// A page of the names of a domain whose objects a test takes.
    fn page(
        &self,
        domain: &str,
        after: Option<&str>,
        limit: usize,
        takes: fn(&DomainObject) -> bool,
    ) -> Result<ObjectPage> {
        check_page(limit)?;
        self.read(|state| {
            let names = state.objects.get(domain).ok_or(StoreError::NotFound("domain"))?;
            let mut rest = names
                .iter()
                .filter(|(name, object)| after.is_none_or(|a| name.as_str() > a) && takes(object));
            let objects: Vec<_> =
                rest.by_ref().take(limit).map(|(name, o)| (name.clone(), o.clone())).collect();
            let next = rest.next().and(objects.last()).map(|(name, _)| name.clone());
            Ok(ObjectPage { objects, next })
        })
    }
}

#[async_trait]
impl Directory for Memory {
    async fn settings(&self, key: &SettingsKey) -> Result<Versioned<Dictionary>> {
        self.read(|state| {
            let never = Versioned { version: 0, value: Dictionary::new() };
            Ok(state.settings.get(key).cloned().unwrap_or(never))
        })
    }

    async fn set_settings(
        &self,
        key: &SettingsKey,
        value: Dictionary,
        expected: Option<u64>,
    ) -> Result<u64> {
        self.change(|state, told| {
            let current = state.settings.get(key).map_or(0, |stored| stored.version);
            check_version(current, expected)?;
            let version = current + 1;
            state.settings.insert(key.clone(), Versioned { version, value });
            told.push(Change::Settings);
            Ok(version)
        })
    }

    async fn modules(&self) -> Result<Vec<String>> {
        self.read(|state| {
            let set = state.settings.iter().filter(|(_, stored)| !stored.value.is_empty());
            let mut names: Vec<String> = set
                .filter_map(|(key, _)| match key {
                    SettingsKey::Module(name) => Some(name.clone()),
                    _ => None,
                })
                .collect();
            names.sort_unstable();
            Ok(names)
        })
    }

    async fn domains(&self) -> Result<Vec<String>> {
        self.read(|state| Ok(state.domains.keys().cloned().collect()))
    }

    async fn domain(&self, name: &str) -> Result<Option<DomainRecord>> {
        self.read(|state| {
            let by_alias = |record: &&DomainRecord| record.aliases.iter().any(|a| a == name);
            let found = state.domains.get(name);
            Ok(found.or_else(|| state.domains.values().find(by_alias)).cloned())
        })
    }

    async fn create_domain(&self, mut record: DomainRecord) -> Result<DomainRecord> {
        self.change(|state, told| {
            let mut names = vec![record.name.clone()];
            names.extend(record.aliases.iter().cloned());
            state.check_domain_names(&names, None)?;
            record.version = 1;
            state.domains.insert(record.name.clone(), record.clone());
            state.objects.insert(record.name.clone(), BTreeMap::new());
            told.push(Change::Domain(record.name.clone()));
            Ok(record)
        })
    }

    async fn update_domain(
        &self,
        mut record: DomainRecord,
        expected: Option<u64>,
    ) -> Result<DomainRecord> {
        self.change(|state, told| {
            let stored = state.domains.get(&record.name).ok_or(StoreError::NotFound("domain"))?;
            check_version(stored.version, expected)?;
            record.version = stored.version + 1;
            let mut names = vec![record.name.clone()];
            names.extend(record.aliases.iter().cloned());
            state.check_domain_names(&names, Some(&record.name))?;
            state.domains.insert(record.name.clone(), record.clone());
            told.push(Change::Domain(record.name.clone()));
            Ok(record)
        })
    }

    async fn rename_domain(&self, from: &str, to: &str) -> Result<()> {
        self.change(|state, told| {
            if !state.domains.contains_key(from) {
                return Err(StoreError::NotFound("domain"));
            }
            state.check_domain_names(&[to.to_owned()], None)?;
            if let Some(mut record) = state.domains.remove(from) {
                record.name = to.to_owned();
                record.version += 1;
                state.domains.insert(to.to_owned(), record);
            }
            let names = state.objects.remove(from).unwrap_or_default();
            state.objects.insert(to.to_owned(), names);
            told.push(Change::Domain(from.to_owned()));
            told.push(Change::Domain(to.to_owned()));
            for id in state.accounts_in(from) {
                let record = state.account_mut(id)?;
                record.domain = to.to_owned();
                record.version += 1;
                told.push(Change::Account(id));
            }
            Ok(())
        })
    }

    async fn delete_domain(&self, name: &str, force: bool) -> Result<()> {
        self.change(|state, told| {
            if !state.domains.contains_key(name) {
                return Err(StoreError::NotFound("domain"));
            }
            let accounts = state.accounts_in(name);
            if !force && !accounts.is_empty() {
                return invalid("the domain still has accounts");
            }
            for id in accounts {
                state.remove_account(id, told)?;
            }
            state.domains.remove(name);
            state.objects.remove(name);
            told.push(Change::Domain(name.to_owned()));
            Ok(())
        })
    }

    async fn lookup(&self, domain: &str, name: &str) -> Result<Option<DomainObject>> {
        self.read(|state| {
            let names = state.objects.get(domain).ok_or(StoreError::NotFound("domain"))?;
            Ok(names.get(name).cloned())
        })
    }

    async fn objects(&self, domain: &str, after: Option<&str>, limit: usize) -> Result<ObjectPage> {
        self.page(domain, after, limit, |_| true)
    }

    async fn put_object(
        &self,
        domain: &str,
        name: &str,
        object: DomainObject,
        replace: bool,
    ) -> Result<()> {
        self.change(|state, told| {
            let names = state.names(domain)?;
            if !is_plain(&object) || name.is_empty() {
                return invalid("only a forwarder, a group or a list with a name is put");
            }
            if let Some(there) = names.get(name) {
                let same = std::mem::discriminant(there) == std::mem::discriminant(&object);
                if !(replace && same) {
                    return Err(exists(there));
                }
            }
            names.insert(name.to_owned(), object);
            told.push(Change::Domain(domain.to_owned()));
            Ok(())
        })
    }

    async fn remove_object(&self, domain: &str, name: &str) -> Result<()> {
        self.change(|state, told| {
            let names = state.names(domain)?;
            if !names.get(name).is_some_and(is_plain) {
                return Err(StoreError::NotFound("object"));
            }
            names.remove(name);
            told.push(Change::Domain(domain.to_owned()));
            Ok(())
        })
    }

    async fn rename_object(&self, domain: &str, from: &str, to: &str) -> Result<()> {
        self.change(|state, told| {
            let names = state.names(domain)?;
            let Some(object) = names.get(from).filter(|object| is_plain(object)).cloned() else {
                return Err(StoreError::NotFound("object"));
            };
            if to.is_empty() {
                return invalid("a name is never empty");
            }
            if let Some(there) = names.get(to) {
                return Err(exists(there));
            }
            names.remove(from);
            names.insert(to.to_owned(), object);
            told.push(Change::Domain(domain.to_owned()));
            Ok(())
        })
    }

    async fn plain_objects(
        &self,
        domain: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<ObjectPage> {
        self.page(domain, after, limit, is_plain)
    }

    async fn counts(&self, domain: &str) -> Result<ObjectCounts> {
        self.read(|state| {
            let names = state.objects.get(domain).ok_or(StoreError::NotFound("domain"))?;
            let mut counts = ObjectCounts::default();
            for object in names.values() {
                *match object {
                    DomainObject::Account(_) => &mut counts.accounts,
                    DomainObject::Alias(_) => &mut counts.aliases,
                    DomainObject::Forwarder(_) => &mut counts.forwarders,
                    DomainObject::Group(_) => &mut counts.groups,
                    DomainObject::List(_) => &mut counts.lists,
                } += 1;
            }
            Ok(counts)
        })
    }

    async fn create_account_with(
        &self,
        mut record: AccountRecord,
        mailboxes: Vec<NewMailbox>,
        now: i64,
    ) -> Result<AccountRecord> {
        self.change(|state, told| {
            state.check_account_names(&record.domain, &record.name, &record.aliases, None)?;
            record.id = AccountId(state.ids.take());
            record.version = 1;
            record.aliases.sort();
            let mut mail = Mail::with_inbox(&mut state.ids, now);
            for mailbox in mailboxes {
                mail.create(&mut state.ids, mailbox)?;
            }
            state.put_names(None, Some(&record));
            state.accounts.insert(record.id, record.clone());
            state.mail.insert(record.id, mail);
            told.push(Change::Account(record.id));
            Ok(record)
        })
    }

    async fn account(&self, id: AccountId) -> Result<Option<AccountRecord>> {
        self.read(|state| Ok(state.accounts.get(&id).cloned()))
    }

    async fn accounts(
        &self,
        domain: &str,
        after: AccountId,
        limit: usize,
    ) -> Result<Vec<AccountRecord>> {
        check_page(limit)?;
        self.read(|state| {
            if !state.objects.contains_key(domain) {
                return Err(StoreError::NotFound("domain"));
            }
            let later = state.accounts.range((Bound::Excluded(after), Bound::Unbounded));
            let theirs = later.map(|(_, record)| record).filter(|r| r.domain == domain);
            Ok(theirs.take(limit).cloned().collect())
        })
    }

    async fn update_account(
        &self,
        mut record: AccountRecord,
        expected: Option<u64>,
    ) -> Result<AccountRecord> {
        self.change(|state, told| {
            let old = state.account_mut(record.id)?.clone();
            check_version(old.version, expected)?;
            if old.domain != record.domain || old.name != record.name {
                return invalid("an update does not rename an account");
            }
            let (domain, name) = (&record.domain, &record.name);
            state.check_account_names(domain, name, &record.aliases, Some(old.id))?;
            record.version = old.version + 1;
            record.aliases.sort();
            state.put_names(Some(&old), Some(&record));
            state.accounts.insert(record.id, record.clone());
            told.push(Change::Account(record.id));
            Ok(record)
        })
    }

    async fn rename_account(
        &self,
        id: AccountId,
        domain: &str,
        name: &str,
    ) -> Result<AccountRecord> {
        self.change(|state, told| {
            let old = state.account_mut(id)?.clone();
            if old.domain == domain && old.name == name {
                return Err(StoreError::Exists("account"));
            }
            state.check_account_names(domain, name, &old.aliases, Some(id))?;
            let mut record = old.clone();
            record.domain = domain.to_owned();
            record.name = name.to_owned();
            record.version += 1;
            state.put_names(Some(&old), Some(&record));
            state.accounts.insert(id, record.clone());
            told.push(Change::Account(id));
            Ok(record)
        })
    }

    async fn delete_account(&self, id: AccountId) -> Result<()> {
        self.change(|state, told| state.remove_account(id, told))
    }
}
