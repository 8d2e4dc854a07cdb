//! When deliveries are tried again and what senders hear (`reference/smtp.md` section 3.3).

use super::{Effect, Kind, Setting, Who};

/// Sorted by key.
pub const QUEUE_SETTINGS: &[Setting] = &[
    Setting {
        key: "CopyFailedReports",
        kind: Kind::Boolean,
        default: Some("YES"),
        who: Who::Server,
        effect: Effect::Now,
        text: "Reports to senders that cannot be delivered are kept for the postmaster.",
        since: "0.2",
    },
    Setting {
        key: "GiveUpAfter",
        kind: Kind::Duration,
        default: Some("4d"),
        who: Who::Server,
        effect: Effect::Now,
        text: "Time after which a message that cannot be delivered goes back to its sender.",
        since: "0.2",
    },
    Setting {
        key: "HoldMailForDomains",
        kind: Kind::Words,
        default: None,
        who: Who::Server,
        effect: Effect::Now,
        text: "Queues that are not delivered until ETRN, ATRN, a wake-up message or an administrator asks for them.",
        since: "0.2",
    },
    Setting {
        key: "QueueOverrides",
        kind: Kind::Dictionary,
        default: None,
        who: Who::Server,
        effect: Effect::Now,
        text: "RetryAfter, GiveUpAfter, WarnAfter and Channels of single queues, by their names; *.domain is for all below it.",
        since: "0.2",
    },
    Setting {
        key: "RetryAfter",
        kind: Kind::Durations,
        default: Some("(5m, 15m, 30m, 1h, 2h)"),
        who: Who::Server,
        effect: Effect::Now,
        text: "Time to wait after the first failure, the second and so on; the last one stands for all others.",
        since: "0.2",
    },
    Setting {
        key: "WarnAfter",
        kind: Kind::Durations,
        default: Some("(4h)"),
        who: Who::Server,
        effect: Effect::Now,
        text: "Times after which the sender is told that a message is delayed.",
        since: "0.2",
    },
];
