//! The whole configuration as objects that can be printed, compared and applied again, for the
//! holders of the Master right. Mail, and what the server counts by itself, is no part of it.
//! What the text looks like, `objects::configuration` knows.

mod apply;
mod contents;
mod export;
mod remove;

use angarium_objects::configuration::{Difference, Stanza};
use angarium_store::AccountId;

pub(crate) use apply::OTHER_SEALING;
pub use apply::SHUTS_OUT;
pub use remove::Removal;

/// What a configuration is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConfigurationParts {
    /// Passwords in their stored form, and the key that opens those kept readable.
    pub passwords: bool,
    /// The keys with which domains sign their mail.
    pub keys: bool,
    /// Kinds and names only.
    pub names_only: bool,
}

/// Some objects of a configuration, in the order in which they can be applied.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConfigurationPage {
    /// The objects.
    pub stanzas: Vec<Stanza>,
    /// Pass it on to go on; `None` at the end.
    pub next: Option<String>,
}

/// What an object means to this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigurationStep {
    /// It is as it should be.
    Same,
    /// It was not there.
    Made,
    /// Something of it was different.
    Changed,
    /// It was there and is not wanted.
    Removed,
}

/// What applying an object did, or would do.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigurationChange {
    /// In a word.
    pub step: ConfigurationStep,
    /// What was different; nothing for [`ConfigurationStep::Same`].
    pub differences: Vec<Difference>,
    /// Accounts whose sessions have to end: a password or a service they came in by may be gone.
    pub shut_out: Vec<AccountId>,
}
