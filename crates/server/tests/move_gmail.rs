//! A stand-in that talks as Gmail does, with labels and views: every message of it comes once, with
//! its labels as mailboxes or as keywords.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

mod house;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};

use house::{DOMAIN, House, PASSWORD};

/// Messages: UID in "All Mail", subject, labels as Gmail sends them.
const MAIL: &[(u32, &str, &[&str])] = &[
    (11, "inbox", &["\\Inbox"]),
    (12, "inbox and work", &["\\Inbox", "\"Work/Project X\""]),
    (13, "work and more", &["\"Work/Project X\"", "Gr&APYA3w-e", "\\Important"]),
    (14, "sent", &["\\Sent"]),
    (15, "archived", &[]),
    (16, "starred only", &["\\Starred"]),
];

/// Mailboxes: attributes, name, and the label that puts a message there.
const BOXES: &[(&str, &str, &str)] = &[
    ("\\HasNoChildren", "INBOX", "\\Inbox"),
    ("\\HasChildren \\Noselect", "[Gmail]", ""),
    ("\\All \\HasNoChildren", "[Gmail]/All Mail", "*"),
    ("\\Drafts \\HasNoChildren", "[Gmail]/Drafts", "\\Draft"),
    ("\\HasNoChildren \\Sent", "[Gmail]/Sent Mail", "\\Sent"),
    ("\\Flagged \\HasNoChildren", "[Gmail]/Starred", "\\Starred"),
    ("\\HasNoChildren \\Important", "[Gmail]/Important", "\\Important"),
    ("\\HasNoChildren \\Junk", "[Gmail]/Spam", "\\Spam"),
    ("\\HasNoChildren \\Trash", "[Gmail]/Trash", "\\Trash"),
    ("\\HasChildren", "Work", "Work"),
    ("\\HasNoChildren", "Work/Project X", "\"Work/Project X\""),
    ("\\HasNoChildren", "Gr&APYA3w-e", "Gr&APYA3w-e"),
];

fn letter(subject: &str) -> String {
    format!("Subject: {subject}\r\nMessage-ID: <{}@g>\r\n\r\nText\r\n", subject.replace(' ', "."))
}

/// The messages of a mailbox.
fn inside(name: &str) -> Vec<&'static (u32, &'static str, &'static [&'static str])> {
    let label = BOXES.iter().find(|(_, n, _)| *n == name).map_or("", |(_, _, label)| *label);
    MAIL.iter().filter(|(_, _, labels)| label == "*" || labels.contains(&label)).collect()
}

fn gmail() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            std::thread::spawn(move || drop(talk(stream)));
        }
    });
    port
}

const CAPABILITIES: &str = "IMAP4rev1 UNSELECT LITERAL+ IDLE NAMESPACE QUOTA ID XLIST CHILDREN \
                            X-GM-EXT-1 UIDPLUS ENABLE MOVE CONDSTORE ESEARCH SPECIAL-USE";

fn talk(stream: TcpStream) -> std::io::Result<()> {
    let mut write = stream.try_clone()?;
    let mut read = BufReader::new(stream);
    let mut open = String::new();
    write.write_all(b"* OK Gimap ready for requests\r\n")?;
    loop {
        let mut line = String::new();
        if read.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let (tag, command) = line.trim_end().split_once(' ').unwrap_or((line.trim_end(), ""));
        let upper = command.to_ascii_uppercase();
        let quoted = command.split('"').nth(1).unwrap_or_default().to_owned();
        let verb = upper.split(' ').next().unwrap_or_default();
        let mut out = String::new();
        match verb {
            "CAPABILITY" => out.push_str(&format!("* CAPABILITY {CAPABILITIES}\r\n")),
            "NAMESPACE" => out.push_str("* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n"),
            "ID" => out.push_str("* ID (\"name\" \"GImap\" \"vendor\" \"Google, Inc.\")\r\n"),
            "LIST" | "LSUB" => {
                for (attributes, name, _) in BOXES {
                    out.push_str(&format!("* {verb} ({attributes}) \"/\" \"{name}\"\r\n"));
                }
            }
            "STATUS" => {
                let count = inside(&quoted).len();
                out.push_str(&format!(
                    "* STATUS \"{quoted}\" (MESSAGES {count} UIDNEXT 100 UIDVALIDITY 5 \
                     HIGHESTMODSEQ 7)\r\n"
                ));
            }
            "SELECT" | "EXAMINE" => {
                open = quoted;
                out.push_str(&format!(
                    "* {} EXISTS\r\n* OK [UIDVALIDITY 5] x\r\n* OK [UIDNEXT 100] x\r\n",
                    inside(&open).len()
                ));
            }
            "FETCH" | "UID" => fetch(&upper, &open, &mut out),
            "LOGOUT" => {
                write.write_all(format!("* BYE\r\n{tag} OK\r\n").as_bytes())?;
                return Ok(());
            }
            _ => {}
        }
        write.write_all(format!("{out}{tag} OK Success\r\n").as_bytes())?;
    }
}

/// Labels of the system come as quoted strings.
fn spelled(label: &&str) -> String {
    if label.starts_with('\\') { format!("\"\\{label}\"") } else { (*label).to_owned() }
}

