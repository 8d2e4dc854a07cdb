//! How one account of a list is moved: by the engine of MovePOPMail or of MoveIMAPMail, with the
//! parameters that the single program would have got.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Instant;

use super::asking::{self, Asking};
use super::list::Row;
use super::outcome::Outcome;
use crate::advice;
use crate::error::{MoveError, Result, Side};
use crate::options::sides::SideNames;
use crate::options::spelling;
use crate::pop::PopReport;
use crate::progress::{LiveCounts, Show};
use crate::report::MoveReport;
use crate::{move_imap_mail, move_pop_mail};

/// The engine and its parameters; the two servers stand in them.
#[derive(Clone, Debug)]
pub enum Mover {
    /// MovePOPMail
    Pop(Box<move_pop_mail::Arguments>),
    /// MoveIMAPMail
    Imap(Box<move_imap_mail::Arguments>),
}

/// Parameters that mean nothing for a list: they stay for ever, or name one file for one account.
const NOT_FOR_LISTS: &[&str] = &[
    "--follow",
    "--plan",
    "--manifest1",
    "--manifest2",
    "--reportText",
    "--reportJson",
    "--reportHtml",
    "--report-text",
    "--report-json",
    "--report-html",
];

/// Connections to each server for one account of many, unless `--connections` says otherwise.
const CONNECTIONS: usize = 2;

impl Mover {
    /// Reads the supplementary parameters as the single program would.
    ///
    /// # Errors
    /// What clap says: parameters the program does not know, or help that was asked for.
    pub fn parse(
        imap: bool,
        source: &str,
        target: &str,
        parameters: &[OsString],
    ) -> std::result::Result<Self, clap::Error> {
        for word in parameters {
            let word = word.to_string_lossy();
            let name = word.split('=').next().unwrap_or_default();
            if NOT_FOR_LISTS.contains(&name) {
                let why = format!("{name} is for one account, not for a list\n");
                return Err(clap::Error::raw(clap::error::ErrorKind::InvalidValue, why));
            }
        }
        let words = |program: &str, rest: &[&str]| {
            std::iter::once(OsString::from(program))
                .chain(parameters.iter().cloned())
                .chain(rest.iter().map(OsString::from))
                .collect::<Vec<_>>()
        };
        if imap {
            let line = words("MoveIMAPMail", &[source, "-", "-", target, "-", "-"]);
            let arguments = spelling::parse(move_imap_mail::joined(line))?;
            return Ok(Self::Imap(Box::new(arguments)));
        }
        let line = words("MovePOPMail", &[source, "-", "-", target, "-"]);
        Ok(Self::Pop(Box::new(spelling::parse(line)?)))
    }

    /// The old server.
    #[must_use]
    pub fn source(&self) -> &str {
        match self {
            Self::Pop(arguments) => &arguments.names.pop_server,
            Self::Imap(arguments) => &arguments.names.old_server,
        }
    }

    /// The new server.
    #[must_use]
    pub fn target(&self) -> &str {
        match self {
            Self::Pop(arguments) => &arguments.names.smtp_server,
            Self::Imap(arguments) => &arguments.names.new_server,
        }
    }

    /// True with `--verbose` among the parameters.
    #[must_use]
    pub fn is_verbose(&self) -> bool {
        match self {
            Self::Pop(arguments) => arguments.verbose,
            Self::Imap(arguments) => arguments.proof.verbose,
        }
    }

    /// True when no password of the list is needed: it comes from a file for all.
    #[must_use]
    pub fn has_password_for_all(&self) -> bool {
        match self {
            Self::Pop(arguments) => arguments.sides.old_password_file.is_some(),
            Self::Imap(arguments) => {
                arguments.sides.old_password_file.is_some()
                    && arguments.sides.new_password_file.is_some()
            }
        }
    }

    /// Moves one account; `live` shows its numbers meanwhile. Where a login is refused, `asking` says
    /// whom to ask about the name.
    pub(super) async fn run(&self, row: &Row, live: LiveCounts, asking: &Asking) -> Outcome {
        let begun = Instant::now();
        let mut outcome = match self {
            Self::Pop(arguments) => Box::pin(by_pop(arguments, row, live)).await,
            Self::Imap(arguments) => Box::pin(by_imap(arguments, row, live)).await,
        };
        let at = match outcome.refused {
            Some(Side::Source) => asking.source.as_ref().map(|at| (Side::Source, at, &row.name)),
            Some(Side::Target) => {
                asking.target.as_ref().map(|at| (Side::Target, at, &row.new_name))
            }
            None => None,
        };
        if let Some((side, at, name)) = at {
            outcome.login_advice(side, asking::knows(at, name).await);
        }
        outcome.seconds = begun.elapsed().as_secs_f64();
        outcome
    }
}

