//! The command line of MoveIMAPMail: names, order and flags of the guides
//! (`reference/migration.md` section 4), with safer ways beside the old ones.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{BufRead, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::date_filter::DateFilter;
use crate::endpoint::{Endpoint, TlsPolicy};
use crate::error::{MoveError, Result};
use crate::names::NameRules;
use crate::progress::Show;
use crate::run::Move;
use crate::session::Credentials;

/// Longest list of renames read from a file, octets.
const MAX_RENAME_LIST: u64 = 16 * 1024 * 1024;

/// Copies an account from one IMAP server to another: mailboxes, messages with flags and dates,
/// subscriptions and access rights. Run it again after an interruption: it goes on.
#[derive(Clone, Debug, Parser)]
#[command(name = "MoveIMAPMail", version, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 all done; 1 wrong usage; 2 the old server cannot be reached \
or refuses the login; 3 the new server likewise; 4 done, but some messages or mailboxes were not \
copied or --verify found differences; 5 a connection was lost (run it again); 130 interrupted.\n\
A password given as - is taken from --oldPasswordFile/--newPasswordFile, from the environment \
(ANGARIUM_OLD_PASSWORD, ANGARIUM_NEW_PASSWORD) or from a line of standard input (the old one \
first). On the command line other users of the machine can see it."
)]
pub struct Arguments {
    /// Print progress to standard output.
    #[arg(long)]
    verbose: bool,
    /// Search pattern of LIST at the old server.
    #[arg(long, value_name = "SEARCH", default_value = "*")]
    list: String,
    /// First argument of LIST; names lose it at the new server.
    #[arg(long, value_name = "PREFIX", default_value = "", allow_hyphen_values = true)]
    source: String,
    /// Put in front of every name at the new server.
    #[arg(long, value_name = "PREFIX", default_value = "", allow_hyphen_values = true)]
    target: String,
    /// Do not copy this mailbox (repeatable).
    #[arg(long = "skipMailbox", value_name = "NAME")]
    skip_mailbox: Vec<String>,
    /// Wait up to an hour for a server instead of 20 seconds.
    #[arg(long)]
    notimeout: bool,
    /// Delete messages at the old server once the new one has confirmed them.
    #[arg(long)]
    delete: bool,
    /// Do not copy the subscription list.
    #[arg(long)]
    nosubscription: bool,
    /// Copy only subscribed mailboxes.
    #[arg(long)]
    subscribed: bool,
    /// Fetch RFC822.PEEK instead of BODY.PEEK[], for very old servers.
    #[arg(long = "fetchRFC822")]
    fetch_rfc822: bool,
    /// Fetch and append message by message.
    #[arg(long = "byOne")]
    by_one: bool,
    /// Do not copy access rights.
    #[arg(long = "noACL")]
    no_acl: bool,
    /// Copy mailbox classes (both servers must tell of them).
    #[arg(long = "copyMailboxClass")]
    copy_mailbox_class: bool,
    /// Break lines so that none is longer than this many bytes. Changes messages.
    #[arg(long = "fixLongLines", value_name = "NUMBER")]
    fix_long_lines: Option<usize>,
    /// Send PROXYAUTH with this name after the login at the old server.
    #[arg(long = "proxyAuth", value_name = "USERNAME")]
    proxy_auth: Option<String>,
    /// Give a mailbox another name (repeatable).
    #[arg(long = "renameMailbox", num_args = 2, value_names = ["OLD", "NEW"])]
    rename_mailbox: Vec<String>,
    /// File of lines OLD<TAB>NEW.
    #[arg(long = "renameMailboxList", value_name = "FILE")]
    rename_mailbox_list: Option<PathBuf>,
    /// Only messages that arrived before or after: --filter before "31-Dec-2024 23:59:59".
    #[arg(long, value_name = "[before|after] MOMENT")]
    filter: Vec<String>,
    /// After copying, compare both sides by content, flags and dates.
    #[arg(long)]
    verify: bool,
    /// Compare only, copy nothing.
    #[arg(long = "verifyOnly")]
    verify_only: bool,
    /// Print the report as JSON on standard output.
    #[arg(long)]
    json: bool,
    /// Where the journal is kept (default: the user's state directory).
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Keep no journal: a second run copies everything again.
    #[arg(long = "noJournal")]
    no_journal: bool,
    /// File with the old server's password.
    #[arg(long = "oldPasswordFile", value_name = "FILE")]
    old_password_file: Option<PathBuf>,
    /// File with the new server's password.
    #[arg(long = "newPasswordFile", value_name = "FILE")]
    new_password_file: Option<PathBuf>,
    /// TLS from the first byte to the old server.
    #[arg(long)]
    ssl1: bool,
    /// TLS from the first byte to the new server.
    #[arg(long)]
    ssl2: bool,
    /// Insist on STARTTLS at the old server.
    #[arg(long)]
    starttls1: bool,
    /// Insist on STARTTLS at the new server.
    #[arg(long)]
    starttls2: bool,
    /// No TLS to the old server, even if it offers it.
    #[arg(long)]
    notls1: bool,
    /// No TLS to the new server, even if it offers it.
    #[arg(long)]
    notls2: bool,
    /// Do not verify the old server's certificate.
    #[arg(long)]
    insecure1: bool,
    /// Do not verify the new server's certificate.
    #[arg(long)]
    insecure2: bool,
    /// Old server: HOST[:PORT].
    #[arg(value_name = "oldServer")]
    old_server: String,
    /// Login name there.
    #[arg(value_name = "oldName")]
    old_name: String,
    /// Password there, or -.
    #[arg(value_name = "oldPassword", allow_hyphen_values = true)]
    old_password: String,
    /// New server: HOST[:PORT].
    #[arg(value_name = "newServer")]
    new_server: String,
    /// Login name there.
    #[arg(value_name = "newName")]
    new_name: String,
    /// Password there, or -.
    #[arg(value_name = "newPassword", allow_hyphen_values = true)]
    new_password: String,
}

