//! The server's flow: literals, APPEND, IDLE, SASL, limits; and that no split of the input
//! changes anything.

use angarium_imap::flow::server::{Event, Limits, MAX_ERRORS_BEFORE_LOGIN, Session};
use angarium_imap::types::{Command, Secret};
use proptest::prelude::*;

/// What a driver does with announced messages.
#[derive(Clone, Copy, PartialEq)]
enum Policy {
    Accept,
    Refuse,
    AbandonAtData,
}

/// Runs the machine; data events are joined so that runs can be compared.
fn drive(pieces: &[&[u8]], authenticated: bool, policy: Policy) -> (Vec<String>, Vec<u8>) {
    let mut session = Session::new();
    session.set_authenticated(authenticated);
    let mut events: Vec<String> = Vec::new();
    let mut data: Vec<u8> = Vec::new();
    let mut out = Vec::new();
    for piece in pieces {
        session.receive(piece);
        while let Some(event) = session.next_event(&mut out) {
            if let Event::AppendData(bytes) = &event {
                assert!(!bytes.is_empty());
                data.extend_from_slice(bytes);
                if policy == Policy::AbandonAtData {
                    data.clear();
                    session.abandon_append();
                    events.push("abandoned".into());
                }
                continue;
            }
            if !data.is_empty() {
                events.push(format!("data {:?}", String::from_utf8_lossy(&data)));
                data.clear();
            }
            match &event {
                Event::Command(request) => match &request.command {
                    Command::Idle => session.expect_done(),
                    Command::Authenticate { .. } => session.expect_sasl(),
                    Command::StartTls => session.start_tls(),
                    _ => {}
                },
                Event::AppendMessage(_) if policy == Policy::Refuse => session.refuse_append(),
                Event::AppendMessage(_) | Event::AppendText(_) => session.accept_append(&mut out),
                _ => {}
            }
            events.push(format!("{event:?}"));
        }
    }
    if !data.is_empty() {
        events.push(format!("data {:?}", String::from_utf8_lossy(&data)));
    }
    (events, out)
}

fn names(events: &[String]) -> Vec<&str> {
    events.iter().map(|e| e.split(['(', ' ']).next().unwrap_or_default()).collect()
}

fn logged_in(input: &str, policy: Policy) -> (Vec<String>, String) {
    let (events, out) = drive(&[input.as_bytes()], true, policy);
    (events, String::from_utf8(out).expect("answers are ASCII"))
}

#[test]
fn a_waiting_client_is_told_to_send_its_literal() {
    let (events, out) = drive(&[b"a LOGIN {5}\r\nalice {6+}\r\nse{3}t\r\n"], false, Policy::Accept);
    assert_eq!(out, b"+ OK\r\n");
    assert_eq!(names(&events), ["Command"]);
    assert!(events[0].contains("alice") && !events[0].contains("se{3}t"), "{events:?}");
}

#[test]
fn pipelined_commands_keep_their_order() {
    let (events, _) =
        logged_in("1 NOOP\r\n2 STORE 1 FLAGS (\\Seen)\r\n3 FETCH 1 FLAGS\r\n", Policy::Accept);
    let tags: Vec<_> = events.iter().map(|e| e.contains("tag: \"")).collect();
    assert_eq!(tags, [true; 3]);
    assert!(
        events[0].contains("Noop") && events[1].contains("Store") && events[2].contains("Fetch")
    );
}

#[test]
fn an_append_streams_its_messages() {
    let input = "a APPEND INBOX (\\Seen $Work) \"17-Jul-1996 02:44:25 -0700\" {5+}\r\nhello \
                 ~{3}\r\na\0b ({2+}\r\n";
    let (events, out) = logged_in(input, Policy::Accept);
    assert_eq!(
        names(&events),
        [
            "AppendStart",
            "AppendMessage",
            "data",
            "AppendMessageEnd",
            "AppendMessage",
            "data",
            "AppendMessageEnd",
            "Bad"
        ]
    );
    assert!(events[1].contains("seconds: 837596665"));
    assert!(events[4].contains("binary: true"));
    assert_eq!(out, "+ OK\r\n");
    let (events, _) = logged_in("a APPEND {5+}\r\nINBOX {2+}\r\nhi\r\nb NOOP\r\n", Policy::Accept);
    assert_eq!(
        names(&events),
        ["AppendStart", "AppendMessage", "data", "AppendMessageEnd", "AppendEnd", "Command"]
    );
}

