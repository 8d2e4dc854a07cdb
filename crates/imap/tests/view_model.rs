//! The view held against the simplest model of a mailbox and of a client's list (IMAP-06).

use std::collections::BTreeSet;
use std::sync::Arc;

use angarium_imap::types::{PartialRange, Range, SequenceSet, UidSet};
use angarium_imap::view::{Habits, Moment, News, UidMap, View};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Arrive { gap: u32, count: u32, recent: bool },
    Expunge(Vec<prop::sample::Index>),
    Change(Vec<prop::sample::Index>),
    Take(bool),
}

fn step() -> impl Strategy<Value = Step> {
    let some = || proptest::collection::vec(any::<prop::sample::Index>(), 1..6);
    prop_oneof![
        (0u32..4, 1u32..5, any::<bool>()).prop_map(|(gap, count, recent)| Step::Arrive {
            gap,
            count,
            recent
        }),
        some().prop_map(Step::Expunge),
        some().prop_map(Step::Change),
        any::<bool>().prop_map(Step::Take),
    ]
}

fn uids(view: &View) -> Vec<u32> {
    view.map().iter().map(|(_, uid)| uid).collect()
}

fn set() -> impl Strategy<Value = Vec<(u32, u32)>> {
    proptest::collection::vec((0u32..40, prop_oneof![0u32..40, Just(u32::MAX)]), 1..5)
}

fn sequence_set(ranges: &[(u32, u32)]) -> SequenceSet {
    SequenceSet::Ranges(ranges.iter().map(|&(from, to)| Range { from, to }).collect())
}

proptest! {
    #[test]
    fn a_client_that_follows_the_news_always_counts_as_the_view_does(
        start in proptest::collection::btree_set(1u32..30, 0..20),
        steps in proptest::collection::vec(step(), 0..30),
        qresync: bool,
        rev2: bool,
    ) {
        let mut truth: BTreeSet<u32> = start.clone();
        let mut next = 40;
        let mut client: Vec<u32> = start.iter().copied().collect();
        let map = Arc::new(UidMap::from_ascending(start));
        let mut view = View::new(map, UidSet::new(), Habits { qresync, rev2 });
        let mut changed: BTreeSet<u32> = BTreeSet::new();
        let mut modseq = 1;
        for step in steps.into_iter().chain([Step::Take(true)]) {
            match step {
                Step::Arrive { gap, count, recent } => {
                    let new: Vec<u32> = (next + gap..next + gap + count).collect();
                    next += gap + count;
                    truth.extend(&new);
                    view.arrived(new, recent);
                }
                Step::Expunge(which) if !truth.is_empty() => {
                    let all: Vec<u32> = truth.iter().copied().collect();
                    let gone: Vec<u32> = which.iter().map(|i| *i.get(&all)).collect();
                    truth.retain(|uid| !gone.contains(uid));
                    view.gone(gone);
                }
                Step::Change(which) if !truth.is_empty() => {
                    let all: Vec<u32> = truth.iter().copied().collect();
                    modseq += 1;
                    let now: Vec<u32> = which.iter().map(|i| *i.get(&all)).collect();
                    changed.extend(&now);
                    view.changed(now.into_iter().map(|uid| (uid, modseq)));
                }
                Step::Take(free) => {
                    let moment = if free { Moment::Free } else { Moment::NumbersStand };
                    let mut news = Vec::new();
                    view.take_news(moment, |n| news.push(n));
                    for item in news {
                        match item {
                            News::Expunge(sequence) => {
                                prop_assert!(free && !qresync);
                                let gone = client.remove(sequence as usize - 1);
                                prop_assert!(!truth.contains(&gone));
                            }
                            News::Vanished(set) => {
                                prop_assert!(free && qresync);
                                client.retain(|&uid| !set.contains(uid));
                            }
                            News::Exists(count) => {
                                let now = uids(&view);
                                prop_assert!(count as usize > client.len());
                                prop_assert_eq!(now.len(), count as usize);
                                client.extend(&now[client.len()..]);
                            }
                            News::Recent(count) => {
                                prop_assert!(!rev2);
                                prop_assert_eq!(count, view.recent());
                            }
                            News::Flags { sequence, uid } => {
                                prop_assert_eq!(client.get(sequence as usize - 1), Some(&uid));
                                prop_assert!(changed.contains(&uid));
                            }
                        }
                    }
                    changed.clear();
                    prop_assert_eq!(&uids(&view), &client);
                    if free {
                        prop_assert!(!view.has_news());
                        prop_assert!(client.iter().eq(truth.iter()));
                    }
                }
                _ => {}
            }
            prop_assert_eq!(&uids(&view), &client, "numbers moved without being told");
            for (i, &uid) in client.iter().enumerate() {
                prop_assert_eq!(view.sequence_of(uid), Some(i as u32 + 1));
                prop_assert_eq!(view.uid_of(i as u32 + 1), Some(uid));
            }
        }
    }

    #[test]
    fn sets_name_what_they_name_in_a_plain_list(
        mailbox in proptest::collection::btree_set(1u32..40, 0..30),
        ranges in set(),
        page in (1u32..20, 1u32..20, any::<bool>()),
    ) {
        let list: Vec<u32> = mailbox.iter().copied().collect();
        let map = Arc::new(UidMap::from_ascending(mailbox));
        let view = View::new(map, UidSet::new(), Habits::default());
        let set = sequence_set(&ranges);
        let ends = |largest: u32| -> Vec<(u32, u32)> {
            ranges
                .iter()
                .map(|&(a, b)| (if a == 0 { largest } else { a }, if b == 0 { largest } else { b }))
                .filter(|&(a, b)| a != 0 && b != 0)
                .map(|(a, b)| (a.min(b), a.max(b)))
                .collect()
        };
        let pairs = || list.iter().enumerate().map(|(i, &uid)| (i as u32 + 1, uid));
        let by_uid = ends(list.last().copied().unwrap_or(0));
        let expected: Vec<(u32, u32)> =
            pairs().filter(|(_, uid)| by_uid.iter().any(|r| r.0 <= *uid && *uid <= r.1)).collect();
        let resolved = view.resolve(&set, true).unwrap();
        prop_assert_eq!(resolved.iter().collect::<Vec<_>>(), expected.clone());
        prop_assert_eq!(resolved.len() as usize, expected.len());

        let (a, b, from_end) = page;
        let (first, last) = (a.min(b), a.max(b));
        let mut positions: Vec<(u32, u32)> = expected.clone();
        if from_end {
            positions.reverse();
        }
        let mut paged: Vec<(u32, u32)> =
            positions.into_iter().skip(first as usize - 1).take((last - first + 1) as usize).collect();
        paged.sort_unstable();
        let got = resolved.page(PartialRange { first, last, from_end });
        prop_assert_eq!(got.iter().collect::<Vec<_>>(), paged);

        let by_number = ends(list.len() as u32);
        let numbers = view.resolve(&set, false);
        if by_number.iter().any(|r| r.0 > list.len() as u32) {
            prop_assert!(numbers.is_err());
        } else {
            let expected: Vec<(u32, u32)> = pairs()
                .filter(|(n, _)| by_number.iter().any(|r| r.0 <= *n && *n <= r.1))
                .collect();
            prop_assert_eq!(numbers.unwrap().iter().collect::<Vec<_>>(), expected);
        }

        let missing = view.missing(None, 45);
        prop_assert!((1..=45).all(|uid| missing.contains(uid) != list.contains(&uid)));
    }
}

