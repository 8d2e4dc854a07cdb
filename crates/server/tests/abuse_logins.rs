//! Logins abused against the running server: what the time and the words of a refusal tell, costly
//! passwords and hashes, exchanges left half open, guessing over every service, odd names
//! (reliability: ABU-35 to ABU-38, ABU-41 to ABU-43).

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

mod house;

use std::io::{Read as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use house::hostile::{Innocent, connect, hear, shout};
use house::{DOMAIN, House, Imap, PASSWORD};

fn cli(house: &House, line: &str) {
    let (code, out) = house.angarium(&["cli", line]);
    assert_eq!(code, 0, "{line}: {out}");
}

/// Time of the processor the server has used, in hundredths of a second.
fn used(house: &House) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", house.pid())).unwrap();
    let after = stat.rsplit(')').next().unwrap();
    let fields: Vec<&str> = after.split_ascii_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// One refused login over a service; the words of the refusal.
fn refused(house: &House, port: u16, name: &str, password: &str) -> String {
    let said = match port {
        143 => shout(house, 143, format!("a LOGIN {name} {password}\r\n").as_bytes()),
        587 => submit(house, &STANDARD.encode(format!("\0{name}\0{password}"))),
        _ => shout(house, port, format!("USER {name}\r\nPASS {password}\r\nQUIT\r\n").as_bytes()),
    };
    said.lines().find(|l| l.contains("incorrect") || l.contains("NO ")).unwrap_or(&said).to_owned()
}

/// AUTH on the submission port, after the answer to EHLO; what the server said to it.
fn submit(house: &House, plain: &str) -> String {
    let mut stream = connect(house, 587);
    hear(&mut stream, "\r\n");
    stream.write_all(b"EHLO x\r\n").unwrap();
    hear(&mut stream, "\r\n250 ");
    stream.write_all(format!("AUTH PLAIN {plain}\r\n").as_bytes()).unwrap();
    let mut said = [0; 512];
    let n = stream.read(&mut said).unwrap();
    String::from_utf8_lossy(&said[..n]).into_owned()
}

/// Forms of other servers that are compared in no time.
const BCRYPT: &str = "$2a$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a";
const SCRAM: &str = "{SCRAM-SHA-256}4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
const WEAK: &str = "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$OD2fERKj0oKywKI0F6KiQYoP5zImk1vgezgv6L1ANx4";

#[test]
fn abu_35_a_refusal_says_and_costs_the_same_whoever_is_asked_for() {
    const TIMES: usize = 8;
    let house = House::build();
    let many = "FailedLoginFlow=(1000,1m);";
    for (name, settings) in [
        ("own", format!("Password=\"{PASSWORD}\";{many}")),
        ("des", format!("Password=\"\\002abNANd1rDfiNc\";{many}")),
        ("sha", format!("Password=\"\\002{{SHA}}5en6G6MezRroT3XKqkdPOmY/BfQ=\";{many}")),
        ("bcrypt", format!("Password=\"\\002{BCRYPT}\";{many}")),
        ("scram", format!("Password=\"\\002{SCRAM}\";{many}")),
        ("weak", format!("Password=\"\\002{WEAK}\";{many}")),
        ("sealed", format!("Password=\"{PASSWORD}\";PasswordEncryption=A-crpt;{many}")),
        ("clear", format!("Password=\"{PASSWORD}\";PasswordEncryption=clear;{many}")),
        ("none", format!("Password=\"\";{many}")),
    ] {
        cli(&house, &format!("CreateAccount {name}@{DOMAIN} {{{settings}}}"));
    }
    // The first ones pay for what is made once.
    for port in [143, 110, 106, 587] {
        refused(&house, port, &format!("first@{DOMAIN}"), "wrong");
    }
    for port in [143, 110, 106, 587] {
        let mut costs = Vec::new();
        for name in
            ["own", "des", "sha", "bcrypt", "scram", "weak", "sealed", "clear", "none", "nobody"]
        {
            let before = used(&house);
            let mut words = Vec::new();
            for turn in 0..TIMES {
                // A name that does not exist is new each time; its limit cannot be set.
                let name =
                    if name == "nobody" { format!("nobody{turn}-{port}") } else { name.to_owned() };
                words.push(refused(&house, port, &format!("{name}@{DOMAIN}"), "wrong"));
            }
            words.dedup();
            assert_eq!(words.len(), 1, "{name}: {words:?}");
            costs.push((name, used(&house) - before, words.remove(0)));
        }
        let (_, own, said) = costs[0].clone();
        for (name, cost, words) in &costs {
            assert_eq!(*words, said, "{name} at {port}");
            let alike = *cost * 3 >= own && *cost <= own * 3;
            assert!(alike, "{name} at {port} costs {cost}, own {own}");
        }
    }
}

#[test]
fn abu_36_no_password_and_no_stored_hash_stops_the_others() {
    let house = House::build();
    let mut innocent = Innocent::arrive(&house);
    house.account("joe");
    let joe = format!("joe@{DOMAIN}");
    for (name, hash) in [
        (
            "memory",
            "$argon2id$v=19$m=4194304,t=10,p=1$c29tZXNhbHRzb21lc2FsdA$OD2fERKj0oKywKI0F6KiQYoP5zImk1vgezgv6L1ANx4",
        ),
        (
            "rounds",
            "{PBKDF2-SHA256}2147483648$MDEyMzQ1Njc4OWFiY2RlZg$6umsHhz0yhb.YIJ/FUgCrsOB.tK.gGdB.tvI2KPIHns",
        ),
        ("cost", "$2a$31$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a"),
        (
            "scram",
            "{SCRAM-SHA-256}2147483647:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
        ),
    ] {
        cli(&house, &format!("CreateAccount {name}@{DOMAIN} {{Password=\"\\002{hash}\";}}"));
        let said = shout(&house, 143, format!("a LOGIN {name}@{DOMAIN} secret\r\n").as_bytes());
        assert!(said.contains("a NO "), "{name}: {said}");
        innocent.is_served(name);
    }
    let long = "x".repeat(1 << 20);
    let plain = |password: &str| STANDARD.encode(format!("\0{joe}\0{password}"));
    for (what, port, bytes) in [
        ("a long line", 143, format!("a LOGIN {joe} {long}\r\n")),
        ("a long literal", 143, format!("a LOGIN {joe} {{1048576+}}\r\n{long}\r\n")),
        ("a long response", 143, format!("a AUTHENTICATE PLAIN {}\r\n", plain(&long))),
        ("a long PASS", 110, format!("USER {joe}\r\nPASS {long}\r\n")),
        ("a long AUTH", 587, format!("EHLO x\r\nAUTH PLAIN {}\r\n", plain(&long))),
        ("more than bcrypt sees", 143, format!("a LOGIN {joe} {}\r\n", "y".repeat(73))),
        ("a NUL inside", 143, format!("a AUTHENTICATE PLAIN {}\r\n", plain("a\0b"))),
        ("a NUL at the end", 143, format!("a AUTHENTICATE PLAIN {}\r\n", plain("quite-secret\0"))),
    ] {
        let said = shout(&house, port, bytes.as_bytes());
        let inside = said.contains("a OK") || said.contains("+OK quite") || said.contains("235 ");
        assert!(!inside, "{what}: {}", said.chars().take(300).collect::<String>());
        innocent.is_served(what);
    }
    house.imap("joe").ok("NOOP");
}

#[test]
fn abu_37_exchanges_left_half_open_keep_nobody_out() {
    let house = House::build();
    let mut innocent = Innocent::arrive(&house);
    house.account("joe");
    let first = STANDARD.encode(format!("n,,n=joe@{DOMAIN},r=abcdef"));
    let mut open = Vec::new();
    for turn in 0..60 {
        for (port, line) in [
            (143, format!("a AUTHENTICATE SCRAM-SHA-256 {first}\r\n")),
            (110, format!("AUTH SCRAM-SHA-256 {first}\r\n")),
            (106, "AUTH PLAIN\r\n".to_owned()),
        ] {
            let mut stream = connect(&house, port);
            hear(&mut stream, "\r\n");
            stream.write_all(line.as_bytes()).unwrap();
            open.push(stream);
        }
        if turn % 20 == 0 {
            innocent.is_served("half-open exchanges");
        }
    }
    house.imap("joe").ok("NOOP");
    // One connection begins and gives up without end: it is ended, nobody else.
    let lines = format!("a AUTHENTICATE SCRAM-SHA-256 {first}\r\n*\r\n").repeat(5_000);
    let said = shout(&house, 143, lines.as_bytes());
    assert!(said.contains("a BAD"), "{}", said.chars().take(300).collect::<String>());
    innocent.is_served("exchanges given up");
    for stream in &mut open {
        let _ = stream.shutdown(std::net::Shutdown::Both);
    }
}

#[test]
fn abu_38_guesses_over_all_services_are_one_count() {
    let house = House::build();
    house.account("joe");
    house.account("amy");
    let joe = format!("joe@{DOMAIN}");
    let plain = STANDARD.encode(format!("\0{joe}\0guess"));
    for turn in 0..10 {
        match turn % 4 {
            0 => shout(&house, 143, format!("a LOGIN {joe} guess\r\n").as_bytes()),
            1 => shout(&house, 110, format!("USER {joe}\r\nPASS guess\r\nQUIT\r\n").as_bytes()),
            2 => shout(&house, 106, format!("USER {joe}\r\nPASS guess\r\nQUIT\r\n").as_bytes()),
            _ => submit(&house, &plain),
        };
    }
    let right = STANDARD.encode(format!("\0{joe}\0{PASSWORD}"));
    for (port, line, word) in [
        (143, format!("a LOGIN {joe} {PASSWORD}\r\n"), "a NO [UNAVAILABLE]"),
        (110, format!("USER {joe}\r\nPASS {PASSWORD}\r\nQUIT\r\n"), "-ERR [SYS/TEMP]"),
        (106, format!("USER {joe}\r\nPASS {PASSWORD}\r\nQUIT\r\n"), "599 "),
    ] {
        let said = shout(&house, port, line.as_bytes());
        assert!(said.contains(word), "{port}: {said}");
    }
    let said = submit(&house, &right);
    assert!(said.starts_with("454 "), "{said}");
    house.imap("amy").ok("NOOP");
}

#[test]
fn abu_43_odd_names_are_nobody_and_break_nothing() {
    let house = House::build();
    let mut innocent = Innocent::arrive(&house);
    for name in [
        "%",
        "*",
        "(",
        ")",
        "'",
        "\\",
        "\"",
        "*)(uid=*",
        "' OR '1'='1",
        "joe'--",
        "../../joe",
        "%00",
        "a\u{1}b",
        "\u{7f}",
        "~innocent",
        "innocent@",
        "@",
        "innocent@@house.example",
        "innocent%",
        "!!",
        "innocent;DROP TABLE accounts",
        "\u{202e}tnecon",
        "ﬁ",
    ] {
        for name in [name.to_owned(), format!("{name}@{DOMAIN}")] {
            let plain = STANDARD.encode(format!("\0{name}\0{PASSWORD}"));
            let said = shout(&house, 143, format!("a AUTHENTICATE PLAIN {plain}\r\n").as_bytes());
            assert!(said.contains("a NO") || said.contains("a BAD"), "{name:?}: {said}");
            let said = shout(&house, 110, format!("AUTH PLAIN {plain}\r\nQUIT\r\n").as_bytes());
            assert!(said.contains("-ERR"), "{name:?}: {said}");
        }
    }
    innocent.is_served("odd names");
    Imap::login(house.port(143), &format!("innocent@{DOMAIN}"), PASSWORD).ok("NOOP");
}
