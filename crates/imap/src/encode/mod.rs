//! Answers as bytes, appended to a `Vec<u8>` with as little copying as can be.
//!
//! One file for each family of answers. Nothing here decides what is answered; ready-made pieces
//! (envelope, body structure) are copied as they are. Texts given for people must be printable
//! ASCII without line ends; what else they hold comes out as `?`.

mod answer;
mod fetch;
mod mailbox;
mod metadata;
mod rights;
mod search;
mod structure;
mod text;
mod thread;

pub use answer::{
    Code, alert, bye, capability, continuation, enabled, exists, expunge, flags, id, preauth,
    recent, sasl_challenge, tagged_bad, tagged_no, tagged_ok, untagged_no, untagged_ok, vanished,
};
pub(crate) use fetch::section_name;
pub use fetch::{FetchWriter, item_name};
pub use mailbox::{ListWriter, Namespace, StatusWriter, namespace};
pub use metadata::{list_change, metadata, metadata_changed};
pub use rights::{QuotaUsage, acl, list_rights, my_rights, quota, quota_root};
pub use search::{
    Esearch, Numbers, SearchedMailbox, Update, esearch, no_update, search, search_update, sort,
};
pub use structure::body_without_extensions;
pub use text::{
    astring, literal_head, mailbox_name, nstring, number, ordered_set, string, uid_set,
};
pub use thread::thread;
