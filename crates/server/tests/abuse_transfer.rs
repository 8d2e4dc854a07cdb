//! Hostile clients of SMTP against the running server: ways to relay, ways to smuggle, names that
//! are more than names, sizes that lie, and asking who is there (reliability: ABU-04, ABU-05, ABU-07,
//! ABU-10, ABU-12, ABU-15).

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

mod house;

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use house::hostile::{Innocent, connect, hear};
use house::smtp::{Smtp, letter};
use house::{DOMAIN, House, Imap, PASSWORD};

/// Most memory the server may have used when all is over, KiB.
const CEILING: u64 = 300 * 1024;

/// The subjects in an account's INBOX.
fn subjects(house: &House, name: &str) -> Vec<String> {
    let mut imap = house.imap(name);
    imap.ok("EXAMINE INBOX");
    imap.ok("UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        .iter()
        .filter(|line| line.windows(6).any(|w| w == b"BODY[H"))
        .map(|line| String::from_utf8_lossy(Imap::literal(line)).trim().to_owned())
        .map(|subject| subject.trim_start_matches("Subject: ").to_owned())
        .collect()
}

/// Waits until an account has a letter of this subject.
fn arrives(house: &House, name: &str, subject: &str) {
    let end = Instant::now() + Duration::from_secs(20);
    while !subjects(house, name).iter().any(|s| s == subject) {
        assert!(Instant::now() < end, "{subject} does not arrive");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn abu_04_who_speaks_before_the_greeting_or_ahead_without_leave_is_refused() {
    let house = House::build();
    let mut innocent = Innocent::arrive(&house);
    let talk = |hello: &str| {
        format!(
            "{hello} x.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<innocent@{DOMAIN}>\r\nDATA\r\n\
             Subject: early\r\n\r\nearly\r\n.\r\nQUIT\r\n"
        )
    };
    for port in [25, 587] {
        let mut stream = connect(&house, port);
        stream.write_all(talk("EHLO").as_bytes()).unwrap();
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said);
        let said = String::from_utf8_lossy(&said);
        assert!(said.starts_with('5') || said.starts_with("421"), "port {port}: {said}");
        assert!(!said.contains("354"), "port {port}: {said}");
    }
    // HELO announces nothing, so nothing may be sent ahead.
    let mut stream = connect(&house, 25);
    hear(&mut stream, "\r\n");
    stream.write_all(talk("HELO").as_bytes()).unwrap();
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("554 ") && !said.contains("message accepted"), "{said}");
    innocent.is_served("early talk");
    assert!(subjects(&house, "innocent").is_empty());
}

/// Ways to write an address so that a careless server sends it on; the goal is always
/// `victim@outside.example` or a host that is not ours.
const RELAY_FORMS: &[&str] = &[
    "victim@outside.example",
    "victim@OUTSIDE.example",
    "victim@outside.example.",
    "victim%outside.example@house.example",
    "victim%outside.example@HOUSE.EXAMPLE",
    "victim%outside.example@house.example.",
    "victim%outside.example",
    "victim%outside.example%house.example@house.example",
    "victim%outside.example@localhost",
    "victim%outside.example@mailhost",
    "victim%outside.example@[127.0.0.1]",
    "victim%outside.example@127.0.0.1",
    "victim%outside.example@[0.0.0.0]",
    "victim%outside.example@[IPv6:::1]",
    "outside.example!victim",
    "outside.example!victim@house.example",
    "house.example!outside.example!victim",
    "house.example!victim%outside.example",
    "outside.example!victim%house.example@house.example",
    "@house.example:victim@outside.example",
    "@house.example,@other.example:victim@outside.example",
    "@outside.example:victim@house.example",
    "@localhost:victim@outside.example",
    "@house.example:victim%outside.example@house.example",
    "\"victim@outside.example\"",
    "\"victim@outside.example\"@house.example",
    "\"victim%outside.example\"@house.example",
    "\"outside.example!victim\"@house.example",
    "\"@house.example:victim@outside.example\"@house.example",
    "\"\"@outside.example",
    "\"victim\"@outside.example",
    "@outside.example",
    "victim@house.example@outside.example",
    "victim@outside.example@house.example",
    "victim\\@outside.example@house.example",
    "victim@[192.0.2.1]",
    "victim@192.0.2.1",
    "victim@[IPv6:2001:db8::1]",
    "victim@[192.0.2.1]:25",
    "victim@outside.example.smtp",
    "victim@outside.example.via",
    "victim@outside.example._via",
    "victim@outside.example._smtp",
    "victim@outside.example.relay",
    "victim@outside.example._relay",
    "victim@outside.example:25._via",
    "victim@outside.example.25.smtp",
    "victim@[192.0.2.1]._via",
    "victim%outside.example@house.example._via",
    "victim%outside.example@house.example.smtp",
    "victim%outside.example@other.example.smtp@house.example",
    "victim@house.example.smtp",
    "victim@outside.example.local",
    "victim@outside.example.domain",
    "\"/bin/sh -c id\"@pipe",
    "\"cat\"@house.example.pipe",
    "victim%outside.example+joe@house.example",
    "joe+victim@outside.example@house.example",
    "joe#victim@outside.example",
    "victim+outside.example@house.example",
    "victim=outside.example@house.example",
    "victim@outside.example\u{3002}",
    "victim@outside\u{3002}example",
    "victim\u{ff20}outside.example@house.example",
    "victim\u{ff05}outside.example@house.example",
    "victim\u{ff01}outside.example@house.example",
    "victim%outside.example@xn--house.example",
    "victim@house.example%outside.example",
    "victim@.house.example",
    "victim@..outside.example",
    "SRS0=aaaa=bb=outside.example=victim@house.example",
    "SRS1=aaaa=outside.example==bbbb=cc=outside.example=victim@house.example",
    "\"victim\0@outside.example\"@house.example",
    "victim@blacklisted",
    "victim%outside.example@blacklisted",
];

#[test]
fn abu_05_no_form_of_an_address_makes_us_relay_for_a_stranger() {
    let house = House::build();
    house.account("joe");
    let mut innocent = Innocent::arrive(&house);
    let own = format!("joe@{DOMAIN}");
    let froms = ["", "spammer@evil.example", &own, "postmaster@house.example"];
    for form in RELAY_FORMS {
        for from in froms {
            // A connection each: a server may hang up on somebody who guesses.
            let mut smtp = Smtp::connect("127.0.0.1", house.port(25));
            let wide = if form.is_ascii() { "" } else { " SMTPUTF8" };
            let reply = smtp.say(&format!("MAIL FROM:<{from}>{wide}"));
            if !reply.starts_with('2') {
                continue;
            }
            let reply = smtp.say(&format!("RCPT TO:<{form}>"));
            let refused = reply.starts_with(['4', '5']);
            assert!(refused, "relays for {form:?} from <{from}>: {reply}");
            let reply = smtp.say("DATA");
            assert!(reply.starts_with('5') || reply.is_empty(), "{form:?}: {reply}");
        }
    }
    innocent.is_served("attempts to relay");
    let left = std::process::Command::new("find")
        .arg(house.base.join("Store/spool"))
        .args(["-type", "f"])
        .output()
        .unwrap();
    assert!(left.stdout.is_empty(), "{}", String::from_utf8_lossy(&left.stdout));
}

#[test]
fn abu_07_names_that_look_like_commands_are_names() {
    let house = House::build();
    let mut innocent = Innocent::arrive(&house);
    let witness = house.base.with_extension("witness");
    let touch = format!("touch {}", witness.display());
    let names = [
        "-oQ/tmp".to_owned(),
        "-X/tmp/log".to_owned(),
        "--help".to_owned(),
        format!("|{touch}"),
        format!("| {touch}"),
        format!(";{touch}"),
        format!("$({touch})"),
        format!("`{touch}`"),
        format!("innocent;{touch}"),
        format!("innocent${{IFS}}|{touch}"),
        format!(":include:{}", witness.display()),
        witness.display().to_string(),
        "../../../etc/passwd".to_owned(),
        "..".to_owned(),
        ".".to_owned(),
        "/".to_owned(),
        "~root".to_owned(),
        "' OR '1'='1".to_owned(),
        "innocent'; DROP TABLE accounts; --".to_owned(),
        "innocent\u{0}x".to_owned(),
        "*)(uid=*))(|(uid=*".to_owned(),
        "innocent*".to_owned(),
        "%s%n%x".to_owned(),
        "${jndi:ldap://127.0.0.1/a}".to_owned(),
        "<script>alert(1)</script>".to_owned(),
        "a".repeat(60),
        "a".repeat(600),
        "CON".to_owned(),
    ];
    for name in &names {
        for domain in [DOMAIN, "[127.0.0.1]"] {
            let mut smtp = Smtp::connect("127.0.0.1", house.port(25));
            smtp.ok("MAIL FROM:<a@b.example>");
            let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
            let reply = smtp.say(&format!("RCPT TO:<\"{quoted}\"@{domain}>"));
            assert!(reply.starts_with(['4', '5']), "{name:?}: {reply}");
            let reply = smtp.say(&format!("RCPT TO:<{name}@{domain}>"));
            assert!(reply.starts_with(['4', '5']) || reply.is_empty(), "{name:?}: {reply}");
        }
    }
    // As a return path, in HELO and in the header they are text, too.
    for name in &names {
        let mut smtp = Smtp::connect("127.0.0.1", house.port(25));
        let _ = smtp.say(&format!("HELO {}", name.replace('\0', "")));
        smtp.ok("EHLO client.example");
        let quoted = name.replace('"', "");
        let reply = smtp.say(&format!("MAIL FROM:<\"{quoted}\"@b.example>"));
        if reply.starts_with('2') {
            smtp.ok(&format!("RCPT TO:<innocent@{DOMAIN}>"));
            smtp.ok("DATA");
            smtp.send(
                format!("From: <\"{quoted}\"@b.example>\r\nX: {quoted}\r\n\r\n.\r\n").as_bytes(),
            );
            smtp.hear();
        }
    }
    innocent.is_served("names that look like commands");
    assert!(!witness.exists(), "a name was executed or written to");
}

#[test]
fn abu_10_sizes_that_lie_are_answered_and_nothing_is_kept() {
    let house = House::build();
    let mut innocent = Innocent::arrive(&house);
    let line =
        format!("CreateAccount small@{DOMAIN} {{Password=\"{PASSWORD}\";MaxAccountSize=\"8K\";}}");
    assert_eq!(house.angarium(&["cli", &line]).0, 0);
    let open = || {
        let mut smtp = Smtp::connect("127.0.0.1", house.port(25));
        smtp.send(b"");
        smtp
    };
    let rcpt = format!("RCPT TO:<innocent@{DOMAIN}>");

    // SIZE 0 says nothing; a size beyond the limit is refused at once.
    let mut smtp = open();
    smtp.ok("MAIL FROM:<a@b.example> SIZE=0");
    smtp.ok("RSET");
    for size in ["99999999999", "18446744073709551615", "18446744073709551616", "-1", "1e9", ""] {
        let reply = smtp.say(&format!("MAIL FROM:<a@b.example> SIZE={size}"));
        assert!(reply.starts_with('5'), "SIZE={size}: {reply}");
    }

    // Over quota: known at RCPT when the size was said, at the latest after the data.
    let mut smtp = open();
    smtp.ok("MAIL FROM:<a@b.example> SIZE=20000");
    let reply = smtp.say(&format!("RCPT TO:<small@{DOMAIN}>"));
    assert!(reply.starts_with(['4', '5']), "{reply}");

    // BDAT without MAIL, without RCPT, without a size, with one that is none.
    let mut smtp = open();
    assert!(smtp.say("BDAT 0 LAST").starts_with("503"));
    for words in
        ["BDAT", "BDAT LAST", "BDAT -1 LAST", "BDAT 1x LAST", "BDAT 18446744073709551616 LAST"]
    {
        let mut smtp = open();
        smtp.ok("MAIL FROM:<a@b.example>");
        smtp.ok(&rcpt);
        let reply = smtp.say(words);
        assert!(reply.starts_with(['5', '4']), "{words}: {reply}");
    }
    let mut smtp = open();
    smtp.ok("MAIL FROM:<a@b.example>");
    // The octets belong to the command though it is refused: they are no commands.
    smtp.send(b"BDAT 6 LAST\r\nNOOP\r\n");
    let reply = smtp.hear();
    assert!(reply.starts_with('5'), "{reply}");
    assert!(smtp.say("NOOP").starts_with("250"));

    // 2^64-1 octets announced: refused now, not after they have come.
    let mut smtp = open();
    smtp.ok("MAIL FROM:<a@b.example>");
    smtp.ok(&rcpt);
    let reply = smtp.say("BDAT 18446744073709551615 LAST");
    assert!(reply.starts_with('5'), "{reply}");

    // An empty last piece ends a message; so does an empty only one.
    let mut smtp = open();
    smtp.ok("MAIL FROM:<a@b.example>");
    smtp.ok(&rcpt);
    let text = "Subject: in pieces\r\n\r\nx\r\n";
    smtp.send(format!("BDAT {}\r\n{text}", text.len()).as_bytes());
    assert!(smtp.hear().starts_with("250"));
    assert!(smtp.say("BDAT 0 LAST").starts_with("250"));
    smtp.ok("MAIL FROM:<a@b.example>");
    smtp.ok(&rcpt);
    let reply = smtp.say("BDAT 0 LAST");
    assert!(reply.starts_with(['2', '5']), "{reply}");
    arrives(&house, "innocent", "in pieces");
    innocent.is_served("sizes that lie");
    assert!(house.peak_kib() < CEILING, "the server used {} KiB", house.peak_kib());
}

#[test]
fn abu_12_who_has_logged_in_writes_in_no_other_name() {
    let house = House::build();
    let mut innocent = Innocent::arrive(&house);
    house.account("joe");
    let login = || {
        let mut smtp = Smtp::connect("127.0.0.1", house.port(587));
        smtp.login(&format!("joe@{DOMAIN}"), PASSWORD);
        smtp
    };
    let to = format!("innocent@{DOMAIN}");
    let own = format!("joe@{DOMAIN}");
    // The envelope.
    for from in [
        format!("innocent@{DOMAIN}"),
        format!("postmaster@{DOMAIN}"),
        "joe@elsewhere.example".to_owned(),
        format!("\"joe@{DOMAIN}\"@elsewhere.example"),
        format!("@{DOMAIN}:innocent@{DOMAIN}"),
        format!("joe%elsewhere.example@{DOMAIN}"),
        format!("innocent%{DOMAIN}@{DOMAIN}"),
    ] {
        let reply = login().say(&format!("MAIL FROM:<{from}>"));
        assert!(reply.starts_with('5'), "{from}: {reply}");
    }
    // The header. Whatever the policy makes of it, nobody reads another's name as the only author.
    let forged = format!("innocent@{DOMAIN}");
    for (number, from) in [
        format!("From: <{forged}>"),
        format!("From: Joe <{own}>, Other <{forged}>"),
        format!("From: <{own}>\r\nFrom: <{forged}>"),
        format!("From: <{forged}>\r\nFrom: <{own}>"),
        format!("From: Undisclosed: <{forged}>;"),
        format!("From: \"{own}\" <{forged}>"),
        format!("From:\t<{forged}>\r\nSender: <{forged}>"),
        format!("From: <{own}>\r\nSender: <{forged}>"),
    ]
    .iter()
    .enumerate()
    {
        let mut smtp = login();
        smtp.ok(&format!("MAIL FROM:<{own}>"));
        smtp.ok(&format!("RCPT TO:<{to}>"));
        smtp.ok("DATA");
        smtp.send(format!("{from}\r\nSubject: forged {number}\r\n\r\ntext\r\n.\r\n").as_bytes());
        let reply = smtp.hear();
        if reply.starts_with('5') {
            continue;
        }
        assert!(reply.starts_with('2'), "{from}: {reply}");
        let subject = format!("forged {number}");
        arrives(&house, "innocent", &subject);
        let mut imap = house.imap("innocent");
        imap.ok("EXAMINE INBOX");
        let found = imap.ok(&format!("SEARCH SUBJECT \"{subject}\""));
        let text = String::from_utf8_lossy(&found.concat()).trim().to_owned();
        let uid = text.rsplit(' ').next().unwrap().to_owned();
        let lines = imap.ok(&format!("FETCH {uid} BODY.PEEK[HEADER]"));
        let header = String::from_utf8_lossy(Imap::literal(&lines[0])).into_owned();
        let line = |name: &str| {
            let mut all = header.lines().filter(|l| l.to_lowercase().starts_with(name));
            all.next().unwrap_or_default().to_owned()
        };
        assert!(line("return-path:").contains(&own), "{header}");
        let said = header.contains("account joe") || line("sender:").contains(&own);
        assert!(said, "who wrote it stands nowhere: {header}");
    }
    innocent.is_served("forged names");
}

#[test]
fn abu_15_asking_who_is_there_tells_no_more_than_policy() {
    let house = House::build();
    let mut innocent = Innocent::arrive(&house);
    let mut smtp = Smtp::connect("127.0.0.1", house.port(25));
    // VRFY and EXPN say the same of everybody.
    for verb in ["VRFY", "EXPN"] {
        let there = smtp.say(&format!("{verb} innocent@{DOMAIN}"));
        let absent = smtp.say(&format!("{verb} nobodyxx@{DOMAIN}"));
        assert_eq!(there.replace("innocent", "*"), absent.replace("nobodyxx", "*"), "{verb}");
        assert!(!there.contains("Innocent"), "{there}");
    }
    // A submission server asks for a login before it says anything of a name.
    let mut submission = Smtp::connect("127.0.0.1", house.port(587));
    let there = submission.say(&format!("VRFY innocent@{DOMAIN}"));
    let absent = submission.say(&format!("VRFY nobodyxx@{DOMAIN}"));
    assert_eq!(there.replace("innocent", "*"), absent.replace("nobodyxx", "*"));
    assert!(submission.say("MAIL FROM:<a@b.example>").starts_with("530"));
    // Logins: the same words for a wrong name and a wrong password.
    let mut wrong = |name: &str| {
        use base64::Engine as _;
        let secret = format!("\0{name}@{DOMAIN}\0wrong");
        let secret = base64::engine::general_purpose::STANDARD.encode(secret);
        submission.say(&format!("AUTH PLAIN {secret}"))
    };
    assert_eq!(wrong("innocent"), wrong("nobodyxx"));
    innocent.is_served("questions");
    // RCPT may tell (HideAccountUnknown off): then it is one text for every absent name.
    smtp.ok("MAIL FROM:<a@b.example>");
    let one = smtp.say(&format!("RCPT TO:<nobodyxx@{DOMAIN}>"));
    let two = smtp.say(&format!("RCPT TO:<someonex@{DOMAIN}>"));
    assert_eq!(one.replace("nobodyxx", "*"), two.replace("someonex", "*"));
    assert!(
        smtp.letter(
            "a@b.example",
            &[&format!("innocent@{DOMAIN}")],
            &letter("a@b.example", "x", "after")
        )
        .starts_with(['2', '5'])
    );
}
