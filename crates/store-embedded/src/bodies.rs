//! Bodies: staged in memory or in the spool while they arrive, read back from the segments.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use angarium_store::{
    Bodies, BodyId, BodyWriter, Digest, HeadLength, MessageBody, NewMessage, Result, StagedBody,
    StoreError, Top,
};
use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::Connection;

use crate::embedded::Inner;
use crate::index::references::home;
use crate::index::sql;
use crate::journal::frame::{self, CrcDigest};
use crate::reader::closed;
use crate::shard::{Shard, lay};
use crate::writer::{Part, unavailable};

/// Bodies up to this many octets are staged in memory.
const IN_MEMORY: usize = 256 * 1024;

/// A body in the spool; its file goes when the last holder does.
pub(crate) struct Spooled {
    pub(crate) file: File,
    path: PathBuf,
    pub(crate) length: u64,
    pub(crate) crc: u32,
}

impl Drop for Spooled {
    fn drop(&mut self) {
        // What stays behind goes at the next start.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Where staged bodies wait.
pub(crate) struct Spool {
    directory: PathBuf,
    next: AtomicU64,
}

impl Spool {
    /// Opens the spool and forgets what an earlier run left in it.
    pub(crate) fn open(directory: PathBuf) -> Result<Self> {
        let emptied = match std::fs::remove_dir_all(&directory) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => std::fs::create_dir_all(&directory),
        };
        emptied.map_err(|error| unavailable(&error))?;
        Ok(Self { directory, next: AtomicU64::new(1) })
    }

    fn create(&self) -> std::io::Result<Spooled> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.directory.join(format!("{number:010}.part"));
        let file =
            OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Spooled { file, path, length: 0, crc: 0 })
    }
}

/// A body on its way in.
struct Staging {
    inner: Arc<Inner>,
    memory: Vec<u8>,
    spooled: Option<Spooled>,
    length: u64,
    crc: CrcDigest,
    digest: blake3::Hasher,
}

impl Staging {
    /// Moves what is in memory to the spool.
    async fn spill(&mut self) -> Result<()> {
        let memory = std::mem::take(&mut self.memory);
        let spooled = self.spooled.take();
        let inner = self.inner.clone();
        let written = tokio::task::spawn_blocking(move || {
            let mut spooled = match spooled {
                Some(spooled) => spooled,
                None => inner.spool.create()?,
            };
            spooled.file.write_all_at(&memory, spooled.length)?;
            spooled.length += memory.len() as u64;
            Ok::<_, std::io::Error>(spooled)
        })
        .await
        .map_err(|_| closed())?;
        self.spooled = Some(written.map_err(|error| unavailable(&error))?);
        Ok(())
    }
}

