//! How sizes, counts, durations, flow limits, booleans and service lists are spelled in settings
//! (`reference/data-format.md` section 4.3). Reads and prints; knows no particular setting.

use crate::value::Value;

/// A limit that may be absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Limit {
    /// At most this much.
    Of(u64),
    /// No limit.
    Unlimited,
}

impl Limit {
    /// True when `amount` is within the limit.
    #[must_use]
    pub fn allows(self, amount: u64) -> bool {
        match self {
            Self::Of(limit) => amount <= limit,
            Self::Unlimited => true,
        }
    }
}

/// So many events in so many seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// Events allowed.
    pub count: Limit,
    /// Length of the period in seconds.
    pub seconds: u64,
}

/// Which services are enabled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Services {
    /// All of them.
    All,
    /// The named ones.
    Only(Vec<String>),
}

impl Services {
    /// True when the service with this word is enabled.
    #[must_use]
    pub fn enabled(&self, mode: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(all) => all.iter().any(|m| m.eq_ignore_ascii_case(mode)),
        }
    }
}

fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let number: u64 = digits.parse().ok()?;
    let unit = unit.trim();
    let factor = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?.1;
    number.checked_mul(factor)
}

fn unlimited(text: &str) -> bool {
    text.eq_ignore_ascii_case("unlimited") || text == "-1"
}

/// A size in octets: digits with an optional `K`, `M`, `G`, `T` (powers of 1024); `unlimited` or
/// `-1` is no limit.
#[must_use]
pub fn size(value: &Value) -> Option<Limit> {
    let text = word(value)?;
    if unlimited(&text) {
        return Some(Limit::Unlimited);
    }
    scaled(&text, &[("", 1), ("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30), ("T", 1 << 40)])
        .map(Limit::Of)
}

/// A count: digits; `unlimited` or `-1` is no limit.
#[must_use]
pub fn count(value: &Value) -> Option<Limit> {
    let text = word(value)?;
    if unlimited(&text) { Some(Limit::Unlimited) } else { text.parse().ok().map(Limit::Of) }
}

/// A duration in seconds: digits with an optional `s`, `m`, `h`, `d`, `w`.
#[must_use]
pub fn duration(value: &Value) -> Option<u64> {
    scaled(
        &word(value)?,
        &[("", 1), ("s", 1), ("m", 60), ("h", 3600), ("d", 86_400), ("w", 604_800)],
    )
}

/// A flow limit: an array of a count and a period.
#[must_use]
pub fn flow(value: &Value) -> Option<Flow> {
    match value.as_array()? {
        [events, period] => Some(Flow { count: count(events)?, seconds: duration(period)? }),
        _ => None,
    }
}

/// `YES` or `NO`, in any case; null is the programming language's false.
#[must_use]
pub fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Null => Some(false),
        Value::String(text) if text.eq_ignore_ascii_case("yes") => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("no") => Some(false),
        _ => None,
    }
}

/// `All`, `None`, or an array of service words whose first element may be a version number.
#[must_use]
pub fn services(value: &Value) -> Option<Services> {
    match value {
        Value::String(text) if text.eq_ignore_ascii_case("all") => Some(Services::All),
        Value::String(text) if text.eq_ignore_ascii_case("none") => {
            Some(Services::Only(Vec::new()))
        }
        Value::Array(all) => {
            let numbered = all.first().is_some_and(|first| first.as_number().is_some());
            let words = all.iter().skip(usize::from(numbered));
            let words: Option<Vec<String>> = words.map(|w| w.as_str().map(str::to_owned)).collect();
            words.map(Services::Only)
        }
        _ => None,
    }
}

/// The word of a boolean.
#[must_use]
pub const fn yes_no(value: bool) -> &'static str {
    if value { "YES" } else { "NO" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::parse_line;

    fn v(text: &str) -> Value {
        parse_line(text).unwrap()
    }

    // SYS-13
    #[test]
    fn sizes_are_1024_based_and_may_be_unlimited() {
        assert_eq!(size(&v("10K")), Some(Limit::Of(10_240)));
        assert_eq!(size(&v("31M")), Some(Limit::Of(31 << 20)));
        assert_eq!(size(&v("#5")), Some(Limit::Of(5)));
        assert_eq!(size(&v("unlimited")), Some(Limit::Unlimited));
        assert_eq!(size(&v("\"-1\"")), Some(Limit::Unlimited));
        assert_eq!(size(&v("10Q")), None);
        assert_eq!(size(&v("K")), None);
        assert_eq!(size(&v("99999999999999999G")), None);
    }

    #[test]
    fn durations_flows_and_booleans_are_read_as_spelled() {
        assert_eq!(duration(&v("5m")), Some(300));
        assert_eq!(duration(&v("61200")), Some(61_200));
        assert_eq!(duration(&v("15d")), Some(15 * 86_400));
        assert_eq!(flow(&v("(10, 1m)")), Some(Flow { count: Limit::Of(10), seconds: 60 }));
        assert_eq!(
            flow(&v("(\"-1\", 3600)")),
            Some(Flow { count: Limit::Unlimited, seconds: 3600 })
        );
        assert_eq!(flow(&v("(1)")), None);
        assert_eq!(boolean(&v("yes")), Some(true));
        assert_eq!(boolean(&v("maybe")), None);
    }

    #[test]
    fn a_service_list_starts_with_a_version_number_or_not() {
        let all = services(&v("(26, Mail, POP)")).unwrap();
        assert!(all.enabled("pop") && all.enabled("Mail") && !all.enabled("IMAP"));
        assert!(services(&v("(IMAP)")).unwrap().enabled("IMAP"));
        assert_eq!(services(&v("All")), Some(Services::All));
        assert_eq!(services(&v("#3")), None);
    }
}
