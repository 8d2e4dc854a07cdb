//! Reports to the owners of domains, and the records a domain publishes, over a name server on this
//! machine.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod checked;
mod house;
mod names;

use std::sync::Arc;

use angarium_transfer::authenticity::feedback::tls_types::{
    FailureDetails, Policy, PolicyDetails, PolicyType, ResultType, Summary,
};
use angarium_transfer::authenticity::feedback::{Feedback, TlsCounts, read, received};
use angarium_transfer::authenticity::keys::{Algorithm, Key};
use angarium_transfer::authenticity::publish::{MailDomain, compare, entries};
use checked::Checked;
use names::Names;

#[tokio::test]
async fn what_was_seen_in_a_day_is_reported_to_those_who_want_it_and_may_have_it() {
    let checked = Checked::new().await;
    checked.set(&[("DMARCReports", "YES")]).await;
    let dir = tempfile::tempdir().unwrap();
    let submitter = checked.house.transfer.submitter().clone();
    let (_stop, stopping) = tokio::sync::watch::channel(false);
    let place = dir.path().join("Feedback");
    let feedback = Feedback::start(&checked.own, place.clone(), submitter, stopping).unwrap();
    // One domain has asked us whether it may send its reports here; the other has not.
    let wish = "v=DMARC1; p=none; rua=mailto:postmaster@main.example";
    checked.names.txt("_dmarc.far.example", wish);
    checked.names.txt("_dmarc.near.example", wish);
    checked.names.txt("far.example._report._dmarc.main.example", "v=DMARC1");
    for from in ["a@sub.far.example", "b@sub.far.example", "c@near.example"] {
        let text = format!("From: {from}\r\nSubject: x\r\n\r\nx\r\n");
        assert!(checked.mail("x@other.example", &text).await.starts_with("250 "));
    }
    let day = 1_800_000_000 / 86_400;
    let file = place.join(format!("dmarc-{day}.jsonl"));
    for _ in 0..500 {
        let lines = std::fs::read_to_string(&file).unwrap_or_default().lines().count();
        if lines == 4 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    feedback.report().await;
    assert!(file.exists(), "the day is not over");
    checked.house.clock.0.fetch_add(86_400, std::sync::atomic::Ordering::SeqCst);
    feedback.report().await;
    checked.house.settled().await;
    let inbox = checked.house.inbox("postmaster@main.example").await;
    let [report] = &inbox[..] else { panic!("{inbox:?}") };
    assert!(
        report.contains(
            "Subject: Report Domain: far.example Submitter: main.example\r\n Report-ID: <"
        ),
        "{report}"
    );
    let read = read::dmarc(report.as_bytes()).unwrap();
    assert_eq!((&read.json["domain"], &read.json["messages"]), (&"far.example".into(), &2.into()));
    assert!(!file.exists(), "reported and forgotten");
    feedback.report().await;
    checked.house.settled().await;
    assert_eq!(checked.house.inbox("postmaster@main.example").await.len(), 1, "told once");
}

#[tokio::test]
async fn a_report_that_comes_to_the_address_we_publish_is_read_and_kept() {
    let checked = Checked::new().await;
    let dir = tempfile::tempdir().unwrap();
    let submitter = checked.house.transfer.submitter().clone();
    let (_stop, stopping) = tokio::sync::watch::channel(true);
    let place = dir.path().to_owned();
    let _feedback = Feedback::start(&checked.own, place.clone(), submitter, stopping).unwrap();
    let xml = "<?xml version=\"1.0\"?><feedback><report_metadata><org_name>big.example</org_name>\
        <email>d@big.example</email><report_id>7</report_id><date_range><begin>1728000000</begin>\
        <end>1728086399</end></date_range></report_metadata><policy_published><domain>main.example\
        </domain><p>reject</p></policy_published><record><row><source_ip>192.0.2.9</source_ip>\
        <count>12</count><policy_evaluated><disposition>none</disposition><dkim>fail</dkim>\
        <spf>fail</spf></policy_evaluated></row><identifiers><header_from>main.example\
        </header_from></identifiers><auth_results><spf><domain>main.example</domain><result>fail\
        </result></spf></auth_results></record></feedback>";
    let text = |subject: &str| {
        format!(
            "From: d@big.example\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\n\
             Content-Type: text/xml; name=\"big.example!main.example!1!2.xml\"\r\n\
             Content-Disposition: attachment\r\n\r\n{xml}\r\n"
        )
    };
    let subject = "Report Domain: main.example Submitter: big.example Report-ID: <7>";
    let mut client = checked.house.client().await;
    client.hello().await;
    // To somebody else, or with another subject, it is a message as any.
    for (to, subject) in [
        ("alice@main.example", subject),
        ("postmaster@main.example", "hello"),
        ("postmaster@main.example", subject),
    ] {
        let reply = client.mail("d@big.example", &[to], &text(subject)).await;
        assert!(reply.starts_with("250"), "{reply}");
    }
    for _ in 0..500 {
        if !received(&place, false).unwrap().is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let all = received(&place, false).unwrap();
    let [one] = &all[..] else { panic!("{all:?}") };
    assert_eq!(
        (&one["organization"], &one["domain"]),
        (&"big.example".into(), &"main.example".into())
    );
    assert_eq!((&one["messages"], &one["pass"]), (&12.into(), &0.into()));
    assert_eq!((&one["failing"][0]["count"], &one["verified"]), (&12.into(), &false.into()));
    checked.house.settled().await;
    assert_eq!(checked.house.inbox("postmaster@main.example").await.len(), 2, "both are delivered");
}

/// Counts of two days to one domain.
struct Counts(std::sync::Mutex<Vec<i64>>);

impl TlsCounts for Counts {
    fn days(&self) -> Vec<i64> {
        self.0.lock().unwrap().clone()
    }

    fn take(&self, day: i64) -> Vec<Policy> {
        self.0.lock().unwrap().retain(|one| *one != day);
        let failure = FailureDetails::new(ResultType::CertificateExpired);
        let policy = |domain: &str| Policy {
            policy: PolicyDetails::new(PolicyType::Sts, domain),
            summary: Summary { total_success: 5, total_failure: 1 },
            failure_details: vec![failure.clone()],
        };
        vec![policy("far.example"), policy("silent.example")]
    }
}

#[tokio::test]
async fn how_tls_went_is_reported_to_domains_that_ask_for_it() {
    let checked = Checked::new().await;
    checked.set(&[("TLSReports", "YES")]).await;
    let dir = tempfile::tempdir().unwrap();
    let submitter = checked.house.transfer.submitter().clone();
    let (_stop, stopping) = tokio::sync::watch::channel(true);
    let place = dir.path().to_owned();
    let feedback = Feedback::start(&checked.own, place, submitter, stopping).unwrap();
    let today = 1_800_000_000 / 86_400;
    let counts = Arc::new(Counts(std::sync::Mutex::new(vec![today - 1, today])));
    feedback.count_tls(counts.clone());
    // The second place is an inner network: nothing goes there.
    checked.names.txt(
        "_smtp._tls.far.example",
        "v=TLSRPTv1; rua=mailto:postmaster@main.example,https://inner.example/",
    );
    checked.names.address("inner.example", "127.0.0.1");
    feedback.report().await;
    checked.house.settled().await;
    let inbox = checked.house.inbox("postmaster@main.example").await;
    let [report] = &inbox[..] else { panic!("{inbox:?}") };
    assert!(report.contains("TLS-Report-Domain: far.example"), "{report}");
    let read = read::tls(report.as_bytes()).unwrap();
    assert_eq!(read.json["policies"][0]["failure"], 1, "{read:?}");
    assert_eq!(counts.days(), [today], "the day that is not over stays");
}

#[tokio::test]
async fn records_to_publish_are_held_against_what_is_seen() {
    let names = Names::start().await;
    let key = Key::make(Algorithm::Ed25519, 0).unwrap();
    let domain = MailDomain {
        name: "own.example".to_owned(),
        host: "mail.own.example".to_owned(),
        addresses: vec!["192.0.2.1".parse().unwrap()],
        keys: vec![("s1".to_owned(), key.record()), ("s2".to_owned(), key.record())],
        certificate: None,
        ports: Vec::new(),
        services: vec![("imaps".to_owned(), 993)],
        reports: "postmaster@own.example".to_owned(),
        policy_id: "1".to_owned(),
    };
    names.mx("own.example", "mail.own.example");
    names.address("mail.own.example", "192.0.2.7");
    names.txt("own.example", "something else");
    names.txt("own.example", "v=spf1 ip4:192.0.2.9 -all");
    names.txt("s1._domainkey.own.example", &key.record().replace("p=", "p= "));
    names.txt("_dmarc.own.example", "v=DMARC1; p=reject");
    names.broken("_mta-sts.own.example");
    let dns = names.dns();
    let mut seen = Vec::new();
    for entry in entries(&domain) {
        let standing = compare(&dns, &domain, &entry).await;
        seen.push((entry.name.clone(), entry.rtype, standing.word()));
    }
    let is = |name: &str, rtype: &str, word: &str| {
        let found = seen.iter().find(|(n, t, _)| n == name && *t == rtype);
        assert_eq!(found.map(|(_, _, w)| *w), Some(word), "{name} {rtype}");
    };
    is("own.example", "MX", "ok");
    is("mail.own.example", "A", "different");
    is("own.example", "TXT", "different");
    is("mail.own.example", "TXT", "missing");
    is("s1._domainkey.own.example", "TXT", "ok");
    is("s2._domainkey.own.example", "TXT", "missing");
    is("_dmarc.own.example", "TXT", "ok");
    is("_mta-sts.own.example", "TXT", "unknown");
    is("_imaps._tcp.own.example", "SRV", "missing");
}
