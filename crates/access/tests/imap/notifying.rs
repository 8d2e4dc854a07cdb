//! NOTIFY (RFC 5465): told between commands, in IDLE and with answers.

use crate::client::{World, mail};

#[tokio::test]
async fn notify_tells_the_selected_mailbox_at_once_with_what_was_asked_of_new_messages() {
    let world = World::new().await;
    let mut ann = world.inbox("ann", 1).await;
    let mut other = world.inbox("ann", 0).await;
    assert!(ann.ok("CAPABILITY").await.contains(" NOTIFY"));
    let wish = "(MessageNew (FLAGS BODY[HEADER.FIELDS (SUBJECT)]) MessageExpunge)";
    ann.ok(&format!("NOTIFY SET (selected {wish})")).await;
    other.append("INBOX", "", &mail(2)).await;
    assert_eq!(ann.line().await, "* 2 EXISTS");
    let got = ann.until(")").await;
    assert!(got.contains("* 2 FETCH (UID 2 FLAGS (") && got.contains("Subject: Number 2"), "{got}");
    assert!(!got.contains("\\Seen"), "{got}");
    other.ok("NOOP").await;
    // Flags were not asked for.
    other.ok("STORE 1 +FLAGS (\\Flagged)").await;
    assert!(ann.silent().await);
    other.ok("STORE 1 +FLAGS (\\Deleted)").await;
    other.ok("EXPUNGE").await;
    assert_eq!(ann.line().await, "* 1 EXPUNGE");
    assert!(ann.ok("FETCH 1 FLAGS").await.contains("* 1 FETCH (FLAGS ("));
    ann.ok("NOTIFY NONE").await;
    other.append("INBOX", "", &mail(3)).await;
    assert!(ann.silent().await);
    assert!(ann.ok("NOOP").await.contains("* 2 EXISTS"));
}

#[tokio::test]
async fn notify_selected_delayed_holds_expunges_for_a_command() {
    let world = World::new().await;
    let mut ann = world.inbox("ann", 2).await;
    let mut other = world.inbox("ann", 0).await;
    ann.ok("NOTIFY SET (selected-delayed (MessageNew MessageExpunge FlagChange))").await;
    other.ok("STORE 2 +FLAGS (\\Flagged)").await;
    assert!(ann.line().await.contains("* 2 FETCH (FLAGS (\\Flagged"));
    other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    assert!(ann.line().await.contains("* 1 FETCH (FLAGS ("));
    other.ok("EXPUNGE").await;
    assert!(ann.silent().await);
    other.append("INBOX", "", &mail(3)).await;
    assert_eq!(ann.line().await, "* 3 EXISTS");
    assert!(ann.ok("NOOP").await.contains("* 1 EXPUNGE"));
}

#[tokio::test]
async fn notify_tells_counters_of_mailboxes_that_are_not_selected() {
    let world = World::new().await;
    let mut ann = world.inbox("ann", 0).await;
    let mut other = world.login("ann").await;
    other.ok("CREATE Work").await;
    other.ok("CREATE Quiet").await;
    other.append("Work", "", &mail(1)).await;
    let got = ann
        .ok("NOTIFY SET STATUS (mailboxes Quiet NONE) (personal (MessageNew MessageExpunge FlagChange))")
        .await;
    assert!(got.contains("* STATUS Work (MESSAGES 1 UIDNEXT 2 UIDVALIDITY "), "{got}");
    assert!(!got.contains("STATUS INBOX") && !got.contains("STATUS Quiet"), "{got}");
    other.append("Quiet", "", &mail(1)).await;
    other.append("Work", "", &mail(2)).await;
    assert!(ann.line().await.starts_with("* STATUS Work (MESSAGES 2 UIDNEXT 3 "));
    other.ok("SELECT Work").await;
    other.ok("STORE 1 +FLAGS (\\Seen)").await;
    assert!(ann.line().await.contains(" UNSEEN 1)"));
    ann.send("i IDLE\r\n").await;
    assert!(ann.line().await.starts_with("+ "));
    other.ok("STORE 1 +FLAGS (\\Deleted)").await;
    ann.until("* STATUS Work").await;
    other.ok("EXPUNGE").await;
    assert!(ann.line().await.starts_with("* STATUS Work (MESSAGES 1 "));
    ann.send("DONE\r\n").await;
    assert!(ann.answer("i").await.ends_with("IDLE completed\r\n"));
    // Mail of the server's own is nothing to tell.
    other.append("Work", "($Service) ", &mail(9)).await;
    assert!(ann.silent().await);
}

