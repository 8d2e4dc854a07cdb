//! SYS-12: mail to a mailing list reaches its subscribers with the list in its header, and its
//! owner where that is due.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod house;

use std::sync::atomic::Ordering;

use angarium_accounts::mailing_list::{Operation, Posting};
use angarium_accounts::{Actor, Dictionary};
use angarium_store::faulty::{Family, Fault};
use angarium_store::{MessageBody, NewQueued, Origin, QueueId, QueuedRecipient, RecipientState};
use house::House;

const LIST: &str = "news@main.example";

async fn house() -> House {
    let house = House::new().await;
    let accounts = &house.accounts;
    let console = Actor::console_in("main.example");
    accounts.create_list(&console, LIST, "alice").await.unwrap();
    for who in ["bob@main.example", "carol@other.example", "gone@main.example"] {
        accounts.change_subscription(&console, LIST, Operation::Subscribe, who).await.unwrap();
    }
    house
}

async fn set(house: &House, key: &str, value: &str) {
    let changes = Dictionary::from([(key.to_owned(), value.into())]);
    let console = Actor::console_in("main.example");
    house.accounts.update_list(&console, LIST, changes).await.unwrap();
}

async fn post(house: &House, from: &str, to: &str, message: &str) {
    let mut client = house.client().await;
    client.hello().await;
    client.mail(from, &[to], message).await;
    house.settled().await;
}

#[tokio::test]
async fn sys_12_a_posting_reaches_each_subscriber_with_the_list_in_its_header() {
    let house = house().await;
    set(&house, "Description", "All news").await;
    post(&house, "bob@main.example", "News@main.example", "Subject: one\r\n\r\nbody\r\n").await;
    for who in ["bob@main.example", "carol@other.example"] {
        let inbox = house.inbox(who).await;
        let [message] = &inbox[..] else { panic!("{who}: {inbox:?}") };
        assert!(message.starts_with("Return-Path: <news-report@main.example>\r\n"), "{message}");
        assert!(message.contains("List-ID: <news.main.example>\r\n"), "{message}");
        assert!(message.ends_with("Subject: one\r\n\r\nbody\r\n"), "{message}");
    }
    assert!(house.inbox("alice@main.example").await.is_empty());
    let list = house.accounts.list_named("main.example", "news").await.unwrap().unwrap();
    assert_eq!(list.subscriber("bob@main.example").unwrap().posts, 1);
    // What was distributed and comes back is not distributed again.
    let copy = house.inbox("carol@other.example").await.remove(0);
    post(&house, "bob@main.example", LIST, &copy).await;
    assert_eq!(house.inbox("carol@other.example").await.len(), 1);
}

#[tokio::test]
async fn who_may_not_post_gets_it_back_and_nobody_else_does() {
    let house = house().await;
    post(&house, "al@main.example", LIST, "Subject: no\r\n\r\nx\r\n").await;
    let back = house.inbox("alice@main.example").await.concat();
    assert!(back.contains("only subscribers may post to this list"), "{back}");
    assert!(house.inbox("bob@main.example").await.is_empty());
    set(&house, "Postings", "from anybody").await;
    post(&house, "x@far.example", LIST, "Subject: yes\r\n\r\nx\r\n").await;
    assert_eq!(house.inbox("bob@main.example").await.len(), 1);
    set(&house, "SizeLimit", "1K").await;
    let large = format!("Subject: large\r\n\r\n{}", "0123456789\r\n".repeat(200));
    post(&house, "bob@main.example", LIST, &large).await;
    let back = house.inbox("bob@main.example").await.concat();
    assert!(back.contains("larger than this list takes"), "{back}");
}

#[tokio::test]
async fn moderated_postings_wait_in_a_mailbox_of_the_owner() {
    let house = house().await;
    let console = Actor::console_in("main.example");
    let bob = "bob@main.example";
    let mode = Posting::ModerateAll;
    house.accounts.set_posting_mode(&console, LIST, bob, mode).await.unwrap();
    post(&house, bob, LIST, "Subject: may I\r\n\r\nx\r\n").await;
    let waiting = house.mailbox("alice@main.example", "news/approval").await;
    assert_eq!(waiting.len(), 1);
    assert!(waiting.concat().contains("Subject: may I\r\n"));
    assert!(house.inbox("carol@other.example").await.is_empty());
}

