//! Answers as they stand on the wire, and read back by another implementation's parser.

use angarium_imap::encode::*;
use angarium_imap::types::*;
use imap_proto::{AttributeValue, MailboxDatum, Response};
use proptest::prelude::*;

fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).expect("answers here are UTF-8")
}

/// Parses the whole text as one answer.
fn parsed(text: &[u8]) -> Response<'_> {
    let (rest, response) = Response::parse(text)
        .unwrap_or_else(|e| panic!("{:?}: {e:?}", String::from_utf8_lossy(text)));
    assert!(rest.is_empty(), "{:?}", String::from_utf8_lossy(text));
    response
}

fn tag() -> Tag {
    Tag::new(b"A1").expect("a legal tag")
}

#[test]
fn status_answers_carry_their_codes() {
    let uids: UidSet = [3, 4, 5, 9].into_iter().collect();
    for (code, text) in [
        (None, "A1 OK done\r\n"),
        (Some(Code::AppendUid(7, &uids)), "A1 OK [APPENDUID 7 3:5,9] done\r\n"),
        (
            Some(Code::CopyUid(7, &[(1, 20), (3, 21), (4, 22)])),
            "A1 OK [COPYUID 7 1,3:4 20:22] done\r\n",
        ),
        (Some(Code::Modified(&uids)), "A1 OK [MODIFIED 3:5,9] done\r\n"),
        (Some(Code::READ_WRITE), "A1 OK [READ-WRITE] done\r\n"),
        (Some(Code::HighestModSeq(1 << 40)), "A1 OK [HIGHESTMODSEQ 1099511627776] done\r\n"),
        (
            Some(Code::PermanentFlags(&["\\Seen", "\\*"])),
            "A1 OK [PERMANENTFLAGS (\\Seen \\*)] done\r\n",
        ),
        (
            Some(Code::Capability(&["IMAP4rev1", "IDLE"])),
            "A1 OK [CAPABILITY IMAP4rev1 IDLE] done\r\n",
        ),
        // A code can not be broken out of.
        (Some(Code::Word("X] y\r\n")), "A1 OK [X y] done\r\n"),
    ] {
        let wire = written(|o| tagged_ok(o, &tag(), code, "done"));
        assert_eq!(wire, text);
        parsed(wire.as_bytes());
    }
    // IMAP-10, IMAP-11: the guide's referral, byte for byte
    let referral = Code::Referral("IMAP://John;AUTH=*@othercompany.com/");
    assert_eq!(
        written(|o| tagged_no(
            o,
            &Tag::new(b"1234").unwrap(),
            Some(referral),
            "account has been moved to a remote system"
        )),
        "1234 NO [REFERRAL IMAP://John;AUTH=*@othercompany.com/] account has been moved to a remote system\r\n"
    );
    assert_eq!(
        written(|o| untagged_ok(o, Some(Code::Alert), "a\r\nb é")),
        "* OK [ALERT] a??b ??\r\n"
    );
    assert_eq!(written(|o| bye(o, None, "x")), "* BYE x\r\n");
    assert_eq!(written(|o| sasl_challenge(o, b"hi")), "+ aGk=\r\n");
    assert_eq!(written(|o| sasl_challenge(o, b"")), "+ \r\n");
}

#[test]
fn counts_flags_and_lists_are_written() {
    assert_eq!(
        parsed(written(|o| exists(o, 23)).as_bytes()),
        Response::MailboxData(MailboxDatum::Exists(23))
    );
    assert_eq!(
        parsed(written(|o| recent(o, 2)).as_bytes()),
        Response::MailboxData(MailboxDatum::Recent(2))
    );
    assert_eq!(parsed(written(|o| expunge(o, 9)).as_bytes()), Response::Expunge(9));
    assert_eq!(written(|o| flags(o, ["\\Seen", "$Work"])), "* FLAGS (\\Seen $Work)\r\n");
    let uids: UidSet = [1, 2, 7].into_iter().collect();
    assert_eq!(written(|o| vanished(o, true, &uids)), "* VANISHED (EARLIER) 1:2,7\r\n");
    assert_eq!(written(|o| vanished(o, false, &UidSet::new())), "");
    parsed(written(|o| vanished(o, false, &uids)).as_bytes());
    assert_eq!(written(|o| capability(o, &["IMAP4rev1"])), "* CAPABILITY IMAP4rev1\r\n");
    assert_eq!(written(|o| enabled(o, &["QRESYNC"])), "* ENABLED QRESYNC\r\n");
    assert_eq!(
        written(|o| id(o, &[("name", Some("a\"b")), ("x", None)])),
        "* ID (\"name\" \"a\\\"b\" \"x\" NIL)\r\n"
    );
    assert_eq!(written(|o| id(o, &[])), "* ID NIL\r\n");
}

