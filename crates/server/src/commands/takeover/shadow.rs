//! `angarium takeover shadow`: passwords nobody knows, at an old server with Unix hashes (MIG-45). One
//! account's hash, whose password is known, is written into every record for the time of a copy; what
//! was there lies beside, and comes back. A password changed meanwhile stays changed.

use std::collections::HashMap;
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use clap::Subcommand;

use crate::commands::REFUSED;
use crate::commands::output::{put, tell};

/// Largest file, octets.
const MAX_FILE: u64 = 256 << 20;
/// What the name of the kept file ends with.
const BEFORE: &str = ".before-takeover";

#[derive(Debug, Subcommand)]
pub(crate) enum ShadowAction {
    /// Write the file with one known hash in every record that has one: beside it, or in its place.
    Open {
        /// The file, such as /etc/shadow or /etc/master.passwd.
        file: PathBuf,
        /// The user whose password is known.
        #[arg(long, value_name = "NAME")]
        like: String,
        /// Users that keep their own hash, beside root; repeatable.
        #[arg(long, value_name = "NAME")]
        except: Vec<String>,
        /// Put it in the place of the file, which is kept beside it. Let nobody log in meanwhile.
        #[arg(long)]
        in_place: bool,
    },
    /// Bring back what was there before.
    Restore {
        /// The file.
        file: PathBuf,
        /// The user whose password is known.
        #[arg(long, value_name = "NAME")]
        like: String,
    },
}

/// A hash that lets somebody in: no star, no exclamation mark, not empty.
fn lets_in(hash: &str) -> bool {
    hash.len() > 2 && !hash.starts_with(['*', '!'])
}

fn field(line: &str, number: usize) -> Option<&str> {
    line.split(':').nth(number)
}

fn with_hash(line: &str, hash: &str) -> String {
    let mut fields: Vec<&str> = line.split(':').collect();
    if let Some(field) = fields.get_mut(1) {
        *field = hash;
    }
    fields.join(":")
}

/// The hash of a user.
fn hash_of<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| field(line, 0) == Some(name))?;
    field(line, 1).filter(|hash| lets_in(hash))
}

/// The text with the known hash in every record that has one, and how many those are.
fn opened(text: &str, like: &str, except: &[String]) -> Result<(String, usize), String> {
    let known = hash_of(text, like).ok_or_else(|| format!("{like} has no hash there"))?;
    let mut changed = 0;
    let lines = text.split_inclusive('\n').map(|line| {
        let (bare, end) = match line.strip_suffix('\n') {
            Some(bare) => (bare, "\n"),
            None => (line, ""),
        };
        let name = field(bare, 0).unwrap_or_default();
        let hash = field(bare, 1).unwrap_or_default();
        let spared = name == "root" || except.iter().any(|spared| spared == name);
        if spared || name.starts_with('#') || !lets_in(hash) || hash == known {
            return line.to_owned();
        }
        changed += 1;
        format!("{}{end}", with_hash(bare, known))
    });
    let text: String = lines.collect();
    Ok((text, changed))
}

/// The text of now with the hashes from before in the records that still have the known one.
fn restored(now: &str, before: &str, like: &str) -> Result<(String, usize), String> {
    let known = hash_of(before, like).ok_or_else(|| format!("{like} has no hash there"))?;
    let hashes: HashMap<&str, &str> =
        before.lines().filter_map(|line| Some((field(line, 0)?, field(line, 1)?))).collect();
    let mut changed = 0;
    let lines = now.split_inclusive('\n').map(|line| {
        let (bare, end) = match line.strip_suffix('\n') {
            Some(bare) => (bare, "\n"),
            None => (line, ""),
        };
        let name = field(bare, 0).unwrap_or_default();
        match hashes.get(name) {
            Some(old) if field(bare, 1) == Some(known) && *old != known => {
                changed += 1;
                format!("{}{end}", with_hash(bare, old))
            }
            _ => line.to_owned(),
        }
    });
    let text: String = lines.collect();
    Ok((text, changed))
}

fn read(path: &Path) -> io::Result<String> {
    if std::fs::metadata(path)?.len() > MAX_FILE {
        return Err(io::Error::other(format!("{} is too large", path.display())));
    }
    std::fs::read_to_string(path)
        .map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Writes a new file with the rights and the owner of another; it must not be there yet.
fn write_new(path: &Path, text: &str, like: &Path) -> io::Result<()> {
    let model = std::fs::metadata(like)?;
    let open = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file =
        open.map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))?;
    file.write_all(text.as_bytes())?;
    // The rights come last: before, nobody else may read it.
    let _ = std::os::unix::fs::chown(path, Some(model.uid()), Some(model.gid()));
    file.set_permissions(std::fs::Permissions::from_mode(model.mode() & 0o777))?;
    file.sync_all()
}

