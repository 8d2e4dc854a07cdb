//! Policies of others on TLS and a DNS that lies, against the running server: none of them makes it
//! send with less protection than was promised, none makes it give mail up or forget itself
//! (reliability: ABU-17).

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

mod house;

use std::time::{Duration, Instant};

use house::certificates::Authority;
use house::https::Policies;
use house::island::{host, island};
use house::names::{Names, Seal, Zone};
use house::smtp::{Smtp, letter};
use house::stand_in::{Manner, StandIn};
use house::{House, PASSWORD};

const ROOT: &str = "192.0.2.1";
const OURS: &str = "192.0.2.2";
const HOST: &str = "192.0.2.42";
const WEB: &str = "192.0.2.50";

/// Most memory the server may have used when all is over, KiB.
const CEILING: u64 = 300 * 1024;

/// A domain whose mail host offers no TLS, with an MTA-STS policy on the web.
fn sts(name: &str) -> Zone {
    Zone::new(name, Seal::None)
        .with("", "MX 10 mx.far.example.")
        .with("_mta-sts", "TXT \"v=STSv1; id=1\"")
        .with("mta-sts", &format!("A {WEB}"))
}

fn policy(mode: &str) -> String {
    format!("version: STSv1\r\nmode: {mode}\r\nmx: mx.far.example\r\nmax_age: 86400\r\n")
}

/// Our server, validating, with certificates of this authority trusted, and joe on it.
fn ours(authority: &Authority, names: &Names) -> House {
    let mut ours = House::alone(OURS, "ours.example");
    ours.within = host(OURS);
    ours.more.push("--clear-text-logins".to_owned());
    let trusted = authority.certificate().display().to_string();
    ours.environment.push(("SSL_CERT_FILE".to_owned(), trusted));
    ours.start();
    let anchor = names.anchor();
    for line in [
        format!(
            "UpdateModule SMTP {{DNSServers=\"{}\";DNSValidation=YES;DNSTrustAnchor=\"{}\";\
             AllowPrivateTargets=YES;}}",
            names.authority(),
            anchor.display()
        ),
        "UpdateModule Queue {RetryAfter=(1s);}".to_owned(),
    ] {
        assert_eq!(ours.angarium(&["cli", &line]).0, 0, "{line}");
    }
    ours.account("joe");
    ours
}

fn send(to: &str) {
    let from = "joe@ours.example";
    let mut smtp = Smtp::connect(OURS, 587);
    smtp.login(from, PASSWORD);
    let reply = smtp.letter(from, &[to], &letter(from, to, to));
    assert!(reply.starts_with("250"), "{to}: {reply}");
}

fn until(what: &str, mut ready: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(40);
    while !ready() {
        assert!(Instant::now() < end, "{what}: not in time");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// What the server has said of its work.
fn log(ours: &House) -> String {
    let all = std::fs::read_dir(ours.base.join("SystemLogs")).unwrap().flatten();
    all.map(|entry| std::fs::read_to_string(entry.path()).unwrap_or_default()).collect()
}

#[test]
fn abu_17_a_policy_that_is_too_large_or_moved_or_a_dns_that_lies_weakens_nothing() {
    if !island("abu_17_a_policy_that_is_too_large_or_moved_or_a_dns_that_lies_weakens_nothing") {
        return;
    }
    let authority = Authority::new();
    let seal = Seal::Signed(13);
    let signed = |name: &str, seal| {
        let host = format!("mx.{name}");
        Zone::new(name, seal)
            .with("", &format!("MX 10 {host}."))
            .with("mx", &format!("A {HOST}"))
            .with("_25._tcp.mx", &authority.issue(&host).tlsa)
    };
    let zones = vec![
        Zone::new("far.example", Seal::None).with("mx", &format!("A {HOST}")),
        Zone::new("ours.example", Seal::None).with("", &format!("A {OURS}")),
        sts("enforced.example"),
        sts("testing.example"),
        sts("large.example"),
        sts("moved.example"),
        sts("endless.example"),
        // The key is bound, and the host offers no TLS at all.
        signed("dane.example", seal),
        signed("bogus.example", Seal::Broken(13)),
    ];
    let far = StandIn::on_island(HOST, Manner::Honest);
    let Some(mut names) = Names::on_island(ROOT, "192.0.2.9", zones) else { return };
    let large = policy("enforce") + &"a: b\r\n".repeat(2 << 20);
    let moved = "302 https://mta-sts.enforced.example/.well-known/mta-sts.txt";
    let policies = Policies::serve(
        WEB,
        &authority,
        &[
            ("mta-sts.enforced.example", &policy("enforce")),
            ("mta-sts.testing.example", &policy("testing")),
            ("mta-sts.large.example", &large),
            ("mta-sts.moved.example", moved),
            // A line that does not end.
            ("mta-sts.endless.example", &"a".repeat(12 << 20)),
        ],
    );
    let ours = ours(&authority, &names);
    let held = ["enforced.example", "dane.example", "bogus.example"];
    let sent = ["testing.example", "large.example", "moved.example", "endless.example"];
    for name in held.iter().chain(&sent) {
        send(&format!("a@{name}"));
    }
    // What is no policy is as good as none (RFC 8461 section 3.3), and a test is a test.
    let to = |name: &str| {
        let wanted = format!("a@{name}");
        far.taken().iter().any(|taken| taken.to.contains(&wanted))
    };
    for name in sent {
        until(name, || to(name));
    }
    assert_eq!(policies.asked(), 5, "nobody is followed elsewhere");
    for words in
        ["large.example cannot be had: the policy is too large", "moved.example cannot be had"]
    {
        // The log is written in its own time.
        until(words, || log(&ours).contains(&format!("MTA-STS policy of {words}")));
    }
    // A known policy goes on counting when it is announced no more, after a restart too.
    let silent = Zone::new("enforced.example", Seal::None).with("", "MX 10 mx.far.example.");
    names.change(silent);
    let mut ours = ours;
    ours.stop();
    ours.start();
    std::thread::sleep(Duration::from_secs(5));
    // Several tries later nothing has gone to those who could not be proved, and nobody has been
    // told that it never will.
    for name in held {
        assert!(!to(name), "{name}");
        let (_, info) = ours.angarium(&["cli", &format!("GetMessageQueueInfo SMTP QUEUE {name}")]);
        assert!(info.contains("nTotal = #1"), "{name}: {info}");
    }
    let mut imap = ours.imap("joe");
    let status = imap.ok("STATUS INBOX (MESSAGES)");
    assert!(String::from_utf8_lossy(&status[0]).contains("MESSAGES 0"));
    assert!(ours.peak_kib() < CEILING, "{} KiB", ours.peak_kib());
}
