//! How the subcommands reach the store: through the socket of a running server, or, when none
//! runs, by opening the store in this process. Either way by commands of the CLI.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use angarium_access::cli::{Cli, ServerControl, SessionEnder};
use angarium_access::imap::{ImapContext, ImapOptions};
use angarium_access::sessions::SessionTable;
use angarium_accounts::{Accounts, Dictionary, Value};
use angarium_objects::text::{self, Layout};
use angarium_store_embedded::Embedded;
use angarium_transfer::Protection;
use angarium_transfer::dns::{Dns, DnsOptions};

use crate::base::BaseDirectory;
use crate::import_files::Progress;
use crate::services::{Numbers, VERSION};
use crate::socket::Administration;

/// The answer of one command.
pub(crate) enum Answer {
    /// Done, with or without an object.
    Done(Option<Value>),
    /// Not done: code and text.
    Failed(u16, String),
}

/// A way to execute commands.
pub(crate) enum Administrator {
    /// A running server.
    Running { write: UnixStream, read: BufReader<UnixStream> },
    /// The store, opened here.
    Here { runtime: tokio::runtime::Runtime, administration: Box<Administration> },
}

struct NoServer;

impl ServerControl for NoServer {
    fn shut_down(&self) {}

    fn refresh(&self) {}
}

/// How long a subcommand waits for one who has the store and does not answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it tries the socket meanwhile.
const LOOK: Duration = Duration::from_millis(100);

/// The protection's rules, where no server remembers anything of addresses.
fn protection_here(accounts: &Arc<Accounts>) -> Arc<Protection> {
    let protection = Protection::new(accounts.clone());
    if let Ok(dns) = Dns::new(&DnsOptions::default()) {
        protection.use_dns(dns);
    }
    protection
}

