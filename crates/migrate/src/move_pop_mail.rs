//! The command line of MovePOPMail: names, order and flags of the guides
//! (`reference/migration.md` section 3), with safer ways beside the old ones.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use angarium_smtp::address::{Mailbox, Path};
use clap::Parser;

use crate::endpoint::Endpoint;
use crate::error::{MoveError, Result};
use crate::options::keeping::KeepingOptions;
use crate::options::sides::{SideNames, SideOptions, Sides};
use crate::options::spelling;
use crate::pop::{Login, PopMove, PopReport, Recipient};
use crate::progress::{LiveCounts, Show};

/// How often a lost connection is made anew unless `--retry` says otherwise.
const RETRIES: u32 = 3;

/// Copies an account of a POP server into a mail server by SMTP or LMTP: the new server sees the
/// messages arrive. Run it again after an interruption: only what is new is copied.
#[derive(Clone, Debug, Parser)]
#[command(name = "MovePOPMail", version, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 all done; 1 wrong usage; 2 the old server cannot be reached or \
refuses the login; 3 the new server likewise; 4 done, but some messages were not copied; 5 a \
connection was lost (run it again); 130 interrupted.\n\
A password given as - is taken from --oldPasswordFile, from the environment \
(ANGARIUM_OLD_PASSWORD) or from a line of standard input. On the command line other users of the \
machine can see it."
)]
pub struct Arguments {
    /// Print progress to standard output.
    #[arg(long)]
    pub verbose: bool,
    /// Delete messages at the old server once the new one has taken them.
    #[arg(long)]
    pub delete: bool,
    /// Wait up to an hour for a server instead of 20 seconds.
    #[arg(long)]
    pub notimeout: bool,
    /// Speak LMTP to the new server (also lmtp://HOST:PORT); default port 24.
    #[arg(long)]
    pub lmtp: bool,
    /// Log in at the new server with this name; its password comes from --newPasswordFile or
    /// ANGARIUM_NEW_PASSWORD.
    #[arg(long = "smtpName", value_name = "NAME")]
    pub smtp_name: Option<String>,
    /// What this machine calls itself to the new server.
    #[arg(long, value_name = "HOST")]
    pub helo: Option<String>,
    /// How often a lost connection is made anew without a message getting through.
    #[arg(long, value_name = "NUMBER", default_value_t = RETRIES)]
    pub retry: u32,
    /// Where it is noted what was copied (default: the user's state directory).
    #[arg(long, value_name = "FILE")]
    pub journal: Option<PathBuf>,
    /// Note nothing: a second run copies everything again.
    #[arg(long = "noJournal")]
    pub no_journal: bool,
    /// Print the report as JSON on standard output.
    #[arg(long)]
    pub json: bool,
    /// The two servers.
    #[command(flatten)]
    pub sides: SideOptions,
    /// Who they are.
    #[command(flatten)]
    pub names: PopNames,
}

/// The five words after the flags.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct PopNames {
    /// Old server: HOST[:PORT], default port 110.
    #[arg(value_name = "POPserver")]
    pub pop_server: String,
    /// Login name there.
    #[arg(value_name = "POPname")]
    pub pop_name: String,
    /// Password there, or -.
    #[arg(value_name = "POPpassword", allow_hyphen_values = true)]
    pub pop_password: String,
    /// New server: HOST[:PORT], default port 25.
    #[arg(value_name = "SMTPserver")]
    pub smtp_server: String,
    /// Address there, normally the new account's name.
    #[arg(value_name = "SMTPrecipient")]
    pub smtp_recipient: String,
    /// The password did not come by the command line: nothing is said about that.
    #[arg(skip)]
    pub from_list: bool,
}

/// Runs the program with its arguments (the first is its name).
#[must_use]
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    match spelling::parse::<Arguments, _>(arguments) {
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
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            eprintln!("MovePOPMail: cannot start: {e}");
            return 5;
        }
    };
    let outcome = runtime.block_on(async {
        tokio::select! {
            outcome = Box::pin(whole(arguments)) => outcome,
            _ = tokio::signal::ctrl_c() => {
                eprintln!("interrupted; the same command goes on where this one stopped");
                Ok(130)
            }
        }
    });
    match outcome {
        Ok(code) => code,
        Err(e) => {
            eprintln!("MovePOPMail: {e}");
            e.exit_code()
        }
    }
}

async fn whole(arguments: &Arguments) -> Result<u8> {
    let run = arguments.to_move()?;
    let mut report = PopReport::default();
    let ended = run.run(&mut report).await;
    let odd = !report.failed.is_empty() || !report.remarks.is_empty();
    if arguments.json {
        println!("{}", serde_json::json!({ "move": report }));
    } else if arguments.verbose {
        print!("{}", report.text());
    }
    if odd && !arguments.verbose || ended.is_err() && report.copied > 0 {
        eprint!("{}", report.text());
    }
    ended?;
    Ok(if report.failed.is_empty() { 0 } else { 4 })
}

