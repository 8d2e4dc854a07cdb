//! Whole POP3 sessions over a stream, with the memory store (features POP-*, ABU-33).

use std::net::SocketAddr;
use std::sync::Arc;

use angarium_accounts::{Actor, InternalDate, NewMessage};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;
use tokio_rustls::rustls::pki_types::ServerName;

use super::*;
use crate::cli::tests::World;

const MAIL: &[u8] = b"Subject: one\r\nFrom: a@b.dom\r\n\r\n.first\r\n\x00\xff bytes\r\n..\r\n";

struct Client {
    stream: DuplexStream,
    task: JoinHandle<()>,
}

fn context(world: &World) -> PopContext {
    PopContext {
        accounts: Arc::clone(&world.accounts),
        product: "Angarium 0.1.0".to_owned(),
        host: "mail.dom".to_owned(),
        clear_text: false,
        mark_seen: true,
        submission: Some(Submission {
            submitter: angarium_transfer::Submitter::new(Arc::clone(&world.accounts)),
            max_message_size: 10_000,
        }),
        sessions: SessionTable::default(),
        ender: world.ender.clone(),
        tls: None,
    }
}

impl Client {
    fn connect(world: &World, tls: bool) -> Self {
        Self::connect_with(world, tls, None)
    }

    fn connect_with(world: &World, tls: bool, acceptor: Option<TlsAcceptor>) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], 4));
        let info = ConnectionInfo { session: 42, peer: address, local: address, tls };
        let (client, server) = tokio::io::duplex(64 * 1024);
        let task = tokio::spawn(serve(
            server,
            info,
            Arc::new(PopContext { tls: acceptor, ..context(world) }),
        ));
        Self { stream: client, task }
    }

    async fn logged_in(world: &World, name: &str) -> Self {
        let mut client = Self::connect(world, true);
        assert!(
            client.until("\r\n").await.starts_with("+OK Angarium 0.1.0 POP3 Server ready <42.")
        );
        assert!(client.say(&format!("USER {name}\r\n")).await.starts_with("+OK"));
        let answer = client.say("PASS x\r\n").await;
        assert!(answer.starts_with("+OK "), "{answer}");
        client
    }

    /// Reads until the text ends so, or the connection does.
    async fn until(&mut self, end: &str) -> String {
        let mut got = Vec::new();
        while !got.ends_with(end.as_bytes()) {
            match self.stream.read_u8().await {
                Ok(byte) => got.push(byte),
                Err(_) => break,
            }
        }
        got.iter().map(|&byte| char::from(byte)).collect()
    }

    async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    async fn say(&mut self, text: &str) -> String {
        self.send(text).await;
        self.until("\r\n").await
    }

    async fn list(&mut self, text: &str) -> String {
        self.send(text).await;
        self.until("\r\n.\r\n").await
    }

    async fn quit(mut self) {
        assert!(self.say("QUIT\r\n").await.starts_with("+OK"));
        self.task.await.unwrap();
    }
}

/// A server with an account `bob` (password `x`).
async fn world() -> (World, Arc<Actor>) {
    let world = World::new().await;
    world.prepare(&["CreateAccount bob {Password=x;}"]).await;
    let bob = world.login("bob", "x").await;
    (world, bob)
}

async fn put(world: &World, bob: &Arc<Actor>, mailbox: &str, mail: &[u8], bits: FlagBits) -> Uid {
    let mut intake = world.accounts.intake();
    intake.write(mail).await.unwrap();
    let date = InternalDate { seconds: 1_700_000_000, zone_minutes: 0 };
    let message: NewMessage = intake.into_message(Flags::of(bits), date, 0).await.unwrap();
    let account = world.accounts.open_account(bob);
    account.append(mailbox, vec![message]).await.unwrap().pairs[0].1
}

async fn bits(world: &World, bob: &Arc<Actor>) -> Vec<(u32, bool)> {
    let opened = world.accounts.open_account(bob).open("INBOX").await.unwrap();
    let table = opened.mailbox.shared().table;
    table.iter().map(|row| (row.uid().0, row.bits().contains(FlagBits::SEEN))).collect()
}

/// The message as it stands in an answer.
fn stuffed(mail: &[u8]) -> String {
    let text: String = mail.iter().map(|&byte| char::from(byte)).collect();
    format!("{}.\r\n", text.replace("\n.", "\n.."))
}

