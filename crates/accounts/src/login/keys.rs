//! The keys logins are held with: SCRAM's of an account or decoys for names that have none, the
//! NT hash, and the server's own secrets behind them. It must never know an exchange.

use angarium_objects::password::{self, HashMethod, ScramKeys, StoredPassword};
use angarium_objects::spelling;
use angarium_objects::value::Value;
use angarium_store::{SettingsKey, Versioned};
use aws_lc_rs::{hmac, rand};
use zeroize::Zeroizing;

use super::path::Candidate;
use super::scram::{Keys, ScramHash};
use super::sealed::SealingKey;
use super::{LoginContext, LoginError, app_password, hash, ntlm};
use crate::Accounts;

/// The module name under which the secret for decoys is kept.
pub(crate) const SECRETS_MODULE: &str = "LoginSecrets";

/// Attempts to store a new secret against others who do the same.
const SECRET_TRIES: usize = 8;

impl Accounts {
    /// Lets clients bind their logins to these certificates of the server, in DER
    /// (`tls-server-end-point`, RFC 5929).
    pub fn use_certificates(&self, certificates: &[Vec<u8>]) {
        self.gate.certificates.set(certificates);
    }

    /// The hash Windows keeps of an account's password: stored so, or made of a readable one.
    pub(super) async fn nt_hash_of(
        &self,
        candidate: &Candidate,
    ) -> Result<Option<Zeroizing<[u8; 16]>>, LoginError> {
        let Some(found) = &candidate.found else { return Ok(None) };
        let enabled = found.settings.get("UseAppPassword").and_then(spelling::boolean);
        let stored = found.record.settings.get("Password").and_then(Value::as_str);
        let stored = stored.filter(|_| enabled.unwrap_or(false)).map(password::recognise);
        if let Some(StoredPassword::Hash { method: HashMethod::NtHash, text }) = stored {
            let octets = super::schemes::hexadecimal(text);
            return Ok(octets.and_then(|o| o.try_into().ok()).map(Zeroizing::new));
        }
        Ok(self.readable_password(candidate).await?.as_ref().and_then(ntlm::nt_hash))
    }

    /// The keys a SCRAM exchange is held with. A name that does not exist, or an account whose
    /// password has no keys, gets decoys: always the same for the same name, never matching.
    pub(super) async fn scram_keys_of(
        &self,
        candidate: &Candidate,
        context: LoginContext,
    ) -> Result<ScramKeys, LoginError> {
        let stored = candidate.found.as_ref().and_then(|found| {
            let enabled = found.settings.get("UseAppPassword").and_then(spelling::boolean);
            let stored = found.record.settings.get("Password").and_then(Value::as_str);
            stored.filter(|_| enabled.unwrap_or(false))
        });
        if let Some(keys) = stored.and_then(hash::scram_keys_in) {
            return Ok(keys);
        }
        let (mut rounds, mut salt, [decoy_stored, decoy_server]) = self.decoys(candidate).await?;
        // Application passwords have keys though the password has none.
        let beside = candidate.found.as_ref().map(|found| &found.record.settings);
        if let Some(beside) = beside.and_then(app_password::scram_salt) {
            (rounds, salt) = (beside.rounds, beside.salt);
        }
        let kept = self.scram_password(candidate, context).await?;
        if let Some(clear) = kept.as_ref().and_then(hash::prepare) {
            let keys = self.gate.slow(move |_| hash::scram_keys(&clear, &salt, rounds)).await?;
            return keys.ok_or(LoginError::Unavailable);
        }
        Ok(ScramKeys { rounds, salt, stored_key: decoy_stored, server_key: decoy_server })
    }

    /// As [`Accounts::scram_keys_of`] with SHA-1, whose keys are nowhere stored: only for readable
    /// passwords.
    pub(super) async fn scram_sha1_keys_of(
        &self,
        candidate: &Candidate,
        context: LoginContext,
    ) -> Result<Keys, LoginError> {
        let (rounds, salt, decoys) = self.decoys(candidate).await?;
        let kept = self.scram_password(candidate, context).await?;
        let mut keys = decoys.map(|decoy| decoy[..20].to_vec());
        if let Some(clear) = kept.as_ref().and_then(hash::prepare) {
            let salt = salt.clone();
            let made = self.gate.slow(move |_| hash::scram_sha1_keys(&clear, &salt, rounds));
            keys = made.await?.ok_or(LoginError::Unavailable)?;
        }
        let [stored_key, server_key] = keys;
        let others = Vec::new();
        Ok(Keys { hash: ScramHash::Sha1, rounds, salt, stored_key, server_key, others })
    }

    /// Rounds, salt and two keys for a name: always the same for the same name, and nobody knows a
    /// text whose hash they are.
    async fn decoys(
        &self,
        candidate: &Candidate,
    ) -> Result<(u32, Vec<u8>, [[u8; 32]; 2]), LoginError> {
        let secret = self.login_secret().await?;
        let derive = |what: &str| {
            let mut context = hmac::Context::with_key(&secret);
            context.update(what.as_bytes());
            context.update(candidate.key.as_bytes());
            context.sign()
        };
        let rounds = self.gate.hashing.scram_rounds;
        let salt: Vec<u8> = derive("salt\0").as_ref().iter().take(16).copied().collect();
        let mut keys = [[0; 32]; 2];
        for (key, what) in keys.iter_mut().zip(["stored\0", "server\0"]) {
            key.copy_from_slice(derive(what).as_ref());
        }
        Ok((rounds, salt, keys))
    }

    /// A key of this server for one purpose, the same as long as its store lives.
    ///
    /// # Errors
    /// *Later*: the store is not available.
    pub async fn key_for(&self, purpose: &str) -> Result<Vec<u8>, LoginError> {
        let secret = self.login_secret().await?;
        Ok(hmac::sign(&secret, format!("purpose\0{purpose}").as_bytes()).as_ref().to_vec())
    }

    /// The server's secret that decoys and the keys of URLs derive from: made once and kept, so
    /// that neither changes when the server is started again.
    pub(crate) async fn login_secret(&self) -> Result<hmac::Key, LoginError> {
        Ok(hmac::Key::new(hmac::HMAC_SHA256, &self.kept_secret("Decoys").await?))
    }

    /// The key of passwords that are kept readable.
    pub(crate) async fn sealing_key(&self) -> Result<SealingKey, LoginError> {
        SealingKey::new(&self.kept_secret("Sealing").await?).ok_or(LoginError::Unavailable)
    }

    /// A secret of the server by its name, made the first time it is asked for.
    async fn kept_secret(&self, name: &str) -> Result<Vec<u8>, LoginError> {
        let stored = self.read_module(SECRETS_MODULE).await?;
        if let Some(Value::Data(bytes)) = stored.get(name) {
            return Ok(bytes.clone());
        }
        let mut fresh = [0_u8; SealingKey::LENGTH];
        rand::fill(&mut fresh).map_err(|_| LoginError::Unavailable)?;
        let key = SettingsKey::Module(SECRETS_MODULE.to_owned());
        for _ in 0..SECRET_TRIES {
            let Versioned { mut value, version } = self.store.directory.settings(&key).await?;
            if let Some(Value::Data(bytes)) = value.get(name) {
                return Ok(bytes.clone());
            }
            value.insert(name.to_owned(), Value::Data(fresh.to_vec()));
            // Whoever is first wins; the others read what he wrote.
            let _ = self.store.directory.set_settings(&key, value, Some(version)).await;
        }
        Err(LoginError::Unavailable)
    }
}
