//! Promises about numbers of another server that a mailbox keeps: validity, UIDs, MODSEQs, POP's
//! unique ids.

use std::sync::Arc;

use super::scene::{mail, scene, uids};
use crate::{
    Change, ChangeListener, KeptNumbers, ModSeq, NewMessage, NumbersPatch, Store, StoreError, Uid,
    UidValidity,
};

fn invalid<T>(answer: crate::Result<T>) -> bool {
    matches!(answer, Err(StoreError::Invalid(_)))
}

pub async fn an_empty_mailbox_takes_over_validity_uids_and_modseqs(store: Store) {
    let s = scene(&store).await;
    s.fill(s.inbox, &["one", "two"]).await;
    store.mailboxes.expunge(s.account, s.inbox, &uids(&[1, 2]), false).await.unwrap();
    let patch = NumbersPatch {
        uid_validity: Some(UidValidity(77)),
        uid_next: Some(Uid(10)),
        highest_modseq: Some(ModSeq(1 << 40)),
        own_from: Some(Uid(1000)),
        pop_ids: Vec::new(),
    };
    let record = store.mailboxes.keep_numbers(s.account, s.inbox, patch).await.unwrap();
    assert_eq!(record, s.record(s.inbox).await);
    assert_eq!((record.uid_validity, record.uid_next), (UidValidity(77), Uid(10)));
    assert_eq!(record.highest_modseq, ModSeq(1 << 40));
    let kept = KeptNumbers { foreign_until: ModSeq(1 << 40), own_from: Uid(1000) };
    assert_eq!(record.kept_numbers, Some(kept));
    // Of the UIDs of another validity nothing is known.
    let gone = store.mailboxes.vanished(s.account, s.inbox, ModSeq(0)).await.unwrap();
    assert_eq!(gone, []);
    let at = |uid| NewMessage { uid: Some(Uid(uid)), ..mail("x") };
    assert_eq!(s.append(s.inbox, vec![at(10), at(12)]).await, uids(&[10, 12]));
    assert!(s.entries(s.inbox).await.iter().all(|entry| entry.modseq > ModSeq(1 << 40)));
}

pub async fn a_new_validity_begins_its_uids_anew(store: Store) {
    let s = scene(&store).await;
    s.fill(s.inbox, &["one"]).await;
    let to = |n| NumbersPatch { uid_validity: Some(UidValidity(n)), ..NumbersPatch::default() };
    let before = s.record(s.inbox).await;
    assert!(invalid(store.mailboxes.keep_numbers(s.account, s.inbox, to(5)).await));
    assert!(invalid(store.mailboxes.keep_numbers(s.account, s.inbox, to(0)).await));
    assert_eq!(s.record(s.inbox).await, before);
    store.mailboxes.expunge(s.account, s.inbox, &uids(&[1]), false).await.unwrap();
    let record = store.mailboxes.keep_numbers(s.account, s.inbox, to(5)).await.unwrap();
    assert_eq!((record.uid_next, record.first_recent), (Uid(1), Uid(1)));
    assert!(record.highest_modseq > before.highest_modseq);
    assert_eq!(s.fill(s.inbox, &["two"]).await, uids(&[1]));
    // The one it has may be said again.
    store.mailboxes.keep_numbers(s.account, s.inbox, to(5)).await.unwrap();
    assert_eq!(s.texts(s.inbox).await, ["two"]);
}

pub async fn kept_numbers_only_rise(store: Store) {
    let s = scene(&store).await;
    s.fill(s.inbox, &["one", "two"]).await;
    let patch = |next, modseq, own| NumbersPatch {
        uid_next: Some(Uid(next)),
        highest_modseq: Some(ModSeq(modseq)),
        own_from: Some(Uid(own)),
        ..NumbersPatch::default()
    };
    let m = &store.mailboxes;
    let high = m.keep_numbers(s.account, s.inbox, patch(50, 900, 70)).await.unwrap();
    let record = m.keep_numbers(s.account, s.inbox, patch(2, 3, 4)).await.unwrap();
    assert_eq!((record.uid_next, record.highest_modseq), (Uid(50), ModSeq(900)));
    assert_eq!(record.kept_numbers, high.kept_numbers);
    let most = NumbersPatch::MAX_MODSEQ.0;
    assert!(invalid(m.keep_numbers(s.account, s.inbox, patch(1, most + 1, 1)).await));
    m.keep_numbers(s.account, s.inbox, patch(1, most, 1)).await.unwrap();
    assert_eq!(s.fill(s.inbox, &["three"]).await, uids(&[70]));
}

