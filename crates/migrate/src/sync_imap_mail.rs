//! The program `syncIMAPMail` (`reference/migration.md` section 6): copies what the new server does
//! not have yet, as often as it is run. Its engine and its options are those of MoveIMAPMail; what
//! it adds is a log file.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use clap::Parser;

use crate::error::{MoveError, Result};
use crate::lanes::limits::moment;
use crate::options::spelling;
use crate::{move_accounts, move_imap_mail};

/// The command line of syncIMAPMail.
#[derive(Clone, Debug, Parser)]
#[group(skip)]
#[command(name = "syncIMAPMail", version, max_term_width = 100)]
#[command(about = "Brings the account at the second server up to date with the first: messages \
that are missing there are copied, flags that changed are changed. Run it as often as you like.")]
#[command(after_help = "Exit codes: those of MoveIMAPMail.")]
pub struct Arguments {
    /// Write when it ran and how it ended to the end of this file.
    #[arg(long = "logFile", value_name = "FILE")]
    log_file: Option<PathBuf>,
    #[command(flatten)]
    run: move_imap_mail::Arguments,
}

/// Runs the program with its arguments (the first is its name).
#[must_use]
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    if let Some(list) = move_accounts::of_sync(&arguments) {
        return move_accounts::main(list);
    }
    let arguments = match spelling::parse::<Arguments, _>(move_imap_mail::joined(arguments)) {
        Ok(arguments) => arguments,
        Err(e) => {
            let _ = e.print();
            return ExitCode::from(u8::from(e.use_stderr()));
        }
    };
    ExitCode::from(run(&arguments))
}

/// Runs parsed arguments to the exit code.
#[must_use]
pub fn run(arguments: &Arguments) -> u8 {
    let log = |words: &str| match &arguments.log_file {
        Some(path) => append(path, words),
        None => Ok(()),
    };
    if let Err(e) = log("begins") {
        eprintln!("syncIMAPMail: {e}");
        return e.exit_code();
    }
    let code = move_imap_mail::run(&arguments.run);
    if let Err(e) = log(&format!("ended with exit code {code}")) {
        eprintln!("syncIMAPMail: {e}");
    }
    code
}

fn append(path: &Path, words: &str) -> Result<()> {
    let wrong = |e: std::io::Error| MoveError::File {
        path: path.display().to_string(),
        reason: e.to_string(),
    };
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let line = format!("{} syncIMAPMail {} {words}\n", moment(now.as_secs()), std::process::id());
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(line.as_bytes()))
        .map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &[&str]) -> std::result::Result<Arguments, clap::Error> {
        let words = std::iter::once("syncIMAPMail").chain(line.iter().copied());
        Arguments::try_parse_from(move_imap_mail::joined(words.map(OsString::from).collect()))
    }

    #[test]
    fn mig_42_its_own_flags_and_those_of_the_mover_are_taken() {
        let six = ["old.example:144", "john", "a", "new.example", "johnNew", "b"];
        let mut line =
            vec!["--syncFlags", "--syncDeletes", "--maxDeletes", "25%", "--logFile", "l"];
        line.extend([
            "--since",
            "01-Jan-2024",
            "--before",
            "01-Feb-2024",
            "--skipMailbox",
            "Trash",
        ]);
        line.extend(["--dryRun", "--ssl1", "--starttls2", "--byOne", "--list", "Mail/*"]);
        line.extend(six);
        let arguments = parse(&line).unwrap();
        assert!(arguments.log_file.is_some());
        let run = arguments.run.to_move().unwrap();
        assert!(run.keeping.sync.dry_run);
        assert_eq!(run.keeping.sync.deletes, Some(crate::sync::Valve::Percent(25)));
        assert!(run.keeping.filter.after.is_some() && run.keeping.filter.before.is_some());
        assert!(
            parse(&["--syncFlags=source"].iter().chain(&six).copied().collect::<Vec<_>>()).is_ok()
        );
        assert!(
            parse(&["--maxDeletes", "9"].iter().chain(&six).copied().collect::<Vec<_>>()).is_err()
        );
        assert!(parse(&six[..5]).is_err());
    }
}
