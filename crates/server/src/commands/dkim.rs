//! `angarium dkim`: the keys with which a domain signs its mail. Making, listing and rotating are
//! commands of the CLI; whether a key is published, the DNS is asked from here.

use std::io;

use angarium_accounts::{Dictionary, Value};
use angarium_transfer::authenticity::publish::{
    Entry, Kind, MailDomain, Standing, compare, entries, zone,
};
use clap::Subcommand;

use super::dns::{resolver, runtime};
use super::output::{ask, put, show, tell};
use super::{REFUSED, WRONG, directory};
use crate::administration::{Administrator, Answer, parameter};
use crate::arguments::Base;

#[derive(Debug, Subcommand)]
pub(crate) enum DkimAction {
    /// Make new keys, an RSA and an Ed25519 one; they sign after `rotate`.
    New {
        /// The domain.
        domain: String,
        /// Name of the key in the DNS (default: made from the date).
        #[arg(long)]
        selector: Option<String>,
        /// rsa or ed25519 (default: one of each, or rsa when a selector is given).
        #[arg(long)]
        algorithm: Option<String>,
    },
    /// List the keys of a domain.
    List {
        /// The domain.
        domain: String,
    },
    /// Show the records to publish, as lines of a zone file.
    Show {
        /// The domain.
        domain: String,
    },
    /// Let the keys that wait sign, once their records are published; make new keys if none waits.
    Rotate {
        /// The domain.
        domain: String,
        /// Do not look whether they are published.
        #[arg(long)]
        force: bool,
        /// Name server to ask, as ADDRESS or ADDRESS:PORT.
        #[arg(long, value_name = "ADDRESS")]
        resolver: Option<String>,
    },
    /// Look whether the records of all keys are published. Exit code 4 if not.
    Test {
        /// The domain.
        domain: String,
        /// Name server to ask, as ADDRESS or ADDRESS:PORT.
        #[arg(long, value_name = "ADDRESS")]
        resolver: Option<String>,
    },
    /// Remove a key.
    Remove {
        /// The domain.
        domain: String,
        /// Its selector.
        selector: String,
    },
}

pub(super) fn run(base: &Base, action: DkimAction) -> io::Result<u8> {
    let mut to = Administrator::reach(&directory(base)?)?;
    match action {
        DkimAction::New { domain, selector, algorithm } => {
            make(base, &mut to, &domain, selector.as_deref(), algorithm.as_deref())
        }
        DkimAction::List { domain } => list(base, &mut to, &domain),
        DkimAction::Show { domain } => match keys(base, &mut to, &domain)? {
            Ok(keys) => {
                put(zone(&wanted(&domain, &keys)).trim_end());
                Ok(0)
            }
            Err(code) => Ok(code),
        },
        DkimAction::Rotate { domain, force, resolver } => {
            rotate(base, &mut to, &domain, force, resolver.as_deref())
        }
        DkimAction::Test { domain, resolver } => {
            let keys = match keys(base, &mut to, &domain)? {
                Ok(keys) => keys,
                Err(code) => return Ok(code),
            };
            let good = published(base, &mut to, &domain, &keys, resolver.as_deref())?;
            Ok(if good { 0 } else { WRONG })
        }
        DkimAction::Remove { domain, selector } => {
            let line = format!("DELETEDKIMKEY {} {}", parameter(&domain), parameter(&selector));
            ask(&mut to, base, &line, "done; its record may go from the DNS")
        }
    }
}

/// The keys of a domain as the CLI shows them; the exit code if it does not.
pub(super) fn keys(
    base: &Base,
    to: &mut Administrator,
    domain: &str,
) -> io::Result<Result<Dictionary, u8>> {
    Ok(match to.execute(&format!("LISTDKIMKEYS {}", parameter(domain)))? {
        Answer::Done(Some(Value::Dictionary(keys))) => Ok(keys),
        Answer::Done(_) => Ok(Dictionary::new()),
        failed @ Answer::Failed(..) => Err(show(base, failed, "")),
    })
}

fn part<'a>(key: &'a Value, name: &str) -> &'a str {
    let text = key.as_dictionary().and_then(|key| key.get(name)).and_then(Value::as_str);
    text.unwrap_or_default()
}

/// Selectors with the texts of their records.
pub(super) fn records(keys: &Dictionary) -> Vec<(String, String)> {
    keys.iter().map(|(name, key)| (name.clone(), part(key, "Record").to_owned())).collect()
}

