//! Time stamps `#T22-10-2009_15:24:45` (GMT): days and seconds to text and back, by arithmetic
//! alone (proleptic Gregorian calendar). Knows no clock and no zone.

const DAY: i64 = 86_400;

/// Days since 1970-01-01 of a civil date (years 0 to 9999).
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    // The year is counted from March so that the leap day is the last day of it.
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let year_of_era = y.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month, day of a day number since 1970-01-01.
fn civil_of(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

fn digits(text: &[u8]) -> Option<i64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_i64, |sum, byte| {
        byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0'))
    })
}

/// Reads `DD-MM-YYYY` with an optional `_hh:mm:ss`.
pub(super) fn read(text: &[u8]) -> Option<i64> {
    let (date, time) = match text.len() {
        10 => (text, None),
        19 if text.get(10) == Some(&b'_') => (text.get(..10)?, text.get(11..)),
        _ => return None,
    };
    let [d1, d2, b'-', m1, m2, b'-', y1, y2, y3, y4] = *date else { return None };
    let (day, month, year) = (digits(&[d1, d2])?, digits(&[m1, m2])?, digits(&[y1, y2, y3, y4])?);
    if !(1..=12).contains(&month) || day < 1 {
        return None;
    }
    let days = days_of(year, month, day);
    if civil_of(days) != (year, month, day) {
        return None;
    }
    let seconds = match time {
        None => 0,
        Some(time) => {
            let [h1, h2, b':', m1, m2, b':', s1, s2] = *time else { return None };
            let (h, m, s) = (digits(&[h1, h2])?, digits(&[m1, m2])?, digits(&[s1, s2])?);
            if h > 23 || m > 59 || s > 60 {
                return None;
            }
            h * 3600 + m * 60 + s
        }
    };
    Some(days * DAY + seconds)
}

/// The text after `#T`. Times outside the years 0 to 9999 are the remote past and future.
pub(super) fn text(seconds: i64) -> String {
    let days = seconds.div_euclid(DAY);
    let rest = seconds.rem_euclid(DAY);
    if days < days_of(0, 1, 1) {
        return "PAST".to_owned();
    }
    if days > days_of(9999, 12, 31) {
        return "FUTURE".to_owned();
    }
    let (year, month, day) = civil_of(days);
    if rest == 0 {
        format!("{day:02}-{month:02}-{year:04}")
    } else {
        format!(
            "{day:02}-{month:02}-{year:04}_{:02}:{:02}:{:02}",
            rest / 3600,
            rest / 60 % 60,
            rest % 60
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_seconds_agree_in_both_directions() {
        assert_eq!(read(b"01-01-1970"), Some(0));
        assert_eq!(read(b"22-10-2009_15:24:45"), Some(1_256_225_085));
        assert_eq!(read(b"29-02-2000"), Some(951_782_400));
        assert_eq!(read(b"29-02-1900"), None);
        assert_eq!(read(b"31-04-2001"), None);
        assert_eq!(read(b"00-04-2001"), None);
        for seconds in [0, 1, 951_782_400, -1, 1_256_225_085, 253_402_300_799, -62_167_219_200] {
            assert_eq!(read(text(seconds).as_bytes()), Some(seconds));
        }
        assert_eq!(text(i64::MIN), "PAST");
        assert_eq!(text(i64::MAX), "FUTURE");
    }
}
