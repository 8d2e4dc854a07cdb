//! How long refusals take where somebody outside is asked: a name that does not exist is refused
//! after as long as one of the last accounts of its domain was, so that the time does not tell
//! which names there are (ABU-35). It must never know who was asked.
//!
//! What remains visible: a domain where nobody was refused since the start has no example yet.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use quick_cache::sync::Cache;

/// Domains whose refusals are remembered.
const DOMAINS: usize = 4_096;
/// Refusals remembered of a domain.
const REFUSALS: usize = 16;
/// Longest wait that is imitated.
const LONGEST: Duration = Duration::from_secs(60);

/// The last refusals of a domain, in milliseconds; zero where nobody outside was asked.
#[derive(Clone, Copy, Debug, Default)]
struct Refusals {
    took: [u32; REFUSALS],
    /// How many there are.
    many: usize,
    next: usize,
}

/// What was seen of all domains.
pub(crate) struct Pace {
    domains: Cache<String, Refusals>,
    key: RandomState,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Self { domains: Cache::new(DOMAINS), key: RandomState::new() }
    }

    /// An account of the domain was refused, after asking outside for so long; `None` when nobody
    /// was asked.
    pub(super) fn refused(&self, domain: &str, took: Option<Duration>) {
        let before = self.domains.get(domain);
        if took.is_none() && before.is_none() {
            // A domain that asks nobody needs no memory.
            return;
        }
        let mut all = before.unwrap_or_default();
        let took = took.map_or(0, |took| took.min(LONGEST).as_millis());
        if let Some(place) = all.took.get_mut(all.next) {
            *place = u32::try_from(took).unwrap_or(u32::MAX);
        }
        all.next = (all.next + 1) % REFUSALS;
        all.many = (all.many + 1).min(REFUSALS);
        self.domains.insert(domain.to_owned(), all);
    }

    /// How long a name of the domain that does not exist is to wait: the same name gets the same
    /// place among the refusals, and nobody knows which.
    pub(super) fn imitated(&self, domain: &str, name: &str) -> Duration {
        self.at(domain, usize::try_from(self.key.hash_one(name) >> 8).unwrap_or(0))
    }

    fn at(&self, domain: &str, turn: usize) -> Duration {
        let Some(all) = self.domains.get(domain) else { return Duration::ZERO };
        let place = turn.checked_rem(all.many).unwrap_or(0);
        Duration::from_millis(all.took.get(place).copied().unwrap_or(0).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_not_there_waits_as_long_as_one_that_is() {
        let pace = Pace::new();
        let ms = Duration::from_millis;
        assert_eq!(pace.at("a.dom", 3), Duration::ZERO);
        pace.refused("a.dom", None);
        assert!(pace.domains.get("a.dom").is_none());
        pace.refused("a.dom", Some(ms(400)));
        assert!((0..40).all(|turn| pace.at("a.dom", turn) == ms(400)));
        pace.refused("a.dom", None);
        let seen: Vec<_> = (0..4).map(|turn| pace.at("a.dom", turn).as_millis()).collect();
        assert_eq!(seen, [400, 0, 400, 0], "some of the domain's accounts ask nobody");
        for _ in 0..REFUSALS {
            pace.refused("a.dom", Some(Duration::from_secs(3600)));
        }
        assert_eq!(pace.at("a.dom", 7), LONGEST);
        assert_eq!(pace.at("b.dom", 7), Duration::ZERO);
    }
}
