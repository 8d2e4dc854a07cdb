//! Operations on application passwords: making one, taking it away, listing them with their last
//! use. It must never know how a login uses them.

use angarium_objects::spelling::Services;
use angarium_objects::value::{Dictionary, Value};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::OperationError;
use super::authority::allowed;
use super::passwords::busy;
use crate::login::app_password::{self, MOST, SETTING, USED};
use crate::login::hash::{self, ScramSalt};
use crate::{Accounts, Actor, Secret};

/// Least characters of one: programs remember it, so it can be long.
const LEAST: usize = 12;
/// Longest tag, in bytes.
const MAX_TAG: usize = 64;
/// Services an application password may be limited to.
const SERVICES: [&str; 5] = ["IMAP", "POP", "Relay", "WebMail", "LDAP"];

fn syntax(text: &str) -> OperationError {
    OperationError::Syntax(text.to_owned())
}

impl Accounts {
    /// Gives an account an application password under a tag, in place of the one that was there;
    /// an empty one takes it away. `services` limits it to some of `IMAP`, `POP`, `Relay`,
    /// `WebMail`, `LDAP`. Owners may where `PWDAllowed` says so.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn set_app_password(
        &self,
        actor: &Actor,
        account: &str,
        tag: &str,
        password: Secret,
        services: Option<Vec<String>>,
    ) -> Result<(), OperationError> {
        let of = self.password_of(actor, account).await?;
        allowed(of.may || of.says("PWDAllowed"))?;
        let tag = tag.trim();
        if tag.is_empty() || tag.len() > MAX_TAG || tag.chars().any(char::is_control) {
            return Err(syntax("a tag has 1 to 64 bytes"));
        }
        let entry = if password.is_empty() {
            None
        } else {
            // One salt for all passwords of an account: a SCRAM client does not say which it means.
            let own = of.record.settings.get("Password").and_then(Value::as_str);
            let beside = own.and_then(ScramSalt::of_stored);
            let beside = beside.or_else(|| app_password::scram_salt(&of.record.settings));
            Some(self.app_password_entry(&password, services, beside).await?)
        };
        self.edit_account(of.record.id, |record| {
            let before = record.settings.get(SETTING).and_then(Value::as_dictionary);
            let mut all: Dictionary = before.cloned().unwrap_or_default();
            match &entry {
                Some(entry) => _ = all.insert(tag.to_owned(), entry.clone()),
                None if all.remove(tag).is_none() => {
                    return Err(OperationError::General("there is no such tag".to_owned()));
                }
                None => {}
            }
            if all.len() > MOST {
                let text = format!("an account has at most {MOST} application passwords");
                return Err(OperationError::General(text));
            }
            if let Some(Value::Dictionary(used)) = record.info.get_mut(USED) {
                used.remove(tag);
            }
            if all.is_empty() {
                record.settings.remove(SETTING);
            } else {
                record.settings.insert(SETTING.to_owned(), Value::Dictionary(all));
            }
            Ok(())
        })
        .await?;
        Ok(())
    }

    async fn app_password_entry(
        &self,
        password: &Secret,
        services: Option<Vec<String>>,
        beside: Option<ScramSalt>,
    ) -> Result<Value, OperationError> {
        let text = password.expose_str().ok_or_else(|| syntax("a password is UTF-8"))?;
        if text.chars().count() < LEAST || text.chars().any(char::is_control) {
            let text = format!("an application password has at least {LEAST} characters");
            return Err(OperationError::General(text));
        }
        if password.expose().len() > Secret::MAX_LENGTH {
            return Err(syntax("the password is too long"));
        }
        let mut wanted = None;
        if let Some(given) = services {
            let mut words = Vec::new();
            for word in given {
                let known = SERVICES.iter().find(|known| known.eq_ignore_ascii_case(&word));
                let known = known.ok_or_else(|| syntax("no such service for a password"))?;
                words.push((*known).to_owned());
            }
            wanted = Some(words);
        }
        let mut salt = [0; 9];
        rand::fill(&mut salt).map_err(|_| busy())?;
        let (hashing, secret) = (self.gate.hashing, password.clone());
        let stored =
            self.gate.slow(move |memory| hash::new_stored(memory, hashing, &secret, beside)).await;
        let stored = stored.ok().flatten().ok_or_else(busy)?;
        let salt = STANDARD_NO_PAD.encode(salt);
        Ok(app_password::entry(stored, &salt, password, wanted, self.now()))
    }

    /// The application passwords of an account by their tags: `Created`, `LastUsed`, `Services`;
    /// for the owner and for those who may read the account.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn app_passwords(
        &self,
        actor: &Actor,
        account: &str,
    ) -> Result<Dictionary, OperationError> {
        let (_, record) = self.readable_account(actor, account).await?;
        let mut shown = Dictionary::new();
        for one in app_password::all(&record.settings) {
            let mut facts = Dictionary::new();
            if let Some(created) = one.created {
                facts.insert("Created".to_owned(), Value::Time(created));
            }
            if let Some(last) = app_password::last_use(&record.info, one.tag) {
                facts.insert("LastUsed".to_owned(), Value::Time(last));
            }
            let services = match one.services {
                Services::All => Value::from("All"),
                Services::Only(words) => Value::Array(words.into_iter().map(Value::from).collect()),
            };
            facts.insert("Services".to_owned(), services);
            shown.insert(one.tag.to_owned(), Value::Dictionary(facts));
        }
        Ok(shown)
    }
}
