//! Stands before the store's mailboxes: what changes a legacy INBOX goes through its file, all else
//! goes straight on. It must never know why something is changed.

use std::sync::Arc;
use std::time::Duration;

use angarium_store::{
    AccountId, Appended, AttributesPatch, Changes, Copied, FlagOutcome, FlagUpdate, MailboxId,
    MailboxRecord, Mailboxes, MessageEntry, ModSeq, NewMailbox, NewMessage, NumbersPatch, Origin,
    Result, Snapshot, StoreError, Transfer, Uid,
};
use async_trait::async_trait;

use super::place::Place;
use super::session::{Session, again};
use super::{Legacy, failed};

/// How long a change waits for other programs.
const PATIENCE: Duration = Duration::from_secs(20);

/// The mailboxes of a store with the legacy ones among them.
pub(crate) struct LegacyMailboxes(pub(crate) Arc<Legacy>);

impl Legacy {
    /// Where the INBOX of an account is, if it is a legacy one and this is it.
    async fn is_legacy(&self, account: AccountId, mailbox: MailboxId) -> Result<Option<Place>> {
        match self.legacy_inbox(account).await? {
            Some((place, inbox)) if inbox == mailbox => Ok(Some(place)),
            _ => Ok(None),
        }
    }

    /// Place and id of the legacy INBOX of an account, if it has one.
    pub(super) async fn legacy_inbox(
        &self,
        account: AccountId,
    ) -> Result<Option<(Place, MailboxId)>> {
        let accounts = self.accounts()?;
        let Some(place) = accounts.legacy_place(account).await? else { return Ok(None) };
        let inbox = accounts.registry().inbox(accounts.store(), account).await;
        let inbox = inbox.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(inbox.map(|id| (place, id)))
    }

    /// The file in use by us alone, and the mirror up to date.
    pub(super) async fn session(
        self: &Arc<Self>,
        account: AccountId,
        inbox: MailboxId,
        place: &Place,
        patience: Duration,
    ) -> Result<Session> {
        self.watch();
        let taken = Session::take(self, account, inbox, place, patience).await;
        let mut session = taken.map_err(|error| failed(&place.path, &error))?;
        Box::pin(session.sync()).await?;
        Ok(session)
    }
}

impl LegacyMailboxes {
    async fn session(&self, account: AccountId, mailbox: MailboxId) -> Result<Option<Session>> {
        let Some(place) = self.0.is_legacy(account, mailbox).await? else { return Ok(None) };
        self.0.session(account, mailbox, &place, PATIENCE).await.map(Some)
    }

    /// The messages of these UIDs that there are, in the given order, each once.
    async fn selected(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: &[Uid],
    ) -> Result<Vec<MessageEntry>> {
        let entries = self.0.inner.snapshot(account, mailbox).await?.entries;
        let mut taken = std::collections::HashSet::new();
        let found = uids.iter().filter(|uid| taken.insert(**uid)).filter_map(|uid| {
            let at = entries.binary_search_by_key(uid, |entry| entry.uid).ok()?;
            entries.get(at).cloned()
        });
        Ok(found.collect())
    }

    /// Into a legacy INBOX: batch by batch, and the originals go last, so that a failure in between
    /// leaves messages twice and never none.
    async fn transfer_in(
        &self,
        mut session: Session,
        account: AccountId,
        way: Transfer,
        uids: &[Uid],
    ) -> Result<Copied> {
        let entries = self.selected(account, way.from, uids).await?;
        let messages = entries.iter().map(|entry| NewMessage {
            flags: entry.flags.within(way.flags),
            save_date: way.save_date,
            ..again(entry)
        });
        let messages: Vec<NewMessage> = messages.collect();
        let done = session.append_in_batches(messages).await?;
        let pairs: Vec<(Uid, Uid)> = entries
            .iter()
            .zip(done)
            .filter_map(|(entry, one)| match one {
                Appended::New(uid) => Some((entry.uid, uid)),
                Appended::Repeated => None,
            })
            .collect();
        if !way.keep {
            let mut gone: Vec<Uid> = pairs.iter().map(|(from, _)| *from).collect();
            gone.sort_unstable();
            let expunge = self.0.inner.expunge(account, way.from, &gone, false);
            if way.from == way.to {
                session.remove(&gone, expunge).await?;
            } else {
                drop(session);
                expunge.await?;
            }
        }
        Ok(Copied { pairs })
    }
}

#[async_trait]
impl Mailboxes for LegacyMailboxes {
    async fn list(&self, account: AccountId) -> Result<Vec<MailboxRecord>> {
        self.0.inner.list(account).await
    }

