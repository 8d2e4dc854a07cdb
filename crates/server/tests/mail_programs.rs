//! Programs that people read and carry their mail with, at work on the running server: mbsync and
//! offlineimap both ways, interimap between two servers, neomutt, getmail, and Python's imapclient
//! (IMAP-01, IMAP-02, IMAP-06). One that is not installed is said to be skipped.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

mod house;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use house::{DOMAIN, House, Imap, PASSWORD, installed};

/// A letter of its own subject.
fn letter(subject: &str) -> Vec<u8> {
    format!(
        "From: Ann <ann@{DOMAIN}>\r\nTo: joe@{DOMAIN}\r\nSubject: {subject}\r\n\
         Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{subject}@test.example>\r\n\r\n\
         The text of {subject}.\r\n"
    )
    .into_bytes()
}

/// Puts letters into a mailbox, subject by subject.
fn put(imap: &mut Imap, mailbox: &str, subjects: &[&str], flags: &str) {
    let letters: Vec<Vec<u8>> = subjects.iter().map(|subject| letter(subject)).collect();
    let date = "22-Nov-2026 10:00:00 +0000";
    imap.append_all(
        mailbox,
        letters.iter().map(|l| (flags.to_owned(), date.to_owned(), l.as_slice())),
    );
}

/// What is in a mailbox: subject and the flags that carry over between programs.
fn contents(imap: &mut Imap, mailbox: &str) -> BTreeMap<String, Vec<String>> {
    imap.ok(&format!("EXAMINE \"{mailbox}\""));
    let lines = imap.ok("UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])");
    let mut all = BTreeMap::new();
    for line in lines.iter().filter(|line| line.windows(6).any(|w| w == b"BODY[H")) {
        let subject = String::from_utf8_lossy(Imap::literal(line)).trim().to_owned();
        let text = String::from_utf8_lossy(line).into_owned();
        let inside = text.split("FLAGS (").nth(1).unwrap().split(')').next().unwrap();
        let mut flags: Vec<String> = inside
            .split_ascii_whitespace()
            .filter(|flag| ["\\Seen", "\\Flagged", "\\Answered"].contains(flag))
            .map(str::to_owned)
            .collect();
        flags.sort();
        let subject = subject.trim_start_matches("Subject: ").to_owned();
        assert!(all.insert(subject, flags).is_none(), "{mailbox} has a letter twice: {text}");
    }
    imap.ok("UNSELECT");
    all
}

fn subjects(imap: &mut Imap, mailbox: &str) -> Vec<String> {
    contents(imap, mailbox).into_keys().collect()
}

/// Runs a program that must succeed, with a home of its own.
fn run(home: &Path, program: &str, arguments: &[&str]) -> Output {
    // A program that waits for ever (for a terminal, for an answer) must not make the whole run wait.
    let out = Command::new("timeout")
        .args(["-k", "5", "180", program])
        .args(arguments)
        .env("HOME", home)
        .env("TERM", "xterm")
        .env("SHELL", "/bin/sh")
        .env_remove("XDG_CONFIG_HOME")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{program} {arguments:?}: {said}");
    out
}

/// The files of a maildir folder.
fn maildir(folder: &Path) -> Vec<PathBuf> {
    ["new", "cur"]
        .iter()
        .flat_map(|part| std::fs::read_dir(folder.join(part)).unwrap())
        .map(|entry| entry.unwrap().path())
        .collect()
}

/// The file of a maildir folder whose letter has this subject.
fn file_of(folder: &Path, subject: &str) -> PathBuf {
    let wanted = format!("Subject: {subject}");
    maildir(folder)
        .into_iter()
        .find(|path| {
            String::from_utf8_lossy(&std::fs::read(path).unwrap())
                .lines()
                .any(|line| line.trim_end() == wanted)
        })
        .unwrap_or_else(|| panic!("{subject} is not in {}", folder.display()))
}

