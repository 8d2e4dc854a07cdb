//! The keys with which domains sign their mail: kept sealed, so that no command that reads
//! settings shows them. What a key is, `transfer` knows.

use std::sync::Arc;

use angarium_objects::value::{Dictionary, Value};
use angarium_store::{SettingsKey, StoreError};

use super::OperationError;
use crate::{Accounts, Actor};

/// The module name under which the keys are kept.
pub(crate) const SIGNING_KEYS_MODULE: &str = "SigningKeys";

/// The right that lets a domain administrator make and change keys of the domain.
const RIGHT: &str = "DKIM";

/// Most keys of one domain.
const MAX_KEYS: usize = 16;

impl Accounts {
    /// All keys: domain to selector to key. They hold secrets: for the signer only.
    ///
    /// # Errors
    /// As the store.
    pub async fn signing_keys(&self) -> Result<Arc<Dictionary>, StoreError> {
        self.dictionary(SettingsKey::Module(SIGNING_KEYS_MODULE.to_owned())).await
    }

    /// The domain of ours, by its own or one of its other names, whose keys an actor may change,
    /// as it is written in keys.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn signing_domain(
        &self,
        actor: &Actor,
        domain: &str,
    ) -> Result<String, OperationError> {
        let authority = self.authority(actor).await?;
        let facts = self.named_domain(&authority, domain).await?;
        self.need_in_domain(&authority, &facts.record.name, RIGHT).await?;
        let name = Self::fold(domain.trim());
        Ok(if name.is_empty() { facts.record.name.clone() } else { name })
    }

    /// Changes the keys of a domain: selector to key.
    ///
    /// # Errors
    /// See [`OperationError`]; also what `change` says, and too many keys.
    pub async fn change_signing_keys(
        &self,
        actor: &Actor,
        domain: &str,
        change: impl Fn(&mut Dictionary) -> Result<(), OperationError> + Send + Sync,
    ) -> Result<(), OperationError> {
        let domain = self.signing_domain(actor, domain).await?;
        let key = SettingsKey::Module(SIGNING_KEYS_MODULE.to_owned());
        self.edit_dictionary(key, |old| {
            let mut all = old.clone();
            let mut own =
                all.get(&domain).and_then(Value::as_dictionary).cloned().unwrap_or_default();
            change(&mut own)?;
            if own.len() > MAX_KEYS {
                let text = format!("a domain has at most {MAX_KEYS} keys; remove old ones first");
                return Err(OperationError::General(text));
            }
            if own.is_empty() {
                all.remove(&domain);
            } else {
                all.insert(domain.clone(), Value::Dictionary(own));
            }
            Ok(all)
        })
        .await
    }
}
