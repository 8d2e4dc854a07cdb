//! Who is acting, with the rights of this moment, and what they allow where
//! (`reference/accounts-and-domains.md` section 9).

use std::sync::Arc;

use angarium_objects::name::{self, FullName};
use angarium_objects::rights::{DOMAIN, Rights};
use angarium_objects::spelling::{self, Services};
use angarium_store::{AccountId, AccountRecord, DomainObject, StoreError};

use super::OperationError;
use crate::directory::Domain;
use crate::{Accounts, Actor};

/// Who is acting, looked up anew for each operation.
#[derive(Clone, Debug)]
pub(crate) struct Authority {
    pub(crate) account: AccountId,
    pub(crate) domain: String,
    pub(crate) rights: Rights,
}

impl Authority {
    /// True when these rights are enough to change an account with those: nobody gets at more
    /// rights by changing somebody's password.
    pub(crate) fn outranks(&self, target: &Rights) -> bool {
        let server = angarium_objects::rights::SERVER_RIGHTS.iter().any(|r| target.server(r));
        self.rights.is_master() || (!target.is_master() && (self.rights.all_domains() || !server))
    }

    /// Refuses those without a server right.
    pub(crate) fn need_server(&self, code: &str) -> Result<(), OperationError> {
        allowed(self.rights.server(code))
    }

    /// Refuses those who may not change all domains.
    pub(crate) fn need_all_domains(&self) -> Result<(), OperationError> {
        allowed(self.rights.all_domains())
    }
}

/// `AccessDenied` when it is not so.
pub(crate) fn allowed(may: bool) -> Result<(), OperationError> {
    if may { Ok(()) } else { Err(OperationError::AccessDenied) }
}

/// A wrong name as the error of an operation.
pub(crate) fn bad_name(error: name::NameError) -> OperationError {
    OperationError::Syntax(error.to_string())
}

impl Accounts {
    /// The rights an actor has now.
    pub(crate) async fn authority(&self, actor: &Actor) -> Result<Authority, OperationError> {
        let main = self.main_domain().await?;
        if actor.is_console() {
            let domain = if actor.domain.is_empty() { main } else { actor.domain.clone() };
            return Ok(Authority { account: actor.account, domain, rights: Rights::master() });
        }
        let record =
            self.account_record(actor.account).await?.ok_or(OperationError::AccessDenied)?;
        let mut rights = Rights::new(record.rights.iter().cloned(), record.domain == main);
        if actor.is_limited() {
            rights = Rights::default();
        }
        Ok(Authority { account: record.id, domain: record.domain.clone(), rights })
    }

    /// "DA:X": whether a right counts in a domain (its own name).
    pub(crate) async fn may_in_domain(
        &self,
        authority: &Authority,
        domain: &str,
        code: &str,
    ) -> Result<bool, StoreError> {
        if authority.rights.all_domains() {
            return Ok(true);
        }
        if !authority.rights.domain(code) {
            return Ok(false);
        }
        if authority.domain == domain {
            return Ok(true);
        }
        let Some(facts) = self.domain_facts(domain).await? else { return Ok(false) };
        let administrators = facts.effective.get("AdminDomains").and_then(spelling::services);
        Ok(match administrators {
            Some(Services::Only(domains)) => {
                domains.iter().any(|d| Self::fold(d) == authority.domain)
            }
            _ => false,
        })
    }

    /// "DA" of the tables: whether a domain may be read.
    pub(crate) async fn may_read_domain(
        &self,
        authority: &Authority,
        domain: &str,
    ) -> Result<bool, StoreError> {
        Ok(authority.rights.all_domains_read()
            || self.may_in_domain(authority, domain, DOMAIN).await?)
    }

    /// Refuses those without this right in this domain.
    pub(crate) async fn need_in_domain(
        &self,
        authority: &Authority,
        domain: &str,
        code: &str,
    ) -> Result<(), OperationError> {
        allowed(self.may_in_domain(authority, domain, code).await?)
    }

    /// Refuses those who may not read this domain.
    pub(crate) async fn need_read(
        &self,
        authority: &Authority,
        domain: &str,
    ) -> Result<(), OperationError> {
        allowed(self.may_read_domain(authority, domain).await?)
    }

    /// The domain that a parameter names (`""` for one's own). Those who may not look at other
    /// domains do not learn which exist.
    pub(crate) async fn named_domain(
        &self,
        authority: &Authority,
        domain: &str,
    ) -> Result<Arc<Domain>, OperationError> {
        let name =
            if domain.is_empty() { authority.domain.clone() } else { Self::fold(domain.trim()) };
        match self.domain_facts(&name).await? {
            Some(facts) => Ok(facts),
            None if authority.rights.all_domains_read() => Err(OperationError::UnknownDomain),
            None => Err(OperationError::AccessDenied),
        }
    }

    /// The domain that a parameter names (`""` for one's own), for those who may look at what is
    /// in it.
    ///
    /// # Errors
    /// `AccessDenied`, or `UnknownDomain` for those who may look at all domains.
    pub async fn readable_domain(
        &self,
        actor: &Actor,
        domain: &str,
    ) -> Result<Arc<Domain>, OperationError> {
        let authority = self.authority(actor).await?;
        let facts = self.named_domain(&authority, domain).await?;
        self.need_read(&authority, &facts.record.name).await?;
        Ok(facts)
    }

    /// The full name that a parameter stands for, its domain by its own name.
    pub(crate) async fn full_name(
        &self,
        authority: &Authority,
        text: &str,
    ) -> Result<FullName, OperationError> {
        let full = FullName::read(text, &authority.domain).map_err(bad_name)?;
        let domain = self.named_domain(authority, &full.domain).await?;
        Ok(FullName { name: full.name, domain: domain.record.name.clone() })
    }

    /// The account that a parameter names (`*` for one's own), also by an alias.
    pub(crate) async fn named_account(
        &self,
        authority: &Authority,
        text: &str,
    ) -> Result<Arc<AccountRecord>, OperationError> {
        if text.trim() == "*" {
            let own = self.account_record(authority.account).await?;
            return own.ok_or(OperationError::UnknownAccount);
        }
        let full = self.full_name(authority, text).await?;
        let found = match self.lookup(&full.domain, &full.name).await? {
            Some(DomainObject::Account(id) | DomainObject::Alias(id)) => {
                self.account_record(id).await?
            }
            _ => None,
        };
        match found {
            Some(record) => Ok(record),
            None if self.may_read_domain(authority, &full.domain).await? => {
                Err(OperationError::UnknownAccount)
            }
            None => Err(OperationError::AccessDenied),
        }
    }

    /// An account that the actor may read: "DA or owner".
    pub(crate) async fn readable_account(
        &self,
        actor: &Actor,
        text: &str,
    ) -> Result<(Authority, Arc<AccountRecord>), OperationError> {
        let authority = self.authority(actor).await?;
        let record = self.named_account(&authority, text).await?;
        if record.id != authority.account {
            self.need_read(&authority, &record.domain).await?;
        }
        Ok((authority, record))
    }

    /// An account that the actor may change by a right in its domain.
    pub(crate) async fn changeable_account(
        &self,
        actor: &Actor,
        text: &str,
        code: &str,
    ) -> Result<(Authority, Arc<AccountRecord>), OperationError> {
        let authority = self.authority(actor).await?;
        let record = self.named_account(&authority, text).await?;
        self.need_in_domain(&authority, &record.domain, code).await?;
        let target = self.actor_of(&record).await?;
        allowed(record.id == authority.account || authority.outranks(&target.rights))?;
        Ok((authority, record))
    }
}
