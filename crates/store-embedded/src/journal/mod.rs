//! The journal of one shard: numbered segment files of checksummed frames. It is the truth; the
//! index can be made from it again. Must never know what the records in the frames mean.
//!
//! Invariants:
//! 1. A frame is whole on disk, header, meta and parts, before any operation in it is answered.
//! 2. Nothing before the synced length of a segment is ever written again.
//! 3. A segment is sealed by its follower, whose header tells how long the sealed one is; bytes
//!    past that length were never answered and are never read.

pub(crate) mod frame;
pub(crate) mod scan;
pub(crate) mod segment;
pub(crate) mod tail;

/// A place in the journal of one shard; ordered as the journal is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Segment number, from 1.
    pub segment: u64,
    /// Offset in it.
    pub offset: u64,
}
