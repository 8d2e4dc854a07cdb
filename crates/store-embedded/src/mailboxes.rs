//! The contract's mailboxes: operations go to the account's shard, reads to its readers.

use std::sync::Arc;

use angarium_store::{
    AccountId, Appended, AttributesPatch, BodyId, Changes, Copied, FlagOutcome, FlagUpdate,
    MailboxId, MailboxRecord, Mailboxes, ModSeq, NewMailbox, NewMessage, NumbersPatch, Origin,
    Result, Snapshot, StoreError, Transfer, Uid,
};
use async_trait::async_trait;
use rusqlite::Connection;

use crate::bodies::{Source, prepare};
use crate::decide::mailboxes as trees;
use crate::decide::messages::{self, Incoming};
use crate::embedded::Inner;
use crate::index::references::home;
use crate::index::{mail_rows, one};

/// Handle of the family.
pub(crate) struct EmbeddedMailboxes(pub(crate) Arc<Inner>);

pub(crate) fn check_account(db: &Connection, account: AccountId) -> Result<()> {
    one(db, "SELECT 1 FROM mail_accounts WHERE id=?1", [account.0], |_| Ok(()))?
        .ok_or(StoreError::NotFound("account"))
}

/// The mailbox of an account as it stands in the index.
fn mailbox(db: &Connection, account: AccountId, id: MailboxId) -> Result<MailboxRecord> {
    match mail_rows::mailbox(db, id)? {
        Some((owner, record)) if owner == account => Ok(record),
        _ => {
            check_account(db, account)?;
            Err(StoreError::NotFound("mailbox"))
        }
    }
}

impl Inner {
    /// Reads in the shard of an account.
    async fn read_mail<T: Send + 'static>(
        &self,
        account: AccountId,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.shard_of(account)?.readers.read(work).await
    }

    /// Takes holds, for a shard, on the bodies of other shards among `sources`. The guards keep
    /// the holds from being given back until the operation that uses them is done.
    pub(crate) async fn hold_foreign(
        &self,
        holder: u32,
        sources: &mut [&mut Source],
    ) -> Result<Vec<tokio::sync::MutexGuard<'_, ()>>> {
        let mut foreign: Vec<BodyId> = sources
            .iter()
            .filter_map(|source| match source {
                Source::Known { id, .. } if home(*id) != holder => Some(*id),
                _ => None,
            })
            .collect();
        foreign.sort_unstable();
        foreign.dedup();
        let mut locks: Vec<usize> = foreign.iter().map(|body| self.lock_of(*body)).collect();
        locks.sort_unstable();
        locks.dedup();
        let mut guards = Vec::with_capacity(locks.len());
        for index in locks {
            if let Some(lock) = self.body_locks.get(index) {
                guards.push(lock.lock().await);
            }
        }
        for body in foreign {
            let shard = self.shards.get(home(body) as usize).ok_or(StoreError::NotFound("body"))?;
            let known = shard.submit(move |batch| crate::decide::hold(batch, body, holder)).await?;
            for source in sources.iter_mut() {
                if let Source::Known { id, foreign } = &mut **source
                    && *id == body
                {
                    *foreign = Some(known);
                }
            }
        }
        Ok(guards)
    }
}

#[async_trait]
impl Mailboxes for EmbeddedMailboxes {
    async fn list(&self, account: AccountId) -> Result<Vec<MailboxRecord>> {
        let read = move |db: &Connection| {
            check_account(db, account)?;
            mail_rows::mailboxes(db, account)
        };
        self.0.read_mail(account, read).await
    }

    async fn get(&self, account: AccountId, id: MailboxId) -> Result<MailboxRecord> {
        self.0.read_mail(account, move |db| mailbox(db, account, id)).await
    }

    async fn create(&self, account: AccountId, new: NewMailbox) -> Result<MailboxRecord> {
        let shard = self.0.shard_of(account)?;
        shard.submit(move |batch| trees::create(batch, account, new)).await
    }

    async fn delete(&self, account: AccountId, id: MailboxId) -> Result<()> {
        let shard = self.0.shard_of(account)?;
        shard.submit(move |batch| trees::delete(batch, account, id)).await
    }

    async fn rename_tree(
        &self,
        account: AccountId,
        from: &str,
        to: &str,
        now: i64,
    ) -> Result<Vec<MailboxRecord>> {
        let (from, to) = (from.to_owned(), to.to_owned());
        let shard = self.0.shard_of(account)?;
        shard.submit(move |batch| trees::rename_tree(batch, account, &from, &to, now)).await
    }

