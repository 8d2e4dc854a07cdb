//! Commands on counters (`reference/cli.md` section 13): of accounts, of domains, and the
//! elements of the whole server (`reference/monitoring.md` section 3).

use angarium_accounts::{Actor, Dictionary, OperationError, Value};
use angarium_objects::rights::MONITOR;

use super::arguments::Arguments;
use super::{Cli, Outcome, data, dictionary};

/// Elements that count the sessions of a service.
const SESSIONS: [(&str, &str); 5] = [
    ("imapActive", "IMAP"),
    ("popActive", "POP"),
    ("pwdActive", "PWD"),
    ("smtpInputActive", "SMTPI"),
    ("smtpOutputActive", "SMTP"),
];

pub(super) async fn run(
    cli: &Cli,
    actor: &Actor,
    name: &str,
    arguments: &mut Arguments,
) -> Outcome {
    if name == "GETSTATELEMENT" || name == "GETNEXTSTATNAME" {
        return element(cli, actor, name, arguments).await;
    }
    let account = name.ends_with("ACCOUNTSTAT");
    let target =
        if account { arguments.text("an account name")? } else { arguments.optional_domain() };
    let key = arguments.option("KEY")?;
    arguments.end()?;
    let accounts = &cli.accounts;
    if name.starts_with("RESET") {
        if account {
            accounts.reset_account_statistics(actor, &target, key.as_deref()).await?;
        } else {
            accounts.reset_domain_statistics(actor, &target, key.as_deref()).await?;
        }
        return Ok(None);
    }
    let mut all = if account {
        accounts.account_statistics(actor, &target).await?
    } else {
        accounts.domain_statistics(actor, &target).await?
    };
    match key {
        None => dictionary(all),
        Some(key) => data(all.remove(&key).ok_or_else(unknown)?),
    }
}

fn unknown() -> OperationError {
    OperationError::General("there is no such statistics element".to_owned())
}

async fn element(cli: &Cli, actor: &Actor, name: &str, arguments: &mut Arguments) -> Outcome {
    let id = arguments.text("the name of an element")?;
    arguments.end()?;
    if !cli.current_rights(actor).await?.server(MONITOR) {
        return Err(OperationError::AccessDenied);
    }
    let mut all = elements(cli).await?;
    if name == "GETSTATELEMENT" {
        return data(all.remove(&id).ok_or_else(unknown)?);
    }
    // The one after it by name; the empty name is before the first.
    let next = all.into_keys().find(|key| *key > id).ok_or_else(unknown)?;
    data(next)
}

async fn elements(cli: &Cli) -> Result<Dictionary, OperationError> {
    let number = |n: u64| Value::Number(i64::try_from(n).unwrap_or(i64::MAX));
    let totals = cli.accounts.totals();
    let uptime = cli.accounts.now().saturating_sub(totals.started).max(0);
    let queued = cli.desk().count().await.map_err(|e| OperationError::Later(e.to_string()))?;
    let mut all = Dictionary::from([
        ("localTotal".to_owned(), number(totals.delivered)),
        ("loginFailed".to_owned(), number(totals.failed)),
        ("loginTotal".to_owned(), number(totals.logins)),
        ("numQueuedMessages".to_owned(), number(queued)),
        ("serverUptime".to_owned(), Value::Number(uptime)),
        ("submitTotal".to_owned(), number(totals.submitted)),
    ]);
    let sessions = cli.sessions.list();
    for (element, service) in SESSIONS {
        let active = sessions.iter().filter(|row| row.service == service).count();
        all.insert(element.to_owned(), number(active as u64));
    }
    Ok(all)
}
