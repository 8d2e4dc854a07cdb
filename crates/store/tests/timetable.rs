//! The work of the timetable grows with what is asked, not with what is there: counted in single
//! moves, not in time.

#![allow(clippy::unwrap_used, reason = "tests")]

use angarium_store::timetable::{Entry, Standing, Timetable};
use angarium_store::{QueueId, QueueName};

const NOW: i64 = 1_000;

fn entry(queues: impl Iterator<Item = String>) -> Entry {
    let standing = |queue: String| Standing {
        queue: QueueName::new("SMTP", &queue),
        due: Some(NOW),
        error: None,
    };
    Entry { size: 10, recipients: queues.map(standing).collect(), ..Entry::default() }
}

fn settle(table: &mut Timetable, id: QueueId, recipient: u32) {
    table.reschedule(id, vec![(recipient, Standing::default())]);
    if table.waiting(id) == 0 {
        table.remove(id);
    }
}

/// Moves for `messages` in one queue: queued, leased in batches, half of them retried once,
/// settled.
fn one_queue(messages: u64) -> u64 {
    let mut table = Timetable::default();
    for id in 1..=messages {
        table.add(QueueId(id), entry(["huge".to_owned()].into_iter()));
    }
    let mut now = NOW;
    while table.count() > 0 {
        let leases = table.lease(Some("SMTP"), now, 100, now + 600);
        if leases.is_empty() {
            now = table.next_due().unwrap();
        }
        for lease in leases {
            if now == NOW && lease.id.0 % 2 == 0 {
                let again = Standing {
                    queue: QueueName::new("SMTP", "huge"),
                    due: Some(now + 300),
                    error: Some("busy".to_owned()),
                };
                table.reschedule(lease.id, vec![(0, again)]);
            } else {
                settle(&mut table, lease.id, 0);
            }
        }
    }
    table.steps()
}

/// Moves for one message whose recipients are settled one by one.
fn one_message(recipients: u32, queues: u32) -> u64 {
    let mut table = Timetable::default();
    table.add(QueueId(1), entry((0..recipients).map(|n| format!("q{}", n % queues))));
    let lease = table.lease_one(QueueId(1), NOW, NOW + 600).unwrap();
    assert_eq!(lease.recipients.len(), recipients as usize);
    for recipient in lease.recipients {
        settle(&mut table, QueueId(1), recipient);
    }
    assert_eq!(table.count(), 0);
    table.steps()
}

#[test]
fn the_work_for_a_queue_grows_with_its_messages_alone() {
    let (few, many) = (one_queue(500), one_queue(5_000));
    assert!(many <= few * 11, "{few} moves for 500 messages, {many} for 5,000");
}

#[test]
fn the_work_for_a_message_grows_with_its_recipients_alone() {
    for queues in [1, 10_000] {
        let (few, many) = (one_message(1_000, queues), one_message(10_000, queues));
        assert!(many <= few * 11, "{few} moves for 1,000 recipients, {many} for 10,000");
    }
}

#[test]
fn a_look_into_a_long_queue_costs_what_it_takes_out() {
    let mut table = Timetable::default();
    for id in 1..=10_000 {
        table.add(QueueId(id), entry([format!("q{}", id % 7)].into_iter()));
    }
    table.lease(None, NOW, 1, NOW + 600);
    let before = table.steps();
    for _ in 0..100 {
        assert_eq!(table.lease(None, NOW, 1, NOW + 600).len(), 1);
    }
    assert!(table.steps() - before <= 100 * 4, "{}", table.steps() - before);
}
