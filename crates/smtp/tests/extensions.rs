//! The extensions of the receiving machine: what is announced, and each parameter and command
//! with and without its extension, however the input is cut.
#![allow(clippy::unwrap_used, reason = "a test may")]

use angarium_smtp::receive::{Config, Event, Offers, Session};
use angarium_smtp::reply::{Reply, Status};
use proptest::prelude::*;

/// Runs a client's bytes in pieces of `cut`; answers all output and the events.
fn run(config: Config, input: &str, cut: usize) -> (String, Vec<Event>) {
    let mut session = Session::new(config);
    session.greet();
    let mut events = Vec::new();
    for piece in input.as_bytes().chunks(cut.max(1)) {
        session.input().extend_from_slice(piece);
        while let Some(event) = session.next() {
            let ok = || Reply::new(250, Status(2, 0, 0), "ok");
            match &event {
                Event::Hello { .. } => session.welcome(),
                Event::Content => session.proceed(),
                Event::Auth { .. } => session.answer(Reply::new(235, Status(2, 7, 0), "in")),
                Event::Mail { .. }
                | Event::Rcpt { .. }
                | Event::End { .. }
                | Event::Etrn { .. }
                | Event::Atrn { .. }
                | Event::Xclient(_) => session.answer(ok()),
                _ => {}
            }
            if !matches!(event, Event::Data(_)) {
                events.push(event);
            }
        }
    }
    (String::from_utf8(session.output().clone()).unwrap(), events)
}

fn bare() -> Config {
    Config {
        host: "mail.example".into(),
        product: "Angarium".into(),
        enforce_pipelining: false,
        mechanisms_plain: vec!["PLAIN".into()],
        mechanisms_tls: vec!["PLAIN".into()],
        ..Config::default()
    }
}

fn all() -> Config {
    let offers = Offers {
        binary_mime: true,
        burl: true,
        deliver_by: Some(60),
        future_release: Some((86_400, 1_800_000_000)),
        priority: true,
        require_tls: true,
        same_owner: true,
        no_soliciting: Some("org.example:adv".into()),
        limits: true,
        etrn: true,
        atrn: true,
        xclient: true,
        ..Offers::default()
    };
    Config { tls: true, offers, ..bare() }
}

/// The last line of what is answered to one line after EHLO.
fn answer(config: Config, line: &str) -> String {
    let (output, _) = run(config, &format!("EHLO c.example\r\n{line}\r\n"), 1000);
    output.lines().last().unwrap_or_default().to_owned()
}

#[test]
fn what_can_be_done_is_announced_and_nothing_else() {
    let (output, _) = run(all(), "EHLO c.example\r\n", 1000);
    let lines: Vec<&str> = output.lines().skip(2).map(|l| &l[4..]).collect();
    assert_eq!(
        lines,
        [
            "PIPELINING",
            "SIZE 67108864",
            "8BITMIME",
            "BINARYMIME",
            "SMTPUTF8",
            "CHUNKING",
            "BURL imap",
            "ENHANCEDSTATUSCODES",
            "DSN",
            "DELIVERBY 60",
            "FUTURERELEASE 86400 2027-01-16T08:00:00Z",
            "MT-PRIORITY",
            "REQUIRETLS",
            "RRVS",
            "NO-SOLICITING org.example:adv",
            "LIMITS MAILMAX=10000 RCPTMAX=1000",
            "ETRN",
            "ATRN",
            "XCLIENT NAME ADDR PORT PROTO HELO DESTADDR DESTPORT",
            "AUTH PLAIN",
            "HELP",
        ]
    );
    let plain = Config { tls: false, ..all() };
    assert!(!run(plain, "EHLO c.example\r\n", 1000).0.contains("REQUIRETLS"));
    let offers = Offers { size: false, eight_bit_mime: false, ..Offers::default() };
    let (output, _) = run(Config { offers, ..bare() }, "EHLO c.example\r\n", 1000);
    assert!(!output.contains("SIZE") && !output.contains("8BITMIME"));
}

