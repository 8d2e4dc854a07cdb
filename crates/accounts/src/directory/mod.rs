//! Facts from the directory, kept in memory and dropped when the feed tells of a change: domains,
//! accounts, settings, and which network address belongs to which domain.
//!
//! A value read from the store is kept only if nothing changed while it was being read.

mod cache;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use angarium_objects::name::{self, FullName};
use angarium_objects::settings::{self, Scope};
use angarium_objects::value::{Dictionary, Value};
use angarium_routing::{Router, Table};
use angarium_store::{
    AccountId, AccountRecord, DomainObject, DomainRecord, SettingsKey, StoreError,
};

pub(crate) use cache::Facts;

use crate::Accounts;

/// A domain with its effective settings.
#[derive(Debug)]
pub struct Domain {
    /// As stored.
    pub record: DomainRecord,
    /// Its settings, all levels merged.
    pub effective: Dictionary,
}

impl Accounts {
    /// An account's record, from memory when it is there.
    ///
    /// # Errors
    /// As the store.
    pub async fn account_record(
        &self,
        id: AccountId,
    ) -> Result<Option<Arc<AccountRecord>>, StoreError> {
        if let Some(record) = self.facts.records.get(&id) {
            return Ok(Some(record));
        }
        let mark = self.facts.mark();
        let Some(record) = self.store.directory.account(id).await?.map(Arc::new) else {
            return Ok(None);
        };
        self.facts.keep(&self.facts.records, id, &record, mark);
        Ok(Some(record))
    }

    /// The effective settings of an account: its own, its service class, the domain's account
    /// defaults, the server's, the built-in ones.
    ///
    /// # Errors
    /// `NotFound("account")` and as the store.
    pub async fn effective_settings(&self, id: AccountId) -> Result<Arc<Dictionary>, StoreError> {
        if let Some(settings) = self.facts.effective.get(&id) {
            return Ok(settings);
        }
        let mark = self.facts.mark();
        let record = self.account_record(id).await?.ok_or(StoreError::NotFound("account"))?;
        let all = Arc::new(self.effective_of(&record.domain, &record.settings).await?);
        self.facts.keep(&self.facts.effective, id, &all, mark);
        Ok(all)
    }

    /// What the settings of an account with these explicit ones are in a domain.
    pub(crate) async fn effective_of(
        &self,
        domain: &str,
        own: &Dictionary,
    ) -> Result<Dictionary, StoreError> {
        let domain_wide = self.domain_facts(domain).await?;
        let defaults = self.dictionary(SettingsKey::DomainDefaults).await?;
        let server_wide = self.dictionary(SettingsKey::AccountDefaults).await?;
        let none = Dictionary::new();
        let inside = defaults.get("AccountDefaults").and_then(Value::as_dictionary);
        let domain_wide = domain_wide.as_ref().map_or(&none, |d| &d.record.account_defaults);
        let layers = [inside.unwrap_or(&none), &*server_wide, domain_wide];
        Ok(settings::effective_account(&layers, own))
    }

    /// Name of the Main Domain; empty before the first start.
    ///
    /// # Errors
    /// As the store.
    pub async fn main_domain(&self) -> Result<String, StoreError> {
        let server = self.dictionary(SettingsKey::Server).await?;
        Ok(server.get("DomainName").and_then(Value::as_str).unwrap_or_default().to_owned())
    }

    /// A domain of ours by its name or by one of its other names.
    ///
    /// # Errors
    /// As the store.
    pub async fn domain_facts(&self, name: &str) -> Result<Option<Arc<Domain>>, StoreError> {
        if let Some(domain) = self.facts.domains.get(name) {
            return Ok(Some(domain));
        }
        if self.facts.foreign.get(name).is_some() {
            return Ok(None);
        }
        let mark = self.facts.mark();
        let Some(record) = self.store.directory.domain(name).await? else {
            self.facts.keep(&self.facts.foreign, name.to_owned(), &Arc::new(()), mark);
            return Ok(None);
        };
        let defaults = self.dictionary(SettingsKey::DomainDefaults).await?;
        let effective = settings::effective_domain(&defaults, &record.settings);
        let domain = Arc::new(Domain { record, effective });
        self.facts.keep(&self.facts.domains, name.to_owned(), &domain, mark);
        Ok(Some(domain))
    }

    /// What a name in a domain (its own name) stands for.
    ///
    /// # Errors
    /// As the store.
    pub async fn lookup(
        &self,
        domain: &str,
        name: &str,
    ) -> Result<Option<DomainObject>, StoreError> {
        let key = FullName { name: name.to_owned(), domain: domain.to_owned() };
        if let Some(found) = self.facts.objects.get(&key) {
            // Accounts are renamed without a word about their names: the record tells.
            match &*found {
                DomainObject::Account(id) | DomainObject::Alias(id) => {
                    if let Some(record) = self.account_record(*id).await?
                        && record.domain == domain
                        && (record.name == name || record.aliases.iter().any(|a| a == name))
                    {
                        return Ok(Some((*found).clone()));
                    }
                }
                other => return Ok(Some(other.clone())),
            }
        }
        let mark = self.facts.mark();
        let found = self.store.directory.lookup(domain, name).await?;
        if let Some(object) = &found {
            self.facts.keep(&self.facts.objects, key, &Arc::new(object.clone()), mark);
        }
        Ok(found)
    }

