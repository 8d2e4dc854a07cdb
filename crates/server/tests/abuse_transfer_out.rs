//! Hostile hosts, names and messages on the way out of the running server (reliability: ABU-02,
//! ABU-06, ABU-11, ABU-13, ABU-14, ABU-16, ABU-18). ABU-17 is in `three_hosts.rs`.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

mod house;

use std::time::{Duration, Instant};

use house::hostile::Innocent;
use house::names::{Names, Seal, Zone};
use house::smtp::{Smtp, letter};
use house::stand_in::{Manner, StandIn};
use house::{DOMAIN, House, Imap, PASSWORD};

/// Most memory the server may have used when all is over, KiB.
const CEILING: u64 = 300 * 1024;

/// A house with joe, that tries again soon and may send to this machine.
fn house() -> (House, Innocent) {
    let house = House::build();
    let innocent = Innocent::arrive(&house);
    house.account("joe");
    tell(&house, "UpdateModule QUEUE {RetryAfter=(1s, 1s, 2s);}");
    tell(&house, "UpdateModule SMTP {AllowPrivateTargets=YES;}");
    (house, innocent)
}

fn tell(house: &House, line: &str) {
    assert_eq!(house.angarium(&["cli", line]).0, 0, "{line}");
}

/// Leads domains to hosts on ports of this machine.
fn lead(house: &House, ways: &[(&str, u16)]) {
    let records: Vec<String> = ways
        .iter()
        .map(|(domain, port)| format!("Relay:{domain} = {domain}@[127.0.0.1]:{port}._via"))
        .collect();
    tell(house, &format!("SetRouterTable \"{}\"", records.join("\\e")));
}

/// A submission session of joe's.
fn joe(house: &House) -> Smtp {
    let mut smtp = Smtp::connect("127.0.0.1", house.port(587));
    smtp.login(&format!("joe@{}", house.domain), PASSWORD);
    smtp
}

fn send(house: &House, to: &str, token: &str) {
    let from = format!("joe@{}", house.domain);
    let reply = joe(house).letter(&from, &[to], &letter(&from, to, token));
    assert!(reply.starts_with("250"), "{to}: {reply}");
}

/// Everything in joe's INBOX.
fn inbox(house: &House) -> Vec<String> {
    let mut imap = house.imap("joe");
    imap.ok("EXAMINE INBOX");
    imap.ok("UID FETCH 1:* (BODY.PEEK[])")
        .iter()
        .filter(|line| line.windows(6).any(|w| w == b"BODY[]"))
        .map(|line| String::from_utf8_lossy(Imap::literal(line)).into_owned())
        .collect()
}

fn until<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(done) = ready() {
            return done;
        }
        assert!(Instant::now() < end, "{what}: not in time");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The first report about this recipient.
fn report(house: &House, recipient: &str) -> String {
    until(recipient, || {
        inbox(house)
            .into_iter()
            .find(|text| text.contains("multipart/report") && text.contains(recipient))
    })
}

#[test]
fn abu_02_no_message_we_pass_on_can_end_early_at_the_next_host() {
    let (house, mut innocent) = house();
    let next = StandIn::on_loopback(Manner::Honest);
    lead(&house, &[("next.example", next.at.port())]);
    let smuggled =
        "MAIL FROM:<evil@b.example>\r\nRCPT TO:<a@next.example>\r\nDATA\r\nsecond\r\n.\r\n";
    let endings =
        ["\r\n.\r\n", "\n.\n", "\r.\r", "\r\n.\n", "\n.\r\n", "\r.\r\n", "\r\n.\r", "\r\n..\r\n"];
    for (number, ending) in endings.iter().enumerate() {
        // BDAT carries any octets, so what looks like an end comes in as content.
        let text =
            format!("From: <joe@{DOMAIN}>\r\nSubject: n{number}\r\n\r\nfirst{ending}{smuggled}");
        let mut smtp = joe(&house);
        smtp.ok(&format!("MAIL FROM:<joe@{DOMAIN}>"));
        smtp.ok("RCPT TO:<a@next.example>");
        smtp.send(format!("BDAT {} LAST\r\n{text}", text.len()).as_bytes());
        let reply = smtp.hear();
        if reply.starts_with('5') {
            continue;
        }
        assert!(reply.starts_with("250"), "{ending:?}: {reply}");
        let subject = format!("Subject: n{number}");
        let all = until("a message with odd ends", || {
            let all = next.taken();
            all.iter().any(|taken| taken.text.contains(&subject)).then_some(all)
        });
        assert!(
            all.iter().all(|taken| taken.from != "evil@b.example"),
            "{ending:?} ends a message"
        );
        let raw = &all.iter().find(|taken| taken.text.contains(&subject)).unwrap().raw;
        for lone in [b"\n.\n".as_slice(), b"\n.\r", b"\r.\r", b"\r.\n"] {
            let found = raw.windows(lone.len()).any(|w| w == lone);
            assert!(!found, "{ending:?} goes out as {lone:?}");
        }
    }
    innocent.is_served("messages with odd ends");
}

