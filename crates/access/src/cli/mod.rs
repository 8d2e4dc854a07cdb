//! The command line interface: one command line in, one answer out (`reference/cli.md`).
//!
//! It is independent of the connection, so that PWD, the program's own subcommands and HTTP use
//! the same. It holds no rules of its own: it reads parameters and calls the operations of
//! `accounts`, which check rights. It must never know a socket.

mod account_parts;
mod accounts;
mod alerts;
mod arguments;
mod domains;
mod ending;
mod import;
mod kept;
mod lists;
#[cfg(test)]
mod lists_tests;
mod mailboxes;
mod objects;
#[cfg(test)]
mod parts_tests;
mod preferences;
mod protection;
mod queues;
#[cfg(test)]
mod queues_tests;
#[cfg(test)]
mod rights_tests;
mod rules;
mod server;
mod sessions;
mod signing;
mod statistics;
mod storage_files;
#[cfg(test)]
mod storage_files_tests;
mod table;
mod whose;

use std::sync::Arc;

use angarium_accounts::{AccountId, Accounts, Actor, OperationError, Value};
use angarium_objects::text;
use angarium_transfer::{Desk, Protection};

use crate::sessions::SessionTable;
pub use ending::{EndSignal, SessionEnder};
pub use sessions::{describe as describe_session, describe_outgoing};
use table::{Family, Known};

/// What commands ask of the running server.
pub trait ServerControl: Send + Sync {
    /// Begins an orderly end of the server (`SHUTDOWN`); returns at once.
    fn shut_down(&self);

    /// Asks the system again for the addresses of this machine (`REFRESHOSDATA`).
    fn refresh(&self);
}

/// The answer to one command.
#[derive(Clone, Debug, PartialEq)]
pub enum CliAnswer {
    /// Done, no data: `200 OK`, exactly, because clients compare the text.
    Done,
    /// Done, with an object.
    Data(Value),
    /// Not done.
    Failed {
        /// Code of `reference/cli.md` section 2.5.
        code: u16,
        /// One line for people; some wordings are compared by clients.
        text: String,
    },
}

impl CliAnswer {
    /// The code: 200, or that of the failure. (In INLINE framing data is 201.)
    #[must_use]
    pub fn code(&self) -> u16 {
        match self {
            Self::Done | Self::Data(_) => 200,
            Self::Failed { code, .. } => *code,
        }
    }

    /// The text after the code, or the object on one line.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Done => "OK".to_owned(),
            Self::Data(value) => text::line_text(value),
            Self::Failed { text, .. } => text.clone(),
        }
    }

    /// The object, if there is one.
    #[must_use]
    pub fn value(&self) -> Option<&Value> {
        match self {
            Self::Data(value) => Some(value),
            _ => None,
        }
    }
}

/// What a command gives: an object, nothing, or why it was not done.
type Outcome = Result<Option<Value>, OperationError>;

/// Executes commands.
#[derive(Clone)]
pub struct Cli {
    pub(crate) accounts: Arc<Accounts>,
    ender: SessionEnder,
    control: Arc<dyn ServerControl>,
    version: String,
    sessions: SessionTable,
    protection: Option<Arc<Protection>>,
    desk: Arc<Desk>,
}

impl Cli {
    /// Commands over these accounts; `version` is what GETVERSION answers, `ender` is shared with
    /// the drivers of the protocols.
    #[must_use]
    pub fn new(
        accounts: Arc<Accounts>,
        ender: SessionEnder,
        control: Arc<dyn ServerControl>,
        version: &str,
    ) -> Self {
        Self {
            desk: Arc::new(Desk::new(Arc::clone(&accounts), None)),
            accounts,
            ender,
            control,
            version: version.to_owned(),
            sessions: SessionTable::default(),
            protection: None,
        }
    }

    /// Ends all sessions of an account: a password or service they came in by may be gone.
    pub fn end_sessions(&self, account: AccountId) {
        self.ender.end(account);
    }

    /// The accounts that commands work on.
    #[must_use]
    pub fn accounts(&self) -> &Arc<Accounts> {
        &self.accounts
    }

