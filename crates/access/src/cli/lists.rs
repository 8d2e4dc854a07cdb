//! Commands that name the mailing lists there are (`reference/cli.md` section 9). This server has
//! none yet, so their answers are empty; tools that look for lists before they remove an account
//! or a domain go on.

use angarium_accounts::{Actor, Dictionary, Value};
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
    // Who may not look at the domain's objects does not learn that there are none.
    cli.accounts.readable_domain(actor, &domain).await?;
    match name {
        "LISTLISTS" => data(Value::Array(Vec::new())),
        _ => dictionary(Dictionary::new()),
    }
}
