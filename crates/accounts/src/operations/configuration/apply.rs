//! Making one object as a stanza says: read what is there, check what is wanted, and if they are
//! not the same, one store operation. Secrets that the stanza does not name stay as they are.

use angarium_objects::configuration::{Difference, Stanza, differences, keep_secrets, kind};
use angarium_objects::mailing_list::MailingList;
use angarium_objects::name::{self, FullName};
use angarium_objects::password::{HASH_MARK, REVERSIBLE_MARK};
use angarium_objects::settings::{self, SUSPENDED, Scope, is_default};
use angarium_objects::spelling;
use angarium_objects::value::{Dictionary, Value};
use angarium_routing::{Address, Table};
use angarium_store::{
    AccountId, AccountKind, AccountRecord, DomainObject, DomainRecord, SettingsKey, StoreError,
    Versioned,
};

use super::contents::{
    ACCOUNT_DEFAULTS, ACCOUNT_TEMPLATE, ADDRESS, ALIASES, MAILBOX_ALIASES, PASSWORD, RIGHTS,
    SEALING_SECRET, SETTINGS, STORED_PASSWORD, SUBSCRIPTION, TYPE, dictionary, list, of_account,
    of_domain, only, type_word,
};
use super::{ConfigurationChange, ConfigurationStep};
use crate::login::keys::SECRETS_MODULE;
use crate::login::sealed::SealingKey;
use crate::operations::accounts::{check_rights, check_subscription};
use crate::operations::authority::{allowed, bad_name};
use crate::operations::beginnings::alias_names;
use crate::operations::groups::group_settings;
use crate::operations::server::module_key;
use crate::operations::signing_keys::SIGNING_KEYS_MODULE;
use crate::operations::{kind_extension, kind_from_word, protection};
use crate::{Accounts, Actor, OperationError, Secret};

/// Most other names of one domain.
const MAX_DOMAIN_ALIASES: usize = 1_000;
/// Most keys of other servers that open passwords kept readable.
const MAX_SEALING_KEYS: usize = 16;
/// The key of this server, and those of others whose passwords came here.
const OWN_SEALING: &str = "Sealing";
pub(crate) const OTHER_SEALING: &str = "OtherSealing";

/// The settings of an account by which its sessions came in.
pub const SHUTS_OUT: [&str; 4] = [PASSWORD, "AppPasswords", "AccessModes", "UseAppPassword"];

fn is_suspended(record: &DomainRecord) -> bool {
    record.settings.get(SUSPENDED).and_then(spelling::boolean).unwrap_or(false)
}

fn syntax(what: impl Into<String>) -> OperationError {
    OperationError::Syntax(what.into())
}

/// What comparing two states says; `None` for a state that is not there.
fn change(old: Option<&Dictionary>, new: &Dictionary) -> ConfigurationChange {
    let none = Dictionary::new();
    let found = differences(old.unwrap_or(&none), new);
    let step = match old {
        None => ConfigurationStep::Made,
        Some(_) if found.is_empty() => ConfigurationStep::Same,
        Some(_) => ConfigurationStep::Changed,
    };
    ConfigurationChange { step, differences: found, shut_out: Vec::new() }
}

