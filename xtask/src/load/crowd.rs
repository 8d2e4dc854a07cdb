//! Many connections at once: logging in and out, small reads as mail programs make them, and
//! doing nothing in IDLE.
//!
//! It must never let one connection's choices depend on another's: each has its own dice.

use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::imap::{Entry, Imap};
use super::processes::{Cost, kernel_memory};
use super::spread::Spread;
use super::{Server, at_once};

/// Octets read at once by a connection that reads messages, and by one that waits.
const BUFFER: usize = 64 * 1024;
const SMALL_BUFFER: usize = 2_048;

/// Connections opened at the same time while a crowd gathers.
const OPENERS: usize = 16;

/// After the crowd has gathered and before its memory is looked at.
const SETTLING: Duration = Duration::from_secs(5);

/// What the crowd does.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    server: Server,
    #[command(subcommand)]
    does: Does,
}

#[derive(Debug, Subcommand)]
enum Does {
    /// Log in and out, again and again.
    Login(Timed),
    /// One-message reads, a few flag changes, polls.
    Reads(Timed),
    /// Wait in IDLE; then one message comes into the mailbox of the first account.
    Idle {
        /// How many connections.
        #[arg(long, default_value_t = 1_000)]
        connections: usize,
        /// Milliseconds until a connection counts as not told.
        #[arg(long, default_value_t = 20_000)]
        patience_ms: u64,
    },
}

#[derive(Debug, Args)]
struct Timed {
    /// How many connections.
    #[arg(long, default_value_t = 10)]
    connections: usize,
    /// For how long.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
}

/// What came out.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Outcome {
    Rate { work: &'static str, count: usize, per_second: f64, each: Spread, cost: Cost },
    Idle(Idle),
}

/// What waiting costs, and how soon all are told.
#[derive(Debug, Serialize)]
pub(crate) struct Idle {
    work: &'static str,
    connections: usize,
    gathered_seconds: f64,
    /// Octets for each connection: of the server's processes, and of the kernel (both ends of
    /// the connection, which are on this machine).
    server_octets_each: f64,
    kernel_octets_each: f64,
    /// CPU milliseconds that the server used in each second while nothing happened.
    idle_cpu_ms_per_second: f64,
    /// Connections on the first account's mailbox, those that were told of the message, and when.
    listeners: usize,
    told: usize,
    sent_to_exists: Spread,
    cost: Cost,
}

/// Runs it.
pub(crate) fn run(options: &Options) -> io::Result<Outcome> {
    let server = &options.server;
    match &options.does {
        Does::Login(timed) => rate(server, timed, "login", log_in_and_out),
        Does::Reads(timed) => rate(server, timed, "reads", reads),
        Does::Idle { connections, patience_ms } => {
            idle(server, *connections, Duration::from_millis(*patience_ms)).map(Outcome::Idle)
        }
    }
}

type Work = fn(&Server, usize, Duration) -> io::Result<Vec<Duration>>;

fn rate(server: &Server, timed: &Timed, work: &'static str, body: Work) -> io::Result<Outcome> {
    let within = Duration::from_secs(timed.seconds);
    let (meter, start) = (server.meter(), Instant::now());
    let places = (0..timed.connections).collect();
    let steps = at_once(places, |_, place| body(server, place, within))?;
    let took = start.elapsed().as_secs_f64();
    let cost = meter.cost();
    let each = Spread::of(steps.into_iter().flatten().collect());
    let per_second = each.count as f64 / took.max(1e-9);
    Ok(Outcome::Rate { work, count: each.count, per_second, each, cost })
}

fn log_in_and_out(server: &Server, place: usize, within: Duration) -> io::Result<Vec<Duration>> {
    let (began, mut steps) = (Instant::now(), Vec::new());
    while began.elapsed() < within {
        let start = Instant::now();
        let imap = server.login(place + steps.len(), SMALL_BUFFER)?;
        steps.push(start.elapsed());
        imap.logout();
    }
    Ok(steps)
}

