//! Procedures of a take-over, live: mail copied by POP from a server that has nothing else, targets in
//! a secondary domain, and ports that move while the old server hands its queue to this one.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

mod house;

use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use house::certificates::Authority;
use house::foreign::Foreign;
use house::island::{address, island};
use house::old_dovecot::OldDovecot;
use house::smtp::Smtp;
use house::{ANGARIUM, DOMAIN, House, Imap, PASSWORD};

/// The domain that moves.
const MOVING: &str = "client.example";
/// This server, the old one, and where its queue is to go in the end.
const NEW: &str = "192.0.2.2";
const OLD: &str = "192.0.2.10";
const FAR: &str = "192.0.2.20";

fn cli(house: &House, line: &str) -> String {
    let (code, out) = house.angarium(&["cli", line]);
    assert_eq!(code, 0, "{line}");
    out
}

fn letter(token: &str) -> Vec<u8> {
    format!(
        "From: friend@far.example\nSubject: {token}\nDate: Sun, 13 Sep 2020 12:26:40 +0000\n\n\
         .\n..dots\nhello {token}\n"
    )
    .into_bytes()
}

/// Subjects of a mailbox in order, with the arrival dates.
fn subjects(imap: &mut Imap) -> Vec<String> {
    imap.ok("EXAMINE INBOX");
    imap.ok("FETCH 1:* (INTERNALDATE BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        .iter()
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .filter(|line| line.contains("Subject: "))
        .map(|line| {
            let day = line.split("INTERNALDATE \"").nth(1).unwrap().get(..11).unwrap();
            let subject = line.split("Subject: ").nth(1).unwrap();
            format!("{} {day}", subject.lines().next().unwrap())
        })
        .collect()
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(90);
    while !done() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

// MIG-48, MIG-50
#[test]
fn mig_50_mail_is_copied_by_pop_alone_and_each_message_once() {
    let Some(old) = OldDovecot::start(&[("joe".into(), PASSWORD.into())]) else { return };
    old.put("joe", "", &[letter("one"), letter("two")]);
    let mut house = House::build();
    let server = format!("127.0.0.1:{}", old.pop);
    let words = ["--protocol", "pop", "--smtp", "no", "--login-domain", "no", "--every", "never"];
    let prepare = [&["takeover", "prepare", MOVING, "--server", &server], &words[..]].concat();
    let (code, out) = house.angarium(&prepare);
    assert_eq!(code, 0, "{out}");
    let name = format!("joe@{MOVING}");
    let mut imap = Imap::connect(house.port(143));
    assert!(imap.command(&format!("LOGIN {name} wrong")).1.starts_with("NO"));
    imap.ok(&format!("LOGIN {name} {PASSWORD}"));
    let day = "13-Sep-2020";
    until("the first copy", || subjects(&mut imap).len() == 2);
    assert_eq!(subjects(&mut imap), [format!("one {day}"), format!("two {day}")]);
    // Octet for octet, dots and all.
    imap.ok("EXAMINE INBOX");
    let line = imap.ok("FETCH 1 BODY.PEEK[TEXT]").remove(0);
    assert_eq!(Imap::literal(&line), b".\r\n..dots\r\nhello one\r\n");
    // What comes later, after a restart, and nothing twice.
    old.put("joe", "", &[letter("three")]);
    house.stop();
    house.start();
    for _ in 0..2 {
        assert_eq!(house.angarium(&["takeover", "copy", MOVING]).0, 0);
        let mut imap = Imap::login(house.port(143), &name, PASSWORD);
        until("the second copy", || subjects(&mut imap).len() >= 3);
        assert_eq!(subjects(&mut imap).len(), 3);
    }
    // The mail is there a moment before the book says so.
    until("the book says that all is copied", || {
        house.angarium(&["takeover", "status", MOVING, "--json"]).1.contains("\"copied\":1")
    });
}

// MIG-75
#[test]
fn mig_75_a_target_in_a_secondary_domain_by_full_name_and_by_the_domains_address() {
    let users = ["ann", "joe"].map(|name| (name.to_owned(), PASSWORD.to_owned()));
    let Some(old) = OldDovecot::start(&users) else { return };
    for (name, token) in [("ann", "for-ann"), ("joe", "for-joe")] {
        old.put(name, "", &[letter(token)]);
    }
    let house = House::build();
    cli(&house, &format!("CreateDomain {MOVING} {{}}"));
    for name in ["ann", "joe"] {
        house.account(name);
        cli(&house, &format!("CreateAccount {name}@{MOVING} {{Password=\"{PASSWORD}\";}}"));
    }
    let room = tempfile::tempdir().unwrap();
    let run = |list: &str| {
        let file = room.path().join("list");
        std::fs::write(&file, list).unwrap();
        let out = Command::new("timeout")
            .args(["-k", "5", "120", ANGARIUM, "move", "accounts", "--IMAP"])
            .arg(&file)
            .args([format!("127.0.0.1:{}", old.imap), format!("127.0.0.1:{}", house.port(143))])
            .env("HOME", room.path())
            .env("XDG_STATE_HOME", room.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        assert_eq!(out.status.code(), Some(0), "{text}{}", String::from_utf8_lossy(&out.stderr));
        text
    };
    // By full name.
    run(&format!("Name\tPassword\tNewName\njoe\t{PASSWORD}\tjoe@{MOVING}\n"));
    // By the address of the domain: the main domain's, for the time of the copy.
    cli(&house, &format!("UpdateDomainSettings {MOVING} {{IPAddresses=(\"127.0.0.1\");}}"));
    run(&format!("Name\tPassword\nann\t{PASSWORD}\n"));
    cli(&house, &format!("UpdateDomainSettings {MOVING} {{IPAddresses=default;}}"));
    for (name, token) in [("ann", "for-ann"), ("joe", "for-joe")] {
        let mut moved = Imap::login(house.port(143), &format!("{name}@{MOVING}"), PASSWORD);
        let told = subjects(&mut moved);
        assert!(told.len() == 1 && told[0].starts_with(token), "{told:?}");
        // The account of the same name in the main domain got nothing.
        let mut other = Imap::login(house.port(143), &format!("{name}@{DOMAIN}"), PASSWORD);
        assert_eq!(subjects(&mut other), Vec::<String>::new());
    }
}

fn answers(port: u16) -> bool {
    TcpStream::connect((NEW, port)).is_ok()
}

// MIG-52, MIG-54, MIG-55
#[test]
fn mig_55_ports_move_and_the_old_server_hands_its_queue_to_this_one() {
    let test = "mig_55_ports_move_and_the_old_server_hands_its_queue_to_this_one";
    if !island(test) {
        return;
    }
    let authority = Authority::new();
    let Some(far) = Foreign::postfix(FAR, "far.example", &authority, "") else { return };
    // The old server sends through the new one, which is not on port 25 yet: its mail waits.
    let more = format!("relayhost = [{NEW}]:25\nsmtp_tls_security_level = may\n");
    let Some(old) = Foreign::postfix(OLD, MOVING, &authority, &more) else { return };
    address(NEW);
    let mut house = House::alone(NEW, "house.example");
    house.start();
    cli(&house, "UpdateModule SMTP {AllowPrivateTargets=YES;}");
    let route = format!("SetRouterTable \"<*@far.example> = *%far.example@[{FAR}]:25._via\"");
    cli(&house, &route);
    let words = ["--server", "127.0.0.1:9", "--smtp", "no", "--every", "never"];
    assert_eq!(house.angarium(&[&["takeover", "prepare", MOVING], &words[..]].concat()).0, 0);
    // Side by side on one machine: spare ports.
    for (module, spare, standard) in [("SMTP", 26, 25), ("POP", 111, 110), ("IMAP", 144, 143)] {
        cli(
            &house,
            &format!("UpdateModule {module} {{Listener={{Ports=({{PortNumber={spare};}});}};}}"),
        );
        until("spare ports", || answers(spare) && !answers(standard));
    }
    let tokens: Vec<String> = (0..20).map(|number| format!("queued-{number}")).collect();
    for token in &tokens {
        let text = String::from_utf8(letter(token)).unwrap().replace('\n', "\r\n");
        let text = text.replace("\r\n.", "\r\n..");
        let said = Smtp::connect(OLD, 25).letter(
            &format!("user@{MOVING}"),
            &["friend@far.example"],
            &text,
        );
        assert!(said.starts_with("250"), "{said}");
    }
    until("the old server has tried", || old.log().contains("Connection refused"));
    assert_eq!(far.letters().len(), 0);

    // The switch: step by step, the ports while the old server tries again.
    let switch = |words: &[&str]| {
        house.angarium(
            &[&["takeover", "switch", MOVING, "--resolver", "127.0.0.1:9"], words].concat(),
        )
    };
    let (code, out) = switch(&[]);
    assert_eq!(code, 4, "{out}");
    assert!(out.contains("[x] arrived") && out.contains("[ ] closed"), "{out}");
    let (code, out) = switch(&["--done", "closed", "--old-queue", OLD, "--wait", "30"]);
    assert_eq!(code, 4, "{out}");
    assert!(out.contains("SMTP goes from port 26 to port 25"), "{out}");
    assert!(out.contains("[x] ports") && out.contains("[ ] mx"), "{out}");
    for (spare, standard) in [(26, 25), (111, 110), (144, 143)] {
        assert!(answers(standard) && !answers(spare), "{standard}");
    }
    assert!(cli(&house, "GetClientIPs").contains(OLD));
    // Its queue drains through this server, each letter once.
    until("the old queue drains", || far.letters().len() >= tokens.len());
    let letters = far.letters();
    for token in &tokens {
        let found = letters.iter().filter(|text| text.contains(&format!("hello {token}\n")));
        assert_eq!(found.count(), 1, "{token}");
    }
    assert_eq!(letters.len(), tokens.len());
    // Then it may send through this server no more.
    let (code, out) = switch(&["--done", "mx", "--done", "drained", "--finish"]);
    assert_eq!(code, 0, "{out}");
    assert!(!cli(&house, "GetClientIPs").contains(OLD));
    assert!(Path::new(&house.base.join("TakeOver").join(MOVING)).exists());
}
