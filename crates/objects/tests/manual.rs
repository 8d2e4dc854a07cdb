//! The manual and the declarations say the same: every setting has a row in the settings reference,
//! and no row is of a setting that is not there.

use angarium_objects::settings::{Effect, Scope, Setting};

const REFERENCE: &str = include_str!("../../../docs/manual/settings.md");

/// All families.
const SCOPES: [Scope; 10] = [
    Scope::Account,
    Scope::Domain,
    Scope::Server,
    Scope::Router,
    Scope::Module,
    Scope::Smtp,
    Scope::Queue,
    Scope::Local,
    Scope::Pipe,
    Scope::Protection,
];

/// A row as the manual would have it, but for the sign of who may change it.
fn wanted(setting: &Setting) -> String {
    let default = match setting.default {
        None => "–".to_owned(),
        Some("\"\"") => "(empty)".to_owned(),
        Some(default) => format!("`{default}`"),
    };
    let (key, text) = (setting.key, setting.text);
    format!("| `{key}` | {} | {default} | {:?} | {text} |", setting.kind.expected(), setting.who)
}

#[test]
fn every_declared_setting_stands_in_the_settings_reference() {
    let mut missing = Vec::new();
    for scope in SCOPES {
        for setting in scope.lists().iter().flat_map(|list| list.iter()) {
            // What is only kept may stand in a sentence.
            let form = match setting.effect {
                Effect::Now => format!("\n| `{}` |", setting.key),
                Effect::Kept => format!("`{}`", setting.key),
            };
            if !REFERENCE.contains(&form) {
                missing.push(wanted(setting));
            }
        }
    }
    missing.sort();
    missing.dedup();
    assert!(missing.is_empty(), "docs/manual/settings.md lacks:\n{}", missing.join("\n"));
}

#[test]
fn the_settings_reference_names_nothing_that_is_not_there() {
    let declared = |key: &str| SCOPES.iter().any(|scope| scope.find(key).is_some());
    for line in REFERENCE.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        // Tables of settings have five columns; those of parts of a setting have fewer.
        if cells.len() >= 5 {
            let key = cells[0].trim_matches('`');
            assert!(declared(key), "{key} is declared nowhere");
        }
    }
}
