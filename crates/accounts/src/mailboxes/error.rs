//! Why a mailbox operation was not done, in words a protocol can map to its own codes. It must
//! never know those codes.

use angarium_store::StoreError;
use thiserror::Error;

use super::names::NameError;

/// Why a mailbox operation was not done. Nothing of it was done then.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum MailError {
    /// *Never*: no such mailbox, or it may not be seen.
    #[error("there is no such mailbox")]
    NotFound,
    /// *Never*: no such account, or it is not here.
    #[error("there is no such account")]
    NoAccount,
    /// *Never*: the name exists but holds no messages.
    #[error("this name holds no messages, only other mailboxes")]
    NotSelectable,
    /// *Never*: the name is taken.
    #[error("a mailbox of this name already exists")]
    Exists,
    /// *Not while* there are mailboxes below it.
    #[error("there are mailboxes below this name")]
    HasChildren,
    /// *Never*: the access rights do not allow it.
    #[error("the access rights do not allow this")]
    NoPermission,
    /// *Later*, after the owner made room: the account's storage limit would be passed.
    #[error("the account has no room for this")]
    OverQuota,
    /// *Never*: the account has as many mailboxes as it may have.
    #[error("the account has as many mailboxes as it may have")]
    TooManyMailboxes,
    /// *Not while* another mailbox of the account has this special use.
    #[error("another mailbox has this special use")]
    SpecialUseTaken,
    /// *Never*: a message is larger than the account takes.
    #[error("the message is larger than {0} octets, the largest taken here")]
    TooLarge(u64),
    /// *Not now*: messages that should have come before are not there, or others are.
    #[error("other messages come before this one")]
    OutOfTurn,
    /// *Never*: the name breaks the rules for names.
    #[error("{0}")]
    Name(#[from] NameError),
    /// *Never*: the request makes no sense here, as the text says.
    #[error("{0}")]
    Invalid(String),
    /// *Later*: storage is not available.
    #[error("storage is not available now")]
    Unavailable(String),
    /// *Never*: what is stored is damaged.
    #[error("stored data is damaged")]
    Damaged(String),
}

impl MailError {
    /// True when the same request may succeed later without anyone changing anything.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

impl From<StoreError> for MailError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(why) => Self::Unavailable(why),
            StoreError::NotFound("account") => Self::NoAccount,
            StoreError::NotFound(_) => Self::NotFound,
            StoreError::Exists(_) => Self::Exists,
            StoreError::Damaged(why) => Self::Damaged(why),
            StoreError::Invalid(why) => Self::Invalid(why),
            StoreError::VersionConflict => Self::Unavailable("changed in the meantime".to_owned()),
            other => Self::Unavailable(other.to_string()),
        }
    }
}