/// Numbers that are always the same and look like chance.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit.max(1)
    }
}

fn reads(server: &Server, place: usize, within: Duration) -> io::Result<Vec<Duration>> {
    let mut imap = server.login(place, BUFFER)?;
    let messages = imap.select("INBOX")?.max(1);
    let mut dice = Dice(place as u64 + 17);
    let (began, mut steps) = (Instant::now(), Vec::new());
    while began.elapsed() < within {
        let number = dice.below(messages) + 1;
        let command = match dice.below(100) {
            0..5 => {
                let sign = if dice.below(2) == 0 { '+' } else { '-' };
                format!("STORE {number} {sign}FLAGS.SILENT (\\Seen)")
            }
            5..40 => {
                let to = (number + 24).min(messages);
                format!("FETCH {number}:{to} (UID FLAGS ENVELOPE RFC822.SIZE)")
            }
            40..65 => format!("FETCH {number} (UID FLAGS BODY.PEEK[HEADER])"),
            65..90 => format!("FETCH {number} (UID BODY.PEEK[])"),
            _ => "NOOP".to_owned(),
        };
        let start = Instant::now();
        imap.drain(&command)?;
        steps.push(start.elapsed());
    }
    imap.logout();
    Ok(steps)
}

fn gather(server: &Server, connections: usize) -> io::Result<Vec<(usize, Imap)>> {
    let next = AtomicUsize::new(0);
    let held = Mutex::new(Vec::with_capacity(connections));
    at_once((0..OPENERS).collect(), |_, _: usize| {
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            if place >= connections {
                return Ok(());
            }
            let mut imap = server.login(place, SMALL_BUFFER)?;
            imap.select("INBOX")?;
            imap.idle()?;
            if let Ok(mut held) = held.lock() {
                held.push((place, imap));
            }
        }
    })?;
    held.into_inner().map_err(|_| io::Error::other("a thread ended badly"))
}

fn idle(server: &Server, connections: usize, patience: Duration) -> io::Result<Idle> {
    let mut sender = server.login(0, BUFFER)?;
    // Some servers do not watch a mailbox that was never written to.
    sender.append("INBOX", &[Entry::plain(b"Subject: first\r\n\r\nfirst\r\n")])?;
    let (before, kernel) = (server.meter().cost().server_proportional, kernel_memory());
    let start = Instant::now();
    let meter = server.meter();
    let crowd = gather(server, connections)?;
    let gathered_seconds = start.elapsed().as_secs_f64();
    std::thread::sleep(SETTLING);
    let cost = meter.cost();
    let each = |now: u64, then: u64| (now as f64 - then as f64) / connections.max(1) as f64;
    let server_octets_each = each(cost.server_proportional, before);
    let kernel_octets_each = each(kernel_memory(), kernel);
    let meter = server.meter();
    std::thread::sleep(SETTLING);
    let quiet = meter.cost();

    let mut listeners: Vec<Imap> = crowd
        .into_iter()
        .filter(|(place, _)| place % server.users.max(1) == 0)
        .map(|(_, imap)| imap)
        .collect();
    sender.append_ahead("INBOX", &[Entry::plain(b"Subject: last\r\n\r\nlast\r\n")])?;
    let sent = Instant::now();
    sender.settle(0)?;
    // One after the other: the time of each is that of the last of those before it at least.
    let mut told = Vec::new();
    for imap in &mut listeners {
        if sent.elapsed() > patience {
            break;
        }
        while imap.response(false)?.numbered(" EXISTS").is_none() {}
        told.push(sent.elapsed());
    }
    Ok(Idle {
        work: "idle",
        connections,
        gathered_seconds,
        server_octets_each,
        kernel_octets_each,
        idle_cpu_ms_per_second: quiet.server_cpu_seconds / quiet.seconds.max(1e-9) * 1e3,
        listeners: listeners.len(),
        told: told.len(),
        sent_to_exists: Spread::of(told),
        cost,
    })
}
