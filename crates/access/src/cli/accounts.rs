//! Commands on accounts (`reference/cli.md` section 6).

use angarium_accounts::{
    Actor, Dictionary, NewAccount, OperationError, SHUTS_OUT, Value, kind_from_word,
};

use angarium_objects::rights::DOMAIN;

use super::arguments::Arguments;
use super::{Cli, Outcome, data, dictionary, strings};

pub(super) async fn run(
    cli: &Cli,
    actor: &Actor,
    name: &str,
    arguments: &mut Arguments,
) -> Outcome {
    let accounts = &cli.accounts;
    let account = arguments.text("an account name")?;
    match name {
        "CREATEACCOUNT" => create(cli, actor, account, arguments).await,
        "RENAMEACCOUNT" => {
            arguments.expect("INTO")?;
            let new = arguments.text("an account name")?;
            if arguments.option("PATH")?.is_some() {
                return Err(OperationError::NotAvailable);
            }
            arguments.end()?;
            accounts.rename_account(actor, &account, &new).await?;
            Ok(None)
        }
        "SETACCOUNTPASSWORD" => set_password(cli, actor, &account, arguments).await,
        "VERIFYACCOUNTPASSWORD" => {
            arguments.expect("PASSWORD")?;
            let password = arguments.secret()?;
            arguments.end()?;
            accounts.verify_account_password(actor, &account, password).await?;
            Ok(None)
        }
        "UPDATEACCOUNTSETTINGS" | "SETACCOUNTSETTINGS" => {
            let settings = arguments.dictionary("a settings dictionary")?;
            arguments.end()?;
            let shuts_out = SHUTS_OUT.iter().any(|key| settings.contains_key(*key));
            if name == "SETACCOUNTSETTINGS" {
                accounts.set_account_settings(actor, &account, settings).await?;
            } else {
                accounts.update_account_settings(actor, &account, settings).await?;
            }
            if shuts_out {
                end_sessions(cli, actor, &account).await;
            }
            Ok(None)
        }
        "SETACCOUNTALIASES" => {
            let aliases = arguments.texts("an array of names")?;
            arguments.end()?;
            accounts.set_account_aliases(actor, &account, aliases).await?;
            Ok(None)
        }
        "SETACCOUNTRIGHTS" => {
            let rights = arguments.texts("an array of right codes")?;
            arguments.end()?;
            accounts.set_account_rights(actor, &account, rights).await?;
            Ok(None)
        }
        "GETACCOUNTONESETTING" => {
            let key = arguments.text("a setting name")?;
            arguments.end()?;
            data(accounts.account_one_setting(actor, &account, &key).await?)
        }
        "SETACCOUNTTYPE" => {
            let word = arguments.text("an account type")?;
            arguments.end()?;
            let kind = kind_from_word(&word)
                .ok_or_else(|| OperationError::Syntax("unknown account type".to_owned()))?;
            accounts.set_account_type(actor, &account, kind).await?;
            Ok(None)
        }
        "GETACCOUNTINFO" => info(cli, actor, &account, arguments).await,
        _ => {
            arguments.end()?;
            plain(cli, actor, name, &account).await
        }
    }
}

/// Commands with no parameter but the account.
async fn plain(cli: &Cli, actor: &Actor, name: &str, account: &str) -> Outcome {
    let accounts = &cli.accounts;
    match name {
        "DELETEACCOUNT" => {
            accounts.delete_account(actor, account).await?;
            Ok(None)
        }
        "GETACCOUNTSETTINGS" => dictionary(accounts.account_settings(actor, account).await?),
        "GETACCOUNTEFFECTIVESETTINGS" => {
            dictionary(accounts.account_effective_settings(actor, account).await?)
        }
        "GETACCOUNTALIASES" => Ok(Some(strings(accounts.account_aliases(actor, account).await?))),
        "GETACCOUNTAPPPASSWORDS" => dictionary(accounts.app_passwords(actor, account).await?),
        "GETACCOUNTRIGHTS" => Ok(Some(strings(accounts.account_rights(actor, account).await?))),
        "GETACCOUNTLOCATION" => data(accounts.account_location(actor, account).await?),
        "KILLACCOUNTSESSIONS" => {
            let record = cli.administered(actor, account, DOMAIN, false).await?;
            cli.ender.end(record.id);
            Ok(None)
        }
        _ => Err(OperationError::NotAvailable),
    }
}

