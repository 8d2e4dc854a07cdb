//! The program `syncIMAPMail` (`reference/migration.md` section 6): copies what the new server does
//! not have yet, as often as it is run. Its engine and its options are those of MoveIMAPMail; what
//! it adds is a log file. With `--accounts LIST` it is MoveAccounts by IMAP: many accounts, two servers.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::options::spelling;
use crate::{log_file, move_accounts, move_imap_mail};

/// The command line of syncIMAPMail.
#[derive(Clone, Debug, Parser)]
#[group(skip)]
#[command(name = "syncIMAPMail", version, max_term_width = 100)]
#[command(about = "Brings the account at the second server up to date with the first: messages \
that are missing there are copied, flags that changed are changed. Run it as often as you like.")]
#[command(after_help = "Many accounts: syncIMAPMail --accounts LIST [parameters] SrcServer \
DstServer. The list is that of MoveAccounts (Name, Password, NewName, NewPassword), and so are workers \
(--jobs), report (--report), table and exit codes.\n\
Exit codes: those of MoveIMAPMail.")]
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
    if let Some(words) = move_accounts::of_sync(&arguments) {
        return move_accounts::main(words);
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
    let log = arguments.log_file.as_deref();
    log_file::around("syncIMAPMail", log, || move_imap_mail::run(&arguments.run))
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
