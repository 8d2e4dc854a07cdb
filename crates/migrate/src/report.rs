//! The report of a move: what was copied, what was not and why, for people and as JSON.

pub mod account;
pub mod html;

use serde::Serialize;

use crate::advice;
use crate::keep_ids::report::{KeptReport, lines};
use crate::plan::LeftOut;
use crate::servers::Servers;

/// One mailbox of a move.
#[derive(Clone, Debug, Default, Serialize)]
pub struct MailboxReport {
    /// Name at the old server.
    pub source: String,
    /// Name at the new one.
    pub target: String,
    /// Messages found at the old server.
    pub found: u64,
    /// Messages copied in this run.
    pub copied: u64,
    /// Octets copied in this run.
    pub bytes: u64,
    /// Messages an earlier run had copied.
    pub already_there: u64,
    /// Messages left out by `--filter`.
    pub filtered: u64,
    /// Messages of Gmail's "All Mail" that come with another mailbox.
    pub elsewhere: u64,
    /// Messages that would have been copied (`--dryRun`).
    pub to_copy: u64,
    /// Messages whose flags were brought up to date.
    pub flags_changed: u64,
    /// Messages deleted at the new server because they vanished at the old one (`--syncDeletes`).
    pub removed: u64,
    /// Why messages that vanished at the old server were kept at the new one.
    pub held: Option<String>,
    /// Messages deleted at the old server (`--delete`).
    pub deleted: u64,
    /// What became of the old server's numbers.
    pub kept: KeptReport,
    /// Messages that could not be copied.
    pub failed: Vec<FailedMessage>,
    /// Why the mailbox as a whole could not be copied.
    pub error: Option<String>,
}

/// A message that could not be copied.
#[derive(Clone, Debug, Serialize)]
pub struct FailedMessage {
    /// UID at the old server.
    pub uid: u32,
    /// Why: the words of the server that refused.
    pub reason: String,
}

/// A whole move.
#[derive(Clone, Debug, Default, Serialize)]
pub struct MoveReport {
    /// What the servers said of themselves.
    pub servers: Servers,
    /// Mailboxes, in the order they were copied.
    pub mailboxes: Vec<MailboxReport>,
    /// Mailboxes left out, and why.
    pub skipped: Vec<LeftOut>,
    /// Subscriptions copied.
    pub subscriptions: u64,
    /// Access rights copied.
    pub access_rights: u64,
    /// Mailbox classes copied.
    pub classes: u64,
    /// Things a postmaster should know that lost no message.
    pub remarks: Vec<String>,
    /// Wall time.
    pub seconds: f64,
}

impl MoveReport {
    /// Messages copied in this run.
    #[must_use]
    pub fn copied(&self) -> u64 {
        self.mailboxes.iter().map(|m| m.copied).sum()
    }

    /// Messages and mailboxes that could not be copied.
    #[must_use]
    pub fn failures(&self) -> usize {
        self.mailboxes
            .iter()
            .map(|m| {
                m.failed.len() + usize::from(m.error.is_some()) + usize::from(m.held.is_some())
            })
            .sum()
    }

    /// The report for people.
    #[must_use]
    pub fn text(&self) -> String {
        let bytes: u64 = self.mailboxes.iter().map(|m| m.bytes).sum();
        let already: u64 = self.mailboxes.iter().map(|m| m.already_there).sum();
        let mut out = format!(
            "{} messages ({} octets) in {} mailboxes copied in {:.1} s",
            self.copied(),
            bytes,
            self.mailboxes.len(),
            self.seconds
        );
        if already > 0 {
            out.push_str(&format!(", {already} were there already"));
        }
        let sum = |of: fn(&MailboxReport) -> u64| self.mailboxes.iter().map(of).sum::<u64>();
        for (count, words) in [
            (sum(|m| m.to_copy), "would be copied"),
            (sum(|m| m.flags_changed), "got other flags"),
            (sum(|m| m.removed), "were deleted at the new server"),
            (sum(|m| m.deleted), "were deleted at the old server"),
        ] {
            if count > 0 {
                out.push_str(&format!(", {count} {words}"));
            }
        }
        out.push('\n');
        out.push_str(&lines(self.mailboxes.iter().map(|m| (m.source.as_str(), &m.kept))));
        for mailbox in &self.mailboxes {
            if let Some(error) = &mailbox.error {
                out.push_str(&format!("NOT COPIED {}: {error}\n", mailbox.source));
                out.push_str(&format!("    what to do: {}\n", advice::of_words(error)));
            }
            if let Some(held) = &mailbox.held {
                out.push_str(&format!("NOT DELETED {}: {held}\n", mailbox.source));
            }
            for failed in &mailbox.failed {
                out.push_str(&format!(
                    "NOT COPIED {} UID {}: {}\n",
                    mailbox.source, failed.uid, failed.reason
                ));
                out.push_str(&format!("    what to do: {}\n", advice::of_words(&failed.reason)));
            }
        }
        for remark in &self.remarks {
            out.push_str(remark);
            out.push('\n');
        }
        out
    }
}
