//! What happened in the mailbox and has not been told, and the moments at which it may be.

use std::sync::Arc;

use super::View;
use crate::types::UidSet;

/// What may be told now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Answering FETCH, STORE or SEARCH without UID: sequence numbers must stand still
    /// ([`crate::types::Command::forbids_expunge`]).
    NumbersStand,
    /// Any other command, or IDLE.
    Free,
}

/// One thing to tell, in the order given. The `encode` functions of the same names write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// EXPUNGE with the sequence number at that moment (they come from the highest down).
    Expunge(u32),
    /// VANISHED, for a session that enabled QRESYNC.
    Vanished(UidSet),
    /// EXISTS
    Exists(u32),
    /// RECENT; never with IMAP4rev2
    Recent(u32),
    /// FETCH with FLAGS as they are now (with MODSEQ when CONDSTORE is on, with UID when QRESYNC
    /// is).
    Flags {
        /// Its sequence number.
        sequence: u32,
        /// Its UID.
        uid: u32,
    },
}

/// Changes of flags kept apart before doubles are looked for.
const CHANGES_BEFORE_COMPACTING: usize = 4096;

impl View {
    /// Messages arrived: UIDs ascending and above all before. With `recent`, this session is the
    /// first to be told.
    pub fn arrived(&mut self, uids: impl IntoIterator<Item = u32>, recent: bool) {
        let told = self.map.last().unwrap_or(0);
        for uid in uids {
            if uid > self.fresh.last().copied().unwrap_or(told) {
                self.fresh.push(uid);
                if recent && !self.habits.rev2 {
                    self.recent.push(uid);
                }
            }
        }
    }

    /// Messages were expunged, by whomever, in any order.
    pub fn gone(&mut self, uids: impl IntoIterator<Item = u32>) {
        self.gone.extend(uids);
    }

    /// Flags changed, by whomever: UIDs with the MODSEQ of the change, in any order.
    pub fn changed(&mut self, changes: impl IntoIterator<Item = (u32, u64)>) {
        self.changed.extend(changes);
        let most = (self.map.len() as usize + self.fresh.len()) * 2 + CHANGES_BEFORE_COMPACTING;
        if self.changed.len() > most {
            self.compact_changes();
        }
    }

    /// These changes need no telling: the client made them with `.SILENT`, or was answered with
    /// them. Ascending UIDs with the MODSEQ reached; later changes are told all the same. To be
    /// called after [`View::changed`] has brought them.
    pub fn told(&mut self, ascending: impl IntoIterator<Item = (u32, u64)>) {
        if self.changed.is_empty() {
            return;
        }
        self.compact_changes();
        let mut told = ascending.into_iter().peekable();
        self.changed.retain(|&(uid, modseq)| {
            while told.next_if(|t| t.0 < uid).is_some() {}
            !told.peek().is_some_and(|t| t.0 == uid && modseq <= t.1)
        });
    }

    /// The messages whose change of flags waits to be told.
    #[must_use]
    pub fn changes_waiting(&self) -> UidSet {
        UidSet::from_unsorted(self.changed.iter().map(|&(uid, _)| uid).collect())
    }

    /// The messages the client knows that would be told as gone at a free moment.
    #[must_use]
    pub fn leaving(&self) -> super::Resolved {
        super::resolve::saved(&self.map, &UidSet::from_unsorted(self.gone.clone()))
    }

    /// True when something waits to be told at a free moment.
    #[must_use]
    pub fn has_news(&self) -> bool {
        !(self.fresh.is_empty() && self.gone.is_empty() && self.changed.is_empty())
    }

    /// Takes what may be told now, in the order it must be sent, and counts it as told.
    pub fn take_news(&mut self, moment: Moment, mut tell: impl FnMut(News)) {
        if !self.has_news() {
            return;
        }
        let gone = UidSet::from_unsorted(std::mem::take(&mut self.gone));
        if moment == Moment::Free {
            self.tell_gone(&gone, &mut tell);
        } else {
            // Kept for later, but arrivals already gone again are never told.
            self.gone = gone.iter().filter(|&uid| self.map.sequence_of(uid).is_some()).collect();
        }
        self.tell_fresh(&gone, &mut tell);
        self.compact_changes();
        for (uid, _) in std::mem::take(&mut self.changed) {
            if gone.contains(uid) {
                continue;
            }
            if let Some(sequence) = self.map.sequence_of(uid) {
                tell(News::Flags { sequence, uid });
            }
        }
    }

    /// As [`View::take_news`] for a client that does not want to hear of flags now: what changed of
    /// them is kept for later.
    pub fn take_news_but_flags(&mut self, moment: Moment, tell: impl FnMut(News)) {
        let flags = std::mem::take(&mut self.changed);
        self.take_news(moment, tell);
        self.changed.extend(flags);
    }

    fn tell_gone(&mut self, gone: &UidSet, tell: &mut impl FnMut(News)) {
        let known = super::resolve::saved(&self.map, gone);
        if known.is_empty() {
            return;
        }
        let uids = known.uid_set();
        if self.habits.qresync {
            tell(News::Vanished(uids.clone()));
        } else {
            for piece in known.pieces().iter().rev() {
                for i in (0..piece.count).rev() {
                    tell(News::Expunge(piece.sequence + i));
                }
            }
        }
        Arc::make_mut(&mut self.map).remove(&uids);
        let recent = self.recent.len();
        self.recent = self.recent.minus(&uids);
        // What the client can reckon itself needs no RECENT.
        self.recent_told = self.recent_told.saturating_sub(recent - self.recent.len());
    }

    fn tell_fresh(&mut self, gone: &UidSet, tell: &mut impl FnMut(News)) {
        let mut fresh = std::mem::take(&mut self.fresh);
        if !gone.is_empty() && !fresh.is_empty() {
            fresh.retain(|&uid| !gone.contains(uid));
            let untold = gone.minus(&self.map.to_uid_set());
            self.recent = self.recent.minus(&untold);
        }
        let Some(&first) = fresh.first() else { return };
        let map = Arc::make_mut(&mut self.map);
        for uid in fresh {
            map.push(uid);
        }
        tell(News::Exists(self.map.len()));
        if !self.habits.rev2 && self.recent.len() != self.recent_told {
            self.recent_told = self.recent.len();
            tell(News::Recent(self.recent()));
        }
        // A client asks for the flags of what is new to it.
        self.changed.retain(|&(uid, _)| uid < first);
    }

    /// Sorts changes by UID and keeps the last of each.
    fn compact_changes(&mut self) {
        self.changed.sort_unstable();
        self.changed.reverse();
        self.changed.dedup_by_key(|change| change.0);
        self.changed.reverse();
    }
}
