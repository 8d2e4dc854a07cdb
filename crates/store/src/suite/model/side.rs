//! One of the two stores that are played on, and everything about it that can be seen, as lines
//! of text without the numbers it is free to choose.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::super::scene::{DOMAIN, NOW, Scene, domain};
use crate::{
    AccountId, DomainObject, MailboxId, MailboxRecord, ModSeq, QueueId, RecipientState, Store,
    StoreError,
};

/// One store with the ids it gave.
pub(super) struct Side {
    pub(super) store: Store,
    /// Accounts in the order they were made, also those that are gone.
    pub(super) accounts: Vec<AccountId>,
    /// Queued messages in the order they were queued, also those that are gone.
    pub(super) queued: Vec<QueueId>,
    /// Mailboxes by account and name as last looked at, with their MODSEQ then.
    pub(super) known: BTreeMap<(usize, String), (MailboxId, ModSeq)>,
}

/// What an error says in every edition.
pub(super) fn error_words(error: &StoreError) -> String {
    match error {
        StoreError::Invalid(_) => "invalid".to_owned(),
        other => other.to_string(),
    }
}

impl Side {
    pub(super) async fn new(store: Store) -> Self {
        for name in [DOMAIN, "second.example"] {
            store.directory.create_domain(domain(name)).await.unwrap();
        }
        let mut accounts = Vec::new();
        for name in ["user", "other"] {
            accounts.push(Scene::account(&store, DOMAIN, name).await.account);
        }
        Self { store, accounts, queued: Vec::new(), known: BTreeMap::new() }
    }

    /// The mailbox of a name; an id nobody has when there is none.
    pub(super) async fn mailbox(&self, account: usize, name: &str) -> Option<MailboxRecord> {
        let list = self.store.mailboxes.list(self.accounts[account]).await.ok()?;
        list.into_iter().find(|mailbox| mailbox.name == name)
    }

    /// The id of a mailbox by its name, or one that nobody has.
    pub(super) async fn mailbox_id(&self, account: usize, name: &str) -> MailboxId {
        let nothing = MailboxId(u64::MAX >> 2);
        self.mailbox(account, name).await.map_or(nothing, |mailbox| mailbox.id)
    }

    /// What an object is, with the account's place in the order instead of its id.
    pub(super) fn object_words(&self, object: &DomainObject) -> String {
        let place = |id| self.accounts.iter().position(|one| *one == id);
        match object {
            DomainObject::Account(id) => format!("account {:?}", place(*id)),
            DomainObject::Alias(id) => format!("alias of {:?}", place(*id)),
            other => format!("{other:?}"),
        }
    }

    /// Everything that can be seen at `now`, and remembers the MODSEQs.
    pub(super) async fn everything(&mut self, now: i64) -> Vec<String> {
        let mut lines = Vec::new();
        for account in 0..self.accounts.len() {
            self.mail_of(account, &mut lines).await;
        }
        self.objects(&mut lines).await;
        self.queue(now, &mut lines).await;
        lines
    }

    async fn mail_of(&mut self, account: usize, lines: &mut Vec<String>) {
        let id = self.accounts[account];
        let (m, b) = (self.store.mailboxes.clone(), self.store.bodies.clone());
        let Ok(list) = m.list(id).await else {
            lines.push(format!("account {account} is gone"));
            return;
        };
        lines.push(format!("account {account} has {:?}", m.usage(id).await.unwrap()));
        for record in list {
            assert_eq!(m.get(id, record.id).await.unwrap(), record);
            let snapshot = m.snapshot(id, record.id).await.unwrap();
            assert_eq!(snapshot.mailbox, record);
            lines.push(format!(
                "{account} {}: selectable {} next {} messages {} unseen {} deleted {} size {} \
                 recent {} class {:?} use {:?} acl {:?} annotations {:?} own from {:?}",
                record.name,
                record.selectable,
                record.uid_next,
                record.messages,
                record.unseen,
                record.deleted,
                record.size,
                record.first_recent,
                record.class,
                record.special_use,
                record.acl,
                record.annotations,
                record.kept_numbers.map(|kept| kept.own_from),
            ));
            let bodies: Vec<_> = snapshot.entries.iter().map(|entry| entry.body).collect();
            let texts = b.read_many(&bodies).await.unwrap();
            let summaries = b.summaries(&bodies).await.unwrap();
            for (i, entry) in snapshot.entries.iter().enumerate() {
                assert!(entry.modseq <= record.highest_modseq && entry.uid < record.uid_next);
                assert_eq!(entry.digest, *blake3::hash(&texts[i]).as_bytes());
                lines.push(format!(
                    "{account} {} {}: {:?} {:?} {} {} {} {:?} {:?} {:?}",
                    record.name,
                    entry.uid,
                    entry.flags,
                    entry.internal_date,
                    entry.save_date,
                    entry.size,
                    entry.original_uid,
                    entry.pop_id,
                    texts[i],
                    summaries[i],
                ));
            }
            let key = (account, record.name.clone());
            if let Some((known, since)) = self.known.get(&key)
                && *known == record.id
            {
                let changes = m.changes(id, record.id, *since).await.unwrap();
                let changed: Vec<_> = changes.changed.iter().map(|entry| entry.uid.0).collect();
                lines.push(format!("{account} {}: changed {changed:?}", record.name));
                let there = |uid| snapshot.entries.iter().any(|entry| entry.uid == uid);
                assert!(!changes.vanished.iter().any(|uid| there(*uid)));
            }
            self.known.insert(key, (record.id, record.highest_modseq));
        }
    }

    async fn objects(&self, lines: &mut Vec<String>) {
        let d = &self.store.directory;
        for name in d.domains().await.unwrap() {
            let record = d.domain(&name).await.unwrap().unwrap();
            lines.push(format!("{name}: {:?} {:?}", record.aliases, record.settings));
            for (object, what) in d.objects(&name, None, 1000).await.unwrap().objects {
                assert_eq!(d.lookup(&name, &object).await.unwrap().as_ref(), Some(&what));
                lines.push(format!("{object}@{name}: {}", self.object_words(&what)));
            }
        }
        for (place, id) in self.accounts.iter().enumerate() {
            let Some(record) = d.account(*id).await.unwrap() else { continue };
            let mut line = format!("account {place}: {}@{}", record.name, record.domain);
            let _ = write!(line, " {:?} {:?}", record.aliases, record.settings);
            lines.push(line);
        }
    }

    async fn queue(&self, now: i64, lines: &mut Vec<String>) {
        let q = &self.store.queue;
        lines.push(format!("{} queued", q.count().await.unwrap()));
        // What was due before now is due now, however the edition remembers it.
        let due = q.next_due().await.unwrap().map(|due| due.max(now) - NOW);
        lines.push(format!("next due {due:?}"));
        let listed = q.list(QueueId(0), 10_000).await.unwrap();
        for (place, id) in self.queued.iter().enumerate() {
            let Some(message) = q.message(*id).await.unwrap() else {
                assert!(!listed.contains(id));
                continue;
            };
            assert!(listed.contains(id));
            let text = self.store.bodies.read(message.body).await.unwrap();
            lines.push(format!("queued {place}: {text:?} from {}", message.return_path));
            for recipient in &message.recipients {
                let state = match &recipient.state {
                    RecipientState::Waiting { not_before, attempts, last_error } => {
                        format!("waits for {} {attempts} {last_error}", (*not_before).max(now))
                    }
                    other => format!("{other:?}"),
                };
                let (module, queue) = (&recipient.module, &recipient.queue);
                lines.push(format!("  {} {module} {queue} {state}", recipient.address));
            }
        }
    }
}
