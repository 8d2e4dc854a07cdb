//! What is chosen when the door is opened: the clock and how hard passwords are hashed.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Tells the time, so that tests can set it.
pub trait Clock: Send + Sync {
    /// Seconds since 1970-01-01 UTC.
    fn now(&self) -> i64;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> i64 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            Err(before) => {
                i64::try_from(before.duration().as_secs()).map_or(i64::MIN, i64::wrapping_neg)
            }
        }
    }
}

/// How new passwords are hashed and how much of it happens at a time.
#[derive(Clone, Copy, Debug)]
pub struct Hashing {
    /// Argon2id memory in KiB.
    pub memory_kib: u32,
    /// Argon2id passes.
    pub passes: u32,
    /// PBKDF2 rounds of the SCRAM-SHA-256 keys, 4096 to 10,000,000 (RFC 7677 section 4).
    pub scram_rounds: u32,
    /// Slow hashes computed at once; further ones wait. 0 takes the number of processors.
    pub at_once: usize,
}

impl Default for Hashing {
    fn default() -> Self {
        Self { memory_kib: 19 * 1024, passes: 2, scram_rounds: 15_000, at_once: 0 }
    }
}

impl Hashing {
    /// The least that still is correct, for tests that make many accounts.
    #[must_use]
    pub const fn weak_for_tests() -> Self {
        Self { memory_kib: 16, passes: 1, scram_rounds: 4096, at_once: 2 }
    }
}

/// What [`crate::Accounts::new`] takes beside the store.
#[derive(Clone)]
pub struct Options {
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// How passwords are hashed.
    pub hashing: Hashing,
}

impl Default for Options {
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock), hashing: Hashing::default() }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("hashing", &self.hashing).finish_non_exhaustive()
    }
}
