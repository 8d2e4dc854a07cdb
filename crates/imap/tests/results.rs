//! Commands and answers of ordered, kept and several mailboxes' results.
//! Features: IMAP-02.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use angarium_imap::decode::{Options, command};
use angarium_imap::encode::{
    Esearch, FetchWriter, Numbers, SearchedMailbox, Update, esearch, no_update, search_update,
};
use angarium_imap::types::{Command, SearchKey, SearchSource, Tag, UidSet};

fn decoded(text: &str) -> Command {
    command(format!("a {text}").as_bytes(), Options::default()).unwrap().command
}

fn refused(text: &str) -> bool {
    command(format!("a {text}").as_bytes(), Options::default()).is_err()
}

#[test]
fn searches_in_several_mailboxes_are_read_as_they_are_meant() {
    let Command::MultiSearch(multi) = decoded(
        "ESEARCH IN (selected mailboxes (a \"b c\") subtree-one INBOX personal) RETURN (COUNT) SEEN",
    ) else {
        panic!()
    };
    assert_eq!(
        multi.sources,
        [
            SearchSource::Selected,
            SearchSource::Mailbox("a".into()),
            SearchSource::Mailbox("b c".into()),
            SearchSource::SubtreeOne("INBOX".into()),
            SearchSource::Personal,
        ]
    );
    assert!(multi.search.uid && multi.search.returns.is_some_and(|r| r.count && !r.all));
    let Command::MultiSearch(multi) = decoded("ESEARCH ALL") else { panic!() };
    assert_eq!((multi.sources.len(), multi.search.key), (0, SearchKey::All));
    assert!(!decoded("ESEARCH NOT $").uses_sequence_numbers());
    assert!(decoded("ESEARCH NOT (OR SEEN 1:*)").uses_sequence_numbers());
    for bad in [
        "ESEARCH",
        "ESEARCH IN () ALL",
        "ESEARCH IN (selected) (x) ALL",
        "ESEARCH IN (subtree) ALL",
        "ESEARCH IN (mailboxes ()) ALL",
        "ESEARCH IN (selected-delayed) ALL",
        "ESEARCH IN (personal",
        "UID ESEARCH ALL",
    ] {
        assert!(refused(bad), "{bad}");
    }
    let many = vec!["x"; 1200].join(" ");
    assert!(refused(&format!("ESEARCH IN (mailboxes ({many})) ALL")), "the list is bounded");
}

#[test]
fn kept_results_are_asked_for_and_given_up() {
    let Command::Search(search) = decoded("UID SEARCH RETURN (UPDATE CONTEXT MIN) ALL") else {
        panic!()
    };
    assert!(search.returns.is_some_and(|r| r.update && r.min && r.tells()));
    assert_eq!(
        decoded("CANCELUPDATE \"a1\" \"b\""),
        Command::CancelUpdate(vec!["a1".into(), "b".into()])
    );
    let many = "\"t\" ".repeat(100);
    for bad in ["CANCELUPDATE", "CANCELUPDATE a1", "CANCELUPDATE \"a\" ", many.trim()] {
        assert!(refused(bad), "{bad}");
    }
    assert!(refused(&format!("CANCELUPDATE {}", many.trim())), "the list is bounded");
    assert!(refused("SEARCH RETURN (PARTIAL 1:2 PARTIAL 1:2) ALL"));
}

#[test]
fn results_are_written_with_their_order_place_and_changes() {
    let tag = Tag::new(b"A1").unwrap();
    let mut out = Vec::new();
    let set: UidSet = [4, 5].into_iter().collect();
    let mailbox = SearchedMailbox { name: "Entwürfe", utf8: false, uid_validity: 7 };
    let result = Esearch {
        mailbox: Some(mailbox),
        uid: true,
        all: Some(Numbers::Set(&set)),
        ..Esearch::default()
    };
    esearch(&mut out, &tag, &result);
    let result = Esearch { all: Some(Numbers::Ordered(&[5, 3, 4, 1])), ..Esearch::default() };
    esearch(&mut out, &tag, &result);
    let step =
        |adds, position, numbers: &[u32]| Update { adds, position, numbers: numbers.to_vec() };
    let steps = [step(false, 0, &[3]), step(true, 1, &[9, 8]), step(true, 5, &[1, 2])];
    search_update(&mut out, &tag, true, &steps);
    search_update(&mut out, &tag, false, &[]);
    no_update(&mut out, &tag, "full\r\n");
    let mut answer = FetchWriter::uid_only(&mut out, 17);
    answer.modseq(3);
    answer.finish();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "* ESEARCH (TAG \"A1\" MAILBOX Entw&APw-rfe UIDVALIDITY 7) UID ALL 4:5\r\n\
         * ESEARCH (TAG \"A1\") ALL 5,3:4,1\r\n\
         * ESEARCH (TAG \"A1\") UID REMOVEFROM (0 3) ADDTO (1 9,8 5 1:2)\r\n\
         * NO [NOUPDATE \"A1\"] full??\r\n\
         * 17 UIDFETCH (MODSEQ (3))\r\n"
    );
}
