//! Nothing that the server acknowledged is lost or doubled when it is killed under load (CR-02).

use std::path::PathBuf;

use angarium_xtask::crash::{Args, rounds};

/// The server beside this test in the target directory, or the one the environment names.
fn server() -> Option<PathBuf> {
    let named = std::env::var_os("ANGARIUM_BINARY").map(PathBuf::from);
    let beside = || Some(std::env::current_exe().ok()?.parent()?.parent()?.join("angarium"));
    named.or_else(beside).filter(|binary| binary.exists())
}

#[test]
fn fifty_kills_under_load_lose_nothing_and_double_nothing() {
    let Some(binary) = server() else {
        println!("skipped: the server is not built (cargo build -p angarium-server)");
        return;
    };
    let report = rounds(&Args {
        rounds: 50,
        seed: 1,
        binary,
        directory: None,
        check_every: 10,
        json: false,
    });
    let report = report.expect("the rounds are played to the end");
    assert!(report.is_clean(), "{report:#?}");
    assert!(report.refused.is_empty(), "{report:#?}");
}
