//! The proof of a move: a manifest of each side, one line a message; their comparison, at once or
//! later from the files; and the mending of what differs.

pub mod compare;
pub mod manifest;
pub(crate) mod read;
pub(crate) mod repair;
