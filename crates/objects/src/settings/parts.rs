//! Parts of an account, a domain and the server that have commands of their own and are kept with
//! the settings: Rules, preferences, polled accounts, access lists, suspension. A command that
//! replaces all settings leaves a part alone unless it names it.

use super::{Effect, Kind, Setting, Who};

const fn part(key: &'static str, kind: Kind, effect: Effect, text: &'static str) -> Setting {
    Setting { key, kind, default: None, who: Who::Server, effect, text, since: "0.3" }
}

/// The account's access list (GETACCOUNTACL).
pub const ACCOUNT_ACL: &str = "ACL";
/// Preferences of an account, or default ones among account defaults.
pub const PREFERENCES: &str = "Prefs";
/// Accounts elsewhere whose mail is fetched.
pub const REMOTE_POP: &str = "RPOP";
/// What is remembered for the account in named sets.
pub const DATASET: &str = "Dataset";
/// Mail Rules.
pub const RULES: &str = "Rules";
/// Whether a domain is suspended.
pub const SUSPENDED: &str = "Suspended";

/// Parts of an account, sorted by key.
pub const ACCOUNT_PARTS: &[Setting] = &[
    part(
        ACCOUNT_ACL,
        Kind::Dictionary,
        Effect::Kept,
        "Access rights of others to the account as a whole; command SETACCOUNTACL.",
    ),
    part(
        DATASET,
        Kind::Dictionary,
        Effect::Kept,
        "Sets of what is remembered for the account; command REMOVEACCOUNTSUBSET.",
    ),
    part(
        PREFERENCES,
        Kind::Dictionary,
        Effect::Kept,
        "Preferences of the account, or default ones; command SETACCOUNTPREFS.",
    ),
    part(
        REMOTE_POP,
        Kind::Dictionary,
        Effect::Kept,
        "Accounts elsewhere whose mail is fetched; command SETACCOUNTRPOPS.",
    ),
    part(RULES, Kind::Rules, Effect::Kept, "Mail Rules; command SETACCOUNTMAILRULES."),
];

/// Parts of a domain, sorted by key.
pub const DOMAIN_PARTS: &[Setting] = &[
    part(RULES, Kind::Rules, Effect::Kept, "Mail Rules of the domain; command SETDOMAINMAILRULES."),
    part(
        SUSPENDED,
        Kind::Boolean,
        Effect::Now,
        "Nobody of the domain logs in and its mail waits; commands SUSPENDDOMAIN, RESUMEDOMAIN.",
    ),
];

/// Parts of the server, sorted by key.
pub const SERVER_PARTS: &[Setting] = &[part(
    RULES,
    Kind::Rules,
    Effect::Kept,
    "Server-wide mail Rules; command SETSERVERMAILRULES.",
)];
