//! The command line of MovePOPMail: names, order and flags of the guides
//! (`reference/migration.md` section 3), with safer ways beside the old ones.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use angarium_smtp::address::{Mailbox, Path};
use clap::Parser;

use crate::endpoint::Endpoint;
use crate::error::{MoveError, Result, Side};
use crate::login::Credentials;
use crate::options::keeping::KeepingOptions;
use crate::options::password::{self, Places};
use crate::options::sides::{NEW_PASSWORD, OLD_PASSWORD, SideOptions};
use crate::options::spelling;
use crate::pop::{PopMove, PopReport, Recipient, Way};
use crate::progress::{LiveCounts, Show};

/// How often a lost connection is made anew unless `--retry` says otherwise.
const RETRIES: u32 = 3;

/// Copies an account of a POP server into a mail server by SMTP or LMTP, which sees the messages
/// arrive, or by IMAP, which keeps the dates of arrival. Run it again after an interruption: only what is new is copied.
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
    /// New server: HOST[:PORT], default port 25; lmtp:// or imap:// before it says how.
    #[arg(value_name = "SMTPserver")]
    pub smtp_server: String,
    /// Address there, normally the new account's name; by IMAP the login name.
    #[arg(value_name = "SMTPrecipient")]
    pub smtp_recipient: String,
    /// Password at the new server, where a list has one.
    #[arg(skip)]
    pub new_password: String,
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
        let (scheme, server) = names
            .smtp_server
            .split_once("://")
            .unwrap_or((if self.lmtp { "lmtp" } else { "smtp" }, &names.smtp_server));
        let (way, port): (fn(Mailbox) -> Way, u16) = match scheme {
            "smtp" => (Way::Smtp, 25),
            "lmtp" => (Way::Lmtp, 24),
            "imap" => (|_| Way::Imap, 143),
            "imaps" => (|_| Way::Imap, 993),
            other => {
                return Err(MoveError::Usage(format!(
                    "{other}:// is not known here; write HOST, HOST:PORT, or lmtp:// or imap:// \
                     before it"
                )));
            }
        };
        let source = self.sides.endpoint(Side::Source, &names.pop_server, 110)?;
        let target = self.sides.endpoint(Side::Target, server, port)?;
        let by_imap = scheme.starts_with("imap");
        let login =
            self.credentials(Side::Source, &names.pop_name, &names.pop_password, &source)?;
        let new_name =
            if by_imap { Some(names.smtp_recipient.as_str()) } else { self.smtp_name.as_deref() };
        let given = if names.from_list && by_imap { names.new_password.as_str() } else { "-" };
        let new_login = match new_name {
            Some(name) => Some(self.credentials(Side::Target, name, given, &target)?),
            None => None,
        };
        let address = match address(&names.smtp_recipient) {
            None if by_imap => {
                Mailbox { local: names.smtp_recipient.clone(), domain: String::new() }
            }
            None => {
                return Err(MoveError::Usage(format!(
                    "\"{}\" is not an address; write NAME or NAME@DOMAIN",
                    names.smtp_recipient
                )));
            }
            Some(address) => address,
        };
        let keeping = KeepingOptions {
            journal: self.journal.clone(),
            no_journal: self.no_journal,
            ..KeepingOptions::default()
        };
        let what = format!("pop\n{source}\n{}\n{target}\n{address}", names.pop_name);
        let journal = keeping.keeping(&what)?.journal;
        Ok(PopMove {
            source,
            login,
            target: Recipient {
                endpoint: target,
                way: way(address),
                login: new_login,
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

impl Arguments {
    /// Who logs in at a server, the password from where the options say.
    fn credentials(
        &self,
        side: Side,
        name: &str,
        argument: &str,
        endpoint: &Endpoint,
    ) -> Result<Credentials> {
        let wishes = self.sides.wishes(side)?;
        let (file, variable) = match side {
            Side::Source => (self.sides.old_password_file.as_deref(), OLD_PASSWORD),
            Side::Target => (self.sides.new_password_file.as_deref(), NEW_PASSWORD),
        };
        let given = self.names.from_list && argument != "-";
        let password = if file.is_none() && given {
            argument.to_owned()
        } else if file.is_none() && wishes.token.is_some() {
            String::new()
        } else {
            let whose = format!("{name} at {endpoint}");
            password::password(argument, Places { file, variable, whose: &whose })?
        };
        Ok(Credentials { wishes, ..Credentials::new(name, password) })
    }
}

/// An address as a person writes it, with or without angle brackets.
fn address(text: &str) -> Option<Mailbox> {
    if let Ok(mailbox) = Mailbox::parse(text) {
        return Some(mailbox);
    }
    match Path::read(text) {
        Ok((Path { mailbox, .. }, "")) => mailbox,
        _ => None,
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
        assert_eq!(run.target.way, Way::Smtp(Mailbox::parse("john").unwrap()));
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
        assert_eq!(run.target.way, Way::Smtp(Mailbox::parse("j@d.example").unwrap()));
        assert!(run.delete);
        assert_eq!(run.timeout, Duration::from_secs(3600));
        let run = parse(&["a", "j", "p", "lmtp://[::1]", "<j@d.example>"]).to_move().unwrap();
        assert_eq!(run.target.way, Way::Lmtp(Mailbox::parse("j@d.example").unwrap()));
        assert_eq!(run.target.endpoint.to_string(), "[::1]:24");
        for wrong in [["a", "j", "p", "http://b", "j"], ["a", "j", "p", "b", "j k"]] {
            assert!(parse(&wrong).to_move().is_err(), "{wrong:?}");
        }
    }
}
