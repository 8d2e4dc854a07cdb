//! Promises about making, listing and removing mailboxes and directories.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::scene::{DOMAIN, NOW, Scene, mail, scene};
use crate::{
    AccountId, Annotations, AttributesPatch, FlagBits, FlagChange, FlagUpdate, Flags, MailboxId,
    ModSeq, NewMailbox, Store, StoreError, Uid, UidValidity,
};

pub async fn a_new_account_has_an_empty_inbox(store: Store) {
    let s = scene(&store).await;
    assert_eq!(s.names().await, ["INBOX"]);
    let inbox = s.record(s.inbox).await;
    assert!(inbox.selectable && inbox.uid_validity.0 >= NOW as u32);
    assert_eq!((inbox.uid_next, inbox.messages, inbox.size), (Uid(1), 0, 0));
    assert!(inbox.highest_modseq >= ModSeq(1));
    assert!(s.entries(s.inbox).await.is_empty());
}

pub async fn mailboxes_are_listed_in_the_order_of_their_names(store: Store) {
    let s = scene(&store).await;
    for name in ["zebra", "Apfel", "\u{c4}pfel", "apfel/kern", "apfel", "apfel-mus"] {
        let _ = s.try_make(name, true).await;
    }
    let names = s.store.mailboxes.list(s.account).await.unwrap();
    let names: Vec<_> = names.into_iter().map(|m| m.name).collect();
    let mut sorted = names.clone();
    sorted.sort();
    assert_eq!(names, sorted);
    assert_eq!(names.len(), 7);
}

pub async fn a_mailbox_keeps_its_class_special_use_and_rights(store: Store) {
    let s = scene(&store).await;
    let acl = BTreeMap::from([("anyone".to_owned(), "lr".into())]);
    let new = NewMailbox {
        name: "Contacts".to_owned(),
        selectable: true,
        now: NOW,
        class: "IPF.Contact".to_owned(),
        special_use: "\\Archive".to_owned(),
        acl: acl.clone(),
        ..<_>::default()
    };
    let made = store.mailboxes.create(s.account, new).await.unwrap();
    assert_eq!(made, s.record(made.id).await);
    assert_eq!((made.class.as_str(), made.special_use.as_str()), ("IPF.Contact", "\\Archive"));
    assert_eq!((made.name.as_str(), made.acl), ("Contacts", acl));
}

pub async fn missing_parents_are_made_as_directories(store: Store) {
    let s = scene(&store).await;
    s.make("a/b/c").await;
    assert_eq!(s.names().await, ["INBOX", "a/", "a/b/", "a/b/c"]);
}

pub async fn making_a_mailbox_twice_answers_exists(store: Store) {
    let s = scene(&store).await;
    s.make("a/b").await;
    assert_eq!(s.try_make("a/b", true).await.err(), Some(StoreError::Exists("mailbox")));
    assert_eq!(s.try_make("a", false).await.err(), Some(StoreError::Exists("mailbox")));
    assert_eq!(s.try_make("INBOX", true).await.err(), Some(StoreError::Exists("mailbox")));
    assert_eq!(s.names().await, ["INBOX", "a/", "a/b"]);
}

pub async fn a_directory_becomes_selectable_with_a_fresh_validity(store: Store) {
    let s = scene(&store).await;
    s.make("a/b").await;
    let before = s.named("a").await;
    let after = s.try_make("a", true).await.unwrap();
    assert!(after.selectable);
    assert_ne!(before.uid_validity, after.uid_validity);
    assert_eq!(s.names().await, ["INBOX", "a", "a/b"]);
    assert_eq!(s.fill(after.id, &["one"]).await, [Uid(1)]);
}

pub async fn a_directory_holds_no_messages(store: Store) {
    let s = scene(&store).await;
    let directory = s.try_make("a", false).await.unwrap().id;
    let refused = store.mailboxes.append(s.account, directory, vec![mail("x")]).await;
    assert!(matches!(refused, Err(StoreError::Invalid(_))), "{refused:?}");
    assert!(s.entries(directory).await.is_empty());
    assert_eq!(store.mailboxes.usage(s.account).await.unwrap(), (0, 0));
}

pub async fn a_name_with_an_empty_level_is_refused(store: Store) {
    let s = scene(&store).await;
    for name in ["", "/", "a/", "/a", "a//b"] {
        let refused = s.try_make(name, true).await;
        assert!(matches!(refused, Err(StoreError::Invalid(_))), "{name:?}: {refused:?}");
    }
    let long = "x".repeat(NewMailbox::MAX_NAME + 1);
    assert!(matches!(s.try_make(&long, true).await, Err(StoreError::Invalid(_))));
    assert_eq!(s.names().await, ["INBOX"]);
}

