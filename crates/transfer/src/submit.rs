//! The one door in: every message, from whatever source, becomes durable here.
//!
//! It must never know how a message arrived; it only answers once the store did.

use std::sync::Arc;

use angarium_accounts::{Accounts, Actor, MessageBody, NewMessage, QueueId, RouteOutcome};
use angarium_message::header;
use angarium_message::summary::Summary;
use angarium_store::{NewQueued, Origin, RecipientState};
use bytes::Bytes;
use thiserror::Error;

use crate::authenticity::results::foreign_results;
use crate::envelope::{MessageFacts, RecipientFacts};
use crate::inspect::{Context, Findings, Inspectors, Outline, Verdict};
use crate::protection::Protection;
use crate::recipients::{Expansion, Refusal};
use crate::trace;

/// Where a message comes from, by its module's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// SMTP receiving.
    Smtp,
    /// LMTP receiving.
    Lmtp,
    /// POP's XTND XMIT.
    Pop,
    /// Webmail.
    Web,
    /// A rule.
    Rule,
    /// A mailing list or group.
    List,
    /// The dequeuer's own reports.
    Report,
    /// A message sent on by an administrator.
    Redirect,
}

impl Source {
    /// The word in logs, facts and trace lines.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Smtp => "SMTP",
            Self::Lmtp => "LMTP",
            Self::Pop => "POP",
            Self::Web => "WEBUSER",
            Self::Rule => "RULE",
            Self::List => "LIST",
            Self::Report => "DEQUEUER",
            Self::Redirect => "REDIRECT",
        }
    }
}

/// One recipient of a message to be submitted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recipient {
    /// The address.
    pub address: String,
    /// What the source knows of it.
    pub facts: RecipientFacts,
    /// Its route, if the source has asked already.
    pub route: Option<RouteOutcome>,
}

impl Recipient {
    /// A recipient with nothing but its address.
    #[must_use]
    pub fn new(address: impl Into<String>) -> Self {
        Self { address: address.into(), ..Self::default() }
    }
}

/// A message's envelope.
#[derive(Clone, Debug)]
pub struct Submit {
    /// Its number, taken with [`Submitter::next_id`]; `None` takes one.
    pub id: Option<QueueId>,
    /// Return path without brackets, empty for `<>`.
    pub return_path: String,
    /// At least one.
    pub recipients: Vec<Recipient>,
    /// Where it comes from.
    pub source: Source,
    /// Who sends it, if somebody authenticated.
    pub actor: Option<Arc<Actor>>,
    /// What else was said of it; source and account are filled in.
    pub facts: MessageFacts,
    /// The delivery that makes this message; such a one is taken once only.
    pub origin: Option<Origin>,
}

impl Submit {
    /// An envelope without extras.
    #[must_use]
    pub fn new(source: Source, return_path: impl Into<String>, recipients: &[&str]) -> Self {
        Self {
            id: None,
            return_path: return_path.into(),
            recipients: recipients.iter().map(|r| Recipient::new(*r)).collect(),
            source,
            actor: None,
            facts: MessageFacts::default(),
            origin: None,
        }
    }
}

/// Why a message was not taken. Nothing of it was.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubmitError {
    /// *Never*: these addresses cannot be recipients, each with the reason.
    #[error("recipients refused: {}", list(.0))]
    Recipients(Vec<(String, String)>),
    /// *Later*: the store or the directory is not available.
    #[error("not available now: {0}")]
    Later(String),
    /// *Never*: the delivery that makes this message has done so before.
    #[error("submitted before")]
    Repeated,
    /// *Never*: no recipients, or the store's rules forbid it.
    #[error("{0}")]
    Never(String),
}

impl SubmitError {
    /// True when the same may succeed later.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Later(_))
    }
}

fn list(refused: &[(String, String)]) -> String {
    refused.iter().map(|(a, why)| format!("<{a}> {why}")).collect::<Vec<_>>().join("; ")
}

/// Takes messages in. Cheap to clone.
#[derive(Clone)]
pub struct Submitter {
    accounts: Arc<Accounts>,
    inspectors: Inspectors,
    protection: Option<Arc<Protection>>,
}