#[test]
fn an_append_in_utf8_wrapping_is_taken() {
    let (events, _) = logged_in("a APPEND x UTF8 (~{2+}\r\nhi)\r\nb NOOP\r\n", Policy::Accept);
    assert_eq!(
        names(&events),
        ["AppendStart", "AppendMessage", "data", "AppendMessageEnd", "AppendEnd", "Command"]
    );
}

#[test]
fn a_refused_append_is_thrown_away_to_its_end() {
    let input = "a APPEND INBOX {6+}\r\nb NOOP (\\Seen) {7+}\r\nc NOOP\n\r\nd NOOP\r\n";
    for policy in [Policy::Refuse, Policy::AbandonAtData] {
        let (events, out) = logged_in(input, policy);
        let last = events.last().unwrap();
        assert!(last.contains("Noop") && last.contains("\"d\""), "{events:?}");
        assert_eq!(events.iter().filter(|e| e.starts_with("Command")).count(), 1);
        assert_eq!(out, "");
    }
    // A waiting client sends nothing when it is not told to.
    let (events, out) = logged_in("a APPEND INBOX {6}\r\nb NOOP\r\n", Policy::Refuse);
    assert_eq!(names(&events), ["AppendStart", "AppendMessage", "Command"]);
    assert_eq!(out, "");
}

#[test]
fn append_before_login_is_refused() {
    let (events, out) =
        drive(&[b"a APPEND INBOX {6+}\r\nb NOOP\r\nc NOOP\r\n"], false, Policy::Accept);
    assert_eq!(names(&events), ["Bad", "Command"]);
    assert!(events[1].contains("\"c\""));
    assert!(out.is_empty());
}

#[test]
fn idle_ends_with_done_alone() {
    let (events, _) = logged_in("a IDLE\r\nDONE\r\nb NOOP\r\n", Policy::Accept);
    assert_eq!(names(&events), ["Command", "IdleDone", "Command"]);
    let (events, _) = logged_in("a IDLE\r\nb NOOP\r\nc NOOP\r\n", Policy::Accept);
    assert_eq!(names(&events), ["Command", "Bad", "Command"]);
}

#[test]
fn sasl_lines_are_decoded_cancelled_or_malformed() {
    let run = |line: &str| {
        let input = format!("a AUTHENTICATE PLAIN\r\n{line}\r\nb NOOP\r\n");
        drive(&[input.as_bytes()], false, Policy::Accept).0
    };
    assert_eq!(names(&run("AGEAYg==")), ["Command", "Sasl", "Command"]);
    assert!(!run("c2VjcmV0")[1].contains("secret"));
    assert_eq!(names(&run("*")), ["Command", "SaslCancelled", "Command"]);
    assert_eq!(names(&run("A===")), ["Command", "SaslMalformed", "Command"]);
    let (events, _) = drive(&[b"a AUTHENTICATE PLAIN =\r\n"], false, Policy::Accept);
    assert!(events[0].contains(&format!("{:?}", Some(Secret::default()))));
}

// ABU-03
#[test]
fn what_was_sent_before_starttls_is_forgotten() {
    let (events, _) =
        drive(&[b"a STARTTLS\r\nb LOGIN x y\r\nc LOG", b"d NOOP\r\n"], false, Policy::Accept);
    assert_eq!(names(&events), ["Command", "Command"]);
    assert!(events[1].contains("Noop"));
}

// ABU-19
#[test]
fn literals_are_bounded_in_their_sum() {
    let (events, out) = drive(&[b"a LOGIN {4294967296}\r\nb NOOP\r\n"], false, Policy::Accept);
    assert_eq!(names(&events), ["Bad", "Command"]);
    assert!(out.is_empty());
    let (events, _) = drive(&[b"a LOGIN {10737418240+}\r\nxxx"], false, Policy::Accept);
    assert_eq!(names(&events), ["Bad", "Fatal"]);
    let (events, _) = drive(&[b"a LOGIN {99999999999999999999999+}\r\n"], false, Policy::Accept);
    assert_eq!(names(&events), ["Fatal"]);
    // Thousands of small ones.
    let mut many = b"a SEARCH".to_vec();
    for _ in 0..20_000 {
        many.extend_from_slice(b" SUBJECT {1+}\r\nx");
    }
    many.extend_from_slice(b"\r\nb NOOP\r\n");
    let (events, _) = drive(&[&many], false, Policy::Accept);
    assert_eq!(names(&events), ["Bad", "Command"]);
    assert!(events[1].contains("\"b\""));
}

