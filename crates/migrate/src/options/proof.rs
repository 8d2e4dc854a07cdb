//! What a run tells while it works and proves when it is done.

use std::path::PathBuf;

use crate::progress::Show;
use crate::verify::Proof;

/// The options on telling and proving.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ProofOptions {
    /// Print progress to standard output.
    #[arg(long)]
    pub verbose: bool,
    /// After copying, compare both sides by content, flags and dates.
    #[arg(long)]
    pub verify: bool,
    /// Compare only, copy nothing.
    #[arg(long = "verifyOnly")]
    pub verify_only: bool,
    /// Compare by listings (Message-ID, size, date, flags) without reading the messages.
    #[arg(long = "verifyQuick")]
    pub verify_quick: bool,
    /// Mend what the comparison finds: copy what is missing, set flags and dates right.
    #[arg(long)]
    pub repair: bool,
    /// Keep the old server's manifest (one line a message, with SHA-256) in this file.
    #[arg(long, value_name = "FILE")]
    pub manifest1: Option<PathBuf>,
    /// Keep the new server's manifest in this file.
    #[arg(long, value_name = "FILE")]
    pub manifest2: Option<PathBuf>,
    /// Print what would happen to each mailbox, and change nothing.
    #[arg(long)]
    pub plan: bool,
    /// Print the report as JSON on standard output.
    #[arg(long)]
    pub json: bool,
    /// Write the report as text to this file.
    #[arg(long = "reportText", value_name = "FILE")]
    pub report_text: Option<PathBuf>,
    /// Write the report as JSON to this file.
    #[arg(long = "reportJson", value_name = "FILE")]
    pub report_json: Option<PathBuf>,
    /// Write the report as one HTML page, fit for printing, to this file.
    #[arg(long = "reportHtml", value_name = "FILE")]
    pub report_html: Option<PathBuf>,
}

/// Where the report is written to, beside what is printed.
#[derive(Clone, Debug, Default)]
pub struct ReportFiles {
    /// As text.
    pub text: Option<PathBuf>,
    /// As JSON.
    pub json: Option<PathBuf>,
    /// As HTML.
    pub html: Option<PathBuf>,
}

impl ProofOptions {
    /// Where the report is to be written.
    #[must_use]
    pub fn report_files(&self) -> ReportFiles {
        ReportFiles {
            text: self.report_text.clone(),
            json: self.report_json.clone(),
            html: self.report_html.clone(),
        }
    }

    /// True when both sides are to be compared.
    #[must_use]
    pub fn verifies(&self) -> bool {
        self.verify
            || self.verify_only
            || self.verify_quick
            || self.repair
            || self.manifest1.is_some()
            || self.manifest2.is_some()
    }

    /// How they are compared.
    #[must_use]
    pub fn proof(&self) -> Proof {
        Proof {
            quick: self.verify_quick,
            repair: self.repair,
            manifest1: self.manifest1.clone(),
            manifest2: self.manifest2.clone(),
        }
    }

    /// What a person sees while the run works.
    #[must_use]
    pub fn show(&self) -> Show {
        if self.verbose && !self.json { Show::Lines } else { Show::Bar }
    }
}
