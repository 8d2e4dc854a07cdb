//! The mailboxes of one account as the process knows them: names, records, who is below whom,
//! read once and kept by the change feed, so that looking for a name costs the same however many
//! there are, and the same whether it is there or not. It must never know who asks.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use angarium_store::{AccountId, Change, FlagBits, Flags, MailboxId, MailboxRecord, Store};
use tokio::sync::OnceCell;

use super::error::MailError;
use super::names::parent;

/// Changes buffered while a tree is being read; when there are more it is read again.
const BUFFERED_CHANGES: usize = 4096;
/// Attempts to read before the caller is told to try later.
const READ_ATTEMPTS: usize = 4;

#[derive(Default)]
struct State {
    read: bool,
    buffered: Vec<Change>,
    overflow: bool,
    records: HashMap<MailboxId, Arc<MailboxRecord>>,
    names: BTreeMap<String, MailboxId>,
    selectable: u64,
    /// Mailboxes that hold (or held) messages which are kept back from some.
    kept_back: HashSet<MailboxId>,
}

/// An account's mailboxes and directories.
#[derive(Default)]
pub(super) struct Tree {
    reading: OnceCell<()>,
    state: RwLock<State>,
}

impl Tree {
    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the mailboxes once; changes that arrive meanwhile are applied on top.
    ///
    /// # Errors
    /// What the store says; the next caller tries again.
    pub(super) async fn read(&self, store: &Store, account: AccountId) -> Result<(), MailError> {
        self.reading
            .get_or_try_init(|| async {
                for _ in 0..READ_ATTEMPTS {
                    *self.change() = State::default();
                    let records = store.mailboxes.list(account).await?;
                    let kept_back = store.mailboxes.kept_back(account).await?;
                    if self.take(records, kept_back) {
                        return Ok(());
                    }
                }
                Err(MailError::Unavailable("the mailboxes change too fast to be read".into()))
            })
            .await
            .copied()
    }

    /// False when changes were lost while reading.
    fn take(&self, records: Vec<MailboxRecord>, kept_back: Vec<MailboxId>) -> bool {
        let mut state = self.change();
        if state.overflow {
            return false;
        }
        for record in records {
            state.put(record);
        }
        state.kept_back.extend(kept_back);
        state.read = true;
        for change in std::mem::take(&mut state.buffered) {
            state.apply(&change);
        }
        true
    }

    /// Told by the change feed.
    pub(super) fn apply(&self, change: &Change) {
        let mut state = self.change();
        if state.read {
            state.apply(change);
        } else if state.buffered.len() < BUFFERED_CHANGES {
            state.buffered.push(change.clone());
        } else {
            state.overflow = true;
        }
    }

    /// Mailboxes and directories.
    pub(super) fn len(&self) -> usize {
        self.state().records.len()
    }

    /// Mailboxes that hold messages.
    pub(super) fn selectable(&self) -> u64 {
        self.state().selectable
    }

    /// The mailbox or directory of a name.
    pub(super) fn named(&self, name: &str) -> Option<Arc<MailboxRecord>> {
        let state = self.state();
        state.records.get(state.names.get(name)?).cloned()
    }

    /// A mailbox by its id.
    pub(super) fn by_id(&self, id: MailboxId) -> Option<Arc<MailboxRecord>> {
        self.state().records.get(&id).cloned()
    }

    /// The closest mailbox above a path that exists.
    pub(super) fn above(&self, path: &str) -> Option<Arc<MailboxRecord>> {
        let state = self.state();
        let mut path = path;
        while let Some(up) = parent(path) {
            if let Some(id) = state.names.get(up) {
                return state.records.get(id).cloned();
            }
            path = up;
        }
        None
    }

    /// All mailboxes and directories whose names begin so, by name.
    pub(super) fn beginning(&self, start: &str) -> Vec<Arc<MailboxRecord>> {
        let state = self.state();
        let from = state.names.range::<str, _>((Bound::Included(start), Bound::Unbounded));
        from.take_while(|(name, _)| name.starts_with(start))
            .filter_map(|(_, id)| state.records.get(id).cloned())
            .collect()
    }

    /// True when something below a name is as `counts` says.
    pub(super) fn has_below(&self, name: &str, counts: impl Fn(&MailboxRecord) -> bool) -> bool {
        let first = format!("{name}/");
        let state = self.state();
        let from = state.names.range::<str, _>((Bound::Included(first.as_str()), Bound::Unbounded));
        from.take_while(|(name, _)| name.starts_with(&first))
            .filter_map(|(_, id)| state.records.get(id))
            .any(|record| counts(record))
    }

