//! Taking over accounts from a list: what a row becomes, and many rows at a time. A row is made
//! whole or not at all, and one that is there already as the list says is left as it is, so that
//! an import that was cut off is finished by running it again (SYS-35, ABU-67).

use std::collections::HashSet;
use std::sync::Arc;

use angarium_objects::import::account_list::{AccountRow, RowPassword};
use angarium_objects::name::FullName;
use angarium_objects::password::{HASH_MARK, StoredPassword, recognise};
use angarium_objects::rights::{
    CAN_CREATE_ACCOUNTS, CAN_CREATE_ALIASES, CAN_CREATE_SPECIAL_ACCOUNTS,
};
use angarium_objects::settings::{self, Scope};
use angarium_objects::spelling::{self, Limit};
use angarium_objects::value::Value;
use angarium_store::{AccountKind, AccountRecord, DomainObject, StoreError};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::beginnings::{alias_names, mailbox_names};
use super::domains::filtered;
use super::{NewAccount, OperationError, kind_extension, kind_from_word};
use crate::{Accounts, Actor};

/// Most rows taken at a time.
pub const MAX_ROWS: usize = 2_000;
/// Rows under way together: enough for the store to sync many at once.
const AT_ONCE: usize = 128;

/// What became of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Imported {
    /// The account was made.
    Made,
    /// It could be made; nothing was changed, as asked.
    Fits,
    /// An account as the row describes it is there already; its password may be another.
    There,
    /// An account of this name is there and is not as the row says, in these points. It stays as
    /// it is.
    Differs(Vec<String>),
}

impl Accounts {
    /// Makes the accounts of these rows, at most [`MAX_ROWS`] together, or with `check_only` only
    /// tells whether they could be made. Each row stands alone; of two with a name in common the
    /// first counts. The answers are in the order of the rows; warnings are added to the rows'.
    ///
    /// # Errors
    /// Too many rows. What is wrong with a row is its own answer.
    pub async fn import_accounts(
        self: &Arc<Self>,
        actor: &Actor,
        rows: Vec<AccountRow>,
        check_only: bool,
    ) -> Result<Vec<(AccountRow, Result<Imported, OperationError>)>, OperationError> {
        if rows.len() > MAX_ROWS {
            return Err(OperationError::LimitExceeded(format!("{MAX_ROWS} rows at a time")));
        }
        let together = if self.is_near_a_limit(actor, &rows).await? { 1 } else { AT_ONCE };
        let slots = Arc::new(Semaphore::new(together));
        let mut all: Vec<_> = rows.iter().map(|_| None).collect();
        let mut under_way: JoinSet<(usize, AccountRow, Result<Imported, OperationError>)> =
            JoinSet::new();
        let mut names = HashSet::new();
        for (at, mut row) in rows.into_iter().enumerate() {
            // Without the domain, which may be left out of one of two equal names.
            let local = |name: &String| {
                name.split_once('@').map_or(name.as_str(), |(local, _)| local).to_lowercase()
            };
            let taken: Vec<String> =
                std::iter::once(&row.name).chain(&row.aliases).map(local).collect();
            // Only together can the order of two rows get lost.
            if taken.iter().any(|name| names.contains(name)) {
                finish(&mut under_way, &mut all).await;
                names.clear();
            }
            names.extend(taken);
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { break };
            let (accounts, actor) = (Arc::clone(self), actor.clone());
            under_way.spawn(async move {
                let outcome = Box::pin(accounts.import_account(&actor, &mut row, check_only)).await;
                drop(slot);
                (at, row, outcome)
            });
        }
        finish(&mut under_way, &mut all).await;
        let lost = || (AccountRow::default(), Err(OperationError::Later("cut off".to_owned())));
        Ok(all.into_iter().map(|one| one.unwrap_or_else(lost)).collect())
    }

