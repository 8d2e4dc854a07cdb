//! Commands as clients write them, and what becomes of malformed ones (IMAP-01, IMAP-02).

use angarium_imap::decode::{Options, Refusal, Verdict, command};
use angarium_imap::types::*;
use proptest::prelude::*;

fn decoded(text: &str) -> Command {
    match command(format!("a1 {text}").as_bytes(), Options::default()) {
        Ok(request) => request.command,
        Err(refusal) => panic!("{text}: {}", refusal.text),
    }
}

fn refused(text: &str) -> Refusal {
    command(format!("a1 {text}").as_bytes(), Options::default()).expect_err(text)
}

#[test]
fn commands_without_arguments_are_read_in_any_case() {
    for (text, expected) in [
        ("CAPABILITY", Command::Capability),
        ("nOOp", Command::Noop),
        ("logout", Command::Logout),
        ("STARTTLS", Command::StartTls),
        ("IDLE", Command::Idle),
        ("NAMESPACE", Command::Namespace),
        ("CHECK", Command::Check),
        ("CLOSE", Command::Close),
        ("UNSELECT", Command::Unselect),
        ("EXPUNGE", Command::Expunge(None)),
        ("UID EXPUNGE 3:5", Command::Expunge(Some(SequenceSet::range(3, 5)))),
        ("ID NIL", Command::Id(None)),
        ("ID ()", Command::Id(Some(vec![]))),
        (
            "ID (\"name\" \"x\" \"v\" NIL)",
            Command::Id(Some(vec![("name".into(), Some("x".into())), ("v".into(), None)])),
        ),
        ("ENABLE condstore QRESYNC", Command::Enable(vec!["CONDSTORE".into(), "QRESYNC".into()])),
        ("COMPRESS deflate", Command::Compress("DEFLATE".into())),
        ("PROXYAUTH bob", Command::ProxyAuth { user: "bob".into() }),
        ("DELETE inbox", Command::Delete("INBOX".into())),
        ("DELETE Entw&APw-rfe", Command::Delete("Entwürfe".into())),
        ("RENAME a \"b c\"", Command::Rename { from: "a".into(), to: "b c".into() }),
        ("GETQUOTA \"\"", Command::GetQuota(String::new())),
        ("GETQUOTAROOT inBOX", Command::GetQuotaRoot("INBOX".into())),
        (
            "SETQUOTA #joe (storage 512)",
            Command::SetQuota {
                root: "#joe".into(),
                limits: vec![QuotaLimit { resource: "STORAGE".into(), limit: 512 }],
            },
        ),
        (
            "SETACL ~bob/x anyone@ -lr",
            Command::SetAcl {
                mailbox: "~bob/x".into(),
                identifier: "anyone@".into(),
                change: AclChange::Remove,
                rights: "lr".into(),
            },
        ),
        ("MYRIGHTS x", Command::MyRights("x".into())),
        (
            "LISTRIGHTS x -bob",
            Command::ListRights { mailbox: "x".into(), identifier: "-bob".into() },
        ),
    ] {
        assert_eq!(decoded(text), expected, "{text}");
    }
}

#[test]
fn select_takes_condstore_and_qresync() {
    let Command::Select(select) = decoded(
        "SELECT INBOX (QRESYNC (67890007 20050715194045000 41:211,214 (1:3 5:7)) CONDSTORE)",
    ) else {
        panic!()
    };
    let qresync = select.qresync.unwrap();
    assert!(select.condstore && !select.read_only);
    assert_eq!((qresync.uid_validity, qresync.modseq), (67_890_007, 20_050_715_194_045_000));
    assert_eq!(qresync.matches, Some((SequenceSet::range(1, 3), SequenceSet::range(5, 7))));
    for bad in [
        "SELECT x (QRESYNC (0 1))",
        "SELECT x (QRESYNC (1 9223372036854775808))",
        "SELECT x (QRESYNC (1 1 1:*))",
        "SELECT x (QRESYNC (1 1 $))",
        "SELECT x (FOO)",
        "SELECT x (",
    ] {
        assert_eq!(refused(bad).verdict, Verdict::Bad);
    }
}