    /// True when some mailbox is as `counts` says.
    pub(super) fn any(&self, counts: impl Fn(&MailboxRecord) -> bool) -> bool {
        self.state().records.values().any(|record| counts(record))
    }

    /// True when a mailbox may hold messages that are kept back from some who look at it: then
    /// its record's counters are not what they see.
    pub(super) fn keeps_back(&self, id: MailboxId) -> bool {
        self.state().kept_back.contains(&id)
    }
}

fn any_kept_back<'f>(mut flags: impl Iterator<Item = &'f Flags>) -> bool {
    flags.any(|flags| flags.bits.0 & FlagBits::KEPT_BACK.0 != 0)
}

impl State {
    fn put(&mut self, record: MailboxRecord) {
        self.remove(record.id);
        self.selectable += u64::from(record.selectable);
        self.names.insert(record.name.clone(), record.id);
        self.records.insert(record.id, Arc::new(record));
    }

    fn remove(&mut self, id: MailboxId) {
        let Some(old) = self.records.remove(&id) else { return };
        self.selectable -= u64::from(old.selectable);
        // The name may be another's already.
        if self.names.get(&old.name) == Some(&id) {
            self.names.remove(&old.name);
        }
    }

    /// Takes over the counters of a newer record.
    fn count(&mut self, new: &MailboxRecord) {
        let Some(known) = self.records.get_mut(&new.id) else { return };
        if new.highest_modseq < known.highest_modseq {
            return;
        }
        let known = Arc::make_mut(known);
        known.uid_next = new.uid_next;
        known.highest_modseq = new.highest_modseq;
        known.messages = new.messages;
        known.unseen = new.unseen;
        known.deleted = new.deleted;
        known.size = new.size;
        known.first_recent = known.first_recent.max(new.first_recent);
    }

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Appended { mailbox, entries, .. } => {
                if any_kept_back(entries.iter().map(|entry| &entry.flags)) {
                    self.kept_back.insert(mailbox.id);
                }
                self.count(mailbox);
            }
            Change::Flags { mailbox, changed, .. } => {
                if any_kept_back(changed.iter().map(|(_, flags, _)| flags)) {
                    self.kept_back.insert(mailbox.id);
                }
                self.count(mailbox);
            }
            Change::Expunged { mailbox, .. } => self.count(mailbox),
            Change::Mailboxes { removed, changed, .. } => {
                for id in removed {
                    self.remove(*id);
                    self.kept_back.remove(id);
                }
                // Names may go round among them.
                for record in changed {
                    self.remove(record.id);
                }
                for record in changed {
                    self.put(record.clone());
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use angarium_store::UidValidity;

    fn record(id: u64, name: &str) -> MailboxRecord {
        MailboxRecord::new(MailboxId(id), name, true, UidValidity(1))
    }

    fn changed(removed: &[u64], changed: Vec<MailboxRecord>) -> Change {
        let removed = removed.iter().map(|id| MailboxId(*id)).collect();
        Change::Mailboxes { account: AccountId(1), removed, changed }
    }

    fn names(tree: &Tree) -> Vec<(String, u64)> {
        tree.beginning("").iter().map(|r| (r.name.clone(), r.id.0)).collect()
    }

    #[test]
    fn changes_while_reading_are_applied_on_top_even_when_the_list_holds_them() {
        let tree = Tree::default();
        tree.apply(&changed(&[], vec![record(5, "x")]));
        tree.apply(&changed(&[], vec![record(5, "y")]));
        tree.apply(&changed(&[], vec![record(6, "x")]));
        tree.apply(&changed(&[7], vec![]));
        assert!(tree.take(vec![record(5, "y"), record(6, "x")], vec![]));
        assert_eq!(names(&tree), [("x".to_owned(), 6), ("y".to_owned(), 5)]);
        tree.apply(&changed(&[], vec![record(5, "x"), record(6, "y")]));
        assert_eq!(names(&tree), [("x".to_owned(), 5), ("y".to_owned(), 6)]);
        assert_eq!(tree.selectable(), 2);
    }

    #[test]
    fn children_are_found_although_other_names_sort_between() {
        let tree = Tree::default();
        let all = vec![record(1, "a"), record(2, "a b"), record(3, "a/c"), record(4, "a0")];
        assert!(tree.take(all, vec![]));
        assert!(tree.has_below("a", |_| true) && !tree.has_below("a b", |_| true));
        assert_eq!(tree.above("a/c/d/e").map(|r| r.id.0), Some(3));
        assert_eq!(tree.above("a/x").map(|r| r.id.0), Some(1));
        assert_eq!(tree.beginning("a/").len(), 1);
        assert!(tree.above("b").is_none() && tree.named("a/").is_none());
    }
}
