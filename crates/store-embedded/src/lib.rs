//! The embedded edition of the store: everything in one base directory, no other program needed.
//!
//! The journal is the truth and the index is its view (design, decisions 2 to 7). A base is
//!
//! ```text
//! BASE/VERSION                          format, number of shards
//! BASE/LOCK                             locked while a process has the base open
//! BASE/spool/                           large bodies on their way in; emptied at start
//! BASE/shard-N/segments/0000000001.seg  the journal of a shard
//! BASE/shard-N/index.sqlite             its index, which can be made anew from the journal
//! BASE/shard-N/search.sqlite            what search derives from the bodies, made again by itself
//! ```
//!
//! An operation is decided by the shard's writer on the index, written to the journal as records,
//! synced with all that came in meanwhile, applied to the index, and then answered.
//!
//! Must never know the Router, accounts' rules, or a protocol.

mod account_files;
mod backup;
mod bodies;
mod check;
mod compaction;
mod decide;
mod directory;
mod embedded;
mod files;
mod fresh;
mod housekeeper;
mod index;
mod journal;
mod lock;
mod mailboxes;
mod queue;
mod reader;
mod reading;
mod record;
mod recovery;
mod schedule;
mod search;
mod shard;
#[doc(hidden)]
pub mod testing;
mod version;
mod writer;

pub use backup::Backup;
pub use check::{CheckReport, check, rebuild_index};
pub use compaction::Compacted;
pub use embedded::{Embedded, Options, open};
#[doc(hidden)]
pub use files::{Files, JournalFile, SystemFiles};
pub use journal::Position;
pub use journal::scan::Damage;
