//! A frame: what one operation leaves in the journal.
//!
//! ```text
//! offset length
//!      0      4  magic "AnFr"
//!      4      1  version, 1
//!      5      3  zero
//!      8      4  meta length (the part table and the records)
//!     12      4  CRC-32C of the meta
//!     16      8  length of all parts together
//!     24      8  offset in this segment at which the batch of this frame began: all before it
//!                was synced when this was written
//!     32      8  sequence number of the frame in its shard, from 1, without gaps
//!     40      4  number of parts
//!     44      4  CRC-32C of the 44 bytes before and the segment's salt
//!     48         part table: { length u64, CRC-32C u32 } for each part
//!                records (see `record`)
//!                the bytes of the parts
//! ```
//! Numbers are little-endian. The salt keeps frames inside message bodies from being taken for
//! frames when a damaged stretch is searched.

use crc_fast::CrcAlgorithm;

/// Length of the fixed header.
pub(crate) const HEADER: usize = 48;
const MAGIC: [u8; 4] = *b"AnFr";
const VERSION: u8 = 1;
const PART: usize = 12;
/// Most parts of one frame.
pub(crate) const MAX_PARTS: usize = 100_000;

/// CRC-32C.
pub(crate) fn crc(bytes: &[u8]) -> u32 {
    crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, bytes) as u32
}

/// CRC-32C of bytes that come in pieces.
pub(crate) struct CrcDigest(crc_fast::Digest);

impl CrcDigest {
    pub(crate) fn new() -> Self {
        Self(crc_fast::Digest::new(CrcAlgorithm::Crc32Iscsi))
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn finish(&self) -> u32 {
        self.0.finalize() as u32
    }
}

/// Length and checksum of one part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PartSum {
    pub(crate) length: u64,
    pub(crate) crc: u32,
}

/// Where a part lies in its segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PartPlace {
    pub(crate) offset: u64,
    pub(crate) length: u64,
    pub(crate) crc: u32,
}

/// The fixed header, its own checksum already verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) meta_length: u32,
    pub(crate) meta_crc: u32,
    pub(crate) parts_length: u64,
    pub(crate) batch_start: u64,
    pub(crate) sequence: u64,
    pub(crate) parts: u32,
}

impl Header {
    /// Length of the whole frame; `None` if the numbers do not add up.
    pub(crate) fn frame_length(&self) -> Option<u64> {
        (HEADER as u64 + u64::from(self.meta_length)).checked_add(self.parts_length)
    }
}

/// Header and meta of a frame, ready to be written before the parts.
pub(crate) fn head(
    records: &[u8],
    parts: &[PartSum],
    batch_start: u64,
    sequence: u64,
    salt: u32,
) -> Vec<u8> {
    let meta_length = parts.len() * PART + records.len();
    let mut out = Vec::with_capacity(HEADER + meta_length);
    out.resize(HEADER, 0);
    for part in parts {
        out.extend_from_slice(&part.length.to_le_bytes());
        out.extend_from_slice(&part.crc.to_le_bytes());
    }
    out.extend_from_slice(records);
    let meta_crc = crc(out.get(HEADER..).unwrap_or_default());
    let mut header = Vec::with_capacity(HEADER);
    header.extend_from_slice(&MAGIC);
    header.extend_from_slice(&[VERSION, 0, 0, 0]);
    header.extend_from_slice(&(meta_length as u32).to_le_bytes());
    header.extend_from_slice(&meta_crc.to_le_bytes());
    let sum: u64 = parts.iter().map(|p| p.length).sum();
    header.extend_from_slice(&sum.to_le_bytes());
    header.extend_from_slice(&batch_start.to_le_bytes());
    header.extend_from_slice(&sequence.to_le_bytes());
    header.extend_from_slice(&(parts.len() as u32).to_le_bytes());
    let sum = header_crc(&header, salt);
    header.extend_from_slice(&sum.to_le_bytes());
    out.splice(..HEADER, header);
    out
}

fn header_crc(header: &[u8], salt: u32) -> u32 {
    let mut digest = CrcDigest::new();
    digest.update(header);
    digest.update(&salt.to_le_bytes());
    digest.finish()
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

/// Reads a header; `None` if these bytes are not one.
pub(crate) fn parse_header(bytes: &[u8; HEADER], salt: u32) -> Option<Header> {
    if !bytes.starts_with(&MAGIC) || bytes.get(4) != Some(&VERSION) {
        return None;
    }
    if u32_at(bytes, 44)? != header_crc(bytes.get(..44)?, salt) {
        return None;
    }
    Some(Header {
        meta_length: u32_at(bytes, 8)?,
        meta_crc: u32_at(bytes, 12)?,
        parts_length: u64_at(bytes, 16)?,
        batch_start: u64_at(bytes, 24)?,
        sequence: u64_at(bytes, 32)?,
        parts: u32_at(bytes, 40)?,
    })
}

/// Splits a meta section, its checksum verified, into the places of the parts and the records.
/// `start` is the offset of the frame.
pub(crate) fn split_meta<'a>(
    header: &Header,
    meta: &'a [u8],
    start: u64,
) -> Option<(Vec<PartPlace>, &'a [u8])> {
    if crc(meta) != header.meta_crc {
        return None;
    }
    let count = header.parts as usize;
    if count > MAX_PARTS {
        return None;
    }
    let (table, records) = meta.split_at_checked(count.checked_mul(PART)?)?;
    let first = start.checked_add(HEADER as u64)?.checked_add(u64::from(header.meta_length))?;
    let mut offset = first;
    let mut parts = Vec::with_capacity(count);
    for row in table.chunks_exact(PART) {
        let length = u64_at(row, 0)?;
        parts.push(PartPlace { offset, length, crc: u32_at(row, 8)? });
        offset = offset.checked_add(length)?;
    }
    if offset - first != header.parts_length {
        return None;
    }
    Some((parts, records))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_as_it_was_written_and_any_flipped_bit_is_noticed() {
        let parts = [PartSum { length: 5, crc: 1 }, PartSum { length: 0, crc: 0 }];
        let bytes = head(b"records", &parts, 64, 9, 77);
        let read = |bytes: &[u8]| {
            let header = parse_header(bytes[..HEADER].try_into().unwrap(), 77)?;
            let (parts, records) = split_meta(&header, &bytes[HEADER..], 100)?;
            Some((header, parts, records.to_vec()))
        };
        let (header, places, records) = read(&bytes).unwrap();
        assert_eq!((header.batch_start, header.sequence, header.parts_length), (64, 9, 5));
        assert_eq!(places[0].offset, 100 + bytes.len() as u64);
        assert_eq!(places[1].offset, 105 + bytes.len() as u64);
        assert_eq!(records, b"records");
        for bit in 0..bytes.len() * 8 {
            let mut broken = bytes.clone();
            broken[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&broken).is_none(), "bit {bit}");
        }
    }
}
