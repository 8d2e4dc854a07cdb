//! Who may relay and who is kept out, over SMTP with a name server of the test's own. ABU-05,
//! ABU-06.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod house;
mod names;

use angarium_accounts::{Actor, Login, Secret, Service, Value};
use angarium_objects::text::parse_line;
use angarium_transfer::{ReceiverSettings, Source, Submit, SubmitError};
use house::{Client, House};
use names::Names;
use tokio::io::DuplexStream;

const CLIENT: &str = "198.51.100.5";
const STRANGER: &str = "192.0.2.9";

/// Sets settings of the protection.
async fn set(house: &House, text: &str) {
    let Value::Dictionary(settings) = parse_line(text).unwrap() else { panic!("{text}") };
    let console = Actor::console();
    house.accounts.update_module_settings(&console, "Protection", settings).await.unwrap();
}

/// A house with a name server that knows the client's own name and an honest domain.
async fn world() -> (House, Names) {
    let (house, names) = (House::new().await, Names::start().await);
    names.address("client.example", STRANGER);
    names.mx("honest.example", "mail.honest.example");
    names.address("mail.honest.example", "203.0.113.1");
    house.transfer.protection().use_dns(names.dns());
    (house, names)
}

/// A client at this address, not greeted yet.
fn connect(house: &House, ip: &str) -> Client<DuplexStream> {
    let peer = if ip.contains(':') { format!("[{ip}]:4321") } else { format!("{ip}:4321") };
    house.connect_from(&peer, ReceiverSettings::default(), None, false)
}

async fn client(house: &House, ip: &str) -> Client<DuplexStream> {
    let mut client = connect(house, ip);
    client.expect("220 ").await;
    client.hello().await;
    client
}

/// The answer to one recipient.
async fn rcpt(house: &House, ip: &str, to: &str) -> String {
    let mut client = client(house, ip).await;
    client.say("MAIL FROM:<sender@honest.example>", "250").await;
    client.send(format!("RCPT TO:{to}\r\n")).await;
    client.reply().await
}

#[tokio::test]
async fn clients_relay_and_strangers_do_not() {
    let (house, _names) = world().await;
    set(&house, "{ClientIPs=\"198.51.100.0/28\\e!198.51.100.9\";}").await;
    let far = "<x@far.example>";
    let said = rcpt(&house, CLIENT, far).await;
    assert_eq!(said, "250 2.1.5 <x@far.example> accepting mail from a client address");
    let refused = "550 5.7.1 <x@far.example> relaying denied";
    for ip in [STRANGER, "198.51.100.9", "127.0.0.1", "2001:db8::1"] {
        assert_eq!(rcpt(&house, ip, far).await, refused, "{ip}");
        assert!(rcpt(&house, ip, "<alice@main.example>").await.starts_with("250 "), "{ip}");
    }
    // A forwarder of ours is a record for everybody.
    let said = rcpt(&house, STRANGER, "<away@main.example>").await;
    assert_eq!(said, "250 2.1.5 <away@main.example> will leave the Internet");
    set(&house, "{ClientIPs=default;}").await;
    assert_eq!(rcpt(&house, CLIENT, far).await, refused, "at once");
}

#[tokio::test]
async fn abu_05_no_form_of_an_address_relays_for_a_stranger() {
    let (house, _names) = world().await;
    let forms = [
        "<victim@far.example>",
        "<victim%far.example@main.example>",
        "<victim%far.example@[127.0.0.1]>",
        "<victim%far.example>",
        "<far.example!victim@main.example>",
        "<far.example!victim>",
        "<main.example!far.example!victim>",
        "<@main.example:victim@far.example>",
        "<@main.example,@far.example:victim@far.example>",
        "<@[127.0.0.1]:victim@far.example>",
        "<\"victim@far.example\"@main.example>",
        "<\"victim%far.example\"@main.example>",
        "<\"victim@far.example\">",
        "<\"\"@far.example>",
        "<victim@[203.0.113.7]>",
        "<victim@[IPv6:2001:db8::7]>",
        "<victim@203.0.113.7>",
        "<victim@far.example.>",
        "<victim@far.example:25>",
        "<victim@far.example.smtp>",
        "<victim@far.example.via>",
        "<victim@far.example._via>",
        "<victim@far.example._smtp>",
        "<victim@far.example.relay>",
        "<victim@far.example.25.smtp>",
        "<victim%far.example@main.example._via>",
        "<victim%far.example@other.example.smtp>",
        "<victim%far.example%main.example@main.example>",
        "<victim%far.example@other.example>",
        "<victim%far.example@localhost>",
        "<far.example!victim%main.example@main.example>",
        "<victim\u{ff20}far.example@main.example>",
        "<victim@b\u{fc}cher.example>",
    ];
    assert!(forms.len() >= 30);
    for form in forms {
        let mut client = client(&house, STRANGER).await;
        client.say("MAIL FROM:<sender@honest.example> SMTPUTF8", "250").await;
        client.send(format!("RCPT TO:{form}\r\n")).await;
        let said = client.reply().await;
        assert!(said.starts_with('5'), "{form}: {said}");
    }
    assert_eq!(house.store.queue.count().await.unwrap(), 0);
}

