//! `all@domain` and `alldomains@main`: who may write there and who gets it
//! (`reference/router.md` section 5). It must never know where the message comes from.

use angarium_objects::spelling;
use angarium_objects::value::{Dictionary, Value};
use angarium_store::{DomainObject, StoreError};

use crate::{Accounts, Actor};

/// Names read from the store at a time.
const PAGE: usize = 1_000;

/// Who may write to all accounts of a domain (setting `MailToAllAction`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MailToAll {
    /// Nobody: the name means nothing.
    #[default]
    Nobody,
    /// Everybody.
    Anybody,
    /// Clients: own network addresses and those who authenticated.
    Clients,
    /// Those who authenticated.
    AuthenticatedUsers,
    /// Those who authenticated as an account of the domain, and administrators of the server.
    AuthenticatedDomainUsers,
}

impl MailToAll {
    /// The setting of a domain.
    pub(crate) fn of(effective: &Dictionary) -> Self {
        let word = effective.get("MailToAllAction").and_then(Value::as_str).unwrap_or_default();
        match word.to_ascii_lowercase().as_str() {
            "anybody" => Self::Anybody,
            "clients" => Self::Clients,
            "authenticated users" => Self::AuthenticatedUsers,
            "authenticated domain users" => Self::AuthenticatedDomainUsers,
            _ => Self::Nobody,
        }
    }

    /// Whether somebody may write to all accounts of a domain; `client` says that the network
    /// address is one of our clients'.
    #[must_use]
    pub fn allows(self, actor: Option<&Actor>, client: bool, domain: &str) -> bool {
        match self {
            Self::Nobody => false,
            Self::Anybody => true,
            Self::Clients => client || actor.is_some(),
            Self::AuthenticatedUsers => actor.is_some(),
            Self::AuthenticatedDomainUsers => {
                actor.is_some_and(|a| a.domain == domain || a.is_console() || a.rights.is_master())
            }
        }
    }
}

impl Accounts {
    /// The full names of the accounts that mail to all of a domain (`None`: of every domain)
    /// goes to: those whose setting `MailToAll` is on, and the domain's forwarders if its setting
    /// `AllWithForwarders` is. Sorted by domain and name; at most `limit`, so that more than that
    /// can be refused.
    ///
    /// # Errors
    /// As the store.
    pub async fn all_recipients(
        &self,
        domain: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        let domains = match domain {
            Some(domain) => vec![domain.to_owned()],
            None => self.store.directory.domains().await?,
        };
        let mut all = Vec::new();
        for domain in domains {
            if all.len() >= limit {
                break;
            }
            self.all_of_domain(&domain, limit, &mut all).await?;
        }
        Ok(all)
    }

    async fn all_of_domain(
        &self,
        domain: &str,
        limit: usize,
        all: &mut Vec<String>,
    ) -> Result<(), StoreError> {
        let Some(facts) = self.domain_facts(domain).await? else { return Ok(()) };
        let yes = |settings: &Dictionary, key: &str| {
            settings.get(key).and_then(spelling::boolean).unwrap_or(false)
        };
        let forwarders = yes(&facts.effective, "AllWithForwarders");
        let mut after: Option<String> = None;
        loop {
            let page = self.store.directory.objects(domain, after.as_deref(), PAGE).await?;
            for (name, object) in page.objects {
                let takes = match object {
                    DomainObject::Account(id) => {
                        match self.effective_settings(id).await {
                            Ok(settings) => yes(&settings, "MailToAll"),
                            // Removed in this very moment.
                            Err(StoreError::NotFound(_)) => false,
                            Err(error) => return Err(error),
                        }
                    }
                    DomainObject::Forwarder(_) => forwarders,
                    DomainObject::Alias(_) | DomainObject::Group(_) | DomainObject::List(_) => {
                        false
                    }
                };
                if takes {
                    all.push(format!("{name}@{domain}"));
                }
                if all.len() >= limit {
                    return Ok(());
                }
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }
}
