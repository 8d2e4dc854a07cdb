//! Promises about whole queues: whose turn it is, what is parked, held, hastened or aged, and what
//! is known of a queue.

use std::collections::BTreeSet;

use super::scene::{NOW, queued, recipient};
use crate::{
    HELD, LeasedWork, NewQueued, QueueId, QueueName, QueuedRecipient, RecipientState,
    RecipientStep, Step, Store,
};

fn to(module: &str, queue: &str, due: i64) -> QueuedRecipient {
    QueuedRecipient {
        module: module.to_owned(),
        queue: queue.to_owned(),
        ..recipient(&format!("someone@{queue}"), due)
    }
}

async fn enqueue(store: &Store, recipients: Vec<QueuedRecipient>) -> QueueId {
    let new = NewQueued { recipients, ..queued("0123456789", &[]) };
    store.queue.enqueue(new).await.unwrap().0
}

async fn one(store: &Store, queue: &str) -> QueueId {
    enqueue(store, vec![to("SMTP", queue, NOW)]).await
}

fn smtp(queue: &str) -> QueueName {
    QueueName::new("SMTP", queue)
}

fn ids(work: &[LeasedWork]) -> Vec<QueueId> {
    work.iter().map(|one| one.message.id).collect()
}

async fn settle(store: &Store, id: QueueId, recipient: u32, step: Step) {
    store.queue.settle(id, vec![RecipientStep { recipient, step }]).await.unwrap();
}

pub async fn queues_take_turns(store: Store) {
    let mut huge = Vec::new();
    for _ in 0..20 {
        huge.push(one(&store, "huge.example").await);
    }
    let small = one(&store, "small.example").await;
    let other = one(&store, "other.example").await;
    let first = ids(&store.queue.lease(NOW, 3, 60).await.unwrap());
    assert_eq!(first.into_iter().collect::<BTreeSet<_>>(), [huge[0], small, other].into());
    // One at a time, too.
    let late = one(&store, "late.example").await;
    let mut next = Vec::new();
    for _ in 0..2 {
        next.extend(ids(&store.queue.lease(NOW, 1, 60).await.unwrap()));
    }
    assert!(next.contains(&late) && next.contains(&huge[1]), "{next:?}");
}

pub async fn a_message_of_higher_priority_goes_first_in_its_queue(store: Store) {
    let mut expected = Vec::new();
    for priority in [0, -4, 9, 3] {
        let recipients = vec![to("SMTP", "a.example", NOW)];
        let new = NewQueued { recipients, priority, ..queued("x", &[]) };
        expected.push((-priority, store.queue.enqueue(new).await.unwrap().0));
    }
    expected.sort_unstable();
    let expected: Vec<_> = expected.into_iter().map(|(_, id)| id).collect();
    let work = store.queue.lease(NOW, 10, 60).await.unwrap();
    assert_eq!(ids(&work), expected);
    assert_eq!(work[0].message.priority, 9);
}

pub async fn a_module_is_leased_alone(store: Store) {
    let both = enqueue(&store, vec![to("SMTP", "a.example", NOW), to("LOCAL", "joe", NOW)]).await;
    let q = &store.queue;
    let work = q.lease_module("LOCAL", NOW, 10, 60).await.unwrap();
    assert_eq!((ids(&work), &work[0].recipients), (vec![both], &vec![1]));
    assert!(q.lease_module("LOCAL", NOW, 10, 60).await.unwrap().is_empty());
    assert!(q.lease_module("NONE", NOW, 10, 60).await.unwrap().is_empty());
    let work = q.lease(NOW, 10, 60).await.unwrap();
    assert_eq!((ids(&work), &work[0].recipients), (vec![both], &vec![0]));
    let modules: BTreeSet<_> = q.modules().await.unwrap().into_iter().collect();
    assert_eq!(modules, ["LOCAL".to_owned(), "SMTP".to_owned()].into());
}

