//! The client's side of IMAP: a machine that turns a server's bytes into responses, tolerant of
//! what real servers send, and the few pieces a client writes. Message bodies are streamed
//! through, never gathered.
//!
//! Must never know a socket, a clock or a file.

pub mod account;
pub mod node;
pub mod reader;
pub mod response;
pub mod write;

pub use account::{About, Namespaces, Resource, Space};
pub use reader::{Event, Reader, ReaderError};
pub use response::{Code, Fetch, ListItem, Response, Status, Untagged};
