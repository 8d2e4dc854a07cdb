//! Promises of the mailbox side over the memory store: loading, news, keeping, delivery.

use std::sync::Arc;

use angarium_objects::value::Value;
use angarium_store::{
    AccountId, AccountKind, AccountRecord, Appended, BodyId, Change, DomainRecord, FlagBits, Flags,
    InternalDate, MailboxId, MailboxRecord, MessageBody, MessageEntry, ModSeq, NewMessage, Origin,
    QueueId, Snapshot, Uid, UidValidity, memory,
};
use bytes::Bytes;

use super::open::OpenMailbox;
use super::{DeliverError, MailRights, Opened, Registry, RegistryOptions};
use crate::{Accounts, Actor, Options, Rights};

const ACCOUNT: AccountId = AccountId(1);

fn record(messages: u32, next: u32, modseq: u64) -> MailboxRecord {
    MailboxRecord {
        uid_next: Uid(next),
        highest_modseq: ModSeq(modseq),
        messages,
        unseen: messages,
        ..MailboxRecord::new(MailboxId(7), "INBOX", true, UidValidity(5))
    }
}

fn entry(uid: u32, modseq: u64) -> MessageEntry {
    MessageEntry {
        uid: Uid(uid),
        flags: Flags::default(),
        modseq: ModSeq(modseq),
        internal_date: InternalDate::default(),
        save_date: 0,
        size: 10,
        body: BodyId(u64::from(uid)),
        digest: [0; 32],
        original_uid: uid,
        pop_id: None,
    }
}

fn appended(uid: u32, modseq: u64) -> Change {
    let mailbox = record(uid, uid + 1, modseq);
    Change::Appended { account: ACCOUNT, mailbox, entries: vec![entry(uid, modseq)] }
}

fn flagged(uid: u32, bits: FlagBits, modseq: u64) -> Change {
    let changed = vec![(Uid(uid), Flags::of(bits), ModSeq(modseq))];
    Change::Flags { account: ACCOUNT, mailbox: record(3, 4, modseq), changed }
}

fn expunged(uid: u32, modseq: u64) -> Change {
    let mailbox = record(2, 4, modseq);
    Change::Expunged { account: ACCOUNT, mailbox, uids: vec![Uid(uid)], modseq: ModSeq(modseq) }
}

fn uids(open: &OpenMailbox) -> Vec<u32> {
    open.shared().table.iter().map(|row| row.uid().0).collect()
}

fn loaded(entries: Vec<MessageEntry>, modseq: u64) -> OpenMailbox {
    let next = entries.last().map_or(1, |e| e.uid.0 + 1);
    let mailbox = record(entries.len() as u32, next, modseq);
    let open = OpenMailbox::new(mailbox.clone(), ACCOUNT);
    assert!(open.take_snapshot(Snapshot { mailbox, entries }));
    open
}

#[test]
fn changes_that_arrive_while_loading_are_applied_on_top_once() {
    let open = OpenMailbox::new(record(0, 1, 1), ACCOUNT);
    // Told before the snapshot came, and in it already: an append, and one gone again.
    open.apply(&appended(1, 2));
    open.apply(&appended(2, 3));
    open.apply(&expunged(2, 4));
    open.apply(&flagged(1, FlagBits::SEEN, 5));
    // After it.
    open.apply(&appended(3, 6));
    let mut first = entry(1, 5);
    first.flags = Flags::of(FlagBits::SEEN);
    let snapshot = Snapshot { mailbox: record(1, 3, 5), entries: vec![first] };
    assert!(open.take_snapshot(snapshot));
    assert_eq!(uids(&open), [1, 3]);
    let shared = open.shared();
    assert!(shared.table.get(Uid(1)).is_some_and(|r| r.bits() == FlagBits::SEEN));
    assert_eq!(shared.record.highest_modseq, ModSeq(6));
    assert!(open.news(shared.version).is_none());
}

#[test]
fn when_too_much_changes_while_loading_it_is_loaded_again() {
    let open = OpenMailbox::new(record(0, 1, 1), ACCOUNT);
    for n in 1..=5000 {
        open.apply(&appended(n, u64::from(n) + 1));
    }
    assert!(!open.take_snapshot(Snapshot { mailbox: record(0, 1, 1), entries: vec![] }));
}

