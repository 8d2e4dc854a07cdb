//! Banned lines: messages with a header line or a body line of this form are refused
//! (`GetBanned`, `SetBanned`). `*` in a line stands for any text; case does not count; a header
//! line is compared unfolded.
//!
//! The work is bounded: so many lines of the list, so many octets of the message.

use angarium_objects::value::{Dictionary, Value};

use super::names::glob;

/// Key of the header lines.
pub const HEADER_LINES: &str = "HeaderLines";
/// Key of the body lines.
pub const BODY_LINES: &str = "BodyLines";

/// Most lines of each list.
pub const MAX_LINES: usize = 500;
/// Longest line of a list, in octets.
pub const MAX_LINE: usize = 512;
/// Octets of a header that are looked at.
const HEADER_LOOKED: usize = 128 * 1024;
/// Octets of a body that are looked at.
const BODY_LOOKED: usize = 64 * 1024;
/// Octets of one line of a message that are looked at.
const LINE_LOOKED: usize = 2_000;

/// The lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Banned {
    header: Vec<String>,
    body: Vec<String>,
}

impl Banned {
    /// Reads the lists out of their dictionary.
    ///
    /// # Errors
    /// What is wrong, for people.
    pub fn read(all: &Dictionary) -> Result<Self, String> {
        let list = |key: &str| -> Result<Vec<String>, String> {
            let lines = match all.get(key) {
                None | Some(Value::Null) => return Ok(Vec::new()),
                Some(Value::String(text)) => text.lines().map(str::to_owned).collect::<Vec<_>>(),
                Some(Value::Array(lines)) => lines
                    .iter()
                    .map(|line| line.as_str().map(str::to_owned))
                    .collect::<Option<Vec<_>>>()
                    .ok_or_else(|| format!("{key} is an array of strings"))?,
                Some(_) => return Err(format!("{key} is an array of strings")),
            };
            let lines: Vec<String> = lines
                .iter()
                .map(|line| line.trim().to_lowercase())
                .filter(|line| !line.is_empty())
                .collect();
            if lines.len() > MAX_LINES || lines.iter().any(|line| line.len() > MAX_LINE) {
                return Err(format!(
                    "{key} takes {MAX_LINES} lines of at most {MAX_LINE} octets each"
                ));
            }
            if let Some(all) = lines.iter().find(|line| line.bytes().all(|b| b == b'*')) {
                return Err(format!("{key}: the line {all} would refuse all mail"));
            }
            Ok(lines)
        };
        Ok(Self { header: list(HEADER_LINES)?, body: list(BODY_LINES)? })
    }

    /// True when nothing is banned.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.header.is_empty() && self.body.is_empty()
    }

    /// The entry that refuses a message, given with CRLF line ends.
    #[must_use]
    pub fn find(&self, message: &[u8]) -> Option<&str> {
        let end = message.windows(4).position(|w| w == b"\r\n\r\n");
        let (header, body) = match end {
            Some(at) => (
                message.get(..at).unwrap_or_default(),
                message.get(at.saturating_add(4)..).unwrap_or_default(),
            ),
            None => (message, &b""[..]),
        };
        if !self.header.is_empty() {
            let header = header.get(..HEADER_LOOKED).unwrap_or(header);
            let mut line = String::new();
            for raw in header.split(|b| *b == b'\n') {
                let folded = raw.first().is_some_and(|b| matches!(b, b' ' | b'\t'));
                if !folded {
                    if let Some(found) = entry(&self.header, &line) {
                        return Some(found);
                    }
                    line.clear();
                }
                add(&mut line, raw);
            }
            if let Some(found) = entry(&self.header, &line) {
                return Some(found);
            }
        }
        if self.body.is_empty() {
            return None;
        }
        let body = body.get(..BODY_LOOKED).unwrap_or(body);
        let mut line = String::new();
        body.split(|b| *b == b'\n').find_map(|raw| {
            line.clear();
            add(&mut line, raw);
            entry(&self.body, &line)
        })
    }
}

/// Adds a raw line in lower case, as far as it is looked at.
fn add(line: &mut String, raw: &[u8]) {
    let raw = raw.strip_suffix(b"\r").unwrap_or(raw);
    let room = LINE_LOOKED.saturating_sub(line.len());
    let raw = raw.get(..room).unwrap_or(raw);
    line.push_str(&String::from_utf8_lossy(raw).to_lowercase());
}

fn entry<'a>(list: &'a [String], line: &str) -> Option<&'a str> {
    let line = line.trim_end();
    if line.is_empty() {
        return None;
    }
    list.iter().find(|p| glob(p.as_bytes(), line.as_bytes())).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use angarium_objects::text::parse_line;

    use super::*;

    fn banned(text: &str) -> Result<Banned, String> {
        Banned::read(parse_line(text).unwrap().as_dictionary().unwrap())
    }

    #[test]
    fn header_and_body_lines_refuse_a_message() {
        let lists = banned(
            "{HeaderLines=(\"Subject: *free*money*\",\"X-Mailer: Bad *\");BodyLines=(\"click here *\");}",
        )
        .unwrap();
        let message =
            |text: &str| lists.find(text.replace('\n', "\r\n").as_bytes()).map(str::to_owned);
        assert_eq!(
            message("From: a@b\nSubject: get FREE\n\tof all money now\n\nhi\n").as_deref(),
            Some("subject: *free*money*")
        );
        assert_eq!(message("x-mailer: BAD 2.0\n\n").as_deref(), Some("x-mailer: bad *"));
        assert_eq!(message("A: b\n\nx\nClick here now\n").as_deref(), Some("click here *"));
        assert_eq!(message("A: click here x\n\nSubject: free money\n"), None);
        assert_eq!(message(""), None);
    }

    #[test]
    fn a_list_that_refuses_everything_or_is_too_long_is_not_taken() {
        assert!(banned("{HeaderLines=(\"**\");}").is_err());
        assert!(
            banned("{BodyLines=5;}").is_ok_and(|b| b.is_empty())
                || banned("{BodyLines=#5;}").is_err()
        );
        let long = format!("{{BodyLines=(\"{}\");}}", "a".repeat(MAX_LINE + 1));
        assert!(banned(&long).is_err());
        assert!(banned("{Other=x;}").unwrap().is_empty());
    }

    #[test]
    fn the_work_is_bounded() {
        let lists = banned("{HeaderLines=(\"*a*a*a*a*b\");BodyLines=(\"*a*a*a*a*b\");}").unwrap();
        let long = format!("A: {}\r\n\r\n{}", "a".repeat(300_000), "a\r\n".repeat(200_000));
        assert_eq!(lists.find(long.as_bytes()), None);
    }
}
