//! MIG-42 and MIG-43 with a real Dovecot as the old server: runs that find what is there already,
//! by the journal and without one; flags, deletions and names that changed meanwhile; a run that
//! stays and copies as mail comes.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

mod house;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use house::old_server::{Dovecot, fill};
use house::{DOMAIN, House, Imap, PASSWORD, installed};
use serde_json::Value;

/// An old server, a new one, and the journal between them.
struct Pair {
    old: Dovecot,
    new: House,
    folder: tempfile::TempDir,
}

impl Pair {
    fn start() -> Option<Self> {
        if !installed("dovecot") {
            return None;
        }
        let pair = Self {
            old: Dovecot::start(),
            new: House::build(),
            folder: tempfile::tempdir().unwrap(),
        };
        pair.new.account("new");
        Some(pair)
    }

    fn journal(&self) -> PathBuf {
        self.folder.path().join("journal")
    }

    fn command(&self, flags: &[&str]) -> Command {
        let mut command = Command::new("timeout");
        command
            .args(["-k", "5", "120", house::ANGARIUM, "move-imap-mail"])
            .args(["--journal", self.journal().to_str().unwrap()])
            .args(flags)
            .args([&format!("127.0.0.1:{}", self.old.port), "old", PASSWORD])
            .args([&format!("127.0.0.1:{}", self.new.port(143))])
            .args([&format!("new@{DOMAIN}"), PASSWORD])
            .env_remove("ANGARIUM_OLD_PASSWORD")
            .env("HOME", self.folder.path())
            .stdin(Stdio::null());
        command
    }

    /// Starts a mover that stays; where its words go.
    fn following(&self) -> (Child, PathBuf) {
        let out = self.folder.path().join("out");
        let child = self
            .command(&["--follow", "--followEvery", "1", "--verbose"])
            .stdout(std::fs::File::create(&out).unwrap())
            .spawn()
            .unwrap();
        (child, out)
    }

    /// Runs the mover; exit code and report.
    fn run(&self, flags: &[&str]) -> (i32, Value) {
        let out = self.command(flags).arg("--json").output().unwrap();
        let text = String::from_utf8_lossy(&out.stdout);
        let report = serde_json::from_str(text.trim()).unwrap_or(Value::Null);
        assert!(!report.is_null(), "{text}{}", String::from_utf8_lossy(&out.stderr));
        (out.status.code().unwrap_or(-1), report)
    }

    /// Runs the mover, which must find nothing wrong.
    fn good(&self, flags: &[&str]) -> Value {
        let (code, report) = self.run(flags);
        assert_eq!(code, 0, "{report:#}");
        report
    }

    /// The same, and the comparison of both sides finds no difference.
    fn proved(&self, flags: &[&str]) -> Value {
        let report = self.good(&[flags, &["--verify"]].concat());
        assert_eq!(report["verify"]["differences"], 0, "{report:#}");
        report
    }

    fn at_old(&self) -> Imap {
        self.old.imap("old")
    }

    fn at_new(&self) -> Imap {
        self.new.imap("new")
    }
}

/// The sum of a number over all mailboxes.
fn sum(report: &Value, name: &str) -> u64 {
    let all = report["move"]["mailboxes"].as_array().unwrap();
    all.iter().map(|m| m[name].as_u64().unwrap_or(0)).sum()
}

fn letter(number: usize) -> Vec<u8> {
    format!(
        "Message-ID: <{number}@old.example>\r\nFrom: a@old.example\r\nSubject: {number}\r\n\r\n\
         The letter number {number}.\r\n"
    )
    .into_bytes()
}

const DATE: &str = "17-Jul-2020 02:44:25 +0000";

fn append(imap: &mut Imap, mailbox: &str, letters: &[Vec<u8>]) {
    let all = letters.iter().map(|l| (String::new(), DATE.to_owned(), l.as_slice()));
    imap.append_all(mailbox, all);
}

fn letters(numbers: std::ops::Range<usize>) -> Vec<Vec<u8>> {
    numbers.map(letter).collect()
}