#[tokio::test]
async fn messages_come_byte_for_byte_and_reading_marks_them_as_seen() {
    let (world, bob) = world().await;
    put(&world, &bob, "INBOX", MAIL, FlagBits(0)).await;
    put(&world, &bob, "INBOX", b"Subject: two\r\n\r\nlast line without end", FlagBits(0)).await;
    let mut client = Client::logged_in(&world, "bob").await;
    let size = MAIL.len();
    assert_eq!(client.say("STAT\r\n").await, format!("+OK 2 {}\r\n", size + 37));
    assert_eq!(client.list("LIST\r\n").await.lines().nth(1), Some(format!("1 {size}").as_str()));
    assert_eq!(client.list("RETR 1\r\n").await, format!("+OK {size} octets\r\n{}", stuffed(MAIL)));
    assert!(client.list("RETR 2\r\n").await.ends_with("without end\r\n.\r\n"));
    client.quit().await;
    assert_eq!(bits(&world, &bob).await, [(1, true), (2, true)]);
}

#[tokio::test]
async fn top_marks_nothing_and_takes_any_number_of_lines() {
    let (world, bob) = world().await;
    put(&world, &bob, "INBOX", MAIL, FlagBits(0)).await;
    let mut client = Client::logged_in(&world, "bob").await;
    assert!(client.list("TOP 1 1\r\n").await.ends_with("\r\n\r\n..first\r\n.\r\n"));
    // ABU-33: TOP with 2^31.
    assert!(client.list("TOP 1 2147483648\r\n").await.ends_with(&stuffed(MAIL)));
    client.quit().await;
    assert_eq!(bits(&world, &bob).await, [(1, false)]);
}

#[tokio::test]
async fn messages_go_at_quit_and_never_when_the_line_is_cut() {
    let (world, bob) = world().await;
    for _ in 0..3 {
        put(&world, &bob, "INBOX", MAIL, FlagBits(0)).await;
    }
    let mut cut = Client::logged_in(&world, "bob").await;
    assert!(cut.say("DELE 1\r\n").await.starts_with("+OK"));
    drop(cut.stream);
    cut.task.await.unwrap();
    assert_eq!(bits(&world, &bob).await.len(), 3);
    let mut client = Client::logged_in(&world, "bob").await;
    client.say("DELE 1\r\n").await;
    client.say("DELE 3\r\n").await;
    assert_eq!(bits(&world, &bob).await.len(), 3);
    client.quit().await;
    assert_eq!(bits(&world, &bob).await, [(2, false)]);
}

#[tokio::test]
async fn several_sessions_see_their_own_moment_of_a_mailbox() {
    let (world, bob) = world().await;
    for _ in 0..2 {
        put(&world, &bob, "INBOX", MAIL, FlagBits(0)).await;
    }
    let mut first = Client::logged_in(&world, "bob").await;
    let mut second = Client::logged_in(&world, "bob").await;
    first.say("DELE 1\r\n").await;
    first.quit().await;
    put(&world, &bob, "INBOX", MAIL, FlagBits(0)).await;
    assert_eq!(second.say("STAT\r\n").await, format!("+OK 2 {}\r\n", 2 * MAIL.len()));
    assert_eq!(second.say("RETR 1\r\n").await, "-ERR the message is gone\r\n");
    assert!(second.list("RETR 2\r\n").await.starts_with("+OK"));
    second.quit().await;
}

#[tokio::test]
async fn unique_ids_are_of_validity_and_uid_and_stay() {
    let (world, bob) = world().await;
    put(&world, &bob, "INBOX", MAIL, FlagBits(0)).await;
    put(&world, &bob, "INBOX", MAIL, FlagBits::SERVICE).await;
    put(&world, &bob, "INBOX", MAIL, FlagBits::HIDDEN).await;
    put(&world, &bob, "INBOX", MAIL, FlagBits(0)).await;
    let opened = world.accounts.open_account(&bob).open("INBOX").await.unwrap();
    let validity = opened.mailbox.shared().record.uid_validity.0;
    for _ in 0..2 {
        let mut client = Client::logged_in(&world, "bob").await;
        let uidl = client.list("UIDL\r\n").await;
        let ids: Vec<&str> = uidl.lines().skip(1).collect();
        assert_eq!(ids, [format!("1 {validity}-1"), format!("2 {validity}-4"), ".".to_owned()]);
        client.quit().await;
    }
}

