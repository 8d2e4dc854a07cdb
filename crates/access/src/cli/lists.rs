//! Commands on mailing lists (`reference/cli.md` section 9).

use angarium_accounts::mailing_list::{Operation, Posting};
use angarium_accounts::{Actor, Dictionary, OperationError, Value};

use super::arguments::Arguments;
use super::{Cli, Outcome, data, dictionary, strings};

/// Most subscribers in one answer.
const MAX_LISTED: usize = 100_000;

fn syntax(text: &str) -> OperationError {
    OperationError::Syntax(text.to_owned())
}

/// Lists with the numbers of their subscribers, as strings.
fn counts(lists: Vec<(String, usize)>) -> Outcome {
    let all = lists.into_iter().map(|(name, count)| (name, Value::from(count.to_string())));
    dictionary(all.collect::<Dictionary>())
}

pub(super) async fn run(
    cli: &Cli,
    actor: &Actor,
    name: &str,
    arguments: &mut Arguments,
) -> Outcome {
    let accounts = &cli.accounts;
    match name {
        "GETACCOUNTLISTS" => {
            let account = arguments.text("an account name")?;
            arguments.end()?;
            counts(accounts.account_lists(actor, &account).await?)
        }
        "LISTLISTS" | "GETDOMAINLISTS" => {
            let domain = arguments.optional_domain();
            arguments.end()?;
            let all = accounts.domain_lists(actor, &domain).await?;
            match name {
                "LISTLISTS" => Ok(Some(strings(all.into_iter().map(|(list, _)| list)))),
                _ => counts(all),
            }
        }
        _ => {
            let list = arguments.text("the name of a list")?;
            match name {
                "LISTSUBSCRIBERS" | "READSUBSCRIBERS" | "GETSUBSCRIBERINFO" => {
                    read(cli, actor, name, &list, arguments).await
                }
                "LIST" | "SETPOSTINGMODE" => subscription(cli, actor, name, &list, arguments).await,
                _ => object(cli, actor, name, &list, arguments).await,
            }
        }
    }
}

/// The list itself.
async fn object(
    cli: &Cli,
    actor: &Actor,
    name: &str,
    list: &str,
    arguments: &mut Arguments,
) -> Outcome {
    let accounts = &cli.accounts;
    match name {
        "CREATELIST" => {
            arguments.expect("FOR")?;
            let owner = arguments.text("the name of its owner")?;
            arguments.end()?;
            accounts.create_list(actor, list, &owner).await?;
        }
        "RENAMELIST" => {
            arguments.expect("INTO")?;
            let new = arguments.text("a new name")?;
            arguments.end()?;
            accounts.rename_list(actor, list, &new).await?;
        }
        "DELETELIST" => {
            arguments.end()?;
            accounts.delete_list(actor, list).await?;
        }
        "GETLIST" => {
            arguments.end()?;
            return dictionary(accounts.mailing_list(actor, list).await?.effective());
        }
        "UPDATELIST" => {
            let settings = arguments.dictionary("a settings dictionary")?;
            arguments.end()?;
            accounts.update_list(actor, list, settings).await?;
        }
        _ => return Err(OperationError::NotAvailable),
    }
    Ok(None)
}

/// One subscription.
async fn subscription(
    cli: &Cli,
    actor: &Actor,
    name: &str,
    list: &str,
    arguments: &mut Arguments,
) -> Outcome {
    let accounts = &cli.accounts;
    if name == "SETPOSTINGMODE" {
        arguments.expect("FOR")?;
        let who = arguments.text("an address")?;
        let mode = match arguments.value("a posting mode")? {
            Value::String(word) => Posting::of_word(&word),
            Value::Number(number) => Posting::of_word(&number.to_string()),
            _ => None,
        };
        arguments.end()?;
        let expected = "UNMODERATED, MODERATEALL, PROHIBITED, SPECIAL or a number is expected";
        let mode = mode.ok_or_else(|| syntax(expected))?;
        accounts.set_posting_mode(actor, list, &who, mode).await?;
        return Ok(None);
    }
    let word = arguments.text("an operation")?;
    let expected = "subscribe, feed, digest, index, null, banned or unsubscribe is expected";
    let operation = Operation::of_word(&word).ok_or_else(|| syntax(expected))?;
    // No letters are written to subscribers here, so that each is a silent one.
    arguments.keyword("silently");
    if arguments.keyword("confirm") {
        let text = "subscribers are not asked to confirm by mail; leave CONFIRM out";
        return Err(OperationError::General(text.to_owned()));
    }
    // An array is a departure from the guides: many in one change.
    let who = arguments.texts("an address")?;
    arguments.end()?;
    accounts.change_subscriptions(actor, list, operation, &who).await?;
    Ok(None)
}

/// Subscribers.
async fn read(
    cli: &Cli,
    actor: &Actor,
    name: &str,
    list: &str,
    arguments: &mut Arguments,
) -> Outcome {
    let accounts = &cli.accounts;
    if name == "GETSUBSCRIBERINFO" {
        arguments.expect("NAME")?;
        let who = arguments.text("an address")?;
        arguments.end()?;
        let list = accounts.mailing_list(actor, list).await?;
        let found = list.subscriber(&who).map(|one| one.told());
        return dictionary(found.unwrap_or_default());
    }
    let (mut filter, mut limit) = (String::new(), MAX_LISTED);
    if arguments.keyword("FILTER") {
        filter = arguments.text("a part of an address")?;
        if !arguments.is_empty() {
            let given = arguments.number("a number of subscribers")?;
            let wrong = || syntax("a number of subscribers is expected");
            limit = usize::try_from(given).map_err(|_| wrong())?.min(MAX_LISTED);
        }
    }
    arguments.end()?;
    let (total, found) = accounts.list_subscribers(actor, list, &filter, limit).await?;
    if name == "LISTSUBSCRIBERS" {
        return Ok(Some(strings(found.into_iter().map(|(who, _)| who))));
    }
    let rows = found.iter().map(|(who, one)| Value::Dictionary(one.row(who))).collect();
    let total = Value::Number(i64::try_from(total).unwrap_or(i64::MAX));
    data(Value::Array(vec![total, Value::Array(rows)]))
}
