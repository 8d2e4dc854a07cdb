//! From the socket to the mailbox: what is accepted is there, once, as it came.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod house;

use std::sync::atomic::Ordering;
use std::time::Duration;

use angarium_accounts::Value;
use angarium_smtp::Protocol;
use angarium_transfer::{ReceiverSettings, Source, Submit};
use house::{House, MAIN};
use tokio::io::AsyncReadExt;

const MESSAGE: &str = "From: me\r\nSubject: hi\r\n\r\n.dot\r\nbody\r\n";
const ON_WIRE: &str = "From: me\r\nSubject: hi\r\n\r\n..dot\r\nbody\r\n";

#[tokio::test]
async fn what_was_accepted_is_in_the_inbox_with_its_trace() {
    let house = House::new().await;
    let mut client = house.client().await;
    let hello = client.hello().await;
    for word in ["PIPELINING", "SIZE 67108864", "8BITMIME", "SMTPUTF8", "CHUNKING", "DSN"] {
        assert!(hello.contains(word), "{hello}");
    }
    let reply = client.mail("x@far.example", &["alice@main.example"], ON_WIRE).await;
    // Log tools read the number out of this answer.
    let id: u64 = reply.split(' ').nth(2).unwrap().parse().unwrap();
    assert_eq!(reply, format!("250 2.0.0 {id} message accepted for delivery"));
    house.settled().await;
    let inbox = house.inbox("alice@main.example").await;
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        inbox,
        [format!(
            "Return-Path: <x@far.example>\r\n\
             X-Real-To: <alice@main.example>\r\n\
             Received: from [192.0.2.9] (HELO client.example)\r\n\
             \x20 by main.example (Angarium SMTP {version})\r\n\
             \x20 with ESMTP id {id} for alice@main.example; Fri, 15 Jan 2027 08:00:00 +0000\r\n\
             {MESSAGE}"
        )]
    );
    client.say("QUIT", "221").await;
    assert_eq!(client.reply().await, "");
}

#[tokio::test]
async fn names_of_ours_lead_to_their_accounts() {
    let house = House::new().await;
    let mut client = house.client().await;
    client.hello().await;
    let names = [
        ("al@main.example", "alice@main.example"),
        ("ALICE@Main.Example", "alice@main.example"),
        ("fwd@main.example", "bob@main.example"),
        ("carol%other.example@main.example", "carol@other.example"),
        ("@main.example:carol@other.example", "carol@other.example"),
        ("bob", "bob@main.example"),
        ("postmaster", "postmaster@main.example"),
    ];
    for (n, (name, owner)) in names.iter().enumerate() {
        let content = format!("Subject: number {n}\r\n\r\n");
        client.mail("x@far.example", &[name], &content).await;
        house.settled().await;
        let inbox = house.inbox(owner).await;
        assert!(inbox.last().unwrap().contains(&format!("number {n}")), "{name}");
    }
}

#[tokio::test]
async fn a_group_gets_one_body_and_nobody_gets_it_twice() {
    let house = House::new().await;
    let mut client = house.client().await;
    client.hello().await;
    let to = ["team@main.example", "bob@main.example", "al@main.example", "alice@main.example"];
    client.mail("x@far.example", &to, "A: b\r\n\r\nbody\r\n").await;
    house.settled().await;
    for name in ["alice@main.example", "bob@main.example"] {
        let inbox = house.inbox(name).await;
        assert_eq!(inbox.len(), 1, "{name}");
        // With several recipients none is named.
        assert!(!inbox[0].contains("X-Real-To") && !inbox[0].contains(" for "));
        assert!(inbox[0].ends_with("\r\nA: b\r\n\r\nbody\r\n"));
    }
}

#[tokio::test]
async fn a_pipelined_session_is_answered_in_one_write() {
    let house = House::new().await;
    let mut client = house.client().await;
    client.hello().await;
    client
        .send("MAIL FROM:<x@far.example>\r\nRCPT TO:<alice@main.example>\r\nRCPT TO:<nobody@main.example>\r\nDATA\r\n")
        .await;
    let mut answers = [0; 4096];
    let n = client.stream.read(&mut answers).await.unwrap();
    let answers = String::from_utf8_lossy(&answers[..n]).into_owned();
    assert_eq!(answers.lines().map(|l| &l[..3]).collect::<Vec<_>>(), ["250", "250", "550", "354"]);
    client.send(format!("{ON_WIRE}.\r\nQUIT\r\n")).await;
    client.expect("250 2.0.0").await;
    client.expect("221").await;
    house.settled().await;
    assert_eq!(house.inbox("alice@main.example").await.len(), 1);
}

