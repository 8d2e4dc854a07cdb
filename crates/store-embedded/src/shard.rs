//! One shard as the rest of the crate sees it: somewhere to submit operations, read rows and read
//! bodies.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use angarium_store::{BodyId, Result, StoreError};
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::index::{one, sql};
use crate::journal::segment;
use crate::reader::{Readers, closed};
use crate::search::SearchFile;
use crate::writer::{Batch, Command, Job, unavailable};

/// Segment files of one shard kept open for reading.
const OPEN_SEGMENTS: usize = 64;

pub(crate) struct Shard {
    pub(crate) number: u32,
    pub(crate) directory: PathBuf,
    pub(crate) waiting: mpsc::Sender<Command>,
    pub(crate) readers: Arc<Readers>,
    pub(crate) segments: Segments,
    pub(crate) search: SearchFile,
    pub(crate) log_frames: Arc<AtomicU64>,
    pub(crate) batches: Arc<AtomicU64>,
}

impl Shard {
    pub(crate) fn segments_directory(&self) -> PathBuf {
        self.directory.join("segments")
    }

    /// Has the writer decide and write an operation; answers when it is durable and applied.
    pub(crate) async fn submit<T: Send + 'static>(
        &self,
        decide: impl FnOnce(&mut Batch<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (job, answer) = job(decide);
        self.waiting.send(Command::Job(job)).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    /// As [`Shard::submit`], from a thread that may block.
    pub(crate) fn submit_blocking<T: Send + 'static>(
        &self,
        decide: impl FnOnce(&mut Batch<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (job, answer) = job(decide);
        self.waiting.blocking_send(Command::Job(job)).map_err(|_| closed())?;
        answer.blocking_recv().map_err(|_| closed())?
    }
}

fn job<T: Send + 'static>(
    decide: impl FnOnce(&mut Batch<'_>) -> Result<T> + Send + 'static,
) -> (Job, oneshot::Receiver<Result<T>>) {
    let (sender, receiver) = oneshot::channel();
    let job: Job = Box::new(move |batch| {
        let decided = batch.and_then(decide);
        Box::new(move |failed| {
            // Whoever asked may have gone away; the operation stands all the same.
            let _ = sender.send(match failed {
                Some(error) => Err(error.clone()),
                None => decided,
            });
        })
    });
    (job, receiver)
}

/// Where a body lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lay {
    pub(crate) segment: u64,
    pub(crate) offset: u64,
    pub(crate) size: u64,
    pub(crate) crc: u32,
}

/// Looks a body up.
pub(crate) fn lay(db: &Connection, body: BodyId) -> Result<Lay> {
    one(db, "SELECT segment, offset, size, crc FROM bodies WHERE id=?1", [body.0], |row| {
        Ok(Lay { segment: row.get(0)?, offset: row.get(1)?, size: row.get(2)?, crc: row.get(3)? })
    })?
    .ok_or(StoreError::NotFound("body"))
}

/// Open segment files, the least lately opened closed first.
pub(crate) struct Segments {
    directory: PathBuf,
    open: Mutex<OpenFiles>,
}

/// The open files, and their numbers in the order they were opened.
type OpenFiles = (HashMap<u64, Arc<File>>, VecDeque<u64>);

impl Segments {
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory, open: Mutex::default() }
    }

    pub(crate) fn file(&self, number: u64) -> Result<Arc<File>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = open.0.get(&number) {
            return Ok(file.clone());
        }
        let file = File::open(segment::path(&self.directory, number));
        let file = Arc::new(file.map_err(|error| unavailable(&error))?);
        open.0.insert(number, file.clone());
        open.1.push_back(number);
        if open.1.len() > OPEN_SEGMENTS
            && let Some(oldest) = open.1.pop_front()
        {
            open.0.remove(&oldest);
        }
        Ok(file)
    }

    /// Forgets a segment that is removed.
    pub(crate) fn forget(&self, number: u64) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.0.remove(&number);
        open.1.retain(|n| *n != number);
    }

    /// `length` octets of a body from `offset`, fewer at its end.
    pub(crate) fn read(&self, lay: Lay, offset: u64, length: u64) -> Result<Vec<u8>> {
        let length = lay.size.saturating_sub(offset).min(length);
        let mut bytes = vec![0; usize::try_from(length).map_err(|_| too_long())?];
        if length > 0 {
            let from = Lay { offset: lay.offset + offset, ..lay };
            read_at(&*self.file(lay.segment)?, from, &mut bytes)?;
        }
        Ok(bytes)
    }
}

/// Fills `bytes` from where a body lies.
pub(crate) fn read_at(file: &File, lay: Lay, bytes: &mut [u8]) -> Result<()> {
    file.read_exact_at(bytes, lay.offset).map_err(|error| {
        if error.kind() == std::io::ErrorKind::UnexpectedEof {
            StoreError::Damaged(format!("segment {} is cut", lay.segment))
        } else {
            unavailable(&error)
        }
    })
}

pub(crate) fn too_long() -> StoreError {
    StoreError::Invalid("the body does not fit in memory".to_owned())
}

/// Runs a pragma that answers three numbers: SQLite's checkpoint.
pub(crate) fn checkpoint(db: &Connection) -> Result<u64> {
    db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get::<_, i64>(1))
        .map(|frames| u64::try_from(frames).unwrap_or(0))
        .map_err(sql)
}