pub async fn a_parked_queue_is_not_due_and_is_leased_by_its_name(store: Store) {
    let q = &store.queue;
    // A queue can be parked before anything is in it.
    q.park(&smtp("a.example"), HELD).await.unwrap();
    let id = one(&store, "a.example").await;
    assert_eq!(q.next_due().await.unwrap(), None);
    assert!(q.lease(NOW + 9000, 10, 60).await.unwrap().is_empty());
    assert!(q.lease_one(id, NOW, 60).await.unwrap().is_none());
    let work = q.lease_queue(&smtp("a.example"), NOW, 10, 60).await.unwrap();
    assert_eq!(ids(&work), [id]);
    q.give_back(id, &[0]).await.unwrap();
    q.park(&smtp("a.example"), i64::MIN).await.unwrap();
    assert_eq!(q.next_due().await.unwrap(), Some(NOW));
    assert_eq!(ids(&q.lease(NOW, 10, 60).await.unwrap()), [id]);
}

pub async fn a_queue_parked_until_a_time_is_open_again_then(store: Store) {
    let q = &store.queue;
    let (first, second) = (one(&store, "a.example").await, one(&store, "a.example").await);
    assert_eq!(ids(&q.lease(NOW, 1, 600).await.unwrap()), [first]);
    q.park(&smtp("a.example"), NOW + 100).await.unwrap();
    assert_eq!(q.next_due().await.unwrap(), Some(NOW + 100));
    assert!(q.lease(NOW + 99, 10, 60).await.unwrap().is_empty());
    let third = one(&store, "a.example").await;
    assert_eq!(ids(&q.lease(NOW + 100, 10, 60).await.unwrap()), [second, third]);
}

pub async fn a_hastened_queue_is_due_at_once_but_for_what_is_held(store: Store) {
    let q = &store.queue;
    let tomorrow = enqueue(&store, vec![to("SMTP", "a.example", NOW + 86_400)]).await;
    let held = one(&store, "a.example").await;
    settle(&store, held, 0, Step::Postponed { not_before: HELD }).await;
    let elsewhere = enqueue(&store, vec![to("SMTP", "b.example", NOW + 86_400)]).await;
    assert_eq!(q.hasten(&smtp("a.example"), NOW).await.unwrap(), 2);
    assert_eq!(q.hasten(&smtp("c.example"), NOW).await.unwrap(), 0);
    assert_eq!(ids(&q.lease(NOW, 10, 60).await.unwrap()), [tomorrow]);
    assert_eq!(ids(&q.lease(NOW + 86_400, 10, 60).await.unwrap()), [tomorrow, elsewhere]);
}

pub async fn what_is_held_waits_until_it_is_let_go(store: Store) {
    let id = one(&store, "a.example").await;
    settle(&store, id, 0, Step::Postponed { not_before: HELD }).await;
    let q = &store.queue;
    assert_eq!(q.next_due().await.unwrap(), None);
    assert!(q.lease(NOW + 1_000_000_000, 10, 60).await.unwrap().is_empty());
    assert!(q.lease_one(id, NOW, 60).await.unwrap().is_none());
    assert_eq!(q.queue_facts(&smtp("a.example")).await.unwrap().unwrap().held, 1);
    settle(&store, id, 0, Step::Postponed { not_before: NOW }).await;
    let state = q.message(id).await.unwrap().unwrap().recipients[0].state.clone();
    let expected =
        RecipientState::Waiting { not_before: NOW, attempts: 0, last_error: String::new() };
    assert_eq!(state, expected);
    assert_eq!(q.queue_facts(&smtp("a.example")).await.unwrap().unwrap().held, 0);
    assert_eq!(ids(&q.lease(NOW, 10, 60).await.unwrap()), [id]);
}

