//! Three mail servers on one network: ours, Postfix and Exim, below a signed name server (issue "It
//! must show" 2). Each letter carries a token, and the tokens are counted at every end: none is
//! lost, none is there twice.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

mod house;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use house::certificates::Authority;
use house::foreign::{Foreign, exim};
use house::island::{cover, host, island};
use house::names::{Names, Seal, Zone};
use house::smtp::{Smtp, letter};
use house::{House, Imap};

const ROOT: &str = "192.0.2.1";
const RESOLVER: &str = "192.0.2.9";
const OURS: &str = "192.0.2.2";
const POSTFIX: &str = "192.0.2.3";
const EXIM: &str = "192.0.2.4";

/// How long mail may be on its way.
const PATIENCE: Duration = Duration::from_secs(60);

/// The three of them.
#[allow(dead_code, reason = "what lives as long as they run")]
struct Network {
    authority: Authority,
    names: Names,
    ours: House,
    postfix: Foreign,
    exim: Foreign,
}

/// A domain with a mail host at this address, its key in the DNS.
fn domain(name: &str, seal: Seal, ip: &str, authority: &Authority) -> Zone {
    let host = format!("mx.{name}");
    Zone::new(name, seal)
        .with("", &format!("MX 10 {host}."))
        .with("mx", &format!("A {ip}"))
        .with("_25._tcp.mx", &authority.issue(&host).tlsa)
}

impl Network {
    /// All three running, the accounts named made on ours; `None` where programs are missing.
    fn build(more: Vec<Zone>, accounts: &[&str]) -> Option<Self> {
        let program = exim()?;
        let authority = Authority::new();
        let mut zones = vec![
            domain("ours.example", Seal::Signed(8), OURS, &authority),
            domain("postfix.example", Seal::Signed(13), POSTFIX, &authority),
            domain("exim.example", Seal::Signed(15), EXIM, &authority),
        ];
        zones.extend(more);
        let names = Names::on_island(ROOT, RESOLVER, zones)?;
        cover("/etc/resolv.conf", &names.resolv_conf());
        let postfix = Foreign::postfix(POSTFIX, "postfix.example", &authority, "")?;
        let exim = Foreign::exim(EXIM, "exim.example", &authority, &program);
        let ours = Self::ours(&authority, &names, accounts);
        Some(Self { authority, names, ours, postfix, exim })
    }

    fn ours(authority: &Authority, names: &Names, accounts: &[&str]) -> House {
        let mut ours = House::alone(OURS, "ours.example");
        ours.within = host(OURS);
        let settings = ours.base.join("Settings");
        std::fs::create_dir_all(&settings).unwrap();
        let issued = authority.issue("mx.ours.example");
        std::fs::copy(issued.certificate, settings.join("tls-certificate.pem")).unwrap();
        std::fs::copy(issued.key, settings.join("tls-key.pem")).unwrap();
        ours.more.push("--clear-text-logins".to_owned());
        // The test's authority is one the system trusts.
        let trusted = authority.certificate().display().to_string();
        ours.environment.push(("SSL_CERT_FILE".to_owned(), trusted));
        ours.start();
        let anchor = names.anchor();
        let dns = format!(
            "UpdateModule SMTP {{DNSServers=\"{RESOLVER}:53\";DNSValidation=YES;\
             DNSTrustAnchor=\"{}\";HELOName=\"mx.ours.example\";}}",
            anchor.display()
        );
        // What waits for days on the Internet waits for seconds here.
        let queue = "UpdateModule QUEUE {RetryAfter=(1s, 1s, 2s);}".to_owned();
        for line in [dns, queue] {
            assert_eq!(ours.angarium(&["cli", &line]).0, 0, "{line}");
        }
        for account in accounts {
            ours.account(account);
        }
        ours
    }

    /// Brings a letter to one of the foreign servers, to be sent on by it.
    fn from(&self, host: &Foreign, to: &str, token: &str) {
        let from = format!("writer@{}", host.domain);
        let mut smtp = Smtp::connect(&host.ip, 25);
        let reply = smtp.letter(&from, &[to], &letter(&from, to, token));
        assert!(reply.starts_with('2'), "{reply}");
    }
}

/// How often each token is in an INBOX.
fn tokens(house: &House, name: &str) -> BTreeMap<String, usize> {
    let mut imap = house.imap(name);
    imap.ok("EXAMINE INBOX");
    let mut all = BTreeMap::new();
    for line in imap.ok("UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])") {
        if line.windows(6).any(|w| w == b"BODY[H") {
            let subject = String::from_utf8_lossy(Imap::literal(&line)).trim().to_owned();
            let token = subject.trim_start_matches("Subject: ").to_owned();
            *all.entry(token).or_default() += 1;
        }
    }
    all
}

/// Waits until this is so, then says what it was.
fn until<T>(what: &str, mut ready: impl FnMut() -> Result<T, String>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        match ready() {
            Ok(done) => return done,
            Err(why) => assert!(Instant::now() < end, "{what}: {why}"),
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn foreign_servers_bring_mail_to_us_with_our_key_checked_by_dane() {
    if !island("foreign_servers_bring_mail_to_us_with_our_key_checked_by_dane") {
        return;
    }
    let Some(net) = Network::build(Vec::new(), &["joe"]) else { return };
    let mut wanted = BTreeMap::new();
    for number in 0..20 {
        for host in [&net.postfix, &net.exim] {
            let token = format!("to-us-{number}-{}", host.domain);
            net.from(host, "joe@ours.example", &token);
            wanted.insert(token, 1);
        }
    }
    until("letters to us", || {
        let found = tokens(&net.ours, "joe");
        if found == wanted { Ok(()) } else { Err(format!("{found:?}")) }
    });
    let log = net.postfix.log();
    assert!(log.contains("Verified TLS connection established to mx.ours.example"), "{log}");
    let log = net.exim.log();
    assert!(log.contains("CV=dane") && !log.contains("CV=no"), "{log}");
}
