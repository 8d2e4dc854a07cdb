//! How commands and answers follow each other on a connection, as machines: bytes in, events and
//! bytes out, any split of the input gives the same events. They know no socket and no mailbox.

mod event;
mod lines;
pub mod server;
