//! `angarium queue`: the queue as a table, watched, and what an administrator does with it.

use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use angarium_accounts::{Dictionary, Value};
use angarium_objects::text;

use super::directory;
use super::output::{put, show};
use crate::administration::{Administrator, Answer};
use crate::arguments::{Base, QueueAction};
use crate::json;

/// Seconds between two looks at the queue, at least.
const FASTEST: u64 = 1;

/// Runs the command.
pub(super) fn run(base: &Base, action: Option<QueueAction>) -> io::Result<u8> {
    let mut to = Administrator::reach(&directory(base)?)?;
    match action {
        None => queues(&mut to, base),
        Some(QueueAction::Watch { every }) => watch(&mut to, base, every.max(FASTEST)),
        Some(QueueAction::List { queue }) => messages(&mut to, base, queue.as_deref()),
        Some(QueueAction::Show { id }) => one(&mut to, base, id),
        Some(QueueAction::Hold { id }) => {
            let answer = ask(&mut to, &["HOLD", &id.to_string()])?;
            Ok(show(base, answer, "held"))
        }
        Some(QueueAction::Release { what }) => release(&mut to, base, &what),
        Some(QueueAction::Reject { id, text, silent }) => {
            let id = id.to_string();
            let answer = match (&text, silent) {
                (Some(text), _) => ask(&mut to, &["REJECT", &id, "TEXT", text])?,
                (None, true) => ask(&mut to, &["REJECT", &id, "SILENT"])?,
                (None, false) => ask(&mut to, &["REJECT", &id])?,
            };
            Ok(show(base, answer, "rejected"))
        }
        Some(QueueAction::Redirect { id, address }) => {
            let answer = ask(&mut to, &["REDIRECT", &id.to_string(), &address])?;
            if !base.json
                && let Answer::Done(Some(Value::String(new))) = &answer
            {
                put(&format!("goes to {address} as message {new}"));
                return Ok(0);
            }
            Ok(show(base, answer, ""))
        }
    }
}

/// Says words to the queue of the server.
fn ask(to: &mut Administrator, words: &[&str]) -> io::Result<Answer> {
    let words = words.iter().map(|word| Value::from(*word)).collect();
    to.execute(&format!("QUEUE {}", text::line_text(&Value::Array(words))))
}

/// A whole list, read page by page; `after` makes the words of the next page out of the last row.
fn pages(
    to: &mut Administrator,
    first: Vec<String>,
    after: impl Fn(&Dictionary) -> Vec<String>,
) -> io::Result<Result<Vec<Dictionary>, Answer>> {
    let mut all: Vec<Dictionary> = Vec::new();
    let mut words = first;
    loop {
        let refs: Vec<&str> = words.iter().map(String::as_str).collect();
        match ask(to, &refs)? {
            Answer::Done(Some(Value::Array(rows))) => {
                let before = all.len();
                all.extend(rows.into_iter().filter_map(|row| match row {
                    Value::Dictionary(row) => Some(row),
                    _ => None,
                }));
                match all.last().filter(|_| all.len() > before) {
                    Some(last) => words = after(last),
                    None => return Ok(Ok(all)),
                }
            }
            other => return Ok(Err(other)),
        }
    }
}

