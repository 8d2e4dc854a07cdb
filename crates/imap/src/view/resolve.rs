//! From a client's set to the messages it names: ranges are cut against the runs of the map, so
//! that `1:4294967295` costs no more than `1:*` (ABU-26).

use smallvec::SmallVec;
use thiserror::Error;

use super::uid_map::UidMap;
use crate::types::{PartialRange, SequenceSet, UidSet};

/// A sequence number above EXISTS.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("Message number above the number of messages")]
pub struct NoSuchMessage;

/// Neighbouring messages: sequence numbers and UIDs grow together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Sequence number of the first.
    pub sequence: u32,
    /// UID of the first.
    pub uid: u32,
    /// How many, at least 1.
    pub count: u32,
}

/// The messages a set names, ascending, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    pieces: SmallVec<[Piece; 2]>,
}

impl Resolved {
    /// The messages as pieces.
    #[must_use]
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// True when no message is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// How many messages are named.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.pieces.iter().map(|piece| piece.count).sum()
    }

    /// Every message as (sequence number, UID).
    pub fn iter(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.pieces
            .iter()
            .flat_map(|piece| (0..piece.count).map(move |i| (piece.sequence + i, piece.uid + i)))
    }

    /// The UIDs, ascending.
    pub fn uids(&self) -> impl Iterator<Item = u32> + '_ {
        self.iter().map(|(_, uid)| uid)
    }

    /// The UIDs as a set.
    #[must_use]
    pub fn uid_set(&self) -> UidSet {
        let mut set = UidSet::new();
        for piece in &self.pieces {
            set.push_range(piece.uid, piece.uid + (piece.count - 1));
        }
        set
    }

    /// Only the messages at these positions (RFC 9394).
    #[must_use]
    pub fn page(&self, page: PartialRange) -> Self {
        let length = self.len();
        let (first, last) = match page.from_end {
            false => (page.first, page.last.min(length)),
            true => {
                let Some(last) = length.checked_sub(page.first.saturating_sub(1)) else {
                    return Self::default();
                };
                (length.saturating_sub(page.last.saturating_sub(1)).max(1), last)
            }
        };
        let mut chosen = Self::default();
        let mut before = 0;
        for piece in &self.pieces {
            let low = first.max(before + 1);
            let high = last.min(before + piece.count);
            if low <= high && low > 0 {
                let skip = low - before - 1;
                chosen.push(Piece {
                    sequence: piece.sequence + skip,
                    uid: piece.uid + skip,
                    count: high - low + 1,
                });
            }
            before += piece.count;
        }
        chosen
    }

    fn push(&mut self, piece: Piece) {
        if let Some(last) = self.pieces.last_mut() {
            let joins = last.sequence + last.count == piece.sequence
                && last.uid.checked_add(last.count) == Some(piece.uid);
            if joins {
                last.count += piece.count;
                return;
            }
        }
        self.pieces.push(piece);
    }
}

pub(super) fn resolve(
    map: &UidMap,
    set: &SequenceSet,
    uid: bool,
    saved_set: &UidSet,
) -> Result<Resolved, NoSuchMessage> {
    let SequenceSet::Ranges(ranges) = set else { return Ok(saved(map, saved_set)) };
    let largest = if uid { map.last().unwrap_or(0) } else { map.len() };
    // One range is by far the commonest and needs neither sorting nor a list.
    if let [range] = ranges.as_slice() {
        let mut resolved = Resolved::default();
        if let Some((low, high)) = range.resolve(largest) {
            cut(map, uid, low, high, &mut resolved)?;
        }
        return Ok(resolved);
    }
    let ascending = UidSet::from_ranges(ranges.iter().filter_map(|r| r.resolve(largest)).collect());
    let mut resolved = Resolved::default();
    for &(low, high) in ascending.ranges() {
        cut(map, uid, low, high, &mut resolved)?;
    }
    if !uid {
        // Neighbouring ranges were joined above; each must still begin at a message.
        let beyond =
            |r: &crate::types::Range| r.resolve(largest).is_some_and(|(low, _)| low > largest);
        if ranges.iter().any(beyond) {
            return Err(NoSuchMessage);
        }
    }
    Ok(resolved)
}

pub(super) fn saved(map: &UidMap, uids: &UidSet) -> Resolved {
    let mut resolved = Resolved::default();
    for &(low, high) in uids.ranges() {
        cut_uids(map, low, high, &mut resolved);
    }
    resolved
}

fn cut(
    map: &UidMap,
    uid: bool,
    low: u32,
    high: u32,
    resolved: &mut Resolved,
) -> Result<(), NoSuchMessage> {
    if uid {
        cut_uids(map, low, high, resolved);
        return Ok(());
    }
    if low > map.len() {
        return Err(NoSuchMessage);
    }
    let high = high.min(map.len());
    for (sequence, first_uid, count) in map.runs_from_sequence(low) {
        if sequence > high {
            break;
        }
        let from = low.max(sequence);
        let to = high.min(sequence + (count - 1));
        let uid = first_uid + (from - sequence);
        resolved.push(Piece { sequence: from, uid, count: to - from + 1 });
    }
    Ok(())
}

fn cut_uids(map: &UidMap, low: u32, high: u32, resolved: &mut Resolved) {
    for (sequence, uid, count) in map.runs_from_uid(low) {
        if uid > high {
            break;
        }
        let from = low.max(uid);
        let to = high.min(uid + (count - 1));
        if from <= to {
            let sequence = sequence + (from - uid);
            resolved.push(Piece { sequence, uid: from, count: to - from + 1 });
        }
    }
}
