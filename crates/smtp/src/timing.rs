//! When a message is to be delivered, as MAIL and RCPT say it: not before (FUTURERELEASE, RFC
//! 4865), not after (DELIVERBY, RFC 2852), only to who owned the address then (RRVS, RFC 7293).
//!
//! It must never know what time it is.

use std::fmt;

/// Longest date and time taken, in octets.
const DATE_TIME: usize = 40;

/// BY= of MAIL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeliverBy {
    /// Seconds from the moment of MAIL on; nought and less are past.
    pub seconds: i32,
    /// Mode R: returned when the time is over; else (N) its sender is told of the delay.
    pub give_back: bool,
    /// T: every relay on the way is reported.
    pub trace: bool,
}

impl DeliverBy {
    /// Reads the value of BY=.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (time, mode) = text.split_once(';')?;
        let digits = time.strip_prefix(['+', '-']).unwrap_or(time);
        if digits.is_empty() || digits.len() > 9 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let seconds: i32 = digits.parse().ok()?;
        let seconds = if time.starts_with('-') { -seconds } else { seconds };
        let (give_back, trace) = match mode.to_ascii_uppercase().as_str() {
            "N" => (false, false),
            "NT" => (false, true),
            "R" => (true, false),
            "RT" => (true, true),
            _ => return None,
        };
        Some(Self { seconds, give_back, trace })
    }

    /// What stands behind the time: `N`, `NT`, `R` or `RT`.
    #[must_use]
    pub const fn mode(self) -> &'static str {
        match (self.give_back, self.trace) {
            (false, false) => "N",
            (false, true) => "NT",
            (true, false) => "R",
            (true, true) => "RT",
        }
    }
}

impl fmt::Display for DeliverBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};{}", self.seconds, self.mode())
    }
}

/// HOLDFOR= or HOLDUNTIL= of MAIL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hold {
    /// Seconds from the moment of MAIL on.
    For(u32),
    /// Seconds since 1970.
    Until(i64),
}

impl Hold {
    /// Reads the value of HOLDFOR=.
    #[must_use]
    pub fn parse_for(text: &str) -> Option<Self> {
        let digits =
            !text.is_empty() && text.len() <= 9 && text.bytes().all(|b| b.is_ascii_digit());
        if digits { text.parse().ok().map(Self::For) } else { None }
    }

    /// Reads the value of HOLDUNTIL=.
    #[must_use]
    pub fn parse_until(text: &str) -> Option<Self> {
        read_date_time(text).map(Self::Until)
    }

    /// The moment, seconds since 1970, if it is `now`.
    #[must_use]
    pub fn until(self, now: i64) -> i64 {
        match self {
            Self::For(seconds) => now.saturating_add(i64::from(seconds)),
            Self::Until(moment) => moment,
        }
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::For(seconds) => write!(f, "HOLDFOR={seconds}"),
            Self::Until(moment) => write!(f, "HOLDUNTIL={}", date_time(*moment)),
        }
    }
}

/// RRVS= of RCPT: the address must belong to the same person since then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SameOwner {
    /// Seconds since 1970.
    pub since: i64,
    /// `C`: go on also where the next server cannot tell; else (`R`) refuse there.
    pub go_on: bool,
}

impl SameOwner {
    /// Reads the value of RRVS=.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (moment, action) = text.split_once(';').unwrap_or((text, "R"));
        let go_on = match action.to_ascii_uppercase().as_str() {
            "C" => true,
            "R" => false,
            _ => return None,
        };
        Some(Self { since: read_date_time(moment)?, go_on })
    }
}

impl fmt::Display for SameOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", date_time(self.since), if self.go_on { ";C" } else { "" })
    }
}

