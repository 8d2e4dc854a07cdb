//! LOCAL: into an account's mailbox, once however often it is tried (design, decision 7).

use std::sync::Arc;

use angarium_accounts::mailboxes::DeliverError;
use angarium_accounts::{
    AccountId, Accounts, Appended, Flags, InternalDate, MessageBody, NewMessage, Origin, RouteKind,
    RouteOutcome, StoreError,
};
use angarium_store::{QueuedMessage, QueuedRecipient, RecipientState};
use async_trait::async_trait;
use tokio::task::JoinSet;

use super::inflow::Inflow;
use super::{Channels, Module, Outcome};
use crate::envelope::RecipientFacts;
use crate::recipients::LOCAL;

/// Recipients of one message delivered at a time.
const AT_ONCE: usize = 32;

/// The module LOCAL.
pub(crate) struct Local {
    accounts: Arc<Accounts>,
    inflow: Arc<Inflow>,
}

impl Local {
    pub(crate) fn new(accounts: Arc<Accounts>) -> Self {
        Self { accounts, inflow: Arc::new(Inflow::new()) }
    }
}

#[async_trait]
impl Module for Local {
    fn name(&self) -> &'static str {
        LOCAL
    }

    fn channels(&self) -> Channels {
        Channels { total: 64, per_queue: 16, recipients: 1000 }
    }

    async fn deliver(
        &self,
        message: &Arc<QueuedMessage>,
        recipients: &[u32],
    ) -> Vec<(u32, Outcome)> {
        if let [only] = recipients {
            return vec![(*only, one(&self.accounts, &self.inflow, message, *only).await)];
        }
        // At once, so that their appends share the store's sync.
        let mut ended = Vec::with_capacity(recipients.len());
        let mut running = JoinSet::new();
        for index in recipients.iter().copied() {
            if running.len() >= AT_ONCE
                && let Some(Ok(done)) = running.join_next().await
            {
                ended.push(done);
            }
            let (accounts, message) = (Arc::clone(&self.accounts), Arc::clone(message));
            let inflow = Arc::clone(&self.inflow);
            running.spawn(async move { (index, one(&accounts, &inflow, &message, index).await) });
        }
        while let Some(done) = running.join_next().await {
            ended.extend(done.ok());
        }
        ended
    }
}

async fn one(accounts: &Accounts, inflow: &Inflow, message: &QueuedMessage, index: u32) -> Outcome {
    let place = usize::try_from(index).ok();
    match place.and_then(|place| message.recipients.get(place)) {
        Some(recipient) => deliver(accounts, inflow, message, index, recipient).await,
        None => Outcome::failed("5.3.0", "no such recipient"),
    }
}

/// Delivers to the account the recipient was routed to when it was accepted; if that is gone, to
/// the one its address means now.
async fn deliver(
    accounts: &Accounts,
    inflow: &Inflow,
    message: &QueuedMessage,
    index: u32,
    recipient: &QueuedRecipient,
) -> Outcome {
    let facts = RecipientFacts::decode(recipient);
    let account = match known(accounts, facts.account).await {
        Ok(Some(account)) => account,
        Ok(None) => match accounts.route(&recipient.address, RouteKind::Mail, None).await {
            RouteOutcome::Local { account, .. } => account,
            RouteOutcome::Discard | RouteOutcome::Spamtrap => {
                return Outcome::Delivered("discarded");
            }
            RouteOutcome::Later { reason } => {
                return Outcome::later("4.3.0", reason);
            }
            _ => {
                return Outcome::failed("5.1.1", "the account has been removed");
            }
        },
        Err(error) => return Outcome::later("4.3.0", error.to_string()),
    };
    let settings = match accounts.effective_settings(account).await {
        Ok(settings) => settings,
        Err(error) => return Outcome::later("4.3.0", error.to_string()),
    };
    let now = accounts.now();
    // Only who was told to wait is due later than the message came.
    let waited = matches!(&recipient.state,
        RecipientState::Waiting { not_before, .. } if *not_before > message.accepted);
    if let Err(outcome) = inflow.pass(account, &settings, now, waited) {
        return outcome;
    }
    let new = NewMessage {
        body: MessageBody::Existing(message.body),
        summary: message.summary.clone(),
        flags: Flags::default(),
        internal_date: InternalDate { seconds: message.accepted, zone_minutes: 0 },
        save_date: now,
        uid: None,
        original_uid: None,
        pop_id: None,
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
