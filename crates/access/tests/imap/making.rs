//! Messages made out of messages: CATENATE (RFC 4469) and REPLACE (RFC 8508), mixed with
//! MULTIAPPEND, BINARY and literals of every kind; all or none, never the old without the new.
//! Features: IMAP-01 (ABU-23).

use angarium_access::imap::ImapOptions;
use angarium_store::faulty::{Family, Fault};

use crate::client::{World, mail};

/// A message of two parts.
const PARTS: &str = "From: a@test.example\r\nMIME-Version: 1.0\r\nSubject: Parts\r\n\
    Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\none\r\n\
    --b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\ndHdv\r\n--b--\r\n";

/// The octets of a message's whole body.
async fn body(c: &mut crate::client::Client, sequence: u32) -> String {
    let got = c.ok(&format!("FETCH {sequence} BODY.PEEK[]")).await;
    let from = got.find("}\r\n").unwrap() + 3;
    let to = got.rfind(")\r\nx OK").unwrap();
    got[from..to].to_owned()
}

#[tokio::test]
async fn catenate_is_announced_and_makes_a_message_of_texts_and_urls() {
    let world = World::new().await;
    let mut c = world.login("ann").await;
    assert!(c.ok("CAPABILITY").await.contains(" CATENATE"));
    c.append("INBOX", "", PARTS).await;
    let url = "\"/INBOX/;UID=1/;SECTION=HEADER\"";
    let ok = c.ok(&format!("APPEND INBOX CATENATE (URL {url} TEXT {{4+}}\r\nend.)")).await;
    assert!(ok.contains("[APPENDUID ") && ok.contains(" 2]"), "{ok}");
    c.ok("SELECT INBOX").await;
    let head = &PARTS[..PARTS.find("\r\n\r\n").unwrap() + 4];
    assert_eq!(body(&mut c, 2).await, format!("{head}end."));
}

#[tokio::test]
async fn every_form_of_part_comes_into_its_place_octet_for_octet() {
    let world = World::new().await;
    let mut c = world.login("ann").await;
    c.append("INBOX", "", PARTS).await;
    let validity = c.ok("STATUS INBOX (UIDVALIDITY)").await;
    let validity: String = validity
        .chars()
        .skip_while(|c| !c.is_ascii_digit())
        .take_while(char::is_ascii_digit)
        .collect();
    let whole = format!("/INBOX;UIDVALIDITY={validity}/;UID=1");
    let absolute = "imap://ann@test.example/INBOX/;UID=1/;SECTION=1/;PARTIAL=1.2";
    let fields = "/INBOX/;UID=1/;SECTION=HEADER.FIELDS%20(Subject)";
    let text = format!(
        "APPEND INBOX (\\Seen) \"01-Feb-2020 03:04:05 +0000\" CATENATE (URL \"{fields}\" \
         TEXT {{6+}}\r\na: b\r\n URL {absolute} URL {{{}+}}\r\n{whole} TEXT ~{{3+}}\r\nx\0y \
         URL /INBOX/;UID=1/;SECTION=2.MIME TEXT {{0+}}\r\n)",
        whole.len()
    );
    let ok = c.ok(&text).await;
    assert!(ok.contains("[APPENDUID ") && ok.contains(" 2]"), "{ok}");
    c.ok("SELECT INBOX").await;
    let mime = "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n";
    let wanted = format!("Subject: Parts\r\n\r\na: b\r\nne{PARTS}x\0y{mime}");
    assert_eq!(body(&mut c, 2).await, wanted);
    let got = c.ok("FETCH 2 (FLAGS INTERNALDATE RFC822.SIZE)").await;
    assert!(got.contains("\\Seen") && got.contains("01-Feb-2020 03:04:05 +0000"), "{got}");
    assert!(got.contains(&format!("RFC822.SIZE {}", wanted.len())), "{got}");
    // Relative to the selected mailbox, and nothing but URLs in one line.
    c.ok("APPEND INBOX CATENATE (URL ;UID=1 URL \";UID=1/;SECTION=2\")").await;
    assert_eq!(body(&mut c, 3).await, format!("{PARTS}dHdv"));
}

