//! README's first minute with real programs: the server starts with nothing configured, an account
//! is made, curl sends by SMTP and reads back by IMAP and POP, byte for byte.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

mod house;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use house::{ANGARIUM, DOMAIN, House, Imap, PASSWORD, installed};

const LETTER: &str = "From: me@house.example\r\nTo: joe@house.example\r\nSubject: first\r\n\
    Date: Sat, 21 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@house.example>\r\n\r\n\
    .a line with a dot\r\nGr\u{fc}\u{df}e\r\n";

fn curl(arguments: &[&str]) -> std::process::Output {
    Command::new("curl").args(["-sS", "--max-time", "20"]).args(arguments).output().unwrap()
}

/// Waits until a mailbox has so many messages.
fn wait_for(house: &House, name: &str, messages: u32) {
    let end = Instant::now() + Duration::from_secs(20);
    let mut imap = house.imap(name);
    loop {
        let lines = imap.ok("STATUS INBOX (MESSAGES)");
        let text = String::from_utf8_lossy(&lines[0]).into_owned();
        if text.contains(&format!("MESSAGES {messages})")) {
            return;
        }
        assert!(Instant::now() < end, "{text}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn sys_01_a_letter_sent_by_curl_over_smtp_is_read_back_by_imap_and_pop() {
    if !installed("curl") {
        return;
    }
    let house = House::build();
    house.account("joe");
    let directory = tempfile::tempdir().unwrap();
    let letter = directory.path().join("letter.eml");
    std::fs::write(&letter, LETTER).unwrap();
    let sent = curl(&[
        &format!("smtp://127.0.0.1:{}", house.port(25)),
        "--mail-from",
        "me@house.example",
        "--mail-rcpt",
        "joe@house.example",
        "-T",
        letter.to_str().unwrap(),
    ]);
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    wait_for(&house, "joe", 1);
    let who = format!("joe@{DOMAIN}:{PASSWORD}");
    let url = format!("imap://127.0.0.1:{}/INBOX;UID=1", house.port(143));
    let by_imap = curl(&["--user", &who, &url]);
    assert!(by_imap.status.success(), "{}", String::from_utf8_lossy(&by_imap.stderr));
    let by_pop = curl(&["--user", &who, &format!("pop3://127.0.0.1:{}/1", house.port(110))]);
    assert!(by_pop.status.success(), "{}", String::from_utf8_lossy(&by_pop.stderr));
    // What we added stands in front; the letter itself is as it was.
    assert!(by_imap.stdout.ends_with(LETTER.as_bytes()));
    assert_eq!(by_imap.stdout, by_pop.stdout);
    let added = &by_imap.stdout[..by_imap.stdout.len() - LETTER.len()];
    let added = String::from_utf8_lossy(added);
    assert!(added.contains("Return-Path: <me@house.example>"), "{added}");
    assert!(added.contains("Received: from"), "{added}");
}

#[test]
fn sys_31_starttls_and_tls_ports_serve_the_programs_of_others() {
    if !installed("curl") || !installed("openssl") {
        return;
    }
    let house = House::build();
    house.account("joe");
    let who = format!("joe@{DOMAIN}:{PASSWORD}");
    for url in [
        format!("imaps://127.0.0.1:{}/", house.port(993)),
        format!("pop3s://127.0.0.1:{}/", house.port(995)),
    ] {
        let out = curl(&["-k", "--user", &who, &url]);
        assert!(out.status.success(), "{url}: {}", String::from_utf8_lossy(&out.stderr));
    }
    for (protocol, port) in [("smtp", 25), ("smtp", 587), ("imap", 143), ("pop3", 110)] {
        let out = Command::new("openssl")
            .args(["s_client", "-starttls", protocol, "-brief", "-connect"])
            .arg(format!("127.0.0.1:{}", house.port(port)))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(said.contains("TLSv1.3"), "{protocol} {port}: {said}");
    }
    let directory = tempfile::tempdir().unwrap();
    let letter = directory.path().join("letter.eml");
    std::fs::write(&letter, LETTER).unwrap();
    for mechanism in ["PLAIN", "LOGIN"] {
        let out = curl(&[
            "-k",
            "--ssl-reqd",
            &format!("smtp://127.0.0.1:{}", house.port(587)),
            "--user",
            &who,
            "--login-options",
            &format!("AUTH={mechanism}"),
            "--mail-from",
            "joe@house.example",
            "--mail-rcpt",
            "joe@house.example",
            "-T",
            letter.to_str().unwrap(),
        ]);
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.success(), "{mechanism}: {said}");
    }
}

#[test]
fn pwd_21_a_foreign_scram_client_gets_in_over_imap_and_smtp_and_the_server_proves_itself() {
    use std::io::Write;
    if !installed("python3") {
        return;
    }
    let house = House::build();
    house.account("joe");
    let mut child = Command::new("python3")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/scram.py"))
        .args([house.port(143).to_string(), house.port(587).to_string(), format!("joe@{DOMAIN}")])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(child.stdin.take().unwrap(), "{PASSWORD}").unwrap();
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}

#[test]
fn pwd_21_foreign_clients_get_in_by_apop_and_cram_md5_where_they_are_offered() {
    use std::io::Write;
    if !installed("python3") {
        return;
    }
    let house = House::build();
    let name = format!("joe@{DOMAIN}");
    for command in [
        format!("CreateAccount {name} {{Password=\"{PASSWORD}\";PasswordEncryption=A-crpt;}}"),
        "UpdateServerSettings {OldLoginMethods=(CRAM-MD5,APOP);}".to_owned(),
    ] {
        let (code, out) = house.angarium(&["cli", &command]);
        assert_eq!(code, 0, "{out}");
    }
    let mut child = Command::new("python3")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/old_logins.py"))
        .args([110, 143, 587, 106].map(|port| house.port(port).to_string()))
        .arg(&name)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(child.stdin.take().unwrap(), "{PASSWORD}").unwrap();
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}

#[test]
fn a_second_process_on_the_same_base_directory_is_refused_with_a_clear_message() {
    let house = House::build();
    let out = Command::new(ANGARIUM)
        .args(["serve", "--bind", "127.0.0.1", "--base", house.base.to_str().unwrap()])
        .args(["--port-offset", &house::free_offset().to_string()])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(2));
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(said.contains("in use"), "{said}");
}

