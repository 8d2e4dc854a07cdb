//! Mailbox files read and written: dialects, dates, lies, broken ends, and round trips of anything.

use proptest::prelude::*;

use super::maildir::{self, MaildirName};
use super::mbox::MboxError;
use super::mdir::MdirName;
use super::mh::Sequences;
use super::separator::asctime;
use super::trees::{self, UidList};
use super::view::Quoting;
use super::*;

/// The messages of a mailbox as mail, with what was found.
fn read(file: &[u8], dialect: Dialect) -> Vec<(Found, Facts, String)> {
    let mut mbox = Mbox::new(file, dialect);
    let mut all = Vec::new();
    loop {
        let mut raw = Vec::new();
        mbox.begin().unwrap();
        let found = mbox.next(&mut |piece| raw.extend_from_slice(piece));
        let Some(found) = found.unwrap() else { return all };
        let mut view = View::new(mbox.dialect().quoting());
        let mut wire = Vec::new();
        view.push(&raw, &mut wire);
        let facts = view.finish(&mut wire);
        assert_eq!(facts.size, wire.len() as u64);
        all.push((found, facts, String::from_utf8_lossy(&wire).into_owned()));
    }
}

fn texts(file: &[u8], dialect: Dialect) -> Vec<String> {
    read(file, dialect).into_iter().map(|(_, _, text)| text).collect()
}

fn written(wire: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut quoter = Quoter::new();
    quoter.push(wire, &mut out);
    quoter.finish(&mut out);
    out
}

fn seconds(line: &str) -> Option<i64> {
    Separator::parse(line.as_bytes()).map(|s| s.date.seconds)
}

#[test]
fn mig_70_the_separator_keeps_flags_and_ids_and_its_width() {
    let line = Separator::line(
        b"joe@a.example",
        Marks::SEEN.with(Marks::FLAGGED),
        0x12C,
        7,
        1_141_726_500,
    );
    let text = "From <joe@a.example>(S-F----------0000012C-00000007) Tue Mar  7 10:15:00 2006\n";
    assert_eq!(String::from_utf8_lossy(&line), text);
    let separator = Separator::parse(&line).unwrap();
    assert_eq!(separator.sender, b"joe@a.example");
    assert_eq!(separator.date.seconds, 1_141_726_500);
    let fields = separator.fields.unwrap();
    assert_eq!((fields.uid, fields.original_uid), (300, 7));
    assert_eq!(fields.marks, Marks::SEEN.with(Marks::FLAGGED));
    let at = fields.flags_at.unwrap();
    assert_eq!(&line[at..at + Marks::WIDTH], b"S-F---------");
    let all = Separator::line(b"", Marks(0xFFF), 1, 0, 0);
    assert_eq!(all.len() + b"joe@a.example".len(), line.len());
    // Flags of any width are understood; they cannot be changed in place.
    let short = b"From <>(SA-00000001-00000000) Thu Jan  1 00:00:00 1970";
    let fields = Separator::parse(short).unwrap().fields.unwrap();
    assert_eq!(fields.marks, Marks::SEEN.with(Marks::ANSWERED));
    assert_eq!(fields.flags_at, None);
    // A sender cannot break out of its place.
    let line = Separator::line(b"a b>(x)\r\nFrom y", Marks::default(), 1, 1, 0);
    assert_eq!(line.iter().filter(|b| **b == b'\n').count(), 1);
    assert!(Separator::parse(&line).unwrap().fields.is_some());
}

