//! MIG-35 to MIG-41 and MIG-44: five hundred accounts of a real Dovecot moved by one list, with ten
//! that cannot be moved for ten reasons; each is told in words that can be acted on, the others are
//! moved, and a second run costs next to nothing.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

mod house;

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use house::old_dovecot::OldDovecot;
use house::{ANGARIUM, DOMAIN, House};
use serde_json::Value;

/// Accounts that go well; ten more do not.
const GOOD: usize = 490;
/// Longest time a run may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// Runs `angarium move` and waits; exit code, standard output, standard error, seconds.
fn moving(state: &Path, words: &[&str]) -> (i32, String, String, f64) {
    let begun = Instant::now();
    let seconds = PATIENCE.as_secs().to_string();
    let out = Command::new("timeout")
        .args(["-k", "5", &seconds, ANGARIUM, "move"])
        .args(words)
        .env("XDG_STATE_HOME", state)
        .env("HOME", state)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |octets: Vec<u8>| String::from_utf8(octets).unwrap();
    let code = out.status.code().unwrap_or(-1);
    (code, text(out.stdout), text(out.stderr), begun.elapsed().as_secs_f64())
}

fn message(n: usize, size: usize) -> Vec<u8> {
    let mut text = format!(
        "From: a{n}@old.example\nTo: b@old.example\nSubject: letter {n}\n\
         Date: Sun, 13 Sep 2020 12:26:40 +0000\nMessage-ID: <{n}@old.example>\n\n"
    );
    while text.len() < size {
        text.push_str("Some words that stand in every letter of this test.\n");
    }
    text.into_bytes()
}

/// Passes connections on, and cuts each when so many octets have come from the server.
struct Cutter {
    port: u16,
    stop: Arc<AtomicBool>,
}

impl Cutter {
    fn start(to: u16, after: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(mut client) = client else { return };
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                std::thread::spawn(move || {
                    let mut server = TcpStream::connect(("127.0.0.1", to)).unwrap();
                    let (mut from, mut into) =
                        (client.try_clone().unwrap(), server.try_clone().unwrap());
                    std::thread::spawn(move || {
                        let _ = std::io::copy(&mut from, &mut into);
                        let _ = into.shutdown(std::net::Shutdown::Write);
                    });
                    let (mut left, mut piece) = (after, [0; 4096]);
                    while left > 0 {
                        let Ok(count) = server.read(&mut piece) else { break };
                        let count = count.min(left);
                        if count == 0 || client.write_all(&piece[..count]).is_err() {
                            break;
                        }
                        left -= count;
                    }
                    let _ = client.shutdown(std::net::Shutdown::Both);
                    let _ = server.shutdown(std::net::Shutdown::Both);
                });
            }
        });
        Self { port, stop }
    }
}

