//! Hostile IMAP clients against the running server, with a memory ceiling and an innocent session
//! that must stay served (reliability: ABU-19 to ABU-24, ABU-26, ABU-27, ABU-29, ABU-30; see also
//! `imap_abuse_extensions.rs`).

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

mod house;

use std::fmt::Write as _;
use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use house::hostile::{Innocent, connect, hear, shout};
use house::{DOMAIN, House, PASSWORD};

/// Most memory the server may have used when all is over, KiB.
const CEILING: u64 = 300 * 1024;

fn login(name: &str) -> String {
    format!("a LOGIN {name}@{DOMAIN} {PASSWORD}\r\n")
}

/// Logs in and says this; everything the server said.
fn say(house: &House, name: &str, text: &[u8]) -> String {
    shout(house, 143, &[login(name).as_bytes(), text].concat())
}

fn check_memory(house: &House) {
    assert!(house.peak_kib() < CEILING, "the server used {} KiB", house.peak_kib());
}

fn message(n: usize) -> String {
    format!("Subject: m{n}\r\nMessage-ID: <m{n}@test.example>\r\n\r\nText {n}\r\n")
}

/// Fills a mailbox with so many small messages.
fn fill(house: &House, name: &str, mailbox: &str, count: usize) {
    let mut imap = house.imap(name);
    let mails: Vec<String> = (0..count).map(message).collect();
    let date = "22-Nov-2026 10:00:00 +0000";
    imap.append_all(mailbox, mails.iter().map(|m| (String::new(), date.to_owned(), m.as_bytes())));
}

#[test]
fn abu_19_many_literals_are_bounded_together() {
    let house = House::build();
    let mut innocent = Innocent::arrive(&house);
    let many = |size: usize, times: usize| {
        let mut text = "b SEARCH".to_owned();
        for _ in 0..times {
            write!(text, " SUBJECT {{{size}+}}\r\n{}", "x".repeat(size)).unwrap();
        }
        text + "\r\nc NOOP\r\n"
    };
    for text in [
        many(1, 50_000),
        many(60_000, 200),
        many(900_000, 4),
        "b LIST {4294967296+}\r\n\"\" *\r\n".to_owned(),
        "b STATUS {10995116277760}\r\n".to_owned(),
    ] {
        let said = say(&house, "innocent", text.as_bytes());
        assert!(
            said.contains("b BAD") || said.contains("b NO") || said.contains("* BYE"),
            "{said}"
        );
        innocent.is_served("literals");
    }
    check_memory(&house);
}

#[test]
fn abu_20_deep_nesting_is_refused_and_costs_nothing() {
    let house = House::build();
    let mut innocent = Innocent::arrive(&house);
    for text in [
        format!("b SEARCH {}ALL{}\r\n", "(".repeat(100_000), ")".repeat(100_000)),
        format!("b SEARCH {}ALL\r\n", "NOT ".repeat(60_000)),
        format!("b SEARCH {}ALL ALL\r\n", "OR ALL ".repeat(30_000)),
        format!("b FETCH 1 (BODY[{}1])\r\n", "1.".repeat(100_000)),
        format!("b FETCH 1 ({}\r\n", "(".repeat(200_000)),
        format!("b LIST ({} \"\" *\r\n", "(".repeat(200_000)),
        format!("b ID ({}\r\n", "\"a\" \"b\" ".repeat(20_000)),
        format!("b STORE 1 +FLAGS ({})\r\n", "k ".repeat(100_000)),
    ] {
        let said = say(&house, "innocent", text.as_bytes());
        assert!(
            said.contains("b BAD") || said.contains("b NO"),
            "{}",
            &said[..said.len().min(400)]
        );
        innocent.is_served("nesting");
    }
    check_memory(&house);
}