/// Runs the program with its arguments (the first is its name).
#[must_use]
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(joined(arguments)) {
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
            eprintln!("MoveIMAPMail: {e}");
            e.exit_code()
        }
    }
}

async fn whole(arguments: &Arguments) -> Result<u8> {
    let run = arguments.to_move()?;
    let mut code = 0;
    let mut json = serde_json::Map::new();
    if !arguments.verify_only {
        let report = run.run().await?;
        if report.failures() > 0 {
            code = 4;
        }
        if arguments.json {
            json.insert("move".into(), serde_json::to_value(&report).unwrap_or_default());
        } else if arguments.verbose {
            print!("{}", report.text());
        }
        if report.failures() > 0 || !report.remarks.is_empty() {
            eprint!("{}", report.text());
        }
    }
    if arguments.verify || arguments.verify_only {
        let report = run.verify().await?;
        if report.differences > 0 {
            code = 4;
        }
        if arguments.json {
            json.insert("verify".into(), serde_json::to_value(&report).unwrap_or_default());
        } else {
            print!("{}", report.text());
        }
    }
    if arguments.json {
        println!("{}", serde_json::Value::Object(json));
    }
    Ok(code)
}

impl Arguments {
    /// The same, but comparing only.
    #[must_use]
    pub fn verify_only(self) -> Self {
        Self { verify_only: true, ..self }
    }

    /// The move these arguments describe.
    ///
    /// # Errors
    /// `Usage` or `File`, saying what to write instead.
    pub fn to_move(&self) -> Result<Move> {
        if self.copy_mailbox_class {
            eprintln!("note: neither server tells of mailbox classes over IMAP; none are copied");
        }
        if self.fix_long_lines == Some(0) {
            return Err(MoveError::Usage("--fixLongLines wants a number above 0".into()));
        }
        let mut source = Endpoint::parse(&self.old_server, 143)?;
        let mut target = Endpoint::parse(&self.new_server, 143)?;
        source.tls = policy(self.ssl1, self.starttls1, self.notls1)?;
        target.tls = policy(self.ssl2, self.starttls2, self.notls2)?;
        source.insecure = self.insecure1;
        target.insecure = self.insecure2;
        let mut filter = DateFilter::default();
        for one in &self.filter {
            filter.add(one)?;
        }
        let old = password(
            &self.old_password,
            self.old_password_file.as_deref(),
            "ANGARIUM_OLD_PASSWORD",
        )?;
        let new = password(
            &self.new_password,
            self.new_password_file.as_deref(),
            "ANGARIUM_NEW_PASSWORD",
        )?;
        let rules = NameRules {
            source_prefix: self.source.clone(),
            target_prefix: self.target.clone(),
            renamed: self.renames()?,
        };
        let journal = if self.no_journal { None } else { self.journal_path(&source, &target) };
        Ok(Move {
            source: (
                source,
                Credentials {
                    name: self.old_name.clone(),
                    password: old,
                    proxy_auth: self.proxy_auth.clone(),
                },
            ),
            target: (
                target,
                Credentials { name: self.new_name.clone(), password: new, proxy_auth: None },
            ),
            pattern: self.list.clone(),
            rules,
            skip: self.skip_mailbox.iter().cloned().collect::<BTreeSet<_>>(),
            only_subscribed: self.subscribed,
            subscriptions: !self.nosubscription,
            access_rights: !self.no_acl,
            filter,
            delete: self.delete,
            fetch_rfc822: self.fetch_rfc822,
            by_one: self.by_one,
            fold_at: self.fix_long_lines,
            timeout: Duration::from_secs(if self.notimeout { 3600 } else { 20 }),
            journal,
            show: if self.json {
                Show::Bar
            } else if self.verbose {
                Show::Lines
            } else {
                Show::Bar
            },
        })
    }

