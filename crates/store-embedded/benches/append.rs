//! What the store costs beside the bare disk: appends one at a time and many at a time, queue to
//! mailbox, reading summaries and snapshots. Prints a table; the directory is made below
//! `ANGARIUM_BENCH_DIR` or the system's temporary directory (use a real disk).
//!
//! Run with `cargo bench -p angarium-store-embedded`.

#![allow(clippy::unwrap_used, reason = "a benchmark stops at the first surprise")]

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use angarium_store::{
    AccountId, AccountKind, AccountRecord, BodyId, DomainRecord, FlagBits, Flags, InternalDate,
    MailboxId, MessageBody, NewMessage, NewQueued, Origin, QueuedRecipient, RecipientState,
    RecipientStep, Step, Store,
};
use angarium_store_embedded::{Options, open};
use bytes::Bytes;

const SIZE: usize = 4096;

fn message() -> NewMessage {
    NewMessage {
        body: MessageBody::Bytes(Bytes::from(vec![b'x'; SIZE])),
        summary: Bytes::from(vec![b's'; 900]),
        flags: Flags::of(FlagBits::default()),
        internal_date: InternalDate { seconds: 1_700_000_000, zone_minutes: 0 },
        save_date: 1_700_000_000,
        uid: None,
        original_uid: None,
        pop_id: None,
        origin: None,
    }
}

fn report(what: &str, mut times: Vec<Duration>, all: Duration) {
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!(
        "{what:<44} p50 {:>7.3} ms  p99 {:>7.3} ms  {:>9.0}/s",
        at(0.5),
        at(0.99),
        times.len() as f64 / all.as_secs_f64()
    );
}

fn floor(directory: &Path, bytes: usize) {
    let file = File::create(directory.join("floor")).unwrap();
    let data = vec![1u8; bytes];
    let mut times = Vec::new();
    let begin = Instant::now();
    for n in 0..1000u64 {
        let one = Instant::now();
        file.write_all_at(&data, n * bytes as u64).unwrap();
        file.sync_data().unwrap();
        times.push(one.elapsed());
    }
    report(&format!("floor: write {bytes} + fdatasync"), times, begin.elapsed());
}

async fn accounts(store: &Store, count: usize) -> Vec<(AccountId, MailboxId)> {
    let domain = DomainRecord {
        name: "bench.example".to_owned(),
        aliases: Vec::new(),
        settings: BTreeMap::new(),
        account_defaults: BTreeMap::new(),
        template: BTreeMap::new(),
        version: 0,
    };
    store.directory.create_domain(domain).await.unwrap();
    let mut all = Vec::new();
    for n in 0..count {
        let record = AccountRecord {
            id: AccountId(0),
            domain: "bench.example".to_owned(),
            name: format!("user{n}"),
            kind: AccountKind::MultiMailbox,
            aliases: Vec::new(),
            settings: BTreeMap::new(),
            rights: Vec::new(),
            subscription: Vec::new(),
            mailbox_aliases: BTreeMap::new(),
            info: BTreeMap::new(),
            version: 0,
        };
        let id = store.directory.create_account(record, 1_700_000_000).await.unwrap().id;
        all.push((id, store.mailboxes.list(id).await.unwrap()[0].id));
    }
    all
}

async fn appends(store: &Store, who: &[(AccountId, MailboxId)], tasks: usize, each: usize) {
    let begin = Instant::now();
    let mut running = Vec::new();
    for task in 0..tasks {
        let (account, mailbox) = who[task % who.len()];
        let mailboxes = store.mailboxes.clone();
        running.push(tokio::spawn(async move {
            let mut times = Vec::new();
            for _ in 0..each {
                let one = Instant::now();
                mailboxes.append(account, mailbox, vec![message()]).await.unwrap();
                times.push(one.elapsed());
            }
            times
        }));
    }
    let mut times = Vec::new();
    for task in running {
        times.extend(task.await.unwrap());
    }
    report(&format!("append x{tasks}, {} mailboxes", who.len()), times, begin.elapsed());
}

/// Queue, deliver, settle: the way of a local message.
async fn deliveries(store: &Store, who: &[(AccountId, MailboxId)], tasks: usize, each: usize) {
    let begin = Instant::now();
    let mut running = Vec::new();
    for task in 0..tasks {
        let index = task % who.len();
        let (account, mailbox) = who[index];
        let store = store.clone();
        running.push(tokio::spawn(async move {
            let mut times = Vec::new();
            for _ in 0..each {
                let one = Instant::now();
                let (body, summary) = (message().body, message().summary);
                let recipient = QueuedRecipient {
                    address: format!("user{index}@bench.example"),
                    module: "LOCAL".to_owned(),
                    queue: format!("user{index}@bench.example"),
                    facts: BTreeMap::new(),
                    state: RecipientState::Waiting {
                        not_before: 0,
                        attempts: 0,
                        last_error: String::new(),
                    },
                };
                let new = NewQueued {
                    id: None,
                    return_path: "sender@bench.example".to_owned(),
                    facts: BTreeMap::new(),
                    body,
                    summary,
                    recipients: vec![recipient],
                    accepted: 1,
                    priority: 0,
                };
                let (id, body) = store.queue.enqueue(new).await.unwrap();
                let work = store.queue.lease_one(id, 1, 60).await.unwrap().unwrap();
                let origin = Some(Origin { queue: id, recipient: work.recipients[0] });
                let delivered =
                    NewMessage { body: MessageBody::Existing(body), origin, ..message() };
                store.mailboxes.append(account, mailbox, vec![delivered]).await.unwrap();
                let step = RecipientStep { recipient: 0, step: Step::Done };
                store.queue.settle(id, vec![step]).await.unwrap();
                times.push(one.elapsed());
            }
            times
        }));
    }
    let mut times = Vec::new();
    for task in running {
        times.extend(task.await.unwrap());
    }
    report(&format!("enqueue+deliver+settle x{tasks}"), times, begin.elapsed());
}

