//! Logging in to the running server with the programs of others: SCRAM bound to the TLS session,
//! client certificates, access tokens, NTLM, application passwords (PWD-21, PWD-22, ABU-39, ABU-40,
//! ABU-41).

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

mod house;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use house::hostile::shout;
use house::smtp::Smtp;
use house::{DOMAIN, House, Imap, PASSWORD, installed};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};

/// Runs a program with a time limit and a home of its own; what it said and whether all was well.
fn run(home: &Path, program: &str, arguments: &[&str], input: &str) -> (bool, String) {
    let mut child = Command::new("timeout")
        .args(["-k", "5", "60", program])
        .args(arguments)
        .env("HOME", home)
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that reads nothing closes it.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let out = child.wait_with_output().unwrap();
    let said = [out.stdout, out.stderr].concat();
    (out.status.success(), String::from_utf8_lossy(&said).into_owned())
}

fn cli(house: &House, line: &str) -> String {
    let (code, out) = house.angarium(&["cli", line]);
    assert_eq!(code, 0, "{line}: {out}");
    out
}

/// A setting from a file: lines are written as the text format wants them.
fn text_of(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap().replace('\n', "\\e")
}

#[test]
fn pwd_21_gsasl_binds_scram_to_the_tls_session_over_imap_and_smtp() {
    if !installed("gsasl") {
        return;
    }
    let house = House::build();
    house.account("joe");
    let home = tempfile::tempdir().unwrap();
    let ca = house.base.join("Settings/tls-certificate.pem").display().to_string();
    let name = format!("joe@{DOMAIN}");
    let with = |protocol: &str, port: u16, mechanism: &str, password: &str| {
        let at = format!("--connect=localhost:{}", house.port(port));
        let (ca, name) = (format!("--x509-ca-file={ca}"), format!("-a{name}"));
        let (mechanism, password) = (format!("-m{mechanism}"), format!("-p{password}"));
        run(home.path(), "gsasl", &[protocol, &at, &ca, &name, &mechanism, &password], "")
    };
    for (protocol, port) in [("--imap", 143), ("--smtp", 587)] {
        let (done, said) = with(protocol, port, "SCRAM-SHA-256-PLUS", PASSWORD);
        assert!(done && said.contains("Client authentication finished"), "{protocol}: {said}");
        let (done, said) = with(protocol, port, "SCRAM-SHA-256-PLUS", "wrong");
        assert!(!done, "{protocol}: {said}");
    }
    // A client that can bind and was not offered it says so, and is warned (ABU-41): here it was
    // offered.
    let (_, said) = with("--imap", 143, "SCRAM-SHA-256", PASSWORD);
    assert!(said.contains("SCRAM-SHA-256-PLUS"), "not offered: {said}");
}

/// A certificate for a mail address, and its key, in files.
fn certificate(
    directory: &Path,
    by: &CertifiedIssuer<'static, KeyPair>,
    mail: &str,
) -> (PathBuf, PathBuf) {
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::Rfc822Name(mail.try_into().unwrap())];
    let key = KeyPair::generate().unwrap();
    let made = params.signed_by(&key, by).unwrap();
    let (at, secret) =
        (directory.join(format!("{mail}.pem")), directory.join(format!("{mail}.key")));
    std::fs::write(&at, made.pem()).unwrap();
    std::fs::write(&secret, key.serialize_pem()).unwrap();
    (at, secret)
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

