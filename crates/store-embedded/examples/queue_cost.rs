//! What a long queue costs: `cargo run --example queue_cost -- DIR [MESSAGES [RECIPIENTS]]` queues
//! that many messages for a hundred hosts, and one with that many recipients; opens the base
//! again; leases and settles all of it; and says how long each took and how much memory there is.

use std::path::PathBuf;
use std::time::Instant;

use angarium_store::{
    MessageBody, NewQueued, QueuedRecipient, RecipientState, RecipientStep, Step, suite,
};
use angarium_store_embedded::{Options, open};
use bytes::Bytes;

/// Messages queued at a time.
const AT_ONCE: usize = 64;

fn message(hosts: impl Iterator<Item = usize>) -> NewQueued {
    let recipient = |host: usize| QueuedRecipient {
        address: format!("someone@h{host}.example"),
        module: "SMTP".to_owned(),
        queue: format!("h{host}.example"),
        facts: Default::default(),
        state: RecipientState::Waiting { not_before: 1, attempts: 0, last_error: String::new() },
    };
    NewQueued {
        id: None,
        return_path: "sender@example.com".to_owned(),
        facts: Default::default(),
        body: MessageBody::Bytes(Bytes::from(vec![b'x'; 4096])),
        summary: Bytes::new(),
        recipients: hosts.map(recipient).collect(),
        accepted: 1,
        priority: 0,
    }
}

/// Resident memory in KiB, where the system tells.
fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.map_or("?".to_owned(), |line| line.trim().to_owned())
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let base = PathBuf::from(arguments.next().expect("a directory to be made"));
    let mut number = |usual: usize| arguments.next().and_then(|n| n.parse().ok()).unwrap_or(usual);
    let (messages, recipients) = (number(100_000), number(10_000));
    let say = |what: &str, since: Instant| {
        println!("{what}: {:.1} s, {}", since.elapsed().as_secs_f64(), memory());
    };
    let begin = Instant::now();
    let embedded = open(Options::new(&base)).expect("a new base");
    let store = embedded.store();
    suite::run(async {
        let mut running = tokio::task::JoinSet::new();
        for n in 0..messages {
            if running.len() >= AT_ONCE {
                running.join_next().await;
            }
            let queue = store.queue.clone();
            running.spawn(async move { queue.enqueue(message([n % 100].into_iter())).await });
        }
        while running.join_next().await.is_some() {}
        store.queue.enqueue(message(0..recipients)).await.expect("queued");
    });
    say("queued", begin);
    drop(store);
    embedded.close();
    let begin = Instant::now();
    let embedded = open(Options::new(&base)).expect("the base again");
    let store = embedded.store();
    say("opened again", begin);
    let begin = Instant::now();
    suite::run(async {
        let queues = store.queue.queues(None, usize::MAX).await.expect("the queues");
        println!("{} queues", queues.len());
    });
    say("queues listed", begin);
    let begin = Instant::now();
    let (mut left, mut large) = (0, None);
    suite::run(async {
        loop {
            let work = store.queue.lease(2, 256, 60).await.expect("work");
            if work.is_empty() {
                break;
            }
            let mut running = tokio::task::JoinSet::new();
            for one in work {
                if one.recipients.len() > 1 {
                    large = Some(one);
                    continue;
                }
                left += 1;
                let queue = store.queue.clone();
                let step = RecipientStep { recipient: one.recipients[0], step: Step::Done };
                running.spawn(async move { queue.settle(one.message.id, vec![step]).await });
            }
            while running.join_next().await.is_some() {}
        }
    });
    say(&format!("{left} leased and settled"), begin);
    let begin = Instant::now();
    suite::run(async {
        let Some(large) = large else { return };
        let mut running = tokio::task::JoinSet::new();
        for recipient in large.recipients {
            if running.len() >= AT_ONCE {
                running.join_next().await;
            }
            let (queue, id) = (store.queue.clone(), large.message.id);
            let step = RecipientStep { recipient, step: Step::Done };
            running.spawn(async move { queue.settle(id, vec![step]).await });
        }
        while running.join_next().await.is_some() {}
        println!("{} messages left", store.queue.count().await.expect("a count"));
    });
    say(&format!("{recipients} recipients settled one by one"), begin);
    drop(store);
    embedded.close();
}
