//! Every administrative operation: who are you, may you, is it legal, one store operation.
//!
//! Names: a domain given as `""` is the actor's own. An account, group or forwarder without
//! `@domain` belongs to the actor's domain; the account `*` is the actor's own account
//! (`reference/cli.md` section 3).

mod account_subsets;
mod account_type;
mod accounts;
mod app_passwords;
pub(crate) mod authority;
mod beginnings;
mod configuration;
mod describing;
mod domains;
mod edit;
mod error;
mod groups;
mod import;
mod kept;
mod listing;
mod lists;
mod password_forms;
mod passwords;
mod preferences;
mod protection;
mod remote_pop;
mod routes;
mod rules;
mod server;
mod signing_keys;
mod special_accounts;
mod storage_files;
pub(crate) mod suspension;
mod whose;

use angarium_objects::value::Dictionary;
use angarium_store::AccountKind;

pub(crate) use configuration::OTHER_SEALING;
pub use configuration::{
    ConfigurationChange, ConfigurationPage, ConfigurationParts, ConfigurationStep, Removal,
    SHUTS_OUT,
};
pub use describing::SettingsOf;
pub use edit::How;
pub use error::OperationError;
pub(crate) use groups::MAX_MEMBERS;
pub use import::{Imported, MAX_ROWS};
pub use kept::Kept;
pub use password_forms::PasswordForms;
pub use protection::PROTECTION_MODULE;
pub use storage_files::{FilesOf, MAX_FILE_READ, WriteAt};
pub use whose::Whose;

/// An account to be made.
#[derive(Clone, Debug, Default)]
pub struct NewAccount {
    /// Name, with or without `@domain`.
    pub name: String,
    /// Type word; `None` takes `MultiMailbox`.
    pub kind: Option<AccountKind>,
    /// INBOX is a legacy file (`LEGACY`).
    pub legacy: bool,
    /// Explicit settings; a `Password` is stored as `PasswordEncryption` says unless it starts
    /// with byte 002 (a hash given as it is).
    pub settings: Dictionary,
    /// Other local names; they come with the account or it does not come.
    pub aliases: Vec<String>,
    /// Mailboxes beside INBOX and those of the template; likewise.
    pub mailboxes: Vec<String>,
}

/// Which kinds LISTDOMAINOBJECTS is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectKinds {
    /// Accounts.
    pub accounts: bool,
    /// Account aliases.
    pub aliases: bool,
    /// Forwarders.
    pub forwarders: bool,
}

/// What LISTDOMAINOBJECTS answers.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectListing {
    /// Number of accounts of the domain.
    pub accounts: u64,
    /// Name to a string (account: file extension), an array of one string (alias: owner's name)
    /// or an array of an array of one string (forwarder: address).
    pub objects: Dictionary,
    /// Number of aliases of the domain.
    pub aliases: u64,
    /// Number of forwarders of the domain.
    pub forwarders: u64,
    /// Pass it on to go on; empty at the end. Only when one was given.
    pub cookie: Option<String>,
}

/// What ROUTE answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteReport {
    /// `LOCAL`, `SMTP`, `LIST`, `SYSTEM` …
    pub module: String,
    /// Host or queue, empty for none.
    pub host: String,
    /// Address.
    pub address: String,
}

/// A route with its reasons.
#[derive(Clone, Debug)]
pub struct RouteAccount {
    /// What ROUTE answers.
    pub answer: Result<RouteReport, OperationError>,
    /// The steps taken, for people.
    pub steps: Vec<String>,
}

/// The file extension by which listings show an account's type.
#[must_use]
pub const fn kind_extension(kind: AccountKind) -> &'static str {
    match kind {
        AccountKind::MultiMailbox
        | AccountKind::AGrade
        | AccountKind::BGrade
        | AccountKind::CGrade => "macnt",
        AccountKind::TextMailbox => "mbox",
        AccountKind::MailDirMailbox => "mdir",
        AccountKind::SlicedMailbox => "mslc",
    }
}

/// The account type of a word of `reference/accounts-and-domains.md` section 6, in any case.
#[must_use]
pub fn kind_from_word(word: &str) -> Option<AccountKind> {
    Some(match word.to_ascii_lowercase().as_str() {
        "multimailbox" => AccountKind::MultiMailbox,
        "textmailbox" => AccountKind::TextMailbox,
        "maildirmailbox" => AccountKind::MailDirMailbox,
        "slicedmailbox" => AccountKind::SlicedMailbox,
        "agrade" => AccountKind::AGrade,
        "bgrade" => AccountKind::BGrade,
        "cgrade" => AccountKind::CGrade,
        _ => return None,
    })
}