#[test]
fn the_server_stops_cleanly_on_sigterm_and_everything_is_there_afterwards() {
    let mut house = House::build();
    house.account("joe");
    house.imap("joe").append_all(
        "INBOX",
        [("\\Seen $Label1".to_owned(), "17-Jul-1996 02:44:25 -0700".to_owned(), LETTER.as_bytes())]
            .into_iter(),
    );
    assert_eq!(house.stop(), Some(0));
    assert!(!house.base.join("run/listeners.json").exists());
    let (code, out) = house.angarium(&["check"]);
    assert_eq!(code, 0, "{out}");
    // Subcommands work without a running server, too.
    let (code, out) = house.angarium(&["account", "list"]);
    assert_eq!(code, 0);
    assert!(out.contains("joe"), "{out}");
    let (code, _) = house.angarium(&["rebuild-index"]);
    assert_eq!(code, 0);
    house.start();
    let mut imap = house.imap("joe");
    imap.ok("SELECT INBOX");
    let lines = imap.ok("UID FETCH 1:* (FLAGS INTERNALDATE BODY.PEEK[])");
    let text = String::from_utf8_lossy(&lines[0]);
    assert!(text.contains("17-Jul-1996 02:44:25 -0700"), "{text}");
    assert!(text.contains("\\Seen") && text.contains("$Label1"), "{text}");
    assert_eq!(Imap::literal(&lines[0]), LETTER.as_bytes());
}

#[test]
fn a_backup_of_a_running_server_is_a_base_directory_that_starts() {
    let house = House::build();
    house.account("joe");
    let messages =
        (0..50).map(|_| (String::new(), "01-Jan-2020 00:00:00 +0000".into(), LETTER.as_bytes()));
    house.imap("joe").append_all("INBOX", messages);
    let directory = tempfile::tempdir().unwrap();
    let to = directory.path().join("backup");
    let (code, out) = house.angarium(&["backup", to.to_str().unwrap()]);
    assert_eq!(code, 0, "{out}");
    let (code, out) = house.angarium(&["check", to.to_str().unwrap()]);
    assert_eq!(code, 0, "{out}");
    let other = House::at(&to);
    wait_for(&other, "joe", 50);
}

#[test]
fn sys_18_the_subcommands_and_the_pwd_port_are_one_administration() {
    use std::io::{BufRead, BufReader, Write};
    let house = House::build();
    assert_eq!(house.angarium(&["domain", "create", "two.example"]).0, 0);
    assert_eq!(house.angarium(&["account", "create", "ann@two.example", "RealName=Ann B"]).0, 0);
    assert_eq!(house.angarium(&["alias", "add", "ann@two.example", "anna"]).0, 0);
    let (_, list) = house.angarium(&["domain", "list"]);
    assert!(list.contains("two.example"), "{list}");
    let (code, json) = house.angarium(&["account", "--json", "show", "ann@two.example"]);
    assert_eq!(code, 0);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["value"]["RealName"], "Ann B");
    assert_eq!(house.angarium(&["account", "create", "ann@two.example"]).0, 1);

    let stream = std::net::TcpStream::connect(("127.0.0.1", house.port(106))).unwrap();
    let mut read = BufReader::new(stream.try_clone().unwrap());
    let mut write = stream;
    let mut line = String::new();
    read.read_line(&mut line).unwrap();
    assert!(line.starts_with("200 "), "{line}");
    let mut ask = |command: &str| {
        write.write_all(format!("{command}\n").as_bytes()).unwrap();
        line.clear();
        read.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    };
    assert!(ask("USER postmaster").starts_with("300 "));
    assert_eq!(ask(&format!("PASS {PASSWORD}")), "200 login OK");
    assert_eq!(ask("INLINE"), "200 OK");
    assert_eq!(ask("GetAccountAliases ann@two.example"), "201 (anna)");
    assert_eq!(ask("CreateAccount ann@two.example"), "520 account with this name already exists");
    assert_eq!(ask("DeleteAccount ann@two.example"), "200 OK");
    assert!(ask("QUIT").starts_with("200 "));
}