    /// Shows and changes what this protection remembers of addresses.
    #[must_use]
    pub fn with_protection(mut self, protection: Arc<Protection>) -> Self {
        self.protection = Some(protection);
        self
    }

    /// The protection, if there is one.
    #[must_use]
    pub fn protection(&self) -> Option<&Arc<Protection>> {
        self.protection.as_ref()
    }

    /// Shows the sessions of this table.
    #[must_use]
    pub fn with_sessions(mut self, sessions: SessionTable) -> Self {
        self.sessions = sessions;
        self
    }

    /// Works on the queue of a running server.
    #[must_use]
    pub fn with_desk(mut self, desk: Desk) -> Self {
        self.desk = Arc::new(desk);
        self
    }

    /// The desk of the queue.
    #[must_use]
    pub fn desk(&self) -> &Arc<Desk> {
        &self.desk
    }

    /// Names of the commands that can be executed, upper case, sorted.
    #[must_use]
    pub fn commands() -> Vec<&'static str> {
        table::here()
    }

    /// Executes one command line (without its end, at most 1 MiB) for `actor`.
    pub async fn execute(&self, actor: &Actor, line: &[u8]) -> CliAnswer {
        match self.run(actor, line).await {
            Ok(None) => CliAnswer::Done,
            Ok(Some(value)) => CliAnswer::Data(value),
            Err(error) => CliAnswer::Failed { code: error.code(), text: error.text() },
        }
    }

    async fn run(&self, actor: &Actor, line: &[u8]) -> Outcome {
        let (word, mut arguments) = arguments::read(line)?;
        let (name, family) = match table::look_up(&word) {
            Known::Here(name, family) => (name, family),
            Known::Elsewhere => {
                return Err(OperationError::NotSupported(word.to_ascii_uppercase()));
            }
            Known::Unknown => return Err(OperationError::Syntax("unknown command".to_owned())),
        };
        let left = &mut arguments;
        // Each family has its own large future; boxed, a session costs only what it uses.
        match family {
            Family::Domains => Box::pin(domains::run(self, actor, name, left)).await,
            Family::Accounts => Box::pin(accounts::run(self, actor, name, left)).await,
            Family::Objects => Box::pin(objects::run(self, actor, name, left)).await,
            Family::Mailboxes => Box::pin(mailboxes::run(self, actor, name, left)).await,
            Family::Alerts => Box::pin(alerts::run(self, actor, name, left)).await,
            Family::Signing => Box::pin(signing::run(self, actor, name, left)).await,
            Family::Sessions => Box::pin(sessions::run(self, actor, name, left)).await,
            Family::Protection => Box::pin(protection::run(self, actor, name, left)).await,
            Family::Queues => Box::pin(queues::run(self, actor, name, left)).await,
            Family::Import => Box::pin(import::run(self, actor, name, left)).await,
            Family::Server => Box::pin(server::run(self, actor, name, left)).await,
            Family::Rules => Box::pin(rules::run(self, actor, name, left)).await,
            Family::Preferences => Box::pin(preferences::run(self, actor, name, left)).await,
            Family::AccountParts => Box::pin(account_parts::run(self, actor, name, left)).await,
            Family::Kept => Box::pin(kept::run(self, actor, name, left)).await,
            Family::Lists => Box::pin(lists::run(self, actor, name, left)).await,
            Family::StorageFiles => Box::pin(storage_files::run(self, actor, name, left)).await,
            Family::Statistics => Box::pin(statistics::run(self, actor, name, left)).await,
        }
    }
}

/// An array of strings.
fn strings<I: IntoIterator<Item = S>, S: Into<String>>(all: I) -> Value {
    Value::Array(all.into_iter().map(|text| Value::String(text.into())).collect())
}

/// An answer with data.
fn data(value: impl Into<Value>) -> Outcome {
    Ok(Some(value.into()))
}

/// An answer with a dictionary.
fn dictionary(pairs: angarium_accounts::Dictionary) -> Outcome {
    Ok(Some(Value::Dictionary(pairs)))
}

#[cfg(test)]
pub(crate) mod tests;
