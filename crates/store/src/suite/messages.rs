//! Promises about messages in a mailbox: UIDs, MODSEQ, counters, removing.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::scene::{NOW, digest, flagged, mail, scene, uids};
use crate::{
    Appended, Changes, FlagBits, FlagChange, FlagUpdate, Flags, InternalDate, MessageBody, ModSeq,
    NewMessage, Store, StoreError, Uid,
};

pub async fn uids_ascend_from_uid_next(store: Store) {
    let s = scene(&store).await;
    assert_eq!(s.fill(s.inbox, &["one"]).await, [Uid(1)]);
    assert_eq!(s.fill(s.inbox, &["two", "three"]).await, uids(&[2, 3]));
    let (record, answer) =
        store.mailboxes.append(s.account, s.inbox, vec![mail("four")]).await.unwrap();
    assert_eq!(answer, [Appended::New(Uid(4))]);
    assert_eq!((record.uid_next, record.messages), (Uid(5), 4));
    assert_eq!(record, s.record(s.inbox).await);
}

pub async fn a_message_keeps_its_bytes_dates_and_flags(store: Store) {
    let s = scene(&store).await;
    let text = "Subject: x\r\n\r\nb\u{e4}r \0 \r \n.\r\n";
    let flags = Flags::with_keywords(FlagBits::SEEN.union(FlagBits::DRAFT), ["Later", "$Label1"]);
    let internal_date = InternalDate { seconds: -5, zone_minutes: 1439 };
    let new = NewMessage { flags: flags.clone(), internal_date, ..mail(text) };
    let uid = s.append(s.inbox, vec![new]).await[0];
    let entry = s.entry(s.inbox, uid).await;
    assert_eq!((entry.flags, entry.internal_date, entry.save_date), (flags, internal_date, NOW));
    assert_eq!((entry.size, entry.digest), (text.len() as u64, digest(text)));
    assert_eq!(store.bodies.read(entry.body).await.unwrap(), text.as_bytes());
}

pub async fn an_append_of_many_is_in_the_order_given(store: Store) {
    let s = scene(&store).await;
    s.fill(s.inbox, &["c", "a", "b"]).await;
    s.fill(s.inbox, &["0"]).await;
    assert_eq!(s.texts(s.inbox).await, ["c", "a", "b", "0"]);
}

pub async fn a_refused_message_keeps_the_whole_append_out(store: Store) {
    let s = scene(&store).await;
    s.fill(s.inbox, &["old"]).await;
    let before = s.record(s.inbox).await;
    let bad = NewMessage { uid: Some(Uid(1)), ..mail("bad") };
    let refused = store.mailboxes.append(s.account, s.inbox, vec![mail("good"), bad]).await;
    assert!(refused.is_err());
    assert_eq!(s.record(s.inbox).await, before);
    assert_eq!(s.texts(s.inbox).await, ["old"]);
}

pub async fn a_given_uid_is_kept_and_uid_next_follows(store: Store) {
    let s = scene(&store).await;
    let at = |uid| NewMessage { uid: Some(Uid(uid)), ..mail("x") };
    assert_eq!(s.append(s.inbox, vec![at(7), at(9), mail("y")]).await, uids(&[7, 9, 10]));
    assert_eq!(s.record(s.inbox).await.uid_next, Uid(11));
    assert_eq!(s.append(s.inbox, vec![at(11)]).await, [Uid(11)]);
}

/// The UID is taken (or was once), which the answer may call so or call the request wrong.
fn is_refused<T>(answer: &crate::Result<T>) -> bool {
    matches!(answer, Err(StoreError::Exists(_) | StoreError::Invalid(_)))
}

pub async fn a_given_uid_below_uid_next_is_refused(store: Store) {
    let s = scene(&store).await;
    s.fill(s.inbox, &["one", "two"]).await;
    store.mailboxes.expunge(s.account, s.inbox, &uids(&[1]), false).await.unwrap();
    for uid in [1, 2] {
        let new = NewMessage { uid: Some(Uid(uid)), ..mail("x") };
        assert!(is_refused(&store.mailboxes.append(s.account, s.inbox, vec![new]).await));
    }
    assert_eq!(s.texts(s.inbox).await, ["two"]);
}

pub async fn given_uids_that_do_not_ascend_are_refused(store: Store) {
    let s = scene(&store).await;
    let at = |uid| NewMessage { uid: Some(Uid(uid)), ..mail("x") };
    for wrong in [[5, 5], [6, 5]] {
        let new = wrong.into_iter().map(at).collect();
        assert!(is_refused(&store.mailboxes.append(s.account, s.inbox, new).await), "{wrong:?}");
    }
    assert!(s.entries(s.inbox).await.is_empty());
}

