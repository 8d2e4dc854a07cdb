//! Logins of the mover at real servers: each method, master users, tokens, TLS by authority, pin
//! and tunnel, passwords from a terminal; and the probe that says which of them will work.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

mod house;
#[path = "move_sides/scripted.rs"]
mod scripted;

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use angarium_migrate::probe;
use clap::Parser as _;
use house::certificates::Authority;
use house::stand_in::{Manner, StandIn};
use house::{DOMAIN, House, PASSWORD, installed};
use scripted::{Scripted, Trick};

/// Password of the master user.
const MASTER: &str = "master-secret";
/// The name Dovecot's certificate is for.
const NAME: &str = "mail.old.example";

/// A Dovecot of the test's own with all its mechanisms, TLS and a master user.
struct Dovecot {
    directory: tempfile::TempDir,
    authority: Authority,
    plain: u16,
    implicit: u16,
    pop: u16,
    child: Child,
}

impl Dovecot {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let authority = Authority::new();
        let issued = authority.issue(NAME);
        let (plain, implicit) = (house::ports::free_port(), house::ports::free_port());
        let pop = house::ports::free_port();
        let house::dovecot_start::Users { internal, login, mail, group } =
            house::dovecot_start::users_with_homes(root);
        let at = root.display();
        std::fs::write(root.join("masters"), format!("admin:{{PLAIN}}{MASTER}\n")).unwrap();
        let text = format!(
            "base_dir = {at}/run\nstate_dir = {at}/state\nlog_path = {at}/log\n\
             listen = 127.0.0.1\nprotocols = imap pop3\ndisable_plaintext_auth = no\n\
             ssl = yes\nssl_cert = <{}\nssl_key = <{}\n\
             auth_mechanisms = plain login cram-md5 scram-sha-1 scram-sha-256\n\
             auth_failure_delay = 0\nauth_master_user_separator = *\n\
             default_internal_user = {internal}\ndefault_login_user = {login}\n\
             first_valid_uid = 1\nmail_uid = {mail}\nmail_gid = {group}\n\
             mail_location = sdbox:~/mail\nmail_fsync = never\n\
             passdb {{\n driver = passwd-file\n master = yes\n args = {at}/masters\n}}\n\
             passdb {{\n driver = static\n args = password={PASSWORD}\n}}\n\
             userdb {{\n driver = static\n args = uid={mail} gid={group} home={at}/home/%u\n}}\n\
             namespace inbox {{\n inbox = yes\n separator = /\n}}\n\
             service anvil {{\n chroot =\n}}\nservice stats {{\n chroot =\n}}\n\
             service imap-login {{\n chroot =\n inet_listener imap {{\n port = {plain}\n }}\n\
              inet_listener imaps {{\n port = {implicit}\n ssl = yes\n }}\n}}\n\
             service pop3-login {{\n chroot =\n inet_listener pop3 {{\n port = {pop}\n }}\n\
              inet_listener pop3s {{\n port = 0\n }}\n}}\n",
            issued.certificate.display(),
            issued.key.display(),
        );
        let child = house::dovecot_start::started(root, &text, &[plain]);
        Self { directory, authority, plain, implicit, pop, child }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Waits for words in what the log says after `from` octets.
    fn logged(&self, from: usize, words: &str) -> bool {
        let end = Instant::now() + Duration::from_secs(10);
        while Instant::now() < end {
            if self.log().get(from..).unwrap_or_default().contains(words) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    fn fingerprint(&self) -> String {
        let certificate = self.authority.issue(NAME).certificate;
        let out = Command::new("openssl")
            .args(["x509", "-noout", "-fingerprint", "-sha256", "-in"])
            .arg(certificate)
            .output()
            .unwrap();
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

/// Compares two accounts, which logs in on both sides and changes nothing.
struct Mover {
    old: String,
    new: String,
    account: String,
}

impl Mover {
    fn between(dovecot: u16, house: &House) -> Self {
        Self {
            old: format!("127.0.0.1:{dovecot}"),
            new: format!("127.0.0.1:{}", house.port(143)),
            account: format!("new@{DOMAIN}"),
        }
    }

    fn command(&self, flags: &[&str], old_name: &str) -> Command {
        let mut command = Command::new("timeout");
        command
            .args(["-k", "5", "60", house::ANGARIUM, "move-imap-mail", "--verifyOnly"])
            .args(["--noJournal"])
            .args(flags)
            .args([&self.old, old_name, "-", &self.new, &self.account, "-"])
            .env("ANGARIUM_NEW_PASSWORD", PASSWORD)
            .stdin(Stdio::null());
        command
    }

    fn run(&self, flags: &[&str], old_name: &str, old_password: &str) -> (i32, String) {
        let mut command = self.command(flags, old_name);
        let out = command.env("ANGARIUM_OLD_PASSWORD", old_password).output().unwrap();
        let said = [out.stdout, out.stderr].concat();
        (out.status.code().unwrap_or(-1), String::from_utf8_lossy(&said).into_owned())
    }
}

#[test]
fn each_login_method_and_master_user_is_taken_by_a_dovecot() {
    if !installed("dovecot") {
        return;
    }
    let dovecot = Dovecot::start();
    let house = House::build();
    house.account("new");
    let mover = Mover::between(dovecot.plain, &house);
    // The best it offers comes first.
    for (flags, logged) in [
        (&[][..], "method=SCRAM-SHA-256"),
        (&["--auth1", "SCRAM-SHA-1"][..], "method=SCRAM-SHA-1"),
        (&["--auth1", "cram-md5"][..], "method=CRAM-MD5"),
        (&["--auth1", "PLAIN"][..], "method=PLAIN"),
        (&["--auth1", "LOGIN"][..], "method=PLAIN"),
    ] {
        let from = dovecot.log().len();
        let (code, said) = mover.run(flags, "old", PASSWORD);
        assert_eq!(code, 0, "{flags:?}: {said}");
        assert!(dovecot.logged(from, logged), "{flags:?}: {}", dovecot.log());
    }
    // Dovecot's own way, found by what it says it is, and the one of SASL.
    for flags in [
        &["--master1", "admin"][..],
        &["--master1", "admin", "--masterStyle1", "dovecot", "--auth1", "PLAIN"][..],
        &["--master1", "admin", "--masterStyle1", "authzid"][..],
    ] {
        let from = dovecot.log().len();
        let (code, said) = mover.run(flags, "old", MASTER);
        assert_eq!(code, 0, "{flags:?}: {said}");
        assert!(dovecot.logged(from, "user=<old>"), "{flags:?}: {}", dovecot.log());
    }
    let (code, said) = mover.run(&[], "old", "wrong-password");
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("refused the login of old"), "{said}");
    assert!(!said.contains("wrong-password"), "{said}");
}

#[test]
fn a_pop_server_takes_the_same_methods_and_master_users() {
    if !installed("dovecot") {
        return;
    }
    let dovecot = Dovecot::start();
    dovecot_mail(&dovecot);
    let host = StandIn::on_loopback(Manner::Honest);
    let old = format!("127.0.0.1:{}", dovecot.pop);
    let new = host.at.to_string();
    for (flags, password, logged) in [
        (&[][..], PASSWORD, "method=SCRAM-SHA-256"),
        (&["--auth1", "CRAM-MD5"][..], PASSWORD, "method=CRAM-MD5"),
        (&["--auth1", "SCRAM-SHA-256"][..], PASSWORD, "method=SCRAM-SHA-256"),
        (&["--auth1", "LOGIN"][..], PASSWORD, "method=PLAIN"),
        (&["--starttls1"][..], PASSWORD, "TLS"),
        (&["--master1", "admin"][..], MASTER, "user=<old>"),
        (&["--master1", "admin", "--masterStyle1", "authzid"][..], MASTER, "user=<old>"),
    ] {
        let from = dovecot.log().len();
        let out = Command::new("timeout")
            .args(["-k", "5", "60", house::ANGARIUM, "move", "pop", "--noJournal"])
            .args(flags)
            .args([&old, "old", "-", &new, &format!("new@{DOMAIN}")])
            .env("ANGARIUM_OLD_PASSWORD", password)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned();
        assert!(dovecot.logged(from, logged), "{flags:?}: {said} {}", dovecot.log());
        assert_eq!(out.status.code(), Some(0), "{flags:?}: {said}");
    }
}

#[test]
fn a_certificate_is_believed_by_authority_or_pin_and_a_tunnel_stands_in_for_tls() {
    if !installed("dovecot") || !installed("openssl") {
        return;
    }
    let dovecot = Dovecot::start();
    let house = House::build();
    house.account("new");
    let ca = dovecot.authority.certificate();
    let ca = ca.to_str().unwrap();
    let fingerprint = dovecot.fingerprint();
    let own = dovecot.authority.issue(NAME).certificate;
    let own = own.to_str().unwrap();
    let implicit = Mover::between(dovecot.implicit, &house);
    let started = Mover::between(dovecot.plain, &house);
    let good: [&[&str]; 5] = [
        &["--ssl1", "--ca1", ca, "--certName1", NAME],
        &["--ssl1", "--pin1", &fingerprint],
        &["--ssl1", "--ca1", own],
        &["--ssl1"],
        &["--tunnel1", "openssl s_client -quiet -connect %h:%p"],
    ];
    for flags in good {
        let (code, said) = implicit.run(flags, "old", PASSWORD);
        assert_eq!(code, 0, "{flags:?}: {said}");
    }
    let (code, said) = started.run(&["--starttls1", "--pin1", &fingerprint], "old", PASSWORD);
    assert_eq!(code, 0, "{said}");
    assert!(dovecot.logged(0, "TLS"), "{}", dovecot.log());
    let zeros = "0".repeat(64);
    let bad: [(&[&str], &str); 3] = [
        (&["--ssl1", "--ca1", ca], "not for 127.0.0.1 but for mail.old.example"),
        (&["--ssl1", "--pin1", &zeros], "is not the pinned one"),
        (&["--tunnel1", "sh -c 'echo no route to it >&2; exit 1'"], "no route to it"),
    ];
    for (flags, words) in bad {
        let (code, said) = implicit.run(flags, "old", PASSWORD);
        assert!([2, 5].contains(&code), "{flags:?}: exit {code}: {said}");
        assert!(said.contains(words), "{flags:?}: {said}");
    }
    // The message holds what is to be written to go on.
    let (_, said) = implicit.run(&["--ssl1", "--ca1", ca], "old", PASSWORD);
    let at = said.find("sha256:").unwrap();
    let pin = &said[at..at + 7 + 64];
    let (code, said) = implicit.run(&["--ssl1", "--pin1", pin], "old", PASSWORD);
    assert_eq!(code, 0, "{said}");
}

#[test]
fn our_own_server_takes_logins_bound_to_tls_and_proxyauth_on_either_side() {
    let house = House::build();
    house.account("new");
    house.account("joe");
    let secure = format!("127.0.0.1:{}", house.port(993));
    let words = ["x", "--ssl1", "--user", &format!("new@{DOMAIN}"), &secure];
    let findings = look(&words, PASSWORD);
    let login = findings.doors[0].login.clone().unwrap();
    assert!(login.accepted, "{login:?}");
    assert_eq!(login.method.as_deref(), Some("SCRAM-SHA-256-PLUS"));
    assert_eq!(findings.product, angarium_migrate::product::Product::Angarium);
    let mover = Mover {
        old: format!("127.0.0.1:{}", house.port(143)),
        new: format!("127.0.0.1:{}", house.port(143)),
        account: format!("new@{DOMAIN}"),
    };
    let master = format!("postmaster@{DOMAIN}");
    let joe = format!("joe@{DOMAIN}");
    for style in ["authzid", "proxyauth", "auto"] {
        let flags = ["--master1", &master, "--masterStyle1", style, "--master2", &master];
        let (code, said) = mover.run(&flags, &joe, PASSWORD);
        assert_eq!(code, 0, "{style}: {said}");
    }
    let (code, said) = mover.run(&["--proxyAuth", &joe], &master, PASSWORD);
    assert_eq!(code, 0, "{said}");
    // One who may not act for others is told so.
    let flags = ["--master1", &format!("new@{DOMAIN}"), "--masterStyle1", "proxyauth"];
    let (code, said) = mover.run(&flags, &joe, PASSWORD);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("may not act for"), "{said}");
}

/// The probe's findings for a command line.
fn look(words: &[&str], password: &str) -> probe::Findings {
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        arguments: probe::Arguments,
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), password).unwrap();
    let all: Vec<&str> =
        words.iter().copied().chain(["--passfile1", file.path().to_str().unwrap()]).collect();
    let arguments = Line::try_parse_from(all).unwrap().arguments;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(Box::pin(probe::look(&arguments))).unwrap()
}