#[tokio::test]
async fn requests_failures_and_automatic_mail_go_to_the_owner() {
    let house = house().await;
    for (n, to) in ["owner-news", "news-admin", "news-off", "news-report", "news-confirm-5"]
        .into_iter()
        .enumerate()
    {
        post(&house, "x@far.example", &format!("{to}@main.example"), "Subject: r\r\n\r\nx\r\n")
            .await;
        assert_eq!(house.inbox("alice@main.example").await.len(), n + 1, "{to}");
    }
    post(&house, "", LIST, "Subject: away\r\n\r\nx\r\n").await;
    assert_eq!(house.inbox("alice@main.example").await.len(), 6);
    assert!(house.inbox("bob@main.example").await.is_empty());
    // Without an owner the postmaster is there.
    house.remove("alice@main.example").await;
    post(&house, "x@far.example", "owner-news@main.example", "Subject: r\r\n\r\nx\r\n").await;
    assert_eq!(house.inbox("postmaster@main.example").await.len(), 1);
    let mut client = house.client().await;
    client.hello().await;
    client.say("MAIL FROM:<x@far.example>", "250").await;
    client.say("RCPT TO:<nolist-off@main.example>", "550").await;
}

#[tokio::test]
async fn a_posting_is_distributed_once_though_its_note_is_lost() {
    let house = house().await;
    let copies = async || {
        let bob = house.inbox("bob@main.example").await.len();
        assert_eq!(house.inbox("carol@other.example").await.len(), bob);
        bob
    };
    // Each call of the queue in turn: that it fails, and that its answer is lost, as when the server
    // ends between the distribution and its note.
    let mut accepted = 0;
    for nth in 1..=10 {
        for fault in [Fault::Fail, Fault::CutOff] {
            let before = copies().await;
            let mut client = house.client().await;
            client.hello().await;
            house.plan.strike(Some(Family::Queue), nth, 2, fault);
            let subject = format!("Subject: {nth}\r\n\r\nbody\r\n");
            let reply = client.mail("bob@main.example", &[LIST], &subject).await;
            tokio::time::sleep(std::time::Duration::from_millis(30)).await;
            house.plan.calm();
            // What was leased when a call failed is due again when its lease ends.
            for _ in 0..300 {
                if house.store.queue.count().await.is_ok_and(|left| left == 0) {
                    break;
                }
                house.clock.0.fetch_add(700, Ordering::SeqCst);
                house.transfer.wake();
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
            house.settled().await;
            let come = copies().await - before;
            let taken = reply.starts_with("250");
            assert!(come <= 1, "{nth} {fault:?}: {come} copies");
            assert!(!taken || come == 1, "{nth} {fault:?}: accepted and lost");
            accepted += usize::from(taken);
        }
    }
    assert!(accepted > 10 && house.plan.struck() > 10, "{accepted}");
}

/// The same, told apart from all else: the module is asked twice about one posting.
#[tokio::test]
async fn a_posting_that_comes_to_its_list_again_reaches_nobody_again() {
    let house = house().await;
    let queue = &house.store.queue;
    post(&house, "bob@main.example", LIST, "Subject: one\r\n\r\nbody\r\n").await;
    assert_eq!(house.inbox("carol@other.example").await.len(), 1);
    // The posting had the first number; its first recipient made the copies.
    let origin = |queue| Origin { queue: QueueId(queue), recipient: 0 };
    let mut made = 0;
    for id in 1..=queue.next_id().0 {
        let again = queue.enqueue_once(empty(), origin(id)).await.unwrap();
        made += u64::from(again.is_none());
    }
    assert_eq!(made, 1);
}

/// A message to nobody who is tried.
fn empty() -> NewQueued {
    NewQueued {
        id: None,
        return_path: String::new(),
        facts: Dictionary::new(),
        body: MessageBody::Bytes(Default::default()),
        summary: Default::default(),
        recipients: vec![QueuedRecipient {
            address: "x@far.example".to_owned(),
            module: "NONE".to_owned(),
            queue: String::new(),
            facts: Dictionary::new(),
            state: RecipientState::Done,
        }],
        accepted: 0,
        priority: 0,
    }
}