#[tokio::test]
async fn other_mailboxes_open_by_name() {
    let (world, bob) = world().await;
    world.prepare(&["CreateMailbox bob MAILBOX Work", "CreateAccount eve {Password=x;}"]).await;
    put(&world, &bob, "Work", MAIL, FlagBits(0)).await;
    let mut client = Client::logged_in(&world, "Work#bob").await;
    assert!(client.say("STAT\r\n").await.starts_with("+OK 1 "));
    client.quit().await;
    let mut client = Client::connect(&world, true);
    client.until("\r\n").await;
    // \0Work#bob@mail.servername.com\0x
    let plain = "AUTH PLAIN AFdvcmsjYm9iQG1haWwuc2VydmVybmFtZS5jb20AeA==\r\n";
    assert!(client.say(plain).await.starts_with("+OK 1 messages"));
    client.quit().await;
    for name in ["Nothing#bob", "~bob/Work#eve"] {
        let mut client = Client::connect(&world, true);
        client.until("\r\n").await;
        client.say(&format!("USER {name}\r\n")).await;
        assert!(client.say("PASS x\r\n").await.starts_with("-ERR [SYS/PERM]"), "{name}");
    }
}

#[tokio::test]
async fn requests_sent_together_are_answered_in_order() {
    let (world, bob) = world().await;
    let mut expected = String::new();
    let mut asked = String::new();
    for number in 1..=200 {
        let mail = format!("Subject: {number}\r\n\r\n{}\r\n", "x".repeat(number * 37));
        put(&world, &bob, "INBOX", mail.as_bytes(), FlagBits(0)).await;
        expected.push_str(&format!("+OK {} octets\r\n{mail}.\r\n", mail.len()));
        asked.push_str(&format!("RETR {number}\r\n"));
    }
    let mut client = Client::logged_in(&world, "bob").await;
    client.send(&asked).await;
    let mut got = vec![0; expected.len()];
    client.stream.read_exact(&mut got).await.unwrap();
    assert!(got == expected.as_bytes());
    client.quit().await;
    assert!(bits(&world, &bob).await.iter().all(|(_, seen)| *seen));
}

#[tokio::test]
async fn a_large_message_is_streamed_unchanged() {
    let (world, bob) = world().await;
    let mut mail = b"Subject: large\r\n\r\n".to_vec();
    while mail.len() < 3 * 1024 * 1024 {
        mail.extend_from_slice(b".dots and\r\n.\r\nmore of it in line after line\r\n");
    }
    put(&world, &bob, "INBOX", &mail, FlagBits(0)).await;
    let mut client = Client::logged_in(&world, "bob").await;
    client.send("RETR 1\r\n").await;
    let expected = format!("+OK {} octets\r\n{}", mail.len(), stuffed(&mail));
    let mut got = vec![0; expected.len()];
    client.stream.read_exact(&mut got).await.unwrap();
    assert!(got == expected.as_bytes());
    let top = client.list("TOP 1 2\r\n").await;
    assert_eq!(
        top.lines().skip(1).collect::<Vec<_>>(),
        ["Subject: large", "", "..dots and", "..", "."]
    );
    client.quit().await;
}

#[tokio::test]
async fn logins_are_refused_with_the_right_codes() {
    let (world, _) = world().await;
    let mut client = Client::connect(&world, true);
    client.until("\r\n").await;
    client.say("USER bob\r\n").await;
    assert!(client.say("PASS wrong\r\n").await.starts_with("-ERR [AUTH] "));
    client.say("USER nobody\r\n").await;
    assert!(client.say("PASS wrong\r\n").await.starts_with("-ERR [AUTH] "));
    assert!(client.say("STAT\r\n").await.starts_with("-ERR"));
    world.prepare(&["UpdateAccountSettings bob {AccessModes=(26,IMAP);}"]).await;
    client.say("USER bob\r\n").await;
    assert!(client.say("PASS x\r\n").await.starts_with("-ERR [SYS/PERM] "));
    let mut clear = Client::connect(&world, false);
    clear.until("\r\n").await;
    assert!(clear.say("USER bob\r\n").await.starts_with("-ERR [SYS/PERM] "));
    assert!(!clear.list("CAPA\r\n").await.contains("PLAIN"));
}

