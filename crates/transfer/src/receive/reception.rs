//! What all receivers of a server share.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use angarium_accounts::Accounts;
use angarium_objects::spelling::{Flow, Limit};
use quick_cache::sync::Cache;

use super::rules::Changes;
use crate::dequeuer::Dequeuer;
use crate::dns::Dns;

/// Addresses whose ETRN and ATRN commands are counted, about 100 octets each.
const COUNTED: usize = 20_000;

/// Commands taken in the period that began then, seconds since 1970.
type Counted = Arc<Mutex<(u64, i64)>>;

/// What all receivers of a server share.
pub(crate) struct Reception {
    pub(super) changes: Arc<Changes>,
    dns: RwLock<Option<Dns>>,
    releases: Cache<IpAddr, Counted>,
    pub(super) dequeuer: Arc<Dequeuer>,
}

impl Reception {
    /// Queues are asked for at this dequeuer.
    pub(crate) fn new(accounts: &Accounts, dequeuer: Arc<Dequeuer>) -> Arc<Self> {
        let changes = Arc::new(Changes::default());
        if !accounts.add_listener(changes.clone()) {
            tracing::error!(target: "SMTPI", "changed settings take effect at the next start only");
        }
        let (dns, releases) = (RwLock::default(), Cache::new(COUNTED));
        Arc::new(Self { changes, dns, releases, dequeuer })
    }

    /// Looks names up with this resolver from now on.
    pub(crate) fn use_dns(&self, dns: Dns) {
        *self.dns.write().unwrap_or_else(PoisonError::into_inner) = Some(dns);
    }

    pub(super) fn dns(&self) -> Option<Dns> {
        self.dns.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts an ETRN or ATRN of this address; false when it had too many.
    pub(super) fn may_release(&self, peer: IpAddr, flow: Flow, now: i64) -> bool {
        let Limit::Of(most) = flow.count else { return true };
        let fresh = || Ok::<_, ()>(Arc::new(Mutex::new((0, now))));
        let Ok(counted) = self.releases.get_or_insert_with(&peer.to_canonical(), fresh) else {
            return false;
        };
        let mut counted = counted.lock().unwrap_or_else(PoisonError::into_inner);
        let period = i64::try_from(flow.seconds).unwrap_or(i64::MAX);
        if now.saturating_sub(counted.1) >= period {
            *counted = (0, now);
        }
        counted.0 = counted.0.saturating_add(1);
        counted.0 <= most
    }
}
