//! Removing an object that a whole configuration does not name. What holds mail or files goes only
//! when that is said; what a server cannot be without stays.

use angarium_objects::configuration::{Difference, kind, without_secrets};
use angarium_objects::value::Dictionary;
use angarium_store::{AccountId, AccountRecord, SettingsKey, Versioned};

use super::contents::{of_account, of_domain};
use super::{ConfigurationChange, ConfigurationStep};
use crate::operations::authority::allowed;
use crate::operations::server::module_key;
use crate::{Accounts, Actor, OperationError};

/// How an object is removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removal {
    /// Only say what would be done.
    pub dry: bool,
    /// Accounts with mail or files go too.
    pub with_mail: bool,
    /// While it is only said: accounts and other objects of a domain would be gone before it.
    pub emptied: bool,
}

fn gone(contents: &Dictionary, shut_out: Vec<AccountId>) -> ConfigurationChange {
    let mut shown = contents.clone();
    without_secrets(&mut shown);
    let differences: Vec<Difference> =
        angarium_objects::configuration::differences(&shown, &Dictionary::new());
    ConfigurationChange { step: ConfigurationStep::Removed, differences, shut_out }
}

fn same() -> ConfigurationChange {
    let step = ConfigurationStep::Same;
    ConfigurationChange { step, differences: Vec::new(), shut_out: Vec::new() }
}

impl Accounts {
    /// Removes an object, or sets what is server-wide back to nothing; with `dry` only says what
    /// would go. One that is not there is the same.
    ///
    /// # Errors
    /// See [`OperationError`]; takes the Master right.
    pub async fn remove_configuration(
        &self,
        actor: &Actor,
        object: (&str, &str),
        how: Removal,
    ) -> Result<ConfigurationChange, OperationError> {
        allowed(self.authority(actor).await?.rights.is_master())?;
        let (kind, name) = object;
        match kind {
            kind::ACCOUNT => Box::pin(self.remove_stray_account(actor, name, how)).await,
            kind::DOMAIN => Box::pin(self.remove_stray_domain(actor, name, how)).await,
            kind::FORWARDER => {
                self.forwarder(actor, name).await?;
                if !how.dry {
                    self.delete_forwarder(actor, name).await?;
                }
                Ok(gone(&Dictionary::new(), Vec::new()))
            }
            kind::GROUP => {
                let settings = self.group(actor, name).await?;
                if !how.dry {
                    self.delete_group(actor, name).await?;
                }
                Ok(gone(&settings, Vec::new()))
            }
            kind::LIST => {
                self.mailing_list(actor, name).await?;
                if !how.dry {
                    self.delete_list(actor, name).await?;
                }
                Ok(gone(&Dictionary::new(), Vec::new()))
            }
            kind::DOMAIN_DEFAULTS => self.empty(SettingsKey::DomainDefaults, how).await,
            kind::ACCOUNT_DEFAULTS => self.empty(SettingsKey::AccountDefaults, how).await,
            kind::ROUTER => self.empty(SettingsKey::Router, how).await,
            kind::MODULE => self.empty(module_key(name)?, how).await,
            other => Err(OperationError::General(format!("a \"{other}\" is never removed"))),
        }
    }

    async fn empty(
        &self,
        key: SettingsKey,
        how: Removal,
    ) -> Result<ConfigurationChange, OperationError> {
        let Versioned { version, value } = self.store.directory.settings(&key).await?;
        if value.is_empty() {
            return Ok(same());
        }
        if !how.dry {
            let nothing = Dictionary::new();
            self.store.directory.set_settings(&key, nothing, Some(version)).await?;
        }
        Ok(gone(&value, Vec::new()))
    }

    async fn remove_stray_account(
        &self,
        actor: &Actor,
        name: &str,
        how: Removal,
    ) -> Result<ConfigurationChange, OperationError> {
        let authority = self.authority(actor).await?;
        let record = self.named_account(&authority, name).await?;
        self.by_own_name(&authority, &record, name).await?;
        if record.rights.iter().any(|code| code == angarium_objects::rights::MASTER) {
            let text = "it has the Master right; take that away first".to_owned();
            return Err(OperationError::General(text));
        }
        if !how.with_mail {
            self.holds_nothing(&record).await?;
        }
        let contents = of_account(&record);
        if !how.dry {
            self.delete_account(actor, name).await?;
        }
        Ok(gone(&contents, vec![record.id]))
    }

    async fn holds_nothing(&self, record: &AccountRecord) -> Result<(), OperationError> {
        let (_, messages) = self.store.mailboxes.usage(record.id).await?;
        let files = self.store.files.file_usage(record.id, "").await?.files;
        if messages == 0 && files == 0 {
            return Ok(());
        }
        let text = format!("it holds {messages} messages and {files} files (--with-mail)");
        Err(OperationError::General(text))
    }

    async fn remove_stray_domain(
        &self,
        actor: &Actor,
        name: &str,
        how: Removal,
    ) -> Result<ConfigurationChange, OperationError> {
        let authority = self.authority(actor).await?;
        let record = self.named_domain(&authority, name).await?.record.clone();
        if record.name == self.main_domain().await? {
            return Err(OperationError::General("the Main Domain cannot be deleted".to_owned()));
        }
        let left = self.store.directory.counts(&record.name).await?;
        if left.accounts > 0 && !(how.dry && how.emptied) {
            let text = format!("{} accounts stay in it", left.accounts);
            return Err(OperationError::General(text));
        }
        if !how.dry {
            self.delete_domain(actor, name, false).await?;
        }
        Ok(gone(&of_domain(&record), Vec::new()))
    }
}
