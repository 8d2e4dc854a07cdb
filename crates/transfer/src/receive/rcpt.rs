//! RCPT: which recipients are taken.
//!
//! It must never know the stream.

use std::sync::Arc;

use angarium_accounts::{Accounts, RelayPermission, RouteKind, RouteOutcome};
use angarium_smtp::address::Path;
use angarium_smtp::parameters::RcptParameters;
use angarium_smtp::reply::Reply;

use super::answers;
use super::dialogue::Dialogue;
use crate::envelope::RecipientFacts;
use crate::protection::Permit;
use crate::recipients::permitted;
use crate::send::behind_return_path;
use crate::submit::Recipient;

impl Dialogue {
    pub(super) async fn rcpt(&mut self, path: &Path, parameters: &RcptParameters) -> Reply {
        let address = path.address();
        let Some(envelope) = &self.envelope else { return answers::later() };
        let (sender, size) = (envelope.return_path.clone(), envelope.size.unwrap_or(0));
        let route = self.destination(&address, &sender).await;
        let authenticated = self.login.actor.is_some();
        let unknown = matches!(route, RouteOutcome::Unknown { .. });
        // The guard is there as soon as the client is.
        let Some(guard) = &mut self.guard else { return answers::later() };
        let permit = match guard.rcpt(&sender, &address, route, authenticated).await {
            Ok(permit) => self.with_all_accounts(permit),
            Err(reply) => return self.rcpt_refused(reply, unknown).await,
        };
        let (route, why) = (permit.route, permit.why);
        let reply = answers::recipient(&address, &route, why);
        if !reply.is_positive() {
            return self.rcpt_refused(reply, unknown).await;
        }
        if let Some(no_room) = room(&self.receiver.accounts, &address, &route, size).await {
            return self.rcpt_refused(no_room, false).await;
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

    /// Where an address leads. Reports come back to a return path of ours for mail that was sent
    /// on, and go on to where it came from.
    async fn destination(&mut self, address: &str, sender: &str) -> RouteOutcome {
        let accounts = Arc::clone(&self.receiver.accounts);
        if sender.is_empty()
            && let Some(behind) = behind_return_path(&accounts, address).await
        {
            let mut route = accounts.route(&behind, RouteKind::Mail, None).await;
            if let RouteOutcome::Remote { relay, .. } = &mut route {
                *relay = RelayPermission::Granted;
            }
            return route;
        }
        accounts.route_for_client(address, self.info.peer.ip()).await
    }

    async fn rcpt_refused(&mut self, reply: Reply, unknown: bool) -> Reply {
        tracing::warn!(target: "SMTPI", session = %self.tag(), "RCPT refused: {reply}");
        if let Some(guard) = &mut self.guard {
            guard.refused(unknown).await;
        }
        reply
    }

    /// Refuses `all@domain` to those who may not write there.
    fn with_all_accounts(&self, permit: Permit) -> Permit {
        let client = self.guard.as_ref().is_some_and(crate::protection::Guard::is_client);
        let route = permitted(permit.route, self.login.actor.as_deref(), client);
        Permit { route, ..permit }
    }
}

/// The refusal if an account cannot hold a message of this size. Asked only of accounts
/// with limits, so that it costs nothing for the others.
pub(super) async fn room(
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
        RouteOutcome::Group { .. } | RouteOutcome::List { .. } => "LIST",
        _ => "SYSTEM",
    }
}
