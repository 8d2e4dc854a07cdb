//! The book of a take-over: what is known of each account that has arrived, a small file each below
//! the base directory. A password needed for the next copy stands there sealed with the server's key,
//! never as it is. It must never know the old server.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Longest page that is read, in octets.
const MAX_PAGE: u64 = 64 * 1024;
/// Longest text of a trouble that is kept, in characters.
const MAX_TROUBLE: usize = 400;
/// Directory of a domain's files, below the book.
const ENDING: &str = ".json";

/// What is known of an account. Times are seconds since 1970; 0 is never.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Page {
    /// When the account was made here.
    pub made: i64,
    /// When its password was proved at the old server.
    pub proved: i64,
    /// The password at the old server, sealed; empty when it is needed no more.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub sealed: String,
    /// True when name and password stand in the list for MoveAccounts.
    pub listed: bool,
    /// When the first copy of its mail began that was complete.
    pub copied: i64,
    /// When the last copy began that was complete.
    pub last_copy: i64,
    /// When the last copy began.
    pub last_try: i64,
    /// Copies tried in a row that were not complete.
    pub tries: u32,
    /// Messages copied in all.
    pub messages: u64,
    /// Octets copied in all.
    pub octets: u64,
    /// Messages and mailboxes that could not be copied, the last time.
    pub failures: u64,
    /// Why the last copy was not complete.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub trouble: String,
}

impl Page {
    /// Notes why something failed, within bounds.
    pub fn note(&mut self, trouble: &str) {
        self.trouble = trouble
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(MAX_TROUBLE)
            .collect();
    }
}

/// The book.
#[derive(Clone, Debug)]
pub struct Book {
    root: PathBuf,
}

/// A name as a file's name: other octets than letters, digits and a few signs as `%XX`.
fn file_name(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for (at, octet) in name.bytes().enumerate() {
        let plain = octet.is_ascii_lowercase()
            || octet.is_ascii_digit()
            || matches!(octet, b'_' | b'+' | b'@')
            || (at > 0 && matches!(octet, b'.' | b'-'));
        if plain {
            out.push(char::from(octet));
        } else {
            out.push_str(&format!("%{octet:02X}"));
        }
    }
    out
}

/// The name a file's name stands for.
fn name_of(file: &str) -> Option<String> {
    let mut out = Vec::with_capacity(file.len());
    let mut rest = file.bytes();
    while let Some(octet) = rest.next() {
        if octet != b'%' {
            out.push(octet);
            continue;
        }
        let (high, low) = (char::from(rest.next()?), char::from(rest.next()?));
        let octet = high.to_digit(16)? * 16 + low.to_digit(16)?;
        out.push(u8::try_from(octet).ok()?);
    }
    String::from_utf8(out).ok()
}

impl Book {
    /// The book below this directory, which is made when something is written.
    #[must_use]
    pub fn at(root: PathBuf) -> Self {
        Self { root }
    }

    /// Where it lies.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directory of a domain.
    #[must_use]
    pub fn domain(&self, domain: &str) -> PathBuf {
        self.root.join(file_name(domain))
    }

    /// A file of an account beside its page.
    #[must_use]
    pub fn beside(&self, name: &str, domain: &str, ending: &str) -> PathBuf {
        self.domain(domain).join(format!("{}{ending}", file_name(name)))
    }

    /// Makes the directory of a domain, for this user alone.
    ///
    /// # Errors
    /// As the file system.
    pub fn make(&self, domain: &str) -> io::Result<()> {
        use std::os::unix::fs::DirBuilderExt as _;
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(self.domain(domain))
    }

    /// An account's page, `None` when there is none.
    ///
    /// # Errors
    /// As the file system, or that the page cannot be read.
    pub fn page(&self, name: &str, domain: &str) -> io::Result<Option<Page>> {
        read(&self.beside(name, domain, ENDING))
    }

    /// Changes an account's page, which is on the disk when this returns.
    ///
    /// # Errors
    /// As the file system.
    pub fn change(
        &self,
        name: &str,
        domain: &str,
        change: impl FnOnce(&mut Page),
    ) -> io::Result<Page> {
        // A page that cannot be read holds nothing that cannot be learned again.
        let mut page = self.page(name, domain).ok().flatten().unwrap_or_default();
        change(&mut page);
        self.make(domain)?;
        let text = serde_json::to_vec(&page).map_err(io::Error::other)?;
        write_private(&self.beside(name, domain, ENDING), &text)?;
        Ok(page)
    }

