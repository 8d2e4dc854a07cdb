//! The gradual migration of the guides, live: our server stands in front, the old one is a Postfix
//! with a Dovecot. Mail to names we do not have goes on to the old server as it came; an account made
//! here takes its mail from then on (RTE-03, RTE-04, RTE-05).

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

mod house;

use std::time::{Duration, Instant};

use house::certificates::Authority;
use house::foreign::{Dovecot, Foreign};
use house::island::{cover, host, island};
use house::names::{Names, Seal, Zone};
use house::smtp::Smtp;
use house::{House, Imap, PASSWORD};

const OURS: &str = "192.0.2.2";
const OLD: &str = "192.0.2.3";

/// A letter as a foreign server brings it: with trace lines of its own, dots and octets above 127.
fn letter(token: &str) -> String {
    format!(
        "Received: from elsewhere by far.example; Sun, 22 Nov 2026 10:00:00 +0000\r\n\
         DKIM-Signature: v=1; kept as it is\r\nFrom: Friend <friend@far.example>\r\n\
         To: =?utf-8?q?Gr=C3=BC=C3=9Fe?= <aname@ours.example>\r\nSubject: {token}\r\n\
         X-Odd:   spaces   kept\t\r\nMessage-ID: <{token}@far.example>\r\n\
         Date: Sun, 22 Nov 2026 10:00:00 +0000\r\n\r\n.\r\n..two dots\r\nGr\u{fc}\u{df}e\r\n\
         From the start of a line\r\n"
    )
}

/// Sends it from outside.
fn bring(ours: &House, to: &str, token: &str) {
    let mut smtp = Smtp::connect(OURS, 25);
    smtp.ok("MAIL FROM:<friend@far.example> BODY=8BITMIME");
    smtp.ok(&format!("RCPT TO:<{to}>"));
    smtp.ok("DATA");
    let text = letter(token).replace("\r\n.", "\r\n..");
    smtp.send(format!("{text}.\r\n").as_bytes());
    let reply = smtp.hear();
    assert!(reply.starts_with("250"), "{}: {reply}", ours.domain);
}

/// The only message with this subject in an INBOX, waited for.
fn arrived(mut imap: Imap, token: &str) -> String {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        imap.ok("EXAMINE INBOX");
        let found = imap.ok(&format!("SEARCH SUBJECT \"{token}\""));
        let text = String::from_utf8_lossy(&found[0]).trim().to_owned();
        if let Some(number) = text.strip_prefix("* SEARCH ") {
            assert!(!number.contains(' '), "there twice: {text}");
            let lines = imap.ok(&format!("FETCH {number} BODY.PEEK[]"));
            return String::from_utf8_lossy(Imap::literal(&lines[0])).into_owned();
        }
        assert!(Instant::now() < end, "{token} does not arrive");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn old_inbox(name: &str) -> Imap {
    Imap::login(Dovecot::IMAP, name, PASSWORD)
}

#[test]
fn rte_04_unknown_names_reach_the_old_server_as_they_came_until_they_have_an_account_here() {
    if !island(
        "rte_04_unknown_names_reach_the_old_server_as_they_came_until_they_have_an_account_here",
    ) {
        return;
    }
    let authority = Authority::new();
    let zones = vec![
        Zone::new("ours.example", Seal::Signed(13))
            .with("", "MX 10 mx.ours.example.")
            .with("mx", &format!("A {OURS}")),
        // The old server's own domain leads elsewhere: its address alone counts.
        Zone::new("old.example", Seal::None)
            .with("", "MX 10 nowhere.old.example.")
            .with("", &format!("A {OLD}")),
        Zone::new("far.example", Seal::None)
            .with("", "MX 10 far.example.")
            .with("", "A 192.0.2.77"),
        Zone::new("client.example", Seal::None).with("", "A 192.0.2.78"),
    ];
    let Some(names) = Names::on_island("192.0.2.1", "192.0.2.9", zones) else { return };
    cover("/etc/resolv.conf", &names.resolv_conf());
    let Some(_store) = Dovecot::start() else { return };
    let more = format!("virtual_transport = lmtp:inet:127.0.0.1:{}\n", Dovecot::LMTP);
    let Some(_old) = Foreign::postfix(OLD, "ours.example", &authority, &more) else { return };
    let mut ours = House::alone(OURS, "ours.example");
    ours.within = host(OURS);
    ours.more.push("--clear-text-logins".to_owned());
    ours.start();
    let run = |line: &str| assert_eq!(ours.angarium(&["cli", line]).0, 0, "{line}");
    run("UpdateModule SMTP {DNSServers=\"192.0.2.9:53\";}");

    for (round, route) in
        ["*%ours.example@[192.0.2.3]", "*%ours.example@old.example:25.smtp"].into_iter().enumerate()
    {
        run(&format!(
            "UpdateDomainSettings ours.example {{MailToUnknown=\"Rerouted to\";\
             MailRerouteAddress=\"{route}\";}}"
        ));
        let (name, token) = (format!("aname{round}"), format!("before-{round}"));
        bring(&ours, &format!("{name}@ours.example"), &token);
        let text = arrived(old_inbox(&name), &token);
        assert!(text.contains("Return-Path: <friend@far.example>"), "{text}");
        assert!(text.contains(&format!("Delivered-To: {name}@ours.example")), "{text}");
        // Header and body as they came, below the trace lines of both servers.
        assert!(text.ends_with(&letter(&token)), "{text}");

        // The account is made here: its mail stays here.
        ours.account(&name);
        let token = format!("after-{round}");
        bring(&ours, &format!("{name}@ours.example"), &token);
        let text = arrived(ours.imap(&name), &token);
        assert!(text.ends_with(&letter(&token)), "{text}");
        let mut old = old_inbox(&name);
        old.ok("EXAMINE INBOX");
        let found = old.ok("SEARCH ALL");
        assert_eq!(String::from_utf8_lossy(&found[0]).trim(), "* SEARCH 1");
    }
    drop(names);
}
