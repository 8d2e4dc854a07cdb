//! `angarium takeover status`: who has arrived, how far the copies are, what is left.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use angarium_accounts::{Dictionary, Value};
use clap::Args;

use super::dictionary;
use crate::administration::{Administrator, Answer};
use crate::arguments::Base;
use crate::commands::directory;
use crate::commands::output::put;
use crate::json;

/// Largest list of names, octets.
const MAX_LIST: u64 = 64 << 20;

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// The domain (default: every domain with an old server).
    domain: Option<String>,
    /// Names that are to come: a table as for `angarium import`, or a name a line.
    #[arg(long, value_name = "FILE")]
    list: Option<PathBuf>,
    /// One line an account.
    #[arg(long)]
    all: bool,
}

/// States of an account, in the order they are shown.
pub(super) const STATES: [(&str, &str); 8] = [
    ("waiting", "made by mail, the owner has not come yet"),
    ("to copy", "arrived, the copy waits for room"),
    ("copying", "being copied"),
    ("copied", "arrived, the mail is here"),
    ("trouble", "arrived, the copy is not complete"),
    ("listed", "arrived, stands in the list for MoveAccounts"),
    ("arrived", "arrived"),
    ("own", "with a password from elsewhere"),
];

/// How far a domain is.
pub(super) struct Standing {
    /// Accounts by name.
    pub(super) accounts: Dictionary,
    /// The old server, if there is one.
    pub(super) server: String,
}

impl Standing {
    /// The standing of a domain; the exit code when it cannot be had.
    pub(super) fn of(
        base: &Base,
        to: &mut Administrator,
        domain: &str,
    ) -> io::Result<Result<Self, u8>> {
        Ok(dictionary(base, to, &format!("TAKEOVER STATUS {domain}"))?.map(|mut all| Self {
            server: all.get("Server").and_then(Value::as_str).unwrap_or_default().to_owned(),
            accounts: match all.remove("Accounts") {
                Some(Value::Dictionary(accounts)) => accounts,
                _ => Dictionary::new(),
            },
        }))
    }

    /// The state of an account.
    pub(super) fn state(account: &Value) -> &str {
        let all = account.as_dictionary();
        all.and_then(|all| all.get("State")).and_then(Value::as_str).unwrap_or_default()
    }

    /// A number of an account.
    pub(super) fn number(account: &Value, key: &str) -> i64 {
        let all = account.as_dictionary();
        all.and_then(|all| all.get(key)).and_then(Value::as_number).unwrap_or_default()
    }

    /// Accounts by state.
    pub(super) fn counts(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for account in self.accounts.values() {
            *counts.entry(Self::state(account)).or_default() += 1;
        }
        counts
    }

    fn sum(&self, key: &str) -> i64 {
        self.accounts.values().map(|account| Self::number(account, key)).sum()
    }
}

/// Local names of a list: the field `NewName` or `Name` of a table, or a name a line.
fn names(text: &str) -> Vec<String> {
    let mut lines = text.trim_start_matches('\u{feff}').lines();
    let head: Vec<String> =
        text.lines().next().unwrap_or_default().split('\t').map(str::to_lowercase).collect();
    let column = |name: &str| head.iter().position(|field| field.trim() == name);
    let column = column("newname").or_else(|| column("name"));
    if column.is_some() {
        lines.next();
    }
    let local = |line: &str| {
        let cell = line.split('\t').nth(column.unwrap_or(0)).unwrap_or_default().trim();
        let name = cell.split('@').next().unwrap_or_default().to_lowercase();
        (!name.is_empty()).then_some(name)
    };
    lines.filter_map(local).collect()
}

fn day(seconds: i64) -> String {
    match jiff::Timestamp::from_second(seconds) {
        Ok(moment) if seconds > 0 => moment.strftime("%Y-%m-%d %H:%M").to_string(),
        _ => "never".to_owned(),
    }
}

/// Shows it.
pub(super) fn run(base: &Base, wanted: &Status) -> io::Result<u8> {
    let mut to = Administrator::reach(&directory(base)?)?;
    let expected = match &wanted.list {
        None => Vec::new(),
        Some(path) => {
            if std::fs::metadata(path)?.len() > MAX_LIST {
                return Err(io::Error::other(format!("{} is too large", path.display())));
            }
            names(&std::fs::read_to_string(path)?)
        }
    };
    let domains = match &wanted.domain {
        Some(domain) => vec![domain.clone()],
        None => match to.execute("ListDomains")? {
            Answer::Done(Some(Value::Array(all))) => {
                all.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect()
            }
            _ => Vec::new(),
        },
    };
    let mut told = serde_json::Map::new();
    for domain in domains {
        let standing = match Standing::of(base, &mut to, &domain)? {
            Ok(standing) => standing,
            Err(code) => return Ok(code),
        };
        if wanted.domain.is_none() && standing.server.is_empty() {
            continue;
        }
        let missing: Vec<&String> = expected
            .iter()
            .filter(|name| {
                let account = standing.accounts.get(*name);
                account.is_none_or(|account| Standing::state(account) == "waiting")
            })
            .collect();
        if base.json {
            let one = serde_json::json!({
                "server": standing.server,
                "counts": standing.counts(),
                "messages": standing.sum("Messages"),
                "octets": standing.sum("Octets"),
                "missing": missing,
                "accounts": json::of(&Value::Dictionary(standing.accounts.clone())),
            });
            told.insert(domain, one);
        } else {
            show(&domain, &standing, &missing, wanted);
        }
    }
    if base.json {
        put(&serde_json::json!({ "ok": true, "domains": told }).to_string());
    }
    Ok(0)
}

fn show(domain: &str, standing: &Standing, missing: &[&String], wanted: &Status) {
    let from = match standing.server.as_str() {
        "" => "no old server".to_owned(),
        server => format!("old server {server}"),
    };
    put(&format!("{domain}: {} accounts, {from}", standing.accounts.len()));
    let counts = standing.counts();
    for (state, what) in STATES {
        if let Some(count) = counts.get(state) {
            put(&format!("  {count:>9}  {state:<8} {what}"));
        }
    }
    put(&format!(
        "  {} messages, {} octets copied",
        standing.sum("Messages"),
        standing.sum("Octets")
    ));
    for (name, account) in &standing.accounts {
        let state = Standing::state(account);
        if wanted.all {
            put(&format!(
                "  {name:<24} {state:<8} proved {}, last copy {}, {} messages",
                day(Standing::number(account, "Proved")),
                day(Standing::number(account, "LastCopy")),
                Standing::number(account, "Messages"),
            ));
        }
        let trouble = account.as_dictionary().and_then(|all| all.get("Trouble"));
        if let Some(trouble) = trouble.and_then(Value::as_str).filter(|_| state == "trouble") {
            put(&format!("  {name}: {trouble}"));
        }
    }
    for name in missing {
        put(&format!("  {name}: has not arrived"));
    }
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn names_come_from_tables_and_plain_lists() {
        assert_eq!(names("Joe\njim@a.dom\n\n"), ["joe", "jim"]);
        assert_eq!(names("Password\tName\r\nx\tjoe\r\ny\tjim\r\n"), ["joe", "jim"]);
        assert_eq!(names("Name\tPassword\tNewName\nold\tx\tjoe@a.dom\n"), ["joe"]);
    }
}
