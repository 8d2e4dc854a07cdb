//! The floor for every mover: all messages of an account streamed from one server to another,
//! FETCH on one side and MULTIAPPEND on the other, both at once, with nothing looked at on the
//! way but flags and dates.
//!
//! It must never resume, compare or check: what that costs is what movers are measured by.

use std::io;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use clap::Args;
use serde::Serialize;

use super::connection::resolve;
use super::imap::{Entry, Imap, Response, quoted};
use super::processes::{Cost, Meter};

/// Octets read at once.
const BUFFER: usize = 256 * 1024;

/// Messages that are read ahead of the writer.
const AHEAD: usize = 64;

/// Octets that go out in one command at most, unless a single message has more.
const BATCH_OCTETS: usize = 4 * 1024 * 1024;

/// APPEND commands sent before the answer to the oldest is waited for.
const WINDOW: usize = 2;

/// From where to where.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// IMAP server to read from.
    #[arg(long, value_name = "HOST:PORT")]
    from: String,
    /// Login name there.
    #[arg(long, value_name = "NAME")]
    from_user: String,
    /// Password there.
    #[arg(long, value_name = "PASSWORD", default_value = "pass")]
    from_password: String,
    /// IMAP server to write to.
    #[arg(long, value_name = "HOST:PORT")]
    to: String,
    /// Login name there.
    #[arg(long, value_name = "NAME")]
    to_user: String,
    /// Password there.
    #[arg(long, value_name = "PASSWORD", default_value = "pass")]
    to_password: String,
    /// Messages in one command.
    #[arg(long, default_value_t = 100)]
    multi: usize,
    /// A process of the server that is written to (repeatable).
    #[arg(long, value_name = "PID")]
    pid: Vec<u32>,
    /// Send load also to another machine than this.
    #[arg(long)]
    far: bool,
}

/// What came out.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    work: &'static str,
    mailboxes: usize,
    messages: u64,
    octets: u64,
    seconds: f64,
    per_second: f64,
    /// Of the server that was written to.
    cost: Cost,
}

enum Parcel {
    Mailbox(String),
    Message { flags: String, date: String, bytes: Vec<u8> },
}

/// Runs it.
pub(crate) fn run(options: &Options) -> io::Result<Outcome> {
    let (from, to) = (resolve(&options.from, options.far)?, resolve(&options.to, options.far)?);
    let meter = Meter::start(&options.pid);
    let began = Instant::now();
    let mut source = Imap::login(from, &options.from_user, &options.from_password, BUFFER)?;
    let mut target = Imap::login(to, &options.to_user, &options.to_password, 4_096)?;
    let (give, take) = mpsc::sync_channel(AHEAD);
    let (read, written) = thread::scope(|scope| {
        let reader = scope.spawn(move || read_all(&mut source, &give));
        let written = write_all(&mut target, take, options.multi.max(1));
        let read = reader.join().unwrap_or_else(|_| Err(io::Error::other("the reader ended")));
        (read, written)
    });
    // When the writer fails the reader only sees a closed channel: the writer's word counts.
    let (messages, octets) = written?;
    let mailboxes = read?;
    let seconds = began.elapsed().as_secs_f64();
    Ok(Outcome {
        work: "barecopy",
        mailboxes,
        messages,
        octets,
        seconds,
        per_second: messages as f64 / seconds,
        cost: meter.cost(),
    })
}

fn read_all(source: &mut Imap, give: &mpsc::SyncSender<Parcel>) -> io::Result<usize> {
    let closed = |_| io::Error::other("the writer has ended");
    let mailboxes = source.list()?;
    for mailbox in &mailboxes {
        source.command(&format!("EXAMINE {}", quoted(mailbox)))?;
        give.send(Parcel::Mailbox(mailbox.clone())).map_err(closed)?;
        source.each("UID FETCH 1:* (FLAGS INTERNALDATE BODY.PEEK[])", |response| {
            if let Some(parcel) = message(response) {
                give.send(parcel).map_err(closed)?;
            }
            Ok(())
        })?;
    }
    Ok(mailboxes.len())
}

/// The message in a FETCH response; other responses have none.
fn message(mut response: Response) -> Option<Parcel> {
    let text = String::from_utf8_lossy(&response.text);
    let between = |start: &str, end: char| -> Option<String> {
        Some(text.split_once(start)?.1.split_once(end)?.0.to_owned())
    };
    let flags = between("FLAGS (", ')')?;
    let date = between("INTERNALDATE \"", '"')?;
    let flags: Vec<&str> =
        flags.split(' ').filter(|flag| !flag.eq_ignore_ascii_case("\\Recent")).collect();
    let flags = flags.join(" ");
    Some(Parcel::Message { flags, date, bytes: response.literals.pop()? })
}

fn write_all(
    target: &mut Imap,
    take: mpsc::Receiver<Parcel>,
    multi: usize,
) -> io::Result<(u64, u64)> {
    let (mut messages, mut octets, mut size) = (0, 0, 0);
    let mut mailbox = String::new();
    let mut batch: Vec<(String, String, Vec<u8>)> = Vec::new();
    let mut put = |target: &mut Imap, mailbox: &str, batch: &mut Vec<(String, String, Vec<u8>)>| {
        let entries: Vec<Entry<'_>> =
            batch.iter().map(|(flags, date, bytes)| Entry::dated(flags, date, bytes)).collect();
        messages += entries.len() as u64;
        octets += entries.iter().map(|entry| entry.bytes.len() as u64).sum::<u64>();
        target.append_ahead(mailbox, &entries)?;
        batch.clear();
        target.settle(WINDOW)
    };
    for parcel in take {
        match parcel {
            Parcel::Mailbox(name) => {
                put(target, &mailbox, &mut batch)?;
                target.settle(0)?;
                if !name.eq_ignore_ascii_case("INBOX") {
                    // One round trip; a mailbox that is there already is as good.
                    let made = target.command(&format!("CREATE {}", quoted(&name)));
                    if let Err(error) = made
                        && error.kind() != io::ErrorKind::Other
                    {
                        return Err(error);
                    }
                }
                (mailbox, size) = (name, 0);
            }
            Parcel::Message { flags, date, bytes } => {
                if batch.len() >= multi || size >= BATCH_OCTETS {
                    put(target, &mailbox, &mut batch)?;
                    size = 0;
                }
                size += bytes.len();
                batch.push((flags, date, bytes));
            }
        }
    }
    put(target, &mailbox, &mut batch)?;
    target.settle(0)?;
    Ok((messages, octets))
}
