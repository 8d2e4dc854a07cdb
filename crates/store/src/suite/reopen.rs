//! Promises about durability: what was answered with OK is there when the store is opened again.

use std::collections::BTreeMap;

use super::account_files::{content, file, names};
use super::scene::{
    DOMAIN, NOW, Scene, account, delivery, digest, flagged, mail, queued, scene, uids,
};
use super::{Edition, model};
use crate::{
    Appended, DomainObject, FlagBits, FlagChange, FlagUpdate, Flags, HELD, MessageBody, ModSeq,
    NewMessage, NewQueued, NumbersPatch, Origin, QueueId, RecipientState, RecipientStep,
    SettingsKey, Step, Store, Uid, UidValidity,
};

/// A scene on a fresh store of an edition.
async fn begin<E: Edition>(edition: &E) -> Scene {
    let store = edition.open().await;
    scene(&store).await
}

/// Closes the store and opens it again.
async fn reopen<E: Edition>(edition: &E, s: Scene) -> Scene {
    let Scene { store, account, inbox } = s;
    edition.close(store).await;
    Scene { store: edition.open().await, account, inbox }
}

/// Closes the store for good.
async fn end<E: Edition>(edition: &E, s: Scene) {
    edition.close(s.store).await;
}

pub async fn appended_messages_are_there_after_reopening<E: Edition>(edition: &E) {
    let s = begin(edition).await;
    let flags = Flags::with_keywords(FlagBits::SEEN, ["Work"]);
    s.append(s.inbox, vec![mail("one"), flagged("two", flags)]).await;
    s.fill(s.inbox, &["three"]).await;
    let before = (s.record(s.inbox).await, s.entries(s.inbox).await);
    let bodies: Vec<_> = before.1.iter().map(|entry| entry.body).collect();
    let summaries = s.store.bodies.summaries(&bodies).await.unwrap();
    let s = reopen(edition, s).await;
    assert_eq!((s.record(s.inbox).await, s.entries(s.inbox).await), before);
    assert_eq!(s.texts(s.inbox).await, ["one", "two", "three"]);
    assert_eq!(s.store.bodies.summaries(&bodies).await.unwrap(), summaries);
    end(edition, s).await;
}

pub async fn a_large_message_is_there_after_reopening<E: Edition>(edition: &E) {
    let s = begin(edition).await;
    let text = "0123456789abcdef".repeat(200_000);
    let mut writer = s.store.bodies.stage();
    for part in text.as_bytes().chunks(60_001) {
        writer.write(part).await.unwrap();
    }
    let body = MessageBody::Staged(writer.finish().await.unwrap());
    s.append(s.inbox, vec![NewMessage { body, ..mail("") }]).await;
    let s = reopen(edition, s).await;
    let entry = s.entry(s.inbox, Uid(1)).await;
    assert_eq!((entry.size, entry.digest), (text.len() as u64, digest(&text)));
    assert!(s.store.bodies.read(entry.body).await.unwrap() == text.as_bytes());
    end(edition, s).await;
}

pub async fn flags_are_there_after_reopening<E: Edition>(edition: &E) {
    let s = begin(edition).await;
    s.fill(s.inbox, &["1", "2", "3"]).await;
    let flags = Flags::with_keywords(FlagBits::FLAGGED, ["Later", "Work"]);
    let (change, unchanged_since) = (FlagChange::Add, None);
    let update = FlagUpdate { uids: uids(&[1, 3]), change, flags, unchanged_since };
    s.store.mailboxes.change_flags(s.account, s.inbox, update).await.unwrap();
    let before = (s.record(s.inbox).await, s.entries(s.inbox).await);
    let s = reopen(edition, s).await;
    assert_eq!((s.record(s.inbox).await, s.entries(s.inbox).await), before);
    end(edition, s).await;
}