impl Accounts {
    /// Makes an object as a stanza says, or with `dry` only says what that would do. The object
    /// is changed whole or not at all.
    ///
    /// # Errors
    /// See [`OperationError`]; takes the Master right.
    pub async fn apply_configuration(
        &self,
        actor: &Actor,
        stanza: Stanza,
        dry: bool,
    ) -> Result<ConfigurationChange, OperationError> {
        allowed(self.authority(actor).await?.rights.is_master())?;
        let Stanza { kind, name, contents } = stanza;
        let named = ![
            kind::DOMAIN_DEFAULTS,
            kind::ACCOUNT_DEFAULTS,
            kind::ROUTER,
            kind::SIGNING_KEYS,
            kind::SEALING_KEY,
            kind::SERVER,
        ]
        .contains(&kind.as_str());
        if named == name.is_empty() {
            let what = if named { "wants a name" } else { "has no name" };
            return Err(syntax(format!("\"{kind}\" {what}")));
        }
        match kind.as_str() {
            kind::DOMAIN => Box::pin(self.apply_domain(&name, contents, dry)).await,
            kind::ACCOUNT => Box::pin(self.apply_account(&name, contents, dry)).await,
            kind::FORWARDER | kind::GROUP | kind::LIST => {
                Box::pin(self.apply_object(&kind, &name, contents, dry)).await
            }
            kind::SEALING_KEY => Box::pin(self.apply_sealing_key(contents, dry)).await,
            _ => Box::pin(self.apply_dictionary(&kind, &name, contents, dry)).await,
        }
    }

    /// The server-wide dictionaries.
    async fn apply_dictionary(
        &self,
        kind: &str,
        name: &str,
        mut new: Dictionary,
        dry: bool,
    ) -> Result<ConfigurationChange, OperationError> {
        let (key, scope) = match kind {
            kind::DOMAIN_DEFAULTS => (SettingsKey::DomainDefaults, Scope::Domain),
            kind::ACCOUNT_DEFAULTS => (SettingsKey::AccountDefaults, Scope::Account),
            kind::ROUTER => (SettingsKey::Router, Scope::Router),
            kind::SERVER => (SettingsKey::Server, Scope::Server),
            kind::MODULE => (module_key(name)?, Scope::of_module(name)),
            kind::SIGNING_KEYS => {
                (SettingsKey::Module(SIGNING_KEYS_MODULE.to_owned()), Scope::Module)
            }
            other => return Err(syntax(format!("\"{other}\" is no kind of object"))),
        };
        let Versioned { version, value: old } = self.store.directory.settings(&key).await?;
        match kind {
            kind::MODULE => protection::check(name, &new)?,
            kind::ROUTER => {
                if let Some(table) = new.get("Table") {
                    let table = table.as_str().ok_or_else(|| syntax("Table is a string"))?;
                    Table::read(table).map_err(|error| syntax(error.to_string()))?;
                }
            }
            // A server always has a Main Domain.
            kind::SERVER => match new.get("DomainName").and_then(Value::as_str) {
                None => {
                    if let Some(name) = old.get("DomainName") {
                        new.insert("DomainName".to_owned(), name.clone());
                    }
                }
                Some(name) => {
                    let known = self.store.directory.domain(&Self::fold(name)).await?;
                    // While an object is only compared, the domain may be about to be made.
                    if known.is_none_or(|domain| domain.name != Self::fold(name)) && !dry {
                        return Err(OperationError::UnknownDomain);
                    }
                }
            },
            _ => {}
        }
        keep_secrets(&old, &mut new);
        let new = settings::replace(scope, &new)?;
        let mut change = change(Some(&old), &new);
        if kind == kind::SIGNING_KEYS {
            change.differences.iter_mut().for_each(Difference::hide);
        }
        if change.step != ConfigurationStep::Same && !dry {
            self.store.directory.set_settings(&key, new, Some(version)).await?;
        }
        Ok(change)
    }

