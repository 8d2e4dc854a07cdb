//! LDIF (RFC 2849), line by line: folded lines, base64, comments, change records, and the habits of
//! Netscape, OpenLDAP and Active Directory. Contents stand in for entries; nothing a file points to
//! (`name:< file:///…`) is ever read. It must never know what an attribute means.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::entry::Entry;
use super::shown;

/// Longest value with its name, in bytes, base64 and folding taken off the lines. Longer ones
/// (photographs) are left out and noted.
pub const MAX_VALUE: usize = 1 << 20;

/// Attributes that no mail server needs and that are often damaged.
const PICTURES: &[&str] = &["audio", "jpegphoto", "photo", "thumbnailphoto", "usercertificate"];

/// Padding may be missing, as some programs leave it out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a record does to the directory it is read into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Change {
    /// It is there: a content record, or a change record that adds it.
    #[default]
    Add,
    /// It goes.
    Delete,
    /// Some of its attributes change.
    Modify,
    /// It gets another name.
    Rename,
}

/// One record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// What it does.
    pub change: Change,
    /// Name and attributes; of records that change something, the name alone is of use.
    pub entry: Entry,
}

/// Reads records from lines.
#[derive(Debug, Default)]
pub struct Ldif {
    /// The logical line so far: number of its first line, text.
    line: Option<(u64, String)>,
    /// The logical line is longer than [`MAX_VALUE`].
    long: bool,
    record: Option<Record>,
    fault: Option<(u64, String)>,
}

/// A record, or the line and what is wrong with the record there.
pub type Read = Result<Record, (u64, String)>;

impl Ldif {
    /// Takes the next line of the file (`None` for one that is too long to be read); a record when
    /// this line ended one.
    pub fn line(&mut self, number: u64, line: Option<&str>) -> Option<Read> {
        match line {
            Some("") => {
                self.logical();
                self.take()
            }
            Some(line) => {
                match line.strip_prefix(' ') {
                    // A line of spaces between records is an empty line for many programs.
                    Some(_) if line.trim().is_empty() && self.line.is_none() => {}
                    Some(rest) => self.go_on(number, rest),
                    None => {
                        self.logical();
                        self.line = Some((number, line.to_owned()));
                    }
                }
                None
            }
            None => {
                self.logical();
                self.line = Some((number, String::new()));
                self.long = true;
                None
            }
        }
    }

    /// The record that the file's end ends.
    pub fn end(&mut self) -> Option<Read> {
        self.logical();
        self.take()
    }

    fn go_on(&mut self, number: u64, rest: &str) {
        match &mut self.line {
            Some((_, text)) if text.len() + rest.len() <= MAX_VALUE => text.push_str(rest),
            Some(_) => self.long = true,
            None => self.wrong(number, "a line goes on that never began"),
        }
    }

    fn wrong(&mut self, line: u64, why: &str) {
        if self.fault.is_none() {
            self.fault = Some((line, why.to_owned()));
        }
    }

    fn take(&mut self) -> Option<Read> {
        let record = self.record.take();
        match self.fault.take() {
            Some(fault) => Some(Err(fault)),
            None => record.map(Ok),
        }
    }

    /// Reads the logical line that has ended.
    fn logical(&mut self) {
        let Some((number, text)) = self.line.take() else { return };
        let long = std::mem::take(&mut self.long);
        // A comment may be folded as any other line.
        if text.starts_with('#') {
            return;
        }
        if text == "-" {
            return;
        }
        let Some((name, rest)) = text.split_once(':') else {
            if long {
                if let Some(record) = &mut self.record {
                    record.entry.lose("a value", "it is too long");
                }
                return;
            }
            return self.wrong(number, "a name and a colon are expected");
        };
        let name = name.trim_end();
        if name.is_empty() || name.contains(|c: char| c.is_control() || c == ' ') {
            return self.wrong(number, &format!("this is no attribute's name: {}", shown(name)));
        }
        if long {
            if let Some(record) = &mut self.record {
                record.entry.lose(name, "the value is too long");
            }
            return;
        }
        self.attribute(number, name, rest);
    }

