//! The memory edition: plain maps behind one lock, short enough to be read as the specification
//! of the contract. Nothing is durable; everything else is promised as by every edition.
//!
//! Each operation checks everything first, then changes the maps, then tells the feed, all under
//! the lock, so that it is whole and its changes are told in order. It must never know a file,
//! a protocol or the time of day.

mod account_files;
mod bodies;
mod directory;
mod mailboxes;
mod messages;
mod queue;
mod search;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use angarium_objects::value::Dictionary;

use crate::account_files::FileRecord;
use crate::directory::{AccountRecord, DomainObject, DomainRecord, SettingsKey, Versioned};
use crate::error::{Result, StoreError};
use crate::feed::{Change, Feed};
use crate::ids::{AccountId, QueueId};
use crate::message::Origin;
use crate::timetable::Timetable;
use crate::{Store, mailboxes::Mailboxes};

use bodies::HeldBodies;
use mailboxes::Mail;
use queue::Queued;

/// Opens a new, empty store in memory.
#[must_use]
pub fn open() -> Store {
    let feed = Feed::default();
    let memory = Arc::new(Memory { state: Mutex::default(), feed: feed.clone() });
    Store {
        mailboxes: Arc::clone(&memory) as Arc<dyn Mailboxes>,
        files: Arc::clone(&memory) as _,
        directory: Arc::clone(&memory) as _,
        queue: Arc::clone(&memory) as _,
        bodies: Arc::clone(&memory) as _,
        search: memory,
        feed,
    }
}

/// The store: all state behind one lock, and whom to tell.
struct Memory {
    state: Mutex<State>,
    feed: Feed,
}

/// Everything stored.
#[derive(Default)]
struct State {
    /// The last number given to an account or mailbox.
    ids: Ids,
    /// The last number given to a queued message.
    queue_ids: Ids,
    settings: BTreeMap<SettingsKey, Versioned<Dictionary>>,
    domains: BTreeMap<String, DomainRecord>,
    /// What each name stands for, by domain and name, aliases included.
    objects: BTreeMap<String, BTreeMap<String, DomainObject>>,
    accounts: BTreeMap<AccountId, AccountRecord>,
    mail: BTreeMap<AccountId, Mail>,
    /// The files of each account by path.
    files: BTreeMap<AccountId, BTreeMap<String, FileRecord>>,
    queue: BTreeMap<QueueId, Queued>,
    /// Deliveries that queued a message.
    queued_by: BTreeSet<Origin>,
    timetable: Timetable,
    bodies: HeldBodies,
}

/// Gives out numbers, each once.
#[derive(Default)]
struct Ids(u64);

impl Ids {
    fn take(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }
}

impl Memory {
    /// Looks something up.
    fn read<R>(&self, look: impl FnOnce(&State) -> Result<R>) -> Result<R> {
        look(&self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes something: `work` checks, changes and says what to tell. When it fails it has
    /// changed nothing.
    fn change<R>(&self, work: impl FnOnce(&mut State, &mut Vec<Change>) -> Result<R>) -> Result<R> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut told = Vec::new();
        let answer = work(&mut state, &mut told)?;
        for change in &told {
            self.feed.publish(change);
        }
        Ok(answer)
    }
}

impl State {
    /// The mail of an account.
    fn mail(&self, account: AccountId) -> Result<&Mail> {
        self.mail.get(&account).ok_or(StoreError::NotFound("account"))
    }
}

/// The mail of an account, to be changed.
fn mail_of(mail: &mut BTreeMap<AccountId, Mail>, account: AccountId) -> Result<&mut Mail> {
    mail.get_mut(&account).ok_or(StoreError::NotFound("account"))
}

/// Refuses a request for a reason.
fn invalid<T>(why: &str) -> Result<T> {
    Err(StoreError::Invalid(why.to_owned()))
}