    async fn apply_domain(
        &self,
        name: &str,
        contents: Dictionary,
        dry: bool,
    ) -> Result<ConfigurationChange, OperationError> {
        only(&contents, &[ALIASES, SETTINGS, ACCOUNT_DEFAULTS, ACCOUNT_TEMPLATE])?;
        let name = name::domain_name(name).map_err(bad_name)?;
        let stored = self.store.directory.domain(&name).await?;
        if stored.as_ref().is_some_and(|record| record.name != name) {
            return Err(OperationError::DomainExists);
        }
        let before = stored.as_ref().map(of_domain);
        let mut wanted = contents;
        keep_secrets(before.as_ref().unwrap_or(&Dictionary::new()), &mut wanted);
        let mut aliases = Vec::new();
        for alias in list(&wanted, ALIASES)? {
            aliases.push(name::domain_name(&alias).map_err(bad_name)?);
        }
        aliases.sort();
        aliases.dedup();
        aliases.retain(|alias| *alias != name);
        if aliases.len() > MAX_DOMAIN_ALIASES {
            let what = format!("{MAX_DOMAIN_ALIASES} domain aliases");
            return Err(OperationError::LimitExceeded(what));
        }
        let mut record = DomainRecord {
            settings: settings::replace(Scope::Domain, &dictionary(&wanted, SETTINGS)?)?,
            account_defaults: dictionary(&wanted, ACCOUNT_DEFAULTS)?,
            template: dictionary(&wanted, ACCOUNT_TEMPLATE)?,
            version: stored.as_ref().map_or(0, |record| record.version),
            name,
            aliases,
        };
        let mut defaults = settings::replace(Scope::Account, &record.account_defaults)?;
        let mut template = settings::replace(Scope::Template, &record.template)?;
        self.prepare_password(&record.name, &mut defaults, None).await?;
        self.prepare_password(&record.name, &mut template, None).await?;
        (record.account_defaults, record.template) = (defaults, template);
        self.check_addresses(&record.name, &record.settings).await?;
        let suspends =
            is_suspended(&record) && stored.as_ref().is_some_and(|before| !is_suspended(before));
        if suspends && record.name == self.main_domain().await? {
            return Err(OperationError::General("the Main Domain cannot be suspended".to_owned()));
        }
        let mut change = change(before.as_ref(), &of_domain(&record));
        if dry {
            return Ok(change);
        }
        match change.step {
            ConfigurationStep::Same | ConfigurationStep::Removed => {}
            ConfigurationStep::Made => {
                self.store.directory.create_domain(record).await?;
            }
            ConfigurationStep::Changed => {
                let (name, version) = (record.name.clone(), record.version);
                self.store.directory.update_domain(record, Some(version)).await?;
                if suspends {
                    self.each_account(&name, |record| change.shut_out.push(record.id)).await?;
                }
            }
        }
        Ok(change)
    }

