//! The PWD driver: port 106, password changes and the command line interface
//! (`reference/cli.md` section 2). It must never know what a command does.

#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;
use std::time::Duration;

use angarium_accounts::{
    Actor, Channel, Login, LoginContext, LoginError, SaslExchange, SaslStep, Secret, Service,
};
use angarium_pop::pwd::PwdPolicy;
use angarium_pop::{Password, PwdEvent, PwdSession};
use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

use crate::cli::{Cli, CliAnswer, EndSignal, SessionEnder};
use crate::connection::{Connection, ConnectionError, ConnectionInfo};
use crate::sessions::{SessionEntry, SessionTable};

/// A client that says nothing for this long is disconnected. One library reconnects after 295
/// seconds of silence, so it must not be less.
const IDLE: Duration = Duration::from_secs(300);
/// All of the login must be done in this time.
const LOGIN_TIME: Duration = Duration::from_secs(120);

/// What all PWD sessions of a server share.
#[derive(Clone)]
pub struct PwdContext {
    /// Executes commands, over the accounts that people log in to.
    pub cli: Cli,
    /// Name of this host.
    pub host: String,
    /// Name of the product.
    pub product: String,
    /// Version of the product.
    pub version: String,
    /// Passwords may be sent without encryption.
    pub clear_text: bool,
    /// The sessions as monitors list them.
    pub sessions: SessionTable,
    /// Ends sessions from outside.
    pub ender: SessionEnder,
    /// Upgrades connections with STLS; `None` offers none.
    pub tls: Option<TlsAcceptor>,
}

/// Runs one PWD session to its end.
pub async fn serve<S>(stream: S, info: ConnectionInfo, context: Arc<PwdContext>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    Box::pin(serve_secured(stream, info, None, context)).await;
}

/// As [`serve`] on a stream that is encrypted already, with what its TLS session says.
pub async fn serve_secured<S>(
    stream: S,
    info: ConnectionInfo,
    channel: Option<Arc<Channel>>,
    context: Arc<PwdContext>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let entry = context.sessions.enter("PWD", info.session, info.peer);
    let tag = format!("PWD-{:05}", info.session);
    tracing::debug!(target: "PWD", session = %tag, peer = %info.peer, "connected");
    let now = context.cli.accounts.now();
    let stamp = format!("<{}.{now}@{}>", info.session, context.host);
    let connection = Connection::new(stream, info).with_channel(channel);
    let session = PwdSession::new(
        policy(&context, &connection).await,
        &context.host,
        &context.product,
        &context.version,
        &stamp,
    );
    let mut driver =
        Driver { session, connection, context, entry, tag, stamp, exchange: None, actor: None };
    if let Err(error) = driver.run().await {
        tracing::debug!(target: "PWD", session = %driver.tag, %error, "ended");
    }
    driver.connection.close().await;
}

async fn policy<S: AsyncRead + AsyncWrite + Unpin + Send>(
    context: &PwdContext,
    connection: &Connection<S>,
) -> PwdPolicy {
    let tls = connection.is_tls();
    let channel = connection.channel().map(Arc::as_ref);
    let mechanisms = context.cli.accounts.sasl_offers(tls, context.clear_text, channel).await;
    PwdPolicy {
        clear_text: context.cli.accounts.clear_text_offered(tls || context.clear_text).await,
        starttls: !tls && context.tls.is_some(),
        // Programs made for the old server know nothing else; it works for readable passwords.
        apop: true,
        mechanisms: mechanisms.iter().map(|name| (*name).to_owned()).collect(),
    }
}

