//! LIST: mail to a mailing list goes to its subscribers, to its owner for approval, or back. It
//! must never know what a list's stored form is, nor who may change it.

mod header;

use std::sync::Arc;

use angarium_accounts::{Accounts, MailingList, Value};
use angarium_message::header::header_length;
use angarium_routing::posting::{self, PostingFacts, PostingVerdict};
use angarium_store::{Origin, QueuedMessage, QueuedRecipient};
use async_trait::async_trait;

use self::header::Face;
use super::{Channels, Module, Outcome};
use crate::envelope::MessageFacts;
use crate::recipients::LIST;
use crate::submit::{Recipient, Source, Submit, SubmitError, Submitter};

/// Messages of lists at a time; each is in memory while it is prepared.
const CHANNELS: Channels = Channels { total: 4, per_queue: 1, recipients: 1 };

/// The module LIST.
pub(crate) struct Lists {
    accounts: Arc<Accounts>,
    submitter: Submitter,
}

/// A posting and the list it is for.
struct Posted<'a> {
    message: &'a QueuedMessage,
    name: &'a str,
    domain: &'a str,
    list: MailingList,
    /// What it makes of the posting it makes once, whatever breaks in between.
    origin: Origin,
}

impl Lists {
    pub(crate) fn new(accounts: Arc<Accounts>, submitter: Submitter) -> Self {
        Self { accounts, submitter }
    }

    async fn one(
        &self,
        message: &QueuedMessage,
        recipient: &QueuedRecipient,
        index: u32,
    ) -> Outcome {
        let unknown = || Outcome::failed("5.1.1", "there is no such mailing list");
        let Some((name, domain)) = recipient.queue.rsplit_once('@') else { return unknown() };
        let list = match self.accounts.list_named(domain, name).await {
            Ok(Some(list)) => list,
            Ok(None) => return unknown(),
            Err(error) => return Outcome::later("4.3.0", error.to_string()),
        };
        let origin = Origin { queue: message.id, recipient: index };
        let posted = Posted { message, name, domain, list, origin };
        // What programs send to return paths is for the owner to see, not for everybody.
        if message.return_path.is_empty() {
            return self.to_owner(&posted, None).await;
        }
        let account = MessageFacts::decode(&message.facts).account;
        let owner = format!("{}@{domain}", posted.list.owner());
        let author = account.as_deref().unwrap_or(&message.return_path);
        let from_owner = account.as_deref() == Some(owner.as_str());
        let facts = PostingFacts { author, from_owner, size: message.size };
        match posting::judge(&posted.list, facts) {
            PostingVerdict::Refuse(why) => Outcome::failed("5.7.1", why),
            PostingVerdict::Approve => {
                self.to_owner(&posted, Some(format!("{name}/approval"))).await
            }
            PostingVerdict::Distribute => self.distribute(&posted, author).await,
        }
    }

    /// Sends a message on to the list's owner, into this mailbox of his.
    async fn to_owner(&self, posted: &Posted<'_>, mailbox: Option<String>) -> Outcome {
        let body = match self.read(posted.message).await {
            Ok(body) => body,
            Err(outcome) => return outcome,
        };
        let mut submit = Submit::new(Source::List, posted.message.return_path.as_str(), &[]);
        submit.origin = Some(posted.origin);
        let mut last = "the list has no owner".to_owned();
        for name in [posted.list.owner(), "postmaster"] {
            let mut recipient = Recipient::new(format!("{name}@{}", posted.domain));
            recipient.facts.mailbox.clone_from(&mailbox);
            submit.recipients = vec![recipient];
            match self.submitter.submit_message(submit.clone(), &body).await {
                Ok(_) | Err(SubmitError::Repeated) => {
                    return Outcome::Delivered("given to the owner of the list");
                }
                Err(error) if error.is_temporary() => {
                    return Outcome::later("4.3.0", error.to_string());
                }
                Err(error) => last = error.to_string(),
            }
        }
        Outcome::failed("5.1.1", last)
    }

