//! Mailbox files of others: copied into accounts, and used in place by mail, mutt, procmail and this
//! server at once (MIG-68 to MIG-71, SYS-34, ABU-64). Programs that are missing are said to be
//! skipped.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

mod house;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use house::smtp::Smtp;
use house::{DOMAIN, House, Imap, PASSWORD, installed};

/// A letter in a text mailbox of another program.
fn foreign(subject: &str, more: &str) -> String {
    format!(
        "From joe@b.example Tue Mar  7 10:15:00 2006\nFrom: joe@b.example\nTo: ann@{DOMAIN}\n\
         Subject: {subject}\n{more}\nThe text of {subject}.\n>From the beginning.\n\n"
    )
}

/// Subjects of a mailbox and how often each is there.
fn subjects(imap: &mut Imap, mailbox: &str) -> BTreeMap<String, usize> {
    imap.ok(&format!("EXAMINE \"{mailbox}\""));
    let mut all = BTreeMap::new();
    for line in imap.ok("UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])") {
        if line.windows(6).any(|w| w == b"BODY[H") {
            let subject = String::from_utf8_lossy(Imap::literal(&line)).trim().to_owned();
            let subject = subject.trim_start_matches("Subject: ").to_owned();
            *all.entry(subject).or_insert(0) += 1;
        }
    }
    all
}

/// What FETCH says of the one message that a search finds.
fn facts(imap: &mut Imap, subject: &str, items: &str) -> String {
    let found = imap.ok(&format!("UID SEARCH SUBJECT \"{subject}\""));
    let found = String::from_utf8_lossy(&found[0]).trim().to_owned();
    let uid = found.rsplit(' ').next().unwrap().to_owned();
    let lines = imap.ok(&format!("UID FETCH {uid} ({items})"));
    String::from_utf8_lossy(&lines[0]).into_owned()
}

fn import(house: &House, path: &Path, into: &str, more: &[&str]) -> (i32, serde_json::Value) {
    let mut words = vec!["import-files", path.to_str().unwrap(), "--into", into, "--json"];
    words.extend(more);
    let (code, text) = house.angarium(&words);
    let json: serde_json::Value = serde_json::from_str(text.trim()).unwrap_or_default();
    (code, json["value"].clone())
}