/// Subjects and flags of a mailbox, without `\Recent`.
fn contents(imap: &mut Imap, mailbox: &str) -> BTreeMap<String, Vec<String>> {
    imap.ok(&format!("EXAMINE \"{mailbox}\""));
    let mut found = BTreeMap::new();
    for line in imap.ok("UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])") {
        let text = String::from_utf8_lossy(&line).into_owned();
        let Some((_, rest)) = text.split_once("FLAGS (") else { continue };
        let (flags, rest) = rest.split_once(')').unwrap();
        let Some((_, subject)) = rest.split_once("Subject: ") else { continue };
        let subject = subject.lines().next().unwrap().to_owned();
        let mut flags: Vec<String> =
            flags.split_whitespace().filter(|f| *f != "\\Recent").map(str::to_owned).collect();
        flags.sort();
        found.insert(subject, flags);
    }
    let _ = imap.command("CLOSE");
    found
}

fn store(imap: &mut Imap, mailbox: &str, what: &[&str]) {
    imap.ok(&format!("SELECT \"{mailbox}\""));
    for one in what {
        imap.ok(&format!("STORE {one}"));
    }
    imap.ok("UNSELECT");
}

#[test]
fn mig_42_a_second_run_copies_what_is_new_and_carries_flags_over_without_undoing_others() {
    let Some(pair) = Pair::start() else { return };
    let mut old = pair.at_old();
    old.ok("CREATE Work");
    append(&mut old, "INBOX", &letters(1..9));
    append(&mut old, "Work", &letters(100..104));
    store(&mut old, "INBOX", &["4:5 +FLAGS (\\Seen)", "6 +FLAGS (\\Flagged $urgent)"]);
    assert_eq!(sum(&pair.proved(&[]), "copied"), 12);

    // Nothing happened: nothing is done.
    let report = pair.good(&[]);
    assert_eq!((sum(&report, "copied"), sum(&report, "already_there")), (0, 12));

    // The old server's user reads 1, and no longer thinks 6 urgent; new mail comes.
    store(&mut old, "INBOX", &["1 +FLAGS (\\Seen)", "6 -FLAGS ($urgent)", "7 +FLAGS (\\Deleted)"]);
    append(&mut old, "INBOX", &letters(9..10));
    // The new server's user flags 2 and takes \Seen from 4.
    let mut new = pair.at_new();
    store(&mut new, "INBOX", &["2 +FLAGS (\\Flagged)", "4 -FLAGS (\\Seen)"]);

    let report = pair.good(&["--dryRun"]);
    assert_eq!((sum(&report, "to_copy"), sum(&report, "flags_changed")), (1, 3), "{report:#}");
    let report = pair.good(&["--syncFlags"]);
    assert_eq!((sum(&report, "copied"), sum(&report, "flags_changed")), (1, 3), "{report:#}");
    let there = contents(&mut new, "INBOX");
    let expect = [
        ("1", vec!["\\Seen"]),
        ("2", vec!["\\Flagged"]),
        ("3", vec![]),
        ("4", vec![]),
        ("5", vec!["\\Seen"]),
        ("6", vec!["\\Flagged"]),
        ("7", vec!["\\Deleted"]),
        ("8", vec![]),
        ("9", vec![]),
    ];
    let expect: BTreeMap<String, Vec<String>> = expect
        .into_iter()
        .map(|(s, f)| (s.to_owned(), f.into_iter().map(str::to_owned).collect()))
        .collect();
    assert_eq!(there, expect);
    let report = pair.good(&[]);
    assert_eq!((sum(&report, "copied"), sum(&report, "flags_changed")), (0, 0), "{report:#}");

    // The old server's flags count alone.
    let report = pair.proved(&["--syncFlags=source"]);
    assert_eq!(sum(&report, "flags_changed"), 2, "{report:#}");
}

