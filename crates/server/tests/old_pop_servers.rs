//! MIG-01 to MIG-06 and MIG-35 to MIG-41 with POP servers of several makes: Cyrus and Courier moved in
//! message by message with each flag; and a list of accounts over two servers.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

mod house;

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use house::courier::Courier;
use house::cyrus::Cyrus;
use house::odd_mail::{DATE, append, letter, odd};
use house::{ANGARIUM, DOMAIN, House, Imap, PASSWORD};
use serde_json::Value;

/// Runs `angarium move` and waits; exit code, standard output, standard error.
fn moving(state: &Path, words: &[&str]) -> (i32, String, String) {
    let out = Command::new("timeout")
        .args(["-k", "5", "120", ANGARIUM, "move"])
        .args(words)
        .env("XDG_STATE_HOME", state)
        .env("HOME", state)
        .env("ANGARIUM_OLD_PASSWORD", PASSWORD)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |octets: Vec<u8>| String::from_utf8_lossy(&octets).into_owned();
    (out.status.code().unwrap_or(-1), text(out.stdout), text(out.stderr))
}

fn messages(imap: &mut Imap) -> u64 {
    let told = imap.ok("STATUS INBOX (MESSAGES)").concat();
    let told = String::from_utf8_lossy(&told).into_owned();
    let number: String =
        told.split("MESSAGES ").nth(1).unwrap().chars().take_while(char::is_ascii_digit).collect();
    number.parse().unwrap()
}

/// Waits until so many messages are in INBOX, and gives their text.
fn arrived(imap: &mut Imap, count: u64) -> Vec<Vec<u8>> {
    let end = Instant::now() + Duration::from_secs(60);
    while messages(imap) < count {
        assert!(Instant::now() < end, "{} of {count}", messages(imap));
        std::thread::sleep(Duration::from_millis(50));
    }
    imap.ok("EXAMINE INBOX");
    texts(imap)
}

fn texts(imap: &mut Imap) -> Vec<Vec<u8>> {
    let lines = imap.ok("FETCH 1:* BODY.PEEK[]");
    let found = lines.iter().filter(|line| line.ends_with(b")\r\n") && line.contains(&b'{'));
    found.map(|line| Imap::literal(line).to_vec()).collect()
}

/// Moves an INBOX in by POP and SMTP, twice, then with one more letter and everything deleted.
fn played(imap_port: u16, pop_port: u16, user: &str) {
    let mut old = Imap::login(imap_port, user, PASSWORD);
    let mut count = 0;
    for (_, text) in odd() {
        count += u64::from(append(&mut old, "INBOX", "", DATE, &text));
    }
    old.ok("EXAMINE INBOX");
    let there = texts(&mut old);
    old.ok("CLOSE");
    assert_eq!(there.len() as u64, count);
    let house = House::build();
    house.account("joe");
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (format!("127.0.0.1:{pop_port}"), format!("127.0.0.1:{}", house.port(25)));
    let name = format!("joe@{DOMAIN}");
    let run = |flags: &[&str]| {
        let words: Vec<&str> =
            ["pop"].iter().chain(flags).copied().chain([&from, user, "-", &to, &name]).collect();
        let (code, out, error) = moving(folder.path(), &words);
        assert_eq!(code, 0, "{flags:?}: {out}{error}");
        out
    };
    assert_eq!(
        run(&["--noJournal", "--retry", "0"]).lines().filter(|l| l.contains("NOT")).count(),
        0
    );
    let mut new = house.imap("joe");
    let found = arrived(&mut new, count);
    for text in &there {
        // POP ends the last line, and a NUL is nothing SMTP may carry.
        let mut text = text.clone();
        if !text.ends_with(b"\r\n") {
            text.extend_from_slice(b"\r\n");
        }
        if text.contains(&0) || text.windows(2).any(|w| (w[0] == b'\r') != (w[1] == b'\n')) {
            continue;
        }
        let whole = found.iter().any(|found| found.ends_with(&text));
        assert!(whole, "{:?} is not there whole", String::from_utf8_lossy(&text));
    }
    // With a journal: all of it, then nothing, then the one that is new; deleted is what was taken.
    let told = run(&["--verbose"]);
    assert!(told.contains(&format!("{count} of {count} messages")), "{told}");
    let told = run(&["--verbose"]);
    assert!(told.contains(&format!("0 of {count}")), "{told}");
    assert!(append(&mut old, "INBOX", "", DATE, &letter("late")));
    drop(old);
    let told = run(&["--verbose", "--delete", "--notimeout"]);
    let all = count + 1;
    assert!(told.contains(&format!("1 of {all}")), "{told}");
    assert!(told.contains(&format!("{all} deleted at the old server")), "{told}");
    arrived(&mut new, 2 * count + 1);
    assert_eq!(messages(&mut Imap::login(imap_port, user, PASSWORD)), 0);
}

#[test]
fn mig_01_to_06_a_cyrus_is_moved_in_by_pop() {
    let Some(old) = Cyrus::start(&["joe"]) else { return };
    played(old.imap, old.pop, "joe");
}

#[test]
fn mig_01_to_06_a_courier_is_moved_in_by_pop() {
    let Some(old) = Courier::start(&["joe"]) else { return };
    played(old.imap, old.pop, "joe");
}

