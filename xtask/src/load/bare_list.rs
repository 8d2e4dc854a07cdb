//! The floor for a mover that has lost its state: all messages of an account listed on both
//! servers at once, with what they can be told apart by, and nothing done with it.
//!
//! It must never compare: what that costs is what movers are measured by.

use std::io;
use std::time::Instant;

use clap::Args;
use serde::Serialize;

use super::at_once;
use super::connection::resolve;
use super::imap::{Imap, quoted};

/// Octets read at once.
const BUFFER: usize = 256 * 1024;

/// What is asked of each message.
const ASKED: &str =
    "UID FETCH 1:* (FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])";

/// Which two accounts.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The one IMAP server.
    #[arg(long, value_name = "HOST:PORT")]
    from: String,
    /// Login name there.
    #[arg(long, value_name = "NAME")]
    from_user: String,
    /// Password there.
    #[arg(long, value_name = "PASSWORD", default_value = "pass")]
    from_password: String,
    /// The other one.
    #[arg(long, value_name = "HOST:PORT")]
    to: String,
    /// Login name there.
    #[arg(long, value_name = "NAME")]
    to_user: String,
    /// Password there.
    #[arg(long, value_name = "PASSWORD", default_value = "pass")]
    to_password: String,
    /// Send load also to another machine than this.
    #[arg(long)]
    far: bool,
}

/// What came out.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    work: &'static str,
    mailboxes: usize,
    octets: u64,
    seconds: f64,
}

/// Runs it.
pub(crate) fn run(options: &Options) -> io::Result<Outcome> {
    let sides = vec![
        (resolve(&options.from, options.far)?, &options.from_user, &options.from_password),
        (resolve(&options.to, options.far)?, &options.to_user, &options.to_password),
    ];
    let began = Instant::now();
    let listed = at_once(sides, |_, (address, user, password)| {
        let mut imap = Imap::login(address, user, password, BUFFER)?;
        let names = imap.list()?;
        let mut octets = 0;
        for name in &names {
            imap.command(&format!("EXAMINE {}", quoted(name)))?;
            octets += imap.drain(ASKED)?;
        }
        Ok((names.len(), octets))
    })?;
    Ok(Outcome {
        work: "barelist",
        mailboxes: listed.iter().map(|side| side.0).sum(),
        octets: listed.iter().map(|side| side.1).sum(),
        seconds: began.elapsed().as_secs_f64(),
    })
}
