//! When the store fails, and when delivery does: never OK for what is not there, tried again,
//! delivered once, and the sender is told. CR-03, ABU-11, ABU-14.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod house;

use std::sync::atomic::Ordering;

use angarium_store::faulty::{Family, Fault};
use house::House;

const CONTENT: &str = "From: me\r\nSubject: question\r\n\r\nbody\r\n";

#[tokio::test]
async fn a_store_that_fails_is_never_answered_with_ok() {
    // CR-03: every call of the accept path in turn.
    let house = House::new().await;
    let mut client = house.client().await;
    client.hello().await;
    for family in [Family::Bodies, Family::Queue] {
        for nth in 1..=3 {
            client.say("MAIL FROM:<x@far.example>", "250").await;
            client.say("RCPT TO:<bob@main.example>", "250").await;
            // From the nth call on everything of the family fails.
            house.plan.strike(Some(family), nth, 1000, Fault::Fail);
            client.send("DATA\r\n").await;
            let mut reply = client.reply().await;
            if reply.starts_with("354") {
                client.send(format!("{CONTENT}.\r\n")).await;
                reply = client.reply().await;
            }
            house.plan.calm();
            if family == Family::Bodies || nth == 1 {
                assert!(reply.starts_with("451 4.3.0"), "{family:?} {nth}: {reply}");
            }
            client.say("RSET", "250").await;
        }
    }
    house.transfer.wake();
    // It goes on when the store does.
    let before = house.inbox("bob@main.example").await.len();
    let reply = client.mail("x@far.example", &["alice@main.example"], CONTENT).await;
    assert!(reply.starts_with("250"), "{reply}");
    for _ in 0..500 {
        if !house.inbox("alice@main.example").await.is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(house.inbox("alice@main.example").await.len(), 1);
    assert!(before <= 2, "only what was answered with OK is there");
}

#[tokio::test]
async fn a_delivery_that_fails_is_made_later_and_once() {
    let house = House::new().await;
    let mut client = house.client().await;
    client.hello().await;
    house.plan.strike(Some(Family::Mailboxes), 1, 1000, Fault::Fail);
    let reply = client.mail("x@far.example", &["bob@main.example"], CONTENT).await;
    assert!(reply.starts_with("250"));
    house.tried(1).await;
    house.plan.calm();
    assert!(house.inbox("bob@main.example").await.is_empty());
    // Not before its time, then at once.
    house.clock.0.fetch_add(301, Ordering::SeqCst);
    house.transfer.wake();
    house.settled().await;
    assert_eq!(house.inbox("bob@main.example").await.len(), 1);
}

#[tokio::test]
async fn an_append_whose_answer_was_lost_makes_no_twin() {
    // Design, decision 7.
    let house = House::new().await;
    let mut client = house.client().await;
    client.hello().await;
    house.plan.strike(Some(Family::Mailboxes), 1, 1000, Fault::CutOff);
    client.mail("x@far.example", &["bob@main.example"], CONTENT).await;
    house.tried(1).await;
    house.plan.calm();
    house.clock.0.fetch_add(301, Ordering::SeqCst);
    house.transfer.wake();
    house.settled().await;
    assert_eq!(house.inbox("bob@main.example").await.len(), 1);
}

#[tokio::test]
async fn a_failure_is_reported_to_its_sender() {
    let house = House::new().await;
    house.group("mixed", &["bob@main.example", "x@outside.example"]).await;
    let mut client = house.client().await;
    client.hello().await;
    client.mail("carol@other.example", &["mixed@main.example"], CONTENT).await;
    house.settled().await;
    // The good member has it, the sender knows of the bad one.
    assert_eq!(house.inbox("bob@main.example").await.len(), 1);
    let reports = house.inbox("carol@other.example").await;
    assert_eq!(reports.len(), 1);
    let report = &reports[0];
    assert!(report.starts_with("Return-Path: <>\r\n"), "{report}");
    for part in [
        "report-type=delivery-status",
        "x@outside.example",
        "Action: failed",
        "no module SMTP",
        "Subject: question",
        "Auto-Submitted: auto-replied",
    ] {
        assert!(report.contains(part), "{part}: {report}");
    }
}

#[tokio::test]
async fn reports_never_chase_reports_and_never_is_obeyed() {
    // ABU-11
    let house = House::new().await;
    house.group("bad", &["x@outside.example"]).await;
    let mut client = house.client().await;
    client.hello().await;
    client.mail("", &["bad@main.example"], CONTENT).await;
    client.say("MAIL FROM:<carol@other.example>", "250").await;
    client.say("RCPT TO:<bad@main.example> NOTIFY=NEVER", "250").await;
    client.say("DATA", "354").await;
    client.say(&format!("{CONTENT}."), "250").await;
    house.settled().await;
    assert!(house.inbox("carol@other.example").await.is_empty());
    let kept = house.mailbox("postmaster@main.example", "Undelivered Reports").await;
    assert!(kept.is_empty());
}

#[tokio::test]
async fn success_is_reported_when_asked_for() {
    let house = House::new().await;
    let mut client = house.client().await;
    client.hello().await;
    client.say("MAIL FROM:<carol@other.example> RET=HDRS ENVID=q7", "250").await;
    let rcpt = "RCPT TO:<bob@main.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;b+2Bo@x.example";
    client.say(rcpt, "250").await;
    client.say("DATA", "354").await;
    client.say(&format!("{CONTENT}."), "250").await;
    house.settled().await;
    let report = house.inbox("carol@other.example").await.remove(0);
    for part in ["Action: delivered", "Original-Envelope-Id: q7", "b+o@x.example"] {
        assert!(report.contains(part), "{part}: {report}");
    }
    assert!(!report.contains("\r\nbody\r\n"), "RET=HDRS");
}

#[tokio::test]
async fn a_report_for_a_sender_elsewhere_is_kept_for_the_postmaster() {
    let house = House::new().await;
    house.group("bad", &["x@outside.example"]).await;
    let mut client = house.client().await;
    client.hello().await;
    client.mail("far@outside.example", &["bad@main.example"], CONTENT).await;
    house.settled().await;
    let kept = house.mailbox("postmaster@main.example", "Undelivered Reports").await;
    assert_eq!(kept.len(), 1);
    assert!(
        kept[0].contains("To: <far@outside.example>") || kept[0].contains("far@outside.example")
    );
}

#[tokio::test]
async fn an_account_gone_after_acceptance_is_reported() {
    let house = House::new().await;
    let mut client = house.client().await;
    client.hello().await;
    house.plan.strike(Some(Family::Mailboxes), 1, 1000, Fault::Fail);
    client.mail("carol@other.example", &["bob@main.example"], CONTENT).await;
    house.tried(1).await;
    house.plan.calm();
    house.remove("bob@main.example").await;
    house.clock.0.fetch_add(301, Ordering::SeqCst);
    house.transfer.wake();
    house.settled().await;
    let report = house.inbox("carol@other.example").await.remove(0);
    assert!(report.contains("Action: failed") && report.contains("5.1.1"), "{report}");
}

#[tokio::test]
async fn what_cannot_be_delivered_for_four_days_is_given_up() {
    let house = House::new().await;
    let mut client = house.client().await;
    client.hello().await;
    house.plan.strike(Some(Family::Mailboxes), 1, 1, Fault::Fail);
    client.mail("carol@other.example", &["bob@main.example"], CONTENT).await;
    house.tried(1).await;
    house.plan.strike(Some(Family::Mailboxes), 1, 1, Fault::Fail);
    house.clock.0.fetch_add(4 * 86_400 + 1, Ordering::SeqCst);
    house.transfer.wake();
    house.settled().await;
    let report = house.inbox("carol@other.example").await.remove(0);
    assert!(report.contains("given up after 4 days"), "{report}");
}
