//! Personal stores of Outlook (`.pst`): the program `readpst` writes their mail, contacts and
//! calendars into a temporary directory, from where they are imported as any other files. What
//! readpst does is bounded in time and room; its output is looked at as a stranger's.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clap::Args;

use super::items::{self, Place};
use crate::administration::Administrator;
use crate::arguments::Base;
use crate::base::BaseDirectory;
use crate::commands::output::{put, tell};
use crate::commands::{REFUSED, directory, import_files};

/// Most directories and files that readpst may have made.
const MOST_FILES: usize = 100_000;
/// Deepest directory.
const DEPTH: usize = 32;
/// Room readpst may take: so many times the file, and this much more.
const ROOM: (u64, u64) = (4, 1 << 30);
/// Between two looks at what it has written.
const EVERY: Duration = Duration::from_millis(200);

/// Arguments of `import pst`.
#[derive(Debug, Args)]
pub(crate) struct PstFile {
    /// The file.
    pub(crate) file: PathBuf,
    /// The account, or account/mailbox: the mailbox above all that the file holds.
    #[arg(long, value_name = "ACCOUNT[/MAILBOX]")]
    pub(crate) into: String,
    /// Also what was deleted in Outlook and is still in the file.
    #[arg(long)]
    pub(crate) deleted: bool,
    /// The program.
    #[arg(long, value_name = "PROGRAM", default_value = "readpst")]
    pub(crate) readpst: PathBuf,
    /// Most minutes it may run.
    #[arg(long, value_name = "N", default_value_t = 240)]
    pub(crate) minutes: u64,
    /// Read everything and count, change nothing.
    #[arg(long, visible_aliases = ["dry-run", "check-only"])]
    pub(crate) plan: bool,
}

/// A directory that goes with all that is in it.
struct Room(PathBuf);

impl Room {
    fn make(base: &BaseDirectory) -> io::Result<Self> {
        let path = base.imports().join(format!("pst-{}", std::process::id()));
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(base.imports())?;
        // What an earlier process of this number left.
        match std::fs::remove_dir_all(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if let Err(e) = std::fs::remove_dir_all(&self.0) {
            tell(&format!("{}: {e}", self.0.display()));
        }
    }
}

pub(super) fn run(base: &Base, pst: &PstFile) -> io::Result<u8> {
    let file = std::path::absolute(&pst.file)?;
    let facts = std::fs::metadata(&file)
        .map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", file.display())))?;
    if !facts.is_file() {
        return Err(io::Error::other(format!("{}: this is not a file", file.display())));
    }
    let home = directory(base)?;
    // Reached first: there is no use in reading a store for nobody.
    let mut server = Administrator::reach(&home)?;
    let room = Room::make(&home)?;
    let (output, tree) = (room.0.join("output"), room.0.join("tree"));
    for place in [&output, &tree] {
        std::fs::DirBuilder::new().mode(0o700).create(place)?;
    }
    let most = facts.len().saturating_mul(ROOM.0).saturating_add(ROOM.1);
    if let Err(why) = read(pst, &file, &output, &room.0, most)? {
        put(&format!("{}: {why}", file.display()));
        return Ok(REFUSED);
    }
    let mut found = Found::default();
    found.look(&output, &tree, &mut Vec::new())?;
    let mut code = 0;
    if found.mail {
        let how = import_files::How {
            into: pst.into.clone(),
            dialect: "auto".to_owned(),
            dry_run: pst.plan,
            keep_uids: false,
        };
        code = import_files::bring(&mut server, base, &tree, &how)?;
    }
    let account = pst.into.split_once('/').map_or(pst.into.as_str(), |(account, _)| account);
    for path in &found.items {
        let into = Place { account, mailbox: None, plan: pst.plan };
        let answer = items::bring(&mut server, path, &into)?;
        code = code.max(items::show(base, None, path, &into, answer));
    }
    if !found.mail && found.items.is_empty() {
        put(&format!("{}: nothing was found in it", file.display()));
    }
    found.remarks.iter().for_each(|remark| put(remark));
    Ok(code)
}

/// Runs readpst; the inner error is what a postmaster is told.
fn read(
    pst: &PstFile,
    file: &Path,
    output: &Path,
    home: &Path,
    most: u64,
) -> io::Result<Result<(), String>> {
    let mut command = Command::new(&pst.readpst);
    // Recursive, quiet, one process, contacts as vCards; text of unknown charsets as UTF-8.
    command.args(["-q", "-r", "-w", "-j", "0", "-cv"]);
    if pst.deleted {
        command.arg("-D");
    }
    command.arg("-o").arg(output).arg(file);
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    command.env_clear().env("PATH", path).env("HOME", home).env("LC_ALL", "C.UTF-8");
    command.current_dir(home).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let text = "the program readpst is not installed (package pst-utils, or libpst)";
            return Ok(Err(text.to_owned()));
        }
        Err(e) => return Err(e),
    };
    let end = Instant::now() + Duration::from_secs(pst.minutes.saturating_mul(60));
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(if status.success() {
                Ok(())
            } else {
                Err("readpst could not read it: it is no PST file, or a damaged one".to_owned())
            });
        }
        let (octets, files) = size(output, 0)?;
        let why = if Instant::now() >= end {
            format!("readpst was stopped after {} minutes", pst.minutes)
        } else if octets > most || files > MOST_FILES {
            "readpst was stopped: it wrote much more than the file can hold".to_owned()
        } else {
            std::thread::sleep(EVERY);
            continue;
        };
        stop(&mut child);
        return Ok(Err(why));
    }
}