#[test]
fn list_takes_every_option_of_the_standards_and_the_guide() {
    let Command::List(list) = decoded(
        "LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (INBOX \"a%\" b*) \
         RETURN (CHILDREN SPECIAL-USE MYRIGHTS STATUS (UNSEEN MESSAGES HIGHESTMODSEQ))",
    ) else {
        panic!()
    };
    assert!(list.extended && list.select.subscribed && list.returns.my_rights);
    assert_eq!(list.select.mode, ListSelectMode::Recursive);
    assert_eq!(list.patterns.as_slice(), ["INBOX", "a%", "b*"]);
    assert_eq!(list.returns.status.unwrap().len(), 3);
    // IMAP-25, the guide's worked form
    let Command::List(list) = decoded("LIST (CHILDREN UNSEEN INTERNALSIZE) \"\" \"ma%\"") else {
        panic!()
    };
    assert_eq!(list.returns.inline.as_slice(), [InlineOption::Unseen, InlineOption::InternalSize]);
    assert!(list.returns.children);
    let Command::List(list) = decoded("LSUB \"\" *") else { panic!() };
    assert_eq!((list.kind, list.extended), (ListKind::Lsub, false));
    let Command::Status { items, .. } =
        decoded("STATUS mailbox (UNSEEN OLDEST INTERNALSIZE UNSEENMEDIA SIZE DELETED)")
    else {
        panic!()
    };
    assert_eq!(items.len(), 6);
    refused("LIST (RECURSIVEMATCH) \"\" *");
    refused("STATUS x ()");
    refused("STATUS x (FOO)");
}

#[test]
fn fetch_takes_every_item() {
    let Command::Fetch(fetch) = decoded(
        "UID FETCH 1:*,7 (FLAGS UID body[] BODY.PEEK[1.2.HEADER.FIELDS (Subject \"X-A\")]<5.10> \
         BODY[1.MIME] BODY[TEXT] BINARY.PEEK[2]<0.1> BINARY.SIZE[1.1] RFC822.SIZE BODYSTRUCTURE BODY \
         MODSEQ PREVIEW (LAZY) EMAILID THREADID SAVEDATE) (CHANGEDSINCE 12 VANISHED PARTIAL -1:-30)",
    ) else {
        panic!()
    };
    assert!(fetch.uid && fetch.vanished && fetch.items.len() == 16);
    assert_eq!(fetch.changed_since, Some(12));
    assert_eq!(fetch.partial, Some(PartialRange { first: 1, last: 30, from_end: true }));
    let FetchItem::Section { section, peek: true, partial } = &fetch.items[3] else { panic!() };
    assert_eq!(section.part.as_slice(), [1, 2]);
    assert_eq!(*partial, Some(OctetRange { offset: 5, count: 10 }));
    assert_eq!(section.text, Some(SectionText::HeaderFields(vec!["Subject".into(), "X-A".into()])));
    assert!(fetch.items[2].sets_seen() && !fetch.items[3].sets_seen());
    let Command::Fetch(fetch) = decoded("FETCH 1 full") else { panic!() };
    assert_eq!(fetch.items.len(), 5);
    for bad in [
        "FETCH 1",
        "FETCH 1 ()",
        "FETCH 0 FLAGS",
        "FETCH x FLAGS",
        "FETCH 1: FLAGS",
        "FETCH 1,, FLAGS",
        "FETCH 4294967296 FLAGS",
        "FETCH 1 BODY[MIME]",
        "FETCH 1 BODY[0]",
        "FETCH 1 BODY[]<1>",
        "FETCH 1 BODY[]<1.0>",
        "FETCH 1 BODY[HEADER.FIELDS ()]",
        "FETCH 1 (FLAGS",
        "FETCH 1 FLAGS (VANISHED)",
        "FETCH 1 FLAGS x",
        "UID BOGUS 1",
    ] {
        assert_eq!(refused(bad).verdict, Verdict::Bad, "{bad}");
    }
}

#[test]
fn store_copy_and_move_are_read() {
    assert_eq!(
        decoded("UID STORE 1:3 (UNCHANGEDSINCE 5) +FLAGS.SILENT (\\Seen $Work \\xyz)"),
        Command::Store(Box::new(Store {
            uid: true,
            set: SequenceSet::range(1, 3),
            unchanged_since: Some(5),
            mode: StoreMode::Add,
            silent: true,
            flags: [
                Flag::System(SystemFlag::Seen),
                Flag::Keyword("$Work".into()),
                Flag::Extension("xyz".into())
            ]
            .into_iter()
            .collect(),
        }))
    );
    let Command::Store(store) = decoded("STORE $ FLAGS \\Deleted \\seen") else { panic!() };
    assert_eq!(
        (store.set, store.flags.len(), store.mode),
        (SequenceSet::Saved, 2, StoreMode::Replace)
    );
    // IMAP-19, IMAP-20
    let Command::Copy(copy) = decoded("COPY 1 x ENCRYPTED *") else { panic!() };
    assert_eq!(copy.encryption, Some(Encryption::Own));
    let Command::Copy(copy) = decoded("UID COPY 1 x ENCRYPTED aGk=") else { panic!() };
    assert_eq!(copy.encryption, Some(Encryption::Certificate(b"hi".to_vec())));
    assert!(matches!(decoded("MOVE 1 x"), Command::Move(copy) if !copy.uid));
    refused("MOVE 1 x ENCRYPTED *");
    refused("COPY 1 x ENCRYPTED !");
}

