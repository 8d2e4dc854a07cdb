//! What a delivery's outcome means: which step each recipient takes and what its sender hears.
//!
//! Pure: time and settings are arguments. It must never know how a delivery is done.

use angarium_store::{HELD, QueuedMessage, RecipientState, RecipientStep, Step};

use super::settings::QueueSettings;
use crate::deliver::{Outcome, Reach};
use crate::envelope::MessageFacts;
use crate::report::{Action, Told};
use crate::retry::Next;

/// Octets of a text of another system that are kept.
const TEXT_LENGTH: usize = 500;

/// What follows the delivery of a part.
#[derive(Debug, Default)]
pub(super) struct Decision {
    pub(super) steps: Vec<RecipientStep>,
    pub(super) told: Vec<Told>,
    /// No host of the queue could be spoken to; what was said.
    pub(super) queue_failed: Option<String>,
    /// Some host of the queue answered.
    pub(super) queue_answered: bool,
}

/// When this queue is tried again, if it has failed: of what the caller knows.
pub(super) struct When<'a> {
    pub(super) now: i64,
    pub(super) settings: &'a QueueSettings,
    /// When the queue is tried again after `Reach::Queue`.
    pub(super) queue_at: i64,
}

/// Text of another system made fit for logs and reports.
pub(super) fn clean(text: &str) -> String {
    let mut out: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(TEXT_LENGTH).collect();
    out.truncate(out.trim_end().len());
    out
}

/// Decides on the outcomes of one message's recipients. Those that had none are tried again.
pub(super) fn decide(
    message: &QueuedMessage,
    recipients: &[u32],
    outcomes: Vec<(u32, Outcome)>,
    when: &When<'_>,
) -> Decision {
    let facts = MessageFacts::decode(&message.facts);
    let mut decision = Decision::default();
    let mut left: std::collections::BTreeSet<u32> = recipients.iter().copied().collect();
    let mut all: Vec<(u32, Outcome)> =
        outcomes.into_iter().filter(|(index, _)| left.remove(index)).collect();
    let silent = || Outcome::later("4.3.0", "the delivery ended without an answer");
    all.extend(left.into_iter().map(|index| (index, silent())));
    for (index, outcome) in all {
        let place = usize::try_from(index).ok();
        let Some(recipient) = place.and_then(|p| message.recipients.get(p)) else { continue };
        let name = format!("{}({}){}", recipient.module, recipient.queue, recipient.address);
        let id = message.id;
        let mut tell = |action, status: &str, text: &str, host: Option<&String>, until| {
            decision.told.push(Told {
                recipient: index,
                action,
                status: status.to_owned(),
                text: text.to_owned(),
                host: host.cloned(),
                until,
            });
        };
        let step = match outcome {
            Outcome::Delivered(text) => {
                tracing::info!(target: "DEQUEUER", "[{id}] {name} delivered: {text}");
                tell(Action::Delivered, "2.0.0", text, None, None);
                decision.queue_answered = true;
                Step::Done
            }
            Outcome::Relayed { host, text, reports } => {
                let text = clean(&text);
                tracing::info!(target: "DEQUEUER", "[{id}] {name} relayed: {text}");
                let trace = facts.by.is_some_and(|by| by.trace);
                if !reports || trace {
                    tell(Action::Relayed, "2.0.0", &text, Some(&host), None);
                }
                decision.queue_answered = true;
                Step::Done
            }
            Outcome::Postponed { until, text } => {
                tracing::debug!(target: "DEQUEUER", "[{id}] {name} waits: {text}");
                let until = facts.by.map_or(until, |by| until.min(by.at));
                Step::Postponed { not_before: until.max(when.now.saturating_add(1)) }
            }
            Outcome::Failed { status, text, host } => {
                let text = clean(&text);
                tracing::error!(target: "DEQUEUER", "[{id}] {name} failed: {text}");
                tell(Action::Failed, &status, &text, host.as_ref(), None);
                decision.queue_answered |= host.is_some();
                Step::Failed { error: text }
            }
            Outcome::Later { status, text, host, reach } => {
                let text = clean(&text);
                match reach {
                    Reach::Queue => decision.queue_failed = Some(text.clone()),
                    Reach::Recipient => decision.queue_answered |= host.is_some(),
                }
                let (due, attempts) = match &recipient.state {
                    RecipientState::Waiting { not_before, attempts, .. } => {
                        (*not_before, *attempts)
                    }
                    RecipientState::Done | RecipientState::Failed { .. } => continue,
                };
                // Held while it was under way: its own time says nothing.
                let due = if due == HELD { when.now } else { due };
                let table = when.settings.timetable(&recipient.module, &recipient.queue, &status);
                let start = message.accepted.max(facts.hold_until.unwrap_or(i64::MIN));
                let at = match reach {
                    Reach::Queue => when.queue_at,
                    Reach::Recipient => when.now.saturating_add(table.wait(attempts)),
                };
                let mut next = table.next(start, due, when.now, at);
                let mut late = None;
                if let (Some(by), Next::Again { at, warn }) = (facts.by, next) {
                    let over = when.now >= by.at;
                    if over && by.give_back {
                        next = Next::GiveUp;
                        late = Some("the time set by its sender is over");
                    } else if over {
                        next = Next::Again { at, warn: warn || due <= by.at };
                    } else {
                        next = Next::Again { at: at.min(by.at), warn };
                    }
                }
                match next {
                    Next::Again { at, warn } => {
                        tracing::warn!(target: "DEQUEUER", "[{id}] {name} delayed: {text}");
                        if warn {
                            let until = start.saturating_add(table.give_up);
                            tell(Action::Delayed, &status, &text, host.as_ref(), Some(until));
                        }
                        Step::Retry { not_before: at, error: text }
                    }
                    Next::GiveUp => {
                        let why = late.map_or_else(
                            || format!("given up after {}", span(table.give_up)),
                            str::to_owned,
                        );
                        let text = format!("{why}: {text}");
                        tracing::error!(target: "DEQUEUER", "[{id}] {name} failed: {text}");
                        tell(Action::Failed, "5.4.7", &text, host.as_ref(), None);
                        Step::Failed { error: text }
                    }
                }
            }
        };
        decision.steps.push(RecipientStep { recipient: index, step });
    }
    decision
}

/// A time span for people.
fn span(seconds: i64) -> String {
    match seconds {
        s if s >= 2 * 86_400 => format!("{} days", s / 86_400),
        s if s >= 2 * 3600 => format!("{} hours", s / 3600),
        s if s >= 120 => format!("{} minutes", s / 60),
        s => format!("{s} seconds"),
    }
}
