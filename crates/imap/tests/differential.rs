//! Commands held against another implementation's grammar: what it accepts means the same here.

use angarium_imap::decode::{Options, command};
use angarium_imap::types::{Command, Flag, SearchKey, SequenceSet, SystemFlag};
use imap_codec::CommandCodec;
use imap_codec::decode::Decoder as _;
use imap_codec::imap_types::command::CommandBody;
use imap_codec::imap_types::fetch::MacroOrMessageDataItemNames as Items;
use imap_codec::imap_types::mailbox::Mailbox;
use imap_codec::imap_types::search::SearchKey as Theirs;
use imap_codec::imap_types::sequence::{SeqOrUid, Sequence, SequenceSet as TheirSet};
use proptest::prelude::*;
use std::collections::BTreeSet;

const LARGEST: u32 = 40;

fn expand(ranges: impl Iterator<Item = (u32, u32)>) -> BTreeSet<u32> {
    ranges.flat_map(|(a, b)| a.min(b)..=a.max(b)).collect()
}

fn same_set(ours: &SequenceSet, theirs: &TheirSet) -> bool {
    let number = |n: &SeqOrUid| match n {
        SeqOrUid::Value(n) => n.get(),
        SeqOrUid::Asterisk => LARGEST,
    };
    let theirs = theirs.0.as_ref().iter().map(|s| match s {
        Sequence::Single(n) => (number(n), number(n)),
        Sequence::Range(a, b) => (number(a), number(b)),
    });
    expand(theirs) == expand(ours.ranges().iter().filter_map(|r| r.resolve(LARGEST)))
}