#[tokio::test]
async fn denied_addresses_are_not_spoken_to_and_blocked_ones_not_now() {
    let (house, _names) = world().await;
    set(&house, "{DeniedIPs=\"203.0.113.0/24\";}").await;
    let said = connect(&house, "203.0.113.9").reply().await;
    assert_eq!(said, "554 5.7.1 your address is not served here");
    let protection = house.transfer.protection();
    let ip = STRANGER.parse().unwrap();
    protection.block(ip, Some(600), "a test wants it");
    assert!(connect(&house, STRANGER).reply().await.starts_with("421 4.7.0 "));
    let check = protection.check(ip).await;
    assert_eq!(
        (check.standing, &check.reasons[..]),
        ("blocked", &["a test wants it".to_owned()][..])
    );
    assert!(protection.unblock(ip));
    assert!(connect(&house, STRANGER).reply().await.starts_with("220 "));
    assert_eq!(protection.check(ip).await.standing, "stranger");
    assert_eq!(protection.check("203.0.113.9".parse().unwrap()).await.standing, "denied");
}

#[tokio::test]
async fn the_blacklisted_reach_only_whom_a_record_leads_them_to() {
    let (house, names) = world().await;
    names.pointer(STRANGER, "a7.dynamic.example");
    names.address("a7.dynamic.example", STRANGER);
    for settings in [
        "{BlacklistedIPs=\"192.0.2.0/24\";}",
        "{BlacklistedIPs=default;BlacklistedNames=\"*.dynamic.example\";}",
    ] {
        set(&house, settings).await;
        let said = rcpt(&house, STRANGER, "<alice@main.example>").await;
        assert!(
            said.starts_with("550 5.7.1 <alice@main.example> your address is blacklisted"),
            "{said}"
        );
        let said = rcpt(&house, STRANGER, "<blacklist-admin@main.example>").await;
        assert!(said.starts_with("250 "), "the white hole of the default table: {said}");
    }
    // Never blacklisted.
    set(&house, "{WhiteHoleIPs=\"192.0.2.9\";}").await;
    assert!(rcpt(&house, STRANGER, "<alice@main.example>").await.starts_with("250 "));
    // Clients only if it is wanted.
    set(&house, "{WhiteHoleIPs=default;ClientIPs=\"192.0.2.9\";BlacklistedIPs=\"192.0.2.9\";}")
        .await;
    assert!(rcpt(&house, STRANGER, "<alice@main.example>").await.starts_with("250 "));
    set(&house, "{BlacklistClients=YES;}").await;
    assert!(rcpt(&house, STRANGER, "<alice@main.example>").await.starts_with("550 5.7.1 "));
}

#[tokio::test]
async fn dns_lists_blacklist_and_broken_ones_say_nothing() {
    let (house, names) = world().await;
    set(
        &house,
        "{DNSLists=\"down.example\\elist.example=127.0.0.2-127.0.0.4; see list.example\";}",
    )
    .await;
    names.broken("9.2.0.192.down.example");
    assert!(rcpt(&house, STRANGER, "<alice@main.example>").await.starts_with("250 "));
    names.address("10.2.0.192.list.example", "127.0.0.2");
    names.address("11.2.0.192.list.example", "127.0.0.9");
    names.address("12.2.0.192.down.example", "127.255.255.254");
    let said = rcpt(&house, "192.0.2.10", "<alice@main.example>").await;
    assert_eq!(
        said,
        "550 5.7.1 <alice@main.example> your address is blacklisted here: listed by list.example: see list.example"
    );
    for ip in ["192.0.2.11", "192.0.2.12"] {
        assert!(rcpt(&house, ip, "<alice@main.example>").await.starts_with("250 "), "{ip}");
    }
    let check = house.transfer.protection().check("192.0.2.10".parse().unwrap()).await;
    assert_eq!(check.standing, "blacklisted");
}