/// Puts a text in the place of a file in one step.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let new = beside(path, ".takeover-new");
    let _ = std::fs::remove_file(&new);
    write_new(&new, text, path)?;
    std::fs::rename(&new, path)
}

/// Runs the command to its exit code.
pub(super) fn run(_: &crate::arguments::Base, action: &ShadowAction) -> io::Result<u8> {
    match action {
        ShadowAction::Open { file, like, except, in_place } => {
            let text = read(file)?;
            let (new, changed) = match opened(&text, like, except) {
                Ok(made) => made,
                Err(why) => return refused(file, &why),
            };
            if !*in_place {
                let path = beside(file, ".takeover");
                write_new(&path, &new, file)?;
                put(&format!("{}: {changed} records have the hash of {like}", path.display()));
                return Ok(0);
            }
            // Never without what was there before.
            let kept = beside(file, BEFORE);
            write_new(&kept, &text, file)?;
            replace(file, &new)?;
            put(&format!(
                "{changed} records have the hash of {like}; what was there is in {}",
                kept.display()
            ));
            put(&format!(
                "copy now, then: angarium takeover shadow restore {} --like {like}",
                file.display()
            ));
            Ok(0)
        }
        ShadowAction::Restore { file, like } => {
            let kept = beside(file, BEFORE);
            let (now, before) = (read(file)?, read(&kept)?);
            let (new, changed) = match restored(&now, &before, like) {
                Ok(made) => made,
                Err(why) => return refused(&kept, &why),
            };
            replace(file, &new)?;
            put(&format!("{changed} records have their own hash again"));
            put(&format!("remove {} when everything is well", kept.display()));
            Ok(0)
        }
    }
}

fn refused(file: &Path, why: &str) -> io::Result<u8> {
    tell(&format!("angarium: {}: {why}", file.display()));
    Ok(REFUSED)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE_TEXT: &str = "root:$6$r:19000:0:::::\njoe:$6$joe:19000:0:99999:7:::\n\
        jim:FU3jjF/gkJJdA:19000::::::\nlocked:!$6$x:19000::::::\ndaemon:*:19000::::::\n\
        # remark\nann:$1$ann:19000::::::\nempty::19000::::::\nlast:xyabc.12345:1";

    // MIG-45
    #[test]
    fn mig_45_every_record_gets_the_known_hash_and_its_own_one_back() {
        let (text, changed) = opened(BEFORE_TEXT, "jim", &["ann".to_owned()]).unwrap();
        assert_eq!(changed, 2, "{text}");
        assert!(text.contains("\njoe:FU3jjF/gkJJdA:19000:0:99999:7:::\n"));
        for kept in
            ["root:$6$r:", "locked:!$6$x:", "daemon:*:", "# remark", "ann:$1$ann:", "empty::"]
        {
            assert!(text.contains(kept), "{text}");
        }
        assert!(text.ends_with("last:FU3jjF/gkJJdA:1"));
        assert_eq!(restored(&text, BEFORE_TEXT, "jim").unwrap(), (BEFORE_TEXT.to_owned(), 2));
        // Who changed his password, came or went meanwhile stays as he is.
        let meanwhile = text.replace("joe:FU3jjF/gkJJdA", "joe:$6$new") + "\nnew:$6$n:1\n";
        assert_eq!(
            restored(&meanwhile, BEFORE_TEXT, "jim").unwrap(),
            (meanwhile.replace("last:FU3jjF/gkJJdA", "last:xyabc.12345"), 1)
        );
        for nobody in ["nobody", "locked", "daemon", "empty"] {
            assert!(opened(BEFORE_TEXT, nobody, &[]).is_err(), "{nobody}");
        }
    }

    // MIG-45
    #[test]
    fn mig_45_nothing_is_changed_in_place_without_what_was_there_before() {
        let room = tempfile::tempdir().unwrap();
        let file = room.path().join("shadow");
        std::fs::write(&file, BEFORE_TEXT).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        let base = crate::arguments::Base { base: None, json: false };
        let open = |in_place| ShadowAction::Open {
            file: file.clone(),
            like: "jim".into(),
            except: Vec::new(),
            in_place,
        };
        assert_eq!(run(&base, &open(false)).unwrap(), 0);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), BEFORE_TEXT);
        assert_eq!(run(&base, &open(true)).unwrap(), 0);
        let mode = std::fs::metadata(&file).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o640);
        assert!(std::fs::read_to_string(&file).unwrap().contains("joe:FU3jjF/gkJJdA"));
        // A second time it would keep the wrong file.
        assert!(run(&base, &open(true)).is_err());
        let back = ShadowAction::Restore { file: file.clone(), like: "jim".into() };
        assert_eq!(run(&base, &back).unwrap(), 0);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), BEFORE_TEXT);
    }
}
