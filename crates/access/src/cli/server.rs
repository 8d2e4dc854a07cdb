//! Commands on server settings and the server itself (`reference/cli.md` sections 12 and 13).

use std::sync::Arc;

use angarium_accounts::{AccountRecord, Actor, OperationError, Rights, RouteKind, Value};
use angarium_objects::rights::{MONITOR, SETTINGS};
use angarium_objects::settings;

use super::arguments::Arguments;
use super::{Cli, Outcome, data, dictionary, strings, table};

/// Longest text of WRITELOG, in bytes.
const MAX_LOG_TEXT: usize = 4096;

pub(super) async fn run(
    cli: &Cli,
    actor: &Actor,
    name: &str,
    arguments: &mut Arguments,
) -> Outcome {
    match name {
        "NOOP" => {
            arguments.end()?;
            Ok(None)
        }
        "ECHO" => {
            let value = arguments.value("an object")?;
            arguments.end()?;
            data(value)
        }
        "GETVERSION" => {
            arguments.end()?;
            data(cli.version.clone())
        }
        "GETCURRENTTIME" => {
            arguments.end()?;
            data(Value::Time(cli.accounts.now()))
        }
        "LISTCLICOMMANDS" => {
            arguments.end()?;
            Ok(Some(strings(table::here())))
        }
        "SHUTDOWN" => {
            arguments.end()?;
            if !actor.is_console() && !cli.current_rights(actor).await?.server(MONITOR) {
                return Err(OperationError::AccessDenied);
            }
            cli.control.shut_down();
            Ok(None)
        }
        "LISTMODULES" => {
            arguments.end()?;
            permitted(cli, actor, SETTINGS).await?;
            Ok(Some(strings(settings::module_names().iter().copied())))
        }
        "REFRESHOSDATA" => {
            arguments.end()?;
            permitted(cli, actor, SETTINGS).await?;
            cli.control.refresh();
            Ok(None)
        }
        "WRITELOG" => write_log(cli, actor, arguments).await,
        "ROUTE" => route(cli, actor, arguments).await,
        "GETMODULE" | "UPDATEMODULE" | "SETMODULE" => module(cli, actor, name, arguments).await,
        _ => server_wide(cli, actor, name, arguments).await,
    }
}

async fn route(cli: &Cli, actor: &Actor, arguments: &mut Arguments) -> Outcome {
    let address = arguments.text("an address")?;
    let kind = match arguments.optional_text().map(|word| word.to_ascii_lowercase()).as_deref() {
        None | Some("access") => RouteKind::Access,
        Some("mail") => RouteKind::Mail,
        Some("signal") => RouteKind::Signal,
        Some(_) => return Err(OperationError::Syntax("mail, access or signal is expected".into())),
    };
    arguments.end()?;
    let report = cli.accounts.route_for_administrator(actor, &address, kind).await?;
    Ok(Some(strings([report.module, report.host, report.address])))
}

async fn module(cli: &Cli, actor: &Actor, name: &str, arguments: &mut Arguments) -> Outcome {
    let accounts = &cli.accounts;
    let module = arguments.text("a module name")?;
    if name == "GETMODULE" {
        arguments.end()?;
        return dictionary(accounts.module_settings(actor, &module).await?);
    }
    let settings = arguments.dictionary("a settings dictionary")?;
    arguments.end()?;
    if name == "SETMODULE" {
        accounts.set_module_settings(actor, &module, settings).await?;
    } else {
        accounts.update_module_settings(actor, &module, settings).await?;
    }
    Ok(None)
}

async fn permitted(cli: &Cli, actor: &Actor, code: &str) -> Result<(), OperationError> {
    if cli.current_rights(actor).await?.server(code) {
        Ok(())
    } else {
        Err(OperationError::AccessDenied)
    }
}

