//! Searching without reading mail: which messages certainly do not hold a text, and which hold
//! words like those looked for.
//!
//! What answers is derived from the bodies and may lag behind them or be lost at any time; it is
//! made again by the edition itself. Answers stay right meanwhile: a body of which nothing is
//! known yet may hold anything.

use angarium_message::search::{Fields, Probe};
use async_trait::async_trait;

use crate::error::Result;
use crate::ids::{AccountId, BodyId};

/// Texts looked for in one call at most; the ones behind are not looked at.
pub const PROBES_MAX: usize = 64;

/// Words of one fuzzy text that are looked at.
pub const FUZZY_WORDS_MAX: usize = 16;

/// Which texts may be in a message: bit `n` stands for probe `n`, and is clear only if that text
/// is certainly not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sifted(pub u64);

impl Sifted {
    /// A message that may hold anything.
    pub const MAY_HOLD_ANYTHING: Self = Self(u64::MAX);

    /// Holds the probes against a signature.
    #[must_use]
    pub fn by(signature: &[u8], probes: &[Probe]) -> Self {
        let mut bits = u64::MAX;
        for (at, probe) in probes.iter().take(PROBES_MAX).enumerate() {
            if !probe.may_be_in(signature) {
                bits &= !(1 << at);
            }
        }
        Self(bits)
    }

    /// False if the text of this probe is certainly not in the message.
    #[must_use]
    pub fn may_hold(self, probe: usize) -> bool {
        probe >= PROBES_MAX || self.0 & (1 << probe) != 0
    }
}

/// Words to be found in any form (RFC 6203).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FuzzyText {
    /// The text; each of its first [`FUZZY_WORDS_MAX`] words must be found.
    pub text: String,
    /// Where.
    pub fields: Fields,
}

/// What the store knows of the texts in messages.
#[async_trait]
pub trait Search: Send + Sync {
    /// For each body, in the given order, which of the probes may be in it. Bodies that are not
    /// there, or not looked through yet, may hold anything.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn sift(&self, bodies: &[BodyId], probes: &[Probe]) -> Result<Vec<Sifted>>;

    /// Of these bodies, which the caller knows to be of messages of this account, those that hold
    /// words like the ones in the text, each with its relevancy, 1 to 100; ascending by id.
    /// Relevancy depends on the text and the message alone. What has not been looked through yet
    /// is looked through first. A text without words is found in nothing.
    ///
    /// # Errors
    /// `NotFound("account")`, `Unavailable`.
    async fn fuzzy(
        &self,
        account: AccountId,
        bodies: &[BodyId],
        text: &FuzzyText,
    ) -> Result<Vec<(BodyId, u8)>>;
}
