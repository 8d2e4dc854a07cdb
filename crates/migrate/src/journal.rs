//! The journal of a move: which message of the old server is which at the new one, with the flags
//! it had when it was looked at last. Written as the new server confirms, and before anything is
//! sent that may arrive without our hearing of it; read when the same move is run again.
//!
//! Several mailboxes may be worked on at once: each has a handle of its own. One process at a time
//! may have a journal open. Its file holds names and flags but no mail, mode 0600.
//!
//! *When it is synced.* Lines are handed to the system as soon as the new server has confirmed, so
//! a mover that is killed loses none. They are forced to the disk when a mailbox is finished and at
//! the end. A power cut in between may lose the youngest lines, never mail: their messages are
//! found at the new server by content, because the lines that announce them (`send`) are forced
//! out before the first of a window is sent. Must never know a server.

mod lines;
mod load;
mod pairs;

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{MoveError, Result};

pub(crate) use lines::{BoxKey, ObjectId, Same, Sent};
use lines::{FIRST_LINE, Line};
use pairs::FlagSets;
pub(crate) use pairs::{Pair, Pairs};

/// Lines of which at least so many may be dead before the file is written anew.
const DEAD_LINES: u64 = 2_000;

/// What a journal knows of one mailbox.
#[derive(Debug, Default)]
struct Kept {
    id: u32,
    pairs: Pairs,
    /// What was sent without its outcome being noted: least UID at the target, and what.
    sent: Vec<(u32, Sent)>,
    same: Option<Same>,
    /// What the source calls the mailbox, whatever its name.
    object: Option<ObjectId>,
}

/// Messages that may be at the target although it never confirmed them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Doubt {
    /// They have this UID at the target or a higher one.
    pub(crate) floor: u32,
    /// Which messages of the source.
    pub(crate) sent: Sent,
}

/// A confirmed message: UID at the source, UID at the target (0: not told), flags at the source.
pub(crate) type Confirmed<'a> = (u32, u32, &'a str);

#[derive(Debug, Default)]
struct Inner {
    path: PathBuf,
    file: Option<Arc<File>>,
    boxes: HashMap<BoxKey, Kept>,
    flags: FlagSets,
    next_id: u32,
    unsynced: bool,
}

/// An open journal; clones are the same journal.
#[derive(Clone, Debug, Default)]
pub(crate) struct Journal {
    inner: Arc<Mutex<Inner>>,
}

fn wrong(path: &Path, reason: impl std::fmt::Display) -> MoveError {
    MoveError::File { path: path.display().to_string(), reason: reason.to_string() }
}

impl Journal {
    /// A journal that remembers nothing after the run.
    pub(crate) fn none() -> Self {
        Self::default()
    }

