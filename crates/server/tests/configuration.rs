//! Settings as a whole, with the real program: shown with where they come from, exported and
//! applied to a second server, backed up and restored; all three give the same answers to the
//! same logins. And the command language over HTTP.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

mod house;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use house::{DOMAIN, House, Imap, PASSWORD, installed};

/// Password of the hashes below.
const SECRET: &str = "secret";
/// The same password in forms of other servers.
const FORMS: &[(&str, &str)] = &[
    ("crypt", "abNANd1rDfiNc"),
    ("md5crypt", "$1$saltsalt$9xy1btjgzLYfb7hivXtC//"),
    ("bcrypt", "$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a"),
    ("sha", "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="),
    ("ssha", "{SSHA}F3tJ8vk8rDhGy6QRPrvpPoxIffIwMTIzNDU2Nw=="),
    ("netscape", "{NS-MTA-MD5}df52ce3881015fdeaff84ddfc1b25fd80123456789abcdef0123456789abcdef"),
    ("lanman", "{LANM}552902031BEDE9EFAAD3B435B51404EE"),
    (
        "sha512",
        "$6$saltstring$AIsRs/Ee56G/tC8MEHhvReZTfx8u3rXXMl6eYrjCG9ibix19DxoMBLogdTET5Ukw9Sf7eZTITsuk0Ry5qulYz.",
    ),
];

fn cli(house: &House, line: &str) {
    let (code, out) = house.angarium(&["cli", line]);
    assert_eq!(code, 0, "{line}: {out}");
}

/// Something of every kind, with passwords in many forms.
fn furnish(house: &House) {
    for (name, form) in FORMS {
        cli(house, &format!("CreateAccount {name}@{DOMAIN} {{Password=\"\\002{form}\";}}"));
    }
    house.account("own");
    let sealed = format!("{{PasswordEncryption=A-crpt;Password=\"{PASSWORD}\";}}");
    for line in [
        format!("CreateAccount sealed@{DOMAIN} {sealed}"),
        "CreateDomain two.example {MailToUnknown=Discarded;}".to_owned(),
        "SetDomainAliases two.example (zwei.example)".to_owned(),
        format!(
            "CreateAccount ann@two.example {{Password=\"{PASSWORD}\";RealName=\"Ann \u{e9}\";}}"
        ),
        "SetAccountAliases ann@two.example (anna)".to_owned(),
        "SetAccountRights ann@two.example (Domain,BasicSettings)".to_owned(),
        format!("CreateAccount off@two.example {{Password=\"{PASSWORD}\";AccessModes=(POP);}}"),
        "WriteStorageFile ann@two.example FILE private/plan.txt DATA [cGxhbg==]".to_owned(),
        "CreateGroup team@two.example {Members=(ann,x@isp.example);}".to_owned(),
        "CreateForwarder fwd@two.example TO x@isp.example".to_owned(),
        "SetRouterTable \"; ours\\e<info> = own\\e\"".to_owned(),
        "UpdateModule SMTP {ForwardAUTHPassword=forward-secret;LogLevel=4;}".to_owned(),
        "UpdateServerSettings {OldLoginMethods=(CRAM-MD5);wn_Custom=(a,b);}".to_owned(),
    ] {
        cli(house, &line);
    }
}

/// What a line protocol says to some lines, up to the first answer of each.
fn talk(house: &House, port: u16, greeting: &str, lines: &[String]) -> String {
    let stream = TcpStream::connect(("127.0.0.1", house.port(port))).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut read = BufReader::new(stream.try_clone().unwrap());
    let mut write = stream;
    let mut answer = String::new();
    read.read_line(&mut answer).unwrap();
    assert!(answer.starts_with(greeting), "{answer}");
    for line in lines {
        write.write_all(format!("{line}\r\n").as_bytes()).unwrap();
        loop {
            answer.clear();
            read.read_line(&mut answer).unwrap();
            if answer.as_bytes().get(3) != Some(&b'-') || greeting != "220" {
                break;
            }
        }
    }
    answer.split(' ').next().unwrap_or_default().trim_end().to_owned()
}

