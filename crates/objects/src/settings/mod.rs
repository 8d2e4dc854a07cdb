//! Every setting declared once: compatible name, type, default, who may change it, what it does
//! and since when. Validation, effective values and manual pages derive from the declarations.
//! Knows nothing of where settings are stored.
//!
//! Keys that are not declared here are custom attributes: kept and returned as they are.

mod account;
mod authenticity;
mod domain;
mod effective;
mod issuers;
mod list;
mod local;
mod module;
mod old_server;
mod origin;
mod parts;
mod pipe;
mod protection;
mod queue;
mod server;
mod smtp_receiving;
mod smtp_sending;

use thiserror::Error;

use crate::spelling;
use crate::text;
use crate::value::{Dictionary, Value};

pub use account::ACCOUNT_SETTINGS;
pub use authenticity::AUTHENTICITY_SETTINGS;
pub use domain::DOMAIN_SETTINGS;
use effective::service_class;
pub use effective::{effective_account, effective_domain, effective_server};
pub use issuers::{Issuer, MAX_ISSUERS, TOKEN_ALGORITHMS, issuers};
pub use list::LIST_SETTINGS;
pub use local::LOCAL_SETTINGS;
pub use module::{Listener, MAX_PORTS, MODULE_SETTINGS, Port, listener, module_name, module_names};
pub use old_server::{
    OldAddress, OldMail, OldName, OldProtocol, OldServer, OldTls, TAKE_OVER, old_server,
};
pub use origin::{Described, Origin, described, described_account};
pub use parts::{
    ACCOUNT_ACL, ACCOUNT_PARTS, DATASET, DOMAIN_PARTS, PREFERENCES, REMOTE_POP, RULES,
    SERVER_PARTS, SUSPENDED,
};
pub use pipe::PIPE_SETTINGS;
pub use protection::{PROTECTION_LISTS, PROTECTION_SETTINGS};
pub use queue::QUEUE_SETTINGS;
pub use server::{ROUTER_SETTINGS, SERVER_SETTINGS};
pub use smtp_receiving::SMTP_RECEIVING;
pub use smtp_sending::{SMTP_SENDING, TLS_POLICIES};

/// Longest key of a setting, in bytes.
pub const MAX_KEY: usize = 128;
/// Largest text form of one whole dictionary of settings, in bytes.
pub const MAX_SETTINGS: usize = 1024 * 1024;
/// The value that removes a setting in an update.
pub const DEFAULT_WORD: &str = "default";

/// What values a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any string of at most so many bytes.
    Text(usize),
    /// `YES` or `NO`.
    Boolean,
    /// One of these words; case does not count, the declared spelling is stored.
    Choice(&'static [&'static str]),
    /// A size or `unlimited`.
    Size,
    /// A count or `unlimited`.
    Count,
    /// A whole number in this range.
    Number(i64, i64),
    /// A duration.
    Duration,
    /// A duration or an array of them.
    Durations,
    /// An array of a count and a period.
    Flow,
    /// `All`, `None` or an array of words.
    Words,
    /// A dictionary.
    Dictionary,
    /// A domain name.
    DomainName,
    /// A list of IP addresses: an array, or a string of them separated by commas; or one of the
    /// words `NO`, `All Available`.
    Addresses,
    /// A list of networks, see [`crate::network::networks`].
    Networks,
    /// A password in any stored form.
    Password,
    /// Connections and ports of a service, see [`listener`].
    Listener,
    /// Mail Rules, see [`crate::mail_rule`].
    Rules,
    /// Issuers of access tokens, see [`issuers`].
    Issuers,
    /// The old server of a domain that is taken over, see [`old_server()`].
    OldServer,
    /// Anything.
    Any,
}

