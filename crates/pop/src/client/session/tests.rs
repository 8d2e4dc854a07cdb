//! Transcripts of the client's machine: what a server says, what comes of it, cut anywhere.

use super::*;

/// Feeds the bytes in pieces of `step` and gathers all events, message data joined.
fn events(session: &mut Session, bytes: &[u8], step: usize) -> Vec<Event> {
    let mut found: Vec<Event> = Vec::new();
    for piece in bytes.chunks(step.max(1)) {
        session.push(piece);
        while let Some(event) = session.next() {
            if let (Some(Event::MessageData(before)), Event::MessageData(more)) =
                (found.last_mut(), &event)
            {
                before.extend_from_slice(more);
            } else {
                found.push(event);
            }
        }
    }
    found
}

fn asked(commands: &[Command]) -> Session {
    let mut session = Session::default();
    for command in commands {
        session.send(command).unwrap();
    }
    session
}

#[test]
fn rfc1939_a_whole_session_sent_ahead_gives_the_same_events_however_it_is_cut() {
    let commands = [
        Command::Capa,
        Command::User("joe".into()),
        Command::Pass("a b".into()),
        Command::Stat,
        Command::List,
        Command::Uidl,
        Command::Retr(1),
        Command::Dele(1),
        Command::Quit,
    ];
    let wire = b"+OK ready <1.2@old.example>\r\n\
        +OK\r\nTOP\r\nUIDL\r\nSTLS\r\nPIPELINING\r\nSASL PLAIN cram-md5\r\n\
        IMPLEMENTATION Old One 3\r\n.\r\n\
        +OK\r\n+OK 2 messages\r\n+OK 2 320\r\n\
        +OK\r\n1 120\r\n2 200 more\r\n.\r\n+OK\r\n1 a..b\r\n2 QhdPYR:00WBw1Ph7x7\r\n.\r\n\
        +OK 120 octets\r\nA: b\r\n\r\n..dot\r\n.\r\n+ok gone\r\n+OK bye\r\n";
    let mut first = None;
    for step in [1, 2, 3, 7, 1000] {
        let mut session = asked(&commands);
        let sent = String::from_utf8(session.output().clone()).unwrap();
        assert_eq!(
            sent,
            "CAPA\r\nUSER joe\r\nPASS a b\r\nSTAT\r\nLIST\r\nUIDL\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n"
        );
        let found = events(&mut session, wire, step);
        let expected = first.get_or_insert_with(|| found.clone());
        assert_eq!(&found, expected, "cut into {step}");
    }
    let found = first.unwrap();
    let Some(Event::Greeting { timestamp, .. }) = found.first() else { panic!("{found:?}") };
    assert_eq!(timestamp.as_deref(), Some("<1.2@old.example>"));
    let Some(Event::Capabilities(able)) = found.get(1) else { panic!("{found:?}") };
    assert!(able.told && able.uidl && able.stls && able.pipelining && !able.user);
    assert_eq!(able.sasl, ["PLAIN", "CRAM-MD5"]);
    assert_eq!(able.implementation.as_deref(), Some("Old One 3"));
    assert!(found.contains(&Event::Stat { messages: 2, octets: 320 }));
    assert!(found.contains(&Event::Sizes(vec![(1, 120), (2, 200)])));
    let ids = vec![(1, "a..b".to_owned()), (2, "QhdPYR:00WBw1Ph7x7".to_owned())];
    assert!(found.contains(&Event::UniqueIds(ids)));
    assert!(found.contains(&Event::MessageData(b"A: b\r\n\r\n.dot\r\n".to_vec())));
    assert_eq!(found.last(), Some(&Event::Done { of: Verb::Quit, text: "bye".into() }));
}

#[test]
fn rfc2449_refusals_carry_their_code() {
    let mut session = asked(&[Command::User("joe".into()), Command::Retr(9)]);
    let wire = b"+OK\r\n-ERR [in-use] Do you have another\x07 session?\r\n-ERR\r\n";
    let found = events(&mut session, wire, 5);
    let Some(Event::Refused { of: Verb::User, refusal }) = found.get(1) else {
        panic!("{found:?}")
    };
    assert!(refusal.is_temporary());
    assert_eq!(refusal.to_string(), "[IN-USE] Do you have another? session?");
    let Some(Event::Refused { of: Verb::Retrieve(9), refusal }) = found.get(2) else {
        panic!("{found:?}")
    };
    assert_eq!(refusal.to_string(), "no reason given");
}

#[test]
fn rfc5034_auth_is_challenged_and_answered() {
    let auth = Command::Auth { mechanism: "CRAM-MD5".into(), initial: None };
    let mut session = asked(&[auth]);
    let found = events(&mut session, b"+OK\r\n+ PDEuMkBvbGQ+\r\n", 3);
    assert_eq!(found.last(), Some(&Event::Challenge(b"<1.2@old>".to_vec())));
    session.output().clear();
    session.send(&Command::AuthReply(b"joe 00".to_vec())).unwrap();
    assert_eq!(session.output().as_slice(), b"am9lIDAw\r\n");
    let found = events(&mut session, b"+OK in\r\n", 3);
    assert_eq!(found, [Event::Done { of: Verb::Login, text: "in".into() }]);
    let initial = Command::Auth { mechanism: "PLAIN".into(), initial: Some(Vec::new()) };
    session.output().clear();
    session.send(&initial).unwrap();
    assert_eq!(session.output().as_slice(), b"AUTH PLAIN =\r\n");
}

#[test]
fn rfc2595_what_was_said_in_clear_before_tls_is_forgotten() {
    let mut session = asked(&[Command::Stls]);
    session.push(b"+OK\r\n+OK begin\r\n+OK injected\r\n");
    assert!(matches!(session.next(), Some(Event::Greeting { .. })));
    assert_eq!(session.next(), Some(Event::StartTls));
    session.tls_started();
    session.send(&Command::Capa).unwrap();
    assert_eq!(session.next(), None);
}

#[test]
fn a_hostile_server_is_broken_off() {
    for wire in [
        &b"* OK IMAP here\r\n"[..],
        b"+OK\r\n+OK\r\nx y\r\n",
        b"+OK\r\n+OK\r\n1 99999999999999999999999999\r\n",
        b"+OK\r\n+OK\r\n1 1\r\n.\r\n+OK not asked\r\n",
    ] {
        let found = events(&mut asked(&[Command::List]), wire, 4);
        assert!(matches!(found.last(), Some(Event::Broken(_))), "{found:?}");
    }
    let mut session = asked(&[]);
    let found = events(&mut session, &vec![b'x'; 3 * MAX_ANSWER_LINE], 4096);
    assert_eq!(found, [Event::Broken("a line is too long")]);
}

#[test]
fn no_password_can_carry_a_second_command() {
    let mut session = Session::default();
    for password in ["a\r\nDELE 1", "a\nb", "a\0b"] {
        assert_eq!(session.send(&Command::Pass(password.into())), Err(CommandError));
    }
    assert!(session.output().is_empty());
    assert_eq!(format!("{:?}", Command::Pass("secret".into())), "Login");
}