impl Drop for Cutter {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

struct Ten {
    /// Name at the old server, and what its report must say: in the reason, in the advice.
    told: Vec<(&'static str, &'static str, &'static str)>,
}

/// Names and what is wrong with each.
fn ten() -> Ten {
    Ten {
        told: vec![
            ("badsource", "refused the login", "--master1"),
            ("badtarget", "the new server refused the login", "its password is another: set it"),
            ("noaccount", "the new server refused the login", "the account is not there yet"),
            ("fullup", "quota", "storage quota"),
            ("toolarge", "", "largest message size"),
            ("lockedbox", "", ""),
            ("deepname", "", "--renameMailbox"),
            ("nowhere", "cannot connect to the old server", "nothing listens"),
            ("norow", "no Password", "mend this line"),
            ("cutoff", "the old server", "goes on where this one stopped"),
        ],
    }
}

/// The old server with all its mail.
fn old_server() -> Option<OldDovecot> {
    let mut users: Vec<(String, String)> =
        (0..GOOD).map(|n| (format!("user{n}"), format!("old-{n}"))).collect();
    users.extend(ten().told.iter().map(|(name, ..)| ((*name).to_owned(), "old-x".to_owned())));
    let old = OldDovecot::start(&users)?;
    for n in 0..GOOD {
        old.put(&format!("user{n}"), "", &[message(n * 10, 300), message(n * 10 + 1, 300)]);
        if n % 10 == 0 {
            old.put(&format!("user{n}"), "Archive", &[message(n * 10 + 2, 2_000)]);
        }
    }
    for (name, ..) in ten().told {
        let size = match name {
            "cutoff" => 400_000,
            _ => 300,
        };
        old.put(name, "", &[message(1_000_000, size), message(1_000_001, 300)]);
    }
    old.put("toolarge", "", &[message(1_000_002, 300_000), message(1_000_003, 300)]);
    let many: Vec<Vec<u8>> = (0..6).map(|n| message(1_000_010 + n, 20_000)).collect();
    old.put("fullup", "", &many);
    old.put("lockedbox", "Locked", &[message(1_000_004, 300)]);
    // Somebody's mistake on the old server: nobody can read this directory.
    let locked = old.mailbox("lockedbox", "Locked");
    Command::new("chmod").arg("000").arg(locked.join("cur")).status().unwrap();
    Command::new("chmod").arg("000").arg(&locked).status().unwrap();
    let deep = vec!["d"; 70].join(".");
    old.put("deepname", &deep, &[message(1_000_005, 300)]);
    Some(old)
}

/// The new server with its accounts, made from the same list as the move.
fn new_server(list: &Path) -> House {
    let house = House::build();
    // Readable passwords cost nothing to check: this is no test of Argon2.
    let defaults = format!("UpdateAccountDefaults {DOMAIN} {{PasswordEncryption=clear;}}");
    assert_eq!(house.angarium(&["cli", &defaults]).0, 0);
    // The same list serves the import, which tells the broken line in its way.
    let (code, text) = house.angarium(&["import", list.to_str().unwrap()]);
    assert!(code <= 1, "{text}");
    for line in [
        format!("DeleteAccount noaccount@{DOMAIN}"),
        format!("UpdateAccountSettings fullup@{DOMAIN} {{MaxAccountSize=50K;}}"),
        format!("UpdateAccountSettings toolarge@{DOMAIN} {{MaxMessageSize=100K;}}"),
    ] {
        let (code, text) = house.angarium(&["cli", &line]);
        assert_eq!(code, 0, "{line}: {text}");
    }
    house
}

fn list(directory: &Path, old: &OldDovecot, cutter: &Cutter) -> PathBuf {
    let closed = house::ports::free_port();
    // As a spreadsheet writes it: a mark, CRLF, a cell in quotation marks, a field for the import.
    let mut text = "\u{feff}Name\tRealName\tPassword\tNewPassword\tServer\r\n".to_owned();
    let server = format!("127.0.0.1:{}", old.imap);
    for n in 0..GOOD {
        write!(text, "user{n}\t\"User, {n}\"\told-{n}\t\t\r\n").unwrap();
    }
    for (name, ..) in ten().told {
        let (password, new) = match name {
            "badsource" => ("wrong", ""),
            "badtarget" => ("old-x", "wrong"),
            "norow" => ("", ""),
            _ => ("old-x", ""),
        };
        let at = match name {
            "nowhere" => format!("127.0.0.1:{closed}"),
            "cutoff" => format!("127.0.0.1:{}", cutter.port),
            _ => server.clone(),
        };
        write!(text, "{name}\tX\t{password}\t{new}\t{at}\r\n").unwrap();
    }
    let path = directory.join("accounts.txt");
    std::fs::write(&path, text).unwrap();
    path
}

fn account<'a>(report: &'a Value, name: &str) -> &'a Value {
    let all = report["accounts"].as_array().unwrap();
    all.iter().find(|a| a["name"] == name).unwrap_or_else(|| panic!("{name} is not in the report"))
}

