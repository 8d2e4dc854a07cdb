//! Decisions on the directory: names are unique, versions match, records are whole.

use angarium_objects::value::Dictionary;
use angarium_store::{AccountId, AccountRecord, DomainObject, DomainRecord, Result, StoreError};

use super::invalid;
use crate::index::directory_rows as rows;
use crate::record::Record;
use crate::writer::Batch;

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

fn is_plain(object: &DomainObject) -> bool {
    matches!(object, DomainObject::Forwarder(_) | DomainObject::Group(_) | DomainObject::List(_))
}

fn check_version(current: u64, expected: Option<u64>) -> Result<()> {
    if expected.is_some_and(|expected| expected != current) {
        return Err(StoreError::VersionConflict);
    }
    Ok(())
}

fn must_be_domain(batch: &Batch<'_>, name: &str) -> Result<()> {
    if rows::is_domain(batch.tx.db, name)? { Ok(()) } else { Err(StoreError::NotFound("domain")) }
}

pub(crate) fn set_settings(
    batch: &mut Batch<'_>,
    name: String,
    value: Dictionary,
    expected: Option<u64>,
) -> Result<u64> {
    let current = rows::settings(batch.tx.db, &name)?.version;
    check_version(current, expected)?;
    let version = current + 1;
    batch.write(&[Record::Settings { name, version, value }], Vec::new())?;
    Ok(version)
}

/// Refuses domain names that are taken by a domain other than `owner`.
fn check_domain_names(
    batch: &Batch<'_>,
    name: &str,
    aliases: &[String],
    owner: Option<&str>,
) -> Result<()> {
    let mut seen = std::collections::HashSet::new();
    for name in std::iter::once(name).chain(aliases.iter().map(String::as_str)) {
        if name.is_empty() {
            return invalid("a domain name is never empty");
        }
        let db = batch.tx.db;
        let own = rows::is_domain(db, name)? && owner != Some(name);
        let alias = rows::domain_of_alias(db, name)?.is_some_and(|d| owner != Some(d.as_str()));
        if own || alias || !seen.insert(name) {
            return Err(StoreError::Exists("domain"));
        }
    }
    Ok(())
}

pub(crate) fn create_domain(
    batch: &mut Batch<'_>,
    mut record: DomainRecord,
) -> Result<DomainRecord> {
    check_domain_names(batch, &record.name, &record.aliases, None)?;
    record.version = 1;
    batch.write(&[Record::Domain { record: record.clone() }], Vec::new())?;
    Ok(record)
}

pub(crate) fn update_domain(
    batch: &mut Batch<'_>,
    mut record: DomainRecord,
    expected: Option<u64>,
) -> Result<DomainRecord> {
    let stored = rows::domain(batch.tx.db, &record.name)?.ok_or(StoreError::NotFound("domain"))?;
    check_version(stored.version, expected)?;
    check_domain_names(batch, &record.name, &record.aliases, Some(&record.name))?;
    record.version = stored.version + 1;
    batch.write(&[Record::Domain { record: record.clone() }], Vec::new())?;
    Ok(record)
}

pub(crate) fn rename_domain(batch: &mut Batch<'_>, from: String, to: String) -> Result<()> {
    must_be_domain(batch, &from)?;
    check_domain_names(batch, &to, &[], None)?;
    batch.write(&[Record::DomainRenamed { from, to }], Vec::new())
}

/// Answers the accounts that went with it.
pub(crate) fn delete_domain(
    batch: &mut Batch<'_>,
    name: String,
    force: bool,
) -> Result<Vec<AccountId>> {
    must_be_domain(batch, &name)?;
    let accounts = rows::accounts_in(batch.tx.db, &name)?;
    if !force && !accounts.is_empty() {
        return invalid("the domain still has accounts");
    }
    batch.write(&[Record::DomainRemoved { name }], Vec::new())?;
    Ok(accounts)
}

pub(crate) fn put_object(
    batch: &mut Batch<'_>,
    domain: String,
    name: String,
    object: DomainObject,
    replace: bool,
) -> Result<()> {
    must_be_domain(batch, &domain)?;
    if !is_plain(&object) || name.is_empty() {
        return invalid("only a forwarder, a group or a list with a name is put");
    }
    if let Some(there) = rows::object(batch.tx.db, &domain, &name)? {
        let same = std::mem::discriminant(&there) == std::mem::discriminant(&object);
        if !(replace && same) {
            return Err(exists(&there));
        }
    }
    batch.write(&[Record::Object { domain, name, object }], Vec::new())
}

