//! What belongs to accounts, over real sockets: the address of the main domain lent to another one
//! while its users are copied (SYS-06), users who keep their programs and settings (SYS-02) and
//! change their password themselves (PWD-24), and application passwords by subcommand.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

mod house;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use house::{ANGARIUM, DOMAIN, House, Imap, PASSWORD};

/// What the old server's users have.
const OLD: &str = "old-secret";
/// Their mail is to go to a domain beside the main one.
const SECOND: &str = "second.example";

fn cli(house: &House, line: &str) -> String {
    let (code, out) = house.angarium(&["cli", line]);
    assert_eq!(code, 0, "{line}: {out}");
    out
}

fn letters(imap: &mut Imap, letters: &[&str]) {
    let date = "01-Jan-2020 00:00:00 +0000";
    let all = letters.iter().map(|text| (String::new(), date.to_owned(), text.as_bytes()));
    imap.append_all("INBOX", all);
}

fn count(imap: &mut Imap) -> usize {
    let lines = imap.ok("STATUS INBOX (MESSAGES)");
    let text = String::from_utf8_lossy(&lines[0]).into_owned();
    text.split("MESSAGES ").nth(1).unwrap().trim_end_matches([')', '\r', '\n']).parse().unwrap()
}

/// Says lines to a line protocol; the answer to the last.
fn talk(port: u16, lines: &[&str]) -> String {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut read = BufReader::new(stream.try_clone().unwrap());
    let mut answer = String::new();
    read.read_line(&mut answer).unwrap();
    for line in lines {
        (&stream).write_all(format!("{line}\r\n").as_bytes()).unwrap();
        answer.clear();
        read.read_line(&mut answer).unwrap();
    }
    answer.trim_end().to_owned()
}

/// Moves the accounts of a list, whose directory keeps the state; exit code and all that was said.
fn move_accounts(list: &Path, old: &House, new: &House) -> (Option<i32>, String) {
    let at = |house: &House| format!("127.0.0.1:{}", house.port(143));
    let state = list.parent().unwrap();
    let out = Command::new("timeout")
        .args(["-k", "5", "120", ANGARIUM, "move", "accounts", "--IMAP"])
        .args([list.to_str().unwrap(), &at(old), &at(new)])
        .env("XDG_STATE_HOME", state)
        .env("HOME", state)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    (out.status.code(), said + &String::from_utf8_lossy(&out.stderr))
}

#[test]
fn sys_06_the_address_of_the_main_domain_is_lent_to_another_during_a_copy() {
    let old = House::build();
    let new = House::build();
    cli(&new, &format!("CreateDomain {SECOND}"));
    for name in ["joe", "ann"] {
        cli(&old, &format!("CreateAccount {name}@{DOMAIN} {{Password=\"{OLD}\";}}"));
        cli(&new, &format!("CreateAccount {name}@{SECOND} {{Password=\"{OLD}\";}}"));
        // The main domain has users of the same names.
        new.account(name);
        let mut imap = old.imap_with(name, OLD);
        letters(&mut imap, &["Subject: one\r\n\r\nx\r\n", "Subject: two\r\n\r\ny\r\n"]);
    }
    // The list names users as the old server did, without a domain.
    let directory = tempfile::tempdir().unwrap();
    let list = directory.path().join("users");
    std::fs::write(&list, format!("Name\tPassword\njoe\t{OLD}\nann\t{OLD}\n")).unwrap();
    let run = || move_accounts(&list, &old, &new);
    // Without the address these are the users of the main domain, who have another password.
    let (code, said) = run();
    assert_ne!(code, Some(0), "{said}");
    assert_eq!(count(&mut new.imap("joe")), 0);

    cli(&new, &format!("UpdateDomainSettings {SECOND} {{IPAddresses=(\"127.0.0.1\");}}"));
    let (code, said) = run();
    assert_eq!(code, Some(0), "{said}");
    // While the address is lent, bare names mean the other domain; whole ones what they say.
    assert_eq!(count(&mut Imap::login(new.port(143), "joe", OLD)), 2);
    assert_eq!(count(&mut new.imap("joe")), 0);
    assert!(talk(new.port(110), &["USER ann", &format!("PASS {OLD}")]).starts_with("+OK"));

    // Given back, all is as before, and what was copied is where it belongs.
    cli(&new, &format!("UpdateDomainSettings {SECOND} {{IPAddresses=default;}}"));
    assert_eq!(count(&mut Imap::login(new.port(143), "joe", PASSWORD)), 0);
    for name in ["joe", "ann"] {
        let name = format!("{name}@{SECOND}");
        assert_eq!(count(&mut Imap::login(new.port(143), &name, OLD)), 2);
    }
    assert!(talk(new.port(110), &["USER ann", &format!("PASS {OLD}")]).starts_with("-ERR"));
}

