//! The command line of MoveIMAPMail: names, order and flags of the guides
//! (`reference/migration.md` section 4), with safer ways beside the old ones.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use crate::error::{MoveError, Result};
use crate::options::keeping::KeepingOptions;
use crate::options::pace::PaceOptions;
use crate::options::proof::ProofOptions;
use crate::options::selection::SelectionOptions;
use crate::options::sides::{SideNames, SideOptions};
use crate::options::spelling;
use crate::plan::preview;
use crate::progress::LiveCounts;
use crate::report::account::{AccountReport, Report};
use crate::run::Move;
use crate::stop;

/// Copies an account from one IMAP server to another: mailboxes, messages with flags and dates,
/// subscriptions and access rights. Run it again after an interruption: it goes on.
#[derive(Clone, Debug, Parser)]
#[command(name = "MoveIMAPMail", version, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 all done; 1 wrong usage; 2 the old server cannot be reached \
or refuses the login; 3 the new server likewise; 4 done, but some messages or mailboxes were not \
copied or --verify found differences; 5 a connection was lost (run it again); 6 stopped until a \
moment that is said (run it again then); 130 interrupted.\n\
A password given as - is taken from --oldPasswordFile/--newPasswordFile, from the environment \
(ANGARIUM_OLD_PASSWORD, ANGARIUM_NEW_PASSWORD) or from a line of standard input (the old one \
first). On the command line other users of the machine can see it."
)]
pub struct Arguments {
    /// Mailboxes and names.
    #[command(flatten)]
    pub selection: SelectionOptions,
    /// The manner of carrying.
    #[command(flatten)]
    pub pace: PaceOptions,
    /// Which messages count.
    #[command(flatten)]
    pub keeping: KeepingOptions,
    /// What is told and proved.
    #[command(flatten)]
    pub proof: ProofOptions,
    /// The two servers.
    #[command(flatten)]
    pub sides: SideOptions,
    /// Who they are.
    #[command(flatten)]
    pub names: SideNames,
}

/// Runs the program with its arguments (the first is its name).
#[must_use]
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let arguments = match spelling::parse::<Arguments, _>(joined(arguments)) {
        Ok(arguments) => arguments,
        Err(e) => {
            let _ = e.print();
            return ExitCode::from(u8::from(e.use_stderr()));
        }
    };
    ExitCode::from(run(&arguments))
}

/// `--filter before MOMENT` has one or two words: they are made one argument.
#[must_use]
pub fn joined(arguments: Vec<OsString>) -> Vec<OsString> {
    let mut out: Vec<OsString> = Vec::with_capacity(arguments.len());
    let mut all = arguments.into_iter().peekable();
    while let Some(argument) = all.next() {
        let is_filter = argument == "--filter";
        out.push(argument);
        if !is_filter {
            continue;
        }
        let Some(word) = all.next() else { break };
        let lower = word.to_string_lossy().to_ascii_lowercase();
        if lower == "before" || lower == "after" {
            let mut one = word;
            one.push(" ");
            one.push(all.next().unwrap_or_default());
            out.push(one);
        } else {
            out.push(word);
        }
    }
    out
}

/// Runs parsed arguments to the exit code.
#[must_use]
pub fn run(arguments: &Arguments) -> u8 {
    let runtime =
        match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
            Ok(runtime) => runtime,
            Err(e) => {
                eprintln!("MoveIMAPMail: cannot start: {e}");
                return 5;
            }
        };
    let outcome = runtime.block_on(Box::pin(whole(arguments)));
    match outcome {
        // A run that stays until it is told to end has done all it was asked for.
        Ok(_) if stop::interrupted() && !arguments.keeping.follow => 130,
        Ok(code) => code,
        Err(e) => {
            eprintln!("MoveIMAPMail: {e}");
            e.exit_code()
        }
    }
}

async fn whole(arguments: &Arguments) -> Result<u8> {
    let run = arguments.to_move()?;
    stop::on_signals(&run.keeping.stop);
    let options = &arguments.proof;
    if options.plan {
        let preview = Box::pin(preview::of(&run)).await?;
        if options.json {
            println!("{}", serde_json::to_value(&preview).unwrap_or_default());
        } else {
            print!("{}", preview.text());
        }
        return Ok(0);
    }
    let mut account = AccountReport::begun(&run);
    let begun = std::time::Instant::now();
    let go_on = options.verify_only || account.take_moved(Box::pin(run.run()).await);
    if go_on && options.verifies() {
        if run.keeping.follow.is_some() {
            // The word to end was for the staying; the proof is what is wanted then.
            let mut proving = run.clone();
            proving.keeping.stop = stop::Stop::default();
            account.take_verified(proving.prove(&options.proof()).await);
        } else if run.keeping.stop.is_asked() {
            // A copy that was cut short would differ everywhere.
            account.failed(&MoveError::Interrupted { what: "the copy, before the comparison," });
        } else {
            account.take_verified(run.prove(&options.proof()).await);
        }
    }
    tell(options, &account);
    let code = account.code;
    Report::of(vec![account], begun.elapsed().as_secs_f64()).write(&options.report_files())?;
    Ok(code)
}

