//! POP3 and PWD, the two line protocols, as machines: bytes in, events and bytes out.
//!
//! [`session`] is the server side of POP3 (RFC 1939 with RFC 2449, 2595, 3206, 5034 and 6856,
//! `reference/pop.md`), [`pwd`] the server side of PWD, the protocol that carries the command
//! line interface (`reference/cli.md`). [`client`] is the client side of POP3. Any split of the
//! input gives the same events.
//!
//! This crate must never know a socket, a clock, an account or a mailbox on disk.

pub mod client;
pub mod command;
pub mod dot;
pub mod line;
pub mod maildrop;
pub mod password;
pub mod pwd;
pub mod reply;
pub mod sasl;
pub mod session;

pub use maildrop::{Maildrop, MaildropEntry};
pub use password::Password;
pub use pwd::{PwdEvent, PwdSession};
pub use reply::ResponseCode;
pub use sasl::SaslReply;
pub use session::{Event, Policy, Retrieve, Session};
