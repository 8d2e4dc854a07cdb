//! Operations on what an account remembers in named sets (`RepliedAddresses` and the like), and on
//! copies of accounts in a directory. Must never know who fills a set.

use angarium_objects::rights::{BASIC_SETTINGS, CENTRAL_DIRECTORY};
use angarium_objects::settings::DATASET;
use angarium_objects::value::Value;

use super::OperationError;
use super::authority::allowed;
use crate::{Accounts, Actor};

/// Longest name of a set, in bytes.
const MAX_NAME: usize = 255;

impl Accounts {
    /// Forgets what an account remembers in a named set; for its owner and for those with the right
    /// to its basic settings. A set that is not there is forgotten already: scripts that switch an
    /// absence notice do this each time.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn remove_account_subset(
        &self,
        actor: &Actor,
        account: &str,
        subset: &str,
    ) -> Result<(), OperationError> {
        let authority = self.authority(actor).await?;
        let record = self.named_account(&authority, account).await?;
        let own = record.id == authority.account;
        allowed(own || self.may_in_domain(&authority, &record.domain, BASIC_SETTINGS).await?)?;
        if !(1..=MAX_NAME).contains(&subset.len()) || subset.chars().any(char::is_control) {
            return Err(OperationError::Syntax("a name of a set is expected".to_owned()));
        }
        let kept = record.settings.get(DATASET).and_then(Value::as_dictionary);
        if !kept.is_some_and(|sets| sets.contains_key(subset)) {
            return Ok(());
        }
        self.edit_account(record.id, |record| {
            if let Some(Value::Dictionary(sets)) = record.settings.get_mut(DATASET) {
                sets.remove(subset);
                if sets.is_empty() {
                    record.settings.remove(DATASET);
                }
            }
            Ok(())
        })
        .await?;
        Ok(())
    }

    /// What is to be done to make the copies of a domain's accounts in a directory anew, or to take
    /// them away: nothing, as there are no copies. Asked all the same are the right and the domain.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn renew_directory_records(
        &self,
        actor: &Actor,
        domain: &str,
    ) -> Result<(), OperationError> {
        let authority = self.authority(actor).await?;
        let facts = self.named_domain(&authority, domain).await?;
        self.need_in_domain(&authority, &facts.record.name, CENTRAL_DIRECTORY).await
    }
}
