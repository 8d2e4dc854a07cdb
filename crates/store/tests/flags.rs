//! Flags behave as sets, whatever the order, number and capitals of the keywords.

use std::collections::BTreeSet;

use angarium_store::{FlagBits, Flags};
use proptest::prelude::*;

fn any_flags() -> impl Strategy<Value = Flags> {
    let word = prop_oneof!["[a-cA-C]{1,2}", "k[0-9]{1,2}", Just("$Label1".to_owned())];
    (0_u32..0x2000, prop::collection::vec(word, 0..12))
        .prop_map(|(bits, words)| Flags::with_keywords(FlagBits(bits), words))
}

/// What the flags say.
fn said(flags: &Flags) -> (u32, BTreeSet<String>) {
    (flags.bits.0, flags.keywords().iter().map(|word| word.to_ascii_lowercase()).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn keywords_are_kept_sorted_and_once(flags in any_flags()) {
        let folded: Vec<_> = flags.keywords().iter().map(|w| w.to_ascii_lowercase()).collect();
        prop_assert!(folded.is_sorted_by(|a, b| a < b));
        prop_assert_eq!(flags.keywords.is_none(), folded.is_empty());
    }

    #[test]
    fn adding_gives_the_union_and_keeps_what_was_written_first(a in any_flags(), b in any_flags()) {
        let sum = a.plus(&b);
        let ((bits_a, words_a), (bits_b, words_b)) = (said(&a), said(&b));
        prop_assert_eq!(said(&sum), (bits_a | bits_b, &words_a | &words_b));
        prop_assert!(a.keywords().iter().all(|word| sum.keywords().contains(word)));
        prop_assert!(sum.plus(&b).is_same(&sum) && b.plus(&a).is_same(&sum));
    }

    #[test]
    fn taking_away_gives_the_difference(a in any_flags(), b in any_flags()) {
        let left = a.minus(&b);
        let ((bits_a, words_a), (bits_b, words_b)) = (said(&a), said(&b));
        prop_assert_eq!(said(&left), (bits_a & !bits_b, &words_a - &words_b));
        prop_assert!(left.plus(&b).is_same(&a.plus(&b)));
    }

    #[test]
    fn the_same_is_what_says_the_same(a in any_flags(), b in any_flags()) {
        prop_assert_eq!(a.is_same(&b), said(&a) == said(&b));
    }
}

#[test]
fn one_message_has_a_bounded_number_of_keywords() {
    let words = |from: usize| (from..from + Flags::MAX_KEYWORDS).map(|i| format!("k{i}"));
    let one = Flags::with_keywords(FlagBits::SEEN, words(0));
    let two = Flags::with_keywords(FlagBits::SEEN, words(1000));
    assert_eq!(one.keywords().len(), Flags::MAX_KEYWORDS);
    assert_eq!(one.plus(&two).keywords().len(), Flags::MAX_KEYWORDS);
}
