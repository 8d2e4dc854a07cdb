//! Commands on mail Rules (`reference/cli.md` sections 5, 6 and 12).

use angarium_accounts::{Actor, OperationError, Value};
use angarium_objects::mail_rule::RuleChange;

use super::arguments::Arguments;
use super::{Cli, Outcome, data, whose};

pub(super) async fn run(
    cli: &Cli,
    actor: &Actor,
    name: &str,
    arguments: &mut Arguments,
) -> Outcome {
    let target = whose::named(name, arguments, name == "GETDOMAINMAILRULES")?;
    let scope = whose::of(name, &target);
    if name.starts_with("GET") {
        arguments.end()?;
        return data(cli.accounts.mail_rules(actor, scope).await?);
    }
    if name == "UPDATEACCOUNTMAILRULE" {
        let change = if arguments.keyword("DELETE") {
            RuleChange::Delete(arguments.text("the name of a Rule")?)
        } else {
            let given = arguments.value("a Rule")?;
            RuleChange::read(&given).ok_or_else(|| {
                let text = "a Rule (priority,name[,conditions,actions[,comment]]) is expected";
                OperationError::Syntax(text.to_owned())
            })?
        };
        arguments.end()?;
        cli.accounts.change_mail_rule(actor, &target, &change).await?;
        return Ok(None);
    }
    // The word in place of the array removes all.
    let rules = if arguments.keyword("default") {
        Value::Null
    } else {
        arguments.value("an array of Rules")?
    };
    arguments.end()?;
    cli.accounts.set_mail_rules(actor, scope, &rules).await?;
    Ok(None)
}
