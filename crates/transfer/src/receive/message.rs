//! The content of a message and its end: staged behind our trace lines, then through the one door in.
//!
//! It must never know the stream.

use angarium_accounts::MessageBody;
use angarium_smtp::Protocol;
use angarium_smtp::command::Hello;
use angarium_smtp::receive::Session;
use angarium_smtp::reply::Reply;

use super::answers;
use super::content::{Intake, Missing, Refused};
use super::dialogue::{Dialogue, Envelope};
use crate::inspect::{Context, Outline};
use crate::submit::{self, Submit};
use crate::trace;

impl Dialogue {
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
    pub(super) async fn content(&mut self) -> Result<(), Reply> {
        let with = self.with();
        let account = self.login.actor.as_ref().map(|actor| actor.full_name());
        let source = self.source();
        let module = source.word();
        let trusted = self.login.actor.is_some() || self.is_client();
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
        let outline = Outline { source, peer, trusted };
        let inspection = self.receiver.submitter.inspectors().wanting(&outline);
        let inspection = inspection.map(|inspection| {
            let context = Context {
                id,
                source,
                peer,
                hello: self.hello.as_ref().map_or_else(String::new, |(_, name)| name.clone()),
                tls: self.info.tls,
                trusted,
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

    pub(super) async fn end(&mut self, size: u64, machine: &mut Session) {
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
            tracing::warn!(target: "SMTPI", session = %self.tag(), "[{id}] discarded: {why}");
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
                tracing::info!(target: "SMTPI", session = %self.tag(), "[{id}] received, {size} bytes");
                answers::accepted(id)
            }
            Err(error) => {
                tracing::error!(target: "SMTPI", session = %self.tag(), "[{id}] not accepted: {error}");
                answers::not_submitted(&error)
            }
        }
    }

    /// The content cannot be taken; what came of it is dropped.
    pub(super) fn refused(&mut self, why: &Refused) -> Reply {
        self.envelope = None;
        match why {
            Refused::Loop => {
                tracing::error!(target: "SMTPI", session = %self.tag(), "message refused: mail loop");
                answers::looping()
            }
            Refused::Verdict(verdict) => {
                tracing::warn!(target: "SMTPI", session = %self.tag(), "message refused: {verdict:?}");
                answers::verdict(verdict)
            }
            Refused::Store(error) => {
                tracing::error!(target: "SMTPI", session = %self.tag(), "message cannot be stored: {error}");
                answers::storage()
            }
        }
    }
}
