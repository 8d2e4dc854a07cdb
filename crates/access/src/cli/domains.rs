//! Commands of the domain set and of one domain (`reference/cli.md` sections 4 and 5).

use angarium_accounts::{Actor, Dictionary, ObjectKinds, OperationError, Value, kind_extension};

use super::arguments::Arguments;
use super::{Cli, Outcome, data, dictionary, strings};

/// Most objects LISTDOMAINOBJECTS shows at a time.
const MAX_OBJECTS: i64 = 10_000;

pub(super) async fn run(
    cli: &Cli,
    actor: &Actor,
    name: &str,
    arguments: &mut Arguments,
) -> Outcome {
    match name {
        "LISTDOMAINS" | "MAINDOMAINNAME" | "CREATEDOMAIN" | "RENAMEDOMAIN" | "DELETEDOMAIN" => {
            domain_set(cli, actor, name, arguments).await
        }
        "GETDOMAINALIASES" | "SETDOMAINALIASES" | "LISTACCOUNTS" | "LISTDOMAINOBJECTS"
        | "GETDOMAINLOCATION" => one_domain(cli, actor, name, arguments).await,
        "LISTADMINDOMAINS" => {
            let domain = arguments.optional_domain();
            arguments.end()?;
            Ok(Some(strings(cli.accounts.managed_domains(actor, &domain).await?)))
        }
        "INSERTDIRECTORYRECORDS" | "DELETEDIRECTORYRECORDS" => {
            let domain = arguments.optional_domain();
            arguments.end()?;
            cli.accounts.renew_directory_records(actor, &domain).await?;
            Ok(None)
        }
        "SUSPENDDOMAIN" | "RESUMEDOMAIN" => {
            let domain = arguments.text("a domain name")?;
            arguments.end()?;
            let suspend = name == "SUSPENDDOMAIN";
            for account in cli.accounts.suspend_domain(actor, &domain, suspend).await? {
                cli.ender.end(account);
            }
            Ok(None)
        }
        "GETDOMAINDEFAULTS" | "GETSERVERACCOUNTDEFAULTS" => {
            arguments.end()?;
            dictionary(match name {
                "GETDOMAINDEFAULTS" => cli.accounts.domain_defaults(actor).await?,
                _ => cli.accounts.server_account_defaults(actor).await?,
            })
        }
        "UPDATEDOMAINDEFAULTS"
        | "SETDOMAINDEFAULTS"
        | "UPDATESERVERACCOUNTDEFAULTS"
        | "SETSERVERACCOUNTDEFAULTS" => {
            let settings = arguments.dictionary("a settings dictionary")?;
            arguments.end()?;
            set_server_wide(cli, actor, name, settings).await
        }
        _ if name.starts_with("GET") => {
            let domain = arguments.optional_domain();
            arguments.end()?;
            get_settings(cli, actor, name, &domain).await
        }
        _ => {
            let domain = arguments.optional_domain();
            let settings = arguments.dictionary("a settings dictionary")?;
            arguments.end()?;
            set_settings(cli, actor, name, &domain, settings).await
        }
    }
}

async fn domain_set(cli: &Cli, actor: &Actor, name: &str, arguments: &mut Arguments) -> Outcome {
    let accounts = &cli.accounts;
    match name {
        "LISTDOMAINS" => {
            arguments.end()?;
            return Ok(Some(strings(accounts.list_domains(actor).await?)));
        }
        "MAINDOMAINNAME" => {
            arguments.end()?;
            return data(accounts.main_domain_name(actor).await?);
        }
        "CREATEDOMAIN" => {
            let domain = arguments.text("a domain name")?;
            // Shared domains and storage mounts belong to clusters.
            if arguments.keyword("SHARED") || arguments.option("PATH")?.is_some() {
                return Err(OperationError::NotAvailable);
            }
            let settings = arguments.optional_dictionary();
            arguments.end()?;
            accounts.create_domain(actor, &domain, settings).await?;
        }
        "RENAMEDOMAIN" => {
            let old = arguments.text("a domain name")?;
            arguments.expect("INTO")?;
            let new = arguments.text("a domain name")?;
            if arguments.option("PATH")?.is_some() {
                return Err(OperationError::NotAvailable);
            }
            arguments.end()?;
            accounts.rename_domain(actor, &old, &new).await?;
        }
        _ => {
            let domain = arguments.text("a domain name")?;
            let force = arguments.keyword("FORCE");
            arguments.end()?;
            accounts.delete_domain(actor, &domain, force).await?;
        }
    }
    Ok(None)
}

async fn one_domain(cli: &Cli, actor: &Actor, name: &str, arguments: &mut Arguments) -> Outcome {
    let accounts = &cli.accounts;
    match name {
        "GETDOMAINALIASES" => {
            let domain = arguments.optional_domain();
            arguments.end()?;
            Ok(Some(strings(accounts.domain_aliases(actor, &domain).await?)))
        }
        "SETDOMAINALIASES" => {
            let domain = arguments.text("a domain name")?;
            let aliases = arguments.texts("an array of names")?;
            arguments.end()?;
            accounts.set_domain_aliases(actor, &domain, aliases).await?;
            Ok(None)
        }
        "LISTACCOUNTS" => {
            let domain = arguments.optional_domain();
            arguments.end()?;
            let all = accounts.list_accounts(actor, &domain).await?;
            let pairs = all.into_iter().map(|(name, kind)| (name, kind_extension(kind).into()));
            dictionary(pairs.collect())
        }
        "GETDOMAINLOCATION" => {
            let domain = arguments.optional_domain();
            arguments.end()?;
            domain_location(cli, actor, &domain).await
        }
        _ => list_objects(cli, actor, arguments).await,
    }
}

