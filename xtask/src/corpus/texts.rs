//! Words, names and their forms on the wire: transfer encodings, encoded words, dates.
//!
//! It must never know how a message is put together.

use super::random::Random;

/// People as they stand in address fields: display name and local part.
const PEOPLE: [(&str, &str); 14] = [
    ("Anna Berg", "anna.berg"),
    ("Jörg Müller", "joerg"),
    ("Chloé Lefèvre", "chloe"),
    ("Дмитрий Иванов", "dmitri"),
    ("田中 宏", "tanaka"),
    ("O'Neill, Mary", "mary.oneill"),
    ("Łukasz Kowalski", "lukasz+mail"),
    ("Robert", "bob"),
    ("İnci Öztürk", "inci"),
    ("Support (2nd level)", "support"),
    ("Newsletter \"Weekly\"", "news"),
    ("Søren", "soren"),
    ("van der Berg, P.", "pvdb"),
    ("", "postmaster"),
];

const HOSTS: [&str; 6] = [
    "example.com",
    "mail.example.com",
    "example.org",
    "corp.example.net",
    "lists.example.org",
    "xn--mnchen-3ya.example",
];

const LATIN: &[&str] = &[
    "the",
    "offer",
    "meeting",
    "Größe",
    "server",
    "moved",
    "please",
    "façade",
    "tomorrow",
    "and",
    "invoice",
    "before",
    "señor",
    "report",
    "attached",
    "mailbox",
    "every",
    "Übersicht",
    "we",
    "quarter",
    "with",
    "naïve",
    "budget",
    "for",
    "to",
    "of",
    "review",
    "draft",
    "plan",
    "travel",
];

const CYRILLIC: &[&str] = &[
    "договор",
    "счёт",
    "встреча",
    "завтра",
    "проект",
    "и",
    "письмо",
    "оплата",
    "отчёт",
    "срок",
    "почта",
    "сервер",
    "после",
    "нашей",
];

const JAPANESE: &[&str] = &[
    "会議",
    "の",
    "資料",
    "を",
    "送ります",
    "東京",
    "来週",
    "見積書",
    "確認",
    "お願いします",
    "です",
];

/// In which words a message is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tongue {
    /// Mostly ASCII with some Latin-1 letters.
    Latin,
    /// Russian.
    Cyrillic,
    /// Japanese.
    Japanese,
}

impl Tongue {
    fn words(self) -> (&'static [&'static str], &'static str) {
        match self {
            Tongue::Latin => (LATIN, " "),
            Tongue::Cyrillic => (CYRILLIC, " "),
            Tongue::Japanese => (JAPANESE, ""),
        }
    }

    /// A few words, as in a subject.
    pub(crate) fn phrase(self, random: &mut Random, words: usize) -> String {
        let (list, gap) = self.words();
        (0..words).map(|_| random.pick(list)).collect::<Vec<_>>().join(gap)
    }

    /// Paragraphs of about so many octets, lines ended by CRLF and below 80 octets.
    pub(crate) fn text(self, random: &mut Random, octets: usize) -> String {
        let (list, gap) = self.words();
        let mut text = String::with_capacity(octets + 100);
        let mut line = String::new();
        while text.len() < octets {
            let word = random.pick(list);
            if line.len() + word.len() > 70 {
                text.push_str(&line);
                text.push_str("\r\n");
                line.clear();
                if random.percent(12) {
                    text.push_str("\r\n");
                }
            }
            if !line.is_empty() {
                line.push_str(gap);
            }
            line.push_str(word);
        }
        text.push_str(&line);
        text.push_str("\r\n");
        text
    }
}

/// An address with its display name in one of the forms people send.
pub(crate) fn address(random: &mut Random) -> String {
    let (name, local) = random.pick(&PEOPLE);
    let address = format!("{local}@{}", random.pick(&HOSTS));
    if name.is_empty() || random.percent(15) {
        return address;
    }
    if !name.is_ascii() {
        return format!("{} <{address}>", encoded_words(name, random.percent(50)));
    }
    if name.contains(['(', ',', '"', '.']) {
        return format!("\"{}\" <{address}>", name.replace('"', "\\\""));
    }
    if random.percent(10) {
        return format!("{address} ({name})");
    }
    format!("{name} <{address}>")
}

/// A host name.
pub(crate) fn host(random: &mut Random) -> &'static str {
    random.pick(&HOSTS)
}

