//! MAIL: who may be the sender of what comes.
//!
//! It must never know the stream.

use std::sync::Arc;

use angarium_accounts::RouteOutcome;
use angarium_objects::spelling::{self, Services};
use angarium_smtp::address::Path;
use angarium_smtp::parameters::MailParameters;
use angarium_smtp::reply::Reply;

use super::answers;
use super::dialogue::{Dialogue, Envelope};
use crate::envelope::MessageFacts;

impl Dialogue {
    pub(super) async fn mail(&mut self, path: &Path, parameters: &MailParameters) -> Reply {
        let address = path.address();
        let mut route = None;
        if !address.is_empty() {
            let accounts = Arc::clone(&self.receiver.accounts);
            match accounts.route_for_client(&address, self.info.peer.ip()).await {
                RouteOutcome::Later { reason } => {
                    tracing::error!(target: "SMTPI", session = %self.tag(), "<{address}> cannot be routed: {reason}");
                    return answers::later();
                }
                RouteOutcome::Rejected { reason } => {
                    tracing::warn!(target: "SMTPI", session = %self.tag(), "sender <{address}> refused: {reason}");
                    return answers::sender_refused(&address, &reason);
                }
                found => {
                    if !self.may_send_as(&address, &found).await {
                        tracing::warn!(target: "SMTPI", session = %self.tag(), "sender <{address}> is not the account's");
                        return answers::not_your_address(&address);
                    }
                    route = Some(found);
                }
            }
        }
        let authenticated = self.login.actor.is_some();
        if let Some(guard) = &mut self.guard
            && let Err(reply) = guard.mail(&address, route.as_ref(), authenticated).await
        {
            tracing::warn!(target: "SMTPI", session = %self.tag(), "MAIL refused: {reply}");
            return reply;
        }
        let now = self.receiver.accounts.now();
        let mut facts = MessageFacts::of(self.source().word(), parameters, now);
        let asked = facts.priority;
        if !authenticated && !self.is_client() {
            // Anybody may step back; only our own people may step forward (RFC 6710 section 5).
            facts.priority = asked.min(0);
        }
        let reply = if facts.priority == asked {
            answers::sender(&address)
        } else {
            answers::sender_of_priority(&address, facts.priority)
        };
        self.envelope = Some(Envelope {
            return_path: address,
            facts,
            size: parameters.size,
            recipients: Vec::new(),
            content: None,
        });
        reply
    }

    /// Who authenticated sends as himself (ABU-12), or as whom his settings say.
    async fn may_send_as(&mut self, address: &str, route: &RouteOutcome) -> bool {
        let Some(actor) = &self.login.actor else { return true };
        if matches!(route, RouteOutcome::Local { account, .. } if *account == actor.account) {
            return true;
        }
        let Ok(settings) = self.receiver.accounts.effective_settings(actor.account).await else {
            return false;
        };
        match settings.get("SendAs").and_then(spelling::services) {
            Some(Services::All) => true,
            Some(Services::Only(others)) => others.iter().any(|other| {
                let domain = other.strip_prefix('@');
                other.eq_ignore_ascii_case(address)
                    || domain.is_some_and(|d| {
                        let own = address.rsplit_once('@').map(|(_, domain)| domain);
                        own.is_some_and(|own| own.eq_ignore_ascii_case(d))
                    })
            }),
            None => false,
        }
    }
}