#[test]
fn the_probe_says_what_a_server_is_and_which_command_line_works() {
    if !installed("dovecot") {
        return;
    }
    let dovecot = Dovecot::start();
    dovecot_mail(&dovecot);
    let ca = dovecot.authority.certificate();
    let at = format!("127.0.0.1:{}", dovecot.plain);
    let words = ["x", "--user", "old", "--ca1", ca.to_str().unwrap(), "--certName1", NAME, &at];
    let findings = look(&words, PASSWORD);
    let text = findings.text();
    assert!(findings.is_good(), "{text}");
    let door = &findings.doors[0];
    let tls = door.tls.as_ref().unwrap();
    assert!(tls.upgraded && tls.doubt.is_none(), "{text}");
    assert!(tls.version.starts_with("TLS"), "{text}");
    assert_eq!(door.login.as_ref().unwrap().method.as_deref(), Some("SCRAM-SHA-256"));
    assert_eq!(door.account.as_ref().unwrap().messages, 2, "{text}");
    assert_eq!(findings.master_styles[0], "dovecot");
    assert!(findings.version.contains("Dovecot"), "{text}");
    assert!(findings.abilities.iter().any(|a| a.name == "CONDSTORE" && a.offered), "{text}");
    assert!(findings.commands[0].contains(&at), "{text}");
    // A certificate that is not believed: nothing is sent, and the pin is in the command line.
    let alone = format!("127.0.0.1:{}", dovecot.implicit);
    let findings = look(&["x", "--ssl1", "--ca1", ca.to_str().unwrap(), &alone], PASSWORD);
    assert!(findings.doors[0].tls.as_ref().unwrap().doubt.is_some());
    assert!(findings.commands[0].contains("--ca1"), "{:?}", findings.commands);
    // POP, found by its greeting.
    let pop = format!("127.0.0.1:{}", dovecot.pop);
    let findings = look(&["x", &pop], PASSWORD);
    assert_eq!(findings.doors[0].protocol, probe::Protocol::Pop, "{}", findings.text());
    assert!(findings.commands[0].starts_with("MovePOPMail "), "{:?}", findings.commands);
    assert!(findings.methods.iter().any(|m| m == "SCRAM-SHA-256"), "{:?}", findings.methods);
    // Nobody there.
    let nobody = format!("127.0.0.1:{}", house::ports::free_port());
    assert!(!look(&["x", &nobody], PASSWORD).is_good());
}

