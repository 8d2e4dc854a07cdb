//! Numbers that another server gave first and that a mailbox is to keep, so that a client that
//! knew it there finds here what it knows: validity, UIDs, MODSEQs, POP's unique ids.
//!
//! The rules, all of them: a validity changes only while there is no message; UIDs rise; what a
//! client may have seen there and is not here counts as gone.

use std::sync::Arc;

use crate::ids::{ModSeq, Uid, UidValidity};

/// A unique id of POP (RFC 1939 section 7) as another server gave it: 1 to
/// [`NumbersPatch::MAX_POP_ID`] printable characters of ASCII without space.
pub type PopId = Arc<str>;

/// What a mailbox remembers of numbers it took over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeptNumbers {
    /// MODSEQs up to this one were given by the other server, or may have been: who asks what went
    /// away since then must be told of every UID below UIDNEXT that is not there.
    pub foreign_until: ModSeq,
    /// Messages without a given UID get this one or a higher one: those below are for what still
    /// comes from the other server.
    pub own_from: Uid,
}

/// Numbers to be kept; `None` leaves them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NumbersPatch {
    /// Another validity, never 0, for a mailbox without messages alone: UIDs begin at 1 again, and
    /// nothing is known any more of what went away.
    pub uid_validity: Option<UidValidity>,
    /// UIDNEXT is at least this from now on.
    pub uid_next: Option<Uid>,
    /// HIGHESTMODSEQ is at least this from now on, at most [`NumbersPatch::MAX_MODSEQ`]; see
    /// [`KeptNumbers::foreign_until`].
    pub highest_modseq: Option<ModSeq>,
    /// See [`KeptNumbers::own_from`]; only rises while the validity stays.
    pub own_from: Option<Uid>,
    /// POP's unique ids of messages that are there; unknown UIDs are passed over.
    pub pop_ids: Vec<(Uid, PopId)>,
}

impl crate::MailboxRecord {
    /// The UID of a message that comes without one, where the next would be `next`.
    #[must_use]
    pub fn own_uid(&self, next: Uid) -> Uid {
        self.kept_numbers.map_or(next, |kept| next.max(kept.own_from))
    }
}

impl NumbersPatch {
    /// Highest MODSEQ taken: as many again are left for the mailbox's life (RFC 7162 section 7
    /// ends at 2^63).
    pub const MAX_MODSEQ: ModSeq = ModSeq(1 << 62);
    /// Longest unique id of POP, in characters (RFC 1939 section 7).
    pub const MAX_POP_ID: usize = 70;

    /// What is wrong with another one.
    pub const POP_ID_FAULT: &str = "a unique id of POP has 1 to 70 printable characters";

    /// True for a unique id as RFC 1939 has them.
    #[must_use]
    pub fn is_pop_id(text: &str) -> bool {
        (1..=Self::MAX_POP_ID).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
    }

    /// Why a mailbox cannot take these numbers, if it cannot: `messages` is how many it holds,
    /// `validity` the one it has.
    #[must_use]
    pub fn fault(&self, validity: UidValidity, messages: u32) -> Option<&'static str> {
        if self.uid_validity == Some(UidValidity(0)) {
            return Some("a validity is never 0");
        }
        if messages > 0 && self.uid_validity.is_some_and(|given| given != validity) {
            return Some("a mailbox with messages keeps its validity");
        }
        if self.highest_modseq.is_some_and(|modseq| modseq > Self::MAX_MODSEQ) {
            return Some("the MODSEQ is too high");
        }
        let wrong = self.pop_ids.iter().any(|(_, id)| !Self::is_pop_id(id));
        wrong.then_some(Self::POP_ID_FAULT)
    }

    /// The mailbox with these numbers. Its caller has asked [`NumbersPatch::fault`].
    #[must_use]
    pub fn applied(&self, record: &crate::MailboxRecord) -> crate::MailboxRecord {
        let mut new = record.clone();
        let mut kept = new.kept_numbers.unwrap_or_default();
        if let Some(validity) = self.uid_validity
            && validity != record.uid_validity
        {
            new.uid_validity = validity;
            (new.uid_next, new.first_recent, kept.own_from) = (Uid(1), Uid(1), Uid(0));
        }
        new.uid_next = new.uid_next.max(self.uid_next.unwrap_or_default());
        new.highest_modseq = new.highest_modseq.max(self.highest_modseq.unwrap_or_default());
        // What was changed here so far is below it too, which only makes clients ask more.
        if self.highest_modseq.is_some() || new.kept_numbers.is_none() {
            kept.foreign_until = new.highest_modseq;
        }
        kept.own_from = kept.own_from.max(self.own_from.unwrap_or_default());
        new.kept_numbers = Some(kept);
        new
    }
}
