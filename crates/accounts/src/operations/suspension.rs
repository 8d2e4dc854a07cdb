//! Suspending a domain: nobody of it logs in, mail for it waits, nothing is lost; and what other
//! domains an administrator's domain manages.

use angarium_objects::settings::SUSPENDED;
use angarium_objects::spelling::{self, Services};
use angarium_objects::value::{Dictionary, Value};
use angarium_store::{AccountId, StoreError};

use super::OperationError;
use crate::{Accounts, Actor};

/// True for the settings of a domain that is suspended.
pub(crate) fn is_suspended(settings: &Dictionary) -> bool {
    settings.get(SUSPENDED).and_then(spelling::boolean).unwrap_or(false)
}

impl Accounts {
    /// True when the domain of an account is suspended.
    pub(crate) async fn in_suspended_domain(&self, account: AccountId) -> Result<bool, StoreError> {
        let Some(record) = self.account_record(account).await? else { return Ok(false) };
        let domain = self.domain_facts(&record.domain).await?;
        Ok(domain.is_some_and(|domain| is_suspended(&domain.record.settings)))
    }

    /// Suspends a domain or lets it go on; answers its accounts, whose sessions the caller ends.
    ///
    /// # Errors
    /// See [`OperationError`]; the Main Domain cannot be suspended: nobody could take it back.
    pub async fn suspend_domain(
        &self,
        actor: &Actor,
        domain: &str,
        suspend: bool,
    ) -> Result<Vec<AccountId>, OperationError> {
        let authority = self.authority(actor).await?;
        authority.need_all_domains()?;
        let facts = self.named_domain(&authority, domain).await?;
        let name = &facts.record.name;
        if suspend && *name == self.main_domain().await? {
            return Err(OperationError::General("the Main Domain cannot be suspended".to_owned()));
        }
        self.edit_domain(name, |record| {
            if suspend {
                record.settings.insert(SUSPENDED.to_owned(), Value::from("YES"));
            } else {
                record.settings.remove(SUSPENDED);
            }
            Ok(())
        })
        .await?;
        if !suspend {
            return Ok(Vec::new());
        }
        let mut all = Vec::new();
        self.each_account(name, |record| all.push(record.id)).await?;
        Ok(all)
    }

    /// The other domains that the administrators of a domain may manage: those whose setting
    /// `AdminDomains` names it (LISTADMINDOMAINS).
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn managed_domains(
        &self,
        actor: &Actor,
        domain: &str,
    ) -> Result<Vec<String>, OperationError> {
        let facts = self.readable_domain(actor, domain).await?;
        let mut all = Vec::new();
        for name in self.store.directory.domains().await? {
            let Some(other) = self.domain_facts(&name).await? else { continue };
            let named = other.effective.get("AdminDomains").and_then(spelling::services);
            if let Some(Services::Only(domains)) = named
                && name != facts.record.name
                && domains.iter().any(|d| Self::fold(d) == facts.record.name)
            {
                all.push(name);
            }
        }
        Ok(all)
    }

    /// Whether an actor may do something in a domain as its administrator ("DA:X").
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn administers(
        &self,
        actor: &Actor,
        domain: &str,
        code: &str,
    ) -> Result<bool, OperationError> {
        let authority = self.authority(actor).await?;
        Ok(self.may_in_domain(&authority, domain, code).await?)
    }
}
