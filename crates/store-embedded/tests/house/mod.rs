//! A small house to test with: a domain, some accounts, a bit of life, and a picture of all of it
//! that can be compared.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "tests; each file uses a part of it"
)]

use std::collections::BTreeMap;

use angarium_objects::value::Value;
use angarium_store::{
    AccountId, AccountKind, AccountRecord, AttributesPatch, DomainObject, DomainRecord, Expected,
    FileRecord, FileRoom, FileWrite, FlagBits, FlagChange, FlagUpdate, Flags, HELD, InternalDate,
    MailboxId, MailboxRecord, MessageBody, MessageEntry, ModSeq, NewMailbox, NewMessage, NewQueued,
    NumbersPatch, ObjectCounts, Origin, QueueId, QueuedMessage, QueuedRecipient, RecipientState,
    RecipientStep, SettingsKey, Step, Store, Uid, UidValidity,
};
use bytes::Bytes;

pub const DOMAIN: &str = "house.example";

pub struct House {
    pub accounts: Vec<AccountId>,
}

/// Everything a store says of itself.
#[derive(Debug, PartialEq)]
pub struct Picture {
    pub accounts: Vec<AccountRecord>,
    pub mailboxes: Vec<(AccountId, MailboxRecord, Vec<MessageEntry>, Vec<Uid>)>,
    pub bodies: Vec<(Bytes, Bytes)>,
    pub files: Vec<(AccountId, FileRecord)>,
    pub queue: Vec<String>,
    pub objects: Vec<(String, DomainObject)>,
    pub settings: Vec<String>,
}

pub fn message(bytes: Vec<u8>) -> NewMessage {
    NewMessage {
        body: MessageBody::Bytes(Bytes::from(bytes)),
        summary: Bytes::from_static(b"summary"),
        flags: Flags::default(),
        internal_date: InternalDate { seconds: 1_000_000, zone_minutes: 60 },
        save_date: 1_000_001,
        uid: None,
        original_uid: None,
        pop_id: None,
        origin: None,
    }
}

pub fn small(text: &str) -> NewMessage {
    message(text.as_bytes().to_vec())
}

pub fn sized(seed: u64, size: usize) -> NewMessage {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let bytes = (0..size).map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    });
    message(bytes.collect())
}

pub fn queued(text: &str, to: &[&str]) -> NewQueued {
    let recipient = |address: &&str| QueuedRecipient {
        address: (*address).to_owned(),
        module: "LOCAL".to_owned(),
        queue: (*address).to_owned(),
        facts: BTreeMap::from([("Notify".to_owned(), Value::from("never"))]),
        state: RecipientState::Waiting { not_before: 5, attempts: 0, last_error: String::new() },
    };
    NewQueued {
        id: None,
        return_path: "sender@away.example".to_owned(),
        facts: BTreeMap::from([("Source".to_owned(), Value::from("SMTP"))]),
        body: MessageBody::Bytes(Bytes::from(text.as_bytes().to_vec())),
        summary: Bytes::from_static(b"queued"),
        recipients: to.iter().map(recipient).collect(),
        accepted: 5,
        priority: 0,
    }
}

/// A file of these bytes.
pub fn file(path: &str, bytes: &[u8]) -> FileWrite {
    let pieces = bytes.chunks(FileRecord::PIECE as usize).map(Bytes::copy_from_slice);
    FileWrite {
        path: path.to_owned(),
        expected: Expected::Anything,
        pieces: Some(pieces.map(MessageBody::Bytes).collect()),
        modified: 2_500,
        room: FileRoom::default(),
    }
}

