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
use std::sync::{Arc, PoisonError, RwLock, Weak};

use angarium_accounts::{AccountId, Accounts, GuessingWatcher, PROTECTION_MODULE, ReadingWatcher};
use angarium_objects::settings::Scope;
use angarium_objects::spelling;

pub use addresses::{BlockedAddress, MAX_BLOCKED};
pub use guard::{Guard, Permit, Why};
pub use lines::BannedLines;

use crate::dns::Dns;
use crate::following::{Following, Made};
use crate::rates::Rates;
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
    changes: Arc<Following>,
    rules: Made<Rules>,
    addresses: Addresses,
    greylist: Greylist,
    backup: Backup,
    outgoing: Rates<AccountId>,
}

/// Hears of people who read mail, without keeping the protection alive.
struct Ear(Weak<Protection>);

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

impl GuessingWatcher for Ear {
    fn guessing(&self, peer: IpAddr, seconds: u64) {
        let Some(protection) = self.0.upgrade() else { return };
        tokio::spawn(async move {
            let rules = protection.rules().await;
            // A whole office behind one address is not shut out for one who guesses.
            if !rules.clients.contains(peer) && !rules.is_home(peer) {
                protection.block(peer, Some(seconds), "too many failed logins");
            }
        });
    }

    fn is_kept_out(&self, peer: IpAddr) -> bool {
        let Some(protection) = self.0.upgrade() else { return false };
        let rules = protection.known_rules();
        !rules.clients.contains(peer)
            && protection.addresses.is_blocked(peer, protection.accounts.now()).is_some()
    }
}

impl Protection {
    /// The protection of a server. Without a DNS ([`Protection::use_dns`]) nothing is looked up.
    #[must_use]
    pub fn new(accounts: Arc<Accounts>) -> Arc<Self> {
        let protection = Arc::new(Self {
            accounts: Arc::clone(&accounts),
            dns: RwLock::new(None),
            changes: Following::of(&accounts, "protection"),
            rules: Made::default(),
            addresses: Addresses::new(),
            greylist: Greylist::new(),
            backup: Backup::new(),
            outgoing: Rates::new(OUTGOING),
        });
        let ear = Arc::new(Ear(Arc::downgrade(&protection)));
        // A second protection over the same accounts (in tests) does without.
        let _ = accounts.watch_reading(ear.clone());
        let _ = accounts.watch_guessing(ear);
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
        self.rules.last().unwrap_or_default()
    }

    /// The rules of this moment: read anew after a change of settings, else from memory.
    pub(crate) async fn rules(&self) -> Arc<Rules> {
        let read = async {
            let own = self.accounts.read_module(PROTECTION_MODULE).await?;
            // Long lists are not read again because something else has changed.
            let known = self.rules.last().filter(|known| known.is_of(&own));
            Ok(known.unwrap_or_else(|| Arc::new(Rules::read(&own))))
        };
        self.rules.get(&self.changes, read, Rules::default).await
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
        self.outgoing.take(&account, flow, self.accounts.now())
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