fn dovecot_mail(dovecot: &Dovecot) {
    let mut imap = house::Imap::login(dovecot.plain, "old", PASSWORD);
    let letter = b"Subject: one\r\n\r\nbody\r\n".as_slice();
    let date = "01-Jan-2020 00:00:00 +0000".to_owned();
    let one = (String::new(), date, letter);
    imap.append_all("INBOX", [one.clone(), one].into_iter());
}

#[test]
fn a_server_that_announces_what_it_lacks_is_logged_in_to_and_tokens_are_renewed() {
    let house = House::build();
    house.account("new");
    let lying = Scripted::start(Trick::LyingCapabilities);
    let mover = Mover::between(lying.port(), &house);
    let (code, said) = mover.run(&[], "joe", PASSWORD);
    assert!([0, 4].contains(&code), "exit {code}: {said}");
    assert!(lying.heard().contains("AUTHENTICATE SCRAM-SHA-256"), "{}", lying.heard());
    assert!(lying.heard().contains("LOGIN \"joe\""), "{}", lying.heard());
    // The program that makes tokens makes another each time it is run.
    let tokens = Scripted::start(Trick::SecondToken);
    let mover = Mover::between(tokens.port(), &house);
    let folder = tempfile::tempdir().unwrap();
    let count = folder.path().join("count");
    let program = folder.path().join("token");
    let script = format!(
        "#!/bin/sh\necho x >> '{at}'\necho \"token-$(wc -l < '{at}')\"\n",
        at = count.display()
    );
    std::fs::write(&program, script).unwrap();
    Command::new("chmod").args(["755", program.to_str().unwrap()]).status().unwrap();
    let command = format!("{} %u", program.display());
    let (code, said) = mover.run(&["--tokenCommand1", &command], "joe", "");
    assert!([0, 4].contains(&code), "exit {code}: {said}");
    assert!(std::fs::read_to_string(&count).unwrap().lines().count() >= 2);
    // A password is of no use there, and the message says what is.
    let (code, said) = mover.run(&[], "joe", PASSWORD);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("--oauth"), "{said}");
    let token = folder.path().join("wrong");
    std::fs::write(&token, "token-0\n").unwrap();
    let (code, said) = mover.run(&["--oauth1", &format!("@{}", token.display())], "joe", "");
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("invalid_token") && !said.contains("token-0"), "{said}");
}

