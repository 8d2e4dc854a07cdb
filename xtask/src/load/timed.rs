//! Commands of one connection, timed one at a time: SELECT, SEARCH, STORE, COPY, a poll. What
//! makes the ground for the next time (making mailboxes, marking messages) is not timed.
//!
//! It must never parse a timed answer beyond its last line, so that the server's time is seen.

use std::io;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use super::Server;
use super::imap::Imap;
use super::processes::{Cost, Meter};
use super::spread::Spread;

/// Octets read at once.
const BUFFER: usize = 256 * 1024;

/// Numbers in one command where `{every N}` stands; longer lines are refused by some servers.
const NUMBERS: usize = 1_000;

/// What to time. In commands `{uidvalidity}`, `{modseq}` and `{exists}` are those the last SELECT
/// told, and `{every N}` every N-th message number (as many commands as that takes). A command
/// that begins with `?` may be refused.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    server: Server,
    /// Once, after log-in (repeatable).
    #[arg(long, value_name = "COMMAND")]
    setup: Vec<String>,
    /// Each time before, not timed (repeatable).
    #[arg(long, value_name = "COMMAND")]
    before: Vec<String>,
    /// What is timed; several are timed together (repeatable).
    #[arg(long, value_name = "COMMAND", required = true)]
    command: Vec<String>,
    /// Each time after, not timed (repeatable).
    #[arg(long, value_name = "COMMAND")]
    after: Vec<String>,
    /// How often.
    #[arg(long, default_value_t = 3)]
    times: usize,
    /// Each time on a new connection; log-in is not timed.
    #[arg(long)]
    fresh: bool,
}

/// What came out.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    work: &'static str,
    /// Octets of the last answer.
    octets: u64,
    first_ms: f64,
    each: Spread,
    /// What the timed commands cost together.
    server_cpu_seconds: f64,
    /// The whole run, with what was not timed.
    cost: Cost,
}

/// What the last SELECT told.
#[derive(Debug, Default)]
struct Told {
    uid_validity: u64,
    modseq: u64,
    exists: u64,
}

/// The commands that a command stands for.
fn expanded(command: &str, told: &Told) -> Vec<String> {
    let text = command
        .replace("{uidvalidity}", &told.uid_validity.to_string())
        .replace("{modseq}", &told.modseq.to_string())
        .replace("{exists}", &told.exists.to_string());
    let Some((head, rest)) = text.split_once("{every ") else { return vec![text] };
    let Some((step, tail)) = rest.split_once('}') else { return vec![text] };
    let step = step.parse().unwrap_or(1usize).max(1);
    let numbers: Vec<String> = (1..=told.exists).step_by(step).map(|n| n.to_string()).collect();
    numbers.chunks(NUMBERS).map(|part| format!("{head}{}{tail}", part.join(","))).collect()
}

fn say(imap: &mut Imap, commands: &[String], told: &mut Told) -> io::Result<()> {
    for command in commands {
        let (command, lenient) = match command.strip_prefix('?') {
            Some(command) => (command, true),
            None => (command.as_str(), false),
        };
        for command in expanded(command, told) {
            let done = imap.each(&command, |response| {
                let number = |word| response.after(word);
                told.exists = response.numbered(" EXISTS").unwrap_or(told.exists);
                told.uid_validity = number("[UIDVALIDITY").unwrap_or(told.uid_validity);
                told.modseq = number("[HIGHESTMODSEQ").unwrap_or(told.modseq);
                Ok(())
            });
            if !lenient {
                done?;
            }
        }
    }
    Ok(())
}

/// Runs it.
pub(crate) fn run(options: &Options) -> io::Result<Outcome> {
    let server = &options.server;
    let mut told = Told::default();
    let open = |told: &mut Told| -> io::Result<Imap> {
        let mut imap = server.login(0, BUFFER)?;
        say(&mut imap, &options.setup, told)?;
        Ok(imap)
    };
    let mut imap = open(&mut told)?;
    let (mut steps, mut octets, mut cpu) = (Vec::new(), 0, 0.0);
    let whole = server.meter();
    for time in 0..options.times {
        if options.fresh && time > 0 {
            let old = std::mem::replace(&mut imap, open(&mut told)?);
            old.logout();
        }
        say(&mut imap, &options.before, &mut told)?;
        let commands: Vec<String> =
            options.command.iter().flat_map(|command| expanded(command, &told)).collect();
        let meter = Meter::quick(&server.pid);
        let start = Instant::now();
        octets = 0;
        for command in &commands {
            octets += imap.drain(command)?;
        }
        steps.push(start.elapsed());
        cpu += meter.server_cpu_seconds();
        say(&mut imap, &options.after, &mut told)?;
    }
    let cost = whole.cost();
    imap.logout();
    let first_ms = steps.first().map_or(0.0, Duration::as_secs_f64) * 1e3;
    let each = Spread::of(steps);
    Ok(Outcome { work: "timed", octets, first_ms, each, server_cpu_seconds: cpu, cost })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_name_what_the_server_told_and_every_nth_message() {
        let told = Told { uid_validity: 7, modseq: 9, exists: 5 };
        let select = expanded("SELECT INBOX (QRESYNC ({uidvalidity} {modseq}))", &told);
        assert_eq!(select, ["SELECT INBOX (QRESYNC (7 9))"]);
        assert_eq!(expanded("STORE {every 2} +FLAGS (x)", &told), ["STORE 1,3,5 +FLAGS (x)"]);
        let many = Told { exists: 2_500, ..told };
        let pieces = expanded("STORE {every 1} +FLAGS (x)", &many);
        assert_eq!(pieces.len(), 3);
        assert!(pieces[2].starts_with("STORE 2001,2002,"), "{}", pieces[2]);
    }
}
