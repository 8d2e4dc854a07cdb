//! FETCH of a whole mailbox, in the ways mail programs ask for it.
//!
//! It must never parse while the clock runs, so that the server's time is seen and not the
//! client's; that all messages came is counted in a pass of its own.

use std::io;
use std::time::Instant;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::Server;
use super::processes::Cost;

/// Octets read at once.
const BUFFER: usize = 512 * 1024;

/// What to fetch.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    server: Server,
    /// The mailbox.
    #[arg(long, default_value = "INBOX")]
    mailbox: String,
    /// Which items.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "list")]
    items: Vec<Items>,
    /// How often each after the first time.
    #[arg(long, default_value_t = 3)]
    again: usize,
    /// Do not count in a last pass that all messages come.
    #[arg(long)]
    uncounted: bool,
}

/// Items asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Items {
    /// FLAGS ENVELOPE BODYSTRUCTURE
    List,
    /// FLAGS by UID
    Flags,
    /// The header fields a mail program's message list wants
    Headers,
    /// BODY.PEEK[HEADER]
    Header,
    /// BODY.PEEK[]
    Body,
}

impl Items {
    fn command(self) -> &'static str {
        match self {
            Items::List => "FETCH 1:* (FLAGS ENVELOPE BODYSTRUCTURE)",
            Items::Flags => "UID FETCH 1:* (FLAGS)",
            Items::Headers => {
                "UID FETCH 1:* (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Bcc \
                 Subject Date Message-ID Priority X-Priority References Newsgroups In-Reply-To \
                 Content-Type)])"
            }
            Items::Header => "FETCH 1:* BODY.PEEK[HEADER]",
            Items::Body => "FETCH 1:* BODY.PEEK[]",
        }
    }
}

/// What came out.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    work: &'static str,
    messages: u64,
    rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    items: String,
    /// Octets of the answer.
    octets: u64,
    /// Milliseconds of the first time, and of each further time.
    first_ms: f64,
    again_ms: Vec<f64>,
    /// What the first time cost, and the further times together.
    first_cost: Cost,
    again_cost: Cost,
}

/// Runs it.
pub(crate) fn run(options: &Options) -> io::Result<Outcome> {
    let server = &options.server;
    let mut imap = server.login(0, BUFFER)?;
    let messages = imap.select(&options.mailbox)?;
    let mut rows = Vec::new();
    for items in &options.items {
        let command = items.command();
        let mut octets = 0;
        let mut timed = || -> io::Result<f64> {
            let start = Instant::now();
            octets = imap.drain(command)?;
            Ok(start.elapsed().as_secs_f64() * 1e3)
        };
        let meter = server.meter();
        let first_ms = timed()?;
        let first_cost = meter.cost();
        let meter = server.meter();
        let again_ms = (0..options.again).map(|_| timed()).collect::<io::Result<Vec<f64>>>()?;
        let again_cost = meter.cost();
        if !options.uncounted {
            let mut seen = 0;
            imap.each(command, |response| {
                let text = response.text.get(..40).unwrap_or(&response.text);
                seen += u64::from(text.windows(7).any(|word| word == b" FETCH "));
                Ok(())
            })?;
            if seen != messages {
                let text = format!("{command}: {seen} responses for {messages} messages");
                return Err(io::Error::other(text));
            }
        }
        let items = format!("{items:?}").to_ascii_lowercase();
        rows.push(Row { items, octets, first_ms, again_ms, first_cost, again_cost });
    }
    imap.logout();
    Ok(Outcome { work: "fetch", messages, rows })
}
