//! MIG-07 to MIG-11 with a real Dovecot and a real mbsync: an account of 20,000 odd messages is
//! moved in by MoveIMAPMail, proved complete, and pulled out again unchanged.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

mod house;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use angarium_xtask::corpus;
use house::old_server::{Dovecot, fill};
use house::{DOMAIN, House, PASSWORD, installed};

/// Messages and mailboxes of the account that is moved.
const MESSAGES: usize = 20_000;
const MAILBOXES: usize = 12;
/// Most memory the mover and the server may use, KiB.
const MEMORY: u64 = 150 * 1024;

/// Runs MoveIMAPMail; exit code, standard output, peak memory in KiB.
fn move_mail(arguments: &[&str], journal: &Path) -> (i32, String, u64) {
    let mover = PathBuf::from(house::ANGARIUM);
    let mut child = Command::new(mover)
        .arg("move-imap-mail")
        .args(["--journal", journal.to_str().unwrap()])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut peak = 0;
    let end = Instant::now() + Duration::from_secs(600);
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if let Ok(text) = std::fs::read_to_string(format!("/proc/{}/status", child.id()))
            && let Some(line) = text.lines().find(|l| l.starts_with("VmHWM"))
        {
            peak = line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap_or(peak);
        }
        assert!(Instant::now() < end, "the move does not end");
        std::thread::sleep(Duration::from_millis(50));
    };
    let mut out = String::new();
    std::io::Read::read_to_string(&mut child.stdout.take().unwrap(), &mut out).unwrap();
    (status.code().unwrap_or(-1), out, peak)
}

#[test]
fn mig_07_an_account_of_20000_messages_is_moved_in_and_proved_and_pulled_out_unchanged() {
    if !installed("dovecot") {
        return;
    }
    let dovecot = Dovecot::start();
    let counts = fill(&dovecot, "old", MESSAGES, MAILBOXES);
    assert!(counts.len() >= MAILBOXES, "{counts:?}");
    let house = House::build();
    house.account("new");
    let old = format!("127.0.0.1:{}", dovecot.port);
    let new = format!("127.0.0.1:{}", house.port(143));
    let name = format!("new@{DOMAIN}");
    let journal = house.base.with_extension("journal");
    let six = [old.as_str(), "old", PASSWORD, &new, &name, PASSWORD];

    let mut arguments = vec!["--json", "--verify"];
    arguments.extend(six);
    let (code, out, peak) = move_mail(&arguments, &journal);
    assert_eq!(code, 0, "{out}");
    let report: serde_json::Value = serde_json::from_str(out.trim()).unwrap();
    assert_eq!(report["verify"]["differences"], 0, "{out}");
    assert_eq!(report["verify"]["messages"], MESSAGES);
    let moved = report["move"]["mailboxes"].as_array().unwrap();
    // Names that only hold others are copied, too.
    let with_mail = moved.iter().filter(|m| m["copied"] != 0).count();
    assert_eq!(with_mail, counts.len(), "{out}");
    assert!(moved.iter().all(|m| m["failed"].as_array().unwrap().is_empty()), "{out}");
    println!("the mover used {peak} KiB, the server {} KiB", house.peak_kib());
    assert!(peak < MEMORY, "the mover used {peak} KiB");
    assert!(house.peak_kib() < MEMORY, "the server used {} KiB", house.peak_kib());

    // A second run copies nothing: the journal knows all.
    let (code, out, _) = move_mail(&arguments, &journal);
    assert_eq!(code, 0, "{out}");
    let again: serde_json::Value = serde_json::from_str(out.trim()).unwrap();
    let copied = again["move"]["mailboxes"].as_array().unwrap();
    assert!(copied.iter().all(|m| m["copied"] == 0), "{out}");
    assert_eq!(again["verify"]["differences"], 0, "{out}");

    if installed("mbsync") {
        pull_out(&house, &counts);
    }
}

