//! Application passwords: one for each program of a user, to be taken away one by one. Whoever
//! comes in by one reads and sends mail; he neither administers nor changes the password. It must
//! never know how they are made and listed.

use angarium_objects::password::{HASH_MARK, ScramKeys};
use angarium_objects::spelling::{self, Services};
use angarium_objects::value::{Dictionary, Value};
use aws_lc_rs::digest;

use super::hash::{self, ScramSalt};
use super::path::Candidate;
use super::{LoginContext, LoginError, Service};
use crate::{Accounts, Secret};

/// The account setting that holds them by their tags.
pub(crate) const SETTING: &str = "AppPasswords";
/// Where the account's facts say when each was used last.
pub(crate) const USED: &str = "AppPasswordsUsed";
/// Most of one account.
pub(crate) const MOST: usize = 16;
/// Seconds between two notes of a use: not every login is written down.
const NOTED_EVERY: i64 = 3600;

/// One application password as it is stored.
pub(crate) struct AppPassword<'a> {
    pub(crate) tag: &'a str,
    stored: &'a str,
    salt: &'a str,
    hint: i64,
    pub(crate) services: Services,
    pub(crate) created: Option<i64>,
}

/// One octet that says which of several passwords this may be, so that a login computes one slow
/// hash and not one for each; it gives eight bits of a long password away.
fn hint_of(salt: &str, password: &Secret) -> i64 {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(salt.as_bytes());
    context.update(password.expose());
    context.finish().as_ref().first().map_or(0, |octet| i64::from(*octet))
}

/// All of an account; what is no application password is passed over.
pub(crate) fn all(settings: &Dictionary) -> Vec<AppPassword<'_>> {
    let stored = settings.get(SETTING).and_then(Value::as_dictionary);
    stored
        .into_iter()
        .flatten()
        .take(MOST)
        .filter_map(|(tag, value)| {
            let one = value.as_dictionary()?;
            let stored =
                one.get("Password")?.as_str().filter(|text| text.starts_with(HASH_MARK))?;
            let created = match one.get("Created") {
                Some(Value::Time(time)) => Some(*time),
                _ => None,
            };
            Some(AppPassword {
                tag,
                stored,
                salt: one.get("Salt").and_then(Value::as_str).unwrap_or_default(),
                hint: one.get("Hint")?.as_number()?,
                services: one.get("Services").and_then(spelling::services).unwrap_or(Services::All),
                created,
            })
        })
        .collect()
}

/// What the SCRAM keys of an account's application passwords are made with; `None` while it has
/// none of them. A new password of the account is given the same, so that one challenge does for
/// all.
pub(crate) fn scram_salt(settings: &Dictionary) -> Option<ScramSalt> {
    all(settings).iter().find_map(|one| ScramSalt::of_stored(one.stored))
}

/// The entry of the setting for a new one.
pub(crate) fn entry(
    stored: String,
    salt: &str,
    password: &Secret,
    services: Option<Vec<String>>,
    now: i64,
) -> Value {
    let mut one = Dictionary::new();
    one.insert("Password".to_owned(), Value::from(stored));
    one.insert("Salt".to_owned(), Value::from(salt));
    one.insert("Hint".to_owned(), Value::Number(hint_of(salt, password)));
    one.insert("Created".to_owned(), Value::Time(now));
    if let Some(services) = services {
        let services = services.into_iter().map(Value::from).collect();
        one.insert("Services".to_owned(), Value::Array(services));
    }
    Value::Dictionary(one)
}

/// Those that let in to the service of a login.
fn usable(candidate: &Candidate, context: LoginContext) -> Vec<AppPassword<'_>> {
    let Some(found) = &candidate.found else { return Vec::new() };
    let used = found.settings.get("UseAppPassword").and_then(spelling::boolean);
    let administers = matches!(context.service, Service::Pwd | Service::Http);
    if administers || !used.unwrap_or(false) {
        return Vec::new();
    }
    let mut all = all(&found.record.settings);
    all.retain(|one| one.services.enabled(context.service.mode()));
    all
}

/// The SCRAM keys of the application passwords that a login to this service may show, by their
/// tags: those made with the salt that the client is told.
pub(super) fn scram_keys(
    candidate: &Candidate,
    context: LoginContext,
    told: &ScramKeys,
) -> Vec<(String, ScramKeys)> {
    usable(candidate, context)
        .iter()
        .filter_map(|one| Some((one.tag.to_owned(), hash::scram_keys_in(one.stored)?)))
        .filter(|(_, keys)| keys.salt == told.salt && keys.rounds == told.rounds)
        .collect()
}

impl Accounts {
    /// True when a password is one of the account's application passwords and lets in to the
    /// service.
    pub(super) async fn check_app_password(
        &self,
        candidate: &Candidate,
        password: &Secret,
        context: LoginContext,
    ) -> Result<bool, LoginError> {
        let now = self.now();
        for one in usable(candidate, context) {
            if one.hint != hint_of(one.salt, password) {
                continue;
            }
            let Some(id) = candidate.found.as_ref().map(|found| found.record.id) else { break };
            if self.gate.verify_one(id, one.tag, one.stored, password, now).await? {
                self.used_app_password(candidate, one.tag).await;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Somebody has shown the application password of this tag.
    pub(super) async fn used_app_password(&self, candidate: &Candidate, tag: &str) {
        let Some(found) = &candidate.found else { return };
        tracing::info!(account = %candidate.key, %tag, "by an application password");
        self.note_use(found.record.id, &found.record.info, tag, self.now()).await;
    }

    /// Writes down when an application password was used, not more often than once an hour.
    async fn note_use(&self, id: crate::AccountId, info: &Dictionary, tag: &str, now: i64) {
        let last = last_use(info, tag);
        if last.is_some_and(|last| (0..NOTED_EVERY).contains(&now.saturating_sub(last))) {
            return;
        }
        let noted = self
            .edit_account(id, |record| {
                let tags: Vec<&str> = all(&record.settings).iter().map(|one| one.tag).collect();
                let before = record.info.get(USED).and_then(Value::as_dictionary);
                let mut uses: Dictionary = before.cloned().unwrap_or_default();
                uses.retain(|tag, _| tags.contains(&tag.as_str()));
                uses.insert(tag.to_owned(), Value::Time(now));
                record.info.insert(USED.to_owned(), Value::Dictionary(uses));
                Ok(())
            })
            .await;
        if let Err(error) = noted {
            tracing::warn!("the use of an application password was not noted: {error}");
        }
    }
}

/// When one was used last.
pub(crate) fn last_use(info: &Dictionary, tag: &str) -> Option<i64> {
    match info.get(USED)?.as_dictionary()?.get(tag)? {
        Value::Time(time) => Some(*time),
        _ => None,
    }
}
