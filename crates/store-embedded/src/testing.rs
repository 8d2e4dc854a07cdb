//! A file system that fails where it is told: for tests of this crate and of the whole server.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::files::{Files, JournalFile, SystemFiles};

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No space left.
    NoSpace,
    /// Input/output error.
    Broken,
    /// A write is done in part, and the next call fails for want of space; other calls fail at
    /// once.
    Short,
}

impl Fault {
    fn error(self) -> io::Error {
        match self {
            Self::NoSpace | Self::Short => io::Error::from(io::ErrorKind::StorageFull),
            Self::Broken => io::Error::other("input/output error"),
        }
    }
}

#[derive(Default)]
struct Plan {
    calls: u64,
    /// From this call on, this many calls fail so.
    fault: Option<(u64, u64, Fault)>,
    failed: u64,
}

/// The real file system with faults.
#[derive(Clone, Default)]
pub struct FaultyFiles {
    plan: Arc<Mutex<Plan>>,
}

impl FaultyFiles {
    /// Works as the real one until told otherwise.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn with<T>(&self, work: impl FnOnce(&mut Plan) -> T) -> T {
        work(&mut self.plan.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes `times` calls fail, the first of them `after` calls from now.
    pub fn fail(&self, after: u64, times: u64, fault: Fault) {
        self.with(|plan| {
            plan.fault = Some((plan.calls + after, times, fault));
            plan.failed = 0;
        });
    }

    /// All works again. Answers how many calls failed.
    pub fn mend(&self) -> u64 {
        self.with(|plan| {
            plan.fault = None;
            plan.failed
        })
    }

    /// Calls so far.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.with(|plan| plan.calls)
    }

    /// Counts a call; answers how it fails.
    fn call(&self) -> Option<Fault> {
        self.with(|plan| {
            let now = plan.calls;
            plan.calls += 1;
            let (first, times, fault) = plan.fault?;
            if now < first || now >= first.saturating_add(times) {
                return None;
            }
            plan.failed += 1;
            Some(fault)
        })
    }

    fn check(&self) -> io::Result<()> {
        self.call().map_or(Ok(()), |fault| Err(fault.error()))
    }

    fn wrap(&self, file: Box<dyn JournalFile>) -> Box<dyn JournalFile> {
        Box::new(FaultyFile { file, files: self.clone(), no_more: None })
    }
}

struct FaultyFile {
    file: Box<dyn JournalFile>,
    files: FaultyFiles,
    /// The call after a short write fails so.
    no_more: Option<Fault>,
}

impl JournalFile for FaultyFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        if let Some(fault) = self.no_more.take() {
            return Err(fault.error());
        }
        match self.files.call() {
            None => self.file.write_at(offset, bytes),
            Some(Fault::Short) if bytes.len() > 1 => {
                self.no_more = Some(Fault::Short);
                self.file.write_at(offset, bytes.get(..bytes.len() / 2).unwrap_or_default())
            }
            Some(fault) => Err(fault.error()),
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.files.check()?;
        self.file.sync()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.no_more = None;
        self.files.check()?;
        self.file.truncate(length)
    }
}

impl Files for FaultyFiles {
    fn create(&self, path: &Path) -> io::Result<Box<dyn JournalFile>> {
        self.check()?;
        SystemFiles.create(path).map(|file| self.wrap(file))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn JournalFile>> {
        self.check()?;
        SystemFiles.open(path).map(|file| self.wrap(file))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.check()?;
        SystemFiles.remove(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.check()?;
        SystemFiles.rename(from, to)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.check()?;
        SystemFiles.sync_directory(path)
    }

    fn before_index_commit(&self) -> io::Result<()> {
        self.check()
    }
}
