//! What an administrator can name: domains, accounts, aliases, forwarders, groups, lists, and
//! settings with versions. Names are stored folded to lower case by the caller.

use async_trait::async_trait;

use crate::error::Result;
use crate::ids::AccountId;
use crate::mailboxes::NewMailbox;
use angarium_objects::value::Dictionary;

/// A value and its version; versions start at 1 and grow by 1 with each change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned<T> {
    /// The version.
    pub version: u64,
    /// The value.
    pub value: T,
}

/// A domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainRecord {
    /// Its name, ACE form, lower case.
    pub name: String,
    /// Other names of the same domain.
    pub aliases: Vec<String>,
    /// Explicit domain settings.
    pub settings: Dictionary,
    /// Default account settings of the domain.
    pub account_defaults: Dictionary,
    /// Account template.
    pub template: Dictionary,
    /// Grows with each change of this record.
    pub version: u64,
}

/// The type word an account was made with (`reference/accounts-and-domains.md` section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the words of the guides")]
pub enum AccountKind {
    MultiMailbox,
    TextMailbox,
    MailDirMailbox,
    SlicedMailbox,
    AGrade,
    BGrade,
    CGrade,
}

/// An account with all that is stored about it, its mailboxes excepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRecord {
    /// Stable identity.
    pub id: AccountId,
    /// Domain it belongs to.
    pub domain: String,
    /// Local name.
    pub name: String,
    /// Type word.
    pub kind: AccountKind,
    /// Other local names, sorted.
    pub aliases: Vec<String>,
    /// Explicit settings (with `Password`).
    pub settings: Dictionary,
    /// Administrator's rights codes.
    pub rights: Vec<String>,
    /// Subscribed mailbox names (UTF-8), in the order given.
    pub subscription: Vec<String>,
    /// Mailbox aliases: local name to foreign name.
    pub mailbox_aliases: Dictionary,
    /// Volatile facts such as `LastLogin`.
    pub info: Dictionary,
    /// Grows with each change of this record.
    pub version: u64,
}

/// What a name in a domain stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DomainObject {
    /// An account of that name.
    Account(AccountId),
    /// Another name of an account.
    Alias(AccountId),
    /// A forwarder to one address.
    Forwarder(String),
    /// A group with its settings (`Members` and the rest).
    Group(Dictionary),
    /// A mailing list with its settings and subscribers.
    List(Dictionary),
}

/// Which server-wide dictionary.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SettingsKey {
    /// `Main.settings`: `DomainName` and the other server settings.
    Server,
    /// Server-wide domain defaults.
    DomainDefaults,
    /// Server-wide account defaults.
    AccountDefaults,
    /// The Router: key `Table` holds the text, others its settings.
    Router,
    /// A module's settings by the module's name, such as `SMTP`.
    Module(String),
}

/// One page of a listing by name.
#[derive(Clone, Debug, Default)]
pub struct ObjectPage {
    /// Names (sorted) and what they are.
    pub objects: Vec<(String, DomainObject)>,
    /// Pass it as `after` to go on; `None` at the end.
    pub next: Option<String>,
}

impl ObjectPage {
    /// Most objects on one page.
    pub const MAX_LIMIT: usize = 10_000;
}

/// How many objects of each kind a domain has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ObjectCounts {
    /// Accounts.
    pub accounts: u64,
    /// Other names of accounts.
    pub aliases: u64,
    /// Forwarders.
    pub forwarders: u64,
    /// Groups.
    pub groups: u64,
    /// Mailing lists.
    pub lists: u64,
}

/// Operations on objects. Each is whole or not at all and durable when it answers. Where
/// `expected` is given, the stored version must equal it (`VersionConflict` else).
///
/// `NotFound("domain")`, `NotFound("account")`, `NotFound("object")`; names are unique in a
/// domain over all kinds: `Exists("domain")`, `Exists("account")`, `Exists("alias")`,
/// `Exists("forwarder")`, `Exists("group")`, `Exists("list")`, each naming what is in the way.
#[async_trait]
pub trait Directory: Send + Sync {
    /// A server-wide dictionary; version 0 and empty if never set.
    async fn settings(&self, key: &SettingsKey) -> Result<Versioned<Dictionary>>;
    /// Replaces a server-wide dictionary; answers the new version.
    async fn set_settings(
        &self,
        key: &SettingsKey,
        value: Dictionary,
        expected: Option<u64>,
    ) -> Result<u64>;