/// Gives a maildir file these flags.
fn mark(path: &Path, flags: &str) {
    let name = path.file_name().unwrap().to_str().unwrap();
    let plain = name.split(":2,").next().unwrap();
    let cur = path.parent().unwrap().parent().unwrap().join("cur");
    std::fs::rename(path, cur.join(format!("{plain}:2,{flags}"))).unwrap();
}

/// A new letter in a maildir folder.
fn deliver(folder: &Path, subject: &str) {
    let text = String::from_utf8(letter(subject)).unwrap().replace("\r\n", "\n");
    std::fs::write(folder.join("new").join(format!("1795300000.{subject}.test")), text).unwrap();
}

/// The same changes on both sides of a maildir that a program keeps equal with the server, and
/// what both must look like after it. `sync` runs the program once.
fn both_ways(house: &House, inbox: &Path, work: &Path, sync: &dyn Fn()) {
    let mut imap = house.imap("joe");
    put(&mut imap, "INBOX", &["one", "two", "three", "four"], "");
    imap.ok("CREATE Work");
    put(&mut imap, "Work", &["five"], "\\Flagged");
    sync();
    assert_eq!(maildir(inbox).len(), 4);
    assert!(file_of(work, "five").to_str().unwrap().ends_with('F'));

    // Here: one is read and a letter is written; there: two is answered, three goes, one comes.
    mark(&file_of(inbox, "one"), "S");
    deliver(work, "six");
    imap.ok("SELECT INBOX");
    imap.ok("STORE 2 +FLAGS (\\Answered)");
    imap.ok("STORE 3 +FLAGS (\\Deleted)");
    imap.ok("EXPUNGE");
    imap.ok("UNSELECT");
    put(&mut imap, "INBOX", &["seven"], "");
    sync();
    let there = contents(&mut imap, "INBOX");
    let flags = |subject: &str| there[subject].clone();
    assert_eq!(there.keys().collect::<Vec<_>>(), ["four", "one", "seven", "two"]);
    assert_eq!(flags("one"), ["\\Seen"]);
    assert_eq!(flags("two"), ["\\Answered"]);
    assert_eq!(subjects(&mut imap, "Work"), ["five", "six"]);
    assert_eq!(maildir(inbox).len(), 4);
    assert!(file_of(inbox, "two").to_str().unwrap().ends_with('R'));
    file_of(inbox, "seven");

    // A letter thrown away here goes there.
    std::fs::remove_file(file_of(inbox, "four")).unwrap();
    sync();
    assert_eq!(subjects(&mut imap, "INBOX"), ["one", "seven", "two"]);
    // And once more: nothing to do, nothing changes.
    sync();
    assert_eq!(subjects(&mut imap, "INBOX"), ["one", "seven", "two"]);
    assert_eq!(maildir(inbox).len(), 3);
}

#[test]
fn imap_01_mbsync_keeps_a_maildir_equal_both_ways() {
    if !installed("mbsync") {
        return;
    }
    let house = House::build();
    house.account("joe");
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    std::fs::create_dir(at.join("mail")).unwrap();
    let text = format!(
        "IMAPAccount house\nHost 127.0.0.1\nPort {}\nUser joe@{DOMAIN}\nPass {PASSWORD}\n\
         SSLType None\nAuthMechs LOGIN\n\nIMAPStore far\nAccount house\n\n\
         MaildirStore near\nPath {at}/mail/\nInbox {at}/mail/INBOX\nSubFolders Verbatim\n\n\
         Channel all\nFar :far:\nNear :near:\nPatterns *\nCreate Both\nExpunge Both\nSync All\n\
         SyncState *\n",
        house.port(143),
        at = at.display()
    );
    let conf = at.join("mbsyncrc");
    std::fs::write(&conf, text).unwrap();
    both_ways(&house, &at.join("mail/INBOX"), &at.join("mail/Work"), &|| {
        run(at, "mbsync", &["-c", conf.to_str().unwrap(), "-a"]);
    });
}

