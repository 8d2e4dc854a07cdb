//! Transcripts and properties of the POP3 session machine (features POP-*, ABU-33, ABU-37).

use angarium_pop::{Event, Maildrop, MaildropEntry, Policy, ResponseCode, Session};
use proptest::prelude::*;

const BODY: &[u8] = b"Subject: x\r\n\r\n.dot\r\nline\r\n";

fn policy() -> Policy {
    Policy {
        clear_text: true,
        starttls: true,
        mechanisms: vec!["SCRAM-SHA-256".into(), "PLAIN".into()],
        submission: true,
        max_message_size: 1000,
        ..Policy::default()
    }
}

fn maildrop() -> Maildrop {
    let entry = |uid| MaildropEntry { size: BODY.len() as u64, original_uid: uid, uid };
    Maildrop::new(77, vec![entry(3), entry(4), entry(9)])
}

/// Plays the part of the driver: everything succeeds, message index 2 has gone.
struct Play {
    session: Session,
    sent: Vec<u8>,
    told: Vec<String>,
    mail: Vec<u8>,
}

impl Play {
    fn new(policy: Policy) -> Self {
        let session = Session::new(policy, "Angarium 0.1", "<1.2@host>");
        Self { session, sent: Vec::new(), told: Vec::new(), mail: Vec::new() }
    }

    fn say(&mut self, bytes: &[u8]) -> String {
        self.session.receive(bytes);
        while let Some(event) = self.session.next_event() {
            self.act(event);
        }
        self.sent.append(self.session.output());
        String::from_utf8_lossy(&std::mem::take(&mut self.sent)).into_owned()
    }

    fn act(&mut self, event: Event) {
        if !matches!(event, Event::MailData(_) | Event::Retrieve(_) | Event::Flush) {
            self.told.push(format!("{event:?}"));
        }
        match event {
            Event::Login { password, .. } if password.as_bytes() == b"wrong" => {
                self.session.refuse(Some(ResponseCode::Auth), "incorrect password");
            }
            Event::Login { .. } | Event::Apop { .. } => self.session.login_done(maildrop(), None),
            Event::Auth { initial: None, .. } => self.session.challenge(b"hello"),
            Event::Auth { .. } | Event::AuthReply(_) => self.session.login_done(maildrop(), None),
            Event::AuthCancelled | Event::Close => {}
            Event::StartTls => {
                self.session.receive(b"NOOP\r\n");
                self.session.tls_started(Policy { starttls: false, ..policy() });
            }
            Event::Retrieve(first) => {
                let mut all = vec![first];
                while let Some(next) = self.session.next_retrieve() {
                    all.push(next);
                }
                for retrieve in all {
                    self.told.push(format!("{retrieve:?}"));
                    match retrieve.index {
                        2 => self.session.refuse(None, "gone"),
                        _ => self.session.retrieved(BODY),
                    }
                }
            }
            Event::Submit => self.session.take_mail(),
            Event::MailData(data) => self.mail.extend_from_slice(&data),
            Event::MailEnd { whole: true } => self.session.submitted("42"),
            Event::MailEnd { whole: false } => self.session.refuse(None, "too large"),
            Event::Quit { .. } => self.session.farewell(None),
            Event::Flush => self.sent.append(self.session.output()),
        }
    }
}

fn greeted() -> Play {
    let mut play = Play::new(policy());
    play.say(b"");
    play
}

fn logged_in() -> Play {
    let mut play = Play::new(policy());
    play.say(b"USER bob\r\nPASS secret\r\n");
    play
}

