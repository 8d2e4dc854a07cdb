//! METADATA and NOTIFY as clients write them and as they are answered (RFC 5464, 5465, 9590).

#![allow(clippy::unwrap_used, reason = "tests")]

use angarium_imap::decode::{Options, Refusal, Verdict, command};
use angarium_imap::encode;
use angarium_imap::types::*;

fn decoded(text: &[u8]) -> Command {
    let line = [b"a1 ", text].concat();
    match command(&line, Options::default()) {
        Ok(request) => request.command,
        Err(refusal) => panic!("{}: {}", String::from_utf8_lossy(text), refusal.text),
    }
}

fn refused(text: &str) -> Refusal {
    command(format!("a1 {text}").as_bytes(), Options::default()).expect_err(text)
}

fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn getmetadata_takes_its_options_on_either_side_of_the_mailbox() {
    let get = |mailbox: &str, max_size, depth, entries: &[&str]| {
        let entries = entries.iter().map(|e| (*e).to_owned()).collect();
        let mailbox = mailbox.to_owned();
        Command::GetMetadata(Box::new(GetMetadata { mailbox, max_size, depth, entries }))
    };
    use MetadataDepth::{All, Children, Entry};
    for (text, expected) in [
        ("GETMETADATA \"\" /shared/comment", get("", None, Entry, &["/shared/comment"])),
        (
            "GETMETADATA (DEPTH 1 MAXSIZE 10) inbox (/Shared/A \"/private/b c\")",
            get("INBOX", Some(10), Children, &["/shared/a", "/private/b c"]),
        ),
        ("GETMETADATA x (DEPTH infinity) (/private)", get("x", None, All, &["/private"])),
    ] {
        assert_eq!(decoded(text.as_bytes()), expected, "{text}");
    }
    assert!(Children.reaches("/a/b", "/a/b/c") && !Children.reaches("/a/b", "/a/b/c/d"));
    assert!(All.reaches("/a", "/a/b/c") && !All.reaches("/a", "/ab") && Entry.reaches("/a", "/a"));
}

#[test]
fn setmetadata_takes_any_octets_and_nil() {
    let text = b"SETMETADATA INBOX (/private/a NIL /shared/b \"x\" /shared/c ~{3}\r\n\0\r\n)";
    let entries = vec![
        ("/private/a".to_owned(), None),
        ("/shared/b".to_owned(), Some(b"x".to_vec())),
        ("/shared/c".to_owned(), Some(b"\0\r\n".to_vec())),
    ];
    let expected = SetMetadata { mailbox: "INBOX".into(), entries };
    assert_eq!(decoded(text), Command::SetMetadata(Box::new(expected)));
}

#[test]
fn names_that_are_no_entries_are_refused() {
    for entry in [
        "comment",
        "/comment",
        "/shared/",
        "/shared//a",
        "/shared/*",
        "/private/%",
        "\"/shared/\t\"",
    ] {
        assert_eq!(refused(&format!("GETMETADATA a {entry}")).verdict, Verdict::Bad, "{entry}");
        let set = format!("SETMETADATA a ({entry} \"x\")");
        assert_eq!(refused(&set).verdict, Verdict::Bad, "{entry}");
    }
    for text in [
        "GETMETADATA a ()",
        "GETMETADATA (DEPTH 2) a /shared/b",
        "GETMETADATA (MAXSIZE x) a /shared/b",
        "SETMETADATA a ()",
        "SETMETADATA a (/shared/b)",
        "SETMETADATA a /shared/b x",
    ] {
        assert_eq!(refused(text).verdict, Verdict::Bad, "{text}");
    }
    let many = "/shared/x ".repeat(GetMetadata::MAX_ENTRIES + 1);
    refused(&format!("GETMETADATA a ({})", many.trim_end()));
}

#[test]
fn list_takes_the_entries_of_list_metadata() {
    let Command::List(list) = decoded(b"LIST \"\" % RETURN (METADATA (/shared/Comment))") else {
        panic!("no LIST");
    };
    assert_eq!(list.returns.metadata, ["/shared/comment"]);
}

#[test]
fn notify_is_read_with_its_filters_and_events() {
    let Command::Notify(notify) = decoded(
        b"NOTIFY SET STATUS (selected (MessageNew (UID BODY.PEEK[HEADER]) MessageExpunge)) \
          (subtree (a \"b c\") (MailboxName SubscriptionChange)) (mailboxes x NONE) \
          (personal (FlagChange MessageNew MessageExpunge MailboxMetadataChange \
          ServerMetadataChange))",
    ) else {
        panic!("no NOTIFY");
    };
    let Notify::Set { status: true, groups } = *notify else { panic!("no SET STATUS") };
    assert_eq!(groups.len(), 4);
    assert_eq!(groups[0].events.fetch.len(), 2);
    assert!(groups[0].events.messages && !groups[0].events.flags);
    let subtree = MailboxFilter::Subtree(vec!["a".into(), "b c".into()]);
    assert_eq!(groups[1].filter, subtree);
    assert!(groups[1].events.names && groups[1].events.subscription);
    assert_eq!(groups[2].events, Events::default());
    let last = &groups[3].events;
    assert!(last.flags && last.messages && last.metadata && last.server_metadata);
    assert_eq!(decoded(b"notify none"), Command::Notify(Box::new(Notify::None)));
}

#[test]
fn notify_that_makes_no_sense_is_refused() {
    for text in [
        "NOTIFY",
        "NOTIFY SET",
        "NOTIFY SET (selected (MessageNew))",
        "NOTIFY SET (selected (MessageExpunge))",
        "NOTIFY SET (personal (FlagChange))",
        "NOTIFY SET (selected (MailboxName))",
        "NOTIFY SET (personal (MessageNew (UID) MessageExpunge))",
        "NOTIFY SET (selected NONE) (selected-delayed NONE)",
        "NOTIFY SET (everything NONE)",
        "NOTIFY SET (mailboxes () NONE)",
    ] {
        assert_eq!(refused(text).verdict, Verdict::Bad, "{text}");
    }
    for event in ["AnnotationChange", "Weather"] {
        let text = format!("NOTIFY SET (personal (MessageNew MessageExpunge {event}))");
        let refusal = refused(&text);
        assert_eq!(refusal.verdict, Verdict::No);
        assert!(refusal.code.unwrap().starts_with("BADEVENT (MessageNew "), "{event}");
    }
}

#[test]
fn metadata_answers_hold_any_octets() {
    let entries: [(&str, Option<&[u8]>); 3] =
        [("/shared/a", Some(b"x y")), ("/private/b", None), ("/shared/c", Some(b"\0"))];
    assert_eq!(
        written(|out| encode::metadata(out, "Entwürfe", false, &entries)),
        "* METADATA Entw&APw-rfe (/shared/a \"x y\" /private/b NIL /shared/c ~{1}\r\n\0)\r\n"
    );
    assert_eq!(written(|out| encode::metadata(out, "x", false, &[])), "");
    let changed = ["/shared/a".to_owned(), "/shared/b".to_owned()];
    assert_eq!(
        written(|out| encode::metadata_changed(out, "", false, &changed)),
        "* METADATA \"\" /shared/a /shared/b\r\n"
    );
    assert_eq!(
        written(|out| encode::list_change(out, &["\\Subscribed"], "a", Some("b c"), true)),
        "* LIST (\\Subscribed) \"/\" a (\"OLDNAME\" (\"b c\"))\r\n"
    );
}
