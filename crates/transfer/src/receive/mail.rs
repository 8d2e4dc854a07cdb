//! MAIL: who may be the sender of what comes.
//!
//! It must never know the stream.

use angarium_accounts::{RouteKind, RouteOutcome};
use angarium_smtp::address::Path;
use angarium_smtp::parameters::MailParameters;
use angarium_smtp::reply::Reply;

use super::answers;
use super::dialogue::{Dialogue, Envelope};
use crate::envelope::MessageFacts;

impl Dialogue {
    pub(super) async fn mail(&mut self, path: &Path, parameters: &MailParameters) -> Reply {
        let address = path.address();
        if !address.is_empty() {
            let accounts = &self.receiver.accounts;
            match accounts.route(&address, RouteKind::Mail, None).await {
                RouteOutcome::Later { reason } => {
                    tracing::error!(target: "SMTPI", session = %self.tag(), "<{address}> cannot be routed: {reason}");
                    return answers::later();
                }
                RouteOutcome::Rejected { reason } => {
                    tracing::warn!(target: "SMTPI", session = %self.tag(), "sender <{address}> refused: {reason}");
                    return answers::sender_refused(&address, &reason);
                }
                route => {
                    // Who authenticated sends as himself (ABU-12).
                    let own =
                        |id| matches!(route, RouteOutcome::Local { account, .. } if account == id);
                    if self.login.actor.as_ref().is_some_and(|actor| !own(actor.account)) {
                        tracing::warn!(target: "SMTPI", session = %self.tag(), "sender <{address}> is not the account's");
                        return answers::not_your_address(&address);
                    }
                }
            }
        }
        self.envelope = Some(Envelope {
            return_path: address.clone(),
            facts: MessageFacts::of(self.source().word(), parameters, self.receiver.accounts.now()),
            size: parameters.size,
            recipients: Vec::new(),
            content: None,
        });
        answers::sender(&address)
    }
}