fn wanted(domain: &str, keys: &Dictionary) -> Vec<Entry> {
    let domain =
        MailDomain { name: domain.to_lowercase(), keys: records(keys), ..MailDomain::default() };
    entries(&domain).into_iter().filter(|entry| entry.kind == Kind::Dkim).collect()
}

fn make(
    base: &Base,
    to: &mut Administrator,
    domain: &str,
    selector: Option<&str>,
    algorithm: Option<&str>,
) -> io::Result<u8> {
    let day = jiff::Timestamp::now().strftime("%Y%m%d").to_string();
    let wanted: Vec<(String, &str)> = match (selector, algorithm) {
        (Some(selector), algorithm) => vec![(selector.to_owned(), algorithm.unwrap_or("rsa"))],
        (None, Some(algorithm)) => vec![(format!("{}{day}", first(algorithm)), algorithm)],
        (None, None) => vec![(format!("r{day}"), "rsa"), (format!("e{day}"), "ed25519")],
    };
    let mut made = Dictionary::new();
    for (selector, algorithm) in wanted {
        let line = format!(
            "CREATEDKIMKEY {} {} ALGORITHM {}",
            parameter(domain),
            parameter(&selector),
            parameter(algorithm)
        );
        match to.execute(&line)? {
            Answer::Done(Some(key)) => {
                made.insert(selector, key);
            }
            failed => return Ok(show(base, failed, "").max(REFUSED)),
        }
    }
    if base.json {
        let value = Answer::Done(Some(Value::Dictionary(made)));
        return Ok(show(base, value, ""));
    }
    put("; publish these records, then: angarium dkim rotate DOMAIN");
    put(zone(&self::wanted(domain, &made)).trim_end());
    Ok(0)
}

fn first(algorithm: &str) -> char {
    algorithm.chars().next().map_or('k', |c| c.to_ascii_lowercase())
}

fn list(base: &Base, to: &mut Administrator, domain: &str) -> io::Result<u8> {
    let keys = match keys(base, to, domain)? {
        Ok(keys) => keys,
        Err(code) => return Ok(code),
    };
    if base.json {
        return Ok(show(base, Answer::Done(Some(Value::Dictionary(keys))), ""));
    }
    for (selector, key) in &keys {
        put(&format!("{selector:<20} {:<8} {}", part(key, "Algorithm"), part(key, "State")));
    }
    Ok(0)
}

/// Tells of each key whether it is published; true if all are that have to be.
fn published(
    base: &Base,
    to: &mut Administrator,
    domain: &str,
    keys: &Dictionary,
    server: Option<&str>,
) -> io::Result<bool> {
    let dns = resolver(to, server)?;
    let runtime = runtime()?;
    let none = MailDomain::default();
    let mut good = true;
    let mut told = Vec::new();
    for entry in wanted(domain, keys) {
        let standing = runtime.block_on(Box::pin(compare(&dns, &none, &entry)));
        good &= standing == Standing::Ok;
        let why = match &standing {
            Standing::Different(why) | Standing::Unknown(why) => why.clone(),
            Standing::Missing => "publish it: angarium dkim show DOMAIN".to_owned(),
            Standing::Ok => String::new(),
        };
        if base.json {
            let word = standing.word();
            told.push(serde_json::json!({ "name": entry.name, "state": word, "why": why }));
        } else {
            put(format!("{:<10} {} {why}", standing.word(), entry.name).trim_end());
        }
    }
    if base.json {
        put(&serde_json::json!({ "ok": good, "records": told }).to_string());
    }
    Ok(good)
}

fn rotate(
    base: &Base,
    to: &mut Administrator,
    domain: &str,
    force: bool,
    server: Option<&str>,
) -> io::Result<u8> {
    let mut waiting = match keys(base, to, domain)? {
        Ok(keys) => keys,
        Err(code) => return Ok(code),
    };
    waiting.retain(|_, key| part(key, "State") == "waiting");
    if waiting.is_empty() {
        return make(base, to, domain, None, None);
    }
    if !force && !published(base, to, domain, &waiting, server)? {
        tell("angarium: not rotated: what is not published cannot be verified by others");
        return Ok(WRONG);
    }
    let line = format!("ROTATEDKIMKEYS {}", parameter(domain));
    let done = "done; keep the records of retired keys for a week, then remove those keys";
    ask(to, base, &line, done)
}
