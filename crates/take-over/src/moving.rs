//! What a copy of one account is: the engine of the Move programs, by IMAP or by POP, from the old
//! server into the account's door here, and how it ended. It must never know when copies are due.

use std::path::Path;
use std::time::Duration;

use angarium_migrate::endpoint::{Endpoint, TlsPolicy};
use angarium_migrate::error::MoveError;
use angarium_migrate::login::Credentials;
use angarium_migrate::options::keeping::KeepingOptions;
use angarium_migrate::options::pace::PaceOptions;
use angarium_migrate::options::selection::SelectionOptions;
use angarium_migrate::options::sides::Sides;
use angarium_migrate::pop::{PopMove, PopReport, Recipient, Way};
use angarium_migrate::progress::{LiveCounts, Show};
use angarium_migrate::report::MoveReport;
use angarium_migrate::run::Move;
use angarium_migrate::trust::Trust;
use angarium_objects::settings::{OldServer, OldTls};
use clap::Parser;

use crate::copying::Opened;
use crate::line::{Due, due};

/// Longest wait for a word of a POP server; large maildrops are opened slowly.
const POP_PATIENCE: Duration = Duration::from_secs(120);
/// How often a lost POP connection is made anew in one copy.
const POP_RETRIES: u32 = 3;

/// Both servers of a copy.
fn sides(old: &OldServer, opened: &Opened) -> Result<(Endpoint, Endpoint), String> {
    let text = |e: MoveError| e.to_string();
    let mut source = Endpoint::parse(&old.server.host, old.server.port).map_err(text)?;
    source.tls = match due(&old.server, old.tls) {
        Due::AtOnce => TlsPolicy::Implicit,
        Due::ByCommand => TlsPolicy::StartTls,
        Due::Never => TlsPolicy::Never,
    };
    source.trust = if old.tls == OldTls::Unverified { Trust::Any } else { Trust::System };
    let (ip, port) = (opened.address.ip().to_string(), opened.address.port());
    let mut target = Endpoint::parse(&ip, port).map_err(text)?;
    target.tls = TlsPolicy::Never;
    Ok((source, target))
}

/// The usual options of the mover.
#[derive(Parser)]
struct Usual {
    #[command(flatten)]
    pace: PaceOptions,
    #[command(flatten)]
    selection: SelectionOptions,
    #[command(flatten)]
    keeping: KeepingOptions,
}

/// The move of one account by IMAP.
///
/// # Errors
/// Why it cannot be described, for the log.
pub(crate) fn by_imap(
    old: &OldServer,
    login: &str,
    password: &str,
    opened: &Opened,
    journal: &Path,
) -> Result<Move, String> {
    let usual = Usual::try_parse_from(["take-over"]).map_err(|e| e.to_string())?;
    let keeping = KeepingOptions { journal: Some(journal.to_owned()), ..usual.keeping };
    let text = |e: MoveError| e.to_string();
    let (source, target) = sides(old, opened)?;
    Ok(Move {
        sides: Sides {
            source: (source, Credentials::new(login, password)),
            target: (target, Credentials::new(opened.name.as_str(), opened.password.as_str())),
        },
        choice: usual.selection.choice().map_err(text)?,
        pace: usual.pace.pace().map_err(text)?,
        keeping: keeping.keeping("").map_err(text)?,
        show: Show::Quiet,
        counts: LiveCounts::default(),
    })
}

/// The move of one account by POP: the maildrop into the INBOX, dates of arrival as the messages
/// tell them.
///
/// # Errors
/// Why it cannot be described, for the log.
pub(crate) fn by_pop(
    old: &OldServer,
    login: &str,
    password: &str,
    opened: &Opened,
    journal: &Path,
) -> Result<PopMove, String> {
    let (source, target) = sides(old, opened)?;
    Ok(PopMove {
        source,
        login: Credentials::new(login, password),
        target: Recipient {
            endpoint: target,
            way: Way::Imap,
            login: Some(Credentials::new(opened.name.as_str(), opened.password.as_str())),
            hello: "localhost".to_owned(),
        },
        delete: false,
        timeout: POP_PATIENCE,
        retries: POP_RETRIES,
        journal: Some(journal.to_owned()),
        show: Show::Quiet,
        counts: LiveCounts::default(),
    })
}

