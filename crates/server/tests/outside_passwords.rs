//! Passwords and names that somebody outside knows, with the real server: an external program that
//! moves users from an old server at their first mail or login, and passwords of the operating
//! system checked by PAM.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

mod house;

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use house::certificates::Authority;
use house::foreign::{Dovecot, Foreign};
use house::island::{cover, island, run};
use house::smtp::Smtp;
use house::{House, Imap, PASSWORD, installed};

/// The domain that moves.
const MOVING: &str = "client.example";

/// The end of an IMAP log-in.
fn imap_login(house: &House, name: &str, password: &str) -> String {
    Imap::connect(house.port(143)).command(&format!("LOGIN \"{name}\" \"{password}\"")).1
}

/// The end of a POP log-in.
fn pop_login(house: &House, name: &str, password: &str) -> String {
    let mut pop = BufReader::new(TcpStream::connect(("127.0.0.1", house.port(110))).unwrap());
    pop.get_ref().set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut said = String::new();
    for line in ["", &format!("USER {name}\r\n"), &format!("PASS {password}\r\n")] {
        pop.get_mut().write_all(line.as_bytes()).unwrap();
        said.clear();
        pop.read_line(&mut said).unwrap();
    }
    said
}

fn cli(house: &House, line: &str) -> String {
    let (code, out) = house.angarium(&["cli", line]);
    assert_eq!(code, 0, "{line}");
    out
}

/// Waits until something is so.
fn until(what: &str, so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !so() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// An old server of a few lines for SMTP and IMAP: knows `anna` and `bert`, whose password is the
/// usual one; silent when it is told so.
struct Old {
    smtp: SocketAddr,
    imap: SocketAddr,
    down: Arc<AtomicBool>,
}

impl Old {
    fn start() -> Self {
        let down = Arc::new(AtomicBool::new(false));
        let serve = |greeting: &'static str, answer: fn(&str) -> String| {
            let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
            let at = listener.local_addr().unwrap();
            let down = down.clone();
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    if down.load(Ordering::SeqCst) {
                        continue;
                    }
                    std::thread::spawn(move || {
                        let mut lines = BufReader::new(stream);
                        let say = |lines: &mut BufReader<TcpStream>, text: &str| {
                            lines.get_mut().write_all(format!("{text}\r\n").as_bytes())
                        };
                        let mut said = say(&mut lines, greeting);
                        let mut line = String::new();
                        while said.is_ok() && matches!(lines.read_line(&mut line), Ok(1..)) {
                            said = say(&mut lines, &answer(line.trim_end()));
                            line.clear();
                        }
                    });
                }
            });
            at
        };
        let smtp = serve("220 old.example", |line| {
            let unknown = line.starts_with("RCPT")
                && !["<anna@", "<bert@"].iter().any(|name| line.contains(name));
            if unknown { "550 no such user".into() } else { "250 well".into() }
        });
        let imap = serve("* OK old", |line| {
            let right = ["anna", "bert"].map(|name| format!("x LOGIN {name} \"{PASSWORD}\""));
            if right.iter().any(|right| right == line) {
                "x OK in".into()
            } else {
                "x NO [AUTHENTICATIONFAILED] no".into()
            }
        });
        Self { smtp, imap, down }
    }
}

