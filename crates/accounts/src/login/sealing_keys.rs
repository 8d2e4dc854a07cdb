//! Opening passwords that are kept readable: with the key of this server, or with that of another
//! server whose accounts came here with their passwords. It must never know how they came.

use angarium_objects::password::{StoredPassword, recognise};
use angarium_objects::value::Value;

use super::LoginError;
use super::keys::SECRETS_MODULE;
use super::sealed::SealingKey;
use crate::operations::OTHER_SEALING;
use crate::{Accounts, Secret};

impl Accounts {
    /// A password sealed with the key of this server, to be kept outside the store.
    ///
    /// # Errors
    /// `Unavailable` when the key cannot be had.
    pub async fn seal(&self, password: &Secret) -> Result<String, LoginError> {
        self.sealing_key().await?.seal(password).ok_or(LoginError::Unavailable)
    }

    /// The password that [`Accounts::seal`] sealed; `None` when it was another server or the text
    /// was changed.
    ///
    /// # Errors
    /// `Unavailable` when the key cannot be had.
    pub async fn unseal(&self, sealed: &str) -> Result<Option<Secret>, LoginError> {
        match recognise(sealed) {
            StoredPassword::Sealed(sealed) => self.open_sealed(sealed).await,
            _ => Ok(None),
        }
    }

    /// The password that was sealed; `None` when no key here opens it.
    pub(crate) async fn open_sealed(&self, sealed: &str) -> Result<Option<Secret>, LoginError> {
        if let Some(opened) = self.sealing_key().await?.open(sealed) {
            return Ok(Some(opened));
        }
        let secrets = self.read_module(SECRETS_MODULE).await?;
        let others = secrets.get(OTHER_SEALING).and_then(Value::as_array).unwrap_or_default();
        Ok(others.iter().find_map(|key| match key {
            Value::Data(octets) => SealingKey::new(octets)?.open(sealed),
            _ => None,
        }))
    }
}