pub async fn a_retry_of_what_was_held_meanwhile_stays_held(store: Store) {
    let id = one(&store, "a.example").await;
    store.queue.lease(NOW, 10, 60).await.unwrap();
    settle(&store, id, 0, Step::Postponed { not_before: HELD }).await;
    settle(&store, id, 0, Step::Retry { not_before: NOW + 5, error: "busy".into() }).await;
    let state = store.queue.message(id).await.unwrap().unwrap().recipients[0].state.clone();
    let last_error = "busy".to_owned();
    assert_eq!(state, RecipientState::Waiting { not_before: HELD, attempts: 1, last_error });
    assert!(store.queue.lease(NOW + 100, 10, 60).await.unwrap().is_empty());
}

pub async fn a_message_is_claimed_whole_but_for_what_others_have(store: Store) {
    let recipients = vec![
        to("SMTP", "a.example", NOW),
        to("SMTP", "b.example", NOW + 5000),
        to("SMTP", "c.example", NOW),
        to("SMTP", "d.example", NOW),
    ];
    let id = enqueue(&store, recipients).await;
    let q = &store.queue;
    assert_eq!(q.lease_queue(&smtp("a.example"), NOW, 1, 60).await.unwrap()[0].recipients, [0]);
    settle(&store, id, 2, Step::Postponed { not_before: HELD }).await;
    settle(&store, id, 3, Step::Done).await;
    let claimed = q.claim(id, NOW, 60).await.unwrap().unwrap();
    assert_eq!(claimed.recipients, [1, 2]);
    assert!(q.claim(id, NOW, 60).await.unwrap().is_none());
    assert!(q.claim(QueueId(id.0 + 1_000_000), NOW, 60).await.unwrap().is_none());
}

pub async fn what_is_given_back_is_as_it_was(store: Store) {
    let id = enqueue(&store, vec![to("SMTP", "a.example", NOW), to("LOCAL", "joe", NOW)]).await;
    let q = &store.queue;
    let before = q.message(id).await.unwrap().unwrap().recipients;
    assert_eq!(q.lease(NOW, 10, 60).await.unwrap()[0].recipients, [0, 1]);
    q.give_back(id, &[1]).await.unwrap();
    // Twice does no harm, and neither does what is not there.
    q.give_back(id, &[1, 7]).await.unwrap();
    q.give_back(QueueId(id.0 + 1_000_000), &[0]).await.unwrap();
    let again = q.lease(NOW, 10, 60).await.unwrap();
    assert_eq!((ids(&again), &again[0].recipients), (vec![id], &vec![1]));
    assert_eq!(q.message(id).await.unwrap().unwrap().recipients, before);
}

pub async fn what_has_aged_untried_is_found(store: Store) {
    let q = &store.queue;
    let a = smtp("a.example");
    q.park(&a, HELD).await.unwrap();
    let (first, second) = (one(&store, "a.example").await, one(&store, "a.example").await);
    assert!(q.lease_aged(&a, &[100, 500], NOW + 99, 10, 60).await.unwrap().is_empty());
    let work = q.lease_aged(&a, &[100, 500], NOW + 100, 1, 60).await.unwrap();
    assert_eq!(ids(&work), [first]);
    let retry = |at| Step::Retry { not_before: at, error: "down".into() };
    settle(&store, first, 0, retry(NOW + 200)).await;
    let work = q.lease_aged(&a, &[100, 500], NOW + 300, 10, 60).await.unwrap();
    assert_eq!(ids(&work), [second], "the other was tried after that age");
    settle(&store, second, 0, retry(NOW + 400)).await;
    assert_eq!(q.lease_aged(&a, &[100, 500], NOW + 500, 10, 60).await.unwrap().len(), 2);
}

