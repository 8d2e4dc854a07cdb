//! MIG-01 to MIG-05 with POP servers of two kinds: a Dovecot moved into this server by SMTP, and
//! this server moved into a Dovecot by LMTP.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

mod house;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use house::old_dovecot::OldDovecot;
use house::{ANGARIUM, DOMAIN, House, Imap, PASSWORD};

/// Runs `angarium move pop` and waits; exit code, standard output, standard error.
fn move_pop(state: &Path, words: &[&str]) -> (i32, String, String) {
    let out = Command::new("timeout")
        .args(["-k", "5", "120", ANGARIUM, "move", "pop"])
        .args(words)
        .env("XDG_STATE_HOME", state)
        .env("HOME", state)
        .env("ANGARIUM_OLD_PASSWORD", PASSWORD)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |octets: Vec<u8>| String::from_utf8(octets).unwrap();
    (out.status.code().unwrap_or(-1), text(out.stdout), text(out.stderr))
}

fn with_crlf(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for byte in text {
        if *byte == b'\n' {
            out.push(b'\r');
        }
        out.push(*byte);
    }
    out
}

/// Odd letters, lines ending with LF as they lie in a maildir.
fn letters() -> Vec<Vec<u8>> {
    let long = "x".repeat(5_000);
    vec![
        b"From: a@b.example\nSubject: dots\n\n.\n..\n.x\n\n.\n".to_vec(),
        b"From: a@b.example\nSubject: latin\n\nGr\xfc\xdfe, \x80\x81\xff\n".to_vec(),
        format!("From: a@b.example\nSubject: long\n\n{long}\nend\n").into_bytes(),
        "From: a@b.example\nSubject: Grüße\n\nin the header, too\n".into(),
        b"no header at all\n".to_vec(),
        b"From: a@b.example\nSubject: empty\n\n".to_vec(),
    ]
}

#[test]
fn mig_01_to_05_a_dovecot_is_moved_in_by_pop_and_smtp() {
    let Some(old) = OldDovecot::start(&[("joe".into(), PASSWORD.into())]) else { return };
    let letters = letters();
    old.put("joe", "", &letters);
    let house = House::build();
    house.account("joe");
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (format!("127.0.0.1:{}", old.pop), format!("127.0.0.1:{}", house.port(25)));
    let name = format!("joe@{DOMAIN}");
    let five = [from.as_str(), "joe", "-", &to, &name];
    let run = |flags: &[&str]| {
        let words: Vec<&str> = flags.iter().copied().chain(five).collect();
        move_pop(directory.path(), &words)
    };
    let (code, out, err) = run(&["--verbose"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("6 of 6 messages"), "{out}");
    let mut imap = house.imap("joe");
    let arrived = |imap: &mut Imap, count: usize| {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            let told = imap.ok("STATUS INBOX (MESSAGES)");
            let told = String::from_utf8_lossy(&told[0]).into_owned();
            if told.contains(&format!("MESSAGES {count})")) {
                break;
            }
            assert!(Instant::now() < end, "{told}");
            std::thread::sleep(Duration::from_millis(50));
        }
        imap.ok("SELECT INBOX");
        let lines = imap.ok("FETCH 1:* BODY.PEEK[]");
        lines.iter().map(|line| Imap::literal(line).to_vec()).collect::<Vec<_>>()
    };
    let there = arrived(&mut imap, 6);
    for letter in &letters {
        let letter = with_crlf(letter);
        assert!(
            there.iter().any(|found| found.ends_with(&letter)),
            "{} is not there whole",
            String::from_utf8_lossy(&letter)
        );
    }

    // Again: nothing is new. Then one letter more, with a sender of its own, and all deleted.
    let (code, out, _) = run(&["--verbose"]);
    assert_eq!(code, 0);
    assert!(out.contains("0 of 6") && out.contains("6 were there already"), "{out}");
    old.put("joe", "", &[b"Return-Path: <ann@far.example>\nSubject: late\n\nlate\n".to_vec()]);
    let (code, out, err) = run(&["--verbose", "--delete", "--notimeout"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("1 of 7") && out.contains("7 deleted at the old server"), "{out}");
    let there = arrived(&mut imap, 7);
    let late = there.iter().find(|text| text.ends_with(b"\r\nlate\r\n")).unwrap();
    let late = String::from_utf8_lossy(late);
    assert!(late.starts_with("Return-Path: <ann@far.example>"), "{late}");
    let cur = old.mailbox("joe", "").join("cur");
    assert_eq!(std::fs::read_dir(cur).unwrap().count(), 0);

    // A wrong password, an unknown recipient: each has its exit code and its words.
    let wrong = [from.as_str(), "joe", "wrong", &to, &name];
    let (code, _, err) = move_pop(directory.path(), &wrong);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("warning: a password on the command line"), "{err}");
    old.put("joe", "", &[b"Subject: x\n\nx\n".to_vec()]);
    let nobody = format!("nobody@{DOMAIN}");
    let (code, _, err) = move_pop(directory.path(), &[&from, "joe", "-", &to, &nobody]);
    assert_eq!(code, 4, "{err}");
    assert!(err.contains("NOT COPIED") && err.contains("Subject: x"), "{err}");
}

#[test]
fn mig_01_this_server_is_moved_into_a_dovecot_by_pop_and_lmtp() {
    let Some(old) = OldDovecot::start(&[("jim".into(), PASSWORD.into())]) else { return };
    let house = House::build();
    house.account("jim");
    let letters: Vec<Vec<u8>> = letters().iter().map(|letter| with_crlf(letter)).collect();
    let date = "01-Jan-2020 00:00:00 +0000".to_owned();
    house.imap("jim").append_all(
        "INBOX",
        letters.iter().map(|letter| (String::new(), date.clone(), letter.as_slice())),
    );
    let directory = tempfile::tempdir().unwrap();
    let from = format!("127.0.0.1:{}", house.port(110));
    let to = format!("lmtp://127.0.0.1:{}", old.lmtp);
    let name = format!("jim@{DOMAIN}");
    let words = ["--json", from.as_str(), &name, "-", &to, "jim@old.example"];
    let (code, out, err) = move_pop(directory.path(), &words);
    assert_eq!(code, 0, "{out}{err}");
    let report: serde_json::Value = serde_json::from_str(out.trim()).unwrap();
    assert_eq!(report["move"]["copied"], letters.len(), "{out}");
    let new = old.mailbox("jim", "").join("new");
    let there: Vec<Vec<u8>> = std::fs::read_dir(new)
        .unwrap()
        .map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
        .map(|text| with_crlf(&text.iter().copied().filter(|b| *b != b'\r').collect::<Vec<_>>()))
        .collect();
    assert_eq!(there.len(), letters.len());
    for letter in &letters {
        assert!(
            there.iter().any(|found| found.ends_with(letter)),
            "{} is not there whole",
            String::from_utf8_lossy(letter)
        );
    }
}