pub async fn inbox_cannot_be_removed(store: Store) {
    let s = scene(&store).await;
    let refused = store.mailboxes.delete(s.account, s.inbox).await;
    assert!(matches!(refused, Err(StoreError::Invalid(_))), "{refused:?}");
    assert_eq!(s.names().await, ["INBOX"]);
}

pub async fn a_removed_mailbox_is_gone(store: Store) {
    let s = scene(&store).await;
    let id = s.make("a").await;
    s.fill(id, &["one", "two"]).await;
    store.mailboxes.delete(s.account, id).await.unwrap();
    assert_eq!(s.names().await, ["INBOX"]);
    assert_eq!(store.mailboxes.usage(s.account).await.unwrap(), (0, 0));
    let get = store.mailboxes.get(s.account, id).await;
    assert_eq!(get.err(), Some(StoreError::NotFound("mailbox")));
}

pub async fn a_removed_mailbox_with_children_becomes_a_directory(store: Store) {
    let s = scene(&store).await;
    let id = s.make("a").await;
    let child = s.make("a/b").await;
    s.fill(id, &["one"]).await;
    s.fill(child, &["two"]).await;
    store.mailboxes.delete(s.account, id).await.unwrap();
    assert_eq!(s.names().await, ["INBOX", "a/", "a/b"]);
    assert_eq!(s.texts(child).await, ["two"]);
    assert_eq!(store.mailboxes.usage(s.account).await.unwrap(), (3, 1));
}

pub async fn a_directory_with_children_cannot_be_removed(store: Store) {
    let s = scene(&store).await;
    s.make("a/b").await;
    let directory = s.named("a").await.id;
    let refused = store.mailboxes.delete(s.account, directory).await;
    assert!(matches!(refused, Err(StoreError::Invalid(_))), "{refused:?}");
    assert_eq!(s.names().await, ["INBOX", "a/", "a/b"]);
}

pub async fn a_directory_goes_with_its_last_child(store: Store) {
    let s = scene(&store).await;
    let deep = s.make("a/b/c").await;
    let other = s.make("a/b/d").await;
    store.mailboxes.delete(s.account, deep).await.unwrap();
    assert_eq!(s.names().await, ["INBOX", "a/", "a/b/", "a/b/d"]);
    store.mailboxes.delete(s.account, other).await.unwrap();
    assert_eq!(s.names().await, ["INBOX"]);
}

pub async fn an_empty_directory_can_be_removed(store: Store) {
    let s = scene(&store).await;
    let directory = s.try_make("a", false).await.unwrap().id;
    assert_eq!(s.names().await, ["INBOX", "a/"]);
    store.mailboxes.delete(s.account, directory).await.unwrap();
    assert_eq!(s.names().await, ["INBOX"]);
}

pub async fn a_name_made_again_gets_another_validity(store: Store) {
    let s = scene(&store).await;
    let mut seen = Vec::new();
    for _ in 0..5 {
        let made = s.try_make("a", true).await.unwrap();
        assert!(!seen.contains(&made.uid_validity), "{:?} again", made.uid_validity);
        seen.push(made.uid_validity);
        store.mailboxes.delete(s.account, made.id).await.unwrap();
    }
}

pub async fn a_validity_is_at_least_now(store: Store) {
    let s = scene(&store).await;
    let later = NOW + 1_000_000;
    let new = NewMailbox { name: "a".to_owned(), selectable: true, now: later, ..<_>::default() };
    let made = store.mailboxes.create(s.account, new).await.unwrap();
    assert!(made.uid_validity.0 >= later as u32);
}

pub async fn a_given_validity_is_kept(store: Store) {
    let s = scene(&store).await;
    let new = NewMailbox {
        name: "a".to_owned(),
        selectable: true,
        uid_validity: Some(UidValidity(42)),
        now: NOW,
        ..<_>::default()
    };
    let made = store.mailboxes.create(s.account, new).await.unwrap();
    assert_eq!(made.uid_validity, UidValidity(42));
    assert_eq!(s.record(made.id).await.uid_validity, UidValidity(42));
}

pub async fn a_mailbox_id_is_never_given_again(store: Store) {
    let s = scene(&store).await;
    let first = s.make("a").await;
    store.mailboxes.delete(s.account, first).await.unwrap();
    let second = s.make("a").await;
    let third = s.make("b").await;
    let other = Scene::account(&store, DOMAIN, "other").await;
    let ids = [first, second, third, s.inbox];
    for (i, id) in ids.iter().enumerate() {
        assert!(!ids[i + 1..].contains(id), "{ids:?}");
    }
    assert!(other.inbox != first || other.account != s.account);
}