#[test]
fn curl_logs_in_by_a_client_certificate_on_every_service() {
    if !installed("curl") {
        return;
    }
    let house = House::build();
    house.account("joe");
    house.account("amy");
    let home = tempfile::tempdir().unwrap();
    let (ours, others) = (authority(), authority());
    let ca = home.path().join("ca.pem");
    std::fs::write(&ca, ours.pem()).unwrap();
    for line in [
        format!(
            "UpdateDomainSettings {DOMAIN} {{ClientCertReq=YES;ClientCertCA=\"{}\";}}",
            text_of(&ca)
        ),
        format!("UpdateAccountSettings joe@{DOMAIN} {{UseCertificateAuth=YES;}}"),
    ] {
        cli(&house, &line);
    }
    let joe = certificate(home.path(), &ours, &format!("joe@{DOMAIN}"));
    let amy = certificate(home.path(), &ours, &format!("amy@{DOMAIN}"));
    let forged = tempfile::tempdir().unwrap();
    let forged = certificate(forged.path(), &others, &format!("joe@{DOMAIN}"));
    let enter = |url: &str, (at, key): &(PathBuf, PathBuf)| {
        let (at, key) = (at.display().to_string(), key.display().to_string());
        let options = "AUTH=EXTERNAL";
        let user = format!("joe@{DOMAIN}:");
        let words = ["-sSkv", "--ssl-reqd", "--cert", &at, "--key", &key, "--user", &user];
        let words = [&words[..], &["--login-options", options, url]].concat();
        run(home.path(), "curl", &words, "")
    };
    let imap = format!("imap://localhost:{}/", house.port(143));
    // The server hears of the setting a moment after it is made.
    let end = Instant::now() + Duration::from_secs(20);
    while !enter(&imap, &joe).0 && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(100));
    }
    for url in [
        imap.clone(),
        format!("imaps://localhost:{}/", house.port(993)),
        format!("pop3://localhost:{}/", house.port(110)),
        format!("pop3s://localhost:{}/", house.port(995)),
    ] {
        let (done, said) = enter(&url, &joe);
        assert!(done, "{url}: {said}");
        for other in [&amy, &forged] {
            let (done, said) = enter(&url, other);
            assert!(!done, "{url}: {said}");
        }
    }
    let letter = home.path().join("letter.eml");
    std::fs::write(&letter, format!("From: joe@{DOMAIN}\r\nTo: amy@{DOMAIN}\r\n\r\nhello\r\n"))
        .unwrap();
    let (letter, key) = (letter.display().to_string(), joe.1.display().to_string());
    let (at, user) = (joe.0.display().to_string(), format!("joe@{DOMAIN}:"));
    let (from, to) = (format!("joe@{DOMAIN}"), format!("amy@{DOMAIN}"));
    let url = format!("smtp://localhost:{}", house.port(587));
    let words = ["-sSkv", "--ssl-reqd", "--cert", &at, "--key", &key, "--user", &user];
    let mail = ["--login-options", "AUTH=EXTERNAL", "--mail-from", &from, "--mail-rcpt", &to];
    let (done, said) =
        run(home.path(), "curl", &[&words[..], &mail, &["-T", &letter, &url]].concat(), "");
    assert!(done && said.contains("AUTH EXTERNAL"), "{said}");
}