#[test]
fn a_whole_session_reads_as_the_standard_says() {
    let mut play = Play::new(policy());
    assert_eq!(play.say(b""), "+OK Angarium 0.1 POP3 Server ready <1.2@host>\r\n");
    assert_eq!(play.say(b"USER bob\r\n"), "+OK please send the PASS\r\n");
    assert_eq!(play.say(b"PASS se cret\r\n"), "+OK 3 messages (78 octets)\r\n");
    assert_eq!(play.say(b"STAT\r\n"), "+OK 3 78\r\n");
    assert_eq!(
        play.say(b"LIST\r\n"),
        "+OK 3 messages (78 octets)\r\n1 26\r\n2 26\r\n3 26\r\n.\r\n"
    );
    assert_eq!(play.say(b"LIST 2\r\n"), "+OK 2 26\r\n");
    assert_eq!(
        play.say(b"UIDL\r\n"),
        "+OK 3 messages (78 octets)\r\n1 77-3\r\n2 77-4\r\n3 77-9\r\n.\r\n"
    );
    assert_eq!(play.say(b"UIDL 3\r\n"), "+OK 3 77-9\r\n");
    assert_eq!(
        play.say(b"RETR 1\r\n"),
        "+OK 26 octets\r\nSubject: x\r\n\r\n..dot\r\nline\r\n.\r\n"
    );
    assert_eq!(
        play.say(b"TOP 2 1\r\n"),
        "+OK top of message follows\r\nSubject: x\r\n\r\n..dot\r\n.\r\n"
    );
    assert_eq!(play.say(b"LAST\r\n"), "+OK 2\r\n");
    assert_eq!(play.say(b"RETR 3\r\n"), "-ERR gone\r\n");
    assert_eq!(play.say(b"DELE 2\r\n"), "+OK marked as deleted\r\n");
    assert_eq!(play.say(b"RETR 2\r\nLIST 2\r\nDELE 2\r\n"), "-ERR no such message\r\n".repeat(3));
    assert_eq!(play.say(b"STAT\r\n"), "+OK 2 52\r\n");
    assert_eq!(play.say(b"RSET\r\n"), "+OK 3 messages (78 octets)\r\n");
    assert_eq!(play.say(b"DELE 1\r\nNOOP\r\n"), "+OK marked as deleted\r\n+OK\r\n");
    assert_eq!(play.say(b"QUIT\r\n"), "+OK Angarium 0.1 POP3 Server connection closed\r\n");
    assert!(play.told.contains(&"Quit { delete: [0] }".to_owned()));
    assert_eq!(play.told.last().map(String::as_str), Some("Close"));
}

#[test]
fn a_cut_connection_never_asks_for_deletion() {
    // ABU-33
    let mut play = logged_in();
    play.say(b"DELE 1\r\nDELE 2\r\nQUI");
    assert!(!play.told.iter().any(|told| told.starts_with("Quit")));
    play.session.close("idle for too long");
    play.say(b"QUIT\r\n");
    assert!(!play.told.iter().any(|told| told.starts_with("Quit")));
}

#[test]
fn capabilities_follow_what_the_connection_allows() {
    let mut play = Play::new(policy());
    let before = play.say(b"CAPA\r\n");
    for line in [
        "TOP",
        "UIDL",
        "USER",
        "RESP-CODES",
        "AUTH-RESP-CODE",
        "PIPELINING",
        "EXPIRE NEVER",
        "STLS",
        "SASL SCRAM-SHA-256 PLAIN",
        "XTND",
        "LANG",
        "UTF8",
        "IMPLEMENTATION Angarium-0.1",
    ] {
        assert!(before.contains(&format!("\r\n{line}\r\n")), "{line}");
    }
    assert!(before.ends_with("\r\n.\r\n"));
    play.say(b"USER bob\r\nPASS x\r\n");
    let after = play.say(b"CAPA\r\n");
    assert!(!after.contains("STLS") && !after.contains("SASL") && !after.contains("USER\r\n"));
    let mut strict = Play::new(Policy { clear_text: false, login_delay: 30, ..policy() });
    let capa = strict.say(b"CAPA\r\n");
    assert!(!capa.contains("\r\nUSER\r\n") && capa.contains("\r\nLOGIN-DELAY 30 USER\r\n"));
    assert!(strict.say(b"USER bob\r\n").starts_with("-ERR [SYS/PERM] "));
}

