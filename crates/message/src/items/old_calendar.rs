//! vCalendar 1.0 (versit, 1996) as iCalendar: quoted-printable and charsets, rules that repeat,
//! alarms, attendees, lists. What cannot be said in the new form is left out and told.

use super::Items;
use super::line::{Line, escaped};
use super::old_card::decoded;

/// The lines of a component in the new form.
pub(super) fn converted(lines: &[Line], all: &mut Items) -> Vec<Line> {
    let mut out: Vec<Line> = Vec::with_capacity(lines.len());
    for line in lines {
        let number = line.number;
        let mut push = |text: String| out.extend(Line::new(number, text));
        let value = decoded(line);
        let name = line.name();
        match name.as_str() {
            "RRULE" | "EXRULE" => match rule(value.trim()) {
                Some(rule) => push(format!("{name}:{rule}")),
                None => {
                    push(format!("X-VCALENDAR-{name}:{}", escaped(&value)));
                    let text =
                        "its rule has no form today: it is kept as a note and does not repeat";
                    all.remark(number, text);
                }
            },
            "DALARM" | "AALARM" | "MALARM" | "PALARM" => match alarm(&value) {
                Some(trigger) => {
                    push("BEGIN:VALARM".to_owned());
                    push(format!("TRIGGER;VALUE=DATE-TIME:{trigger}"));
                    push("ACTION:DISPLAY".to_owned());
                    push("DESCRIPTION:Reminder".to_owned());
                    push("END:VALARM".to_owned());
                }
                None => all.remark(number, "its alarm is left out"),
            },
            "CATEGORIES" | "RESOURCES" => {
                let texts: Vec<String> = value.split(';').map(|one| escaped(one.trim())).collect();
                push(format!("{name}:{}", texts.join(",")));
            }
            "EXDATE" | "RDATE" => {
                push(format!("{name}:{}", value.replace(';', ",").replace(' ', "")))
            }
            "ATTENDEE" => match attendee(&value) {
                Some((person, address)) => {
                    push(format!("ATTENDEE;CN=\"{person}\":mailto:{address}"))
                }
                None => push(format!("X-VCALENDAR-ATTENDEE:{}", escaped(&value))),
            },
            "STATUS" => {
                push(format!("STATUS:{}", value.trim().replace(' ', "-").to_ascii_uppercase()))
            }
            "CLASS" | "TRANSP" | "PRIORITY" | "SEQUENCE" | "UID" | "DTSTART" | "DTEND" | "DUE"
            | "COMPLETED" | "BEGIN" | "END" => push(format!("{name}:{}", value.trim())),
            "DCREATED" => push(format!("CREATED:{}", value.trim())),
            "LAST-MODIFIED" => push(format!("LAST-MODIFIED:{}", value.trim())),
            _ if name.starts_with("X-") => push(format!("{name}:{}", escaped(&value))),
            _ => push(format!("{name}:{}", escaped(&value))),
        }
    }
    out
}

fn attendee(value: &str) -> Option<(String, String)> {
    let (person, rest) = value.split_once('<').unwrap_or(("", value));
    let address = super::calendar::mail_address(rest.trim_end().trim_end_matches('>'))?;
    let person: String = person.chars().filter(|c| !c.is_control() && *c != '"').collect();
    Some((person.trim().to_owned(), address))
}

/// The moment of an alarm, in UTC.
fn alarm(value: &str) -> Option<String> {
    let first = value.split(';').next()?.trim();
    let digits = super::line::digits(first);
    let (day, time) = digits.split_at_checked(8)?;
    (time.len() == 6).then(|| format!("{day}T{time}Z"))
}

