//! Other people's mailboxes: `~account` names and access rights (RFC 4314).
//! Features: IMAP-07, 16, 17.

use std::time::Duration;

use angarium_store::faulty::{Family, Fault};

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

// ABU-25: every command against a mailbox that may not even be seen, and one that may only be.
#[tokio::test]
async fn no_command_reaches_a_mailbox_beyond_its_rights() {
    let world = World::new().await;
    let mut ann = world.inbox("ann", 2).await;
    ann.ok("CREATE Secret").await;
    ann.append("Secret", "", &mail(1)).await;
    let mut bob = world.inbox("bob", 1).await;
    let text = mail(5);
    let commands = [
        "STATUS ~ann/Secret (MESSAGES)".to_owned(),
        format!("APPEND ~ann/Secret {{{}+}}\r\n{text}", text.len()),
        "COPY 1 ~ann/Secret".to_owned(),
        "MOVE 1 ~ann/Secret".to_owned(),
        "CREATE ~ann/Secret/Below".to_owned(),
        "CREATE ~ann/Mine".to_owned(),
        "DELETE ~ann/Secret".to_owned(),
        "RENAME ~ann/Secret ~ann/Taken".to_owned(),
        "RENAME INBOX ~ann/Taken".to_owned(),
        "GETACL ~ann/Secret".to_owned(),
        "SETACL ~ann/Secret bob lrswida".to_owned(),
        "DELETEACL ~ann/Secret ann".to_owned(),
        "LISTRIGHTS ~ann/Secret bob".to_owned(),
        "GETQUOTA #ann".to_owned(),
        "SETQUOTA #ann (STORAGE 1)".to_owned(),
        "GETQUOTAROOT ~ann/Secret".to_owned(),
        "EXAMINE ~ann/Secret".to_owned(),
    ];
    for rights in ["", "l"] {
        bob.ok("SELECT INBOX").await;
        if !rights.is_empty() {
            ann.ok(&format!("SETACL Secret bob {rights}")).await;
        }
        for command in &commands {
            let got = bob.run(command).await;
            let harmless = rights == "l" && command.starts_with("GETQUOTAROOT");
            assert!(got.contains("x NO") || harmless, "{rights} {command}: {got}");
        }
        let listed = bob.ok("LIST \"\" ~ann/* RETURN (STATUS (MESSAGES))").await;
        assert!(!listed.contains("* STATUS"), "{listed}");
    }
    assert!(ann.ok("STATUS Secret (MESSAGES)").await.contains("MESSAGES 1"));
    assert!(ann.ok("STATUS INBOX (MESSAGES)").await.contains("MESSAGES 2"));
}

// Two accounts share no transaction, so the slower MOVE takes its copies back.
#[tokio::test]
async fn messages_that_two_sessions_move_to_another_account_arrive_once() {
    let world = World::new().await;
    let mut bob = world.login("bob").await;
    bob.ok("CREATE Shared").await;
    bob.ok("SETACL Shared ann lrswitex").await;
    let mut one = world.inbox("ann", 3).await;
    let mut two = world.inbox("ann", 0).await;
    // Every step takes its time, so that each is in the middle of the other.
    let slowly = Fault::Stall(Duration::from_millis(20));
    world.plan.strike(Some(Family::Mailboxes), 1, 100, slowly);
    one.send("m UID MOVE 1:3 ~bob/Shared\r\n").await;
    two.send("m UID MOVE 1:3 ~bob/Shared\r\n").await;
    let told = one.answer("m").await + &two.answer("m").await;
    world.plan.calm();
    assert_eq!(told.matches("[COPYUID ").count(), 1, "{told}");
    assert!(bob.ok("STATUS Shared (MESSAGES)").await.contains("MESSAGES 3"));
    assert!(one.ok("STATUS INBOX (MESSAGES)").await.contains("MESSAGES 0"));
}

