//! FETCH: which messages, which of their data.

use smallvec::SmallVec;

use super::search::PartialRange;
use super::sequence::SequenceSet;

/// FETCH or UID FETCH (RFC 9051 section 6.4.5, RFC 7162, RFC 9394).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// True for UID FETCH: the set holds UIDs and every answer names the UID.
    pub uid: bool,
    /// Which messages.
    pub set: SequenceSet,
    /// What of them, macros put in, 1 to [`Fetch::MAX_ITEMS`], in the order asked.
    pub items: SmallVec<[FetchItem; 6]>,
    /// CHANGEDSINCE: only messages changed after this MODSEQ.
    pub changed_since: Option<u64>,
    /// VANISHED: tell which UIDs of the set went away after CHANGEDSINCE.
    pub vanished: bool,
    /// PARTIAL: only this page of the set.
    pub partial: Option<PartialRange>,
}

impl Fetch {
    /// Most items taken in one command.
    pub const MAX_ITEMS: usize = 256;
    /// Most header names taken in one HEADER.FIELDS.
    pub const MAX_FIELDS: usize = 512;
}

/// `<offset.count>` of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OctetRange {
    /// First octet wanted, from 0.
    pub offset: u64,
    /// How many at most, above 0.
    pub count: u64,
}

/// One thing wanted of each message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchItem {
    /// `UID`
    Uid,
    /// `FLAGS`
    Flags,
    /// `INTERNALDATE`
    InternalDate,
    /// `RFC822.SIZE`
    Size,
    /// `ENVELOPE`
    Envelope,
    /// `BODY` alone: the structure without extension data
    Body,
    /// `BODYSTRUCTURE`
    BodyStructure,
    /// `RFC822`: as `BODY[]`, answered under its own name
    Rfc822,
    /// `RFC822.HEADER`: as `BODY.PEEK[HEADER]`
    Rfc822Header,
    /// `RFC822.TEXT`: as `BODY[TEXT]`
    Rfc822Text,
    /// `BODY[…]<…>` or `BODY.PEEK[…]<…>`
    Section {
        /// What of the message.
        section: Section,
        /// True for `.PEEK`: reading does not set `\Seen`.
        peek: bool,
        /// Only these octets of it.
        partial: Option<OctetRange>,
    },
    /// `BINARY[…]<…>` or `BINARY.PEEK[…]<…>` (RFC 3516)
    Binary {
        /// Part numbers; empty for the whole message.
        part: SmallVec<[u32; 4]>,
        /// True for `.PEEK`.
        peek: bool,
        /// Only these octets of the decoded part.
        partial: Option<OctetRange>,
    },
    /// `BINARY.SIZE[…]`
    BinarySize {
        /// Part numbers; empty for the whole message.
        part: SmallVec<[u32; 4]>,
    },
    /// `MODSEQ` (RFC 7162)
    ModSeq,
    /// `PREVIEW` (RFC 8970)
    Preview {
        /// True for `(LAZY)`: only if it is at hand.
        lazy: bool,
    },
    /// `EMAILID` (RFC 8474)
    EmailId,
    /// `THREADID` (RFC 8474)
    ThreadId,
    /// `SAVEDATE` (RFC 8514)
    SaveDate,
}

impl FetchItem {
    /// True when fetching this sets `\Seen` (in a mailbox open for writing).
    #[must_use]
    pub fn sets_seen(&self) -> bool {
        match self {
            Self::Rfc822 | Self::Rfc822Text => true,
            Self::Section { peek, .. } | Self::Binary { peek, .. } => !peek,
            _ => false,
        }
    }

    /// True when the bytes of the message are needed to answer.
    #[must_use]
    pub fn needs_body(&self) -> bool {
        matches!(
            self,
            Self::Rfc822
                | Self::Rfc822Header
                | Self::Rfc822Text
                | Self::Section { .. }
                | Self::Binary { .. }
                | Self::BinarySize { .. }
        )
    }
}

/// What stands between the brackets of `BODY[…]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// Part numbers, each above 0, at most [`Section::MAX_DEPTH`]; empty for the whole message.
    pub part: SmallVec<[u32; 4]>,
    /// What of the part; `None` for all of it.
    pub text: Option<SectionText>,
}

impl Section {
    /// Deepest part number taken (ABU-20).
    pub const MAX_DEPTH: usize = 100;
}

/// The word in a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SectionText {
    /// `HEADER`
    Header,
    /// `HEADER.FIELDS (…)`, names as written
    HeaderFields(Vec<Box<str>>),
    /// `HEADER.FIELDS.NOT (…)`
    HeaderFieldsNot(Vec<Box<str>>),
    /// `TEXT`
    Text,
    /// `MIME`, only after part numbers
    Mime,
}
