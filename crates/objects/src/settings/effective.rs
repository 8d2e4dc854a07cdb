//! Effective values: the levels of settings laid over each other
//! (`reference/accounts-and-domains.md` sections 4 and 5.1).

use super::{ACCOUNT_SETTINGS, DOMAIN_SETTINGS, SERVER_SETTINGS, Setting};
use crate::value::Dictionary;

/// The built-in defaults of a family, made ready once.
fn built_in(settings: &'static [Setting]) -> Dictionary {
    settings
        .iter()
        .filter_map(|s| s.default_value().map(|value| (s.key.to_owned(), value)))
        .collect()
}

fn lay(over: &mut Dictionary, layer: &Dictionary) {
    for (key, value) in layer {
        over.insert(key.clone(), value.clone());
    }
}

/// The service class of an account with its name: the one that the account, or else the nearest
/// level of its defaults, names, as the nearest level that defines it says.
pub(super) fn service_class<'a>(
    defaults: &[&'a Dictionary],
    own: &Dictionary,
) -> Option<(String, &'a Dictionary)> {
    let named = |level: &Dictionary| level.get("ServiceClass").cloned();
    let name = named(own).or_else(|| defaults.iter().rev().find_map(|level| named(level)))?;
    let name = name.as_str()?;
    let found = defaults.iter().rev().find_map(|level| {
        level.get("ServiceClasses")?.as_dictionary()?.get(name)?.as_dictionary()
    })?;
    Some((name.to_owned(), found))
}

/// The settings of an account. `defaults` are the levels below it, the most general first (server
/// defaults, then the domain's). The service class it names is found in their `ServiceClasses`
/// and stands between them and the account's own.
#[must_use]
pub fn effective_account(defaults: &[&Dictionary], own: &Dictionary) -> Dictionary {
    let mut all = built_in(ACCOUNT_SETTINGS);
    for layer in defaults {
        lay(&mut all, layer);
    }
    if let Some((_, class)) = service_class(defaults, own) {
        lay(&mut all, class);
    }
    lay(&mut all, own);
    all
}

/// The settings of a domain: its own over the server-wide defaults over the built-in ones.
#[must_use]
pub fn effective_domain(defaults: &Dictionary, own: &Dictionary) -> Dictionary {
    let mut all = built_in(DOMAIN_SETTINGS);
    lay(&mut all, defaults);
    lay(&mut all, own);
    all
}

/// The server's settings over the built-in ones.
#[must_use]
pub fn effective_server(own: &Dictionary) -> Dictionary {
    let mut all = built_in(SERVER_SETTINGS);
    lay(&mut all, own);
    all
}