#[test]
fn mig_35_five_hundred_accounts_are_moved_by_one_list_and_ten_troubles_are_explained() {
    let Some(old) = old_server() else { return };
    let directory = tempfile::tempdir().unwrap();
    let cutter = Cutter::start(old.imap, 100_000);
    let list = list(directory.path(), &old, &cutter);
    let house = new_server(&list);
    // The account badtarget has the password of the list's Password field at the new server.
    let state = directory.path().join("state");
    let (from, to) = (format!("127.0.0.1:{}", old.imap), format!("127.0.0.1:{}", house.port(143)));
    // Names that are refused are asked about: a wrong password is told from a missing account.
    let smtp = format!("127.0.0.1:{}", house.port(25));
    let (page, data) = (directory.path().join("report.html"), directory.path().join("report.json"));
    let words = [
        "accounts",
        "--IMAP",
        list.to_str().unwrap(),
        &from,
        &to,
        "--serverColumn",
        "Server",
        "--jobs",
        "8",
        "--retry",
        "1",
        "--askNames2",
        &smtp,
        "--report",
        page.to_str().unwrap(),
        "--report",
        data.to_str().unwrap(),
    ];
    let (code, out, err, seconds) = moving(&state, &words);
    println!("the first run took {seconds:.1} s");
    assert_eq!(code, 4, "{out}\n{err}");
    assert!(!err.contains("warning"), "{err}");
    let report: Value = serde_json::from_slice(&std::fs::read(&data).unwrap()).unwrap();
    let totals = &report["totals"];
    assert_eq!(totals["accounts"], GOOD + 10, "{out}");
    assert_eq!(totals["done"], GOOD, "{out}");
    for (name, reason, advice) in ten().told {
        let told = account(&report, name);
        let troubles = told["troubles"].as_array().unwrap();
        let words = |key: &str| -> String {
            troubles.iter().map(|t| t[key].as_str().unwrap()).collect::<Vec<_>>().join("\n")
        };
        println!("{name}: {}\n    {}", words("reason"), words("advice"));
        assert!(!troubles.is_empty(), "{name}");
        assert!(words("reason").to_lowercase().contains(&reason.to_lowercase()), "{name}: {told}");
        assert!(words("advice").contains(advice), "{name}: {told}");
        assert!(out.contains(&format!(" {name}")), "{name} is not told on standard output");
    }
    // What could be copied of an account in trouble is copied.
    assert_eq!(account(&report, "toolarge")["state"], "partly");
    assert_eq!(account(&report, "lockedbox")["copied"], 2);
    assert_eq!(account(&report, "deepname")["copied"], 2);
    let all = [out.as_str(), err.as_str(), &std::fs::read_to_string(&page).unwrap()].concat();
    assert!(!all.contains("old-x") && !all.contains("old-17"), "a password is told");

    // A sample is there, whole.
    let mut imap = house.imap_with("user20", "old-20");
    let counts = imap.ok("STATUS INBOX (MESSAGES)");
    assert!(String::from_utf8_lossy(&counts[0]).contains("MESSAGES 2"));
    let counts = imap.ok("STATUS Archive (MESSAGES)");
    assert!(String::from_utf8_lossy(&counts[0]).contains("MESSAGES 1"));

    // Again: those that are done cost milliseconds.
    let (code, _, _, seconds) = moving(&state, &words);
    println!("the second run took {seconds:.1} s");
    assert_eq!(code, 4);
    let again: Value = serde_json::from_slice(&std::fs::read(&data).unwrap()).unwrap();
    assert_eq!(again["totals"]["nothing_new"], GOOD, "{again:#}");
    let mut times: Vec<f64> = again["accounts"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|a| a["state"] == "nothing-new")
        .map(|a| a["seconds"].as_f64().unwrap())
        .collect();
    times.sort_by(f64::total_cmp);
    println!("an account with nothing new took {:.1} ms", times[times.len() / 2] * 1000.0);

    // When the causes are gone, the same command brings the rest.
    for line in [
        format!("UpdateAccountSettings fullup@{DOMAIN} {{MaxAccountSize=default;}}"),
        format!("UpdateAccountSettings toolarge@{DOMAIN} {{MaxMessageSize=default;}}"),
        format!("CreateAccount noaccount@{DOMAIN} {{Password=\"old-x\";}}"),
    ] {
        assert_eq!(house.angarium(&["cli", &line]).0, 0, "{line}");
    }
    let (code, out, _, _) = moving(&state, &words);
    assert_eq!(code, 4, "{out}");
    let third: Value = serde_json::from_slice(&std::fs::read(&data).unwrap()).unwrap();
    for name in ["fullup", "toolarge", "noaccount"] {
        let state = &account(&third, name)["state"];
        assert!(state == "done" || state == "nothing-new", "{name}: {}", account(&third, name));
    }
    assert_eq!(third["totals"]["nothing_new"].as_u64().unwrap() as usize, GOOD);
}

