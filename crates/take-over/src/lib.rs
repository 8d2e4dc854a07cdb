//! Taking users over from an old server (`reference/migration.md` section 8): asking it about names
//! by SMTP and about passwords by IMAP or POP, making the accounts, keeping the passwords in our own
//! form, and copying the mail in the background until the switch. Built in ([`arrivals`]), and as a
//! helper program that speaks the protocol of external authenticators ([`helper`]).
//!
//! It must never know the store, nor show a password to a server that has not proved who it is
//! unless the administrator said so.

pub mod arrivals;
pub mod authenticator;
pub mod book;
pub mod copying;
pub mod limits;
pub mod line;
mod moving;
pub mod probe;
pub mod proof;
mod schedule;
#[cfg(test)]
mod stand_in;
