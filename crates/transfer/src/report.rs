//! Telling the sender: failures, delays and, where asked for, deliveries (RFC 3461, RFC 3464).
//!
//! A report goes out with an empty return path, and none is made for a message that has one, so
//! that reports never chase each other (ABU-11). A report whose sender cannot be reached by any
//! route, and one that came back undelivered itself, is kept in a mailbox of the postmaster.

use std::hash::{BuildHasher, Hasher, RandomState};

use angarium_accounts::{Accounts, MessageBody};
use angarium_message::address::Mailbox;
use angarium_message::compose::module_message_id;
use angarium_message::date::Moment;
use angarium_message::header;
pub use angarium_message::report::Action;
use angarium_message::report::{RecipientReport, Report, Return};
use angarium_smtp::parameters::Notify;
use angarium_store::QueuedMessage;

use crate::envelope::{MessageFacts, RecipientFacts};
use crate::submit::{Recipient, Source, Submit, SubmitError, Submitter};

/// The postmaster's mailbox for reports that cannot be sent.
const KEPT: &str = "Undelivered Reports";

/// Octets of a message that are looked at for its header when only that is returned.
const HEADER_READ: u64 = 64 * 1024;

/// What is to be told of one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Index in the message.
    pub recipient: u32,
    /// What became of it.
    pub action: Action,
    /// Enhanced status.
    pub status: String,
    /// Why.
    pub text: String,
    /// The other system that said so, if one did.
    pub host: Option<String>,
    /// Until when a delayed one is tried, seconds since 1970.
    pub until: Option<i64>,
}

impl Told {
    /// True when the recipient's NOTIFY asks for this. A `trace` (RFC 2852 section 4) asks for
    /// relays too, unless nothing at all is to be told.
    fn is_wanted(&self, facts: &RecipientFacts, trace: bool) -> bool {
        match self.action {
            Action::Failed => facts.wants_failure(),
            Action::Delayed => facts.wants_delay(),
            Action::Relayed if trace => facts.notify != Some(Notify::NEVER),
            Action::Delivered | Action::Relayed | Action::Expanded => facts.wants_success(),
        }
    }
}

/// Makes and submits the report on a message, if one is owed. Durable when it answers.
///
/// # Errors
/// What [`Submitter::submit`] says, or that the message cannot be read now: the caller tries the
/// whole step again later.
pub async fn send(
    accounts: &Accounts,
    submitter: &Submitter,
    message: &QueuedMessage,
    told: &[Told],
    keep_failed: bool,
) -> Result<(), SubmitError> {
    if message.return_path.is_empty() {
        if keep_failed && came_back(message, told) {
            return keep(accounts, submitter, message).await;
        }
        for one in told.iter().filter(|t| t.action == Action::Failed) {
            tracing::info!(target: "DEQUEUER", "[{}] no report: {}", message.id, one.text);
        }
        return Ok(());
    }
    let later = |error: angarium_accounts::StoreError| SubmitError::Later(error.to_string());
    let trace = MessageFacts::decode(&message.facts).by.is_some_and(|by| by.trace);
    let known: Vec<(&Told, RecipientFacts, &str)> = told
        .iter()
        .filter_map(|t| {
            let recipient = message.recipients.get(usize::try_from(t.recipient).ok()?)?;
            let facts = RecipientFacts::decode(recipient);
            t.is_wanted(&facts, trace).then_some((t, facts, recipient.address.as_str()))
        })
        .collect();
    if known.is_empty() {
        return Ok(());
    }
    let host = accounts.main_domain().await.map_err(later)?;
    let now = accounts.now();
    let recipients: Vec<RecipientReport<'_>> = known
        .iter()
        .map(|(told, facts, address)| RecipientReport {
            recipient: address,
            original: facts.original.as_ref().map(|o| (o.kind.as_str(), o.address.as_str())),
            action: told.action,
            status: &told.status,
            remote: told.host.as_deref(),
            diagnostic: Some(&told.text),
            retry_until: told.until.map(Moment::utc),
        })
        .collect();
    let facts = MessageFacts::decode(&message.facts);
    let failed = known.iter().any(|(t, ..)| t.action == Action::Failed);
    // Successes and delays return the header alone (RFC 3461 section 4.3).
    let wanted = if facts.headers_only || !failed { Return::Headers } else { Return::Full };
    let bodies = &accounts.store().bodies;
    let small = message.size <= angarium_message::report::RETURN_MAX as u64;
    let original = if wanted == Return::Full && small {
        bodies.read(message.body).await.map_err(later)?
    } else {
        let start = bodies.read_range(message.body, 0, HEADER_READ).await.map_err(later)?;
        start.slice(..header::header_length(&start))
    };
    let id = submitter.next_id();
    let from = Mailbox {
        name: "Mail Delivery".into(),
        local: "MAILER-DAEMON".into(),
        domain: host.clone(),
    };
    let report = Report {
        reporter: &host,
        from: &from,
        to: &message.return_path,
        message_id: &module_message_id("report", id.0, &host),
        random: random(),
        time: Moment::utc(now),
        arrival: Some(Moment::utc(message.accepted)),
        envelope_id: facts.envelope_id.as_deref(),
        recipients: &recipients,
        original: &original,
        wanted,
    };
    let text = report.build();
    let mut submit = Submit::new(Source::Report, "", &[message.return_path.as_str()]);
    submit.id = Some(id);
    match submitter.submit_message(submit, &text).await {
        Ok(_) => return Ok(()),
        Err(error) if error.is_temporary() => return Err(error),
        Err(error) => {
            let path = &message.return_path;
            tracing::warn!(target: "DEQUEUER", "[{}] report to <{path}> kept here: {error}", message.id);
        }
    }
    let kept = postmaster(&host);
    let mut submit = Submit::new(Source::Report, "", &[]);
    submit.recipients.push(kept);
    nowhere(message, submitter.submit_message(submit, &text).await.map(drop))
}

