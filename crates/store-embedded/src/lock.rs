//! One process at a time works on a base directory (CR-08): an exclusive lock on a file in it,
//! which the system takes away when the process ends, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use angarium_store::{Result, StoreError};

use crate::writer::unavailable;

/// Held while the base is open.
pub(crate) struct BaseLock {
    _file: File,
}

/// How often one who waits looks again.
const LOOK: Duration = Duration::from_millis(20);

/// Takes the lock as soon as it is free, or says after `patience` who has it.
pub(crate) fn take_within(base: &Path, patience: Duration) -> Result<BaseLock> {
    let end = Instant::now() + patience;
    loop {
        match take(base) {
            Err(e) if e.is_temporary() && Instant::now() < end => std::thread::sleep(LOOK),
            outcome => return outcome,
        }
    }
}

/// Takes the lock or says who has it.
pub(crate) fn take(base: &Path) -> Result<BaseLock> {
    let path = base.join("LOCK");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|error| unavailable(&error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // Only for the message; the lock itself is what counts.
            let _ = file.read_to_string(&mut holder);
            let holder = holder.trim();
            let who = if holder.is_empty() { "another process" } else { holder };
            return Err(StoreError::Unavailable(format!(
                "the base directory {} is in use by {who}",
                base.display()
            )));
        }
        Err(TryLockError::Error(error)) => return Err(unavailable(&error)),
    }
    let note = file
        .set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "process {}", std::process::id()));
    if let Err(error) = note {
        tracing::debug!("the lock file could not be labelled: {error}");
    }
    Ok(BaseLock { _file: file })
}
