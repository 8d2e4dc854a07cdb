//! The queue at work: whole queues that wait, take turns, are held, released and taken; what
//! senders hear meanwhile; the administrator's desk.

#![allow(clippy::unwrap_used, reason = "tests")]

mod house;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

use angarium_accounts::{
    Actor, Dictionary, DomainObject, DomainRecord, MessageBody, QueueId, Value,
};
use angarium_store::{NewQueued, QueueName, QueuedMessage, QueuedRecipient, RecipientState, Store};
use angarium_transfer::deliver::{Channels, Outcome, Reach};
use angarium_transfer::{
    ConnectionInfo, DequeuerOptions, DeskError, Module, ReceiverSettings, Transfer, serve,
};
use async_trait::async_trait;
use bytes::Bytes;
use house::{House, MAIN};
use tokio::sync::Semaphore;

const CHANNELS: Channels = Channels { total: 10, per_queue: 3, recipients: 1000 };

/// What a queue's hosts do.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Take,
    Down,
    Busy,
    Refuse,
    Hang,
}

/// A module SMTP that sends nowhere.
struct Sender {
    manners: Mutex<BTreeMap<String, Manner>>,
    /// Every delivery: queue, message, recipients.
    seen: Mutex<Vec<(String, QueueId, usize)>>,
    hang: Semaphore,
}

impl Sender {
    fn new() -> Arc<Self> {
        let (manners, seen) = (Mutex::default(), Mutex::default());
        Arc::new(Self { manners, seen, hang: Semaphore::new(0) })
    }

    fn set(&self, queue: &str, manner: Manner) {
        self.manners.lock().unwrap().insert(queue.to_owned(), manner);
    }

    fn tries(&self, queue: &str) -> usize {
        self.seen.lock().unwrap().iter().filter(|(seen, ..)| seen == queue).count()
    }
}

#[async_trait]
impl Module for Sender {
    fn name(&self) -> &'static str {
        "SMTP"
    }

    fn channels(&self) -> Channels {
        CHANNELS
    }

    async fn deliver(
        &self,
        message: &Arc<QueuedMessage>,
        recipients: &[u32],
    ) -> Vec<(u32, Outcome)> {
        let queue = message.recipients[recipients[0] as usize].queue.clone();
        assert!(recipients.iter().all(|i| message.recipients[*i as usize].queue == queue));
        self.seen.lock().unwrap().push((queue.clone(), message.id, recipients.len()));
        let manner = self.manners.lock().unwrap().get(&queue).copied().unwrap_or(Manner::Take);
        if manner == Manner::Hang {
            self.hang.acquire().await.unwrap().forget();
        }
        let later = |reach| Outcome::Later {
            status: "4.4.1".into(),
            text: "no answer\r\nat all".into(),
            host: None,
            reach,
        };
        let outcome = match manner {
            Manner::Take | Manner::Hang => {
                Outcome::Relayed { host: "mx".into(), text: "250 ok".into(), reports: true }
            }
            Manner::Down => later(Reach::Queue),
            Manner::Busy => later(Reach::Recipient),
            Manner::Refuse => Outcome::failed("5.1.1", "no such user"),
        };
        recipients.iter().map(|index| (*index, outcome.clone())).collect()
    }
}

/// A module SMTP that hands everything to another server of ours, by real dialogue.
struct Bridge {
    store: Store,
    peer: OnceLock<Weak<Transfer>>,
    messages: AtomicUsize,
}

