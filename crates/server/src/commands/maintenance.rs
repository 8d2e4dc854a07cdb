//! Backup, check, rebuild-index, compact.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::output::{ask, put};
use super::{WRONG, directory};
use crate::administration::{Administrator, parameter};
use crate::arguments::Base;

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
    let code = ask(&mut server, base, &line, &format!("backed up to {}", path.display()))?;
    if code == 0 {
        copy_settings(&directory(base)?.settings(), &path.join("Settings"))?;
        copy_settings(&directory(base)?.imports(), &path.join("Imports"))?;
    }
    Ok(code)
}

/// Certificates and keys belong to a base that is to be started somewhere else.
fn copy_settings(from: &Path, to: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    if !from.is_dir() {
        return Ok(());
    }
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// The store in a directory: a base or backup holds it in `Store`.
fn store_in(directory: PathBuf) -> PathBuf {
    let inside = directory.join("Store");
    if inside.is_dir() { inside } else { directory }
}

pub(super) fn check(base: &Base, other: Option<&Path>) -> io::Result<u8> {
    let root = match other {
        Some(path) => path.to_owned(),
        None => directory(base)?.root().to_owned(),
    };
    let report = angarium_store_embedded::check(&store_in(root))
        .map_err(|e| io::Error::other(e.to_string()))?;
    let damages = report.damages.iter().map(|damage| format!("damage: {damage}"));
    let differences = report.differences.iter().map(|text| format!("index: {text}"));
    let problems: Vec<String> = damages.chain(differences).collect();
    let summary = format!(
        "{} segments, {} records, {} bodies checked: {} problems, {} bodies held by nothing",
        report.segments,
        report.frames,
        report.bodies,
        problems.len(),
        report.leaks.len()
    );
    if base.json {
        let json = serde_json::json!({ "ok": problems.is_empty(), "problems": problems,
            "leaks": report.leaks, "segments": report.segments, "records": report.frames,
            "bodies": report.bodies });
        put(&json.to_string());
    } else {
        for problem in &problems {
            put(&format!("WRONG {problem}"));
        }
        for leak in &report.leaks {
            put(&format!("unused {leak}"));
        }
        put(&summary);
        if !problems.is_empty() {
            put("If only an index is wrong, angarium rebuild-index mends it; \
                 else keep this copy and restore the backup beside it.");
        }
    }
    io::stdout().flush()?;
    Ok(if problems.is_empty() { 0 } else { WRONG })
}

pub(super) fn rebuild_index(base: &Base) -> io::Result<u8> {
    let store = store_in(directory(base)?.root().to_owned());
    angarium_store_embedded::rebuild_index(&store).map_err(|e| io::Error::other(e.to_string()))?;
    if base.json {
        put(&serde_json::json!({ "ok": true }).to_string());
    } else {
        put("the index was made anew from the journal");
    }
    Ok(0)
}

pub(super) fn compact(base: &Base) -> io::Result<u8> {
    let mut server = Administrator::reach(&directory(base)?)?;
    ask(&mut server, base, "COMPACT", "compacted")
}