#[tokio::test]
async fn inside_another_s_account_only_flags_one_may_set_go_with_a_copy() {
    let world = World::new().await;
    let mut ann = world.login("ann").await;
    ann.ok("CREATE Shelf").await;
    ann.ok("CREATE Drop").await;
    for n in 1..=2 {
        ann.append("Shelf", "(\\Seen \\Flagged \\Deleted Work) ", &mail(n)).await;
    }
    ann.ok("SETACL Shelf bob lrswite").await;
    ann.ok("SETACL Drop bob lrsi").await;
    let mut bob = world.login("bob").await;
    bob.ok("SELECT ~ann/Shelf").await;
    assert!(bob.ok("COPY 1 ~ann/Drop").await.contains("[COPYUID "));
    let got = bob.ok("MOVE 1:2 ~ann/Drop").await;
    assert!(got.contains("[COPYUID ") && got.contains("* 1 EXPUNGE"), "{got}");
    assert!(ann.ok("STATUS Shelf (MESSAGES)").await.contains("MESSAGES 0"));
    ann.ok("EXAMINE Drop").await;
    let got = ann.ok("FETCH 1:* (FLAGS)").await;
    assert_eq!(got.matches("\\Seen").count(), 3, "{got}");
    assert!(!got.contains("\\Flagged") && !got.contains("\\Deleted"), "{got}");
    assert!(!got.contains("Work"), "{got}");
}

#[tokio::test]
async fn flags_replaced_with_few_rights_change_once_and_not_if_changed_since() {
    let world = World::new().await;
    let mut ann = world.login("ann").await;
    ann.ok("CREATE News").await;
    ann.append("News", "(\\Flagged) ", &mail(1)).await;
    ann.append("News", "(\\Flagged Work) ", &mail(2)).await;
    ann.ok("SETACL News bob lrst").await;
    let mut bob = world.login("bob").await;
    let select = bob.ok("SELECT ~ann/News (CONDSTORE)").await;
    let highest = |text: &str| -> u64 {
        let at = text.find("[HIGHESTMODSEQ ").unwrap() + "[HIGHESTMODSEQ ".len();
        text[at..].split(']').next().unwrap().parse().unwrap()
    };
    let before = highest(&select);
    let store = format!("STORE 1:2 (UNCHANGEDSINCE {before}) FLAGS (\\Seen \\Answered Home)");
    let got = bob.ok(&store).await;
    assert!(got.contains("x OK STORE completed"), "{got}");
    assert!(got.contains("\\Seen") && got.contains("\\Flagged") && got.contains("Work"), "{got}");
    assert!(!got.contains("\\Answered") && !got.contains("Home"), "{got}");
    // One change, told under one number.
    let status = ann.ok("STATUS News (HIGHESTMODSEQ)").await;
    assert!(status.contains(&format!("HIGHESTMODSEQ {}", before + 1)), "{status}");
    let again = format!("STORE 1:2 (UNCHANGEDSINCE {before}) FLAGS (\\Deleted)");
    let got = bob.ok(&again).await;
    assert!(got.contains("[MODIFIED 1:2]") && !got.contains("\\Deleted"), "{got}");
}

#[tokio::test]
async fn idle_ends_when_the_right_to_read_is_taken_away() {
    let world = World::new().await;
    let mut ann = world.login("ann").await;
    ann.ok("CREATE News").await;
    ann.ok("SETACL News bob lrs").await;
    let mut bob = world.login("bob").await;
    bob.ok("SELECT ~ann/News").await;
    bob.send("i IDLE\r\n").await;
    assert!(bob.line().await.starts_with("+ "));
    // Less than before, yet enough to hear of it.
    ann.ok("SETACL News bob lr").await;
    ann.append("News", "", &mail(1)).await;
    assert_eq!(bob.line().await, "* 1 EXISTS");
    assert!(bob.line().await.contains("RECENT"));
    ann.ok("SETACL News bob l").await;
    assert!(bob.line().await.starts_with("* BYE "));
    assert!(bob.closed().await);
}
