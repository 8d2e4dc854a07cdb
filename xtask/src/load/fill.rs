//! Fills mailboxes with the mixed mail of a seed, flags and dates included.
//!
//! It must never make other mail than `cargo xtask corpus` does for the same seed.

use std::collections::BTreeSet;
use std::io;
use std::time::Instant;

use clap::Args;
use serde::Serialize;

use super::Server;
use super::imap::{Entry, Imap, wire_name};
use super::processes::Cost;
use crate::corpus::texts::imap_date;
use crate::corpus::{self, Generated};

/// Messages and octets that go out in one command.
const BATCH: usize = 100;
const BATCH_OCTETS: usize = 4 * 1024 * 1024;

/// What to fill in.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    server: Server,
    /// How many messages for each account.
    #[arg(long, default_value_t = 20_000)]
    messages: usize,
    /// How many mailboxes they are spread over.
    #[arg(long, default_value_t = 1)]
    mailboxes: usize,
    /// The seed: the same seed gives the same mail.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The mailbox, when it is one.
    #[arg(long, default_value = "INBOX")]
    mailbox: String,
}

/// What came out.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    work: &'static str,
    accounts: usize,
    messages: usize,
    octets: usize,
    /// Messages the server did not take: some refuse odd ones.
    refused: usize,
    seconds: f64,
    cost: Cost,
}

/// Runs it.
pub(crate) fn run(options: &Options) -> io::Result<Outcome> {
    let server = &options.server;
    let accounts = server.users.max(1);
    let meter = server.meter();
    let began = Instant::now();
    let (mut octets, mut refused) = (0, 0);
    for place in 0..accounts {
        let imap = server.login(place, 4_096)?;
        let mut filler = Filler { imap, made: BTreeSet::new(), refused: 0 };
        let mut batch: Vec<Generated> = Vec::new();
        let mut size = 0;
        for mut message in corpus::generate(options.seed, options.messages, options.mailboxes) {
            if options.mailboxes <= 1 {
                message.mailbox.clone_from(&options.mailbox);
            }
            let another = batch.first().is_some_and(|first| first.mailbox != message.mailbox);
            if another || batch.len() >= BATCH || size >= BATCH_OCTETS {
                filler.put(&batch)?;
                batch.clear();
                size = 0;
            }
            size += message.bytes.len();
            octets += message.bytes.len();
            batch.push(message);
        }
        filler.put(&batch)?;
        refused += filler.refused;
        filler.imap.logout();
    }
    Ok(Outcome {
        work: "fill",
        accounts,
        messages: options.messages * accounts,
        octets,
        refused,
        seconds: began.elapsed().as_secs_f64(),
        cost: meter.cost(),
    })
}

struct Filler {
    imap: Imap,
    made: BTreeSet<String>,
    refused: usize,
}

impl Filler {
    fn put(&mut self, batch: &[Generated]) -> io::Result<()> {
        let Some(first) = batch.first() else { return Ok(()) };
        let mailbox = wire_name(&first.mailbox);
        if self.made.insert(mailbox.clone()) {
            self.imap.ensure(&mailbox)?;
        }
        let heads: Vec<(String, String)> = batch
            .iter()
            .map(|message| (message.flags.join(" "), imap_date(message.time)))
            .collect();
        let entries: Vec<Entry<'_>> = batch
            .iter()
            .zip(&heads)
            .map(|(message, (flags, date))| Entry::dated(flags, date, &message.bytes))
            .collect();
        if !self.took(&mailbox, &entries)? {
            // A command is taken as a whole or not at all: now each message for itself.
            for entry in &entries {
                if !self.took(&mailbox, std::slice::from_ref(entry))? {
                    self.refused += 1;
                }
            }
        }
        Ok(())
    }

    /// Whether the server takes these; an error is one of the connection.
    fn took(&mut self, mailbox: &str, entries: &[Entry<'_>]) -> io::Result<bool> {
        match self.imap.append(mailbox, entries) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::Other && self.imap.can("MULTIAPPEND") => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}
