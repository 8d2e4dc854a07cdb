//! ABU-65: old servers that lie, flood, cut off and tamper, each played by a script. The mover
//! stops cleanly or goes on, says why, stays small, and puts nothing outside the account.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

mod house;
#[path = "move_sides/scripted.rs"]
mod scripted;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use house::{DOMAIN, House, PASSWORD};
use scripted::{Scripted, Trick};

/// Most memory the mover may use, KiB: its own, what one answer may weigh, and some air.
const MEMORY: u64 = 320 * 1024;
/// Longest run.
const PATIENCE: Duration = Duration::from_secs(50);

/// How a run went.
struct Ran {
    code: i32,
    said: String,
    peak_kib: u64,
}

/// Moves from `source` into an account of the house.
fn run(house: &House, source: &str, account: &str, flags: &[&str]) -> Ran {
    let target = format!("127.0.0.1:{}", house.port(143));
    let name = format!("{account}@{DOMAIN}");
    let mut child = Command::new(house::ANGARIUM)
        .args(["move-imap-mail", "--json", "--noJournal", "--retry", "0"])
        .args(flags)
        .args([source, "joe", "-", &target, &name, "-"])
        .env("ANGARIUM_OLD_PASSWORD", PASSWORD)
        .env("ANGARIUM_NEW_PASSWORD", PASSWORD)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let gather = |mut from: Box<dyn std::io::Read + Send>| {
        std::thread::spawn(move || {
            let mut text = Vec::new();
            let _ = from.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        })
    };
    let out = gather(Box::new(child.stdout.take().unwrap()));
    let errors = gather(Box::new(child.stderr.take().unwrap()));
    let end = Instant::now() + PATIENCE;
    let mut peak_kib = 0;
    let code = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status.code().unwrap_or(-1);
        }
        if let Ok(text) = std::fs::read_to_string(format!("/proc/{}/status", child.id()))
            && let Some(line) = text.lines().find(|l| l.starts_with("VmHWM"))
            && let Some(kib) = line.split_ascii_whitespace().nth(1)
        {
            peak_kib = kib.parse().unwrap_or(peak_kib);
        }
        if Instant::now() > end {
            let _ = child.kill();
            let _ = child.wait();
            break -9;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let said = format!("{}{}", out.join().unwrap(), errors.join().unwrap());
    Ran { code, said, peak_kib }
}

/// Subjects of all messages in a mailbox of the house.
fn subjects(house: &House, account: &str, mailbox: &str) -> Vec<String> {
    let mut imap = house.imap(account);
    imap.ok(&format!("EXAMINE \"{mailbox}\""));
    let lines = imap.ok("FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])");
    let text = String::from_utf8_lossy(&lines.concat()).into_owned();
    text.lines().filter_map(|l| l.strip_prefix("Subject: ")).map(|s| s.trim().to_owned()).collect()
}

/// One run against each trick that must end in failure, said in words.
#[test]
fn abu_65_a_server_that_does_not_keep_the_protocol_is_left_with_words_and_in_little_memory() {
    let house = House::build();
    let cases = [
        (Trick::EndlessGreeting, "more than"),
        (Trick::NotImap, "does not greet like an IMAP server"),
        (Trick::TurnsAway, "too many connections from you"),
        (Trick::FloodAtLogin, "more than"),
        (Trick::EndlessList, "more than"),
        (Trick::HugeListLiteral, "more than"),
        (Trick::ShortLiteral, "closed the connection"),
        (Trick::ByeInMiddle, "shutting down"),
        (Trick::FloodAtFetch, ""),
    ];
    for (n, (trick, words)) in cases.into_iter().enumerate() {
        let account = format!("bad{n}");
        house.account(&account);
        let source = Scripted::start(trick);
        let ran = run(&house, &source.address(), &account, &[]);
        println!("{trick:?}: exit {} with {} KiB: {}", ran.code, ran.peak_kib, ran.said.trim());
        assert!([2, 4, 5].contains(&ran.code), "{trick:?}: exit {}: {}", ran.code, ran.said);
        assert!(ran.said.contains(words), "{trick:?}: {}", ran.said);
        assert!(ran.peak_kib < MEMORY, "{trick:?}: {} KiB", ran.peak_kib);
        assert!(!ran.said.contains('\x1b'), "{trick:?}: control characters: {:?}", ran.said);
        assert!(!ran.said.contains(PASSWORD), "{trick:?}: the password is told: {}", ran.said);
    }
}

