//! SEARCH, SORT and THREAD criteria.

use smallvec::SmallVec;

use super::date::Date;
use super::flag::Flag;
use super::sequence::SequenceSet;

/// SEARCH or UID SEARCH (RFC 9051 section 6.4.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// True for UID SEARCH: the answer holds UIDs.
    pub uid: bool,
    /// RETURN options: the answer is ESEARCH. `None`: the old SEARCH answer (but always ESEARCH
    /// for a session that enabled IMAP4rev2).
    pub returns: Option<SearchReturn>,
    /// CHARSET as given, upper case; strings in another one than UTF-8 are
    /// [`SearchKey::ContainsOctets`].
    pub charset: Option<Box<str>>,
    /// What must hold; several keys are a [`SearchKey::And`].
    pub key: SearchKey,
}

/// RETURN options of RFC 4731, 5182, 9394.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchReturn {
    /// MIN
    pub min: bool,
    /// MAX
    pub max: bool,
    /// ALL (also for an empty list)
    pub all: bool,
    /// COUNT
    pub count: bool,
    /// SAVE
    pub save: bool,
    /// PARTIAL
    pub partial: Option<PartialRange>,
    /// RELEVANCY (RFC 6203)
    pub relevancy: bool,
    /// UPDATE: tell what changes from now on (RFC 5267 section 4.3). CONTEXT, a hint, is dropped.
    pub update: bool,
}

impl SearchReturn {
    /// True when something is asked that an ESEARCH answer holds.
    #[must_use]
    pub fn tells(&self) -> bool {
        self.min || self.max || self.all || self.count || self.partial.is_some()
    }
}

/// ESEARCH: a search in several mailboxes (RFC 7377). Its answers hold UIDs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MultiSearch {
    /// Where; empty for the selected mailbox. At most [`MultiSearch::MAX_SOURCES`] names.
    pub sources: Vec<SearchSource>,
    /// What is wanted and of which messages; `uid` is true.
    pub search: Search,
}

impl MultiSearch {
    /// Most mailboxes named in one command.
    pub const MAX_SOURCES: usize = 1000;
}

/// Mailboxes to search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SearchSource {
    /// The selected one.
    Selected,
    /// Those that mail is delivered to.
    Inboxes,
    /// All of the user's own.
    Personal,
    /// All subscribed ones.
    Subscribed,
    /// This one and all below it.
    Subtree(String),
    /// This one and those one level below it.
    SubtreeOne(String),
    /// This one.
    Mailbox(String),
}

/// A page of a result: positions from 1, both ends included, ascending (RFC 9394).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PartialRange {
    /// First position.
    pub first: u32,
    /// Last position.
    pub last: u32,
    /// True when positions count from the end (`-1` is the last result).
    pub from_end: bool,
}

/// Which text is searched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextField {
    /// BCC
    Bcc,
    /// CC
    Cc,
    /// FROM
    From,
    /// TO
    To,
    /// SUBJECT
    Subject,
    /// BODY
    Body,
    /// TEXT
    Text,
    /// HEADER name
    Header(Box<str>),
}

/// Which date is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DateKind {
    /// The date it arrived (BEFORE, ON, SINCE).
    Internal,
    /// The Date field (SENTBEFORE, SENTON, SENTSINCE).
    Sent,
    /// When it came into this mailbox (SAVEDBEFORE, SAVEDON, SAVEDSINCE; RFC 8514).
    Saved,
}

