//! `angarium route`: where an address leads with every step, and what is odd in the Router's
//! table.

use std::io;
use std::path::Path;

use angarium_accounts::Value;

use super::directory;
use super::output::{put, show as show_answer, tell};
use crate::administration::{Administrator, Answer, parameter};
use crate::arguments::Base;
use crate::json;

/// Largest table read from a file, in bytes.
const MAX_TABLE: u64 = 1024 * 1024;

pub(super) fn show(base: &Base, address: &str, kind: &str) -> io::Result<u8> {
    let mut to = Administrator::reach(&directory(base)?)?;
    let answer = to.execute(&format!("TRACE {} {kind}", parameter(address)))?;
    let Answer::Done(Some(Value::Dictionary(report))) = &answer else {
        return Ok(show_answer(base, answer, ""));
    };
    let refused = report.get("refused").and_then(Value::as_str);
    let code = if refused.is_some() { super::REFUSED } else { 0 };
    if base.json {
        let value = json::of(&Value::Dictionary(report.clone()));
        put(&serde_json::json!({ "ok": refused.is_none(), "value": value }).to_string());
        return Ok(code);
    }
    let steps = report.get("steps").and_then(Value::as_array).unwrap_or_default();
    for (number, step) in (1..).zip(steps) {
        put(&format!("{number:3}. {}", step.as_str().unwrap_or_default()));
    }
    let part = |key: &str| report.get(key).and_then(Value::as_str).unwrap_or_default();
    match refused {
        Some(why) => {
            let number = report.get("code").and_then(Value::as_number).unwrap_or_default();
            tell(&format!("angarium: {why} ({number})"));
        }
        None => put(&format!("{} ({}) {}", part("module"), part("host"), part("address"))),
    }
    Ok(code)
}

pub(super) fn check(base: &Base, file: Option<&Path>) -> io::Result<u8> {
    let mut to = Administrator::reach(&directory(base)?)?;
    let line = match file {
        None => "REVIEW".to_owned(),
        Some(file) => {
            let about = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", file.display()));
            if std::fs::metadata(file).map_err(about)?.len() > MAX_TABLE {
                tell("angarium: the table is too long");
                return Ok(super::WRONG);
            }
            format!("REVIEW {}", parameter(&std::fs::read_to_string(file).map_err(about)?))
        }
    };
    let answer = to.execute(&line)?;
    let Answer::Done(Some(Value::Array(remarks))) = &answer else {
        let wrong = matches!(answer, Answer::Failed(500, _));
        let code = show_answer(base, answer, "");
        return Ok(if wrong { super::WRONG } else { code });
    };
    if base.json {
        let value = json::of(&Value::Array(remarks.clone()));
        put(&serde_json::json!({ "ok": remarks.is_empty(), "value": value }).to_string());
    } else if remarks.is_empty() {
        put("the table is in order");
    } else {
        remarks.iter().for_each(|one| put(one.as_str().unwrap_or_default()));
    }
    Ok(if remarks.is_empty() { 0 } else { super::WRONG })
}