/// Prints what a person or a program wants to know.
fn tell(options: &ProofOptions, account: &AccountReport) {
    if options.json {
        let mut json = serde_json::Map::new();
        let mut put = |name: &str, value| drop(json.insert(name.into(), value));
        if let Some(moved) = &account.moved {
            put("move", serde_json::to_value(moved).unwrap_or_default());
        }
        if let Some(verified) = &account.verified {
            put("verify", serde_json::to_value(verified).unwrap_or_default());
        }
        if let Some(error) = &account.error {
            put("error", error.clone().into());
        }
        println!("{}", serde_json::Value::Object(json));
    } else {
        if let Some(moved) = account.moved.as_ref().filter(|_| options.verbose) {
            print!("{}", moved.text());
        }
        if let Some(verified) = &account.verified {
            print!("{}", verified.text());
        }
    }
    if let Some(moved) = &account.moved
        && (moved.failures() > 0 || !moved.remarks.is_empty())
    {
        eprint!("{}", moved.text());
    }
    if let Some(error) = &account.error {
        eprintln!("MoveIMAPMail: {error}");
        if let Some(advice) = &account.advice {
            eprintln!("what to do: {advice}");
        }
    }
}

impl Arguments {
    /// The same, but comparing only.
    #[must_use]
    pub fn verify_only(self) -> Self {
        let proof = ProofOptions { verify_only: true, ..self.proof };
        Self { proof, ..self }
    }

    /// The move these arguments describe.
    ///
    /// # Errors
    /// `Usage` or `File`, saying what to write instead.
    pub fn to_move(&self) -> Result<Move> {
        let choice = self.selection.choice()?;
        let mut pace = self.pace.pace()?;
        if let Some(preset) = choice.preset {
            preset.tame(&mut pace);
        }
        let sides = self.sides.sides(&self.names)?;
        // What decides which message goes where decides which journal it is.
        let what = format!(
            "{}\n{}\n{}\n{}\n{}\n{}\n{:?}",
            sides.source.0,
            self.names.old_name,
            sides.target.0,
            self.names.new_name,
            self.selection.source,
            self.selection.target,
            self.sides.proxy_auth
        );
        let keeping = self.keeping.keeping(&what)?;
        let counts = LiveCounts::default();
        Ok(Move { sides, choice, pace, keeping, show: self.proof.show(), counts })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn parse(line: &[&str]) -> Arguments {
        let words = std::iter::once("MoveIMAPMail").chain(line.iter().copied());
        Arguments::try_parse_from(joined(words.map(OsString::from).collect())).unwrap()
    }

    #[test]
    fn mig_07_the_sample_of_the_guide_is_understood() {
        let sample = [
            "--list",
            "Mail/*",
            "192.0.0.4",
            "john",
            "jps#dhj",
            "192.0.1.5:145",
            "johnNew",
            "dummy",
        ];
        let run = parse(&sample).to_move().unwrap();
        assert_eq!(run.choice.pattern, "Mail/*");
        assert_eq!(run.sides.source.0.to_string(), "192.0.0.4:143");
        assert_eq!(run.sides.target.0.to_string(), "192.0.1.5:145");
        assert_eq!(run.sides.target.1.name, "johnNew");
        assert_eq!(run.pace.timeout, Duration::from_secs(20));
    }

    #[test]
    fn mig_12_to_31_every_flag_of_the_guides_is_taken() {
        let line = [
            "--verbose",
            "--source",
            "~user/",
            "--target",
            "~other/",
            "--skipMailbox",
            "Trash",
            "--skipMailbox",
            "Junk",
            "--notimeout",
            "--delete",
            "--nosubscription",
            "--subscribed",
            "--fetchRFC822",
            "--byOne",
            "--noACL",
            "--copyMailboxClass",
            "--fixLongLines",
            "998",
            "--proxyAuth",
            "joe",
            "--renameMailbox",
            "Sent",
            "Sent Items",
            "--renameMailbox",
            "a",
            "b",
            "--filter",
            "before",
            "31-Dec-2024",
            "--filter",
            "after",
            "01-Jan-2020 00:00:01",
            "h",
            "n",
            "-",
            "h2",
            "n2",
            "p2",
        ];
        let arguments = parse(&line);
        assert_eq!(arguments.keeping.filter, ["before 31-Dec-2024", "after 01-Jan-2020 00:00:01"]);
        assert_eq!(arguments.selection.rename_mailbox, ["Sent", "Sent Items", "a", "b"]);
        assert_eq!(arguments.selection.skip_mailbox, ["Trash", "Junk"]);
        assert_eq!(arguments.names.new_password, "p2");
    }

    #[test]
    fn a_filter_without_a_word_and_wrong_usage() {
        assert_eq!(
            parse(&["--filter", "01-Jan-2020", "a", "b", "c", "d", "e", "f"]).keeping.filter.len(),
            1
        );
        assert!(Arguments::try_parse_from(["MoveIMAPMail", "a", "b"]).is_err());
        assert!(parse(&["--filter", "x", "a", "b", "c", "d", "e", "f"]).to_move().is_err());
        let both = ["--ssl1", "--notls1", "a", "b", "c", "d", "e", "f"];
        assert!(parse(&both).to_move().is_err());
    }
}
