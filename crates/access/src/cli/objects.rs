//! Commands on groups and forwarders (`reference/cli.md` section 7).

use angarium_accounts::{Actor, OperationError};

use super::arguments::Arguments;
use super::{Cli, Outcome, data, dictionary, strings};

pub(super) async fn run(
    cli: &Cli,
    actor: &Actor,
    name: &str,
    arguments: &mut Arguments,
) -> Outcome {
    let accounts = &cli.accounts;
    match name {
        "LISTGROUPS" | "LISTFORWARDERS" => {
            let domain = arguments.optional_domain();
            arguments.end()?;
            Ok(Some(strings(match name {
                "LISTGROUPS" => accounts.list_groups(actor, &domain).await?,
                _ => accounts.list_forwarders(actor, &domain).await?,
            })))
        }
        "FINDFORWARDERS" => {
            let domain = arguments.text("a domain name")?;
            arguments.expect("TO")?;
            let address = arguments.text("an address")?;
            arguments.end()?;
            Ok(Some(strings(accounts.find_forwarders(actor, &domain, &address).await?)))
        }
        _ if name.ends_with("GROUP") => {
            let group = arguments.text("a group name")?;
            run_group(cli, actor, name, &group, arguments).await
        }
        _ => {
            let forwarder = arguments.text("a forwarder name")?;
            run_forwarder(cli, actor, name, &forwarder, arguments).await
        }
    }
}

async fn run_group(
    cli: &Cli,
    actor: &Actor,
    name: &str,
    group: &str,
    arguments: &mut Arguments,
) -> Outcome {
    let accounts = &cli.accounts;
    match name {
        "CREATEGROUP" => {
            let settings = arguments.optional_dictionary();
            arguments.end()?;
            accounts.create_group(actor, group, settings).await?;
        }
        "SETGROUP" => {
            let settings = arguments.dictionary("a settings dictionary")?;
            arguments.end()?;
            accounts.set_group(actor, group, settings).await?;
        }
        "RENAMEGROUP" => {
            arguments.expect("INTO")?;
            let new = arguments.text("a group name")?;
            arguments.end()?;
            accounts.rename_group(actor, group, &new).await?;
        }
        "DELETEGROUP" => {
            arguments.end()?;
            accounts.delete_group(actor, group).await?;
        }
        "GETGROUP" => {
            arguments.end()?;
            return dictionary(accounts.group(actor, group).await?);
        }
        _ => return Err(OperationError::NotAvailable),
    }
    Ok(None)
}

async fn run_forwarder(
    cli: &Cli,
    actor: &Actor,
    name: &str,
    forwarder: &str,
    arguments: &mut Arguments,
) -> Outcome {
    let accounts = &cli.accounts;
    match name {
        "CREATEFORWARDER" => {
            arguments.expect("TO")?;
            let address = arguments.text("an address")?;
            arguments.end()?;
            accounts.create_forwarder(actor, forwarder, &address).await?;
        }
        "RENAMEFORWARDER" => {
            arguments.expect("INTO")?;
            let new = arguments.text("a forwarder name")?;
            arguments.end()?;
            accounts.rename_forwarder(actor, forwarder, &new).await?;
        }
        "DELETEFORWARDER" => {
            arguments.end()?;
            accounts.delete_forwarder(actor, forwarder).await?;
        }
        "GETFORWARDER" => {
            arguments.end()?;
            return data(accounts.forwarder(actor, forwarder).await?);
        }
        _ => return Err(OperationError::NotAvailable),
    }
    Ok(None)
}
