//! The line `TAKEOVER …` of the administrator's socket: `STATUS domain`, `COPY domain [name]` and
//! `DONE domain`, answered as a CLI line is.

use std::collections::BTreeMap;
use std::sync::Arc;

use angarium_accounts::{Accounts, Actor, Dictionary, Value};
use angarium_objects::name::FullName;
use angarium_objects::settings::OldMail;
use angarium_objects::text;
use angarium_take_over::book::{Book, Page};
use angarium_take_over::copying::Copier;

/// Executes one line; the answer is one line.
pub(crate) async fn execute(
    accounts: &Arc<Accounts>,
    book: &Book,
    copier: Option<&Arc<Copier>>,
    words: &[u8],
) -> String {
    let words = String::from_utf8_lossy(words).to_lowercase();
    let words: Vec<&str> = words.split_ascii_whitespace().collect();
    let answer = match words.as_slice() {
        ["status", domain] => Box::pin(status(accounts, book, copier, domain)).await,
        ["copy", domain] => match copier {
            Some(copier) => copier
                .want_all(domain)
                .map(|count| Value::Number(i64::try_from(count).unwrap_or(i64::MAX)))
                .map_err(|e| (599, e.to_string())),
            None => Err((511, "no server runs; it alone copies".to_owned())),
        },
        ["copy", domain, name] => match copier {
            Some(copier) => {
                let who = FullName { name: (*name).to_owned(), domain: (*domain).to_owned() };
                copier.want(&who);
                Ok(Value::Number(1))
            }
            None => Err((511, "no server runs; it alone copies".to_owned())),
        },
        ["done", domain] => done(accounts, book, domain).await,
        _ => Err((500, "TAKEOVER wants STATUS, COPY or DONE and a domain".to_owned())),
    };
    match answer {
        Ok(value) => format!("201 {}", text::line_text(&value)),
        Err((code, why)) => format!("{code} {}", why.replace(['\r', '\n'], " ")),
    }
}

type Answer = Result<Value, (u16, String)>;

/// A page as a dictionary; times are seconds since 1970.
fn described(page: &Page) -> Dictionary {
    let number = |number: u64| Value::Number(i64::try_from(number).unwrap_or(i64::MAX));
    let mut all = Dictionary::from([
        ("Made".to_owned(), Value::Number(page.made)),
        ("Proved".to_owned(), Value::Number(page.proved)),
        ("Copied".to_owned(), Value::Number(page.copied)),
        ("LastCopy".to_owned(), Value::Number(page.last_copy)),
        ("LastTry".to_owned(), Value::Number(page.last_try)),
        ("Tries".to_owned(), number(u64::from(page.tries))),
        ("Messages".to_owned(), number(page.messages)),
        ("Octets".to_owned(), number(page.octets)),
        ("Failures".to_owned(), number(page.failures)),
    ]);
    for (key, set) in [("Listed", page.listed), ("Again", !page.sealed.is_empty())] {
        all.insert(key.to_owned(), Value::from(if set { "YES" } else { "NO" }));
    }
    if !page.trouble.is_empty() {
        all.insert("Trouble".to_owned(), Value::from(page.trouble.as_str()));
    }
    all
}

/// Each account of the domain by name, with how far it has come.
async fn status(
    accounts: &Arc<Accounts>,
    book: &Book,
    copier: Option<&Arc<Copier>>,
    domain: &str,
) -> Answer {
    let settled = accounts.settled_accounts(&Actor::console(), domain).await;
    let settled = settled.map_err(|e| (e.code(), e.text()))?;
    let facts = accounts.domain_facts(domain).await.map_err(|e| (599, e.to_string()))?;
    let domain = facts.map_or(domain.to_owned(), |facts| facts.record.name.clone());
    let old = accounts.old_server_of(&domain).await.map_err(|e| (599, e.to_string()))?;
    let (pages_of, book) = (domain.clone(), book.clone());
    let pages = tokio::task::spawn_blocking(move || book.pages(&pages_of)).await;
    let pages = pages.map_err(|e| (599, e.to_string()))?.map_err(|e| (599, e.to_string()))?;
    let mut pages: BTreeMap<String, Page> = pages.into_iter().collect();
    let running = copier.map(|copier| copier.running()).unwrap_or_default();
    let mut all = Dictionary::new();
    for (name, settled) in settled {
        let page = pages.remove(&name).unwrap_or_default();
        let mut one = described(&page);
        let copies = old.as_ref().is_some_and(|old| old.mail == OldMail::Copy);
        let state = match page {
            _ if running.iter().any(|who| who.name == name && who.domain == domain) => "copying",
            Page { proved: 0, .. } if !settled => "waiting",
            Page { proved: 0, .. } => "own",
            Page { copied: 1.., tries: 0, .. } => "copied",
            Page { tries: 1.., .. } => "trouble",
            Page { listed: true, .. } => "listed",
            _ if copies && !page.sealed.is_empty() => "to copy",
            _ => "arrived",
        };
        one.insert("State".to_owned(), Value::from(state));
        all.insert(name, Value::Dictionary(one));
    }
    let mut answer = Dictionary::from([("Accounts".to_owned(), Value::Dictionary(all))]);
    if let Some(old) = old {
        answer.insert("Server".to_owned(), Value::from(old.server.to_string()));
    }
    Ok(Value::Dictionary(answer))
}

/// The end of a take-over: the passwords of the old server are forgotten, and it is asked no more.
async fn done(accounts: &Arc<Accounts>, book: &Book, domain: &str) -> Answer {
    let mut forgotten = 0;
    let pages = book.pages(domain).map_err(|e| (599, e.to_string()))?;
    for (name, page) in pages {
        if !page.sealed.is_empty() {
            let changed = book.change(&name, domain, |page| page.sealed.clear());
            changed.map_err(|e| (599, e.to_string()))?;
            forgotten += 1;
        }
    }
    let off = Dictionary::from([("TakeOver".to_owned(), Value::from("default"))]);
    let changed = accounts.update_domain_settings(&Actor::console(), domain, off).await;
    changed.map_err(|e| (e.code(), e.text()))?;
    Ok(Value::Number(forgotten))
}