/// A Maildir++ tree as Dovecot keeps it.
fn maildir(at: &Path) {
    let message = |subject: &str| format!("Subject: {subject}\nStatus: kept\n\nFrom here\nend");
    for folder in ["", ".Sent.2006", ".Entw&APw-rfe", ".Empty"] {
        for part in ["cur", "new", "tmp"] {
            fs::create_dir_all(at.join(folder).join(part)).unwrap();
        }
    }
    fs::write(at.join("cur/1141726500.a.host,S=9:2,FSa"), message("one")).unwrap();
    fs::write(at.join("new/1141726501.b.host"), message("two")).unwrap();
    fs::write(at.join("tmp/1141726501.c.host"), message("never")).unwrap();
    fs::write(at.join("dovecot-keywords"), "0 $Label1\n").unwrap();
    fs::write(
        at.join("dovecot-uidlist"),
        "3 V1141726500 N9\n5 :1141726500.a.host,S=9\n8 :1141726501.b.host\n",
    )
    .unwrap();
    fs::write(at.join("subscriptions"), "V\t2\n\nSent\t2006\nINBOX\n").unwrap();
    fs::write(at.join(".Sent.2006/cur/1.x:2,RT"), message("sent")).unwrap();
    fs::write(at.join(".Entw&APw-rfe/cur/1.x:2,D"), message("draft")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", at.join("cur/1141726502.evil:2,")).unwrap();
}

#[test]
fn trees_of_other_servers_are_copied_with_everything_and_a_second_run_adds_nothing() {
    let house = House::build();
    house.account("ann");
    let room = tempfile::tempdir().unwrap();
    let tree = room.path().join("Maildir");
    maildir(&tree);
    let ann = format!("ann@{DOMAIN}");
    let (code, dry) = import(&house, &tree, &ann, &["--dry-run"]);
    assert_eq!((code, dry["added"].as_i64()), (0, Some(4)), "{dry}");
    let mut imap = house.imap("ann");
    assert!(subjects(&mut imap, "INBOX").is_empty());
    let (code, done) = import(&house, &tree, &ann, &["--keep-uids"]);
    assert_eq!((code, done["added"].as_i64()), (0, Some(4)), "{done}");
    assert_eq!(done["verified"].as_str(), Some("YES"), "{done}");
    imap.ok("SELECT INBOX");
    let one = facts(&mut imap, "one", "UID FLAGS INTERNALDATE BODY.PEEK[]");
    assert!(
        one.contains("UID 5 ") && one.contains("\\Flagged") && one.contains("$Label1"),
        "{one}"
    );
    assert!(one.contains("07-Mar-2006 10:15:00 +0000"), "{one}");
    assert!(one.contains("Status: kept\r\n\r\nFrom here\r\nend)"), "{one}");
    assert!(facts(&mut imap, "two", "UID FLAGS").contains("UID 8 "));
    assert_eq!(subjects(&mut imap, "Sent/2006").len(), 1);
    assert_eq!(subjects(&mut imap, "Entw&APw-rfe").len(), 1);
    assert_eq!(subjects(&mut imap, "Empty").len(), 0);
    assert_eq!(imap.ok("LSUB \"\" \"Sent/*\"").len(), 1);
    // Again: nothing comes twice, and what was removed since does not come back.
    imap.ok("SELECT Sent/2006");
    imap.ok("STORE 1 +FLAGS (\\Deleted)");
    imap.ok("EXPUNGE");
    let (code, again) = import(&house, &tree, &ann, &[]);
    assert_eq!((code, again["added"].as_i64()), (0, Some(0)), "{again}");
    assert_eq!((again["present"].as_i64(), again["removedsince"].as_i64()), (Some(3), Some(1)));
    assert_eq!(subjects(&mut imap, "Sent/2006").len(), 0);
}

#[test]
fn mig_68_account_directories_and_plain_mailbox_files_of_the_old_server_are_copied() {
    let house = House::build();
    house.account("ann");
    let room = tempfile::tempdir().unwrap();
    let account = room.path().join("ann.macnt");
    fs::create_dir_all(account.join("Work.folder")).unwrap();
    fs::create_dir_all(account.join("Old.mdir")).unwrap();
    let own = "From <joe@b.example>(SF----------00000007-00000003) Tue Mar  7 10:15:00 2006\n";
    let own = own.replace("(SF----------", "(S-F----------");
    let inbox = format!("{own}Subject: own\n\ntext\n\n{}", foreign("plain", "Status: RO\n"));
    fs::write(account.join("INBOX.mbox"), inbox).unwrap();
    fs::write(account.join("Work.folder/Done.mbox"), foreign("done", "")).unwrap();
    fs::write(account.join("Old.mdir/0000000C-SA-440D5D24-0000000C-20"), "Subject: old\n\nx\n")
        .unwrap();
    fs::write(account.join("account.settings"), "{ Password = x; }\n").unwrap();
    let (code, done) = import(&house, &account, &format!("ann@{DOMAIN}"), &["--keep-uids"]);
    assert_eq!((code, done["added"].as_i64()), (0, Some(4)), "{done}");
    let mut imap = house.imap("ann");
    imap.ok("SELECT INBOX");
    let own = facts(&mut imap, "own", "UID FLAGS");
    assert!(own.contains("UID 7 ") && own.contains("\\Flagged"), "{own}");
    let plain = facts(&mut imap, "plain", "FLAGS BODY.PEEK[]");
    assert!(plain.contains("\\Seen") && plain.contains("\r\nFrom the beginning.\r\n"), "{plain}");
    assert!(!plain.contains("Status:"), "{plain}");
    assert_eq!(subjects(&mut imap, "Work/Done").len(), 1);
    imap.ok("SELECT Old");
    assert!(facts(&mut imap, "old", "UID FLAGS").contains("UID 12 "));
    // A single file into a mailbox by name, in a dialect.
    let file = room.path().join("Archive 2005");
    fs::write(&file, foreign("archived", "")).unwrap();
    let into = format!("ann@{DOMAIN}/Archive/2005");
    let (code, _) = import(&house, &file, &into, &["--dialect", "mboxcl2"]);
    assert_eq!(code, 0);
    imap.ok("SELECT Archive/2005");
    assert!(facts(&mut imap, "archived", "BODY.PEEK[]").contains("\r\n>From the beginning."));
    // IMail keeps text mailboxes by names of its own; SIMS and others plain ones.
    let imail = room.path().join("imail");
    fs::create_dir(&imail).unwrap();
    fs::write(imail.join("main.mbx"), foreign("main", "")).unwrap();
    fs::write(imail.join("Sent.mbx"), foreign("sent", "")).unwrap();
    fs::write(imail.join("main.uid"), "1 2 3\n").unwrap();
    assert_eq!(import(&house, &imail, &format!("ann@{DOMAIN}/IMail"), &[]).0, 0);
    assert_eq!(subjects(&mut imap, "IMail/INBOX").len(), 1);
    assert_eq!(subjects(&mut imap, "IMail/Sent").len(), 1);
    // What is no mailbox is refused and told.
    fs::write(&file, "root:x:0:0\n").unwrap();
    assert_eq!(import(&house, &file, &into, &[]).0, 1);
}

#[test]
fn an_import_that_is_killed_goes_on_without_losing_or_doubling_a_message() {
    let mut house = House::build();
    house.account("ann");
    let room = tempfile::tempdir().unwrap();
    let file = room.path().join("mbox");
    // Each twentieth message is there twice and is to come twice.
    let count = 3000;
    let mut text = String::new();
    for n in 0..count {
        text.push_str(&foreign(&format!("s{}", n - n % 20 / 19), ""));
    }
    fs::write(&file, &text).unwrap();
    let into = format!("ann@{DOMAIN}");
    for pause in [150, 250, 400] {
        let mut child = Command::new(house::ANGARIUM)
            .args(["import-files", "--base", house.base.to_str().unwrap(), "--into", &into])
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(pause));
        house.kill();
        child.wait().unwrap();
        house.start();
    }
    let (code, done) = import(&house, &file, &into, &[]);
    assert_eq!((code, done["verified"].as_str()), (0, Some("YES")), "{done}");
    let mut imap = house.imap("ann");
    let all = subjects(&mut imap, "INBOX");
    assert_eq!(all.values().sum::<usize>(), count);
    assert!(
        all.iter()
            .all(|(s, n)| *n == if s[1..].parse::<usize>().unwrap() % 20 == 18 { 2 } else { 1 })
    );
}

