//! The locks that mail programs use among each other, all of them at once: a `.lock` file, fcntl and
//! flock (SYS-34). Waiting is bounded: a lock that is never given back delays, it does not hang.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::{FlockOperation, fcntl_lock};

use super::place::LockType;

/// A `.lock` file that nobody touched for this long was left by a program that is no more.
const STALE: Duration = Duration::from_secs(300);
/// First and longest pause between two tries.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(200));

/// A `.lock` file of ours; removed when dropped.
#[derive(Debug)]
pub(super) struct DotLock(PathBuf);

impl Drop for DotLock {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::warn!("{}: not removed: {error}", self.0.display());
        }
    }
}

/// What came of one try.
pub(super) enum Tried<T> {
    Got(T),
    Busy,
}

fn dot_lock(path: &Path) -> io::Result<Tried<Option<DotLock>>> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let lock = PathBuf::from(name);
    match OpenOptions::new().write(true).create_new(true).mode(0o644).open(&lock) {
        Ok(mut file) => {
            let lock = DotLock(lock);
            // Other programs look whether this process lives.
            writeln!(file, "{}", std::process::id())?;
            Ok(Tried::Got(Some(lock)))
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let age = std::fs::symlink_metadata(&lock).and_then(|facts| facts.modified());
            let age = age.ok().and_then(|then| SystemTime::now().duration_since(then).ok());
            if age.is_some_and(|age| age > STALE) {
                tracing::warn!("{}: stale, removed", lock.display());
                match std::fs::remove_file(&lock) {
                    Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            Ok(Tried::Busy)
        }
        // Where no file can be made, the locks of the system must do.
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem
            ) =>
        {
            Ok(Tried::Got(None))
        }
        Err(error) => Err(error),
    }
}

/// Tries until `give_up`. Whoever cannot have all locks holds none while he waits: programs take
/// them in different orders, and would wait for each other.
pub(super) fn patiently<T>(
    give_up: Instant,
    mut try_once: impl FnMut() -> io::Result<Tried<T>>,
) -> io::Result<T> {
    let mut pause = PAUSES.0;
    loop {
        if let Tried::Got(got) = try_once()? {
            return Ok(got);
        }
        if Instant::now() >= give_up {
            let text = "locked by another program for too long";
            return Err(io::Error::new(ErrorKind::WouldBlock, text));
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// Takes the `.lock` file of a mailbox, if its kind of locking has one and it can be made.
pub(super) fn before_opening(path: &Path, kind: LockType) -> io::Result<Tried<Option<DotLock>>> {
    if kind == LockType::None {
        return Ok(Tried::Got(None));
    }
    let tried = dot_lock(path)?;
    if matches!(tried, Tried::Got(None)) && kind == LockType::TempFile {
        return Err(io::Error::new(ErrorKind::PermissionDenied, "no .lock file can be made"));
    }
    Ok(tried)
}

/// Takes the locks of the system on an open file; they go when it is closed.
pub(super) fn on_open(file: &File, kind: LockType) -> io::Result<Tried<()>> {
    if kind != LockType::FileLevel {
        return Ok(Tried::Got(()));
    }
    match fcntl_lock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => match file.try_lock() {
            Ok(()) => Ok(Tried::Got(())),
            Err(TryLockError::WouldBlock) => Ok(Tried::Busy),
            Err(TryLockError::Error(error)) => Err(error),
        },
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) => Ok(Tried::Busy),
        Err(error) => Err(error.into()),
    }
}
