//! `angarium backup` of a running or stopped server, and `angarium restore` into an empty base
//! directory. What a backup holds, the store says.

use std::fs::{DirBuilder, File};
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::maintenance::store_in;
use super::output::{ask, put, tell};
use super::{REFUSED, WRONG, directory};
use crate::administration::{Administrator, parameter};
use crate::arguments::Base;

/// Deepest directory that is copied or measured; a base has four levels.
const DEEPEST: usize = 16;
/// How often the progress is told.
const TOLD_EVERY: Duration = Duration::from_secs(1);

pub(super) fn backup(base: &Base, to: &Path) -> io::Result<u8> {
    let mut server = Administrator::reach(&directory(base)?)?;
    // The server may run in another directory than this command.
    let path = std::path::absolute(to)?;
    let store = path.join("Store");
    std::fs::create_dir_all(&path)?;
    if store.exists() {
        let message = format!("{} exists already; name an empty directory", store.display());
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
    }
    let line = format!("BACKUP {}", parameter(&store.display().to_string()));
    let progress = Progress::of(&store);
    let code = ask(&mut server, base, &line, &format!("backed up to {}", path.display()));
    drop(progress);
    let code = code?;
    if code == 0 {
        copy_if_there(&directory(base)?.settings(), &path.join("Settings"))?;
        copy_if_there(&directory(base)?.imports(), &path.join("Imports"))?;
    }
    Ok(code)
}

/// Certificates, keys, and what was imported already belong to a base that is to be started
/// somewhere else.
fn copy_if_there(from: &Path, to: &Path) -> io::Result<()> {
    if from.is_dir() { copy_tree(from, to, DEEPEST) } else { Ok(()) }
}

/// Copies files and directories, for this user alone; what is neither stays behind. Each file is
/// on disk when this ends.
fn copy_tree(from: &Path, to: &Path, deepest: usize) -> io::Result<()> {
    if deepest == 0 {
        return Err(io::Error::other(format!("{}: too deep", from.display())));
    }
    DirBuilder::new().recursive(true).mode(0o700).create(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy_tree(&entry.path(), &target, deepest - 1)?;
        } else if kind.is_file() {
            let mut options = std::fs::OpenOptions::new();
            let mut file = options.write(true).create_new(true).mode(0o600).open(&target)?;
            io::copy(&mut File::open(entry.path())?, &mut file)?;
            file.sync_all()?;
        }
    }
    File::open(to)?.sync_all()
}

/// Octets of the files in a directory that is being filled.
fn octets(path: &Path, deepest: usize) -> u64 {
    let Ok(entries) = std::fs::read_dir(path) else { return 0 };
    let sizes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(data) if data.is_dir() && deepest > 0 => octets(&entry.path(), deepest - 1),
        Ok(data) if data.is_file() => data.len(),
        _ => 0,
    });
    sizes.sum()
}

/// Tells a terminal how much has been copied so far, until it is dropped.
struct Progress(Arc<AtomicBool>);

impl Progress {
    fn of(path: &Path) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        if io::stderr().is_terminal() {
            let (path, done): (PathBuf, _) = (path.to_owned(), Arc::clone(&done));
            std::thread::spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    std::thread::sleep(TOLD_EVERY);
                    let copied = octets(&path, DEEPEST) >> 20;
                    if !done.load(Ordering::Relaxed) {
                        let _ = write!(io::stderr().lock(), "\r{copied} MiB copied ");
                    }
                }
            });
        }
        Self(done)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        if io::stderr().is_terminal() {
            let _ = write!(io::stderr().lock(), "\r                         \r");
        }
    }
}

/// Makes an empty base directory what a backup holds. The backup is checked first: a damaged one
/// is not taken for a base.
pub(super) fn restore(base: &Base, from: &Path, unchecked: bool) -> io::Result<u8> {
    let to = directory(base)?;
    let refuse = |why: String| {
        if base.json {
            put(&serde_json::json!({ "ok": false, "error": why }).to_string());
        }
        tell(&format!("angarium: {why}"));
        Ok(REFUSED)
    };
    if !from.join("Store").join("VERSION").is_file() {
        return refuse(format!("{} is not a backup", from.display()));
    }
    if to.store().exists() {
        let there = to.store().display().to_string();
        return refuse(format!("{there} exists: stop the server and move it aside"));
    }
    if !unchecked {
        let report = angarium_store_embedded::check(&store_in(from.to_owned()))
            .map_err(|error| io::Error::other(error.to_string()))?;
        if !report.damages.is_empty() {
            refuse(format!(
                "{} is damaged in {} places; angarium check shows them, --unchecked takes what is left",
                from.display(),
                report.damages.len()
            ))?;
            return Ok(WRONG);
        }
    }
    to.create()?;
    // Beside its place first: a store that is not complete is never started.
    let unfinished = to.root().join("Store.unfinished");
    if unfinished.exists() {
        std::fs::remove_dir_all(&unfinished)?;
    }
    let progress = Progress::of(&unfinished);
    copy_tree(&from.join("Store"), &unfinished, DEEPEST)?;
    drop(progress);
    let settings = from.join("Settings");
    if settings.is_dir() {
        // Made for a first start that never was.
        std::fs::remove_dir_all(to.settings())?;
        copy_tree(&settings, &to.settings(), DEEPEST)?;
    }
    copy_if_there(&from.join("Imports"), &to.imports())?;
    std::fs::rename(&unfinished, to.store())?;
    File::open(to.root())?.sync_all()?;
    let place = to.root().display().to_string();
    if base.json {
        put(&serde_json::json!({ "ok": true, "base": place }).to_string());
    } else {
        put(&format!("restored to {place}; start the server with: angarium serve"));
    }
    Ok(0)
}
