//! Results kept up to date: CONTEXT=SEARCH, CONTEXT=SORT.
//! Features: IMAP-02.

use crate::client::{Client, World, mail};

async fn other(world: &World) -> Client {
    let mut other = world.login("ann").await;
    other.ok("SELECT INBOX").await;
    other
}

#[tokio::test]
async fn a_kept_search_is_told_what_comes_and_goes() {
    let world = World::new().await;
    let mut c = world.inbox("ann", 4).await;
    assert!(c.ok("CAPABILITY").await.contains(" CONTEXT=SEARCH "));
    let mut peer = other(&world).await;
    c.send("u1 UID SEARCH RETURN (UPDATE COUNT) UNSEEN\r\n").await;
    assert!(c.answer("u1").await.starts_with("* ESEARCH (TAG \"u1\") UID COUNT 4\r\n"));
    c.send("n1 SEARCH RETURN (UPDATE ALL CONTEXT) UNSEEN\r\n").await;
    assert!(c.answer("n1").await.starts_with("* ESEARCH (TAG \"n1\") ALL 1:4\r\n"));
    // A change of the session's own, told to nobody else's question.
    let got = c.ok("STORE 2 +FLAGS.SILENT (\\Seen)").await;
    assert!(got.contains("* ESEARCH (TAG \"u1\") UID REMOVEFROM (0 2)\r\n"), "{got}");
    assert!(got.contains("* ESEARCH (TAG \"n1\") REMOVEFROM (0 2)\r\n"), "{got}");
    // Another's change, and what arrives: after EXISTS.
    peer.ok("STORE 2 -FLAGS.SILENT (\\Seen)").await;
    peer.append("INBOX", "", &mail(5)).await;
    peer.append("INBOX", "(\\Seen) ", &mail(6)).await;
    let got = c.ok("NOOP").await;
    let at = |text: &str| got.find(text).unwrap_or_else(|| panic!("{text} in {got}"));
    assert!(at("* 6 EXISTS") < at("* ESEARCH (TAG \"u1\") UID ADDTO (0 2,5)\r\n"));
    at("* ESEARCH (TAG \"n1\") ADDTO (0 2,5)\r\n");
    // What is expunged leaves before its number does.
    peer.ok("STORE 1,3 +FLAGS.SILENT (\\Deleted)").await;
    peer.ok("EXPUNGE").await;
    let got = c.ok("NOOP").await;
    let at = |text: &str| got.find(text).unwrap_or_else(|| panic!("{text} in {got}"));
    assert!(at("* ESEARCH (TAG \"u1\") UID REMOVEFROM (0 1,3)\r\n") < at("* 3 EXPUNGE"));
    assert!(at("* ESEARCH (TAG \"n1\") REMOVEFROM (0 1,3)\r\n") < at("* 3 EXPUNGE"));
    // Numbers stand while answering FETCH, and so does the result.
    peer.ok("UID STORE 2 +FLAGS.SILENT (\\Deleted)").await;
    peer.ok("EXPUNGE").await;
    let got = c.ok("FETCH 1 (UID)").await;
    assert!(!got.contains("REMOVEFROM") && !got.contains("EXPUNGE"), "{got}");
    let got = c.ok("NOOP").await;
    assert!(got.contains("REMOVEFROM (0 1)") && got.contains("* 1 EXPUNGE"), "{got}");
    c.ok("CANCELUPDATE \"u1\" \"n1\"").await;
    peer.ok("UID STORE 4 +FLAGS.SILENT (\\Seen)").await;
    assert!(!c.ok("NOOP").await.contains("ESEARCH"));
    c.no("CANCELUPDATE \"u1\"").await;
    c.bad("CANCELUPDATE").await;
}

#[tokio::test]
async fn a_kept_order_is_told_with_positions() {
    let world = World::new().await;
    let mut c = world.login("ann").await;
    let about = |subject: &str| format!("Subject: {subject}\r\n\r\nText.\r\n");
    for subject in ["d", "b", "f"] {
        c.append("INBOX", "", &about(subject)).await;
    }
    c.ok("SELECT INBOX").await;
    assert!(c.ok("CAPABILITY").await.contains(" CONTEXT=SORT "));
    let mut peer = other(&world).await;
    c.send("s1 UID SORT RETURN (UPDATE ALL) (SUBJECT) UTF-8 UNDELETED\r\n").await;
    assert!(c.answer("s1").await.starts_with("* ESEARCH (TAG \"s1\") UID ALL 2,1,3\r\n"));
    for subject in ["a", "c", "e", "ca"] {
        peer.append("INBOX", "", &about(subject)).await;
    }
    // a b c ca d e f
    let got = c.ok("NOOP").await;
    assert!(got.contains("* ESEARCH (TAG \"s1\") UID ADDTO (1 4 3 5,7 6 6)\r\n"), "{got}");
    peer.ok("STORE 4,5,6 +FLAGS.SILENT (\\Deleted)").await;
    let got = c.ok("NOOP").await;
    assert!(got.contains("* ESEARCH (TAG \"s1\") UID REMOVEFROM (6 6 3 5 1 4)\r\n"), "{got}");
    peer.ok("STORE 2 +FLAGS.SILENT (\\Deleted)").await;
    peer.ok("EXPUNGE").await;
    let got = c.ok("NOOP").await;
    let left = got.find("* ESEARCH (TAG \"s1\") UID REMOVEFROM (1 2)\r\n");
    assert!(left.is_some() && left < got.find("EXPUNGE"), "{got}");
}

#[tokio::test]
async fn an_idling_session_hears_of_its_kept_results() {
    let world = World::new().await;
    let mut c = world.inbox("ann", 2).await;
    let mut peer = other(&world).await;
    c.send("k1 UID SEARCH RETURN (UPDATE) FLAGGED\r\nk2 IDLE\r\n").await;
    c.until("+ ").await;
    peer.ok("STORE 2 +FLAGS (\\Flagged)").await;
    let got = c.until("* ESEARCH (TAG \"k1\") UID ADDTO").await;
    assert!(got.ends_with("ADDTO (0 2)\r\n"), "{got}");
    c.send("DONE\r\n").await;
    c.answer("k2").await;
}

#[tokio::test]
async fn more_kept_results_than_the_bound_are_answered_and_not_kept() {
    let world = World::new().await;
    let mut c = world.inbox("ann", 1).await;
    for n in 0..16 {
        c.send(&format!("c{n} SEARCH RETURN (UPDATE COUNT) ALL\r\n")).await;
        assert!(!c.answer(&format!("c{n}")).await.contains("NOUPDATE"));
    }
    c.send("c16 SEARCH RETURN (UPDATE COUNT) ALL\r\n").await;
    let got = c.answer("c16").await;
    assert!(got.contains("* NO [NOUPDATE \"c16\"] ") && got.contains(" COUNT 1\r\n"), "{got}");
    c.send("c3 SEARCH RETURN (UPDATE COUNT) ALL\r\n").await;
    assert!(c.answer("c3").await.contains("x BAD"));
    // They end with the mailbox.
    c.ok("SELECT INBOX").await;
    c.no("CANCELUPDATE \"c3\"").await;
}
