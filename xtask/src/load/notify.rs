//! How soon a connection in IDLE hears of a message: from the moment the whole text has been
//! given to the server's socket until `EXISTS` has been read.
//!
//! It must never have two messages under way: each waits until the one before was heard of.

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use clap::{ArgGroup, Args};
use serde::Serialize;

use super::connection::resolve;
use super::imap::{Entry, Imap};
use super::processes::Cost;
use super::smtp::{Protocol, Session};
use super::spread::Spread;
use super::{Server, messages, numbered};

/// After going into IDLE, before the first message.
const SETTLING: Duration = Duration::from_millis(300);

/// What to deliver; without --smtp and --lmtp it is appended over another IMAP connection.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("way").args(["smtp", "lmtp"]))]
pub(crate) struct Options {
    #[command(flatten)]
    server: Server,
    /// Deliver by SMTP.
    #[arg(long, value_name = "HOST:PORT")]
    smtp: Option<String>,
    /// Deliver by LMTP.
    #[arg(long, value_name = "HOST:PORT")]
    lmtp: Option<String>,
    /// Recipient; %d stands for the number of the account.
    #[arg(long, value_name = "PATTERN", default_value = "user%d@bench.example")]
    recipient: String,
    /// How many messages.
    #[arg(long, default_value_t = 100)]
    messages: usize,
    /// Octets of a message.
    #[arg(long, default_value_t = 4_096)]
    size: usize,
    /// Milliseconds between one message heard of and the next.
    #[arg(long, default_value_t = 20)]
    gap_ms: u64,
    /// Most milliseconds until a message counts as missed.
    #[arg(long, default_value_t = 5_000)]
    patience_ms: u64,
    /// So many further connections in IDLE, in the accounts after the first.
    #[arg(long, default_value_t = 0)]
    idle: usize,
}

/// What came out.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    work: &'static str,
    way: &'static str,
    messages: usize,
    /// Not heard of in time.
    missed: usize,
    /// Heard of before the sender had its answer.
    before_reply: usize,
    sent_to_exists: Spread,
    sent_to_reply: Spread,
    cost: Cost,
}

enum Way {
    Session(Session, Vec<String>),
    Append(Imap),
}

/// Runs it.
pub(crate) fn run(options: &Options) -> io::Result<Outcome> {
    let server = &options.server;
    let texts = messages::make(messages::run_number(), options.messages, options.size);
    let mut others = Vec::new();
    for place in 0..options.idle {
        let mut imap = server.login(1 + place, 2_048)?;
        imap.select("INBOX")?;
        imap.idle()?;
        others.push(imap);
    }
    let open = |address: &str, protocol| -> io::Result<Way> {
        let address: SocketAddr = resolve(address, server.far)?;
        let to = vec![numbered(&options.recipient, server.first_user)];
        Ok(Way::Session(Session::open(address, protocol)?, to))
    };
    let (name, mut way) = match (&options.smtp, &options.lmtp) {
        (Some(address), _) => ("smtp", open(address, Protocol::Smtp)?),
        (_, Some(address)) => ("lmtp", open(address, Protocol::Lmtp)?),
        _ => ("append", Way::Append(server.login(0, 4_096)?)),
    };
    let mut listener = server.login(0, 4_096)?;
    // Some servers do not watch a mailbox that was never written to.
    listener.append("INBOX", &[Entry::plain(b"Subject: first\r\n\r\nfirst\r\n")])?;
    let mut have = listener.select("INBOX")?;
    listener.idle()?;
    let heard = listen(listener);
    thread::sleep(SETTLING);

    let patience = Duration::from_millis(options.patience_ms);
    let (mut exists, mut replies) = (Vec::new(), Vec::new());
    let (mut missed, mut before_reply) = (0, 0);
    let meter = server.meter();
    for text in &texts {
        let sent = match &mut way {
            Way::Session(session, to) => {
                session.announce(to)?;
                session.text(text)?;
                let sent = Instant::now();
                session.accepted(to.len())?;
                sent
            }
            Way::Append(imap) => {
                imap.append_ahead("INBOX", &[Entry::plain(text)])?;
                let sent = Instant::now();
                imap.settle(0)?;
                sent
            }
        };
        let replied = Instant::now();
        replies.push(replied.duration_since(sent));
        have += 1;
        match until(&heard, have, replied + patience)? {
            Some(at) => {
                exists.push(at.saturating_duration_since(sent));
                before_reply += usize::from(at < replied);
            }
            None => missed += 1,
        }
        thread::sleep(Duration::from_millis(options.gap_ms));
    }
    let cost = meter.cost();
    if let Way::Session(session, _) = way {
        session.quit();
    }
    drop(others);
    Ok(Outcome {
        work: "notify",
        way: name,
        messages: texts.len(),
        missed,
        before_reply,
        sent_to_exists: Spread::of(exists),
        sent_to_reply: Spread::of(replies),
        cost,
    })
}

/// Tells of every EXISTS with the moment it was read, from a thread of its own.
fn listen(mut imap: Imap) -> mpsc::Receiver<(u64, Instant)> {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        while let Ok(response) = imap.response(false) {
            let at = Instant::now();
            if let Some(exists) = response.numbered(" EXISTS")
                && tell.send((exists, at)).is_err()
            {
                return;
            }
        }
    });
    told
}

/// The moment at which so many messages were told of, if that came in time.
fn until(
    heard: &mpsc::Receiver<(u64, Instant)>,
    wanted: u64,
    deadline: Instant,
) -> io::Result<Option<Instant>> {
    loop {
        match heard.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok((exists, at)) if exists >= wanted => return Ok(Some(at)),
            Ok(_) => {}
            Err(RecvTimeoutError::Timeout) => return Ok(None),
            Err(RecvTimeoutError::Disconnected) => {
                return Err(io::Error::other("the connection in IDLE was closed"));
            }
        }
    }
}
