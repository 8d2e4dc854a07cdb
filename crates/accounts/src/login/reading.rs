//! Who reads mail may send it a moment later from the same address (`reference/smtp.md` section
//! 5.1, service `Mobile`): logins of reading services are told to one watcher.
//!
//! It must never know what the watcher does with an address.

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

impl Accounts {
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
