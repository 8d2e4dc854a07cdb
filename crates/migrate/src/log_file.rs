//! The log file of a run (`--logFile`): a line when it begins and one with its exit code, at the end of
//! what is there, for its owner alone. It must never hold a password.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::SystemTime;

use crate::error::{MoveError, Result};
use crate::lanes::limits::moment;

/// Runs `work` to its exit code, with a line before and after it. Nothing is run where the first
/// line cannot be written.
pub(crate) fn around(program: &str, path: Option<&Path>, work: impl FnOnce() -> u8) -> u8 {
    let log = |words: &str| path.map_or(Ok(()), |path| append(program, path, words));
    if let Err(e) = log("begins") {
        eprintln!("{program}: {e}");
        return e.exit_code();
    }
    let code = work();
    if let Err(e) = log(&format!("ended with exit code {code}")) {
        eprintln!("{program}: {e}");
    }
    code
}

fn append(program: &str, path: &Path, words: &str) -> Result<()> {
    let wrong = |e: std::io::Error| MoveError::File {
        path: path.display().to_string(),
        reason: e.to_string(),
    };
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let line = format!("{} {program} {} {words}\n", moment(now.as_secs()), std::process::id());
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(line.as_bytes()))
        .map_err(wrong)
}
