//! Whether the name servers answer at all: who would only wait a little for them need not wait when
//! they have not answered for a while. It must never know what was asked.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So many waits in a row without an answer, and nobody waits any more.
const WAITS: u32 = 3;
/// After this long somebody waits again.
const FOR: Duration = Duration::from_secs(30);

/// What waiting has taught.
#[derive(Debug, Default)]
pub(super) struct Silence {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    waits: u32,
    since: Option<Instant>,
}

impl Silence {
    /// True while it is not worth waiting.
    pub(super) fn lasts(&self, now: Instant) -> bool {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.waits >= WAITS
            && inner.since.is_some_and(|since| now.saturating_duration_since(since) < FOR)
    }

    /// An answer came, or the wait for one was over before.
    pub(super) fn note(&self, answered: bool, now: Instant) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if answered {
            *inner = Inner::default();
        } else {
            inner.waits = inner.waits.saturating_add(1);
            inner.since = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_for_servers_that_did_not_answer_three_times() {
        let (silence, now) = (Silence::default(), Instant::now());
        for _ in 0..WAITS {
            assert!(!silence.lasts(now));
            silence.note(false, now);
        }
        assert!(silence.lasts(now));
        // After a while it is tried again, and one silence is enough to know.
        let later = now + FOR;
        assert!(!silence.lasts(later));
        silence.note(false, later);
        assert!(silence.lasts(later));
        silence.note(true, later);
        assert!(!silence.lasts(later));
    }
}
