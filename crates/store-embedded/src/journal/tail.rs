//! The end of the journal, where its one writer appends: write, sync, or take back.
//!
//! After a write or sync that failed, what was written since the last good sync is cut off and
//! the cut is synced. If even that fails, the segment is given up: the next batch goes into a new
//! segment whose header tells readers where the old one really ends, so that what was refused
//! never comes back. (Only a crash between the failure and that new segment can let a refused
//! operation appear: it was answered "later", never OK.)

use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use super::Position;
use super::segment::{self, SEGMENT_HEADER, SegmentHeader, fresh_salt};
use crate::bodies::Spooled;
use crate::files::{Files, JournalFile, write_all_at};

/// Copying from the spool goes in steps of this many octets.
const COPY_STEP: usize = 256 * 1024;

/// Zeros are laid out so far ahead of a small batch, octets: a sync of octets that the file has
/// already needs no change of its size or block map, which costs half as much on many disks.
const AHEAD: u64 = 1 << 20;
/// A batch from this size on gains nothing by it, octets.
const LARGE_BATCH: u64 = 64 * 1024;

/// Something to be written, in order.
pub(crate) enum Piece {
    Bytes(Vec<u8>),
    Spooled(Arc<Spooled>),
}

impl Piece {
    fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Spooled(spooled) => spooled.length,
        }
    }
}

pub(crate) struct Tail {
    files: Arc<dyn Files>,
    directory: PathBuf,
    shard: u32,
    file: Box<dyn JournalFile>,
    number: u64,
    /// All before this is synced.
    length: u64,
    /// The file has octets up to here; those past `length` are zeros, which no reader takes for a
    /// frame.
    laid_out: u64,
    salt: u32,
    /// The sequence number of the next frame.
    sequence: u64,
    /// The bytes past `length` could not be cut off.
    suspect: bool,
}

impl Tail {
    /// Goes on in a segment that is there, cutting it off at `length`.
    pub(crate) fn resume(
        files: Arc<dyn Files>,
        directory: PathBuf,
        header: &SegmentHeader,
        length: u64,
        sequence: u64,
    ) -> io::Result<Self> {
        let mut file = files.open(&segment::path(&directory, header.number))?;
        file.truncate(length)?;
        file.sync()?;
        Ok(Self {
            files,
            directory,
            shard: header.shard,
            file,
            number: header.number,
            length,
            laid_out: length,
            salt: header.salt,
            sequence,
            suspect: false,
        })
    }

    /// Begins a new segment after the one told of.
    pub(crate) fn begin(
        files: Arc<dyn Files>,
        directory: PathBuf,
        shard: u32,
        previous: Position,
        sequence: u64,
    ) -> io::Result<Self> {
        let header = SegmentHeader {
            shard,
            number: previous.segment + 1,
            previous: previous.segment,
            previous_length: previous.offset,
            first_sequence: sequence,
            salt: fresh_salt(),
        };
        let file = Self::create(&*files, &directory, &header)?;
        Ok(Self {
            files,
            directory,
            shard,
            file,
            number: header.number,
            length: SEGMENT_HEADER as u64,
            laid_out: SEGMENT_HEADER as u64,
            salt: header.salt,
            sequence,
            suspect: false,
        })
    }

    /// Header written, synced and the name made durable, in a name that is no segment's until it
    /// is whole.
    fn create(
        files: &dyn Files,
        directory: &std::path::Path,
        header: &SegmentHeader,
    ) -> io::Result<Box<dyn JournalFile>> {
        let path = segment::path(directory, header.number);
        let unnamed = path.with_extension("new");
        let mut file = files.create(&unnamed)?;
        write_all_at(&mut *file, 0, &header.encode())?;
        file.sync()?;
        files.rename(&unnamed, &path)?;
        files.sync_directory(directory)?;
        Ok(file)
    }

    /// Where the next frame will begin if nothing else is written.
    pub(crate) fn position(&self) -> Position {
        Position { segment: self.number, offset: self.length }
    }

    pub(crate) fn salt(&self) -> u32 {
        self.salt
    }

    /// Makes ready for a batch: a new segment if this one is full or given up.
    pub(crate) fn prepare(&mut self, segment_size: u64) -> io::Result<()> {
        if self.suspect || self.length >= segment_size {
            self.roll()?;
        }
        Ok(())
    }

    /// Seals this segment and begins the next.
    pub(crate) fn roll(&mut self) -> io::Result<()> {
        let next = Self::begin(
            self.files.clone(),
            self.directory.clone(),
            self.shard,
            self.position(),
            self.sequence,
        )?;
        self.trim();
        *self = next;
        Ok(())
    }

    /// Gives back what was laid out ahead and not used. Nothing depends on it: readers know the
    /// valid length, or find zeros.
    pub(crate) fn trim(&mut self) {
        if self.laid_out > self.length && !self.suspect {
            match self.file.truncate(self.length) {
                Ok(()) => self.laid_out = self.length,
                Err(error) => tracing::warn!(
                    shard = self.shard,
                    segment = self.number,
                    "room laid out ahead could not be given back: {error}"
                ),
            }
        }
    }

    /// Lays zeros out behind a small batch that ends past the last ones. They are made durable by
    /// the batch's own sync; if there is no room for them, the batch may still find its own.
    fn lay_out(&mut self, end: u64) {
        if end <= self.laid_out || end - self.length >= LARGE_BATCH {
            return;
        }
        let zeros = vec![0; AHEAD as usize];
        if write_all_at(&mut *self.file, end, &zeros).is_ok() {
            self.laid_out = end + AHEAD;
        }
    }

    /// Writes a batch after the synced length and syncs it. The caller then calls
    /// [`Tail::accept`] or [`Tail::take_back`].
    pub(crate) fn write(&mut self, pieces: &[Piece]) -> io::Result<()> {
        let mut at = self.length;
        self.lay_out(at + pieces.iter().map(Piece::length).sum::<u64>());
        for piece in pieces {
            match piece {
                Piece::Bytes(bytes) => {
                    write_all_at(&mut *self.file, at, bytes)?;
                    at += bytes.len() as u64;
                }
                Piece::Spooled(spooled) => {
                    self.copy(at, spooled)?;
                    at += spooled.length;
                }
            }
        }
        self.file.sync()
    }

    fn copy(&mut self, at: u64, spooled: &Spooled) -> io::Result<()> {
        let mut buffer = vec![0; COPY_STEP];
        let mut done = 0;
        while done < spooled.length {
            let step = (spooled.length - done).min(COPY_STEP as u64) as usize;
            let chunk = buffer.get_mut(..step).ok_or(io::ErrorKind::InvalidData)?;
            spooled.file.read_exact_at(chunk, done)?;
            write_all_at(&mut *self.file, at + done, chunk)?;
            done += step as u64;
        }
        Ok(())
    }

    /// The batch written last stands.
    pub(crate) fn accept(&mut self, length: u64, sequence: u64) {
        self.length = length;
        self.laid_out = self.laid_out.max(length);
        self.sequence = sequence;
    }

    /// The batch written last does not stand: cut it off.
    pub(crate) fn take_back(&mut self) {
        let cut = self.file.truncate(self.length).and_then(|()| self.file.sync());
        self.laid_out = self.length;
        if let Err(error) = cut {
            tracing::error!(
                shard = self.shard,
                segment = self.number,
                "a refused batch could not be cut off, the segment is given up: {error}"
            );
            self.suspect = true;
        }
    }
}
