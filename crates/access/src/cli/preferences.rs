//! Commands on preferences (`reference/cli.md` sections 4, 5 and 6).

use angarium_accounts::{Actor, PreferenceChange, PreferenceScope};

use super::arguments::Arguments;
use super::{Cli, Outcome, dictionary};

pub(super) async fn run(
    cli: &Cli,
    actor: &Actor,
    name: &str,
    arguments: &mut Arguments,
) -> Outcome {
    let (server, domain) = (name.contains("SERVER"), name.contains("DEFAULTPREFS"));
    let target = if server {
        String::new()
    } else if domain {
        arguments.optional_domain()
    } else {
        arguments.text("an account name")?
    };
    let accounts = &cli.accounts;
    if name == "GETACCOUNTEFFECTIVEPREFS" {
        arguments.end()?;
        return dictionary(accounts.effective_preferences(actor, &target).await?);
    }
    let scope = if server {
        PreferenceScope::Server
    } else if domain {
        PreferenceScope::Domain(&target)
    } else {
        PreferenceScope::Account(&target)
    };
    if name.starts_with("GET") {
        arguments.end()?;
        return dictionary(accounts.preferences(actor, scope).await?);
    }
    let given = arguments.dictionary("a dictionary of preferences")?;
    arguments.end()?;
    let how =
        if name.starts_with("SET") { PreferenceChange::Replace } else { PreferenceChange::Merge };
    accounts.change_preferences(actor, scope, how, given).await?;
    Ok(None)
}
