//! vCard 2.1 (versit, 1996) as vCard 3.0: quoted-printable and charsets, kinds without a name,
//! base64 by its old word.

use std::borrow::Cow;

use super::line::Line;
use crate::decode;

/// True for a value in quoted-printable.
pub(super) fn is_coded(line: &Line) -> bool {
    let coded = |(name, value): &(String, String)| {
        (name.is_empty() || name == "ENCODING") && value.eq_ignore_ascii_case("QUOTED-PRINTABLE")
    };
    line.parameters().iter().any(coded)
}

/// A value in the clear: quoted-printable and its charset taken off, if the line says so.
pub(super) fn decoded(line: &Line) -> String {
    if !is_coded(line) {
        return line.value().to_owned();
    }
    let bytes = decode::quoted_printable(line.value().as_bytes());
    let label = line.parameter("CHARSET");
    let text = decode::charset(label.as_deref().map(str::as_bytes), &bytes);
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// The lines with those in quoted-printable in the clear, which also programs that know better write.
pub(super) fn in_the_clear(lines: &[Line]) -> Cow<'_, [Line]> {
    if !lines.iter().any(is_coded) {
        return Cow::Borrowed(lines);
    }
    let clear = |line: &Line| if is_coded(line) { converted(line) } else { Some(line.clone()) };
    Cow::Owned(lines.iter().filter_map(clear).collect())
}

/// A line of a card in the new form.
pub(super) fn converted(line: &Line) -> Option<Line> {
    let name = line.name();
    let mut parameters = String::new();
    let mut kinds: Vec<String> = Vec::new();
    let mut binary = false;
    for (key, value) in line.parameters() {
        let upper = value.to_ascii_uppercase();
        match key.as_str() {
            "" | "ENCODING" if upper == "BASE64" || upper == "B" => binary = true,
            "" | "ENCODING" if matches!(upper.as_str(), "QUOTED-PRINTABLE" | "7BIT" | "8BIT") => {}
            "CHARSET" => {}
            "" | "TYPE" => kinds.push(upper),
            _ if key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') => {
                parameters.push_str(&format!(";{key}={}", quoted(&value)));
            }
            _ => {}
        }
    }
    if binary {
        parameters.push_str(";ENCODING=b");
    }
    if !kinds.is_empty() {
        kinds.retain(|kind| {
            kind.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b','))
        });
        parameters.push_str(&format!(";TYPE={}", kinds.join(",")));
    }
    let value = match name.as_str() {
        "VERSION" => "3.0".to_owned(),
        _ if binary => line.value().split_ascii_whitespace().collect(),
        // Semicolons stand between parts; in one that belongs to the text a backslash is before it.
        _ => decoded(line).replace('\n', "\\n").replace(',', "\\,").replace("\\\\,", "\\,"),
    };
    Line::new(line.number, format!("{}{name}{parameters}:{value}", line.group()))
}

/// A parameter's value, in quotation marks where it needs them; it may hold none itself.
fn quoted(value: &str) -> String {
    let value = value.replace('"', "");
    if value.contains([':', ';', ',']) { format!("\"{value}\"") } else { value }
}
