//! Greylisting (RFC 6647): a first message of a network, sender and recipient not seen together
//! before is put off; who tries again after a while has passed, and so has, after some passes, the
//! whole network.
//!
//! Decides on one entry of the memory; where it is kept is not known here.

/// How long who waits for what, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// A second try before this is put off again.
    pub wait: i64,
    /// A second try after this is a first one.
    pub forget: i64,
    /// How long one that passed goes on passing, counted from its last message.
    pub keep: i64,
    /// Passes that make the whole network known; 0 for never.
    pub passes: u16,
}

/// What is remembered of a triplet (sixteen bytes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// First try, or last message when it has passed; seconds since 1970.
    pub when: i64,
    /// It has passed.
    pub passed: bool,
}

/// What is remembered of a network (sixteen bytes).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// Last pass, seconds since 1970.
    pub when: i64,
    /// Triplets that have passed.
    pub passes: u16,
}

/// The verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Take it; `first` when it has passed just now.
    Pass {
        /// It is this try that passes.
        first: bool,
    },
    /// *Later*: try again after so many seconds.
    Wait(i64),
}

/// True when a network has passed often enough lately.
#[must_use]
pub fn known(network: Option<Network>, times: Times, now: i64) -> bool {
    network.is_some_and(|n| {
        times.passes > 0 && n.passes >= times.passes && now.saturating_sub(n.when) <= times.keep
    })
}

/// The network after one more pass.
#[must_use]
pub fn passed(network: Option<Network>, times: Times, now: i64) -> Network {
    let before = network.filter(|n| now.saturating_sub(n.when) <= times.keep);
    Network { when: now, passes: before.map_or(0, |n| n.passes).saturating_add(1) }
}

/// The verdict on a try and what is to be remembered of it.
#[must_use]
pub fn decide(seen: Option<Seen>, times: Times, now: i64) -> (Decision, Seen) {
    let new = (Decision::Wait(times.wait), Seen { when: now, passed: false });
    let Some(seen) = seen else { return new };
    let age = now.saturating_sub(seen.when);
    if age < 0 {
        return new;
    }
    match seen.passed {
        true if age <= times.keep => {
            (Decision::Pass { first: false }, Seen { when: now, passed: true })
        }
        false if age < times.wait => (Decision::Wait(times.wait - age), seen),
        false if age <= times.forget => {
            (Decision::Pass { first: true }, Seen { when: now, passed: true })
        }
        _ => new,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: Times = Times { wait: 300, forget: 3_600, keep: 86_400, passes: 2 };

    #[test]
    fn who_tries_again_in_time_passes_and_goes_on_passing() {
        let (verdict, seen) = decide(None, TIMES, 1_000);
        assert_eq!(verdict, Decision::Wait(300));
        let (verdict, seen) = decide(Some(seen), TIMES, 1_100);
        assert_eq!(verdict, Decision::Wait(200), "too soon does not begin anew");
        let (verdict, seen) = decide(Some(seen), TIMES, 1_300);
        assert_eq!(verdict, Decision::Pass { first: true });
        let (verdict, seen) = decide(Some(seen), TIMES, 1_300 + 86_400);
        assert_eq!(verdict, Decision::Pass { first: false });
        let (verdict, _) = decide(Some(seen), TIMES, 1_301 + 2 * 86_400);
        assert_eq!(verdict, Decision::Wait(300), "forgotten");
        let late = Seen { when: 1_000, passed: false };
        assert_eq!(decide(Some(late), TIMES, 4_601).0, Decision::Wait(300));
        assert_eq!(decide(Some(late), TIMES, 500).0, Decision::Wait(300), "clock set back");
    }

    #[test]
    fn a_network_is_known_after_some_passes() {
        let one = passed(None, TIMES, 10);
        assert!(!known(Some(one), TIMES, 10));
        let two = passed(Some(one), TIMES, 20);
        assert!(known(Some(two), TIMES, 20) && !known(Some(two), TIMES, 20 + 86_401));
        assert_eq!(passed(Some(two), TIMES, 20 + 86_401).passes, 1);
        assert!(!known(Some(two), Times { passes: 0, ..TIMES }, 20));
    }
}
