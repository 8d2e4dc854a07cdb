//! BURL (RFC 4468): a submitted message's part is read out of the sender's mailbox on this server,
//! piece by piece. It must never know how a URL is proved.

use std::sync::Arc;

use angarium_smtp::receive::Session;
use angarium_smtp::reply::{Reply, Status};

use super::answers;
use super::dialogue::Dialogue;
use crate::imap_url::{Bearer, UrlError, authorised};

fn unresolved(error: &UrlError) -> Reply {
    match error {
        UrlError::Nothing => Reply::new(554, Status(5, 6, 6), "IMAP URL resolution failed"),
        UrlError::Later(_) => Reply::new(451, Status(4, 4, 1), "the mailbox is not available now"),
    }
}

impl Dialogue {
    /// Fetches what a URL names into the message under way.
    pub(super) async fn burl(&mut self, url: &str, machine: &mut Session) {
        match Box::pin(self.fetch(url, machine)).await {
            Ok(()) => machine.proceed(),
            Err(reply) => {
                tracing::warn!(target: "SMTPI", session = %self.tag(), "BURL refused: {reply}");
                self.envelope = None;
                machine.answer(reply);
            }
        }
    }

    async fn fetch(&mut self, url: &str, machine: &mut Session) -> Result<(), Reply> {
        let Some(actor) = self.login.actor.clone() else {
            return Err(Reply::new(530, Status(5, 7, 0), "authentication required"));
        };
        let accounts = Arc::clone(&self.receiver.accounts);
        let found = authorised(&accounts, url, Bearer::Submission(&actor)).await;
        let (message, url) = found.map_err(|error| unresolved(&error))?;
        let mut content = message.content(&url).await.map_err(|error| unresolved(&error))?;
        while let Some(piece) = content.piece().await.map_err(|error| unresolved(&error))? {
            machine.fetched(&piece)?;
            let intake = self.envelope.as_mut().and_then(|envelope| envelope.content.as_mut());
            let Some((_, intake)) = intake else { return Err(answers::later()) };
            if let Err(why) = intake.push(&piece).await {
                return Err(self.refused(&why));
            }
        }
        Ok(())
    }
}
