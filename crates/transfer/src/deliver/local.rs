//! LOCAL: into an account's mailbox, once however often it is tried (design, decision 7).

use angarium_accounts::mailboxes::DeliverError;
use angarium_accounts::{
    AccountId, Accounts, Appended, Flags, InternalDate, MessageBody, NewMessage, Origin, RouteKind,
    RouteOutcome, StoreError,
};
use angarium_store::{QueuedMessage, QueuedRecipient};

use super::Outcome;
use crate::envelope::RecipientFacts;

/// Delivers to the account the recipient was routed to when it was accepted; if that is gone, to
/// the one its address means now.
pub async fn deliver(
    accounts: &Accounts,
    message: &QueuedMessage,
    index: u32,
    recipient: &QueuedRecipient,
) -> Outcome {
    let facts = RecipientFacts::decode(recipient);
    let account = match known(accounts, facts.account).await {
        Ok(Some(account)) => account,
        Ok(None) => match accounts.route(&recipient.address, RouteKind::Mail, None).await {
            RouteOutcome::Local { account, .. } => account,
            RouteOutcome::Discard => return Outcome::Delivered("discarded"),
            RouteOutcome::Later { reason } => {
                return Outcome::later("4.3.0", reason);
            }
            _ => {
                return Outcome::failed("5.1.1", "the account has been removed");
            }
        },
        Err(error) => return Outcome::later("4.3.0", error.to_string()),
    };
    let new = NewMessage {
        body: MessageBody::Existing(message.body),
        summary: message.summary.clone(),
        flags: Flags::default(),
        internal_date: InternalDate { seconds: message.accepted, zone_minutes: 0 },
        save_date: accounts.now(),
        uid: None,
        original_uid: None,
        origin: Some(Origin { queue: message.id, recipient: index }),
    };
    let mailbox = facts.mailbox.as_deref();
    match accounts.deliver_sized(account, mailbox, message.size, new).await {
        Ok(Appended::New(_)) => Outcome::Delivered("Delivered to the user mailbox"),
        Ok(Appended::Repeated) => Outcome::Delivered("Delivered to the user mailbox before"),
        Err(error) => {
            let text = error.to_string();
            match error {
                DeliverError::Full => Outcome::later("4.2.2", text),
                DeliverError::TooLarge(_) => Outcome::failed("5.2.3", text),
                error if error.is_temporary() => Outcome::later("4.3.0", text),
                _ => Outcome::failed("5.2.0", text),
            }
        }
    }
}

async fn known(
    accounts: &Accounts,
    account: Option<AccountId>,
) -> Result<Option<AccountId>, StoreError> {
    let Some(account) = account else { return Ok(None) };
    Ok(accounts.account_record(account).await?.map(|_| account))
}
