//! Mail to other systems under TLS: as much as is offered, as much as is asked for, and never less
//! than a policy says. ABU-17.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod far;
mod house;

use std::path::PathBuf;
use std::time::Duration;

use angarium_accounts::{Dictionary, Value};
use angarium_transfer::send::{Phases, PolicyKind};
use angarium_transfer::{ReceiverSettings, SendingOptions, Source, Submit};
use far::{Authority, Far, Names, Script};
use house::House;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const MESSAGE: &str = "Subject: out\r\n\r\nbody\r\n";

async fn house(settings: Dictionary, options: SendingOptions) -> House {
    let short = Duration::from_secs(2);
    let phases = Phases {
        connect: short,
        connect_first: short,
        greeting: short,
        hello: short,
        command: short,
        ..Phases::default()
    };
    let options = SendingOptions { phases, ..options };
    House::sending(settings, &options).await
}

async fn submit(house: &House, message: &str) {
    let submit = Submit::new(Source::Pop, "alice@main.example", &["x@far.example"]);
    house.transfer.submitter().submit_message(submit, message.as_bytes()).await.unwrap();
}

fn options(port: u16, authority: &Authority) -> SendingOptions {
    SendingOptions { port: Some(port), roots: vec![authority.root()], ..SendingOptions::default() }
}

fn policy(names: &Names, word: &str) -> Dictionary {
    let mut settings = names.settings();
    settings.insert("TLSPolicy".to_owned(), Value::from(word));
    settings
}

async fn far_with(acceptor: TlsAcceptor) -> Far {
    Far::new(Script { tls: Some(acceptor), ..Script::default() }).await
}

#[tokio::test]
async fn tls_is_used_where_offered_whatever_the_certificate() {
    let (names, authority) = (Names::with_far().await, Authority::new());
    let far = far_with(Authority::new().acceptor("other.example")).await;
    let house = house(names.settings(), options(far.port, &authority)).await;
    submit(&house, MESSAGE).await;
    assert!(far.has(1).await[0].tls);
    assert_eq!(far.commands().iter().filter(|c| c.starts_with("EHLO")).count(), 2);
    let reports = house.transfer.sending().unwrap().tls_reports();
    let counted = reports.take(reports.days()[0]);
    assert_eq!((counted[0].kind, counted[0].success), (PolicyKind::None, 1));
}

#[tokio::test]
async fn an_offer_that_does_not_work_is_no_reason_to_keep_the_mail() {
    let (names, authority) = (Names::with_far().await, Authority::new());
    let acceptor = authority.acceptor("mx.far.example");
    let script = Script { tls: Some(acceptor), garbled: true, ..Script::default() };
    let far = Far::new(script).await;
    let house = house(names.settings(), options(far.port, &authority)).await;
    submit(&house, MESSAGE).await;
    assert!(!far.has(1).await[0].tls);
}

#[tokio::test]
async fn what_comes_in_clear_behind_starttls_is_forgotten() {
    let (names, authority) = (Names::with_far().await, Authority::new());
    let acceptor = authority.acceptor("mx.far.example");
    let answers = vec![("STARTTLS", "220 go\r\n554 said by somebody in between")];
    let far = Far::new(Script { tls: Some(acceptor), answers, ..Script::default() }).await;
    let house = house(names.settings(), options(far.port, &authority)).await;
    submit(&house, MESSAGE).await;
    assert!(far.has(1).await[0].tls);
}

#[tokio::test]
async fn where_tls_must_be_nothing_goes_without() {
    let (names, authority) = (Names::with_far().await, Authority::new());
    let far = Far::new(Script::default()).await;
    let house = house(policy(&names, "Always"), options(far.port, &authority)).await;
    submit(&house, MESSAGE).await;
    house.tried(1).await;
    assert!(far.got().is_empty() && !far.commands().iter().any(|c| c.starts_with("MAIL")));
}

