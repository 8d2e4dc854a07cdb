//! The keys that authorise URLs (RFC 4467): one for each mailbox and each user who names it, all
//! derived from the server's secret, so that nothing of them is stored but how often they were
//! reset. It must never know how a URL is written.

use std::sync::Arc;

use angarium_objects::value::{Dictionary, Value};
use angarium_store::{AccountRecord, StoreError};
use aws_lc_rs::hmac;
use subtle::ConstantTimeEq as _;

use super::account::{MailAccount, Opened};
use super::error::MailError;
use super::facts::Owner;
use super::rights::MailRights;
use crate::{Accounts, RouteKind, RouteOutcome};

/// Where an account's record keeps how often its keys were reset.
const RESETS: &str = "URLAuthResets";
/// The entry that counts for all mailboxes.
const ALL: &str = "All";
/// Mailboxes counted on their own; with more, all keys of the account are reset at once.
const MAX_RESETS: usize = 1000;
/// Times a change of an account's record is tried again when another one came between.
const RECORD_ATTEMPTS: usize = 8;

fn number(resets: Option<&Dictionary>, key: &str) -> i64 {
    resets.and_then(|all| all.get(key)).and_then(Value::as_number).unwrap_or(0)
}

fn resets(record: &AccountRecord) -> Option<&Dictionary> {
    record.info.get(RESETS).and_then(Value::as_dictionary)
}

/// The name under which resets of one mailbox are counted.
fn entry(opened: &Opened) -> String {
    format!("{}-{}", opened.owner.id.0, opened.mailbox.id().0)
}

impl Accounts {
    /// The local domain that a host name means: a domain's own name or alias, or a name below.
    ///
    /// # Errors
    /// What the store says.
    pub async fn domain_of_host(&self, host: &str) -> Result<Option<String>, MailError> {
        let mut name = host;
        loop {
            if let Some(domain) = self.domain_facts(name).await? {
                return Ok(Some(domain.record.name.clone()));
            }
            let Some((_, above)) = name.split_once('.') else { return Ok(None) };
            name = above;
        }
    }

    /// The mailboxes as the user of a URL sees them; a name without a domain belongs to `domain`.
    /// For URLs alone, whose authorization the caller checks.
    ///
    /// # Errors
    /// `NoAccount`, or what the store says.
    pub async fn open_for_url(
        self: &Arc<Self>,
        user: &str,
        domain: &str,
    ) -> Result<MailAccount, MailError> {
        let owner = self.url_user(user, domain).await?;
        let record = self.record(owner.id).await?;
        let actor = Arc::new(self.actor_of(&record).await?);
        Ok(self.open_account(&actor))
    }

    /// The account a user name in a URL means; without a domain it belongs to `domain`.
    ///
    /// # Errors
    /// As [`Accounts::open_for_url`].
    pub async fn url_user(&self, user: &str, domain: &str) -> Result<Owner, MailError> {
        let address = if user.contains('@') { user.to_owned() } else { format!("{user}@{domain}") };
        match Box::pin(self.route(&address, RouteKind::Access, None)).await {
            RouteOutcome::Local { account, account_name, domain, .. } => {
                Ok(Owner { id: account, name: account_name, domain })
            }
            RouteOutcome::Later { reason } => Err(MailError::Unavailable(reason)),
            _ => Err(MailError::NoAccount),
        }
    }
}

impl MailAccount {
    /// The token of a URL (its text before the token) that names a message of this mailbox.
    ///
    /// # Errors
    /// What the store says.
    pub async fn url_token(&self, opened: &Opened, rump: &[u8]) -> Result<[u8; 32], MailError> {
        let unavailable = |_| MailError::Unavailable("the server's secret is out of reach".into());
        let secret = self.accounts.login_secret().await.map_err(unavailable)?;
        let record = self.accounts.record(self.home.id).await?;
        let counted = resets(&record);
        let mailbox = opened.mailbox.shared().record;
        let mut key = hmac::Context::with_key(&secret);
        key.update(b"urlauth\0");
        for number in [
            self.home.id.0,
            opened.owner.id.0,
            opened.mailbox.id().0,
            u64::from(mailbox.uid_validity.0),
        ] {
            key.update(&number.to_be_bytes());
        }
        for name in [ALL, &entry(opened)] {
            key.update(&number(counted, name).to_be_bytes());
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.sign().as_ref());
        let mut token = [0; 32];
        token.copy_from_slice(hmac::sign(&key, rump).as_ref());
        Ok(token)
    }

    /// True when a token is the URL's; compared in a time that says nothing.
    ///
    /// # Errors
    /// What the store says.
    pub async fn is_url_token(
        &self,
        opened: &Opened,
        rump: &[u8],
        token: &[u8],
    ) -> Result<bool, MailError> {
        Ok(self.url_token(opened, rump).await?.ct_eq(token).into())
    }

    /// Makes the tokens given so far worth nothing: those of one mailbox, or all of this user's.
    ///
    /// # Errors
    /// As [`MailAccount::open`], or what the store says.
    pub async fn reset_url_keys(&self, mailbox: Option<&str>) -> Result<(), MailError> {
        let name = match mailbox {
            Some(mailbox) => entry(&self.open(mailbox).await?),
            None => ALL.to_owned(),
        };
        let directory = &self.accounts.store().directory;
        for _ in 0..RECORD_ATTEMPTS {
            let mut record = directory.account(self.home.id).await?.ok_or(MailError::NoAccount)?;
            let mut counted = resets(&record).cloned().unwrap_or_default();
            let full = counted.len() >= MAX_RESETS && !counted.contains_key(&name);
            let name = if full { ALL } else { name.as_str() };
            let next = number(Some(&counted), name).saturating_add(1);
            counted.insert(name.to_owned(), Value::Number(next));
            if name == ALL {
                // The one count changes every key: the others need not be kept.
                counted.retain(|key, _| key == ALL);
            }
            record.info.insert(RESETS.to_owned(), Value::Dictionary(counted));
            let version = record.version;
            match directory.update_account(record, Some(version)).await {
                Ok(_) => return Ok(()),
                Err(StoreError::VersionConflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(MailError::Unavailable("the account is being changed by others".into()))
    }

    /// The user's own certificate for encrypted copies, in DER: the account setting
    /// `PersonalCertificate`, a data block or base64. `None` without one.
    ///
    /// # Errors
    /// What the store says.
    pub async fn personal_certificate(&self) -> Result<Option<Vec<u8>>, MailError> {
        use base64::Engine as _;
        let settings = self.accounts.effective_settings(self.home.id).await?;
        Ok(match settings.get("PersonalCertificate") {
            Some(Value::Data(bytes)) if !bytes.is_empty() => Some(bytes.clone()),
            Some(Value::String(text)) => {
                let joined: String = text.split_ascii_whitespace().collect();
                let bytes = base64::engine::general_purpose::STANDARD.decode(joined);
                // What is no base64 is no certificate either: whoever reads it says so.
                Some(bytes.unwrap_or_else(|_| text.as_bytes().to_vec())).filter(|b| !b.is_empty())
            }
            _ => None,
        })
    }
}

/// True for rights that let somebody see messages whose flags have these bits
/// (`reference/mailboxes.md` section 5).
#[must_use]
pub fn shows(rights: MailRights, bits: angarium_store::FlagBits) -> bool {
    use angarium_store::FlagBits;
    !bits.contains(FlagBits::SERVICE)
        && (rights.can(MailRights::ADMIN) || !bits.contains(FlagBits::HIDDEN))
}
