//! Counters of what accounts and domains received and sent and how often they logged in
//! (`reference/cli.md` section 13), since they were counted first or reset. They are gathered in
//! memory and written behind by [`crate::counters`]: those of an account into its facts, those of
//! domains into a file. It must never know how mail or logins work.

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

/// The key in an account's facts.
const STATISTICS: &str = "Statistics";
/// The word a domain's line in the file begins with.
const LINE: &str = "domain";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Since when; `None` is the start of the server.
    reset: Option<i64>,
    received: u64,
    bytes_received: u64,
    sent: u64,
    bytes_sent: u64,
    logins: u64,
}

impl Counts {
    /// What was written into an account's facts.
    fn of_facts(facts: &Dictionary) -> Self {
        let none = Dictionary::new();
        let all = facts.get(STATISTICS).and_then(Value::as_dictionary).unwrap_or(&none);
        let number = |key: &str| {
            all.get(key).and_then(Value::as_number).and_then(|n| u64::try_from(n).ok()).unwrap_or(0)
        };
        let reset = match all.get("StatReset") {
            Some(Value::Time(time)) => Some(*time),
            _ => None,
        };
        Self {
            reset,
            received: number("MessagesReceived"),
            bytes_received: number("BytesReceived"),
            sent: number("MessagesSent"),
            bytes_sent: number("BytesSent"),
            logins: number("Logins"),
        }
    }

    /// The same and what came since.
    fn and(self, new: Self) -> Self {
        Self {
            reset: new.reset.or(self.reset),
            received: self.received.saturating_add(new.received),
            bytes_received: self.bytes_received.saturating_add(new.bytes_received),
            sent: self.sent.saturating_add(new.sent),
            bytes_sent: self.bytes_sent.saturating_add(new.bytes_sent),
            logins: self.logins.saturating_add(new.logins),
        }
    }

    /// The same without what was written.
    fn without(self, written: Self) -> Self {
        Self {
            reset: None,
            received: self.received.saturating_sub(written.received),
            bytes_received: self.bytes_received.saturating_sub(written.bytes_received),
            sent: self.sent.saturating_sub(written.sent),
            bytes_sent: self.bytes_sent.saturating_sub(written.bytes_sent),
            logins: self.logins.saturating_sub(written.logins),
        }
    }
}

#[derive(Debug, Default)]
struct Table {
    /// What is not in the accounts' facts yet.
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

    /// Accounts that were counted since they were written last, as many as are asked for.
    pub(crate) fn gathered(&self, most: usize) -> Vec<(AccountId, Counts)> {
        let table = self.table();
        table.accounts.iter().take(most).map(|(id, counts)| (*id, *counts)).collect()
    }

    /// Adds what was gathered to what an account's facts say.
    pub(crate) fn lay_over(&self, new: Counts, facts: &mut Dictionary) {
        let all = self.shown(Counts::of_facts(facts).and(new), false);
        facts.insert(STATISTICS.to_owned(), Value::Dictionary(all));
    }

    /// What was written is not new any more.
    pub(crate) fn written(&self, id: AccountId, written: Counts) {
        let mut table = self.table();
        if let Some(counts) = table.accounts.get_mut(&id) {
            *counts = counts.without(written);
            if *counts == Counts::default() {
                table.accounts.remove(&id);
            }
        }
    }

    /// A domain has another name, or is gone.
    pub(crate) fn domain_moved(&self, from: &str, to: Option<&str>) {
        let mut table = self.table();
        if let (Some(counts), Some(to)) = (table.domains.remove(from), to) {
            table.domains.insert(to.to_owned(), counts);
        }
    }

    /// Writes the counters of all domains, one line each.
    pub(crate) fn write_to(&self, out: &mut String) {
        for (name, c) in &self.table().domains {
            let since = c.reset.unwrap_or(self.started);
            let Counts { received, bytes_received, sent, bytes_sent, logins, .. } = c;
            out.push_str(&format!(
                "{LINE} {name} {since} {received} {bytes_received} {sent} {bytes_sent} {logins}\n"
            ));
        }
    }

    /// Takes a line of [`Statistics::write_to`]; others are passed over.
    pub(crate) fn take_line(&self, line: &str) -> Option<()> {
        let mut words = line.strip_prefix(LINE)?.strip_prefix(' ')?.split(' ');
        let name = words.next()?.to_owned();
        let reset = Some(words.next()?.parse().ok()?);
        let mut number = || words.next()?.parse::<u64>().ok();
        let (received, bytes_received) = (number()?, number()?);
        let (sent, bytes_sent, logins) = (number()?, number()?, number()?);
        let counts = Counts { reset, received, bytes_received, sent, bytes_sent, logins };
        *of(&mut self.table().domains, name)? = counts;
        Some(())
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

/// Takes the counters out of an account's facts: they have commands of their own.
pub(crate) fn without_statistics(facts: &mut Dictionary) {
    facts.remove(STATISTICS);
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
        let new = self.statistics.table().accounts.get(&record.id).copied();
        let all = Counts::of_facts(&record.info).and(new.unwrap_or_default());
        Ok(self.statistics.shown(all, false))
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
        if !reset(&mut Counts::default(), key, now) {
            return Err(unknown_key());
        }
        let new = self.statistics.table().accounts.get(&record.id).copied();
        self.edit_account(record.id, |record| {
            let mut all = Counts::of_facts(&record.info).and(new.unwrap_or_default());
            reset(&mut all, key, now);
            let all = self.statistics.shown(all, false);
            record.info.insert(STATISTICS.to_owned(), Value::Dictionary(all));
            Ok(())
        })
        .await?;
        if let Some(new) = new {
            self.statistics.written(record.id, new);
        }
        Ok(())
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

    #[test]
    fn what_was_written_is_added_to_and_counted_once() {
        let counters = Statistics::new(5);
        let joe = AccountId(1);
        let mut facts = Dictionary::new();
        for octets in [10, 20] {
            counters.received(joe, "one.dom", octets);
            let (id, new) = counters.gathered(9)[0];
            // Another comes while this is being written.
            counters.logged_in(joe, "one.dom");
            counters.lay_over(new, &mut facts);
            counters.written(id, new);
        }
        let (_, rest) = counters.gathered(9)[0];
        assert_eq!(rest, Counts { logins: 1, ..Counts::default() });
        let shown = counters.shown(Counts::of_facts(&facts).and(rest), false);
        assert_eq!(shown["BytesReceived"], Value::Number(30));
        assert_eq!(shown["Logins"], Value::Number(2));
        assert_eq!(shown["StatReset"], Value::Time(5));
        counters.written(joe, rest);
        assert!(counters.gathered(9).is_empty());
        let mut text = String::new();
        counters.write_to(&mut text);
        assert_eq!(text, "domain one.dom 5 2 30 0 0 2\n");
        let again = Statistics::new(70);
        for line in text.lines().chain(["domain", "domain x", "domain x 1 2 3 4 5 y", "name 1 1 x"])
        {
            let _ = again.take_line(line);
        }
        again.domain_moved("one.dom", Some("two.dom"));
        let counts = again.table().domains["two.dom"];
        assert_eq!((counts.reset, counts.bytes_received), (Some(5), 30));
        assert_eq!(again.table().domains.len(), 1);
        again.domain_moved("two.dom", None);
        assert!(again.table().domains.is_empty());
    }
}
