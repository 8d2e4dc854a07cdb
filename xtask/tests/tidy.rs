//! The rules of the house as ordinary tests: who may use whom, how long a file may be, that each
//! file says what it is for, and that there are no drawers for leftovers.

#![expect(clippy::unwrap_used, reason = "a test that cannot read the tree should fail")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Most lines a source file may have.
const LONGEST_FILE: usize = 620;

/// File names that say nothing about what is inside.
const DRAWERS: &[&str] =
    &["utils", "util", "common", "helpers", "helper", "misc", "stuff", "shared"];

/// The whole table of the house, also for rooms that are not built yet: crate and what it may use.
const EDGES: &[(&str, &[&str])] = &[
    ("message", &[]),
    ("smtp", &["message"]),
    ("imap", &[]),
    ("pop", &[]),
    ("objects", &["message"]),
    ("routing", &["objects", "message"]),
    ("store", &["objects", "message"]),
    ("store-embedded", &["store", "objects", "message"]),
    ("store-cluster", &["store", "objects", "message"]),
    ("accounts", &["store", "routing", "objects", "message"]),
    ("helper-programs", &["accounts", "objects"]),
    (
        "transfer",
        &[
            "helper-programs",
            "accounts",
            "store",
            "routing",
            "smtp",
            "imap",
            "pop",
            "message",
            "objects",
        ],
    ),
    ("access", &["transfer", "accounts", "imap", "pop", "message", "objects"]),
    ("web", &["access", "transfer", "accounts", "message", "objects"]),
    ("migrate", &["imap", "pop", "smtp", "objects", "message"]),
    ("take-over", &["migrate", "accounts", "objects"]),
    (
        "server",
        &[
            "take-over",
            "access",
            "transfer",
            "helper-programs",
            "accounts",
            "store",
            "store-embedded",
            "store-cluster",
            "routing",
            "objects",
            "message",
            "web",
            "migrate",
            "imap",
            "smtp",
            "pop",
        ],
    ),
    ("xtask", &["message"]),
];

/// Crates that must not know a clock, a file or a socket; their lint file says so.
const PURE: &[&str] = &["message", "smtp", "imap", "pop", "objects", "routing"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn sources(under: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(under).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                sources(&path, found);
            }
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
}

fn all_sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    sources(&root().join("crates"), &mut found);
    sources(&root().join("xtask"), &mut found);
    found.sort();
    assert!(found.len() > 20, "the tree was not found");
    found
}

#[test]
fn each_crate_uses_only_what_its_row_of_the_table_allows() {
    let table: BTreeMap<&str, BTreeSet<&str>> =
        EDGES.iter().map(|(name, may)| (*name, may.iter().copied().collect())).collect();
    let metadata = cargo_metadata::MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .unwrap();
    let mut wrong = Vec::new();
    for package in &metadata.packages {
        let Some(name) = package.name.strip_prefix("angarium-") else {
            wrong.push(format!("{} is not named angarium-…", package.name));
            continue;
        };
        let Some(may) = table.get(name) else {
            wrong.push(format!("{name} has no row in the table"));
            continue;
        };
        for dependency in &package.dependencies {
            // Tests may look at anything; the product may not.
            if dependency.kind == cargo_metadata::DependencyKind::Development {
                continue;
            }
            if let Some(used) = dependency.name.strip_prefix("angarium-")
                && !may.contains(used)
            {
                wrong.push(format!("{name} may not use {used}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_file_is_longer_than_a_room() {
    let long: Vec<String> = all_sources()
        .iter()
        .filter_map(|path| {
            let lines = std::fs::read_to_string(path).unwrap().lines().count();
            (lines > LONGEST_FILE).then(|| format!("{}: {lines} lines", path.display()))
        })
        .collect();
    assert!(long.is_empty(), "split these:\n{}", long.join("\n"));
}

#[test]
fn each_file_opens_by_saying_what_it_is_for() {
    let silent: Vec<String> = all_sources()
        .iter()
        .filter(|path| !std::fs::read_to_string(path).unwrap().starts_with("//!"))
        .map(|path| path.display().to_string())
        .collect();
    assert!(silent.is_empty(), "no opening comment:\n{}", silent.join("\n"));
}

#[test]
fn there_are_no_drawers() {
    let drawers: Vec<String> = all_sources()
        .iter()
        .filter(|path| {
            path.components().any(|part| {
                let part = part.as_os_str().to_string_lossy();
                DRAWERS.contains(&part.trim_end_matches(".rs"))
            })
        })
        .map(|path| path.display().to_string())
        .collect();
    assert!(drawers.is_empty(), "name these after what is in them:\n{}", drawers.join("\n"));
}

#[test]
fn the_lint_file_keeps_clock_files_and_sockets_out_of_the_pure_crates() {
    for name in PURE {
        let lints = root().join("crates").join(name).join("clippy.toml");
        let text =
            std::fs::read_to_string(&lints).unwrap_or_else(|e| panic!("{}: {e}", lints.display()));
        for kept_out in ["SystemTime", "Instant", "std::fs", "std::net"] {
            assert!(text.contains(kept_out), "{name}/clippy.toml lets {kept_out} in");
        }
        let manifest = std::fs::read_to_string(root().join("crates").join(name).join("Cargo.toml"));
        for kept_out in ["tokio", "socket2", "rustix", "rusqlite", "tempfile"] {
            let product = manifest.as_ref().unwrap().split("[dev-dependencies]").next().unwrap();
            assert!(!product.contains(kept_out), "{name} depends on {kept_out}");
        }
    }
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    for entry in std::fs::read_dir(root().join("crates")).unwrap() {
        let manifest = entry.unwrap().path().join("Cargo.toml");
        let text = std::fs::read_to_string(&manifest).unwrap();
        assert!(text.contains("[lints]\nworkspace = true"), "{}", manifest.display());
    }
    let workspace = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(workspace.contains("unsafe_code = \"forbid\""));
}

/// The rows of `docs/features.md` that name a test which does not exist.
#[test]
fn each_test_named_in_the_table_of_features_exists() {
    let table = std::fs::read_to_string(root().join("docs/features.md")).unwrap();
    let code: String = all_sources()
        .iter()
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect::<Vec<_>>()
        .join("\n");
    let mut missing = Vec::new();
    let mut named = 0;
    for row in table.lines().filter(|line| line.starts_with('|')) {
        let Some(cell) = row.trim_end_matches('|').rsplit('|').next() else { continue };
        for name in cell.split('`').skip(1).step_by(2) {
            named += 1;
            let function = name.rsplit("::").next().unwrap_or(name);
            if !code.contains(&format!("fn {function}")) {
                missing.push(format!("{name} in: {row}"));
            }
        }
    }
    assert!(named > 0, "the table names no test at all");
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}