fn same_keys(ours: &SearchKey, theirs: &[Theirs<'_>]) -> bool {
    match (ours, theirs) {
        (ours, [one]) => same_key(ours, one),
        (SearchKey::And(keys), many) => {
            keys.len() == many.len() && keys.iter().zip(many).all(|(a, b)| same_key(a, b))
        }
        _ => false,
    }
}

fn same_key(ours: &SearchKey, theirs: &Theirs<'_>) -> bool {
    let has = |flag| *ours == SearchKey::Has(Flag::System(flag));
    let has_not = |flag| *ours == SearchKey::HasNot(Flag::System(flag));
    match theirs {
        Theirs::And(keys) => same_keys(ours, keys.as_ref()),
        Theirs::Or(a, b) => match ours {
            SearchKey::Or(x, y) => same_key(x, a) && same_key(y, b),
            _ => false,
        },
        Theirs::Not(a) => matches!(ours, SearchKey::Not(x) if same_key(x, a)),
        Theirs::SequenceSet(set) => matches!(ours, SearchKey::Sequence(x) if same_set(x, set)),
        Theirs::Uid(set) => matches!(ours, SearchKey::Uid(x) if same_set(x, set)),
        Theirs::All => *ours == SearchKey::All,
        Theirs::Seen => has(SystemFlag::Seen),
        Theirs::Unseen => has_not(SystemFlag::Seen),
        Theirs::Deleted => has(SystemFlag::Deleted),
        Theirs::Undraft => has_not(SystemFlag::Draft),
        Theirs::Recent => has(SystemFlag::Recent),
        Theirs::Old => has_not(SystemFlag::Recent),
        Theirs::New => matches!(ours, SearchKey::And(keys) if keys.len() == 2),
        Theirs::Larger(n) => *ours == SearchKey::Larger(u64::from(*n)),
        Theirs::Smaller(n) => *ours == SearchKey::Smaller(u64::from(*n)),
        Theirs::Keyword(word) => {
            *ours == SearchKey::Has(Flag::Keyword(word.as_ref().to_string().into()))
        }
        Theirs::Subject(text) | Theirs::Text(text) | Theirs::From(text) => {
            matches!(ours, SearchKey::Contains(_, x) if x.as_bytes() == text.as_ref())
        }
        Theirs::Header(_, text) => {
            matches!(ours, SearchKey::Contains(_, x) if x.as_bytes() == text.as_ref())
        }
        Theirs::Since(_) => matches!(ours, SearchKey::Since(..)),
        Theirs::SentBefore(_) => matches!(ours, SearchKey::Before(..)),
        Theirs::On(_) => matches!(ours, SearchKey::On(..)),
        _ => false,
    }
}

fn same_mailbox(ours: &str, theirs: &Mailbox<'_>) -> bool {
    match theirs {
        Mailbox::Inbox => ours == "INBOX",
        Mailbox::Other(name) => {
            let mut wire = Vec::new();
            angarium_imap::mailbox_name::encode(ours, &mut wire);
            wire == name.as_ref() || ours.as_bytes() == name.as_ref()
        }
    }
}

/// True when both mean the same; commands without arguments are compared by name.
fn same(ours: &Command, theirs: &CommandBody<'_>) -> bool {
    match (ours, theirs) {
        (Command::Fetch(f), CommandBody::Fetch { sequence_set, macro_or_item_names, uid, .. }) => {
            let count = match macro_or_item_names {
                Items::Macro(name) => name.expand().len(),
                Items::MessageDataItemNames(items) => items.len(),
            };
            f.uid == *uid && same_set(&f.set, sequence_set) && f.items.len() == count
        }
        (Command::Store(s), CommandBody::Store { sequence_set, flags, uid, .. }) => {
            s.uid == *uid && same_set(&s.set, sequence_set) && s.flags.len() == flags.len()
        }
        (Command::Copy(c), CommandBody::Copy { sequence_set, mailbox, uid })
        | (Command::Move(c), CommandBody::Move { sequence_set, mailbox, uid }) => {
            c.uid == *uid && same_set(&c.set, sequence_set) && same_mailbox(&c.mailbox, mailbox)
        }
        (Command::Search(s), CommandBody::Search { criteria, uid, .. }) => {
            s.uid == *uid && same_keys(&s.key, criteria.as_ref())
        }
        (Command::SortThread(s), CommandBody::Sort { search_criteria, sort_criteria, .. }) => {
            s.criteria.len() == sort_criteria.as_ref().len()
                && same_keys(&s.key, search_criteria.as_ref())
        }
        (Command::Select(s), CommandBody::Select { mailbox, .. }) => {
            !s.read_only && same_mailbox(&s.mailbox, mailbox)
        }
        (Command::Select(s), CommandBody::Examine { mailbox, .. }) => {
            s.read_only && same_mailbox(&s.mailbox, mailbox)
        }
        (Command::Delete(m), CommandBody::Delete { mailbox }) => same_mailbox(m, mailbox),
        (Command::Rename { from, to }, CommandBody::Rename { from: a, to: b }) => {
            same_mailbox(from, a) && same_mailbox(to, b)
        }
        (Command::Status { mailbox, items }, CommandBody::Status { mailbox: m, item_names }) => {
            let distinct: BTreeSet<String> = item_names.iter().map(|i| format!("{i:?}")).collect();
            same_mailbox(mailbox, m) && items.len() == distinct.len()
        }
        (Command::List(l), CommandBody::List { reference, .. }) => {
            same_mailbox(&l.reference, reference)
        }
        (Command::Login { user, password }, CommandBody::Login { username, password: secret }) => {
            user.as_bytes() == username.as_ref()
                && password.expose() == secret.declassify().as_ref()
        }
        (Command::Enable(names), CommandBody::Enable { capabilities }) => {
            names.len() == capabilities.as_ref().len()
        }
        (Command::Expunge(Some(set)), CommandBody::ExpungeUid { sequence_set }) => {
            same_set(set, sequence_set)
        }
        (ours, theirs) => ours.name() == theirs.name().to_ascii_uppercase(),
    }
}

fn set() -> impl Strategy<Value = String> {
    let number =
        prop_oneof![4 => (0u32..40).prop_map(|n| n.to_string()), 1 => Just("*".to_owned())];
    let range = (number.clone(), proptest::option::of(number))
        .prop_map(|(a, b)| b.map_or(a.clone(), |b| format!("{a}:{b}")));
    proptest::collection::vec(range, 1..4).prop_map(|r| r.join(","))
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("inbox".to_owned()),
        "[a-zA-Z0-9.$~&+_#/-]{1,8}",
        "[ -~]{0,8}".prop_map(|s| format!("\"{}\"", s.replace('\\', "\\\\").replace('"', "\\\""))),
        "[ -~]{0,6}".prop_map(|s| format!("{{{}+}}\r\n{s}", s.len())),
        "[()\\]%*\"{ ]{1,3}",
    ]
}

fn search_key() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("ALL".to_owned()),
        Just("unseen".to_owned()),
        Just("SEEN".to_owned()),
        Just("UNDRAFT".to_owned()),
        Just("NEW".to_owned()),
        Just("OLD".to_owned()),
        Just("RECENT".to_owned()),
        Just("DELETED".to_owned()),
        Just("SINCE 1-Feb-1994".to_owned()),
        Just("SENTBEFORE \"12-Mar-2001\"".to_owned()),
        Just("ON 31-Feb-2000".to_owned()),
        set(),
        set().prop_map(|s| format!("UID {s}")),
        (0u32..100).prop_map(|n| format!("LARGER {n}")),
        (0u32..100).prop_map(|n| format!("SMALLER {n}")),
        word().prop_map(|w| format!("SUBJECT {w}")),
        word().prop_map(|w| format!("TEXT {w}")),
        word().prop_map(|w| format!("HEADER X-A {w}")),
        "[a-z$]{1,5}".prop_map(|w| format!("KEYWORD {w}")),
    ];
    leaf.prop_recursive(4, 16, 3, |key| {
        prop_oneof![
            (key.clone(), key.clone()).prop_map(|(a, b)| format!("OR {a} {b}")),
            key.clone().prop_map(|a| format!("NOT {a}")),
            proptest::collection::vec(key, 1..3).prop_map(|k| format!("({})", k.join(" "))),
        ]
    })
}

