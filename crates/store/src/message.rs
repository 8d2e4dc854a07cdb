//! One message in a mailbox, as stored and as handed in.

use bytes::Bytes;

use crate::bodies::MessageBody;
use crate::flags::Flags;
use crate::ids::{BodyId, ModSeq, QueueId, Uid};
use crate::numbers::PopId;

/// BLAKE3 of the exact bytes of a message: its content id.
pub type Digest = [u8; 32];

/// When a message arrived, with the zone it was given in, so that INTERNALDATE comes back as it
/// was (RFC 9051 section 2.3.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InternalDate {
    /// Seconds since 1970-01-01 UTC.
    pub seconds: i64,
    /// Offset of the zone from UTC in minutes, -1439 to 1439.
    pub zone_minutes: i16,
}

/// What every session wants to know of every message, small enough to keep in memory for a
/// mailbox of a million.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageEntry {
    /// The UID.
    pub uid: Uid,
    /// The flags.
    pub flags: Flags,
    /// The sequence of the last change.
    pub modseq: ModSeq,
    /// When it arrived.
    pub internal_date: InternalDate,
    /// When it was put into this mailbox, seconds since 1970 (RFC 8514).
    pub save_date: i64,
    /// Exact size in octets, CRLF line ends as received.
    pub size: u64,
    /// The bytes.
    pub body: BodyId,
    /// Content id of the bytes.
    pub digest: Digest,
    /// The UID the message had when it first came to this account; part of POP's UIDL.
    pub original_uid: u32,
    /// POP's unique id that another server gave it, if it keeps that.
    pub pop_id: Option<PopId>,
}

/// A message to be put into a mailbox.
#[derive(Clone, Debug)]
pub struct NewMessage {
    /// The bytes, or where they already are.
    pub body: MessageBody,
    /// What `angarium-message` rendered of it (envelope, structure, preview), opaque here, at
    /// most [`NewMessage::MAX_SUMMARY`] bytes. Ignored for [`MessageBody::Existing`].
    pub summary: Bytes,
    /// Flags at arrival.
    pub flags: Flags,
    /// The date to keep.
    pub internal_date: InternalDate,
    /// When it is put in, seconds since 1970.
    pub save_date: i64,
    /// A UID to keep (import by an administrator); must be at or above UIDNEXT and ascending.
    pub uid: Option<Uid>,
    /// A POP identity to keep; `None` takes the UID.
    pub original_uid: Option<u32>,
    /// POP's unique id as another server gave it (import by an administrator).
    pub pop_id: Option<PopId>,
    /// The delivery this append performs: a second append of the same origin into the same
    /// account does nothing and reports [`crate::Appended::Repeated`].
    pub origin: Option<Origin>,
}

impl NewMessage {
    /// Largest summary taken, in bytes.
    pub const MAX_SUMMARY: usize = 256 * 1024;
}

/// Which delivery an append belongs to (design, decision 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    /// The queued message.
    pub queue: QueueId,
    /// Index of the recipient in it.
    pub recipient: u32,
}
