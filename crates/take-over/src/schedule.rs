//! Which account's mail is copied next: pure, time is an argument.

use std::collections::{BTreeMap, BTreeSet};

use angarium_objects::name::FullName;

use crate::book::Page;

/// First pause after a copy that was not complete, seconds; it doubles.
const FIRST_PAUSE: i64 = 60;
/// Longest pause, seconds.
const LONGEST_PAUSE: i64 = 3_600;

/// When an account's mail is to be copied next, seconds since 1970; `None`: not again by itself.
#[must_use]
pub(crate) fn due(page: &Page, every: Option<u64>) -> Option<i64> {
    if page.sealed.is_empty() {
        return None;
    }
    if page.last_try == 0 {
        return Some(0);
    }
    if page.tries > 0 {
        let pause = FIRST_PAUSE.saturating_mul(1 << page.tries.saturating_sub(1).min(10));
        return Some(page.last_try.saturating_add(pause.min(LONGEST_PAUSE)));
    }
    let every = i64::try_from(every?).unwrap_or(i64::MAX);
    Some(page.last_copy.saturating_add(every))
}

/// Accounts by when they are due, none twice.
#[derive(Default)]
pub(crate) struct Schedule {
    by_time: BTreeSet<(i64, String, String)>,
    times: BTreeMap<(String, String), i64>,
}

impl Schedule {
    /// Sets when an account is due; `None` takes it off.
    pub(crate) fn set(&mut self, who: &FullName, when: Option<i64>) {
        let key = (who.domain.clone(), who.name.clone());
        if let Some(old) = self.times.remove(&key) {
            self.by_time.remove(&(old, key.0.clone(), key.1.clone()));
        }
        if let Some(when) = when {
            self.by_time.insert((when, key.0.clone(), key.1.clone()));
            self.times.insert(key, when);
        }
    }

    /// As [`Schedule::set`], unless it is set already: whoever was wanted meanwhile stays so.
    pub(crate) fn set_again(&mut self, who: &FullName, when: Option<i64>) {
        if !self.times.contains_key(&(who.domain.clone(), who.name.clone())) {
            self.set(who, when);
        }
    }

    /// Takes the account that is due first, if one is due now.
    pub(crate) fn take(&mut self, now: i64) -> Option<FullName> {
        let first = self.by_time.first().filter(|(when, ..)| *when <= now)?.clone();
        self.by_time.remove(&first);
        let (_, domain, name) = first;
        self.times.remove(&(domain.clone(), name.clone()));
        Some(FullName { name, domain })
    }

    /// When the next one is due.
    pub(crate) fn next(&self) -> Option<i64> {
        self.by_time.first().map(|(when, ..)| *when)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(name: &str) -> FullName {
        FullName { name: name.into(), domain: "a.dom".into() }
    }

    // MIG-50
    #[test]
    fn mig_50_a_copy_comes_at_once_then_with_pauses_then_now_and_then() {
        let mut page = Page::default();
        assert_eq!(due(&page, Some(3_600)), None);
        page.sealed = "x".into();
        assert_eq!(due(&page, Some(3_600)), Some(0));
        page.last_try = 1_000;
        for (tries, when) in [(1, 1_060), (2, 1_120), (3, 1_240), (7, 4_600), (4_000_000, 4_600)] {
            page.tries = tries;
            assert_eq!(due(&page, None), Some(when), "{tries}");
        }
        (page.tries, page.last_copy) = (0, 1_010);
        assert_eq!(due(&page, Some(3_600)), Some(4_610));
        assert_eq!(due(&page, None), None);
    }

    #[test]
    fn whoever_is_due_first_is_taken_first_and_nobody_twice() {
        let mut schedule = Schedule::default();
        schedule.set(&who("a"), Some(50));
        schedule.set(&who("b"), Some(10));
        schedule.set(&who("a"), Some(5));
        schedule.set(&who("c"), Some(7));
        schedule.set(&who("c"), None);
        schedule.set_again(&who("a"), Some(99));
        assert_eq!(schedule.next(), Some(5));
        assert_eq!(schedule.take(4), None);
        assert_eq!(schedule.take(60), Some(who("a")));
        assert_eq!(schedule.take(60), Some(who("b")));
        assert_eq!(schedule.take(60), None);
        assert_eq!(schedule.next(), None);
    }
}