#[test]
fn a_parameter_is_taken_where_its_extension_is_announced() {
    for (parameter, at_fault) in [
        ("BODY=BINARYMIME", "555 5.5.4 BINARYMIME is not offered"),
        ("BY=120;R", "555 5.5.4 DELIVERBY is not offered"),
        ("HOLDFOR=60", "555 5.5.4 FUTURERELEASE is not offered"),
        ("HOLDUNTIL=2027-01-15T09:00:00Z", "555 5.5.4 FUTURERELEASE is not offered"),
        ("MT-PRIORITY=3", "555 5.5.4 MT-PRIORITY is not offered"),
        ("REQUIRETLS", "555 5.5.4 REQUIRETLS is not offered"),
        ("SOLICIT=org.example:other", "555 5.5.4 NO-SOLICITING is not offered"),
    ] {
        let line = format!("MAIL FROM:<a@b.example> {parameter}");
        assert_eq!(answer(all(), &line), "250 2.0.0 ok", "{parameter}");
        assert_eq!(answer(bare(), &line), at_fault);
    }
    let envelope = "MAIL FROM:<>\r\nRCPT TO:<a@b.example> RRVS=2027-01-15T08:00:00Z";
    assert_eq!(answer(all(), envelope), "250 2.0.0 ok");
    assert_eq!(answer(bare(), envelope), "555 5.5.4 RRVS is not offered");
}

#[test]
fn what_a_parameter_asks_for_is_bounded() {
    for (parameter, reply) in [
        ("BY=0;R", "501 5.5.4 BY with R takes at least 60 seconds"),
        ("BY=-1;R", "501 5.5.4 BY with R takes at least 60 seconds"),
        ("BY=59;R", "501 5.5.4 BY with R takes at least 60 seconds"),
        ("BY=0;N", "250 2.0.0 ok"),
        ("HOLDFOR=86401", "501 5.5.4 a message is held for at most 86400 seconds"),
        ("HOLDUNTIL=2028-01-15T09:00:00Z", "501 5.5.4 a message is held for at most 86400 seconds"),
        ("HOLDFOR=1 HOLDFOR=2", "501 5.5.4 parameter given twice or without value"),
        ("SOLICIT=org.example:ADV", "550 5.7.1 no solicitations of this kind"),
    ] {
        assert_eq!(answer(all(), &format!("MAIL FROM:<a@b.example> {parameter}")), reply);
    }
    let config = || Config { max_messages: 1, ..all() };
    let message = "MAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\n.\r\n";
    assert_eq!(answer(config(), message.trim_end()), "250 2.0.0 ok");
    let two = format!("{message}MAIL FROM:<>");
    assert_eq!(answer(config(), &two), "421 4.7.0 too many messages on one connection");
}

#[test]
fn etrn_and_atrn_are_asked_in_their_place() {
    assert_eq!(answer(all(), "ETRN b.example"), "250 2.0.0 ok");
    assert_eq!(answer(bare(), "ETRN b.example"), "502 5.5.1 ETRN is not offered");
    assert_eq!(answer(bare(), "ATRN"), "502 5.5.1 ATRN is not offered");
    assert_eq!(answer(all(), "ATRN b.example"), "530 5.7.0 authentication required");
    assert_eq!(answer(all(), "MAIL FROM:<>\r\nETRN b.example"), "503 5.5.1 a message is under way");
    let (output, _) = run(all(), "ETRN b.example\r\n", 1000);
    assert!(output.ends_with("503 5.5.1 say EHLO first\r\n"));
    let input = "EHLO c.example\r\nAUTH PLAIN =\r\nATRN B.example,c.example\r\n";
    for cut in [1, 5, 1000] {
        let (output, events) = run(all(), input, cut);
        let domains = vec!["b.example".to_owned(), "c.example".to_owned()];
        assert_eq!(events[2..], [Event::Atrn { domains }, Event::Turned]);
        assert!(output.ends_with("235 2.7.0 in\r\n250 2.0.0 ok\r\n"));
    }
    // ABU-18: what is sent ahead of the turn cannot become an answer of the new server.
    let (output, events) = run(all(), &format!("{input}220 mine\r\n250 all\r\n"), 1000);
    assert!(!events.contains(&Event::Turned), "{output}");
}

