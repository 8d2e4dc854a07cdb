//! Writing the configuration as text, page by page as the server gives it.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use angarium_accounts::{Dictionary, Value};
use angarium_objects::configuration::{FORMAT, Stanza, kind, stanza_text};
use angarium_objects::text;

use super::files;
use crate::administration::{Administrator, Answer, parameter};
use crate::arguments::Base;
use crate::base::BaseDirectory;
use crate::commands::REFUSED;
use crate::commands::output::{put, tell};

/// What is written beside the settings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts {
    pub(super) passwords: bool,
    pub(super) keys: bool,
}

const OPENING: &str = "// The configuration of an Angarium server. Show what it would change with\n\
    //   angarium config diff FILE\n\
    // and make a server so with\n\
    //   angarium config apply FILE\n\n";

/// Calls `take` for the text of each object of the server; stops with its error.
pub(super) fn pages(
    to: &mut Administrator,
    words: &str,
    mut take: impl FnMut(&str) -> io::Result<()>,
) -> io::Result<Result<(), (u16, String)>> {
    let mut after = String::new();
    loop {
        let line = format!("CONFIGURATION EXPORT {} ({words})", parameter(&after));
        let page = match to.execute(&line)? {
            Answer::Done(Some(Value::Dictionary(page))) => page,
            Answer::Failed(code, text) => return Ok(Err((code, text))),
            Answer::Done(_) => return Err(io::Error::other("the answer is no page")),
        };
        let all = page.get("Stanzas").and_then(Value::as_array).unwrap_or_default();
        for stanza in all.iter().filter_map(Value::as_str) {
            take(stanza)?;
        }
        match page.get("Next").and_then(Value::as_str) {
            Some(next) => next.clone_into(&mut after),
            None => return Ok(Ok(())),
        }
    }
}

fn head(parts: Parts) -> Stanza {
    let yes_no = |yes: bool| Value::from(if yes { "YES" } else { "NO" });
    let contents = Dictionary::from([
        ("Format".to_owned(), Value::from(FORMAT.to_string())),
        ("Passwords".to_owned(), yes_no(parts.passwords)),
        ("Keys".to_owned(), yes_no(parts.keys)),
    ]);
    Stanza::new(kind::HEAD, "", contents)
}

/// A file that takes its name when it is complete.
struct Fresh {
    file: BufWriter<File>,
    beside: PathBuf,
}

impl Fresh {
    fn create(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::OpenOptionsExt;
        let mut beside = path.as_os_str().to_owned();
        beside.push(".new");
        let beside = PathBuf::from(beside);
        let _ = std::fs::remove_file(&beside);
        let file =
            std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        Ok(Self { file: BufWriter::new(file), beside })
    }

    fn finish(self, path: &Path) -> io::Result<()> {
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        std::fs::rename(&self.beside, path)
    }
}

pub(super) fn run(
    base: &Base,
    directory: &BaseDirectory,
    file: Option<&Path>,
    parts: Parts,
) -> io::Result<u8> {
    let mut to = Administrator::reach(directory)?;
    let mut words = Vec::new();
    words.extend(parts.passwords.then_some("Passwords"));
    words.extend(parts.keys.then_some("Keys"));
    let words = words.join(",");
    let files = if parts.keys { files::all(directory)? } else { Vec::new() };
    let mut objects = 0_u64;
    let mut all = |out: &mut dyn Write| -> io::Result<Result<(), (u16, String)>> {
        out.write_all(OPENING.as_bytes())?;
        out.write_all(stanza_text(&head(parts)).as_bytes())?;
        for stanza in &files {
            objects += 1;
            write!(out, "\n{}", stanza_text(stanza))?;
        }
        let done = pages(&mut to, &words, |stanza| {
            objects += 1;
            write!(out, "\n{stanza}")
        })?;
        out.flush()?;
        Ok(done)
    };
    let done = match file {
        None => all(&mut io::stdout().lock())?,
        Some(path) => {
            let mut fresh = Fresh::create(path)?;
            let written = all(&mut fresh.file);
            match written {
                Ok(Ok(())) => fresh.finish(path).map(Ok)?,
                other => {
                    let _ = std::fs::remove_file(&fresh.beside);
                    other?
                }
            }
        }
    };
    if let Err((code, text)) = done {
        if base.json {
            put(&serde_json::json!({ "ok": false, "code": code, "error": text }).to_string());
        }
        tell(&format!("angarium: {text} ({code})"));
        return Ok(REFUSED);
    }
    if let Some(path) = file {
        let path = path.display().to_string();
        if base.json {
            put(&serde_json::json!({ "ok": true, "objects": objects, "file": path }).to_string());
        } else {
            put(&format!("{objects} objects written to {path}"));
        }
    }
    Ok(0)
}

/// What stands at the head of an object's text: its kind and name.
pub(super) fn title(stanza: &str) -> &str {
    let first = stanza.lines().next().unwrap_or_default();
    first.strip_suffix('{').map_or(first, str::trim_end)
}

/// The same of a stanza that was read.
pub(super) fn title_of(stanza: &Stanza) -> String {
    if stanza.name.is_empty() {
        return stanza.kind.clone();
    }
    let name = text::line_text(&Value::from(stanza.name.as_str()));
    format!("{} {name}", stanza.kind)
}
