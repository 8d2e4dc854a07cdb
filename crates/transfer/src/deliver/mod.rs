//! The last step of a message for one recipient, by the module it was routed to.

pub mod local;

use angarium_store::{QueuedMessage, QueuedRecipient};

use crate::envelope::RecipientFacts;
use crate::recipients::{ERROR, LOCAL, SYSTEM};
use angarium_accounts::Accounts;

/// How a delivery ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// In the mailbox (or rightly nowhere); the text is for the log.
    Delivered(&'static str),
    /// Try again.
    Later {
        /// Enhanced status.
        status: &'static str,
        /// Why.
        text: String,
    },
    /// Never.
    Failed {
        /// Enhanced status.
        status: &'static str,
        /// Why.
        text: String,
    },
}

/// Delivers to one recipient; `index` is its place in the message.
pub async fn deliver(
    accounts: &Accounts,
    message: &QueuedMessage,
    index: u32,
    recipient: &QueuedRecipient,
) -> Outcome {
    match recipient.module.as_str() {
        LOCAL => local::deliver(accounts, message, index, recipient).await,
        SYSTEM => Outcome::Delivered("discarded"),
        ERROR => {
            let reason = RecipientFacts::decode(recipient).reason;
            let text = reason.unwrap_or_else(|| "the address is not good".into());
            Outcome::Failed { status: "5.1.1", text }
        }
        other => Outcome::Failed {
            status: "5.3.5",
            text: format!("there is no module {other} on this server"),
        },
    }
}
