//! `angarium settings`: every setting with its value, where that comes from, its range and what it
//! means; and changing settings of any object.

use std::io;
use std::path::Path;

use angarium_accounts::{Dictionary, SettingsOf, Value};
use angarium_objects::configuration::is_secret;
use angarium_objects::settings::{DEFAULT_WORD, module_names};
use angarium_objects::text;

use super::objects::object;
use super::output::{put, show, tell};
use super::{REFUSED, directory};
use crate::administration::{Administrator, Answer, parameter};
use crate::arguments::Base;
use crate::first_start::first_line;
use crate::json;

/// What is shown.
pub(crate) struct Shown<'a> {
    /// Whose settings; none for everything server-wide.
    pub(crate) scope: Option<&'a str>,
    /// Only this setting.
    pub(crate) key: Option<&'a str>,
    /// Only those that somebody set.
    pub(crate) set_only: bool,
}

/// The scopes that are shown when none is named.
fn server_wide() -> Vec<String> {
    let fixed = ["server", "router", "domains", "accounts"];
    let modules = module_names().iter().map(|name| format!("module:{name}"));
    fixed.iter().map(|name| (*name).to_owned()).chain(modules).collect()
}

pub(super) fn run(base: &Base, shown: &Shown<'_>) -> io::Result<u8> {
    let mut to = Administrator::reach(&directory(base)?)?;
    let scopes = shown.scope.map_or_else(server_wide, |scope| vec![scope.to_owned()]);
    let several = scopes.len() > 1;
    let mut found = false;
    let mut told = Vec::new();
    for scope in &scopes {
        let all = match to.execute(&format!("SETTINGS {}", parameter(scope)))? {
            Answer::Done(Some(Value::Array(all))) => all,
            answer => return Ok(show(base, answer, "")),
        };
        let wanted: Vec<&Dictionary> = all
            .iter()
            .filter_map(Value::as_dictionary)
            .filter(|one| shown.key.is_none_or(|key| same(one, "Key", key)))
            .filter(|one| !shown.set_only || !same(one, "From", "built-in"))
            .collect();
        found |= !wanted.is_empty();
        if base.json {
            told.extend(wanted.iter().map(|one| {
                let mut row = (*one).clone();
                row.insert("Scope".into(), Value::from(scope.as_str()));
                json::of(&Value::Dictionary(row))
            }));
            continue;
        }
        if several && !wanted.is_empty() {
            put(&format!("[{scope}]"));
        }
        wanted.iter().for_each(|one| print(one));
    }
    if base.json {
        put(&serde_json::json!({ "ok": true, "value": told }).to_string());
    }
    if let (Some(key), false) = (shown.key, found) {
        tell(&format!("angarium: there is no setting {key} here"));
        return Ok(REFUSED);
    }
    Ok(0)
}

fn same(one: &Dictionary, key: &str, wanted: &str) -> bool {
    one.get(key).and_then(Value::as_str).is_some_and(|value| value.eq_ignore_ascii_case(wanted))
}

fn print(one: &Dictionary) {
    let word = |key: &str| one.get(key).and_then(Value::as_str).unwrap_or_default();
    let value = one.get("Value").map_or_else(|| "(none)".to_owned(), text::line_text);
    put(&format!("{} = {value}    [{}]", word("Key"), word("From")));
    if one.contains_key("Meaning") {
        let kept = if same(one, "Effect", "works") { "" } else { " Kept without effect." };
        put(&format!("    {} ({}){kept}", word("Meaning"), word("Range")));
    } else {
        put("    Not known here: kept as it is.");
    }
}

/// Settings to be changed: `KEY=VALUE` words, or one key whose value stands in a file.
pub(crate) struct Changes<'a> {
    pub(crate) words: &'a [String],
    pub(crate) value_file: Option<&'a Path>,
}

pub(super) fn set(base: &Base, scope: &str, changes: &Changes<'_>) -> io::Result<u8> {
    let refuse = |why: &str| {
        tell(&format!("angarium: {why}"));
        Ok(REFUSED)
    };
    let mut all = Dictionary::new();
    for word in changes.words {
        match (word.split_once('='), changes.value_file) {
            (None, Some(file)) if changes.words.len() == 1 => {
                all.insert(word.clone(), Value::String(first_line(file)?));
            }
            (Some((key, value)), None) => {
                let removed = value.eq_ignore_ascii_case(DEFAULT_WORD);
                if is_secret(key) && !removed {
                    let why = format!(
                        "{key} is a secret, which does not belong on a command line: \
                         write its name alone and --value-file FILE"
                    );
                    return refuse(&why);
                }
                all.insert(key.to_owned(), object(value));
            }
            _ => {
                return refuse(
                    "write KEY=VALUE, KEY=default to remove a setting, or one KEY and \
                     --value-file FILE",
                );
            }
        }
    }
    let of = SettingsOf::read(scope);
    let mut to = Administrator::reach(&directory(base)?)?;
    if of == SettingsOf::Router {
        // The command replaces; what is not named stays.
        let Answer::Done(Some(Value::Dictionary(mut old))) = to.execute("GetRouterSettings")?
        else {
            return refuse("the Router's settings cannot be read");
        };
        old.extend(all);
        all = old;
    }
    let settings = text::line_text(&Value::Dictionary(all.clone()));
    let line = match &of {
        SettingsOf::Server => format!("UpdateServerSettings {settings}"),
        SettingsOf::Router => format!("SetRouterSettings {settings}"),
        SettingsOf::Domains => format!("UpdateDomainDefaults {settings}"),
        SettingsOf::Accounts => format!("UpdateServerAccountDefaults {settings}"),
        SettingsOf::Module(name) => format!("UpdateModule {} {settings}", parameter(name)),
        SettingsOf::Domain(name) => {
            format!("UpdateDomainSettings {} {settings}", parameter(name))
        }
        SettingsOf::Defaults(name) => {
            format!("UpdateAccountDefaults {} {settings}", parameter(name))
        }
        SettingsOf::Template(name) => {
            format!("UpdateAccountTemplate {} {settings}", parameter(name))
        }
        SettingsOf::Account(name) => {
            format!("UpdateAccountSettings {} {settings}", parameter(name))
        }
    };
    let answer = to.execute(&line)?;
    if matches!(answer, Answer::Done(_)) {
        for key in all.keys().filter(|key| of.scope().find(key).is_none()) {
            tell(&format!("angarium: {key} is not known here: kept without effect"));
        }
    }
    Ok(show(base, answer, "done"))
}
