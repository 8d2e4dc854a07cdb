//! POP3 as a mail program collects its mail: UIDL, then RETR of every message.
//!
//! It must never keep what it reads.

use std::io;
use std::time::Instant;

use clap::Args;
use serde::Serialize;

use super::Server;
use super::connection::{Connection, resolve};
use super::processes::Cost;

/// Octets read at once.
const BUFFER: usize = 256 * 1024;

/// What to read.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    server: Server,
    /// POP3 server.
    #[arg(long, value_name = "HOST:PORT")]
    pop: String,
    /// RETR commands under way at the same time.
    #[arg(long, default_value_t = 1)]
    ahead: usize,
}

/// What came out.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    work: &'static str,
    messages: usize,
    octets: u64,
    login_ms: f64,
    uidl_ms: f64,
    retr_per_second: f64,
    cost: Cost,
}

struct Pop {
    connection: Connection,
    line: Vec<u8>,
}

impl Pop {
    fn positive(&mut self) -> io::Result<()> {
        self.connection.line(&mut self.line)?;
        if self.line.starts_with(b"+OK") {
            return Ok(());
        }
        Err(io::Error::other(String::from_utf8_lossy(&self.line).into_owned()))
    }

    fn command(&mut self, command: &str) -> io::Result<()> {
        self.connection.send(format!("{command}\r\n").as_bytes())?;
        self.positive()
    }

    /// Lines up to the closing dot.
    fn lines(&mut self) -> io::Result<usize> {
        let mut lines = 0;
        loop {
            self.connection.line(&mut self.line)?;
            if self.line == b"." {
                return Ok(lines);
            }
            lines += 1;
        }
    }
}

/// Runs it.
pub(crate) fn run(options: &Options) -> io::Result<Outcome> {
    let server = &options.server;
    let ms = |since: Instant| since.elapsed().as_secs_f64() * 1e3;
    let meter = server.meter();
    let start = Instant::now();
    let connection = Connection::open(resolve(&options.pop, server.far)?, BUFFER)?;
    let mut pop = Pop { connection, line: Vec::new() };
    pop.positive()?;
    pop.command(&format!("USER {}", server.name(0)))?;
    pop.command(&format!("PASS {}", server.password))?;
    let login_ms = ms(start);
    let start = Instant::now();
    pop.command("UIDL")?;
    let messages = pop.lines()?;
    let uidl_ms = ms(start);
    let before = pop.connection.received;
    let start = Instant::now();
    let mut sent = 0;
    for got in 0..messages {
        let mut commands = String::new();
        while sent < messages && sent < got + options.ahead.max(1) {
            sent += 1;
            commands.push_str(&format!("RETR {sent}\r\n"));
        }
        if !commands.is_empty() {
            pop.connection.send(commands.as_bytes())?;
        }
        pop.positive()?;
        pop.lines()?;
    }
    let retr_per_second = messages as f64 / start.elapsed().as_secs_f64().max(1e-9);
    let octets = pop.connection.received - before;
    let cost = meter.cost();
    let _ = pop.command("QUIT");
    Ok(Outcome { work: "pop", messages, octets, login_ms, uidl_ms, retr_per_second, cost })
}