pub async fn uid_zero_is_refused(store: Store) {
    let s = scene(&store).await;
    let new = NewMessage { uid: Some(Uid(0)), ..mail("x") };
    assert!(is_refused(&store.mailboxes.append(s.account, s.inbox, vec![new]).await));
    let new = NewMessage { uid: Some(Uid(u32::MAX)), ..mail("x") };
    assert!(is_refused(&store.mailboxes.append(s.account, s.inbox, vec![new]).await));
    assert_eq!(s.fill(s.inbox, &["one"]).await, [Uid(1)]);
}

pub async fn the_original_uid_is_the_first_uid_or_the_given_one(store: Store) {
    let s = scene(&store).await;
    let given = NewMessage { original_uid: Some(4711), ..mail("given") };
    let placed = NewMessage { uid: Some(Uid(30)), ..mail("placed") };
    s.append(s.inbox, vec![mail("own"), given, placed]).await;
    let originals: Vec<_> = s.entries(s.inbox).await.iter().map(|e| e.original_uid).collect();
    assert_eq!(originals, [1, 4711, 30]);
}

pub async fn an_append_of_nothing_changes_nothing(store: Store) {
    let s = scene(&store).await;
    let before = s.record(s.inbox).await;
    let answer = store.mailboxes.append(s.account, s.inbox, Vec::new()).await.unwrap();
    assert_eq!(answer, (before.clone(), Vec::new()));
    assert_eq!(s.record(s.inbox).await, before);
}

pub async fn counters_are_right_after_every_change(store: Store) {
    let s = scene(&store).await;
    let seen = Flags::of(FlagBits::SEEN);
    let other = s.make("other").await;
    s.append(s.inbox, vec![mail("1"), flagged("22", seen), mail("333"), mail("4444")]).await;
    let deleted = FlagUpdate {
        uids: uids(&[1, 2]),
        change: FlagChange::Add,
        flags: Flags::of(FlagBits::DELETED),
        unchanged_since: None,
    };
    let counters = async |mailbox| {
        let record = s.record(mailbox).await;
        (record.messages, record.unseen, record.deleted, record.size)
    };
    assert_eq!(counters(s.inbox).await, (4, 3, 0, 10));
    store.mailboxes.change_flags(s.account, s.inbox, deleted).await.unwrap();
    assert_eq!(counters(s.inbox).await, (4, 3, 2, 10));
    store.mailboxes.copy(s.account, s.inbox, &uids(&[2, 3]), other, NOW).await.unwrap();
    assert_eq!(counters(other).await, (2, 1, 1, 5));
    store.mailboxes.move_messages(s.account, s.inbox, &uids(&[1]), other, NOW).await.unwrap();
    assert_eq!(counters(other).await, (3, 2, 2, 6));
    assert_eq!(counters(s.inbox).await, (3, 2, 1, 9));
    store.mailboxes.expunge(s.account, s.inbox, &uids(&[2, 4]), false).await.unwrap();
    assert_eq!(counters(s.inbox).await, (1, 1, 0, 3));
}

pub async fn a_snapshot_ascends_by_uid(store: Store) {
    let s = scene(&store).await;
    let gap = NewMessage { uid: Some(Uid(100)), ..mail("gap") };
    s.append(s.inbox, vec![mail("a"), gap, mail("b")]).await;
    let snapshot = store.mailboxes.snapshot(s.account, s.inbox).await.unwrap();
    let found: Vec<_> = snapshot.entries.iter().map(|entry| entry.uid).collect();
    assert_eq!(found, uids(&[1, 100, 101]));
    assert_eq!(snapshot.mailbox, s.record(s.inbox).await);
}

pub async fn a_uid_is_never_given_again(store: Store) {
    let s = scene(&store).await;
    for round in 1..6 {
        assert_eq!(s.fill(s.inbox, &["x"]).await, [Uid(round)]);
        store.mailboxes.expunge(s.account, s.inbox, &[Uid(round)], false).await.unwrap();
        assert_eq!(s.record(s.inbox).await.uid_next, Uid(round + 1));
    }
}

pub async fn an_expunge_passes_over_unknown_uids(store: Store) {
    let s = scene(&store).await;
    s.fill(s.inbox, &["1", "2", "3"]).await;
    let before = s.record(s.inbox).await;
    let none = store.mailboxes.expunge(s.account, s.inbox, &uids(&[0, 4, 9]), false).await.unwrap();
    assert!(none.is_empty());
    assert_eq!(s.record(s.inbox).await, before);
    let gone = store.mailboxes.expunge(s.account, s.inbox, &uids(&[1, 3, 7]), false).await.unwrap();
    assert_eq!(gone, uids(&[1, 3]));
    assert_eq!(s.texts(s.inbox).await, ["2"]);
}

