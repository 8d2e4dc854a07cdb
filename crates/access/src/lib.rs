//! People and programs: the drivers of IMAP, POP, PWD and the CLI over any stream.
//!
//! They carry bytes between a stream and the pure machines and carry out what the machines ask
//! for, through `accounts` and `transfer`'s submit. They must never know the store.

pub mod cli;
mod compression;
pub mod connection;
pub mod imap;
pub mod pop;
pub mod pwd;
pub mod sessions;