    async fn get(&self, account: AccountId, mailbox: MailboxId) -> Result<MailboxRecord> {
        self.0.inner.get(account, mailbox).await
    }

    async fn create(&self, account: AccountId, new: NewMailbox) -> Result<MailboxRecord> {
        self.0.inner.create(account, new).await
    }

    async fn delete(&self, account: AccountId, mailbox: MailboxId) -> Result<()> {
        self.0.inner.delete(account, mailbox).await
    }

    async fn rename_tree(
        &self,
        account: AccountId,
        from: &str,
        to: &str,
        now: i64,
    ) -> Result<Vec<MailboxRecord>> {
        let renamed = self.0.inner.rename_tree(account, from, to, now);
        if from == "INBOX"
            && let Some((place, inbox)) = self.0.legacy_inbox(account).await?
        {
            let mut session = self.0.session(account, inbox, &place, PATIENCE).await?;
            let entries = self.0.inner.snapshot(account, inbox).await?.entries;
            let all: Vec<Uid> = entries.iter().map(|entry| entry.uid).collect();
            return session.remove(&all, renamed).await;
        }
        renamed.await
    }

    async fn set_attributes(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        patch: AttributesPatch,
    ) -> Result<MailboxRecord> {
        self.0.inner.set_attributes(account, mailbox, patch).await
    }

    async fn keep_numbers(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        patch: NumbersPatch,
    ) -> Result<MailboxRecord> {
        if self.0.is_legacy(account, mailbox).await?.is_some() {
            // Its UIDs are in the file, where other programs give them too.
            let why = "an INBOX that is a file of the machine has numbers of its own";
            return Err(StoreError::Invalid(why.to_owned()));
        }
        self.0.inner.keep_numbers(account, mailbox, patch).await
    }

    async fn append(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        messages: Vec<NewMessage>,
    ) -> Result<(MailboxRecord, Vec<Appended>)> {
        match self.session(account, mailbox).await? {
            Some(mut session) => Box::pin(session.append(messages)).await,
            None => self.0.inner.append(account, mailbox, messages).await,
        }
    }

    async fn was_delivered(&self, account: AccountId, origin: Origin) -> Result<bool> {
        self.0.inner.was_delivered(account, origin).await
    }

    async fn snapshot(&self, account: AccountId, mailbox: MailboxId) -> Result<Snapshot> {
        self.0.inner.snapshot(account, mailbox).await
    }

    async fn changes(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        since: ModSeq,
    ) -> Result<Changes> {
        self.0.inner.changes(account, mailbox, since).await
    }

    async fn vanished(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        since: ModSeq,
    ) -> Result<Vec<Uid>> {
        self.0.inner.vanished(account, mailbox, since).await
    }

    async fn change_flags(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        update: FlagUpdate,
    ) -> Result<FlagOutcome> {
        match self.session(account, mailbox).await? {
            Some(mut session) => session.change_flags(update).await,
            None => self.0.inner.change_flags(account, mailbox, update).await,
        }
    }

    async fn transfer(&self, account: AccountId, way: Transfer, uids: &[Uid]) -> Result<Copied> {
        if let Some(session) = self.session(account, way.to).await? {
            return Box::pin(self.transfer_in(session, account, way, uids)).await;
        }
        let moved = self.0.inner.transfer(account, way, uids);
        if !way.keep
            && let Some(mut session) = self.session(account, way.from).await?
        {
            let entries = self.selected(account, way.from, uids).await?;
            let mut gone: Vec<Uid> = entries.iter().map(|entry| entry.uid).collect();
            gone.sort_unstable();
            return Box::pin(session.remove(&gone, moved)).await;
        }
        moved.await
    }

    async fn expunge(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: &[Uid],
        only_deleted: bool,
    ) -> Result<Vec<Uid>> {
        let Some(mut session) = self.session(account, mailbox).await? else {
            return self.0.inner.expunge(account, mailbox, uids, only_deleted).await;
        };
        let deleted = angarium_store::FlagBits::DELETED;
        let mut gone: Vec<Uid> = self
            .selected(account, mailbox, uids)
            .await?
            .iter()
            .filter(|entry| !only_deleted || entry.flags.bits.contains(deleted))
            .map(|entry| entry.uid)
            .collect();
        gone.sort_unstable();
        let expunge = self.0.inner.expunge(account, mailbox, &gone, only_deleted);
        Box::pin(session.remove(&gone, expunge)).await
    }

    async fn kept_back(&self, account: AccountId) -> Result<Vec<MailboxId>> {
        self.0.inner.kept_back(account).await
    }

    async fn usage(&self, account: AccountId) -> Result<(u64, u64)> {
        self.0.inner.usage(account).await
    }
}
