//! Who may relay and who is kept out (`reference/smtp.md` section 5). Lists of addresses have
//! commands of their own beside the module `Protection` they are kept in.

use super::{Effect, Kind, Setting, Who};

/// Longest list of addresses, in octets.
const LIST: Kind = Kind::Text(900 * 1024);
/// For whom something is done.
const WHOM: Kind = Kind::Choice(&["nobody", "clients", "non-clients", "everybody"]);

const fn kept(key: &'static str, text: &'static str) -> Setting {
    Setting {
        key,
        kind: LIST,
        default: None,
        who: Who::Server,
        effect: Effect::Kept,
        text,
        since: "0.2",
    }
}

/// The settings that have commands of their own: lists of addresses and banned lines.
pub const PROTECTION_LISTS: &[&str] = &[
    "BlacklistedIPs",
    "BodyLines",
    "ClientIPs",
    "DebugIPs",
    "DeniedIPs",
    "HeaderLines",
    "LANIPs",
    "NATSiteIPs",
    "NATedIPs",
    "WhiteHoleIPs",
];

/// Sorted by key.
pub const PROTECTION_SETTINGS: &[Setting] = &[
    Setting::of_module(
        "BlacklistClients",
        Kind::Boolean,
        Some("NO"),
        "Blacklists and DNS lists count for client addresses too.",
    ),
    Setting::of_module(
        "BlacklistedIPs",
        LIST,
        None,
        "Addresses whose mail is refused unless a Router record takes it (SetBlacklistedIPs).",
    ),
    Setting::of_module(
        "BlacklistedNames",
        Kind::Text(64 * 1024),
        None,
        "The same by host name: one name or pattern such as *.dynamic.example a line.",
    ),
    Setting::of_module(
        "BlockTime",
        Kind::Duration,
        Some("10m"),
        "How long an address is kept out that broke too many connections (ErrorFlow).",
    ),
    Setting::of_module(
        "BodyLines",
        Kind::Any,
        None,
        "Body lines that refuse a message; * stands for any text (SetBanned).",
    ),
    Setting::of_module(
        "ClientIPs",
        LIST,
        None,
        "Addresses of this server's own clients: they may relay (SetClientIPs).",
    ),
    Setting::of_module(
        "ConnectionFlow",
        Kind::Flow,
        Some("(\"-1\", 1m)"),
        "Connections of one address that is no client in a period; more are put off.",
    ),
    Setting::of_module(
        "DNSListTime",
        Kind::Duration,
        Some("5s"),
        "How long the DNS lists are waited for; those that are late say nothing.",
    ),
    Setting::of_module(
        "DNSLists",
        Kind::Text(16 * 1024),
        None,
        "DNS lists (RBL) that blacklist: one zone a line, such as list.example or list.example=127.0.0.2, with a text for the refused behind a semicolon.",
    ),
    kept("DebugIPs", "Addresses whose sessions are logged in full (SetDebugIPs)."),
    Setting::of_module("DeniedIPs", LIST, None, "Addresses that are not spoken to (SetDeniedIPs)."),
    Setting::of_module(
        "ErrorFlow",
        Kind::Flow,
        Some("(3, 10m)"),
        "Connections of one address cut off for too many errors, floods or early talk in a period; more block the address for BlockTime.",
    ),
    Setting::of_module(
        "GreylistFor",
        Kind::Choice(&["nobody", "non-clients"]),
        Some("nobody"),
        "Whose first message is put off (RFC 6647).",
    ),
    Setting::of_module(
        "GreylistForget",
        Kind::Duration,
        Some("2d"),
        "A second try after this long is a first one.",
    ),
    Setting::of_module(
        "GreylistKeep",
        Kind::Duration,
        Some("36d"),
        "How long who has passed goes on passing, from the last message.",
    ),
    Setting::of_module(
        "GreylistPasses",
        Kind::Number(0, 1000),
        Some("5"),
        "Senders that must have passed before their whole network is known; 0 for never.",
    ),
    Setting::of_module(
        "GreylistWait",
        Kind::Duration,
        Some("5m"),
        "How long a first message is put off.",
    ),
    Setting::of_module(
        "HeaderLines",
        Kind::Any,
        None,
        "Header lines that refuse a message; * stands for any text (SetBanned).",
    ),
    kept("LANIPs", "Addresses of the local networks (SetLANIPs)."),
    Setting::of_module(
        "MessageFlow",
        Kind::Flow,
        Some("(\"-1\", 1h)"),
        "Messages of one address that is no client in a period; more are put off.",
    ),
    Setting::of_module(
        "Milters",
        Kind::Any,
        None,
        "Mail filters (milters): an array of dictionaries {Name; Address; Enabled; TimeOut; OnFailure; For;}.",
    ),
    kept("NATSiteIPs", "Addresses of remote NAT sites (SetNATSiteIPs)."),
    kept("NATedIPs", "Addresses behind this server's NAT (SetNATedIPs)."),
    Setting::of_module(
        "ReadThenSend",
        Kind::Duration,
        Some("0"),
        "An address counts as a client this long after somebody read mail from there (service Mobile); 0 for never.",
    ),
    Setting::of_module(
        "RecipientFlow",
        Kind::Flow,
        Some("(\"-1\", 1h)"),
        "Recipients of one address that is no client in a period; more are put off.",
    ),
    Setting::of_module(
        "RelayToHostsWeBackup",
        Kind::Boolean,
        Some("NO"),
        "Mail of anybody is relayed to domains whose MX records name this server as a backup. Whoever writes such records uses this server.",
    ),
    Setting::of_module(
        "SpamTrapTime",
        Kind::Duration,
        Some("1h"),
        "How long an address is kept out that wrote to a spam trap.",
    ),
    Setting::of_module(
        "TarpitDelay",
        Kind::Duration,
        Some("0"),
        "A refused recipient of an address that is no client is answered after this long, at most 30 s.",
    ),
    Setting::of_module(
        "UnknownNameFlow",
        Kind::Flow,
        Some("(200, 10m)"),
        "Unknown recipients of one address that is no client in a period; more block the address for BlockTime.",
    ),
    Setting::of_module(
        "VerifyHELOAndReturnPath",
        WHOM,
        Some("non-clients"),
        "For whom the DNS must know the name in HELO and the domain of the return path.",
    ),
    Setting::of_module(
        "WhiteHoleIPs",
        LIST,
        None,
        "Addresses that are never blacklisted (SetWhiteHoleIPs).",
    ),
];