#[tokio::test]
async fn composed_and_plain_messages_of_one_append_arrive_all_or_none() {
    let world = World::new().await;
    let mut c = world.inbox("ann", 1).await;
    let plain = mail(2);
    let parts = "CATENATE (URL /INBOX/;UID=1 TEXT {2+}\r\nhi)";
    let both = format!(
        "APPEND INBOX {parts} (\\Flagged) {{{}+}}\r\n{plain} (\\Seen) {parts}",
        plain.len()
    );
    let ok = c.ok(&both).await;
    assert!(ok.contains(" 2:4]"), "{ok}");
    assert_eq!(body(&mut c, 2).await, format!("{}hi", mail(1)));
    assert_eq!(body(&mut c, 3).await, plain);
    // The last of its parts is nothing: none is kept, and the next command is understood.
    for bad in [
        "/INBOX/;UID=99",
        "/INBOX;UIDVALIDITY=1/;UID=1",
        "/Nowhere/;UID=1",
        "/INBOX/;UID=1/;SECTION=7",
        "imap://ann@elsewhere.example/INBOX/;UID=1",
        "imap://bob@test.example/INBOX/;UID=1",
        "imap://test.example/INBOX/;UID=1",
        "~bob/INBOX/;UID=1",
        "/~bob/INBOX/;UID=1",
        "]\"junk",
    ] {
        let quoted = bad.replace('"', "\\\"");
        let no = c
            .no(&format!(
                "APPEND INBOX {{{}+}}\r\n{plain} CATENATE (TEXT {{2+}}\r\nhi URL \"{quoted}\" \
                 TEXT {{5+}}\r\nlater) {{4+}}\r\nmore",
                plain.len()
            ))
            .await;
        assert!(no.contains("[BADURL \""), "{bad}: {no}");
    }
    assert!(c.ok("STATUS INBOX (MESSAGES)").await.contains("MESSAGES 4"));
    for bad in ["CATENATE ()", "CATENATE (FILE x)", "CATENATE (URL x", "CATENATE (TEXT x)"] {
        c.bad(&format!("APPEND INBOX {bad}")).await;
    }
    let many = "URL /INBOX/;UID=1 ".repeat(201);
    assert!(c.no(&format!("APPEND INBOX CATENATE ({})", many.trim())).await.contains("[LIMIT]"));
    c.bad("APPEND INBOX CATENATE (TEXT {3+}\r\nx\0y)").await;
    c.no("APPEND INBOX CATENATE (TEXT {0+}\r\n)").await;
    assert!(c.ok("STATUS INBOX (MESSAGES)").await.contains("MESSAGES 4"));
}

#[tokio::test]
async fn a_composed_message_is_held_to_the_append_limit_and_the_quota() {
    let options =
        ImapOptions { host: "test.example".into(), max_append: 1000, ..ImapOptions::default() };
    let world = World::with(options).await;
    let mut c = world.inbox("ann", 1).await;
    let big = "y".repeat(900);
    let no =
        c.no(&format!("APPEND INBOX CATENATE (URL /INBOX/;UID=1 TEXT {{900+}}\r\n{big})")).await;
    assert!(no.contains("[TOOBIG]"), "{no}");
    let no =
        c.no(&format!("APPEND INBOX CATENATE (TEXT {{900+}}\r\n{big} URL /INBOX/;UID=1)")).await;
    assert!(no.contains("[TOOBIG]"), "{no}");
    // A waiting client is told before it sends.
    c.send("w APPEND INBOX CATENATE (TEXT {2000}\r\n").await;
    assert!(c.answer("w").await.contains("[TOOBIG]"));
    assert!(c.no("REPLACE 1 INBOX {1001+}\r\n").await.contains("[TOOBIG]"));
    c.send(&"z".repeat(1001)).await;
    c.send("\r\n").await;
    c.ok("NOOP").await;
    world.account("small", &[("MaxAccountSize", "1K")]).await;
    let mut c = world.login("small").await;
    let text = format!("{}{}", mail(1), "y".repeat(500));
    c.append("INBOX", "", &text).await;
    let no = c.no("APPEND INBOX CATENATE (URL /INBOX/;UID=1)").await;
    assert!(no.contains("[OVERQUOTA]"), "{no}");
}

