//! What the module SMTP is set to about who really sent a message (`reference/smtp.md` section 5.4).

use super::{Kind, Setting};

/// One of these settings.
const fn setting(
    key: &'static str,
    kind: Kind,
    default: &'static str,
    text: &'static str,
) -> Setting {
    Setting::of_module(key, kind, Some(default), text)
}

/// Sorted by key.
pub const AUTHENTICITY_SETTINGS: &[Setting] = &[
    setting(
        "ARCSeal",
        Kind::Boolean,
        "YES",
        "Mail that goes on to another system gets an ARC seal of the main domain, if that has a \
         key.",
    ),
    setting(
        "ARCTrusted",
        Kind::Words,
        "None",
        "Domains whose ARC seals are believed when DMARC fails.",
    ),
    setting(
        "AddReceivedSPF",
        Kind::Boolean,
        "NO",
        "A Received-SPF field is written beside Authentication-Results.",
    ),
    setting("CheckDKIM", Kind::Boolean, "YES", "DKIM signatures of mail from others are verified."),
    setting(
        "CheckSPF",
        Kind::Choice(&["disabled", "add header", "reject"]),
        "reject",
        "SPF of mail from others; reject refuses a fail unless DMARC passes.",
    ),
    setting(
        "DMARCPolicy",
        Kind::Choice(&["disabled", "report", "quarantine", "enforce"]),
        "quarantine",
        "What becomes of mail that fails DMARC and whose domain wants that: nothing, Junk, or \
         what the domain wants.",
    ),
    setting(
        "DMARCReports",
        Kind::Boolean,
        "NO",
        "Each day, domains that ask for it are sent DMARC aggregate reports.",
    ),
    setting(
        "DeferOnDNSErrors",
        Kind::Boolean,
        "NO",
        "Mail that cannot be checked because the DNS does not answer has to come again.",
    ),
    setting("JunkMailbox", Kind::Text(255), "Junk", "The mailbox for mail that is quarantined."),
    setting(
        "ReportAddress",
        Kind::Text(255),
        "\"\"",
        "Sender of DMARC and TLS reports; empty for the postmaster of the main domain.",
    ),
    setting(
        "TLSReports",
        Kind::Boolean,
        "NO",
        "Each day, domains that ask for it are sent reports on TLS of mail sent to them.",
    ),
];