#[test]
fn abu_40_curl_logs_in_by_access_tokens_that_pyjwt_made_and_by_no_others() {
    if !installed("curl") || !installed("python3") {
        return;
    }
    let house = House::build();
    house.account("joe");
    house.account("amy");
    let home = tempfile::tempdir().unwrap();
    let maker = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/token_issuer.py");
    let issue = |directory: &Path| {
        let joe = format!("joe@{DOMAIN}");
        let words = [maker, directory.to_str().unwrap(), &joe];
        run(home.path(), "python3", &words, "")
    };
    let (made, said) = issue(home.path());
    if !made {
        println!("skipped: python3-jwt is not installed");
        eprintln!("skipped: python3-jwt is not installed: {said}");
        return;
    }
    let token = said.trim().to_owned();
    let elsewhere = tempfile::tempdir().unwrap();
    let foreign = issue(elsewhere.path()).1.trim().to_owned();
    let keys = home.path().join("keys.json").display().to_string();
    cli(
        &house,
        &format!(
            "UpdateServerSettings {{TokenIssuers=({{Issuer=\"https://id.example\";Audience=mail;\
             Keys=\"file:{keys}\";Scope=mail;}});}}"
        ),
    );
    let enter = |url: &str, name: &str, token: &str, form: &str| {
        let user = format!("{name}@{DOMAIN}");
        let form = format!("AUTH={form}");
        let words = ["-sSkv", "--ssl-reqd", "--user", &user, "--oauth2-bearer", token];
        let words = [&words[..], &["--login-options", &form, url]].concat();
        run(home.path(), "curl", &words, "")
    };
    for form in ["OAUTHBEARER", "XOAUTH2"] {
        for url in [
            format!("imap://localhost:{}/", house.port(143)),
            format!("pop3s://localhost:{}/", house.port(995)),
        ] {
            let (done, said) = enter(&url, "joe", &token, form);
            assert!(done && said.contains(form), "{url} {form}: {said}");
            for (name, token) in [("amy", &token), ("joe", &foreign), ("joe", &"x.y.z".to_owned())]
            {
                let (done, said) = enter(&url, name, token, form);
                assert!(!done, "{url} {form} {name}: {said}");
            }
        }
    }
    // Administration takes the password itself.
    cli(&house, &format!("SetAccountRights joe@{DOMAIN} (Master)"));
    let bearer = format!("n,,\u{1}auth=Bearer {token}\u{1}\u{1}");
    let line = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bearer);
    let said = shout(
        &house,
        106,
        format!("AUTH OAUTHBEARER {line}\r\nLISTDOMAINS\r\nQUIT\r\n").as_bytes(),
    );
    assert!(!said.contains(DOMAIN), "{said}");
}

#[test]
fn curl_logs_in_by_ntlm_where_it_is_offered_and_the_password_readable() {
    if !installed("curl") {
        return;
    }
    let house = House::build();
    let home = tempfile::tempdir().unwrap();
    let name = format!("joe@{DOMAIN}");
    cli(
        &house,
        &format!("CreateAccount {name} {{Password=\"{PASSWORD}\";PasswordEncryption=A-crpt;}}"),
    );
    // The hash Windows keeps of "secret" is enough.
    let hash = "\\002{MSNT}878D8014606CDA29677A44EFA1353FC7";
    cli(&house, &format!("CreateAccount old@{DOMAIN} {{Password=\"{hash}\";UpgradePassword=NO;}}"));
    house.account("amy");
    let enter = |name: &str, password: &str| {
        let user = format!("{name}@{DOMAIN}:{password}");
        let url = format!("imap://localhost:{}/", house.port(143));
        run(
            home.path(),
            "curl",
            &["-sSv", "--user", &user, "--login-options", "AUTH=NTLM", &url],
            "",
        )
    };
    assert!(!enter("joe", PASSWORD).0, "not offered");
    cli(&house, "UpdateServerSettings {OldLoginMethods=(NTLM);}");
    for (name, password, right) in [
        ("joe", PASSWORD, true),
        ("old", "secret", true),
        ("joe", "wrong", false),
        ("old", "Secret", false),
        ("amy", PASSWORD, false),
    ] {
        let (done, said) = enter(name, password);
        assert_eq!(done, right, "{name} {password}: {said}");
        assert!(said.contains("AUTHENTICATE NTLM"), "{said}");
    }
}

