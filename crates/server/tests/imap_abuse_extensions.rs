//! Hostile use of what IMAP has beside its first commands, against the running server: compressed
//! bombs, certificates, other people's accounts, too many sessions, moves between accounts while
//! the power fails (reliability: ABU-24, ABU-28, ABU-30, ABU-31, ABU-32).

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

mod house;

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{IpAddr, TcpStream, UdpSocket};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use house::hostile::{Innocent, connect, hear, shout};
use house::{DOMAIN, House, Imap, PASSWORD};

/// Most memory the server may have used when all is over, KiB.
const CEILING: u64 = 300 * 1024;

fn check_memory(house: &House) {
    assert!(house.peak_kib() < CEILING, "the server used {} KiB", house.peak_kib());
}

/// Logs in and says this; everything the server said.
fn say(house: &House, name: &str, text: &str) -> String {
    let login = format!("a LOGIN {name}@{DOMAIN} {PASSWORD}\r\n");
    shout(house, 143, [login.as_bytes(), text.as_bytes()].concat().as_slice())
}

fn cli(house: &House, line: &str) {
    assert_eq!(house.angarium(&["cli", line]).0, 0, "{line}");
}

/// A compressed session; the test decides what is sent as it is.
struct Compressed {
    stream: TcpStream,
    shrink: Compress,
    expand: Decompress,
    heard: Vec<u8>,
}

impl Compressed {
    fn begin(house: &House, name: &str) -> Self {
        let mut stream = connect(house, 143);
        hear(&mut stream, "\r\n");
        let text = format!("a LOGIN {name}@{DOMAIN} {PASSWORD}\r\nb COMPRESS DEFLATE\r\n");
        stream.write_all(text.as_bytes()).unwrap();
        hear(&mut stream, "b OK");
        let shrink = Compress::new(Compression::best(), false);
        Self { stream, shrink, expand: Decompress::new(false), heard: Vec::new() }
    }

    /// These bytes compressed, with this flush behind them.
    fn deflated(&mut self, bytes: &[u8], flush: FlushCompress) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len() + 1024);
        let before = self.shrink.total_in();
        self.shrink.compress_vec(bytes, &mut out, flush).unwrap();
        assert_eq!(self.shrink.total_in() - before, bytes.len() as u64);
        out
    }

    fn say(&mut self, text: &str) {
        let bytes = self.deflated(text.as_bytes(), FlushCompress::Full);
        self.raw(&bytes);
    }

    /// False when the server has closed.
    fn raw(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// What the server says until this comes, or it closes.
    fn until(&mut self, end: &str) -> String {
        let mut buffer = [0; 4096];
        loop {
            let text = String::from_utf8_lossy(&self.heard).into_owned();
            if text.contains(end) {
                return text;
            }
            let Ok(n @ 1..) = self.stream.read(&mut buffer) else { return text };
            let mut rest = &buffer[..n];
            while !rest.is_empty() {
                self.heard.reserve(1 << 16);
                let before = self.expand.total_in();
                self.expand.decompress_vec(rest, &mut self.heard, FlushDecompress::Sync).unwrap();
                rest = &rest[usize::try_from(self.expand.total_in() - before).unwrap()..];
            }
        }
    }
}

#[test]
fn abu_28_a_gigabyte_of_zeros_in_a_megabyte_costs_no_memory_and_nobody_waits() {
    const PIECE: usize = 1 << 20;
    let house = House::build();
    let mut innocent = Innocent::arrive(&house);
    house.account("eve");
    cli(&house, &format!("UpdateAccountSettings eve@{DOMAIN} {{MaxAccountSize=\"10M\";}}"));
    let gigabyte = 1024 * PIECE;
    for begin in [
        String::new(),
        "c SEARCH SUBJECT \"".to_owned(),
        format!("c APPEND INBOX {{{gigabyte}+}}\r\n"),
        format!("c APPEND INBOX ~{{{gigabyte}+}}\r\n"),
        format!("c SEARCH SUBJECT {{{gigabyte}+}}\r\n"),
        format!("c LIST \"\" {{{gigabyte}+}}\r\n"),
    ] {
        let mut bomb = Compressed::begin(&house, "eve");
        bomb.say(&begin);
        // Each piece begins at an octet and refers to nothing before it: it may be repeated.
        let piece = bomb.deflated(&vec![0; PIECE], FlushCompress::Full);
        assert!(piece.len() < PIECE / 500, "{}", piece.len());
        for n in 0..1024 {
            if !bomb.raw(&piece) {
                break;
            }
            if n % 256 == 0 {
                innocent.is_served("a piece of a bomb");
            }
        }
        bomb.raw(&bomb_end());
        let said = bomb.until("* BYE");
        assert!(["* BYE", "c NO", "c BAD"].iter().any(|w| said.contains(w)), "{begin}: {said}");
        innocent.is_served("a bomb");
    }
    assert_eq!(
        house.imap("eve").ok("STATUS INBOX (MESSAGES)"),
        [b"* STATUS INBOX (MESSAGES 0)\r\n"]
    );
    check_memory(&house);
}

