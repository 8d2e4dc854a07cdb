//! Mailbox classes, what IMAP sees of them, and LIST's finer answers (RFC 3501, 5258).

use crate::client::World;

#[tokio::test]
async fn mailboxes_that_hold_no_mail_are_hidden_unless_the_account_sees_them() {
    let world = World::new().await;
    world.account("sam", &[("IMAPSeesNonMail", "YES")]).await;
    for (name, sees) in [("ann", false), ("sam", true)] {
        let mut client = world.login(name).await;
        client.ok("CREATE People").await;
        client.ok("CREATE Notes").await;
        client.ok("SUBSCRIBE People").await;
        let set = "SETMETADATA People (/shared/vendor/angarium/class \"IPF.Contact\")";
        client.ok(set).await;
        client.ok("SETMETADATA Notes (/shared/vendor/angarium/class \"IPF.Note\")").await;
        let got = client.ok("GETMETADATA People /shared/vendor/angarium/class").await;
        assert!(got.contains("class \"IPF.Contact\")"), "{got}");
        let listed = client.ok("LIST \"\" *").await;
        assert_eq!(listed.contains("People"), sees, "{name}: {listed}");
        assert!(listed.contains("Notes"), "{listed}");
        let listed = client.ok("LSUB \"\" *").await;
        assert_eq!(listed.contains("\"/\" People"), sees, "{name}: {listed}");
        let listed = client.ok("LIST (SUBSCRIBED) \"\" *").await;
        assert_eq!(listed.contains("\"/\" People"), sees, "{name}: {listed}");
        client.ok("SETACL People eve lr").await;
        let mut eve = world.login("eve").await;
        eve.ok(&format!("SUBSCRIBE ~{name}/People")).await;
        assert!(!eve.ok(&format!("LIST \"\" ~{name}/*")).await.contains("People"));
        assert!(!eve.ok("LSUB \"\" *").await.contains(&format!("~{name}/People")));
        client.ok("SETMETADATA People (/shared/vendor/angarium/class NIL)").await;
        assert!(client.ok("LIST \"\" *").await.contains("People"));
        let inbox = "SETMETADATA INBOX (/shared/vendor/angarium/class \"IPF.Task\")";
        assert!(client.no(inbox).await.contains("[CANNOT]"));
    }
}

// MIG-26
#[tokio::test]
async fn an_administrator_sees_the_mailboxes_of_every_class_of_others() {
    let world = World::new().await;
    let mut ann = world.login("ann").await;
    ann.ok("CREATE People").await;
    ann.ok("SETMETADATA People (/shared/vendor/angarium/class \"IPF.Contact\")").await;
    ann.ok("SETACL People bob lr").await;
    let rights = ["Domain", "CanAccessMailboxes", "CanImpersonate"].map(str::to_owned).to_vec();
    let console = angarium_accounts::Actor::console();
    world.context.accounts.set_account_rights(&console, "eve", rights).await.unwrap();
    let mut eve = world.login("eve").await;
    assert!(eve.ok("LIST \"\" ~ann/*").await.contains("~ann/People"));
    eve.ok("PROXYAUTH ann").await;
    assert!(eve.ok("LIST \"\" *").await.contains("\"/\" People"));
    let got = eve.ok("GETMETADATA People /shared/vendor/angarium/class").await;
    assert!(got.contains("IPF.Contact"), "{got}");
    let mut bob = world.login("bob").await;
    assert!(!bob.ok("LIST \"\" ~ann/*").await.contains("People"));
}

#[tokio::test]
async fn lsub_names_a_parent_only_for_what_its_pattern_does_not_reach() {
    let world = World::new().await;
    let mut ann = world.login("ann").await;
    ann.ok("CREATE a/b").await;
    ann.ok("SUBSCRIBE a/b").await;
    ann.ok("SUBSCRIBE gone/x").await;
    let got = ann.ok("LSUB \"\" %").await;
    assert!(got.contains("* LSUB (\\NoSelect) \"/\" a\r\n"), "{got}");
    assert!(got.contains("* LSUB (\\NoSelect) \"/\" gone\r\n"), "{got}");
    let got = ann.ok("LSUB \"\" *").await;
    assert!(got.contains("* LSUB () \"/\" a/b\r\n"), "{got}");
    assert!(!got.contains("\"/\" a\r\n") && !got.contains("\"/\" gone\r\n"), "{got}");
}

#[tokio::test]
async fn recursive_listings_say_by_which_option_something_below_was_chosen() {
    let world = World::new().await;
    let mut ann = world.login("ann").await;
    ann.ok("CREATE a/b (USE (\\Sent))").await;
    ann.ok("SUBSCRIBE a/b").await;
    ann.ok("SUBSCRIBE gone/x").await;
    let got = ann.ok("LIST (SUBSCRIBED RECURSIVEMATCH) \"\" %").await;
    assert!(got.contains("\"/\" a (\"CHILDINFO\" (\"SUBSCRIBED\"))"), "{got}");
    let expected = "* LIST (\\NonExistent) \"/\" gone (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\n";
    assert!(got.contains(expected), "{got}");
    let got = ann.ok("LIST (SPECIAL-USE RECURSIVEMATCH) \"\" %").await;
    assert!(got.contains("\"/\" a (\"CHILDINFO\" (\"SPECIAL-USE\"))"), "{got}");
    let got = ann.ok("LIST (SUBSCRIBED REMOTE) \"\" *").await;
    assert!(got.contains("\\NonExistent") && got.contains("\\Subscribed"), "{got}");
    assert!(!got.contains("\\Remote"), "{got}");
}
