//! Opening passwords that are kept readable: with the key of this server, or with that of another
//! server whose accounts came here with their passwords. It must never know how they came.

use angarium_objects::value::Value;

use super::LoginError;
use super::keys::SECRETS_MODULE;
use super::sealed::SealingKey;
use crate::operations::OTHER_SEALING;
use crate::{Accounts, Secret};

impl Accounts {
    /// The password that was sealed; `None` when no key here opens it.
    pub(super) async fn open_sealed(&self, sealed: &str) -> Result<Option<Secret>, LoginError> {
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
