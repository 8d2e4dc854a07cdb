//! MIG-07 to MIG-34 and MIG-42 with old servers of several makes: Cyrus, Courier and GNU Mailutils
//! moved into this one, proved, run again and kept alike; from one foreign server into another; each
//! flag that asks something of the old server; an administrator's login.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

mod house;

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};

use house::courier::Courier;
use house::cyrus::{ADMIN, Cyrus};
use house::mailutils::Mailutils;
use house::odd_mail::{DATE, Manner, append, fill, letter};
use house::old_server::{Dovecot, wire};
use house::{ANGARIUM, DOMAIN, House, Imap, PASSWORD, installed};
use serde_json::Value;

const MAILBOXES: &[&str] = &["Sub", "Sub/Deep er", "Müll & Co", "Ärger", "日本語/台北"];

const CYRUS: Manner =
    Manner { prefix: "INBOX.", separator: ".", keywords: true, rights: true, mailboxes: MAILBOXES };
const COURIER: Manner = CYRUS;
/// A mailbox file is no directory, and keeps no keywords.
const MAILUTILS: Manner = Manner {
    prefix: "",
    separator: "/",
    keywords: false,
    rights: false,
    mailboxes: &["Sub/Deep er", "Müll & Co", "Ärger", "日本語/台北"],
};

/// An account somewhere.
struct Side {
    port: u16,
    user: String,
}

impl Side {
    fn new(port: u16, user: &str) -> Self {
        Self { port, user: user.to_owned() }
    }

    fn imap(&self) -> Imap {
        Imap::login(self.port, &self.user, PASSWORD)
    }
}

/// Moves between accounts, with its state in a directory of its own.
struct Mover {
    folder: tempfile::TempDir,
}

impl Mover {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// Runs `angarium move VERB`; exit code, standard output, standard error.
    fn run(&self, verb: &str, flags: &[&str], old: &Side, new: &Side) -> (i32, String, String) {
        let out = Command::new("timeout")
            .args(["-k", "5", "120", ANGARIUM, "move", verb])
            .args(["--journal", self.folder.path().join("journal").to_str().unwrap()])
            .args(flags)
            .args([&format!("127.0.0.1:{}", old.port), &old.user, "-"])
            .args([&format!("127.0.0.1:{}", new.port), &new.user, "-"])
            .env("ANGARIUM_OLD_PASSWORD", PASSWORD)
            .env("ANGARIUM_NEW_PASSWORD", PASSWORD)
            .env("HOME", self.folder.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        (out.status.code().unwrap_or(-1), text(&out.stdout), text(&out.stderr))
    }

    /// A run that must go well; its report.
    fn good(&self, verb: &str, flags: &[&str], old: &Side, new: &Side) -> Value {
        let (code, out, error) = self.run(verb, &[flags, &["--json"]].concat(), old, new);
        assert_eq!(code, 0, "{verb} {flags:?}: {out}{error}");
        serde_json::from_str(out.trim()).unwrap()
    }

    /// The same, and both sides are found to be equal.
    fn proved(&self, verb: &str, flags: &[&str], old: &Side, new: &Side) -> Value {
        let report = self.good(verb, &[flags, &["--verify"]].concat(), old, new);
        assert_eq!(report["verify"]["differences"], 0, "{report:#}");
        report
    }
}

/// The sum of a number over all mailboxes of a report.
fn sum(report: &Value, name: &str) -> u64 {
    let all = report["move"]["mailboxes"].as_array().unwrap();
    all.iter().map(|m| m[name].as_u64().unwrap_or(0)).sum()
}

fn names(imap: &mut Imap, command: &str) -> BTreeSet<String> {
    let lines = imap.ok(command);
    let lines = lines.iter().map(|line| String::from_utf8_lossy(line).trim_end().to_owned());
    let lists = lines.filter(|line| line.starts_with("* L") && !line.contains("oselect"));
    lists.map(|line| line.split("\" ").last().unwrap().trim_matches('"').to_owned()).collect()
}

/// How many messages each mailbox of ours holds, empty ones left out.
fn contents(imap: &mut Imap) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    for name in names(imap, "LIST \"\" \"*\"") {
        let (status, end) = imap.command(&format!("STATUS \"{name}\" (MESSAGES)"));
        let Some(line) = status.first().filter(|_| end.starts_with("OK")) else { continue };
        let line = String::from_utf8_lossy(line).into_owned();
        let number = line.rsplit_once("MESSAGES ").unwrap().1.trim_end().trim_end_matches(')');
        found.insert(name, number.parse().unwrap());
    }
    found.retain(|_, n| *n > 0);
    found
}