/// The answers to the same logins by IMAP, POP and SMTP.
fn answers(house: &House) -> Vec<String> {
    let mut all = Vec::new();
    let mut logins: Vec<(String, &str)> = Vec::new();
    for (name, _) in FORMS {
        logins.push((format!("{name}@{DOMAIN}"), SECRET));
        logins.push((format!("{name}@{DOMAIN}"), "wrong"));
    }
    for name in ["own", "sealed", "postmaster", "nobody"] {
        logins.push((format!("{name}@{DOMAIN}"), PASSWORD));
    }
    for name in ["ann@two.example", "anna@zwei.example", "off@two.example", "info"] {
        logins.push((name.to_owned(), PASSWORD));
    }
    for (name, password) in &logins {
        let mut imap = Imap::connect(house.port(143));
        let (_, end) = imap.command(&format!("LOGIN \"{name}\" \"{password}\""));
        let imap = end.split(' ').next().unwrap_or_default().to_owned();
        let lines = [format!("USER {name}"), format!("PASS {password}")];
        let pop = talk(house, 110, "+OK", &lines);
        let plain = STANDARD.encode(format!("\0{name}\0{password}"));
        let lines = ["EHLO client.example".to_owned(), format!("AUTH PLAIN {plain}")];
        let smtp = talk(house, 587, "220", &lines);
        all.push(format!("{name} {password}: IMAP {imap}, POP {pop}, SMTP {smtp}"));
    }
    all
}

