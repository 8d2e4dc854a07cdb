//! Changing the type of an account (SETACCOUNTTYPE).

use angarium_objects::rights::CAN_CREATE_ACCOUNTS;
use angarium_store::AccountKind;

use super::{OperationError, kind_extension};
use crate::{Accounts, Actor};

impl Accounts {
    /// Gives an account another type. Those with many mailboxes stay so, and so do those with one.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn set_account_type(
        &self,
        actor: &Actor,
        account: &str,
        kind: AccountKind,
    ) -> Result<(), OperationError> {
        let (_, record) = self.changeable_account(actor, account, CAN_CREATE_ACCOUNTS).await?;
        let many = kind_extension(AccountKind::MultiMailbox);
        if kind_extension(kind) != many || kind_extension(record.kind) != many {
            let text = "only types with many mailboxes change into each other".to_owned();
            return Err(OperationError::General(text));
        }
        self.edit_account(record.id, |record| {
            record.kind = kind;
            Ok(())
        })
        .await?;
        Ok(())
    }
}