/// A rule of the basic grammar (`W2 TU TH #10`) as RFC 5545 writes it.
fn rule(text: &str) -> Option<String> {
    let mut words = text.split_ascii_whitespace();
    let first = words.next()?.to_ascii_uppercase();
    let digits = first.find(|c: char| c.is_ascii_digit())?;
    let (kind, interval) = first.split_at_checked(digits)?;
    let interval: u32 = interval.parse().ok().filter(|n| *n > 0)?;
    let mut operands = Vec::new();
    // Without a word on it, a rule gives two occurrences.
    let mut end = ";COUNT=2".to_owned();
    for word in words {
        if let Some(count) = word.strip_prefix('#') {
            let count: u32 = count.parse().ok()?;
            end = if count == 0 { String::new() } else { format!(";COUNT={count}") };
        } else if word.len() >= 8 && word.contains('T') {
            let plain = word.trim_end_matches('Z');
            let fits = plain.bytes().all(|b| b.is_ascii_digit() || b == b'T');
            end = fits.then(|| format!(";UNTIL={word}"))?;
        } else {
            operands.push(word.to_ascii_uppercase());
        }
    }
    let list = match kind {
        "D" if operands.is_empty() => String::new(),
        "W" => days("BYDAY", &operands)?,
        "MP" => positions(&operands)?,
        "MD" => numbers("BYMONTHDAY", &operands)?,
        "YM" => numbers("BYMONTH", &operands)?,
        "YD" => numbers("BYYEARDAY", &operands)?,
        _ => return None,
    };
    let frequency = match kind {
        "D" => "DAILY",
        "W" => "WEEKLY",
        "MP" | "MD" => "MONTHLY",
        _ => "YEARLY",
    };
    let step = if interval == 1 { String::new() } else { format!(";INTERVAL={interval}") };
    Some(format!("FREQ={frequency}{step}{list}{end}"))
}

fn is_day(word: &str) -> bool {
    ["MO", "TU", "WE", "TH", "FR", "SA", "SU"].contains(&word)
}

fn days(name: &str, operands: &[String]) -> Option<String> {
    if operands.is_empty() {
        return Some(String::new());
    }
    let fits = operands.iter().all(|word| is_day(word));
    fits.then(|| format!(";{name}={}", operands.join(",")))
}

/// `1+ MO TU 1- FR`: the first Monday and Tuesday, the last Friday.
fn positions(operands: &[String]) -> Option<String> {
    let mut position = None;
    let mut all = Vec::new();
    for word in operands {
        if is_day(word) {
            all.push(format!("{}{word}", position?));
        } else {
            position = Some(number(word).filter(|n| (1..=5).contains(&n.abs()))?);
        }
    }
    (!all.is_empty()).then(|| format!(";BYDAY={}", all.join(",")))
}

fn numbers(name: &str, operands: &[String]) -> Option<String> {
    if operands.is_empty() {
        return Some(String::new());
    }
    let all: Option<Vec<String>> = operands
        .iter()
        .map(|word| if word == "LD" { Some(-1) } else { number(word) })
        .map(|n| n.filter(|n| (1..=366).contains(&n.abs())).map(|n| n.to_string()))
        .collect();
    Some(format!(";{name}={}", all?.join(",")))
}

/// `3`, `3+`, `3-`.
fn number(word: &str) -> Option<i32> {
    match word.strip_suffix('-') {
        Some(digits) => digits.parse::<i32>().ok()?.checked_neg(),
        None => word.trim_end_matches('+').parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // MIG-72
    #[test]
    fn mig_72_rules_of_vcalendar_are_written_as_icalendar_writes_them() {
        for (old, new) in [
            ("D1 #10", Some("FREQ=DAILY;COUNT=10")),
            ("D2", Some("FREQ=DAILY;INTERVAL=2;COUNT=2")),
            ("W2 TU TH #0", Some("FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,TH")),
            (
                "MP1 1+ MO 1- FR 19991231T000000Z",
                Some("FREQ=MONTHLY;BYDAY=1MO,-1FR;UNTIL=19991231T000000Z"),
            ),
            ("MD1 2 15 LD #5", Some("FREQ=MONTHLY;BYMONTHDAY=2,15,-1;COUNT=5")),
            ("YM1 6 7 #3", Some("FREQ=YEARLY;BYMONTH=6,7;COUNT=3")),
            ("YD1 1 100 #3", Some("FREQ=YEARLY;BYYEARDAY=1,100;COUNT=3")),
            ("W1 1200 #3", None),
            ("M5 #100", None),
            ("MP1 MO", None),
            ("D99999999999", None),
            ("", None),
        ] {
            assert_eq!(rule(old).as_deref(), new, "{old}");
        }
    }
}