    /// Opens or begins the journal at `path`. Torn and unknown lines are passed over.
    ///
    /// # Errors
    /// `File`: it cannot be read or written, is no journal, or another run has it open.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|e| wrong(path, e))?;
        }
        let file = locked(path)?;
        let mut loaded = load::read(&file).map_err(|e| wrong(path, e))?;
        let mut file = Arc::new(file);
        if loaded.fresh {
            append(path, &file, format!("{FIRST_LINE}\n").as_bytes())?;
        } else if loaded.rewrite || loaded.lines > 2 * loaded.live() + DEAD_LINES {
            file = Arc::new(rewritten(path, &mut loaded)?);
        }
        let next_id = loaded.boxes.values().map(|kept| kept.id).max().map_or(1, |id| id + 1);
        Ok(Self {
            inner: Arc::new(Mutex::new(Inner {
                path: path.to_owned(),
                file: Some(file),
                boxes: loaded.boxes,
                flags: loaded.flags,
                next_id,
                unsynced: false,
            })),
        })
    }

    /// The journal at `path` as it stands, for a run that only looks: nothing is written, and
    /// nobody is kept out.
    ///
    /// # Errors
    /// `File`: it cannot be read or is no journal.
    pub(crate) fn look(path: &Path) -> Result<Self> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Self::none()),
            Err(e) => return Err(wrong(path, e)),
        };
        let load::Loaded { boxes, flags, .. } = load::read(&file).map_err(|e| wrong(path, e))?;
        let next_id = u32::MAX;
        let inner = Inner { path: path.to_owned(), boxes, flags, next_id, ..Inner::default() };
        Ok(Self { inner: Arc::new(Mutex::new(inner)) })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up a mailbox. It belongs to the handle until that is dropped; who asks for it
    /// meanwhile gets one that knows nothing.
    pub(crate) fn begin(&self, key: BoxKey) -> Result<MailboxJournal> {
        let mut inner = self.inner();
        let former = inner.former(&key)?;
        let mut kept = inner.boxes.remove(&key).unwrap_or_default();
        if kept.id == 0 {
            kept.id = inner.next_id.max(1);
            inner.next_id = kept.id.saturating_add(1);
            inner.line(&Line::Box(kept.id, key.clone()))?;
        }
        drop(inner);
        Ok(MailboxJournal { journal: self.clone(), key, kept, former, highest: 0 })
    }

    /// What the source was like when this mailbox was finished last, if nothing is in doubt, and
    /// how many of its messages are known.
    pub(crate) fn finished(&self, key: &BoxKey) -> Option<(Same, u64)> {
        let inner = self.inner();
        let kept = inner.boxes.get(key).filter(|kept| kept.sent.is_empty())?;
        Some((kept.same.clone()?, kept.pairs.len() as u64))
    }

    /// The mailboxes known whose name at the source is not among `present`.
    pub(crate) fn without(&self, present: &std::collections::BTreeSet<&str>) -> Vec<BoxKey> {
        let inner = self.inner();
        let mut all: Vec<BoxKey> = inner
            .boxes
            .iter()
            .filter(|(key, kept)| !present.contains(key.source.as_str()) && !kept.pairs.is_empty())
            .map(|(key, _)| key.clone())
            .collect();
        all.sort_by(|a, b| a.source.cmp(&b.source));
        all
    }

    /// The UIDs at the source of a mailbox, ascending.
    pub(crate) fn sources(&self, key: &BoxKey) -> Vec<u32> {
        let inner = self.inner();
        let kept = inner.boxes.get(key);
        kept.map(|kept| kept.pairs.iter().map(|pair| pair.source).collect()).unwrap_or_default()
    }

    /// The identifier that the source gave a mailbox, if it told one.
    pub(crate) fn object(&self, key: &BoxKey) -> Option<ObjectId> {
        self.inner().boxes.get(key)?.object
    }

    /// How many mailboxes of the source had this UIDVALIDITY.
    pub(crate) fn with_validity(&self, validity: u32) -> usize {
        self.inner().boxes.keys().filter(|key| key.source_validity == validity).count()
    }

    /// True when a mailbox of these names is known, whatever the validities.
    pub(crate) fn knows(&self, source: &str, target: &str) -> bool {
        self.inner().boxes.keys().any(|key| key.source == source && key.target == target)
    }

    /// Forgets a mailbox.
    pub(crate) fn forget(&self, key: &BoxKey) -> Result<()> {
        let mut inner = self.inner();
        match inner.boxes.remove(key) {
            Some(kept) => inner.line(&Line::Drop(kept.id)),
            None => Ok(()),
        }
    }

    /// Forces what was written to the disk.
    pub(crate) fn sync(&self) -> Result<()> {
        let (file, path) = {
            let mut inner = self.inner();
            if !std::mem::take(&mut inner.unsynced) {
                return Ok(());
            }
            (inner.file.clone(), inner.path.clone())
        };
        // Not under the lock: other mailboxes go on writing.
        match file {
            Some(file) => file.sync_data().map_err(|e| wrong(&path, e)),
            None => Ok(()),
        }
    }
}

impl Inner {
    fn line(&mut self, line: &Line) -> Result<()> {
        self.raw(&line.text())
    }

