//! Mail to other systems, over real sockets, to servers that behave and servers that do not.
//! ABU-02, ABU-13, ABU-16, ABU-17.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod far;
mod house;

use std::sync::atomic::Ordering;
use std::time::Duration;

use angarium_accounts::{Dictionary, Value};
use angarium_store::{QueueId, RecipientState};
use angarium_transfer::send::Phases;
use angarium_transfer::{Recipient, SendingOptions, Source, Submit};
use far::{Authority, Far, Names, Script};
use house::House;

const MESSAGE: &str = "Subject: out\r\n\r\n.body\r\n";

fn phases() -> Phases {
    let short = Duration::from_secs(1);
    Phases {
        connect: short,
        connect_first: short,
        greeting: short,
        hello: short,
        command: short,
        block: short,
        end: short,
        message: Duration::from_secs(20),
    }
}

async fn house(names: &Names, port: u16) -> House {
    let options =
        SendingOptions { port: Some(port), phases: phases(), ..SendingOptions::default() };
    House::sending(names.settings(), &options).await
}

fn set(mut settings: Dictionary, key: &str, value: &str) -> Dictionary {
    settings.insert(key.to_owned(), Value::from(value));
    settings
}

async fn submit(house: &House, to: &[&str]) {
    let submit = Submit::new(Source::Pop, "alice@main.example", to);
    house.transfer.submitter().submit_message(submit, MESSAGE.as_bytes()).await.unwrap();
}

/// The last error of the only recipient that waits.
async fn last_error(house: &House) -> String {
    let ids = house.store.queue.list(QueueId(0), 10).await.unwrap();
    let message = house.store.queue.message(ids[0]).await.unwrap().unwrap();
    let error = message.recipients.iter().find_map(|r| match &r.state {
        RecipientState::Waiting { last_error, .. } if !last_error.is_empty() => {
            Some(last_error.clone())
        }
        _ => None,
    });
    error.unwrap_or_default()
}

#[tokio::test]
async fn mail_goes_to_the_host_that_the_dns_names() {
    let (names, far) = (Names::with_far().await, Far::new(Script::default()).await);
    let house = house(&names, far.port).await;
    submit(&house, &["x@far.example", "y@far.example"]).await;
    let mail = far.has(1).await.remove(0);
    house.settled().await;
    assert_eq!(mail.from, "alice@main.example");
    assert_eq!(mail.to, ["x@far.example", "y@far.example"]);
    let text = mail.text();
    assert!(text.ends_with("\r\nSubject: out\r\n\r\n.body\r\n"), "{text}");
    assert_eq!(far.commands()[0], "EHLO main.example");
    assert_eq!(far.got().len(), 1);
}

// RFC 5321 section 4.4
#[tokio::test]
async fn the_lines_of_final_delivery_stay_at_home() {
    let (names, far) = (Names::with_far().await, Far::new(Script::default()).await);
    let house = house(&names, far.port).await;
    // One recipient; small enough to be read at once, and not.
    let large = format!("Subject: large\r\n\r\n{}", "0123456789\r\n".repeat(40_000));
    for message in [MESSAGE, &large] {
        let submit = Submit::new(Source::Pop, "alice@main.example", &["x@far.example"]);
        house.transfer.submitter().submit_message(submit, message.as_bytes()).await.unwrap();
    }
    for mail in far.has(2).await {
        let text = mail.text();
        assert!(text.starts_with("Received: "), "{}", &text[..200]);
        let body = text.split_once("Subject: ").unwrap().1;
        assert!([MESSAGE, &large].iter().any(|sent| sent.ends_with(body)), "{}", body.len());
    }
}

#[tokio::test]
async fn a_domain_without_mx_takes_mail_at_its_address() {
    let names = Names::new().await;
    names.a("plain.example", "127.0.0.1");
    let far = Far::new(Script::default()).await;
    let house = house(&names, far.port).await;
    submit(&house, &["x@plain.example"]).await;
    assert_eq!(far.has(1).await[0].to, ["x@plain.example"]);
}

#[tokio::test]
async fn domains_that_take_no_mail_are_told_of_at_once() {
    let names = Names::with_far().await;
    names.mx("null.example", 0, "");
    names.mx("self.example", 10, "main.example");
    names.mx("nohost.example", 10, "gone.far.example");
    let far = Far::new(Script::default()).await;
    let house = house(&names, far.port).await;
    let all = ["a@null.example", "b@self.example", "c@nohost.example", "d@nowhere.example"];
    submit(&house, &all).await;
    house.settled().await;
    let reports = house.inbox("alice@main.example").await.concat();
    for status in ["5.1.10", "5.4.6", "5.4.4", "5.1.2"] {
        assert!(reports.contains(&format!("Status: {status}")), "{status}: {reports}");
    }
    assert!(far.got().is_empty());
}

