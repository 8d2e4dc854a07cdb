//! XKEEPIDS: administrators make a mailbox keep the numbers of another server, and a client that
//! knew that one goes on here. Features: MIG-77.

use angarium_accounts::Actor;

use crate::client::{Client, World, mail};

/// `ann`, `bob` and `eve`, where `eve` may do everything with the mailboxes of her domain and act
/// for the others.
async fn world() -> World {
    let world = World::new().await;
    let rights = ["Domain", "CanAccessMailboxes", "CanImpersonate"].map(str::to_owned).to_vec();
    let console = Actor::console();
    world.context.accounts.set_account_rights(&console, "eve", rights).await.unwrap();
    world
}

/// `eve` acting for `ann`.
async fn for_ann(world: &World) -> Client {
    let mut client = world.login("eve").await;
    client.ok("PROXYAUTH ann").await;
    client
}

async fn fill(client: &mut Client, mailbox: &str, numbers: &[(u32, &str)]) {
    for (uid, more) in numbers {
        client.append(mailbox, &format!("XKEEPIDS (UID {uid}{more}) "), &mail(*uid)).await;
    }
}

// MIG-77
#[tokio::test]
async fn only_who_may_administer_the_mailboxes_is_told_of_it_and_may_use_it() {
    let world = world().await;
    let mut bob = world.login("bob").await;
    assert!(!bob.ok("CAPABILITY").await.contains("XKEEPIDS"));
    assert!(bob.bad("XKEEPIDS INBOX ()").await.contains("Unknown command"));
    let text = mail(1);
    let append = format!("APPEND INBOX XKEEPIDS (UID 9) {{{}+}}\r\n{text}", text.len());
    bob.bad(&append).await;
    assert!(bob.ok("STATUS INBOX (MESSAGES UIDNEXT)").await.contains("MESSAGES 0 UIDNEXT 1)"));
    let mut eve = world.login("eve").await;
    assert!(eve.ok("CAPABILITY").await.contains(" XKEEPIDS"));
    eve.ok("XKEEPIDS ~ann/INBOX (UIDNEXT 7)").await;
    eve.ok("PROXYAUTH ann").await;
    assert!(eve.ok("CAPABILITY").await.contains(" XKEEPIDS"));
    assert!(eve.ok("XKEEPIDS INBOX ()").await.contains("UIDNEXT 7 "));
    // The right is that of who logged in, and of this moment.
    world
        .context
        .accounts
        .set_account_rights(&Actor::console(), "eve", vec!["Domain".to_owned()])
        .await
        .unwrap();
    assert!(eve.no("XKEEPIDS INBOX (UIDNEXT 9)").await.contains("[NOPERM]"));
    assert!(eve.no(&append).await.contains("[NOPERM]"));
    // Rights over a mailbox do not do.
    let mut ann = world.login("ann").await;
    ann.ok("SETACL INBOX bob lrswipkxtea").await;
    bob.bad("XKEEPIDS ~ann/INBOX (UIDNEXT 9)").await;
    let mut console = world.preauthenticated("ann").await;
    assert!(console.line().await.contains(" XKEEPIDS"));
    console.ok("XKEEPIDS INBOX (UIDNEXT 9)").await;
}

// MIG-77
#[tokio::test]
async fn a_mailbox_keeps_validity_uids_and_modseqs_and_gives_no_uid_twice() {
    let world = world().await;
    let mut eve = for_ann(&world).await;
    let keep = "XKEEPIDS INBOX (UIDVALIDITY 1234 UIDNEXT 4 HIGHESTMODSEQ 5000 RESERVE 100)";
    let told = eve.ok(keep).await;
    let status = "* STATUS INBOX (MESSAGES 0 UIDVALIDITY 1234 UIDNEXT 4 HIGHESTMODSEQ 5000 RESERVE \
                  100 XKEEPIDS 1)\r\n";
    assert!(told.contains(status), "{told}");
    let (one, two) = (mail(4), mail(8));
    let both = format!(
        "APPEND INBOX (\\Seen $Label1) \"17-Jul-1996 02:44:25 -0700\" XKEEPIDS (UID 4) {{{}+}}\r\n\
         {one} (\\Answered) XKEEPIDS (UID 8) {{{}+}}\r\n{two}",
        one.len(),
        two.len()
    );
    assert!(eve.ok(&both).await.contains("[APPENDUID 1234 4,8]"));
    let small = mail(5);
    let late = format!("APPEND INBOX XKEEPIDS (UID 5) {{{}+}}\r\n{small}", small.len());
    eve.no(&late).await;
    eve.no("XKEEPIDS INBOX (UIDVALIDITY 99)").await;
    eve.ok("XKEEPIDS INBOX (UIDNEXT 20)").await;
    let got = eve.append("INBOX", "", &small).await;
    assert!(got.contains("[APPENDUID 1234 100]"), "{got}");
    let mut ann = world.login("ann").await;
    let got = ann.ok("SELECT INBOX").await;
    assert!(got.contains("[UIDVALIDITY 1234]") && got.contains("[UIDNEXT 101]"), "{got}");
    let got = ann.ok("UID FETCH 1:* (FLAGS INTERNALDATE RFC822.SIZE MODSEQ)").await;
    assert!(got.contains("UID 4 ") && got.contains("17-Jul-1996 02:44:25 -0700"), "{got}");
    assert!(got.contains("$Label1") && got.contains("MODSEQ (500"), "{got}");
}

