//! Alerts after log-in and in the middle of a session. Features: SYS-33, IMAP-09.

use angarium_accounts::{Actor, Whose};

use crate::client::World;

async fn post(world: &World, scope: Whose<'_>, text: &str) {
    world.context.accounts.post_alert(&Actor::console(), scope, text).await.unwrap();
}

#[tokio::test]
async fn an_alert_is_told_after_log_in_and_once_for_each_account() {
    let world = World::new().await;
    post(&world, Whose::Account("ann@test.example"), "for ann").await;
    post(&world, Whose::Domain("test.example"), "for the domain").await;
    post(&world, Whose::Server, "for all").await;
    let mut c = world.connect().await;
    let answer = c.ok("LOGIN ann x").await;
    for text in ["for ann", "for the domain", "for all"] {
        let line = format!("* OK [ALERT] {text}\r\n");
        assert_eq!(answer.matches(&line).count(), 1, "{answer}");
        assert!(answer.find(&line) < answer.find("x OK"), "{answer}");
    }
    assert!(!c.ok("NOOP").await.contains("ALERT"));
    let mut second = world.connect().await;
    assert!(!second.ok("LOGIN ann x").await.contains("ALERT"));
    // SASL log-ins tell them too; the account's own alert is not for others.
    let mut bob = world.connect().await;
    let answer = bob.ok("AUTHENTICATE PLAIN AGJvYgB4").await;
    assert!(answer.contains("for all") && !answer.contains("for ann"), "{answer}");
}

#[tokio::test]
async fn an_alert_reaches_an_open_session_at_once_also_in_idle() {
    let world = World::new().await;
    let mut ann = world.inbox("ann", 1).await;
    ann.send("i IDLE\r\n").await;
    ann.until("+ ").await;
    post(&world, Whose::Account("ann@test.example"), "while idling").await;
    assert_eq!(ann.line().await, "* OK [ALERT] while idling");
    ann.send("DONE\r\n").await;
    ann.answer("i").await;
    // Waiting without IDLE.
    post(&world, Whose::Server, "to everybody").await;
    assert_eq!(ann.line().await, "* OK [ALERT] to everybody");
    // A change of the account that is no alert tells nothing.
    let settings = [("RealName".to_owned(), "Ann".into())].into();
    let accounts = &world.context.accounts;
    accounts
        .update_account_settings(&Actor::console(), "ann@test.example", settings)
        .await
        .unwrap();
    assert!(ann.silent().await);
}

#[tokio::test]
async fn a_session_that_is_told_is_one_of_several() {
    let world = World::new().await;
    let (mut one, mut two) = (world.login("ann").await, world.login("ann").await);
    post(&world, Whose::Account("ann@test.example"), "once").await;
    let mut told = String::new();
    // Whichever takes it writes it in its own time.
    for _ in 0..200 {
        told.push_str(&one.ok("NOOP").await);
        told.push_str(&two.ok("NOOP").await);
        if told.contains("[ALERT] once") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    told.push_str(&one.ok("NOOP").await);
    told.push_str(&two.ok("NOOP").await);
    assert_eq!(told.matches("[ALERT] once").count(), 1, "{told}");
}

#[tokio::test]
async fn a_nearly_full_account_is_told_so_at_log_in() {
    let world = World::new().await;
    world.account("full", &[("MaxAccountSize", "1K"), ("QuotaAlert", "10")]).await;
    let mut c = world.login("full").await;
    c.append("INBOX", "", &crate::client::mail(1)).await;
    let mut c = world.connect().await;
    assert!(c.ok("LOGIN full x").await.contains("* OK [ALERT] Your mail storage is "));
}

#[tokio::test]
async fn an_alert_is_utf_8_for_those_alone_who_enabled_it() {
    let world = World::new().await;
    let mut c = world.login("ann").await;
    post(&world, Whose::Account("ann@test.example"), "caf\u{e9}").await;
    assert_eq!(c.line().await, "* OK [ALERT] caf?");
    c.ok("ENABLE UTF8=ACCEPT").await;
    post(&world, Whose::Account("ann@test.example"), "caf\u{e9}\r\n* BYE").await;
    assert_eq!(c.line().await, "* OK [ALERT] caf\u{e9}  * BYE");
}