    async fn set_attributes(
        &self,
        account: AccountId,
        id: MailboxId,
        patch: AttributesPatch,
    ) -> Result<MailboxRecord> {
        let shard = self.0.shard_of(account)?;
        shard.submit(move |batch| trees::set_attributes(batch, account, id, patch)).await
    }

    async fn keep_numbers(
        &self,
        account: AccountId,
        id: MailboxId,
        patch: NumbersPatch,
    ) -> Result<MailboxRecord> {
        let shard = self.0.shard_of(account)?;
        shard.submit(move |batch| trees::keep_numbers(batch, account, id, &patch)).await
    }

    async fn append(
        &self,
        account: AccountId,
        id: MailboxId,
        new: Vec<NewMessage>,
    ) -> Result<(MailboxRecord, Vec<Appended>)> {
        let shard = self.0.shard_of(account)?;
        let mut incoming = Vec::with_capacity(new.len());
        for message in new {
            incoming.push(Incoming {
                source: prepare(message.body, message.summary)?,
                flags: message.flags,
                internal_date: message.internal_date,
                save_date: message.save_date,
                uid: message.uid,
                original_uid: message.original_uid,
                pop_id: message.pop_id,
                origin: message.origin,
            });
        }
        let mut sources: Vec<&mut Source> = incoming.iter_mut().map(|m| &mut m.source).collect();
        let guards = self.0.hold_foreign(shard.number, &mut sources).await?;
        let answer =
            shard.submit(move |batch| messages::append(batch, account, id, incoming)).await;
        drop(guards);
        answer
    }

    async fn was_delivered(&self, account: AccountId, origin: Origin) -> Result<bool> {
        let read = move |db: &Connection| {
            check_account(db, account)?;
            messages::is_delivered(db, account, origin)
        };
        self.0.read_mail(account, read).await
    }

    async fn snapshot(&self, account: AccountId, id: MailboxId) -> Result<Snapshot> {
        let read = move |db: &Connection| {
            let mailbox = mailbox(db, account, id)?;
            let expected = mailbox.messages as usize;
            let entries = mail_rows::messages(db, id, ModSeq(0), expected)?;
            Ok(Snapshot { mailbox, entries })
        };
        self.0.read_mail(account, read).await
    }

    async fn changes(&self, account: AccountId, id: MailboxId, since: ModSeq) -> Result<Changes> {
        let read = move |db: &Connection| {
            let mailbox = mailbox(db, account, id)?;
            if mailbox.highest_modseq <= since {
                return Ok(Changes::default());
            }
            let changed = mail_rows::messages(db, id, since, 0)?;
            Ok(Changes { changed, vanished: mail_rows::vanished(db, id, since)? })
        };
        self.0.read_mail(account, read).await
    }

    async fn vanished(&self, account: AccountId, id: MailboxId, since: ModSeq) -> Result<Vec<Uid>> {
        let read = move |db: &Connection| {
            mailbox(db, account, id)?;
            mail_rows::vanished(db, id, since)
        };
        self.0.read_mail(account, read).await
    }

    async fn change_flags(
        &self,
        account: AccountId,
        id: MailboxId,
        update: FlagUpdate,
    ) -> Result<FlagOutcome> {
        let shard = self.0.shard_of(account)?;
        shard.submit(move |batch| messages::change_flags(batch, account, id, &update)).await
    }

    async fn transfer(&self, account: AccountId, way: Transfer, uids: &[Uid]) -> Result<Copied> {
        let uids = uids.to_vec();
        let shard = self.0.shard_of(account)?;
        shard.submit(move |batch| messages::transfer(batch, account, way, &uids)).await
    }

    async fn expunge(
        &self,
        account: AccountId,
        id: MailboxId,
        uids: &[Uid],
        only_deleted: bool,
    ) -> Result<Vec<Uid>> {
        let uids = uids.to_vec();
        let shard = self.0.shard_of(account)?;
        shard.submit(move |batch| messages::expunge(batch, account, id, &uids, only_deleted)).await
    }

    async fn kept_back(&self, account: AccountId) -> Result<Vec<MailboxId>> {
        let read = move |db: &Connection| {
            check_account(db, account)?;
            mail_rows::kept_back(db, account)
        };
        self.0.read_mail(account, read).await
    }

    async fn usage(&self, account: AccountId) -> Result<(u64, u64)> {
        let read = move |db: &Connection| {
            check_account(db, account)?;
            let sums = one(
                db,
                "SELECT coalesce(sum(size), 0), coalesce(sum(messages), 0) FROM mailboxes
                 WHERE account=?1",
                [account.0],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?;
            Ok(sums.unwrap_or_default())
        };
        self.0.read_mail(account, read).await
    }
}
