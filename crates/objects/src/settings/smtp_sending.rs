//! What the module SMTP is set to for sending (`reference/smtp.md` section 3.1).

use super::{Kind, Setting};

/// How TLS is used towards a domain: the words of `TLSPolicy` and `TLSPolicies`.
pub const TLS_POLICIES: &[&str] = &["Never", "Opportunistic", "Always", "Verify"];

/// Longest list of hosts in a setting, bytes.
const LIST: usize = 16_384;

/// Sorted by key.
pub const SMTP_SENDING: &[Setting] = &[
    Setting::of_module(
        "AllowPrivateTargets",
        Kind::Boolean,
        Some("NO"),
        "Mail is also sent to loopback and private addresses that the DNS names.",
    ),
    Setting::of_module(
        "Channels",
        Kind::Number(1, 10_000),
        Some("50"),
        "Most outgoing connections at a time.",
    ),
    Setting::of_module(
        "ChannelsPerAddress",
        Kind::Number(1, 1_000),
        Some("5"),
        "Most outgoing connections to one network address at a time.",
    ),
    Setting::of_module(
        "ChannelsPerHost",
        Kind::Number(1, 1_000),
        Some("5"),
        "Most outgoing connections for one queue at a time.",
    ),
    Setting::of_module(
        "DNSServers",
        Kind::Text(LIST),
        None,
        "Name servers asked, as addresses or [address]:port, separated by commas; empty is what the system is set to.",
    ),
    Setting::of_module(
        "DNSTrustAnchor",
        Kind::Text(4096),
        None,
        "File with DNSSEC trust anchors instead of the root's built-in ones.",
    ),
    Setting::of_module(
        "DNSValidation",
        Kind::Boolean,
        Some("NO"),
        "DNSSEC is validated here; DANE needs it, and name servers that pass signatures on.",
    ),
    Setting::of_module(
        "ForwardAUTHName",
        Kind::Text(255),
        None,
        "Name for AUTH to the forwarding server.",
    ),
    Setting::of_module(
        "ForwardAUTHPassword",
        Kind::Text(255),
        None,
        "Password for AUTH to the forwarding server.",
    ),
    Setting::of_module(
        "ForwardClearText",
        Kind::Boolean,
        Some("NO"),
        "The password may be sent to the forwarding server without encryption.",
    ),
    Setting::of_module(
        "ForwardTo",
        Kind::Text(300),
        None,
        "Forwarding server for all mail to other systems: host, host:port, [address] or [address]:port; empty sends by MX.",
    ),
    Setting::of_module(
        "HELOName",
        Kind::DomainName,
        None,
        "The name this server calls itself when sending; empty is the Main Domain's.",
    ),
    Setting::of_module(
        "IdleChannel",
        Kind::Duration,
        Some("5s"),
        "How long a connection waits for more mail before it is closed.",
    ),
    Setting::of_module(
        "MessagesPerChannel",
        Kind::Number(1, 10_000),
        Some("50"),
        "Messages sent on one connection before it is closed.",
    ),
    Setting::of_module(
        "SRS",
        Kind::Boolean,
        Some("YES"),
        "Return paths of forwarded mail become addresses of this server that lead back to the author.",
    ),
    Setting::of_module(
        "SendingIPAddress",
        Kind::Addresses,
        None,
        "Addresses of this machine that mail is sent from, at most one of each family; empty is the system's choice.",
    ),
    Setting::of_module(
        "TLSPolicies",
        Kind::Dictionary,
        None,
        "TLS towards single domains: a dictionary of domain and Never, Opportunistic, Always or Verify.",
    ),
    Setting::of_module(
        "TLSPolicy",
        Kind::Choice(TLS_POLICIES),
        Some("Opportunistic"),
        "TLS towards all other domains. DANE and MTA-STS can only make it stricter.",
    ),
    Setting::of_module(
        "UseDANE",
        Kind::Boolean,
        Some("YES"),
        "TLSA records of other servers are obeyed.",
    ),
    Setting::of_module("UseMTASTS", Kind::Boolean, Some("YES"), "MTA-STS policies are obeyed."),
    Setting::of_module(
        "UseTLSReporting",
        Kind::Boolean,
        Some("YES"),
        "How TLS went towards other domains is counted, for reports to those that ask for them.",
    ),
];
