//! SPF of many records, held against the Python library of the field.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod checked;
mod house;
mod names;

use std::net::IpAddr;
use std::process::Command;

use checked::Checked;

/// Records: name, type, value.
const ZONE: &[(&str, &str, &str)] = &[
    ("ip4.example", "TXT", "v=spf1 ip4:192.0.2.0/24 -all"),
    ("ip6.example", "TXT", "v=spf1 ip6:2001:db8::/32 ~all"),
    ("a.example", "TXT", "v=spf1 a -all"),
    ("a.example", "A", "192.0.2.9"),
    ("a24.example", "TXT", "v=spf1 a:a.example/24 ?all"),
    ("mx.example", "TXT", "v=spf1 mx -all"),
    ("mx.example", "MX", "a.example"),
    ("incl.example", "TXT", "v=spf1 include:ip4.example include:ip6.example -all"),
    ("none.example", "TXT", "v=spf1 include:nowhere.example -all"),
    ("redir.example", "TXT", "v=spf1 redirect=ip4.example"),
    ("noredir.example", "TXT", "v=spf1 redirect=nowhere.example"),
    ("twice.example", "TXT", "v=spf1 -all"),
    ("twice.example", "TXT", "v=spf1 +all"),
    ("bad.example", "TXT", "v=spf1 ipv4:192.0.2.9 -all"),
    ("badmask.example", "TXT", "v=spf1 ip4:192.0.2.9/33 -all"),
    ("neutral.example", "TXT", "v=spf1"),
    ("open.example", "TXT", "v=spf1 +all"),
    ("upper.example", "TXT", "V=SPF1 IP4:192.0.2.9 -ALL"),
    ("spf10.example", "TXT", "v=spf10 -all"),
    ("exists.example", "TXT", "v=spf1 exists:%{ir}.%{v}._spf.%{d} -all"),
    ("9.2.0.192.in-addr._spf.exists.example", "A", "127.0.0.2"),
    ("local.example", "TXT", "v=spf1 exists:%{l1r-}.x.%{o} -all"),
    ("bob.x.local.example", "A", "127.0.0.2"),
    ("loop.example", "TXT", "v=spf1 include:loop.example -all"),
    ("deep0.example", "TXT", "v=spf1 include:deep1.example -all"),
    ("deep1.example", "TXT", "v=spf1 a:x1.example a:x2.example include:deep2.example"),
    ("deep2.example", "TXT", "v=spf1 a:x3.example a:x4.example a:x5.example include:deep3.example"),
    (
        "deep3.example",
        "TXT",
        "v=spf1 a:x6.example a:x7.example a:x8.example a:x9.example ip4:0.0.0.0/0",
    ),
    ("mod.example", "TXT", "v=spf1 ip4:192.0.2.9 exp=why.example -all"),
    ("unknown.example", "TXT", "v=spf1 foo=bar ip4:192.0.2.9 -all"),
    ("empty.example", "A", "192.0.2.9"),
];

/// Questions: address and return path.
const ASKED: &[(&str, &str)] = &[
    ("192.0.2.9", "x@ip4.example"),
    ("198.51.100.1", "x@ip4.example"),
    ("2001:db8::7", "x@ip6.example"),
    ("2001:db9::7", "x@ip6.example"),
    ("192.0.2.9", "x@a.example"),
    ("192.0.2.10", "x@a.example"),
    ("192.0.2.200", "x@a24.example"),
    ("198.51.100.1", "x@a24.example"),
    ("192.0.2.9", "x@mx.example"),
    ("198.51.100.1", "x@mx.example"),
    ("192.0.2.9", "x@incl.example"),
    ("2001:db8::7", "x@incl.example"),
    ("198.51.100.1", "x@incl.example"),
    ("192.0.2.9", "x@none.example"),
    ("192.0.2.9", "x@redir.example"),
    ("198.51.100.1", "x@redir.example"),
    ("192.0.2.9", "x@noredir.example"),
    ("192.0.2.9", "x@twice.example"),
    ("192.0.2.9", "x@bad.example"),
    ("192.0.2.9", "x@badmask.example"),
    ("192.0.2.9", "x@neutral.example"),
    ("192.0.2.9", "x@open.example"),
    ("192.0.2.9", "x@upper.example"),
    ("192.0.2.9", "x@spf10.example"),
    ("192.0.2.9", "x@exists.example"),
    ("192.0.2.10", "x@exists.example"),
    ("192.0.2.9", "bob-sales@local.example"),
    ("192.0.2.9", "joe@local.example"),
    ("192.0.2.9", "x@loop.example"),
    ("192.0.2.9", "x@deep0.example"),
    ("192.0.2.9", "x@mod.example"),
    ("198.51.100.1", "x@mod.example"),
    ("192.0.2.9", "x@unknown.example"),
    ("192.0.2.9", "x@empty.example"),
    ("192.0.2.9", "x@nowhere.example"),
];

