//! Programs written for the old server's command language against ours (SYS-18, SYS-19): a Perl
//! script of two hundred commands, whose results are then seen by IMAP, POP and SMTP, clients that
//! parse as the libraries of the field do, and one such library unchanged.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

mod house;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use house::smtp::{Smtp, letter};
use house::{DOMAIN, House, Imap, PASSWORD, installed};

/// Runs a client of `tests/clients`; its standard output. It must end well within two minutes.
fn client(program: &Path, script: &str, arguments: &[String]) -> String {
    let home = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(script);
    let out = Command::new("timeout")
        .args(["-k", "5", "120"])
        .arg(program)
        .arg(&script)
        .args(arguments)
        .env("HOME", home.path())
        .env("PASSWORD", PASSWORD)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    let error = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{}: {said}{error}", script.display());
    said
}

fn skipped(program: &str) -> bool {
    if installed(program) {
        return false;
    }
    println!("skipped: {program} is not installed");
    eprintln!("skipped: {program} is not installed");
    true
}

/// Logs in to IMAP; `None` when that is refused.
fn imap(house: &House, name: &str, password: &str) -> Option<(Imap, String)> {
    let mut imap = Imap::connect(house.port(143));
    let (lines, done) = imap.command(&format!("LOGIN \"{name}\" \"{password}\""));
    let mut all: String = lines.iter().map(|line| String::from_utf8_lossy(line)).collect();
    all.push_str(&done);
    done.starts_with("OK").then_some((imap, all))
}

/// What is told of a command, quotes left out, a line each.
fn told(imap: &mut Imap, command: &str) -> String {
    let lines = imap.ok(command);
    let plain = |line: &Vec<u8>| String::from_utf8_lossy(line).trim_end().replace('"', "") + "\n";
    lines.iter().map(plain).collect()
}

/// Whether POP lets somebody in.
fn pop(house: &House, name: &str, password: &str) -> bool {
    let mut stream = TcpStream::connect(("127.0.0.1", house.port(110))).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut read = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    read.read_line(&mut line).unwrap();
    for command in [format!("USER {name}"), format!("PASS {password}")] {
        stream.write_all(format!("{command}\r\n").as_bytes()).unwrap();
        line.clear();
        read.read_line(&mut line).unwrap();
    }
    line.starts_with("+OK")
}

