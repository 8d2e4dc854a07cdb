//! Promises about deliveries that are repeated: the second one does nothing.

use super::scene::{DOMAIN, NOW, Scene, delivery, mail, queued, scene, uids};
use crate::faulty::{self, Fault, Plan};
use crate::{
    Appended, NewMessage, NewQueued, Origin, QueueId, RecipientStep, Step, Store, StoreError, Uid,
};

fn origin(queue: u64, recipient: u32) -> Origin {
    Origin { queue: QueueId(queue), recipient }
}

pub async fn a_repeated_delivery_does_nothing(store: Store) {
    let s = scene(&store).await;
    s.append(s.inbox, vec![delivery("x", 7, 0)]).await;
    let before = s.record(s.inbox).await;
    let repeat = store.mailboxes.append(s.account, s.inbox, vec![delivery("x", 7, 0)]).await;
    assert_eq!(repeat.unwrap(), (before.clone(), vec![Appended::Repeated]));
    assert_eq!(s.record(s.inbox).await, before);
    assert_eq!(s.texts(s.inbox).await, ["x"]);
}

pub async fn a_delivery_is_remembered(store: Store) {
    let s = scene(&store).await;
    s.append(s.inbox, vec![delivery("x", 7, 3)]).await;
    let was = async |queue, recipient| {
        store.mailboxes.was_delivered(s.account, origin(queue, recipient)).await.unwrap()
    };
    assert!(was(7, 3).await);
    assert!(!was(7, 2).await);
    assert!(!was(3, 7).await);
}

pub async fn two_recipients_of_one_message_are_two_deliveries(store: Store) {
    let s = scene(&store).await;
    s.append(s.inbox, vec![delivery("x", 7, 0)]).await;
    s.append(s.inbox, vec![delivery("x", 7, 1)]).await;
    assert_eq!(s.texts(s.inbox).await, ["x", "x"]);
}

pub async fn a_delivery_into_another_mailbox_of_the_account_is_a_repeat(store: Store) {
    let s = scene(&store).await;
    let other = s.make("other").await;
    s.append(s.inbox, vec![delivery("x", 7, 0)]).await;
    let repeat = store.mailboxes.append(s.account, other, vec![delivery("x", 7, 0)]).await.unwrap();
    assert_eq!(repeat.1, [Appended::Repeated]);
    assert!(s.entries(other).await.is_empty());
}

pub async fn a_delivery_to_another_account_is_no_repeat(store: Store) {
    let s = scene(&store).await;
    let other = Scene::account(&store, DOMAIN, "other").await;
    s.append(s.inbox, vec![delivery("x", 7, 0)]).await;
    other.append(other.inbox, vec![delivery("x", 7, 0)]).await;
    assert_eq!(other.texts(other.inbox).await, ["x"]);
}

pub async fn a_delivery_queues_its_message_once(store: Store) {
    let first = store.queue.enqueue_once(queued("a", &[NOW]), origin(7, 0)).await.unwrap();
    let (id, _) = first.unwrap();
    for _ in 0..3 {
        let id = Some(store.queue.next_id());
        let again = NewQueued { id, ..queued("a", &[NOW]) };
        assert_eq!(store.queue.enqueue_once(again, origin(7, 0)).await.unwrap(), None);
    }
    assert_eq!(store.queue.list(QueueId(0), 10).await.unwrap(), [id]);
    // Also when the message has left the queue.
    let done = vec![RecipientStep { recipient: 0, step: Step::Done }];
    store.queue.settle(id, done).await.unwrap();
    let again = store.queue.enqueue_once(queued("a", &[NOW]), origin(7, 0)).await.unwrap();
    assert_eq!((again, store.queue.count().await.unwrap()), (None, 0));
    for other in [origin(7, 1), origin(8, 0)] {
        let queued = store.queue.enqueue_once(queued("b", &[NOW]), other).await.unwrap();
        assert!(queued.is_some());
    }
    // It is no delivery to an account.
    let s = scene(&store).await;
    s.append(s.inbox, vec![delivery("x", 7, 0)]).await;
}

