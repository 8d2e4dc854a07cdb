//! One use of a legacy file: locked, repaired if a crash left something, read if it changed, and the
//! mirror brought up to date with it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use angarium_message::mailbox_files::Marks;
use angarium_store::{
    AccountId, AttributesPatch, Digest, FlagChange, FlagUpdate, Flags, MailboxId, MessageBody,
    MessageEntry, NewMessage, Uid,
};
use bytes::Bytes;

use super::file::Held;
use super::place::Place;
use super::reconcile::compare;
use super::redo::{Facts, Redo};
use super::scan::{self, Known};
use super::{Desk, Legacy, StoreError, blocking, failed, flags};
use crate::mailboxes::MailError;

/// Tells from which file the mirror was last filled. Kept with the INBOX under a name that no
/// protocol shows.
const MARK: &str = "legacy-file";

/// Messages of an INBOX before that go into the file at once.
const ADOPTED_AT_ONCE: usize = 64;

/// A message of the mirror, to be put in again.
pub(super) fn again(entry: &MessageEntry) -> NewMessage {
    NewMessage {
        body: MessageBody::Existing(entry.body),
        summary: Bytes::new(),
        flags: entry.flags.clone(),
        internal_date: entry.internal_date,
        save_date: entry.save_date,
        uid: None,
        original_uid: Some(entry.original_uid),
        pop_id: entry.pop_id.clone(),
        origin: None,
    }
}

/// A file in use by us alone.
pub(super) struct Session {
    pub(super) legacy: Arc<Legacy>,
    pub(super) desk: tokio::sync::OwnedMutexGuard<Desk>,
    pub(super) held: Arc<Held>,
    pub(super) account: AccountId,
    pub(super) inbox: MailboxId,
}

impl Session {
    /// Takes the file, waiting at most `patience` for other programs. `WouldBlock` when they keep
    /// it longer.
    pub(super) async fn take(
        legacy: &Arc<Legacy>,
        account: AccountId,
        inbox: MailboxId,
        place: &Place,
        patience: Duration,
    ) -> io::Result<Self> {
        let desk = legacy.desk(place).lock_owned().await;
        let place = place.clone();
        let taken = tokio::task::spawn_blocking(move || Held::take(&place, patience));
        let held = Arc::new(taken.await.map_err(io::Error::other)??);
        Ok(Self { legacy: legacy.clone(), desk, held, account, inbox })
    }

    pub(super) fn failed(&self, error: &io::Error) -> StoreError {
        failed(self.held.path(), error)
    }

    /// Works on the file where it holds up nobody.
    pub(super) async fn at_file<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnOnce(&Held) -> io::Result<T> + Send + 'static,
    {
        let held = self.held.clone();
        blocking(move || work(&held).map_err(|error| failed(held.path(), &error))).await
    }

    /// Brings the mirror up to date.
    pub(super) async fn sync(&mut self) -> Result<(), StoreError> {
        let now = self.held.now().map_err(|error| self.failed(&error))?;
        if self.desk.account == self.account && self.desk.stamp == Some(now) {
            return Ok(());
        }
        self.desk.stamp = None;
        self.recover().await?;
        let inner = self.legacy.inner.clone();
        let snapshot = inner.snapshot(self.account, self.inbox).await?;
        let mut file = self.at_file(scan::scan).await?;
        let adopted =
            snapshot.mailbox.annotations.get(MARK).is_some_and(|known| {
                known.as_ref() == self.held.path().as_os_str().as_encoded_bytes()
            });
        let mirror: Vec<(Uid, Digest)> =
            snapshot.entries.iter().map(|entry| (entry.uid, entry.digest)).collect();
        let messages: Vec<&mut Known> = file.iter_mut().filter(|known| !known.is_note).collect();
        let asked: Vec<(Option<Uid>, Digest)> = messages
            .iter()
            .map(|known| (known.fields.map(|fields| Uid(fields.uid)), known.digest))
            .collect();
        let plan = compare(&asked, &mirror);
        for (known, uid) in messages.into_iter().zip(plan.known) {
            known.uid = uid;
        }
        if adopted && !plan.missing.is_empty() {
            tracing::debug!(
                "{}: {} messages were removed by other programs",
                self.held.path().display(),
                plan.missing.len()
            );
            inner.expunge(self.account, self.inbox, &plan.missing, false).await?;
        }
        self.warn(&file);
        self.flags(&mut file, &snapshot.entries).await?;
        self.take_in(&mut file, snapshot.mailbox.uid_next).await?;
        self.settle(file);
        self.desk.stamp = self.held.stamp().map_err(|error| self.failed(&error))?;
        if !adopted {
            self.adopt(&snapshot.entries, &plan.missing).await?;
        }
        Ok(())
    }

