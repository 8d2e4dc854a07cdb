//! What is counted and remembered and shall survive a restart without costing a write each time:
//! logins and statistics of accounts, statistics of domains, failed logins and the addresses that
//! owners are known to come from. It is gathered in memory and written now and then, many accounts
//! at a time, and when the server stops.
//!
//! A server that is cut off loses what was not written yet: at most what happened within
//! [`WRITTEN_EVERY`], later where more than [`AT_ONCE`] accounts were busy in that time. It must
//! never make a login or a delivery wait or fail, nor know what is counted.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use angarium_store::AccountId;
use tokio::task::JoinSet;

use crate::login::last_logins::New;
use crate::statistics::Counts;
use crate::{Accounts, OperationError};

/// What was gathered is written this often.
pub const WRITTEN_EVERY: Duration = Duration::from_secs(300);
/// Accounts whose statistics are written each time; the others wait for the next.
const AT_ONCE: usize = 20_000;
/// Accounts written at a time: they share their sync.
const TOGETHER: usize = 64;
/// Most octets of the file that are read.
const MAX_FILE: u64 = 64 * 1024 * 1024;
/// The first line of the file.
const HEADING: &str = "angarium-counters 1";

/// The file, and what was written into it last.
#[derive(Debug, Default)]
pub(crate) struct CounterFile(Mutex<Option<(PathBuf, u64)>>);

impl CounterFile {
    fn place(&self) -> Option<(PathBuf, u64)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, place: PathBuf, digest: u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((place, digest));
    }
}

impl Accounts {
    /// Reads the counters of domains and the memory of failed logins from this file, if it is
    /// there, and keeps them in it from now on. To be called before anybody logs in.
    pub fn keep_counters(&self, file: PathBuf) {
        let text = read(&file).unwrap_or_default();
        let now = self.now();
        let mut lines = text.lines();
        if lines.next() == Some(HEADING) {
            for line in lines {
                // A line that is not understood is one that is not there.
                let _ = self.statistics.take_line(line);
                let _ = self.gate.failures.take_line(line, now);
            }
        }
        self.counter_file.set(file, 0);
    }

    /// Writes what was gathered so far; how many accounts had something. Those that cannot be
    /// written now are tried the next time.
    pub async fn write_counters(self: &Arc<Self>) -> usize {
        let mut gathered: HashMap<AccountId, (Option<New>, Option<Counts>)> = HashMap::new();
        for (id, new) in self.gate.last.gathered() {
            gathered.entry(id).or_default().0 = Some(new);
        }
        for (id, counts) in self.statistics.gathered(AT_ONCE) {
            gathered.entry(id).or_default().1 = Some(counts);
        }
        let many = gathered.len();
        let mut running = JoinSet::new();
        for (id, (new, counts)) in gathered {
            if running.len() >= TOGETHER {
                running.join_next().await;
            }
            let accounts = Arc::clone(self);
            running.spawn(async move { accounts.write_counts(id, new, counts).await });
        }
        while running.join_next().await.is_some() {}
        self.write_counter_file().await;
        many
    }

    async fn write_counts(&self, id: AccountId, new: Option<New>, counts: Option<Counts>) {
        let written = Box::pin(self.edit_account(id, |record| {
            if let Some(new) = new {
                new.lay_over(&mut record.info);
            }
            if let Some(counts) = counts {
                self.statistics.lay_over(counts, &mut record.info);
            }
            Ok(())
        }));
        match written.await {
            Ok(_) | Err(OperationError::UnknownAccount) => {
                if let Some(new) = new {
                    self.gate.last.written(id, new);
                }
                if let Some(counts) = counts {
                    self.statistics.written(id, counts);
                }
            }
            Err(error) => tracing::warn!("the counters of an account are not written: {error}"),
        }
    }

    async fn write_counter_file(&self) {
        let Some((place, before)) = self.counter_file.place() else { return };
        let mut text = format!("{HEADING}\n");
        self.statistics.write_to(&mut text);
        self.gate.failures.write_to(&mut text, self.now());
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let digest = hasher.finish();
        if digest == before {
            return;
        }
        let at = place.clone();
        match tokio::task::spawn_blocking(move || write(&at, &text)).await {
            Ok(Ok(())) => self.counter_file.set(place, digest),
            Ok(Err(error)) => tracing::warn!("{} cannot be written: {error}", place.display()),
            Err(error) => tracing::warn!("{} is not written: {error}", place.display()),
        }
    }
}

fn read(file: &Path) -> std::io::Result<String> {
    let mut octets = Vec::new();
    std::fs::File::open(file)?.take(MAX_FILE).read_to_end(&mut octets)?;
    Ok(String::from_utf8_lossy(&octets).into_owned())
}

/// Either the old file or the new one is there. It is not synced: after a power cut the old one
/// does as well.
fn write(file: &Path, text: &str) -> std::io::Result<()> {
    let beside = file.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(&beside)?.write_all(text.as_bytes())?;
    std::fs::rename(beside, file)
}
