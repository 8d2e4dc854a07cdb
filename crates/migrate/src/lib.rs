//! The Move programs: from any old server to this one by protocols alone, and the proof of it.
//!
//! Streams messages from one server into the other in bounded memory, keeps a journal so that an
//! interrupted run goes on, and verifies by content. Must never know the store or any other crate
//! of the server.

mod connection;
mod copy;
mod journal;
mod plan;
mod resume;
mod source;
mod target;
pub mod unverified;

pub mod date_filter;
pub mod endpoint;
pub mod error;
pub mod long_lines;
pub mod move_imap_mail;
pub mod names;
pub mod options;
pub mod progress;
pub mod report;
pub mod run;
pub mod session;
pub mod verify;
