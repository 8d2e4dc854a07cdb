//! What the module SMTP is set to for sending (`reference/smtp.md` section 3.1).

use super::{Effect, Kind, Setting, Who};

/// How TLS is used towards a domain: the words of `TLSPolicy` and `TLSPolicies`.
pub const TLS_POLICIES: &[&str] = &["Never", "Opportunistic", "Always", "Verify"];

/// Longest list of hosts in a setting, bytes.
const LIST: usize = 16_384;

const fn setting(
    key: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    text: &'static str,
) -> Setting {
    Setting { key, kind, default, who: Who::Server, effect: Effect::Now, text, since: "0.2" }
}

/// Sorted by key.
pub const SMTP_SENDING: &[Setting] = &[
    setting(
        "AllowPrivateTargets",
        Kind::Boolean,
        Some("NO"),
        "Mail is also sent to loopback and private addresses that the DNS names.",
    ),
    setting(
        "Channels",
        Kind::Number(1, 10_000),
        Some("50"),
        "Most outgoing connections at a time.",
    ),
    setting(
        "ChannelsPerAddress",
        Kind::Number(1, 1_000),
        Some("5"),
        "Most outgoing connections to one network address at a time.",
    ),
    setting(
        "ChannelsPerHost",
        Kind::Number(1, 1_000),
        Some("5"),
        "Most outgoing connections for one queue at a time.",
    ),
    setting(
        "DNSServers",
        Kind::Text(LIST),
        None,
        "Name servers asked, as addresses or [address]:port, separated by commas; empty is what the system is set to.",
    ),
    setting(
        "DNSTrustAnchor",
        Kind::Text(4096),
        None,
        "File with DNSSEC trust anchors instead of the root's built-in ones.",
    ),
    setting(
        "DNSValidation",
        Kind::Boolean,
        Some("NO"),
        "DNSSEC is validated here; DANE needs it, and name servers that pass signatures on.",
    ),
    setting("ForwardAUTHName", Kind::Text(255), None, "Name for AUTH to the forwarding server."),
    setting(
        "ForwardAUTHPassword",
        Kind::Text(255),
        None,
        "Password for AUTH to the forwarding server.",
    ),
    setting(
        "ForwardClearText",
        Kind::Boolean,
        Some("NO"),
        "The password may be sent to the forwarding server without encryption.",
    ),
    setting(
        "ForwardTo",
        Kind::Text(300),
        None,
        "Forwarding server for all mail to other systems: host, host:port, [address] or [address]:port; empty sends by MX.",
    ),
    setting(
        "HELOName",
        Kind::DomainName,
        None,
        "The name this server calls itself when sending; empty is the Main Domain's.",
    ),
    setting(
        "IdleChannel",
        Kind::Duration,
        Some("5s"),
        "How long a connection waits for more mail before it is closed.",
    ),
    setting(
        "MessagesPerChannel",
        Kind::Number(1, 10_000),
        Some("50"),
        "Messages sent on one connection before it is closed.",
    ),
    setting(
        "SRS",
        Kind::Boolean,
        Some("YES"),
        "Return paths of forwarded mail become addresses of this server that lead back to the author.",
    ),
    setting(
        "SendingIPAddress",
        Kind::Addresses,
        None,
        "Addresses of this machine that mail is sent from, at most one of each family; empty is the system's choice.",
    ),
    setting(
        "TLSPolicies",
        Kind::Dictionary,
        None,
        "TLS towards single domains: a dictionary of domain and Never, Opportunistic, Always or Verify.",
    ),
    setting(
        "TLSPolicy",
        Kind::Choice(TLS_POLICIES),
        Some("Opportunistic"),
        "TLS towards all other domains. DANE and MTA-STS can only make it stricter.",
    ),
    setting("UseDANE", Kind::Boolean, Some("YES"), "TLSA records of other servers are obeyed."),
    setting("UseMTASTS", Kind::Boolean, Some("YES"), "MTA-STS policies are obeyed."),
    setting(
        "UseTLSReporting",
        Kind::Boolean,
        Some("YES"),
        "How TLS went towards other domains is counted, for reports to those that ask for them.",
    ),
];