#[tokio::test]
async fn chunks_arrive_as_one_message() {
    let house = House::new().await;
    let mut client = house.client().await;
    client.hello().await;
    client
        .send("MAIL FROM:<> BODY=8BITMIME\r\nRCPT TO:<bob@main.example>\r\nBDAT 6\r\nA: b\r\nBDAT 8 LAST\r\n\r\n.\r\nb\r\n")
        .await;
    for start in ["250 2.1.0", "250 2.1.5", "250 2.6.0", "250 2.0.0"] {
        client.expect(start).await;
    }
    house.settled().await;
    let inbox = house.inbox("bob@main.example").await;
    assert!(inbox[0].starts_with("Return-Path: <>\r\n"));
    assert!(inbox[0].ends_with("\r\nA: b\r\n\r\n.\r\nb\r\n"), "{}", inbox[0]);
}

#[tokio::test]
async fn lmtp_answers_for_every_recipient() {
    let house = House::new().await;
    let settings = ReceiverSettings { protocol: Protocol::Lmtp, ..ReceiverSettings::default() };
    let mut client = house.connect(settings, None, false);
    client.expect("220 main.example LMTP").await;
    client.say("EHLO x.example", "500").await;
    client.say("LHLO x.example", "250").await;
    let to = ["alice@main.example", "bob@main.example"];
    let first = client.mail("x@far.example", &to, "A: b\r\n\r\n").await;
    assert!(first.starts_with("250 2.0.0"));
    client.expect("250 2.0.0").await;
    house.settled().await;
    assert!(house.inbox(to[1]).await[0].contains("with LMTP id"));
}

// RFC 2033 section 4.2
#[tokio::test]
async fn lmtp_tells_each_recipient_whether_there_is_room_for_it() {
    let house = House::new().await;
    house.set("alice@main.example", "MaxAccountSize", "1K").await;
    house.set("carol@other.example", "MaxMessageSize", "1K").await;
    let settings = ReceiverSettings { protocol: Protocol::Lmtp, ..ReceiverSettings::default() };
    let mut client = house.connect(settings, None, false);
    client.expect("220").await;
    client.say("LHLO x.example", "250").await;
    // No size is declared, so that only the message itself tells.
    let large = format!("Subject: large\r\n\r\n{}", "0123456789\r\n".repeat(200));
    let to = ["alice@main.example", "bob@main.example", "carol@other.example"];
    assert!(client.mail("x@far.example", &to, &large).await.starts_with("452 4.2.2 <alice@"));
    client.expect("250 2.0.0").await;
    client.expect("552 5.2.3 <carol@").await;
    // Nobody has room: nothing is taken.
    let to = ["carol@other.example", "alice@main.example"];
    assert!(client.mail("x@far.example", &to, &large).await.starts_with("552 5.2.3"));
    client.expect("452 4.2.2").await;
    let first = client.mail("x@far.example", &to, "Subject: small\r\n\r\n").await;
    assert!(first.starts_with("250"), "{first}");
    client.expect("250").await;
    house.settled().await;
    assert_eq!(house.inbox("bob@main.example").await.len(), 1);
    for (who, count) in [("alice@main.example", 1), ("carol@other.example", 1)] {
        let inbox = house.inbox(who).await;
        assert!(inbox.len() == count && inbox[0].contains("Subject: small"), "{who}: {inbox:?}");
    }
}

