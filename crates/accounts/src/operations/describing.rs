//! Every setting of an object with its value and where that comes from. Secrets are named, never
//! shown: what is described is made for screens.

use angarium_objects::configuration::is_secret;
use angarium_objects::rights::SETTINGS;
use angarium_objects::settings::{
    Described, Origin, Scope, described, described_account, module_names,
};
use angarium_objects::value::{Dictionary, Value};
use angarium_store::SettingsKey;

use super::OperationError;
use super::server::module_key;
use crate::{Accounts, Actor};

/// What is shown instead of a secret.
const HIDDEN: &str = "(set, not shown)";

/// Whose settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingsOf {
    /// The server.
    Server,
    /// The Router.
    Router,
    /// The server-wide domain defaults.
    Domains,
    /// The server-wide account defaults.
    Accounts,
    /// A module.
    Module(String),
    /// A domain.
    Domain(String),
    /// The account defaults of a domain.
    Defaults(String),
    /// The account template of a domain.
    Template(String),
    /// An account.
    Account(String),
}

impl SettingsOf {
    /// Reads `server`, `router`, `domains`, `accounts`, a module's name, `example.com`,
    /// `@example.com` (its account defaults), `joe@example.com`; or, where that could be two
    /// things, `module:`, `domain:`, `defaults:`, `template:` or `account:` and a name.
    #[must_use]
    pub fn read(word: &str) -> Self {
        let lower = word.to_ascii_lowercase();
        match lower.as_str() {
            "server" => return Self::Server,
            "router" => return Self::Router,
            "domains" => return Self::Domains,
            "accounts" => return Self::Accounts,
            _ => {}
        }
        if let Some((kind, name)) = word.split_once(':') {
            let name = name.to_owned();
            match kind.to_ascii_lowercase().as_str() {
                "module" => return Self::Module(name),
                "domain" => return Self::Domain(name),
                "defaults" => return Self::Defaults(name),
                "template" => return Self::Template(name),
                "account" => return Self::Account(name),
                _ => {}
            }
        }
        match word.split_once('@') {
            Some(("", domain)) => Self::Defaults(domain.to_owned()),
            Some(_) => Self::Account(word.to_owned()),
            None if word.contains('.') => Self::Domain(word.to_owned()),
            None => Self::Module(word.to_owned()),
        }
    }

    /// The declarations its keys are looked up in.
    #[must_use]
    pub fn scope(&self) -> Scope {
        match self {
            Self::Server => Scope::Server,
            Self::Router => Scope::Router,
            Self::Domains | Self::Domain(_) => Scope::Domain,
            Self::Accounts | Self::Defaults(_) | Self::Account(_) => Scope::Account,
            Self::Template(_) => Scope::Template,
            Self::Module(name) => Scope::of_module(name),
        }
    }
}

fn hide(mut all: Vec<Described>) -> Vec<Described> {
    for one in &mut all {
        if is_secret(&one.key) && one.value.is_some() && one.origin != Origin::BuiltIn {
            one.value = Some(Value::from(HIDDEN));
        }
        if let Some(Value::Dictionary(pairs)) = &mut one.value {
            angarium_objects::configuration::without_secrets(pairs);
        }
    }
    all
}

impl Accounts {
    /// Every declared setting of an object and every other key it has, with where it comes from.
    ///
    /// # Errors
    /// See [`OperationError`]; the rights are those of reading the settings.
    pub async fn described_settings(
        &self,
        actor: &Actor,
        of: &SettingsOf,
    ) -> Result<Vec<Described>, OperationError> {
        let scope = of.scope();
        let all = match of {
            SettingsOf::Server => own(scope, &self.server_settings(actor).await?),
            SettingsOf::Router => own(scope, &self.router_settings(actor).await?),
            SettingsOf::Domains => own(scope, &self.domain_defaults(actor).await?),
            SettingsOf::Accounts => own(scope, &self.server_account_defaults(actor).await?),
            SettingsOf::Module(name) => {
                let set = self.read_as(actor, Some(SETTINGS), module_key(name)?).await?;
                let known = module_names().iter().any(|known| known.eq_ignore_ascii_case(name));
                if set.is_empty() && !known {
                    let what = format!("\"{name}\" is neither a module nor anything else here");
                    return Err(OperationError::General(what));
                }
                own(scope, &set)
            }
            SettingsOf::Domain(name) => {
                let set = self.domain_settings(actor, name).await?;
                let defaults = self.dictionary(SettingsKey::DomainDefaults).await?;
                described(scope, &[(Origin::DomainDefaults, &defaults), (Origin::Own, &set)])
            }
            SettingsOf::Defaults(name) => {
                let set = self.account_defaults(actor, name).await?;
                self.of_accounts(&Dictionary::new(), &set, Origin::Own).await?
            }
            SettingsOf::Template(name) => own(scope, &self.account_template(actor, name).await?),
            SettingsOf::Account(name) => {
                let set = self.account_settings(actor, name).await?;
                let record = self.readable_account(actor, name).await?.1;
                let domain = self.domain_facts(&record.domain).await?;
                let none = Dictionary::new();
                let defaults = domain.as_ref().map_or(&none, |d| &d.record.account_defaults);
                self.of_accounts(&set, defaults, Origin::DomainAccountDefaults).await?
            }
        };
        Ok(hide(all))
    }

    /// The levels of an account's settings; `origin` is what those of the domain are called.
    async fn of_accounts(
        &self,
        set: &Dictionary,
        domain_wide: &Dictionary,
        origin: Origin,
    ) -> Result<Vec<Described>, OperationError> {
        let defaults = self.dictionary(SettingsKey::DomainDefaults).await?;
        let server_wide = self.dictionary(SettingsKey::AccountDefaults).await?;
        let none = Dictionary::new();
        let inside = defaults.get("AccountDefaults").and_then(Value::as_dictionary);
        let levels = [
            (Origin::DomainDefaults, inside.unwrap_or(&none)),
            (Origin::ServerAccountDefaults, &*server_wide),
            (origin, domain_wide),
        ];
        Ok(described_account(&levels, set))
    }
}

fn own(scope: Scope, set: &Dictionary) -> Vec<Described> {
    described(scope, &[(Origin::Own, set)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_says_whose_settings() {
        for (word, of) in [
            ("Server", SettingsOf::Server),
            ("imap", SettingsOf::Module("imap".to_owned())),
            ("example.com", SettingsOf::Domain("example.com".to_owned())),
            ("domain:localhost", SettingsOf::Domain("localhost".to_owned())),
            ("@example.com", SettingsOf::Defaults("example.com".to_owned())),
            ("template:example.com", SettingsOf::Template("example.com".to_owned())),
            ("joe@example.com", SettingsOf::Account("joe@example.com".to_owned())),
        ] {
            assert_eq!(SettingsOf::read(word), of, "{word}");
        }
    }
}
