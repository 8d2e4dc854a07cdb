//! Which mailboxes a path holds: one file, one directory, or a tree. Nothing outside it is looked
//! at: symbolic links are not followed, and what is neither file nor directory is left alone.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use angarium_imap::mailbox_name;
use angarium_message::mailbox_files::{maildir, trees};
use angarium_migrate::names::NameRules;

use super::remark;

/// Mailboxes of one tree.
const MAILBOXES_MAX: usize = 100_000;
/// Deepest directory.
const DEPTH_MAX: usize = 32;
/// Largest of the small files that are read whole, octets.
pub(super) const SMALL_MAX: u64 = 64 << 20;

/// The form of a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Maildir,
    /// The old server's `.mdir`.
    Mdir,
    Mh,
}

/// One mailbox that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) form: Form,
    pub(super) path: PathBuf,
    /// Its name in the account.
    pub(super) name: String,
}

/// All that was found.
#[derive(Debug, Default)]
pub(super) struct Walk {
    pub(super) mailboxes: Vec<Found>,
    pub(super) subscriptions: Vec<String>,
    pub(super) remarks: Vec<String>,
    /// The mailbox above all.
    prefix: Option<String>,
}

/// Reads a small file whole.
pub(super) fn small(path: &Path) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let facts = std::fs::symlink_metadata(path).ok().filter(std::fs::Metadata::is_file)?;
    if facts.len() > SMALL_MAX {
        return None;
    }
    File::open(path).ok()?.take(SMALL_MAX).read_to_end(&mut text).ok()?;
    Some(text)
}

/// True for a file that begins as a text mailbox does, or is empty.
fn is_text_mailbox(path: &Path) -> bool {
    let mut top = Vec::new();
    let read = File::open(path).and_then(|file| file.take(512).read_to_end(&mut top));
    let text = top.trim_ascii_start();
    read.is_ok() && (text.is_empty() || text.starts_with(b"From ") || top.starts_with(b"\x01\x01"))
}

fn is_maildir(path: &Path) -> bool {
    path.join("cur").is_dir() && path.join("new").is_dir()
}

fn is_mh(path: &Path) -> bool {
    path.join(".mh_sequences").is_file() || path.join("1").is_file()
}

/// A level of a name as written on disk.
fn level(name: &[u8]) -> String {
    let text = mailbox_name::decode_tolerant(name);
    text.unwrap_or_else(|| String::from_utf8_lossy(name).into_owned())
}

/// A file's or directory's own name without the ending of its form.
fn stem(name: &OsStr) -> Vec<u8> {
    let name = name.as_bytes();
    // IMail's name for the INBOX.
    if name.eq_ignore_ascii_case(b"main.mbx") {
        return b"INBOX".to_vec();
    }
    for ending in [&b".mbox"[..], b".mdir", b".folder", b".sbd", b".mbx"] {
        if let Some(stem) = name.strip_suffix(ending).filter(|stem| !stem.is_empty()) {
            return stem.to_vec();
        }
    }
    name.to_vec()
}