pub async fn the_facts_of_a_queue_are_kept(store: Store) {
    let q = &store.queue;
    let a = smtp("a.example");
    assert_eq!(q.queue_facts(&a).await.unwrap(), None);
    let many = vec![to("SMTP", "a.example", NOW + 5), to("SMTP", "a.example", NOW + 3)];
    let first = enqueue(&store, many).await;
    let second = one(&store, "a.example").await;
    let facts = q.queue_facts(&a).await.unwrap().unwrap();
    assert_eq!((facts.messages, facts.recipients, facts.size), (2, 3, 20));
    assert_eq!((facts.oldest, facts.next_due, facts.held), (NOW, Some(NOW), 0));
    assert_eq!((facts.name, facts.last_error.as_str()), (a.clone(), ""));
    settle(&store, second, 0, Step::Retry { not_before: NOW + 60, error: "busy".into() }).await;
    settle(&store, first, 1, Step::Done).await;
    let facts = q.queue_facts(&a).await.unwrap().unwrap();
    assert_eq!((facts.messages, facts.recipients, facts.size), (2, 2, 20));
    assert_eq!((facts.next_due, facts.last_error.as_str()), (Some(NOW + 5), "busy"));
    let third = one(&store, "a.example").await;
    settle(&store, third, 0, Step::Failed { error: "never".into() }).await;
    let facts = q.queue_facts(&a).await.unwrap().unwrap();
    assert_eq!(facts.last_error, "busy", "a failure for ever is one message's own");
    let (module, queue) = ("SMTP".to_owned(), "b.example".to_owned());
    settle(&store, first, 0, Step::Rerouted { module, queue }).await;
    let facts = q.queue_facts(&a).await.unwrap().unwrap();
    assert_eq!((facts.messages, facts.recipients, facts.size), (1, 1, 10));
    assert_eq!(q.queue_facts(&smtp("b.example")).await.unwrap().unwrap().messages, 1);
    settle(&store, second, 0, Step::Done).await;
    assert_eq!(q.queue_facts(&a).await.unwrap(), None);
}

pub async fn queues_and_their_messages_are_listed_page_by_page(store: Store) {
    let mut expected = Vec::new();
    for name in ["c.example", "a.example", "b.example"] {
        let mut messages = Vec::new();
        for _ in 0..3 {
            messages.push(one(&store, name).await);
        }
        expected.push((smtp(name), messages));
    }
    expected.push((QueueName::new("LOCAL", "joe"), vec![]));
    expected[3].1.push(enqueue(&store, vec![to("LOCAL", "joe", NOW)]).await);
    expected.sort();
    let q = &store.queue;
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = q.queues(after.as_ref(), 2).await.unwrap();
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        after = Some(last.name.clone());
        for facts in page {
            let mut messages = q.queue_messages(&facts.name, QueueId(0), 2).await.unwrap();
            let last = messages.last().copied().unwrap();
            messages.extend(q.queue_messages(&facts.name, last, 2).await.unwrap());
            assert_eq!(facts.messages, messages.len() as u64);
            found.push((facts.name, messages));
        }
    }
    assert_eq!(found, expected);
}

pub async fn a_message_with_many_recipients_is_settled_in_any_batches(store: Store) {
    let recipients = (0..300).map(|i| to("LOCAL", &format!("r{i}"), NOW)).collect();
    let id = enqueue(&store, recipients).await;
    let q = &store.queue;
    assert_eq!(q.lease_one(id, NOW, 60).await.unwrap().unwrap().recipients.len(), 300);
    let mut left: Vec<u32> = (0..300).collect();
    let mut batch = 1;
    while !left.is_empty() {
        assert_eq!(q.count().await.unwrap(), 1);
        let part: Vec<u32> = left.split_off(left.len().saturating_sub(batch));
        let step = |recipient: u32| match recipient % 3 {
            0 => RecipientStep { recipient, step: Step::Failed { error: "no".into() } },
            _ => RecipientStep { recipient, step: Step::Done },
        };
        q.settle(id, part.iter().copied().map(step).collect()).await.unwrap();
        if let Some(message) = q.message(id).await.unwrap() {
            let waits = |r: &&QueuedRecipient| matches!(r.state, RecipientState::Waiting { .. });
            assert_eq!(message.recipients.iter().filter(waits).count(), left.len());
        }
        batch = batch * 3 % 50 + 1;
    }
    assert_eq!(q.count().await.unwrap(), 0);
    assert!(q.queues(None, 1).await.unwrap().is_empty());
}
