//! Copying one mailbox: list a window, leave out what is there or filtered, stream the rest from
//! one server into the other, try refused messages once more alone, note everything.

use angarium_imap::client::write;

use crate::date_filter::DateFilter;
use crate::error::{MoveError, Result};
use crate::journal::{BoxKey, Journal, MailboxJournal, Sent};
use crate::labels;
use crate::lanes::carry::{Load, carry};
use crate::lanes::hands::Hands;
use crate::lanes::prepare::Ready;
use crate::plan::{Planned, create};
use crate::progress::Progress;
use crate::report::{FailedMessage, MailboxReport};
use crate::resume;
use crate::session::Session;
use crate::source::{self, FetchStyle, Meta, Selected};
use crate::target::Outcome;

/// How mailboxes are copied in this run.
#[derive(Clone, Debug)]
pub(crate) struct CopyStyle {
    pub(crate) fetch: FetchStyle,
    pub(crate) by_one: bool,
    pub(crate) fold_at: Option<usize>,
    pub(crate) filter: DateFilter,
    pub(crate) delete: bool,
}

/// What a run works with.
pub(crate) struct Work<'a> {
    pub(crate) source: &'a mut Session,
    pub(crate) target: &'a mut Session,
    pub(crate) journal: &'a Journal,
    pub(crate) progress: &'a mut Progress,
    pub(crate) style: &'a CopyStyle,
    /// What all lanes share.
    pub(crate) hands: &'a Hands,
    /// What is known of the mailbox already; nothing after a connection was lost.
    pub(crate) ready: &'a Ready,
}