#[test]
fn imap_01_offlineimap_keeps_a_maildir_equal_both_ways() {
    if !installed("offlineimap") {
        return;
    }
    let house = House::build();
    house.account("joe");
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let text = format!(
        "[general]\naccounts = House\nmetadata = {at}/meta\nui = quiet\n\
         [Account House]\nlocalrepository = Near\nremoterepository = Far\n\
         [Repository Near]\ntype = Maildir\nlocalfolders = {at}/mail\n\
         [Repository Far]\ntype = IMAP\nremotehost = 127.0.0.1\nremoteport = {}\nssl = no\n\
         starttls = no\nauth_mechanisms = PLAIN\nremoteuser = joe@{DOMAIN}\nremotepass = {PASSWORD}\n",
        house.port(143),
        at = at.display()
    );
    let conf = at.join("offlineimaprc");
    std::fs::write(&conf, text).unwrap();
    both_ways(&house, &at.join("mail/INBOX"), &at.join("mail/Work"), &|| {
        run(at, "offlineimap", &["-c", conf.to_str().unwrap(), "-o"]);
    });
}

#[test]
fn imap_02_interimap_keeps_two_servers_equal_by_their_modification_sequences() {
    if !installed("interimap") {
        return;
    }
    let (left, right) = (House::build(), House::build());
    left.account("joe");
    right.account("joe");
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let side = |house: &House| {
        format!(
            "type = imap\nhost = 127.0.0.1\nport = {}\nusername = joe@{DOMAIN}\n\
             password = {PASSWORD}\nSTARTTLS = NO\nauth = PLAIN LOGIN\n",
            house.port(143)
        )
    };
    let text = format!(
        "database = {}/db\n[local]\n{}[remote]\n{}",
        at.display(),
        side(&left),
        side(&right)
    );
    let conf = at.join("config");
    std::fs::write(&conf, text).unwrap();
    let sync = || {
        let out = run(at, "interimap", &[&format!("--config={}", conf.display())]);
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(!said.contains("WARNING") && !said.contains("ERROR"), "{said}");
    };
    let (mut here, mut there) = (left.imap("joe"), right.imap("joe"));
    put(&mut here, "INBOX", &["one", "two", "three"], "");
    put(&mut there, "INBOX", &["four"], "\\Flagged");
    here.ok("CREATE Work/Plans");
    put(&mut here, "Work/Plans", &["five"], "");
    sync();
    for imap in [&mut here, &mut there] {
        assert_eq!(subjects(imap, "INBOX"), ["four", "one", "three", "two"]);
        assert_eq!(subjects(imap, "Work/Plans"), ["five"]);
    }
    // Flags and expunges on both sides are told by CHANGEDSINCE and VANISHED.
    here.ok("SELECT INBOX");
    here.ok("STORE 1 +FLAGS (\\Seen)");
    here.ok("STORE 2 +FLAGS (\\Deleted)");
    here.ok("EXPUNGE");
    here.ok("UNSELECT");
    there.ok("SELECT INBOX");
    there.ok("UID STORE 1 -FLAGS (\\Flagged)");
    there.ok("UNSELECT");
    put(&mut there, "Work/Plans", &["six"], "");
    sync();
    let (a, b) = (contents(&mut here, "INBOX"), contents(&mut there, "INBOX"));
    assert_eq!(a, b);
    assert_eq!(a.keys().collect::<Vec<_>>(), ["four", "one", "three"]);
    assert_eq!((a["one"].len(), a["four"].len()), (1, 0));
    assert_eq!(subjects(&mut here, "Work/Plans"), ["five", "six"]);
    // A restart on either side must not make it begin again.
    drop((here, there));
    let (mut left, right) = (left, right);
    left.kill();
    left.start();
    sync();
    let mut here = left.imap("joe");
    assert_eq!(subjects(&mut here, "INBOX"), ["four", "one", "three"]);
    assert_eq!(contents(&mut here, "INBOX"), contents(&mut right.imap("joe"), "INBOX"));
}

