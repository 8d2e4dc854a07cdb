//! What the module SMTP is set to for receiving (`reference/smtp.md` section 2.1), together with
//! the release of queues by others (section 4). Every one may also stand in a port of `Listener`
//! and then counts for that port.

use super::{Kind, Setting};

/// Sorted by key.
pub const SMTP_RECEIVING: &[Setting] = &[
    Setting::of_module(
        "ATRNEnabled",
        Kind::Boolean,
        Some("YES"),
        "Clients that log in may fetch the mail of their domains over their own connection (ATRN).",
    ),
    Setting::of_module("Advertise8BITMIME", Kind::Boolean, Some("YES"), "8BITMIME is announced."),
    Setting::of_module(
        "AdvertiseAUTH",
        Kind::Choice(&["everybody", "clients", "non-clients", "nobody"]),
        Some("everybody"),
        "Who is offered AUTH on ports that do not require it.",
    ),
    Setting::of_module(
        "AdvertiseBINARYMIME",
        Kind::Boolean,
        Some("YES"),
        "BINARYMIME is announced.",
    ),
    Setting::of_module(
        "AdvertiseNOSOLICITING",
        Kind::Text(1000),
        Some("\"\""),
        "Kinds of solicitations that are refused (NO-SOLICITING); * announces it without naming any, empty does not announce it.",
    ),
    Setting::of_module(
        "AdvertiseREQUIRETLS",
        Kind::Boolean,
        Some("YES"),
        "REQUIRETLS is announced on encrypted connections.",
    ),
    Setting::of_module(
        "AdvertiseSIZE",
        Kind::Boolean,
        Some("YES"),
        "SIZE is announced; the limit holds anyway.",
    ),
    Setting::of_module(
        "DelayGreeting",
        Kind::Duration,
        Some("0s"),
        "How long the greeting waits for clients that speak too early.",
    ),
    Setting::of_module(
        "DeliverByMinimum",
        Kind::Duration,
        Some("60s"),
        "The shortest time after which a message may be given back as late (DELIVERBY); 0 does not offer it.",
    ),
    Setting::of_module(
        "ETRNAllowed",
        Kind::Choice(&["everybody", "clients", "authenticated", "nobody"]),
        Some("everybody"),
        "Who may have the queue of a domain started (ETRN); those who log in are clients.",
    ),
    Setting::of_module(
        "ETRNFlow",
        Kind::Flow,
        Some("(30,10m)"),
        "ETRN and ATRN commands taken from one address in a time.",
    ),
    Setting::of_module(
        "ErrorsLimit",
        Kind::Number(1, 1000),
        Some("10"),
        "Protocol errors after which a client is disconnected.",
    ),
    Setting::of_module(
        "FutureReleaseLimit",
        Kind::Duration,
        Some("30d"),
        "How long a submitted message may be held (FUTURERELEASE); 0 does not offer it.",
    ),
    Setting::of_module("MessageSizeLimit", Kind::Size, Some("64M"), "The largest message taken."),
    Setting::of_module(
        "MessagesLimit",
        Kind::Count,
        Some("10000"),
        "Most messages taken over one connection.",
    ),
    Setting::of_module(
        "RecipientsLimit",
        Kind::Count,
        Some("1000"),
        "Most recipients of one message.",
    ),
    Setting::of_module(
        "RemoteQueueStarting",
        Kind::Any,
        None,
        "Servers that are asked to send what they keep for domains: an array of dictionaries, see the manual.",
    ),
    Setting::of_module(
        "SilenceLimit",
        Kind::Duration,
        Some("5m"),
        "How long a client may be silent.",
    ),
    Setting::of_module(
        "WakeUpPassword",
        Kind::Text(255),
        Some("\"\""),
        "The word a wake-up message needs in its Subject; empty for none.",
    ),
    Setting::of_module(
        "XCLIENTAddresses",
        Kind::Networks,
        None,
        "Relays that may say who the client is (XCLIENT).",
    ),
];
