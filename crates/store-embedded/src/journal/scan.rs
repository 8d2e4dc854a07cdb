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
            Found::Nothing => return Ok(at),
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
    if how.sealed_at.is_some() {
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
