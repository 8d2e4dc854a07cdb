//! Promises about copying and moving messages.

use super::scene::{NOW, Scene, digest, flagged, scene, uids};
use crate::{
    FlagBits, FlagChange, FlagPart, FlagUpdate, Flags, MailboxId, MessageEntry, Store, StoreError,
    Transfer, Uid,
};

/// INBOX with "one", "two" and "three", and an empty mailbox beside it.
async fn two_mailboxes(store: &Store) -> (Scene, MailboxId) {
    let s = scene(store).await;
    let work = Flags::with_keywords(FlagBits::SEEN.union(FlagBits::DELETED), ["Work"]);
    s.fill(s.inbox, &["one"]).await;
    s.append(s.inbox, vec![flagged("two", work)]).await;
    s.fill(s.inbox, &["three"]).await;
    let other = s.make("other").await;
    (s, other)
}

fn same_message(copy: &MessageEntry, original: &MessageEntry) {
    assert_eq!(copy.flags, original.flags);
    assert_eq!(copy.internal_date, original.internal_date);
    assert_eq!((copy.size, copy.digest), (original.size, original.digest));
    assert_eq!(copy.original_uid, original.original_uid);
}

pub async fn a_copy_keeps_flags_dates_and_bytes(store: Store) {
    let (s, other) = two_mailboxes(&store).await;
    let original = s.entry(s.inbox, Uid(2)).await;
    let copied = store.mailboxes.copy(s.account, s.inbox, &[Uid(2)], other, NOW + 9).await.unwrap();
    assert_eq!(copied.pairs, [(Uid(2), Uid(1))]);
    let copy = s.entry(other, Uid(1)).await;
    same_message(&copy, &original);
    assert_eq!(copy.save_date, NOW + 9);
    assert_eq!(s.texts(other).await, ["two"]);
    assert_eq!(s.entry(s.inbox, Uid(2)).await, original);
}

pub async fn a_copy_has_its_own_flags(store: Store) {
    let (s, other) = two_mailboxes(&store).await;
    store.mailboxes.copy(s.account, s.inbox, &[Uid(1)], other, NOW).await.unwrap();
    let update = FlagUpdate {
        uids: uids(&[1]),
        change: FlagChange::Add,
        flags: Flags::of(FlagBits::FLAGGED),
        unchanged_since: None,
    };
    store.mailboxes.change_flags(s.account, other, update).await.unwrap();
    assert_eq!(s.entry(s.inbox, Uid(1)).await.flags, Flags::default());
    assert_eq!(s.entry(other, Uid(1)).await.flags, Flags::of(FlagBits::FLAGGED));
}

pub async fn what_is_copied_or_moved_takes_only_the_flags_asked_for_along(store: Store) {
    let (s, other) = two_mailboxes(&store).await;
    let original = s.entry(s.inbox, Uid(2)).await;
    let flags = FlagPart { bits: FlagBits::SEEN, keywords: false };
    let way = Transfer { from: s.inbox, to: other, keep: true, flags, save_date: NOW };
    let all = uids(&[1, 2, 3]);
    let pairs = store.mailboxes.transfer(s.account, way, &all).await.unwrap().pairs;
    assert_eq!(pairs.len(), 3);
    let kept = Flags::of(FlagBits::SEEN);
    assert_eq!(s.entry(other, Uid(2)).await.flags, kept);
    assert_eq!(s.entry(other, Uid(1)).await.flags, Flags::default());
    assert_eq!(s.entry(s.inbox, Uid(2)).await, original);
    let flags = FlagPart { bits: FlagBits::DELETED, keywords: true };
    let way = Transfer { keep: false, flags, ..way };
    let pairs = store.mailboxes.transfer(s.account, way, &all).await.unwrap().pairs;
    assert_eq!(pairs, [(Uid(1), Uid(4)), (Uid(2), Uid(5)), (Uid(3), Uid(6))]);
    let moved = s.entry(other, Uid(5)).await;
    assert_eq!(moved.flags, Flags::with_keywords(FlagBits::DELETED, ["Work"]));
    assert!(s.texts(s.inbox).await.is_empty());
    assert_eq!(s.texts(other).await, ["one", "two", "three", "one", "two", "three"]);
    let record = store.mailboxes.get(s.account, other).await.unwrap();
    assert_eq!((record.messages, record.deleted), (6, 1));
}

