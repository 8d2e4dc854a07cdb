//! A bound on what a server may say while one command is under way: one that talks without end
//! costs neither memory nor for ever. Knows no connection.

use angarium_imap::client::{Event, Response, Untagged};

use crate::error::{MoveError, Result, Side};

/// Most octets of answers to one command, as they weigh in memory. A list of 200,000 mailboxes or
/// 10,000 messages has room in it.
const MOST: usize = 96 * 1024 * 1024;
/// What the smallest answer weighs.
const LEAST: usize = 192;

/// What a server has said since a command began.
#[derive(Debug)]
pub(crate) struct Flood {
    side: Side,
    left: usize,
}

impl Flood {
    pub(crate) fn new(side: Side) -> Self {
        Self { side, left: MOST }
    }

    /// Counts one thing said.
    ///
    /// # Errors
    /// `Lost` when it was too much.
    pub(crate) fn heard(&mut self, event: &Event) -> Result<()> {
        let more = match event {
            Event::BodyBegin { .. } => 0,
            Event::BodyData(data) => data.len(),
            Event::BodyEnd(fetch) => fetch.others.iter().map(|(n, v)| n.len() + v.len()).sum(),
            Event::Response(Response::Untagged(untagged)) => weight(untagged),
            Event::Response(_) => 0,
        };
        self.left = self.left.checked_sub(LEAST + more).ok_or_else(|| MoveError::Lost {
            side: self.side,
            reason: format!(
                "it answered one command with more than {} MiB and was not done",
                MOST / 1024 / 1024
            ),
        })?;
        Ok(())
    }
}

fn weight(untagged: &Untagged) -> usize {
    let words = |all: &[String]| all.iter().map(|w| w.len() + 24).sum::<usize>();
    match untagged {
        Untagged::Capability(all) => words(all),
        Untagged::List(item) | Untagged::Lsub(item) => {
            words(&item.attributes) + 2 * item.wire_name.len()
        }
        Untagged::Fetch(fetch) => {
            words(fetch.flags.as_deref().unwrap_or_default())
                + fetch.others.iter().map(|(n, v)| n.len() + v.len()).sum::<usize>()
        }
        Untagged::Search(all) => 4 * all.len(),
        Untagged::Vanished { uids, .. } => 8 * uids.len(),
        Untagged::Status { text, .. } => text.len(),
        Untagged::Other(word) => word.len(),
        Untagged::Acl(_, all) => all.iter().map(|(a, b)| a.len() + b.len() + 48).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn abu_65_a_server_without_end_is_cut_off() {
        let mut flood = Flood::new(Side::Source);
        let event = Event::Response(Response::Continuation(String::new()));
        let heard = (0..MOST / LEAST + 2).take_while(|_| flood.heard(&event).is_ok()).count();
        assert_eq!(heard, MOST / LEAST);
        let mut flood = Flood::new(Side::Source);
        let body = Event::BodyData(vec![0; MOST].into());
        assert!(flood.heard(&body).is_err());
    }
}
