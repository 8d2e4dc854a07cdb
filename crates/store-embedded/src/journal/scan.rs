//! Reading segments from end to end: for recovery, for checks and for making the index again.
//! Tells a torn tail (cut quietly: nothing in it was ever answered) from damage (reported).

use std::io;
use std::path::PathBuf;

use super::frame::HEADER;
use super::segment::{Found, Frame, SegmentReader};

/// Something in the journal that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// Where in it.
    pub offset: u64,
    /// What is wrong.
    pub what: String,
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at {}: {}", self.file.display(), self.offset, self.what)
    }
}

/// How a scan goes about it.
#[derive(Clone, Copy)]
pub(crate) struct Scan {
    /// Where to begin.
    pub(crate) from: u64,
    /// The valid length as the following segment tells it; `None` for the last segment.
    pub(crate) sealed_at: Option<u64>,
    /// Everything before this offset is known to have been synced; 0 if nothing is known.
    pub(crate) synced: u64,
    /// Verify the parts too (always done for what may be a torn tail).
    pub(crate) verify_parts: bool,
}

/// Walks the frames of a segment and answers the offset after the last good one.
pub(crate) fn scan<E: From<io::Error>>(
    segment: &SegmentReader,
    how: Scan,
    damages: &mut Vec<Damage>,
    mut each: impl FnMut(Frame) -> Result<(), E>,
) -> Result<u64, E> {
    let limit = how.sealed_at.unwrap_or(u64::MAX).min(segment.length);
    let mut report = |offset, what: &str| {
        damages.push(Damage { file: segment.path.clone(), offset, what: what.to_owned() });
    };
    if how.sealed_at.is_some_and(|sealed| sealed > segment.length) {
        report(segment.length, "the segment is shorter than its follower says");
    }
    let verify = how.verify_parts || how.sealed_at.is_none();
    let mut at = how.from;
    loop {
        let why = match segment.frame_at(at, limit)? {
            Found::Nothing => {
                if at < how.synced && how.sealed_at.is_none() {
                    report(at, "the journal ends here, and went on when the index was written");
                }
                return Ok(at);
            }
            Found::Frame(frame) => match bad_part(segment, &frame, verify)? {
                None => {
                    at = frame.end;
                    each(frame)?;
                    continue;
                }
                // The records are sound and only a body is not: go on with the records, unless
                // this may be the torn end.
                Some(place) if is_damage(segment, how, at, frame.end, limit)? => {
                    report(place, "a message body that fails its checksum");
                    at = frame.end;
                    each(frame)?;
                    continue;
                }
                Some(_) => return Ok(at),
            },
            Found::Bad(why) => why,
        };
        if !is_damage(segment, how, at, at + 1, limit)? {
            return Ok(at);
        }
        report(at, why);
        match next_frame(segment, at + 1, limit, |_| true)? {
            Some(next) => at = next,
            None => return Ok(limit),
        }
    }
}

fn bad_part(segment: &SegmentReader, frame: &Frame, verify: bool) -> io::Result<Option<u64>> {
    if verify {
        for part in &frame.parts {
            if !segment.part_is_good(part)? {
                return Ok(Some(part.offset));
            }
        }
    }
    Ok(None)
}

/// Bad bytes at `at` are damage if they had been synced: the segment was sealed after them, or a
/// later frame says that its batch began after them.
fn is_damage(
    segment: &SegmentReader,
    how: Scan,
    at: u64,
    search: u64,
    limit: u64,
) -> io::Result<bool> {
    if how.sealed_at.is_some() || at < how.synced {
        return Ok(true);
    }
    Ok(next_frame(segment, search, limit, |frame| frame.header.batch_start > at)?.is_some())
}

