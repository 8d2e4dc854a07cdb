//! What the module SMTP is set to about authenticity, as one typed value.
//!
//! Pure. It must never know where settings are kept.

use angarium_objects::spelling::{self, Services};
use angarium_objects::value::{Dictionary, Value};

/// What is done with SPF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SpfUse {
    /// Nothing is asked.
    Off,
    /// The result is written down.
    Note,
    /// A `fail` is refused.
    Reject,
}

/// What is done with DMARC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum DmarcUse {
    /// Nothing is asked.
    Off,
    /// The result is written down, and counted for reports.
    Note,
    /// What the domain owner wants rejected or quarantined goes to Junk.
    Quarantine,
    /// The domain owner's wish is done.
    Enforce,
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) spf: SpfUse,
    pub(super) received_spf: bool,
    pub(super) dkim: bool,
    pub(super) dmarc: DmarcUse,
    /// Domains whose ARC seals are believed.
    pub(super) arc_trusted: Services,
    pub(super) arc_seal: bool,
    /// What cannot be checked because the DNS does not answer has to come again.
    pub(super) defer: bool,
    pub(super) junk: String,
    pub(super) dmarc_reports: bool,
    pub(super) tls_reports: bool,
    /// Sender of reports; empty for the postmaster.
    pub(super) report_address: String,
}

impl Settings {
    /// Reads the effective settings of the module.
    pub(super) fn of(all: &Dictionary) -> Self {
        let text = |key: &str| all.get(key).and_then(Value::as_str).unwrap_or_default();
        let word = |key: &str| text(key).to_ascii_lowercase();
        let flag = |key: &str| all.get(key).and_then(spelling::boolean).unwrap_or(false);
        let junk = text("JunkMailbox");
        Self {
            spf: match word("CheckSPF").as_str() {
                "disabled" => SpfUse::Off,
                "add header" => SpfUse::Note,
                _ => SpfUse::Reject,
            },
            received_spf: flag("AddReceivedSPF"),
            dkim: flag("CheckDKIM"),
            dmarc: match word("DMARCPolicy").as_str() {
                "disabled" => DmarcUse::Off,
                "report" => DmarcUse::Note,
                "enforce" => DmarcUse::Enforce,
                _ => DmarcUse::Quarantine,
            },
            arc_trusted: all
                .get("ARCTrusted")
                .and_then(spelling::services)
                .unwrap_or(Services::Only(Vec::new())),
            arc_seal: flag("ARCSeal"),
            defer: flag("DeferOnDNSErrors"),
            junk: if junk.is_empty() { "Junk".to_owned() } else { junk.to_owned() },
            dmarc_reports: flag("DMARCReports"),
            tls_reports: flag("TLSReports"),
            report_address: text("ReportAddress").to_owned(),
        }
    }

    /// Whether anything is checked at all.
    pub(super) fn checks(&self) -> bool {
        self.spf != SpfUse::Off || self.dkim || self.dmarc != DmarcUse::Off
    }

    /// Whether the ARC seal of a domain is believed.
    pub(super) fn trusts(&self, sealer: &str) -> bool {
        match &self.arc_trusted {
            Services::All => true,
            Services::Only(domains) => domains.iter().any(|d| d.eq_ignore_ascii_case(sealer)),
        }
    }
}
