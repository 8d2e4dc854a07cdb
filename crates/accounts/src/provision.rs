//! Telling somebody outside about accounts that were made, renamed and deleted (domain setting
//! `ExternalOnProvision`, `reference/helpers.md` section 2.1). It is told afterwards and asked
//! nothing: whoever makes an account never waits for it, and it may be who made it.
//!
//! It must never know how it is told.

use std::sync::Arc;

use angarium_objects::name::FullName;
use angarium_objects::spelling;
use arc_swap::ArcSwapOption;

use crate::Accounts;

/// Domain setting: somebody outside is told.
const SETTING: &str = "ExternalOnProvision";

/// What has happened to an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Provisioned {
    /// It was made.
    Created(FullName),
    /// It has another name.
    Renamed {
        /// The name it had.
        from: FullName,
        /// The name it has.
        to: FullName,
    },
    /// It was deleted with its mail.
    Deleted(FullName),
}

/// Hears of it.
pub trait ProvisionListener: Send + Sync {
    /// Takes note at once, without waiting for anything.
    fn hear(&self, what: Provisioned);
}

/// Who is told.
#[derive(Default)]
pub(crate) struct Provisioning(ArcSwapOption<Box<dyn ProvisionListener>>);

impl Accounts {
    /// Sets who is told about accounts of domains with the setting `ExternalOnProvision`; `None` is
    /// nobody.
    pub fn set_provision_listener(&self, who: Option<Box<dyn ProvisionListener>>) {
        self.provisioning.0.store(who.map(Arc::new));
    }

    /// Tells whoever is to be told: one of the domains wants it.
    pub(crate) async fn provisioned(&self, what: Provisioned) {
        let Some(listener) = self.provisioning.0.load_full() else { return };
        let domains = match &what {
            Provisioned::Created(one) | Provisioned::Deleted(one) => vec![one.domain.clone()],
            Provisioned::Renamed { from, to } => vec![from.domain.clone(), to.domain.clone()],
        };
        for domain in domains {
            // The account is as it is now, whatever becomes of the notice.
            let Ok(Some(facts)) = self.domain_facts(&domain).await else { continue };
            if facts.effective.get(SETTING).and_then(spelling::boolean).unwrap_or(false) {
                listener.hear(what);
                return;
            }
        }
    }
}