#[test]
fn mig_35_to_41_one_list_moves_accounts_of_two_old_servers_by_both_protocols() {
    let users = ["joe", "jim", "ann"];
    let Some(courier) = Courier::start(&users) else { return };
    let Some(cyrus) = Cyrus::start(&users) else { return };
    let house = House::build();
    let folder = tempfile::tempdir().unwrap();
    let ports = |pop: bool| match pop {
        true => (courier.pop, cyrus.pop, house.port(25)),
        false => (courier.imap, cyrus.imap, house.port(143)),
    };
    for user in users {
        for (make, port, prefix) in [("courier", courier.imap, 1), ("cyrus", cyrus.imap, 2)] {
            let mut imap = Imap::login(port, user, PASSWORD);
            for number in 0..prefix + 1 {
                let text = letter(&format!("{make}-{user}-{number}"));
                assert!(append(&mut imap, "INBOX", "\\Seen", DATE, &text));
            }
        }
    }
    for pop in [true, false] {
        let (first, second, to) = ports(pop);
        let protocol = if pop { "--POP" } else { "--IMAP" };
        let mut text = "Limit\tName\tPassword\tNewName\tNewPassword\tServer\n".to_owned();
        for user in users {
            for (make, at) in [("courier", String::new()), ("cyrus", format!("127.0.0.1:{second}"))]
            {
                let new = format!("{user}-{make}-{pop}");
                house.account(&new);
                writeln!(text, "1M\t{user}\t{PASSWORD}\t{new}@{DOMAIN}\t{PASSWORD}\t{at}").unwrap();
            }
        }
        let list = folder.path().join(protocol);
        std::fs::write(&list, text).unwrap();
        let (from, to) = (format!("127.0.0.1:{first}"), format!("127.0.0.1:{to}"));
        let list = list.to_str().unwrap();
        let words = [
            "accounts",
            protocol,
            "--serverColumn",
            "Server",
            list,
            &from,
            &to,
            "--json",
            "--notimeout",
        ];
        for (done, copied) in [(6, 15), (0, 0)] {
            let (code, out, error) = moving(folder.path(), &words);
            assert_eq!(code, 0, "{out}{error}");
            let report: Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
            let totals = &report["report"]["totals"];
            assert_eq!(
                (&totals["done"], &totals["copied"]),
                (&done.into(), &copied.into()),
                "{out}"
            );
        }
        for user in users {
            assert_eq!(arrived(&mut house.imap(&format!("{user}-courier-{pop}")), 2).len(), 2);
            assert_eq!(arrived(&mut house.imap(&format!("{user}-cyrus-{pop}")), 3).len(), 3);
        }
    }
}

#[test]
fn mig_44_sync_imap_mail_takes_a_list_of_accounts_too() {
    let Some(old) = Cyrus::start(&["joe", "jim"]) else { return };
    let house = House::build();
    let folder = tempfile::tempdir().unwrap();
    let mut text = "Name\tPassword\tNewName\tNewPassword\n".to_owned();
    for user in ["joe", "jim"] {
        house.account(user);
        let mut imap = Imap::login(old.imap, user, PASSWORD);
        assert!(append(&mut imap, "INBOX", "\\Seen", DATE, &letter(user)));
        writeln!(text, "{user}\t{PASSWORD}\t{user}@{DOMAIN}\t{PASSWORD}").unwrap();
    }
    let list = folder.path().join("list");
    std::fs::write(&list, text).unwrap();
    let (from, to) = (format!("127.0.0.1:{}", old.imap), format!("127.0.0.1:{}", house.port(143)));
    let log = folder.path().join("log");
    let words =
        ["sync", "--accounts", list.to_str().unwrap(), "--jobs", "2", "--syncFlags", &from, &to];
    let (code, out, error) = moving(folder.path(), &words);
    assert_eq!(code, 0, "{out}{error}");
    // A flag that is new at one, the words kept in a file, and nothing changed by a dry run.
    let mut imap = Imap::login(old.imap, "joe", PASSWORD);
    imap.ok("SELECT INBOX");
    imap.ok("STORE 1 +FLAGS (\\Flagged)");
    imap.ok("CLOSE");
    let flags = |house: &House| {
        let mut imap = house.imap("joe");
        imap.ok("EXAMINE INBOX");
        String::from_utf8_lossy(&imap.ok("FETCH 1 (FLAGS)").concat()).into_owned()
    };
    let name = format!("joe@{DOMAIN}");
    let six = [&from, "joe", "-", &to, &name, "-"];
    let password = folder.path().join("password");
    std::fs::write(&password, PASSWORD).unwrap();
    let common = ["--passfile2", password.to_str().unwrap(), "--logFile", log.to_str().unwrap()];
    let dry = [&["sync", "--dryRun"][..], &common, &six].concat();
    let (code, out, error) = moving(folder.path(), &dry);
    assert_eq!(code, 0, "{out}{error}");
    assert!(!flags(&house).contains("Flagged"), "{}", flags(&house));
    let wet = [&["sync", "--retry", "1", "--batch", "2", "--batchBytes", "1M"][..], &common, &six];
    let (code, out, error) = moving(folder.path(), &wet.concat());
    assert_eq!(code, 0, "{out}{error}");
    assert!(flags(&house).contains("\\Flagged"), "{}", flags(&house));
    assert!(!std::fs::read_to_string(&log).unwrap().is_empty());
}
