//! Promises about renaming mailboxes, trees and INBOX.

use super::scene::{NOW, scene};
use crate::{Store, StoreError, Uid};

pub async fn a_rename_keeps_id_validity_and_messages(store: Store) {
    let s = scene(&store).await;
    let id = s.make("a").await;
    s.fill(id, &["one", "two"]).await;
    let before = s.record(id).await;
    let entries = s.entries(id).await;
    let answer = store.mailboxes.rename_tree(s.account, "a", "b", NOW).await.unwrap();
    let after = s.record(id).await;
    assert_eq!(answer.len(), 1);
    assert_eq!((answer[0].id, answer[0].name.as_str()), (id, "b"));
    assert_eq!((after.id, after.uid_validity), (before.id, before.uid_validity));
    assert_eq!((after.uid_next, after.messages), (before.uid_next, 2));
    assert_eq!(s.entries(id).await, entries);
    assert_eq!(s.names().await, ["INBOX", "b"]);
}

pub async fn a_rename_takes_everything_below_along(store: Store) {
    let s = scene(&store).await;
    let (top, low) = (s.make("a").await, s.make("a/b/c").await);
    s.fill(low, &["deep"]).await;
    let answer = store.mailboxes.rename_tree(s.account, "a", "z", NOW).await.unwrap();
    let names: Vec<_> = answer.iter().map(|m| m.name.as_str()).collect();
    assert_eq!(names, ["z", "z/b", "z/b/c"]);
    assert_eq!(s.names().await, ["INBOX", "z", "z/b/", "z/b/c"]);
    assert_eq!(s.record(top).await.name, "z");
    assert_eq!(s.texts(low).await, ["deep"]);
}

pub async fn a_rename_touches_no_mailbox_with_a_similar_name(store: Store) {
    let s = scene(&store).await;
    for name in ["a", "a/x", "ab", "a-b/x", "A", "b/a"] {
        s.make(name).await;
    }
    store.mailboxes.rename_tree(s.account, "a", "n", NOW).await.unwrap();
    assert_eq!(s.names().await, ["A", "INBOX", "a-b/", "a-b/x", "ab", "b/", "b/a", "n", "n/x"]);
}

pub async fn a_rename_makes_missing_parents(store: Store) {
    let s = scene(&store).await;
    s.make("a").await;
    store.mailboxes.rename_tree(s.account, "a", "x/y/z", NOW).await.unwrap();
    assert_eq!(s.names().await, ["INBOX", "x/", "x/y/", "x/y/z"]);
}

pub async fn a_rename_leaves_no_empty_directory_behind(store: Store) {
    let s = scene(&store).await;
    s.make("a/b/c").await;
    store.mailboxes.rename_tree(s.account, "a/b/c", "a/d", NOW).await.unwrap();
    assert_eq!(s.names().await, ["INBOX", "a/", "a/d"]);
    store.mailboxes.rename_tree(s.account, "a/d", "e", NOW).await.unwrap();
    assert_eq!(s.names().await, ["INBOX", "e"]);
}

pub async fn a_rename_onto_a_taken_name_answers_exists(store: Store) {
    let s = scene(&store).await;
    for name in ["a", "b", "c/d"] {
        s.make(name).await;
    }
    let taken = Some(StoreError::Exists("mailbox"));
    for to in ["b", "c", "c/d", "INBOX", "a"] {
        let refused = store.mailboxes.rename_tree(s.account, "a", to, NOW).await;
        assert_eq!(refused.err(), taken, "{to}");
    }
    assert_eq!(s.names().await, ["INBOX", "a", "b", "c/", "c/d"]);
}

pub async fn a_rename_of_nothing_answers_not_found(store: Store) {
    let s = scene(&store).await;
    let refused = store.mailboxes.rename_tree(s.account, "a", "x/b", NOW).await;
    assert_eq!(refused.err(), Some(StoreError::NotFound("mailbox")));
    assert_eq!(s.names().await, ["INBOX"]);
}

pub async fn a_rename_below_itself_is_refused(store: Store) {
    let s = scene(&store).await;
    s.make("a/b").await;
    for to in ["a/c/d", "a/b/c/a", "a//x", "/a", ""] {
        let refused = store.mailboxes.rename_tree(s.account, "a", to, NOW).await;
        assert!(matches!(refused, Err(StoreError::Invalid(_))), "{to:?}: {refused:?}");
    }
    assert_eq!(s.names().await, ["INBOX", "a/", "a/b"]);
}

pub async fn a_renamed_name_is_free_again(store: Store) {
    let s = scene(&store).await;
    let first = s.make("a").await;
    s.fill(first, &["old"]).await;
    store.mailboxes.rename_tree(s.account, "a", "b", NOW).await.unwrap();
    let second = s.make("a").await;
    assert_ne!(first, second);
    assert!(s.texts(second).await.is_empty());
    assert_eq!(s.texts(first).await, ["old"]);
}

pub async fn renaming_inbox_moves_its_messages_and_leaves_it_empty(store: Store) {
    let s = scene(&store).await;
    s.fill(s.inbox, &["one", "two"]).await;
    let answer = store.mailboxes.rename_tree(s.account, "INBOX", "old/mail", NOW).await.unwrap();
    assert_eq!(answer.len(), 1);
    assert_eq!((answer[0].name.as_str(), answer[0].messages), ("old/mail", 2));
    assert_ne!(answer[0].id, s.inbox);
    assert_eq!(s.names().await, ["INBOX", "old/", "old/mail"]);
    assert_eq!(s.texts(answer[0].id).await, ["one", "two"]);
    assert!(s.entries(s.inbox).await.is_empty());
    assert_eq!(s.record(s.inbox).await.messages, 0);
}

pub async fn renaming_inbox_leaves_its_children(store: Store) {
    let s = scene(&store).await;
    let child = s.make("INBOX/child").await;
    s.fill(child, &["below"]).await;
    store.mailboxes.rename_tree(s.account, "INBOX", "old", NOW).await.unwrap();
    assert_eq!(s.names().await, ["INBOX", "INBOX/child", "old"]);
    assert_eq!(s.texts(child).await, ["below"]);
}

pub async fn inbox_goes_on_with_its_uids_after_a_rename(store: Store) {
    let s = scene(&store).await;
    s.fill(s.inbox, &["one", "two"]).await;
    let before = s.record(s.inbox).await;
    store.mailboxes.rename_tree(s.account, "INBOX", "old", NOW).await.unwrap();
    let after = s.record(s.inbox).await;
    assert_eq!((after.uid_validity, after.uid_next), (before.uid_validity, before.uid_next));
    let changes = store.mailboxes.changes(s.account, s.inbox, before.highest_modseq).await;
    assert_eq!(changes.unwrap().vanished, [Uid(1), Uid(2)]);
    assert_eq!(s.fill(s.inbox, &["three"]).await, [Uid(3)]);
}

pub async fn a_name_never_sees_a_validity_twice_after_renames(store: Store) {
    let s = scene(&store).await;
    let mut seen = Vec::new();
    for round in 0..4 {
        let one = s.try_make("a", true).await.unwrap();
        let two = s.try_make("b", true).await.unwrap();
        seen.push(two.uid_validity);
        store.mailboxes.delete(s.account, two.id).await.unwrap();
        let moved = store.mailboxes.rename_tree(s.account, "a", "b", NOW).await.unwrap();
        let validity = moved[0].uid_validity;
        assert_eq!(validity, one.uid_validity);
        assert!(!seen.contains(&validity), "round {round}: {validity} again in {seen:?}");
        seen.push(validity);
        store.mailboxes.delete(s.account, one.id).await.unwrap();
    }
}