/// Fresh accounts of one new server.
struct Target {
    house: House,
    made: std::sync::atomic::AtomicU32,
}

impl Target {
    fn new() -> Self {
        Self { house: House::build(), made: std::sync::atomic::AtomicU32::new(0) }
    }

    fn fresh(&self) -> (String, Side) {
        let number = self.made.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("new{number}");
        self.house.account(&name);
        let side = Side::new(self.house.port(143), &format!("{name}@{DOMAIN}"));
        (name, side)
    }
}

/// Moves a filled account in, proves it, and keeps it alike.
fn played(old: &Side, manner: &Manner) {
    let target = Target::new();
    target.house.account("ann");
    let (name, new) = target.fresh();
    let mut at_old = old.imap();
    let filled = fill(&mut at_old, manner);
    let total: u64 = filled.values().sum();
    assert!(filled["INBOX"] >= 10, "{filled:?}");
    if manner.rights {
        at_old.ok(&format!("SETACL \"{}\" ann lrs", manner.name("Sub")));
    }
    let mover = Mover::new();
    let preview = mover.good("imap", &["--plan"], old, &new);
    assert_eq!(preview["messages"], total, "{preview:#}");
    assert_eq!(contents(&mut new.imap()), BTreeMap::new());

    let first = mover.proved("imap", &[], old, &new);
    assert_eq!(sum(&first, "copied"), total, "{first:#}");
    let there: BTreeMap<String, u64> = filled.iter().map(|(n, c)| (wire(n), *c)).collect();
    assert_eq!(contents(&mut new.imap()), there);
    let subscribed = names(&mut new.imap(), "LSUB \"\" \"*\"");
    for mailbox in manner.mailboxes {
        assert!(subscribed.contains(&wire(mailbox)), "{mailbox} of {subscribed:?}");
    }
    let second = mover.proved("imap", &[], old, &new);
    assert_eq!(sum(&second, "copied"), 0, "{second:#}");

    // One gets a flag, one goes, one comes.
    at_old.ok("SELECT INBOX");
    at_old.ok("STORE 1 +FLAGS (\\Flagged)");
    at_old.ok("STORE 2 +FLAGS (\\Deleted)");
    at_old.ok("EXPUNGE");
    assert!(append(&mut at_old, "INBOX", "", DATE, &letter("late")));
    let third = mover.proved("sync", &["--syncDeletes"], old, &new);
    let news = ["copied", "flags_changed", "removed"].map(|what| sum(&third, what));
    assert_eq!(news, [1, 1, 1], "{third:#}");
    // With the journal lost nothing comes twice.
    let fourth = Mover::new().proved("imap", &[], old, &new);
    assert_eq!(sum(&fourth, "copied"), 0, "{fourth:#}");

    let mut imap = target.house.imap(&name);
    if manner.rights {
        let told = imap.ok("GETACL Sub").concat();
        assert!(String::from_utf8_lossy(&told).contains("ann"), "{told:?}");
    }
    imap.ok("EXAMINE Sub");
    let flags = String::from_utf8_lossy(&imap.ok("FETCH 1 (FLAGS)").concat()).into_owned();
    assert!(flags.contains("\\Seen") && flags.contains("$Work") == manner.keywords, "{flags}");
}

