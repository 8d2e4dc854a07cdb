//! METADATA (RFC 5464), its server side, and LIST-METADATA (RFC 9590).

use angarium_accounts::{DomainObject, Value};

use crate::client::World;

#[tokio::test]
async fn metadata_annotations_of_a_mailbox_are_kept_read_and_removed() {
    let world = World::new().await;
    let mut ann = world.login("ann").await;
    assert!(ann.ok("CAPABILITY").await.contains(" METADATA "));
    ann.ok("CREATE Work/Plans").await;
    ann.ok("SETMETADATA Work/Plans (/shared/Comment \"for all\" /private/comment {2+}\r\nme)")
        .await;
    let got =
        ann.ok("GETMETADATA Work/Plans (/shared/comment /private/comment /private/none)").await;
    let expected = "* METADATA Work/Plans (/shared/comment \"for all\" /private/comment \"me\" \
                    /private/none NIL)\r\n";
    assert!(got.starts_with(expected), "{got}");
    ann.ok("RENAME Work Home").await;
    let got = ann.ok("GETMETADATA Home/Plans /private/comment").await;
    assert!(got.contains("(/private/comment \"me\")"), "{got}");
    ann.ok("SETMETADATA Home/Plans (/private/comment NIL)").await;
    let got = ann.ok("GETMETADATA Home/Plans /private/comment").await;
    assert!(got.contains("(/private/comment NIL)"), "{got}");
    ann.ok("DELETE Home/Plans").await;
    ann.ok("CREATE Home/Plans").await;
    let got = ann.ok("GETMETADATA Home/Plans /shared/comment").await;
    assert!(got.contains("(/shared/comment NIL)"), "{got}");
    assert!(ann.no("GETMETADATA Nothing /shared/comment").await.contains("[NONEXISTENT]"));
    ann.bad("GETMETADATA INBOX comment").await;
}

#[tokio::test]
async fn metadata_values_hold_any_octets() {
    let world = World::new().await;
    let mut ann = world.login("ann").await;
    ann.ok("SETMETADATA INBOX (/private/blob ~{4+}\r\na\0\r\n)").await;
    let got = ann.ok("GETMETADATA INBOX /private/blob").await;
    assert!(got.contains("(/private/blob ~{4}\r\na\0\r\n)\r\n"), "{got:?}");
}

#[tokio::test]
async fn metadata_is_looked_at_in_depth_and_up_to_a_size() {
    let world = World::new().await;
    let mut ann = world.login("ann").await;
    let long = "x".repeat(100);
    ann.ok(&format!(
        "SETMETADATA INBOX (/private/a \"1\" /private/a/b \"22\" /private/a/b/c \"{long}\")"
    ))
    .await;
    let got = ann.ok("GETMETADATA (DEPTH 1) INBOX /private/a").await;
    assert!(got.contains("(/private/a \"1\" /private/a/b \"22\")"), "{got}");
    let got = ann.ok("GETMETADATA (MAXSIZE 50 DEPTH infinity) INBOX (/private)").await;
    assert!(got.contains("(/private/a \"1\" /private/a/b \"22\")"), "{got}");
    assert!(got.contains("x OK [METADATA LONGENTRIES 100]"), "{got}");
    let got = ann.ok("GETMETADATA INBOX (MAXSIZE 1) /private/a").await;
    assert!(got.contains("(/private/a \"1\")") && !got.contains("LONGENTRIES"), "{got}");
}

#[tokio::test]
async fn metadata_has_bounds_and_is_set_whole_or_not_at_all() {
    let world = World::new().await;
    let mut ann = world.login("ann").await;
    let large = 64 * 1024 + 1;
    let value = "x".repeat(large);
    let got = ann
        .no(&format!("SETMETADATA INBOX (/private/a \"1\" /private/b {{{large}+}}\r\n{value})"))
        .await;
    assert!(got.contains("[METADATA MAXSIZE 65536]"), "{got}");
    assert!(ann.ok("GETMETADATA INBOX /private/a").await.contains("(/private/a NIL)"));
    for batch in 0..4 {
        let entries: Vec<String> =
            (0..256).map(|n| format!("/private/n{batch}/{n} \"1\"")).collect();
        ann.ok(&format!("SETMETADATA INBOX ({})", entries.join(" "))).await;
    }
    assert!(ann.no("SETMETADATA INBOX (/private/more \"1\")").await.contains("[METADATA TOOMANY]"));
    ann.ok("SETMETADATA INBOX (/private/n0/0 NIL /private/more \"1\")").await;
}