impl Administrator {
    /// Reaches the running server of this base directory, or opens its store. Who has the store
    /// and does not answer yet is waited for: a server that starts, another subcommand.
    pub(crate) fn reach(base: &BaseDirectory) -> io::Result<Self> {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Ok(stream) = UnixStream::connect(base.socket()) {
                let read = BufReader::new(stream.try_clone()?);
                return Ok(Self::Running { write: stream, read });
            }
            if !base.store().join("VERSION").exists() {
                return Err(io::Error::new(
                    io::ErrorKind::NotFound,
                    format!(
                        "there is no base directory at {}; start the server once with: angarium serve",
                        base.root().display()
                    ),
                ));
            }
            let mut options = angarium_store_embedded::Options::new(base.store());
            options.patience = LOOK;
            match angarium_store_embedded::open(options) {
                Ok(embedded) => return Self::here(base, Arc::new(embedded)),
                Err(e) if e.is_temporary() && Instant::now() < end => {}
                Err(e) => {
                    return Err(io::Error::other(format!("{}: {e}", base.root().display())));
                }
            }
        }
    }

    /// The administration of a store that no server has.
    fn here(base: &BaseDirectory, embedded: Arc<Embedded>) -> io::Result<Self> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let store = embedded.store();
        let options = angarium_accounts::Options::default();
        let legacy = base.legacy();
        let accounts =
            runtime.block_on(async { Accounts::with_legacy_inboxes(store, options, legacy) });
        let cli = Cli::new(accounts.clone(), SessionEnder::default(), Arc::new(NoServer), VERSION)
            .with_protection(protection_here(&accounts));
        let imap = Arc::new(ImapContext {
            accounts: accounts.clone(),
            options: ImapOptions::default(),
            sessions: SessionTable::default(),
            acceptor: None,
        });
        let numbers = Numbers::default();
        let journals = base.imports();
        let take_over = (crate::take_over::book(base), None);
        let administration =
            Administration { cli, accounts, embedded, imap, numbers, journals, take_over };
        Ok(Self::Here { runtime, administration: Box::new(administration) })
    }

    /// True when a server runs; false when the store was opened here.
    pub(crate) fn is_running(&self) -> bool {
        matches!(self, Self::Running { .. })
    }

    /// Serves one IMAP session of an account on standard input and output; `Ok` with the answer
    /// when there is none.
    pub(crate) fn imap_session(mut self, account: &str) -> io::Result<Option<Answer>> {
        match &mut self {
            Self::Running { .. } => {
                let answer = self.execute(&format!("IMAP {}", parameter(account)))?;
                if matches!(answer, Answer::Failed(..)) {
                    return Ok(Some(answer));
                }
                let Self::Running { write, mut read } = self else { return Ok(None) };
                carry(write, &mut read)?;
                Ok(None)
            }
            Self::Here { .. } => {
                let Self::Here { runtime, administration } = self else { return Ok(None) };
                let actor = match runtime.block_on(administration.accounts.act_at_console(account))
                {
                    Ok(actor) => actor,
                    Err(e) => return Ok(Some(Answer::Failed(e.code(), e.text()))),
                };
                let (near, far) = UnixStream::pair()?;
                far.set_nonblocking(true)?;
                let administration: Arc<Administration> = Arc::from(administration);
                let serving = Arc::clone(&administration);
                let session = runtime.spawn(async move {
                    if let Ok(stream) = tokio::net::UnixStream::from_std(far) {
                        serving.serve_imap(stream, actor).await;
                    }
                });
                let carried = carry(near.try_clone()?, &mut BufReader::new(near));
                // Ended already, or ended by nobody reading any more.
                let _ = runtime.block_on(session);
                administration.embedded.close();
                carried.map(|()| None)
            }
        }
    }

    /// Imports mailbox files (`IMPORTFILES`); `told` hears how far it is: messages and mailbox.
    pub(crate) fn import_files(
        &mut self,
        order: Dictionary,
        told: &mut (dyn FnMut(&str) + Send),
    ) -> io::Result<Answer> {
        struct Told<'t>(&'t mut (dyn FnMut(&str) + Send));
        impl Progress for Told<'_> {
            fn tell(&mut self, mailbox: &str, messages: u64) -> bool {
                (self.0)(&format!("{messages} {mailbox}"));
                true
            }
        }
        let order = text::line_text(&Value::Dictionary(order));
        let answer = match self {
            Self::Running { write, read } => {
                write.write_all(format!("IMPORTFILES {order}\n").as_bytes())?;
                loop {
                    let mut answer = String::new();
                    if read.read_line(&mut answer)? == 0 {
                        return Err(io::Error::other("the server closed the connection"));
                    }
                    match answer.strip_prefix("150 ") {
                        Some(line) => told(line.trim_end()),
                        None => break answer,
                    }
                }
            }
            Self::Here { runtime, administration } => {
                let mut told = Told(told);
                let done = administration.import_files(order.as_bytes(), &mut told);
                runtime.block_on(Box::pin(done))
            }
        };
        read_answer(&answer)
    }

    /// Executes one command line.
    pub(crate) fn execute(&mut self, line: &str) -> io::Result<Answer> {
        let line = line.replace(['\r', '\n'], " ");
        let answer = match self {
            Self::Running { write, read } => {
                write.write_all(format!("{line}\n").as_bytes())?;
                let mut answer = String::new();
                if read.read_line(&mut answer)? == 0 {
                    return Err(io::Error::other("the server closed the connection"));
                }
                answer
            }
            Self::Here { runtime, administration } => {
                runtime.block_on(Box::pin(administration.execute(line.as_bytes())))
            }
        };
        read_answer(&answer)
    }
}

/// Code and object, or code and text.
fn read_answer(answer: &str) -> io::Result<Answer> {
    let answer = answer.trim_end();
    let (code, rest) = answer.split_once(' ').unwrap_or((answer, ""));
    match code {
        "200" => Ok(Answer::Done(None)),
        // An answer may be longer than a command.
        "201" => match text::parse(rest.as_bytes(), Layout::File) {
            Ok(value) => Ok(Answer::Done(Some(value))),
            Err(e) => Err(io::Error::other(format!("cannot read the answer: {e}"))),
        },
        _ => Ok(Answer::Failed(code.parse().unwrap_or(599), rest.to_owned())),
    }
}

/// Carries bytes between standard input and output and a session of the server, until the server
/// closes it.
fn carry(mut write: UnixStream, read: &mut BufReader<UnixStream>) -> io::Result<()> {
    // Ends with the process when nothing more comes from standard input.
    std::thread::spawn(move || {
        let _ = io::copy(&mut io::stdin(), &mut write);
        let _ = write.shutdown(std::net::Shutdown::Write);
    });
    let mut out = io::stdout().lock();
    loop {
        let got = read.fill_buf()?;
        if got.is_empty() {
            return Ok(());
        }
        if let Err(error) = out.write_all(got).and_then(|()| out.flush()) {
            let _ = read.get_ref().shutdown(std::net::Shutdown::Both);
            return Err(error);
        }
        let length = got.len();
        read.consume(length);
    }
}

/// A string as a parameter of a command.
pub(crate) fn parameter(value: &str) -> String {
    text::line_text(&Value::String(value.to_owned()))
}