#[test]
fn abu_06_forged_dns_makes_us_nobodys_relay_beyond_a_backups_limits() {
    let us = "MX 10 mx.house.example.";
    let zones = vec![
        Zone::new("house.example", Seal::None).with("", us).with("mx", "A 127.0.0.1"),
        Zone::new("backed.example", Seal::None)
            .with("", "MX 5 mx.backed.example.")
            .with("", us)
            .with("mx", "A 192.0.2.10"),
        // Points at us alone, at us first, or nowhere.
        Zone::new("evil.example", Seal::None).with("", us),
        Zone::new("best.example", Seal::None).with("", us).with("", "MX 20 mx.backed.example."),
        Zone::new("other.example", Seal::None).with("", "MX 5 mx.backed.example."),
        Zone::new("null.example", Seal::None).with("", "MX 0 ."),
        Zone::new("b.example", Seal::None).with("", "A 192.0.2.77"),
    ];
    let Some(names) = Names::on_loopback(zones) else { return };
    let (house, mut innocent) = house();
    tell(
        &house,
        &format!(
            "UpdateModule SMTP {{DNSServers=\"{}\";HELOName=\"mx.house.example\";}}",
            names.authority()
        ),
    );
    let ask = |to: &str| {
        let mut smtp = Smtp::connect("127.0.0.1", house.port(25));
        smtp.ok("MAIL FROM:<a@b.example>");
        smtp.say(&format!("RCPT TO:<{to}>"))
    };
    assert!(ask("x@backed.example").starts_with('5'), "the option is off");
    tell(&house, "UpdateModule PROTECTION {RelayToHostsWeBackup=YES;}");
    let taken = until("the option", || {
        let reply = ask("x@backed.example");
        reply.starts_with("250").then_some(reply)
    });
    assert!(taken.starts_with("250"), "{taken}");
    for to in [
        "x@evil.example",
        "x@best.example",
        "x@other.example",
        "x@null.example",
        "x@absent.example",
        "x%other.example@backed.example",
        "other.example!x@backed.example",
        "@backed.example:x@other.example",
        "x@backed.example@other.example",
    ] {
        let reply = ask(to);
        assert!(reply.starts_with(['4', '5']), "{to}: {reply}");
    }
    innocent.is_served("forged records");
}

#[test]
fn abu_11_two_servers_that_send_to_each_other_stop_with_one_report() {
    let (here, mut innocent) = house();
    let directory = tempfile::tempdir().unwrap();
    let mut there = House::alone("127.0.0.1", "there.example");
    there.base = directory.path().join("base");
    there.offset = house::free_offset();
    there.start();
    tell(&there, "UpdateModule QUEUE {RetryAfter=(1s, 1s, 2s);}");
    tell(&there, "UpdateModule SMTP {AllowPrivateTargets=YES;}");
    lead(&here, &[("loop.example", there.port(25)), ("there.example", there.port(25))]);
    lead(&there, &[("loop.example", here.port(25)), (DOMAIN, here.port(25))]);
    send(&here, "round@loop.example", "round");
    let text = report(&here, "round@loop.example");
    assert!(text.contains("5.4.6") || text.to_lowercase().contains("loop"), "{text}");
    // Mail without a sender stops without a word.
    let mut smtp = Smtp::connect("127.0.0.1", here.port(25));
    let reply =
        smtp.letter("", &["silent@loop.example"], &letter("", "silent@loop.example", "silent"));
    assert!(reply.starts_with("250"), "{reply}");
    // A sender that does not exist, at the other server, whose reports come back to nobody.
    let reply = smtp.letter(
        "nobody@there.example",
        &["third@loop.example"],
        &letter("x@y.example", "z@z.example", "third"),
    );
    assert!(reply.starts_with(['2', '5']), "{reply}");
    std::thread::sleep(Duration::from_secs(6));
    let all = inbox(&here);
    assert_eq!(all.len(), 1, "{all:?}");
    innocent.is_served("mail that goes round");
    for house in [&here, &there] {
        assert!(house.peak_kib() < CEILING, "{} KiB", house.peak_kib());
    }
}