#[test]
fn mig_42_without_its_journal_a_run_finds_every_odd_message_and_equal_copies_keep_their_number() {
    let Some(pair) = Pair::start() else { return };
    fill(&pair.old, "old", 700, 5);
    let mut old = pair.at_old();
    let odd: [&[u8]; 7] = [
        b"no header at all, and no end of it",
        b"\r\nonly a body\r\n",
        b"Subject: nobody\r\n\r\nwithout an ID\r\n",
        b"Message-ID:\r\n <folded@old.example>\r\nSubject: =?x?\xe4\xf6?=\r\n\r\n8 bit \xff\r\n",
        b"Message-ID: <twin@old.example>\r\n\r\nthe one\r\n",
        b"Message-ID: <twin@old.example>\r\n\r\nno: two\r\n",
        b"X: y\r\n\r\n",
    ];
    for message in odd {
        append(&mut old, "INBOX", &[message.to_vec()]);
    }
    let mut long = b"Message-ID: <long@old.example>\r\n\r\n".to_vec();
    long.extend(std::iter::repeat_n(b'x', 100_000));
    // Equal copies: the same octets and the same moment.
    append(&mut old, "INBOX", &[long.clone(), long, letter(1), letter(1), letter(1)]);
    let copied = sum(&pair.proved(&[]), "copied");
    assert_eq!(copied, 712);

    std::fs::remove_file(pair.journal()).unwrap();
    let report = pair.proved(&[]);
    assert_eq!(sum(&report, "copied"), 0, "{report:#}");
    assert_eq!(sum(&report, "already_there"), 712, "{report:#}");

    // One of three equal ones and one of two twins are lost: just those come again, even without
    // any journal.
    let mut new = pair.at_new();
    new.ok("SELECT INBOX");
    for search in ["HEADER Subject 1 TEXT \"The letter number 1.\"", "TEXT \"no: two\""] {
        let found = new.ok(&format!("UID SEARCH {search}"));
        let line = String::from_utf8_lossy(found.last().unwrap()).into_owned();
        let uid = line.split_whitespace().last().unwrap();
        new.ok(&format!("UID STORE {uid} +FLAGS (\\Deleted)"));
        new.ok(&format!("UID EXPUNGE {uid}"));
    }
    let report = pair.proved(&["--noJournal"]);
    assert_eq!(sum(&report, "copied"), 2, "{report:#}");
    let report = pair.good(&["--noJournal", "--copyAll", "--skipMailbox", "INBOX"]);
    assert!(sum(&report, "copied") > 0, "{report:#}");
}

#[test]
fn mig_42_a_mailbox_numbered_anew_or_renamed_is_not_copied_twice() {
    let Some(pair) = Pair::start() else { return };
    let mut old = pair.at_old();
    for name in ["A", "B"] {
        old.ok(&format!("CREATE {name}"));
        append(&mut old, name, &letters(1..31));
        // Dovecot takes the validity from the clock.
        std::thread::sleep(Duration::from_millis(1_100));
    }
    store(&mut old, "A", &["1:10 +FLAGS (\\Seen)"]);
    assert_eq!(sum(&pair.proved(&[]), "copied"), 60);

    // The old server numbers A anew; meanwhile a flag changes on either side.
    old.ok("RENAME A Gone");
    old.ok("CREATE A");
    old.ok("EXAMINE Gone");
    old.ok("COPY 1:* A");
    old.ok("CLOSE");
    old.ok("DELETE Gone");
    store(&mut old, "A", &["20 +FLAGS (\\Flagged)"]);
    let mut new = pair.at_new();
    store(&mut new, "A", &["5 -FLAGS (\\Seen)"]);
    let report = pair.good(&[]);
    assert_eq!((sum(&report, "copied"), sum(&report, "flags_changed")), (0, 1), "{report:#}");
    let there = contents(&mut new, "A");
    assert_eq!(there.len(), 30);
    assert!(there["5"].is_empty() && there["4"] == ["\\Seen"] && there["20"] == ["\\Flagged"]);

    // B gets another name.
    old.ok("RENAME B \"C and more\"");
    append(&mut old, "C and more", &letters(31..33));
    let report = pair.good(&[]);
    assert_eq!(sum(&report, "copied"), 2, "{report:#}");
    let remarks = report["move"]["remarks"].to_string();
    assert!(remarks.contains("B was renamed to C and more"), "{remarks}");
    assert_eq!(contents(&mut new, "C and more").len(), 32);
    let (_, end) = new.command("EXAMINE B");
    assert!(end.starts_with("NO"), "{end}");
    assert_eq!(sum(&pair.good(&[]), "copied"), 0);

    // The new server loses a mailbox: it is copied again.
    new.ok("DELETE A");
    assert_eq!(sum(&pair.good(&[]), "copied"), 30);
    assert_eq!(contents(&mut new, "A").len(), 30);
}

