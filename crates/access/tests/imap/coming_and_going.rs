//! PREAUTH, UNAUTHENTICATE, PROXYAUTH, referrals, limits, UTF8=ACCEPT, the server's stop.
//! Features: IMAP-05, 10, 11, 12. Abuse: ABU-30, 32, 41.

use std::time::Duration;

use angarium_accounts::{Actor, Dictionary, Value};
use angarium_store::faulty::{Family, Fault};

use crate::client::World;

#[tokio::test]
async fn a_tunnel_begins_logged_in() {
    let world = World::new().await;
    let mut c = world.preauthenticated("ann").await;
    let greeting = c.line().await;
    assert!(greeting.starts_with("* PREAUTH [CAPABILITY IMAP4rev1 "), "{greeting}");
    assert!(greeting.contains("UIDPLUS") && !greeting.contains(" AUTH="), "{greeting}");
    c.ok("SELECT INBOX").await;
    c.bad("LOGIN ann x").await;
    assert_eq!(world.context.sessions.list()[0].account, "ann@test.example");
    c.ok("LOGOUT").await;
    assert!(c.closed().await);
}

#[tokio::test]
async fn unauthenticate_gives_the_connection_to_the_next_user() {
    let world = World::new().await;
    let mut c = world.connect().await;
    c.bad("UNAUTHENTICATE").await;
    assert!(c.ok("LOGIN ann x").await.contains(" UNAUTHENTICATE"));
    c.ok("ENABLE IMAP4rev2").await;
    c.ok("SELECT INBOX").await;
    c.ok("UNAUTHENTICATE").await;
    assert_eq!(world.context.sessions.list()[0].account, "");
    c.bad("NOOP extra").await;
    assert!(c.bad("FETCH 1 FLAGS").await.contains("log in first"));
    assert!(c.ok("CAPABILITY").await.contains("AUTH=PLAIN"));
    c.ok("LOGIN bob x").await;
    assert_eq!(world.context.sessions.list()[0].account, "bob@test.example");
    assert!(c.bad("FETCH 1 FLAGS").await.contains("select a mailbox first"));
    // What ann enabled is not enabled for bob: \Recent is told again.
    assert!(c.ok("SELECT INBOX").await.contains("RECENT"));
}

#[tokio::test]
async fn proxyauth_acts_for_another_by_right_and_no_one_else() {
    let world = World::new().await;
    let console = Actor::console();
    let master = vec!["Master".to_owned()];
    let accounts = &world.context.accounts;
    accounts.set_account_rights(&console, "ann@test.example", master).await.unwrap();
    let mut bob = world.inbox("bob", 1).await;
    // Neither who exists nor who does not is told to somebody without the right.
    let refused = bob.no("PROXYAUTH eve").await;
    assert!(refused.contains("[AUTHORIZATIONFAILED]"), "{refused}");
    assert_eq!(refused, bob.no("PROXYAUTH nobody").await);
    assert_eq!(refused, bob.no("PROXYAUTH ann").await);
    bob.ok("FETCH 1 FLAGS").await;
    let mut ann = world.connect().await;
    ann.bad("PROXYAUTH bob").await;
    ann.ok("LOGIN ann x").await;
    ann.ok("SELECT INBOX").await;
    ann.ok("PROXYAUTH bob").await;
    assert!(ann.bad("FETCH 1 FLAGS").await.contains("select a mailbox"));
    assert!(ann.ok("SELECT INBOX").await.contains("* 1 EXISTS"));
    let rows = world.context.sessions.list();
    assert_eq!(rows.iter().filter(|row| row.account == "bob@test.example").count(), 2);
    // From one to the next: the right is that of the one who logged in.
    ann.ok("PROXYAUTH eve").await;
    assert!(ann.ok("SELECT INBOX").await.contains("* 0 EXISTS"));
    ann.no("PROXYAUTH nobody").await;
}

#[tokio::test]
async fn a_login_name_the_router_sends_away_is_referred_exactly_so() {
    let world = World::new().await;
    let table = "<j.smith> = John@othercompany.com\n<moved> = m@host.other.example:1143._via\n";
    world.context.accounts.set_router_table(&Actor::console(), table).await.unwrap();
    let mut c = world.connect().await;
    assert!(c.ok("CAPABILITY").await.contains("LOGIN-REFERRALS"));
    assert_eq!(
        c.no("LOGIN j.smith secret").await,
        "x NO [REFERRAL IMAP://John;AUTH=*@othercompany.com/] \
         account has been moved to a remote system\r\n"
    );
    let ported = c.no("LOGIN moved secret").await;
    assert!(ported.contains("[REFERRAL IMAP://m;AUTH=*@host.other.example:1143/]"), "{ported}");
    // ABU-32: nobody is sent to a host that the client itself named.
    let answer = c.no("LOGIN joe@attacker.example secret").await;
    assert!(!answer.contains("REFERRAL") && answer.contains("[AUTHENTICATIONFAILED]"), "{answer}");
}

#[tokio::test]
async fn an_account_has_only_so_many_sessions() {
    let world = World::new().await;
    let limit = Dictionary::from([("MaxSessionsPerAccount".to_owned(), Value::from("2"))]);
    let accounts = &world.context.accounts;
    accounts.update_module_settings(&Actor::console(), "IMAP", limit).await.unwrap();
    let (_one, mut two) = (world.login("ann").await, world.login("ann").await);
    let mut c = world.connect().await;
    assert!(c.no("LOGIN ann x").await.contains("[LIMIT]"));
    c.no("AUTHENTICATE PLAIN AGFubgB4").await;
    c.ok("LOGIN bob x").await;
    two.ok("LOGOUT").await;
    two.task.await.unwrap();
    world.login("ann").await;
}

