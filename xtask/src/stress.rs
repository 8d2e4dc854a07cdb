//! A stateful IMAP client that tries to catch a server at a lie: many sessions on few shared
//! mailboxes do whatever their dice say, every response is held against the rules of RFC 3501,
//! 9051 and 7162, and in the end all views, a fresh look and the ledger of all that was
//! acknowledged must agree.
//!
//! `cargo xtask stress --port 143 --user … --password … --seconds 3600` against any server. It has
//! an IMAP reader of its own and must never use ours.

mod answers;
mod choice;
mod command;
mod ending;
mod faults;
mod ledger;
mod message;
mod reader;
mod session;
mod view;
mod visits;
mod wire;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use command::Place;
use ending::Final;
use faults::{Fault, Judge, fault};
use ledger::Ledger;
use session::Session;

/// What to do.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Seed of everything random but the order in which sessions meet.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// How long.
    #[arg(long, default_value_t = 120)]
    pub seconds: u64,
    /// How many sessions.
    #[arg(long, default_value_t = 20)]
    pub sessions: usize,
    /// How many shared mailboxes.
    #[arg(long, default_value_t = 3)]
    pub mailboxes: usize,
    /// The server.
    #[arg(long, default_value = "127.0.0.1")]
    pub host: String,
    /// Its port, without TLS.
    #[arg(long, default_value_t = 143)]
    pub port: u16,
    /// The account that owns the mailboxes.
    #[arg(long)]
    pub user: String,
    /// Its password.
    #[arg(long)]
    pub password: String,
    /// Another account, for every second session; the mailboxes are shared with it by ACL.
    #[arg(long)]
    pub second_user: Option<String>,
    /// Its password, if not the same.
    #[arg(long)]
    pub second_password: Option<String>,
    /// What the second account puts before the names of the first one's mailboxes
    /// [default: ~NAME/ with the first account's name before the @]
    #[arg(long)]
    pub shared_prefix: Option<String>,
    /// What stands before every mailbox name, such as `INBOX/`.
    #[arg(long, default_value = "")]
    pub prefix: String,
    /// Leave an extension alone, such as CONDSTORE or QRESYNC, though it is announced.
    #[arg(long = "without", value_name = "CAPABILITY")]
    pub without: Vec<String>,
    /// Leave CONDSTORE and QRESYNC alone.
    #[arg(long)]
    pub no_condstore: bool,
    /// One command at a time, for servers that answer several at once and mix their answers.
    #[arg(long)]
    pub no_pipelining: bool,
    /// Count this rule when it is broken and go on; an unknown name lists all rules.
    #[arg(long = "excuse", value_name = "RULE")]
    pub excuse: Vec<String>,
    /// Report as JSON.
    #[arg(long)]
    pub json: bool,
}

impl Options {
    /// Options for a server on this machine and one account.
    #[must_use]
    pub fn new(port: u16, user: &str, password: &str) -> Self {
        Self {
            seed: 1,
            seconds: 120,
            sessions: 20,
            mailboxes: 3,
            host: "127.0.0.1".to_owned(),
            port,
            user: user.to_owned(),
            password: password.to_owned(),
            second_user: None,
            second_password: None,
            shared_prefix: None,
            prefix: String::new(),
            without: Vec::new(),
            no_condstore: false,
            no_pipelining: false,
            excuse: Vec::new(),
            json: false,
        }
    }

    fn without(&self, capability: &str) -> bool {
        self.without.iter().any(|name| name.eq_ignore_ascii_case(capability))
            || self.no_condstore && matches!(capability, "CONDSTORE" | "QRESYNC")
    }
}

/// What came out.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// Seconds it took.
    pub seconds: f64,
    /// Commands sent, by kind.
    pub commands: BTreeMap<String, u64>,
    /// Commands answered NO, with the start of the text.
    pub refused: BTreeMap<String, u64>,
    /// Broken rules the server was excused from.
    pub excused: BTreeMap<String, u64>,
    /// What is wrong: the rule, the session, and its last lines.
    pub fault: Option<String>,
}

impl Report {
    /// Commands sent, all together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.commands.values().sum()
    }

    fn count(&mut self, session: &Session<'_>) {
        for (name, count) in &session.counts {
            *self.commands.entry((*name).to_owned()).or_default() += count;
        }
        for (text, count) in &session.refused {
            *self.refused.entry(text.clone()).or_default() += count;
        }
    }
}

/// What all sessions have in common.
struct Shared {
    options: Options,
    ledger: Ledger,
    judge: Judge,
    begun: Instant,
    stop: AtomicBool,
    /// Sessions that have ended their random part.
    arrived: AtomicUsize,
    finals: Mutex<Vec<Final>>,
    report: Mutex<Report>,
}