pub async fn moved_messages_are_in_one_mailbox_after_reopening<E: Edition>(edition: &E) {
    let s = begin(edition).await;
    let other = s.make("other").await;
    s.fill(s.inbox, &["1", "2", "3"]).await;
    let m = s.store.mailboxes.clone();
    m.move_messages(s.account, s.inbox, &uids(&[3, 1]), other, NOW).await.unwrap();
    m.copy(s.account, other, &uids(&[1]), other, NOW).await.unwrap();
    drop(m);
    let s = reopen(edition, s).await;
    assert_eq!(s.texts(s.inbox).await, ["2"]);
    assert_eq!(s.texts(other).await, ["3", "1", "3"]);
    end(edition, s).await;
}

pub async fn kept_numbers_are_there_after_reopening<E: Edition>(edition: &E) {
    let s = begin(edition).await;
    let other = s.make("other").await;
    let patch = NumbersPatch {
        uid_validity: Some(UidValidity(77)),
        uid_next: Some(Uid(5)),
        highest_modseq: Some(ModSeq(1 << 50)),
        own_from: Some(Uid(400)),
        pop_ids: Vec::new(),
    };
    for mailbox in [s.inbox, other] {
        s.store.mailboxes.keep_numbers(s.account, mailbox, patch.clone()).await.unwrap();
    }
    let known = NewMessage { uid: Some(Uid(9)), pop_id: Some("0009u".into()), ..mail("nine") };
    s.append(s.inbox, vec![known, mail("own")]).await;
    let patch = NumbersPatch { pop_ids: vec![(Uid(400), "own".into())], ..<_>::default() };
    s.store.mailboxes.keep_numbers(s.account, s.inbox, patch).await.unwrap();
    let all = async |s: &Scene| {
        (s.record(s.inbox).await, s.record(other).await, s.entries(s.inbox).await)
    };
    let before = all(&s).await;
    assert_eq!(before.2.iter().filter(|entry| entry.pop_id.is_some()).count(), 2);
    let s = reopen(edition, s).await;
    assert_eq!(all(&s).await, before);
    assert_eq!(s.fill(other, &["other"]).await, uids(&[400]));
    end(edition, s).await;
}

pub async fn a_delivery_that_queued_a_message_is_remembered_after_reopening<E: Edition>(
    edition: &E,
) {
    let s = begin(edition).await;
    let posting = s.store.queue.enqueue(queued("posting", &[NOW])).await.unwrap().0;
    let origin = Origin { queue: posting, recipient: 0 };
    let first = s.store.queue.enqueue_once(queued("copies", &[NOW]), origin).await.unwrap();
    assert!(first.is_some());
    let s = reopen(edition, s).await;
    let again = s.store.queue.enqueue_once(queued("copies", &[NOW]), origin).await.unwrap();
    assert_eq!((again, s.store.queue.count().await.unwrap()), (None, 2));
    end(edition, s).await;
}

pub async fn files_are_there_after_reopening<E: Edition>(edition: &E) {
    let s = begin(edition).await;
    let all = async |s: &Scene| {
        let files = s.store.files.clone();
        let mut all = files.list_files(s.account, "").await.unwrap();
        all.extend(files.list_files(s.account, "a").await.unwrap());
        all
    };
    let put = async |s: &Scene, path: &str, bytes: &[u8]| {
        s.store.files.write_file(s.account, file(path, bytes)).await.unwrap();
    };
    let large = vec![b'l'; 3_000_000];
    put(&s, "a/b", b"one").await;
    put(&s, "a/b", b"two").await;
    put(&s, "large", &large).await;
    put(&s, "gone", b"gone").await;
    s.store.files.remove_file(s.account, "gone").await.unwrap();
    s.store.files.rename_file(s.account, "large", "a/large", NOW, <_>::default()).await.unwrap();
    let before = all(&s).await;
    let s = reopen(edition, s).await;
    assert_eq!(all(&s).await, before);
    assert_eq!(names(&s, "a").await, ["a/b", "a/large"]);
    assert!(content(&s, "a/b").await == b"two" && content(&s, "a/large").await == large);
    end(edition, s).await;
}

