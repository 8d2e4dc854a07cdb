//! When, from where and how often accounts log in. A login costs no write: what is new is gathered
//! here and written now and then by [`crate::counters`]. It must never make a login wait or fail.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use angarium_objects::value::{Dictionary, Value};
use angarium_store::AccountId;

/// Accounts whose logins are gathered; those of more are not counted until the next writing.
const GATHERED: usize = 200_000;

/// The keys in an account's facts.
pub(crate) const LAST_LOGIN: &str = "LastLogin";
pub(crate) const LAST_ADDRESS: &str = "LastAddress";
pub(crate) const LOGINS: &str = "Logins";

/// The logins of an account since they were written last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct New {
    time: i64,
    peer: Option<IpAddr>,
    logins: u64,
}

impl New {
    /// Lays the new logins over the facts written before.
    pub(crate) fn lay_over(self, facts: &mut Dictionary) {
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

    /// The accounts that logged in since they were written last.
    pub(crate) fn gathered(&self) -> Vec<(AccountId, New)> {
        self.lock().iter().map(|(id, new)| (*id, *new)).collect()
    }

    /// What was written is not new any more.
    pub(crate) fn written(&self, id: AccountId, written: New) {
        let mut all = self.lock();
        if let Some(new) = all.get_mut(&id) {
            new.logins = new.logins.saturating_sub(written.logins);
            if new.logins == 0 {
                all.remove(&id);
            }
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
        let (_, before) = logins.gathered()[0];
        logins.entered(joe, None, 30);
        logins.written(joe, before);
        logins.lay_over(joe, &mut none);
        assert_eq!(none[LOGINS], Value::from("1"));
        let (_, last) = logins.gathered()[0];
        logins.written(joe, last);
        assert!(logins.lock().is_empty());
    }
}
