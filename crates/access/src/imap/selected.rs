//! A mailbox as one session has it selected: what it has been told, and the telling of news. It
//! must never know commands.

use std::sync::Arc;

use angarium_accounts::mailboxes::{Annotated, MailRights, Opened, Row, Shared, Table};
use angarium_accounts::{FlagBits, ModSeq, Uid};
use angarium_imap::encode::{self, Code, FetchWriter};
use angarium_imap::types::UidSet;
use angarium_imap::view::{Habits, Moment, News, UidMap, View};
use tokio::sync::watch;

use super::capability::Enabled;
use super::context::Contexts;
use super::flags;

/// The selected mailbox of a session.
pub(super) struct Selected {
    pub(super) opened: Opened,
    /// The name it was selected by.
    pub(super) name: String,
    pub(super) view: View,
    /// EXAMINE, or no right to change anything.
    pub(super) read_only: bool,
    /// How far the shared state's log has been read.
    version: u64,
    /// Changes up to here have been taken into the view.
    modseq: u64,
    /// Resolves when there is something to read.
    pub(super) watch: watch::Receiver<u64>,
    /// This session took messages as recent and must make that durable when it leaves.
    pub(super) recent_until: Option<Uid>,
    /// The mailbox is no more.
    pub(super) gone: bool,
    /// The annotations the client has been told of.
    pub(super) annotations: Annotated,
    /// Flags are not told just now.
    pub(super) hold_flags: bool,
    /// Results kept up to date for the client.
    pub(super) contexts: Contexts,
}

/// Messages with these flags do not exist for a session.
pub(super) fn invisible(rights: MailRights) -> FlagBits {
    rights.hides()
}

impl Enabled {
    pub(super) fn habits(self) -> Habits {
        Habits { qresync: self.qresync || self.uid_only, rev2: self.rev2 }
    }

    /// Begins the FETCH answer for a message, or UIDFETCH (RFC 9586).
    pub(super) fn fetch_answer(
        self,
        out: &mut Vec<u8>,
        sequence: u32,
        uid: u32,
    ) -> FetchWriter<'_> {
        if self.uid_only {
            FetchWriter::uid_only(out, uid)
        } else {
            FetchWriter::new(out, sequence)
        }
    }
}

/// The UIDs of a table that a session sees.
fn visible_map(table: &Table, hidden: FlagBits) -> UidMap {
    if table.may_have(hidden) {
        let rows = table.iter().filter(|row| row.bits().0 & hidden.0 == 0);
        UidMap::from_ascending(rows.map(|row| row.uid().0))
    } else {
        let runs = table.runs();
        UidMap::from_ascending(runs.into_iter().flat_map(|(first, n)| first..=first + (n - 1)))
    }
}

/// The messages of an opened mailbox that a session sees at this moment.
pub(super) fn seen(opened: &Opened, shared: &Shared) -> Arc<UidMap> {
    let hidden = invisible(opened.rights);
    opened.mailbox.derived(hidden.0, shared, |shared| visible_map(&shared.table, hidden))
}

impl Selected {
    /// Takes the mailbox as it is now as what the client is told.
    pub(super) fn new(
        opened: Opened,
        name: String,
        read_only: bool,
        enabled: Enabled,
    ) -> (Self, Shared) {
        let watch = opened.mailbox.watch();
        let claimed = if read_only { None } else { opened.mailbox.claim_recent() };
        let shared = opened.mailbox.shared();
        // Sessions that open the same mailbox share what they are told of it.
        let map = seen(&opened, &shared);
        let first = if read_only { Some(shared.record.first_recent) } else { claimed };
        let mut recent = UidSet::new();
        if let (Some(first), false) = (first, enabled.rev2) {
            for row in shared.table.iter_from(first) {
                if map.sequence_of(row.uid().0).is_some() {
                    recent.push(row.uid().0);
                }
            }
        }
        let selected = Self {
            view: View::new(map, recent, enabled.habits()),
            read_only,
            version: shared.version,
            modseq: shared.record.highest_modseq.0,
            watch,
            recent_until: claimed.map(|_| shared.record.uid_next),
            gone: shared.gone,
            annotations: shared.record.as_ref().into(),
            hold_flags: false,
            contexts: Contexts::default(),
            name,
            opened,
        };
        (selected, shared)
    }

    /// How the mailbox is now.
    pub(super) fn shared(&self) -> Shared {
        self.opened.mailbox.shared()
    }