async fn mail_from(house: &House, ip: &str, hello: &str, from: &str) -> String {
    let mut client = connect(house, ip);
    client.expect("220 ").await;
    client.say(&format!("EHLO {hello}"), "250").await;
    client.send(format!("MAIL FROM:<{from}>\r\n")).await;
    client.reply().await
}

#[tokio::test]
async fn senders_that_no_mail_could_go_back_to_are_refused() {
    let (house, names) = world().await;
    names.mx_at("null.example", 0, "");
    names.address("plain.example", "203.0.113.2");
    names.mx("ours.example", "mx.ours.example");
    names.address("mx.ours.example", "127.0.0.1");
    names.broken("broken.example");
    for (from, begin) in [
        ("a@honest.example", "250 "),
        ("a@plain.example", "250 "),
        ("", "250 "),
        ("alice@main.example", "250 "),
        ("a@nowhere.example", "550 5.1.8 "),
        ("a@null.example", "550 5.7.27 "),
        ("a@ours.example", "550 5.1.8 "),
        // A DNS that does not answer refuses nobody.
        ("a@broken.example", "250 "),
    ] {
        let said = mail_from(&house, STRANGER, "client.example", from).await;
        assert!(said.starts_with(begin), "<{from}>: {said}");
    }
    let said = mail_from(&house, STRANGER, "liar.example", "a@honest.example").await;
    assert_eq!(said, "550 5.7.25 your host name <liar.example> is not known to the DNS");
    for hello in ["[192.0.2.9]", "laptop"] {
        assert!(mail_from(&house, STRANGER, hello, "a@honest.example").await.starts_with("250 "));
    }
    set(&house, "{ClientIPs=\"192.0.2.9\";}").await;
    assert!(
        mail_from(&house, STRANGER, "liar.example", "a@nowhere.example").await.starts_with("250 ")
    );
    set(&house, "{VerifyHELOAndReturnPath=everybody;}").await;
    assert!(
        mail_from(&house, STRANGER, "client.example", "a@nowhere.example")
            .await
            .starts_with("550 ")
    );
    set(&house, "{VerifyHELOAndReturnPath=nobody;ClientIPs=default;}").await;
    assert!(
        mail_from(&house, STRANGER, "liar.example", "a@nowhere.example").await.starts_with("250 ")
    );
}

#[tokio::test]
async fn senders_of_a_domain_can_be_made_to_authenticate() {
    let (house, _names) = world().await;
    set(&house, "{ClientIPs=\"198.51.100.5\";}").await;
    for (word, stranger, client) in
        [("nobody", true, true), ("non-clients", false, true), ("everybody", false, false)]
    {
        let mut record = house.store.directory.domain("other.example").await.unwrap().unwrap();
        record.settings.insert("ForceSMTPAUTH".into(), word.into());
        house.store.directory.update_domain(record, None).await.unwrap();
        for (ip, may) in [(STRANGER, stranger), (CLIENT, client)] {
            let said = mail_from(&house, ip, "client.example", "carol@other.example").await;
            assert_eq!(said.starts_with("250 "), may, "{word} {ip}: {said}");
            assert!(may || said.starts_with("530 5.7.0 "), "{said}");
            let other = mail_from(&house, ip, "client.example", "alice@main.example").await;
            assert!(other.starts_with("250 "), "{other}");
        }
    }
}