#[test]
fn abu_39_an_application_password_is_listed_used_and_taken_away() {
    let house = House::build();
    house.account("joe");
    let name = format!("joe@{DOMAIN}");
    let secret = "horse-battery-staple";
    // The owner makes it himself, over PWD.
    let give = format!(
        "USER {name}\r\nPASS {PASSWORD}\r\nSETACCOUNTPASSWORD * PASSWORD \"{secret}\" TAG phone SERVICES (IMAP)\r\nQUIT\r\n"
    );
    let said = shout(&house, 106, give.as_bytes());
    assert!(!said.contains("\r\n5"), "{said}");
    let mut phone = Imap::connect(house.port(143));
    phone.ok(&format!("LOGIN {name} {secret}"));
    phone.ok("SELECT INBOX");
    let pop = shout(&house, 110, format!("USER {name}\r\nPASS {secret}\r\nQUIT\r\n").as_bytes());
    assert!(pop.contains("-ERR"), "{pop}");
    let pwd = format!("USER {name}\r\nPASS {secret}\r\nNEWPASS another-password\r\nQUIT\r\n");
    let pwd = shout(&house, 106, pwd.as_bytes());
    assert!(pwd.contains("\r\n5") || pwd.starts_with('5'), "{pwd}");
    let listed = cli(&house, &format!("GetAccountAppPasswords {name}"));
    assert!(
        listed.contains("phone") && listed.contains("LastUsed") && listed.contains("IMAP"),
        "{listed}"
    );
    cli(&house, &format!("SetAccountPassword {name} PASSWORD \"\" TAG phone"));
    let farewell = phone.line();
    assert!(farewell.starts_with(b"* BYE"), "{}", String::from_utf8_lossy(&farewell));
    let mut imap = Imap::connect(house.port(143));
    let (_, end) = imap.command(&format!("LOGIN {name} {secret}"));
    assert!(end.starts_with("NO [AUTHENTICATIONFAILED]"), "{end}");
    let mut open = house.imap("joe");
    // A password changed elsewhere ends what the old one opened.
    let change = format!("USER {name}\r\nPASS {PASSWORD}\r\nNEWPASS quite-another\r\nQUIT\r\n");
    let said = shout(&house, 106, change.as_bytes());
    assert!(!said.contains("\r\n5"), "{said}");
    assert!(open.line().starts_with(b"* BYE"));
}

#[test]
fn pwd_22_the_recipe_of_the_guide_leaves_plain_alone_on_every_service() {
    let house = House::build();
    house.account("joe");
    cli(&house, &format!("UpdateDomainSettings {DOMAIN} {{AUTHMethods=(PLAIN,SESSIONID);}}"));
    let mut imap = Imap::connect(house.port(143));
    let told = imap.ok("CAPABILITY");
    let told = String::from_utf8_lossy(&told.concat()).into_owned();
    assert!(told.contains("AUTH=PLAIN") && !told.contains("SCRAM"), "{told}");
    let pop = shout(&house, 110, b"CAPA\r\nQUIT\r\n");
    assert!(pop.contains("SASL PLAIN LOGIN\r\n"), "{pop}");
    let smtp = shout(&house, 587, b"EHLO x\r\n");
    assert!(smtp.contains("AUTH PLAIN LOGIN\r\n"), "{smtp}");
    house.imap("joe").ok("NOOP");
    cli(&house, &format!("UpdateDomainSettings {DOMAIN} {{AUTHMethods=(SCRAM-SHA-256);}}"));
    let mut imap = Imap::connect(house.port(143));
    let told = String::from_utf8_lossy(&imap.ok("CAPABILITY").concat()).into_owned();
    assert!(told.contains("LOGINDISABLED") && !told.contains("AUTH=PLAIN"), "{told}");
    let pop = shout(&house, 110, b"CAPA\r\nQUIT\r\n");
    assert!(!pop.contains("\r\nUSER\r\n") && pop.contains("SASL SCRAM-SHA-256\r\n"), "{pop}");
}

/// What is answered to lines; on the submission port after EHLO.
fn answered(house: &House, port: u16, lines: &str) -> String {
    if port != 587 {
        return shout(house, port, lines.as_bytes());
    }
    let mut smtp = Smtp::connect("127.0.0.1", house.port(587));
    smtp.ok("EHLO x");
    smtp.say(lines.trim_end())
}

