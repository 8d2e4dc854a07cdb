//! One connection's dialogue: what is known of the client and of the message under way. Each event
//! of the session is answered by the file of its command: `mail`, `rcpt`, `message`, `login`.
//! It must never know the stream.

use std::net::SocketAddr;
use std::sync::Arc;

use angarium_accounts::Channel;
use angarium_smtp::Protocol;
use angarium_smtp::client_facts::ClientFacts;
use angarium_smtp::command::Hello;
use angarium_smtp::receive::{Close, Config, Event, Offers, Session};
use angarium_smtp::reply::{Reply, Status};
use angarium_store::QueueId;

use super::content::Intake;
use super::login::{Authentication, context};
use super::names::NameCheck;
use super::release::Promise;
use super::rules::{Audience, Rules};
use super::{ConnectionInfo, Receiver};
use crate::envelope::MessageFacts;
use crate::protection::Guard;
use crate::submit::{Recipient, Source};

/// One connection's dialogue with its client.
pub(super) struct Dialogue {
    pub(super) receiver: Arc<Receiver>,
    pub(super) info: ConnectionInfo,
    rules: Arc<Rules>,
    pub(super) host: String,
    tag: String,
    pub(super) hello: Option<(Hello, String)>,
    pub(super) login: Authentication,
    pub(super) envelope: Option<Envelope>,
    /// The protection's view of the client.
    pub(super) guard: Option<Guard>,
    /// Whether the client's name is its own.
    pub(super) name_check: Option<NameCheck>,
    /// What ATRN was promised.
    pub(super) promise: Option<Promise>,
}

/// A message under way.
pub(super) struct Envelope {
    pub(super) return_path: String,
    pub(super) facts: MessageFacts,
    pub(super) size: Option<u64>,
    pub(super) recipients: Vec<Recipient>,
    pub(super) content: Option<(QueueId, Box<Intake>)>,
}

impl Dialogue {
    pub(super) fn new(
        receiver: Arc<Receiver>,
        info: ConnectionInfo,
        host: String,
        tag: String,
        rules: Arc<Rules>,
    ) -> Self {
        Self {
            receiver,
            info,
            rules,
            host,
            tag,
            hello: None,
            login: Authentication::default(),
            envelope: None,
            guard: None,
            name_check: None,
            promise: None,
        }
    }

    pub(super) fn receiver(&self) -> &Arc<Receiver> {
        &self.receiver
    }

    pub(super) fn tag(&self) -> &str {
        &self.tag
    }

    pub(super) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The client is there and has not been greeted: the words to send it away with, if any.
    pub(super) async fn connected(&mut self) -> Option<Reply> {
        let submission = self.receiver.settings.submission;
        match self.receiver.protection.connect(self.info.peer.ip(), submission).await {
            Ok(guard) => {
                self.guard = Some(guard);
                None
            }
            Err(reply) => {
                tracing::warn!(target: "SMTPI", session = %self.tag, "sent away: {reply}");
                Some(reply)
            }
        }
    }

    /// True when the client's address is one of our clients'.
    pub(super) fn is_client(&self) -> bool {
        self.guard.as_ref().is_some_and(Guard::is_client)
    }

    /// A trusted relay says who the client is.
    async fn xclient(&mut self, facts: ClientFacts, machine: &mut Session) {
        let (peer, local) = (&mut self.info.peer, &mut self.info.local);
        if let Some(ip) = facts.address {
            *peer = SocketAddr::new(ip, facts.port.unwrap_or(0));
        }
        if let Some(ip) = facts.local_address {
            *local = SocketAddr::new(ip, facts.local_port.unwrap_or(local.port()));
        }
        let tag = self.info.tag();
        tracing::info!(target: "SMTPI", session = %self.tag, "XCLIENT: goes on as {tag}");
        self.tag = tag;
        self.hello = None;
        // The channel is the relay's: no login of its client is bound to it.
        self.login = Authentication::default();
        self.envelope = None;
        self.name_check = None;
        match self.connected().await {
            Some(reply) => machine.shut(&reply),
            None => machine.answer(Reply::new(250, Status(2, 0, 0), "ok")),
        }
    }

    /// The client said its name.
    fn greeted(&mut self, verb: Hello, name: String, machine: &mut Session) {
        self.envelope = None;
        if let Some(guard) = &mut self.guard {
            guard.hello(&name);
        }
        let dns = self.receiver.reception.dns();
        self.name_check = dns.and_then(|dns| NameCheck::start(dns, &name, self.info.peer.ip()));
        self.hello = Some((verb, name));
        machine.welcome();
    }

    /// The connection ends for this reason.
    pub(super) fn closing(&self, why: Close) {
        if let Some(guard) = &self.guard {
            guard.closing(why);
        }
    }

    /// True when this client may log in at all.
    fn offers_login(&self) -> bool {
        let submission = self.receiver.settings.submission;
        submission || self.rules.auth_for.has(self.is_client(), false)
    }

