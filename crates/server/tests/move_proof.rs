//! The proof of a move, live: a preview that changes nothing, manifests that can be compared
//! later, differences that are found and mended, and the report on paper.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

mod house;

use std::process::{Command, Stdio};

use house::{DOMAIN, House, Imap, PASSWORD};

const DATE: &str = "01-Mar-2021 12:00:00 +0000";

fn letter(subject: &str) -> Vec<u8> {
    format!("Subject: {subject}\r\nMessage-ID: <{subject}@b.example>\r\n\r\nText of {subject}\r\n")
        .into_bytes()
}

fn append(imap: &mut Imap, name: &str, subjects: &[&str], flags: &str) {
    let texts: Vec<Vec<u8>> = subjects.iter().map(|s| letter(s)).collect();
    imap.append_all(name, texts.iter().map(|t| (flags.to_owned(), DATE.to_owned(), t.as_slice())));
}

/// Moves between two accounts of one house; exit code, standard output, standard error.
fn run(house: &House, flags: &[&str]) -> (i32, String, String) {
    let flags: Vec<&str> = ["--noJournal"].iter().chain(flags).copied().collect();
    run_with(house, &flags)
}

fn run_with(house: &House, flags: &[&str]) -> (i32, String, String) {
    let server = format!("127.0.0.1:{}", house.port(143));
    let (old, new) = (format!("old@{DOMAIN}"), format!("new@{DOMAIN}"));
    let out = Command::new("timeout")
        .args(["-k", "5", "120", house::ANGARIUM, "move-imap-mail"])
        .args(flags)
        .args([&server, &old, PASSWORD, &server, &new, PASSWORD])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (out.status.code().unwrap_or(-1), text(&out.stdout), text(&out.stderr))
}

fn json(house: &House, flags: &[&str]) -> (i32, serde_json::Value) {
    let flags: Vec<&str> = flags.iter().copied().chain(["--json"]).collect();
    json_of(run(house, &flags))
}

fn json_of((code, out, error): (i32, String, String)) -> (i32, serde_json::Value) {
    (code, serde_json::from_str(out.trim()).unwrap_or_else(|e| panic!("{e}: {out}{error}")))
}

fn filled() -> House {
    let house = House::build();
    house.account("old");
    house.account("new");
    let mut imap = house.imap("old");
    append(&mut imap, "INBOX", &["1", "2", "3"], "\\Seen");
    imap.ok("CREATE Arbeit");
    imap.ok("SUBSCRIBE Arbeit");
    append(&mut imap, "Arbeit", &["4", "4"], "");
    house
}

#[test]
fn a_preview_tells_what_would_happen_and_changes_nothing() {
    let house = filled();
    let (code, out, error) =
        run(&house, &["--plan", "--renameMailbox", "Arbeit", "Work", "--skipMailbox", "Mist"]);
    assert_eq!(code, 0, "{out}{error}");
    for words in [
        "Arbeit -> Work: 2 messages",
        "renamed by --renameMailbox",
        "INBOX: 3 messages",
        "--skipMailbox Mist: there is no such mailbox",
        "nothing was changed",
    ] {
        assert!(out.contains(words), "{words}: {out}");
    }
    let (_, preview) = json(&house, &["--plan"]);
    assert_eq!((&preview["messages"], &preview["subscriptions"]), (&5.into(), &1.into()));
    assert!(preview["mailboxes"][0]["octets"].as_u64().unwrap() > 50, "{preview}");
    let mut imap = house.imap("new");
    assert_eq!(imap.ok("LIST \"\" \"*\"").len(), 1, "only INBOX is there");
}

#[test]
fn manifests_prove_a_move_and_differences_are_named_and_mended() {
    let house = filled();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (m1, m2) = (path("old.manifest"), path("new.manifest"));
    let keep = ["--manifest1", &m1, "--manifest2", &m2];
    let (code, report) = json(&house, &keep);
    assert_eq!((code, &report["verify"]["differences"]), (0, &0.into()), "{report}");
    assert_eq!(report["verify"]["messages"], 5);
    let sums = report["verify"]["manifests"].as_array().unwrap();
    let seen = Command::new("sha256sum").arg(&m1).output().unwrap().stdout;
    assert!(String::from_utf8(seen).unwrap().starts_with(sums[0].as_str().unwrap()));
    let text = std::fs::read_to_string(&m1).unwrap();
    assert!(text.starts_with("angarium-manifest\t1\tcontent\n") && text.ends_with("end\t5\n"));
    let whole = Command::new("stat").args(["-c", "%a", &m1]).output().unwrap().stdout;
    assert_eq!(whole, b"600\n");

    // One lost, one with other flags, one with another date, one of two equal ones lost, one more.
    let mut imap = house.imap("new");
    imap.ok("SELECT INBOX");
    imap.ok("STORE 1 +FLAGS.SILENT (\\Deleted)");
    imap.ok("EXPUNGE");
    imap.ok("STORE 1 -FLAGS.SILENT (\\Seen)");
    imap.ok("STORE 2 +FLAGS.SILENT (\\Deleted)");
    imap.ok("EXPUNGE");
    let text = letter("3");
    let date = "05-May-2025 05:05:05 +0000".to_owned();
    imap.append_all("INBOX", [("\\Seen".to_owned(), date, text.as_slice())].into_iter());
    append(&mut imap, "INBOX", &["newcomer"], "");
    imap.ok("SELECT Arbeit");
    imap.ok("STORE 1 +FLAGS.SILENT (\\Deleted)");
    imap.ok("EXPUNGE");
    for quick in [&["--verifyOnly"][..], &["--verifyOnly", "--verifyQuick"]] {
        let (code, report) = json(&house, quick);
        let verify = &report["verify"];
        assert_eq!((code, &verify["differences"]), (4, &4.into()), "{quick:?} {report}");
        assert_eq!((&verify["missing"], &verify["only_at_target"]), (&2.into(), &1.into()));
    }
    let (code, report) = json(&house, &["--verifyOnly", "--repair"]);
    let verify = &report["verify"];
    assert_eq!((code, &verify["differences"]), (0, &0.into()), "{report}");
    let repaired = &verify["repaired"];
    assert_eq!(
        (&repaired["copied"], &repaired["flags"], &repaired["dates"]),
        (&2.into(), &1.into(), &1.into()),
        "{report}"
    );
    let (code, report) = json(&house, &["--verifyOnly"]);
    assert_eq!((code, &report["verify"]["differences"]), (0, &0.into()), "{report}");
    assert_eq!(report["verify"]["only_at_target"], 1);
}