pub async fn an_expunge_of_deleted_ones_leaves_the_others(store: Store) {
    let s = scene(&store).await;
    let deleted = Flags::of(FlagBits::DELETED.union(FlagBits::SEEN));
    s.append(s.inbox, vec![mail("1"), flagged("2", deleted.clone()), flagged("3", deleted)]).await;
    let gone = store.mailboxes.expunge(s.account, s.inbox, &uids(&[1, 2]), true).await.unwrap();
    assert_eq!(gone, uids(&[2]));
    assert_eq!(s.texts(s.inbox).await, ["1", "3"]);
}

pub async fn every_change_raises_the_modseq(store: Store) {
    let s = scene(&store).await;
    let other = s.make("other").await;
    let highest = async || s.record(s.inbox).await.highest_modseq;
    let mut last = highest().await;
    let mut grew = async |what: &str| {
        let now = highest().await;
        assert!(now > last, "{what}: {now} after {last}");
        last = now;
    };
    s.fill(s.inbox, &["1", "2", "3"]).await;
    grew("append").await;
    let flags = Flags::of(FlagBits::FLAGGED);
    let (change, unchanged_since) = (FlagChange::Add, None);
    let update = FlagUpdate { uids: uids(&[1]), change, flags, unchanged_since };
    store.mailboxes.change_flags(s.account, s.inbox, update).await.unwrap();
    grew("flags").await;
    store.mailboxes.expunge(s.account, s.inbox, &uids(&[1]), false).await.unwrap();
    grew("expunge").await;
    store.mailboxes.copy(s.account, s.inbox, &uids(&[2]), s.inbox, NOW).await.unwrap();
    grew("copy").await;
    store.mailboxes.move_messages(s.account, s.inbox, &uids(&[2]), other, NOW).await.unwrap();
    grew("move away").await;
    store.mailboxes.move_messages(s.account, other, &uids(&[1]), s.inbox, NOW).await.unwrap();
    grew("move here").await;
    let entries = s.entries(s.inbox).await;
    assert!(entries.iter().all(|entry| entry.modseq <= last));
}

pub async fn changes_name_what_is_new_changed_and_gone(store: Store) {
    let s = scene(&store).await;
    s.fill(s.inbox, &["1", "2", "3", "4"]).await;
    store.mailboxes.expunge(s.account, s.inbox, &uids(&[1]), false).await.unwrap();
    let since = s.record(s.inbox).await.highest_modseq;
    s.fill(s.inbox, &["5"]).await;
    let (change, flags) = (FlagChange::Add, Flags::of(FlagBits::SEEN));
    let update = FlagUpdate { uids: uids(&[3]), change, flags, unchanged_since: None };
    store.mailboxes.change_flags(s.account, s.inbox, update).await.unwrap();
    store.mailboxes.expunge(s.account, s.inbox, &uids(&[4]), false).await.unwrap();
    let changes = store.mailboxes.changes(s.account, s.inbox, since).await.unwrap();
    let changed: Vec<_> = changes.changed.iter().map(|entry| entry.uid).collect();
    assert_eq!(changed, uids(&[3, 5]));
    assert!(changes.vanished.contains(&Uid(4)));
    assert!(changes.vanished.is_sorted());
    let vanished = store.mailboxes.vanished(s.account, s.inbox, since).await.unwrap();
    assert_eq!(vanished, changes.vanished);
    for uid in uids(&[2, 3, 5]) {
        assert!(!changes.vanished.contains(&uid), "{uid} is still there");
    }
    let entries = s.entries(s.inbox).await;
    assert!(changes.changed.iter().all(|entry| entries.contains(entry)));
}

pub async fn nothing_has_changed_since_the_highest_modseq(store: Store) {
    let s = scene(&store).await;
    s.fill(s.inbox, &["1", "2"]).await;
    store.mailboxes.expunge(s.account, s.inbox, &uids(&[1]), false).await.unwrap();
    let highest = s.record(s.inbox).await.highest_modseq;
    let changes = store.mailboxes.changes(s.account, s.inbox, highest).await.unwrap();
    assert_eq!(changes, Changes::default());
    let gone = store.mailboxes.vanished(s.account, s.inbox, highest).await.unwrap();
    assert!(gone.is_empty());
    let all = store.mailboxes.changes(s.account, s.inbox, ModSeq(0)).await.unwrap();
    assert_eq!(all.changed, s.entries(s.inbox).await);
    assert!(all.vanished.contains(&Uid(1)));
}

