//! The engine between servers that announce what they cannot do, break off, ask for patience, give
//! few connections: every message arrives in its order, or is listed with the reason.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

mod odd_server;

use angarium_migrate::error::MoveError;
use angarium_migrate::move_imap_mail::Arguments;
use angarium_migrate::report::MoveReport;
use clap::Parser;
use odd_server::{OddServer, Oddities};

const MODERN: &str = "LITERAL+ MULTIAPPEND UIDPLUS";

fn modern() -> Oddities {
    Oddities { capabilities: MODERN.into(), ..Oddities::default() }
}

fn try_move(old: &OddServer, new: &OddServer, more: &[&str]) -> Result<MoveReport, MoveError> {
    let (old, new) = (old.at.to_string(), new.at.to_string());
    let mut words = vec!["MoveIMAPMail"];
    if !more.contains(&"--journal") {
        words.push("--noJournal");
    }
    words.extend(more);
    words.extend([old.as_str(), "joe", "secret", &new, "joe", "secret"]);
    let run = Arguments::try_parse_from(words).unwrap().to_move().unwrap();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { Box::pin(run.run()).await })
}

fn moved(old: &OddServer, new: &OddServer, more: &[&str]) -> MoveReport {
    try_move(old, new, more).unwrap()
}

fn said(report: &MoveReport, words: &str) -> bool {
    report.remarks.iter().any(|remark| remark.contains(words))
}

#[test]
fn mig_43_one_large_mailbox_is_read_by_several_connections_and_keeps_its_order() {
    let (old, new) = (OddServer::start(modern()), OddServer::start(modern()));
    old.fill("INBOX", 900, 40_000, "\\Seen");
    let report = moved(&old, &new, &["--connections", "3"]);
    assert_eq!((report.copied(), report.failures()), (900, 0));
    assert_eq!(old.most_connections(), 3);
    assert!(old.bytes("INBOX") == new.bytes("INBOX"), "another order, or other octets");
}

#[test]
fn mig_43_several_mailboxes_are_copied_at_once_on_as_many_connections_as_are_given() {
    let old = OddServer::start(Oddities { most_connections: Some(2), ..modern() });
    let new = OddServer::start(modern());
    for n in 0..9 {
        old.fill(&format!("box {n}"), 40, 2_000, "\\Seen");
    }
    let report = moved(&old, &new, &["--connections", "6"]);
    assert_eq!((report.copied(), report.failures()), (360, 0), "{}", report.text());
    assert!(said(&report, "fewer connections"), "{:?}", report.remarks);
    for n in 0..9 {
        let name = format!("box {n}");
        assert!(old.bytes(&name) == new.bytes(&name));
    }
}

#[test]
fn mig_42_a_run_with_nothing_to_do_logs_in_once_and_opens_and_makes_nothing() {
    let counts = || Oddities { capabilities: format!("{MODERN} CONDSTORE"), ..modern() };
    let (old, new) = (OddServer::start(counts()), OddServer::start(counts()));
    for (name, count) in [("INBOX", 30), ("a/", 0), ("a/b", 20), ("a/empty", 0)] {
        old.fill(name, count, 500, "\\Seen");
    }
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal");
    let kept = ["--journal", journal.to_str().unwrap()];
    assert_eq!(moved(&old, &new, &kept).copied(), 50);
    assert_eq!(new.heard()("CREATE"), 3, "the name that holds others is made as well");
    drop(old.heard());
    let report = moved(&old, &new, &kept);
    assert_eq!((report.copied(), report.failures()), (0, 0), "{}", report.text());
    assert_eq!(report.mailboxes.iter().map(|m| m.already_there).sum::<u64>(), 50);
    for (side, heard) in [("old", old.heard()), ("new", new.heard())] {
        assert_eq!(heard("LOGIN"), 1, "{side}");
        for verb in ["CREATE", "SELECT", "EXAMINE", "FETCH", "UID", "APPEND", "SUBSCRIBE"] {
            assert_eq!(heard(verb), 0, "{side}: {verb}");
        }
        assert_eq!(heard("LSUB"), 1, "{side}");
    }
}

#[test]
fn mig_43_a_target_that_refuses_what_it_announces_is_served_without() {
    for (odd, word) in [
        (Oddities { no_multi: true, ..modern() }, "MULTIAPPEND"),
        (Oddities { no_plus: true, ..modern() }, "LITERAL+"),
    ] {
        let (old, new) = (OddServer::start(modern()), OddServer::start(odd));
        old.fill("INBOX", 120, 300, "\\Seen");
        let report = moved(&old, &new, &["--connections", "1"]);
        assert_eq!((report.copied(), report.failures()), (120, 0), "{}", report.text());
        assert!(said(&report, word), "{:?}", report.remarks);
        assert!(old.bytes("INBOX") == new.bytes("INBOX"), "{word}");
    }
}

