//! How long many equal steps took.
//!
//! It must never know what the steps were.

use std::time::Duration;

use serde::Serialize;

/// Milliseconds of many steps.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Spread {
    /// How many steps.
    pub(crate) count: usize,
    pub(crate) p50_ms: f64,
    pub(crate) p90_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) most_ms: f64,
    pub(crate) mean_ms: f64,
}

impl Spread {
    /// What the steps have in common.
    pub(crate) fn of(mut steps: Vec<Duration>) -> Spread {
        steps.sort_unstable();
        let ms = |step: Duration| step.as_secs_f64() * 1e3;
        // The smallest value that so many in a hundred do not exceed.
        let at = |percent: usize| {
            let place = (steps.len() * percent).div_ceil(100).saturating_sub(1);
            steps.get(place).copied().map_or(0.0, ms)
        };
        Spread {
            count: steps.len(),
            p50_ms: at(50),
            p90_ms: at(90),
            p99_ms: at(99),
            most_ms: at(100),
            mean_ms: ms(steps.iter().sum()) / steps.len().max(1) as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let spread = Spread::of((1..=200).rev().map(Duration::from_millis).collect());
        assert_eq!((spread.p50_ms, spread.p99_ms, spread.most_ms), (100.0, 198.0, 200.0));
        assert_eq!(Spread::of(Vec::new()).count, 0);
    }
}