/// mbsync fetches the whole account into a maildir; its messages must be those of the corpus.
fn pull_out(house: &House, counts: &BTreeMap<String, usize>) {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    std::fs::create_dir(root.join("mail")).unwrap();
    let conf = root.join("mbsyncrc");
    let text = format!(
        "IMAPAccount house\nHost 127.0.0.1\nPort {}\nUser new@{DOMAIN}\nPass {PASSWORD}\n\
         SSLType None\nAuthMechs LOGIN\n\nIMAPStore far\nAccount house\n\n\
         MaildirStore near\nPath {at}/mail/\nInbox {at}/mail/INBOX\nSubFolders Verbatim\n\n\
         Channel all\nFar :far:\nNear :near:\nPatterns *\nCreate Near\nSync Pull\n\
         SyncState *\nCopyArrivalDate yes\n",
        house.port(143),
        at = root.display()
    );
    std::fs::write(&conf, text).unwrap();
    let out = Command::new("mbsync")
        .args(["-c", conf.to_str().unwrap(), "-a"])
        .env("HOME", root)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    // mbsync does not take a message whose header has no end; it names each.
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    let refused = said.lines().filter(|line| line.contains("incomplete header")).count();
    let mut pulled: BTreeMap<[u8; 32], u64> = BTreeMap::new();
    let mut number = 0;
    let mut folders = vec![root.join("mail")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if matches!(folder.file_name().unwrap().to_str(), Some("new" | "cur")) {
                *pulled.entry(digest(&std::fs::read(&path).unwrap())).or_default() += 1;
                number += 1;
            }
        }
    }
    let all: usize = counts.values().sum();
    assert_eq!(number + refused, all, "mbsync pulled another number: {said}");
    let mut missing = 0;
    for message in corpus::generate(7, MESSAGES, MAILBOXES) {
        match pulled.get_mut(&digest(&message.bytes)) {
            Some(left) if *left > 0 => *left -= 1,
            _ => missing += 1,
        }
    }
    assert_eq!(missing, refused, "messages came out changed");
    println!("mbsync pulled {number} messages and refused {refused}");
}

/// A maildir holds line feeds alone, and mbsync adds a header line of its own (X-TUID) for the
/// time of the transfer: content is compared without carriage returns and that line.
fn digest(bytes: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for line in bytes.split_inclusive(|b| *b == b'\n') {
        if line.starts_with(b"X-TUID: ") {
            continue;
        }
        for piece in line.split(|b| *b == b'\r') {
            hasher.update(piece);
        }
    }
    *hasher.finalize().as_bytes()
}

#[test]
fn mig_11_a_move_that_is_cut_off_goes_on_without_losing_or_doubling_a_message() {
    if !installed("dovecot") {
        return;
    }
    let dovecot = Dovecot::start();
    fill(&dovecot, "old", 1_500, MAILBOXES);
    let mut house = House::build();
    house.account("new");
    let old = format!("127.0.0.1:{}", dovecot.port);
    let new = format!("127.0.0.1:{}", house.port(143));
    let name = format!("new@{DOMAIN}");
    let journal = house.base.with_extension("journal");
    let six = [old.as_str(), "old", PASSWORD, &new, &name, PASSWORD];
    // The new server dies in the middle, three times.
    for wait in [60, 120, 180] {
        let mut child = Command::new(house::ANGARIUM)
            .arg("move-imap-mail")
            .args(["--journal", journal.to_str().unwrap(), "--retry", "0"])
            .args(six)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(wait));
        house.kill();
        child.wait().unwrap();
        house.start();
    }
    let mut arguments = vec!["--json", "--verify"];
    arguments.extend(six);
    let (code, out, _) = move_mail(&arguments, &journal);
    assert_eq!(code, 0, "{out}");
    let report: serde_json::Value = serde_json::from_str(out.trim()).unwrap();
    assert_eq!(report["verify"]["differences"], 0, "{out}");
    assert_eq!(report["verify"]["only_at_target"], 0, "{out}");
}
