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

/// The settings of an account. `defaults` are the levels below it, the most general first (server
/// defaults, then the domain's). The service class it names is found in their `ServiceClasses`
/// and stands between them and the account's own.
#[must_use]
pub fn effective_account(defaults: &[&Dictionary], own: &Dictionary) -> Dictionary {
    let mut all = built_in(ACCOUNT_SETTINGS);
    for layer in defaults {
        lay(&mut all, layer);
    }
    let class = own.get("ServiceClass").or_else(|| all.get("ServiceClass"));
    let class = class.and_then(|name| name.as_str()).map(str::to_owned);
    if let Some(class) = class {
        // The nearest level that defines the class counts.
        let found = defaults.iter().rev().find_map(|layer| {
            layer.get("ServiceClasses")?.as_dictionary()?.get(&class)?.as_dictionary()
        });
        if let Some(found) = found {
            lay(&mut all, found);
        }
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
