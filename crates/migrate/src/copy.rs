//! Copying one mailbox: find out what of it is to be done, by the journal, by what the old server
//! says has changed, or by looking at both sides; have it carried, window by window; bring flags
//! and deletions after; note everything.

use angarium_imap::client::write;

use crate::date_filter::DateFilter;
use crate::error::{MoveError, Result};
use crate::journal::{BoxKey, Journal, MailboxJournal, Same, Sent};
use crate::keep_ids::{KeepIds, MailboxIds};
use crate::labels;
use crate::lanes::carry::{Load, carry};
use crate::lanes::hands::Hands;
use crate::lanes::prepare::{BoxState, Ready};
use crate::plan::{Planned, create};
use crate::progress::Progress;
use crate::report::{FailedMessage, MailboxReport};
use crate::session::Session;
use crate::source::{self, FetchStyle, Meta, Selected};
use crate::stop::Stop;
use crate::sync::flags::{self, FlagPolicy, FlagWork};
use crate::sync::settle::{Looking, settle};
use crate::sync::{SyncStyle, changes, deletions, entries};
use crate::target::Outcome;

/// How mailboxes are copied in this run.
#[derive(Clone, Debug)]
pub(crate) struct CopyStyle {
    pub(crate) fetch: FetchStyle,
    pub(crate) by_one: bool,
    pub(crate) fold_at: Option<usize>,
    pub(crate) filter: DateFilter,
    pub(crate) delete: bool,
    pub(crate) sync: SyncStyle,
    pub(crate) stop: Stop,
    pub(crate) keep: KeepIds,
}

impl CopyStyle {
    /// Stands for everything that decides what is to be done with a mailbox: a mailbox that was
    /// finished under other options is not finished under these.
    fn what(&self, max_size: Option<u64>) -> String {
        let all = (self.fold_at, self.filter, self.delete, self.sync.flags, max_size);
        let deletes = self.sync.deletes.is_some();
        let hash =
            blake3::hash(format!("{all:?} {deletes}{}", self.keep.what()).as_bytes()).to_hex();
        hash.get(..16).unwrap_or_default().to_owned()
    }
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
    /// What of the source's numbers is kept in this mailbox.
    pub(crate) ids: MailboxIds,
}

/// Which messages of the source may be new.
enum Look {
    /// Any: all are listed.
    Whole,
    /// These.
    At(Vec<u32>),
}

/// What is to be done with one mailbox beside carrying new messages.
struct Todo {
    look: Look,
    flags: FlagWork,
    /// Messages that vanished at the source; `None` if that is not known.
    vanished: Option<Vec<u32>>,
}

/// One mailbox being copied.
struct Current<'a> {
    planned: &'a Planned,
    selected: Selected,
    known: MailboxJournal,
    /// UIDNEXT of the target before anything is sent.
    floor: u32,
    report: MailboxReport,
    /// Messages that may be deleted at the source.
    confirmed: Vec<u32>,
    /// Every message of the source was listed.
    whole: bool,
}

/// The report of a mailbox that needs no look at all: it holds no messages, or the source is as it
/// was when everything these options ask for was done.
pub(crate) fn nothing_to_do(
    journal: &Journal,
    planned: &Planned,
    ready: &Ready,
    style: &CopyStyle,
    max_size: Option<u64>,
) -> Option<MailboxReport> {
    if !planned.selectable {
        return Some(MailboxReport {
            source: planned.source.clone(),
            target: planned.target.clone(),
            error: ready.error.clone(),
            ..MailboxReport::default()
        });
    }
    let (source, target) = (ready.source?, ready.target?);
    let key = BoxKey {
        source: planned.source.clone(),
        source_validity: source.uid_validity,
        target: planned.target.clone(),
        target_validity: target.uid_validity,
    };
    let (same, known) = journal.finished(&key)?;
    let now = same_of(&source, style.what(max_size))?;
    // Without a counter of changes they may have changed unseen.
    let sure = match style.sync.flags {
        FlagPolicy::Changes => now.modseq != 0,
        // They may have changed at the target.
        FlagPolicy::Source => false,
        FlagPolicy::None => true,
    };
    (sure && same == now).then(|| MailboxReport {
        source: planned.source.clone(),
        target: planned.target.clone(),
        found: source.messages,
        already_there: known.min(source.messages),
        filtered: source.messages.saturating_sub(known),
        ..MailboxReport::default()
    })
}