impl Kind {
    /// What is expected, for people.
    #[must_use]
    pub fn expected(self) -> String {
        match self {
            Self::Text(limit) => format!("a text of at most {limit} bytes"),
            Self::Boolean => "YES or NO".to_owned(),
            Self::Choice(words) => format!("one of: {}", words.join(", ")),
            Self::Size => "a size such as 10K, 31M or unlimited".to_owned(),
            Self::Count => "a number or unlimited".to_owned(),
            Self::Number(low, high) => format!("a number from {low} to {high}"),
            Self::Duration => "a duration such as 30s, 5m, 1h or 15d".to_owned(),
            Self::Durations => "durations such as (5m, 15m, 2h)".to_owned(),
            Self::Flow => "a number and a duration such as (10, 1m)".to_owned(),
            Self::Words => "All, None or an array of words".to_owned(),
            Self::Dictionary => "a dictionary".to_owned(),
            Self::DomainName => "a domain name".to_owned(),
            Self::Addresses => "NO, All Available or a list of IP addresses".to_owned(),
            Self::Networks => "a list of networks such as 192.0.2.0/24, 2001:db8::1".to_owned(),
            Self::Password => "a password of at most 4096 bytes".to_owned(),
            Self::Listener => {
                "a dictionary such as {MaxInputChannels=300;Ports=({PortNumber=143;});}".to_owned()
            }
            Self::Rules => "an array of Rules (priority,name,conditions,actions)".to_owned(),
            Self::Issuers => {
                "issuers such as ({Issuer=\"https://id.example\";Audience=mail;Keys=\"https://id.example/keys\";})".to_owned()
            }
            Self::OldServer => {
                "an old server such as {Server=old.example;Protocol=IMAP;TLS=Verified;Mail=Copy;}"
                    .to_owned()
            }
            Self::Any => "any object".to_owned(),
        }
    }

    /// The value as it is to be stored, if it is legal.
    #[must_use]
    pub fn accept(self, value: &Value) -> Option<Value> {
        let legal = match self {
            Self::Text(limit) => match value {
                Value::String(text) => text.len() <= limit,
                Value::Number(_) => true,
                _ => false,
            },
            Self::Boolean => {
                return spelling::boolean(value).map(|b| Value::from(spelling::yes_no(b)));
            }
            Self::Choice(words) => {
                let given = value.as_str()?.trim();
                return words.iter().find(|w| w.eq_ignore_ascii_case(given)).map(|w| (*w).into());
            }
            Self::Size => spelling::size(value).is_some(),
            Self::Count => spelling::count(value).is_some(),
            Self::Number(low, high) => value.as_number().is_some_and(|n| (low..=high).contains(&n)),
            Self::Duration => spelling::duration(value).is_some(),
            Self::Durations => match value {
                Value::Array(all) => all.iter().all(|one| spelling::duration(one).is_some()),
                one => spelling::duration(one).is_some(),
            },
            Self::Flow => spelling::flow(value).is_some(),
            Self::Words => spelling::services(value).is_some(),
            Self::Dictionary => value.as_dictionary().is_some(),
            Self::DomainName => {
                return crate::name::domain_name(value.as_str()?).ok().map(Value::from);
            }
            Self::Addresses => addresses(value).is_some(),
            Self::Networks => crate::network::networks(value).is_some(),
            Self::Password => {
                value.as_str().is_some_and(|t| t.len() <= crate::password::MAX_STORED)
            }
            Self::Listener => listener(value).is_some(),
            Self::Rules => crate::mail_rule::read_rules(value).is_some(),
            Self::Issuers => issuers(value).is_some(),
            Self::OldServer => old_server(value).is_some(),
            Self::Any => true,
        };
        legal.then(|| value.clone())
    }
}

/// The addresses of an [`Kind::Addresses`] setting; `NO` is none, and `All Available` is none in
/// particular.
#[must_use]
pub fn addresses(value: &Value) -> Option<Vec<std::net::IpAddr>> {
    let one = |text: &str| text.trim().trim_matches(['[', ']']).parse().ok();
    match value {
        Value::Null => Some(Vec::new()),
        Value::Ip(ip) => Some(vec![*ip]),
        Value::String(text)
            if text.trim().is_empty()
                || text.eq_ignore_ascii_case("no")
                || text.eq_ignore_ascii_case("all available") =>
        {
            Some(Vec::new())
        }
        Value::String(text) => {
            text.split([',', '\n', ' ']).filter(|t| !t.trim().is_empty()).map(one).collect()
        }
        Value::Array(all) => all
            .iter()
            .map(|v| match v {
                Value::Ip(ip) => Some(*ip),
                Value::String(text) => one(text),
                _ => None,
            })
            .collect(),
        _ => None,
    }
}