impl Picture {
    /// The picture as text that stays the same when types get new fields.
    pub fn lines(&self) -> String {
        let mut out = String::new();
        for a in &self.accounts {
            let (aliases, settings) = (a.aliases.join(","), a.settings.len());
            let line = format!("account {} {}@{} {aliases} {settings}", a.id, a.name, a.domain);
            out += &format!("{line} version {}\n", a.version);
        }
        for (account, m, entries, vanished) in &self.mailboxes {
            out += &format!(
                "mailbox {account} {} {} {} {} {} {} {} {} {}\n",
                m.name,
                m.uid_validity,
                m.uid_next,
                m.highest_modseq,
                m.messages,
                m.unseen,
                m.deleted,
                m.size,
                vanished.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
            );
            for e in entries {
                let digest: String = e.digest.iter().map(|b| format!("{b:02x}")).collect();
                out += &format!(
                    "  {} {} {} {} {} {} {} {} {} {digest}\n",
                    e.uid,
                    e.flags.bits.0,
                    e.flags.keywords().join(","),
                    e.modseq,
                    e.internal_date.seconds,
                    e.internal_date.zone_minutes,
                    e.save_date,
                    e.size,
                    e.original_uid
                );
            }
        }
        for (account, file) in &self.files {
            let pieces = file.pieces.as_ref().map(Vec::len);
            out += &format!("file {account} {} {} {pieces:?}\n", file.path, file.size);
        }
        out += &format!("queue {}\n", self.queue.len());
        for (name, _) in &self.objects {
            out += &format!("object {name}\n");
        }
        out
    }
}

impl House {
    /// A domain with accounts `user0` and so on.
    pub async fn build(store: &Store, accounts: usize) -> Self {
        let domain = DomainRecord {
            name: DOMAIN.to_owned(),
            aliases: vec!["www.house.example".to_owned()],
            settings: BTreeMap::from([("Quota".to_owned(), Value::Number(7))]),
            account_defaults: BTreeMap::new(),
            template: BTreeMap::new(),
            version: 0,
        };
        store.directory.create_domain(domain).await.unwrap();
        let mut all = Vec::new();
        for n in 0..accounts {
            let record = AccountRecord {
                id: AccountId(0),
                domain: DOMAIN.to_owned(),
                name: format!("user{n}"),
                kind: AccountKind::MultiMailbox,
                aliases: vec![format!("alias{n}")],
                settings: BTreeMap::from([("RealName".to_owned(), Value::from("Someone"))]),
                rights: Vec::new(),
                subscription: vec!["INBOX".to_owned()],
                mailbox_aliases: BTreeMap::new(),
                info: BTreeMap::new(),
                version: 0,
            };
            all.push(store.directory.create_account(record, 1_000).await.unwrap().id);
        }
        Self { accounts: all }
    }

    /// The accounts of a house that was built.
    pub async fn find(store: &Store) -> Self {
        let page = store.directory.objects(DOMAIN, None, 1000).await.unwrap();
        let accounts = page.objects.iter().filter_map(|(_, object)| match object {
            DomainObject::Account(id) => Some(*id),
            _ => None,
        });
        Self { accounts: accounts.collect() }
    }

    pub async fn inbox(&self, store: &Store, user: usize) -> (AccountId, MailboxId) {
        let account = self.accounts[user];
        let all = store.mailboxes.list(account).await.unwrap();
        (account, all.iter().find(|m| m.name == "INBOX").unwrap().id)
    }

    /// Mail comes and goes.
    pub async fn live(&self, store: &Store) {
        self.live_with(store, 300_000).await;
    }