#[async_trait]
impl Module for Bridge {
    fn name(&self) -> &'static str {
        "SMTP"
    }

    async fn deliver(
        &self,
        message: &Arc<QueuedMessage>,
        recipients: &[u32],
    ) -> Vec<(u32, Outcome)> {
        self.messages.fetch_add(1, Ordering::SeqCst);
        let peer = self.peer.get().unwrap().upgrade().unwrap();
        let (ours, theirs) = tokio::io::duplex(1024 * 1024);
        let info = ConnectionInfo {
            session: 7,
            peer: "192.0.2.9:4321".parse().unwrap(),
            local: "127.0.0.1:25".parse().unwrap(),
            tls: false,
        };
        let receiver = peer.receiver(ReceiverSettings::default(), None);
        tokio::spawn(serve(theirs, info, receiver));
        let mut client = house::Client { stream: ours, buffer: Vec::new() };
        client.expect("220").await;
        client.say("EHLO peer.example", "250").await;
        client.say(&format!("MAIL FROM:<{}>", message.return_path), "250").await;
        for index in recipients {
            let recipient = &message.recipients[*index as usize];
            let to = recipient.facts.get("To").and_then(Value::as_str);
            let to = to.unwrap_or(&recipient.address);
            let line = format!("RCPT TO:<{to}>\r\n");
            client.send(line).await;
            let reply = client.reply().await;
            if !reply.starts_with("250") {
                return vec![(*index, Outcome::failed("5.1.1", reply))];
            }
        }
        client.say("DATA", "354").await;
        let body = self.store.bodies.read(message.body).await.unwrap();
        client.send(body).await;
        client.send("\r\n.\r\n").await;
        let reply = client.reply().await;
        let outcome = match reply.as_bytes().first() {
            Some(b'2') => Outcome::Relayed { host: "peer".into(), text: reply, reports: true },
            Some(b'4') => Outcome::later("4.0.0", reply),
            _ => Outcome::failed("5.0.0", reply),
        };
        recipients.iter().map(|index| (*index, outcome.clone())).collect()
    }
}

struct World {
    house: House,
    transfer: Arc<Transfer>,
    sender: Arc<Sender>,
}

impl World {
    async fn new() -> Self {
        let mut house = House::new().await;
        // Another transfer over the same accounts, with a module of ours.
        house.transfer.stop().await;
        let sender = Sender::new();
        let transfer = Transfer::start_with(
            house.accounts.clone(),
            DequeuerOptions::default(),
            vec![sender.clone()],
        );
        house.transfer = transfer.clone();
        Self { house, transfer, sender }
    }

    async fn queue_to(&self, from: &str, queue: &str, recipients: usize) -> QueueId {
        self.enqueue(from, ("SMTP", queue), recipients, 0).await
    }

    /// The same for any module, and due so many seconds from now.
    async fn enqueue(
        &self,
        from: &str,
        (module, queue): (&str, &str),
        recipients: usize,
        wait: i64,
    ) -> QueueId {
        let now = self.house.clock.0.load(Ordering::SeqCst);
        let recipient = |n: usize| QueuedRecipient {
            address: if module == "SMTP" { format!("r{n}@{queue}") } else { queue.to_owned() },
            module: module.into(),
            queue: queue.into(),
            facts: Dictionary::new(),
            state: RecipientState::Waiting {
                not_before: now + wait,
                attempts: 0,
                last_error: String::new(),
            },
        };
        let new = NewQueued {
            id: None,
            return_path: from.into(),
            facts: Dictionary::new(),
            body: MessageBody::Bytes(Bytes::from_static(b"Subject: far\r\n\r\nbody\r\n")),
            summary: Bytes::new(),
            recipients: (0..recipients).map(recipient).collect(),
            accepted: now,
            priority: 0,
        };
        self.house.store.queue.enqueue(new).await.unwrap().0
    }