pub async fn copies_come_in_the_order_asked_for(store: Store) {
    let (s, other) = two_mailboxes(&store).await;
    let order = uids(&[3, 1, 2]);
    let copied = store.mailboxes.copy(s.account, s.inbox, &order, other, NOW).await.unwrap();
    let expected: Vec<_> = order.into_iter().zip(uids(&[1, 2, 3])).collect();
    assert_eq!(copied.pairs, expected);
    assert_eq!(s.texts(other).await, ["three", "one", "two"]);
}

pub async fn a_copy_passes_over_unknown_uids(store: Store) {
    let (s, other) = two_mailboxes(&store).await;
    let asked = uids(&[9, 3, 0, 1]);
    let copied = store.mailboxes.copy(s.account, s.inbox, &asked, other, NOW).await.unwrap();
    assert_eq!(copied.pairs, [(Uid(3), Uid(1)), (Uid(1), Uid(2))]);
}

pub async fn a_copy_may_go_into_its_own_mailbox(store: Store) {
    let (s, _) = two_mailboxes(&store).await;
    let copied = store.mailboxes.copy(s.account, s.inbox, &uids(&[1, 3]), s.inbox, NOW).await;
    assert_eq!(copied.unwrap().pairs, [(Uid(1), Uid(4)), (Uid(3), Uid(5))]);
    assert_eq!(s.texts(s.inbox).await, ["one", "two", "three", "one", "three"]);
}

pub async fn a_copy_outlives_its_original(store: Store) {
    let (s, other) = two_mailboxes(&store).await;
    store.mailboxes.copy(s.account, s.inbox, &uids(&[1, 2]), other, NOW).await.unwrap();
    store.mailboxes.expunge(s.account, s.inbox, &uids(&[1]), false).await.unwrap();
    store.mailboxes.expunge(s.account, other, &uids(&[2]), false).await.unwrap();
    assert_eq!(s.texts(other).await, ["one"]);
    assert_eq!(s.texts(s.inbox).await, ["two", "three"]);
    store.mailboxes.delete(s.account, other).await.unwrap();
    assert_eq!(s.texts(s.inbox).await, ["two", "three"]);
}

pub async fn a_copy_keeps_the_original_uid(store: Store) {
    let (s, other) = two_mailboxes(&store).await;
    store.mailboxes.copy(s.account, s.inbox, &uids(&[3]), other, NOW).await.unwrap();
    assert_eq!(s.entry(other, Uid(1)).await.original_uid, 3);
    store.mailboxes.move_messages(s.account, other, &uids(&[1]), s.inbox, NOW).await.unwrap();
    assert_eq!(s.entry(s.inbox, Uid(4)).await.original_uid, 3);
}

pub async fn a_copy_of_nothing_changes_nothing(store: Store) {
    let (s, other) = two_mailboxes(&store).await;
    let before = (s.record(s.inbox).await, s.record(other).await);
    for none in [uids(&[]), uids(&[77])] {
        let m = &store.mailboxes;
        assert!(m.copy(s.account, s.inbox, &none, other, NOW).await.unwrap().pairs.is_empty());
        let moved = m.move_messages(s.account, s.inbox, &none, other, NOW).await.unwrap();
        assert!(moved.pairs.is_empty());
    }
    assert_eq!((s.record(s.inbox).await, s.record(other).await), before);
}

pub async fn a_copy_into_a_directory_is_refused(store: Store) {
    let (s, _) = two_mailboxes(&store).await;
    let directory = s.try_make("dir", false).await.unwrap().id;
    let refused = store.mailboxes.copy(s.account, s.inbox, &uids(&[1]), directory, NOW).await;
    assert!(matches!(refused, Err(StoreError::Invalid(_))), "{refused:?}");
}

pub async fn a_copy_into_an_unknown_mailbox_is_refused(store: Store) {
    let (s, other) = two_mailboxes(&store).await;
    store.mailboxes.delete(s.account, other).await.unwrap();
    let refused = store.mailboxes.copy(s.account, s.inbox, &uids(&[1]), other, NOW).await;
    assert_eq!(refused.err(), Some(StoreError::NotFound("mailbox")));
    let refused = store.mailboxes.move_messages(s.account, s.inbox, &uids(&[1]), other, NOW).await;
    assert_eq!(refused.err(), Some(StoreError::NotFound("mailbox")));
    assert_eq!(s.texts(s.inbox).await, ["one", "two", "three"]);
}