    /// The same with a largest message of so many octets.
    pub async fn live_with(&self, store: &Store, large: usize) {
        for (user, account) in self.accounts.iter().enumerate() {
            let (account, inbox) = (*account, self.inbox(store, user).await.1);
            let mut new: Vec<NewMessage> =
                (0..12).map(|n| small(&format!("message {n} of {user}"))).collect();
            new[3].flags = Flags::with_keywords(FlagBits::SEEN, ["one", "Two"]);
            new.push(sized(user as u64, large));
            store.mailboxes.append(account, inbox, new).await.unwrap();
            let name = format!("Archive/Year {user} {}", store.queue.next_id());
            let folder = NewMailbox { name, selectable: true, now: 2_000, ..Default::default() };
            let folder = store.mailboxes.create(account, folder).await.unwrap().id;
            let first = store.mailboxes.snapshot(account, inbox).await.unwrap().entries[0].uid.0;
            let uids = |all: &[u32]| all.iter().map(|n| Uid(first + n)).collect::<Vec<_>>();
            let update = FlagUpdate {
                uids: uids(&[0, 1, 2]),
                change: FlagChange::Add,
                flags: Flags::with_keywords(FlagBits::DELETED, ["three"]),
                unchanged_since: None,
            };
            store.mailboxes.change_flags(account, inbox, update).await.unwrap();
            let annotation = ("/shared/comment".to_owned(), Some(Bytes::from_static(b"a\0b")));
            let patch = AttributesPatch { annotations: vec![annotation], ..Default::default() };
            store.mailboxes.set_attributes(account, folder, patch).await.unwrap();
            let kept = NumbersPatch {
                uid_validity: Some(UidValidity(77)),
                highest_modseq: Some(ModSeq(1 << 33)),
                own_from: Some(Uid(500)),
                ..Default::default()
            };
            store.mailboxes.keep_numbers(account, folder, kept).await.unwrap();
            let id = ("0007v".into(), format!("{user}.3"));
            let new = vec![NewMessage { uid: Some(Uid(7)), pop_id: Some(id.0), ..small("kept") }];
            store.mailboxes.append(account, folder, new).await.unwrap();
            let pop_ids = vec![(Uid(first + 3), id.1.into())];
            let kept = NumbersPatch { pop_ids, ..Default::default() };
            store.mailboxes.keep_numbers(account, inbox, kept).await.unwrap();
            store.mailboxes.copy(account, inbox, &uids(&[5, 4]), folder, 9).await.unwrap();
            store.mailboxes.move_messages(account, inbox, &uids(&[7]), folder, 9).await.unwrap();
            store.mailboxes.expunge(account, inbox, &uids(&[1, 2, 9]), true).await.unwrap();
            self.keep_files(store, account, large).await;
        }
        self.deliver(store).await;
        let forwarder = DomainObject::Forwarder("away@away.example".to_owned());
        store.directory.put_object(DOMAIN, "forward", forwarder, true).await.unwrap();
        let settings = BTreeMap::from([("DomainName".to_owned(), Value::from(DOMAIN))]);
        store.directory.set_settings(&SettingsKey::Server, settings, None).await.unwrap();
    }

    /// Files come, grow, move and go.
    async fn keep_files(&self, store: &Store, account: AccountId, large: usize) {
        let name = format!("site {}", store.queue.next_id());
        let write = async |path: &str, bytes: &[u8]| {
            store.files.write_file(account, file(&format!("{name}/{path}"), bytes)).await.unwrap()
        };
        write("index.html", b"first").await;
        let index = write("index.html", b"<html>").await;
        let longer = FileWrite {
            expected: Expected::Pieces(index.pieces.unwrap()),
            ..file(&index.path, b"<html></html>")
        };
        store.files.write_file(account, longer).await.unwrap();
        write("gone", b"gone").await;
        store.files.remove_file(account, &format!("{name}/gone")).await.unwrap();
        write("large", &vec![b'l'; large]).await;
        let (from, to) = (format!("{name}/large"), format!("{name}/private/large"));
        store.files.rename_file(account, &from, &to, 3_000, FileRoom::default()).await.unwrap();
    }

