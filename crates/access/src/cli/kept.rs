//! Commands on dictionaries of the server that are kept for programs which read and write them,
//! and on trusted certificates (`reference/cli.md` sections 4 and 12).

use angarium_accounts::{Actor, How, Kept, OperationError, Value};

use super::arguments::Arguments;
use super::{Cli, Outcome, data, dictionary};

/// The dictionary a command is about.
fn which(name: &str) -> Option<Kept> {
    Some(
        match name.trim_start_matches("UPDATE").trim_start_matches("GET").trim_start_matches("SET")
        {
            "SESSIONSETTINGS" => Kept::Sessions,
            "NETWORK" => Kept::Network,
            "DNRSETTINGS" => Kept::Resolver,
            "LOGSETTINGS" => Kept::Log,
            "DIRECTORYINTEGRATION" => Kept::DirectoryIntegration,
            _ => return None,
        },
    )
}

pub(super) async fn run(
    cli: &Cli,
    actor: &Actor,
    name: &str,
    arguments: &mut Arguments,
) -> Outcome {
    let accounts = &cli.accounts;
    let Some(kept) = which(name) else {
        if name == "GETSERVERTRUSTEDCERTS" {
            arguments.end()?;
            return data(accounts.trusted_certificates(actor).await?);
        }
        let Value::Array(certificates) = arguments.value("an array of datablocks")? else {
            return Err(OperationError::Syntax("an array of datablocks is expected".to_owned()));
        };
        arguments.end()?;
        accounts.set_trusted_certificates(actor, certificates).await?;
        return Ok(None);
    };
    if name.starts_with("GET") {
        arguments.end()?;
        return dictionary(accounts.kept_settings(actor, kept).await?);
    }
    let settings = arguments.dictionary("a settings dictionary")?;
    arguments.end()?;
    let how = if name.starts_with("UPDATE") { How::Merge } else { How::Replace };
    accounts.change_kept_settings(actor, kept, settings, how).await?;
    Ok(None)
}