#[test]
fn what_came_and_went_between_two_looks_was_never_there() {
    let open = loaded(vec![entry(1, 2)], 2);
    let version = open.shared().version;
    open.apply(&appended(2, 3));
    open.apply(&appended(3, 4));
    open.apply(&flagged(2, FlagBits::SEEN, 5));
    open.apply(&flagged(1, FlagBits::SEEN, 6));
    open.apply(&expunged(2, 7));
    let news = open.news(version).unwrap();
    assert!(news.complete);
    assert_eq!(news.appended, [Uid(3)]);
    assert_eq!(news.flags, [Uid(1)]);
    assert!(news.vanished.is_empty());
    assert!(open.news(news.now.version).is_none());
    open.apply(&expunged(1, 8));
    assert_eq!(open.news(news.now.version).unwrap().vanished, [Uid(1)]);
}

#[test]
fn a_session_far_behind_is_told_to_compare() {
    let open = loaded(vec![entry(1, 2)], 2);
    let version = open.shared().version;
    for n in 0..2000 {
        let bits = if n % 2 == 0 { FlagBits::SEEN } else { FlagBits(0) };
        open.apply(&flagged(1, bits, 3 + n));
    }
    assert!(!open.news(version).unwrap().complete);
    let late = open.shared().version - 5;
    assert!(open.news(late).unwrap().complete);
}

#[test]
fn messages_are_recent_for_the_first_that_asks() {
    let open = loaded(vec![entry(1, 2), entry(2, 2)], 2);
    assert_eq!(open.claim_recent(), Some(Uid(1)));
    assert_eq!(open.claim_recent(), None);
    open.apply(&appended(3, 3));
    assert_eq!(open.claim_recent(), Some(Uid(3)));
}

#[tokio::test]
async fn a_change_wakes_whoever_watches() {
    let open = loaded(vec![], 1);
    let mut watch = open.watch();
    open.apply(&appended(1, 2));
    watch.changed().await.unwrap();
}

async fn door(settings: &[(&str, &str)]) -> (Arc<Accounts>, AccountId) {
    let store = memory::open();
    let domain = DomainRecord {
        name: "a.example".into(),
        aliases: vec![],
        settings: [].into(),
        account_defaults: [].into(),
        template: [].into(),
        version: 0,
    };
    store.directory.create_domain(domain).await.unwrap();
    let main = [("DomainName".to_owned(), Value::from("a.example"))].into();
    store.directory.set_settings(&angarium_store::SettingsKey::Server, main, None).await.unwrap();
    let account = AccountRecord {
        id: AccountId(0),
        domain: "a.example".into(),
        name: "ann".into(),
        kind: AccountKind::MultiMailbox,
        aliases: vec![],
        settings: settings.iter().map(|(k, v)| ((*k).to_owned(), Value::from(*v))).collect(),
        rights: vec![],
        subscription: vec![],
        mailbox_aliases: [].into(),
        info: [].into(),
        version: 0,
    };
    let id = store.directory.create_account(account, 1).await.unwrap().id;
    (Accounts::new(store, Options::default()), id)
}

fn mail(octets: usize, recipient: u32) -> NewMessage {
    NewMessage {
        body: MessageBody::Bytes(Bytes::from(vec![b'x'; octets])),
        summary: Bytes::new(),
        flags: Flags::default(),
        internal_date: InternalDate::default(),
        save_date: 0,
        uid: None,
        original_uid: None,
        pop_id: None,
        origin: Some(Origin { queue: QueueId(9), recipient }),
    }
}

#[tokio::test]
async fn mail_is_delivered_once_and_a_missing_mailbox_is_made() {
    let (accounts, id) = door(&[]).await;
    assert_eq!(accounts.deliver(id, None, mail(10, 0)).await, Ok(Appended::New(Uid(1))));
    assert_eq!(accounts.deliver(id, None, mail(10, 0)).await, Ok(Appended::Repeated));
    let made = accounts.deliver(id, Some("Lists/rust"), mail(10, 1)).await;
    assert_eq!(made, Ok(Appended::New(Uid(1))));
    let again = accounts.deliver(id, Some("Lists/rust"), mail(10, 2)).await;
    assert_eq!(again, Ok(Appended::New(Uid(2))));
    let bad = accounts.deliver(id, Some("../x"), mail(10, 3)).await;
    assert!(matches!(bad, Err(DeliverError::Never(_))));
    let nobody = accounts.deliver(AccountId(99), None, mail(10, 4)).await;
    assert!(matches!(&nobody, Err(error) if !error.is_temporary()), "{nobody:?}");
}

