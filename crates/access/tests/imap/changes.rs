//! STORE, COPY, MOVE, EXPUNGE, CONDSTORE and QRESYNC.
//! Features: IMAP-01, 18, 21.

use crate::client::World;

#[tokio::test]
async fn flags_are_changed_and_told() {
    let world = World::new().await;
    let mut c = world.inbox("ann", 3).await;
    let got = c.ok("STORE 1:2 +FLAGS (\\Seen Work)").await;
    assert!(got.contains("* 1 FETCH (FLAGS (\\Seen \\Recent Work))"), "{got}");
    assert!(got.contains("* 2 FETCH (FLAGS (\\Seen \\Recent Work))"), "{got}");
    assert_eq!(c.ok("STORE 1 -FLAGS.SILENT (Work)").await, "x OK STORE completed\r\n");
    let got = c.ok("UID STORE 1:2 FLAGS (\\Deleted)").await;
    assert!(got.contains("* 1 FETCH (UID 1 FLAGS (\\Deleted \\Recent))"), "{got}");
    c.bad("STORE 1 +FLAGS (\\Recent)").await;
    c.bad("STORE 9 +FLAGS (\\Seen)").await;
    c.ok("UID STORE 9 +FLAGS (\\Seen)").await;
    assert_eq!(c.ok("EXPUNGE").await, "* 2 EXPUNGE\r\n* 1 EXPUNGE\r\nx OK EXPUNGE completed\r\n");
    assert!(c.ok("FETCH 1 UID").await.contains("* 1 FETCH (UID 3)"));
}

#[tokio::test]
async fn uid_expunge_takes_only_what_is_named() {
    let world = World::new().await;
    let mut c = world.inbox("ann", 3).await;
    c.ok("STORE 1:3 +FLAGS.SILENT (\\Deleted)").await;
    assert!(c.ok("UID EXPUNGE 2").await.starts_with("* 2 EXPUNGE\r\n"));
    c.ok("UNSELECT").await;
    assert!(c.ok("STATUS INBOX (MESSAGES DELETED)").await.contains("MESSAGES 2 DELETED 2"));
    c.ok("SELECT INBOX").await;
    c.ok("CLOSE").await;
    assert!(c.ok("STATUS INBOX (MESSAGES)").await.contains("MESSAGES 0"));
}

#[tokio::test]
async fn copies_and_moves_tell_their_uids() {
    let world = World::new().await;
    let mut c = world.inbox("ann", 4).await;
    assert!(c.no("COPY 1 Nowhere").await.contains("[TRYCREATE]"));
    c.ok("CREATE Archive").await;
    let got = c.ok("COPY 2:3 Archive").await;
    assert!(got.contains("x OK [COPYUID ") && got.contains(" 2:3 1:2] COPY completed"), "{got}");
    let got = c.ok("UID MOVE 1,4 Archive").await;
    let untagged = got.find("* OK [COPYUID ").unwrap();
    assert!(got.contains(" 1,4 3:4] moved"), "{got}");
    assert!(untagged < got.find("* 4 EXPUNGE").unwrap() && got.contains("* 1 EXPUNGE"), "{got}");
    assert!(c.ok("STATUS Archive (MESSAGES)").await.contains("MESSAGES 4"));
    assert!(c.ok("STATUS INBOX (MESSAGES)").await.contains("MESSAGES 2"));
}

