//! Changing a stored record: read its current version, change it, write it on the condition that
//! nobody was faster; a few tries, then "later".

use angarium_objects::settings::{self, Scope, SettingError};
use angarium_objects::value::Dictionary;
use angarium_store::{AccountId, AccountRecord, DomainRecord, SettingsKey, StoreError};

use super::OperationError;
use crate::Accounts;

/// Tries when others change the same record at the same moment.
const TRIES: usize = 5;

impl From<SettingError> for OperationError {
    fn from(error: SettingError) -> Self {
        Self::Syntax(error.to_string())
    }
}

/// Whether a dictionary is merged or replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// UPDATE: laid over the old one; the string `default` removes a value.
    Merge,
    /// SET: the old one goes, but for what has commands of its own.
    Replace,
}

impl How {
    /// The new dictionary, checked by the declarations.
    pub(crate) fn apply(
        self,
        scope: Scope,
        old: &Dictionary,
        new: &Dictionary,
    ) -> Result<Dictionary, SettingError> {
        match self {
            Self::Merge => settings::merge(scope, old, new),
            Self::Replace => {
                let mut all = settings::replace(scope, new)?;
                // What has commands of its own goes only when it is named.
                for part in scope.parts().iter().filter(|part| !new.contains_key(part.key)) {
                    if let Some(kept) = old.get(part.key) {
                        all.insert(part.key.to_owned(), kept.clone());
                    }
                }
                Ok(all)
            }
        }
    }
}

impl Accounts {
    /// Changes an account's record.
    pub(crate) async fn edit_account(
        &self,
        id: AccountId,
        change: impl Fn(&mut AccountRecord) -> Result<(), OperationError> + Send + Sync,
    ) -> Result<AccountRecord, OperationError> {
        for _ in 0..TRIES {
            let stored = self.store.directory.account(id).await?;
            let mut record = stored.ok_or(OperationError::UnknownAccount)?;
            let version = record.version;
            change(&mut record)?;
            match self.store.directory.update_account(record, Some(version)).await {
                Err(StoreError::VersionConflict) => {}
                other => return Ok(other?),
            }
        }
        Err(StoreError::VersionConflict.into())
    }

    /// Changes a domain's record.
    pub(crate) async fn edit_domain(
        &self,
        name: &str,
        change: impl Fn(&mut DomainRecord) -> Result<(), OperationError> + Send + Sync,
    ) -> Result<DomainRecord, OperationError> {
        for _ in 0..TRIES {
            let stored = self.store.directory.domain(name).await?;
            let mut record = stored.ok_or(OperationError::UnknownDomain)?;
            let version = record.version;
            change(&mut record)?;
            match self.store.directory.update_domain(record, Some(version)).await {
                Err(StoreError::VersionConflict) => {}
                other => return Ok(other?),
            }
        }
        Err(StoreError::VersionConflict.into())
    }

    /// Changes a server-wide dictionary.
    pub(crate) async fn edit_dictionary(
        &self,
        key: SettingsKey,
        change: impl Fn(&Dictionary) -> Result<Dictionary, OperationError> + Send + Sync,
    ) -> Result<(), OperationError> {
        for _ in 0..TRIES {
            let stored = self.store.directory.settings(&key).await?;
            let new = change(&stored.value)?;
            match self.store.directory.set_settings(&key, new, Some(stored.version)).await {
                Err(StoreError::VersionConflict) => {}
                other => {
                    other?;
                    return Ok(());
                }
            }
        }
        Err(StoreError::VersionConflict.into())
    }
}
