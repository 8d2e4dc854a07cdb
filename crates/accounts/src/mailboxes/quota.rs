//! What an account holds and may hold, for its owner and for administrators (RFC 9208,
//! `reference/imap.md` section 6). It must never know how limits are shown.

use angarium_objects::rights::{DOMAIN, MAX_ACCOUNT_SIZE};
use angarium_objects::value::{Dictionary, Value};

use super::account::MailAccount;
use super::error::MailError;
use super::facts::Owner;
use crate::OperationError;

/// The setting with the number of mailboxes, which is also the right to change it.
const MAX_MAILBOXES: &str = "MaxMailboxes";
/// Longest name of a quota root, in bytes.
const MAX_ROOT: usize = 512;

/// Use and limit of each resource that has a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Octets held and octets that may be held.
    pub storage: Option<(u64, u64)>,
    /// Mailboxes there are and mailboxes there may be.
    pub mailboxes: Option<(u64, u64)>,
}

impl From<OperationError> for MailError {
    fn from(error: OperationError) -> Self {
        match error {
            OperationError::Later(why) => Self::Unavailable(why),
            OperationError::Internal(why) => Self::Damaged(why),
            OperationError::AccessDenied => Self::NoPermission,
            OperationError::UnknownAccount => Self::NoAccount,
            other => Self::Invalid(other.to_string()),
        }
    }
}

impl MailAccount {
    /// The account that a quota root names (`#name`, `#name@domain`), if the actor may read its
    /// quota: the owner, administrators of its domain, administrators of all domains.
    ///
    /// # Errors
    /// `NoPermission` for others, whether the account exists or not; `NoAccount` for those who
    /// may know.
    pub async fn quota_owner(&self, root: &str) -> Result<Owner, MailError> {
        let account = root.strip_prefix('#').filter(|a| !a.is_empty() && a.len() <= MAX_ROOT);
        let Some(account) = account else { return Err(MailError::NoAccount) };
        let owner = self.accounts.owner(&self.actor, account).await;
        let domain = match (&owner, account.rsplit_once('@')) {
            (Ok(owner), _) => owner.domain.as_str(),
            (Err(error), _) if error.is_temporary() => return owner,
            (_, Some((_, domain))) => domain,
            (_, None) => &self.home.domain,
        };
        let own = owner.as_ref().is_ok_and(|owner| self.is_own(owner));
        if own || self.administers(domain, DOMAIN).await? {
            owner
        } else {
            Err(MailError::NoPermission)
        }
    }

    /// True when the actor may know what an account holds.
    ///
    /// # Errors
    /// What the store says.
    pub async fn may_read_quota(&self, owner: &Owner) -> Result<bool, MailError> {
        Ok(self.is_own(owner) || self.administers(&owner.domain, DOMAIN).await?)
    }

    /// True for a right as an administrator of this domain.
    async fn administers(&self, domain: &str, code: &str) -> Result<bool, MailError> {
        let authority = self.accounts.authority(&self.actor).await?;
        Ok(self.accounts.may_in_domain(&authority, domain, code).await?)
    }

    /// Use and limits of an account. The rights are the caller's question.
    ///
    /// # Errors
    /// `NoAccount`, or what the store says.
    pub async fn quota(&self, owner: &Owner) -> Result<Quota, MailError> {
        let limits = self.accounts.mail_limits(owner.id).await?;
        let mut quota = Quota::default();
        if let Some(limit) = limits.size {
            let (used, _) = self.usage(owner).await?;
            quota.storage = Some((used, limit));
        }
        if let Some(limit) = limits.mailboxes {
            let tree = self.accounts.registry().tree(self.accounts.store(), owner.id).await?;
            quota.mailboxes = Some((tree.selectable(), limit));
        }
        Ok(quota)
    }

    /// Sets the limits of an account: octets held and number of mailboxes; `None` leaves one as
    /// it is, `Some(None)` takes it away. All or none.
    ///
    /// # Errors
    /// As [`MailAccount::quota_owner`]; `NoPermission` without the right to the setting in the
    /// account's domain; `Invalid`, or what the store says.
    pub async fn set_quota(
        &self,
        root: &str,
        storage: Option<Option<u64>>,
        mailboxes: Option<Option<u64>>,
    ) -> Result<Owner, MailError> {
        let owner = self.quota_owner(root).await?;
        let mut settings = Dictionary::new();
        if let Some(octets) = storage {
            let value = octets.map_or_else(|| "unlimited".to_owned(), |n| format!("{}K", n / 1024));
            settings.insert(MAX_ACCOUNT_SIZE.to_owned(), Value::from(value));
        }
        if let Some(most) = mailboxes {
            let value = most.map_or_else(|| "-1".to_owned(), |most| most.to_string());
            settings.insert(MAX_MAILBOXES.to_owned(), Value::from(value));
        }
        for right in settings.keys() {
            if !self.administers(&owner.domain, right).await? {
                return Err(MailError::NoPermission);
            }
        }
        let account = format!("{}@{}", owner.name, owner.domain);
        let change = self.accounts.update_account_settings(&self.actor, &account, settings);
        Box::pin(change).await?;
        Ok(owner)
    }

    /// The percentage of the storage limit that is used, once it has reached the account's
    /// setting `QuotaAlert`; `None` below it, without a limit and for others' accounts.
    ///
    /// # Errors
    /// What the store says.
    pub async fn quota_alert(&self) -> Result<Option<u64>, MailError> {
        let settings = self.accounts.effective_settings(self.home.id).await?;
        let Some(limit) = self.accounts.mail_limits(self.home.id).await?.size else {
            return Ok(None);
        };
        let alert = settings.get("QuotaAlert");
        let alert = alert.and_then(|value| match value.as_number() {
            Some(number) => u64::try_from(number).ok(),
            None => value.as_str()?.trim().parse().ok(),
        });
        let Some(alert) = alert.filter(|alert| *alert > 0) else { return Ok(None) };
        let (used, _) = self.usage(&self.home).await?;
        let percent = u128::from(used) * 100 / u128::from(limit.max(1));
        let percent = u64::try_from(percent).unwrap_or(u64::MAX);
        Ok((percent >= alert).then_some(percent))
    }
}