    async fn until(&self, what: &str, check: impl AsyncFn() -> bool) {
        for _ in 0..2_000 {
            if check().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("never: {what}");
    }

    async fn tried(&self, queue: &str, times: usize) {
        self.until(&format!("{times} tries of {queue}"), async || {
            self.sender.tries(queue) >= times && self.at_rest(queue).await
        })
        .await;
    }

    async fn at_rest(&self, queue: &str) -> bool {
        match self.transfer.desk().queue("SMTP", queue).await.unwrap() {
            Some(row) => row.state.running == 0,
            None => true,
        }
    }

    async fn count(&self) -> u64 {
        self.house.store.queue.count().await.unwrap()
    }

    async fn emptied(&self) {
        self.until("an empty queue", async || self.count().await == 0).await;
    }

    fn later(&self, seconds: i64) {
        self.house.clock.0.fetch_add(seconds, Ordering::SeqCst);
        self.transfer.wake();
    }

    async fn settings(&self, text: &str) {
        let Value::Dictionary(settings) = angarium_objects::text::parse_line(text).unwrap() else {
            panic!("{text}");
        };
        let console = Actor::console_in(MAIN);
        self.house.accounts.set_module_settings(&console, "Queue", settings).await.unwrap();
    }
}

#[tokio::test]
async fn a_queue_whose_hosts_are_down_waits_as_one_and_a_success_releases_it() {
    let w = World::new().await;
    w.sender.set("down.example", Manner::Down);
    for _ in 0..40 {
        w.queue_to("carol@other.example", "down.example", 1).await;
    }
    w.tried("down.example", 1).await;
    let first = w.sender.tries("down.example");
    assert!(first <= CHANNELS.per_queue, "{first} tries");
    w.transfer.wake();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(w.sender.tries("down.example"), first, "nothing is tried while the queue waits");
    let row = w.transfer.desk().queue("SMTP", "down.example").await.unwrap().unwrap();
    assert_eq!((row.facts.messages, row.state.failures), (40, 1));
    assert_eq!(row.state.error, "no answer  at all");
    // One probes.
    w.later(301);
    w.tried("down.example", first + 1).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(w.sender.tries("down.example"), first + 1);
    w.sender.set("down.example", Manner::Take);
    w.later(901);
    w.emptied().await;
    assert_eq!(w.sender.tries("down.example"), first + 1 + 40);
}

#[tokio::test]
async fn local_mail_never_waits_behind_remote_and_a_huge_queue_does_not_starve_others() {
    let w = World::new().await;
    w.sender.set("slow.example", Manner::Hang);
    for _ in 0..300 {
        w.queue_to("carol@other.example", "slow.example", 1).await;
    }
    w.until("busy channels", async || w.sender.tries("slow.example") == CHANNELS.per_queue).await;
    let mut client = w.house.client().await;
    client.hello().await;
    client.mail("carol@other.example", &["bob@main.example"], "Subject: x\r\n\r\nhi\r\n").await;
    w.until("local mail", async || w.house.inbox("bob@main.example").await.len() == 1).await;
    let other = w.queue_to("carol@other.example", "other.example", 1).await;
    w.until("the other queue", async || {
        w.house.store.queue.message(other).await.unwrap().is_none()
    })
    .await;
    assert_eq!(w.sender.tries("slow.example"), CHANNELS.per_queue);
    w.sender.hang.add_permits(10_000);
    w.emptied().await;
    let seen = w.sender.seen.lock().unwrap();
    let ids: BTreeSet<QueueId> = seen.iter().map(|(_, id, _)| *id).collect();
    assert_eq!((seen.len(), ids.len()), (301, 301), "each once");
}

#[tokio::test]
async fn recipients_of_one_queue_go_out_together_up_to_a_bound() {
    let w = World::new().await;
    w.queue_to("carol@other.example", "a.example", 2_500).await;
    w.emptied().await;
    let mut sizes: Vec<_> = w.sender.seen.lock().unwrap().iter().map(|seen| seen.2).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [500, 1000, 1000]);
}

#[tokio::test]
async fn a_sender_hears_of_a_delay_once_and_gets_it_back_at_last() {
    let w = World::new().await;
    w.sender.set("down.example", Manner::Down);
    // Only some of them are ever tried themselves.
    for _ in 0..8 {
        w.queue_to("carol@other.example", "down.example", 1).await;
    }
    w.tried("down.example", 1).await;
    let reports = async |n| {
        w.until(&format!("{n} reports"), async || {
            w.house.inbox("carol@other.example").await.len() == n
        })
        .await;
    };
    w.later(4 * 3600 + 1);
    reports(8).await;
    let inbox = w.house.inbox("carol@other.example").await;
    for report in &inbox {
        assert!(report.contains("Action: delayed") && report.contains("Will-Retry-Until"));
        assert!(report.contains("no answer  at all"), "{report}");
    }
    w.later(8 * 3600);
    let tries = w.sender.tries("down.example");
    w.tried("down.example", tries + 1).await;
    assert_eq!(w.house.inbox("carol@other.example").await.len(), 8, "told once");
    w.later(4 * 86_400);
    reports(16).await;
    w.emptied().await;
    let inbox = w.house.inbox("carol@other.example").await;
    assert_eq!(inbox.iter().filter(|report| report.contains("Action: failed")).count(), 8);
}

