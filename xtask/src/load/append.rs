//! APPEND over one or many connections, each waiting for its answer.
//!
//! It must never send a message before the one ahead of it is answered: what is measured is how
//! fast a message is durable.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use clap::Args;
use serde::Serialize;

use super::imap::{Entry, Imap};
use super::processes::Cost;
use super::spread::Spread;
use super::{Server, at_once, messages};

/// What to append.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    server: Server,
    /// The mailbox; it is made if it is not there.
    #[arg(long, default_value = "INBOX")]
    mailbox: String,
    /// How many messages.
    #[arg(long, default_value_t = 500)]
    messages: usize,
    /// Octets of a message.
    #[arg(long, default_value_t = 4_096)]
    size: usize,
    /// How many connections at once.
    #[arg(long, default_value_t = 1)]
    connections: usize,
    /// Messages in one command (MULTIAPPEND).
    #[arg(long, default_value_t = 1)]
    multi: usize,
}

/// What came out.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    work: &'static str,
    messages: usize,
    size: usize,
    connections: usize,
    /// Messages in one command.
    multi: usize,
    seconds: f64,
    per_second: f64,
    /// Of one command.
    each: Spread,
    cost: Cost,
}

/// Runs it.
pub(crate) fn run(options: &Options) -> io::Result<Outcome> {
    let server = &options.server;
    let multi = options.multi.max(1);
    let texts = messages::make(messages::run_number(), options.messages, options.size);
    let batches: Vec<&[Vec<u8>]> = texts.chunks(multi).collect();
    let mut sessions = Vec::new();
    for place in 0..options.connections.max(1) {
        let mut imap = server.login(place, 4_096)?;
        if multi > 1 && !imap.can("MULTIAPPEND") {
            return Err(io::Error::other("the server has no MULTIAPPEND"));
        }
        imap.ensure(&options.mailbox)?;
        sessions.push(imap);
    }
    let next = AtomicUsize::new(0);
    let meter = server.meter();
    let began = Instant::now();
    let ended = at_once(sessions, |_, mut imap: Imap| {
        let mut steps = Vec::new();
        while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
            let entries: Vec<Entry<'_>> = batch.iter().map(|text| Entry::plain(text)).collect();
            let start = Instant::now();
            imap.append(&options.mailbox, &entries)?;
            steps.push(start.elapsed());
        }
        Ok((steps, imap))
    })?;
    let seconds = began.elapsed().as_secs_f64();
    let cost = meter.cost();
    let mut steps = Vec::new();
    for (mine, imap) in ended {
        steps.extend(mine);
        imap.logout();
    }
    Ok(Outcome {
        work: "append",
        messages: options.messages,
        size: options.size,
        connections: options.connections,
        multi,
        seconds,
        per_second: options.messages as f64 / seconds,
        each: Spread::of(steps),
        cost,
    })
}
