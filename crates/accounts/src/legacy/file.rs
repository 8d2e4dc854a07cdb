//! The mailbox file itself: opened without falling for what stands there instead (ABU-66), locked,
//! read and written in place, because other programs hold it open. It must never know messages.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use angarium_message::mailbox_files::Octets;
use rustix::fs::{Gid, OFlags, Uid};

use super::locks::{self, DotLock, Tried};
use super::place::{LockType, Place};

/// Largest file used in place, octets.
pub(super) const FILE_MAX: u64 = 16 << 30;
/// Octets copied at once.
const COPY: usize = 256 * 1024;
/// A file changed this short a time ago may change again without its times showing it.
const TICK: Duration = Duration::from_millis(50);
/// Times the file is opened again because another one stood there when the locks were held.
const OPENINGS: usize = 8;
/// Most of `/etc/passwd` that is looked through, octets.
const PASSWD_MAX: u64 = 16 << 20;

/// How a file was at one moment, as far as can be told without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stamp {
    /// There was none.
    Missing,
    /// What tells it from other files and other moments.
    There { dev: u64, ino: u64, size: u64, modified: (i64, i64), changed: (i64, i64) },
}

impl Stamp {
    /// Of the file at a path, symbolic links not followed.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        match std::fs::symlink_metadata(path) {
            Ok(facts) => Ok(Self::of(&facts)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::Missing),
            Err(error) => Err(error),
        }
    }

    fn of(facts: &std::fs::Metadata) -> Self {
        Self::There {
            dev: facts.dev(),
            ino: facts.ino(),
            size: facts.size(),
            modified: (facts.mtime(), facts.mtime_nsec()),
            changed: (facts.ctime(), facts.ctime_nsec()),
        }
    }
}

/// The file, ours alone until it is dropped.
#[derive(Debug)]
pub(super) struct Held {
    /// None when there is no file.
    file: Option<File>,
    place: Place,
    _lock: Option<DotLock>,
}

fn refuse(text: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, text)
}

fn open(place: &Place, create: bool) -> io::Result<Option<File>> {
    // Neither links are followed nor pipes waited for.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY).bits();
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(i32::try_from(flags).unwrap_or_default());
    if create {
        options.create_new(true).mode(0o600);
    }
    let file = match options.open(&place.path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound && !create => {
            // A mail program removes a file that is empty; a directory does not go by itself.
            let directory = place.path.parent().unwrap_or(Path::new("/"));
            std::fs::metadata(directory)?;
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let facts = file.metadata()?;
    if !facts.is_file() {
        return Err(refuse("this is no regular file"));
    }
    if facts.nlink() > 1 {
        return Err(refuse("this file has another name beside this one"));
    }
    if facts.size() > FILE_MAX {
        return Err(refuse("the file is too large to be used in place"));
    }
    if create && rustix::process::geteuid().is_root() {
        give(&file, place)?;
    }
    Ok(Some(file))
}

/// A file made by root goes to the user of its name, if there is one, in the group of the directory.
fn give(file: &File, place: &Place) -> io::Result<()> {
    let passwd = Path::new("/etc/passwd");
    if std::fs::metadata(passwd)?.len() > PASSWD_MAX {
        return Ok(());
    }
    let all = std::fs::read(passwd)?;
    let text = String::from_utf8_lossy(&all);
    let user = text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(place.name.as_str())).then(|| fields.nth(1)?.parse::<u32>().ok())?
    });
    let Some(user) = user else { return Ok(()) };
    let directory = std::fs::metadata(place.path.parent().unwrap_or(Path::new("/")))?;
    let group = Gid::from_raw(directory.gid());
    rustix::fs::fchown(file, Some(Uid::from_raw(user)), Some(group))?;
    rustix::fs::fchmod(file, rustix::fs::Mode::from_raw_mode(0o660))?;
    Ok(())
}