/// Finds the mailboxes of a path; `into` names the mailbox, or the one above all.
pub(super) fn walk(path: &Path, into: Option<&str>) -> Result<Walk, String> {
    let facts = std::fs::symlink_metadata(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut walk = Walk::default();
    let alone = |form| {
        let name = into.unwrap_or("INBOX").to_owned();
        vec![Found { form, path: path.to_owned(), name }]
    };
    if facts.is_file() {
        if !is_text_mailbox(path) {
            return Err(format!("{}: this is no text mailbox", path.display()));
        }
        walk.mailboxes = alone(Form::Text);
        return Ok(walk);
    }
    if !facts.is_dir() {
        return Err(format!("{}: neither a file nor a directory", path.display()));
    }
    if path.extension() == Some(OsStr::new("mdir")) {
        walk.mailboxes = alone(Form::Mdir);
        return Ok(walk);
    }
    walk.prefix = into.map(str::to_owned);
    if is_maildir(path) {
        walk.add(Form::Maildir, path, &[]);
    } else if is_mh(path) {
        walk.add(Form::Mh, path, &[]);
    }
    walk.directory(path, &mut Vec::new());
    walk.subscribed(path);
    walk.mailboxes.sort_by(|a, b| a.name.cmp(&b.name));
    if walk.mailboxes.is_empty() {
        return Err(format!("{}: no mailbox was found", path.display()));
    }
    Ok(walk)
}

impl Walk {
    /// The name in the account of these levels; none are the INBOX.
    fn name(&self, levels: &[String]) -> String {
        let mut levels = levels.to_vec();
        // A slash inside a level would make two of it.
        levels.iter_mut().for_each(|level| *level = level.replace('/', "_"));
        let first = levels.first_mut();
        if first.is_none_or(|first| {
            let inbox = ["inbox", "mbox"].iter().any(|name| first.eq_ignore_ascii_case(name));
            if inbox {
                "INBOX".clone_into(first);
            }
            false
        }) {
            levels.push("INBOX".to_owned());
        }
        let name = NameRules::default().target_name(&levels.join("/"), Some('/'));
        match &self.prefix {
            Some(prefix) => format!("{prefix}/{name}"),
            None => name,
        }
    }

    fn add(&mut self, form: Form, path: &Path, levels: &[String]) {
        if self.mailboxes.len() >= MAILBOXES_MAX {
            return remark(&mut self.remarks, format!("{}: too many mailboxes", path.display()));
        }
        let name = self.name(levels);
        self.mailboxes.push(Found { form, path: path.to_owned(), name });
    }

    fn directory(&mut self, path: &Path, levels: &mut Vec<String>) {
        if levels.len() >= DEPTH_MAX {
            return remark(&mut self.remarks, format!("{}: too deep", path.display()));
        }
        let entries = match std::fs::read_dir(path) {
            Ok(entries) => entries,
            Err(e) => return remark(&mut self.remarks, format!("{}: {e}", path.display())),
        };
        let inside = is_maildir(path);
        for entry in entries.flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                self.subdirectory(&path, &name, inside, levels);
            } else if kind.is_file() {
                let hidden = name.as_bytes().starts_with(b".");
                let number = name.as_bytes().iter().all(u8::is_ascii_digit);
                if hidden || inside || (number && is_mh(path.parent().unwrap_or(&path))) {
                    continue;
                }
                if is_text_mailbox(&path) {
                    levels.push(level(&stem(&name)));
                    self.add(Form::Text, &path, levels);
                    levels.pop();
                } else {
                    remark(&mut self.remarks, format!("{}: no mailbox, left out", path.display()));
                }
            } else {
                remark(&mut self.remarks, format!("{}: not followed", path.display()));
            }
        }
    }

    fn subdirectory(&mut self, path: &Path, name: &OsStr, inside: bool, levels: &mut Vec<String>) {
        if inside && ["cur", "new", "tmp"].iter().any(|own| name == OsStr::new(own)) {
            return;
        }
        let depth = levels.len();
        let folder = std::str::from_utf8(name.as_bytes()).ok().and_then(maildir::folder);
        match folder {
            // Courier writes the levels below the INBOX again.
            Some(folder) => {
                levels.extend(folder.into_iter().map(|one| level(one.as_bytes())));
            }
            None => levels.push(level(&stem(name))),
        }
        if name.as_bytes().ends_with(b".mdir") {
            self.add(Form::Mdir, path, levels);
        } else if is_maildir(path) {
            self.add(Form::Maildir, path, levels);
            self.directory(path, levels);
        } else {
            if is_mh(path) {
                self.add(Form::Mh, path, levels);
            }
            self.directory(path, levels);
        }
        levels.truncate(depth);
    }

    fn subscribed(&mut self, path: &Path) {
        let lists = [
            ("subscriptions", if is_maildir(path) { '.' } else { '/' }),
            (".subscriptions", '/'),
            ("courierimapsubscribed", '.'),
            (".mailboxlist", '/'),
        ];
        for (name, delimiter) in lists {
            let Some(text) = small(&path.join(name)) else { continue };
            for levels in trees::subscriptions(&text, delimiter) {
                let mut levels: Vec<String> =
                    levels.iter().map(|one| level(one.as_bytes())).collect();
                if name.starts_with("courier") && levels.len() > 1 && levels[0] == "INBOX" {
                    levels.remove(0);
                }
                if let Some(last) = levels.last_mut() {
                    *last = level(&stem(OsStr::new(last.as_str())));
                }
                let name = self.name(&levels);
                if !self.subscriptions.contains(&name) && self.subscriptions.len() < 10_000 {
                    self.subscriptions.push(name);
                }
            }
        }
    }
}