/// Reads a date and time of RFC 3339 (years 1970 to 9999) as seconds since 1970; parts of seconds
/// are left out.
#[must_use]
pub fn read_date_time(text: &str) -> Option<i64> {
    if text.len() > DATE_TIME || !text.is_ascii() {
        return None;
    }
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = text.get(from..to)?;
        if digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse().ok() } else { None }
    };
    let mark =
        |at: usize, wanted: &[u8]| text.as_bytes().get(at).is_some_and(|b| wanted.contains(b));
    let marks =
        mark(4, b"-") && mark(7, b"-") && mark(10, b"Tt ") && mark(13, b":") && mark(16, b":");
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let good = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !marks || !good {
        return None;
    }
    let mut zone = text.get(19..)?;
    if let Some(parts) = zone.strip_prefix('.') {
        let digits = parts.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return None;
        }
        zone = parts.get(digits..)?;
    }
    let offset = match zone {
        "Z" | "z" => 0,
        _ => {
            let sign = match zone.get(..1)? {
                "+" => 1,
                "-" => -1,
                _ => return None,
            };
            let (hours, minutes) = zone.get(1..)?.split_once(':')?;
            let two = |t: &str| {
                let good = t.len() == 2 && t.bytes().all(|b| b.is_ascii_digit());
                if good { t.parse::<i64>().ok() } else { None }
            };
            let (hours, minutes) = (two(hours)?, two(minutes)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            sign * (hours * 3600 + minutes * 60)
        }
    };
    Some(days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset)
}

/// Writes a moment, seconds since 1970, as RFC 3339 does, in UTC; what is outside the years 1970
/// to 9999 is brought to their end.
#[must_use]
pub fn date_time(moment: i64) -> String {
    let moment = moment.clamp(0, 253_402_300_799);
    let (mut days, seconds) = (moment / 86_400, moment % 86_400);
    let mut year = 1970;
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        if days < length {
            break;
        }
        days -= length;
        year += 1;
    }
    let mut month = 1;
    while days >= days_in(year, month) {
        days -= days_in(year, month);
        month += 1;
    }
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", days + 1)
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let before = year - 1;
    let leaps = before / 4 - before / 100 + before / 400 - 477;
    let months: i64 = (1..month).map(|m| days_in(year, m)).sum();
    (year - 1970) * 365 + leaps + months + day - 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn moments_are_read_in_any_zone() {
        for (text, moment) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:00:00Z", 951_825_600),
            ("2027-01-15T09:00:00+01:00", 1_800_000_000),
            ("2027-01-15t02:30:00.25-05:30", 1_800_000_000),
        ] {
            assert_eq!(read_date_time(text), Some(moment), "{text}");
        }
        for text in [
            "",
            "2027-01-15",
            "2027-02-29T00:00:00Z",
            "2027-13-01T00:00:00Z",
            "2027-01-15T24:00:00Z",
            "2027-01-15T00:00:00",
            "2027-01-15T00:00:00.Z",
            "2027-01-15T00:00:00+1:00",
            "2027-01-15T00:00:00+99:00",
            "1969-01-15T00:00:00Z",
            "2027-01-15T00:00:00é",
        ] {
            assert_eq!(read_date_time(text), None, "{text}");
        }
    }

    #[test]
    fn values_are_read_and_bounded() {
        let by = DeliverBy { seconds: 120, give_back: true, trace: true };
        assert_eq!(DeliverBy::parse("120;rt"), Some(by));
        assert_eq!(DeliverBy::parse("-5;N").map(|b| b.seconds), Some(-5));
        for wrong in ["120", "120;X", ";R", "+;R", "--1;R", "1234567890;R"] {
            assert_eq!(DeliverBy::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Hold::parse_for("60"), Some(Hold::For(60)));
        assert_eq!(Hold::parse_for("-1"), None);
        assert_eq!(Hold::parse_for("1234567890"), None);
        assert_eq!(Hold::For(60).until(10), 70);
        let same = SameOwner::parse("2027-01-15T08:00:00Z;C");
        assert_eq!(same, Some(SameOwner { since: 1_800_000_000, go_on: true }));
        assert_eq!(SameOwner::parse("2027-01-15T08:00:00Z;X"), None);
    }

    proptest! {
        #[test]
        fn a_moment_comes_back(moment in 0i64..253_402_300_800) {
            prop_assert_eq!(read_date_time(&date_time(moment)), Some(moment));
        }

        #[test]
        fn no_text_makes_the_readers_panic(text in "\\PC{0,50}") {
            let _ = (read_date_time(&text), DeliverBy::parse(&text), SameOwner::parse(&text));
        }
    }
}