/// Prepares a server for the move: the domain, the program, who it logs in as.
fn prepare(house: &House, smtp: &str, imap: &str) {
    for line in [
        "UpdateAccountSettings postmaster {PasswordEncryption=A-crpt;}".to_owned(),
        format!("SetAccountPassword postmaster PASSWORD \"{PASSWORD}\""),
        format!("CreateDomain {MOVING} {{ExternalOnUnknown=YES;AUTHMethods=(PLAIN,SESSIONID);}}"),
        format!("UpdateAccountTemplate {MOVING} {{UseAppPassword=NO;UseExtPassword=YES;}}"),
    ] {
        cli(house, &line);
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/migrate_on_the_fly.pl");
    std::fs::copy(script, house.base.join("migrate.pl")).unwrap();
    let text = format!(
        "pwd 127.0.0.1:{}\nadmin postmaster\npassword {PASSWORD}\nme house.example\nsmtp {smtp}\n\
         imap {imap}\nbook {}\n",
        house.port(106),
        house.base.join("book").display()
    );
    std::fs::write(house.base.join("migrate.conf"), text).unwrap();
    cli(
        house,
        "UpdateServerSettings {ExternalAUTH={Enabled=YES;LogLevel=4;\
         ProgramName=\"migrate.pl migrate.conf\";TimeOut=20s;RestartPause=1s;};}",
    );
    until("the program runs", || logs(house).contains("EXTAUTH migrate_on_the_fly is ready"));
}

/// What the server has logged so far.
fn logs(house: &House) -> String {
    let Ok(all) = std::fs::read_dir(house.base.join("SystemLogs")) else { return String::new() };
    let texts = all.flatten().filter_map(|entry| std::fs::read(entry.path()).ok());
    texts.map(|octets| String::from_utf8_lossy(&octets).into_owned()).collect()
}

fn book(house: &House) -> String {
    std::fs::read_to_string(house.base.join("book")).unwrap_or_default()
}

fn letter(house: &House, name: &str) -> String {
    let mut smtp = Smtp::connect(&house.address, house.port(25));
    let to = format!("{name}@{MOVING}");
    smtp.letter("joe@house.example", &[&to], "Subject: first\r\n\r\nhello\r\n")
}

/// The guide's recipe from the first mail to the day when the old server is gone.
fn move_on_the_fly(house: &House) {
    let anna = format!("anna@{MOVING}");
    let bert = format!("bert@{MOVING}");
    // A mail brings the account in; many at once ask one question.
    let mails: Vec<String> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..8).map(|_| scope.spawn(|| letter(house, "anna"))).collect();
        all.into_iter().map(|mail| mail.join().unwrap()).collect()
    });
    assert!(mails.iter().all(|reply| reply.starts_with("250")), "{mails:?}");
    assert_eq!(book(house).matches(&format!("NEW {anna}\n")).count(), 1);
    // Nobody but its owner gets in, and only with the password of the old server.
    assert!(imap_login(house, &anna, "guessed").starts_with("NO"));
    let settings = cli(house, &format!("GetAccountSettings {anna}"));
    assert!(settings.contains("UseExtPassword = YES"), "{settings}");
    let mut imap = Imap::login(house.port(143), &anna, PASSWORD);
    let first = imap.ok("STATUS INBOX (MESSAGES)");
    assert!(String::from_utf8_lossy(&first[0]).contains("MESSAGES"), "{first:?}");
    // The password is kept now, and nobody is asked any more.
    let settings = cli(house, &format!("GetAccountSettings {anna}"));
    assert!(settings.contains("UseExtPassword = NO") && settings.contains("UseAppPassword = YES"));
    let asked = book(house);
    assert!(asked.contains("VRFY (IMAP)\n"), "{asked}");
    assert!(pop_login(house, &anna, PASSWORD).starts_with("+OK"));
    assert!(pop_login(house, &anna, "guessed").starts_with("-ERR [AUTH]"));
    assert_eq!(book(house), asked);
    // A login brings an account in too.
    assert!(pop_login(house, &bert, PASSWORD).starts_with("+OK"));
    assert!(book(house).contains(&format!("NEW {bert}\n")));
    assert!(imap_login(house, &bert, PASSWORD).starts_with("OK"));
    // A name that nobody knows: refused, asked once a minute.
    for _ in 0..3 {
        assert!(letter(house, "nobody").starts_with("550"));
        assert!(imap_login(house, &format!("nobody@{MOVING}"), "x").starts_with("NO"));
    }
    assert_eq!(book(house).matches(&format!("NEW nobody@{MOVING}\n")).count(), 1);
    // The Router tells the administrator who was asked.
    let (code, route) = house.angarium(&["route", &format!("nobody@{MOVING}")]);
    assert!(route.contains("external authenticator"), "{code} {route}");
    let all = cli(house, &format!("ListAccounts {MOVING}"));
    assert!(all.contains("anna") && all.contains("bert") && !all.contains("nobody"), "{all}");
}

// MIG-46 to MIG-49, MIG-51, MIG-76, SYS-22
#[test]
fn mig_46_the_first_mail_and_the_first_login_bring_an_account_in() {
    if !installed("perl") {
        return;
    }
    let (house, old) = (House::build(), Old::start());
    prepare(&house, &old.smtp.to_string(), &old.imap.to_string());
    move_on_the_fly(&house);
    // The old server is silent: everything is put off, nothing is refused.
    old.down.store(true, Ordering::SeqCst);
    let carl = format!("carl@{MOVING}");
    assert!(letter(&house, "carl").starts_with("451"));
    let said = imap_login(&house, &carl, "x");
    assert!(said.starts_with("NO [UNAVAILABLE]"), "{said}");
    let said = pop_login(&house, &carl, "x");
    assert!(said.starts_with("-ERR [SYS/TEMP]"), "{said}");
    let mut smtp = Smtp::connect(&house.address, house.port(25));
    let secret = "AGNhcmxAY2xpZW50LmV4YW1wbGUAeA==";
    let said = smtp.say(&format!("AUTH PLAIN {secret}"));
    assert!(said.starts_with("454 4.7.0"), "{said}");
    old.down.store(false, Ordering::SeqCst);
    assert!(letter(&house, "carl").starts_with("550"));
    // No password stands in a log.
    until("it is logged", || logs(&house).contains("EXTAUTH NEW anna@client.example: OK"));
    assert!(!logs(&house).contains(PASSWORD), "{}", logs(&house));
}

