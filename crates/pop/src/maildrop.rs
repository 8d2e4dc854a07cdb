//! What one POP session sees of its mailbox: numbers, sizes, identities and what is marked to be
//! deleted. It must never know bodies or the mailbox on disk.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::reply::push_number;

/// One message of a maildrop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MaildropEntry {
    /// Octets as sent, dot-stuffing not counted.
    pub size: u64,
    /// The UID it first had; part of its unique id.
    pub original_uid: u32,
    /// The UID it has now; part of the unique id only where another message of the maildrop came
    /// with the same original UID.
    pub uid: u32,
}

/// The messages of one session, fixed at login. Numbers of the protocol are index + 1.
#[derive(Clone, Debug, Default)]
pub struct Maildrop {
    uid_validity: u32,
    entries: Vec<MaildropEntry>,
    marked: Vec<bool>,
    count: u64,
    octets: u64,
    /// Indexes of messages whose original UID another message before them has too.
    twins: HashSet<usize>,
    /// Unique ids that another server gave, by index; each once.
    kept: HashMap<usize, Arc<str>>,
    /// The same ids: no other message may have one of them.
    taken: HashSet<Arc<str>>,
    /// Highest number retrieved since login or RSET (LAST of RFC 1460).
    pub(crate) last: u64,
}

impl Maildrop {
    /// A maildrop of these messages, in the order of their numbers.
    #[must_use]
    pub fn new(uid_validity: u32, entries: Vec<MaildropEntry>) -> Self {
        let mut drop = Self { uid_validity, entries, ..Self::default() };
        // A message that keeps its own UID has the first claim on the plain form.
        let own: HashSet<u32> =
            drop.entries.iter().filter(|e| e.original_uid == e.uid).map(|e| e.uid).collect();
        let mut foreign = HashSet::new();
        for (index, entry) in drop.entries.iter().enumerate() {
            if entry.original_uid != entry.uid
                && (own.contains(&entry.original_uid) || !foreign.insert(entry.original_uid))
            {
                drop.twins.insert(index);
            }
        }
        drop.reset();
        drop
    }

    /// These messages (by index) keep the unique id another server gave them, so that a program
    /// which fetched them there does not fetch them again. Of two with the same id the first has
    /// it.
    #[must_use]
    pub fn with_kept(mut self, ids: Vec<(usize, Arc<str>)>) -> Self {
        for (index, id) in ids {
            if self.taken.insert(Arc::clone(&id)) {
                self.kept.insert(index, id);
            }
        }
        self
    }

    /// Messages in all, marked ones too.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when there is no message at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Indexes of the messages marked as deleted, ascending.
    #[must_use]
    pub fn marked(&self) -> Vec<usize> {
        self.marked.iter().enumerate().filter(|(_, marked)| **marked).map(|(at, _)| at).collect()
    }

    /// The index of a message number that exists and is not marked.
    pub(crate) fn find(&self, number: u64) -> Option<usize> {
        let index = usize::try_from(number.checked_sub(1)?).ok()?;
        (self.marked.get(index) == Some(&false)).then_some(index)
    }

    pub(crate) fn mark(&mut self, index: usize) {
        if let (Some(marked), Some(entry)) = (self.marked.get_mut(index), self.entries.get(index))
            && !*marked
        {
            *marked = true;
            self.count -= 1;
            self.octets -= entry.size;
        }
    }

    pub(crate) fn reset(&mut self) {
        self.marked = vec![false; self.entries.len()];
        self.count = self.entries.len() as u64;
        self.octets = self.entries.iter().fold(0, |sum, entry| sum.saturating_add(entry.size));
        self.last = 0;
    }

    /// Messages and octets that are not marked.
    #[must_use]
    pub fn totals(&self) -> (u64, u64) {
        (self.count, self.octets)
    }

    pub(crate) fn push_size(&self, out: &mut Vec<u8>, index: usize) {
        let Some(entry) = self.entries.get(index) else { return };
        push_number(out, index as u64 + 1);
        out.push(b' ');
        push_number(out, entry.size);
        out.extend_from_slice(b"\r\n");
    }

    /// The unique id: `<UIDVALIDITY>-<original UID>` (`reference/pop.md` section 1).
    pub(crate) fn push_unique(&self, out: &mut Vec<u8>, index: usize) {
        let Some(entry) = self.entries.get(index) else { return };
        push_number(out, index as u64 + 1);
        out.push(b' ');
        if let Some(id) = self.kept.get(&index) {
            out.extend_from_slice(id.as_bytes());
            out.extend_from_slice(b"\r\n");
            return;
        }
        let start = out.len();
        push_number(out, u64::from(self.uid_validity));
        out.push(b'-');
        push_number(out, u64::from(entry.original_uid));
        if self.twins.contains(&index) || self.is_taken(out.get(start..)) {
            out.push(b'-');
            push_number(out, u64::from(entry.uid));
        }
        // The other server's ids may look like ours, even of this form.
        while self.is_taken(out.get(start..)) {
            out.push(b'-');
        }
        out.extend_from_slice(b"\r\n");
    }

    fn is_taken(&self, id: Option<&[u8]>) -> bool {
        let text = id.and_then(|id| std::str::from_utf8(id).ok());
        !self.taken.is_empty() && text.is_some_and(|text| self.taken.contains(text))
    }

    /// Indexes that are not marked.
    pub(crate) fn present(&self) -> impl Iterator<Item = usize> + '_ {
        self.marked.iter().enumerate().filter(|(_, marked)| !**marked).map(|(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unique_ids_stay_unique_when_a_message_was_copied() {
        let drop = Maildrop::new(
            7,
            [(1, 1), (1, 2), (9, 3), (9, 4)]
                .map(|(original_uid, uid)| MaildropEntry { size: 10, original_uid, uid })
                .to_vec(),
        );
        let mut out = Vec::new();
        for index in drop.present() {
            drop.push_unique(&mut out, index);
        }
        assert_eq!(out, b"1 7-1\r\n2 7-1-2\r\n3 7-9\r\n4 7-9-4\r\n");
    }

    #[test]
    fn ids_of_another_server_are_kept_and_nobody_elses() {
        let entries = (1..=4).map(|uid| MaildropEntry { size: 1, original_uid: uid, uid });
        let kept = [(0, "7-2"), (2, "00000003"), (3, "7-2")];
        let kept = kept.map(|(index, id)| (index, Arc::from(id))).to_vec();
        let drop = Maildrop::new(7, entries.collect()).with_kept(kept);
        let mut out = Vec::new();
        for index in drop.present() {
            drop.push_unique(&mut out, index);
        }
        assert_eq!(out, b"1 7-2\r\n2 7-2-2\r\n3 00000003\r\n4 7-4\r\n");
    }

    #[test]
    fn marks_change_the_totals_and_reset_brings_them_back() {
        let entry = MaildropEntry { size: 10, original_uid: 1, uid: 1 };
        let mut drop = Maildrop::new(1, vec![entry]);
        assert_eq!(drop.find(1), Some(0));
        drop.mark(0);
        drop.mark(0);
        assert_eq!((drop.totals(), drop.find(1), drop.find(0)), ((0, 0), None, None));
        assert_eq!(drop.marked(), vec![0]);
        drop.reset();
        assert_eq!(drop.totals(), (1, 10));
    }
}
