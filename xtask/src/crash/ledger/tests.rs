//! The ledger finds each kind of loss and excuses what a crash may do.

use super::*;

fn text(id: &str) -> Vec<u8> {
    format!("Subject: x\r\n{ID_FIELD}{id}\r\n\r\nthe body of {id}\r\n").into_bytes()
}

fn flags(all: &[&str]) -> BTreeSet<String> {
    all.iter().map(|flag| (*flag).to_owned()).collect()
}

fn attempt(ledger: &mut Ledger, id: &str) {
    let bytes = text(id);
    let sent = Sent { id, bytes: &bytes, exact: true, mailbox: "A", flags: BTreeSet::new() };
    ledger.attempt(sent);
}

fn certain(ids: &[&str]) -> Ledger {
    let mut ledger = Ledger::default();
    for id in ids {
        attempt(&mut ledger, id);
        ledger.acknowledge(id);
    }
    ledger
}

fn message(uid: u32, id: &str) -> Seen {
    Seen { uid, flags: BTreeSet::new(), bytes: text(id) }
}

fn mailbox(messages: Vec<Seen>) -> MailboxSeen {
    let uid_next = messages.iter().map(|one| one.uid + 1).max().unwrap_or(1);
    MailboxSeen { validity: 7, uid_next, messages }
}

fn account(a: Vec<Seen>, b: Vec<Seen>) -> AccountSeen {
    BTreeMap::from([("A".to_owned(), mailbox(a)), ("B".to_owned(), mailbox(b))])
}

fn kinds(ledger: &Ledger, seen: &AccountSeen) -> Vec<Kind> {
    ledger.problems(seen).into_iter().map(|problem| problem.kind).collect()
}

#[test]
fn what_was_acknowledged_and_is_there_once_is_right() {
    let ledger = certain(&["one", "two"]);
    let seen = account(vec![message(1, "one"), message(2, "two")], vec![]);
    assert_eq!((kinds(&ledger, &seen), ledger.missing(&seen)), (vec![], 0));
}

#[test]
fn an_acknowledged_message_that_is_not_there_is_lost() {
    let ledger = certain(&["one", "two"]);
    let seen = account(vec![message(2, "two")], vec![]);
    assert_eq!((kinds(&ledger, &seen), ledger.missing(&seen)), (vec![Kind::Lost], 1));
}

#[test]
fn an_unacknowledged_message_may_be_there_once_or_not_at_all() {
    let mut ledger = Ledger::default();
    attempt(&mut ledger, "one");
    assert!(kinds(&ledger, &account(vec![], vec![])).is_empty());
    assert!(kinds(&ledger, &account(vec![message(1, "one")], vec![])).is_empty());
    let twice = account(vec![message(1, "one"), message(2, "one")], vec![]);
    assert_eq!(kinds(&ledger, &twice), [Kind::Twice]);
}

#[test]
fn a_message_in_two_mailboxes_is_there_twice() {
    let mut ledger = certain(&["one"]);
    ledger.attempt_move("one", "B");
    let both = account(vec![message(1, "one")], vec![message(1, "one")]);
    assert_eq!(kinds(&ledger, &both), [Kind::Twice]);
    assert!(kinds(&ledger, &account(vec![message(1, "one")], vec![])).is_empty());
    assert!(kinds(&ledger, &account(vec![], vec![message(1, "one")])).is_empty());
}

#[test]
fn an_acknowledged_move_is_not_undone() {
    let mut ledger = certain(&["one"]);
    ledger.attempt_move("one", "B");
    ledger.acknowledge_move("one", "B");
    assert!(kinds(&ledger, &account(vec![], vec![message(1, "one")])).is_empty());
    let undone = account(vec![message(1, "one")], vec![]);
    assert_eq!(kinds(&ledger, &undone), [Kind::Misplaced]);
}

#[test]
fn changed_bytes_are_damage() {
    let ledger = certain(&["one"]);
    let mut wrong = message(1, "one");
    wrong.bytes.pop();
    assert_eq!(kinds(&ledger, &account(vec![wrong], vec![])), [Kind::Damaged]);
    let mut wrong = message(1, "one");
    wrong.bytes.splice(0..0, *b"Received: x\r\n");
    assert_eq!(kinds(&ledger, &account(vec![wrong], vec![])), [Kind::Damaged]);
}

#[test]
fn a_delivered_message_may_have_fields_in_front() {
    let mut ledger = Ledger::default();
    let bytes = text("one");
    let (mailbox, flags) = ("A", BTreeSet::new());
    ledger.attempt(Sent { id: "one", bytes: &bytes, exact: false, mailbox, flags });
    let mut longer = message(1, "one");
    longer.bytes.splice(0..0, *b"Received: x\r\n");
    assert!(kinds(&ledger, &account(vec![longer], vec![])).is_empty());
    let mut shorter = message(1, "one");
    shorter.bytes.remove(0);
    assert_eq!(kinds(&ledger, &account(vec![shorter], vec![])), [Kind::Damaged]);
}