#[tokio::test]
async fn mail_is_submitted_and_bcc_reaches_the_envelope_only() {
    let (world, _) = world().await;
    let mut client = Client::logged_in(&world, "bob").await;
    assert!(client.say("XTND XMIT\r\n").await.starts_with("+OK Enter mail"));
    let mail = "To: postmaster@mail.servername.com\r\nSubject: x\r\n\r\n..text\r\n.\r\n";
    let answer = client.say(mail).await;
    assert!(answer.ends_with(" message accepted for delivery\r\n"), "{answer}");
    client.say("XTND XMIT\r\n").await;
    assert!(
        client.say("Subject: nobody\r\n\r\n.\r\n").await.starts_with("-ERR the message names no")
    );
    client.say("XTND XMIT\r\n").await;
    let large = format!("To: bob\r\n\r\n{}.\r\n", "x".repeat(79).repeat(300) + "\r\n");
    assert!(client.say(&large).await.starts_with("-ERR the message is too large"));
    client.quit().await;
}

#[tokio::test]
async fn an_administrator_ends_a_session_and_nothing_is_deleted() {
    let (world, bob) = world().await;
    put(&world, &bob, "INBOX", MAIL, FlagBits(0)).await;
    let mut client = Client::logged_in(&world, "bob").await;
    client.say("DELE 1\r\n").await;
    world.prepare(&["KillAccountSessions bob"]).await;
    assert!(client.until("\r\n").await.starts_with("-ERR session closed"));
    client.task.await.unwrap();
    assert_eq!(bits(&world, &bob).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_falls_silent_is_sent_away() {
    let (world, bob) = world().await;
    put(&world, &bob, "INBOX", MAIL, FlagBits(0)).await;
    let mut client = Client::logged_in(&world, "bob").await;
    client.list("RETR 1\r\n").await;
    client.say("DELE 1\r\n").await;
    assert_eq!(client.until("\r\n").await, "-ERR idle for too long\r\n");
    client.task.await.unwrap();
    assert_eq!(bits(&world, &bob).await, [(1, true)]);
}

#[tokio::test]
async fn stls_protects_what_follows_and_forgets_what_came_before() {
    let (world, _) = world().await;
    let (acceptor, connector) = crate::pwd::tests::tls();
    let mut client = Client::connect_with(&world, false, Some(acceptor));
    client.until("\r\n").await;
    assert!(client.list("CAPA\r\n").await.contains("\r\nSTLS\r\n"));
    assert!(client.say("STLS\r\nNOOP\r\n").await.starts_with("+OK"));
    let name = ServerName::try_from("mail.dom").unwrap();
    let mut stream = connector.connect(name, client.stream).await.unwrap();
    stream.write_all(b"CAPA\r\nUSER bob\r\nPASS x\r\nSTAT\r\nQUIT\r\n").await.unwrap();
    let mut got = Vec::new();
    stream.read_to_end(&mut got).await.unwrap();
    let got = String::from_utf8(got).unwrap();
    assert!(got.starts_with("+OK capabilities") && !got.contains("STLS"), "{got}");
    assert!(got.contains("\r\nUSER\r\n") && got.contains("+OK 0 0\r\n"), "{got}");
}

// MIG-77
#[tokio::test]
async fn unique_ids_of_another_server_are_told_again() {
    let (world, bob) = world().await;
    for _ in 0..2 {
        put(&world, &bob, "INBOX", MAIL, FlagBits(0)).await;
    }
    let console = world.accounts.act_at_console("bob").await.unwrap();
    let patch = angarium_accounts::NumbersPatch {
        pop_ids: vec![(Uid(2), "00000002589ad0f1".into())],
        ..Default::default()
    };
    let account = world.accounts.open_account(&console);
    let record = account.keep_numbers("INBOX", patch).await.unwrap();
    let mut client = Client::logged_in(&world, "bob").await;
    let ids = client.list("UIDL\r\n").await;
    assert!(ids.contains(&format!("\r\n1 {}-1\r\n2 00000002589ad0f1\r\n", record.uid_validity)));
    assert!(client.say("UIDL 2\r\n").await.starts_with("+OK 2 00000002589ad0f1\r\n"));
    client.quit().await;
    let denied = world.accounts.open_account(&bob).keep_numbers("INBOX", Default::default()).await;
    assert!(denied.is_err());
}
