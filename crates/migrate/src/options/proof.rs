//! What a run tells while it works and proves when it is done.

use crate::progress::Show;

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
    /// Print the report as JSON on standard output.
    #[arg(long)]
    pub json: bool,
}

impl ProofOptions {
    /// What a person sees while the run works.
    #[must_use]
    pub fn show(&self) -> Show {
        if self.verbose && !self.json { Show::Lines } else { Show::Bar }
    }
}