/// A mail program of the machine, bounded in time, with a home and an environment of its own.
fn program(at: &Path, words: &[&str], input: &str) {
    let mut child = Command::new("timeout")
        .args(["-k", "5", "60"])
        .args(words)
        .current_dir(at)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", at)
        .env("MAIL", at.join("mail/ann"))
        .env("MAILRC", at.join("mailrc"))
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait().unwrap();
}

/// A command of IMAP that is given again while other programs hold the file's locks for too long.
fn patient(imap: &mut Imap, command: &str) -> Vec<Vec<u8>> {
    for _ in 0..20 {
        let (lines, done) = imap.command(command);
        if !done.contains("[UNAVAILABLE]") {
            assert!(done.contains("OK"), "{command}: {done}");
            return lines;
        }
    }
    panic!("{command}: the file stays locked");
}

/// Removes letters with mutt.
fn mutt(at: &Path, subject: &str) {
    let text = format!(
        "set delete=yes\nset move=no\nset quit=yes\nset record=\"\"\nset folder=\"{}\"\n\
         set sort=mailbox-order\nset wait_key=no\nset sleep_time=0\nset save_empty=yes\n\
         set mark_old=no\nset mbox_type=mbox\n\
         push \"<delete-pattern>~s {subject}<enter><sync-mailbox><delete-pattern>~s {subject}<enter>\
         <sync-mailbox><quit>\"\n",
        at.display()
    );
    fs::write(at.join("muttrc"), text).unwrap();
    let command = "timeout --foreground -k 5 40 mutt -n -F muttrc -f mail/ann";
    program(at, &["script", "-qec", command, "/dev/null"], "");
}

