//! Greeting, LOGIN, AUTHENTICATE, capabilities, errors before and after log-in.
//! Features: IMAP-01, 03, 08, 12, 13.

use std::time::Duration;

use angarium_access::imap::{ClearText, ImapOptions};

use crate::client::World;

#[tokio::test]
async fn a_client_logs_in_and_out() {
    let world = World::new().await;
    let mut c = world.connect_from([127, 0, 0, 1]);
    let greeting = c.line().await;
    assert!(greeting.contains("AUTH=PLAIN") && greeting.contains("IMAP Server"), "{greeting}");
    assert!(!greeting.contains("UIDPLUS") && !greeting.contains("STARTTLS"), "{greeting}");
    assert!(c.no("LOGIN ann wrong").await.contains("[AUTHENTICATIONFAILED]"));
    assert!(c.no("LOGIN nobody x").await.contains("[AUTHENTICATIONFAILED]"));
    assert!(c.bad("SELECT INBOX").await.contains("log in first"));
    let ok = c.ok("LOGIN ann x").await;
    assert!(ok.contains("[CAPABILITY ") && ok.contains("UIDPLUS") && ok.contains("CONDSTORE"));
    assert_eq!(world.context.sessions.list()[0].account, "ann@test.example");
    c.bad("LOGIN ann x").await;
    let bye = c.ok("LOGOUT").await;
    assert!(bye.starts_with("* BYE "), "{bye}");
    assert!(c.closed().await);
    c.task.await.unwrap();
    assert_eq!(world.context.sessions.count(), 0);
}

#[tokio::test]
async fn sasl_works_with_and_without_an_initial_response() {
    let world = World::new().await;
    // \0ann\0x
    let mut c = world.connect().await;
    c.ok("AUTHENTICATE PLAIN AGFubgB4").await;
    let mut c = world.connect().await;
    c.send("a AUTHENTICATE PLAIN\r\n").await;
    assert!(c.line().await.starts_with("+"));
    c.send("AGFubgB4\r\n").await;
    assert!(c.answer("a").await.starts_with("x OK"));
    let mut c = world.connect().await;
    c.send("a AUTHENTICATE LOGIN\r\n").await;
    assert!(c.line().await.starts_with("+ "));
    c.send("*\r\n").await;
    assert!(c.answer("a").await.starts_with("x BAD"));
    c.no("AUTHENTICATE CRAM-MD5").await;
    c.ok("LOGIN ann x").await;
}

#[tokio::test]
async fn a_password_does_not_travel_in_clear_from_elsewhere() {
    let world = World::new().await;
    let mut c = world.connect_from([192, 0, 2, 7]);
    let greeting = c.line().await;
    assert!(greeting.contains("LOGINDISABLED") && !greeting.contains("AUTH=PLAIN"), "{greeting}");
    assert!(greeting.contains("AUTH=SCRAM-SHA-256"), "{greeting}");
    assert!(c.no("LOGIN ann x").await.contains("[PRIVACYREQUIRED]"));
    c.no("AUTHENTICATE PLAIN AGFubgB4").await;
    let always = ImapOptions { clear_text: ClearText::Always, ..ImapOptions::default() };
    let world = World::with(always).await;
    let mut c = world.connect_from([192, 0, 2, 7]);
    c.line().await;
    c.ok("LOGIN ann x").await;
}

#[tokio::test]
async fn pipelined_commands_are_answered_in_order() {
    let world = World::new().await;
    let mut c = world.connect().await;
    c.send("a LOGIN ann x\r\nb SELECT INBOX\r\nc NOOP\r\nd LOGOUT\r\n").await;
    let all = c.until("d ").await;
    let at = |tag: &str| all.find(&format!("\r\n{tag} OK")).unwrap_or_else(|| panic!("{all}"));
    assert!(all.starts_with("a OK") && at("b") < at("c") && at("c") < at("d"));
}

#[tokio::test]
async fn what_is_not_understood_is_bad_and_too_much_of_it_ends_the_session() {
    let world = World::new().await;
    let mut c = world.login("ann").await;
    c.bad("FROBNICATE").await;
    c.bad("FETCH 1 FLAGS").await;
    c.bad("SORT (DATE) UTF-8 ALL").await;
    for _ in 0..60 {
        c.send("x NONSENSE\r\n").await;
    }
    let all = c.until("* BYE").await;
    assert!(all.contains("too many errors"));
    assert!(c.closed().await);
}

#[tokio::test(start_paused = true)]
async fn silence_ends_a_session_sooner_before_log_in() {
    let world = World::new().await;
    let start = tokio::time::Instant::now();
    let mut c = world.connect_from([127, 0, 0, 1]);
    c.line().await;
    c.task.await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 60);
    let options = ImapOptions { idle: Duration::from_secs(1800), ..ImapOptions::default() };
    let world = World::with(options).await;
    let c = world.login("ann").await;
    let start = tokio::time::Instant::now();
    c.task.await.unwrap();
    assert!((1795..=1801).contains(&start.elapsed().as_secs()));
}

#[tokio::test]
async fn enable_and_id_answer_with_what_is_known() {
    let world = World::new().await;
    let mut c = world.login("ann").await;
    assert!(c.ok("ID NIL").await.contains("* ID (\"name\" \"Angarium\""));
    assert!(c.ok("ENABLE CONDSTORE X-NONE QRESYNC").await.contains("* ENABLED CONDSTORE QRESYNC"));
    assert!(
        c.ok("NAMESPACE")
            .await
            .contains("* NAMESPACE ((\"\" \"/\")) ((\"~\" \"/\")) ((\"~public/\" \"/\"))")
    );
}
