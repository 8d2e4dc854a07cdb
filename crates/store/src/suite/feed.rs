//! Promises about the change feed: what is told, and in which order.

use std::sync::{Arc, Mutex};

use super::scene::{DOMAIN, NOW, Scene, account, domain, mail, queued, scene, uids};
use crate::{
    AttributesPatch, Change, ChangeListener, FlagBits, FlagChange, FlagUpdate, Flags, ModSeq,
    NewMessage, RecipientStep, SettingsKey, Step, Store, Uid,
};

/// Writes down what it is told.
#[derive(Default)]
struct Ear(Mutex<Vec<Change>>);

impl ChangeListener for Ear {
    fn changed(&self, change: &Change) {
        self.0.lock().unwrap().push(change.clone());
    }
}

impl Ear {
    /// What was told since the last time.
    fn heard(&self) -> Vec<Change> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

async fn listened(store: &Store) -> (Scene, Arc<Ear>) {
    let ear = Arc::new(Ear::default());
    assert!(store.feed.listen(ear.clone()));
    let s = scene(store).await;
    ear.heard();
    (s, ear)
}

fn seen(numbers: &[u32]) -> FlagUpdate {
    let (change, flags) = (FlagChange::Add, Flags::of(FlagBits::SEEN));
    FlagUpdate { uids: uids(numbers), change, flags, unchanged_since: None }
}

pub async fn an_append_is_told_before_it_answers(store: Store) {
    let (s, ear) = listened(&store).await;
    s.fill(s.inbox, &["one", "two"]).await;
    let heard = ear.heard();
    let [Change::Appended { account, mailbox, entries }] = heard.as_slice() else {
        panic!("{heard:?}");
    };
    assert_eq!((*account, mailbox), (s.account, &s.record(s.inbox).await));
    assert_eq!(entries, &s.entries(s.inbox).await);
}

pub async fn flags_are_told_with_the_mailbox_after_them(store: Store) {
    let (s, ear) = listened(&store).await;
    s.fill(s.inbox, &["one", "two"]).await;
    ear.heard();
    let outcome = store.mailboxes.change_flags(s.account, s.inbox, seen(&[2])).await.unwrap();
    let heard = ear.heard();
    let [Change::Flags { account, mailbox, changed }] = heard.as_slice() else {
        panic!("{heard:?}");
    };
    assert_eq!((*account, mailbox), (s.account, &s.record(s.inbox).await));
    assert_eq!((changed, mailbox.unseen), (&outcome.changed, 1));
}

pub async fn an_expunge_is_told_with_its_modseq(store: Store) {
    let (s, ear) = listened(&store).await;
    s.fill(s.inbox, &["one", "two", "three"]).await;
    ear.heard();
    store.mailboxes.expunge(s.account, s.inbox, &uids(&[1, 3]), false).await.unwrap();
    let heard = ear.heard();
    let [Change::Expunged { account, mailbox, uids: gone, modseq }] = heard.as_slice() else {
        panic!("{heard:?}");
    };
    assert_eq!((*account, mailbox), (s.account, &s.record(s.inbox).await));
    assert_eq!((gone, *modseq), (&uids(&[1, 3]), mailbox.highest_modseq));
}

pub async fn a_move_is_told_in_both_mailboxes(store: Store) {
    let (s, ear) = listened(&store).await;
    let other = s.make("other").await;
    s.fill(s.inbox, &["one", "two"]).await;
    ear.heard();
    store.mailboxes.move_messages(s.account, s.inbox, &uids(&[2]), other, NOW).await.unwrap();
    let (mut came, mut went) = (0, 0);
    for change in ear.heard() {
        match change {
            Change::Appended { mailbox, entries, .. } => {
                came += 1;
                assert_eq!((mailbox, entries), (s.record(other).await, s.entries(other).await));
            }
            Change::Expunged { mailbox, uids, .. } => {
                went += 1;
                assert_eq!((mailbox, uids), (s.record(s.inbox).await, vec![Uid(2)]));
            }
            change => panic!("{change:?}"),
        }
    }
    assert_eq!((came, went), (1, 1));
}

pub async fn mailboxes_are_told_when_made_renamed_and_removed(store: Store) {
    let (s, ear) = listened(&store).await;
    let told = || {
        let (mut gone, mut names) = (Vec::new(), Vec::new());
        for change in ear.heard() {
            let Change::Mailboxes { account, removed, changed } = change else { continue };
            assert_eq!(account, s.account);
            gone.extend(removed);
            names.extend(changed.into_iter().map(|record| record.name));
        }
        names.sort();
        (gone, names)
    };
    let id = s.make("a/b").await;
    assert_eq!(told().1, ["a", "a/b"]);
    let directory = s.named("a").await.id;
    let class = Some("IPF.Note".to_owned());
    let patch = AttributesPatch { class, ..<_>::default() };
    store.mailboxes.set_attributes(s.account, id, patch).await.unwrap();
    assert_eq!(told().1, ["a/b"]);
    store.mailboxes.rename_tree(s.account, "a/b", "c", NOW).await.unwrap();
    let (gone, names) = told();
    assert_eq!((gone, names), (vec![directory], vec!["c".to_owned()]));
    store.mailboxes.delete(s.account, id).await.unwrap();
    assert_eq!(told(), (vec![id], Vec::new()));
}

pub async fn accounts_and_domains_are_told(store: Store) {
    let (s, ear) = listened(&store).await;
    let d = &store.directory;
    let told = || {
        let (mut accounts, mut domains) = (Vec::new(), Vec::new());
        for change in ear.heard() {
            match change {
                Change::Account(id) => accounts.push(id),
                Change::Domain(name) => domains.push(name),
                _ => {}
            }
        }
        (accounts, domains)
    };
    let made = d.create_account(account(DOMAIN, "new"), NOW).await.unwrap();
    assert_eq!(told().0, [made.id]);
    d.update_account(made.clone(), None).await.unwrap();
    assert_eq!(told().0, [made.id]);
    d.rename_account(made.id, DOMAIN, "newer").await.unwrap();
    assert_eq!(told().0, [made.id]);
    d.delete_account(made.id).await.unwrap();
    assert_eq!(told().0, [made.id]);
    d.create_domain(domain("a.example")).await.unwrap();
    assert_eq!(told().1, ["a.example"]);
    d.update_domain(domain("a.example"), None).await.unwrap();
    assert_eq!(told().1, ["a.example"]);
    let forwarder = crate::DomainObject::Forwarder("x@y.example".to_owned());
    d.put_object("a.example", "f", forwarder, false).await.unwrap();
    assert_eq!(told().1, ["a.example"]);
    d.delete_domain("a.example", true).await.unwrap();
    assert_eq!(told().1, ["a.example"]);
    d.delete_domain(DOMAIN, true).await.unwrap();
    let (accounts, domains) = told();
    assert!(accounts.contains(&s.account) && domains.contains(&DOMAIN.to_owned()));
}

pub async fn settings_are_told(store: Store) {
    let (_, ear) = listened(&store).await;
    let value = std::collections::BTreeMap::new();
    store.directory.set_settings(&SettingsKey::Server, value, None).await.unwrap();
    assert!(matches!(ear.heard().as_slice(), [Change::Settings]));
}

pub async fn a_queued_message_is_told_with_its_time(store: Store) {
    let (_, ear) = listened(&store).await;
    let (id, _) = store.queue.enqueue(queued("x", &[NOW + 9, NOW + 3])).await.unwrap();
    let heard = ear.heard();
    let [Change::Queued { id: told, not_before }] = heard.as_slice() else { panic!("{heard:?}") };
    assert_eq!((*told, *not_before), (id, NOW + 3));
}

pub async fn a_retry_is_told(store: Store) {
    let (_, ear) = listened(&store).await;
    let (id, _) = store.queue.enqueue(queued("x", &[NOW])).await.unwrap();
    store.queue.lease(NOW, 1, 60).await.unwrap();
    ear.heard();
    let step = Step::Retry { not_before: NOW + 600, error: "busy".to_owned() };
    store.queue.settle(id, vec![RecipientStep { recipient: 0, step }]).await.unwrap();
    let heard = ear.heard();
    let [Change::Queued { id: told, not_before }] = heard.as_slice() else { panic!("{heard:?}") };
    assert_eq!((*told, *not_before), (id, NOW + 600));
}

pub async fn a_refused_operation_is_not_told(store: Store) {
    let (s, ear) = listened(&store).await;
    let bad = NewMessage { uid: Some(Uid(0)), ..mail("x") };
    assert!(store.mailboxes.append(s.account, s.inbox, vec![mail("y"), bad]).await.is_err());
    assert!(store.mailboxes.delete(s.account, s.inbox).await.is_err());
    assert!(store.directory.create_domain(domain(DOMAIN)).await.is_err());
    assert!(store.queue.enqueue(queued("x", &[])).await.is_err());
    store.mailboxes.expunge(s.account, s.inbox, &uids(&[5]), false).await.unwrap();
    store.mailboxes.change_flags(s.account, s.inbox, seen(&[5])).await.unwrap();
    store.mailboxes.append(s.account, s.inbox, Vec::new()).await.unwrap();
    let heard = ear.heard();
    assert!(heard.is_empty(), "{heard:?}");
}

pub async fn changes_of_a_mailbox_are_told_in_the_order_of_their_modseqs(store: Store) {
    let (s, ear) = listened(&store).await;
    let tasks = (0..10).map(|task| {
        let s = s.clone();
        tokio::spawn(async move {
            for round in 0..5 {
                let uid = s.fill(s.inbox, &[&format!("{task}-{round}")]).await[0];
                let update = seen(&[uid.0]);
                s.store.mailboxes.change_flags(s.account, s.inbox, update).await.unwrap();
                if round % 2 == 0 {
                    s.store.mailboxes.expunge(s.account, s.inbox, &[uid], false).await.unwrap();
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let mut last = ModSeq(0);
    let mut there = std::collections::BTreeSet::new();
    for change in ear.heard() {
        let mailbox = match change {
            Change::Appended { mailbox, entries, .. } => {
                there.extend(entries.iter().map(|entry| entry.uid));
                mailbox
            }
            Change::Flags { mailbox, changed, .. } => {
                assert!(changed.iter().all(|(uid, ..)| there.contains(uid)));
                mailbox
            }
            Change::Expunged { mailbox, uids, .. } => {
                assert!(uids.iter().all(|uid| there.remove(uid)));
                mailbox
            }
            _ => continue,
        };
        assert!(mailbox.highest_modseq > last);
        last = mailbox.highest_modseq;
        assert_eq!(mailbox.messages as usize, there.len());
    }
    assert_eq!(last, s.record(s.inbox).await.highest_modseq);
}