// ABU-19
#[test]
fn memory_is_bounded_by_the_limits() {
    let mut session = Session::new();
    let mut out = Vec::new();
    let line = vec![b'x'; 1000];
    for _ in 0..200 {
        session.receive(&line);
        if let Some(event) = session.next_event(&mut out) {
            assert!(matches!(event, Event::Fatal(_)));
            assert!(!session.has_input());
            return;
        }
        assert!(session.buffer().len() <= Limits::BEFORE_LOGIN.line + 1001);
    }
    panic!("an endless line was taken");
}

#[test]
fn malformed_input_costs_the_session_nothing_but_is_counted() {
    let (events, _) =
        logged_in("\r\na\r\na BOGUS x\r\na NOOP x\r\n* x\r\nb NOOP\r\n", Policy::Accept);
    assert_eq!(names(&events), ["Bad", "Bad", "Bad", "Bad", "Bad", "Command"]);
    let mut session = Session::new();
    let mut out = Vec::new();
    for _ in 0..MAX_ERRORS_BEFORE_LOGIN {
        assert!(!session.too_many_errors());
        session.receive(b"?\r\n");
        session.next_event(&mut out).unwrap();
    }
    assert!(session.too_many_errors());
}

const DIALOGUE: &[u8] = b"a LOGIN {5+}\r\nalice \"pa\\\"ss\"\r\nb SELECT INBOX (CONDSTORE)\r\n\
c APPEND {5+}\r\nDr{1} (\\Seen) {12+}\r\nline\r\n{3+}\r\n {2}\r\nhi\r\n\
d IDLE\r\nDONE\r\ne APPEND x {5+}\r\nhello junk {3+}\r\nabc more\r\nf BAD{1+}\r\nx\r\n\
g APPEND x NONSENSE {4+}\r\nabcd\r\nh AUTHENTICATE PLAIN\r\n*\r\n\
i SEARCH RETURN (COUNT) TEXT {4}\r\nwhat OR SEEN (1:3 UNSEEN)\r\n\nj FETCH 1:* FULL\nk LOGOUT\r\n";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_split_gives_the_same_events(
        mut cuts in proptest::collection::vec(0..DIALOGUE.len(), 0..40),
        policy in prop_oneof![Just(Policy::Accept), Just(Policy::Refuse)],
    ) {
        cuts.sort_unstable();
        cuts.dedup();
        let mut pieces = Vec::new();
        let mut from = 0;
        for cut in cuts.into_iter().chain([DIALOGUE.len()]) {
            pieces.push(&DIALOGUE[from..cut]);
            from = cut;
        }
        let whole = drive(&[DIALOGUE], true, policy);
        prop_assert!(whole.0.len() > 10);
        prop_assert_eq!(drive(&pieces, true, policy), whole);
    }

    #[test]
    fn noise_gives_the_same_events_byte_by_byte(
        text in "([ab0-9]{1,2} |APPEND |x |INBOX|LOGIN |IDLE|SEARCH |[(){}+~\"\\\\*]|\\{[0-9]{1,3}[+]?\\}|\r\n|\n|\u{0}){0,40}",
        authenticated: bool,
    ) {
        let bytes = text.as_bytes();
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        let whole = drive(&[bytes], authenticated, Policy::Accept);
        prop_assert_eq!(drive(&single, authenticated, Policy::Accept), whole);
    }
}

impl std::fmt::Debug for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Accept => "Accept",
            Self::Refuse => "Refuse",
            Self::AbandonAtData => "AbandonAtData",
        })
    }
}

#[test]
fn a_message_brings_numbers_of_another_server_along() {
    let input = "a APPEND INBOX (\\Seen) \"17-Jul-1996 02:44:25 -0700\" XKEEPIDS (UID 7 AFTER 0 POPID \
                 \"a\\\"b\") {5+}\r\nhello {2+}\r\nhi xkeepids (popid c) {1+}\r\nx\r\n\
                 b APPEND INBOX XKEEPIDS (UID 0) {3+}\r\nabc\r\nc NOOP\r\n";
    let (events, _) = logged_in(input, Policy::Accept);
    let message = ["AppendMessage", "data", "AppendMessageEnd"];
    let expected: Vec<&str> = ["AppendStart"]
        .into_iter()
        .chain(message.repeat(3))
        .chain(["AppendEnd", "Bad", "Command"])
        .collect();
    assert_eq!(names(&events), expected);
    assert!(
        events[1]
            .contains("AppendNumbers { uid: Some(7), after: Some(0), pop_id: Some(\"a\\\"b\") }")
    );
    assert!(events[4].contains("numbers: None"));
    assert!(events[7].contains("AppendNumbers { uid: None, after: None, pop_id: Some(\"c\") }"));
}
