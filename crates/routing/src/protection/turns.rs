//! Turns: what comes faster than a rate allows is not refused but waits, and goes on in the order
//! it came, one for each share of the period.
//!
//! Nobody remembers who waits: each is told when to come back, and those who come back go before
//! those who come for the first time. Time is an argument, in seconds.

use angarium_objects::spelling::{Flow, Limit};

use super::Meter;

/// The turns of one account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turns {
    meter: Meter,
    /// When the last one who waits may go, milliseconds since 1970.
    last: i64,
}

impl Turns {
    /// Lets one go on; `waited` says that it comes back after having been told to wait.
    ///
    /// # Errors
    /// When to come back, seconds since 1970, later than now. A rate of none at all lets nobody
    /// go on, ever: a period later.
    pub fn go(&mut self, flow: Flow, now: i64, waited: bool) -> Result<(), i64> {
        let Limit::Of(count) = flow.count else { return Ok(()) };
        let millis = now.saturating_mul(1000);
        let period = i64::try_from(flow.seconds).unwrap_or(i64::MAX).saturating_mul(1000);
        let share = period / i64::try_from(count.max(1)).unwrap_or(i64::MAX);
        // Where the clock went back, nobody waits longer than a line of one period.
        let waiting = self.last > millis && self.last < millis.saturating_add(MOST_AHEAD);
        if (waited || !waiting) && self.meter.take(flow, now).is_ok() {
            return Ok(());
        }
        let from = if waiting { self.last } else { millis };
        self.last = from.saturating_add(share.max(1));
        // Rounded up: who comes back early would find no room.
        let until = self.last.saturating_add(999).div_euclid(1000);
        Err(until.max(now.saturating_add(1)))
    }
}

/// Longest line, milliseconds: a day. Behind it the line begins anew.
const MOST_AHEAD: i64 = 86_400_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(count: u64, seconds: u64) -> Flow {
        Flow { count: Limit::Of(count), seconds }
    }

    #[test]
    fn a_burst_goes_on_at_the_rate_and_nobody_is_told_twice() {
        let (mut turns, flow) = (Turns::default(), flow(20, 10));
        let mut waiting = Vec::new();
        for _ in 0..60 {
            if let Err(until) = turns.go(flow, 1_000, false) {
                waiting.push(until);
            }
        }
        assert_eq!(waiting.len(), 40);
        assert!(waiting.is_sorted() && waiting[0] == 1_001 && waiting[39] == 1_020);
        for until in waiting {
            assert_eq!(turns.go(flow, until, true), Ok(()), "{until}");
        }
        assert_eq!(turns.go(flow, 1_100, false), Ok(()), "the line is over");
    }

    #[test]
    fn who_comes_later_stands_behind_those_who_wait() {
        let (mut turns, flow) = (Turns::default(), flow(1, 60));
        assert_eq!(turns.go(flow, 1_000, false), Ok(()));
        assert_eq!(turns.go(flow, 1_000, false), Err(1_060));
        // There would be room, and somebody has been promised it.
        assert_eq!(turns.go(flow, 1_059, false), Err(1_120));
        assert_eq!(turns.go(flow, 1_060, true), Ok(()));
    }

    #[test]
    fn no_limit_none_at_all_and_clocks_that_jump() {
        let mut turns = Turns::default();
        let free = Flow { count: Limit::Unlimited, seconds: 1 };
        assert!((0..1_000).all(|_| turns.go(free, 5, false).is_ok()));
        assert!(turns.go(flow(0, 60), 5, false).is_err());
        let mut turns = Turns::default();
        let slow = flow(1, 10);
        assert_eq!(turns.go(slow, 1_000_000, false), Ok(()));
        assert_eq!(turns.go(slow, 1_000_000, false), Err(1_000_010));
        assert!(turns.go(slow, 1_000, false).is_err_and(|until| until <= 1_020));
        assert!(turns.go(flow(u64::MAX, u64::MAX), i64::MAX, false).is_ok());
    }
}
