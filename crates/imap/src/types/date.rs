//! Dates of SEARCH and date-times of APPEND and INTERNALDATE (RFC 9051 section 9, `date` and
//! `date-time`), reckoned without a clock.

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAY: i64 = 86_400;

/// A calendar day of the years 0000 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Date {
    /// Days since 1970-01-01, negative before.
    pub days: i64,
}

impl Date {
    /// The day of a calendar date; nothing if there is no such day.
    #[must_use]
    pub fn from_calendar(year: u16, month: u8, day: u8) -> Option<Self> {
        let legal = year <= 9999 && (1..=12).contains(&month) && day >= 1;
        if !legal || day > month_length(year, month) {
            return None;
        }
        // Days of a year that starts in March, so that the leap day is the last.
        let (year, month, day) = (i64::from(year), i64::from(month), i64::from(day));
        let shifted = if month > 2 { year } else { year - 1 };
        let era = shifted.div_euclid(400);
        let year_of_era = shifted.rem_euclid(400);
        let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        Some(Self { days: era * 146_097 + day_of_era - 719_468 })
    }

    /// Year, month (1 to 12) and day (1 to 31).
    #[must_use]
    pub fn calendar(self) -> (i64, u8, u8) {
        let days = self.days.saturating_add(719_468);
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        // Both are within 1..=31 by the reckoning above.
        (year, month as u8, day as u8)
    }

    /// Reads `1-Feb-1994` (or `01-Feb-1994`), without quotes.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let mut parts = text.split(|&b| b == b'-');
        let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
        let legal = parts.next().is_none() && (1..=2).contains(&day.len()) && year.len() == 4;
        if !legal {
            return None;
        }
        Self::from_calendar(digits(year)?, month_number(month)?, u8::try_from(digits(day)?).ok()?)
    }
}

/// A moment with the zone it was given in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct DateTime {
    /// Seconds since 1970-01-01 UTC.
    pub seconds: i64,
    /// Offset from UTC in minutes, -1439 to 1439.
    pub zone_minutes: i16,
}

impl DateTime {
    /// Length of the written form without quotes.
    pub const LENGTH: usize = 26;

    /// Reads `17-Jul-1996 02:44:25 -0700` (the day may be padded with a space), without quotes.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = text.trim_ascii_start();
        let space = text.iter().position(|&b| b == b' ')?;
        let (date, rest) = text.split_at_checked(space)?;
        let date = Date::parse(date)?;
        // " hh:mm:ss +zzzz"
        let &[b' ', h1, h2, b':', m1, m2, b':', s1, s2, b' ', sign, z1, z2, z3, z4] = rest else {
            return None;
        };
        let (hour, minute, second) = (digits(&[h1, h2])?, digits(&[m1, m2])?, digits(&[s1, s2])?);
        let (zone_hour, zone_minute) = (digits(&[z1, z2])?, digits(&[z3, z4])?);
        if hour > 23 || minute > 59 || second > 60 || zone_hour > 23 || zone_minute > 59 {
            return None;
        }
        let zone = i16::try_from(zone_hour * 60 + zone_minute).ok()?;
        let zone_minutes = match sign {
            b'+' => zone,
            b'-' => -zone,
            _ => return None,
        };
        let local = date.days * DAY
            + i64::from(hour) * 3600
            + i64::from(minute) * 60
            + i64::from(second.min(59));
        Some(Self { seconds: local - i64::from(zone_minutes) * 60, zone_minutes })
    }

    /// The written form without quotes, day padded with `0`. Years outside 0000 to 9999 come out
    /// as the nearest of these, zones outside a day as UTC.
    #[must_use]
    pub fn format(self) -> [u8; Self::LENGTH] {
        let zone_minutes =
            if self.zone_minutes.unsigned_abs() < 1440 { self.zone_minutes } else { 0 };
        let local = self.seconds.saturating_add(i64::from(zone_minutes) * 60);
        let (year, month, day) = Date { days: local.div_euclid(DAY) }.calendar();
        let second = local.rem_euclid(DAY);
        let zone = i64::from(zone_minutes.unsigned_abs());
        let year = year.clamp(0, 9999);
        let month_name =
            MONTHS.get(usize::from(month).wrapping_sub(1)).unwrap_or(&"Jan").as_bytes();
        let digit = |n: i64| b'0' + u8::try_from(n % 10).unwrap_or(0);
        let pair = |n: i64| [digit(n / 10), digit(n)];
        let mut out = *b"00-Jan-0000 00:00:00 +0000";
        out[0..2].copy_from_slice(&pair(i64::from(day)));
        out[3..6].copy_from_slice(month_name);
        out[7..9].copy_from_slice(&pair(year / 100));
        out[9..11].copy_from_slice(&pair(year % 100));
        out[12..14].copy_from_slice(&pair(second / 3600));
        out[15..17].copy_from_slice(&pair(second / 60 % 60));
        out[18..20].copy_from_slice(&pair(second % 60));
        out[21] = if zone_minutes < 0 { b'-' } else { b'+' };
        out[22..24].copy_from_slice(&pair(zone / 60));
        out[24..26].copy_from_slice(&pair(zone % 60));
        out
    }

    /// The day in its own zone (INTERNALDATE in SEARCH disregards time and zone).
    #[must_use]
    pub fn date(self) -> Date {
        let local = self.seconds.saturating_add(i64::from(self.zone_minutes) * 60);
        Date { days: local.div_euclid(DAY) }
    }
}

fn month_length(year: u16, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        _ => 31,
    }
}

fn month_number(name: &[u8]) -> Option<u8> {
    let at = MONTHS.iter().position(|m| m.as_bytes().eq_ignore_ascii_case(name))?;
    u8::try_from(at + 1).ok()
}

/// Up to four digits as a number.
fn digits(text: &[u8]) -> Option<u16> {
    if text.is_empty() || text.len() > 4 || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(text.iter().fold(0, |n, &b| n * 10 + u16::from(b - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_example_of_the_standard_is_read_and_written() {
        let moment = DateTime::parse(b"17-Jul-1996 02:44:25 -0700").unwrap();
        assert_eq!(moment, DateTime { seconds: 837_596_665, zone_minutes: -420 });
        assert_eq!(&moment.format(), b"17-Jul-1996 02:44:25 -0700");
        assert_eq!(DateTime::parse(b" 1-Jan-1970 00:00:00 +0000").unwrap().seconds, 0);
        assert_eq!(DateTime::parse(b"01-jan-1970 00:00:00 +0000").unwrap().seconds, 0);
    }

    #[test]
    fn days_that_do_not_exist_are_refused() {
        for bad in
            ["31-Feb-2020", "29-Feb-2100", "0-Jan-2000", "1-Foo-2000", "1-Jan-20", "-Jan-2000"]
        {
            assert_eq!(Date::parse(bad.as_bytes()), None, "{bad}");
        }
        assert!(Date::parse(b"29-Feb-2000").is_some());
        for bad in
            ["1-Jan-2000 24:00:00 +0000", "1-Jan-2000 00:00:00 0000", "1-Jan-2000 00:00 +0000"]
        {
            assert_eq!(DateTime::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_moment_comes_back(seconds in -62_000_000_000i64..253_000_000_000, zone in -1439i16..1440) {
            let moment = DateTime { seconds, zone_minutes: zone };
            prop_assert_eq!(DateTime::parse(&moment.format()), Some(moment));
        }

        #[test]
        fn formatting_takes_any_number(seconds: i64, zone: i16) {
            let _ = DateTime { seconds, zone_minutes: zone }.format();
        }
    }
}