pub async fn messages_without_a_uid_leave_room_for_those_that_bring_one(store: Store) {
    let s = scene(&store).await;
    let other = s.make("other").await;
    s.fill(other, &["copied"]).await;
    let patch = NumbersPatch { own_from: Some(Uid(100)), ..NumbersPatch::default() };
    store.mailboxes.keep_numbers(s.account, s.inbox, patch).await.unwrap();
    assert_eq!(s.record(s.inbox).await.uid_next, Uid(1));
    let at = |uid| NewMessage { uid: Some(Uid(uid)), ..mail("x") };
    assert_eq!(s.append(s.inbox, vec![at(3)]).await, uids(&[3]));
    let copied = store.mailboxes.copy(s.account, other, &uids(&[1]), s.inbox, 1).await.unwrap();
    assert_eq!(copied.pairs, [(Uid(1), Uid(100))]);
    assert_eq!(s.fill(s.inbox, &["own", "own"]).await, uids(&[101, 102]));
    let late = store.mailboxes.append(s.account, s.inbox, vec![at(4)]).await;
    assert!(late.is_err());
}

pub async fn ids_of_pop_are_kept_with_their_messages(store: Store) {
    let s = scene(&store).await;
    let other = s.make("other").await;
    let with = |id: &str| NewMessage { pop_id: Some(id.into()), ..mail("x") };
    s.append(s.inbox, vec![with("a.1"), mail("y"), mail("z")]).await;
    let patch = NumbersPatch {
        pop_ids: vec![(Uid(3), "c".into()), (Uid(2), "b".into()), (Uid(9), "nobody".into())],
        ..NumbersPatch::default()
    };
    store.mailboxes.keep_numbers(s.account, s.inbox, patch).await.unwrap();
    let ids = async |mailbox| -> Vec<String> {
        let entries = s.entries(mailbox).await.into_iter();
        entries.map(|entry| entry.pop_id.as_deref().unwrap_or("-").to_owned()).collect()
    };
    assert_eq!(ids(s.inbox).await, ["a.1", "b", "c"]);
    let m = &store.mailboxes;
    m.move_messages(s.account, s.inbox, &uids(&[1]), other, 1).await.unwrap();
    assert_eq!(
        (ids(s.inbox).await, ids(other).await),
        (vec!["b".into(), "c".into()], vec!["a.1".into()])
    );
    let long = "x".repeat(NumbersPatch::MAX_POP_ID + 1);
    for bad in ["", "a b", "\u{e4}", long.as_str()] {
        let answer = m.append(s.account, s.inbox, vec![with(bad)]).await;
        assert!(invalid(answer), "{bad}");
        let pop_ids = vec![(Uid(2), bad.into())];
        let patch = NumbersPatch { pop_ids, ..NumbersPatch::default() };
        assert!(invalid(m.keep_numbers(s.account, s.inbox, patch).await), "{bad}");
    }
    assert_eq!(ids(s.inbox).await, ["b", "c"]);
}

pub async fn a_directory_keeps_no_numbers(store: Store) {
    let s = scene(&store).await;
    let directory = s.try_make("directory", false).await.unwrap().id;
    let patch = NumbersPatch { uid_next: Some(Uid(9)), ..NumbersPatch::default() };
    assert!(invalid(store.mailboxes.keep_numbers(s.account, directory, patch).await));
}

/// Remembers the kinds of changes.
struct Heard(std::sync::Mutex<Vec<String>>);

impl ChangeListener for Heard {
    fn changed(&self, change: &Change) {
        let said = match change {
            Change::Mailboxes { changed, .. } => format!("validity {}", changed[0].uid_validity),
            Change::PopIds { ids, .. } => format!("ids {ids:?}"),
            _ => return,
        };
        self.0.lock().unwrap().push(said);
    }
}

pub async fn kept_numbers_are_told(store: Store) {
    let s = scene(&store).await;
    s.fill(s.inbox, &["one"]).await;
    let (validity, heard) =
        (s.record(s.inbox).await.uid_validity, Arc::new(Heard(Vec::new().into())));
    assert!(store.feed.listen(heard.clone()));
    let pop_ids = vec![(Uid(1), "a".into())];
    let patch = NumbersPatch { pop_ids, ..NumbersPatch::default() };
    store.mailboxes.keep_numbers(s.account, s.inbox, patch).await.unwrap();
    let told = heard.0.lock().unwrap().clone();
    assert_eq!(told, [format!("validity {validity}"), "ids [(Uid(1), \"a\")]".to_owned()]);
}
