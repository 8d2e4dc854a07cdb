//! Sets of sequence numbers or UIDs as a client writes them.

use smallvec::SmallVec;

/// Stands for `*`, the largest number in use; 0 is never a message number.
pub const STAR: u32 = 0;

/// One element of a set, ends in either order as written; a single number has equal ends and
/// [`STAR`] stands for `*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Range {
    /// The end written first.
    pub from: u32,
    /// The end written second.
    pub to: u32,
}

impl Range {
    /// The range in ascending order with `*` put in; nothing if `*` is named and `largest` is 0
    /// (an empty mailbox).
    #[must_use]
    pub fn resolve(self, largest: u32) -> Option<(u32, u32)> {
        let end = |n: u32| if n == STAR { largest } else { n };
        let (a, b) = (end(self.from), end(self.to));
        (a != 0 && b != 0).then(|| (a.min(b), a.max(b)))
    }
}

/// A set of messages named by a client (RFC 9051 section 9, `sequence-set`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SequenceSet {
    /// Ranges in the order written, at least one, at most [`SequenceSet::MAX_RANGES`].
    Ranges(SmallVec<[Range; 2]>),
    /// `$`: what the last SEARCH saved (RFC 5182).
    Saved,
}

impl SequenceSet {
    /// Most ranges taken in one set.
    pub const MAX_RANGES: usize = 65_536;

    /// A set of one number.
    #[must_use]
    pub fn single(number: u32) -> Self {
        Self::Ranges(SmallVec::from_buf_and_len([Range { from: number, to: number }; 2], 1))
    }

    /// The set that is one range.
    #[must_use]
    pub fn range(from: u32, to: u32) -> Self {
        Self::Ranges(SmallVec::from_buf_and_len([Range { from, to }; 2], 1))
    }

    /// The ranges; none for `$`.
    #[must_use]
    pub fn ranges(&self) -> &[Range] {
        match self {
            Self::Ranges(ranges) => ranges,
            Self::Saved => &[],
        }
    }
}