/// What can be had from a server that lies about it arrives all the same.
#[test]
fn abu_65_what_a_lying_server_has_arrives_and_what_it_has_not_is_told() {
    let house = House::build();
    for (n, trick) in [
        Trick::Honest,
        Trick::WrongSizes,
        Trick::WrongOrder,
        Trick::ChangingValidity,
        Trick::UnaskedBodies,
    ]
    .into_iter()
    .enumerate()
    {
        let account = format!("lies{n}");
        house.account(&account);
        let source = Scripted::start(trick);
        let ran = run(&house, &source.address(), &account, &[]);
        assert_eq!(ran.code, 0, "{trick:?}: {}", ran.said);
        let mut found = subjects(&house, &account, "INBOX");
        found.sort();
        assert_eq!(found, ["m1", "m2", "m3"], "{trick:?}: {}", ran.said);
        assert!(ran.peak_kib < MEMORY, "{trick:?}: {} KiB", ran.peak_kib);
    }
    // Sizes beyond all numbers: what the new server would never take is listed one by one.
    house.account("absurd");
    let source = Scripted::start(Trick::AbsurdSizes);
    let ran = run(&house, &source.address(), "absurd", &[]);
    assert_eq!(ran.code, 4, "{}", ran.said);
    for uid in [10, 20, 30] {
        assert!(ran.said.contains(&format!("INBOX UID {uid}: ")), "{}", ran.said);
    }
    assert!(ran.said.contains("the new server takes no more than"), "{}", ran.said);
    // Two messages under one UID: one of them can be had, and nothing comes twice.
    house.account("twice");
    let source = Scripted::start(Trick::DuplicateUids);
    let ran = run(&house, &source.address(), "twice", &[]);
    assert!([0, 4].contains(&ran.code), "{}", ran.said);
    let found = subjects(&house, "twice", "INBOX");
    assert!(!found.is_empty() && found.len() <= 3, "{found:?}");
    // A thousand million messages announced and three there.
    house.account("many");
    let source = Scripted::start(Trick::Billion);
    let ran = run(&house, &source.address(), "many", &[]);
    assert!([0, 4, 5].contains(&ran.code), "exit {}: {}", ran.code, ran.said);
    assert!(ran.peak_kib < MEMORY, "{} KiB", ran.peak_kib);
}

/// Names made to lead elsewhere stay in the account, and each is there or told.
#[test]
fn abu_65_names_that_lead_elsewhere_stay_within_the_account() {
    let house = House::build();
    house.account("names");
    house.account("other");
    let before = {
        let mut imap = house.imap("other");
        imap.ok("LIST \"\" \"*\"")
    };
    let source = Scripted::start(Trick::Names);
    let ran = run(&house, &source.address(), "names", &[]);
    assert!([0, 4].contains(&ran.code), "exit {}: {}", ran.code, ran.said);
    assert!(!ran.said.contains('\x1b') && !ran.said.contains('\0'), "{:?}", ran.said);
    let mut imap = house.imap("other");
    assert_eq!(imap.ok("LIST \"\" \"*\""), before, "something came into another account");
    let mut imap = house.imap("names");
    let listed = String::from_utf8_lossy(&imap.ok("LIST \"\" \"*\"").concat()).into_owned();
    assert!(!listed.contains("\"/\" \"/") && !listed.contains("\"~"), "{listed}");
    let escaped = house.base.parent().unwrap().join("escaped");
    assert!(!escaped.exists(), "a name led out of the base directory");
}

/// Somebody on the way takes TLS out of what the server offers, or puts words in. The address is
/// written so that it does not count as the loopback interface.
#[test]
fn abu_65_tls_that_is_taken_away_or_tampered_with_ends_the_move_before_the_password() {
    let house = House::build();
    house.account("tls");
    for (trick, flags, words) in [
        (Trick::Honest, &[][..], "it offers no TLS"),
        (Trick::Preauth, &[][..], "PREAUTH"),
        (Trick::InjectedAfterStartTls, &[][..], "tampers"),
        (Trick::RefusesStartTls, &[][..], "refuses STARTTLS"),
        (Trick::Honest, &["--starttls1"][..], "refuses STARTTLS"),
    ] {
        let source = Scripted::start(trick);
        let address = format!("127.1:{}", source.port());
        let ran = run(&house, &address, "tls", flags);
        assert_eq!(ran.code, 2, "{trick:?}: {}", ran.said);
        assert!(ran.said.contains(words), "{trick:?}: {}", ran.said);
        assert!(!source.heard().contains(PASSWORD), "{trick:?}: the password went over the wire");
    }
    let source = Scripted::start(Trick::Honest);
    let ran = run(&house, &format!("127.1:{}", source.port()), "tls", &["--notls1"]);
    assert_eq!(ran.code, 0, "{}", ran.said);
}