fn fetch_items() -> impl Strategy<Value = String> {
    let item = prop_oneof![
        Just("FLAGS"),
        Just("UID"),
        Just("body"),
        Just("BODY[]"),
        Just("BODY.PEEK[1.2.MIME]"),
        Just("BODY[HEADER.FIELDS (Subject To)]<0.5>"),
        Just("BODY[1]<3.0>"),
        Just("RFC822.SIZE"),
        Just("RFC822.HEADER"),
        Just("INTERNALDATE"),
        Just("ENVELOPE"),
        Just("BINARY.PEEK[1]"),
        Just("BINARY.SIZE[2.1]"),
        Just("BODY[TEXT]"),
        Just("BODY[0]"),
        Just("BODYSTRUCTURE"),
    ];
    prop_oneof![
        Just("ALL".to_owned()),
        Just("FAST".to_owned()),
        Just("FULL".to_owned()),
        item.clone().prop_map(str::to_owned),
        proptest::collection::vec(item, 1..4).prop_map(|i| format!("({})", i.join(" "))),
    ]
}

fn line() -> impl Strategy<Value = String> {
    let uid = prop_oneof![Just(""), Just("UID ")];
    prop_oneof![
        prop_oneof![
            Just("NOOP"),
            Just("CAPABILITY"),
            Just("LOGOUT"),
            Just("CHECK"),
            Just("CLOSE"),
            Just("EXPUNGE"),
            Just("STARTTLS"),
            Just("IDLE"),
            Just("UNSELECT"),
            Just("ENABLE CONDSTORE X")
        ]
        .prop_map(str::to_owned),
        (uid.clone(), set(), fetch_items()).prop_map(|(u, s, i)| format!("{u}FETCH {s} {i}")),
        (
            uid.clone(),
            set(),
            prop_oneof![Just("FLAGS"), Just("+FLAGS.SILENT"), Just("-flags")],
            prop_oneof![Just("(\\Seen a)"), Just("()"), Just("\\Deleted"), Just("\\Draft \\x")]
        )
            .prop_map(|(u, s, k, f)| format!("{u}STORE {s} {k} {f}")),
        (uid.clone(), prop_oneof![Just("COPY"), Just("MOVE")], set(), word())
            .prop_map(|(u, c, s, w)| format!("{u}{c} {s} {w}")),
        (uid.clone(), proptest::collection::vec(search_key(), 1..4))
            .prop_map(|(u, k)| format!("{u}SEARCH {}", k.join(" "))),
        (uid, search_key()).prop_map(|(u, k)| format!("{u}SORT (REVERSE DATE SUBJECT) UTF-8 {k}")),
        (
            prop_oneof![
                Just("SELECT"),
                Just("EXAMINE"),
                Just("DELETE"),
                Just("SUBSCRIBE"),
                Just("CREATE"),
                Just("UNSUBSCRIBE"),
                Just("GETQUOTAROOT")
            ],
            word()
        )
            .prop_map(|(c, w)| format!("{c} {w}")),
        (prop_oneof![Just("RENAME"), Just("LOGIN"), Just("LIST"), Just("LSUB")], word(), word())
            .prop_map(|(c, a, b)| format!("{c} {a} {b}")),
        (
            word(),
            prop_oneof![
                Just("(MESSAGES UNSEEN)"),
                Just("(RECENT)"),
                Just("(DELETED UIDNEXT UIDNEXT)")
            ]
        )
            .prop_map(|(w, i)| format!("STATUS {w} {i}")),
        "(SETQUOTA #a \\(STORAGE 5\\)|GETQUOTA #a|AUTHENTICATE PLAIN( =)?|UID EXPUNGE 1:3)",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn what_another_grammar_accepts_means_the_same_here(line in line()) {
        let bytes = format!("a1 {line}\r\n");
        let theirs = CommandCodec::default().decode(bytes.as_bytes());
        let ours = command(format!("a1 {line}").as_bytes(), Options::default());
        if let Ok((b"", theirs)) = theirs {
            prop_assert!(ours.is_ok(), "refused {line:?}: {:?}", ours.err().map(|r| r.text));
            let ours = ours.unwrap();
            prop_assert!(same(&ours.command, &theirs.body), "{line:?}: {ours:?} / {theirs:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2))]

    #[test]
    fn much_of_what_is_tried_is_accepted_by_both(lines in proptest::collection::vec(line(), 400)) {
        // Guards the comparison above against comparing nothing.
        let both = lines.iter().filter(|line| {
            let bytes = format!("a1 {line}\r\n");
            CommandCodec::default().decode(bytes.as_bytes()).is_ok()
                && command(format!("a1 {line}").as_bytes(), Options::default()).is_ok()
        });
        prop_assert!(both.count() > 150);
    }
}