#[test]
fn a_trusted_relay_says_who_the_client_is() {
    assert_eq!(answer(bare(), "XCLIENT ADDR=192.0.2.1"), "550 5.7.0 XCLIENT is for trusted relays");
    let reply = answer(all(), "XCLIENT ADDR=192.0.2.1 NAME=c.example");
    assert_eq!(reply, "220 mail.example ESMTP Angarium is glad to see you!");
    let again = answer(all(), "AUTH PLAIN =\r\nXCLIENT ADDR=192.0.2.1\r\nMAIL FROM:<>");
    assert_eq!(again, "503 5.5.1 say EHLO first");
    assert_eq!(answer(all(), "XCLIENT LOGIN=root"), "501 5.5.4 attribute not known");
}

#[test]
fn names_are_told_to_nobody() {
    // ABU-15: the same answer whatever the name.
    for name in ["alice", "nobody", "a@b.example", ""] {
        let reply = answer(all(), &format!("VRFY {name}"));
        assert_eq!(reply, "252 2.1.5 not verified, but mail will be taken if the name is good");
        assert_eq!(answer(all(), &format!("EXPN {name}")), "502 5.7.0 lists are not expanded");
    }
    assert!(answer(all(), "HELP").contains("ETRN ATRN"));
    assert!(!answer(bare(), "HELP").contains("ETRN"));
}

fn line() -> impl Strategy<Value = String> {
    let parameter = prop_oneof![
        "BY=[-+]?[0-9]{0,10};[NRT]{0,2}",
        "HOLDFOR=[0-9]{0,11}",
        "HOLDUNTIL=[0-9TZ:+-]{0,26}",
        "MT-PRIORITY=[-+]?[0-9]{0,2}",
        "REQUIRETLS",
        "SOLICIT=[a-z.:,]{0,12}",
        "RRVS=[0-9TZ:;CR-]{0,24}",
    ];
    prop_oneof![
        parameter.clone().prop_map(|p| format!("MAIL FROM:<a@b> {p}\r\n")),
        parameter.prop_map(|p| format!("RCPT TO:<a@b> {p}\r\n")),
        "ETRN [@#a-z. ]{0,8}\r\n",
        "ATRN [a-z., ]{0,8}\r\n",
        "XCLIENT (ADDR|PORT|NAME|PROTO|HELO)=[a-zA-Z0-9.:+\\[\\]]{0,12}\r\n",
        Just("RSET\r\n".to_owned()),
        Just("AUTH PLAIN =\r\n".to_owned()),
        Just("DATA\r\nx\r\n.\r\n".to_owned()),
    ]
}

proptest! {
    #[test]
    fn however_the_input_is_cut_the_answers_are_the_same(
        lines in prop::collection::vec(line(), 0..12), cut in 1usize..40,
    ) {
        let lines: Vec<_> = lines.into_iter().filter(|l| !l.starts_with("ATRN")).collect();
        let input = format!("EHLO c.example\r\n{}", lines.concat());
        let (whole, _) = run(all(), &input, usize::MAX);
        let (pieces, _) = run(all(), &input, cut);
        prop_assert_eq!(whole, pieces);
    }

    #[test]
    fn no_sequence_makes_the_machine_panic(
        lines in prop::collection::vec(line(), 0..12), cut in 1usize..40,
    ) {
        run(all(), &format!("EHLO c.example\r\n{}", lines.concat()), cut);
    }
}
