//! The sending machine against the receiving one, and against servers that answer oddly.

#![allow(clippy::unwrap_used, reason = "a test may")]

use angarium_smtp::Protocol;
use angarium_smtp::address::{Mailbox, Path};
use angarium_smtp::receive;
use angarium_smtp::reply::{Reply, Status};
use angarium_smtp::send::{Envelope, Event, Session};

fn path(address: &str) -> Path {
    Path::of(Mailbox::parse(address).unwrap())
}

fn envelope(recipients: &[&str]) -> Envelope {
    Envelope {
        from: path("a@b.example"),
        recipients: recipients.iter().map(|r| (path(r), Default::default())).collect(),
        ..Envelope::default()
    }
}

/// Feeds the server's words; answers the events and what we said.
fn talk(session: &mut Session, words: &str) -> (Vec<Event>, String) {
    session.push(words.as_bytes());
    let mut events = Vec::new();
    while let Some(event) = session.next() {
        events.push(event);
    }
    let said = String::from_utf8(std::mem::take(session.output())).unwrap();
    (events, said)
}

#[test]
fn the_two_machines_understand_each_other() {
    let message = b"Subject: x\r\n\r\n.dot\r\n..\r\nend";
    for lmtp in [false, true] {
        let protocol = if lmtp { Protocol::Lmtp } else { Protocol::Smtp };
        let mut server =
            receive::Session::new(receive::Config { protocol, ..receive::Config::default() });
        let mut client = Session::new(protocol, "client.example");
        server.greet();
        let mut got = Vec::new();
        let mut done = false;
        for _ in 0..20 {
            while let Some(event) = server.next() {
                match event {
                    receive::Event::Hello { .. } => server.welcome(),
                    receive::Event::Mail { .. } | receive::Event::Rcpt { .. } => {
                        server.answer(Reply::new(250, Status(2, 1, 0), "ok"));
                    }
                    receive::Event::Content => server.proceed(),
                    receive::Event::Data(data) => got.extend_from_slice(&data),
                    receive::Event::End { .. } if lmtp => {
                        let ok = Reply::new(250, Status(2, 0, 0), "ok");
                        server.answer_each(&[ok.clone(), ok]);
                    }
                    receive::Event::End { .. } => {
                        server.answer(Reply::new(250, Status(2, 0, 0), "7 accepted"));
                    }
                    _ => {}
                }
            }
            let words = std::mem::take(server.output());
            client.push(&words);
            while let Some(event) = client.next() {
                match event {
                    Event::Greeting(_) => client.hello(),
                    Event::Hello(able) => {
                        assert!(able.pipelining && able.chunking && able.dsn);
                        client.envelope(envelope(&["c@d.example", "e@f.example"]), 10);
                    }
                    Event::Envelope { go, recipients, .. } => {
                        assert!(go);
                        assert_eq!(recipients.len(), 2);
                        client.content(message);
                        client.content_end();
                    }
                    Event::Sent(replies) => {
                        assert_eq!(replies.len(), if lmtp { 2 } else { 1 });
                        client.quit();
                    }
                    Event::Done(reply) => {
                        assert_eq!(reply.code, 221);
                        done = true;
                    }
                    other => panic!("{other:?}"),
                }
            }
            let words = std::mem::take(client.output());
            server.input().extend_from_slice(&words);
        }
        assert!(done);
        assert_eq!(got, message);
    }
}

#[test]
fn a_server_without_extensions_is_served_one_command_at_a_time() {
    let mut session = Session::new(Protocol::Smtp, "c.example");
    let (events, _) = talk(&mut session, "220 old\r\n");
    assert!(matches!(events[..], [Event::Greeting(_)]));
    session.hello();
    assert_eq!(talk(&mut session, "").1, "EHLO c.example\r\n");
    assert_eq!(talk(&mut session, "500 what?\r\n").1, "HELO c.example\r\n");
    talk(&mut session, "250 old\r\n");
    session.envelope(envelope(&["x@y.example", "z@y.example"]), 3);
    assert_eq!(talk(&mut session, "").1, "MAIL FROM:<a@b.example>\r\n");
    assert_eq!(talk(&mut session, "250 ok\r\n").1, "RCPT TO:<x@y.example>\r\n");
    assert_eq!(talk(&mut session, "550 no\r\n").1, "RCPT TO:<z@y.example>\r\n");
    assert_eq!(talk(&mut session, "250 ok\r\n").1, "DATA\r\n");
    let (events, _) = talk(&mut session, "354 go\r\n");
    assert!(matches!(&events[..], [Event::Envelope { go: true, .. }]));
    session.content(b".a\nb");
    session.content_end();
    assert_eq!(talk(&mut session, "").1, "..a\r\nb\r\n.\r\n");
    let (events, _) = talk(&mut session, "250 kept\r\n");
    assert!(matches!(&events[..], [Event::Sent(r)] if r[0].is_positive()));
}