/// Issue "It must show" 4.
#[test]
fn a_backup_and_an_applied_configuration_give_the_same_answers_to_the_same_logins() {
    let house = House::build();
    furnish(&house);
    let directory = tempfile::tempdir().unwrap();
    // Both are taken before anybody logs in: a login stores old hashes anew.
    let file = directory.path().join("whole.conf");
    let file = file.to_str().unwrap();
    let (code, out) =
        house.angarium(&["config", "export", file, "--with-passwords", "--with-keys"]);
    assert_eq!(code, 0, "{out}");
    let mode = std::fs::metadata(file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let backup = directory.path().join("backup");
    let (code, out) = house.angarium(&["backup", backup.to_str().unwrap()]);
    assert_eq!(code, 0, "{out}");
    let (code, out) = house.angarium(&["check", backup.to_str().unwrap()]);
    assert_eq!(code, 0, "{out}");
    let wanted = answers(&house);
    for right in [
        "sha@house.example secret: IMAP OK, POP +OK, SMTP 235",
        "sealed@house.example quite-secret: IMAP OK, POP +OK, SMTP 235",
        "off@two.example quite-secret: IMAP NO, POP +OK, SMTP 5",
        "sha@house.example wrong: IMAP NO, POP -ERR, SMTP 535",
    ] {
        assert!(wanted.iter().any(|answer| answer.starts_with(right)), "{right}\n{wanted:#?}");
    }

    // An empty machine, from the backup.
    let base = directory.path().join("restored");
    let restored = Command::new(house::ANGARIUM)
        .args(["restore", "--base", base.to_str().unwrap(), backup.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    let again = Command::new(house::ANGARIUM)
        .args(["restore", "--base", base.to_str().unwrap(), backup.to_str().unwrap()])
        .output()
        .unwrap();
    assert_eq!(again.status.code(), Some(1), "a base that is there is not overwritten");
    let house = House::at(&base);
    assert_eq!(answers(&house), wanted);
    let read = "ReadStorageFile ann@two.example FILE private/plan.txt";
    let (_, out) = house.angarium(&["cli", read]);
    assert!(out.starts_with("[cGxhbg==]\n"), "files are in a backup: {out}");
    drop(house);

    // A second server, from the text.
    let second = House::build();
    let (code, out) = second.angarium(&["config", "diff", file]);
    assert_eq!(code, 4, "{out}");
    assert!(out.contains("+ account ann@two.example"), "{out}");
    assert!(!out.contains("forward-secret"), "{out}");
    let (code, out) = second.angarium(&["config", "apply", file]);
    assert_eq!(code, 1, "nobody was there to agree: {out}");
    let (code, out) = second.angarium(&["config", "apply", "--yes", file]);
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("made account ann@two.example"), "{out}");
    let (code, out) = second.angarium(&["config", "apply", "--yes", file]);
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("0 made, 0 changed"), "{out}");
    let (code, out) = second.angarium(&["config", "diff", file]);
    assert_eq!(code, 0, "{out}");
    let other = directory.path().join("again.conf");
    let other = other.to_str().unwrap();
    second.angarium(&["config", "export", other, "--with-passwords", "--with-keys"]);
    assert_eq!(std::fs::read_to_string(file).unwrap(), std::fs::read_to_string(other).unwrap());
    assert_eq!(answers(&second), wanted);
}

#[test]
fn a_configuration_is_text_that_a_person_can_keep_and_edit() {
    let house = House::build();
    furnish(&house);
    let (code, text) = house.angarium(&["config", "export"]);
    assert_eq!(code, 0);
    for line in [
        "configuration {\n",
        "account ann@two.example {\n Aliases = (anna);\n Rights = (BasicSettings,Domain);\n",
        "  RealName = \"Ann \u{e9}\";\n",
        " Table =\n  \"; ours\\e\"\n  \"<info> = own\\e\";\n",
        "forwarder fwd@two.example {\n Address = x@isp.example;\n}\n",
        " wn_Custom = (a,b);\n",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    for secret in ["secret", "ANGARIUM", "{SHA}", "Password"] {
        let shown = text.lines().find(|line| {
            line.contains(secret)
                && !line.contains("PasswordEncryption")
                && !line.contains("Passwords = NO")
        });
        assert_eq!(shown, None, "{secret}");
    }
    // A part, edited by hand.
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("part.conf");
    let part = "// more room, and a colleague\n\
        account bea@two.example { Settings = {RealName = Bea;}; }\n\
        account ann@two.example {\n Aliases = (anna);\n Rights = (Domain,BasicSettings);\n \
        Settings = {\n  MaxAccountSize = 2G;\n  RealName = Ann;\n };\n}\n\
        group team@two.example {\n Members = (bea);\n}\n\
        account team@two.example {}\n";
    std::fs::write(&file, part).unwrap();
    let file = file.to_str().unwrap();
    let (code, out) = house.angarium(&["config", "diff", file]);
    assert_eq!(code, 1, "{out}");
    assert!(
        out.contains("~ account ann@two.example\n    + Settings.MaxAccountSize = 2G\n"),
        "{out}"
    );
    assert!(out.contains("- Settings.RealName = \"Ann \u{e9}\"\n"), "{out}");
    assert!(out.contains("! account team@two.example (line 14): group with this name"), "{out}");
    let (code, out) = house.angarium(&["config", "--json", "apply", "--yes", file]);
    assert_eq!(code, 1, "{out}");
    let last: serde_json::Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["made"], &last["changed"], &last["refused"]),
        (&1.into(), &2.into(), &1.into())
    );
    // A password that the file does not name stays.
    let mut imap = Imap::connect(house.port(143));
    imap.ok(&format!("LOGIN ann@two.example {PASSWORD}"));
    std::fs::write(file, "account ann@two.example {\n Settings = {\n").unwrap();
    let (code, _) = house.angarium(&["config", "apply", "--yes", file]);
    assert_eq!(code, 2);
}

