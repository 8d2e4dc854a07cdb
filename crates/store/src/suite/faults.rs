//! Promises under faults: a failed call changes nothing, a cut-off one can be repeated.

use super::scene::{DOMAIN, NOW, Scene, account, delivery, domain, mail, queued, scene, uids};
use crate::faulty::{Family, Fault, Plan, wrap};
use crate::{
    AttributesPatch, FlagBits, FlagChange, FlagUpdate, Flags, MailboxId, NewQueued, QueueId,
    RecipientStep, SettingsKey, Step, Store, StoreError,
};

/// A scene on a store whose next call of a family suffers a fault, and the store itself.
async fn faulty(store: &Store) -> (Scene, Scene, Plan) {
    let sound = scene(store).await;
    let plan = Plan::new();
    let faulty = sound.again(&wrap(store.clone(), plan.clone()));
    (sound, faulty, plan)
}

fn is_later<T: std::fmt::Debug>(answer: crate::Result<T>) {
    assert!(matches!(&answer, Err(error) if error.is_temporary()), "{answer:?}");
}

pub async fn a_failed_append_changes_nothing_and_can_be_repeated(store: Store) {
    let (s, f, plan) = faulty(&store).await;
    let before = s.record(s.inbox).await;
    plan.strike(Some(Family::Mailboxes), 1, 1, Fault::Fail);
    is_later(f.store.mailboxes.append(s.account, s.inbox, vec![delivery("x", 7, 0)]).await);
    assert_eq!(s.record(s.inbox).await, before);
    f.append(s.inbox, vec![delivery("x", 7, 0)]).await;
    assert_eq!(s.texts(s.inbox).await, ["x"]);
}

pub async fn an_append_cut_off_and_repeated_goes_in_once(store: Store) {
    let (s, f, plan) = faulty(&store).await;
    plan.strike(Some(Family::Mailboxes), 1, 3, Fault::CutOff);
    let both = || vec![delivery("x", 7, 0), delivery("y", 7, 1)];
    for _ in 0..3 {
        is_later(f.store.mailboxes.append(s.account, s.inbox, both()).await);
    }
    f.store.mailboxes.append(s.account, s.inbox, both()).await.unwrap();
    assert_eq!(s.texts(s.inbox).await, ["x", "y"]);
}

async fn everywhere(s: &Scene, other: MailboxId) -> Vec<String> {
    let mut all = s.texts(s.inbox).await;
    all.extend(s.texts(other).await);
    all.sort();
    all
}

pub async fn a_failed_move_leaves_every_message_in_exactly_one_mailbox(store: Store) {
    let (s, f, plan) = faulty(&store).await;
    let other = s.make("other").await;
    s.fill(s.inbox, &["1", "2", "3"]).await;
    plan.strike(Some(Family::Mailboxes), 1, 1, Fault::Fail);
    is_later(f.store.mailboxes.move_messages(s.account, s.inbox, &uids(&[1, 2]), other, NOW).await);
    assert_eq!(s.texts(s.inbox).await, ["1", "2", "3"]);
    assert_eq!(everywhere(&s, other).await, ["1", "2", "3"]);
}

pub async fn a_move_cut_off_leaves_every_message_in_exactly_one_mailbox(store: Store) {
    let (s, f, plan) = faulty(&store).await;
    let other = s.make("other").await;
    s.fill(s.inbox, &["1", "2", "3"]).await;
    plan.strike(Some(Family::Mailboxes), 1, 1, Fault::CutOff);
    let m = &f.store.mailboxes;
    is_later(m.move_messages(s.account, s.inbox, &uids(&[1, 2]), other, NOW).await);
    assert_eq!(s.texts(s.inbox).await, ["3"]);
    m.move_messages(s.account, s.inbox, &uids(&[1, 2]), other, NOW).await.unwrap();
    assert_eq!(everywhere(&s, other).await, ["1", "2", "3"]);
}

pub async fn a_failed_enqueue_queues_nothing(store: Store) {
    let (_, f, plan) = faulty(&store).await;
    plan.strike(Some(Family::Queue), 1, 1, Fault::Fail);
    is_later(f.store.queue.enqueue(queued("x", &[NOW])).await);
    assert_eq!(store.queue.count().await.unwrap(), 0);
    assert_eq!(store.queue.next_due().await.unwrap(), None);
}

