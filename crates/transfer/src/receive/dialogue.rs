//! The answers to a session's events: who may send, which recipients are ours, what becomes of a
//! message. It must never know the stream.

use std::sync::Arc;

use angarium_accounts::{Accounts, MessageBody, RouteKind, RouteOutcome};
use angarium_smtp::Protocol;
use angarium_smtp::address::Path;
use angarium_smtp::command::Hello;
use angarium_smtp::parameters::{MailParameters, RcptParameters};
use angarium_smtp::receive::{Event, Session};
use angarium_smtp::reply::Reply;
use angarium_store::QueueId;

use super::content::{Intake, Missing, Refused};
use super::login::{Authentication, context};
use super::{ConnectionInfo, Receiver, answers};
use crate::envelope::{MessageFacts, RecipientFacts};
use crate::inspect::{Context, Outline};
use crate::submit::{self, Recipient, Source, Submit};
use crate::trace;

/// One connection's dialogue with its client.
pub(super) struct Dialogue {
    pub(super) receiver: Arc<Receiver>,
    info: ConnectionInfo,
    host: String,
    tag: String,
    hello: Option<(Hello, String)>,
    pub(super) login: Authentication,
    pub(super) envelope: Option<Envelope>,
}

/// A message under way.
pub(super) struct Envelope {
    return_path: String,
    facts: MessageFacts,
    size: Option<u64>,
    recipients: Vec<Recipient>,
    pub(super) content: Option<(QueueId, Box<Intake>)>,
}

impl Dialogue {
    pub(super) fn new(
        receiver: Arc<Receiver>,
        info: ConnectionInfo,
        host: String,
        tag: String,
    ) -> Self {
        Self {
            receiver,
            info,
            host,
            tag,
            hello: None,
            login: Authentication::default(),
            envelope: None,
        }
    }

    pub(super) fn receiver(&self) -> &Arc<Receiver> {
        &self.receiver
    }

    pub(super) fn tag(&self) -> &str {
        &self.tag
    }

    /// True while a message is under way.
    pub(super) fn is_busy(&self) -> bool {
        self.envelope.is_some()
    }

    pub(super) fn tls_started(&mut self) {
        self.info.tls = true;
        self.hello = None;
        self.login = Authentication::default();
        self.envelope = None;
    }

    /// Answers one event.
    pub(super) async fn event(&mut self, event: Event, machine: &mut Session) {
        match event {
            Event::Hello { verb, name } => {
                self.envelope = None;
                self.hello = Some((verb, name));
            }
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
            Event::AuthCancelled => self.login.cancel(),
            Event::Reset => self.envelope = None,
            // The connection deals with these.
            Event::StartTls | Event::Closing(_) => {}
            _ => {}
        }
    }

    fn log_login(&self) {
        if let Some(actor) = &self.login.actor {
            tracing::info!(target: "SMTPI", session = %self.tag, "'{}' authenticated", actor.full_name());
        }
    }

    /// The content cannot be taken; what came of it is dropped.
    pub(super) fn refused(&mut self, why: &Refused) -> Reply {
        self.envelope = None;
        match why {
            Refused::Loop => {
                tracing::error!(target: "SMTPI", session = %self.tag, "message refused: mail loop");
                answers::looping()
            }
            Refused::Verdict(verdict) => answers::verdict(verdict),
            Refused::Store(error) => {
                tracing::error!(target: "SMTPI", session = %self.tag, "message cannot be stored: {error}");
                answers::storage()
            }
        }
    }

    async fn mail(&mut self, path: &Path, parameters: &MailParameters) -> Reply {
        let address = path.address();
        if !address.is_empty() {
            let accounts = &self.receiver.accounts;
            match accounts.route(&address, RouteKind::Mail, None).await {
                RouteOutcome::Later { reason } => {
                    tracing::error!(target: "SMTPI", session = %self.tag, "<{address}> cannot be routed: {reason}");
                    return answers::later();
                }
                RouteOutcome::Rejected { reason } => {
                    tracing::warn!(target: "SMTPI", session = %self.tag, "sender <{address}> refused: {reason}");
                    return answers::sender_refused(&address, &reason);
                }
                route => {
                    // Who authenticated sends as himself (ABU-12).
                    let own =
                        |id| matches!(route, RouteOutcome::Local { account, .. } if account == id);
                    if self.login.actor.as_ref().is_some_and(|actor| !own(actor.account)) {
                        tracing::warn!(target: "SMTPI", session = %self.tag, "sender <{address}> is not the account's");
                        return answers::not_your_address(&address);
                    }
                }
            }
        }
        self.envelope = Some(Envelope {
            return_path: address.clone(),
            facts: MessageFacts::of(self.source().word(), parameters),
            size: parameters.size,
            recipients: Vec::new(),
            content: None,
        });
        answers::sender(&address)
    }

