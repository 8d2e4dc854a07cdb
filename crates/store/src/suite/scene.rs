//! What the promises play with: a domain, accounts, mailboxes and messages, made and looked at
//! in few words. It must never know an edition.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::{
    AccountId, AccountKind, AccountRecord, Appended, Digest, DomainRecord, Flags, InternalDate,
    MailboxId, MailboxRecord, MessageBody, MessageEntry, NewMailbox, NewMessage, NewQueued, Origin,
    QueueId, QueuedRecipient, RecipientState, Result, Store, Uid,
};

/// "Now" in all promises, seconds since 1970.
pub(super) const NOW: i64 = 1_700_000_000;

/// The domain of the first account.
pub(super) const DOMAIN: &str = "test.example";

/// A store with one account to play with.
#[derive(Clone)]
pub(super) struct Scene {
    pub(super) store: Store,
    pub(super) account: AccountId,
    pub(super) inbox: MailboxId,
}

/// A domain's record with nothing in it.
pub(super) fn domain(name: &str) -> DomainRecord {
    DomainRecord {
        name: name.to_owned(),
        aliases: Vec::new(),
        settings: BTreeMap::new(),
        account_defaults: BTreeMap::new(),
        template: BTreeMap::new(),
        version: 0,
    }
}

/// An account's record with nothing in it.
pub(super) fn account(domain: &str, name: &str) -> AccountRecord {
    AccountRecord {
        id: AccountId(0),
        domain: domain.to_owned(),
        name: name.to_owned(),
        kind: AccountKind::MultiMailbox,
        aliases: Vec::new(),
        settings: BTreeMap::new(),
        rights: Vec::new(),
        subscription: Vec::new(),
        mailbox_aliases: BTreeMap::new(),
        info: BTreeMap::new(),
        version: 0,
    }
}

/// A message of these bytes, without flags.
pub(super) fn mail(text: &str) -> NewMessage {
    NewMessage {
        body: MessageBody::Bytes(Bytes::copy_from_slice(text.as_bytes())),
        summary: Bytes::from(format!("summary of {} octets", text.len())),
        flags: Flags::default(),
        internal_date: InternalDate { seconds: NOW - 77, zone_minutes: -90 },
        save_date: NOW,
        uid: None,
        original_uid: None,
        pop_id: None,
        origin: None,
    }
}

/// A message of these bytes that is delivery `queue`, `recipient`.
pub(super) fn delivery(text: &str, queue: u64, recipient: u32) -> NewMessage {
    let origin = Some(Origin { queue: QueueId(queue), recipient });
    NewMessage { origin, ..mail(text) }
}

/// A message with flags.
pub(super) fn flagged(text: &str, flags: Flags) -> NewMessage {
    NewMessage { flags, ..mail(text) }
}

/// A recipient due at `not_before`.
pub(super) fn recipient(address: &str, not_before: i64) -> QueuedRecipient {
    QueuedRecipient {
        address: address.to_owned(),
        module: "LOCAL".to_owned(),
        queue: address.to_owned(),
        facts: BTreeMap::from([("NOTIFY".to_owned(), "NEVER".into())]),
        state: RecipientState::Waiting { not_before, attempts: 0, last_error: String::new() },
    }
}

/// A message to be queued for recipients due at the given times.
pub(super) fn queued(text: &str, due: &[i64]) -> NewQueued {
    let recipients = due.iter().enumerate();
    NewQueued {
        id: None,
        return_path: "sender@test.example".to_owned(),
        facts: BTreeMap::from([("ENVID".to_owned(), "7".into())]),
        body: MessageBody::Bytes(Bytes::copy_from_slice(text.as_bytes())),
        summary: Bytes::from_static(b"queued summary"),
        recipients: recipients
            .map(|(i, due)| recipient(&format!("r{i}@a.example"), *due))
            .collect(),
        accepted: NOW,
        priority: 0,
    }
}

