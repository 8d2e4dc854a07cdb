//! The receiving machine as readable sessions: what the client says, what we answer.
//! A01 of the SMTP rows: EHLO, PIPELINING, SIZE, CHUNKING, STARTTLS, AUTH, strict line ends.

#![allow(clippy::unwrap_used, reason = "a test may")]

use angarium_smtp::Protocol;
use angarium_smtp::receive::{Abort, Close, Config, Event, Session};
use angarium_smtp::reply::{Reply, Status};
use proptest::prelude::*;

/// Runs a session over the input cut in pieces, with a caller that takes everything but
/// recipients starting with `no`. Answers output and events, data joined.
fn run(config: Config, input: &[u8], cut: usize) -> (String, Vec<String>) {
    let mut session = Session::new(config);
    session.greet();
    let mut events: Vec<String> = Vec::new();
    let mut message = Vec::new();
    for piece in input.chunks(cut.max(1)) {
        session.input().extend_from_slice(piece);
        while let Some(event) = session.next() {
            match &event {
                Event::Data(data) => {
                    message.extend_from_slice(data);
                    continue;
                }
                Event::End { .. } => {
                    let text = String::from_utf8_lossy(&message).into_owned();
                    events.push(format!("message {text:?}"));
                    message.clear();
                }
                Event::Aborted(_) => message.clear(),
                _ => {}
            }
            match &event {
                Event::Hello { .. } => session.welcome(),
                Event::Mail { path, .. } => {
                    session.answer(Reply::new(250, Status(2, 1, 0), format!("{path} sender ok")));
                }
                Event::Rcpt { path, .. } if path.address().starts_with("no") => {
                    session.answer(Reply::new(550, Status(5, 1, 1), "unknown"));
                }
                Event::Rcpt { path, .. } => {
                    session.answer(Reply::new(250, Status(2, 1, 5), format!("{path} ok")));
                }
                Event::Content => session.proceed(),
                Event::End { .. } => session.answer(Reply::new(250, Status(2, 0, 0), "1 taken")),
                Event::Auth { .. } => session.challenge(b"Username:"),
                Event::AuthResponse(_) => session.answer(Reply::new(235, Status(2, 7, 0), "in")),
                _ => {}
            }
            events.push(format!("{event:?}"));
        }
    }
    let output = String::from_utf8(session.output().clone()).unwrap();
    (output, events)
}

fn config() -> Config {
    Config { host: "mail.example".into(), product: "Angarium".into(), ..Config::default() }
}

/// The replies' codes, in order, one a reply.
fn codes(output: &str) -> Vec<&str> {
    output.lines().filter(|l| l.as_bytes()[3] == b' ').map(|l| &l[..3]).collect()
}

const ENVELOPE: &str = "EHLO c.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n";

fn loose() -> Config {
    Config { enforce_pipelining: false, ..config() }
}

#[test]
fn a_session_reads_as_the_guides_show_it() {
    let input =
        format!("{ENVELOPE}RCPT TO:<nobody@d.example>\r\nDATA\r\nHi\r\n..dot\r\n.\r\nQUIT\r\n");
    let (output, events) = run(loose(), input.as_bytes(), 1000);
    assert_eq!(
        output,
        "220 mail.example ESMTP Angarium is glad to see you!\r\n\
         250-mail.example is pleased to meet you\r\n\
         250-PIPELINING\r\n\
         250-SIZE 67108864\r\n\
         250-8BITMIME\r\n\
         250-SMTPUTF8\r\n\
         250-CHUNKING\r\n\
         250-ENHANCEDSTATUSCODES\r\n\
         250-DSN\r\n\
         250 HELP\r\n\
         250 2.1.0 <a@b.example> sender ok\r\n\
         250 2.1.5 <c@d.example> ok\r\n\
         550 5.1.1 unknown\r\n\
         354 Enter mail, end with \".\" on a line by itself\r\n\
         250 2.0.0 1 taken\r\n\
         221 2.0.0 mail.example Angarium SMTP closing connection\r\n"
    );
    assert!(events.contains(&"message \"Hi\\r\\n.dot\\r\\n\"".to_owned()));
    assert!(events.contains(&format!("{:?}", Event::Closing(Close::Quit))));
}