#[test]
fn abu_13_what_a_hostile_host_says_is_bounded_and_harmless_in_log_and_report() {
    let (house, mut innocent) = house();
    let manners = [
        ("long.example", Manner::LongGreeting),
        ("endless.example", Manner::EndlessEhlo),
        ("nonsense.example", Manner::Nonsense),
        ("control.example", Manner::ControlBytes),
        ("silent.example", Manner::Silent),
    ];
    let hosts: Vec<StandIn> = manners.iter().map(|(_, m)| StandIn::on_loopback(*m)).collect();
    let ways: Vec<(&str, u16)> =
        manners.iter().zip(&hosts).map(|((name, _), host)| (*name, host.at.port())).collect();
    lead(&house, &ways);
    for (name, _) in manners {
        send(&house, &format!("a@{name}"), name);
    }
    let text = report(&house, "a@control.example");
    let odd = |c: char| c.is_control() && !matches!(c, '\r' | '\n' | '\t');
    assert!(!text.contains(odd), "{text:?}");
    for host in &hosts {
        until("a connection", || (host.connections() > 0).then_some(()));
    }
    innocent.is_served("hostile hosts");
    std::thread::sleep(Duration::from_secs(2));
    for entry in std::fs::read_dir(house.base.join("SystemLogs")).unwrap().flatten() {
        let log = std::fs::read(entry.path()).unwrap_or_default();
        let odd = log.iter().position(|b| b.is_ascii_control() && !matches!(b, b'\n' | b'\t'));
        assert_eq!(odd, None, "{}", entry.path().display());
        let longest = log.split(|b| *b == b'\n').map(<[u8]>::len).max().unwrap_or(0);
        assert!(longest < 16 * 1024, "a line of {longest} in {}", entry.path().display());
    }
    assert!(house.peak_kib() < CEILING, "{} KiB", house.peak_kib());
}

#[test]
fn abu_14_a_report_on_hostile_mail_is_small_plain_and_goes_to_nobody_unproved() {
    let (house, mut innocent) = house();
    let next = StandIn::on_loopback(Manner::Refusing);
    let victim = StandIn::on_loopback(Manner::Honest);
    lead(&house, &[("next.example", next.at.port()), ("victim.example", victim.at.port())]);
    let from = format!("joe@{DOMAIN}");
    let script = "<script>alert(1)</script>";
    let body = format!("<html>{script}</html>\r\n").repeat(100_000);
    let text = format!(
        "From: <{from}>\r\nSubject: {script}\r\nContent-Type: text/html\r\nX-Long: {}\r\n\r\n{body}",
        "a b\r\n ".repeat(20_000)
    );
    let reply = joe(&house).letter(&from, &["a@next.example"], &text);
    assert!(reply.starts_with("250"), "{reply}");
    let told = report(&house, "a@next.example");
    assert!(told.len() < 300 * 1024, "a report of {} octets", told.len());
    let head = told.split("\r\n\r\n").next().unwrap();
    assert!(!head.contains("<script>"), "{head}");
    let human = told.split("message/delivery-status").next().unwrap();
    assert!(!human.to_lowercase().contains("content-type: text/html"), "{human}");
    // Somebody else's name in MAIL FROM: what we would refuse later is refused at once.
    let mut smtp = Smtp::connect("127.0.0.1", house.port(25));
    let _ = smtp.say("MAIL FROM:<somebody@victim.example>");
    let reply = smtp.say(&format!("RCPT TO:<absent@{DOMAIN}>"));
    assert!(reply.starts_with(['4', '5']), "{reply}");
    std::thread::sleep(Duration::from_secs(2));
    assert!(victim.taken().is_empty(), "{:?}", victim.taken());
    innocent.is_served("a hostile message");
}

