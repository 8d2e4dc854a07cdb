//! *Relay to all hosts we back up* (`reference/smtp.md` section 4.2): mail of anybody goes on to a
//! domain whose MX records name this server.
//!
//! Whoever writes MX records that point here can use this server; that is what the setting warns
//! of. Its limits (ABU-06): the plain domain of the address and nothing else (no port, no address,
//! no nested local part, no route by a record); another MX, not ours, with a better preference; an
//! answer is kept for [`KEPT`] seconds, unless other name servers are asked from then on; a DNS that
//! does not answer is *later*.

use std::time::Duration;

use angarium_accounts::{Accounts, RouteOutcome};
use quick_cache::sync::Cache;

use crate::dns::{Dns, Mx};

/// How long an answer is kept, in seconds.
const KEPT: i64 = 600;
/// Domains remembered, about 100 octets each.
const DOMAINS: usize = 10_000;
/// MX hosts that are looked at.
const MAX_HOSTS: usize = 10;
/// How long the DNS may take in all.
const PATIENCE: Duration = Duration::from_secs(15);

/// Whether a domain is backed up here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BackedUp {
    Yes,
    No,
    /// The DNS does not say now.
    Later,
}

/// The answers of the last minutes.
pub(super) struct Backup {
    kept: Cache<String, Kept>,
}

/// What was found, when, and in which edition of the DNS settings.
#[derive(Clone, Copy)]
struct Kept {
    backed_up: bool,
    when: i64,
    edition: u64,
}

impl Backup {
    pub(super) fn new() -> Self {
        Self { kept: Cache::new(DOMAINS) }
    }

    /// Whether the route of an address as it was given leads to a domain that is backed up here.
    pub(super) async fn asks(
        &self,
        dns: &Dns,
        accounts: &Accounts,
        given: &str,
        route: &RouteOutcome,
    ) -> BackedUp {
        let Some(domain) = plain_domain(given, route) else { return BackedUp::No };
        let (now, edition) = (accounts.now(), dns.edition());
        if let Some(known) = self.kept.get(&domain)
            && known.edition == edition
            && (0..KEPT).contains(&now.saturating_sub(known.when))
        {
            return if known.backed_up { BackedUp::Yes } else { BackedUp::No };
        }
        let answer = tokio::time::timeout(PATIENCE, look(dns, accounts, &domain)).await;
        let Ok(Some(backed_up)) = answer else { return BackedUp::Later };
        self.kept.insert(domain, Kept { backed_up, when: now, edition });
        if backed_up { BackedUp::Yes } else { BackedUp::No }
    }
}

/// The domain of a route that is nothing but the address's own domain.
fn plain_domain(given: &str, route: &RouteOutcome) -> Option<String> {
    let RouteOutcome::Remote { host, port: None, direct: false, address, .. } = route else {
        return None;
    };
    let (local, domain) = address.rsplit_once('@')?;
    let simple = !local.is_empty() && !local.contains(['%', '!', '@', ':', '"', '\\']);
    let as_given = given.rsplit_once('@').is_some_and(|(_, own)| own.eq_ignore_ascii_case(host));
    (simple && as_given && domain.eq_ignore_ascii_case(host)).then(|| domain.to_ascii_lowercase())
}

/// `None` when the DNS does not say.
async fn look(dns: &Dns, accounts: &Accounts, domain: &str) -> Option<bool> {
    let found = match dns.mx(domain).await {
        Ok(found) => found.records,
        Err(error) => return (!error.is_temporary()).then_some(false),
    };
    let mut ours: Option<u16> = None;
    let mut best_other: Option<u16> = None;
    for Mx { preference, host } in found.into_iter().take(MAX_HOSTS) {
        let own = match dns.addresses(&host).await {
            Ok(found) => found.records.iter().any(|ip| accounts.is_this_machine(*ip)),
            Err(error) if error.is_temporary() => return None,
            Err(_) => continue,
        };
        let least = if own { &mut ours } else { &mut best_other };
        *least = Some(least.map_or(preference, |known| known.min(preference)));
    }
    Some(matches!((ours, best_other), (Some(ours), Some(other)) if other < ours))
}

#[cfg(test)]
mod tests {
    use angarium_accounts::RelayPermission;

    use super::*;

    fn remote(address: &str, host: &str, port: Option<u16>, direct: bool) -> RouteOutcome {
        let relay = RelayPermission::NotGranted;
        let (host, address) = (host.to_owned(), address.to_owned());
        RouteOutcome::Remote { host, port, direct, address, relay }
    }

    #[test]
    fn abu_06_only_the_plain_domain_of_an_address_is_asked_for() {
        const GIVEN: &str = "joe@friend.example";
        let yes = remote("joe@Friend.example", "friend.example", None, false);
        assert_eq!(plain_domain(GIVEN, &yes).as_deref(), Some("friend.example"));
        for no in [
            remote("joe@friend.example", "other.example", None, false),
            remote("joe@friend.example", "friend.example", Some(25), false),
            remote("joe@friend.example", "friend.example", None, true),
            remote("x%y.example@friend.example", "friend.example", None, false),
            remote("y!x@friend.example", "friend.example", None, false),
            remote("\"a@b\"@friend.example", "friend.example", None, false),
            remote("@friend.example", "friend.example", None, false),
            remote("joe", "friend.example", None, false),
            RouteOutcome::Discard,
        ] {
            assert_eq!(plain_domain(GIVEN, &no), None, "{no:?}");
            assert_eq!(plain_domain("joe@friend.example._via", &yes), None);
        }
    }
}
