//! Who really sent a message, shown by mail over a real dialogue, a name server on this machine,
//! the vectors of the standards and the programs of others.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod checked;
mod house;
mod names;

use std::path::Path;
use std::process::Command;

use angarium_transfer::authenticity::keys::Algorithm;
use angarium_transfer::{Source, Submit};
use checked::Checked;
use house::MAIN;
use names::Names;

/// The signed message of RFC 8463 appendix A.3.
const RFC_8463: &str = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n \
d=football.example.com; i=@football.example.com;\r\n \
q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n \
subject : date : message-id : from : subject : date;\r\n \
bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n \
b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n \
Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n\
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n \
d=football.example.com; i=@football.example.com;\r\n \
q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r\n \
date : message-id : from : subject : date;\r\n \
bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n \
b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\r\n \
DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\r\n \
dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=\r\n\
From: Joe SixPack <joe@football.example.com>\r\n\
To: Suzie Q <suzie@shopping.example.net>\r\n\
Subject: Is dinner ready?\r\n\
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n\
Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n\
\r\n\
Hi.\r\n\
\r\n\
We lost the game.  Are you hungry yet?\r\n\
\r\n\
Joe.\r\n";

fn publish_rfc_8463(names: &Names) {
    names.txt(
        "brisbane._domainkey.football.example.com",
        "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    );
    names.txt(
        "test._domainkey.football.example.com",
        "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWR\
         iGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutAC\
         DfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3\
         Ip3G+2kryOTIKT+l/K4w3QIDAQAB",
    );
}

/// The Authentication-Results of this server in a message, on one line.
fn results(message: &str) -> String {
    let message = message.replace("\r\n\t", " ").replace("\r\n ", " ");
    let line = message.lines().find(|l| l.starts_with("Authentication-Results: main.example;"));
    line.unwrap_or_else(|| panic!("no results in {message}")).to_owned()
}

#[tokio::test]
async fn the_signatures_of_rfc_8463_pass_and_a_changed_body_does_not() {
    let checked = Checked::new().await;
    publish_rfc_8463(&checked.names);
    checked.names.txt("football.example.com", "v=spf1 ip4:192.0.2.0/24 -all");
    checked.names.txt("_dmarc.football.example.com", "v=DMARC1; p=reject");
    let reply = checked.mail("joe@football.example.com", RFC_8463).await;
    assert!(reply.starts_with("250 "), "{reply}");
    checked.house.settled().await;
    let inbox = checked.house.inbox("alice@main.example").await;
    let line = results(&inbox[0]);
    assert_eq!(line.matches("dkim=pass").count(), 2, "{line}");
    assert!(line.contains("spf=pass") && line.contains("dmarc=pass"), "{line}");
    assert!(inbox[0].ends_with(RFC_8463));
    let changed = RFC_8463.replace("Joe.\r\n", "Bob.\r\n");
    let found = checked.inspect(changed.as_bytes(), false).await;
    assert_eq!(found.lines.matches("dkim=neutral (body hash did not verify)").count(), 2);
    // RFC 8301 section 3.1: rsa-sha1 counts for nothing.
    let old = RFC_8463.replace("a=rsa-sha256", "a=rsa-sha1");
    let found = checked.inspect(old.as_bytes(), false).await;
    assert!(found.lines.contains("dkim=permerror"), "{}", found.lines);
    assert_eq!(found.lines.matches("dkim=pass").count(), 1, "{}", found.lines);
}

#[tokio::test]
async fn a_failing_sender_is_refused_and_a_failing_dns_refuses_nobody_unless_told_to() {
    let checked = Checked::new().await;
    checked.names.txt("far.example", "v=spf1 ip4:198.51.100.1 -all");
    checked.names.broken("slow.example");
    let text = "From: a@far.example\r\nSubject: x\r\n\r\nx\r\n";
    let reply = checked.mail("a@far.example", text).await;
    assert!(reply.starts_with("550 5.7.23 SPF"), "{reply}");
    assert!(checked.mail("a@unknown.example", text).await.starts_with("250 "));
    assert!(checked.mail("a@slow.example", text).await.starts_with("250 "));
    checked.house.settled().await;
    let inbox = checked.house.inbox("alice@main.example").await;
    assert!(inbox.iter().any(|m| results(m).contains("spf=temperror")), "{inbox:?}");
    assert!(inbox.iter().any(|m| results(m).contains("spf=none")), "{inbox:?}");
    checked.set(&[("CheckSPF", "add header"), ("AddReceivedSPF", "YES")]).await;
    assert!(checked.mail("a@far.example", text).await.starts_with("250 "));
    checked.house.settled().await;
    let inbox = checked.house.inbox("alice@main.example").await;
    assert!(inbox[2].contains("\r\nReceived-SPF: fail"), "{}", inbox[2]);
    checked.set(&[("DeferOnDNSErrors", "YES")]).await;
    let reply = checked.mail("a@slow.example", text).await;
    assert!(reply.starts_with("451 4.7.24"), "{reply}");
    // Switched off, nothing is written.
    let off = [("CheckSPF", "disabled"), ("CheckDKIM", "NO"), ("DMARCPolicy", "disabled")];
    checked.set(&off).await;
    assert!(checked.mail("a@far.example", text).await.starts_with("250 "));
    checked.house.settled().await;
    let inbox = checked.house.inbox("alice@main.example").await;
    assert!(!inbox[3].contains("Authentication-Results"), "{}", inbox[3]);
}

#[tokio::test]
async fn what_a_domain_wants_rejected_goes_to_junk_or_back() {
    let checked = Checked::new().await;
    checked.names.txt("_dmarc.bank.example", "v=DMARC1; p=reject");
    let text = "From: Your Bank <a@mail.bank.example>\r\nSubject: x\r\n\r\nx\r\n";
    assert!(checked.mail("a@far.example", text).await.starts_with("250 "));
    checked.house.settled().await;
    assert!(checked.house.inbox("alice@main.example").await.is_empty());
    let junk = checked.house.mailbox("alice@main.example", "Junk").await;
    assert!(results(&junk[0]).contains("dmarc=fail"), "{junk:?}");
    checked.set(&[("DMARCPolicy", "enforce")]).await;
    let reply = checked.mail("a@far.example", text).await;
    assert!(reply.starts_with("550 5.7.26 DMARC: mail.bank.example"), "{reply}");
    // ABU-12: several authors are no way around it.
    for from in ["a@bank.example, b@far.example", "a@far.example\r\nFrom: b@bank.example"] {
        let text = format!("From: {from}\r\nSubject: x\r\n\r\nx\r\n");
        let reply = checked.mail("a@far.example", &text).await;
        assert!(reply.starts_with("550 5.6.0"), "{from}: {reply}");
    }
}

/// Hands in a letter of alice as her own program would, and gives what arrived at bob's.
async fn sent_by_alice(checked: &Checked) -> String {
    let submitter = checked.house.transfer.submitter();
    let submit = Submit::new(Source::Web, "alice@main.example", &["bob@main.example"]);
    let text = "From: Alice <alice@main.example>\r\nTo: bob@main.example\r\n\
                Subject: hello\r\n\r\nA line with  two blanks \r\n\r\n.\r\n\r\n\r\n";
    submitter.submit_message(submit, text.as_bytes()).await.unwrap();
    checked.house.settled().await;
    checked.house.inbox("bob@main.example").await.pop().unwrap()
}

#[tokio::test]
async fn mail_of_our_own_is_signed_with_both_keys_and_its_author_cannot_be_doubled() {
    let checked = Checked::new().await;
    checked.names.txt(&format!("_dmarc.{MAIN}"), "v=DMARC1; p=reject");
    assert!(!sent_by_alice(&checked).await.contains("DKIM-Signature"), "no key, no signature");
    checked.keys(&[("one", Algorithm::Rsa), ("two", Algorithm::Ed25519)]).await;
    let letter = sent_by_alice(&checked).await;
    assert_eq!(letter.matches("DKIM-Signature: ").count(), 2, "{letter}");
    let found = checked.inspect(letter.as_bytes(), false).await;
    assert_eq!(found.lines.matches("dkim=pass").count(), 2, "{}", found.lines);
    assert!(found.lines.contains("dmarc=pass"), "{}", found.lines);
    let doubled = format!("From: x@evil.example\r\n{letter}");
    let found = checked.inspect(doubled.as_bytes(), false).await;
    assert!(!found.lines.contains("dkim=pass"), "{}", found.lines);
    // Somebody else's author is not ours to sign, nor is mail of strangers.
    let other = b"From: x@other.dom\r\nSubject: x\r\n\r\nx\r\n";
    assert_eq!(checked.inspect(other, true).await.lines, "");
    let stranger = b"From: alice@main.example\r\nSubject: x\r\n\r\nx\r\n";
    assert!(!checked.inspect(stranger, false).await.lines.contains("DKIM-Signature"));
}

#[tokio::test]
async fn mail_that_goes_on_is_sealed_and_the_seal_is_believed_by_who_trusts_it() {
    let checked = Checked::new().await;
    checked.keys(&[("one", Algorithm::Rsa)]).await;
    publish_rfc_8463(&checked.names);
    checked.names.txt("_dmarc.football.example.com", "v=DMARC1; p=reject");
    let mut client = checked.house.client().await;
    client.hello().await;
    let to = ["team@main.example"];
    let reply = client.mail("joe@football.example.com", &to, RFC_8463).await;
    assert!(reply.starts_with("250 "), "{reply}");
    checked.house.settled().await;
    let sealed = checked.house.inbox("bob@main.example").await.pop().unwrap();
    for line in
        ["ARC-Seal: i=1;", "ARC-Message-Signature: i=1;", "ARC-Authentication-Results: i=1;"]
    {
        assert!(sealed.contains(line), "{line} in {sealed}");
    }
    let found = checked.inspect(sealed.as_bytes(), false).await;
    assert!(found.lines.contains("arc=pass"), "{}", found.lines);
    // A list changed the subject: the author's signature is broken, the chain tells who saw it.
    let changed = sealed.replace("Subject: Is dinner", "Subject: [list] Is dinner");
    let found = checked.inspect(changed.as_bytes(), false).await;
    assert!(found.lines.contains("arc=fail") && found.mailbox.is_some(), "{}", found.lines);
    foreign_arc(&checked, &sealed);
}

/// Python with dkimpy, if it is here.
fn dkimpy() -> Option<&'static str> {
    let python = "/usr/bin/python3";
    let here = Command::new(python).args(["-c", "import dkim, nacl"]).output();
    if here.is_ok_and(|done| done.status.success()) {
        return Some(python);
    }
    println!("skipped: python3-dkim is not installed");
    None
}

