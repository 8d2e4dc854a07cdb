//! SMTP and LMTP (RFC 5321, RFC 2033): the words, and both sides' sessions as machines.
//!
//! [`command`], [`address`], [`parameters`], [`timing`], [`client_facts`] and [`reply`] are the
//! grammar; [`data`] turns message
//! bytes into what travels after DATA and back; [`receive`] and [`send`] are the two machines.
//!
//! This crate must never know a socket, a clock, an account or the queue: bytes come in, events
//! and bytes go out.

pub mod address;
pub mod client_facts;
pub mod command;
pub mod data;
pub mod limits;
pub mod parameters;
pub mod receive;
pub mod reply;
pub mod send;
pub mod timing;

/// Which of the two protocols a connection speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// RFC 5321: one reply for the whole message.
    #[default]
    Smtp,
    /// RFC 2033: one reply for each accepted recipient.
    Lmtp,
}