/// The last block of a DEFLATE stream, empty.
fn bomb_end() -> [u8; 2] {
    [3, 0]
}

#[test]
fn abu_28_flushes_ends_and_nonsense_in_the_stream_cost_nothing() {
    let house = House::build();
    let mut innocent = Innocent::arrive(&house);
    // 200,000 empty blocks say nothing and are not answered.
    let mut games = Compressed::begin(&house, "innocent");
    for _ in 0..200 {
        assert!(games.raw(&[0, 0, 0, 0xff, 0xff].repeat(1_000)));
    }
    innocent.is_served("empty blocks");
    // A command, each octet with a flush of its own.
    for byte in "c NOOP\r\n".bytes() {
        let bytes = games.deflated(&[byte], FlushCompress::Sync);
        assert!(games.raw(&bytes));
    }
    assert!(games.until("c OK").contains("c OK"));
    assert!(games.until("\r\n").matches("\r\n").count() < 3, "only what was asked is answered");
    // The stream may not end before the session, and what is no stream ends it.
    for wrong in [&bomb_end()[..], b"\x03\x00NOOP\r\n", b"d NOOP\r\n", &[0xff; 64], &[6, 0, 0]] {
        let mut other = Compressed::begin(&house, "innocent");
        other.raw(wrong);
        let said = other.until("never said");
        assert!(!said.contains("d OK"), "{said}");
        innocent.is_served("nonsense");
    }
    check_memory(&house);
}

#[test]
fn abu_30_an_account_and_an_address_have_so_many_sessions_and_others_get_in() {
    let house = House::build();
    let mut innocent = Innocent::arrive(&house);
    house.account("eve");
    cli(&house, "UpdateModule IMAP {MaxSessionsPerAccount=20;}");
    let mut all: Vec<Imap> = Vec::new();
    for _ in 0..20 {
        all.push(house.imap("eve"));
    }
    let mut further = Imap::connect(house.port(143));
    let login = format!("LOGIN eve@{DOMAIN} {PASSWORD}");
    let (_, end) = further.command(&login);
    assert!(end.starts_with("NO [LIMIT] "), "{end}");
    house.imap("innocent").ok("NOOP");
    all[0].ok("LOGOUT");
    assert!((0..50).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        further.command(&login).1.starts_with("OK")
    }));
    // By address: this machine itself is not counted, so that it takes another address of it.
    let Some(address) = own_address() else {
        eprintln!("skipped: this machine has no address but the loopback's");
        return;
    };
    cli(
        &house,
        "UpdateModule IMAP {Listener={MaxPerAddress=3;\
         Ports=({PortNumber=143;},{PortNumber=146;IPAddress=all;});};}",
    );
    let dial = || {
        let mut stream = TcpStream::connect((address, house.port(146))).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut line = [0; 5];
        stream.read_exact(&mut line).unwrap();
        Some((stream, String::from_utf8_lossy(&line).into_owned()))
    };
    let mut first = None;
    for _ in 0..200 {
        first = dial();
        if first.is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    if first.is_none() {
        // With --bind 127.0.0.1 "all" is that address: the limit is held by the gate's own test.
        return;
    }
    let held: Vec<_> = (0..2).filter_map(|_| dial()).collect();
    assert!(held.iter().all(|(_, word)| word == "* OK "));
    assert_eq!(dial().unwrap().1, "* BYE");
    innocent.is_served("limits");
}

/// An address of this machine that is not the loopback's.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind(("0.0.0.0", 0)).ok()?;
    socket.connect(("192.0.2.1", 9)).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

/// A certificate for a key on P-256, in DER.
fn certificate(change: impl FnOnce(&mut rcgen::CertificateParams)) -> Vec<u8> {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::default();
    change(&mut parameters);
    parameters.self_signed(&key).unwrap().der().to_vec()
}