// ABU-25: annotations follow the access list (RFC 5464 section 3.3).
#[tokio::test]
async fn metadata_follows_the_rights_on_the_mailbox() {
    let world = World::new().await;
    let mut ann = world.login("ann").await;
    let mut bob = world.login("bob").await;
    ann.ok("CREATE News").await;
    ann.ok("SETMETADATA News (/shared/comment \"all\" /private/comment \"ann\")").await;
    let get = "GETMETADATA ~ann/News (/shared/comment /private/comment)";
    assert!(bob.no(get).await.contains("[NONEXISTENT]"));
    let none = bob.no("GETMETADATA ~ann/Nothing /shared/comment").await;
    assert_eq!(bob.no(get).await, none, "what may not be seen answers as what is not there");
    assert!(bob.no("SETMETADATA ~ann/News (/private/x \"1\")").await.contains("[NONEXISTENT]"));
    ann.ok("SETACL News bob l").await;
    assert!(bob.no(get).await.contains("[NOPERM]"));
    assert!(bob.no("SETMETADATA ~ann/News (/private/x \"1\")").await.contains("[NOPERM]"));
    ann.ok("SETACL News bob lp").await;
    assert!(bob.ok(get).await.contains("(/shared/comment NIL /private/comment NIL)"));
    ann.ok("SETACL News bob lr").await;
    assert!(bob.ok(get).await.contains("(/shared/comment \"all\" /private/comment NIL)"));
    bob.ok("SETMETADATA ~ann/News (/private/comment \"bob\")").await;
    assert!(bob.ok(get).await.contains("/private/comment \"bob\")"));
    assert!(ann.ok("GETMETADATA News /private/comment").await.contains("\"ann\""));
    let set = "SETMETADATA ~ann/News (/shared/comment \"bob was here\")";
    assert!(bob.no(set).await.contains("[NOPERM]"));
    for entry in ["/private/specialuse \"\\\\Sent\"", "/shared/vendor/angarium/class \"IPF.Task\""]
    {
        ann.ok("SETACL News bob lrswipte").await;
        assert!(bob.no(&format!("SETMETADATA ~ann/News ({entry})")).await.contains("[NOPERM]"));
    }
    bob.ok(set).await;
    let many: Vec<String> = (0..101).map(|n| format!("/private/{n} \"1\"")).collect();
    let got = bob.no(&format!("SETMETADATA ~ann/News ({})", many.join(" "))).await;
    assert!(got.contains("[METADATA TOOMANY]"), "{got}");
}

#[tokio::test]
async fn metadata_server_annotations_are_set_by_administrators_and_private_ones_by_anybody() {
    let world = World::new().await;
    let mut ann = world.login("ann").await;
    assert!(ann.ok("CAPABILITY").await.contains(" METADATA-SERVER"));
    let set = "SETMETADATA \"\" (/shared/comment \"down at noon\")";
    assert!(ann.no(set).await.contains("[NOPERM]"));
    ann.ok("SETMETADATA \"\" (/private/comment \"mine\")").await;
    let found = world.store.directory.lookup("test.example", "bob").await.unwrap();
    let Some(DomainObject::Account(id)) = found else { panic!("no bob: {found:?}") };
    let mut record = world.store.directory.account(id).await.unwrap().unwrap();
    record.rights = vec!["Master".to_owned()];
    world.store.directory.update_account(record, None).await.unwrap();
    let mut bob = world.login("bob").await;
    bob.ok(set).await;
    let got = ann.ok("GETMETADATA \"\" (/shared/comment /private/comment)").await;
    assert!(got.contains("* METADATA \"\" (/shared/comment \"down at noon\" "), "{got}");
    assert!(got.contains("/private/comment \"mine\")"), "{got}");
    assert!(bob.ok("GETMETADATA \"\" /private/comment").await.contains("NIL"));
    // Not to be mistaken for those of INBOX.
    assert!(ann.ok("GETMETADATA INBOX /private/comment").await.contains("NIL"));
    bob.ok("SETMETADATA \"\" (/shared/comment NIL)").await;
    assert!(ann.ok("GETMETADATA \"\" /shared/comment").await.contains("NIL"));
}

