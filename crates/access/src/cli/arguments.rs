//! Reading a command line: the command word and its parameters, objects separated by spaces
//! (`reference/cli.md` section 3). It must never know what a command does.

use std::collections::VecDeque;

use angarium_accounts::{Dictionary, OperationError, Secret, Value};
use angarium_objects::text::{Layout, Reader, SyntaxError};

/// Most parameters of one command.
const MAX_ARGUMENTS: usize = 64;

/// The parameters not yet taken.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    left: VecDeque<Value>,
}

/// Reads a line into the command word and its parameters.
pub(super) fn read(line: &[u8]) -> Result<(String, Arguments), OperationError> {
    let mut reader = Reader::new(line, Layout::Line).map_err(syntax)?;
    let word = match reader.parameter().map_err(syntax)? {
        Value::String(word) => word,
        _ => return Err(OperationError::Syntax("a command name is expected".to_owned())),
    };
    let mut left = VecDeque::new();
    while !reader.at_end() {
        if left.len() >= MAX_ARGUMENTS {
            return Err(OperationError::Syntax("too many parameters".to_owned()));
        }
        left.push_back(reader.parameter().map_err(syntax)?);
    }
    Ok((word, Arguments { left }))
}

fn syntax(error: SyntaxError) -> OperationError {
    OperationError::Syntax(format!("syntax error: {error}"))
}

fn expected(what: &str) -> OperationError {
    OperationError::Syntax(format!("{what} is expected"))
}

/// A scalar as text: settings and names are strings even when they look like numbers.
fn text_of(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

impl Arguments {
    /// The next parameter as text; `what` names it in the error.
    pub(super) fn text(&mut self, what: &str) -> Result<String, OperationError> {
        self.left.pop_front().and_then(text_of).ok_or_else(|| expected(what))
    }

    /// The next parameter, if it is text.
    pub(super) fn optional_text(&mut self) -> Option<String> {
        match self.left.front() {
            Some(Value::String(_) | Value::Number(_)) => self.left.pop_front().and_then(text_of),
            _ => None,
        }
    }

    /// An optional domain name and whether it was there; an absent one is the actor's own.
    pub(super) fn optional_domain(&mut self) -> String {
        self.optional_text().unwrap_or_default()
    }

    /// Takes the next parameter if it is this keyword, in any case.
    pub(super) fn keyword(&mut self, word: &str) -> bool {
        let found = self
            .left
            .front()
            .and_then(Value::as_str)
            .is_some_and(|text| text.eq_ignore_ascii_case(word));
        if found {
            self.left.pop_front();
        }
        found
    }

    /// Wants this keyword next.
    pub(super) fn expect(&mut self, word: &str) -> Result<(), OperationError> {
        if self.keyword(word) { Ok(()) } else { Err(expected(word)) }
    }

    /// Keyword and text, if the keyword comes next.
    pub(super) fn option(&mut self, word: &str) -> Result<Option<String>, OperationError> {
        if self.keyword(word) { self.text(word).map(Some) } else { Ok(None) }
    }

    /// The next parameter as a number, spelled `50` or `#50`.
    pub(super) fn number(&mut self, what: &str) -> Result<i64, OperationError> {
        self.left.pop_front().and_then(|value| value.as_number()).ok_or_else(|| expected(what))
    }

    /// The next parameter as a dictionary.
    pub(super) fn dictionary(&mut self, what: &str) -> Result<Dictionary, OperationError> {
        match self.left.pop_front() {
            Some(Value::Dictionary(pairs)) => Ok(pairs),
            _ => Err(expected(what)),
        }
    }

    /// The next parameter if it is a dictionary, else an empty one.
    pub(super) fn optional_dictionary(&mut self) -> Dictionary {
        match self.left.front() {
            Some(Value::Dictionary(_)) => match self.left.pop_front() {
                Some(Value::Dictionary(pairs)) => pairs,
                _ => Dictionary::new(),
            },
            _ => Dictionary::new(),
        }
    }

    /// The next parameter as an array of texts; a single text is an array of one.
    pub(super) fn texts(&mut self, what: &str) -> Result<Vec<String>, OperationError> {
        match self.left.pop_front() {
            Some(Value::Array(all)) => {
                all.into_iter().map(text_of).collect::<Option<_>>().ok_or_else(|| expected(what))
            }
            Some(value) => Ok(vec![text_of(value).ok_or_else(|| expected(what))?]),
            None => Err(expected(what)),
        }
    }

    /// The next parameter as a password.
    pub(super) fn secret(&mut self) -> Result<Secret, OperationError> {
        self.text("a password").map(Secret::from)
    }

    /// Any next parameter.
    pub(super) fn value(&mut self, what: &str) -> Result<Value, OperationError> {
        self.left.pop_front().ok_or_else(|| expected(what))
    }

    /// True when the next parameter is an array.
    pub(super) fn next_is_array(&self) -> bool {
        matches!(self.left.front(), Some(Value::Array(_)))
    }

    /// True when nothing is left.
    pub(super) fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// Wants nothing to be left: a command with a parameter we do not know is not obeyed in part.
    pub(super) fn end(&self) -> Result<(), OperationError> {
        if self.left.is_empty() {
            Ok(())
        } else {
            Err(OperationError::Syntax("unexpected parameter".to_owned()))
        }
    }
}
