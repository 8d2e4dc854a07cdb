//! An IMAP server as the target of MovePOPMail: messages are appended to the INBOX with the date at
//! which the old server received them, which SMTP cannot keep.

use std::time::Duration;

use angarium_imap::client::{Event, Response, Status};
use angarium_message::date;

use super::letter::{Facts, Letter};
use super::target::{Fate, Recipient};
use crate::error::{MoveError, Result, Side};
use crate::session::Session;

/// Octets of a message that are written at once.
const PIECE: usize = 128 * 1024;

/// A session that is ready for messages.
pub(crate) struct Appending {
    session: Session,
}

impl Appending {
    /// Connects and logs in.
    pub(crate) async fn open(to: &Recipient, timeout: Duration) -> Result<Self> {
        let Some(who) = &to.login else {
            return Err(MoveError::Usage("an IMAP server wants a name and a password".into()));
        };
        let session = Box::pin(Session::open(Side::Target, &to.endpoint, who, timeout)).await?;
        Ok(Self { session })
    }

    /// The largest message that is taken, octets; `None` for no stated limit (RFC 7889).
    pub(crate) fn size_limit(&self) -> Option<u64> {
        let limit = |word: &String| word.strip_prefix("APPENDLIMIT=")?.parse().ok();
        self.session.capabilities().iter().find_map(limit)
    }

    /// True when messages with NUL arrive as they are (RFC 3516).
    pub(crate) fn takes_binary(&self) -> bool {
        self.session.has("BINARY")
    }

    /// Appends one message. The letter is read from its beginning.
    pub(crate) async fn give(&mut self, letter: &mut Letter) -> Result<Fate> {
        let facts = &letter.facts;
        if facts.nul && !self.takes_binary() {
            let reason = "holds NUL octets, which the new server takes only by SMTP".into();
            return Ok(Fate::Refused { later: false, reason });
        }
        let tag = self.session.next_tag();
        let date = received(facts).map(|moment| format!("\"{}\" ", date::format_imap(moment)));
        let plus = self.session.has("LITERAL+");
        let head = format!(
            "{tag} APPEND INBOX {}{}{{{}{}}}\r\n",
            date.unwrap_or_default(),
            if facts.nul { "~" } else { "" },
            facts.size,
            if plus { "+" } else { "" }
        );
        self.session.write.write(head.as_bytes()).await?;
        if !plus {
            self.session.write.flush().await?;
            if let Some(fate) = self.heard(&tag, true).await? {
                return Ok(fate);
            }
        }
        letter.rewind()?;
        let mut piece = vec![0; PIECE];
        loop {
            let count = letter.read(&mut piece)?;
            let Some(octets) = piece.get(..count).filter(|octets| !octets.is_empty()) else {
                break;
            };
            self.session.write.write(octets).await?;
        }
        self.session.write.write(b"\r\n").await?;
        self.session.write.flush().await?;
        match self.heard(&tag, false).await? {
            Some(fate) => Ok(fate),
            None => Err(lost("APPEND is not answered as it should be")),
        }
    }

    /// What becomes of the command: `None` when the server waits for the message.
    async fn heard(&mut self, tag: &str, waiting: bool) -> Result<Option<Fate>> {
        loop {
            match self.session.next_event().await? {
                Event::Response(Response::Continuation(_)) if waiting => return Ok(None),
                Event::Response(Response::Tagged { tag: got, status, text, .. }) if got == tag => {
                    let reason: String =
                        text.chars().filter(|c| !c.is_control()).take(300).collect();
                    return Ok(Some(match status {
                        Status::Ok => Fate::Taken,
                        _ => Fate::Refused { later: false, reason },
                    }));
                }
                _ => {}
            }
        }
    }

    /// Says goodbye.
    pub(crate) async fn quit(self) {
        self.session.log_out().await;
    }
}

fn lost(reason: &str) -> MoveError {
    MoveError::Lost { side: Side::Target, reason: reason.into() }
}

/// When the old server received it: the newest Received field says so, else Date.
fn received(facts: &Facts) -> Option<date::Moment> {
    let trace = facts.field("Received").and_then(|field| {
        let (_, moment) = field.rsplit_once(';')?;
        date::parse(moment.trim().as_bytes())
    });
    trace.or_else(|| date::parse(facts.field("Date")?.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_is_that_of_the_newest_received_field_else_that_of_the_message() {
        for (text, shown) in [
            (
                &b"Received: from a by b; Mon, 2 Mar 2020 10:00:00 +0100\r\n\
                   Received: from c by a; Sun, 1 Mar 2020 10:00:00 +0100\r\n\
                   Date: Sat, 29 Feb 2020 10:00:00 +0000\r\n\r\n"[..],
                Some(" 2-Mar-2020 10:00:00 +0100"),
            ),
            (b"Date: Sat, 29 Feb 2020 10:00:00 +0000\r\n\r\n", Some("29-Feb-2020 10:00:00 +0000")),
            (b"Received: nonsense; today\r\n\r\n", None),
            (b"Subject: x\r\n\r\nDate: Sat, 29 Feb 2020 10:00:00 +0000\r\n", None),
        ] {
            let mut letter = Letter::new();
            letter.push(text).unwrap();
            assert_eq!(received(&letter.facts).map(date::format_imap).as_deref(), shown);
        }
    }
}