/// A condition on a message. At most [`SearchKey::MAX_KEYS`] in one command, nested at most
/// [`SearchKey::MAX_DEPTH`] deep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SearchKey {
    /// ALL
    All,
    /// All of these (a list in parentheses, or several keys).
    And(Vec<SearchKey>),
    /// OR
    Or(Box<SearchKey>, Box<SearchKey>),
    /// NOT
    Not(Box<SearchKey>),
    /// A set of sequence numbers, or `$`.
    Sequence(SequenceSet),
    /// UID set
    Uid(SequenceSet),
    /// ANSWERED, DELETED, DRAFT, FLAGGED, SEEN, RECENT, KEYWORD flag
    Has(Flag),
    /// UNANSWERED, UNDELETED, UNDRAFT, UNFLAGGED, UNSEEN, OLD, UNKEYWORD flag
    HasNot(Flag),
    /// BEFORE and its relatives: the date, times and zones disregarded, is earlier.
    Before(DateKind, Date),
    /// ON and its relatives: within the date.
    On(DateKind, Date),
    /// SINCE and its relatives: within or later.
    Since(DateKind, Date),
    /// SAVEDATESUPPORTED
    SaveDateSupported,
    /// OLDER seconds (RFC 5032)
    Older(u32),
    /// YOUNGER seconds (RFC 5032)
    Younger(u32),
    /// LARGER octets
    Larger(u64),
    /// SMALLER octets
    Smaller(u64),
    /// A text contains the value without regard to case; an empty value in a header field asks
    /// only for the field.
    Contains(TextField, String),
    /// The same with text in the command's CHARSET, which is neither ASCII nor UTF-8.
    ContainsOctets(TextField, Box<[u8]>),
    /// MODSEQ at or above (RFC 7162; the optional entry name is checked and dropped)
    ModSeq(u64),
    /// EMAILID
    EmailId(Box<str>),
    /// THREADID
    ThreadId(Box<str>),
    /// FUZZY (RFC 6203)
    Fuzzy(Box<SearchKey>),
}

impl SearchKey {
    /// Most keys of one command (ABU-27).
    pub const MAX_KEYS: usize = 10_000;
    /// Deepest nesting (ABU-20).
    pub const MAX_DEPTH: usize = 100;

    /// True when a FUZZY key is somewhere in it (RFC 6203).
    #[must_use]
    pub fn has_fuzzy(&self) -> bool {
        match self {
            Self::Fuzzy(_) => true,
            Self::And(keys) => keys.iter().any(Self::has_fuzzy),
            Self::Or(a, b) => a.has_fuzzy() || b.has_fuzzy(),
            Self::Not(key) => key.has_fuzzy(),
            _ => false,
        }
    }

    /// True when a MODSEQ key is somewhere in it: the command enables CONDSTORE and the answer
    /// names the highest MODSEQ (RFC 7162 section 3.1.5).
    #[must_use]
    pub fn has_modseq(&self) -> bool {
        match self {
            Self::ModSeq(_) => true,
            Self::And(keys) => keys.iter().any(Self::has_modseq),
            Self::Or(a, b) => a.has_modseq() || b.has_modseq(),
            Self::Not(key) | Self::Fuzzy(key) => key.has_modseq(),
            _ => false,
        }
    }

    /// True when sequence numbers are somewhere in it; `$` holds none.
    #[must_use]
    pub fn has_sequence_numbers(&self) -> bool {
        match self {
            Self::Sequence(set) => matches!(set, SequenceSet::Ranges(_)),
            Self::And(keys) => keys.iter().any(Self::has_sequence_numbers),
            Self::Or(a, b) => a.has_sequence_numbers() || b.has_sequence_numbers(),
            Self::Not(key) | Self::Fuzzy(key) => key.has_sequence_numbers(),
            _ => false,
        }
    }

    /// True when the result of an earlier search, `$`, is somewhere in it.
    #[must_use]
    pub fn has_saved(&self) -> bool {
        match self {
            Self::Sequence(set) | Self::Uid(set) => matches!(set, SequenceSet::Saved),
            Self::And(keys) => keys.iter().any(Self::has_saved),
            Self::Or(a, b) => a.has_saved() || b.has_saved(),
            Self::Not(key) | Self::Fuzzy(key) => key.has_saved(),
            _ => false,
        }
    }
}

/// What SORT compares (RFC 5256, RFC 5957).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SortKey {
    /// ARRIVAL
    Arrival,
    /// CC
    Cc,
    /// DATE
    Date,
    /// FROM
    From,
    /// SIZE
    Size,
    /// SUBJECT
    Subject,
    /// TO
    To,
    /// DISPLAYFROM
    DisplayFrom,
    /// DISPLAYTO
    DisplayTo,
    /// RELEVANCY: how well FUZZY is met, the best first (RFC 6203).
    Relevancy,
}

/// One criterion of SORT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SortCriterion {
    /// What is compared.
    pub key: SortKey,
    /// REVERSE
    pub reverse: bool,
}

/// Criteria in order of weight, at most [`SortCriterion::MAX_LIST`].
pub(crate) type SortCriteria = SmallVec<[SortCriterion; 4]>;

impl SortCriterion {
    /// Most criteria taken in one command.
    pub const MAX_LIST: usize = 32;
}
