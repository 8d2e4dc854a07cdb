//! Who reads mail may send it a moment later from the same address (`reference/smtp.md` section
//! 5.1, service `Mobile`), and who guesses passwords is to be kept out: logins of reading services
//! and addresses with too many failures are told to one watcher each.
//!
//! It must never know what a watcher does with an address.

use std::net::IpAddr;
use std::sync::Arc;

use angarium_objects::spelling::{self, Services};
use angarium_objects::value::Dictionary;

use super::{LoginContext, Service};
use crate::Accounts;

/// The service by which an account or a domain permits it.
const MOBILE: &str = "Mobile";

/// Hears of addresses from which mail is read.
pub trait ReadingWatcher: Send + Sync {
    /// Somebody with the service `Mobile` logged in from this address to read mail. To be quick.
    fn reading(&self, peer: IpAddr);
}

/// Hears of addresses with too many failed logins, and says which are kept out.
pub trait GuessingWatcher: Send + Sync {
    /// Too many logins from this address failed; it is to be kept out for so many seconds. To be
    /// quick.
    fn guessing(&self, peer: IpAddr, seconds: u64);

    /// True when nobody from this address is to be let in now. To be quick.
    fn is_kept_out(&self, peer: IpAddr) -> bool;
}

impl Accounts {
    /// Tells this watcher of addresses with too many failed logins; `false` if there is one
    /// already.
    pub fn watch_guessing(&self, watcher: Arc<dyn GuessingWatcher>) -> bool {
        self.gate.guessing.set(watcher).is_ok()
    }

    pub(super) fn tell_guessing(&self, peer: IpAddr, seconds: u64) {
        if let Some(watcher) = self.gate.guessing.get() {
            watcher.guessing(peer.to_canonical(), seconds);
        }
    }

    pub(super) fn is_kept_out(&self, peer: IpAddr) -> bool {
        self.gate.guessing.get().is_some_and(|watcher| watcher.is_kept_out(peer.to_canonical()))
    }

    /// Tells this watcher of logins that read mail; `false` if there is one already.
    pub fn watch_reading(&self, watcher: Arc<dyn ReadingWatcher>) -> bool {
        self.gate.reading.set(watcher).is_ok()
    }

    /// Tells the watcher of a login, if it is of a reading service and `Mobile` is enabled.
    pub(super) async fn tell_reading(
        &self,
        settings: &Dictionary,
        domain: &str,
        context: LoginContext,
    ) {
        let reads = matches!(context.service, Service::Imap | Service::Pop | Service::WebMail);
        let (Some(peer), Some(watcher), true) = (context.peer_ip, self.gate.reading.get(), reads)
        else {
            return;
        };
        let enabled = |settings: &Dictionary, key: &str| {
            let modes = settings.get(key).and_then(spelling::services).unwrap_or(Services::All);
            modes.enabled(MOBILE)
        };
        let Ok(Some(domain)) = self.domain_facts(domain).await else { return };
        if enabled(settings, "AccessModes") && enabled(&domain.effective, "DomainAccessModes") {
            watcher.reading(peer.to_canonical());
        }
    }
}