#[async_trait]
impl BodyWriter for Staging {
    async fn write(&mut self, data: &[u8]) -> Result<()> {
        self.crc.update(data);
        self.digest.update(data);
        self.length += data.len() as u64;
        for piece in data.chunks(IN_MEMORY) {
            if self.memory.len() + piece.len() > IN_MEMORY {
                self.spill().await?;
            }
            self.memory.extend_from_slice(piece);
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<StagedBody> {
        let digest: Digest = *self.digest.finalize().as_bytes();
        let size = self.length;
        if self.spooled.is_none() {
            let memory = Some(Bytes::from(std::mem::take(&mut self.memory)));
            return Ok(StagedBody { size, digest, memory, handle: None });
        }
        self.spill().await?;
        let mut spooled = self.spooled.take().ok_or_else(closed)?;
        spooled.crc = self.crc.finish();
        let handle: Arc<dyn std::any::Any + Send + Sync> = Arc::new(spooled);
        Ok(StagedBody { size, digest, memory: None, handle: Some(handle) })
    }
}

/// A body as an append or enqueue brings it: ready to be written, or known.
pub(crate) enum Source {
    New { part: Part, size: u64, digest: Digest, summary: Bytes },
    Known { id: BodyId, foreign: Option<(u64, Digest)> },
}

/// Makes a body ready to be written: checksums are made here, off the writer's thread.
pub(crate) fn prepare(body: MessageBody, summary: Bytes) -> Result<Source> {
    if summary.len() > NewMessage::MAX_SUMMARY {
        return Err(StoreError::Invalid("the summary is too long".to_owned()));
    }
    Ok(match body {
        MessageBody::Existing(id) => Source::Known { id, foreign: None },
        MessageBody::Bytes(bytes) => {
            let digest = *blake3::hash(&bytes).as_bytes();
            in_memory(bytes, digest, summary)
        }
        MessageBody::Staged(staged) => match (staged.memory, staged.handle) {
            (Some(bytes), _) => in_memory(bytes, staged.digest, summary),
            (None, Some(handle)) => {
                let spooled = handle
                    .downcast::<Spooled>()
                    .map_err(|_| StoreError::Invalid("staged elsewhere".to_owned()))?;
                Source::New {
                    size: spooled.length,
                    part: Part::Spooled(spooled),
                    digest: staged.digest,
                    summary,
                }
            }
            (None, None) => return Err(StoreError::Invalid("an empty staging".to_owned())),
        },
    })
}

fn in_memory(bytes: Bytes, digest: Digest, summary: Bytes) -> Source {
    let size = bytes.len() as u64;
    let crc = frame::crc(&bytes);
    Source::New { part: Part::Memory { bytes, crc }, size, digest, summary }
}

/// Reads a whole body and holds it against its checksum.
pub(crate) fn read_whole(shard: &Shard, db: &Connection, body: BodyId) -> Result<Bytes> {
    let lay = lay(db, body)?;
    let bytes = shard.segments.read(lay, 0, lay.size)?;
    if frame::crc(&bytes) != lay.crc {
        return Err(StoreError::Damaged(format!(
            "body {body} in segment {} at {} fails its checksum",
            lay.segment, lay.offset
        )));
    }
    Ok(Bytes::from(bytes))
}

impl Inner {
    /// Reads something of each body in its home shard, in the given order. A body that was moved
    /// between looking it up and reading it is looked up once more.
    pub(crate) async fn of_bodies<T: Send + 'static, K: Copy + Send + 'static>(
        self: &Arc<Self>,
        bodies: Vec<(BodyId, K)>,
        read: fn(&Shard, &Connection, BodyId, K) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut by_shard: Vec<Vec<(usize, BodyId, K)>> = Vec::new();
        by_shard.resize_with(self.shards.len(), Vec::new);
        let count = bodies.len();
        for (index, (body, key)) in bodies.into_iter().enumerate() {
            let place = by_shard.get_mut(home(body) as usize);
            place.ok_or(StoreError::NotFound("body"))?.push((index, body, key));
        }
        let mut found: Vec<Option<T>> = Vec::new();
        found.resize_with(count, || None);
        for (number, wanted) in by_shard.into_iter().enumerate() {
            let Some(shard) = self.shards.get(number).filter(|_| !wanted.is_empty()) else {
                continue;
            };
            let own = shard.clone();
            let part = shard
                .readers
                .read(move |db| {
                    let mut part = Vec::with_capacity(wanted.len());
                    for (index, body, key) in wanted {
                        let value = match read(&own, db, body, key) {
                            Err(StoreError::Unavailable(_)) => {
                                own.readers.read_here(|db| read(&own, db, body, key))
                            }
                            other => other,
                        };
                        part.push((index, value?));
                    }
                    Ok(part)
                })
                .await?;
            for (index, value) in part {
                if let Some(slot) = found.get_mut(index) {
                    *slot = Some(value);
                }
            }
        }
        found.into_iter().map(|value| value.ok_or(StoreError::NotFound("body"))).collect()
    }
}

/// Handle of the family.
pub(crate) struct EmbeddedBodies(pub(crate) Arc<Inner>);

fn first<T>(all: Vec<T>) -> Result<T> {
    all.into_iter().next().ok_or(StoreError::NotFound("body"))
}

#[async_trait]
impl Bodies for EmbeddedBodies {
    fn stage(&self) -> Box<dyn BodyWriter> {
        Box::new(Staging {
            inner: self.0.clone(),
            memory: Vec::new(),
            spooled: None,
            length: 0,
            crc: CrcDigest::new(),
            digest: blake3::Hasher::new(),
        })
    }

    async fn read_staged(&self, staged: &StagedBody, offset: u64, length: u64) -> Result<Bytes> {
        if let Some(memory) = &staged.memory {
            let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(memory.len());
            return Ok(memory.slice(place(offset)..place(offset.saturating_add(length))));
        }
        let spooled = staged.handle.clone().and_then(|handle| handle.downcast::<Spooled>().ok());
        let spooled = spooled.ok_or_else(|| StoreError::Invalid("staged elsewhere".to_owned()))?;
        let read = move || {
            let length = length.min(spooled.length.saturating_sub(offset));
            let mut part = vec![0; usize::try_from(length).unwrap_or_default()];
            spooled.file.read_exact_at(&mut part, offset)?;
            Ok::<_, std::io::Error>(Bytes::from(part))
        };
        let part = tokio::task::spawn_blocking(read).await.map_err(|_| closed())?;
        part.map_err(|error| unavailable(&error))
    }

    async fn read(&self, body: BodyId) -> Result<Bytes> {
        self.read_many(&[body]).await.and_then(first)
    }

    async fn read_many(&self, bodies: &[BodyId]) -> Result<Vec<Bytes>> {
        self.0.wholes(bodies).await
    }

    async fn read_range(&self, body: BodyId, offset: u64, length: u64) -> Result<Bytes> {
        let wanted = vec![(body, (offset, length))];
        let read = |shard: &Shard, db: &Connection, body, (offset, length)| {
            shard.segments.read(lay(db, body)?, offset, length).map(Bytes::from)
        };
        self.0.of_bodies(wanted, read).await.and_then(first)
    }

    async fn read_heads(&self, bodies: &[(BodyId, u32)]) -> Result<Vec<Bytes>> {
        let read = |shard: &Shard, db: &Connection, body, length: u32| {
            shard.segments.read(lay(db, body)?, 0, u64::from(length)).map(Bytes::from)
        };
        self.0.of_bodies(bodies.to_vec(), read).await
    }

    async fn summaries(&self, bodies: &[BodyId]) -> Result<Vec<Bytes>> {
        self.0.summaries(bodies).await
    }

    async fn tops(&self, bodies: &[BodyId], head: HeadLength, room: usize) -> Result<Vec<Top>> {
        self.0.tops(bodies, head, room).await
    }
}

/// Size and summary of a body.
pub(crate) fn size_and_summary(db: &Connection, body: BodyId) -> Result<(u64, Bytes)> {
    let mut statement =
        db.prepare_cached("SELECT size, summary FROM bodies WHERE id=?1").map_err(sql)?;
    let mut rows = statement.query([body.0]).map_err(sql)?;
    let row = rows.next().map_err(sql)?.ok_or(StoreError::NotFound("body"))?;
    let bytes = row.get_ref(1).map_err(sql)?.as_blob().map(Bytes::copy_from_slice);
    Ok((row.get(0).map_err(sql)?, bytes.map_err(|e| StoreError::Damaged(e.to_string()))?))
}