    fn raw(&mut self, text: &str) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        self.unsynced = true;
        append(&self.path, file, text.as_bytes())
    }

    /// The pairs of a mailbox of the same names and other validities, which is given up.
    fn former(&mut self, key: &BoxKey) -> Result<Option<Former>> {
        let other = |k: &&BoxKey| k.source == key.source && k.target == key.target && *k != key;
        let old: Vec<BoxKey> = self.boxes.keys().filter(other).cloned().collect();
        let mut found = None;
        for old in old {
            let Some(kept) = self.boxes.remove(&old) else { continue };
            self.line(&Line::Drop(kept.id))?;
            found = Some(Former {
                same_source: old.source_validity == key.source_validity,
                same_target: old.target_validity == key.target_validity,
                pairs: kept.pairs,
            });
        }
        Ok(found)
    }
}

/// What was known of a mailbox before one of the servers numbered it anew.
#[derive(Debug)]
pub(crate) struct Former {
    /// The UIDs of the source are still those.
    pub(crate) same_source: bool,
    /// The UIDs of the target are still those.
    pub(crate) same_target: bool,
    /// The pairs of then.
    pub(crate) pairs: Pairs,
}

/// One mailbox of a journal.
#[derive(Debug)]
pub(crate) struct MailboxJournal {
    journal: Journal,
    key: BoxKey,
    kept: Kept,
    former: Option<Former>,
    highest: u32,
}

impl MailboxJournal {
    /// The messages known.
    pub(crate) fn pairs(&self) -> &Pairs {
        &self.kept.pairs
    }

    /// What was known before one of the servers numbered the mailbox anew; once.
    pub(crate) fn take_former(&mut self) -> Option<Former> {
        self.former.take()
    }

    /// The flags a message had at the source when it was looked at last.
    pub(crate) fn flags_of(&self, pair: Pair) -> Option<Arc<str>> {
        self.journal.inner().flags.text(pair.flags()?)
    }

    /// Notes the identifier that the source gives the mailbox.
    pub(crate) fn is_object(&mut self, object: ObjectId) -> Result<()> {
        if self.kept.object == Some(object) {
            return Ok(());
        }
        self.kept.object = Some(object);
        self.journal.inner().line(&Line::Object(self.kept.id, object))
    }

    /// Messages of the source that may be at the target without our knowing.
    pub(crate) fn doubt(&self) -> Option<Doubt> {
        let floor = self.kept.sent.iter().map(|(floor, _)| *floor).min()?;
        let mut all = Vec::new();
        for (_, sent) in &self.kept.sent {
            match sent {
                Sent::Any => return Some(Doubt { floor, sent: Sent::Any }),
                Sent::These(uids) => all.extend(uids),
            }
        }
        all.retain(|uid| !self.kept.pairs.contains(*uid));
        all.sort_unstable();
        all.dedup();
        (!all.is_empty()).then_some(Doubt { floor, sent: Sent::These(all) })
    }

    /// Notes, before it happens, that these messages (ascending) are about to be sent. They will
    /// have UIDs of at least `floor` at the target. On the disk when this returns.
    pub(crate) fn intend(&mut self, uids: &[u32], floor: u32) -> Result<()> {
        if uids.is_empty() {
            return Ok(());
        }
        let sent = Sent::These(uids.to_vec());
        let line = Line::Send { id: self.kept.id, floor, uids: sent.clone() };
        self.journal.inner().line(&line)?;
        self.kept.sent.push((floor, sent));
        self.kept.same = None;
        self.journal.sync()
    }

