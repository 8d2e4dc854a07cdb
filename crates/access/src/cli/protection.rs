//! Commands on who may relay and who is kept out (`reference/cli.md` sections 12 and 13): lists of
//! addresses, banned lines, the other settings, and what is remembered of addresses for a time.

use std::net::IpAddr;
use std::sync::Arc;

use angarium_accounts::{Actor, OperationError, Value};
use angarium_objects::spelling;
use angarium_transfer::Protection;

use super::arguments::Arguments;
use super::{Cli, Outcome, data, dictionary};

/// Most addresses of one SETTEMPBLACKLISTEDIPS.
const MAX_GIVEN: usize = angarium_transfer::protection::MAX_BLOCKED;

/// The list a command is about, by its key.
fn list(name: &str) -> Option<&'static str> {
    Some(match name.get(3..)? {
        "LANIPS" => "LANIPs",
        "CLIENTIPS" => "ClientIPs",
        "BLACKLISTEDIPS" => "BlacklistedIPs",
        "WHITEHOLEIPS" => "WhiteHoleIPs",
        "NATEDIPS" => "NATedIPs",
        "NATSITEIPS" => "NATSiteIPs",
        "DEBUGIPS" => "DebugIPs",
        "DENIEDIPS" => "DeniedIPs",
        _ => return None,
    })
}

pub(super) async fn run(
    cli: &Cli,
    actor: &Actor,
    name: &str,
    arguments: &mut Arguments,
) -> Outcome {
    let accounts = &cli.accounts;
    if let Some(list) = list(name) {
        if name.starts_with("GET") {
            arguments.end()?;
            return data(accounts.network_list(actor, list).await?);
        }
        let text = arguments.text("the list as one string")?;
        arguments.end()?;
        accounts.set_network_list(actor, list, &text).await?;
        return Ok(None);
    }
    match name {
        "GETBANNED" => {
            arguments.end()?;
            dictionary(accounts.banned_lines(actor).await?)
        }
        "SETBANNED" => {
            let lines = arguments.dictionary("a dictionary of lines")?;
            arguments.end()?;
            accounts.set_banned_lines(actor, lines).await?;
            Ok(None)
        }
        "GETPROTECTION" => {
            arguments.end()?;
            dictionary(accounts.protection_settings(actor).await?)
        }
        "SETPROTECTION" => {
            let settings = arguments.dictionary("a settings dictionary")?;
            arguments.end()?;
            accounts.set_protection_settings(actor, settings).await?;
            Ok(None)
        }
        "REPORTFAILEDLOGINADDRESS" => {
            let ip = ip(&arguments.text("an IP address")?)?;
            arguments.end()?;
            accounts.report_failed_login(actor, ip).await?;
            Ok(None)
        }
        _ => remembered(cli, actor, name, arguments).await,
    }
}

/// What is remembered for a time.
async fn remembered(cli: &Cli, actor: &Actor, name: &str, arguments: &mut Arguments) -> Outcome {
    let change = matches!(name, "SETTEMPBLACKLISTEDIPS" | "TEMPBLACKLISTIP" | "GETIPSTATE");
    cli.accounts.may_administer_addresses(actor, change).await?;
    let Some(protection) = cli.protection() else { return Err(OperationError::NotAvailable) };
    match name {
        "GETTEMPCLIENTIPS" => {
            arguments.end()?;
            let all: Vec<String> =
                protection.reading().iter().map(|ip| format!("[{ip}]")).collect();
            data(all.join(","))
        }
        "GETTEMPBLACKLISTEDIPS" => {
            arguments.end()?;
            data(blocked(protection))
        }
        "SETTEMPBLACKLISTEDIPS" => {
            let text = arguments.text("the addresses as one string")?;
            arguments.end()?;
            for (ip, seconds) in given(&text)? {
                protection.block(ip, seconds, "an administrator wants it");
            }
            Ok(None)
        }
        "TEMPBLACKLISTIP" => {
            let ip = ip(&arguments.text("an IP address")?)?;
            if arguments.keyword("DELETE") {
                arguments.end()?;
                // One that is not kept out is let in already.
                protection.unblock(ip);
                return Ok(None);
            }
            arguments.expect("TIMEOUT")?;
            let time = Value::String(arguments.text("a time in seconds")?);
            arguments.end()?;
            let seconds = spelling::duration(&time)
                .ok_or_else(|| OperationError::Syntax("a time in seconds is expected".into()))?;
            protection.block(ip, Some(seconds), "an administrator wants it");
            Ok(None)
        }
        "GETIPSTATE" => {
            let ip = ip(&arguments.text("an IP address")?)?;
            let temporary = arguments.keyword("TEMP");
            arguments.end()?;
            if !temporary {
                return data(protection.check(ip).await.standing);
            }
            if protection.reading().contains(&ip) {
                return data("client");
            }
            let kept_out = protection.blocked().into_iter().any(|blocked| blocked.ip == ip);
            data(if kept_out { "blocked" } else { "" })
        }
        _ => Err(OperationError::NotAvailable),
    }
}

/// The addresses that are kept out: `[192.0.2.1]-600,[192.0.2.2]-*`.
fn blocked(protection: &Arc<Protection>) -> String {
    let all = protection.blocked();
    let all: Vec<String> = all
        .iter()
        .map(|blocked| match blocked.seconds {
            Some(seconds) => format!("[{}]-{seconds}", blocked.ip),
            None => format!("[{}]-*", blocked.ip),
        })
        .collect();
    all.join(",")
}

fn ip(text: &str) -> Result<IpAddr, OperationError> {
    text.trim()
        .trim_matches(['[', ']'])
        .parse::<IpAddr>()
        .map(|ip| ip.to_canonical())
        .map_err(|_| OperationError::Syntax(format!("{} is no IP address", text.trim())))
}

/// Addresses in the form they are shown in; without a time they are kept out for an hour.
fn given(text: &str) -> Result<Vec<(IpAddr, Option<u64>)>, OperationError> {
    let mut all = Vec::new();
    for entry in text.split([',', '\n']).map(str::trim).filter(|entry| !entry.is_empty()) {
        if all.len() >= MAX_GIVEN {
            return Err(OperationError::LimitExceeded("addresses".to_owned()));
        }
        let (address, time) = match entry.rsplit_once('-') {
            Some((address, "*")) => (address, None),
            Some((address, seconds)) => {
                let seconds = seconds.trim().parse().map_err(|_| {
                    OperationError::Syntax(format!("{entry}: a number of seconds is expected"))
                })?;
                (address, Some(seconds))
            }
            None => (entry, Some(3_600)),
        };
        all.push((ip(address)?, time));
    }
    Ok(all)
}