/// Each flag that asks something of the old server, with few messages.
fn flags_of_every_guide(old: &Side, manner: &Manner) {
    let target = Target::new();
    let mut imap = old.imap();
    let dates = ["31-Dec-2019 23:59:59 +0000", "01-Jan-2020 00:00:00 +0000", DATE];
    for (number, date) in dates.iter().enumerate() {
        assert!(append(&mut imap, "INBOX", "", date, &letter(&number.to_string())));
    }
    let long = format!("Subject: long\r\nMessage-ID: <l@b>\r\n\r\n{}\r\n", "x".repeat(3_000));
    for name in ["abc/one", "abc/two", "Other"] {
        let at = manner.name(name);
        imap.ok(&format!("CREATE \"{at}\""));
        let text = if name == "Other" { long.clone().into_bytes() } else { letter(name) };
        assert!(append(&mut imap, &at, "", DATE, &text));
    }
    imap.ok(&format!("SUBSCRIBE \"{}\"", manner.name("Other")));
    let moved = |flags: &[&str]| {
        let (name, new) = target.fresh();
        Mover::new().good("imap", flags, old, &new);
        name
    };
    let at = |flags: &[&str]| contents(&mut target.house.imap(&moved(flags)));
    let keys = |map: BTreeMap<String, u64>| map.into_keys().collect::<Vec<_>>();
    let all = ["INBOX", "Other", "abc/one", "abc/two"];
    for flags in [&["--fetchRFC822"][..], &["--byOne"], &["--notimeout"], &["--batch", "1"]] {
        assert_eq!(keys(at(flags)), all, "{flags:?}");
    }
    let (below, pattern) = (manner.name("abc/"), manner.name("abc/*"));
    assert_eq!(keys(at(&["--list", &pattern])), ["abc/one", "abc/two"]);
    assert_eq!(keys(at(&["--source", &below])), ["one", "two"]);
    let targets = ["Old/INBOX", "Old/Other", "Old/abc/one", "Old/abc/two"];
    assert_eq!(keys(at(&["--target", "Old/"])), targets);
    assert_eq!(keys(at(&["--skipMailbox", "Other", "--skipMailbox", "abc/two"])), [all[0], all[2]]);
    let only = keys(at(&["--subscribed"]));
    assert!(
        only.contains(&"Other".to_owned()) && !only.contains(&"abc/one".to_owned()),
        "{only:?}"
    );
    let renamed = at(&["--renameMailbox", "Other", "Ändert", "--nosubscription", "--noACL"]);
    assert!(renamed.contains_key(&wire("Ändert")), "{renamed:?}");
    assert_eq!(at(&["--filter", "before", "01-Jan-2020"])["INBOX"], 1);
    assert_eq!(at(&["--filter", "after", "01-Jan-2020 00:00:00"])["INBOX"], 2);
    assert!(!at(&["--maxSize", "2K", "--ignoreQuota"]).contains_key("Other"));
    let name = moved(&["--fixLongLines", "998", "--verify"]);
    let mut broken = target.house.imap(&name);
    broken.ok("EXAMINE Other");
    let text = broken.ok("FETCH 1 BODY.PEEK[TEXT]").concat();
    assert!(text.split(|b| *b == b'\n').all(|line| line.len() <= 999));
    // What is not to be copied is not deleted either.
    assert_eq!(at(&["--delete", "--skipMailbox", "Other"])["INBOX"], 3);
    let mut imap = old.imap();
    for (name, left) in [("INBOX", 0), ("abc/one", 0), ("Other", 1)] {
        let listed = imap.ok(&format!("EXAMINE \"{}\"", manner.name(name)));
        let exists = format!("* {left} EXISTS\r\n").into_bytes();
        assert!(listed.contains(&exists), "{name}: {listed:?}");
    }
}

#[test]
fn an_old_cyrus_is_moved_in_and_kept_alike() {
    let Some(old) = Cyrus::start(&["joe", "ann"]) else { return };
    // Who is granted something is to be known there.
    drop(Imap::login(old.imap, "ann", PASSWORD));
    played(&Side::new(old.imap, "joe"), &CYRUS);
}

#[test]
fn an_old_courier_is_moved_in_and_kept_alike() {
    let Some(old) = Courier::start(&["joe", "ann"]) else { return };
    played(&Side::new(old.imap, "joe"), &COURIER);
}