    async fn apply_account(
        &self,
        name: &str,
        contents: Dictionary,
        dry: bool,
    ) -> Result<ConfigurationChange, OperationError> {
        let known =
            [ALIASES, MAILBOX_ALIASES, RIGHTS, SETTINGS, STORED_PASSWORD, SUBSCRIPTION, TYPE];
        only(&contents, &known)?;
        let full = FullName::read(name, "").map_err(bad_name)?;
        let stored = match self.store.directory.lookup(&full.domain, &full.name).await {
            Ok(Some(DomainObject::Account(id))) => self.store.directory.account(id).await?,
            Ok(Some(DomainObject::Alias(_))) => return Err(OperationError::AliasExists),
            Ok(Some(DomainObject::Group(_))) => return Err(OperationError::GroupExists),
            Ok(Some(DomainObject::List(_))) => return Err(OperationError::ListExists),
            Ok(Some(DomainObject::Forwarder(_))) => return Err(OperationError::ForwarderExists),
            Ok(None) => None,
            // While an object is only compared, its domain may be about to be made.
            Err(StoreError::NotFound("domain")) if dry => None,
            Err(error) => return Err(error.into()),
        };
        let before = stored.as_ref().map(of_account);
        let mut wanted = contents;
        let given = dictionary(&wanted, SETTINGS)?;
        let typed = given.get(PASSWORD).filter(|value| !is_default(value)).cloned();
        keep_secrets(before.as_ref().unwrap_or(&Dictionary::new()), &mut wanted);
        let kind = match wanted.get(TYPE).map(|value| value.as_str().and_then(kind_from_word)) {
            None => stored.as_ref().map_or(AccountKind::MultiMailbox, |record| record.kind),
            Some(kind) => kind.ok_or_else(|| syntax("Type is a word such as MultiMailbox"))?,
        };
        let single = |kind| kind_extension(kind) != "macnt";
        let stays =
            |record: &AccountRecord| record.kind == kind || !(single(record.kind) || single(kind));
        if !stored.as_ref().is_none_or(stays) {
            let what = format!("an account does not become a {}", type_word(kind));
            return Err(OperationError::General(what));
        }
        let aliases = alias_names(&list(&wanted, ALIASES)?, &full.name)?;
        let rights = check_rights(list(&wanted, RIGHTS)?)?;
        let subscription = list(&wanted, SUBSCRIPTION)?;
        check_subscription(&subscription)?;
        let mailbox_aliases = dictionary(&wanted, MAILBOX_ALIASES)?;
        let id = stored.as_ref().map(|record| record.id);
        let there = stored.as_ref().map(|record| &record.mailbox_aliases);
        if there != Some(&mailbox_aliases) {
            self.check_mailbox_aliases(id, &mailbox_aliases).await?;
        }
        let mut own = settings::replace(Scope::Account, &dictionary(&wanted, SETTINGS)?)?;
        own.remove(PASSWORD);
        let password = match typed {
            Some(typed) => Some(self.typed_password(&full, stored.as_ref(), &own, typed).await?),
            None => wanted.get(STORED_PASSWORD).cloned(),
        };
        if let Some(password) = password {
            own.insert(PASSWORD.to_owned(), settings::accept(Scope::Account, PASSWORD, &password)?);
        }
        let record = AccountRecord {
            id: id.unwrap_or(AccountId(0)),
            domain: full.domain,
            name: full.name,
            kind,
            aliases,
            settings: own,
            rights,
            subscription,
            mailbox_aliases,
            info: stored.as_ref().map(|record| record.info.clone()).unwrap_or_default(),
            version: stored.as_ref().map_or(0, |record| record.version),
        };
        let mut change = change(before.as_ref(), &of_account(&record));
        let lets_in = |record: &AccountRecord, key: &str| record.settings.get(key).cloned();
        let shuts_out = stored.as_ref().is_some_and(|before| {
            SHUTS_OUT.iter().any(|key| lets_in(before, key) != lets_in(&record, key))
        });
        if dry {
            return Ok(change);
        }
        match change.step {
            ConfigurationStep::Same | ConfigurationStep::Removed => {}
            ConfigurationStep::Made => {
                self.store.directory.create_account(record, self.now()).await?;
            }
            ConfigurationStep::Changed => {
                let (id, version) = (record.id, record.version);
                self.store.directory.update_account(record, Some(version)).await?;
                self.gate.forget(id);
                if shuts_out {
                    change.shut_out.push(id);
                }
            }
        }
        Ok(change)
    }

    /// The stored form of a `Password` written among an account's settings. One that is the
    /// stored one already stays as it is stored, so that applying again changes nothing.
    async fn typed_password(
        &self,
        full: &FullName,
        stored: Option<&AccountRecord>,
        own: &Dictionary,
        typed: Value,
    ) -> Result<Value, OperationError> {
        let text = match &typed {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return Err(syntax("a password is a string")),
        };
        let marked = text.starts_with(HASH_MARK) || text.starts_with(REVERSIBLE_MARK);
        let before = stored.and_then(|record| record.settings.get(PASSWORD));
        if let (Some(record), Some(before), false) = (stored, before, marked || text.is_empty()) {
            let form = before.as_str().unwrap_or_default();
            let password = Secret::from(text.as_str());
            if self.gate.verify(record.id, form, &password, self.now()).await == Ok(true) {
                return Ok(before.clone());
            }
        }
        let mut all = own.clone();
        all.insert(PASSWORD.to_owned(), typed);
        self.prepare_password(&full.domain, &mut all, None).await?;
        all.remove(PASSWORD).ok_or_else(|| syntax("a password is a string"))
    }