/// The postmaster's mailbox for what cannot be sent.
fn postmaster(host: &str) -> Recipient {
    let mut kept = Recipient::new(format!("postmaster@{host}"));
    kept.facts.mailbox = Some(KEPT.into());
    // If that fails, nobody hears of it.
    kept.facts.notify = Notify::parse("NEVER");
    kept
}

/// Whether a message is a report of ours that cannot be delivered (RFC 5321 section 6.1: none is
/// made of it, but the postmaster may see it).
fn came_back(message: &QueuedMessage, told: &[Told]) -> bool {
    MessageFacts::decode(&message.facts).source == Source::Report.word()
        && told.iter().any(|one| {
            let place = usize::try_from(one.recipient).ok();
            let recipient = place.and_then(|place| message.recipients.get(place));
            one.action == Action::Failed
                && recipient.is_some_and(|r| RecipientFacts::decode(r).wants_failure())
        })
}

/// Puts a report that came back into the postmaster's mailbox, as it is.
async fn keep(
    accounts: &Accounts,
    submitter: &Submitter,
    message: &QueuedMessage,
) -> Result<(), SubmitError> {
    let later = |error: angarium_accounts::StoreError| SubmitError::Later(error.to_string());
    let host = accounts.main_domain().await.map_err(later)?;
    let mut submit = Submit::new(Source::Report, "", &[]);
    submit.recipients.push(postmaster(&host));
    let body = MessageBody::Existing(message.body);
    let kept = Box::pin(submitter.submit(submit, body, message.summary.clone())).await;
    nowhere(message, kept.map(drop))
}

/// What cannot even be kept is said in the log, and no reason to keep the message for ever.
fn nowhere(message: &QueuedMessage, kept: Result<(), SubmitError>) -> Result<(), SubmitError> {
    match kept {
        Err(error) if !error.is_temporary() => {
            tracing::error!(target: "DEQUEUER", "[{}] report lost: {error}", message.id);
            Ok(())
        }
        other => other,
    }
}

/// Bytes for a boundary; they need to be unlike, not secret.
fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    for half in bytes.chunks_mut(8) {
        let number = RandomState::new().build_hasher().finish().to_le_bytes();
        half.copy_from_slice(&number);
    }
    bytes
}
