//! What can go wrong in a store, said as *later* (try again) or *never* (it will not work).

use thiserror::Error;

/// The result of a store operation.
pub type Result<T> = std::result::Result<T, StoreError>;

/// Why an operation was not done. Nothing of it was done then.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreError {
    /// *Later*: the disk is full or broken, the engine is busy, the node lost its lease.
    #[error("storage is not available now: {0}")]
    Unavailable(String),
    /// *Never*: there is no such account, mailbox, message, object or queue entry.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// *Never*: the name (or the given UID) is taken.
    #[error("{0} already exists")]
    Exists(&'static str),
    /// *Never* as asked: the caller's version is not the current one; read again and repeat.
    #[error("the object has changed in the meantime")]
    VersionConflict,
    /// *Never* as asked: there would be more of these than there may be.
    #[error("there is no room for more {0}")]
    NoRoom(&'static str),
    /// *Never*: the request breaks a rule of the contract, said in the text.
    #[error("refused by the store: {0}")]
    Invalid(String),
    /// *Never*: the stored bytes fail their checksum or cannot be read as what they should be.
    #[error("stored data is damaged: {0}")]
    Damaged(String),
}

impl StoreError {
    /// True when the same request may succeed later.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}