#[tokio::test]
async fn a_held_domain_is_sent_when_it_is_asked_for() {
    let w = World::new().await;
    w.settings("{HoldMailForDomains=(held.example);}").await;
    w.until("the settings", async || {
        w.transfer.wake();
        w.queue_to("carol@other.example", "held.example", 1).await;
        w.transfer.desk().queue("SMTP", "held.example").await.unwrap().is_some_and(|q| q.held)
    })
    .await;
    let before = w.sender.tries("held.example");
    for _ in 0..30 {
        w.queue_to("carol@other.example", "held.example", 1).await;
    }
    w.queue_to("carol@other.example", "sub.held.example", 1).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(w.sender.tries("held.example"), before);
    let held = w.transfer.queued("Held.Example").await.unwrap();
    assert!(held >= 30);
    let release = w.transfer.release_below("held.example").await;
    assert_eq!(release.messages, held);
    w.emptied().await;
    // And it is held again.
    let tries = w.sender.tries("held.example");
    w.until("the queue is kept again", async || {
        w.queue_to("carol@other.example", "held.example", 1).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        w.count().await > 0
    })
    .await;
    // It is let go when the setting goes.
    w.settings("{}").await;
    w.emptied().await;
    assert!(w.sender.tries("held.example") > tries);
}

#[tokio::test]
async fn a_queue_is_taken_over_another_connection_and_a_cut_loses_nothing() {
    let w = World::new().await;
    w.settings("{HoldMailForDomains=(held.example);}").await;
    w.until("the settings", async || {
        w.queue_to("carol@other.example", "held.example", 1).await;
        w.transfer.desk().queue("SMTP", "held.example").await.unwrap().is_some_and(|q| q.held)
    })
    .await;
    for _ in 0..5 {
        w.queue_to("carol@other.example", "held.example", 1).await;
    }
    let waiting = w.transfer.queued("held.example").await.unwrap();
    let other = Sender::new();
    other.set("held.example", Manner::Down);
    let taken = w.transfer.take_queue("held.example", &*other).await;
    assert_eq!((taken.messages, taken.cut_off), (1, true));
    assert_eq!(w.transfer.queued("held.example").await.unwrap(), waiting);
    let name = QueueName::new("SMTP", "held.example");
    let id = w.house.store.queue.queue_messages(&name, QueueId(0), 1).await.unwrap()[0];
    let message = w.house.store.queue.message(id).await.unwrap().unwrap();
    assert!(matches!(message.recipients[0].state, RecipientState::Waiting { attempts: 0, .. }));
    other.set("held.example", Manner::Take);
    let taken = w.transfer.take_queue("held.example", &*other).await;
    assert_eq!((taken.messages, taken.cut_off), (waiting, false));
    w.emptied().await;
    assert_eq!(w.transfer.take_queue("held.example", &*other).await.messages, 0);
}

#[tokio::test]
async fn an_administrator_releases_the_queue_of_an_account_as_that_of_a_host() {
    let w = World::new().await;
    let desk = w.transfer.desk();
    let bob = ("LOCAL", "bob@main.example");
    for name in ["bob@main.example", "LOCAL(bob@main.example)", "Bob@Main.Example"] {
        w.enqueue("carol@other.example", bob, 1, 3_600).await;
        tokio::time::sleep(Duration::from_millis(30)).await;
        assert_eq!(w.count().await, 1, "{name}");
        assert_eq!(desk.release_queue("nobody@main.example").await.messages, 0);
        assert_eq!(desk.release_queue("SMTP(bob@main.example)").await.messages, 0);
        assert_eq!(desk.release_queue(name).await.messages, 1, "{name}");
        w.emptied().await;
    }
    assert_eq!(w.house.inbox("bob@main.example").await.len(), 3);
}

