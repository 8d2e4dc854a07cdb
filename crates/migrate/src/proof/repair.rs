//! `--repair`: what a comparison found is mended at the new server. Missing messages are copied,
//! flags set as they are at the old server, and a message with the wrong date is copied anew and
//! the wrong one removed, where that can be done safely. Doubles are only told.

use std::collections::{BTreeMap, HashMap};

use angarium_imap::client::write;

use crate::error::{MoveError, Result};
use crate::keep_ids::MailboxIds;
use crate::labels;
use crate::lanes::carry::{Load, carry};
use crate::lanes::hands::Hands;
use crate::plan::{Planned, create};
use crate::printable::printable;
use crate::proof::compare::Finding;
use crate::proof::read::joined;
use crate::run::Move;
use crate::session::Session;
use crate::source::{self, Meta};
use crate::target::Outcome;
use crate::verify::{Repaired, VerifyReport};

/// Most UIDs of one STORE.
const SET: usize = 500;
/// Longest words of a server shown, characters.
const SHOWN: usize = 200;

/// What is to be mended in one mailbox: UIDs at the old server, some with the UID at the new one.
#[derive(Debug, Default)]
pub(crate) struct Todo {
    missing: Vec<u32>,
    flags: HashMap<u32, u32>,
    dates: HashMap<u32, u32>,
}

impl Todo {
    /// Notes a finding.
    pub(crate) fn note(&mut self, finding: &Finding) {
        match finding {
            Finding::Missing(old) => self.missing.push(old.uid),
            Finding::Flags { old, new } => drop(self.flags.insert(old.uid, new.uid)),
            Finding::Date { old, new } => drop(self.dates.insert(old.uid, new.uid)),
            Finding::Size { .. } | Finding::Double(_) => {}
        }
    }
}

/// Mends what is noted, by the names mailboxes are joined by. Answers what was done; what could
/// not be is told in the report's remarks.
pub(crate) async fn mend(
    run: &Move,
    source: &mut Session,
    target: &mut Session,
    plan: &[Planned],
    todo: &BTreeMap<String, Todo>,
    report: &mut VerifyReport,
) -> Result<Repaired> {
    let mut repaired = Repaired::default();
    let hands = Hands::new(run.sides.clone(), run.pace.clone(), None, 0);
    for planned in plan.iter().filter(|p| p.selectable) {
        let Some(todo) = todo.get(&joined(planned)) else { continue };
        if planned.merged {
            report
                .remarks
                .push(format!("{}: not mended, several mailboxes became this one", planned.target));
            continue;
        }
        let mut mending =
            Mending { run, hands: &hands, planned, todo, repaired: &mut repaired, report };
        match Box::pin(mending.mailbox(source, target)).await {
            Err(MoveError::Refused { reason, .. }) => {
                let words = printable(&reason, SHOWN);
                report.remarks.push(format!("{}: not mended: {words}", planned.source));
            }
            other => other?,
        }
    }
    Ok(repaired)
}

struct Mending<'a> {
    run: &'a Move,
    hands: &'a Hands,
    planned: &'a Planned,
    todo: &'a Todo,
    repaired: &'a mut Repaired,
    report: &'a mut VerifyReport,
}