/// Text as encoded words (base64 or Q form), folded.
pub(crate) fn encoded_words(text: &str, base: bool) -> String {
    let mut words = Vec::new();
    let mut piece = String::new();
    for c in text.chars().map(Some).chain([None]) {
        let full = c.is_none_or(|c| piece.len() + c.len_utf8() > 15);
        if full && !piece.is_empty() {
            words.push(if base {
                format!("=?utf-8?B?{}?=", base64(piece.as_bytes()))
            } else {
                let coded: String = piece.bytes().map(|b| format!("={b:02X}")).collect();
                format!("=?UTF-8?Q?{coded}?=")
            });
            piece.clear();
        }
        piece.extend(c);
    }
    words.join("\r\n ")
}

/// A header text: as it is when ASCII, else encoded.
pub(crate) fn header_text(text: &str, random: &mut Random) -> String {
    if text.is_ascii() { text.to_owned() } else { encoded_words(text, random.percent(60)) }
}

/// Base64 without line ends.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let at = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for place in 0..4 {
            if place <= group.len() {
                out.push(char::from(ALPHABET[(bits >> (18 - 6 * place) & 63) as usize]));
            } else {
                out.push('=');
            }
        }
    }
    out
}

/// Base64 in lines of 76.
pub(crate) fn base64_lines(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 4 / 3 + bytes.len() / 50 + 8);
    for line in bytes.chunks(57) {
        out.push_str(&base64(line));
        out.push_str("\r\n");
    }
    out
}

/// Quoted-printable of text with CRLF line ends.
pub(crate) fn quoted_printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for line in text.split_inclusive("\r\n") {
        let body = line.strip_suffix("\r\n").unwrap_or(line);
        let mut column = 0;
        for byte in body.bytes() {
            let plain = matches!(byte, b' '..=b'~') && byte != b'=';
            let width = if plain { 1 } else { 3 };
            if column + width > 75 {
                out.push_str("=\r\n");
                column = 0;
            }
            if plain {
                out.push(char::from(byte));
            } else {
                out.push_str(&format!("={byte:02X}"));
            }
            column += width;
        }
        out.push_str("\r\n");
    }
    out
}

/// Latin-1 octets of a text; other characters become `?`.
pub(crate) fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect()
}

struct Calendar {
    year: i64,
    month: &'static str,
    day: i64,
    week_day: &'static str,
    clock: String,
}

fn calendar(seconds: i64) -> Calendar {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let days = seconds.div_euclid(86_400);
    let clock = seconds.rem_euclid(86_400);
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let (mut year, mut rest) = (1970, days.max(0));
    while rest >= 365 + i64::from(leap(year)) {
        rest -= 365 + i64::from(leap(year));
        year += 1;
    }
    let mut month = 0;
    let length = |month: usize, year: i64| match month {
        1 => 28 + i64::from(leap(year)),
        3 | 5 | 8 | 10 => 30,
        _ => 31,
    };
    while rest >= length(month, year) {
        rest -= length(month, year);
        month += 1;
    }
    Calendar {
        year,
        month: MONTHS[month],
        day: rest + 1,
        week_day: DAYS[(days.rem_euclid(7)) as usize],
        clock: format!("{:02}:{:02}:{:02}", clock / 3600, clock / 60 % 60, clock % 60),
    }
}

/// The Date field of a moment in a zone of so many hours east.
pub(crate) fn field_date(seconds: i64, zone_hours: i64) -> String {
    let c = calendar(seconds + zone_hours * 3600);
    let sign = if zone_hours < 0 { '-' } else { '+' };
    format!(
        "{}, {} {} {} {} {sign}{:02}00",
        c.week_day,
        c.day,
        c.month,
        c.year,
        c.clock,
        zone_hours.abs()
    )
}

/// The IMAP date-time of a moment, in UTC, without quotes.
pub(crate) fn imap_date(seconds: i64) -> String {
    let c = calendar(seconds);
    format!("{:02}-{}-{} {} +0000", c.day, c.month, c.year, c.clock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(imap_date(1_227_375_762), "22-Nov-2008 17:42:42 +0000");
        assert_eq!(field_date(1_227_375_762, -5), "Sat, 22 Nov 2008 12:42:42 -0500");
        assert_eq!(imap_date(951_782_400), "29-Feb-2000 00:00:00 +0000");
    }

    #[test]
    fn encodings_are_the_standard_ones() {
        assert_eq!(base64(b"hello"), "aGVsbG8=");
        assert_eq!(base64(b"hell"), "aGVsbA==");
        assert_eq!(quoted_printable("a=é\r\n"), "a=3D=C3=A9\r\n");
        assert_eq!(encoded_words("é", true), "=?utf-8?B?w6k=?=");
    }
}
