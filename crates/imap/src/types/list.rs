//! LIST and its relatives, and STATUS: what is asked about mailboxes.

use smallvec::SmallVec;

/// Which of the listing commands it was; they differ in what they answer with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ListKind {
    /// `LIST` (RFC 9051 section 6.3.9, RFC 5258).
    List,
    /// `LSUB` (RFC 3501 section 6.3.9).
    Lsub,
    /// `XLIST`, the elder of SPECIAL-USE.
    Xlist,
}

/// A listing command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// Which command.
    pub kind: ListKind,
    /// Selection options; all false in a plain LIST.
    pub select: ListSelect,
    /// The reference name, UTF-8.
    pub reference: String,
    /// 1 to [`List::MAX_PATTERNS`] patterns with `*` and `%`, UTF-8.
    pub patterns: SmallVec<[String; 1]>,
    /// What to return besides names.
    pub returns: ListReturn,
    /// True when options of RFC 5258 were used, so that extended answers are allowed.
    pub extended: bool,
}

impl List {
    /// Most patterns taken in one command.
    pub const MAX_PATTERNS: usize = 100;
}

/// What RECURSIVEMATCH changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ListSelectMode {
    /// Only what matches.
    #[default]
    Plain,
    /// Also parents of what matches, with CHILDINFO.
    Recursive,
}

/// Selection options of RFC 5258, RFC 6154.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListSelect {
    /// SUBSCRIBED
    pub subscribed: bool,
    /// REMOTE
    pub remote: bool,
    /// RECURSIVEMATCH or not
    pub mode: ListSelectMode,
    /// SPECIAL-USE
    pub special_use: bool,
}

/// The guide's own options, answered inside the attribute list as `\OPTION(value)`
/// (`reference/imap.md` section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InlineOption {
    /// `UIDVALIDITY`
    UidValidity,
    /// `MESSAGES`
    Messages,
    /// `UIDNEXT`
    UidNext,
    /// `UNSEEN`
    Unseen,
    /// `INTERNALSIZE`
    InternalSize,
    /// `OLDEST`
    Oldest,
    /// `UNSEENMEDIA`
    UnseenMedia,
}

/// Return options of RFC 5258, 5819, 6154, 8440 and the guide.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListReturn {
    /// SUBSCRIBED
    pub subscribed: bool,
    /// CHILDREN
    pub children: bool,
    /// SPECIAL-USE
    pub special_use: bool,
    /// MYRIGHTS
    pub my_rights: bool,
    /// METADATA (…): entries in lower case (RFC 9590); empty when not asked
    pub metadata: Vec<String>,
    /// STATUS (…)
    pub status: Option<StatusItems>,
    /// The guide's own options in the order asked; at most [`ListReturn::MAX_INLINE`].
    pub inline: SmallVec<[InlineOption; 4]>,
}

impl ListReturn {
    /// Most inline options taken.
    pub const MAX_INLINE: usize = 16;
}

/// Items in the order asked, at most [`StatusItem::MAX_LIST`], each once.
pub type StatusItems = SmallVec<[StatusItem; 8]>;

/// An item of STATUS (RFC 9051 section 6.3.11 and `reference/imap.md` section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StatusItem {
    /// `MESSAGES`
    Messages,
    /// `RECENT` (IMAP4rev1)
    Recent,
    /// `UIDNEXT`
    UidNext,
    /// `UIDVALIDITY`
    UidValidity,
    /// `UNSEEN`
    Unseen,
    /// `DELETED`
    Deleted,
    /// `SIZE` (RFC 8438)
    Size,
    /// `HIGHESTMODSEQ` (RFC 7162)
    HighestModSeq,
    /// `APPENDLIMIT` (RFC 7889)
    AppendLimit,
    /// `MAILBOXID` (RFC 8474)
    MailboxId,
    /// `DELETED-STORAGE` (RFC 9208)
    DeletedStorage,
    /// `INTERNALSIZE`
    InternalSize,
    /// `OLDEST`
    Oldest,
    /// `UNSEENMEDIA`
    UnseenMedia,
}

impl StatusItem {
    /// Most items taken in one command.
    pub const MAX_LIST: usize = 32;

    /// Every item.
    pub const ALL: [Self; 14] = [
        Self::Messages,
        Self::Recent,
        Self::UidNext,
        Self::UidValidity,
        Self::Unseen,
        Self::Deleted,
        Self::Size,
        Self::HighestModSeq,
        Self::AppendLimit,
        Self::MailboxId,
        Self::DeletedStorage,
        Self::InternalSize,
        Self::Oldest,
        Self::UnseenMedia,
    ];

    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Messages => "MESSAGES",
            Self::Recent => "RECENT",
            Self::UidNext => "UIDNEXT",
            Self::UidValidity => "UIDVALIDITY",
            Self::Unseen => "UNSEEN",
            Self::Deleted => "DELETED",
            Self::Size => "SIZE",
            Self::HighestModSeq => "HIGHESTMODSEQ",
            Self::AppendLimit => "APPENDLIMIT",
            Self::MailboxId => "MAILBOXID",
            Self::DeletedStorage => "DELETED-STORAGE",
            Self::InternalSize => "INTERNALSIZE",
            Self::Oldest => "OLDEST",
            Self::UnseenMedia => "UNSEENMEDIA",
        }
    }
}

impl InlineOption {
    /// Every option.
    pub const ALL: [Self; 7] = [
        Self::UidValidity,
        Self::Messages,
        Self::UidNext,
        Self::Unseen,
        Self::InternalSize,
        Self::Oldest,
        Self::UnseenMedia,
    ];

    /// The name on the wire, without its backslash.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UidValidity => "UIDVALIDITY",
            Self::Messages => "MESSAGES",
            Self::UidNext => "UIDNEXT",
            Self::Unseen => "UNSEEN",
            Self::InternalSize => "INTERNALSIZE",
            Self::Oldest => "OLDEST",
            Self::UnseenMedia => "UNSEENMEDIA",
        }
    }
}
