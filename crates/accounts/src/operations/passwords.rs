//! Operations on passwords: storing new ones in the account's form, comparing, the rules for
//! those that users choose themselves.

use std::sync::Arc;

use angarium_objects::password::{HASH_MARK, REVERSIBLE_MARK, StoredPassword, recognise};
use angarium_objects::rights::BASIC_SETTINGS;
use angarium_objects::spelling;
use angarium_objects::value::{Dictionary, Value};
use angarium_store::{AccountId, AccountRecord};

use super::OperationError;
use super::authority::allowed;
use crate::login::app_password;
use crate::login::hash::{self, ScramSalt};
use crate::{Accounts, Actor, Secret};

/// An account whose password, or one of whose passwords, somebody wants to change, and what that
/// somebody may.
pub(super) struct PasswordOf {
    pub(super) record: Arc<AccountRecord>,
    pub(super) settings: Arc<Dictionary>,
    /// The actor administers accounts of its domain.
    pub(super) administers: bool,
    /// And has no less rights than the account.
    pub(super) may: bool,
}

impl PasswordOf {
    /// A switch among the settings.
    pub(super) fn says(&self, key: &str) -> bool {
        self.settings.get(key).and_then(spelling::boolean).unwrap_or(false)
    }
}

impl Accounts {
    /// The account whose password is to be changed, for its owner and for administrators who do
    /// not get at more rights that way.
    pub(super) async fn password_of(
        &self,
        actor: &Actor,
        account: &str,
    ) -> Result<PasswordOf, OperationError> {
        let authority = self.authority(actor).await?;
        let record = self.named_account(&authority, account).await?;
        let target = self.actor_of(&record).await?;
        let own = record.id == authority.account && !actor.is_limited();
        let administers = self.may_in_domain(&authority, &record.domain, BASIC_SETTINGS).await?;
        let may = administers && authority.outranks(&target.rights);
        allowed(may || own)?;
        let settings = self.effective_settings(record.id).await?;
        Ok(PasswordOf { record, settings, administers, may })
    }

    /// Gives an account a new password; an empty one means that the internal password never
    /// matches. `check` applies the rules for users (`PWDAllowed`, `PasswordLength`), which the
    /// owner cannot leave out.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn set_account_password(
        &self,
        actor: &Actor,
        account: &str,
        password: Secret,
        check: bool,
    ) -> Result<(), OperationError> {
        let of = self.password_of(actor, account).await?;
        if check || !of.administers {
            allowed(of.says("PWDAllowed"))?;
            let least = of.settings.get("PasswordLength").and_then(Value::as_number).unwrap_or(0);
            let length =
                password.expose_str().map_or(password.expose().len(), |t| t.chars().count());
            if i64::try_from(length).unwrap_or(i64::MAX) < least.max(1) {
                let text = format!("a password has at least {} characters", least.max(1));
                return Err(OperationError::General(text));
            }
        }
        let beside = app_password::scram_salt(&of.record.settings);
        let stored = self.new_stored(&of.settings, &password, beside).await?;
        self.write_password(of.record.id, &stored).await
    }

    async fn write_password(&self, id: AccountId, stored: &str) -> Result<(), OperationError> {
        self.edit_account(id, |record| {
            record.settings.insert("Password".to_owned(), Value::from(stored));
            Ok(())
        })
        .await?;
        self.gate.forget(id);
        Ok(())
    }

    /// The account changes its own password (NEWPASS).
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn change_own_password(
        &self,
        actor: &Actor,
        password: Secret,
    ) -> Result<(), OperationError> {
        self.set_account_password(actor, "*", password, true).await
    }

    /// Compares a password with the stored one.
    ///
    /// # Errors
    /// [`OperationError::WrongPassword`] when it is not the same; see [`OperationError`].
    pub async fn verify_account_password(
        &self,
        actor: &Actor,
        account: &str,
        password: Secret,
    ) -> Result<(), OperationError> {
        let authority = self.authority(actor).await?;
        let record = self.named_account(&authority, account).await?;
        self.need_in_domain(&authority, &record.domain, angarium_objects::rights::DOMAIN).await?;
        // Nobody guesses the password of those who may do more.
        let target = self.actor_of(&record).await?;
        allowed(authority.outranks(&target.rights))?;
        let stored = record.settings.get("Password").and_then(Value::as_str).unwrap_or_default();
        if let StoredPassword::Sealed(sealed) = recognise(stored) {
            let kept = self.open_sealed(sealed).await.map_err(|_| busy())?;
            let right = kept.is_some_and(|kept| kept.matches(password.expose()));
            return if right { Ok(()) } else { Err(OperationError::WrongPassword) };
        }
        let right = self.gate.verify(record.id, stored, &password, self.now()).await;
        match right {
            Ok(true) => Ok(()),
            Ok(false) => Err(OperationError::WrongPassword),
            Err(_) => Err(busy()),
        }
    }

    /// The stored form of a new password, by the effective `PasswordEncryption`; `beside` is what
    /// the account's application passwords are salted with.
    pub(crate) async fn new_stored(
        &self,
        effective: &Dictionary,
        password: &Secret,
        beside: Option<ScramSalt>,
    ) -> Result<String, OperationError> {
        if password.is_empty() {
            return Ok(String::new());
        }
        if password.expose().len() > Secret::MAX_LENGTH {
            return Err(OperationError::Syntax("the password is too long".to_owned()));
        }
        if password.expose().iter().any(u8::is_ascii_control) {
            let text = "a password may not hold control characters".to_owned();
            return Err(OperationError::Syntax(text));
        }
        let method = effective.get("PasswordEncryption").and_then(Value::as_str);
        if method.is_some_and(|m| m.eq_ignore_ascii_case("clear")) {
            let text = password.expose_str().ok_or_else(|| {
                OperationError::Syntax("a password kept in clear must be UTF-8".to_owned())
            })?;
            return Ok(text.to_owned());
        }
        if method.is_some_and(|m| m.eq_ignore_ascii_case("A-crpt")) {
            let key = self.sealing_key().await.map_err(|_| busy())?;
            return key.seal(password).ok_or_else(busy);
        }
        let (hashing, secret) = (self.gate.hashing, password.clone());
        let stored =
            self.gate.slow(move |memory| hash::new_stored(memory, hashing, &secret, beside)).await;
        stored.ok().flatten().ok_or_else(busy)
    }

    /// Replaces a clear `Password` among settings by its stored form. A string that starts with
    /// a mark byte is a hash given as it is.
    pub(super) async fn prepare_password(
        &self,
        domain: &str,
        settings: &mut Dictionary,
        beside: Option<ScramSalt>,
    ) -> Result<(), OperationError> {
        let Some(value) = settings.get("Password") else { return Ok(()) };
        if angarium_objects::settings::is_default(value) {
            return Ok(());
        }
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return Err(OperationError::Syntax("a password is a string".to_owned())),
        };
        let stored = if text.starts_with(HASH_MARK) || text.starts_with(REVERSIBLE_MARK) {
            text
        } else {
            let effective = self.effective_of(domain, settings).await?;
            self.new_stored(&effective, &Secret::from(text), beside).await?
        };
        settings.insert("Password".to_owned(), Value::from(stored));
        Ok(())
    }
}

pub(super) fn busy() -> OperationError {
    OperationError::Later("too many passwords are being hashed".to_owned())
}
