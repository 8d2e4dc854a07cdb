//! Hostile clients against the running server, with a memory ceiling and an innocent session that
//! must stay served (reliability: ABU-01, ABU-03, ABU-08, ABU-09, ABU-19, ABU-20, ABU-37).

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

mod house;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use house::hostile::{Innocent, connect, hear, shout};
use house::{DOMAIN, House, PASSWORD};

/// Most memory the server may have used when all is over, KiB.
const CEILING: u64 = 300 * 1024;

#[test]
fn abu_09_19_20_floods_and_lies_end_with_an_answer_and_everybody_else_is_served() {
    let house = House::build();
    let mut innocent = Innocent::arrive(&house);
    let long_line = vec![b'a'; 20 << 20];
    let noops = b"NOOP\r\n".repeat(200_000);
    let rcpts = [
        b"MAIL FROM:<>\r\n".to_vec(),
        format!("RCPT TO:<innocent@{DOMAIN}>\r\n").into_bytes().repeat(100_000),
    ]
    .concat();
    let open_parentheses = [b"a SEARCH ".to_vec(), b"(".repeat(200_000), b"\r\n".to_vec()].concat();
    let small_literals = b"a LOGIN {4}\r\n".repeat(10_000);
    let sasl = b"a AUTHENTICATE PLAIN\r\n====\r\n".repeat(2_000);
    let cases: Vec<(&str, u16, Vec<u8>)> = vec![
        ("a long line to SMTP", 25, long_line.clone()),
        ("a long line to IMAP", 143, long_line.clone()),
        ("a long line to POP", 110, long_line.clone()),
        ("a long line to PWD", 106, long_line),
        ("NOOP without end to SMTP", 25, noops),
        ("RCPT without end", 25, rcpts),
        ("a SIZE that lies", 25, b"MAIL FROM:<> SIZE=99999999999999\r\nQUIT\r\n".to_vec()),
        ("a BDAT of all the world", 25, {
            format!(
                "MAIL FROM:<>\r\nRCPT TO:<innocent@{DOMAIN}>\r\n\
                 BDAT 18446744073709551615 LAST\r\n"
            )
            .into_bytes()
        }),
        ("parentheses before login", 143, open_parentheses),
        ("literals before login", 143, small_literals),
        ("a literal of 10 GB before login", 143, b"a LOGIN {10737418240+}\r\n".to_vec()),
        ("a literal beyond 64 bits", 143, b"a LOGIN {99999999999999999999}\r\n".to_vec()),
        ("broken base64", 143, sasl),
        ("nonsense to IMAP", 143, (0..=255_u8).cycle().take(200_000).collect()),
        ("nonsense to POP", 110, (0..=255_u8).cycle().take(200_000).collect()),
        ("nonsense to PWD", 106, (0..=255_u8).cycle().take(200_000).collect()),
        ("nonsense to SMTP", 25, (0..=255_u8).cycle().take(200_000).collect()),
        ("nonsense to a TLS port", 993, (0..=255_u8).cycle().take(200_000).collect()),
    ];
    for (name, port, bytes) in cases {
        let said = shout(&house, port, &bytes);
        assert!(port == 993 || !said.is_empty(), "{name}: no answer at all");
        innocent.is_served(name);
    }
    assert!(house.peak_kib() < CEILING, "the server used {} KiB", house.peak_kib());
}

#[test]
fn abu_19_a_logged_in_client_cannot_make_the_server_remember_gigabytes() {
    let house = House::build();
    let mut innocent = Innocent::arrive(&house);
    let login = format!("a LOGIN innocent@{DOMAIN} {PASSWORD}\r\n");
    for tail in [
        "b SEARCH SUBJECT {2000000000+}\r\n".to_owned(),
        format!("b SEARCH {}ALL\r\n", "OR NOT SEEN ".repeat(100_000)),
        format!("b FETCH {} FLAGS\r\n", "1:4294967295,".repeat(50_000) + "1"),
        format!("b FETCH 1 BODY[{}1]\r\n", "1.".repeat(100_000)),
        "b APPEND INBOX {99999999999+}\r\n".to_owned(),
        format!("b CREATE \"{}\"\r\n", "x/".repeat(30_000)),
    ] {
        let said = shout(&house, 143, [login.as_bytes(), tail.as_bytes()].concat().as_slice());
        assert!(said.contains("a OK"), "{said}");
        innocent.is_served(&tail.chars().take(40).collect::<String>());
    }
    assert!(house.peak_kib() < CEILING, "the server used {} KiB", house.peak_kib());
}