struct Driver<S> {
    session: PwdSession,
    connection: Connection<S>,
    context: Arc<PwdContext>,
    entry: SessionEntry,
    tag: String,
    /// What an APOP digest is made over.
    stamp: String,
    exchange: Option<SaslExchange>,
    actor: Option<(Arc<Actor>, EndSignal)>,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Driver<S> {
    async fn run(&mut self) -> Result<(), ConnectionError> {
        let started = tokio::time::Instant::now();
        let mut input = BytesMut::new();
        loop {
            while let Some(event) = self.session.next_event() {
                if matches!(event, PwdEvent::Close) {
                    return self.send().await;
                }
                self.act(event).await?;
            }
            // Greeting and answers go out in one write: one client reads each with one read.
            self.send().await?;
            self.connection.rest();
            let left = match &self.actor {
                None => LOGIN_TIME.saturating_sub(started.elapsed()),
                Some(_) => IDLE,
            };
            let ended = async {
                match &self.actor {
                    Some((_, signal)) => signal.told().await,
                    None => std::future::pending().await,
                }
            };
            let got = tokio::select! {
                got = self.connection.receive(&mut input, left) => got,
                () = ended => {
                    self.session.close("session closed by the administrator");
                    continue;
                }
                () = self.entry.stopping() => {
                    self.session.close("the server is stopping");
                    continue;
                }
            };
            match got {
                Ok(_) => {
                    self.session.receive(&input);
                    input.clear();
                    if input.capacity() > 8 * 1024 {
                        input = BytesMut::new();
                    }
                }
                Err(ConnectionError::TimedOut) => self.session.close("idle for too long"),
                Err(error) => return Err(error),
            }
        }
    }

    async fn send(&mut self) -> Result<(), ConnectionError> {
        let output = self.session.output();
        if self.connection.out().is_empty() {
            std::mem::swap(output, self.connection.out());
        } else {
            self.connection.out().append(output);
        }
        self.connection.flush().await
    }

    async fn act(&mut self, event: PwdEvent) -> Result<(), ConnectionError> {
        match event {
            PwdEvent::Login { name, password } => Box::pin(self.login(name, password)).await,
            PwdEvent::Apop { name, digest } => Box::pin(self.apop(&name, &digest)).await,
            PwdEvent::WebUser { .. } => {
                self.session.refuse(511, "this login method is not available");
            }
            PwdEvent::Auth { mechanism, initial } => {
                let accounts = &self.context.cli.accounts;
                let channel = self.connection.channel().cloned();
                match accounts.sasl_start_on(&mechanism, self.login_context(), channel) {
                    Ok(exchange) => {
                        self.exchange = Some(exchange);
                        Box::pin(self.auth_step(initial.as_deref())).await;
                    }
                    Err(error) => self.denied(&error),
                }
            }
            PwdEvent::AuthReply(reply) => Box::pin(self.auth_step(Some(&reply))).await,
            PwdEvent::AuthCancelled => self.exchange = None,
            PwdEvent::StartTls => return self.start_tls().await,
            PwdEvent::NewPassword(password) => Box::pin(self.new_password(password)).await,
            PwdEvent::Command(line) => Box::pin(self.command(&line)).await,
            PwdEvent::Flush => return self.send().await,
            PwdEvent::Close => {}
        }
        Ok(())
    }

    async fn start_tls(&mut self) -> Result<(), ConnectionError> {
        self.send().await?;
        let Some(acceptor) = self.context.tls.clone() else { return Err(ConnectionError::Closed) };
        self.connection.start_tls(&acceptor).await?;
        self.exchange = None;
        let policy = policy(&self.context, &self.connection).await;
        self.session.tls_started(policy);
        Ok(())
    }

    fn login_context(&self) -> LoginContext {
        let info = self.connection.info();
        LoginContext {
            local_ip: Some(info.local.ip()),
            peer_ip: Some(info.peer.ip()),
            service: Service::Pwd,
            tls: info.tls,
        }
    }

    async fn login(&mut self, name: String, password: Password) {
        self.entry.running("Authenticating");
        let context = self.login_context();
        let login = Login {
            name,
            password: Secret::new(password.as_bytes().to_vec()),
            local_ip: context.local_ip,
            peer_ip: context.peer_ip,
            service: context.service,
            tls: context.tls,
        };
        match self.context.cli.accounts.login(login).await {
            Ok(actor) => self.enter(actor),
            Err(error) => self.denied(&error),
        }
    }

    async fn apop(&mut self, name: &str, digest: &str) {
        self.entry.running("Authenticating");
        let (context, stamp) = (self.login_context(), self.stamp.as_str());
        match self.context.cli.accounts.login_apop(name, stamp, digest, context).await {
            Ok(actor) => self.enter(actor),
            Err(error) => self.denied(&error),
        }
    }

    async fn auth_step(&mut self, reply: Option<&[u8]>) {
        let Some(mut exchange) = self.exchange.take() else {
            return self.denied(&LoginError::Protocol("no exchange is under way"));
        };
        match exchange.step(reply).await {
            SaslStep::Challenge(data) => {
                self.exchange = Some(exchange);
                self.session.challenge(&data);
            }
            SaslStep::Done(actor) => self.enter(actor),
            SaslStep::Fail(error) => self.denied(&error),
        }
    }

    fn enter(&mut self, actor: Arc<Actor>) {
        tracing::info!(target: "PWD", session = %self.tag, account = %actor.description(), "logged in");
        self.entry.account(&actor.full_name());
        self.entry.waiting("Ready");
        let signal = self.context.ender.enter_administering(actor.account);
        self.actor = Some((actor, signal));
        self.session.login_done();
    }

    fn denied(&mut self, error: &LoginError) {
        self.entry.waiting("Connected");
        tracing::info!(target: "PWD", session = %self.tag, %error, "login failed");
        self.session.refuse(error.code(), &error.to_string());
    }

    async fn new_password(&mut self, password: Password) {
        let Some((actor, signal)) = &self.actor else {
            return self.session.answer(510, "insufficient access rights");
        };
        let password = Secret::new(password.as_bytes().to_vec());
        match self.context.cli.accounts.change_own_password(actor, password).await {
            Ok(()) => {
                // Whoever knew the old password is out (ABU-39).
                signal.end_others();
                self.session.answer(200, "OK");
            }
            Err(error) => self.session.answer(error.code(), &error.text()),
        }
    }

    async fn command(&mut self, line: &[u8]) {
        let Some((actor, _)) = &self.actor else {
            return self.session.answer(510, "insufficient access rights");
        };
        self.entry.running("Command");
        // Only the word is logged: parameters may be passwords.
        let word = line.split(|&byte| byte == b' ').next().unwrap_or(line);
        let word = String::from_utf8_lossy(word.get(..32).unwrap_or(word));
        let answer = self.context.cli.execute(actor, line).await;
        tracing::debug!(target: "PWD", session = %self.tag, command = %word, code = answer.code());
        match answer {
            CliAnswer::Data(_) => self.session.answer_data(&answer.text()),
            CliAnswer::Done | CliAnswer::Failed { .. } => {
                self.session.answer(answer.code(), &answer.text());
            }
        }
        self.entry.waiting("Ready");
    }
}