#[test]
fn mig_69_mail_mutt_procmail_and_the_server_use_one_file_at_once() {
    let all = ["mail", "mutt", "script"].iter().all(|program| installed(program));
    if !all {
        return;
    }
    let procmail = installed("procmail");
    let house = House::build();
    let room = tempfile::tempdir().unwrap();
    let at = room.path();
    fs::create_dir(at.join("mail")).unwrap();
    fs::write(at.join("mailrc"), "set hold\nset keep\nset keepsave\n").unwrap();
    let rc = format!("DEFAULT={0}/mail/ann\nLOGFILE=/dev/null\n:0:\n{0}/mail/ann\n", at.display());
    fs::write(at.join("procmailrc"), rc).unwrap();
    let file = at.join("mail/ann");
    let mut text = String::new();
    for n in 10..30 {
        for who in ["keep", "mail", "mutt", "imap"] {
            text.push_str(&foreign(&format!("{who}-{n}"), ""));
        }
    }
    fs::write(&file, &text).unwrap();
    let pattern = format!("{}/mail/*", at.display());
    let set = format!("UpdateDomainSettings {DOMAIN} {{ExternalINBOXPath=\"{pattern}\";}}");
    assert_eq!(house.angarium(&["cli", &set]).0, 0);
    let make = format!("CreateAccount ann@{DOMAIN} LEGACY {{Password=\"{PASSWORD}\";}}");
    assert_eq!(house.angarium(&["cli", &make]).0, 0);
    let mut imap = house.imap("ann");
    assert_eq!(subjects(&mut imap, "INBOX").len(), 80);
    assert_eq!(fs::read_to_string(&file).unwrap(), text, "looking changes nothing");

    // Two programs of the machine at once may harm each other, and mail writes back what it read
    // when it began: removing by two of them is kept apart, everything else is not.
    let removing = Mutex::new(());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut smtp = Smtp::connect("127.0.0.1", house.port(25));
            smtp.ok("EHLO client.example");
            for n in 10..50 {
                let letter = format!("From: x@b.example\r\nSubject: smtp-{n}\r\n\r\ntext\r\n");
                let to = format!("ann@{DOMAIN}");
                smtp.letter("x@b.example", &[&to], &letter);
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        scope.spawn(|| {
            for n in 10..30 {
                if procmail {
                    let rc = at.join("procmailrc");
                    program(
                        at,
                        &["procmail", "-m", rc.to_str().unwrap()],
                        &foreign(&format!("proc-{n}"), ""),
                    );
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        scope.spawn(|| {
            let mut imap = house.imap("ann");
            for n in 10..30 {
                patient(&mut imap, "SELECT INBOX");
                patient(&mut imap, "STORE 1:* +FLAGS.SILENT (\\Flagged)");
                let found = patient(&mut imap, &format!("UID SEARCH SUBJECT \"imap-{n}\""));
                let found = String::from_utf8_lossy(&found[0]).trim().to_owned();
                let uid = found.rsplit(' ').next().unwrap().to_owned();
                let _alone = removing.lock().unwrap();
                patient(&mut imap, &format!("UID STORE {uid} +FLAGS (\\Deleted)"));
                patient(&mut imap, &format!("UID EXPUNGE {uid}"));
            }
        });
        scope.spawn(|| {
            for n in 10..30 {
                {
                    let _alone = removing.lock().unwrap();
                    program(at, &["mail", "-N"], &format!("d /mail-{n}\nq\n"));
                }
                std::thread::sleep(Duration::from_millis(30));
                let _alone = removing.lock().unwrap();
                mutt(at, &format!("mutt-{n}"));
            }
        });
    });

    // A program that finds the file changed may leave its work for the next time.
    let there = |subject: &str| fs::read_to_string(&file).unwrap().contains(subject);
    for n in 10..30 {
        if there(&format!("Subject: mail-{n}\n")) {
            program(at, &["mail", "-N"], &format!("d /mail-{n}\nq\n"));
        }
        if there(&format!("Subject: mutt-{n}\n")) {
            mutt(at, &format!("mutt-{n}"));
        }
    }
    let expected: Vec<String> = (10..30)
        .map(|n| format!("keep-{n}"))
        .chain((10..30).filter(|_| procmail).map(|n| format!("proc-{n}")))
        .chain((10..50).map(|n| format!("smtp-{n}")))
        .collect();
    let wanted: BTreeMap<String, usize> = expected.into_iter().map(|s| (s, 1)).collect();
    // What the server took is delivered soon; what found the file locked too long waits in the queue
    // for its next time, which comes now.
    for _ in 0..300 {
        if subjects(&mut imap, "INBOX").len() >= wanted.len() {
            break;
        }
        house.angarium(&["queue", "release", &format!("ann@{DOMAIN}")]);
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(subjects(&mut imap, "INBOX"), wanted);
    let text = String::from_utf8_lossy(&fs::read(&file).unwrap()).into_owned();
    for subject in wanted.keys() {
        assert_eq!(text.matches(&format!("Subject: {subject}\n")).count(), 1, "{subject}");
    }
    assert_eq!(text.matches("\nSubject: ").count(), wanted.len());
    assert!(!lock_of(&file).exists());
}

fn lock_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

#[test]
fn a_session_that_waits_hears_of_mail_that_another_program_delivers() {
    let house = House::build();
    let room = tempfile::tempdir().unwrap();
    let file = room.path().join("ann");
    let pattern = format!("{}/*", room.path().display());
    let set = format!("UpdateDomainSettings {DOMAIN} {{ExternalINBOXPath=\"{pattern}\";}}");
    assert_eq!(house.angarium(&["cli", &set]).0, 0);
    let make = format!("CreateAccount ann@{DOMAIN} LEGACY {{Password=\"{PASSWORD}\";}}");
    assert_eq!(house.angarium(&["cli", &make]).0, 0);
    let mut imap = house.imap("ann");
    imap.ok("SELECT INBOX");
    imap.send(b"i1 IDLE\r\n");
    assert!(imap.line().starts_with(b"+"));
    fs::write(&file, foreign("new", "")).unwrap();
    let line = imap.line();
    assert!(line.starts_with(b"* 1 EXISTS"), "{}", String::from_utf8_lossy(&line));
    // The file is cut under our feet.
    fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(0).unwrap();
    loop {
        let line = imap.line();
        if line.starts_with(b"* 1 EXPUNGE") || line.starts_with(b"* VANISHED") {
            break;
        }
    }
    imap.send(b"DONE\r\n");
}

#[test]
fn abu_64_a_huge_mailbox_file_takes_time_and_no_memory() {
    let house = House::build();
    house.account("ann");
    let room = tempfile::tempdir().unwrap();
    let path = room.path().join("mbox");
    // One message of 400 MiB of nothing, another behind it, and an end that is cut.
    let mut file = fs::File::create(&path).unwrap();
    file.write_all(b"From a Tue Mar  7 10:15:00 2006\nContent-Length: 1\n\n").unwrap();
    file.set_len(400 << 20).unwrap();
    let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(format!("\n\n{}From cut off", foreign("second", "")).as_bytes()).unwrap();
    let before = house.peak_kib();
    let (code, dry) = import(&house, &path, &format!("ann@{DOMAIN}"), &["--dry-run"]);
    assert_eq!((code, dry["messages"].as_i64()), (0, Some(2)), "{dry}");
    let grown = house.peak_kib() - before;
    assert!(grown < 64 << 10, "{grown} KiB more");
}