#[test]
fn sasl_runs_with_and_without_an_initial_response() {
    let mut play = greeted();
    assert_eq!(play.say(b"AUTH PLAIN\r\n"), "+ aGVsbG8=\r\n");
    assert!(play.say(b"AGJvYgB4\r\n").starts_with("+OK "));
    let mut play = greeted();
    assert!(play.say(b"AUTH plain AGJvYgB4\r\n").starts_with("+OK "));
    let mut play = greeted();
    assert!(play.say(b"AUTH PLAIN\r\n*\r\n").ends_with("-ERR authentication cancelled\r\n"));
    assert!(play.say(b"AUTH PLAIN\r\n%%%\r\n").ends_with("-ERR broken base64\r\n"));
    assert!(play.say(b"AUTH CRAM-MD5\r\n").starts_with("-ERR [SYS/PERM]"));
    assert_eq!(play.say(b"AUTH\r\n"), "+OK\r\nSCRAM-SHA-256\r\nPLAIN\r\n.\r\n");
    assert!(play.say(b"APOP bob 0123456789abcdef0123456789abcdef\r\n").starts_with("-ERR"));
}

#[test]
fn nothing_said_before_tls_is_obeyed_after_it() {
    let mut play = Play::new(policy());
    play.say(b"");
    assert_eq!(play.say(b"USER bob\r\nSTLS\r\nUSER eve\r\nPASS x\r\n").matches("+OK").count(), 2);
    assert_eq!(play.told, ["StartTls"]);
    assert!(play.say(b"PASS x\r\n").starts_with("-ERR USER first"));
    assert!(play.say(b"STLS\r\n").starts_with("-ERR"));
}

#[test]
fn failed_logins_and_errors_are_counted() {
    let mut play = Play::new(policy());
    let sent = play.say(&b"USER bob\r\nPASS wrong\r\n".repeat(9));
    assert_eq!(sent.matches("[AUTH]").count(), 5);
    assert!(sent.ends_with("-ERR too many failed logins\r\n"));
    assert!(play.session.is_closed());
    let mut play = Play::new(policy());
    let sent = play.say(&b"GET / HTTP/1.1\r\n".repeat(100));
    assert_eq!(sent.matches("unknown command").count(), 20);
    assert!(play.session.is_closed());
}

#[test]
fn lines_that_are_too_long_are_refused_and_a_flood_ends_the_session() {
    let mut play = Play::new(policy());
    let line = [b"USER ".as_slice(), &b"x".repeat(5000), b"\r\nNOOP\r\n"].concat();
    assert!(play.say(&line).ends_with("-ERR line too long\r\n+OK\r\n"));
    let auth = [b"AUTH PLAIN ".as_slice(), &b"A".repeat(10_000), b"\r\n"].concat();
    assert!(play.say(&auth).starts_with("+OK"));
    let mut play = Play::new(policy());
    for _ in 0..200 {
        play.say(&b"x".repeat(16 * 1024));
    }
    assert!(play.session.is_closed());
}

#[test]
fn mail_can_be_submitted_and_an_oversized_one_is_refused() {
    let mut play = logged_in();
    let sent = play.say(b"XTND XMIT\r\nTo: a@b\r\n\r\n..dot\r\n.\r\nNOOP\r\n");
    assert_eq!(
        sent,
        "+OK Enter mail, end with \".\" on a line by itself\r\n\
         +OK 42 message accepted for delivery\r\n+OK\r\n"
    );
    assert_eq!(play.mail, b"To: a@b\r\n\r\n.dot\r\n");
    let big = [b"XTND XMIT\r\n".as_slice(), &b"line\r\n".repeat(500), b".\r\nNOOP\r\n"].concat();
    assert!(play.say(&big).ends_with("-ERR too large\r\n+OK\r\n"));
}

