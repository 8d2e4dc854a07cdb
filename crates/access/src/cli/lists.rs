//! Commands that name the mailing lists there are (`reference/cli.md` section 9). This server has
//! none yet, so their answers are empty; tools that look for lists before they remove an account
//! or a domain go on.

use angarium_accounts::{Actor, Dictionary, OperationError, Value};
use angarium_objects::rights::DOMAIN;

use super::arguments::Arguments;
use super::{Cli, Outcome, data, dictionary};

pub(super) async fn run(
    cli: &Cli,
    actor: &Actor,
    name: &str,
    arguments: &mut Arguments,
) -> Outcome {
    if name == "GETACCOUNTLISTS" {
        let account = arguments.text("an account name")?;
        arguments.end()?;
        cli.administered(actor, &account, DOMAIN, true).await?;
        return dictionary(Dictionary::new());
    }
    let domain = arguments.optional_domain();
    arguments.end()?;
    let domain = if domain.is_empty() { actor.domain.clone() } else { domain };
    // Who may not look at the domain's objects does not learn that there are none.
    let facts = cli.accounts.domain_facts(&domain.to_lowercase()).await?;
    let own = facts.as_ref().map_or(domain.as_str(), |facts| facts.record.name.as_str());
    let reads = cli.current_rights(actor).await?.all_domains_read();
    if !reads && !cli.accounts.administers(actor, own, DOMAIN).await? {
        return Err(OperationError::AccessDenied);
    }
    if facts.is_none() {
        return Err(OperationError::UnknownDomain);
    }
    match name {
        "LISTLISTS" => data(Value::Array(Vec::new())),
        _ => dictionary(Dictionary::new()),
    }
}
