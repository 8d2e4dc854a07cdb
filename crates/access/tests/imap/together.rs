//! Several sessions on one mailbox: what each is told, and when (ABU-29, ABU-30).
//! Features: IMAP-06, 28.

use crate::client::{World, mail};

#[tokio::test]
async fn a_message_appended_by_one_session_wakes_another_from_idle() {
    let world = World::new().await;
    let mut idler = world.inbox("ann", 1).await;
    idler.send("i IDLE\r\n").await;
    assert!(idler.line().await.starts_with("+ "));
    let mut other = world.login("ann").await;
    other.append("INBOX", "", &mail(2)).await;
    assert_eq!(idler.line().await, "* 2 EXISTS");
    assert_eq!(idler.line().await, "* 2 RECENT");
    other.ok("SELECT INBOX").await;
    other.ok("STORE 1 +FLAGS.SILENT (\\Flagged)").await;
    assert_eq!(idler.line().await, "* 1 FETCH (FLAGS (\\Flagged \\Recent))");
    other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    assert!(idler.line().await.contains("\\Deleted"));
    other.ok("EXPUNGE").await;
    assert_eq!(idler.line().await, "* 1 EXPUNGE");
    idler.send("DONE\r\n").await;
    assert!(idler.answer("i").await.starts_with("x OK"));
}