pub async fn a_mailbox_and_its_neighbour_have_their_own_modseqs(store: Store) {
    let s = scene(&store).await;
    let other = s.make("other").await;
    let before = s.record(other).await;
    s.fill(s.inbox, &["1", "2"]).await;
    assert_eq!(s.record(other).await, before);
}

pub async fn a_too_large_summary_is_refused(store: Store) {
    let s = scene(&store).await;
    let of = |size: usize| NewMessage { summary: Bytes::from(vec![b's'; size]), ..mail("x") };
    let large = of(NewMessage::MAX_SUMMARY + 1);
    let refused = store.mailboxes.append(s.account, s.inbox, vec![large]).await;
    assert!(matches!(refused, Err(StoreError::Invalid(_))), "{refused:?}");
    let uid = s.append(s.inbox, vec![of(NewMessage::MAX_SUMMARY)]).await[0];
    let entry = s.entry(s.inbox, uid).await;
    let summaries = store.bodies.summaries(&[entry.body]).await.unwrap();
    assert_eq!(summaries[0].len(), NewMessage::MAX_SUMMARY);
}

pub async fn equal_messages_are_two_messages(store: Store) {
    let s = scene(&store).await;
    s.fill(s.inbox, &["same", "same"]).await;
    s.fill(s.inbox, &["same"]).await;
    store.mailboxes.expunge(s.account, s.inbox, &uids(&[2]), false).await.unwrap();
    assert_eq!(s.texts(s.inbox).await, ["same", "same"]);
    let entries = s.entries(s.inbox).await;
    assert_eq!(entries[0].digest, entries[1].digest);
}

pub async fn an_empty_message_is_kept(store: Store) {
    let s = scene(&store).await;
    let empty =
        NewMessage { body: MessageBody::Bytes(Bytes::new()), summary: Bytes::new(), ..mail("") };
    let uid = s.append(s.inbox, vec![empty]).await[0];
    let entry = s.entry(s.inbox, uid).await;
    assert_eq!((entry.size, entry.digest), (0, digest("")));
    assert!(store.bodies.read(entry.body).await.unwrap().is_empty());
    assert!(store.bodies.summaries(&[entry.body]).await.unwrap()[0].is_empty());
}

pub async fn a_thousand_messages_go_in_at_once(store: Store) {
    let s = scene(&store).await;
    let texts: Vec<String> = (0..1000).map(|i| format!("message number {i}")).collect();
    let got = s.append(s.inbox, texts.iter().map(|text| mail(text)).collect()).await;
    assert_eq!(got, (1..=1000).map(Uid).collect::<Vec<_>>());
    assert_eq!(s.texts(s.inbox).await, texts);
}

pub async fn appends_at_the_same_time_get_different_uids(store: Store) {
    let s = scene(&store).await;
    let tasks = (0..20).map(|task| {
        let s = s.clone();
        tokio::spawn(async move {
            let mut got = Vec::new();
            for round in 0..5 {
                let texts = [format!("{task}-{round}-a"), format!("{task}-{round}-b")];
                let new = s.append(s.inbox, texts.iter().map(|text| mail(text)).collect()).await;
                got.extend(new.into_iter().zip(texts));
            }
            got
        })
    });
    let mut all = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        all.extend(task.await.unwrap());
    }
    let distinct: BTreeSet<Uid> = all.iter().map(|(uid, _)| *uid).collect();
    assert_eq!(distinct.len(), 200);
    all.sort();
    let texts: Vec<String> = all.into_iter().map(|(_, text)| text).collect();
    assert_eq!(s.texts(s.inbox).await, texts);
    assert_eq!(s.record(s.inbox).await.messages, 200);
}

pub async fn usage_is_the_sum_over_all_mailboxes(store: Store) {
    let s = scene(&store).await;
    let other = s.make("other").await;
    s.fill(s.inbox, &["1", "22"]).await;
    s.fill(other, &["333"]).await;
    store.mailboxes.copy(s.account, s.inbox, &uids(&[2]), other, NOW).await.unwrap();
    assert_eq!(store.mailboxes.usage(s.account).await.unwrap(), (8, 4));
    store.mailboxes.expunge(s.account, s.inbox, &uids(&[2]), false).await.unwrap();
    assert_eq!(store.mailboxes.usage(s.account).await.unwrap(), (6, 3));
}
