//! What looks at a message before it is accepted: its lines stand in front, its verdict is the
//! answer, a message too large to be held is shown as far as it has come, nothing is held for
//! nobody.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod house;

use std::sync::{Arc, Mutex};

use angarium_transfer::inspect::{Arrived, Findings, Inspector, Outline, Turn, Verdict};
use angarium_transfer::{Protocol, ReceiverSettings, Source, Submit, SubmitError};
use async_trait::async_trait;
use house::{Client, House};

/// Says of every message that is not trusted what its subject asks for.
#[derive(Default)]
struct Obeys {
    seen: Mutex<Vec<(usize, bool, String)>>,
}

#[async_trait]
impl Inspector for Obeys {
    fn name(&self) -> &'static str {
        "obeys"
    }

    fn wants(&self, outline: &Outline) -> bool {
        !outline.trusted || outline.source != Source::Smtp
    }

    async fn inspect(&self, arrived: &Arrived<'_>) -> Findings {
        let text = String::from_utf8_lossy(arrived.message);
        let seen = (text.len(), arrived.whole, arrived.found.to_owned());
        self.seen.lock().unwrap().push(seen);
        let ask = |word: &str| text.contains(&format!("Subject: {word}"));
        let mut found = Findings { lines: "X-Seen: yes\r\n".to_owned(), ..Findings::default() };
        if ask("refuse") {
            found.verdict = Verdict::Refuse { status: (5, 7, 26), text: "no".to_owned() };
        } else if ask("later") {
            found.verdict = Verdict::Later { status: (4, 7, 1), text: "not now".to_owned() };
        } else if ask("discard") {
            found.verdict = Verdict::Discard("asked for".to_owned());
        } else if ask("junk") {
            found.mailbox = Some("Junk".to_owned());
        }
        found
    }
}

async fn watched() -> (House, Arc<Obeys>) {
    let house = House::new().await;
    let obeys = Arc::new(Obeys::default());
    house.transfer.submitter().inspectors().add(Turn::Filter, obeys.clone());
    (house, obeys)
}

#[tokio::test]
async fn lines_stand_above_received_and_verdicts_are_answers() {
    let (house, obeys) = watched().await;
    let mut client = house.client().await;
    client.hello().await;
    let forged = "Authentication-Results: main.example; dkim=pass\r\nSubject: good\r\n\r\nx\r\n";
    let reply = client.mail("a@far.example", &["alice@main.example"], forged).await;
    assert!(reply.starts_with("250 2.0.0"), "{reply}");
    house.settled().await;
    let inbox = house.inbox("alice@main.example").await;
    let [text] = &inbox[..] else { panic!("{inbox:?}") };
    let names: Vec<&str> =
        text.lines().filter(|l| !l.starts_with(' ')).filter_map(|l| l.split(':').next()).collect();
    assert_eq!(names[..5], ["Return-Path", "X-Real-To", "X-Seen", "Received", "Subject"]);
    assert!(text.ends_with("Subject: good\r\n\r\nx\r\n"), "{text}");
    let seen = obeys.seen.lock().unwrap().clone();
    assert_eq!(seen, [(forged.len(), true, String::new())], "shown as it came");
    for (subject, answer) in
        [("refuse", "550 5.7.26 no"), ("later", "451 4.7.1 not now"), ("discard", "250 2.0.0")]
    {
        let text = format!("Subject: {subject}\r\n\r\nx\r\n");
        let reply = client.mail("a@far.example", &["alice@main.example"], &text).await;
        assert!(reply.starts_with(answer), "{subject}: {reply}");
    }
    let reply =
        client.mail("a@far.example", &["bob@main.example"], "Subject: junk\r\n\r\nx\r\n").await;
    assert!(reply.starts_with("250"), "{reply}");
    house.settled().await;
    assert_eq!(house.inbox("alice@main.example").await.len(), 1);
    assert!(house.inbox("bob@main.example").await.is_empty());
    assert_eq!(house.mailbox("bob@main.example", "Junk").await.len(), 1);
}

#[tokio::test]
async fn lmtp_refuses_for_each_recipient_and_the_door_in_with_an_error() {
    let (house, _) = watched().await;
    let settings = ReceiverSettings { protocol: Protocol::Lmtp, ..ReceiverSettings::default() };
    let mut client: Client<_> = house.connect(settings, None, false);
    client.expect("220 ").await;
    client.say("LHLO client.example", "250").await;
    let to = ["alice@main.example", "bob@main.example"];
    let reply = client.mail("a@far.example", &to, "Subject: refuse\r\n\r\nx\r\n").await;
    assert!(reply.starts_with("550 5.7.26"), "{reply}");
    client.expect("550 5.7.26").await;
    let submitter = house.transfer.submitter();
    let submit = || Submit::new(Source::Pop, "bob@main.example", &["alice@main.example"]);
    let never = submitter.submit_message(submit(), b"Subject: refuse\r\n\r\nx\r\n").await;
    assert_eq!(never, Err(SubmitError::Never("no".to_owned())));
    let later = submitter.submit_message(submit(), b"Subject: later\r\n\r\nx\r\n").await;
    assert_eq!(later, Err(SubmitError::Later("not now".to_owned())));
    submitter.submit_message(submit(), b"Subject: good\r\n\r\nx\r\n").await.unwrap();
    house.settled().await;
    let inbox = house.inbox("alice@main.example").await;
    assert!(inbox.len() == 1 && inbox[0].contains("X-Seen: yes\r\nReceived:"), "{inbox:?}");
}

#[tokio::test]
async fn what_is_too_large_to_be_held_is_shown_as_far_as_it_came() {
    const LINE: usize = 1000;
    let (house, obeys) = watched().await;
    let own = [("MessageSizeLimit".to_owned(), "100M".into())].into();
    let settings = ReceiverSettings { own, ..ReceiverSettings::default() };
    let mut client: Client<_> = house.connect(settings, None, false);
    client.expect("220 ").await;
    client.hello().await;
    client.say("MAIL FROM:<a@far.example>", "250").await;
    client.say("RCPT TO:<alice@main.example>", "250").await;
    client.say("DATA", "354").await;
    client.send("Subject: long\r\n\r\n").await;
    let block = format!("{}\r\n", "y".repeat(LINE - 2)).repeat(1000);
    for _ in 0..65 {
        client.send(&block).await;
    }
    client.send(&block).await;
    client.send(&block).await;
    client.send(&block).await;
    client.send(".\r\n").await;
    client.expect("250 2.0.0").await;
    house.settled().await;
    let inbox = house.inbox("alice@main.example").await;
    assert!(inbox[0].contains("X-Seen: yes\r\nReceived:"));
    assert_eq!(inbox[0].split("\r\n\r\n").nth(1).unwrap().len(), 68 * 1000 * LINE);
    let seen = obeys.seen.lock().unwrap().clone();
    let [(size, false, _)] = seen[..] else { panic!("{seen:?}") };
    assert!((60 << 20..70 << 20).contains(&size), "{size}");
}
