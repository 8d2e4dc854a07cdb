//! How answers are shown: for people, or as JSON. A reader that goes away (`| head`) ends the
//! command quietly.

use std::io::{self, Write};

use angarium_accounts::Value;
use angarium_objects::text;

use crate::administration::{Administrator, Answer};
use crate::arguments::Base;
use crate::json;

/// Writes one line to standard output; ends the program if nobody reads any more.
pub(super) fn put(text: &str) {
    if let Err(e) = writeln!(io::stdout().lock(), "{text}") {
        if e.kind() != io::ErrorKind::BrokenPipe {
            tell(&format!("angarium: standard output: {e}"));
        }
        std::process::exit(0);
    }
}

/// Writes one line to standard error. Where that leads to a full disk or a closed pipe nothing is
/// lost but the line: `eprintln!` would end the program for it.
pub(crate) fn tell(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Executes a command and shows its answer; the exit code.
pub(super) fn ask(
    administrator: &mut Administrator,
    base: &Base,
    line: &str,
    done: &str,
) -> io::Result<u8> {
    let answer = administrator.execute(line)?;
    Ok(show(base, answer, done))
}

/// Shows an answer; `done` is said to people when there is no object.
pub(super) fn show(base: &Base, answer: Answer, done: &str) -> u8 {
    match answer {
        Answer::Failed(code, text) => {
            if base.json {
                put(&serde_json::json!({ "ok": false, "code": code, "error": text }).to_string());
            }
            tell(&format!("angarium: {text} ({code})"));
            super::REFUSED
        }
        Answer::Done(value) => {
            if base.json {
                let value = value.as_ref().map(json::of);
                put(&serde_json::json!({ "ok": true, "value": value }).to_string());
            } else {
                match value {
                    Some(value) => print_value(&value),
                    None if !done.is_empty() => put(done),
                    None => {}
                }
            }
            0
        }
    }
}

fn print_value(value: &Value) {
    match value {
        Value::Array(all) => all.iter().for_each(|one| put(&plain(one))),
        Value::Dictionary(pairs) => {
            for (key, value) in pairs {
                put(&format!("{key} = {}", plain(value)));
            }
        }
        Value::String(text) => put(text),
        other => put(&plain(other)),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) if !text.contains(char::is_control) => text.clone(),
        other => text::line_text(other),
    }
}
