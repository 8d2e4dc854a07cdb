//! What watchers have not looked at yet (RFC 5465): the change feed marks which mailboxes, trees
//! and settings changed, bounded however long nobody looks. It must never know names or rights.
//!
//! Nobody watching costs one look at a counter for each change; a watcher costs its marks.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use angarium_store::{AccountId, Change, FlagBits, MailboxId};
use tokio::sync::Notify;

/// Mailboxes with untold messages that are remembered; with more the watcher gives up.
pub(super) const MAX_TOUCHED: usize = 512;

/// What happened to the messages of a mailbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Touched {
    /// Some came or went.
    pub(super) messages: bool,
    /// Flags changed.
    pub(super) flags: bool,
}

/// Marks since the last look.
#[derive(Debug, Default)]
pub(super) struct Marks {
    pub(super) touched: BTreeMap<MailboxId, Touched>,
    /// Accounts whose mailboxes were made, removed, renamed or got other attributes.
    pub(super) trees: BTreeSet<AccountId>,
    /// The record of a watched account changed (its subscription perhaps).
    pub(super) record: bool,
    /// A server-wide dictionary changed.
    pub(super) settings: bool,
    /// More happened than is remembered.
    pub(super) overflow: bool,
}

/// One watcher's marks.
#[derive(Debug, Default)]
pub(super) struct Watch {
    marks: Mutex<Marks>,
    changed: Notify,
}

impl Watch {
    /// The marks so far; they start anew.
    pub(super) fn take(&self) -> Marks {
        std::mem::take(&mut *self.marks.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Resolves when there are marks (or were).
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    fn mark(&self, mark: impl FnOnce(&mut Marks)) {
        {
            let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
            if marks.overflow {
                return;
            }
            mark(&mut marks);
            if marks.touched.len() > MAX_TOUCHED {
                *marks = Marks { overflow: true, ..Marks::default() };
            }
        }
        self.changed.notify_one();
    }
}

/// All watchers by the accounts they watch.
#[derive(Debug, Default)]
pub(super) struct Watches {
    by_account: Mutex<HashMap<AccountId, Vec<Weak<Watch>>>>,
    /// Accounts in `by_account`.
    accounts: AtomicUsize,
}

impl Watches {
    /// Lets a watcher hear of an account.
    pub(super) fn register(&self, account: AccountId, watch: &Arc<Watch>) {
        let mut all = self.by_account.lock().unwrap_or_else(PoisonError::into_inner);
        let watching = all.entry(account).or_default();
        watching.retain(|known| known.strong_count() > 0);
        if !watching.iter().any(|known| known.as_ptr() == Arc::as_ptr(watch)) {
            watching.push(Arc::downgrade(watch));
        }
        self.accounts.store(all.len(), Ordering::Release);
    }

    /// A watcher goes.
    pub(super) fn forget(&self, watch: &Watch) {
        let mut all = self.by_account.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, watching| {
            watching.retain(|known| !std::ptr::eq(known.as_ptr(), watch));
            !watching.is_empty()
        });
        self.accounts.store(all.len(), Ordering::Release);
    }

    /// Takes note of a change; quick, calls no store.
    pub(super) fn changed(&self, change: &Change) {
        if self.accounts.load(Ordering::Acquire) == 0 {
            return;
        }
        match change {
            Change::Appended { account, mailbox, entries }
                if entries.iter().any(|e| !e.flags.bits.contains(FlagBits::SERVICE)) =>
            {
                self.touch(*account, mailbox.id, |touched| touched.messages = true);
            }
            Change::Expunged { account, mailbox, .. } => {
                self.touch(*account, mailbox.id, |touched| touched.messages = true);
            }
            Change::Flags { account, mailbox, changed }
                if changed.iter().any(|(_, f, _)| !f.bits.contains(FlagBits::SERVICE)) =>
            {
                self.touch(*account, mailbox.id, |touched| touched.flags = true);
            }
            Change::Mailboxes { account, .. } => self.each(*account, |marks| {
                marks.trees.insert(*account);
            }),
            Change::Account(account) => self.each(*account, |marks| marks.record = true),
            Change::Settings => {
                for watch in self.everybody() {
                    watch.mark(|marks| marks.settings = true);
                }
            }
            _ => {}
        }
    }

    fn touch(&self, account: AccountId, mailbox: MailboxId, how: impl Fn(&mut Touched)) {
        self.each(account, |marks| how(marks.touched.entry(mailbox).or_default()));
    }

    fn each(&self, account: AccountId, mark: impl Fn(&mut Marks)) {
        let watching: Vec<Arc<Watch>> = {
            let all = self.by_account.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(watching) = all.get(&account) else { return };
            watching.iter().filter_map(Weak::upgrade).collect()
        };
        for watch in watching {
            watch.mark(&mark);
        }
    }

    fn everybody(&self) -> Vec<Arc<Watch>> {
        let all = self.by_account.lock().unwrap_or_else(PoisonError::into_inner);
        all.values().flatten().filter_map(Weak::upgrade).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(account: AccountId) -> Change {
        Change::Mailboxes { account, removed: Vec::new(), changed: Vec::new() }
    }

    #[test]
    fn a_watcher_hears_of_its_accounts_until_it_goes() {
        let watches = Watches::default();
        let watch = Arc::new(Watch::default());
        watches.changed(&tree(AccountId(1)));
        watches.register(AccountId(1), &watch);
        watches.register(AccountId(1), &watch);
        watches.changed(&tree(AccountId(2)));
        assert!(watch.take().trees.is_empty());
        watches.changed(&tree(AccountId(1)));
        assert_eq!(watch.take().trees.len(), 1);
        assert!(watch.take().trees.is_empty());
        watches.forget(&watch);
        watches.changed(&tree(AccountId(1)));
        assert!(watch.take().trees.is_empty());
        assert_eq!(watches.accounts.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn what_nobody_looks_at_is_bounded() {
        let watches = Watches::default();
        let watch = Arc::new(Watch::default());
        watches.register(AccountId(1), &watch);
        let touch = |n: usize| {
            watches.touch(AccountId(1), MailboxId(n as u64), |touched| touched.messages = true);
        };
        (0..MAX_TOUCHED).for_each(touch);
        touch(0);
        let marks = watch.take();
        assert!(!marks.overflow && marks.touched.len() == MAX_TOUCHED);
        (0..=MAX_TOUCHED).for_each(touch);
        let marks = watch.take();
        assert!(marks.overflow && marks.touched.is_empty());
    }
}