fn cell(row: &Dictionary, key: &str) -> String {
    match row.get(key) {
        Some(Value::String(text)) => text.chars().filter(|c| !c.is_control()).collect(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

fn number(row: &Dictionary, key: &str) -> Option<i64> {
    row.get(key).and_then(Value::as_number)
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// A span of time, in one unit.
fn span(seconds: i64) -> String {
    match seconds {
        s if s < 60 => format!("{s}s"),
        s if s < 7200 => format!("{}m", s / 60),
        s if s < 2 * 86_400 => format!("{}h", s / 3600),
        s => format!("{}d", s / 86_400),
    }
}

/// A size, in one unit.
fn size(octets: i64) -> String {
    match octets {
        n if n < 10_000 => n.to_string(),
        n if n < 10_000 * 1024 => format!("{}K", n / 1024),
        n => format!("{}M", n / 1024 / 1024),
    }
}

fn short(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

fn read_queues(to: &mut Administrator) -> io::Result<Result<Vec<Dictionary>, Answer>> {
    pages(to, vec!["QUEUES".to_owned()], |last| {
        vec!["QUEUES".to_owned(), cell(last, "module"), cell(last, "queue")]
    })
}

/// The table of queues; an empty one says so.
fn table(rows: &[Dictionary], now: i64) -> Vec<String> {
    let line = |cells: [&str; 7]| {
        let [name, messages, room, oldest, next, state, error] = cells;
        let text = format!(
            "{:<38} {messages:>8} {room:>7} {oldest:>6} {next:>6}  {state:<9} {}",
            short(name, 38),
            short(error, 60)
        );
        text.trim_end().to_owned()
    };
    let mut lines =
        vec![line(["Queue", "Messages", "Size", "Oldest", "Next", "State", "Last error"])];
    let (mut messages, mut octets) = (0, 0);
    for row in rows {
        let name = match (cell(row, "module").as_str(), cell(row, "queue")) {
            ("SMTP", queue) => queue,
            (module, queue) => format!("{module}/{queue}"),
        };
        let count = number(row, "messages").unwrap_or(0);
        let room = number(row, "size").unwrap_or(0);
        (messages, octets) = (messages + count, octets + room);
        let next = number(row, "nextTry").map(|at| at.saturating_sub(now));
        let state = match (cell(row, "held").as_str(), number(row, "running"), next) {
            ("YES", ..) => "held",
            (_, Some(1..), _) => "sending",
            (_, _, Some(1..)) => "waits",
            (_, _, Some(_)) => "due",
            (_, _, None) => "held",
        };
        let next = next.filter(|next| *next > 0).map(span).unwrap_or_default();
        let oldest = span(now.saturating_sub(number(row, "oldest").unwrap_or(now)).max(0));
        let (count, room) = (count.to_string(), size(room));
        lines.push(line([&name, &count, &room, &oldest, &next, state, &cell(row, "lastError")]));
    }
    let queues = rows.len();
    lines.push(format!("{queues} queues, {messages} messages, {}", size(octets)));
    lines
}

fn queues(to: &mut Administrator, base: &Base) -> io::Result<u8> {
    let rows = match read_queues(to)? {
        Ok(rows) => rows,
        Err(answer) => return Ok(show(base, answer, "")),
    };
    if base.json {
        let rows = Value::Array(rows.into_iter().map(Value::Dictionary).collect());
        put(&serde_json::json!({ "ok": true, "value": json::of(&rows) }).to_string());
    } else {
        table(&rows, now()).iter().for_each(|line| put(line));
    }
    Ok(0)
}

/// Shows the table again and again; with `--json` one line for each look.
fn watch(to: &mut Administrator, base: &Base, every: u64) -> io::Result<u8> {
    loop {
        if !base.json {
            // To the upper left, and away with what was there.
            write!(io::stdout().lock(), "\x1b[H\x1b[2J")?;
        }
        let code = queues(to, base)?;
        if code != 0 {
            return Ok(code);
        }
        std::thread::sleep(Duration::from_secs(every));
    }
}

fn messages(to: &mut Administrator, base: &Base, queue: Option<&str>) -> io::Result<u8> {
    let of: Vec<String> = match queue {
        None => Vec::new(),
        Some(queue) => match queue.split_once('/') {
            Some((module, queue)) => vec![module.to_ascii_uppercase(), queue.to_owned()],
            None => vec!["SMTP".to_owned(), queue.to_ascii_lowercase()],
        },
    };
    let words = |after: String| {
        let mut words = vec!["MESSAGES".to_owned(), after];
        words.extend(of.iter().cloned());
        words
    };
    let rows = match pages(to, words("0".to_owned()), |last| words(cell(last, "id")))? {
        Ok(rows) => rows,
        Err(answer) => return Ok(show(base, answer, "")),
    };
    if base.json {
        let rows = Value::Array(rows.into_iter().map(Value::Dictionary).collect());
        put(&serde_json::json!({ "ok": true, "value": json::of(&rows) }).to_string());
        return Ok(0);
    }
    put(&format!("{:<14} {:>7} {:>6} {:>10}  From", "Message", "Size", "Age", "Recipients"));
    for row in &rows {
        let age = span(now().saturating_sub(number(row, "accepted").unwrap_or(0)).max(0));
        let waiting = format!("{}/{}", cell(row, "waiting"), cell(row, "recipients"));
        put(&format!(
            "{:<14} {:>7} {age:>6} {waiting:>10}  <{}>",
            cell(row, "id"),
            size(number(row, "size").unwrap_or(0)),
            short(&cell(row, "from"), 60)
        ));
    }
    put(&format!("{} messages", rows.len()));
    Ok(0)
}

fn one(to: &mut Administrator, base: &Base, id: u64) -> io::Result<u8> {
    let answer = ask(to, &["SHOW", &id.to_string()])?;
    let Answer::Done(Some(Value::Dictionary(row))) = &answer else {
        return Ok(show(base, answer, ""));
    };
    if base.json {
        return Ok(show(base, answer, ""));
    }
    let age = span(now().saturating_sub(number(row, "accepted").unwrap_or(0)).max(0));
    put(&format!("Message {} from <{}>", cell(row, "id"), cell(row, "from")));
    put(&format!("  {} octets, accepted {age} ago", cell(row, "size")));
    if let Some(facts) = row.get("facts").and_then(Value::as_dictionary) {
        for (key, value) in facts {
            put(&format!("  {key}: {}", text::line_text(value)));
        }
    }
    let Some(Value::Array(recipients)) = row.get("to") else { return Ok(0) };
    for recipient in recipients.iter().filter_map(Value::as_dictionary) {
        let next = number(recipient, "nextTry").map(|at| at.saturating_sub(now()));
        let next = match next {
            Some(next) if next > 0 => format!(", next try in {}", span(next)),
            _ => String::new(),
        };
        put(&format!(
            "  <{}> {}({}) {}{next}",
            cell(recipient, "address"),
            cell(recipient, "module"),
            cell(recipient, "queue"),
            cell(recipient, "state")
        ));
        let error = cell(recipient, "lastError");
        if !error.is_empty() {
            put(&format!("      {error}"));
        }
    }
    Ok(0)
}

fn release(to: &mut Administrator, base: &Base, what: &str) -> io::Result<u8> {
    if what.bytes().all(|b| b.is_ascii_digit()) {
        let answer = ask(to, &["RELEASE", what])?;
        return Ok(show(base, answer, "released"));
    }
    let answer = ask(to, &["RELEASEQUEUE", what])?;
    if !base.json
        && let Answer::Done(Some(Value::Dictionary(row))) = &answer
    {
        put(&format!("released, {} messages", cell(row, "messages")));
        return Ok(0);
    }
    Ok(show(base, answer, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_queues_is_readable() {
        let row = |queue: &str, next: Option<i64>, held: &str| {
            let mut row = Dictionary::from([
                ("module".to_owned(), Value::from("SMTP")),
                ("queue".to_owned(), queue.into()),
                ("messages".to_owned(), Value::Number(3)),
                ("size".to_owned(), Value::Number(20_480)),
                ("oldest".to_owned(), Value::Number(1_000)),
                ("held".to_owned(), held.into()),
                ("lastError".to_owned(), "no answer".into()),
            ]);
            row.extend(next.map(|next| ("nextTry".to_owned(), Value::Number(next))));
            row
        };
        let rows = [row("a.example", Some(1_900), "NO"), row("b.example", None, "YES")];
        let lines = table(&rows, 1_300);
        assert!(lines[1].starts_with("a.example") && lines[1].ends_with("no answer"), "{lines:?}");
        assert!(lines[1].contains("20K") && lines[1].contains("5m    10m  waits"), "{lines:?}");
        assert!(lines[2].contains("held"), "{lines:?}");
        assert_eq!(lines[3], "2 queues, 6 messages, 40K");
    }
}
