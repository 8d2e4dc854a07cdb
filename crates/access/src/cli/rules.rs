//! Commands on mail Rules (`reference/cli.md` sections 5, 6 and 12).

use angarium_accounts::{Actor, OperationError, RuleScope, Value};
use angarium_objects::mail_rule::RuleChange;

use super::arguments::Arguments;
use super::{Cli, Outcome, data};

pub(super) async fn run(
    cli: &Cli,
    actor: &Actor,
    name: &str,
    arguments: &mut Arguments,
) -> Outcome {
    let target = if name.contains("ACCOUNT") {
        arguments.text("an account name")?
    } else if name == "GETDOMAINMAILRULES" {
        arguments.optional_domain()
    } else if name.contains("DOMAIN") {
        arguments.text("a domain name")?
    } else {
        String::new()
    };
    let scope = if name.contains("ACCOUNT") {
        RuleScope::Account(&target)
    } else if name.contains("DOMAIN") {
        RuleScope::Domain(&target)
    } else {
        RuleScope::Server
    };
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