/// Which domain administrators may change a setting; administrators of all domains always may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Those with `BasicSettings` or with a right of the setting's name.
    Basic,
    /// Those with a right of the setting's name.
    Named,
    /// None of them.
    Server,
}

/// Whether a setting does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It works.
    Now,
    /// It is known, checked and kept for programs that read it; nothing here looks at it yet.
    Kept,
}

/// The declaration of one setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Compatible name.
    pub key: &'static str,
    /// Legal values.
    pub kind: Kind,
    /// Built-in default in the textual format; `None` for none.
    pub default: Option<&'static str>,
    /// Who may change it.
    pub who: Who,
    /// Whether it works.
    pub effect: Effect,
    /// What it does, for the manual.
    pub text: &'static str,
    /// Version it came with.
    pub since: &'static str,
}

impl Setting {
    /// A setting of a module, since mail transfer: changed by who may change the server's
    /// settings, in effect at once.
    const fn of_module(
        key: &'static str,
        kind: Kind,
        default: Option<&'static str>,
        text: &'static str,
    ) -> Self {
        Self { key, kind, default, who: Who::Server, effect: Effect::Now, text, since: "0.2" }
    }

    /// The built-in default as a value.
    #[must_use]
    pub fn default_value(&self) -> Option<Value> {
        self.default.and_then(|text| text::parse_line(text).ok())
    }
}

/// Which family of settings a dictionary belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// An account, account defaults, a service class.
    Account,
    /// An account template: account settings and initial mailboxes, subscription, aliases.
    Template,
    /// A domain or domain defaults.
    Domain,
    /// The server.
    Server,
    /// The Router.
    Router,
    /// A module without settings of its own: what every service has.
    Module,
    /// The module SMTP, receiving and sending.
    Smtp,
    /// The queue: when deliveries are tried again (module `Queue`).
    Queue,
    /// The module LOCAL.
    Local,
    /// The module PIPE.
    Pipe,
    /// Who may relay and who is kept out (module `Protection`).
    Protection,
    /// A mailing list.
    List,
}

impl Scope {
    /// The families that declare settings of their own.
    pub const DECLARED: [Self; 10] = [
        Self::Account,
        Self::Domain,
        Self::Server,
        Self::Router,
        Self::Smtp,
        Self::Queue,
        Self::Local,
        Self::Pipe,
        Self::Protection,
        Self::List,
    ];

    /// The family of a module's settings.
    #[must_use]
    pub fn of_module(name: &str) -> Self {
        match name.to_ascii_uppercase().as_str() {
            "SMTP" => Self::Smtp,
            "QUEUE" => Self::Queue,
            "LOCAL" => Self::Local,
            "PIPE" => Self::Pipe,
            "PROTECTION" => Self::Protection,
            _ => Self::Module,
        }
    }

