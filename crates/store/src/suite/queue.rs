//! Promises about the queue: leases, settling, due times.

use std::collections::BTreeSet;

use super::scene::{NOW, queued, recipient};
use crate::{
    LeasedWork, NewQueued, QueueId, RecipientState, RecipientStep, Step, Store, StoreError,
};

fn step(recipient: u32, step: Step) -> RecipientStep {
    RecipientStep { recipient, step }
}

fn failed(why: &str) -> Step {
    Step::Failed { error: why.to_owned() }
}

fn retry(not_before: i64) -> Step {
    Step::Retry { not_before, error: "busy".to_owned() }
}

async fn enqueue(store: &Store, text: &str, due: &[i64]) -> QueueId {
    store.queue.enqueue(queued(text, due)).await.unwrap().0
}

fn ids(work: &[LeasedWork]) -> Vec<QueueId> {
    work.iter().map(|one| one.message.id).collect()
}

pub async fn queue_ids_grow(store: Store) {
    let mut last = store.queue.next_id();
    for round in 0..20 {
        let next =
            if round % 2 == 0 { store.queue.next_id() } else { enqueue(&store, "x", &[NOW]).await };
        assert!(next > last, "{next} after {last}");
        last = next;
    }
}

pub async fn a_queued_message_keeps_everything(store: Store) {
    let id = store.queue.next_id();
    let new = NewQueued { id: Some(id), ..queued("the message", &[NOW, NOW + 5]) };
    let (given, body) = store.queue.enqueue(new.clone()).await.unwrap();
    assert_eq!(given, id);
    let kept = store.queue.message(id).await.unwrap().unwrap();
    assert_eq!((kept.id, kept.body, kept.size), (id, body, 11));
    assert_eq!((kept.return_path, kept.facts), (new.return_path, new.facts));
    assert_eq!((kept.summary, kept.recipients), (new.summary, new.recipients));
    assert_eq!(kept.accepted, NOW);
    assert_eq!(store.bodies.read(body).await.unwrap(), "the message");
}

pub async fn an_id_is_queued_once(store: Store) {
    let id = enqueue(&store, "one", &[NOW]).await;
    let again = NewQueued { id: Some(id), ..queued("two", &[NOW]) };
    assert!(matches!(store.queue.enqueue(again).await, Err(StoreError::Exists(_))));
    assert_eq!(store.queue.count().await.unwrap(), 1);
    let kept = store.queue.message(id).await.unwrap().unwrap();
    assert_eq!(store.bodies.read(kept.body).await.unwrap(), "one");
}

pub async fn a_message_without_recipients_is_refused(store: Store) {
    let refused = store.queue.enqueue(queued("x", &[])).await;
    assert!(matches!(refused, Err(StoreError::Invalid(_))), "{refused:?}");
    let many = vec![recipient("r@a.example", NOW); NewQueued::MAX_RECIPIENTS + 1];
    let refused = store.queue.enqueue(NewQueued { recipients: many, ..queued("x", &[]) }).await;
    assert!(matches!(refused, Err(StoreError::Invalid(_))), "{refused:?}");
    assert_eq!(store.queue.count().await.unwrap(), 0);
}

pub async fn the_queue_is_listed_and_counted(store: Store) {
    let mut all = Vec::new();
    for _ in 0..7 {
        all.push(enqueue(&store, "x", &[NOW]).await);
    }
    let q = &store.queue;
    assert_eq!(q.count().await.unwrap(), 7);
    assert_eq!(q.list(QueueId(0), 100).await.unwrap(), all);
    assert_eq!(q.list(QueueId(0), 3).await.unwrap(), all[..3]);
    assert_eq!(q.list(all[2], 3).await.unwrap(), all[3..6]);
    assert!(q.list(all[6], 3).await.unwrap().is_empty());
    assert!(q.message(QueueId(all[6].0 + 1_000_000)).await.unwrap().is_none());
}

pub async fn due_work_is_leased_to_one_only(store: Store) {
    let id = enqueue(&store, "x", &[NOW, NOW + 100]).await;
    let work = store.queue.lease(NOW, 10, 60).await.unwrap();
    assert_eq!((ids(&work), &work[0].recipients), (vec![id], &vec![0]));
    assert_eq!(work[0].message.recipients.len(), 2);
    assert!(store.queue.lease(NOW, 10, 60).await.unwrap().is_empty());
    assert!(store.queue.lease(NOW + 59, 10, 60).await.unwrap().is_empty());
}

pub async fn work_that_is_not_due_is_not_leased(store: Store) {
    let id = enqueue(&store, "x", &[NOW + 10]).await;
    assert!(store.queue.lease(NOW + 9, 10, 60).await.unwrap().is_empty());
    assert_eq!(ids(&store.queue.lease(NOW + 10, 10, 60).await.unwrap()), [id]);
}

