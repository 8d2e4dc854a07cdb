//! `angarium import-files`: asks for the import, shows how far it is and what came of it.

use std::io::{self, IsTerminal};
use std::path::Path;
use std::time::{Duration, Instant};

use angarium_accounts::{Dictionary, Value};

use super::output::{put, show, tell};
use super::{WRONG, directory};
use crate::administration::{Administrator, Answer};
use crate::arguments::Base;

/// Between two lines of progress.
const EVERY: Duration = Duration::from_secs(2);

/// How files are imported.
pub(super) struct How {
    pub(super) into: String,
    pub(super) dialect: String,
    pub(super) dry_run: bool,
    pub(super) keep_uids: bool,
}

pub(super) fn run(base: &Base, path: &Path, how: &How) -> io::Result<u8> {
    let mut server = Administrator::reach(&directory(base)?)?;
    bring(&mut server, base, path, how)
}

/// Has the files of a path read into an account, and shows what came of it.
pub(super) fn bring(
    server: &mut Administrator,
    base: &Base,
    path: &Path,
    how: &How,
) -> io::Result<u8> {
    // The server may run in another directory than this command.
    let path = std::path::absolute(path)?;
    let mut order = Dictionary::new();
    order.insert("path".into(), path.display().to_string().into());
    order.insert("into".into(), how.into.as_str().into());
    order.insert("dialect".into(), how.dialect.as_str().into());
    for (key, on) in [("dryrun", how.dry_run), ("keepuids", how.keep_uids)] {
        order.insert(key.into(), if on { "YES" } else { "NO" }.into());
    }
    let mut last = Instant::now();
    let shown = !base.json && io::stderr().is_terminal();
    let answer = server.import_files(order, &mut |line| {
        if shown && last.elapsed() >= EVERY {
            last = Instant::now();
            tell(line);
        }
    })?;
    let Answer::Done(Some(Value::Dictionary(report))) = &answer else {
        return Ok(show(base, answer, ""));
    };
    let verified = report.get("verified").and_then(Value::as_str) == Some("YES");
    if base.json {
        show(base, answer, "");
    } else {
        print(report, how.dry_run);
    }
    Ok(if verified { 0 } else { WRONG })
}

fn print(report: &Dictionary, dry_run: bool) {
    let number = |row: &Dictionary, key: &str| row.get(key).and_then(Value::as_number).unwrap_or(0);
    let text = |row: &Dictionary, key: &str| {
        row.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let line = |row: &Dictionary| {
        let word = if dry_run { "to be added" } else { "added" };
        let mut line =
            format!("{} messages, {} {word}", number(row, "messages"), number(row, "added"));
        for (key, what) in
            [("present", "there already"), ("removedsince", "removed since"), ("failed", "failed")]
        {
            if number(row, key) > 0 {
                line.push_str(&format!(", {} {what}", number(row, key)));
            }
        }
        line
    };
    let rows = report.get("mailboxes").and_then(Value::as_array).unwrap_or_default();
    for row in rows.iter().filter_map(Value::as_dictionary) {
        let proof = match text(row, "verified").as_str() {
            "YES" => ", verified",
            "NO" => ", NOT verified",
            _ => "",
        };
        put(&format!(
            "{}: {}{proof}, digest {}",
            text(row, "mailbox"),
            line(row),
            text(row, "digest")
        ));
    }
    for remark in report.get("remarks").and_then(Value::as_array).unwrap_or_default() {
        put(remark.as_str().unwrap_or_default());
    }
    put(&format!("{} mailboxes: {}", rows.len(), line(report)));
}