#[test]
fn a_bare_lf_or_cr_never_makes_a_second_message() {
    // ABU-01
    for end in ["\n.\n", "\r.\r", "\r\n.\n", "\n.\r\n", "\r\n.\r", "\r.\r\n", "\r\r\n.\n"] {
        let hidden = "MAIL FROM:<x@x.example>\r\nRCPT TO:<y@y.example>\r\nDATA\r\nevil";
        let input = format!("{ENVELOPE}DATA\r\nHi{end}{hidden}\r\n.\r\nNOOP\r\n");
        for cut in [1, 2, 3, 7, 1000] {
            let (output, events) = run(loose(), input.as_bytes(), cut);
            let mails = events.iter().filter(|e| e.starts_with("Mail")).count();
            assert_eq!(mails, 1, "{end:?}");
            assert!(!events.iter().any(|e| e.starts_with("message")), "{end:?}");
            assert_eq!(
                codes(&output),
                ["220", "250", "250", "250", "354", "550", "250"],
                "{end:?}"
            );
        }
    }
    // NUL beside the dot is content.
    let input = format!("{ENVELOPE}DATA\r\nHi\r\n.\0\r\n\0.\r\n.\r\n");
    let (_, events) = run(loose(), input.as_bytes(), 5);
    assert!(events.contains(&"message \"Hi\\r\\n\\0\\r\\n\\0.\\r\\n\"".to_owned()));
}

#[test]
fn command_lines_end_with_crlf_alone() {
    let input = b"EHLO c.example\r\nNOOP\nNOOP\r\nNO\rOP\r\nNO\0OP\r\nNOOP \xff\r\n";
    let (output, _) = run(config(), &input[..16], 1000);
    assert_eq!(codes(&output), ["220", "250"]);
    let (output, _) = run(loose(), input, 1000);
    assert_eq!(codes(&output), ["220", "250", "500", "250", "500", "500", "500"]);
}

#[test]
fn what_is_sent_behind_starttls_is_thrown_away() {
    // ABU-03
    let mut session = Session::new(Config { starttls: true, ..config() });
    session.input().extend_from_slice(b"EHLO c.example\r\n");
    assert!(matches!(session.next(), Some(Event::Hello { .. })));
    session.welcome();
    session.output().clear();
    session.input().extend_from_slice(b"STARTTLS\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d>\r\n");
    assert_eq!(session.next(), Some(Event::StartTls));
    assert_eq!(session.next(), None);
    assert_eq!(session.output(), b"220 2.0.0 ready to start TLS\r\n");
    session.input().extend_from_slice(b"NOOP\r\n");
    assert_eq!(session.next(), None);
    session.tls_started();
    assert_eq!(session.next(), None);
    assert!(session.output().is_empty());
    session.input().extend_from_slice(b"MAIL FROM:<a@b.example>\r\n");
    assert_eq!(session.next(), None);
    assert_eq!(session.output(), b"503 5.5.1 say EHLO first\r\n");
}

#[test]
fn commands_sent_ahead_without_the_extension_are_refused() {
    // ABU-04
    for start in ["", "HELO c.example\r\n"] {
        let mut session = Session::new(config());
        session.input().extend_from_slice(start.as_bytes());
        while session.next().is_some() {
            session.welcome();
        }
        session.input().extend_from_slice(b"NOOP\r\nNOOP\r\n");
        assert_eq!(session.next(), Some(Event::Closing(Close::Pipelining)));
    }
    let mut session = Session::new(config());
    session.refuse_early_talk();
    assert_eq!(session.next(), Some(Event::Closing(Close::EarlyTalk)));
    assert!(session.output().starts_with(b"554 "));
}

#[test]
fn chunks_make_one_message() {
    let input = format!("{ENVELOPE}BDAT 4\r\na\r\nbBDAT 0\r\nBDAT 3 LAST\r\nc\r\nNOOP\r\n");
    let (output, events) = run(loose(), input.as_bytes(), 3);
    assert!(events.contains(&"message \"a\\r\\nbc\\r\\n\"".to_owned()), "{events:?}");
    assert_eq!(codes(&output), ["220", "250", "250", "250", "250", "250", "250", "250"]);
    let (_, events) = run(loose(), format!("{ENVELOPE}BDAT 0 LAST\r\n").as_bytes(), 3);
    assert!(events.contains(&"message \"\"".to_owned()));
}