    async fn rcpt(&mut self, path: &Path, parameters: &RcptParameters) -> Reply {
        let address = path.address();
        let route = self.receiver.accounts.route(&address, RouteKind::Mail, None).await;
        let mut reply = answers::recipient(&address, &route, self.login.actor.is_some());
        let size = self.envelope.as_ref().and_then(|e| e.size).unwrap_or(0);
        if reply.is_positive()
            && let Some(no_room) = room(&self.receiver.accounts, &address, &route, size).await
        {
            reply = no_room;
        }
        if !reply.is_positive() {
            tracing::warn!(target: "SMTPI", session = %self.tag, "RCPT refused: {reply}");
            return reply;
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

    fn source(&self) -> Source {
        match self.receiver.settings.protocol {
            Protocol::Smtp => Source::Smtp,
            Protocol::Lmtp => Source::Lmtp,
        }
    }

    /// The protocol word of the trace: `ESMTPSA` and its kin (RFC 3848).
    fn with(&self) -> String {
        let extended = !matches!(self.hello, Some((Hello::Helo, _)) | None);
        let base = match self.receiver.settings.protocol {
            Protocol::Lmtp => "LMTP",
            Protocol::Smtp if extended => "ESMTP",
            Protocol::Smtp => "SMTP",
        };
        let secure = if self.info.tls { "S" } else { "" };
        let login = if self.login.actor.is_some() { "A" } else { "" };
        if base == "SMTP" { base.to_owned() } else { format!("{base}{secure}{login}") }
    }

    /// Opens the stage with our trace lines.
    async fn content(&mut self) -> Result<(), Reply> {
        let with = self.with();
        let account = self.login.actor.as_ref().map(|actor| actor.full_name());
        let source = self.source();
        let module = source.word();
        let Some(envelope) = &mut self.envelope else { return Err(answers::later()) };
        let accounts = &self.receiver.accounts;
        let id = self.receiver.submitter.next_id();
        let now = accounts.now();
        let recipient = match &envelope.recipients[..] {
            [one] => Some(one.address.as_str()),
            _ => None,
        };
        let lines = trace::header(
            &trace::Origin {
                peer: Some(self.info.peer.ip()),
                hello: self.hello.as_ref().map_or("", |(_, name)| name),
                account: account.as_deref(),
                module,
                with: &with,
            },
            &trace::Envelope {
                id,
                return_path: &envelope.return_path,
                recipient,
                host: &self.host,
                now,
            },
        );
        let missing: Option<Missing> = self.receiver.settings.submission.then(|| {
            let host = self.host.clone();
            let add = move |head: &[u8]| trace::missing_lines(head, module, id, now, &host);
            Box::new(add) as Missing
        });
        let peer = Some(self.info.peer.ip());
        let outline = Outline { source, peer, trusted: self.login.actor.is_some() };
        let inspection = self.receiver.submitter.inspectors().wanting(&outline);
        let inspection = inspection.map(|inspection| {
            let context = Context {
                id,
                source,
                peer,
                hello: self.hello.as_ref().map_or_else(String::new, |(_, name)| name.clone()),
                tls: self.info.tls,
                trusted: outline.trusted,
                actor: self.login.actor.clone(),
                return_path: envelope.return_path.clone(),
                recipients: envelope.recipients.clone(),
                host: self.host.clone(),
                now,
            };
            (inspection, context)
        });
        let writer = accounts.store().bodies.stage();
        match Intake::start(writer, lines, &self.host, missing, inspection).await {
            Ok(intake) => {
                envelope.content = Some((id, Box::new(intake)));
                Ok(())
            }
            Err(why) => Err(self.refused(&why)),
        }
    }

    async fn end(&mut self, size: u64, machine: &mut Session) {
        let Some(envelope) = self.envelope.take() else {
            return machine.answer(answers::later());
        };
        let count = envelope.recipients.len();
        let reply = self.submit(envelope, size).await;
        if self.receiver.settings.protocol == Protocol::Lmtp {
            machine.answer_each(&vec![reply; count]);
        } else {
            machine.answer(reply);
        }
    }

    async fn submit(&mut self, envelope: Envelope, size: u64) -> Reply {
        let Some((id, intake)) = envelope.content else { return answers::later() };
        let whole = match intake.finish().await {
            Ok(whole) => whole,
            Err(why) => return self.refused(&why),
        };
        if let Some(why) = &whole.discard {
            tracing::warn!(target: "SMTPI", session = %self.tag, "[{id}] discarded: {why}");
            return answers::accepted(id);
        }
        let (mut return_path, mut recipients) = (envelope.return_path, envelope.recipients);
        if let Some(changed) = whole.changed {
            changed.envelope(&mut return_path, &mut recipients);
        }
        submit::into_mailbox(&mut recipients, whole.mailbox.as_deref());
        let submit = Submit {
            id: Some(id),
            return_path,
            recipients,
            source: self.source(),
            actor: self.login.actor.clone(),
            facts: envelope.facts,
        };
        let submitter = &self.receiver.submitter;
        match submitter.submit(submit, MessageBody::Staged(whole.staged), whole.summary).await {
            Ok(id) => {
                tracing::info!(target: "SMTPI", session = %self.tag, "[{id}] received, {size} bytes");
                answers::accepted(id)
            }
            Err(error) => {
                tracing::error!(target: "SMTPI", session = %self.tag, "[{id}] not accepted: {error}");
                answers::not_submitted(&error)
            }
        }
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
        RouteOutcome::Local { .. } => "LOCAL",
        RouteOutcome::Group { .. } => "LIST",
        _ => "SYSTEM",
    }
}
