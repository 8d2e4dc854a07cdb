//! Transcripts and properties of the PWD session machine (features PWD-*, ABU-61).

use angarium_pop::pwd::{PwdPolicy, argument};
use angarium_pop::{PwdEvent, PwdSession};
use proptest::prelude::*;

fn policy() -> PwdPolicy {
    PwdPolicy { clear_text: true, starttls: true, apop: true, mechanisms: vec!["PLAIN".into()] }
}

struct Play {
    session: PwdSession,
    told: Vec<String>,
}

impl Play {
    fn new(policy: PwdPolicy) -> Self {
        let session =
            PwdSession::new(policy, "mail.dom", "Angarium", "0.1", "<12.1700000000@mail.dom>");
        Self { session, told: Vec::new() }
    }

    fn say(&mut self, bytes: &[u8]) -> String {
        self.session.receive(bytes);
        while let Some(event) = self.session.next_event() {
            self.told.push(format!("{event:?}"));
            match event {
                PwdEvent::Login { password, .. } if password.as_bytes() == b"wrong" => {
                    self.session.refuse(515, "incorrect password");
                }
                PwdEvent::Auth { initial: None, .. } => self.session.challenge(b""),
                PwdEvent::Login { .. }
                | PwdEvent::Apop { .. }
                | PwdEvent::WebUser { .. }
                | PwdEvent::Auth { .. }
                | PwdEvent::AuthReply(_) => self.session.login_done(),
                PwdEvent::StartTls => {
                    self.session.tls_started(PwdPolicy { starttls: false, ..policy() });
                }
                PwdEvent::NewPassword(_) => self.session.answer(200, "OK"),
                PwdEvent::Command(line) if line.eq_ignore_ascii_case(b"listdomains") => {
                    self.session.answer_data("(mail.servername.com,client1.com)");
                }
                PwdEvent::Command(line) if line.starts_with(b"Bad") => {
                    self.session.answer(500, "unknown command");
                }
                PwdEvent::Command(_) => self.session.answer(200, "OK"),
                PwdEvent::AuthCancelled | PwdEvent::Flush | PwdEvent::Close => {}
            }
        }
        String::from_utf8_lossy(&std::mem::take(self.session.output())).into_owned()
    }
}

#[test]
fn the_sample_session_of_the_reference_reads_as_written() {
    let mut play = Play::new(policy());
    assert_eq!(
        play.say(b""),
        "200 mail.dom Angarium PWD Server 0.1 ready <12.1700000000@mail.dom>\r\n"
    );
    assert_eq!(play.say(b"APOP postmaster 0123456789abcdef0123456789abcdef\n"), "200 login OK\r\n");
    assert_eq!(play.say(b"INLINE\n"), "200 OK\r\n");
    assert_eq!(play.say(b"CreateAccount \"user1@client1.com\" {Password=x;}\n"), "200 OK\r\n");
    assert_eq!(play.say(b"ListDomains\n"), "201 (mail.servername.com,client1.com)\r\n");
    assert_eq!(play.say(b"QUIT\n"), "200 connection closed\r\n");
    assert_eq!(play.told.last().map(String::as_str), Some("Close"));
}

#[test]
fn without_inline_the_data_follow_on_their_own_line() {
    let mut play = Play::new(policy());
    play.say(b"user postmaster\r\npass x\r\n");
    assert_eq!(
        play.say(b"ListDomains\r\n"),
        "200 data follow\r\n(mail.servername.com,client1.com)\r\n"
    );
}

#[test]
fn a_poppassd_client_changes_a_password() {
    let mut play = Play::new(policy());
    play.say(b"");
    assert_eq!(play.say(b"USER bob\r\n"), "300 please send the PASS\r\n");
    assert_eq!(play.say(b"PASS wrong\r\n"), "515 incorrect password\r\n");
    assert_eq!(
        play.say(b"USER bob\r\nPASS right\r\n"),
        "300 please send the PASS\r\n200 login OK\r\n"
    );
    assert_eq!(play.say(b"NEWPASS new one\r\n"), "200 OK\r\n");
    assert_eq!(play.say(b"QUIT\r\n"), "200 connection closed\r\n");
    assert!(!play.told.join(" ").contains("right") && !play.told.join(" ").contains("new one"));
}

#[test]
fn names_and_passwords_may_be_quoted() {
    assert_eq!(argument(b"plain \"text"), b"plain \"text");
    assert_eq!(argument(b"\"a \\\"b\\\\ \\195\\169\""), "a \"b\\ é".as_bytes());
    assert_eq!(argument(b"\"a\"b\""), b"\"a\"b\"");
    assert_eq!(argument(b"\"\\999\""), b"\"\\999\"");
    assert_eq!(argument(b"\""), b"\"");
}

#[test]
fn before_login_nothing_but_login_is_possible() {
    let mut play = Play::new(policy());
    play.say(b"");
    assert!(play.say(b"ListDomains\n").starts_with("500 "));
    assert!(play.say(b"INLINE\n").starts_with("500 "));
    assert!(play.say(b"PASS x\n").starts_with("500 "));
    assert_eq!(play.say(b"NOOP\n"), "200 OK\r\n");
    assert!(play.told.is_empty());
    let mut strict = Play::new(PwdPolicy { clear_text: false, ..policy() });
    strict.say(b"");
    assert!(strict.say(b"USER bob\n").starts_with("500 "));
    assert!(strict.say(b"STLS\nUSER bob\n").starts_with("200 "));
    assert_eq!(strict.say(b"USER bob\n"), "300 please send the PASS\r\n");
}

#[test]
fn a_command_line_may_be_a_mebibyte_and_not_more() {
    let mut play = Play::new(policy());
    play.say(b"USER a\nPASS b\n");
    let line = |n: usize| [b"Echo ".as_slice(), &b"x".repeat(n), b"\n"].concat();
    assert_eq!(play.say(&line(1024 * 1024 - 5)), "200 OK\r\n");
    assert_eq!(play.say(&line(1024 * 1024 - 4)), "500 line too long\r\n");
    assert_eq!(play.say(b"Noop\n"), "200 OK\r\n");
}

#[test]
fn guessing_is_cut_off() {
    let mut play = Play::new(policy());
    let sent = play.say(&b"USER a\nPASS wrong\n".repeat(50));
    assert_eq!(sent.matches("515").count(), 5);
    let mut play = Play::new(policy());
    assert_eq!(play.say(&b"hello\n".repeat(500)).matches("500 ").count(), 20);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn any_split_gives_the_same_events_and_answers(
        chunks in proptest::collection::vec(prop_oneof![
            8 => proptest::sample::select(vec![
                b"USER bob\n".as_slice(), b"PASS x\r\n", b"PASS wrong\n", b"AUTH PLAIN\n", b"AGEAYg==\n",
                b"*\n", b"INLINE\n", b"ListDomains\n", b"Bad one\n", b"NOOP\n", b"NEWPASS z\n",
                b"AUTH WEBUSER bob 1-2\n", b"QUIT\n"]).prop_map(<[u8]>::to_vec),
            1 => proptest::collection::vec(any::<u8>(), 0..30),
        ], 0..20),
        cuts in proptest::collection::vec(0usize..300, 0..15),
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
        prop_assert_eq!(sent, pieces);
    }
}
