//! The access list of an account as a whole (GETACCOUNTACL): who may do what with it beside its
//! owner. Entries and letters are those of mailboxes.

use std::sync::Arc;

use angarium_objects::rights::CAN_IMPERSONATE;
use angarium_objects::settings::ACCOUNT_ACL;
use angarium_objects::value::{Dictionary, Value};
use angarium_store::AccountRecord;

use super::facts::Owner;
use super::rights::{self, MAX_ENTRIES, MAX_IDENTIFIER, MailRights, Person};
use crate::operations::authority::allowed;
use crate::{Accounts, Actor, OperationError};

fn stored(record: &AccountRecord) -> Dictionary {
    let kept = record.settings.get(ACCOUNT_ACL).and_then(Value::as_dictionary);
    kept.cloned().unwrap_or_default()
}

/// One change of an access list: who, `+`, `-` or neither, and the rights.
type Entry = (String, Option<char>, MailRights);

fn entries(owner: &Owner, changes: &Dictionary) -> Result<Vec<Entry>, OperationError> {
    let wrong = || OperationError::Syntax("letters of access rights are expected".to_owned());
    let mut all = Vec::with_capacity(changes.len());
    for (identifier, value) in changes {
        let plain = identifier.trim_start_matches(['+', '-']);
        let odd = |c: char| c.is_control() || c.is_whitespace();
        if plain.is_empty() || identifier.len() > MAX_IDENTIFIER || identifier.chars().any(odd) {
            let text = "this is no identifier of an access list".to_owned();
            return Err(OperationError::Syntax(text));
        }
        if rights::names_owner(plain, owner) {
            let text = "the owner of an account has all rights and keeps them".to_owned();
            return Err(OperationError::General(text));
        }
        let letters = value.as_str().ok_or_else(wrong)?;
        let rights = MailRights::parse(letters.trim_start_matches(['+', '-'])).ok_or_else(wrong)?;
        let sign = letters.chars().next().filter(|c| matches!(c, '+' | '-'));
        all.push((identifier.clone(), sign, rights));
    }
    Ok(all)
}

impl Accounts {
    /// The account a command is about, for its owner and those who may act for it; with `auth` the
    /// rights of that account are asked for instead: it must be the owner, or be an administrator
    /// of the list.
    async fn acl_account(
        &self,
        actor: &Actor,
        account: &str,
        auth: Option<&str>,
    ) -> Result<Arc<AccountRecord>, OperationError> {
        let authority = self.authority(actor).await?;
        let record = self.named_account(&authority, account).await?;
        if record.id != authority.account {
            self.need_in_domain(&authority, &record.domain, CAN_IMPERSONATE).await?;
        }
        if let Some(name) = auth {
            let other = self.named_account(&authority, name).await?;
            let rights = self.rights_in(&record, &other).await?;
            allowed(other.id == record.id || rights.can(MailRights::ADMIN))?;
        }
        Ok(record)
    }

    async fn rights_in(
        &self,
        record: &AccountRecord,
        other: &AccountRecord,
    ) -> Result<MailRights, OperationError> {
        if other.id == record.id {
            return Ok(MailRights::ALL);
        }
        let later = |error: super::MailError| OperationError::Later(error.to_string());
        let acl = stored(record);
        let looking = self.actor_of(other).await?;
        let identity = self.identity(&looking).await.map_err(later)?;
        let groups = rights::groups_in(&acl);
        let groups = self.groups_of(&identity, groups, &record.domain).await.map_err(later)?;
        let person = Person { identity: &identity, home: &record.domain, groups: &groups };
        Ok(rights::evaluate(&acl, &person))
    }

    /// The access list of an account: identifier to letters.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn account_acl(
        &self,
        actor: &Actor,
        account: &str,
        auth: Option<&str>,
    ) -> Result<Dictionary, OperationError> {
        Ok(stored(&*self.acl_account(actor, account, auth).await?))
    }

    /// Changes entries of the access list: letters replace, `+letters` add, `-letters` take away,
    /// none remove the entry.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn set_account_acl(
        &self,
        actor: &Actor,
        account: &str,
        auth: Option<&str>,
        changes: Dictionary,
    ) -> Result<(), OperationError> {
        let record = self.acl_account(actor, account, auth).await?;
        let owner =
            Owner { id: record.id, name: record.name.clone(), domain: record.domain.clone() };
        let changes = entries(&owner, &changes)?;
        self.edit_account(record.id, |record| {
            let mut acl = stored(record);
            for (identifier, sign, given) in &changes {
                let old = rights::entry(&acl, identifier);
                let new = match sign {
                    Some('+') => old.with(*given),
                    Some('-') => old.without(*given),
                    _ => *given,
                };
                acl = rights::edited(&acl, identifier, new);
            }
            if acl.len() > MAX_ENTRIES {
                return Err(OperationError::LimitExceeded(format!("{MAX_ENTRIES} entries")));
            }
            if acl.is_empty() {
                record.settings.remove(ACCOUNT_ACL);
            } else {
                record.settings.insert(ACCOUNT_ACL.to_owned(), Value::Dictionary(acl));
            }
            Ok(())
        })
        .await?;
        Ok(())
    }

    /// What another account may do with an account, as letters.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn account_acl_rights(
        &self,
        actor: &Actor,
        account: &str,
        of: &str,
    ) -> Result<String, OperationError> {
        let record = self.acl_account(actor, account, None).await?;
        let authority = self.authority(actor).await?;
        let other = self.named_account(&authority, of).await?;
        Ok(self.rights_in(&record, &other).await?.stored())
    }
}
