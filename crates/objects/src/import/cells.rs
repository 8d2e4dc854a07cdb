//! One cell of a table as a spreadsheet or a person wrote it.

use crate::text;
use crate::value::Value;

/// A cell without the quotation marks that a spreadsheet puts around it (`"a ""b"""`), or that
/// the text form of values has (`"a \"b\""`).
///
/// # Errors
/// What is wrong with a cell that begins with a quotation mark and does not end as it should.
pub(super) fn unquoted(cell: &str) -> Result<String, &'static str> {
    let Some(rest) = cell.strip_prefix('"') else { return Ok(cell.to_owned()) };
    if let Some(inner) = rest.strip_suffix('"') {
        let doubled = inner.replace("\"\"", "");
        if !doubled.contains('"') && !inner.contains('\\') {
            return Ok(inner.replace("\"\"", "\""));
        }
    }
    match text::parse_line(cell) {
        Ok(Value::String(text)) => Ok(text),
        _ => Err("a quotation mark is not closed"),
    }
}

/// A cell as the value of a setting: what begins as an object and reads as one is one, anything
/// else is a string.
pub(super) fn value(cell: &str) -> Result<Value, &'static str> {
    if cell.starts_with(['(', '{', '[', '#'])
        && let Ok(object) = text::parse_line(cell)
    {
        return Ok(object);
    }
    let inner = unquoted(cell)?;
    // Spreadsheets quote what holds a comma or a quotation mark, so also our arrays.
    if inner != cell
        && inner.starts_with(['(', '{'])
        && let Ok(object) = text::parse_line(&inner)
    {
        return Ok(object);
    }
    Ok(Value::String(inner))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotation_marks_of_spreadsheets_and_of_values_go() {
        for (cell, text) in [
            ("plain", "plain"),
            ("a \"b\" c", "a \"b\" c"),
            ("\"Doe, Joe\"", "Doe, Joe"),
            ("\"Joe \"\"Jo\"\" Doe\"", "Joe \"Jo\" Doe"),
            ("\"a\\\"b\"", "a\"b"),
            ("\"\"", ""),
        ] {
            assert_eq!(unquoted(cell).as_deref(), Ok(text), "{cell}");
        }
        for cell in ["\"open", "\"", "\"a\"b\"", "\"a\"\""] {
            assert!(unquoted(cell).is_err(), "{cell}");
        }
    }

    #[test]
    fn a_value_is_an_object_where_it_reads_as_one() {
        let array = || Value::Array(vec!["IMAP".into(), "POP".into()]);
        assert_eq!(value("(IMAP,POP)"), Ok(array()));
        assert_eq!(value("\"(IMAP,POP)\""), Ok(array()));
        assert_eq!(value("#12"), Ok(Value::Number(12)));
        assert_eq!(value("(not closed"), Ok("(not closed".into()));
        assert_eq!(value("=1+1"), Ok("=1+1".into()));
    }
}
