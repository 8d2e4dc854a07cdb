//! When, from where and how often accounts log in. A login costs no write: what is new is gathered
//! and written now and then, many accounts at a time, and when the server stops.
//!
//! A server that is cut off loses what was not written yet: at most the logins of
//! [`WRITTEN_EVERY`]. It must never make a login wait or fail.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use angarium_objects::value::{Dictionary, Value};
use angarium_store::AccountId;
use tokio::task::JoinSet;

use crate::{Accounts, OperationError};

/// Logins are written this often.
pub const WRITTEN_EVERY: Duration = Duration::from_secs(300);
/// Accounts whose logins are gathered; those of more are not counted until the next writing.
const GATHERED: usize = 200_000;
/// Accounts written at a time: they share their sync.
const TOGETHER: usize = 64;

/// The keys in an account's facts.
pub(crate) const LAST_LOGIN: &str = "LastLogin";
pub(crate) const LAST_ADDRESS: &str = "LastAddress";
pub(crate) const LOGINS: &str = "Logins";

/// The logins of an account since they were written last.
#[derive(Clone, Copy, Debug)]
struct New {
    time: i64,
    peer: Option<IpAddr>,
    logins: u64,
}

impl New {
    /// Lays the new logins over the facts written before.
    fn lay_over(self, facts: &mut Dictionary) {
        let before = facts.get(LOGINS).and_then(Value::as_number).unwrap_or(0);
        let logins = u64::try_from(before).unwrap_or(0).saturating_add(self.logins);
        facts.insert(LAST_LOGIN.to_owned(), Value::Time(self.time));
        facts.insert(LOGINS.to_owned(), Value::from(logins.to_string()));
        match self.peer {
            Some(peer) => facts.insert(LAST_ADDRESS.to_owned(), Value::from(peer.to_string())),
            None => facts.remove(LAST_ADDRESS),
        };
    }
}

/// What is gathered.
#[derive(Default)]
pub(crate) struct LastLogins {
    new: Mutex<HashMap<AccountId, New>>,
}

impl LastLogins {
    fn lock(&self) -> MutexGuard<'_, HashMap<AccountId, New>> {
        self.new.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a login.
    pub(crate) fn entered(&self, id: AccountId, peer: Option<IpAddr>, time: i64) {
        let mut all = self.lock();
        if all.len() >= GATHERED && !all.contains_key(&id) {
            return;
        }
        let before = all.get(&id).map_or(0, |new| new.logins);
        all.insert(id, New { time, peer, logins: before.saturating_add(1) });
    }

    /// Lays what is not written yet over an account's facts.
    pub(crate) fn lay_over(&self, id: AccountId, facts: &mut Dictionary) {
        let new = self.lock().get(&id).copied();
        if let Some(new) = new {
            new.lay_over(facts);
        }
    }

    /// What was written is not new any more.
    fn written(&self, id: AccountId, written: u64) {
        let mut all = self.lock();
        if let Some(new) = all.get_mut(&id) {
            new.logins = new.logins.saturating_sub(written);
            if new.logins == 0 {
                all.remove(&id);
            }
        }
    }
}

impl Accounts {
    /// Writes the logins gathered so far; how many accounts had some. Those that cannot be
    /// written now are tried the next time.
    pub async fn write_logins(self: &Arc<Self>) -> usize {
        let gathered: Vec<(AccountId, New)> =
            self.gate.last.lock().iter().map(|(id, new)| (*id, *new)).collect();
        let mut running = JoinSet::new();
        for (id, new) in &gathered {
            if running.len() >= TOGETHER {
                running.join_next().await;
            }
            let (accounts, id, new) = (Arc::clone(self), *id, *new);
            running.spawn(async move { accounts.write_login(id, new).await });
        }
        while running.join_next().await.is_some() {}
        gathered.len()
    }

    async fn write_login(&self, id: AccountId, new: New) {
        let written = Box::pin(self.edit_account(id, |record| {
            new.lay_over(&mut record.info);
            Ok(())
        }));
        match written.await {
            Ok(_) | Err(OperationError::UnknownAccount) => self.gate.last.written(id, new.logins),
            Err(error) => tracing::warn!("the last login of an account is not written: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_are_added_to_those_written_before() {
        let logins = LastLogins::default();
        let (joe, ann) = (AccountId(1), AccountId(2));
        logins.entered(joe, Some(IpAddr::from([192, 0, 2, 1])), 10);
        logins.entered(joe, None, 20);
        let mut facts = Dictionary::from([(LOGINS.to_owned(), Value::from("40"))]);
        logins.lay_over(joe, &mut facts);
        assert_eq!(facts[LOGINS], Value::from("42"));
        assert_eq!(facts[LAST_LOGIN], Value::Time(20));
        assert!(!facts.contains_key(LAST_ADDRESS));
        let mut none = Dictionary::new();
        logins.lay_over(ann, &mut none);
        assert!(none.is_empty());
        // A login while the others are being written stays.
        logins.entered(joe, None, 30);
        logins.written(joe, 2);
        logins.lay_over(joe, &mut none);
        assert_eq!(none[LOGINS], Value::from("1"));
        logins.written(joe, 1);
        assert!(logins.lock().is_empty());
    }
}