fn same_of(source: &BoxState, what: String) -> Option<Same> {
    Some(Same {
        what,
        uid_next: source.uid_next?,
        messages: u32::try_from(source.messages).ok()?,
        modseq: source.highest_modseq.unwrap_or(0),
    })
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
            && !self.style.sync.dry_run
            && let Err(reason) = create::mailbox(self.target, planned).await?
        {
            report.error = Some(reason);
            return Ok(report);
        }
        if !planned.selectable {
            return Ok(report);
        }
        if !self.style.sync.dry_run {
            self.ids =
                self.style.keep.prepare(self.source, self.target, planned, self.ready).await?;
        }
        let delete = self.style.delete && !self.style.sync.dry_run;
        let selected = match source::select(self.source, &planned.source_wire, delete).await {
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
        self.source.forget_expunged();
        let (validity, floor, there) = match self.ready.target.filter(|_| !self.ids.has_changed()) {
            Some(state) => (state.uid_validity, state.uid_next.unwrap_or(1), state.messages),
            None => target_state(self.target, planned).await?,
        };
        let mut known = self.journal.begin(BoxKey {
            source: planned.source.clone(),
            source_validity: selected.uid_validity,
            target: planned.target.clone(),
            target_validity: validity,
        })?;
        if let Some(object) = selected.object.filter(|_| !self.style.sync.dry_run) {
            known.is_object(object)?;
        }
        let mut current = Current {
            planned,
            selected,
            known,
            floor,
            report,
            confirmed: Vec::new(),
            whole: false,
        };
        self.all_of(&mut current, there).await?;
        self.ids.finish(self.source, self.target, planned).await?;
        current.report.kept = self.ids.report.clone();
        Ok(current.report)
    }

    async fn all_of(&mut self, current: &mut Current<'_>, there: u64) -> Result<()> {
        let mut todo = self.find_out(current, there).await?;
        match std::mem::replace(&mut todo.look, Look::Whole) {
            Look::Whole => self.windows(current, &mut todo).await?,
            Look::At(uids) => self.at(current, &uids).await?,
        }
        self.bring_after(current, todo).await?;
        if self.style.delete && !self.style.sync.dry_run {
            let confirmed = std::mem::take(&mut current.confirmed);
            self.delete(confirmed, current.whole, &mut current.report).await?;
        }
        let report = &current.report;
        let whole = report.failed.is_empty() && report.error.is_none() && report.held.is_none();
        let what = self.style.what(self.hands.pace.max_size);
        if whole
            && !self.style.sync.dry_run
            && let Some(same) = self.ready.source.and_then(|state| same_of(&state, what))
        {
            current.known.finished(same)?;
        }
        self.journal.sync()
    }

    /// What there is to be done; `there` is how many messages the target has.
    async fn find_out(&mut self, current: &mut Current<'_>, there: u64) -> Result<Todo> {
        let sync = &self.style.sync;
        let mut todo = Todo { look: Look::Whole, flags: FlagWork::default(), vanished: None };
        if there > 0 && !sync.copy_all && current.known.is_new() {
            // Nothing is known of what is there: any of it may have come from here.
            current.known.doubt_all()?;
        }
        if !sync.copy_all
            && let Some(doubt) = current.known.doubt()
        {
            let looking = Looking {
                changing: self.style.fold_at.is_some(),
                certain: self.style.delete,
                flags: sync.flags,
                one_server: self.hands.is_one_server(),
            };
            let settled = settle(
                self.source,
                self.target,
                &current.planned.target_wire,
                &current.selected,
                &mut current.known,
                &doubt,
                looking,
            )
            .await?;
            if settled.found > 0 {
                let (found, name) = (settled.found, &current.planned.target);
                let by_content = settled.by_content;
                self.progress.say(&format!(
                    "{name}: {found} messages are there already, {by_content} of them by content"
                ));
            }
            todo.flags.absorb(settled.flags);
            if let (Sent::Any, Some(new)) = (&doubt.sent, settled.new) {
                current.report.found = u64::from(current.selected.exists);
                current.report.already_there =
                    u64::from(current.selected.exists).saturating_sub(new.len() as u64);
                self.progress.passed_over(current.report.already_there);
                if self.style.delete {
                    current.confirmed.extend(current.known.pairs().iter().map(|p| p.source));
                }
                todo.look = Look::At(new);
                return Ok(todo);
            }
        }
        self.since(current, &mut todo).await?;
        Ok(todo)
    }

    /// Asks what changed since the mailbox was finished, where that can be asked.
    async fn since(&mut self, current: &mut Current<'_>, todo: &mut Todo) -> Result<()> {
        let what = self.style.what(self.hands.pace.max_size);
        let counts = self.source.has("CONDSTORE") || self.source.has("QRESYNC");
        let same = current.known.same().filter(|same| same.what == what && same.modseq > 0);
        // A change of labels is not told together with the flags.
        let counts = counts && !current.planned.labels.keywords;
        let Some(same) = same.filter(|_| counts).cloned() else { return Ok(()) };
        let mut flags = FlagWork::default();
        let exists = current.selected.exists;
        let found = changes::since(
            self.source,
            exists,
            &same,
            &mut current.known,
            self.style.sync.flags,
            self.style.sync.deletes.is_some(),
            &mut flags,
        )
        .await;
        let found = match found {
            Ok(found) => found,
            // It announced what it cannot do: then all of it is listed.
            Err(MoveError::Refused { .. }) => return Ok(()),
            Err(e) => return Err(e),
        };
        let old = u64::from(exists).saturating_sub(found.new.len() as u64);
        current.report.found = u64::from(exists);
        current.report.already_there = old.min(current.known.pairs().len() as u64);
        current.report.filtered = old - current.report.already_there;
        self.progress.passed_over(old);
        if self.style.delete {
            current.confirmed.extend(current.known.pairs().iter().map(|p| p.source));
        }
        todo.look = Look::At(found.new);
        todo.flags.absorb(flags);
        todo.vanished = found.vanished;
        Ok(())
    }

    /// Goes through the whole mailbox.
    async fn windows(&mut self, current: &mut Current<'_>, todo: &mut Todo) -> Result<()> {
        let known_before = !current.known.pairs().is_empty();
        let wants_vanished = self.style.sync.deletes.is_some() && known_before;
        let mut there = Vec::new();
        let (mut first, mut exists) = (1, current.selected.exists);
        let (mut listed, mut highest) = (0, 0);
        while first <= exists {
            if self.stopped(current) {
                return Ok(());
            }
            let last = exists.min(first.saturating_add(source::WINDOW - 1));
            let mut metas = source::list(self.source, first, last).await?;
            highest = metas.iter().map(|meta| meta.uid).max().unwrap_or(0).max(highest);
            listed += metas.len() as u64;
            current.report.found += metas.len() as u64;
            if wants_vanished {
                there.extend(metas.iter().map(|meta| meta.uid));
            }
            let which = format!("FETCH {first}:{last}");
            self.labels(current, &mut metas, &which).await?;
            if known_before {
                changes::compared(
                    &metas,
                    &mut current.known,
                    self.style.sync.flags,
                    &mut todo.flags,
                )?;
            }
            self.window(current, &metas).await?;
            first = last + 1;
            // What somebody expunged meanwhile moves the numbers of those behind.
            for number in self.source.take_expunged().into_iter().filter(|number| *number > 0) {
                exists = exists.saturating_sub(1);
                if number < first {
                    first -= 1;
                }
            }
            if !self.source.take_vanished().is_empty() {
                // It tells them by UID, so what is not listed yet is asked for by UID, too.
                let rest = entries::uids(self.source, highest.saturating_add(1), None).await?;
                current.report.found += rest.len() as u64;
                return self.at(current, &rest).await;
            }
        }
        // A listing that was not whole proves nothing.
        current.whole = listed >= u64::from(current.selected.exists);
        if wants_vanished && current.whole {
            there.sort_unstable();
            todo.vanished = Some(changes::missing(&current.known, &there));
        }
        Ok(())
    }

    /// Goes through some messages.
    async fn at(&mut self, current: &mut Current<'_>, uids: &[u32]) -> Result<()> {
        for part in uids.chunks(source::WINDOW as usize) {
            if self.stopped(current) {
                return Ok(());
            }
            let mut metas = entries::metas_of(self.source, part).await?;
            let uids: Vec<u32> = metas.iter().map(|meta| meta.uid).collect();
            let which = format!("UID FETCH {}", write::set(&uids));
            self.labels(current, &mut metas, &which).await?;
            self.window(current, &metas).await?;
        }
        Ok(())
    }

    /// What Gmail's labels say about the messages.
    async fn labels(
        &mut self,
        current: &mut Current<'_>,
        metas: &mut Vec<Meta>,
        which: &str,
    ) -> Result<()> {
        let labels = &current.planned.labels;
        current.report.elsewhere += labels::apply(self.source, labels, metas, which).await?;
        Ok(())
    }

    fn stopped(&self, current: &mut Current<'_>) -> bool {
        let stopped = self.style.stop.is_asked();
        if stopped {
            current.report.error = Some("stopped before all of it was copied".into());
        }
        stopped
    }

    async fn window(&mut self, current: &mut Current<'_>, metas: &[Meta]) -> Result<()> {
        let Current { planned, selected, known, floor, report, confirmed, .. } = current;
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
        self.progress.passed_over((metas.len() - wanted.len()) as u64);
        if self.style.sync.dry_run {
            report.to_copy += wanted.len() as u64;
            return Ok(());
        }
        if self.style.delete {
            confirmed.extend(metas.iter().map(|m| m.uid).filter(|u| known.pairs().contains(*u)));
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let mut sending: Vec<u32> =
            wanted.iter().filter_map(|i| metas.get(*i)).map(|m| m.uid).collect();
        sending.sort_unstable();
        // What is sent now gets higher UIDs than all that was confirmed before.
        *floor = (*floor).max(known.highest_target().saturating_add(1));
        known.intend(&sending, *floor)?;
        let validity = selected.uid_validity;
        let ids = self.ids.clone();
        let style = self.style;
        let load = Load { planned, validity, metas, wanted: &wanted, style, ids: &ids };
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
            confirmed.extend(done.iter().filter_map(|(i, _)| metas.get(*i)).map(|m| m.uid));
        }
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

    /// Flags that changed and messages that vanished.
    async fn bring_after(&mut self, current: &mut Current<'_>, todo: Todo) -> Result<()> {
        let wire = &current.planned.target_wire;
        let name = &current.planned.source;
        let mut work = todo.flags;
        let vanished = todo.vanished.unwrap_or_default();
        if self.style.sync.dry_run {
            current.report.flags_changed = work.len();
            current.report.removed = vanished.len() as u64;
            return Ok(());
        }
        if self.style.sync.flags == FlagPolicy::Source {
            work.absorb(flags::unequal(self.target, wire, &current.known).await?);
        }
        let (changed, refused) = work.apply(self.target, wire, &mut current.known).await?;
        current.report.flags_changed = changed;
        for words in refused {
            self.hands.note(format!("{name}: not changed: {words}"));
        }
        let Some(valve) = self.style.sync.deletes.filter(|_| !vanished.is_empty()) else {
            return Ok(());
        };
        let (count, all) = (vanished.len() as u64, current.known.pairs().len() as u64);
        if !valve.lets(count, all) {
            current.report.held = Some(format!(
                "{count} of {all} messages are gone at the old server (UIDs {}); if that is \
                 right, allow it with --maxDeletes {count}",
                changes::spelled(&vanished)
            ));
            return Ok(());
        }
        let removed = deletions::remove(self.target, wire, &mut current.known, &vanished).await?;
        current.report.removed = removed.removed;
        if removed.marked > 0 {
            let marked = removed.marked;
            self.hands.note(format!("{name}: {marked} messages are only marked as deleted there"));
        }
        Ok(())
    }

    /// Deletes at the old server what the new one has confirmed, and nothing else: the mailbox is
    /// never closed with CLOSE, which would take along what the user had marked before.
    async fn delete(
        &mut self,
        mut uids: Vec<u32>,
        whole: bool,
        report: &mut MailboxReport,
    ) -> Result<()> {
        uids.sort_unstable();
        uids.dedup();
        let precise = self.source.has("UIDPLUS");
        for part in uids.chunks(1000) {
            self.source.insist("STORE", &flags::marking(part)).await?;
            if precise {
                let line = format!("UID EXPUNGE {}", write::set(part));
                self.source.insist("EXPUNGE", line.as_bytes()).await?;
            }
        }
        // Without UIDPLUS an EXPUNGE takes every marked message; it is safe only when each message
        // of the mailbox is at the new server.
        if !precise && whole && !uids.is_empty() && uids.len() as u64 == report.found {
            self.source.insist("EXPUNGE", b"EXPUNGE").await?;
        }
        report.deleted = uids.len() as u64;
        Ok(())
    }
}

/// UIDVALIDITY, UIDNEXT and MESSAGES of the target; 0, 1 and 1 if it does not tell.
pub(crate) async fn target_state(
    target: &mut Session,
    planned: &Planned,
) -> Result<(u32, u32, u64)> {
    let told = target.status(&planned.target_wire, "UIDVALIDITY UIDNEXT MESSAGES").await?;
    let item = |name: &str| told.iter().find(|(n, _)| n == name).map(|(_, value)| *value);
    let small = |name: &str| item(name).and_then(|value| u32::try_from(value).ok());
    // Of a mailbox that tells nothing nobody knows that it is empty.
    let messages = item("MESSAGES").unwrap_or(1);
    Ok((small("UIDVALIDITY").unwrap_or(0), small("UIDNEXT").unwrap_or(1), messages))
}
