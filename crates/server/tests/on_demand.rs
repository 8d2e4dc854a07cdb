//! Relay on demand with programs of others: fetchmail fetches by ETRN and ODMR, Python's smtplib asks
//! under TLS and AUTH, Postfix keeps mail for us and gets what we keep for it (RTE-10 to RTE-14).

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

mod house;

use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use house::certificates::Authority;
use house::foreign::Foreign;
use house::island::{cover, host, island, run};
use house::names::{Names, Seal, Zone};
use house::smtp::{Smtp, letter};
use house::{House, Imap, PASSWORD, free_offset, installed};

/// Seconds a foreign program may take.
const PROGRAM: &str = "60";

fn tell(house: &House, line: &str) {
    assert_eq!(house.angarium(&["cli", line]).0, 0, "{line}");
}

/// Joe writes from his account.
fn write(house: &House, to: &str, token: &str) {
    let from = format!("joe@{}", house.domain);
    let mut smtp = Smtp::connect(&house.address, house.port(587));
    smtp.login(&from, PASSWORD);
    let reply = smtp.letter(&from, &[to], &letter(&from, to, token));
    assert!(reply.starts_with("250"), "{to}: {reply}");
}

/// Messages in a queue.
fn queue(house: &House, name: &str) -> usize {
    let (code, out) = house.angarium(&["cli", &format!("GetMessageQueueInfo SMTP QUEUE {name}")]);
    assert_eq!(code, 0);
    let count = out.lines().find_map(|line| line.trim().strip_prefix("nTotal = #"));
    count.map_or(0, |count| count.parse().unwrap())
}