    /// What is known of the file now.
    pub(super) fn settle(&mut self, messages: Vec<Known>) {
        self.desk.account = self.account;
        self.desk.messages = messages;
    }

    /// The first use of this file: what the INBOX held before goes into it, so that the file is the
    /// truth from then on and nothing is lost.
    async fn adopt(&mut self, entries: &[MessageEntry], only: &[Uid]) -> Result<(), StoreError> {
        let inner = self.legacy.inner.clone();
        let before: Vec<&MessageEntry> =
            entries.iter().filter(|entry| only.binary_search(&entry.uid).is_ok()).collect();
        if !before.is_empty() {
            tracing::info!(
                "{}: {} messages of the INBOX before go into it",
                self.held.path().display(),
                before.len()
            );
        }
        for batch in before.chunks(ADOPTED_AT_ONCE) {
            let old: Vec<Uid> = batch.iter().map(|entry| entry.uid).collect();
            let messages = batch.iter().map(|entry| again(entry)).collect();
            self.append(messages).await?;
            inner.expunge(self.account, self.inbox, &old, false).await?;
        }
        let path = Bytes::copy_from_slice(self.held.path().as_os_str().as_encoded_bytes());
        let patch = AttributesPatch {
            annotations: vec![(MARK.to_owned(), Some(path))],
            ..AttributesPatch::default()
        };
        inner.set_attributes(self.account, self.inbox, patch).await?;
        Ok(())
    }

    /// Files of other programs are opened with warnings (MIG-71), once.
    fn warn(&mut self, file: &[Known]) {
        let bare = file.iter().filter(|known| known.fields.is_none() && !known.is_note).count();
        if bare > 0 && !self.desk.warned {
            self.desk.warned = true;
            tracing::warn!(
                "{}: {bare} of {} messages have no flags and no UID in their From line; they get \
                 UIDs on the fly",
                self.held.path().display(),
                file.len()
            );
        }
    }

    /// Takes over what other programs changed in `Status` fields, and puts the flags of the mirror
    /// into separators that say otherwise.
    async fn flags(
        &mut self,
        file: &mut [Known],
        entries: &[MessageEntry],
    ) -> Result<(), StoreError> {
        let same_account = self.desk.account == self.account;
        let before: HashMap<Uid, Option<Marks>> = self
            .desk
            .messages
            .iter()
            .filter(|_| same_account)
            .filter_map(|known| Some((known.uid?, known.status)))
            .collect();
        let entries: HashMap<Uid, &MessageEntry> = entries.iter().map(|e| (e.uid, e)).collect();
        let mut changes: BTreeMap<(bool, Marks), Vec<Uid>> = BTreeMap::new();
        for known in file.iter_mut() {
            let Some(uid) = known.uid else { continue };
            let Some(entry) = entries.get(&uid) else { continue };
            let now = known.status.unwrap_or_default();
            // Nobody knows what stood there when this server was last here: flags only come.
            let then =
                before.get(&uid).map_or_else(Marks::default, |then| then.unwrap_or_default());
            let have = flags::marks(entry.flags.bits);
            let come = now.without(then).without(have);
            let go = Marks(then.without(now).0 & have.0);
            for (adding, marks) in [(true, come), (false, go)] {
                if marks != Marks::default() {
                    changes.entry((adding, marks)).or_default().push(uid);
                }
            }
            let marks = have.with(come).without(go);
            if let Some(fields) = &mut known.fields
                && let Some(at) = fields.flags_at
                && fields.marks.without(Marks::RECENT) != marks
            {
                let written = self.held.write(known.begins + at as u64, &marks.letters());
                written.map_err(|error| failed(self.held.path(), &error))?;
                fields.marks = marks;
            }
        }
        for ((adding, marks), mut uids) in changes {
            uids.sort_unstable();
            let update = FlagUpdate {
                uids,
                change: if adding { FlagChange::Add } else { FlagChange::Remove },
                flags: Flags::of(flags::bits(marks)),
                unchanged_since: None,
            };
            self.legacy.inner.change_flags(self.account, self.inbox, update).await?;
        }
        Ok(())
    }

