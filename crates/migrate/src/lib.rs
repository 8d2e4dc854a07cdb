//! The Move programs: from any old server to this one by protocols alone, and the proof of it.
//!
//! Streams messages from one server into the other in bounded memory, keeps a journal so that an
//! interrupted run goes on, and verifies by content. Must never know the store or any other crate
//! of the server.

mod access_rights;
mod advice;
mod classes;
mod command_words;
mod connection;
mod copy;
mod journal;
mod labels;
mod log_file;
mod namespaces;
mod opening;
mod protection;
mod resume;
mod source;
mod subscriptions;
mod target;
mod tunnel;

pub mod accounts;
pub mod channel;
pub mod date_filter;
pub mod endpoint;
pub mod error;
mod follow;
pub mod imapsync;
pub mod keep_ids;
pub mod lanes;
pub mod login;
pub mod long_lines;
pub mod move_accounts;
pub mod move_imap_mail;
pub mod move_pop_mail;
pub mod names;
pub mod options;
pub mod plan;
pub mod pop;
pub mod presets;
pub mod printable;
pub mod probe;
pub mod product;
pub mod progress;
pub mod proof;
pub mod quota;
pub mod report;
pub mod run;
pub mod servers;
pub mod session;
pub mod special_use;
pub mod stop;
pub mod sync;
pub mod sync_imap_mail;
pub mod trust;
pub mod verify;

pub use plan::LeftOut;
