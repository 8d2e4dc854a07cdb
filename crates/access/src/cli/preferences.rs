//! Commands on preferences (`reference/cli.md` sections 4, 5 and 6).

use angarium_accounts::{Actor, How};

use super::arguments::Arguments;
use super::{Cli, Outcome, dictionary, whose};

pub(super) async fn run(
    cli: &Cli,
    actor: &Actor,
    name: &str,
    arguments: &mut Arguments,
) -> Outcome {
    let target = whose::named(name, arguments, true)?;
    let accounts = &cli.accounts;
    if name == "GETACCOUNTEFFECTIVEPREFS" {
        arguments.end()?;
        return dictionary(accounts.effective_preferences(actor, &target).await?);
    }
    let scope = whose::of(name, &target);
    if name.starts_with("GET") {
        arguments.end()?;
        return dictionary(accounts.preferences(actor, scope).await?);
    }
    let given = arguments.dictionary("a dictionary of preferences")?;
    arguments.end()?;
    let how = if name.starts_with("SET") { How::Replace } else { How::Merge };
    accounts.change_preferences(actor, scope, how, given).await?;
    Ok(None)
}
