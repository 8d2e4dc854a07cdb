//! How the subcommands reach the store: through the socket of a running server, or, when none
//! runs, by opening the store in this process. Either way by commands of the CLI.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use angarium_access::cli::{Cli, ServerControl, SessionEnder};
use angarium_accounts::{Accounts, Value};
use angarium_objects::text;

use crate::base::BaseDirectory;
use crate::services::VERSION;
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
    Here { runtime: tokio::runtime::Runtime, administration: Administration },
}

struct NoServer;

impl ServerControl for NoServer {
    fn shut_down(&self) {}
}

impl Administrator {
    /// Reaches the running server of this base directory, or opens its store.
    pub(crate) fn reach(base: &BaseDirectory) -> io::Result<Self> {
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
        let options = angarium_store_embedded::Options::new(base.store());
        let embedded = Arc::new(
            angarium_store_embedded::open(options)
                .map_err(|e| io::Error::other(format!("{}: {e}", base.root().display())))?,
        );
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let store = embedded.store();
        let accounts =
            runtime.block_on(async { Accounts::new(store, angarium_accounts::Options::default()) });
        let cli = Cli::new(accounts.clone(), SessionEnder::default(), Arc::new(NoServer), VERSION);
        Ok(Self::Here { runtime, administration: Administration { cli, accounts, embedded } })
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
        let answer = answer.trim_end();
        let (code, rest) = answer.split_once(' ').unwrap_or((answer, ""));
        match code {
            "200" => Ok(Answer::Done(None)),
            "201" => match text::parse_line(rest) {
                Ok(value) => Ok(Answer::Done(Some(value))),
                Err(e) => Err(io::Error::other(format!("cannot read the answer: {e}"))),
            },
            _ => Ok(Answer::Failed(code.parse().unwrap_or(599), rest.to_owned())),
        }
    }
}

/// A string as a parameter of a command.
pub(crate) fn parameter(value: &str) -> String {
    text::line_text(&Value::String(value.to_owned()))
}
