//! The report of one account moved by POP: what was copied, what was not and why.

use serde::Serialize;

/// A message that could not be copied.
#[derive(Clone, Debug, Serialize)]
pub struct FailedLetter {
    /// Its number in this session of the old server.
    pub number: u32,
    /// Its unique id, if the server has them.
    pub uid: Option<String>,
    /// Octets as the old server tells them.
    pub octets: Option<u64>,
    /// Sender, subject and date, where the message could be read.
    pub shown: String,
    /// Why: the words of the server that refused.
    pub reason: String,
    /// The same may work later.
    pub later: bool,
}

/// The move of one account.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PopReport {
    /// Messages at the old server.
    pub found: u64,
    /// Messages copied in this run.
    pub copied: u64,
    /// Octets copied in this run.
    pub bytes: u64,
    /// Messages an earlier run had copied.
    pub already_there: u64,
    /// Messages deleted at the old server (`--delete`).
    pub deleted: u64,
    /// Messages that could not be copied.
    pub failed: Vec<FailedLetter>,
    /// Things a postmaster should know that lost no message.
    pub remarks: Vec<String>,
    /// Wall time.
    pub seconds: f64,
}

impl PopReport {
    /// The report for people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = format!(
            "{} of {} messages ({} octets) copied in {:.1} s",
            self.copied, self.found, self.bytes, self.seconds
        );
        if self.already_there > 0 {
            out.push_str(&format!(", {} were there already", self.already_there));
        }
        if self.deleted > 0 {
            out.push_str(&format!(", {} deleted at the old server", self.deleted));
        }
        out.push('\n');
        for failed in &self.failed {
            out.push_str(&format!("NOT COPIED {}\n", failed.line()));
        }
        for remark in &self.remarks {
            out.push_str(remark);
            out.push('\n');
        }
        out
    }
}

impl FailedLetter {
    /// Which message it is.
    #[must_use]
    pub fn what(&self) -> String {
        let mut out = format!("message {}", self.number);
        if let Some(uid) = &self.uid {
            out.push_str(&format!(" (UIDL {uid})"));
        }
        if let Some(octets) = self.octets {
            out.push_str(&format!(", {octets} octets"));
        }
        if !self.shown.is_empty() {
            out.push_str(&format!(" [{}]", self.shown));
        }
        out
    }

    /// In one line, with the reason.
    #[must_use]
    pub fn line(&self) -> String {
        let when = if self.later { " (run it again later)" } else { "" };
        format!("{}: {}{when}", self.what(), self.reason)
    }
}
