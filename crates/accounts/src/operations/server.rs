//! Operations on the server as a whole: the first start, server-wide defaults, modules.

use angarium_objects::name::{self, FullName};
use angarium_objects::rights::{MASTER, SETTINGS};
use angarium_objects::settings::{Scope, module_name};
use angarium_objects::value::{Dictionary, Value};
use angarium_store::{AccountKind, DomainRecord, SettingsKey, StoreError};

use super::OperationError;
use super::authority::{allowed, bad_name};
use super::edit::How;
use super::kept::GUARDED_MODULES;
use super::signing_keys::SIGNING_KEYS_MODULE;
use crate::alerts::ALERTS_MODULE;
use crate::login::keys::SECRETS_MODULE;
use crate::{Accounts, Actor, Secret};

/// Longest name of a module, in bytes.
const MAX_MODULE: usize = 64;

pub(super) fn module_key(module: &str) -> Result<SettingsKey, OperationError> {
    let plain = (1..=MAX_MODULE).contains(&module.len())
        && module.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if !plain {
        return Err(OperationError::Syntax("this is not the name of a module".to_owned()));
    }
    // Nobody reads the server's own secrets; others have commands and rights of their own.
    allowed(
        ![SECRETS_MODULE, SIGNING_KEYS_MODULE, ALERTS_MODULE]
            .iter()
            .chain(&GUARDED_MODULES)
            .any(|own| module.eq_ignore_ascii_case(own)),
    )?;
    Ok(SettingsKey::Module(module_name(module).to_owned()))
}

