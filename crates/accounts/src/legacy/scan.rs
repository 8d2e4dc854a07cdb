//! Reading the whole file: where each message stands, what its separator and header say, and the
//! digest of its mail, by which the mirror knows it again. One pass, in bounded memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use angarium_message::mailbox_files::mbox::MboxError;
use angarium_message::mailbox_files::{Dialect, Fields, Marks, Mbox, Octets, View};
use angarium_store::{Digest, Uid};

use super::file::Held;

/// Messages of one file at most.
const MESSAGES_MAX: usize = 1_000_000;
/// Times a file is read that others change although it is locked.
const READINGS: usize = 3;

/// A message of the file.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// Its UID in the mirror; none for one that is not mirrored.
    pub(super) uid: Option<Uid>,
    /// Where its separator begins.
    pub(super) begins: u64,
    /// Where its own octets begin.
    pub(super) content: u64,
    /// Where the next one begins, or the file ends.
    pub(super) ends: u64,
    /// What the separator says beside sender and date.
    pub(super) fields: Option<Fields>,
    /// The return path.
    pub(super) sender: Box<[u8]>,
    /// When it arrived: seconds since 1970, minutes east of UTC.
    pub(super) date: (i64, i16),
    /// What its `Status` fields say, if it has any.
    pub(super) status: Option<Marks>,
    /// Its keywords.
    pub(super) keywords: Box<[String]>,
    /// Of the mail.
    pub(super) digest: Digest,
    /// A note of another program about the folder, no message.
    pub(super) is_note: bool,
}

/// Reads the file.
pub(super) fn scan(held: &Held) -> io::Result<Vec<Known>> {
    for _ in 0..READINGS {
        let before = held.now()?;
        let all = scan_once(held);
        // Cut or written by somebody who does not care for locks: what was read may be torn.
        if held.now()? == before {
            return all;
        }
    }
    Err(io::Error::new(io::ErrorKind::WouldBlock, "the file changes while it is locked"))
}

/// Octets of a file between two places.
struct Part<'f> {
    file: &'f File,
    begins: u64,
    length: u64,
}

impl Octets for Part<'_> {
    type Error = io::Error;

    fn read_at(&mut self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let left = self.length.saturating_sub(offset);
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(into.len());
        self.file.read_at(into.get_mut(..most).unwrap_or_default(), self.begins + offset)
    }
}

/// Reads messages in a part of another file; places are counted from its beginning.
pub(super) fn scan_log(file: &File, begins: u64, length: u64) -> io::Result<Vec<Known>> {
    scan_once(Part { file, begins, length })
}

fn scan_once(octets: impl Octets<Error = io::Error>) -> io::Result<Vec<Known>> {
    let mut mbox = Mbox::new(octets, Dialect::Auto);
    let mut all = Vec::new();
    let mut wire = Vec::new();
    loop {
        let mut view = View::new(Dialect::Auto.quoting());
        let mut digest = blake3::Hasher::new();
        let found = mbox.next(&mut |piece| {
            view.push(piece, &mut wire);
            digest.update(&wire);
            wire.clear();
        });
        let found = match found {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(all),
            Err(MboxError::Source(error)) => return Err(error),
            Err(MboxError::NoMailbox) => return Err(no_mailbox()),
        };
        if mbox.dialect() != Dialect::Auto {
            return Err(no_mailbox());
        }
        let facts = view.finish(&mut wire);
        digest.update(&wire);
        wire.clear();
        let Some(separator) = found.separator else { return Err(no_mailbox()) };
        if all.len() >= MESSAGES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "too many messages"));
        }
        all.push(Known {
            uid: None,
            begins: found.begins,
            content: found.content,
            ends: found.ends,
            fields: separator.fields,
            sender: separator.sender.into(),
            date: (separator.date.seconds, separator.date.zone),
            status: facts.status,
            keywords: facts.keywords.into(),
            digest: *digest.finalize().as_bytes(),
            is_note: facts.is_note,
        });
    }
}

fn no_mailbox() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "this is no text mailbox; it is left alone")
}