pub async fn attributes_change_one_by_one(store: Store) {
    let s = scene(&store).await;
    let id = s.make("a").await;
    let acl = BTreeMap::from([("bob".to_owned(), "lrs".into())]);
    let set = |patch| store.mailboxes.set_attributes(s.account, id, patch);
    set(AttributesPatch { class: Some("IPF.Task".to_owned()), ..<_>::default() }).await.unwrap();
    set(AttributesPatch { acl: Some(acl.clone()), ..<_>::default() }).await.unwrap();
    let special_use = Some("\\Sent".to_owned());
    let told = set(AttributesPatch { special_use, ..<_>::default() }).await.unwrap();
    s.fill(id, &["one", "two"]).await;
    let recent = set(AttributesPatch { first_recent: Some(Uid(3)), ..<_>::default() }).await;
    let record = s.record(id).await;
    assert_eq!((told.class.as_str(), told.special_use.as_str()), ("IPF.Task", "\\Sent"));
    assert_eq!((&told.acl, &record.acl), (&acl, &acl));
    assert_eq!(recent.unwrap(), record);
    assert_eq!((record.first_recent, record.uid_next, record.messages), (Uid(3), Uid(3), 2));
}

/// One change of an annotation.
fn annotation(name: &str, value: Option<&[u8]>) -> (String, Option<Bytes>) {
    (name.to_owned(), value.map(Bytes::copy_from_slice))
}

pub async fn annotations_stay_with_their_mailbox_until_it_is_removed(store: Store) {
    let s = scene(&store).await;
    let id = s.make("a/b").await;
    let set = |changes| {
        let patch = AttributesPatch { annotations: changes, ..<_>::default() };
        store.mailboxes.set_attributes(s.account, id, patch)
    };
    let binary: &[u8] = b"\0\r\n\xff";
    let told = set(vec![annotation("x", Some(binary)), annotation("y", Some(b""))]).await.unwrap();
    assert_eq!(told.annotations.get("x").map(|v| v.as_ref()), Some(binary));
    assert_eq!(told.annotations.len(), 2);
    let acl = Some(BTreeMap::from([("bob".to_owned(), "lrs".into())]));
    let patch = AttributesPatch { acl, ..<_>::default() };
    store.mailboxes.set_attributes(s.account, id, patch).await.unwrap();
    s.fill(id, &["one"]).await;
    store.mailboxes.rename_tree(s.account, "a", "c", NOW).await.unwrap();
    assert_eq!(s.named("c/b").await.annotations, told.annotations);
    set(vec![annotation("x", None), annotation("never", None)]).await.unwrap();
    let left = s.record(id).await.annotations;
    assert_eq!(left.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["y"]);
    store.mailboxes.delete(s.account, id).await.unwrap();
    let again = s.make("c/b").await;
    assert!(s.record(again).await.annotations.is_empty());
}

pub async fn annotations_change_all_or_none_and_within_their_bounds(store: Store) {
    let s = scene(&store).await;
    let set = |changes| {
        let patch = AttributesPatch { annotations: changes, ..<_>::default() };
        store.mailboxes.set_attributes(s.account, s.inbox, patch)
    };
    let large = vec![0; Annotations::MAX_VALUE + 1];
    let many = (0..=Annotations::MAX_ENTRIES).map(|n| annotation(&n.to_string(), Some(b"v")));
    let full = vec![0; Annotations::MAX_VALUE];
    let octets = (0..9).map(|n| annotation(&n.to_string(), Some(&full)));
    let long = "x".repeat(Annotations::MAX_NAME + 1);
    for refused in [
        vec![annotation("a", Some(b"1")), annotation("b", Some(&large))],
        many.collect(),
        octets.collect(),
        vec![annotation("a", Some(b"1")), annotation(&long, Some(b"1"))],
        vec![annotation("", Some(b"1"))],
    ] {
        let answer = set(refused).await;
        assert!(matches!(answer, Err(StoreError::Invalid(_))), "{answer:?}");
        assert!(s.record(s.inbox).await.annotations.is_empty());
    }
    set(vec![annotation("a", Some(&full))]).await.unwrap();
    assert_eq!(s.record(s.inbox).await.annotations.get("a").map(|v| v.len()), Some(full.len()));
}

pub async fn uid_next_may_only_grow(store: Store) {
    let s = scene(&store).await;
    let set = |next| {
        let patch = AttributesPatch { uid_next: Some(Uid(next)), ..<_>::default() };
        store.mailboxes.set_attributes(s.account, s.inbox, patch)
    };
    assert_eq!(set(500).await.unwrap().uid_next, Uid(500));
    let refused = set(499).await;
    assert!(matches!(refused, Err(StoreError::Invalid(_))), "{refused:?}");
    assert_eq!(s.fill(s.inbox, &["one"]).await, [Uid(500)]);
    assert_eq!(s.record(s.inbox).await.uid_next, Uid(501));
}

