//! Counters of what accounts and domains received and sent and how often they logged in
//! (`reference/cli.md` section 13), since the server started or since they were reset. They live
//! in memory; it must never know how mail or logins work.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use angarium_objects::rights::BASIC_SETTINGS;
use angarium_objects::value::{Dictionary, Value};
use angarium_store::AccountId;

use crate::{Accounts, Actor, OperationError};

/// Accounts, and domains, that are counted at a time; further ones count for the server only.
const MAX_COUNTED: usize = 1_000_000;

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    /// Since when; `None` is the start of the server.
    reset: Option<i64>,
    received: u64,
    bytes_received: u64,
    sent: u64,
    bytes_sent: u64,
    logins: u64,
}

#[derive(Debug, Default)]
struct Table {
    accounts: HashMap<AccountId, Counts>,
    domains: HashMap<String, Counts>,
}

/// The counters of a process.
#[derive(Debug)]
pub(crate) struct Statistics {
    started: i64,
    table: Mutex<Table>,
    delivered: AtomicU64,
    submitted: AtomicU64,
    logins: AtomicU64,
    failed: AtomicU64,
}

/// What the whole server counted since its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    /// When it started, seconds since 1970.
    pub started: i64,
    /// Messages put into accounts.
    pub delivered: u64,
    /// Messages of users who had logged in.
    pub submitted: u64,
    /// Logins.
    pub logins: u64,
    /// Logins that failed.
    pub failed: u64,
}

/// The counters of a key, unless there are too many already.
fn of<K: Hash + Eq>(table: &mut HashMap<K, Counts>, key: K) -> Option<&mut Counts> {
    if table.len() >= MAX_COUNTED && !table.contains_key(&key) {
        return None;
    }
    Some(table.entry(key).or_default())
}

impl Statistics {
    pub(crate) fn new(started: i64) -> Self {
        Self {
            started,
            table: Mutex::default(),
            delivered: AtomicU64::new(0),
            submitted: AtomicU64::new(0),
            logins: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, account: AccountId, domain: &str, change: impl Fn(&mut Counts)) {
        let mut table = self.table();
        if let Some(counts) = of(&mut table.accounts, account) {
            change(counts);
        }
        if let Some(counts) = table.domains.get_mut(domain) {
            change(counts);
        } else if let Some(counts) = of(&mut table.domains, domain.to_owned()) {
            change(counts);
        }
    }

    /// A message of so many octets was put into an account.
    pub(crate) fn received(&self, account: AccountId, domain: &str, octets: u64) {
        self.delivered.fetch_add(1, Ordering::Relaxed);
        self.count(account, domain, |counts| {
            counts.received += 1;
            counts.bytes_received = counts.bytes_received.saturating_add(octets);
        });
    }

    /// An account logged in.
    pub(crate) fn logged_in(&self, account: AccountId, domain: &str) {
        self.logins.fetch_add(1, Ordering::Relaxed);
        self.count(account, domain, |counts| counts.logins += 1);
    }

    /// Somebody did not get in.
    pub(crate) fn login_failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    fn shown(&self, counts: Counts, domain: bool) -> Dictionary {
        let number = |n: u64| Value::Number(i64::try_from(n).unwrap_or(i64::MAX));
        let mut all = Dictionary::from([
            ("StatReset".to_owned(), Value::Time(counts.reset.unwrap_or(self.started))),
            ("MessagesReceived".to_owned(), number(counts.received)),
            ("BytesReceived".to_owned(), number(counts.bytes_received)),
            ("MessagesSent".to_owned(), number(counts.sent)),
            ("BytesSent".to_owned(), number(counts.bytes_sent)),
            ("CallsReceived".to_owned(), number(0)),
            ("CallsSent".to_owned(), number(0)),
        ]);
        if !domain {
            all.insert("Logins".to_owned(), number(counts.logins));
        }
        all
    }
}

/// Sets one counter, or all, back to zero; `false` for an unknown key.
fn reset(counts: &mut Counts, key: Option<&str>, now: i64) -> bool {
    match key {
        None => *counts = Counts { reset: Some(now), ..Counts::default() },
        Some("MessagesReceived") => counts.received = 0,
        Some("BytesReceived") => counts.bytes_received = 0,
        Some("MessagesSent") => counts.sent = 0,
        Some("BytesSent") => counts.bytes_sent = 0,
        Some("Logins") => counts.logins = 0,
        Some("CallsReceived" | "CallsSent") => {}
        Some(_) => return false,
    }
    true
}

fn unknown_key() -> OperationError {
    OperationError::General("there is no such statistics element".to_owned())
}

impl Accounts {
    /// A message of so many octets was put into an account.
    pub(crate) async fn count_received(&self, account: AccountId, octets: u64) {
        if let Ok(Some(record)) = self.account_record(account).await {
            self.statistics.received(account, &record.domain, octets);
        }
    }

