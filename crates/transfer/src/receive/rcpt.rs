//! RCPT: which recipients are taken.
//!
//! It must never know the stream.

use angarium_accounts::{Accounts, RouteKind, RouteOutcome};
use angarium_smtp::address::Path;
use angarium_smtp::parameters::RcptParameters;
use angarium_smtp::reply::Reply;

use super::answers;
use super::dialogue::Dialogue;
use crate::envelope::RecipientFacts;
use crate::protection::Permit;
use crate::recipients::permitted;
use crate::submit::Recipient;

impl Dialogue {
    pub(super) async fn rcpt(&mut self, path: &Path, parameters: &RcptParameters) -> Reply {
        let address = path.address();
        let route = self.receiver.accounts.route(&address, RouteKind::Mail, None).await;
        let (route, mut reply) = match self.permit(&address, route).await {
            Ok(permit) => {
                let permit = self.with_all_accounts(permit);
                let reply = answers::recipient(&address, &permit.route, permit.why);
                (permit.route, reply)
            }
            Err((route, refusal)) => (route, refusal),
        };
        let size = self.envelope.as_ref().and_then(|e| e.size).unwrap_or(0);
        if reply.is_positive()
            && let Some(no_room) = room(&self.receiver.accounts, &address, &route, size).await
        {
            reply = no_room;
        }
        if !reply.is_positive() {
            tracing::warn!(target: "SMTPI", session = %self.tag(), "RCPT refused: {reply}");
            if let Some(guard) = &mut self.guard {
                guard.refused(matches!(route, RouteOutcome::Unknown { .. })).await;
            }
            return reply;
        }
        if let (RouteOutcome::Spamtrap, Some(guard)) = (&route, &self.guard) {
            guard.trapped();
        }
        tracing::info!(target: "ROUTER", tag = "ROUTER", "{}: '<{address}>' accepted", module(&route));
        if let Some(envelope) = &mut self.envelope {
            envelope.recipients.push(Recipient {
                address,
                facts: RecipientFacts::of(parameters),
                route: Some(route),
            });
        }
        reply
    }
}

impl Dialogue {
    /// Refuses `all@domain` to those who may not write there.
    fn with_all_accounts(&self, permit: Permit) -> Permit {
        let client = self.guard.as_ref().is_some_and(crate::protection::Guard::is_client);
        let route = permitted(permit.route, self.login.actor.as_deref(), client);
        Permit { route, ..permit }
    }

    /// Asks the protection whether this client may write there.
    async fn permit(
        &mut self,
        address: &str,
        route: RouteOutcome,
    ) -> Result<Permit, (RouteOutcome, Reply)> {
        let authenticated = self.login.actor.is_some();
        let sender = self.envelope.as_ref().map(|e| e.return_path.clone()).unwrap_or_default();
        let Some(guard) = &mut self.guard else { return Err((route, answers::later())) };
        let asked = guard.rcpt(&sender, address, route.clone(), authenticated).await;
        asked.map_err(|refusal| (route, refusal))
    }
}

/// The refusal if an account cannot hold a message of the declared size. Asked only of accounts
/// with limits, so that it costs nothing for the others.
async fn room(
    accounts: &Accounts,
    address: &str,
    route: &RouteOutcome,
    size: u64,
) -> Option<Reply> {
    let RouteOutcome::Local { account, .. } = route else { return None };
    let limits = accounts.mail_limits(*account).await.ok()?;
    if let Some(most) = limits.message.filter(|most| size > *most) {
        return Some(answers::too_large(address, most));
    }
    let most = limits.size?;
    let (used, _) = accounts.store().mailboxes.usage(*account).await.ok()?;
    (used.saturating_add(size) > most).then(|| answers::full(address))
}

/// The module's word for the log.
fn module(route: &RouteOutcome) -> &'static str {
    match route {
        RouteOutcome::Local { .. } | RouteOutcome::All { .. } => "LOCAL",
        RouteOutcome::Remote { .. } => "SMTP",
        RouteOutcome::Pipe { .. } => "PIPE",
        RouteOutcome::Group { .. } => "LIST",
        _ => "SYSTEM",
    }
}