/// `level text`: a record with the tag SYSTEM.
async fn write_log(cli: &Cli, actor: &Actor, arguments: &mut Arguments) -> Outcome {
    let level = arguments.number("a level from 0 to 5")?;
    let text = arguments.text("a text")?;
    arguments.end()?;
    permitted(cli, actor, MONITOR).await?;
    if text.len() > MAX_LOG_TEXT {
        return Err(OperationError::Syntax(format!("a text has at most {MAX_LOG_TEXT} bytes")));
    }
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    // The log's levels are not in the order of tracing's: 2 is major, 3 problems.
    match level {
        0 | 1 => tracing::error!(tag = "SYSTEM", "{text}"),
        2 => tracing::info!(tag = "SYSTEM", "{text}"),
        3 => tracing::warn!(tag = "SYSTEM", "{text}"),
        4 => tracing::debug!(tag = "SYSTEM", "{text}"),
        5 => tracing::trace!(tag = "SYSTEM", "{text}"),
        _ => return Err(OperationError::Syntax("a level from 0 to 5 is expected".to_owned())),
    }
    Ok(None)
}

async fn server_wide(cli: &Cli, actor: &Actor, name: &str, arguments: &mut Arguments) -> Outcome {
    let accounts = &cli.accounts;
    match name {
        "GETSERVERSETTINGS" => {
            arguments.end()?;
            return dictionary(accounts.server_settings(actor).await?);
        }
        "GETROUTERTABLE" => {
            arguments.end()?;
            return data(accounts.router_table(actor).await?);
        }
        "GETROUTERSETTINGS" => {
            arguments.end()?;
            return dictionary(accounts.router_settings(actor).await?);
        }
        "SETROUTERTABLE" => {
            let table = arguments.text("the table as one string")?;
            arguments.end()?;
            accounts.set_router_table(actor, &table).await?;
        }
        "UPDATESERVERSETTINGS" => {
            let settings = arguments.dictionary("a settings dictionary")?;
            arguments.end()?;
            accounts.update_server_settings(actor, settings).await?;
        }
        "SETROUTERSETTINGS" => {
            let settings = arguments.dictionary("a settings dictionary")?;
            arguments.end()?;
            accounts.set_router_settings(actor, settings).await?;
        }
        _ => return Err(OperationError::NotAvailable),
    }
    Ok(None)
}

impl Cli {
    /// The actor's rights as they are now, not as they were at login.
    pub(super) async fn current_rights(&self, actor: &Actor) -> Result<Rights, OperationError> {
        if actor.is_console() {
            return Ok(Rights::master());
        }
        if actor.is_limited() {
            return Ok(Rights::default());
        }
        let record = self.accounts.account_record(actor.account).await?;
        let record = record.ok_or(OperationError::UnknownAccount)?;
        let main = record.domain == self.accounts.main_domain().await?;
        Ok(Rights::new(record.rights.iter().cloned(), main))
    }

    /// The account a command names, if it is the actor's own or the actor holds this right in its
    /// domain. Who may not look does not learn which names exist.
    pub(super) async fn administered(
        &self,
        actor: &Actor,
        name: &str,
        code: &str,
        own: bool,
    ) -> Result<Arc<AccountRecord>, OperationError> {
        let rights = self.current_rights(actor).await?;
        let found = self.named_record(actor, name).await;
        match found {
            Ok(record) if own && record.id == actor.account => Ok(record),
            Ok(record) if self.accounts.administers(actor, &record.domain, code).await? => {
                Ok(record)
            }
            Ok(_) => Err(OperationError::AccessDenied),
            Err(OperationError::UnknownAccount) if !rights.domain(code) => {
                Err(OperationError::AccessDenied)
            }
            Err(error) => Err(error),
        }
    }

    /// The account a command names: `*` is the actor's own.
    pub(super) async fn named_record(
        &self,
        actor: &Actor,
        name: &str,
    ) -> Result<Arc<AccountRecord>, OperationError> {
        let found = if name == "*" && !actor.is_console() {
            self.accounts.account_record(actor.account).await?
        } else {
            self.accounts.find_account(name, &actor.domain).await?
        };
        found.ok_or(OperationError::UnknownAccount)
    }
}
