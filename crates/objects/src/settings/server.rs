//! The server settings. `Main.settings` of `reference/accounts-and-domains.md` section 14.

use super::{Effect, Kind, Setting, Who};

/// The server settings, sorted by key.
pub const SERVER_SETTINGS: &[Setting] = &[
    Setting {
        key: "ClearTextLogin",
        kind: Kind::Choice(&["YES", "NO", "Encrypted"]),
        default: Some("Encrypted"),
        who: Who::Server,
        effect: Effect::Now,
        text: "Whether passwords in clear are taken: always, never, or on encrypted connections and from this machine.",
        since: "0.1",
    },
    Setting {
        key: "DomainName",
        kind: Kind::DomainName,
        default: None,
        who: Who::Server,
        effect: Effect::Now,
        text: "Name of the Main Domain.",
        since: "0.1",
    },
    Setting {
        key: "ExternalAUTH",
        kind: Kind::Dictionary,
        default: None,
        who: Who::Server,
        effect: Effect::Now,
        text: "The external authentication program: {Enabled; LogLevel; ProgramName; TimeOut; RestartPause; AutoRestart; SendMode; ReadPlain;}.",
        since: "0.1",
    },
    Setting {
        key: "ExternalFilters",
        kind: Kind::Any,
        default: None,
        who: Who::Server,
        effect: Effect::Now,
        text: "External Filters: an array of dictionaries {Name; ProgramName; Enabled; TimeOut; RestartPause; AutoRestart; OnFailure; For;}.",
        since: "0.1",
    },
    Setting {
        key: "HideAccountUnknown",
        kind: Kind::Boolean,
        default: Some("YES"),
        who: Who::Server,
        effect: Effect::Now,
        text: "Unknown names and wrong passwords are answered alike.",
        since: "0.1",
    },
    Setting {
        key: "LoginAddressFlow",
        kind: Kind::Flow,
        default: Some("(60, 5m)"),
        who: Who::Server,
        effect: Effect::Now,
        text: "Failed logins allowed from one network address in a period.",
        since: "0.1",
    },
    Setting {
        key: "OSPasswords",
        kind: Kind::Dictionary,
        default: None,
        who: Who::Server,
        effect: Effect::Now,
        text: "How passwords of the operating system are checked: {Enabled; LogLevel; Service; AtOnce; TimeOut; RestartPause; AutoRestart; ProgramName;}.",
        since: "0.2",
    },
    Setting {
        key: "OldLoginMethods",
        kind: Kind::Words,
        default: Some("None"),
        who: Who::Server,
        effect: Effect::Now,
        text: "Login methods offered that need a readable password: SCRAM-SHA-1, DIGEST-MD5, CRAM-MD5, NTLM, APOP. Mail programs prefer them and fail for accounts whose password is a hash.",
        since: "0.2",
    },
    Setting {
        key: "TokenIssuers",
        kind: Kind::Issuers,
        default: None,
        who: Who::Server,
        effect: Effect::Now,
        text: "Who may vouch for accounts of every domain with access tokens (OAUTHBEARER, XOAUTH2), as the domain setting.",
        since: "0.2",
    },
];

/// The Router's settings beside its table (`reference/router.md` section 2), sorted by key.
pub const ROUTER_SETTINGS: &[Setting] = &[Setting {
    key: "AddMainDomainName",
    kind: Kind::Boolean,
    default: Some("NO"),
    who: Who::Server,
    effect: Effect::Now,
    text: "The Main Domain's name is added to domain names without a point.",
    since: "0.1",
}];