impl Arguments {
    /// The move these arguments describe.
    ///
    /// # Errors
    /// `Usage` or `File`, saying what to write instead.
    pub fn to_move(&self) -> Result<PopMove> {
        let names = &self.names;
        let (server, lmtp) = match names.smtp_server.split_once("://") {
            Some(("lmtp", rest)) => (rest, true),
            Some(("smtp", rest)) => (rest, self.lmtp),
            Some((other, _)) => {
                return Err(MoveError::Usage(format!(
                    "{other}:// is not known here; write HOST, HOST:PORT or lmtp://HOST:PORT"
                )));
            }
            None => (names.smtp_server.as_str(), self.lmtp),
        };
        // The port for TLS where TLS begins with the first byte.
        let pop_port = if self.sides.ssl1 { 995 } else { 110 };
        let pop_server = Endpoint::parse(&names.pop_server, pop_port)?.to_string();
        let smtp_port = if self.sides.ssl2 { 465 } else { 25 };
        let smtp_server = Endpoint::parse(server, if lmtp { 24 } else { smtp_port })?.to_string();
        let six = SideNames {
            old_server: pop_server,
            old_name: names.pop_name.clone(),
            old_password: names.pop_password.clone(),
            new_server: smtp_server,
            new_name: self.smtp_name.clone().unwrap_or_default(),
            // SMTP wants a password only where it wants a login.
            new_password: if self.smtp_name.is_some() { "-".into() } else { String::new() },
            from_list: names.from_list,
        };
        let Sides { source, target } = self.sides.sides(&six)?;
        let address = Mailbox::parse(&names.smtp_recipient)
            .or_else(|e| match Path::read(&names.smtp_recipient) {
                Ok((Path { mailbox: Some(mailbox), .. }, "")) => Ok(mailbox),
                _ => Err(e),
            })
            .map_err(|_| {
                MoveError::Usage(format!(
                    "\"{}\" is not an address; write NAME or NAME@DOMAIN",
                    names.smtp_recipient
                ))
            })?;
        let keeping = KeepingOptions {
            journal: self.journal.clone(),
            no_journal: self.no_journal,
            ..KeepingOptions::default()
        };
        let what = format!("pop\n{}\n{}\n{}\n{address}", source.0, names.pop_name, target.0);
        let journal = keeping.keeping(&what)?.journal;
        let login = self.smtp_name.clone().map(|name| Login {
            name,
            password: target.1.password.clone(),
            ..Login::default()
        });
        Ok(PopMove {
            source: source.0,
            login: Login {
                name: source.1.name,
                password: source.1.password,
                wishes: source.1.wishes,
            },
            target: Recipient {
                endpoint: target.0,
                lmtp,
                login,
                address,
                hello: self.helo.clone().unwrap_or_else(own_name),
            },
            delete: self.delete,
            timeout: Duration::from_secs(if self.notimeout { 3600 } else { 20 }),
            retries: self.retry,
            journal,
            show: if self.verbose && !self.json { Show::Lines } else { Show::Bar },
            counts: LiveCounts::default(),
        })
    }
}

/// The machine's name, as it goes into EHLO.
fn own_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    if name.is_empty() || !name.chars().all(good) { "localhost".into() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &[&str]) -> Arguments {
        let words = std::iter::once("MovePOPMail").chain(line.iter().copied());
        Arguments::try_parse_from(words).unwrap()
    }

    #[test]
    fn mig_01_the_sample_of_the_guide_is_understood() {
        let run = parse(&["--verbose", "192.0.0.4", "john", "jps#dhj", "192.0.1.5", "john"])
            .to_move()
            .unwrap();
        assert_eq!(run.source.to_string(), "192.0.0.4:110");
        assert_eq!(run.login.name, "john");
        assert_eq!(run.target.endpoint.to_string(), "192.0.1.5:25");
        assert_eq!(run.target.address.to_string(), "john");
        assert_eq!((run.show, run.delete), (Show::Lines, false));
        assert_eq!(run.timeout, Duration::from_secs(20));
    }

    #[test]
    fn mig_02_to_05_flags_and_ports_are_understood() {
        let line =
            ["--delete", "--notimeout", "192.0.2.3:111", "j", "-x", "192.0.2.4:26", "j@d.example"];
        let run = parse(&line).to_move().unwrap();
        assert_eq!(run.source.to_string(), "192.0.2.3:111");
        assert_eq!(run.target.endpoint.to_string(), "192.0.2.4:26");
        assert_eq!(run.target.address.to_string(), "j@d.example");
        assert!(run.delete && !run.target.lmtp);
        assert_eq!(run.timeout, Duration::from_secs(3600));
        let run = parse(&["a", "j", "p", "lmtp://[::1]", "<j@d.example>"]).to_move().unwrap();
        assert!(run.target.lmtp);
        assert_eq!(run.target.endpoint.to_string(), "[::1]:24");
        assert_eq!(run.target.address.to_string(), "j@d.example");
        for wrong in [["a", "j", "p", "http://b", "j"], ["a", "j", "p", "b", "j k"]] {
            assert!(parse(&wrong).to_move().is_err(), "{wrong:?}");
        }
    }
}
