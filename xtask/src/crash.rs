//! The crash rounds: the real server under load, killed with SIGKILL at random moments, started
//! again, and every acknowledged message held against what is readable.
//!
//! `cargo xtask crash --rounds 1000 --binary target/release/angarium` for the long run;
//! [`rounds`] for tests. Nothing here may know how the server stores anything.

pub(crate) mod dice;
pub mod ledger;
mod load;
mod relay;
mod server;
mod wire;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use dice::Dice;
use ledger::{AccountSeen, Kind, Ledger, Problem};
use load::{Counts, Load, open};
use relay::Relay;
use server::{Server, Site};
use wire::{Imap, Outcome};

/// The main domain of the server under load.
const DOMAIN: &str = "test.example";

/// The password of every account.
const PASSWORD: &str = "crash-rounds-1";

/// The accounts.
const ACCOUNTS: [&str; 3] = ["user1", "user2", "user3"];

/// The mailboxes of each account.
const MAILBOXES: [&str; 4] = ["INBOX", "A", "B", "Sorted"];

/// How long the queue may take after a restart until what was accepted can be read.
const DRAINING: Duration = Duration::from_secs(20);

/// A mailbox with more messages than this after a round is thinned out to the half.
const MOST_KEPT: usize = 150;

/// Most problems that are reported in words.
const MOST_PROBLEMS: usize = 50;

/// What to do.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// How often the server is killed.
    #[arg(long, default_value_t = 50)]
    pub rounds: u32,
    /// Seed of everything random.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The server's program.
    #[arg(long, default_value = "target/debug/angarium")]
    pub binary: PathBuf,
    /// Where to put the base directory instead of a temporary directory that is removed.
    #[arg(long)]
    pub directory: Option<PathBuf>,
    /// Stop the server and run `angarium check` after every so many rounds; 0 for never.
    #[arg(long, default_value_t = 10)]
    pub check_every: u32,
    /// Report as JSON.
    #[arg(long)]
    pub json: bool,
}

/// What came out.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Report {
    /// Times the server was killed.
    pub rounds: u32,
    /// The seed.
    pub seed: u64,
    /// Seconds all of it took.
    pub seconds: f64,
    /// Messages sent by SMTP, and those of them acknowledged.
    pub smtp: [u64; 2],
    /// Messages appended, and those of them acknowledged.
    pub append: [u64; 2],
    /// Messages sent for another system, those of them acknowledged, and how many came out there
    /// again because a kill had cut their delivery.
    pub relayed: [u64; 3],
    /// Changes of flags acknowledged.
    pub flags: u64,
    /// Moves of a message acknowledged.
    pub moves: u64,
    /// Removals of a message acknowledged.
    pub removed: u64,
    /// Messages read back, over all rounds.
    pub read: u64,
    /// How often each kind of problem was found.
    pub found: BTreeMap<Kind, u64>,
    /// The first problems in words.
    pub problems: Vec<String>,
    /// What the server refused while it ran, which is no loss but wants a look.
    pub refused: Vec<String>,
    /// Runs of `angarium check` that found nothing wrong.
    pub checks: u32,
    /// Longest time from start to ready after a kill, in milliseconds.
    pub slowest_start: u128,
}

impl Report {
    /// True when something was acknowledged and nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let some = |counts: &[u64]| counts.get(1).is_some_and(|acknowledged| *acknowledged > 0);
        self.problems.is_empty() && some(&self.smtp) && some(&self.append) && some(&self.relayed)
    }

    fn problem(&mut self, account: &str, round: u32, problem: &Problem) {
        *self.found.entry(problem.kind).or_default() += 1;
        if self.problems.len() < MOST_PROBLEMS {
            let Problem { kind, text } = problem;
            self.problems.push(format!("round {round}, {account}: {kind:?}: {text}"));
        }
    }
}

/// The command: runs the rounds and prints the report.
#[must_use]
pub fn run(args: &Args) -> ExitCode {
    match rounds(args) {
        Ok(report) => {
            print_report(&report, args.json);
            if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("crash rounds: {error}");
            ExitCode::from(2)
        }
    }
}