/// BLAKE3 of a text.
pub(super) fn digest(text: &str) -> Digest {
    blake3::hash(text.as_bytes()).into()
}

/// UIDs of numbers.
pub(super) fn uids(numbers: &[u32]) -> Vec<Uid> {
    numbers.iter().copied().map(Uid).collect()
}

/// A scene on a fresh store: the domain and the account `user`.
pub(super) async fn scene(store: &Store) -> Scene {
    store.directory.create_domain(domain(DOMAIN)).await.unwrap();
    Scene::account(store, DOMAIN, "user").await
}

impl Scene {
    /// Makes another account in a domain that is there.
    pub(super) async fn account(store: &Store, domain: &str, name: &str) -> Self {
        let record = store.directory.create_account(account(domain, name), NOW).await.unwrap();
        let list = store.mailboxes.list(record.id).await.unwrap();
        let inbox = list.iter().find(|mailbox| mailbox.name == "INBOX").unwrap().id;
        Self { store: store.clone(), account: record.id, inbox }
    }

    /// The same account in the same store opened again.
    pub(super) fn again(&self, store: &Store) -> Self {
        Self { store: store.clone(), ..*self }
    }

    /// Makes a mailbox.
    pub(super) async fn make(&self, name: &str) -> MailboxId {
        self.try_make(name, true).await.unwrap().id
    }

    /// Tries to make a mailbox or directory.
    pub(super) async fn try_make(&self, name: &str, selectable: bool) -> Result<MailboxRecord> {
        let new = NewMailbox { name: name.to_owned(), selectable, now: NOW, ..<_>::default() };
        self.store.mailboxes.create(self.account, new).await
    }

    /// Appends and answers the UIDs of all, which must be new.
    pub(super) async fn append(&self, to: MailboxId, messages: Vec<NewMessage>) -> Vec<Uid> {
        let answer = self.store.mailboxes.append(self.account, to, messages).await.unwrap().1;
        let new = answer.into_iter().map(|one| match one {
            Appended::New(uid) => uid,
            Appended::Repeated => panic!("a new message was taken for a repeated one"),
        });
        new.collect()
    }

    /// Appends messages of these texts.
    pub(super) async fn fill(&self, to: MailboxId, texts: &[&str]) -> Vec<Uid> {
        self.append(to, texts.iter().map(|text| mail(text)).collect()).await
    }

    /// A mailbox's record.
    pub(super) async fn record(&self, mailbox: MailboxId) -> MailboxRecord {
        self.store.mailboxes.get(self.account, mailbox).await.unwrap()
    }

    /// A mailbox's messages.
    pub(super) async fn entries(&self, mailbox: MailboxId) -> Vec<MessageEntry> {
        self.store.mailboxes.snapshot(self.account, mailbox).await.unwrap().entries
    }

    /// One message.
    pub(super) async fn entry(&self, mailbox: MailboxId, uid: Uid) -> MessageEntry {
        let entries = self.entries(mailbox).await;
        entries.into_iter().find(|entry| entry.uid == uid).unwrap()
    }

    /// The texts of a mailbox's messages, by UID.
    pub(super) async fn texts(&self, mailbox: MailboxId) -> Vec<String> {
        let bodies: Vec<_> = self.entries(mailbox).await.iter().map(|entry| entry.body).collect();
        let read = self.store.bodies.read_many(&bodies).await.unwrap();
        read.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
    }

    /// Names of all mailboxes, directories with a `/` at the end.
    pub(super) async fn names(&self) -> Vec<String> {
        let list = self.store.mailboxes.list(self.account).await.unwrap();
        list.into_iter().map(|m| m.name + if m.selectable { "" } else { "/" }).collect()
    }

    /// The mailbox of a name.
    pub(super) async fn named(&self, name: &str) -> MailboxRecord {
        let list = self.store.mailboxes.list(self.account).await.unwrap();
        list.into_iter().find(|mailbox| mailbox.name == name).unwrap()
    }
}