// IMAP-25
#[test]
fn list_answers_carry_the_guides_inline_values() {
    let wire = written(|o| {
        let mut list = ListWriter::new(o, ListKind::List);
        list.attribute("\\HasNoChildren");
        list.inline_number(InlineOption::Unseen, 14);
        list.inline_number(InlineOption::InternalSize, 2_345_678);
        list.attribute("\\Unmarked");
        list.finish("mailbox", true, false, &[]);
    });
    assert_eq!(
        wire,
        "* LIST (\\HasNoChildren \\UNSEEN(14) \\INTERNALSIZE(2345678) \\Unmarked) \"/\" mailbox\r\n"
    );
    let wire = written(|o| {
        let mut list = ListWriter::new(o, ListKind::Lsub);
        list.inline_date(InlineOption::Oldest, DateTime::default());
        list.finish("Entwürfe", false, false, &["SUBSCRIBED"]);
    });
    assert_eq!(
        wire,
        "* LSUB (\\OLDEST(\"01-Jan-1970 00:00:00 +0000\")) NIL Entw&APw-rfe (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\n"
    );
    assert_eq!(
        written(|o| ListWriter::new(o, ListKind::Xlist).finish("a b", true, true, &[])),
        "* XLIST () \"/\" \"a b\"\r\n"
    );
}

// IMAP-22 to IMAP-24, the guide's worked form
#[test]
fn status_quota_rights_and_namespaces_are_written() {
    let wire = written(|o| {
        let mut status = StatusWriter::new(o, "mailbox", false);
        status.number(StatusItem::Unseen, 14);
        let oldest = DateTime::parse(b"23-Feb-2002 07:59:42 +0000").unwrap();
        status.date(StatusItem::Oldest, oldest);
        status.number(StatusItem::InternalSize, 2_345_678);
        status.number(StatusItem::UnseenMedia, 1);
        status.finish();
    });
    assert_eq!(
        wire,
        "* STATUS mailbox (UNSEEN 14 OLDEST \"23-Feb-2002 07:59:42 +0000\" INTERNALSIZE 2345678 UNSEENMEDIA 1)\r\n"
    );
    // IMAP-17
    assert_eq!(
        written(|o| namespace(o, &[""], &["~"], &["~public/"], false)),
        "* NAMESPACE ((\"\" \"/\")) ((\"~\" \"/\")) ((\"~public/\" \"/\"))\r\n"
    );
    assert_eq!(
        written(|o| namespace(o, &[""], &[], &[], false)),
        "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n"
    );
    let usage = [QuotaUsage { resource: "STORAGE", used: 10, limit: 512 }];
    let wire = written(|o| quota(o, "#joe", &usage));
    assert_eq!(wire, "* QUOTA #joe (STORAGE 10 512)\r\n");
    parsed(wire.as_bytes());
    parsed(written(|o| quota_root(o, "INBOX", false, &["#joe"])).as_bytes());
    let wire = written(|o| acl(o, "a b", false, &[("bob", "lr"), ("anyone@", "l"), ("x y", "")]));
    assert_eq!(wire, "* ACL \"a b\" bob lr anyone@ l \"x y\" \"\"\r\n");
    parsed(wire.as_bytes());
    parsed(written(|o| my_rights(o, "INBOX", false, "lrswipkxtecda")).as_bytes());
    let wire = written(|o| list_rights(o, "INBOX", false, "bob", "", &["l", "r", "s"]));
    assert_eq!(wire, "* LISTRIGHTS INBOX bob \"\" l r s\r\n");
    parsed(wire.as_bytes());
}

#[test]
fn search_answers_are_written() {
    assert_eq!(
        written(|o| search(o, [2, 84, 882], Some(917))),
        "* SEARCH 2 84 882 (MODSEQ 917)\r\n"
    );
    assert_eq!(written(|o| search(o, [], None)), "* SEARCH\r\n");
    assert_eq!(written(|o| sort(o, [5, 3], None)), "* SORT 5 3\r\n");
    let all: UidSet = [4, 5, 9].into_iter().collect();
    let result = Esearch {
        uid: true,
        min: Some(4),
        max: Some(9),
        count: Some(3),
        all: Some(Numbers::Set(&all)),
        ..Esearch::default()
    };
    assert_eq!(
        written(|o| esearch(o, &tag(), &result)),
        "* ESEARCH (TAG \"A1\") UID MIN 4 MAX 9 COUNT 3 ALL 4:5,9\r\n"
    );
    let page = PartialRange { first: 1, last: 50, from_end: true };
    let empty = UidSet::new();
    let result = Esearch {
        count: Some(0),
        all: Some(Numbers::Set(&empty)),
        partial: Some((page, Numbers::Set(&empty))),
        modseq: Some(5),
        ..Esearch::default()
    };
    assert_eq!(
        written(|o| esearch(o, &tag(), &result)),
        "* ESEARCH (TAG \"A1\") COUNT 0 MODSEQ 5 PARTIAL (-1:-50 NIL)\r\n"
    );
}