    /// Ends what a crash left: a log whose operation the mirror committed is carried out.
    async fn recover(&mut self) -> Result<(), StoreError> {
        let room = self.legacy.room.clone();
        let opened = self.at_file(move |held| Redo::open(&room, held)).await?;
        let Some((redo, facts)) = opened else { return Ok(()) };
        if self.committed(&facts).await? {
            tracing::info!("{}: an interrupted change is finished", self.held.path().display());
            if facts.payload > 0 {
                self.make().await?;
            }
            let room = self.legacy.room.clone();
            let finish = move |held: &Held| {
                if !redo.repair(held, &facts)? {
                    rescue(&redo, held, &room)?;
                }
                redo.remove()
            };
            return self.at_file(finish).await;
        }
        blocking(move || redo.remove().map_err(|e| StoreError::Unavailable(e.to_string()))).await
    }

    /// True when the mirror that a log speaks of is as it is after its operation. Two accounts may
    /// use one file; one that is gone committed nothing.
    async fn committed(&self, facts: &Facts) -> Result<bool, StoreError> {
        let accounts = self.legacy.accounts()?;
        let inbox = if facts.account == self.account {
            self.inbox
        } else {
            match accounts.registry().inbox(accounts.store(), facts.account).await {
                Ok(Some(inbox)) => inbox,
                Ok(None) | Err(MailError::NotFound | MailError::NoAccount) => return Ok(false),
                Err(error) => return Err(StoreError::Unavailable(error.to_string())),
            }
        };
        let snapshot = self.legacy.inner.snapshot(facts.account, inbox).await?;
        let there: HashSet<Uid> = snapshot.entries.iter().map(|entry| entry.uid).collect();
        Ok(facts.added.iter().all(|uid| there.contains(uid))
            && facts.removed.iter().all(|uid| !there.contains(uid)))
    }

    /// Makes the file if there is none.
    pub(super) async fn make(&mut self) -> Result<(), StoreError> {
        const PATIENCE: Duration = Duration::from_secs(5);
        let path = self.held.path().to_owned();
        let held = Arc::get_mut(&mut self.held);
        let held = held.ok_or_else(|| StoreError::Unavailable("the file is in use".to_owned()))?;
        held.make(PATIENCE).map_err(|error| failed(&path, &error))
    }
}

/// The file is not what the interrupted operation left: others have written it since. Messages of
/// the log that are not in it are added at its end, so that none is lost.
fn rescue(redo: &Redo, held: &Held, room: &std::path::Path) -> io::Result<()> {
    let (log, begins) = redo.payload();
    let there: HashSet<Digest> = scan::scan(held)?.into_iter().map(|known| known.digest).collect();
    let mut end = held.length()?;
    let mut lead = super::change::lead(held)?;
    for known in scan::scan_log(log, begins, redo.length())? {
        if there.contains(&known.digest) {
            continue;
        }
        tracing::warn!("{}: a message is put back", held.path().display());
        held.write(end, lead)?;
        end += lead.len() as u64;
        let length = known.ends - known.begins;
        held.copy_from(log, begins + known.begins, end, length)?;
        end += length;
        lead = super::change::lead(held)?;
    }
    tracing::debug!("the log in {} is finished", room.display());
    held.sync()
}
