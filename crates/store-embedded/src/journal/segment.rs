//! A segment file: a header that says whose it is and how long its forerunner is, then frames.
//!
//! ```text
//! offset length
//!      0      8  magic "ANGSEG\r\n"
//!      8      4  format, 1
//!     12      4  shard
//!     16      8  number of this segment
//!     24      8  number of the segment before it, 0 for none
//!     32      8  valid length of that one
//!     40      8  sequence number its first frame will have
//!     48      4  salt (see `frame`)
//!     52      8  zero
//!     60      4  CRC-32C of the 60 bytes before
//! ```

use std::fs::File;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::frame::{self, CrcDigest, HEADER, Header, PartPlace};
use crate::record::MAX_META;

/// Length of the segment header.
pub(crate) const SEGMENT_HEADER: usize = 64;
const MAGIC: [u8; 8] = *b"ANGSEG\r\n";
const FORMAT: u32 = 1;

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) shard: u32,
    pub(crate) number: u64,
    pub(crate) previous: u64,
    pub(crate) previous_length: u64,
    pub(crate) first_sequence: u64,
    pub(crate) salt: u32,
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(SEGMENT_HEADER);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&FORMAT.to_le_bytes());
        out.extend_from_slice(&self.shard.to_le_bytes());
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&self.previous.to_le_bytes());
        out.extend_from_slice(&self.previous_length.to_le_bytes());
        out.extend_from_slice(&self.first_sequence.to_le_bytes());
        out.extend_from_slice(&self.salt.to_le_bytes());
        out.extend_from_slice(&[0; 8]);
        let sum = frame::crc(&out);
        out.extend_from_slice(&sum.to_le_bytes());
        out
    }

    pub(crate) fn parse(bytes: &[u8; SEGMENT_HEADER]) -> Option<Self> {
        let u32_at = |at: usize| -> Option<u32> {
            Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
        };
        let u64_at = |at: usize| -> Option<u64> {
            Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
        };
        if !bytes.starts_with(&MAGIC) || u32_at(8)? != FORMAT {
            return None;
        }
        if frame::crc(bytes.get(..60)?) != u32_at(60)? {
            return None;
        }
        Some(Self {
            shard: u32_at(12)?,
            number: u64_at(16)?,
            previous: u64_at(24)?,
            previous_length: u64_at(32)?,
            first_sequence: u64_at(40)?,
            salt: u32_at(48)?,
        })
    }
}

/// A number nobody can guess from outside.
pub(crate) fn fresh_salt() -> u32 {
    let mut hasher = std::collections::hash_map::RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    hasher.finish() as u32
}

/// The path of a segment.
pub(crate) fn path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:010}.seg"))
}

/// The numbers of the segments in a directory, ascending.
pub(crate) fn list(directory: &Path) -> io::Result<Vec<u64>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let name = entry?.file_name();
        let Some(stem) = name.to_str().and_then(|n| n.strip_suffix(".seg")) else { continue };
        if let Ok(number) = stem.parse::<u64>() {
            all.push(number);
        }
    }
    all.sort_unstable();
    Ok(all)
}

/// A frame found in a segment, header and meta verified.
pub(crate) struct Frame {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) header: Header,
    pub(crate) parts: Vec<PartPlace>,
    pub(crate) records: Vec<u8>,
}

/// What is at an offset.
pub(crate) enum Found {
    Frame(Frame),
    /// Nothing: the end of the file, or zeros.
    Nothing,
    /// Bytes that are not a whole frame.
    Bad(&'static str),
}

/// A segment open for reading.
pub(crate) struct SegmentReader {
    pub(crate) file: File,
    pub(crate) header: SegmentHeader,
    pub(crate) length: u64,
    pub(crate) path: PathBuf,
}

impl SegmentReader {
    /// Opens a segment; an unreadable header is `InvalidData`.
    pub(crate) fn open(directory: &Path, number: u64) -> io::Result<Self> {
        let path = path(directory, number);
        let file = File::open(&path)?;
        let length = file.metadata()?.len();
        let mut bytes = [0; SEGMENT_HEADER];
        let header = match file.read_exact_at(&mut bytes, 0) {
            Ok(()) => SegmentHeader::parse(&bytes),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
            Err(error) => return Err(error),
        };
        match header {
            Some(header) if header.number == number => Ok(Self { file, header, length, path }),
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "the segment header is damaged")),
        }
    }

    /// What is at an offset, not looking past `limit`.
    pub(crate) fn frame_at(&self, start: u64, limit: u64) -> io::Result<Found> {
        let limit = limit.min(self.length);
        let room = limit.saturating_sub(start);
        if room == 0 {
            return Ok(Found::Nothing);
        }
        let mut bytes = [0; HEADER];
        if room < HEADER as u64 {
            return Ok(Found::Bad("a cut frame header"));
        }
        self.file.read_exact_at(&mut bytes, start)?;
        let Some(header) = frame::parse_header(&bytes, self.header.salt) else {
            return Ok(Found::Bad("a frame header that fails its checksum"));
        };
        let Some(end) = header.frame_length().and_then(|n| start.checked_add(n)) else {
            return Ok(Found::Bad("a frame header with impossible lengths"));
        };
        if end > limit || header.meta_length as usize > MAX_META {
            return Ok(Found::Bad("a cut frame"));
        }
        let mut meta = vec![0; header.meta_length as usize];
        self.file.read_exact_at(&mut meta, start + HEADER as u64)?;
        let Some((parts, records)) = frame::split_meta(&header, &meta, start) else {
            return Ok(Found::Bad("records that fail their checksum"));
        };
        Ok(Found::Frame(Frame { start, end, header, parts, records: records.to_vec() }))
    }

    /// True if the bytes of a part are what they were.
    pub(crate) fn part_is_good(&self, part: &PartPlace) -> io::Result<bool> {
        let mut digest = CrcDigest::new();
        let mut buffer = vec![0; 256 * 1024];
        let mut done = 0;
        while done < part.length {
            let step = (part.length - done).min(buffer.len() as u64) as usize;
            let Some(chunk) = buffer.get_mut(..step) else { break };
            self.file.read_exact_at(chunk, part.offset + done)?;
            digest.update(chunk);
            done += step as u64;
        }
        Ok(digest.finish() == part.crc)
    }
}
