//! Three mail servers on one network: ours, Postfix and Exim, below a signed name server (issue "It
//! must show" 2). Each letter carries a token, and the tokens are counted at every end: none is
//! lost, none is there twice.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

mod house;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use house::certificates::Authority;
use house::foreign::{Foreign, exim};
use house::https::Policies;
use house::island::{cover, host, island};
use house::names::{Names, Seal, Zone};
use house::smtp::{Smtp, letter};
use house::stand_in::{Manner, StandIn};
use house::{House, Imap, PASSWORD};

const ROOT: &str = "192.0.2.1";
const RESOLVER: &str = "192.0.2.9";
const OURS: &str = "192.0.2.2";
const POSTFIX: &str = "192.0.2.3";
const EXIM: &str = "192.0.2.4";

/// How long mail may be on its way.
const PATIENCE: Duration = Duration::from_secs(60);

/// The three of them.
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

/// Sends a letter of joe's by submission.
fn send(ours: &House, to: &str, token: &str) {
    let mut smtp = Smtp::connect(&ours.address, 587);
    smtp.login("joe@ours.example", PASSWORD);
    let reply = smtp.letter("joe@ours.example", &[to], &letter("joe@ours.example", to, token));
    assert!(reply.starts_with("250"), "{to}: {reply}");
}

