//! Deciding messages without reading them: first by their folded headers in memory, then by what
//! the store says can certainly not be in them. What is left must be read. The answers are those
//! that reading would give. It must never know how a message is read.

use angarium_accounts::mailboxes::MailError;
use angarium_accounts::{BodyId, Sifted};

use super::search::{Candidate, Mailbox};
use super::search_headers::columns;
use super::search_keys::{Facts, Key};

/// Bodies the store is asked about in one go.
const BATCH: usize = 4096;

/// Goes through candidates that memory did not decide: tells those that meet the key to `take` and
/// answers those that must be read.
///
/// # Errors
/// What the store says.
pub(super) async fn sift<'a>(
    mailbox: &Mailbox<'_>,
    key: &mut Key,
    mut candidates: Vec<Candidate<'a>>,
    mut take: impl FnMut(&Candidate<'a>),
) -> Result<Vec<Candidate<'a>>, MailError> {
    let mut known = None;
    if key.asks_headers() {
        known = columns(mailbox, candidates.len()).await?;
    }
    if let Some(columns) = &known {
        candidates.retain(|candidate| {
            let headers = columns.get(candidate.row.uid().0);
            match key.test(&Facts { headers, ..candidate.facts() }) {
                Some(true) => take(candidate),
                Some(false) => {}
                None => return true,
            }
            false
        });
    }
    let probes = key.probes();
    if probes.is_empty() {
        return Ok(candidates);
    }
    let mut left = Vec::new();
    for batch in candidates.chunks(BATCH) {
        let ids: Vec<BodyId> = batch.iter().map(|candidate| candidate.row.body()).collect();
        let told = mailbox.reader.sift(&ids, &probes).await.unwrap_or_else(|error| {
            // What is derived must not keep anybody from what is stored.
            tracing::warn!("messages must be read for a search: {error}");
            vec![Sifted::MAY_HOLD_ANYTHING; ids.len()]
        });
        for (candidate, sifted) in batch.iter().zip(told) {
            let candidate = Candidate { sifted: Some(sifted), ..*candidate };
            let headers = known.as_ref().and_then(|columns| columns.get(candidate.row.uid().0));
            match key.test(&Facts { headers, ..candidate.facts() }) {
                Some(true) => take(&candidate),
                Some(false) => {}
                None => left.push(candidate),
            }
        }
        tokio::task::yield_now().await;
    }
    Ok(left)
}

/// Lets others run between the messages of a search, the more often the more it looks for.
pub(super) struct Pace {
    weight: usize,
    done: usize,
}

impl Pace {
    /// Texts held against messages before others are let run.
    const TESTS: usize = 1000;

    pub(super) fn of(key: &Key) -> Self {
        Self { weight: key.texts().0.max(1), done: 0 }
    }

    /// One message was tested.
    pub(super) async fn step(&mut self) {
        self.done += self.weight;
        if self.done >= Self::TESTS {
            self.done = 0;
            tokio::task::yield_now().await;
        }
    }
}

/// True if what was told of a message rules the text of this probe out.
pub(super) fn rules_out(sifted: Option<Sifted>, probe: Option<usize>) -> bool {
    matches!((sifted, probe), (Some(sifted), Some(probe)) if !sifted.may_hold(probe))
}
