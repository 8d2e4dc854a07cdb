//! Reading what messages are made of, many at a time and bounded by bytes. It must never know
//! what is shown of it.

use angarium_message::search::Probe;
use angarium_store::{AccountId, BodyId, FuzzyText, HeadLength, Sifted, Store, Top};
use bytes::Bytes;

use super::error::MailError;
use crate::Accounts;

/// Reads bodies, heads and summaries of messages that the caller has in an open mailbox.
#[derive(Clone)]
pub struct Reader {
    store: Store,
}

impl Accounts {
    /// A reader of message bytes.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader { store: self.store().clone() }
    }
}

impl Reader {
    /// One whole body.
    ///
    /// # Errors
    /// `NotFound` when its last message went away, else what the store says.
    pub async fn body(&self, body: BodyId) -> Result<Bytes, MailError> {
        Ok(self.store.bodies.read(body).await?)
    }

    /// Whole bodies in the order given; cut the request with [`batches`].
    ///
    /// # Errors
    /// As [`Reader::body`].
    pub async fn bodies(&self, bodies: &[BodyId]) -> Result<Vec<Bytes>, MailError> {
        Ok(self.store.bodies.read_many(bodies).await?)
    }

    /// A part of a body.
    ///
    /// # Errors
    /// As [`Reader::body`].
    pub async fn range(&self, body: BodyId, offset: u64, length: u64) -> Result<Bytes, MailError> {
        Ok(self.store.bodies.read_range(body, offset, length).await?)
    }

    /// The first octets of each body.
    ///
    /// # Errors
    /// As [`Reader::body`].
    pub async fn heads(&self, bodies: &[(BodyId, u32)]) -> Result<Vec<Bytes>, MailError> {
        Ok(self.store.bodies.read_heads(bodies).await?)
    }

    /// Which texts may be in each body, without reading it.
    ///
    /// # Errors
    /// What the store says.
    pub async fn sift(
        &self,
        bodies: &[BodyId],
        probes: &[Probe],
    ) -> Result<Vec<Sifted>, MailError> {
        Ok(self.store.search.sift(bodies, probes).await?)
    }

    /// Of these bodies of messages the caller may read in this account, those with words like the
    /// ones looked for, ascending, with their relevancy.
    ///
    /// # Errors
    /// What the store says.
    pub async fn fuzzy(
        &self,
        owner: AccountId,
        bodies: &[BodyId],
        text: &FuzzyText,
    ) -> Result<Vec<(BodyId, u8)>, MailError> {
        Ok(self.store.search.fuzzy(owner, bodies, text).await?)
    }

    /// The stored summaries.
    ///
    /// # Errors
    /// As [`Reader::body`].
    pub async fn summaries(&self, bodies: &[BodyId]) -> Result<Vec<Bytes>, MailError> {
        Ok(self.store.bodies.summaries(bodies).await?)
    }

    /// Summaries and headers from the front of the list until about `room` octets are read; at
    /// least one. `head` tells from a summary how many octets of the front are wanted.
    ///
    /// # Errors
    /// As [`Reader::body`].
    pub async fn tops(
        &self,
        bodies: &[BodyId],
        head: HeadLength,
        room: usize,
    ) -> Result<Vec<Top>, MailError> {
        Ok(self.store.bodies.tops(bodies, head, room).await?)
    }
}

/// Cuts `sizes` into runs of at most `count` items whose sum stays within `bytes` (a single larger
/// item is a run of its own). Answers the length of each run.
pub fn batches(sizes: impl Iterator<Item = u64>, count: usize, bytes: u64) -> Vec<usize> {
    let mut runs = Vec::new();
    let (mut length, mut sum) = (0usize, 0u64);
    for size in sizes {
        if length > 0 && (length >= count || sum.saturating_add(size) > bytes) {
            runs.push(length);
            (length, sum) = (0, 0);
        }
        length += 1;
        sum = sum.saturating_add(size);
    }
    if length > 0 {
        runs.push(length);
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_hold_both_bounds_and_lose_nothing() {
        let cut = |sizes: &[u64]| batches(sizes.iter().copied(), 3, 100);
        assert_eq!(cut(&[]), Vec::<usize>::new());
        assert_eq!(cut(&[10, 10, 10, 10]), [3, 1]);
        assert_eq!(cut(&[60, 50, 40, 500, 1]), [1, 2, 1, 1]);
        assert_eq!(cut(&[u64::MAX, u64::MAX]), [1, 1]);
    }
}