pub async fn the_oldest_due_is_leased_first(store: Store) {
    let mut due = Vec::new();
    for delay in [30, 10, 20, 40] {
        due.push((delay, enqueue(&store, "x", &[NOW + 90, NOW + delay]).await));
    }
    due.sort_unstable();
    let expected: Vec<_> = due.into_iter().map(|(_, id)| id).collect();
    let first = store.queue.lease(NOW + 50, 3, 60).await.unwrap();
    assert_eq!(ids(&first), expected[..3]);
    let rest = store.queue.lease(NOW + 50, 3, 60).await.unwrap();
    assert_eq!(ids(&rest), expected[3..]);
}

pub async fn no_more_is_leased_than_asked_for(store: Store) {
    for _ in 0..5 {
        enqueue(&store, "x", &[NOW]).await;
    }
    assert!(store.queue.lease(NOW, 0, 60).await.unwrap().is_empty());
    assert_eq!(store.queue.lease(NOW, 2, 60).await.unwrap().len(), 2);
    assert_eq!(store.queue.lease(NOW, 10, 60).await.unwrap().len(), 3);
}

pub async fn a_lease_ends(store: Store) {
    let id = enqueue(&store, "x", &[NOW]).await;
    assert_eq!(store.queue.lease(NOW, 10, 60).await.unwrap().len(), 1);
    assert_eq!(ids(&store.queue.lease(NOW + 60, 10, 60).await.unwrap()), [id]);
    assert!(store.queue.lease(NOW + 60, 10, 60).await.unwrap().is_empty());
}

pub async fn one_message_is_leased_by_its_id(store: Store) {
    enqueue(&store, "other", &[NOW]).await;
    let id = enqueue(&store, "x", &[NOW, NOW + 50, NOW - 5]).await;
    let work = store.queue.lease_one(id, NOW, 60).await.unwrap().unwrap();
    assert_eq!((work.message.id, work.recipients), (id, vec![0, 2]));
    assert_eq!(store.queue.lease(NOW, 10, 60).await.unwrap().len(), 1);
}

pub async fn a_held_message_is_not_leased_by_its_id(store: Store) {
    let id = enqueue(&store, "x", &[NOW]).await;
    assert!(store.queue.lease_one(id, NOW - 1, 60).await.unwrap().is_none());
    assert_eq!(store.queue.lease(NOW, 10, 60).await.unwrap().len(), 1);
    assert!(store.queue.lease_one(id, NOW, 60).await.unwrap().is_none());
    assert!(store.queue.lease_one(id, NOW + 60, 60).await.unwrap().is_some());
    let unknown = QueueId(id.0 + 1_000_000);
    assert!(store.queue.lease_one(unknown, NOW, 60).await.unwrap().is_none());
}

pub async fn a_settled_message_leaves_the_queue(store: Store) {
    let id = enqueue(&store, "x", &[NOW]).await;
    store.queue.lease(NOW, 10, 60).await.unwrap();
    store.queue.settle(id, vec![step(0, Step::Done)]).await.unwrap();
    assert!(store.queue.message(id).await.unwrap().is_none());
    assert_eq!(store.queue.count().await.unwrap(), 0);
    assert!(store.queue.list(QueueId(0), 10).await.unwrap().is_empty());
    assert_eq!(store.queue.next_due().await.unwrap(), None);
    assert!(store.queue.lease(NOW + 1000, 10, 60).await.unwrap().is_empty());
}

pub async fn a_message_stays_until_every_recipient_is_settled(store: Store) {
    let id = enqueue(&store, "x", &[NOW, NOW, NOW]).await;
    store.queue.lease(NOW, 10, 60).await.unwrap();
    store.queue.settle(id, vec![step(1, failed("no such user"))]).await.unwrap();
    store.queue.settle(id, vec![step(0, Step::Done)]).await.unwrap();
    let left = store.queue.message(id).await.unwrap().unwrap();
    let error = "no such user".to_owned();
    assert_eq!(left.recipients[0].state, RecipientState::Done);
    assert_eq!(left.recipients[1].state, RecipientState::Failed { error });
    let again = store.queue.lease(NOW + 60, 10, 60).await.unwrap();
    assert_eq!(again[0].recipients, [2]);
    store.queue.settle(id, vec![step(2, Step::Done)]).await.unwrap();
    assert!(store.queue.message(id).await.unwrap().is_none());
}