// ABU-61, SYS-22
#[test]
fn a_program_that_is_killed_while_it_is_asked_is_started_again_and_asked_again() {
    if !installed("python3") {
        return;
    }
    let house = House::build();
    let program = house.base.join("slow.py");
    // It holds the first question back until it is killed.
    let text = "#!/usr/bin/env python3\nimport sys, os, time\n\
        open('pid', 'w').write(str(os.getpid()))\n\
        for line in iter(sys.stdin.readline, ''):\n\
        \x20 n, verb = line.split()[:2]\n\
        \x20 if verb == 'INTF': print(n, 'INTF 3', flush=True); continue\n\
        \x20 if not os.path.exists('asked'): open('asked', 'w').close(); time.sleep(600)\n\
        \x20 print(n, 'OK', flush=True)\n";
    std::fs::write(&program, text).unwrap();
    run("chmod", &["755", program.to_str().unwrap()]);
    cli(&house, "CreateAccount joe@house.example {UseAppPassword=NO;UseExtPassword=YES;}");
    cli(
        &house,
        "UpdateServerSettings {ExternalAUTH={ProgramName=\"slow.py\";TimeOut=50s;RestartPause=1s;};}",
    );
    until("the program runs", || house.base.join("pid").exists());
    std::thread::scope(|scope| {
        let login = scope.spawn(|| imap_login(&house, "joe@house.example", "any"));
        until("it is asked", || house.base.join("asked").exists());
        let pid = std::fs::read_to_string(house.base.join("pid")).unwrap();
        run("kill", &["-9", &pid]);
        let said = login.join().unwrap();
        assert!(said.starts_with("OK"), "{said}");
    });
}

// MIG-47, MIG-48
#[test]
fn mig_47_an_old_server_of_postfix_and_dovecot_is_asked_on_the_fly() {
    let test = "mig_47_an_old_server_of_postfix_and_dovecot_is_asked_on_the_fly";
    if !installed("perl") || !island(test) {
        return;
    }
    let authority = Authority::new();
    let known = tempfile::tempdir().unwrap();
    run("chmod", &["755", known.path().to_str().unwrap()]);
    let list = known.path().join("users");
    std::fs::write(&list, format!("anna@{MOVING} all/\nbert@{MOVING} all/\n")).unwrap();
    let more = format!(
        "virtual_mailbox_maps = texthash:{}\nsmtpd_relay_restrictions = reject_unauth_destination\n",
        list.display()
    );
    let Some(postfix) = Foreign::postfix("192.0.2.10", MOVING, &authority, &more) else { return };
    let Some(_dovecot) = Dovecot::start() else { return };
    let house = House::build();
    prepare(&house, "192.0.2.10:25", &format!("127.0.0.1:{}", Dovecot::IMAP));
    move_on_the_fly(&house);
    drop(postfix);
    assert!(letter(&house, "dora").starts_with("451"));
}

/// Services of PAM by name, each as its file says.
const SERVICES: [(&str, &str); 5] = [
    ("angarium", "auth required pam_unix.so\naccount required pam_unix.so\n"),
    ("open", "auth required pam_permit.so\naccount required pam_permit.so\n"),
    ("shut", "auth required pam_deny.so\naccount required pam_deny.so\n"),
    ("broken", "auth required pam_that_is_not_there.so\naccount required pam_permit.so\n"),
    (
        "told",
        "auth required pam_exec.so expose_authtok quiet {at}/tell\naccount required pam_permit.so\n",
    ),
];

