//! Domains, accounts, passwords, aliases: each subcommand is one command of the CLI.

use std::io::{self, Write};
use std::path::Path;

use angarium_accounts::{Dictionary, Value};
use angarium_objects::text;

use super::output::{ask, show, tell};
use super::{REFUSED, directory};
use crate::administration::{Administrator, Answer, parameter};
use crate::arguments::{AccountAction, AliasAction, Base, DomainAction};
use crate::first_start::first_line;

pub(super) fn domain(base: &Base, action: DomainAction) -> io::Result<u8> {
    let mut to = Administrator::reach(&directory(base)?)?;
    let line = match action {
        DomainAction::List => "ListDomains".to_owned(),
        DomainAction::Create { name } => format!("CreateDomain {}", parameter(&name)),
        DomainAction::Rename { from, to } => {
            format!("RenameDomain {} into {}", parameter(&from), parameter(&to))
        }
        DomainAction::Delete { name, force } => {
            format!("DeleteDomain {}{}", parameter(&name), if force { " force" } else { "" })
        }
        DomainAction::Show { name, explicit } => {
            let verb = if explicit { "GetDomainSettings" } else { "GetDomainEffectiveSettings" };
            format!("{verb} {}", parameter(&name))
        }
        DomainAction::Set { name, settings } => {
            let Some(settings) = pairs(&settings) else { return Ok(REFUSED) };
            format!("UpdateDomainSettings {} {settings}", parameter(&name))
        }
        DomainAction::Aliases { name, aliases } if aliases.is_empty() => {
            format!("GetDomainAliases {}", parameter(&name))
        }
        DomainAction::Aliases { name, aliases } => {
            format!("SetDomainAliases {} {}", parameter(&name), array(&aliases))
        }
    };
    ask(&mut to, base, &line, "done")
}

pub(super) fn account(base: &Base, action: AccountAction) -> io::Result<u8> {
    let mut to = Administrator::reach(&directory(base)?)?;
    let line = match action {
        AccountAction::List { domain } => match domain {
            Some(domain) => format!("ListAccounts {}", parameter(&domain)),
            None => "ListAccounts".to_owned(),
        },
        AccountAction::Create { name, password_file, settings } => {
            let Some(settings) = pairs(&settings) else { return Ok(REFUSED) };
            let line = format!("CreateAccount {} {settings}", parameter(&name));
            return create(base, &mut to, &name, &line, password_file.as_deref());
        }
        AccountAction::Rename { from, to } => {
            format!("RenameAccount {} into {}", parameter(&from), parameter(&to))
        }
        AccountAction::Delete { name } => format!("DeleteAccount {}", parameter(&name)),
        AccountAction::Show { name, explicit } => {
            let verb = if explicit { "GetAccountSettings" } else { "GetAccountEffectiveSettings" };
            format!("{verb} {}", parameter(&name))
        }
        AccountAction::Set { name, settings } => {
            let Some(settings) = pairs(&settings) else { return Ok(REFUSED) };
            format!("UpdateAccountSettings {} {settings}", parameter(&name))
        }
    };
    ask(&mut to, base, &line, "done")
}

fn create(
    base: &Base,
    to: &mut Administrator,
    name: &str,
    line: &str,
    password_file: Option<&Path>,
) -> io::Result<u8> {
    // Read first: an account must not be left behind without the password it was to have.
    let password = password_file.map(read_password).transpose()?;
    let answer = to.execute(line)?;
    if matches!(answer, Answer::Failed(..)) || password.is_none() {
        return Ok(show(base, answer, "done; set a password with: angarium password ACCOUNT"));
    }
    let password = password.unwrap_or_default();
    let line = format!("SetAccountPassword {} PASSWORD {}", parameter(name), parameter(&password));
    ask(to, base, &line, "done")
}

pub(super) fn password(base: &Base, account: &str, file: Option<&Path>) -> io::Result<u8> {
    let mut to = Administrator::reach(&directory(base)?)?;
    let password = read_password(file.unwrap_or(Path::new("-")))?;
    let line =
        format!("SetAccountPassword {} PASSWORD {}", parameter(account), parameter(&password));
    ask(&mut to, base, &line, "password set")
}

fn read_password(path: &Path) -> io::Result<String> {
    use std::io::IsTerminal;
    if path == Path::new("-") && io::stdin().is_terminal() {
        return from_terminal();
    }
    first_line(path)
}

/// Reads a password from the terminal without showing it.
fn from_terminal() -> io::Result<String> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    let _ = write!(io::stderr().lock(), "Password: ");
    let input = io::stdin();
    let before = tcgetattr(&input)?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&input, OptionalActions::Flush, &silent)?;
    let read = first_line(Path::new("-"));
    tcsetattr(&input, OptionalActions::Flush, &before)?;
    tell("");
    read
}

pub(super) fn alias(base: &Base, action: AliasAction) -> io::Result<u8> {
    let mut to = Administrator::reach(&directory(base)?)?;
    let (account, alias, add) = match action {
        AliasAction::List { account } => {
            let line = format!("GetAccountAliases {}", parameter(&account));
            return ask(&mut to, base, &line, "");
        }
        AliasAction::Add { account, alias } => (account, alias, true),
        AliasAction::Remove { account, alias } => (account, alias, false),
    };
    let mut aliases: Vec<String> =
        match to.execute(&format!("GetAccountAliases {}", parameter(&account)))? {
            Answer::Done(Some(Value::Array(all))) => {
                all.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect()
            }
            Answer::Done(_) => Vec::new(),
            failed @ Answer::Failed(..) => return Ok(show(base, failed, "")),
        };
    aliases.retain(|one| !one.eq_ignore_ascii_case(&alias));
    if add {
        aliases.push(alias);
    }
    let line = format!("SetAccountAliases {} {}", parameter(&account), array(&aliases));
    ask(&mut to, base, &line, "done")
}

pub(super) fn cli(base: &Base, words: &[String]) -> io::Result<u8> {
    let mut to = Administrator::reach(&directory(base)?)?;
    ask(&mut to, base, &words.join(" "), "OK")
}

fn array(names: &[String]) -> String {
    text::line_text(&Value::Array(names.iter().cloned().map(Value::String).collect()))
}

/// `KEY=VALUE` words as a dictionary. A value that reads as an array, dictionary, datablock or
/// number object is one; anything else is a string.
fn pairs(words: &[String]) -> Option<String> {
    let mut all = Dictionary::new();
    for word in words {
        let Some((key, value)) = word.split_once('=') else {
            tell(&format!(
                "angarium: \"{word}\": write KEY=VALUE, or KEY=default to remove a setting"
            ));
            return None;
        };
        all.insert(key.to_owned(), object(value));
    }
    Some(text::line_text(&Value::Dictionary(all)))
}

/// A setting's value as written by hand.
pub(super) fn object(value: &str) -> Value {
    if value.starts_with(['(', '{', '[', '#', '"'])
        && let Ok(object) = text::parse_line(value)
    {
        return object;
    }
    Value::String(value.to_owned())
}