#[test]
fn chunks_out_of_place_are_swallowed_not_obeyed() {
    // ABU-10
    let (output, events) = run(loose(), b"EHLO c\r\nBDAT 6\r\nNOOP\r\nNOOP\r\n", 2);
    assert_eq!(codes(&output), ["220", "250", "503", "250"]);
    assert_eq!(events.len(), 1);
    for size in ["18446744073709551615", "18446744073709551616", "99999999999", "LAST 0"] {
        let input = format!("{ENVELOPE}BDAT {size}\r\nMAIL FROM:<x@y.example>\r\n");
        let (output, events) = run(loose(), input.as_bytes(), 1000);
        assert_eq!(events.last().unwrap(), &format!("{:?}", Event::Closing(Close::Flood)));
        assert!(matches!(codes(&output)[4], "552" | "501"), "{output}");
    }
    // A bare LF in a chunk: refused, and the rest of the message too.
    let input = format!("{ENVELOPE}BDAT 3\r\na\nbBDAT 1 LAST\r\ncNOOP\r\n");
    let (output, events) = run(loose(), input.as_bytes(), 1000);
    assert_eq!(codes(&output), ["220", "250", "250", "250", "550", "503", "250"]);
    assert!(!events.iter().any(|e| e.starts_with("message")));
    // A CR at the end of a chunk whose LF comes in the next is good; one at the very end is not.
    let input = format!("{ENVELOPE}BDAT 2\r\na\rBDAT 1 LAST\r\n\n");
    let (_, events) = run(loose(), input.as_bytes(), 1);
    assert!(events.contains(&"message \"a\\r\\n\"".to_owned()));
    let (output, _) = run(loose(), format!("{ENVELOPE}BDAT 2 LAST\r\na\r").as_bytes(), 1);
    assert_eq!(codes(&output).last(), Some(&"550"));
}

#[test]
fn size_is_held_whatever_was_declared() {
    // ABU-09, ABU-10
    let small = Config { max_size: 10, ..loose() };
    let (output, _) = run(small.clone(), b"EHLO c\r\nMAIL FROM:<a@b> SIZE=11\r\n", 1000);
    assert_eq!(codes(&output), ["220", "250", "552"]);
    let input = format!("{ENVELOPE}DATA\r\n0123456789\r\n..\r\n.\r\nNOOP\r\n");
    for cut in [1, 5, 1000] {
        let (output, events) = run(small.clone(), input.as_bytes(), cut);
        assert_eq!(codes(&output), ["220", "250", "250", "250", "354", "552", "250"]);
        assert!(events.contains(&format!("{:?}", Event::Aborted(Abort::TooLarge))));
    }
}

#[test]
fn floods_are_cut_off() {
    // ABU-09
    let floods: [(Vec<u8>, Close); 5] = [
        (b"NOOP\r\n".repeat(300), Close::TooMany),
        (b"RSET\r\n".repeat(300), Close::TooMany),
        (b"FOO\r\n".repeat(20), Close::TooMany),
        ([ENVELOPE.as_bytes(), &b"RCPT TO:<no@d>\r\n".repeat(300)].concat(), Close::TooMany),
        (vec![b'x'; 100_000], Close::Flood),
    ];
    for (flood, close) in floods {
        for cut in [999, 1_000_000] {
            let input = [b"EHLO c.example\r\n".as_slice(), &flood].concat();
            let (output, events) = run(loose(), &input, cut);
            assert_eq!(events.last().unwrap(), &format!("{:?}", Event::Closing(close)));
            assert!(output.len() < 20_000);
        }
    }
    let many = [ENVELOPE.as_bytes(), &b"RCPT TO:<yes@d>\r\n".repeat(2500)].concat();
    let (output, _) = run(loose(), &many, 4096);
    assert_eq!(output.matches("452 4.5.3").count(), 1501);
    let many = [ENVELOPE.as_bytes(), &b"RCPT TO:<yes@d>\r\n".repeat(20_000)].concat();
    let (output, events) = run(loose(), &many, 4096);
    assert_eq!(output.matches("452 4.5.3").count(), 10_000);
    assert_eq!(events.last().unwrap(), &format!("{:?}", Event::Closing(Close::TooMany)));
}

#[test]
fn a_long_line_is_refused_and_the_session_goes_on() {
    let input = format!("EHLO c.example\r\nNOOP {}\r\nNOOP\r\n", "x".repeat(3000));
    for cut in [100, 2049, 10_000] {
        let (output, _) = run(loose(), input.as_bytes(), cut);
        assert_eq!(codes(&output), ["220", "250", "500", "250"]);
    }
    // The end of a long line is not taken for a line of its own, wherever it is cut.
    let config = Config { mechanisms_plain: vec!["LOGIN".into()], ..loose() };
    let input = format!("EHLO c.example\r\n{}AUTH LOGIN\r\nNOOP\r\n", "x".repeat(3000));
    for cut in [1, 16, 1000, 3016] {
        let (output, events) = run(config.clone(), input.as_bytes(), cut);
        assert_eq!(codes(&output), ["220", "250", "500", "250"]);
        assert_eq!(events.len(), 1);
    }
}

