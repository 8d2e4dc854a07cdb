//! AUTH: drives the SASL exchange of the accounts with the client's answers.

use std::sync::Arc;

use angarium_accounts::{
    Accounts, Actor, Channel, LoginContext, LoginError, SaslExchange, SaslStep, Service,
};
use angarium_smtp::receive::Session;

use super::answers;

/// The exchange under way and who came out of it.
#[derive(Default)]
pub(super) struct Authentication {
    exchange: Option<Box<SaslExchange>>,
    /// What the TLS session says.
    pub(super) channel: Option<Arc<Channel>>,
    pub(super) actor: Option<Arc<Actor>>,
}

impl Authentication {
    /// Nobody yet, on a connection with this TLS session.
    pub(super) fn on(channel: Option<Arc<Channel>>) -> Self {
        Self { channel, ..Self::default() }
    }

    pub(super) async fn start(
        &mut self,
        accounts: &Arc<Accounts>,
        context: LoginContext,
        mechanism: &str,
        initial: Option<&[u8]>,
        machine: &mut Session,
    ) {
        match accounts.sasl_start_on(mechanism, context, self.channel.clone()) {
            Ok(exchange) => {
                self.exchange = Some(Box::new(exchange));
                self.step(initial, machine).await;
            }
            Err(error) => machine.answer(answers::login_failed(&error)),
        }
    }

    pub(super) async fn step(&mut self, answer: Option<&[u8]>, machine: &mut Session) {
        let Some(mut exchange) = self.exchange.take() else {
            let error = LoginError::Protocol("no exchange is under way");
            return machine.answer(answers::login_failed(&error));
        };
        match Box::pin(exchange.step(answer)).await {
            SaslStep::Challenge(challenge) => {
                machine.challenge(&challenge);
                self.exchange = Some(exchange);
            }
            SaslStep::Done(actor) => {
                self.actor = Some(actor);
                machine.answer(answers::authenticated());
            }
            SaslStep::Fail(error) => machine.answer(answers::login_failed(&error)),
        }
    }

    pub(super) fn cancel(&mut self) {
        self.exchange = None;
    }
}

/// What the accounts are told of the connection.
pub(super) fn context(info: &super::ConnectionInfo, tls: bool) -> LoginContext {
    LoginContext {
        local_ip: Some(info.local.ip()),
        peer_ip: Some(info.peer.ip()),
        service: Service::Smtp,
        tls,
    }
}
