//! Rates: so many events in a period, counted in eight bytes each.
//!
//! A meter is a bucket that empties evenly: after a rest the whole number of events may come at
//! once, then one for each share of the period. Time is an argument, in seconds; a clock that goes
//! back lets nobody through sooner and locks nobody out for longer than the period.

use angarium_objects::spelling::{Flow, Limit};

/// Counts the events of one client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meter {
    /// When the bucket will be empty, milliseconds since 1970.
    empty: i64,
}

fn millis(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1000)
}

impl Meter {
    /// Counts one event if the rate allows it.
    ///
    /// # Errors
    /// Seconds until it would, at least one.
    pub fn take(&mut self, flow: Flow, now: i64) -> Result<(), u64> {
        let Limit::Of(count) = flow.count else { return Ok(()) };
        let period = millis(flow.seconds);
        if count == 0 {
            return Err(flow.seconds.max(1));
        }
        let share = (period / i64::try_from(count).unwrap_or(i64::MAX)).max(1);
        let now = now.saturating_mul(1000);
        let from = self.empty.clamp(now, now.saturating_add(period));
        let after = from.saturating_add(share);
        let over = after.saturating_sub(now).saturating_sub(period.max(share));
        if over > 0 {
            // Where the clock went back, the wait begins anew from here.
            self.empty = from;
            return Err(u64::try_from(over / 1000).unwrap_or(0).saturating_add(1));
        }
        self.empty = after;
        Ok(())
    }

    /// Counts one event whatever the rate; true when it was over the rate.
    pub fn count(&mut self, flow: Flow, now: i64) -> bool {
        self.take(flow, now).is_err()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(count: u64, seconds: u64) -> Flow {
        Flow { count: Limit::Of(count), seconds }
    }

    #[test]
    fn the_whole_number_may_come_at_once_and_then_one_for_each_share() {
        let mut meter = Meter::default();
        let flow = flow(20, 15);
        for _ in 0..20 {
            assert_eq!(meter.take(flow, 1_000), Ok(()));
        }
        assert_eq!(meter.take(flow, 1_000), Err(1));
        assert_eq!(meter.take(flow, 1_001), Ok(()));
        assert_eq!(meter.take(flow, 1_001), Err(1));
        for _ in 0..20 {
            assert_eq!(meter.take(flow, 2_000), Ok(()), "after a rest");
        }
    }

    #[test]
    fn no_limit_none_at_all_and_clocks_that_jump() {
        let mut meter = Meter::default();
        for _ in 0..1_000 {
            assert!(meter.take(Flow { count: Limit::Unlimited, seconds: 1 }, 5).is_ok());
        }
        assert_eq!(meter.take(flow(0, 60), 5), Err(60));
        let mut meter = Meter::default();
        assert!(meter.take(flow(1, 60), 1_000_000).is_ok());
        assert!(meter.take(flow(1, 60), 1_000).is_err(), "back in time");
        assert!(meter.take(flow(1, 60), 1_060).is_ok() || meter.take(flow(1, 60), 1_121).is_ok());
        assert!(meter.take(flow(u64::MAX, u64::MAX), i64::MAX).is_ok());
    }
}