pub async fn a_retry_falls_due_at_its_time_and_counts(store: Store) {
    let id = enqueue(&store, "x", &[NOW]).await;
    for attempt in 1..=3_u32 {
        let now = NOW + i64::from(attempt) * 1000;
        assert_eq!(store.queue.lease(now, 10, 60).await.unwrap().len(), 1);
        let not_before = now + 1000;
        store.queue.settle(id, vec![step(0, retry(not_before))]).await.unwrap();
        assert_eq!(store.queue.next_due().await.unwrap(), Some(not_before));
        assert!(store.queue.lease(not_before - 1, 10, 60).await.unwrap().is_empty());
        let state = &store.queue.message(id).await.unwrap().unwrap().recipients[0].state;
        let last_error = "busy".to_owned();
        assert_eq!(*state, RecipientState::Waiting { not_before, attempts: attempt, last_error });
    }
}

pub async fn a_rerouted_recipient_is_due_at_once(store: Store) {
    let id = enqueue(&store, "x", &[NOW]).await;
    store.queue.lease(NOW, 10, 60).await.unwrap();
    let (module, queue) = ("SMTP".to_owned(), "host.example".to_owned());
    store.queue.settle(id, vec![step(0, Step::Rerouted { module, queue })]).await.unwrap();
    let work = store.queue.lease(NOW, 10, 60).await.unwrap();
    assert_eq!(ids(&work), [id]);
    let now = &work[0].message.recipients[0];
    assert_eq!((now.module.as_str(), now.queue.as_str()), ("SMTP", "host.example"));
    assert_eq!(now.address, "r0@a.example");
}

pub async fn settling_ends_the_lease(store: Store) {
    let id = enqueue(&store, "x", &[NOW, NOW]).await;
    store.queue.lease(NOW, 10, 1000).await.unwrap();
    store.queue.settle(id, vec![step(1, retry(NOW + 1))]).await.unwrap();
    let work = store.queue.lease(NOW + 1, 10, 60).await.unwrap();
    assert_eq!(work[0].recipients, [1], "the other one is still leased");
}

pub async fn what_is_settled_stays_settled(store: Store) {
    let id = enqueue(&store, "x", &[NOW, NOW]).await;
    store.queue.lease(NOW, 10, 60).await.unwrap();
    store.queue.settle(id, vec![step(0, Step::Done)]).await.unwrap();
    // A late answer of somebody whose lease had ended.
    let _ = store.queue.settle(id, vec![step(0, retry(NOW + 5))]).await;
    let state = &store.queue.message(id).await.unwrap().unwrap().recipients[0].state;
    assert_eq!(*state, RecipientState::Done);
}

pub async fn a_step_for_an_unknown_recipient_changes_nothing(store: Store) {
    let id = enqueue(&store, "x", &[NOW]).await;
    let steps = vec![step(0, Step::Done), step(1, Step::Done)];
    let refused = store.queue.settle(id, steps).await;
    assert!(matches!(refused, Err(StoreError::Invalid(_))), "{refused:?}");
    assert!(store.queue.message(id).await.unwrap().is_some());
    assert_eq!(store.queue.lease(NOW, 10, 60).await.unwrap()[0].recipients, [0]);
}

pub async fn settling_an_unknown_message_answers_not_found(store: Store) {
    let id = enqueue(&store, "x", &[NOW]).await;
    store.queue.settle(id, vec![step(0, Step::Done)]).await.unwrap();
    let repeat = store.queue.settle(id, vec![step(0, Step::Done)]).await;
    assert!(matches!(repeat, Err(StoreError::NotFound(_))), "{repeat:?}");
}

pub async fn the_next_due_time_is_the_earliest(store: Store) {
    assert_eq!(store.queue.next_due().await.unwrap(), None);
    enqueue(&store, "x", &[NOW + 50, NOW + 30]).await;
    enqueue(&store, "y", &[NOW + 40]).await;
    assert_eq!(store.queue.next_due().await.unwrap(), Some(NOW + 30));
}

pub async fn a_leased_recipient_is_next_due_at_its_lease_end(store: Store) {
    enqueue(&store, "x", &[NOW]).await;
    store.queue.lease(NOW, 10, 60).await.unwrap();
    assert_eq!(store.queue.next_due().await.unwrap(), Some(NOW + 60));
    enqueue(&store, "y", &[NOW + 20]).await;
    assert_eq!(store.queue.next_due().await.unwrap(), Some(NOW + 20));
}

pub async fn leases_at_the_same_time_share_nothing(store: Store) {
    for i in 0..40 {
        enqueue(&store, &format!("{i}"), &[NOW]).await;
    }
    let tasks = (0..8).map(|_| {
        let queue = store.queue.clone();
        tokio::spawn(async move {
            let mut got = Vec::new();
            for _ in 0..20 {
                got.extend(ids(&queue.lease(NOW, 3, 60).await.unwrap()));
            }
            got
        })
    });
    let mut all = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        all.extend(task.await.unwrap());
    }
    assert_eq!((all.len(), all.iter().collect::<BTreeSet<_>>().len()), (40, 40));
}
