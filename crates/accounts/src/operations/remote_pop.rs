//! Operations on the accounts elsewhere whose mail an account fetches (RPOP records). Fetching is
//! not known here.

use angarium_objects::rights::CAN_MODIFY_RPOP;
use angarium_objects::settings::REMOTE_POP;
use angarium_objects::value::{Dictionary, Value};

use super::OperationError;
use crate::{Accounts, Actor};

/// Most records of one account.
const MAX_RECORDS: usize = 100;
/// Most pairs of one record.
const MAX_PAIRS: usize = 64;
/// Longest name of a record, in bytes.
const MAX_NAME: usize = 255;
/// The secret of a record.
const PASSWORD: &str = "password";

fn check(records: &Dictionary) -> Result<(), OperationError> {
    if records.len() > MAX_RECORDS {
        return Err(OperationError::LimitExceeded(format!("{MAX_RECORDS} records")));
    }
    for (name, record) in records {
        let sane = (1..=MAX_NAME).contains(&name.len()) && !name.chars().any(char::is_control);
        let pairs = record.as_dictionary().filter(|pairs| pairs.len() <= MAX_PAIRS);
        if !sane || pairs.is_none() {
            let text = "a dictionary of records {name={domain=host;authName=name;…};} is expected";
            return Err(OperationError::Syntax(text.to_owned()));
        }
    }
    Ok(())
}

impl Accounts {
    /// The records of an account. Passwords are in them for those alone who may change them.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn remote_pop(
        &self,
        actor: &Actor,
        account: &str,
    ) -> Result<Dictionary, OperationError> {
        let (authority, record) = self.readable_account(actor, account).await?;
        let kept = record.settings.get(REMOTE_POP).and_then(Value::as_dictionary);
        let mut all = kept.cloned().unwrap_or_default();
        if !self.may_in_domain(&authority, &record.domain, CAN_MODIFY_RPOP).await? {
            for record in all.values_mut() {
                if let Value::Dictionary(pairs) = record {
                    pairs.retain(|key, _| !key.eq_ignore_ascii_case(PASSWORD));
                }
            }
        }
        Ok(all)
    }

    /// Replaces the records of an account.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn set_remote_pop(
        &self,
        actor: &Actor,
        account: &str,
        records: Dictionary,
    ) -> Result<(), OperationError> {
        let (_, record) = self.changeable_account(actor, account, CAN_MODIFY_RPOP).await?;
        check(&records)?;
        self.edit_account(record.id, |record| {
            if records.is_empty() {
                record.settings.remove(REMOTE_POP);
            } else {
                let all = Value::Dictionary(records.clone());
                record.settings.insert(REMOTE_POP.to_owned(), all);
            }
            Ok(())
        })
        .await?;
        Ok(())
    }
}