fn print_report(report: &Report, json: bool) {
    if json {
        match serde_json::to_string_pretty(report) {
            Ok(text) => println!("{text}"),
            Err(error) => eprintln!("crash rounds: {error}"),
        }
        return;
    }
    let of = |kind| report.found.get(&kind).copied().unwrap_or(0);
    println!("{} rounds of seed {} in {:.1} s", report.rounds, report.seed, report.seconds);
    println!("  SMTP    {} sent, {} acknowledged", report.smtp[0], report.smtp[1]);
    println!("  APPEND  {} sent, {} acknowledged", report.append[0], report.append[1]);
    println!(
        "  RELAYED {} sent, {} acknowledged, {} came out again",
        report.relayed[0], report.relayed[1], report.relayed[2]
    );
    println!("  {} flags, {} moves, {} removals", report.flags, report.moves, report.removed);
    println!(
        "  {} read back; {} checks; slowest start {} ms",
        report.read, report.checks, report.slowest_start
    );
    println!("  {} lost, {} twice", of(Kind::Lost), of(Kind::Twice));
    report.refused.iter().for_each(|text| println!("  refused: {text}"));
    report.problems.iter().for_each(|text| println!("  WRONG {text}"));
}

/// Runs the rounds.
///
/// # Errors
/// When the server does not start, does not answer or cannot be read; the report says what is
/// wrong with the mail. The base directory is kept after an error or a problem and named.
pub fn rounds(args: &Args) -> Result<Report, String> {
    let temporary = tempfile::Builder::new().prefix("angarium-crash-").tempdir();
    let temporary = temporary.map_err(|error| error.to_string())?;
    let directory = args.directory.clone().unwrap_or_else(|| temporary.path().to_owned());
    let result = Rounds::new(args, &directory).and_then(Rounds::run);
    let clean = result.as_ref().is_ok_and(Report::is_clean);
    if !clean && args.directory.is_none() {
        let kept = temporary.keep();
        eprintln!("crash rounds: the base directory is kept in {}", kept.display());
    }
    result
}

/// A run.
struct Rounds<'a> {
    args: &'a Args,
    site: Site,
    accounts: Vec<String>,
    ledgers: Vec<Mutex<Ledger>>,
    relay: Relay,
    counts: Counts,
    dice: Dice,
    report: Report,
    begin: Instant,
}

impl<'a> Rounds<'a> {
    fn new(args: &'a Args, directory: &Path) -> Outcome<Self> {
        let base = directory.join("base");
        std::fs::create_dir_all(&base).map_err(|error| error.to_string())?;
        let password_file = directory.join("password");
        server::write_password(&password_file, PASSWORD)?;
        let offset = server::free_offset(u64::from(std::process::id()) * 811)?;
        let site = Site { binary: args.binary.clone(), base, password_file, offset };
        Ok(Self {
            args,
            site,
            accounts: ACCOUNTS.iter().map(|name| (*name).to_owned()).collect(),
            ledgers: ACCOUNTS.iter().map(|_| Mutex::default()).collect(),
            relay: Relay::open()?,
            counts: Counts::default(),
            dice: Dice::new(args.seed),
            report: Report { seed: args.seed, ..Report::default() },
            begin: Instant::now(),
        })
    }

    fn run(mut self) -> Outcome<Report> {
        let mut server = self.site.start()?;
        self.site.make_accounts(PASSWORD, &self.accounts)?;
        self.site.tell(PASSWORD, &self.relay.commands())?;
        for account in 0..self.accounts.len() {
            let mut imap = self.login(account)?;
            MAILBOXES.iter().for_each(|mailbox| imap.create(mailbox));
            for mailbox in MAILBOXES {
                imap.select(mailbox)?;
            }
        }
        for round in 1..=self.args.rounds {
            server = self.round(round, server)?;
            if self.args.check_every > 0 && round % self.args.check_every == 0 {
                server.stop()?;
                match self.site.check() {
                    Ok(()) => self.report.checks += 1,
                    Err(found) => self.report.problems.push(format!("round {round}: {found}")),
                }
                server = self.site.start()?;
            }
            if self.report.problems.len() >= MOST_PROBLEMS {
                break;
            }
        }
        server.stop()?;
        Ok(self.finish())
    }

    fn finish(mut self) -> Report {
        let number = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let counts = &self.counts;
        self.report.smtp = [number(&counts.smtp_sent), number(&counts.smtp)];
        self.report.append = [number(&counts.append_sent), number(&counts.append)];
        let again = self.report.relayed[2];
        self.report.relayed = [number(&counts.relay_sent), number(&counts.relay), again];
        self.report.flags = number(&counts.flags);
        self.report.moves = number(&counts.moves);
        self.report.removed = number(&counts.removed);
        self.report.refused =
            self.counts.refused.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.report.seconds = self.begin.elapsed().as_secs_f64();
        self.report
    }

