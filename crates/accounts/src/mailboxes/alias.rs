//! Mailbox aliases: own top-level names for mailboxes of other accounts
//! (`reference/mailboxes.md` section 8). Rights are those of the target; an own mailbox of the
//! same name always comes first. It must never know how an alias is shown.

use angarium_store::{AccountId, StoreError};

use super::account::{MailAccount, RECORD_ATTEMPTS, Target};
use super::error::MailError;
use super::names::{Named, parse};
use crate::Accounts;

/// Why a name or target cannot make an alias; `None` when they can.
pub(crate) fn fault(alias: &str, target: &str) -> Option<&'static str> {
    match parse(alias) {
        Ok(Named::Own(path)) if path == "INBOX" => Some("INBOX cannot be a mailbox alias"),
        Ok(Named::Own(path)) if path.contains('/') || path != alias => {
            Some("a mailbox alias is a name of one level")
        }
        Ok(Named::Own(_)) => match parse(target) {
            Ok(Named::Foreign { .. }) => None,
            _ => Some("a mailbox alias leads to a name such as ~account/mailbox"),
        },
        _ => Some("this name cannot be a mailbox alias"),
    }
}

impl MailAccount {
    /// The foreign mailbox that an own path stands for, if its first level is a mailbox alias.
    pub(super) async fn alias(&self, path: &str) -> Result<Option<Target>, MailError> {
        let (first, rest) = path.split_once('/').unwrap_or((path, ""));
        let Some(foreign) = self.alias_of(first).await? else { return Ok(None) };
        // An alias leads to another account's mailbox, never to another alias.
        let Ok(Named::Foreign { account, path }) = parse(&foreign) else { return Ok(None) };
        let owner = self.accounts.owner(&self.actor, &account).await?;
        let path = match (path.is_empty(), rest.is_empty()) {
            (_, true) => path,
            (true, false) => rest.to_owned(),
            (false, false) => format!("{path}/{rest}"),
        };
        Ok(Some(Target { owner, path }))
    }

    /// Where an alias leads; `None` for other names and where an own mailbox has the name.
    pub(super) async fn alias_of(&self, name: &str) -> Result<Option<String>, MailError> {
        if self.home.id == AccountId(0) {
            return Ok(None);
        }
        let record = self.accounts.record(self.home.id).await?;
        let Some(foreign) = record.mailbox_aliases.get(name).and_then(|v| v.as_str()) else {
            return Ok(None);
        };
        let own = self.accounts.registry().tree(self.accounts.store(), self.home.id).await?;
        Ok(own.named(name).is_none().then(|| foreign.to_owned()))
    }

    /// True when a name as given by a client is that of an alias itself, not of something in it.
    pub(super) async fn is_alias(&self, name: &str) -> Result<bool, MailError> {
        match parse(name)? {
            Named::Own(path) if !path.contains('/') => Ok(self.alias_of(&path).await?.is_some()),
            _ => Ok(false),
        }
    }

    /// Takes an alias away or gives it another name; its target stays as it is.
    pub(super) async fn change_alias(&self, from: &str, to: Option<&str>) -> Result<(), MailError> {
        let directory = &self.accounts.store().directory;
        for _ in 0..RECORD_ATTEMPTS {
            let mut record = directory.account(self.home.id).await?.ok_or(MailError::NoAccount)?;
            let target = record.mailbox_aliases.remove(from).ok_or(MailError::NotFound)?;
            if let Some(to) = to {
                if let Some(why) = target.as_str().and_then(|target| fault(to, target)) {
                    return Err(MailError::Invalid(why.into()));
                }
                if record.mailbox_aliases.contains_key(to) {
                    return Err(MailError::Exists);
                }
                record.mailbox_aliases.insert(to.to_owned(), target);
            }
            let version = record.version;
            match directory.update_account(record, Some(version)).await {
                Err(StoreError::VersionConflict) => {}
                done => return Ok(done.map(drop)?),
            }
        }
        Err(MailError::Unavailable("the account is being changed by others".into()))
    }
}

impl Accounts {
    /// True when an account has a mailbox or directory of this name.
    pub(crate) async fn has_mailbox(
        &self,
        account: AccountId,
        name: &str,
    ) -> Result<bool, MailError> {
        Ok(self.registry().tree(self.store(), account).await?.named(name).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // SHR-07
    #[test]
    fn an_alias_has_one_level_and_leads_into_another_account() {
        assert_eq!(fault("mkt-announce", "~marketing/announce"), None);
        assert_eq!(fault("all", "~public"), None);
        for (alias, target) in [
            ("INBOX", "~marketing/announce"),
            ("inbox", "~marketing/announce"),
            ("a/b", "~marketing/announce"),
            ("~a", "~marketing/announce"),
            ("a ", "~marketing/announce"),
            ("a", "announce"),
            ("a", "~"),
            ("a", "~marketing/../x"),
        ] {
            assert!(fault(alias, target).is_some(), "{alias} {target}");
        }
    }
}