#[test]
fn abu_21_names_never_leave_the_account_nor_collide() {
    let house = House::build();
    let mut innocent = Innocent::arrive(&house);
    house.account("eve");
    let mut eve = house.imap("eve");
    let long = "x".repeat(70_000);
    for name in [
        "..",
        "../x",
        "a/../b",
        "/etc/passwd",
        "a//b",
        "~",
        "~innocent",
        "~innocent/x",
        "~nobody/x",
        ".hidden",
        "a/.hidden",
        "x.mbox/y.mdir/..",
        "#root",
        "a\\\\b",
        " lead",
        "trail ",
        "a/ b",
        "CON",
        "a:b",
        "%",
        "*",
        "a*b",
        "&Jjo",
        "&AGE-",
        "&AC8-",
        long.as_str(),
    ] {
        let (_, end) = eve.command(&format!("CREATE \"{name}\""));
        assert!(!end.is_empty());
        innocent.is_served(&name.chars().take(20).collect::<String>());
    }
    // NUL and line ends inside a name.
    for bytes in [&b"b CREATE {3+}\r\na\0b\r\n"[..], b"b CREATE {4+}\r\na\r\nb\r\n"] {
        let said = say(&house, "eve", bytes);
        assert!(said.contains("b BAD") || said.contains("b NO"), "{said}");
    }
    // Whatever was taken is listed once, and what is listed can be selected and removed.
    let lines = eve.ok("LIST \"\" *");
    let mut names: Vec<String> = lines
        .iter()
        .map(|line| String::from_utf8_lossy(line).trim().split("\"/\" ").nth(1).unwrap().to_owned())
        .collect();
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all, "a name is there twice");
    for name in names.iter().rev().filter(|name| *name != "INBOX") {
        assert!(!name.contains("..") && !name.contains('~') && !name.contains('\\'), "{name}");
        eve.command(&format!("DELETE {name}"));
    }
    assert_eq!(eve.ok("LIST \"\" *").len(), 1, "everything could be removed");
    // Nothing of it became a file.
    let at = std::fs::read_dir(house.base.parent().unwrap()).unwrap();
    let files: Vec<_> = at.map(|entry| entry.unwrap().file_name()).collect();
    assert!(files.len() <= 3, "{files:?}");
    check_memory(&house);
}

#[test]
fn abu_22_trees_and_renames_are_bounded() {
    let house = House::build();
    let mut innocent = Innocent::arrive(&house);
    house.account("eve");
    let mut eve = house.imap("eve");
    let deep = vec!["d"; 1000].join("/");
    let (_, end) = eve.command(&format!("CREATE {deep}"));
    assert!(end.starts_with("NO"), "{end}");
    let fair = vec!["d"; 60].join("/");
    eve.ok(&format!("CREATE {fair}"));
    let (_, end) = eve.command("RENAME d d/d/d/d/inside");
    assert!(end.starts_with("NO"), "{end}");
    let (_, end) = eve.command("DELETE INBOX");
    assert!(end.starts_with("NO"), "{end}");
    // A mailbox removed under a session that has it selected: the session ends or goes on empty,
    // but neither hangs nor sees another's mail.
    eve.ok("CREATE d");
    fill(&house, "eve", "d", 5);
    let mut other = house.imap("eve");
    other.ok("SELECT d");
    eve.ok("RENAME d e");
    eve.ok(&format!("DELETE e/{}", &fair[2..]));
    other.send(b"x FETCH 1:* UID\r\n");
    let first = String::from_utf8_lossy(&other.line()).into_owned();
    assert!(first.starts_with("* 1 FETCH") || first.starts_with("x "), "{first}");
    // INBOX renamed away leaves an INBOX.
    fill(&house, "eve", "INBOX", 3);
    eve.ok("RENAME INBOX old-inbox");
    let text =
        String::from_utf8_lossy(&eve.ok("STATUS old-inbox (MESSAGES)").concat()).into_owned();
    assert!(text.contains("MESSAGES 3"), "{text}");
    let text = String::from_utf8_lossy(&eve.ok("STATUS INBOX (MESSAGES)").concat()).into_owned();
    assert!(text.contains("MESSAGES 0"), "{text}");
    innocent.is_served("trees");
    for n in 0..2_000 {
        eve.ok(&format!("CREATE many/m{n}"));
    }
    innocent.is_served("2,000 mailboxes");
    let begun = Instant::now();
    assert_eq!(eve.ok("LIST \"\" many/%").len(), 2_000);
    eve.ok("RENAME many few");
    eve.ok("LIST \"\" few/*");
    assert!(begun.elapsed() < Duration::from_secs(10));
    check_memory(&house);
}

