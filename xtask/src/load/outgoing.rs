//! Mail that leaves: messages are given to a server for another system, and a sink beside it counts
//! them as they come out.
//!
//! It must never count a message that the sink has not taken whole.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use super::connection::resolve;
use super::processes::{Cost, Meter};
use super::smtp::{Protocol, Session};
use super::{at_once, messages, numbered};
use crate::sink;

/// Time between two looks at the sink.
const LOOK: Duration = Duration::from_millis(5);

/// What to send.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// SMTP server that is to send the mail on.
    #[arg(long, value_name = "HOST:PORT")]
    smtp: String,
    /// Where the sink listens; the server must be set to send the recipients' domain there.
    #[arg(long, value_name = "HOST:PORT")]
    sink: String,
    /// Recipients; %d stands for the number of the message.
    #[arg(long, value_name = "PATTERN", default_value = "user%d@sink.example")]
    recipient: String,
    /// How many messages.
    #[arg(long, default_value_t = 5_000)]
    messages: usize,
    /// Octets of a message.
    #[arg(long, default_value_t = 4_096)]
    size: usize,
    /// How many connections at once.
    #[arg(long, default_value_t = 10)]
    connections: usize,
    /// A process of the server, whose CPU time is reported with that of all its children.
    #[arg(long, value_name = "PID")]
    pid: Vec<u32>,
    /// Most seconds until all has come out.
    #[arg(long, default_value_t = 300)]
    patience: u64,
}

/// What came out.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    work: &'static str,
    messages: usize,
    size: usize,
    connections: usize,
    accepted_seconds: f64,
    relayed_seconds: f64,
    accepted_per_second: f64,
    relayed_per_second: f64,
    /// Messages the sink has taken beyond those that were given.
    doubled: usize,
    cost: Cost,
}

/// Runs it.
pub(crate) fn run(options: &Options) -> io::Result<Outcome> {
    let address = resolve(&options.smtp, false)?;
    let arrived = Arc::new(AtomicUsize::new(0));
    let count = arrived.clone();
    let listener: sink::Listener = Arc::new(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
    });
    sink::open(resolve(&options.sink, false)?, listener)?;
    let texts = messages::make(messages::run_number(), options.messages, options.size);
    let next = AtomicUsize::new(0);
    let meter = Meter::start(&options.pid);
    let began = Instant::now();
    at_once(vec![(); options.connections.max(1)], |_, ()| {
        let mut session = Session::open(address, Protocol::Smtp)?;
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(text) = texts.get(number) else { break };
            session.announce(&[numbered(&options.recipient, number)])?;
            session.text(text)?;
            session.accepted(1)?;
        }
        session.quit();
        Ok(())
    })?;
    let accepted = began.elapsed().as_secs_f64();
    let until = Instant::now() + Duration::from_secs(options.patience);
    while arrived.load(Ordering::SeqCst) < options.messages {
        if Instant::now() > until {
            let out = arrived.load(Ordering::SeqCst);
            let text = format!("only {out} of {} messages came out", options.messages);
            return Err(io::Error::other(text));
        }
        thread::sleep(LOOK);
    }
    let relayed = began.elapsed().as_secs_f64();
    let cost = meter.cost();
    let count = options.messages as f64;
    Ok(Outcome {
        work: "outgoing",
        messages: options.messages,
        size: options.size,
        connections: options.connections,
        accepted_seconds: accepted,
        relayed_seconds: relayed,
        accepted_per_second: count / accepted,
        relayed_per_second: count / relayed,
        doubled: arrived.load(Ordering::SeqCst).saturating_sub(options.messages),
        cost,
    })
}
