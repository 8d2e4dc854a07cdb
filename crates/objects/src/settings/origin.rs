//! Where the value of each setting comes from: the level that gives it, for people who wonder why.
//! Levels are given by the caller; what they are called is told here.

use super::{Scope, Setting, service_class};
use crate::value::{Dictionary, Value};

/// A level that gives a setting its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it: the value of the declaration, or none.
    BuiltIn,
    /// The server-wide domain defaults.
    DomainDefaults,
    /// The server-wide account defaults.
    ServerAccountDefaults,
    /// The account defaults of the domain.
    DomainAccountDefaults,
    /// The class of service of this name.
    ServiceClass(String),
    /// The object itself.
    Own,
}

impl Origin {
    /// In words.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::BuiltIn => "built-in".to_owned(),
            Self::DomainDefaults => "server-wide domain defaults".to_owned(),
            Self::ServerAccountDefaults => "server-wide account defaults".to_owned(),
            Self::DomainAccountDefaults => "account defaults of the domain".to_owned(),
            Self::ServiceClass(name) => format!("class of service {name}"),
            Self::Own => "set here".to_owned(),
        }
    }
}

/// One setting as it is now.
#[derive(Clone, Debug)]
pub struct Described {
    /// Its key.
    pub key: String,
    /// Its value; `None` for none.
    pub value: Option<Value>,
    /// Where that comes from.
    pub origin: Origin,
    /// Its declaration; `None` for a key that is not known here and kept.
    pub setting: Option<&'static Setting>,
}

/// Every declared setting of a family and every other key of these levels, by key. The most
/// general level comes first.
#[must_use]
pub fn described(scope: Scope, levels: &[(Origin, &Dictionary)]) -> Vec<Described> {
    let mut all: std::collections::BTreeMap<String, Described> = scope
        .lists()
        .iter()
        .flat_map(|list| list.iter())
        .map(|setting| {
            let one = Described {
                key: setting.key.to_owned(),
                value: setting.default_value(),
                origin: Origin::BuiltIn,
                setting: Some(setting),
            };
            (one.key.clone(), one)
        })
        .collect();
    for (origin, level) in levels {
        for (key, value) in *level {
            let one = all.entry(key.clone()).or_insert_with(|| Described {
                key: key.clone(),
                value: None,
                origin: Origin::BuiltIn,
                setting: None,
            });
            one.value = Some(value.clone());
            one.origin = origin.clone();
        }
    }
    all.into_values().collect()
}

/// As [`described`] for an account: its class of service stands between the defaults, the most
/// general first, and its own settings.
#[must_use]
pub fn described_account(defaults: &[(Origin, &Dictionary)], own: &Dictionary) -> Vec<Described> {
    let plain: Vec<&Dictionary> = defaults.iter().map(|(_, level)| *level).collect();
    let mut levels = defaults.to_vec();
    if let Some((name, class)) = service_class(&plain, own) {
        levels.push((Origin::ServiceClass(name), class));
    }
    levels.push((Origin::Own, own));
    described(Scope::Account, &levels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::parse_line;

    fn dictionary(text: &str) -> Dictionary {
        parse_line(text).unwrap().as_dictionary().unwrap().clone()
    }

    #[test]
    fn each_setting_says_which_level_gives_it() {
        let server = dictionary("{MaxAccountSize=1G;ServiceClasses={basic={MaxMailboxes=9;};};}");
        let domain = dictionary("{MaxAccountSize=10M;PWDAllowed=NO;}");
        let own = dictionary("{RealName=Joe;ServiceClass=basic;wn_Custom=5;}");
        let levels =
            [(Origin::ServerAccountDefaults, &server), (Origin::DomainAccountDefaults, &domain)];
        let all = described_account(&levels, &own);
        let find = |key: &str| all.iter().find(|one| one.key == key).unwrap();
        let from = |key: &str| find(key).origin.words();
        assert_eq!(from("MaxAccountSize"), "account defaults of the domain");
        assert_eq!(find("MaxAccountSize").value, Some("10M".into()));
        assert_eq!(from("MaxMailboxes"), "class of service basic");
        assert_eq!(from("RealName"), "set here");
        assert_eq!(from("AccessModes"), "built-in");
        assert_eq!(from("ServiceClasses"), "server-wide account defaults");
        let custom = find("wn_Custom");
        assert!(custom.setting.is_none() && custom.origin == Origin::Own);
        assert!(all.is_sorted_by(|a, b| a.key < b.key));
    }

    #[test]
    fn what_is_described_is_what_is_in_effect() {
        let server = dictionary("{MaxAccountSize=1G;ServiceClass=basic;}");
        let domain = dictionary("{ServiceClasses={basic={MaxAccountSize=5M;};};}");
        let own = dictionary("{RealName=Joe;}");
        let effective = super::super::effective_account(&[&server, &domain], &own);
        let levels =
            [(Origin::ServerAccountDefaults, &server), (Origin::DomainAccountDefaults, &domain)];
        let described: Dictionary = described_account(&levels, &own)
            .into_iter()
            .filter_map(|one| Some((one.key, one.value?)))
            .collect();
        assert_eq!(described, effective);
    }
}
