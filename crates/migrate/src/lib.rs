//! The Move programs: from any old server to this one by protocols alone, and the proof of it.
//!
//! Streams messages from one server into the other in bounded memory, keeps a journal so that an
//! interrupted run goes on, and verifies by content. Must never know the store or any other crate
//! of the server.

pub mod channel;
mod command_words;
mod connection;
mod copy;
mod journal;
mod opening;
mod plan;
mod protection;
mod access_rights;
mod classes;
mod connection;
mod copy;
mod journal;
mod labels;
mod namespaces;
pub mod plan;
mod resume;
mod source;
mod subscriptions;
mod target;
mod tunnel;

pub mod date_filter;
pub mod endpoint;
pub mod error;
pub mod lanes;
pub mod login;
pub mod long_lines;
pub mod move_imap_mail;
pub mod names;
pub mod options;
pub mod probe;
pub mod product;
pub mod presets;
pub mod printable;
pub mod progress;
pub mod proof;
pub mod quota;
pub mod report;
pub mod run;
pub mod servers;
pub mod session;
pub mod trust;
pub mod special_use;
pub mod verify;

pub use plan::LeftOut;
