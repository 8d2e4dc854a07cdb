//! PIPE: a message is given to a program on its standard input.
//!
//! Which programs there are, an administrator says by the module's settings: a directory, and the
//! names in it. A program is started with its parameters as they are, never through a shell, and
//! only if a record of the Router named it: what outsiders write never chooses a program (ABU-07).
//! The envelope is in its environment. It must never know how the record came to be.

mod command;
mod run;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use angarium_accounts::{Accounts, RelayPermission, RouteKind, RouteOutcome};
use angarium_objects::spelling::{self, Limit, Services};
use angarium_objects::value::{Dictionary, Value};
use angarium_store::{QueuedMessage, QueuedRecipient};
use async_trait::async_trait;
use tokio::sync::Semaphore;

use super::{Channels, Module, Outcome};
use crate::recipients::PIPE;
use command::Command;
use run::{Ended, Envelope};

/// Parts of the room for programs; a program takes its share by the setting `Processors`.
const ROOM: u32 = 100;

/// Longest wait for room, then the message waits in the queue.
const WAIT: Duration = Duration::from_secs(30);

/// The module.
pub struct Pipe {
    accounts: Arc<Accounts>,
    /// Programs at a time, by the settings last read.
    processors: AtomicUsize,
    /// The room for programs that run now.
    room: Semaphore,
}

impl Pipe {
    /// The module over these accounts, their Router and their settings.
    #[must_use]
    pub fn new(accounts: Arc<Accounts>) -> Self {
        let (processors, room) = (AtomicUsize::new(1), Semaphore::new(ROOM as usize));
        Self { accounts, processors, room }
    }
}

#[async_trait]
impl Module for Pipe {
    fn name(&self) -> &'static str {
        PIPE
    }

    fn channels(&self) -> Channels {
        let at_once = self.processors.load(Ordering::Relaxed);
        Channels { total: at_once, per_queue: at_once, recipients: 1 }
    }

    async fn deliver(
        &self,
        message: &Arc<QueuedMessage>,
        recipients: &[u32],
    ) -> Vec<(u32, Outcome)> {
        let mut ended = Vec::with_capacity(recipients.len());
        for index in recipients {
            let place = usize::try_from(*index).ok();
            let outcome = match place.and_then(|place| message.recipients.get(place)) {
                Some(recipient) => self.one(message, recipient).await,
                None => Outcome::failed("5.3.0", "no such recipient"),
            };
            ended.push((*index, outcome));
        }
        ended
    }
}

/// The settings of the module, read once for a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PipeSettings {
    /// Where the programs are; empty for none.
    directory: String,
    /// Their names.
    programs: Services,
    /// Where they run; empty for the directory of the programs.
    working_directory: String,
    time_limit: Duration,
    /// Largest message in octets; `None` for any.
    max_size: Option<u64>,
    /// At a time, 1 to 100.
    processors: u32,
}

impl PipeSettings {
    fn of(all: &Dictionary) -> Self {
        let text = |key: &str| all.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let seconds = all.get("TimeLimit").and_then(spelling::duration).unwrap_or(60);
        let processors = all.get("Processors").and_then(Value::as_number).unwrap_or(1);
        Self {
            directory: text("Directory"),
            programs: all
                .get("Programs")
                .and_then(spelling::services)
                .unwrap_or(Services::Only(Vec::new())),
            working_directory: text("WorkingDirectory"),
            time_limit: Duration::from_secs(seconds.max(1)),
            max_size: match all.get("MaxSize").and_then(spelling::size) {
                Some(Limit::Unlimited) => None,
                Some(Limit::Of(most)) => Some(most),
                None => Some(0),
            },
            processors: u32::try_from(processors).unwrap_or(1).clamp(1, ROOM),
        }
    }

    fn allows(&self, program: &str) -> bool {
        match &self.programs {
            Services::All => true,
            Services::Only(names) => names.iter().any(|name| name == program),
        }
    }
}

impl Pipe {
    /// Gives the message to the program its address means now.
    async fn one(&self, message: &QueuedMessage, recipient: &QueuedRecipient) -> Outcome {
        let accounts = &self.accounts;
        // The table is asked again: a record that was taken away starts nothing any more.
        let command = match accounts.route(&recipient.address, RouteKind::Mail, None).await {
            RouteOutcome::Pipe { command, relay: RelayPermission::Granted } => command,
            RouteOutcome::Later { reason } => return Outcome::later("4.3.0", reason),
            _ => return Outcome::failed("5.1.1", "no program takes this mail any more"),
        };
        let settings = match accounts.read_module_effective(PIPE).await {
            Ok(all) => PipeSettings::of(&all),
            Err(error) => return Outcome::later("4.3.0", error.to_string()),
        };
        self.processors.store(usize::try_from(settings.processors).unwrap_or(1), Ordering::Relaxed);
        if settings.max_size.is_some_and(|most| message.size > most) {
            return Outcome::failed("5.2.3", "the message is too large for the program");
        }
        let command = match Command::of(&command, &settings).await {
            Ok(command) => command,
            Err(why) => return Outcome::failed("5.3.5", why),
        };
        let body = match accounts.store().bodies.read(message.body).await {
            Ok(body) => body,
            Err(error) if error.is_temporary() => {
                return Outcome::later("4.3.0", error.to_string());
            }
            Err(error) => return Outcome::failed("5.3.0", error.to_string()),
        };
        let share = ROOM / settings.processors;
        let room = tokio::time::timeout(WAIT, self.room.acquire_many(share)).await;
        let Ok(Ok(_room)) = room else {
            return Outcome::later("4.3.2", "too many programs run already");
        };
        let envelope = Envelope {
            id: message.id.to_string(),
            sender: run::plain(&message.return_path),
            recipient: run::plain(&recipient.address),
        };
        let name = command.program.clone();
        match run::run(command, &envelope, body, settings.time_limit).await {
            Ended::Done => Outcome::Delivered("taken by the program"),
            Ended::Later(why) => Outcome::later("4.3.0", format!("{name}: {why}")),
            Ended::Failed(why) => Outcome::failed("5.3.0", format!("{name}: {why}")),
        }
    }
}
