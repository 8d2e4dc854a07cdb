//! The configuration of a server as readable text: one stanza an object, one setting a line, so
//! that it can be kept under version control, compared and applied again. What an object may
//! hold is not known here, nor where the text comes from.
//!
//! ```text
//! account joe@example.com {
//!  Aliases = (joseph);
//!  Settings = {
//!   RealName = "Joe Doe";
//!  };
//! }
//! ```
//!
//! A stanza begins at the start of a line with a word, mostly a name, and a dictionary in the
//! text form of settings files; it ends with a `}` at the start of a line. Between stanzas stand
//! empty lines and comments (`//`).

mod differences;
mod gather;
mod print;
mod secrets;

use crate::value::Dictionary;

pub use differences::{Difference, differences};
pub use gather::{Gatherer, StanzaError};
pub use print::stanza_text;
pub use secrets::{is_secret, keep_secrets, without_secrets};

/// Longest text of one stanza, in bytes: the settings of one object are at most 1 MiB, printed
/// with room to read.
pub const MAX_STANZA: usize = 8 * 1024 * 1024;

/// Version of the format, told by the first stanza.
pub const FORMAT: i64 = 1;

/// The kinds of stanzas, in the order in which they are written.
pub mod kind {
    /// What the text is: its format and what is in it.
    pub const HEAD: &str = "configuration";
    /// Server-wide domain defaults.
    pub const DOMAIN_DEFAULTS: &str = "domain-defaults";
    /// Server-wide account defaults.
    pub const ACCOUNT_DEFAULTS: &str = "account-defaults";
    /// The Router with its table.
    pub const ROUTER: &str = "router";
    /// A module, by its name.
    pub const MODULE: &str = "module";
    /// The keys with which domains sign their mail.
    pub const SIGNING_KEYS: &str = "signing-keys";
    /// The key that opens passwords kept readable.
    pub const SEALING_KEY: &str = "sealing-key";
    /// A file of certificates or keys, by its name.
    pub const FILE: &str = "file";
    /// A domain, by its name.
    pub const DOMAIN: &str = "domain";
    /// An account, by its full name.
    pub const ACCOUNT: &str = "account";
    /// A forwarder, by its full name.
    pub const FORWARDER: &str = "forwarder";
    /// A group, by its full name.
    pub const GROUP: &str = "group";
    /// A mailing list with its subscribers, by its full name.
    pub const LIST: &str = "list";
    /// The server settings; last, because the Main Domain must be there.
    pub const SERVER: &str = "server";
}

/// One object of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stanza {
    /// One of [`kind`].
    pub kind: String,
    /// Its name; empty for what there is once.
    pub name: String,
    /// What it holds.
    pub contents: Dictionary,
}

impl Stanza {
    /// A stanza of these parts.
    #[must_use]
    pub fn new(kind: &str, name: &str, contents: Dictionary) -> Self {
        Self { kind: kind.to_owned(), name: name.to_owned(), contents }
    }

    /// Kind and name as they stand at its head.
    #[must_use]
    pub fn title(&self) -> String {
        if self.name.is_empty() {
            self.kind.clone()
        } else {
            format!("{} {}", self.kind, self.name)
        }
    }
}

#[cfg(test)]
mod tests;
