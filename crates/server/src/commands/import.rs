//! Import of accounts from a tab-delimited list (`reference/accounts-and-domains.md` section 12):
//! each line stands alone, and what could not be done is told by line number.

use std::io;
use std::path::Path;

use angarium_accounts::{Dictionary, Value};
use angarium_objects::text;

use super::objects::object;
use super::output::put;
use super::{REFUSED, directory};
use crate::administration::{Administrator, Answer, parameter};
use crate::arguments::Base;

/// Largest list, octets.
const LARGEST: u64 = 256 << 20;
/// Columns of the copy programs that mean nothing here.
const IGNORED: &[&str] =
    &["limit", "newname", "newpassword", "password type", "storage", "telnums"];

/// How the list is taken.
pub(super) struct How {
    pub(super) domain: Option<String>,
    pub(super) check_only: bool,
    pub(super) stop_at_first_error: bool,
}

/// One account as a line describes it.
#[derive(Debug, Default)]
struct Line {
    name: String,
    password: Option<String>,
    unix_password: Option<String>,
    kind: Option<String>,
    aliases: Vec<String>,
    mailboxes: Vec<String>,
    settings: Dictionary,
}

pub(super) fn run(base: &Base, file: &Path, how: &How) -> io::Result<u8> {
    let size = std::fs::metadata(file)?.len();
    if size > LARGEST {
        return Err(io::Error::other(format!("{}: larger than {LARGEST} bytes", file.display())));
    }
    let (list, remark) = decoded(std::fs::read(file)?);
    let mut lines = list.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let Some((_, header)) = lines.next() else {
        return Err(io::Error::other(format!("{}: empty", file.display())));
    };
    let columns: Vec<String> = header.split('\t').map(|c| c.trim().to_owned()).collect();
    if !columns.iter().any(|c| c.eq_ignore_ascii_case("name")) {
        return Err(io::Error::other("the first line must name the fields, Name among them"));
    }
    let mut server = Administrator::reach(&directory(base)?)?;
    let mut report = Report { remarks: remark.into_iter().collect(), ..Report::default() };
    for (number, line) in lines {
        let outcome = take(&columns, line, how).and_then(|line| {
            if how.check_only {
                checked(&mut server, &line)
            } else {
                created(&mut server, &line, &mut report.remarks)
            }
        });
        match outcome {
            Ok(()) => report.done += 1,
            Err(reason) => {
                let name = line.split('\t').next().unwrap_or_default().to_owned();
                report.failed.push((number + 1, name, reason));
                if how.stop_at_first_error {
                    break;
                }
            }
        }
    }
    Ok(report.show(base, how.check_only))
}

/// UTF-8, or ISO-8859-1 for the whole file, without a byte order mark.
fn decoded(bytes: Vec<u8>) -> (String, Option<String>) {
    match String::from_utf8(bytes) {
        Ok(text) => (text.trim_start_matches('\u{feff}').to_owned(), None),
        Err(e) => {
            let text = e.into_bytes().into_iter().map(char::from).collect();
            (text, Some("the file is not UTF-8 and was read as ISO-8859-1".to_owned()))
        }
    }
}

fn take(columns: &[String], line: &str, how: &How) -> Result<Line, String> {
    let mut taken = Line::default();
    for (column, cell) in columns.iter().zip(line.split('\t')) {
        let cell = cell.trim_end_matches('\r').trim_matches(' ');
        let lower = column.to_ascii_lowercase();
        if cell.is_empty() || IGNORED.contains(&lower.as_str()) {
            continue;
        }
        let names = || cell.split(',').map(|n| n.trim().to_owned()).filter(|n| !n.is_empty());
        match lower.as_str() {
            "name" => taken.name = cell.to_owned(),
            "password" => taken.password = Some(cell.to_owned()),
            "unixpassword" => taken.unix_password = Some(cell.to_owned()),
            "type" => taken.kind = Some(cell.to_owned()),
            "aliases" => taken.aliases = names().collect(),
            "mailboxes" => taken.mailboxes = names().collect(),
            "realname" => {
                taken.settings.insert("RealName".into(), cell.into());
            }
            _ => {
                taken.settings.insert(column.clone(), object(cell));
            }
        }
    }
    if taken.name.is_empty() {
        return Err("the field Name is empty".into());
    }
    if let (Some(domain), false) = (&how.domain, taken.name.contains('@')) {
        taken.name = format!("{}@{domain}", taken.name);
    }
    Ok(taken)
}

/// Executes a command; its failure as text.
fn done(server: &mut Administrator, line: &str) -> Result<Option<Value>, String> {
    match server.execute(line) {
        Ok(Answer::Done(value)) => Ok(value),
        Ok(Answer::Failed(code, text)) => Err(format!("{text} ({code})")),
        Err(e) => Err(e.to_string()),
    }
}