impl Held {
    /// Opens and locks the file at a place, waiting at most `patience` for others.
    pub(super) fn take(place: &Place, patience: Duration) -> io::Result<Self> {
        let mut replaced = 0;
        locks::patiently(Instant::now() + patience, || {
            let Tried::Got(lock) = locks::before_opening(&place.path, place.locks)? else {
                return Ok(Tried::Busy);
            };
            let file = open(place, false)?;
            if let Some(file) = &file
                && let Tried::Busy = locks::on_open(file, place.locks)?
            {
                return Ok(Tried::Busy);
            }
            let held = Self { file, place: place.clone(), _lock: lock };
            if held.is_in_place()? {
                return Ok(Tried::Got(held));
            }
            replaced += 1;
            if replaced > OPENINGS {
                return Err(refuse("the file is being replaced again and again"));
            }
            Ok(Tried::Busy)
        })
    }

    /// True when what is held is what stands at the path.
    fn is_in_place(&self) -> io::Result<bool> {
        let there = match std::fs::symlink_metadata(&self.place.path) {
            Ok(facts) => Some((facts.dev(), facts.ino())),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let held = self.file.as_ref().map(File::metadata).transpose()?;
        Ok(there == held.map(|facts| (facts.dev(), facts.ino())))
    }

    /// Makes the file if there is none.
    pub(super) fn make(&mut self, patience: Duration) -> io::Result<()> {
        if self.file.is_none() {
            let file = open(&self.place, true)?;
            if let Some(file) = &file {
                let give_up = Instant::now() + patience;
                locks::patiently(give_up, || locks::on_open(file, self.place.locks))?;
            }
            self.file = file;
        }
        Ok(())
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.place.path
    }

    /// True when all writing is covered by a lock.
    pub(super) fn is_locked(&self) -> bool {
        self.place.locks != LockType::None
    }

    /// Octets in the file, 0 without one.
    pub(super) fn length(&self) -> io::Result<u64> {
        self.file.as_ref().map_or(Ok(0), |file| Ok(file.metadata()?.size()))
    }

    /// How the file is now.
    pub(super) fn now(&self) -> io::Result<Stamp> {
        self.file.as_ref().map_or(Ok(Stamp::Missing), |file| Ok(Stamp::of(&file.metadata()?)))
    }

    /// How the file is now, unless it changed so lately that another change might not be seen.
    pub(super) fn stamp(&self) -> io::Result<Option<Stamp>> {
        let stamp = self.now()?;
        let Some(file) = &self.file else { return Ok(Some(stamp)) };
        let age = SystemTime::now().duration_since(file.metadata()?.modified()?);
        Ok(age.is_ok_and(|age| age > TICK).then_some(stamp))
    }

    /// Octets of the file, as many as there are.
    pub(super) fn part(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut part = vec![0; length];
        let mut got = 0;
        while let Some(into) = part.get_mut(got..).filter(|into| !into.is_empty()) {
            match self.read(offset.saturating_add(got as u64), into)? {
                0 => break,
                more => got += more,
            }
        }
        part.truncate(got);
        Ok(part)
    }

    fn read(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let Some(file) = &self.file else { return Ok(0) };
        loop {
            match file.read_at(into, offset) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }

    /// Writes in place.
    pub(super) fn write(&self, offset: u64, octets: &[u8]) -> io::Result<()> {
        self.file.as_ref().ok_or(ErrorKind::NotFound)?.write_all_at(octets, offset)
    }

    /// Copies `length` octets of another file over ours.
    pub(super) fn copy_from(
        &self,
        from: &File,
        mut at: u64,
        mut to: u64,
        mut length: u64,
    ) -> io::Result<()> {
        let mut piece = vec![0; COPY];
        while length > 0 {
            let now = usize::try_from(length).unwrap_or(COPY).min(COPY);
            let into = piece.get_mut(..now).unwrap_or_default();
            from.read_exact_at(into, at)?;
            self.write(to, into)?;
            (at, to, length) = (at + now as u64, to + now as u64, length - now as u64);
        }
        Ok(())
    }

    /// Cuts the file.
    pub(super) fn cut(&self, length: u64) -> io::Result<()> {
        self.file.as_ref().ok_or(ErrorKind::NotFound)?.set_len(length)
    }

    /// Makes what was written durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), File::sync_all)
    }
}

impl Octets for &Held {
    type Error = io::Error;

    fn read_at(&mut self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.read(offset, into)
    }
}