    async fn read(&self, message: &QueuedMessage) -> Result<bytes::Bytes, Outcome> {
        let read = self.accounts.store().bodies.read(message.body).await;
        read.map_err(|error| {
            if error.is_temporary() {
                Outcome::later("4.3.0", error.to_string())
            } else {
                Outcome::failed("5.3.0", error.to_string())
            }
        })
    }

    async fn distribute(&self, posted: &Posted<'_>, author: &str) -> Outcome {
        let body = match self.read(posted.message).await {
            Ok(body) => body,
            Err(outcome) => return outcome,
        };
        let settings = posted.list.effective();
        let text = |key: &str| settings.get(key).and_then(Value::as_str).unwrap_or_default();
        let face = Face {
            name: posted.name,
            domain: posted.domain,
            description: text("Description"),
            reply_to_list: text("Reply").eq_ignore_ascii_case("to list"),
        };
        let head = body.get(..header_length(&body)).unwrap_or(&body);
        if face.distributed(head) {
            return Outcome::failed("5.4.6", "this list has distributed the message before");
        }
        let receivers: Vec<Recipient> = posted.list.receivers().map(Recipient::new).collect();
        if !receivers.is_empty() {
            let message = face.message(&body);
            let mut submit =
                Submit::new(Source::List, format!("{}-report@{}", posted.name, posted.domain), &[]);
            submit.recipients = receivers;
            submit.origin = Some(posted.origin);
            let facts = MessageFacts::decode(&posted.message.facts);
            submit.facts = MessageFacts {
                body: facts.body,
                smtputf8: facts.smtputf8,
                require_tls: facts.require_tls,
                ..MessageFacts::default()
            };
            match self.submit(submit, &message, posted).await {
                Ok(()) => {}
                // The server ended between the distribution and its note; the posting may have been
                // counted or not, and is not counted twice.
                Err(SubmitError::Repeated) => {
                    return Outcome::Delivered("distributed to the subscribers");
                }
                Err(error) if error.is_temporary() => {
                    return Outcome::later("4.3.0", error.to_string());
                }
                Err(error) => return Outcome::failed("5.3.0", error.to_string()),
            }
        }
        if let Err(error) = self.accounts.list_posted(posted.domain, posted.name, author).await {
            // The message is on its way: it must not be distributed again for a count.
            tracing::warn!(target: "LIST", "{}@{}: {error}", posted.name, posted.domain);
        }
        Outcome::Delivered("distributed to the subscribers")
    }

    /// Submits to all; subscribers that cannot be reached at all never stop the others.
    async fn submit(
        &self,
        mut submit: Submit,
        message: &[u8],
        posted: &Posted<'_>,
    ) -> Result<(), SubmitError> {
        let refused = match self.submitter.submit_message(submit.clone(), message).await {
            Err(SubmitError::Recipients(refused)) => refused,
            other => return other.map(drop),
        };
        for (who, why) in &refused {
            tracing::warn!(target: "LIST", "{}@{}: <{who}> {why}", posted.name, posted.domain);
        }
        submit.recipients.retain(|one| refused.iter().all(|(who, _)| *who != one.address));
        if submit.recipients.is_empty() {
            return Ok(());
        }
        self.submitter.submit_message(submit, message).await.map(drop)
    }
}

#[async_trait]
impl Module for Lists {
    fn name(&self) -> &'static str {
        LIST
    }

    fn channels(&self) -> Channels {
        CHANNELS
    }

    async fn deliver(
        &self,
        message: &Arc<QueuedMessage>,
        recipients: &[u32],
    ) -> Vec<(u32, Outcome)> {
        let mut ended = Vec::with_capacity(recipients.len());
        for index in recipients.iter().copied() {
            let place = usize::try_from(index).ok();
            let outcome = match place.and_then(|place| message.recipients.get(place)) {
                Some(recipient) => Box::pin(self.one(message, recipient, index)).await,
                None => Outcome::failed("5.3.0", "no such recipient"),
            };
            ended.push((index, outcome));
        }
        ended
    }
}