#[test]
fn separators_of_every_kind_of_date_are_read() {
    let at = Some(1_141_726_500);
    for line in [
        "From joe@a.example Tue Mar  7 10:15:00 2006",
        "From joe Tue Mar 7 10:15:00 2006\r\n",
        "From <joe@a.example> Tue Mar  7 10:15:00 2006",
        "From joe@a.example  Tue Mar  7 10:15 2006",
        "From joe@a.example Tue Mar  7 11:15:00 2006 +0100",
        "From joe@a.example Tue Mar  7 11:15:00 +0100 2006",
        "From joe@a.example Tue Mar  7 05:15:00 EST 2006",
        "From joe@a.example Tue, 7 Mar 2006 10:15:00 +0000",
        "From joe ttyp0 Tue Mar  7 10:15:00 2006",
        "From uucp Tue Mar  7 10:15:00 2006 remote from host",
        "From Tue Mar  7 10:15:00 2006",
    ] {
        assert_eq!(seconds(line), at, "{line}");
    }
    for line in [
        "From here on nothing is as it was.",
        "From joe@a.example",
        "from joe Tue Mar  7 10:15:00 2006",
        "From Monday on we meet at 10:15",
        ">From joe Tue Mar  7 10:15:00 2006",
        "From joe Tue Mar 99 10:15:00 2006",
        "From joe Tue Mar  7 25:15:00 2006",
    ] {
        assert_eq!(seconds(line), None, "{line}");
    }
    assert_eq!(asctime(0), "Thu Jan  1 00:00:00 1970");
    assert_eq!(asctime(i64::MAX).len(), 24);
    assert_eq!(asctime(i64::MIN).len(), 24);
}

const PLAIN: &str = "From a Tue Mar  7 10:15:00 2006\nSubject: one\n\nhello\n>From me\n>>From you\n\n\
From b Tue Mar  7 10:16:00 2006\nSubject: two\n\nFrom here on\n\nbye\n";

#[test]
fn mig_71_a_plain_mailbox_is_read_without_fields() {
    let all = read(PLAIN.as_bytes(), Dialect::Auto);
    assert_eq!(all.len(), 2);
    assert!(all.iter().all(|(found, ..)| found.separator.as_ref().unwrap().fields.is_none()));
    assert_eq!(all[0].2, "Subject: one\r\n\r\nhello\r\nFrom me\r\n>From you\r\n");
    assert_eq!(all[1].2, "Subject: two\r\n\r\nFrom here on\r\n\r\nbye\r\n");
    assert_eq!(all[0].0.ends, all[1].0.begins);
    assert_eq!(all[1].0.ends, PLAIN.len() as u64);
    assert_eq!(texts(PLAIN.as_bytes(), Dialect::Mboxo)[0].lines().last(), Some(">>From you"));
    assert_eq!(texts(PLAIN.as_bytes(), Dialect::Mboxcl2)[0].lines().nth(3), Some(">From me"));
    // The same with CRLF.
    let returns = PLAIN.replace('\n', "\r\n");
    assert_eq!(texts(returns.as_bytes(), Dialect::Auto), texts(PLAIN.as_bytes(), Dialect::Auto));
}

#[test]
fn abu_64_a_length_is_believed_only_where_a_message_ends() {
    let inner = "text\n\nFrom x Tue Mar  7 10:15:00 2006\n\nmore\n";
    let file = |length: usize| {
        format!(
            "From a Tue Mar  7 10:15:00 2006\nContent-Length: {length}\nLines: 4\n\n{inner}\n\
             From b Tue Mar  7 10:16:00 2006\n\nlast\n"
        )
    };
    let right = texts(file(inner.len()).as_bytes(), Dialect::Auto);
    assert_eq!(right.len(), 2);
    assert_eq!(right[0], format!("\r\n{}", inner.replace('\n', "\r\n")));
    for wrong in [0, 1, inner.len() - 2, inner.len() + 2, 1 << 40, usize::MAX] {
        let all = texts(file(wrong).as_bytes(), Dialect::Auto);
        assert_eq!(all.len(), 3, "{wrong}: {all:?}");
        assert_eq!(all[2], "\r\nlast\r\n");
    }
    // Dialects without lengths do not look.
    assert_eq!(texts(file(inner.len()).as_bytes(), Dialect::Mboxrd).len(), 3);
    // A length to the very end.
    let end = "From a Tue Mar  7 10:15:00 2006\nContent-Length: 3\n\nend";
    assert_eq!(texts(end.as_bytes(), Dialect::Auto), ["\r\nend\r\n"]);
}