#[test]
fn imap_02_neomutt_reads_deletes_and_copies() {
    if !installed("neomutt") || !installed("script") {
        return;
    }
    let house = House::build();
    house.account("joe");
    let mut imap = house.imap("joe");
    put(&mut imap, "INBOX", &["one", "two", "three"], "");
    imap.ok("CREATE Kept");
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let conf = at.join("muttrc");
    let text = format!(
        "set folder=\"imap://127.0.0.1:{}/\"\nset imap_user=\"joe@{DOMAIN}\"\n\
         set imap_pass=\"{PASSWORD}\"\nset ssl_starttls=no\nset ssl_force_tls=no\n\
         set imap_authenticators=\"plain\"\nset spoolfile=\"+INBOX\"\nset confirmappend=no\n\
         set delete=yes\nset move=no\nset quit=yes\nset record=\"\"\nset imap_qresync=yes\n\
         set imap_condstore=yes\nset sort=threads\nset wait_key=no\nset sleep_time=0\n\
         push \"<limit>~s one<enter><delete-message><limit>~s two<enter><copy-message>=Kept<enter>\
         <limit>~s three<enter><flag-message><limit>all<enter><quit>\"\n",
        house.port(143)
    );
    std::fs::write(&conf, text).unwrap();
    // In the foreground: in a process group of its own it would be stopped at its first look at the
    // terminal, and would never end.
    let command = format!("timeout --foreground -k 5 60 neomutt -n -F {}", conf.display());
    run(at, "script", &["-qec", &command, "/dev/null"]);
    let left = contents(&mut imap, "INBOX");
    assert_eq!(left.keys().collect::<Vec<_>>(), ["three", "two"]);
    assert!(left["three"].contains(&"\\Flagged".to_owned()), "{left:?}");
    assert_eq!(subjects(&mut imap, "Kept"), ["two"]);
}

#[test]
fn imap_02_getmail_fetches_each_letter_once() {
    if !installed("getmail") {
        return;
    }
    let house = House::build();
    house.account("joe");
    let mut imap = house.imap("joe");
    put(&mut imap, "INBOX", &["one", "two"], "");
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    // Its own delivery refuses to work for root, so a program of ours takes the letters.
    let text = format!(
        "[retriever]\ntype = SimpleIMAPRetriever\nserver = 127.0.0.1\nport = {}\n\
         username = joe@{DOMAIN}\npassword = {PASSWORD}\nmailboxes = ALL\n\
         [destination]\ntype = MDA_external\npath = /bin/sh\nallow_root_commands = true\n\
         arguments = (\"-c\", \"cat >> {at}/got\")\n[options]\nread_all = false\nverbose = 0\n",
        house.port(143),
        at = at.display()
    );
    std::fs::write(at.join("rc"), text).unwrap();
    let fetch = || {
        run(at, "getmail", &[&format!("--getmaildir={}", at.display()), "--rcfile=rc"]);
        let got = std::fs::read_to_string(at.join("got")).unwrap();
        got.lines().filter(|line| line.starts_with("Subject: ")).count()
    };
    assert_eq!(fetch(), 2);
    put(&mut imap, "INBOX", &["three"], "");
    assert_eq!(fetch(), 3);
    assert_eq!(fetch(), 3);
}

/// The Python that has the foreign library, made by the test command.
fn foreign_python() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let python = root.join("target/foreign-python/bin/python");
    for candidate in [python, PathBuf::from("python3")] {
        let has = Command::new(&candidate).args(["-c", "import imapclient"]).output();
        if has.is_ok_and(|out| out.status.success()) {
            return Some(candidate);
        }
    }
    println!("skipped: imapclient for Python is not installed");
    eprintln!("skipped: imapclient for Python is not installed");
    None
}

#[test]
fn imap_02_python_imapclient_uses_what_we_announce() {
    let Some(python) = foreign_python() else { return };
    let house = House::build();
    house.account("joe");
    house.account("amy");
    let out = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/imapclient_session.py"))
        .args([house.port(143).to_string(), format!("joe@{DOMAIN}"), format!("amy@{DOMAIN}")])
        .env("PASSWORD", PASSWORD)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}
