//! The content of a message and its end: staged behind our trace lines, then through the one door in.
//!
//! It must never know the stream.

use std::sync::Arc;

use angarium_accounts::{MessageBody, StoreError};
use angarium_smtp::Protocol;
use angarium_smtp::command::Hello;
use angarium_smtp::receive::Session;
use angarium_smtp::reply::Reply;

use super::answers;
use super::content::{Intake, Prepare, Refused};
use super::dialogue::{Dialogue, Envelope};
use super::rcpt::room;
use super::submission::{self, Author};
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

    /// Who submits, if somebody logged in.
    async fn author(&mut self) -> Result<Option<Author>, Reply> {
        let Some(actor) = self.login.actor.clone() else { return Ok(None) };
        let tag = self.tag().to_owned();
        let later = |error: StoreError| {
            tracing::error!(target: "SMTPI", session = %tag, "the account cannot be read: {error}");
            answers::later()
        };
        let accounts = Arc::clone(&self.receiver.accounts);
        let settings = accounts.effective_settings(actor.account).await.map_err(later)?;
        let record = accounts.account_record(actor.account).await.map_err(later)?;
        let mut names = vec![actor.name.clone()];
        names.extend(record.iter().flat_map(|record| record.aliases.iter().cloned()));
        let domain = accounts.domain_facts(&actor.domain).await.map_err(later)?;
        let mut domains = vec![actor.domain.clone()];
        domains.extend(domain.iter().flat_map(|domain| domain.record.aliases.iter().cloned()));
        Ok(Some(Author::new(actor.full_name(), &names, &domains, &settings)))
    }

    /// Opens the stage with our trace lines.
    pub(super) async fn content(&mut self) -> Result<(), Reply> {
        let with = self.with();
        let account = self.login.actor.as_ref().map(|actor| actor.full_name());
        let source = self.source();
        let module = source.word();
        let mut author = self.author().await?;
        let verified = match &mut self.name_check {
            Some(check) => check.verified().await,
            None => false,
        };
        let trusted = self.login.actor.is_some() || self.is_client();
        let Some(envelope) = &mut self.envelope else { return Err(answers::later()) };
        // The address in MAIL was looked at already.
        if let Some(author) = author.as_mut().filter(|_| !envelope.return_path.is_empty()) {
            author.own.push(envelope.return_path.to_lowercase());
        }
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
                verified,
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
        let submitted = self.receiver.settings.submission || author.is_some();
        let prepare: Option<Prepare> = submitted.then(|| {
            let host = self.host.clone();
            let prepare = move |head: &[u8]| {
                let mut changes = submission::changes(head, author.as_ref())?;
                changes.lines.push_str(&trace::missing_lines(head, module, id, now, &host));
                Ok(changes)
            };
            Box::new(prepare) as Prepare
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
        match Intake::start(writer, lines, &self.host, prepare, inspection).await {
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
        if self.receiver.settings.protocol == Protocol::Lmtp {
            let replies = self.submit_each(envelope, size).await;
            machine.answer_each(&replies);
        } else {
            let reply = self.submit(envelope, &[], size).await;
            machine.answer(reply);
        }
    }

    /// LMTP: an answer for each recipient, in their order (RFC 2033 section 4.2). Now that the
    /// size is known, those who have no room for it hear so, and the message goes to the others.
    async fn submit_each(&mut self, envelope: Envelope, size: u64) -> Vec<Reply> {
        let mut refused: Vec<Option<Reply>> = Vec::with_capacity(envelope.recipients.len());
        let mut without = Vec::new();
        for recipient in &envelope.recipients {
            let (address, accounts) = (&recipient.address, &self.receiver.accounts);
            let no_room = match &recipient.route {
                Some(route) => room(accounts, address, route, size).await,
                None => None,
            };
            if let Some(reply) = &no_room {
                tracing::warn!(target: "SMTPI", session = %self.tag(), "recipient refused: {reply}");
                without.push(address.clone());
            }
            refused.push(no_room);
        }
        if without.len() == refused.len() {
            return refused.into_iter().flatten().collect();
        }
        let reply = self.submit(envelope, &without, size).await;
        refused.into_iter().map(|own| own.unwrap_or_else(|| reply.clone())).collect()
    }

    /// Submits what has come to its recipients, but those named in `without`.
    async fn submit(&mut self, envelope: Envelope, without: &[String], size: u64) -> Reply {
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
        if !without.is_empty() {
            recipients.retain(|recipient| !without.contains(&recipient.address));
        }
        submit::into_mailbox(&mut recipients, whole.mailbox.as_deref());
        let submit = Submit {
            id: Some(id),
            return_path,
            recipients,
            source: self.source(),
            actor: self.login.actor.clone(),
            facts: envelope.facts,
            origin: None,
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
            Refused::Verdict(verdict) => answers::verdict(verdict),
            Refused::Store(error) => {
                tracing::error!(target: "SMTPI", session = %self.tag(), "message cannot be stored: {error}");
                answers::storage()
            }
        }
    }
}