#[test]
fn a_password_is_asked_for_at_the_terminal_without_an_echo() {
    if !installed("script") {
        return;
    }
    let house = House::build();
    house.account("new");
    let source = Scripted::start(Trick::Honest);
    let mover = Mover::between(source.port(), &house);
    let line = format!(
        "{} move-imap-mail --noJournal {} joe - {} {} -",
        house::ANGARIUM,
        mover.old,
        mover.new,
        mover.account
    );
    let mut child = Command::new("timeout")
        .args(["-k", "5", "60", "script", "-qec", &line, "/dev/null"])
        .env_remove("ANGARIUM_OLD_PASSWORD")
        .env("ANGARIUM_NEW_PASSWORD", PASSWORD)
        .env("SHELL", "/bin/sh")
        .env("TERM", "dumb")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut out = child.stdout.take().unwrap();
    let mut said = Vec::new();
    let mut buffer = [0; 512];
    while !String::from_utf8_lossy(&said).contains("Password for joe at") {
        let count = std::io::Read::read(&mut out, &mut buffer).unwrap();
        assert!(count > 0, "{}", String::from_utf8_lossy(&said));
        said.extend_from_slice(&buffer[..count]);
    }
    // Typed while nothing is echoed any more.
    std::thread::sleep(Duration::from_millis(300));
    let mut keys = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut keys, b"of-the-persox\x7fn\r").unwrap();
    std::io::Read::read_to_end(&mut out, &mut said).unwrap();
    drop(keys);
    let status = child.wait().unwrap();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(status.success(), "{said}");
    assert!(!said.contains("of-the-perso"), "{said}");
    assert!(source.heard().contains("LOGIN \"joe\" \"of-the-person\""), "{}", source.heard());
}
