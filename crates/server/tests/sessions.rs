//! Sessions from outside: tunnels by `angarium exec imap` (with mbsync), ports and limits changed
//! while the server runs, the table of sessions, alerts, the server's goodbye.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

mod house;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use house::{ANGARIUM, DOMAIN, House, Imap, installed};

const LETTER: &str = "From: me@house.example\r\nSubject: tunnel\r\n\
    Message-ID: <t1@house.example>\r\n\r\nthrough the tunnel\r\n";

/// Runs `angarium exec imap` with a script on standard input.
fn exec(base: &Path, account: &str, script: &str) -> Output {
    let mut child = Command::new(ANGARIUM)
        .args(["exec", "--base", base.to_str().unwrap(), "imap", account])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn exec_imap_serves_a_session_with_and_without_a_running_server() {
    let mut house = House::build();
    house.account("joe");
    let joe = format!("joe@{DOMAIN}");
    let append = format!("a APPEND INBOX {{{}+}}\r\n{LETTER}\r\nb LOGOUT\r\n", LETTER.len());
    let out = exec(&house.base, &joe, &append);
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert_eq!(out.status.code(), Some(0), "{said}");
    assert!(said.starts_with("* PREAUTH [CAPABILITY IMAP4rev1 "), "{said}");
    assert!(said.contains("\r\na OK [APPENDUID ") && said.contains("\r\nb OK "), "{said}");
    // The end of standard input ends the session too.
    assert_eq!(exec(&house.base, &joe, "a NOOP\r\n").status.code(), Some(0));
    let unknown = exec(&house.base, "nobody", "a NOOP\r\n");
    assert_eq!((unknown.status.code(), unknown.stdout.len()), (Some(1), 0));
    house.stop();
    let out =
        exec(&house.base, &joe, "a SELECT INBOX\r\nb FETCH 1 BODY.PEEK[TEXT]\r\nc LOGOUT\r\n");
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
    assert!(said.starts_with("* PREAUTH ") && said.contains("through the tunnel"), "{said}");
    assert_eq!(exec(&house.base, "nobody", "").status.code(), Some(1));
    assert_eq!(exec(&house.base.join("none"), &joe, "").status.code(), Some(2));
    if installed("mbsync") {
        house.start();
        mbsync_through_a_tunnel(&house, &joe);
    }
}

fn mbsync_through_a_tunnel(house: &House, joe: &str) {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    std::fs::create_dir(root.join("mail")).unwrap();
    let conf = root.join("mbsyncrc");
    let text = format!(
        "IMAPStore far\nTunnel \"{ANGARIUM} exec --base {} imap {joe}\"\n\n\
         MaildirStore near\nPath {at}/mail/\nInbox {at}/mail/INBOX\nSubFolders Verbatim\n\n\
         Channel all\nFar :far:\nNear :near:\nPatterns *\nCreate Both\nSync All\n\
         SyncState *\n",
        house.base.display(),
        at = root.display()
    );
    std::fs::write(&conf, text).unwrap();
    let sync = || {
        let out = Command::new("mbsync")
            .args(["-c", conf.to_str().unwrap(), "-a"])
            .env("HOME", root)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    };
    sync();
    let files: Vec<_> = std::fs::read_dir(root.join("mail/INBOX/new"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    assert_eq!(files.len(), 1);
    // And back: a letter put here is there.
    let second = LETTER.replace("t1@", "t2@").replace("\r\n", "\n");
    std::fs::write(root.join("mail/INBOX/new/1700000000.2.here"), second).unwrap();
    sync();
    let mut imap = house.imap("joe");
    let status = imap.ok("STATUS INBOX (MESSAGES)");
    assert!(String::from_utf8_lossy(&status[0]).contains("MESSAGES 2"));
}

/// Waits until something holds.
fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn cli(house: &House, line: &str) -> String {
    let (code, out) = house.angarium(&["cli", line]);
    assert_eq!(code, 0, "{line}");
    out
}

/// The first line a server says on a port; `None` when nobody listens.
fn greeting(port: u16) -> Option<String> {
    let stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).ok()?;
    Some(line)
}

#[test]
fn imap_05_channels_and_ports_follow_the_settings_without_a_restart() {
    let house = House::build();
    house.account("joe");
    let (imap, pop) = (house.port(143), house.port(110));
    let mut held = house.imap("joe");
    cli(&house, "UpdateModule IMAP {Listener={MaxInputChannels=1;};}");
    let refused = "* BYE [UNAVAILABLE] too many connections, try again later\r\n";
    wait_until("one channel", || greeting(imap).as_deref() == Some(refused));
    held.ok("NOOP");
    // Another port, this one with TLS from the first byte, and the old one gone.
    let spare = house.port(144);
    let ports = "UpdateModule IMAP {Listener={MaxInputChannels=10;\
                 Ports=({PortNumber=144;},{PortNumber=993;InitialSecurity=YES;});};}";
    cli(&house, ports);
    wait_until("the new port", || greeting(spare).is_some_and(|l| l.starts_with("* OK ")));
    wait_until("the old port", || TcpStream::connect(("127.0.0.1", imap)).is_err());
    held.ok("NOOP");
    // 0 turns a service off.
    assert!(greeting(pop).is_some_and(|line| line.starts_with("+OK")));
    cli(&house, "UpdateModule POP {Listener={MaxInputChannels=0;};}");
    wait_until("POP off", || TcpStream::connect(("127.0.0.1", pop)).is_err());
    cli(&house, "UpdateModule POP {Listener=default;}");
    wait_until("POP on", || greeting(pop).is_some());
    // The list is written when all ports are open.
    wait_until("the list of listeners", || {
        let told = std::fs::read_to_string(house.base.join("run/listeners.json")).unwrap();
        told.contains(&spare.to_string()) && told.contains(&pop.to_string())
    });
    // What makes no sense is refused and changes nothing.
    let wrong = "UpdateModule IMAP {Listener={Ports=({PortNumber=0;});};}";
    assert_eq!(house.angarium(&["cli", wrong]).0, 1);
    assert!(greeting(spare).is_some());
}

#[test]
fn a_log_level_of_one_module_takes_effect_at_once_and_shows_no_password() {
    let house = House::build();
    house.account("joe");
    cli(&house, "UpdateModule IMAP {LogLevel=4;}");
    let logged = || {
        let files = std::fs::read_dir(house.base.join("SystemLogs")).unwrap();
        files.map(|f| std::fs::read_to_string(f.unwrap().path()).unwrap()).collect::<String>()
    };
    wait_until("protocol lines", || {
        house.imap("joe").ok("NOOP");
        logged().contains(" C: t2 Noop")
    });
    let all = logged();
    assert!(all.contains(" 4 IMAP-0") && !all.contains(" 4 POP"), "{all}");
    assert!(all.contains("Secret(***)") && !all.contains(house::PASSWORD), "{all}");
    cli(&house, "UpdateModule IMAP {LogLevel=default;}");
}

#[test]
fn imap_12_the_sessions_are_shown_with_the_tag_of_the_log() {
    let house = House::build();
    house.account("joe");
    let mut imap = house.imap("joe");
    imap.ok("SELECT INBOX");
    let (code, table) = house.angarium(&["sessions", "--service", "imap"]);
    assert_eq!(code, 0);
    let head = table.lines().next().unwrap();
    for column in ["ID", "IP Address", "Account", "Connected", "Status", "Running"] {
        assert!(head.contains(column), "{table}");
    }
    let row = table.lines().nth(1).unwrap();
    let joe = format!("joe@{DOMAIN}");
    for part in ["IMAP-0", "[127.0.0.1]", &joe, "sec", "Connected to mailbox"] {
        assert!(row.contains(part), "{part}: {table}");
    }
    let (_, json) = house.angarium(&["sessions", "--json"]);
    let json: serde_json::Value = serde_json::from_str(json.trim()).unwrap();
    let id = json["value"][0]["ID"].as_str().unwrap().to_owned();
    assert_eq!(json["value"][0]["Account"], joe);
    // IMAP-13: the log has the session under the same name.
    wait_until("the log", || house.angarium(&["log", "--tag", &id]).1.contains("logged in"));
    assert_eq!(cli(&house, &format!("ListAccountSessions {joe}")).trim(), id);
    assert!(cli(&house, &format!("GetSession {id}")).contains("Connected to mailbox"));
    assert!(house.angarium(&["sessions", "--service", "pop"]).1.ends_with("0 sessions\n"));
}

#[test]
fn sys_33_an_alert_posted_on_the_command_line_reaches_a_running_session() {
    let house = House::build();
    house.account("joe");
    let mut imap = house.imap("joe");
    imap.ok("SELECT INBOX");
    imap.send(b"i IDLE\r\n");
    assert!(imap.line().starts_with(b"+ "));
    cli(&house, &format!("PostAccountAlert joe@{DOMAIN} ALERT \"disk work at noon\""));
    assert_eq!(imap.line(), b"* OK [ALERT] disk work at noon\r\n");
    // Kept, and once only.
    assert!(!house.imap("joe").ok("NOOP").iter().any(|l| l.starts_with(b"* OK [ALERT]")));
    let all = cli(&house, &format!("GetAccountAlerts joe@{DOMAIN}"));
    let (stamp, text) = all.trim().split_once(" = ").unwrap();
    assert_eq!(text, "disk work at noon");
    cli(&house, &format!("RemoveAccountAlert joe@{DOMAIN} ALERT {stamp}"));
    assert_eq!(cli(&house, &format!("GetAccountAlerts joe@{DOMAIN}")).trim(), "");
}

#[test]
fn a_server_that_stops_says_goodbye_to_idle_and_waiting_sessions() {
    let mut house = House::build();
    house.account("joe");
    let mut idle = house.imap("joe");
    idle.ok("SELECT INBOX");
    idle.send(b"i IDLE\r\n");
    assert!(idle.line().starts_with(b"+ "));
    let mut waiting = house.imap("joe");
    let mut stranger = Imap::connect(house.port(143));
    let start = Instant::now();
    assert_eq!(house.stop(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(10));
    for session in [&mut idle, &mut waiting, &mut stranger] {
        assert_eq!(session.line(), b"* BYE [UNAVAILABLE] the server is stopping\r\n");
    }
}

#[test]
fn sessions_of_every_service_are_shown_and_hear_that_the_server_stops() {
    let mut house = House::build();
    let mut waiting: Vec<_> = [25, 106, 110].map(|port| connected(house.port(port))).into();
    let table = house.angarium(&["sessions"]).1;
    for id in ["SMTPI-0", "PWD-0", "POP-0"] {
        assert_eq!(table.matches(id).count(), 1, "{table}");
    }
    let begun = Instant::now();
    assert_eq!(house.stop(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(3), "nobody was waited for");
    for (stream, word) in waiting.iter_mut().zip(["421 4.3.2", "501", "-ERR"]) {
        let mut last = String::new();
        stream.read_to_string(&mut last).unwrap();
        assert_eq!(last, format!("{word} the server is stopping\r\n"));
    }
}

/// A client that has heard the greeting and says nothing.
fn connected(port: u16) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut stream = BufReader::new(stream);
    stream.read_line(&mut String::new()).unwrap();
    stream
}

#[test]
fn a_client_that_talks_nonsense_is_closed_after_a_stated_number_of_errors() {
    let house = House::build();
    let mut stream = TcpStream::connect(("127.0.0.1", house.port(143))).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    for _ in 0..20 {
        let _ = stream.write_all(b"x NONSENSE\r\n");
    }
    let mut all = String::new();
    let _ = stream.read_to_string(&mut all);
    assert_eq!(all.matches("x BAD").count(), 10, "{all}");
    assert!(all.contains("* BYE "), "{all}");
}
