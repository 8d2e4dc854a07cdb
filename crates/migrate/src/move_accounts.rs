//! The command line of MoveAccounts, also called AccountMove (`reference/migration.md` section 5):
//! every account of a list, by POP or IMAP, the single program's parameters handed on.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::accounts::{AccountsReport, Asking, Crew, Mover, Telling};
use crate::endpoint::Endpoint;
use crate::error::{MoveError, Result};
use crate::log_file;
use crate::options::spelling;

/// Accounts at a time unless `--jobs` says otherwise.
const JOBS: usize = 8;

/// Moves every account of a list, by POP (as MovePOPMail does) or by IMAP (as MoveIMAPMail does).
/// The list is a text with tabs; its first line names the fields. Name and Password must be there;
/// NewName and NewPassword may; all others are passed over. Run it again at any time: only what is
/// new is copied.
#[derive(Clone, Debug, Parser)]
#[command(name = "MoveAccounts", version, max_term_width = 100)]
#[command(
    after_help = "All parameters that are not above are handed on: see MovePOPMail --help and \
MoveIMAPMail --help. With --journal DIRECTORY the journals of all accounts are there.\n\
Exit codes: 0 all accounts are whole; 1 wrong usage, or the list cannot be read; 2 no account could \
be moved because of the old server; 3 the same of the new one; 4 done, but some accounts or messages \
were not copied; 130 interrupted."
)]
pub struct Arguments {
    /// By POP, into a mail server that speaks SMTP or LMTP (the default).
    #[arg(long = "POP", conflicts_with = "imap")]
    pub pop: bool,
    /// By IMAP.
    #[arg(long = "IMAP")]
    pub imap: bool,
    /// Accounts at a time.
    #[arg(long, value_name = "NUMBER", default_value_t = JOBS)]
    pub jobs: usize,
    /// How often what failed for a reason that may pass is tried again at the end.
    #[arg(long = "retryFailed", value_name = "NUMBER", default_value_t = 1)]
    pub retry_failed: u32,
    /// A field of the list with the old server of each account, where it is not the same for all.
    #[arg(long = "serverColumn", value_name = "FIELD")]
    pub server_column: Option<String>,
    /// Write the report to a file: a page to print (.html), JSON (.json) or text. Repeatable.
    #[arg(long, value_name = "FILE")]
    pub report: Vec<PathBuf>,
    /// An object a line on standard output: one for each account, the report at the end.
    #[arg(long)]
    pub json: bool,
    /// Where the old server speaks SMTP, HOST[:PORT]: names whose login it refuses are asked about
    /// there, so that the report tells a wrong password from an account that is not there.
    #[arg(long = "askNames1", value_name = "HOST")]
    pub ask_names1: Option<String>,
    /// Likewise the new server.
    #[arg(long = "askNames2", value_name = "HOST")]
    pub ask_names2: Option<String>,
    /// Write when it ran and how it ended to the end of this file.
    #[arg(long = "logFile", value_name = "FILE")]
    pub log_file: Option<PathBuf>,
    /// The list.
    #[arg(value_name = "file")]
    pub list: PathBuf,
    /// Old server: HOST[:PORT].
    #[arg(value_name = "sourceServer")]
    pub source: String,
    /// New server: HOST[:PORT].
    #[arg(value_name = "targetServer")]
    pub target: String,
    /// Parameters of the single program.
    #[arg(
        value_name = "suppl_parameters",
        trailing_var_arg = true,
        allow_hyphen_values = true,
        num_args = 0..
    )]
    pub parameters: Vec<OsString>,
}

/// This program's own options, which may also stand among those that are handed on, and whether a
/// value follows.
const OWN: &[(&str, bool)] = &[
    ("--POP", false),
    ("--pop", false),
    ("--IMAP", false),
    ("--imap", false),
    ("--json", false),
    ("--jobs", true),
    ("--retryFailed", true),
    ("--retry-failed", true),
    ("--serverColumn", true),
    ("--server-column", true),
    ("--report", true),
    ("--askNames1", true),
    ("--ask-names1", true),
    ("--askNames2", true),
    ("--ask-names2", true),
    ("--logFile", true),
    ("--log-file", true),
];