#[tokio::test]
async fn a_broken_dns_makes_mail_wait_and_nothing_else() {
    // ABU-17
    let names = Names::with_far().await;
    names.break_name("far.example");
    let far = Far::new(Script::default()).await;
    let house = house(&names, far.port).await;
    submit(&house, &["x@far.example"]).await;
    house.tried(1).await;
    assert!(house.inbox("alice@main.example").await.is_empty() && far.got().is_empty());
}

#[tokio::test]
async fn the_dns_of_others_does_not_send_us_to_our_neighbours() {
    // ABU-16
    let (names, far) = (Names::with_far().await, Far::new(Script::default()).await);
    let settings = set(names.settings(), "AllowPrivateTargets", "NO");
    let options =
        SendingOptions { port: Some(far.port), phases: phases(), ..SendingOptions::default() };
    let house = House::sending(settings, &options).await;
    submit(&house, &["x@far.example"]).await;
    house.settled().await;
    let report = house.inbox("alice@main.example").await.concat();
    assert!(report.contains("Status: 5.4.4") && report.contains("own"), "{report}");
    assert_eq!(far.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn each_recipient_has_an_answer_of_its_own() {
    let answers = vec![("RCPT TO:<no@", "550 5.1.1 nobody"), ("RCPT TO:<full@", "452 4.2.2 full")];
    let script = Script { able: vec!["PIPELINING", "DSN"], answers, ..Script::default() };
    let (names, far) = (Names::with_far().await, Far::new(script).await);
    let house = house(&names, far.port).await;
    submit(&house, &["no@far.example", "full@far.example", "yes@far.example"]).await;
    // The one it had no room for gets a message of its own on the same connection.
    let got = far.has(2).await;
    house.settled().await;
    assert_eq!(
        (got[0].to.as_slice(), got[1].to.as_slice()),
        (&["yes@far.example".to_owned()][..], &["full@far.example".to_owned()][..],)
    );
    let report = house.inbox("alice@main.example").await.concat();
    assert!(report.contains("550 5.1.1 nobody") && report.contains("no@far.example"), "{report}");
    assert!(!report.contains("Final-Recipient: rfc822; full@"), "{report}");
    assert_eq!(far.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_server_that_breaks_off_at_any_point_costs_no_mail_and_makes_no_report() {
    // ABU-13
    for at in ["220", "EHLO", "MAIL", "RCPT", "DATA", "."] {
        for how in ["DROP", "STALL", "421 4.3.0 closing", "nonsense"] {
            let answers = vec![(at, how); 3];
            let script = Script { answers, ..Script::default() };
            let (names, far) = (Names::with_far().await, Far::new(script).await);
            let house = house(&names, far.port).await;
            submit(&house, &["x@far.example"]).await;
            house.tried(1).await;
            let error = last_error(&house).await;
            assert!(!error.is_empty() && error.len() < 1100, "{at} {how}: {error}");
            assert!(house.inbox("alice@main.example").await.is_empty(), "{at} {how}");
            if at == "." && how == "DROP" {
                // It may have it: it is not offered to anybody else now.
                assert_eq!(far.got().len(), 1);
                assert!(error.contains("will be sent again"), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn a_refusing_server_is_believed_and_a_busy_one_asked_again() {
    let script = Script { answers: vec![("MAIL", "550 5.7.1 no")], ..Script::default() };
    let (names, far) = (Names::with_far().await, Far::new(script).await);
    let house = house(&names, far.port).await;
    submit(&house, &["x@far.example"]).await;
    house.settled().await;
    let report = house.inbox("alice@main.example").await.concat();
    assert!(report.contains("550 5.7.1 no"), "{report}");
    assert!(report.contains("mx.far.example"), "{report}");
}

#[tokio::test]
async fn the_second_host_is_asked_when_the_first_is_down_or_busy() {
    let names = Names::new().await;
    names.mx("far.example", 10, "down.far.example");
    names.mx("far.example", 20, "busy.far.example");
    names.mx("far.example", 30, "good.far.example");
    names.a("down.far.example", "127.0.0.13");
    names.a("busy.far.example", "127.0.0.14");
    names.a("good.far.example", "127.0.0.15");
    let script = Script { answers: vec![("RCPT", "451 4.7.1 later")], ..Script::default() };
    let busy = Far::at("127.0.0.14:0", script).await;
    let good = Far::at(&format!("127.0.0.15:{}", busy.port), Script::default()).await;
    let house = house(&names, busy.port).await;
    submit(&house, &["x@far.example"]).await;
    good.has(1).await;
    house.settled().await;
    assert!(busy.got().is_empty() && busy.connections.load(Ordering::SeqCst) == 1);
}

#[tokio::test]
async fn a_connection_is_used_again_and_not_for_ever() {
    let (names, far) = (Names::with_far().await, Far::new(Script::default()).await);
    let mut settings = names.settings();
    settings.insert("MessagesPerChannel".to_owned(), Value::Number(2));
    let options =
        SendingOptions { port: Some(far.port), phases: phases(), ..SendingOptions::default() };
    let house = House::sending(settings, &options).await;
    for n in 1..=5 {
        submit(&house, &["x@far.example"]).await;
        far.has(n).await;
        house.settled().await;
    }
    assert_eq!(far.connections.load(Ordering::SeqCst), 3);
    for _ in 0..500 {
        if far.commands().iter().filter(|c| *c == "QUIT").count() == 3 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("an idle connection stays: {:?}", far.commands());
}

#[tokio::test]
async fn the_connections_that_mail_goes_out_on_are_listed_while_they_live() {
    let script = Script { answers: vec![("DATA", "STALL")], ..Script::default() };
    let (names, far) = (Names::with_far().await, Far::new(script).await);
    let house = house(&names, far.port).await;
    let desk = house.transfer.desk();
    assert!(desk.outgoing().is_empty());
    submit(&house, &["x@far.example"]).await;
    for _ in 0..500 {
        if desk.outgoing().iter().any(|row| row.status == "Sending") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let row = desk.outgoing().remove(0);
    assert_eq!((row.queue.as_str(), row.host.as_str()), ("far.example", "mx.far.example"));
    assert_eq!((row.remote.port(), row.status), (far.port, "Sending"));
    assert!(row.running.is_some());
    house.tried(1).await;
    for _ in 0..500 {
        if desk.outgoing().is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{:?}", desk.outgoing());
}

#[tokio::test]
async fn a_waiting_connection_that_died_is_no_failure() {
    let (names, far) = (Names::with_far().await, Far::new(Script::default()).await);
    let settings = set(names.settings(), "IdleChannel", "1m");
    let options =
        SendingOptions { port: Some(far.port), phases: phases(), ..SendingOptions::default() };
    let house = House::sending(settings, &options).await;
    submit(&house, &["x@far.example"]).await;
    far.has(1).await;
    house.settled().await;
    // The second message finds the server gone at MAIL, on the connection that waited.
    far.drop_next("MAIL");
    submit(&house, &["y@far.example"]).await;
    far.has(2).await;
    house.settled().await;
    assert_eq!(far.connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn content_goes_in_chunks_without_bare_line_ends() {
    // ABU-02
    let script = Script { able: vec!["CHUNKING", "8BITMIME", "SIZE 1000000"], ..Script::default() };
    let (names, far) = (Names::with_far().await, Far::new(script).await);
    let house = house(&names, far.port).await;
    let mut big = b"Subject: x\r\n\r\n".to_vec();
    for n in 0..40_000 {
        big.extend_from_slice(format!("line {n}\n.\r").as_bytes());
    }
    let new = Submit::new(Source::Pop, "alice@main.example", &["x@far.example"]);
    house.transfer.submitter().submit_message(new, &big).await.unwrap();
    let mail = far.has(1).await.remove(0);
    house.settled().await;
    assert!(far.commands().iter().filter(|c| c.starts_with("BDAT")).count() > 1);
    let text = mail.text();
    assert!(!text.replace("\r\n", "").contains(['\r', '\n']));
    assert!(text.ends_with("line 39999\r\n.\r\n"));
    let new = Submit::new(Source::Pop, "alice@main.example", &["x@far.example"]);
    let huge = [big.as_slice(), &b"x".repeat(600_000)].concat();
    house.transfer.submitter().submit_message(new, &huge).await.unwrap();
    house.settled().await;
    let report = house.inbox("alice@main.example").await.concat();
    assert!(report.contains("Status: 5.3.4"), "{report}");
}

#[tokio::test]
async fn eight_bit_mail_is_rewritten_for_a_server_of_seven() {
    let (names, far) = (Names::with_far().await, Far::new(Script::default()).await);
    let house = house(&names, far.port).await;
    let text = "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße\r\n";
    let new = Submit::new(Source::Pop, "alice@main.example", &["x@far.example"]);
    house.transfer.submitter().submit_message(new, text.as_bytes()).await.unwrap();
    let mail = far.has(1).await.remove(0);
    assert!(mail.data.is_ascii());
    assert!(mail.text().ends_with("quoted-printable\r\n\r\nGr=C3=BC=C3=9Fe\r\n"));
}

#[tokio::test]
async fn international_addresses_need_a_server_that_takes_them() {
    let (names, far) = (Names::with_far().await, Far::new(Script::default()).await);
    let house = house(&names, far.port).await;
    submit(&house, &["jörg@far.example", "joe@far.example"]).await;
    let mail = far.has(1).await.remove(0);
    house.settled().await;
    assert_eq!(mail.to, ["joe@far.example"]);
    let report = house.inbox("alice@main.example").await.concat();
    assert!(report.contains("Status: 5.6.7"), "{report}");
}

#[tokio::test]
async fn few_recipients_at_a_time_where_the_server_says_so() {
    let script = Script { able: vec!["LIMITS RCPTMAX=2", "PIPELINING"], ..Script::default() };
    let (names, far) = (Names::with_far().await, Far::new(script).await);
    let house = house(&names, far.port).await;
    let all = ["a@far.example", "b@far.example", "c@far.example", "d@far.example", "e@far.example"];
    submit(&house, &all).await;
    let got = far.has(3).await;
    house.settled().await;
    let sizes: Vec<usize> = got.iter().map(|m| m.to.len()).collect();
    assert_eq!(sizes, [2, 2, 1]);
}

#[tokio::test]
async fn lmtp_answers_for_each_recipient() {
    // Port 2003 means LMTP; an address of its own keeps it free.
    let answers = vec![(".", "250 2.1.5 yes"), (".", "552 5.2.2 over quota")];
    let script = Script { answers, lmtp: true, ..Script::default() };
    let far = Far::at("127.0.53.24:2003", script).await;
    let names = Names::new().await;
    let house = house(&names, far.port).await;
    let to = ["one%far.example@[127.0.53.24]:2003._via", "two%far.example@[127.0.53.24]:2003._via"];
    submit(&house, &to).await;
    let mail = far.has(1).await.remove(0);
    house.settled().await;
    assert_eq!(far.commands()[0], "LHLO main.example");
    assert_eq!(mail.to, ["one@far.example", "two@far.example"]);
    let report = house.inbox("alice@main.example").await.concat();
    assert!(report.contains("over quota") && report.contains("two"), "{report}");
    assert!(!report.contains("Final-Recipient: rfc822; one"), "{report}");
}

#[tokio::test]
async fn an_explicit_port_goes_round_the_mx() {
    // RTE-07
    let (names, far) = (Names::with_far().await, Far::new(Script::default()).await);
    let house = house(&names, 9).await;
    submit(&house, &[&format!("x%other.example@mx.far.example:{}._via", far.port)]).await;
    let mail = far.has(1).await.remove(0);
    assert_eq!(mail.to, ["x@other.example"]);
}

#[tokio::test]
async fn the_forwarding_server_is_logged_into_under_tls_only() {
    let authority = Authority::new();
    let script = Script {
        able: vec!["AUTH LOGIN PLAIN", "PIPELINING"],
        tls: Some(authority.acceptor("smart.example")),
        ..Script::default()
    };
    let (names, far) = (Names::new().await, Far::new(script).await);
    names.a("smart.example", "127.0.0.1");
    let mut settings = set(names.settings(), "ForwardTo", &format!("smart.example:{}", far.port));
    settings = set(settings, "ForwardAUTHName", "joe");
    settings = set(settings, "ForwardAUTHPassword", "secret");
    let options = SendingOptions {
        phases: phases(),
        roots: vec![authority.root()],
        ..SendingOptions::default()
    };
    let house_tls = House::sending(settings.clone(), &options).await;
    submit(&house_tls, &["x@anywhere.example"]).await;
    let mail = far.has(1).await.remove(0);
    assert!(mail.tls);
    assert!(far.commands().contains(&"AUTH PLAIN AGpvZQBzZWNyZXQ=".to_owned()));
    let bare = Far::new(Script { able: vec!["AUTH PLAIN"], ..Script::default() }).await;
    let names_settings = settings.clone();
    let settings = set(settings, "ForwardTo", &format!("smart.example:{}", bare.port));
    let house = House::sending(settings, &options).await;
    submit(&house, &["x@anywhere.example"]).await;
    house.tried(1).await;
    assert!(!bare.commands().iter().any(|c| c.starts_with("AUTH")));
    assert!(last_error(&house).await.contains("TLS is needed"));
    // Nor to somebody who shows a certificate of his own making.
    let false_one = Script {
        able: vec!["AUTH PLAIN"],
        tls: Some(Authority::new().acceptor("smart.example")),
        ..Script::default()
    };
    let false_one = Far::new(false_one).await;
    let settings = set(names_settings, "ForwardTo", &format!("smart.example:{}", false_one.port));
    let house = House::sending(settings, &options).await;
    submit(&house, &["x@anywhere.example"]).await;
    house.tried(1).await;
    assert!(false_one.commands().iter().all(|c| !c.starts_with("AUTH")));
}

#[tokio::test]
async fn nothing_is_sent_while_the_dns_cannot_be_asked_as_it_was_set() {
    // ABU-17: without the anchor nothing would count as secure, and DANE would be left off.
    let (names, far) = (Names::with_far().await, Far::new(Script::default()).await);
    let settings = set(names.settings(), "DNSValidation", "YES");
    let settings = set(settings, "DNSTrustAnchor", "/nowhere/anchor.key");
    let options = SendingOptions { port: Some(far.port), ..SendingOptions::default() };
    let house = House::sending(settings, &options).await;
    submit(&house, &["x@far.example"]).await;
    house.tried(1).await;
    assert!(last_error(&house).await.contains("trust anchors in /nowhere/anchor.key"));
    assert_eq!(far.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_forwarding_server_that_is_not_to_be_found_sends_no_mail_back() {
    let names = Names::new().await;
    names.mx("loop.example", 10, "main.example");
    for (server, why) in [
        ("misspelt.example", "there is no domain misspelt.example"),
        ("misspelt.example:587", "has no address"),
        ("loop.example", "DNS loop"),
    ] {
        let house =
            House::sending(set(names.settings(), "ForwardTo", server), &SendingOptions::default())
                .await;
        submit(&house, &["x@anywhere.example"]).await;
        house.tried(1).await;
        let said = last_error(&house).await;
        assert!(said.contains("the forwarding server: ") && said.contains(why), "{said}");
        assert!(house.inbox("alice@main.example").await.is_empty());
    }
}

#[tokio::test]
async fn forwarded_mail_goes_out_with_a_return_path_that_leads_back() {
    let (names, far) = (Names::with_far().await, Far::new(Script::default()).await);
    names.mx("outside.example", 10, "mx.far.example");
    let house = house(&names, far.port).await;
    names.mx("author.example", 10, "mx.far.example");
    // A forwarder of ours may be written to by anybody.
    let new = Submit::new(Source::Smtp, "author@author.example", &["away@main.example"]);
    house.transfer.submitter().submit_message(new, MESSAGE.as_bytes()).await.unwrap();
    let mail = far.has(1).await.remove(0);
    assert_eq!(mail.to, ["x@outside.example"]);
    assert!(mail.from.starts_with("SRS0="), "{}", mail.from);
    assert!(mail.from.ends_with("=author.example=author@main.example"), "{}", mail.from);
    let back = angarium_transfer::send::behind_return_path(&house.accounts, &mail.from).await;
    assert_eq!(back.as_deref(), Some("author@author.example"));
    // Our own people's return paths stay.
    submit(&house, &["away@main.example"]).await;
    assert_eq!(far.has(2).await[1].from, "alice@main.example");
    // A report goes on to the author; no other mail does.
    let mut client = house.client().await;
    client.hello().await;
    client.say("MAIL FROM:<x@far.example>", "250").await;
    client.say(&format!("RCPT TO:<{}>", mail.from), "550 5.1.1").await;
    client.say("RSET", "250").await;
    client.mail("", &[&mail.from], MESSAGE).await;
    let report = far.has(3).await.remove(2);
    assert_eq!((report.from.as_str(), report.to), ("", vec!["author@author.example".to_owned()]));
}

#[tokio::test]
async fn a_group_with_members_outside_reaches_all_of_them() {
    let (names, far) = (Names::with_far().await, Far::new(Script::default()).await);
    let house = house(&names, far.port).await;
    house.group("mixed", &["bob", "x@far.example", "y@far.example"]).await;
    submit(&house, &["mixed@main.example"]).await;
    let mail = far.has(1).await.remove(0);
    house.settled().await;
    assert_eq!(mail.to, ["x@far.example", "y@far.example"]);
    assert_eq!(house.inbox("bob@main.example").await.len(), 1);
}

#[tokio::test]
async fn notify_is_passed_on_or_answered_here() {
    let script = Script { able: vec!["DSN"], ..Script::default() };
    let (names, far) = (Names::with_far().await, Far::new(script).await);
    let house_dsn = house(&names, far.port).await;
    let submit = |house: &House| {
        let parameters = angarium_smtp::parameters::RcptParameters::parse(
            " NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;X@far.example",
        );
        let mut recipient = Recipient::new("x@far.example");
        recipient.facts = angarium_transfer::envelope::RecipientFacts::of(&parameters.unwrap());
        let mut new = Submit::new(Source::Pop, "alice@main.example", &[]);
        new.facts.envelope_id = Some("E1".into());
        new.recipients.push(recipient);
        let submitter = house.transfer.submitter().clone();
        async move { submitter.submit_message(new, MESSAGE.as_bytes()).await.unwrap() }
    };
    submit(&house_dsn).await;
    far.has(1).await;
    house_dsn.settled().await;
    let commands = far.commands();
    assert!(
        commands.iter().any(|c| c == "MAIL FROM:<alice@main.example> ENVID=E1"),
        "{commands:?}"
    );
    let rcpt = "RCPT TO:<x@far.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;X@far.example";
    assert!(commands.iter().any(|c| c == rcpt), "{commands:?}");
    assert!(house_dsn.inbox("alice@main.example").await.is_empty());
    let far = Far::new(Script::default()).await;
    let house = house(&names, far.port).await;
    submit(&house).await;
    far.has(1).await;
    house.settled().await;
    let report = house.inbox("alice@main.example").await.concat();
    assert!(report.contains("Action: relayed"), "{report}");
}

/// Submits for one recipient with these wishes in MAIL.
async fn submit_with(house: &House, wishes: &str) {
    use angarium_smtp::parameters::MailParameters;
    use angarium_transfer::envelope::MessageFacts;
    let parameters = MailParameters::parse(wishes).unwrap();
    let now = house.accounts.now();
    let mut new = Submit::new(Source::Pop, "alice@main.example", &["x@far.example"]);
    new.facts = MessageFacts::of("POP", &parameters, now);
    house.transfer.submitter().submit_message(new, MESSAGE.as_bytes()).await.unwrap();
}

/// The only MAIL that a server heard.
fn mail_command(far: &Far) -> String {
    let all: Vec<String> = far.commands().into_iter().filter(|c| c.starts_with("MAIL")).collect();
    assert_eq!(all.len(), 1, "{all:?}");
    all.concat()
}

// RFC 2852, RFC 6710
#[tokio::test]
async fn deadline_and_priority_are_passed_on_where_they_are_kept() {
    let able = vec!["DELIVERBY 60", "MT-PRIORITY MIXER"];
    let (names, far) =
        (Names::with_far().await, Far::new(Script { able, ..Script::default() }).await);
    let house = house(&names, far.port).await;
    submit_with(&house, " BY=600;N MT-PRIORITY=3").await;
    far.has(1).await;
    house.settled().await;
    assert_eq!(mail_command(&far), "MAIL FROM:<alice@main.example> BY=600;N MT-PRIORITY=3");
    assert!(house.inbox("alice@main.example").await.is_empty());
}

#[tokio::test]
async fn a_server_without_deadlines_is_given_only_what_need_not_come_back() {
    let (names, far) = (Names::with_far().await, Far::new(Script::default()).await);
    let house = house(&names, far.port).await;
    // N and a trace: it goes, and the sender hears that nobody keeps its time from here on.
    submit_with(&house, " BY=600;NT MT-PRIORITY=-4").await;
    far.has(1).await;
    house.settled().await;
    assert_eq!(mail_command(&far), "MAIL FROM:<alice@main.example>");
    let report = house.inbox("alice@main.example").await.concat();
    assert!(report.contains("Action: relayed"), "{report}");
    // R: nobody would give it back in time.
    submit_with(&house, " BY=600;R").await;
    house.settled().await;
    let report = house.inbox("alice@main.example").await.concat();
    assert!(report.contains("Action: failed") && report.contains("DELIVERBY"), "{report}");
    assert_eq!(far.got().len(), 1);
}