#[test]
fn abu_31_no_certificate_breaks_the_server_or_makes_half_a_copy() {
    let house = House::build();
    let mut innocent = Innocent::arrive(&house);
    house.account("eve");
    let mut eve = house.imap("eve");
    let letter = b"Subject: to be sealed\r\n\r\nText\r\n";
    let date = "22-Nov-2026 10:00:00 +0000".to_owned();
    eve.append_all("INBOX", [(String::new(), date, &letter[..])].into_iter());
    eve.ok("CREATE Sealed");
    eve.ok("SELECT INBOX");
    let copy = |eve: &mut Imap, der: &[u8]| {
        eve.command(&format!("COPY 1 Sealed ENCRYPTED {}", STANDARD.encode(der))).1
    };
    let count = |eve: &mut Imap| {
        String::from_utf8_lossy(&eve.ok("STATUS Sealed (MESSAGES)").concat()).into_owned()
    };
    let good = certificate(|_| {});
    assert!(copy(&mut eve, &good).starts_with("OK [COPYUID "));
    assert!(count(&mut eve).contains("MESSAGES 1)"));
    let past = certificate(|c| c.not_after = rcgen::date_time_ymd(2020, 1, 1));
    let future = certificate(|c| c.not_before = rcgen::date_time_ymd(2090, 1, 1));
    let signing = certificate(|c| c.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature]);
    let web = certificate(|c| {
        c.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    });
    // Lengths that lie: 4 GiB in a header of six octets, without end, and nested.
    let lying: &[u8] = &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff];
    let nested = [0x30_u8, 0x80].repeat(20_000);
    for (der, why) in [
        (past.as_slice(), "expired"),
        (&future, "not valid yet"),
        (&signing, "not for encryption"),
        (&web, "not for encryption"),
        (lying, "cannot be read"),
        (&nested, "cannot be read"),
    ] {
        let end = copy(&mut eve, der);
        assert!(end.starts_with("NO [CANNOT] ") && end.contains(why), "{why}: {end}");
    }
    for wrong in ["=", "====", "\"\"", "A", "NIL", "{3+}\r\n\0\0\0"] {
        let said =
            say(&house, "eve", &format!("b SELECT INBOX\r\nc COPY 1 Sealed ENCRYPTED {wrong}\r\n"));
        assert!(said.contains("c BAD") || said.contains("c NO"), "{wrong}: {said}");
    }
    for size in [65_537, 200_000, 3_000_000] {
        let huge = STANDARD.encode(vec![0x30; size]);
        let text = format!(
            "b SELECT INBOX\r\nc COPY 1 Sealed ENCRYPTED {{{}+}}\r\n{huge}\r\n",
            huge.len()
        );
        let said = say(&house, "eve", &text);
        assert!(
            said.contains("c BAD") || said.contains("c NO") || said.contains("* BYE"),
            "{said}"
        );
        innocent.is_served("a huge certificate");
    }
    // Cut anywhere it is refused; with a bit turned it is taken or refused, and nothing else.
    for cut in (0..good.len()).step_by(16).skip(1) {
        assert!(copy(&mut eve, &good[..cut]).starts_with("NO [CANNOT] "), "{cut}");
    }
    assert!(count(&mut eve).contains("MESSAGES 1)"), "nothing refused made a copy");
    let mut taken = 1;
    for at in (0..good.len()).step_by(3) {
        let mut turned = good.clone();
        turned[at] ^= 1 << (at % 8);
        let end = copy(&mut eve, &turned);
        taken += usize::from(end.starts_with("OK "));
        assert!(end.starts_with("OK ") || end.starts_with("NO [CANNOT] "), "{at}: {end}");
    }
    assert!(count(&mut eve).contains(&format!("MESSAGES {taken})")));
    innocent.is_served("certificates");
    check_memory(&house);
}

