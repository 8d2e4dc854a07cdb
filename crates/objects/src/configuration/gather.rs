//! Reading stanzas line by line, so that a text of any length needs the room of one stanza.

use thiserror::Error;

use super::{MAX_STANZA, Stanza};
use crate::text::{Layout, Reader, SyntaxError};
use crate::value::Value;

/// Why a text is no configuration; nothing after it is read.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("line {line}: {what}")]
pub struct StanzaError {
    /// Where the stanza begins, or what stands between stanzas.
    pub line: u64,
    /// What is wrong.
    pub what: String,
}

/// Gathers lines to stanzas.
#[derive(Debug, Default)]
pub struct Gatherer {
    text: Vec<u8>,
    line: u64,
    began: u64,
}

impl Gatherer {
    /// Takes the next line, with or without its end; answers a stanza when it is complete, with
    /// the line it began in.
    ///
    /// # Errors
    /// [`StanzaError`]: what was gathered is no stanza, or it is longer than [`MAX_STANZA`].
    pub fn line(&mut self, line: &[u8]) -> Result<Option<(u64, Stanza)>, StanzaError> {
        self.line += 1;
        let line = line.trim_ascii_end();
        let first = self.text.is_empty();
        if first {
            let line = if self.line == 1 {
                line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line)
            } else {
                line
            };
            let bare = line.trim_ascii_start();
            if bare.is_empty() || bare.starts_with(b"//") {
                return Ok(None);
            }
            self.began = self.line;
            self.text.extend_from_slice(bare);
        } else {
            self.text.extend_from_slice(line);
        }
        self.text.push(b'\n');
        if self.text.len() > MAX_STANZA {
            let what = format!("an object of more than {MAX_STANZA} bytes");
            return Err(StanzaError { line: self.began, what });
        }
        let complete = if first { line.ends_with(b"}") } else { line == b"}" };
        if !complete {
            return Ok(None);
        }
        let text = std::mem::take(&mut self.text);
        let stanza = read(&text)
            .map_err(|error| StanzaError { line: self.began, what: error.to_string() })?;
        Ok(Some((self.began, stanza)))
    }

    /// Says that no more lines come.
    ///
    /// # Errors
    /// [`StanzaError`] when a stanza is not complete.
    pub fn finish(&self) -> Result<(), StanzaError> {
        if self.text.is_empty() {
            return Ok(());
        }
        let what = "the object is not complete: a line with } alone is expected".to_owned();
        Err(StanzaError { line: self.began, what })
    }
}

fn read(text: &[u8]) -> Result<Stanza, SyntaxError> {
    let mut reader = Reader::new(text, Layout::File)?;
    let wrong =
        |what: &'static str, reader: &Reader<'_>| SyntaxError { what, position: reader.position() };
    let word = match reader.parameter()? {
        Value::String(word) => word,
        _ => return Err(wrong("the kind of an object is expected", &reader)),
    };
    let (name, contents) = match reader.parameter()? {
        Value::Dictionary(contents) => (String::new(), contents),
        Value::String(name) => match reader.object()? {
            Value::Dictionary(contents) => (name, contents),
            _ => return Err(wrong("a dictionary is expected", &reader)),
        },
        _ => return Err(wrong("a name or a dictionary is expected", &reader)),
    };
    reader.end()?;
    Ok(Stanza { kind: word, name, contents })
}