pub async fn expunged_messages_stay_gone_after_reopening<E: Edition>(edition: &E) {
    let s = begin(edition).await;
    s.fill(s.inbox, &["1", "2", "3"]).await;
    s.store.mailboxes.expunge(s.account, s.inbox, &uids(&[1, 3]), false).await.unwrap();
    let s = reopen(edition, s).await;
    assert_eq!(s.texts(s.inbox).await, ["2"]);
    assert_eq!(s.store.mailboxes.usage(s.account).await.unwrap(), (1, 1));
    end(edition, s).await;
}

pub async fn changes_are_still_known_after_reopening<E: Edition>(edition: &E) {
    let s = begin(edition).await;
    s.fill(s.inbox, &["1", "2", "3"]).await;
    let since = s.record(s.inbox).await.highest_modseq;
    s.store.mailboxes.expunge(s.account, s.inbox, &uids(&[2]), false).await.unwrap();
    s.fill(s.inbox, &["4"]).await;
    let s = reopen(edition, s).await;
    let changes = s.store.mailboxes.changes(s.account, s.inbox, since).await.unwrap();
    let changed: Vec<_> = changes.changed.iter().map(|entry| entry.uid).collect();
    assert_eq!(changed, [Uid(4)]);
    assert!(changes.vanished.contains(&Uid(2)));
    end(edition, s).await;
}

pub async fn uids_go_on_after_reopening<E: Edition>(edition: &E) {
    let mut s = begin(edition).await;
    let mut modseq = ModSeq(0);
    for round in 1..4 {
        assert_eq!(s.fill(s.inbox, &["x"]).await, [Uid(round)]);
        s.store.mailboxes.expunge(s.account, s.inbox, &[Uid(round)], false).await.unwrap();
        let now = s.record(s.inbox).await.highest_modseq;
        assert!(now > modseq);
        modseq = now;
        s = reopen(edition, s).await;
        assert_eq!(s.record(s.inbox).await.highest_modseq, modseq);
    }
    end(edition, s).await;
}

pub async fn ids_are_not_given_again_after_reopening<E: Edition>(edition: &E) {
    let s = begin(edition).await;
    let gone = Scene::account(&s.store, DOMAIN, "gone").await.account;
    let mailbox = s.make("gone").await;
    s.store.mailboxes.delete(s.account, mailbox).await.unwrap();
    s.store.directory.delete_account(gone).await.unwrap();
    let s = reopen(edition, s).await;
    assert_ne!(s.make("gone").await, mailbox);
    assert_ne!(Scene::account(&s.store, DOMAIN, "gone").await.account, gone);
    end(edition, s).await;
}

pub async fn mailboxes_are_there_after_reopening<E: Edition>(edition: &E) {
    let s = begin(edition).await;
    let id = s.make("a/b").await;
    s.make("c").await;
    let acl = Some(BTreeMap::from([("anyone".to_owned(), "lr".into())]));
    let special_use = Some("\\Sent".to_owned());
    let patch = crate::AttributesPatch {
        acl,
        special_use,
        uid_next: Some(Uid(70)),
        class: Some("IPF.Note".to_owned()),
        annotations: vec![("/shared/comment".to_owned(), Some("a\0b".into()))],
        ..<_>::default()
    };
    s.store.mailboxes.set_attributes(s.account, id, patch).await.unwrap();
    s.store.mailboxes.rename_tree(s.account, "a", "z", NOW).await.unwrap();
    let before = s.store.mailboxes.list(s.account).await.unwrap();
    let s = reopen(edition, s).await;
    assert_eq!(s.store.mailboxes.list(s.account).await.unwrap(), before);
    assert_eq!(s.names().await, ["INBOX", "c", "z/", "z/b"]);
    let kept = s.named("z/b").await.annotations;
    assert_eq!(kept.get("/shared/comment").map(|v| v.as_ref()), Some(b"a\0b".as_slice()));
    end(edition, s).await;
}