#[tokio::test]
async fn abu_06_backups_are_relayed_to_within_written_limits() {
    let (house, names) = world().await;
    names.address("us.example", "127.0.0.1");
    names.address("them.example", "203.0.113.3");
    for (domain, ours, theirs) in [
        ("backed.example", Some(20), Some(10)),
        ("forged.example", Some(10), None),
        ("equal.example", Some(10), Some(10)),
        ("first.example", Some(5), Some(10)),
        ("foreign.example", None, Some(10)),
    ] {
        ours.inspect(|at| names.mx_at(domain, *at, "us.example"));
        theirs.inspect(|at| names.mx_at(domain, *at, "them.example"));
    }
    names.broken("broken.example");
    let denied = "550 5.7.1 ";
    assert!(rcpt(&house, STRANGER, "<x@backed.example>").await.starts_with(denied), "it is off");
    set(&house, "{RelayToHostsWeBackup=YES;}").await;
    for (to, begin) in [
        ("<x@backed.example>", "250 2.1.5 <x@backed.example> will leave the Internet"),
        ("<x@forged.example>", denied),
        ("<x@equal.example>", denied),
        ("<x@first.example>", denied),
        ("<x@foreign.example>", denied),
        ("<x@nowhere.example>", denied),
        ("<x@broken.example>", "451 4.4.3 "),
        ("<victim%far.example@backed.example>", denied),
        ("<far.example!victim@backed.example>", denied),
        ("<\"victim@far.example\"@backed.example>", denied),
        ("<x@backed.example:26._via>", "501 "),
        ("<x@backed.example._via>", denied),
    ] {
        let said = rcpt(&house, STRANGER, to).await;
        assert!(said.starts_with(begin), "{to}: {said}");
    }
    // Kept for ten minutes and no longer.
    names.forget("backed.example");
    assert!(rcpt(&house, STRANGER, "<x@backed.example>").await.starts_with("250 "));
}

#[tokio::test]
async fn who_tries_again_passes_the_greylist() {
    let (house, _names) = world().await;
    set(&house, "{GreylistFor=non-clients;GreylistPasses=2;ClientIPs=\"198.51.100.5\";WhiteHoleIPs=\"203.0.113.4\";}").await;
    let alice = "<alice@main.example>";
    let said = rcpt(&house, STRANGER, alice).await;
    assert_eq!(said, "451 4.7.1 <alice@main.example> greylisted, try again in 300 seconds");
    assert!(rcpt(&house, STRANGER, "<nobody@main.example>").await.starts_with("550 5.1.1 "));
    for ip in [CLIENT, "203.0.113.4", "127.0.0.1"] {
        assert!(rcpt(&house, ip, alice).await.starts_with("250 "), "{ip}");
    }
    house.clock.0.fetch_add(301, std::sync::atomic::Ordering::SeqCst);
    assert!(rcpt(&house, "192.0.2.77", alice).await.starts_with("250 "), "a neighbour tries again");
    assert!(rcpt(&house, STRANGER, "<bob@main.example>").await.starts_with("451 "));
    house.clock.0.fetch_add(301, std::sync::atomic::Ordering::SeqCst);
    assert!(rcpt(&house, STRANGER, "<bob@main.example>").await.starts_with("250 "));
    assert!(rcpt(&house, STRANGER, "<postmaster@main.example>").await.starts_with("250 "), "known");
}

#[tokio::test]
async fn strangers_are_kept_to_their_rates() {
    let (house, _names) = world().await;
    let limits = "{MessageFlow=(2,1h);RecipientFlow=(3,1h);ConnectionFlow=(4,1h);ClientIPs=\"198.51.100.5\";}";
    set(&house, limits).await;
    let mut one = client(&house, STRANGER).await;
    one.say("MAIL FROM:<a@honest.example>", "250").await;
    for _ in 0..3 {
        one.say("RCPT TO:<alice@main.example>", "250").await;
    }
    one.say("RCPT TO:<bob@main.example>", "451 4.7.1 too many recipients").await;
    one.say("RSET", "250").await;
    one.say("MAIL FROM:<a@honest.example>", "250").await;
    one.say("RSET", "250").await;
    one.say("MAIL FROM:<a@honest.example>", "451 4.7.1 too many messages").await;
    for _ in 0..3 {
        connect(&house, STRANGER).expect("220 ").await;
    }
    connect(&house, STRANGER).expect("421 4.7.0 too many connections").await;
    for _ in 0..6 {
        let said = rcpt(&house, CLIENT, "<alice@main.example>").await;
        assert!(said.starts_with("250 "), "clients have no rate: {said}");
    }
}