#[tokio::test]
async fn list_metadata_answers_with_the_annotations_asked_for() {
    let world = World::new().await;
    let mut ann = world.login("ann").await;
    assert!(ann.ok("CAPABILITY").await.contains(" LIST-METADATA"));
    ann.ok("CREATE Work").await;
    ann.ok("SETMETADATA Work (/shared/color \"#b71c1c\")").await;
    let got = ann.ok("LIST \"\" % RETURN (METADATA (/shared/color))").await;
    let expected = "* LIST (\\HasNoChildren) \"/\" INBOX\r\n\
                    * METADATA INBOX (/shared/color NIL)\r\n\
                    * LIST (\\HasNoChildren) \"/\" Work\r\n\
                    * METADATA Work (/shared/color \"#b71c1c\")\r\n";
    assert!(got.starts_with(expected), "{got}");
    let mut bob = world.login("bob").await;
    ann.ok("SETACL Work bob l").await;
    let got = bob.ok("LIST \"\" ~ann/* RETURN (METADATA (/shared/color))").await;
    assert!(got.contains("~ann/Work") && !got.contains("METADATA ~ann"), "{got}");
}

#[tokio::test]
async fn what_others_change_of_metadata_is_told_to_those_who_enabled_it() {
    let world = World::new().await;
    let mut ann = world.inbox("ann", 0).await;
    let mut plain = world.inbox("ann", 0).await;
    let mut other = world.login("ann").await;
    let got = ann.ok("ENABLE METADATA METADATA-SERVER").await;
    assert!(got.contains("* ENABLED METADATA METADATA-SERVER\r\n"), "{got}");
    other.ok("SETMETADATA INBOX (/shared/comment \"x\" /private/comment \"y\")").await;
    let got = ann.ok("NOOP").await;
    assert!(got.starts_with("* METADATA INBOX /private/comment /shared/comment\r\n"), "{got}");
    assert!(ann.ok("NOOP").await.starts_with("x OK"));
    assert!(plain.ok("NOOP").await.starts_with("x OK"));
    other.ok("CREATE Bin").await;
    ann.ok("SELECT Bin").await;
    other
        .ok("SETMETADATA Bin (/private/specialuse \"\\\\Trash\" /shared/vendor/angarium/class \"IPF.Note\")")
        .await;
    let got = ann.ok("NOOP").await;
    let expected = "* METADATA Bin /private/specialuse /shared/vendor/angarium/class\r\n";
    assert!(got.starts_with(expected), "{got}");
    ann.ok("SELECT INBOX").await;
    let got = ann.ok("SETMETADATA INBOX (/shared/comment \"own\")").await;
    assert!(got.starts_with("x OK"), "{got}");
    let module = angarium_accounts::SettingsKey::Module("IMAPMetadata".into());
    let value = [("/shared/admin".to_owned(), Value::from("mailto:a@test.example"))].into();
    world.store.directory.set_settings(&module, value, None).await.unwrap();
    let got = ann.ok("NOOP").await;
    assert!(got.starts_with("* METADATA \"\" /shared/admin\r\n"), "{got}");
}

#[tokio::test]
async fn the_special_use_of_a_mailbox_is_an_annotation_too() {
    let world = World::new().await;
    let mut ann = world.login("ann").await;
    ann.ok("CREATE Gone").await;
    ann.ok("CREATE Drafts").await;
    ann.ok("SETMETADATA Gone (/private/specialuse \"\\\\Trash\")").await;
    assert!(ann.ok("LIST \"\" Gone").await.contains("\\Trash"));
    let got = ann.ok("GETMETADATA Gone /private/specialuse").await;
    assert!(got.contains("(/private/specialuse \"\\\\Trash\")"), "{got}");
    // What LIST takes from the name is said here too.
    assert!(ann.ok("GETMETADATA Drafts /private/specialuse").await.contains("\\\\Drafts"));
    let got = ann.no("SETMETADATA Gone (/private/specialuse \"\\\\Weather\")").await;
    assert!(got.contains("[USEATTR]"), "{got}");
    ann.ok("SETMETADATA Gone (/private/specialuse \"\\\\Trash\")").await;
    // One mailbox of an account has it.
    let got = ann.no("SETMETADATA Drafts (/private/specialuse \"\\\\Trash\")").await;
    assert!(got.contains("[USEATTR]"), "{got}");
    assert!(ann.no("CREATE Bin (USE (\\Trash))").await.contains("[USEATTR]"));
    assert!(ann.no("SELECT Bin").await.contains("[NONEXISTENT]"));
    ann.ok("SETMETADATA Gone (/private/specialuse NIL)").await;
    ann.ok("CREATE Bin (USE (\\Trash))").await;
    assert!(!ann.ok("LIST \"\" Gone").await.contains("\\Trash"));
}
