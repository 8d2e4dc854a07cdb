//! The module LOCAL (`reference/smtp.md` section 2.4).

use super::{Effect, Kind, Setting, Who};

/// Sorted by key.
pub const LOCAL_SETTINGS: &[Setting] = &[
    Setting {
        key: "DisabledGiveUpAfter",
        kind: Kind::Duration,
        default: Some("4d"),
        who: Who::Server,
        effect: Effect::Now,
        text: "Time after which mail for an account whose mail service is switched off goes back.",
        since: "0.2",
    },
    Setting {
        key: "DisabledRetryEvery",
        kind: Kind::Duration,
        default: Some("1h"),
        who: Who::Server,
        effect: Effect::Now,
        text: "How often mail for an account whose mail service is switched off is tried.",
        since: "0.2",
    },
    Setting {
        key: "FullGiveUpAfter",
        kind: Kind::Duration,
        default: Some("4d"),
        who: Who::Server,
        effect: Effect::Now,
        text: "Time after which mail for a full account goes back.",
        since: "0.2",
    },
    Setting {
        key: "FullRetryEvery",
        kind: Kind::Duration,
        default: Some("30m"),
        who: Who::Server,
        effect: Effect::Now,
        text: "How often mail for a full account is tried.",
        since: "0.2",
    },
    Setting {
        key: "Processors",
        kind: Kind::Number(1, 1000),
        default: None,
        who: Who::Server,
        effect: Effect::Now,
        text: "Deliveries into mailboxes at a time; 64 if it is not set.",
        since: "0.2",
    },
];
