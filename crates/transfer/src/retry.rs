//! When a failed delivery is tried again (`reference/smtp.md` section 3.3).
//!
//! Pure: time is an argument.

/// Most waits of a timetable, and most warnings.
pub const MAX_TIMES: usize = 32;

/// How a kind of failure is treated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timetable {
    /// Seconds to wait after the first failure, the second …; the last one stands for all others.
    pub waits: Vec<i64>,
    /// Seconds after acceptance when it is given up.
    pub give_up: i64,
    /// Seconds after acceptance when the sender is told of the delay.
    pub warnings: Vec<i64>,
}

impl Default for Timetable {
    fn default() -> Self {
        Self {
            waits: [5, 15, 30, 60, 120].map(|minutes| minutes * 60).to_vec(),
            give_up: 4 * 86_400,
            warnings: vec![4 * 3600],
        }
    }
}

/// What to do after a temporary failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Try again at this time, seconds since 1970; with `warn`, tell the sender of the delay.
    Again {
        /// When.
        at: i64,
        /// Whether this is the moment for a warning.
        warn: bool,
    },
    /// It took too long.
    GiveUp,
}

impl Timetable {
    /// One that waits always the same.
    #[must_use]
    pub fn steady(every: i64, give_up: i64, warnings: &[i64]) -> Self {
        Self { waits: vec![every.max(1)], give_up, warnings: warnings.to_vec() }
    }

    /// Seconds to wait after a failure that had `failures` before it.
    #[must_use]
    pub fn wait(&self, failures: u32) -> i64 {
        let place = usize::try_from(failures).unwrap_or(usize::MAX);
        self.waits.get(place).or(self.waits.last()).copied().unwrap_or(3600).max(1)
    }

    /// Ages at which a message is looked at even when its queue is not tried.
    #[must_use]
    pub fn ages(&self) -> Vec<i64> {
        self.warnings.iter().copied().chain([self.give_up]).collect()
    }

    /// What follows a failure at `now` of a message whose time began at `start` and that was due
    /// at `due`; it would be tried again at `at`.
    ///
    /// A try never skips a moment of warning: so a warning whose moment lies between the time it
    /// was due and now was not given before, and none is given twice, whatever happens between.
    #[must_use]
    pub fn next(&self, start: i64, due: i64, now: i64, at: i64) -> Next {
        let end = start.saturating_add(self.give_up);
        if now >= end {
            return Next::GiveUp;
        }
        let mut warn = false;
        let mut at = at.min(end);
        for age in &self.warnings {
            let moment = start.saturating_add(*age);
            if moment > now {
                at = at.min(moment);
            } else if due <= moment {
                warn = true;
            }
        }
        Next::Again { at: at.max(now.saturating_add(1)), warn }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tries from `start` on until it is given up; answers the minutes of the tries and those of
    /// the warnings.
    fn tries(table: &Timetable) -> (Vec<i64>, Vec<i64>) {
        let (mut now, mut due, mut failures) = (0, 0, 0);
        let (mut tried, mut warned) = (vec![0], Vec::new());
        while let Next::Again { at, warn } = table.next(0, due, now, now + table.wait(failures)) {
            if warn {
                warned.push(now / 60);
            }
            (due, now, failures) = (at, at, failures + 1);
            tried.push(at / 60);
            assert!(failures < 100);
        }
        (tried, warned)
    }

    #[test]
    fn failures_are_tried_again_ever_later_until_four_days_are_over() {
        let (tried, warned) = tries(&Timetable::default());
        assert_eq!(tried[..8], [0, 5, 20, 50, 110, 230, 240, 360]);
        assert_eq!(*tried.last().unwrap(), 4 * 24 * 60);
        assert_eq!(warned, [240]);
    }

    #[test]
    fn every_warning_is_given_once_at_its_moment() {
        let table = Timetable { warnings: vec![60, 600, 6000], ..Timetable::default() };
        assert_eq!(tries(&table).1, [1, 10, 100]);
        // Missed moments are made up for by one warning.
        assert_eq!(table.next(0, 0, 700, 800), Next::Again { at: 800, warn: true });
        assert_eq!(table.next(0, 700, 800, 900), Next::Again { at: 900, warn: false });
    }

    #[test]
    fn a_clock_set_back_does_not_give_up() {
        let next = Timetable::default().next(1_000_000, 0, 0, 300);
        assert_eq!(next, Next::Again { at: 300, warn: false });
        let steady = Timetable::steady(0, 100, &[]);
        assert_eq!(steady.next(0, 0, 50, 50), Next::Again { at: 51, warn: false });
    }
}
