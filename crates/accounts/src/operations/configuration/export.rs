//! The objects of this server page by page, in an order in which they can be applied: what is
//! server-wide, then each domain with its objects, last the server settings.

use std::sync::Arc;

use angarium_objects::configuration::{Stanza, kind, without_secrets};
use angarium_objects::name::FullName;
use angarium_objects::value::{Dictionary, Value};
use angarium_store::{AccountRecord, DomainObject, SettingsKey};

use super::contents::{SEALING_SECRET, of_account, of_domain, of_object};
use super::{ConfigurationPage, ConfigurationParts};
use crate::alerts::ALERTS_MODULE;
use crate::login::keys::SECRETS_MODULE;
use crate::operations::authority::allowed;
use crate::operations::signing_keys::SIGNING_KEYS_MODULE;
use crate::{Accounts, Actor, OperationError};

/// Objects read from the store at a time.
const PAGE: usize = 200;
/// A page ends before it is larger than this, in bytes of values, unless one object is.
const WEIGHT: usize = 512 * 1024;

/// About how much room a value takes in text.
fn weight(value: &Value) -> usize {
    match value {
        Value::String(text) | Value::Xml(text) => text.len() + 3,
        Value::Data(bytes) => bytes.len() * 4 / 3 + 3,
        Value::Array(all) => all.iter().map(weight).sum::<usize>() + 2,
        Value::Dictionary(pairs) => weight_of(pairs),
        _ => 24,
    }
}

fn weight_of(pairs: &Dictionary) -> usize {
    pairs.iter().map(|(key, value)| key.len() + weight(value) + 4).sum::<usize>() + 2
}

/// A page being filled.
struct Filling {
    parts: ConfigurationParts,
    stanzas: Vec<Stanza>,
    weight: usize,
}

impl Filling {
    fn push(&mut self, kind: &str, name: &str, mut contents: Dictionary) {
        if self.parts.names_only {
            contents.clear();
        }
        let sealed = [kind::SEALING_KEY, kind::SIGNING_KEYS].contains(&kind);
        if !self.parts.passwords && !sealed {
            without_secrets(&mut contents);
        }
        self.weight += weight_of(&contents) + kind.len() + name.len();
        self.stanzas.push(Stanza::new(kind, name, contents));
    }

    fn is_full(&self) -> bool {
        self.stanzas.len() >= PAGE || self.weight >= WEIGHT
    }
}

impl Accounts {
    /// Objects of the configuration after `after` (empty at first).
    ///
    /// # Errors
    /// See [`OperationError`]; takes the Master right.
    pub async fn configuration_page(
        &self,
        actor: &Actor,
        after: &str,
        parts: ConfigurationParts,
    ) -> Result<ConfigurationPage, OperationError> {
        allowed(self.authority(actor).await?.rights.is_master())?;
        let mut page = Filling { parts, stanzas: Vec::new(), weight: 0 };
        let (mut domain, mut object) = match after.split_once('/') {
            Some((domain, object)) => (domain.to_owned(), object.to_owned()),
            None => {
                self.fill_server_wide(&mut page).await?;
                (String::new(), String::new())
            }
        };
        let domains = self.store.directory.domains().await?;
        loop {
            // A domain that is gone meanwhile is followed by its follower.
            let begun = !object.is_empty();
            let next = domains.iter().find(|name| {
                if begun {
                    name.as_str() >= domain.as_str()
                } else {
                    name.as_str() > domain.as_str()
                }
            });
            let Some(next) = next else { break };
            if page.is_full() {
                let next = Some(format!("{domain}/{object}"));
                return Ok(ConfigurationPage { stanzas: page.stanzas, next });
            }
            if *next != domain || !begun {
                domain.clone_from(next);
                object.clear();
                if let Some(record) = self.store.directory.domain(&domain).await? {
                    page.push(kind::DOMAIN, &domain, of_domain(&record));
                }
            }
            object = self.fill_objects(&mut page, &domain, object).await?;
        }
        let server = self.store.directory.settings(&SettingsKey::Server).await?.value;
        page.push(kind::SERVER, "", server);
        Ok(ConfigurationPage { stanzas: page.stanzas, next: None })
    }

    async fn fill_server_wide(&self, page: &mut Filling) -> Result<(), OperationError> {
        let directory = &self.store.directory;
        for (key, kind) in [
            (SettingsKey::DomainDefaults, kind::DOMAIN_DEFAULTS),
            (SettingsKey::AccountDefaults, kind::ACCOUNT_DEFAULTS),
            (SettingsKey::Router, kind::ROUTER),
        ] {
            let all = directory.settings(&key).await?.value;
            if !all.is_empty() {
                page.push(kind, "", all);
            }
        }
        let (passwords, keys) = (page.parts.passwords, page.parts.keys);
        for module in directory.modules().await? {
            let all = directory.settings(&SettingsKey::Module(module.clone())).await?.value;
            match module.as_str() {
                // What was told to whom is no configuration.
                ALERTS_MODULE => {}
                SIGNING_KEYS_MODULE if keys => page.push(kind::SIGNING_KEYS, "", all),
                SECRETS_MODULE if passwords => {
                    if let Some(key) = all.get("Sealing") {
                        let contents = Dictionary::from([(SEALING_SECRET.to_owned(), key.clone())]);
                        page.push(kind::SEALING_KEY, "", contents);
                    }
                }
                SIGNING_KEYS_MODULE | SECRETS_MODULE => {}
                name => page.push(kind::MODULE, name, all),
            }
        }
        Ok(())
    }

    /// The records of the accounts among objects, in their order, read side by side. Not through the
    /// memory: that is for those who log in.
    async fn records_of(
        &self,
        objects: &[(String, DomainObject)],
        parts: ConfigurationParts,
    ) -> Result<Vec<Option<AccountRecord>>, OperationError> {
        let mut reading = Vec::new();
        for (_, object) in objects {
            if let (DomainObject::Account(id), false) = (object, parts.names_only) {
                let (directory, id) = (Arc::clone(&self.store.directory), *id);
                reading.push(tokio::spawn(async move { directory.account(id).await }));
            }
        }
        let mut records = Vec::with_capacity(reading.len());
        for one in reading {
            let read = one.await.map_err(|error| OperationError::Later(error.to_string()))?;
            records.push(read?);
        }
        Ok(records)
    }

    /// Fills in objects of a domain after a name; the last name, empty when the domain is done.
    async fn fill_objects(
        &self,
        page: &mut Filling,
        domain: &str,
        after: String,
    ) -> Result<String, OperationError> {
        let mut last = after;
        loop {
            let from = (!last.is_empty()).then_some(last.as_str());
            let found = self.store.directory.objects(domain, from, PAGE).await?;
            let mut records = self.records_of(&found.objects, page.parts).await?.into_iter();
            for (name, object) in found.objects {
                let full = FullName { name: name.clone(), domain: domain.to_owned() }.to_string();
                match &object {
                    DomainObject::Account(_) if page.parts.names_only => {
                        page.push(kind::ACCOUNT, &full, Dictionary::new());
                    }
                    DomainObject::Account(_) => {
                        if let Some(record) = records.next().flatten() {
                            page.push(kind::ACCOUNT, &full, of_account(&record));
                        }
                    }
                    other => {
                        if let Some(stanza) = of_object(&full, other) {
                            page.push(&stanza.kind, &stanza.name, stanza.contents);
                        }
                    }
                }
                last = name;
                if page.is_full() {
                    return Ok(last);
                }
            }
            if found.next.is_none() {
                return Ok(String::new());
            }
        }
    }
}