#[tokio::test]
async fn mail_that_comes_too_fast_for_an_account_waits_its_turn_and_is_not_refused() {
    let house = House::new().await;
    let flow = Value::Array(vec![Value::from("2"), Value::from("10")]);
    house.set_value("bob@main.example", "MailInpFlow", flow).await;
    let mut client = house.client().await;
    client.hello().await;
    for n in 0..6 {
        let text = format!("Subject: n{n}\r\n\r\n");
        client.mail("x@far.example", &["bob@main.example", "carol@other.example"], &text).await;
    }
    // Everybody else has all of it at once, and nobody hears of a delay.
    for (seconds, wanted) in [(0, 2), (5, 3), (5, 4), (10, 6)] {
        house.clock.0.fetch_add(seconds, Ordering::SeqCst);
        house.transfer.wake();
        for _ in 0..500 {
            if house.inbox("bob@main.example").await.len() >= wanted {
                break;
            }
            house.transfer.wake();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(house.inbox("bob@main.example").await.len(), wanted);
    }
    house.settled().await;
    assert_eq!(house.inbox("carol@other.example").await.len(), 6);
}

#[tokio::test]
async fn mail_for_an_account_without_mail_service_waits() {
    let house = House::new().await;
    house.set("bob@main.example", "AccessModes", "None").await;
    let mut client = house.client().await;
    client.hello().await;
    client.mail("x@far.example", &["bob@main.example"], "Subject: x\r\n\r\n").await;
    house.tried(1).await;
    house.set("bob@main.example", "AccessModes", "All").await;
    // By the setting DisabledRetryEvery: an hour.
    house.clock.0.fetch_add(3_600, Ordering::SeqCst);
    house.transfer.wake();
    house.settled().await;
    assert_eq!(house.inbox("bob@main.example").await.len(), 1);
}

#[tokio::test]
async fn a_large_message_and_one_without_header_come_out_as_they_went_in() {
    let house = House::new().await;
    let mut client = house.client().await;
    client.hello().await;
    let large = format!("Subject: large\r\n\r\n{}", "0123456789abcdef\r\n".repeat(150_000));
    client.mail("x@far.example", &["bob@main.example"], &large).await;
    client.mail("x@far.example", &["bob@main.example"], "no header here\r\n").await;
    house.settled().await;
    let mut inbox = house.inbox("bob@main.example").await;
    inbox.sort_by_key(String::len);
    assert!(inbox[0].ends_with("+0000\r\n\r\nno header here\r\n"), "{}", inbox[0]);
    assert!(inbox[1].ends_with(&large));
}

#[tokio::test]
async fn every_source_submits_through_the_same_door() {
    let house = House::new().await;
    let submitter = house.transfer.submitter();
    let submit = Submit::new(Source::Pop, "alice@main.example", &["bob@main.example"]);
    submitter.submit_message(submit, b"Subject: xmit\r\n\r\nhello\r\n").await.unwrap();
    house.settled().await;
    let text = &house.inbox("bob@main.example").await[0];
    assert!(text.contains("\r\nDate: ") && text.contains("\r\nMessage-ID: <pop-"), "{text}");
    assert!(text.ends_with("\r\nSubject: xmit\r\n\r\nhello\r\n"));
    for bad in ["nobody@main.example"] {
        let submit = Submit::new(Source::Pop, "alice@main.example", &["bob@main.example", bad]);
        let error = submitter.submit_message(submit, b"\r\n").await.unwrap_err();
        assert!(!error.is_temporary());
        assert!(error.to_string().contains(bad), "{error}");
    }
    assert_eq!(house.inbox("bob@main.example").await.len(), 1);
    assert_eq!(MAIN, house.accounts.main_domain().await.unwrap());
}

#[tokio::test]
async fn fifty_connections_at_once_lose_nothing() {
    let house = std::sync::Arc::new(House::new().await);
    let mut running = tokio::task::JoinSet::new();
    for n in 0..50 {
        let house = house.clone();
        running.spawn(async move {
            let mut client = house.client().await;
            client.hello().await;
            for m in 0..4 {
                let content = format!("Subject: {n}-{m}.\r\n\r\nx\r\n");
                let reply = client.mail("x@far.example", &["bob@main.example"], &content).await;
                assert!(reply.starts_with("250"), "{reply}");
            }
        });
    }
    while let Some(done) = running.join_next().await {
        done.unwrap();
    }
    house.settled().await;
    let inbox = house.inbox("bob@main.example").await;
    assert_eq!(inbox.len(), 200);
    for n in 0..50 {
        for m in 0..4 {
            let subject = format!("Subject: {n}-{m}.");
            assert_eq!(inbox.iter().filter(|t| t.contains(&subject)).count(), 1);
        }
    }
}
