//! Which message of the old server is which at the new one, for one mailbox, in twelve octets a
//! message: a mailbox of a million messages costs twelve megabytes. Pure.

use std::collections::HashMap;
use std::sync::Arc;

/// Most different sets of flags remembered; what is beyond has flags not known.
const MOST_FLAG_SETS: usize = 100_000;
/// Pairs that are put between others all at once.
const MANY: usize = 100;
/// Stands for flags that are not known.
const NOT_KNOWN: u32 = u32::MAX;

/// One message in both places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    /// UID at the old server.
    pub(crate) source: u32,
    /// UID at the new one, 0 if it did not tell.
    pub(crate) target: u32,
    flags: u32,
}

impl Pair {
    /// A pair whose flags at the source have this number.
    pub(crate) fn new(source: u32, target: u32, flags: Option<u32>) -> Self {
        Self { source, target, flags: flags.unwrap_or(NOT_KNOWN) }
    }

    /// The number of its flags when the source was looked at last.
    pub(crate) fn flags(self) -> Option<u32> {
        (self.flags != NOT_KNOWN).then_some(self.flags)
    }
}

/// The pairs of one mailbox, ascending by the UID at the source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pairs {
    all: Vec<Pair>,
}

impl Pairs {
    /// Pairs in any order; of several for one message the last counts.
    pub(super) fn gathered(mut all: Vec<Pair>) -> Self {
        all.sort_by_key(|pair| pair.source);
        all.reverse();
        all.dedup_by_key(|pair| pair.source);
        all.reverse();
        all.shrink_to_fit();
        Self { all }
    }

    /// The pair of a message of the source.
    pub(crate) fn get(&self, source: u32) -> Option<Pair> {
        let at = self.all.binary_search_by_key(&source, |pair| pair.source).ok()?;
        self.all.get(at).copied()
    }

    /// True when the message is known to be at the target, or to have been.
    pub(crate) fn contains(&self, source: u32) -> bool {
        self.get(source).is_some()
    }

    /// How many messages are known.
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// True when none is known.
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// All of them, ascending by the UID at the source.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Pair> + '_ {
        self.all.iter().copied()
    }

    /// Sets the pair of a message.
    pub(super) fn set(&mut self, pair: Pair) {
        match self.all.last() {
            Some(last) if last.source >= pair.source => {
                match self.all.binary_search_by_key(&pair.source, |p| p.source) {
                    Ok(at) => {
                        if let Some(there) = self.all.get_mut(at) {
                            *there = pair;
                        }
                    }
                    Err(at) => self.all.insert(at, pair),
                }
            }
            _ => self.all.push(pair),
        }
    }

    /// Sets the pairs of messages, each named once.
    pub(super) fn set_all(&mut self, pairs: &[Pair]) {
        let behind = |first: &Pair| self.all.last().is_none_or(|last| last.source < first.source);
        if pairs.len() < MANY || pairs.first().is_some_and(behind) {
            pairs.iter().for_each(|pair| self.set(*pair));
            return;
        }
        // Putting each between the others would move a million others each time.
        self.all.extend_from_slice(pairs);
        *self = Self::gathered(std::mem::take(&mut self.all));
    }

    /// Forgets messages; `sources` ascending.
    pub(super) fn remove(&mut self, sources: &[u32]) {
        self.all.retain(|pair| sources.binary_search(&pair.source).is_err());
    }

    /// The UIDs at the target, ascending, those not told left out.
    pub(crate) fn targets(&self) -> Vec<u32> {
        let mut all: Vec<u32> = self.all.iter().map(|p| p.target).filter(|uid| *uid != 0).collect();
        all.sort_unstable();
        all
    }
}

/// Sets of flags and their numbers, so that a million messages name theirs in four octets each.
#[derive(Debug, Default)]
pub(super) struct FlagSets {
    texts: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u32>,
}

impl FlagSets {
    /// The number of a set, and true if it is new. `None` when there are too many.
    pub(super) fn number(&mut self, flags: &str) -> Option<(u32, bool)> {
        let text = in_order(flags);
        if let Some(number) = self.numbers.get(&*text) {
            return Some((*number, false));
        }
        let number = u32::try_from(self.texts.len()).ok()?;
        self.insert(number, &text).then_some((number, true))
    }

    /// Gives a set this number, as a journal says; false if that cannot be.
    pub(super) fn insert(&mut self, number: u32, flags: &str) -> bool {
        if self.texts.len() >= MOST_FLAG_SETS || usize::try_from(number) != Ok(self.texts.len()) {
            return false;
        }
        let text: Arc<str> = flags.into();
        self.texts.push(text.clone());
        self.numbers.entry(text).or_insert(number);
        true
    }

    /// The flags of a number.
    pub(super) fn text(&self, number: u32) -> Option<Arc<str>> {
        self.texts.get(usize::try_from(number).ok()?).cloned()
    }

    /// All of them in the order of their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<str>> {
        self.texts.iter()
    }
}

/// One set is written in one way only.
fn in_order(flags: &str) -> String {
    let mut all: Vec<&str> = flags.split(' ').filter(|flag| !flag.is_empty()).collect();
    all.sort_unstable();
    all.dedup();
    all.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_found_whatever_order_they_came_in_and_the_last_counts() {
        let pair = |source, target| Pair::new(source, target, None);
        let mut pairs = Pairs::gathered(vec![pair(5, 1), pair(2, 2), pair(5, 3), pair(9, 4)]);
        assert_eq!(pairs.get(5).unwrap().target, 3);
        assert_eq!(pairs.len(), 3);
        pairs.set(pair(7, 9));
        pairs.set(pair(11, 10));
        pairs.set(pair(2, 8));
        assert_eq!(pairs.iter().map(|p| p.source).collect::<Vec<_>>(), [2, 5, 7, 9, 11]);
        assert_eq!(pairs.targets(), [3, 4, 8, 9, 10]);
        pairs.remove(&[5, 6, 11]);
        assert_eq!(pairs.iter().map(|p| p.source).collect::<Vec<_>>(), [2, 7, 9]);
    }

    #[test]
    fn many_pairs_come_between_others_as_few_do() {
        let pair = |source: u32| Pair::new(source, source + 7, None);
        let odd: Vec<Pair> = (0..500).map(|n| pair(2 * n + 1)).collect();
        let even: Vec<Pair> = (0..500).map(|n| pair(2 * n)).collect();
        let (mut few, mut many) = (Pairs::default(), Pairs::default());
        for part in [&odd, &even, &vec![Pair::new(3, 1, None)]] {
            part.iter().for_each(|pair| few.set(*pair));
            many.set_all(part);
        }
        assert_eq!(few, many);
        assert_eq!((many.len(), many.get(3).unwrap().target), (1_000, 1));
    }

    #[test]
    fn a_message_costs_twelve_octets() {
        assert_eq!(size_of::<Pair>(), 12);
    }

    #[test]
    fn a_set_of_flags_has_one_number_in_any_order() {
        let mut sets = FlagSets::default();
        assert_eq!(sets.number("\\Seen $a"), Some((0, true)));
        assert_eq!(sets.number("$a \\Seen \\Seen"), Some((0, false)));
        assert_eq!(sets.number(""), Some((1, true)));
        assert_eq!(sets.text(0).unwrap().as_ref(), "$a \\Seen");
        assert!(!sets.insert(7, "x"), "a number out of turn");
    }
}