impl Shared {
    /// Name and password a session logs in with.
    fn login(&self, session: usize) -> (&str, &str) {
        match &self.options.second_user {
            Some(second) if session % 2 == 1 => {
                let password = self.options.second_password.as_ref();
                (second, password.unwrap_or(&self.options.password))
            }
            _ => (&self.options.user, &self.options.password),
        }
    }

    /// A shared mailbox as a session names it.
    fn place(&self, session: usize, at: usize) -> Place {
        let key = format!("{}Stress-{}-{at}", self.options.prefix, self.options.seed);
        let second = self.options.second_user.is_some() && session % 2 == 1;
        let name = if second {
            let owner = self.options.user.split('@').next().unwrap_or_default();
            let usual = format!("~{owner}/");
            format!("{}{key}", self.options.shared_prefix.as_ref().unwrap_or(&usual))
        } else {
            key.clone()
        };
        Place { key, name, own: false }
    }

    fn fails(&self, session: &Session<'_>, fault: &Fault) {
        self.stop.store(true, Ordering::Relaxed);
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        if report.fault.is_some() {
            return;
        }
        let lines: Vec<&str> = session.log.iter().map(String::as_str).collect();
        report.fault = Some(format!(
            "seed {}, session {} in {:?}: rule {}: {}\nits last lines:\n{}",
            self.options.seed,
            session.number,
            session.key(),
            fault.rule,
            fault.text,
            lines.join("\n")
        ));
    }
}

/// Runs the stress; what is found wrong is in the report.
///
/// # Errors
/// An unknown rule among the excuses, or options that make no sense.
pub fn stress(options: &Options) -> Result<Report, String> {
    if options.mailboxes == 0 || options.sessions == 0 {
        return Err("no sessions or no mailboxes".to_owned());
    }
    let shared = Shared {
        judge: Judge::new(&options.excuse)?,
        options: options.clone(),
        ledger: Ledger::default(),
        begun: Instant::now(),
        stop: AtomicBool::new(false),
        arrived: AtomicUsize::new(0),
        finals: Mutex::default(),
        report: Mutex::default(),
    };
    // Numbers of its own, even, so that it is the first account.
    let mut keeper = Session::new(&shared, options.sessions.next_multiple_of(2));
    if let Err(fault) = keeper.prepare() {
        shared.fails(&keeper, &fault);
    } else {
        std::thread::scope(|scope| {
            for number in 0..options.sessions {
                let shared = &shared;
                scope.spawn(move || one_session(shared, number));
            }
        });
        if !shared.stop.load(Ordering::Relaxed)
            && let Err(fault) = keeper.conclude()
        {
            shared.fails(&keeper, &fault);
        }
    }
    let mut report = shared.report.lock().unwrap_or_else(PoisonError::into_inner).clone();
    report.count(&keeper);
    report.seed = options.seed;
    report.seconds = shared.begun.elapsed().as_secs_f64();
    let excused = shared.judge.counted();
    report.excused = excused.iter().map(|(rule, n)| ((*rule).to_owned(), *n)).collect();
    Ok(report)
}

fn one_session(shared: &Shared, number: usize) {
    let mut session = Session::new(shared, number);
    let outcome = play(shared, &mut session);
    if let Err(fault) = outcome {
        shared.fails(&session, &fault);
    }
    let mut report = shared.report.lock().unwrap_or_else(PoisonError::into_inner);
    report.count(&session);
}

fn play(shared: &Shared, session: &mut Session<'_>) -> Result<(), Fault> {
    let length = Duration::from_secs(shared.options.seconds);
    while shared.begun.elapsed() < length && !shared.stop.load(Ordering::Relaxed) {
        session.act()?;
    }
    shared.arrived.fetch_add(1, Ordering::SeqCst);
    while shared.arrived.load(Ordering::SeqCst) < shared.options.sessions {
        if shared.stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    if shared.stop.load(Ordering::Relaxed) {
        return Ok(());
    }
    session.settle()
}

/// The command: runs, prints, and fails when something is wrong.
#[must_use]
pub fn run(options: &Options) -> ExitCode {
    let report = match stress(options) {
        Ok(report) => report,
        Err(error) => {
            eprintln!("xtask: {error}");
            return ExitCode::FAILURE;
        }
    };
    if options.json {
        match serde_json::to_string_pretty(&report) {
            Ok(json) => println!("{json}"),
            Err(error) => eprintln!("xtask: {error}"),
        }
    } else {
        println!("seed {}, {:.1} s, {} commands", report.seed, report.seconds, report.total());
        for (title, counts) in [
            ("sent", &report.commands),
            ("answered NO", &report.refused),
            ("excused", &report.excused),
        ] {
            for (name, count) in counts {
                println!("{title:>12} {count:>9}  {name}");
            }
        }
        match &report.fault {
            Some(fault) => println!("FAULT: {fault}"),
            None => println!("nothing wrong was found"),
        }
    }
    if report.fault.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// A fault of the harness's own set-up.
fn refused(what: &str) -> Fault {
    fault("connection", format!("{what} was refused"))
}
