//! `cargo xtask load`: many-connection load against any mail server, with plain threads and
//! sockets. Each piece of work prints one JSON object; `bench/run.py` runs them side by side
//! with other servers.
//!
//! It must never use product code or know which server it talks to: the same bytes go to all.

mod append;
mod bare_copy;
mod bare_list;
mod connection;
mod crowd;
mod delay;
mod disk;
mod fetch;
mod fill;
mod imap;
mod messages;
mod notify;
mod outgoing;
mod pop;
mod processes;
mod smtp;
mod spread;
mod timed;

use std::io;
use std::sync::Mutex;

use clap::{Args, Subcommand};
use imap::Imap;
use processes::Meter;
use serde::Serialize;

/// Options of `cargo xtask load`.
#[derive(Debug, Args)]
pub struct Options {
    #[command(subcommand)]
    work: Work,
}

#[derive(Debug, Subcommand)]
enum Work {
    /// Deliver by SMTP or LMTP and wait until all of it is in the mailboxes.
    Smtp(smtp::Options),
    /// Deliver for another system and wait until all of it has come out at a sink.
    Outgoing(outgoing::Options),
    /// APPEND, one message or many in a command, over one or many connections.
    Append(append::Options),
    /// FETCH of all messages of a mailbox.
    Fetch(fetch::Options),
    /// From the end of a delivery until EXISTS reaches a connection in IDLE.
    Notify(notify::Options),
    /// Commands of one connection, timed one at a time.
    Timed(timed::Options),
    /// Many connections at once: log-ins, small reads, IDLE.
    Crowd(crowd::Options),
    /// POP3: UIDL and RETR of a whole mailbox.
    Pop(pop::Options),
    /// Fill mailboxes with mixed mail of a seed.
    Fill(fill::Options),
    /// Copy all mailboxes with a bare streaming client: the floor for every mover.
    #[command(name = "barecopy")]
    BareCopy(bare_copy::Options),
    /// List an account on two servers at once: the floor for a mover that has lost its state.
    #[command(name = "barelist")]
    BareList(bare_list::Options),
    /// Make servers distant: a proxy that delays what passes, until it is ended.
    Delay(delay::Options),
    /// How long the disk takes to make 4 KiB durable.
    Disk(disk::Options),
}

/// The IMAP server under load and its accounts.
#[derive(Clone, Debug, Args)]
struct Server {
    /// IMAP server.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:143")]
    imap: String,
    /// Login names; %d stands for the number of the account.
    #[arg(long, value_name = "PATTERN", default_value = "user%d")]
    user: String,
    /// The password of all accounts.
    #[arg(long, default_value = "pass")]
    password: String,
    /// Number of the first account.
    #[arg(long, value_name = "N", default_value_t = 1)]
    first_user: usize,
    /// How many accounts share the work.
    #[arg(long, value_name = "N", default_value_t = 1)]
    users: usize,
    /// A process of the server, whose CPU time and memory is reported with that of all its
    /// children (repeatable).
    #[arg(long, value_name = "PID")]
    pid: Vec<u32>,
    /// Send load also to another machine than this.
    #[arg(long)]
    far: bool,
}

impl Server {
    /// The login name for a place in the work; places go round the accounts.
    fn name(&self, place: usize) -> String {
        numbered(&self.user, self.first_user + place % self.users.max(1))
    }

    /// A logged-in connection; `buffer` is the octets read at once.
    fn login(&self, place: usize, buffer: usize) -> io::Result<Imap> {
        let address = connection::resolve(&self.imap, self.far)?;
        Imap::login(address, &self.name(place), &self.password, buffer)
    }

    fn meter(&self) -> Meter {
        Meter::start(&self.pid)
    }
}

/// A pattern with the number put in.
fn numbered(pattern: &str, number: usize) -> String {
    pattern.replace("%d", &number.to_string())
}

/// Runs the work and prints what came out as one JSON object.
///
/// # Errors
/// When a server cannot be reached, refuses something, or closes a connection.
pub fn run(options: &Options) -> io::Result<()> {
    match &options.work {
        Work::Smtp(options) => print(&smtp::run(options)?),
        Work::Outgoing(options) => print(&outgoing::run(options)?),
        Work::Append(options) => print(&append::run(options)?),
        Work::Fetch(options) => print(&fetch::run(options)?),
        Work::Notify(options) => print(&notify::run(options)?),
        Work::Timed(options) => print(&timed::run(options)?),
        Work::Crowd(options) => print(&crowd::run(options)?),
        Work::Pop(options) => print(&pop::run(options)?),
        Work::Fill(options) => print(&fill::run(options)?),
        Work::BareCopy(options) => print(&bare_copy::run(options)?),
        Work::BareList(options) => print(&bare_list::run(options)?),
        Work::Delay(options) => print(&delay::run(options)?),
        Work::Disk(options) => print(&disk::run(options)?),
    }
}

fn print(outcome: &impl Serialize) -> io::Result<()> {
    println!("{}", serde_json::to_string(outcome)?);
    Ok(())
}

/// Runs `body` once for each item, all at the same time, and gives back what they return; the
/// first error of any ends the whole once all have ended.
fn at_once<T: Send, R: Send>(
    items: Vec<T>,
    body: impl Fn(usize, T) -> io::Result<R> + Sync,
) -> io::Result<Vec<R>> {
    let outcomes = Mutex::new(Vec::with_capacity(items.len()));
    std::thread::scope(|scope| -> io::Result<()> {
        for (place, item) in items.into_iter().enumerate() {
            let (body, outcomes) = (&body, &outcomes);
            std::thread::Builder::new().stack_size(256 * 1024).spawn_scoped(scope, move || {
                let outcome = body(place, item);
                if let Ok(mut outcomes) = outcomes.lock() {
                    outcomes.push(outcome);
                }
            })?;
        }
        Ok(())
    })?;
    let outcomes = outcomes.into_inner().map_err(|_| io::Error::other("a thread ended badly"))?;
    outcomes.into_iter().collect()
}
