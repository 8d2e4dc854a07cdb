//! Users brought in from other servers: account lists with hashes of ten schemes, passwd and
//! shadow, sendmail's aliases; hostile files, and imports that are cut off.

#![allow(clippy::unwrap_used, reason = "tests")]

mod house;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use house::{ANGARIUM, House, Imap};

/// Hashes of `secret` as ten kinds of servers made them, with cheap work factors; the name of the
/// method in reports.
const SCHEMES: [(&str, &str); 10] = [
    ("abNANd1rDfiNc", "DES-crypt"),
    ("$1$saltsalt$9xy1btjgzLYfb7hivXtC//", "MD5-crypt"),
    ("$2a$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a", "bcrypt"),
    ("$5$rounds=1000$saltstring$AH5PD0i.riCRu4BNDy9v7OPV7u3dfLBApcXI6khquVA", "SHA-crypt"),
    ("{MD5}Xr4ilOzQ4PCOq3aQ0qbuaQ==", "MD5"),
    ("{SSHA}F3tJ8vk8rDhGy6QRPrvpPoxIffIwMTIzNDU2Nw==", "SHA"),
    ("{NS-MTA-MD5}df52ce3881015fdeaff84ddfc1b25fd80123456789abcdef0123456789abcdef", "NS-MTA-MD5"),
    ("{MSNT}878D8014606CDA29677A44EFA1353FC7", "MSNT"),
    (
        "{SSHA512}RohY1U1Wo4dsGt6wd/84+lodxbb0BYLdUL51TMm/2y/xWL3FLEot7DliNC0l+93SxkbikQVZsUl2QlC/oo0xqzAxMjM0NTY3",
        "SHA-512",
    ),
    (
        "{PBKDF2-SHA256}10000$MDEyMzQ1Njc4OWFiY2RlZg$6umsHhz0yhb.YIJ/FUgCrsOB.tK.gGdB.tvI2KPIHns",
        "PBKDF2-SHA256",
    ),
];

fn pop_login(port: u16, name: &str, password: &str) -> bool {
    let mut write = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut read = BufReader::new(write.try_clone().unwrap());
    let mut answer = || {
        let mut line = String::new();
        read.read_line(&mut line).unwrap();
        line.starts_with("+OK")
    };
    assert!(answer());
    write.write_all(format!("USER {name}\r\n").as_bytes()).unwrap();
    assert!(answer());
    write.write_all(format!("PASS {password}\r\n").as_bytes()).unwrap();
    answer()
}