#[test]
fn what_is_mended_is_in_the_journal_and_does_not_come_twice() {
    let house = filled();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let journal = ["--journal", path.to_str().unwrap()];
    let with = |more: &[&str]| {
        let flags: Vec<&str> = journal.iter().chain(more).copied().collect();
        json_of(run_with(&house, &[&flags[..], &["--json"]].concat()))
    };
    assert_eq!(with(&[]).0, 0);
    append(&mut house.imap("old"), "INBOX", &["late"], "");
    let (code, report) = with(&["--verifyOnly", "--repair"]);
    assert_eq!((code, &report["verify"]["repaired"]["copied"]), (0, &1.into()), "{report}");
    let (code, report) = with(&["--verify"]);
    let copied = report["move"]["mailboxes"].as_array().unwrap();
    assert!(code == 0 && copied.iter().all(|m| m["copied"] == 0), "{report}");
    assert_eq!(report["verify"]["differences"], 0, "{report}");
}

/// Lines of standard output until one holds these words; sends a signal then and waits for the end.
fn interrupted_at(house: &House, flags: &[&str], words: &str) -> (i32, String, String) {
    use std::io::{BufRead as _, BufReader, Read as _};
    let server = format!("127.0.0.1:{}", house.port(143));
    let (old, new) = (format!("old@{DOMAIN}"), format!("new@{DOMAIN}"));
    let mut child = Command::new("timeout")
        .args(["--foreground", "-k", "5", "120", house::ANGARIUM, "move-imap-mail", "--verbose"])
        .args(flags)
        .args([&server, &old, PASSWORD, &server, &new, PASSWORD])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut said = String::new();
    while !said.contains(words) {
        assert!(out.read_line(&mut said).unwrap() > 0, "{words} is not said: {said}");
    }
    let _ = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    out.read_to_string(&mut said).unwrap();
    let mut error = String::new();
    child.stderr.take().unwrap().read_to_string(&mut error).unwrap();
    (child.wait().unwrap().code().unwrap_or(-1), said, error)
}

#[test]
fn a_comparison_that_is_interrupted_ends_without_a_verdict() {
    let house = filled();
    let mut imap = house.imap("old");
    let text = letter("many");
    let date = DATE.to_owned();
    let many = (0..6_000).map(|_| (String::new(), date.clone(), text.as_slice()));
    imap.append_all("INBOX", many);
    let (code, out, error) =
        interrupted_at(&house, &["--noJournal", "--verifyOnly"], "comparing both sides");
    assert_eq!(code, 130, "{out}{error}");
    assert!(error.contains("the comparison was interrupted"), "{out}{error}");
    assert!(!out.contains("DIFFERENT"), "half a comparison tells nothing: {out}");
}

#[test]
fn the_report_is_written_as_text_json_and_a_page_for_paper() {
    let house = filled();
    // A name that would be markup.
    let mut imap = house.imap("old");
    imap.ok("CREATE \"<b>bold\"");
    append(&mut imap, "<b>bold", &["5"], "");
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (text, json, html) = (path("r.txt"), path("r.json"), path("r.html"));
    let flags = ["--verify", "--reportText", &text, "--reportJson", &json, "--reportHtml", &html];
    let (code, out, error) = run(&house, &flags);
    assert_eq!(code, 0, "{out}{error}");
    let read = |path: &str| std::fs::read_to_string(path).unwrap();
    assert!(read(&text).contains("1 accounts") && read(&text).contains("6 messages"));
    assert!(read(&text).contains("the old server is Angarium"), "{}", read(&text));
    let report: serde_json::Value = serde_json::from_str(&read(&json)).unwrap();
    assert_eq!(report["accounts"][0]["verified"]["differences"], 0);
    let page = read(&html);
    assert!(page.contains("&lt;b&gt;bold") && !page.contains("<b>bold"), "{page}");
    assert!(page.starts_with("<!DOCTYPE html>") && !page.contains("<script"));
    assert!(!page.contains(PASSWORD) && !read(&text).contains(PASSWORD));
}