const VERIFY: &str = r#"
import dkim, sys
table = dict(line.split("\t", 1) for line in open(sys.argv[2]).read().splitlines())
def txt(name, timeout=5):
    return table.get(name.decode().rstrip(".")).encode() if name.decode().rstrip(".") in table else None
message = open(sys.argv[1], "rb").read()
if sys.argv[3] == "arc":
    print(dkim.arc_verify(message, dnsfunc=txt)[0].decode())
else:
    d = dkim.DKIM(message)
    print([d.verify(idx=i, dnsfunc=txt) for i in range(int(sys.argv[3]))])
"#;

fn foreign_arc(checked: &Checked, sealed: &str) {
    let Some(python) = dkimpy() else { return };
    let said = verify_with(python, checked, sealed, "arc", &["one"]);
    assert_eq!(said.trim(), "pass", "dkimpy on the ARC chain");
}

fn verify_with(python: &str, checked: &Checked, text: &str, how: &str, keys: &[&str]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let (letter, table) = (dir.path().join("letter"), dir.path().join("table"));
    std::fs::write(&letter, text).unwrap();
    let lines: Vec<String> = keys
        .iter()
        .map(|key| {
            let name = format!("{key}._domainkey.{MAIN}");
            format!("{name}\t{}", checked.names.text(&name))
        })
        .collect();
    std::fs::write(&table, lines.join("\n")).unwrap();
    let done = Command::new(python)
        .args(["-c", VERIFY])
        .args([letter.as_path(), table.as_path()])
        .arg(how)
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

#[tokio::test]
async fn our_signatures_are_verified_by_the_programs_of_others() {
    let checked = Checked::new().await;
    checked.keys(&[("one", Algorithm::Rsa), ("two", Algorithm::Ed25519)]).await;
    let letter = sent_by_alice(&checked).await;
    if let Some(python) = dkimpy() {
        let said = verify_with(python, &checked, &letter, "2", &["one", "two"]);
        assert_eq!(said.trim(), "[True, True]", "dkimpy on both signatures");
    }
    let program = "/usr/sbin/opendkim";
    if !Path::new(program).exists() {
        println!("skipped: opendkim is not installed");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let key = |key: &str| {
        let name = format!("{key}._domainkey.{MAIN}");
        format!("{name} {}\n", checked.names.text(&name))
    };
    std::fs::write(at("dns"), key("one") + &key("two")).unwrap();
    let settings = format!("Mode v\nSyslog no\nTestDNSData file:{}\n", at("dns").display());
    std::fs::write(at("settings"), settings).unwrap();
    std::fs::write(at("letter"), &letter).unwrap();
    let done = Command::new(program)
        .arg("-x")
        .arg(at("settings"))
        .arg("-t")
        .arg(at("letter"))
        .arg("-v")
        .output()
        .unwrap();
    let said =
        String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    assert!(said.contains(&format!("d={MAIN}")) && said.contains("succeeded"), "{said}");
}

/// Makes an RSA key in a file; its record.
fn openssl_key(file: &Path) -> Option<String> {
    let made = Command::new("openssl")
        .args(["genrsa", "-traditional", "-out"])
        .arg(file)
        .arg("2048")
        .output();
    let public = Command::new("openssl").args(["rsa", "-pubout", "-in"]).arg(file).output();
    let (Ok(made), Ok(public)) = (made, public) else {
        println!("skipped: openssl is not installed");
        return None;
    };
    assert!(made.status.success() && public.status.success());
    let pem = String::from_utf8(public.stdout).unwrap();
    let key: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    Some(format!("v=DKIM1; p={key}"))
}

const SIGN: &str = r#"
import dkim, sys
key = open(sys.argv[1], "rb").read()
message = open(sys.argv[2], "rb").read()
for c in [(b"simple", b"simple"), (b"relaxed", b"simple"), (b"relaxed", b"relaxed")]:
    sig = dkim.sign(message, b"sel", b"far.example", key, canonicalize=c)
    open(sys.argv[3] + (c[0] + c[1]).decode(), "wb").write(sig + message)
"#;

#[tokio::test]
async fn signatures_of_other_programs_are_verified_in_every_canonical_form() {
    let Some(python) = dkimpy() else { return };
    let checked = Checked::new().await;
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let Some(record) = openssl_key(&at("key")) else { return };
    checked.names.txt("sel._domainkey.far.example", &record);
    let letter = "From: a@far.example\r\nSubject:  two   blanks \r\nX: y\r\n\r\nx \t y\r\n\r\n\r\n";
    std::fs::write(at("letter"), letter).unwrap();
    let done = Command::new(python)
        .args(["-c", SIGN])
        .args([at("key"), at("letter"), at("out-")])
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    for form in ["simplesimple", "relaxedsimple", "relaxedrelaxed"] {
        let signed = std::fs::read(at(&format!("out-{form}"))).unwrap();
        let found = checked.inspect(&signed, false).await;
        assert!(found.lines.contains("dkim=pass"), "{form}: {}", found.lines);
    }
}

#[tokio::test]
async fn no_message_whatever_its_bytes_brings_the_checks_down() {
    let checked = Checked::new().await;
    publish_rfc_8463(&checked.names);
    checked.keys(&[("one", Algorithm::Rsa)]).await;
    let letter = sent_by_alice(&checked).await;
    let seals = "ARC-Seal: i=1; a=rsa-sha256; cv=none; d=main.example; s=one; b=eA==\r\n\
                 ARC-Message-Signature: i=1; a=rsa-sha256; d=main.example; s=one; h=from; \
                 bh=eA==; b=eA==\r\nARC-Authentication-Results: i=1; x; spf=pass\r\n";
    let seeds = [RFC_8463.to_owned(), format!("{seals}{RFC_8463}"), letter];
    let mut state = 88_172_645_463_325_252_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    };
    let bits: [&[u8]; 12] = [
        b"\r\n",
        b";",
        b"=",
        b"\0",
        b"\xff",
        b"i=99999999999999999999;",
        b"l=5;",
        b"h=:;",
        b"(",
        b"\"",
        b"b=;",
        b"x=1;",
    ];
    for round in 0..1500 {
        let mut bytes = seeds[round % seeds.len()].clone().into_bytes();
        for _ in 0..=random(6) {
            let at = random(bytes.len().max(1));
            match random(4) {
                0 => bytes.truncate(at),
                1 => {
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte = u8::try_from(random(256)).unwrap();
                    }
                }
                2 => {
                    let bit = bits[random(bits.len())];
                    bytes.splice(at..at, bit.iter().copied());
                }
                _ => {
                    let end = (at + random(40)).min(bytes.len());
                    bytes.drain(at.min(end)..end);
                }
            }
        }
        for trusted in [false, true] {
            let found = checked.inspect(&bytes, trusted).await;
            assert!(found.lines.is_empty() || found.lines.ends_with("\r\n"));
        }
    }
}