#[tokio::test]
async fn a_stopping_server_says_goodbye_to_whoever_waits() {
    let world = World::new().await;
    let mut idle = world.inbox("ann", 0).await;
    idle.send("i IDLE\r\n").await;
    idle.until("+ ").await;
    let mut quiet = world.login("bob").await;
    let mut stranger = world.connect().await;
    // Somebody in the middle of a command finishes it first.
    let mut busy = world.login("bob").await;
    busy.send("a APPEND INBOX {5}\r\n").await;
    busy.until("+ ").await;
    world.context.sessions.stop();
    assert!(busy.silent().await);
    busy.send("12345\r\n").await;
    assert!(busy.answer("a").await.starts_with("x OK [APPENDUID "));
    assert!(busy.line().await.starts_with("* BYE [UNAVAILABLE]"));
    for c in [&mut idle, &mut quiet, &mut stranger] {
        assert_eq!(c.line().await, "* BYE [UNAVAILABLE] the server is stopping");
        assert!(c.closed().await);
    }
    let mut late = world.connect().await;
    assert!(late.line().await.starts_with("* BYE [UNAVAILABLE]"));
}

#[tokio::test]
async fn names_are_utf_8_after_enable_utf8_accept_and_utf_7_before() {
    let world = World::new().await;
    let mut c = world.connect().await;
    assert!(c.ok("LOGIN ann x").await.contains(" UTF8=ACCEPT"));
    c.ok("CREATE Gr&APwA3w-e").await;
    assert!(c.ok("LIST \"\" Gr*").await.contains(" Gr&APwA3w-e\r\n"));
    assert!(c.ok("ENABLE UTF8=ACCEPT").await.contains("* ENABLED UTF8=ACCEPT\r\n"));
    assert!(c.ok("LIST \"\" Gr*").await.contains(" \"Gr\u{fc}\u{df}e\"\r\n"));
    c.ok("STATUS \"Gr\u{fc}\u{df}e\" (MESSAGES)").await;
    // `&` is itself now.
    c.ok("CREATE \"a&b\"").await;
    assert!(c.ok("LIST \"\" a&*").await.contains("a&b"));
    let mail = "Subject: \u{43f}\u{440}\u{438}\u{432}\u{435}\u{442}\r\n\r\nx\r\n";
    c.ok(&format!("APPEND \"Gr\u{fc}\u{df}e\" UTF8 (~{{{}+}}\r\n{mail})", mail.len())).await;
    c.ok("SELECT \"Gr\u{fc}\u{df}e\"").await;
    assert!(c.ok("FETCH 1 BODY[]").await.contains(mail));
    let found = c.ok("SEARCH SUBJECT \"\u{438}\u{432}\u{435}\"").await;
    assert!(found.contains("* SEARCH 1\r\n"), "{found}");
    c.bad("SEARCH CHARSET UTF-8 ALL").await;
    // A session beside it still sees UTF-7.
    let mut old = world.login("ann").await;
    assert!(old.ok("LIST \"\" *").await.contains("a&-b"));
}

#[tokio::test(start_paused = true)]
async fn a_long_command_shows_signs_of_life() {
    let world = World::new().await;
    let mut c = world.inbox("ann", 2).await;
    assert!(c.ok("CAPABILITY").await.contains(" INPROGRESS"));
    let slow =
        |family| world.plan.strike(Some(family), 0, 1, Fault::Stall(Duration::from_secs(25)));
    c.ok("CREATE Other").await;
    slow(Family::Mailboxes);
    c.send("slow COPY 1:2 Other\r\n").await;
    let sign = "* OK [INPROGRESS (\"slow\" NIL NIL)] still at it";
    assert_eq!([c.line().await, c.line().await], [sign, sign]);
    assert!(c.answer("slow").await.starts_with("x OK [COPYUID "));
    slow(Family::Bodies);
    c.send("find SEARCH BODY Text\r\n").await;
    let answer = c.answer("find").await;
    assert!(answer.matches("* OK [INPROGRESS (\"find\" NIL NIL)]").count() == 2, "{answer}");
    assert!(answer.contains("* SEARCH 1 2\r\n"), "{answer}");
    slow(Family::Mailboxes);
    let answer = c.ok("MOVE 1 Other").await;
    assert!(answer.contains("[INPROGRESS ("), "{answer}");
}

#[tokio::test]
async fn abu_41_logindisabled_is_obeyed_for_known_and_unknown_names_alike() {
    let world = World::new().await;
    let mut c = world.connect_from([192, 0, 2, 9]);
    assert!(c.line().await.contains("LOGINDISABLED"));
    let known = c.no("LOGIN ann x").await;
    assert!(known.contains("[PRIVACYREQUIRED]"), "{known}");
    assert_eq!(known, c.no("LOGIN nobody x").await);
    assert_eq!(known, c.no("LOGIN ann wrong").await);
    // SCRAM needs its proof: no mechanism below it is taken instead.
    c.no("AUTHENTICATE PLAIN AGFubgB4").await;
    c.no("AUTHENTICATE LOGIN").await;
}