impl Submitter {
    /// The door over these accounts and their store.
    #[must_use]
    pub fn new(accounts: Arc<Accounts>) -> Self {
        Self { accounts, inspectors: Inspectors::default(), protection: None }
    }

    /// The same, with the rates of outgoing mail kept by this protection.
    #[must_use]
    pub fn with_protection(mut self, protection: Arc<Protection>) -> Self {
        self.protection = Some(protection);
        self
    }

    /// Those who look at messages before they are taken.
    #[must_use]
    pub fn inspectors(&self) -> &Inspectors {
        &self.inspectors
    }

    /// A fresh message number.
    #[must_use]
    pub fn next_id(&self) -> QueueId {
        self.accounts.store().queue.next_id()
    }

    /// Queues a message that has its trace lines already; `summary` is what
    /// [`Summary::encode`] made of it. When it answers `Ok`, the message is durable.
    ///
    /// # Errors
    /// See [`SubmitError`].
    pub async fn submit(
        &self,
        submit: Submit,
        body: MessageBody,
        summary: Bytes,
    ) -> Result<QueueId, SubmitError> {
        self.within_rate(&submit).await?;
        let mut expansion = Expansion::new(&self.accounts, submit.actor.as_deref());
        let mut refused = Vec::new();
        for recipient in submit.recipients {
            let Recipient { address, facts, route } = recipient;
            match expansion.add(&address, route, facts).await {
                Ok(()) => {}
                Err(Refusal::Later(why)) => return Err(SubmitError::Later(why)),
                Err(refusal) => refused.push((address, refusal.text())),
            }
        }
        if !refused.is_empty() {
            return Err(SubmitError::Recipients(refused));
        }
        let mut recipients = expansion.entries;
        if recipients.is_empty() {
            return Err(SubmitError::Never("the message has no recipients".into()));
        }
        let mut facts = submit.facts;
        facts.source = submit.source.word().to_owned();
        facts.account = submit.actor.as_ref().map(|a| a.full_name());
        // A body that is stored already does not tell its size here; it is only for the log.
        let size = match &body {
            MessageBody::Bytes(bytes) => bytes.len() as u64,
            MessageBody::Staged(staged) => staged.size,
            MessageBody::Existing(_) => 0,
        };
        for recipient in &mut recipients {
            if let RecipientState::Waiting { not_before, .. } = &mut recipient.state {
                *not_before = (*not_before).max(facts.hold_until.unwrap_or(i64::MIN));
            }
        }
        let new = NewQueued {
            id: submit.id,
            return_path: submit.return_path.clone(),
            facts: facts.encode(),
            body,
            summary,
            recipients,
            accepted: self.accounts.now(),
            priority: facts.priority,
        };
        let queue = &self.accounts.store().queue;
        let queued = match submit.origin {
            Some(origin) => queue.enqueue_once(new, origin).await,
            None => queue.enqueue(new).await.map(Some),
        };
        let queued = queued.map_err(|error| {
            if error.is_temporary() {
                SubmitError::Later(error.to_string())
            } else {
                SubmitError::Never(error.to_string())
            }
        })?;
        let (id, _) = queued.ok_or(SubmitError::Repeated)?;
        if let Some(actor) = &submit.actor {
            self.accounts.count_sent(actor, size);
        }
        let tag = format!("QUEUE([{id}])");
        tracing::info!(target: "QUEUE", tag, "from <{}>, {size} bytes", submit.return_path);
        tracing::info!(target: "QUEUE", tag, "enqueued");
        Ok(id)
    }

    /// Keeps an account's own mail within its rate (`MailOutFlow`).
    async fn within_rate(&self, submit: &Submit) -> Result<(), SubmitError> {
        let (Some(actor), Some(protection)) = (&submit.actor, &self.protection) else {
            return Ok(());
        };
        if !matches!(submit.source, Source::Smtp | Source::Lmtp | Source::Pop | Source::Web) {
            return Ok(());
        }
        protection.outgoing(actor.account).await.map_err(|seconds| {
            tracing::warn!(target: "ENQUEUER", "{} sends too fast", actor.full_name());
            SubmitError::Later(format!("you send too fast, try again in {seconds} seconds"))
        })
    }