fn checked(server: &mut Administrator, line: &Line) -> Result<(), String> {
    let route = format!("GetAccountSettings {}", parameter(&line.name));
    match server.execute(&route) {
        Ok(Answer::Failed(513, _)) => Ok(()),
        Ok(Answer::Failed(code, text)) => Err(format!("{text} ({code})")),
        Ok(Answer::Done(_)) => Err("account with this name already exists (520)".into()),
        Err(e) => Err(e.to_string()),
    }
}

fn created(
    server: &mut Administrator,
    line: &Line,
    remarks: &mut Vec<String>,
) -> Result<(), String> {
    let mut settings = line.settings.clone();
    if let Some(hash) = &line.unix_password {
        settings.insert("Password".into(), Value::String(format!("\u{2}{hash}")));
        if line.password.is_some() {
            remarks.push(format!("{}: UnixPassword is taken, Password is not", line.name));
        }
    }
    let name = parameter(&line.name);
    let kind = line.kind.as_deref().unwrap_or("MultiMailbox");
    let settings = text::line_text(&Value::Dictionary(settings));
    done(server, &format!("CreateAccount {name} {} {settings}", parameter(kind)))?;
    let rest = rest_of(server, line, &name);
    if rest.is_err() {
        // No half account stays behind (ABU-67).
        done(server, &format!("DeleteAccount {name}"))?;
    }
    rest
}

fn rest_of(server: &mut Administrator, line: &Line, name: &str) -> Result<(), String> {
    if let (Some(password), None) = (&line.password, &line.unix_password) {
        done(server, &format!("SetAccountPassword {name} PASSWORD {}", parameter(password)))?;
    }
    if !line.aliases.is_empty() {
        let all = Value::Array(line.aliases.iter().cloned().map(Value::String).collect());
        done(server, &format!("SetAccountAliases {name} {}", text::line_text(&all)))?;
    }
    for mailbox in &line.mailboxes {
        done(server, &format!("CreateMailbox {name} MAILBOX {}", parameter(mailbox)))?;
    }
    Ok(())
}

#[derive(Default)]
struct Report {
    done: usize,
    failed: Vec<(usize, String, String)>,
    remarks: Vec<String>,
}

impl Report {
    fn show(&self, base: &Base, check_only: bool) -> u8 {
        if base.json {
            let failed: Vec<_> = self
                .failed
                .iter()
                .map(|(line, name, reason)| {
                    serde_json::json!({ "line": line, "name": name, "reason": reason })
                })
                .collect();
            let json = serde_json::json!({ "ok": failed.is_empty(), "done": self.done,
                "failed": failed, "remarks": self.remarks, "check_only": check_only });
            put(&json.to_string());
        } else {
            for (line, name, reason) in &self.failed {
                put(&format!("line {line}: {name}: {reason}"));
            }
            for remark in &self.remarks {
                put(remark);
            }
            let word = if check_only { "can be made" } else { "made" };
            put(&format!("{} accounts {word}, {} lines failed", self.done, self.failed.len()));
        }
        if self.failed.is_empty() { 0 } else { REFUSED }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(columns: &str, cells: &str) -> Result<Line, String> {
        let columns: Vec<String> = columns.split('\t').map(str::to_owned).collect();
        let how =
            How { domain: Some("d.example".into()), check_only: false, stop_at_first_error: false };
        take(&columns, cells, &how)
    }

    #[test]
    fn sys_35_columns_are_taken_by_name_in_any_case() {
        let taken = line(
            "Name\tPASSWORD\trealNAME\tMaxAccountSize\tLimit\tAliases",
            "joe\tsecret\tJoe Doe\t10M\t10K\ta, b",
        )
        .unwrap();
        assert_eq!(taken.name, "joe@d.example");
        assert_eq!(taken.password.as_deref(), Some("secret"));
        assert_eq!(taken.settings["RealName"], "Joe Doe".into());
        assert_eq!(taken.settings["MaxAccountSize"], "10M".into());
        assert!(!taken.settings.contains_key("Limit"));
        assert_eq!(taken.aliases, ["a", "b"]);
        assert!(line("Name\tPassword", "\tx").is_err());
    }

    #[test]
    fn a_list_that_is_not_utf_8_is_read_as_latin_1() {
        let (text, remark) = decoded(b"Name\nM\xfcller\n".to_vec());
        assert_eq!(text, "Name\nMüller\n");
        assert!(remark.is_some());
        assert_eq!(decoded("\u{feff}Name".into()).0, "Name");
    }
}