fn plain_object(batch: &Batch<'_>, domain: &str, name: &str) -> Result<DomainObject> {
    must_be_domain(batch, domain)?;
    rows::object(batch.tx.db, domain, name)?.filter(is_plain).ok_or(StoreError::NotFound("object"))
}

pub(crate) fn remove_object(batch: &mut Batch<'_>, domain: String, name: String) -> Result<()> {
    plain_object(batch, &domain, &name)?;
    batch.write(&[Record::ObjectRemoved { domain, name }], Vec::new())
}

pub(crate) fn rename_object(
    batch: &mut Batch<'_>,
    domain: String,
    from: String,
    to: String,
) -> Result<()> {
    let object = plain_object(batch, &domain, &from)?;
    if to.is_empty() {
        return invalid("a name is never empty");
    }
    if let Some(there) = rows::object(batch.tx.db, &domain, &to)? {
        return Err(exists(&there));
    }
    let removed = Record::ObjectRemoved { domain: domain.clone(), name: from };
    batch.write(&[removed, Record::Object { domain, name: to, object }], Vec::new())
}

/// Refuses a name and aliases for an account in a domain when something else has one of them.
fn check_account_names(
    batch: &Batch<'_>,
    domain: &str,
    name: &str,
    aliases: &[String],
    owner: Option<AccountId>,
) -> Result<()> {
    must_be_domain(batch, domain)?;
    if name.is_empty() || aliases.iter().any(String::is_empty) {
        return invalid("a name is never empty");
    }
    match rows::object(batch.tx.db, domain, name)? {
        Some(DomainObject::Account(id)) if Some(id) == owner => {}
        Some(object) => return Err(exists(&object)),
        None => {}
    }
    let mut seen = std::collections::HashSet::new();
    for alias in aliases {
        match rows::object(batch.tx.db, domain, alias)? {
            Some(DomainObject::Alias(id)) if Some(id) == owner => {}
            Some(object) => return Err(exists(&object)),
            None => {}
        }
        if alias == name {
            return Err(StoreError::Exists("account"));
        }
        if !seen.insert(alias) {
            return Err(StoreError::Exists("alias"));
        }
    }
    Ok(())
}

pub(crate) fn check_new_account(batch: &Batch<'_>, record: &AccountRecord) -> Result<()> {
    check_account_names(batch, &record.domain, &record.name, &record.aliases, None)
}

/// `record.id` has been given out and its mail has room.
pub(crate) fn create_account(
    batch: &mut Batch<'_>,
    mut record: AccountRecord,
) -> Result<AccountRecord> {
    check_new_account(batch, &record)?;
    record.version = 1;
    record.aliases.sort();
    batch.write(&[Record::Account { record: record.clone() }], Vec::new())?;
    Ok(record)
}

fn stored_account(batch: &Batch<'_>, id: AccountId) -> Result<AccountRecord> {
    rows::account(batch.tx.db, id)?.ok_or(StoreError::NotFound("account"))
}

pub(crate) fn update_account(
    batch: &mut Batch<'_>,
    mut record: AccountRecord,
    expected: Option<u64>,
) -> Result<AccountRecord> {
    let old = stored_account(batch, record.id)?;
    check_version(old.version, expected)?;
    if old.domain != record.domain || old.name != record.name {
        return invalid("an update does not rename an account");
    }
    check_account_names(batch, &record.domain, &record.name, &record.aliases, Some(old.id))?;
    record.version = old.version + 1;
    record.aliases.sort();
    batch.write(&[Record::Account { record: record.clone() }], Vec::new())?;
    Ok(record)
}

pub(crate) fn rename_account(
    batch: &mut Batch<'_>,
    id: AccountId,
    domain: String,
    name: String,
) -> Result<AccountRecord> {
    let mut record = stored_account(batch, id)?;
    if record.domain == domain && record.name == name {
        return Err(StoreError::Exists("account"));
    }
    check_account_names(batch, &domain, &name, &record.aliases, Some(id))?;
    record.domain = domain;
    record.name = name;
    record.version += 1;
    batch.write(&[Record::Account { record: record.clone() }], Vec::new())?;
    Ok(record)
}

pub(crate) fn delete_account(batch: &mut Batch<'_>, id: AccountId) -> Result<()> {
    stored_account(batch, id)?;
    batch.write(&[Record::AccountRemoved { account: id }], Vec::new())
}