#[test]
fn abu_64_broken_ends_nuls_and_long_lines_are_read() {
    for (file, expected) in [
        ("", vec![]),
        ("\n\n", vec![]),
        ("From a Tue Mar  7 10:15:00 2006", vec![""]),
        ("From a Tue Mar  7 10:15:00 2006\n", vec![""]),
        ("From a Tue Mar  7 10:15:00 2006\nA: b", vec!["A: b\r\n"]),
        ("From a Tue Mar  7 10:15:00 2006\nA: b\n\nx\n\n", vec!["A: b\r\n\r\nx\r\n"]),
        ("From a Tue Mar  7 10:15:00 2006\nA: b\n\nx\n\n\n", vec!["A: b\r\n\r\nx\r\n\r\n"]),
        ("From a Tue Mar  7 10:15:00 2006\n\n\0\r\0\n", vec!["\r\n\0\r\0\r\n"]),
        (
            "From a Tue Mar  7 10:15:00 2006\nFrom b Tue Mar  7 10:15:00 2006\nA: b\n",
            vec!["", "A: b\r\n"],
        ),
    ] {
        assert_eq!(texts(file.as_bytes(), Dialect::Auto), expected, "{file:?}");
    }
    let mut long = b"From a Tue Mar  7 10:15:00 2006\n\n".to_vec();
    long.extend(std::iter::repeat_n(b'x', 3 * LINE_MAX));
    long.extend_from_slice(b"From b Tue Mar  7 10:15:00 2006\n\nFrom c Tue Mar  7 10:15:00 2006\n");
    let all = texts(&long, Dialect::Auto);
    assert_eq!(all.len(), 2);
    assert_eq!(all[0].len(), 2 + 3 * LINE_MAX + "From b Tue Mar  7 10:15:00 2006\r\n".len());
    let nothing = Mbox::new(&b"root:x:0:0:\n"[..], Dialect::Auto).next(&mut |_| {});
    assert_eq!(nothing, Err(MboxError::NoMailbox));
}

#[test]
fn a_separator_of_ours_needs_no_empty_line_before_it() {
    let own = String::from_utf8(Separator::line(b"x", Marks::default(), 5, 5, 0)).unwrap();
    let file = format!("From a Tue Mar  7 10:15:00 2006\n\ncut o{own}\n\nb\n");
    assert_eq!(read(file.as_bytes(), Dialect::Auto).len(), 1, "not in the middle of a line");
    let file = format!("From a Tue Mar  7 10:15:00 2006\n\ncut\n{own}\nb\n");
    let all = read(file.as_bytes(), Dialect::Auto);
    assert!(all.len() == 2 && all[1].0.unannounced && !all[0].0.unannounced);
}

#[test]
fn mmdf_is_told_by_its_first_line() {
    let file =
        b"\x01\x01\x01\x01\nFrom a Tue Mar  7 10:15:00 2006\nA: 1\n\n>From x\n\x01\x01\x01\x01\n\
\x01\x01\x01\x01\nA: 2\n\nFrom b Tue Mar  7 10:15:00 2006\n\x01\x01\x01\x01\n";
    let all = read(file, Dialect::Auto);
    assert_eq!(all.len(), 2);
    assert_eq!(all[0].2, "A: 1\r\n\r\n>From x\r\n");
    assert_eq!(all[1].2, "A: 2\r\n\r\nFrom b Tue Mar  7 10:15:00 2006\r\n");
    assert!(all[0].0.separator.is_some() && all[1].0.separator.is_none());
}

#[test]
fn fields_of_mail_programs_become_facts_and_are_no_part_of_the_mail() {
    let file = b"From a Tue Mar  7 10:15:00 2006\nX-IMAPbase: 1141726500 12 $Label1\nSubject: s\n\
Status: RO\nX-Status: AF\nX-Keywords: NonJunk $Label1\n\tfolded\nX-UID: 9\nLines: 3\nContent-Length: 5\n\
Lines: 1\n\nStatus: R\n";
    let all = read(file, Dialect::Auto);
    let facts = &all[0].1;
    assert_eq!(all[0].2, "Subject: s\r\nLines: 3\r\n\r\nStatus: R\r\n");
    let marks = Marks::SEEN.with(Marks::ANSWERED).with(Marks::FLAGGED);
    assert_eq!(facts.status, Some(marks));
    assert_eq!(facts.keywords, ["NonJunk", "$Label1"]);
    assert_eq!((facts.uid, facts.base), (Some(9), Some((1_141_726_500, 12))));
    assert!(!facts.is_note);
    let note = b"From MAILER-DAEMON Tue Mar  7 10:15:00 2006\nSubject: DON'T DELETE THIS MESSAGE \
-- FOLDER INTERNAL DATA\nX-IMAP: 1141726500 0000000012\n\nThis text\n";
    assert!(read(note, Dialect::Auto)[0].1.is_note);
}