    fn renames(&self) -> Result<std::collections::BTreeMap<String, String>> {
        let mut renamed = std::collections::BTreeMap::new();
        if let Some(path) = &self.rename_mailbox_list {
            let text = read_small(path, MAX_RENAME_LIST)?;
            for (n, line) in text.lines().enumerate() {
                if line.trim().is_empty() {
                    continue;
                }
                let (old, new) = line.split_once('\t').ok_or_else(|| MoveError::File {
                    path: path.display().to_string(),
                    reason: format!("line {}: write OLD<TAB>NEW", n + 1),
                })?;
                renamed.insert(old.to_owned(), new.to_owned());
            }
        }
        for pair in self.rename_mailbox.chunks(2) {
            if let [old, new] = pair {
                renamed.insert(old.clone(), new.clone());
            }
        }
        Ok(renamed)
    }

    fn journal_path(&self, source: &Endpoint, target: &Endpoint) -> Option<PathBuf> {
        if let Some(path) = &self.journal {
            return Some(path.clone());
        }
        let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).or_else(|| {
            std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"))
        })?;
        // What decides which message goes where decides which journal it is.
        let what = format!(
            "{source}\n{}\n{target}\n{}\n{}\n{}\n{:?}",
            self.old_name, self.new_name, self.source, self.target, self.proxy_auth
        );
        let name = blake3::hash(what.as_bytes()).to_hex();
        Some(state.join("angarium/moves").join(format!("{}.journal", &name[..32])))
    }
}

fn policy(ssl: bool, starttls: bool, never: bool) -> Result<TlsPolicy> {
    match (ssl, starttls, never) {
        (false, false, false) => Ok(TlsPolicy::WhenOffered),
        (true, false, false) => Ok(TlsPolicy::Implicit),
        (false, true, false) => Ok(TlsPolicy::StartTls),
        (false, false, true) => Ok(TlsPolicy::Never),
        _ => Err(MoveError::Usage("choose one of --ssl, --starttls and --notls a side".into())),
    }
}

fn read_small(path: &Path, most: u64) -> Result<String> {
    let wrong = |reason: String| MoveError::File { path: path.display().to_string(), reason };
    let size = std::fs::metadata(path).map_err(|e| wrong(e.to_string()))?.len();
    if size > most {
        return Err(wrong(format!("larger than {most} bytes")));
    }
    std::fs::read_to_string(path).map_err(|e| wrong(e.to_string()))
}

fn password(argument: &str, file: Option<&Path>, variable: &str) -> Result<String> {
    if let Some(path) = file {
        let text = read_small(path, 4096)?;
        return Ok(text.lines().next().unwrap_or_default().to_owned());
    }
    if argument != "-" {
        eprintln!(
            "warning: a password on the command line can be seen by other users; \
             write - and set {variable}, or use a password file"
        );
        return Ok(argument.to_owned());
    }
    if let Ok(value) = std::env::var(variable) {
        return Ok(value);
    }
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        return Err(MoveError::Usage(format!(
            "no password: set {variable}, use a password file or pipe it into standard input"
        )));
    }
    let mut line = String::new();
    let read = stdin.lock().read_line(&mut line);
    read.map_err(|e| MoveError::Usage(format!("no password on standard input: {e}")))?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
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
        assert_eq!(run.pattern, "Mail/*");
        assert_eq!(run.source.0.to_string(), "192.0.0.4:143");
        assert_eq!(run.target.0.to_string(), "192.0.1.5:145");
        assert_eq!(run.target.1.name, "johnNew");
        assert_eq!(run.timeout, Duration::from_secs(20));
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
        assert_eq!(arguments.filter, ["before 31-Dec-2024", "after 01-Jan-2020 00:00:01"]);
        assert_eq!(arguments.rename_mailbox, ["Sent", "Sent Items", "a", "b"]);
        assert_eq!(arguments.skip_mailbox, ["Trash", "Junk"]);
        assert_eq!(arguments.new_password, "p2");
    }

    #[test]
    fn a_filter_without_a_word_and_wrong_usage() {
        assert_eq!(
            parse(&["--filter", "01-Jan-2020", "a", "b", "c", "d", "e", "f"]).filter.len(),
            1
        );
        assert!(Arguments::try_parse_from(["MoveIMAPMail", "a", "b"]).is_err());
        assert!(parse(&["--filter", "x", "a", "b", "c", "d", "e", "f"]).to_move().is_err());
        let both = ["--ssl1", "--notls1", "a", "b", "c", "d", "e", "f"];
        assert!(parse(&both).to_move().is_err());
    }
}