#[tokio::test]
async fn notify_tells_names_as_they_come_go_and_change() {
    let world = World::new().await;
    let mut ann = world.login("ann").await;
    let mut other = world.login("ann").await;
    ann.ok("NOTIFY SET (personal (MailboxName SubscriptionChange MailboxMetadataChange))").await;
    other.ok("CREATE Work").await;
    assert_eq!(ann.line().await, "* LIST () \"/\" Work");
    other.ok("RENAME Work Play").await;
    assert_eq!(ann.line().await, "* LIST () \"/\" Play (\"OLDNAME\" (Work))");
    other.ok("SUBSCRIBE Play").await;
    assert_eq!(ann.line().await, "* LIST (\\Subscribed) \"/\" Play");
    other.ok("UNSUBSCRIBE Play").await;
    assert_eq!(ann.line().await, "* LIST () \"/\" Play");
    other.ok("SETMETADATA Play (/private/comment \"x\")").await;
    assert_eq!(ann.line().await, "* METADATA Play /private/comment");
    other.ok("SETMETADATA Play (/shared/vendor/angarium/class \"IPF.Note\")").await;
    assert_eq!(ann.line().await, "* METADATA Play /shared/vendor/angarium/class");
    other.ok("DELETE Play").await;
    assert_eq!(ann.line().await, "* LIST (\\NonExistent) \"/\" Play");
    other.ok("CREATE a/b").await;
    assert_eq!(ann.line().await, "* LIST (\\NoSelect) \"/\" a");
    assert_eq!(ann.line().await, "* LIST () \"/\" a/b");
    // Messages were not asked for.
    other.append("a/b", "", &mail(1)).await;
    assert!(ann.silent().await);
}

#[tokio::test]
async fn notify_tells_changes_of_the_servers_annotations() {
    let world = World::new().await;
    let mut ann = world.login("ann").await;
    ann.ok("NOTIFY SET (personal (ServerMetadataChange))").await;
    let module = angarium_accounts::SettingsKey::Module("IMAPMetadata".into());
    let value = [("/shared/comment".to_owned(), angarium_accounts::Value::from("x"))].into();
    world.store.directory.set_settings(&module, value, None).await.unwrap();
    assert_eq!(ann.line().await, "* METADATA \"\" /shared/comment");
}

// ABU-25, ABU-30: nothing is told of what may not be seen, and nothing any more once a right goes.
#[tokio::test]
async fn notify_tells_others_mailboxes_only_as_long_as_the_rights_allow_it() {
    let world = World::new().await;
    let mut ann = world.login("ann").await;
    ann.ok("CREATE News").await;
    ann.ok("CREATE Secret").await;
    let mut bob = world.login("bob").await;
    let events = "(MessageNew MessageExpunge MailboxName)";
    let got =
        bob.ok(&format!("NOTIFY SET STATUS (subtree (~ann/News ~ann/Secret) {events})")).await;
    assert!(!got.contains("STATUS ~ann"), "{got}");
    ann.append("News", "", &mail(1)).await;
    ann.append("Secret", "", &mail(1)).await;
    assert!(bob.silent().await);
    ann.ok("SETACL News bob l").await;
    assert_eq!(bob.line().await, "* LIST () \"/\" ~ann/News");
    ann.append("News", "", &mail(2)).await;
    assert!(bob.silent().await);
    ann.ok("SETACL News bob lr").await;
    ann.append("News", "", &mail(3)).await;
    assert!(bob.line().await.starts_with("* STATUS ~ann/News (MESSAGES 3 "));
    ann.ok("CREATE News/Sub").await;
    assert_eq!(bob.line().await, "* LIST () \"/\" ~ann/News/Sub");
    ann.ok("DELETEACL News bob").await;
    assert_eq!(bob.line().await, "* LIST (\\NonExistent) \"/\" ~ann/News");
    ann.append("News", "", &mail(4)).await;
    ann.ok("RENAME Secret Open").await;
    assert!(bob.silent().await);
}

#[tokio::test]
async fn notify_sends_nothing_more_of_a_selected_mailbox_that_may_not_be_read_any_more() {
    let world = World::new().await;
    let mut ann = world.login("ann").await;
    ann.ok("CREATE News").await;
    ann.ok("SETACL News bob lr").await;
    let mut bob = world.login("bob").await;
    bob.ok("SELECT ~ann/News").await;
    let wish = "(MessageNew (BODY.PEEK[]) MessageExpunge)";
    bob.ok(&format!("NOTIFY SET (selected {wish})")).await;
    ann.append("News", "", &mail(1)).await;
    assert_eq!(bob.line().await, "* 1 EXISTS");
    assert!(bob.until(")").await.contains("Text of 1."));
    ann.ok("DELETEACL News bob").await;
    ann.append("News", "", &mail(2)).await;
    assert!(bob.line().await.starts_with("* BYE "));
}

