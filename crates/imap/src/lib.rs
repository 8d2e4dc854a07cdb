//! IMAP: types, grammar in both directions, flow and the view, as data and machines.
//!
//! RFC 3501 and RFC 9051 with the extensions of `reference/imap.md` section 8. This crate knows
//! no socket, clock, account or stored mailbox: bytes come in, events and bytes go out, and time
//! is an argument.

pub mod client;
pub mod decode;
pub mod encode;
pub mod flow;
pub mod mailbox_name;
pub mod types;
pub mod url;
pub mod view;
