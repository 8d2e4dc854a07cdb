//! Which methods are worth offering before anybody has said a name: what at least one domain
//! allows. What the domain of the name allows is decided when the name is known
//! (`reference/security.md` section 3). It must never know how a method works.

use std::sync::Arc;

use angarium_objects::settings;
use angarium_objects::spelling::{self, Services};
use angarium_objects::value::{Dictionary, Value};
use angarium_store::StoreError;

use crate::Accounts;

/// Domains whose settings are looked at; beyond, everything is offered.
const MAX_DOMAINS: usize = 10_000;
/// Domains up to which every change of a settings is looked at at once.
const FEW_DOMAINS: usize = 64;
/// Seconds for which what was found among many domains is good.
const KEPT: i64 = 30;

/// What all domains together allow.
#[derive(Debug)]
pub(crate) struct Offers {
    methods: Services,
    /// A domain wants client certificates.
    pub(super) certificates: bool,
    /// Somebody issues access tokens.
    pub(super) tokens: bool,
    /// When it was found, seconds since 1970.
    found: i64,
    domains: usize,
}

/// Whether a domain's `AUTHMethods` allow a method. All ways to send the password in clear are one
/// way; a method bound to the channel goes by the name of the one that is not.
pub(super) fn allowed(methods: &Services, method: &str) -> bool {
    let clear = matches!(method, "CLRTXT" | "PLAIN" | "LOGIN");
    let plain = method.strip_suffix("-PLUS").unwrap_or(method);
    methods.enabled(method)
        || methods.enabled(plain)
        || (clear && (methods.enabled("CLRTXT") || methods.enabled("PLAIN")))
}

fn methods(settings: &Dictionary) -> Services {
    settings.get("AUTHMethods").and_then(spelling::services).unwrap_or(Services::All)
}

fn names_issuers(value: Option<&Value>) -> bool {
    value.and_then(settings::issuers).is_some_and(|all| !all.is_empty())
}

impl Offers {
    /// True when at least one domain allows the method.
    pub(super) fn allow(&self, method: &str) -> bool {
        allowed(&self.methods, method)
    }

    fn is_good(&self, now: i64) -> bool {
        self.domains > FEW_DOMAINS && (0..KEPT).contains(&now.saturating_sub(self.found))
    }
}

impl Accounts {
    /// What all domains together allow, from memory where nothing changed.
    pub(super) async fn offers(&self) -> Result<Arc<Offers>, StoreError> {
        if let Some(offers) = self.facts.offers() {
            return Ok(offers);
        }
        let now = self.now();
        if let Some(before) = self.facts.offers_before().filter(|before| before.is_good(now)) {
            return Ok(before);
        }
        let mark = self.facts.mark();
        let found = Arc::new(self.find_offers(now).await?);
        self.facts.keep_offers(&found, mark);
        Ok(found)
    }

    async fn find_offers(&self, now: i64) -> Result<Offers, StoreError> {
        let names = self.store.directory.domains().await?;
        let domains = names.len();
        let tokens = names_issuers(Some(&self.server_setting("TokenIssuers").await?));
        let all = domains > MAX_DOMAINS;
        let mut offers = Offers {
            methods: if all { Services::All } else { Services::Only(Vec::new()) },
            certificates: false,
            tokens,
            found: now,
            domains,
        };
        for name in names.iter().take(MAX_DOMAINS) {
            let Some(domain) = self.domain_facts(name).await? else { continue };
            let effective = &domain.effective;
            match (&mut offers.methods, methods(effective)) {
                (Services::Only(known), Services::Only(more)) => {
                    for method in more {
                        if !known.contains(&method) {
                            known.push(method);
                        }
                    }
                }
                (kept, Services::All) => *kept = Services::All,
                (Services::All, Services::Only(_)) => {}
            }
            let wanted = effective.get("ClientCertReq").and_then(spelling::boolean);
            offers.certificates |= wanted.unwrap_or(false);
            offers.tokens |= names_issuers(effective.get("TokenIssuers"));
        }
        Ok(offers)
    }

    /// True when TLS is to ask clients for certificates: a domain wants them.
    pub async fn client_certificates_wanted(&self) -> bool {
        self.offers().await.is_ok_and(|offers| offers.certificates)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_goes_by_its_own_name_and_clear_ones_by_one() {
        let only = |words: &[&str]| Services::Only(words.iter().map(|w| (*w).into()).collect());
        let recipe = only(&["PLAIN", "SESSIONID"]);
        for (method, is) in [
            ("PLAIN", true),
            ("LOGIN", true),
            ("CLRTXT", true),
            ("SCRAM-SHA-256", false),
            ("APOP", false),
            ("EXTERNAL", false),
        ] {
            assert_eq!(allowed(&recipe, method), is, "{method}");
        }
        let scram = only(&["scram-sha-256"]);
        assert!(allowed(&scram, "SCRAM-SHA-256-PLUS") && !allowed(&scram, "SCRAM-SHA-1-PLUS"));
        assert!(!allowed(&scram, "PLAIN"));
        assert!(allowed(&Services::All, "NTLM"));
    }
}