#[tokio::test]
async fn notify_subscribed_follows_the_subscription() {
    let world = World::new().await;
    let mut ann = world.login("ann").await;
    let mut other = world.login("ann").await;
    other.ok("CREATE Work").await;
    ann.ok("NOTIFY SET (subscribed (MessageNew MessageExpunge))").await;
    other.append("Work", "", &mail(1)).await;
    assert!(ann.silent().await);
    other.ok("SUBSCRIBE Work").await;
    ann.ok("NOOP").await;
    other.append("Work", "", &mail(2)).await;
    assert!(ann.line().await.starts_with("* STATUS Work (MESSAGES 2 "));
}

#[tokio::test]
async fn notify_gives_up_with_a_word_when_too_much_waits_to_be_told() {
    let world = World::new().await;
    let mut ann = world.login("ann").await;
    let mut other = world.login("ann").await;
    for n in 0..513 {
        other.ok(&format!("CREATE m/{n}")).await;
    }
    ann.ok("NOTIFY SET (personal (MessageNew MessageExpunge))").await;
    // In the middle of an APPEND nothing is told.
    let text = mail(1);
    ann.send(&format!("a APPEND INBOX {{{}}}\r\n", text.len())).await;
    assert!(ann.line().await.starts_with("+ "));
    for n in 0..513 {
        other.append(&format!("m/{n}"), "", &mail(1)).await;
    }
    ann.send(&format!("{text}\r\n")).await;
    let got = ann.until("* OK [NOTIFICATIONOVERFLOW]").await;
    assert!(!got.contains("STATUS"), "{got}");
    other.append("m/1", "", &mail(2)).await;
    ann.ok("NOOP").await;
    assert!(ann.silent().await);
}

#[tokio::test]
async fn notify_of_unknown_events_is_refused_and_changes_nothing() {
    let world = World::new().await;
    let mut ann = world.login("ann").await;
    let mut other = world.login("ann").await;
    other.ok("CREATE Work").await;
    ann.ok("NOTIFY SET (personal (MessageNew MessageExpunge))").await;
    let got = ann.no("NOTIFY SET (personal (MessageNew MessageExpunge AnnotationChange))").await;
    assert!(got.contains("[BADEVENT (MessageNew MessageExpunge FlagChange "), "{got}");
    ann.bad("NOTIFY SET (selected (MailboxName))").await;
    other.append("Work", "", &mail(1)).await;
    assert!(ann.line().await.starts_with("* STATUS Work (MESSAGES 1 "));
    let mut nobody = world.connect().await;
    nobody.bad("NOTIFY NONE").await;
    nobody.bad("GETMETADATA \"\" /shared/comment").await;
}

#[tokio::test]
async fn notify_knows_inboxes_and_the_own_names_of_foreign_mailboxes() {
    let world = World::new().await;
    let mut ann = world.login("ann").await;
    ann.ok("CREATE News").await;
    ann.ok("SETACL News bob lr").await;
    let found = world.store.directory.lookup("test.example", "bob").await.unwrap();
    let Some(angarium_accounts::DomainObject::Account(id)) = found else { panic!("{found:?}") };
    let mut record = world.store.directory.account(id).await.unwrap().unwrap();
    record.mailbox_aliases = [("Their news".to_owned(), "~ann/News".into())].into();
    world.store.directory.update_account(record, None).await.unwrap();
    let mut bob = world.login("bob").await;
    let mut other = world.login("bob").await;
    other.ok("CREATE Work/").await;
    let got = bob
        .ok("NOTIFY SET STATUS (mailboxes \"Their news\" (MessageNew MessageExpunge)) \
             (inboxes (MessageNew MessageExpunge MailboxName))")
        .await;
    assert!(got.contains("* STATUS \"Their news\" (") && got.contains("* STATUS INBOX ("), "{got}");
    assert!(!got.contains("STATUS Work"), "{got}");
    other.append("INBOX", "", &mail(1)).await;
    assert!(bob.line().await.starts_with("* STATUS INBOX (MESSAGES 1 "));
    ann.append("News", "", &mail(2)).await;
    assert!(bob.line().await.starts_with("* STATUS \"Their news\" (MESSAGES 1 "));
}
