//! The on-the-fly chapter of the guides end to end, without a script: the old server is a Dovecot behind
//! a Postfix, users come one by one over a simulated day while mail arrives at both servers, the server
//! is restarted in between, and at the switch everybody has all of his mail once.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

mod house;

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpStream;
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use house::certificates::Authority;
use house::foreign::Foreign;
use house::island::{cover, island, run};
use house::smtp::Smtp;
use house::{House, Imap, installed};

/// The domain that moves, and where from.
const MOVING: &str = "client.example";
const OLD: &str = "192.0.2.10";
/// Users, and what each has at the old server at first.
const USERS: usize = 50;
const LMTP: u16 = 2_024;
const IMAP: u16 = 2_143;

fn name(user: usize) -> String {
    format!("user{user:02}")
}

fn full(user: usize) -> String {
    format!("{}@{MOVING}", name(user))
}

/// A password nobody else has, as odd as people's are.
fn password(user: usize) -> String {
    format!("pw {user:02}-\"t4nst44f1\\{}", user * 7919)
}

/// The old server: Dovecot with a password for each user, IMAP over TLS with a certificate.
struct Dovecot {
    child: Child,
    _directory: tempfile::TempDir,
}

impl Dovecot {
    fn start(authority: &Authority) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        run("chmod", &["755", at.to_str().unwrap()]);
        std::fs::create_dir(at.join("mail")).unwrap();
        chown(at.join("mail"), Some(65_534), Some(65_534)).unwrap();
        let users: String =
            (0..USERS).map(|u| format!("{}:{{PLAIN}}{}::::::\n", name(u), password(u))).collect();
        std::fs::write(at.join("users"), users).unwrap();
        run("chmod", &["644", at.join("users").to_str().unwrap()]);
        let issued = authority.issue("old.example");
        let text = format!(
            "protocols = imap lmtp\nlisten = 127.0.0.1, {OLD}\nbase_dir = {at}/run\n\
             state_dir = {at}/state\nlog_path = {at}/log\nssl = yes\nssl_cert = <{cert}\n\
             ssl_key = <{key}\ndisable_plaintext_auth = no\nmail_location = maildir:~/Maildir\n\
             first_valid_uid = 1\nauth_username_format = %Ln\nauth_cache_size = 0\n\
             mail_max_userip_connections = 100\n\
             passdb {{\n driver = passwd-file\n args = scheme=PLAIN {at}/users\n}}\n\
             userdb {{\n driver = static\n args = uid=65534 gid=65534 home={at}/mail/%n \
             allow_all_users=yes\n}}\nnamespace inbox {{\n inbox = yes\n separator = /\n}}\n\
             service imap-login {{\n inet_listener imap {{\n address = 127.0.0.1\n port = {IMAP}\n }}\n \
             inet_listener imaps {{\n address = {OLD}\n port = 993\n ssl = yes\n }}\n}}\n\
             service lmtp {{\n inet_listener lmtp {{\n address = 127.0.0.1\n port = {LMTP}\n }}\n}}\n",
            at = at.display(),
            cert = issued.certificate.display(),
            key = issued.key.display(),
        );
        std::fs::write(at.join("dovecot.conf"), text).unwrap();
        let out = std::fs::File::create(at.join("out")).unwrap();
        let child = Command::new("timeout")
            .args(["-k", "5", "580", "dovecot", "-F", "-c"])
            .arg(at.join("dovecot.conf"))
            .env("HOME", at)
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap();
        let end = Instant::now() + Duration::from_secs(60);
        for to in [("127.0.0.1", LMTP), ("127.0.0.1", IMAP), (OLD, 993)] {
            while TcpStream::connect(to).is_err() {
                let log = std::fs::read_to_string(at.join("out")).unwrap();
                assert!(Instant::now() < end, "dovecot does not answer: {log}");
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        Self { child, _directory: directory }
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

fn login(at: &str, port: u16, user: &str, password: &str) -> (Imap, String) {
    let mut imap = Imap::connect_to(at, port);
    let said = imap.command(&format!("LOGIN \"{user}\" \"{}\"", quoted(password))).1;
    (imap, said)
}

fn here(house: &House, user: usize) -> (Imap, String) {
    login(&house.address, house.port(143), &full(user), &password(user))
}

fn letter(token: &str) -> String {
    format!("From: <friend@far.example>\r\nSubject: {token}\r\n\r\nhello {token}\r\n")
}

/// Sends to a server on port 25, until it takes it: what is put off is sent again, as servers do.
fn send(at: &str, user: usize, token: &str) {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let reply =
            Smtp::connect(at, 25).letter("friend@far.example", &[&full(user)], &letter(token));
        if reply.starts_with("250") {
            return;
        }
        assert!(reply.starts_with('4') && Instant::now() < end, "{token} to {at}: {reply}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Subjects of all messages of a session, each as often as it is there.
fn subjects(imap: &mut Imap, mailboxes: &[&str]) -> Vec<String> {
    let mut all = Vec::new();
    for mailbox in mailboxes {
        if !imap.command(&format!("EXAMINE \"{mailbox}\"")).1.starts_with("OK") {
            continue;
        }
        for line in imap.command("FETCH 1:* BODY.PEEK[HEADER.FIELDS (SUBJECT)]").0 {
            let text = String::from_utf8_lossy(&line).into_owned();
            let found = text.split("Subject: ").nth(1);
            all.extend(found.map(|rest| rest.split("\r\n").next().unwrap().to_owned()));
        }
    }
    all
}

fn cli(house: &House, line: &str) -> String {
    let (code, out) = house.angarium(&["cli", line]);
    assert_eq!(code, 0, "{line}");
    out
}

/// Files below a directory that hold one of these texts.
fn holding(under: &Path, texts: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(under).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(holding(&path, texts));
        } else if let Ok(octets) = std::fs::read(&path) {
            let text = String::from_utf8_lossy(&octets);
            for one in texts.iter().filter(|one| text.contains(one.as_str())) {
                found.push(format!("{} in {}", one, path.display()));
            }
        }
    }
    found
}

/// Runs a subcommand that trusts this authority; exit code and standard output.
fn trusting(house: &House, authority: &Authority, words: &[&str]) -> (i32, String) {
    let out = Command::new("timeout")
        .args(["-k", "5", "300", house::ANGARIUM])
        .args(&words[..1])
        .args(["--base", house.base.to_str().unwrap()])
        .args(&words[1..])
        .env("SSL_CERT_FILE", authority.certificate())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    eprint!("{}", String::from_utf8_lossy(&out.stderr));
    (out.status.code().unwrap_or(-1), String::from_utf8_lossy(&out.stdout).into_owned())
}

/// Old server, its Postfix, and a new one that knows it by name and trusts its authority.
struct World {
    authority: Authority,
    _postfix: Foreign,
    _dovecot: Dovecot,
    _files: tempfile::TempDir,
}

impl World {
    fn build() -> Option<Self> {
        if !installed("dovecot") || !Path::new("/usr/lib/dovecot/lmtp").exists() {
            return None;
        }
        let authority = Authority::new();
        let files = tempfile::tempdir().unwrap();
        run("chmod", &["755", files.path().to_str().unwrap()]);
        let hosts = files.path().join("hosts");
        std::fs::write(&hosts, format!("127.0.0.1 localhost\n{OLD} old.example fake.example\n"))
            .unwrap();
        cover("/etc/hosts", &hosts);
        let known: String = (0..USERS).map(|user| format!("{} all/\n", full(user))).collect();
        std::fs::write(files.path().join("known"), known).unwrap();
        let more = format!(
            "virtual_mailbox_maps = texthash:{}\nvirtual_transport = lmtp:inet:127.0.0.1:{LMTP}\n\
             smtpd_relay_restrictions = reject_unauth_destination\n",
            files.path().join("known").display()
        );
        let postfix = Foreign::postfix(OLD, MOVING, &authority, &more)?;
        let dovecot = Dovecot::start(&authority);
        Some(Self { authority, _postfix: postfix, _dovecot: dovecot, _files: files })
    }

    fn new_server(&self) -> House {
        let mut house = House::alone("127.0.0.1", "house.example");
        let trusted = self.authority.certificate().display().to_string();
        house.environment.push(("SSL_CERT_FILE".into(), trusted));
        house.start();
        house
    }
}

/// A number that looks like chance and is the same each time.
fn chance(seed: usize, below: usize) -> usize {
    seed.wrapping_mul(2_654_435_761).wrapping_add(seed >> 3) % below
}

// MIG-46, MIG-47, MIG-48, MIG-49, MIG-50, MIG-54, MIG-76, ABU-44
#[test]
fn mig_50_fifty_users_move_over_a_day_while_mail_arrives_at_both_servers() {
    let test = "mig_50_fifty_users_move_over_a_day_while_mail_arrives_at_both_servers";
    if !island(test) {
        return;
    }
    let Some(world) = World::build() else { return };
    let mut wanted: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    // What everybody has at the old server before.
    for user in 0..USERS {
        let (mut imap, said) = login("127.0.0.1", IMAP, &name(user), &password(user));
        assert!(said.starts_with("OK"), "{said}");
        imap.ok("CREATE \"Sent\"");
        let tokens = ["a", "b", "sent"].map(|kind| format!("before-{user}-{kind}"));
        let letters: Vec<String> = tokens.iter().map(|token| letter(token)).collect();
        let date = "22-Nov-2026 10:00:00 +0000".to_owned();
        for (mailbox, letters) in [("INBOX", &letters[..2]), ("Sent", &letters[2..])] {
            let all = letters.iter().map(|l| ("\\Seen".to_owned(), date.clone(), l.as_bytes()));
            imap.append_all(mailbox, all);
        }
        wanted.insert(user, BTreeSet::from(tokens));
    }
    let mut house = world.new_server();
    let prepare = |server: &str| {
        let (code, out) = house.angarium(&[
            "takeover",
            "prepare",
            MOVING,
            "--server",
            server,
            "--smtp",
            "old.example",
            "--login-domain",
            "no",
            "--every",
            "never",
        ]);
        assert_eq!(code, 0, "{out}");
    };
    // A server that cannot prove who it is is shown nothing, and nobody is refused for it.
    prepare("fake.example:993");
    assert!(here(&house, 0).1.starts_with("NO [UNAVAILABLE]"));
    prepare("old.example:993");

    // The day: two users an hour, mail in between at both servers, some passwords wrong at first.
    for user in 0..USERS {
        for (round, at) in [OLD, &house.address].into_iter().enumerate() {
            let to = chance(user * 2 + round, USERS);
            let token = format!("day-{user}-{round}");
            send(at, to, &token);
            wanted.get_mut(&to).unwrap().insert(token);
        }
        if user % 5 == 0 {
            let (_, said) = login("127.0.0.1", 143, &full(user), "guessed");
            assert!(said.starts_with("NO"), "{said}");
        }
        let (_, said) = here(&house, user);
        assert!(said.starts_with("OK"), "{} {said}", full(user));
        if user == USERS / 2 {
            house.kill();
            house.start();
        }
    }
    // Nobody else came in.
    let nobody = format!("nobody@{MOVING}");
    assert!(login("127.0.0.1", 143, &nobody, "guessed").1.starts_with("NO"));
    let mut smtp = Smtp::connect("127.0.0.1", 25);
    assert!(smtp.letter("a@far.example", &[&nobody], "x").starts_with("550"));
    let all = cli(&house, &format!("ListAccounts {MOVING}"));
    assert_eq!(all.matches("user").count(), USERS, "{all}");

    // The switch: mail that came to the old server last is brought over before it is forgotten.
    for user in 0..5 {
        let token = format!("last-{user}");
        send(OLD, user, &token);
        wanted.get_mut(&user).unwrap().insert(token);
    }
    let settled = Instant::now() + Duration::from_secs(30);
    while subjects(&mut login("127.0.0.1", IMAP, &name(4), &password(4)).0, &["INBOX"])
        .iter()
        .all(|token| token != "last-4")
    {
        assert!(Instant::now() < settled, "the old server does not deliver");
        std::thread::sleep(Duration::from_millis(100));
    }
    let (code, out) = house.angarium(&["takeover", "switch", MOVING]);
    assert_eq!(code, 4, "{out}");
    assert!(out.contains("[x] arrived") && out.contains("[ ] closed"), "{out}");
    let closed = ["--done", "closed", "--wait", "240", "--resolver", "127.0.0.1:9"];
    let (code, out) = house.angarium(&[&["takeover", "switch", MOVING], &closed[..]].concat());
    assert_eq!(code, 4, "{out}");
    assert!(out.contains("[x] copied") && out.contains("[x] ports"), "{out}");
    let (code, out) = house.angarium(&["takeover", "status", MOVING, "--json"]);
    let told: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &told["domains"][MOVING]["counts"]["copied"]), (0, &USERS.into()), "{out}");
    let (code, out) = house.angarium(&[
        "takeover", "switch", MOVING, "--done", "mx", "--done", "drained", "--finish", "--json",
    ]);
    assert_eq!(code, 0, "{out}");

    // Everybody has everything, once.
    for (user, wanted) in &wanted {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let (mut imap, said) = here(&house, *user);
            assert!(said.starts_with("OK"), "{said}");
            let mut found = subjects(&mut imap, &["INBOX", "Sent"]);
            found.sort();
            let wanted: Vec<String> = wanted.iter().cloned().collect();
            if found == wanted {
                break;
            }
            assert!(Instant::now() < end, "{}: {found:?}\nnot {wanted:?}", full(*user));
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    // No password in clear is on the disk: not in the store, not in a log, not in the book.
    let secrets: Vec<String> = (0..USERS).map(password).collect();
    let base = house.base.clone();
    house.stop();
    assert_eq!(holding(&base, &secrets), Vec::<String>::new());
    let book = base.join("TakeOver").join(MOVING);
    let pages = holding(&book, &["\"sealed\"".to_owned()]);
    assert!(book.join("user00.json").exists() && pages.is_empty(), "{pages:?}");
}

/// Lines of the logs about the copies of the shipped authenticator.
fn log_lines(base: &Path) -> String {
    let Ok(all) = std::fs::read_dir(base.join("SystemLogs")) else { return String::new() };
    all.flatten()
        .filter_map(|file| std::fs::read_to_string(file.path()).ok())
        .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .filter(|line| line.contains("the mail is") || line.contains("the mover"))
        .collect::<Vec<_>>()
        .join("\n")
}

// MIG-50, MIG-53, SYS-22
#[test]
fn mig_53_a_rehearsal_and_the_shipped_helper_with_a_real_old_server() {
    let test = "mig_53_a_rehearsal_and_the_shipped_helper_with_a_real_old_server";
    if !island(test) {
        return;
    }
    let Some(world) = World::build() else { return };
    let house = world.new_server();
    let (mut imap, _) = login("127.0.0.1", IMAP, &name(1), &password(1));
    let text = letter("helped");
    let date = "22-Nov-2026 10:00:00 +0000".to_owned();
    imap.append_all("INBOX", [(String::new(), date, text.as_bytes())].into_iter());
    // The helper: the same take-over by the protocol of external authenticators.
    for line in [
        "UpdateAccountSettings postmaster {PasswordEncryption=A-crpt;}".to_owned(),
        "SetAccountPassword postmaster PASSWORD helper-secret".to_owned(),
        format!("CreateDomain {MOVING} {{ExternalOnUnknown=YES;AUTHMethods=(PLAIN,SESSIONID);}}"),
        format!("UpdateAccountTemplate {MOVING} {{UseAppPassword=NO;UseExtPassword=YES;}}"),
    ] {
        cli(&house, &line);
    }
    std::fs::write(house.base.join("helper.password"), "helper-secret\n").unwrap();
    let text = format!(
        "{{ Domains = {{ {MOVING} = {{ Server=\"old.example:993\"; LoginDomain=NO; }}; }};\n  \
         PasswordFile = \"helper.password\"; Hello = house.example; }}\n"
    );
    std::fs::write(house.base.join("helper.conf"), text).unwrap();
    cli(
        &house,
        "UpdateServerSettings {ExternalAUTH={LogLevel=4;\
         ProgramName=\"$angarium takeover helper helper.conf\";};}",
    );
    send(&house.address, 1, "first");
    assert!(login("127.0.0.1", 143, &full(1), "guessed").1.starts_with("NO"));
    let (mut imap, said) = here(&house, 1);
    assert!(said.starts_with("OK"), "{said}");
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let mut found = subjects(&mut imap, &["INBOX"]);
        found.sort();
        if found == ["first", "helped"] {
            break;
        }
        assert!(Instant::now() < end, "{found:?}: {}", log_lines(&house.base));
        std::thread::sleep(Duration::from_millis(200));
        imap = here(&house, 1).0;
    }
    let settings = cli(&house, &format!("GetAccountSettings {}", full(1)));
    assert!(settings.contains("UseExtPassword = NO"), "{settings}");

    // A rehearsal of the built-in one, with three test accounts.
    cli(&house, "UpdateServerSettings {ExternalAUTH=default;}");
    let (code, out) = house.angarium(&[
        "takeover",
        "prepare",
        MOVING,
        "--server",
        "old.example:993",
        "--login-domain",
        "no",
    ]);
    assert_eq!(code, 0, "{out}");
    let list = house.base.join("tests.list");
    let rows: String = (1..4).map(|u| format!("{}\t{}\n", name(u), password(u))).collect();
    std::fs::write(&list, format!("Name\tPassword\n{rows}")).unwrap();
    let list = list.to_str().unwrap();
    let words = [
        "takeover",
        "rehearse",
        MOVING,
        "--accounts",
        list,
        "--users",
        "5000",
        "--resolver",
        "127.0.0.1:9",
    ];
    let (code, out) = trusting(&house, &world.authority, &words);
    assert_eq!(code, 0, "{out}");
    for what in ["user02 logs in at the old server", "logs in here by POP", "it arrives at user03@"]
    {
        assert!(out.contains(&format!("ok    {what}")) || out.contains(what), "{what}: {out}");
    }
    assert!(out.contains("forecast for 5000 users from 3"), "{out}");
    // Who is to come, and has not.
    let (code, out) = house.angarium(&["takeover", "status", MOVING, "--list", list, "--json"]);
    let told: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &told["domains"][MOVING]["missing"]), (0, &serde_json::json!([])), "{out}");
    std::fs::write(house.base.join("more.list"), "user09\n").unwrap();
    let more = house.base.join("more.list");
    let (_, out) =
        house.angarium(&["takeover", "status", MOVING, "--list", more.to_str().unwrap()]);
    assert!(out.contains("user09: has not arrived"), "{out}");
    // One test account with a wrong password is told.
    std::fs::write(house.base.join("tests.list"), "Name\tPassword\nuser05\twrong\n").unwrap();
    let (code, out) = trusting(&house, &world.authority, &words);
    assert_eq!(code, 4, "{out}");
    assert!(out.contains("WRONG user05 logs in at the old server"), "{out}");
}

// MIG-56
#[test]
fn mig_56_gradual_migration_is_one_command() {
    let house = House::build();
    cli(&house, &format!("CreateDomain {MOVING} {{}}"));
    let route = || house.angarium(&["route", &format!("joe@{MOVING}")]).1;
    for (to, wanted) in [("192.0.2.3", "192.0.2.3"), ("old.example:26", "old.example")] {
        let (code, out) = house.angarium(&["takeover", "gradual", MOVING, "--to", to]);
        assert_eq!(code, 0, "{out}");
        assert!(route().contains(wanted), "{}", route());
    }
    let (code, _) = house.angarium(&["takeover", "gradual", MOVING, "--off"]);
    assert_eq!(code, 0);
    assert!(!route().contains("old.example"), "{}", route());
    assert_eq!(house.angarium(&["takeover", "gradual", MOVING, "--to", "a b"]).0, 1);
}