    /// Forwarders, groups and lists.
    async fn apply_object(
        &self,
        kind: &str,
        name: &str,
        contents: Dictionary,
        dry: bool,
    ) -> Result<ConfigurationChange, OperationError> {
        let full = FullName::read(name, "").map_err(bad_name)?;
        let (wanted, object) = if kind == kind::GROUP {
            let settings = group_settings(contents)?;
            (settings.clone(), DomainObject::Group(settings))
        } else if kind == kind::LIST {
            let list = MailingList::read(&contents)?.write();
            (list.clone(), DomainObject::List(list))
        } else {
            only(&contents, &[ADDRESS])?;
            let address = contents.get(ADDRESS).and_then(Value::as_str);
            let address = address.ok_or_else(|| syntax("Address is a string"))?;
            Address::read(address).map_err(|error| syntax(error.to_string()))?;
            (contents.clone(), DomainObject::Forwarder(address.to_owned()))
        };
        let found = match self.store.directory.lookup(&full.domain, &full.name).await {
            Err(StoreError::NotFound("domain")) if dry => None,
            other => other?,
        };
        let before = match found {
            None => None,
            Some(DomainObject::Group(settings)) if kind == kind::GROUP => Some(settings),
            Some(DomainObject::List(list)) if kind == kind::LIST => Some(list),
            Some(DomainObject::Forwarder(address)) if kind == kind::FORWARDER => {
                Some(Dictionary::from([(ADDRESS.to_owned(), Value::from(address))]))
            }
            Some(DomainObject::Account(_)) => return Err(OperationError::AccountExists),
            Some(DomainObject::Alias(_)) => return Err(OperationError::AliasExists),
            Some(DomainObject::Group(_)) => return Err(OperationError::GroupExists),
            Some(DomainObject::List(_)) => return Err(OperationError::ListExists),
            Some(DomainObject::Forwarder(_)) => return Err(OperationError::ForwarderExists),
        };
        let change = change(before.as_ref(), &wanted);
        if change.step != ConfigurationStep::Same && !dry {
            let replace = change.step == ConfigurationStep::Changed;
            self.store.directory.put_object(&full.domain, &full.name, object, replace).await?;
        }
        Ok(change)
    }

    /// Another server's key for passwords kept readable: it opens what that server sealed, beside
    /// this server's own, which goes on sealing.
    async fn apply_sealing_key(
        &self,
        contents: Dictionary,
        dry: bool,
    ) -> Result<ConfigurationChange, OperationError> {
        only(&contents, &[SEALING_SECRET])?;
        let given = match contents.get(SEALING_SECRET) {
            Some(Value::Data(bytes)) if SealingKey::new(bytes).is_some() => bytes.clone(),
            _ => return Err(syntax("SealingSecret is a datablock of 32 bytes")),
        };
        let key = SettingsKey::Module(SECRETS_MODULE.to_owned());
        let Versioned { version, mut value } = self.store.directory.settings(&key).await?;
        let given = Value::Data(given);
        let own = value.get(OWN_SEALING);
        let mut others =
            value.get(OTHER_SEALING).and_then(Value::as_array).unwrap_or_default().to_vec();
        if own == Some(&given) || others.contains(&given) {
            return Ok(change(Some(&contents), &contents));
        }
        if own.is_none() {
            value.insert(OWN_SEALING.to_owned(), given);
        } else {
            if others.len() >= MAX_SEALING_KEYS {
                let what = format!("{MAX_SEALING_KEYS} keys of other servers");
                return Err(OperationError::LimitExceeded(what));
            }
            others.push(given);
            value.insert(OTHER_SEALING.to_owned(), Value::Array(others));
        }
        if !dry {
            self.store.directory.set_settings(&key, value, Some(version)).await?;
        }
        Ok(change(None, &contents))
    }
}
