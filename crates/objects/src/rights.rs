//! Administrators' rights: the codes of `reference/accounts-and-domains.md` section 9 and what
//! each set of codes allows. Knows codes only, never who holds them or where they are stored.

use std::collections::BTreeSet;

/// Server rights: everything, also granting rights.
pub const MASTER: &str = "Master";
/// Server right: kernel and module settings.
pub const SETTINGS: &str = "Settings";
/// Server right: change all domains and accounts, open all mailboxes.
pub const USERS: &str = "Users";
/// Server right: read all domains and accounts.
pub const DOMAINS_READ: &str = "DomainsRead";
/// Server right: queues, logs, statistics.
pub const MONITOR: &str = "Monitor";
/// Server right: release queues.
pub const CAN_RELEASE_QUEUES: &str = "CanReleaseQueues";
/// Server right: reject queued mail.
pub const CAN_REJECT_QUEUES: &str = "CanRejectQueues";
/// Server right: the directory.
pub const DIRECTORY: &str = "Directory";

/// The codes that mean something for the whole server; they count for accounts of the Main
/// Domain only.
pub const SERVER_RIGHTS: [&str; 8] = [
    MASTER,
    SETTINGS,
    USERS,
    DOMAINS_READ,
    MONITOR,
    CAN_RELEASE_QUEUES,
    CAN_REJECT_QUEUES,
    DIRECTORY,
];

/// Domain right: marks a domain administrator.
pub const DOMAIN: &str = "Domain";
/// Domain right: real name, password, basic settings.
pub const BASIC_SETTINGS: &str = "BasicSettings";
/// Domain right: create, rename, delete accounts.
pub const CAN_CREATE_ACCOUNTS: &str = "CanCreateAccounts";
/// Domain right: single-mailbox and legacy-INBOX accounts.
pub const CAN_CREATE_SPECIAL_ACCOUNTS: &str = "CanCreateSpecialAccounts";
/// Domain right: account aliases.
pub const CAN_CREATE_ALIASES: &str = "CanCreateAliases";
/// Domain right: groups.
pub const CAN_CREATE_GROUPS: &str = "CanCreateGroups";
/// Domain right: forwarders.
pub const CAN_CREATE_FORWARDERS: &str = "CanCreateForwarders";
/// Domain right: mailing lists.
pub const CAN_CREATE_LISTS: &str = "CanCreateLists";
/// Domain right: any list's settings and subscribers.
pub const CAN_ACCESS_LISTS: &str = "CanAccessLists";
/// Domain right: alerts for the domain and its accounts.
pub const CAN_POST_ALERTS: &str = "CanPostAlerts";
/// Domain right: all mailboxes of the domain's accounts.
pub const CAN_ACCESS_MAILBOXES: &str = "CanAccessMailboxes";
/// Domain right: the file storage of the domain's accounts.
pub const CAN_ACCESS_WEB_SITES: &str = "CanAccessWebSites";
/// Domain right: log in as another user, account access lists.
pub const CAN_IMPERSONATE: &str = "CanImpersonate";
/// Domain right: sessions for users.
pub const CAN_CREATE_WEB_USER_SESSIONS: &str = "CanCreateWebUserSessions";
/// Domain right: mail Rules.
pub const RULES_ALLOWED: &str = "RulesAllowed";
/// Domain right: preferences of accounts.
pub const WEB_USER_SETTINGS: &str = "WebUserSettings";
/// Domain right: accounts elsewhere whose mail is fetched.
pub const CAN_MODIFY_RPOP: &str = "CanModifyRPOP";
/// Domain right: the storage limit (also IMAP SETQUOTA).
pub const MAX_ACCOUNT_SIZE: &str = "MaxAccountSize";

/// Domain right: the copies of the domain's accounts in a directory.
pub const CENTRAL_DIRECTORY: &str = "CentralDirectory";

/// Most codes one account may hold.
pub const MAX_RIGHTS: usize = 256;

/// The rights of one account. Server codes take effect only when the account belongs to the Main
/// Domain; they are kept, but do nothing, elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    codes: BTreeSet<String>,
    server: bool,
}

impl Rights {
    /// Rights from stored codes; `main_domain` says whether the account belongs to the Main
    /// Domain.
    #[must_use]
    pub fn new<I, S>(codes: I, main_domain: bool) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        Self { codes: codes.into_iter().map(Into::into).collect(), server: main_domain }
    }

    /// No rights at all.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// The Master right.
    #[must_use]
    pub fn master() -> Self {
        Self::new([MASTER], true)
    }

    /// The codes, sorted.
    pub fn codes(&self) -> impl Iterator<Item = &str> {
        self.codes.iter().map(String::as_str)
    }

    /// True when the code is stored, whether or not it has an effect.
    #[must_use]
    pub fn holds(&self, code: &str) -> bool {
        self.codes.contains(code)
    }

    /// True for a holder of the Master right.
    #[must_use]
    pub fn is_master(&self) -> bool {
        self.server && self.holds(MASTER)
    }

    /// True when a server-wide right is held (Master includes all).
    #[must_use]
    pub fn server(&self, code: &str) -> bool {
        self.server && (self.holds(MASTER) || self.holds(code))
    }

    /// "SA" of the CLI tables: may change all domains and accounts.
    #[must_use]
    pub fn all_domains(&self) -> bool {
        self.server(USERS)
    }

    /// "SA-read" of the CLI tables: may read all domains and accounts.
    #[must_use]
    pub fn all_domains_read(&self) -> bool {
        self.all_domains() || self.server(DOMAINS_READ)
    }

    /// True for a domain administrator (the `Domain` code), whatever else he may.
    #[must_use]
    pub fn domain_administrator(&self) -> bool {
        self.holds(DOMAIN)
    }

    /// "DA:X" of the CLI tables, as far as it follows from the codes: an administrator of all
    /// domains, or a domain administrator with this code. Whether the domain is his own is the
    /// caller's question.
    #[must_use]
    pub fn domain(&self, code: &str) -> bool {
        self.all_domains() || (self.holds(DOMAIN) && (code == DOMAIN || self.holds(code)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // SYS-14
    #[test]
    fn master_includes_every_right_but_only_in_the_main_domain() {
        let main = Rights::new(["Master"], true);
        assert!(main.is_master() && main.all_domains() && main.server(SETTINGS));
        assert!(main.domain(CAN_CREATE_ACCOUNTS));
        let secondary = Rights::new(["Master"], false);
        assert!(!secondary.is_master() && !secondary.all_domains() && !secondary.server(SETTINGS));
        assert!(!secondary.domain(CAN_CREATE_ACCOUNTS));
    }

    // SYS-15
    #[test]
    fn a_domain_right_needs_the_domain_code_beside_it() {
        let rights = Rights::new(["CanAccessMailboxes"], false);
        assert!(!rights.domain(CAN_ACCESS_MAILBOXES));
        let rights = Rights::new(["Domain", "CanAccessMailboxes"], false);
        assert!(rights.domain(CAN_ACCESS_MAILBOXES));
        assert!(!rights.domain(CAN_CREATE_ALIASES));
        assert!(rights.domain(DOMAIN));
    }

    #[test]
    fn reading_all_domains_does_not_allow_changing_them() {
        let rights = Rights::new(["DomainsRead"], true);
        assert!(rights.all_domains_read() && !rights.all_domains());
    }
}