fn fetch(upper: &str, open: &str, out: &mut String) {
    for (n, (uid, subject, labels)) in inside(open).into_iter().enumerate() {
        let seq = n + 1;
        let text = letter(subject);
        if upper.starts_with("UID") {
            let set = upper.split(' ').nth(2).unwrap_or_default();
            let asked = set.split(',').any(|part| {
                let (low, high) = part.split_once(':').unwrap_or((part, part));
                let high = if high == "*" { u32::MAX } else { high.parse().unwrap() };
                (low.parse().unwrap()..=high).contains(uid)
            });
            if !asked {
                continue;
            }
        }
        let mut items = format!("UID {uid}");
        if upper.contains("X-GM-LABELS") {
            // Where a message is seen, the label of that place is not told.
            let own = BOXES.iter().find(|(_, name, _)| *name == open).map_or("", |b| b.2);
            let told: Vec<String> = labels.iter().filter(|l| **l != own).map(spelled).collect();
            items.push_str(&format!(" X-GM-LABELS ({})", told.join(" ")));
        }
        if upper.contains("RFC822.SIZE") {
            items.push_str(&format!(
                " FLAGS (\\Seen) INTERNALDATE \"01-Mar-2021 12:00:00 +0000\" RFC822.SIZE {}",
                text.len()
            ));
        }
        if upper.contains("BODY.PEEK[]") {
            items.push_str(&format!(" BODY[] {{{}}}\r\n{text}", text.len()));
        }
        out.push_str(&format!("* {seq} FETCH ({items})\r\n"));
    }
}

fn moved(house: &House, port: u16, name: &str, flags: &[&str]) -> serde_json::Value {
    house.account(name);
    let full = format!("{name}@{DOMAIN}");
    let out = Command::new("timeout")
        .args(["-k", "5", "120", house::ANGARIUM, "move-imap-mail", "--noJournal", "--json"])
        .args(["--verify", "--preset", "gmail"])
        .args(flags)
        .args([&format!("127.0.0.1:{port}"), "joe@gmail.example", PASSWORD])
        .args([&format!("127.0.0.1:{}", house.port(143)), &full, PASSWORD])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let error = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(0), "{text}{error}");
    let report: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
    assert_eq!(report["verify"]["differences"], 0, "{report}");
    report
}

/// Subject and flags of each message, by mailbox.
fn found(house: &House, name: &str) -> BTreeMap<String, Vec<String>> {
    let mut imap = house.imap(name);
    let mut all = BTreeMap::new();
    for line in imap.ok("LIST \"\" \"*\"") {
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        let name = line.split_once("\"/\" ").unwrap().1.trim_matches('"').to_owned();
        if imap.command(&format!("EXAMINE \"{name}\"")).1.starts_with("OK") {
            let lines = imap.command("FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])").0;
            let texts: Vec<String> = lines
                .iter()
                .map(|l| String::from_utf8_lossy(l).into_owned())
                .filter(|l| l.contains("Subject:"))
                .collect();
            if !texts.is_empty() {
                all.insert(name, texts);
            }
        }
    }
    all
}

fn subjects(all: &BTreeMap<String, Vec<String>>, name: &str) -> Vec<String> {
    let of = |text: &String| {
        let subject = text.split_once("Subject: ").unwrap().1;
        subject.split("\r\n").next().unwrap().to_owned()
    };
    all.get(name).into_iter().flatten().map(of).collect()
}

#[test]
fn labels_of_gmail_become_mailboxes_and_all_mail_holds_only_the_rest() {
    let house = House::build();
    let report = moved(&house, gmail(), "boxes", &[]);
    let all = found(&house, "boxes");
    assert_eq!(subjects(&all, "INBOX"), ["inbox", "inbox and work"]);
    assert_eq!(subjects(&all, "Work/Project X"), ["inbox and work", "work and more"]);
    assert_eq!(subjects(&all, "Gr&APYA3w-e"), ["work and more"]);
    assert_eq!(subjects(&all, "Sent"), ["sent"]);
    assert_eq!(subjects(&all, "Archive"), ["archived", "starred only"]);
    assert_eq!(all.len(), 5, "{all:?}");
    let archive = report["move"]["mailboxes"].as_array().unwrap().iter();
    let archive = archive.clone().find(|m| m["target"] == "Archive").unwrap();
    assert_eq!((&archive["found"], &archive["elsewhere"]), (&6.into(), &4.into()), "{report}");
    assert_eq!(report["move"]["skipped"].as_array().unwrap().len(), 3, "{report}");
    assert_eq!(report["move"]["servers"]["source"]["product"], "GImap");
}

#[test]
fn labels_of_gmail_become_keywords_of_messages_that_come_once() {
    let house = House::build();
    moved(&house, gmail(), "words", &["--gmailLabels", "keywords"]);
    let all = found(&house, "words");
    assert_eq!(subjects(&all, "INBOX"), ["inbox", "inbox and work"]);
    assert_eq!(subjects(&all, "Archive"), ["work and more", "archived", "starred only"]);
    assert!(!all.contains_key("Work/Project X"));
    assert!(all["INBOX"][1].contains("Work/Project_X"), "{all:?}");
    let archived = &all["Archive"][0];
    for keyword in ["Work/Project_X", "Gr&APYA3w-e", "$Important"] {
        assert!(archived.contains(keyword), "{keyword}: {archived}");
    }
    let once: usize = all.values().map(Vec::len).sum();
    assert_eq!(once, MAIL.len());
}
