//! The redo log: what a file is to become is made durable in our own room first, then the mirror
//! commits, then the file is written in place. A crash at any moment leaves a file that is as
//! before, or that the next use makes what it was to become.
//!
//! A log counts when the mirror holds what its operation added and no longer holds what it removed.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use angarium_store::{AccountId, Uid};

use super::file::{Held, Stamp};

const MAGIC: &[u8; 16] = b"angarium redo 1\n";
/// Octets before the changed part that must be as they were.
const GUARD: u64 = 4096;
/// Octets of the description at most: UIDs of a full mailbox.
const FACTS_MAX: u64 = 64 << 20;
/// Octets of the end of a log: length and digest of the description.
const END: u64 = 8 + 32;
/// Octets that others may have added meanwhile and that are kept in memory.
const ADDED_MAX: u64 = 256 << 20;
/// Octets compared at once.
const PIECE: usize = 64 * 1024;

/// What a log says of its operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) account: AccountId,
    /// Where the file changes.
    pub(super) offset: u64,
    /// How long it was.
    pub(super) old_length: u64,
    /// Octets that then stand from `offset` to its end.
    pub(super) payload: u64,
    /// What the mirror holds once the operation stands.
    pub(super) added: Vec<Uid>,
    /// What it does not hold any more then.
    pub(super) removed: Vec<Uid>,
    /// The file (device and inode) and the octets before `offset`.
    identity: (u64, u64),
    guard: [u8; 32],
}

/// A log, being written or read.
#[derive(Debug)]
pub(super) struct Redo {
    path: PathBuf,
    file: File,
    length: u64,
    digest: blake3::Hasher,
}

/// Where the log of a file is.
fn path_of(room: &Path, held: &Held) -> PathBuf {
    let name = blake3::hash(held.path().as_os_str().as_encoded_bytes()).to_hex();
    room.join(format!("{}.redo", name.get(..32).unwrap_or_default()))
}

fn identity(held: &Held) -> io::Result<(u64, u64)> {
    Ok(match held.now()? {
        Stamp::There { dev, ino, .. } => (dev, ino),
        Stamp::Missing => (0, 0),
    })
}

fn guard(held: &Held, offset: u64) -> io::Result<[u8; 32]> {
    let from = offset.saturating_sub(GUARD);
    let part = held.part(from, usize::try_from(offset - from).unwrap_or_default())?;
    Ok(*blake3::hash(&part).as_bytes())
}

