//! APPEND, MULTIAPPEND, quota and what must never be half done (ABU-19, ABU-23, IMAP MULTIAPPEND,
//! UIDPLUS).
//! Features: IMAP-01, 15.

use angarium_store::faulty::{Family, Fault};

use crate::client::{World, mail};

#[tokio::test]
async fn an_appended_message_comes_back_byte_for_byte_with_its_flags_and_date() {
    let world = World::new().await;
    let mut c = world.login("ann").await;
    let text = mail(1);
    let date = "\"01-Feb-2020 03:04:05 -0730\" ";
    let ok = c.append("INBOX", &format!("(\\Seen $Forwarded Work) {date}"), &text).await;
    assert!(ok.contains("[APPENDUID ") && ok.contains(" 1]"), "{ok}");
    c.ok("SELECT INBOX").await;
    let got = c.ok("FETCH 1 (FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])").await;
    assert!(got.contains("FLAGS (\\Seen $Forwarded \\Recent Work)"), "{got}");
    assert!(got.contains("INTERNALDATE \"01-Feb-2020 03:04:05 -0730\""), "{got}");
    assert!(got.contains(&format!("BODY[] {{{}}}\r\n{text})\r\n", text.len())), "{got}");
}

#[tokio::test]
async fn many_messages_of_one_append_arrive_all_or_none() {
    let world = World::new().await;
    let mut c = world.login("ann").await;
    let (a, b) = (mail(1), mail(2));
    let both = format!(
        "APPEND INBOX (\\Seen) {{{}+}}\r\n{a} (\\Flagged) {{{}+}}\r\n{b}",
        a.len(),
        b.len()
    );
    let ok = c.ok(&both).await;
    assert!(ok.contains(" 1:2]"), "{ok}");
    world.plan.strike(Some(Family::Mailboxes), 1, 1, Fault::Fail);
    let no = c.run(&both).await;
    assert!(no.contains("x NO [UNAVAILABLE]"), "{no}");
    let status = c.ok("STATUS INBOX (MESSAGES)").await;
    assert!(status.contains("MESSAGES 2"), "{status}");
    // The second message is refused: the first is not kept either.
    let nul = "x\0y";
    let bad =
        c.run(&format!("APPEND INBOX {{{}+}}\r\n{a} {{{}+}}\r\n{nul}", a.len(), nul.len())).await;
    assert!(bad.contains("x BAD"), "{bad}");
    assert!(c.ok("STATUS INBOX (MESSAGES)").await.contains("MESSAGES 2"));
}

#[tokio::test]
async fn a_mailbox_that_is_missing_is_told_before_the_message_is_sent() {
    let world = World::new().await;
    let mut c = world.login("ann").await;
    c.send("a APPEND Nowhere {100}\r\n").await;
    let no = c.answer("a").await;
    assert!(no.starts_with("x NO [TRYCREATE]"), "{no}");
    c.ok("NOOP").await;
    // A synchronising literal is asked for.
    c.send("b APPEND INBOX {5}\r\n").await;
    assert!(c.line().await.starts_with("+"));
    c.send("a: b\n\r\n").await;
    assert!(c.answer("b").await.starts_with("x OK [APPENDUID "));
}

#[tokio::test]
async fn a_connection_cut_in_the_middle_of_a_message_stores_nothing() {
    let world = World::new().await;
    let mut c = world.login("ann").await;
    c.send("a APPEND INBOX {1000+}\r\nSubject: half\r\n").await;
    drop(c);
    let mut c = world.login("ann").await;
    assert!(c.ok("STATUS INBOX (MESSAGES)").await.contains("MESSAGES 0"));
}

#[tokio::test]
async fn a_full_account_takes_nothing_more() {
    let world = World::new().await;
    world.account("small", &[("MaxAccountSize", "1K")]).await;
    let mut c = world.login("small").await;
    let text = format!("{}{}", mail(1), "y".repeat(600));
    c.append("INBOX", "", &text).await;
    let no = c.no(&format!("APPEND INBOX {{{}+}}\r\n{text}", text.len())).await;
    assert!(no.contains("[OVERQUOTA]"), "{no}");
    let quota = c.ok("GETQUOTAROOT INBOX").await;
    assert!(quota.contains("* QUOTAROOT INBOX #small\r\n* QUOTA #small (STORAGE 1 1)"), "{quota}");
    let huge = c.no("APPEND INBOX {999999+}\r\n").await;
    assert!(huge.contains("[TOOBIG]"), "{huge}");
}