#[tokio::test]
async fn a_certificate_is_verified_where_that_is_wanted() {
    let (names, authority) = (Names::with_far().await, Authority::new());
    let good = far_with(authority.acceptor("far.example")).await;
    let house_good = house(policy(&names, "Verify"), options(good.port, &authority)).await;
    submit(&house_good, MESSAGE).await;
    assert!(good.has(1).await[0].tls);
    for acceptor in [authority.acceptor("other.example"), Authority::new().acceptor("far.example")]
    {
        let bad = far_with(acceptor).await;
        let house = house(policy(&names, "Verify"), options(bad.port, &authority)).await;
        submit(&house, MESSAGE).await;
        house.tried(1).await;
        assert!(bad.got().is_empty());
    }
}

/// A web server for one policy.
async fn web(acceptor: TlsAcceptor, policy: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut request = [0; 4096];
                let n = stream.read(&mut request).await.unwrap();
                let asked = String::from_utf8_lossy(&request[..n]).into_owned();
                assert!(asked.starts_with("GET /.well-known/mta-sts.txt "), "{asked}");
                let length = policy.len();
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{policy}"
                );
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    port
}

fn state(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("angarium-{name}-{}", std::process::id()))
}

async fn sts_names() -> Names {
    let names = Names::with_far().await;
    names.txt("_mta-sts.far.example", "v=STSv1; id=1;");
    names.a("mta-sts.far.example", "127.0.0.1");
    names
}

const ENFORCE: &str = "version: STSv1\nmode: enforce\nmx: mx.far.example\nmax_age: 86400\n";
const OTHER: &str = "version: STSv1\nmode: enforce\nmx: mx.other.example\nmax_age: 86400\n";
const TESTING: &str = "version: STSv1\nmode: testing\nmx: mx.far.example\nmax_age: 86400\n";

#[tokio::test]
async fn an_enforced_policy_is_obeyed_and_remembered() {
    let (names, authority) = (sts_names().await, Authority::new());
    let place = state("sts");
    let web = web(authority.acceptor("mta-sts.far.example"), ENFORCE).await;
    let good = far_with(authority.acceptor("mx.far.example")).await;
    let with = |port: u16, web: u16| SendingOptions {
        sts_port: Some(web),
        state: Some(place.clone()),
        ..options(port, &authority)
    };
    let house_good = house(names.settings(), with(good.port, web)).await;
    submit(&house_good, MESSAGE).await;
    assert!(good.has(1).await[0].tls);
    // After a restart the policy still counts: the web server is gone, the record too, and the
    // host shows a certificate of somebody else's.
    let names = Names::with_far().await;
    names.break_name("_mta-sts.far.example");
    let bad = far_with(Authority::new().acceptor("mx.far.example")).await;
    let house_bad = house(names.settings(), with(bad.port, 9)).await;
    submit(&house_bad, MESSAGE).await;
    house_bad.tried(1).await;
    assert!(bad.got().is_empty());
    let reports = house_bad.transfer.sending().unwrap().tls_reports();
    let counted = reports.take(reports.days()[0]);
    assert_eq!((counted[0].kind, counted[0].failure), (PolicyKind::Sts, 1));
    assert_eq!(counted[0].details[0].result_type, "certificate-not-trusted");
    // Unless the author says that arriving counts more.
    submit(&house_bad, &format!("TLS-Required: No\r\n{MESSAGE}")).await;
    assert!(bad.has(1).await[0].tls);
    std::fs::remove_dir_all(place).unwrap();
}

#[tokio::test]
async fn a_host_that_the_policy_does_not_name_gets_nothing() {
    let (names, authority) = (sts_names().await, Authority::new());
    let web = web(authority.acceptor("mta-sts.far.example"), OTHER).await;
    let far = far_with(authority.acceptor("mx.far.example")).await;
    let options = SendingOptions { sts_port: Some(web), ..options(far.port, &authority) };
    let house = house(names.settings(), options).await;
    submit(&house, MESSAGE).await;
    house.tried(1).await;
    assert!(far.commands().is_empty());
}

#[tokio::test]
async fn a_policy_in_testing_only_reports() {
    let (names, authority) = (sts_names().await, Authority::new());
    let web = web(authority.acceptor("mta-sts.far.example"), TESTING).await;
    let far = far_with(Authority::new().acceptor("mx.far.example")).await;
    let options = SendingOptions { sts_port: Some(web), ..options(far.port, &authority) };
    let house = house(names.settings(), options).await;
    submit(&house, MESSAGE).await;
    assert!(far.has(1).await[0].tls);
    let reports = house.transfer.sending().unwrap().tls_reports();
    let counted = reports.take(reports.days()[0]);
    assert_eq!(counted[0].failure, 1);
}