#[test]
fn fetch_items_are_answered_under_the_names_they_were_asked_by() {
    let name = |text: &str| {
        let line = format!("a FETCH 1 {text}");
        let request = angarium_imap::decode::command(line.as_bytes(), Default::default()).unwrap();
        let Command::Fetch(fetch) = request.command else { panic!() };
        written(|o| item_name(o, &fetch.items[0]))
    };
    for (asked, answered) in [
        ("BODY.PEEK[]", "BODY[]"),
        ("body[1.2.mime]", "BODY[1.2.MIME]"),
        ("BODY[header.fields (Subject \"X Y\")]<5.9>", "BODY[HEADER.FIELDS (Subject \"X Y\")]<5>"),
        ("BODY.PEEK[1.HEADER.FIELDS.NOT (A)]", "BODY[1.HEADER.FIELDS.NOT (A)]"),
        ("BINARY.PEEK[1.2]<0.4>", "BINARY[1.2]<0>"),
        ("BINARY.SIZE[3]", "BINARY.SIZE[3]"),
        ("RFC822.HEADER", "RFC822.HEADER"),
        ("PREVIEW (LAZY)", "PREVIEW"),
    ] {
        assert_eq!(name(asked), answered);
    }
}

#[test]
fn a_fetch_answer_is_read_back_by_another_parser() {
    let mut out = Vec::new();
    let mut fetch = FetchWriter::new(&mut out, 12);
    fetch.uid(345);
    fetch.flags(["\\Seen", "$Work"]);
    fetch.internal_date(DateTime::parse(b"17-Jul-1996 02:44:25 -0700").unwrap());
    fetch.size(44_827);
    fetch.envelope(b"(NIL \"subj\" NIL NIL NIL NIL NIL NIL NIL \"<a@b>\")");
    fetch.body(b"(\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" 10 1 NIL NIL NIL NIL)");
    fetch.modseq(65_402);
    let whole = FetchItem::Section { section: Section::default(), peek: true, partial: None };
    fetch.octets(&whole, Some(b"a\r\n\r\nb"));
    fetch.finish();
    let Response::Fetch(12, values) = parsed(&out) else { panic!() };
    assert!(values.contains(&AttributeValue::Uid(345)));
    assert!(values.contains(&AttributeValue::Rfc822Size(44_827)));
    assert!(values.contains(&AttributeValue::ModSeq(65_402)));
    assert!(values.contains(&AttributeValue::InternalDate("17-Jul-1996 02:44:25 -0700".into())));
    assert!(values.iter().any(|v| matches!(v, AttributeValue::BodySection { data: Some(d), .. } if d.as_ref() == b"a\r\n\r\nb")));
    assert_eq!(values.len(), 8);

    out.clear();
    let mut fetch = FetchWriter::new(&mut out, 1);
    fetch.flags_joined(b"");
    fetch.save_date(None);
    fetch.preview(None);
    fetch.preview(Some("hello"));
    fetch.email_id("M1");
    fetch.thread_id(None);
    fetch.binary_size(&[1, 2], 7);
    let binary = FetchItem::Binary { part: [1].into_iter().collect(), peek: false, partial: None };
    fetch.octets(&binary, Some(b"a\0"));
    fetch.octets(&binary, None);
    fetch.octets_head(&whole, 2, false);
    fetch.out().extend_from_slice(b"hi");
    FetchWriter::resume(&mut out).finish();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "* 1 FETCH (FLAGS () SAVEDATE NIL PREVIEW NIL PREVIEW \"hello\" EMAILID (M1) THREADID NIL \
         BINARY.SIZE[1.2] 7 BINARY[1] ~{2}\r\na\0 BINARY[1] NIL BODY[] {2}\r\nhi)\r\n"
    );
}

proptest! {
    #[test]
    fn any_strings_in_an_answer_are_read_back(text in "[^\u{0}]{0,30}", size: u32, uid in 1u32..) {
        let mut out = Vec::new();
        let mut fetch = FetchWriter::new(&mut out, 1);
        fetch.uid(uid);
        fetch.size(u64::from(size));
        fetch.octets(&FetchItem::Rfc822Text, Some(text.as_bytes()));
        fetch.finish();
        let Response::Fetch(1, values) = parsed(&out) else { panic!() };
        prop_assert_eq!(&values[0], &AttributeValue::Uid(uid));
        prop_assert_eq!(&values[1], &AttributeValue::Rfc822Size(size));
        let same = matches!(&values[2], AttributeValue::Rfc822Text(Some(t)) if t.as_ref() == text.as_bytes());
        prop_assert!(same);
    }

    #[test]
    // The other parser leaves escapes in quoted strings as they are.
    fn any_mailbox_name_is_read_back(name in "[^\\p{Cc}\"\\\\]{1,30}") {
        let wire = written(|o| StatusWriter::new(o, &name, false).finish());
        let Response::MailboxData(MailboxDatum::Status { mailbox, .. }) = parsed(wire.as_bytes()) else { panic!() };
        if mailbox != "INBOX" {
            prop_assert_eq!(angarium_imap::mailbox_name::decode(mailbox.as_bytes()), Some(name));
        }
    }
}