impl Mending<'_> {
    async fn mailbox(&mut self, source: &mut Session, target: &mut Session) -> Result<()> {
        if let Err(reason) = create::mailbox(target, self.planned).await? {
            self.report.remarks.push(format!("{}: {reason}", self.planned.target));
            return Ok(());
        }
        // A message with the wrong date can be taken away alone only with UIDPLUS (RFC 4315).
        let replace = target.has("UIDPLUS");
        if !replace && !self.todo.dates.is_empty() {
            let name = &self.planned.target;
            self.report
                .remarks
                .push(format!("{name}: dates are not mended, the new server has no UIDPLUS"));
        }
        let missing: std::collections::HashSet<u32> = self.todo.missing.iter().copied().collect();
        let selected = source::select(source, &self.planned.source_wire, false).await?;
        let mut first = 1;
        while first <= selected.exists {
            let last = selected.exists.min(first.saturating_add(source::WINDOW - 1));
            let mut metas = source::list(source, first, last).await?;
            let which = format!("FETCH {first}:{last}");
            labels::apply(source, &self.planned.labels, &mut metas, &which).await?;
            let again = |m: &Meta| {
                missing.contains(&m.uid) || (replace && self.todo.dates.contains_key(&m.uid))
            };
            let wanted: Vec<usize> =
                metas.iter().enumerate().filter(|(_, m)| again(m)).map(|(n, _)| n).collect();
            let flags: Vec<&Meta> =
                metas.iter().filter(|m| self.todo.flags.contains_key(&m.uid)).collect();
            if !flags.is_empty() {
                self.set_flags(target, &flags).await?;
            }
            if !wanted.is_empty() {
                let outcome =
                    self.copy((source, target), selected.uid_validity, &metas, &wanted).await?;
                self.copied(target, &metas, outcome).await?;
            }
            first = last + 1;
        }
        Ok(())
    }

    async fn set_flags(&mut self, target: &mut Session, metas: &[&Meta]) -> Result<()> {
        let mut by_flags: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
        for meta in metas {
            if let Some(uid) = self.todo.flags.get(&meta.uid)
                // A message whose date is wrong comes anew, with its flags.
                && !(target.has("UIDPLUS") && self.todo.dates.contains_key(&meta.uid))
            {
                by_flags.entry(&meta.flags).or_default().push(*uid);
            }
        }
        source::select(target, &self.planned.target_wire, true).await?;
        for (flags, mut uids) in by_flags {
            uids.sort_unstable();
            for part in uids.chunks(SET) {
                let line = format!("UID STORE {} FLAGS.SILENT ({flags})", write::set(part));
                let answer = target.command(line.as_bytes()).await?;
                if answer.is_ok() {
                    self.repaired.flags += part.len() as u64;
                } else {
                    self.report.remarks.push(format!(
                        "{}: flags ({flags}) not set: {}",
                        self.planned.target,
                        printable(&answer.text, SHOWN)
                    ));
                }
            }
        }
        // Not left open: its news would come between the answers to what follows.
        leave(target).await
    }

    async fn copy(
        &self,
        sides: (&mut Session, &mut Session),
        validity: u32,
        metas: &[Meta],
        wanted: &[usize],
    ) -> Result<Outcome> {
        let (source, target) = sides;
        let style = self.run.style();
        // What is repaired comes late: it gets new numbers.
        let ids = &MailboxIds::default();
        let load = Load { planned: self.planned, validity, metas, wanted, style: &style, ids };
        let mut told = |_: &[(usize, Option<u32>)], _: Option<u32>| Ok(());
        Box::pin(carry(source, target, self.hands, &load, &mut told)).await
    }

    /// Counts what came, and removes those whose date was wrong now that they are there anew.
    async fn copied(
        &mut self,
        target: &mut Session,
        metas: &[Meta],
        outcome: Outcome,
    ) -> Result<()> {
        for (index, reason) in outcome.failed.iter().chain(&outcome.left_out) {
            let uid = metas.get(*index).map_or(0, |m| m.uid);
            self.report.remarks.push(format!(
                "{} UID {uid}: not copied: {}",
                self.planned.source,
                printable(reason, SHOWN)
            ));
        }
        let mut old = Vec::new();
        for (index, _) in &outcome.done {
            let uid = metas.get(*index).map_or(0, |m| m.uid);
            match self.todo.dates.get(&uid) {
                Some(wrong) => old.push(*wrong),
                None => self.repaired.copied += 1,
            }
        }
        if old.is_empty() {
            return Ok(());
        }
        old.sort_unstable();
        source::select(target, &self.planned.target_wire, true).await?;
        for part in old.chunks(SET) {
            let set = write::set(part);
            let store = format!("UID STORE {set} +FLAGS.SILENT (\\Deleted)");
            target.insist("STORE", store.as_bytes()).await?;
            target.insist("EXPUNGE", format!("UID EXPUNGE {set}").as_bytes()).await?;
            self.repaired.dates += part.len() as u64;
        }
        leave(target).await
    }
}

/// Leaves the open mailbox without expunging.
async fn leave(session: &mut Session) -> Result<()> {
    if session.has("UNSELECT") {
        session.command(b"UNSELECT").await?;
    } else {
        // Opening one that is not there closes the open one (RFC 9051 section 6.3.2).
        session.command(b"EXAMINE \"/no such mailbox\"").await?;
    }
    Ok(())
}
