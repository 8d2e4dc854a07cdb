//! The file forms of mailboxes: text mailboxes in every dialect, the old server's own `.mbox` and
//! `.mdir`, Maildir++ and MH (`reference/mailboxes.md` section 3).
//!
//! Pure: bytes are asked for through [`Octets`], so that nothing here knows what a file is. Memory
//! is bounded however large or hostile a mailbox is: a line is held up to [`LINE_MAX`] octets, a
//! message never as a whole.

pub mod maildir;
pub mod marks;
pub mod mbox;
pub mod mdir;
pub mod mh;
pub mod quoting;
pub mod separator;
pub mod trees;
pub mod view;

#[cfg(test)]
mod tests;

pub use marks::Marks;
pub use mbox::{Dialect, Found, Mbox, Octets};
pub use quoting::Quoter;
pub use separator::{Fields, Separator};
pub use view::{Facts, View};

/// Octets of a line that are looked at as one; longer lines go through in pieces and are never
/// separators or header fields with a meaning.
pub const LINE_MAX: usize = 64 * 1024;