/// `acct [type] [PATH mount] [LEGACY] [{settings}]`; `external` is the older word for LEGACY.
async fn create(cli: &Cli, actor: &Actor, name: String, arguments: &mut Arguments) -> Outcome {
    let mut account = NewAccount { name, ..NewAccount::default() };
    loop {
        if arguments.keyword("LEGACY") || arguments.keyword("external") {
            account.legacy = true;
        } else if arguments.option("PATH")?.is_some() {
            return Err(OperationError::NotAvailable);
        } else if let Some(word) = arguments.optional_text() {
            let kind = kind_from_word(&word).filter(|_| account.kind.is_none());
            account.kind = Some(
                kind.ok_or_else(|| OperationError::Syntax("unknown account type".to_owned()))?,
            );
        } else {
            break;
        }
    }
    account.settings = arguments.optional_dictionary();
    arguments.end()?;
    cli.accounts.create_account(actor, account).await?;
    Ok(None)
}

/// `acct PASSWORD new [METHOD m | TAG t [SERVICES (words)]] [CHECK]`; one client writes `TO` for
/// PASSWORD. SERVICES is our own: where an application password lets in.
async fn set_password(
    cli: &Cli,
    actor: &Actor,
    account: &str,
    arguments: &mut Arguments,
) -> Outcome {
    if !arguments.keyword("TO") {
        arguments.expect("PASSWORD")?;
    }
    let password = arguments.secret()?;
    let (mut check, mut tag, mut services) = (false, None, None);
    while !arguments.is_empty() {
        if arguments.keyword("CHECK") {
            check = true;
        } else if let Some(method) = arguments.option("METHOD")? {
            // The account has one password; those of telephony and RADIUS are not kept here.
            if !method.eq_ignore_ascii_case("CommuniGate") {
                return Err(OperationError::NotAvailable);
            }
        } else if let Some(given) = arguments.option("TAG")? {
            tag = Some(given);
        } else if tag.is_some() && arguments.keyword("SERVICES") {
            services = Some(arguments.texts("an array of services")?);
        } else {
            return Err(OperationError::Syntax("unexpected parameter".to_owned()));
        }
    }
    match tag {
        Some(tag) => {
            cli.accounts.set_app_password(actor, account, &tag, password, services).await?;
        }
        None => cli.accounts.set_account_password(actor, account, password, check).await?,
    }
    end_sessions(cli, actor, account).await;
    Ok(None)
}

/// Ends what was open by a password or a service that may be gone now (ABU-39); whoever still may
/// logs in again. One's own sessions of commands stay.
async fn end_sessions(cli: &Cli, actor: &Actor, account: &str) {
    let Ok(record) = cli.administered(actor, account, DOMAIN, true).await else { return };
    if record.id == actor.account {
        cli.ender.end_mail(record.id);
    } else {
        cli.ender.end(record.id);
    }
}

/// `acct [KEY name | (names)]`: one object (`""` if absent), or a dictionary.
async fn info(cli: &Cli, actor: &Actor, account: &str, arguments: &mut Arguments) -> Outcome {
    let key = arguments.option("KEY")?;
    let names = if key.is_none() && arguments.next_is_array() {
        Some(arguments.texts("an array of names")?)
    } else {
        None
    };
    arguments.end()?;
    let mut facts = cli.accounts.account_info(actor, account).await?;
    if let Some(key) = key {
        return data(facts.remove(&key).unwrap_or(Value::String(String::new())));
    }
    let Some(names) = names else { return dictionary(facts) };
    let found: Dictionary =
        names.into_iter().filter_map(|key| facts.remove(&key).map(|fact| (key, fact))).collect();
    dictionary(found)
}
