//! Delivery by SMTP or LMTP over many connections, until every message is in its mailbox.
//!
//! It must never count a message that the mailbox does not have.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use super::connection::{Connection, resolve};
use super::imap::Imap;
use super::processes::Cost;
use super::spread::Spread;
use super::{Server, at_once, messages, numbered};

/// Time between two looks into a mailbox.
const LOOK: Duration = Duration::from_millis(10);

/// What to deliver.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    server: Server,
    /// SMTP server.
    #[arg(long, value_name = "HOST:PORT", required_unless_present = "lmtp")]
    smtp: Option<String>,
    /// LMTP server instead.
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "smtp")]
    lmtp: Option<String>,
    /// Recipients; %d stands for the number of the account.
    #[arg(long, value_name = "PATTERN", default_value = "user%d@bench.example")]
    recipient: String,
    /// How many messages.
    #[arg(long, default_value_t = 500)]
    messages: usize,
    /// Octets of a message.
    #[arg(long, default_value_t = 4_096)]
    size: usize,
    /// How many connections at once.
    #[arg(long, default_value_t = 10)]
    connections: usize,
    /// Messages over one connection before it is closed and another opened; 0 for all.
    #[arg(long, default_value_t = 0)]
    per_connection: usize,
    /// Accounts that each message goes to.
    #[arg(long, default_value_t = 1)]
    recipients: usize,
    /// Most seconds until all is in the mailboxes.
    #[arg(long, default_value_t = 180)]
    patience: u64,
}

/// What came out.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    work: &'static str,
    messages: usize,
    recipients: usize,
    size: usize,
    connections: usize,
    /// Seconds until the last message was accepted, and until all were seen in the mailboxes.
    accepted_seconds: f64,
    stored_seconds: f64,
    accepted_per_second: f64,
    stored_per_second: f64,
    /// From MAIL to the reply to the text.
    each: Spread,
    cost: Cost,
}

/// Which of the two protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Smtp,
    Lmtp,
}

/// One session.
pub(crate) struct Session {
    connection: Connection,
    protocol: Protocol,
    line: Vec<u8>,
}

impl Session {
    /// Connects and greets.
    pub(crate) fn open(address: SocketAddr, protocol: Protocol) -> io::Result<Session> {
        let connection = Connection::open(address, 4_096)?;
        let mut session = Session { connection, protocol, line: Vec::new() };
        session.reply(b'2')?;
        session.connection.send(match protocol {
            Protocol::Smtp => b"EHLO load.example.org\r\n",
            Protocol::Lmtp => b"LHLO load.example.org\r\n",
        })?;
        session.reply(b'2')?;
        Ok(session)
    }

    /// Reads a reply of one or more lines; it must be of the class.
    fn reply(&mut self, class: u8) -> io::Result<()> {
        loop {
            self.connection.line(&mut self.line)?;
            if self.line.get(3) != Some(&b'-') {
                break;
            }
        }
        if self.line.first() == Some(&class) {
            return Ok(());
        }
        Err(io::Error::other(format!("SMTP: {}", String::from_utf8_lossy(&self.line))))
    }

    /// Everything before the text, pipelined.
    pub(crate) fn announce(&mut self, recipients: &[String]) -> io::Result<()> {
        let mut out = "MAIL FROM:<load@example.org>\r\n".to_owned();
        for recipient in recipients {
            out.push_str(&format!("RCPT TO:<{recipient}>\r\n"));
        }
        out.push_str("DATA\r\n");
        self.connection.send(out.as_bytes())?;
        for _ in 0..=recipients.len() {
            self.reply(b'2')?;
        }
        self.reply(b'3')
    }

    /// The text and its end; it must not have lines that begin with a dot.
    pub(crate) fn text(&mut self, text: &[u8]) -> io::Result<()> {
        self.connection.send(&[text, b".\r\n"].concat())
    }

    /// What the server says to the text: LMTP says it for each recipient.
    pub(crate) fn accepted(&mut self, recipients: usize) -> io::Result<()> {
        let replies = if self.protocol == Protocol::Lmtp { recipients } else { 1 };
        (0..replies).try_for_each(|_| self.reply(b'2'))
    }

    /// Says goodbye.
    pub(crate) fn quit(mut self) {
        let _ = self.connection.send(b"QUIT\r\n").and_then(|()| self.reply(b'2'));
    }
}

/// Runs it.
pub(crate) fn run(options: &Options) -> io::Result<Outcome> {
    let server = &options.server;
    let (protocol, address) = match (&options.smtp, &options.lmtp) {
        (_, Some(address)) => (Protocol::Lmtp, address),
        (Some(address), None) => (Protocol::Smtp, address),
        (None, None) => return Err(io::Error::other("no --smtp and no --lmtp")),
    };
    let address = resolve(address, server.far)?;
    let users = server.users.max(1);
    let copies = options.recipients.clamp(1, users);
    let texts = messages::make(messages::run_number(), options.messages, options.size);
    let mut watchers: Vec<Imap> =
        (0..users).map(|place| server.login(place, 4_096)).collect::<io::Result<_>>()?;
    let before = total(&mut watchers)?;

    let next = AtomicUsize::new(0);
    let meter = server.meter();
    let began = Instant::now();
    let steps = at_once(vec![(); options.connections.max(1)], |_, ()| {
        let mut steps = Vec::new();
        let mut session: Option<Session> = None;
        let mut used = 0;
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(text) = texts.get(number) else { break };
            let to: Vec<String> = (0..copies)
                .map(|copy| server.first_user + (number + copy) % users)
                .map(|user| numbered(&options.recipient, user))
                .collect();
            let mut open = match session.take() {
                Some(session) => session,
                None => Session::open(address, protocol)?,
            };
            let start = Instant::now();
            open.announce(&to)?;
            open.text(text)?;
            open.accepted(to.len())?;
            steps.push(start.elapsed());
            used += 1;
            if options.per_connection > 0 && used % options.per_connection == 0 {
                open.quit();
            } else {
                session = Some(open);
            }
        }
        if let Some(session) = session {
            session.quit();
        }
        Ok(steps)
    })?;
    let accepted = began.elapsed().as_secs_f64();
    let wanted = before + (options.messages * copies) as u64;
    let until = Instant::now() + Duration::from_secs(options.patience);
    loop {
        let now = total(&mut watchers)?;
        if now >= wanted {
            break;
        }
        if Instant::now() > until {
            let text = format!("only {} of {} messages arrived", now - before, wanted - before);
            return Err(io::Error::other(text));
        }
        thread::sleep(LOOK);
    }
    let stored = began.elapsed().as_secs_f64();
    let cost = meter.cost();
    let count = options.messages as f64;
    Ok(Outcome {
        work: if protocol == Protocol::Lmtp { "lmtp" } else { "smtp" },
        messages: options.messages,
        recipients: copies,
        size: options.size,
        connections: options.connections,
        accepted_seconds: accepted,
        stored_seconds: stored,
        accepted_per_second: count / accepted,
        stored_per_second: count / stored,
        each: Spread::of(steps.into_iter().flatten().collect()),
        cost,
    })
}

/// Messages in all the INBOXes.
fn total(watchers: &mut [Imap]) -> io::Result<u64> {
    watchers.iter_mut().map(|watcher| watcher.messages("INBOX")).sum()
}
