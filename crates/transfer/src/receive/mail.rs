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
        let mut leads = None;
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
                    leads = Some(route);
                }
            }
        }
        let authenticated = self.login.actor.is_some();
        if let Some(guard) = &mut self.guard
            && let Err(refusal) = guard.mail(&address, leads.as_ref(), authenticated).await
        {
            tracing::warn!(target: "SMTPI", session = %self.tag(), "MAIL refused: {refusal}");
            return refusal;
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