pub async fn a_validity_is_not_used_again_after_reopening<E: Edition>(edition: &E) {
    let mut s = begin(edition).await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let made = s.try_make("a", true).await.unwrap();
        assert!(!seen.contains(&made.uid_validity));
        seen.push(made.uid_validity);
        s.store.mailboxes.delete(s.account, made.id).await.unwrap();
        s = reopen(edition, s).await;
    }
    end(edition, s).await;
}

async fn objects(store: &Store) -> Vec<(String, DomainObject)> {
    store.directory.objects(DOMAIN, None, 100).await.unwrap().objects
}

pub async fn objects_are_there_after_reopening<E: Edition>(edition: &E) {
    let s = begin(edition).await;
    let d = s.store.directory.clone();
    let mut record = d.account(s.account).await.unwrap().unwrap();
    record.aliases = vec!["alias".to_owned()];
    record.settings = BTreeMap::from([("RealName".to_owned(), "U. Ser".into())]);
    record.subscription = vec!["INBOX".to_owned()];
    d.update_account(record, None).await.unwrap();
    d.rename_account(s.account, DOMAIN, "renamed").await.unwrap();
    let forwarder = DomainObject::Forwarder("x@y.example".to_owned());
    d.put_object(DOMAIN, "f", forwarder, false).await.unwrap();
    let group = BTreeMap::from([("Members".to_owned(), "m".into())]);
    d.put_object(DOMAIN, "g", DomainObject::Group(group), false).await.unwrap();
    let list = BTreeMap::from([("Owner".to_owned(), "u".into())]);
    d.put_object(DOMAIN, "l", DomainObject::List(list), false).await.unwrap();
    let mut theirs = d.domain(DOMAIN).await.unwrap().unwrap();
    theirs.aliases = vec!["other.example".to_owned()];
    d.update_domain(theirs, None).await.unwrap();
    let before = (d.domain(DOMAIN).await, d.account(s.account).await, objects(&s.store).await);
    drop(d);
    let s = reopen(edition, s).await;
    let d = s.store.directory.clone();
    let after = (d.domain(DOMAIN).await, d.account(s.account).await, objects(&s.store).await);
    assert_eq!(after, before);
    assert_eq!(d.domain("other.example").await, after.0);
    drop(d);
    end(edition, s).await;
}

pub async fn removed_objects_stay_gone_after_reopening<E: Edition>(edition: &E) {
    let s = begin(edition).await;
    let d = s.store.directory.clone();
    let gone = Scene::account(&s.store, DOMAIN, "gone").await;
    gone.fill(gone.inbox, &["x"]).await;
    d.delete_account(gone.account).await.unwrap();
    drop((gone.store, d));
    let s = reopen(edition, s).await;
    assert_eq!(s.store.directory.account(gone.account).await.unwrap(), None);
    assert!(s.store.mailboxes.list(gone.account).await.is_err());
    assert_eq!(objects(&s.store).await.len(), 1);
    s.store.directory.create_account(account(DOMAIN, "gone"), NOW).await.unwrap();
    end(edition, s).await;
}

pub async fn settings_are_there_after_reopening<E: Edition>(edition: &E) {
    let s = begin(edition).await;
    let key = SettingsKey::Module("SMTP".to_owned());
    for value in ["1", "2"] {
        let value = BTreeMap::from([("Limit".to_owned(), value.into())]);
        s.store.directory.set_settings(&key, value, None).await.unwrap();
    }
    let before = s.store.directory.settings(&key).await.unwrap();
    let s = reopen(edition, s).await;
    assert_eq!(s.store.directory.settings(&key).await.unwrap(), before);
    assert_eq!(before.version, 2);
    end(edition, s).await;
}

