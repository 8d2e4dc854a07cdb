//! ATRN (RFC 2645), the server's side: after the roles are turned, the mail of some queues goes to
//! the one who asked, over the connection he asked on.
//!
//! A message leaves the queue when he has said that he has it, never before: a cut line loses
//! nothing (ABU-18). It must never know who may ask.

use std::sync::Arc;

use angarium_accounts::Accounts;
use angarium_store::{QueueName, QueuedMessage};
use async_trait::async_trait;
use tokio::sync::Mutex;

use crate::deliver::{Channels, Module, Outcome, Reach};
use crate::dequeuer::Dequeuer;
use crate::recipients::SMTP;
use crate::send::{Connection, Duplex, Phases, hand_over};

/// Delivers over the one connection.
struct Handover {
    connection: Mutex<Connection>,
    accounts: Arc<Accounts>,
}

#[async_trait]
impl Module for Handover {
    fn name(&self) -> &'static str {
        SMTP
    }

    fn channels(&self) -> Channels {
        Channels { total: 1, per_queue: 1, ..Channels::default() }
    }

    async fn deliver(
        &self,
        message: &Arc<QueuedMessage>,
        recipients: &[u32],
    ) -> Vec<(u32, Outcome)> {
        let mut connection = self.connection.lock().await;
        let (bodies, now) = (&self.accounts.store().bodies, self.accounts.now());
        let given = hand_over(&mut connection, bodies, message, recipients, now);
        let mut done = Box::pin(given).await;
        if connection.is_spent() {
            // The line is cut: the rest waits for the next time as if nothing had been.
            for (_, outcome) in &mut done {
                if let Outcome::Later { reach, .. } = outcome {
                    *reach = Reach::Queue;
                }
            }
        }
        done
    }
}

/// Sends what waits in these queues to a `peer`; we are `host`.
pub(crate) async fn send(
    dequeuer: &Arc<Dequeuer>,
    accounts: Arc<Accounts>,
    stream: Box<dyn Duplex>,
    [host, peer]: [&str; 2],
    tag: &str,
    queues: &[String],
) {
    let connection = match Connection::over(stream, host, peer, Phases::default()).await {
        Ok(connection) => connection,
        Err(why) => {
            tracing::warn!(target: "SMTPI", session = tag, "ATRN: no server on the other side: {why}");
            return;
        }
    };
    let sender = Handover { connection: Mutex::new(connection), accounts };
    for queue in queues {
        let taken = dequeuer.take(&QueueName::new(SMTP, queue), &sender).await;
        let messages = taken.messages;
        tracing::info!(target: "SMTPI", session = tag, "ATRN: {messages} messages of {queue}");
        if taken.cut_off {
            tracing::warn!(target: "SMTPI", session = tag, "ATRN: the connection broke");
            return;
        }
    }
    sender.connection.into_inner().quit().await;
}