#[test]
fn mig_11_flags_and_dates_a_target_refuses_are_left_out_and_told() {
    let odd = Oddities { no_keywords: vec!["bad".into()], ..modern() };
    let (old, new) = (OddServer::start(modern()), OddServer::start(odd));
    old.fill("INBOX", 150, 100, "\\Seen bad good");
    let report = moved(&old, &new, &[]);
    assert_eq!((report.copied(), report.failures()), (150, 0), "{}", report.text());
    assert!(said(&report, "bad"), "{:?}", report.remarks);
    assert!(new.messages("INBOX").iter().all(|m| m.flags == "\\Seen good"));

    let (old, new) =
        (OddServer::start(modern()), OddServer::start(Oddities { no_dates: true, ..modern() }));
    old.fill("INBOX", 150, 100, "\\Seen");
    let report = moved(&old, &new, &[]);
    assert_eq!((report.copied(), report.failures()), (150, 0), "{}", report.text());
    assert!(said(&report, "date of arrival"), "{:?}", report.remarks);
    assert!(new.messages("INBOX").iter().all(|m| m.flags == "\\Seen" && m.date.is_empty()));
}

#[test]
fn mig_23_a_source_without_body_peek_or_with_short_lines_gives_all_the_same() {
    for odd in [
        Oddities { no_items: vec!["BODY.PEEK[]".into()], ..modern() },
        Oddities { no_items: vec!["BODY.PEEK[]".into(), "RFC822.PEEK".into()], ..modern() },
        Oddities { longest_set: Some(7), ..modern() },
        Oddities { late_uid: true, ..modern() },
    ] {
        let (old, new) = (OddServer::start(odd.clone()), OddServer::start(modern()));
        old.fill("INBOX", 130, 200, "");
        let report = moved(&old, &new, &["--connections", "1"]);
        assert_eq!((report.copied(), report.failures()), (130, 0), "{odd:?} {}", report.text());
        let (mut here, mut there) = (old.bytes("INBOX"), new.bytes("INBOX"));
        here.sort();
        there.sort();
        assert!(here == there);
    }
}

#[test]
fn mig_07_a_message_the_source_cannot_read_is_listed_and_its_neighbours_come() {
    let old = OddServer::start(Oddities { poison: Some(33), ..modern() });
    let new = OddServer::start(modern());
    old.fill("INBOX", 100, 200, "");
    let report = moved(&old, &new, &[]);
    assert_eq!((report.copied(), report.failures()), (99, 1), "{}", report.text());
    let failed = &report.mailboxes[0].failed[0];
    assert_eq!(failed.uid, 33);
    assert!(failed.reason.contains("cannot be read"), "{failed:?}");
}

#[test]
fn mig_42_connections_that_break_are_made_again_without_a_message_twice() {
    let old = OddServer::start(Oddities { cuts: (4, 150), ..modern() });
    let new = OddServer::start(modern());
    old.fill("INBOX", 1_000, 3_000, "\\Seen");
    let report = moved(&old, &new, &["--connections", "1", "--retry", "9"]);
    // What the target took just before a loss is found there by content.
    let there = report.copied() + report.mailboxes[0].already_there;
    assert_eq!((there, report.failures()), (1_000, 0), "{}", report.text());
    assert_eq!(new.bytes("INBOX").len(), 1_000);
    assert!(old.bytes("INBOX") == new.bytes("INBOX"));
    // Without retries the first loss ends the run.
    let old = OddServer::start(Oddities { cuts: (1, 5), ..modern() });
    old.fill("INBOX", 10, 10, "");
    let lost = try_move(&old, &OddServer::start(modern()), &["--retry", "0"]);
    assert!(matches!(lost, Err(MoveError::Lost { .. })));
}

#[test]
fn mig_43_a_target_that_asks_for_patience_gets_it() {
    let (old, new) =
        (OddServer::start(modern()), OddServer::start(Oddities { throttled: 3, ..modern() }));
    old.fill("INBOX", 400, 100, "");
    let report = moved(&old, &new, &["--connections", "1"]);
    assert_eq!((report.copied(), report.failures()), (400, 0), "{}", report.text());
    assert_eq!(new.bytes("INBOX").len(), 400);
}