    fn attribute(&mut self, number: u64, name: &str, rest: &str) {
        if self.record.is_none() {
            if name.eq_ignore_ascii_case("version") {
                return;
            }
            if !name.eq_ignore_ascii_case("dn") {
                return self.wrong(number, "a record begins with dn:");
            }
            match value(rest) {
                Value::Text(dn) => {
                    let entry = Entry::new(number, dn.trim());
                    self.record = Some(Record { entry, ..Record::default() });
                }
                _ => self.wrong(number, "its distinguished name cannot be read"),
            }
            return;
        }
        let Some(record) = &mut self.record else { return };
        let (base, options) = name.split_once(';').unwrap_or((name, ""));
        match value(rest) {
            Value::Text(text) if base.eq_ignore_ascii_case("changetype") => {
                record.change = match text.trim().to_ascii_lowercase().as_str() {
                    "add" => Change::Add,
                    "delete" => Change::Delete,
                    "modify" => Change::Modify,
                    "modrdn" | "moddn" => Change::Rename,
                    _ => return self.wrong(number, "this changetype is not known"),
                };
            }
            Value::Text(_) if base.eq_ignore_ascii_case("control") => {}
            Value::Text(_) | Value::Binary if options.eq_ignore_ascii_case("binary") => {}
            // In another language: kept apart, under the whole name.
            Value::Text(text) if options.is_empty() => record.entry.add(base, text),
            Value::Text(text) => record.entry.add(name, text),
            // Photographs, certificates, identifiers: no text, and nothing that a mail server needs.
            Value::Binary => {}
            Value::Elsewhere => record.entry.lose(base, "it stands in another file, not followed"),
            // Nobody stays out for a broken picture.
            Value::Wrong if PICTURES.iter().any(|name| base.eq_ignore_ascii_case(name)) => {
                record.entry.lose(base, "this is no base64");
            }
            Value::Wrong => self.wrong(number, &format!("{}: this is no base64", shown(base))),
        }
    }
}

enum Value {
    Text(String),
    Binary,
    Elsewhere,
    Wrong,
}

/// What stands behind the name and the colon.
fn value(rest: &str) -> Value {
    if let Some(coded) = rest.strip_prefix(':') {
        let coded: String = coded.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        return match BASE64.decode(coded) {
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(text) => Value::Text(text.trim_end_matches('\0').to_owned()),
                Err(error) => old_text(error.as_bytes()),
            },
            Err(_) => Value::Wrong,
        };
    }
    if rest.starts_with('<') {
        return Value::Elsewhere;
    }
    Value::Text(rest.strip_prefix(' ').unwrap_or(rest).trim_start_matches(' ').to_owned())
}

/// Base64 that is no UTF-8: text of old directories in ISO-8859-1, if nothing in it is a control
/// character.
fn old_text(bytes: &[u8]) -> Value {
    const LONGEST: usize = 4096;
    let text: String = bytes.iter().copied().map(char::from).collect();
    if bytes.len() <= LONGEST && !text.contains(char::is_control) {
        Value::Text(text)
    } else {
        Value::Binary
    }
}

/// The leftmost value of a distinguished name: `joe` of `uid=joe,ou=People,o=x`; empty when there
/// is none.
#[must_use]
pub fn leftmost(dn: &str) -> String {
    let Some((_, rest)) = dn.split_once('=') else { return String::new() };
    let mut out = String::new();
    let mut letters = rest.chars();
    while let Some(c) = letters.next() {
        match c {
            '\\' => out.extend(letters.next()),
            ',' | '+' | ';' => break,
            _ => out.push(c),
        }
    }
    out.trim().to_owned()
}

/// A distinguished name as it is compared: lower case, no spaces around commas and equals signs.
#[must_use]
pub fn folded_dn(dn: &str) -> String {
    let mut out = String::with_capacity(dn.len());
    for part in dn.split(',') {
        if !out.is_empty() {
            out.push(',');
        }
        let (left, right) = part.split_once('=').unwrap_or((part, ""));
        out.push_str(&left.trim().to_lowercase());
        out.push('=');
        out.push_str(&right.trim().to_lowercase());
    }
    out
}

#[cfg(test)]
#[path = "ldif_tests.rs"]
mod tests;