#[test]
fn abu_23_an_append_that_is_cut_or_lies_leaves_nothing() {
    let house = House::build();
    let mut innocent = Innocent::arrive(&house);
    let count = |house: &House| {
        let mut imap = house.imap("innocent");
        String::from_utf8_lossy(&imap.ok("STATUS INBOX (MESSAGES)").concat()).trim().to_owned()
    };
    for text in [
        b"b APPEND INBOX {1000+}\r\nSubject: cut\r\n\r\n".to_vec(),
        b"b APPEND INBOX {20+}\r\nSubject: a\r\n\r\n12345678 (\\Seen) {30+}\r\nSubject: cut"
            .to_vec(),
        b"b APPEND INBOX {10+}\r\nab\0cdefghi\r\n".to_vec(),
        b"b APPEND INBOX {5+}\r\nSubject: longer than said\r\n\r\nx\r\n".to_vec(),
        b"b APPEND nowhere {5+}\r\nab\r\nc\r\n".to_vec(),
        b"b APPEND INBOX (\\Seen {5+}\r\nab\r\nc\r\n".to_vec(),
        b"b APPEND INBOX \"99-Foo-2026 99:99:99 +9999\" {5+}\r\nab\r\nc\r\n".to_vec(),
    ] {
        let said = say(&house, "innocent", &text);
        assert!(!said.contains("APPENDUID"), "{said}");
        innocent.is_served("a broken APPEND");
    }
    assert_eq!(count(&house), "* STATUS INBOX (MESSAGES 0)");
    // A header of 64 MiB is one message like any other; asking for pieces of it stays cheap.
    let giant = [b"X-A: ".to_vec(), vec![b'x'; 64 << 20], b"\r\n\r\nbody\r\n".to_vec()].concat();
    let mut text = format!("b APPEND INBOX {{{}+}}\r\n", giant.len()).into_bytes();
    text.extend_from_slice(&giant);
    text.extend_from_slice(
        b"\r\nc SELECT INBOX\r\nd FETCH 1 (RFC822.SIZE ENVELOPE BODYSTRUCTURE \
          BODY.PEEK[HEADER.FIELDS (SUBJECT)])\r\n",
    );
    let said = say(&house, "innocent", &text);
    assert!(said.contains("b OK") && said.contains("d OK"), "{}", &said[..said.len().min(600)]);
    innocent.is_served("a giant header");
    check_memory(&house);
}

#[test]
fn abu_24_a_message_being_moved_when_the_power_fails_is_in_exactly_one_mailbox() {
    const MESSAGES: usize = 400;
    let mut house = House::build();
    house.account("joe");
    house.imap("joe").ok("CREATE there");
    fill(&house, "joe", "INBOX", MESSAGES);
    for round in 0..6_u64 {
        let (from, to) = if round % 2 == 0 { ("INBOX", "there") } else { ("there", "INBOX") };
        let mut stream = connect(&house, 143);
        hear(&mut stream, "\r\n");
        let mut text = format!("{}s SELECT {from}\r\n", login("joe"));
        for _ in 0..MESSAGES / 20 {
            write!(text, "m MOVE 1:20 {to}\r\n").unwrap();
        }
        stream.write_all(text.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(30 + 17 * round));
        house.kill();
        house.start();
        let mut seen = Vec::new();
        let mut imap = house.imap("joe");
        for mailbox in ["INBOX", "there"] {
            imap.ok(&format!("EXAMINE {mailbox}"));
            for line in imap.ok("UID FETCH 1:* BODY.PEEK[HEADER.FIELDS (SUBJECT)]") {
                if line.windows(4).any(|w| w == b"BODY") {
                    seen.push(String::from_utf8_lossy(house::Imap::literal(&line)).into_owned());
                }
            }
        }
        seen.sort();
        let all = seen.len();
        seen.dedup();
        assert_eq!((all, seen.len()), (MESSAGES, MESSAGES), "round {round}");
        // The next round begins with all of them on one side.
        for (from, to) in [("INBOX", "there"), ("there", "INBOX")] {
            if (round % 2 == 0) == (to == "there") {
                imap.ok(&format!("SELECT {from}"));
                imap.command(&format!("MOVE 1:* {to}"));
            }
        }
    }
}

#[test]
fn abu_26_forged_sequences_cost_no_long_loop() {
    let house = House::build();
    let mut innocent = Innocent::arrive(&house);
    fill(&house, "innocent", "INBOX", 50);
    let begun = Instant::now();
    for text in [
        "b ENABLE QRESYNC\r\nc SELECT INBOX (QRESYNC (1 1 1:4294967295 (1:4294967295 1:4294967295)))",
        "b ENABLE QRESYNC\r\nc SELECT INBOX (QRESYNC (4294967295 9223372036854775807 1:4294967295))",
        "b SELECT INBOX\r\nc UID FETCH 1:4294967295 (FLAGS) (CHANGEDSINCE 9223372036854775807)",
        "b SELECT INBOX\r\nc UID STORE 1:4294967295 (UNCHANGEDSINCE 0) +FLAGS (\\Seen)",
        "b SELECT INBOX\r\nc UID SEARCH UID 4294967295:1 MODSEQ 9223372036854775807",
        "b SELECT INBOX\r\nc UID EXPUNGE 4294967290:4294967295",
        "b SELECT INBOX\r\nc FETCH 4294967295 FLAGS",
        "b SELECT INBOX\r\nc UID FETCH 0:5 FLAGS",
        "b SELECT INBOX (QRESYNC (1 99999999999999999999))\r\nc NOOP",
    ] {
        let said = say(&house, "innocent", format!("{text}\r\nz NOOP\r\n").as_bytes());
        assert!(said.contains("z OK"), "{text}: {said}");
    }
    innocent.is_served("forged sequences");
    assert!(begun.elapsed() < Duration::from_secs(20));
    check_memory(&house);
}