#[tokio::test]
async fn a_message_is_held_released_redirected_and_rejected() {
    let w = World::new().await;
    let desk = w.transfer.desk();
    w.sender.set("a.example", Manner::Busy);
    let held = w.queue_to("carol@other.example", "a.example", 1).await;
    w.tried("a.example", 1).await;
    desk.hold(held).await.unwrap();
    w.sender.set("a.example", Manner::Take);
    w.later(86_400);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!((w.sender.tries("a.example"), w.count().await), (1, 1));
    desk.release(held).await.unwrap();
    w.emptied().await;
    assert!(w.house.inbox("carol@other.example").await.is_empty());
    assert_eq!(desk.hold(held).await, Err(DeskError::NoMessage));

    w.sender.set("a.example", Manner::Busy);
    let redirected = w.queue_to("carol@other.example", "a.example", 2).await;
    w.tried("a.example", 3).await;
    assert!(matches!(
        desk.redirect(redirected, "nobody@main.example").await,
        Err(DeskError::Never(_))
    ));
    assert!(w.house.store.queue.message(redirected).await.unwrap().is_some());
    desk.redirect(redirected, "bob@main.example").await.unwrap();
    w.emptied().await;
    assert!(w.house.inbox("bob@main.example").await[0].contains("Subject: far"));

    let rejected = w.queue_to("carol@other.example", "a.example", 1).await;
    w.tried("a.example", 4).await;
    desk.reject(rejected, Some("not from here"), false).await.unwrap();
    w.emptied().await;
    let report = w.house.inbox("carol@other.example").await.remove(0);
    assert!(report.contains("Action: failed") && report.contains("not from here"), "{report}");
    assert_eq!(desk.reject(rejected, None, false).await, Err(DeskError::NoMessage));

    for from in ["spam@far.example", "carol@other.example", "Spam@far.example"] {
        w.queue_to(from, "a.example", 1).await;
    }
    w.tried("a.example", 7).await;
    assert_eq!(desk.reject_sender("<spam@FAR.example>", None, true).await, Ok(2));
    assert_eq!(w.count().await, 1);
}

#[tokio::test]
async fn a_report_that_comes_back_is_kept_for_the_postmaster_and_makes_no_other() {
    // ABU-11: a report has no sender to be told.
    let w = World::new().await;
    w.sender.set("a.example", Manner::Refuse);
    let id = w.queue_to("", "a.example", 1).await;
    w.emptied().await;
    assert!(w.house.mailbox("postmaster@main.example", "Undelivered Reports").await.is_empty());
    assert!(w.house.store.queue.message(id).await.unwrap().is_none());
    let mut report = NewQueued {
        id: None,
        return_path: String::new(),
        facts: Dictionary::from([("Source".to_owned(), Value::from("DEQUEUER"))]),
        body: MessageBody::Bytes(Bytes::from_static(b"Subject: report\r\n\r\nbody\r\n")),
        summary: Bytes::new(),
        recipients: Vec::new(),
        accepted: 1_800_000_000,
        priority: 0,
    };
    report.recipients.push(QueuedRecipient {
        address: "r@a.example".into(),
        module: "SMTP".into(),
        queue: "a.example".into(),
        facts: Dictionary::new(),
        state: RecipientState::Waiting { not_before: 1, attempts: 0, last_error: String::new() },
    });
    w.house.store.queue.enqueue(report).await.unwrap();
    w.emptied().await;
    let kept = w.house.mailbox("postmaster@main.example", "Undelivered Reports").await;
    assert_eq!(kept.len(), 1);
    assert!(kept[0].contains("Subject: report"));
}

