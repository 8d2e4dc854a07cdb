//! CREATE, DELETE, RENAME, LIST, LSUB, STATUS, SUBSCRIBE and the rules for names (ABU-21, ABU-22).
//! Features: IMAP-02, 17, 22 to 26.

use crate::client::World;

#[tokio::test]
async fn mailboxes_are_made_listed_renamed_and_removed() {
    let world = World::new().await;
    let mut c = world.login("ann").await;
    assert!(c.ok("CREATE a/b").await.contains("[MAILBOXID (M"));
    assert!(c.no("CREATE a/b").await.contains("[ALREADYEXISTS]"));
    c.ok("CREATE \"Sent Items\"").await;
    let got = c.ok("LIST \"\" *").await;
    assert!(got.contains("* LIST (\\HasNoChildren) \"/\" INBOX\r\n"), "{got}");
    assert!(got.contains("* LIST (\\NoSelect \\HasChildren) \"/\" a\r\n"), "{got}");
    assert!(got.contains("* LIST (\\HasNoChildren) \"/\" a/b\r\n"), "{got}");
    assert!(got.contains("* LIST (\\HasNoChildren \\Sent) \"/\" \"Sent Items\"\r\n"), "{got}");
    assert!(!c.ok("LIST \"\" %").await.contains("a/b"));
    assert!(c.ok("LIST a/ %").await.contains(" a/b\r\n"));
    assert!(c.ok("LIST \"\" \"\"").await.contains("* LIST (\\NoSelect) \"/\" \"\"\r\n"));
    c.no("SELECT a").await;
    c.ok("RENAME a c").await;
    assert!(c.no("RENAME c c/d").await.contains("x NO"));
    c.ok("DELETE c/b").await;
    assert!(!c.ok("LIST \"\" c*").await.contains("LIST ("));
    assert!(c.no("DELETE INBOX").await.contains("x NO"));
    assert!(c.no("DELETE nowhere").await.contains("[NONEXISTENT]"));
}

#[tokio::test]
async fn names_that_break_the_rules_are_refused() {
    let world = World::new().await;
    let mut c = world.login("ann").await;
    for name in [
        "\"../x\"",
        "\"a/../b\"",
        "..",
        "~",
        "\"a//b\"",
        "\" a\"",
        "\"a \"",
        "#x",
        "a.mbox/b",
        "\"a\\\\b\"",
        "~bob/x",
        "~nobody/x",
    ] {
        let got = c.run(&format!("CREATE {name}")).await;
        assert!(got.contains("x NO") || got.contains("x BAD"), "{name}: {got}");
    }
    let long = "x".repeat(300);
    c.no(&format!("CREATE {long}")).await;
    let listed = c.ok("LIST \"\" *").await;
    assert_eq!(listed.matches("* LIST").count(), 1, "{listed}");
}

#[tokio::test]
async fn names_outside_ascii_travel_in_both_forms() {
    let world = World::new().await;
    let mut c = world.login("ann").await;
    c.ok("CREATE Entw&APw-rfe").await;
    assert!(c.ok("LIST \"\" E*").await.contains(" Entw&APw-rfe\r\n"));
    c.ok("ENABLE IMAP4rev2").await;
    assert!(c.ok("LIST \"\" E*").await.contains(" \"Entwürfe\"\r\n"));
    c.ok("SELECT \"Entwürfe\"").await;
}

#[tokio::test]
async fn renaming_inbox_moves_its_messages_and_leaves_it_empty() {
    let world = World::new().await;
    let mut c = world.inbox("ann", 2).await;
    c.ok("UNSELECT").await;
    c.ok("RENAME INBOX Old").await;
    assert!(c.ok("STATUS Old (MESSAGES)").await.contains("MESSAGES 2"));
    assert!(c.ok("STATUS INBOX (MESSAGES)").await.contains("MESSAGES 0"));
}

#[tokio::test]
async fn subscriptions_are_kept_and_listed() {
    let world = World::new().await;
    let mut c = world.login("ann").await;
    c.ok("CREATE x/y").await;
    c.ok("SUBSCRIBE x/y").await;
    c.ok("SUBSCRIBE Gone").await;
    c.ok("SUBSCRIBE inbox").await;
    let got = c.ok("LSUB \"\" *").await;
    for name in ["INBOX", "x/y", "Gone"] {
        assert!(got.contains(&format!("\"/\" {name}\r\n")), "{got}");
    }
    let got = c.ok("LSUB \"\" %").await;
    assert!(got.contains("* LSUB (\\NoSelect) \"/\" x\r\n") && !got.contains("x/y"), "{got}");
    let got = c.ok("LIST (SUBSCRIBED) \"\" * RETURN (CHILDREN)").await;
    assert!(got.contains("\\NonExistent") && got.contains("\\Subscribed"), "{got}");
    c.ok("UNSUBSCRIBE Gone").await;
    assert!(!c.ok("LSUB \"\" *").await.contains("Gone"));
}

#[tokio::test]
async fn status_and_list_tell_the_counters() {
    let world = World::new().await;
    let mut c = world.inbox("ann", 2).await;
    let got = c
        .ok("STATUS INBOX (MESSAGES UIDNEXT UNSEEN SIZE INTERNALSIZE OLDEST UNSEENMEDIA RECENT)")
        .await;
    assert!(got.contains("MESSAGES 2 UIDNEXT 3 UNSEEN 2 SIZE "), "{got}");
    assert!(got.contains("OLDEST \"14-Nov-2023 22:13:20 +0000\" UNSEENMEDIA 0"), "{got}");
    let got = c.ok("LIST \"\" * RETURN (STATUS (MESSAGES UNSEEN) SPECIAL-USE MYRIGHTS)").await;
    assert!(got.contains("* STATUS INBOX (MESSAGES 2 UNSEEN 2)"), "{got}");
    let got = c.ok("LIST (CHILDREN UNSEEN INTERNALSIZE) \"\" \"IN%\"").await;
    assert!(got.contains("\\HasNoChildren \\UNSEEN(2) \\INTERNALSIZE("), "{got}");
    c.ok("CREATE Bin (USE (\\Trash))").await;
    assert!(c.ok("LIST (SPECIAL-USE) \"\" *").await.contains("\\Trash) \"/\" Bin"));
    assert!(c.no("CREATE Odd (USE (\\Nonsense))").await.contains("[USEATTR]"));
}