#[test]
fn abu_27_searches_of_many_keys_end_and_nobody_waits_for_them() {
    let house = House::build();
    let mut innocent = Innocent::arrive(&house);
    fill(&house, "innocent", "INBOX", 2_000);
    let references = "<r@x> ".repeat(10_000);
    let giant = format!("Subject: giant\r\nReferences: {references}\r\n\r\nx\r\n");
    let mut imap = house.imap("innocent");
    imap.append_all(
        "INBOX",
        (0..5).map(|_| (String::new(), "22-Nov-2026 10:00:00 +0000".to_owned(), giant.as_bytes())),
    );
    for text in [
        format!("c SEARCH {}ALL", "TEXT abcdef ".repeat(2_000)),
        format!("c SEARCH {}SEEN", "OR SUBJECT nothing ".repeat(90)),
        format!("c SEARCH TEXT \"{}\"", "(a+)+$".repeat(2_000)),
        format!("c SEARCH CHARSET {} ALL", "x".repeat(5_000)),
        "c SEARCH CHARSET UTF-7 TEXT +AOQ-".to_owned(),
        format!("c SEARCH {}", "HEADER x y ".repeat(3_000)),
        "c SORT (SUBJECT FROM TO CC DATE SIZE ARRIVAL) UTF-8 ALL".to_owned(),
        format!("c SORT ({}) UTF-8 ALL", "REVERSE SUBJECT ".repeat(500).trim()),
        "c THREAD REFERENCES UTF-8 ALL".to_owned(),
        "c THREAD ORDEREDSUBJECT UTF-8 TEXT giant".to_owned(),
    ] {
        let begun = Instant::now();
        let text = format!("b SELECT INBOX\r\n{text}\r\nz NOOP\r\n");
        let said = say(&house, "innocent", text.as_bytes());
        assert!(said.contains("z OK"), "{}", &text[..text.len().min(80)]);
        assert!(begun.elapsed() < Duration::from_secs(30), "{}", &text[..text.len().min(80)]);
        innocent.is_served("a search");
    }
    check_memory(&house);
}

#[test]
fn abu_29_pipelined_commands_are_carried_out_in_their_order() {
    let house = House::build();
    house.account("joe");
    fill(&house, "joe", "INBOX", 4);
    let said = say(
        &house,
        "joe",
        b"b SELECT INBOX\r\nc STORE 1:2 +FLAGS.SILENT (\\Deleted)\r\nd EXPUNGE\r\n\
          e FETCH 1 UID\r\nf STORE 1 +FLAGS (\\Seen)\r\ng FETCH 1 FLAGS\r\n",
    );
    let at = |text: &str| said.find(text).unwrap_or_else(|| panic!("{text} in {said}"));
    assert!(at("c OK") < at("EXPUNGE") && at("d OK") < at("* 1 FETCH (UID 3)"), "{said}");
    assert!(at("e OK") < at("f OK") && said.contains("\\Seen"), "{said}");
}

#[test]
fn abu_30_two_thousand_waiting_clients_cost_little_and_all_hear_of_new_mail() {
    const CLIENTS: usize = 2_000;
    let house = House::build();
    house.account("joe");
    let (code, _) = house.angarium(&[
        "cli",
        &format!("UpdateModule IMAP {{MaxSessionsPerAccount={};}}", CLIENTS + 10),
    ]);
    assert_eq!(code, 0);
    house.imap("joe").ok("NOOP");
    let before = house.peak_kib();
    let mut idlers: Vec<TcpStream> = Vec::new();
    for _ in 0..CLIENTS {
        let mut stream = connect(&house, 143);
        let text = format!("{}b SELECT INBOX\r\nc IDLE\r\n", login("joe"));
        stream.write_all(text.as_bytes()).unwrap();
        idlers.push(stream);
    }
    for stream in &mut idlers {
        hear(stream, "\r\n+ ");
    }
    let used = house.peak_kib() - before;
    assert!(used < CLIENTS as u64 * 48, "{used} KiB for {CLIENTS} clients");
    fill(&house, "joe", "INBOX", 1);
    for stream in &mut idlers {
        hear(stream, "* 1 EXISTS\r\n");
    }
    // Silence after it: none is woken for nothing, and a new client is served at once.
    let begun = Instant::now();
    house.imap("joe").ok("NOOP");
    assert!(begun.elapsed() < Duration::from_secs(2));
}