pub async fn a_moved_message_is_in_exactly_one_mailbox(store: Store) {
    let (s, other) = two_mailboxes(&store).await;
    let moved = store.mailboxes.move_messages(s.account, s.inbox, &uids(&[3, 1]), other, NOW).await;
    assert_eq!(moved.unwrap().pairs, [(Uid(3), Uid(1)), (Uid(1), Uid(2))]);
    assert_eq!(s.texts(s.inbox).await, ["two"]);
    assert_eq!(s.texts(other).await, ["three", "one"]);
    assert_eq!(store.mailboxes.usage(s.account).await.unwrap(), (11, 3));
}

pub async fn a_move_passes_over_unknown_uids(store: Store) {
    let (s, other) = two_mailboxes(&store).await;
    let asked = uids(&[8, 2, 9]);
    let moved = store.mailboxes.move_messages(s.account, s.inbox, &asked, other, NOW).await;
    assert_eq!(moved.unwrap().pairs, [(Uid(2), Uid(1))]);
    assert_eq!(s.texts(s.inbox).await, ["one", "three"]);
}

pub async fn a_move_is_seen_as_gone_in_the_source(store: Store) {
    let (s, other) = two_mailboxes(&store).await;
    let (here, there) = (s.record(s.inbox).await, s.record(other).await);
    store.mailboxes.move_messages(s.account, s.inbox, &uids(&[2]), other, NOW).await.unwrap();
    let gone = store.mailboxes.changes(s.account, s.inbox, here.highest_modseq).await.unwrap();
    assert_eq!((gone.changed.len(), gone.vanished), (0, uids(&[2])));
    let new = store.mailboxes.changes(s.account, other, there.highest_modseq).await.unwrap();
    assert_eq!(new.changed, s.entries(other).await);
}

pub async fn a_moved_message_keeps_bytes_and_flags(store: Store) {
    let (s, other) = two_mailboxes(&store).await;
    let original = s.entry(s.inbox, Uid(2)).await;
    store.mailboxes.move_messages(s.account, s.inbox, &uids(&[2]), other, NOW + 5).await.unwrap();
    let moved = s.entry(other, Uid(1)).await;
    same_message(&moved, &original);
    assert_eq!((moved.save_date, moved.digest), (NOW + 5, digest("two")));
    assert_eq!(s.texts(other).await, ["two"]);
}

pub async fn a_move_into_its_own_mailbox_gives_new_uids(store: Store) {
    let (s, _) = two_mailboxes(&store).await;
    let moved = store.mailboxes.move_messages(s.account, s.inbox, &uids(&[1]), s.inbox, NOW).await;
    assert_eq!(moved.unwrap().pairs, [(Uid(1), Uid(4))]);
    assert_eq!(s.texts(s.inbox).await, ["two", "three", "one"]);
}

pub async fn a_move_into_a_directory_changes_nothing(store: Store) {
    let (s, _) = two_mailboxes(&store).await;
    let directory = s.try_make("dir", false).await.unwrap().id;
    let before = s.record(s.inbox).await;
    let m = &store.mailboxes;
    let refused = m.move_messages(s.account, s.inbox, &uids(&[1]), directory, NOW).await;
    assert!(matches!(refused, Err(StoreError::Invalid(_))), "{refused:?}");
    assert_eq!(s.record(s.inbox).await, before);
    assert_eq!(s.texts(s.inbox).await, ["one", "two", "three"]);
}

pub async fn a_move_there_and_back_gives_no_old_uid(store: Store) {
    let (s, other) = two_mailboxes(&store).await;
    let m = &store.mailboxes;
    m.move_messages(s.account, s.inbox, &uids(&[3]), other, NOW).await.unwrap();
    let back = m.move_messages(s.account, other, &uids(&[1]), s.inbox, NOW).await.unwrap();
    assert_eq!(back.pairs, [(Uid(1), Uid(4))]);
    assert_eq!(s.record(other).await.uid_next, Uid(2));
}
