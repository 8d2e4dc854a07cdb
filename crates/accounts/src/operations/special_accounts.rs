//! Special accounts, made when they are first wanted: `public`, which owns the mailboxes that all
//! share and which nobody logs in to. `postmaster` is made with the Main Domain; `pbx` and
//! `security` have no use here and are ordinary names.

use angarium_objects::name::FullName;
use angarium_objects::rights::{CAN_ACCESS_MAILBOXES, CAN_CREATE_ACCOUNTS};
use angarium_objects::value::{Dictionary, Value};
use angarium_store::AccountKind;

use super::OperationError;
use crate::{Accounts, Actor};

/// The owner of public mailboxes.
const PUBLIC: &str = "public";

/// What the account starts with, over its domain's template: it holds mailboxes and does nothing
/// else.
fn settings() -> Dictionary {
    let no = ["UseAppPassword", "UseSysPassword", "UseExtPassword", "PWDAllowed", "MailToAll"];
    let mut settings: Dictionary =
        no.iter().map(|key| ((*key).to_owned(), Value::from("NO"))).collect();
    settings.insert("RealName".to_owned(), Value::from("Public mailboxes"));
    settings
}

impl Accounts {
    /// Makes the special account that a name stands for, if there is no such object and the actor
    /// may make accounts and use all mailboxes in its domain: called when he makes the first
    /// mailbox in it. `false` for every other name, and for actors who may not.
    ///
    /// # Errors
    /// As [`Accounts::create_account`].
    pub async fn make_special_account(
        &self,
        actor: &Actor,
        name: &str,
    ) -> Result<bool, OperationError> {
        let local = name.split('@').next().unwrap_or_default();
        if !local.trim().eq_ignore_ascii_case(PUBLIC) {
            return Ok(false);
        }
        let authority = self.authority(actor).await?;
        let Ok(FullName { name, domain }) = self.full_name(&authority, name).await else {
            return Ok(false);
        };
        for right in [CAN_CREATE_ACCOUNTS, CAN_ACCESS_MAILBOXES] {
            if !self.may_in_domain(&authority, &domain, right).await? {
                return Ok(false);
            }
        }
        if self.lookup(&domain, &name).await?.is_some() {
            return Ok(false);
        }
        let full = FullName { name, domain };
        let shown = format!("{}@{}", full.name, full.domain);
        let kind = AccountKind::MultiMailbox;
        match self.make_account(full, kind, false, &settings(), Vec::new()).await {
            Ok(_) => tracing::info!(actor = %actor.full_name(), "{shown} is made"),
            // Somebody else was faster.
            Err(OperationError::AccountExists) => {}
            Err(error) => return Err(error),
        }
        Ok(true)
    }
}
