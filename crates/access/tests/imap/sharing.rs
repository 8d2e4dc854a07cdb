//! Other people's mailboxes: `~account` names and access rights (RFC 4314).

use crate::client::{World, mail};

#[tokio::test]
async fn a_shared_mailbox_is_seen_read_and_changed_as_its_rights_say() {
    let world = World::new().await;
    let mut ann = world.login("ann").await;
    ann.ok("CREATE News").await;
    ann.append("News", "", &mail(1)).await;
    let mut bob = world.login("bob").await;
    assert!(bob.no("SELECT ~ann/News").await.contains("[NONEXISTENT]"));
    assert!(!bob.ok("LIST \"\" ~ann/*").await.contains("News"));
    ann.ok("SETACL News bob lr").await;
    assert!(ann.ok("GETACL News").await.contains("* ACL News ann lrswipcdatexk bob lr\r\n"));
    assert!(bob.ok("LIST \"\" ~ann/*").await.contains("\"/\" ~ann/News\r\n"));
    assert!(bob.ok("SELECT ~ann/News").await.contains("x OK [READ-ONLY]"));
    assert!(bob.ok("MYRIGHTS ~ann/News").await.contains("* MYRIGHTS ~ann/News lr\r\n"));
    bob.no("STORE 1 +FLAGS (\\Seen)").await;
    let got = bob.no(&format!("APPEND ~ann/News {{{}+}}\r\n{}", mail(2).len(), mail(2))).await;
    assert!(got.contains("[NOPERM]"), "{got}");
    assert!(bob.no("GETACL ~ann/News").await.contains("[NOPERM]"));
    assert!(bob.no("DELETE ~ann/News").await.contains("x NO"));
    assert!(bob.no("CREATE ~ann/News/Sub").await.contains("[NOPERM]"));
    ann.ok("SETACL News bob +swi").await;
    bob.append("~ann/News", "(\\Deleted \\Flagged) ", &mail(2)).await;
    assert!(bob.ok("SELECT ~ann/News").await.contains("x OK [READ-WRITE]"));
    let got = bob.ok("STORE 1 FLAGS (\\Seen \\Deleted Work)").await;
    assert!(got.contains("(\\Seen Work)") || got.contains("(\\Seen \\Recent Work)"), "{got}");
    let got = bob.ok("FETCH 2 FLAGS").await;
    assert!(got.contains("\\Flagged") && !got.contains("\\Deleted"), "{got}");
    bob.no("EXPUNGE").await;
    ann.ok("DELETEACL News bob").await;
    assert!(bob.no("SELECT ~ann/News").await.contains("[NONEXISTENT]"));
    let mut eve = world.login("eve").await;
    ann.ok("SETACL News anyone@ lrc").await;
    eve.ok("CREATE ~ann/News/Eve").await;
    eve.ok("SELECT ~ann/News/Eve").await;
}

#[tokio::test]
async fn messages_are_copied_and_moved_between_accounts_and_share_their_bytes() {
    let world = World::new().await;
    let mut ann = world.login("ann").await;
    ann.ok("CREATE Drop").await;
    ann.ok("SETACL Drop bob lrsi").await;
    let mut bob = world.inbox("bob", 2).await;
    let got = bob.ok("COPY 1 ~ann/Drop").await;
    assert!(got.contains("[COPYUID "), "{got}");
    bob.ok("MOVE 2 ~ann/Drop").await;
    assert!(bob.ok("STATUS INBOX (MESSAGES)").await.contains("MESSAGES 1"));
    ann.ok("SELECT Drop").await;
    let got = ann.ok("FETCH 1:2 BODY.PEEK[TEXT]").await;
    assert!(got.contains("Text of 1.") && got.contains("Text of 2."), "{got}");
}