#[test]
fn maildir_names_say_flags_keywords_and_arrival() {
    let name = MaildirName::parse(b"1141726500.M1P2.host,S=12,W=13:2,FRSab").unwrap();
    assert_eq!(name.marks, Marks::FLAGGED.with(Marks::ANSWERED).with(Marks::SEEN));
    assert_eq!((name.keywords, name.arrived), (vec![0, 1], Some(1_141_726_500)));
    assert_eq!(name.unique, b"1141726500.M1P2.host,S=12,W=13");
    let name = MaildirName::parse(b"1141726500.1.host;2,PTD").unwrap();
    assert_eq!(name.marks, Marks::REDIRECTED.with(Marks::DELETED).with(Marks::DRAFT));
    let plain = MaildirName::parse(b"a:2").unwrap();
    assert_eq!((plain.marks, plain.arrived), (Marks::default(), None));
    assert!(MaildirName::parse(b".nfs0001").is_none() && MaildirName::parse(b"").is_none());
    assert_eq!(maildir::folder(".Sent.2006"), Some(vec!["Sent", "2006"]));
    for none in ["cur", ".", "..", ".a..b", ".a."] {
        assert_eq!(maildir::folder(none), None, "{none}");
    }
}

#[test]
fn mdir_names_of_the_old_server_are_read() {
    let name = MdirName::parse("0000012C-SA-4593A1F0-0000012C-18234").unwrap();
    assert_eq!((name.uid, name.original_uid, name.size), (300, 300, 18_234));
    assert_eq!((name.marks, name.arrived), (Marks::SEEN.with(Marks::ANSWERED), 0x4593_A1F0));
    assert_eq!(
        MdirName::parse("0000012C-S------------4593A1F0-0000012C-1.lang").unwrap().marks,
        Marks::SEEN
    );
    assert_eq!(MdirName::parse("0000012C--4593A1F0-00000000-1").unwrap().marks, Marks::default());
    for none in [
        "",
        ".tmp",
        "x",
        "00000000--0-00000000-1",
        "0000012C-Q-4593A1F0-0000012C-1",
        "0000012C-S-4593A1F0-0000012C-",
    ] {
        assert_eq!(MdirName::parse(none), None, "{none}");
    }
}

#[test]
fn small_files_beside_mailboxes_are_read() {
    let list = UidList::parse(b"3 V1141726500 N13 Gabc\n5 :1.a.host\n12 W99 :2.b.host:2,S\nx\n");
    assert_eq!((list.validity, list.next), (Some(1_141_726_500), Some(13)));
    assert_eq!((list.uids[&b"1.a.host"[..]], list.uids[&b"2.b.host"[..]]), (5, 12));
    let old = UidList::parse(b"1 77 4\n3 1.a.host\n");
    assert_eq!((old.validity, old.next, old.uids[&b"1.a.host"[..]]), (Some(77), Some(4), 3));
    assert_eq!(UidList::parse(b"\xff\n"), UidList::default());
    assert_eq!(trees::keywords(b"0 $Label1\n25 z\n26 no\nx\n").len(), 2);
    assert_eq!(
        trees::subscriptions(b"Sent.2006\n\nINBOX\n", '.'),
        [vec!["Sent", "2006"], vec!["INBOX"]]
    );
    assert_eq!(trees::subscriptions(b"V\t2\n\na\tb.c\n", '.'), [vec!["a", "b.c"]]);
    let sequences =
        Sequences::parse(b"unseen: 1-3 5\nreplied: 4\ncur: 9\nflagged: 9-1 4294967295\n");
    assert_eq!(sequences.of(1), Marks::default());
    assert_eq!(sequences.of(4), Marks::SEEN.with(Marks::ANSWERED));
    assert_eq!(Sequences::parse(b"flagged: 1-4294967295\n").of(7), Marks::FLAGGED);
}

