//! Delivery reports: readable by people and programs, whatever was put in.

use angarium_message::address::Mailbox;
use angarium_message::date::Moment;
use angarium_message::report::{Action, RETURN_MAX, RecipientReport, Report, Return};
use angarium_message::structure::Part;

fn mailer() -> Mailbox {
    Mailbox {
        name: "Mail Delivery".into(),
        local: "MAILER-DAEMON".into(),
        domain: "main.dom".into(),
    }
}

fn recipient() -> RecipientReport<'static> {
    RecipientReport {
        recipient: "nobody@main.dom",
        original: Some(("rfc822", "first@main.dom")),
        action: Action::Failed,
        status: "5.1.1",
        remote: Some("mx.main.dom"),
        diagnostic: Some("550 5.1.1 no such account"),
        retry_until: None,
    }
}

fn report<'a>(
    from: &'a Mailbox,
    recipients: &'a [RecipientReport<'a>],
    original: &'a [u8],
    wanted: Return,
) -> Report<'a> {
    Report {
        reporter: "main.dom",
        from,
        to: "sender@far.dom",
        message_id: "<1@main.dom>",
        random: [7; 16],
        time: Moment::utc(1_227_375_762),
        arrival: Some(Moment::utc(1_227_375_000)),
        envelope_id: Some("env-1"),
        recipients,
        original,
        wanted,
    }
}

const ORIGINAL: &[u8] = b"Subject: hello\nFrom: s@far.dom\n\nbody\n";

#[test]
fn a_failure_is_reported_in_three_parts() {
    let (from, recipients) = (mailer(), [recipient()]);
    let message = report(&from, &recipients, ORIGINAL, Return::Headers).build();
    let root = Part::of(&message);
    assert!(root.content.is("multipart", "report"));
    assert_eq!(root.content.parameter("report-type"), Some(&b"delivery-status"[..]));
    let kinds: Vec<_> = root
        .children
        .iter()
        .map(|p| {
            String::from_utf8_lossy(&[&p.content.kind[..], b"/", &p.content.subtype].concat())
                .into_owned()
        })
        .collect();
    assert_eq!(kinds, ["text/plain", "message/delivery-status", "text/rfc822-headers"]);
    let status = String::from_utf8_lossy(root.children[1].body_of(&message));
    assert_eq!(
        status,
        "Original-Envelope-Id: env-1\r\nReporting-MTA: dns; main.dom\r\n\
         Arrival-Date: Sat, 22 Nov 2008 17:30:00 +0000\r\n\r\n\
         Original-Recipient: rfc822; first@main.dom\r\n\
         Final-Recipient: rfc822; nobody@main.dom\r\nAction: failed\r\nStatus: 5.1.1\r\n\
         Remote-MTA: dns; mx.main.dom\r\nDiagnostic-Code: smtp; 550 5.1.1 no such account\r\n"
    );
    let returned = String::from_utf8_lossy(root.children[2].body_of(&message));
    assert_eq!(returned, "Subject: hello\r\nFrom: s@far.dom\r\n\r\n");
}

#[test]
fn the_whole_message_is_returned_unless_it_is_large() {
    let (from, recipients) = (mailer(), [recipient()]);
    let message = report(&from, &recipients, ORIGINAL, Return::Full).build();
    let root = Part::of(&message);
    assert!(root.children[2].content.is("message", "rfc822"));
    assert!(root.children[2].body_of(&message).ends_with(b"\r\n\r\nbody\r\n"));
    let large = [ORIGINAL, &b"x\r\n".repeat(RETURN_MAX)].concat();
    let message = report(&from, &recipients, &large, Return::Full).build();
    assert!(Part::of(&message).children[2].content.is("text", "rfc822-headers"));
    assert!(message.len() < 10_000);
}

#[test]
fn hostile_words_stay_where_they_belong() {
    let from = mailer();
    let recipients = [RecipientReport {
        recipient: &format!("x@y\r\nBcc: evil@z{}", "z".repeat(5000)),
        diagnostic: Some("550 \r\n--boundary\r\n\r\n\u{1b}[2Jw\u{f6}rd"),
        status: "5.1.1\r\nX: y",
        remote: Some("mx\r\n\r\nevil"),
        ..recipient()
    }];
    let original = [b"A: ".to_vec(), vec![b'y'; 5000], b"\0\r\r\n\xff\r\n\r\n".to_vec()].concat();
    let message = report(&from, &recipients, &original, Return::Full).build();
    let root = Part::of(&message);
    assert_eq!(root.children.len(), 3);
    assert!(message.split(|b| *b == b'\n').all(|l| l.len() <= 999 && !l.contains(&0x1b)));
    let text = String::from_utf8_lossy(&message);
    assert!(!text.replace("\r\n", "").contains(['\r', '\n', '\0']));
    let status = String::from_utf8_lossy(root.children[1].body_of(&message)).into_owned();
    assert!(status.contains("Status: 5.0.0\r\n"), "{status}");
    assert!(!status.contains("\r\nBcc:") && !status.contains("\r\nX:"));
}

#[test]
fn addresses_beyond_ascii_use_the_international_form() {
    let from = mailer();
    let recipients = [RecipientReport { recipient: "jörg@münchen.example", ..recipient() }];
    let message = report(&from, &recipients, ORIGINAL, Return::Headers).build();
    let root = Part::of(&message);
    assert!(root.children[1].content.is("message", "global-delivery-status"));
    let status = String::from_utf8_lossy(root.children[1].body_of(&message)).into_owned();
    assert!(status.contains("Final-Recipient: utf-8; jörg@münchen.example\r\n"));
}