#[test]
fn abu_32_nobody_acts_for_another_or_is_sent_to_a_host_a_client_named() {
    let house = House::build();
    let mut innocent = Innocent::arrive(&house);
    house.account("eve");
    let mut eve = house.imap("eve");
    eve.ok("CREATE mine");
    // Who is there, who is not, an administrator: one answer.
    let names =
        ["innocent", "nobody", "postmaster", "eve2", "innocent@attacker.example", "~innocent"];
    let answers: Vec<String> = names
        .iter()
        .map(|name| {
            let (untagged, end) = house.imap("eve").command(&format!("PROXYAUTH \"{name}\""));
            assert!(untagged.is_empty() && end.starts_with("NO "), "{name}: {end}");
            end
        })
        .collect();
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    let (_, end) = eve.command(&format!("PROXYAUTH innocent@{DOMAIN}"));
    assert!(end.starts_with("NO "), "{end}");
    eve.ok("STATUS mine (MESSAGES)");
    // SASL's authorization name is the same thing by another door.
    let plain = STANDARD.encode(format!("innocent@{DOMAIN}\0eve@{DOMAIN}\0{PASSWORD}"));
    let (_, end) = Imap::connect(house.port(143)).command(&format!("AUTHENTICATE PLAIN {plain}"));
    assert!(end.starts_with("NO ") && !end.contains("REFERRAL"), "{end}");
    for name in [
        "joe@attacker.example",
        "joe%attacker.example",
        "joe@[192.0.2.7]",
        "eve@attacker.example@house.example",
        "<@attacker.example:eve@house.example>",
        "eve;AUTH=*@attacker.example/",
        "joe%40attacker.example",
        "attacker.example!joe",
    ] {
        let (_, end) = Imap::connect(house.port(143)).command(&format!("LOGIN \"{name}\" x"));
        assert!(end.starts_with("NO ") && !end.contains("REFERRAL"), "{name}: {end}");
        let (_, end) = house.imap("eve").command(&format!("PROXYAUTH \"{name}\""));
        assert!(end.starts_with("NO ") && !end.contains("REFERRAL"), "{name}: {end}");
    }
    // A name the Router sends away goes where the Router says, whatever is written behind it; and
    // line ends in a name make no line of the answer.
    cli(&house, "SetRouterTable \"<moved> = m@elsewhere.example\"");
    let said = shout(&house, 143, b"a LOGIN moved x\r\n");
    assert!(said.contains("a NO [REFERRAL IMAP://m;AUTH=*@elsewhere.example/]"), "{said}");
    for text in [
        "a LOGIN moved@attacker.example x\r\n",
        "a LOGIN {32+}\r\nmoved@attacker.example\r\n* BYE gone x\r\n",
        "a LOGIN {17+}\r\nmoved\r\n* BYE gone x\r\n",
    ] {
        let said = shout(&house, 143, text.as_bytes());
        assert!(!said.contains("attacker.example/") && !said.contains("\r\n* BYE gone"), "{said}");
    }
    innocent.is_served("names");
    check_memory(&house);
}

#[test]
fn abu_24_moves_and_copies_between_accounts_lose_nothing_when_the_power_fails() {
    const MESSAGES: usize = 200;
    let mut house = House::build();
    house.account("ann");
    house.account("bob");
    house.imap("bob").ok("CREATE theirs");
    house.imap("bob").ok(&format!("SETACL theirs ann@{DOMAIN} lrswite"));
    let theirs = format!("~bob@{DOMAIN}/theirs");
    let mails: Vec<String> =
        (0..MESSAGES).map(|n| format!("Subject: m{n}\r\n\r\nText {n}\r\n")).collect();
    let date = "22-Nov-2026 10:00:00 +0000";
    house.imap("ann").append_all(
        "INBOX",
        mails.iter().map(|mail| (String::new(), date.to_owned(), mail.as_bytes())),
    );
    for round in 0..4_u64 {
        let mut stream = connect(&house, 143);
        hear(&mut stream, "\r\n");
        let mut text = format!("a LOGIN ann@{DOMAIN} {PASSWORD}\r\ns SELECT INBOX\r\n");
        for n in 0..6 {
            writeln!(text, "m {} 1:8 {theirs}\r", if n % 3 == 2 { "COPY" } else { "MOVE" })
                .unwrap();
        }
        stream.write_all(text.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(40 + 13 * round));
        house.kill();
        house.start();
        let mut ann = house.imap("ann");
        let mut seen = Vec::new();
        for mailbox in ["INBOX", &theirs] {
            ann.ok(&format!("EXAMINE {mailbox}"));
            for line in ann.ok("UID FETCH 1:* BODY.PEEK[]") {
                if line.windows(4).any(|w| w == b"BODY") {
                    seen.push(String::from_utf8_lossy(Imap::literal(&line)).into_owned());
                }
            }
        }
        // Nothing is half there, and everything is somewhere.
        assert!(seen.iter().all(|mail| mails.contains(mail)), "round {round}");
        assert!(mails.iter().all(|mail| seen.contains(mail)), "round {round}");
    }
    let (code, said) = {
        house.stop();
        house.angarium(&["check"])
    };
    assert_eq!(code, 0, "{said}");
}