#[test]
fn a_search_result_kept_for_later_forgets_what_is_expunged() {
    let mut view =
        View::new(Arc::new(UidMap::from_ascending(1..=5)), UidSet::new(), Habits::default());
    view.save([2, 3, 5].into_iter().collect());
    view.gone([3]);
    view.take_news(Moment::Free, |_| {});
    let saved: Vec<_> = view.resolve(&SequenceSet::Saved, true).unwrap().iter().collect();
    assert_eq!(saved, [(2, 2), (4, 5)]);
}

#[test]
fn changes_the_client_made_silently_are_not_told_but_later_ones_are() {
    let mut view =
        View::new(Arc::new(UidMap::from_ascending(1..=5)), UidSet::new(), Habits::default());
    view.changed([(1, 7), (2, 7), (3, 7), (2, 9)]);
    view.told([(1, 7), (2, 7)]);
    let mut news = Vec::new();
    view.take_news(Moment::NumbersStand, |n| news.push(n));
    assert_eq!(news, [News::Flags { sequence: 2, uid: 2 }, News::Flags { sequence: 3, uid: 3 }]);
}

// ABU-26
#[test]
fn forged_ranges_over_a_million_messages_cost_nothing() {
    let map = Arc::new(UidMap::from_ascending((1..=1_000_000).map(|n| n * 2)));
    let view = View::new(map, UidSet::new(), Habits::default());
    let all = view.resolve(&SequenceSet::range(1, u32::MAX), true).unwrap();
    assert_eq!(all.len(), 1_000_000);
    let many = sequence_set(&vec![(1, u32::MAX); 50_000]);
    assert_eq!(view.resolve(&many, true).unwrap().len(), 1_000_000);
    assert_eq!(view.missing(None, u32::MAX).len(), u64::from(u32::MAX) - 1_000_000);
    assert_eq!(view.missing(Some(&many), 10).len(), 5);
}

#[test]
fn a_mailbox_nothing_was_expunged_from_takes_no_room() {
    let mut map = UidMap::from_ascending(1..=100_000);
    assert_eq!(map, UidMap::from_ascending(1..=100_000));
    map.remove(&[5, 6, 99_999].into_iter().collect());
    assert_eq!(map.len(), 99_997);
    assert_eq!(map.sequence_of(7), Some(5));
    assert_eq!(map.uid_of(99_997), Some(100_000));
    assert_eq!(map.sequence_of(99_999), None);
    map.push(100_001);
    map.push(4);
    assert_eq!(map.last(), Some(100_001));
}

#[test]
fn uids_that_do_not_ascend_are_passed_over() {
    let uids = |given: &[u32]| {
        let map = UidMap::from_ascending(given.iter().copied());
        let listed: Vec<u32> = map.iter().map(|(_, uid)| uid).collect();
        assert_eq!(listed.len(), map.len() as usize);
        listed
    };
    assert_eq!(uids(&[5, 3, 4, 6, 6, 7]), [5, 6, 7]);
    assert_eq!(uids(&[0, 1, 0, 2]), [1, 2]);
    assert_eq!(uids(&[u32::MAX - 1, u32::MAX, 0, 1]), [u32::MAX - 1, u32::MAX]);
}
