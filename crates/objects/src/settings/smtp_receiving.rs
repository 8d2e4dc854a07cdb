//! What the module SMTP is set to for receiving (`reference/smtp.md` section 2.1), together with
//! the release of queues by others (section 4). Every one may also stand in a port of `Listener`
//! and then counts for that port.

use super::{Effect, Kind, Setting, Who};

const fn receiving(
    key: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    text: &'static str,
) -> Setting {
    Setting { key, kind, default, who: Who::Server, effect: Effect::Now, text, since: "0.2" }
}

/// Sorted by key.
pub const SMTP_RECEIVING: &[Setting] = &[
    receiving(
        "ATRNEnabled",
        Kind::Boolean,
        Some("YES"),
        "Clients that log in may fetch the mail of their domains over their own connection (ATRN).",
    ),
    receiving("Advertise8BITMIME", Kind::Boolean, Some("YES"), "8BITMIME is announced."),
    receiving(
        "AdvertiseAUTH",
        Kind::Choice(&["everybody", "clients", "non-clients", "nobody"]),
        Some("everybody"),
        "Who is offered AUTH on ports that do not require it.",
    ),
    receiving("AdvertiseBINARYMIME", Kind::Boolean, Some("YES"), "BINARYMIME is announced."),
    receiving(
        "AdvertiseNOSOLICITING",
        Kind::Text(1000),
        Some("\"\""),
        "Kinds of solicitations that are refused (NO-SOLICITING); * announces it without naming any, empty does not announce it.",
    ),
    receiving(
        "AdvertiseREQUIRETLS",
        Kind::Boolean,
        Some("YES"),
        "REQUIRETLS is announced on encrypted connections.",
    ),
    receiving(
        "AdvertiseSIZE",
        Kind::Boolean,
        Some("YES"),
        "SIZE is announced; the limit holds anyway.",
    ),
    receiving(
        "DelayGreeting",
        Kind::Duration,
        Some("0s"),
        "How long the greeting waits for clients that speak too early.",
    ),
    receiving(
        "DeliverByMinimum",
        Kind::Duration,
        Some("60s"),
        "The shortest time after which a message may be given back as late (DELIVERBY); 0 does not offer it.",
    ),
    receiving(
        "ETRNAllowed",
        Kind::Choice(&["everybody", "clients", "authenticated", "nobody"]),
        Some("everybody"),
        "Who may have the queue of a domain started (ETRN); those who log in are clients.",
    ),
    receiving(
        "ETRNFlow",
        Kind::Flow,
        Some("(30,10m)"),
        "ETRN and ATRN commands taken from one address in a time.",
    ),
    receiving(
        "ErrorsLimit",
        Kind::Number(1, 1000),
        Some("10"),
        "Protocol errors after which a client is disconnected.",
    ),
    receiving(
        "FutureReleaseLimit",
        Kind::Duration,
        Some("30d"),
        "How long a submitted message may be held (FUTURERELEASE); 0 does not offer it.",
    ),
    receiving("MessageSizeLimit", Kind::Size, Some("64M"), "The largest message taken."),
    receiving(
        "MessagesLimit",
        Kind::Count,
        Some("10000"),
        "Most messages taken over one connection.",
    ),
    receiving("RecipientsLimit", Kind::Count, Some("1000"), "Most recipients of one message."),
    receiving(
        "RemoteQueueStarting",
        Kind::Any,
        None,
        "Servers that are asked to send what they keep for domains: an array of dictionaries, see the manual.",
    ),
    receiving("SilenceLimit", Kind::Duration, Some("5m"), "How long a client may be silent."),
    receiving(
        "WakeUpPassword",
        Kind::Text(255),
        Some("\"\""),
        "The word a wake-up message needs in its Subject; empty for none.",
    ),
    receiving(
        "XCLIENTAddresses",
        Kind::Networks,
        None,
        "Relays that may say who the client is (XCLIENT).",
    ),
];