#[tokio::test]
async fn replace_is_announced_and_puts_a_newer_edition_in_the_place_of_the_old() {
    let world = World::new().await;
    let mut c = world.inbox("ann", 3).await;
    assert!(c.ok("CAPABILITY").await.contains(" REPLACE"));
    let new = mail(9);
    let ok = c.ok(&format!("REPLACE 2 INBOX (\\Draft) {{{}+}}\r\n{new}", new.len())).await;
    let stored = ok.find("* OK [APPENDUID ").unwrap();
    let gone = ok.find("* 2 EXPUNGE\r\n").unwrap();
    assert!(stored < gone && ok.contains("x OK REPLACE completed"), "{ok}");
    assert_eq!(body(&mut c, 3).await, new);
    assert!(c.ok("UID SEARCH ALL").await.contains("1 3 4"));
    // By UID, composed, into another mailbox, told as VANISHED.
    c.ok("CREATE Drafts").await;
    c.ok("ENABLE QRESYNC").await;
    let ok = c.ok("UID REPLACE 3 Drafts CATENATE (URL /INBOX/;UID=3 TEXT {1+}\r\n!)").await;
    assert!(ok.contains("* OK [APPENDUID ") && ok.contains("* VANISHED 3\r\n"), "{ok}");
    assert!(ok.contains("x OK UID REPLACE completed"), "{ok}");
    assert!(c.ok("STATUS Drafts (MESSAGES)").await.contains("MESSAGES 1"));
    c.ok(&format!("REPLACE * INBOX {{{}+}}\r\n{new}", new.len())).await;
    assert!(c.ok("UID SEARCH ALL").await.contains("1 5"));
    // What is not there is not replaced, and nothing is stored.
    c.no(&format!("UID REPLACE 3 INBOX {{{}+}}\r\n{new}", new.len())).await;
    c.bad(&format!("REPLACE 7 INBOX {{{}+}}\r\n{new}", new.len())).await;
    let no = c.no(&format!("REPLACE 1 Nowhere {{{}+}}\r\n{new}", new.len())).await;
    assert!(no.contains("[TRYCREATE]"), "{no}");
    c.bad("REPLACE 1 INBOX {4+}\r\na: b {4+}\r\nc: d").await;
    assert!(c.ok("STATUS INBOX (MESSAGES)").await.contains("MESSAGES 2"));
    c.ok("EXAMINE INBOX").await;
    c.no("REPLACE 1 INBOX {4+}\r\na: b").await;
    c.ok("UNSELECT").await;
    c.bad("REPLACE 1 INBOX {4+}\r\na: b").await;
}

#[tokio::test]
async fn the_old_message_never_goes_without_the_new_one_being_stored() {
    let world = World::new().await;
    let mut c = world.inbox("ann", 2).await;
    let new = mail(9);
    let command = format!("REPLACE 1 INBOX {{{}+}}\r\n{new}", new.len());
    // The append fails, then the removal: both times all is as it was.
    for nth in [1, 2] {
        world.plan.strike(Some(Family::Mailboxes), nth, 1, Fault::Fail);
        let no = c.run(&command).await;
        assert!(no.contains("x NO [UNAVAILABLE]"), "{nth}: {no}");
        assert!(c.ok("STATUS INBOX (MESSAGES)").await.contains("MESSAGES 2"), "{nth}");
    }
    // A full account still takes a newer edition that is no larger.
    world.account("small", &[("MaxAccountSize", "1K")]).await;
    let mut c = world.login("small").await;
    let text = format!("{}{}", mail(1), "y".repeat(600));
    c.append("INBOX", "", &text).await;
    c.ok("SELECT INBOX").await;
    c.ok(&format!("REPLACE 1 INBOX {{{}+}}\r\n{text}", text.len())).await;
    assert!(
        c.no(&format!("APPEND INBOX {{{}+}}\r\n{text}", text.len())).await.contains("OVERQUOTA")
    );
}

#[tokio::test]
async fn replacing_needs_the_rights_to_remove_and_to_insert() {
    let world = World::new().await;
    let mut ann = world.login("ann").await;
    ann.append("INBOX", "", &mail(1)).await;
    let mut bob = world.login("bob").await;
    for (rights, may) in
        [("lri", false), ("lrit", false), ("lrie", false), ("lrte", false), ("lrite", true)]
    {
        ann.ok(&format!("SETACL INBOX bob {rights}")).await;
        bob.ok("SELECT ~ann/INBOX").await;
        let answer = bob.run("REPLACE 1 ~ann/INBOX {4+}\r\na: b").await;
        if may {
            assert!(answer.contains("x OK"), "{rights}: {answer}");
        } else {
            assert!(answer.contains("x NO"), "{rights}: {answer}");
            assert!(ann.ok("STATUS INBOX (MESSAGES UIDNEXT)").await.contains("UIDNEXT 2"));
        }
    }
}
