//! The mailbox side of the one door: opening mailboxes by name with rights and quota, the shared
//! state of what is open, and delivery. It must never know a protocol.
//!
//! How it hangs together: [`Registry`] holds one [`OpenMailbox`] per mailbox that any session has
//! open; the change feed reaches it through [`Registry::changed`]. A [`MailAccount`] is an actor
//! looking at mailboxes by name; it checks names, rights and quota and hands out open mailboxes.

mod account;
mod account_acl;
mod alias;
mod annotations;
mod arrange;
mod companions;
mod delivery;
mod error;
mod facts;
mod fetch;
mod intake;
mod listing;
mod members;
mod messages;
mod names;
mod notices;
mod numbering;
mod open;
mod quota;
mod registry;
mod replace;
mod rights;
mod table;
#[cfg(test)]
mod tests;
mod tree;
mod url_keys;
mod watching;

pub use account::{MailAccount, Opened, Target};
pub(crate) use alias::fault as alias_fault;
pub use annotations::{Annotated, AnnotationError, Entries};
pub use delivery::DeliverError;
pub use error::MailError;
pub(crate) use facts::size_limit;
pub use facts::{Limits, Owner};
pub use fetch::{Reader, batches};
pub use intake::Intake;
pub use listing::{ListedMailbox, Pattern};
pub(crate) use members::Group;
pub use messages::Transferred;
pub use names::{NameError, Named, SpecialUse, canonical, parse};
pub use open::{News, OpenMailbox, Shared};
pub use quota::Quota;
pub use registry::{Registry, RegistryOptions};
pub use rights::MailRights;
pub use table::{Row, Table};
pub use url_keys::shows;
pub use watching::{Notice, WatchFilter, Watched, Watcher};
