//! What servers offer beyond the plain protocol, used by the mover with real ones: VANISHED of
//! QRESYNC instead of a listing, OBJECTID for mailboxes and messages, and BINARY for messages with
//! NUL.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

mod house;

use std::path::Path;
use std::process::{Command, Stdio};

use house::cyrus::Cyrus;
use house::odd_mail::{DATE, append, letter};
use house::old_server::Dovecot;
use house::recorded::recorded;
use house::{ANGARIUM, DOMAIN, House, Imap, PASSWORD, installed};
use serde_json::Value;

/// Runs `angarium move sync`, which must go well; its report.
fn synced(journal: &Path, flags: &[&str], old: (u16, &str), new: (u16, &str)) -> Value {
    let out = Command::new("timeout")
        .args(["-k", "5", "120", ANGARIUM, "move", "sync", "--json"])
        .args(["--journal", journal.to_str().unwrap()])
        .args(flags)
        .args([&format!("127.0.0.1:{}", old.0), old.1, "-"])
        .args([&format!("127.0.0.1:{}", new.0), new.1, "-"])
        .env("ANGARIUM_OLD_PASSWORD", PASSWORD)
        .env("ANGARIUM_NEW_PASSWORD", PASSWORD)
        .env("HOME", journal.parent().unwrap())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (text, error) =
        (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{flags:?}: {text}{error}");
    serde_json::from_str(text.trim()).unwrap()
}

/// The sum of a number over all mailboxes of a report.
fn sum(report: &Value, name: &str) -> u64 {
    let all = report["move"]["mailboxes"].as_array().unwrap();
    all.iter().map(|m| m[name].as_u64().unwrap_or(0)).sum()
}

fn expunge(imap: &mut Imap, mailbox: &str, set: &str) {
    imap.ok(&format!("SELECT \"{mailbox}\""));
    imap.ok(&format!("STORE {set} +FLAGS (\\Deleted)"));
    imap.ok("EXPUNGE");
    imap.ok("CLOSE");
}

/// What is gone at the old server is learnt from what it remembers, not from a listing.
fn vanished(port: u16) {
    let house = House::build();
    house.account("new");
    let name = format!("new@{DOMAIN}");
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal");
    let mut imap = Imap::login(port, "joe", PASSWORD);
    for number in 0..30 {
        assert!(append(&mut imap, "INBOX", "", DATE, &letter(&number.to_string())));
    }
    let flags = ["--syncDeletes"];
    let first = synced(&journal, &flags, (port, "joe"), (house.port(143), &name));
    assert_eq!(sum(&first, "copied"), 30);
    for (policy, set, gone) in [("changes", "7:8", 2), ("none", "1,20", 2), ("none", "2", 1)] {
        // Under other options the first run has to look at everything.
        let sync = format!("--syncFlags={policy}");
        let flags = ["--syncDeletes", &sync];
        synced(&journal, &flags, (port, "joe"), (house.port(143), &name));
        expunge(&mut imap, "INBOX", set);
        assert!(append(&mut imap, "INBOX", "", DATE, &letter(&format!("late-{policy}-{set}"))));
        let (proxy, said) = recorded(port);
        let report = synced(&journal, &flags, (proxy, "joe"), (house.port(143), &name));
        assert_eq!((sum(&report, "removed"), sum(&report, "copied")), (gone, 1), "{report:#}");
        let said = String::from_utf8_lossy(&said.lock().unwrap()).into_owned();
        assert!(said.contains("ENABLE QRESYNC") && said.contains("VANISHED)"), "{said}");
        assert!(!said.contains("SEARCH UID 1:"), "{said}");
    }
    let proof = synced(&journal, &["--verify"], (port, "joe"), (house.port(143), &name));
    assert_eq!(proof["verify"]["differences"], 0, "{proof:#}");
}

#[test]
fn what_vanished_is_told_by_a_cyrus() {
    let Some(old) = Cyrus::start(&["joe"]) else { return };
    vanished(old.imap);
}

#[test]
fn what_vanished_is_told_by_a_dovecot() {
    if installed("dovecot") {
        vanished(Dovecot::start().port);
    }
}

#[test]
fn a_mailbox_is_known_under_its_new_name_by_what_the_server_calls_it() {
    let Some(old) = Cyrus::start(&["joe"]) else { return };
    let house = House::build();
    house.account("new");
    let (name, folder) = (format!("new@{DOMAIN}"), tempfile::tempdir().unwrap());
    let journal = folder.path().join("journal");
    let mut imap = Imap::login(old.imap, "joe", PASSWORD);
    for mailbox in ["INBOX.One", "INBOX.Two"] {
        imap.ok(&format!("CREATE {mailbox}"));
        for number in 0..6 {
            assert!(append(&mut imap, mailbox, "", DATE, &letter(&format!("{mailbox}-{number}"))));
        }
    }
    let sides = ((old.imap, "joe"), (house.port(143), name.as_str()));
    assert_eq!(sum(&synced(&journal, &[], sides.0, sides.1), "copied"), 12);
    // Most of its messages go, too: by them nobody would know it again.
    expunge(&mut imap, "INBOX.Two", "1:5");
    imap.ok("RENAME INBOX.Two INBOX.Zwei");
    let again = synced(&journal, &[], sides.0, sides.1);
    assert_eq!(sum(&again, "copied"), 0, "{again:#}");
    let mut new = house.imap("new");
    assert!(!new.command("STATUS Two (MESSAGES)").1.starts_with("OK"), "{again:#}");
    let told = new.ok("STATUS Zwei (MESSAGES)").concat();
    assert!(String::from_utf8_lossy(&told).contains("MESSAGES 6"), "{told:?}");
}

#[test]
fn within_one_server_messages_without_message_id_go_by_what_it_calls_them() {
    let Some(old) = Cyrus::start(&["joe", "ann"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut imap = Imap::login(old.imap, "joe", PASSWORD);
    drop(Imap::login(old.imap, "ann", PASSWORD));
    for number in 0..5 {
        let text = format!("Subject: {number}\r\n\r\nThe letter {number}.\r\n").into_bytes();
        assert!(append(&mut imap, "INBOX", "", DATE, &text));
    }
    let at = |port: u16| ((port, "joe"), (port, "ann"));
    let (from, to) = at(old.imap);
    let first = synced(&folder.path().join("one"), &["--noACL"], from, to);
    assert_eq!(sum(&first, "copied"), 5, "{first:#}");
    let (proxy, said) = recorded(old.imap);
    let (from, to) = at(proxy);
    let again = synced(&folder.path().join("two"), &["--noACL"], from, to);
    assert_eq!(sum(&again, "copied"), 0, "{again:#}");
    let said = String::from_utf8_lossy(&said.lock().unwrap()).into_owned();
    assert!(said.contains("EMAILID") && !said.contains("BODY.PEEK[]"), "{said}");
}

/// Messages with NUL, of ours, at a server that takes them when it is told.
fn with_nul(port: u16, user: &str, proved: bool) {
    let house = House::build();
    house.account("old");
    let name = format!("old@{DOMAIN}");
    let folder = tempfile::tempdir().unwrap();
    let mut imap = house.imap("old");
    let nul = b"Subject: NUL\r\nMessage-ID: <nul@b.example>\r\n\r\na\0b\r\n";
    imap.send(format!("n APPEND INBOX ~{{{}+}}\r\n", nul.len()).as_bytes());
    imap.send(&[&nul[..], b"\r\n"].concat());
    while !imap.line().starts_with(b"n OK") {}
    assert!(append(&mut imap, "INBOX", "", DATE, &letter("plain")));
    let (proxy, said) = recorded(port);
    let flags: &[&str] = if proved { &["--noACL", "--verify"] } else { &["--noACL"] };
    let journal = folder.path().join("journal");
    let report = synced(&journal, flags, (house.port(143), &name), (proxy, user));
    assert_eq!(sum(&report, "copied"), 2, "{report:#}");
    if proved {
        assert_eq!(report["verify"]["differences"], 0, "{report:#}");
    }
    let said = said.lock().unwrap();
    let heads = said.windows(2).filter(|two| *two == b"~{").count();
    assert_eq!(heads, 1, "{}", String::from_utf8_lossy(&said));
}

#[test]
fn a_message_with_nul_is_said_to_hold_it_to_ours() {
    let house = House::build();
    house.account("new");
    with_nul(house.port(143), &format!("new@{DOMAIN}"), true);
}

#[test]
fn a_message_with_nul_is_said_to_hold_it_to_a_dovecot() {
    if installed("dovecot") {
        let new = Dovecot::start();
        with_nul(new.port, "new", false);
    }
}

#[test]
fn a_message_with_nul_is_said_to_hold_it_to_a_cyrus() {
    let Some(new) = Cyrus::start(&["joe"]) else { return };
    drop(Imap::login(new.imap, "joe", PASSWORD));
    with_nul(new.imap, "joe", false);
}