/// Brings this program's own options to the front, wherever they stand; the rest keeps its order.
/// What stands before the list and is not ours goes behind the servers, to the parameters that are
/// handed on.
#[must_use]
pub fn sorted(arguments: Vec<OsString>) -> Vec<OsString> {
    let mut all = arguments.into_iter();
    let mut front: Vec<OsString> = all.next().into_iter().collect();
    let mut rest = Vec::new();
    while let Some(word) = all.next() {
        let text = word.to_string_lossy();
        let name = text.split_once('=').map_or(&*text, |(name, _)| name);
        match OWN.iter().find(|(own, _)| *own == name) {
            Some((_, value)) => {
                let follows = *value && !text.contains('=');
                front.push(word.clone());
                front.extend(follows.then(|| all.next()).flatten());
            }
            None => rest.push(word),
        }
    }
    front.extend(rest);
    front
}

/// The words of `syncIMAPMail --accounts FILE … SrcServer DstServer` as those of this program;
/// `None` without `--accounts`.
#[must_use]
pub fn of_sync(arguments: &[OsString]) -> Option<Vec<OsString>> {
    let mut list = None;
    let mut rest = Vec::new();
    let mut all = arguments.iter().skip(1);
    while let Some(word) = all.next() {
        let text = word.to_string_lossy();
        match text.strip_prefix("--accounts") {
            Some("") => list = all.next().cloned(),
            Some(file) if file.starts_with('=') => list = file.get(1..).map(OsString::from),
            _ => rest.push(word.clone()),
        }
    }
    let servers = rest.split_off(rest.len().saturating_sub(2));
    let head = ["MoveAccounts".into(), "--IMAP".into(), list?];
    Some(head.into_iter().chain(servers).chain(rest).collect())
}

/// Runs the program with its arguments (the first is its name).
#[must_use]
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    match spelling::parse::<Arguments, _>(sorted(arguments)) {
        Ok(arguments) => ExitCode::from(run(&arguments)),
        Err(e) => {
            let _ = e.print();
            ExitCode::from(u8::from(e.use_stderr()))
        }
    }
}

/// Runs parsed arguments to the exit code.
#[must_use]
pub fn run(arguments: &Arguments) -> u8 {
    log_file::around("MoveAccounts", arguments.log_file.as_deref(), || moved(arguments))
}

fn moved(arguments: &Arguments) -> u8 {
    let mover = match Mover::parse(
        arguments.imap,
        &arguments.source,
        &arguments.target,
        &arguments.parameters,
    ) {
        Ok(mover) => mover,
        Err(e) => {
            let _ = e.print();
            return u8::from(e.use_stderr());
        }
    };
    let asking = match arguments.asking() {
        Ok(asking) => asking,
        Err(e) => {
            eprintln!("MoveAccounts: {e}");
            return e.exit_code();
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            eprintln!("MoveAccounts: cannot start: {e}");
            return 5;
        }
    };
    let crew = Crew {
        telling: Telling { verbose: mover.is_verbose(), json: arguments.json },
        mover,
        list: arguments.list.clone(),
        server_column: arguments.server_column.clone(),
        jobs: arguments.jobs,
        retries: arguments.retry_failed,
        asking,
    };
    let outcome = runtime.block_on(Box::pin(crew.run()));
    // A worker that was cut off in the middle may still hold a name server's answer or a file.
    runtime.shutdown_background();
    let report = match outcome {
        Ok(report) => report,
        Err(e) => {
            eprintln!("MoveAccounts: {e}");
            return e.exit_code();
        }
    };
    if arguments.json {
        println!("{}", serde_json::json!({ "report": report }));
    } else {
        print!("{}", report.text());
    }
    let mut code = report.exit_code();
    for path in &arguments.report {
        if let Err(e) = write(&report, path) {
            eprintln!("MoveAccounts: {e}");
            code = if code == 0 { e.exit_code() } else { code };
        }
    }
    code
}

