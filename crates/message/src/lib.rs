//! RFC 5322 and MIME as data: header fields, addresses, dates, encoded words, structure, bodies,
//! composing and reports, the summary the store keeps of each message, and what search needs of it.
//!
//! Everything here is pure: bytes in, values out. No network, no time of day, no storage; time
//! and random bytes are arguments. Reading never fails on hostile mail: what cannot be read as
//! declared gets a stable answer, within bounds stated as constants.

pub mod address;
pub mod collation;
pub mod compose;
pub mod content;
pub mod date;
pub mod decode;
pub mod encoded_word;
pub mod header;
mod html;
pub mod identifier;
pub mod items;
pub mod mailbox_files;
pub mod received;
pub mod report;
pub mod search;
pub mod section;
pub mod seven_bit;
pub mod smime;
pub mod structure;
pub mod subject;
pub mod summary;
pub mod thread;
mod walk;
mod wire;

pub use walk::{BOUNDARY_MAX, DEPTH_MAX, HEADER_MAX, PARTS_MAX};