/// `--journal` names a directory here, with a file for each account.
fn journal(given: Option<&PathBuf>, row: &Row) -> Option<PathBuf> {
    let what = format!("{:?}\n{}\n{}", row.server, row.name, row.new_name);
    let name = blake3::hash(what.as_bytes()).to_hex();
    given.map(|directory| directory.join(format!("{}.journal", name.get(..32).unwrap_or(&name))))
}

async fn by_pop(arguments: &move_pop_mail::Arguments, row: &Row, live: LiveCounts) -> Outcome {
    let mut outcome = Outcome::new(row);
    let mut arguments = arguments.clone();
    if let Some(server) = &row.server {
        arguments.names.pop_server.clone_from(server);
    }
    arguments.names.pop_name.clone_from(&row.name);
    arguments.names.pop_password.clone_from(&row.password);
    arguments.names.smtp_recipient.clone_from(&row.new_name);
    arguments.names.new_password.clone_from(&row.new_password);
    arguments.names.from_list = true;
    arguments.journal = journal(arguments.journal.as_ref(), row);
    let mut report = PopReport::default();
    let ended = match arguments.to_move() {
        Ok(mut run) => {
            run.show = Show::Quiet;
            run.counts = live;
            run.run(&mut report).await
        }
        Err(error) => Err(error),
    };
    outcome.copied = report.copied;
    outcome.bytes = report.bytes;
    outcome.already_there = report.already_there;
    outcome.deleted = report.deleted;
    for failed in &report.failed {
        let advice = advice::of_words(&failed.reason);
        outcome.trouble(failed.what(), failed.reason.clone(), advice);
    }
    let later = report.failed.iter().any(|failed| failed.later);
    outcome.remarks = report.remarks;
    outcome.settle(ended);
    outcome.later |= later;
    outcome
}

async fn by_imap(arguments: &move_imap_mail::Arguments, row: &Row, live: LiveCounts) -> Outcome {
    let mut outcome = Outcome::new(row);
    let mut arguments = arguments.clone();
    arguments.names = SideNames {
        old_server: row.server.clone().unwrap_or(arguments.names.old_server),
        old_name: row.name.clone(),
        old_password: row.password.clone(),
        new_server: arguments.names.new_server,
        new_name: row.new_name.clone(),
        new_password: row.new_password.clone(),
        from_list: true,
    };
    arguments.keeping.journal = journal(arguments.keeping.journal.as_ref(), row);
    // Several accounts at a time are several connections already.
    arguments.pace.connections = arguments.pace.connections.or(Some(CONNECTIONS));
    let ended = Box::pin(imap_steps(&arguments, &live, &mut outcome)).await;
    if ended.is_err() && outcome.copied == 0 {
        let counts = live.get();
        (outcome.copied, outcome.bytes) = (counts.messages, counts.bytes);
    }
    let partly = !outcome.troubles.is_empty();
    outcome.settle(ended);
    outcome.later |= partly;
    outcome
}

async fn imap_steps(
    arguments: &move_imap_mail::Arguments,
    live: &LiveCounts,
    outcome: &mut Outcome,
) -> Result<()> {
    let mut run = arguments.to_move()?;
    run.show = Show::Quiet;
    run.counts = live.clone();
    let proof = &arguments.proof;
    if !proof.verify_only {
        take(outcome, run.run().await?);
    }
    if proof.verifies() {
        let verified = run.prove(&proof.proof()).await?;
        outcome.differences = Some(verified.differences);
        if verified.differences > 0 {
            let words = verified.text();
            let reason: String = words.chars().take(2_000).collect();
            outcome.trouble(
                "the comparison".into(),
                reason,
                "run the same command again; what still differs was changed by somebody, or is to \
                 be copied by hand",
            );
        }
    }
    Ok::<(), MoveError>(())
}

fn take(outcome: &mut Outcome, report: MoveReport) {
    outcome.copied = report.copied();
    for mailbox in report.mailboxes {
        outcome.bytes += mailbox.bytes;
        outcome.already_there += mailbox.already_there;
        outcome.deleted += mailbox.deleted;
        if let Some(error) = mailbox.error {
            let advice = advice::of_words(&error);
            outcome.trouble(format!("mailbox {}", mailbox.source), error, advice);
        }
        for failed in mailbox.failed {
            let advice = advice::of_words(&failed.reason);
            let what = format!("mailbox {}, message with UID {}", mailbox.source, failed.uid);
            outcome.trouble(what, failed.reason, advice);
        }
    }
    outcome.remarks = report.remarks;
}
