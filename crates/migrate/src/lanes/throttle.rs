//! What a server means when it says that it is busy: how long to wait, or that it wants fewer
//! connections. Pure; the words are those of real servers.

use std::time::Duration;

use angarium_imap::client::Code;

/// Longest wait that is slept through; a server that asks for more is left alone until then.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// Wait when a server asks for patience and names no time.
const UNNAMED_WAIT: Duration = Duration::from_secs(10);

/// What a refusal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Advice {
    /// It is about the request, not about time.
    Final,
    /// The same may be asked again after this long.
    Wait(Duration),
    /// It wants fewer connections of us.
    Fewer,
}

/// Words that ask for fewer connections, lower case.
const FEWER: &[&str] = &[
    "maximum number of connections",
    "too many simultaneous",
    "too many connections",
    "too many concurrent",
    "simultaneous connections",
    "connection limit",
    "connections per user",
    "connections from user",
    "mail_max_userip_connections",
];

/// Words that ask for patience, lower case.
const PATIENCE: &[&str] = &[
    "suggested backoff",
    "throttl",
    "too many requests",
    "too many commands",
    "too many login",
    "too many attempts",
    "rate limit",
    "try again later",
    "temporarily unavailable",
    "bandwidth limit",
    "server busy",
    "server is busy",
    "please wait",
    "slow down",
];

/// Judges the code and the text of a refusal.
pub(crate) fn advice(code: Option<&Code>, text: &str) -> Advice {
    let lower: String = text.chars().take(2_000).collect::<String>().to_ascii_lowercase();
    if FEWER.iter().any(|words| lower.contains(words)) {
        return Advice::Fewer;
    }
    if let Some(wait) = named_wait(&lower) {
        return Advice::Wait(wait);
    }
    let by_code = match code {
        Some(Code::Other(name, _)) => {
            matches!(name.as_str(), "THROTTLED" | "INUSE" | "UNAVAILABLE")
        }
        _ => false,
    };
    if by_code || PATIENCE.iter().any(|words| lower.contains(words)) {
        return Advice::Wait(UNNAMED_WAIT);
    }
    Advice::Final
}

/// The time in `Suggested Backoff Time: 299961 milliseconds`, `retry after 30 seconds` and the
/// like; milliseconds where no unit is named after the words of Exchange, else seconds.
fn named_wait(lower: &str) -> Option<Duration> {
    let (after, unit) = ["suggested backoff time:", "backoff time:"]
        .iter()
        .find_map(|words| lower.split_once(words))
        .map(|(_, after)| (after, 1))
        .or_else(|| {
            let words = ["retry after", "try again in", "wait for", "please wait"];
            let found = words.iter().find_map(|words| lower.split_once(words));
            found.map(|(_, after)| (after, 1_000))
        })?;
    let after = after.trim_start();
    let digits: String = after.chars().take_while(char::is_ascii_digit).take(12).collect();
    let number: u64 = digits.parse().ok()?;
    let word = after.get(digits.len()..).unwrap_or_default().trim_start();
    let millis = if word.starts_with("milli") || word.starts_with("ms") {
        number
    } else if word.starts_with("min") {
        number.saturating_mul(60_000)
    } else if word.starts_with("hour") {
        number.saturating_mul(3_600_000)
    } else if word.starts_with('s') {
        number.saturating_mul(1_000)
    } else {
        number.saturating_mul(unit)
    };
    Some(Duration::from_millis(millis))
}

/// How long to wait before attempt `attempt` (from 1) to connect again. `chance` from 0 to 1
/// spreads the attempts of many movers.
pub(crate) fn backoff(attempt: u32, chance: f64) -> Duration {
    const FIRST: f64 = 0.5;
    const MOST: f64 = 60.0;
    let whole =
        (FIRST * 2f64.powi(i32::try_from(attempt.clamp(1, 20)).unwrap_or(20) - 1)).min(MOST);
    Duration::from_secs_f64(whole * (0.5 + chance.clamp(0.0, 1.0) / 2.0))
}

/// A number from 0 to 1 that differs from call to call. For spreading only.
pub(crate) fn chance() -> f64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let seed = RandomState::new().build_hasher().finish();
    f64::from(u32::try_from(seed >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_real_servers_are_understood() {
        let of = |text: &str| advice(None, text);
        assert_eq!(
            of("Request is throttled. Suggested Backoff Time: 299961 milliseconds"),
            Advice::Wait(Duration::from_millis(299_961))
        );
        assert_eq!(of("Suggested Backoff Time: 1500"), Advice::Wait(Duration::from_millis(1500)));
        assert_eq!(of("Please retry after 30 seconds"), Advice::Wait(Duration::from_secs(30)));
        assert_eq!(of("try again in 2 minutes"), Advice::Wait(Duration::from_secs(120)));
        let dovecot = "Maximum number of connections from user+IP exceeded \
                       (mail_max_userip_connections=10)";
        assert_eq!(of(dovecot), Advice::Fewer);
        assert_eq!(of("Too many simultaneous connections. (Failure)"), Advice::Fewer);
        let gmail = "Account exceeded command or bandwidth limits. (Failure)";
        assert_eq!(of(gmail), Advice::Wait(UNNAMED_WAIT));
        assert_eq!(of("Too many messages in the set"), Advice::Final);
        assert_eq!(of("Message too large"), Advice::Final);
        assert_eq!(of("Invalid internal date"), Advice::Final);
        let code = Code::Other("THROTTLED".into(), String::new());
        assert_eq!(advice(Some(&code), "no"), Advice::Wait(UNNAMED_WAIT));
    }

    #[test]
    fn a_wait_of_any_length_does_not_overflow() {
        let text = "Suggested Backoff Time: 999999999999999999999999 hours";
        assert!(matches!(advice(None, text), Advice::Wait(w) if w > LONGEST_WAIT));
        assert_eq!(advice(None, "backoff time: soon"), Advice::Final);
    }

    #[test]
    fn attempts_are_spread_and_bounded() {
        assert_eq!(backoff(1, 1.0), Duration::from_millis(500));
        assert_eq!(backoff(1, 0.0), Duration::from_millis(250));
        assert_eq!(backoff(3, 1.0), Duration::from_secs(2));
        assert_eq!(backoff(u32::MAX, 1.0), Duration::from_secs(60));
        assert!((0.0..=1.0).contains(&chance()));
    }
}
