//! Who may relay and who is kept out, the acting half (`reference/smtp.md` section 5): one
//! [`Protection`] for all receivers of a server, one [`Guard`] for each connection. What is decided
//! stands in `angarium_routing::protection`; here it is given lists, memory and the DNS.
//!
//! All memory is bounded and none of it is on disk but the networks that greylisting knows. It must
//! never know the words of SMTP commands, nor what becomes of a message after it was taken.

pub mod check;

mod addresses;
mod backup;
mod dns_lists;
mod greylist;
mod guard;
mod lines;
mod rules;
mod senders;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

use angarium_accounts::{
    AccountId, Accounts, Change, ChangeListener, PROTECTION_MODULE, ReadingWatcher,
};
use angarium_objects::settings::Scope;
use angarium_objects::spelling;
use angarium_routing::protection::Meter;
use quick_cache::sync::Cache;

pub use addresses::{BlockedAddress, MAX_BLOCKED};
pub use guard::{Guard, Permit, Why};
pub use lines::BannedLines;

use crate::dns::Dns;
use addresses::Addresses;
use backup::Backup;
use greylist::Greylist;
pub(crate) use rules::Rules;

/// Accounts whose outgoing mail is counted, about 80 octets each.
const OUTGOING: usize = 20_000;

/// What all receivers share.
pub struct Protection {
    accounts: Arc<Accounts>,
    dns: RwLock<Option<Dns>>,
    rules: RwLock<Arc<Rules>>,
    stale: AtomicBool,
    addresses: Addresses,
    greylist: Greylist,
    backup: Backup,
    outgoing: Cache<AccountId, Arc<Mutex<Meter>>>,
}

/// Hears of changed settings and of people who read mail, without keeping the protection alive.
struct Ear(Weak<Protection>);

impl ChangeListener for Ear {
    fn changed(&self, change: &Change) {
        if let (Change::Settings, Some(protection)) = (change, self.0.upgrade()) {
            protection.stale.store(true, Ordering::SeqCst);
        }
    }
}

impl ReadingWatcher for Ear {
    fn reading(&self, peer: IpAddr) {
        let Some(protection) = self.0.upgrade() else { return };
        let keep = protection.known_rules().read_then_send;
        if keep > 0 {
            let until = protection.accounts.now().saturating_add(keep);
            protection.addresses.read_from(peer, until);
        }
    }
}

impl Protection {
    /// The protection of a server. Without a DNS ([`Protection::use_dns`]) nothing is looked up.
    #[must_use]
    pub fn new(accounts: Arc<Accounts>) -> Arc<Self> {
        let protection = Arc::new(Self {
            accounts: Arc::clone(&accounts),
            dns: RwLock::new(None),
            rules: RwLock::default(),
            stale: AtomicBool::new(true),
            addresses: Addresses::new(),
            greylist: Greylist::new(),
            backup: Backup::new(),
            outgoing: Cache::new(OUTGOING),
        });
        let ear = Arc::new(Ear(Arc::downgrade(&protection)));
        if !accounts.add_listener(ear.clone()) {
            tracing::error!(target: "SMTPI", "changed settings of the protection are not heard of");
        }
        // A second protection over the same accounts (in tests) does without.
        let _ = accounts.watch_reading(ear);
        protection
    }

    /// Asks this resolver from now on.
    pub fn use_dns(&self, dns: Dns) {
        *self.dns.write().unwrap_or_else(PoisonError::into_inner) = Some(dns);
    }

    fn dns(&self) -> Option<Dns> {
        self.dns.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps what greylisting knows in this file over a restart.
    pub fn keep_in(&self, file: PathBuf) {
        self.greylist.keep_in(file, self.accounts.now());
    }

    /// Writes what is to be kept over a restart. Not durable: a crash forgets an hour of it, which
    /// delays some mail again.
    pub fn save(&self) {
        self.greylist.save();
    }

    fn known_rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The rules of this moment: read anew after a change of settings, else from memory.
    pub(crate) async fn rules(&self) -> Arc<Rules> {
        let known = self.known_rules();
        if !self.stale.swap(false, Ordering::SeqCst) {
            return known;
        }
        match self.accounts.read_module(PROTECTION_MODULE).await {
            Ok(own) if known.is_of(&own) => known,
            Ok(own) => {
                let new = Arc::new(Rules::read(&own));
                *self.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&new);
                new
            }
            Err(error) => {
                tracing::error!(target: "SMTPI", "the protection's settings cannot be read: {error}");
                self.stale.store(true, Ordering::SeqCst);
                known
            }
        }
    }

    /// Counts a message an account sends (`MailOutFlow`).
    ///
    /// # Errors
    /// Seconds until it may send again.
    pub async fn outgoing(&self, account: AccountId) -> Result<(), u64> {
        // Settings that cannot be read now keep nobody from sending.
        let Ok(settings) = self.accounts.effective_settings(account).await else { return Ok(()) };
        let flow = settings.get("MailOutFlow").and_then(spelling::flow);
        let flow = flow.filter(|flow| flow.count != spelling::Limit::Unlimited);
        let Some(flow) = flow else { return Ok(()) };
        let made = self.outgoing.get_or_insert_with::<_, ()>(&account, || Ok(Arc::default()));
        let Ok(meter) = made else { return Ok(()) };
        let mut meter = meter.lock().unwrap_or_else(PoisonError::into_inner);
        meter.take(flow, self.accounts.now())
    }

    /// Keeps an address (of IPv6, its network of 64 bits) out for so many seconds; `None` until
    /// the server stops.
    pub fn block(&self, ip: IpAddr, seconds: Option<u64>, why: &str) {
        let now = self.accounts.now();
        let until = seconds.map(|s| now.saturating_add(i64::try_from(s).unwrap_or(i64::MAX)));
        self.addresses.block(ip, until, why, now);
        tracing::warn!(target: "SMTPI", "[{ip}] is kept out: {why}");
    }

    /// Lets an address in again; `false` if it was not kept out.
    pub fn unblock(&self, ip: IpAddr) -> bool {
        self.addresses.unblock(ip)
    }

    /// Addresses that are kept out for a time, in order.
    #[must_use]
    pub fn blocked(&self) -> Vec<BlockedAddress> {
        self.addresses.blocked(self.accounts.now())
    }

    /// Addresses that count as clients for a time because somebody read mail from there, in order.
    #[must_use]
    pub fn reading(&self) -> Vec<IpAddr> {
        self.addresses.reading(self.accounts.now())
    }
}

/// The built-in value of a setting of this module.
fn built_in(key: &str) -> Option<angarium_objects::value::Value> {
    Scope::Protection.built_in(key)
}