#[test]
fn what_a_whole_configuration_does_not_name_goes_only_when_told() {
    let house = House::build();
    furnish(&house);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("whole.conf");
    let file = file.to_str().unwrap();
    assert_eq!(house.angarium(&["config", "export", file]).0, 0);
    for line in [
        "CreateAccount stray@two.example".to_owned(),
        "CreateAccount filed@two.example".to_owned(),
        "WriteStorageFile filed@two.example FILE f DATA [eA==]".to_owned(),
        "CreateForwarder stray-f@two.example TO x@isp.example".to_owned(),
        "CreateGroup stray-g@two.example".to_owned(),
        "CreateList stray-l@two.example FOR ann@two.example".to_owned(),
        "CreateDomain empty.example".to_owned(),
        "CreateDomain lived.example".to_owned(),
        format!("CreateAccount mailed@lived.example {{Password=\"{PASSWORD}\";}}"),
        "UpdateModule POP {LogLevel=5;}".to_owned(),
    ] {
        cli(&house, &line);
    }
    let mut imap = Imap::login(house.port(143), "mailed@lived.example", PASSWORD);
    let letter =
        (String::new(), "01-Jan-2020 00:00:00 +0000".to_owned(), &b"Subject: x\r\n\r\n"[..]);
    imap.append_all("INBOX", std::iter::once(letter));

    let (code, out) = house.angarium(&["config", "diff", file]);
    assert_eq!(code, 4, "{out}");
    assert!(out.contains("? account stray@two.example is not in the file\n"), "{out}");
    let (code, out) = house.angarium(&["config", "apply", "--yes", file]);
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("0 made, 0 changed"), "nothing goes by itself: {out}");
    let (code, shown) = house.angarium(&["config", "diff", "--remove", file]);
    assert_eq!(code, 1, "{shown}");
    for line in [
        "- list stray-l@two.example\n",
        "- group stray-g@two.example\n",
        "- forwarder stray-f@two.example\n",
        "- account stray@two.example\n",
        "! account filed@two.example stays: it holds 0 messages and 1 files (--with-mail)\n",
        "! account mailed@lived.example stays: it holds 1 messages and 0 files (--with-mail)\n",
        "- domain empty.example\n",
        "! domain lived.example stays: an account stays in it\n",
        "- module POP\n",
        "0 to be made, 0 to be changed, 6 to be removed, ",
    ] {
        assert!(shown.contains(line), "{line}\n{shown}");
    }
    let (code, again) = house.angarium(&["config", "diff", "--remove", file]);
    assert_eq!((code, &again), (1, &shown), "showing changes nothing");
    let (code, out) = house.angarium(&["config", "apply", "--yes", "--remove", file]);
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("removed account stray@two.example\n"), "{out}");
    assert!(out.contains("6 removed"), "{out}");
    imap.ok("NOOP");
    let (code, out) =
        house.angarium(&["config", "apply", "--yes", "--remove", "--with-mail", file]);
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("3 removed"), "{out}");
    let (code, out) = house.angarium(&["config", "diff", file]);
    assert_eq!(code, 0, "{out}");
    let (_, out) = house.angarium(&["cli", "ListDomains"]);
    assert!(!out.contains("lived.example") && !out.contains("empty.example"), "{out}");
    // A part names nothing else on purpose.
    let part = directory.path().join("part.conf");
    std::fs::write(&part, "group team@two.example {\n Members = (ann);\n}\n").unwrap();
    let (code, _) =
        house.angarium(&["config", "apply", "--yes", "--remove", part.to_str().unwrap()]);
    assert_eq!(code, 2);
    assert!(house.angarium(&["cli", "ListAccounts two.example"]).1.contains("ann"));
}

/// Waits until a session is told to end.
fn is_ended(imap: &mut Imap) {
    while !imap.line().starts_with(b"* BYE") {}
}

#[test]
fn an_applied_configuration_ends_the_sessions_it_shuts_out() {
    let house = House::build();
    furnish(&house);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("part.conf");
    let apply = |part: &str| {
        std::fs::write(&file, part).unwrap();
        let (code, out) = house.angarium(&["config", "apply", "--yes", file.to_str().unwrap()]);
        assert_eq!(code, 0, "{out}");
    };
    let ann = |settings: &str| {
        format!("account ann@two.example {{\n Aliases = (anna);\n Settings = {{{settings}}};\n}}\n")
    };
    let enter = |password: &str| Imap::login(house.port(143), "ann@two.example", password);
    let mut imap = enter(PASSWORD);
    apply(&ann("RealName = Ann;"));
    // A name shuts nobody out.
    imap.ok("NOOP");
    apply(&ann("RealName = Ann; Password = another-one;"));
    is_ended(&mut imap);
    let mut imap = enter("another-one");
    apply(&ann("RealName = Ann; Password = another-one;"));
    // It was the same password again.
    imap.ok("NOOP");
    apply(&ann("RealName = Ann; AccessModes = (POP);"));
    is_ended(&mut imap);
    apply(&ann("RealName = Ann;"));
    let mut imap = enter("another-one");
    apply("domain two.example {\n Aliases = (zwei.example);\n Settings = {Suspended = YES;};\n}\n");
    is_ended(&mut imap);
}

