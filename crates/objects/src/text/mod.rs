//! The textual object format (`reference/data-format.md`): one notation for settings files, CLI
//! parameters and CLI answers. Reads and prints text; never touches files or connections.

mod print;
mod read;
mod stamp;

use thiserror::Error;

use crate::value::Value;

pub use print::{file_text, line_text, quoted};
pub use read::Reader;

/// Deepest nesting of arrays and dictionaries read.
pub const MAX_DEPTH: usize = 100;
/// Longest single-line text read, in bytes.
pub const MAX_LINE: usize = 1024 * 1024;
/// Longest multi-line text (a file) read, in bytes.
pub const MAX_FILE: usize = 64 * 1024 * 1024;

/// Which white space separates tokens (section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// One line: spaces only. A TAB is taken too, since clients send it.
    Line,
    /// A file or a multi-line answer: space, TAB, CR, LF and comments.
    File,
}

/// Why a text is not an object, and where.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{what} at position {position}")]
pub struct SyntaxError {
    /// What is wrong.
    pub what: &'static str,
    /// Offset in bytes.
    pub position: usize,
}

/// Reads a text that is one object and nothing else.
///
/// # Errors
/// [`SyntaxError`]; also when a limit of this module is passed.
pub fn parse(text: &[u8], layout: Layout) -> Result<Value, SyntaxError> {
    let mut reader = Reader::new(text, layout)?;
    let value = reader.object()?;
    reader.end()?;
    Ok(value)
}

/// Reads a single-line text that is one object.
///
/// # Errors
/// As [`parse`].
pub fn parse_line(text: &str) -> Result<Value, SyntaxError> {
    parse(text.as_bytes(), Layout::Line)
}

#[cfg(test)]
mod tests;