fn stop(child: &mut Child) {
    // It may have ended meanwhile.
    let _ = child.kill();
    let _ = child.wait();
}

/// Octets and entries of a directory so far.
fn size(path: &Path, depth: usize) -> io::Result<(u64, usize)> {
    let (mut octets, mut files) = (0_u64, 0_usize);
    if depth > DEPTH {
        return Ok((0, MOST_FILES + 1));
    }
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        files += 1;
        // What goes away meanwhile counts nothing.
        let Ok(facts) = entry.metadata() else { continue };
        if facts.is_dir() {
            let (more, inside) = size(&entry.path(), depth + 1)?;
            octets = octets.saturating_add(more);
            files += inside;
        } else {
            octets = octets.saturating_add(facts.len());
        }
        if files > MOST_FILES {
            break;
        }
    }
    Ok((octets, files))
}

/// What readpst has written.
#[derive(Default)]
struct Found {
    mail: bool,
    items: Vec<PathBuf>,
    remarks: Vec<String>,
    count: usize,
}

impl Found {
    /// Puts the text mailboxes of `from` where a tree of mailboxes has them: `X/mbox` becomes
    /// `X.mbox`. Calendars and contacts stay and are noted. Symbolic links are not followed.
    fn look(&mut self, from: &Path, tree: &Path, levels: &mut Vec<String>) -> io::Result<()> {
        if levels.len() > DEPTH {
            self.remarks.push("folders that lie too deep are left out".to_owned());
            return Ok(());
        }
        let mut entries: Vec<_> = std::fs::read_dir(from)?.collect::<io::Result<_>>()?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            self.count += 1;
            if self.count > MOST_FILES {
                return Err(io::Error::other("readpst wrote too many files"));
            }
            let (path, name, kind) = (entry.path(), entry.file_name(), entry.file_type()?);
            if kind.is_dir() {
                levels.push(level(&name));
                self.look(&path, tree, levels)?;
                levels.pop();
            } else if !kind.is_file() {
                self.remarks.push(format!("{}: not followed", path.display()));
            } else if name == "mbox" {
                let place = place(tree, levels);
                if let Some(above) = place.parent() {
                    std::fs::create_dir_all(above)?;
                }
                settled(BufReader::new(File::open(&path)?), File::create_new(&place)?)?;
                std::fs::remove_file(&path)?;
                self.mail = true;
            } else if name == "contacts" || name == "calendar" || name == "journal" {
                self.items.push(path);
            }
        }
        Ok(())
    }
}

