//! Old hashes give way to our own form at the first good login, the only moment when the password
//! is known. It must never make a login fail, nor change a password that changed meanwhile.

use angarium_objects::password::{HashMethod, StoredPassword, recognise};
use angarium_objects::spelling;
use angarium_objects::value::{Dictionary, Value};
use angarium_store::AccountRecord;

use super::app_password;
use crate::{Accounts, Secret};

/// Octets that crypt(3) and bcrypt look at.
const CRYPT_OCTETS: usize = 8;
const BCRYPT_OCTETS: usize = 72;

/// True when a stored form is to be replaced. A method that does not look at the whole of this
/// password stays: another device of the owner may be set to a password that differs where the
/// method does not look.
fn is_due(stored: &str, password: &Secret) -> bool {
    let StoredPassword::Hash { method, .. } = recognise(stored) else { return false };
    match method {
        HashMethod::DesCrypt => password.expose().len() <= CRYPT_OCTETS,
        HashMethod::Bcrypt => password.expose().len() <= BCRYPT_OCTETS,
        // It does not know small letters.
        HashMethod::LanManager => false,
        _ => true,
    }
}

impl Accounts {
    /// Stores the password that has just been proved right in our own form, where it is stored as
    /// a hash of another server and the account's `UpgradePassword` does not forbid it.
    pub(super) async fn upgrade_password(
        &self,
        record: &AccountRecord,
        settings: &Dictionary,
        password: &Secret,
    ) {
        let stored = record.settings.get("Password").and_then(Value::as_str);
        let wanted = settings.get("UpgradePassword").and_then(spelling::boolean).unwrap_or(true);
        let Some(old) = stored.filter(|stored| wanted && is_due(stored, password)) else { return };
        let beside = app_password::scram_salt(&record.settings);
        let Ok(new) = self.new_stored(settings, password, beside).await else { return };
        let changed = self
            .edit_account(record.id, |now| {
                if now.settings.get("Password").and_then(Value::as_str) == Some(old) {
                    now.settings.insert("Password".to_owned(), Value::from(new.as_str()));
                }
                Ok(())
            })
            .await;
        let name = format!("{}@{}", record.name, record.domain);
        match changed {
            Ok(_) => tracing::info!("{name}: the password is stored in the new form"),
            // The next login tries again.
            Err(error) => tracing::warn!("{name}: the password stays in its old form: {error}"),
        }
    }
}