/// Lines that are worth meeting, put together at random.
fn anything() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        Just("From ".to_owned()),
        Just("From x Tue Mar  7 10:15:00 2006".to_owned()),
        Just("From <x>(S------------00000001-00000001) Tue Mar  7 10:15:00 2006".to_owned()),
        Just(">From x".to_owned()),
        Just(">>>>From ".to_owned()),
        Just(String::new()),
        Just("Status: R".to_owned()),
        Just("Content-Length: 10".to_owned()),
        Just("Subject: x".to_owned()),
        Just("\x01\x01\x01\x01".to_owned()),
        "[ -~\\x00\\r]{0,20}",
    ];
    let end = prop_oneof![Just("\r\n"), Just("\n"), Just("\r"), Just("")];
    proptest::collection::vec((line, end), 0..12).prop_map(|lines| {
        lines.into_iter().flat_map(|(l, e)| [l.into_bytes(), e.into()].concat()).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// What is written is read again, message for message, and writing that again changes nothing.
    #[test]
    fn whatever_is_written_comes_back(messages in proptest::collection::vec(anything(), 0..5), cut in 1usize..40) {
        let mut file = Vec::new();
        let mut expected = Vec::new();
        for (at, wire) in messages.iter().enumerate() {
            file.extend(Separator::line(b"s", Marks::default(), at as u32 + 1, 0, 0));
            let body = written(wire);
            let mut pieces = Vec::new();
            let mut quoter = Quoter::new();
            wire.chunks(cut).for_each(|piece| quoter.push(piece, &mut pieces));
            quoter.finish(&mut pieces);
            prop_assert_eq!(&pieces, &body, "cut into pieces");
            let mut view = View::new(Quoting::Any);
            let mut text = Vec::new();
            view.push(&body[..body.len() - 1], &mut text);
            view.finish(&mut text);
            // A CR before a line end is not told from the line end itself.
            if !wire.windows(2).any(|w| w == b"\r\r") {
                prop_assert_eq!(&written(&text), &body, "writing it again");
            }
            expected.push(String::from_utf8_lossy(&text).into_owned());
            file.extend(body);
        }
        let all = read(&file, Dialect::Auto);
        let uids: Vec<u32> = all.iter().map(|(f, ..)| f.separator.as_ref().unwrap().fields.unwrap().uid).collect();
        prop_assert_eq!(uids, (1..=messages.len() as u32).collect::<Vec<_>>());
        let texts: Vec<String> = all.into_iter().map(|(_, _, text)| text).collect();
        prop_assert_eq!(texts, expected);
    }

    /// Any octets are taken apart without losing one, and the parts follow each other.
    #[test]
    fn any_octets_are_taken_apart(tail in anything(), window in 1usize..50) {
        let mut file = b"From a Tue Mar  7 10:15:00 2006\n".to_vec();
        file.extend(tail);
        struct Slow<'f>(&'f [u8], usize);
        impl Octets for Slow<'_> {
            type Error = std::convert::Infallible;
            fn read_at(&mut self, at: u64, into: &mut [u8]) -> Result<usize, Self::Error> {
                let most = into.len().min(self.1);
                self.0.read_at(at, &mut into[..most])
            }
        }
        for dialect in [Dialect::Auto, Dialect::Mboxrd, Dialect::Mboxcl2] {
            let fast: Vec<Found> = read(&file, dialect).into_iter().map(|(found, ..)| found).collect();
            let mut slow = Mbox::new(Slow(&file, window), dialect);
            let mut at = 0;
            for found in fast {
                prop_assert_eq!(found.begins, at);
                prop_assert!(found.content > found.begins && found.ends >= found.content);
                at = found.ends;
                let mut again = None;
                if let Ok(next) = slow.next(&mut |_| {}) { again = next; }
                prop_assert_eq!(again, Some(found));
            }
            prop_assert_eq!(at, file.len() as u64);
        }
    }

    #[test]
    fn no_octets_upset_the_small_files(text in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = (UidList::parse(&text), trees::keywords(&text), trees::subscriptions(&text, '.'));
        let _ = (Sequences::parse(&text), MaildirName::parse(&text), Separator::parse(&text));
        let _ = MdirName::parse(&String::from_utf8_lossy(&text));
        for dialect in [Dialect::Auto, Dialect::Mmdf, Dialect::Mboxcl] {
            let mut mbox = Mbox::new(text.as_slice(), dialect);
            while let Ok(Some(_)) = mbox.next(&mut |_| {}) {}
        }
    }
}
