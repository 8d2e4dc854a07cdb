//! Bodies in memory: kept as long as a message or a queue entry holds them.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};

use super::{Ids, Memory, invalid};
use crate::bodies::{Bodies, BodyWriter, HeadLength, MessageBody, StagedBody, Top};
use crate::error::{Result, StoreError};
use crate::ids::BodyId;
use crate::message::{Digest, NewMessage};

/// All bodies and how many hold each.
#[derive(Default)]
pub(super) struct HeldBodies {
    ids: Ids,
    held: BTreeMap<BodyId, HeldBody>,
}

/// One body.
struct HeldBody {
    bytes: Bytes,
    summary: Bytes,
    digest: Digest,
    holders: u64,
}

/// A body that was found good and waits to be held.
pub(super) enum Source {
    /// Bytes not stored yet.
    New { bytes: Bytes, digest: Digest, summary: Bytes },
    /// A body somebody holds already.
    Existing(BodyId),
}

/// What a new holder wants to know.
pub(super) struct Held {
    pub(super) id: BodyId,
    pub(super) size: u64,
    pub(super) digest: Digest,
}

impl HeldBodies {
    /// Checks a body that is handed in; changes nothing.
    pub(super) fn check(&self, body: MessageBody, summary: Bytes) -> Result<Source> {
        if let MessageBody::Existing(id) = body {
            self.get(id)?;
            return Ok(Source::Existing(id));
        }
        if summary.len() > NewMessage::MAX_SUMMARY {
            return invalid("the summary is too large");
        }
        let bytes = match body {
            MessageBody::Bytes(bytes) => bytes,
            MessageBody::Staged(StagedBody { memory: Some(bytes), .. }) => bytes,
            _ => return invalid("the body was staged in another store"),
        };
        Ok(Source::New { digest: blake3::hash(&bytes).into(), bytes, summary })
    }

    /// Adds a holder. `Existing` ones were found by [`HeldBodies::check`] under the same lock.
    pub(super) fn hold(&mut self, source: Source) -> Result<Held> {
        let id = match source {
            Source::Existing(id) => id,
            Source::New { bytes, digest, summary } => {
                let id = BodyId(self.ids.take());
                self.held.insert(id, HeldBody { bytes, summary, digest, holders: 0 });
                id
            }
        };
        let body = self.held.get_mut(&id).ok_or(StoreError::NotFound("body"))?;
        body.holders += 1;
        Ok(Held { id, size: body.bytes.len() as u64, digest: body.digest })
    }

    /// Takes a holder away; the last one takes the body along.
    pub(super) fn release(&mut self, id: BodyId) {
        if let Some(body) = self.held.get_mut(&id) {
            body.holders -= 1;
            if body.holders == 0 {
                self.held.remove(&id);
            }
        }
    }

    /// Size and summary of a body.
    pub(super) fn facts(&self, id: BodyId) -> Result<(u64, Bytes)> {
        let body = self.get(id)?;
        Ok((body.bytes.len() as u64, body.summary.clone()))
    }

    /// The bytes of a body, if it is there.
    pub(super) fn bytes(&self, id: BodyId) -> Option<Bytes> {
        self.held.get(&id).map(|body| body.bytes.clone())
    }

    fn get(&self, id: BodyId) -> Result<&HeldBody> {
        self.held.get(&id).ok_or(StoreError::NotFound("body"))
    }

    /// `length` octets from `offset`, fewer at the end.
    fn part(&self, id: BodyId, offset: u64, length: u64) -> Result<Bytes> {
        let bytes = &self.get(id)?.bytes;
        let end = usize::try_from(offset.saturating_add(length)).unwrap_or(usize::MAX);
        let end = end.min(bytes.len());
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(end);
        Ok(bytes.slice(start..end))
    }
}

/// A message that is coming in.
#[derive(Default)]
struct Staging(BytesMut);

#[async_trait]
impl BodyWriter for Staging {
    async fn write(&mut self, data: &[u8]) -> Result<()> {
        self.0.extend_from_slice(data);
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<StagedBody> {
        let bytes = self.0.freeze();
        Ok(StagedBody {
            size: bytes.len() as u64,
            digest: blake3::hash(&bytes).into(),
            memory: Some(bytes),
            handle: None,
        })
    }
}

#[async_trait]
impl Bodies for Memory {
    fn stage(&self) -> Box<dyn BodyWriter> {
        Box::<Staging>::default()
    }

    async fn read(&self, body: BodyId) -> Result<Bytes> {
        self.read(|state| Ok(state.bodies.get(body)?.bytes.clone()))
    }

    async fn read_many(&self, bodies: &[BodyId]) -> Result<Vec<Bytes>> {
        self.read(|state| {
            bodies.iter().map(|id| Ok(state.bodies.get(*id)?.bytes.clone())).collect()
        })
    }

    async fn read_range(&self, body: BodyId, offset: u64, length: u64) -> Result<Bytes> {
        self.read(|state| state.bodies.part(body, offset, length))
    }

    async fn read_heads(&self, bodies: &[(BodyId, u32)]) -> Result<Vec<Bytes>> {
        self.read(|state| {
            bodies.iter().map(|(id, length)| state.bodies.part(*id, 0, (*length).into())).collect()
        })
    }

    async fn summaries(&self, bodies: &[BodyId]) -> Result<Vec<Bytes>> {
        self.read(|state| {
            bodies.iter().map(|id| Ok(state.bodies.get(*id)?.summary.clone())).collect()
        })
    }

    async fn tops(&self, bodies: &[BodyId], head: HeadLength, room: usize) -> Result<Vec<Top>> {
        self.read(|state| {
            let mut tops: Vec<Top> = Vec::new();
            let mut taken = 0;
            for id in bodies {
                if taken >= room && !tops.is_empty() {
                    break;
                }
                let summary = state.bodies.get(*id)?.summary.clone();
                let head = state.bodies.part(*id, 0, head(&summary).into())?;
                taken += summary.len() + head.len();
                tops.push(Top { summary, head });
            }
            Ok(tops)
        })
    }
}