#[test]
fn every_flag_of_the_guides_with_a_cyrus() {
    let Some(old) = Cyrus::start(&["joe"]) else { return };
    flags_of_every_guide(&Side::new(old.imap, "joe"), &CYRUS);
}

#[test]
fn every_flag_of_the_guides_with_a_courier() {
    let Some(old) = Courier::start(&["joe"]) else { return };
    flags_of_every_guide(&Side::new(old.imap, "joe"), &COURIER);
}

#[test]
fn every_flag_of_the_guides_with_mailutils() {
    let Some(old) = Mailutils::start(&["joe"]) else { return };
    let user = format!("joe@{}", house::mailutils::DOMAIN);
    flags_of_every_guide(&Side::new(old.imap, &user), &MAILUTILS);
}

#[test]
fn from_one_foreign_server_into_another() {
    let Some(courier) = Courier::start(&["joe"]) else { return };
    let Some(cyrus) = Cyrus::start(&["joe", "ann"]) else { return };
    if !installed("dovecot") {
        return;
    }
    let dovecot = Dovecot::start();
    let ends = [courier.imap, cyrus.imap, dovecot.port].map(|port| Side::new(port, "joe"));
    let filled = fill(&mut ends[0].imap(), &COURIER);
    for pair in ends.windows(2) {
        let mover = Mover::new();
        let flags = ["--keepNames", "--noACL"];
        // Cyrus refuses what no message may hold: that is listed, nothing else is missing.
        let (code, out, error) =
            mover.run("imap", &[&flags[..], &["--json"]].concat(), &pair[0], &pair[1]);
        let report: Value = serde_json::from_str(out.trim()).unwrap();
        let failed: usize = report["move"]["mailboxes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|m| m["failed"].as_array().map_or(0, Vec::len))
            .sum();
        assert_eq!(code, if failed == 0 { 0 } else { 4 }, "{out}{error}");
        let copied = sum(&report, "copied");
        assert_eq!(copied + failed as u64, sum(&report, "found"), "{out}");
        assert!(copied >= filled.values().sum::<u64>() - 4, "{out}");
        let (_, out, error) =
            mover.run("imap", &[&flags[..], &["--verify", "--json"]].concat(), &pair[0], &pair[1]);
        let again: Value = serde_json::from_str(out.trim()).unwrap();
        assert_eq!(sum(&again, "copied"), 0, "{out}{error}");
        // Dovecot shows the NUL of the one message that has it as another octet.
        let differences = again["verify"]["differences"].as_u64().unwrap();
        assert!(differences <= failed as u64 + 1, "{again:#}{error}");
        // In either direction names come out as they were.
        let (code, out, error) = mover.run("imap", &["--plan"], &pair[1], &pair[0]);
        assert_eq!(code, 0, "{out}{error}");
        assert!(out.contains("Deep er"), "{out}");
    }
}

#[test]
fn an_administrator_of_cyrus_logs_in_for_the_user() {
    let Some(old) = Cyrus::start(&["joe"]) else { return };
    let target = Target::new();
    let joe = Side::new(old.imap, "joe");
    let mut imap = joe.imap();
    imap.ok("CREATE INBOX.Work");
    assert!(append(&mut imap, "INBOX.Work", "\\Seen", DATE, &letter("1")));
    for flags in [&["--master1", ADMIN][..], &["--master1", ADMIN, "--masterStyle1", "cyrus"]] {
        let (name, new) = target.fresh();
        Mover::new().proved("imap", flags, &joe, &new);
        assert_eq!(contents(&mut target.house.imap(&name))["Work"], 1);
    }
    // And writes for the user.
    let Some(other) = Cyrus::start(&["jim"]) else { return };
    let jim = Side::new(other.imap, "jim");
    drop(jim.imap());
    let report = Mover::new().proved("imap", &["--master2", ADMIN], &joe, &jim);
    assert_eq!(sum(&report, "copied"), 1);
    assert_eq!(contents(&mut jim.imap())["INBOX.Work"], 1);
}