/// After a move nothing that a mail program was set up with has changed: server name, ports, login
/// name and password, the names of mailboxes, subscriptions and flags.
#[test]
fn sys_02_users_keep_their_mail_programs_and_settings() {
    let old = House::build();
    let new = House::build();
    let bare = format!("Name\tPassword\nann\t{OLD}\n");
    for house in [&old, &new] {
        cli(house, &format!("CreateAccount ann@{DOMAIN} {{Password=\"{OLD}\";}}"));
    }
    let mut imap = old.imap_with("ann", OLD);
    imap.ok("CREATE \"Sent Items\"");
    imap.ok("CREATE Work/2020");
    imap.ok("SUBSCRIBE Work/2020");
    let letter = "Subject: kept\r\n\r\nx\r\n";
    let date = "01-Jan-2020 00:00:00 +0000".to_owned();
    let flags = "\\Seen $Label1".to_owned();
    imap.append_all("Work/2020", std::iter::once((flags, date, letter.as_bytes())));
    let directory = tempfile::tempdir().unwrap();
    let list = directory.path().join("users");
    std::fs::write(&list, bare).unwrap();
    let (code, said) = move_accounts(&list, &old, &new);
    assert_eq!(code, Some(0), "{said}");
    // What a program does at its start says the same at both servers.
    let seen = |house: &House, name: &str| {
        let mut imap = Imap::login(house.port(143), name, OLD);
        let mut all = Vec::new();
        for line in ["LIST \"\" *", "LSUB \"\" *"] {
            let mut lines = imap.ok(line);
            lines.sort();
            all.extend(lines);
        }
        imap.ok("EXAMINE Work/2020");
        all.extend(imap.ok("FETCH 1:* (FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])"));
        let text = |line: &Vec<u8>| {
            String::from_utf8_lossy(line).replace(" \\Recent", "").replace("\\Recent ", "")
        };
        all.iter().map(text).collect::<Vec<_>>()
    };
    let whole = format!("ann@{DOMAIN}");
    // The login name as it stands in the program: with and without the domain, in any case.
    for name in ["ann", whole.as_str(), "ANN"] {
        assert_eq!(seen(&new, name), seen(&old, name), "{name}");
    }
    let words = ["USER ann", &format!("PASS {OLD}"), "STAT"];
    assert_eq!(talk(new.port(110), &words), talk(old.port(110), &words));
}

#[test]
fn pwd_24_a_user_changes_his_password_and_gets_in_with_the_new_one_everywhere() {
    let house = House::build();
    house.account("joe");
    let user = format!("USER joe@{DOMAIN}");
    let enters = |password: &str| {
        let pass = format!("PASS {password}");
        let pop = talk(house.port(110), &[&user, &pass]).starts_with("+OK");
        let (_, end) =
            Imap::connect(house.port(143)).command(&format!("LOGIN joe@{DOMAIN} \"{password}\""));
        assert_eq!(end.starts_with("OK"), pop);
        pop
    };
    let old = format!("PASS {PASSWORD}");
    // Too short for the rules of the domain, and not allowed at all: the old one stays.
    cli(&house, &format!("UpdateAccountDefaults {DOMAIN} {{PasswordLength=10;PWDAllowed=YES;}}"));
    let said = talk(house.port(106), &[&user, &old, "NEWPASS short"]);
    assert!(!said.starts_with("200") && said.contains("at least 10 characters"), "{said}");
    cli(&house, &format!("UpdateAccountSettings joe@{DOMAIN} {{PWDAllowed=NO;}}"));
    let said = talk(house.port(106), &[&user, &old, "NEWPASS quite-long-enough"]);
    assert!(!said.starts_with("200"), "{said}");
    assert!(enters(PASSWORD) && !enters("quite-long-enough"));
    cli(&house, &format!("UpdateAccountSettings joe@{DOMAIN} {{PWDAllowed=YES;}}"));
    let said = talk(house.port(106), &[&user, &old, "NEWPASS quite-long-enough"]);
    assert!(said.starts_with("200"), "{said}");
    assert!(!enters(PASSWORD) && enters("quite-long-enough"));
}

#[test]
fn application_passwords_are_made_shown_once_and_taken_away() {
    let house = House::build();
    house.account("joe");
    let joe = format!("joe@{DOMAIN}");
    let (code, out) = house.angarium(&["app-password", "add", &joe, "phone", "--service", "IMAP"]);
    assert_eq!(code, 0, "{out}");
    let secret = out.trim_end().to_owned();
    assert!(secret.len() >= 20 && !secret.contains(' '), "{secret}");
    drop(Imap::login(house.port(143), &joe, &secret));
    let pass = format!("PASS {secret}");
    let user = format!("USER {joe}");
    assert!(talk(house.port(110), &[&user, &pass]).starts_with("-ERR"), "for IMAP alone");
    let (code, out) = house.angarium(&["app-password", "list", &joe]);
    assert_eq!(code, 0, "{out}");
    assert!(out.starts_with("phone: made ") && out.ends_with(", IMAP\n"), "{out}");
    assert!(!out.contains(&secret));
    // One with this tag is there.
    assert_eq!(house.angarium(&["app-password", "add", &joe, "phone"]).0, 1);
    let (code, out) =
        house.angarium(&["app-password", "--json", "add", &joe, "phone", "--replace"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    let second = json["password"].as_str().unwrap();
    assert_eq!((code, &json["ok"], second != secret), (0, &true.into(), true));
    assert!(talk(house.port(110), &[&user, &format!("PASS {second}")]).starts_with("+OK"));
    assert!(talk(house.port(110), &[&user, &pass]).starts_with("-ERR"));
    let (_, out) = house.angarium(&["app-password", "--json", "list", &joe]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json["value"]["phone"]["Services"], "All", "{out}");
    assert_eq!(house.angarium(&["app-password", "remove", &joe, "phone"]).0, 0);
    assert_eq!(house.angarium(&["app-password", "remove", &joe, "phone"]).0, 1);
    assert!(talk(house.port(110), &[&user, &format!("PASS {second}")]).starts_with("-ERR"));
    assert_eq!(house.angarium(&["app-password", "list", &format!("nobody@{DOMAIN}")]).0, 1);
}