impl Work<'_> {
    /// Copies one mailbox. Only what ends the whole run is an error; the rest is in the report.
    pub(crate) async fn copy(&mut self, planned: &Planned) -> Result<MailboxReport> {
        let mut report = MailboxReport {
            source: planned.source.clone(),
            target: planned.target.clone(),
            ..MailboxReport::default()
        };
        if let Some(reason) = &self.ready.error {
            report.error = Some(reason.clone());
            return Ok(report);
        }
        if self.ready.target.is_none()
            && planned.selectable
            && let Err(reason) = create::mailbox(self.target, planned).await?
        {
            report.error = Some(reason);
            return Ok(report);
        }
        if !planned.selectable {
            return Ok(report);
        }
        let selected =
            match source::select(self.source, &planned.source_wire, self.style.delete).await {
                Ok(selected) => selected,
                Err(MoveError::Refused { reason, .. }) => {
                    report.error = Some(reason);
                    return Ok(report);
                }
                Err(e) => return Err(e),
            };
        self.progress.say(&format!(
            "{} -> {}: {} messages",
            planned.source, planned.target, selected.exists
        ));
        let mut confirmed = Vec::new();
        self.windows(planned, selected, &mut report, &mut confirmed).await?;
        if self.style.delete {
            self.delete(confirmed, &mut report).await?;
        }
        Ok(report)
    }

    async fn windows(
        &mut self,
        planned: &Planned,
        selected: Selected,
        report: &mut MailboxReport,
        confirmed: &mut Vec<u32>,
    ) -> Result<()> {
        let (validity, next) = match self.ready.target {
            Some(state) => (state.uid_validity, state.uid_next.unwrap_or(1)),
            None => target_state(self.target, planned).await?,
        };
        let key = BoxKey {
            source: planned.source.clone(),
            source_validity: selected.uid_validity,
            target: planned.target.clone(),
            target_validity: validity,
        };
        let mut known = self.journal.begin(key)?;
        let mut first = 1;
        while first <= selected.exists {
            let last = selected.exists.min(first.saturating_add(source::WINDOW - 1));
            let mut metas = source::list(self.source, first, last).await?;
            report.found += metas.len() as u64;
            let labels = &planned.labels;
            report.elsewhere += labels::apply(self.source, labels, &mut metas, first, last).await?;
            let validity = selected.uid_validity;
            self.window(planned, &metas, validity, &mut known, next, report, confirmed).await?;
            first = last + 1;
        }
        Ok(())
    }

    async fn window(
        &mut self,
        planned: &Planned,
        metas: &[Meta],
        validity: u32,
        known: &mut MailboxJournal,
        floor: u32,
        report: &mut MailboxReport,
        confirmed: &mut Vec<u32>,
    ) -> Result<()> {
        let mut wanted = Vec::with_capacity(metas.len());
        for (index, meta) in metas.iter().enumerate() {
            if !self.style.filter.takes((!meta.date.is_empty()).then_some(&*meta.date)) {
                report.filtered += 1;
            } else if known.pairs().contains(meta.uid) {
                report.already_there += 1;
            } else {
                wanted.push(index);
            }
        }
        if !wanted.is_empty() {
            let before = wanted.len();
            self.leave_out_found(planned, metas, &mut wanted, known).await?;
            report.already_there += (before - wanted.len()) as u64;
        }
        self.progress.passed_over((metas.len() - wanted.len()) as u64);
        let mut sending: Vec<u32> =
            wanted.iter().filter_map(|i| metas.get(*i)).map(|m| m.uid).collect();
        sending.sort_unstable();
        known.intend(&sending, floor)?;
        let load = Load { planned, validity, metas, wanted: &wanted, style: self.style };
        let outcome = self.carry(&load, known).await?;
        let done = outcome.done;
        report.filtered += outcome.left_out.len() as u64;
        report.failed.extend(outcome.failed.into_iter().filter_map(|(index, reason)| {
            metas.get(index).map(|m| FailedMessage { uid: m.uid, reason })
        }));
        known.sure()?;
        report.copied += done.len() as u64;
        report.bytes += done.iter().filter_map(|(i, _)| metas.get(*i)).map(|m| m.size).sum::<u64>();
        if self.style.delete {
            let at_target = metas.iter().map(|m| m.uid).filter(|uid| known.pairs().contains(*uid));
            confirmed.extend(at_target);
            confirmed.extend(done.iter().filter_map(|(i, _)| metas.get(*i)).map(|m| m.uid));
        }
        Ok(())
    }

    async fn leave_out_found(
        &mut self,
        planned: &Planned,
        metas: &[Meta],
        wanted: &mut Vec<usize>,
        known: &mut MailboxJournal,
    ) -> Result<()> {
        let Some(doubt) = known.doubt() else { return Ok(()) };
        let doubted = |m: &&Meta| match &doubt.sent {
            Sent::Any => true,
            Sent::These(uids) => uids.binary_search(&m.uid).is_ok(),
        };
        let todo: Vec<Meta> =
            wanted.iter().filter_map(|i| metas.get(*i)).filter(doubted).cloned().collect();
        if todo.is_empty() {
            return Ok(());
        }
        let pairs = resume::found_at_target(
            self.source,
            self.target,
            &planned.target_wire,
            &todo,
            known.pairs(),
            doubt.floor,
        )
        .await?;
        let flags: std::collections::HashMap<u32, &str> =
            todo.iter().map(|m| (m.uid, &*m.flags)).collect();
        let pairs: Vec<(u32, u32, &str)> = pairs
            .into_iter()
            .map(|(uid, there)| (uid, there, flags.get(&uid).copied().unwrap_or_default()))
            .collect();
        known.confirmed(&pairs)?;
        wanted.retain(|i| metas.get(*i).is_none_or(|m| !known.pairs().contains(m.uid)));
        Ok(())
    }

    async fn carry(&mut self, load: &Load<'_>, known: &mut MailboxJournal) -> Result<Outcome> {
        let progress = &mut *self.progress;
        let mut told = |done: &[(usize, Option<u32>)], _validity: Option<u32>| {
            let pairs: Vec<(u32, u32, &str)> = done
                .iter()
                .filter_map(|(index, uid)| {
                    let meta = load.metas.get(*index)?;
                    Some((meta.uid, uid.unwrap_or(0), &*meta.flags))
                })
                .collect();
            let bytes = done.iter().filter_map(|(i, _)| load.metas.get(*i)).map(|m| m.size).sum();
            progress.copied(done.len() as u64, bytes);
            known.confirmed(&pairs)
        };
        carry(self.source, self.target, self.hands, load, &mut told).await
    }

    /// Deletes at the old server what the new one has confirmed, and nothing else: the mailbox is
    /// never closed with CLOSE, which would take along what the user had marked before.
    async fn delete(&mut self, mut uids: Vec<u32>, report: &mut MailboxReport) -> Result<()> {
        uids.sort_unstable();
        uids.dedup();
        let precise = self.source.has("UIDPLUS");
        for part in uids.chunks(1000) {
            let set = write::set(part);
            let store = format!("UID STORE {set} +FLAGS.SILENT (\\Deleted)");
            self.source.insist("STORE", store.as_bytes()).await?;
            if precise {
                self.source.insist("EXPUNGE", format!("UID EXPUNGE {set}").as_bytes()).await?;
            }
        }
        // Without UIDPLUS an EXPUNGE takes every marked message; it is safe only when each message
        // of the mailbox is at the new server.
        if !precise && !uids.is_empty() && uids.len() as u64 == report.found {
            self.source.insist("EXPUNGE", b"EXPUNGE").await?;
        }
        report.deleted = uids.len() as u64;
        Ok(())
    }
}

/// UIDVALIDITY and UIDNEXT of the target, 0 and 1 if it does not tell.
pub(crate) async fn target_state(target: &mut Session, planned: &Planned) -> Result<(u32, u32)> {
    let told = target.status(&planned.target_wire, "UIDVALIDITY UIDNEXT").await?;
    let item =
        |name: &str| told.iter().find(|(n, _)| n == name).and_then(|(_, v)| u32::try_from(*v).ok());
    Ok((item("UIDVALIDITY").unwrap_or(0), item("UIDNEXT").unwrap_or(1)))
}
