//! Files that imports write: an account list with the aliases beside it, and address books. They
//! hold passwords or people, so they are new files for their owner alone; nothing is overwritten.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use angarium_objects::import::address_book;
use angarium_objects::import::entry;
use angarium_objects::import::newcomer::FIELDS;
use angarium_objects::import::sendmail::{Entry, Target};

use crate::commands::output::put;

fn new_file(path: &Path) -> io::Result<BufWriter<File>> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.map(BufWriter::new)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

/// An account list, and the files of aliases beside it.
pub(super) struct ListFiles {
    path: PathBuf,
    list: BufWriter<File>,
    accounts: u64,
}

impl ListFiles {
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let mut list = new_file(path)?;
        writeln!(list, "{}", FIELDS.join("\t"))?;
        Ok(Self { path: path.to_owned(), list, accounts: 0 })
    }

    pub(super) fn row(&mut self, cells: &[String]) -> io::Result<()> {
        self.accounts += 1;
        let cells: Vec<String> =
            cells.iter().map(|cell| cell.replace(['\t', '\n', '\r'], " ")).collect();
        writeln!(self.list, "{}", cells.join("\t"))
    }

    /// The groups and forwarders of a domain as sendmail writes them.
    pub(super) fn aliases(
        &mut self,
        domain: &str,
        entries: &[(Entry, Vec<String>)],
    ) -> io::Result<()> {
        let mut name = self.path.as_os_str().to_owned();
        if !domain.is_empty() {
            name.push(format!(".{}", domain.replace(['/', '\0'], "_")));
        }
        name.push(".aliases");
        let path = PathBuf::from(name);
        let mut file = new_file(&path)?;
        for (entry, remarks) in entries {
            for remark in remarks {
                writeln!(file, "# {}: {}", plain(&entry.name), plain(remark))?;
            }
            let targets = entry.targets.iter().filter_map(|target| match target {
                Target::Local(name) | Target::Address(name) => Some(quoted(name)),
                _ => None,
            });
            let targets: Vec<String> = targets.collect();
            if !targets.is_empty() {
                // A line each: no line grows beyond what is read.
                writeln!(file, "{}: {}", quoted(&entry.name), targets.join(",\n\t"))?;
            }
        }
        file.flush()?;
        let of = if domain.is_empty() { "the main domain" } else { domain };
        put(&format!("{}: {} groups and forwarders of {of}", path.display(), entries.len()));
        Ok(())
    }

    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.list.flush()?;
        self.list.get_ref().sync_all()?;
        put(&format!("{}: {} accounts", self.path.display(), self.accounts));
        Ok(())
    }
}

fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A name as it may stand in a file of aliases.
fn quoted(name: &str) -> String {
    let safe = |c: char| c.is_alphanumeric() || "@.-_+=!%&'*/?^~$".contains(c);
    let name = plain(name);
    if name.chars().all(safe) && !name.starts_with('/') {
        name
    } else {
        format!("\"{}\"", name.replace('"', ""))
    }
}

/// An address book.
pub(super) struct Books {
    path: PathBuf,
    file: BufWriter<File>,
    cards: bool,
    count: u64,
}

impl Books {
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let cards = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("vcf"));
        let mut file = new_file(path)?;
        if !cards {
            file.write_all(b"version: 1\n\n")?;
        }
        Ok(Self { path: path.to_owned(), file, cards, count: 0 })
    }

    pub(super) fn add(&mut self, entry: &entry::Entry) -> io::Result<()> {
        let text = if self.cards { address_book::vcard(entry) } else { address_book::ldif(entry) };
        if let Some(text) = text {
            self.count += 1;
            self.file.write_all(text.as_bytes())?;
        }
        Ok(())
    }

    /// What is said of it.
    pub(super) fn finish(mut self) -> io::Result<String> {
        self.file.flush()?;
        Ok(format!("{}: {} entries of an address book", self.path.display(), self.count))
    }
}