#[tokio::test]
async fn a_full_account_takes_mail_later_and_too_large_mail_never() {
    let (accounts, id) = door(&[("MaxAccountSize", "1K"), ("MaxMessageSize", "900")]).await;
    let large = accounts.deliver(id, None, mail(901, 0)).await;
    assert_eq!(large, Err(DeliverError::TooLarge(900)));
    assert_eq!(accounts.deliver(id, None, mail(800, 1)).await, Ok(Appended::New(Uid(1))));
    let full = accounts.deliver(id, None, mail(800, 2)).await;
    assert_eq!(full, Err(DeliverError::Full));
    assert!(DeliverError::Full.is_temporary());
    // What was delivered before is not refused now.
    assert_eq!(accounts.deliver(id, None, mail(800, 1)).await, Ok(Appended::Repeated));
}

#[tokio::test]
async fn mailboxes_are_kept_for_a_while_within_bounds() {
    let (accounts, id) = door(&[]).await;
    let store = accounts.store();
    let options = RegistryOptions { kept_mailboxes: 2, ..RegistryOptions::default() };
    let registry = Registry::with_options(options);
    let mut ids = Vec::new();
    for n in 0..4 {
        let new = angarium_store::NewMailbox {
            name: format!("box{n}"),
            selectable: true,
            now: 1,
            ..Default::default()
        };
        ids.push(store.mailboxes.create(id, new).await.unwrap().id);
    }
    for mailbox in &ids {
        registry.open(store, id, *mailbox).await.unwrap();
    }
    assert_eq!(registry.count(), 2);
    let held = registry.open(store, id, ids[0]).await.unwrap();
    let same = registry.open(store, id, ids[0]).await.unwrap();
    assert!(Arc::ptr_eq(&held, &same));
    registry.changed(&Change::Mailboxes { account: id, removed: vec![ids[0]], changed: vec![] });
    assert!(held.shared().gone);
    assert!(registry.find(ids[0]).is_none());
}

#[tokio::test]
async fn a_copy_passes_over_what_went_away_unseen() {
    let (accounts, ann) = door(&[]).await;
    let store = accounts.store();
    let mut bob = store.directory.account(ann).await.unwrap().unwrap();
    bob.name = "bob".into();
    let bob = store.directory.create_account(bob, 1).await.unwrap().id;
    let actor = |id, name| Arc::new(Actor::account(id, name, "a.example", Rights::default()));
    let giver = accounts.open_account(&actor(bob, "bob"));
    let rights = MailRights::parse("lri").unwrap();
    giver.set_acl("INBOX", "ann", |_| rights).await.unwrap();
    for n in 0..3 {
        accounts.deliver(ann, None, mail(10 + n, n as u32)).await.unwrap();
    }
    let inbox = store.mailboxes.list(ann).await.unwrap().remove(0);
    // Nobody tells this one of changes: as if they had not come through yet.
    let behind = OpenMailbox::new(inbox.clone(), ann);
    let snapshot = store.mailboxes.snapshot(ann, inbox.id).await.unwrap();
    assert!(behind.take_snapshot(snapshot));
    store.mailboxes.expunge(ann, inbox.id, &[Uid(2)], false).await.unwrap();
    let taker = accounts.open_account(&actor(ann, "ann"));
    let owner = taker.home().clone();
    let opened = Opened { mailbox: Arc::new(behind), rights: MailRights::ALL, owner };
    let all = [Uid(1), Uid(2), Uid(3)];
    let copied = taker.copy(&opened, &all, "~bob/INBOX").await.unwrap();
    assert_eq!(copied.pairs, [(Uid(1), Uid(1)), (Uid(3), Uid(2))]);
    let moved = taker.move_messages(&opened, &all, "~bob/INBOX").await.unwrap();
    assert_eq!(moved.pairs, [(Uid(1), Uid(3)), (Uid(3), Uid(4))]);
}
