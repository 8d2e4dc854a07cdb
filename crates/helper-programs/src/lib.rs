//! Helper programs (`reference/helpers.md`): programs of others, or of the house, that run beside
//! the server and are asked in numbered lines. [`process`] keeps one running, [`launch`] reads from
//! a setting how it is started, [`authenticator`] asks one about passwords and unknown names and
//! tells it of accounts, [`os_passwords`] one about the passwords of the operating system.
//! [`group`] ends a program with all that it has started.
//!
//! It must never know mail nor a protocol of mail.

pub mod authenticator;
pub mod group;
pub mod launch;
pub mod os_passwords;
pub mod process;
pub mod words;

mod absent;
mod following;
mod notices;

pub use following::{HelperPrograms, SetLevel};