fn write(path: &Path, text: impl AsRef<[u8]>) -> String {
    std::fs::write(path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn cli(house: &House, line: &str) -> String {
    let (code, text) = house.angarium(&["cli", line]);
    assert_eq!(code, 0, "{line}: {text}");
    text
}

fn forms(house: &House) -> serde_json::Value {
    let (code, text) = house.angarium(&["passwords", "house.example", "--json"]);
    assert_eq!(code, 0, "{text}");
    let all: serde_json::Value = serde_json::from_str(&text).unwrap();
    all["domains"]["house.example"].clone()
}

// PWD-06, PWD-07; the whole with 100,000 accounts: bench/import.py
#[test]
fn two_thousand_accounts_with_hashes_of_ten_schemes_log_in_and_are_upgraded() {
    const ACCOUNTS: usize = 2_000;
    let house = House::build();
    let directory = tempfile::tempdir().unwrap();
    let mut list = "Name\tUnixPassword\tRealName\tMaxAccountSize\tAliases\n".to_owned();
    for n in 0..ACCOUNTS {
        let (hash, _) = SCHEMES[n % SCHEMES.len()];
        list.push_str(&format!("user{n}\t{hash}\tUser {n}\t31M\tu{n}\n"));
    }
    let list = write(&directory.path().join("list"), list);
    let (code, text) = house.angarium(&["import", &list, "--dry-run"]);
    assert_eq!((code, text.trim()), (0, "2000 accounts can be made, 0 lines failed"));
    let (code, text) = house.angarium(&["import", &list]);
    assert_eq!((code, text.trim()), (0, "2000 accounts made, 0 lines failed"));
    let before = forms(&house);
    assert_eq!(before["Waiting"], "2000");
    for (at, (_, method)) in SCHEMES.iter().enumerate() {
        assert_eq!(before["Methods"][method], "200", "{method}");
        assert!(!pop_login(house.port(110), &format!("user{at}"), "Secret"), "{method}");
        assert!(pop_login(house.port(110), &format!("u{at}"), "secret"), "{method} by POP");
        let second = at + SCHEMES.len();
        Imap::login(house.port(143), &format!("user{second}"), "secret").ok("SELECT INBOX");
    }
    let after = forms(&house);
    // With the postmaster's.
    assert_eq!((&after["Waiting"], &after["Own"]), (&"1980".into(), &"21".into()));
    for (at, (_, method)) in SCHEMES.iter().enumerate() {
        assert_eq!(after["Methods"][method], "198", "{method}");
        let settings = cli(&house, &format!("GetAccountSettings user{at}"));
        assert!(settings.contains("{ANGARIUM-1}$argon2id$"), "{method}: {settings}");
    }
    // In the new form, and by the other protocol.
    Imap::login(house.port(143), "user3", "secret").ok("SELECT INBOX");
    assert!(pop_login(house.port(110), "user13", "secret"));
    let (code, text) = house.angarium(&["import", &list]);
    assert_eq!((code, text.trim()), (0, "0 accounts made, 2000 there already, 0 lines failed"));
    assert_eq!(forms(&house), after, "a second run changes nothing");
}

// ABU-67
#[test]
fn abu_67_a_hostile_list_gets_a_reason_for_each_line_and_no_half_account() {
    let house = House::build();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("list");
    let mut bytes = b"\xef\xbb\xbfName\tRealName\tAliases\tMaxAccountSize\tcolor\r\n".to_vec();
    bytes.extend_from_slice(b"=cmd|' /C calc'!A0\tx\t\t\t\r\n");
    bytes.extend_from_slice(b"good\t=1+1\tgoody\t10K\tblue\r\n");
    bytes.extend_from_slice(b"open\t\"Joe\t\t\t\r\n");
    bytes.extend_from_slice(b"size\tx\t\tmuch\t\r\n");
    bytes.extend_from_slice(b"taken\tx\tfresh,goody\t\t\r\n");
    bytes.extend_from_slice(b"GOOD\tx\t\t\t\r\n");
    bytes.extend_from_slice(b"quoted\t\"Doe, \"\"J\"\" Joe\"\t\"qa,qb\"\t\t\r\n");
    bytes.extend_from_slice(b"nul\0\tx\t\t\t\r\n");
    bytes.extend_from_slice(b"many\tx\t\t\t\tmore\r\n");
    bytes.extend_from_slice(&vec![b'x'; 200_000]);
    bytes.extend_from_slice(b"\r\nlast\tJ\xc3\xb6rg");
    let list = write(&path, &bytes);
    let (code, text) = house.angarium(&["import", &list]);
    assert_eq!(code, 1, "{text}");
    for (line, reason) in [
        (2, "latin letters"),
        (4, "quotation mark"),
        (5, "MaxAccountSize"),
        (6, "already exists"),
        (7, "twice"),
        (9, "control character"),
        (10, "more fields"),
        (11, "too long"),
    ] {
        let told = text.lines().find(|told| told.starts_with(&format!("line {line}: ")));
        assert!(told.is_some_and(|told| told.contains(reason)), "{line}: {reason}\n{text}");
    }
    assert!(text.contains("3 accounts made, 8 lines failed"), "{text}");
    assert!(text.contains("color is no setting that this server knows"), "{text}");
    assert!(!text.contains('\u{0}'));
    let good = cli(&house, "GetAccountSettings good");
    assert!(good.contains("RealName = =1+1") && good.contains("color = blue"), "{good}");
    assert!(cli(&house, "GetAccountSettings qb").contains("Doe, \"J\" Joe"));
    assert!(cli(&house, "GetAccountSettings last").contains("J\u{f6}rg"));
    let found = cli(&house, "FindObjects house.example (taken,fresh,open,size,many,nul)");
    assert_eq!(found.trim(), "");

    let (code, text) = house.angarium(&["import", &list, "--json"]);
    assert_eq!(code, 1);
    let rows: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 12);
    assert_eq!((&rows[0]["result"], &rows[0]["code"]), (&"failed".into(), &500.into()));
    assert_eq!(rows[1]["result"], "there already");
    assert_eq!((&rows[11]["failed"], &rows[11]["there"]), (&8.into(), &3.into()));

    // Other charsets, and files that are no lists.
    let latin = write(&path, b"Name\tRealName\nlatin\tM\xfcller\n");
    let (code, text) = house.angarium(&["import", &latin]);
    assert!(code == 0 && text.contains("read as ISO-8859-1"), "{text}");
    assert!(cli(&house, "GetAccountSettings latin").contains("M\u{fc}ller"));
    let wide: Vec<u8> = "\u{feff}Name\tRealName\r\nwide\t\u{10c}apek\r\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let wide = write(&path, wide);
    assert_eq!(house.angarium(&["import", &wide]).0, 0);
    assert!(cli(&house, "GetAccountSettings wide").contains("\u{10c}apek"));
    for wrong in ["", "Name\tname\nx\ty\n", "Login\tPassword\nx\ty\n"] {
        let wrong = write(&path, wrong);
        assert_eq!(house.angarium(&["import", &wrong]).0, 2);
    }
}

#[test]
fn an_import_that_is_cut_off_is_finished_by_running_it_again() {
    const ACCOUNTS: usize = 6_000;
    let mut house = House::build();
    let directory = tempfile::tempdir().unwrap();
    let mut list = "Name\tUnixPassword\tAliases\tMailboxes\n".to_owned();
    for n in 0..ACCOUNTS {
        list.push_str(&format!(
            "user{n}\t{{SHA}}5en6G6MezRroT3XKqkdPOmY/BfQ=\ta{n},b{n}\tWork/In\n"
        ));
    }
    let list = write(&directory.path().join("list"), list);
    let mut importer = Command::new(ANGARIUM)
        .args(["import", &list, "--base", house.base.to_str().unwrap()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let made = |house: &House| -> usize {
        let listing = cli(house, "ListDomainObjects house.example 1 ACCOUNTS");
        listing.lines().next().unwrap().trim().parse().unwrap()
    };
    let end = Instant::now() + Duration::from_secs(120);
    while made(&house) < 500 {
        assert!(Instant::now() < end, "nothing is made");
        std::thread::sleep(Duration::from_millis(10));
    }
    house.kill();
    importer.wait().unwrap();
    house.start();
    let before = made(&house) - 1;
    let (code, text) = house.angarium(&["import", &list]);
    assert_eq!(code, 0, "{text}");
    let there = if before > 0 { format!(", {before} there already") } else { String::new() };
    let expected = format!("{} accounts made{there}, 0 lines failed", ACCOUNTS - before);
    assert_eq!(text.trim(), expected);
    let listing = cli(&house, "ListDomainObjects house.example 1 ACCOUNTS");
    let numbers: Vec<&str> = listing.lines().map(str::trim).collect();
    assert_eq!(numbers.first(), Some(&"6001"), "{listing}");
    assert!(numbers.contains(&"12000"), "every account has its two aliases: {listing}");
    for n in [0, before, ACCOUNTS - 1] {
        let mut imap = Imap::login(house.port(143), &format!("b{n}"), "secret");
        assert!(String::from_utf8_lossy(&imap.ok("LIST \"\" *").concat()).contains("Work/In"));
    }
    assert_eq!(house.stop(), Some(0));
    let (code, text) = house.angarium(&["check"]);
    assert_eq!(code, 0, "{text}");
}

// MIG-67
#[test]
fn mig_67_the_people_of_passwd_and_shadow_become_accounts() {
    let mut house = House::build();
    let directory = tempfile::tempdir().unwrap();
    let passwd = "root:x:0:0:root:/root:/bin/bash\n\
        daemon:*:1:1::/:/usr/sbin/nologin\n\
        joe:x:1001:100:Joe Doe,Room 7,,:/home/joe:/bin/bash\n\
        ann:x:1002:100:& Poe:/home/ann:/bin/sh\n\
        locked:x:1003:100::/home/locked:/bin/sh\n\
        robot:x:1004:100::/home/robot:/usr/sbin/nologin\n\
        www$:x:1005:100::/home/www:/bin/sh\n\
        broken line\n\
        old:abNANd1rDfiNc:1006:100:M\u{fc}ller:/home/old:/bin/sh\n";
    let shadow = "root:$6$x$y:1::::::\n\
        joe:$6$saltstring$AIsRs/Ee56G/tC8MEHhvReZTfx8u3rXXMl6eYrjCG9ibix19DxoMBLogdTET5Ukw9Sf7eZTITsuk0Ry5qulYz.:19000:0:99999:7:::\n\
        ann:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=:1::::::\n\
        locked:!$6$x$y:1::::::\n";
    let passwd = write(&directory.path().join("passwd"), passwd);
    let shadow = write(&directory.path().join("shadow"), shadow);
    let words = ["import-passwd", &passwd, "--shadow", &shadow];
    let (code, text) = house.angarium(&[&words[..], &["--dry-run"]].concat());
    assert_eq!(code, 1);
    assert!(text.contains("4 accounts can be made, 3 left out, 2 lines failed"), "{text}");
    let (_, text) = house.angarium(&[&words[..], &["--each"]].concat());
    assert!(text.contains("4 accounts made, 3 left out, 2 lines failed"), "{text}");
    assert!(text.contains("line 1: root: left out: a user of the system"), "{text}");
    assert!(text.contains("line 5: locked: warning: without a password: the password is locked"));
    assert!(text.contains("line 8: broken line: 7 fields"), "{text}");
    assert!(!text.contains("$6$"), "no hash is told");
    for name in ["joe", "ann", "old"] {
        assert!(pop_login(house.port(110), name, "secret"), "{name}");
    }
    assert!(!pop_login(house.port(110), "locked", "secret"));
    assert!(cli(&house, "GetAccountSettings joe").contains("Joe Doe"));
    assert!(cli(&house, "GetAccountSettings ann").contains("Ann Poe"));
    let (_, text) = house.angarium(&words);
    assert!(
        text.contains("0 accounts made, 4 there already, 3 left out, 2 lines failed"),
        "{text}"
    );

    // Without a running server, for another domain, with the system's own passwords.
    house.angarium(&["domain", "create", "os.example"]);
    house.stop();
    let words =
        ["import-passwd", &passwd, "--domain", "os.example", "--os-passwords", "--only", "root"];
    let (code, text) = house.angarium(&words);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("1 accounts made, 7 left out, 1 lines failed"), "{text}");
    let root = cli(&house, "GetAccountSettings root@os.example");
    assert!(root.contains("UseSysPassword = YES") && !root.contains("Password = \\002"), "{root}");
}

// MIG-65
#[test]
fn mig_65_aliases_become_aliases_forwarders_groups_and_router_records() {
    let house = House::build();
    ["john.smith", "ann", "bob"].iter().for_each(|name| house.account(name));
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("old");
    std::fs::create_dir_all(root.join("etc/mail")).unwrap();
    write(
        &root.join("etc/mail/staff"),
        "# people\nann, bob\nx@isp.example (away)\n:include:/etc/mail/more\n",
    );
    write(&root.join("etc/mail/more"), ":include:/etc/mail/staff\ncarol@isp.example\n");
    let file = "# aliases of the old server\n\
        MAILER-DAEMON: postmaster\n\
        j.smith: john.smith\n\
        js: j.smith\n\
        susan.smith: susan@otherisp.example\n\
        sales: ann,\n\
        \tbob (the new one)\n\
        staff: :include:/etc/mail/staff\n\
        owner-staff: ann\n\
        spam: /dev/null\n\
        archive: /var/mail/archive\n\
        procmail: \"|/usr/bin/procmail -d joe\"\n\
        a: b\n\
        b: a\n\
        nobody: somebody\n\
        ann: ann, ann@phone.example\n\
        secret: :include:/etc/../../etc/shadow\n\
        no colon here\n";
    let file = write(&directory.path().join("aliases"), file);
    let root = root.to_str().unwrap();
    let words = ["import-aliases", &file, "--root", root];
    let (code, dry) = house.angarium(&[&words[..], &["--dry-run"]].concat());
    assert_eq!(code, 1);
    let numbers = "3 aliases, 1 forwarders, 1 groups, 1 lists, 1 records";
    assert!(dry.contains(&format!("{numbers} can be made, 0 there already, 8 not made")), "{dry}");
    assert_eq!(cli(&house, "ListForwarders house.example").trim(), "");
    let (code, text) = house.angarium(&words);
    assert_eq!(code, 1);
    assert!(text.contains(&format!("{numbers} made, 0 there already, 8 not made")), "{text}");
    for (line, told) in [
        (3, "another name of john.smith"),
        (5, "forwarder to susan@otherisp.example"),
        (6, "group of 2: ann, bob"),
        (8, "mailing list of ann with 4 subscribers"),
        (9, "an address that the mailing list staff has"),
        (10, "record of the Router: <spam@house.example> = null"),
        (11, "not appended to files"),
        (12, "--programs"),
        (13, "leads back to itself"),
        (15, "no account somebody"),
        (16, "Rule of the account"),
        (17, "leads elsewhere"),
        (18, "no colon"),
    ] {
        let mut lines = text.lines().filter(|l| l.starts_with(&format!("line {line}: ")));
        assert!(lines.any(|l| l.contains(told)), "line {line}: {told}\n{text}");
    }
    assert!(cli(&house, "Route js@house.example").contains("john.smith@house.example"));
    assert!(cli(&house, "Route susan.smith@house.example").contains("otherisp.example"));
    assert!(cli(&house, "Route spam@house.example").contains("NULL"));
    let staff = cli(&house, "ListSubscribers staff");
    assert!(["ann", "bob", "x@isp.example", "carol@isp.example"].iter().all(|m| staff.contains(m)));
    let staff = cli(&house, "GetList staff");
    assert!(staff.contains("Owner = ann") && staff.contains("from anybody"), "{staff}");
    // Again: nothing changes. Programs come in when they are asked for.
    let (_, text) = house.angarium(&[&words[..], &["--programs", "--json"]].concat());
    let rows: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let all = rows.last().unwrap();
    assert_eq!(
        (&all["there"], &all["records"], &all["not_made"]),
        (&7.into(), &1.into(), &7.into()),
        "{text}"
    );
    let table = cli(&house, "GetRouterTable");
    assert!(
        table.contains("<procmail@house.example> = \"/usr/bin/procmail -d joe\"@pipe"),
        "{table}"
    );
    assert_eq!(table.matches("<spam@house.example>").count(), 1, "{table}");
}
