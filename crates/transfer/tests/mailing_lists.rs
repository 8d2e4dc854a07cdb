//! SYS-12: mail to a mailing list reaches its subscribers with the list in its header, and its
//! owner where that is due.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod house;

use angarium_accounts::mailing_list::{Operation, Posting};
use angarium_accounts::{Actor, Dictionary};
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