pub async fn an_unknown_account_is_not_found(store: Store) {
    let s = scene(&store).await;
    let nobody = AccountId(s.account.0 + 1_000_000);
    let missing = Some(StoreError::NotFound("account"));
    let m = &store.mailboxes;
    assert_eq!(m.list(nobody).await.err(), missing);
    assert_eq!(m.get(nobody, s.inbox).await.err(), missing);
    assert_eq!(m.snapshot(nobody, s.inbox).await.err(), missing);
    assert_eq!(m.append(nobody, s.inbox, vec![mail("x")]).await.err(), missing);
    assert_eq!(m.usage(nobody).await.err(), missing);
    assert_eq!(m.expunge(nobody, s.inbox, &[Uid(1)], false).await.err(), missing);
}

pub async fn an_unknown_mailbox_is_not_found(store: Store) {
    let s = scene(&store).await;
    let nothing = MailboxId(s.inbox.0 + 1_000_000);
    let missing = Some(StoreError::NotFound("mailbox"));
    let m = &store.mailboxes;
    assert_eq!(m.get(s.account, nothing).await.err(), missing);
    assert_eq!(m.snapshot(s.account, nothing).await.err(), missing);
    assert_eq!(m.changes(s.account, nothing, ModSeq(1)).await.err(), missing);
    assert_eq!(m.append(s.account, nothing, vec![mail("x")]).await.err(), missing);
    assert_eq!(m.delete(s.account, nothing).await.err(), missing);
    assert_eq!(m.copy(s.account, s.inbox, &[Uid(1)], nothing, NOW).await.err(), missing);
    assert_eq!(m.copy(s.account, nothing, &[Uid(1)], s.inbox, NOW).await.err(), missing);
}

pub async fn a_mailbox_of_another_account_is_not_found(store: Store) {
    let s = scene(&store).await;
    let other = Scene::account(&store, DOMAIN, "other").await;
    let theirs = other.make("private").await;
    other.fill(theirs, &["secret"]).await;
    let (one, two) = (s.record(s.inbox).await, other.record(other.inbox).await);
    let ours = store.mailboxes.snapshot(s.account, theirs).await;
    // Ids need be unique in an account only, but then they name its own mailbox.
    match ours {
        Err(error) => assert_eq!(error, StoreError::NotFound("mailbox")),
        Ok(snapshot) => assert!(snapshot.entries.is_empty()),
    }
    assert_eq!((one.messages, two.messages), (0, 0));
}

pub async fn made_parents_and_left_directories_keep_the_access_rights(store: Store) {
    let s = scene(&store).await;
    let acl = BTreeMap::from([("anyone".to_owned(), "lr".into())]);
    let name = "a/b/c".to_owned();
    let new = NewMailbox { name, selectable: true, now: NOW, acl: acl.clone(), ..<_>::default() };
    store.mailboxes.create(s.account, new).await.unwrap();
    assert_eq!(s.named("a").await.acl, acl);
    assert_eq!(s.named("a/b").await.acl, acl);
    let middle = s.try_make("a/b", true).await.unwrap();
    let patch = AttributesPatch { acl: Some(acl.clone()), ..<_>::default() };
    store.mailboxes.set_attributes(s.account, middle.id, patch).await.unwrap();
    store.mailboxes.delete(s.account, middle.id).await.unwrap();
    let left = s.named("a/b").await;
    assert!(!left.selectable && left.id != middle.id);
    assert_eq!(left.acl, acl);
}

pub async fn mailboxes_that_keep_messages_back_are_named(store: Store) {
    let s = scene(&store).await;
    let (a, b) = (s.make("a").await, s.make("b").await);
    for mailbox in [s.inbox, a, b] {
        s.fill(mailbox, &["one", "two"]).await;
    }
    assert!(store.mailboxes.kept_back(s.account).await.unwrap().is_empty());
    for (mailbox, bits) in
        [(a, FlagBits::SERVICE), (b, FlagBits::HIDDEN), (s.inbox, FlagBits::SEEN)]
    {
        let update = FlagUpdate {
            uids: vec![Uid(2)],
            change: FlagChange::Add,
            flags: Flags::of(bits),
            unchanged_since: None,
        };
        store.mailboxes.change_flags(s.account, mailbox, update).await.unwrap();
    }
    let mut named = store.mailboxes.kept_back(s.account).await.unwrap();
    named.sort();
    assert_eq!(named, [a, b]);
    store.mailboxes.expunge(s.account, a, &[Uid(2)], false).await.unwrap();
    assert_eq!(store.mailboxes.kept_back(s.account).await.unwrap(), [b]);
    let missing = store.mailboxes.kept_back(AccountId(s.account.0 + 1_000_000)).await;
    assert!(missing.is_err());
}