    /// A message of so many octets was taken from a user who had logged in.
    pub fn count_sent(&self, actor: &Actor, octets: u64) {
        self.statistics.submitted.fetch_add(1, Ordering::Relaxed);
        self.statistics.count(actor.account, &actor.domain, |counts| {
            counts.sent += 1;
            counts.bytes_sent = counts.bytes_sent.saturating_add(octets);
        });
    }

    /// What the whole server counted.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let own = &self.statistics;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Totals {
            started: own.started,
            delivered: read(&own.delivered),
            submitted: read(&own.submitted),
            logins: read(&own.logins),
            failed: read(&own.failed),
        }
    }

    /// The counters of an account, for its owner and administrators of its domain.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn account_statistics(
        &self,
        actor: &Actor,
        account: &str,
    ) -> Result<Dictionary, OperationError> {
        let (_, record) = self.readable_account(actor, account).await?;
        let counts = self.statistics.table().accounts.get(&record.id).copied();
        Ok(self.statistics.shown(counts.unwrap_or_default(), false))
    }

    /// Sets the counters of an account back, or one of them.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn reset_account_statistics(
        &self,
        actor: &Actor,
        account: &str,
        key: Option<&str>,
    ) -> Result<(), OperationError> {
        let authority = self.authority(actor).await?;
        let record = self.named_account(&authority, account).await?;
        self.need_in_domain(&authority, &record.domain, BASIC_SETTINGS).await?;
        let now = self.now();
        let done = match of(&mut self.statistics.table().accounts, record.id) {
            Some(counts) => reset(counts, key, now),
            None => true,
        };
        if done { Ok(()) } else { Err(unknown_key()) }
    }

    /// The counters of a domain (`""` or `*` for one's own).
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn domain_statistics(
        &self,
        actor: &Actor,
        domain: &str,
    ) -> Result<Dictionary, OperationError> {
        let facts = self.readable_domain(actor, if domain == "*" { "" } else { domain }).await?;
        let counts = self.statistics.table().domains.get(&facts.record.name).copied();
        Ok(self.statistics.shown(counts.unwrap_or_default(), true))
    }

    /// Sets the counters of a domain back, or one of them.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn reset_domain_statistics(
        &self,
        actor: &Actor,
        domain: &str,
        key: Option<&str>,
    ) -> Result<(), OperationError> {
        let authority = self.authority(actor).await?;
        let facts = self.named_domain(&authority, if domain == "*" { "" } else { domain }).await?;
        let name = &facts.record.name;
        self.need_in_domain(&authority, name, BASIC_SETTINGS).await?;
        let now = self.now();
        let done = match of(&mut self.statistics.table().domains, name.clone()) {
            Some(counts) => reset(counts, key, now),
            None => true,
        };
        if done { Ok(()) } else { Err(unknown_key()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_is_counted_for_the_account_its_domain_and_the_server() {
        let counters = Statistics::new(5);
        counters.received(AccountId(1), "one.dom", 10);
        counters.received(AccountId(2), "one.dom", 20);
        counters.logged_in(AccountId(1), "one.dom");
        let table = counters.table();
        let (own, domain) = (table.accounts[&AccountId(1)], table.domains["one.dom"]);
        drop(table);
        let shown = counters.shown(own, false);
        assert_eq!(shown["BytesReceived"], Value::Number(10));
        assert_eq!(shown["Logins"], Value::Number(1));
        assert_eq!(shown["StatReset"], Value::Time(5));
        assert_eq!(counters.shown(domain, true)["BytesReceived"], Value::Number(30));
        let mut own = own;
        assert!(reset(&mut own, Some("BytesReceived"), 9));
        assert_eq!((own.bytes_received, own.received), (0, 1));
        assert!(reset(&mut own, None, 9) && !reset(&mut own, Some("Steps"), 9));
        assert_eq!(counters.shown(own, false)["StatReset"], Value::Time(9));
    }
}