#[test]
fn refusals_leave_the_session_in_order() {
    let mut session = Session::new(Protocol::Smtp, "c.example");
    session.hello();
    talk(
        &mut session,
        "220 x\r\n250-x\r\n250-SIZE 100\r\n250-AUTH PLAIN LOGIN\r\n250 PIPELINING\r\n",
    );
    assert_eq!(session.capabilities().auth, ["PLAIN", "LOGIN"]);
    session.auth_plain("", "joe", "secret");
    let (events, said) = talk(&mut session, "535 5.7.8 no\r\n");
    assert_eq!(said, "AUTH PLAIN AGpvZQBzZWNyZXQ=\r\n");
    assert!(matches!(&events[..], [Event::Refused(_)]));
    session.envelope(envelope(&["x@y.example"]), 7);
    let said = talk(&mut session, "").1;
    assert_eq!(said, "MAIL FROM:<a@b.example> SIZE=7\r\nRCPT TO:<x@y.example>\r\nDATA\r\n");
    // Nobody accepted, DATA refused: RSET.
    let (events, said) = talk(&mut session, "250 ok\r\n550 no\r\n554 no valid recipients\r\n");
    assert!(matches!(&events[..], [Event::Envelope { go: false, .. }]));
    assert_eq!(said, "RSET\r\n");
    // Nobody accepted, DATA taken all the same: an empty message.
    session.envelope(envelope(&["x@y.example"]), 7);
    let (events, said) = talk(&mut session, "250 reset\r\n250 ok\r\n550 no\r\n354 go\r\n");
    assert!(matches!(&events[..], [Event::Envelope { go: false, .. }]));
    assert!(said.ends_with("DATA\r\n.\r\n"));
    // MAIL refused: its answer stands for every recipient.
    session.envelope(envelope(&["x@y.example"]), 7);
    let (events, _) = talk(&mut session, "554 nobody\r\n450 busy\r\n503 no\r\n503 no\r\n");
    let [Event::Envelope { mail, recipients, go: false, .. }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((mail.code, recipients[0].code), (450, 503));
}

#[test]
fn content_goes_in_chunks_and_a_refused_chunk_ends_it() {
    let hello = "220 x\r\n250-x\r\n250-CHUNKING\r\n250 PIPELINING\r\n";
    let begin = || {
        let mut session = Session::new(Protocol::Smtp, "c.example");
        session.hello();
        talk(&mut session, hello);
        session.envelope(envelope(&["x@y.example"]), 3);
        let said = talk(&mut session, "").1;
        assert_eq!(said, "MAIL FROM:<a@b.example>\r\nRCPT TO:<x@y.example>\r\n");
        let (events, _) = talk(&mut session, "250 ok\r\n250 ok\r\n");
        assert!(matches!(&events[..], [Event::Envelope { go: true, .. }]));
        session
    };
    let mut session = begin();
    session.content(b"a\nb");
    session.content(b".c");
    session.content_end();
    let (events, said) = talk(&mut session, "250 more\r\n250 kept\r\n");
    assert_eq!(said, "BDAT 4\r\na\r\nbBDAT 2 LAST\r\n.c");
    assert!(matches!(&events[..], [Event::Sent(r)] if r[0].lines == ["kept"]));
    let mut session = begin();
    session.content(b"a");
    session.content(b"b");
    let (events, said) = talk(&mut session, "452 full\r\n");
    assert_eq!(said, "BDAT 1\r\na");
    assert!(matches!(&events[..], [Event::ChunkRefused(r)] if r.code == 452));
}

#[test]
fn binary_content_goes_as_it_is_where_it_may() {
    use angarium_smtp::parameters::BodyKind;
    let mut session = Session::new(Protocol::Smtp, "c.example");
    session.hello();
    talk(&mut session, "220 x\r\n250-x\r\n250-CHUNKING\r\n250 BINARYMIME\r\n");
    let mut binary = envelope(&["x@y.example"]);
    binary.parameters.body = Some(BodyKind::BinaryMime);
    session.envelope(binary, 3);
    assert_eq!(talk(&mut session, "").1, "MAIL FROM:<a@b.example> BODY=BINARYMIME\r\n");
    talk(&mut session, "250 ok\r\n250 ok\r\n");
    session.content(b"\n\0\r");
    session.content_end();
    assert_eq!(talk(&mut session, "").1, "BDAT 3 LAST\r\n\n\0\r");
}

#[test]
fn a_password_is_given_in_steps_where_the_server_asks_for_it() {
    let mut session = Session::new(Protocol::Smtp, "c.example");
    session.hello();
    talk(&mut session, "220 x\r\n250-x\r\n250 AUTH LOGIN\r\n");
    session.auth_login("joe", "secret");
    assert_eq!(talk(&mut session, "").1, "AUTH LOGIN\r\n");
    assert_eq!(talk(&mut session, "334 VXNlcm5hbWU6\r\n").1, "am9l\r\n");
    assert_eq!(talk(&mut session, "334 UGFzc3dvcmQ6\r\n").1, "c2VjcmV0\r\n");
    assert_eq!(talk(&mut session, "334 more\r\n").1, "*\r\n");
    let (events, _) = talk(&mut session, "235 ok\r\n");
    assert!(matches!(&events[..], [Event::Authenticated]));
}
