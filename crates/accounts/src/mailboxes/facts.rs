//! What the mailbox side asks of the directory side: whose mailbox a name means, what an account
//! may hold. It must never know mailboxes.

use std::sync::Arc;

use angarium_objects::rights::CAN_ACCESS_MAILBOXES;
use angarium_objects::value::{Dictionary, Value};
use angarium_store::{AccountId, AccountRecord};

use super::error::MailError;
use crate::{Accounts, Actor, RouteKind, RouteOutcome};

/// The account a mailbox belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The account.
    pub id: AccountId,
    /// Its local name.
    pub name: String,
    /// Its domain.
    pub domain: String,
}

impl Owner {
    /// True when an identifier of an access list means the owner, who has all rights whatever
    /// the list says: by name or as `owner`.
    #[must_use]
    pub fn is_named_by(&self, identifier: &str) -> bool {
        super::rights::names_owner(identifier.trim_start_matches(['+', '-']), self)
    }
}

/// What an account may hold; `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// `MaxAccountSize`, octets.
    pub size: Option<u64>,
    /// `MaxMailboxes`.
    pub mailboxes: Option<u64>,
    /// `MaxMessageSize`, octets.
    pub message: Option<u64>,
}

/// A size setting: a number of octets, with an optional `K`, `M`, `G` or `T`; anything else
/// (`unlimited`, `-1`) is no limit.
pub(crate) fn size_limit(value: Option<&Value>) -> Option<u64> {
    let value = value?;
    if let Some(number) = value.as_number() {
        return u64::try_from(number).ok();
    }
    let text = value.as_str()?.trim();
    let (digits, shift) = match text.char_indices().last()? {
        (at, 'k' | 'K') => (text.get(..at)?, 10),
        (at, 'm' | 'M') => (text.get(..at)?, 20),
        (at, 'g' | 'G') => (text.get(..at)?, 30),
        (at, 't' | 'T') => (text.get(..at)?, 40),
        _ => (text, 0),
    };
    digits.trim().parse::<u64>().ok()?.checked_mul(1 << shift)
}

impl Limits {
    fn of(settings: &Dictionary) -> Self {
        Self {
            size: size_limit(settings.get("MaxAccountSize")),
            mailboxes: size_limit(settings.get("MaxMailboxes")),
            message: size_limit(settings.get("MaxMessageSize")),
        }
    }
}

impl Accounts {
    /// What an account may hold, by its effective settings.
    ///
    /// # Errors
    /// `NoAccount`, or what the store says.
    pub async fn mail_limits(&self, account: AccountId) -> Result<Limits, MailError> {
        Ok(Limits::of(&*self.effective_settings(account).await?))
    }

    pub(super) async fn record(&self, account: AccountId) -> Result<Arc<AccountRecord>, MailError> {
        self.account_record(account).await?.ok_or(MailError::NoAccount)
    }

    /// The account that `account` or `account@domain` means to this actor, through the Router.
    pub(super) async fn owner(&self, actor: &Actor, account: &str) -> Result<Owner, MailError> {
        let address = if account.contains('@') {
            account.to_owned()
        } else {
            format!("{account}@{}", actor.domain)
        };
        match Box::pin(self.route(&address, RouteKind::Access, None)).await {
            RouteOutcome::Local { account, account_name, domain, .. } => {
                Ok(Owner { id: account, name: account_name, domain })
            }
            RouteOutcome::Later { reason } => Err(MailError::Unavailable(reason)),
            _ => Err(MailError::NoAccount),
        }
    }

    /// True when the actor may do everything with the owner's mailboxes, whatever their access
    /// lists say. Rights are read anew, so that one taken away is gone at once.
    pub(super) async fn commands_all_mailboxes(
        &self,
        actor: &Actor,
        owner: &Owner,
    ) -> Result<bool, MailError> {
        if actor.is_console() || (actor.account == owner.id && actor.account != AccountId(0)) {
            return Ok(true);
        }
        let authority = self.authority(actor).await?;
        Ok(self.may_in_domain(&authority, &owner.domain, CAN_ACCESS_MAILBOXES).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_as_administrators_write_them() {
        let limit = |text: &str| size_limit(Some(&Value::from(text)));
        assert_eq!(limit("unlimited"), None);
        assert_eq!(limit("-1"), None);
        assert_eq!(limit("10K"), Some(10_240));
        assert_eq!(limit("1g"), Some(1 << 30));
        assert_eq!(limit("123"), Some(123));
        assert_eq!(limit("99999999999999999T"), None);
        assert_eq!(size_limit(Some(&Value::Number(-1))), None);
        assert_eq!(size_limit(None), None);
    }
}