fn until(what: &str, mut ready: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(40);
    while !ready() {
        assert!(Instant::now() < end, "{what}: not in time");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The subjects in an account's INBOX, sorted.
fn subjects(house: &House, name: &str) -> Vec<String> {
    let mut imap = house.imap(name);
    imap.ok("EXAMINE INBOX");
    let mut all: Vec<String> = imap
        .ok("UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        .iter()
        .filter(|line| line.windows(6).any(|w| w == b"BODY[H"))
        .map(|line| String::from_utf8_lossy(Imap::literal(line)).trim().to_owned())
        .map(|subject| subject.trim_start_matches("Subject: ").to_owned())
        .collect();
    all.sort();
    all
}

/// Runs a program that gives up after a time; its exit code and all it said.
fn program(words: &[&str], home: &Path, input: &str) -> (Option<i32>, String) {
    let mut child = Command::new("timeout")
        .args(["-k", "5", PROGRAM])
        .args(words)
        .env("HOME", home)
        .env("FETCHMAILHOME", home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    let said = [out.stdout, out.stderr].concat();
    (out.status.code(), String::from_utf8_lossy(&said).into_owned())
}

/// Runs fetchmail once with this control file.
fn fetchmail(control: &str) -> (Option<i32>, String) {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("fetchmailrc");
    std::fs::write(&file, control).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let words = ["fetchmail", "-v", "--nodetach", "--nosyslog", "-f", file.to_str().unwrap()];
    program(&words, home.path(), "")
}

/// A server that keeps the mail of `client.example` and `second.example` in one queue until it is
/// asked for, with joe and the account `client` whose domain the first is.
fn provider() -> House {
    let house = House::build();
    house.account("joe");
    let account = format!(
        "CreateAccount client@{} {{Password=\"{PASSWORD}\";PasswordEncryption=A-crpt;\
         ATRNDomains=(client.example);}}",
        house.domain
    );
    tell(&house, &account);
    tell(&house, "UpdateServerSettings {OldLoginMethods=(CRAM-MD5);}");
    tell(&house, "UpdateModule Queue {HoldMailForDomains=(client.example);}");
    // Nobody outside is asked for a name.
    tell(&house, "UpdateModule SMTP {DNSServers=\"127.0.0.1:9\";}");
    let record = "second.example = second.example@client.example._via";
    tell(&house, &format!("SetRouterTable \"{record}\""));
    house
}

/// Writes for the client and waits until the mail is kept.
fn kept(house: &House) {
    write(house, "one@client.example", "for-the-first");
    write(house, "two@second.example", "for-the-second");
    until("mail that is kept", || queue(house, "client.example") == 2);
}

#[test]
fn rte_10_fetchmail_fetches_the_mail_of_two_domains_by_odmr() {
    if !installed("fetchmail") {
        return;
    }
    let provider = provider();
    // At the client's stands a server of ours, too, that fetchmail hands the mail to.
    let directory = tempfile::tempdir().unwrap();
    let mut client = House::alone("127.0.0.1", "client.example");
    (client.base, client.offset) = (directory.path().join("base"), free_offset());
    client.start();
    for account in ["one", "two"] {
        client.account(account);
    }
    tell(&client, "SetRouterTable \"second.example = client.example\"");
    kept(&provider);
    let control = |domain: &str, password: &str| {
        format!(
            "poll 127.0.0.1 protocol ODMR service {} no dns\n user \"client@{}\" password \
             \"{password}\" fetchdomains {domain} smtphost \"127.0.0.1/{}\"\n",
            provider.port(25),
            provider.domain,
            client.port(25)
        )
    };
    // Somebody else's domain, and no right word: nothing goes out.
    for (domain, password) in [("other.example", PASSWORD), ("client.example", "wrong")] {
        let (code, said) = fetchmail(&control(domain, password));
        assert_ne!(code, Some(0), "{said}");
        assert_eq!(queue(&provider, "client.example"), 2, "{said}");
    }
    let (_, said) = fetchmail(&control("client.example", PASSWORD));
    until("mail fetched by fetchmail", || {
        let both = [subjects(&client, "one"), subjects(&client, "two")].concat();
        both == ["for-the-first", "for-the-second"]
    });
    until("an empty queue", || queue(&provider, "client.example") == 0);
    // The second time there is none.
    let (_, again) = fetchmail(&control("client.example", PASSWORD));
    assert!(again.contains("You have no mail"), "{said}\n{again}");
    assert_eq!(subjects(&client, "one"), ["for-the-first"]);
}

#[test]
fn rte_10_atrn_and_etrn_are_answered_under_tls_after_a_login() {
    if !installed("python3") {
        return;
    }
    let provider = provider();
    tell(&provider, "UpdateModule SMTP {ETRNAllowed=authenticated;}");
    kept(&provider);
    let (name, port) = (format!("client@{}", provider.domain), provider.port(25).to_string());
    let home = tempfile::tempdir().unwrap();
    let script = |file: &str, more: &[&str]| {
        let file = format!("{}/tests/clients/{file}", env!("CARGO_MANIFEST_DIR"));
        let words = [&["python3", &file, "127.0.0.1", &port, &name], more].concat();
        let (code, said) = program(&words, home.path(), &format!("{PASSWORD}\n"));
        assert_eq!(code, Some(0), "{said}");
        said
    };
    let said = script("atrn.py", &["other.example"]);
    assert!(said.contains("before 530") && said.contains("atrn 450"), "{said}");
    assert_eq!(queue(&provider, "client.example"), 2);
    let said = script("atrn.py", &["client.example"]);
    assert!(said.contains("before 530") && said.contains("atrn 250"), "{said}");
    for line in ["to one@client.example", "to two@second.example", "Subject: for-the-second"] {
        assert!(said.lines().any(|l| l == line), "{line}: {said}");
    }
    until("an empty queue", || queue(&provider, "client.example") == 0);
    assert!(script("atrn.py", &["client.example"]).contains("atrn 453"));
    // Mail for a domain whose servers cannot be found is started all the same.
    kept(&provider);
    let said = script("etrn.py", &["nobody.example", "@client.example", "#client.example"]);
    assert!(said.contains("before 459"), "{said}");
    for word in ["nobody.example 251", "@client.example 252", "#client.example 253"] {
        assert!(said.lines().any(|line| line.starts_with(word)), "{word}: {said}");
    }
}

const ROOT: &str = "192.0.2.1";
const RESOLVER: &str = "192.0.2.9";
const OURS: &str = "192.0.2.2";
const POSTFIX: &str = "192.0.2.3";

/// Postfix tries nothing again of its own accord.
const PATIENT: &str = "minimal_backoff_time = 4000s
maximal_backoff_time = 4000s
queue_run_delay = 4000s
transport_retry_time = 1s
smtp_tls_security_level = may
smtp_dns_support_level = enabled
fast_flush_domains = ours.example
virtual_mailbox_domains = client.example, second.example
";

#[test]
fn rte_10_mail_kept_for_postfix_goes_out_when_fetchmail_asks_and_mail_postfix_keeps_comes_in() {
    let name =
        "rte_10_mail_kept_for_postfix_goes_out_when_fetchmail_asks_and_mail_postfix_keeps_comes_in";
    if !installed("fetchmail") || !installed("postfix") || !island(name) {
        return;
    }
    let authority = Authority::new();
    let zone = |name: &str, ip: &str| {
        let host = Zone::new(name, Seal::None).with("", &format!("MX 10 mx.{name}."));
        host.with("mx", &format!("A {ip}"))
    };
    let zones = vec![zone("ours.example", OURS), zone("client.example", POSTFIX)];
    let Some(names) = Names::on_island(ROOT, RESOLVER, zones) else { return };
    cover("/etc/resolv.conf", &names.resolv_conf());
    let Some(postfix) = Foreign::postfix(POSTFIX, "client.example", &authority, PATIENT) else {
        return;
    };
    let mut ours = House::alone(OURS, "ours.example");
    ours.within = host(OURS);
    ours.more.push("--clear-text-logins".to_owned());
    ours.start();
    ours.account("joe");
    let dns =
        format!("UpdateModule SMTP {{DNSServers=\"{RESOLVER}:53\";AllowPrivateTargets=YES;}}");
    tell(&ours, &dns);
    tell(&ours, "UpdateModule Queue {HoldMailForDomains=(client.example);}");
    let record = "second.example = second.example@client.example._via";
    tell(&ours, &format!("SetRouterTable \"{record}\""));

    // We keep mail for Postfix; fetchmail beside it asks by ETRN.
    kept(&ours);
    std::thread::sleep(Duration::from_secs(1));
    assert!(postfix.letters().is_empty());
    let control = format!(
        "poll {OURS} protocol ETRN no dns\n fetchdomains client.example smtphost {POSTFIX}\n"
    );
    let (_, said) = fetchmail(&control);
    until("mail that fetchmail asked for", || postfix.letters().len() == 2);
    for token in ["for-the-first", "for-the-second"] {
        let there = postfix.letters().iter().any(|letter| letter.contains(token));
        assert!(there, "{token}: {said}");
    }
    until("an empty queue", || queue(&ours, "client.example") == 0);

    // Postfix keeps mail for us while we are away.
    ours.stop();
    let away = |token: &str| {
        let from = "writer@client.example";
        let mut smtp = Smtp::connect(&postfix.ip, 25);
        let to = "joe@ours.example";
        let reply = smtp.letter(from, &[to], &letter(from, to, token));
        assert!(reply.starts_with('2'), "{reply}");
    };
    let deferred = |count: usize| {
        until("mail that Postfix keeps", || {
            postfix.log().matches("status=deferred").count() == count
        });
    };
    away("by-postqueue");
    deferred(1);
    ours.start();
    assert!(TcpStream::connect((OURS, 25)).is_ok());
    let etc = postfix.configuration();
    run("timeout", &["-k", "5", PROGRAM, "postqueue", "-c", &etc, "-s", "ours.example"]);
    until("mail by postqueue -s", || subjects(&ours, "joe") == ["by-postqueue"]);
    // Now we ask by ETRN ourselves.
    ours.stop();
    away("by-etrn");
    deferred(2);
    ours.start();
    let ask = "UpdateModule SMTP {RemoteQueueStarting=({Host=\"[192.0.2.3]\";\
               Domains=(ours.example);Period=10s;});}";
    tell(&ours, ask);
    until("mail by our ETRN", || subjects(&ours, "joe") == ["by-etrn", "by-postqueue"]);
}
