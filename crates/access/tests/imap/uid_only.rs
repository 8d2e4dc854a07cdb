//! A session that knows UIDs alone (RFC 9586).
//! Features: IMAP-02.

use crate::client::{World, mail};

#[tokio::test]
async fn after_enable_uidonly_no_sequence_number_is_told_or_taken() {
    let world = World::new().await;
    let mut c = world.inbox("ann", 3).await;
    let mut peer = world.login("ann").await;
    peer.ok("SELECT INBOX").await;
    peer.ok("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    peer.ok("EXPUNGE").await;
    c.ok("NOOP").await;
    assert!(c.ok("CAPABILITY").await.contains(" UIDONLY"));
    assert!(c.ok("ENABLE UIDONLY").await.starts_with("* ENABLED UIDONLY\r\n"));
    for command in [
        "FETCH 1 (FLAGS)",
        "STORE 1 +FLAGS (\\Seen)",
        "SEARCH ALL",
        "COPY 1 INBOX",
        "MOVE 1 INBOX",
        "SORT (DATE) UTF-8 ALL",
        "THREAD REFERENCES UTF-8 ALL",
        "UID SEARCH 1:2",
        "UID SEARCH NOT (OR 1 SEEN)",
        "UID SORT (DATE) UTF-8 1",
    ] {
        let got = c.bad(command).await;
        assert!(got.contains("x BAD [UIDREQUIRED] "), "{command}: {got}");
    }
    let got = c.bad("REPLACE 1 INBOX {6+}\r\nA: b\r\n").await;
    assert!(got.contains("x BAD [UIDREQUIRED] "), "{got}");
    let got = c.ok("UID FETCH 2 (FLAGS)").await;
    assert!(got.starts_with("* 2 UIDFETCH (FLAGS ("), "{got}");
    let got = c.ok("UID FETCH 3 (UID BODY.PEEK[TEXT])").await;
    assert!(got.starts_with("* 3 UIDFETCH (UID 3 BODY[TEXT] {"), "{got}");
    let got = c.ok("UID STORE 2 +FLAGS (\\Flagged)").await;
    assert!(got.starts_with("* 2 UIDFETCH (FLAGS ("), "{got}");
    assert!(c.ok("UID SEARCH FLAGGED").await.starts_with("* SEARCH 2\r\n"));
    // News too.
    peer.ok("UID STORE 3 +FLAGS.SILENT (\\Seen \\Deleted)").await;
    let got = c.ok("NOOP").await;
    assert!(got.contains("* 3 UIDFETCH (FLAGS (") && !got.contains(" FETCH ("), "{got}");
    peer.ok("EXPUNGE").await;
    peer.append("INBOX", "", &mail(4)).await;
    let got = c.ok("NOOP").await;
    assert!(got.contains("* VANISHED 3\r\n") && !got.contains("EXPUNGE"), "{got}");
    assert!(got.contains("* 2 EXISTS\r\n"), "{got}");
    let got = c.ok("SELECT INBOX").await;
    assert!(!got.contains("[UNSEEN "), "{got}");
}
