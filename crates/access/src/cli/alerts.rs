//! Commands on alerts (`reference/cli.md` section 10).

use angarium_accounts::{Actor, OperationError, Value, Whose};
use angarium_objects::text;

use super::arguments::Arguments;
use super::{Cli, Outcome, dictionary, whose};

pub(super) async fn run(
    cli: &Cli,
    actor: &Actor,
    name: &str,
    arguments: &mut Arguments,
) -> Outcome {
    let domain_may_be_left_out = name == "GETDOMAINALERTS" || name == "SETDOMAINALERTS";
    let target = whose::named(name, arguments, domain_may_be_left_out)?;
    let scope = whose::of(name, &target);
    let accounts = &cli.accounts;
    if name.starts_with("GET") {
        arguments.end()?;
        return dictionary(accounts.alerts(actor, scope).await?);
    }
    if name.starts_with("SET") {
        let alerts = arguments.dictionary("a dictionary of alerts by time")?;
        arguments.end()?;
        accounts.set_alerts(actor, scope, alerts).await?;
        return Ok(None);
    }
    // The word stands before the text for accounts and domains; for the server it may be left out.
    if scope == Whose::Server {
        arguments.keyword("ALERT");
    } else {
        arguments.expect("ALERT")?;
    }
    if name.starts_with("POST") {
        let alert = arguments.text("a text")?;
        arguments.end()?;
        accounts.post_alert(actor, scope, &alert).await?;
        return Ok(None);
    }
    let stamp = match arguments.value("a time stamp")? {
        Value::String(stamp) => stamp,
        time @ Value::Time(_) => text::line_text(&time),
        _ => return Err(OperationError::Syntax("a time stamp is expected".to_owned())),
    };
    arguments.end()?;
    accounts.remove_alert(actor, scope, &stamp).await?;
    Ok(None)
}