impl Accounts {
    /// Makes the main domain and `postmaster` with the Master right; `false` if there is a main
    /// domain already. A first start that was cut off is finished by the next.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn first_start(
        &self,
        main_domain: &str,
        password: Secret,
    ) -> Result<bool, OperationError> {
        if !self.main_domain().await?.is_empty() {
            return Ok(false);
        }
        let domain = name::domain_name(main_domain).map_err(bad_name)?;
        let record = DomainRecord {
            name: domain.clone(),
            aliases: Vec::new(),
            settings: Dictionary::new(),
            account_defaults: Dictionary::new(),
            template: Dictionary::new(),
            version: 0,
        };
        match self.store.directory.create_domain(record).await {
            Ok(_) | Err(StoreError::Exists("domain")) => {}
            Err(error) => return Err(error.into()),
        }
        let text = password
            .expose_str()
            .ok_or_else(|| OperationError::Syntax("the first password must be UTF-8".to_owned()))?;
        let given = Dictionary::from([
            ("Password".to_owned(), Value::from(text)),
            ("RealName".to_owned(), Value::from("Postmaster")),
        ]);
        let full = FullName { name: "postmaster".to_owned(), domain: domain.clone() };
        let kind = AccountKind::MultiMailbox;
        let made = self.make_account(full, kind, false, &given, vec![MASTER.to_owned()]).await;
        match made {
            Ok(_) => {}
            Err(OperationError::AccountExists) => {
                // Left by a first start that was cut off; the new password counts.
                let console = Actor::console_in(&domain);
                let record = self.find_account("postmaster", &domain).await?;
                let record = record.ok_or(OperationError::UnknownAccount)?;
                let effective = self.effective_of(&domain, &record.settings).await?;
                let stored = self.new_stored(&effective, &password, None).await?;
                tracing::info!(actor = %console.full_name(), "the first start is finished");
                self.edit_account(record.id, |record| {
                    record.settings.insert("Password".to_owned(), Value::from(stored.as_str()));
                    record.rights = vec![MASTER.to_owned()];
                    Ok(())
                })
                .await?;
            }
            Err(error) => return Err(error),
        }
        // Last, so that a server with a main domain always has its postmaster.
        self.edit_dictionary(SettingsKey::Server, |old| {
            let mut new = old.clone();
            new.insert("DomainName".to_owned(), Value::from(domain.as_str()));
            Ok(new)
        })
        .await?;
        Ok(true)
    }

    /// Name of the Main Domain.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn main_domain_name(&self, _actor: &Actor) -> Result<String, OperationError> {
        Ok(self.main_domain().await?)
    }

    pub(super) async fn read_as(
        &self,
        actor: &Actor,
        right: Option<&str>,
        key: SettingsKey,
    ) -> Result<Dictionary, OperationError> {
        let authority = self.authority(actor).await?;
        match right {
            Some(code) => authority.need_server(code)?,
            None => authority.need_all_domains()?,
        }
        Ok((*self.dictionary(key).await?).clone())
    }

    async fn change_as(
        &self,
        actor: &Actor,
        right: Option<&str>,
        key: SettingsKey,
        scope: Scope,
        how: How,
        changes: Dictionary,
    ) -> Result<(), OperationError> {
        let authority = self.authority(actor).await?;
        match right {
            Some(code) => authority.need_server(code)?,
            None => authority.need_all_domains()?,
        }
        self.edit_dictionary(key, |old| Ok(how.apply(scope, old, &changes)?)).await
    }

    /// The other server settings.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn server_settings(&self, actor: &Actor) -> Result<Dictionary, OperationError> {
        self.read_as(actor, Some(SETTINGS), SettingsKey::Server).await
    }

    /// Merges into the server settings. Another `DomainName` must be a domain of this server and
    /// takes the Master right.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn update_server_settings(
        &self,
        actor: &Actor,
        settings: Dictionary,
    ) -> Result<(), OperationError> {
        if let Some(name) = settings.get("DomainName") {
            let name = Self::fold(name.as_str().unwrap_or_default());
            if name != self.main_domain().await? {
                allowed(self.authority(actor).await?.rights.is_master())?;
                let known = self.domain_facts(&name).await?;
                if known.is_none_or(|domain| domain.record.name != name) {
                    return Err(OperationError::UnknownDomain);
                }
            }
        }
        let (key, scope) = (SettingsKey::Server, Scope::Server);
        self.change_as(actor, Some(SETTINGS), key, scope, How::Merge, settings).await
    }

    /// Server-wide domain defaults.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn domain_defaults(&self, actor: &Actor) -> Result<Dictionary, OperationError> {
        self.read_as(actor, None, SettingsKey::DomainDefaults).await
    }

    /// Merges into the server-wide domain defaults.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn update_domain_defaults(
        &self,
        actor: &Actor,
        settings: Dictionary,
    ) -> Result<(), OperationError> {
        let (key, scope) = (SettingsKey::DomainDefaults, Scope::Domain);
        self.change_as(actor, None, key, scope, How::Merge, settings).await
    }

    /// Replaces the server-wide domain defaults.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn set_domain_defaults(
        &self,
        actor: &Actor,
        settings: Dictionary,
    ) -> Result<(), OperationError> {
        let (key, scope) = (SettingsKey::DomainDefaults, Scope::Domain);
        self.change_as(actor, None, key, scope, How::Replace, settings).await
    }

    /// Server-wide account defaults.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn server_account_defaults(
        &self,
        actor: &Actor,
    ) -> Result<Dictionary, OperationError> {
        self.read_as(actor, None, SettingsKey::AccountDefaults).await
    }

    /// Merges into the server-wide account defaults.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn update_server_account_defaults(
        &self,
        actor: &Actor,
        settings: Dictionary,
    ) -> Result<(), OperationError> {
        let (key, scope) = (SettingsKey::AccountDefaults, Scope::Account);
        self.change_as(actor, None, key, scope, How::Merge, settings).await
    }

    /// Replaces the server-wide account defaults.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn set_server_account_defaults(
        &self,
        actor: &Actor,
        settings: Dictionary,
    ) -> Result<(), OperationError> {
        let (key, scope) = (SettingsKey::AccountDefaults, Scope::Account);
        self.change_as(actor, None, key, scope, How::Replace, settings).await
    }

    /// A module's settings.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn module_settings(
        &self,
        actor: &Actor,
        module: &str,
    ) -> Result<Dictionary, OperationError> {
        self.read_as(actor, Some(SETTINGS), module_key(module)?).await
    }

    /// Merges into a module's settings.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn update_module_settings(
        &self,
        actor: &Actor,
        module: &str,
        settings: Dictionary,
    ) -> Result<(), OperationError> {
        let (key, scope) = (module_key(module)?, Scope::of_module(module));
        super::protection::check(module, &settings)?;
        self.change_as(actor, Some(SETTINGS), key, scope, How::Merge, settings).await
    }

    /// Replaces a module's settings.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn set_module_settings(
        &self,
        actor: &Actor,
        module: &str,
        settings: Dictionary,
    ) -> Result<(), OperationError> {
        let (key, scope) = (module_key(module)?, Scope::of_module(module));
        super::protection::check(module, &settings)?;
        self.change_as(actor, Some(SETTINGS), key, scope, How::Replace, settings).await
    }
}
