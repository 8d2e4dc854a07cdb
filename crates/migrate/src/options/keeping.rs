//! Which messages count: by date, by what earlier runs did, and what becomes of them at the old
//! server.

use std::path::PathBuf;

use crate::date_filter::DateFilter;
use crate::error::Result;

/// The options on which messages count.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct KeepingOptions {
    /// Delete messages at the old server once the new one has confirmed them.
    #[arg(long)]
    pub delete: bool,
    /// Only messages that arrived before or after: --filter before "31-Dec-2024 23:59:59".
    #[arg(long, value_name = "[before|after] MOMENT")]
    pub filter: Vec<String>,
    /// Where the journal is kept (default: the user's state directory).
    #[arg(long, value_name = "FILE")]
    pub journal: Option<PathBuf>,
    /// Keep no journal: a second run copies everything again.
    #[arg(long = "noJournal")]
    pub no_journal: bool,
}

/// Which messages count in one run.
#[derive(Clone, Debug, Default)]
pub struct Keeping {
    /// `--filter` (MIG-31)
    pub filter: DateFilter,
    /// `--delete` (MIG-20)
    pub delete: bool,
    /// Where the journal is, if one is kept.
    pub journal: Option<PathBuf>,
}

impl KeepingOptions {
    /// What the options say; `what` is all that decides which message goes where, and so which
    /// journal is the run's.
    ///
    /// # Errors
    /// `Usage` for a moment that cannot be read.
    pub fn keeping(&self, what: &str) -> Result<Keeping> {
        let mut filter = DateFilter::default();
        for one in &self.filter {
            filter.add(one)?;
        }
        let journal = if self.no_journal { None } else { self.journal_path(what) };
        Ok(Keeping { filter, delete: self.delete, journal })
    }

    fn journal_path(&self, what: &str) -> Option<PathBuf> {
        if let Some(path) = &self.journal {
            return Some(path.clone());
        }
        let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).or_else(|| {
            std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"))
        })?;
        let name = blake3::hash(what.as_bytes()).to_hex();
        Some(state.join("angarium/moves").join(format!("{}.journal", &name[..32])))
    }
}