fn sync_directory(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

impl Redo {
    /// Begins a log; what is written goes to its payload.
    pub(super) fn begin(room: &Path, held: &Held) -> io::Result<Self> {
        if !room.is_dir() {
            std::fs::create_dir_all(room)?;
            std::fs::set_permissions(room, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
        }
        let path = path_of(room, held);
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(true).mode(0o600);
        let mut file = file.open(&path)?;
        file.write_all(MAGIC)?;
        Ok(Self { path, file, length: 0, digest: blake3::Hasher::new() })
    }

    /// Octets of the payload so far.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Adds to the payload.
    pub(super) fn push(&mut self, octets: &[u8]) -> io::Result<()> {
        self.digest.update(octets);
        self.length += octets.len() as u64;
        self.file.write_all(octets)
    }

    /// Ends the log and makes it durable.
    pub(super) fn finish(
        &mut self,
        held: &Held,
        account: AccountId,
        offset: u64,
        changes: (&[Uid], &[Uid]),
    ) -> io::Result<Facts> {
        let facts = Facts {
            account,
            offset,
            old_length: held.length()?,
            payload: self.length,
            added: changes.0.to_vec(),
            removed: changes.1.to_vec(),
            identity: identity(held)?,
            guard: guard(held, offset)?,
        };
        let mut text = Vec::new();
        let numbers = [facts.account.0, facts.offset, facts.old_length, facts.payload];
        let counts = [facts.added.len() as u64, facts.removed.len() as u64];
        let identity = [facts.identity.0, facts.identity.1];
        for number in numbers.into_iter().chain(identity).chain(counts) {
            text.extend_from_slice(&number.to_le_bytes());
        }
        text.extend_from_slice(&facts.guard);
        for uid in facts.added.iter().chain(&facts.removed) {
            text.extend_from_slice(&uid.0.to_le_bytes());
        }
        self.digest.update(&text);
        self.file.write_all(&text)?;
        self.file.write_all(&(text.len() as u64).to_le_bytes())?;
        self.file.write_all(self.digest.finalize().as_bytes())?;
        self.file.sync_all()?;
        sync_directory(&self.path)?;
        Ok(facts)
    }

    /// The whole log of a file, if there is one. One that was not finished never counted and goes.
    pub(super) fn open(room: &Path, held: &Held) -> io::Result<Option<(Self, Facts)>> {
        let path = path_of(room, held);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut redo = Self { path, file, length: 0, digest: blake3::Hasher::new() };
        match redo.read()? {
            Some(facts) => Ok(Some((redo, facts))),
            None => {
                redo.remove()?;
                Ok(None)
            }
        }
    }

    fn read(&mut self) -> io::Result<Option<Facts>> {
        let whole = self.file.metadata()?.len();
        let Some(end) = whole.checked_sub(END) else { return Ok(None) };
        let mut tail = [0; END as usize];
        self.file.read_exact_at(&mut tail, end)?;
        let (length, digest) = tail.split_at(8);
        let length = u64::from_le_bytes(length.try_into().unwrap_or_default());
        let begin = MAGIC.len() as u64;
        let Some(at) = end.checked_sub(length).filter(|at| *at >= begin && length <= FACTS_MAX)
        else {
            return Ok(None);
        };
        let mut magic = [0; MAGIC.len()];
        self.file.read_exact_at(&mut magic, 0)?;
        let mut hasher = blake3::Hasher::new();
        let mut from = begin;
        let mut piece = vec![0; PIECE];
        while from < end {
            let now = usize::try_from(end - from).unwrap_or(PIECE).min(PIECE);
            let into = piece.get_mut(..now).unwrap_or_default();
            self.file.read_exact_at(into, from)?;
            hasher.update(into);
            from += now as u64;
        }
        if &magic != MAGIC || hasher.finalize().as_bytes() != digest {
            return Ok(None);
        }
        let mut text = vec![0; usize::try_from(length).unwrap_or_default()];
        self.file.read_exact_at(&mut text, at)?;
        self.length = at - begin;
        Ok(facts_of(&text).filter(|facts| facts.payload == self.length))
    }

    /// Where the payload stands in the log.
    pub(super) fn payload(&self) -> (&File, u64) {
        (&self.file, MAGIC.len() as u64)
    }

    /// Writes the payload into the file and ends it there.
    pub(super) fn apply(&self, held: &Held, facts: &Facts) -> io::Result<()> {
        held.copy_from(&self.file, MAGIC.len() as u64, facts.offset, facts.payload)?;
        let end = facts.offset + facts.payload;
        if held.length()? > end {
            held.cut(end)?;
        }
        held.sync()
    }

    /// Makes a file that a crash left in between what it was to become, keeping what others added
    /// meanwhile. False when the file is not what the operation left: then nothing is written.
    pub(super) fn repair(&self, held: &Held, facts: &Facts) -> io::Result<bool> {
        let now = held.length()?;
        let created = facts.identity == (0, 0);
        if !(created || identity(held)? == facts.identity)
            || now < facts.offset
            || guard(held, facts.offset)? != facts.guard
        {
            return Ok(false);
        }
        let same = self.same(held, facts.offset, facts.payload)?;
        let end = facts.offset + facts.payload;
        if same == facts.payload && (end >= facts.old_length || now == end) {
            // Written as a whole, and perhaps added to since.
            return Ok(true);
        }
        if facts.offset + same == now {
            // All that stands there is a part of it.
            self.apply(held, facts)?;
            return Ok(true);
        }
        let added = now.checked_sub(facts.old_length).filter(|added| *added <= ADDED_MAX);
        let partly_new = facts.old_length == facts.offset && same > 0;
        let Some(added) = added.filter(|_| !partly_new) else { return Ok(false) };
        let added = usize::try_from(added).unwrap_or_default();
        let added = held.part(facts.old_length, added)?;
        self.apply(held, facts)?;
        held.write(end, &added)?;
        held.sync()?;
        Ok(true)
    }

    /// How many octets of the payload stand in the file already, from its beginning on.
    fn same(&self, held: &Held, offset: u64, payload: u64) -> io::Result<u64> {
        let mut at = 0;
        while at < payload {
            let now = usize::try_from(payload - at).unwrap_or(PIECE).min(PIECE);
            let there = held.part(offset + at, now)?;
            let mut ours = vec![0; now];
            self.file.read_exact_at(&mut ours, MAGIC.len() as u64 + at)?;
            let same = there.iter().zip(&ours).take_while(|(a, b)| a == b).count();
            at += same as u64;
            if same < now {
                break;
            }
        }
        Ok(at)
    }

    /// Ends it: the file is as it should be.
    pub(super) fn remove(self) -> io::Result<()> {
        std::fs::remove_file(&self.path)?;
        sync_directory(&self.path)
    }
}

fn facts_of(text: &[u8]) -> Option<Facts> {
    let (numbers, rest) = text.split_at_checked(8 * 8)?;
    let (guard, uids) = rest.split_at_checked(32)?;
    let mut numbers =
        numbers.chunks_exact(8).map(|n| u64::from_le_bytes(n.try_into().unwrap_or_default()));
    let mut number = || numbers.next();
    let (account, offset, old_length, payload) = (number()?, number()?, number()?, number()?);
    let identity = (number()?, number()?);
    let (added, removed) = (usize::try_from(number()?).ok()?, usize::try_from(number()?).ok()?);
    let uids: Vec<Uid> = uids
        .chunks_exact(4)
        .map(|n| Uid(u32::from_le_bytes(n.try_into().unwrap_or_default())))
        .collect();
    if uids.len() != added.checked_add(removed)? {
        return None;
    }
    let (added, removed) = uids.split_at_checked(added)?;
    Some(Facts {
        account: AccountId(account),
        offset,
        old_length,
        payload,
        added: added.to_vec(),
        removed: removed.to_vec(),
        identity,
        guard: guard.try_into().ok()?,
    })
}
