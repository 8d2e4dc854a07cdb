//! Which account has a legacy INBOX, where its file is and how it is locked. It must never know
//! what is in the file.

use std::path::PathBuf;

use angarium_objects::value::Value;
use angarium_store::{AccountId, StoreError};

use crate::Accounts;

/// How other programs are kept out while the file is being used (setting `ExternalLockType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LockType {
    /// Locks of the system (fcntl and flock) and a `.lock` file where one can be made.
    FileLevel,
    /// A `.lock` file alone.
    TempFile,
    /// None: nobody else uses the file.
    None,
}

/// Where an account's INBOX is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) locks: LockType,
    /// The account's name, for owner and log.
    pub(super) name: String,
}

/// The file of a pattern: `*` is the account's name. Nothing for a pattern that is no absolute
/// path, and for names that would lead elsewhere.
fn file_of(pattern: &str, name: &str) -> Option<PathBuf> {
    let harmless = !name.is_empty()
        && !name.starts_with('.')
        && !name.contains(['/', '\0'])
        && !name.ends_with(".lock");
    let climbs = pattern.split('/').any(|level| level == "..");
    if !harmless || climbs || !pattern.starts_with('/') || pattern.ends_with('/') {
        return None;
    }
    Some(PathBuf::from(pattern.replace('*', name)))
}

impl Accounts {
    /// The place of an account's legacy INBOX; nothing when its INBOX is an ordinary one.
    pub(super) async fn legacy_place(&self, id: AccountId) -> Result<Option<Place>, StoreError> {
        // This is asked before every change of a mailbox: what most domains do not have comes first.
        let Some(record) = self.account_record(id).await? else { return Ok(None) };
        let Some(domain) = self.domain_facts(&record.domain).await? else { return Ok(None) };
        let text = |key: &str| domain.effective.get(key).and_then(Value::as_str);
        // Without a place the option is not available.
        let Some(pattern) = text("ExternalINBOXPath").filter(|pattern| !pattern.is_empty()) else {
            return Ok(None);
        };
        let settings = match self.effective_settings(id).await {
            Ok(settings) => settings,
            Err(StoreError::NotFound(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let on = settings.get("ExternalINBOX").and_then(Value::as_str);
        if !on.is_some_and(|value| value.eq_ignore_ascii_case("YES")) {
            return Ok(None);
        }
        let Some(path) = file_of(pattern, &record.name) else {
            let text = format!("{pattern} is no place for the INBOX of {}", record.name);
            return Err(StoreError::Unavailable(text));
        };
        let locks = match text("ExternalLockType").unwrap_or_default().to_ascii_lowercase().as_str()
        {
            "tempfile" => LockType::TempFile,
            "none" => LockType::None,
            _ => LockType::FileLevel,
        };
        Ok(Some(Place { path, locks, name: record.name.clone() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn abu_66_a_name_never_leads_out_of_the_place() {
        let file = |pattern, name| file_of(pattern, name).map(|p| p.display().to_string());
        assert_eq!(file("/var/mail/*", "joe").as_deref(), Some("/var/mail/joe"));
        assert_eq!(file("/home/*/mbox", "joe").as_deref(), Some("/home/joe/mbox"));
        for (pattern, name) in [
            ("/var/mail/*", "../shadow"),
            ("/var/mail/*", ".."),
            ("/var/mail/*", ".hidden"),
            ("/var/mail/*", "a/b"),
            ("/var/mail/*", "joe.lock"),
            ("/var/mail/*", ""),
            ("var/mail/*", "joe"),
            ("/var/mail/../*", "joe"),
            ("/var/mail/", "joe"),
        ] {
            assert_eq!(file(pattern, name), None, "{pattern} {name}");
        }
    }
}