#[test]
fn pwd_22_a_method_that_the_domain_does_not_take_is_told_from_a_lack_of_encryption() {
    let house = House::build();
    house.account("joe");
    cli(&house, "CreateDomain strict.example {AUTHMethods=(SCRAM-SHA-256);}");
    cli(&house, &format!("CreateAccount amy@strict.example {{Password=\"{PASSWORD}\";}}"));
    let words = "this login method is not allowed for the account";
    let plain = |password: &str| {
        let text = format!("\0amy@strict.example\0{password}");
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, text)
    };
    let (right, wrong) = (plain(PASSWORD), plain("wrong"));
    for (port, line, refusal) in [
        (143, format!("a LOGIN amy@strict.example {PASSWORD}\r\n"), "a NO [CANNOT] "),
        (143, format!("a AUTHENTICATE PLAIN {right}\r\n"), "a NO [CANNOT] "),
        (110, format!("USER amy@strict.example\r\nPASS {PASSWORD}\r\n"), "-ERR [SYS/PERM] "),
        (110, format!("AUTH PLAIN {right}\r\n"), "-ERR [SYS/PERM] "),
        (587, format!("AUTH PLAIN {right}\r\n"), "534 5.7.9 "),
        (106, format!("USER amy@strict.example\r\nPASS {PASSWORD}\r\n"), "501 "),
    ] {
        let said = answered(&house, port, &line);
        assert!(said.contains(&format!("{refusal}{words}")), "{port} {line}: {said}");
    }
    // Only those who know the password are told, and only they by this word.
    let said = shout(&house, 143, format!("a AUTHENTICATE PLAIN {wrong}\r\n").as_bytes());
    assert!(said.contains("a NO [AUTHENTICATIONFAILED] "), "{said}");
    // What no domain takes, or nobody knows, is not begun.
    for (port, line, refusal) in [
        (143, "a AUTHENTICATE CRAM-MD5\r\n", "a NO [CANNOT] this mechanism is not offered here"),
        (110, "AUTH CRAM-MD5\r\n", "-ERR [SYS/PERM] this AUTH mechanism is not available"),
        (587, "AUTH CRAM-MD5\r\n", "504 5.5.4 "),
        (106, "AUTH CRAM-MD5\r\n", "500 this AUTH mechanism is not available"),
    ] {
        let said = answered(&house, port, line);
        assert!(said.contains(refusal), "{port}: {said}");
    }
    // The programs that move mail go on to the next method.
    let journal = house.base.join("move.journal");
    let port = house.port(143);
    let home = tempfile::tempdir().unwrap();
    let (done, said) = run(
        home.path(),
        house::ANGARIUM,
        &[
            "move",
            "imap",
            "--notls1",
            "--notls2",
            "--journal",
            &journal.display().to_string(),
            &format!("127.0.0.1:{port}"),
            "amy@strict.example",
            "-",
            &format!("127.0.0.1:{port}"),
            &format!("joe@{DOMAIN}"),
            "-",
        ],
        &format!("{PASSWORD}\n{PASSWORD}\n"),
    );
    assert!(done, "{said}");
}

#[test]
fn what_was_counted_before_a_restart_counts_after_it() {
    let mut house = House::build();
    house.account("joe");
    house.account("amy");
    cli(&house, &format!("UpdateAccountSettings joe@{DOMAIN} {{FailedLoginFlow=(3,1h);}}"));
    house.imap("amy").ok("NOOP");
    let joe = |house: &House, password: &str| {
        let line = format!("USER joe@{DOMAIN}\r\nPASS {password}\r\nQUIT\r\n");
        shout(house, 110, line.as_bytes())
    };
    for _ in 0..3 {
        assert!(joe(&house, "guess").contains("-ERR [AUTH]"));
    }
    let asked = |house: &House, line: &str| cli(house, line).trim().to_owned();
    let since = asked(&house, &format!("GetAccountStat amy@{DOMAIN} KEY StatReset"));
    assert_eq!(house.stop(), Some(0));
    house.start();
    assert_eq!(asked(&house, &format!("GetAccountStat amy@{DOMAIN} KEY Logins")), "#1");
    assert_eq!(asked(&house, &format!("GetAccountStat amy@{DOMAIN} KEY StatReset")), since);
    assert!(joe(&house, PASSWORD).contains("-ERR [SYS/TEMP]"), "guessed too often before");
    house.imap("amy").ok("NOOP");
    assert_eq!(asked(&house, &format!("GetAccountStat amy@{DOMAIN} KEY Logins")), "#2");
}