#[test]
fn mig_42_what_vanished_is_deleted_only_on_request_and_never_most_of_a_mailbox() {
    let Some(pair) = Pair::start() else { return };
    let mut old = pair.at_old();
    append(&mut old, "INBOX", &letters(1..81));
    pair.good(&[]);
    let mut new = pair.at_new();
    // One that came to the new server by itself, and one that its user marked as deleted.
    append(&mut new, "INBOX", &letters(500..501));
    store(&mut new, "INBOX", &["80 +FLAGS (\\Deleted)"]);
    let delete = |old: &mut Imap, set: &str| {
        old.ok("SELECT INBOX");
        old.ok(&format!("UID STORE {set} +FLAGS (\\Deleted)"));
        old.ok("EXPUNGE");
        old.ok("UNSELECT");
    };

    delete(&mut old, "1:3");
    assert_eq!(sum(&pair.good(&[]), "removed"), 0);
    assert_eq!(contents(&mut new, "INBOX").len(), 81);
    assert_eq!(sum(&pair.good(&["--syncDeletes", "--dryRun"]), "removed"), 3);
    assert_eq!(contents(&mut new, "INBOX").len(), 81);
    assert_eq!(sum(&pair.good(&["--syncDeletes"]), "removed"), 3);
    assert_eq!(contents(&mut new, "INBOX").len(), 78);
    assert_eq!(sum(&pair.good(&["--syncDeletes"]), "removed"), 0);

    // By the changes the server tells, once this was finished with the same options.
    delete(&mut old, "4,6,8");
    assert_eq!(sum(&pair.good(&["--syncDeletes"]), "removed"), 3);
    let there = contents(&mut new, "INBOX");
    assert!(there.contains_key("5") && !there.contains_key("6") && there.contains_key("80"));

    // Too many: not without a word, and then exactly those.
    delete(&mut old, "9:70");
    let (code, report) = pair.run(&["--syncDeletes"]);
    assert_eq!(code, 4, "{report:#}");
    assert_eq!(sum(&report, "removed"), 0);
    let held = report["move"]["mailboxes"][0]["held"].to_string();
    assert!(held.contains("62 of 74") && held.contains("--maxDeletes 62"), "{held}");
    assert_eq!(contents(&mut new, "INBOX").len(), 75);
    assert_eq!(sum(&pair.good(&["--syncDeletes", "--maxDeletes", "62"]), "removed"), 62);
    let there = contents(&mut new, "INBOX");
    assert_eq!(there.len(), 13);
    assert!(there.contains_key("500"), "what came by itself stays");

    // An old server that suddenly has nothing.
    delete(&mut old, "1:*");
    let (code, _) = pair.run(&["--syncDeletes"]);
    assert_eq!(code, 4);
    assert_eq!(contents(&mut new, "INBOX").len(), 13);
}

#[test]
fn mig_42_only_messages_of_the_days_asked_for_and_a_run_of_other_options_is_not_finished() {
    let Some(pair) = Pair::start() else { return };
    let mut old = pair.at_old();
    for (n, date) in [(1, "01-Jan-2020"), (2, "01-Jan-2021"), (3, "01-Jan-2022")] {
        let date = format!("{date} 12:00:00 +0000");
        let text = letter(n);
        old.append_all("INBOX", std::iter::once((String::new(), date, text.as_slice())));
    }
    let report = pair.good(&["--since", "01-Jun-2020", "--before", "01-Jun-2021"]);
    assert_eq!((sum(&report, "copied"), sum(&report, "filtered")), (1, 2), "{report:#}");
    let report = pair.good(&["--since", "01-Jun-2020", "--before", "01-Jun-2021"]);
    assert_eq!((sum(&report, "copied"), sum(&report, "filtered")), (0, 2), "{report:#}");
    assert_eq!(sum(&pair.proved(&[]), "copied"), 2);
    // Two runs of one move at once: the second says so and does nothing.
    let (mut first, out) = pair.following();
    let end = Instant::now() + Duration::from_secs(60);
    while !std::fs::read_to_string(&out).unwrap().contains("waiting for more") {
        assert!(Instant::now() < end, "it does not come to wait");
        std::thread::sleep(Duration::from_millis(50));
    }
    let second = pair.command(&["--syncFlags=none"]).output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    let text = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(text.contains("another run of this move"), "{text}");
    assert_eq!(ended(&mut first), Some(0));
}

