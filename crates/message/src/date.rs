//! Dates of mail: RFC 5322 3.3 in fields, date and date-time of RFC 9051 9.
//!
//! It must never know what time it is: time is always an argument, in seconds since
//! 1970-01-01 00:00 UTC.

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

/// Octets of a Date value that are looked at.
const DATE_MAX: usize = 256;

const DAY: i64 = 86_400;

/// A moment and the zone it was written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Seconds since 1970-01-01 00:00 UTC.
    pub seconds: i64,
    /// Minutes east of UTC.
    pub zone: i16,
}

impl Moment {
    /// A moment in UTC.
    pub fn utc(seconds: i64) -> Moment {
        Moment { seconds, zone: 0 }
    }

    /// Days since 1970-01-01 of the calendar day as written, the zone not taken off: what
    /// SENTBEFORE, SENTON and SENTSINCE compare.
    pub fn written_day(&self) -> i64 {
        self.seconds.saturating_add(i64::from(self.zone) * 60).div_euclid(DAY)
    }
}

/// Days from 1970-01-01 to a day of the Gregorian calendar.
pub fn days_of(year: i64, month: u32, day: u32) -> i64 {
    // Years begin in March here, so that the leap day is the last of its year.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month = i64::from((month + 9) % 12);
    let day_of_year = (153 * month + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Year, month and day of a number of days since 1970-01-01.
pub fn day_of(days: i64) -> (i64, u32, u32) {
    let days = days.clamp(-100_000_000, 100_000_000) + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * march + 2) / 5 + 1) as u32;
    let month = if march < 10 { march + 3 } else { march - 9 } as u32;
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn month_of(name: &[u8]) -> Option<u32> {
    let name = name.get(..3)?;
    let at = MONTHS.iter().position(|m| m.as_bytes().eq_ignore_ascii_case(name))?;
    u32::try_from(at + 1).ok()
}

fn digits(text: &[u8]) -> Option<i64> {
    if text.is_empty() || text.len() > 9 || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(text.iter().fold(0, |sum, d| sum * 10 + i64::from(d - b'0')))
}

/// Reads the value of a Date field, forgiving: no day name, two-digit years, old zone names,
/// missing seconds or zone, hyphens between the parts of the day, comments. Nothing if no day
/// and month can be made out.
pub fn parse(value: &[u8]) -> Option<Moment> {
    let value = value.get(..DATE_MAX).unwrap_or(value);
    let value = value.split(|b| *b == b'(').next()?;
    // Hyphens separate within the day (22-Nov-2008); in front they are the sign of a zone.
    let mut words = value
        .split(|b| b.is_ascii_whitespace() || *b == b',')
        .flat_map(|word| {
            let whole = word.starts_with(b"-") || word.contains(&b':');
            word.split(move |b| *b == b'-' && !whole)
        })
        .filter(|word| !word.is_empty());
    let mut word = words.next()?;
    if word.first()?.is_ascii_alphabetic() && month_of(word).is_none_or(|_| word.len() > 3) {
        word = words.next()?;
    }
    let (day, month, year);
    let mut clock = None;
    if let Some(first) = month_of(word) {
        // asctime: Nov 21 22:56:38 2026
        month = first;
        day = digits(words.next()?)?;
        clock = words.next();
        year = words.next()?;
    } else {
        day = digits(word)?;
        month = month_of(words.next()?)?;
        year = words.next()?;
    }
    let year = match (digits(year)?, year.len()) {
        (y, 2) if y < 50 => y + 2000,
        (y, 2 | 3) => y + 1900,
        (y, _) => y,
    };
    if !(1..=31).contains(&day) || !(1..=9999).contains(&year) {
        return None;
    }
    let clock = clock.or_else(|| words.next());
    let mut time = clock.unwrap_or(b"0:0").split(|b| matches!(b, b':' | b'.'));
    let hour = digits(time.next()?).filter(|h| *h < 24)?;
    let minute = time.next().and_then(digits).filter(|m| *m < 60).unwrap_or(0);
    let second = time.next().and_then(digits).filter(|s| *s <= 60).unwrap_or(0);
    let zone = words.next().map_or(0, zone_of);
    let local =
        days_of(year, month, u32::try_from(day).ok()?) * DAY + hour * 3600 + minute * 60 + second;
    Some(Moment { seconds: local - i64::from(zone) * 60, zone })
}

/// Minutes east of UTC of a zone word: `+0200`, `-05:30`, `0200`, old names; unknown words are
/// UTC.
fn zone_of(word: &[u8]) -> i16 {
    let west = word.starts_with(b"-");
    let number = word.strip_prefix(b"+").or_else(|| word.strip_prefix(b"-")).unwrap_or(word);
    let number: Vec<u8> = number.iter().copied().filter(|b| *b != b':').collect();
    if number.len() == 4
        && let Some(number) = digits(&number)
    {
        let (hours, minutes) = (number / 100, number % 100);
        if hours >= 24 || minutes >= 60 {
            return 0;
        }
        let zone = (hours * 60 + minutes) as i16;
        return if west { -zone } else { zone };
    }
    let hours = match word.to_ascii_uppercase().as_slice() {
        b"EDT" => -4,
        b"EST" | b"CDT" => -5,
        b"CST" | b"MDT" => -6,
        b"MST" | b"PDT" => -7,
        b"PST" => -8,
        b"CET" => 1,
        b"CEST" => 2,
        b"JST" => 9,
        // UT, GMT, military letters (RFC 5322 4.3) and everything unknown.
        _ => 0,
    };
    hours * 60
}

struct Parts {
    year: i64,
    month: &'static str,
    day: u32,
    week_day: &'static str,
    hour: i64,
    minute: i64,
    second: i64,
    sign: char,
    zone_hours: i16,
    zone_minutes: i16,
}

fn parts(moment: Moment) -> Parts {
    let zone = moment.zone.clamp(-1439, 1439);
    let local = moment.seconds.saturating_add(i64::from(zone) * 60);
    let days = local.div_euclid(DAY);
    let clock = local.rem_euclid(DAY);
    let (year, month, day) = day_of(days);
    let name = |list: &[&'static str], at: usize| list.get(at).copied().unwrap_or("Jan");
    Parts {
        year,
        month: name(&MONTHS, month as usize - 1),
        day,
        week_day: name(&DAYS, (days + 4).rem_euclid(7) as usize),
        hour: clock / 3600,
        minute: clock / 60 % 60,
        second: clock % 60,
        sign: if zone < 0 { '-' } else { '+' },
        zone_hours: zone.abs() / 60,
        zone_minutes: zone.abs() % 60,
    }
}

/// The form of fields: `Sat, 22 Nov 2008 19:42:42 +0200`.
pub fn format(moment: Moment) -> String {
    let p = parts(moment);
    format!(
        "{}, {:02} {} {:04} {:02}:{:02}:{:02} {}{:02}{:02}",
        p.week_day,
        p.day,
        p.month,
        p.year,
        p.hour,
        p.minute,
        p.second,
        p.sign,
        p.zone_hours,
        p.zone_minutes
    )
}

/// The date-time of IMAP without its quotes: `22-Nov-2008 19:42:42 +0200`, the day with a
/// leading space below ten.
pub fn format_imap(moment: Moment) -> String {
    let p = parts(moment);
    format!(
        "{:>2}-{}-{:04} {:02}:{:02}:{:02} {}{:02}{:02}",
        p.day, p.month, p.year, p.hour, p.minute, p.second, p.sign, p.zone_hours, p.zone_minutes
    )
}

/// Reads the date-time of IMAP without its quotes, strictly.
pub fn parse_imap(text: &[u8]) -> Option<Moment> {
    if text.len() != 26 {
        return None;
    }
    let at = |index: usize, byte: u8| text.get(index) == Some(&byte);
    if !(at(11, b' ') && at(14, b':') && at(17, b':') && at(20, b' ')) {
        return None;
    }
    let days = parse_imap_date(text.get(..11)?.trim_ascii_start())?;
    let two = |from: usize| digits(text.get(from..from + 2)?);
    let hour = two(12).filter(|h| *h < 24)?;
    let minute = two(15).filter(|m| *m < 60)?;
    let second = two(18).filter(|s| *s <= 60)?;
    let sign = match text.get(21)? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let zone_hours = two(22).filter(|h| *h < 24)?;
    let zone_minutes = two(24).filter(|m| *m < 60)?;
    let zone = sign * (zone_hours * 60 + zone_minutes);
    let seconds = days * DAY + hour * 3600 + minute * 60 + second - zone * 60;
    Some(Moment { seconds, zone: zone as i16 })
}

/// Reads the date of IMAP searches without quotes (`1-Feb-1994`), strictly: days since
/// 1970-01-01.
pub fn parse_imap_date(text: &[u8]) -> Option<i64> {
    let mut words = text.split(|b| *b == b'-');
    let (day, month, year) = (words.next()?, words.next()?, words.next()?);
    if words.next().is_some() || day.len() > 2 || month.len() != 3 || year.len() != 4 {
        return None;
    }
    let (day, month, year) = (digits(day)?, month_of(month)?, digits(year)?);
    let day = u32::try_from(day).ok()?;
    let days = days_of(year, month, day);
    (day_of(days) == (year, month, day)).then_some(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_dates_are_read_as_people_write_them() {
        for (text, seconds, zone) in [
            ("Sat, 22 Nov 2008 19:42:42 +0200", 1_227_375_762, 120),
            (" 22 Nov 2008 17:42:42 GMT (UTC)", 1_227_375_762, 0),
            ("Sat, 22 Nov 08 12:42:42 EST", 1_227_375_762, -300),
            ("Sat,22-Nov-2008 12:42:42 -0500", 1_227_375_762, -300),
            ("22 Nov 2008 12:12:42 -05:30", 1_227_375_762, -330),
            ("Saturday, 22 November 2008 17:42:42", 1_227_375_762, 0),
            ("Sat Nov 22 17:42:42 2008", 1_227_375_762, 0),
            ("22 Nov 2008 17:42 +0000", 1_227_375_720, 0),
            ("29 Feb 2000 00:00:00 -0000", 951_782_400, 0),
        ] {
            let wanted = Some(Moment { seconds, zone });
            assert_eq!(parse(text.as_bytes()), wanted, "{text}");
        }
        for bad in ["", "yesterday", "32 Nov 2008 00:00:00 +0000", "Sat, 22", "1 1 1 1"] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn dates_are_written_as_the_standards_say() {
        let moment = Moment { seconds: 1_227_375_762, zone: 120 };
        assert_eq!(format(moment), "Sat, 22 Nov 2008 19:42:42 +0200");
        assert_eq!(format_imap(moment), "22-Nov-2008 19:42:42 +0200");
        let moment = Moment { seconds: -1, zone: -90 };
        assert_eq!(format_imap(moment), "31-Dec-1969 22:29:59 -0130");
        assert_eq!(parse_imap(format_imap(moment).as_bytes()), Some(moment));
        assert_eq!(parse_imap(b" 1-Feb-1994 00:00:00 +0000").unwrap().seconds, 760_060_800);
        assert_eq!(parse_imap_date(b"1-Feb-1994"), Some(8797));
        assert_eq!(parse_imap_date(b"31-Feb-1994"), None);
        assert_eq!(parse_imap(b"31-Feb-1994 00:00:00 +0000"), None);
    }
}