pub async fn a_message_that_is_refused_was_not_queued_by_its_delivery(store: Store) {
    let none = store.queue.enqueue_once(queued("a", &[]), origin(7, 0)).await;
    assert!(matches!(none, Err(StoreError::Invalid(_))));
    let plan = Plan::new();
    let faulty = faulty::wrap(store.clone(), plan.clone());
    plan.strike(None, 1, 1, Fault::Fail);
    assert!(faulty.queue.enqueue_once(queued("a", &[NOW]), origin(7, 0)).await.is_err());
    plan.strike(None, 1, 1, Fault::CutOff);
    assert!(faulty.queue.enqueue_once(queued("a", &[NOW]), origin(7, 0)).await.is_err());
    let again = faulty.queue.enqueue_once(queued("a", &[NOW]), origin(7, 0)).await.unwrap();
    assert_eq!((again, store.queue.count().await.unwrap()), (None, 1));
}

pub async fn a_repeat_among_new_messages_is_passed_over(store: Store) {
    let s = scene(&store).await;
    s.append(s.inbox, vec![delivery("old", 7, 0)]).await;
    let batch = vec![delivery("a", 8, 0), delivery("old", 7, 0), mail("b"), delivery("c", 8, 1)];
    let answer = store.mailboxes.append(s.account, s.inbox, batch).await.unwrap().1;
    let new = |uid| Appended::New(Uid(uid));
    assert_eq!(answer, [new(2), Appended::Repeated, new(3), new(4)]);
    assert_eq!(s.texts(s.inbox).await, ["old", "a", "b", "c"]);
}

pub async fn a_delivery_twice_in_one_append_goes_in_once(store: Store) {
    let s = scene(&store).await;
    let batch = vec![delivery("x", 7, 0), delivery("x", 7, 0)];
    let answer = store.mailboxes.append(s.account, s.inbox, batch).await.unwrap().1;
    assert_eq!(answer, [Appended::New(Uid(1)), Appended::Repeated]);
    assert_eq!(s.texts(s.inbox).await, ["x"]);
}

pub async fn a_delivery_is_remembered_after_the_message_is_gone(store: Store) {
    let s = scene(&store).await;
    s.append(s.inbox, vec![delivery("x", 7, 0)]).await;
    store.mailboxes.expunge(s.account, s.inbox, &uids(&[1]), false).await.unwrap();
    let repeat = store.mailboxes.append(s.account, s.inbox, vec![delivery("x", 7, 0)]).await;
    assert_eq!(repeat.unwrap().1, [Appended::Repeated]);
    assert!(s.entries(s.inbox).await.is_empty());
}

pub async fn a_refused_delivery_is_not_remembered(store: Store) {
    let s = scene(&store).await;
    let bad = NewMessage { uid: Some(Uid(0)), ..mail("bad") };
    let batch = vec![delivery("x", 7, 0), bad];
    assert!(store.mailboxes.append(s.account, s.inbox, batch).await.is_err());
    assert!(!store.mailboxes.was_delivered(s.account, origin(7, 0)).await.unwrap());
    assert_eq!(s.append(s.inbox, vec![delivery("x", 7, 0)]).await, [Uid(1)]);
}

pub async fn deliveries_at_the_same_time_go_in_once(store: Store) {
    let s = scene(&store).await;
    let tasks = (0..16).map(|_| {
        let s = s.clone();
        tokio::spawn(async move {
            let new = vec![delivery("x", 7, 0)];
            s.store.mailboxes.append(s.account, s.inbox, new).await.unwrap().1
        })
    });
    let mut new = 0;
    for task in tasks.collect::<Vec<_>>() {
        new += usize::from(task.await.unwrap() != [Appended::Repeated]);
    }
    assert_eq!(new, 1);
    assert_eq!(s.texts(s.inbox).await, ["x"]);
}
