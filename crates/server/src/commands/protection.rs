//! `angarium protection`: who may relay and who is kept out.

use std::io;

use angarium_accounts::{Dictionary, Value};

use super::output::{ask, put, show, tell as say};
use super::{REFUSED, directory};
use crate::administration::{Administrator, Answer};
use crate::arguments::{Base, ProtectionAction};
use crate::json;

/// What is shown, each with the command that reads it.
const PARTS: &[(&str, &str)] = &[
    ("Settings", "GETPROTECTION"),
    ("ClientIPs", "GETCLIENTIPS"),
    ("BlacklistedIPs", "GETBLACKLISTEDIPS"),
    ("WhiteHoleIPs", "GETWHITEHOLEIPS"),
    ("DeniedIPs", "GETDENIEDIPS"),
    ("Banned", "GETBANNED"),
    ("KeptOut", "GETTEMPBLACKLISTEDIPS"),
    ("ReadThenSend", "GETTEMPCLIENTIPS"),
];

/// Runs the command to its exit code.
pub(super) fn run(base: &Base, action: &ProtectionAction) -> io::Result<u8> {
    let mut to = Administrator::reach(&directory(base)?)?;
    match action {
        ProtectionAction::Show => all(&mut to, base),
        ProtectionAction::Block { ip, time } => {
            let seconds = angarium_objects::spelling::duration(&Value::from(time.as_str()));
            let Some(seconds) = seconds else {
                say(&format!("angarium: \"{time}\" is no time: such as 30m, 2h or 1d"));
                return Ok(REFUSED);
            };
            if !to.is_running() {
                say("angarium: no server runs; it alone remembers whom it keeps out");
                return Ok(REFUSED);
            }
            let line = format!("TEMPBLACKLISTIP \"{ip}\" TIMEOUT {seconds}");
            ask(&mut to, base, &line, &format!("{ip} is kept out for {seconds} seconds"))
        }
        ProtectionAction::Unblock { ip } => {
            let line = format!("TEMPBLACKLISTIP \"{ip}\" DELETE");
            ask(&mut to, base, &line, &format!("{ip} is let in"))
        }
        ProtectionAction::Check { ip } => {
            let answer = to.execute(&format!("CHECKADDRESS {ip}"))?;
            match &answer {
                Answer::Done(Some(Value::Dictionary(check))) if !base.json => {
                    tell(check);
                    Ok(0)
                }
                _ => Ok(show(base, answer, "")),
            }
        }
    }
}

/// The answer to a check, for people.
fn tell(check: &Dictionary) {
    let text = |key: &str| check.get(key).and_then(Value::as_str).unwrap_or_default();
    let list = |key: &str| {
        let all = check.get(key).and_then(Value::as_array).unwrap_or_default();
        all.iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
    };
    put(&format!("{} is {}: {}", text("IPAddress"), text("Standing"), text("Meaning")));
    let names = list("Names");
    if !names.is_empty() {
        put(&format!("  its verified names: {}", names.join(", ")));
    }
    let reasons = list("Reasons");
    for reason in &reasons {
        put(&format!("  {reason}"));
    }
    if reasons.is_empty() {
        put("  no list and no memory names it");
    }
    if text("LookedUp") == "NO" {
        put("  the DNS was not asked");
    }
}

/// Everything, part by part.
fn all(to: &mut Administrator, base: &Base) -> io::Result<u8> {
    let mut whole = serde_json::Map::new();
    for (name, command) in PARTS {
        let value = match to.execute(command)? {
            Answer::Done(value) => value.unwrap_or(Value::Null),
            failed @ Answer::Failed(..) => return Ok(show(base, failed, "")),
        };
        if base.json {
            whole.insert((*name).to_owned(), json::of(&value));
            continue;
        }
        put(&format!("{name}:"));
        match &value {
            Value::Dictionary(pairs) => {
                for (key, value) in pairs {
                    put(&format!("  {key} = {}", angarium_objects::text::line_text(value)));
                }
            }
            Value::String(text) => {
                let separators: &[char] = if command.contains("TEMP") { &[','] } else { &['\n'] };
                for line in text.split(separators).filter(|line| !line.trim().is_empty()) {
                    put(&format!("  {line}"));
                }
            }
            _ => {}
        }
    }
    if base.json {
        put(&serde_json::json!({ "ok": true, "value": whole }).to_string());
    }
    Ok(0)
}