#[tokio::test]
async fn two_servers_forwarding_to_each_other_stop_and_the_sender_hears_once() {
    // ABU-11
    let mut sides = Vec::new();
    for (own, other) in [("a.example", "b.example"), ("b.example", "a.example")] {
        let mut house = House::new().await;
        house.transfer.stop().await;
        let bridge = Arc::new(Bridge {
            store: house.store.clone(),
            peer: OnceLock::new(),
            messages: AtomicUsize::new(0),
        });
        let record = DomainRecord {
            name: own.into(),
            aliases: Vec::new(),
            settings: Dictionary::new(),
            account_defaults: Dictionary::new(),
            template: Dictionary::new(),
            version: 0,
        };
        house.store.directory.create_domain(record).await.unwrap();
        let forwarder = DomainObject::Forwarder(format!("loop@{other}"));
        house.store.directory.put_object(own, "loop", forwarder, false).await.unwrap();
        let options = DequeuerOptions::default();
        house.transfer =
            Transfer::start_with(house.accounts.clone(), options, vec![bridge.clone()]);
        sides.push((house, bridge));
    }
    sides[0].1.peer.set(Arc::downgrade(&sides[1].0.transfer)).unwrap();
    sides[1].1.peer.set(Arc::downgrade(&sides[0].0.transfer)).unwrap();
    let mut client = sides[0].0.client().await;
    client.hello().await;
    let text = "Subject: round and round\r\n\r\nbody\r\n";
    let reply = client.mail("carol@other.example", &["loop@a.example"], text).await;
    assert!(reply.starts_with("250"), "{reply}");
    let reports = async || {
        let mut reports = sides[0].0.inbox("carol@other.example").await;
        reports.extend(sides[1].0.inbox("carol@other.example").await);
        reports
    };
    for _ in 0..2_000 {
        if !reports().await.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for (house, _) in &sides {
        house.settled().await;
    }
    let reports = reports().await;
    assert_eq!(reports.len(), 1, "{reports:?}");
    assert!(reports[0].contains("Action: failed"), "{}", reports[0]);
    let hops: usize = sides.iter().map(|(_, b)| b.messages.load(Ordering::SeqCst)).sum();
    assert!((20..=60).contains(&hops), "{hops} hops");
}

#[tokio::test]
async fn mail_to_be_held_waits_and_what_is_late_goes_back() {
    let w = World::new().await;
    let now = w.house.clock.0.load(Ordering::SeqCst);
    let submit = |facts: &[(&str, Value)]| {
        let facts = facts.iter().map(|(key, value)| ((*key).to_owned(), value.clone()));
        NewQueued {
            id: None,
            return_path: "carol@other.example".into(),
            facts: facts.collect(),
            body: MessageBody::Bytes(Bytes::from_static(b"Subject: timed\r\n\r\nbody\r\n")),
            summary: Bytes::new(),
            recipients: vec![QueuedRecipient {
                address: "r@a.example".into(),
                module: "SMTP".into(),
                queue: "a.example".into(),
                facts: Dictionary::new(),
                state: RecipientState::Waiting {
                    not_before: now,
                    attempts: 0,
                    last_error: String::new(),
                },
            }],
            accepted: now,
            priority: 0,
        }
    };
    let queue = &w.house.store.queue;
    queue.enqueue(submit(&[("HOLD", Value::Number(now + 1000))])).await.unwrap();
    w.until("it is put off", async || queue.next_due().await.unwrap() == Some(now + 1000)).await;
    w.transfer.release("a.example").await;
    w.until("put off again", async || queue.next_due().await.unwrap() == Some(now + 1000)).await;
    assert_eq!(w.sender.tries("a.example"), 0);
    w.later(1000);
    w.emptied().await;
    assert_eq!(w.sender.tries("a.example"), 1);

    w.sender.set("a.example", Manner::Busy);
    let by = [("BY", Value::Number(now + 1100)), ("BYMODE", Value::from("R"))];
    queue.enqueue(submit(&by)).await.unwrap();
    w.tried("a.example", 2).await;
    w.later(100);
    w.emptied().await;
    assert_eq!(w.sender.tries("a.example"), 2, "late is late: it is not tried again");
    let report = w.house.inbox("carol@other.example").await.remove(0);
    assert!(report.contains("Action: failed") && report.contains("time set by its sender"));
}
