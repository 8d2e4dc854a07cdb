//! The memory of greylisting. Triplets of network, sender and recipient live in memory only, as
//! keyed hashes; networks that have passed are kept in a small file over a restart, so that a
//! restart delays nobody who is known well.
//!
//! Bounds: [`TRIPLETS`] of about 60 octets, [`NETWORKS`] of about 70 octets.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};

use angarium_routing::protection::greylist::{
    Decision, Network, Seen, Times, decide, known, passed,
};
use quick_cache::sync::Cache;

/// Triplets remembered.
const TRIPLETS: usize = 200_000;
/// Networks remembered.
const NETWORKS: usize = 50_000;
/// The first line of the file.
const HEADING: &str = "angarium-greylist 1";
/// Seconds after which the file is written again.
const WRITTEN_EVERY: i64 = 3_600;

/// The memory.
pub(super) struct Greylist {
    key: RandomState,
    triplets: Cache<u64, Seen>,
    networks: Cache<IpAddr, Network>,
    file: Mutex<Option<PathBuf>>,
    written: AtomicI64,
}

/// The network of an address: 24 bits of IPv4, 64 of IPv6. Large senders try again from another
/// host of the same network.
fn network(ip: IpAddr) -> IpAddr {
    match super::addresses::network(ip) {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            IpAddr::V4([a, b, c, 0].into())
        }
        six => six,
    }
}

impl Greylist {
    pub(super) fn new() -> Self {
        Self {
            key: RandomState::new(),
            triplets: Cache::new(TRIPLETS),
            networks: Cache::new(NETWORKS),
            file: Mutex::new(None),
            written: AtomicI64::new(i64::MAX),
        }
    }

    /// The verdict on a recipient.
    ///
    /// # Errors
    /// Seconds the sender has to wait.
    pub(super) fn ask(
        &self,
        ip: IpAddr,
        sender: &str,
        recipient: &str,
        times: Times,
        now: i64,
    ) -> Result<(), i64> {
        let network = network(ip);
        let of_network = self.networks.get(&network);
        if known(of_network, times, now) {
            let seen = Network { when: now, ..of_network.unwrap_or_default() };
            self.networks.insert(network, seen);
            return Ok(());
        }
        let key = self.key.hash_one((
            network,
            sender.to_ascii_lowercase(),
            recipient.to_ascii_lowercase(),
        ));
        let (decision, seen) = decide(self.triplets.get(&key), times, now);
        self.triplets.insert(key, seen);
        match decision {
            Decision::Wait(seconds) => Err(seconds),
            Decision::Pass { first: false } => Ok(()),
            Decision::Pass { first: true } => {
                self.networks.insert(network, passed(of_network, times, now));
                Ok(())
            }
        }
    }

    /// True once an hour: the file is to be written.
    pub(super) fn is_due(&self, now: i64) -> bool {
        let written = self.written.load(Ordering::Relaxed);
        now.saturating_sub(written) >= WRITTEN_EVERY
            && self
                .written
                .compare_exchange(written, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// Reads the file if it is there and keeps it from now on.
    pub(super) fn keep_in(&self, file: PathBuf, now: i64) {
        if let Ok(text) = std::fs::read_to_string(&file) {
            for (ip, network) in read(&text) {
                self.networks.insert(ip, network);
            }
        }
        self.written.store(now, Ordering::Relaxed);
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
    }

    /// Writes the file, if there is one and something to be written.
    pub(super) fn save(&self) {
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(file) = file.filter(|_| !self.networks.is_empty()) else { return };
        let mut text = format!("{HEADING}\n");
        for (ip, network) in self.networks.iter() {
            text.push_str(&format!("{ip} {} {}\n", network.when, network.passes));
        }
        if let Err(error) = write(&file, &text) {
            tracing::error!(target: "SMTPI", "{} cannot be written: {error}", file.display());
        }
    }
}

/// What a file says; lines that are not understood are left out.
fn read(text: &str) -> Vec<(IpAddr, Network)> {
    let mut lines = text.lines();
    if lines.next() != Some(HEADING) {
        return Vec::new();
    }
    let entry = |line: &str| {
        let mut words = line.split(' ');
        let ip = words.next()?.parse().ok()?;
        let when = words.next()?.parse().ok()?;
        Some((ip, Network { when, passes: words.next()?.parse().ok()? }))
    };
    lines.filter_map(entry).take(NETWORKS).collect()
}

/// Either the old file or the new one is there.
fn write(file: &Path, text: &str) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let beside = file.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(&beside)?.write_all(text.as_bytes())?;
    std::fs::rename(beside, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: Times = Times { wait: 300, forget: 3_600, keep: 86_400, passes: 2 };

    #[test]
    fn what_has_passed_is_known_after_a_restart() {
        let directory = std::env::temp_dir().join(format!("greylist-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let file = directory.join("Greylist.data");
        let list = Greylist::new();
        list.keep_in(file.clone(), 0);
        let (ip, near): (IpAddr, IpAddr) =
            ("192.0.2.7".parse().unwrap(), "192.0.2.8".parse().unwrap());
        assert_eq!(list.ask(ip, "a@b", "c@d", TIMES, 1_000), Err(300));
        assert_eq!(list.ask(near, "A@b", "c@D", TIMES, 1_300), Ok(()), "its neighbour tries again");
        assert_eq!(list.ask(ip, "e@b", "c@d", TIMES, 1_300), Err(300));
        assert_eq!(list.ask(ip, "e@b", "c@d", TIMES, 1_600), Ok(()));
        assert_eq!(list.ask(ip, "f@b", "c@d", TIMES, 1_600), Ok(()), "the network is known");
        list.save();
        let again = Greylist::new();
        again.keep_in(file, 2_000);
        assert_eq!(again.ask(ip, "new@b", "c@d", TIMES, 2_000), Ok(()));
        assert_eq!(
            again.ask("198.51.100.1".parse().unwrap(), "a@b", "c@d", TIMES, 2_000),
            Err(300)
        );
        std::fs::remove_dir_all(directory).unwrap();
        assert!(read("angarium-greylist 2\n192.0.2.0 1 1\n").is_empty());
        assert_eq!(read("angarium-greylist 1\nnonsense\n192.0.2.0 1 1\n192.0.2.0 x 1\n").len(), 1);
    }
}
