//! INTERNALDATE as servers send it, and the `--filter` on it. Pure.

use crate::error::{MoveError, Result};

/// Seconds since 1970 of an INTERNALDATE such as `17-Jul-1996 02:44:25 -0700` (RFC 9051 section 9,
/// date-time); `None` if it is not one.
#[must_use]
pub fn seconds_of(date_time: &str) -> Option<i64> {
    let mut words = date_time.split_ascii_whitespace();
    let date = words.next()?;
    let time = words.next().unwrap_or("00:00:00");
    let zone = words.next().unwrap_or("+0000");
    let mut parts = date.splitn(3, '-');
    let day: i64 = parts.next()?.parse().ok()?;
    let month = month_number(parts.next()?)?;
    let year: i64 = parts.next()?.parse().ok()?;
    let mut clock = time.splitn(3, ':').map(|n| n.parse::<i64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next().flatten()?);
    let sign = match zone.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let offset: i64 = zone.get(1..)?.parse().ok()?;
    let offset = sign * (offset / 100 * 3600 + offset % 100 * 60);
    if !(1..=31).contains(&day) || !(0..=9999).contains(&year) || hour > 24 || minute > 60 {
        return None;
    }
    Some(days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset)
}

fn month_number(name: &str) -> Option<i64> {
    const MONTHS: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let at = MONTHS.iter().position(|m| name.eq_ignore_ascii_case(m))?;
    i64::try_from(at).ok().map(|n| n + 1)
}

/// Days from 1970-01-01 to a date of the Gregorian calendar, counted in eras of 400 years that
/// begin in March so that the leap day is a year's last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Which messages a run takes (MIG-31).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DateFilter {
    /// Only messages on or after this moment.
    pub after: Option<i64>,
    /// Only messages strictly before this moment.
    pub before: Option<i64>,
}

impl DateFilter {
    /// Adds one `--filter`: the word `before` or `after` (or none: `after`) and the moment
    /// `dd-mmm-yyyy[ hh:mm:ss]`, in UTC.
    ///
    /// # Errors
    /// `Usage` if the moment is not a date.
    pub fn add(&mut self, text: &str) -> Result<()> {
        let trimmed = text.trim().trim_matches('"');
        let (word, moment) = match trimmed.split_once(char::is_whitespace) {
            Some((w, rest)) if w.eq_ignore_ascii_case("before") => ("before", rest),
            Some((w, rest)) if w.eq_ignore_ascii_case("after") => ("after", rest),
            _ => ("after", trimmed),
        };
        let moment = moment.trim().trim_matches('"');
        let seconds = seconds_of(moment).ok_or_else(|| {
            MoveError::Usage(format!(
                "--filter \"{text}\": write it like: --filter before \"31-Dec-2024 23:59:59\""
            ))
        })?;
        match word {
            "before" => self.before = Some(seconds),
            _ => self.after = Some(seconds),
        }
        Ok(())
    }

    /// True when a message of this INTERNALDATE is taken. One without a readable date is.
    #[must_use]
    pub fn takes(&self, internal_date: Option<&str>) -> bool {
        let Some(seconds) = internal_date.and_then(seconds_of) else { return true };
        self.after.is_none_or(|after| seconds >= after)
            && self.before.is_none_or(|before| seconds < before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_become_seconds() {
        assert_eq!(seconds_of("01-Jan-1970 00:00:00 +0000"), Some(0));
        assert_eq!(seconds_of("17-Jul-1996 02:44:25 -0700"), Some(837_596_665));
        assert_eq!(seconds_of(" 7-Feb-2023 12:00:00 +0130"), Some(1_675_765_800));
        assert_eq!(seconds_of("29-Feb-2024"), Some(1_709_164_800));
        for nonsense in ["", "x", "1-Foo-2000", "1-Jan-2000 aa:00:00", "0-Jan-2000"] {
            assert_eq!(seconds_of(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn mig_31_before_is_strict_and_after_includes_the_moment() {
        let mut filter = DateFilter::default();
        filter.add("after \"01-Jan-2020\"").unwrap();
        filter.add("before 01-Feb-2020 00:00:00").unwrap();
        assert!(filter.takes(Some("01-Jan-2020 00:00:00 +0000")));
        assert!(!filter.takes(Some("31-Dec-2019 23:59:59 +0000")));
        assert!(!filter.takes(Some("01-Feb-2020 00:00:00 +0000")));
        assert!(filter.takes(Some("31-Jan-2020 23:59:59 +0000")));
        assert!(filter.takes(None));
        assert!(filter.add("yesterday").is_err());
    }
}