/// Waits until a letter of this subject is in an INBOX.
fn arrives(house: &House, name: &str, subject: &str) {
    let end = Instant::now() + Duration::from_secs(30);
    let (mut imap, _) = imap(house, name, PASSWORD).unwrap_or_else(|| panic!("{name} is let in"));
    imap.ok("SELECT INBOX");
    loop {
        imap.ok("NOOP");
        let found = told(&mut imap, &format!("SEARCH SUBJECT {subject}"));
        if found.trim_end() != "* SEARCH" {
            return;
        }
        assert!(Instant::now() < end, "{subject} does not reach {name}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn sys_18_two_hundred_commands_of_a_perl_script_are_seen_by_imap_pop_and_smtp() {
    if skipped("perl") {
        return;
    }
    let house = House::build();
    let arguments = [house.port(106).to_string(), DOMAIN.to_owned()];
    let said = client(Path::new("perl"), "two_hundred_commands.pl", &arguments);
    let sent: usize = said.split(' ').next().unwrap().parse().unwrap();
    assert!(sent >= 200, "{said}");
    seen_by_imap(&house);
    // A class of service that leaves out IMAP.
    assert!(imap(&house, "u04@one.example", PASSWORD).is_none());
    assert!(pop(&house, "u04@one.example", PASSWORD));
    assert!(pop(&house, "other-05@eins.example", PASSWORD), "an alias in a domain's other name");
    assert!(pop(&house, &format!("seven@{DOMAIN}"), PASSWORD), "moved to another domain");
    assert!(pop(&house, "sole@two.example", PASSWORD), "an account of one mailbox");
    assert!(!pop(&house, "u06@one.example", PASSWORD), "renamed");
    seen_by_smtp(&house);
}

fn seen_by_imap(house: &House) {
    let (mut own, _) = imap(house, "u01@one.example", PASSWORD).unwrap();
    let listed = told(&mut own, "LIST \"\" *");
    for name in ["Job", "Job/Old things", "Caf&AOk-", "Team/Plans", "Drafts"] {
        assert!(listed.contains(&format!(" {name}\n")), "{name}: {listed}");
    }
    assert!(!listed.contains("Work") && !listed.contains("Trash"), "{listed}");
    let subscribed = told(&mut own, "LSUB \"\" *");
    assert!(subscribed.contains("Job/Old things") && !subscribed.contains("Plans"));
    let acl = told(&mut own, "GETACL Job");
    assert!(acl.contains("u02 lrs"), "{acl}");
    let (mut second, _) = imap(house, "u02@one.example", PASSWORD).unwrap();
    told(&mut second, "SELECT Jobs");
    let quota = told(&mut second, "GETQUOTAROOT INBOX");
    assert!(quota.contains("STORAGE 0 81920") && quota.contains("MAILBOX"), "{quota}");
    assert!(imap(house, "alias.06@uno.example", PASSWORD).is_some(), "an alias after a rename");
    assert!(imap(house, "u08@one.example", PASSWORD).is_none(), "deleted");
    assert!(imap(house, "u09@one.example", PASSWORD).is_none(), "another password");
    assert!(imap(house, "u09@one.example", &format!("changed {PASSWORD}")).is_some());
    assert!(imap(house, "u10@one.example", "test").is_some(), "a hash of the old server");
    let (_, said) = imap(house, "u12@one.example", PASSWORD).unwrap();
    assert!(said.contains("[ALERT]") && said.contains("moves tonight"), "{said}");
    assert!(imap(house, "made@one.example", PASSWORD).is_some(), "a domain administrator's");
}

fn seen_by_smtp(house: &House) {
    let mut smtp = Smtp::connect("127.0.0.1", house.port(587));
    smtp.ok("EHLO test.example");
    smtp.login("u03@one.example", PASSWORD);
    let me = "u03@one.example";
    for to in ["u08@one.example", "team@one.example", "desk@one.example", "x@new.example"] {
        smtp.ok(&format!("MAIL FROM:<{me}>"));
        let reply = smtp.say(&format!("RCPT TO:<{to}>"));
        // One that is no domain of ours any more is another system's.
        let expected = if to.ends_with("new.example") { '2' } else { '5' };
        assert!(reply.starts_with(expected), "{to}: {reply}");
        smtp.ok("RSET");
    }
    let sales = format!("sales@{DOMAIN}");
    for (to, token, reached) in [
        ("crew@uno.example", "tocrew", vec!["u02@one.example", "six@one.example"]),
        ("info@one.example", "toinfo", vec![me]),
        (sales.as_str(), "tosales", vec!["u01@one.example"]),
        ("alias.02@one.example", "toalias", vec!["u02@one.example"]),
    ] {
        let reply = smtp.letter(me, &[to], &letter(me, to, token));
        assert!(reply.starts_with('2'), "{to}: {reply}");
        for name in reached {
            arrives(house, name, token);
        }
    }
}

/// An administrator whose password is kept readable, as APOP needs it.
fn administrator(house: &House) -> Vec<String> {
    let name = format!("ruler@{DOMAIN}");
    let made =
        format!("CreateAccount {name} {{Password=\"{PASSWORD}\";PasswordEncryption=\"A-crpt\";}}");
    for line in [made, format!("SetAccountRights {name} (Master)")] {
        assert_eq!(house.angarium(&["cli", &line]).0, 0, "{line}");
    }
    vec![house.port(106).to_string(), name]
}

#[test]
fn sys_19_clients_that_parse_as_the_fields_libraries_do_run() {
    if skipped("python3") {
        return;
    }
    let house = House::build();
    let arguments = administrator(&house);
    for script in ["keyword_client.py", "splitting_client.py", "raw_bytes_client.py"] {
        client(Path::new("python3"), script, &arguments);
    }
}

#[test]
fn sys_19_a_client_in_php_makes_objects_and_reads_every_form_of_data() {
    if skipped("php") {
        return;
    }
    let house = House::build();
    assert_eq!(client(Path::new("php"), "object_client.php", &administrator(&house)), "done\n");
}

#[test]
fn sys_19_a_client_in_java_makes_objects_and_reads_every_form_of_data() {
    // Java runs a file of source where its compiler is there too.
    if skipped("java") || skipped("javac") {
        return;
    }
    let house = House::build();
    assert_eq!(client(Path::new("java"), "ObjectClient.java", &administrator(&house)), "done\n");
}

#[test]
fn sys_19_a_library_of_the_package_index_runs_unchanged() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let made = root.join("target/foreign-python/bin/python");
    let has = |python: &PathBuf| {
        let out = Command::new(python).args(["-c", "import CGPCLI"]).output();
        out.is_ok_and(|out| out.status.success())
    };
    let Some(python) = [made, PathBuf::from("python3")].into_iter().find(has) else {
        println!("skipped: CGPCLI for Python is not installed");
        eprintln!("skipped: CGPCLI for Python is not installed");
        return;
    };
    let house = House::build();
    client(&python, "public_library.py", &administrator(&house));
}