    /// The pages of a domain, by name.
    ///
    /// # Errors
    /// As the file system; a page that cannot be read is left out.
    pub fn pages(&self, domain: &str) -> io::Result<Vec<(String, Page)>> {
        let mut all = Vec::new();
        let entries = match std::fs::read_dir(self.domain(domain)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(all),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let path = entry?.path();
            let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let Some(name) = file.strip_suffix(ENDING).and_then(name_of) else { continue };
            if let Ok(Some(page)) = read(&path) {
                all.push((name, page));
            }
        }
        all.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(all)
    }

    /// Appends a line to the domain's list for MoveAccounts, made with its head line; for this user
    /// alone. Returns where it is.
    ///
    /// # Errors
    /// As the file system; `InvalidInput` for what cannot stand in such a list.
    pub fn list(
        &self,
        domain: &str,
        old_name: &str,
        password: &[u8],
        new_name: &str,
    ) -> io::Result<PathBuf> {
        use std::os::unix::fs::OpenOptionsExt as _;
        if password.iter().any(|octet| matches!(octet, b'\t' | b'\r' | b'\n')) {
            let why = "a password with a tab cannot stand in a list";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        self.make(domain)?;
        let path = self.domain(domain).join("MoveAccounts.list");
        let mut file =
            std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
        let mut line = Vec::new();
        if file.metadata()?.len() == 0 {
            line.extend_from_slice(b"Name\tPassword\tNewName\n");
        }
        line.extend_from_slice(old_name.as_bytes());
        line.push(b'\t');
        line.extend_from_slice(password);
        line.push(b'\t');
        line.extend_from_slice(new_name.as_bytes());
        line.push(b'\n');
        let written = file.write_all(&line).and_then(|()| file.sync_all());
        zeroize::Zeroize::zeroize(&mut line);
        written?;
        Ok(path)
    }
}

fn read(path: &Path) -> io::Result<Option<Page>> {
    use std::io::Read as _;
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = Vec::new();
    file.take(MAX_PAGE).read_to_end(&mut text)?;
    serde_json::from_slice(&text).map(Some).map_err(io::Error::other)
}

/// Writes a file for this user alone, in one step: either the old or the new one is there.
fn write_private(path: &Path, text: &[u8]) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let beside = path.with_extension("new");
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(text)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_kept_by_name_whatever_the_name() {
        let room = tempfile::tempdir().unwrap();
        let book = Book::at(room.path().join("TakeOver"));
        assert_eq!(book.pages("a.dom").unwrap(), []);
        for name in ["joe", "..", "a/b", "gr\u{fc}n", "%41", "j.o-e"] {
            assert_eq!(book.page(name, "a.dom").unwrap(), None);
            book.change(name, "a.dom", |page| page.made = 7).unwrap();
            let page = book.change(name, "a.dom", |page| page.note("no\r\nroom")).unwrap();
            assert_eq!((page.made, page.trouble.as_str()), (7, "no  room"));
        }
        let names: Vec<String> =
            book.pages("a.dom").unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["%41", "..", "a/b", "gr\u{fc}n", "j.o-e", "joe"]);
        // Nothing lies outside, and a broken page is made anew.
        assert_eq!(std::fs::read_dir(room.path()).unwrap().count(), 1);
        std::fs::write(book.beside("joe", "a.dom", ENDING), "{").unwrap();
        assert!(book.page("joe", "a.dom").is_err());
        assert_eq!(book.pages("a.dom").unwrap().len(), 5);
        assert_eq!(book.change("joe", "a.dom", |page| page.proved = 1).unwrap().made, 0);
    }

    // MIG-50, MIG-75
    #[test]
    fn mig_50_the_list_for_move_accounts_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let room = tempfile::tempdir().unwrap();
        let book = Book::at(room.path().join("TakeOver"));
        let path = book.list("a.dom", "joe", b"two words", "joe@a.dom").unwrap();
        book.list("a.dom", "jim", b"x", "jim@a.dom").unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "Name\tPassword\tNewName\njoe\ttwo words\tjoe@a.dom\njim\tx\tjim@a.dom\n");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(book.list("a.dom", "joe", b"a\tb", "joe@a.dom").is_err());
        assert!(book.list("a.dom", "joe", b"a\nb", "joe@a.dom").is_err());
    }
}
