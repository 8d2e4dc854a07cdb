//! Listing the objects of a domain, page by page.

use angarium_objects::value::{Dictionary, Value};
use angarium_store::{AccountKind, DomainObject};

use super::{ObjectKinds, ObjectListing, OperationError, kind_extension};
use crate::{Accounts, Actor};

/// Names read from the store at a time.
const PAGE: usize = 1_000;
/// Most names in one answer.
pub(crate) const MAX_LISTED: usize = 100_000;

impl Accounts {
    /// All objects of a domain that a test takes, as `(name, object)`.
    pub(super) async fn objects_where(
        &self,
        domain: &str,
        take: impl Fn(&DomainObject) -> bool + Send + Sync,
    ) -> Result<Vec<(String, DomainObject)>, OperationError> {
        let mut all = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = self.store.directory.objects(domain, after.as_deref(), PAGE).await?;
            all.extend(page.objects.into_iter().filter(|(_, object)| take(object)));
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(all),
            }
        }
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
        let authority = self.authority(actor).await?;
        let facts = self.named_domain(&authority, domain).await?;
        self.need_read(&authority, &facts.record.name).await?;
        let is_account = |object: &DomainObject| matches!(object, DomainObject::Account(_));
        let mut all = Vec::new();
        for (name, object) in self.objects_where(&facts.record.name, is_account).await? {
            if let DomainObject::Account(id) = object
                && let Some(record) = self.account_record(id).await?
            {
                all.push((name, record.kind));
            }
        }
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
        let mut listing = ObjectListing {
            accounts: 0,
            objects: Dictionary::new(),
            aliases: 0,
            forwarders: 0,
            cookie: cookie.map(|_| String::new()),
        };
        let from = cookie.unwrap_or_default();
        let mut last = String::new();
        let not_group = |object: &DomainObject| !matches!(object, DomainObject::Group(_));
        for (name, object) in self.objects_where(domain, not_group).await? {
            let wanted = match &object {
                DomainObject::Account(_) => {
                    listing.accounts += 1;
                    kinds.accounts
                }
                DomainObject::Alias(_) => {
                    listing.aliases += 1;
                    kinds.aliases
                }
                DomainObject::Forwarder(_) => {
                    listing.forwarders += 1;
                    kinds.forwarders
                }
                DomainObject::Group(_) => false,
            };
            if !wanted || name.as_str() <= from || !name.contains(&filter) {
                continue;
            }
            if listing.objects.len() >= limit {
                if let Some(cookie) = &mut listing.cookie {
                    cookie.clone_from(&last);
                }
                continue;
            }
            let value = match object {
                DomainObject::Account(id) => {
                    let Some(record) = self.account_record(id).await? else { continue };
                    Value::from(kind_extension(record.kind))
                }
                DomainObject::Alias(id) => {
                    let Some(record) = self.account_record(id).await? else { continue };
                    Value::Array(vec![Value::from(record.name.as_str())])
                }
                DomainObject::Forwarder(address) => {
                    Value::Array(vec![Value::Array(vec![Value::from(address)])])
                }
                DomainObject::Group(_) => continue,
            };
            last.clone_from(&name);
            listing.objects.insert(name, value);
        }
        Ok(listing)
    }
}
