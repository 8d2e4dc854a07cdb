//! `angarium import calendar`, `contacts` and `calendars`: asks the process that has the store open
//! to read the files, and shows what came of each.

use std::io;
use std::path::{Path, PathBuf};

use angarium_accounts::{Dictionary, Value};
use angarium_objects::import::shown;
use angarium_objects::import::table::tab_cell;
use clap::Args;

use super::lines::Lines;
use crate::administration::{Administrator, Answer};
use crate::arguments::Base;
use crate::commands::output::put;
use crate::commands::{REFUSED, directory};

/// Most columns of a list of files.
const MAX_COLUMNS: usize = 64;

/// Arguments of `import calendar` and `import contacts`.
#[derive(Debug, Args)]
pub(crate) struct ItemFile {
    /// The file, readable for the server.
    pub(crate) file: PathBuf,
    /// The account, such as joe@example.com.
    pub(crate) account: String,
    /// The mailbox (default: Calendar, Tasks, Journal or Contacts, by what an object is).
    pub(crate) mailbox: Option<String>,
    /// Read the file and tell what would become of it; change nothing.
    #[arg(long, visible_aliases = ["dry-run", "check-only"])]
    pub(crate) plan: bool,
}

/// Arguments of `import calendars`.
#[derive(Debug, Args)]
pub(crate) struct ItemList {
    /// The list: a table with tabs whose first line names the columns Account, Mailbox and File
    /// (Server and Password are passed over), or lines of server, account, password, mailbox, file.
    pub(crate) list: PathBuf,
    /// Domain of accounts without one (default: the main domain).
    #[arg(long, value_name = "NAME")]
    pub(crate) domain: Option<String>,
    /// Where files lie that the list names without a path from the root (default: beside the list).
    #[arg(long, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
    /// Read the files and tell what would become of them; change nothing.
    #[arg(long, visible_aliases = ["dry-run", "check-only"])]
    pub(crate) plan: bool,
}

pub(super) fn run(base: &Base, file: &ItemFile) -> io::Result<u8> {
    let mut server = Administrator::reach(&directory(base)?)?;
    let into = Place { account: &file.account, mailbox: file.mailbox.as_deref(), plan: file.plan };
    let answer = bring(&mut server, &file.file, &into)?;
    Ok(show(base, None, &file.file, &into, answer))
}

/// Where the objects of a file go.
pub(super) struct Place<'a> {
    pub(super) account: &'a str,
    pub(super) mailbox: Option<&'a str>,
    pub(super) plan: bool,
}

/// Has a file read into an account.
pub(super) fn bring(
    server: &mut Administrator,
    file: &Path,
    into: &Place<'_>,
) -> io::Result<Answer> {
    // The server may run in another directory than this command.
    let path = std::path::absolute(file)?;
    let mut order = Dictionary::new();
    order.insert("path".into(), path.display().to_string().into());
    let target = match into.mailbox.filter(|name| !name.trim().is_empty()) {
        Some(mailbox) => format!("{}/{}", into.account, mailbox.trim()),
        None => into.account.to_owned(),
    };
    order.insert("into".into(), target.into());
    order.insert("items".into(), "YES".into());
    order.insert("dryrun".into(), if into.plan { "YES" } else { "NO" }.into());
    server.import_files(order, &mut |_| {})
}

/// Shows what came of a file; the exit code.
pub(super) fn show(
    base: &Base,
    line: Option<u64>,
    file: &Path,
    into: &Place<'_>,
    answer: Answer,
) -> u8 {
    let before = line.map(|line| format!("line {line}: {}: ", shown(into.account)));
    let before = before.unwrap_or_default();
    let name = shown(&file.display().to_string());
    let report = match answer {
        Answer::Done(Some(Value::Dictionary(report))) => report,
        Answer::Done(_) => Dictionary::new(),
        Answer::Failed(code, why) => {
            if base.json {
                let row = serde_json::json!({ "line": line, "account": into.account, "file": name,
                    "ok": false, "code": code, "reason": why });
                put(&row.to_string());
            } else {
                put(&format!("{before}{}", shown(&why)));
            }
            return REFUSED;
        }
    };
    let number = |row: &Dictionary, key: &str| row.get(key).and_then(Value::as_number).unwrap_or(0);
    let failed = number(&report, "failed");
    let array = |key: &str| report.get(key).and_then(Value::as_array).unwrap_or_default();
    let remarks: Vec<&str> = array("remarks").iter().filter_map(Value::as_str).collect();
    if base.json {
        let row = serde_json::json!({ "line": line, "account": into.account, "file": name,
            "ok": failed == 0, "objects": number(&report, "objects"),
            "added": number(&report, "added"), "replaced": number(&report, "replaced"),
            "there": number(&report, "present"), "newer_there": number(&report, "newerthere"),
            "failed": failed, "remarks": remarks, "check_only": into.plan });
        put(&row.to_string());
        return if failed == 0 { 0 } else { REFUSED };
    }
    for row in array("mailboxes").iter().filter_map(Value::as_dictionary) {
        let mailbox = row.get("mailbox").and_then(Value::as_str).unwrap_or_default();
        let word = if into.plan { "to be added" } else { "added" };
        let mut text = format!("{before}{mailbox}: {} {word}", number(row, "added"));
        for (key, what) in [
            ("replaced", "replaced by newer ones"),
            ("present", "there already"),
            ("newerthere", "newer there"),
            ("failed", "failed"),
        ] {
            if number(row, key) > 0 {
                text.push_str(&format!(", {} {what}", number(row, key)));
            }
        }
        put(&text);
    }
    remarks.iter().for_each(|remark| put(&format!("{before}{name}: {remark}")));
    if failed == 0 { 0 } else { REFUSED }
}

