//! Commands on the queue (`reference/cli.md` section 14). It must never know how mail is
//! delivered.

use angarium_accounts::{Actor, Dictionary, OperationError, QueueId, Value};
use angarium_objects::rights::{CAN_REJECT_QUEUES, CAN_RELEASE_QUEUES, MONITOR};
use angarium_transfer::{DeskError, QueueRow};

use super::arguments::Arguments;
use super::{Cli, Outcome, dictionary};

/// The module whose settings are those of the queue.
const QUEUE_MODULE: &str = "Queue";

pub(super) async fn run(
    cli: &Cli,
    actor: &Actor,
    name: &str,
    arguments: &mut Arguments,
) -> Outcome {
    match name {
        "GETQUEUESETTINGS" => {
            arguments.end()?;
            dictionary(cli.accounts.module_settings(actor, QUEUE_MODULE).await?)
        }
        "SETQUEUESETTINGS" => {
            let settings = arguments.dictionary("a settings dictionary")?;
            arguments.end()?;
            cli.accounts.set_module_settings(actor, QUEUE_MODULE, settings).await?;
            Ok(None)
        }
        "GETMESSAGEQUEUEINFO" => {
            let module = arguments.text("a module name")?.to_ascii_uppercase();
            arguments.expect("QUEUE")?;
            let queue = arguments.text("the name of a queue")?;
            arguments.end()?;
            permitted(cli, actor, &[MONITOR, CAN_RELEASE_QUEUES, CAN_REJECT_QUEUES]).await?;
            let row = cli.desk.queue(&module, &queue.to_ascii_lowercase()).await;
            dictionary(row.map_err(failure)?.map(|row| info(&row)).unwrap_or_default())
        }
        "RELEASESMTPQUEUE" => {
            let queue = arguments.text("the name of a queue")?;
            arguments.end()?;
            permitted(cli, actor, &[MONITOR, CAN_RELEASE_QUEUES]).await?;
            cli.desk.release_queue(&queue).await;
            Ok(None)
        }
        "REJECTQUEUEMESSAGE" => {
            let id = arguments.text("the number of a message")?;
            let how = how(arguments)?;
            permitted(cli, actor, &[CAN_REJECT_QUEUES]).await?;
            let id = id.parse().map(QueueId).map_err(|_| {
                OperationError::Syntax("the number of a message is expected".to_owned())
            })?;
            let (text, silent) = how;
            cli.desk.reject(id, text.as_deref(), silent).await.map_err(failure)?;
            Ok(None)
        }
        "REJECTQUEUEMESSAGES" => {
            arguments.expect("SENDER")?;
            let sender = arguments.text("a sender")?;
            let (text, silent) = how(arguments)?;
            permitted(cli, actor, &[CAN_REJECT_QUEUES]).await?;
            let rejected = cli.desk.reject_sender(&sender, text.as_deref(), silent).await;
            rejected.map_err(failure)?;
            Ok(None)
        }
        _ => Err(OperationError::NotAvailable),
    }
}

/// `REPORT text` or `NONDN`: what the sender is told, if it is told.
fn how(arguments: &mut Arguments) -> Result<(Option<String>, bool), OperationError> {
    let mut text = arguments.option("REPORT")?;
    let mut silent = arguments.keyword("NONDN");
    // Clients write both orders of the reference: `REPORT text` and `REPORT NONDN`.
    if text.as_deref().is_some_and(|text| text.eq_ignore_ascii_case("NONDN")) {
        (text, silent) = (None, true);
    }
    arguments.end()?;
    Ok((text, silent))
}

async fn permitted(cli: &Cli, actor: &Actor, any: &[&str]) -> Result<(), OperationError> {
    let rights = cli.current_rights(actor).await?;
    if any.iter().any(|code| rights.server(code)) {
        return Ok(());
    }
    Err(OperationError::AccessDenied)
}

fn failure(error: DeskError) -> OperationError {
    OperationError::General(error.to_string())
}

/// A queue as `GetMessageQueueInfo` answers it.
fn info(row: &QueueRow) -> Dictionary {
    let number = |n: u64| Value::Number(i64::try_from(n).unwrap_or(i64::MAX));
    let mut all = Dictionary::from([
        ("nTotal".to_owned(), number(row.facts.messages)),
        ("size".to_owned(), number(row.facts.size)),
    ]);
    if let Some(until) = row.state.blocked_until {
        all.insert("delayedTill".to_owned(), Value::Time(until));
    }
    let error = match row.state.error.as_str() {
        "" => row.facts.last_error.as_str(),
        error => error,
    };
    if !error.is_empty() {
        all.insert("lastError".to_owned(), error.into());
    }
    all
}
