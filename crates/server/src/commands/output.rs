//! How answers are shown: for people, or as JSON.

use std::io;

use angarium_accounts::Value;
use angarium_objects::text;

use crate::administration::{Administrator, Answer};
use crate::arguments::Base;
use crate::json;

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
                println!("{}", serde_json::json!({ "ok": false, "code": code, "error": text }));
            }
            eprintln!("angarium: {text} ({code})");
            super::REFUSED
        }
        Answer::Done(value) => {
            if base.json {
                let value = value.as_ref().map(json::of);
                println!("{}", serde_json::json!({ "ok": true, "value": value }));
            } else {
                match value {
                    Some(value) => print_value(&value),
                    None if !done.is_empty() => println!("{done}"),
                    None => {}
                }
            }
            0
        }
    }
}

fn print_value(value: &Value) {
    match value {
        Value::Array(all) => all.iter().for_each(|one| println!("{}", plain(one))),
        Value::Dictionary(pairs) => {
            for (key, value) in pairs {
                println!("{key} = {}", plain(value));
            }
        }
        Value::String(text) => println!("{text}"),
        other => println!("{}", plain(other)),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) if !text.contains(char::is_control) => text.clone(),
        other => text::line_text(other),
    }
}