#[test]
fn mig_36_pop_is_the_default_and_each_account_comes_by_its_list() {
    let users: Vec<(String, String)> =
        (0..6).map(|n| (format!("pop{n}"), format!("pop-old-{n}"))).collect();
    let Some(old) = OldDovecot::start(&users) else { return };
    let house = House::build();
    let directory = tempfile::tempdir().unwrap();
    let mut text = "Name\tPassword\tNewName\n".to_owned();
    for (n, (name, password)) in users.iter().enumerate() {
        old.put(name, "", &[message(n, 300), message(n + 100, 300)]);
        house.account(&format!("new{n}"));
        let password = if n == 5 { "wrong" } else { password };
        writeln!(text, "{name}\t{password}\tnew{n}@{DOMAIN}").unwrap();
    }
    let list = directory.path().join("list");
    std::fs::write(&list, text).unwrap();
    let (from, to) = (format!("127.0.0.1:{}", old.pop), format!("127.0.0.1:{}", house.port(25)));
    let words = ["accounts", list.to_str().unwrap(), &from, &to, "--json"];
    let (code, out, err, _) = moving(directory.path(), &words);
    assert_eq!(code, 4, "{out}{err}");
    let lines: Vec<Value> = out.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines.len(), 7);
    let report = &lines[6]["report"];
    assert_eq!(report["totals"]["done"], 5, "{report:#}");
    assert_eq!(report["totals"]["copied"], 10);
    let bad = account(report, "pop5");
    assert!(bad["troubles"][0]["reason"].as_str().unwrap().contains("refused the login"), "{bad}");
    let (code, out, _, _) = moving(directory.path(), &words);
    assert_eq!(code, 4, "{out}");
    let report: Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    assert_eq!(report["report"]["totals"]["nothing_new"], 5, "{out}");
}

// MIG-42, MIG-44
#[test]
fn mig_44_many_accounts_are_kept_in_step_by_one_list() {
    let users = ["ann", "joe", "max"].map(|name| (name.to_owned(), format!("pw-{name}")));
    let Some(old) = OldDovecot::start(&users) else { return };
    for (name, _) in &users {
        old.put(name, "", &[message(1, 300), message(2, 300)]);
    }
    let house = House::build();
    for name in ["ann", "joe"] {
        house.account(name);
    }
    let room = tempfile::tempdir().unwrap();
    let (list, log) = (room.path().join("list"), room.path().join("log"));
    let rows: String =
        users.iter().map(|(name, own)| format!("{name}\t{own}\t{}\n", house::PASSWORD)).collect();
    std::fs::write(&list, format!("Name\tPassword\tNewPassword\n{rows}")).unwrap();
    let servers = [old.imap, house.port(143)].map(|port| format!("127.0.0.1:{port}"));
    let [list, log] = [&list, &log].map(|path| path.to_str().unwrap());
    let words = ["sync", "--accounts", list, "--logFile", log, "--jobs", "2", "--json"];
    let run = || {
        let words: Vec<&str> =
            words.iter().copied().chain(servers.iter().map(String::as_str)).collect();
        let (code, out, err, _) = moving(room.path(), &words);
        let report: Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
        (code, report["report"].clone(), err)
    };
    let (code, report, err) = run();
    assert_eq!(code, 4, "{report} {err}");
    for name in ["ann", "joe"] {
        assert_eq!(account(&report, name)["copied"], 2, "{report}");
    }
    assert_eq!(account(&report, "max")["state"], "failed", "{report}");
    // The next run takes what is new and carries flags over.
    old.put("ann", "", &[message(3, 300)]);
    let mut imap = house::Imap::login(old.imap, "joe", "pw-joe");
    imap.ok("SELECT INBOX");
    imap.ok("STORE 1 +FLAGS (\\Flagged)");
    let (code, report, err) = run();
    assert_eq!(code, 4, "{report} {err}");
    assert_eq!(account(&report, "ann")["copied"], 1, "{report}");
    assert_eq!(account(&report, "joe")["copied"], 0, "{report}");
    let mut imap = house.imap("joe");
    imap.ok("SELECT INBOX");
    let flags = imap.ok("FETCH 1 (FLAGS)");
    assert!(String::from_utf8_lossy(&flags[0]).contains("Flagged"));
    let log = std::fs::read_to_string(log).unwrap();
    assert_eq!(log.matches("ended with exit code 4").count(), 2, "{log}");
    assert!(!log.contains("pw-"), "{log}");
}

#[test]
fn mig_41_a_parameter_that_is_not_known_stops_before_anything_is_done() {
    let directory = tempfile::tempdir().unwrap();
    let list = directory.path().join("list");
    std::fs::write(&list, "Name\tPassword\na\tb\n").unwrap();
    let list = list.to_str().unwrap();
    let (code, _, err, _) = moving(directory.path(), &["accounts", list, "a", "b", "--byOne"]);
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("--byOne"), "{err}");
    std::fs::write(list, "Name\tPass\na\tb\n").unwrap();
    let (code, _, err, _) = moving(directory.path(), &["accounts", list, "a", "b"]);
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("no field Password"), "{err}");
}