    /// The declarations: one or more lists, each sorted by key.
    #[must_use]
    pub fn lists(self) -> &'static [&'static [Setting]] {
        match self {
            Self::Account | Self::Template => &[ACCOUNT_SETTINGS, ACCOUNT_PARTS],
            Self::Domain => &[DOMAIN_SETTINGS, DOMAIN_PARTS],
            Self::Server => &[SERVER_SETTINGS, SERVER_PARTS],
            Self::Router => &[ROUTER_SETTINGS],
            Self::Module => &[MODULE_SETTINGS],
            Self::Smtp => &[MODULE_SETTINGS, SMTP_RECEIVING, SMTP_SENDING, AUTHENTICITY_SETTINGS],
            Self::Queue => &[MODULE_SETTINGS, QUEUE_SETTINGS],
            Self::Local => &[MODULE_SETTINGS, LOCAL_SETTINGS],
            Self::Pipe => &[MODULE_SETTINGS, PIPE_SETTINGS],
            Self::Protection => &[PROTECTION_SETTINGS],
            Self::List => &[LIST_SETTINGS],
        }
    }

    /// The parts with commands of their own, which SET commands leave alone.
    #[must_use]
    pub fn parts(self) -> &'static [Setting] {
        match self {
            Self::Account | Self::Template => ACCOUNT_PARTS,
            Self::Domain => DOMAIN_PARTS,
            Self::Server => SERVER_PARTS,
            _ => &[],
        }
    }

    /// The declaration of a key.
    #[must_use]
    pub fn find(self, key: &str) -> Option<&'static Setting> {
        self.lists().iter().find_map(|all| {
            let at = all.binary_search_by(|s| s.key.cmp(key)).ok()?;
            all.get(at)
        })
    }

    /// A family's built-in defaults with what is set laid over them.
    #[must_use]
    pub fn effective(self, own: &Dictionary) -> Dictionary {
        let declared = self.lists().iter().flat_map(|all| all.iter());
        let mut all: Dictionary =
            declared.filter_map(|s| Some((s.key.to_owned(), s.default_value()?))).collect();
        all.extend(own.iter().map(|(key, value)| (key.clone(), value.clone())));
        all
    }

    /// The built-in default of a key.
    #[must_use]
    pub fn built_in(self, key: &str) -> Option<Value> {
        self.find(key).and_then(Setting::default_value)
    }
}

/// Why a setting is not taken.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SettingError {
    /// The value is not legal.
    #[error("wrong value of the setting {key}: {expected} is expected")]
    Value {
        /// The key.
        key: String,
        /// What is expected.
        expected: String,
    },
    /// The key is empty or too long.
    #[error("wrong name of a setting: 1 to {MAX_KEY} bytes are expected")]
    Key,
    /// All together are too large.
    #[error("the settings are too large: at most {MAX_SETTINGS} bytes are kept")]
    TooLarge,
}

/// The value to be stored for a key.
///
/// # Errors
/// [`SettingError`].
pub fn accept(scope: Scope, key: &str, value: &Value) -> Result<Value, SettingError> {
    if key.is_empty() || key.len() > MAX_KEY {
        return Err(SettingError::Key);
    }
    let Some(setting) = scope.find(key) else { return Ok(value.clone()) };
    setting.kind.accept(value).ok_or_else(|| SettingError::Value {
        key: key.to_owned(),
        expected: setting.kind.expected(),
    })
}

/// A whole new dictionary (SET): every value checked, `default` values left out.
///
/// # Errors
/// [`SettingError`] of the first key that is wrong; nothing is to be stored then.
pub fn replace(scope: Scope, new: &Dictionary) -> Result<Dictionary, SettingError> {
    merge(scope, &Dictionary::new(), new)
}

/// A dictionary with some values changed (UPDATE): `default` removes a setting.
///
/// # Errors
/// [`SettingError`] of the first key that is wrong; nothing is to be stored then.
pub fn merge(
    scope: Scope,
    old: &Dictionary,
    changes: &Dictionary,
) -> Result<Dictionary, SettingError> {
    let mut all = old.clone();
    for (key, value) in changes {
        if is_default(value) {
            all.remove(key);
        } else {
            all.insert(key.clone(), accept(scope, key, value)?);
        }
    }
    let size = all.iter().map(|(k, v)| k.len() + text::line_text(v).len()).sum::<usize>();
    if size > MAX_SETTINGS {
        return Err(SettingError::TooLarge);
    }
    Ok(all)
}

/// True for the string that removes a setting.
#[must_use]
pub fn is_default(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.eq_ignore_ascii_case(DEFAULT_WORD))
}

/// True when a domain administrator with this right test may change the setting.
#[must_use]
pub fn may_change(scope: Scope, key: &str, has_right: impl Fn(&str) -> bool) -> bool {
    match scope.find(key).map_or(Who::Named, |s| s.who) {
        Who::Basic => has_right(crate::rights::BASIC_SETTINGS) || has_right(key),
        Who::Named => has_right(key),
        Who::Server => false,
    }
}

#[cfg(test)]
mod tests;