/// The directory of a domain relative to the base directory, as legacy tools expect it.
async fn domain_location(cli: &Cli, actor: &Actor, domain: &str) -> Outcome {
    if !actor.is_console() && !cli.current_rights(actor).await?.all_domains() {
        return Err(OperationError::AccessDenied);
    }
    let domain = if domain.is_empty() { &actor.domain } else { domain }.to_ascii_lowercase();
    let main = cli.accounts.main_domain().await?;
    if domain == main || domain.is_empty() {
        return data("Accounts");
    }
    for known in cli.accounts.list_domains(actor).await? {
        if known == domain || cli.accounts.domain_aliases(actor, &known).await?.contains(&domain) {
            return data(if known == main {
                "Accounts".to_owned()
            } else {
                format!("Domains/{known}")
            });
        }
    }
    Err(OperationError::UnknownDomain)
}

async fn list_objects(cli: &Cli, actor: &Actor, arguments: &mut Arguments) -> Outcome {
    let domain = arguments.text("a domain name")?;
    let filter = arguments.option("FILTER")?.unwrap_or_default();
    let limit = arguments.number("a limit")?.clamp(0, MAX_OBJECTS);
    let mut kinds = ObjectKinds { accounts: false, aliases: false, forwarders: false };
    let mut cookie = None;
    while !arguments.is_empty() {
        if arguments.keyword("ACCOUNTS") {
            kinds.accounts = true;
        } else if arguments.keyword("ALIASES") {
            kinds.aliases = true;
        } else if arguments.keyword("FORWARDERS") {
            kinds.forwarders = true;
        } else if let Some(text) = arguments.option("COOKIE")? {
            cookie = Some(text);
        } else {
            return Err(OperationError::Syntax("unexpected parameter".to_owned()));
        }
    }
    if !kinds.accounts && !kinds.aliases && !kinds.forwarders {
        kinds = ObjectKinds { accounts: true, aliases: true, forwarders: true };
    }
    let limit = usize::try_from(limit).unwrap_or(0);
    let listing = cli
        .accounts
        .list_domain_objects(actor, &domain, &filter, limit, kinds, cookie.as_deref())
        .await?;
    let mut answer = vec![
        Value::from(listing.accounts.to_string()),
        Value::Dictionary(listing.objects),
        Value::from(listing.aliases.to_string()),
        Value::from(listing.forwarders.to_string()),
    ];
    if cookie.is_some() {
        answer.push(Value::from(listing.cookie.unwrap_or_default()));
    }
    Ok(Some(Value::Array(answer)))
}

async fn set_server_wide(cli: &Cli, actor: &Actor, name: &str, settings: Dictionary) -> Outcome {
    let accounts = &cli.accounts;
    match name {
        "UPDATEDOMAINDEFAULTS" => accounts.update_domain_defaults(actor, settings).await?,
        "SETDOMAINDEFAULTS" => accounts.set_domain_defaults(actor, settings).await?,
        "UPDATESERVERACCOUNTDEFAULTS" => {
            accounts.update_server_account_defaults(actor, settings).await?;
        }
        _ => accounts.set_server_account_defaults(actor, settings).await?,
    }
    Ok(None)
}

async fn get_settings(cli: &Cli, actor: &Actor, name: &str, domain: &str) -> Outcome {
    let accounts = &cli.accounts;
    dictionary(match name {
        "GETDOMAINSETTINGS" => accounts.domain_settings(actor, domain).await?,
        "GETDOMAINEFFECTIVESETTINGS" => accounts.domain_effective_settings(actor, domain).await?,
        "GETACCOUNTDEFAULTS" => accounts.account_defaults(actor, domain).await?,
        "GETACCOUNTTEMPLATE" => accounts.account_template(actor, domain).await?,
        _ => return Err(OperationError::NotAvailable),
    })
}

async fn set_settings(
    cli: &Cli,
    actor: &Actor,
    name: &str,
    domain: &str,
    settings: Dictionary,
) -> Outcome {
    let accounts = &cli.accounts;
    match name {
        "UPDATEDOMAINSETTINGS" => accounts.update_domain_settings(actor, domain, settings).await?,
        "SETDOMAINSETTINGS" => accounts.set_domain_settings(actor, domain, settings).await?,
        "UPDATEACCOUNTDEFAULTS" => {
            accounts.update_account_defaults(actor, domain, settings).await?;
        }
        "SETACCOUNTDEFAULTS" => accounts.set_account_defaults(actor, domain, settings).await?,
        "UPDATEACCOUNTTEMPLATE" => {
            accounts.update_account_template(actor, domain, settings).await?;
        }
        "SETACCOUNTTEMPLATE" => accounts.set_account_template(actor, domain, settings).await?,
        _ => return Err(OperationError::NotAvailable),
    }
    Ok(None)
}