#[tokio::test]
async fn harvesters_and_breakers_are_kept_out_for_a_time() {
    let (house, _names) = world().await;
    set(&house, "{UnknownNameFlow=(3,10m);ErrorFlow=(1,10m);}").await;
    let mut one = client(&house, STRANGER).await;
    one.say("MAIL FROM:<a@honest.example>", "250").await;
    for n in 0..4 {
        one.say(&format!("RCPT TO:<nobody{n}@main.example>"), "550 5.1.1").await;
    }
    one.say("RCPT TO:<alice@main.example>", "421 4.7.0").await;
    connect(&house, STRANGER).expect("421 4.7.0").await;
    // One that talks before the greeting, twice.
    for _ in 0..2 {
        let mut early = connect(&house, "192.0.2.10");
        early.send("EHLO early.example\r\n").await;
        let said = early.reply().await;
        assert!(said.starts_with("554") || said.starts_with("220"), "{said}");
        for _ in 0..12 {
            early.send("NONSENSE\r\n").await;
        }
        while !early.reply().await.is_empty() {}
    }
    connect(&house, "192.0.2.10").expect("421 4.7.0").await;
    house.clock.0.fetch_add(601, std::sync::atomic::Ordering::SeqCst);
    for ip in [STRANGER, "192.0.2.10"] {
        connect(&house, ip).expect("220 ").await;
    }
}

#[tokio::test]
async fn who_reads_mail_may_send_a_moment_later() {
    let (house, _names) = world().await;
    house.passwords().await;
    set(&house, "{ReadThenSend=10m;}").await;
    // The rules are read by the first who is asked.
    assert!(rcpt(&house, STRANGER, "<x@far.example>").await.starts_with("550 5.7.1 "));
    let login = |service| Login {
        name: "alice@main.example".into(),
        password: Secret::from("secret"),
        local_ip: None,
        peer_ip: Some(STRANGER.parse().unwrap()),
        service,
        tls: true,
    };
    house.accounts.login(login(Service::Pwd)).await.unwrap();
    assert!(rcpt(&house, STRANGER, "<x@far.example>").await.starts_with("550 5.7.1 "));
    house.set("alice@main.example", "AccessModes", "All").await;
    house.accounts.login(login(Service::Imap)).await.unwrap();
    assert!(rcpt(&house, STRANGER, "<x@far.example>").await.starts_with("250 "));
    assert_eq!(house.transfer.protection().reading().len(), 1);
    house.clock.0.fetch_add(601, std::sync::atomic::Ordering::SeqCst);
    assert!(rcpt(&house, STRANGER, "<x@far.example>").await.starts_with("550 5.7.1 "));
}

#[tokio::test]
async fn an_account_sends_no_faster_than_its_setting_allows() {
    let (house, _names) = world().await;
    let id = house.accounts.find_account("alice", "main.example").await.unwrap().unwrap().id;
    let mut record = house.store.directory.account(id).await.unwrap().unwrap();
    record.settings.insert("MailOutFlow".into(), parse_line("(2,1m)").unwrap());
    house.store.directory.update_account(record, None).await.unwrap();
    let actor = house.accounts.act_at_console("alice@main.example").await.unwrap();
    let send = async |source| {
        let mut submit = Submit::new(source, "alice@main.example", &["bob@main.example"]);
        submit.actor = Some(actor.clone());
        house.transfer.submitter().submit_message(submit, b"Subject: x\r\n\r\nx\r\n").await
    };
    assert!(send(Source::Pop).await.is_ok() && send(Source::Smtp).await.is_ok());
    assert!(matches!(send(Source::Smtp).await, Err(SubmitError::Later(_))));
    assert!(send(Source::Rule).await.is_ok(), "rules do not count");
    house.clock.0.fetch_add(31, std::sync::atomic::Ordering::SeqCst);
    assert!(send(Source::Smtp).await.is_ok());
}

#[tokio::test]
async fn a_banned_line_refuses_a_message() {
    let (house, _names) = world().await;
    let console = Actor::console();
    let Value::Dictionary(lines) =
        parse_line("{HeaderLines=(\"Subject: *buy*\");BodyLines=(\"click *\");}").unwrap()
    else {
        panic!("no lines")
    };
    house.accounts.set_banned_lines(&console, lines).await.unwrap();
    for (content, begin) in [
        ("Subject: do\r\n not buy\r\n\r\nx\r\n", "550 5.7.1 "),
        ("Subject: x\r\n\r\nClick here\r\n", "550 5.7.1 "),
        ("Subject: x\r\n\r\nbuy\r\n", "250 "),
    ] {
        let mut client = client(&house, STRANGER).await;
        let said = client.mail("a@honest.example", &["alice@main.example"], content).await;
        assert!(said.starts_with(begin), "{content}: {said}");
    }
}