#[test]
fn abu_01_no_ending_but_the_true_one_ends_a_message() {
    let house = House::build();
    house.account("joe");
    let endings: [&str; 7] =
        ["\n.\n", "\r.\r", "\r\n.\n", "\n.\r\n", "\r.\r\n", "\r\n.\r", "\r\n\0.\r\n"];
    for ending in endings {
        let smuggled = format!(
            "MAIL FROM:<a@b.example>\r\nRCPT TO:<joe@{DOMAIN}>\r\nDATA\r\n\
             Subject: one\r\n\r\nfirst{ending}MAIL FROM:<evil@b.example>\r\n\
             RCPT TO:<joe@{DOMAIN}>\r\nDATA\r\nSubject: smuggled\r\n\r\nsecond\r\n.\r\nQUIT\r\n"
        );
        // Sent ahead without waiting, as an attacker's relay would pass it on.
        let said = shout(&house, 25, smuggled.as_bytes());
        assert!(said.contains("354 "), "{ending:?}: {said}");
    }
    // The same with the true ending is two messages: the test can tell the difference.
    let honest = format!(
        "MAIL FROM:<a@b.example>\r\nRCPT TO:<joe@{DOMAIN}>\r\nDATA\r\nSubject: honest\r\n\r\n\
         first\r\n.\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<joe@{DOMAIN}>\r\nDATA\r\n\
         Subject: honest\r\n\r\nsecond\r\n.\r\nQUIT\r\n"
    );
    let said = shout(&house, 25, honest.as_bytes());
    assert_eq!(said.matches("message accepted for delivery").count(), 2, "{said}");
    std::thread::sleep(Duration::from_millis(500));
    let mut imap = house.imap("joe");
    imap.ok("SELECT INBOX");
    let found = imap.ok("SEARCH HEADER Subject smuggled");
    assert_eq!(String::from_utf8_lossy(&found.concat()).trim(), "* SEARCH");
    let found = imap.ok("SEARCH HEADER Subject honest");
    assert_eq!(String::from_utf8_lossy(&found.concat()).trim().split(' ').count(), 4);
}

#[test]
fn abu_03_what_is_said_in_clear_after_starttls_is_not_heard() {
    let house = House::build();
    house.account("joe");
    // LMTP is heard on a port of its own.
    let port =
        "UpdateModule SMTP {Listener={Ports=({PortNumber=25;},{PortNumber=24;Protocol=LMTP;});};}";
    assert_eq!(house.angarium(&["cli", port]).0, 0);
    let end = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(("127.0.0.1", house.port(24))).is_err() {
        assert!(Instant::now() < end, "no LMTP");
        std::thread::sleep(Duration::from_millis(20));
    }
    for (port, talk) in [
        (25, "STARTTLS\r\nMAIL FROM:<a@b.example>\r\nRSET\r\n"),
        (24, "STARTTLS\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<joe@house.example>\r\nDATA\r\n"),
        (143, "a STARTTLS\r\nb CAPABILITY\r\n"),
        (110, "STLS\r\nCAPA\r\n"),
        (106, "STLS\r\nNOOP\r\n"),
    ] {
        let said = shout(&house, port, talk.as_bytes());
        // After the word that TLS may begin nothing more is said in clear.
        let last = said.trim_end().lines().last().unwrap_or_default().to_ascii_lowercase();
        let begin = last.contains("tls") || last.contains("begin") || last.contains("ready");
        assert!(begin, "port {port}: {said}");
    }
}

/// Clients of ABU-08.
const SLOW: usize = 10_000;

/// Most memory for each of them, octets.
const EACH: u64 = 40 * 1024;

/// Resident memory of a process, KiB.
fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Sends a letter to the innocent, on a connection of its own.
fn good_letter(house: &House) {
    let mut stream = connect(house, 25);
    hear(&mut stream, "\r\n");
    stream.write_all(b"EHLO x\r\n").unwrap();
    hear(&mut stream, "\r\n250 ");
    let good = format!("MAIL FROM:<a@b.example>\r\nRCPT TO:<innocent@{DOMAIN}>\r\nDATA\r\n");
    stream.write_all(good.as_bytes()).unwrap();
    hear(&mut stream, "354 ");
    stream.write_all(b"Subject: good\r\n\r\ngood\r\n.\r\nQUIT\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("message accepted for delivery"), "{answer}");
}

#[test]
fn abu_08_ten_thousand_clients_that_say_a_byte_a_second_hold_nobody_up() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
    if limit.maximum.is_some_and(|most| most < SLOW as u64 + 500) {
        println!("skipped: a process may not have {SLOW} open files");
        return;
    }
    let house = House::build();
    let most = "UpdateModule SMTP {Listener={MaxInputChannels=12000;MaxPerAddress=12000;};}";
    assert_eq!(house.angarium(&["cli", most]).0, 0);
    let mut innocent = Innocent::arrive(&house);
    good_letter(&house);
    let before = resident_kib(house.pid());
    let mut slow: Vec<TcpStream> = (0..SLOW).map(|_| connect(&house, 25)).collect();
    // Who speaks before the greeting is sent away for that alone.
    slow.iter_mut().for_each(|stream| hear(stream, "\r\n"));
    let mut first = 0;
    for byte in b"EHLO s" {
        let begun = Instant::now();
        for stream in &mut slow {
            stream.write_all(&[*byte]).unwrap();
        }
        innocent.is_served("slow clients");
        good_letter(&house);
        std::thread::sleep(Duration::from_secs(1).saturating_sub(begun.elapsed()));
        if first == 0 {
            first = resident_kib(house.pid());
        }
    }
    let last = resident_kib(house.pid());
    // Each costs its share, and waiting costs nothing.
    assert!(last < before + SLOW as u64 * EACH / 1024, "{before}, then {last} KiB");
    assert!(last < first + 16 * 1024, "{first} KiB grew to {last}");
    // They were heard all the time: each is answered when its line ends.
    for stream in slow.iter_mut().step_by(997) {
        stream.write_all(b"\r\n").unwrap();
        hear(stream, "\r\n250 ");
    }
}
