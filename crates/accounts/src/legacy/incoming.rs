//! Messages that other programs put into the file, on their way into the mirror: converted to mail,
//! staged and appended in batches of bounded size.

use angarium_message::mailbox_files::{Dialect, Marks, Mbox, View};
use angarium_store::{Flags, InternalDate, NewMessage, Uid};
use tokio::sync::mpsc;

use super::scan::Known;
use super::session::Session;
use super::{StoreError, failed, flags, reconcile};
use crate::mailboxes::Intake;

/// Messages and octets appended at once.
const BATCH: (usize, u64) = (64, 16 << 20);
/// Octets handed on at once.
const PIECE: usize = 64 * 1024;

fn store_error(error: impl std::fmt::Display) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

impl Session {
    /// Takes in the messages that have no UID yet, and gives them one.
    pub(super) async fn take_in(
        &mut self,
        file: &mut [Known],
        next: Uid,
    ) -> Result<(), StoreError> {
        let accounts = self.legacy.accounts()?;
        let mut next = next;
        let mut batch: Vec<(usize, NewMessage)> = Vec::new();
        let mut octets = 0;
        for at in 0..file.len() {
            let Some(known) = file.get(at).filter(|k| k.uid.is_none() && !k.is_note) else {
                continue;
            };
            let intake = self.read_message(known, accounts.intake()).await?;
            octets += intake.size();
            let uid = reconcile::next_uid(known.fields.map(|fields| Uid(fields.uid)), next);
            next = Uid(uid.0.saturating_add(1));
            let marks = known.fields.map(|fields| fields.marks).unwrap_or_default();
            let marks = marks.with(known.status.unwrap_or_default()).without(Marks::RECENT);
            let words = known.keywords.iter().filter(|word| is_keyword(word)).cloned();
            let (seconds, zone_minutes) = known.date;
            let taken = intake.into_message(
                Flags::with_keywords(flags::bits(marks), words),
                InternalDate { seconds, zone_minutes: zone_minutes.clamp(-1439, 1439) },
                accounts.now(),
            );
            let mut message = taken.await.map_err(store_error)?;
            message.uid = Some(uid);
            let original = known.fields.map(|fields| fields.original_uid);
            message.original_uid = original.filter(|original| *original > 0);
            batch.push((at, message));
            if batch.len() >= BATCH.0 || octets >= BATCH.1 {
                self.hand_in(file, std::mem::take(&mut batch)).await?;
                octets = 0;
            }
        }
        self.hand_in(file, batch).await
    }

    async fn hand_in(
        &mut self,
        file: &mut [Known],
        batch: Vec<(usize, NewMessage)>,
    ) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        let uids: Vec<(usize, Option<Uid>)> = batch.iter().map(|(at, m)| (*at, m.uid)).collect();
        let messages = batch.into_iter().map(|(_, message)| message).collect();
        self.legacy.inner.append(self.account, self.inbox, messages).await?;
        for (at, uid) in uids {
            if let Some(known) = file.get_mut(at) {
                known.uid = uid;
            }
        }
        Ok(())
    }

    /// Reads one message of the file as mail.
    async fn read_message(&self, known: &Known, mut intake: Intake) -> Result<Intake, StoreError> {
        let (send, mut receive) = mpsc::channel::<Vec<u8>>(4);
        let (held, begins) = (self.held.clone(), known.begins);
        let reading = tokio::task::spawn_blocking(move || {
            let mut mbox = Mbox::from(&*held, Dialect::Auto, begins);
            let mut view = View::new(Dialect::Auto.quoting());
            let mut wire = Vec::new();
            let found = mbox.next(&mut |piece| {
                view.push(piece, &mut wire);
                if wire.len() >= PIECE {
                    // Nobody listens when the reader gave up.
                    let _ = send.blocking_send(std::mem::take(&mut wire));
                }
            });
            let read = matches!(found, Ok(Some(_)));
            view.finish(&mut wire);
            let _ = send.blocking_send(wire);
            read
        });
        let mut digest = blake3::Hasher::new();
        while let Some(piece) = receive.recv().await {
            digest.update(&piece);
            intake.write(&piece).await.map_err(store_error)?;
        }
        let read = reading.await.map_err(store_error)?;
        if !read || *digest.finalize().as_bytes() != known.digest {
            let changed = std::io::Error::other("the file changes while it is locked");
            return Err(failed(self.held.path(), &changed));
        }
        Ok(intake)
    }
}

/// True for what can be a keyword: an atom (RFC 9051 section 9).
fn is_keyword(word: &str) -> bool {
    (1..=128).contains(&word.len())
        && word.bytes().all(|b| b.is_ascii_graphic() && !b"(){%*\"\\]".contains(&b))
}