    /// Finds the account that a name stands for, seen from `domain` (a name without a domain
    /// belongs to it): by account name, alias or domain alias, without the Router table.
    ///
    /// # Errors
    /// As the store.
    pub async fn find_account(
        &self,
        name: &str,
        domain: &str,
    ) -> Result<Option<Arc<AccountRecord>>, StoreError> {
        let Ok(full) = FullName::read(name, domain) else { return Ok(None) };
        let Some(domain) = self.domain_facts(&full.domain).await? else { return Ok(None) };
        match self.lookup(&domain.record.name, &full.name).await? {
            Some(DomainObject::Account(id) | DomainObject::Alias(id)) => {
                self.account_record(id).await
            }
            _ => Ok(None),
        }
    }

    /// A server-wide dictionary, explicit values only.
    pub(crate) async fn dictionary(&self, key: SettingsKey) -> Result<Arc<Dictionary>, StoreError> {
        if let Some(found) = self.facts.settings.get(&key) {
            return Ok(found);
        }
        let mark = self.facts.mark();
        let value = Arc::new(self.store.directory.settings(&key).await?.value);
        self.facts.keep(&self.facts.settings, key, &value, mark);
        Ok(value)
    }

    /// A module's settings by its name such as `SMTP`, empty if never set. For the module itself;
    /// administrators use [`Accounts::module_settings`].
    ///
    /// # Errors
    /// As the store.
    pub async fn read_module(&self, name: &str) -> Result<Arc<Dictionary>, StoreError> {
        self.dictionary(SettingsKey::Module(name.to_owned())).await
    }

    /// A module's settings with the built-in defaults; as [`Accounts::read_module`].
    ///
    /// # Errors
    /// As the store.
    pub async fn read_module_effective(&self, name: &str) -> Result<Dictionary, StoreError> {
        let own = self.read_module(name).await?;
        Ok(Scope::of_module(name).effective(&own))
    }

    /// The server settings with the built-in defaults.
    ///
    /// # Errors
    /// As the store.
    pub async fn read_server_settings(&self) -> Result<Arc<Dictionary>, StoreError> {
        let own = self.dictionary(SettingsKey::Server).await?;
        Ok(Arc::new(settings::effective_server(&own)))
    }

    /// One server setting, its built-in default when it is not set.
    pub(crate) async fn server_setting(&self, key: &str) -> Result<Value, StoreError> {
        let own = self.dictionary(SettingsKey::Server).await?;
        let value = own.get(key).cloned().or_else(|| Scope::Server.built_in(key));
        Ok(value.unwrap_or(Value::Null))
    }

    /// The Router with its table, made ready once after each change.
    pub(crate) async fn router(&self) -> Result<Arc<Router>, StoreError> {
        if let Some(router) = self.facts.router.load_full() {
            return Ok(router);
        }
        let mark = self.facts.mark();
        let own = self.dictionary(SettingsKey::Router).await?;
        let text = own.get("Table").and_then(Value::as_str);
        let table = Table::read(text.unwrap_or(angarium_routing::DEFAULT_TABLE));
        let table = table.unwrap_or_else(|error| {
            tracing::error!(target: "ROUTER", %error, "the stored Router table is not used");
            Table::default()
        });
        let add = own.get("AddMainDomainName").and_then(angarium_objects::spelling::boolean);
        let main_domain = self.main_domain().await?;
        let router = Router { main_domain, table, add_main_domain: add.unwrap_or(false) };
        let router = Arc::new(router);
        self.facts.keep_router(&router, mark);
        Ok(router)
    }

    /// The domain a network address of this machine is assigned to (SYS-05).
    ///
    /// # Errors
    /// As the store.
    pub async fn domain_of_address(&self, ip: IpAddr) -> Result<Option<String>, StoreError> {
        let ip = ip.to_canonical();
        let assigned = match self.facts.assigned.load_full() {
            Some(assigned) => assigned,
            None => {
                let mark = self.facts.mark();
                let mut all = HashMap::new();
                for domain in self.store.directory.domains().await? {
                    let Some(record) = self.store.directory.domain(&domain).await? else {
                        continue;
                    };
                    let value = record.settings.get("IPAddresses");
                    let list = value.and_then(settings::addresses).unwrap_or_default();
                    for address in list {
                        // An address belongs to one domain: the first by name.
                        all.entry(address.to_canonical()).or_insert_with(|| domain.clone());
                    }
                }
                let all = Arc::new(all);
                self.facts.keep_assigned(&all, mark);
                all
            }
        };
        Ok(assigned.get(&ip).cloned())
    }

    /// Tells which network addresses this machine has: mail to `name@[address]` with one of them
    /// is mail to this server. May be called again when they change.
    pub fn set_own_addresses(&self, addresses: impl IntoIterator<Item = IpAddr>) {
        let all = addresses.into_iter().map(|ip| ip.to_canonical()).collect();
        self.facts.own.store(Arc::new(all));
    }

    /// Whether a network address is one of this machine's.
    #[must_use]
    pub fn is_own_address(&self, ip: IpAddr) -> bool {
        ip.is_loopback()
            || ip.is_unspecified()
            || self.facts.own.load().contains(&ip.to_canonical())
    }

    /// The stored name of a domain as somebody wrote it.
    pub(crate) fn fold(domain: &str) -> String {
        name::fold_domain(domain).unwrap_or_else(|| domain.to_lowercase())
    }
}