#[test]
fn settings_are_shown_with_where_they_come_from_and_set_within_their_range() {
    let mut house = House::build();
    house.account("joe");
    assert_eq!(house.angarium(&["settings", "set", "accounts", "MaxMailboxes=50"]).0, 0);
    assert_eq!(house.angarium(&["settings", "set", "SMTP", "LogLevel=4"]).0, 0);
    assert_eq!(house.angarium(&["settings", "set", "router", "AddMainDomainName=YES"]).0, 0);
    assert_eq!(house.angarium(&["settings", "set", DOMAIN, "wn_Custom=5"]).0, 0);
    let joe = format!("joe@{DOMAIN}");
    let (code, out) = house.angarium(&["settings", &joe, "MaxMailboxes"]);
    assert_eq!(code, 0);
    assert!(out.starts_with("MaxMailboxes = 50    [server-wide account defaults]\n"), "{out}");
    assert!(out.contains("(a number or unlimited)"), "{out}");
    let (_, out) = house.angarium(&["settings", &joe]);
    assert!(out.contains("Password = \"(set, not shown)\""), "{out}");
    assert!(out.contains("AccessModes = All    [built-in]"), "{out}");
    let (_, out) = house.angarium(&["settings", DOMAIN, "--set-only"]);
    assert!(out.contains("wn_Custom = 5") && out.contains("Not known here"), "{out}");
    let (_, out) = house.angarium(&["settings", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    let all = json["value"].as_array().unwrap();
    let level = all.iter().find(|one| one["Scope"] == "module:SMTP" && one["Key"] == "LogLevel");
    assert_eq!(level.unwrap()["Value"], "4");
    // What is wrong is said with what is expected.
    let refused = |arguments: &[&str]| {
        let out = Command::new(house::ANGARIUM)
            .arg("settings")
            .args(["--base", house.base.to_str().unwrap()])
            .args(arguments)
            .output()
            .unwrap();
        assert_eq!(out.status.code(), Some(1), "{arguments:?}");
        String::from_utf8_lossy(&out.stderr).into_owned()
    };
    let said = refused(&["set", "SMTP", "LogLevel=9"]);
    assert!(said.contains("LogLevel: a number from 0 to 5 is expected"), "{said}");
    assert!(refused(&["set", &joe, "Password=x"]).contains("--value-file"));
    assert!(refused(&["Nonsense"]).contains("Nonsense"));
    assert!(refused(&["server", "Nonsense"]).contains("there is no setting Nonsense"));
    // Without a server, too.
    assert_eq!(house.stop(), Some(0));
    let (code, out) = house.angarium(&["settings", "SMTP", "LogLevel"]);
    assert_eq!(code, 0);
    assert!(out.starts_with("LogLevel = 4    [set here]\n"), "{out}");
}

// CR-10, with the real program
#[test]
fn cr_10_a_backup_taken_while_mail_arrives_holds_one_moment() {
    let house = House::build();
    house.account("joe");
    let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let writer = {
        let (stop, sent) = (Arc::clone(&stop), Arc::clone(&sent));
        let mut imap = house.imap("joe");
        std::thread::spawn(move || {
            while !stop.load(Ordering::SeqCst) {
                let number = sent.load(Ordering::SeqCst) + 1;
                let letter = format!("Subject: {number}\r\n\r\n{}\r\n", "x".repeat(20_000));
                let date = "01-Jan-2020 00:00:00 +0000".to_owned();
                let one = (String::new(), date, letter.as_bytes());
                imap.append_all("INBOX", std::iter::once(one));
                sent.store(number, Ordering::SeqCst);
            }
        })
    };
    while sent.load(Ordering::SeqCst) < 20 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let directory = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let to = directory.path().join(format!("backup-{round}"));
        let before = sent.load(Ordering::SeqCst);
        let (code, out) = house.angarium(&["backup", to.to_str().unwrap()]);
        let after = sent.load(Ordering::SeqCst);
        assert_eq!(code, 0, "{out}");
        let (code, out) = house.angarium(&["check", to.to_str().unwrap()]);
        assert_eq!(code, 0, "{out}");
        let copy = House::at(&to);
        let lines = copy.imap("joe").ok("STATUS INBOX (MESSAGES UIDNEXT)");
        let text = String::from_utf8_lossy(&lines[0]).into_owned();
        let count: u32 =
            text.split("MESSAGES ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        assert!((before..=after + 1).contains(&count), "{before} {count} {after}");
        assert!(text.contains(&format!("UIDNEXT {}", count + 1)), "{text}");
    }
    stop.store(true, Ordering::SeqCst);
    writer.join().unwrap();
}

fn curl(arguments: &[&str]) -> (String, String) {
    let out = Command::new("curl")
        .args(["-sS", "--max-time", "20", "-w", "\n%{http_code}"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let (body, code) = text.rsplit_once('\n').unwrap();
    (body.trim_end().to_owned(), code.to_owned())
}

#[test]
fn commands_are_given_over_http() {
    if !installed("curl") {
        return;
    }
    let house = House::build();
    house.account("joe");
    let ports = "{Listener={Ports=({PortNumber=80;},{PortNumber=443;InitialSecurity=YES;});};}";
    cli(&house, &format!("UpdateModule HTTPA {ports}"));
    let clear = format!("http://127.0.0.1:{}/CLI/", house.port(80));
    let tls = format!("https://127.0.0.1:{}/cli", house.port(443));
    let end = std::time::Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(("127.0.0.1", house.port(443))).is_err() {
        assert!(std::time::Instant::now() < end, "the port does not open");
        std::thread::sleep(Duration::from_millis(20));
    }
    let admin = format!("postmaster:{PASSWORD}");
    let ask = |url: &str, who: &str, command: &str| {
        let field = format!("command={command}");
        curl(&["-k", "-u", who, "--data-urlencode", &field, url])
    };
    let ok = |text: &str| (text.to_owned(), "200".to_owned());
    for url in [&clear, &tls] {
        assert_eq!(ask(url, &admin, "MainDomainName"), ok("201 house.example"));
        assert_eq!(ask(url, &admin, "NOOP"), ok("200 OK"));
        assert_eq!(ask(url, &admin, "Echo \"a b\u{e9}\""), ok("201 \"a b\u{e9}\""));
    }
    assert_eq!(
        ask(&tls, &admin, "DeleteDomain x.example"),
        ok("512 unknown secondary domain name")
    );
    // Rights are those of whoever asks.
    let joe = format!("joe@{DOMAIN}:{PASSWORD}");
    assert_eq!(ask(&tls, &joe, "ListDomains"), ok("510 insufficient access rights"));
    let text = ["-k", "-u", &joe, "-H", "Content-Type: text/plain", "-d", "GetVersion", &tls];
    assert!(curl(&text).0.starts_with("201 "));
    // Nobody else is listened to.
    let field = "command=NOOP";
    assert_eq!(ask(&tls, "joe:wrong", "NOOP").1, "401");
    let (_, code) = curl(&["-k", "-d", field, &tls]);
    assert_eq!(code, "401");
    for (more, wanted) in [
        (vec!["-G"], "405"),
        (vec!["-H", "Origin: https://evil.example"], "403"),
        (vec!["-H", "Sec-Fetch-Site: cross-site"], "403"),
        (vec!["-H", "Content-Type: application/json"], "415"),
        (vec!["-d", "x=y"], "400"),
    ] {
        let field = if wanted == "400" { vec![] } else { vec!["-d", field] };
        let arguments: Vec<&str> = ["-k", "-u", &admin]
            .into_iter()
            .chain(more)
            .chain(field)
            .chain([tls.as_str()])
            .collect();
        assert_eq!(curl(&arguments).1, wanted, "{arguments:?}");
    }
    let (_, code) = curl(&["-k", "-u", &admin, "-d", field, &tls.replace("/cli", "/other")]);
    assert_eq!(code, "404");
    // A body without end is not waited for, nor kept.
    let directory = tempfile::tempdir().unwrap();
    let large = directory.path().join("large");
    std::fs::write(&large, vec![b'x'; 5 << 20]).unwrap();
    let large = format!("@{}", large.display());
    let out = Command::new("curl")
        .args(["-sk", "--max-time", "20", "-w", "\n%{http_code}", "-u", &admin])
        .args(["--data-binary", &large, &tls])
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&out.stdout).ends_with("413"));
    cli(&house, "UpdateAccountSettings joe {AccessModes=(IMAP,PWD);}");
    assert_eq!(ask(&tls, &joe, "NOOP").1, "403");
}