/// What readpst writes before the number of a boundary, a new one at every run.
const BOUNDARY: &[u8] = b"LibPST-iamunique-";
/// Most boundaries of one mailbox that are remembered.
const BOUNDARIES: usize = 2_000_000;
/// Octets of a line looked at as one.
const LINE: u64 = 64 * 1024;

/// Copies a mailbox, the numbers of boundaries counted from one: the same store gives the same
/// messages again, so that a second run finds them.
fn settled(mut from: impl BufRead, to: impl Write) -> io::Result<()> {
    let mut to = BufWriter::new(to);
    let mut numbers: HashMap<Vec<u8>, usize> = HashMap::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        if from.by_ref().take(LINE).read_until(b'\n', &mut line)? == 0 {
            return to.flush();
        }
        let mut rest = line.as_slice();
        while let Some(at) = rest.windows(BOUNDARY.len()).position(|some| some == BOUNDARY) {
            let (before, behind) = rest.split_at(at + BOUNDARY.len());
            let digits = behind.iter().take_while(|b| b.is_ascii_digit()).count();
            let (number, after) = behind.split_at(digits);
            to.write_all(before)?;
            let next = numbers.len() + 1;
            if next <= BOUNDARIES || numbers.contains_key(number) {
                let number = *numbers.entry(number.to_vec()).or_insert(next);
                write!(to, "{number}")?;
            } else {
                to.write_all(number)?;
            }
            rest = after;
        }
        to.write_all(rest)?;
    }
}

/// A folder's name as a level of a mailbox's name.
fn level(name: &OsStr) -> String {
    let name = name.to_string_lossy();
    name.chars().map(|c| if c.is_control() || c == '/' { '_' } else { c }).collect()
}

/// Where the mail of a folder goes. The first level is the store's own name, and what lies directly
/// below it is what Outlook shows at the top.
fn place(tree: &Path, levels: &[String]) -> PathBuf {
    let shown = levels.get(1..).filter(|rest| !rest.is_empty()).unwrap_or(levels);
    let Some((last, above)) = shown.split_last() else { return tree.join("INBOX.mbox") };
    let mut path = tree.to_owned();
    path.extend(above);
    path.join(format!("{last}.mbox"))
}

#[cfg(test)]
mod tests {
    use super::*;

    // MIG-63
    #[test]
    fn mig_63_boundaries_are_the_same_at_every_run() {
        let of = |a: &str, b: &str| {
            let text = format!(
                "x LibPST-iamunique-{a}_-_-\n--LibPST-iamunique-{b}_ LibPST-iamunique-{a}\nend"
            );
            let mut out = Vec::new();
            settled(text.as_bytes(), &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let wanted = "x LibPST-iamunique-1_-_-\n--LibPST-iamunique-2_ LibPST-iamunique-1\nend";
        assert_eq!(of("77", "4711"), wanted);
        assert_eq!(of("1804289383", "9"), wanted);
    }

    // MIG-63
    #[test]
    fn mig_63_folders_of_a_store_become_a_tree_of_mailboxes() {
        let of = |levels: &[&str]| {
            let levels: Vec<String> = levels.iter().map(|level| (*level).to_owned()).collect();
            place(Path::new("t"), &levels).display().to_string()
        };
        assert_eq!(of(&[]), "t/INBOX.mbox");
        assert_eq!(of(&["Personal folders"]), "t/Personal folders.mbox");
        assert_eq!(of(&["Top of Outlook data file", "Inbox"]), "t/Inbox.mbox");
        assert_eq!(of(&["Top", "Work", "2024"]), "t/Work/2024.mbox");
    }
}
