//! The line that begins a message in a text mailbox: `From `, the sender, the fields the old server
//! adds, the date in every shape that is met (`reference/mailboxes.md` section 3.1).

use super::Marks;
use crate::date::{self, Moment};

/// Longest line that can be a separator, octets without its end.
const LONGEST: usize = 2048;
/// Longest sender written, octets.
const SENDER_MAX: usize = 256;
/// Words that may stand between `From ` and the day of the week.
const WORDS_BEFORE_DATE: usize = 4;
/// Octets behind the flags: `-UUUUUUUU-OOOOOOOO)`.
const TAIL: usize = 19;

/// What the old server keeps of a message in its separator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields {
    /// The flags.
    pub marks: Marks,
    /// The UID, never 0.
    pub uid: u32,
    /// The UID first given to the message, 0 for none.
    pub original_uid: u32,
    /// Where the flags stand in the line, when all positions are written, so that they can be
    /// changed in place.
    pub flags_at: Option<usize>,
}

/// A separator line that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Separator {
    /// The return path as written, without `<>`.
    pub sender: Vec<u8>,
    /// When the message arrived; UTC where no zone is written.
    pub date: Moment,
    /// The added fields; none in files of other programs.
    pub fields: Option<Fields>,
}

impl Separator {
    /// Reads a line, with or without its end. Nothing for a line that is no separator: one without
    /// a date is text.
    #[must_use]
    pub fn parse(line: &[u8]) -> Option<Self> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let rest = line.strip_prefix(b"From ").filter(|_| line.len() <= LONGEST)?;
        let end = rest.iter().position(|b| *b == b' ').unwrap_or(rest.len());
        let (token, after) = rest.split_at(end);
        let (sender, fields) = match fields(token) {
            Some((sender, mut fields)) => {
                fields.flags_at = fields.flags_at.map(|at| at + b"From ".len());
                (sender, Some(fields))
            }
            None => (token, None),
        };
        let date = found_date(if fields.is_some() { after } else { rest })?;
        let bare = sender.strip_prefix(b"<").and_then(|s| s.strip_suffix(b">"));
        let sender = if is_week_day(token) { &[][..] } else { bare.unwrap_or(sender) };
        Some(Self { sender: sender.to_vec(), date, fields })
    }

    /// The line in the old server's own form, with its end. The date is written in UTC.
    #[must_use]
    pub fn line(sender: &[u8], marks: Marks, uid: u32, original_uid: u32, seconds: i64) -> Vec<u8> {
        let mut line = b"From <".to_vec();
        line.extend(sender.iter().take(SENDER_MAX).map(|b| match b {
            b' ' | b'<' | b'>' | b'(' | b')' => b'_',
            b if b.is_ascii_control() => b'_',
            b => *b,
        }));
        line.extend_from_slice(b">(");
        line.extend_from_slice(&marks.letters());
        line.extend_from_slice(format!("-{uid:08X}-{original_uid:08X}) ").as_bytes());
        line.extend_from_slice(asctime(seconds).as_bytes());
        line.push(b'\n');
        line
    }
}

/// `Tue Mar  7 10:15:00 2006`, always 24 octets, UTC.
#[must_use]
pub fn asctime(seconds: i64) -> String {
    // 0001-01-01 to 9999-12-31: what four digits can say.
    let moment = Moment::utc(seconds.clamp(-62_135_596_800, 253_402_300_799));
    // `Sat, 22 Nov 2008 19:42:42 +0000`
    let text = date::format(moment);
    let mut words = text.split([' ', ',']).filter(|word| !word.is_empty());
    let mut word = || words.next().unwrap_or_default();
    let (week_day, day, month, year, clock) = (word(), word(), word(), word(), word());
    format!("{week_day} {month} {:>2} {clock} {year}", day.trim_start_matches('0'))
}

/// The sender and the fields of `<sender>(flags-uid-ouid)`.
fn fields(token: &[u8]) -> Option<(&[u8], Fields)> {
    let open = memchr::memrchr(b'(', token)?;
    let (sender, inner) = token.split_at(open);
    let inner = inner.get(1..)?;
    let cut = inner.len().checked_sub(TAIL)?;
    let (flags, tail) = inner.split_at(cut);
    let (uid, original) = match tail {
        [b'-', uid @ .., b')'] if uid.get(8) == Some(&b'-') => (uid.get(..8)?, uid.get(9..)?),
        _ => return None,
    };
    let (uid, original_uid) = (hex(uid)?, hex(original)?);
    if uid == 0 || uid == u32::MAX {
        return None;
    }
    let marks = Marks::of_letters(flags)?;
    let flags_at = (flags == marks.letters()).then_some(open + 1);
    Some((sender, Fields { marks, uid, original_uid, flags_at }))
}

/// Eight upper-case or lower-case hexadecimal digits.
pub(super) fn hex(text: &[u8]) -> Option<u32> {
    if text.len() != 8 || !text.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u32::from_str_radix(std::str::from_utf8(text).ok()?, 16).ok()
}

fn is_week_day(word: &[u8]) -> bool {
    const DAYS: [&[u8]; 7] = [b"Sun", b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat"];
    let word = word.strip_suffix(b",").unwrap_or(word);
    DAYS.contains(&word)
}

/// The date in what follows the sender: from the day of the week on, in whatever order month, day,
/// time, year and zone stand; text behind it does not count.
fn found_date(rest: &[u8]) -> Option<Moment> {
    let words: Vec<&[u8]> =
        rest.split(|b| *b == b' ').filter(|word| !word.is_empty()).take(16).collect();
    let day = words.iter().take(WORDS_BEFORE_DATE + 1).position(|word| is_week_day(word))?;
    let (mut month, mut number, mut clock, mut year, mut zone) = (None, None, None, None, None);
    for word in words.get(day + 1..)?.iter().take(7) {
        let digits = word.iter().all(u8::is_ascii_digit);
        if month.is_none() && word.len() == 3 && is_month(word) {
            month = Some(*word);
        } else if digits && word.len() <= 2 && number.is_none() {
            number = Some(*word);
        } else if is_clock(word) && clock.is_none() {
            clock = Some(*word);
        } else if digits && word.len() == 4 && year.is_none() {
            year = Some(*word);
        } else if zone.is_none() && is_zone(word) {
            zone = Some(*word);
        } else {
            break;
        }
    }
    let mut text = Vec::new();
    for part in [number?, month?, year?, clock?] {
        text.extend_from_slice(part);
        text.push(b' ');
    }
    text.extend_from_slice(zone.unwrap_or(b"+0000"));
    date::parse(&text)
}

fn is_month(word: &[u8]) -> bool {
    const MONTHS: &[u8] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    MONTHS.chunks(3).any(|month| month == word)
}

/// `10:15` or `10:15:00`.
fn is_clock(word: &[u8]) -> bool {
    let parts = word.split(|b| *b == b':');
    let fine =
        parts.clone().all(|p| (1..=2).contains(&p.len()) && p.iter().all(u8::is_ascii_digit));
    fine && (2..=3).contains(&parts.count())
}

/// `+0100`, `-05:00`, `EST`, `DST`.
fn is_zone(word: &[u8]) -> bool {
    match word {
        [b'+' | b'-', rest @ ..] => {
            (4..=5).contains(&rest.len()) && rest.iter().all(|b| b.is_ascii_digit() || *b == b':')
        }
        _ => (2..=5).contains(&word.len()) && word.iter().all(u8::is_ascii_uppercase),
    }
}