// PWD-01, PWD-05
#[test]
fn pwd_01_passwords_of_the_operating_system_are_checked_by_pam() {
    if !island("pwd_01_passwords_of_the_operating_system_are_checked_by_pam") {
        return;
    }
    let room = tempfile::tempdir().unwrap();
    let at = room.path();
    let pam = at.join("pam.d");
    std::fs::create_dir(&pam).unwrap();
    for (name, text) in SERVICES {
        std::fs::write(pam.join(name), text.replace("{at}", at.to_str().unwrap())).unwrap();
    }
    let tell = "#!/bin/sh\ncat >\"$0.out\"\nprintf '%s' \"$PAM_USER\" >\"$0.user\"\n";
    std::fs::write(at.join("tell"), tell).unwrap();
    run("chmod", &["755", at.join("tell").to_str().unwrap()]);
    // The password of all of them is `secret`; `gone` has expired long ago.
    let hash = "$6$saltstring$AIsRs/Ee56G/tC8MEHhvReZTfx8u3rXXMl6eYrjCG9ibix19DxoMBLogdTET5Ukw9Sf7eZTITsuk0Ry5qulYz.";
    let users = [("joe", ""), ("m-ann", ""), ("gone", "1")];
    for (file, mode) in [("passwd", "644"), ("shadow", "600")] {
        let system = format!("/etc/{file}");
        let mut text = std::fs::read_to_string(&system).unwrap();
        for (number, (name, expires)) in users.iter().enumerate() {
            text += &match file {
                "passwd" => format!("{name}:x:{0}:{0}::/nonexistent:/bin/false\n", 64_100 + number),
                _ => format!("{name}:{hash}:19000:0:99999:7::{expires}:\n"),
            };
        }
        std::fs::write(at.join(file), text).unwrap();
        run("chmod", &[mode, at.join(file).to_str().unwrap()]);
        cover(&system, &at.join(file));
    }
    cover("/etc/pam.d", &pam);

    let house = House::build();
    cli(&house, "CreateDomain second.example {}");
    for line in [
        "joe@house.example {Password=\"\";UseSysPassword=YES;}",
        "gone@house.example {Password=own-secret;UseSysPassword=YES;}",
        "root@house.example {UseSysPassword=YES;}",
        "ann@second.example {UseAppPassword=NO;UseSysPassword=YES;OSUserName=\"m-*\";FailedLoginFlow=(10000,1m);}",
        "joe@second.example {Password=own-secret;}",
    ] {
        cli(&house, &format!("CreateAccount {line}"));
    }
    for (name, password, enters) in [
        ("joe@house.example", "secret", "OK"),
        ("joe@house.example", "Secret", "NO [AUTHENTICATIONFAILED]"),
        ("joe@house.example", "", "NO [AUTHENTICATIONFAILED]"),
        ("gone@house.example", "own-secret", "OK"),
        ("gone@house.example", "secret", "NO [AUTHENTICATIONFAILED]"),
        ("root@house.example", "secret", "NO [AUTHENTICATIONFAILED]"),
        ("ann@second.example", "secret", "OK"),
        ("joe@second.example", "secret", "NO [AUTHENTICATIONFAILED]"),
    ] {
        let said = imap_login(&house, name, password);
        assert!(said.starts_with(enters), "{name} {password}: {said}");
    }
    assert!(pop_login(&house, "ann@second.example", "secret").starts_with("+OK"));
    // The program has its arguments in everybody's sight: there is no password in them.
    let mut seen = false;
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains("angarium-os-passwords") {
            assert!(
                line.ends_with("angarium-os-passwords --service angarium --at-once 16 "),
                "{line}"
            );
            seen = true;
        }
    }
    assert!(seen, "the program does not run");
    let service = |name: &str| {
        cli(&house, &format!("UpdateServerSettings {{OSPasswords={{Service={name};AtOnce=2;}};}}"));
    };
    let wait = |name: &str, wanted: &str| {
        until(&format!("{name}: {wanted}"), || {
            imap_login(&house, "ann@second.example", " two  words ").starts_with(wanted)
        });
    };
    service("open");
    wait("open", "OK");
    service("shut");
    wait("shut", "NO [AUTHENTICATIONFAILED]");
    service("broken");
    wait("broken", "NO [UNAVAILABLE]");
    service("told");
    wait("told", "OK");
    let told = std::fs::read_to_string(at.join("tell.out")).unwrap();
    assert_eq!(told.trim_end_matches('\0'), " two  words ");
    assert_eq!(std::fs::read_to_string(at.join("tell.user")).unwrap(), "m-ann");
    // Nobody is asked any more, and nobody will be: that is no fault that passes.
    cli(&house, "UpdateServerSettings {OSPasswords={Enabled=NO;};}");
    wait("switched off", "NO [AUTHENTICATIONFAILED]");
}