#[test]
fn sys_35_a_list_of_accounts_is_imported_and_each_bad_line_is_told() {
    let house = House::build();
    let directory = tempfile::tempdir().unwrap();
    let list = directory.path().join("list.txt");
    std::fs::write(
        &list,
        format!(
            "Name\tLimit\tPassword\tRealName\tAliases\tMailboxes\n\
             john\t10K\t{PASSWORD}\tJohn\tjohnny\tWork,Work/2026\n\
             jim\t120K\t{PASSWORD}\tJim\t\t\n\
             \t1K\tx\t\t\t\n\
             jim\t1K\tx\t\t\t\n"
        ),
    )
    .unwrap();
    let (code, out) = house.angarium(&["import", list.to_str().unwrap()]);
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("2 accounts made, 2 lines failed"), "{out}");
    assert!(out.contains("line 5: jim"), "{out}");
    let mut imap = house.imap("johnny");
    let lines = imap.ok("LIST \"\" *");
    let all = lines.concat();
    assert!(String::from_utf8_lossy(&all).contains("Work/2026"));
}

#[test]
fn a_server_whose_output_nobody_can_write_down_serves_all_the_same() {
    let Ok(full) = std::fs::OpenOptions::new().write(true).open("/dev/full") else {
        println!("skipped: there is no /dev/full");
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let mut house = House::alone("127.0.0.1", DOMAIN);
    house.base = directory.path().join("base");
    house.offset = house::free_offset();
    let errors = full.try_clone().unwrap();
    let mut child =
        house.command().arg("--clear-text-logins").stdout(full).stderr(errors).spawn().unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    // Nothing says ready, so the port does.
    while std::net::TcpStream::connect(("127.0.0.1", house.port(143))).is_err() {
        assert!(child.try_wait().unwrap().is_none(), "the server has ended");
        assert!(Instant::now() < end, "the server does not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    house.account("joe");
    house.imap("joe").ok("SELECT INBOX");
    Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    // A command whose output is lost ends by itself, too.
    let out = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let errors = out.try_clone().unwrap();
    let status = Command::new(ANGARIUM)
        .args(["account", "list", "--base", house.base.to_str().unwrap()])
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(errors)
        .status()
        .unwrap();
    assert_ne!(status.code(), Some(101));
}

// RTE-01
#[test]
fn rte_01_route_tells_every_step_and_what_is_odd_in_the_table() {
    let house = House::build();
    let table = "SetRouterTable \"<info> = postmaster\\e<info> = null\\e<old> = gone\"";
    assert_eq!(house.angarium(&["cli", table]).0, 0);
    let (code, text) = house.angarium(&["route", "info"]);
    assert_eq!(code, 0);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].ends_with("(line 1 of the table: <info> = postmaster)"), "{text}");
    assert!(lines[0].starts_with("  1. info@"), "{text}");
    assert!(lines[1].starts_with("  2. delivered to the account postmaster@"), "{text}");
    assert!(lines[2].starts_with("LOCAL (postmaster@"), "{text}");
    // What is refused is told with its steps.
    let (code, text) = house.angarium(&["route", "old"]);
    assert_eq!((code, text.lines().count()), (1, 2), "{text}");
    let (code, json) = house.angarium(&["route", "--json", "old", "--kind", "access"]);
    assert_eq!(code, 1);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["ok"], &json["value"]["code"]), (&false.into(), &513.into()), "{json}");
    let (code, text) = house.angarium(&["route", "--check"]);
    assert_eq!(code, 4);
    assert!(text.starts_with("line 2 is never reached: line 1 takes every address"), "{text}");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("table");
    std::fs::write(&file, "; ours\nnonsense\n").unwrap();
    let name = file.to_string_lossy();
    assert_eq!(house.angarium(&["route", "--check", &name]).0, 4);
    std::fs::write(&file, "; ours\r\n<info> = postmaster\r\n").unwrap();
    let (code, text) = house.angarium(&["route", "--check", &name]);
    assert_eq!((code, text.trim()), (0, "the table is in order"));
}