    /// The mechanisms offered to this client, on an encrypted connection or not.
    pub(super) async fn mechanisms(&mut self, tls: bool) -> Vec<String> {
        if !self.offers_login() {
            return Vec::new();
        }
        let clear = self.receiver.settings.clear_text_logins;
        let channel = self.login.channel.as_deref().filter(|_| tls);
        let all = self.receiver.accounts.sasl_offers(tls, clear, channel).await;
        all.into_iter().map(str::to_owned).collect()
    }

    /// How the session with this client behaves.
    pub(super) async fn config(&mut self) -> Config {
        let on_plain = self.mechanisms(false).await;
        let on_tls = self.mechanisms(true).await;
        let (rules, settings) = (&self.rules, &self.receiver.settings);
        let offered = self.offers_login();
        let smtp = settings.protocol == Protocol::Smtp;
        let now = self.receiver.accounts.now();
        Config {
            protocol: settings.protocol,
            host: self.host.clone(),
            max_size: rules.max_size,
            max_recipients: rules.max_recipients,
            max_messages: rules.max_messages,
            max_errors: rules.max_errors,
            starttls: self.receiver.tls.is_some() && !self.info.tls,
            tls: self.info.tls,
            mechanisms_plain: on_plain,
            mechanisms_tls: on_tls,
            auth_required: settings.submission,
            offers: Offers {
                size: rules.size,
                eight_bit_mime: rules.eight_bit_mime,
                binary_mime: rules.binary_mime,
                burl: settings.submission,
                deliver_by: rules.deliver_by,
                future_release: rules
                    .future_release
                    .filter(|_| settings.submission)
                    .map(|most| (most, now)),
                priority: true,
                require_tls: rules.require_tls,
                same_owner: false,
                no_soliciting: rules.no_soliciting.clone(),
                limits: true,
                etrn: smtp && !settings.submission && rules.etrn_for != Audience::Nobody,
                atrn: smtp && !settings.submission && rules.atrn && offered,
                xclient: rules.xclient.iter().any(|net| net.contains(self.info.peer.ip())),
            },
            ..Config::default()
        }
    }

    /// True while a message is under way.
    pub(super) fn is_busy(&self) -> bool {
        self.envelope.is_some()
    }

    pub(super) fn tls_started(&mut self, channel: Option<Arc<Channel>>) {
        self.info.tls = true;
        self.hello = None;
        self.name_check = None;
        self.login = Authentication::on(channel);
        self.envelope = None;
    }

    /// Answers one event.
    pub(super) async fn event(&mut self, event: Event, machine: &mut Session) {
        match event {
            Event::Hello { verb, name } => self.greeted(verb, name, machine),
            Event::Mail { path, parameters } => {
                let reply = self.mail(&path, &parameters).await;
                machine.answer(reply);
            }
            Event::Rcpt { path, parameters } => {
                let reply = self.rcpt(&path, &parameters).await;
                machine.answer(reply);
            }
            Event::Content => match self.content().await {
                Ok(()) => machine.proceed(),
                Err(reply) => machine.answer(reply),
            },
            Event::Data(data) => {
                let content = self.envelope.as_mut().and_then(|e| e.content.as_mut());
                if let Some((_, intake)) = content
                    && let Err(why) = intake.push(&data).await
                {
                    machine.abort(self.refused(&why));
                }
            }
            Event::Burl { url } => self.burl(&url, machine).await,
            Event::Aborted(why) => {
                tracing::warn!(target: "SMTPI", session = %self.tag, "message refused: {why:?}");
                self.envelope = None;
            }
            Event::End { size } => self.end(size, machine).await,
            Event::Auth { mechanism, initial } => {
                let context = context(&self.info, self.info.tls);
                let accounts = &self.receiver.accounts;
                let initial = initial.as_deref();
                self.login.start(accounts, context, &mechanism, initial, machine).await;
                self.log_login();
            }
            Event::AuthResponse(answer) => {
                self.login.step(Some(&answer), machine).await;
                self.log_login();
            }
            Event::Etrn { what, name } => machine.answer(self.etrn(what, &name).await),
            Event::Atrn { domains } => {
                let reply = self.atrn(domains).await;
                machine.answer(reply);
            }
            Event::Xclient(facts) => self.xclient(facts, machine).await,
            Event::AuthCancelled => self.login.cancel(),
            Event::Reset => self.envelope = None,
            // The connection deals with these.
            Event::StartTls | Event::Turned | Event::Closing(_) => {}
            _ => {}
        }
    }

    fn log_login(&self) {
        if let Some(actor) = &self.login.actor {
            tracing::info!(target: "SMTPI", session = %self.tag, "'{}' authenticated", actor.description());
        }
    }

    pub(super) fn source(&self) -> Source {
        match self.receiver.settings.protocol {
            Protocol::Smtp => Source::Smtp,
            Protocol::Lmtp => Source::Lmtp,
        }
    }
}
