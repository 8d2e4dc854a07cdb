//! The subcommands about who sends mail: keys, records, reports of others; on a running server.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod house;

use std::io::Write;
use std::process::{Command, Stdio};

use house::{ANGARIUM, DOMAIN, House};

#[test]
fn keys_are_made_rotated_and_sealed_and_every_record_is_printed() {
    let house = House::build();
    let (code, out) = house.angarium(&["dkim", "new", DOMAIN, "--algorithm", "ed25519"]);
    assert_eq!(code, 0, "{out}");
    assert!(
        out.contains("._domainkey.house.example. 3600 IN TXT \"v=DKIM1; k=ed25519; p="),
        "{out}"
    );
    let (code, out) = house.angarium(&["dkim", "list", DOMAIN]);
    assert!(code == 0 && out.contains("ed25519  waiting"), "{out}");
    let (code, out) = house.angarium(&["dkim", "rotate", DOMAIN, "--force"]);
    assert_eq!(code, 0, "{out}");
    let (_, out) = house.angarium(&["dkim", "list", DOMAIN]);
    assert!(out.contains("ed25519  signing"), "{out}");
    let (_, out) = house.angarium(&["dkim", "show", DOMAIN, "--json"]);
    assert!(!out.contains("Secret"), "{out}");
    let (code, _) = house.angarium(&["cli", "GetModule", "SigningKeys"]);
    assert_ne!(code, 0, "the keys are sealed");

    let (code, out) = house.angarium(&["dns", DOMAIN, "--address", "192.0.2.1"]);
    assert_eq!(code, 0);
    for part in [
        "house.example. 3600 IN MX 10 house.example.",
        "house.example. 3600 IN A 192.0.2.1",
        "\"v=spf1 mx -all\"",
        "_dmarc.house.example. 3600 IN TXT",
        "_mta-sts.house.example. 3600 IN TXT \"v=STSv1; id=",
        "_smtp._tls.house.example. 3600 IN TXT",
        "_25._tcp.house.example. 3600 IN TLSA 3 1 1 ",
        "_submissions._tcp.house.example. 3600 IN SRV 0 1 465 house.example.",
        "._domainkey.house.example. 3600 IN TXT \"v=DKIM1",
        "version: STSv1",
    ] {
        assert!(out.contains(part), "{part} in {out}");
    }
}

#[test]
fn reports_of_others_are_read_from_standard_input() {
    let xml = "<feedback><report_metadata><org_name>far.example</org_name><email>d@far.example\
        </email><report_id>1</report_id><date_range><begin>1700000000</begin><end>1700086399</end>\
        </date_range></report_metadata><policy_published><domain>house.example</domain><p>none</p>\
        </policy_published><record><row><source_ip>192.0.2.9</source_ip><count>3</count>\
        <policy_evaluated><disposition>none</disposition><dkim>pass</dkim><spf>pass</spf>\
        </policy_evaluated></row><identifiers><header_from>house.example</header_from>\
        </identifiers><auth_results></auth_results></record></feedback>";
    let read = |arguments: &[&str], text: &str| {
        let mut child = Command::new(ANGARIUM)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let done = child.wait_with_output().unwrap();
        (done.status.code(), String::from_utf8(done.stdout).unwrap())
    };
    let (code, out) = read(&["dmarc", "report", "-"], xml);
    assert!(code == Some(0) && out.contains("3 messages, 3 of them pass"), "{out}");
    let (code, out) = read(&["dmarc", "report", "--json", "-"], xml);
    assert!(code == Some(0) && out.contains("\"messages\":3"), "{out}");
    let (code, _) = read(&["tlsrpt", "report", "-"], "nothing of the kind");
    assert_eq!(code, Some(1));
}