    /// Whether these rows could pass the limit of accounts of a domain: they are then counted one
    /// by one.
    async fn is_near_a_limit(
        &self,
        actor: &Actor,
        rows: &[AccountRow],
    ) -> Result<bool, OperationError> {
        let authority = self.authority(actor).await?;
        let mut domains = HashSet::new();
        for row in rows {
            if let Ok(full) = FullName::read(&row.name, &authority.domain) {
                domains.insert(full.domain);
            }
        }
        for domain in domains {
            let Some(facts) = self.domain_facts(&domain).await? else { continue };
            let limit = facts.effective.get("AccountsLimit").and_then(spelling::count);
            if let Some(Limit::Of(limit)) = limit {
                let there = self.store.directory.counts(&facts.record.name).await?.accounts;
                if limit.saturating_sub(there) <= rows.len() as u64 {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Makes the account of a row, or tells whether it could be made.
    async fn import_account(
        &self,
        actor: &Actor,
        row: &mut AccountRow,
        check_only: bool,
    ) -> Result<Imported, OperationError> {
        let kind = match &row.kind {
            Some(word) => Some(
                kind_from_word(word)
                    .ok_or_else(|| OperationError::Syntax("unknown account type".to_owned()))?,
            ),
            None => None,
        };
        let authority = self.authority(actor).await?;
        let full = self.full_name(&authority, &row.name).await?;
        self.need_in_domain(&authority, &full.domain, CAN_CREATE_ACCOUNTS).await?;
        let mut account = NewAccount {
            name: full.to_string(),
            kind,
            legacy: false,
            settings: filtered(&authority, Scope::Account, row.settings.clone()),
            aliases: row.aliases.clone(),
            mailboxes: row.mailboxes.clone(),
        };
        for key in row.settings.keys().filter(|key| !account.settings.contains_key(*key)) {
            row.warnings.push(format!("{key} is not taken: insufficient access rights"));
        }
        if let Some(there) = self.store.directory.lookup(&full.domain, &full.name).await? {
            return self.compared(there, &account).await;
        }
        match &row.password {
            Some(RowPassword::Hash(hash)) => {
                let stored = format!("{HASH_MARK}{hash}");
                if let Some(warning) = never_matches(&stored) {
                    row.warnings.push(warning);
                }
                account.settings.insert("Password".to_owned(), Value::String(stored));
            }
            Some(RowPassword::Clear(clear)) => {
                account.settings.insert("Password".to_owned(), Value::from(clear.as_str()));
            }
            None => {}
        }
        if check_only {
            self.would_fit(actor, &account, &full).await?;
            return Ok(Imported::Fits);
        }
        self.create_account(actor, account).await?;
        Ok(Imported::Made)
    }

    /// What making an account would be refused for.
    async fn would_fit(
        &self,
        actor: &Actor,
        account: &NewAccount,
        full: &FullName,
    ) -> Result<(), OperationError> {
        let authority = self.authority(actor).await?;
        if account.kind.is_some_and(|kind| kind_extension(kind) != "macnt") {
            self.need_in_domain(&authority, &full.domain, CAN_CREATE_SPECIAL_ACCOUNTS).await?;
        }
        if !account.aliases.is_empty() {
            self.need_in_domain(&authority, &full.domain, CAN_CREATE_ALIASES).await?;
        }
        for alias in alias_names(&account.aliases, &full.name)? {
            match self.store.directory.lookup(&full.domain, &alias).await? {
                None => {}
                Some(DomainObject::Account(_)) => return Err(OperationError::AccountExists),
                Some(DomainObject::Alias(_)) => return Err(OperationError::AliasExists),
                Some(DomainObject::Forwarder(_)) => return Err(OperationError::ForwarderExists),
                Some(DomainObject::Group(_)) => return Err(OperationError::GroupExists),
                Some(DomainObject::List(_)) => return Err(OperationError::ListExists),
            }
        }
        mailbox_names(&account.mailboxes)?;
        settings::replace(Scope::Account, &account.settings)?;
        let domain = self.domain_facts(&full.domain).await?.ok_or(OperationError::UnknownDomain)?;
        let limit = domain.effective.get("AccountsLimit").and_then(spelling::count);
        if let Some(Limit::Of(limit)) = limit
            && self.store.directory.counts(&full.domain).await?.accounts >= limit
        {
            return Err(OperationError::LimitExceeded("accounts of the domain".to_owned()));
        }
        Ok(())
    }

    /// Holds what has the name of a row against the row.
    async fn compared(
        &self,
        there: DomainObject,
        wanted: &NewAccount,
    ) -> Result<Imported, OperationError> {
        let id = match there {
            DomainObject::Account(id) => id,
            DomainObject::Alias(_) => return Err(OperationError::AliasExists),
            DomainObject::Forwarder(_) => return Err(OperationError::ForwarderExists),
            DomainObject::Group(_) => return Err(OperationError::GroupExists),
            DomainObject::List(_) => return Err(OperationError::ListExists),
        };
        let record = self.store.directory.account(id).await?;
        let record = record.ok_or(StoreError::NotFound("account"))?;
        let points = differences(&record, wanted)?;
        Ok(if points.is_empty() { Imported::There } else { Imported::Differs(points) })
    }
}

/// Waits for the rows under way and puts their answers where they belong.
async fn finish(
    under_way: &mut JoinSet<(usize, AccountRow, Result<Imported, OperationError>)>,
    all: &mut [Option<(AccountRow, Result<Imported, OperationError>)>],
) {
    while let Some(ended) = under_way.join_next().await {
        match ended {
            Ok((at, row, outcome)) => {
                if let Some(place) = all.get_mut(at) {
                    *place = Some((row, outcome));
                }
            }
            Err(error) => tracing::error!("a row of an import was cut off: {error}"),
        }
    }
}

/// In what an account is not as a row says: its type, other names and settings. Mailboxes come and
/// go with their owner's wishes, and a password may have been changed or stored anew; they say
/// nothing.
fn differences(record: &AccountRecord, wanted: &NewAccount) -> Result<Vec<String>, OperationError> {
    let mut points = Vec::new();
    if wanted.kind.unwrap_or(AccountKind::MultiMailbox) != record.kind {
        points.push("Type".to_owned());
    }
    for alias in alias_names(&wanted.aliases, &record.name)? {
        if !record.aliases.contains(&alias) {
            points.push(format!("alias {alias}"));
        }
    }
    for (key, value) in settings::replace(Scope::Account, &wanted.settings)? {
        if record.settings.get(&key) != Some(&value) {
            points.push(key);
        }
    }
    Ok(points)
}

/// Why nobody will ever get in with a hash.
fn never_matches(stored: &str) -> Option<String> {
    match recognise(stored) {
        StoredPassword::Unknown | StoredPassword::Empty => {
            Some("the hash has a form that this server does not know and never matches".to_owned())
        }
        StoredPassword::Known(name) => {
            Some(format!("{name} hashes are not verified: this one never matches"))
        }
        _ => None,
    }
}