impl Arguments {
    /// Where names are asked about.
    fn asking(&self) -> Result<Asking> {
        let at = |text: &Option<String>| {
            text.as_deref().map(|text| Endpoint::parse(text, 25)).transpose()
        };
        Ok(Asking { source: at(&self.ask_names1)?, target: at(&self.ask_names2)? })
    }
}

fn write(report: &AccountsReport, path: &PathBuf) -> Result<()> {
    let ending = path.extension().and_then(OsStr::to_str).unwrap_or_default().to_ascii_lowercase();
    let text = match ending.as_str() {
        "html" | "htm" => report.html(),
        "json" => format!("{:#}\n", report.json()),
        _ => report.text(),
    };
    std::fs::write(path, text)
        .map_err(|e| MoveError::File { path: path.display().to_string(), reason: e.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &[&str]) -> Arguments {
        let words = std::iter::once("MoveAccounts").chain(line.iter().copied());
        Arguments::try_parse_from(sorted(words.map(OsString::from).collect())).unwrap()
    }

    #[test]
    fn mig_36_pop_is_the_default_and_the_sample_of_the_guide_is_understood() {
        let sample = parse(&["--POP", "AccountList", "192.0.0.3", "192.0.1.5"]);
        assert!(sample.pop && !sample.imap && sample.parameters.is_empty());
        let other = parse(&["AccountList", "192.0.0.3", "192.0.1.5"]);
        assert!(!other.imap);
        let mover = Mover::parse(false, &other.source, &other.target, &other.parameters).unwrap();
        assert_eq!((mover.source(), mover.target()), ("192.0.0.3", "192.0.1.5"));
        assert!(matches!(mover, Mover::Pop(_)));
    }

    #[test]
    fn mig_41_parameters_are_handed_on_and_our_own_may_stand_among_them() {
        let line = [
            "list",
            "a:111",
            "b",
            "--verbose",
            "--jobs",
            "3",
            "--delete",
            "--IMAP",
            "--list",
            "Mail/*",
            "--report=x.html",
            "--filter",
            "before",
            "31-Dec-2024",
        ];
        let arguments = parse(&line);
        assert!(arguments.imap);
        assert_eq!(arguments.jobs, 3);
        assert_eq!(arguments.report, [PathBuf::from("x.html")]);
        let mover = Mover::parse(true, "a:111", "b", &arguments.parameters).unwrap();
        let Mover::Imap(single) = &mover else { panic!("{mover:?}") };
        assert!(single.proof.verbose && single.keeping.delete);
        assert_eq!(single.selection.list, "Mail/*");
        assert_eq!(single.keeping.filter, ["before 31-Dec-2024"]);
        // A parameter the single program does not know is refused before anything is done.
        assert!(Mover::parse(false, "a", "b", &["--byOne".into()]).is_err());
        assert!(Mover::parse(true, "a", "b", &["another word".into()]).is_err());
        // What is meant for one account, or for ever, is no parameter of a list.
        for one in ["--plan", "--follow", "--manifest1=x"] {
            assert!(Mover::parse(true, "a", "b", &[one.into()]).is_err(), "{one}");
        }
    }

    #[test]
    fn mig_44_the_sync_program_takes_a_list_too() {
        let line = "syncIMAPMail --syncFlags --accounts list --jobs 3 old new";
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let words = sorted(of_sync(&words).unwrap());
        let arguments: Arguments = spelling::parse(words).unwrap();
        assert!(arguments.imap && arguments.jobs == 3);
        assert_eq!((arguments.source.as_str(), arguments.target.as_str()), ("old", "new"));
        assert_eq!(arguments.parameters, ["--syncFlags"]);
        assert_eq!(of_sync(&["syncIMAPMail".into(), "a".into()]), None);
    }
}