pub async fn the_queue_is_there_after_reopening<E: Edition>(edition: &E) {
    let s = begin(edition).await;
    let (id, body) = s.store.queue.enqueue(queued("way", &[NOW, NOW + 50])).await.unwrap();
    let before = s.store.queue.message(id).await.unwrap().unwrap();
    let s = reopen(edition, s).await;
    let after = s.store.queue.message(id).await.unwrap().unwrap();
    assert_eq!((after.id, after.body, after.size), (id, body, 3));
    assert_eq!((after.return_path, after.facts), (before.return_path, before.facts));
    assert_eq!((after.recipients, after.summary), (before.recipients, before.summary));
    assert_eq!(s.store.bodies.read(body).await.unwrap(), "way");
    assert_eq!(s.store.queue.list(QueueId(0), 10).await.unwrap(), [id]);
    assert_eq!(s.store.queue.next_due().await.unwrap(), Some(NOW));
    end(edition, s).await;
}

pub async fn queue_ids_grow_over_reopening<E: Edition>(edition: &E) {
    let mut s = begin(edition).await;
    let mut last = QueueId(0);
    for _ in 0..3 {
        for _ in 0..3 {
            // Also those that were only taken.
            let next = s.store.queue.next_id();
            assert!(next > last, "{next} after {last}");
            last = next;
        }
        let (id, _) = s.store.queue.enqueue(queued("x", &[NOW])).await.unwrap();
        assert!(id > last, "{id} after {last}");
        last = s.store.queue.next_id();
        s = reopen(edition, s).await;
    }
    end(edition, s).await;
}

pub async fn settled_recipients_stay_settled_after_reopening<E: Edition>(edition: &E) {
    let s = begin(edition).await;
    let (id, _) = s.store.queue.enqueue(queued("x", &[NOW, NOW, NOW])).await.unwrap();
    let (gone, _) = s.store.queue.enqueue(queued("y", &[NOW])).await.unwrap();
    s.store.queue.lease(NOW, 10, 60).await.unwrap();
    let retry = Step::Retry { not_before: NOW + 500, error: "busy".to_owned() };
    let steps = vec![
        RecipientStep { recipient: 0, step: Step::Done },
        RecipientStep { recipient: 1, step: retry },
    ];
    s.store.queue.settle(id, steps).await.unwrap();
    let done = vec![RecipientStep { recipient: 0, step: Step::Done }];
    s.store.queue.settle(gone, done).await.unwrap();
    let s = reopen(edition, s).await;
    assert!(s.store.queue.message(gone).await.unwrap().is_none());
    let left = s.store.queue.message(id).await.unwrap().unwrap().recipients;
    assert_eq!(left[0].state, RecipientState::Done);
    let RecipientState::Waiting { not_before, attempts, .. } = &left[1].state else {
        panic!("{:?}", left[1]);
    };
    assert_eq!((*not_before, *attempts), (NOW + 500, 1));
    let work = s.store.queue.lease(NOW + 100, 10, 60).await.unwrap();
    assert_eq!(work[0].recipients, [2]);
    drop(work);
    end(edition, s).await;
}

pub async fn what_is_held_is_held_after_reopening<E: Edition>(edition: &E) {
    let s = begin(edition).await;
    let new = NewQueued { priority: -2, ..queued("x", &[NOW, NOW]) };
    let (id, _) = s.store.queue.enqueue(new).await.unwrap();
    let step = Step::Postponed { not_before: HELD };
    s.store.queue.settle(id, vec![RecipientStep { recipient: 1, step }]).await.unwrap();
    let before = s.store.queue.queues(None, 10).await.unwrap();
    let s = reopen(edition, s).await;
    assert_eq!(s.store.queue.queues(None, 10).await.unwrap(), before);
    let work = s.store.queue.lease(NOW + 9000, 10, 60).await.unwrap();
    assert_eq!((&work[0].recipients, work[0].message.priority), (&vec![0], -2));
    drop(work);
    end(edition, s).await;
}