#[test]
fn abu_16_names_in_the_dns_lead_us_into_no_circle_and_to_no_neighbour() {
    let inside = StandIn::on_loopback(Manner::Honest);
    let mut many = Zone::new("many.example", Seal::None);
    for number in 0..500 {
        many = many.with("", &format!("MX {number} mx{number}.many.example."));
        many = many.with(&format!("mx{number}"), "A 127.0.0.1");
    }
    let target = |name: &str, address: &str| {
        Zone::new(name, Seal::None).with("", &format!("MX 10 mx.{name}.")).with("mx", address)
    };
    let zones = vec![
        Zone::new("house.example", Seal::None)
            .with("", "MX 1 house.example.")
            .with("", "A 127.0.0.1"),
        many,
        target("loopback.example", "A 127.0.0.1"),
        target("any.example", "A 0.0.0.0"),
        target("private.example", "A 10.1.2.3"),
        target("link.example", "A 169.254.169.254"),
        target("six.example", "AAAA ::1"),
        target("mapped.example", "AAAA ::ffff:127.0.0.1"),
        target("broadcast.example", "A 255.255.255.255"),
        Zone::new("self.example", Seal::None).with("", "MX 10 house.example."),
        Zone::new("null.example", Seal::None).with("", "MX 0 ."),
        Zone::new("number.example", Seal::None).with("", "MX 10 127.0.0.1."),
        Zone::new("circle.example", Seal::None)
            .with("", "MX 10 a.circle.example.")
            .with("a", "CNAME b.circle.example.")
            .with("b", "CNAME a.circle.example."),
    ];
    let names_of: Vec<&str> = vec![
        "many.example",
        "loopback.example",
        "any.example",
        "private.example",
        "link.example",
        "six.example",
        "mapped.example",
        "broadcast.example",
        "self.example",
        "null.example",
        "number.example",
    ];
    let Some(names) = Names::on_loopback(zones) else { return };
    let (house, mut innocent) = house();
    tell(
        &house,
        &format!(
            "UpdateModule SMTP {{DNSServers=\"{}\";AllowPrivateTargets=NO;}}",
            names.authority()
        ),
    );
    let begun = Instant::now();
    send(&house, "a@circle.example", "circle");
    for name in &names_of {
        send(&house, &format!("a@{name}"), name);
    }
    for name in &names_of {
        report(&house, &format!("a@{name}"));
        innocent.is_served(name);
    }
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    assert_eq!(inside.connections(), 0);
    assert!(house.peak_kib() < CEILING, "{} KiB", house.peak_kib());
}

#[test]
fn abu_18_queues_are_released_to_their_owners_and_a_cut_loses_nothing() {
    let (house, mut innocent) = house();
    tell(&house, "UpdateModule QUEUE {HoldMailForDomains=(client.example, other.example);}");
    let create = |name: &str, domain: &str| {
        let line = format!(
            "CreateAccount {name}@{DOMAIN} {{Password=\"{PASSWORD}\";ATRNDomains=({domain});}}"
        );
        tell(&house, &line);
    };
    create("client", "client.example");
    create("other", "other.example");
    send(&house, "a@client.example", "for-client-1");
    send(&house, "b@client.example", "for-client-2");
    let open = |name: &str| {
        let mut smtp = Smtp::connect("127.0.0.1", house.port(25));
        if !name.is_empty() {
            smtp.login(&format!("{name}@{DOMAIN}"), PASSWORD);
        }
        smtp
    };
    // A stranger and the wrong client get nothing.
    assert!(open("").say("ATRN client.example").starts_with("530"));
    for (who, what) in
        [("other", "client.example"), ("joe", "client.example"), ("joe", "*"), ("joe", "")]
    {
        let reply = open(who).say(format!("ATRN {what}").trim_end());
        assert!(reply.starts_with(['4', '5']), "{who} asks for {what}: {reply}");
    }
    // ETRN tells a stranger nothing and brings nothing to him: mail goes to the domain's hosts only.
    let reply = open("").say("ETRN client.example");
    assert!(!reply.contains("for-client"), "{reply}");

    // The right one, who hangs up in the middle of the first message: it comes again.
    let mut cut = open("client");
    cut.ok("ATRN client.example");
    cut.send(b"220 client.example ESMTP\r\n");
    turned(&mut cut, true);
    drop(cut);
    let mut found = Vec::new();
    until("the queue after a cut", || {
        let mut smtp = open("client");
        if smtp.say("ATRN client.example").starts_with("250") {
            smtp.send(b"220 client.example ESMTP\r\n");
            found.extend(turned(&mut smtp, false));
        }
        (found.len() >= 2).then_some(())
    });
    found.sort();
    assert_eq!(found, ["for-client-1", "for-client-2"]);
    innocent.is_served("requests for queues");
}

/// Plays the server on a connection whose roles have turned; the subjects of what came. With `cut`
/// it stops in the middle of the first message.
fn turned(smtp: &mut Smtp, cut: bool) -> Vec<String> {
    let mut found = Vec::new();
    loop {
        let line = smtp.hear_line();
        let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "" => return found,
            "EHLO" => smtp.send(b"250-client.example\r\n250 8BITMIME\r\n"),
            "DATA" => {
                smtp.send(b"354 go on\r\n");
                loop {
                    let line = smtp.hear_line();
                    if cut || line.is_empty() {
                        return found;
                    }
                    if let Some(subject) = line.strip_prefix("Subject: ") {
                        found.push(subject.trim_end().to_owned());
                    }
                    if line == ".\r\n" {
                        break;
                    }
                }
                smtp.send(b"250 2.0.0 taken\r\n");
            }
            "QUIT" => {
                smtp.send(b"221 2.0.0 bye\r\n");
                return found;
            }
            _ => smtp.send(b"250 2.0.0 well\r\n"),
        }
    }
}