    /// Load, kill, start, read.
    fn round(&mut self, round: u32, server: Server) -> Outcome<Server> {
        let life = Duration::from_millis(50 + self.dice.below(1450) as u64);
        self.load(round, life, server)?;
        let begin = Instant::now();
        let server = self.site.start()?;
        self.report.slowest_start = self.report.slowest_start.max(begin.elapsed().as_millis());
        self.report.rounds = round;
        for account in 0..self.accounts.len() {
            let seen = self.read_drained(account)?;
            let mut ledger = open(&self.ledgers[account]);
            for problem in ledger.problems(&seen) {
                self.report.problem(&self.accounts[account], round, &problem);
            }
            self.report.read += seen.values().map(|m| m.messages.len() as u64).sum::<u64>();
            ledger.settle(&seen);
            drop(ledger);
            self.thin_out(account, &seen)?;
        }
        let (problems, again) = self.relay.settle(DRAINING);
        problems.iter().for_each(|problem| self.report.problem(relay::OUTSIDE, round, problem));
        self.report.relayed[2] += again;
        Ok(server)
    }

    /// Lets the threads work and kills the server after `life`.
    fn load(&mut self, round: u32, life: Duration, mut server: Server) -> Outcome<()> {
        let begin = Instant::now();
        let load = Load {
            site: &self.site,
            accounts: &self.accounts,
            ledgers: &self.ledgers,
            relay: &self.relay,
            round,
            until: begin + life + Duration::from_secs(1),
            counts: &self.counts,
        };
        let mut dice: Vec<Dice> = (0..8).map(|_| Dice::new(self.dice.next())).collect();
        let mut throw = || dice.pop().unwrap_or(Dice::new(0));
        let mut killed = Ok(());
        std::thread::scope(|scope| {
            let load = &load;
            let mut threads = Vec::new();
            for thread in 0..3 {
                let dice = throw();
                threads.push(scope.spawn(move || load.deliver(thread, dice)));
            }
            for account in 0..self.accounts.len() {
                let dice = throw();
                threads.push(scope.spawn(move || load.keep(account, dice)));
            }
            let dice = throw();
            threads.push(scope.spawn(move || load.sort(0, dice)));
            let dice = throw();
            threads.push(scope.spawn(move || load.relay(dice)));
            std::thread::sleep(life.saturating_sub(begin.elapsed()));
            let died = !server.is_running();
            killed = server.kill();
            if died {
                killed = Err("the server ended by itself under load".to_owned());
            }
            for thread in threads {
                // A broken connection is what a kill looks like; an answer is not.
                match thread.join() {
                    Ok(Err(error)) if error.contains("was answered") => self.counts.refusal(error),
                    Ok(_) => {}
                    Err(_) => self.counts.refusal("a load thread panicked".to_owned()),
                }
            }
        });
        killed
    }

    fn login(&self, account: usize) -> Outcome<Imap> {
        let address = format!("{}@{DOMAIN}", self.accounts[account]);
        Imap::login(self.site.port(143), &address, PASSWORD)
    }

    fn read(&self, account: usize) -> Outcome<AccountSeen> {
        let mut imap = self.login(account)?;
        let mut seen = AccountSeen::new();
        for mailbox in MAILBOXES {
            seen.insert(mailbox.to_owned(), imap.read(mailbox)?);
        }
        Ok(seen)
    }

    /// Reads an account when everything acknowledged is there, or when the queue had its time.
    fn read_drained(&self, account: usize) -> Outcome<AccountSeen> {
        let begin = Instant::now();
        loop {
            let seen = self.read(account)?;
            let missing = open(&self.ledgers[account]).missing(&seen);
            if missing == 0 || begin.elapsed() > DRAINING {
                return Ok(seen);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Removes the older half of a mailbox that has become long, for quick rounds and because
    /// what was removed must stay away too.
    fn thin_out(&self, account: usize, seen: &AccountSeen) -> Outcome<()> {
        let ledger = &self.ledgers[account];
        let mut imap = self.login(account)?;
        for (name, mailbox) in seen {
            if mailbox.messages.len() <= MOST_KEPT {
                continue;
            }
            let going = mailbox.messages.get(..mailbox.messages.len() - MOST_KEPT / 2);
            let going = going.unwrap_or_default();
            imap.select(name)?;
            for some in going.chunks(100) {
                let ids = || some.iter().filter_map(ledger::Seen::id);
                ids().for_each(|id| open(ledger).attempt_removal(id));
                let set: Vec<String> = some.iter().map(|one| one.uid.to_string()).collect();
                imap.remove(&set.join(","))?;
                ids().for_each(|id| open(ledger).acknowledge_removal(id));
                self.counts.removed.fetch_add(some.len() as u64, Ordering::Relaxed);
            }
        }
        Ok(())
    }
}
