//! Listing the objects of a domain, page by page.

use angarium_objects::mailing_list::OWNER;
use angarium_objects::spelling;
use angarium_objects::value::{Dictionary, Value};
use angarium_store::{AccountId, AccountKind, AccountRecord, DomainObject};

use super::{ObjectKinds, ObjectListing, OperationError, kind_extension};
use crate::{Accounts, Actor};

/// Names read from the store at a time.
const PAGE: usize = 1_000;
/// Most names in one answer.
pub(crate) const MAX_LISTED: usize = 100_000;

/// Most names looked up in one question.
const MAX_FOUND: usize = 1_000;
/// Accounts read from the store at a time.
const ACCOUNTS: usize = 500;

impl Accounts {
    /// The forwarders and groups of a domain that a test takes, by name.
    pub(super) async fn plain_objects_where(
        &self,
        domain: &str,
        take: impl Fn(&DomainObject) -> bool + Send + Sync,
    ) -> Result<Vec<(String, DomainObject)>, OperationError> {
        let mut all = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = self.store.directory.plain_objects(domain, after.as_deref(), PAGE).await?;
            all.extend(page.objects.into_iter().filter(|(_, object)| take(object)));
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(all),
            }
        }
    }

    /// Calls a function with every account of a domain, in no order anybody knows. The records
    /// pass by the memory of the directory, which is for those in use.
    pub(super) async fn each_account(
        &self,
        domain: &str,
        mut each: impl FnMut(AccountRecord) + Send,
    ) -> Result<(), OperationError> {
        let mut after = AccountId(0);
        loop {
            let page = self.store.directory.accounts(domain, after, ACCOUNTS).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id;
            page.into_iter().for_each(&mut each);
        }
    }

    /// The accounts of a domain, sorted, each with whether it has a password of its own and no
    /// longer waits for one from outside.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn settled_accounts(
        &self,
        actor: &Actor,
        domain: &str,
    ) -> Result<Vec<(String, bool)>, OperationError> {
        let facts = self.readable_domain(actor, domain).await?;
        let mut all = Vec::new();
        self.each_account(&facts.record.name, |record| {
            let own = record.settings.get("Password").and_then(Value::as_str);
            let waits = record.settings.get("UseExtPassword").and_then(spelling::boolean);
            let settled = own.is_some_and(|own| !own.is_empty()) && waits != Some(true);
            all.push((record.name, settled));
        })
        .await?;
        all.sort_unstable();
        Ok(all)
    }

    /// Accounts of a domain, sorted.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn list_accounts(
        &self,
        actor: &Actor,
        domain: &str,
    ) -> Result<Vec<(String, AccountKind)>, OperationError> {
        let facts = self.readable_domain(actor, domain).await?;
        let mut all = Vec::new();
        self.each_account(&facts.record.name, |record| all.push((record.name, record.kind)))
            .await?;
        all.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        Ok(all)
    }

    /// A page of the objects of a domain (LISTDOMAINOBJECTS): at most `limit` whose names contain
    /// `filter`. With a cookie (empty at first) the answer has one to go on with.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn list_domain_objects(
        &self,
        actor: &Actor,
        domain: &str,
        filter: &str,
        limit: usize,
        kinds: ObjectKinds,
        cookie: Option<&str>,
    ) -> Result<ObjectListing, OperationError> {
        let authority = self.authority(actor).await?;
        let facts = self.named_domain(&authority, domain).await?;
        let domain = &facts.record.name;
        self.need_read(&authority, domain).await?;
        let (limit, filter) = (limit.min(MAX_LISTED), filter.to_lowercase());
        let counts = self.store.directory.counts(domain).await?;
        let mut listing = ObjectListing {
            accounts: counts.accounts,
            objects: Dictionary::new(),
            aliases: counts.aliases,
            forwarders: counts.forwarders,
            cookie: cookie.map(|_| String::new()),
        };
        let wanted = |object: &DomainObject| match object {
            DomainObject::Account(_) => kinds.accounts,
            DomainObject::Alias(_) => kinds.aliases,
            DomainObject::Forwarder(_) => kinds.forwarders,
            DomainObject::Group(_) | DomainObject::List(_) => false,
        };
        // Accounts are stepped over only where somebody asks for them or for their other names.
        let with_accounts = kinds.accounts || kinds.aliases;
        let mut after = cookie.filter(|c| !c.is_empty()).map(str::to_owned);
        let mut last = String::new();
        loop {
            let directory = &self.store.directory;
            let page = if with_accounts {
                directory.objects(domain, after.as_deref(), PAGE).await?
            } else {
                directory.plain_objects(domain, after.as_deref(), PAGE).await?
            };
            for (name, object) in page.objects {
                if !wanted(&object) || !name.contains(&filter) {
                    continue;
                }
                if listing.objects.len() >= limit {
                    if let Some(cookie) = &mut listing.cookie {
                        *cookie = last;
                    }
                    return Ok(listing);
                }
                if let Some(value) = self.listed(object).await? {
                    last.clone_from(&name);
                    listing.objects.insert(name, value);
                }
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(listing),
            }
        }
    }

    /// What these names stand for in a domain (`""`: one's own), those that stand for nothing left
    /// out: name to a dictionary of `Kind` and, by kind, `Account` (the own name of an alias's
    /// account), `Address` (a forwarder's) or `Members` (a group's) or `Owner` (a list's). Without the Router.
    ///
    /// # Errors
    /// See [`OperationError`]; also more than 1,000 names.
    pub async fn find_objects(
        &self,
        actor: &Actor,
        domain: &str,
        names: &[String],
    ) -> Result<Dictionary, OperationError> {
        let authority = self.authority(actor).await?;
        let facts = self.named_domain(&authority, domain).await?;
        let domain = &facts.record.name;
        self.need_read(&authority, domain).await?;
        if names.len() > MAX_FOUND {
            return Err(OperationError::LimitExceeded(format!("{MAX_FOUND} names at a time")));
        }
        let mut found = Dictionary::new();
        for name in names {
            let name = name.to_lowercase();
            let Some(object) = self.store.directory.lookup(domain, &name).await? else { continue };
            let kind = |kind: &str| ("Kind".to_owned(), Value::from(kind));
            let described = match object {
                DomainObject::Account(_) => Dictionary::from([kind("account")]),
                DomainObject::Alias(id) => {
                    let Some(record) = self.account_record(id).await? else { continue };
                    let owner = ("Account".to_owned(), Value::from(record.name.as_str()));
                    Dictionary::from([kind("alias"), owner])
                }
                DomainObject::Forwarder(address) => {
                    let address = ("Address".to_owned(), Value::from(address));
                    Dictionary::from([kind("forwarder"), address])
                }
                DomainObject::Group(settings) => {
                    let members = settings.get("Members").cloned();
                    let members = members.unwrap_or_else(|| Value::Array(Vec::new()));
                    Dictionary::from([kind("group"), ("Members".to_owned(), members)])
                }
                DomainObject::List(list) => {
                    let owner = list.get(OWNER).cloned().unwrap_or_else(|| "".into());
                    Dictionary::from([kind("list"), (OWNER.to_owned(), owner)])
                }
            };
            found.insert(name, Value::Dictionary(described));
        }
        Ok(found)
    }

    /// How a listing shows an object; `None` when it went meanwhile.
    async fn listed(&self, object: DomainObject) -> Result<Option<Value>, OperationError> {
        Ok(match object {
            DomainObject::Account(id) => {
                let record = self.account_record(id).await?;
                record.map(|record| Value::from(kind_extension(record.kind)))
            }
            DomainObject::Alias(id) => {
                let record = self.account_record(id).await?;
                record.map(|record| Value::Array(vec![Value::from(record.name.as_str())]))
            }
            DomainObject::Forwarder(address) => {
                Some(Value::Array(vec![Value::Array(vec![Value::from(address)])]))
            }
            DomainObject::Group(_) | DomainObject::List(_) => None,
        })
    }
}