pub async fn an_enqueue_cut_off_and_repeated_is_queued_once(store: Store) {
    let (_, f, plan) = faulty(&store).await;
    let id = f.store.queue.next_id();
    let new = || NewQueued { id: Some(id), ..queued("x", &[NOW]) };
    plan.strike(Some(Family::Queue), 1, 1, Fault::CutOff);
    is_later(f.store.queue.enqueue(new()).await);
    let again = f.store.queue.enqueue(new()).await;
    assert!(matches!(again, Err(StoreError::Exists(_))), "{again:?}");
    assert_eq!(store.queue.list(QueueId(0), 10).await.unwrap(), [id]);
}

pub async fn a_settle_cut_off_and_repeated_settles_once(store: Store) {
    let (_, f, plan) = faulty(&store).await;
    let (id, _) = f.store.queue.enqueue(queued("x", &[NOW, NOW])).await.unwrap();
    f.store.queue.lease(NOW, 10, 60).await.unwrap();
    plan.strike(Some(Family::Queue), 1, 1, Fault::CutOff);
    let done = |recipient| vec![RecipientStep { recipient, step: Step::Done }];
    is_later(f.store.queue.settle(id, done(0)).await);
    f.store.queue.settle(id, done(0)).await.unwrap();
    let work = f.store.queue.lease(NOW + 60, 10, 60).await.unwrap();
    assert_eq!(work[0].recipients, [1]);
}

pub async fn a_failed_call_of_any_kind_changes_nothing(store: Store) {
    let (s, f, plan) = faulty(&store).await;
    let other = s.make("a/b").await;
    s.fill(s.inbox, &["1", "2"]).await;
    let (id, body) = store.queue.enqueue(queued("x", &[NOW])).await.unwrap();
    let look = async || {
        let mailboxes = store.mailboxes.list(s.account).await.unwrap();
        let objects = store.directory.objects(DOMAIN, None, 100).await.unwrap().objects;
        let domains = store.directory.domains().await.unwrap();
        let settings = store.directory.settings(&SettingsKey::Server).await.unwrap();
        let recipients = store.queue.message(id).await.unwrap().unwrap().recipients;
        let record = store.directory.account(s.account).await.unwrap();
        (mailboxes, s.entries(s.inbox).await, objects, domains, settings, recipients, record)
    };
    let before = look().await;
    plan.strike(None, 1, u64::MAX, Fault::Fail);
    let (m, d, q) = (&f.store.mailboxes, &f.store.directory, &f.store.queue);
    let all = uids(&[1, 2]);
    let (change, flags) = (FlagChange::Add, Flags::of(FlagBits::SEEN));
    let update = FlagUpdate { uids: all.clone(), change, flags, unchanged_since: None };
    let class = Some("IPF.Task".to_owned());
    let mut record = before.6.clone().unwrap();
    record.aliases = vec!["alias".to_owned()];
    is_later(m.append(s.account, s.inbox, vec![mail("x")]).await);
    is_later(m.change_flags(s.account, s.inbox, update).await);
    is_later(m.copy(s.account, s.inbox, &all, other, NOW).await);
    is_later(m.move_messages(s.account, s.inbox, &all, other, NOW).await);
    is_later(m.expunge(s.account, s.inbox, &all, false).await);
    is_later(m.delete(s.account, other).await);
    is_later(m.rename_tree(s.account, "a", "c", NOW).await);
    is_later(m.rename_tree(s.account, "INBOX", "c", NOW).await);
    is_later(f.try_make("new", true).await);
    let patch = AttributesPatch { class, ..<_>::default() };
    is_later(m.set_attributes(s.account, s.inbox, patch).await);
    is_later(d.create_domain(domain("new.example")).await);
    is_later(d.delete_domain(DOMAIN, true).await);
    is_later(d.rename_domain(DOMAIN, "new.example").await);
    is_later(d.create_account(account(DOMAIN, "new"), NOW).await);
    is_later(d.update_account(record, None).await);
    is_later(d.rename_account(s.account, DOMAIN, "new").await);
    is_later(d.delete_account(s.account).await);
    is_later(d.set_settings(&SettingsKey::Server, Default::default(), None).await);
    is_later(q.enqueue(queued("x", &[NOW])).await);
    is_later(q.lease(NOW, 10, 60).await);
    is_later(q.settle(id, vec![RecipientStep { recipient: 0, step: Step::Done }]).await);
    is_later(f.store.bodies.read(body).await);
    assert_eq!((plan.struck(), plan.all_calls()), (22, 22));
    plan.calm();
    assert_eq!(look().await, before);
    assert_eq!(f.store.queue.lease(NOW, 10, 60).await.unwrap().len(), 1);
}