/// A line of the list.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    account: String,
    mailbox: String,
    file: String,
}

/// Which cells of a list are what.
#[derive(Debug, PartialEq, Eq)]
struct Columns {
    account: usize,
    mailbox: Option<usize>,
    file: usize,
}

impl Columns {
    /// The columns of a first line that names them; without names, those of the old script.
    fn of(first: &str) -> (Self, bool) {
        let names: Vec<String> =
            first.split('\t').take(MAX_COLUMNS).map(|n| tab_cell(n).to_ascii_lowercase()).collect();
        let at = |wanted: &[&str]| names.iter().position(|name| wanted.contains(&name.as_str()));
        match (at(&["account", "name", "user"]), at(&["file", "path"])) {
            (Some(account), Some(file)) => {
                (Self { account, mailbox: at(&["mailbox", "folder", "calendar"]), file }, true)
            }
            _ => (Self { account: 1, mailbox: Some(3), file: 4 }, false),
        }
    }

    fn row(&self, line: &str) -> Result<Row, &'static str> {
        let cells: Vec<String> = line.split('\t').take(MAX_COLUMNS).map(tab_cell).collect();
        let cell = |at: usize| cells.get(at).cloned().unwrap_or_default();
        let mailbox = self.mailbox.map(cell).unwrap_or_default();
        let row = Row { account: cell(self.account), mailbox, file: cell(self.file) };
        if row.account.is_empty() || row.file.is_empty() {
            return Err("an account and a file are expected");
        }
        Ok(row)
    }
}

pub(super) fn run_list(base: &Base, list: &ItemList) -> io::Result<u8> {
    let mut lines = Lines::open(&list.list)?;
    let mut server = Administrator::reach(&directory(base)?)?;
    let beside = list.list.parent().unwrap_or(Path::new("")).to_owned();
    let root = list.root.clone().unwrap_or(beside);
    let mut known: Option<Columns> = None;
    let (mut code, mut files) = (0, 0_u64);
    while let Some((number, line)) = lines.next()? {
        let line = line.unwrap_or_default();
        if line.trim().is_empty() {
            continue;
        }
        let (columns, names) = match known.take() {
            Some(columns) => (columns, false),
            None => Columns::of(&line),
        };
        let row = columns.row(&line);
        known = Some(columns);
        if names {
            continue;
        }
        let row = match row {
            Ok(row) => row,
            Err(why) => {
                put(&format!("line {number}: {why}"));
                code = REFUSED;
                continue;
            }
        };
        let account = match &list.domain {
            Some(domain) if !row.account.contains('@') => format!("{}@{domain}", row.account),
            _ => row.account.clone(),
        };
        let into = Place { account: &account, mailbox: Some(&row.mailbox), plan: list.plan };
        let file = root.join(&row.file);
        let answer = bring(&mut server, &file, &into)?;
        code = code.max(show(base, Some(number), &file, &into, answer));
        files += 1;
    }
    if !base.json {
        put(&format!("{files} files"));
    }
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    // MIG-74
    #[test]
    fn mig_74_a_list_names_its_columns_or_has_those_of_the_old_script() {
        let (columns, named) = Columns::of("Account\tPassword\tFile\tMailbox");
        assert!(named);
        let row = columns.row("joe\tx\tjoe.ics\tWork").unwrap();
        assert_eq!(
            (row.account.as_str(), row.mailbox.as_str(), row.file.as_str()),
            ("joe", "Work", "joe.ics")
        );
        let (columns, named) = Columns::of("192.0.2.1\tjoe\tsecret\tCalendar\t/x/joe.ics");
        assert!(!named);
        let row = columns.row("192.0.2.1\tjoe\tsecret\tCalendar\t/x/joe.ics").unwrap();
        assert_eq!((row.account.as_str(), row.file.as_str()), ("joe", "/x/joe.ics"));
        assert!(columns.row("joe").is_err() && columns.row("").is_err());
    }
}
