//! What we change in a legacy file: messages added, removed, their flags. Each change is prepared in
//! the redo log, committed by the mirror and then written in place.

use std::collections::HashMap;
use std::future::Future;
use std::io;

use angarium_message::header;
use angarium_message::mailbox_files::{Dialect, Marks, Quoter, Separator, View};
use angarium_store::{
    Appended, FlagOutcome, FlagUpdate, MailboxRecord, MessageBody, NewMessage, Uid,
};
use bytes::Bytes;

use super::file::Held;
use super::redo::Redo;
use super::scan::Known;
use super::session::Session;
use super::{StoreError, blocking, failed, flags, reconcile};

/// Octets of a message converted at once.
const PIECE: u64 = 256 * 1024;
/// Messages put in at once, where the caller does not want all or none.
const BATCH: usize = 64;
/// Octets in which the return path is looked for.
const TRACE: usize = 4096;

/// What must stand between the last message of the file and another one.
pub(super) fn lead(held: &Held) -> io::Result<&'static [u8]> {
    let length = held.length()?;
    let last = held.part(length.saturating_sub(4), 4)?;
    Ok(match last.as_slice() {
        [] => b"",
        [.., b'\n', b'\n'] | [b'\n'] | [.., b'\n', b'\r', b'\n'] => b"",
        [.., b'\n'] => b"\n",
        _ => b"\n\n",
    })
}

fn return_path(top: &[u8]) -> Vec<u8> {
    let block = top.get(..TRACE).unwrap_or(top);
    let value = header::find(block, "return-path").map(|field| field.unfolded().into_owned());
    let value = value.unwrap_or_default();
    let inner = value.trim_ascii();
    let inner = inner.strip_prefix(b"<").and_then(|v| v.strip_suffix(b">")).unwrap_or(inner);
    inner.to_vec()
}

impl Session {
    /// A change of ours is written: nothing needs to be read again.
    fn written(&mut self) {
        self.desk.account = self.account;
        self.desk.stamp = if self.held.is_locked() { self.held.now().ok() } else { None };
    }

    /// Puts messages in, batch by batch.
    pub(super) async fn append_in_batches(
        &mut self,
        messages: Vec<NewMessage>,
    ) -> Result<Vec<Appended>, StoreError> {
        let mut all = Vec::with_capacity(messages.len());
        let mut messages = messages.into_iter().peekable();
        while messages.peek().is_some() {
            let batch = messages.by_ref().take(BATCH).collect();
            all.extend(self.append(batch).await?.1);
        }
        Ok(all)
    }

    /// Puts messages in, all or none. The mirror gets them as they will be read from the file.
    pub(super) async fn append(
        &mut self,
        messages: Vec<NewMessage>,
    ) -> Result<(MailboxRecord, Vec<Appended>), StoreError> {
        let inner = self.legacy.inner.clone();
        let record = inner.get(self.account, self.inbox).await?;
        let mut done = vec![Appended::Repeated; messages.len()];
        let mut places = Vec::new();
        let mut new = Vec::new();
        for (at, message) in messages.into_iter().enumerate() {
            let repeated = match message.origin {
                Some(origin) => inner.was_delivered(self.account, origin).await?,
                None => false,
            };
            if !repeated {
                places.push(at);
                new.push(message);
            }
        }
        if new.is_empty() {
            return Ok((record, done));
        }
        self.make().await?;
        self.desk.stamp = None;
        let (mut redo, ready, known) = self.prepare(new, record.uid_next).await?;
        let uids: Vec<Uid> = known.iter().filter_map(|known| known.uid).collect();
        let (held, account) = (self.held.clone(), self.account);
        let (redo, facts) = blocking(move || {
            let offset = held.length().map_err(|error| failed(held.path(), &error))?;
            let facts = redo.finish(&held, account, offset, (&uids, &[]));
            Ok((redo, facts.map_err(|error| failed(held.path(), &error))?))
        })
        .await?;
        let (record, appended) = match inner.append(self.account, self.inbox, ready).await {
            Ok(appended) => appended,
            Err(error) => {
                let _ = redo.remove();
                return Err(error);
            }
        };
        for (at, one) in places.into_iter().zip(appended) {
            if let Some(place) = done.get_mut(at) {
                *place = one;
            }
        }
        // From here on the messages are there: what cannot be written now is written later.
        let applied = self
            .at_file(move |held| {
                redo.apply(held, &facts)?;
                redo.remove()
            })
            .await;
        match applied {
            Ok(()) => {
                self.desk.messages.extend(known);
                self.written();
            }
            Err(error) => tracing::error!("{error}; it is tried again at the next use"),
        }
        Ok((record, done))
    }

