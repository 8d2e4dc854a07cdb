//! The memory behind the directory facts: bounded caches that the change feed empties.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use angarium_objects::name::FullName;
use angarium_objects::value::Dictionary;
use angarium_routing::Router;
use angarium_store::{AccountId, AccountRecord, Change, DomainObject, SettingsKey};
use arc_swap::{ArcSwap, ArcSwapOption};
use quick_cache::sync::Cache;

use super::Domain;
use crate::login::Offers;
use crate::mailboxes::Group;

/// Account records kept.
const RECORDS: usize = 10_000;
/// Effective settings of accounts kept.
const EFFECTIVE: usize = 4_096;
/// Domains kept.
const DOMAINS: usize = 10_000;
/// Names known not to be domains of ours kept; anybody can make us ask about any.
const FOREIGN: usize = 10_000;
/// Names of objects kept.
const OBJECTS: usize = 20_000;
/// Groups kept with their members.
const GROUPS: usize = 256;
/// Server-wide dictionaries kept.
const SETTINGS: usize = 256;

/// The caches.
pub(crate) struct Facts {
    pub(super) records: Cache<AccountId, Arc<AccountRecord>>,
    pub(super) effective: Cache<AccountId, Arc<Dictionary>>,
    pub(super) domains: Cache<String, Arc<Domain>>,
    /// Names that are no domains of ours.
    pub(super) foreign: Cache<String, Arc<()>>,
    pub(super) objects: Cache<FullName, Arc<DomainObject>>,
    pub(super) settings: Cache<SettingsKey, Arc<Dictionary>>,
    /// Groups by name and domain.
    pub(crate) groups: Cache<(String, String), Arc<Group>>,
    offers: ArcSwapOption<Offers>,
    /// Those that the last change made old.
    offers_before: ArcSwapOption<Offers>,
    pub(super) router: ArcSwapOption<Router>,
    pub(super) assigned: ArcSwapOption<HashMap<IpAddr, String>>,
    /// Network addresses of this machine.
    pub(super) own: ArcSwap<Vec<IpAddr>>,
    /// Grows with each change; a value read before it grew is not kept.
    generation: AtomicU64,
    /// False when the feed is not heard: nothing is kept then.
    heard: AtomicBool,
}

impl Facts {
    pub(crate) fn new() -> Self {
        Self {
            records: Cache::new(RECORDS),
            effective: Cache::new(EFFECTIVE),
            domains: Cache::new(DOMAINS),
            foreign: Cache::new(FOREIGN),
            objects: Cache::new(OBJECTS),
            settings: Cache::new(SETTINGS),
            groups: Cache::new(GROUPS),
            offers: ArcSwapOption::empty(),
            offers_before: ArcSwapOption::empty(),
            router: ArcSwapOption::empty(),
            assigned: ArcSwapOption::empty(),
            own: ArcSwap::default(),
            generation: AtomicU64::new(0),
            heard: AtomicBool::new(true),
        }
    }

    /// Keeps nothing any more, because nobody tells of changes.
    pub(crate) fn distrust(&self) {
        self.heard.store(false, Ordering::SeqCst);
    }

    /// Taken before reading what is to be kept.
    pub(crate) fn mark(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    fn still(&self, mark: u64) -> bool {
        self.heard.load(Ordering::SeqCst) && self.mark() == mark
    }

    /// Keeps a value unless something changed since the mark. The second look afterwards closes
    /// the gap: whoever changes things first counts up and then empties.
    pub(crate) fn keep<K: Hash + Eq + Clone, V>(
        &self,
        cache: &Cache<K, Arc<V>>,
        key: K,
        value: &Arc<V>,
        mark: u64,
    ) {
        if !self.still(mark) {
            return;
        }
        cache.insert(key.clone(), Arc::clone(value));
        if !self.still(mark) {
            cache.remove(&key);
        }
    }

    /// What all domains together offer to log in by, if nothing changed since it was found.
    pub(crate) fn offers(&self) -> Option<Arc<Offers>> {
        self.offers.load_full()
    }

    /// What they offered before the last change.
    pub(crate) fn offers_before(&self) -> Option<Arc<Offers>> {
        self.offers_before.load_full()
    }

    pub(crate) fn keep_offers(&self, offers: &Arc<Offers>, mark: u64) {
        self.offers_before.store(Some(Arc::clone(offers)));
        if self.still(mark) {
            self.offers.store(Some(Arc::clone(offers)));
            if !self.still(mark) {
                self.offers.store(None);
            }
        }
    }

    pub(super) fn keep_router(&self, router: &Arc<Router>, mark: u64) {
        if self.still(mark) {
            self.router.store(Some(Arc::clone(router)));
            if !self.still(mark) {
                self.router.store(None);
            }
        }
    }

    pub(super) fn keep_assigned(&self, all: &Arc<HashMap<IpAddr, String>>, mark: u64) {
        if self.still(mark) {
            self.assigned.store(Some(Arc::clone(all)));
            if !self.still(mark) {
                self.assigned.store(None);
            }
        }
    }

    /// Drops what a change makes old.
    pub(crate) fn changed(&self, change: &Change) {
        match change {
            Change::Account(id) => {
                self.generation.fetch_add(1, Ordering::SeqCst);
                self.records.remove(id);
                self.effective.remove(id);
            }
            Change::Domain(_) => {
                self.generation.fetch_add(1, Ordering::SeqCst);
                self.domains.clear();
                self.foreign.clear();
                self.objects.clear();
                self.groups.clear();
                // Renaming a domain renames all accounts in it.
                self.records.clear();
                self.effective.clear();
                self.assigned.store(None);
                self.offers.store(None);
            }
            Change::Settings => {
                self.generation.fetch_add(1, Ordering::SeqCst);
                self.settings.clear();
                self.domains.clear();
                self.effective.clear();
                self.router.store(None);
                self.offers.store(None);
            }
            _ => {}
        }
    }
}
