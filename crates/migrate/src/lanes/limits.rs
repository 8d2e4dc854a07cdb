//! Limits over time: a rate in octets a second and a day's budget. Shared by all lanes of a run.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::error::{MoveError, Result};

/// Seconds of a day, which begins at midnight UTC.
const DAY: u64 = 86_400;

/// A rate in octets a second, kept over all connections that share it.
#[derive(Debug)]
pub struct Rate {
    per_second: u64,
    free_at: Mutex<Option<Instant>>,
}

impl Rate {
    /// A rate of so many octets a second (at least 1).
    #[must_use]
    pub fn new(per_second: u64) -> Self {
        Self { per_second: per_second.max(1), free_at: Mutex::new(None) }
    }

    /// Waits until so many octets more are within the rate.
    pub(crate) async fn take(&self, octets: u64) {
        let until = self.reserve(octets, Instant::now());
        tokio::time::sleep_until(until).await;
    }

    /// When octets asked for now may pass: those before them are over by then.
    fn reserve(&self, octets: u64, now: Instant) -> Instant {
        let micros = u128::from(octets) * 1_000_000 / u128::from(self.per_second);
        let cost = Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX).min(1 << 40));
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        let from = free_at.map_or(now, |at| at.max(now));
        *free_at = Some(from + cost);
        from
    }
}

/// A number of octets that may be read in one day (UTC). What was read is kept in a file, so that
/// runs of one day share it; it is written before the octets are asked for.
#[derive(Debug)]
pub struct Daily {
    most: u64,
    file: Option<PathBuf>,
    /// Sleep until the next day instead of ending the run.
    wait: bool,
    used: Mutex<Used>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Used {
    day: u64,
    octets: u64,
    /// What the file says, in steps: it may say more than was read.
    written: u64,
}

impl Daily {
    /// A budget; `file` keeps it over several runs.
    ///
    /// # Errors
    /// `File` if the file is there and cannot be read or is another one.
    pub fn open(most: u64, file: Option<PathBuf>, wait: bool) -> Result<Self> {
        let used = match &file {
            Some(path) => read(path)?,
            None => Used::default(),
        };
        Ok(Self { most, file, wait, used: Mutex::new(used) })
    }

    /// Takes octets from the day's budget. A day takes at least one message, of whatever size.
    ///
    /// # Errors
    /// `Parked` when the day's budget is used up, `File` when that cannot be noted.
    pub(crate) async fn take(&self, octets: u64) -> Result<()> {
        loop {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            if self.try_take(octets, now / DAY)? {
                return Ok(());
            }
            let next = (now / DAY + 1) * DAY;
            if !self.wait {
                return Err(MoveError::Parked {
                    until: next,
                    reason: format!("the day's budget of {} octets is used up", self.most),
                });
            }
            tokio::time::sleep(Duration::from_secs((next - now).min(600))).await;
        }
    }

    fn try_take(&self, octets: u64, day: u64) -> Result<bool> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.day != day {
            *used = Used { day, octets: 0, written: 0 };
        }
        let after = used.octets.saturating_add(octets);
        if after > self.most && used.octets > 0 {
            return Ok(false);
        }
        if after > used.written {
            // Ahead by a step: the file is not written for every command, and a run that is
            // killed has noted too much rather than too little.
            used.written =
                after.saturating_add((self.most / 100).min(1 << 20)).min(self.most).max(after);
            if let Some(path) = &self.file {
                write(path, day, used.written)?;
            }
        }
        used.octets = after;
        Ok(true)
    }
}

impl Drop for Daily {
    fn drop(&mut self) {
        let used = *self.used.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = &self.file
            && used.octets < used.written
        {
            let _ = write(path, used.day, used.octets);
        }
    }
}

const FIRST_WORD: &str = "angarium-daily";

fn read(path: &Path) -> Result<Used> {
    let wrong = |reason: String| MoveError::File { path: path.display().to_string(), reason };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Used::default()),
        Err(e) => return Err(wrong(e.to_string())),
    };
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    match words.as_slice() {
        [FIRST_WORD, day, octets] => {
            let (Ok(day), Ok(octets)) = (day.parse(), octets.parse()) else {
                return Err(wrong("this is not a day's account of a move".into()));
            };
            Ok(Used { day, octets, written: octets })
        }
        _ => Err(wrong("this is not a day's account of a move".into())),
    }
}

fn write(path: &Path, day: u64, octets: u64) -> Result<()> {
    let wrong = |e: std::io::Error| MoveError::File {
        path: path.display().to_string(),
        reason: e.to_string(),
    };
    let beside = path.with_extension("daily-new");
    let mut file = std::fs::File::create(&beside).map_err(wrong)?;
    file.write_all(format!("{FIRST_WORD} {day} {octets}\n").as_bytes()).map_err(wrong)?;
    std::fs::rename(&beside, path).map_err(wrong)
}

/// A moment in words: `2026-11-23 00:00:00 UTC`.
pub(crate) fn moment(seconds: u64) -> String {
    let (days, of_day) = (seconds / DAY, seconds % DAY);
    // Days to a date by the calendar of 400 years, which begins on 1 March.
    let days = days.saturating_add(719_468);
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_people_write_them() {
        assert_eq!(moment(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(moment(951_782_400), "2000-02-29 00:00:00 UTC");
        assert_eq!(moment(1_795_391_999), "2026-11-22 23:59:59 UTC");
    }

    #[test]
    fn a_rate_lets_octets_pass_one_after_the_other() {
        let rate = Rate::new(1_000);
        let now = Instant::now();
        assert_eq!(rate.reserve(500, now), now);
        assert_eq!(rate.reserve(1_000, now), now + Duration::from_millis(500));
        assert_eq!(rate.reserve(1, now), now + Duration::from_millis(1_500));
        let later = now + Duration::from_secs(9);
        assert_eq!(rate.reserve(1, later), later);
        assert!(Rate::new(0).reserve(u64::MAX, now) >= now);
    }

    #[test]
    fn a_day_has_its_budget_and_the_next_run_knows_what_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("account.daily");
        let daily = Daily::open(1_000, Some(path.clone()), false).unwrap();
        assert!(daily.try_take(600, 5).unwrap());
        assert!(!daily.try_take(600, 5).unwrap());
        assert!(daily.try_take(400, 5).unwrap());
        drop(daily);
        let daily = Daily::open(1_000, Some(path.clone()), false).unwrap();
        assert!(!daily.try_take(1, 5).unwrap());
        // A new day, and a message larger than a day's budget still comes across.
        assert!(daily.try_take(5_000, 6).unwrap());
        assert!(!daily.try_take(1, 6).unwrap());
        drop(daily);
        std::fs::write(&path, "Dear postmaster").unwrap();
        assert!(Daily::open(1, Some(path), false).is_err());
    }

    #[test]
    fn a_run_that_is_killed_has_noted_all_it_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("account.daily");
        let daily = Daily::open(1_000_000, Some(path.clone()), false).unwrap();
        assert!(daily.try_take(600, 5).unwrap());
        assert!(read(&path).unwrap().octets >= 600);
        std::mem::forget(daily);
        assert!(read(&path).unwrap().octets >= 600);
    }
}