const PYTHON: &str = r#"
import sys, spf
table = {}
for line in open(sys.argv[1]).read().splitlines():
    name, kind, value = line.split("\t")
    table.setdefault((name, kind), []).append(value)
def look(name, kind, strict=True, timeout=None, level=0):
    name = name.rstrip(".").lower()
    found = table.get((name, kind), [])
    if kind == "TXT":
        found = [(v.encode(),) for v in found]
    if kind == "MX":
        found = [(10, v) for v in found]
    return [((name, kind), v) for v in found]
spf.DNSLookup = look
for line in open(sys.argv[2]).read().splitlines():
    ip, sender = line.split("\t")
    print(spf.check2(i=ip, s=sender, h="client.example")[0])
"#;

/// The result for a return path in what was found.
fn result(lines: &str) -> String {
    let line = lines.split(";").find(|part| part.contains("smtp.mailfrom=")).unwrap();
    let word = line.trim().strip_prefix("spf=").unwrap();
    word.split_whitespace().next().unwrap().to_owned()
}

#[tokio::test]
async fn spf_of_many_records_is_what_the_python_library_says() {
    let python = "/usr/bin/python3";
    let here = Command::new(python).args(["-c", "import spf"]).output();
    if !here.is_ok_and(|done| done.status.success()) {
        println!("skipped: python3-spf is not installed");
        return;
    }
    let checked = Checked::new().await;
    checked.set(&[("CheckSPF", "add header")]).await;
    for (name, kind, value) in ZONE {
        match *kind {
            "TXT" => checked.names.txt(name, value),
            "MX" => checked.names.mx(name, value),
            _ => checked.names.address(name, value),
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let (zone, asked) = (dir.path().join("zone"), dir.path().join("asked"));
    let rows: Vec<String> = ZONE.iter().map(|(n, k, v)| format!("{n}\t{k}\t{v}")).collect();
    std::fs::write(&zone, rows.join("\n")).unwrap();
    let rows: Vec<String> = ASKED.iter().map(|(ip, from)| format!("{ip}\t{from}")).collect();
    std::fs::write(&asked, rows.join("\n")).unwrap();
    let done = Command::new(python).args(["-c", PYTHON]).args([&zone, &asked]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let theirs = String::from_utf8(done.stdout).unwrap();
    let theirs: Vec<&str> = theirs.lines().collect();
    assert_eq!(theirs.len(), ASKED.len(), "{theirs:?}");
    let mut unlike = Vec::new();
    for ((ip, from), theirs) in ASKED.iter().zip(theirs) {
        let peer: IpAddr = ip.parse().unwrap();
        let message = b"From: a@b.example\r\n\r\nx\r\n";
        let found = checked.inspect_as(message, false, peer, from).await;
        let ours = result(&found.lines);
        if ours != theirs {
            unlike.push(format!("{ip} {from}: {ours}, Python says {theirs}"));
        }
    }
    assert!(unlike.is_empty(), "{unlike:#?}");
}
