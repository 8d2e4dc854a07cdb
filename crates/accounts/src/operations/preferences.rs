//! Operations on preferences: of an account, default ones of a domain and of the server, and what
//! counts for an account when they are laid over each other. What a preference means is not known
//! here.

use angarium_objects::rights::WEB_USER_SETTINGS;
use angarium_objects::settings::{PREFERENCES, Scope};
use angarium_objects::value::{Dictionary, Value};
use angarium_store::SettingsKey;

use super::OperationError;
use super::edit::How;
use super::whose::Whose;
use crate::{Accounts, Actor};

fn stored(settings: &Dictionary) -> Dictionary {
    settings.get(PREFERENCES).and_then(Value::as_dictionary).cloned().unwrap_or_default()
}

/// Preferences have no declarations: what is checked are the limits on keys and size.
fn changed(settings: &mut Dictionary, how: How, new: &Dictionary) -> Result<(), OperationError> {
    let old = stored(settings);
    let all = how.apply(Scope::Module, &old, new)?;
    if all.is_empty() {
        settings.remove(PREFERENCES);
    } else {
        settings.insert(PREFERENCES.to_owned(), Value::Dictionary(all));
    }
    // Together with the settings they are kept with, too.
    How::Merge.apply(Scope::Account, settings, &Dictionary::new())?;
    Ok(())
}

impl Accounts {
    /// The preferences set explicitly in a scope.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn preferences(
        &self,
        actor: &Actor,
        scope: Whose<'_>,
    ) -> Result<Dictionary, OperationError> {
        match scope {
            Whose::Account(name) => {
                Ok(stored(&self.readable_account(actor, name).await?.1.settings))
            }
            Whose::Domain(name) => {
                let facts = self.readable_domain(actor, name).await?;
                Ok(stored(&facts.record.account_defaults))
            }
            Whose::Server => {
                self.authority(actor).await?.need_all_domains()?;
                Ok(stored(&*self.dictionary(SettingsKey::AccountDefaults).await?))
            }
        }
    }

    /// The preferences that count for an account.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn effective_preferences(
        &self,
        actor: &Actor,
        account: &str,
    ) -> Result<Dictionary, OperationError> {
        let (_, record) = self.readable_account(actor, account).await?;
        let mut all = stored(&*self.dictionary(SettingsKey::AccountDefaults).await?);
        if let Some(domain) = self.domain_facts(&record.domain).await? {
            all.extend(stored(&domain.record.account_defaults));
        }
        all.extend(stored(&record.settings));
        Ok(all)
    }

    /// Changes the preferences of a scope.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn change_preferences(
        &self,
        actor: &Actor,
        scope: Whose<'_>,
        how: How,
        new: Dictionary,
    ) -> Result<(), OperationError> {
        match scope {
            Whose::Account(name) => {
                let (_, record) = self.changeable_account(actor, name, WEB_USER_SETTINGS).await?;
                self.edit_account(record.id, |record| changed(&mut record.settings, how, &new))
                    .await?;
            }
            Whose::Domain(name) => {
                let authority = self.authority(actor).await?;
                let facts = self.named_domain(&authority, name).await?;
                let domain = &facts.record.name;
                self.need_in_domain(&authority, domain, WEB_USER_SETTINGS).await?;
                self.edit_domain(domain, |record| changed(&mut record.account_defaults, how, &new))
                    .await?;
            }
            Whose::Server => {
                self.authority(actor).await?.need_all_domains()?;
                self.edit_dictionary(SettingsKey::AccountDefaults, |old| {
                    let mut all = old.clone();
                    changed(&mut all, how, &new)?;
                    Ok(all)
                })
                .await?;
            }
        }
        Ok(())
    }
}