#[test]
fn mig_43_what_is_too_large_is_listed_one_by_one() {
    let odd =
        Oddities { capabilities: format!("{MODERN} APPENDLIMIT=5000"), ..Oddities::default() };
    let (old, new) = (OddServer::start(modern()), OddServer::start(odd));
    old.fill("INBOX", 3, 100, "");
    old.fill("large", 2, 6_000, "");
    let report = moved(&old, &new, &[]);
    assert_eq!((report.copied(), report.failures()), (3, 2), "{}", report.text());
    assert!(report.text().contains("takes no more than 5000"), "{}", report.text());
    assert_eq!(old.given(), old.bytes("INBOX").concat().len(), "fetched for nothing");
    // By choice: no failure, but told.
    let (old, new) = (OddServer::start(modern()), OddServer::start(modern()));
    old.fill("INBOX", 3, 100, "");
    old.fill("large", 2, 6_000, "");
    let report = moved(&old, &new, &["--maxSize", "5K"]);
    assert_eq!((report.copied(), report.failures()), (3, 0), "{}", report.text());
    assert!(said(&report, "--maxSize") && said(&report, "large UID 2"), "{:?}", report.remarks);
}

#[test]
fn mig_43_a_full_account_ends_the_run_and_names_what_was_not_reached() {
    let odd = Oddities { quota: Some(60), ..modern() };
    let (old, new) = (OddServer::start(modern()), OddServer::start(odd));
    for n in 0..5 {
        old.fill(&format!("box {n}"), 50, 100, "");
    }
    let report = moved(&old, &new, &["--connections", "1"]);
    let failed = report.mailboxes.iter().filter(|m| m.error.is_some()).count();
    assert_eq!(report.copied(), 50, "{}", report.text());
    // One was refused; three, and the empty INBOX, were not begun.
    assert_eq!(failed, 5, "{}", report.text());
    assert!(report.text().contains("quota"), "{}", report.text());
    assert!(report.text().contains("not reached"), "{}", report.text());
}

#[test]
fn mig_43_a_days_budget_parks_the_run_and_the_next_goes_on() {
    let (old, new) = (OddServer::start(modern()), OddServer::start(modern()));
    old.fill("INBOX", 100, 1_000, "");
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("joe.journal").display().to_string();
    let words = ["--journal", journal.as_str(), "--dailyBytes", "40K", "--batch", "10"];
    let parked = try_move(&old, &new, &words);
    let Err(e @ MoveError::Parked { .. }) = parked else { panic!("{parked:?}") };
    assert_eq!(e.exit_code(), 6);
    assert!(e.to_string().contains("UTC"), "{e}");
    let there = new.bytes("INBOX").len();
    assert!((20..=40).contains(&there), "{there}");
    // The same day: nothing more.
    assert!(matches!(try_move(&old, &new, &words), Err(MoveError::Parked { .. })));
    assert_eq!(new.bytes("INBOX").len(), there);
    // With another budget the rest comes, and nothing twice.
    let report = moved(&old, &new, &["--journal", journal.as_str()]);
    assert_eq!(report.copied() as usize, 100 - there, "{}", report.text());
    assert!(old.bytes("INBOX") == new.bytes("INBOX"));
}

#[test]
fn mig_43_a_rate_is_kept() {
    let (old, new) = (OddServer::start(modern()), OddServer::start(modern()));
    old.fill("INBOX", 20, 10_000, "");
    let begun = std::time::Instant::now();
    let report = moved(&old, &new, &["--maxRate", "400K"]);
    assert_eq!(report.copied(), 20);
    // 200 KB at 400 KiB a second; the last piece does not wait.
    assert!(begun.elapsed() > std::time::Duration::from_millis(300));
}

#[test]
fn mig_43_an_account_that_is_too_small_is_told_before_the_first_message() {
    let small = |used| Oddities {
        capabilities: format!("{MODERN} QUOTA"),
        storage: Some((used, 120)),
        ..Oddities::default()
    };
    let (old, new) = (OddServer::start(modern()), OddServer::start(small(40)));
    old.fill("INBOX", 100, 1_000, "");
    let refused = try_move(&old, &new, &[]);
    let Err(e) = refused else { panic!("{refused:?}") };
    assert!(e.to_string().contains("--ignoreQuota"), "{e}");
    assert_eq!((old.given(), new.bytes("INBOX").len()), (0, 0));
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("joe.journal").display().to_string();
    let report = moved(&old, &new, &["--ignoreQuota", "--journal", journal.as_str()]);
    assert_eq!(report.copied(), 100);
    // What is used there now came from here: a second run does not count it twice.
    new.behave(small(115));
    let report = moved(&old, &new, &["--journal", journal.as_str()]);
    assert_eq!((report.copied(), report.failures()), (0, 0), "{}", report.text());
}
