//! External Filters (`reference/helpers.md` section 4): helper programs that are shown each message
//! as a file in the form of the queue and say what becomes of it.
//!
//! The file lies below the base directory as `Queue/NN/ID.msg` while the helper looks at it.

use std::path::{Path, PathBuf};

use angarium_helper_programs::process::{HelperError, HelperProcess};
use angarium_objects::text;
use angarium_objects::value::Value;

use crate::inspect::Arrived;

/// Longest text of a helper that is passed on, in characters.
const MAX_TEXT: usize = 400;

/// What a filter says of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// No change.
    Ok,
    /// Taken and dropped.
    Discard,
    /// Refused; the text is for the sender.
    Refused(String),
    /// Not now.
    Later(String),
    /// A copy goes to this address.
    Mirror(String),
}

/// A filter's response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Lines to be put in front of the message, each ended by CRLF.
    pub lines: String,
    /// What becomes of it.
    pub word: Word,
}

/// Reads a response without its number. What is not understood is *later*: the helper wanted
/// something that was not done.
#[must_use]
pub fn read(response: &str) -> Answer {
    let mut lines = String::new();
    let mut rest = response.trim();
    loop {
        let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
        let text = |after: &str| bounded(&text_of(after).0);
        let word = match word.to_ascii_uppercase().as_str() {
            "ADDHEADER" => {
                let (fields, after) = text_of(after);
                lines.push_str(&header_lines(&fields));
                rest = after.trim();
                if rest.is_empty() {
                    return Answer { lines, word: Word::Ok };
                }
                continue;
            }
            "OK" => Word::Ok,
            "DISCARD" => Word::Discard,
            "ERROR" => Word::Refused(text(after)),
            "REJECTED" | "FAILURE" => Word::Later(text(after)),
            "MIRRORTO" => Word::Mirror(text(after)),
            other => Word::Later(format!("the filter answered {}", bounded(other))),
        };
        return Answer { lines, word };
    }
}

fn bounded(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_TEXT).collect()
}

/// A quoted string with the escapes of the textual format, or what stands there to the end; and
/// what follows it.
fn text_of(text: &str) -> (String, &str) {
    let text = text.trim_start();
    let Some(inner) = text.strip_prefix('"') else { return (text.trim_end().to_owned(), "") };
    let mut read = String::new();
    let mut chars = inner.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (read, inner.get(at + 1..).unwrap_or_default()),
            '\\' => match chars.next() {
                Some((_, 'e' | 'n' | 'r')) => read.push('\n'),
                Some((_, 't')) => read.push('\t'),
                Some((_, other)) => read.push(other),
                None => break,
            },
            other => read.push(other),
        }
    }
    (read, "")
}

/// Header lines out of a text; what is neither a field nor goes on with one is left out.
fn header_lines(text: &str) -> String {
    let mut lines = String::new();
    for line in text.split('\n') {
        let line = line.trim_end();
        let folded = line.starts_with([' ', '\t']) && !lines.is_empty() && !line.trim().is_empty();
        let name = line.split(':').next().unwrap_or_default();
        let field =
            line.contains(':') && !name.is_empty() && name.bytes().all(|b| (33..=126).contains(&b));
        if (folded || field) && !line.contains(|c: char| c.is_control() && c != '\t') {
            lines.push_str(line);
            lines.push_str("\r\n");
        }
    }
    lines
}

