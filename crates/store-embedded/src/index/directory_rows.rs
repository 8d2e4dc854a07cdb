//! Rows of the directory as readers and the writer read them.

use angarium_objects::value::Dictionary;
use angarium_store::{
    AccountId, AccountRecord, DomainObject, DomainRecord, ObjectCounts, ObjectPage, StoreError,
    Versioned,
};
use rusqlite::Connection;

use super::{all, misfit, one};
use crate::record::code::{Decoded, Get};
use crate::record::parts::MODULE_NAME;

fn readable<T>(found: Option<Decoded<T>>, what: &'static str) -> Result<Option<T>, StoreError> {
    found.transpose().map_err(|_| misfit(what))
}

/// A server-wide dictionary by its stored name.
pub(crate) fn settings(db: &Connection, name: &str) -> Result<Versioned<Dictionary>, StoreError> {
    let found = one(db, "SELECT version, value FROM settings WHERE name=?1", [name], |row| {
        let version = row.get(0)?;
        Ok(Get::new(row.get_ref(1)?.as_blob()?)
            .dictionary()
            .map(|value| Versioned { version, value }))
    })?;
    Ok(readable(found, "unreadable settings")?
        .unwrap_or(Versioned { version: 0, value: Dictionary::new() }))
}

/// Names of the modules whose dictionary holds something, sorted.
pub(crate) fn modules(db: &Connection) -> Result<Vec<String>, StoreError> {
    let text = "SELECT name, value FROM settings WHERE name >= ?1 ORDER BY name";
    let found: Vec<Option<Decoded<Option<String>>>> = all(db, text, [MODULE_NAME], |row| {
        let name: String = row.get(0)?;
        let Some(name) = name.strip_prefix(MODULE_NAME).map(str::to_owned) else {
            return Ok(None);
        };
        let value = Get::new(row.get_ref(1)?.as_blob()?).dictionary();
        Ok(Some(value.map(|value| (!value.is_empty()).then_some(name))))
    })?;
    let mut names = Vec::new();
    for one in found.into_iter().flatten() {
        names.extend(readable(Some(one), "unreadable settings")?.flatten());
    }
    Ok(names)
}

/// A domain by its own name.
pub(crate) fn domain(db: &Connection, name: &str) -> Result<Option<DomainRecord>, StoreError> {
    let found = one(db, "SELECT packed FROM domains WHERE name=?1", [name], |row| {
        Ok(Get::new(row.get_ref(0)?.as_blob()?).domain())
    })?;
    readable(found, "an unreadable domain")
}

/// The own name of the domain that has this alias.
pub(crate) fn domain_of_alias(db: &Connection, name: &str) -> Result<Option<String>, StoreError> {
    one(db, "SELECT domain FROM domain_aliases WHERE name=?1", [name], |row| row.get(0))
}

/// A domain by its own name or an alias.
pub(crate) fn find_domain(db: &Connection, name: &str) -> Result<Option<DomainRecord>, StoreError> {
    if let Some(found) = domain(db, name)? {
        return Ok(Some(found));
    }
    match domain_of_alias(db, name)? {
        Some(own) => domain(db, &own),
        None => Ok(None),
    }
}

pub(crate) fn domains(db: &Connection) -> Result<Vec<String>, StoreError> {
    all(db, "SELECT name FROM domains ORDER BY name", [], |row| row.get(0))
}

/// True if there is a domain of this own name.
pub(crate) fn is_domain(db: &Connection, name: &str) -> Result<bool, StoreError> {
    Ok(one(db, "SELECT 1 FROM domains WHERE name=?1", [name], |_| Ok(()))?.is_some())
}

/// What a name stands for.
pub(crate) fn object(
    db: &Connection,
    domain: &str,
    name: &str,
) -> Result<Option<DomainObject>, StoreError> {
    let found =
        one(db, "SELECT packed FROM objects WHERE domain=?1 AND name=?2", [domain, name], |row| {
            Ok(Get::new(row.get_ref(0)?.as_blob()?).object())
        })?;
    readable(found, "an unreadable object")
}

/// A page of names.
pub(crate) fn objects(
    db: &Connection,
    domain: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<ObjectPage, StoreError> {
    let text =
        "SELECT name, packed FROM objects WHERE domain=?1 AND name>?2 ORDER BY name LIMIT ?3";
    page(db, text, domain, after, limit)
}

/// A page of the names of forwarders, groups and lists. Its condition is that of the index
/// `objects_plain`, to the letter.
pub(crate) fn plain_objects(
    db: &Connection,
    domain: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<ObjectPage, StoreError> {
    let text = "SELECT name, packed FROM objects WHERE domain=?1 AND name>?2
        AND substr(packed,1,1)>x'02' ORDER BY name LIMIT ?3";
    page(db, text, domain, after, limit)
}

fn page(
    db: &Connection,
    text: &'static str,
    domain: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<ObjectPage, StoreError> {
    let rows = all(db, text, (domain, after.unwrap_or(""), limit as u64 + 1), |row| {
        Ok((row.get::<_, String>(0)?, Get::new(row.get_ref(1)?.as_blob()?).object()))
    })?;
    let more = rows.len() > limit;
    let mut page = ObjectPage::default();
    for (name, object) in rows.into_iter().take(limit) {
        page.objects.push((name, object.map_err(|_| misfit("an unreadable object"))?));
    }
    if more {
        page.next = page.objects.last().map(|(name, _)| name.clone());
    }
    Ok(page)
}

/// An account.
pub(crate) fn account(db: &Connection, id: AccountId) -> Result<Option<AccountRecord>, StoreError> {
    let found = one(db, "SELECT packed FROM accounts WHERE id=?1", [id.0], |row| {
        Ok(Get::new(row.get_ref(0)?.as_blob()?).account())
    })?;
    readable(found, "an unreadable account")
}

/// The accounts of a domain.
pub(crate) fn accounts_in(db: &Connection, domain: &str) -> Result<Vec<AccountId>, StoreError> {
    all(db, "SELECT id FROM accounts WHERE domain=?1 ORDER BY id", [domain], |row| {
        row.get(0).map(AccountId)
    })
}

/// How many names of each kind a domain has: kept by the triggers of the schema.
pub(crate) fn counts(db: &Connection, domain: &str) -> Result<ObjectCounts, StoreError> {
    let text = "SELECT kind, number FROM object_counts WHERE domain=?1";
    let mut counts = ObjectCounts::default();
    let rows = all(db, text, [domain], |row| {
        Ok((row.get_ref(0)?.as_blob()?.first().copied(), row.get::<_, u64>(1)?))
    })?;
    for (kind, number) in rows {
        match kind {
            Some(1) => counts.accounts = number,
            Some(2) => counts.aliases = number,
            Some(3) => counts.forwarders = number,
            Some(4) => counts.groups = number,
            Some(5) => counts.lists = number,
            _ => return Err(misfit("a count of no kind")),
        }
    }
    Ok(counts)
}

/// Accounts of a domain by id.
pub(crate) fn accounts(
    db: &Connection,
    domain: &str,
    after: AccountId,
    limit: usize,
) -> Result<Vec<AccountRecord>, StoreError> {
    let rows = all(
        db,
        "SELECT packed FROM accounts WHERE domain=?1 AND id>?2 ORDER BY id LIMIT ?3",
        (domain, after.0, limit as u64),
        |row| Ok(Get::new(row.get_ref(0)?.as_blob()?).account()),
    )?;
    rows.into_iter().map(|found| found.map_err(|_| misfit("an unreadable account"))).collect()
}