    /// Notes messages that are at the target.
    pub(crate) fn confirmed(&mut self, messages: &[Confirmed<'_>]) -> Result<()> {
        let mut inner = self.journal.inner();
        let mut text = String::with_capacity(messages.len() * 24);
        let mut pairs = Vec::with_capacity(messages.len());
        for &(source, target, flags) in messages {
            let flags = match inner.flags.number(flags) {
                Some((number, true)) => {
                    let words = inner.flags.text(number).unwrap_or_default();
                    text.push_str(&Line::Flags(number, words.to_string()).text());
                    Some(number)
                }
                Some((number, false)) => Some(number),
                None => None,
            };
            text.push_str(&Line::Msg { id: self.kept.id, source, target, flags }.text());
            pairs.push(Pair::new(source, target, flags));
            self.highest = self.highest.max(target);
        }
        self.kept.pairs.set_all(&pairs);
        inner.raw(&text)
    }

    /// The highest UID at the target that this run was told of, 0 for none.
    pub(crate) fn highest_target(&self) -> u32 {
        self.highest
    }

    /// True when nothing at all is known of this mailbox.
    pub(crate) fn is_new(&self) -> bool {
        self.kept.pairs.is_empty() && self.kept.sent.is_empty() && self.kept.same.is_none()
    }

    /// Notes that any message of the source may be at the target already.
    pub(crate) fn doubt_all(&mut self) -> Result<()> {
        self.journal.inner().line(&Line::Send { id: self.kept.id, floor: 1, uids: Sent::Any })?;
        self.kept.sent.push((1, Sent::Any));
        self.kept.same = None;
        self.journal.sync()
    }

    /// Notes that the outcome of everything sent so far is known.
    pub(crate) fn sure(&mut self) -> Result<()> {
        if self.kept.sent.is_empty() {
            return Ok(());
        }
        self.kept.sent.clear();
        self.journal.inner().line(&Line::Sure(self.kept.id))
    }

    /// Forgets messages of the source, ascending.
    pub(crate) fn gone(&mut self, sources: &[u32]) -> Result<()> {
        if sources.is_empty() {
            return Ok(());
        }
        self.kept.pairs.remove(sources);
        self.journal.inner().line(&Line::Gone(self.kept.id, sources.to_vec()))
    }

    /// Notes that everything that was asked for is done as of this state of the source; on the
    /// disk when this returns.
    pub(crate) fn finished(&mut self, same: Same) -> Result<()> {
        self.sure()?;
        if self.kept.same.as_ref() != Some(&same) {
            self.journal.inner().line(&Line::Same(self.kept.id, same.clone()))?;
            self.kept.same = Some(same);
        }
        self.journal.sync()
    }

    /// What the source was like when everything that was asked for was done.
    pub(crate) fn same(&self) -> Option<&Same> {
        self.kept.same.as_ref()
    }
}

impl Drop for MailboxJournal {
    fn drop(&mut self) {
        let kept = std::mem::take(&mut self.kept);
        self.journal.inner().boxes.insert(self.key.clone(), kept);
    }
}

fn append(path: &Path, file: &File, text: &[u8]) -> Result<()> {
    let mut file = file;
    file.write_all(text).map_err(|e| wrong(path, e))
}

/// Opens the file for this process alone.
fn locked(path: &Path) -> Result<File> {
    // Once more when another run has put a new file in its place between opening and locking.
    for _ in 0..10 {
        let file = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .mode(0o600)
            .open(path)
            .map_err(|e| wrong(path, e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(wrong(path, "another run of this move has its journal open"));
            }
            // A file system without locks: as it was before there were any.
            Err(TryLockError::Error(_)) => return Ok(file),
        }
        let (ours, there) = (file.metadata(), std::fs::metadata(path));
        let (Ok(ours), Ok(there)) = (ours, there) else { continue };
        if (ours.dev(), ours.ino()) == (there.dev(), there.ino()) {
            if ours.permissions().mode() & 0o077 != 0 {
                let _ = file.set_permissions(std::fs::Permissions::from_mode(0o600));
            }
            return Ok(file);
        }
    }
    Err(wrong(path, "another run of this move has its journal open"))
}

/// Writes the living lines to a new file, which takes the place of the old one.
fn rewritten(path: &Path, loaded: &mut load::Loaded) -> Result<File> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    let _ = std::fs::remove_file(&new);
    let file = OpenOptions::new()
        .create_new(true)
        .read(true)
        .append(true)
        .mode(0o600)
        .open(&new)
        .map_err(|e| wrong(&new, e))?;
    let _ = file.try_lock();
    loaded.write(&file).map_err(|e| wrong(&new, e))?;
    file.sync_data().map_err(|e| wrong(&new, e))?;
    std::fs::rename(&new, path).map_err(|e| wrong(path, e))?;
    if let Some(folder) = path.parent().and_then(|folder| File::open(folder).ok()) {
        let _ = folder.sync_all();
    }
    Ok(file)
}

#[cfg(test)]
mod tests;
