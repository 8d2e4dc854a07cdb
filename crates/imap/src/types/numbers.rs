//! XKEEPIDS: numbers that another server gave first and that a mailbox or a message is to keep (an
//! extension of our own for administrators; `docs/decisions/0016-numbers-of-the-old-server.md`).

/// Name of the command, of the capability and of what APPEND takes (RFC 4466 `append-ext`).
pub const KEEP_IDS: &str = "XKEEPIDS";

/// `XKEEPIDS mailbox (…)`: what is not named stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeepNumbers {
    /// Which mailbox, UTF-8.
    pub mailbox: String,
    /// `UIDVALIDITY`, above 0.
    pub uid_validity: Option<u32>,
    /// `UIDNEXT`, above 0.
    pub uid_next: Option<u32>,
    /// `HIGHESTMODSEQ`, below 2^63.
    pub highest_modseq: Option<u64>,
    /// `RESERVE`: UIDs below this are for messages that bring theirs along.
    pub reserve: Option<u32>,
    /// `POPID`: unique ids of POP by UID, at most [`KeepNumbers::MAX_POP_IDS`].
    pub pop_ids: Vec<(u32, String)>,
}

impl KeepNumbers {
    /// Most unique ids of POP in one command.
    pub const MAX_POP_IDS: usize = 10_000;
    /// Longest unique id of POP, in octets (RFC 1939 section 7).
    pub const MAX_POP_ID: usize = 70;
}

/// `XKEEPIDS (…)` of one message of APPEND.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppendNumbers {
    /// `UID`, above 0.
    pub uid: Option<u32>,
    /// `AFTER`: the APPEND is refused unless the mailbox would give the UID behind this one next, so
    /// that after a refusal what was sent ahead is refused too and nothing loses its UID. Of the
    /// first message of an APPEND alone.
    pub after: Option<u32>,
    /// `POPID`
    pub pop_id: Option<String>,
}