#[test]
fn authentication_is_a_dialogue() {
    let with = Config {
        mechanisms_plain: vec!["LOGIN".into()],
        mechanisms_tls: vec!["LOGIN".into(), "PLAIN".into()],
        auth_required: true,
        ..loose()
    };
    let input = b"EHLO c\r\nMAIL FROM:<a@b>\r\nAUTH PLAIN AAA=\r\nAUTH X\r\nAUTH LOGIN\r\n*\r\nAUTH LOGIN\r\n!\r\nAUTH LOGIN\r\nYQ==\r\nAUTH LOGIN\r\nMAIL FROM:<a@b>\r\n";
    for cut in [1, 1000] {
        let (output, _) = run(with.clone(), input, cut);
        let want = [
            "220", "250", "530", "538", "504", "334", "501", "334", "501", "334", "235", "503",
            "250",
        ];
        assert_eq!(codes(&output), want);
    }
}

#[test]
fn lmtp_answers_for_each_recipient() {
    let mut session = Session::new(Config { protocol: Protocol::Lmtp, ..loose() });
    let input = "LHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n.\r\n";
    session.input().extend_from_slice(input.as_bytes());
    while let Some(event) = session.next() {
        match event {
            Event::Hello { .. } => session.welcome(),
            Event::Mail { .. } | Event::Rcpt { .. } => {
                session.answer(Reply::new(250, Status(2, 1, 0), "ok"));
            }
            Event::Content => session.proceed(),
            Event::End { size } => {
                assert_eq!(size, 0);
                let good = Reply::new(250, Status(2, 0, 0), "one");
                session.answer_each(&[good, Reply::new(452, Status(4, 2, 2), "full")]);
            }
            _ => {}
        }
    }
    let output = String::from_utf8(session.output().clone()).unwrap();
    assert!(output.ends_with("250 2.0.0 one\r\n452 4.2.2 full\r\n"), "{output}");
    let (output, _) = run(Config { protocol: Protocol::Lmtp, ..loose() }, b"EHLO c\r\n", 99);
    assert_eq!(codes(&output), ["220", "500"]);
}

#[test]
fn what_the_caller_cannot_take_is_refused_at_its_true_end() {
    let mut session = Session::new(loose());
    session.input().extend_from_slice(ENVELOPE.as_bytes());
    session.input().extend_from_slice(b"DATA\r\nfirst\r\n");
    while let Some(event) = session.next() {
        match event {
            Event::Hello { .. } => session.welcome(),
            Event::Mail { .. } | Event::Rcpt { .. } => {
                session.answer(Reply::new(250, Status(2, 1, 0), "ok"));
            }
            Event::Content => session.proceed(),
            Event::Data(_) => session.abort(Reply::new(451, Status(4, 3, 0), "disk")),
            _ => {}
        }
    }
    session.output().clear();
    session.input().extend_from_slice(b"second\r\n.\r\nNOOP\r\n");
    assert_eq!(session.next(), None);
    assert_eq!(session.output(), b"451 4.3.0 disk\r\n250 2.0.0 nothing done\r\n");
}

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("EHLO c.example\r\n".to_owned()),
        Just("HELO c\r\n".to_owned()),
        Just("MAIL FROM:<a@b.example>\r\n".to_owned()),
        Just("MAIL FROM:<a@b.example> SIZE=5 BODY=8BITMIME\r\n".to_owned()),
        Just("RCPT TO:<c@d.example>\r\n".to_owned()),
        Just("RCPT TO:<no@d.example>\r\n".to_owned()),
        Just("DATA\r\n".to_owned()),
        Just("BDAT 5\r\n".to_owned()),
        Just("BDAT 3 LAST\r\n".to_owned()),
        Just("abc\r\n".to_owned()),
        Just(".\r\n".to_owned()),
        Just("..\r\n".to_owned()),
        Just("RSET\r\n".to_owned()),
        Just("NOOP\n".to_owned()),
        Just("AUTH LOGIN\r\n".to_owned()),
        Just("YQ==\r\n".to_owned()),
        Just("QUIT\r\n".to_owned()),
        "[\\r\\n. a]{0,6}",
        Just("x".repeat(3000)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn any_split_of_the_input_gives_the_same_session(
        pieces in prop::collection::vec(piece(), 0..14), cut in 1usize..40,
    ) {
        let config = Config { mechanisms_plain: vec!["LOGIN".into()], ..loose() };
        let input = format!("EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\n{}", pieces.concat());
        let whole = run(config.clone(), input.as_bytes(), usize::MAX);
        prop_assert_eq!(run(config, input.as_bytes(), cut), whole);
    }

    #[test]
    fn no_bytes_make_the_machine_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = run(loose(), &bytes, 7);
    }
}
