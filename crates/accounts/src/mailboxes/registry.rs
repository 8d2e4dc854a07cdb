//! Which mailboxes are open in this process, and where the names of an account's mailboxes lead:
//! found, loaded once, kept for a while, told of changes. It must never know who may open what.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use angarium_store::{AccountId, Change, MailboxId, Store};
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use super::companions::Companions;
use super::error::MailError;
use super::notices::Watches;
use super::open::OpenMailbox;
use super::tree::Tree;

/// How much is kept of mailboxes nobody has open any more.
#[derive(Clone, Copy, Debug)]
pub struct RegistryOptions {
    /// Mailboxes kept at most (default 4096).
    pub kept_mailboxes: usize,
    /// Bytes of their tables at most, roughly (default 128 MiB).
    pub kept_bytes: usize,
    /// Mailboxes whose records are kept for finding them by name, of all accounts together
    /// (default 2,000,000; an account is kept whole or not at all).
    pub kept_names: u64,
    /// Bytes of what protocols keep beside open mailboxes (default 256 MiB).
    pub kept_companions: usize,
}

impl Default for RegistryOptions {
    fn default() -> Self {
        Self {
            kept_mailboxes: 4096,
            kept_bytes: 128 << 20,
            kept_names: 2_000_000,
            kept_companions: 256 << 20,
        }
    }
}

/// Accounts whose mailboxes are kept, as far as is known in advance.
const ACCOUNTS: usize = 16_384;
/// Parts of what is kept; each may hold the largest account there can be.
const PARTS: usize = 4;

/// An account's tree with the number of mailboxes it was last weighed with.
#[derive(Clone)]
struct Weighed {
    tree: Arc<Tree>,
    mailboxes: u64,
}

#[derive(Clone)]
struct ByMailboxes;

impl Weighter<AccountId, Weighed> for ByMailboxes {
    fn weight(&self, _: &AccountId, entry: &Weighed) -> u64 {
        entry.mailboxes + 8
    }
}

/// Recently opened mailboxes, oldest first, held so that the next opening is free.
#[derive(Default)]
struct Kept {
    order: VecDeque<(Arc<OpenMailbox>, usize)>,
    bytes: usize,
}

