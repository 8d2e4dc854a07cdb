//! Records of the directory as the contents of a stanza. Empty parts are left out, so that a
//! configuration shows what somebody set.

use angarium_objects::configuration::{Stanza, kind};
use angarium_objects::value::{Dictionary, Value};
use angarium_store::{AccountKind, AccountRecord, DomainObject, DomainRecord};

use crate::OperationError;

pub(super) const ALIASES: &str = "Aliases";
pub(super) const SETTINGS: &str = "Settings";
pub(super) const ACCOUNT_DEFAULTS: &str = "AccountDefaults";
pub(super) const ACCOUNT_TEMPLATE: &str = "AccountTemplate";
pub(super) const TYPE: &str = "Type";
pub(super) const RIGHTS: &str = "Rights";
pub(super) const SUBSCRIPTION: &str = "Subscription";
pub(super) const MAILBOX_ALIASES: &str = "MailboxAliases";
/// An account's password as it is stored, beside its settings: a `Password` among these is a new
/// one in clear or a hash of the field.
pub(super) const STORED_PASSWORD: &str = "StoredPassword";
pub(super) const PASSWORD: &str = "Password";
/// Where a forwarder leads to.
pub(super) const ADDRESS: &str = "Address";
/// The octets of the key that opens passwords kept readable.
pub(super) const SEALING_SECRET: &str = "SealingSecret";

/// The words of account types, as they are written.
const TYPES: [(AccountKind, &str); 7] = [
    (AccountKind::MultiMailbox, "MultiMailbox"),
    (AccountKind::TextMailbox, "TextMailbox"),
    (AccountKind::MailDirMailbox, "MailDirMailbox"),
    (AccountKind::SlicedMailbox, "SlicedMailbox"),
    (AccountKind::AGrade, "AGrade"),
    (AccountKind::BGrade, "BGrade"),
    (AccountKind::CGrade, "CGrade"),
];

pub(super) fn type_word(kind: AccountKind) -> &'static str {
    TYPES.iter().find(|(known, _)| *known == kind).map_or("MultiMailbox", |(_, word)| *word)
}

fn put(contents: &mut Dictionary, key: &str, value: Value) {
    let empty = match &value {
        Value::Array(all) => all.is_empty(),
        Value::Dictionary(pairs) => pairs.is_empty(),
        _ => false,
    };
    if !empty {
        contents.insert(key.to_owned(), value);
    }
}

fn strings(all: &[String]) -> Value {
    Value::Array(all.iter().cloned().map(Value::String).collect())
}

/// A domain's stanza, with its secrets.
pub(super) fn of_domain(record: &DomainRecord) -> Dictionary {
    let mut contents = Dictionary::new();
    put(&mut contents, ALIASES, strings(&record.aliases));
    put(&mut contents, SETTINGS, Value::Dictionary(record.settings.clone()));
    put(&mut contents, ACCOUNT_DEFAULTS, Value::Dictionary(record.account_defaults.clone()));
    put(&mut contents, ACCOUNT_TEMPLATE, Value::Dictionary(record.template.clone()));
    contents
}

/// An account's stanza, with its secrets.
pub(super) fn of_account(record: &AccountRecord) -> Dictionary {
    let mut contents = Dictionary::new();
    let mut settings = record.settings.clone();
    if let Some(stored) = settings.remove(PASSWORD) {
        contents.insert(STORED_PASSWORD.to_owned(), stored);
    }
    contents.insert(TYPE.to_owned(), Value::from(type_word(record.kind)));
    put(&mut contents, ALIASES, strings(&record.aliases));
    put(&mut contents, SETTINGS, Value::Dictionary(settings));
    put(&mut contents, RIGHTS, strings(&record.rights));
    put(&mut contents, SUBSCRIPTION, strings(&record.subscription));
    put(&mut contents, MAILBOX_ALIASES, Value::Dictionary(record.mailbox_aliases.clone()));
    contents
}

/// The stanza of a forwarder, group or list.
pub(super) fn of_object(name: &str, object: &DomainObject) -> Option<Stanza> {
    match object {
        DomainObject::Forwarder(address) => {
            let contents = Dictionary::from([(ADDRESS.to_owned(), Value::from(address.as_str()))]);
            Some(Stanza::new(kind::FORWARDER, name, contents))
        }
        DomainObject::Group(settings) => Some(Stanza::new(kind::GROUP, name, settings.clone())),
        DomainObject::List(list) => Some(Stanza::new(kind::LIST, name, list.clone())),
        DomainObject::Account(_) | DomainObject::Alias(_) => None,
    }
}

fn wrong(what: String) -> OperationError {
    OperationError::Syntax(what)
}

/// Refuses contents with parts that such an object does not have.
pub(super) fn only(contents: &Dictionary, known: &[&str]) -> Result<(), OperationError> {
    match contents.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(wrong(format!("\"{key}\" is not known: {} are", known.join(", ")))),
        None => Ok(()),
    }
}

/// A part that is a dictionary; an absent one is empty.
pub(super) fn dictionary(contents: &Dictionary, key: &str) -> Result<Dictionary, OperationError> {
    match contents.get(key) {
        None => Ok(Dictionary::new()),
        Some(Value::Dictionary(pairs)) => Ok(pairs.clone()),
        Some(_) => Err(wrong(format!("{key} is a dictionary"))),
    }
}

/// A part that is a list of strings; an absent one is empty.
pub(super) fn list(contents: &Dictionary, key: &str) -> Result<Vec<String>, OperationError> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let all = match contents.get(key) {
        None => Some(Vec::new()),
        Some(Value::Array(all)) => all.iter().map(text).collect(),
        Some(value) => text(value).map(|one| vec![one]),
    };
    all.ok_or_else(|| wrong(format!("{key} is an array of strings")))
}
