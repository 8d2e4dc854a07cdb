//! FETCH: metadata, ready-made envelopes, sections, large messages, \Seen.
//! Features: IMAP-02.

use angarium_store::faulty::{Family, Fault};

use crate::client::{World, mail};

#[tokio::test]
async fn every_kind_of_metadata_is_told() {
    let world = World::new().await;
    let mut c = world.inbox("ann", 2).await;
    let got = c.ok("FETCH 1 ALL").await;
    assert!(got.contains("FLAGS (\\Recent) INTERNALDATE \"14-Nov-2023 22:13:20 +0000\""), "{got}");
    assert!(got.contains("ENVELOPE (\"Tue, 2 Nov 2023 10:00:00 +0100\" \"Number 1\" "), "{got}");
    let got = c.ok("FETCH 2 (BODY BODYSTRUCTURE PREVIEW SAVEDATE EMAILID THREADID)").await;
    assert!(
        got.contains("BODY (\"TEXT\" \"PLAIN\"") || got.contains("BODY (\"text\" \"plain\""),
        "{got}"
    );
    assert!(got.contains("PREVIEW \"Text of 2.\""), "{got}");
    assert!(got.contains("THREADID (T") && got.contains("EMAILID (E"), "{got}");
    let got = c.ok("UID FETCH 2:* (FLAGS)").await;
    assert_eq!(got, "* 2 FETCH (UID 2 FLAGS (\\Recent))\r\nx OK UID FETCH completed\r\n");
    assert_eq!(c.ok("UID FETCH 100 (FLAGS)").await, "x OK UID FETCH completed\r\n");
    c.bad("FETCH 3 FLAGS").await;
}

#[tokio::test]
async fn reading_a_message_marks_it_as_seen_once() {
    let world = World::new().await;
    let mut c = world.inbox("ann", 2).await;
    let got = c.ok("FETCH 1 BODY.PEEK[TEXT]").await;
    assert_eq!(got, "* 1 FETCH (BODY[TEXT] {12}\r\nText of 1.\r\n)\r\nx OK FETCH completed\r\n");
    let got = c.ok("FETCH 1 BODY[TEXT]").await;
    assert!(got.contains("{12}\r\nText of 1.\r\n FLAGS (\\Seen \\Recent))"), "{got}");
    let got = c.ok("FETCH 1 BODY[TEXT]").await;
    assert!(!got.contains("FLAGS"), "{got}");
    assert!(c.ok("SEARCH UNSEEN").await.starts_with("* SEARCH 2\r\n"));
}

#[tokio::test]
async fn headers_and_parts_are_cut_out() {
    let world = World::new().await;
    let mut c = world.login("ann").await;
    let text = "Subject: parts\r\nFrom: a@b\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n\
        --x\r\nContent-Type: text/plain\r\n\r\nfirst\r\n\
        --x\r\nContent-Type: text/plain; charset=utf-8\r\n\
        Content-Transfer-Encoding: base64\r\n\r\nc2Vjb25k\r\n--x--\r\n";
    c.append("INBOX", "", text).await;
    c.ok("SELECT INBOX").await;
    let got = c.ok("FETCH 1 BODY.PEEK[HEADER.FIELDS (subject X-None)]").await;
    assert!(
        got.contains("BODY[HEADER.FIELDS (subject X-None)] {18}\r\nSubject: parts\r\n\r\n)"),
        "{got}"
    );
    let got = c.ok("FETCH 1 (BODY.PEEK[1] BODY.PEEK[2.MIME] BINARY.PEEK[2] BINARY.SIZE[2])").await;
    assert!(got.contains("BODY[1] {5}\r\nfirst"), "{got}");
    assert!(got.contains("Content-Transfer-Encoding: base64\r\n\r\n"), "{got}");
    assert!(got.contains("BINARY[2] {6}\r\nsecond") && got.contains("BINARY.SIZE[2] 6"), "{got}");
    let got = c.ok("FETCH 1 (BODY.PEEK[3] BODY.PEEK[]<9.5>)").await;
    assert!(got.contains("BODY[3] NIL") && got.contains("BODY[]<9> {5}\r\nparts"), "{got}");
    let got = c.ok("FETCH 1 (RFC822.HEADER)").await;
    let header = text.split_inclusive("\r\n\r\n").next().unwrap();
    assert!(got.contains(&format!("RFC822.HEADER {{{}}}\r\n{header})", header.len())), "{got}");
}

#[tokio::test]
async fn a_large_message_is_streamed_unchanged() {
    let world = World::new().await;
    let mut c = world.login("ann").await;
    let text = format!("{}{}", mail(1), "0123456789abcde\r\n".repeat(300_000));
    c.append("INBOX", "", &text).await;
    c.ok("SELECT INBOX").await;
    let got = c.ok("FETCH 1 (UID BODY.PEEK[] FLAGS)").await;
    let begin = format!("* 1 FETCH (UID 1 BODY[] {{{}}}\r\n", text.len());
    assert!(got.starts_with(&begin));
    assert!(got[begin.len()..].starts_with(&text));
    assert_eq!(&got[begin.len() + text.len()..], " FLAGS (\\Recent))\r\nx OK FETCH completed\r\n");
    let got = c.ok("FETCH 1 BODY.PEEK[]<5000000.20>").await;
    assert!(got.contains(&format!("{{20}}\r\n{})", &text[5_000_000..5_000_020])), "{got}");
}

#[tokio::test]
async fn storage_that_fails_is_told_and_the_session_goes_on() {
    let world = World::new().await;
    let mut c = world.inbox("ann", 3).await;
    for command in ["FETCH 1:3 (ENVELOPE)", "FETCH 1:3 (BODY.PEEK[])", "SEARCH BODY text"] {
        world.plan.strike(Some(Family::Bodies), 1, 10, Fault::Fail);
        let no = c.no(command).await;
        assert!(no.contains("[UNAVAILABLE]"), "{command}: {no}");
        world.plan.calm();
        c.ok(command).await;
    }
    // A disk that is full keeps messages from being marked, not from being read.
    world.plan.strike(Some(Family::Mailboxes), 1, 1, Fault::Fail);
    assert!(c.ok("FETCH 1 BODY[TEXT]").await.contains("Text of 1."));
    for command in ["STORE 1 +FLAGS (\\Seen)", "COPY 1 INBOX", "EXPUNGE", "CREATE x"] {
        c.ok("STORE 3 +FLAGS.SILENT (\\Deleted)").await;
        world.plan.strike(Some(Family::Mailboxes), 1, 10, Fault::Fail);
        let no = c.no(command).await;
        assert!(no.contains("[UNAVAILABLE]"), "{command}: {no}");
        world.plan.calm();
    }
    let got = c.ok("STATUS INBOX (MESSAGES UNSEEN)").await;
    assert!(got.contains("MESSAGES 3 UNSEEN 3"), "{got}");
}

#[tokio::test]
async fn a_large_message_that_cannot_be_read_to_its_end_ends_the_connection() {
    let world = World::new().await;
    let mut c = world.login("ann").await;
    let text = format!("{}{}", mail(1), "0123456789abcde\r\n".repeat(200_000));
    c.append("INBOX", "", &text).await;
    c.ok("SELECT INBOX").await;
    world.plan.strike(Some(Family::Bodies), 5, 100, Fault::Fail);
    c.send("a FETCH 1 BODY.PEEK[]\r\n").await;
    assert!(c.closed().await);
    c.task.await.unwrap();
}
