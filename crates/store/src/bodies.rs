//! The bytes of messages: staged while they arrive, read back whole or in part.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::{Result, StoreError};
use crate::ids::BodyId;
use crate::message::Digest;

/// Where a message's bytes come from when it is appended or queued.
#[derive(Clone, Debug)]
pub enum MessageBody {
    /// Whole in memory.
    Bytes(Bytes),
    /// Staged with [`Bodies::stage`], possibly on disk.
    Staged(StagedBody),
    /// Already stored: a copy shares it. The body must be held by something that cannot go away
    /// during the call (a message or a queue entry that the caller knows to exist); if it is
    /// gone, the call answers `NotFound("body")`.
    Existing(BodyId),
}

/// A body that has arrived but belongs to nothing yet; forgotten when the last clone is dropped
/// and at restart. Cheap to clone.
#[derive(Clone)]
pub struct StagedBody {
    /// Size in octets.
    pub size: u64,
    /// BLAKE3 of the bytes.
    pub digest: Digest,
    /// The bytes, if small enough to be in memory.
    pub memory: Option<Bytes>,
    /// The edition's own handle when they are not (it downcasts it).
    pub handle: Option<Arc<dyn std::any::Any + Send + Sync>>,
}

impl fmt::Debug for StagedBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StagedBody").field("size", &self.size).finish_non_exhaustive()
    }
}

/// Takes the bytes of one message as they come. Dropping it forgets them.
#[async_trait]
pub trait BodyWriter: Send {
    /// Adds bytes.
    ///
    /// # Errors
    /// `Unavailable` when staging space is out; the writer is useless afterwards.
    async fn write(&mut self, data: &[u8]) -> Result<()>;
    /// Ends the message. Not durable yet: that is the promise of the append or enqueue.
    ///
    /// # Errors
    /// `Unavailable` as above.
    async fn finish(self: Box<Self>) -> Result<StagedBody>;
}

/// What lists of messages are made of: the summary of a body and octets from its front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Top {
    /// The summary given when the body was stored.
    pub summary: Bytes,
    /// As many octets from the front as were asked for; not checksummed.
    pub head: Bytes,
}

/// Tells from a summary how many octets of the front are wanted. A function that knows summaries
/// is handed in because the store does not.
pub type HeadLength = fn(&[u8]) -> u32;

/// Reading and staging bodies.
#[async_trait]
pub trait Bodies: Send + Sync {
    /// Starts staging a body. Small ones stay in memory, larger ones go to a spool.
    fn stage(&self) -> Box<dyn BodyWriter>;
    /// `length` octets of a staged body from `offset`, fewer at the end.
    ///
    /// # Errors
    /// `Invalid` for a body staged by another edition, `Unavailable`.
    async fn read_staged(&self, staged: &StagedBody, offset: u64, length: u64) -> Result<Bytes> {
        let Some(memory) = &staged.memory else {
            return Err(StoreError::Invalid("staged elsewhere".to_owned()));
        };
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(memory.len());
        Ok(memory.slice(place(offset)..place(offset.saturating_add(length))))
    }
    /// The whole body, its checksum verified.
    ///
    /// # Errors
    /// `NotFound("body")`, `Damaged`, `Unavailable`.
    async fn read(&self, body: BodyId) -> Result<Bytes>;
    /// Many bodies in the given order; the caller bounds the sum of their sizes.
    ///
    /// # Errors
    /// As [`Bodies::read`], for the first that fails.
    async fn read_many(&self, bodies: &[BodyId]) -> Result<Vec<Bytes>>;
    /// `length` octets from `offset`, fewer at the end; not checksummed.
    ///
    /// # Errors
    /// As [`Bodies::read`].
    async fn read_range(&self, body: BodyId, offset: u64, length: u64) -> Result<Bytes>;
    /// The first `lengths[i]` octets of each body (its header), in the given order.
    ///
    /// # Errors
    /// As [`Bodies::read`], for the first that fails.
    async fn read_heads(&self, bodies: &[(BodyId, u32)]) -> Result<Vec<Bytes>>;
    /// The summaries given when the bodies were stored, in the given order.
    ///
    /// # Errors
    /// As [`Bodies::read`], for the first that fails.
    async fn summaries(&self, bodies: &[BodyId]) -> Result<Vec<Bytes>>;
    /// Summaries and heads of bodies from the front of the list, in the given order, until about
    /// `room` octets are read: at least one (for a list that is not empty), perhaps fewer than
    /// asked for. The caller asks again for the rest.
    ///
    /// # Errors
    /// As [`Bodies::read`], for the first that fails.
    async fn tops(&self, bodies: &[BodyId], head: HeadLength, room: usize) -> Result<Vec<Top>>;
}
