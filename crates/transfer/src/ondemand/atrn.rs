//! ATRN (RFC 2645), the server's side: after the roles are turned, the mail of some queues goes to
//! the one who asked, over the connection he asked on.
//!
//! A message leaves the queue when he has said that he has it, never before: a cut line loses
//! nothing (ABU-18). It must never know who may ask.

use angarium_accounts::{Accounts, QueueId};

use super::queues;
use crate::deliver::Outcome;
use crate::send::{Connection, Duplex, Phases, hand_over};

/// Sends what waits in these queues.
pub(crate) async fn send(
    accounts: &Accounts,
    stream: Box<dyn Duplex>,
    host: &str,
    peer: &str,
    tag: &str,
    queues: &[String],
) {
    let mut connection = match Connection::over(stream, host, peer, Phases::default()).await {
        Ok(connection) => connection,
        Err(why) => {
            tracing::warn!(target: "SMTPI", session = tag, "ATRN: no server on the other side: {why}");
            return;
        }
    };
    let mut sent = 0u64;
    for queue in queues {
        let mut after = QueueId(0);
        loop {
            let work = match queues::take(accounts, queue, after).await {
                Ok(Some(work)) => work,
                Ok(None) => break,
                Err(error) => {
                    tracing::error!(target: "SMTPI", session = tag, "ATRN: queue {queue}: {error}");
                    return connection.quit().await;
                }
            };
            let id = work.message.id;
            after = id;
            let bodies = &accounts.store().bodies;
            let (message, now) = (&work.message, accounts.now());
            let given = hand_over(&mut connection, bodies, message, &work.recipients, now);
            let done = Box::pin(given).await;
            for (index, outcome) in &done {
                let place = usize::try_from(*index).ok();
                let to = place.and_then(|at| work.message.recipients.get(at));
                let to = to.map_or("", |r| r.address.as_str());
                match outcome {
                    Outcome::Relayed { text, .. } => {
                        sent = sent.saturating_add(1);
                        tracing::info!(target: "DEQUEUER", "[{id}] SMTP({queue}){to} relayed: {text}");
                    }
                    other => {
                        tracing::warn!(target: "DEQUEUER", "[{id}] SMTP({queue}){to} not sent: {other:?}");
                    }
                }
            }
            if let Err(error) = queues::settle(accounts, id, done).await {
                tracing::error!(target: "SMTPI", session = tag, "ATRN: [{id}] not settled: {error}");
            }
            if connection.is_spent() {
                tracing::warn!(target: "SMTPI", session = tag, "ATRN: the connection broke after {sent} recipients");
                return;
            }
        }
    }
    tracing::info!(target: "SMTPI", session = tag, "ATRN: {sent} recipients sent");
    connection.quit().await;
}