async fn time<T>(what: &str, rounds: usize, mut work: impl AsyncFnMut() -> T) {
    let mut times = Vec::new();
    let begin = Instant::now();
    for _ in 0..rounds {
        let one = Instant::now();
        std::hint::black_box(work().await);
        times.push(one.elapsed());
    }
    report(what, times, begin.elapsed());
}

fn cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or("").split(' ').collect();
    let ticks: f64 = fields.iter().skip(12).take(2).filter_map(|f| f.parse::<f64>().ok()).sum();
    ticks / 100.0
}

fn main() {
    let place = std::env::var_os("ANGARIUM_BENCH_DIR").map(PathBuf::from);
    let directory = tempfile::tempdir_in(place.unwrap_or_else(std::env::temp_dir)).unwrap();
    floor(directory.path(), SIZE + 1200);
    floor(directory.path(), 64 * 1024);
    let embedded = open(Options::new(directory.path().join("base"))).unwrap();
    let store = embedded.store();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let who = accounts(&store, 50).await;
        let phase =
            async |name: &str, before: f64| println!("    {name}: {:.2} s CPU", cpu() - before);
        for (few, tasks, each) in [(1, 1, 2000), (10, 10, 1000), (16, 16, 1000), (50, 50, 500)] {
            let before = cpu();
            appends(&store, &who[..few], tasks, each).await;
            phase("append", before).await;
        }
        appends(&store, &who[..1], 50, 400).await;
        for tasks in [1, 10, 50] {
            let before = cpu();
            deliveries(&store, &who, tasks, 10_000 / tasks / if tasks == 1 { 10 } else { 1 }).await;
            phase("delivery", before).await;
        }
        let (account, mailbox) = who[49];
        time("multiappend of 100", 100, async || {
            let many = (0..100).map(|_| message()).collect();
            store.mailboxes.append(account, mailbox, many).await.unwrap()
        })
        .await;
        let many = |n: usize| (0..n).map(|_| message()).collect::<Vec<_>>();
        for _ in 0..20 {
            store.mailboxes.append(account, mailbox, many(1000)).await.unwrap();
        }
        let snapshot = store.mailboxes.snapshot(account, mailbox).await.unwrap();
        let bodies: Vec<BodyId> =
            snapshot.entries.iter().rev().take(20_000).rev().map(|e| e.body).collect();
        time("20,000 summaries", 10, async || store.bodies.summaries(&bodies).await.unwrap()).await;
        time("20,000 bodies, 100 a call", 3, async || {
            for some in bodies.chunks(100) {
                store.bodies.read_many(some).await.unwrap();
            }
        })
        .await;
        time("one summary", 1000, async || store.bodies.summaries(&bodies[..1]).await.unwrap())
            .await;
        let uids: Vec<_> = snapshot.entries.iter().take(10_000).map(|e| e.uid).collect();
        time("copy of 10,000", 3, async || {
            store.mailboxes.copy(account, mailbox, &uids, mailbox, 1).await.unwrap()
        })
        .await;
        for _ in 0..(100_000 - 30_000 - snapshot.entries.len()) / 1000 {
            let small = (0..1000).map(|_| NewMessage {
                body: MessageBody::Bytes(Bytes::from_static(b"small")),
                ..message()
            });
            store.mailboxes.append(account, mailbox, small.collect()).await.unwrap();
        }
        time("snapshot of 100,000", 5, async || {
            store.mailboxes.snapshot(account, mailbox).await.unwrap().entries.len()
        })
        .await;
        time("expunge of 10,000", 1, async || {
            store.mailboxes.expunge(account, mailbox, &uids, false).await.unwrap()
        })
        .await;
        time("lookup", 2000, async || {
            store.directory.lookup("bench.example", "user7").await.unwrap()
        })
        .await;
    });
    drop(store);
    let begin = Instant::now();
    embedded.close();
    println!("close {:.1} ms", begin.elapsed().as_secs_f64() * 1e3);
    let begin = Instant::now();
    drop(open(Options::new(directory.path().join("base"))).unwrap());
    println!("open and close {:.1} ms", begin.elapsed().as_secs_f64() * 1e3);
}
