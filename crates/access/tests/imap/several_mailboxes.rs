//! ESEARCH over several mailboxes, with rights and names one may not see.
//! Features: IMAP-02.

use crate::client::{World, mail};

#[tokio::test]
async fn several_mailboxes_are_searched_with_one_command() {
    let world = World::new().await;
    let mut c = world.login("ann").await;
    assert!(c.ok("CAPABILITY").await.contains(" MULTISEARCH "));
    for name in ["Work", "Work/Deep", "Work/Deep/Er", "Work2", "Empty"] {
        c.ok(&format!("CREATE {name}")).await;
        if name != "Empty" {
            c.append(name, "", &mail(1)).await;
        }
    }
    c.append("INBOX", "", &mail(1)).await;
    c.append("INBOX", "", &mail(2)).await;
    c.ok("SUBSCRIBE Work2").await;
    for (sources, found) in [
        ("IN (inboxes)", vec!["INBOX"]),
        ("IN (mailboxes Work)", vec!["Work"]),
        ("IN (mailboxes (Work Empty None INBOX))", vec!["Work", "INBOX"]),
        ("IN (subtree Work)", vec!["Work", "Work/Deep", "Work/Deep/Er"]),
        ("IN (subtree-one (Work))", vec!["Work", "Work/Deep"]),
        ("IN (subscribed)", vec!["Work2"]),
        ("IN (personal)", vec!["INBOX", "Work", "Work/Deep", "Work/Deep/Er", "Work2"]),
        ("IN (subtree \"W%\" mailboxes Work2 inboxes)", vec!["Work2", "INBOX"]),
    ] {
        let got = c.ok(&format!("ESEARCH {sources} RETURN (ALL) SUBJECT \"number 1\"")).await;
        let names: Vec<&str> = got
            .lines()
            .filter_map(|l| l.split_once("MAILBOX ")?.1.split_once(" UIDVALIDITY "))
            .map(|x| x.0)
            .collect();
        assert_eq!(names, found, "{sources}: {got}");
        assert!(got.lines().filter(|l| l.starts_with('*')).all(|l| l.ends_with(") UID ALL 1")));
    }
    c.bad("ESEARCH ALL").await;
    c.bad("ESEARCH IN (selected) ALL").await;
    c.bad("ESEARCH IN () ALL").await;
    c.bad("ESEARCH IN (nowhere) ALL").await;
    c.bad("ESEARCH IN (inboxes) 1:2").await;
    c.bad("ESEARCH IN (inboxes) RETURN (SAVE) ALL").await;
    c.no("ESEARCH IN (inboxes) $").await;
    c.ok("SELECT INBOX").await;
    let got = c.ok("ESEARCH IN (selected) RETURN (SAVE COUNT) SUBJECT \"number 2\"").await;
    assert!(
        got.contains(" MAILBOX INBOX UIDVALIDITY ") && got.contains(") UID COUNT 1\r\n"),
        "{got}"
    );
    assert!(c.ok("SEARCH $").await.starts_with("* SEARCH 2\r\n"));
    let got = c.ok("ESEARCH IN (inboxes) RETURN (UPDATE COUNT) ALL").await;
    assert!(got.contains("* NO [NOUPDATE \"t"), "{got}");
}

#[tokio::test]
async fn a_mailbox_one_may_not_read_gives_nothing() {
    let world = World::new().await;
    let mut bob = world.login("bob").await;
    for (name, rights) in [("Open", "lr"), ("Seen", "l"), ("Hidden", "")] {
        bob.ok(&format!("CREATE {name}")).await;
        bob.append(name, "", &mail(1)).await;
        if !rights.is_empty() {
            bob.ok(&format!("SETACL {name} ann {rights}")).await;
        }
    }
    let mut c = world.login("ann").await;
    let got = c
        .ok("ESEARCH IN (mailboxes (~bob/Open ~bob/Seen ~bob/Hidden ~bob/None ~nobody/Open)) ALL")
        .await;
    assert_eq!(got.lines().filter(|l| l.starts_with("* ")).count(), 1, "{got}");
    assert!(got.contains(" MAILBOX ~bob/Open UIDVALIDITY "), "{got}");
    let got = c.ok("ESEARCH IN (subtree ~bob) ALL").await;
    assert_eq!(got.lines().filter(|l| l.starts_with("* ")).count(), 1, "{got}");
    bob.ok("DELETEACL Open ann").await;
    let got = c.ok("ESEARCH IN (mailboxes ~bob/Open) ALL").await;
    assert_eq!(got, "x OK ESEARCH completed\r\n");
}
