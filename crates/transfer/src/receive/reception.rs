//! What all receivers of a server share.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use angarium_accounts::Accounts;
use angarium_objects::spelling::Flow;

use crate::dequeuer::Dequeuer;
use crate::dns::Dns;
use crate::following::Following;
use crate::rates::Rates;

/// Addresses whose ETRN and ATRN commands are counted, about 100 octets each.
const COUNTED: usize = 20_000;

/// What all receivers of a server share.
pub(crate) struct Reception {
    pub(super) changes: Arc<Following>,
    dns: RwLock<Option<Dns>>,
    releases: Rates<IpAddr>,
    pub(super) dequeuer: Arc<Dequeuer>,
}

impl Reception {
    /// Queues are asked for at this dequeuer.
    pub(crate) fn new(accounts: &Accounts, dequeuer: Arc<Dequeuer>) -> Arc<Self> {
        let changes = Following::of(accounts, "receiving");
        let (dns, releases) = (RwLock::default(), Rates::new(COUNTED));
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
        self.releases.take(&peer.to_canonical(), flow, now).is_ok()
    }
}
