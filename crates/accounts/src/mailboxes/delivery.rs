//! Putting arriving mail into an account: with quota, once per delivery. It must never know where
//! the mail came from.

use angarium_store::{AccountId, Appended, MessageBody, NewMailbox, NewMessage, StoreError};
use thiserror::Error;

use super::error::MailError;
use super::names::canonical;
use crate::Accounts;

/// Times a mailbox that was removed meanwhile is looked for again.
const MAILBOX_ATTEMPTS: usize = 3;

/// Why mail was not delivered.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeliverError {
    /// *Later*, when the owner made room: the account is full.
    #[error("the account is full")]
    Full,
    /// *Later*: storage is not available.
    #[error("storage is not available now: {0}")]
    Later(String),
    /// *Never*: the message is larger than the account takes (the limit in octets).
    #[error("the message is larger than {0} octets, the largest the account takes")]
    TooLarge(u64),
    /// *Never*: no such account, or the mailbox name is impossible.
    #[error("{0}")]
    Never(String),
}

impl DeliverError {
    /// True when the same delivery may succeed later.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Full | Self::Later(_))
    }
}

impl From<StoreError> for DeliverError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(why) => Self::Later(why),
            other => Self::Never(other.to_string()),
        }
    }
}

impl From<MailError> for DeliverError {
    fn from(error: MailError) -> Self {
        match error {
            MailError::OverQuota => Self::Full,
            MailError::TooLarge(most) => Self::TooLarge(most),
            MailError::Unavailable(why) => Self::Later(why),
            other => Self::Never(other.to_string()),
        }
    }
}

impl Accounts {
    /// Delivers a message into an account's INBOX or the named mailbox, which is made if it is
    /// missing. A message whose origin was delivered before is not put in again. When the body is
    /// stored already, its size is not known here: use [`Accounts::deliver_sized`].
    ///
    /// # Errors
    /// See [`DeliverError`].
    pub async fn deliver(
        &self,
        account: AccountId,
        mailbox: Option<&str>,
        message: NewMessage,
    ) -> Result<Appended, DeliverError> {
        self.deliver_sized(account, mailbox, 0, message).await
    }

    /// As [`Accounts::deliver`]; `size` is the message's octets, for a body that is stored already.
    ///
    /// # Errors
    /// See [`DeliverError`].
    pub async fn deliver_sized(
        &self,
        account: AccountId,
        mailbox: Option<&str>,
        size: u64,
        message: NewMessage,
    ) -> Result<Appended, DeliverError> {
        if self.in_suspended_domain(account).await? {
            return Err(DeliverError::Later("the domain is suspended".into()));
        }
        let store = self.store();
        let limits = self.mail_limits(account).await?;
        let size = match &message.body {
            MessageBody::Bytes(bytes) => bytes.len() as u64,
            MessageBody::Staged(staged) => staged.size,
            MessageBody::Existing(_) => size,
        };
        if let Some(most) = limits.message.filter(|most| size > *most) {
            return Err(DeliverError::TooLarge(most));
        }
        if let Some(most) = limits.size {
            let (used, _) = store.mailboxes.usage(account).await?;
            let full = used.saturating_add(size) > most;
            // A repeated delivery needs no room: it is there already.
            let repeated = match (full, message.origin) {
                (true, Some(origin)) => store.mailboxes.was_delivered(account, origin).await?,
                _ => false,
            };
            if repeated {
                return Ok(Appended::Repeated);
            }
            if full {
                return Err(DeliverError::Full);
            }
        }
        let path = canonical(mailbox.unwrap_or("INBOX")).map_err(MailError::from)?;
        // A mailbox may be removed between being found and being written to; that is no reason to
        // give the mail up.
        for _ in 0..MAILBOX_ATTEMPTS {
            let id = self.delivery_mailbox(account, &path).await?;
            match store.mailboxes.append(account, id, vec![message.clone()]).await {
                Err(StoreError::NotFound("mailbox")) => {}
                Err(error) => return Err(error.into()),
                Ok((_, done)) => {
                    let nothing = || DeliverError::Later("nothing was appended".into());
                    let done = done.first().copied().ok_or_else(nothing)?;
                    if !matches!(done, Appended::Repeated) {
                        self.count_received(account, size).await;
                    }
                    return Ok(done);
                }
            }
        }
        Err(DeliverError::Later("the mailbox is being removed".into()))
    }

    async fn delivery_mailbox(
        &self,
        account: AccountId,
        path: &str,
    ) -> Result<angarium_store::MailboxId, DeliverError> {
        let store = self.store();
        let named = self.registry().tree(store, account).await?.named(path);
        if let Some(record) = named.filter(|record| record.selectable) {
            return Ok(record.id);
        }
        let new = NewMailbox {
            name: path.to_owned(),
            selectable: true,
            now: self.now(),
            ..NewMailbox::default()
        };
        match store.mailboxes.create(account, new).await {
            Ok(record) => Ok(record.id),
            Err(StoreError::Exists(_)) => {
                let all = store.mailboxes.list(account).await?;
                let found = all.into_iter().find(|r| r.name == path && r.selectable);
                found.map(|r| r.id).ok_or_else(|| DeliverError::Never("no such mailbox".into()))
            }
            Err(error) => Err(error.into()),
        }
    }
}
