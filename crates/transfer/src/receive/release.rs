//! ETRN and ATRN (`reference/smtp.md` sections 4.3, 4.5): who may, and what is begun.
//!
//! It must never know the stream.

use std::sync::Arc;

use angarium_smtp::command::Release;
use angarium_smtp::reply::Reply;
use angarium_store::QueueName;

use super::answers;
use super::dialogue::Dialogue;
use crate::ondemand::entitled::entitled;
use crate::ondemand::{atrn, etrn};
use crate::recipients::SMTP;
use crate::send::Duplex;

/// What was promised to a client that sent ATRN: these queues, and for the log its name.
pub(super) struct Promise {
    queues: Vec<String>,
    peer: String,
}

impl Dialogue {
    /// Counts a request; false when the client had too many.
    fn counts(&self) -> bool {
        let (flow, now) = (self.rules().etrn_flow, self.receiver.accounts.now());
        self.receiver.reception.may_release(self.info.peer.ip(), flow, now)
    }

    pub(super) async fn etrn(&mut self, what: Release, name: &str) -> Reply {
        if !self.rules().etrn_for.has(self.is_client(), self.login.actor.is_some()) {
            tracing::warn!(target: "SMTPI", session = %self.tag(), "ETRN {name} refused");
            return etrn::not_allowed(name);
        }
        if !self.counts() {
            return etrn::too_often(name);
        }
        let dequeuer = Arc::clone(&self.receiver.reception.dequeuer);
        let found = match what {
            Release::Below => dequeuer.release_below(name).await,
            Release::Domain | Release::Queue => dequeuer.release(&QueueName::new(SMTP, name)).await,
        };
        let messages = found.messages;
        tracing::info!(target: "SMTPI", session = %self.tag(), "ETRN {name}: {messages} messages");
        match what {
            Release::Below => etrn::several_started(name, messages),
            Release::Domain | Release::Queue => etrn::started(name, messages),
        }
    }

    pub(super) async fn atrn(&mut self, domains: Vec<String>) -> Reply {
        let Some(actor) = self.login.actor.clone() else { return answers::not_entitled() };
        if !self.counts() {
            return etrn::too_often("ATRN");
        }
        let (accounts, tag) = (Arc::clone(&self.receiver.accounts), self.tag().to_owned());
        let later = |error| {
            tracing::error!(target: "SMTPI", session = %tag, "ATRN: {error}");
            answers::later()
        };
        let settings = match accounts.effective_settings(actor.account).await {
            Ok(settings) => settings,
            Err(error) => return later(error),
        };
        let Ok(queues) = entitled(&actor.name, &settings, domains) else {
            tracing::warn!(target: "SMTPI", session = %self.tag(), "ATRN refused to '{}'", actor.full_name());
            return answers::not_entitled();
        };
        let mut waits = false;
        for queue in &queues {
            let name = QueueName::new(SMTP, queue);
            match accounts.store().queue.queue_facts(&name).await {
                Ok(facts) => waits |= facts.is_some_and(|facts| facts.messages > 0),
                Err(error) => return later(error),
            }
        }
        if !waits {
            return answers::no_mail();
        }
        let name = self.hello.as_ref().map_or("", |(_, name)| name);
        self.promise = Some(Promise { queues, peer: name.to_owned() });
        answers::turned()
    }

    /// Keeps the promise: from now on we are the client.
    pub(super) async fn turned(&mut self, stream: Box<dyn Duplex>) {
        let Some(promise) = self.promise.take() else { return };
        let dequeuer = Arc::clone(&self.receiver.reception.dequeuer);
        let accounts = Arc::clone(&self.receiver.accounts);
        let (host, tag) = (self.host.clone(), self.tag().to_owned());
        let Promise { queues, peer } = promise;
        atrn::send(&dequeuer, accounts, stream, [&host, &peer], &tag, &queues).await;
    }
}