    /// Writes messages in file form into a log, and stages what will be read of them.
    pub(super) async fn prepare(
        &self,
        messages: Vec<NewMessage>,
        mut next: Uid,
    ) -> Result<(Redo, Vec<NewMessage>, Vec<Known>), StoreError> {
        let accounts = self.legacy.accounts()?;
        let failed = |error: io::Error| self.failed(&error);
        let offset = self.held.length().map_err(failed)?;
        let mut redo = Redo::begin(&self.legacy.room, &self.held).map_err(failed)?;
        redo.push(lead(&self.held).map_err(failed)?).map_err(failed)?;
        let (mut ready, mut all) = (Vec::new(), Vec::new());
        for message in messages {
            let uid = match message.uid {
                Some(uid) if uid < next => return Err(StoreError::Exists("UID")),
                Some(uid) => uid,
                None => reconcile::next_uid(None, next),
            };
            next = Uid(uid.0.saturating_add(1));
            let original = message.original_uid.unwrap_or(uid.0);
            let marks = flags::marks(message.flags.bits);
            let mut piece = self.piece(&message.body, 0).await?;
            let sender = return_path(&piece);
            let seconds = message.internal_date.seconds;
            let begins = offset + redo.length();
            let line = Separator::line(&sender, marks, uid.0, original, seconds);
            redo.push(&line).map_err(failed)?;
            let mut conversion = Conversion::new(accounts.intake());
            let mut at = 0;
            while !piece.is_empty() {
                at += piece.len() as u64;
                conversion.push(&piece, &mut redo).await.map_err(failed)?;
                piece = self.piece(&message.body, at).await?;
            }
            let (intake, digest) = conversion.finish(&mut redo).await.map_err(failed)?;
            let (body, summary) =
                intake.finish().await.map_err(|e| StoreError::Unavailable(e.to_string()))?;
            let separator = Separator::parse(&line);
            all.push(Known {
                uid: Some(uid),
                begins,
                content: begins + line.len() as u64,
                ends: offset + redo.length(),
                fields: separator.and_then(|separator| separator.fields),
                sender: sender.into(),
                date: (seconds, 0),
                status: None,
                keywords: Box::default(),
                digest,
                is_note: false,
            });
            ready.push(NewMessage {
                body: MessageBody::Staged(body),
                summary,
                uid: Some(uid),
                original_uid: Some(original),
                pop_id: message.pop_id.clone(),
                ..message
            });
        }
        Ok((redo, ready, all))
    }

    /// Octets of a message from `at` on; none at its end.
    async fn piece(&self, body: &MessageBody, at: u64) -> Result<Bytes, StoreError> {
        match body {
            MessageBody::Bytes(bytes) => {
                let at = usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
                let most = usize::try_from(PIECE).unwrap_or(usize::MAX);
                Ok(bytes.slice(at..bytes.len().min(at.saturating_add(most))))
            }
            MessageBody::Staged(staged) => {
                self.legacy.store.bodies.read_staged(staged, at, PIECE).await
            }
            MessageBody::Existing(id) => self.legacy.store.bodies.read_range(*id, at, PIECE).await,
        }
    }

    /// Removes messages (ascending UIDs) from the file, once `commit` has removed them from the
    /// mirror. Separators that move get their fields.
    pub(super) async fn remove<T>(
        &mut self,
        uids: &[Uid],
        commit: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let goes = |known: &Known| known.uid.is_some_and(|uid| uids.binary_search(&uid).is_ok());
        let Some(first) = self.desk.messages.iter().position(goes) else { return commit.await };
        let (mut left, moved) = {
            let (left, moved) = self.desk.messages.split_at(first);
            (left.to_vec(), moved.to_vec())
        };
        let removed: Vec<Uid> =
            moved.iter().filter(|known| goes(known)).filter_map(|known| known.uid).collect();
        let stays: Vec<Known> = moved.iter().filter(|known| !goes(known)).cloned().collect();
        let offset = moved.first().map_or(0, |known| known.begins);
        self.desk.stamp = None;
        let snapshot = self.legacy.inner.snapshot(self.account, self.inbox).await?;
        let facts: HashMap<Uid, (Marks, u32)> = snapshot
            .entries
            .iter()
            .map(|e| (e.uid, (flags::marks(e.flags.bits), e.original_uid)))
            .collect();
        let (room, account) = (self.legacy.room.clone(), self.account);
        let (redo, log, stays) = self
            .at_file(move |held| {
                let mut redo = Redo::begin(&room, held)?;
                let stays = rewrite(held, &mut redo, offset, stays, &facts)?;
                let log = redo.finish(held, account, offset, (&[], &removed))?;
                Ok((redo, log, stays))
            })
            .await?;
        let done = match commit.await {
            Ok(done) => done,
            Err(error) => {
                let _ = redo.remove();
                return Err(error);
            }
        };
        let applied = self
            .at_file(move |held| {
                redo.apply(held, &log)?;
                redo.remove()
            })
            .await;
        match applied {
            Ok(()) => {
                left.extend(stays);
                self.settle(left);
                self.written();
            }
            Err(error) => tracing::error!("{error}; it is tried again at the next use"),
        }
        Ok(done)
    }

