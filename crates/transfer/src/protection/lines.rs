//! Banned lines: refuses messages with a header or body line of the lists (`SetBanned`).

use std::sync::Arc;

use async_trait::async_trait;

use super::Protection;
use crate::inspect::{Arrived, Findings, Inspector, Outline, Verdict};

/// Looks for banned lines in the mail of strangers.
pub struct BannedLines(Arc<Protection>);

impl BannedLines {
    /// By the lists of this protection.
    #[must_use]
    pub fn new(protection: Arc<Protection>) -> Self {
        Self(protection)
    }
}

#[async_trait]
impl Inspector for BannedLines {
    fn name(&self) -> &'static str {
        "banned lines"
    }

    fn wants(&self, outline: &Outline) -> bool {
        !outline.trusted && !self.0.known_rules().banned.is_empty()
    }

    async fn inspect(&self, arrived: &Arrived<'_>) -> Findings {
        let rules = self.0.rules().await;
        let Some(entry) = rules.banned.find(arrived.message) else { return Findings::default() };
        tracing::warn!(target: "SMTPI", "[{}] has the banned line '{entry}'", arrived.id);
        let text = "the message has a line that is not taken here".to_owned();
        Findings { verdict: Verdict::Refuse { status: (5, 7, 1), text }, ..Findings::default() }
    }
}
