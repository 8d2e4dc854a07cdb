//! Sessions: one on standard input and output, and the table of those that run
//! (`reference/imap.md` section 9).

use std::io;

use angarium_accounts::{Dictionary, Value};

use super::output::{put, show, tell};
use super::{REFUSED, directory};
use crate::administration::{Administrator, Answer};
use crate::arguments::{Base, ExecAction};

/// Serves a session; 0 when it ended, however the client ended it.
pub(super) fn exec(base: &Base, action: ExecAction) -> io::Result<u8> {
    let ExecAction::Imap { account } = action;
    let to = Administrator::reach(&directory(base)?)?;
    match to.imap_session(&account)? {
        None => Ok(0),
        // Standard output belongs to the protocol.
        Some(Answer::Failed(code, text)) => {
            tell(&format!("angarium: {text} ({code})"));
            Ok(REFUSED)
        }
        Some(Answer::Done(_)) => Ok(0),
    }
}

/// A time as the monitor of the field shows it.
fn duration(seconds: &str) -> String {
    match seconds.parse::<u64>() {
        Ok(s) if s < 60 => format!("{s}sec"),
        Ok(s) if s < 3600 => format!("{}min", s / 60),
        Ok(s) if s < 86_400 => format!("{}h", s / 3600),
        Ok(s) => format!("{}d", s / 86_400),
        Err(_) => String::new(),
    }
}

/// Shows the table of sessions.
pub(super) fn list(base: &Base, service: Option<&str>) -> io::Result<u8> {
    let mut to = Administrator::reach(&directory(base)?)?;
    let service = service.unwrap_or_default();
    if !service.bytes().all(|b| b.is_ascii_alphanumeric()) {
        tell(&format!("angarium: \"{service}\" is no service: imap, pop, pwd, smtpi or smtp"));
        return Ok(REFUSED);
    }
    let answer = to.execute(&format!("SESSIONS {service}"))?;
    let Answer::Done(Some(Value::Array(rows))) = &answer else {
        return Ok(show(base, answer, ""));
    };
    if base.json {
        return Ok(show(base, answer, ""));
    }
    let cell = |row: &Dictionary, key: &str| {
        row.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let line = |cells: [&str; 6]| {
        let [id, address, account, connected, status, running] = cells;
        let text =
            format!("{id:<12} {address:<18} {account:<30} {connected:>9}  {status:<22} {running}");
        put(text.trim_end());
    };
    line(["ID", "IP Address", "Account", "Connected", "Status", "Running"]);
    for row in rows.iter().filter_map(Value::as_dictionary) {
        let (connected, running) =
            (duration(&cell(row, "Connected")), duration(&cell(row, "Running")));
        let (id, address) = (cell(row, "ID"), cell(row, "IPAddress"));
        let (account, status) = (cell(row, "Account"), cell(row, "Status"));
        // A connection that mail goes out on belongs to a queue.
        let account = if account.is_empty() { cell(row, "Queue") } else { account };
        line([&id, &address, &account, &connected, &status, &running]);
    }
    put(&format!("{} sessions", rows.len()));
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_as_the_field_shows_them() {
        assert_eq!([duration("34"), duration("190"), duration("")], ["34sec", "3min", ""]);
    }
}