#[tokio::test]
async fn a_web_server_that_nobody_vouches_for_sets_no_policy() {
    let (names, authority) = (sts_names().await, Authority::new());
    let web = web(Authority::new().acceptor("mta-sts.far.example"), OTHER).await;
    let far = far_with(authority.acceptor("mx.far.example")).await;
    let options = SendingOptions { sts_port: Some(web), ..options(far.port, &authority) };
    let house = house(names.settings(), options).await;
    submit(&house, MESSAGE).await;
    assert!(far.has(1).await[0].tls);
}

#[tokio::test]
async fn two_servers_of_ours_exchange_mail_under_tls() {
    let authority = Authority::new();
    let there = House::new().await;
    let receiver = there
        .transfer
        .receiver(ReceiverSettings::default(), Some(authority.acceptor("mx.other.example")));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, peer)) = listener.accept().await {
            let info = angarium_transfer::ConnectionInfo {
                session: 1,
                peer,
                local: stream.local_addr().unwrap(),
                tls: false,
            };
            tokio::spawn(angarium_transfer::serve(stream, info, receiver.clone()));
        }
    });
    let names = Names::new().await;
    names.mx("there.example", 10, "mx.there.example");
    names.a("mx.there.example", "127.0.0.1");
    let here = house(names.settings(), options(port, &authority)).await;
    let to = ["carol%other.example@there.example._via", "bob%main.example@there.example._via"];
    let new = Submit::new(Source::Pop, "alice@main.example", &to);
    here.transfer.submitter().submit_message(new, MESSAGE.as_bytes()).await.unwrap();
    here.settled().await;
    there.settled().await;
    for who in ["carol@other.example", "bob@main.example"] {
        let inbox = there.inbox(who).await;
        assert_eq!(inbox.len(), 1);
        assert!(inbox[0].contains("with ESMTPS id"), "{}", inbox[0]);
    }
    assert!(here.inbox("alice@main.example").await.is_empty());
}

// RFC 8689
#[tokio::test]
async fn a_message_that_requires_tls_goes_where_it_is_kept_and_comes_back_from_elsewhere() {
    let (names, authority) = (Names::with_far().await, Authority::new());
    let send = async |house: &House, to: &str| {
        let mut new = Submit::new(Source::Pop, "alice@main.example", &[to]);
        new.facts.require_tls = true;
        house.transfer.submitter().submit_message(new, MESSAGE.as_bytes()).await.unwrap();
    };
    let keeps = Script {
        able: vec!["REQUIRETLS"],
        tls: Some(authority.acceptor("mx.far.example")),
        ..Script::default()
    };
    let far = Far::new(keeps).await;
    let house = house(names.settings(), options(far.port, &authority)).await;
    // A host that the administrator named cannot have been forged.
    send(&house, &format!("x%far.example@mx.far.example:{}._via", far.port)).await;
    assert!(far.has(1).await[0].tls);
    house.settled().await;
    let commands = far.commands();
    let mail = "MAIL FROM:<alice@main.example> REQUIRETLS";
    assert!(commands.iter().any(|c| c == mail), "{commands:?}");
    // TLS, and no promise to keep it; and a host that only an unsecured MX record names.
    let bare = far_with(authority.acceptor("mx.far.example")).await;
    for to in [format!("x%far.example@mx.far.example:{}._via", bare.port), "x@far.example".into()] {
        send(&house, &to).await;
        house.settled().await;
    }
    let report = house.inbox("alice@main.example").await.concat();
    assert_eq!(report.matches("Status: 5.7.30").count(), 2, "{report}");
    assert!(report.contains("REQUIRETLS"), "{report}");
    assert!(bare.got().is_empty() && !bare.commands().iter().any(|c| c.starts_with("MAIL")));
    assert_eq!(far.got().len(), 1);
}
