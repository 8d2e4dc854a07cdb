//! When a failed delivery is tried again (`reference/smtp.md` section 3.3).
//!
//! Pure: time is an argument.

/// Minutes to wait after the first failures; later ones wait [`LATER`].
const FIRST: [i64; 4] = [5, 15, 30, 60];

/// Seconds to wait after the failures of the first table are used up.
const LATER: i64 = 2 * 3600;

/// Seconds after which a message is given up: four days.
pub const GIVE_UP: i64 = 4 * 86_400;

/// The failure (counted from 1) after which the sender is warned once: the first that comes four
/// hours or more after the message was accepted.
const WARN_AT: u32 = 6;

/// What to do after a temporary failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Try again at this time, seconds since 1970; with `warn`, tell the sender of the delay.
    Again {
        /// When.
        at: i64,
        /// Whether this is the moment for the warning.
        warn: bool,
    },
    /// It took too long.
    GiveUp,
}

/// What follows the failure of a delivery that had `attempts` failures before.
#[must_use]
pub fn next(accepted: i64, now: i64, attempts: u32) -> Next {
    if now.saturating_sub(accepted) >= GIVE_UP {
        return Next::GiveUp;
    }
    let wait = usize::try_from(attempts).ok().and_then(|n| FIRST.get(n));
    let wait = wait.map_or(LATER, |minutes| minutes * 60);
    Next::Again { at: now.saturating_add(wait), warn: attempts.saturating_add(1) == WARN_AT }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_tried_again_ever_later_until_four_days_are_over() {
        let (mut now, mut attempts, mut warned) = (0, 0, Vec::new());
        let mut waits = Vec::new();
        while let Next::Again { at, warn } = next(0, now, attempts) {
            waits.push((at - now) / 60);
            if warn {
                warned.push(now);
            }
            now = at;
            attempts += 1;
            assert!(attempts < 100);
        }
        assert_eq!(waits[..6], [5, 15, 30, 60, 120, 120]);
        assert!((GIVE_UP..GIVE_UP + LATER).contains(&now));
        assert_eq!(warned.len(), 1);
        assert!(warned[0] >= 3 * 3600 && warned[0] <= 6 * 3600);
    }

    #[test]
    fn a_clock_set_back_does_not_give_up() {
        assert!(matches!(next(1_000_000, 0, 0), Next::Again { at: 300, .. }));
    }
}
