//! In what manner messages are carried: time-outs, and ways round what old servers cannot do.

use std::time::Duration;

use crate::error::{MoveError, Result};

/// How long a server may be silent, seconds, and with `--notimeout` (`reference/migration.md`
/// section 4).
const TIMEOUT: u64 = 20;
const LONG_TIMEOUT: u64 = 3600;

/// The options on the manner of carrying.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct PaceOptions {
    /// Wait up to an hour for a server instead of 20 seconds.
    #[arg(long)]
    pub notimeout: bool,
    /// Fetch RFC822.PEEK instead of BODY.PEEK[], for very old servers.
    #[arg(long = "fetchRFC822")]
    pub fetch_rfc822: bool,
    /// Fetch and append message by message.
    #[arg(long = "byOne")]
    pub by_one: bool,
    /// Break lines so that none is longer than this many bytes. Changes messages.
    #[arg(long = "fixLongLines", value_name = "NUMBER")]
    pub fix_long_lines: Option<usize>,
}

/// The manner of carrying of one run.
#[derive(Clone, Debug)]
pub struct Pace {
    /// Time-out of every wait for a server.
    pub timeout: Duration,
    /// `--fetchRFC822` (MIG-23)
    pub fetch_rfc822: bool,
    /// `--byOne` (MIG-24)
    pub by_one: bool,
    /// `--fixLongLines` (MIG-27)
    pub fold_at: Option<usize>,
}

impl PaceOptions {
    /// What the options say.
    ///
    /// # Errors
    /// `Usage`, saying what to write instead.
    pub fn pace(&self) -> Result<Pace> {
        if self.fix_long_lines == Some(0) {
            return Err(MoveError::Usage("--fixLongLines wants a number above 0".into()));
        }
        Ok(Pace {
            timeout: Duration::from_secs(if self.notimeout { LONG_TIMEOUT } else { TIMEOUT }),
            fetch_rfc822: self.fetch_rfc822,
            by_one: self.by_one,
            fold_at: self.fix_long_lines,
        })
    }
}