/// How a copy ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Copied {
    /// Messages copied.
    pub(crate) messages: u64,
    /// Their octets.
    pub(crate) octets: u64,
    /// Messages and mailboxes that were not.
    pub(crate) failures: u64,
    /// Why not all was copied; empty when all was.
    pub(crate) trouble: String,
}

impl Copied {
    /// A copy that never began, and why.
    pub(crate) fn not_begun(why: String) -> Self {
        Self { trouble: why, ..Self::default() }
    }

    /// True when all was copied.
    pub(crate) fn is_whole(&self) -> bool {
        self.trouble.is_empty()
    }

    /// What a move by IMAP says.
    pub(crate) fn by_imap(ended: Result<MoveReport, MoveError>) -> Self {
        let report = match ended {
            Ok(report) => report,
            Err(why) => return Self::not_begun(why.to_string()),
        };
        let failures = report.failures() as u64;
        let first = report.mailboxes.iter().find_map(|one| {
            let failed = one.failed.first();
            let message = failed.map(|f| format!("UID {}: {}", f.uid, f.reason));
            let why = one.error.clone().or(message)?;
            Some(format!("{}: {why}", one.source))
        });
        Self {
            messages: report.copied(),
            octets: report.mailboxes.iter().map(|one| one.bytes).sum(),
            failures,
            trouble: told(failures, first),
        }
    }

    /// What a move by POP says; what it did before it broke off counts.
    pub(crate) fn by_pop(report: &PopReport, ended: Result<(), MoveError>) -> Self {
        let failures = report.failed.len() as u64;
        let first = report.failed.first().map(angarium_migrate::pop::FailedLetter::line);
        let trouble = match ended {
            Ok(()) => told(failures, first),
            Err(why) => why.to_string(),
        };
        Self { messages: report.copied, octets: report.bytes, failures, trouble }
    }
}

fn told(failures: u64, first: Option<String>) -> String {
    match failures {
        0 => String::new(),
        _ => format!("not copied: {}", first.unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use angarium_migrate::error::Side;
    use angarium_migrate::pop::FailedLetter;
    use angarium_migrate::report::{FailedMessage, MailboxReport};

    // MIG-50
    #[test]
    fn mig_50_a_copy_is_whole_when_nothing_was_left_out() {
        let mut mailbox =
            MailboxReport { source: "INBOX".into(), copied: 3, bytes: 90, ..Default::default() };
        let report = MoveReport { mailboxes: vec![mailbox.clone()], ..Default::default() };
        let copied = Copied::by_imap(Ok(report));
        assert!(copied.is_whole() && (copied.messages, copied.octets) == (3, 90));
        mailbox.failed.push(FailedMessage { uid: 7, reason: "too large".into() });
        let report = MoveReport { mailboxes: vec![mailbox], ..Default::default() };
        let copied = Copied::by_imap(Ok(report));
        assert_eq!((copied.failures, copied.messages), (1, 3));
        assert_eq!(copied.trouble, "not copied: INBOX: UID 7: too large");
    }

    // MIG-50
    #[test]
    fn mig_50_what_came_by_pop_before_a_connection_broke_counts() {
        let mut report = PopReport { copied: 5, bytes: 500, ..Default::default() };
        assert!(Copied::by_pop(&report, Ok(())).is_whole());
        let lost = MoveError::Lost { side: Side::Source, reason: "closed".into() };
        let copied = Copied::by_pop(&report, Err(lost));
        assert!(!copied.is_whole() && copied.messages == 5);
        report.failed.push(FailedLetter {
            number: 2,
            uid: Some("x".into()),
            octets: Some(10),
            shown: String::new(),
            reason: "NUL".into(),
            later: false,
        });
        let copied = Copied::by_pop(&report, Ok(()));
        assert_eq!(copied.trouble, "not copied: message 2 (UIDL x), 10 octets: NUL");
    }
}