    /// Changes flags in the mirror and in the separators that have room for them. Others get theirs
    /// when they are written anew: moving octets for a flag would harm programs that are reading.
    pub(super) async fn change_flags(
        &mut self,
        update: FlagUpdate,
    ) -> Result<FlagOutcome, StoreError> {
        let outcome = self.legacy.inner.change_flags(self.account, self.inbox, update).await?;
        if outcome.changed.is_empty() {
            return Ok(outcome);
        }
        let new: HashMap<Uid, Marks> =
            outcome.changed.iter().map(|(uid, f, _)| (*uid, flags::marks(f.bits))).collect();
        self.desk.stamp = None;
        let held = self.held.clone();
        for known in &mut self.desk.messages {
            let marks = known.uid.and_then(|uid| new.get(&uid)).copied();
            if let (Some(marks), Some(fields)) = (marks, &mut known.fields)
                && let Some(at) = fields.flags_at
            {
                fields.marks = marks;
                if let Err(error) = held.write(known.begins + at as u64, &marks.letters()) {
                    // The mirror has them; the next reading puts them there.
                    tracing::warn!("{}", failed(held.path(), &error));
                    return Ok(outcome);
                }
            }
        }
        self.written();
        Ok(outcome)
    }
}

/// Writes messages that stay, one after the other from `offset` on.
fn rewrite(
    held: &Held,
    redo: &mut Redo,
    offset: u64,
    stays: Vec<Known>,
    facts: &HashMap<Uid, (Marks, u32)>,
) -> io::Result<Vec<Known>> {
    let mut all = Vec::with_capacity(stays.len());
    for mut known in stays {
        let begins = offset + redo.length();
        let new = known.uid.and_then(|uid| Some((uid, facts.get(&uid)?)));
        let mut from = known.begins;
        if let (Some((uid, (marks, original))), None) = (new, known.fields) {
            let line = Separator::line(&known.sender, *marks, uid.0, *original, known.date.0);
            redo.push(&line)?;
            known.fields = Separator::parse(&line).and_then(|separator| separator.fields);
            from = known.content;
            known.content = begins + line.len() as u64;
        } else {
            known.content = begins + (known.content - known.begins);
        }
        while from < known.ends {
            let now = usize::try_from((known.ends - from).min(PIECE)).unwrap_or_default();
            let part = held.part(from, now)?;
            if part.len() < now {
                return Err(io::Error::other("the file was cut while it is locked"));
            }
            redo.push(&part)?;
            from += now as u64;
        }
        known.begins = begins;
        known.ends = offset + redo.length();
        all.push(known);
    }
    Ok(all)
}

/// One message on its way into the file and, as it will be read there, into the mirror.
struct Conversion {
    quoter: Quoter,
    view: View,
    intake: crate::mailboxes::Intake,
    digest: blake3::Hasher,
    form: Vec<u8>,
    wire: Vec<u8>,
}

impl Conversion {
    fn new(intake: crate::mailboxes::Intake) -> Self {
        Self {
            quoter: Quoter::new(),
            view: View::new(Dialect::Auto.quoting()),
            intake,
            digest: blake3::Hasher::new(),
            form: Vec::new(),
            wire: Vec::new(),
        }
    }

    async fn push(&mut self, piece: &[u8], redo: &mut Redo) -> io::Result<()> {
        self.quoter.push(piece, &mut self.form);
        redo.push(&self.form)?;
        self.view.push(&self.form, &mut self.wire);
        self.form.clear();
        self.hand_on().await
    }

    async fn hand_on(&mut self) -> io::Result<()> {
        self.digest.update(&self.wire);
        let written = self.intake.write(&self.wire).await;
        self.wire.clear();
        written.map_err(io::Error::other)
    }

    async fn finish(mut self, redo: &mut Redo) -> io::Result<(crate::mailboxes::Intake, [u8; 32])> {
        std::mem::take(&mut self.quoter).finish(&mut self.form);
        redo.push(&self.form)?;
        // The empty line at the end belongs to the next separator.
        let own = self.form.len().saturating_sub(1);
        self.view.push(self.form.get(..own).unwrap_or_default(), &mut self.wire);
        let view = std::mem::replace(&mut self.view, View::new(Dialect::Auto.quoting()));
        view.finish(&mut self.wire);
        self.hand_on().await?;
        Ok((self.intake, *self.digest.finalize().as_bytes()))
    }
}