// MIG-77
#[tokio::test]
async fn what_was_sent_ahead_of_a_refusal_is_refused_too() {
    let world = world().await;
    let mut eve = for_ann(&world).await;
    fill(&mut eve, "INBOX", &[(3, " AFTER 0"), (4, " AFTER 3")]).await;
    let text = mail(9);
    let send =
        |numbers: &str| format!("APPEND INBOX XKEEPIDS ({numbers}) {{{}+}}\r\n{text}", text.len());
    assert!(eve.no(&send("UID 9 AFTER 8")).await.contains("x NO other messages come before"));
    eve.no(&send("UID 9 AFTER 3")).await;
    eve.no(&send("UID 4 AFTER 4")).await;
    assert!(eve.ok(&send("UID 9 AFTER 4")).await.contains(" 9] "));
    // Mail of here that comes in between is not one of those.
    eve.append("INBOX", "", &text).await;
    eve.no(&send("UID 11 AFTER 9")).await;
    eve.ok(&send("UID 11 AFTER 10")).await;
}

// MIG-77
#[tokio::test]
async fn a_session_that_has_the_mailbox_open_loses_it_with_its_validity() {
    let world = world().await;
    let mut ann = world.login("ann").await;
    ann.ok("SELECT INBOX").await;
    let mut eve = for_ann(&world).await;
    eve.ok("XKEEPIDS INBOX (UIDNEXT 3)").await;
    ann.ok("NOOP").await;
    eve.ok("SELECT INBOX").await;
    assert!(eve.no("XKEEPIDS INBOX (UIDVALIDITY 7)").await.contains("[INUSE]"));
    eve.ok("UNSELECT").await;
    eve.ok("XKEEPIDS INBOX (UIDVALIDITY 7)").await;
    ann.send("n NOOP\r\n").await;
    assert!(ann.until("* BYE").await.contains("BYE"));
    assert!(ann.closed().await);
    let mut ann = world.login("ann").await;
    assert!(ann.ok("SELECT INBOX").await.contains("[UIDVALIDITY 7]"));
    fill(&mut eve, "INBOX", &[(2, "")]).await;
    assert!(ann.ok("NOOP").await.contains("* 1 EXISTS"));
}

// MIG-77
#[tokio::test]
async fn a_client_that_knew_the_old_server_is_told_what_is_gone_and_all_flags() {
    let world = world().await;
    let mut eve = for_ann(&world).await;
    eve.ok("XKEEPIDS INBOX (UIDVALIDITY 7 UIDNEXT 2 HIGHESTMODSEQ 900000)").await;
    fill(&mut eve, "INBOX", &[(2, ""), (5, ""), (6, "")]).await;
    eve.ok("XKEEPIDS INBOX (UIDNEXT 4000000000)").await;
    let mut ann = world.login("ann").await;
    ann.ok("ENABLE QRESYNC").await;
    // What it knew at MODSEQ 812345: 1 to 3 and 5 to 9.
    let got = ann.ok("SELECT INBOX (QRESYNC (7 812345 1:3,5:9))").await;
    assert!(got.contains("* VANISHED (EARLIER) 1,3,7:9\r\n"), "{got}");
    assert_eq!(got.matches(" FETCH (").count(), 3, "{got}");
    let got = ann.ok("UID FETCH 1:10 (FLAGS) (CHANGEDSINCE 812345 VANISHED)").await;
    assert!(got.contains("* VANISHED (EARLIER) 1,3:4,7:10\r\n"), "{got}");
    let highest = "* OK [HIGHESTMODSEQ 900003]";
    ann.ok("UNSELECT").await;
    let got = ann.ok("SELECT INBOX (QRESYNC (7 900003))").await;
    assert!(got.contains(highest) && !got.contains("VANISHED") && !got.contains("FETCH"), "{got}");
    // From here on what goes is known one by one.
    ann.ok("UID STORE 5 +FLAGS (\\Deleted)").await;
    ann.ok("UID EXPUNGE 5").await;
    ann.ok("UNSELECT").await;
    let got = ann.ok("SELECT INBOX (QRESYNC (7 900003))").await;
    assert!(got.contains("* VANISHED (EARLIER) 5\r\n"), "{got}");
    // All it could know, in few words.
    ann.ok("UNSELECT").await;
    let got = ann.ok("SELECT INBOX (QRESYNC (7 1))").await;
    assert!(got.contains("* VANISHED (EARLIER) 1,3:5,7:3999999999\r\n"), "{got}");
}