    /// One message to everybody, and three that stay in the queue, one of them held.
    async fn deliver(&self, store: &Store) {
        let names: Vec<String> =
            (0..self.accounts.len()).map(|n| format!("user{n}@{DOMAIN}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (id, body) = store.queue.enqueue(queued("to all", &names)).await.unwrap();
        for (user, account) in self.accounts.iter().enumerate() {
            let inbox = self.inbox(store, user).await.1;
            let recipient = user as u32;
            let origin = Some(Origin { queue: id, recipient });
            let new = NewMessage { body: MessageBody::Existing(body), origin, ..small("") };
            store.mailboxes.append(*account, inbox, vec![new]).await.unwrap();
            let step = RecipientStep { recipient, step: Step::Done };
            store.queue.settle(id, vec![step]).await.unwrap();
        }
        let (id, _) = store.queue.enqueue(queued("to some", &names)).await.unwrap();
        let retry = Step::Retry { not_before: 99, error: "later".to_owned() };
        let step = RecipientStep { recipient: 0, step: retry };
        store.queue.settle(id, vec![step]).await.unwrap();
        store.queue.enqueue(queued("to nobody here", &["x@away.example"])).await.unwrap();
        let urgent = NewQueued { priority: 4, ..queued("held", &["y@away.example"]) };
        let (id, _) = store.queue.enqueue(urgent).await.unwrap();
        let step = RecipientStep { recipient: 0, step: Step::Postponed { not_before: HELD } };
        store.queue.settle(id, vec![step]).await.unwrap();
    }

    /// All that is there.
    pub async fn picture(&self, store: &Store) -> Picture {
        let mut picture = Picture {
            accounts: Vec::new(),
            mailboxes: Vec::new(),
            bodies: Vec::new(),
            files: Vec::new(),
            queue: Vec::new(),
            objects: store.directory.objects(DOMAIN, None, 1000).await.unwrap().objects,
            settings: Vec::new(),
        };
        let of = |kind: fn(&DomainObject) -> bool| {
            picture.objects.iter().filter(|(_, object)| kind(object)).count() as u64
        };
        let counted = ObjectCounts {
            accounts: of(|object| matches!(object, DomainObject::Account(_))),
            aliases: of(|object| matches!(object, DomainObject::Alias(_))),
            forwarders: of(|object| matches!(object, DomainObject::Forwarder(_))),
            groups: of(|object| matches!(object, DomainObject::Group(_))),
            lists: of(|object| matches!(object, DomainObject::List(_))),
        };
        assert_eq!(store.directory.counts(DOMAIN).await.unwrap(), counted);
        for account in &self.accounts {
            picture.accounts.push(store.directory.account(*account).await.unwrap().unwrap());
            let mut directories = vec![String::new()];
            while let Some(directory) = directories.pop() {
                for file in store.files.list_files(*account, &directory).await.unwrap() {
                    match &file.pieces {
                        Some(pieces) => {
                            let bytes = store.bodies.read_many(pieces).await.unwrap().concat();
                            assert_eq!(bytes.len() as u64, file.size);
                            picture.bodies.push((bytes.into(), Bytes::new()));
                        }
                        None => directories.push(file.path.clone()),
                    }
                    picture.files.push((*account, file));
                }
            }
            for record in store.mailboxes.list(*account).await.unwrap() {
                let snapshot = store.mailboxes.snapshot(*account, record.id).await.unwrap();
                assert_eq!(snapshot.mailbox, record);
                let changes =
                    store.mailboxes.changes(*account, record.id, ModSeq(0)).await.unwrap();
                for entry in &snapshot.entries {
                    let bytes = store.bodies.read(entry.body).await.unwrap();
                    assert_eq!(bytes.len() as u64, entry.size);
                    let summary = store.bodies.summaries(&[entry.body]).await.unwrap().remove(0);
                    picture.bodies.push((bytes, summary));
                }
                picture.mailboxes.push((*account, record, snapshot.entries, changes.vanished));
            }
        }
        for id in store.queue.list(QueueId(0), 1000).await.unwrap() {
            let message: QueuedMessage = store.queue.message(id).await.unwrap().unwrap();
            picture.bodies.push((store.bodies.read(message.body).await.unwrap(), Bytes::new()));
            picture.queue.push(format!("{message:?}"));
        }
        for key in [SettingsKey::Server, SettingsKey::Router] {
            picture.settings.push(format!("{:?}", store.directory.settings(&key).await.unwrap()));
        }
        let domain = store.directory.domain("www.house.example").await.unwrap();
        picture.settings.push(format!("{domain:?}"));
        picture
    }
}
