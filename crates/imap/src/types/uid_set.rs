//! A set of numbers kept as ascending ranges: what COPYUID, VANISHED, ESEARCH and `$` are made of.

/// Ascending numbers above 0 as ranges that neither touch nor overlap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UidSet {
    ranges: Vec<(u32, u32)>,
}

impl UidSet {
    /// The empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self { ranges: Vec::new() }
    }

    /// A set of numbers given in any order.
    #[must_use]
    pub fn from_unsorted(mut numbers: Vec<u32>) -> Self {
        numbers.sort_unstable();
        numbers.into_iter().collect()
    }

    /// A set of ranges given in any order, ends ascending.
    #[must_use]
    pub fn from_ranges(mut ranges: Vec<(u32, u32)>) -> Self {
        ranges.sort_unstable();
        let mut set = Self::new();
        for (low, high) in ranges {
            set.push_range(low, high);
        }
        set
    }

    /// Adds a number. Numbers come ascending; one at or below the last is taken as already there.
    pub fn push(&mut self, number: u32) {
        self.push_range(number, number);
    }

    /// Adds a range whose start is not below the start of the last one.
    pub fn push_range(&mut self, low: u32, high: u32) {
        if low == 0 || high < low {
            return;
        }
        match self.ranges.last_mut() {
            Some((_, last)) if low <= last.saturating_add(1) => *last = (*last).max(high),
            _ => self.ranges.push((low, high)),
        }
    }

    /// The ranges, ascending, both ends included.
    #[must_use]
    pub fn ranges(&self) -> &[(u32, u32)] {
        &self.ranges
    }

    /// True when nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many numbers are in it.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.ranges.iter().map(|&(low, high)| u64::from(high) - u64::from(low) + 1).sum()
    }

    /// True when the number is in it.
    #[must_use]
    pub fn contains(&self, number: u32) -> bool {
        let after = self.ranges.partition_point(|&(low, _)| low <= number);
        after.checked_sub(1).and_then(|i| self.ranges.get(i)).is_some_and(|r| number <= r.1)
    }

    /// Every number, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.ranges.iter().flat_map(|&(low, high)| low..=high)
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let mut both = Self::new();
        let (mut a, mut b) = (self.ranges.iter().peekable(), other.ranges.iter().peekable());
        while let (Some(&&(a_low, a_high)), Some(&&(b_low, b_high))) = (a.peek(), b.peek()) {
            let (low, high) = (a_low.max(b_low), a_high.min(b_high));
            if low <= high {
                both.push_range(low, high);
            }
            if a_high <= b_high {
                a.next();
            } else {
                b.next();
            }
        }
        both
    }

    /// What is here and not in the other.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        let mut left = Self::new();
        let mut others = other.ranges.iter().peekable();
        for &(mut low, high) in &self.ranges {
            while let Some(&&(gone_low, gone_high)) = others.peek() {
                if gone_high < low {
                    others.next();
                    continue;
                }
                if gone_low > high {
                    break;
                }
                if gone_low > low {
                    left.ranges.push((low, gone_low - 1));
                }
                match gone_high.checked_add(1) {
                    Some(next) if gone_high < high => {
                        low = next;
                        others.next();
                    }
                    // The rest of this range is gone; the other's range may go on.
                    _ => {
                        low = 0;
                        break;
                    }
                }
            }
            if low != 0 {
                left.ranges.push((low, high));
            }
        }
        left
    }

    /// The smallest number.
    #[must_use]
    pub fn first(&self) -> Option<u32> {
        self.ranges.first().map(|r| r.0)
    }

    /// The largest number.
    #[must_use]
    pub fn last(&self) -> Option<u32> {
        self.ranges.last().map(|r| r.1)
    }
}

impl FromIterator<u32> for UidSet {
    /// Collects numbers that come ascending; doubles are taken once.
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> Self {
        let mut set = Self::new();
        for number in numbers {
            set.push(number);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn numbers() -> impl Strategy<Value = BTreeSet<u32>> {
        let near = prop_oneof![1u32..40, (u32::MAX - 5)..=u32::MAX];
        proptest::collection::btree_set(near, 0..30)
    }

    fn set(numbers: &BTreeSet<u32>) -> UidSet {
        numbers.iter().copied().collect()
    }

    proptest! {
        #[test]
        fn sets_reckon_as_sets(a in numbers(), b in numbers()) {
            let (x, y) = (set(&a), set(&b));
            prop_assert_eq!(x.len(), a.len() as u64);
            prop_assert_eq!(x.minus(&y), set(&a.difference(&b).copied().collect()));
            prop_assert_eq!(x.intersection(&y), set(&a.intersection(&b).copied().collect()));
            prop_assert_eq!(x.iter().collect::<BTreeSet<_>>(), a.clone());
            prop_assert!((0..50).all(|n| x.contains(n) == a.contains(&n)));
            prop_assert_eq!(UidSet::from_unsorted(a.iter().rev().copied().collect()), x);
        }
    }
}
