//! BURL (RFC 4468) in the receiving machine: a part of the message that the server fetches itself.
//! It goes together with BDAT, not with DATA. It must never know what a URL means.

use super::content::refusal;
use super::session::{Asked, Session, State};
use super::{Abort, Event};
use crate::reply::{Reply, Status};

impl Session {
    pub(super) fn burl(&mut self, url: String, last: bool) -> Option<Event> {
        if !self.config.offers.burl {
            self.error(&Reply::new(502, Status(5, 5, 1), "BURL is not offered"));
            return None;
        }
        if !self.is_authenticated() {
            self.error(&Reply::new(530, Status(5, 7, 0), "authentication required"));
            return None;
        }
        let transaction = self.transaction.as_mut().filter(|t| t.open);
        let problem = match &transaction {
            None => Some("MAIL comes first"),
            Some(t) if t.recipients == 0 => Some("no valid recipients"),
            Some(t) if t.failed.is_some() => Some("the message was refused already"),
            Some(_) => None,
        };
        let (Some(transaction), None) = (transaction, problem) else {
            let reply = Reply::new(503, Status(5, 5, 1), problem.unwrap_or("MAIL comes first"));
            self.skip_chunk(0, last, reply);
            return None;
        };
        transaction.url = Some(url);
        transaction.fetched = 0;
        if !std::mem::replace(&mut transaction.started, true) {
            self.ask(Asked::BurlContent { last });
            return Some(Event::Content);
        }
        self.state = State::Fetch { last };
        None
    }

    /// The URL, once the content may come.
    pub(super) fn fetch(&mut self, last: bool) -> Option<Event> {
        let url = self.transaction.as_mut().and_then(|t| t.url.take()).unwrap_or_default();
        self.ask(Asked::Burl { last });
        Some(Event::Burl { url })
    }

    /// Octets fetched for [`Event::Burl`], in their order: looked at as those that clients send.
    ///
    /// # Errors
    /// The reply to refuse the URL with: too large, or line ends that are none.
    pub fn fetched(&mut self, data: &[u8]) -> Result<(), Reply> {
        let most = self.config.max_size;
        let Some(transaction) = &mut self.transaction else { return Ok(()) };
        transaction.size = transaction.size.saturating_add(data.len() as u64);
        transaction.fetched = transaction.fetched.saturating_add(data.len() as u64);
        if transaction.size > most {
            return Err(refusal(Abort::TooLarge));
        }
        if transaction.binary {
            return Ok(());
        }
        match transaction.check.push(data) {
            Ok(_) => Ok(()),
            Err((fault, _)) => Err(refusal(Abort::Lines(fault))),
        }
    }

    /// The URL's octets are all there: on as at the end of a chunk.
    pub(super) fn fetched_whole(&mut self, last: bool) {
        let size = self.transaction.as_ref().map_or(0, |t| t.fetched);
        self.state = State::Chunk { size, left: 0, last };
    }
}
