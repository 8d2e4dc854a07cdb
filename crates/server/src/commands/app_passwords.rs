//! `angarium app-password`: application passwords of an account. A new one is made here, shown once
//! and kept nowhere but as a hash.

use std::io;

use angarium_accounts::{Dictionary, Value};
use angarium_objects::text;
use clap::Subcommand;

use super::output::{ask, put, show, tell};
use super::{REFUSED, directory};
use crate::administration::{Administrator, Answer, parameter};
use crate::arguments::Base;
use crate::first_start::random_password;

#[derive(Debug, Subcommand)]
pub(crate) enum AppPasswordAction {
    /// Show the tags with when each was made and last used, and where it lets in.
    List {
        /// Account, such as joe@example.com.
        account: String,
    },
    /// Make a new password and show it, this once.
    Add {
        /// Account, such as joe@example.com.
        account: String,
        /// What it is for, such as phone.
        tag: String,
        /// Let it in by this service alone: IMAP, POP, Relay, WebMail or LDAP; may be repeated.
        #[arg(long, value_name = "NAME")]
        service: Vec<String>,
        /// In place of the one that has this tag.
        #[arg(long)]
        replace: bool,
    },
    /// Take one away; sessions of the account end.
    Remove {
        /// Account, such as joe@example.com.
        account: String,
        /// Its tag.
        tag: String,
    },
}

/// The application passwords of an account by tag, or the exit code of why not.
fn stored(
    base: &Base,
    to: &mut Administrator,
    account: &str,
) -> io::Result<Result<Dictionary, u8>> {
    match to.execute(&format!("GetAccountAppPasswords {}", parameter(account)))? {
        Answer::Done(Some(Value::Dictionary(all))) => Ok(Ok(all)),
        Answer::Done(_) => Ok(Ok(Dictionary::new())),
        failed @ Answer::Failed(..) => Ok(Err(show(base, failed, ""))),
    }
}

pub(super) fn run(base: &Base, action: AppPasswordAction) -> io::Result<u8> {
    let mut to = Administrator::reach(&directory(base)?)?;
    match action {
        AppPasswordAction::List { account } if base.json => {
            let line = format!("GetAccountAppPasswords {}", parameter(&account));
            ask(&mut to, base, &line, "")
        }
        AppPasswordAction::List { account } => {
            let all = match stored(base, &mut to, &account)? {
                Ok(all) => all,
                Err(code) => return Ok(code),
            };
            for (tag, facts) in &all {
                put(&line_of(tag, facts));
            }
            Ok(0)
        }
        AppPasswordAction::Add { account, tag, service, replace } => {
            add(base, &mut to, (&account, &tag), &service, replace)
        }
        AppPasswordAction::Remove { account, tag } => {
            let (account, tag) = (parameter(&account), parameter(&tag));
            let line = format!("SetAccountPassword {account} PASSWORD \"\" TAG {tag}");
            ask(&mut to, base, &line, "removed")
        }
    }
}

fn add(
    base: &Base,
    to: &mut Administrator,
    (account, tag): (&str, &str),
    services: &[String],
    replace: bool,
) -> io::Result<u8> {
    let there = match stored(base, to, account)? {
        Ok(all) => all,
        Err(code) => return Ok(code),
    };
    if there.contains_key(tag.trim()) && !replace {
        let why = "there is one with this tag; --replace makes another in its place";
        if base.json {
            put(&serde_json::json!({ "ok": false, "error": why }).to_string());
        }
        tell(&format!("angarium: {why}"));
        return Ok(REFUSED);
    }
    let secret = random_password()?;
    let mut line = format!(
        "SetAccountPassword {} PASSWORD {} TAG {}",
        parameter(account),
        parameter(&secret),
        parameter(tag)
    );
    if !services.is_empty() {
        let words = services.iter().map(|one| Value::from(one.as_str())).collect();
        line = format!("{line} SERVICES {}", text::line_text(&Value::Array(words)));
    }
    match to.execute(&line)? {
        Answer::Done(_) if base.json => {
            let json = serde_json::json!({ "ok": true, "tag": tag, "password": secret });
            put(&json.to_string());
        }
        Answer::Done(_) => {
            put(&secret);
            tell("angarium: this is shown once only; the dashes are part of it");
        }
        failed @ Answer::Failed(..) => return Ok(show(base, failed, "")),
    }
    Ok(0)
}

/// One tag for people.
fn line_of(tag: &str, facts: &Value) -> String {
    let none = Dictionary::new();
    let facts = facts.as_dictionary().unwrap_or(&none);
    let time = |key: &str| match facts.get(key) {
        Some(time @ Value::Time(_)) => text::line_text(time).trim_start_matches("#T").to_owned(),
        _ => "never".to_owned(),
    };
    let services = match facts.get("Services") {
        Some(Value::Array(words)) => {
            words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
        }
        _ => "all services".to_owned(),
    };
    format!("{tag}: made {}, last used {}, {services}", time("Created"), time("LastUsed"))
}
