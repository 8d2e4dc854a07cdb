//! The settings in the manual are those of the program: each declared one has a row, with its
//! default, and no row of settings is left of one that is gone.

#![allow(clippy::unwrap_used, reason = "a test that cannot read the manual should fail")]

use std::collections::BTreeMap;
use std::path::Path;

use angarium_objects::settings::{Scope, Setting};

const SCOPES: [(&str, Scope); 11] = [
    ("account", Scope::Account),
    ("domain", Scope::Domain),
    ("server", Scope::Server),
    ("Router", Scope::Router),
    ("any module", Scope::Module),
    ("SMTP", Scope::Smtp),
    ("Queue", Scope::Queue),
    ("LOCAL", Scope::Local),
    ("PIPE", Scope::Pipe),
    ("Protection", Scope::Protection),
    ("list", Scope::List),
];

/// The head of a table whose third column is the default.
const HEAD: &str = "| setting | values | default | who | meaning |";

/// The rows of all tables, and whether they have a default.
fn manual() -> Vec<(bool, String)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/manual");
    let mut rows = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "md") {
            let text = std::fs::read_to_string(&path).unwrap();
            let mut with_default = false;
            for line in text.lines() {
                if line.starts_with("| `") {
                    rows.push((with_default, line.to_owned()));
                } else if !line.starts_with("|-") {
                    with_default = line == HEAD;
                }
            }
        }
    }
    rows
}

/// The cells of a row, without the marks of code.
fn cells(row: &str) -> Vec<String> {
    let inner = row.trim().trim_start_matches('|').trim_end_matches('|');
    inner.split(" | ").map(|cell| cell.trim().replace('`', "")).collect()
}

/// A default as it is written in a table.
fn written(setting: &Setting) -> Vec<String> {
    let Some(default) = setting.default else { return vec!["–".to_owned()] };
    let bare = default.trim_matches('"').trim_start_matches('#').to_owned();
    let mut all = vec![default.to_owned(), bare.clone()];
    match bare.as_str() {
        "" => all.push("(empty)".to_owned()),
        "-1" => all.push("unlimited".to_owned()),
        _ => {}
    }
    all
}

#[test]
fn every_declared_setting_stands_in_the_manual_with_its_default() {
    let mut rows: BTreeMap<String, Vec<(bool, Vec<String>)>> = BTreeMap::new();
    for (with_default, row) in manual() {
        let cells = cells(&row);
        if let Some(key) = cells.first().cloned() {
            rows.entry(key).or_default().push((with_default, cells));
        }
    }
    let mut wrong = Vec::new();
    for (name, scope) in SCOPES {
        for setting in scope.lists().iter().flat_map(|list| list.iter()) {
            let Some(found) = rows.get(setting.key) else {
                wrong.push(format!(
                    "{name}: {} ({}; default {:?}): {}",
                    setting.key,
                    setting.kind.expected(),
                    setting.default,
                    setting.text
                ));
                continue;
            };
            let tables: Vec<&Vec<String>> =
                found.iter().filter(|(with, _)| *with).map(|(_, cells)| cells).collect();
            let expected = written(setting);
            let same = |cells: &&&Vec<String>| {
                cells.get(2).is_some_and(|cell| expected.contains(cell) || cell.contains("that of"))
            };
            if !tables.is_empty() && tables.iter().filter(same).count() == 0 {
                wrong.push(format!(
                    "{name}: the default of {} is {:?}, not {:?}",
                    setting.key,
                    setting.default,
                    tables.iter().filter_map(|cells| cells.get(2)).collect::<Vec<_>>()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "docs/manual/settings.md:\n{}", wrong.join("\n"));
}

#[test]
fn no_setting_stands_in_a_table_twice() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/manual/settings.md");
    let text = std::fs::read_to_string(directory).unwrap();
    let mut twice = Vec::new();
    for part in text.split("\n#") {
        let mut seen = Vec::new();
        for row in part.lines().filter(|line| line.starts_with("| `")) {
            let key = cells(row).remove(0);
            if seen.contains(&key) {
                twice.push(key.clone());
            }
            seen.push(key);
        }
    }
    assert!(twice.is_empty(), "{}", twice.join(", "));
}
