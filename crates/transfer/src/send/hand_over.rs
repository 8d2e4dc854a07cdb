//! One queued message given over a connection that stands already: the other side asked for its
//! mail on it (ATRN).
//!
//! It must never know who asked.

use std::sync::Arc;

use angarium_accounts::Bodies;
use angarium_smtp::Protocol;
use angarium_store::QueuedMessage;

use super::connection::Connection;
use super::letter::{Addressee, Letter, path};
use super::told::Verdict;
use super::verdict::{Next, next};
use crate::deliver::Outcome;
use crate::envelope::RecipientFacts;

/// Gives a message for these recipients at `now`; answers how it ended for each.
pub(crate) async fn hand_over(
    connection: &mut Connection,
    bodies: &Arc<dyn Bodies>,
    message: &QueuedMessage,
    recipients: &[u32],
    now: i64,
) -> Vec<(u32, Outcome)> {
    let mut done = Vec::with_capacity(recipients.len());
    let mut to = Vec::new();
    for index in recipients.iter().copied() {
        let place = usize::try_from(index).ok().and_then(|at| message.recipients.get(at));
        let Some(recipient) = place else { continue };
        let facts = RecipientFacts::decode(recipient);
        match Addressee::of(index, &recipient.address, &facts, Protocol::Smtp) {
            Ok(one) => to.push(one),
            Err(outcome) => done.push((index, outcome)),
        }
    }
    if to.is_empty() {
        return done;
    }
    let everybody = |outcome: &Outcome| -> Vec<(u32, Outcome)> {
        to.iter().map(|one| (one.index, outcome.clone())).collect()
    };
    let Some(from) = path(&message.return_path) else {
        done.extend(everybody(&Outcome::failed("5.1.7", "the return path cannot be written")));
        return done;
    };
    let letter = match Letter::open(message, bodies).await {
        Ok(letter) => letter,
        Err(error) => {
            done.extend(everybody(&Outcome::later("4.3.0", error.to_string())));
            return done;
        }
    };
    let fitted = match letter.fit(connection.capabilities(), &from, &to, now).await {
        Ok(fitted) => fitted,
        Err(outcome) => {
            done.extend(everybody(&outcome));
            return done;
        }
    };
    let named = to.iter().map(|one| (one.path.clone(), one.parameters.clone())).collect();
    let verdicts = connection.give(&from, &fitted.parameters, named, &fitted.content).await;
    let reports = connection.capabilities().dsn;
    let taken = verdicts.iter().any(|v| matches!(v, Verdict::Taken(_)));
    for (one, verdict) in to.iter().zip(verdicts) {
        let (Next::End(outcome) | Next::Elsewhere(outcome) | Next::Again(outcome)) =
            next(verdict, &connection.host, reports, taken);
        done.push((one.index, outcome));
    }
    done
}