/// The message as a file of the queue: envelope lines, an empty line, the message; LF line ends.
#[must_use]
pub fn queue_form(arrived: &Arrived<'_>) -> Vec<u8> {
    let date = text::line_text(&Value::Time(arrived.now));
    let date = date.trim_start_matches("#T");
    let account = arrived.actor.map(|actor| actor.full_name()).unwrap_or_default();
    let source = match arrived.peer {
        Some(ip) => format!("S {account} {} [{ip}]\n", arrived.source.word()),
        None => format!("S {account} {} [0.0.0.0]\n", arrived.source.word()),
    };
    let mut envelope = source.replace("S  ", "S ");
    envelope
        .push_str(&format!("P I {date} 0000 ____ ______ <{}>\n", one_line(arrived.return_path)));
    for recipient in arrived.recipients {
        let address = one_line(&recipient.address);
        envelope.push_str(&format!("R W {date} 0000 ____ _FY_ <{address}>\n"));
    }
    envelope.push('\n');
    let mut file = envelope.into_bytes();
    file.reserve(arrived.message.len());
    let mut rest = arrived.message;
    while let Some(at) = rest.windows(2).position(|pair| pair == b"\r\n") {
        file.extend_from_slice(rest.get(..at).unwrap_or_default());
        file.push(b'\n');
        rest = rest.get(at.saturating_add(2)..).unwrap_or_default();
    }
    file.extend_from_slice(rest);
    file
}

fn one_line(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

/// A file that is removed when it is dropped.
struct Shown(PathBuf);

impl Drop for Shown {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Writes a new file for this user alone.
fn write(base: &Path, relative: &str, content: &[u8]) -> std::io::Result<Shown> {
    use std::io::Write;
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    let path = base.join(relative);
    if let Some(directory) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)?;
    let shown = Shown(path);
    file.write_all(content)?;
    Ok(shown)
}

/// Shows a message to a helper.
///
/// # Errors
/// Why it could not be asked: always *later*.
pub async fn ask(
    helper: &HelperProcess,
    base: &Path,
    arrived: &Arrived<'_>,
) -> Result<Answer, String> {
    let id = arrived.id.to_string();
    let relative = format!("Queue/{:02}/{id}.msg", arrived.id.0 % 100);
    let (content, to, name) = (queue_form(arrived), base.to_owned(), relative.clone());
    let written = tokio::task::spawn_blocking(move || write(&to, &name, &content)).await;
    let shown = match written {
        Ok(Ok(shown)) => shown,
        Ok(Err(error)) => return Err(format!("{relative} cannot be written: {error}")),
        Err(error) => return Err(error.to_string()),
    };
    let response = helper.request(&format!("FILE {relative}")).await;
    // Until here it must be there.
    drop(shown);
    response.map(|response| read(&response)).map_err(|error: HelperError| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_are_read_in_all_their_forms() {
        let ok = |lines: &str| Answer { lines: lines.to_owned(), word: Word::Ok };
        for (response, answer) in [
            ("OK", ok("")),
            ("ok no spam", ok("")),
            ("ADDHEADER \"A: 1\\eB: 2\"", ok("A: 1\r\nB: 2\r\n")),
            ("ADDHEADER \"A: 1\\e\\tmore\" OK", ok("A: 1\r\n\tmore\r\n")),
            ("DISCARD", Answer { lines: String::new(), word: Word::Discard }),
            (
                "ADDHEADER \"X: \\\"q\\\"\" ERROR \"no \\\\ way\"",
                Answer { lines: "X: \"q\"\r\n".into(), word: Word::Refused("no \\ way".into()) },
            ),
            (
                "ERROR bad words",
                Answer { lines: String::new(), word: Word::Refused("bad words".into()) },
            ),
            (
                "REJECTED \"disk\"",
                Answer { lines: String::new(), word: Word::Later("disk".into()) },
            ),
            ("FAILURE", Answer { lines: String::new(), word: Word::Later(String::new()) }),
            ("MIRRORTO \"a@b\"", Answer { lines: String::new(), word: Word::Mirror("a@b".into()) }),
        ] {
            assert_eq!(read(response), answer, "{response}");
        }
        assert!(matches!(read("ADDROUTE x").word, Word::Later(_)));
        assert!(matches!(read("").word, Word::Later(_)));
    }

    #[test]
    fn a_filter_cannot_end_the_header_or_write_half_fields() {
        assert_eq!(read("ADDHEADER \"no field\\e\\e: x\\eA: 1\\e\\eB\"").lines, "A: 1\r\n");
        assert_eq!(read("ADDHEADER \"A: 1").lines, "A: 1\r\n");
        assert_eq!(read("ADDHEADER \"A b: 1\"").lines, "");
    }
}
