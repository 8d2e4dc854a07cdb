//! The files of certificates and keys below the base directory as objects of a configuration. The
//! server reads them when it starts.

use std::io;
use std::path::{Path, PathBuf};

use angarium_accounts::{Dictionary, Value};
use angarium_objects::configuration::{Stanza, kind};

use crate::base::{BaseDirectory, write_private};

/// Largest file taken, octets.
const LARGEST: u64 = 1 << 20;
/// Longest name of a file.
const LONGEST_NAME: usize = 128;
/// Its contents.
const CONTENTS: &str = "Contents";

/// A name that stays in the directory.
fn is_plain(name: &str) -> bool {
    name.len() <= LONGEST_NAME
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

/// The files there are, by name.
pub(super) fn all(base: &BaseDirectory) -> io::Result<Vec<Stanza>> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(base.settings()) else { return Ok(found) };
    for entry in entries {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if !entry.file_type()?.is_file() || !is_plain(&name) || entry.metadata()?.len() > LARGEST {
            continue;
        }
        let value = match String::from_utf8(std::fs::read(entry.path())?) {
            Ok(text) if !text.contains('\0') => Value::String(text),
            Ok(text) => Value::Data(text.into_bytes()),
            Err(error) => Value::Data(error.into_bytes()),
        };
        let contents = Dictionary::from([(CONTENTS.to_owned(), value)]);
        found.push(Stanza::new(kind::FILE, &name, contents));
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// What a file's object means to this base directory.
pub(super) enum Step {
    Same,
    Made,
    Changed,
}

fn wanted(stanza: &Stanza) -> Result<Vec<u8>, String> {
    if !is_plain(&stanza.name) {
        return Err("this is not the name of a file of certificates".to_owned());
    }
    match stanza.contents.get(CONTENTS) {
        Some(Value::String(text)) => Ok(text.clone().into_bytes()),
        Some(Value::Data(octets)) => Ok(octets.clone()),
        _ => Err(format!("{CONTENTS} is a text or a datablock")),
    }
}

fn path(base: &BaseDirectory, name: &str) -> PathBuf {
    base.settings().join(name)
}

/// What writing it would do.
pub(super) fn compare(base: &BaseDirectory, stanza: &Stanza) -> Result<Step, String> {
    let wanted = wanted(stanza)?;
    match read(&path(base, &stanza.name)) {
        Ok(Some(there)) if there == wanted => Ok(Step::Same),
        Ok(Some(_)) => Ok(Step::Changed),
        Ok(None) => Ok(Step::Made),
        Err(error) => Err(error.to_string()),
    }
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(there) => Ok(Some(there)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes it, readable by this user alone.
pub(super) fn write(base: &BaseDirectory, stanza: &Stanza) -> Result<Step, String> {
    let step = compare(base, stanza)?;
    if !matches!(step, Step::Same) {
        write_private(&path(base, &stanza.name), &wanted(stanza)?)
            .map_err(|error| error.to_string())?;
    }
    Ok(step)
}
