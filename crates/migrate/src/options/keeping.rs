//! Which messages count: by date, by what earlier runs did, and what becomes of them at the old
//! server.

use std::path::PathBuf;
use std::time::Duration;

use crate::date_filter::DateFilter;
use crate::error::Result;
use crate::options::numbers::{NumberOptions, Numbers};
use crate::stop::Stop;
use crate::sync::{FlagPolicy, SyncStyle, Valve};

/// Longest time between two looks of a following run, seconds.
const LONGEST_WAIT: u64 = 86_400;

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
    /// Keep no journal: each run looks at both servers for what is there already.
    #[arg(long = "noJournal")]
    pub no_journal: bool,
    /// Do not look what the new server has already; without a journal everything is copied again.
    #[arg(long = "copyAll")]
    pub copy_all: bool,
    /// Only messages that arrived on this day or later, as in --filter after.
    #[arg(long, value_name = "MOMENT")]
    pub since: Option<String>,
    /// Only messages that arrived before this day, as in --filter before.
    #[arg(long, value_name = "MOMENT")]
    pub before: Option<String>,
    /// What becomes of flags of messages that are there already: carry over what changed at the
    /// old server, make them equal to the old server's, or leave them.
    #[arg(
        long = "syncFlags",
        value_enum,
        value_name = "WHAT",
        num_args = 0..=1,
        require_equals = true,
        default_value = "changes",
        default_missing_value = "changes"
    )]
    pub sync_flags: FlagPolicy,
    /// Delete at the new server what was copied and is gone at the old one since.
    #[arg(long = "syncDeletes", conflicts_with = "delete")]
    pub sync_deletes: bool,
    /// How many messages of a mailbox --syncDeletes may delete in one run: 200, 25% or all
    /// (default: 50 or a tenth, whichever is more, and never a whole mailbox).
    #[arg(long = "maxDeletes", value_name = "NUMBER", requires = "sync_deletes")]
    pub max_deletes: Option<String>,
    /// Stay after the run and copy what comes, until interrupted.
    #[arg(long)]
    pub follow: bool,
    /// Seconds between looks at mailboxes the old server does not tell about by itself.
    #[arg(long = "followEvery", value_name = "SECONDS", default_value_t = 30)]
    pub follow_every: u64,
    /// Say what would be copied, and change nothing.
    #[arg(long = "dryRun", conflicts_with = "follow")]
    pub dry_run: bool,
    /// Numbers of the old server.
    #[command(flatten)]
    pub numbers: NumberOptions,
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
    /// What is brought up to date beside new messages.
    pub sync: SyncStyle,
    /// How long a following run waits between looks; `None` for a run that ends by itself.
    pub follow: Option<Duration>,
    /// Asks the run to come to an end.
    pub stop: Stop,
    /// Which numbers of the old server are kept.
    pub numbers: Numbers,
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
        for (word, moment) in [("after", &self.since), ("before", &self.before)] {
            if let Some(moment) = moment {
                filter.add(&format!("{word} {moment}"))?;
            }
        }
        let journal = if self.no_journal { None } else { self.journal_path(what) };
        let valve = self.max_deletes.as_deref().map(str::parse::<Valve>).transpose()?;
        let sync = SyncStyle {
            flags: self.sync_flags,
            deletes: self.sync_deletes.then(|| valve.unwrap_or_default()),
            copy_all: self.copy_all,
            dry_run: self.dry_run,
        };
        let every = Duration::from_secs(self.follow_every.clamp(1, LONGEST_WAIT));
        Ok(Keeping {
            filter,
            delete: self.delete,
            journal,
            sync,
            follow: self.follow.then_some(every),
            stop: Stop::default(),
            numbers: self.numbers.numbers()?,
        })
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