pub async fn many_messages_and_one_with_many_recipients_are_there_after_reopening<E: Edition>(
    edition: &E,
) {
    let s = begin(edition).await;
    let many = queued("x", &[NOW; 500]);
    let (large, _) = s.store.queue.enqueue(many).await.unwrap();
    for _ in 0..200 {
        s.store.queue.enqueue(queued("y", &[NOW])).await.unwrap();
    }
    let done = |recipient| RecipientStep { recipient, step: Step::Done };
    s.store.queue.settle(large, (0..100).map(done).collect()).await.unwrap();
    let s = reopen(edition, s).await;
    let mut left = 0;
    loop {
        let work = s.store.queue.lease(NOW, 30, 60).await.unwrap();
        if work.is_empty() {
            break;
        }
        for one in work {
            left += one.recipients.len();
            let steps = one.recipients.into_iter().map(done).collect();
            s.store.queue.settle(one.message.id, steps).await.unwrap();
        }
    }
    assert_eq!((left, s.store.queue.count().await.unwrap()), (600, 0));
    end(edition, s).await;
}

pub async fn leases_end_with_reopening<E: Edition>(edition: &E) {
    let s = begin(edition).await;
    s.store.queue.enqueue(queued("x", &[NOW])).await.unwrap();
    assert_eq!(s.store.queue.lease(NOW, 10, 100_000).await.unwrap().len(), 1);
    let s = reopen(edition, s).await;
    assert_eq!(s.store.queue.next_due().await.unwrap(), Some(NOW));
    assert_eq!(s.store.queue.lease(NOW, 10, 60).await.unwrap().len(), 1);
    end(edition, s).await;
}

pub async fn deliveries_are_remembered_after_reopening<E: Edition>(edition: &E) {
    let s = begin(edition).await;
    s.append(s.inbox, vec![delivery("x", 7, 0)]).await;
    let s = reopen(edition, s).await;
    let new = vec![delivery("x", 7, 0), delivery("y", 7, 1)];
    let answer = s.store.mailboxes.append(s.account, s.inbox, new).await.unwrap().1;
    assert_eq!(answer, [Appended::Repeated, Appended::New(Uid(2))]);
    assert_eq!(s.texts(s.inbox).await, ["x", "y"]);
    end(edition, s).await;
}

pub async fn a_body_shared_with_the_queue_is_there_after_reopening<E: Edition>(edition: &E) {
    let s = begin(edition).await;
    let other = Scene::account(&s.store, DOMAIN, "other").await;
    let (id, body) = s.store.queue.enqueue(queued("to both", &[NOW])).await.unwrap();
    for home in [&s, &other] {
        let new = NewMessage { body: MessageBody::Existing(body), ..mail("") };
        home.append(home.inbox, vec![new]).await;
    }
    let done = vec![RecipientStep { recipient: 0, step: Step::Done }];
    s.store.queue.settle(id, done).await.unwrap();
    let (account, inbox) = (other.account, other.inbox);
    drop(other);
    let s = reopen(edition, s).await;
    let other = Scene { store: s.store.clone(), account, inbox };
    assert_eq!(s.texts(s.inbox).await, ["to both"]);
    s.store.mailboxes.expunge(s.account, s.inbox, &uids(&[1]), false).await.unwrap();
    assert_eq!(other.texts(inbox).await, ["to both"]);
    drop(other);
    end(edition, s).await;
}

pub async fn many_reopenings_change_nothing<E: Edition>(edition: &E) {
    let mut s = begin(edition).await;
    let other = s.make("a/b").await;
    s.fill(s.inbox, &["1", "2"]).await;
    s.store.mailboxes.copy(s.account, s.inbox, &uids(&[1]), other, NOW).await.unwrap();
    let before = (s.store.mailboxes.list(s.account).await, s.entries(other).await);
    for _ in 0..5 {
        s = reopen(edition, s).await;
        assert_eq!((s.store.mailboxes.list(s.account).await, s.entries(other).await), before);
        assert_eq!(s.texts(s.inbox).await, ["1", "2"]);
    }
    end(edition, s).await;
}

pub async fn random_operations_survive_reopening<E: Edition>(edition: &E) {
    model::survives(edition, 11, 400, 40).await;
}
