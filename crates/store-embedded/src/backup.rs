//! Online backup: a copy of the journal up to one moment. All writers stand still for as long as
//! it takes to note where they are; copying goes on beside the work. Neither the index nor
//! what is kept for search is copied: the copy makes its own when it is first opened.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::mpsc::sync_channel;

use angarium_store::{Result, StoreError};

use crate::embedded::{Embedded, off_the_runtime, private_directory};
use crate::journal::Position;
use crate::journal::segment;
use crate::reader::closed;
use crate::writer::{Command, unavailable};

/// What a backup holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backup {
    /// Segments copied.
    pub segments: u64,
    /// Octets copied.
    pub octets: u64,
    /// Where each shard stood.
    pub positions: Vec<Position>,
}

impl Embedded {
    /// Copies everything, as it stands at one moment, into a directory that is new or empty. The
    /// copy is a base directory that can be opened. Blocks until the copy is on disk.
    ///
    /// # Errors
    /// `Invalid` if the directory has something in it; `Unavailable` if it cannot be written.
    pub fn backup(&self, destination: &Path) -> Result<Backup> {
        self.is_open()?;
        off_the_runtime(|| {
            let _no_compaction =
                self.inner.maintenance.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let io = |error: std::io::Error| unavailable(&error);
            private_directory(destination).map_err(io)?;
            if std::fs::read_dir(destination).map_err(io)?.next().is_some() {
                return Err(StoreError::Invalid(format!("{} is not empty", destination.display())));
            }
            let mut backup = Backup { positions: self.one_moment()?, ..Backup::default() };
            for (shard, position) in self.inner.shards.iter().zip(backup.positions.clone()) {
                let from = shard.segments_directory();
                let to = destination.join(format!("shard-{}", shard.number)).join("segments");
                copy_shard(&from, &to, position, &mut backup).map_err(io)?;
            }
            // Last: without it the copy is not a base.
            copy(&self.inner.base.join("VERSION"), &destination.join("VERSION"), u64::MAX)
                .and_then(|_| sync_directory(destination))
                .map_err(io)?;
            Ok(backup)
        })
    }

    /// Where all shards stand while none of them moves.
    fn one_moment(&self) -> Result<Vec<Position>> {
        let mut held = Vec::new();
        let mut positions = Vec::new();
        for shard in &self.inner.shards {
            let (reached, position) = sync_channel(1);
            let (go_on, resume) = sync_channel(1);
            let pause = Command::Pause { reached, resume };
            shard.waiting.blocking_send(pause).map_err(|_| closed())?;
            positions.push(position.recv().map_err(|_| closed())?);
            held.push(go_on);
        }
        // Dropping them lets the writers go on.
        drop(held);
        Ok(positions)
    }
}

fn copy_shard(
    from: &Path,
    to: &Path,
    position: Position,
    backup: &mut Backup,
) -> std::io::Result<()> {
    private_directory(to)?;
    for number in segment::list(from)? {
        if number > position.segment {
            break;
        }
        let limit = if number == position.segment { position.offset } else { u64::MAX };
        backup.octets += copy(&segment::path(from, number), &segment::path(to, number), limit)?;
        backup.segments += 1;
    }
    sync_directory(to)
}

fn copy(from: &Path, to: &Path, limit: u64) -> std::io::Result<u64> {
    let mut target = File::create_new(to)?;
    let copied = std::io::copy(&mut File::open(from)?.take(limit), &mut target)?;
    target.flush()?;
    target.sync_all()?;
    Ok(copied)
}

fn sync_directory(path: &Path) -> std::io::Result<()> {
    File::open(path)?.sync_all()
}