#[test]
fn search_keys_of_every_kind_are_read() {
    let Command::Search(search) = decoded(
        "UID SEARCH RETURN (MIN COUNT SAVE) CHARSET utf-8 1:5 UID 7:* OR (SEEN UNFLAGGED) NOT TEXT \"ü\" \
         HEADER X-A \"\" SINCE 1-Feb-1994 SENTBEFORE \"2-Feb-1994\" LARGER 10 YOUNGER 60 KEYWORD $w NEW OLD \
         MODSEQ \"/flags/\\\\draft\" all 620162338 EMAILID M1 $ SAVEDSINCE 1-Jan-2020",
    ) else {
        panic!()
    };
    assert!(search.uid && search.key.has_modseq());
    let SearchKey::And(keys) = &search.key else { panic!() };
    assert_eq!(keys.len(), 15);
    assert_eq!(keys[3], SearchKey::Contains(TextField::Header("X-A".into()), String::new()));
    let Command::Search(search) = decoded("SEARCH CHARSET koi8-r FUZZY TEXT x") else { panic!() };
    assert_eq!(search.charset.as_deref(), Some("KOI8-R"));
    let octets = SearchKey::ContainsOctets(TextField::Text, b"x".as_slice().into());
    assert_eq!(search.key, SearchKey::Fuzzy(Box::new(octets)));
    let refusal = refused(&format!("SEARCH CHARSET {} TEXT x", "x".repeat(1000)));
    assert_eq!((refusal.verdict, refusal.code), (Verdict::No, Some("BADCHARSET (UTF-8 US-ASCII)")));
    let Command::Search(search) = decoded("SEARCH RETURN (ALL RELEVANCY) FUZZY BODY x") else {
        panic!()
    };
    assert!(search.returns.is_some_and(|r| r.all && r.relevancy));
    // RFC 6203 section 4.
    refused("SEARCH RETURN (ALL RELEVANCY) BODY x");
    assert_eq!(
        decoded("SEARCH ALL"),
        Command::Search(Box::new(Search {
            uid: false,
            returns: None,
            charset: None,
            key: SearchKey::All
        }))
    );
    let Command::SortThread(sort) = decoded("UID SORT (REVERSE DATE SUBJECT) UTF-8 UNSEEN") else {
        panic!()
    };
    assert!(sort.criteria[0].reverse && sort.criteria.len() == 2);
    assert!(matches!(decoded("THREAD references utf-8 all"), Command::SortThread(_)));
    for bad in [
        "SEARCH",
        "SEARCH ()",
        "SEARCH OR SEEN",
        "SEARCH NOT",
        "SEARCH BEFORE 31-Feb-2000",
        "SEARCH UNRECENTX",
        "SEARCH FOO",
        "SEARCH RETURN (FOO) ALL",
        "SEARCH SUBJECT",
    ] {
        assert_eq!(refused(bad).verdict, Verdict::Bad, "{bad}");
    }
}

// ABU-20, ABU-27
#[test]
fn nesting_and_numbers_are_bounded() {
    let open = "(".repeat(200_000);
    assert_eq!(refused(&format!("SEARCH {open}")).code, Some("LIMIT"));
    assert_eq!(refused(&format!("SEARCH {}SEEN", "NOT ".repeat(101))).code, Some("LIMIT"));
    assert_eq!(refused(&format!("SEARCH {}SEEN", "OR ".repeat(200_000))).code, Some("LIMIT"));
    decoded(&format!("SEARCH {}SEEN", "NOT ".repeat(99)));
    decoded(&format!("SEARCH{}", " SEEN".repeat(10_000)));
    assert_eq!(refused(&format!("SEARCH{}", " SEEN".repeat(10_001))).code, Some("LIMIT"));
    refused(&format!("FETCH 1 BODY[{}1]", "1.".repeat(200)));
    refused(&format!("FETCH 1 ({}FLAGS)", "FLAGS ".repeat(256)));
    refused(&format!("STORE 1 FLAGS ({}a)", "a ".repeat(256)));
    refused(&format!("FETCH {}1 FLAGS", "1,".repeat(70_000)));
    refused(&format!("ENABLE{}", " X".repeat(65)));
    refused(&format!("DELETE {}", "x".repeat(9000)));
    refused(&"x".repeat(100_000));
    refused("FETCH 99999999999999999999999999 FLAGS");
}