    /// Queues a message as its author's program made it: trace lines are written in front, a
    /// missing Date and Message-ID added.
    ///
    /// # Errors
    /// See [`SubmitError`].
    pub async fn submit_message(
        &self,
        mut submit: Submit,
        message: &[u8],
    ) -> Result<QueueId, SubmitError> {
        let id = submit.id.unwrap_or_else(|| self.next_id());
        submit.id = Some(id);
        let now = self.accounts.now();
        let host = self.accounts.main_domain().await;
        let host = host.map_err(|error| SubmitError::Later(error.to_string()))?;
        let account = submit.actor.as_ref().map(|a| a.full_name());
        let module = submit.source.word();
        let recipient = match &submit.recipients[..] {
            [one] => Some(one.address.as_str()),
            _ => None,
        };
        let lines = trace::header(
            &trace::Origin {
                account: account.as_deref(),
                module,
                with: module,
                ..Default::default()
            },
            &trace::Envelope { id, return_path: &submit.return_path, recipient, host: &host, now },
        );
        let head = message.get(..header::header_length(message)).unwrap_or(message);
        let missing = trace::missing_lines(head, module, id, now, &host);
        let mut text = Vec::with_capacity(missing.len() + message.len());
        text.extend_from_slice(missing.as_bytes());
        let mut from = 0;
        for cut in foreign_results(head, &host) {
            text.extend_from_slice(message.get(from..cut.start).unwrap_or_default());
            from = cut.end;
        }
        text.extend_from_slice(message.get(from..).unwrap_or_default());
        let found = self.inspect(&submit, id, &host, now, &text).await;
        match found.verdict {
            Verdict::Accept => {}
            Verdict::Refuse { text, .. } => return Err(SubmitError::Never(text)),
            Verdict::Later { text, .. } => return Err(SubmitError::Later(text)),
            Verdict::Discard(why) => {
                tracing::warn!(target: "ENQUEUER", "[{id}] discarded: {why}");
                return Ok(id);
            }
        }
        if let Some(mut changed) = found.changed {
            text = changed.message.take().unwrap_or(text);
            changed.envelope(&mut submit.return_path, &mut submit.recipients);
        }
        into_mailbox(&mut submit.recipients, found.mailbox.as_deref());
        let mut whole = trace::with_found(&lines, &found.lines).into_bytes();
        whole.extend_from_slice(&text);
        let summary = encode_summary(Summary::of(&whole));
        self.submit(submit, MessageBody::Bytes(whole.into()), summary).await
    }

    /// Shows a message of our own house to those who want to see it.
    async fn inspect(
        &self,
        submit: &Submit,
        id: QueueId,
        host: &str,
        now: i64,
        message: &[u8],
    ) -> Findings {
        let outline = Outline { source: submit.source, peer: None, trusted: true };
        let Some(mut inspection) = self.inspectors.wanting(&outline) else {
            return Findings::default();
        };
        let context = Context {
            id,
            source: submit.source,
            peer: None,
            hello: String::new(),
            tls: false,
            trusted: true,
            actor: submit.actor.clone(),
            return_path: submit.return_path.clone(),
            recipients: submit.recipients.clone(),
            host: host.to_owned(),
            now,
        };
        // It is in memory already; what can be reserved only keeps others from adding to it.
        let _ = inspection.reserve(message.len());
        Box::pin(inspection.run(&context.arrived(message, true))).await
    }
}

/// Sends a message into this mailbox of its local recipients, where they have not named another.
pub(crate) fn into_mailbox(recipients: &mut [Recipient], mailbox: Option<&str>) {
    let Some(mailbox) = mailbox else { return };
    for recipient in recipients {
        recipient.facts.mailbox.get_or_insert_with(|| mailbox.to_owned());
    }
}

/// A summary in its stored form, without its parts if it is larger than the store takes.
pub(crate) fn encode_summary(summary: Summary) -> Bytes {
    let header_size = summary.header_size;
    let bytes = summary.encode();
    if bytes.len() <= NewMessage::MAX_SUMMARY {
        return bytes.into();
    }
    // A monster of parts or addresses: valid, marked as incomplete, so that readers look into the
    // message itself.
    let bare = Summary { header_size, complete: false, ..Summary::of(b"\r\n") };
    bare.encode().into()
}