/// Says SIGTERM and waits; the exit code.
fn ended(child: &mut Child) -> Option<i32> {
    // timeout(1) hands the signal on.
    Command::new("kill").arg(child.id().to_string()).status().unwrap();
    let end = Instant::now() + Duration::from_secs(30);
    while Instant::now() < end {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = child.kill();
    panic!("it does not end");
}

/// Waits until a mailbox of the new server is as it should be.
fn until(pair: &Pair, mailbox: &str, right: impl Fn(&BTreeMap<String, Vec<String>>) -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let mut new = pair.at_new();
        let (_, opened) = new.command(&format!("EXAMINE \"{mailbox}\""));
        let there =
            if opened.starts_with("OK") { contents(&mut new, mailbox) } else { BTreeMap::new() };
        if right(&there) {
            return;
        }
        assert!(Instant::now() < end, "{mailbox}: {there:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_run_that_follows_copies_as_mail_comes_and_survives_a_restart_of_the_new_server() {
    let Some(mut pair) = Pair::start() else { return };
    let mut old = pair.at_old();
    append(&mut old, "INBOX", &letters(1..4));
    let (mut child, out) = pair.following();
    until(&pair, "INBOX", |there| there.len() == 3);
    append(&mut old, "INBOX", &letters(4..5));
    until(&pair, "INBOX", |there| there.len() == 4);
    store(&mut old, "INBOX", &["2 +FLAGS (\\Answered)"]);
    until(&pair, "INBOX", |there| there.get("2").is_some_and(|f| f == &["\\Answered"]));
    // A new mailbox comes, too.
    old.ok("CREATE Later");
    append(&mut old, "Later", &letters(10..12));
    until(&pair, "Later", |there| there.len() == 2);
    pair.new.kill();
    append(&mut old, "Later", &letters(12..13));
    std::thread::sleep(Duration::from_millis(500));
    pair.new.start();
    until(&pair, "Later", |there| there.len() == 3);
    assert_eq!(ended(&mut child), Some(0));
    let said = std::fs::read_to_string(out).unwrap();
    assert!(said.contains("7 messages"), "the report tells of all passes: {said}");
    let report = pair.proved(&[]);
    assert_eq!(sum(&report, "copied"), 0, "{report:#}");
}

#[test]
fn mig_43_between_two_foreign_accounts_messages_are_copied_once_with_and_without_a_journal() {
    if !installed("dovecot") {
        return;
    }
    let old = Dovecot::start();
    fill(&old, "from", 150, 3);
    // Its INBOX has mail already, some of it equal to what comes.
    let mut there = old.imap("to");
    append(&mut there, "INBOX", &letters(1..4));
    append(&mut old.imap("from"), "INBOX", &letters(2..6));
    let folder = tempfile::tempdir().unwrap();
    let at = format!("127.0.0.1:{}", old.port);
    let run = |flags: &[&str]| {
        let out = Command::new("timeout")
            .args(["-k", "5", "120", house::ANGARIUM, "move-imap-mail", "--json", "--verify"])
            .args(flags)
            .args([&at, "from", PASSWORD, &at, "to", PASSWORD])
            .env("HOME", folder.path())
            .env("XDG_STATE_HOME", folder.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        let report: Value = serde_json::from_str(text.trim()).unwrap();
        assert_eq!(out.status.code(), Some(0), "{report:#}");
        assert_eq!(report["verify"]["differences"], 0, "{report:#}");
        sum(&report, "copied")
    };
    assert_eq!(run(&[]), 150 + 2);
    assert_eq!(run(&[]), 0);
    assert_eq!(run(&["--noJournal"]), 0);
}
