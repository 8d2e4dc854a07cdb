//! Telling the sender: failures, delays and, where asked for, deliveries (RFC 3461, RFC 3464).
//!
//! A report goes out with an empty return path, and none is made for a message that has one, so
//! that reports never chase each other (ABU-11). One that cannot be sent is kept in a mailbox of
//! the postmaster.

use std::hash::{BuildHasher, Hasher, RandomState};

use angarium_accounts::{Accounts, RouteKind, RouteOutcome};
use angarium_message::address::Mailbox;
use angarium_message::compose::module_message_id;
use angarium_message::date::Moment;
use angarium_message::header;
pub use angarium_message::report::Action;
use angarium_message::report::{RecipientReport, Report, Return};
use angarium_store::QueuedMessage;

use crate::envelope::{MessageFacts, RecipientFacts};
use crate::retry;
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
}

impl Told {
    /// True when the recipient's NOTIFY asks for this.
    fn is_wanted(&self, facts: &RecipientFacts) -> bool {
        match self.action {
            Action::Failed => facts.wants_failure(),
            Action::Delayed => facts.wants_delay(),
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
) -> Result<(), SubmitError> {
    if message.return_path.is_empty() {
        for one in told.iter().filter(|t| t.action == Action::Failed) {
            tracing::info!(target: "DEQUEUER", "[{}] no report: {}", message.id, one.text);
        }
        return Ok(());
    }
    let later = |error: angarium_accounts::StoreError| SubmitError::Later(error.to_string());
    let known: Vec<(&Told, RecipientFacts, &str)> = told
        .iter()
        .filter_map(|t| {
            let recipient = message.recipients.get(usize::try_from(t.recipient).ok()?)?;
            let facts = RecipientFacts::decode(recipient);
            t.is_wanted(&facts).then_some((t, facts, recipient.address.as_str()))
        })
        .collect();
    if known.is_empty() {
        return Ok(());
    }
    let host = accounts.main_domain().await.map_err(later)?;
    let now = accounts.now();
    let until = Moment::utc(message.accepted.saturating_add(retry::GIVE_UP));
    let recipients: Vec<RecipientReport<'_>> = known
        .iter()
        .map(|(told, facts, address)| RecipientReport {
            recipient: address,
            original: facts.original.as_ref().map(|o| (o.kind.as_str(), o.address.as_str())),
            action: told.action,
            status: &told.status,
            remote: told.host.as_deref(),
            diagnostic: Some(&told.text),
            retry_until: (told.action == Action::Delayed).then_some(until),
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
    let route = accounts.route(&message.return_path, RouteKind::Mail, None).await;
    let recipient = match route {
        RouteOutcome::Local { .. }
        | RouteOutcome::Group { .. }
        | RouteOutcome::Remote { .. }
        | RouteOutcome::Discard => {
            Recipient { route: Some(route), ..Recipient::new(&message.return_path) }
        }
        RouteOutcome::Later { reason } => return Err(SubmitError::Later(reason)),
        _ => {
            let path = &message.return_path;
            tracing::warn!(target: "DEQUEUER", "[{}] report to <{path}> is kept here", message.id);
            let mut kept = Recipient::new(format!("postmaster@{host}"));
            kept.facts.mailbox = Some(KEPT.into());
            kept
        }
    };
    let mut submit = Submit::new(Source::Report, "", &[]);
    submit.id = Some(id);
    submit.recipients.push(recipient);
    match submitter.submit_message(submit, &text).await {
        Ok(_) => Ok(()),
        Err(error) if error.is_temporary() => Err(error),
        Err(error) => {
            // Nowhere to put it: said in the log, and no reason to keep the message for ever.
            tracing::error!(target: "DEQUEUER", "[{}] report lost: {error}", message.id);
            Ok(())
        }
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
