//! In what manner messages are carried: connections, sizes of commands, limits over time, and ways
//! round what old servers cannot do.

use std::sync::Arc;
use std::time::Duration;

use crate::error::{MoveError, Result};
use crate::lanes::limits::Rate;

/// How long a server may be silent, seconds, and with `--notimeout` (`reference/migration.md`
/// section 4).
const TIMEOUT: u64 = 20;
const LONG_TIMEOUT: u64 = 3600;
/// Most connections to each server, whatever is asked for.
const MOST_CONNECTIONS: usize = 32;
/// Connections to each server where nothing is said: fewer than any server's usual limit of ten.
const CONNECTIONS: usize = 4;
/// Most messages and octets of one FETCH or MULTIAPPEND where nothing is said.
const BATCH: usize = 50;
const BATCH_BYTES: u64 = 8 * 1024 * 1024;
/// How often a connection is made again where nothing is said: about a quarter of a minute.
const RETRIES: u32 = 5;

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
    /// Connections to each server [default: 4]; fewer when a server does not give so many.
    #[arg(long, value_name = "NUMBER")]
    pub connections: Option<usize>,
    /// Most messages of one FETCH and of one MULTIAPPEND [default: 50].
    #[arg(long, value_name = "NUMBER")]
    pub batch: Option<usize>,
    /// Most bytes of one, with K, M or G [default: 8M].
    #[arg(long = "batchBytes", value_name = "BYTES", value_parser = octets)]
    pub batch_bytes: Option<u64>,
    /// How often to connect again after a loss, without progress in between [default: 5].
    #[arg(long, value_name = "NUMBER")]
    pub retry: Option<u32>,
    /// Most bytes a second, all connections together.
    #[arg(long = "maxRate", value_name = "BYTES", value_parser = octets)]
    pub max_rate: Option<u64>,
    /// Most bytes read in one day (UTC); then the run ends with code 6 and says when to go on.
    #[arg(long = "dailyBytes", value_name = "BYTES", value_parser = octets)]
    pub daily_bytes: Option<u64>,
    /// With --dailyBytes: wait for the next day instead of ending.
    #[arg(long = "dailyWait", requires = "daily_bytes")]
    pub daily_wait: bool,
    /// Leave out messages of more bytes, and list them.
    #[arg(long = "maxSize", value_name = "BYTES", value_parser = octets)]
    pub max_size: Option<u64>,
    /// Begin although the messages cannot all fit into the new account's quota.
    #[arg(long = "ignoreQuota")]
    pub ignore_quota: bool,
}

/// Reads a number of octets: digits, and K, M or G (of 1,024) at the end.
fn octets(text: &str) -> std::result::Result<u64, String> {
    let wrong = || format!("\"{text}\" is no number of bytes; write 500000, 500K, 20M or 2G");
    let upper = text.to_ascii_uppercase();
    let upper = upper.strip_suffix('B').unwrap_or(&upper);
    let (digits, unit) = match upper.chars().last() {
        Some('K') => (upper.get(..upper.len() - 1), 10),
        Some('M') => (upper.get(..upper.len() - 1), 20),
        Some('G') => (upper.get(..upper.len() - 1), 30),
        _ => (Some(upper), 0),
    };
    let number: u64 = digits.and_then(|d| d.parse().ok()).ok_or_else(wrong)?;
    number.checked_mul(1 << unit).filter(|n| *n > 0).ok_or_else(wrong)
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
    /// Connections to each server at most, from 1.
    pub connections: usize,
    /// Most messages of one FETCH or MULTIAPPEND, from 1.
    pub batch: usize,
    /// Most octets of one, a single larger message excepted.
    pub batch_bytes: u64,
    /// How often a lost connection is made again in a row without a message having come across.
    pub retries: u32,
    /// Octets a second; clones keep to it together.
    pub rate: Option<Arc<Rate>>,
    /// Octets read in one day.
    pub daily_bytes: Option<u64>,
    /// Wait for the next day when those are used up.
    pub daily_wait: bool,
    /// Messages of more octets are left out and listed.
    pub max_size: Option<u64>,
    /// Begin although the messages cannot all fit into the target's quota.
    pub ignore_quota: bool,
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
        if self.connections == Some(0) || self.batch == Some(0) {
            return Err(MoveError::Usage("--connections and --batch want a number above 0".into()));
        }
        Ok(Pace {
            timeout: Duration::from_secs(if self.notimeout { LONG_TIMEOUT } else { TIMEOUT }),
            fetch_rfc822: self.fetch_rfc822,
            by_one: self.by_one,
            fold_at: self.fix_long_lines,
            connections: self.connections.unwrap_or(CONNECTIONS).min(MOST_CONNECTIONS),
            batch: self.batch.unwrap_or(BATCH),
            batch_bytes: self.batch_bytes.unwrap_or(BATCH_BYTES),
            retries: self.retry.unwrap_or(RETRIES),
            rate: self.max_rate.map(|rate| Arc::new(Rate::new(rate))),
            daily_bytes: self.daily_bytes,
            daily_wait: self.daily_wait,
            max_size: self.max_size,
            ignore_quota: self.ignore_quota,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        assert_eq!(octets("500000"), Ok(500_000));
        assert_eq!(octets("20M"), Ok(20 << 20));
        assert_eq!(octets("2gb"), Ok(2 << 30));
        for wrong in ["", "0", "K", "M5", "-1", "99999999999999999999", "99999999999G", "5 M"] {
            assert!(octets(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_not_said_has_a_sensible_value() {
        let pace = PaceOptions::default().pace().unwrap();
        assert_eq!((pace.connections, pace.batch, pace.retries), (4, 50, 5));
        let many = PaceOptions { connections: Some(1_000), ..PaceOptions::default() };
        assert_eq!(many.pace().unwrap().connections, MOST_CONNECTIONS);
        assert!(PaceOptions { batch: Some(0), ..PaceOptions::default() }.pace().is_err());
    }
}
