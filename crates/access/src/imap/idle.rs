//! IDLE (RFC 2177): waiting for the client and the mailbox at once. It must never know what the
//! news are.

use std::time::Duration;

use angarium_imap::encode;
use angarium_imap::types::Tag;
use angarium_imap::view::Moment;
use tokio::io::{AsyncRead, AsyncWrite};

use super::answer::{Answer, Halt};
use super::calls::Call;
use super::notify::watched;
use super::session::Session;
use crate::connection::ConnectionError;

/// What woke an idling session.
pub(super) enum Waking {
    /// The client sent something.
    Client,
    /// The mailbox changed, or something NOTIFY asked for.
    Mailbox,
    /// Somebody calls from outside.
    Call(Call),
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<S> {
    pub(super) fn idle(&mut self, tag: &Tag) -> Result<Option<Answer>, Halt> {
        self.user()?;
        encode::continuation(self.connection.out(), "idling");
        self.flow.expect_done();
        self.idling = Some(tag.clone());
        Ok(None)
    }

    /// Waits until the client sends something or the mailbox changes.
    pub(super) async fn wait_idling(
        &mut self,
        patience: Duration,
    ) -> Result<Waking, ConnectionError> {
        self.connection.flush().await?;
        self.connection.rest();
        let changed = async {
            match self.selected.as_mut() {
                Some(selected) => selected.watch.changed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            received = self.connection.receive(self.flow.buffer(), patience) => {
                received?;
                Ok(Waking::Client)
            }
            call = self.calls.next(&self.entry, false) => Ok(Waking::Call(call)),
            () = watched(self.notifying.as_deref()) => Ok(Waking::Mailbox),
            changed = changed => match changed {
                Ok(()) => Ok(Waking::Mailbox),
                // The sender lives as long as the mailbox is held here.
                Err(_) => Err(ConnectionError::Closed),
            },
        }
    }

    pub(super) fn idle_done(&mut self) {
        if let Some(tag) = self.idling.take() {
            self.announce(Moment::Free, false);
            Answer::ok("IDLE completed").write(self.connection.out(), &tag);
        }
    }
}