/// The open mailboxes of this process.
pub struct Registry {
    options: RegistryOptions,
    open: Mutex<HashMap<MailboxId, Weak<OpenMailbox>>>,
    /// Size of `open` at which dead entries are swept next.
    sweep_at: AtomicU64,
    kept: Mutex<Kept>,
    trees: Cache<AccountId, Weighed, ByMailboxes>,
    /// Held while a tree is told of a change.
    telling: Mutex<()>,
    companions: Companions,
    watches: Watches,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn trees(mailboxes: u64) -> Cache<AccountId, Weighed, ByMailboxes> {
    let capacity = mailboxes.max(1024);
    let mut options = OptionsBuilder::new();
    options.shards(PARTS).estimated_items_capacity(ACCOUNTS).weight_capacity(capacity);
    match options.build() {
        Ok(options) => Cache::with_options(
            options,
            ByMailboxes,
            DefaultHashBuilder::default(),
            DefaultLifecycle::default(),
        ),
        Err(_) => Cache::with_weighter(ACCOUNTS, capacity, ByMailboxes),
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl Registry {
    /// An empty registry with the default bounds. Whoever listens to the store's feed must pass
    /// every change to [`Registry::changed`] before the first mailbox is opened.
    #[must_use]
    pub fn new() -> Self {
        Self::with_options(RegistryOptions::default())
    }

    /// As [`Registry::new`] with other bounds.
    #[must_use]
    pub fn with_options(options: RegistryOptions) -> Self {
        Self {
            options,
            open: Mutex::new(HashMap::new()),
            sweep_at: AtomicU64::new(1024),
            kept: Mutex::new(Kept::default()),
            trees: trees(options.kept_names),
            telling: Mutex::new(()),
            companions: Companions::default(),
            watches: Watches::default(),
        }
    }

    /// Takes note of a change; quick, calls no store.
    pub fn changed(&self, change: &Change) {
        match change {
            Change::Appended { account, mailbox, .. }
            | Change::Flags { account, mailbox, .. }
            | Change::Expunged { account, mailbox, .. } => {
                self.tell_tree(*account, change);
                if let Some(open) = self.find(mailbox.id) {
                    open.apply(change);
                }
            }
            Change::PopIds { mailbox, .. } => {
                if let Some(open) = self.find(*mailbox) {
                    open.apply(change);
                }
            }
            Change::Mailboxes { account, removed, changed } => {
                self.tell_tree(*account, change);
                let mut gone = removed.clone();
                for id in removed.iter().chain(changed.iter().map(|r| &r.id)) {
                    if let Some(open) = self.find(*id) {
                        open.apply(change);
                        // As with another validity: it is to be loaded anew.
                        if open.is_gone() {
                            gone.push(*id);
                        }
                    }
                }
                self.forget(&gone);
            }
            _ => {}
        }
        self.watches.changed(change);
    }

    /// Who wants to hear of changes.
    pub(super) fn watches(&self) -> &Watches {
        &self.watches
    }

    fn tell_tree(&self, account: AccountId, change: &Change) {
        let telling = lock(&self.telling);
        if let Some(known) = self.trees.peek(&account) {
            known.tree.apply(change);
            self.keep_tree(account, &known);
        }
        drop(telling);
    }

    /// A tree that grew counts for more. Called while no tree can be told anything: one that was
    /// dropped and missed a change must not come back.
    fn keep_tree(&self, account: AccountId, known: &Weighed) {
        let mailboxes = known.tree.len() as u64;
        let kept = || self.trees.peek(&account).is_some_and(|k| Arc::ptr_eq(&k.tree, &known.tree));
        if mailboxes > 2 * known.mailboxes + 64 && kept() {
            let tree = Arc::clone(&known.tree);
            // When there is no room for it, it is dropped and read again the next time.
            let _ = self.trees.replace(account, Weighed { tree, mailboxes }, true);
        }
    }

    fn forget(&self, removed: &[MailboxId]) {
        if removed.is_empty() {
            return;
        }
        {
            let mut kept = lock(&self.kept);
            kept.order.retain(|(open, _)| !removed.contains(&open.id()));
            kept.bytes = kept.order.iter().map(|(_, bytes)| bytes).sum();
        }
        let mut open = lock(&self.open);
        for id in removed {
            open.remove(id);
        }
    }

    /// The open mailbox, if it is open.
    #[must_use]
    pub fn find(&self, id: MailboxId) -> Option<Arc<OpenMailbox>> {
        lock(&self.open).get(&id).and_then(Weak::upgrade)
    }

    /// Takes note of how many bytes the [`OpenMailbox::companion`] of this type holds now; the
    /// oldest are forgotten when all together are too large.
    pub fn weigh<T: 'static>(&self, open: &Arc<OpenMailbox>, bytes: usize) {
        let kind = std::any::TypeId::of::<T>();
        self.companions.weigh(open, kind, bytes, self.options.kept_companions);
    }

    /// Number of mailboxes in memory.
    #[must_use]
    pub fn count(&self) -> usize {
        lock(&self.open).values().filter(|weak| weak.strong_count() > 0).count()
    }

    /// The mailboxes of an account.
    ///
    /// # Errors
    /// What the store says.
    pub(super) async fn tree(
        &self,
        store: &Store,
        account: AccountId,
    ) -> Result<Arc<Tree>, MailError> {
        let known = match self.trees.get(&account) {
            Some(known) => known,
            None => {
                let new = || Ok::<_, Infallible>(Weighed { tree: Arc::default(), mailboxes: 0 });
                match self.trees.get_or_insert_with(&account, new) {
                    Ok(known) => known,
                    Err(never) => match never {},
                }
            }
        };
        known.tree.read(store, account).await?;
        if known.mailboxes == 0 {
            let telling = lock(&self.telling);
            self.keep_tree(account, &known);
            drop(telling);
        }
        Ok(known.tree)
    }

    /// The INBOX of an account.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) async fn inbox(
        &self,
        store: &Store,
        account: AccountId,
    ) -> Result<Option<MailboxId>, MailError> {
        Ok(self.tree(store, account).await?.named("INBOX").map(|record| record.id))
    }

    /// Opens a mailbox: free when it is open or kept, else its messages are loaded once however
    /// many ask.
    ///
    /// # Errors
    /// `NotFound`, `NotSelectable`, or what the store says.
    pub async fn open(
        &self,
        store: &Store,
        account: AccountId,
        id: MailboxId,
    ) -> Result<Arc<OpenMailbox>, MailError> {
        if let Some(open) = self.find(id) {
            open.load(store).await?;
            self.keep(&open);
            return Ok(open);
        }
        let record = store.mailboxes.get(account, id).await?;
        if !record.selectable {
            return Err(MailError::NotSelectable);
        }
        let open = self.enter(OpenMailbox::new(record, account));
        open.load(store).await?;
        self.keep(&open);
        Ok(open)
    }

    /// Enters a mailbox, or answers the one that was entered meanwhile.
    fn enter(&self, new: OpenMailbox) -> Arc<OpenMailbox> {
        let mut open = lock(&self.open);
        if let Some(known) = open.get(&new.id()).and_then(Weak::upgrade) {
            return known;
        }
        let new = Arc::new(new);
        open.insert(new.id(), Arc::downgrade(&new));
        let size = open.len() as u64;
        if size >= self.sweep_at.load(Ordering::Relaxed) {
            open.retain(|_, weak| weak.strong_count() > 0);
            self.sweep_at.store((open.len() as u64 * 2).max(1024), Ordering::Relaxed);
        }
        new
    }

    /// Moves a mailbox to the young end of what is kept, and lets the oldest go.
    fn keep(&self, open: &Arc<OpenMailbox>) {
        let bytes = open.bytes();
        let mut dropped = Vec::new();
        {
            let mut kept = lock(&self.kept);
            // The usual case: it is the youngest already.
            if kept.order.back().is_some_and(|(last, _)| Arc::ptr_eq(last, open)) {
                return;
            }
            // Only the young end is searched; an old double costs one place and nothing else.
            let place = kept.order.iter().rev().take(64).position(|(k, _)| Arc::ptr_eq(k, open));
            if let Some(from_back) = place {
                let at = kept.order.len() - 1 - from_back;
                if let Some((_, old)) = kept.order.remove(at) {
                    kept.bytes -= old.min(kept.bytes);
                }
            }
            kept.order.push_back((Arc::clone(open), bytes));
            kept.bytes += bytes;
            while kept.order.len() > self.options.kept_mailboxes
                || kept.bytes > self.options.kept_bytes
            {
                let Some((old, size)) = kept.order.pop_front() else { break };
                kept.bytes -= size.min(kept.bytes);
                dropped.push(old);
            }
        }
        // Freed outside the lock.
        drop(dropped);
    }
}
