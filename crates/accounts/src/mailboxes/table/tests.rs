//! Tests of the table of an open mailbox.

use super::*;

fn entry(uid: u32) -> MessageEntry {
    MessageEntry {
        uid: Uid(uid),
        flags: Flags::default(),
        modseq: ModSeq(u64::from(uid)),
        internal_date: InternalDate { seconds: i64::from(uid), zone_minutes: 60 },
        save_date: 7,
        size: u64::from(uid) * 10,
        body: BodyId(u64::from(uid) + 5),
        digest: [0; 32],
        original_uid: uid,
        pop_id: None,
    }
}

fn table(n: u32) -> Table {
    Table::of(&(1..=n).map(|n| entry(n * 2)).collect::<Vec<_>>())
}

fn uids(t: &Table) -> Vec<u32> {
    t.iter().map(|r| r.uid().0).collect()
}

#[test]
fn a_table_answers_every_uid_it_holds_and_no_other() {
    let t = table(5000);
    assert_eq!(t.len(), 5000);
    for uid in 0..10_010 {
        assert_eq!(t.get(Uid(uid)).is_some(), uid > 0 && uid % 2 == 0 && uid <= 10_000, "{uid}");
    }
    let asked: Vec<Uid> = (0..12_000).map(Uid).collect();
    let rows = t.select(&asked);
    assert_eq!(rows.len(), 5000);
    assert!(rows.iter().zip(t.iter()).all(|(a, b)| a.uid() == b.uid() && a.size() == b.size()));
    assert_eq!(t.iter_from(Uid(9_999)).map(|r| r.uid().0).collect::<Vec<_>>(), [10_000]);
    assert_eq!(t.iter_from(Uid(1)).count(), 5000);
}

#[test]
fn a_reader_keeps_what_it_saw_while_the_table_changes() {
    let mut t = table(3000);
    let seen = t.clone();
    let flags = Flags::with_keywords(FlagBits::SEEN, ["work"]);
    assert_eq!(t.set_flags(&[(Uid(4), flags.clone(), ModSeq(9_999))]), [Uid(4)]);
    assert_eq!(t.remove(&[Uid(2), Uid(3), Uid(6000)]), [Uid(2), Uid(6000)]);
    assert_eq!(t.append(&[entry(10), entry(6002)]), [Uid(6002)]);
    assert_eq!(seen.len(), 3000);
    assert!(seen.get(Uid(4)).is_some_and(|r| r.keywords().is_empty()));
    assert_eq!(t.get(Uid(4)).map(|r| r.flags()), Some(flags));
    assert_eq!(t.len(), 2999);
}

#[test]
fn an_older_change_of_flags_does_not_undo_a_newer_one() {
    let mut t = table(3);
    let newer = Flags::of(FlagBits::SEEN);
    t.set_flags(&[(Uid(2), newer.clone(), ModSeq(20))]);
    assert!(t.set_flags(&[(Uid(2), Flags::default(), ModSeq(20))]).is_empty());
    assert_eq!(t.get(Uid(2)).map(|r| r.flags()), Some(newer));
}

#[test]
fn the_first_unseen_message_is_found_after_any_change_of_flags() {
    let mut t = Table::of(&(1..=3000).map(entry).collect::<Vec<_>>());
    assert_eq!(t.runs(), [(1, 3000)]);
    let seen = |uid: u32| (Uid(uid), Flags::of(FlagBits::SEEN), ModSeq(10_000));
    t.set_flags(&(1..=2500).map(seen).collect::<Vec<_>>());
    assert_eq!(t.first_without(FlagBits::SEEN), Some(Uid(2501)));
    t.set_flags(&[(Uid(7), Flags::default(), ModSeq(10_001))]);
    assert_eq!(t.first_without(FlagBits::SEEN), Some(Uid(7)));
    assert!(t.may_have(FlagBits::SEEN) && !t.may_have(FlagBits::SERVICE));
    assert!(t.keywords(10).is_empty());
}

#[test]
fn removing_scattered_messages_leaves_the_rest_in_order() {
    let mut t = table(20_000);
    let out: Vec<Uid> = (1..=20_000).filter(|n| n % 10 != 0).map(|n| Uid(n * 2)).collect();
    assert_eq!(t.remove(&out).len(), 18_000);
    assert_eq!(t.len(), 2_000);
    assert_eq!(uids(&t), (1..=2000).map(|n| n * 20).collect::<Vec<_>>());
    assert!(t.chunks.len() <= 6);
    assert_eq!(t.runs().len(), 2000);
    assert_eq!(t.get(Uid(20)).map(|r| r.internal_date().zone_minutes), Some(60));
}

#[test]
fn ids_of_pop_stay_with_their_messages() {
    let mut t = table(2000);
    let id = |text: &str| angarium_store::PopId::from(text);
    t.set_pop_ids(&[(Uid(2), id("a")), (Uid(3), id("nobody")), (Uid(4000), id("z"))]);
    assert_eq!(t.append(&[MessageEntry { pop_id: Some(id("new")), ..entry(5000) }]), [Uid(5000)]);
    t.append(&[entry(5001)]);
    t.remove(&[Uid(4)]);
    let got: Vec<(u32, &str)> =
        t.iter().filter_map(|r| Some((r.uid().0, r.pop_id()?.as_ref()))).collect();
    assert_eq!(got, [(2, "a"), (4000, "z"), (5000, "new")]);
}