/// The offset of the next whole frame that satisfies `wanted`.
fn next_frame(
    segment: &SegmentReader,
    from: u64,
    limit: u64,
    wanted: impl Fn(&Frame) -> bool,
) -> io::Result<Option<u64>> {
    const STEP: usize = 1 << 20;
    let mut base = from;
    let mut buffer = vec![0; STEP + HEADER];
    while base < limit {
        let want = (limit - base).min(buffer.len() as u64) as usize;
        let Some(chunk) = buffer.get_mut(..want) else { break };
        std::os::unix::fs::FileExt::read_exact_at(&segment.file, chunk, base)?;
        for (index, window) in chunk.windows(4).enumerate().take(STEP) {
            if window != b"AnFr" {
                continue;
            }
            let at = base + index as u64;
            if let Found::Frame(frame) = segment.frame_at(at, limit)?
                && wanted(&frame)
            {
                return Ok(Some(at));
            }
        }
        base += STEP as u64;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::frame::{PartSum, crc, head};
    use crate::journal::segment::{SEGMENT_HEADER, SegmentHeader, path};

    const SALT: u32 = 77;

    /// A segment of batches, each of frames of one part, and where each frame begins.
    fn write(directory: &std::path::Path, batches: &[&[&[u8]]]) -> (Vec<u8>, Vec<usize>) {
        let header = SegmentHeader {
            shard: 0,
            number: 1,
            previous: 0,
            previous_length: 0,
            first_sequence: 1,
            salt: SALT,
        };
        let mut bytes = header.encode();
        let mut starts = Vec::new();
        let mut sequence = 0;
        for batch in batches {
            let batch_start = bytes.len() as u64;
            for part in *batch {
                sequence += 1;
                starts.push(bytes.len());
                let sum = PartSum { length: part.len() as u64, crc: crc(part) };
                bytes.extend(head(b"", &[sum], batch_start, sequence, SALT));
                bytes.extend_from_slice(part);
            }
        }
        starts.push(bytes.len());
        std::fs::write(path(directory, 1), &bytes).unwrap();
        (bytes, starts)
    }

    /// Sequences seen, end, damages.
    fn read(directory: &std::path::Path, synced: u64) -> (Vec<u64>, u64, Vec<u64>) {
        let segment = SegmentReader::open(directory, 1).unwrap();
        let from = SEGMENT_HEADER as u64;
        let how = Scan { from, sealed_at: None, synced, verify_parts: false };
        let mut damages = Vec::new();
        let mut seen = Vec::new();
        let end = scan(&segment, how, &mut damages, |frame| {
            seen.push(frame.header.sequence);
            Ok::<(), io::Error>(())
        });
        (seen, end.unwrap(), damages.into_iter().map(|damage| damage.offset).collect())
    }

    #[test]
    fn a_hole_in_the_last_batch_is_a_torn_tail_and_an_earlier_one_is_damage() {
        let directory = tempfile::tempdir().unwrap();
        let (good, starts) =
            write(directory.path(), &[&[b"one", b"two"], &[b"three", b"four", b"five"]]);
        let end = good.len() as u64;
        assert_eq!(read(directory.path(), 0), (vec![1, 2, 3, 4, 5], end, vec![]));
        let broken = |at: usize| {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            std::fs::write(path(directory.path(), 1), bytes).unwrap();
        };
        // The disk wrote the end of the last batch and not its middle: nothing of it from there.
        broken(starts[3] + 5);
        assert_eq!(read(directory.path(), 0), (vec![1, 2, 3], starts[3] as u64, vec![]));
        // The index knows that it had been synced: damage, and what follows is kept.
        let told = vec![starts[3] as u64];
        assert_eq!(read(directory.path(), end), (vec![1, 2, 3, 5], end, told));
        // A later batch shows that the first had been synced.
        broken(starts[0] + 5);
        let told = vec![starts[0] as u64];
        assert_eq!(read(directory.path(), 0), (vec![2, 3, 4, 5], end, told));
        // Only a body is bad: the records are kept and the body is told.
        broken(starts[2] - 1);
        let told = vec![starts[2] as u64 - 3];
        assert_eq!(read(directory.path(), 0), (vec![1, 2, 3, 4, 5], end, told));
        // The last body, which may be torn.
        broken(good.len() - 1);
        assert_eq!(read(directory.path(), 0), (vec![1, 2, 3, 4], starts[4] as u64, vec![]));
        assert_eq!(read(directory.path(), end), (vec![1, 2, 3, 4, 5], end, vec![end - 4]));
    }

    #[test]
    fn a_frame_inside_a_body_is_never_taken_for_one() {
        let directory = tempfile::tempdir().unwrap();
        let inner = head(b"", &[], 1 << 40, 9, SALT ^ 1);
        let (good, starts) = write(directory.path(), &[&[b"one"], &[&inner]]);
        let mut bytes = good.clone();
        bytes[starts[1] + 5] ^= 1;
        std::fs::write(path(directory.path(), 1), bytes).unwrap();
        assert_eq!(read(directory.path(), 0), (vec![1], starts[1] as u64, vec![]));
    }
}