#[test]
fn flags_are_the_old_or_the_new_ones_until_acknowledged() {
    let mut ledger = certain(&["one"]);
    ledger.attempt_flags("one", flags(&["\\Seen"]));
    let with =
        |all: &[&str]| account(vec![Seen { flags: flags(all), ..message(1, "one") }], vec![]);
    assert!(kinds(&ledger, &with(&[])).is_empty());
    assert!(kinds(&ledger, &with(&["\\Seen"])).is_empty());
    assert_eq!(kinds(&ledger, &with(&["\\Draft"])), [Kind::Flags]);
    assert_eq!(ledger.flags("one"), None);
    ledger.acknowledge_flags("one");
    assert_eq!(ledger.flags("one"), Some(&flags(&["\\Seen"])));
    assert_eq!(kinds(&ledger, &with(&[])), [Kind::Flags]);
}

#[test]
fn uids_ascend_and_are_never_reused() {
    let mut ledger = certain(&["one", "two"]);
    let seen = account(vec![message(1, "one"), message(2, "two")], vec![]);
    ledger.settle(&seen);
    assert!(kinds(&ledger, &seen).is_empty());
    let swapped = account(vec![message(1, "two"), message(2, "one")], vec![]);
    assert_eq!(kinds(&ledger, &swapped), [Kind::Uids, Kind::Uids]);
    let renumbered = account(vec![message(3, "one"), message(2, "two")], vec![]);
    assert_eq!(kinds(&ledger, &renumbered), [Kind::Uids]);
    let mut other = seen.clone();
    other.get_mut("A").expect("A is there").validity = 8;
    assert_eq!(kinds(&ledger, &other), [Kind::Uids]);
    let mut back = seen;
    back.get_mut("A").expect("A is there").uid_next = 2;
    assert!(kinds(&ledger, &back).contains(&Kind::Uids));
}

#[test]
fn a_uid_that_was_acknowledged_belongs_to_its_message() {
    let mut ledger = certain(&["one", "two"]);
    ledger.learn_uid("A", 5, "one");
    let seen = account(vec![message(5, "two"), message(6, "one")], vec![]);
    assert_eq!(kinds(&ledger, &seen), [Kind::Uids]);
    let mut early = account(vec![message(5, "one"), message(6, "two")], vec![]);
    assert!(kinds(&ledger, &early).is_empty());
    ledger.learn_uid("B", 9, "three");
    assert_eq!(kinds(&ledger, &early), [Kind::Uids]);
    early.get_mut("B").expect("B is there").uid_next = 10;
    assert!(kinds(&ledger, &early).is_empty());
}

#[test]
fn messages_appended_together_are_there_together() {
    let mut ledger = Ledger::default();
    attempt(&mut ledger, "one");
    attempt(&mut ledger, "two");
    ledger.attempt_together(vec!["one".to_owned(), "two".to_owned()]);
    assert_eq!(kinds(&ledger, &account(vec![message(1, "one")], vec![])), [Kind::Partial]);
    assert!(kinds(&ledger, &account(vec![], vec![])).is_empty());
    let both = account(vec![message(1, "one"), message(2, "two")], vec![]);
    assert!(kinds(&ledger, &both).is_empty());
}

#[test]
fn a_removed_message_stays_away() {
    let mut ledger = certain(&["one"]);
    let here = account(vec![message(1, "one")], vec![]);
    ledger.attempt_removal("one");
    assert!(kinds(&ledger, &here).is_empty());
    assert!(kinds(&ledger, &account(vec![], vec![])).is_empty());
    let deleted = Seen { flags: flags(&["\\Deleted"]), ..message(1, "one") };
    assert!(kinds(&ledger, &account(vec![deleted], vec![])).is_empty());
    ledger.acknowledge_removal("one");
    assert_eq!(kinds(&ledger, &here), [Kind::Revived]);
    assert!(kinds(&ledger, &account(vec![], vec![])).is_empty());
}

#[test]
fn a_message_nobody_sent_is_noticed() {
    let ledger = certain(&["one"]);
    let nameless = Seen { uid: 2, flags: BTreeSet::new(), bytes: b"Subject: x\r\n\r\n".to_vec() };
    let seen = account(vec![message(1, "one"), nameless, message(3, "else")], vec![]);
    assert_eq!(kinds(&ledger, &seen), [Kind::Unknown, Kind::Unknown]);
}

#[test]
fn what_was_read_once_must_stay() {
    let mut ledger = Ledger::default();
    attempt(&mut ledger, "one");
    attempt(&mut ledger, "late");
    ledger.settle(&account(vec![message(1, "one")], vec![]));
    let mut later = account(vec![], vec![]);
    later.get_mut("A").expect("A is there").uid_next = 2;
    assert_eq!(kinds(&ledger, &later), [Kind::Lost]);
    let arrived = account(vec![message(1, "one"), message(2, "late")], vec![]);
    assert!(kinds(&ledger, &arrived).is_empty());
}

#[test]
fn the_name_is_found_in_the_header_only() {
    assert_eq!(identity(b"A: b\r\nX-Crash-Id: r1-2\r\n\r\nbody"), Some("r1-2"));
    assert_eq!(identity(b"A: b\r\n\r\nX-Crash-Id: r1-2\r\n"), None);
    assert_eq!(identity(b""), None);
}