/// How often each of the tokens is in letters of a foreign host.
fn count<'a>(letters: &[String], tokens: impl IntoIterator<Item = &'a String>) -> Vec<usize> {
    let subject = |token: &String| format!("Subject: {token}\n");
    let holds = |letter: &&String, line: &str| letter.replace("\r\n", "\n").contains(line);
    tokens
        .into_iter()
        .map(|token| letters.iter().filter(|l| holds(l, &subject(token))).count())
        .collect()
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

/// Letters to each place.
const EACH: usize = 8;

/// Deliveries that can be under way when our server is killed and so be done again: it cannot know
/// what became of them (RFC 5321 section 4.5.3.2.6).
const UNDER_WAY: usize = 8;

/// A domain without DNSSEC whose mail host is a scripted one.
fn odd(name: &str, ip: &str) -> Zone {
    Zone::new(name, Seal::None)
        .with("", &format!("MX 10 mx.{name}."))
        .with("mx", &format!("A {ip}"))
}

/// The hosts that behave oddly: domain, address, manner.
const ODD: [(&str, &str, Manner); 10] = [
    ("refusing.example", "192.0.2.21", Manner::Refusing),
    ("grey.example", "192.0.2.22", Manner::Greylisting),
    ("liar.example", "192.0.2.23", Manner::Lying),
    ("later.example", "192.0.2.24", Manner::LaterAfterData),
    ("slow.example", "192.0.2.25", Manner::Slow(150)),
    ("cut.example", "192.0.2.26", Manner::CutAfterDot(1)),
    ("middle.example", "192.0.2.27", Manner::CutInData(2)),
    ("loud.example", "192.0.2.28", Manner::LongGreeting),
    ("control.example", "192.0.2.29", Manner::ControlBytes),
    ("nonsense.example", "192.0.2.30", Manner::Nonsense),
];

/// The domains of the odd hosts, and those whose mail never comes to any host.
fn odd_zones() -> Vec<Zone> {
    let mut zones: Vec<Zone> = ODD.iter().map(|(name, ip, _)| odd(name, ip)).collect();
    zones.push(odd("down.example", "192.0.2.31"));
    // Its mail host has two addresses, and behind the one is nobody.
    zones.push(odd("half.example", "192.0.2.32").with("mx", "A 192.0.2.33"));
    zones.push(Zone::new("null.example", Seal::None).with("", "MX 0 ."));
    zones.push(Zone::new("self.example", Seal::None).with("", "MX 10 mx.ours.example."));
    zones.push(
        Zone::new("inside.example", Seal::None)
            .with("", "MX 10 mx.inside.example.")
            .with("mx", "A 127.0.0.1")
            .with("mx", "A 0.0.0.0")
            .with("mx", "A 10.0.0.1"),
    );
    zones
}

/// Messages that wait in a queue of ours.
fn queued(ours: &House, queue: &str) -> usize {
    let (code, table) = ours.angarium(&["queue"]);
    assert_eq!(code, 0, "{table}");
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let row = rows.into_iter().find(|row| row.first() == Some(&queue));
    row.map_or(0, |row| row[1].parse().unwrap())
}

/// What of joe's INBOX tells of failures: the text of each report.
fn reports(ours: &House) -> Vec<String> {
    let mut imap = ours.imap("joe");
    imap.ok("EXAMINE INBOX");
    imap.ok("UID FETCH 1:* (BODY.PEEK[])")
        .iter()
        .filter(|line| line.windows(6).any(|w| w == b"BODY[]"))
        .map(|line| String::from_utf8_lossy(Imap::literal(line)).into_owned())
        .filter(|text| text.contains("multipart/report"))
        .collect()
}

#[test]
fn mail_to_honest_and_odd_hosts_ends_delivered_bounced_or_queued() {
    if !island("mail_to_honest_and_odd_hosts_ends_delivered_bounced_or_queued") {
        return;
    }
    let Some(mut net) = Network::build(odd_zones(), &["joe"]) else { return };
    let hosts: Vec<StandIn> =
        ODD.iter().map(|(_, ip, manner)| StandIn::on_island(ip, *manner)).collect();
    let half = StandIn::on_island("192.0.2.33", Manner::Honest);
    let host = |name: &str| &hosts[ODD.iter().position(|(n, ..)| *n == name).unwrap()];

    // Everything at once, with Exim gone for a while and our server killed in the middle.
    let honest = ["postfix.example", "exim.example"];
    let ends = ["down.example", "half.example", "null.example", "self.example", "inside.example"];
    let names: Vec<&str> = ODD.iter().map(|(n, ..)| *n).chain(honest).chain(ends).collect();
    let mut sent: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let away = EACH / 4..EACH * 3 / 4;
    let mut expected: Vec<String> = Vec::new();
    for number in 0..EACH {
        if number == away.start {
            net.exim.stop();
        }
        if number == away.end {
            net.exim.start();
        }
        for name in &names {
            let token = format!("t{number}-{name}");
            send(&net.ours, &format!("{token}@{name}"), &token);
            sent.entry(name).or_default().push(token);
        }
        for from in [&net.postfix, &net.exim] {
            if from.ip == EXIM && away.contains(&number) {
                continue;
            }
            let token = format!("in{number}-{}", from.domain);
            net.from(from, "joe@ours.example", &token);
            expected.push(token);
        }
        if number == EACH / 2 {
            net.ours.kill();
            net.ours.start();
        }
    }

    // Delivered, each once, to those who take mail, however slowly or late.
    for (name, letters) in [("postfix.example", 0), ("exim.example", 1)] {
        until(name, || {
            let letters = if letters == 0 { net.postfix.letters() } else { net.exim.letters() };
            let counts = count(&letters, &sent[name]);
            if counts.iter().all(|n| *n >= 1) { Ok(()) } else { Err(format!("{counts:?}")) }
        });
    }
    let takers = [
        ("grey.example", host("grey.example")),
        ("liar.example", host("liar.example")),
        ("slow.example", host("slow.example")),
        ("middle.example", host("middle.example")),
        ("half.example", &half),
    ];
    for (name, host) in takers.iter().chain(&[("cut.example", host("cut.example"))]) {
        until(name, || {
            let counts = count(&texts(host), &sent[name]);
            if counts.iter().all(|n| *n >= 1) { Ok(()) } else { Err(format!("{counts:?}")) }
        });
    }

    // Bounced, each with a report, by those who refuse for good; what they said is made harmless.
    // A report the kill came in between of may have been made again.
    let mut more = 0;
    for name in
        ["refusing.example", "control.example", "null.example", "self.example", "inside.example"]
    {
        until(name, || {
            let all = reports(&net.ours);
            let told = |token: &String| {
                let recipient = format!("{token}@{name}");
                all.iter().filter(|text| text.contains(&recipient)).count()
            };
            let counts: Vec<usize> = sent[name].iter().map(told).collect();
            if counts.iter().all(|n| *n >= 1) {
                more += counts.iter().sum::<usize>() - EACH;
                Ok(())
            } else {
                Err(format!("{counts:?}"))
            }
        });
    }
    assert!(more <= UNDER_WAY, "{more} reports are there again");
    for report in reports(&net.ours) {
        let odd = |c: char| c.is_control() && !matches!(c, '\r' | '\n' | '\t');
        assert!(!report.contains(odd), "{report:?}");
    }

    // Queued, not lost, while the host is down or puts off: and delivered when it comes back.
    assert!(count(&texts(host("later.example")), &sent["later.example"]).iter().all(|n| *n == 0));
    host("later.example").behave(Manner::Honest);
    let back = StandIn::on_island("192.0.2.31", Manner::Honest);
    for name in ["later.example", "down.example"] {
        let host = if name == "down.example" { &back } else { host(name) };
        until(name, || {
            let counts = count(&texts(host), &sent[name]);
            if counts.iter().all(|n| *n == 1) { Ok(()) } else { Err(format!("{counts:?}")) }
        });
    }
    // Those who do not speak our language have nothing, and what was for them is accounted for.
    for name in ["loud.example", "nonsense.example"] {
        assert!(count(&texts(host(name)), &sent[name]).iter().all(|n| *n == 0), "{name}");
        let all = reports(&net.ours);
        let told =
            |token: &&String| all.iter().any(|text| text.contains(&format!("{token}@{name}")));
        let told = sent[name].iter().filter(told).count();
        assert_eq!(queued(&net.ours, name) + told, EACH, "{name}: {told} are told of");
    }
    let mut inbox = until("letters of the two to us", || {
        let inbox = tokens(&net.ours, "joe");
        let here = expected.iter().all(|token| inbox.contains_key(token));
        if here { Ok(inbox) } else { Err(format!("{inbox:?}")) }
    });
    inbox.retain(|token, _| token.starts_with("in"));

    // None is there twice, but where a connection was cut after the dot, by the host or by the kill.
    let mut again: Vec<usize> = inbox.values().copied().collect();
    let (postfix, exim) = (net.postfix.letters(), net.exim.letters());
    again.extend(count(&postfix, &sent["postfix.example"]));
    again.extend(count(&exim, &sent["exim.example"]));
    for (name, host) in takers {
        again.extend(count(&texts(host), &sent[name]));
    }
    let twice: usize = again.iter().map(|n| n - 1).sum();
    println!("{} letters delivered, {twice} again after the kill", again.len());
    assert!(twice <= UNDER_WAY, "{again:?}");
    let cut = count(&texts(host("cut.example")), &sent["cut.example"]);
    assert!(cut.iter().sum::<usize>() <= EACH + 1 + UNDER_WAY, "{cut:?}");

    // TLS was used, and the key checked, by both sides.
    assert!(postfix.iter().any(|letter| letter.contains("using TLSv1.3")));
    assert!(net.exim.log().contains("CV=dane"), "{}", net.exim.log());
    assert!(net.ours.peak_kib() < 300 * 1024, "the server used {} KiB", net.ours.peak_kib());
}

fn texts(host: &StandIn) -> Vec<String> {
    host.taken().into_iter().map(|taken| taken.text).collect()
}

#[test]
fn dane_and_mta_sts_are_enforced_and_a_broken_dns_never_weakens_them() {
    if !island("dane_and_mta_sts_are_enforced_and_a_broken_dns_never_weakens_them") {
        return;
    }
    let wrong = format!("TLSA 3 1 1 {}", "ab".repeat(32));
    let sts = |name: &str| {
        Zone::new(name, Seal::None)
            .with("", "MX 10 mx.postfix.example.")
            .with("_mta-sts", "TXT \"v=STSv1; id=1\"")
            .with("mta-sts", "A 192.0.2.50")
    };
    let zones = vec![
        // Signed, and the key is another one: an attacker's host.
        Zone::new("dane-wrong.example", Seal::Signed(13))
            .with("", "MX 10 mx.dane-wrong.example.")
            .with("mx", &format!("A {POSTFIX}"))
            .with("_25._tcp.mx", &wrong),
        // Signed, with TLSA, and a host that offers no TLS.
        Zone::new("dane-clear.example", Seal::Signed(15))
            .with("", "MX 10 mx.dane-clear.example.")
            .with("mx", "A 192.0.2.42")
            .with("_25._tcp.mx", &wrong),
        // Signatures that do not fit.
        Zone::new("bogus.example", Seal::Broken(13))
            .with("", "MX 10 mx.bogus.example.")
            .with("mx", "A 192.0.2.42"),
        sts("sts.example"),
        sts("sts-wrong.example"),
        sts("sts-testing.example"),
        sts("sts-large.example"),
        sts("sts-moved.example"),
    ];
    let Some(net) = Network::build(zones, &["joe"]) else { return };
    let honest = StandIn::on_island("192.0.2.42", Manner::Honest);
    let policy = |mode: &str, mx: &str| {
        format!("version: STSv1\r\nmode: {mode}\r\nmx: {mx}\r\nmax_age: 86400\r\n")
    };
    let large =
        format!("{}{}", policy("enforce", "mx.elsewhere.example"), "a: b\r\n".repeat(2 << 20));
    let policies = Policies::serve(
        "192.0.2.50",
        &net.authority,
        &[
            ("mta-sts.sts.example", &policy("enforce", "mx.postfix.example")),
            ("mta-sts.sts-wrong.example", &policy("enforce", "mx.elsewhere.example")),
            ("mta-sts.sts-testing.example", &policy("testing", "mx.elsewhere.example")),
            ("mta-sts.sts-large.example", &large),
            (
                "mta-sts.sts-moved.example",
                "302 https://mta-sts.sts-wrong.example/.well-known/mta-sts.txt",
            ),
        ],
    );

    let no_policy = ["sts-large.example", "sts-moved.example"];
    let honoured = ["sts.example", "sts-testing.example"];
    let taken = [["postfix.example", "exim.example"], honoured, no_policy].concat();
    let held = ["dane-wrong.example", "dane-clear.example", "bogus.example", "sts-wrong.example"];
    for name in taken.iter().chain(&held) {
        send(&net.ours, &format!("a@{name}"), &format!("to-{name}"));
    }
    let delivered = |name: &str| {
        let token = [format!("to-{name}")];
        let all = [net.postfix.letters(), net.exim.letters()].concat();
        count(&all, &token)[0]
    };
    let refused = |name: &str| net.postfix.log().contains(&format!("<a@{name}>"));
    for name in ["postfix.example", "exim.example"] {
        until(name, || if delivered(name) == 1 { Ok(()) } else { Err("not there".to_owned()) });
    }
    // Postfix refuses these domains' recipients, but is asked only when the question of TLS is over.
    // ABU-17: a policy without end, and one that leads elsewhere, are no policies.
    for name in honoured.iter().chain(&no_policy) {
        until(name, || if refused(name) { Ok(()) } else { Err("not tried".to_owned()) });
    }
    until("five questions for policies", || match policies.asked() {
        5.. => Ok(()),
        fewer => Err(fewer.to_string()),
    });
    assert!(net.ours.peak_kib() < 300 * 1024, "the server used {} KiB", net.ours.peak_kib());
    // Several retries later nothing has gone to those that could not be proved.
    std::thread::sleep(Duration::from_secs(5));
    for name in held {
        assert_eq!(delivered(name), 0, "{name}");
        assert!(!refused(name), "{name} was talked to");
    }
    assert!(texts(&honest).is_empty(), "{:?}", honest.taken());

    // Without any name server mail waits; it goes out when there is one again.
    let mut net = net;
    net.names.stop();
    send(&net.ours, "later@postfix.example", "while-deaf");
    std::thread::sleep(Duration::from_secs(3));
    assert!(reports(&net.ours).iter().all(|text| !text.contains("later@postfix.example")));
    net.names.go();
    until("mail that waited for the DNS", || {
        let token = ["while-deaf".to_owned()];
        let found = count(&net.postfix.letters(), &token)[0];
        if found == 1 { Ok(()) } else { Err(found.to_string()) }
    });
}