#[test]
fn refusals_are_one_line_and_carry_the_tag() {
    let mut out = Vec::new();
    refused("FROBNICATE now").write(&mut out);
    assert_eq!(out, b"a1 BAD Unknown command FROBNICATE\r\n");
    out.clear();
    command(b"", Options::default()).unwrap_err().write(&mut out);
    assert_eq!(out, b"* BAD Empty line\r\n");
}

#[test]
fn names_are_utf8_once_that_is_enabled() {
    let utf8 = Options { utf8: true };
    let name = |bytes: &[u8], options| match command(bytes, options).unwrap().command {
        Command::Delete(name) => name,
        _ => panic!(),
    };
    assert_eq!(name("a DELETE \"Entw&APw-rfe ü\"".as_bytes(), utf8), "Entw&APw-rfe ü");
    assert_eq!(name("a DELETE \"Entwürfe\"".as_bytes(), Options::default()), "Entwürfe");
    assert!(command(b"a DELETE {1}\r\n\xff", Options::default()).is_err());
    assert!(command(b"a DELETE {1}\r\n\0", utf8).is_err());
}

fn noise() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("SEARCH"),
        Just("FETCH"),
        Just("STORE"),
        Just("UID"),
        Just("LIST"),
        Just("SELECT"),
        Just("STATUS"),
        Just("APPEND"),
        Just("RETURN"),
        Just("FLAGS"),
        Just("BODY["),
        Just("OR"),
        Just("NOT"),
        Just("1:*"),
        Just("$"),
        Just("\"a\\\"b\""),
        Just("{3}\r\nabc"),
        Just("{9}\r\nabc"),
        Just("("),
        Just(")"),
        Just("]"),
        Just("<0.5>"),
        Just("\\Seen"),
        Just("HEADER.FIELDS"),
        Just("NIL"),
        Just("CHARSET"),
        Just("1-Jan-2020"),
        Just("\"17-Jul-1996 02:44:25 -0700\""),
        Just("QRESYNC"),
        Just("SETACL"),
        Just("ID"),
    ];
    let separator = prop_oneof![4 => Just(" "), 1 => Just("")];
    proptest::collection::vec((word, separator), 0..12)
        .prop_map(|parts| parts.into_iter().map(|(w, s)| format!("{w}{s}")).collect())
}

proptest! {
    #[test]
    fn any_text_is_decoded_or_refused(text in noise()) {
        if let Err(refusal) = command(format!("t {text}").as_bytes(), Options::default()) {
            let mut out = Vec::new();
            refusal.write(&mut out);
            prop_assert!(out.len() < 300 && out.ends_with(b"\r\n"));
            prop_assert!(out[..out.len() - 2].iter().all(|b| matches!(b, b' '..=b'~')));
        }
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = command(&bytes, Options { utf8: bytes.len() % 2 == 0 });
    }

    #[test]
    fn every_mailbox_name_written_is_read_back(name in "[^\\p{Cc}]{1,30}", utf8: bool) {
        let mut wire = b"t DELETE ".to_vec();
        angarium_imap::encode::mailbox_name(&mut wire, &name, utf8);
        let request = command(&wire, Options { utf8 }).unwrap();
        let expected = if name.eq_ignore_ascii_case("inbox") { "INBOX".to_owned() } else { name };
        prop_assert_eq!(request.command, Command::Delete(expected));
    }

    #[test]
    fn every_string_written_is_read_back(text in "[^\u{0}]{0,40}") {
        let mut wire = b"t LOGIN ".to_vec();
        angarium_imap::encode::astring(&mut wire, text.as_bytes());
        wire.extend_from_slice(b" x");
        let request = command(&wire, Options::default()).unwrap();
        let read = matches!(&request.command, Command::Login { user, .. } if *user == text);
        prop_assert!(read, "{:?}", request);
    }

    #[test]
    fn every_set_written_is_read_back(numbers in proptest::collection::btree_set(1u32..200, 1..40)) {
        let set: UidSet = numbers.iter().copied().collect();
        let mut wire = b"t UID EXPUNGE ".to_vec();
        angarium_imap::encode::uid_set(&mut wire, &set);
        let Command::Expunge(Some(read)) = command(&wire, Options::default()).unwrap().command else { panic!() };
        let ranges = read.ranges().iter().map(|r| (r.from, r.to)).collect();
        prop_assert_eq!(UidSet::from_ranges(ranges), set);
    }
}