    /// Names of the modules that have settings, sorted: those of [`SettingsKey::Module`] that were
    /// set and hold something.
    async fn modules(&self) -> Result<Vec<String>>;

    /// Names of all domains, sorted, without aliases.
    async fn domains(&self) -> Result<Vec<String>>;
    /// A domain by its name or by one of its aliases.
    async fn domain(&self, name: &str) -> Result<Option<DomainRecord>>;
    /// Makes a domain (`record.version` is ignored).
    async fn create_domain(&self, record: DomainRecord) -> Result<DomainRecord>;
    /// Replaces aliases, settings, defaults and template; the name must be the domain's own.
    async fn update_domain(
        &self,
        record: DomainRecord,
        expected: Option<u64>,
    ) -> Result<DomainRecord>;
    /// Renames a domain with all in it.
    async fn rename_domain(&self, from: &str, to: &str) -> Result<()>;
    /// Removes a domain; `Invalid` if it still has accounts and `force` is false. With force its
    /// objects go, accounts and mail included.
    async fn delete_domain(&self, name: &str, force: bool) -> Result<()>;

    /// What a name in a domain (its own name) stands for.
    async fn lookup(&self, domain: &str, name: &str) -> Result<Option<DomainObject>>;
    /// Objects of a domain by name, at most `limit` (1 to 10,000) after `after`.
    async fn objects(&self, domain: &str, after: Option<&str>, limit: usize) -> Result<ObjectPage>;
    /// As `objects`, forwarders, groups and lists alone; the accounts between them cost nothing.
    async fn plain_objects(
        &self,
        domain: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<ObjectPage>;
    /// How many objects of each kind a domain (its own name) has. It costs the same however many.
    async fn counts(&self, domain: &str) -> Result<ObjectCounts>;
    /// Makes or replaces a forwarder, group or list; `Invalid` for other kinds.
    async fn put_object(
        &self,
        domain: &str,
        name: &str,
        object: DomainObject,
        replace: bool,
    ) -> Result<()>;
    /// Removes a forwarder, group or list.
    async fn remove_object(&self, domain: &str, name: &str) -> Result<()>;
    /// Renames a forwarder, group or list.
    async fn rename_object(&self, domain: &str, from: &str, to: &str) -> Result<()>;

    /// Makes an account (`record.id` and `version` are ignored) with an empty INBOX whose validity
    /// is at least `now` (seconds since 1970).
    async fn create_account(&self, record: AccountRecord, now: i64) -> Result<AccountRecord> {
        self.create_account_with(record, Vec::new(), now).await
    }
    /// As `create_account`, with these mailboxes beside INBOX: the account comes with all of them
    /// or not at all. `Exists("mailbox")` when one is there twice.
    async fn create_account_with(
        &self,
        record: AccountRecord,
        mailboxes: Vec<NewMailbox>,
        now: i64,
    ) -> Result<AccountRecord>;
    /// An account by its id.
    async fn account(&self, id: AccountId) -> Result<Option<AccountRecord>>;
    /// Accounts of a domain (its own name) in the order of their ids: at most `limit` (1 to
    /// 10,000) after `after`. An empty answer is the end.
    async fn accounts(
        &self,
        domain: &str,
        after: AccountId,
        limit: usize,
    ) -> Result<Vec<AccountRecord>>;
    /// Replaces type, aliases, settings, rights, subscription, mailbox aliases and info; `domain`
    /// and `name` must be unchanged.
    async fn update_account(
        &self,
        record: AccountRecord,
        expected: Option<u64>,
    ) -> Result<AccountRecord>;
    /// Gives an account another name, also in another domain; its aliases follow.
    async fn rename_account(
        &self,
        id: AccountId,
        domain: &str,
        name: &str,
    ) -> Result<AccountRecord>;
    /// Removes an account with aliases and mail.
    async fn delete_account(&self, id: AccountId) -> Result<()>;
}
