//! The storage contract: what the rest of the house may ask of a store, at the level of mail.
//!
//! Six families of promises ([`Mailboxes`], [`AccountFiles`], [`Directory`], [`Queue`], [`Bodies`],
//! [`Search`]) and one change feed ([`feed`]). Each edition (memory, embedded, cluster) keeps every promise of
//! [`suite`], one test a promise. An operation is whole or not at all, and when it answers
//! `Ok` it is durable (the memory edition excepted).
//!
//! This crate must never know a protocol, SQL or S3.

pub mod account_files;
pub mod annotations;
pub mod bodies;
pub mod directory;
pub mod error;
pub mod faulty;
pub mod feed;
pub mod flags;
pub mod ids;
pub mod mailboxes;
pub mod memory;
pub mod message;
pub mod numbers;
pub mod queue;
pub mod search;
pub mod suite;
pub mod timetable;

use std::sync::Arc;

pub use account_files::{AccountFiles, Expected, FileRecord, FileRoom, FileUsage, FileWrite};
pub use annotations::{AnnotationBound, AnnotationChanges, Annotations};
pub use bodies::{Bodies, BodyWriter, HeadLength, MessageBody, StagedBody, Top};
pub use directory::{
    AccountKind, AccountRecord, Directory, DomainObject, DomainRecord, ObjectCounts, ObjectPage,
    SettingsKey, Versioned,
};
pub use error::{Result, StoreError};
pub use feed::{Change, ChangeListener, Feed};
pub use flags::{FlagBits, FlagPart, Flags, Keyword};
pub use ids::{AccountId, BodyId, MailboxId, ModSeq, QueueId, Uid, UidValidity};
pub use mailboxes::{
    Appended, AttributesPatch, Changes, Copied, FlagChange, FlagOutcome, FlagUpdate, MailboxRecord,
    Mailboxes, NewMailbox, Snapshot, Transfer,
};
pub use message::{Digest, InternalDate, MessageEntry, NewMessage, Origin};
pub use numbers::{KeptNumbers, NumbersPatch, PopId};
pub use queue::{
    HELD, LeasedWork, NewQueued, Queue, QueueFacts, QueueName, QueuedMessage, QueuedRecipient,
    RecipientState, RecipientStep, Step,
};
pub use search::{FuzzyText, Search, Sifted};

/// One opened store: the six families of one edition, chosen once at start.
#[derive(Clone)]
pub struct Store {
    /// Mailboxes and their messages.
    pub mailboxes: Arc<dyn Mailboxes>,
    /// The files that accounts keep beside their mail.
    pub files: Arc<dyn AccountFiles>,
    /// Domains, accounts and everything else an administrator can name, with settings.
    pub directory: Arc<dyn Directory>,
    /// Mail on its way.
    pub queue: Arc<dyn Queue>,
    /// The bytes of messages.
    pub bodies: Arc<dyn Bodies>,
    /// What is known of the texts in them.
    pub search: Arc<dyn Search>,
    /// Where changes are told, in the order they happened.
    pub feed: Feed,
}
