//! What was imported into an account before: the content of each message, how often, and into which
//! mailbox. Without it mail that its owner removed would come back with the next run.
//!
//! A line is added after its message is durable in the store. One that is missing after a crash does
//! no harm: the message itself is found in the mailbox.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use angarium_accounts::{AccountId, Digest, MailboxId};

/// The journal of one account.
pub(super) struct Journal {
    file: File,
    imported: HashMap<(MailboxId, Digest), u32>,
}

fn digest(text: &str) -> Option<Digest> {
    let mut digest = Digest::default();
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (at, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(digest)
}

impl Journal {
    /// Opens the journal of an account, or begins it.
    pub(super) fn open(directory: &Path, account: AccountId) -> io::Result<Self> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let path = directory.join(format!("{account}.journal"));
        let mut options = OpenOptions::new();
        let file = options.read(true).append(true).create(true).mode(0o600).open(path)?;
        let mut imported = HashMap::new();
        for line in BufReader::new(&file).split(b'\n') {
            let line = line?;
            // A line that a crash cut says nothing.
            let Some((mailbox, text)) =
                std::str::from_utf8(&line).ok().and_then(|line| line.split_once(' '))
            else {
                continue;
            };
            if let (Ok(mailbox), Some(digest)) = (mailbox.parse(), digest(text)) {
                *imported.entry((MailboxId(mailbox), digest)).or_insert(0) += 1;
            }
        }
        // What follows a cut line stands on a line of its own.
        (&file).write_all(b"\n")?;
        Ok(Self { file, imported })
    }

    /// How often this content was imported into this mailbox.
    pub(super) fn count(&self, mailbox: MailboxId, digest: &Digest) -> u32 {
        self.imported.get(&(mailbox, *digest)).copied().unwrap_or(0)
    }

    /// Notes messages that are in the store now.
    pub(super) fn note(&mut self, mailbox: MailboxId, digests: &[Digest]) -> io::Result<()> {
        let mut text = String::new();
        for digest in digests {
            let hex = blake3::Hash::from_bytes(*digest).to_hex();
            text.push_str(&format!("{mailbox} {hex}\n"));
            *self.imported.entry((mailbox, *digest)).or_insert(0) += 1;
        }
        self.file.write_all(text.as_bytes())
    }

    /// Makes the notes durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}