    /// Takes what happened since the last look into the view; nothing is told yet.
    pub(super) fn refresh(&mut self) {
        let Some(news) = self.opened.mailbox.news(self.version) else { return };
        self.version = news.now.version;
        self.gone |= news.now.gone;
        let since = std::mem::replace(&mut self.modseq, news.now.record.highest_modseq.0);
        let hidden = invisible(self.opened.rights);
        let table = &news.now.table;
        let is_hidden = |row: &Row<'_>| row.bits().0 & hidden.0 != 0;
        if !news.complete {
            return self.compare(table, hidden, since);
        }
        self.contexts.touch(news.appended.iter().chain(&news.flags).map(|uid| uid.0));
        self.view.gone(news.vanished.iter().map(|uid| uid.0));
        if !news.appended.is_empty() {
            let recent = self.claim();
            let rows = table.select(&news.appended);
            let seen = rows.iter().filter(|row| !is_hidden(row));
            self.view.arrived(seen.map(|row| row.uid().0), recent);
        }
        if !news.flags.is_empty() {
            let rows = table.select(&news.flags);
            if table.may_have(hidden) {
                let gone = rows.iter().filter(|row| is_hidden(row));
                self.view.gone(gone.map(|row| row.uid().0));
            }
            self.view.changed(rows.iter().map(|row| (row.uid().0, row.modseq().0)));
        }
    }

    /// Too much happened to be told step by step: compare what the client knows with what is.
    fn compare(&mut self, table: &Table, hidden: FlagBits, since: u64) {
        self.contexts.touch_all();
        let now = visible_map(table, hidden);
        let known = Arc::clone(self.view.map());
        let gone: Vec<u32> = known
            .iter()
            .map(|(_, uid)| uid)
            .filter(|uid| now.sequence_of(*uid).is_none())
            .collect();
        self.view.gone(gone);
        let last = known.last().unwrap_or(0);
        let recent = self.claim();
        let fresh = now.iter().map(|(_, uid)| uid).filter(|uid| *uid > last);
        self.view.arrived(fresh, recent);
        self.view.changed(
            table
                .iter()
                .filter(|row| row.modseq().0 > since)
                .filter(|row| known.sequence_of(row.uid().0).is_some())
                .map(|row| (row.uid().0, row.modseq().0)),
        );
    }

    fn claim(&mut self) -> bool {
        if self.read_only {
            return false;
        }
        let claimed = self.opened.mailbox.claim_recent().is_some();
        if claimed {
            self.recent_until = Some(self.opened.mailbox.shared().record.uid_next);
        }
        claimed
    }

    /// These changes were made by this session and answered (or silent on request).
    pub(super) fn told(&mut self, changed: impl IntoIterator<Item = (Uid, ModSeq)>) {
        self.view.told(changed.into_iter().map(|(uid, modseq)| (uid.0, modseq.0)));
    }

    /// Tells what may be told now.
    pub(super) fn announce(
        &mut self,
        out: &mut Vec<u8>,
        moment: Moment,
        enabled: Enabled,
        uids: bool,
    ) {
        self.refresh();
        if !self.view.has_news() {
            return;
        }
        if moment == Moment::Free && !self.contexts.is_empty() {
            self.contexts.leave(out, &self.view.leaving());
        }
        let shared = self.shared();
        let mut changed: Vec<(u32, u32)> = Vec::new();
        let mut came_or_went = false;
        let tell = |news| match news {
            News::Expunge(sequence) => {
                came_or_went = true;
                encode::expunge(out, sequence);
            }
            News::Vanished(uids) => {
                came_or_went = true;
                encode::vanished(out, false, &uids);
            }
            News::Exists(messages) => {
                came_or_went = true;
                encode::exists(out, messages);
            }
            News::Recent(messages) => encode::recent(out, messages),
            News::Flags { sequence, uid } => changed.push((sequence, uid)),
        };
        if self.hold_flags {
            self.view.take_news_but_flags(moment, tell);
        } else {
            self.view.take_news(moment, tell);
        }
        let mut joined = Vec::new();
        for (sequence, uid) in changed {
            let Some(row) = shared.table.get(Uid(uid)) else { continue };
            joined.clear();
            flags::join_row(&mut joined, row, self.view.is_recent(uid));
            let mut answer = enabled.fetch_answer(out, sequence, uid);
            if (uids || enabled.qresync) && !enabled.uid_only {
                answer.uid(uid);
            }
            if enabled.condstore {
                answer.modseq(row.modseq().0);
            }
            answer.flags_joined(&joined);
            answer.finish();
        }
        // These answers name no MODSEQ; a client that keeps state would take them for changes the
        // next time. Only when nothing is left untold (RFC 7162 section 3.2.7).
        if came_or_went && enabled.condstore && !self.view.has_news() {
            encode::untagged_ok(out, Some(Code::HighestModSeq(self.modseq)), "Highest");
        }
    }
}