#[tokio::test]
async fn expunges_wait_until_sequence_numbers_may_move() {
    let world = World::new().await;
    let mut a = world.inbox("ann", 3).await;
    let mut b = world.inbox("ann", 0).await;
    b.ok("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    b.ok("EXPUNGE").await;
    let got = a.ok("FETCH 1:3 (UID)").await;
    assert!(!got.contains("EXPUNGE") && got.contains("* 2 FETCH (UID 2)"), "{got}");
    let got = a.ok("SEARCH ALL").await;
    assert!(got.starts_with("* SEARCH 2 3\r\n") && !got.contains("EXPUNGE"), "{got}");
    b.append("INBOX", "", &mail(9)).await;
    let got = a.ok("STORE 2 +FLAGS (\\Seen)").await;
    assert!(got.contains("* 4 EXISTS") && !got.contains("EXPUNGE"), "{got}");
    let got = a.ok("NOOP").await;
    assert!(got.starts_with("* 1 EXPUNGE\r\n") && !got.contains("EXISTS"), "{got}");
    assert!(a.ok("FETCH 3 (UID)").await.contains("(UID 4)"));
}

// Silence is about one's own change; what another session did before is told.
#[tokio::test]
async fn a_silent_store_does_not_hide_what_another_session_changed() {
    let world = World::new().await;
    let mut a = world.inbox("ann", 2).await;
    a.ok("STORE 1 +FLAGS.SILENT (\\Flagged)").await;
    let mut b = world.inbox("ann", 0).await;
    b.ok("STORE 1 -FLAGS.SILENT (\\Flagged)").await;
    let got = a.ok("STORE 1:2 +FLAGS.SILENT (kept)").await;
    assert!(got.starts_with("* 1 FETCH (FLAGS (\\Recent kept))\r\nx OK"), "{got}");
    a.ok("ENABLE CONDSTORE").await;
    b.ok("NOOP").await;
    b.ok("STORE 1 +FLAGS.SILENT (\\Seen)").await;
    assert!(b.silent().await);
    // With CONDSTORE the MODSEQ alone is no telling either.
    let got = a.ok("STORE 1 FLAGS.SILENT (other)").await;
    assert!(got.contains("* 1 FETCH (MODSEQ (") && got.contains("FLAGS ("), "{got}");
    let got = a.ok("STORE 1 +FLAGS.SILENT (more)").await;
    assert!(!got.contains("FLAGS ("), "{got}");
}

#[tokio::test]
async fn a_message_is_recent_for_one_session_only() {
    let world = World::new().await;
    let mut a = world.login("ann").await;
    a.append("INBOX", "", &mail(1)).await;
    assert!(a.ok("EXAMINE INBOX").await.contains("* 1 RECENT"));
    assert!(a.ok("SELECT INBOX").await.contains("* 1 RECENT"));
    let mut b = world.login("ann").await;
    assert!(b.ok("SELECT INBOX").await.contains("* 0 RECENT"));
    a.ok("UNSELECT").await;
    assert!(a.ok("SELECT INBOX").await.contains("* 0 RECENT"));
    a.ok("ENABLE IMAP4rev2").await;
    assert!(!a.ok("SELECT INBOX").await.contains("RECENT"));
}

#[tokio::test]
async fn removing_a_mailbox_ends_the_sessions_that_have_it_open() {
    let world = World::new().await;
    let mut a = world.login("ann").await;
    a.ok("CREATE Temp").await;
    a.ok("SELECT Temp").await;
    a.send("i IDLE\r\n").await;
    a.line().await;
    let mut b = world.login("ann").await;
    b.ok("SELECT Temp").await;
    assert!(b.ok("DELETE Temp").await.contains("[CLOSED]"));
    assert!(a.line().await.starts_with("* BYE"));
    assert!(a.closed().await);
    b.ok("SELECT INBOX").await;
}

#[tokio::test]
async fn many_sessions_idle_on_one_shared_state() {
    let world = World::new().await;
    let mut idlers = Vec::new();
    for _ in 0..50 {
        let mut c = world.inbox("ann", 0).await;
        c.send("i IDLE\r\n").await;
        c.line().await;
        idlers.push(c);
    }
    assert_eq!(world.context.accounts.registry().count(), 1);
    let mut other = world.login("ann").await;
    other.append("INBOX", "", &mail(1)).await;
    for idler in &mut idlers {
        assert_eq!(idler.line().await, "* 1 EXISTS");
    }
}

#[tokio::test]
async fn hidden_service_messages_do_not_exist_for_clients() {
    let world = World::new().await;
    let mut a = world.inbox("ann", 3).await;
    let got = a.ok("STORE 2 +FLAGS.SILENT ($Service)").await;
    assert!(!got.contains("EXPUNGE"), "{got}");
    assert!(a.ok("NOOP").await.contains("* 2 EXPUNGE"));
    assert!(a.ok("SELECT INBOX").await.contains("* 2 EXISTS"));
    assert!(a.silent().await);
}

// P8: what a waiting session costs is its future and the buffers it keeps.
#[tokio::test]
async fn a_session_is_small() {
    let world = World::new().await;
    let (_near, far) = tokio::io::duplex(16);
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
    let info = angarium_access::connection::ConnectionInfo {
        session: 1,
        peer: address,
        local: address,
        tls: false,
    };
    let future = angarium_access::imap::serve(far, info, std::sync::Arc::clone(&world.context));
    assert!(size_of_val(&future) <= 4096, "{}", size_of_val(&future));
}

#[tokio::test]
async fn an_administrator_ends_the_sessions_of_an_account() {
    let ender = angarium_access::cli::SessionEnder::default();
    let options =
        angarium_access::imap::ImapOptions { ender: Some(ender.clone()), ..Default::default() };
    let world = World::with(options).await;
    let mut idler = world.inbox("ann", 0).await;
    idler.send("i IDLE\r\n").await;
    idler.line().await;
    let mut waiting = world.login("ann").await;
    let mut other = world.login("bob").await;
    let ann = world.context.accounts.find_account("ann", "test.example").await.unwrap().unwrap();
    assert_eq!(ender.end(ann.id), 2);
    assert!(idler.line().await.starts_with("* BYE") && idler.closed().await);
    assert!(waiting.line().await.starts_with("* BYE") && waiting.closed().await);
    other.ok("NOOP").await;
}

#[tokio::test]
async fn a_client_that_keeps_state_hears_the_highest_modseq_of_what_came_and_went() {
    let world = World::new().await;
    let mut keeper = world.login("ann").await;
    keeper.ok("ENABLE QRESYNC").await;
    keeper.ok("SELECT INBOX").await;
    let mut other = world.inbox("ann", 2).await;
    let heard = keeper.ok("NOOP").await;
    assert!(heard.contains("* 2 EXISTS") && heard.contains("* OK [HIGHESTMODSEQ "), "{heard}");
    other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    // A change of flags names its own MODSEQ.
    let heard = keeper.ok("NOOP").await;
    assert!(heard.contains("MODSEQ") && !heard.contains("HIGHESTMODSEQ"), "{heard}");
    other.ok("EXPUNGE").await;
    // While numbers must stand the expunge is not told, and so not passed over either.
    let heard = keeper.ok("FETCH 2 (UID)").await;
    assert!(!heard.contains("HIGHESTMODSEQ") && !heard.contains("VANISHED"), "{heard}");
    let heard = keeper.ok("NOOP").await;
    assert!(heard.contains("* VANISHED 1\r\n* OK [HIGHESTMODSEQ "), "{heard}");
}
