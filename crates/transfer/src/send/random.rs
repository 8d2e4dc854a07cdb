//! Chance, where hosts that are equals take turns. It needs to be uneven, not secret.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Some number.
pub(crate) fn number() -> u64 {
    RandomState::new().build_hasher().finish()
}