#[test]
fn pipelined_retrievals_are_told_together_and_answered_in_order() {
    let mut play = logged_in();
    play.told.clear();
    let sent = play.say(b"RETR 1\r\nRETR 3\r\nTOP 2 0\r\nDELE 1\r\nRETR 1\r\n");
    assert_eq!(play.told.len(), 3);
    let order: Vec<&str> = sent.lines().filter(|l| l.starts_with(['+', '-'])).collect();
    assert_eq!(
        order,
        [
            "+OK 26 octets",
            "-ERR gone",
            "+OK top of message follows",
            "+OK marked as deleted",
            "-ERR no such message"
        ]
    );
}

#[test]
fn much_output_is_sent_in_pieces() {
    let entries =
        (1..=50_000).map(|uid| MaildropEntry { size: 1, original_uid: uid, uid }).collect();
    let mut session = Session::new(policy(), "Angarium 0.1", "<>");
    session.receive(b"USER a\r\nPASS b\r\n");
    assert!(matches!(session.next_event(), Some(Event::Login { .. })));
    session.login_done(Maildrop::new(1, entries), None);
    session.receive(&b"UIDL\r\n".repeat(100));
    assert_eq!(session.next_event(), Some(Event::Flush));
    assert!(session.output().len() < 2_000_000);
}

#[test]
fn languages_and_utf8() {
    let mut play = Play::new(policy());
    play.say(b"");
    assert_eq!(play.say(b"LANG\r\n"), "+OK languages follow\r\nen English\r\n.\r\n");
    assert_eq!(play.say(b"LANG en\r\nLANG *\r\n"), "+OK en English\r\n".repeat(2));
    assert!(play.say(b"LANG xx\r\n").starts_with("-ERR"));
    assert_eq!(play.say(b"UTF8\r\n"), "+OK UTF8\r\n");
    assert!(play.session.is_utf8());
    assert!(play.say(b"STLS\r\n").starts_with("-ERR"));
}

#[test]
fn of_a_message_that_is_too_large_the_same_part_is_handed_on_however_it_was_cut() {
    let text = [b"USER bob\r\nPASS secret\r\nXTND XMIT\r\n".to_vec(), b"x".repeat(3000)].concat();
    let mut whole = Play::new(policy());
    whole.say(&text);
    let mut split = Play::new(policy());
    split.say(&text[..35]);
    split.say(&text[35..]);
    assert_eq!(whole.mail.len(), 1000);
    assert_eq!(whole.mail, split.mail);
}

fn chunk() -> impl Strategy<Value = Vec<u8>> {
    let known: Vec<&'static [u8]> = vec![
        b"USER bob\r\n",
        b"PASS secret\r\n",
        b"PASS wrong\r\n",
        b"AUTH PLAIN\r\n",
        b"AGEAYg==\r\n",
        b"*\r\n",
        b"CAPA\r\n",
        b"STAT\r\n",
        b"LIST\r\n",
        b"UIDL 1\r\n",
        b"RETR 1\r\n",
        b"RETR 2\r\n",
        b"TOP 1 1\r\n",
        b"DELE 1\r\n",
        b"RSET\n",
        b"XTND XMIT\r\n",
        b"To: a\r\n\r\n..x\r\n.\r\n",
        b"QUIT\r\n",
        b"NOOP\r\n",
        b"LAST\r\n",
    ];
    prop_oneof![
        8 => proptest::sample::select(known).prop_map(<[u8]>::to_vec),
        1 => proptest::collection::vec(any::<u8>(), 0..30),
        1 => Just(b"x".repeat(3000)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn any_split_gives_the_same_events_and_answers(
        chunks in proptest::collection::vec(chunk(), 0..25),
        cuts in proptest::collection::vec(0usize..600, 0..20),
    ) {
        let text = chunks.concat();
        let mut whole = Play::new(policy());
        let sent = whole.say(&text);
        let mut split = Play::new(policy());
        let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(text.len())).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let mut pieces = String::new();
        for pair in cuts.windows(2) {
            pieces.push_str(&split.say(&text[pair[0]..pair[1]]));
        }
        prop_assert_eq!(whole.told, split.told);
        prop_assert_eq!(whole.mail, split.mail);
        prop_assert_eq!(sent, pieces);
    }
}