#[tokio::test]
async fn an_examined_mailbox_is_not_changed() {
    let world = World::new().await;
    let mut c = world.inbox("ann", 2).await;
    c.ok("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    assert!(c.ok("EXAMINE INBOX").await.contains("x OK [READ-ONLY]"));
    c.no("STORE 2 +FLAGS (\\Seen)").await;
    c.no("EXPUNGE").await;
    c.no("MOVE 1 Trash").await;
    let got = c.ok("FETCH 2 BODY[TEXT]").await;
    assert!(!got.contains("\\Seen"), "{got}");
    c.ok("CLOSE").await;
    assert!(c.ok("STATUS INBOX (MESSAGES UNSEEN)").await.contains("MESSAGES 2 UNSEEN 2"));
}

#[tokio::test]
async fn a_change_since_then_is_not_overwritten() {
    let world = World::new().await;
    let mut c = world.inbox("ann", 3).await;
    let select = c.ok("SELECT INBOX (CONDSTORE)").await;
    assert!(select.contains("[HIGHESTMODSEQ "), "{select}");
    let got = c.ok("FETCH 1:3 (MODSEQ)").await;
    let modseq = |n: u32| -> u64 {
        let line = got.lines().find(|l| l.starts_with(&format!("* {n} FETCH"))).unwrap();
        line.split(['(', ')']).nth(2).unwrap().parse().unwrap()
    };
    let before = modseq(3);
    c.ok("STORE 2 +FLAGS.SILENT (\\Flagged)").await;
    let got = c.ok(&format!("STORE 1:2 (UNCHANGEDSINCE {before}) +FLAGS (\\Seen)")).await;
    assert!(got.contains("x OK [MODIFIED 2]"), "{got}");
    assert!(got.contains("* 1 FETCH (MODSEQ ") && got.contains("\\Seen"), "{got}");
    let got = c.ok(&format!("FETCH 1:3 (FLAGS) (CHANGEDSINCE {before})")).await;
    assert!(got.contains("* 1 FETCH") && got.contains("* 2 FETCH") && !got.contains("* 3 FETCH"));
    let got = c.ok(&format!("SEARCH MODSEQ {}", before + 1)).await;
    assert!(got.starts_with("* SEARCH 1 2 (MODSEQ "), "{got}");
    // ABU-26: forged numbers cost nothing and harm nothing.
    c.ok("UID FETCH 1:4294967295 (FLAGS) (CHANGEDSINCE 9223372036854775807)").await;
    c.ok("UID STORE 1:4294967295 (UNCHANGEDSINCE 0) +FLAGS.SILENT (\\Seen)").await;
}

#[tokio::test]
async fn a_client_that_comes_back_hears_only_what_changed() {
    let world = World::new().await;
    let mut c = world.inbox("ann", 5).await;
    let select = c.ok("SELECT INBOX (CONDSTORE)").await;
    let number = |label: &str| -> u64 {
        let at = select.find(label).unwrap() + label.len();
        select[at..].split(']').next().unwrap().parse().unwrap()
    };
    let (validity, modseq) = (number("[UIDVALIDITY "), number("[HIGHESTMODSEQ "));
    let mut other = world.inbox("ann", 0).await;
    other.ok("STORE 2 +FLAGS.SILENT (\\Flagged)").await;
    other.ok("STORE 4 +FLAGS.SILENT (\\Deleted)").await;
    other.ok("EXPUNGE").await;
    c.bad(&format!("SELECT INBOX (QRESYNC ({validity} {modseq}))")).await;
    c.ok("ENABLE QRESYNC").await;
    let got = c.ok(&format!("SELECT INBOX (QRESYNC ({validity} {modseq} 1:5))")).await;
    assert!(got.contains("* OK [CLOSED]") && got.contains("* VANISHED (EARLIER) 4\r\n"), "{got}");
    assert!(got.contains("* 2 FETCH (UID 2 FLAGS (\\Flagged"), "{got}");
    assert!(!got.contains("* 1 FETCH") && got.contains("* 4 EXISTS"), "{got}");
    other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    other.ok("EXPUNGE").await;
    assert!(c.ok("NOOP").await.contains("* VANISHED 1\r\n"));
    let got = c.ok(&format!("UID FETCH 1:* (FLAGS) (CHANGEDSINCE {modseq} VANISHED)")).await;
    assert!(got.contains("* VANISHED (EARLIER) 1,4\r\n"), "{got}");
}
